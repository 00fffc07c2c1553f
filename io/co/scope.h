/* scope.h - how long an operation may wait: until it is cancelled or its deadline has passed.
 *
 * Whoever runs an operation for somebody who need not wait for its end (engine/db/op.c) gives its
 * coroutine a scope (gy_co.scope), and coroutines that it starts to help it the same one.
 *
 *   Q1  A scope ends once, for one reason, and stays ended. The operation is answered in the same
 *       moment; its coroutine is left to itself (abandoned) and ends soon.
 *   Q2  A wait for another coroutine (gy_scope_await) is refused in a scope that has ended, and is
 *       over when the scope ends: its status says so, whatever else has happened meanwhile.
 *   Q3  A wait for the device is never cut short, since the buffers belong to it (S5 in world.h).
 *       Whoever has waited for it in code that runs for operations asks gy_scope_check afterwards.
 *   Q4  In a scope that has ended nothing of the caller's is touched, neither bytes nor callbacks,
 *       and nothing is begun; what was begun is put in order.
 */
#ifndef GY_SCOPE_H
#define GY_SCOPE_H

#include "io/base/checked.h"
#include "io/co/sync.h"

struct gy_scope {
    gyre_status ended;        /* OK: it has not; else TIMED_OUT, CANCELED or CLOSED */
    struct gy_list waits;     /* waits of Q2 in progress */
    bool maybe_done;          /* a write that may be kept, however this ends */
    void (*on_wait)(struct gy_scope *scope); /* NULL; tests: an await begins, of Q2 or Q3 */
};

void gy_scope_init(struct gy_scope *scope);

/* End it, waking who waits in it. Nothing if it has ended already. */
void gy_scope_end(struct gy_scope *scope, gyre_status why);

/* What is told of an operation that has ended before its time. */
void gy_scope_text(gyre_status why, bool maybe_done, struct gyre_error *ret_error);

/* OK, or why the scope of the current coroutine has ended, with a text. OK without a scope. */
GYRE_NODISCARD gyre_status gy_scope_check(struct gy_sched *sched);

/* The same without a text. */
static inline bool
gy_scope_has_ended(const struct gy_sched *sched)
{
    return sched->current->scope != NULL && sched->current->scope->ended != GYRE_OK;
}

/* From here on the operation may be done, however its scope ends. */
static inline void
gy_scope_note_maybe_done(struct gy_sched *sched)
{
    if (sched->current->scope != NULL && !GY_MUTANT(given_up_write_not_in_doubt)) {
        sched->current->scope->maybe_done = true;
    }
}

/* gy_waitq_await, with Q2. OK: woken, look at the condition. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_scope_await(struct gy_sched *sched,
                                                      struct gy_waitq *queue);

/* For waits of another make: between begin and end, the end of the scope wakes the coroutine. */
struct gy_scope_wait {
    struct gy_list link;
    struct gy_co *co;
};
GYRE_NODISCARD gyre_status gy_scope_wait_begin(struct gy_sched *sched, struct gy_scope_wait *wait);
GYRE_NODISCARD gyre_status gy_scope_wait_end(struct gy_scope_wait *wait);

/* A wait for the device begins (Q3). */
static inline void
gy_scope_note_device(struct gy_sched *sched)
{
    struct gy_scope *scope = sched->current->scope;

    if (scope != NULL && scope->on_wait != NULL) {
        scope->on_wait(scope);
    }
}

#endif
