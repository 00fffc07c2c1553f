/* test_sync.c - wait queue, mutex and semaphore: first come, first served, nobody lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "io/co/sync.h"

#define LOG_SIZE 4000

static uint64_t
variable_clock(void *clock)
{
    return *(uint64_t *)clock;
}

struct fixture {
    struct gy_heap heap;
    struct gy_sched sched;
    struct gy_rng chaos;
    uint64_t now_ns;
    struct gy_waitq queue;
    struct gy_mutex mutex;
    struct gy_semaphore semaphore;
    uint64_t inside; /* coroutines in the mutex, or units taken of the semaphore */
    uint64_t inside_max;
    int log[LOG_SIZE];
    unsigned log_count;
};

struct task {
    struct fixture *fixture;
    struct gy_co *co;
    int id;
    uint64_t number; /* deadline, or amount */
    bool outcome;
};

static int
set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->now_ns = 1000000;
    gy_heap_init(&fixture->heap, UINT64_MAX);
    gy_waitq_init(&fixture->queue);
    gy_mutex_init(&fixture->mutex);
    gy_semaphore_init(&fixture->semaphore, 3);
    *state = fixture;
    return gy_sched_init(&fixture->sched, &fixture->heap, 100, variable_clock, NULL,
                         &fixture->now_ns) == GYRE_OK
               ? 0
               : -1;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;
    int rc;

    rc = gy_waitq_is_empty(&fixture->queue) && gy_waitq_is_empty(&fixture->mutex.queue) &&
                 gy_waitq_is_empty(&fixture->semaphore.queue)
             ? 0
             : -1;
    gy_sched_fini(&fixture->sched);
    rc = fixture->heap.used == 0 ? rc : -1;
    free(fixture);
    return rc;
}

static void
note(struct task *task)
{
    assert_true(task->fixture->log_count < LOG_SIZE);
    task->fixture->log[task->fixture->log_count++] = task->id;
}

static void
spawn(struct fixture *fixture, struct task *task, void (*fn)(void *))
{
    task->fixture = fixture;
    assert_int_equal(gy_spawn(&fixture->sched, GY_CLASS_FOREGROUND, "task", fn, task, &task->co),
                     GYRE_OK);
}

