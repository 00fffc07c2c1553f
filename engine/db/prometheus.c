/* prometheus.c - all figures of a loop and its stores in the text format of Prometheus, 0.0.4: each
 * metric with HELP and TYPE, then a line for each store (and level). Names end in their unit;
 * counters in _total. */
#include <stdarg.h>
#include <stdio.h>

#include "engine/db/measure.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* Bounds of histogram buckets: below 2^8 ns to below 2^34 ns (17 s), one for each power of two. */
#define LE_BITS_MIN 8u
#define LE_BITS_MAX 34u

enum type { COUNTER, GAUGE };
enum unit { NONE, SECONDS }; /* SECONDS: the field is in nanoseconds */
enum width { U64, U32 };

struct metric {
    const char *name; /* without gyre_ */
    const char *help;
    enum type type;
    enum unit unit;
    enum width width;
    size_t offset;
};
#define AT(record, field, type, unit, name, help)                                \
    {                                                                            \
        name, help, type, unit,                                                  \
            sizeof(((struct record *)0)->field) == sizeof(uint64_t) ? U64 : U32, \
            offsetof(struct record, field)                                       \
    }
#define S(field, type, unit, name, help) AT(gyre_stats, field, type, unit, name, help)
#define V(field, type, unit, name, help) AT(gyre_level_stats, field, type, unit, name, help)
#define L(field, type, unit, name, help) AT(gyre_loop_stats, field, type, unit, name, help)
#define M(field, type, unit, name, help) AT(gyre_memory, field, type, unit, name, help)

