/* scan.c - scan: keys and values of a range, in order, for people and scripts. */
#include "tools/gyre/cli.h"

#include <stdlib.h>

const struct cli_command cli_scan_command = {
    .name = "scan",
    .usage = "STORE [--prefix P] [--from K] [--to K] [--reverse] [--limit N] [--resume TOKEN]",
    .summary = "print keys and values in order",
    .details =
        "A line is KEY<tab>VALUE. In both, tab, line feed, carriage return, backslash and other\n"
        "control bytes are written \\t \\n \\r \\\\ \\xHH, as in --format tsv of load and dump.\n"
        "With --json a line is {\"key\":K,\"value\":V}: strings where the bytes are UTF-8, else\n"
        "(and always with --hex) {\"hex\":\"...\"}. --from is inclusive, --to is not.\n"
        "With a --max option, --token or --resume a scan that stops before its end says where to\n"
        "go on: a token for --resume, to be given with the same range and direction; on standard\n"
        "error, or with --json as a last line {\"stopped\":WHY,\"token\":T} of the output.\n",
    .words_min = 1,
    .words_max = 1,
    .flags = CLI_HAS_HEX | CLI_HAS_JSON};

#define ROWS_AT_ONCE 256u
#define BUFFER_SIZE (256u << 10) /* grows where a row is larger */

struct scan {
    const char *prefix, *from, *to, *resume; /* words */
    struct cli_bytes prefix_bytes, from_bytes, to_bytes, place;
    uint64_t limit, max_bytes, max_ms, max_skips;
    bool is_reverse, keys_only, count_only, has_token;
};

static void
print_row(const struct cli *cli, const struct scan *scan, const struct gyre_row *row)
{
    const struct gyre_slice key = row->key, value = row->value;
    void (*put)(FILE *, struct gyre_slice) = cli->hex ? cli_put_hex : cli_put_tsv;

    if (cli->json) {
        (void)fputs("{\"key\":", stdout);
        cli_put_json_bytes(stdout, key, cli->hex);
        if (!scan->keys_only) {
            (void)fputs(",\"value\":", stdout);
            cli_put_json_bytes(stdout, value, cli->hex);
        }
        (void)fputs("}\n", stdout);
        return;
    }
    put(stdout, key);
    if (!scan->keys_only) {
        (void)fputs("\t", stdout);
        put(stdout, value);
    }
    (void)fputs("\n", stdout);
}

static uint64_t
left_of(uint64_t max, uint64_t used)
{
    return used < max ? max - used : 0;
}

/* What is left of each limit, for the next call; false: one of them is used up. */
static bool
set_limits(const struct scan *scan, struct gyre_scan *call, uint64_t rows, uint64_t bytes,
           uint64_t skipped, uint64_t ns)
{
    const uint64_t rows_left = left_of(scan->limit, rows);

    call->rows_max = rows_left < ROWS_AT_ONCE ? (size_t)rows_left : ROWS_AT_ONCE;
    call->bytes_max = scan->max_bytes != UINT64_MAX ? left_of(scan->max_bytes, bytes) : 0;
    call->skips_max = scan->max_skips != UINT64_MAX ? left_of(scan->max_skips, skipped) : 0;
    call->time_ns = scan->max_ms != UINT64_MAX ? left_of(scan->max_ms * 1000000u, ns) : 0;
    if (rows_left == 0) {
        call->stopped = GYRE_SCAN_AT_ROWS;
    } else if (scan->max_bytes != UINT64_MAX && call->bytes_max == 0) {
        call->stopped = GYRE_SCAN_AT_BYTES;
    } else if (scan->max_skips != UINT64_MAX && call->skips_max == 0) {
        call->stopped = GYRE_SCAN_AT_SKIPS;
    } else if (scan->max_ms != UINT64_MAX && call->time_ns == 0) {
        call->stopped = GYRE_SCAN_AT_TIME;
    } else {
        return true;
    }
    return false;
}

/* The place is kept, since the buffer is used again. */
static void
go_on_from(struct scan *scan, struct gyre_scan *call)
{
    scan->place.size = 0;
    cli_bytes_add(&scan->place, call->next.data, call->next.size);
    *(scan->is_reverse ? &call->upper : &call->from) = cli_bytes_slice(&scan->place);
}

static void
print_stop(const struct cli *cli, const struct scan *scan, const struct gyre_scan *call)
{
    static const char *const why[] = {"end", "rows", "bytes", "buffer", "time", "skips"};
    FILE *out = cli->json ? stdout : stderr;

    if (!scan->has_token || call->stopped == GYRE_SCAN_AT_END || scan->place.size == 0) {
        return;
    }
    (void)fprintf(out, cli->json ? "{\"stopped\":\"%s\",\"token\":\"" : "stopped by %s; --resume ",
                  why[call->stopped]);
    cli_put_hex(out, cli_bytes_slice(&scan->place));
    (void)fputs(cli->json ? "\"}\n" : "\n", out);
}

