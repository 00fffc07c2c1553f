/* scan.c - many rows in one call, within limits.
 *
 * Rows lie in the caller's buffer one behind the other, each as key, a zero, value: so the key with
 * its zero, which is the smallest key behind it, is there to go on from and takes no room of its
 * own. The call sees one moment, registered as an iterator's is: its view may change (K5, walk.h),
 * and the caller may release his snapshot meanwhile. After each await Q4 (scope.h) is asked before
 * the caller's memory is written.
 */
#include "engine/db/walk.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

struct scan_call {
    struct gyre_scan *scan; /* the caller's: Q4 */
    struct gyre_scan own;   /* its inputs when it began, and the answer so far */
    bool is_reverse;
    size_t used; /* of the buffer */
    struct gyre_snapshot moment;
    struct gy_walk walk;
    gyre_status status;
};

/* ---- Rows ---- */

static gyre_status
refuse(struct scan_call *call, size_t needed)
{
    call->own.buffer_needed = needed;
    return gy_loop_fail(call->walk.db->loop, GYRE_INVALID,
                        "gyre_scan: the buffer has %zu bytes, what comes first takes %zu",
                        call->own.buffer_size, needed);
}

/* Go on at `key`, or right behind it. What was passed over since the last row is passed again where
 * the key does not fit. */
static gyre_status
set_next(struct scan_call *call, struct gyre_slice key, bool is_behind)
{
    struct gyre_scan *own = &call->own;
    uint8_t *target = (uint8_t *)own->buffer + call->used;
    const size_t size = key.size + (is_behind ? 1 : 0);

    if (size <= own->buffer_size - call->used) {
        memcpy(target, key.data, key.size);
        if (is_behind) {
            target[key.size] = 0;
        }
        own->next = gyre_slice(target, size);
        return GYRE_OK;
    }
    if (own->row_count == 0) {
        return refuse(call, size);
    }
    key = own->rows[own->row_count - 1].key;
    own->next = gyre_slice(key.data, key.size + (call->is_reverse ? 0 : 1));
    return GYRE_OK;
}

/* The row under the walk is not given: the next call begins with it. */
static gyre_status
stop_before_row(struct scan_call *call, enum gyre_scan_stop why)
{
    const gyre_status status =
        set_next(call, call->walk.key_now, call->is_reverse != GY_MUTANT(scan_leaves_row_out));

    call->own.stopped = why;
    return status != GYRE_OK ? status : GYRE_AGAIN;
}

/* AGAIN: it is enough. */
static gyre_status
take_row(struct scan_call *call)
{
    struct gyre_scan *own = &call->own;
    const struct gyre_slice key = call->walk.key_now;
    const struct gyre_slice value = call->walk.value_now;
    uint8_t *target = (uint8_t *)own->buffer + call->used;
    const size_t size = key.size + value.size;

    if (own->row_count > 0 && own->bytes_max > 0 && own->bytes + size > own->bytes_max) {
        return stop_before_row(call, GYRE_SCAN_AT_BYTES);
    }
    if (size + 1 > own->buffer_size - call->used) {
        return own->row_count > 0 ? stop_before_row(call, GYRE_SCAN_AT_BUFFER)
                                  : refuse(call, size + 1);
    }
    memcpy(target, key.data, key.size);
    target[key.size] = 0;
    if (value.size > 0) {
        memcpy(target + key.size + 1, value.data, value.size);
    }
    own->rows[own->row_count++] =
        (struct gyre_row){.key = gyre_slice(target, key.size),
                          .value = gyre_slice(target + key.size + 1, value.size)};
    own->bytes += size;
    call->used += size + 1;
    call->walk.work += 1 + (uint32_t)(size / GY_WALK_BYTES_PER_WORK);
    if (own->row_count == own->rows_max) {
        own->stopped = GYRE_SCAN_AT_ROWS;
        own->next =
            gyre_slice(target, key.size + (call->is_reverse == GY_MUTANT(scan_repeats_row)));
        return GYRE_AGAIN;
    }
    return GYRE_OK;
}

/* ---- The call ---- */

static gyre_status
begin(struct scan_call *call)
{
    const struct gyre_scan *own = &call->own;
    struct gy_walk *walk = &call->walk;
    gyre_db *db = walk->db;
    bool fresh = false;
    gyre_status status;

    gy_walk_init(walk, db, own->snapshot != NULL ? own->snapshot->sequence : gy_db_visible(db),
                 own->flags, own->readahead_size);
    gy_snapshot_register(db, &call->moment, walk->sequence);
    if (own->skips_max > 0) {
        walk->skips_max = own->skips_max;
    }
    if (own->time_ns > 0) {
        const uint64_t now_ns = gy_loop_now(&db->loop->io);

        walk->end_ns = now_ns + gy_min_u64(own->time_ns, GY_NEVER - 1 - now_ns);
    }
    status = gy_walk_set_bounds(walk, own->from, own->upper, own->prefix);
    return status != GYRE_OK ? status : gy_walk_attach(walk, &fresh);
}

