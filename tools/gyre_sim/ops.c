/* ops.c - the same calls as submitted operations, with deadlines and cancels at any await (R6):
 * each is answered once; what it points to is gone then; "not done" is never found in the log
 * later. */
#include <stdlib.h>

#include "io/base/bits.h"
#include "tools/gyre_sim/run.h"

#define DEADLINE_SHORT_NS (50 * GY_NS_PER_US)
#define LATE_NS_MAX (2 * GY_NS_PER_MS) /* others run first, the host is elsewhere */
#define SETTLE_PAUSE_NS GY_NS_PER_MS
#define SETTLE_PAUSES 20000u
#define DEADLINE_LONG_NS (5 * GY_NS_PER_MS)

/* At an await of some operation. */
static void
on_wait(struct gy_scope *scope)
{
    struct run *run = write_run_now;
    struct gy_op_run *op_run = gy_container_of(scope, struct gy_op_run, scope);

    if (op_run->op != NULL && gy_rng_below(&run->op_rng, run->plan.cancel_one_in) == 0) {
        const gyre_status status = gyre_cancel(op_run->op);

        demand(status == GYRE_OK && op_run->op == NULL);
    }
}

void
ops_begin(struct run *run)
{
    gy_rng_init(&run->op_rng, run->seed ^ run->session ^ 0x6f7073ull);
    if (run->plan.cancel_one_in != 0) {
        run->machine.loop->on_scope_wait = on_wait;
    }
}

static void
draw_deadline(struct run *run, struct gyre_op *op)
{
    const uint64_t now_ns = gyre_now(run->machine.loop);

    switch (gy_rng_below(&run->op_rng, 6)) {
    case 0:
        op->deadline_ns = now_ns + gy_rng_below(&run->op_rng, DEADLINE_SHORT_NS);
        break;
    case 1:
        op->deadline_ns = now_ns + gy_rng_below(&run->op_rng, DEADLINE_LONG_NS);
        break;
    default:
        break;
    }
}

static void
on_done(struct gyre_op *op)
{
    struct op_tag *tag = op->arg;

    tag->answers++;
    if (tag->answers > 1) {
        fail_now("an operation was answered twice");
    }
    gy_wake(tag->co);
}

static void
note(const struct gyre_op *op)
{
    switch (op->status) {
    case GYRE_TIMED_OUT:
        reached(op_timed_out);
        break;
    case GYRE_CANCELED:
        reached(op_cancelled);
        break;
    case GYRE_CLOSED:
        reached(op_closed);
        break;
    default:
        break;
    }
    if (op->error.maybe_done) {
        reached(op_maybe_done);
    }
}

static gyre_status
perform(struct actor *actor, struct gyre_op *op, struct op_tag *tag)
{
    struct run *run = actor->run;
    struct gy_sched *sched = &run->machine.loop->io.sched;
    gyre_status status;

    gy_in_coroutine();
    draw_deadline(run, op);
    tag->co = sched->current;
    op->arg = tag;
    if (run->is_polled) {
        op->done = on_done;
    }
    status = gyre_submit(op);
    if (status != GYRE_OK) {
        return status;
    }
    if (op->done == NULL) {
        status = gyre_await(op);
        demand(status == op->status);
    } else {
        while (tag->answers == 0) {
            gy_await_park(sched);
        }
        *gy_sched_error(sched) = op->error;
    }
    if (op->deadline_ns != 0 && run->plan.faults != PLAN_CLOCK &&
        gyre_now(run->machine.loop) > op->deadline_ns + LATE_NS_MAX) {
        fail_now("an operation was answered %llu ns after its deadline",
                 (unsigned long long)(gyre_now(run->machine.loop) - op->deadline_ns));
    }
    note(op);
    return op->status;
}

/* ---- The calls ---- */

static gyre_status
perform_read(struct actor *actor, struct gyre_op *op)
{
    struct op_tag tag = {0};

    return perform(actor, op, &tag);
}

gyre_status
ops_simple(struct actor *actor, enum gyre_op_kind kind, gyre_status (*plain)(gyre_db *db))
{
    struct run *run = actor->run;
    struct gyre_op op = GYRE_OP(.kind = (uint32_t)kind, .db = run->db);

    return run->plan.form == PLAN_FORM_PLAIN ? plain(run->db) : perform_read(actor, &op);
}

gyre_status
ops_compact(struct actor *actor, struct gyre_slice from, struct gyre_slice to)
{
    struct run *run = actor->run;
    struct gyre_op op =
        GYRE_OP(.kind = GYRE_OP_COMPACT_RANGE, .db = run->db, .key = from, .key_to = to);

    return run->plan.form == PLAN_FORM_PLAIN ? gyre_compact_range(run->db, from, to, NULL, NULL)
                                             : perform_read(actor, &op);
}

/* The key in memory of its own, which goes when the operation is answered. */
static struct gyre_slice
own(struct gyre_slice key)
{
    uint8_t *copy = malloc(key.size + 1);

    demand(copy != NULL);
    memcpy(copy, key.data, key.size);
    return gyre_slice(copy, key.size);
}

