/* op.c - submitted operations: their way from gyre_submit to the answer; see op.h for P1 to P3. */
#include "engine/db/op.h"

#include "engine/db/measure.h"
#include "engine/db/read.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"
#include "io/base/probes.h"

#include "io/base/ban.h"

void
gy_ops_init(gyre_loop *loop)
{
    gy_list_init(&loop->ops_queued[0]);
    gy_list_init(&loop->ops_queued[1]);
    gy_list_init(&loop->ops_asleep);
    gy_list_init(&loop->op_runs);
    gy_list_init(&loop->ops_answered);
}

bool
gy_ops_are_there(const gyre_loop *loop)
{
    gy_list_for_each (node, &loop->op_runs) {
        if (gy_container_of(node, struct gy_op_run, link)->op != NULL) {
            return true;
        }
    }
    return !gy_list_is_empty(&loop->ops_queued[0]) || !gy_list_is_empty(&loop->ops_queued[1]) ||
           !gy_list_is_empty(&loop->ops_asleep) || !gy_list_is_empty(&loop->ops_answered);
}

/* ---- Answers ---- */

static void
drop_timer(struct gy_op_private *private)
{
    if (private->has_timer) {
        gy_timer_remove(&private->loop->io.sched, &private->timer);
        gy_timer_give_back(&private->loop->io.sched);
        private->has_timer = false;
    }
}

/* What it waits for at this moment, when it is answered before its time, counts until now. */
static void
finish_trace(struct gyre_op *op, struct gy_op_run *run)
{
    struct gy_op_private *private = gy_op_private(op);
    const uint64_t now_ns = gy_loop_now(&private->loop->io);
    struct gyre_trace never_begun = {0};
    struct gyre_trace *trace = run != NULL ? &run->trace : &never_begun;
    const uint64_t begun_ns = run != NULL ? run->begun_ns : now_ns;

    if (run != NULL && run->co != private->loop->io.sched.current) {
        gy_trace_note_away(trace, run->co->away, run->co->left_ns, now_ns);
    }
    gy_trace_finish(trace, gy_sub_sat(begun_ns, private->submitted_ns), begun_ns, now_ns);
    op->trace = *trace;
}

/* It has its trace: count it. */
static void
measure(struct gyre_op *op, gyre_status status, enum gyre_measure of, bool waited)
{
    gyre_loop *loop = gy_op_private(op)->loop;
    struct gyre_slow slow = {.kind = op->kind, .status = status};

    gy_measure_note(loop->measures, of, op->trace.total_ns, waited);
    if (loop->measures->slow_fn != NULL && op->kind != GYRE_OP_SLEEP) {
        slow.trace = op->trace;
        gy_measure_note_slow(loop->measures, &slow, op->key);
    }
}

/* P1. `error` may be NULL where the status needs no text. */
void
gy_op_answer(struct gyre_op *op, gyre_status status, const struct gyre_error *error)
{
    struct gy_op_private *private = gy_op_private(op);
    gyre_loop *loop = private->loop;

    gy_assert(private->state == GY_OP_QUEUED || private->state == GY_OP_RUNNING ||
              GY_MUTANT(answer_doubled));
    drop_timer(private);
    gy_list_remove(&private->link);
    if (!private->at_once) {
        finish_trace(op, private->run);
        measure(op, status, gy_measure_of(op->db, (enum gyre_op_kind)op->kind, op->durability),
                true);
    }
    GY_PROBE4(op__answer, op, op->kind, status, op->trace.total_ns);
    if (private->run != NULL) {
        if (!GY_MUTANT(answer_doubled) || status != GYRE_CANCELED) {
            private->run->op = NULL; /* P2 */
        }
        private->run = NULL;
    }
    op->status = status;
    if (error != NULL) {
        op->error = *error;
    } else {
        memset(&op->error, 0, sizeof(op->error));
        op->error.status = status;
        op->error.offset = GY_NO_OFFSET;
    }
    private->state = GY_OP_ANSWERED;
    if (GY_MUTANT(answer_lost) && status == GYRE_CANCELED) {
        return;
    }
    if (op->done != NULL) {
        gy_list_push_back(&loop->ops_answered, &private->link);
        gy_poll_notify(loop);
    } else if (private->waiter != NULL) {
        gy_wake(private->waiter);
    }
}

