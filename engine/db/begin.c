/* begin.c - what a store needs before it is written to: a manifest of this process, a log, the
 * background.
 *
 * A full disk is no reason not to open a store that is there. What its logs hold lies in memory,
 * reads work, and a coroutine tries again until there is space; meanwhile db->waiting is set,
 * writes and what needs the background are refused with NO_SPACE, and what a killed process left in
 * staging stays there. Each step is either done or can be done again.
 */
#include "engine/db/begin.h"

#include "engine/db/background.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define SPACE_RETRY_NS (200ull * 1000000ull)

/* ---- The manifest ---- */

static void
wal_config(gyre_db *db, struct gy_wal_config *ret_config)
{
    *ret_config = (struct gy_wal_config){.loop = &db->loop->io,
                                         .dir = &db->dir,
                                         .manifest = &db->manifest,
                                         .store_id = db->store_id,
                                         .next_file_number = &db->next_file_number,
                                         .slot_size = db->options.wal_slot_size,
                                         .slot_count_max = db->options.wal_slot_count_max,
                                         .buffer_size = db->options.wal_buffer_size,
                                         .linger_ns = db->options.wal_linger_ms * GY_NS_PER_MS};
}

/* N5: a new manifest; on a full disk the old one, where numbers are called used up as a snapshot
 * would do it. */
static GY_SUSPENDS gyre_status
await_own_manifest(gyre_db *db, struct gy_recovery *recovery)
{
    struct gy_edit edit = {.kind = GY_EDIT_COUNTERS};
    gyre_status status;

    if (recovery->owns_manifest) {
        return GYRE_OK;
    }
    status = gy_manifest_await_rotate(&db->manifest);
    /* Poisoned: CURRENT was renamed, and nobody knows which manifest it names after a crash. */
    if (status == GYRE_NO_SPACE && recovery->manifest.number != 0 &&
        db->manifest.poison == GYRE_OK && db->manifest.file.slot == GY_SLOT_NONE) {
        GY_SOMETIMES(opened_on_full_disk);
        status = gy_manifest_await_adopt(&db->manifest, &recovery->manifest);
        if (status == GYRE_OK) {
            edit.u.counters.next_file_number = db->next_file_number + GY_NUMBERS_AHEAD;
            edit.u.counters.last_sequence = gy_max_u64(db->flushed_sequence, db->sequence_floor);
            status = gy_manifest_await_append(&db->manifest, &edit, 1);
        }
    }
    recovery->owns_manifest = status == GYRE_OK;
    return status;
}

GY_SUSPENDS gyre_status
gy_begin_await_manifest(gyre_db *db, struct gy_recovery *recovery)
{
    struct gy_wal_config config;
    gyre_status status;

    wal_config(db, &config);
    /* no log is started yet: what is flushed while logs are replayed goes by its list of them */
    status = gy_wal_init(&db->wal, &config, recovery->logs, recovery->log_count,
                         recovery->slot_exists, db->flushed_sequence + 1);
    if (status == GYRE_OK) {
        status = await_own_manifest(db, recovery);
    }
    if (gy_begin_may_wait(db, recovery, status)) {
        recovery->no_space = true;
        return GYRE_OK;
    }
    return status;
}

/* ---- The log ---- */

/* Logs whose commits are all in tables: the manifest says so before their slots are used again. */
static GY_SUSPENDS gyre_status
await_forget_logs(gyre_db *db, struct gy_recovery *recovery)
{
    /* With nothing in memory all there is is in tables, whatever numbers a power cut took. */
    const bool empty = GY_MUTANT(logs_forgotten_before_tables) ||
                       (db->view->frozen_count == 0 && gy_memtable_count(db->view->active) == 0);
    const uint64_t flushed =
        empty ? gy_max_u64(db->sequence, db->flushed_sequence) : db->flushed_sequence;
    /* None at all is needed then, the last one included: what its end holds may not be durable. */
    const uint64_t log_min = empty && recovery->log_count > 0
                                 ? recovery->logs[recovery->log_count - 1].number + 1
                                 : gy_wal_log_min(&db->wal, flushed);
    struct gy_edit edit = {.kind = GY_EDIT_FLUSHED};
    gyre_status status = GYRE_OK;

    if (recovery->log_count > 0 && log_min > recovery->logs[0].number) {
        edit.u.flushed.keyspace = GY_KEYSPACE_DEFAULT;
        edit.u.flushed.sequence = db->flushed_sequence;
        edit.u.flushed.log_min = log_min;
        status = gy_manifest_await_append(&db->manifest, &edit, 1);
        if (status == GYRE_OK) {
            GY_SOMETIMES(recovery_gave_up_logs);
            db->log_min = log_min;
            gy_recovery_drop_logs(recovery, log_min);
        }
    }
    return status;
}

/* What a killed process left in staging goes to the new log, if one takes it all. */
static bool
staged_fits(const gyre_db *db, const struct gy_recovery *recovery)
{
    uint64_t span = 0;

    for (uint32_t i = 0; i < recovery->staged_count; i++) {
        span += gy_wal_staged_span(&recovery->staged[i]);
    }
    return span <= gy_wal_log_room(db->options.wal_slot_size);
}

