/* stats.c - figures of a store and of a loop, and the same as text. Reading never suspends. */
#include "engine/db/background.h"
#include "engine/db/explain.h"
#include "engine/db/measure.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

gyre_loop *
gyre_db_loop(gyre_db *db)
{
    return db != NULL && db->magic == GY_DB_MAGIC ? db->loop : NULL;
}

/* ---- Of a store ---- */

static void
fill_operations(const gyre_db *db, struct gyre_stats *s)
{
    const struct gy_db_counters *c = &db->counters;

    s->puts = c->puts;
    s->deletes = c->deletes;
    s->batches = c->batches;
    s->gets = c->gets;
    s->gets_found = c->gets_found;
    s->multi_gets = c->multi_gets;
    s->multi_get_keys = c->multi_get_keys;
    s->iterator_seeks = c->iterator_seeks;
    s->iterator_steps = c->iterator_steps;
    s->scans = c->scans;
    s->scan_rows = c->scan_rows;
    s->scan_skips = c->scan_skips;
    s->user_bytes_written = c->user_bytes_written;
    s->user_bytes_read = c->user_bytes_read;
    s->memtable_hits = c->memtable_hits;
    s->stall_count = db->pacer.stall_count;
    s->stall_ns = db->pacer.stall_ns;
    s->stall_ns_max = db->pacer.stall_ns_max;
    s->write_ns_max = c->write_ns_max;
    s->write_agains = c->again_count;
    s->recovered_records = c->recovered_records;
    s->recovered_ns = c->recovered_ns;
    s->tail_dropped_bytes = c->tail_dropped_bytes;
    s->stage_lost = c->stage_lost;
}

static void
fill_background(const gyre_db *db, struct gyre_stats *s)
{
    const struct gy_db_counters *c = &db->counters;

    s->flush_count = c->flush_count;
    s->flush_bytes_written = c->flush_bytes_written;
    s->compaction_count = c->compaction_count;
    s->compaction_bytes_read = c->compaction_bytes_read;
    s->compaction_bytes_written = c->compaction_bytes_written;
    s->compaction_trivial_moves = c->compaction_trivial_moves;
    s->compaction_debt = gy_compact_debt(db->view->version, &db->compact_options);
    s->manifest_bytes_written = db->manifest.bytes_written;
    s->entries_dropped = c->entries_dropped;
    s->tombstone_compactions = c->tombstone_compactions;
    s->background_error = (uint32_t)db->background_status;
    s->files_pending_removal = db->tables.removed_count;
    if (db->has_wal) {
        s->wal_groups = db->wal.stats.groups;
        s->wal_bytes_written = db->wal.stats.bytes_written;
        s->wal_syncs = db->wal.stats.syncs;
        s->wal_switches = db->wal.stats.switches;
        s->wal_group_records_max = db->wal.stats.group_records_max;
        s->wal_live_bytes = gy_wal_live_bytes(&db->wal);
    }
}

/* The cache is the loop's: with several stores on it these figures are of all of them. */
static void
fill_reads(const gyre_db *db, struct gyre_stats *s)
{
    struct gy_cache_stats cache;

    gy_cache_stats_get(db->loop->cache, &cache);
    s->block_reads = cache.reads;
    s->block_read_bytes = cache.read_bytes;
    s->cache_hits = cache.hits;
    s->cache_misses = cache.misses;
    s->cache_waits = cache.waits;
    s->filter_checks = db->tables.stats.filter_checks;
    s->filter_negatives = db->tables.stats.filter_negatives;
    s->filter_false_positives = db->tables.stats.filter_false_positives;
    s->open_table_count = db->tables.open_count;
}

static void
fill_state(const gyre_db *db, struct gyre_stats *s)
{
    const struct gy_view *view = db->view;

    s->memtable_bytes = gy_memtable_bytes(view->active);
    for (uint32_t i = 0; i < view->frozen_count; i++) {
        s->memtable_bytes += gy_memtable_bytes(view->frozen[i]);
    }
    s->memtable_count = 1u + view->frozen_count;
    s->sequence = gy_db_visible(db);
    s->snapshot_count = db->snapshot_count;
    s->iterator_count = db->iterator_count;
    s->value_pin_count = db->pin_count;
    s->table_count = view->version->table_count;
    s->table_bytes = view->version->bytes;
    s->is_read_only = db->read_only || db->manifest.poison != GYRE_OK ||
                      (db->has_wal && db->wal.poison != GYRE_OK);
    s->level_count = GYRE_LEVELS_MAX;
    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        const struct gy_level *tables = &view->version->levels[level];
        struct gyre_level_stats *l = &s->levels[level];

        l->table_count = tables->count;
        l->bytes = tables->bytes;
        for (uint32_t i = 0; i < tables->count; i++) {
            l->entry_count += tables->tables[i]->meta.entry_count;
        }
        l->compaction_count = db->counters.levels[level].compaction_count;
        l->compaction_bytes_read = db->counters.levels[level].compaction_bytes_read;
        l->compaction_bytes_written = db->counters.levels[level].compaction_bytes_written;
    }
}

