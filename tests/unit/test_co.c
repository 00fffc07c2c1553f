/* test_co.c - the switch and the stacks: what a coroutine stands on. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/base/bits.h"
#include "io/co/sched.h"
#include "tests/support/co_registers.h"

static uint64_t
stopped_clock(void *clock)
{
    (void)clock;
    return 1;
}

struct fixture {
    struct gy_heap heap;
    struct gy_sched sched;
};

static void
set_up(struct fixture *fixture, uint32_t co_count_max)
{
    gy_heap_init(&fixture->heap, UINT64_MAX);
    assert_int_equal(
        gy_sched_init(&fixture->sched, &fixture->heap, co_count_max, stopped_clock, NULL, NULL),
        GYRE_OK);
}

static void
tear_down(struct fixture *fixture)
{
    gy_sched_fini(&fixture->sched);
    assert_true(fixture->heap.used == 0);
}

static void
run_all(struct fixture *fixture)
{
    while (gy_sched_run(&fixture->sched, 1, UINT64_MAX)) {
    }
}

/* ---- The switch ---- */

struct pair {
    struct gy_context host;
    struct gy_context guest;
    void *arg_seen;
    int rounds;
    int mismatches;
};

static void
guest_count(void *arg)
{
    struct pair *pair = arg;

    pair->arg_seen = arg;
    for (;;) {
        pair->rounds++;
        gy_context_switch(&pair->guest, &pair->host);
    }
}

/* Goal:   each switch continues exactly where the other side left; the entry gets its argument.
 * Method: two contexts take turns, without the scheduler. */
static void
co_switch_continues_where_it_left(void **state)
{
    static uint8_t stack[64 * 1024] __attribute__((aligned(16)));
    struct pair pair = {0};
    (void)state;

    gy_context_make(&pair.guest, stack, sizeof(stack), guest_count, &pair);
    assert_int_equal(pair.rounds, 0);
    for (int round = 1; round <= 1000; round++) {
        gy_context_switch(&pair.host, &pair.guest);
        assert_int_equal(pair.rounds, round);
    }
    assert_ptr_equal(pair.arg_seen, &pair);
}

#ifdef GY_TEST_REGISTERS
static void
guest_registers(void *arg)
{
    struct pair *pair = arg;
    uint64_t values[GY_TEST_REGISTERS];
    uint64_t seen[GY_TEST_REGISTERS];

    for (uint64_t round = 0;; round++) {
        for (uint64_t i = 0; i < GY_TEST_REGISTERS; i++) {
            values[i] = gy_mix64(~(round * 64 + i));
        }
        gy_test_switch(&pair->guest, &pair->host, values, seen);
        pair->mismatches += memcmp(values, seen, sizeof(values)) != 0;
        pair->rounds++;
    }
}
#endif

/* Goal:   every register that belongs to the callee survives a switch, on both sides.
 * Method: both sides fill all of them with values of their own around each switch. */
static void
co_switch_preserves_callee_saved_registers(void **state)
{
    (void)state;
#ifdef GY_TEST_REGISTERS
    static uint8_t stack[64 * 1024] __attribute__((aligned(16)));
    uint64_t values[GY_TEST_REGISTERS];
    uint64_t seen[GY_TEST_REGISTERS];
    struct pair pair = {0};

    gy_context_make(&pair.guest, stack, sizeof(stack), guest_registers, &pair);
    for (uint64_t round = 0; round < 1000; round++) {
        for (uint64_t i = 0; i < GY_TEST_REGISTERS; i++) {
            values[i] = gy_mix64(round * 64 + i + 1);
        }
        memset(seen, 0, sizeof(seen));
        gy_test_switch(&pair.host, &pair.guest, values, seen);
        assert_memory_equal(values, seen, sizeof(values));
    }
    assert_int_equal(pair.rounds, 999);
    assert_int_equal(pair.mismatches, 0);
#else
    print_message("SKIPPED: no register test for this machine\n");
    skip();
#endif
}

