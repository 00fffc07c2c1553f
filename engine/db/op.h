/* op.h - submitted operations inside: where they are between gyre_submit and their callback.
 *
 *   P1  QUEUED (loop->ops_queued) -> RUNNING (a coroutine has it, loop->op_runs) -> ANSWERED
 *       (loop->ops_answered, or somebody in gyre_await). Cancel and deadline lead to ANSWERED from
 *       anywhere, in the same moment.
 *   P2  What a running operation needs of the caller's op was copied when it began; `run->op` is
 *       NULL from its answer on, and then nothing of the caller's is touched (Q4 in scope.h).
 *   P3  Answers are handed to their callbacks by gyre_loop_poll only, in the order they were given.
 *   P4  At most op_workers_max operations are at work: enough to keep the device busy, few enough
 *       that their stacks leave memory_limit to what they work on. A quarter of them is kept for
 *       operations that do not wait for room, so that reads go on while writers are held up.
 */
#ifndef GY_OP_H
#define GY_OP_H

#include "engine/db/db.h"
#include "io/co/timers.h"

enum gy_op_state { GY_OP_IDLE, GY_OP_QUEUED, GY_OP_RUNNING, GY_OP_ANSWERED };

struct gy_op_run;

/* gyre_op.private_. */
struct gy_op_private {
    uint64_t magic;             /* GY_OP_MAGIC while it is submitted */
    struct gy_list link;
    struct gy_timer timer;      /* the deadline */
    gyre_loop *loop;
    struct gy_op_run *run;      /* RUNNING */
    struct gy_co *waiter;       /* in gyre_await */
    uint64_t submitted_ns;
    enum gy_op_state state;
    bool has_timer;
    bool at_once;               /* answered inside gyre_submit */
};
#define GY_OP_MAGIC 0x67797265206f7021ull

/* An operation at work, on its coroutine's stack. */
struct gy_op_run {
    struct gy_list link;        /* loop->op_runs */
    struct gy_scope scope;
    struct gyre_trace trace;
    struct gy_co *co;
    uint64_t begun_ns;
    struct gyre_op *op;         /* NULL: answered already (P2) */
    void *arg;                  /* op->arg */
    gyre_db *db;                /* NULL: it has none */
    enum gyre_op_kind kind;
    gyre_status status;         /* what came of it, valid at its end */
    struct gyre_value value;
    uint64_t bytes;
    gyre_db *opened;
    struct gyre_verify_result verify_result;
    struct gyre_salvage_result salvage_result;
};

static inline struct gy_op_private *
gy_op_private(struct gyre_op *op)
{
    _Static_assert(sizeof(struct gy_op_private) <= sizeof(op->private_), "private_ holds it");
    return (struct gy_op_private *)(void *)op->private_;
}

static inline struct gyre_op *
gy_op_of(struct gy_op_private *private)
{
    return gy_container_of((void *)private, struct gyre_op, private_);
}

void gy_ops_init(gyre_loop *loop);

/* P1: it has its answer. `error` may be NULL where the status needs no text. (op.c) */
void gy_op_answer(struct gyre_op *op, gyre_status status, const struct gyre_error *error);

/* A coroutine for what has been queued. (op_work.c) */
GYRE_NODISCARD gyre_status gy_op_start_worker(gyre_loop *loop);
/* May it wait for room in the store, or for the end of other work (P4)? (op_work.c) */
bool gy_op_waits(const struct gyre_op *op);

/* Do what the op says, and note what came of it in `run`. (op_run.c) */
GY_SUSPENDS void gy_op_await_run(const struct gyre_op *op, struct gy_op_run *run);
/* Nobody wants it any more: give back what it holds. (op_run.c) */
GY_SUSPENDS void gy_op_await_drop(struct gy_op_run *run);
/* Static text for a kind. (op_run.c) */
const char *gy_op_name(enum gyre_op_kind kind);

/* Is any queued, asleep, at work (and not answered yet), or waiting for its callback? */
bool gy_ops_are_there(const gyre_loop *loop);

/* End all operations on the store, with CLOSED: close.c. */
void gy_ops_end(gyre_db *db);

/* Values that answers hold which were not called back yet; and take them back: these operations are
 * answered CLOSED instead. */
uint32_t gy_ops_undelivered(const gyre_db *db);
void gy_ops_take_back(gyre_db *db);

/* Run `op` (kind and arguments set) for a caller who waits for it, with its deadline: the form of
 * a plain call that has one. Fills the caller's error. */
gyre_status gy_op_call(gyre_loop *loop, struct gyre_op *op);

/* There are answers or runnable coroutines that the host's loop does not know of: make the
 * descriptor readable. (poll.c) */
void gy_poll_notify(gyre_loop *loop);

#endif