static const struct metric of_store[] = {
    S(puts, COUNTER, NONE, "puts_total", "Puts, those in batches too."),
    S(deletes, COUNTER, NONE, "deletes_total", "Deletes, those in batches too."),
    S(batches, COUNTER, NONE, "batches_total", "Batches written."),
    S(gets, COUNTER, NONE, "gets_total", "Gets."),
    S(gets_found, COUNTER, NONE, "gets_found_total", "Keys that were there, of multi_get too."),
    S(multi_gets, COUNTER, NONE, "multi_gets_total", "Calls of multi_get."),
    S(multi_get_keys, COUNTER, NONE, "multi_get_keys_total", "Keys asked for by multi_get."),
    S(iterator_seeks, COUNTER, NONE, "iterator_seeks_total", "Iterators placed."),
    S(iterator_steps, COUNTER, NONE, "iterator_steps_total", "Iterators moved by one."),
    S(user_bytes_written, COUNTER, NONE, "user_written_bytes_total", "Keys and values written."),
    S(user_bytes_read, COUNTER, NONE, "user_read_bytes_total", "Keys and values read."),
    S(wal_groups, COUNTER, NONE, "wal_groups_total", "Groups of commits written to the log."),
    S(wal_bytes_written, COUNTER, NONE, "wal_written_bytes_total", "Bytes written to the log."),
    S(wal_syncs, COUNTER, NONE, "wal_syncs_total", "Syncs of the log."),
    S(wal_switches, COUNTER, NONE, "wal_switches_total", "New logs begun."),
    S(wal_live_bytes, GAUGE, NONE, "wal_live_bytes", "Bytes of logs that are needed."),
    S(wal_group_records_max, GAUGE, NONE, "wal_group_records_max", "Commits of the largest group."),
    S(flush_count, COUNTER, NONE, "flushes_total", "Memtables flushed to tables."),
    S(flush_bytes_written, COUNTER, NONE, "flush_written_bytes_total", "Bytes written by flushes."),
    S(compaction_count, COUNTER, NONE, "compactions_total", "Compactions."),
    S(compaction_bytes_read, COUNTER, NONE, "compaction_read_bytes_total",
      "Bytes read by compactions."),
    S(compaction_bytes_written, COUNTER, NONE, "compaction_written_bytes_total",
      "Bytes written by compactions."),
    S(compaction_trivial_moves, COUNTER, NONE, "compaction_moves_total",
      "Tables moved down a level without being rewritten."),
    S(compaction_debt, GAUGE, NONE, "compaction_debt_bytes", "Bytes that compaction has to move."),
    S(manifest_bytes_written, COUNTER, NONE, "manifest_written_bytes_total",
      "Bytes written to manifests."),
    S(entries_dropped, COUNTER, NONE, "entries_dropped_total",
      "Overwritten and deleted entries that compaction removed."),
    S(filter_checks, COUNTER, NONE, "filter_checks_total", "Filters asked."),
    S(filter_negatives, COUNTER, NONE, "filter_negatives_total", "Filters that said no."),
    S(filter_false_positives, COUNTER, NONE, "filter_false_positives_total",
      "Filters that said yes to a key that was not there."),
    S(memtable_hits, COUNTER, NONE, "memtable_hits_total", "Keys decided by a memtable."),
    S(stall_count, COUNTER, NONE, "stalls_total", "Writers slowed by the pace of compaction."),
    S(stall_ns, COUNTER, SECONDS, "stall_seconds_total", "How long they were."),
    S(stall_ns_max, GAUGE, SECONDS, "stall_max_seconds", "The longest of them."),
    S(write_ns_max, GAUGE, SECONDS, "write_max_seconds", "The longest write that had to wait."),
    S(write_agains, COUNTER, NONE, "write_agains_total", "Writes that were told to stay away."),
    S(memtable_bytes, GAUGE, NONE, "memtable_bytes", "Bytes of memtables."),
    S(memtable_count, GAUGE, NONE, "memtables", "Memtables, those being flushed too."),
    S(sequence, GAUGE, NONE, "sequence", "Number of the last operation that readers see."),
    S(snapshot_count, GAUGE, NONE, "snapshots", "Snapshots held."),
    S(iterator_count, GAUGE, NONE, "iterators", "Iterators open."),
    S(value_pin_count, GAUGE, NONE, "pinned_values", "Values held."),
    S(table_count, GAUGE, NONE, "tables", "Tables."),
    S(table_bytes, GAUGE, NONE, "table_bytes", "Bytes of tables."),
    S(open_table_count, GAUGE, NONE, "open_tables", "Tables whose file is open."),
    S(recovered_records, GAUGE, NONE, "recovered_records", "Commits replayed when it was opened."),
    S(recovered_ns, GAUGE, SECONDS, "open_duration_seconds", "How long opening took."),
    S(tail_dropped_bytes, GAUGE, NONE, "tail_dropped_bytes", "Torn end of the log at opening."),
    S(stage_lost, GAUGE, NONE, "stage_lost", "1: staging of this boot was gone at opening."),
    S(background_error, GAUGE, NONE, "background_status",
      "Status of the last failed flush or compaction; 0 = none."),
    S(is_read_only, GAUGE, NONE, "read_only", "1: writes are refused."),
    S(files_pending_removal, GAUGE, NONE, "files_pending_removal", "Files still to be removed."),
};

static const struct metric of_level[] = {
    V(table_count, GAUGE, NONE, "level_tables", "Tables of a level."),
    V(bytes, GAUGE, NONE, "level_bytes", "Bytes of a level."),
    V(entry_count, GAUGE, NONE, "level_entries", "Entries of a level."),
    V(compaction_count, COUNTER, NONE, "level_compactions_total", "Compactions into a level."),
    V(compaction_bytes_read, COUNTER, NONE, "level_compaction_read_bytes_total",
      "Bytes read by compactions into a level."),
    V(compaction_bytes_written, COUNTER, NONE, "level_compaction_written_bytes_total",
      "Bytes written by compactions into a level."),
};

