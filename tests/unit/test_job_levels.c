/* test_job_levels.c - what lies around a compaction, against a look at every table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/lsm/job_run.h"
#include "io/base/rng.h"
#include "tests/support/table_kit.h"

#define KEYS 200u
#define TABLE_SIZE 1000u

static struct table_kit kit;

static struct gy_version *
random_version(struct gy_rng *rng)
{
    struct gy_version *version = gy_version_make_empty(&kit.loop.heap);

    for (uint32_t level = 1; level < GY_LEVEL_COUNT; level++) {
        uint32_t at = (uint32_t)gy_rng_below(rng, 20);

        while (gy_rng_below(rng, 8) > 0 && at < KEYS) {
            const uint32_t end = at + (uint32_t)gy_rng_below(rng, 15);
            struct gy_table *table = table_kit_make(&kit, level, at, end, TABLE_SIZE);

            version = table_kit_add(version, &table, 1);
            at = end + 1 + (uint32_t)gy_rng_below(rng, 30);
        }
    }
    for (uint64_t n = gy_rng_below(rng, 6); n > 0; n--) {
        const uint32_t at = (uint32_t)gy_rng_below(rng, KEYS);
        struct gy_table *table =
            table_kit_make(&kit, 0, at, at + (uint32_t)gy_rng_below(rng, 100), TABLE_SIZE);

        version = table_kit_add(version, &table, 1);
    }
    return version;
}

/* A random run of neighbours. */
static void
choose_inputs(struct gy_rng *rng, const struct gy_level *level, struct gy_table *const **inputs,
              uint32_t *count)
{
    const uint32_t first = level->count == 0 ? 0 : (uint32_t)gy_rng_below(rng, level->count);

    *inputs = level->count == 0 ? NULL : level->tables + first;
    *count = level->count == 0 ? 0 : 1 + (uint32_t)gy_rng_below(rng, level->count - first);
}

/* Does anything that is older than the job's entries, and outside the job, hold the key? */
static bool
is_alone_by_looking(const struct gy_version *version, const struct gy_compact_job *job,
                    struct gyre_slice key)
{
    for (uint32_t level = job->level; level < GY_LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < version->levels[level].count; i++) {
            struct gy_table *table = version->levels[level].tables[i];
            bool is_mine = false;

            for (uint32_t side = 0; side < 2; side++) {
                for (uint32_t j = 0; j < job->input_count[side]; j++) {
                    is_mine = is_mine || job->inputs[side][j] == table;
                }
            }
            /* In level 0 only what is older than every input of the job counts. */
            if (level == 0 && table->meta.number > job->inputs[0][0]->meta.number) {
                continue;
            }
            if (!is_mine && gy_key_compare(table->meta.smallest, key) <= 0 &&
                gy_key_compare(key, table->meta.largest) <= 0) {
                return false;
            }
        }
    }
    return true;
}

/* Goal:   a key is called alone exactly when no table that could hold something older of it lies
 *         outside the job.
 * Method: random trees and jobs, also such as no pick would give; all keys in ascending order,
 *         some twice or not. */
static void
job_levels_know_what_is_alone(void **state)
{
    struct gy_rng rng;
    uint32_t alone = 0;
    uint32_t kept = 0;
    (void)state;

    table_kit_init(&kit);
    gy_rng_init(&rng, 5);
    for (uint32_t round = 0; round < 2000; round++) {
        struct gy_version *version = random_version(&rng);
        struct gy_compact_job job = {.level = (uint32_t)gy_rng_below(&rng, GY_LEVEL_COUNT - 1)};
        struct gy_job_levels levels;
        bool is_last = true;

        job.level_output =
            job.level + 1 + (uint32_t)gy_rng_below(&rng, GY_LEVEL_COUNT - 1 - job.level);
        choose_inputs(&rng, &version->levels[job.level], &job.inputs[0], &job.input_count[0]);
        choose_inputs(&rng, &version->levels[job.level_output], &job.inputs[1],
                      &job.input_count[1]);
        if (job.input_count[0] > 0) {
            gy_job_levels_init(&levels, version, &job);
            for (uint32_t level = job.level_output + 1; level < GY_LEVEL_COUNT; level++) {
                is_last = is_last && version->levels[level].count == 0;
            }
            assert_int_equal(levels.output_is_last, is_last);
            for (uint32_t number = 0; number < KEYS + 50;
                 number += (uint32_t)gy_rng_below(&rng, 4)) {
                const struct gyre_slice key = table_kit_key(number);
                const bool is_alone = is_alone_by_looking(version, &job, key);

                assert_int_equal(gy_job_levels_is_alone(&levels, key), is_alone);
                alone += is_alone ? 1 : 0;
                kept += is_alone ? 0 : 1;
            }
        }
        gy_version_unref(version);
    }
    assert_true(alone > 1000 && kept > 1000);
    table_kit_fini(&kit);
}

/* Goal:   a flush takes nothing for alone and ends no output early: it knows nothing of what
 *         lies below. */
static void
job_levels_of_a_flush_know_nothing(void **state)
{
    struct gy_job_levels levels;
    (void)state;

    gy_job_levels_init(&levels, NULL, NULL);
    assert_false(levels.output_is_last);
    assert_false(gy_job_levels_is_alone(&levels, gyre_str("a")));
    assert_false(gy_job_levels_ends_output(&levels, gyre_str("b"), true, 1 << 30, TABLE_SIZE));
}

/* Goal:   an output ends when it lies across GY_COMPACT_SPAN_MAX tables of the level below, or
 *         is nearly full where one of them ends; not before, and never where it has not begun.
 * Method: tables side by side, keys one by one. */
static void
job_levels_end_outputs_by_what_lies_below(void **state)
{
    struct gy_table *tables[60];
    struct gy_version *version;
    struct gy_compact_job job = {.level = 4, .level_output = 5};
    struct gy_job_levels levels;
    uint32_t ended_at = 0;
    (void)state;

    table_kit_init(&kit);
    for (uint32_t i = 0; i < 60; i++) {
        tables[i] = table_kit_make(&kit, 6, 10 * i, 10 * i + 9, TABLE_SIZE);
    }
    version = table_kit_add(gy_version_make_empty(&kit.loop.heap), tables, 60);
    gy_job_levels_init(&levels, version, &job);
    for (uint32_t number = 0; number < 200; number++) { /* nothing has begun */
        assert_false(
            gy_job_levels_ends_output(&levels, table_kit_key(number), false, 0, TABLE_SIZE));
    }
    for (uint32_t number = 200; ended_at == 0 && number < 600; number++) {
        if (gy_job_levels_ends_output(&levels, table_kit_key(number), true, 100, TABLE_SIZE)) {
            ended_at = number;
        }
    }
    /* It began before 200, so in the table 190..199; with one more than the limit passed it
     * ends. */
    assert_int_equal(ended_at, 190 + 10 * (GY_COMPACT_SPAN_MAX + 1));
    levels.below_bytes = 0;
    assert_false(
        gy_job_levels_ends_output(&levels, table_kit_key(ended_at + 9), true, 900, TABLE_SIZE));
    assert_false(
        gy_job_levels_ends_output(&levels, table_kit_key(ended_at + 10), true, 700, TABLE_SIZE));
    assert_true(
        gy_job_levels_ends_output(&levels, table_kit_key(ended_at + 20), true, 750, TABLE_SIZE));
    gy_version_unref(version);
    table_kit_fini(&kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(job_levels_know_what_is_alone),
        cmocka_unit_test(job_levels_of_a_flush_know_nothing),
        cmocka_unit_test(job_levels_end_outputs_by_what_lies_below),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
