/* test_bench_histogram.c - the latency histogram of gyre-bench: its error bound, its edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bench/gyre_bench/histogram.h"

#define SAMPLE_COUNT 20001u

static struct histogram histogram;
static uint64_t samples[SAMPLE_COUNT];

static uint64_t
next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static int
compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static uint64_t
distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* Goal:   no bucket's middle is more than 1 % away from a value that it stands for, buckets never
 *         go down, none lies outside the array.
 * Method: the values around each power of two and around each bucket border near it. */
static void
bench_histogram_error_stays_below_one_percent_for_every_magnitude(void **state)
{
    uint32_t last = 0;

    (void)state;
    for (uint32_t power = 0; power < 64; power++) {
        for (uint64_t part = 0; part < 1024; part++) {
            const uint64_t base = 1ull << power;
            const uint64_t value = base + (power >= 10 ? (base >> 10) * part : part % base);
            const uint32_t bucket = histogram_bucket(value);
            const uint64_t middle = histogram_bucket_middle(bucket);

            assert_in_range(bucket, power >= 10 ? last : 0, HISTOGRAM_BUCKET_COUNT - 1);
            assert_in_range(distance(middle, value), 0, value / 100);
            assert_int_equal(histogram_bucket(middle), bucket);
            last = bucket;
        }
    }
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKET_COUNT - 1);
    assert_int_equal(histogram_bucket(0), 0);
}

/* Goal:   quantiles are those of the sorted values, within 1 %.
 * Method: 20001 values over nine decades against qsort. */
static void
bench_histogram_quantiles_match_the_sorted_values(void **state)
{
    static const double fractions[] = {0.0, 0.001, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0};
    uint64_t seed = 7;
    double sum = 0;

    (void)state;
    histogram_clear(&histogram);
    for (uint32_t i = 0; i < SAMPLE_COUNT; i++) {
        samples[i] = next_random(&seed) >> (20 + next_random(&seed) % 30);
        sum += (double)samples[i];
        histogram_add(&histogram, samples[i]);
    }
    qsort(samples, SAMPLE_COUNT, sizeof(samples[0]), compare);
    for (size_t i = 0; i < sizeof(fractions) / sizeof(fractions[0]); i++) {
        const double position = fractions[i] * SAMPLE_COUNT;
        uint32_t rank = (uint32_t)position;
        uint64_t exact;

        if ((double)rank < position) {
            rank++;
        }
        exact = samples[rank > 0 ? rank - 1 : 0];
        assert_in_range(distance(histogram_quantile(&histogram, fractions[i]), exact), 0,
                        exact / 100);
    }
    assert_int_equal(histogram.least, samples[0]);
    assert_int_equal(histogram.greatest, samples[SAMPLE_COUNT - 1]);
    assert_int_equal(histogram.count, SAMPLE_COUNT);
    assert_true(histogram_mean(&histogram) > 0.999 * sum / SAMPLE_COUNT);
    assert_true(histogram_mean(&histogram) < 1.001 * sum / SAMPLE_COUNT);
}

/* Goal:   one slow call among many is the maximum, not lost in a bucket; and it is not p99.
 * Method: 999 equal values and one that is far greater. */
static void
bench_histogram_keeps_a_single_outlier_when_all_else_is_equal(void **state)
{
    (void)state;
    histogram_clear(&histogram);
    for (uint32_t i = 0; i < 999; i++) {
        histogram_add(&histogram, 1000001);
    }
    histogram_add(&histogram, 77777777);
    assert_int_equal(histogram_quantile(&histogram, 1.0), 77777777);
    assert_int_equal(histogram_quantile(&histogram, 0.9999), 77777777);
    assert_in_range(histogram_quantile(&histogram, 0.99), 1000001, 1010001);
    assert_in_range(histogram_quantile(&histogram, 0.0), 1000001, 1010001);
}

/* Goal:   an empty histogram answers zeros; adding an empty one changes nothing; adding two halves
 *         gives what one histogram of everything gives.
 * Method: as said. */
static void
bench_histogram_merge_equals_adding_everything_to_one(void **state)
{
    struct histogram *parts = calloc(2, sizeof(*parts));
    uint64_t seed = 9;

    (void)state;
    assert_non_null(parts);
    histogram_clear(&histogram);
    histogram_clear(&parts[0]);
    histogram_clear(&parts[1]);
    assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
    assert_true(histogram_mean(&histogram) < 0.5);
    for (uint32_t i = 0; i < 5000; i++) {
        const uint64_t value = next_random(&seed) >> 30;

        histogram_add(&histogram, value);
        histogram_add(&parts[i % 2], value);
    }
    histogram_merge(&parts[0], &parts[1]);
    assert_memory_equal(&parts[0], &histogram, sizeof(histogram));
    histogram_clear(&parts[1]);
    histogram_merge(&parts[0], &parts[1]);
    assert_memory_equal(&parts[0], &histogram, sizeof(histogram));
    free(parts);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bench_histogram_error_stays_below_one_percent_for_every_magnitude),
        cmocka_unit_test(bench_histogram_quantiles_match_the_sorted_values),
        cmocka_unit_test(bench_histogram_keeps_a_single_outlier_when_all_else_is_equal),
        cmocka_unit_test(bench_histogram_merge_equals_adding_everything_to_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
