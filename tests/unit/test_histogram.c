/* test_histogram.c - the library's histogram of durations: its buckets, its error bound, its
 * edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "io/base/histogram.h"
#include "io/base/rng.h"

static struct gy_histogram histogram;

static int
clear(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof(histogram));
    return 0;
}

/* Goal:   buckets cover all values without gap or overlap, each an eighth of its values wide.
 * Method: the first value of each bucket and the one before it, over all buckets. */
static void
histogram_buckets_follow_each_other(void **state)
{
    (void)state;
    assert_int_equal(gy_histogram_floor(0), 0);
    for (uint32_t i = 1; i < GY_HISTOGRAM_BUCKETS; i++) {
        const uint64_t first = gy_histogram_floor(i);

        assert_int_equal(gy_histogram_bucket(first), i);
        assert_int_equal(gy_histogram_bucket(first - 1), i - 1);
        assert_true(first <= 8 || (first - gy_histogram_floor(i - 1)) * 8 <= first);
    }
    assert_int_equal(gy_histogram_floor(GY_HISTOGRAM_BUCKETS - 1), 1ull << 40);
    assert_int_equal(gy_histogram_bucket(UINT64_MAX), GY_HISTOGRAM_BUCKETS - 1);
}

/* Goal:   a quantile is at most 6.3 % off, for values of every magnitude. */
static void
histogram_quantile_is_close(void **state)
{
    (void)state;
    for (uint64_t value = 1; value < 1ull << 40; value = value * 5 / 4 + 1) {
        uint64_t quantile;

        memset(&histogram, 0, sizeof(histogram));
        gy_histogram_add(&histogram, value, 1);
        gy_histogram_add(&histogram, value * 100, 1); /* so that the greatest is no bound */
        quantile = gy_histogram_quantile(&histogram, 500000);
        assert_true(quantile <= value + value / 16 + 1 && quantile + value / 16 + 1 >= value);
        assert_true(gy_histogram_quantile(&histogram, 1000000) <= value * 100);
    }
}

/* Goal:   quantiles are those of the sorted values. */
static void
histogram_quantiles_are_ranks(void **state)
{
    static const uint32_t asked[] = {0, 1, 500000, 900000, 990000, 999900, 1000000};

    (void)state;
    for (uint64_t i = 1; i <= 100000; i++) {
        gy_histogram_add(&histogram, i, 1);
    }
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        const uint64_t exact = (100000ull * asked[i] + 999999) / 1000000;
        const uint64_t found = gy_histogram_quantile(&histogram, asked[i]);

        assert_true(found <= exact + exact / 8 + 1 && found + exact / 8 + 1 >= exact);
    }
    assert_int_equal(gy_histogram_quantile(&histogram, 1000000), 100000); /* not its middle */
    assert_int_equal(histogram.greatest, 100000);
    assert_int_equal(histogram.sum, 100000ull * 100001 / 2);
}

/* Goal:   a weight is as many values. */
static void
histogram_weighs(void **state)
{
    (void)state;
    gy_histogram_add(&histogram, 100, 16);
    gy_histogram_add(&histogram, 5000, 1);
    assert_int_equal(histogram.count, 17);
    assert_int_equal(histogram.sum, 6600);
    assert_true(gy_histogram_quantile(&histogram, 900000) < 110);
    assert_int_equal(histogram.greatest, 5000);
}

/* Goal:   how many are below a power of two is exact, the last bucket is above all of them. */
static void
histogram_counts_below_powers_of_two(void **state)
{
    struct gy_rng rng;
    uint64_t below[41] = {0};

    (void)state;
    gy_rng_init(&rng, 7);
    for (uint32_t i = 0; i < 20000; i++) {
        const uint64_t value = gy_rng_next(&rng) >> (i % 64);

        gy_histogram_add(&histogram, value, 1);
        for (uint32_t bits = 0; bits <= 40; bits++) {
            below[bits] += value < 1ull << bits;
        }
    }
    for (uint32_t bits = 0; bits <= 40; bits++) {
        assert_int_equal(gy_histogram_count_below(&histogram, bits), below[bits]);
    }
}

/* Goal:   nothing in it: zeros. */
static void
histogram_may_be_empty(void **state)
{
    (void)state;
    assert_int_equal(gy_histogram_quantile(&histogram, 500000), 0);
    assert_int_equal(gy_histogram_quantile(&histogram, 1000000), 0);
    assert_int_equal(gy_histogram_count_below(&histogram, 40), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(histogram_buckets_follow_each_other, clear),
        cmocka_unit_test_setup(histogram_quantile_is_close, clear),
        cmocka_unit_test_setup(histogram_quantiles_are_ranks, clear),
        cmocka_unit_test_setup(histogram_weighs, clear),
        cmocka_unit_test_setup(histogram_counts_below_powers_of_two, clear),
        cmocka_unit_test_setup(histogram_may_be_empty, clear),
    };

    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
