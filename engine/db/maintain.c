/* maintain.c - flush, wait_idle, compact_range, approximate_size: what a user may ask of the
 * background, and wait for. */
#include "engine/db/background.h"
#include "engine/db/begin.h"
#include "engine/db/db.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define FAILURES_MAX 3u /* background jobs that may fail while somebody waits for them to end */

static struct gy_sched *
sched_of(gyre_db *db)
{
    return &db->loop->io.sched;
}

/* Nothing will be flushed or compacted any more. */
static gyre_status
check_working(gyre_db *db)
{
    if (db->read_only) {
        return gy_loop_fail(db->loop, GYRE_READ_ONLY, "the store was opened read-only");
    }
    if (db->manifest.poison != GYRE_OK || (db->has_wal && db->wal.poison != GYRE_OK)) {
        return gy_loop_fail(db->loop, GYRE_READ_ONLY,
                            "a write of the log or the manifest failed; reopen the store");
    }
    if (db->state != GY_DB_OPEN) {
        return gy_loop_fail(db->loop, GYRE_CLOSED, "the store is closing");
    }
    if (db->waiting != NULL) {
        return gy_begin_refusal(db);
    }
    return gy_pause_refusal(db);
}

/* ---- Flush and wait ---- */

struct simple_call {
    gyre_db *db;
    gyre_status status;
};

static void
flush_run(void *arg)
{
    struct simple_call *call = arg;
    gyre_db *db = call->db;

    gy_in_coroutine();
    gy_db_enter(db);
    call->status = check_working(db);
    if (call->status == GYRE_OK) {
        call->status = gy_db_await_flushed(db, gy_db_visible(db));
    }
    gy_db_leave(db);
}

gyre_status
gyre_flush(gyre_db *db)
{
    struct simple_call call = {.db = db};
    gyre_status status = gy_db_check(db);

    if (status == GYRE_OK) {
        status = gy_call(db->loop, "flush call", flush_run, &call);
    }
    return status != GYRE_OK ? status : call.status;
}

static bool
is_idle(gyre_db *db)
{
    struct gy_compact_job job;

    if (db->view->frozen_count > 0 || db->flush_running || db->compact_running ||
        db->compact_paused) {
        return false;
    }
    return db->options.background_off ||
           (!gy_compact_pick(db->view->version, &db->compact_options, NULL, &job) &&
            gy_wanted_pick(db, &job) == NULL);
}

static void
wait_run(void *arg)
{
    struct simple_call *call = arg;
    gyre_db *db = call->db;
    const uint64_t failures_before = db->background_failures;

    gy_in_coroutine();
    gy_db_enter(db);
    call->status = db->read_only ? GYRE_OK : check_working(db);
    while (call->status == GYRE_OK && !db->read_only && !is_idle(db)) {
        if ((db->background_status != GYRE_OK || db->space.job_waits) &&
            db->background_failures >= failures_before + FAILURES_MAX) {
            *gy_sched_error(sched_of(db)) = db->background_error;
            call->status = db->background_error.status;
            break;
        }
        gy_db_kick(db);
        call->status = gy_scope_await(sched_of(db), &db->installed);
        if (call->status == GYRE_OK) {
            call->status = check_working(db);
        }
    }
    gy_db_leave(db);
}

gyre_status
gyre_wait_idle(gyre_db *db)
{
    struct simple_call call = {.db = db, .status = GYRE_OK};
    gyre_status status = gy_db_check(db);

    if (status == GYRE_OK) {
        status = gy_call(db->loop, "wait_idle", wait_run, &call);
    }
    return status != GYRE_OK ? status : call.status;
}

/* ---- Compacting a range ---- */

struct range_call {
    gyre_db *db;
    struct gyre_slice from;
    struct gyre_slice to;
    gyre_progress_fn progress;
    void *progress_arg;
    uint64_t number_limit; /* tables of level 0 with a lower number were there when it began */
    uint64_t done;         /* bytes */
    uint64_t total;
    /* GYRE_KEY_SIZE_MAX + 1 bytes: where the rewriting of the bottom goes on */
    uint8_t *key;
    gyre_status status;
};

static bool
is_table_in_range(const struct gy_table_meta *meta, struct gyre_slice from, struct gyre_slice to)
{
    return (from.data == NULL || gy_key_compare(meta->largest, from) >= 0) &&
           (to.data == NULL || gy_key_compare(meta->smallest, to) <= 0);
}

