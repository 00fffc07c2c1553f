/* test_sort.c - io/base/sort.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/base/rng.h"
#include "io/base/sort.h"

/* Goal:   the result is ascending and holds the same numbers; exactly those are found.
 * Method: random arrays of small numbers, so that many are equal, checked by counting. */
static void
sort_orders_and_finds_every_number(void **state)
{
    struct gy_rng rng;
    uint64_t numbers[100];

    (void)state;
    gy_rng_init(&rng, 7);
    for (unsigned round = 0; round < 2000; round++) {
        const size_t count = (size_t)gy_rng_below(&rng, 101);
        unsigned seen[64] = {0};

        for (size_t i = 0; i < count; i++) {
            numbers[i] = gy_rng_below(&rng, 64);
            seen[numbers[i]]++;
        }
        gy_sort_u64(numbers, count);
        for (size_t i = 0; i < count; i++) {
            assert_true(i == 0 || numbers[i - 1] <= numbers[i]);
        }
        for (uint64_t n = 0; n < 64; n++) {
            unsigned found = 0;

            for (size_t i = 0; i < count; i++) {
                found += numbers[i] == n;
            }
            assert_int_equal(found, seen[n]);
            assert_int_equal(gy_sorted_has(numbers, count, n), seen[n] > 0);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sort_orders_and_finds_every_number)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
