/* test_bench_distribution.c - which keys gyre-bench touches and how large values are: YCSB's
 * constants, shares of operations, and texts that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zstd.h>

#include "bench/gyre_bench/distribution.h"
#include "bench/gyre_bench/keys.h"
#include "bench/gyre_bench/numbers.h"
#include "bench/gyre_bench/sizes.h"

static double
off(double a, double b)
{
    return a > b ? a - b : b - a;
}

/* Goal:   zipfian is YCSB's: its constants, its hash.
 * Method: ScrambledZipfianGenerator has ZETAN for 10^10 items as a constant; zeta of few items is
 *         added up here; the hash of 0 is FNV-1a of eight zero bytes, done here by its definition.
 *         */
static void
bench_zipfian_has_the_constants_of_ycsb(void **state)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    (void)state;

    assert_true(ZIPFIAN_THETA == 0.99);
    assert_true(SCRAMBLED_ITEMS == 10000000000u);
    assert_true(off(zipfian_zeta(SCRAMBLED_ITEMS, 0.99), 26.46902820178302) < 1e-6);
    assert_true(off(zipfian_zeta(2, 0.99), 1.5034777750283594) < 1e-12);
    for (int i = 0; i < 8; i++) {
        hash *= 1099511628211ull;
    }
    hash = hash >> 63 != 0 ? 0 - hash : hash;
    assert_true(fnv_hash64(0) == hash);
    assert_true(fnv_hash64(0) != fnv_hash64(1));
}

/* Goal:   ranks have the shares that zipf's law gives them.
 * Method: the most popular has 1/zeta, the second 2^-theta of that; of a million draws. */
static void
bench_zipfian_ranks_have_their_shares(void **state)
{
    enum { DRAWS = 1000000 };
    struct zipfian zipfian;
    uint64_t random = 1;
    double first = 0;
    double second = 0;
    double top = 0;
    (void)state;

    zipfian_init(&zipfian, 10000, 0.99);
    for (int i = 0; i < DRAWS; i++) {
        const uint64_t rank = zipfian_rank(&zipfian, random_unit(&random));

        assert_true(rank < 10000);
        first += rank == 0;
        second += rank == 1;
        top += rank < 100;
    }
    assert_true(off(first / DRAWS, 1 / zipfian_zeta(10000, 0.99)) < 0.002);
    assert_true(off(second / first, zipfian.half_power) < 0.02);
    /* The closed form is an approximation past the first two. */
    assert_true(off(top / DRAWS, zipfian_zeta(100, 0.99) / zipfian_zeta(10000, 0.99)) < 0.02);
    assert_true(zipfian_rank(&zipfian, 0.0) == 0);
    assert_true(zipfian_rank(&zipfian, 1 - 0x1p-53) < 10000);
}

static void
counts(const char *text, uint64_t n, uint32_t *ret_counts)
{
    struct distribution_choice choice;
    struct distribution distribution;
    uint64_t random = 7;

    assert_true(distribution_parse(text, &choice));
    distribution_init(&distribution, &choice, n);
    memset(ret_counts, 0, n * sizeof(ret_counts[0]));
    for (uint64_t i = 0; i < 100000; i++) {
        const uint64_t number = distribution_draw(&distribution, n, i, &random);

        assert_true(number < n);
        ret_counts[number]++;
    }
}

/* Goal:   each distribution favours what it says.
 * Method: 100,000 draws of 100 things. */
static void
bench_distributions_favour_what_they_say(void **state)
{
    uint32_t seen[100];
    uint32_t hot = 0;
    uint32_t most = 0;
    (void)state;

    counts("uniform", 100, seen);
    for (int i = 0; i < 100; i++) {
        assert_in_range(seen[i], 850, 1150);
    }
    counts("sequential", 100, seen);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(seen[i], 1000);
    }
    counts("hotspot:20:80", 100, seen);
    for (int i = 0; i < 20; i++) {
        hot += seen[i];
    }
    assert_in_range(hot, 79000, 81000);
    counts("latest", 100, seen);
    for (int i = 0; i < 99; i++) {
        assert_true(seen[i] < seen[99]);
    }
    assert_in_range(seen[99], 17000, 21500); /* 1 / zeta(100) = 0.193 */
    counts("zipfian", 100, seen);
    for (int i = 0; i < 100; i++) {
        most = seen[i] > most ? seen[i] : most;
    }
    /* One thing has the rank 0 of 10^10, with 1/26.469 of all; the many others spread over all. */
    assert_in_range(most, 3700, 6000);
    assert_true(seen[fnv_hash64(0) % 100] == most);
}

/* Goal:   sizes keep to their range and their shares, and are the same for the same key. */
static void
bench_sizes_are_those_asked_for(void **state)
{
    struct sizes sizes;
    uint32_t small = 0;
    (void)state;

    assert_true(sizes_parse("1k", &sizes));
    assert_int_equal(sizes_of(&sizes, 5), 1024);
    assert_true(sizes_parse("100-4k", &sizes));
    assert_true(off(sizes_mean(&sizes), 2098) < 0.01);
    assert_int_equal(sizes_max(&sizes), 4096);
    for (uint64_t i = 0; i < 10000; i++) {
        assert_in_range(sizes_of(&sizes, i), 100, 4096);
        assert_int_equal(sizes_of(&sizes, i), sizes_of(&sizes, i));
    }
    assert_true(sizes_parse("100/50:400-1k/40:16k/10", &sizes));
    assert_true(off(sizes_mean(&sizes), 50 + 0.4 * 712 + 1638.4) < 0.01);
    for (uint64_t i = 0; i < 10000; i++) {
        small += sizes_of(&sizes, i) == 100;
    }
    assert_in_range(small, 4800, 5200);
}

