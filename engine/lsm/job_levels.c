/* job_levels.c - what lies around a compaction at a key: is anything older of it left outside
 * the job, and how much of the level below does an output lie across? Keys come in ascending
 * order, so each level is walked once.
 */
#include "engine/lsm/job_run.h"

#include "io/base/assert.h"
#include "io/base/checked.h"

#include "io/base/ban.h"

/* Index of the job's first table on `side` in its level. */
static uint32_t
index_of(const struct gy_version *version, uint32_t level, const struct gy_compact_job *job,
         uint32_t side)
{
    const struct gy_level *l = &version->levels[level];
    const size_t first = (size_t)(job->inputs[side] - l->tables);

    gy_assert(first < l->count && job->input_count[side] <= l->count - first);
    return (uint32_t)first;
}

void
gy_job_levels_init(struct gy_job_levels *levels, const struct gy_version *version,
                   const struct gy_compact_job *job)
{
    *levels = (struct gy_job_levels){.version = NULL};
    if (job == NULL) {
        return;
    }
    levels->version = version;
    levels->level = job->level;
    levels->level_output = job->level_output;
    for (uint32_t side = 0; side < 2; side++) {
        const uint32_t level = side == 0 ? job->level : job->level_output;

        if (job->input_count[side] > 0) {
            levels->job_first[level] = index_of(version, level, job, side);
            levels->job_end[level] = levels->job_first[level] + job->input_count[side];
        }
    }
    levels->output_is_last = true;
    for (uint32_t level = job->level_output + 1; level < GY_LEVEL_COUNT; level++) {
        if (version->levels[level].count > 0) {
            levels->output_is_last = false;
        }
    }
}

static bool
is_in_job(const struct gy_job_levels *levels, uint32_t level, uint32_t at)
{
    return at >= levels->job_first[level] && at < levels->job_end[level];
}

static bool
has_key_in_range(const struct gy_table *table, struct gyre_slice key)
{
    return gy_key_compare(table->meta.smallest, key) <= 0 &&
           gy_key_compare(key, table->meta.largest) <= 0;
}

bool
gy_job_levels_is_alone(struct gy_job_levels *levels, struct gyre_slice key)
{
    const struct gy_version *version = levels->version;

    if (version == NULL) {
        return false;
    }
    if (levels->level == 0) {
        /* Those before the job's are newer; those behind it are older and may hold what a
         * tombstone hides. */
        for (uint32_t i = levels->job_end[0]; i < version->levels[0].count; i++) {
            if (has_key_in_range(version->levels[0].tables[i], key)) {
                return false;
            }
        }
    }
    /* Every level from the input's down: the output's, those between, those below it. */
    for (uint32_t level = levels->level > 0 ? levels->level : 1; level < GY_LEVEL_COUNT; level++) {
        if (GY_MUTANT(tombstone_looks_one_level_down) && level > levels->level + 1) {
            break;
        }
        const struct gy_level *l = &version->levels[level];
        uint32_t at = levels->at[level];

        while (at < l->count && gy_key_compare(l->tables[at]->meta.largest, key) < 0) {
            at++;
        }
        levels->at[level] = at;
        if (at < l->count && !is_in_job(levels, level, at) &&
            gy_key_compare(l->tables[at]->meta.smallest, key) <= 0) {
            return false;
        }
    }
    return true;
}

bool
gy_job_levels_ends_output(struct gy_job_levels *levels, struct gyre_slice key, bool has_output,
                          uint64_t size, uint64_t table_size)
{
    const struct gy_level *below;
    bool has_crossed = false;

    if (levels->version == NULL || levels->output_is_last) {
        return false;
    }
    below = &levels->version->levels[levels->level_output + 1];
    while (levels->below_at < below->count &&
           gy_key_compare(below->tables[levels->below_at]->meta.largest, key) < 0) {
        if (has_output) {
            levels->below_bytes += below->tables[levels->below_at]->meta.size;
            has_crossed = true;
        }
        levels->below_at++;
    }
    /* An output that is nearly full ends where a table below ends: it will overlap one table
     * less. */
    return levels->below_bytes > GY_COMPACT_SPAN_MAX * table_size ||
           (has_crossed && size >= table_size - table_size / 4);
}
