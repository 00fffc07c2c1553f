/* test_sched.c - the scheduler's promises C1 to C5, timers, budgets, chaos. Time is a variable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/bits.h"
#include "io/co/sched.h"

#define LOG_SIZE 20000

static struct {
    uint64_t now_ns;
    uint64_t cpu_ns;
    unsigned now_calls;
    unsigned cpu_calls;
} fake;

static uint64_t
fake_now(void *clock)
{
    assert_ptr_equal(clock, &fake);
    fake.now_calls++;
    return fake.now_ns;
}

static uint64_t
fake_cpu(void *clock)
{
    assert_ptr_equal(clock, &fake);
    fake.cpu_calls++;
    return fake.cpu_ns;
}

/* What ran, in order. */
struct fixture {
    struct gy_heap heap;
    struct gy_sched sched;
    struct gy_rng chaos;
    int log[LOG_SIZE];
    unsigned log_count;
};

struct task {
    struct fixture *fixture;
    struct gy_co *co;
    int id;
    int rounds;
    uint64_t ns;
    uint64_t woke_ns;
    bool outcome;
};

static int
set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    memset(&fake, 0, sizeof(fake));
    fake.now_ns = 1000 * GY_NS_PER_S;
    gy_heap_init(&fixture->heap, UINT64_MAX);
    *state = fixture;
    return gy_sched_init(&fixture->sched, &fixture->heap, 1000, fake_now, fake_cpu, &fake) ==
                   GYRE_OK
               ? 0
               : -1;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;
    int rc;

    gy_sched_fini(&fixture->sched);
    rc = fixture->heap.used == 0 ? 0 : -1;
    free(fixture);
    return rc;
}

static void
note(struct task *task)
{
    struct fixture *fixture = task->fixture;

    assert_true(fixture->log_count < LOG_SIZE);
    fixture->log[fixture->log_count++] = task->id;
}

static void
spawn(struct fixture *fixture, struct task *task, enum gy_co_class klass, void (*fn)(void *))
{
    task->fixture = fixture;
    assert_int_equal(gy_spawn(&fixture->sched, klass, "task", fn, task, &task->co), GYRE_OK);
}

static bool
run(struct fixture *fixture)
{
    return gy_sched_run(&fixture->sched, fake.now_ns, UINT64_MAX);
}

static void
expect_log(struct fixture *fixture, const int *expected, unsigned count)
{
    assert_int_equal(fixture->log_count, count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(fixture->log[i], expected[i]);
    }
    fixture->log_count = 0;
}
#define EXPECT_LOG(fixture, ...)                                         \
    do {                                                                 \
        const int expected_[] = {__VA_ARGS__};                           \
        expect_log(fixture, expected_, sizeof(expected_) / sizeof(int)); \
    } while (0)

/* ---- Order ---- */

static void
note_and_yield(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    for (int i = 0; i < task->rounds; i++) {
        note(task);
        gy_await_yield(&task->fixture->sched);
    }
}

/* Goal:   within a class the order is that of becoming ready, and a yield goes to the back. */
static void
sched_runs_a_class_first_come_first_served(void **state)
{
    struct fixture *fixture = *state;
    struct task tasks[3] = {{.id = 1, .rounds = 3}, {.id = 2, .rounds = 1}, {.id = 3, .rounds = 2}};

    for (unsigned i = 0; i < 3; i++) {
        spawn(fixture, &tasks[i], GY_CLASS_FOREGROUND, note_and_yield);
        assert_int_equal(fixture->log_count, 0); /* not inside the spawn */
    }
    assert_false(run(fixture));
    EXPECT_LOG(fixture, 1, 2, 3, 1, 3, 1);
}

/* Goal:   C3: foreground goes first, and background has one run after each 16 of it.
 * Method: two foreground and two background coroutines that are always ready. */
