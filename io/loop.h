/* loop.h - scheduler, world, memory and I/O queue of one thread, and the run loop that joins them.
 *
 *   L1  One turn: fire timers, run ready coroutines (50 us), hand queued requests to the world,
 *       reap, wake the waiters. A turn waits for the device only when nothing is runnable.
 *   L2  At most info.in_flight_max requests are with the world; the rest wait here by class. The
 *       WAL may pass that cap, and each class below GY_IO_READ keeps GY_CLASS_SHARE_MIN of every
 *       GY_CLASS_ROUND submissions while it has work.
 * Knows nothing of keys, tables or stores. loop.c is the only file that names concrete worlds.
 */
#ifndef GY_LOOP_H
#define GY_LOOP_H

#include "io/co/sched.h"
#include "io/co/scope.h"
#include "io/co/trace.h"
#include "io/base/goal.h"
#include "io/world.h"

#define GY_TURN_BUDGET_NS (50ull * 1000ull)
#define GY_CLASS_ROUND 32u
#define GY_CLASS_SHARE_MIN 2u
#define GY_IO_STALL_NS 1000000000ull /* a request that takes so long is counted as a stall */

struct gy_io_stats {
    uint64_t count[GY_IO_CLASS_COUNT];
    uint64_t bytes_read[GY_IO_CLASS_COUNT];
    uint64_t bytes_written[GY_IO_CLASS_COUNT];
    uint64_t queue_ns[GY_IO_CLASS_COUNT];
    uint64_t device_ns[GY_IO_CLASS_COUNT];
    uint64_t sync_count;
    uint64_t turn_count;
    uint64_t stall_count; /* requests that were with the device for GY_IO_STALL_NS or longer */
};

struct gy_loop {
    struct gy_sched sched;
    struct gy_heap heap;
    struct gy_world *world;
    struct gy_list queue[GY_IO_CLASS_COUNT];
    uint32_t queued_count;
    uint32_t in_flight;                       /* with the world */
    struct gy_list flight;                    /* those, oldest first: gy_req.flight */
    uint32_t in_flight_by_class[GY_IO_CLASS_COUNT];
    uint32_t class_limit[GY_IO_CLASS_COUNT];  /* most in flight of a class; 0 counts as 1 */
    uint32_t round[GY_IO_CLASS_COUNT];        /* submissions in this round, L2 */
    uint32_t round_count;
    uint64_t last_turn_ns;
    struct gy_io_stats stats;
    struct gy_goal goal;
};

/* Which world to use. AUTO takes io_uring and falls back to the blocking one, saying why in
 * world->info.reason. */
enum gy_world_kind { GY_WORLD_AUTO, GY_WORLD_URING, GY_WORLD_SYNC };

struct gy_loop_config {
    enum gy_world_kind world_kind;
    struct gy_world *world;       /* not NULL: use this one (the simulator); the loop closes it */
    struct gy_world_config world_config;
    uint64_t memory_limit;        /* bytes; 0 = none */
    uint32_t co_count_max;        /* coroutines live at once; 0 = 4096 */
};

/* In place; `loop` is then at a fixed address. On failure nothing is held (a given world stays the
 * caller's) and `ret_error`, which may be NULL, says why. */
gyre_status gy_loop_init(struct gy_loop *loop, const struct gy_loop_config *config,
                         struct gyre_error *ret_error);
/* All coroutines have ended and nothing is in flight (asserted). */
void gy_loop_fini(struct gy_loop *loop);
/* The same, but the world stays open: it is returned to whoever gave it. */
struct gy_world *gy_loop_fini_but_world(struct gy_loop *loop);

/* One turn (L1), on the host's stack. May wait until `deadline_ns` when `wait` is set and nothing
 * is runnable. Returns true while runnable coroutines are left. */
bool gy_loop_turn(struct gy_loop *loop, bool wait, uint64_t deadline_ns);

/* The second half of a turn: hand queued requests to the world, reap (waiting until `deadline_ns`
 * or the next timer when `wait` is set), wake. For a caller that runs the coroutines itself
 * (gy_sched_run) and must not wait once its own is done. */
void gy_loop_poll(struct gy_loop *loop, bool wait, bool is_runnable, uint64_t deadline_ns);

/* True when nothing is ready, queued, in flight or timed: waiting would be for ever. */
bool gy_loop_is_idle(const struct gy_loop *loop);

/* Queue a request. req->waiter (the current coroutine unless set) is woken when req->done. */
void gy_loop_submit(struct gy_loop *loop, struct gy_req *req);

/* Submit and wait until it is done; returns req->result. */
GY_SUSPENDS int32_t gy_loop_await(struct gy_loop *loop, struct gy_req *req);
/* Wait for a request submitted earlier by this coroutine, or with it as the waiter. */
GY_SUSPENDS void gy_loop_await_done(struct gy_loop *loop, struct gy_req *req);

/* Staging memory, step by step (io/world.h). 0 or a negative errno. */
GY_SUSPENDS int gy_loop_await_stage_create(struct gy_loop *loop, struct gy_stage *stage,
                                           const uint64_t id[2], size_t size);
GY_SUSPENDS int gy_loop_await_stage_open(struct gy_loop *loop, struct gy_stage *stage,
                                         const uint64_t id[2]);
GY_SUSPENDS void gy_loop_await_stage_close(struct gy_loop *loop, struct gy_stage *stage,
                                           bool unlink);

/* A device that hangs, seen while it does: how long its oldest request has been with it (0: there
 * is none), and how many have taken GY_IO_STALL_NS or longer, those in flight included. */
void gy_loop_stalls(struct gy_loop *loop, uint64_t *ret_oldest_ns, uint64_t *ret_count);

/* Has nobody read or logged since the call before, whose count is in *count, and nobody waits for
 * that? A device that stands still answers nothing, and is not quiet. */
bool gy_loop_is_quiet(const struct gy_loop *loop, uint64_t *count);

static inline uint64_t
gy_loop_now(struct gy_loop *loop)
{
    return loop->world->ops->now_ns(loop->world);
}

#endif
