/* formats.c - records of a TSV file and of a file of paragraphs. */
#include <ctype.h>
#include <stdarg.h>
#include <strings.h>

#include "tools/gyre/input.h"

enum cli_next
cli_format_bad(struct cli_format *format, enum cli_next next, const char *text, ...)
{
    struct cli_reader *reader = &format->reader;
    va_list list;
    const int n = snprintf(reader->message, sizeof(reader->message),
                           "line %llu: ", (unsigned long long)format->line);

    va_start(list, text);
    (void)vsnprintf(reader->message + n, sizeof(reader->message) - (size_t)n, text, list);
    va_end(list);
    return next;
}

/* ---- TSV ---- */

/* Undo cli_put_tsv. False: an escape that it never writes. */
static bool
unescape_tsv(struct gyre_slice text, struct cli_bytes *ret_bytes)
{
    const uint8_t *p = text.data;
    size_t i = 0;

    ret_bytes->size = 0;
    cli_bytes_reserve(ret_bytes, text.size + 1); /* escapes only shrink */
    while (i < text.size) {
        int c = p[i++];

        if (c == '\\') {
            const int kind = i < text.size ? p[i++] : 0;

            if (kind == 't') {
                c = '\t';
            } else if (kind == 'n') {
                c = '\n';
            } else if (kind == 'r') {
                c = '\r';
            } else if (kind == 'x' && text.size - i >= 2 && cli_unhex_digit(p[i]) >= 0 &&
                       cli_unhex_digit(p[i + 1]) >= 0) {
                c = cli_unhex_digit(p[i]) * 16 + cli_unhex_digit(p[i + 1]);
                i += 2;
            } else if (kind != '\\') {
                return false;
            }
        }
        ret_bytes->data[ret_bytes->size++] = (uint8_t)c;
    }
    return true;
}

static enum cli_next
tsv_next(struct cli_format *format)
{
    struct gyre_slice line;
    const enum cli_next next = cli_reader_line(&format->reader, &line);

    if (next != CLI_NEXT_ITEM) {
        return next;
    }
    format->line = format->reader.line;
    const char *text = line.data;
    const char *tab = line.size > 0 ? memchr(text, '\t', line.size) : NULL;
    if (tab == NULL) {
        return cli_format_bad(format, CLI_NEXT_BAD, "no tab in it; a line is KEY<tab>VALUE");
    }
    const size_t key_size = (size_t)(tab - text);
    const struct gyre_slice value = gyre_slice(tab + 1, line.size - key_size - 1);
    if (value.size > 0 && memchr(value.data, '\t', value.size) != NULL) {
        return cli_format_bad(format, CLI_NEXT_BAD,
                              "more than one tab; a tab in a key or value is written \\t");
    }
    if (!unescape_tsv(gyre_slice(text, key_size), &format->key_bytes) ||
        !unescape_tsv(value, &format->value_bytes)) {
        return cli_format_bad(format, CLI_NEXT_BAD,
                              "a backslash begins \\t \\n \\r \\\\ or \\xHH; a plain one is \\\\");
    }
    format->key = cli_bytes_slice(&format->key_bytes);
    format->value = cli_bytes_slice(&format->value_bytes);
    return CLI_NEXT_ITEM;
}

/* ---- Paragraphs ---- */

/* Empty, or with the carriage return of a DOS file. */
static bool
is_blank(struct gyre_slice line)
{
    return line.size == 0 || (line.size == 1 && *(const char *)line.data == '\r');
}

/* Take the key from `line` if it is the named field. Names do not differ by case (RFC 822). */
static bool
take_key(struct cli_format *format, struct gyre_slice line)
{
    const size_t name_size = strlen(format->key_field);
    const char *text = line.data;

    if (line.size <= name_size || text[name_size] != ':' ||
        strncasecmp(text, format->key_field, name_size) != 0) {
        return false;
    }
    size_t begin = name_size + 1, end = line.size;
    while (begin < end && (text[begin] == ' ' || text[begin] == '\t')) {
        begin++;
    }
    while (end > begin && isspace((unsigned char)text[end - 1])) {
        end--;
    }
    format->key_bytes.size = 0;
    cli_bytes_add(&format->key_bytes, text + begin, end - begin);
    return true;
}

static enum cli_next
paragraphs_next(struct cli_format *format)
{
    struct gyre_slice line;
    enum cli_next next;
    bool has_key = false, has_line = false, is_too_long = false;

    format->value_bytes.size = 0;
    while ((next = cli_reader_line(&format->reader, &line)) == CLI_NEXT_ITEM) {
        if (is_blank(line)) {
            if (has_line) {
                break;
            }
            continue; /* several blank lines part like one */
        }
        if (!has_line) {
            has_line = true;
            format->line = format->reader.line;
        } else if (!is_too_long) {
            cli_bytes_add(&format->value_bytes, "\n", 1);
        }
        if (!has_key) {
            has_key = take_key(format, line); /* the first one counts */
        }
        /* A file without blank lines must not fill the memory. */
        is_too_long = is_too_long || format->value_bytes.size + line.size > GYRE_VALUE_SIZE_MAX;
        if (!is_too_long) {
            cli_bytes_add(&format->value_bytes, line.data, line.size);
        }
    }
    if (next == CLI_NEXT_FATAL || next == CLI_NEXT_STOPPED || !has_line) {
        return next; /* a record cut by a signal is not there yet */
    }
    if (is_too_long) {
        return cli_format_bad(format, CLI_NEXT_BAD, "the record that begins here is over %u bytes",
                              GYRE_VALUE_SIZE_MAX);
    }
    if (!has_key) {
        return cli_format_bad(format, CLI_NEXT_BAD, "the record that begins here has no field %s",
                              format->key_field);
    }
    format->key = cli_bytes_slice(&format->key_bytes);
    format->value = cli_bytes_slice(&format->value_bytes);
    return CLI_NEXT_ITEM;
}

/* ---- Choice ---- */

int
cli_format_choose(const struct cli *cli, struct cli_format *format, const char *name,
                  const char *key_field)
{
    format->key_field = key_field;
    if (name == NULL || strcmp(name, "mdb") == 0) {
        format->next = cli_mdb_next;
    } else if (strcmp(name, "tsv") == 0) {
        format->next = tsv_next;
    } else if (strcmp(name, "paragraphs") == 0) {
        format->next = paragraphs_next;
        if (key_field == NULL || key_field[0] == '\0') {
            return cli_usage(cli, "--format paragraphs needs --key-field NAME");
        }
    } else {
        return cli_usage(cli, "--format %s: it is mdb, tsv or paragraphs", name);
    }
    if (key_field != NULL && format->next != paragraphs_next) {
        return cli_usage(cli, "--key-field is for --format paragraphs");
    }
    return CLI_GO_ON;
}