static void
sched_gives_background_a_run_after_sixteen(void **state)
{
    struct fixture *fixture = *state;
    struct task tasks[4] = {{.id = 1, .rounds = 500},
                            {.id = 2, .rounds = 500},
                            {.id = 10, .rounds = 20},
                            {.id = 11, .rounds = 20}};
    unsigned foreground = 0;
    unsigned background = 0;

    spawn(fixture, &tasks[2], GY_CLASS_BACKGROUND, note_and_yield);
    spawn(fixture, &tasks[3], GY_CLASS_BACKGROUND, note_and_yield);
    spawn(fixture, &tasks[0], GY_CLASS_FOREGROUND, note_and_yield);
    spawn(fixture, &tasks[1], GY_CLASS_FOREGROUND, note_and_yield);
    assert_false(run(fixture));
    assert_int_equal(fixture->log_count, 1040);
    for (unsigned i = 0; background < 40; i++) {
        if (fixture->log[i] >= 10) {
            assert_int_equal(foreground, GY_FOREGROUND_RUNS_MAX);
            assert_int_equal(fixture->log[i], 10 + (int)(background % 2));
            foreground = 0;
            background++;
        } else {
            foreground++;
        }
    }
}

/* ---- C1 and C2: park and wake ---- */

static void
park_in_rounds(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    for (int i = 0; i < task->rounds; i++) {
        gy_await_park(&task->fixture->sched);
        note(task);
    }
}

/* Goal:   C1: a parked coroutine does not run without a wake, and one wake is one run. */
static void
sched_parked_runs_only_after_a_wake(void **state)
{
    struct fixture *fixture = *state;
    struct task tasks[2] = {{.id = 1, .rounds = 2}, {.id = 2, .rounds = 1}};

    spawn(fixture, &tasks[0], GY_CLASS_FOREGROUND, park_in_rounds);
    spawn(fixture, &tasks[1], GY_CLASS_FOREGROUND, park_in_rounds);
    for (unsigned i = 0; i < 10; i++) {
        fake.now_ns += GY_NS_PER_S;
        assert_false(run(fixture));
    }
    assert_int_equal(fixture->log_count, 0);
    gy_wake(tasks[1].co);
    gy_wake(tasks[0].co);
    assert_int_equal(fixture->log_count, 0); /* not inside the wake */
    assert_false(run(fixture));
    EXPECT_LOG(fixture, 2, 1);
    assert_false(run(fixture));
    assert_int_equal(fixture->log_count, 0);
    gy_wake(tasks[0].co);
    assert_false(run(fixture));
    EXPECT_LOG(fixture, 1);
}

static void
wake_self_and_park(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    gy_wake(task->co); /* running */
    gy_wake(task->co); /* remembered once, not twice */
    gy_await_park(&task->fixture->sched);
    note(task);
    gy_await_park(&task->fixture->sched);
    note(task);
}

/* Goal:   C1: a wake of a ready or of a running coroutine is remembered, once. */
static void
sched_remembers_one_wake_of_a_coroutine_that_is_not_parked(void **state)
{
    struct fixture *fixture = *state;
    struct task running = {.id = 1};
    struct task ready = {.id = 2, .rounds = 2};

    spawn(fixture, &running, GY_CLASS_FOREGROUND, wake_self_and_park);
    assert_false(run(fixture));
    EXPECT_LOG(fixture, 1);

    spawn(fixture, &ready, GY_CLASS_FOREGROUND, park_in_rounds);
    gy_wake(ready.co); /* has not run yet: ready */
    gy_wake(ready.co);
    assert_false(run(fixture));
    EXPECT_LOG(fixture, 2);

    gy_wake(ready.co);
    gy_wake(running.co);
    assert_false(run(fixture));
    EXPECT_LOG(fixture, 2, 1);
}

/* ---- Timers ---- */

static void
sleep_once(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    gy_await_sleep(&task->fixture->sched, task->ns);
    note(task);
}

/* Goal:   sleepers wake in the order of their deadlines, none early, none late.
 * Method: 257 random sleeps; the clock goes from one next_timer to the next. */