/* Goal:   what is not understood is refused. */
static void
bench_texts_that_make_no_sense_are_refused(void **state)
{
    static const char *const bad_sizes[] = {"", "x", "10-5", "100/50", "100/60:200/60", "1g", "-5"};
    static const char *const bad_choices[] = {"",        "zipfian:1.5",    "zipfian:x",
                                              "hotspot", "hotspot:20:200", "gauss"};
    static const char *const bad_counts[] = {"",      "-1", "1x", "1kk", "99999999999999999999",
                                             "16384p"};
    static const char *const bad_times[] = {"", "-1", "1 s", "ten", "1e9h"};
    struct sizes sizes;
    struct distribution_choice choice;
    uint64_t number = 0;
    (void)state;

    for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(bad_sizes[0]); i++) {
        assert_false(sizes_parse(bad_sizes[i], &sizes));
    }
    for (size_t i = 0; i < sizeof(bad_choices) / sizeof(bad_choices[0]); i++) {
        assert_false(distribution_parse(bad_choices[i], &choice));
    }
    for (size_t i = 0; i < sizeof(bad_counts) / sizeof(bad_counts[0]); i++) {
        assert_false(number_parse_count(bad_counts[i], &number));
    }
    for (size_t i = 0; i < sizeof(bad_times) / sizeof(bad_times[0]); i++) {
        assert_false(number_parse_time(bad_times[i], &number));
    }
    assert_true(number_parse_count("4KiB", &number) && number == 4096);
    assert_true(number_parse_time("1.5m", &number) && number == 90000000000u);
    assert_true(number_parse_time("250us", &number) && number == 250000);
}

/* Goal:   the number of a key can be had from its bytes, ordered and hashed; order is kept or not.
 * */
static void
bench_keys_give_back_their_number(void **state)
{
    struct key_form form = {.size = 16};
    uint8_t a[16];
    uint8_t b[16];
    uint32_t descents = 0;
    (void)state;

    for (int hashed = 0; hashed < 2; hashed++) {
        form.is_hashed = hashed != 0;
        key_init(a, sizeof(a));
        key_init(b, sizeof(b));
        for (uint64_t number = 0; number < 2000; number++) {
            key_set(&form, a, number);
            assert_true(key_number(&form, gyre_slice(a, sizeof(a))) == number);
            key_set(&form, b, number + 1);
            descents += memcmp(a, b, sizeof(a)) > 0;
        }
        assert_in_range(descents, hashed * 800, hashed * 1200);
    }
}

struct pair {
    uint8_t key[16];
    uint8_t value[1024];
};

static int
compare_pairs(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(((const struct pair *)a)->key));
}

/* Goal:   values compress to what was asked for where they lie side by side, as in a table, whether
 *         keys are ordered or hashed: none may be like its neighbour's.
 * Method: 20,000 pairs in the order of their keys, their values compressed in pieces of 16 KiB. */
static void
bench_values_compress_as_asked_beside_their_neighbours(void **state)
{
    enum { COUNT = 20000, PER_PIECE = 16 };
    struct pair *pairs = calloc(COUNT, sizeof(pairs[0]));
    struct values values;
    (void)state;

    assert_non_null(pairs);
    assert_true(values_init(&values, sizeof(pairs[0].value), 0.5));
    for (int hashed = 0; hashed < 2; hashed++) {
        const struct key_form form = {.size = sizeof(pairs[0].key), .is_hashed = hashed != 0};
        struct gyre_slice value;
        double compressed = 0;

        for (uint64_t i = 0; i < COUNT; i++) {
            key_init(pairs[i].key, sizeof(pairs[i].key));
            key_set(&form, pairs[i].key, 2 * i);
            memcpy(pairs[i].value, value_of(&values, 2 * i), sizeof(pairs[i].value));
            value = gyre_slice(pairs[i].value, sizeof(pairs[i].value));
            assert_true(value_is_of(&values, value, 2 * i));
            assert_false(value_is_of(&values, value, 2 * i + 2));
        }
        qsort(pairs, COUNT, sizeof(pairs[0]), compare_pairs);
        for (uint64_t i = 0; i < COUNT; i += PER_PIECE) {
            uint8_t piece[PER_PIECE * sizeof(pairs[0].value)];
            uint8_t packed[2 * sizeof(piece)];

            for (uint64_t k = 0; k < PER_PIECE; k++) {
                memcpy(piece + k * sizeof(pairs[0].value), pairs[i + k].value,
                       sizeof(pairs[0].value));
            }
            compressed += (double)ZSTD_compress(packed, sizeof(packed), piece, sizeof(piece), 1);
        }
        compressed /= (double)COUNT * sizeof(pairs[0].value);
        assert_true(compressed > 0.45 && compressed < 0.62);
    }
    values_free(&values);
    free(pairs);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bench_zipfian_has_the_constants_of_ycsb),
        cmocka_unit_test(bench_zipfian_ranks_have_their_shares),
        cmocka_unit_test(bench_distributions_favour_what_they_say),
        cmocka_unit_test(bench_sizes_are_those_asked_for),
        cmocka_unit_test(bench_texts_that_make_no_sense_are_refused),
        cmocka_unit_test(bench_keys_give_back_their_number),
        cmocka_unit_test(bench_values_compress_as_asked_beside_their_neighbours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
