/* poll.c - the loop as a guest of the host's own event loop: the descriptor, one bounded turn, the
 * callbacks. */
#include "engine/db/measure.h"
#include "engine/db/op.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define TURNS_MAX 1024u /* a virtual clock may stand still */

static bool
has_more(const gyre_loop *loop)
{
    return loop->io.sched.ready_count > 0 || !gy_list_is_empty(&loop->ops_answered);
}

/* Tell the host when to come again. */
static void
arm(gyre_loop *loop)
{
    struct gy_world *world = loop->io.world;

    if (loop->has_fd) {
        world->ops->wake_at(world, has_more(loop) ? 0 : gy_sched_next_timer_ns(&loop->io.sched));
    }
}

void
gy_poll_notify(gyre_loop *loop)
{
    if (loop->has_fd && !loop->driving) {
        arm(loop);
    }
}

int
gyre_loop_fd(gyre_loop *loop)
{
    struct gy_world *world;
    int fd;

    if (gy_loop_check(loop) != GYRE_OK) {
        return -1;
    }
    world = loop->io.world;
    if (world->ops->wake_fd == NULL) {
        (void)gy_loop_fail(loop, GYRE_UNSUPPORTED, "this loop has no descriptor");
        return -1;
    }
    fd = world->ops->wake_fd(world);
    if (fd < 0) {
        (void)gy_fail_at(&loop->io.sched, GYRE_IO, NULL, GY_NO_OFFSET, -fd,
                         "no descriptor for the loop");
        return -1;
    }
    if (!loop->has_fd) {
        loop->has_fd = true;
        world->ops->wake_at(world, 0); /* there may be work from before */
    }
    return fd;
}

/* P3. Until none is left or the time is up; at least one. */
static void
call_back(gyre_loop *loop, uint64_t end_ns)
{
    struct gy_list *node;

    while ((node = gy_list_pop_front(&loop->ops_answered)) != NULL) {
        struct gy_op_private *private = gy_container_of(node, struct gy_op_private, link);
        struct gyre_op *op = gy_container_of((void *)private, struct gyre_op, private_);

        private->state = GY_OP_IDLE;
        loop->io.sched.host_error = op->error;
        loop->in_completion = true;
        op->done(op); /* it may be gone now */
        loop->in_completion = false;
        if (gy_loop_now(&loop->io) >= end_ns) {
            break;
        }
    }
}

gyre_status
gyre_loop_poll(gyre_loop *loop, uint32_t budget_us)
{
    const gyre_status status = gy_loop_check(loop);
    struct gy_loop *io;
    uint64_t now_ns;
    uint64_t end_ns;
    uint32_t turns = 0;

    if (status != GYRE_OK) {
        return status;
    }
    io = &loop->io;
    if (io->sched.current != NULL || loop->in_completion) {
        return gy_loop_fail(loop, GYRE_MISUSE,
                            "gyre_loop_poll is for the host: not for coroutines and callbacks");
    }
    if (loop->has_fd) {
        io->world->ops->wake_drain(io->world);
    }
    now_ns = gy_loop_now(io);
    end_ns = now_ns + budget_us * 1000ull;
    loop->driving = true;
    do {
        const bool runnable =
            gy_sched_run(&io->sched, now_ns, gy_min_u64(end_ns - now_ns, GY_TURN_BUDGET_NS));

        /* sched_yield beside a sync (world_uring.c) once a turn: the host goes to sleep soon. */
        gy_loop_poll(io, false, runnable && turns == 0, GY_NEVER);
        call_back(loop, end_ns);
        gy_measure_tell(loop);
        now_ns = gy_loop_now(io);
    } while (has_more(loop) && now_ns < end_ns && ++turns < TURNS_MAX);
    loop->driving = false;
    arm(loop);
    return has_more(loop) ? GYRE_AGAIN : GYRE_OK;
}
