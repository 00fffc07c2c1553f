/* multi_get.c - many keys at one moment: what is in memory is answered at once, the rest is read by
 * a few coroutines that share the list, so that their reads are in flight together.
 *
 * The caller is one of the workers: where no coroutine can be had, it works alone.
 */
#include "engine/db/measure.h"
#include "engine/db/read.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define WORKERS_MAX 64u
#define PENDING GYRE_AGAIN /* statuses[i] of a key that nobody has taken yet */

/* Owns the view while it runs. Borrows the caller's arrays. */
struct multi_call {
    gyre_db *db;
    struct gy_view *view;
    struct gy_read_moment moment;
    size_t count;
    const struct gyre_slice *keys;
    struct gyre_value *values;
    gyre_status *statuses;
    size_t next;      /* keys below it are taken */
    uint32_t workers; /* coroutines besides the caller that have not ended */
    struct gy_waitq ended;
    struct gy_scope *scope;   /* the caller's: the workers work for the same operation */
    struct gyre_trace *trace; /* the caller's, or NULL */
    gyre_status fatal;        /* what ends the whole call */
    struct gyre_error error;  /* the first failure's text, of `fatal` or of a key */
};

static bool
is_of_key(gyre_status status)
{
    return status == GYRE_OK || status == GYRE_NOT_FOUND || status == GYRE_CORRUPT ||
           status == GYRE_IO || status == GYRE_INVALID;
}

static void
note(struct multi_call *call, size_t i, gyre_status status)
{
    gyre_db *db = call->db;

    if (gy_scope_has_ended(&db->loop->io.sched)) { /* Q4: the arrays are not ours any more */
        call->fatal = status;
        return;
    }
    call->statuses[i] = status;
    if (status == GYRE_OK) {
        db->counters.gets_found++;
        db->counters.user_bytes_read += call->values[i].size;
        gy_trace_note_bytes(&db->loop->io.sched, call->values[i].size);
        return;
    }
    if (status != GYRE_NOT_FOUND &&
        (call->error.status == GYRE_OK || (!is_of_key(status) && call->fatal == GYRE_OK))) {
        call->error = *gy_sched_error(&db->loop->io.sched);
    }
    if (!is_of_key(status) && call->fatal == GYRE_OK) {
        call->fatal = status;
    }
}

/* Q4: asked before the caller's arrays are looked at. */
static bool
may_go_on(struct multi_call *call)
{
    if (call->fatal == GYRE_OK) {
        call->fatal = gy_scope_check(&call->db->loop->io.sched);
    }
    return call->fatal == GYRE_OK;
}

static GY_SUSPENDS void
await_work(struct multi_call *call)
{
    gyre_db *db = call->db;

    while (may_go_on(call) && call->next < call->count) {
        const size_t i = call->next++;

        if (call->statuses[i] == PENDING) {
            note(call, i,
                 gy_read_await_get(db, call->view, call->keys[i], &call->moment, &call->values[i]));
            gy_await_turn(&db->loop->io.sched);
        }
    }
}

static void
worker_main(void *arg)
{
    struct multi_call *call = arg;
    struct gy_sched *sched = &call->db->loop->io.sched;
    struct gyre_trace trace = {0};

    gy_in_coroutine();
    sched->current->scope = call->scope;
    if (call->trace != NULL) {
        gy_trace_set(sched, &trace);
    }
    await_work(call);
    if (call->trace != NULL) { /* N3 */
        gy_trace_set(sched, NULL);
        gy_trace_add_counts(call->trace, &trace);
    }
    call->workers--;
    if (call->workers == 0) {
        gy_waitq_wake_all(&call->ended);
    }
}

/* Everything that needs no read. Returns how many keys are left. */
static GY_SUSPENDS size_t
await_first_pass(struct multi_call *call)
{
    gyre_db *db = call->db;
    size_t left = 0;

    for (size_t i = 0; i < call->count && may_go_on(call); i++) {
        gyre_status status = GYRE_OK;

        if (gy_read_check_key(db, call->keys[i]) != GYRE_OK) {
            note(call, i, GYRE_INVALID);
        } else if (gy_read_try_get(db, call->view, call->keys[i], &call->moment, &call->values[i],
                                   &status)) {
            note(call, i, status);
        } else {
            left++;
        }
        gy_await_turn(&db->loop->io.sched);
    }
    return left;
}

