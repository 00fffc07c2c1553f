/* compact_run.c - a compaction that was picked: its tables merged into new ones. */
#include "engine/lsm/cursors.h"
#include "engine/lsm/job_run.h"

#include "io/base/assert.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* Each table of level 0 by itself; of a deeper level all at once; and those of the output level. */
#define CHILDREN_MAX (GY_COMPACT_LEVEL0_MAX + 1u)

static gyre_status
make_level_child(struct gy_version *version, const struct gy_compact_job *job, uint32_t side,
                 struct gy_cursor **ret_child)
{
    const uint32_t level = side == 0 ? job->level : job->level_output;
    const size_t first = (size_t)(job->inputs[side] - version->levels[level].tables);

    return gy_level_cursor_make(version, level, (uint32_t)first, job->input_count[side],
                                GY_CURSOR_COMPACT, GY_CACHE_NO_FILL, 0, ret_child);
}

/* Newer inputs first: where (key, tag) are equal, which only salvage can bring about, the newer
 * one stays. */
static gyre_status
make_children(struct gy_version *version, const struct gy_compact_job *job,
              struct gy_cursor *children[CHILDREN_MAX], uint32_t *count)
{
    gyre_status status = GYRE_OK;

    if (job->level == 0) {
        gy_assert(job->input_count[0] <= GY_COMPACT_LEVEL0_MAX);
        for (uint32_t i = 0; status == GYRE_OK && i < job->input_count[0]; i++) {
            status = gy_table_cursor_make(job->inputs[0][i], GY_CURSOR_COMPACT, GY_CACHE_NO_FILL, 0,
                                          &children[*count]);
            *count += status == GYRE_OK ? 1 : 0;
        }
    } else if (job->input_count[0] > 0) {
        status = make_level_child(version, job, 0, &children[*count]);
        *count += status == GYRE_OK ? 1 : 0;
    }
    if (status == GYRE_OK && job->input_count[1] > 0) {
        status = make_level_child(version, job, 1, &children[*count]);
        *count += status == GYRE_OK ? 1 : 0;
    }
    return status;
}

static gyre_status
make_cursor(struct gy_heap *heap, struct gy_version *version, const struct gy_compact_job *job,
            struct gy_cursor **ret_cursor)
{
    struct gy_cursor *children[CHILDREN_MAX];
    uint32_t count = 0;
    const gyre_status status = make_children(version, job, children, &count);

    if (status != GYRE_OK) {
        while (count > 0) {
            gy_cursor_close(children[--count]);
        }
        return status;
    }
    return gy_merge_cursor_make(heap, children, count, ret_cursor);
}

/* J6: what manifest and footers say of the inputs. */
static GY_SUSPENDS gyre_status
await_expectations(const struct gy_compact_job *job, struct gy_job_run *run)
{
    for (uint32_t side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < job->input_count[side]; i++) {
            struct gy_footer footer;
            const gyre_status status = gy_table_await_footer(job->inputs[side][i], &footer);

            if (status != GYRE_OK) {
                return status;
            }
            run->entries_expected += job->inputs[side][i]->meta.entry_count;
            run->hash_expected += footer.content_hash;
        }
    }
    return GYRE_OK;
}

GY_SUSPENDS gyre_status
gy_compact_await_run(const struct gy_job_context *context, struct gy_version *version,
                     const struct gy_compact_job *job, const uint64_t *snapshots,
                     uint32_t snapshot_count, struct gy_job_result *result)
{
    struct gy_job_run run = {.context = context,
                             .snapshots = snapshots,
                             .snapshot_count = snapshot_count,
                             .result = result,
                             .klass = GY_IO_COMPACT_WRITE,
                             .output_size_max = context->table_size,
                             .size_expected = job->input_bytes};
    struct gy_cursor *cursor = NULL;
    gyre_status status;

    gy_assert(!job->is_trivial_move);
    status = await_expectations(job, &run);
    if (status != GYRE_OK) {
        return status;
    }
    gy_job_levels_init(&run.levels, version, job);
    status = make_cursor(&context->loop->heap, version, job, &cursor);
    if (status != GYRE_OK) {
        return gy_fail(&context->loop->sched, status, "no memory for a compaction");
    }
    status = gy_job_await_run(&run, cursor);
    gy_cursor_close(cursor);
    result->bytes_read = job->input_bytes;
    return status;
}
