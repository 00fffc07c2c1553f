/* compact_pick.h - which compaction to do next: a pure function of a version.
 *
 * Leveled with dynamic level sizes. The last level that holds data (the bottom) is as large as
 * it is; each level above it has the target size of the one below divided by level_ratio; level
 * 0 compacts into the base level, the first level whose target is at least base_bytes_min, or
 * the first one that has data if that lies higher (nothing may be passed by). A level above that
 * keeps its target while it is at least half of base_bytes_min (so that a bottom that swings
 * around a multiple of the ratio moves nothing); else its target is 0 and it drains.
 *
 *   D1  Due is: level 0 with level0_tables tables or more bytes than the base level's target; a
 *       level from 1 to above the bottom with more bytes than its target. The highest bytes :
 *       target is worked on first.
 *   D2  Level 0 gives its oldest tables (the end of its list), at most GY_COMPACT_LEVEL0_MAX, so
 *       what stays is newer than what goes. Deeper levels give the table with the least overlap
 *       below per own byte (half of it for one that is all tombstones) among the next
 *       GY_COMPACT_WINDOW by key after the last pick, or the first of them that has been passed
 *       over for long, so that no range is forgotten; and its neighbours while the job stays
 *       small.
 *   D3  A job takes every table of the output level that overlaps the hull of its inputs.
 *   D4  A single table that overlaps nothing below moves without being rewritten, unless it
 *       would take tombstones to the bottom or lie across too much of the level after.
 *   D5  Levels that have a table with being_compacted are left alone, as input and as output:
 *       two jobs at once never meet in a level, so outputs cannot overlap.
 */
#ifndef GY_COMPACT_PICK_H
#define GY_COMPACT_PICK_H

#include "engine/lsm/version.h"

#define GY_COMPACT_LEVEL0_MAX 12u  /* tables of level 0 in one job: each holds read buffers */
/* Tables of one level >= 1 in a job, where possible: bounds its manifest edits. */
#define GY_COMPACT_INPUTS_MAX 4096u
#define GY_COMPACT_WINDOW 32u
/* A table should not lie across more than this many times table_size of the level below: it
 * would be dear to move. */
#define GY_COMPACT_SPAN_MAX 12u

struct gy_compact_options {
    uint32_t level0_tables;
    uint32_t level_ratio;
    uint64_t base_bytes_min;  /* target of the base level: about level0_tables * memtable_size */
    uint64_t table_size;
    uint64_t job_bytes_max;   /* inputs of one job stay below, where possible */
};

/* `inputs` point into the version that the job was picked from: hold a reference on it as long
 * as the job. */
struct gy_compact_job {
    uint32_t level;                    /* of inputs[0] */
    uint32_t level_output;             /* == level: rewritten in place, inputs[1] is empty */
    struct gy_table *const *inputs[2]; /* neighbours in `level`, in `level_output` */
    uint32_t input_count[2];
    uint64_t input_bytes;
    bool is_trivial_move; /* the one table of inputs[0] goes to level_output as it is */
};

/* Where to continue going round, per level; in memory only. Zeroed: from the start. */
struct gy_compact_cursor {
    uint8_t *key[GY_LEVEL_COUNT];    /* heap, GY_MEM_VERSION; largest key of the last pick */
    uint32_t key_size[GY_LEVEL_COUNT];
};

/* The job was picked: the next round in its level goes on after it. Without memory the old place
 * stays. */
void gy_compact_cursor_advance(struct gy_heap *heap, struct gy_compact_cursor *cursor,
                               const struct gy_compact_job *job);
void gy_compact_cursor_fini(struct gy_heap *heap, struct gy_compact_cursor *cursor);

uint32_t gy_compact_base_level(const struct gy_version *version,
                               const struct gy_compact_options *options);
/* Target bytes of each level (level 0 and what drains: 0; below the bottom: UINT64_MAX). Returns
 * the base level. */
uint32_t gy_compact_targets(const struct gy_version *version,
                            const struct gy_compact_options *options,
                            uint64_t ret_targets[GY_LEVEL_COUNT]);
/* False: nothing is due, or what is due is being worked on (D5). `cursor` may be NULL. */
bool gy_compact_pick(const struct gy_version *version, const struct gy_compact_options *options,
                     const struct gy_compact_cursor *cursor, struct gy_compact_job *ret_job);
/* For compact_range: the next job that moves data of [from, to] (data NULL = open end) out of
 * `level` into level + 1 (level 0: into the base level). The bottom is left alone unless
 * `rewrite_last` is set: then its tables are rewritten in place; the caller goes on behind the
 * last key of the job. False: there is nothing (more) to do in this level. */
bool gy_compact_pick_range(const struct gy_version *version,
                           const struct gy_compact_options *options,
                           uint32_t level, struct gyre_slice from, struct gyre_slice to,
                           bool rewrite_last, struct gy_compact_job *ret_job);
/* A range whose tombstones readers had to pass over. */
struct gy_compact_wanted {
    struct gyre_slice from;
    struct gyre_slice to;   /* inclusive */
    uint64_t sequence;      /* tables that hold nothing so old have none of them */
    uint64_t number_limit;  /* tables of the bottom from this number on were rewritten for it */
};
/* The next job that takes tombstones of the range further down, or away: from level 0 on the first
 * tables that have any. False: there is none, or what is to be done is being worked on (D5).
 * (compact_wanted.c) */
bool gy_compact_pick_wanted(const struct gy_version *version,
                            const struct gy_compact_options *options,
                            const struct gy_compact_wanted *wanted,
                            struct gy_compact_job *ret_job);
/* Bytes that compaction has to move until nothing is due (an estimate: what is too much in a
 * level, and what it overlaps below, down to the bottom). 0 exactly when nothing is due. */
uint64_t gy_compact_debt(const struct gy_version *version,
                         const struct gy_compact_options *options);

#endif