static GY_SUSPENDS void
await_all(struct multi_call *call)
{
    struct gy_sched *sched = &call->db->loop->io.sched;
    const size_t left = await_first_pass(call);
    const uint32_t wanted = (uint32_t)gy_min_u64(left, WORKERS_MAX);
    enum gy_away before;

    while (call->workers + 1 < wanted && gy_loop_has_stack(call->db->loop) &&
           gy_spawn(sched, GY_CLASS_FOREGROUND, "multi_get", worker_main, call, NULL) == GYRE_OK) {
        call->workers++;
    }
    await_work(call);
    before = gy_trace_begin_away(sched, GY_AWAY_DEVICE);
    while (call->workers > 0) {
        gy_waitq_await(sched, &call->ended);
    }
    gy_trace_end_away(sched, before);
}

static void
multi_run(void *arg)
{
    struct multi_call *call = arg;
    gyre_db *db = call->db;

    gy_in_coroutine();
    gy_db_enter(db);
    call->scope = db->loop->io.sched.current->scope;
    call->trace = db->loop->io.sched.trace;
    call->view = db->view;
    gy_view_ref(call->view);
    /* with the view: compaction may drop what is older */
    if (call->moment.sequence == GY_SEQUENCE_LATEST) {
        call->moment.sequence = gy_db_visible(db);
    }
    await_all(call);
    if (call->fatal == GYRE_OK && db->state != GY_DB_OPEN) { /* no value may be held any more */
        call->fatal = gy_loop_fail(db->loop, GYRE_CLOSED, "the store is closing");
        call->error = *gy_sched_error(&db->loop->io.sched);
    }
    gy_view_unref(call->view);
    db->counters.multi_gets++;
    db->counters.multi_get_keys += call->count;
    if (call->error.status != GYRE_OK) {
        *gy_sched_error(&db->loop->io.sched) = call->error;
        gy_event_note_damage(db, call->error.status);
    }
    if (call->fatal != GYRE_OK && !gy_scope_has_ended(&db->loop->io.sched)) {
        for (size_t i = 0; i < call->count; i++) {
            gyre_value_release(&call->values[i]); /* a zeroed one is fine */
        }
    }
    gy_db_leave(db);
}

gyre_status
gyre_multi_get(gyre_db *db, const struct gyre_read_options *options, size_t count,
               const struct gyre_slice *keys, struct gyre_value *values, gyre_status *statuses)
{
    struct multi_call call = {
        .db = db, .count = count, .keys = keys, .values = values, .statuses = statuses};
    gyre_status status = gy_db_check(db);

    if (status != GYRE_OK) {
        return status;
    }
    if (count > GYRE_MULTI_GET_MAX ||
        (count > 0 && (keys == NULL || values == NULL || statuses == NULL))) {
        return gy_loop_fail(db->loop, GYRE_INVALID,
                            "gyre_multi_get: at most %u keys, and no array may be NULL",
                            GYRE_MULTI_GET_MAX);
    }
    status = gy_read_moment_of(db, options, &call.moment);
    if (status != GYRE_OK || count == 0) {
        return status;
    }
    if (call.moment.deadline_ns != 0) {
        struct gyre_op op =
            GYRE_OP(.kind = GYRE_OP_MULTI_GET, .db = db, .count = count, .keys = keys,
                    .values = values, .statuses = statuses, .snapshot = options->snapshot,
                    .flags = options->flags, .deadline_ns = call.moment.deadline_ns);

        return gy_op_call(db->loop, &op);
    }
    gy_waitq_init(&call.ended);
    memset(values, 0, count * sizeof(*values));
    for (size_t i = 0; i < count; i++) {
        statuses[i] = PENDING;
    }
    status = gy_call_measured(db->loop,
                              &(struct gy_measured){.name = "multi_get",
                                                    .kind = GYRE_OP_MULTI_GET,
                                                    .measure = GYRE_MEASURE_MULTI_GET,
                                                    .status = &call.fatal},
                              multi_run, &call);
    return status != GYRE_OK ? status : call.fatal;
}
