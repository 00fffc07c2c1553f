/* sched.c - the scheduler (sched.h).
 *
 * A coroutine lies at the top of its own stack, so a spawn from a warm pool allocates nothing. All
 * switches go from the host's stack to a coroutine and back: only run_slice and leave change
 * stacks, and only run_slice takes time, one look at the clock for each slice.
 */
#include "io/co/sched.h"

#include "io/base/bits.h"
#include "io/base/fail.h"
#include "io/base/probes.h"
#include "io/co/timers.h"
#include "io/co/trace.h"

#define SLICE_BUDGET_NS (50 * GY_NS_PER_US)
#define SLICE_LONG_NS (50 * GY_NS_PER_US)    /* from here on CPU time is asked for, a system call */
#define CPU_READ_AGE_NS (250 * GY_NS_PER_US) /* the call takes 0.5 us: 0.2 % at most */
#define TURN_QUICK_NS (2 * GY_NS_PER_US)
#define TURN_SKIPS 7u
#define CHAOS_YIELD_ONE_IN 4u

struct gyre_error *
gy_fail_slot(struct gy_sched *sched)
{
    return gy_sched_error(sched);
}

static void
clear_error(struct gyre_error *error)
{
    error->status = GYRE_OK;
    error->os_errno = 0;
    error->offset = GY_NO_OFFSET;
    error->file[0] = '\0';
    error->text[0] = '\0';
}

gyre_status
gy_sched_init(struct gy_sched *sched, struct gy_heap *heap, uint32_t co_count_max,
              uint64_t (*now)(void *), uint64_t (*cpu_now)(void *), void *clock)
{
    gy_assert(co_count_max > 0 && now != NULL);
    *sched = (struct gy_sched){
        .heap = heap,
        .slice_budget_ns = SLICE_BUDGET_NS,
        .now = now,
        .cpu_now = cpu_now,
        .clock = clock,
    };
    for (unsigned klass = 0; klass < GY_CLASS_COUNT; klass++) {
        gy_list_init(&sched->ready[klass]);
    }
    clear_error(&sched->host_error);
    gy_stack_pool_init(&sched->stacks, heap, co_count_max);
    return gy_timer_reserve(sched, 1) ? GYRE_OK : GYRE_NO_MEMORY;
}

void
gy_sched_fini(struct gy_sched *sched)
{
    gy_assert(sched->current == NULL);
    gy_assert(sched->live_count == 0 && sched->ready_count == 0 && sched->timer_count == 0 &&
              sched->timers_lent == 0);
    gy_stack_pool_fini(&sched->stacks);
    gy_heap_free(sched->heap, sched->timers);
    sched->timers = NULL;
    sched->timer_capacity = 0;
}

/* ---- Leaving and entering a coroutine ---- */

/* Go back to the host; returns when run_slice picks this coroutine again. `fake_stack` is where the
 * sanitizer keeps its state meanwhile, NULL for good. */
static void
leave(struct gy_sched *sched, struct gy_co *co, void **fake_stack)
{
    gy_assert(sched->current == co && co->state != GY_CO_RUNNING);
    gy_asan_leave(fake_stack, sched->asan_host_bottom, sched->asan_host_size);
    gy_context_switch(&co->context, &sched->host);
    gy_asan_enter(co->asan_fake_stack, &sched->asan_host_bottom, &sched->asan_host_size);
    if (gy_unlikely(sched->trace != NULL)) {
        gy_trace_note_away(sched->trace, co->away, co->left_ns, sched->slice_start_ns);
    }
}

static void
co_main(void *arg)
{
    struct gy_co *co = arg;
    struct gy_sched *sched = co->sched;

    gy_asan_enter(NULL, &sched->asan_host_bottom, &sched->asan_host_size);
    co->fn(co->arg);
    co->state = GY_CO_DONE;
    leave(sched, co, NULL);
    gy_bug("a coroutine that has ended was resumed");
}

static void
make_ready(struct gy_sched *sched, struct gy_co *co)
{
    co->state = GY_CO_READY;
    gy_list_push_back(&sched->ready[co->klass], &co->link);
    sched->ready_count++;
}

/* The deadline of a park has passed. */
static void
fire(struct gy_timer *timer)
{
    struct gy_co *co = gy_container_of(timer, struct gy_co, timer);

    gy_assert(co->state == GY_CO_PARKED);
    co->timed_out = true;
    make_ready(co->sched, co);
}

bool
gy_sched_reserve(struct gy_sched *sched, uint32_t count)
{
    return count <= sched->stacks.count_max - sched->live_count &&
           gy_timer_reserve(sched, sched->live_count + sched->timers_lent + count) &&
           gy_stack_pool_fill(&sched->stacks, count);
}

