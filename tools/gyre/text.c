/* text.c - bytes as text and back: numbers, sizes, hexadecimal, escapes of TSV, JSON, mdb_dump. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "tools/gyre/cli.h"

void
cli_bytes_reserve(struct cli_bytes *bytes, size_t more)
{
    if (more > bytes->capacity - bytes->size) {
        const size_t wanted = bytes->size + more;

        bytes->capacity = bytes->capacity < 64 ? 64 : bytes->capacity;
        while (bytes->capacity < wanted) {
            bytes->capacity *= 2;
        }
        bytes->data = cli_realloc(bytes->data, bytes->capacity);
    }
}

void
cli_bytes_add(struct cli_bytes *bytes, const void *data, size_t size)
{
    cli_bytes_reserve(bytes, size);
    if (size > 0) {
        memcpy(bytes->data + bytes->size, data, size);
        bytes->size += size;
    }
}

void
cli_bytes_free(struct cli_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct cli_bytes){0};
}

struct gyre_slice
cli_bytes_slice(const struct cli_bytes *bytes)
{
    return gyre_slice(bytes->data, bytes->size);
}

/* ---- Numbers ---- */

static bool
parse_digits(const char *text, uint64_t *ret_count, const char **ret_end)
{
    char *end;

    if (!isdigit((unsigned char)text[0])) {
        return false; /* strtoull would take blanks and a sign */
    }
    errno = 0;
    *ret_count = strtoull(text, &end, 10);
    *ret_end = end;
    return errno == 0;
}

bool
cli_parse_count(const char *text, uint64_t *ret_count)
{
    uint64_t count;
    const char *end;

    if (!parse_digits(text, &count, &end) || *end != '\0') {
        return false;
    }
    *ret_count = count;
    return true;
}

bool
cli_parse_size(const char *text, uint64_t *ret_size)
{
    static const char units[] = "KMGT";
    uint64_t size;
    const char *end;

    if (!parse_digits(text, &size, &end)) {
        return false;
    }
    if (*end != '\0') {
        const char *unit = strchr(units, toupper((unsigned char)*end));
        const unsigned shift = unit != NULL ? 10u * (unsigned)(unit - units + 1) : 0u;

        if (unit == NULL || size > UINT64_MAX >> shift) {
            return false;
        }
        if (end[1] != '\0' && strcmp(end + 1, "iB") != 0) {
            return false;
        }
        size <<= shift;
    }
    *ret_size = size;
    return true;
}

const char *
cli_size_text(uint64_t size, char *buffer, size_t capacity)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)size;
    int unit = -1;

    while (value >= 1024 && unit < 3) {
        value /= 1024;
        unit++;
    }
    if (unit < 0) {
        (void)snprintf(buffer, capacity, "%llu B", (unsigned long long)size);
    } else {
        (void)snprintf(buffer, capacity, "%.1f %s", value, units[unit]);
    }
    return buffer;
}

/* ---- Hexadecimal ---- */

