/* maintain.c - verify, salvage, compact, checkpoint: long work on a whole store. */
#include "tools/gyre/cli.h"

const struct cli_command cli_verify_command = {
    .name = "verify",
    .usage = "STORE",
    .summary = "read and check every block of a store",
    .details =
        "Changes nothing. Prints a line for every damaged place, then what was read; exits with\n"
        "3 when there is damage.\n",
    .words_min = 1,
    .words_max = 1,
    .flags = CLI_HAS_JSON};

const struct cli_command cli_salvage_command = {
    .name = "salvage",
    .usage = "SOURCE TARGET",
    .summary = "copy what is readable of a damaged store into a new one",
    .details =
        "SOURCE is not changed and must not be open; TARGET must not exist. Works without a\n"
        "manifest: it goes by the tables and logs that are there, so a key that was deleted\n"
        "shortly before the damage may come back. Damage that was met is listed and is no\n"
        "failure: exits with 0.\n",
    .words_min = 2,
    .words_max = 2,
    .flags = CLI_HAS_JSON};

const struct cli_command cli_compact_command = {
    .name = "compact",
    .usage = "STORE [--from K] [--to K]",
    .summary = "compact a store, or a range of its keys, down to the last level",
    .details =
        "Drops what was overwritten or deleted. Both bounds are inclusive. It can be ended at\n"
        "any moment; what is done stays.\n",
    .words_min = 1,
    .words_max = 1,
    .flags = CLI_HAS_HEX};

const struct cli_command cli_checkpoint_command = {
    .name = "checkpoint",
    .usage = "STORE TARGET",
    .summary = "make a second store of the same content, by hard links",
    .details = "TARGET must not exist and must be on the same file system. The two stores are\n"
               "independent from then on.\n",
    .words_min = 2,
    .words_max = 2,
    .flags = 0};

/* ---- Damage ---- */

/* `progress` comes first: the library has one argument for both callbacks. */
struct check {
    struct cli_progress progress;
    const struct cli *cli;
    uint64_t damage_count;
};

static void
print_damage(void *arg, const struct gyre_error *damage)
{
    struct check *check = arg;
    const char *text = damage->text[0] != '\0' ? damage->text : gyre_status_text(damage->status);

    check->damage_count++;
    cli_progress_finish(&check->progress);
    if (check->cli->json) {
        (void)fputs("{\"damage\":{\"status\":", stdout);
        cli_put_json_text(stdout, gyre_status_name(damage->status));
        (void)fputs(",\"file\":", stdout);
        cli_put_json_text(stdout, damage->file);
        if (damage->offset != UINT64_MAX) {
            (void)printf(",\"offset\":%llu", (unsigned long long)damage->offset);
        }
        (void)fputs(",\"text\":", stdout);
        cli_put_json_text(stdout, text);
        (void)fputs("}}\n", stdout);
    } else if (damage->offset != UINT64_MAX) {
        (void)printf("damaged: %s, offset %llu: %s\n", damage->file,
                     (unsigned long long)damage->offset, text);
    } else {
        (void)printf("damaged: %s: %s\n", damage->file, text);
    }
}

static bool
check_progress(void *arg, uint64_t done, uint64_t total)
{
    struct check *check = arg;

    return cli_progress_callback(&check->progress, done, total);
}

/* The code of an ended call: a signal made it CANCELED. */
static int
code_of(const struct cli *cli, gyre_status status)
{
    if (status == GYRE_OK) {
        return CLI_OK;
    }
    if (status == GYRE_CANCELED && cli_signal_taken() != 0) {
        cli_say(cli, "stopped by a signal");
        return CLI_SIGNAL + cli_signal_taken();
    }
    return cli_fail_status(cli, status);
}

/* ---- verify ---- */

static void
print_verify_result(const struct cli *cli, const struct gyre_verify_result *result)
{
    char size[32];

    if (cli->json) {
        (void)printf(
            "{\"tables\":%llu,\"blocks\":%llu,\"entries\":%llu,\"bytes\":%llu,"
            "\"damaged\":%llu}\n",
            (unsigned long long)result->table_count, (unsigned long long)result->block_count,
            (unsigned long long)result->entry_count, (unsigned long long)result->byte_count,
            (unsigned long long)result->damage_count);
        return;
    }
    (void)printf("%s: %llu tables, %llu blocks, %llu entries, %s read, %llu damaged places\n",
                 result->damage_count == 0 ? "good" : "damaged",
                 (unsigned long long)result->table_count, (unsigned long long)result->block_count,
                 (unsigned long long)result->entry_count,
                 cli_size_text(result->byte_count, size, sizeof(size)),
                 (unsigned long long)result->damage_count);
}