/* An estimate: what lies in the range goes down once and is rewritten at the bottom once. */
static uint64_t
range_work(const struct range_call *call)
{
    const struct gy_version *version = call->db->view->version;
    uint64_t bytes = 0;

    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < version->levels[level].count; i++) {
            const struct gy_table_meta *meta = &version->levels[level].tables[i]->meta;

            bytes += is_table_in_range(meta, call->from, call->to) ? 2 * meta->size : 0;
        }
    }
    return bytes;
}

static gyre_status
report(struct range_call *call)
{
    bool go_on = true;
    const gyre_status status = gy_scope_check(sched_of(call->db));

    if (status != GYRE_OK) {
        return status;
    }
    call->done = gy_min_u64(call->done, call->total);
    if (call->progress != NULL) {
        gy_callback_begin(call->db->loop);
        go_on = call->progress(call->progress_arg, call->done, call->total);
        gy_callback_end(call->db->loop);
    }
    return go_on ? GYRE_OK : gy_loop_fail(call->db->loop, GYRE_CANCELED, "the caller stopped it");
}

static GY_SUSPENDS gyre_status
await_job(struct range_call *call, struct gy_compact_job *job)
{
    gyre_db *db = call->db;
    const uint64_t bytes = job->input_bytes;
    gyre_status status = check_working(db);

    if (status == GYRE_OK) {
        status = gy_db_await_compact(db, db->view->version, job);
    }
    if (status == GYRE_CANCELED && !db->stop) { /* it gave way to a pause, which may be over */
        status = gy_loop_fail(db->loop, GYRE_BUSY, "background work was paused meanwhile");
    }
    call->done += bytes;
    return status != GYRE_OK ? status : report(call);
}

/* Level 0 may be filled again all the time: only what was there at the beginning has to go. */
static bool
has_old_level0(const struct range_call *call)
{
    const struct gy_level *level0 = &call->db->view->version->levels[0];

    for (uint32_t i = 0; i < level0->count; i++) {
        if (level0->tables[i]->meta.number < call->number_limit &&
            is_table_in_range(&level0->tables[i]->meta, call->from, call->to)) {
            return true;
        }
    }
    return false;
}

static GY_SUSPENDS gyre_status
await_push_down(struct range_call *call)
{
    gyre_db *db = call->db;
    gyre_status status = GYRE_OK;

    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        struct gy_compact_job job;

        while (status == GYRE_OK && (level > 0 || has_old_level0(call)) &&
               gy_compact_pick_range(db->view->version, &db->compact_options, level, call->from,
                                     call->to, false, &job)) {
            status = await_job(call, &job);
        }
    }
    return status;
}

/* Each table of the bottom once: the range's beginning moves behind what was rewritten. */
static GY_SUSPENDS gyre_status
await_rewrite_bottom(struct range_call *call)
{
    gyre_db *db = call->db;
    struct gyre_slice from = call->from;
    gyre_status status = GYRE_OK;
    uint32_t bottom = GY_LEVEL_COUNT - 1;

    while (bottom > 1 && db->view->version->levels[bottom].count == 0) {
        bottom--;
    }
    while (status == GYRE_OK) {
        struct gy_compact_job job;
        struct gyre_slice last;

        if (!gy_compact_pick_range(db->view->version, &db->compact_options, bottom, from, call->to,
                                   true, &job)) {
            break;
        }
        if (job.level_output != bottom) {
            break; /* a deeper level has come into being: a move went there */
        }
        last = job.inputs[0][job.input_count[0] - 1]->meta.largest;
        memcpy(call->key, last.data, last.size);
        call->key[last.size] = 0; /* the smallest key behind it */
        from = gyre_slice(call->key, last.size + 1);
        status = await_job(call, &job);
    }
    return status;
}

static GY_SUSPENDS gyre_status
await_range(struct range_call *call)
{
    gyre_db *db = call->db;
    gyre_status status;

    call->number_limit = db->next_file_number;
    call->total = range_work(call);
    status = report(call);
    if (status == GYRE_OK) {
        status = await_push_down(call);
    }
    if (status == GYRE_OK) {
        status = await_rewrite_bottom(call);
    }
    if (status == GYRE_OK) {
        call->done = call->total;
        (void)report(call); /* done: there is nothing left to cancel */
    }
    return status;
}

