/* room.c - see room.h. */
#include "engine/db/room.h"

#include "engine/db/background.h"
#include "engine/db/begin.h"
#include "engine/disk/wal_append.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"
#include "io/base/probes.h"

#include "io/base/ban.h"

/* How long to stay away, when nothing better is known. */
#define RETRY_PACE_NS (2 * GY_NS_PER_MS)
#define RETRY_FLUSH_NS (5 * GY_NS_PER_MS)
#define RETRY_PAUSED_NS (100 * GY_NS_PER_MS)

static inline bool
is_refused(const gyre_db *db)
{
    return db->read_only || db->manifest.poison != GYRE_OK ||
           (db->has_wal && db->wal.poison != GYRE_OK) || db->state != GY_DB_OPEN ||
           db->waiting != NULL;
}

/* Y1 in space.h. */
static inline bool
has_disk(const struct gy_room *room)
{
    const gyre_db *db = room->db;
    const uint64_t most = room->only_deletes ? db->space.delete_max : db->space.put_max;

    return (GY_MUTANT(quota_forgotten) && !room->only_deletes) ||
           gy_memtable_used(db->view->active) + room->user_bytes +
                   (uint64_t)room->count * GY_SPACE_ENTRY_OVERHEAD <=
               most;
}

gyre_status
gy_room_refusal(gyre_db *db)
{
    if (!is_refused(db)) {
        return GYRE_OK;
    }
    if (db->read_only) {
        return gy_loop_fail(db->loop, GYRE_READ_ONLY, "the store was opened read-only");
    }
    if (db->manifest.poison != GYRE_OK) {
        return gy_loop_fail(db->loop, GYRE_READ_ONLY,
                            "a write of the manifest failed; reopen the store to write again");
    }
    if (db->has_wal && db->wal.poison != GYRE_OK) {
        return gy_loop_fail(db->loop, GYRE_READ_ONLY,
                            "the log failed; reopen the store to write again (%s)",
                            db->wal.poison_error.text);
    }
    if (db->state != GY_DB_OPEN) {
        return gy_loop_fail(db->loop, GYRE_CLOSED, "the store is closing");
    }
    gy_assert(db->waiting != NULL);
    return gy_begin_refusal(db);
}

gyre_status
gy_room_check(const struct gy_room *room)
{
    gyre_db *db = room->db;
    gyre_status status = GYRE_OK;

    if (gy_unlikely(is_refused(db))) {
        status = gy_room_refusal(db);
    }
    return status != GYRE_OK || has_disk(room) ? status : gy_space_refuse(db);
}

/* ---- Waiting, or not ---- */

static gyre_status
again(gyre_db *db, enum gyre_wait_cause cause, uint64_t retry_ns, const char *text)
{
    struct gyre_error *error;

    (void)gy_loop_fail(db->loop, GYRE_AGAIN, "%s; try again in about %llu us", text,
                       (unsigned long long)(retry_ns / GY_NS_PER_US));
    error = gy_sched_error(&db->loop->io.sched);
    error->cause = (uint32_t)cause;
    error->retry_ns = retry_ns;
    db->counters.again_count++;
    return GYRE_AGAIN;
}

/* A writer begins to wait for `cause`; the result is for end_wait. */
static enum gy_away
begin_wait(struct gy_room *room, enum gyre_wait_cause cause)
{
    struct gy_sched *sched = &room->db->loop->io.sched;

    gy_room_note_wait(room);
    if (sched->trace != NULL) {
        sched->trace->wait_cause = (uint32_t)cause;
    }
    GY_PROBE3(stall__begin, room->db->store_id, cause, room->user_bytes);
    return gy_trace_begin_away(sched, GY_AWAY_ROOM);
}

static void
end_wait(struct gy_room *room, enum gyre_wait_cause cause, enum gy_away before)
{
    gy_trace_end_away(&room->db->loop->io.sched, before);
    GY_PROBE3(stall__end, room->db->store_id, cause, room->user_bytes);
}