_Static_assert(GY_LEVEL_COUNT == GYRE_LEVELS_MAX, "levels are reported one by one");

void
gy_stats_fill(const gyre_db *db, struct gyre_stats *s)
{
    memset(s, 0, sizeof(*s));
    fill_operations(db, s);
    fill_background(db, s);
    fill_reads(db, s);
    fill_state(db, s);
}

gyre_status
gy_stats_copy_out(gyre_loop *loop, void *target, void *filled, size_t filled_size)
{
    uint32_t struct_size;

    memcpy(&struct_size, target, sizeof(struct_size));
    if (struct_size < sizeof(struct_size) || struct_size > 65536) {
        return gy_loop_fail(loop, GYRE_INVALID, "struct_size of the stats is not set");
    }
    memcpy(filled, &struct_size, sizeof(struct_size));
    if (struct_size > filled_size) { /* a newer header: what we do not know is zero */
        memset((uint8_t *)target + filled_size, 0, struct_size - filled_size);
    }
    memcpy(target, filled, gy_min_u64(struct_size, filled_size));
    return GYRE_OK;
}

gyre_status
gyre_stats(gyre_db *db, struct gyre_stats *stats)
{
    struct gyre_stats s;
    gyre_status status = gy_db_check(db);

    if (status == GYRE_OK && stats == NULL) {
        status = gy_loop_fail(db->loop, GYRE_INVALID, "gyre_stats: stats is NULL");
    }
    if (status != GYRE_OK) {
        return status;
    }
    gy_stats_fill(db, &s);
    return gy_stats_copy_out(db->loop, stats, &s, sizeof(s));
}

/* ---- Of a loop ---- */

static void
fill_io(gyre_loop *loop, struct gyre_loop_stats *s)
{
    struct gy_world *world = loop->io.world;
    const struct gy_world_info *info = &world->info;

    if (world->ops->refresh_info != NULL) {
        world->ops->refresh_info(world);
    }
    s->in_flight = loop->io.in_flight;
    (void)snprintf(s->io_name, sizeof(s->io_name), "%s", info->name);
    (void)snprintf(s->io_reason, sizeof(s->io_reason), "%s", info->reason);
    s->has_direct_io = info->has_direct_io;
    s->has_registered_files = info->has_registered_files;
    s->has_registered_buffers = info->has_registered_buffers;
    s->ring_flags = info->ring_flags;
    s->registered_bytes = info->registered_bytes;
    s->io_enters = info->enter_count;
    s->io_requests = info->request_count;
    s->io_workers = info->worker_count;
    s->io_syncs = loop->io.stats.sync_count;
    for (uint32_t i = 0; i < GY_IO_CLASS_COUNT; i++) {
        s->bytes_read += loop->io.stats.bytes_read[i];
        s->bytes_written += loop->io.stats.bytes_written[i];
    }
}

static void
fill_memory(const gyre_loop *loop, struct gyre_loop_stats *s)
{
    const struct gy_heap *heap = &loop->io.heap;

    s->memory_used = heap->used;
    s->memory_peak = heap->peak;
    s->memory_limit = loop->memory_limit;
}

void
gy_loop_stats_fill(gyre_loop *loop, struct gyre_loop_stats *s)
{
    const struct gy_watchdog *watchdog = &loop->io.sched.watchdog;
    struct gy_cache_stats cache;

    memset(s, 0, sizeof(*s));
    fill_io(loop, s);
    fill_memory(loop, s);
    gy_cache_stats_get(loop->cache, &cache);
    s->cache_used = cache.used_bytes;
    s->cache_capacity = cache.capacity_bytes;
    s->cache_pinned = cache.pinned_bytes;
    s->run_ns_max = watchdog->run_ns_max;
    (void)snprintf(s->run_name_max, sizeof(s->run_name_max), "%s",
                   watchdog->run_name_max != NULL ? watchdog->run_name_max : "");
    s->runs = watchdog->run_count;
    s->runs_over_100us = watchdog->over_100us_count;
    s->runs_over_500us = watchdog->over_500us_count;
    s->coroutines = loop->io.sched.live_count;
    gy_loop_stalls(&loop->io, &s->io_oldest_ns, &s->io_stalls);
    s->slow_lost = loop->measures->slow_lost;
}

