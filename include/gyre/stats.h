/* gyre/stats.h - what a store and a loop have done and hold. Reading never suspends and costs
 * nothing worth naming. Counters are since open. Sizes are bytes, times nanoseconds.
 */
#ifndef GYRE_STATS_H
#define GYRE_STATS_H

#include "gyre/db.h"

GYRE_EXTERN_C_BEGIN

#define GYRE_LEVELS_MAX 7u

struct gyre_level_stats {
    uint64_t table_count;
    uint64_t bytes;
    uint64_t entry_count;
    uint64_t compaction_count;         /* jobs whose output went into this level */
    uint64_t compaction_bytes_read;
    uint64_t compaction_bytes_written;
};

struct gyre_stats {
    uint32_t struct_size;              /* set by the caller: sizeof(struct gyre_stats) */
    uint32_t level_count;              /* GYRE_LEVELS_MAX */
    /* operations */
    uint64_t puts, deletes, batches;   /* puts and deletes count those in batches too */
    uint64_t gets, gets_found;
    uint64_t multi_gets, multi_get_keys;
    uint64_t iterator_seeks, iterator_steps;
    uint64_t user_bytes_written;       /* keys and values */
    uint64_t user_bytes_read;
    /* log */
    uint64_t wal_groups, wal_bytes_written, wal_syncs, wal_switches;
    uint64_t wal_live_bytes;           /* of logs that are still needed */
    uint64_t wal_group_records_max;
    /* tables and background work */
    uint64_t flush_count, flush_bytes_written;
    uint64_t compaction_count, compaction_bytes_read, compaction_bytes_written;
    uint64_t compaction_trivial_moves;
    uint64_t compaction_debt;          /* bytes that compaction has still to move */
    uint64_t manifest_bytes_written;
    uint64_t entries_dropped;          /* overwritten and deleted entries removed by compaction */
    /* reads */
    uint64_t block_reads, block_read_bytes;
    /* waits: another coroutine was reading it already */
    uint64_t cache_hits, cache_misses, cache_waits;
    uint64_t filter_checks, filter_negatives, filter_false_positives;
    uint64_t memtable_hits;
    /* stalls */
    uint64_t stall_count, stall_ns, stall_ns_max; /* writers slowed by the pacer */
    uint64_t write_ns_max;             /* the longest single write */
    uint64_t write_agains;             /* GYRE_WRITE_NO_WAIT that were told to stay away */
    /* state */
    uint64_t memtable_bytes, memtable_count;
    uint64_t sequence;                 /* last published */
    uint64_t snapshot_count, iterator_count, value_pin_count;
    uint64_t table_count, table_bytes, open_table_count;
    uint64_t recovered_records;        /* replayed from logs at this open */
    uint64_t recovered_ns;             /* time of this open */
    uint64_t tail_dropped_bytes;       /* torn tail of a log that was not closed cleanly */
    uint64_t stage_lost;               /* 1: BUFFERED staging of this same boot was gone at open */
    /* gyre_status of the last failed flush or compaction, 0 = none */
    uint32_t background_error;
    uint32_t is_read_only;             /* opened so, or the log failed */
    uint64_t files_pending_removal;
    struct gyre_level_stats levels[GYRE_LEVELS_MAX];
    uint64_t scans, scan_rows, scan_skips; /* gyre_scan: calls, rows given, entries passed over */
    uint64_t tombstone_compactions;    /* jobs done because readers met many tombstones */
    /* Append here. */
};

/* Fill *stats; stats->struct_size must be set. */
GYRE_API gyre_status gyre_stats(gyre_db *db, struct gyre_stats *stats);