static void
sched_timers_fire_in_order_and_on_time(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t start_ns = fake.now_ns;
    struct task *tasks = calloc(257, sizeof(*tasks)); /* one more than a size that grows by 2 */
    struct gy_rng rng;
    unsigned fired = 0;

    gy_rng_init(&rng, 11);
    assert_true(gy_sched_next_timer_ns(&fixture->sched) == GY_NEVER);
    for (int i = 0; i < 257; i++) {
        tasks[i] = (struct task){.id = i, .ns = 1 + gy_rng_below(&rng, 200)};
        spawn(fixture, &tasks[i], GY_CLASS_FOREGROUND, sleep_once);
    }
    assert_false(run(fixture));
    assert_int_equal(fixture->sched.timer_count, 257);
    while (fixture->sched.timer_count > 0) {
        const uint64_t next_ns = gy_sched_next_timer_ns(&fixture->sched);

        assert_true(next_ns > fake.now_ns);
        fake.now_ns = next_ns - 1;
        assert_false(run(fixture));
        assert_int_equal(fixture->log_count, fired);
        fake.now_ns = next_ns;
        assert_false(run(fixture));
        assert_true(fixture->log_count > fired);
        for (; fired < fixture->log_count; fired++) {
            assert_true(start_ns + tasks[fixture->log[fired]].ns == next_ns);
        }
    }
    assert_int_equal(fired, 257);
    free(tasks);
}

static void
park_until(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    task->outcome = gy_await_park_until(&task->fixture->sched, task->ns);
    task->woke_ns = fake.now_ns;
    note(task);
}

/* Goal:   park_until says whether wake or deadline came first; a wake takes the timer away, and the
 *         others still fire in time.
 * Method: of 100 timers half are woken early, at random places of the heap, for many seeds. */
static void
sched_wake_cancels_the_timer(void **state)
{
    struct fixture *fixture = *state;
    struct task *tasks = calloc(100, sizeof(*tasks));
    struct gy_rng rng;

    for (uint64_t seed = 0; seed < 20; seed++) {
        const uint64_t start_ns = fake.now_ns;

        gy_rng_init(&rng, seed);
        fixture->log_count = 0;
        for (int i = 0; i < 100; i++) {
            tasks[i] = (struct task){.id = i, .ns = start_ns + 100 + gy_rng_below(&rng, 1000)};
            spawn(fixture, &tasks[i], GY_CLASS_FOREGROUND, park_until);
        }
        assert_false(run(fixture));
        for (int i = 0; i < 100; i += 2) {
            gy_wake(tasks[(i * 37) % 100].co);
            gy_wake(tasks[(i * 37) % 100].co); /* ready already: no harm */
        }
        assert_int_equal(fixture->sched.timer_count, 50);
        assert_false(run(fixture));
        assert_int_equal(fixture->log_count, 50);
        while (fixture->sched.timer_count > 0) {
            fake.now_ns = gy_sched_next_timer_ns(&fixture->sched);
            assert_false(run(fixture));
        }
        assert_int_equal(fixture->log_count, 100);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(tasks[i].outcome, i % 2 == 0);
            assert_true(tasks[i].woke_ns == (i % 2 == 0 ? start_ns : tasks[i].ns));
        }
    }
    free(tasks);
}

static void
park_until_twice(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    task->outcome = gy_await_park_until(&task->fixture->sched, task->ns);
    note(task);
    assert_true(gy_await_park_until(&task->fixture->sched, GY_NEVER));
    note(task);
}

/* Goal:   a deadline in the past still lets others run; GY_NEVER takes no timer. */
static void
sched_deadline_in_the_past_still_yields(void **state)
{
    struct fixture *fixture = *state;
    struct task late = {.id = 1, .ns = 1};
    struct task other = {.id = 2, .rounds = 1};

    spawn(fixture, &late, GY_CLASS_FOREGROUND, park_until_twice);
    spawn(fixture, &other, GY_CLASS_FOREGROUND, note_and_yield);
    assert_false(run(fixture));
    EXPECT_LOG(fixture, 2);
    assert_int_equal(fixture->sched.timer_count, 1);

    assert_false(run(fixture)); /* fires */
    EXPECT_LOG(fixture, 1);
    assert_false(late.outcome);
    assert_int_equal(fixture->sched.timer_count, 0); /* now parked without a deadline */
    gy_wake(late.co);
    assert_false(run(fixture));
    EXPECT_LOG(fixture, 1);
}

static void
sleep_and_wake_the_next(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    gy_await_sleep(&task->fixture->sched, task->ns);
    gy_wake(task[1].co);
}

