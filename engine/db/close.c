/* close.c - closing a store: refuse new calls, let running ones end, drain the log, stop the
 * background, give everything back. */
#include "engine/db/background.h"
#include "engine/db/begin.h"
#include "engine/db/db.h"
#include "io/base/assert.h"
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

struct close_call {
    gyre_db *db;
    gyre_status status;
};

static void
close_run(void *arg)
{
    struct close_call *call = arg;
    gyre_db *db = call->db;
    struct gy_sched *sched = &db->loop->io.sched;
    struct gyre_error error;

    gy_in_coroutine();
    db->state = GY_DB_CLOSING;
    if (!db->has_wal && !db->read_only && db->waiting == NULL) {
        call->status = gy_db_await_flushed(db, db->sequence); /* NOWAL: tables are all there is */
    }
    error = *gy_sched_error(sched);
    gy_background_await_stop(db);
    if (db->waiting != NULL) {
        call->status = gy_begin_await_close(db);
        error = *gy_sched_error(sched);
    }
    if (db->has_wal) {
        const gyre_status status = gy_wal_await_close(&db->wal);

        if (call->status == GYRE_OK && status != GYRE_OK) {
            call->status = status;
            error = *gy_sched_error(sched);
        }
        db->wal.config.loop = NULL; /* closed */
    }
    gy_db_await_teardown(db);
    *gy_sched_error(sched) = error;
}

gyre_status
gyre_close(gyre_db *db)
{
    struct close_call call = {.db = db};
    gyre_loop *loop;
    gyre_status status;

    if (db == NULL) {
        return GYRE_OK;
    }
    status = gy_db_check(db);
    if (status != GYRE_OK) {
        return status;
    }
    loop = db->loop;
    if (db->pin_count > 0 || db->iterator_count > 0 || db->snapshot_count > 0 ||
        db->call_count > 0) {
        return gy_loop_fail(loop, GYRE_BUSY,
                            "still in use: %u values, %u iterators, %u snapshots, %u calls",
                            db->pin_count, db->iterator_count, db->snapshot_count, db->call_count);
    }
    status = gy_call(loop, "close", close_run, &call);
    if (status != GYRE_OK) {
        return status; /* it has not begun */
    }
    gy_db_free(db);
    return call.status;
}