/* ---- Coroutines on the switch ---- */

struct deep {
    struct gy_sched *sched;
    uint64_t seed;
    uint64_t result;
    double float_result;
    bool is_misaligned;
};

/* Descends `depth` frames, switches at the bottom and on the way back; many values stay live. */
static GY_SUSPENDS __attribute__((noinline)) uint64_t
await_deep(struct deep *deep, uint64_t depth, double weight)
{
    const uint64_t a = gy_mix64(deep->seed + depth);
    const uint64_t b = gy_mix64(a);
    const uint64_t c = gy_mix64(b);
    const double x = weight * 1.5;
    uint64_t below = 0;

    if (depth > 0) {
        below = await_deep(deep, depth - 1, weight + 1.0);
    }
    gy_await_yield(deep->sched);
    deep->float_result += x;
    return gy_mix64(below ^ a) + (b ^ c);
}

static uint64_t
expect_deep(uint64_t seed, uint64_t depth_max, double *ret_float)
{
    uint64_t below = 0;

    *ret_float = 0;
    for (uint64_t depth = 0; depth <= depth_max; depth++) {
        const uint64_t a = gy_mix64(seed + depth);
        const uint64_t b = gy_mix64(a);

        below = gy_mix64(below ^ a) + (b ^ gy_mix64(b));
        *ret_float += (1.0 + (double)(depth_max - depth)) * 1.5;
    }
    return below;
}

static void
co_deep(void *arg)
{
    struct deep *deep = arg;
    uint8_t aligned[32] __attribute__((aligned(16)));

    gy_in_coroutine();
    memset(aligned, 0, sizeof(aligned));
    __asm__ volatile("" ::"r"(aligned) : "memory");
    deep->is_misaligned = !gy_is_aligned((uintptr_t)aligned, 16) ||
                          !gy_is_aligned((uintptr_t)__builtin_frame_address(0), 16);
    deep->result = await_deep(deep, 40, 1.0);
}

/* Goal:   locals and floating point values survive in deep call chains that switch at each level.
 * Method: 64 coroutines descend 40 frames, interleaved; the sums must be those of straight code. */
static void
co_locals_survive_switches_in_deep_calls(void **state)
{
    struct fixture fixture;
    struct deep deep[64];
    double float_expected;
    (void)state;

    set_up(&fixture, 64);
    for (unsigned i = 0; i < 64; i++) {
        deep[i] = (struct deep){.sched = &fixture.sched, .seed = i * 1000};
        assert_int_equal(
            gy_spawn(&fixture.sched, (enum gy_co_class)(i & 1), "deep", co_deep, &deep[i], NULL),
            GYRE_OK);
    }
    run_all(&fixture);
    for (unsigned i = 0; i < 64; i++) {
        assert_true(deep[i].result == expect_deep(i * 1000, 40, &float_expected));
        assert_true(deep[i].float_result == float_expected);
        assert_false(deep[i].is_misaligned);
    }
    tear_down(&fixture);
}

static char formatted[128];

static void
co_format(void *arg)
{
    gy_in_coroutine();
    snprintf(formatted, sizeof(formatted), "%s %p %.3f %d", "text", arg, 1.25, -7);
}

/* Goal:   library functions that want an aligned stack and use vector registers work. */
static void
co_can_call_the_c_library(void **state)
{
    struct fixture fixture;
    char expected[128];
    (void)state;

    set_up(&fixture, 4);
    snprintf(expected, sizeof(expected), "%s %p %.3f %d", "text", (void *)&fixture, 1.25, -7);
    assert_int_equal(
        gy_spawn(&fixture.sched, GY_CLASS_FOREGROUND, "format", co_format, &fixture, NULL),
        GYRE_OK);
    run_all(&fixture);
    assert_string_equal(formatted, expected);
    tear_down(&fixture);
}

struct counted {
    struct gy_sched *sched;
    unsigned runs;
};

