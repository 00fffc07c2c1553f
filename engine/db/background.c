/* background.c - what goes on beside the calls: flush, compaction, removal of files, and the
 * pressure that they put on writers.
 *
 * Three coroutines, each pick -> run -> record -> install: the flusher takes the oldest frozen
 * memtable whose commits are all published; the compactor takes what gy_compact_pick says; the
 * remover unlinks tables that nobody can see. A failed job leaves its inputs and is tried again
 * after a pause; a failed manifest write ends background work until the store is reopened.
 */
#include "engine/db/background.h"
#include "engine/db/begin.h"
#include "engine/db/measure.h"
#include "engine/disk/names.h"
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

/* ---- Pressure ---- */

bool
gy_background_may_work(const gyre_db *db)
{
    return !db->stop && (!db->gate.is_closed || GY_MUTANT(pause_does_not_hold)) &&
           db->manifest.poison == GYRE_OK;
}

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

    if (db->options.background_off || db->background_status != GYRE_OK || db->space.job_waits ||
        !gy_background_may_work(db)) {
        return 0; /* nothing works the debt off: writers would wait for nothing */
    }
    most =
        ramp(debt, 8 * db->compact_options.base_bytes_min, 64 * db->compact_options.base_bytes_min);
    most = gy_max_u64(most, ramp(version->levels[0].count, 3 * level0, 9 * level0));
    if (version->levels[0].count > 3 * level0) {
        GY_SOMETIMES(level0_pressed);
    }
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
    gy_space_update(db);
    gy_event_update(db);
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
                                     .cancel = &db->stop,
                                     .gate = &db->gate};

    for (uint32_t i = 0; i < GY_LEVEL_COUNT; i++) {
        context.compress_level[i] = o->compression == GYRE_COMPRESSION_ZSTD ||
                                    (o->compression == GYRE_COMPRESSION_DEFAULT && i >= 2);
    }
    *ret_context = context;
}

void
gy_background_note(gyre_db *db, gyre_status status, const char *what)
{
    if (status == GYRE_CANCELED) {
        return;
    }
    if (status == GYRE_OK && db->background_status != GYRE_OK) {
        GY_SOMETIMES(background_resumed);
    }
    if (status != GYRE_OK || !GY_MUTANT(health_forgets_error)) {
        db->background_status = status;
    }
    if (status != GYRE_OK) {
        db->background_error = *gy_sched_error(sched_of(db));
        db->background_failures++;
        db->events.error_ns = gy_loop_now(&db->loop->io);
        gy_event_note_damage(db, status);
        gy_loop_log(db->loop, GYRE_LOG_ERROR, "%s failed: %s", what, db->background_error.text);
    }
    gy_event_update(db);
    gy_waitq_wake_all(&db->installed);
    if (!GY_MUTANT(room_not_told_of)) {
        gy_waitq_wake_all(&db->room);
    }
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
    if (GY_MUTANT(unpublished_is_flushed)) {
        return oldest;
    }
    if (gy_memtable_sequence_last(oldest) > gy_db_visible(db)) {
        GY_SOMETIMES(flush_waited_for_answers);
        return NULL;
    }
    return oldest;
}

