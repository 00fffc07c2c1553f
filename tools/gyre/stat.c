/* stat.c - stat: what a store holds and what this process has done with it. */
#include <stddef.h>
#include <stdlib.h>

#include "tools/gyre/cli.h"

const struct cli_command cli_stat_command = {
    .name = "stat",
    .usage = "STORE",
    .summary = "print levels, amplification, memory and how I/O is done",
    .details =
        "Changes nothing. Counters (operations, bytes written, cache) begin when a process opens\n"
        "the store, so here they are those of opening it; `gyre load --stats` prints those of a\n"
        "load.\n",
    .words_min = 1,
    .words_max = 1,
    .flags = CLI_HAS_JSON};

struct report {
    struct gyre_stats store;
    struct gyre_loop_stats loop;
    struct gyre_memory memory;
    double space_amplification, write_amplification; /* 0 = not known */
    uint64_t read_sources; /* places where a get of an absent key has to ask (a filter, mostly) */
};

/* ---- Figures ---- */

static void
fill_amplification(struct report *report)
{
    const struct gyre_stats *s = &report->store;
    const uint64_t written = s->wal_bytes_written + s->flush_bytes_written +
                             s->compaction_bytes_written + s->manifest_bytes_written;
    uint64_t deepest_bytes = 0;

    report->read_sources = s->memtable_count + s->levels[0].table_count;
    for (unsigned i = 0; i < GYRE_LEVELS_MAX; i++) {
        if (s->levels[i].table_count > 0) {
            deepest_bytes = s->levels[i].bytes;
            report->read_sources += i > 0;
        }
    }
    if (deepest_bytes > 0) {
        report->space_amplification = (double)s->table_bytes / (double)deepest_bytes;
    }
    if (s->user_bytes_written > 0) {
        report->write_amplification = (double)written / (double)s->user_bytes_written;
    }
}

static int
fill_report(struct cli *cli, struct report *report)
{
    *report = (struct report){.store.struct_size = sizeof(report->store),
                              .loop.struct_size = sizeof(report->loop),
                              .memory.struct_size = sizeof(report->memory)};
    gyre_status status = gyre_stats(cli->db, &report->store);
    if (status == GYRE_OK) {
        status = gyre_loop_stats(cli->loop, &report->loop);
    }
    if (status == GYRE_OK) {
        status = gyre_memory(cli->loop, &report->memory);
    }
    if (status != GYRE_OK) {
        return cli_fail_status(cli, status);
    }
    fill_amplification(report);
    return CLI_GO_ON;
}

/* "" when there is no such property. To be freed. */
static char *
property(struct cli *cli, const char *name)
{
    size_t size = 0;
    char *text = cli_realloc(NULL, 256);

    text[0] = '\0';
    if (gyre_property(cli->db, name, text, 256, &size) == GYRE_OK && size >= 256) {
        text = cli_realloc(text, size + 1);
        if (gyre_property(cli->db, name, text, size + 1, &size) != GYRE_OK) {
            text[0] = '\0';
        }
    }
    for (char *line_end = text; (line_end = strchr(line_end, '\n')) != NULL;) {
        *line_end = line_end[1] != '\0' ? ' ' : '\0'; /* some are lists, a line each */
    }
    return text;
}

/* ---- JSON ---- */

struct field {
    const char *name;
    size_t offset;
    bool is_32;
};
/* clang-format off */
#define F64(type, field) {#field, offsetof(struct type, field), false}
#define F32(type, field) {#field, offsetof(struct type, field), true}

