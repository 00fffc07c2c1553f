/* background.c - what goes on beside the calls: flush, compaction, removal of files, and the pressure that they put on writers.
 *
 * Three coroutines, each pick -> run -> record -> install: the flusher takes the oldest frozen memtable whose commits are all published;
 * the compactor takes what gy_compact_pick says; the remover unlinks tables that nobody can see. A failed job leaves its inputs and is tried
 * again after a pause; a failed manifest write ends background work until the store is reopened.
 */
#include "engine/db/db.h"
#include "engine/disk/names.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define RETRY_NS (200ull * GY_NS_PER_MS)

static struct gy_sched *
sched_of(gyre_db *db)
{
    return &db->loop->io.sched;
}

/* ---- Pressure ---- */

/* 0 below `soft`, 1024 at `hard`. */
static uint32_t
ramp(uint64_t value, uint64_t soft, uint64_t hard)
{
    if (value <= soft) {
        return 0;
    }
    if (value >= hard) {
        return 1024;
    }
    return (uint32_t)((value - soft) * 1024 / (hard - soft));
}

static uint32_t
pressure(const gyre_db *db)
{
    const struct gy_version *version = db->view->version;
    const uint64_t debt = gy_compact_debt(version, &db->compact_options);
    const uint32_t level0 = db->options.level0_tables;
    uint64_t most;

    if (db->options.background_off) {
        return 0;
    }
    most = ramp(debt, 8 * db->compact_options.base_bytes_min, 64 * db->compact_options.base_bytes_min);
    most = gy_max_u64(most, ramp(version->levels[0].count, 3 * level0, 9 * level0));
    if (db->options.memtable_count_max > 2) {
        most = gy_max_u64(most, ramp(db->view->frozen_count, db->options.memtable_count_max - 2,
                                     db->options.memtable_count_max));
    }
    return (uint32_t)most;
}

void
gy_db_kick(gyre_db *db)
{
    gy_pacer_set_pressure(&db->pacer, pressure(db));
    gy_waitq_wake_all(&db->work);
}

void
gy_db_job_context(gyre_db *db, struct gy_job_context *ret_context)
{
    const struct gy_db_options *o = &db->options;
    struct gy_job_context context = {.loop = &db->loop->io,
                                     .arena = &db->loop->arena,
                                     .cache = db->loop->cache,
                                     .dir = &db->dir,
                                     .pacer = &db->pacer,
                                     .store_id = db->store_id,
                                     .keyspace = GY_KEYSPACE_DEFAULT,
                                     .block_size = o->block_size,
                                     .bloom_bits = o->bloom_bits,
                                     .compression_level = o->compression_level,
                                     .table_size = o->table_size,
                                     .next_file_number = &db->next_file_number,
                                     .cancel = &db->stop};

    for (uint32_t i = 0; i < GY_LEVEL_COUNT; i++) {
        context.compress_level[i] = o->compression == GYRE_COMPRESSION_ZSTD ||
                                    (o->compression == GYRE_COMPRESSION_DEFAULT && i >= 2);
    }
    *ret_context = context;
}

static void
note_failure(gyre_db *db, gyre_status status, const char *what)
{
    if (status == GYRE_CANCELED) {
        return;
    }
    db->background_status = status;
    if (status != GYRE_OK) {
        db->background_error = *gy_sched_error(sched_of(db));
        db->background_failures++;
        gy_loop_log(db->loop, GYRE_LOG_ERROR, "%s failed: %s", what, db->background_error.text);
    }
    gy_waitq_wake_all(&db->installed);
    gy_waitq_wake_all(&db->room);
}

/* Manifest entries for the outputs of a job, and gy_tables for the version. */
struct outputs {
    struct gy_edit *edits;
    struct gy_table **tables;
    uint32_t count;
};

static void
outputs_fini(gyre_db *db, struct outputs *outputs)
{
    for (uint32_t i = 0; i < outputs->count; i++) {
        gy_table_unref(outputs->tables[i]); /* the version has its own reference, or nobody has */
    }
    gy_heap_free(&db->loop->io.heap, outputs->tables);
    gy_heap_free(&db->loop->io.heap, outputs->edits);
}

/* `extra` more edits fit behind those of the tables. */
static gyre_status
outputs_make(gyre_db *db, const struct gy_job_result *result, uint32_t extra,
             struct outputs *ret_outputs)
{
    struct gy_heap *heap = &db->loop->io.heap;
    const uint32_t count = result->output_count;
    struct outputs outputs = {0};

