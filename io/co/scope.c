/* scope.c - see scope.h. */
#include "io/co/scope.h"

#include <stdio.h>

#include "io/base/assert.h"
#include "io/base/fail.h"

void
gy_scope_init(struct gy_scope *scope)
{
    scope->ended = GYRE_OK;
    scope->maybe_done = false;
    scope->on_wait = NULL;
    gy_list_init(&scope->waits);
}

void
gy_scope_end(struct gy_scope *scope, gyre_status why)
{
    gy_assert(why != GYRE_OK);
    if (scope->ended != GYRE_OK) {
        return;
    }
    scope->ended = why;
    gy_list_for_each (node, &scope->waits) {
        gy_wake(gy_container_of(node, struct gy_scope_wait, link)->co);
    }
}

void
gy_scope_text(gyre_status why, bool maybe_done, struct gyre_error *ret_error)
{
    *ret_error = (struct gyre_error){
        .status = why, .offset = GY_NO_OFFSET, .maybe_done = maybe_done ? 1 : 0};
    (void)snprintf(ret_error->text, sizeof(ret_error->text), "%s; %s",
                   why == GYRE_TIMED_OUT  ? "the deadline has passed"
                   : why == GYRE_CANCELED ? "the operation was cancelled"
                                          : "the store is closing",
                   maybe_done ? "it goes on, and may be done all the same"
                              : "nothing was changed by it");
}

gyre_status
gy_scope_check(struct gy_sched *sched)
{
    const struct gy_scope *scope = sched->current->scope;

    if (gy_likely(scope == NULL || scope->ended == GYRE_OK)) {
        return GYRE_OK;
    }
    gy_scope_text(scope->ended, scope->maybe_done, gy_sched_error(sched));
    return scope->ended;
}

gyre_status
gy_scope_wait_begin(struct gy_sched *sched, struct gy_scope_wait *wait)
{
    struct gy_scope *scope = sched->current->scope;
    gyre_status status;

    gy_list_init(&wait->link);
    wait->co = sched->current;
    if (scope == NULL) {
        return GYRE_OK;
    }
    if (scope->on_wait != NULL) {
        scope->on_wait(scope);
    }
    status = gy_scope_check(sched);
    if (status == GYRE_OK) {
        gy_list_push_back(&scope->waits, &wait->link);
    }
    return status;
}

gyre_status
gy_scope_wait_end(struct gy_scope_wait *wait)
{
    gy_list_remove(&wait->link);
    return GY_MUTANT(ended_write_goes_on) ? GYRE_OK : gy_scope_check(wait->co->sched);
}

GY_SUSPENDS gyre_status
gy_scope_await(struct gy_sched *sched, struct gy_waitq *queue)
{
    struct gy_scope_wait wait;
    const gyre_status status = gy_scope_wait_begin(sched, &wait);

    if (status != GYRE_OK) {
        return status;
    }
    gy_waitq_await(sched, queue);
    return gy_scope_wait_end(&wait);
}
