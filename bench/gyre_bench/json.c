/* json.c - writes JSON. */
#include "bench/gyre_bench/json.h"

#include <inttypes.h>
#include <math.h>

static void
print_text(FILE *file, const char *text)
{
    (void)fputc('"', file);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            (void)fprintf(file, "\\%c", *c);
        } else if ((unsigned char)*c < 0x20) {
            (void)fprintf(file, "\\u%04x", (unsigned char)*c);
        } else {
            (void)fputc(*c, file);
        }
    }
    (void)fputc('"', file);
}

static void
print_name(struct json *json, const char *name)
{
    if (json->has_member[json->depth]) {
        (void)fputc(',', json->file);
    }
    json->has_member[json->depth] = true;
    if (json->depth > 0) {
        (void)fprintf(json->file, "\n%*s", (int)(2 * json->depth), "");
    }
    if (name != NULL) {
        print_text(json->file, name);
        (void)fputs(" : ", json->file);
    }
}

void
json_open(struct json *json, const char *name, char bracket)
{
    print_name(json, name);
    (void)fputc(bracket, json->file);
    json->has_member[++json->depth] = false;
}

void
json_close(struct json *json, char bracket)
{
    const bool was_empty = !json->has_member[json->depth];

    json->depth--;
    if (!was_empty) {
        (void)fprintf(json->file, "\n%*s", (int)(2 * json->depth), "");
    }
    (void)fputc(bracket, json->file);
}

void
json_text(struct json *json, const char *name, const char *text)
{
    print_name(json, name);
    print_text(json->file, text);
}

void
json_integer(struct json *json, const char *name, uint64_t number)
{
    print_name(json, name);
    (void)fprintf(json->file, "%" PRIu64, number);
}

void
json_real(struct json *json, const char *name, double number)
{
    print_name(json, name);
    if (isfinite(number)) {
        (void)fprintf(json->file, "%.6f", number);
    } else {
        (void)fputs("null", json->file);
    }
}

void
json_bool(struct json *json, const char *name, bool value)
{
    print_name(json, name);
    (void)fputs(value ? "true" : "false", json->file);
}
