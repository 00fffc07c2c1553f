/* load.c - load: records of a file into a store, in batches, with a count of what is acknowledged.
 *
 *   L1  A line "acknowledged N records" is printed only after gyre_write has returned for the N-th
 *       record: what it says survives a kill (and with --durability durable a power cut).
 *   L2  Records are written in the order of the input, so that the acknowledged ones are its
 *       beginning, also when the load ends early.
 */
#include <inttypes.h>

#include "tools/gyre/input.h"

const struct cli_command cli_load_command = {
    .name = "load",
    .usage = "STORE [FILE] [--format mdb|tsv|paragraphs] [options]",
    .summary = "put the records of a file into a store",
    .details =
        "Reads standard input when FILE is - or missing; makes the store when there is none.\n"
        "A key that comes again replaces the value.\n\n"
        "  mdb         the text that mdb_dump writes (the default)\n"
        "  tsv         lines KEY<tab>VALUE, with \\t \\n \\r \\\\ \\xHH for bytes that need it\n"
        "  paragraphs  records parted by blank lines; --key-field names the field with the\n"
        "              key; the value is the record as it stands, without its last line end\n\n"
        "SIGINT ends it after the batch in work; what it reports as acknowledged is there.\n",
    .words_min = 1,
    .words_max = 2,
    .flags = CLI_HAS_PROGRESS};

#define BATCH_BYTES_MAX (1u << 20) /* a batch is also written when it is so large */
#define ROOM_TRIES 100u            /* two seconds in all */
#define ROOM_PAUSE_NS 20000000u
#define SKIPPED_SHOWN_MAX 10u /* more bad records than that are only counted */

struct load {
    struct cli *cli;
    struct cli_format format;
    struct cli_progress progress;
    gyre_batch *batch;
    uint64_t batch_count_max;
    uint64_t acknowledged, skipped;
    bool skip_bad, print_stats;
    uint32_t durability;
    int code; /* why it ends; CLI_GO_ON while it goes on */
};

/* Under a small --memory a batch can find no room until a flush has given some back. Nothing was
 * changed then, so it may be tried again; the sleep lets the store's own work go on. */
static gyre_status
write_batch(struct load *load)
{
    gyre_status status = gyre_write(load->cli->db, NULL, load->batch);

    for (unsigned i = 0; i < ROOM_TRIES && status == GYRE_NO_MEMORY; i++) {
        (void)gyre_sleep(load->cli->loop, ROOM_PAUSE_NS);
        status = gyre_write(load->cli->db, NULL, load->batch);
    }
    return status;
}

/* Write what the batch holds. False: it failed, or a signal came. */
static bool
commit(struct load *load)
{
    const uint32_t count = gyre_batch_count(load->batch);

    if (count > 0 && load->code == CLI_GO_ON) {
        const gyre_status status = write_batch(load);

        if (status != GYRE_OK) {
            cli_progress_finish(&load->progress);
            load->code = cli_fail_status(load->cli, status);
            return false;
        }
        gyre_batch_clear(load->batch);
        load->acknowledged += count;
        cli_progress_update(&load->progress, load->acknowledged, load->format.reader.consumed,
                            load->format.reader.total);
    }
    return load->code == CLI_GO_ON && cli_signal_taken() == 0;
}

/* The input is silent. While we wait for it nothing drives the loop, so what BUFFERED has staged
 * would stay off the device longer than its window. */
static bool
commit_when_idle(void *arg)
{
    struct load *load = arg;

    if (!commit(load)) {
        return false;
    }
    if (load->durability == GYRE_BUFFERED) {
        const gyre_status status = gyre_sync(load->cli->db);

        if (status != GYRE_OK) {
            cli_progress_finish(&load->progress);
            load->code = cli_fail_status(load->cli, status);
        }
    }
    return load->code == CLI_GO_ON;
}

/* A record that cannot be stored: the end of the load, or with --skip-bad one more skipped. */
static bool
refuse(struct load *load)
{
    const char *message = load->format.reader.message;

    if (load->skip_bad) {
        load->skipped++;
        if (!load->cli->quiet && load->skipped <= SKIPPED_SHOWN_MAX) {
            cli_say(load->cli, "skipped: %s", message);
        }
        return true;
    }
    (void)commit(load); /* so that all before this line is in the store */
    if (load->code == CLI_GO_ON) {
        cli_progress_finish(&load->progress);
        cli_say(load->cli, "%s (--skip-bad goes on without it)", message);
        load->code = CLI_BAD_INPUT;
    }
    return false;
}

static bool
add_record(struct load *load)
{
    struct cli_format *format = &load->format;
    gyre_status status;

    if (format->key.size == 0 || format->key.size > GYRE_KEY_SIZE_MAX) {
        (void)cli_format_bad(format, CLI_NEXT_BAD, "the key has %zu bytes; a key has 1 to %u",
                             format->key.size, GYRE_KEY_SIZE_MAX);
        return refuse(load);
    }
    if (format->value.size > GYRE_VALUE_SIZE_MAX) {
        (void)cli_format_bad(format, CLI_NEXT_BAD, "the value has %zu bytes; it may have %u",
                             format->value.size, GYRE_VALUE_SIZE_MAX);
        return refuse(load);
    }
    if (gyre_batch_size(load->batch) + format->value.size > BATCH_BYTES_MAX && !commit(load)) {
        return false;
    }
    status = gyre_batch_put(load->batch, format->key, format->value);
    if (status != GYRE_OK) {
        load->code =
            cli_fail(load->cli, "line %" PRIu64 ": %s", format->line, gyre_status_text(status));
        return false;
    }
    return gyre_batch_count(load->batch) < load->batch_count_max || commit(load);
}