static GY_SUSPENDS gyre_status
await_flush_install(gyre_db *db, struct gy_memtable *memtable, const struct gy_job_result *result)
{
    const uint64_t flushed = gy_memtable_sequence_last(memtable);
    struct gy_outputs outputs;
    struct gy_install install = {.drop_memtable = memtable};
    gyre_status status = gy_outputs_make(db, result, 2, &outputs);

    if (status != GYRE_OK) {
        return status;
    }
    gy_edit_counters(db, &outputs.edits[outputs.count]);
    outputs.edits[outputs.count + 1].kind = GY_EDIT_FLUSHED;
    outputs.edits[outputs.count + 1].u.flushed.sequence = flushed;
    outputs.edits[outputs.count + 1].u.flushed.log_min =
        db->has_wal || db->state == GY_DB_OPENING || db->waiting != NULL
            ? gy_wal_log_min(&db->wal, flushed)
            : db->next_file_number;
    install.edits = outputs.edits;
    install.edit_count = outputs.count + 2;
    install.change.added = outputs.tables;
    install.change.added_count = outputs.count;
    status = gy_outputs_await_check(db, &outputs);
    if (status == GYRE_OK && !GY_MUTANT(table_name_not_synced)) {
        status = gy_dir_await_sync(&db->loop->io, &db->dir);
    }
    if (status == GYRE_OK) {
        status = gy_db_await_install(db, &install);
    }
    if (status == GYRE_OK && db->has_wal) {
        gy_wal_release(&db->wal, db->log_min);
    }
    gy_outputs_fini(db, &outputs);
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
    const uint64_t begun_ns = gy_loop_now(&db->loop->io);

    if (status != GYRE_OK) {
        return status;
    }
    GY_PROBE2(flush__start, db->store_id, gy_memtable_bytes(memtable));
    gy_memtable_ref(memtable);
    gy_db_job_context(db, &context);
    context.turn = &db->loop->flush_turn;
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
    if (status == GYRE_NO_SPACE) {
        GY_SOMETIMES(flush_found_disk_full);
    }
    if (snapshot_count > 0) {
        GY_SOMETIMES(flush_under_snapshot);
    }
    if (status == GYRE_OK) {
        GY_SOMETIMES(flushed);
        db->counters.flush_count++;
        db->counters.flush_bytes_written += result.bytes_written;
        db->counters.entries_dropped += result.entries_dropped;
        gy_measure_note(db->loop->measures, GYRE_MEASURE_FLUSH,
                        gy_sub_sat(gy_loop_now(&db->loop->io), begun_ns), true);
        gy_event_job_done(db, GYRE_EVENT_FLUSHED, result.bytes_written, 0);
    }
    GY_PROBE3(flush__done, db->store_id, result.bytes_written, status);
    gy_job_result_fini(&result, &db->loop->io.heap);
    gy_heap_free(&db->loop->io.heap, snapshots);
    gy_memtable_unref(memtable);
    return status;
}

GY_SUSPENDS gyre_status
gy_db_await_flush_active(gyre_db *db)
{
    gyre_status status = GYRE_OK;

    for (;;) { /* frozen ones may be left of a try that failed */
        while (status == GYRE_OK && db->view->frozen_count > 0) {
            status = await_flush_one(db, db->view->frozen[db->view->frozen_count - 1]);
        }
        if (status != GYRE_OK || gy_memtable_count(db->view->active) == 0) {
            return status;
        }
        status = gy_db_rotate(db);
    }
}

/* Logs are running out, or they hold more than they may: freeze the memtable that keeps the oldest
 * one. */
static void
relieve_logs(gyre_db *db)
{
    if (db->has_wal && db->wal.room_wanted && db->view->frozen_count == 0) {
        GY_SOMETIMES(logs_relieved);
        (void)gy_db_rotate(db); /* no memory: tried again at the next event */
    }
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
        memtable = gy_background_may_work(db) ? flush_candidate(db) : NULL;
        if (memtable == NULL) {
            gy_waitq_await(sched_of(db), &db->work);
            continue;
        }
        db->flush_running = true;
        status = await_flush_one(db, memtable);
        db->flush_running = false;
        gy_background_note(db, status, "flush");
        if (db->has_wal && status != GYRE_CANCELED) {
            gy_wal_note_release(&db->wal, status);
        }
        gy_space_await_ask(db);
        gy_db_kick(db);
        if (status != GYRE_OK && !db->stop) {
            gy_await_sleep(sched_of(db), GY_BACKGROUND_RETRY_NS);
        }
    }
    db->background_live--;
    gy_waitq_wake_all(&db->installed);
}

/* Passes the log's events on: published and short of slots to the flusher, no space for a slot to
 * who asks for it, since no writer may come to do so. */
static void
watcher_main(void *arg)
{
    gyre_db *db = arg;

    gy_in_coroutine();
    while (!db->stop) {
        if (db->wal.room_wanted || db->view->frozen_count > 0 || db->wal.poison != GYRE_OK) {
            gy_waitq_wake_all(&db->work);
        }
        if (db->wal.slot_status == GYRE_NO_SPACE) {
            gy_space_ask_later(db);
        }
        if (db->wal.poison != GYRE_OK) {
            gy_waitq_wake_all(&db->room);
            gy_waitq_wake_all(&db->installed); /* what is not published is never flushed */
        }
        gy_waitq_await(sched_of(db), &db->wal.events);
    }
    db->background_live--;
    gy_waitq_wake_all(&db->installed);
}

/* Is anything at or below `sequence` in a memtable? Numbers alone do not tell: a power cut may have
 * taken the last ones. */
