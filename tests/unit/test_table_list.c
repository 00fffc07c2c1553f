/* test_table_list.c - the tables of a manifest while it is read: added, removed, found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/db/table_list.h"
#include "io/base/rng.h"
#include "tests/support/table_kit.h"

static struct table_kit kit;

static int
set_up(void **state)
{
    (void)state;
    table_kit_init(&kit);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    table_kit_fini(&kit); /* nothing is leaked */
    return 0;
}

static struct gy_table *
make(uint32_t level, uint64_t number)
{
    const struct gy_table_meta meta = {.level = level,
                                       .number = number,
                                       .smallest = table_kit_key(1),
                                       .largest = table_kit_key(2)};

    return gy_table_make(&kit.set, &meta);
}

/* Goal:   what was added and not removed is there, whatever the order; a number in two levels is
 *         two tables.
 * Method: random adds and removes of 300 numbers in 3 levels against an array of flags.
 */
static void
table_list_agrees_with_a_model(void **state)
{
    enum { NUMBERS = 300, LEVELS = 3 };
    static bool there[LEVELS][NUMBERS];
    struct gy_table_list list;
    struct gy_rng rng;
    uint32_t count = 0;
    (void)state;

    gy_rng_init(&rng, 3);
    gy_table_list_init(&list, &kit.loop.heap, 99);
    assert_false(gy_table_list_has(&list, 0, 0));
    assert_false(gy_table_list_remove(&list, 0, 0));
    for (uint32_t i = 0; i < 20000; i++) {
        const uint32_t level = (uint32_t)gy_rng_below(&rng, LEVELS);
        const uint32_t number = (uint32_t)gy_rng_below(&rng, NUMBERS);
        bool *is_there = &there[level][number];

        assert_true(gy_table_list_has(&list, level, number) == *is_there);
        if (gy_rng_below(&rng, 2) == 0) {
            assert_true(gy_table_list_remove(&list, level, number) == *is_there);
            count -= *is_there;
            *is_there = false;
        } else if (!*is_there) {
            assert_true(gy_table_list_add(&list, make(level, number)));
            count++;
            *is_there = true;
        }
        assert_int_equal(list.count, count);
    }
    for (uint32_t i = 0; i < list.count; i++) {
        assert_true(there[list.tables[i]->meta.level][list.tables[i]->meta.number]);
    }
    gy_table_list_fini(&list);
    gy_table_list_fini(&list);
}

/* Goal:   many tables, all removed from the first to the last, take no longer each than few do.
 * Method: 200,000; looking through the array would be twenty thousand million steps.
 */
static void
table_list_is_quick_with_many(void **state)
{
    enum { COUNT = 200000 };
    struct gy_table_list list;
    (void)state;

    gy_table_list_init(&list, &kit.loop.heap, 1);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(gy_table_list_add(&list, make(0, i)));
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(gy_table_list_remove(&list, 0, i));
    }
    assert_int_equal(list.count, 0);
    gy_table_list_fini(&list);
}

/* Goal:   without memory nothing is taken. */
static void
table_list_takes_nothing_without_memory(void **state)
{
    struct gy_table_list list;
    struct gy_table *table = make(0, 7);
    (void)state;

    for (uint64_t n = 1; n <= 2; n++) {
        gy_table_list_init(&list, &kit.loop.heap, 1);
        kit.loop.heap.fail_at = kit.loop.heap.allocation_count + n;
        assert_false(gy_table_list_add(&list, table));
        assert_int_equal(list.count, 0);
        kit.loop.heap.fail_at = 0;
        gy_table_list_fini(&list);
    }
    gy_table_unref(table);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(table_list_agrees_with_a_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(table_list_is_quick_with_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(table_list_takes_nothing_without_memory, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("table_list", tests, NULL, NULL);
}
