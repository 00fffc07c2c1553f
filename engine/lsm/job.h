/* job.h - running a flush or a compaction: entries in, finished tables out. Nothing is installed
 * here; the caller records the result in the manifest and installs it (db/background.c).
 *
 *   J1  Versions that a snapshot needs are kept: of the versions of one user key, the newest at
 *       or below each snapshot (and below "now") stays; the others go.
 *   J2  A tombstone goes only when no older entry of its key can exist below: no table of a
 *       deeper level, and no table of the input or output level outside the job, overlaps it;
 *       and no snapshot needs it.
 *   J3  All versions of a user key end up in one output table.
 *   J4  In the last level, the sequence of an entry that every snapshot sees is zeroed (J1
 *       holds), which makes its tag one byte.
 *   J5  Any child's failure fails the job; its outputs are removed (output_count is 0); the
 *       inputs are untouched.
 *   J6  entries in = what the inputs' manifest entries (the memtable) say = entries out +
 *       entries dropped, and the sum of their hashes is that of the inputs' footers (the
 *       memtable's), checked at the end: else CORRUPT. So what changed in the memtable or in a
 *       cached block never becomes a valid table.
 *   J7  It yields (gy_await_turn) at least after each block and each 4 entries; and it spends
 *       bytes at the pacer.
 *   J8  An output ends at table_size, or earlier where it would lie across much of the level
 *       below it (GY_COMPACT_SPAN_MAX), so that moving it on later costs no more than usual.
 *   J9  With a gate it stands still at J7 while the gate is closed, holding what it has; when
 *       somebody else waits for its turn meanwhile, it gives up with CANCELED instead. One that a
 *       call waits for (is_awaited) gives up at once.
 */
#ifndef GY_JOB_H
#define GY_JOB_H

#include "engine/lsm/compact_pick.h"
#include "engine/lsm/pacer.h"
#include "engine/mem/memtable.h"

/* Transfer buffers (GY_BUFFER_SIZE of the arena) that a job holds at most: its writer's, and two
 * for each table that a compaction reads at once (each of level 0, one of each deeper level and
 * the next one of it). A job waits for buffers while it holds some, so an arena has room for one
 * flush, one compaction and the log together. */
#define GY_FLUSH_BUFFERS 2u
#define GY_COMPACT_BUFFERS (2u + 2u * (GY_COMPACT_LEVEL0_MAX + 2u))

/* Where jobs stand still (J9). */
struct gy_job_gate {
    bool is_closed;
    struct gy_waitq opened;   /* woken too when `cancel` becomes true */
};

#define GY_JOB_GATE_LOOK_NS (50ull * 1000000ull) /* at a closed gate: does anybody else wait? */

/* What both need to write tables. `next_number` and `random` are called without suspension. */
struct gy_job_context {
    struct gy_loop *loop;
    struct gy_arena *arena;
    struct gy_cache *cache;          /* for its compressor */
    const struct gy_file *dir;
    struct gy_pacer *pacer;          /* NULL: unpaced */
    uint64_t store_id;
    uint32_t keyspace;
    uint32_t block_size;
    uint32_t bloom_bits;
    bool compress_level[GY_LEVEL_COUNT];
    int compression_level;
    uint64_t table_size;             /* outputs are cut at this size */
    uint64_t *next_file_number;      /* taken and raised */
    const bool *cancel;              /* may be NULL; true: stop with CANCELED as soon as possible */
    struct gy_job_gate *gate;        /* may be NULL; J9 */
    bool is_awaited;                 /* by a call: J9 */
    const struct gy_mutex *turn;     /* what the caller holds while the job runs; may be NULL */
    uint64_t bytes_max;              /* of all outputs: NO_SPACE past it; 0 = no limit */
};

struct gy_job_output {
    struct gy_table_meta meta;       /* smallest and largest: heap copies owned by the list */
};

struct gy_job_result {
    struct gy_job_output *outputs;
    uint32_t output_count;
    uint32_t output_capacity;
    uint64_t bytes_read;       /* of files; 0 for a flush */
    uint64_t bytes_written;    /* of files */
    uint64_t entries_in;
    uint64_t entries_dropped;  /* J1, J2 */
};

void gy_job_result_init(struct gy_job_result *result);
void gy_job_result_fini(struct gy_job_result *result, struct gy_heap *heap);

/* One frozen memtable into tables of level 0 (usually one). `snapshots`: ascending, as J1. The
 * files are durable, the directory is not yet synced. */
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_flush_await_run(const struct gy_job_context *context, struct gy_memtable *memtable,
                   const uint64_t *snapshots, uint32_t snapshot_count,
                   struct gy_job_result *result);

/* `version` is the one that the job was picked from. */
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_compact_await_run(const struct gy_job_context *context, struct gy_version *version,
                     const struct gy_compact_job *job, const uint64_t *snapshots,
                     uint32_t snapshot_count, struct gy_job_result *result);

/* Remove the files of a result that will not be installed; it has no outputs after. The
 * coroutine's error stays. A file that cannot be removed is an orphan until the next open. */
GY_SUSPENDS void gy_job_await_discard(const struct gy_job_context *context,
                                      struct gy_job_result *result);

#endif