static void
range_run(void *arg)
{
    struct range_call *call = arg;
    gyre_db *db = call->db;

    gy_in_coroutine();
    gy_db_enter(db);
    call->status = check_working(db);
    if (call->status == GYRE_OK) {
        call->status = gy_db_await_flushed(db, gy_db_visible(db));
    }
    while (call->status == GYRE_OK && db->compact_paused) { /* another compact_range */
        call->status = gy_scope_await(sched_of(db), &db->installed);
        if (call->status == GYRE_OK) {
            call->status = check_working(db);
        }
    }
    if (call->status == GYRE_OK) {
        db->compact_paused = true;
        while (call->status == GYRE_OK && db->compact_running) { /* it may stand still: a pause */
            call->status = gy_scope_await(sched_of(db), &db->installed);
            call->status = gy_first(call->status, check_working(db));
        }
        if (call->status == GYRE_OK) {
            call->status = await_range(call);
        }
        if (call->status == GYRE_CANCELED && db->stop) {
            call->status = gy_loop_fail(db->loop, GYRE_CLOSED, "the store is closing");
        }
        db->compact_paused = false;
        gy_waitq_wake_all(&db->installed);
        gy_db_kick(db);
    }
    gy_db_leave(db);
}

static bool
is_bound(struct gyre_slice key)
{
    return key.size <= GYRE_KEY_SIZE_MAX && (key.data != NULL || key.size == 0);
}

gyre_status
gyre_compact_range(gyre_db *db, struct gyre_slice from, struct gyre_slice to,
                   gyre_progress_fn progress, void *progress_arg)
{
    struct range_call call = {
        .db = db, .from = from, .to = to, .progress = progress, .progress_arg = progress_arg};
    gyre_status status = gy_db_check(db);

    if (status != GYRE_OK) {
        return status;
    }
    if (!is_bound(from) || !is_bound(to)) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "gyre_compact_range: a key is too long");
    }
    call.key = gy_heap_alloc(&db->loop->io.heap, GYRE_KEY_SIZE_MAX + 1, GY_MEM_CALL);
    if (call.key == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory to compact");
    }
    status = gy_call(db->loop, "compact_range", range_run, &call);
    gy_heap_free(&db->loop->io.heap, call.key);
    return status != GYRE_OK ? status : call.status;
}

/* ---- Sizes ---- */

struct size_call {
    gyre_db *db;
    struct gyre_slice from;
    struct gyre_slice to;
    uint64_t bytes;
    gyre_status status;
};

/* Bytes of the table below `key` (data NULL: 0 or all of it). */
static GY_SUSPENDS gyre_status
await_offset(struct gy_table *table, struct gyre_slice key, uint64_t otherwise,
             uint64_t *ret_offset)
{
    if (key.data == NULL || gy_key_compare(key, table->meta.smallest) <= 0) {
        *ret_offset = key.data == NULL ? otherwise : 0;
        return GYRE_OK;
    }
    if (gy_key_compare(key, table->meta.largest) > 0) {
        *ret_offset = table->meta.size;
        return GYRE_OK;
    }
    return gy_table_await_offset(table, key, ret_offset);
}

static void
size_run(void *arg)
{
    struct size_call *call = arg;
    gyre_db *db = call->db;
    struct gy_version *version = db->view->version;

    gy_in_coroutine();
    gy_db_enter(db);
    gy_version_ref(version);
    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        for (uint32_t i = 0; call->status == GYRE_OK && i < version->levels[level].count; i++) {
            struct gy_table *table = version->levels[level].tables[i];
            uint64_t start = 0;
            uint64_t end = 0;

            call->status = await_offset(table, call->from, 0, &start);
            if (call->status == GYRE_OK) {
                call->status = await_offset(table, call->to, table->meta.size, &end);
            }
            call->bytes += gy_sub_sat(end, start);
            gy_await_turn(sched_of(db));
        }
    }
    gy_version_unref(version);
    gy_db_leave(db);
}

gyre_status
gyre_approximate_size(gyre_db *db, struct gyre_slice from, struct gyre_slice to,
                      uint64_t *ret_bytes)
{
    struct size_call call = {.db = db, .from = from, .to = to};
    gyre_status status = gy_db_check(db);

    if (status != GYRE_OK) {
        return status;
    }
    if (!is_bound(from) || !is_bound(to) || ret_bytes == NULL) {
        return gy_loop_fail(db->loop, GYRE_INVALID,
                            "gyre_approximate_size: a key is too long, or ret_bytes is NULL");
    }
    status = gy_call(db->loop, "size", size_run, &call);
    status = status != GYRE_OK ? status : call.status;
    if (status == GYRE_OK) {
        *ret_bytes = call.bytes;
    }
    return status;
}
