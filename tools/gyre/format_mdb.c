/* format_mdb.c - records of the text that mdb_dump(1) and db_dump(1) write.
 *
 *   VERSION=3            header: NAME=VALUE lines
 *   format=bytevalue     or print
 *   type=btree
 *   HEADER=END
 *    6b6579              a blank, then the key: hexadecimal digits, or print: \\ and \hh
 *    76616c7565          a blank, then the value
 *   DATA=END             without it the file is not whole
 */
#include "tools/gyre/input.h"

static bool
line_is(struct gyre_slice line, const char *text)
{
    return line.size == strlen(text) && memcmp(line.data, text, line.size) == 0;
}

static bool
line_begins(struct gyre_slice line, const char *text)
{
    return line.size >= strlen(text) && memcmp(line.data, text, strlen(text)) == 0;
}

static enum cli_next
check_header_line(struct cli_format *format, struct gyre_slice line)
{
    const char *text = line.data;

    if (line_begins(line, "VERSION=") && !line_is(line, "VERSION=3")) {
        return cli_format_bad(format, CLI_NEXT_FATAL, "only VERSION=3 is known");
    }
    if (line_begins(line, "format=")) {
        format->is_print = line_is(line, "format=print");
        if (!format->is_print && !line_is(line, "format=bytevalue")) {
            return cli_format_bad(format, CLI_NEXT_FATAL,
                                  "the format is neither bytevalue nor print");
        }
    }
    if (line_begins(line, "type=") && !line_is(line, "type=btree")) {
        return cli_format_bad(format, CLI_NEXT_FATAL, "only type=btree can be loaded");
    }
    if (line_is(line, "duplicates=1") || line_is(line, "dupsort=1")) {
        return cli_format_bad(format, CLI_NEXT_FATAL,
                              "it has several values for one key; a store has one");
    }
    if (line.size == 0 || memchr(text, '=', line.size) == NULL) {
        return cli_format_bad(format, CLI_NEXT_FATAL,
                              "no header line NAME=VALUE; is it the text of mdb_dump? Others are "
                              "loaded with --format tsv or paragraphs");
    }
    return CLI_NEXT_ITEM;
}

static enum cli_next
read_header(struct cli_format *format)
{
    struct gyre_slice line;
    enum cli_next next;

    for (;;) {
        next = cli_reader_line(&format->reader, &line);
        format->line = format->reader.line;
        if (next == CLI_NEXT_END) {
            if (format->line == 0) {
                format->line = 1;
            }
            return cli_format_bad(format, CLI_NEXT_FATAL,
                                  "the file ends before HEADER=END: it is not whole");
        }
        if (next != CLI_NEXT_ITEM) {
            return next;
        }
        if (line_is(line, "HEADER=END")) {
            format->has_header = true;
            return CLI_NEXT_ITEM;
        }
        next = check_header_line(format, line);
        if (next != CLI_NEXT_ITEM) {
            return next;
        }
    }
}

static bool
decode_print(struct gyre_slice text, struct cli_bytes *ret_bytes)
{
    const uint8_t *p = text.data;
    size_t i = 0;

    ret_bytes->size = 0;
    cli_bytes_reserve(ret_bytes, text.size + 1);
    while (i < text.size) {
        int c = p[i++];

        if (c == '\\' && i < text.size && p[i] == '\\') {
            i++;
        } else if (c == '\\') {
            if (text.size - i < 2 || cli_unhex_digit(p[i]) < 0 || cli_unhex_digit(p[i + 1]) < 0) {
                return false;
            }
            c = cli_unhex_digit(p[i]) * 16 + cli_unhex_digit(p[i + 1]);
            i += 2;
        }
        ret_bytes->data[ret_bytes->size++] = (uint8_t)c;
    }
    return true;
}

/* A line of data into `ret_bytes`. */
static enum cli_next
decode(struct cli_format *format, struct gyre_slice line, struct cli_bytes *ret_bytes)
{
    const char *text = line.data;

    if (line.size == 0 || text[0] != ' ') {
        return cli_format_bad(format, CLI_NEXT_FATAL, "a line of data begins with a blank");
    }
    const struct gyre_slice rest = gyre_slice(text + 1, line.size - 1);
    if (format->is_print && !decode_print(rest, ret_bytes)) {
        return cli_format_bad(format, CLI_NEXT_BAD,
                              "a backslash is followed by neither a backslash nor two digits (old "
                              "mdb_dump -p writes this; dump without -p)");
    }
    if (!format->is_print && !cli_unhex(rest, ret_bytes)) {
        return cli_format_bad(format, CLI_NEXT_BAD, "not an even number of hexadecimal digits");
    }
    return CLI_NEXT_ITEM;
}

/* After DATA=END only another database could follow. */
static enum cli_next
check_end(struct cli_format *format)
{
    struct gyre_slice line;
    const enum cli_next next = cli_reader_line(&format->reader, &line);

    if (next != CLI_NEXT_ITEM) {
        return next;
    }
    format->line = format->reader.line;
    return cli_format_bad(format, CLI_NEXT_FATAL,
                          "more follows after DATA=END; dump one database at a time (mdb_dump -s)");
}

enum cli_next
cli_mdb_next(struct cli_format *format)
{
    struct gyre_slice line;
    enum cli_next next, key_next;

    if (!format->has_header) {
        next = read_header(format);
        if (next != CLI_NEXT_ITEM) {
            return next;
        }
    }
    next = cli_reader_line(&format->reader, &line);
    format->line = format->reader.line;
    if (next == CLI_NEXT_END) {
        return cli_format_bad(format, CLI_NEXT_FATAL,
                              "the file ends without DATA=END: it is not whole");
    }
    if (next != CLI_NEXT_ITEM) {
        return next;
    }
    if (line_is(line, "DATA=END")) {
        return check_end(format);
    }
    key_next = decode(format, line, &format->key_bytes);
    if (key_next == CLI_NEXT_FATAL) {
        return key_next;
    }
    const uint64_t key_line = format->line;
    next = cli_reader_line(&format->reader, &line);
    if (next == CLI_NEXT_END || (next == CLI_NEXT_ITEM && line_is(line, "DATA=END"))) {
        return cli_format_bad(format, CLI_NEXT_FATAL,
                              "the value of this key is missing: the file is not whole");
    }
    if (next != CLI_NEXT_ITEM || key_next == CLI_NEXT_BAD) {
        return next != CLI_NEXT_ITEM ? next : key_next;
    }
    format->line = format->reader.line;
    next = decode(format, line, &format->value_bytes);
    format->line = next == CLI_NEXT_ITEM ? key_line : format->line;
    format->key = cli_bytes_slice(&format->key_bytes);
    format->value = cli_bytes_slice(&format->value_bytes);
    return next;
}