/* Before its time: nothing was begun, or its coroutine is left to itself. */
static void
end(struct gyre_op *op, gyre_status why)
{
    struct gy_op_private *private = gy_op_private(op);
    struct gy_op_run *run = private->run;
    struct gyre_error error = {.status = why, .offset = GY_NO_OFFSET};
    const bool maybe_done = run != NULL && run->scope.maybe_done;

    gy_scope_text(why, maybe_done, &error);
    if (run != NULL && op->kind == GYRE_OP_MULTI_GET) {
        for (size_t i = 0; i < op->count; i++) { /* zeroed when it began */
            gyre_value_release(&op->values[i]);
        }
    }
    if (run == NULL) {
        GY_SOMETIMES(op_ended_in_queue);
    } else {
        GY_SOMETIMES(op_ended_at_work);
    }
    gy_op_answer(op, why, &error);
    if (run != NULL) {
        gy_scope_end(&run->scope, why);
    }
}

static void
deadline_passed(struct gy_timer *timer)
{
    struct gy_op_private *private = gy_container_of(timer, struct gy_op_private, timer);
    struct gyre_op *op = gy_op_of(private);

    if (op->kind == GYRE_OP_SLEEP) {
        gy_op_answer(op, GYRE_OK, NULL);
    } else if (!GY_MUTANT(deadline_forgotten) || private->run == NULL) {
        end(op, GYRE_TIMED_OUT);
    }
}

void
gy_ops_end(gyre_db *db)
{
    gyre_loop *loop = db->loop;

    for (uint32_t q = 0; q < 2; q++) {
        gy_list_for_each_safe (node, &loop->ops_queued[q]) {
            struct gyre_op *op = gy_op_of(gy_container_of(node, struct gy_op_private, link));

            if (op->db == db && op->kind != GYRE_OP_OPEN) {
                end(op, GYRE_CLOSED);
            }
        }
    }
    gy_list_for_each_safe (node, &loop->op_runs) {
        struct gy_op_run *run = gy_container_of(node, struct gy_op_run, link);

        if (run->db == db && run->op != NULL && run->kind != GYRE_OP_CLOSE) {
            end(run->op, GYRE_CLOSED);
        }
    }
}

/* ---- Answered, and not called back yet ---- */

static uint32_t
held_by(const struct gyre_op *op)
{
    uint32_t count = 0;

    if (op->kind == GYRE_OP_GET) {
        return op->status == GYRE_OK;
    }
    for (size_t i = 0; op->kind == GYRE_OP_MULTI_GET && op->status == GYRE_OK && i < op->count;
         i++) {
        count += op->statuses[i] == GYRE_OK;
    }
    return count;
}

uint32_t
gy_ops_undelivered(const gyre_db *db)
{
    uint32_t count = 0;

    gy_list_for_each (node, &db->loop->ops_answered) {
        const struct gyre_op *op = gy_op_of(gy_container_of(node, struct gy_op_private, link));

        count += op->db == db ? held_by(op) : 0;
    }
    return count;
}

void
gy_ops_take_back(gyre_db *db)
{
    gy_list_for_each (node, &db->loop->ops_answered) {
        struct gyre_op *op = gy_op_of(gy_container_of(node, struct gy_op_private, link));

        if (op->db != db || held_by(op) == 0) {
            continue;
        }
        gyre_value_release(&op->value);
        for (size_t i = 0; op->kind == GYRE_OP_MULTI_GET && i < op->count; i++) {
            gyre_value_release(&op->values[i]);
        }
        op->status = GYRE_CLOSED;
        gy_scope_text(GYRE_CLOSED, false, &op->error);
    }
}

/* ---- Submitting ---- */

