/* micro_switch.c - what a coroutine costs: ns per switch, per yield through the scheduler, per
 * spawn.
 *
 * Each figure is the median of ROUNDS rounds, with the least and the most in brackets. "switch" is
 * gy_context_switch alone; a yield is two of them, the queue, and one look at the clock for the
 * watchdog, so it is given with the real clock and with one that costs nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "io/co/sched.h"

#define ROUNDS 11
#define CO_COUNT_MAX 1024u

static uint64_t
real_now(void *clock)
{
    struct timespec now;

    (void)clock;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t
cheap_now(void *clock)
{
    return *(uint64_t *)clock;
}

struct bench {
    struct gy_heap heap;
    struct gy_sched sched;
    uint64_t stopped_ns;
    uint64_t left; /* yields or switches to go */
    struct gy_context host;
    struct gy_context contexts[CO_COUNT_MAX];
    uint32_t context_count;
    uint32_t context_index;
};

static struct bench bench;

static int
compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void
report(const char *what, double ns[ROUNDS])
{
    qsort(ns, ROUNDS, sizeof(ns[0]), compare);
    printf("%-52s %8.1f ns  [%.1f-%.1f]\n", what, ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1]);
}

/* ---- The bare switch ---- */

static void
go_round(void *arg)
{
    struct gy_context *self = arg;

    for (;;) {
        struct gy_context *next;

        if (bench.left-- == 0) {
            gy_context_switch(self, &bench.host);
            continue;
        }
        if (++bench.context_index == bench.context_count) {
            bench.context_index = 0;
        }
        next = &bench.contexts[bench.context_index];
        gy_context_switch(self, next);
    }
}

static void
measure_switch(uint32_t count, uint64_t switches)
{
    struct gy_stack *stacks[CO_COUNT_MAX];
    struct gy_stack_pool pool;
    double ns[ROUNDS];
    char what[80];

    gy_stack_pool_init(&pool, &bench.heap, count);
    bench.context_count = count;
    for (uint32_t i = 0; i < count; i++) {
        stacks[i] = gy_stack_get(&pool);
        if (stacks[i] == NULL) {
            fprintf(stderr, "no memory\n");
            exit(1);
        }
        gy_context_make(&bench.contexts[i], stacks[i]->base, stacks[i]->size, go_round,
                        &bench.contexts[i]);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        const uint64_t start_ns = real_now(NULL);

        bench.left = switches;
        gy_context_switch(&bench.host, &bench.contexts[bench.context_index]);
        ns[round] = (double)(real_now(NULL) - start_ns) / (double)switches;
    }
    snprintf(what, sizeof(what), "switch, %" PRIu32 " contexts in turn", count);
    report(what, ns);
    for (uint32_t i = 0; i < count; i++) {
        gy_stack_put(&pool, stacks[i]);
    }
    gy_stack_pool_fini(&pool);
}

/* ---- Through the scheduler ---- */

static void
open_sched(bool real_clock)
{
    if (gy_sched_init(&bench.sched, &bench.heap, CO_COUNT_MAX, real_clock ? real_now : cheap_now,
                      NULL, &bench.stopped_ns) != GYRE_OK) {
        fprintf(stderr, "no memory\n");
        exit(1);
    }
}

static void
spawn(void (*fn)(void *))
{
    if (gy_spawn(&bench.sched, GY_CLASS_FOREGROUND, "bench", fn, NULL, NULL) != GYRE_OK) {
        fprintf(stderr, "spawn failed\n");
        exit(1);
    }
}

static void
run_all(void)
{
    while (gy_sched_run(&bench.sched, 0, UINT64_MAX)) {
    }
}

static void
yield_until_done(void *arg)
{
    (void)arg;
    gy_in_coroutine();
    while (bench.left > 0) {
        bench.left--;
        gy_await_yield(&bench.sched);
    }
}

static void
measure_yield(uint32_t count, uint64_t yields, bool real_clock)
{
    double ns[ROUNDS];
    char what[80];

    open_sched(real_clock);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t start_ns;

        bench.left = UINT32_MAX;
        for (uint32_t i = 0; i < count; i++) {
            spawn(yield_until_done);
        }
        (void)gy_sched_run(&bench.sched, 0, UINT64_MAX); /* all have started */
        bench.left = yields;
        start_ns = real_now(NULL);
        run_all();
        ns[round] = (double)(real_now(NULL) - start_ns) / (double)yields;
    }
    snprintf(what, sizeof(what), "yield and resume, %" PRIu32 " coroutines, %s clock", count,
             real_clock ? "real" : "free");
    report(what, ns);
    gy_sched_fini(&bench.sched);
}

static void
end_at_once(void *arg)
{
    (void)arg;
}

static void
measure_spawn(uint32_t count, uint64_t repeats)
{
    double spawn_ns[ROUNDS];
    double all_ns[ROUNDS];
    char what[80];

    open_sched(false);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t spawning_ns = 0;
        const uint64_t start_ns = real_now(NULL);

        for (uint64_t repeat = 0; repeat < repeats; repeat++) {
            const uint64_t spawn_start_ns = real_now(NULL);

            for (uint32_t i = 0; i < count; i++) {
                spawn(end_at_once);
            }
            spawning_ns += real_now(NULL) - spawn_start_ns;
            run_all();
        }
        all_ns[round] = (double)(real_now(NULL) - start_ns) / (double)(count * repeats);
        spawn_ns[round] = (double)spawning_ns / (double)(count * repeats);
    }
    snprintf(what, sizeof(what), "spawn, warm pool, %" PRIu32 " at a time", count);
    report(what, spawn_ns);
    snprintf(what, sizeof(what), "spawn, run and end, %" PRIu32 " at a time", count);
    report(what, all_ns);
    gy_sched_fini(&bench.sched);
}

int
main(void)
{
    gy_heap_init(&bench.heap, UINT64_MAX);
    bench.stopped_ns = 1;
    measure_switch(2, 1u << 21);
    measure_switch(256, 1u << 21);
    measure_yield(2, 1u << 20, false);
    measure_yield(256, 1u << 20, false);
    measure_yield(2, 1u << 20, true);
    measure_yield(256, 1u << 20, true);
    measure_yield(1000, 1u << 20, true);
    measure_spawn(32, 8192);
    measure_spawn(256, 1024);
    measure_spawn(1000, 256);
    return 0;
}