/* Goal:   C1: a wake that comes when the deadline has fired, but before the coroutine has run, is
 *         kept for its next park.
 * Method: two timers due in one run; the first one's coroutine wakes the second one's. */
static void
sched_wake_after_the_deadline_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct task tasks[2] = {{.id = 1, .ns = 10}, {.id = 2, .ns = fake.now_ns + 20}};

    spawn(fixture, &tasks[0], GY_CLASS_FOREGROUND, sleep_and_wake_the_next);
    spawn(fixture, &tasks[1], GY_CLASS_FOREGROUND, park_until_twice);
    assert_false(run(fixture));
    fake.now_ns += 30;
    assert_false(run(fixture));
    assert_false(tasks[1].outcome);
    EXPECT_LOG(fixture, 2, 2);
}

/* Goal:   a sleep is not cut short by wakes for something else. */
static void
sched_sleep_ignores_wakes(void **state)
{
    struct fixture *fixture = *state;
    struct task task = {.id = 1, .ns = 100};
    const uint64_t start_ns = fake.now_ns;

    spawn(fixture, &task, GY_CLASS_FOREGROUND, sleep_once);
    gy_wake(task.co);
    for (fake.now_ns = start_ns; fake.now_ns < start_ns + 100; fake.now_ns += 9) {
        assert_false(run(fixture));
        assert_int_equal(fixture->log_count, 0);
        gy_wake(task.co);
    }
    fake.now_ns = start_ns + 100;
    assert_false(run(fixture));
    assert_int_equal(fixture->log_count, 0); /* the last wake came first: parked anew */
    assert_false(run(fixture));
    EXPECT_LOG(fixture, 1);
}

/* ---- Budgets and turns ---- */

static void
work_and_yield(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    for (int i = 0; i < task->rounds; i++) {
        fake.now_ns += task->ns;
        fake.cpu_ns += task->ns;
        note(task);
        gy_await_yield(&task->fixture->sched);
    }
}

/* Goal:   a run ends when its budget is used, at least one slice and at most one too late. */
static void
sched_run_ends_after_its_budget(void **state)
{
    struct fixture *fixture = *state;
    struct task task = {.id = 1, .rounds = 12, .ns = 10 * GY_NS_PER_US};

    spawn(fixture, &task, GY_CLASS_FOREGROUND, work_and_yield);
    assert_true(gy_sched_run(&fixture->sched, fake.now_ns, 50 * GY_NS_PER_US));
    assert_int_equal(fixture->log_count, 5);
    /* The caller's time counts from its own start. */
    assert_true(gy_sched_run(&fixture->sched, fake.now_ns - 30 * GY_NS_PER_US, 50 * GY_NS_PER_US));
    assert_int_equal(fixture->log_count, 7);
    assert_true(gy_sched_run(&fixture->sched, fake.now_ns, 0));
    assert_int_equal(fixture->log_count, 8);
    assert_false(gy_sched_run(&fixture->sched, fake.now_ns, GY_NS_PER_S));
    assert_int_equal(fixture->log_count, 12);
}

/* Goal:   a run ends also when the clock stands still and somebody yields for ever. */
static void
sched_run_ends_when_the_clock_stands_still(void **state)
{
    struct fixture *fixture = *state;
    struct task task = {.id = 1, .rounds = (int)GY_RUNS_MAX + 10};

    spawn(fixture, &task, GY_CLASS_FOREGROUND, note_and_yield);
    assert_true(run(fixture));
    assert_int_equal(fixture->log_count, GY_RUNS_MAX);
    assert_false(run(fixture));
}

static void
turn_after_steps(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    for (int i = 0; i < task->rounds; i++) {
        fake.now_ns += task->ns;
        gy_await_turn(&task->fixture->sched);
    }
}

/* Goal:   C4: turns cost no switch before 50 us, and a slice is never much longer.
 * Method: steps of many lengths; the watchdog knows the longest slice, now_calls the clock reads.
 *         */