static gyre_status
check_op(struct gyre_op *op, gyre_loop **ret_loop)
{
    struct gy_op_private *private = gy_op_private(op);
    gyre_loop *loop;
    gyre_status status;

    if (op->struct_size != sizeof(*op) || op->kind == GYRE_OP_NONE ||
        op->kind >= GYRE_OP_KIND_COUNT || op->reserved_ != 0) {
        return GYRE_INVALID;
    }
    switch (op->kind) {
    case GYRE_OP_OPEN:
    case GYRE_OP_DESTROY:
    case GYRE_OP_SALVAGE:
    case GYRE_OP_SLEEP:
        loop = op->loop;
        status = gy_loop_check(loop);
        break;
    default:
        status = op->db != NULL && op->db->magic == GY_DB_MAGIC ? gy_loop_check(op->db->loop)
                                                                : GYRE_MISUSE;
        loop = status == GYRE_OK ? op->db->loop : NULL;
        break;
    }
    if (status == GYRE_OK && private->magic == GY_OP_MAGIC && private->state != GY_OP_IDLE) {
        status = gy_loop_fail(loop, GYRE_MISUSE, "gyre_submit: the op has been submitted already");
    }
    if (status == GYRE_OK && op->kind == GYRE_OP_SLEEP && op->deadline_ns == 0) {
        status = gy_loop_fail(loop, GYRE_INVALID, "gyre_submit: a sleep needs a deadline_ns");
    }
    *ret_loop = loop;
    return status;
}

/* gy_read_try_get with a trace of its own, beside that of the coroutine which submits. */
static bool
try_traced(struct gyre_op *op, const struct gy_read_moment *moment, gyre_status *ret_status)
{
    gyre_db *db = op->db;
    struct gy_sched *sched = &db->loop->io.sched;
    struct gyre_trace *outer = sched->trace;
    bool is_known;

    op->trace = (struct gyre_trace){0};
    sched->trace = &op->trace; /* nothing here waits */
    is_known = gy_read_try_get(db, db->view, op->key, moment, &op->value, ret_status);
    sched->trace = outer;
    return is_known;
}

/* Timed now and then only (D1 in measure.h). */
static void
measure_at_once(struct gyre_op *op, gyre_status status, uint64_t begun_ns)
{
    if (begun_ns != 0) {
        gy_trace_finish(&op->trace, 0, begun_ns, gy_loop_now(&op->db->loop->io));
        measure(op, status, GYRE_MEASURE_GET, false);
    }
}

/* A value that is in memory needs no coroutine. */
static bool
try_at_once(struct gyre_op *op)
{
    struct gyre_read_options options = {
        .struct_size = sizeof(options), .flags = op->flags, .snapshot = op->snapshot};
    struct gy_read_moment moment;
    struct gyre_error *error;
    gyre_status status = GYRE_OK;
    gyre_db *db = op->db;
    uint64_t begun_ns;

    if (op->kind != GYRE_OP_GET || db->state != GY_DB_OPEN ||
        gy_read_check_key(db, op->key) != GYRE_OK ||
        gy_read_moment_of(db, &options, &moment) != GYRE_OK) {
        return false; /* the slow way has the text */
    }
    if (moment.sequence == GY_SEQUENCE_LATEST) {
        moment.sequence = gy_db_visible(db);
    }
    begun_ns =
        gy_measure_is_due(db->loop->measures, GYRE_MEASURE_GET) ? gy_loop_now(&db->loop->io) : 0;
    if (!try_traced(op, &moment, &status)) {
        return false;
    }
    db->counters.gets++;
    if (status == GYRE_OK) {
        db->counters.gets_found++;
        db->counters.user_bytes_read += op->value.size;
        op->trace.bytes = op->value.size;
    }
    gy_op_private(op)->at_once = true;
    measure_at_once(op, status, begun_ns);
    error = gy_sched_error(&db->loop->io.sched);
    gy_op_answer(op, status, status != GYRE_OK && status != GYRE_NOT_FOUND ? error : NULL);
    return true;
}