struct gyre_loop_stats {
    uint32_t struct_size;              /* set by the caller */
    uint32_t in_flight;
    char io_name[16];                  /* "io_uring", "sync" (blocking), "sim" */
    char io_reason[160];               /* why not io_uring; "" = it is */
    uint32_t has_direct_io, has_registered_files, has_registered_buffers, ring_flags;
    uint64_t registered_bytes;
    uint64_t io_enters, io_requests, io_workers; /* io_workers: kernel workers (iou-wrk) now */
    uint64_t io_syncs;
    uint64_t bytes_read, bytes_written;
    uint64_t memory_used, memory_peak, memory_limit; /* what for: gyre_memory */
    uint64_t cache_used, cache_capacity, cache_pinned;
    /* longest uninterrupted run of a coroutine (thread CPU time) */
    uint64_t run_ns_max;
    char run_name_max[32];             /* who */
    uint64_t runs, runs_over_100us, runs_over_500us;
    uint64_t coroutines;
    /* a device that hangs: requests that took a second or longer, those it still holds included,
     * and how long it has held the oldest one */
    uint64_t io_stalls, io_oldest_ns;
    uint64_t slow_lost;                /* slow operations that nobody was told of (gyre_on_slow) */
    /* Append here. */
};

GYRE_API gyre_status gyre_loop_stats(gyre_loop *loop, struct gyre_loop_stats *stats);

/* Start the watchdog's maxima and the worst latencies anew: after a warm-up. */
GYRE_API void gyre_stats_reset_maxima(gyre_db *db);

/* ---- How long things took ---- */

enum gyre_measure {
    GYRE_MEASURE_GET,
    GYRE_MEASURE_MULTI_GET,
    GYRE_MEASURE_WRITE_DURABLE,  /* put, delete, write */
    GYRE_MEASURE_WRITE_BUFFERED,
    GYRE_MEASURE_SYNC,
    GYRE_MEASURE_ITERATOR_SEEK,  /* first, last, seek, seek_for_prev */
    GYRE_MEASURE_ITERATOR_STEP,  /* next, prev */
    GYRE_MEASURE_FLUSH,          /* of a memtable to a table, in the background or not */
    GYRE_MEASURE_COMPACTION,     /* one job */
    GYRE_MEASURE_COUNT
};

/* All stores of a loop since it was opened, submitted operations and plain calls. Quantiles are the
 * middles of buckets an eighth of their value wide: at most 6.3 % off. Of what is quick a sample is
 * timed and counts for all (gyre/trace.h), so `count` is about right and max_ns is that of the
 * sample; the counters of gyre_stats are exact. */
struct gyre_histogram {
    uint32_t struct_size;              /* set by the caller */
    uint32_t reserved_;
    uint64_t count, sum_ns;
    uint64_t p50_ns, p90_ns, p99_ns, p999_ns, p9999_ns, max_ns;
    /* Append here. */
};

GYRE_API gyre_status gyre_histogram(gyre_loop *loop, enum gyre_measure measure,
                                    struct gyre_histogram *histogram);

/* All figures of a loop and its stores in the text format of Prometheus (version 0.0.4, to be
 * served as `text/plain; version=0.0.4`): counters, gauges and histograms, in seconds and bytes,
 * with store="path". Two loops are two pages to scrape: their texts must not be put together.
 * Writes at most `capacity` bytes including a final NUL; *ret_size is the whole length without it.
 * Does not suspend; takes 0.1 to 1 ms. NO_MEMORY, INVALID (no buffer). */
GYRE_API GYRE_NODISCARD gyre_status gyre_metrics_text(gyre_loop *loop, char *buffer,
                                                      size_t capacity, size_t *ret_size);

/* One property as text. Names: "gyre.stats" (everything, many lines), "gyre.levels",
 * "gyre.options", "gyre.io", "gyre.memory", "gyre.sequence", "gyre.store-id", "gyre.format",
 * "gyre.explain" (what each value is, from what, and what binds now: engine/db/explain.c). Writes
 * at most `capacity` bytes including a final NUL; *ret_size is the whole length without it.
 * NOT_FOUND: no such property. */
GYRE_API GYRE_NODISCARD gyre_status gyre_property(gyre_db *db, const char *name, char *buffer,
                                                  size_t capacity, size_t *ret_size);

GYRE_EXTERN_C_END

#endif
