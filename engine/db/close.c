/* close.c - closing a store: refuse new calls, let running ones end, drain the log, stop the
 * background, give everything back. */
#include "engine/db/background.h"
#include "engine/db/begin.h"
#include "engine/db/op.h"
#include "engine/disk/wal_append.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* Give back whatever of the store is there; also after an open that failed half-way. */
GY_SUSPENDS void
gy_db_await_teardown(gyre_db *db)
{
    struct gy_loop *io = &db->loop->io;

    if (db->view != NULL) {
        gy_background_await_stop(db);
    }
    if (db->wal.config.loop != NULL) {
        /* told by gyre_close; an open that failed has its own error */
        (void)gy_wal_await_close(&db->wal);
    }
    if (db->manifest.loop != NULL) {
        gy_manifest_await_close(&db->manifest);
    }
    if (db->tables_ready) {
        gy_table_set_await_close_all(&db->tables);
    }
    gy_view_unref(db->view);
    db->view = NULL;
    if (db->tables_ready) {
        gy_table_set_fini(&db->tables);
        db->tables_ready = false;
    }
    gy_compact_cursor_fini(&io->heap, &db->compact_cursor);
    (void)gy_file_await_close(io, &db->lock); /* gives up the lock */
    (void)gy_file_await_close(io, &db->dir);
}

/* Calls in progress: operations are answered CLOSED at once, who waits for room is told, and what
 * has been begun is brought to its end. */
static GY_SUSPENDS void
await_calls(gyre_db *db)
{
    gy_ops_end(db);
    gy_pause_end(db);
    gy_pacer_close(&db->pacer);
    if (db->has_wal) {
        gy_wal_refuse(&db->wal);
    }
    gy_waitq_wake_all(&db->room);
    gy_waitq_wake_all(&db->installed);
    if (db->call_count > 0) {
        GY_SOMETIMES(close_waited_for_calls);
    }
    while (db->call_count > 0) {
        gy_waitq_await(&db->loop->io.sched, &db->calls_done);
    }
}

static GY_SUSPENDS void
await_close(gyre_db *db)
{
    struct gy_sched *sched = &db->loop->io.sched;
    gyre_status status = GYRE_OK;
    struct gyre_error error;

    await_calls(db);
    if (!db->has_wal && !db->read_only && db->waiting == NULL) {
        status = gy_db_await_flushed(db, db->sequence); /* NOWAL: tables are all there is */
    }
    error = *gy_sched_error(sched);
    gy_background_await_stop(db);
    if (db->waiting != NULL) {
        status = gy_begin_await_close(db);
        error = *gy_sched_error(sched);
    }
    if (db->has_wal) {
        const gyre_status closed = gy_wal_await_close(&db->wal);

        if (status == GYRE_OK && closed != GYRE_OK) {
            status = closed;
            error = *gy_sched_error(sched);
        }
        db->wal.config.loop = NULL; /* closed */
    }
    gy_db_await_teardown(db);
    db->close_status = status;
    db->close_error = error;
    db->state = GY_DB_CLOSED;
    gy_waitq_wake_all(&db->closed);
}

static void
closer_main(void *arg)
{
    gy_in_coroutine();
    await_close(arg);
}

struct close_call {
    gyre_db *db;
    gyre_status status;
};

/* The closing has a coroutine of its own, so that its caller may give up waiting. */
static void
close_run(void *arg)
{
    struct close_call *call = arg;
    gyre_db *db = call->db;
    struct gy_sched *sched = &db->loop->io.sched;

    gy_in_coroutine();
    if (db->state == GY_DB_OPEN) {
        db->state = GY_DB_CLOSING;
        gy_scope_note_maybe_done(sched); /* who gives up now has closed it all the same */
        gy_ops_take_back(db);
        if (gy_spawn(sched, GY_CLASS_FOREGROUND, "close", closer_main, db, NULL) != GYRE_OK) {
            await_close(db); /* nothing is left for a coroutine: this one does it, to its end */
        }
    }
    db->close_waiters++;
    db->close_waiter = sched->current;
    while (call->status == GYRE_OK && db->state != GY_DB_CLOSED) {
        call->status = gy_scope_await(sched, &db->closed);
    }
    db->close_waiters--;
    if (db->close_waiter == sched->current) {
        db->close_waiter = NULL;
    }
    while (call->status == GYRE_OK && db->close_waiters > 0) { /* given up, and not gone yet */
        gy_await_yield(sched);
    }
}

/* Does anybody who has not given up wait for it? */
static bool
is_claimed(const gyre_db *db)
{
    const struct gy_co *waiter = db->close_waiter;

    return waiter != NULL && (waiter->scope == NULL || waiter->scope->ended == GYRE_OK);
}

static gyre_status
check_close(gyre_db *db)
{
    gyre_status status = db->magic == GY_DB_MAGIC ? gy_loop_check(db->loop) : GYRE_MISUSE;
    uint64_t pins;

    if (status == GYRE_OK) {
        status = gy_call_check(db->loop);
    }
    if (status != GYRE_OK) {
        return status;
    }
    if (is_claimed(db)) {
        return gy_loop_fail(db->loop, GYRE_BUSY, "another call waits for this store to close");
    }
    pins = gy_sub_sat(db->pin_count, gy_ops_undelivered(db));
    if (db->state == GY_DB_OPEN && (pins > 0 || db->iterator_count > 0 || db->snapshot_count > 0)) {
        return gy_loop_fail(db->loop, GYRE_BUSY,
                            "still in use: %u values, %u iterators, %u snapshots; %u calls are "
                            "running",
                            (uint32_t)pins, db->iterator_count, db->snapshot_count, db->call_count);
    }
    return GYRE_OK;
}

gyre_status
gyre_close(gyre_db *db)
{
    struct close_call call = {.db = db, .status = GYRE_OK};
    gyre_loop *loop;
    gyre_status status;

    if (db == NULL) {
        return GYRE_OK;
    }
    status = check_close(db);
    if (status != GYRE_OK) {
        return status;
    }
    loop = db->loop;
    status = gy_call(loop, "close call", close_run, &call);
    if (status != GYRE_OK || call.status != GYRE_OK) {
        return status != GYRE_OK ? status : call.status; /* not begun, or still going on */
    }
    status = db->close_status;
    *gy_sched_error(&loop->io.sched) = db->close_error;
    gy_db_free(db);
    return status;
}