gyre_status
gyre_loop_stats(gyre_loop *loop, struct gyre_loop_stats *stats)
{
    struct gyre_loop_stats s;
    gyre_status status = gy_loop_check(loop);

    if (status == GYRE_OK && stats == NULL) {
        status = gy_loop_fail(loop, GYRE_INVALID, "gyre_loop_stats: stats is NULL");
    }
    if (status != GYRE_OK) {
        return status;
    }
    gy_loop_stats_fill(loop, &s);
    return gy_stats_copy_out(loop, stats, &s, sizeof(s));
}

void
gyre_stats_reset_maxima(gyre_db *db)
{
    if (gy_db_check(db) != GYRE_OK) {
        return;
    }
    db->counters.write_ns_max = 0;
    db->pacer.stall_ns_max = 0;
    if (db->has_wal) {
        db->wal.stats.group_records_max = 0;
    }
    db->loop->io.sched.watchdog = (struct gy_watchdog){0};
}

/* ---- As text ---- */

static void
print_number(struct gy_text *text, const char *name, uint64_t value)
{
    gy_text_add(text, "%-26s %llu\n", name, (unsigned long long)value);
}

static void
print_levels(gyre_db *db, struct gy_text *text)
{
    struct gyre_stats s;

    gy_stats_fill(db, &s);
    gy_text_add(
        text,
        "level   tables         bytes       entries  compactions          read       written\n");
    for (uint32_t i = 0; i < GYRE_LEVELS_MAX; i++) {
        const struct gyre_level_stats *l = &s.levels[i];

        gy_text_add(text, "%5u %8llu %13llu %13llu %12llu %13llu %13llu\n", i,
                    (unsigned long long)l->table_count, (unsigned long long)l->bytes,
                    (unsigned long long)l->entry_count, (unsigned long long)l->compaction_count,
                    (unsigned long long)l->compaction_bytes_read,
                    (unsigned long long)l->compaction_bytes_written);
    }
}

static void
print_options(gyre_db *db, struct gy_text *text)
{
    struct gy_option_line line;

    for (size_t i = 0; gy_options_line(&db->options, i, &line); i++) {
        gy_text_add(text, "%s=%s\n", line.name, line.value);
    }
}

static void
print_io(gyre_db *db, struct gy_text *text)
{
    struct gyre_loop_stats s;

    gy_loop_stats_fill(db->loop, &s);
    gy_text_add(text, "%-26s %s\n", "io_name", s.io_name);
    if (s.io_reason[0] != '\0') {
        gy_text_add(text, "%-26s %s\n", "io_reason", s.io_reason);
    }
    print_number(text, "has_direct_io", s.has_direct_io);
    print_number(text, "has_registered_files", s.has_registered_files);
    print_number(text, "has_registered_buffers", s.has_registered_buffers);
    print_number(text, "registered_bytes", s.registered_bytes);
    gy_text_add(text, "%-26s %#x\n", "ring_flags", s.ring_flags);
    print_number(text, "in_flight", s.in_flight);
    print_number(text, "io_enters", s.io_enters);
    print_number(text, "io_requests", s.io_requests);
    print_number(text, "io_workers", s.io_workers);
    print_number(text, "io_syncs", s.io_syncs);
    print_number(text, "bytes_read", s.bytes_read);
    print_number(text, "bytes_written", s.bytes_written);
    print_number(text, "run_ns_max", s.run_ns_max);
    gy_text_add(text, "%-26s %s\n", "run_name_max", s.run_name_max);
    print_number(text, "runs", s.runs);
    print_number(text, "runs_over_100us", s.runs_over_100us);
    print_number(text, "runs_over_500us", s.runs_over_500us);
    print_number(text, "coroutines", s.coroutines);
    print_number(text, "io_stalls", s.io_stalls);
    print_number(text, "io_oldest_ns", s.io_oldest_ns);
    print_number(text, "slow_lost", s.slow_lost);
}

static void
print_memory(gyre_db *db, struct gy_text *text)
{
    struct gyre_loop_stats s;
    struct gyre_memory m;

    gy_loop_stats_fill(db->loop, &s);
    gy_memory_fill(db->loop, &m);
    print_number(text, "memory_limit", m.limit);
    print_number(text, "memory_peak", m.peak);
    print_number(text, "memory_used", m.used);
    print_number(text, "  loop", m.loop);
    print_number(text, "  stacks", m.stacks);
    print_number(text, "  logs", m.logs);
    print_number(text, "  buffers", m.buffers);
    print_number(text, "  cache", m.cache);
    print_number(text, "  memtables", m.memtables);
    print_number(text, "  tables", m.tables);
    print_number(text, "  versions", m.versions);
    print_number(text, "  calls", m.calls);
    print_number(text, "cache_capacity", s.cache_capacity);
    print_number(text, "cache_used", s.cache_used);
    print_number(text, "cache_pinned", s.cache_pinned);
}

