/* flush.c - one frozen memtable into tables of level 0. */
#include "engine/lsm/cursors.h"
#include "engine/lsm/job_run.h"

#include "io/base/assert.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

GY_SUSPENDS gyre_status
gy_flush_await_run(const struct gy_job_context *context, struct gy_memtable *memtable,
                   const uint64_t *snapshots, uint32_t snapshot_count, struct gy_job_result *result)
{
    struct gy_job_run run = {
        .context = context,
        .snapshots = snapshots,
        .snapshot_count = snapshot_count,
        .result = result,
        .klass = GY_IO_FLUSH,
        /* A memtable that is a little larger than a table stays one: each table of level 0
                              * is one more place to look. */
        .output_size_max = context->table_size + context->table_size / 2,
        .size_expected = gy_memtable_used(memtable),
        .entries_expected = gy_memtable_count(memtable),
        .hash_expected = gy_memtable_content_hash(memtable)};
    struct gy_cursor *cursor = NULL;
    gyre_status status;

    gy_assert(gy_memtable_is_frozen(memtable)); /* nobody can add to it while we are away */
    gy_job_levels_init(&run.levels, NULL, NULL);
    status = gy_memtable_cursor_make(&context->loop->heap, memtable, &cursor);
    if (status != GYRE_OK) {
        return gy_fail(&context->loop->sched, status, "no memory for a flush");
    }
    status = gy_job_await_run(&run, cursor);
    gy_cursor_close(cursor);
    return status;
}
