/* dump.c - dump: a whole store as text that load, or mdb_load, reads back. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/gyre/cli.h"

const struct cli_command cli_dump_command = {
    .name = "dump",
    .usage = "STORE [FILE] [--format mdb|tsv|paragraphs] [options]",
    .summary = "write all records as text",
    .details =
        "Writes standard output when FILE is - or missing. A FILE appears under its name only\n"
        "when it is whole. The records are those of one moment.\n\n"
        "  mdb         text that mdb_load(1) reads (the default); --print for readable bytes\n"
        "  tsv         lines KEY<tab>VALUE, with \\t \\n \\r \\\\ \\xHH for bytes that need it\n"
        "  paragraphs  the values, parted by blank lines; keys are not written\n",
    .words_min = 1,
    .words_max = 2,
    .flags = CLI_HAS_PROGRESS};

struct dump {
    struct cli *cli;
    const char *path; /* NULL: standard output */
    char *path_new;   /* written, then renamed to path */
    FILE *out;
    uint64_t map_size;
    bool is_print;
    bool (*put)(struct dump *dump, struct gyre_slice key, struct gyre_slice value);
    int code;
};

/* ---- Formats ---- */

static void
put_mdb_line(const struct dump *dump, struct gyre_slice bytes)
{
    (void)putc_unlocked(' ', dump->out);
    if (dump->is_print) {
        cli_put_mdb_print(dump->out, bytes);
    } else {
        cli_put_hex(dump->out, bytes);
    }
    (void)putc_unlocked('\n', dump->out);
}

static bool
put_mdb(struct dump *dump, struct gyre_slice key, struct gyre_slice value)
{
    put_mdb_line(dump, key);
    put_mdb_line(dump, value);
    return true;
}

static bool
put_tsv(struct dump *dump, struct gyre_slice key, struct gyre_slice value)
{
    cli_put_tsv(dump->out, key);
    (void)putc_unlocked('\t', dump->out);
    cli_put_tsv(dump->out, value);
    (void)putc_unlocked('\n', dump->out);
    return true;
}

static bool
put_paragraph(struct dump *dump, struct gyre_slice key, struct gyre_slice value)
{
    const char *text = value.data;

    if (value.size == 0 || text[0] == '\n' || text[value.size - 1] == '\n' ||
        memmem(text, value.size, "\n\n", 2) != NULL) {
        struct cli_bytes name = {0};

        cli_bytes_add(&name, key.data, key.size < 200 ? key.size : 200);
        cli_bytes_add(&name, "", 1);
        dump->code = cli_fail(dump->cli,
                              "the value of key %s is no paragraph (empty, or with a blank line); "
                              "use --format mdb or tsv",
                              (const char *)name.data);
        cli_bytes_free(&name);
        return false;
    }
    cli_put_raw(dump->out, value);
    (void)fputs("\n\n", dump->out);
    return true;
}

/* mdb_load makes the map as large as the header says, and fails when that is too small; the map is
 * address space only, so be generous: its pages take a multiple of small records, and ours may be
 * compressed. */
static uint64_t
choose_map_size(const struct dump *dump)
{
    struct gyre_stats stats = {.struct_size = sizeof(stats)};
    uint64_t size = (uint64_t)1 << 30;

    if (gyre_stats(dump->cli->db, &stats) == GYRE_OK) {
        size += 64 * (stats.table_bytes + stats.memtable_bytes);
    }
    return size;
}

static void
put_header(struct dump *dump)
{
    if (dump->put == put_mdb) {
        const uint64_t size = dump->map_size != 0 ? dump->map_size : choose_map_size(dump);

        (void)fprintf(dump->out, "VERSION=3\nformat=%s\ntype=btree\nmapsize=%llu\nHEADER=END\n",
                      dump->is_print ? "print" : "bytevalue", (unsigned long long)size);
    }
}

/* ---- Output ---- */

/* What is there already as something else than a file (a pipe, /dev/null) is written directly. */
static int
open_output(struct dump *dump)
{
    struct stat info;

    if (dump->path == NULL) {
        dump->out = stdout;
        return CLI_GO_ON;
    }
    const bool is_special = stat(dump->path, &info) == 0 && !S_ISREG(info.st_mode);
    if (!is_special) {
        const size_t size = strlen(dump->path) + sizeof(".part");

        dump->path_new = cli_realloc(NULL, size);
        (void)snprintf(dump->path_new, size, "%s.part", dump->path);
    }
    dump->out = fopen(is_special ? dump->path : dump->path_new, "we");
    if (dump->out == NULL) {
        return cli_fail(dump->cli, "cannot write %s: %s", is_special ? dump->path : dump->path_new,
                        strerror(errno));
    }
    return CLI_GO_ON;
}

