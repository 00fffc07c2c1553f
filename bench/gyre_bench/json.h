/* json.h - writes JSON in fio's layout: two spaces for each level, one member a line. */
#ifndef GYRE_BENCH_JSON_H
#define GYRE_BENCH_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *file;
    uint32_t depth;
    bool has_member[16]; /* at each depth: a comma is due */
};

/* `name` is NULL inside arrays, and for the outermost value. `bracket` is '{' or '['. */
void json_open(struct json *json, const char *name, char bracket);
void json_close(struct json *json, char bracket); /* '}' or ']' */
void json_text(struct json *json, const char *name, const char *text);
void json_integer(struct json *json, const char *name, uint64_t number);
void json_real(struct json *json, const char *name, double number); /* null unless finite */
void json_bool(struct json *json, const char *name, bool value);

#endif
