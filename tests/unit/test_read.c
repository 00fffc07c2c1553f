/* test_read.c - gets into the caller's memory. Pinned gets are in test_db_basic.c, many at once in
 * test_db_multi_get.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

#define VALUE_SIZE 100u
#define UNTOUCHED 0xee

/* Goal:   get_copy gives the whole size whatever the room, copies what fits, touches nothing else;
 *         where there is no value neither memory nor size change.
 * Method: every capacity around the size, from the memtable and from a table. */
static void
read_copies_what_fits_and_tells_the_size(void **state)
{
    static const size_t capacities[] = {0, 1, VALUE_SIZE - 1, VALUE_SIZE, VALUE_SIZE + 1, 200};
    struct db_kit *kit = *state;
    uint8_t value[VALUE_SIZE];
    uint8_t buffer[256];

    memset(value, 7, sizeof(value));
    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("key"), gyre_slice(value, sizeof(value))));
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
            const size_t capacity = capacities[i];
            const size_t fits = capacity < VALUE_SIZE ? capacity : VALUE_SIZE;
            size_t size = 12345;

            memset(buffer, UNTOUCHED, sizeof(buffer));
            KIT_OK(kit, gyre_get_copy(kit->db, NULL, gyre_str("key"), buffer, capacity, &size));
            assert_int_equal(size, VALUE_SIZE);
            assert_memory_equal(buffer, value, fits);
            for (size_t k = fits; k < sizeof(buffer); k++) {
                assert_int_equal(buffer[k], UNTOUCHED);
            }
            KIT_IS(kit, gyre_get_copy(kit->db, NULL, gyre_str("none"), buffer, capacity, &size),
                   GYRE_NOT_FOUND);
            assert_int_equal(size, VALUE_SIZE);
        }
        KIT_OK(kit, gyre_flush(kit->db));
    }
    size_t size = 1;
    KIT_OK(kit, gyre_get_copy(kit->db, NULL, gyre_str("key"), NULL, 0, &size)); /* only its size */
    assert_int_equal(size, VALUE_SIZE);
    KIT_IS(kit, gyre_get_copy(kit->db, NULL, gyre_str(""), buffer, 1, &size), GYRE_INVALID);
}

static int
setup(void **state)
{
    *state = db_kit_make(GYRE_IO_AUTO);
    return 0;
}

static int
teardown(void **state)
{
    db_kit_free(*state);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(read_copies_what_fits_and_tells_the_size, setup, teardown),
    };

    return cmocka_run_group_tests_name("read", tests, NULL, NULL);
}