/* The name changes hands only when every byte is on the device. */
static int
close_output(struct dump *dump, int code)
{
    if (dump->path == NULL) {
        return cli_finish_output(dump->cli, code);
    }
    if (dump->out != NULL) {
        bool is_good = fflush(dump->out) == 0 && ferror(dump->out) == 0;

        if (dump->path_new != NULL) {
            is_good = is_good && fsync(fileno(dump->out)) == 0;
        }
        is_good = fclose(dump->out) == 0 && is_good;
        if (code == CLI_OK && is_good && dump->path_new != NULL) {
            is_good = rename(dump->path_new, dump->path) == 0;
        }
        if (code == CLI_OK && !is_good) {
            code = cli_fail(dump->cli, "cannot write %s: %s", dump->path, strerror(errno));
        }
        if (code != CLI_OK && dump->path_new != NULL) {
            (void)unlink(dump->path_new);
        }
    }
    return code;
}

static int
write_records(struct dump *dump)
{
    struct cli_progress progress;
    gyre_iterator *it = NULL;
    uint64_t count = 0;
    gyre_status status = gyre_iterator_open(dump->cli->db, NULL, &it);

    if (status != GYRE_OK) {
        return cli_fail_status(dump->cli, status);
    }
    cli_progress_start(&progress, dump->cli, "dumped", "records");
    put_header(dump);
    for (status = gyre_iterator_first(it); status == GYRE_OK; status = gyre_iterator_next(it)) {
        if (!dump->put(dump, gyre_iterator_key(it), gyre_iterator_value(it)) || ferror(dump->out) ||
            cli_signal_taken() != 0) {
            break;
        }
        count++;
        if (count % 256 == 0) { /* the clock is not for every record */
            cli_progress_update(&progress, count, 0, 0);
        }
    }
    cli_progress_finish(&progress);
    if (status == GYRE_OK) {
        dump->code = cli_signal_taken() != 0 ? CLI_SIGNAL + cli_signal_taken() : dump->code;
    } else if (status != GYRE_NOT_FOUND) {
        dump->code = cli_fail_status(dump->cli, status);
    } else if (dump->put == put_mdb) {
        (void)fputs("DATA=END\n", dump->out);
    }
    gyre_iterator_close(it);
    if (dump->code == CLI_OK && !dump->cli->quiet && dump->path != NULL) {
        (void)fprintf(stderr, "dumped %llu records\n", (unsigned long long)count);
    }
    return dump->code;
}

int
cli_dump_run(struct cli *cli, int count, char **words)
{
    struct dump dump = {.cli = cli, .code = CLI_OK, .put = put_mdb};
    const char *format = NULL;
    const struct cli_option own[] = {
        {"format", "NAME", "mdb (default), tsv or paragraphs", CLI_TEXT, &format},
        {"print", NULL, "mdb: printable bytes as they are (format=print)", CLI_FLAG,
         &dump.is_print},
        {"mapsize", "SIZE", "mdb: the mapsize= of the header (default: large enough)", CLI_SIZE,
         &dump.map_size},
        {0}};
    struct gyre_options options = {.flags = GYRE_OPEN_READ_ONLY};
    int code = cli_parse(cli, &cli_dump_command, count, words, own);

    if (code != CLI_GO_ON) {
        return code;
    }
    if (format != NULL && strcmp(format, "tsv") == 0) {
        dump.put = put_tsv;
    } else if (format != NULL && strcmp(format, "paragraphs") == 0) {
        dump.put = put_paragraph;
    } else if (format != NULL && strcmp(format, "mdb") != 0) {
        return cli_usage(cli, "--format %s: it is mdb, tsv or paragraphs", format);
    }
    if (cli->words[1] != NULL && strcmp(cli->words[1], "-") != 0) {
        dump.path = cli->words[1];
        (void)cli_signals_open(); /* to standard output a signal may act at once */
    }
    code = cli_open(cli, &options);
    if (code == CLI_GO_ON) {
        code = open_output(&dump);
        if (code == CLI_GO_ON) {
            code = close_output(&dump, write_records(&dump));
        }
        code = cli_close(cli, code);
    }
    free(dump.path_new);
    return code;
}