static void
co_count(void *arg)
{
    struct counted *counted = arg;

    gy_in_coroutine();
    gy_await_yield(counted->sched);
    gy_await_yield(counted->sched);
    counted->runs++;
}

/* Goal:   thousands of coroutines run, each once, and a warm pool allocates nothing. */
static void
co_spawns_thousands_and_reuses_their_stacks(void **state)
{
    struct fixture fixture;
    struct counted counted;
    uint64_t allocations = 0;
    uint64_t used = 0;
    (void)state;

    set_up(&fixture, 4000);
    counted = (struct counted){.sched = &fixture.sched};
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 4000; i++) {
            assert_int_equal(
                gy_spawn(&fixture.sched, GY_CLASS_FOREGROUND, "count", co_count, &counted, NULL),
                GYRE_OK);
        }
        assert_int_equal(fixture.sched.live_count, 4000);
        run_all(&fixture);
        assert_int_equal(fixture.sched.live_count, 0);
        assert_int_equal(counted.runs, (round + 1) * 4000);
        if (round == 0) {
            allocations = fixture.heap.allocation_count;
            used = fixture.heap.used;
            assert_true(fixture.heap.used_by_tag[GY_MEM_STACK] +
                            fixture.heap.used_by_tag[GY_MEM_LOOP] ==
                        used);
            assert_true(fixture.heap.used_by_tag[GY_MEM_STACK] >= 4000ull * GY_STACK_SIZE);
        }
        assert_true(fixture.heap.allocation_count == allocations && fixture.heap.used == used);
    }
    tear_down(&fixture);
}

/* Goal:   past co_count_max spawn answers AGAIN, with a text, and works again when one has ended.
 *         */
static void
co_spawn_answers_again_past_the_limit(void **state)
{
    struct fixture fixture;
    struct counted counted;
    (void)state;

    set_up(&fixture, 5);
    counted = (struct counted){.sched = &fixture.sched};
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(
            gy_spawn(&fixture.sched, GY_CLASS_FOREGROUND, "count", co_count, &counted, NULL),
            GYRE_OK);
    }
    for (unsigned i = 0; i < 3; i++) {
        struct gy_co *co = (struct gy_co *)&counted;

        assert_int_equal(
            gy_spawn(&fixture.sched, GY_CLASS_BACKGROUND, "count", co_count, &counted, &co),
            GYRE_AGAIN);
        assert_ptr_equal(co, &counted);
        assert_int_equal(fixture.sched.host_error.status, GYRE_AGAIN);
        assert_non_null(strstr(fixture.sched.host_error.text, "5 coroutines"));
    }
    run_all(&fixture);
    assert_int_equal(counted.runs, 5);
    assert_int_equal(
        gy_spawn(&fixture.sched, GY_CLASS_FOREGROUND, "count", co_count, &counted, NULL), GYRE_OK);
    run_all(&fixture);
    assert_int_equal(counted.runs, 6);
    tear_down(&fixture);
}

/* Goal:   a spawn that gets no memory answers NO_MEMORY and changes nothing, at any allocation.
 * Method: fail each allocation in turn until all 100 spawns succeed; then by the memory limit. */
