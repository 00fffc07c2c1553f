/* compactor.c - the coroutine that runs what gy_compact_pick says, and when nothing is due what
 * readers want (wanted.h): rewrite or move, record in the manifest, install. Also used by
 * gyre_compact_range, which picks for itself.
 */
#include "engine/db/background.h"
#include "engine/db/measure.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"
#include "io/base/probes.h"

#include "io/base/ban.h"

static struct gy_sched *
sched_of(gyre_db *db)
{
    return &db->loop->io.sched;
}

static void
mark_inputs(struct gy_compact_job *job, bool busy)
{
    for (uint32_t side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < job->input_count[side]; i++) {
            job->inputs[side][i]->being_compacted = busy;
        }
    }
}

static GY_SUSPENDS gyre_status
await_compact_install(gyre_db *db, struct gy_compact_job *job, const struct gy_job_result *result)
{
    const uint32_t removed_count = job->input_count[0] + job->input_count[1];
    struct gy_table **removed =
        gy_heap_alloc(&db->loop->io.heap, (removed_count + 1) * sizeof(*removed), GY_MEM_VERSION);
    struct gy_outputs outputs;
    struct gy_install install = {0};
    uint32_t at;
    gyre_status status;

    if (removed == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory to install tables");
    }
    status = gy_outputs_make(db, result, removed_count + 1, &outputs);
    if (status != GYRE_OK) {
        gy_heap_free(&db->loop->io.heap, removed);
        return status;
    }
    gy_space_job_end(db); /* the outputs count by themselves from here on */
    at = outputs.count;
    gy_edit_counters(db, &outputs.edits[at++]);
    for (uint32_t side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < job->input_count[side]; i++) {
            struct gy_table *table = job->inputs[side][i];

            removed[at - outputs.count - 1] = table;
            outputs.edits[at].kind = GY_EDIT_REMOVE_TABLE;
            outputs.edits[at].u.remove.keyspace = table->meta.keyspace;
            outputs.edits[at].u.remove.level = table->meta.level;
            outputs.edits[at].u.remove.number = table->meta.number;
            at++;
        }
    }
    install.edits = outputs.edits;
    install.edit_count = at;
    install.change = (struct gy_version_change){.added = outputs.tables,
                                                .added_count = outputs.count,
                                                .removed = removed,
                                                .removed_count = removed_count};
    if (outputs.count > 0) {
        status = gy_outputs_await_check(db, &outputs);
    }
    if (status == GYRE_OK && outputs.count > 0) {
        status = gy_dir_await_sync(&db->loop->io, &db->dir);
    }
    if (status == GYRE_OK) {
        status = gy_db_await_install(db, &install);
    }
    gy_outputs_fini(db, &outputs);
    gy_heap_free(&db->loop->io.heap, removed);
    return status;
}

/* The same file in the next level: a manifest entry, no bytes moved. */
static GY_SUSPENDS gyre_status
await_move(gyre_db *db, struct gy_compact_job *job)
{
    struct gy_table *table = job->inputs[0][0];
    struct gy_edit edits[2] = {{.kind = GY_EDIT_REMOVE_TABLE}, {.kind = GY_EDIT_ADD_TABLE}};
    struct gy_install install = {.edits = edits, .edit_count = 2, .keep_files = true};
    struct gy_table *moved;
    gyre_status status;

    moved = gy_table_make_moved(table, job->level_output);
    if (moved == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory to install tables");
    }
    edits[0].u.remove.keyspace = table->meta.keyspace;
    edits[0].u.remove.level = table->meta.level;
    edits[0].u.remove.number = table->meta.number;
    edits[1].u.table = moved->meta;
    install.change = (struct gy_version_change){
        .added = &moved, .added_count = 1, .removed = &table, .removed_count = 1};
    status = gy_db_await_install(db, &install);
    if (status == GYRE_OK) {
        GY_SOMETIMES(table_moved_down);
        db->counters.compaction_trivial_moves++;
    }
    gy_table_unref(moved);
    return status;
}

static void
count_compaction(gyre_db *db, const struct gy_compact_job *job, const struct gy_job_result *result)
{
    db->counters.compaction_count++;
    db->counters.compaction_bytes_read += result->bytes_read;
    db->counters.compaction_bytes_written += result->bytes_written;
    db->counters.entries_dropped += result->entries_dropped;
    db->counters.levels[job->level_output].compaction_count++;
    db->counters.levels[job->level_output].compaction_bytes_read += result->bytes_read;
    db->counters.levels[job->level_output].compaction_bytes_written += result->bytes_written;
}

