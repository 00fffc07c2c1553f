/* test_filter.c - Bloom filters: never a false negative, few false positives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/codec/filter.h"
#include "io/base/rng.h"

struct built {
    uint8_t *bytes;
    uint32_t size;
    uint32_t probes;
};

static uint64_t
hash_of(uint64_t number)
{
    char key[32];
    const int size = snprintf(key, sizeof(key), "user%llu", (unsigned long long)number);

    return gy_filter_hash(gyre_slice(key, (size_t)size));
}

static struct built
build(uint64_t first, uint64_t count, uint32_t bits)
{
    struct built built = {.size = gy_filter_size(count, bits), .probes = gy_filter_probes(bits)};
    uint64_t *hashes = malloc((count + 1) * sizeof(hashes[0]));

    assert_non_null(hashes);
    for (uint64_t i = 0; i < count; i++) {
        hashes[i] = hash_of(first + i);
    }
    built.bytes = calloc(1, built.size + 1u);
    assert_non_null(built.bytes);
    gy_filter_build(built.bytes, built.size, built.probes, hashes, count);
    free(hashes);
    return built;
}

/* Goal:   a key that was put in is never denied.
 * Method: all key counts from 0 to 300 and some thousands, at 1 to 24 bits per key. */
static void
filter_never_denies_a_key_that_is_there(void **state)
{
    static const uint64_t counts[] = {1, 2, 50, 51, 52, 300, 1000, 8000};
    (void)state;

    for (uint32_t bits = 1; bits <= 24; bits++) {
        for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
            struct built built = build(bits * 100000, counts[c], bits);

            assert_int_equal(built.size % GY_FILTER_LINE, 0);
            assert_true((uint64_t)built.size * 8 >= counts[c] * bits);
            assert_in_range(built.probes, 1, GY_FILTER_PROBES_MAX);
            for (uint64_t i = 0; i < counts[c]; i++) {
                assert_true(gy_filter_may_contain(built.bytes, built.size, built.probes,
                                                  hash_of(bits * 100000 + i)));
            }
            free(built.bytes);
        }
    }
}

/* Goal:   10 bits per key let less than 1.5 % of absent keys pass, also in small filters; more bits
 * let fewer. Method: 200000 absent keys against filters of 300 and 8000 keys. */
static void
filter_lets_few_absent_keys_pass(void **state)
{
    static const struct {
        uint64_t count;
        uint32_t bits;
        uint32_t per_mille_max;
    } cases[] = {{300, 10, 20},  {2000, 10, 15}, {8000, 10, 15},
                 {8000, 5, 130}, {8000, 16, 3},  {8000, 20, 2}};
    (void)state;

    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        struct built built = build(0, cases[c].count, cases[c].bits);
        const uint64_t probes = 200000;
        uint64_t passed = 0;

        for (uint64_t i = 0; i < probes; i++) {
            passed +=
                gy_filter_may_contain(built.bytes, built.size, built.probes, hash_of(1000000 + i));
        }
        if (getenv("GYRE_VERBOSE") != NULL) {
            print_message("%llu keys, %u bits, %u probes: %.3f %%\n",
                          (unsigned long long)cases[c].count, cases[c].bits, built.probes,
                          (double)passed * 100 / (double)probes);
        }
        assert_true(passed * 1000 <= probes * cases[c].per_mille_max);
        free(built.bytes);
    }
}

/* Goal:   no filter means maybe. */
static void
filter_says_maybe_when_empty(void **state)
{
    (void)state;

    assert_int_equal(gy_filter_size(0, 10), 0);
    assert_true(gy_filter_may_contain(NULL, 0, 1, 12345));
}

/* Goal:   the bits of format version 1 do not change: a filter written today must answer for ever.
 * Method: a fingerprint of the bytes of one filter. */
static void
filter_bits_are_those_of_version_1(void **state)
{
    struct built built = build(0, 1000, 10);
    uint64_t sum = 0;
    (void)state;

    for (uint32_t i = 0; i < built.size; i++) {
        sum = (sum ^ built.bytes[i]) * 0x100000001b3ull;
    }
    assert_int_equal(built.size, 1280);
    assert_int_equal(built.probes, 6);
    assert_true(sum == 0xd052a592f70d9ef5ull);
    free(built.bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filter_never_denies_a_key_that_is_there),
        cmocka_unit_test(filter_lets_few_absent_keys_pass),
        cmocka_unit_test(filter_says_maybe_when_empty),
        cmocka_unit_test(filter_bits_are_those_of_version_1),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