int
cli_unhex_digit(int c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

bool
cli_unhex(struct gyre_slice text, struct cli_bytes *ret_bytes)
{
    const uint8_t *source = text.data;

    ret_bytes->size = 0;
    if (text.size % 2 != 0) {
        return false;
    }
    cli_bytes_reserve(ret_bytes, text.size / 2 + 1); /* 1: data is never NULL, also for no digit */
    for (size_t i = 0; i < text.size; i += 2) {
        const int high = cli_unhex_digit(source[i]);
        const int low = cli_unhex_digit(source[i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        ret_bytes->data[ret_bytes->size++] = (uint8_t)(high * 16 + low);
    }
    return true;
}

int
cli_word_bytes(const struct cli *cli, const char *what, const char *word,
               struct cli_bytes *ret_bytes)
{
    if (cli->hex && !cli_unhex(gyre_str(word), ret_bytes)) {
        return cli_usage(cli, "%s %s: with --hex it is an even number of digits 0-9 a-f", what,
                         word);
    }
    if (!cli->hex) {
        ret_bytes->size = 0;
        cli_bytes_reserve(ret_bytes, 1);
        cli_bytes_add(ret_bytes, word, strlen(word));
    }
    return CLI_GO_ON;
}

int
cli_word_key(const struct cli *cli, const char *word, struct cli_bytes *ret_key)
{
    const int code = cli_word_bytes(cli, "key", word, ret_key);

    if (code == CLI_GO_ON && ret_key->size == 0) {
        return cli_usage(cli, "the key is empty; a key has 1 to %u bytes", GYRE_KEY_SIZE_MAX);
    }
    if (code == CLI_GO_ON && ret_key->size > GYRE_KEY_SIZE_MAX) {
        return cli_usage(cli, "the key has %zu bytes; a key has 1 to %u", ret_key->size,
                         GYRE_KEY_SIZE_MAX);
    }
    return code;
}

/* ---- Output ---- */

static const char hex_digits[] = "0123456789abcdef";

void
cli_put_raw(FILE *out, struct gyre_slice bytes)
{
    if (bytes.size > 0) {
        (void)fwrite(bytes.data, 1, bytes.size, out); /* ferror() is asked at the end */
    }
}

static void
put_byte_hex(FILE *out, unsigned byte)
{
    (void)putc_unlocked(hex_digits[byte >> 4], out);
    (void)putc_unlocked(hex_digits[byte & 15], out);
}

void
cli_put_hex(FILE *out, struct gyre_slice bytes)
{
    const uint8_t *p = bytes.data;

    for (size_t i = 0; i < bytes.size; i++) {
        put_byte_hex(out, p[i]);
    }
}

/* Bytes below blank and DEL are escaped too, so that a value cannot steer a terminal; bytes from
 * 128 on are left, since they are mostly UTF-8. */
void
cli_put_tsv(FILE *out, struct gyre_slice bytes)
{
    const uint8_t *p = bytes.data;

    for (size_t i = 0; i < bytes.size; i++) {
        switch (p[i]) {
        case '\t':
            (void)fputs("\\t", out);
            break;
        case '\n':
            (void)fputs("\\n", out);
            break;
        case '\r':
            (void)fputs("\\r", out);
            break;
        case '\\':
            (void)fputs("\\\\", out);
            break;
        default:
            if (p[i] < 0x20 || p[i] == 0x7f) {
                (void)fputs("\\x", out);
                put_byte_hex(out, p[i]);
            } else {
                (void)putc_unlocked(p[i], out);
            }
        }
    }
}

/* A backslash is \5c and not two of them: mdb_load up to 0.9.24 gets all but the first of those in
 * a line wrong. */
void
cli_put_mdb_print(FILE *out, struct gyre_slice bytes)
{
    const uint8_t *p = bytes.data;

    for (size_t i = 0; i < bytes.size; i++) {
        if (p[i] >= 0x20 && p[i] < 0x7f && p[i] != '\\') {
            (void)putc_unlocked(p[i], out);
        } else {
            (void)putc_unlocked('\\', out);
            put_byte_hex(out, p[i]);
        }
    }
}

/* Length of the UTF-8 sequence at p, 0 if there is none: RFC 3629, so no surrogates, nothing
 * over U+10FFFF, nothing in more bytes than it needs. */
static size_t
utf8_length(const uint8_t *p, size_t left)
{
    const unsigned first = p[0];
    size_t length;
    unsigned second_min = 0x80, second_max = 0xbf;

    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xc2 && first <= 0xdf) {
        length = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        length = 3;
        second_min = first == 0xe0 ? 0xa0 : 0x80;
        second_max = first == 0xed ? 0x9f : 0xbf;
    } else if (first >= 0xf0 && first <= 0xf4) {
        length = 4;
        second_min = first == 0xf0 ? 0x90 : 0x80;
        second_max = first == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    if (left < length || p[1] < second_min || p[1] > second_max) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf) {
            return 0;
        }
    }
    return length;
}

bool
cli_is_utf8(struct gyre_slice bytes)
{
    const uint8_t *p = bytes.data;
    size_t i = 0;

    while (i < bytes.size) {
        const size_t length = utf8_length(p + i, bytes.size - i);

        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}

static void
put_json_string(FILE *out, struct gyre_slice bytes)
{
    const uint8_t *p = bytes.data;

    (void)putc_unlocked('"', out);
    for (size_t i = 0; i < bytes.size; i++) {
        if (p[i] == '"' || p[i] == '\\') {
            (void)putc_unlocked('\\', out);
            (void)putc_unlocked(p[i], out);
        } else if (p[i] == '\n') {
            (void)fputs("\\n", out);
        } else if (p[i] == '\t') {
            (void)fputs("\\t", out);
        } else if (p[i] < 0x20 || p[i] == 0x7f) {
            (void)fputs("\\u00", out);
            put_byte_hex(out, p[i]);
        } else {
            (void)putc_unlocked(p[i], out);
        }
    }
    (void)putc_unlocked('"', out);
}

void
cli_put_json_bytes(FILE *out, struct gyre_slice bytes, bool as_hex)
{
    if (!as_hex && cli_is_utf8(bytes)) {
        put_json_string(out, bytes);
    } else {
        (void)fputs("{\"hex\":\"", out);
        cli_put_hex(out, bytes);
        (void)fputs("\"}", out);
    }
}

/* A path or a message: bytes that are no UTF-8 become U+FFFD, so that the line stays JSON. */
void
cli_put_json_text(FILE *out, const char *text)
{
    const struct gyre_slice bytes = gyre_str(text);
    struct cli_bytes clean = {0};
    const uint8_t *p = bytes.data;
    size_t i = 0;

    while (i < bytes.size) {
        const size_t length = utf8_length(p + i, bytes.size - i);

        cli_bytes_add(&clean, length > 0 ? (const void *)(p + i) : "\xef\xbf\xbd",
                      length > 0 ? length : 3);
        i += length > 0 ? length : 1;
    }
    put_json_string(out, cli_bytes_slice(&clean));
    cli_bytes_free(&clean);
}