    outputs.edits = gy_heap_zalloc(heap, (count + extra) * sizeof(struct gy_edit), GY_MEM_VERSION);
    outputs.tables = gy_heap_zalloc(heap, (count + 1) * sizeof(struct gy_table *), GY_MEM_VERSION);
    for (uint32_t i = 0; outputs.edits != NULL && outputs.tables != NULL && i < count; i++) {
        outputs.edits[i].kind = GY_EDIT_ADD_TABLE;
        outputs.edits[i].u.table = result->outputs[i].meta;
        outputs.tables[i] = gy_table_make(&db->tables, &result->outputs[i].meta);
        if (outputs.tables[i] == NULL) {
            break;
        }
        outputs.count++;
    }
    if (outputs.edits == NULL || outputs.tables == NULL || outputs.count < count) {
        outputs_fini(db, &outputs);
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory to install tables");
    }
    *ret_outputs = outputs;
    return GYRE_OK;
}

static void
edit_counters(gyre_db *db, struct gy_edit *edit)
{
    edit->kind = GY_EDIT_COUNTERS;
    edit->u.counters.next_file_number = db->next_file_number;
    edit->u.counters.last_sequence = gy_db_visible(db);
}

/* ---- Flush ---- */

static struct gy_memtable *
flush_candidate(gyre_db *db)
{
    struct gy_memtable *oldest;

    if (db->view->frozen_count == 0) {
        return NULL;
    }
    oldest = db->view->frozen[db->view->frozen_count - 1];
    /* What is not published may never be: a failed log leaves it out of the store. */
    return gy_memtable_sequence_last(oldest) <= gy_db_visible(db) ? oldest : NULL;
}

static GY_SUSPENDS gyre_status
await_flush_install(gyre_db *db, struct gy_memtable *memtable, const struct gy_job_result *result)
{
    const uint64_t flushed = gy_memtable_sequence_last(memtable);
    struct outputs outputs;
    struct gy_install install = {.drop_memtable = memtable};
    gyre_status status = outputs_make(db, result, 2, &outputs);

    if (status != GYRE_OK) {
        return status;
    }
    edit_counters(db, &outputs.edits[outputs.count]);
    outputs.edits[outputs.count + 1].kind = GY_EDIT_FLUSHED;
    outputs.edits[outputs.count + 1].u.flushed.sequence = flushed;
    outputs.edits[outputs.count + 1].u.flushed.log_min =
        db->has_wal || db->state == GY_DB_OPENING ? gy_wal_log_min(&db->wal, flushed)
                                                  : db->next_file_number;
    install.edits = outputs.edits;
    install.edit_count = outputs.count + 2;
    install.change.added = outputs.tables;
    install.change.added_count = outputs.count;
    status = gy_dir_await_sync(&db->loop->io, &db->dir);
    if (status == GYRE_OK) {
        status = gy_db_await_install(db, &install);
    }
    if (status == GYRE_OK && db->has_wal) {
        gy_wal_release(&db->wal, db->log_min);
    }
    outputs_fini(db, &outputs);
    return status;
}

static GY_SUSPENDS gyre_status
await_flush_one(gyre_db *db, struct gy_memtable *memtable)
{
    struct gy_job_context context;
    struct gy_job_result result;
    uint64_t *snapshots = NULL;
    uint32_t snapshot_count = 0;
    gyre_status status = gy_db_snapshot_list(db, &snapshots, &snapshot_count);

    if (status != GYRE_OK) {
        return status;
    }
    gy_memtable_ref(memtable);
    gy_db_job_context(db, &context);
    gy_job_result_init(&result);
    gy_mutex_await_lock(sched_of(db), &db->loop->flush_turn);
    status = gy_flush_await_run(&context, memtable, snapshots, snapshot_count, &result);
    gy_mutex_unlock(&db->loop->flush_turn);
    if (status == GYRE_OK) {
        status = await_flush_install(db, memtable, &result);
        if (status != GYRE_OK && db->manifest.poison == GYRE_OK) {
            struct gyre_error error = *gy_sched_error(sched_of(db));

            gy_job_await_discard(&context, &result);
            *gy_sched_error(sched_of(db)) = error;
        }
    }
    if (status == GYRE_OK) {
        db->counters.flush_count++;
        db->counters.flush_bytes_written += result.bytes_written;
        db->counters.entries_dropped += result.entries_dropped;
    }
    gy_job_result_fini(&result, &db->loop->io.heap);
    gy_heap_free(&db->loop->io.heap, snapshots);
    gy_memtable_unref(memtable);
    return status;
}