/* One wait for a flush to give something back (R1, R2). */
static GY_SUSPENDS gyre_status
await_flush(struct gy_room *room, enum gyre_wait_cause cause, const char *text)
{
    gyre_db *db = room->db;
    enum gy_away before;
    gyre_status status;

    if (db->background_status != GYRE_OK) {
        *gy_sched_error(&db->loop->io.sched) = db->background_error;
        return db->background_status;
    }
    gy_db_kick(db);
    if (db->pause_count > 0) { /* whoever would resume may be the one that waits */
        return again(db, GYRE_WAIT_PAUSED, RETRY_PAUSED_NS,
                     "background work is paused and there is no room left");
    }
    if (room->no_wait) {
        return again(db, cause, RETRY_FLUSH_NS, text);
    }
    before = begin_wait(room, cause);
    status = gy_scope_await(&db->loop->io.sched, &db->room);
    end_wait(room, cause, before);
    return status;
}

GY_SUSPENDS gyre_status
gy_room_await_pace(struct gy_room *room)
{
    gyre_db *db = room->db;
    enum gy_away before;
    gyre_status status;

    if (!(GY_MUTANT(credits_refused) && room->no_wait && db->pacer.pressure > 0) &&
        gy_pacer_try_admit(&db->pacer, room->user_bytes)) {
        return GYRE_OK;
    }
    if (room->no_wait) {
        return again(db, GYRE_WAIT_PACE, RETRY_PACE_NS, "compaction is behind");
    }
    before = begin_wait(room, GYRE_WAIT_PACE);
    status = gy_pacer_await_admit(&db->pacer, room->user_bytes);
    end_wait(room, GYRE_WAIT_PACE, before);
    return status != GYRE_OK ? status : gy_room_check(room);
}

static inline bool
is_full(const gyre_db *db)
{
    return gy_memtable_used(db->view->active) >= db->options.memtable_size;
}

GY_SUSPENDS gyre_status
gy_room_await_memtable(struct gy_room *room)
{
    gyre_db *db = room->db;

    while (is_full(db)) {
        gyre_status status = gy_db_rotate(db);

        if (status == GYRE_OK) {
            status = gy_room_check(room); /* a rotation counts what there is anew */
            if (status == GYRE_OK) {
                continue;
            }
            return status;
        }
        if (status == GYRE_READ_ONLY || status == GYRE_CLOSED ||
            (status == GYRE_NO_MEMORY && db->view->frozen_count == 0)) {
            return status;
        }
        GY_SOMETIMES(writer_waited_for_memtable);
        status = await_flush(room, GYRE_WAIT_MEMTABLES, "all memtables are being flushed");
        status = status != GYRE_OK ? status : gy_room_check(room);
        if (status != GYRE_OK) {
            return status;
        }
    }
    return GYRE_OK;
}

/* No memory for the commit: wait while memtables are being flushed, which gives some back. */
static GY_SUSPENDS gyre_status
await_memory(struct gy_room *room)
{
    gyre_db *db = room->db;

    if (db->view->frozen_count == 0) {
        (void)gy_db_rotate(db); /* fails without memory for another memtable: nothing to wait for */
    }
    if (db->view->frozen_count == 0) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY,
                            "no memory for %llu bytes in the memtable; raise memory_limit",
                            (unsigned long long)room->user_bytes);
    }
    return await_flush(room, GYRE_WAIT_MEMORY, "memory is full until a memtable is flushed");
}

static GY_SUSPENDS gyre_status
await_log(struct gy_room *room)
{
    gyre_db *db = room->db;
    enum gy_away before;
    gyre_status status;

    if (room->no_wait) {
        status = gy_wal_check_room(&db->wal, room->log_size); /* what it can say is no AGAIN */
        gy_db_kick(db);
        return status != GYRE_OK
                   ? status
                   : again(db, GYRE_WAIT_LOG, RETRY_PACE_NS, "the log has no room just now");
    }
    if (db->pause_count > 0 && db->wal.room_wanted) { /* logs are given back by a flush */
        return again(db, GYRE_WAIT_PAUSED, RETRY_PAUSED_NS,
                     "background work is paused and the logs are full");
    }
    before = begin_wait(room, GYRE_WAIT_LOG);
    status = gy_wal_await_reserve(&db->wal, room->log_size);
    end_wait(room, GYRE_WAIT_LOG, before);
    return status;
}

