/* test_names.c - names of a store's files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/codec/limits.h"
#include "engine/disk/names.h"

/* Goal:   every name that we make is known as what it is, with its number.
 * Method: numbers around the widths of their fields. */
static void
names_parse_what_they_make(void **state)
{
    static const uint64_t numbers[] = {0,      1,       9,         999,
                                       999999, 1000000, 123456789, GY_FILE_NUMBER_MAX};
    char name[GY_NAME_MAX];
    uint64_t number;
    (void)state;

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        gy_name_table(name, numbers[i]);
        assert_int_equal(gy_name_parse(name, &number), GY_FILE_TABLE);
        assert_true(number == numbers[i]);
        gy_name_manifest(name, numbers[i]);
        assert_int_equal(gy_name_parse(name, &number), GY_FILE_MANIFEST);
        assert_true(number == numbers[i]);
    }
    for (uint32_t slot = 0; slot < GY_WAL_SLOT_MAX; slot++) {
        gy_name_log_slot(name, slot);
        assert_int_equal(gy_name_parse(name, &number), GY_FILE_LOG_SLOT);
        assert_int_equal(number, slot);
    }
    gy_name_table(name, 7);
    assert_string_equal(name, "000007.sst");
    gy_name_manifest(name, 12);
    assert_string_equal(name, "MANIFEST-000012");
    gy_name_log_slot(name, 3);
    assert_string_equal(name, "wal-003.log");
    assert_int_equal(gy_name_parse("LOCK", &number), GY_FILE_LOCK);
    assert_int_equal(gy_name_parse("CURRENT", &number), GY_FILE_CURRENT);
    assert_int_equal(gy_name_parse("CURRENT.tmp", &number), GY_FILE_CURRENT_TMP);
}

/* Goal:   only the exact spelling is ours: two names never stand for one file. */
static void
names_are_foreign_unless_spelled_exactly(void **state)
{
    static const char *const foreign[] = {
        "",
        "7.sst",
        "0000007.sst",
        "000007.SST",
        "000007.sst ",
        " 000007.sst",
        "000007.sst2",
        "000007",
        ".sst",
        "-00007.sst",
        "+00007.sst",
        "0x0007.sst",
        "MANIFEST-1",
        "MANIFEST-",
        "manifest-000001",
        "MANIFEST-000001.tmp",
        "wal-3.log",
        "wal-256.log",
        "wal-0003.log",
        "wal-003.log.old",
        "wal-.log",
        "lock",
        "CURRENT.tmp2",
        "CURRENT ",
        "99999999999999999999999.sst",
        "18446744073709551617.sst",
        "281474976710657.sst",
        "a-very-long-name-that-is-longer-than-any-name-of-ours-and-longer-than-the-buffer.sst"};
    uint64_t number;
    (void)state;

    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        number = 99;
        assert_int_equal(gy_name_parse(foreign[i], &number), GY_FILE_FOREIGN);
        assert_int_equal(number, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_parse_what_they_make),
        cmocka_unit_test(names_are_foreign_unless_spelled_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