static void
sched_turn_bounds_the_slice_for_every_step_length(void **state)
{
    struct fixture *fixture = *state;
    static const uint64_t steps_ns[] = {20, 100, 500, 1999, 2000, 4000, 10000, 38000, 49999, 60000};

    for (unsigned i = 0; i < sizeof(steps_ns) / sizeof(steps_ns[0]); i++) {
        const uint64_t total_ns = 4 * GY_NS_PER_MS;
        struct task task = {.ns = steps_ns[i], .rounds = (int)(total_ns / steps_ns[i])};
        struct gy_watchdog *watchdog = &fixture->sched.watchdog;
        unsigned calls;

        *watchdog = (struct gy_watchdog){0};
        fixture->sched.cpu_now = NULL;
        fake.now_calls = 0;
        spawn(fixture, &task, GY_CLASS_BACKGROUND, turn_after_steps);
        assert_false(run(fixture));
        calls = fake.now_calls;
        assert_true(watchdog->run_ns_max < 50000 + 16000 + steps_ns[i]);
        assert_true(watchdog->run_count <= 4 * GY_NS_PER_MS / 50000 + 1);
        if (steps_ns[i] <= 500) {
            assert_true(calls < (unsigned)task.rounds / 4);
        }
    }
}

/* Goal:   C4 after a change of pace: eight quick steps do not buy eight long ones. */
static void
pace_change(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    for (int i = 0; i < 400; i++) {
        fake.now_ns += i % 40 == 39 ? 40 * GY_NS_PER_US : 100;
        gy_await_turn(&task->fixture->sched);
    }
}

static void
sched_turn_notices_a_long_step_among_quick_ones(void **state)
{
    struct fixture *fixture = *state;
    struct task task = {0};

    fixture->sched.cpu_now = NULL;
    spawn(fixture, &task, GY_CLASS_BACKGROUND, pace_change);
    assert_false(run(fixture));
    assert_true(fixture->sched.watchdog.run_ns_max < 100 * GY_NS_PER_US);
}

/* ---- C5: the watchdog ---- */

static void
work_once(void *arg)
{
    struct task *task = arg;

    fake.now_ns += task->ns;
    fake.cpu_ns += (uint64_t)task->rounds;
}

static void
spawn_named(struct fixture *fixture, struct task *task, const char *name)
{
    assert_int_equal(gy_spawn(&fixture->sched, GY_CLASS_FOREGROUND, name, work_once, task, NULL),
                     GYRE_OK);
}

/* Goal:   C5: the longest run and its name are known, and counted by size. */
static void
sched_watchdog_names_the_longest_run(void **state)
{
    struct fixture *fixture = *state;
    struct gy_watchdog *watchdog = &fixture->sched.watchdog;
    struct task tasks[] = {{.ns = 3000, .rounds = 3000},
                           {.ns = 200000, .rounds = 200000},
                           {.ns = 700000, .rounds = 700000},
                           {.ns = 100000, .rounds = 100000}};
    static const char *const names[] = {"a", "b", "c", "d"};

    for (unsigned i = 0; i < 4; i++) {
        spawn_named(fixture, &tasks[i], names[i]);
    }
    assert_false(run(fixture));
    assert_true(watchdog->run_ns_max == 700000);
    assert_string_equal(watchdog->run_name_max, "c");
    assert_int_equal(watchdog->run_count, 4);
    assert_int_equal(watchdog->over_100us_count, 2);
    assert_int_equal(watchdog->over_500us_count, 1);
}

/* Goal:   C5: a coroutine that lost the processor is not blamed, and short slices cost no system
 *         call.
 * Method: a slice of 5 ms wall and 30 us CPU after many honest short ones. */
static void
sched_watchdog_counts_cpu_time_in_long_runs(void **state)
{
    struct fixture *fixture = *state;
    struct gy_watchdog *watchdog = &fixture->sched.watchdog;
    struct task small = {.id = 1, .ns = 1000, .rounds = 40};
    struct task preempted = {.ns = 5000000, .rounds = 30000};
    struct task honest = {.ns = 90000, .rounds = 90000};

    spawn(fixture, &small, GY_CLASS_FOREGROUND, work_and_yield);
    assert_false(run(fixture));
    assert_int_equal(fake.cpu_calls, 1);
    spawn_named(fixture, &preempted, "preempted");
    assert_false(run(fixture));
    assert_int_equal(fake.cpu_calls, 2);
    assert_true(watchdog->run_ns_max == 30000);
    assert_int_equal(watchdog->over_100us_count, 0);
    spawn_named(fixture, &honest, "honest");
    assert_false(run(fixture));
    assert_true(watchdog->run_ns_max == 90000);
    assert_string_equal(watchdog->run_name_max, "honest");
}