static void
co_spawn_answers_no_memory_without_change(void **state)
{
    unsigned refused = 0;
    (void)state;

    for (uint64_t ordinal = 2;; ordinal++) {
        struct fixture fixture;
        struct counted counted;
        unsigned spawned = 0;
        bool was_refused = false;

        set_up(&fixture, 100);
        counted = (struct counted){.sched = &fixture.sched};
        fixture.heap.fail_at = ordinal;
        while (spawned < 100) {
            const gyre_status st =
                gy_spawn(&fixture.sched, GY_CLASS_FOREGROUND, "count", co_count, &counted, NULL);

            spawned += st == GYRE_OK;
            if (st != GYRE_OK) {
                assert_int_equal(st, GYRE_NO_MEMORY);
                assert_int_equal(fixture.sched.host_error.status, GYRE_NO_MEMORY);
                assert_int_equal(fixture.sched.live_count, spawned);
                assert_int_equal(fixture.sched.ready_count, spawned);
                assert_int_equal(fixture.sched.stacks.live_count, spawned);
                assert_false(was_refused);
                was_refused = true;
            }
        }
        run_all(&fixture);
        assert_int_equal(counted.runs, 100);
        tear_down(&fixture);
        if (!was_refused) {
            break;
        }
        refused++;
    }
    assert_true(refused >= 100); /* each stack at least */

    struct fixture fixture;
    struct counted counted;
    unsigned spawned = 0;

    set_up(&fixture, 100);
    counted = (struct counted){.sched = &fixture.sched};
    fixture.heap.limit = 3 * (GY_STACK_SIZE + 64 * GY_KIB);
    while (gy_spawn(&fixture.sched, GY_CLASS_FOREGROUND, "count", co_count, &counted, NULL) ==
           GYRE_OK) {
        spawned++;
    }
    assert_int_equal(fixture.sched.host_error.status, GYRE_NO_MEMORY);
    assert_true(spawned >= 3 && spawned < 6);
    run_all(&fixture);
    tear_down(&fixture);
}

/* ---- Stacks ---- */

/* Goal:   K1 and K3: large enough whatever the colour, aligned, distinct, last in first out. */
static void
stack_pool_hands_out_large_stacks_last_in_first_out(void **state)
{
    struct gy_stack *stacks[40];
    struct gy_stack_pool pool;
    struct gy_heap heap;
    unsigned colours = 0;
    (void)state;

    gy_heap_init(&heap, UINT64_MAX);
    gy_stack_pool_init(&pool, &heap, 40);
    for (unsigned i = 0; i < 40; i++) {
        stacks[i] = gy_stack_get(&pool);
        assert_non_null(stacks[i]);
        assert_true(stacks[i]->size >= GY_STACK_SIZE + sizeof(struct gy_co));
        assert_true(stacks[i]->size >= 32 * GY_KIB + getauxval(51 /* AT_MINSIGSTKSZ */));
        assert_ptr_equal(stacks[i], stacks[i]->base + stacks[i]->size);
        memset(stacks[i]->base, (int)i, stacks[i]->size);
        colours += i > 0 && stacks[i]->size != stacks[i - 1]->size;
    }
    assert_true(colours >= 30); /* tops that do not all fall into the same cache sets */
    assert_null(gy_stack_get(&pool));
    assert_int_equal(pool.live_count, 40);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(stacks[i]->base[0], i); /* they do not overlap */
        assert_int_equal(stacks[i]->base[stacks[i]->size - 1], i);
        gy_stack_put(&pool, stacks[i]);
    }
    assert_int_equal(pool.pooled_count, 40);
    for (unsigned i = 40; i > 0; i--) {
        assert_ptr_equal(gy_stack_get(&pool), stacks[i - 1]);
    }
    for (unsigned i = 0; i < 40; i++) {
        gy_stack_put(&pool, stacks[i]);
    }
    gy_stack_pool_fini(&pool);
    assert_true(heap.used == 0);
}

/* Run fn(arg) in a child and tell whether it died: by a signal, or of a sanitizer's report. */
static bool
dies(void (*fn)(void *), void *arg)
{
    int child_status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)!freopen("/dev/null", "w", stderr);
        (void)signal(SIGSEGV, SIG_DFL);
        fn(arg);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &child_status, 0), child);
    return !(WIFEXITED(child_status) && WEXITSTATUS(child_status) == 0);
}

/* In the child, which has no stack of the parent. `arg`: the offset from base to be touched. */
static void
touch_new_stack(void *arg)
{
    const ptrdiff_t offset = *(ptrdiff_t *)arg;
    struct gy_stack_pool pool;
    struct gy_stack *stack;
    struct gy_heap heap;

    gy_heap_init(&heap, UINT64_MAX);
    gy_stack_pool_init(&pool, &heap, 1);
    stack = gy_stack_get(&pool);
    *(volatile uint8_t *)(stack->base + offset) = 1;
}