static void
load_records(struct load *load)
{
    bool is_going_on = true;

    while (is_going_on) {
        switch (load->format.next(&load->format)) {
        case CLI_NEXT_ITEM:
            is_going_on = add_record(load);
            break;
        case CLI_NEXT_BAD:
            is_going_on = refuse(load);
            break;
        case CLI_NEXT_FATAL:
            load->skip_bad = false; /* there is nothing to go on with */
            (void)commit(load);
            if (load->code == CLI_GO_ON) {
                cli_progress_finish(&load->progress);
                cli_say(load->cli, "%s", load->format.reader.message);
                load->code = CLI_BAD_INPUT;
            }
            is_going_on = false;
            break;
        case CLI_NEXT_END:
        case CLI_NEXT_STOPPED:
            is_going_on = false;
            break;
        }
    }
    (void)commit(load); /* also after a signal: what was read is finished */
}

static void
report(struct load *load)
{
    const double seconds = (double)(cli_now_ns() - load->progress.started_ns) / 1e9;
    char skipped[48] = "";

    if (load->code == CLI_GO_ON && cli_signal_taken() != 0) {
        load->code = CLI_SIGNAL + cli_signal_taken();
    }
    cli_progress_finish(&load->progress);
    if (load->cli->quiet && load->code == CLI_GO_ON) {
        return;
    }
    if (load->skipped > 0) {
        (void)snprintf(skipped, sizeof(skipped), ", skipped %" PRIu64, load->skipped);
    }
    if (load->code == CLI_GO_ON) {
        (void)fprintf(stderr, "loaded %" PRIu64 " records in %.2f s%s\n", load->acknowledged,
                      seconds, skipped);
    } else {
        (void)fprintf(stderr, "stopped after %" PRIu64 " acknowledged records%s\n",
                      load->acknowledged, skipped);
    }
}

/* The store is open: load, and make sure of what NOWAL has only in memory. */
static int
run_load(struct load *load)
{
    load->batch = gyre_batch_make();
    if (load->batch == NULL) {
        return cli_fail(load->cli, "no memory");
    }
    load->code = CLI_GO_ON;
    load->format.reader.signal_fd = cli_signals_open();
    load->format.reader.idle = commit_when_idle;
    load->format.reader.idle_arg = load;
    cli_progress_start(&load->progress, load->cli,
                       load->durability == GYRE_NOWAL ? "took" : "acknowledged", "records");
    load_records(load);
    if (load->durability == GYRE_NOWAL && load->acknowledged > 0) {
        const gyre_status status = gyre_flush(load->cli->db);

        if (status != GYRE_OK) {
            load->code = cli_fail_status(load->cli, status);
        }
    }
    gyre_batch_free(load->batch);
    report(load);
    if (load->print_stats && load->code == CLI_GO_ON) {
        load->code = cli_stat_print(load->cli);
        load->code = load->code == CLI_OK ? CLI_GO_ON : load->code;
    }
    return load->code == CLI_GO_ON ? CLI_OK : load->code;
}

int
cli_load_run(struct cli *cli, int count, char **words)
{
    struct load load = {.cli = cli, .batch_count_max = 100};
    const char *format = NULL, *key_field = NULL, *durability = NULL;
    bool no_create = false;
    const struct cli_option own[] = {
        {"format", "NAME", "mdb (default), tsv or paragraphs", CLI_TEXT, &format},
        {"key-field", "NAME", "paragraphs: the field that holds the key", CLI_TEXT, &key_field},
        {"batch", "N", "records in one atomic batch, and per sync (default 100)", CLI_COUNT,
         &load.batch_count_max},
        {"durability", "CLASS",
         "durable (default): acknowledged is on the device; buffered: survives\n"
         "                         the process; nowal: only the end of the load is durable",
         CLI_TEXT, &durability},
        {"skip-bad", NULL, "count bad records and go on", CLI_FLAG, &load.skip_bad},
        {"no-create", NULL, "fail when there is no store", CLI_FLAG, &no_create},
        {"stats", NULL, "print the statistics at the end, as gyre stat does", CLI_FLAG,
         &load.print_stats},
        {0}};
    struct gyre_options options = {0};
    int code = cli_parse(cli, &cli_load_command, count, words, own);

    if (code == CLI_GO_ON) {
        code = cli_format_choose(cli, &load.format, format, key_field);
    }
    if (code == CLI_GO_ON) {
        code = cli_parse_durability(cli, durability, true, &load.durability);
    }
    if (code == CLI_GO_ON &&
        (load.batch_count_max == 0 || load.batch_count_max > GYRE_BATCH_COUNT_MAX)) {
        code = cli_usage(cli, "--batch: 1 to %u", GYRE_BATCH_COUNT_MAX);
    }
    if (code != CLI_GO_ON) {
        return code;
    }
    code = cli_reader_open(cli, &load.format.reader, cli->words[1]);
    if (code == CLI_GO_ON) {
        options.flags = no_create ? 0 : GYRE_OPEN_CREATE;
        options.durability = load.durability;
        code = cli_open(cli, &options);
        if (code == CLI_GO_ON) {
            load.durability = options.durability; /* --options may have changed it */
            code = cli_close(cli, run_load(&load));
        }
        cli_reader_close(&load.format.reader);
    }
    cli_bytes_free(&load.format.key_bytes);
    cli_bytes_free(&load.format.value_bytes);
    return code;
}