/* ---- Chaos ---- */

static void
turn_and_note(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    for (int i = 0; i < task->rounds; i++) {
        note(task);
        gy_await_turn(&task->fixture->sched);
    }
}

static void
run_chaos(struct fixture *fixture, uint64_t seed)
{
    struct task tasks[8];

    gy_rng_init(&fixture->chaos, seed);
    fixture->sched.chaos = &fixture->chaos;
    fixture->log_count = 0;
    for (int i = 0; i < 8; i++) {
        tasks[i] = (struct task){.id = i, .rounds = 30};
        spawn(fixture, &tasks[i], (enum gy_co_class)(i & 1), turn_and_note);
    }
    assert_false(run(fixture));
    assert_int_equal(fixture->log_count, 240);
}

/* Goal:   with chaos the seed alone decides the order, seeds differ, and turns do switch.
 * Method: each of 20 seeds twice, on warm and on cold stacks. */
static void
sched_chaos_is_decided_by_its_seed(void **state)
{
    struct fixture *fixture = *state;
    int first[240];
    int last[240] = {0};
    unsigned differing = 0;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        unsigned switches = 0;

        run_chaos(fixture, seed);
        memcpy(first, fixture->log, sizeof(first));
        run_chaos(fixture, seed);
        assert_memory_equal(first, fixture->log, sizeof(first));
        differing += memcmp(first, last, sizeof(first)) != 0;
        memcpy(last, first, sizeof(first));
        for (unsigned i = 1; i < 240; i++) {
            switches += first[i] != first[i - 1];
        }
        assert_true(switches > 20 && switches < 150);
    }
    assert_int_equal(differing, 20);
}

/* ---- Together ---- */

static void
spawn_child(void *arg)
{
    struct task *task = arg;
    struct task child = {.fixture = task->fixture, .id = task->id + 100, .rounds = 1};
    struct gy_sched *sched = &task->fixture->sched;

    gy_in_coroutine();
    if (task->id < 500) {
        assert_int_equal(gy_spawn(sched, GY_CLASS_FOREGROUND, "child", spawn_child, &child, NULL),
                         0);
    }
    note(task);
    while (child.rounds == 1 && task->id < 500) {
        gy_await_yield(sched);
    }
    task->rounds = 0;
}

/* Goal:   coroutines start coroutines and wait for them; nobody is lost when they end in any order.
 *         */
static void
sched_coroutines_may_spawn_coroutines(void **state)
{
    struct fixture *fixture = *state;
    struct task task = {.id = 0, .rounds = 1};

    spawn(fixture, &task, GY_CLASS_FOREGROUND, spawn_child);
    assert_false(run(fixture));
    EXPECT_LOG(fixture, 0, 100, 200, 300, 400, 500);
    assert_int_equal(fixture->sched.live_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sched_runs_a_class_first_come_first_served),
        TEST(sched_gives_background_a_run_after_sixteen),
        TEST(sched_parked_runs_only_after_a_wake),
        TEST(sched_remembers_one_wake_of_a_coroutine_that_is_not_parked),
        TEST(sched_timers_fire_in_order_and_on_time),
        TEST(sched_wake_cancels_the_timer),
        TEST(sched_deadline_in_the_past_still_yields),
        TEST(sched_wake_after_the_deadline_is_kept),
        TEST(sched_sleep_ignores_wakes),
        TEST(sched_run_ends_after_its_budget),
        TEST(sched_run_ends_when_the_clock_stands_still),
        TEST(sched_turn_bounds_the_slice_for_every_step_length),
        TEST(sched_turn_notices_a_long_step_among_quick_ones),
        TEST(sched_watchdog_names_the_longest_run),
        TEST(sched_watchdog_counts_cpu_time_in_long_runs),
        TEST(sched_chaos_is_decided_by_its_seed),
        TEST(sched_coroutines_may_spawn_coroutines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
