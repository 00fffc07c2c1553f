/* call.c - how a public call enters: who may call, and how a call from the host's own stack is run.
 *
 * The blocking form is the coroutine form in a coroutine of its own, with the loop driven until it
 * has ended. Background work goes on meanwhile, and gets a turn of its own now and then from calls
 * that never had to wait.
 */
#include <stdarg.h>
#include <stdio.h>

#include "engine/db/measure.h"
#include "engine/db/op.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

gyre_status
gy_loop_fail(gyre_loop *loop, gyre_status status, const char *format, ...)
{
    char text[sizeof(((struct gyre_error *)0)->text)];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return gy_fail(&loop->io.sched, status, "%s", text);
}

void
gy_callback_begin(gyre_loop *loop)
{
    loop->in_callback = true;
}

void
gy_callback_end(gyre_loop *loop)
{
    loop->in_callback = false;
}

void
gy_loop_log(gyre_loop *loop, enum gyre_log_level level, const char *format, ...)
{
    char text[512];
    va_list args;

    if (loop->log == NULL) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    gy_callback_begin(loop);
    loop->log(loop->log_arg, level, text);
    gy_callback_end(loop);
}

gyre_status
gy_loop_check(gyre_loop *loop)
{
    if (loop == NULL || loop->magic != GY_LOOP_MAGIC) {
        return GYRE_MISUSE;
    }
    /* A stranger's error would overwrite the owner's: the status alone has to do. */
    if (gy_identity_check(&loop->identity) != GY_IDENTITY_OWNER) {
        return GYRE_MISUSE;
    }
    if (loop->in_callback) {
        return gy_loop_fail(loop, GYRE_MISUSE, "the library was called from inside a callback");
    }
    return GYRE_OK;
}

gyre_status
gy_db_check(gyre_db *db)
{
    gyre_status status;

    if (db == NULL || db->magic != GY_DB_MAGIC) {
        return GYRE_MISUSE;
    }
    status = gy_loop_check(db->loop);
    if (status == GYRE_OK && db->state != GY_DB_OPEN) {
        return gy_loop_fail(db->loop, GYRE_CLOSED, "the store is closing");
    }
    return status;
}

void
gy_db_leave(gyre_db *db)
{
    gy_assert(db->call_count > 0);
    db->call_count--;
    if (db->call_count == 0) {
        gy_waitq_wake_all(&db->calls_done);
    }
}

struct call {
    gyre_loop *loop;
    void (*fn)(void *arg);
    void *arg;
    struct gyre_trace *trace; /* of the call: N1 in trace.h */
    bool done;
};

static void
call_main(void *arg)
{
    struct call *call = arg;
    struct gy_sched *sched = &call->loop->io.sched;

    gy_trace_set(sched, call->trace);
    call->fn(call->arg);
    gy_trace_set(sched, NULL);
    sched->host_error = sched->current->error; /* the caller is the host */
    call->done = true;
}

void
gy_call_breathe(gyre_loop *loop)
{
    struct gy_loop *io = &loop->io;
    const uint64_t now_ns = gy_loop_now(io);

    if (now_ns - io->last_turn_ns >= GY_TURN_BUDGET_NS && !gy_loop_is_idle(io)) {
        gy_loop_poll(io, false, io->sched.ready_count > 0, GY_NEVER);
        (void)gy_sched_run(&io->sched, now_ns, GY_TURN_BUDGET_NS);
    }
}

gyre_status
gy_call_check(gyre_loop *loop)
{
    if (loop->io.sched.current == NULL && loop->in_completion) {
        return gy_loop_fail(loop, GYRE_MISUSE,
                            "a call that may wait, in a callback of gyre_loop_poll: submit it");
    }
    return GYRE_OK;
}

gyre_status
gy_call(gyre_loop *loop, const char *name, void (*fn)(void *arg), void *arg)
{
    struct gy_sched *sched = &loop->io.sched;
    struct call call = {.loop = loop, .fn = fn, .arg = arg, .trace = sched->trace};
    gyre_status status;

    if (sched->current != NULL) {
        fn(arg);
        return GYRE_OK;
    }
    status = gy_call_check(loop);
    if (status != GYRE_OK) {
        return status;
    }
    gy_assert(!loop->driving); /* the host's stack is in gy_call only once: callbacks are refused */
    status = gy_spawn(sched, GY_CLASS_FOREGROUND, name, call_main, &call, NULL);
    if (status != GYRE_OK) {
        return gy_loop_fail(loop, status,
                            status == GYRE_AGAIN
                                ? "no coroutine is free for the call: raise coroutines_max"
                                : "no memory for the call's coroutine: raise memory_limit");
    }
    loop->driving = true;
    for (;;) {
        const bool runnable = gy_sched_run(sched, gy_loop_now(&loop->io), GY_TURN_BUDGET_NS);

        if (call.done) {
            break;
        }
        gy_loop_poll(&loop->io, !runnable, runnable, GY_NEVER);
        gy_measure_tell(loop);
    }
    gy_call_breathe(loop);
    loop->driving = false;
    gy_poll_notify(loop);
    return GYRE_OK;
}