/* A new log for this process (or none: NOWAL), after everything recovered is in memtables. */
static GY_SUSPENDS gyre_status
await_start_log(gyre_db *db, struct gy_recovery *recovery)
{
    struct gy_wal_config config;
    const uint64_t sequence_next =
        db->sequence + !(GY_MUTANT(sequence_used_again) && !recovery->clean &&
                         db->sequence > db->flushed_sequence && recovery->staged_count == 0);
    const bool fits = staged_fits(db, recovery);
    gyre_status status;

    wal_config(db, &config);
    if (db->options.durability == GYRE_NOWAL) {
        /* What the logs gave goes to tables first: without a log there is no other place for it. */
        status = gy_db_await_flush_active(db);
        db->wal.log_count = 0;
        memset(db->stage_id, 0, sizeof(db->stage_id));
        db->log_min = db->next_file_number;
        return status != GYRE_OK ? status : gy_manifest_await_rotate(&db->manifest);
    }
    /* To tables: gives slots back, or each open would use up one; takes what is too much for a log;
     * and what a sync of the dead process may have failed for, since the kernel can count that as
     * written, so that no sync of ours would mend it. Writing it again in its place would put
     * commits at risk that were answered. */
    if (recovery->log_count + 2 > db->options.wal_slot_count_max || !fits ||
        (recovery->log_count > 0 && !recovery->clean &&
         recovery->last_log_durable < recovery->last_log_end && !GY_MUTANT(append_to_torn_log) &&
         !GY_MUTANT(sealed_tail_replayed))) {
        GY_SOMETIMES(recovery_flushed_to_tables);
        status = gy_db_await_flush_active(db);
        if (status != GYRE_OK) {
            return status;
        }
    }
    status = await_forget_logs(db, recovery);
    if (status != GYRE_OK) {
        return status;
    }
    status = gy_wal_init(&db->wal, &config, recovery->logs, recovery->log_count,
                         recovery->slot_exists, sequence_next);
    if (status == GYRE_OK) {
        status = gy_wal_await_start(&db->wal, recovery->last_log_end, recovery->staged,
                                    fits ? recovery->staged_count : 0);
    }
    if (status != GYRE_OK) {
        const struct gyre_error error = *gy_sched_error(&db->loop->io.sched);

        (void)gy_wal_await_close(&db->wal); /* nothing was appended: all of it can be done again */
        *gy_sched_error(&db->loop->io.sched) = error;
        return status;
    }
    db->has_wal = true;
    gy_wal_stage_id(&db->wal, db->stage_id, db->boot_id);
    gy_wal_release(&db->wal, db->log_min);
    if (!db->wal.has_stage) {
        gy_loop_log(
            db->loop, GYRE_LOG_WARNING,
            "no staging memory (/dev/shm): BUFFERED writes are answered after the log write");
    }
    return GYRE_OK;
}

/* ---- All of it, now or later ---- */

bool
gy_begin_may_wait(const gyre_db *db, const struct gy_recovery *recovery, gyre_status status)
{
    return status == GYRE_NO_SPACE && recovery->manifest.number != 0 &&
           db->manifest.poison == GYRE_OK;
}

static GY_SUSPENDS gyre_status
await_begin(gyre_db *db, struct gy_recovery *recovery)
{
    gyre_status status = await_own_manifest(db, recovery);

    if (status == GYRE_OK) {
        status = await_start_log(db, recovery);
    }
    return status != GYRE_OK ? status : gy_background_await_start(db);
}

static GY_SUSPENDS void
await_end_waiting(gyre_db *db, bool unlink_stage)
{
    struct gy_recovery *recovery = db->waiting;

    db->waiting = NULL;
    gy_recover_await_fini(db, recovery, unlink_stage);
    gy_heap_free(&db->loop->io.heap, recovery);
}

static void
waiter_main(void *arg)
{
    gyre_db *db = arg;
    gyre_status status = GYRE_NO_SPACE;

    gy_in_coroutine();
    while (!db->stop && gy_begin_may_wait(db, db->waiting, status)) {
        gy_await_sleep(&db->loop->io.sched, SPACE_RETRY_NS);
        if (db->stop) {
            break;
        }
        status = await_begin(db, db->waiting);
        if (status == GYRE_OK) {
            await_end_waiting(db, true);
            gy_loop_log(db->loop, GYRE_LOG_INFO, "there is space again: writes go on");
        } else if (!db->stop) {
            db->background_status = status;
            db->background_error = *gy_sched_error(&db->loop->io.sched);
        }
        if (db->waiting == NULL) {
            db->background_status = GYRE_OK;
            break;
        }
    }
    db->background_live--;
    gy_waitq_wake_all(&db->installed);
}

GY_SUSPENDS gyre_status
gy_begin_await(gyre_db *db, struct gy_recovery *recovery)
{
    gyre_status status = await_begin(db, recovery);

    if (!gy_begin_may_wait(db, recovery, status)) {
        return status;
    }
    db->background_status = status;
    db->background_error = *gy_sched_error(&db->loop->io.sched);
    gy_loop_log(db->loop, GYRE_LOG_WARNING,
                "opened on a full disk, for reading until there is "
                "space: %s",
                db->background_error.text);
    status =
        gy_spawn(&db->loop->io.sched, GY_CLASS_BACKGROUND, "wait for space", waiter_main, db, NULL);
    if (status == GYRE_OK) {
        db->waiting = recovery;
        db->background_live++;
    }
    return status;
}

gyre_status
gy_begin_refusal(gyre_db *db)
{
    gy_assert(db->waiting != NULL);
    *gy_sched_error(&db->loop->io.sched) = db->background_error;
    return db->background_status;
}

GY_SUSPENDS gyre_status
gy_begin_await_close(gyre_db *db)
{
    const bool is_staged = db->waiting->staged_count > 0;

    await_end_waiting(db, false);
    return is_staged ? gy_loop_fail(db->loop, GYRE_NO_SPACE,
                                    "the disk is full: BUFFERED commits of a killed process are "
                                    "still in its staging memory only")
                     : GYRE_OK;
}
