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
    requests(&goal, &now_ns, 8000, 0);
    assert_true(goal.pace > before && goal.pace < CEILING);
    requests(&goal, &now_ns, 400000, 0);
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
        cmocka_unit_test(goal_allows_one_in_a_thousand),
        cmocka_unit_test(goal_counts_a_stall_once),
    };

    return cmocka_run_group_tests_name("goal", tests, NULL, NULL);
}
