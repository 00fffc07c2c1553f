/* test_options.c - options as text, and the log callback that a loop gets with its options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gyre/gyre.h"

static gyre_status
parse(const char *text, struct gyre_options *options, struct gyre_error *error)
{
    *options = (struct gyre_options){.struct_size = sizeof(*options)};
    memset(error, 0, sizeof(*error));
    return gyre_options_parse(text, options, error);
}

/* Goal:   every name of the header is taken, with sizes in K, M and G and words where it has some,
 *         and what is not named keeps its value. */
static void
options_text_sets_every_field(void **state)
{
    struct gyre_options o;
    struct gyre_error error;
    (void)state;

    assert_int_equal(
        parse("create=1,read_only=0,exclusive=1,durability=buffered,compression=zstd,"
              "compression_level=-3,bloom_bits=none,memtable_size=8M,memtable_count_max=4,"
              "block_size=8K,table_size=1G,wal_slot_size=256K,wal_total_max=3M,wal_linger_ms=50,"
              "wal_buffer_size=1M,level0_tables=6,level_ratio=8,open_files_max=64,"
              "iterators_max=12,background_off=1,paranoid=1,"
              "disk_quota=1G,disk_reserve=none",
              &o, &error),
        GYRE_OK);
    assert_int_equal(o.flags, GYRE_OPEN_CREATE | GYRE_OPEN_EXCLUSIVE);
    assert_int_equal(o.durability, GYRE_BUFFERED);
    assert_int_equal(o.compression, GYRE_COMPRESSION_ZSTD);
    assert_int_equal(o.compression_level, -3);
    assert_int_equal(o.bloom_bits, GYRE_BLOOM_NONE);
    assert_int_equal(o.memtable_size, 8u << 20);
    assert_int_equal(o.memtable_count_max, 4);
    assert_int_equal(o.block_size, 8192);
    assert_int_equal(o.table_size, 1u << 30);
    assert_int_equal(o.wal_slot_size, 256u << 10);
    assert_int_equal(o.wal_total_max, 3u << 20);
    assert_int_equal(o.wal_linger_ms, 50);
    assert_int_equal(o.wal_buffer_size, 1u << 20);
    assert_int_equal(o.level0_tables, 6);
    assert_int_equal(o.level_ratio, 8);
    assert_int_equal(o.open_files_max, 64);
    assert_int_equal(o.iterators_max, 12);
    assert_int_equal(o.background_off, 1);
    assert_int_equal(o.paranoid, 1);
    assert_int_equal(o.disk_quota, 1ull << 30);
    assert_true(o.disk_reserve == GYRE_DISK_RESERVE_NONE);

    assert_int_equal(gyre_options_parse("create=0,bloom_bits=12", &o, NULL), GYRE_OK);
    assert_int_equal(o.flags, GYRE_OPEN_EXCLUSIVE);
    assert_int_equal(o.bloom_bits, 12);
    assert_int_equal(o.memtable_size, 8u << 20);
    assert_int_equal(gyre_options_parse("", &o, NULL), GYRE_OK);
}

/* Goal:   a name or value that is wrong is INVALID, and the text names it. */
static void
options_text_refuses_and_says_what(void **state)
{
    static const struct {
        const char *text;
        const char *named;
    } cases[] = {
        {"speed=3", "speed"},
        {"memtable_size=8M,Memtable_size=8M", "Memtable_size"},
        {"memtable_size", "memtable_size"},
        {"memtable_size=", "memtable_size"},
        {"memtable_size=8X", "memtable_size"},
        {"memtable_size=1K", "memtable_size"},
        {"memtable_size=99999999999999999999", "memtable_size"},
        {"block_size=-1", "block_size"},
        {"bloom_bits=25", "bloom_bits"},
        {"compression=lz4", "compression"},
        {"durability=sometimes", "durability"},
        {"compression_level=20", "compression_level"},
        {"create=2", "create"},
    };
    struct gyre_options o;
    struct gyre_error error;
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const gyre_status status = parse(cases[i].text, &o, &error);

        if (status != GYRE_INVALID || strstr(error.text, cases[i].named) == NULL) {
            print_error("'%s' is %s: %s\n", cases[i].text, gyre_status_name(status), error.text);
            fail();
        }
        assert_int_equal(error.status, GYRE_INVALID);
        assert_int_equal(gyre_options_parse(cases[i].text, &o, NULL), GYRE_INVALID);
    }
}

struct log {
    unsigned count;
    enum gyre_log_level level;
    char text[256];
};

static void
take_line(void *arg, enum gyre_log_level level, const char *text)
{
    struct log *log = arg;

    log->count++;
    log->level = level;
    (void)snprintf(log->text, sizeof(log->text), "%s", text);
}

/* Goal:   the callback gets whole lines with their level and the user's pointer; here: that
 *         io_uring is not used and why. */
static void
log_callback_is_told_why_io_uring_is_not_used(void **state)
{
    struct log log = {.count = 0, .level = GYRE_LOG_INFO};
    gyre_loop *loop;
    (void)state;

    assert_int_equal(gyre_loop_open(GYRE_LOOP_OPTIONS(.io_kind = GYRE_IO_BLOCKING, .log = take_line,
                                                      .log_arg = &log),
                                    &loop, NULL),
                     GYRE_OK);
    assert_int_equal(log.count, 1);
    assert_int_equal(log.level, GYRE_LOG_WARNING);
    assert_non_null(strstr(log.text, "io_uring is not used: "));
    assert_null(strchr(log.text, '\n'));
    assert_int_equal(gyre_loop_close(loop), GYRE_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_text_sets_every_field),
        cmocka_unit_test(options_text_refuses_and_says_what),
        cmocka_unit_test(log_callback_is_told_why_io_uring_is_not_used),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
