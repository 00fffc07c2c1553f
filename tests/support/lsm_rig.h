/* lsm_rig.h - flush and compaction on a simulated disk: a loop, a cache, a set of tables, and a
 * version that lives. */
#ifndef GY_TEST_LSM_RIG_H
#define GY_TEST_LSM_RIG_H

#include "engine/lsm/cursors.h"
#include "engine/lsm/job.h"
#include "io/sim/world_sim.h"

struct lsm_rig {
    struct gy_heap disk_heap;
    struct gy_sim_disk *disk;
    struct gy_world *world;
    struct gy_loop loop;
    struct gy_rng chaos;
    struct gy_arena arena;
    struct gy_cache *cache;
    struct gy_region_pool regions;
    struct gy_file dir;
    struct gy_table_set set;
    uint64_t next_number;
    struct gy_job_context context;
    struct gy_compact_options options;
    struct gy_version *version;
    struct gy_compact_job job;  /* the last one of lsm_rig_await_settle */
    uint64_t job_count;
    uint64_t move_count;
};

/* Tables of about 16 KiB on a disk of that seed. Asserts that it works. */
void lsm_rig_init(struct lsm_rig *rig, uint64_t seed);
/* Asserts that nothing was left behind and that no rule of the world was broken. */
void lsm_rig_fini(struct lsm_rig *rig);
/* Run fn(arg) in a coroutine until it and all that it started has ended. */
void lsm_rig_run(struct lsm_rig *rig, void (*fn)(void *arg), void *arg);

/* A memtable of the rig; the caller has the reference. */
struct gy_memtable *lsm_rig_memtable(struct lsm_rig *rig);
void lsm_rig_add(struct gy_memtable *memtable, struct gyre_slice key, uint64_t sequence,
                 enum gy_kind kind, struct gyre_slice value);

/* version = version - removed + outputs of `result` (which it ends). Removed tables' files go
 * when nobody has them. */
GY_SUSPENDS void lsm_rig_await_install(struct lsm_rig *rig, struct gy_table *const *removed,
                                       uint32_t removed_count, struct gy_job_result *result);
/* Freeze, flush, install. */
GY_SUSPENDS void lsm_rig_await_flush(struct lsm_rig *rig, struct gy_memtable *memtable,
                                     const uint64_t *snapshots, uint32_t snapshot_count);
/* Run a job and install what it gives; moves too. */
GY_SUSPENDS gyre_status lsm_rig_await_job(struct lsm_rig *rig, const struct gy_compact_job *job,
                                          const uint64_t *snapshots, uint32_t snapshot_count);
/* Run picks until nothing is due. */
GY_SUSPENDS void lsm_rig_await_settle(struct lsm_rig *rig, const uint64_t *snapshots,
                                      uint32_t snapshot_count);
/* All of it down into the last level, which is rewritten, as compact_range does. */
GY_SUSPENDS void lsm_rig_await_compact_all(struct lsm_rig *rig, const uint64_t *snapshots,
                                           uint32_t snapshot_count);
/* Flush the memtable and put its one table into `level` instead. */
GY_SUSPENDS void lsm_rig_await_place(struct lsm_rig *rig, struct gy_memtable *memtable,
                                     uint32_t level);
/* A merge over all tables of the version. */
struct gy_cursor *lsm_rig_cursor(struct lsm_rig *rig, enum gy_table_cursor_mode mode);
/* Does the file of that number exist? */
bool lsm_rig_has_file(const struct lsm_rig *rig, uint64_t number);

#endif