static void
run(struct fixture *fixture)
{
    while (gy_sched_run(&fixture->sched, fixture->now_ns, UINT64_MAX)) {
    }
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

/* ---- Wait queue ---- */

static void
wait_once(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    gy_waitq_await(&task->fixture->sched, &task->fixture->queue);
    note(task);
}

/* Goal:   wake_one takes the first, wake_all all of them in order, on an empty queue both do
 *         nothing; who joins afterwards is not woken by an earlier wake. */
static void
waitq_wakes_in_the_order_of_arrival(void **state)
{
    struct fixture *fixture = *state;
    struct task tasks[5];

    gy_waitq_wake_one(&fixture->queue);
    gy_waitq_wake_all(&fixture->queue);
    assert_true(gy_waitq_is_empty(&fixture->queue));
    for (int i = 0; i < 5; i++) {
        tasks[i] = (struct task){.id = i};
        spawn(fixture, &tasks[i], wait_once);
    }
    run(fixture);
    assert_int_equal(fixture->log_count, 0);
    assert_false(gy_waitq_is_empty(&fixture->queue));
    gy_waitq_wake_one(&fixture->queue);
    gy_waitq_wake_one(&fixture->queue);
    run(fixture);
    EXPECT_LOG(fixture, 0, 1);
    gy_waitq_wake_all(&fixture->queue);
    assert_true(gy_waitq_is_empty(&fixture->queue));
    run(fixture);
    EXPECT_LOG(fixture, 2, 3, 4);
}

static void
wait_until(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    task->outcome =
        gy_waitq_await_until(&task->fixture->sched, &task->fixture->queue, task->number);
    note(task);
}

/* Goal:   a deadline takes its waiter out of the queue, from any place, so that no wake is wasted
 *         on it; the result says which came first. */
static void
waitq_deadline_leaves_the_queue(void **state)
{
    struct fixture *fixture = *state;
    struct task tasks[4] = {{.id = 0, .number = 1000300},
                            {.id = 1, .number = 1000100},
                            {.id = 2, .number = GY_NEVER},
                            {.id = 3, .number = 1000200}};

    for (unsigned i = 0; i < 4; i++) {
        spawn(fixture, &tasks[i], wait_until);
    }
    run(fixture);
    fixture->now_ns = 1000100;
    run(fixture);
    EXPECT_LOG(fixture, 1);
    gy_waitq_wake_one(&fixture->queue);
    run(fixture);
    EXPECT_LOG(fixture, 0);
    fixture->now_ns = 2000000;
    run(fixture);
    EXPECT_LOG(fixture, 3);
    gy_waitq_wake_one(&fixture->queue); /* 1 and 3 are out: it must reach 2 */
    run(fixture);
    EXPECT_LOG(fixture, 2);
    assert_true(tasks[0].outcome && tasks[2].outcome);
    assert_false(tasks[1].outcome || tasks[3].outcome);
    assert_int_equal(fixture->sched.timer_count, 0);
}

static void
sleep_and_wake_one(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    gy_await_sleep(&task->fixture->sched, task->number);
    gy_waitq_wake_one(&task->fixture->queue);
}

/* Goal:   a wake that meets a waiter whose deadline has just fired is not lost: somebody returns
 *         true.
 * Method: the waker's timer and the first waiter's are due in the same run. */
static void
waitq_wake_is_not_lost_to_a_deadline(void **state)
{
    struct fixture *fixture = *state;
    struct task waker = {.id = 9, .number = 100};
    struct task tasks[2] = {{.id = 0, .number = 1000150}, {.id = 1, .number = 1000900}};

    spawn(fixture, &waker, sleep_and_wake_one);
    spawn(fixture, &tasks[0], wait_until);
    spawn(fixture, &tasks[1], wait_until);
    run(fixture);
    fixture->now_ns = 1000200;
    run(fixture);
    EXPECT_LOG(fixture, 0);
    assert_true(tasks[0].outcome);
    fixture->now_ns = 1000900;
    run(fixture);
    EXPECT_LOG(fixture, 1);
    assert_false(tasks[1].outcome);
}

/* Goal:   C2: a wake for something else ends the wait, and the coroutine is out of the queue. */
static void
waitq_returns_on_a_wake_for_something_else(void **state)
{
    struct fixture *fixture = *state;
    struct task tasks[2] = {{.id = 0}, {.id = 1}};

    spawn(fixture, &tasks[0], wait_once);
    spawn(fixture, &tasks[1], wait_once);
    run(fixture);
    gy_wake(tasks[0].co);
    run(fixture);
    EXPECT_LOG(fixture, 0);
    gy_waitq_wake_one(&fixture->queue);
    run(fixture);
    EXPECT_LOG(fixture, 1);
}

/* ---- Mutex ---- */

static void
lock_twice(void *arg)
{
    struct task *task = arg;
    struct fixture *fixture = task->fixture;

    gy_in_coroutine();
    for (unsigned i = 0; i < 2; i++) {
        gy_mutex_await_lock(&fixture->sched, &fixture->mutex);
        assert_ptr_equal(fixture->mutex.owner, task->co);
        assert_int_equal(fixture->inside++, 0);
        note(task);
        gy_await_yield(&fixture->sched);
        gy_await_yield(&fixture->sched);
        fixture->inside--;
        gy_mutex_unlock(&fixture->mutex);
    }
}

/* Goal:   one at a time, in the order of asking: who unlocks and asks again goes behind all
 *         waiters.
 * Method: four coroutines lock twice each, and yield inside. */
static void
mutex_hands_over_in_the_order_of_asking(void **state)
{
    struct fixture *fixture = *state;
    struct task tasks[4];

    for (int i = 0; i < 4; i++) {
        tasks[i] = (struct task){.id = i};
        spawn(fixture, &tasks[i], lock_twice);
    }
    run(fixture);
    EXPECT_LOG(fixture, 0, 1, 2, 3, 0, 1, 2, 3);
    assert_null(fixture->mutex.owner);
}

/* Goal:   wakes for something else cost a waiter neither its place nor let it in early.
 * Method: as before, with every waiter woken between all runs. */
static void
mutex_keeps_its_order_under_spurious_wakes(void **state)
{
    struct fixture *fixture = *state;
    struct task tasks[4];

    for (int i = 0; i < 4; i++) {
        tasks[i] = (struct task){.id = i};
        spawn(fixture, &tasks[i], lock_twice);
    }
    while (gy_sched_run(&fixture->sched, fixture->now_ns, 0)) {
        if (fixture->log_count < 5) { /* all are alive until the first has locked twice */
            for (int i = 3; i >= 0; i--) {
                gy_wake(tasks[i].co);
            }
        }
    }
    EXPECT_LOG(fixture, 0, 1, 2, 3, 0, 1, 2, 3);
}

/* ---- Semaphore ---- */

static void
take_and_note(void *arg)
{
    struct task *task = arg;

    gy_in_coroutine();
    gy_semaphore_await_take(&task->fixture->sched, &task->fixture->semaphore, task->number);
    note(task);
}

/* Goal:   takers are served in the order of asking, also when a later one would fit (no
 *         overtaking), and give serves as many as it can. */
static void
semaphore_serves_in_the_order_of_asking(void **state)
{
    struct fixture *fixture = *state;
    struct task tasks[6] = {{.id = 0, .number = 2}, {.id = 1, .number = 5}, {.id = 2, .number = 1},
                            {.id = 3, .number = 0}, {.id = 4, .number = 2}, {.id = 5, .number = 1}};

    for (unsigned i = 0; i < 5; i++) {
        spawn(fixture, &tasks[i], take_and_note);
    }
    run(fixture);
    EXPECT_LOG(fixture, 0); /* 1 is left, and nobody passes number 1 */
    gy_semaphore_give(&fixture->semaphore, 3);
    run(fixture);
    assert_int_equal(fixture->log_count, 0);
    gy_semaphore_give(&fixture->semaphore, 2);
    /* Served, but not run yet: who asks now must not take what is meant for them. */
    spawn(fixture, &tasks[5], take_and_note);
    run(fixture);
    EXPECT_LOG(fixture, 1, 2, 3);
    gy_semaphore_give(&fixture->semaphore, 10);
    run(fixture);
    EXPECT_LOG(fixture, 4, 5);
    assert_true(fixture->semaphore.available == 3 - 2 + 3 + 2 - 5 - 1 - 0 + 10 - 2 - 1);
}

static void
take_and_give(void *arg)
{
    struct task *task = arg;
    struct fixture *fixture = task->fixture;

    gy_in_coroutine();
    for (uint64_t i = 0; i < 20; i++) {
        const uint64_t amount = 1 + (i * (uint64_t)(task->id + 1)) % 3;

        gy_semaphore_await_take(&fixture->sched, &fixture->semaphore, amount);
        fixture->inside += amount;
        assert_true(fixture->inside <= 3);
        fixture->inside_max =
            fixture->inside > fixture->inside_max ? fixture->inside : fixture->inside_max;
        gy_await_turn(&fixture->sched);
        gy_await_yield(&fixture->sched);
        fixture->inside -= amount;
        gy_semaphore_give(&fixture->semaphore, amount);
        gy_await_turn(&fixture->sched);
    }
    note(task);
}

/* Goal:   never more is taken than there is, all of it is used, and everybody ends.
 * Method: 20 coroutines, 20 rounds each, in 50 random orders with random wakes. */
static void
semaphore_never_gives_more_than_it_has(void **state)
{
    struct fixture *fixture = *state;

    fixture->sched.chaos = &fixture->chaos;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct task tasks[20];

        gy_rng_init(&fixture->chaos, seed);
        fixture->log_count = 0;
        fixture->inside_max = 0;
        for (int i = 0; i < 20; i++) {
            tasks[i] = (struct task){.id = i};
            spawn(fixture, &tasks[i], take_and_give);
        }
        while (gy_sched_run(&fixture->sched, fixture->now_ns, 0)) {
            if (fixture->log_count == 0) { /* all are alive */
                gy_wake(tasks[gy_rng_below(&fixture->chaos, 20)].co);
            }
        }
        assert_int_equal(fixture->log_count, 20);
        assert_true(fixture->semaphore.available == 3);
        assert_true(fixture->inside == 0 && fixture->inside_max == 3);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(waitq_wakes_in_the_order_of_arrival),
        TEST(waitq_deadline_leaves_the_queue),
        TEST(waitq_wake_is_not_lost_to_a_deadline),
        TEST(waitq_returns_on_a_wake_for_something_else),
        TEST(mutex_hands_over_in_the_order_of_asking),
        TEST(mutex_keeps_its_order_under_spurious_wakes),
        TEST(semaphore_serves_in_the_order_of_asking),
        TEST(semaphore_never_gives_more_than_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