static GY_SUSPENDS gyre_status
await_rewrite(gyre_db *db, struct gy_version *version, struct gy_compact_job *job, uint64_t budget)
{
    struct gy_job_context context;
    struct gy_job_result result;
    uint64_t *snapshots = NULL;
    uint32_t snapshot_count = 0;
    gyre_status status = gy_db_snapshot_list(db, &snapshots, &snapshot_count);
    const uint64_t begun_ns = gy_loop_now(&db->loop->io);

    if (status != GYRE_OK) {
        return status;
    }
    GY_PROBE2(compaction__start, db->store_id, job->level_output);
    gy_db_job_context(db, &context);
    context.turn = &db->loop->compact_turn;
    context.bytes_max = budget;
    /* by gyre_compact_range: the compactor rests then */
    context.is_awaited = db->compact_paused && !GY_MUTANT(pause_holds_caller);
    gy_job_result_init(&result);
    status = gy_compact_await_run(&context, version, job, snapshots, snapshot_count, &result);
    if (status == GYRE_OK) {
        status = await_compact_install(db, job, &result);
        if (status == GYRE_OK) {
            GY_SOMETIMES(compacted);
            count_compaction(db, job, &result);
            gy_measure_note(db->loop->measures, GYRE_MEASURE_COMPACTION,
                            gy_sub_sat(gy_loop_now(&db->loop->io), begun_ns), true);
            gy_event_job_done(db, GYRE_EVENT_COMPACTED, result.bytes_written, job->level_output);
        } else if (db->manifest.poison == GYRE_OK) { /* else nobody knows whether they count */
            struct gyre_error error = *gy_sched_error(sched_of(db));

            gy_job_await_discard(&context, &result);
            *gy_sched_error(sched_of(db)) = error;
        }
    }
    GY_PROBE4(compaction__done, db->store_id, job->level_output, result.bytes_written, status);
    if (status == GYRE_CANCELED) {
        GY_SOMETIMES(compaction_cancelled);
    }
    if (status == GYRE_NO_SPACE) {
        GY_SOMETIMES(compaction_found_disk_full);
    }
    if (status == GYRE_CORRUPT) {
        GY_SOMETIMES(compaction_found_damage);
    }
    gy_job_result_fini(&result, &db->loop->io.heap);
    gy_heap_free(&db->loop->io.heap, snapshots);
    return status;
}

GY_SUSPENDS gyre_status
gy_db_await_compact(gyre_db *db, struct gy_version *version, struct gy_compact_job *job)
{
    struct gy_co *co = sched_of(db)->current;
    const enum gy_co_class klass = co->klass;
    uint64_t budget = 0;
    gyre_status status;

    gy_version_ref(version);
    mark_inputs(job, true);
    /* also when a user asked for it: reads and writes come first */
    co->klass = GY_CLASS_BACKGROUND;
    if (job->is_trivial_move) {
        status = await_move(db, job);
    } else {
        gy_mutex_await_lock(sched_of(db), &db->loop->compact_turn);
        status = gy_space_await_job(db, job, &budget);
        if (status == GYRE_OK) {
            status = await_rewrite(db, version, job, budget);
            gy_space_job_end(db);
        }
        gy_mutex_unlock(&db->loop->compact_turn);
    }
    co->klass = klass;
    mark_inputs(job, false);
    gy_version_unref(version);
    gy_db_kick(db);
    return status;
}

/* What is due; else what readers want. */
static bool
pick(gyre_db *db, struct gy_compact_job *job)
{
    struct gy_wanted_range *range;

    if (!gy_background_may_work(db) || db->compact_paused || db->options.background_off) {
        return false;
    }
    if (gy_compact_pick(db->view->version, &db->compact_options, &db->compact_cursor, job) ||
        gy_space_pick(db, job)) {
        gy_compact_cursor_advance(&db->loop->io.heap, &db->compact_cursor, job);
        return true;
    }
    range = gy_wanted_pick(db, job);
    if (range != NULL) {
        gy_wanted_pay(db, range, job);
    }
    return range != NULL;
}

/* Nothing failed: a job was not begun for want of space. Who waits for flushes is not concerned. */
static void
note_waiting(gyre_db *db)
{
    db->background_error = *gy_sched_error(sched_of(db));
    db->background_failures++;
    db->events.error_ns = gy_loop_now(&db->loop->io);
    gy_event_update(db);
    gy_waitq_wake_all(&db->installed);
}

void
gy_compactor_main(void *arg)
{
    gyre_db *db = arg;
    struct gy_compact_job job;

    gy_in_coroutine();
    while (!db->stop) {
        gyre_status status;

        if (!pick(db, &job)) {
            db->space.job_waits = false;
            gy_waitq_await(sched_of(db), &db->work);
            continue;
        }
        db->compact_running = true;
        status = gy_db_await_compact(db, db->view->version, &job);
        db->compact_running = false;
        if (status == GYRE_NO_SPACE && db->space.job_waits) {
            note_waiting(db);
        } else {
            gy_background_note(db, status, "compaction");
        }
        if (status != GYRE_OK && !db->stop) {
            gy_await_sleep(sched_of(db), GY_BACKGROUND_RETRY_NS);
        }
    }
    db->background_live--;
    gy_waitq_wake_all(&db->installed);
}