static const struct metric of_loop[] = {
    L(in_flight, GAUGE, NONE, "io_in_flight", "Requests at the device."),
    L(has_direct_io, GAUGE, NONE, "io_direct", "1: past the page cache."),
    L(has_registered_files, GAUGE, NONE, "io_registered_files", "1: files are registered."),
    L(has_registered_buffers, GAUGE, NONE, "io_registered_buffers", "1: buffers are registered."),
    L(registered_bytes, GAUGE, NONE, "io_registered_bytes", "Bytes of registered buffers."),
    L(io_enters, COUNTER, NONE, "io_enters_total", "System calls for I/O."),
    L(io_requests, COUNTER, NONE, "io_requests_total", "Requests."),
    L(io_workers, GAUGE, NONE, "io_workers", "Kernel workers."),
    L(io_syncs, COUNTER, NONE, "io_syncs_total", "Syncs, and writes that are synced."),
    L(bytes_read, COUNTER, NONE, "io_read_bytes_total", "Bytes read."),
    L(bytes_written, COUNTER, NONE, "io_written_bytes_total", "Bytes written."),
    L(io_stalls, COUNTER, NONE, "io_stalls_total", "Requests that took a second or longer."),
    L(io_oldest_ns, GAUGE, SECONDS, "io_oldest_seconds", "Age of the oldest request in flight."),
    L(cache_used, GAUGE, NONE, "cache_used_bytes", "Bytes of blocks in the cache."),
    L(cache_capacity, GAUGE, NONE, "cache_capacity_bytes", "What it may hold."),
    L(cache_pinned, GAUGE, NONE, "cache_pinned_bytes", "Of it: blocks in use."),
    L(run_ns_max, GAUGE, SECONDS, "slice_max_seconds", "The longest run without a pause."),
    L(runs, COUNTER, NONE, "slices_total", "Runs of coroutines."),
    L(runs_over_100us, COUNTER, NONE, "slices_over_100us_total", "Runs longer than 100 us."),
    L(runs_over_500us, COUNTER, NONE, "slices_over_500us_total", "Runs longer than 500 us."),
    L(coroutines, GAUGE, NONE, "coroutines", "Coroutines."),
    L(slow_lost, COUNTER, NONE, "slow_operations_lost_total", "Slow ones nobody was told of."),
};

static const struct metric of_memory[] = {
    M(used, GAUGE, NONE, "memory_used_bytes", "Memory in use."),
    M(peak, GAUGE, NONE, "memory_peak_bytes", "Most memory in use so far."),
    M(limit, GAUGE, NONE, "memory_limit_bytes", "memory_limit."),
    M(loop, GAUGE, NONE, "memory_loop_bytes", "Of it: the loop."),
    M(stacks, GAUGE, NONE, "memory_stacks_bytes", "Of it: stacks of coroutines."),
    M(logs, GAUGE, NONE, "memory_logs_bytes", "Of it: buffers of logs."),
    M(buffers, GAUGE, NONE, "memory_buffers_bytes", "Of it: buffers of flush and compaction."),
    M(cache, GAUGE, NONE, "memory_cache_bytes", "Of it: the block cache."),
    M(memtables, GAUGE, NONE, "memory_memtables_bytes", "Of it: memtables."),
    M(tables, GAUGE, NONE, "memory_tables_bytes", "Of it: open tables."),
    M(versions, GAUGE, NONE, "memory_versions_bytes", "Of it: versions."),
    M(calls, GAUGE, NONE, "memory_calls_bytes", "Of it: calls, iterators, values."),
    M(allocations, COUNTER, NONE, "memory_allocations_total", "Times that memory was asked for."),
};

