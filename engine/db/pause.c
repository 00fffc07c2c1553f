/* pause.c - background work that stands still for a while: gyre_pause, gyre_resume. */
#include "engine/db/background.h"
#include "engine/db/op.h"
#include "io/base/assert.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

static void
set_closed(gyre_db *db, bool is_closed)
{
    db->gate.is_closed = is_closed;
    if (GY_MUTANT(resume_does_not_wake) && !is_closed) {
        return;
    }
    gy_waitq_wake_all(&db->gate.opened);
    gy_waitq_wake_all(&db->room);      /* writers look whether they may still wait */
    gy_waitq_wake_all(&db->installed); /* and who waits for background work */
    gy_db_kick(db);
}

gyre_status
gyre_pause(gyre_db *db)
{
    const gyre_status status = gy_db_check(db);

    if (status != GYRE_OK) {
        return status;
    }
    if (db->read_only) {
        return gy_loop_fail(db->loop, GYRE_READ_ONLY, "the store was opened read-only");
    }
    if (db->pause_count == UINT32_MAX) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "gyre_pause: it does not nest that deep");
    }
    db->pause_count++;
    if (db->pause_count == 1) {
        set_closed(db, true);
    }
    return GYRE_OK;
}

gyre_status
gyre_resume(gyre_db *db)
{
    const gyre_status status = gy_db_check(db);

    if (status != GYRE_OK) {
        return status;
    }
    if (db->pause_count == 0) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "gyre_resume: the store is not paused");
    }
    db->pause_count--;
    if (db->pause_count == 0) {
        set_closed(db, false);
        gy_poll_notify(db->loop);
    }
    return GYRE_OK;
}

void
gy_pause_end(gyre_db *db)
{
    if (db->pause_count > 0) {
        db->pause_count = 0;
        set_closed(db, false);
    }
}

gyre_status
gy_pause_refusal(gyre_db *db)
{
    return db->pause_count == 0 ? GYRE_OK
                                : gy_loop_fail(db->loop, GYRE_BUSY,
                                               "background work is paused: call gyre_resume first");
}
