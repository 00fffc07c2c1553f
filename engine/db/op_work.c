/* op_work.c - the coroutines that run submitted operations: which begins, with a scope, to its
 * answer; see op.h for P1, P2 and P4. */
#include "engine/db/op.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"

#include "io/base/ban.h"

static void
fill(struct gyre_op *op, struct gy_op_run *run)
{
    if (run->status != GYRE_OK) {
        return;
    }
    op->value = run->value;
    if (run->kind == GYRE_OP_APPROXIMATE_SIZE) {
        op->bytes = run->bytes;
    }
    if (run->opened != NULL) {
        op->db = run->opened;
    }
}

static void
fill_results(struct gyre_op *op, const struct gy_op_run *run)
{
    if (run->kind == GYRE_OP_VERIFY && op->verify_result != NULL) {
        *op->verify_result = run->verify_result;
    }
    if (run->kind == GYRE_OP_SALVAGE && op->salvage_result != NULL) {
        *op->salvage_result = run->salvage_result;
    }
}

static GY_SUSPENDS void
await_one(gyre_loop *loop, struct gyre_op *op)
{
    struct gy_op_private *private = gy_op_private(op);
    struct gy_co *co = loop->io.sched.current;
    struct gy_op_run run = {.op = op,
                            .arg = op->arg,
                            .co = co,
                            .begun_ns = gy_loop_now(&loop->io),
                            .kind = (enum gyre_op_kind)op->kind,
                            .db = op->kind == GYRE_OP_OPEN ? NULL : op->db};

    gy_scope_init(&run.scope);
    run.scope.on_wait = loop->on_scope_wait;
    gy_list_push_back(&loop->op_runs, &run.link);
    private->run = &run;
    private->state = GY_OP_RUNNING;
    co->scope = &run.scope;
    co->name = gy_op_name(run.kind);
    gy_trace_set(&loop->io.sched, &run.trace);
    gy_op_await_run(op, &run);
    gy_trace_set(&loop->io.sched, NULL);
    co->scope = NULL;
    gy_list_remove(&run.link);
    if (run.op == NULL) {
        GY_SOMETIMES(op_left_to_itself);
        gy_op_await_drop(&run);
        return;
    }
    fill(op, &run);
    fill_results(op, &run);
    gy_op_answer(op, run.status,
                 run.status != GYRE_OK && run.status != GYRE_NOT_FOUND ? &co->error : NULL);
}

/* May it wait for room in the store, or for the end of other work? */
bool
gy_op_waits(const struct gyre_op *op)
{
    switch (op->kind) {
    case GYRE_OP_GET:
    case GYRE_OP_MULTI_GET:
    case GYRE_OP_ITERATOR_FIRST:
    case GYRE_OP_ITERATOR_LAST:
    case GYRE_OP_ITERATOR_SEEK:
    case GYRE_OP_ITERATOR_SEEK_FOR_PREV:
    case GYRE_OP_ITERATOR_NEXT:
    case GYRE_OP_ITERATOR_PREV:
    case GYRE_OP_SCAN:
    case GYRE_OP_APPROXIMATE_SIZE:
        return false;
    default:
        return true;
    }
}

/* P4. The queues take turns; NULL: nothing may begin. */
static struct gyre_op *
next_op(gyre_loop *loop)
{
    const bool may_wait = loop->op_waiters < gy_max_u64(loop->op_workers_max / 4 * 3, 1);

    for (uint32_t tries = 0; tries < 2; tries++) {
        const bool waits = loop->op_turn;

        loop->op_turn = !loop->op_turn;
        if ((!waits || may_wait) && !gy_list_is_empty(&loop->ops_queued[waits])) {
            struct gy_list *node = gy_list_pop_front(&loop->ops_queued[waits]);

            return gy_op_of(gy_container_of(node, struct gy_op_private, link));
        }
    }
    return NULL;
}

static void
worker_main(void *arg)
{
    gyre_loop *loop = arg;
    struct gyre_op *op;

    gy_in_coroutine();
    while ((op = next_op(loop)) != NULL) {
        const bool waits = gy_op_waits(op);

        loop->op_waiters += waits;
        await_one(loop, op);
        loop->op_waiters -= waits;
        gy_await_turn(&loop->io.sched);
    }
    loop->op_workers--;
}

/* A coroutine for what has been queued. Without one it waits for those at work; the first may take
 * what is kept for the library's own, or nothing would go on when memory is full. */
gyre_status
gy_op_start_worker(gyre_loop *loop)
{
    gyre_status status = GYRE_AGAIN;

    if (loop->op_workers == 0 ||
        (loop->op_workers < loop->op_workers_max && gy_loop_has_stack(loop))) {
        status = gy_spawn(&loop->io.sched, GY_CLASS_FOREGROUND, "op", worker_main, loop, NULL);
    }
    if (status == GYRE_OK) {
        loop->op_workers++;
    } else if (loop->op_workers > 0) {
        GY_SOMETIMES(op_waited_for_coroutine);
        return GYRE_OK;
    }
    return status;
}