static const struct field store_fields[] = {
    F64(gyre_stats, puts), F64(gyre_stats, deletes), F64(gyre_stats, batches),
    F64(gyre_stats, gets), F64(gyre_stats, gets_found), F64(gyre_stats, multi_gets),
    F64(gyre_stats, multi_get_keys), F64(gyre_stats, iterator_seeks),
    F64(gyre_stats, iterator_steps), F64(gyre_stats, user_bytes_written),
    F64(gyre_stats, user_bytes_read), F64(gyre_stats, wal_groups),
    F64(gyre_stats, wal_bytes_written), F64(gyre_stats, wal_syncs), F64(gyre_stats, wal_switches),
    F64(gyre_stats, wal_live_bytes), F64(gyre_stats, wal_group_records_max),
    F64(gyre_stats, flush_count), F64(gyre_stats, flush_bytes_written),
    F64(gyre_stats, compaction_count), F64(gyre_stats, compaction_bytes_read),
    F64(gyre_stats, compaction_bytes_written), F64(gyre_stats, compaction_trivial_moves),
    F64(gyre_stats, compaction_debt), F64(gyre_stats, manifest_bytes_written),
    F64(gyre_stats, entries_dropped), F64(gyre_stats, block_reads),
    F64(gyre_stats, block_read_bytes), F64(gyre_stats, cache_hits), F64(gyre_stats, cache_misses),
    F64(gyre_stats, cache_waits), F64(gyre_stats, filter_checks),
    F64(gyre_stats, filter_negatives), F64(gyre_stats, filter_false_positives),
    F64(gyre_stats, memtable_hits), F64(gyre_stats, stall_count), F64(gyre_stats, stall_ns),
    F64(gyre_stats, stall_ns_max), F64(gyre_stats, write_ns_max), F64(gyre_stats, memtable_bytes),
    F64(gyre_stats, memtable_count), F64(gyre_stats, sequence), F64(gyre_stats, snapshot_count),
    F64(gyre_stats, iterator_count), F64(gyre_stats, value_pin_count),
    F64(gyre_stats, table_count), F64(gyre_stats, table_bytes), F64(gyre_stats, open_table_count),
    F64(gyre_stats, recovered_records), F64(gyre_stats, recovered_ns),
    F64(gyre_stats, tail_dropped_bytes), F64(gyre_stats, stage_lost),
    F32(gyre_stats, background_error), F32(gyre_stats, is_read_only),
    F64(gyre_stats, files_pending_removal), F64(gyre_stats, scans), F64(gyre_stats, scan_rows),
    F64(gyre_stats, scan_skips), F64(gyre_stats, tombstone_compactions),
};

static const struct field loop_fields[] = {
    F32(gyre_loop_stats, in_flight), F32(gyre_loop_stats, has_direct_io),
    F32(gyre_loop_stats, has_registered_files), F32(gyre_loop_stats, has_registered_buffers),
    F32(gyre_loop_stats, ring_flags), F64(gyre_loop_stats, registered_bytes),
    F64(gyre_loop_stats, io_enters), F64(gyre_loop_stats, io_requests),
    F64(gyre_loop_stats, io_workers), F64(gyre_loop_stats, io_syncs),
    F64(gyre_loop_stats, bytes_read), F64(gyre_loop_stats, bytes_written),
    F64(gyre_loop_stats, memory_used), F64(gyre_loop_stats, memory_peak),
    F64(gyre_loop_stats, memory_limit),
    F64(gyre_loop_stats, cache_used), F64(gyre_loop_stats, cache_capacity),
    F64(gyre_loop_stats, cache_pinned), F64(gyre_loop_stats, run_ns_max),
    F64(gyre_loop_stats, runs), F64(gyre_loop_stats, runs_over_100us),
    F64(gyre_loop_stats, runs_over_500us), F64(gyre_loop_stats, coroutines),
    F64(gyre_loop_stats, io_stalls), F64(gyre_loop_stats, io_oldest_ns),
};

static const struct field memory_fields[] = {
    F64(gyre_memory, limit), F64(gyre_memory, used), F64(gyre_memory, peak),
    F64(gyre_memory, loop), F64(gyre_memory, stacks), F64(gyre_memory, logs),
    F64(gyre_memory, buffers), F64(gyre_memory, cache), F64(gyre_memory, memtables),
    F64(gyre_memory, tables), F64(gyre_memory, versions), F64(gyre_memory, calls),
    F64(gyre_memory, allocations),
};

static const struct field level_fields[] = {
    F64(gyre_level_stats, table_count), F64(gyre_level_stats, bytes),
    F64(gyre_level_stats, entry_count), F64(gyre_level_stats, compaction_count),
    F64(gyre_level_stats, compaction_bytes_read), F64(gyre_level_stats, compaction_bytes_written),
};
/* clang-format on */

static void
put_fields(const void *object, const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *place = (const uint8_t *)object + fields[i].offset;
        uint64_t value = 0;

        if (fields[i].is_32) {
            uint32_t value_32;

            memcpy(&value_32, place, sizeof(value_32));
            value = value_32;
        } else {
            memcpy(&value, place, sizeof(value));
        }
        (void)printf("%s\"%s\":%llu", i > 0 ? "," : "", fields[i].name, (unsigned long long)value);
    }
}

static void
put_ratio(const char *name, double value)
{
    if (value > 0) {
        (void)printf("\"%s\":%.3f", name, value);
    } else {
        (void)printf("\"%s\":null", name);
    }
}