int
cli_verify_run(struct cli *cli, int count, char **words)
{
    struct gyre_options options = {.flags = GYRE_OPEN_READ_ONLY};
    struct gyre_verify_result result = {0};
    struct check check = {.cli = cli};
    int code = cli_parse(cli, &cli_verify_command, count, words, NULL);

    if (code == CLI_GO_ON) {
        code = cli_open(cli, &options);
    }
    if (code != CLI_GO_ON) {
        return code;
    }
    (void)cli_signals_open();
    cli_progress_start(&check.progress, cli, "verified", NULL);
    const gyre_status status = gyre_verify(cli->db, print_damage, check_progress, &check, &result);
    cli_progress_finish(&check.progress);
    if (status == GYRE_OK) {
        print_verify_result(cli, &result);
        code = CLI_OK;
    } else if (status == GYRE_CORRUPT && check.damage_count > 0) {
        /* the call has no result to write when it fails: count what was told */
        result.damage_count = result.damage_count > 0 ? result.damage_count : check.damage_count;
        print_verify_result(cli, &result);
        cli_say(cli,
                "%llu damaged places; what is readable can be copied: "
                "gyre salvage %s NEW_STORE",
                (unsigned long long)check.damage_count, cli->store);
        code = CLI_DAMAGED;
    } else {
        code = code_of(cli, status);
    }
    return cli_close(cli, cli_finish_output(cli, code));
}

/* ---- salvage ---- */

int
cli_salvage_run(struct cli *cli, int count, char **words)
{
    struct gyre_options options = {0};
    struct gyre_salvage_result result = {0};
    struct check check = {.cli = cli};
    int code = cli_parse(cli, &cli_salvage_command, count, words, NULL);

    if (code == CLI_GO_ON) {
        code = cli_fill_options(cli, &options);
    }
    if (code == CLI_GO_ON) {
        code = cli_open_loop(cli);
    }
    if (code != CLI_GO_ON) {
        return code;
    }
    (void)cli_signals_open();
    cli_progress_start(&check.progress, cli, "salvaged", NULL);
    const gyre_status status = gyre_salvage(cli->loop, cli->words[0], cli->words[1], &options,
                                            print_damage, check_progress, &check, &result);
    cli_progress_finish(&check.progress);
    code = code_of(cli, status);
    if (code == CLI_OK) {
        (void)printf(cli->json ? "{\"keys\":%llu,\"entries\":%llu,\"tables\":%llu,"
                                 "\"log_records\":%llu,\"damaged\":%llu}\n"
                               : "%llu keys from %llu entries of %llu tables and %llu log records; "
                                 "%llu damaged places\n",
                     (unsigned long long)result.key_count, (unsigned long long)result.entry_count,
                     (unsigned long long)result.table_count,
                     (unsigned long long)result.log_record_count,
                     (unsigned long long)result.damage_count);
    }
    return cli_close(cli, cli_finish_output(cli, code));
}

/* ---- compact ---- */

int
cli_compact_run(struct cli *cli, int count, char **words)
{
    const char *from = NULL, *to = NULL;
    const struct cli_option own[] = {{"from", "K", "from this key on", CLI_TEXT, &from},
                                     {"to", "K", "up to this key, and with it", CLI_TEXT, &to},
                                     {0}};
    struct cli_bytes from_bytes = {0}, to_bytes = {0};
    struct gyre_options options = {0};
    struct check check = {.cli = cli};
    int code = cli_parse(cli, &cli_compact_command, count, words, own);

    if (code == CLI_GO_ON && from != NULL) {
        code = cli_word_key(cli, from, &from_bytes);
    }
    if (code == CLI_GO_ON && to != NULL) {
        code = cli_word_key(cli, to, &to_bytes);
    }
    if (code == CLI_GO_ON) {
        code = cli_open(cli, &options);
    }
    if (code == CLI_GO_ON) {
        (void)cli_signals_open();
        cli_progress_start(&check.progress, cli, "compacted", NULL);
        const gyre_status status =
            gyre_compact_range(cli->db, cli_bytes_slice(&from_bytes), cli_bytes_slice(&to_bytes),
                               check_progress, &check);
        cli_progress_finish(&check.progress);
        code = cli_close(cli, code_of(cli, status));
    }
    cli_bytes_free(&from_bytes);
    cli_bytes_free(&to_bytes);
    return code;
}

/* ---- checkpoint ---- */

int
cli_checkpoint_run(struct cli *cli, int count, char **words)
{
    struct gyre_options options = {0};
    int code = cli_parse(cli, &cli_checkpoint_command, count, words, NULL);

    if (code == CLI_GO_ON) {
        code = cli_open(cli, &options);
    }
    if (code == CLI_GO_ON) {
        const gyre_status status = gyre_checkpoint(cli->db, cli->words[1]);

        code = cli_close(cli, status == GYRE_OK ? CLI_OK : cli_fail_status(cli, status));
    }
    return code;
}
