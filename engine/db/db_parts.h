/* db_parts.h - plain parts of struct gyre_db: what its options came to, and what it counts. */
#ifndef GY_DB_PARTS_H
#define GY_DB_PARTS_H

#include "engine/codec/limits.h"
#include "gyre/options.h"

/* What options come to, once defaults are derived and ranges checked (db/options.c). */
struct gy_db_options {
    uint32_t flags;
    enum gyre_durability durability;
    enum gyre_compression compression;
    int compression_level;
    uint32_t bloom_bits;           /* 0 = none */
    uint64_t memtable_size;
    uint32_t memtable_count_max;
    uint32_t block_size;
    uint64_t table_size;
    uint64_t wal_slot_size;
    uint32_t wal_slot_count_max;
    uint32_t wal_linger_ms;
    uint32_t wal_buffer_size;
    uint32_t level0_tables;
    uint32_t level_ratio;
    uint32_t open_files_max;
    uint32_t iterators_max;
    bool background_off;
    bool paranoid;
    uint64_t disk_quota;           /* 0 = none */
    uint64_t disk_reserve;         /* as given: 0 = derived, UINT64_MAX = none */
    struct gyre_options given;     /* zeros where the default is to hold */
};

struct gy_db_counters {
    uint64_t puts, deletes, batches, gets, gets_found, multi_gets, multi_get_keys;
    uint64_t iterator_seeks, iterator_steps, user_bytes_written, user_bytes_read, memtable_hits;
    uint64_t flush_count, flush_bytes_written;
    uint64_t compaction_count, compaction_bytes_read, compaction_bytes_written;
    uint64_t compaction_trivial_moves, entries_dropped, tombstone_compactions;
    uint64_t scans, scan_rows, scan_skips;
    uint64_t write_ns_max, again_count;
    uint64_t recovered_records, recovered_ns, tail_dropped_bytes, stage_lost;
    struct {
        uint64_t compaction_count, compaction_bytes_read, compaction_bytes_written;
    } levels[GY_LEVEL_COUNT];
};

#endif