gyre_status
gy_spawn(struct gy_sched *sched, enum gy_co_class klass, const char *name, void (*fn)(void *),
         void *arg, struct gy_co **ret_co)
{
    struct gy_stack *stack;
    struct gy_co *co;

    gy_assert(klass < GY_CLASS_COUNT && fn != NULL);
    if (sched->live_count >= sched->stacks.count_max) {
        return gy_fail(sched, GYRE_AGAIN, "all %u coroutines are in use", sched->live_count);
    }
    /* A timer for each, so that parking with a deadline cannot fail. */
    if (!gy_timer_reserve(sched, sched->live_count + sched->timers_lent + 1)) {
        return gy_fail(sched, GYRE_NO_MEMORY, "no memory for the timer of a coroutine");
    }
    stack = gy_stack_get(&sched->stacks);
    if (stack == NULL) {
        return gy_fail(sched, GYRE_NO_MEMORY, "no memory for the stack of a coroutine, %u are live",
                       sched->live_count);
    }
    co = (struct gy_co *)gy_align_down((uintptr_t)stack->base + stack->size - sizeof(*co), 64);
    co->sched = sched;
    co->stack = stack;
    co->fn = fn;
    co->arg = arg;
    co->name = name;
    co->klass = klass;
    co->wake_pending = false;
    co->timed_out = false;
    co->timer = (struct gy_timer){.index = GY_TIMER_NONE, .fire = fire};
    co->scope = NULL;
    co->trace = NULL;
    co->away = GY_AWAY_TURN;
    clear_error(&co->error);
    co->asan_fake_stack = NULL;
    gy_context_make(&co->context, stack->base, (size_t)((uint8_t *)co - stack->base), co_main, co);
    sched->live_count++;
    make_ready(sched, co);
    if (ret_co != NULL) {
        *ret_co = co;
    }
    return GYRE_OK;
}

/* ---- Choosing and running ---- */

static struct gy_list *
pick_at_random(struct gy_sched *sched)
{
    uint64_t left = gy_rng_below(sched->chaos, sched->ready_count);

    for (unsigned klass = 0; klass < GY_CLASS_COUNT; klass++) {
        gy_list_for_each (node, &sched->ready[klass]) {
            if (left-- == 0) {
                gy_list_remove(node);
                return node;
            }
        }
    }
    gy_bug("ready_count is more than there are");
}

/* C3. */
static struct gy_list *
pick_in_order(struct gy_sched *sched)
{
    struct gy_list *foreground = &sched->ready[GY_CLASS_FOREGROUND];
    struct gy_list *background = &sched->ready[GY_CLASS_BACKGROUND];

    if (!gy_list_is_empty(foreground) &&
        (gy_list_is_empty(background) || sched->foreground_runs < GY_FOREGROUND_RUNS_MAX)) {
        sched->foreground_runs++;
        return gy_list_pop_front(foreground);
    }
    sched->foreground_runs = 0;
    return gy_list_pop_front(background);
}

/* Read the CPU time before a slice; what comes after is the slice and what slices_ns knows of. */
static void
read_cpu(struct gy_sched *sched, uint64_t cpu_ns, uint64_t now_ns)
{
    sched->turn_cpu_ns = cpu_ns;
    sched->turn_cpu_read_ns = now_ns;
    sched->turn_slices_ns = 0;
}

/* C5: a slice of `name` took `wall_ns` and ended at `end_ns`. A long one may have lost the
 * processor meanwhile. Its CPU time is what the thread used since the last look, less the short
 * slices of that time; the little that the host did in between is counted against it. */
static void
watch(struct gy_sched *sched, const char *name, uint64_t wall_ns, uint64_t end_ns)
{
    struct gy_watchdog *watchdog = &sched->watchdog;
    uint64_t run_ns = wall_ns;

    if (gy_unlikely(wall_ns > SLICE_LONG_NS) && sched->cpu_now != NULL) {
        const uint64_t cpu_ns = sched->cpu_now(sched->clock);
        const uint64_t used_ns = gy_sub_sat(cpu_ns, sched->turn_cpu_ns);

        run_ns = gy_min_u64(wall_ns, gy_sub_sat(used_ns, sched->turn_slices_ns));
        read_cpu(sched, cpu_ns, end_ns);
    } else {
        sched->turn_slices_ns += wall_ns;
    }
    watchdog->run_count++;
    watchdog->over_100us_count += run_ns > 100 * GY_NS_PER_US;
    watchdog->over_500us_count += run_ns > 500 * GY_NS_PER_US;
    if (gy_unlikely(run_ns > 500 * GY_NS_PER_US)) {
        GY_PROBE2(slice__slow, name, run_ns);
    }
    if (run_ns > watchdog->run_ns_max) {
        watchdog->run_ns_max = run_ns;
        watchdog->run_name_max = name;
    }
}

