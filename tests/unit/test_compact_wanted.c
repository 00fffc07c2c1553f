/* test_compact_wanted.c - the pick for ranges whose tombstones readers met: what it takes, what it
 * leaves alone, and that it comes to an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/lsm/compact_pick.h"
#include "tests/support/table_kit.h"

#define TABLE_SIZE 1000u
#define COUNT 10u /* tables in each level */

static struct table_kit kit;
static const struct gy_compact_options options = {.level0_tables = 4,
                                                  .level_ratio = 10,
                                                  .base_bytes_min = 100 * TABLE_SIZE,
                                                  .table_size = TABLE_SIZE,
                                                  .job_bytes_max = 25 * TABLE_SIZE};

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
    table_kit_fini(&kit);
    return 0;
}

/* Table i has the keys [i * 100, i * 100 + 99]. */
static struct gy_version *
fill_level(struct gy_version *version, uint32_t level, uint64_t delete_count)
{
    struct gy_table *tables[COUNT];

    for (uint32_t i = 0; i < COUNT; i++) {
        tables[i] = table_kit_make(&kit, level, i * 100, i * 100 + 99, TABLE_SIZE);
        tables[i]->meta.entry_count = 100;
        tables[i]->meta.delete_count = delete_count;
    }
    return table_kit_add(version, tables, COUNT);
}

static struct gy_compact_wanted
wanted(uint32_t from, uint32_t to)
{
    return (struct gy_compact_wanted){.from = table_kit_key(from),
                                      .to = table_kit_key(to),
                                      .sequence = UINT64_MAX,
                                      .number_limit = UINT64_MAX};
}

/* Goal: only tables of the range that have tombstones as old as those that were met are taken. */
static void
compact_wanted_takes_tombstones_of_the_range_only(void **state)
{
    struct gy_version *version = gy_version_make_empty(&kit.loop.heap);
    struct gy_compact_wanted range;
    struct gy_compact_job job;
    (void)state;

    version = fill_level(version, GY_LEVEL_COUNT - 1, 0);
    version = fill_level(version, GY_LEVEL_COUNT - 2, 0);
    range = wanted(250, 450);
    assert_false(gy_compact_pick_wanted(version, &options, &range, &job));
    for (uint32_t i = 3; i < COUNT; i++) {
        version->levels[GY_LEVEL_COUNT - 2].tables[i]->meta.delete_count = 50;
    }
    assert_true(gy_compact_pick_wanted(version, &options, &range, &job));
    assert_int_equal(job.level, GY_LEVEL_COUNT - 2);
    assert_int_equal(job.level_output, GY_LEVEL_COUNT - 1);
    assert_int_equal(job.input_count[0], 2); /* 300.. and 400.. */
    assert_int_equal(table_kit_number(job.inputs[0][0]->meta.smallest), 300);
    assert_int_equal(job.input_count[1], 2);
    range.sequence = version->levels[GY_LEVEL_COUNT - 2].tables[3]->meta.sequence_min - 1;
    assert_false(gy_compact_pick_wanted(version, &options, &range, &job));
    gy_version_unref(version);
}

/* Goal: tables of the last level are rewritten in place, but not those made since. */
static void
compact_wanted_rewrites_the_bottom_once(void **state)
{
    struct gy_version *version = gy_version_make_empty(&kit.loop.heap);
    struct gy_compact_wanted range;
    struct gy_compact_job job;
    (void)state;

    version = fill_level(version, GY_LEVEL_COUNT - 1, 50);
    range = wanted(0, 150);
    range.number_limit = version->levels[GY_LEVEL_COUNT - 1].tables[1]->meta.number;
    assert_true(gy_compact_pick_wanted(version, &options, &range, &job));
    assert_int_equal(job.level, GY_LEVEL_COUNT - 1);
    assert_int_equal(job.level_output, GY_LEVEL_COUNT - 1);
    assert_int_equal(job.input_count[0], 1); /* the second one is at the limit */
    range.number_limit--;
    assert_false(gy_compact_pick_wanted(version, &options, &range, &job));
    gy_version_unref(version);
}

/* Goal: level 0 goes first: the table that has the tombstones with all that is older. */
static void
compact_wanted_takes_level0_with_what_is_older(void **state)
{
    struct gy_version *version = gy_version_make_empty(&kit.loop.heap);
    struct gy_compact_wanted range;
    struct gy_compact_job job;
    (void)state;

    version = fill_level(version, GY_LEVEL_COUNT - 1, 50);
    for (uint32_t i = 0; i < 3; i++) {
        struct gy_table *table = table_kit_make(&kit, 0, 0, 500, TABLE_SIZE);

        table->meta.delete_count = i == 1 ? 50 : 0;
        version = table_kit_add(version, &table, 1);
    }
    range = wanted(100, 200);
    assert_true(gy_compact_pick_wanted(version, &options, &range, &job));
    assert_int_equal(job.level, 0);
    assert_true(job.input_count[0] >= 2);
    assert_int_equal(job.inputs[0][job.input_count[0] - 2]->meta.delete_count, 50);
    for (uint32_t i = 0; i < COUNT; i++) {
        version->levels[GY_LEVEL_COUNT - 1].tables[i]->being_compacted = true;
    }
    assert_false(gy_compact_pick_wanted(version, &options, &range, &job)); /* D5 */
    gy_version_unref(version);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(compact_wanted_takes_tombstones_of_the_range_only, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(compact_wanted_rewrites_the_bottom_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compact_wanted_takes_level0_with_what_is_older, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("compact_wanted", tests, NULL, NULL);
}
