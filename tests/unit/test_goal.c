/* test_goal.c - the pace that a goal for latency leaves to background work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/base/bits.h"
#include "io/base/goal.h"

#define CEILING (200u * 1000u * 1000u)
#define GOAL_NS (2 * GY_NS_PER_MS)

/* `count` requests, one each 100 us from *now_ns on; each `miss_each`th misses (0 = none). */
static void
requests(struct gy_goal *goal, uint64_t *now_ns, uint32_t count, uint32_t miss_each)
{
    for (uint32_t i = 1; i <= count; i++) {
        *now_ns += 100 * GY_NS_PER_US;
        gy_goal_work(goal, true);
        gy_goal_note(goal, *now_ns, miss_each != 0 && i % miss_each == 0 ? GOAL_NS + 1 : GOAL_NS);
    }
}

/* Goal:   no goal, no effect. */
static void
goal_of_nothing_changes_nothing(void **state)
{
    struct gy_goal goal;
    uint64_t now_ns = GY_NS_PER_S;
    (void)state;

    gy_goal_init(&goal, 0, CEILING);
    requests(&goal, &now_ns, 100000, 2);
    assert_int_equal(goal.pace, CEILING);
}

/* Goal:   while it is missed the pace falls, to the floor and no further; once it is kept it comes
 *         back, to the ceiling and no further. */
static void
goal_lowers_and_raises_between_its_bounds(void **state)
{
    struct gy_goal goal;
    uint64_t now_ns = GY_NS_PER_S;
    uint64_t before;
    (void)state;

    gy_goal_init(&goal, GOAL_NS, CEILING);
    requests(&goal, &now_ns, 2000, 100);
    assert_true(goal.pace < CEILING);
    before = goal.pace;
    requests(&goal, &now_ns, 2000, 100);
    assert_true(goal.pace < before);
    requests(&goal, &now_ns, 100000, 100);
    assert_int_equal(goal.pace, CEILING / GY_GOAL_FLOOR_SHARE);
    before = goal.pace;
    requests(&goal, &now_ns, 20000, 0);
    assert_true(goal.pace > before && goal.pace < CEILING);
    requests(&goal, &now_ns, 1000000, 0);
    assert_int_equal(goal.pace, CEILING);
}

/* Goal:   what happens while background work rests says nothing about its pace: it neither falls
 *         nor rises. */
static void
goal_judges_only_what_is_tried(void **state)
{
    struct gy_goal goal;
    uint64_t now_ns = GY_NS_PER_S;
    uint64_t pace;
    (void)state;

    gy_goal_init(&goal, GOAL_NS, CEILING);
    requests(&goal, &now_ns, 2000, 100);
    requests(&goal, &now_ns, 1000, 0); /* to the end of a window */
    pace = goal.pace;
    for (uint32_t i = 0; i < 400000; i++) {
        now_ns += 100 * GY_NS_PER_US;
        if (i % 100 == 0) {
            gy_goal_work(&goal, false); /* slower than it may be */
        }
        gy_goal_note(&goal, now_ns, GOAL_NS);
    }
    assert_int_equal(goal.pace, pace);
    requests(&goal, &now_ns, 1000, 0); /* ends the window in which there was work */
    pace = goal.pace;
    for (uint32_t i = 0; i < 400000; i++) {
        now_ns += 100 * GY_NS_PER_US;
        gy_goal_note(&goal, now_ns, i % 100 == 0 ? 2 * GOAL_NS : GOAL_NS);
    }
    assert_true(goal.pace >= pace - pace / 4);
}

/* Goal:   a device that keeps the goal up to some pace is tried above it ever more seldom, and what
 *         misses stays below one in 1,000 in the long run; when it gets better, so does the pace.
 * Method: above 90 MB/s a tenth of a second is late. */
static void
goal_tries_ever_more_seldom(void **state)
{
    struct gy_goal goal;
    uint64_t now_ns = GY_NS_PER_S;
    uint64_t late_until_ns = 0;
    uint32_t missed = 0;
    uint64_t sum = 0;
    (void)state;

    gy_goal_init(&goal, GOAL_NS, CEILING);
    for (uint32_t i = 0; i < 10000000; i++) { /* 1,000 s */
        const uint64_t pace = goal.pace;
        bool is_late;

        now_ns += 100 * GY_NS_PER_US;
        if (pace > 90u * 1000u * 1000u && now_ns > late_until_ns + GY_NS_PER_S / 2) {
            late_until_ns = now_ns + GY_NS_PER_S / 10;
        }
        is_late = now_ns < late_until_ns;
        gy_goal_work(&goal, true);
        gy_goal_note(&goal, now_ns, is_late ? 10 * GOAL_NS : GOAL_NS / 2);
        if (i >= 5000000) {
            missed += is_late;
            sum += pace / 1000000;
        }
    }
    print_message("%u of 5000000 late, %llu MB/s on average\n", missed,
                  (unsigned long long)(sum / 5000000));
    assert_true(missed * 1000ull <= 3 * 5000000ull);
    assert_in_range(sum / 5000000, 60, 95);
    requests(&goal, &now_ns, 12000000, 0);
    assert_int_equal(goal.pace, CEILING);
}

/* Goal:   it is a goal for the p99.9: one in 1,000 may miss, and one alone says nothing. */
static void
goal_allows_one_in_a_thousand(void **state)
{
    struct gy_goal goal;
    uint64_t now_ns = GY_NS_PER_S;
    (void)state;

    gy_goal_init(&goal, GOAL_NS, CEILING);
    requests(&goal, &now_ns, 100000, 1000);
    assert_int_equal(goal.lowered_count, 0);
    requests(&goal, &now_ns, 100000, 300);
    assert_true(goal.lowered_count > 10);
}

/* Goal:   a queue that stood still makes hundreds late at once: that is one reason to lower it. */
static void
goal_counts_a_stall_once(void **state)
{
    struct gy_goal goal;
    (void)state;

    gy_goal_init(&goal, GOAL_NS, CEILING);
    for (uint32_t i = 0; i < 500; i++) {
        gy_goal_work(&goal, true);
        gy_goal_note(&goal, 10 * GY_NS_PER_S + i, 100 * GOAL_NS);
    }
    assert_in_range(goal.lowered_count, 1, 2);
    assert_true(goal.pace >= CEILING / 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goal_of_nothing_changes_nothing),
        cmocka_unit_test(goal_lowers_and_raises_between_its_bounds),
        cmocka_unit_test(goal_judges_only_what_is_tried),
        cmocka_unit_test(goal_tries_ever_more_seldom),
        cmocka_unit_test(goal_allows_one_in_a_thousand),
        cmocka_unit_test(goal_counts_a_stall_once),
    };

    return cmocka_run_group_tests_name("goal", tests, NULL, NULL);
}