/* Run one coroutine until it suspends or ends. Returns the time. */
static uint64_t
run_slice(struct gy_sched *sched, struct gy_co *co)
{
    const char *name = co->name; /* `co` may be gone afterwards */
    uint64_t end_ns;

    gy_assert(co->state == GY_CO_READY);
    co->state = GY_CO_RUNNING;
    sched->ready_count--;
    sched->turn_skips = 0;
    sched->turn_look_ns = sched->slice_start_ns;
    sched->current = co;
    sched->trace = co->trace;
    gy_asan_leave(&sched->asan_fake_stack, co->stack->base, co->stack->size);
    gy_context_switch(&sched->host, &co->context);
    gy_asan_enter(sched->asan_fake_stack, NULL, NULL);
    sched->current = NULL;
    sched->trace = NULL;
    end_ns = sched->now(sched->clock);
    if (co->state == GY_CO_DONE) {
        gy_assert(co->timer.index == GY_TIMER_NONE);
        sched->live_count--;
        gy_stack_put(&sched->stacks, co->stack);
    } else {
        co->left_ns = end_ns;
    }
    watch(sched, name, gy_sub_sat(end_ns, sched->slice_start_ns), end_ns);
    return end_ns;
}

bool
gy_sched_run(struct gy_sched *sched, uint64_t start_ns, uint64_t budget_ns)
{
    uint64_t now_ns = sched->now(sched->clock);

    gy_assert(sched->current == NULL);
    gy_timers_fire(sched, now_ns);
    if (sched->ready_count == 0) {
        return false;
    }
    if (sched->cpu_now != NULL &&
        (sched->turn_cpu_read_ns == 0 || now_ns - sched->turn_cpu_read_ns > CPU_READ_AGE_NS)) {
        read_cpu(sched, sched->cpu_now(sched->clock), now_ns);
    }
    for (uint32_t runs = 0; sched->ready_count > 0 && runs < GY_RUNS_MAX; runs++) {
        struct gy_list *node =
            gy_unlikely(sched->chaos != NULL) ? pick_at_random(sched) : pick_in_order(sched);

        sched->slice_start_ns = now_ns;
        now_ns = run_slice(sched, gy_container_of(node, struct gy_co, link));
        if (gy_sub_sat(now_ns, start_ns) >= budget_ns) {
            break;
        }
    }
    return sched->ready_count > 0;
}

uint64_t
gy_sched_next_timer_ns(const struct gy_sched *sched)
{
    return sched->timer_count > 0 ? sched->timers[0]->deadline_ns : GY_NEVER;
}

/* ---- Called from inside a coroutine ---- */

static struct gy_co *
running(struct gy_sched *sched)
{
    struct gy_co *co = sched->current;

    gy_assert(co != NULL); /* a call that suspends, outside a coroutine */
    gy_assert(co->state == GY_CO_RUNNING);
    return co;
}

GY_SUSPENDS void
gy_await_park(struct gy_sched *sched)
{
    struct gy_co *co = running(sched);

    if (co->wake_pending) {
        co->wake_pending = false;
        return;
    }
    co->state = GY_CO_PARKED;
    leave(sched, co, &co->asan_fake_stack);
}

GY_SUSPENDS bool
gy_await_park_until(struct gy_sched *sched, uint64_t deadline_ns)
{
    struct gy_co *co = running(sched);

    if (co->wake_pending || deadline_ns == GY_NEVER) {
        gy_await_park(sched);
        return true;
    }
    co->state = GY_CO_PARKED;
    co->timed_out = false;
    co->timer.deadline_ns = deadline_ns;
    gy_timer_add(sched, &co->timer);
    leave(sched, co, &co->asan_fake_stack);
    gy_assert(co->timer.index == GY_TIMER_NONE);
    return !co->timed_out;
}

GY_SUSPENDS void
gy_await_yield(struct gy_sched *sched)
{
    struct gy_co *co = running(sched);

    make_ready(sched, co);
    leave(sched, co, &co->asan_fake_stack);
}

GY_SUSPENDS void
gy_await_sleep(struct gy_sched *sched, uint64_t ns)
{
    const uint64_t now_ns = sched->now(sched->clock);
    const uint64_t deadline_ns = ns < GY_NEVER - now_ns ? now_ns + ns : GY_NEVER - 1;

    while (gy_await_park_until(sched, deadline_ns)) {
        /* woken for something else */
    }
}

GY_SUSPENDS void
gy_await_turn(struct gy_sched *sched)
{
    uint64_t now_ns;

    if (gy_unlikely(sched->chaos != NULL)) {
        if (gy_rng_below(sched->chaos, CHAOS_YIELD_ONE_IN) == 0) {
            gy_await_yield(sched);
        }
        return;
    }
    if (sched->turn_skips > 0) {
        sched->turn_skips--;
        return;
    }
    now_ns = sched->now(sched->clock);
    if (gy_sub_sat(now_ns, sched->slice_start_ns) >= sched->slice_budget_ns) {
        gy_await_yield(sched);
        return;
    }
    /* A caller with long steps (a block to compress) must not get eight of them. */
    sched->turn_skips = gy_sub_sat(now_ns, sched->turn_look_ns) < TURN_QUICK_NS ? TURN_SKIPS : 0;
    sched->turn_look_ns = now_ns;
}

/* ---- Called from anywhere ---- */

void
gy_wake(struct gy_co *co)
{
    gy_assert(co->state != GY_CO_DONE);
    if (co->state != GY_CO_PARKED) {
        co->wake_pending = true;
        return;
    }
    gy_timer_remove(co->sched, &co->timer);
    make_ready(co->sched, co);
}