static void
touch(void *arg)
{
    *(volatile uint8_t *)arg = 1;
}

/* Goal:   K2: the byte below the stack and the whole page are no memory; the stack itself is. */
static void
stack_guard_page_faults(void **state)
{
    ptrdiff_t offset;
    (void)state;

    for (offset = 0; offset < 8192; offset += 1000) {
        assert_false(dies(touch_new_stack, &offset));
    }
    for (offset = -1; offset >= -(ptrdiff_t)GY_PAGE; offset -= 91) {
        assert_true(dies(touch_new_stack, &offset));
    }
}

/* Goal:   K4: a forked child cannot touch the parent's stacks, unless a sanitizer has to. */
static void
stack_is_absent_in_a_forked_child(void **state)
{
    struct gy_stack_pool pool;
    struct gy_stack *stack;
    struct gy_heap heap;
    uint8_t on_the_host = 0;
    (void)state;

    gy_heap_init(&heap, UINT64_MAX);
    gy_stack_pool_init(&pool, &heap, 1);
    stack = gy_stack_get(&pool);
    touch(stack->base);
#ifndef GY_ASAN
    assert_true(dies(touch, stack->base));
#endif
    assert_false(dies(touch, &on_the_host));
    gy_stack_put(&pool, stack);
    gy_stack_pool_fini(&pool);
}

static GY_SUSPENDS __attribute__((noinline)) uint64_t
await_for_ever_deeper(struct gy_sched *sched, uint64_t depth)
{
    volatile uint8_t frame[512];

    frame[depth % sizeof(frame)] = (uint8_t)depth;
    if (depth == UINT64_MAX) {
        return 0;
    }
    return await_for_ever_deeper(sched, depth + 1) + frame[depth % sizeof(frame)];
}

static void
co_overrun(void *arg)
{
    gy_in_coroutine();
    (void)await_for_ever_deeper(arg, 0);
}

static void
run_overrun(void *arg)
{
    struct fixture fixture;
    (void)arg;

    set_up(&fixture, 2);
    (void)gy_spawn(&fixture.sched, GY_CLASS_FOREGROUND, "overrun", co_overrun, &fixture.sched,
                   NULL);
    run_all(&fixture);
}

static void
co_use_most_of_the_stack(void *arg)
{
    volatile uint8_t frame[GY_STACK_SIZE - 8 * 1024];

    (void)arg;
    gy_in_coroutine();
    for (size_t i = 0; i < sizeof(frame); i += 512) {
        frame[i] = 1;
    }
}

static void
run_fitting(void *arg)
{
    struct fixture fixture;
    (void)arg;

    set_up(&fixture, 2);
    (void)gy_spawn(&fixture.sched, GY_CLASS_FOREGROUND, "fits", co_use_most_of_the_stack,
                   &fixture.sched, NULL);
    run_all(&fixture);
}

/* Goal:   a coroutine that overruns its stack dies at once; one that uses nearly all of it does
 *         not. */
static void
stack_overrun_of_a_coroutine_is_a_fault(void **state)
{
    (void)state;
    assert_false(dies(run_fitting, NULL));
    assert_true(dies(run_overrun, NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(co_switch_continues_where_it_left),
        cmocka_unit_test(co_switch_preserves_callee_saved_registers),
        cmocka_unit_test(co_locals_survive_switches_in_deep_calls),
        cmocka_unit_test(co_can_call_the_c_library),
        cmocka_unit_test(co_spawns_thousands_and_reuses_their_stacks),
        cmocka_unit_test(co_spawn_answers_again_past_the_limit),
        cmocka_unit_test(co_spawn_answers_no_memory_without_change),
        cmocka_unit_test(stack_pool_hands_out_large_stacks_last_in_first_out),
        cmocka_unit_test(stack_guard_page_faults),
        cmocka_unit_test(stack_is_absent_in_a_forked_child),
        cmocka_unit_test(stack_overrun_of_a_coroutine_is_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
