/* switch_main.c - checks coroutines on a machine that only an emulator gives us: a plain program
 * without a test library, cross-compiled and run by run.sh. Exit code 0: all held. The scenarios
 * are those of tests/unit/test_co.c and test_sched.c in short. It runs natively too. */
#include <stdint.h>
#include <string.h>

#include "io/base/bits.h"
#include "io/base/fail.h"
#include "io/co/sync.h"
#include "tests/aarch64/check.h"
#include "tests/support/co_registers.h"

#define CO_COUNT 1000

static uint64_t now_ns = 1000;
static struct gy_heap heap;
static struct gy_sched sched;

static uint64_t
fake_now(void *clock)
{
    (void)clock;
    return now_ns;
}

static void
run(void)
{
    while (gy_sched_run(&sched, now_ns, UINT64_MAX)) {
    }
}

/* ---- Registers ---- */

static struct gy_context host;
static struct gy_context guest;
static uint64_t guest_mismatches;
static uint64_t guest_rounds;

static void
guest_registers(void *arg)
{
    uint64_t values[GY_TEST_REGISTERS];
    uint64_t seen[GY_TEST_REGISTERS];

    CHECK(arg == &guest);
    for (;; guest_rounds++) {
        for (uint64_t i = 0; i < GY_TEST_REGISTERS; i++) {
            values[i] = gy_mix64(~(guest_rounds * 64 + i));
        }
        gy_test_switch(&guest, &host, values, seen);
        guest_mismatches += memcmp(values, seen, sizeof(values)) != 0;
    }
}

/* Every integer and floating point register of the callee survives, on both sides. */
static void
check_registers(void)
{
    static uint8_t stack[64 * 1024] __attribute__((aligned(16)));
    uint64_t values[GY_TEST_REGISTERS];
    uint64_t seen[GY_TEST_REGISTERS];

    gy_context_make(&guest, stack, sizeof(stack), guest_registers, &guest);
    for (uint64_t round = 0; round < 1000; round++) {
        for (uint64_t i = 0; i < GY_TEST_REGISTERS; i++) {
            values[i] = gy_mix64(round * 64 + i + 1);
        }
        memset(seen, 0, sizeof(seen));
        gy_test_switch(&host, &guest, values, seen);
        CHECK(memcmp(values, seen, sizeof(values)) == 0);
    }
    CHECK(guest_rounds == 999 && guest_mismatches == 0);
}

/* ---- A thousand coroutines ---- */

struct task {
    uint64_t id;
    uint64_t result;
    double weight;
    uint64_t woke_ns;
    bool outcome;
};

static struct task tasks[CO_COUNT];

static GY_SUSPENDS __attribute__((noinline)) uint64_t
await_deep(struct task *task, uint64_t depth, double weight)
{
    const uint64_t a = gy_mix64(task->id + depth);
    const uint64_t b = gy_mix64(a);
    uint64_t below = 0;

    if (depth > 0) {
        below = await_deep(task, depth - 1, weight + 1.0);
    }
    gy_await_yield(&sched);
    task->weight += weight * 0.5;
    return gy_mix64(below ^ a) + b;
}

static void
co_deep(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    CHECK(gy_is_aligned((uintptr_t)__builtin_frame_address(0), 16));
    task->result = await_deep(task, 20, 1.0);
    gy_fail(&sched, GYRE_BUSY, "of %u and %.2f", (unsigned)task->id, task->weight);
}

/* Locals and floating point values survive in interleaved call chains, then on used stacks. */
static void
check_deep_calls(void)
{
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < CO_COUNT; i++) {
            tasks[i] = (struct task){.id = i};
            CHECK(gy_spawn(&sched, (enum gy_co_class)(i & 1), "deep", co_deep, &tasks[i], NULL) ==
                  GYRE_OK);
        }
        CHECK(gy_spawn(&sched, GY_CLASS_FOREGROUND, "more", co_deep, tasks, NULL) == GYRE_AGAIN);
        run();
        CHECK(sched.live_count == 0);
        for (uint64_t i = 0; i < CO_COUNT; i++) {
            uint64_t below = 0;

            for (uint64_t depth = 0; depth <= 20; depth++) {
                const uint64_t a = gy_mix64(i + depth);

                below = gy_mix64(below ^ a) + gy_mix64(a);
            }
            CHECK(tasks[i].result == below);
            CHECK(tasks[i].weight == 0.5 * 21 * 22 / 2);
        }
    }
}

/* ---- Timers, queues ---- */

static struct gy_waitq queue;
static struct gy_mutex mutex;

static void
co_sleep(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    gy_await_sleep(&sched, 1 + gy_mix64(task->id) % 5000);
    task->woke_ns = now_ns;
    gy_mutex_await_lock(&sched, &mutex);
    gy_await_yield(&sched);
    gy_mutex_unlock(&mutex);
    task->outcome = gy_waitq_await_until(&sched, &queue, task->id % 2 ? GY_NEVER : now_ns + 10000);
}

static void
check_timers(void)
{
    const uint64_t start_ns = now_ns;

    gy_waitq_init(&queue);
    gy_mutex_init(&mutex);
    for (uint64_t i = 0; i < CO_COUNT; i++) {
        tasks[i] = (struct task){.id = i};
        CHECK(gy_spawn(&sched, GY_CLASS_FOREGROUND, "sleep", co_sleep, &tasks[i], NULL) == GYRE_OK);
    }
    run();
    CHECK(sched.timer_count == CO_COUNT);
    while (sched.timer_count > 0) {
        CHECK(gy_sched_next_timer_ns(&sched) > now_ns);
        now_ns = gy_sched_next_timer_ns(&sched);
        run();
    }
    CHECK(sched.live_count == CO_COUNT / 2); /* those without a deadline */
    gy_waitq_wake_all(&queue);
    run();
    CHECK(sched.live_count == 0 && gy_waitq_is_empty(&queue));
    for (uint64_t i = 0; i < CO_COUNT; i++) {
        CHECK(tasks[i].woke_ns == start_ns + 1 + gy_mix64(i) % 5000);
        CHECK(tasks[i].outcome == (i % 2 == 1));
    }
}

int
main(void)
{
    check_registers();
    gy_heap_init(&heap, UINT64_MAX);
    CHECK(gy_sched_init(&sched, &heap, CO_COUNT, fake_now, NULL, NULL) == GYRE_OK);
    check_deep_calls();
    check_timers();
    CHECK(sched.watchdog.run_count > 40 * CO_COUNT);
    gy_sched_fini(&sched);
    CHECK(heap.used == 0);
    printf("coroutines: registers, deep calls and timers hold\n");
    return 0;
}