static void
print_json(struct cli *cli, const struct report *report)
{
    char *id = property(cli, "gyre.store-id");

    (void)fputs("{\"store\":", stdout);
    cli_put_json_text(stdout, cli->store);
    (void)fputs(",\"id\":", stdout);
    cli_put_json_text(stdout, id);
    (void)fputs(",\"levels\":[", stdout);
    for (unsigned i = 0; i < GYRE_LEVELS_MAX; i++) {
        (void)printf("%s{\"level\":%u,", i > 0 ? "," : "", i);
        put_fields(&report->store.levels[i], level_fields,
                   sizeof(level_fields) / sizeof(level_fields[0]));
        (void)fputs("}", stdout);
    }
    (void)fputs("],\"amplification\":{", stdout);
    put_ratio("space", report->space_amplification);
    (void)fputs(",", stdout);
    put_ratio("write", report->write_amplification);
    (void)printf(",\"read_sources\":%llu},\"stats\":{", (unsigned long long)report->read_sources);
    put_fields(&report->store, store_fields, sizeof(store_fields) / sizeof(store_fields[0]));
    (void)fputs("},\"loop\":{\"io\":", stdout);
    cli_put_json_text(stdout, report->loop.io_name);
    (void)fputs(",\"io_reason\":", stdout);
    cli_put_json_text(stdout, report->loop.io_reason);
    (void)fputs(",\"run_name_max\":", stdout);
    cli_put_json_text(stdout, report->loop.run_name_max);
    (void)fputs(",", stdout);
    put_fields(&report->loop, loop_fields, sizeof(loop_fields) / sizeof(loop_fields[0]));
    (void)fputs("},\"memory\":{", stdout);
    put_fields(&report->memory, memory_fields, sizeof(memory_fields) / sizeof(memory_fields[0]));
    (void)fputs("}}\n", stdout);
    free(id);
}

/* ---- Text ---- */

static const char *
yes_no(uint64_t is)
{
    return is != 0 ? "yes" : "no";
}

static void
print_size(const char *name, uint64_t size)
{
    char text[32];

    (void)printf("  %-22s %12s\n", name, cli_size_text(size, text, sizeof(text)));
}

static void
print_count(const char *name, uint64_t count)
{
    (void)printf("  %-22s %12llu\n", name, (unsigned long long)count);
}

static void
print_ratio(const char *name, double ratio, const char *remark)
{
    if (ratio > 0) {
        (void)printf("  %-22s %12.2f  %s\n", name, ratio, remark);
    } else {
        (void)printf("  %-22s %12s  %s\n", name, "-", remark);
    }
}

static void
print_levels(const struct gyre_stats *stats)
{
    char size[32], read[32], written[32];

    (void)printf("levels\n  level  tables        size      entries   jobs    read by  written by "
                 "compaction\n");
    for (unsigned i = 0; i < GYRE_LEVELS_MAX; i++) {
        const struct gyre_level_stats *level = &stats->levels[i];

        if (i > 0 && level->table_count == 0 && level->compaction_count == 0) {
            continue; /* a level that is not in use yet */
        }
        (void)printf(
            "  %5u %7llu %11s %12llu %6llu %10s %10s\n", i, (unsigned long long)level->table_count,
            cli_size_text(level->bytes, size, sizeof(size)), (unsigned long long)level->entry_count,
            (unsigned long long)level->compaction_count,
            cli_size_text(level->compaction_bytes_read, read, sizeof(read)),
            cli_size_text(level->compaction_bytes_written, written, sizeof(written)));
    }
}

static void
print_store(const struct report *report)
{
    const struct gyre_stats *s = &report->store;

    (void)printf("store\n");
    print_size("tables", s->table_bytes);
    print_size("memtables", s->memtable_bytes);
    print_size("logs in use", s->wal_live_bytes);
    print_count("last sequence", s->sequence);
    print_size("compaction debt", s->compaction_debt);
    (void)printf("amplification\n");
    print_ratio("space", report->space_amplification, "all tables / the deepest level");
    print_ratio("write", report->write_amplification, "bytes written / bytes put, since open");
    (void)printf("  %-22s %12llu  %s\n", "read", (unsigned long long)report->read_sources,
                 "memtables, level 0 tables and levels to ask");
    (void)printf("since open\n");
    print_count("puts", s->puts);
    print_count("deletes", s->deletes);
    print_count("gets", s->gets);
    print_size("bytes put", s->user_bytes_written);
    print_size("log", s->wal_bytes_written);
    print_size("flushed", s->flush_bytes_written);
    print_size("compacted", s->compaction_bytes_written);
    print_count("syncs of the log", s->wal_syncs);
    print_count("writers slowed", s->stall_count);
    (void)printf("  %-22s %9.3f ms\n", "slowest write", (double)s->write_ns_max / 1e6);
    print_count("recovered records", s->recovered_records);
    (void)printf("  %-22s %9.3f ms\n", "time to open", (double)s->recovered_ns / 1e6);
    if (s->tail_dropped_bytes > 0) {
        print_size("torn tail dropped", s->tail_dropped_bytes);
    }
    if (s->stage_lost != 0) {
        (void)printf("  the staging of BUFFERED writes was gone: some may be lost\n");
    }
    if (s->background_error != GYRE_OK) {
        (void)printf("  background error: %s (%s)\n",
                     gyre_status_name((gyre_status)s->background_error),
                     gyre_status_text((gyre_status)s->background_error));
    }
}

