/* scan.c - scan: keys and values of a range, in order, for people and scripts. */
#include "tools/gyre/cli.h"

const struct cli_command cli_scan_command = {
    .name = "scan",
    .usage = "STORE [--prefix P] [--from K] [--to K] [--reverse] [--limit N]",
    .summary = "print keys and values in order",
    .details =
        "A line is KEY<tab>VALUE. In both, tab, line feed, carriage return, backslash and other\n"
        "control bytes are written \\t \\n \\r \\\\ \\xHH, as in --format tsv of load and dump.\n"
        "With --json a line is {\"key\":K,\"value\":V}: strings where the bytes are UTF-8, else\n"
        "(and always with --hex) {\"hex\":\"...\"}. --from is inclusive, --to is not.\n",
    .words_min = 1,
    .words_max = 1,
    .flags = CLI_HAS_HEX | CLI_HAS_JSON};

struct scan {
    const char *prefix, *from, *to; /* words */
    struct cli_bytes prefix_bytes, from_bytes, to_bytes;
    uint64_t limit;
    bool is_reverse, keys_only, count_only;
};

static void
print_row(const struct cli *cli, const struct scan *scan, gyre_iterator *it)
{
    const struct gyre_slice key = gyre_iterator_key(it), value = gyre_iterator_value(it);
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

static int
walk(struct cli *cli, const struct scan *scan, gyre_iterator *it)
{
    uint64_t rows = 0;
    gyre_status status = GYRE_NOT_FOUND;

    if (scan->limit > 0) {
        status = scan->is_reverse ? gyre_iterator_last(it) : gyre_iterator_first(it);
    }
    while (status == GYRE_OK) {
        if (!scan->count_only) {
            print_row(cli, scan, it);
        }
        rows++;
        if (rows == scan->limit) {
            break;
        }
        if (ferror(stdout)) {
            break; /* nobody reads on; said by cli_finish_output */
        }
        status = scan->is_reverse ? gyre_iterator_prev(it) : gyre_iterator_next(it);
    }
    if (status != GYRE_OK && status != GYRE_NOT_FOUND) {
        return cli_fail_status(cli, status);
    }
    if (scan->count_only) {
        (void)printf(cli->json ? "{\"count\":%llu}\n" : "%llu\n", (unsigned long long)rows);
    }
    return CLI_OK;
}

static int
run_scan(struct cli *cli, const struct scan *scan)
{
    struct gyre_iterator_options options = {.struct_size = sizeof(options)};
    gyre_iterator *it = NULL;

    options.prefix = scan->prefix != NULL ? cli_bytes_slice(&scan->prefix_bytes) : options.prefix;
    options.lower = scan->from != NULL ? cli_bytes_slice(&scan->from_bytes) : options.lower;
    options.upper = scan->to != NULL ? cli_bytes_slice(&scan->to_bytes) : options.upper;
    const gyre_status status = gyre_iterator_open(cli->db, &options, &it);
    if (status != GYRE_OK) {
        return cli_fail_status(cli, status);
    }
    const int code = cli_finish_output(cli, walk(cli, scan, it));
    gyre_iterator_close(it);
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

int
cli_scan_run(struct cli *cli, int count, char **words)
{
    struct scan scan = {.limit = UINT64_MAX};
    const struct cli_option own[] = {
        {"prefix", "P", "only keys that start with P", CLI_TEXT, &scan.prefix},
        {"from", "K", "only keys from K on", CLI_TEXT, &scan.from},
        {"to", "K", "only keys before K", CLI_TEXT, &scan.to},
        {"reverse", NULL, "from the last key to the first", CLI_FLAG, &scan.is_reverse},
        {"limit", "N", "at most N rows", CLI_COUNT, &scan.limit},
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
        code = cli_open(cli, &options);
    }
    if (code == CLI_GO_ON) {
        code = cli_close(cli, run_scan(cli, &scan));
    }
    cli_bytes_free(&scan.prefix_bytes);
    cli_bytes_free(&scan.from_bytes);
    cli_bytes_free(&scan.to_bytes);
    return code;
}