static GY_SUSPENDS gyre_status
await_rows(struct scan_call *call)
{
    struct gy_walk *walk = &call->walk;
    struct gy_sched *sched = &walk->db->loop->io.sched;
    gyre_status status = call->is_reverse ? gy_walk_await_last(walk) : gy_walk_await_first(walk);

    while (status == GYRE_OK) {
        status = gy_scope_check(sched); /* Q4 */
        if (status == GYRE_OK) {
            status = take_row(call);
            if (status != GYRE_OK) {
                return status;
            }
            status = call->is_reverse ? gy_walk_await_prev(walk, false)
                                      : gy_walk_await_next(walk, false);
        }
    }
    if (status == GYRE_AGAIN && !gy_scope_has_ended(sched)) {
        call->own.stopped =
            walk->spent == GY_WALK_TIME_SPENT ? GYRE_SCAN_AT_TIME : GYRE_SCAN_AT_SKIPS;
        status = set_next(
            call, call->is_reverse ? gy_bytes_slice(&walk->key) : walk->cursor->entry.key, false);
        return status != GYRE_OK ? status : GYRE_AGAIN;
    }
    return status;
}

/* The answer goes to the caller, who may be gone. */
static gyre_status
conclude(struct scan_call *call, gyre_status status)
{
    gyre_db *db = call->walk.db;
    struct gy_sched *sched = &db->loop->io.sched;
    struct gyre_scan *own = &call->own;
    const gyre_status ended = gy_scope_check(sched);

    db->counters.scans++;
    db->counters.scan_skips += call->walk.skipped;
    if (ended != GYRE_OK) {
        return ended;
    }
    if (status == GYRE_NOT_FOUND) {
        own->stopped = GYRE_SCAN_AT_END;
    } else if (status != GYRE_AGAIN) {
        call->scan->row_count = 0;
        call->scan->buffer_needed = own->buffer_needed;
        return status;
    }
    db->counters.scan_rows += own->row_count;
    db->counters.user_bytes_read += own->bytes;
    own->skipped = call->walk.skipped;
    call->scan->stopped = own->stopped;
    call->scan->row_count = own->row_count;
    call->scan->bytes = own->bytes;
    call->scan->skipped = own->skipped;
    call->scan->next = own->next;
    call->scan->buffer_needed = 0;
    return GYRE_OK;
}

static void
scan_run(void *arg)
{
    struct scan_call *call = arg;
    gyre_db *db = call->walk.db;
    gyre_status status;

    gy_in_coroutine();
    gy_db_enter(db);
    status = begin(call);
    if (status == GYRE_OK) {
        status = await_rows(call);
    }
    call->status = conclude(call, status);
    /* whoever sets skips_max wants to hear of fewer than others */
    gy_wanted_run_end(db, &call->walk.run,
                      call->own.stopped == GYRE_SCAN_AT_SKIPS ? 1 : GY_WANTED_TOMBSTONES);
    gy_walk_fini(&call->walk);
    gy_snapshot_unregister(&call->moment);
    gy_db_leave(db);
    gy_await_turn(&db->loop->io.sched);
}

static gyre_status
check_scan(gyre_db *db, const struct gyre_scan *scan)
{
    if (scan == NULL || scan->struct_size != sizeof(*scan)) {
        return gy_loop_fail(db->loop, GYRE_INVALID,
                            "gyre_scan: scan is NULL or its struct_size is not set");
    }
    if ((scan->flags & ~(GYRE_READ_NO_FILL | GYRE_SCAN_REVERSE)) != 0 || scan->reserved_ != 0) {
        return gy_loop_fail(db->loop, GYRE_INVALID,
                            "gyre_scan: a flag is unknown, or reserved_ is not 0");
    }
    /* what a scan stopped at may be one byte longer than a key */
    if (scan->from.size > GYRE_KEY_SIZE_MAX + 1 || scan->upper.size > GYRE_KEY_SIZE_MAX + 1 ||
        scan->prefix.size > GYRE_KEY_SIZE_MAX) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "gyre_scan: a bound has at most %u bytes",
                            GYRE_KEY_SIZE_MAX + 1);
    }
    if (scan->rows == NULL || scan->rows_max == 0 || scan->buffer == NULL) {
        return gy_loop_fail(db->loop, GYRE_INVALID,
                            "gyre_scan: there is no room for rows: rows, rows_max and buffer");
    }
    if (scan->snapshot != NULL && scan->snapshot->db != db) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "the snapshot is of another store");
    }
    return GYRE_OK;
}

gyre_status
gyre_scan(gyre_db *db, struct gyre_scan *scan)
{
    struct scan_call call = {.scan = scan};
    gyre_status status = gy_db_check(db);

    if (status == GYRE_OK) {
        status = check_scan(db, scan);
    }
    if (status != GYRE_OK) {
        return status;
    }
    call.own = *scan;
    call.own.row_count = 0;
    call.own.bytes = 0;
    call.own.stopped = GYRE_SCAN_AT_END;
    call.own.next = gyre_slice(NULL, 0);
    call.own.buffer_needed = 0;
    call.is_reverse = (scan->flags & GYRE_SCAN_REVERSE) != 0;
    call.walk.db = db;
    status = gy_call(db->loop, "scan", scan_run, &call);
    return status != GYRE_OK ? status : call.status;
}