static int
walk(struct cli *cli, struct scan *scan, struct gyre_scan *call)
{
    const uint64_t begun_ns = gyre_now(cli->loop);
    uint64_t rows = 0, bytes = 0, skipped = 0;

    while (set_limits(scan, call, rows, bytes, skipped, gyre_now(cli->loop) - begun_ns)) {
        const gyre_status status = gyre_scan(cli->db, call);

        if (status == GYRE_INVALID && call->buffer_needed > call->buffer_size) {
            call->buffer_size = call->buffer_needed;
            call->buffer = cli_realloc(call->buffer, call->buffer_size);
            continue;
        }
        if (status != GYRE_OK) {
            return cli_fail_status(cli, status);
        }
        for (size_t i = 0; !scan->count_only && i < call->row_count; i++) {
            print_row(cli, scan, &call->rows[i]);
        }
        rows += call->row_count;
        bytes += call->bytes;
        skipped += call->skipped;
        if (call->stopped == GYRE_SCAN_AT_END || ferror(stdout)) {
            break; /* nobody reads on: said by cli_finish_output */
        }
        go_on_from(scan, call);
        if (call->stopped >= GYRE_SCAN_AT_TIME ||
            (call->stopped == GYRE_SCAN_AT_BYTES && scan->max_bytes != UINT64_MAX)) {
            break;
        }
    }
    if (scan->count_only) {
        (void)printf(cli->json ? "{\"count\":%llu}\n" : "%llu\n", (unsigned long long)rows);
    }
    print_stop(cli, scan, call);
    return CLI_OK;
}

static int
run_scan(struct cli *cli, struct scan *scan)
{
    static struct gyre_row rows[ROWS_AT_ONCE];
    struct gyre_scan call = GYRE_SCAN(.rows = rows, .buffer_size = BUFFER_SIZE);

    call.buffer = cli_realloc(NULL, BUFFER_SIZE);
    call.flags = scan->is_reverse ? GYRE_SCAN_REVERSE : 0;
    call.prefix = scan->prefix != NULL ? cli_bytes_slice(&scan->prefix_bytes) : call.prefix;
    call.from = scan->from != NULL ? cli_bytes_slice(&scan->from_bytes) : call.from;
    call.upper = scan->to != NULL ? cli_bytes_slice(&scan->to_bytes) : call.upper;
    if (scan->resume != NULL) {
        *(scan->is_reverse ? &call.upper : &call.from) = cli_bytes_slice(&scan->place);
    }
    const int code = cli_finish_output(cli, walk(cli, scan, &call));
    free(call.buffer);
    return code;
}

static int
decode_bound(const struct cli *cli, const char *what, const char *word, struct cli_bytes *ret_bytes)
{
    if (word == NULL) {
        return CLI_GO_ON;
    }
    const int code = cli_word_bytes(cli, what, word, ret_bytes);
    if (code == CLI_GO_ON && ret_bytes->size > GYRE_KEY_SIZE_MAX) {
        return cli_usage(cli, "%s has %zu bytes; a key has at most %u", what, ret_bytes->size,
                         GYRE_KEY_SIZE_MAX);
    }
    return code;
}

/* It is said as hexadecimal digits, whatever the keys are said as. */
static int
decode_token(const struct cli *cli, struct scan *scan)
{
    if (scan->resume == NULL) {
        return CLI_GO_ON;
    }
    if (!cli_unhex(gyre_str(scan->resume), &scan->place) || scan->place.size == 0 ||
        scan->place.size > GYRE_KEY_SIZE_MAX + 1) {
        return cli_usage(cli, "--resume %s: that is no token of a scan", scan->resume);
    }
    return CLI_GO_ON;
}

int
cli_scan_run(struct cli *cli, int count, char **words)
{
    struct scan scan = {.limit = UINT64_MAX,
                        .max_bytes = UINT64_MAX,
                        .max_ms = UINT64_MAX,
                        .max_skips = UINT64_MAX};
    const struct cli_option own[] = {
        {"prefix", "P", "only keys that start with P", CLI_TEXT, &scan.prefix},
        {"from", "K", "only keys from K on", CLI_TEXT, &scan.from},
        {"to", "K", "only keys before K", CLI_TEXT, &scan.to},
        {"reverse", NULL, "from the last key to the first", CLI_FLAG, &scan.is_reverse},
        {"limit", "N", "at most N rows", CLI_COUNT, &scan.limit},
        {"max-bytes", "SIZE", "at most so many bytes of keys and values", CLI_SIZE,
         &scan.max_bytes},
        {"max-ms", "N", "stop after so many milliseconds", CLI_COUNT, &scan.max_ms},
        {"max-skips", "N", "stop when so many deleted or overwritten entries were passed over",
         CLI_COUNT, &scan.max_skips},
        {"token", NULL, "say where to go on, where it stops before the end", CLI_FLAG,
         &scan.has_token},
        {"resume", "TOKEN", "go on where an earlier scan stopped", CLI_TEXT, &scan.resume},
        {"keys-only", NULL, "no values", CLI_FLAG, &scan.keys_only},
        {"count", NULL, "only how many there are", CLI_FLAG, &scan.count_only},
        {0}};
    struct gyre_options options = {.flags = GYRE_OPEN_READ_ONLY};
    int code = cli_parse(cli, &cli_scan_command, count, words, own);

    if (code == CLI_GO_ON) {
        code = decode_bound(cli, "--prefix", scan.prefix, &scan.prefix_bytes);
    }
    if (code == CLI_GO_ON) {
        code = decode_bound(cli, "--from", scan.from, &scan.from_bytes);
    }
    if (code == CLI_GO_ON) {
        code = decode_bound(cli, "--to", scan.to, &scan.to_bytes);
    }
    if (code == CLI_GO_ON) {
        code = decode_token(cli, &scan);
    }
    scan.has_token = scan.has_token || scan.resume != NULL || scan.max_bytes != UINT64_MAX ||
                     scan.max_ms != UINT64_MAX || scan.max_skips != UINT64_MAX;
    if (code == CLI_GO_ON) {
        code = cli_open(cli, &options);
    }
    if (code == CLI_GO_ON) {
        code = cli_close(cli, run_scan(cli, &scan));
    }
    cli_bytes_free(&scan.prefix_bytes);
    cli_bytes_free(&scan.from_bytes);
    cli_bytes_free(&scan.to_bytes);
    cli_bytes_free(&scan.place);
    return code;
}