GY_SUSPENDS gyre_status
gy_db_await_flush_active(gyre_db *db)
{
    gyre_status status = gy_db_rotate(db);

    while (status == GYRE_OK && db->view->frozen_count > 0) {
        status = await_flush_one(db, db->view->frozen[db->view->frozen_count - 1]);
    }
    return status;
}

/* Logs are running out, or they hold more than they may: freeze the memtable that keeps the oldest one. */
static void
relieve_logs(gyre_db *db)
{
    if (db->has_wal && db->wal.room_wanted && db->view->frozen_count == 0) {
        (void)gy_db_rotate(db); /* no memory: tried again at the next event */
    }
}

static bool
may_work(const gyre_db *db)
{
    return !db->stop && db->manifest.poison == GYRE_OK;
}

static void
flusher_main(void *arg)
{
    gyre_db *db = arg;

    gy_in_coroutine();
    while (!db->stop) {
        struct gy_memtable *memtable;
        gyre_status status;

        relieve_logs(db);
        memtable = may_work(db) ? flush_candidate(db) : NULL;
        if (memtable == NULL) {
            gy_waitq_await(sched_of(db), &db->work);
            continue;
        }
        db->flush_running = true;
        status = await_flush_one(db, memtable);
        db->flush_running = false;
        note_failure(db, status, "flush");
        gy_db_kick(db);
        if (status != GYRE_OK && !db->stop) {
            gy_await_sleep(sched_of(db), RETRY_NS);
        }
    }
    db->background_live--;
    gy_waitq_wake_all(&db->installed);
}

/* Passes the log's events (published, short of slots) on to the flusher. */
static void
watcher_main(void *arg)
{
    gyre_db *db = arg;

    gy_in_coroutine();
    while (!db->stop) {
        if (db->wal.room_wanted || db->view->frozen_count > 0 || db->wal.poison != GYRE_OK) {
            gy_waitq_wake_all(&db->work);
        }
        if (db->wal.poison != GYRE_OK) {
            gy_waitq_wake_all(&db->room);
        }
        gy_waitq_await(sched_of(db), &db->wal.events);
    }
    db->background_live--;
    gy_waitq_wake_all(&db->installed);
}

GY_SUSPENDS gyre_status
gy_db_await_flushed(gyre_db *db, uint64_t sequence)
{
    const uint64_t failures_before = db->background_failures;

    while (db->flushed_sequence < sequence) {
        if (db->manifest.poison != GYRE_OK || (db->has_wal && db->wal.poison != GYRE_OK)) {
            return gy_loop_fail(db->loop, GYRE_READ_ONLY,
                                "a write of the log or the manifest failed; reopen the store");
        }
        if (db->background_status != GYRE_OK && db->background_failures != failures_before) {
            *gy_sched_error(sched_of(db)) = db->background_error;
            return db->background_status;
        }
        if (db->stop) {
            return gy_loop_fail(db->loop, GYRE_CLOSED, "the store is closing");
        }
        if (gy_memtable_count(db->view->active) > 0 &&
            gy_memtable_sequence_first(db->view->active) <= sequence) {
            const gyre_status status = gy_db_rotate(db);

            if (status == GYRE_NO_MEMORY) {
                return status;
            }
        }
        gy_db_kick(db);
        gy_waitq_await(sched_of(db), &db->installed);
    }
    return GYRE_OK;
}

/* ---- Compaction ---- */

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
    struct gy_table **removed = gy_heap_alloc(
        &db->loop->io.heap, (removed_count + 1) * sizeof(*removed), GY_MEM_VERSION);
    struct outputs outputs;
    struct gy_install install = {0};
    uint32_t at;
    gyre_status status;

    if (removed == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory to install tables");
    }
    status = outputs_make(db, result, removed_count + 1, &outputs);
    if (status != GYRE_OK) {
        gy_heap_free(&db->loop->io.heap, removed);
        return status;
    }
    at = outputs.count;
    edit_counters(db, &outputs.edits[at++]);
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
        status = gy_dir_await_sync(&db->loop->io, &db->dir);
    }
    if (status == GYRE_OK) {
        status = gy_db_await_install(db, &install);
    }
    outputs_fini(db, &outputs);
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
await_rewrite(gyre_db *db, struct gy_version *version, struct gy_compact_job *job)
{
    struct gy_job_context context;
    struct gy_job_result result;
    uint64_t *snapshots = NULL;
    uint32_t snapshot_count = 0;
    gyre_status status = gy_db_snapshot_list(db, &snapshots, &snapshot_count);

    if (status != GYRE_OK) {
        return status;
    }
    gy_db_job_context(db, &context);
    gy_job_result_init(&result);
    status = gy_compact_await_run(&context, version, job, snapshots, snapshot_count, &result);
    if (status == GYRE_OK) {
        status = await_compact_install(db, job, &result);
        if (status == GYRE_OK) {
            count_compaction(db, job, &result);
        } else if (db->manifest.poison == GYRE_OK) { /* else nobody knows whether they count */
            struct gyre_error error = *gy_sched_error(sched_of(db));

            gy_job_await_discard(&context, &result);
            *gy_sched_error(sched_of(db)) = error;
        }
    }
    gy_job_result_fini(&result, &db->loop->io.heap);
    gy_heap_free(&db->loop->io.heap, snapshots);
    return status;
}