static bool
is_in_memtable(const gyre_db *db, uint64_t sequence)
{
    const struct gy_view *view = db->view;
    const struct gy_memtable *oldest =
        view->frozen_count > 0 ? view->frozen[view->frozen_count - 1] : view->active;

    return gy_memtable_count(oldest) > 0 && gy_memtable_sequence_first(oldest) <= sequence;
}

GY_SUSPENDS gyre_status
gy_db_await_flushed(gyre_db *db, uint64_t sequence)
{
    const uint64_t failures_before = db->background_failures;
    gyre_status status;

    while (is_in_memtable(db, sequence)) {
        if (db->waiting != NULL) {
            return gy_begin_refusal(db);
        }
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
        status = gy_pause_refusal(db);
        if (status != GYRE_OK) {
            return status;
        }
        if (gy_memtable_count(db->view->active) > 0 &&
            gy_memtable_sequence_first(db->view->active) <= sequence) {
            status = gy_db_rotate(db);
            if (status == GYRE_NO_MEMORY) {
                return status;
            }
        }
        gy_db_kick(db);
        status = gy_scope_await(sched_of(db), &db->installed);
        if (status != GYRE_OK) {
            return status;
        }
    }
    return GYRE_OK;
}

/* ---- Removal ---- */

/* Freed blocks are discarded with the next commit of the file system's journal, and a device that
 * works on a discard does nothing else (measured: 7 ms for 32 MiB): files go one after the other
 * where somebody would wait for that. */
#define REMOVE_BYTES_PER_S (100ull * 1000000ull)
#define REMOVE_SLICE_NS (5 * GY_NS_PER_MS)
#define REMOVE_BACKLOG_MAX 64u /* files; more take space, and show that the device keeps up */

/* After a file of `size` bytes, until the next may go. */
static GY_SUSPENDS void
await_discarded(gyre_db *db, uint64_t size)
{
    const struct gy_loop *loop = &db->loop->io;
    uint64_t left_ns = gy_min_u64(size, GY_GIB) * GY_NS_PER_S / REMOVE_BYTES_PER_S;
    uint64_t count = 0;

    (void)gy_loop_is_quiet(loop, &count);
    while (left_ns > 0 && !db->stop && db->tables.removed_count <= REMOVE_BACKLOG_MAX &&
           !db->space.job_waits && !db->space.is_full) {
        const uint64_t slice_ns = gy_min_u64(left_ns, REMOVE_SLICE_NS);

        gy_await_sleep(sched_of(db), slice_ns);
        if (gy_loop_is_quiet(loop, &count)) {
            return;
        }
        left_ns -= slice_ns;
    }
}

static void
remover_main(void *arg)
{
    gyre_db *db = arg;
    struct gy_table_set *set = &db->tables;

    gy_in_coroutine();
    while (!db->stop || set->removed_count > 0) {
        struct gy_removed_table removed;
        char name[GY_NAME_MAX];

        if (set->removed_count == 0) {
            gy_waitq_await(sched_of(db), &set->removed_waiters);
            continue;
        }
        removed = gy_table_set_take_removed(set);
        gy_name_table(name, removed.number);
        GY_SOMETIMES(table_removed);
        if (db->manifest.poison == GYRE_OK || GY_MUTANT(inputs_removed_after_failed_manifest)) {
            /* else the edit that freed it may not be there; what stays is removed at open */
            if (gy_file_await_unlink(&db->loop->io, &db->dir, name) == GYRE_OK) {
                gy_table_set_note_gone(set, &removed);
                gy_space_update(db);
                await_discarded(db, removed.size);
            }
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
    gy_waitq_wake_all(&db->gate.opened);
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
                      {"compaction", gy_compactor_main},
                      {"remove", remover_main},
                      {"log watch", watcher_main}};
    const size_t count = sizeof(coroutines) / sizeof(coroutines[0]) - (db->has_wal ? 0 : 1);

    gy_space_await_ask(db);
    db->pacer.is_paced = true;
    for (size_t i = 0; i < count; i++) {
        const gyre_status status = gy_spawn(sched_of(db), GY_CLASS_BACKGROUND, coroutines[i].name,
                                            coroutines[i].fn, db, NULL);

        if (status != GYRE_OK) {
            gy_background_await_stop(db);
            return gy_loop_fail(db->loop, status, "no coroutine for background work");
        }
        db->background_live++;
    }
    gy_db_kick(db);
    return GYRE_OK;
}
