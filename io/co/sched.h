/* sched.h - the cooperative scheduler: stackful coroutines, ready queues, timers, the watchdog.
 *
 * Time is passed in through `now`: the scheduler knows no clock of its own, so that the simulator
 * can drive it. One thread, no locks: between two awaits a coroutine has the world to itself.
 *
 *   C1  A parked coroutine runs again only after gy_wake. A wake of a ready or running coroutine is
 *       remembered once (its next park returns at once), so no wake is lost.
 *   C2  Wake-ups may be spurious: every park stands in a loop on its condition.
 *   C3  GY_CLASS_FOREGROUND runs before GY_CLASS_BACKGROUND, but background gets a run after each
 *       GY_FOREGROUND_RUNS_MAX foreground runs, so that neither can starve.
 *   C4  gy_await_turn returns at once until the running slice is older than slice_budget_ns. It
 *       looks at the clock on each call, but on every 8th only while calls follow each other
 *       quickly.
 *   C5  The longest uninterrupted run is recorded with the coroutine's name. Where the world has
 *       thread CPU time, runs longer than 50 us are counted in that.
 * With `chaos` set (the simulator) the ready coroutine to run is picked at random, and
 * gy_await_turn yields at random.
 */
#ifndef GY_SCHED_H
#define GY_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gyre/status.h"
#include "io/base/heap.h"
#include "io/base/list.h"
#include "io/base/rng.h"
#include "io/co/await.h"
#include "io/co/stack.h"
#include "io/co/switch.h"

#define GY_FOREGROUND_RUNS_MAX 16u
#define GY_RUNS_MAX 4096u   /* in one gy_sched_run, even when a virtual clock stands still */
#define GY_NEVER UINT64_MAX /* a deadline that never comes */

enum gy_co_class { GY_CLASS_FOREGROUND, GY_CLASS_BACKGROUND, GY_CLASS_COUNT };

enum gy_co_state { GY_CO_READY, GY_CO_RUNNING, GY_CO_PARKED, GY_CO_DONE };

#define GY_TIMER_NONE UINT32_MAX

/* See timers.h. */
struct gy_timer {
    uint64_t deadline_ns;
    uint32_t index;             /* in sched->timers; GY_TIMER_NONE: it is not set */
    void (*fire)(struct gy_timer *timer);
};

struct gy_sched;
struct gy_scope;
struct gyre_trace;

/* What a coroutine waits for (N2 in trace.h). */
enum gy_away { GY_AWAY_TURN, GY_AWAY_DEVICE, GY_AWAY_LOG, GY_AWAY_ROOM };

struct gy_co {
    struct gy_list link;        /* in a ready queue; wait queues have nodes of their own (sync.c) */
    struct gy_sched *sched;
    struct gy_stack *stack;
    struct gy_context context;
    void (*fn)(void *arg);
    void *arg;
    const char *name;           /* static text, for the watchdog and traces */
    enum gy_co_class klass;
    enum gy_co_state state;
    bool wake_pending;          /* C1 */
    bool timed_out;             /* the timer of the last timed park fired */
    struct gy_timer timer;      /* of the timed park in progress */
    struct gy_scope *scope;     /* the operation it works for (scope.h); NULL: none that can end */
    struct gyre_trace *trace;     /* N1 in trace.h */
    uint64_t left_ns;           /* when its last slice ended */
    enum gy_away away;
    struct gyre_error error;    /* last failure in this coroutine */
    void *asan_fake_stack;
};

struct gy_watchdog {
    uint64_t run_ns_max;        /* longest slice since the last reset */
    const char *run_name_max;   /* who */
    uint64_t run_count;
    uint64_t over_100us_count;  /* slices longer than 100 us */
    uint64_t over_500us_count;
};

struct gy_sched {
    struct gy_heap *heap;
    struct gy_stack_pool stacks;
    struct gy_co *current;      /* NULL: the host's own stack is running */
    struct gyre_trace *trace;     /* N1 in trace.h */
    struct gy_context host;
    struct gy_list ready[GY_CLASS_COUNT];
    uint32_t ready_count;
    uint32_t live_count;
    uint32_t foreground_runs;   /* since the last background run, C3 */
    struct gy_timer **timers;   /* binary heap by deadline (timers.h) */
    uint32_t timers_lent;       /* besides one for each coroutine */
    uint32_t timer_count;
    uint32_t timer_capacity;
    uint64_t slice_start_ns;
    uint64_t slice_budget_ns;   /* 50 us */
    uint32_t turn_skips;        /* calls of gy_await_turn left that do not look at the clock */
    uint64_t turn_look_ns;      /* when it last looked */
    uint64_t (*now)(void *clock);
    uint64_t (*cpu_now)(void *clock); /* thread CPU time; NULL = wall time only */
    void *clock;
    struct gy_rng *chaos;       /* NULL in production */
    struct gy_watchdog watchdog;
    uint64_t turn_cpu_ns;       /* cpu_now, read before the running slice began */
    uint64_t turn_cpu_read_ns;  /* when that was; 0 = never */
    uint64_t turn_slices_ns;    /* length of all slices since then */
    struct gyre_error host_error; /* last failure outside any coroutine */
    void *asan_fake_stack;
    const void *asan_host_bottom;
    size_t asan_host_size;
};

gyre_status gy_sched_init(struct gy_sched *sched, struct gy_heap *heap, uint32_t co_count_max,
                          uint64_t (*now)(void *), uint64_t (*cpu_now)(void *), void *clock);
void gy_sched_fini(struct gy_sched *sched); /* no coroutine may be live */

/* Make a coroutine ready to run fn(arg). When fn returns the coroutine and its stack are gone.
 * NO_MEMORY or AGAIN (count_max coroutines are live). `ret_co` may be NULL; the pointer is valid
 * until fn returns. */
gyre_status gy_spawn(struct gy_sched *sched, enum gy_co_class klass, const char *name,
                     void (*fn)(void *), void *arg, struct gy_co **ret_co);

/* See to it that the next `count` calls of gy_spawn cannot fail (while no other coroutine is
 * started). False: no memory, or so many cannot live. Whoever starts coroutines for others leaves
 * some to those who have to go on. */
bool gy_sched_reserve(struct gy_sched *sched, uint32_t count);

/* Run ready coroutines until none is ready, `budget_ns` has passed since `start_ns` or GY_RUNS_MAX
 * slices have run. Called on the host's stack. Fires due timers first. Returns true when some are
 * still ready. */
bool gy_sched_run(struct gy_sched *sched, uint64_t start_ns, uint64_t budget_ns);

/* When the next timer is due; GY_NEVER without one. */
uint64_t gy_sched_next_timer_ns(const struct gy_sched *sched);

static inline struct gyre_error *
gy_sched_error(struct gy_sched *sched)
{
    return sched->current != NULL ? &sched->current->error : &sched->host_error;
}

/* ---- Called from inside a coroutine ---- */

GY_SUSPENDS void gy_await_park(struct gy_sched *sched);
/* True when woken, false when the deadline passed first. */
GY_SUSPENDS bool gy_await_park_until(struct gy_sched *sched, uint64_t deadline_ns);
GY_SUSPENDS void gy_await_yield(struct gy_sched *sched); /* let all others of the class run */
GY_SUSPENDS void gy_await_sleep(struct gy_sched *sched, uint64_t ns);
GY_SUSPENDS void gy_await_turn(struct gy_sched *sched);  /* C4 */

/* ---- Called from anywhere on the thread ---- */

void gy_wake(struct gy_co *co);

#endif