GY_SUSPENDS gyre_status
gy_room_await_turn(struct gy_room *room)
{
    gyre_db *db = room->db;

    if (room->no_wait) {
        return again(db, GYRE_WAIT_LOG, RETRY_PACE_NS, "another large commit is being written");
    }
    return gy_scope_await(&db->loop->io.sched, &db->room);
}

GY_SUSPENDS gyre_status
gy_room_await_log_large(struct gy_room *room)
{
    gyre_db *db = room->db;
    const gyre_status status =
        room->no_wait ? gy_wal_check_room(&db->wal, room->log_size) : GYRE_OK;

    if (status == GYRE_OK && room->no_wait) {
        return again(db, GYRE_WAIT_LOG, RETRY_FLUSH_NS, "the log has no room just now");
    }
    if (status == GYRE_OK && db->pause_count > 0 && db->wal.room_wanted) {
        return again(db, GYRE_WAIT_PAUSED, RETRY_PAUSED_NS,
                     "background work is paused and the logs are full");
    }
    return status != GYRE_OK ? status : gy_wal_await_space(&db->wal, room->log_size);
}

GY_SUSPENDS gyre_status
gy_room_await(struct gy_room *room)
{
    gyre_db *db = room->db;

    for (;;) {
        gyre_status status = gy_unlikely(is_full(db)) ? gy_room_await_memtable(room) : GYRE_OK;

        if (status == GYRE_OK && db->has_wal && !gy_wal_try_reserve(&db->wal, room->log_size)) {
            status = await_log(room);
        } else if (status == GYRE_OK) {
            if (gy_memtable_reserve(db->view->active, room->user_bytes, room->count)) {
                return GYRE_OK;
            }
            status = await_memory(room);
        }
        status = status != GYRE_OK ? status : gy_room_check(room);
        if (status == GYRE_NO_SPACE) {
            gy_space_ask_later(db);
        }
        if (status != GYRE_OK) {
            return status;
        }
    }
}

/* ---- Credits ---- */

uint64_t
gyre_credits(gyre_db *db)
{
    uint64_t bytes;
    uint64_t memtables;

    if (gy_db_check(db) != GYRE_OK || db->read_only || gy_room_refusal(db) != GYRE_OK ||
        db->background_status != GYRE_OK) {
        return 0;
    }
    memtables = db->options.memtable_count_max - 1u - db->view->frozen_count;
    bytes = memtables * db->options.memtable_size +
            gy_sub_sat(db->options.memtable_size, gy_memtable_used(db->view->active));
    if (db->has_wal) {
        bytes = gy_min_u64(bytes, gy_wal_room(&db->wal));
    }
    bytes = gy_min_u64(bytes, gy_sub_sat(db->space.put_max, gy_memtable_used(db->view->active)));
    return gy_min_u64(bytes, gy_pacer_credits(&db->pacer));
}

struct room_call {
    struct gy_room room;
    uint64_t bytes;
    gyre_status status;
};

static void
room_run(void *arg)
{
    struct room_call *call = arg;
    gyre_db *db = call->room.db;

    gy_in_coroutine();
    gy_db_enter(db);
    call->status = gy_first(gy_scope_check(&db->loop->io.sched), gy_room_refusal(db));
    if (call->status == GYRE_OK) {
        call->status = gy_room_await_pace(&call->room);
    }
    if (call->status == GYRE_OK) {
        call->room.user_bytes = call->bytes; /* the pace was not paid for */
        call->status = gy_room_check(&call->room);
    }
    if (call->status == GYRE_OK) {
        call->status = gy_room_await(&call->room);
    }
    gy_db_leave(db);
}

gyre_status
gyre_wait_room(gyre_db *db, uint64_t bytes)
{
    struct room_call call = {.room = {.db = db, .count = 1}, .bytes = bytes};
    gyre_status status = gy_db_check(db);

    if (status != GYRE_OK) {
        return status;
    }
    /* No more than can be had at once: a larger commit finds its room by itself. */
    call.room.log_size =
        (size_t)gy_min_u64(bytes, db->has_wal ? gy_wal_group_max(&db->wal) : bytes);
    status = gy_call(db->loop, "room", room_run, &call);
    return status != GYRE_OK ? status : call.status;
}