struct counter {
    const char *name;
    size_t offset;
};
#define C(field)                                   \
    {                                              \
#field, offsetof(struct gyre_stats, field) \
    }

static const struct counter counters[] = {
    C(puts),
    C(deletes),
    C(batches),
    C(gets),
    C(gets_found),
    C(multi_gets),
    C(multi_get_keys),
    C(iterator_seeks),
    C(iterator_steps),
    C(user_bytes_written),
    C(user_bytes_read),
    C(wal_groups),
    C(wal_bytes_written),
    C(wal_syncs),
    C(wal_switches),
    C(wal_live_bytes),
    C(wal_group_records_max),
    C(flush_count),
    C(flush_bytes_written),
    C(compaction_count),
    C(compaction_bytes_read),
    C(compaction_bytes_written),
    C(compaction_trivial_moves),
    C(compaction_debt),
    C(manifest_bytes_written),
    C(entries_dropped),
    C(block_reads),
    C(block_read_bytes),
    C(cache_hits),
    C(cache_misses),
    C(cache_waits),
    C(filter_checks),
    C(filter_negatives),
    C(filter_false_positives),
    C(memtable_hits),
    C(stall_count),
    C(stall_ns),
    C(stall_ns_max),
    C(write_ns_max),
    C(write_agains),
    C(memtable_bytes),
    C(memtable_count),
    C(sequence),
    C(snapshot_count),
    C(iterator_count),
    C(value_pin_count),
    C(table_count),
    C(table_bytes),
    C(open_table_count),
    C(recovered_records),
    C(recovered_ns),
    C(tail_dropped_bytes),
    C(stage_lost),
    C(files_pending_removal),
};

static void
print_all(gyre_db *db, struct gy_text *text)
{
    struct gyre_stats s;

    gy_stats_fill(db, &s);
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        uint64_t value;

        memcpy(&value, (const uint8_t *)&s + counters[i].offset, sizeof(value));
        print_number(text, counters[i].name, value);
    }
    gy_text_add(text, "%-26s %s\n", "background_error",
                gyre_status_name((gyre_status)s.background_error));
    if (db->background_status != GYRE_OK) {
        gy_text_add(text, "%-26s %s\n", "background_error_text", db->background_error.text);
    }
    print_number(text, "is_read_only", s.is_read_only);
    print_levels(db, text);
    print_io(db, text);
    print_memory(db, text);
}

static void
print_sequence(gyre_db *db, struct gy_text *text)
{
    gy_text_add(text, "%llu", (unsigned long long)gy_db_visible(db));
}

static void
print_store_id(gyre_db *db, struct gy_text *text)
{
    gy_text_add(text, "%016llx", (unsigned long long)db->store_id);
}

static void
print_format(gyre_db *db, struct gy_text *text)
{
    gy_text_add(text, "frame=%u\ntable=%u\nfeatures_compatible=%#llx\ncomparator=%s\n",
                GY_FORMAT_FRAME, GY_FORMAT_TABLE, (unsigned long long)db->features_compatible,
                GY_COMPARATOR_NAME);
}

gyre_status
gyre_property(gyre_db *db, const char *name, char *buffer, size_t capacity, size_t *ret_size)
{
    static const struct {
        const char *name;
        void (*print)(gyre_db *db, struct gy_text *text);
    } properties[] = {{"gyre.stats", print_all},         {"gyre.levels", print_levels},
                      {"gyre.options", print_options},   {"gyre.io", print_io},
                      {"gyre.memory", print_memory},     {"gyre.sequence", print_sequence},
                      {"gyre.store-id", print_store_id}, {"gyre.format", print_format},
                      {"gyre.explain", gy_explain_print}};
    struct gy_text text = {.buffer = buffer, .capacity = capacity};
    gyre_status status = gy_db_check(db);

    if (status != GYRE_OK) {
        return status;
    }
    if (name == NULL || (buffer == NULL && capacity > 0)) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "gyre_property: name or buffer is NULL");
    }
    for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++) {
        if (strcmp(properties[i].name, name) == 0) {
            properties[i].print(db, &text);
            if (ret_size != NULL) {
                *ret_size = text.size;
            }
            return GYRE_OK;
        }
    }
    return gy_loop_fail(db->loop, GYRE_NOT_FOUND, "there is no property '%.64s'", name);
}