static gyre_status
submit(gyre_loop *loop, struct gyre_op *op)
{
    struct gy_op_private *private = gy_op_private(op);
    gyre_status status;

    *private = (struct gy_op_private){
        .magic = GY_OP_MAGIC,
        .loop = loop,
        .state = GY_OP_QUEUED,
        .timer = {.deadline_ns = op->deadline_ns, .index = GY_TIMER_NONE, .fire = deadline_passed}};
    gy_list_init(&private->link);
    op->status = GYRE_AGAIN;
    GY_PROBE2(op__submit, op, op->kind);
    if (op->deadline_ns != 0) {
        private->submitted_ns = gy_loop_now(&loop->io);
        if (!gy_timer_lend(&loop->io.sched)) {
            private->state = GY_OP_IDLE;
            return gy_loop_fail(loop, GYRE_NO_MEMORY, "no memory for a deadline");
        }
        private->has_timer = true;
        if (op->deadline_ns <= private->submitted_ns) {
            deadline_passed(&private->timer);
            return GYRE_OK;
        }
        gy_timer_add(&loop->io.sched, &private->timer);
        if (op->kind == GYRE_OP_SLEEP) {
            gy_list_push_back(&loop->ops_asleep, &private->link);
            gy_poll_notify(loop);
            return GYRE_OK;
        }
    }
    if (try_at_once(op)) {
        return GYRE_OK;
    }
    if (private->submitted_ns == 0) {
        private->submitted_ns = gy_loop_now(&loop->io);
    }
    gy_list_push_back(&loop->ops_queued[gy_op_waits(op)], &private->link);
    status = gy_op_start_worker(loop);
    if (status != GYRE_OK) {
        drop_timer(private);
        gy_list_remove(&private->link);
        private->state = GY_OP_IDLE;
        return gy_loop_fail(loop, status, "no coroutine for an operation; raise memory_limit");
    }
    gy_poll_notify(loop);
    return GYRE_OK;
}

gyre_status
gyre_submit(struct gyre_op *op)
{
    gyre_loop *loop = NULL;
    gyre_status status = op != NULL ? check_op(op, &loop) : GYRE_INVALID;

    if (status == GYRE_OK) {
        status = submit(loop, op);
    }
    if (status != GYRE_OK && loop != NULL && gy_op_private(op)->state == GY_OP_IDLE) {
        op->status = status;
        op->error = *gy_sched_error(&loop->io.sched);
    }
    return status;
}

static gyre_status
check_submitted(struct gyre_op *op)
{
    struct gy_op_private *private;

    if (op == NULL) {
        return GYRE_INVALID;
    }
    private = gy_op_private(op);
    if (private->magic != GY_OP_MAGIC || private->state == GY_OP_IDLE) {
        return GYRE_MISUSE;
    }
    return gy_loop_check(private->loop);
}

gyre_status
gyre_cancel(struct gyre_op *op)
{
    const gyre_status status = check_submitted(op);

    if (status == GYRE_OK && gy_op_private(op)->state != GY_OP_ANSWERED) {
        end(op, GYRE_CANCELED);
    }
    return status;
}

/* ---- Waiting for one ---- */

static void
wait_main(void *arg)
{
    struct gy_op_private *private = gy_op_private(arg);
    struct gy_sched *sched = &private->loop->io.sched;

    gy_in_coroutine();
    private->waiter = sched->current;
    while (private->state != GY_OP_ANSWERED) {
        gy_await_park(sched);
    }
    private->waiter = NULL;
    private->state = GY_OP_IDLE;
}

gyre_status
gyre_await(struct gyre_op *op)
{
    gyre_status status = check_submitted(op);
    gyre_loop *loop;

    if (status != GYRE_OK) {
        return status;
    }
    loop = gy_op_private(op)->loop;
    if (op->done != NULL || gy_op_private(op)->waiter != NULL) {
        return gy_loop_fail(loop, GYRE_INVALID,
                            "gyre_await: the op has a callback, or somebody waits for it already");
    }
    if (gy_op_private(op)->state == GY_OP_ANSWERED) {
        gy_op_private(op)->state = GY_OP_IDLE; /* there is nothing to wait for */
    } else {
        status = gy_call(loop, "await", wait_main, op);
    }
    if (status == GYRE_OK && op->status != GYRE_OK && op->status != GYRE_NOT_FOUND) {
        *gy_sched_error(&loop->io.sched) = op->error;
    }
    return status != GYRE_OK ? status : op->status;
}

/* `op` lies in the caller's frame: it is not left behind where nobody can wait for it. */
gyre_status
gy_op_call(gyre_loop *loop, struct gyre_op *op)
{
    struct gy_op_private *private = gy_op_private(op);
    gyre_status status = gy_call_check(loop);

    if (status == GYRE_OK) {
        status = submit(loop, op);
    }
    if (status != GYRE_OK) {
        return status;
    }
    status = gyre_await(op);
    if (private->state != GY_OP_IDLE) {
        end(op, GYRE_CANCELED);
        private->state = GY_OP_IDLE;
        gy_sched_error(&loop->io.sched)->maybe_done = op->error.maybe_done;
    }
    return status;
}
