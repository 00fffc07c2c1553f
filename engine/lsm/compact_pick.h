/* compact_pick.h - which compaction to do next: a pure function of a version.
 *
 * Leveled with dynamic level sizes: the last level that holds data is as large as it is, each level above it has the
 * target size of the one below divided by level_ratio; level 0 compacts into the `base level`, the first level whose
 * target is at least base_bytes_min. Scores: level 0: tables / level0_tables (and bytes / base target); others:
 * bytes / target. The highest score >= 1 is worked on; within a level the table with the least overlap below per own byte, going round
 * by key, so that no range is forgotten. A table that overlaps nothing below moves without being rewritten.
 */
#ifndef GY_COMPACT_PICK_H
#define GY_COMPACT_PICK_H

#include "engine/lsm/version.h"

#define GY_COMPACT_INPUTS_MAX 256u

struct gy_compact_options {
    uint32_t level0_tables;
    uint32_t level_ratio;
    uint64_t base_bytes_min;  /* target of the base level: about level0_tables * memtable_size */
    uint64_t table_size;
    uint64_t job_bytes_max;   /* inputs of one job stay below, where possible */
};

struct gy_compact_job {
    uint32_t level;                  /* of inputs[0] */
    uint32_t level_output;
    struct gy_table *inputs[2][GY_COMPACT_INPUTS_MAX]; /* of `level` and of `level_output`; level 0: newest first */
    uint32_t input_count[2];
    uint64_t input_bytes;
    bool is_trivial_move;
};

/* Where to continue going round, per level; in memory only. */
struct gy_compact_cursor {
    uint8_t *key[GY_LEVEL_COUNT];    /* heap, GY_MEM_VERSION; largest key of the last pick */
    uint32_t key_size[GY_LEVEL_COUNT];
};

uint32_t gy_compact_base_level(const struct gy_version *version,
                               const struct gy_compact_options *options);
/* Target bytes of each level (level 0: 0). */
void gy_compact_targets(const struct gy_version *version, const struct gy_compact_options *options,
                        uint64_t ret_targets[GY_LEVEL_COUNT]);
/* False: nothing is due. Tables with being_compacted are left alone. `job` is large: heap, not stack. */
bool gy_compact_pick(const struct gy_version *version, const struct gy_compact_options *options,
                     const struct gy_compact_cursor *cursor, struct gy_compact_job *ret_job);
/* For compact_range: the next job that moves data of [from, to] out of `level` into level + 1 (level 0: into the base level). The
 * last level that has data is rewritten in place once when `rewrite_last` is set. */
bool gy_compact_pick_range(const struct gy_version *version, const struct gy_compact_options *options,
                           uint32_t level, struct gyre_slice from, struct gyre_slice to,
                           bool rewrite_last, struct gy_compact_job *ret_job);
/* Bytes that compaction has to move until no level is over its target (an estimate: excess * (1 + overlap ratio)). */
uint64_t gy_compact_debt(const struct gy_version *version, const struct gy_compact_options *options);

#endif