static void
print_loop(const struct report *report)
{
    const struct gyre_loop_stats *l = &report->loop;
    const struct gyre_memory *m = &report->memory;
    const uint64_t asked = report->store.cache_hits + report->store.cache_misses;

    (void)printf("cache\n");
    print_size("capacity", l->cache_capacity);
    print_size("used", l->cache_used);
    print_ratio("hit rate", asked > 0 ? (double)report->store.cache_hits / (double)asked : 0.0,
                "since open");
    (void)printf("memory\n");
    print_size("limit", m->limit);
    print_size("used", m->used);
    print_size("peak", m->peak);
    print_size("  cache", m->cache);
    print_size("  memtables", m->memtables);
    print_size("  stacks", m->stacks);
    print_size("  logs", m->logs);
    print_size("  buffers", m->buffers);
    print_size("  tables", m->tables);
    print_size("  versions", m->versions);
    print_size("  calls", m->calls);
    print_size("  loop", m->loop);
    (void)printf("I/O\n  %-22s %12s%s%s%s\n", "by", l->io_name,
                 l->io_reason[0] != '\0' ? "  (" : "", l->io_reason,
                 l->io_reason[0] != '\0' ? ")" : "");
    (void)printf("  %-22s %12s\n", "direct", yes_no(l->has_direct_io));
    (void)printf("  %-22s %12s\n", "registered files", yes_no(l->has_registered_files));
    (void)printf("  %-22s %12s\n", "registered buffers", yes_no(l->has_registered_buffers));
    print_size("registered", l->registered_bytes);
    print_count("kernel workers now", l->io_workers);
    print_count("requests", l->io_requests);
    print_count("calls of the kernel", l->io_enters);
    print_size("read", l->bytes_read);
    print_size("written", l->bytes_written);
    (void)printf("  %-22s %9.3f ms  %s\n", "longest run", (double)l->run_ns_max / 1e6,
                 l->run_name_max);
}

static int
print_prometheus(struct cli *cli)
{
    size_t size = 0;
    gyre_status status = gyre_metrics_text(cli->loop, NULL, 0, &size);
    char *text = cli_realloc(NULL, size + 1);

    if (status == GYRE_OK) {
        status = gyre_metrics_text(cli->loop, text, size + 1, &size);
    }
    if (status == GYRE_OK) {
        (void)fputs(text, stdout);
    }
    free(text);
    return status != GYRE_OK ? cli_fail_status(cli, status) : cli_finish_output(cli, CLI_OK);
}

int
cli_stat_print(struct cli *cli)
{
    struct report report;
    const int code = fill_report(cli, &report);

    if (code != CLI_GO_ON) {
        return code;
    }
    if (cli->json) {
        print_json(cli, &report);
    } else {
        char *id = property(cli, "gyre.store-id"), *format = property(cli, "gyre.format");

        (void)printf("%s\n  %-22s %s\n", cli->store, "id", id);
        if (format[0] != '\0') {
            (void)printf("  %-22s %s\n", "format", format);
        }
        print_levels(&report.store);
        print_store(&report);
        print_loop(&report);
        free(id);
        free(format);
    }
    return cli_finish_output(cli, CLI_OK);
}

int
cli_stat_run(struct cli *cli, int count, char **words)
{
    struct gyre_options options = {.flags = GYRE_OPEN_READ_ONLY};
    bool prometheus = false;
    const struct cli_option own[] = {
        {"prometheus", NULL, "the text format of Prometheus", CLI_FLAG, &prometheus}, {0}};
    int code = cli_parse(cli, &cli_stat_command, count, words, own);

    if (code == CLI_GO_ON) {
        code = cli_open(cli, &options);
    }
    if (code == CLI_GO_ON) {
        code = cli_close(cli, prometheus ? print_prometheus(cli) : cli_stat_print(cli));
    }
    return code;
}