static void
spoil(struct gyre_slice key)
{
    memset((void *)(uintptr_t)key.data, 0xdd, key.size);
    free((void *)(uintptr_t)key.data);
}

gyre_status
ops_get(struct actor *actor, const struct gyre_read_options *options, struct gyre_slice key,
        struct gyre_value *ret_value)
{
    struct run *run = actor->run;
    struct gyre_op op = GYRE_OP(.kind = GYRE_OP_GET, .db = run->db);
    gyre_status status;

    if (run->plan.form == PLAN_FORM_PLAIN) {
        return gyre_get(run->db, options, key, ret_value);
    }
    if (options != NULL) {
        op.snapshot = options->snapshot;
        op.flags = options->flags;
    }
    op.key = own(key);
    status = perform_read(actor, &op);
    spoil(op.key);
    if (status == GYRE_OK) {
        *ret_value = op.value;
    }
    return status;
}

gyre_status
ops_multi_get(struct actor *actor, const gyre_snapshot *snapshot, size_t count,
              const struct gyre_slice *keys, struct gyre_value *values, gyre_status *statuses)
{
    struct run *run = actor->run;
    struct gyre_op op =
        GYRE_OP(.kind = GYRE_OP_MULTI_GET, .db = run->db, .snapshot = snapshot, .count = count,
                .keys = keys, .values = values, .statuses = statuses);

    return run->plan.form == PLAN_FORM_PLAIN
               ? gyre_multi_get(run->db, GYRE_READ_OPTIONS(.snapshot = snapshot), count, keys,
                                values, statuses)
               : perform_read(actor, &op);
}

gyre_status
ops_scan(struct actor *actor, struct gyre_scan *scan)
{
    struct run *run = actor->run;
    struct gyre_op op = GYRE_OP(.kind = GYRE_OP_SCAN, .db = run->db, .scan = scan);

    return run->plan.form == PLAN_FORM_PLAIN ? gyre_scan(run->db, scan) : perform_read(actor, &op);
}

gyre_status
ops_room(struct actor *actor, uint64_t bytes)
{
    struct run *run = actor->run;
    struct gyre_op op = GYRE_OP(.kind = GYRE_OP_ROOM, .db = run->db, .bytes = bytes);

    return run->plan.form == PLAN_FORM_PLAIN ? gyre_wait_room(run->db, bytes)
                                             : perform_read(actor, &op);
}

/* `pending` is told when the commit gets its place, even if that is after the answer. */
gyre_status
ops_write(struct actor *actor, struct pending *pending, const struct gyre_write_options *options,
          struct gyre_op *op)
{
    struct run *run = actor->run;
    gyre_status status;

    op->struct_size = sizeof(*op);
    op->db = run->db;
    if (run->plan.form == PLAN_FORM_PLAIN) {
        switch (op->kind) {
        case GYRE_OP_PUT:
            return gyre_put(run->db, options, op->key, op->data);
        case GYRE_OP_DELETE:
            return gyre_delete(run->db, options, op->key);
        default:
            return gyre_write(run->db, options, op->batch);
        }
    }
    op->durability = options->durability;
    op->flags = options->flags;
    if (op->kind != GYRE_OP_WRITE) {
        op->key = own(op->key);
    }
    status = perform(actor, op, &pending->tag);
    if (op->kind != GYRE_OP_WRITE) {
        spoil(op->key);
    }
    return status;
}

/* ---- Driving ---- */

void
ops_drive(struct run *run)
{
    gyre_status status = GYRE_OK;

    run->is_polled = run->plan.form == PLAN_FORM_CALLBACK;
    while (run->is_polled && run->actors_live > 0) {
        (void)gyre_loop_poll(run->machine.loop, (uint32_t)gy_rng_below(&run->op_rng, 100));
        if (gy_rng_below(&run->op_rng, 2) == 0) { /* the host has other things to do */
            status = gyre_sleep(run->machine.loop, 1 + gy_rng_below(&run->op_rng, 20000));
            demand(status == GYRE_OK);
        }
    }
    run->is_polled = false;
    status = gyre_run(run->machine.loop);
    demand(status == GYRE_OK);
}

/* Operations that were given up may have commits in flight: what is seen would change under us. */
static bool
is_settled(const struct run *run)
{
    const struct gy_wal *wal = &run->db->wal;

    return gy_list_is_empty(&run->machine.loop->op_runs) &&
           (!run->db->has_wal || wal->poison != GYRE_OK ||
            (!wal->large && wal->answered + 1 == wal->sequence_next));
}

void
ops_settle(struct run *run)
{
    for (uint32_t i = 0; run->plan.form != PLAN_FORM_PLAIN && !is_settled(run); i++) {
        const gyre_status status = gyre_sleep(run->machine.loop, SETTLE_PAUSE_NS);

        demand(status == GYRE_OK);
        if (i == SETTLE_PAUSES) {
            faults_end(run); /* they may be what it waits for */
        } else if (i > 2 * SETTLE_PAUSES) {
            fail_now("operations that were given up do not come to an end");
        }
    }
}

void
ops_end(struct run *run)
{
    while (run->pendings != NULL) {
        struct pending *pending = run->pendings;

        run->pendings = pending->next;
        free(pending);
    }
}