GY_SUSPENDS gyre_status
gy_db_await_compact(gyre_db *db, struct gy_version *version, struct gy_compact_job *job)
{
    gyre_status status;

    gy_version_ref(version);
    mark_inputs(job, true);
    if (job->is_trivial_move) {
        status = await_move(db, job);
    } else {
        gy_mutex_await_lock(sched_of(db), &db->loop->compact_turn);
        status = await_rewrite(db, version, job);
        gy_mutex_unlock(&db->loop->compact_turn);
    }
    mark_inputs(job, false);
    gy_version_unref(version);
    gy_db_kick(db);
    return status;
}

static bool
is_compaction_due(gyre_db *db, struct gy_compact_job *job)
{
    return may_work(db) && !db->compact_paused && !db->options.background_off &&
           gy_compact_pick(db->view->version, &db->compact_options, &db->compact_cursor, job);
}

static void
compactor_main(void *arg)
{
    gyre_db *db = arg;
    struct gy_compact_job job;

    gy_in_coroutine();
    while (!db->stop) {
        gyre_status status;

        if (!is_compaction_due(db, &job)) {
            gy_waitq_await(sched_of(db), &db->work);
            continue;
        }
        db->compact_running = true;
        gy_compact_cursor_advance(&db->loop->io.heap, &db->compact_cursor, &job);
        status = gy_db_await_compact(db, db->view->version, &job);
        db->compact_running = false;
        note_failure(db, status, "compaction");
        if (status != GYRE_OK && !db->stop) {
            gy_await_sleep(sched_of(db), RETRY_NS);
        }
    }
    db->background_live--;
    gy_waitq_wake_all(&db->installed);
}

/* ---- Removal ---- */

static void
remover_main(void *arg)
{
    gyre_db *db = arg;
    struct gy_table_set *set = &db->tables;

    gy_in_coroutine();
    while (!db->stop || set->removed_count > 0) {
        char name[GY_NAME_MAX];

        if (set->removed_count == 0) {
            gy_waitq_await(sched_of(db), &set->removed_waiters);
            continue;
        }
        gy_name_table(name, set->removed[set->removed_count - 1]);
        set->removed_count--;
        if (db->manifest.poison == GYRE_OK) { /* else the edit that freed it may not be there */
            (void)gy_file_await_unlink(&db->loop->io, &db->dir, name); /* an orphan: removed at open */
        }
    }
    db->background_live--;
    gy_waitq_wake_all(&db->installed);
}

/* ---- Start and stop ---- */

GY_SUSPENDS void
gy_background_await_stop(gyre_db *db)
{
    db->stop = true;
    gy_waitq_wake_all(&db->work);
    gy_waitq_wake_all(&db->tables.removed_waiters);
    gy_waitq_wake_all(&db->installed);
    gy_waitq_wake_all(&db->room);
    if (db->has_wal) {
        gy_waitq_wake_all(&db->wal.events);
    }
    gy_pacer_close(&db->pacer);
    while (db->background_live > 0) {
        gy_waitq_await(sched_of(db), &db->installed);
    }
}

GY_SUSPENDS gyre_status
gy_background_await_start(gyre_db *db)
{
    static const struct {
        const char *name;
        void (*fn)(void *arg);
    } coroutines[] = {{"flush", flusher_main},
                      {"compaction", compactor_main},
                      {"remove", remover_main},
                      {"log watch", watcher_main}};
    const size_t count = sizeof(coroutines) / sizeof(coroutines[0]) - (db->has_wal ? 0 : 1);

    for (size_t i = 0; i < count; i++) {
        const gyre_status status =
            gy_spawn(sched_of(db), GY_CLASS_BACKGROUND, coroutines[i].name, coroutines[i].fn, db,
                     NULL);

        if (status != GYRE_OK) {
            gy_background_await_stop(db);
            return gy_loop_fail(db->loop, status, "no coroutine for background work");
        }
        db->background_live++;
    }
    gy_db_kick(db);
    return GYRE_OK;
}