/* The cache is the loop's, its figures are in the stats of every store. */
static const struct metric of_cache[] = {
    S(block_reads, COUNTER, NONE, "block_reads_total", "Blocks read."),
    S(block_read_bytes, COUNTER, NONE, "block_read_bytes_total", "Bytes read for them."),
    S(cache_hits, COUNTER, NONE, "cache_hits_total", "Blocks found in the cache."),
    S(cache_misses, COUNTER, NONE, "cache_misses_total", "Blocks not found there."),
    S(cache_waits, COUNTER, NONE, "cache_waits_total", "Blocks that were being read already."),
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const measure_names[GYRE_MEASURE_COUNT] = {
    "get",  "multi_get",     "write_durable", "write_buffered", "sync",
    "seek", "iterator_step", "flush",         "compaction"};

/* A page that is being written. */
struct page {
    char *buffer;
    size_t capacity;
    size_t size; /* what all of it takes */
    gyre_loop *loop;
    struct gyre_stats *stats; /* of each open store, in the order of the loop's list */
    uint32_t store_count;
};

/* The open store after `db`, the first one after NULL; NULL: there are no more. One that is being
 * opened or closed has nothing to show. */
static const gyre_db *
next_store(const gyre_loop *loop, const gyre_db *db)
{
    const struct gy_list *node = db != NULL ? &db->link : &loop->stores;

    for (node = node->next; node != &loop->stores; node = node->next) {
        db = gy_container_of((void *)(uintptr_t)node, struct gyre_db, link);
        if (db->state == GY_DB_OPEN) {
            return db;
        }
    }
    return NULL;
}

static void GYRE_PRINTF(2, 3) print(struct page *page, const char *format, ...)
{
    const size_t left = page->size < page->capacity ? page->capacity - page->size : 0;
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(left > 0 ? page->buffer + page->size : NULL, left, format, args);
    va_end(args);
    page->size += length > 0 ? (size_t)length : 0;
}

static void
print_head(struct page *page, const char *name, const char *help, const char *type)
{
    print(page, "# HELP gyre_%s %s\n# TYPE gyre_%s %s\n", name, help, name, type);
}

/* The path as a label's value: backslash, quote and newline have to be escaped. */
static void
print_store(struct page *page, const gyre_db *db)
{
    print(page, "store=\"");
    for (const char *c = db->path; *c != '\0'; c++) {
        if (*c == '\n') {
            print(page, "\\n");
        } else {
            print(page, *c == '\\' || *c == '"' ? "\\%c" : "%c", *c);
        }
    }
    print(page, "\"");
}

/* Nanoseconds as seconds, to the last digit. */
static void
print_seconds(struct page *page, uint64_t ns)
{
    print(page, "%llu.%09llu", (unsigned long long)(ns / GY_NS_PER_S),
          (unsigned long long)(ns % GY_NS_PER_S));
}

static void
print_value(struct page *page, const struct metric *metric, const void *record)
{
    const uint8_t *field = (const uint8_t *)record + metric->offset;
    uint64_t value = 0;
    uint32_t narrow;

    if (metric->width == U64) {
        memcpy(&value, field, sizeof(value));
    } else {
        memcpy(&narrow, field, sizeof(narrow));
        value = narrow;
    }
    print(page, " ");
    if (metric->unit == SECONDS) {
        print_seconds(page, value);
    } else {
        print(page, "%llu", (unsigned long long)value);
    }
    print(page, "\n");
}

static const char *
type_name(const struct metric *metric)
{
    return metric->type == COUNTER ? "counter" : "gauge";
}

static void
print_of_loop(struct page *page, const struct metric *metric, const void *record)
{
    print_head(page, metric->name, metric->help, type_name(metric));
    print(page, "gyre_%s", metric->name);
    print_value(page, metric, record);
}

static void
print_of_stores(struct page *page, const struct metric *metric)
{
    const struct gyre_stats *stats = page->stats;
    const gyre_db *db = NULL;

    print_head(page, metric->name, metric->help, type_name(metric));
    while ((db = next_store(page->loop, db)) != NULL) {
        print(page, "gyre_%s{", metric->name);
        print_store(page, db);
        print(page, "}");
        print_value(page, metric, stats++);
    }
}

static void
print_of_levels(struct page *page, const struct metric *metric)
{
    const struct gyre_stats *stats = page->stats;
    const gyre_db *db = NULL;

    print_head(page, metric->name, metric->help, type_name(metric));
    while ((db = next_store(page->loop, db)) != NULL) {
        for (uint32_t level = 0; level < GYRE_LEVELS_MAX; level++) {
            print(page, "gyre_%s{", metric->name);
            print_store(page, db);
            print(page, ",level=\"%u\"}", level);
            print_value(page, metric, &stats->levels[level]);
        }
        stats++;
    }
}

/* `le` is inclusive and ours are whole nanoseconds: below 2^k is at most 2^k - 1. */
static void
print_histogram(struct page *page, const struct gy_histogram *histogram, const char *name)
{
    for (uint32_t bits = LE_BITS_MIN; bits <= LE_BITS_MAX; bits++) {
        print(page, "gyre_operation_duration_seconds_bucket{operation=\"%s\",le=\"", name);
        print_seconds(page, (1ull << bits) - 1);
        print(page, "\"} %llu\n", (unsigned long long)gy_histogram_count_below(histogram, bits));
    }
    print(page, "gyre_operation_duration_seconds_bucket{operation=\"%s\",le=\"+Inf\"} %llu\n", name,
          (unsigned long long)histogram->count);
    print(page, "gyre_operation_duration_seconds_sum{operation=\"%s\"} ", name);
    print_seconds(page, histogram->sum);
    print(page, "\ngyre_operation_duration_seconds_count{operation=\"%s\"} %llu\n", name,
          (unsigned long long)histogram->count);
}

static void
print_page(struct page *page)
{
    struct gyre_loop_stats loop_stats;
    struct gyre_memory memory;

    gy_loop_stats_fill(page->loop, &loop_stats);
    gy_memory_fill(page->loop, &memory);
    print_head(page, "build_info", "Version of the library, and how it does I/O.", "gauge");
    print(page, "gyre_build_info{version=\"%s\",io=\"%s\"} 1\n", gyre_version(),
          loop_stats.io_name);
    for (size_t i = 0; i < COUNT_OF(of_loop); i++) {
        print_of_loop(page, &of_loop[i], &loop_stats);
    }
    for (size_t i = 0; i < COUNT_OF(of_memory); i++) {
        print_of_loop(page, &of_memory[i], &memory);
    }
    print_head(page, "operation_duration_seconds",
               "Durations of operations; of quick ones a sample that counts for all.", "histogram");
    for (uint32_t i = 0; i < GYRE_MEASURE_COUNT; i++) {
        print_histogram(page, &page->loop->measures->histograms[i], measure_names[i]);
    }
    if (page->store_count == 0) {
        return;
    }
    for (size_t i = 0; i < COUNT_OF(of_cache); i++) {
        print_of_loop(page, &of_cache[i], page->stats);
    }
    for (size_t i = 0; i < COUNT_OF(of_store); i++) {
        print_of_stores(page, &of_store[i]);
    }
    for (size_t i = 0; i < COUNT_OF(of_level); i++) {
        print_of_levels(page, &of_level[i]);
    }
}

gyre_status
gyre_metrics_text(gyre_loop *loop, char *buffer, size_t capacity, size_t *ret_size)
{
    struct page page = {.buffer = buffer, .capacity = capacity, .loop = loop};
    const gyre_db *db = NULL;
    const gyre_status status = gy_loop_check(loop);

    if (status != GYRE_OK) {
        return status;
    }
    if (buffer == NULL && capacity > 0) {
        return gy_loop_fail(loop, GYRE_INVALID, "gyre_metrics_text: the buffer is NULL");
    }
    page.stats =
        gy_heap_alloc(&loop->io.heap, (loop->store_count + 1) * sizeof(*page.stats), GY_MEM_CALL);
    if (page.stats == NULL) {
        return gy_loop_fail(loop, GYRE_NO_MEMORY, "no memory to gather the figures");
    }
    while ((db = next_store(loop, db)) != NULL) {
        gy_assert(page.store_count < loop->store_count);
        gy_stats_fill(db, &page.stats[page.store_count++]);
    }
    print_page(&page);
    gy_heap_free(&loop->io.heap, page.stats);
    if (ret_size != NULL) {
        *ret_size = page.size;
    }
    return GYRE_OK;
}
