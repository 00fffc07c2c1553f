/* test_coding.c - integers as bytes, the sticky reader and the writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "engine/codec/coding.h"
#include "io/base/rng.h"
#include "tests/support/golden.h"

/* All lengths: around each power of two. */
static uint64_t
number_at(unsigned index)
{
    const uint64_t power = 1ull << (index / 3);

    return index % 3 == 0 ? power - 1 : index % 3 == 1 ? power : power + (power >> 1);
}
#define NUMBERS (64 * 3)

/* Goal:   fixed integers are little-endian on every machine, at any alignment.
 * Method: write known numbers at odd addresses, compare with the bytes spelled out. */
static void
coding_fixed_integers_are_little_endian(void **state)
{
    static const uint8_t expected[] = {0x02, 0x01, 0x06, 0x05, 0x04, 0x03, 0x0e,
                                       0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08, 0x07};
    uint8_t bytes[1 + sizeof(expected)];
    (void)state;

    gy_put_u16(bytes + 1, 0x0102);
    gy_put_u32(bytes + 3, 0x03040506);
    gy_put_u64(bytes + 7, 0x0708090a0b0c0d0eull);
    assert_memory_equal(bytes + 1, expected, sizeof(expected));
    assert_int_equal(gy_get_u16(bytes + 1), 0x0102);
    assert_int_equal(gy_get_u32(bytes + 3), 0x03040506);
    assert_true(gy_get_u64(bytes + 7) == 0x0708090a0b0c0d0eull);
}

/* Goal:   each number survives, in the size that was announced, and no prefix of it reads as a
 *         number.
 * Method: numbers of all lengths; decode the whole and every cut of it from a block of exact size.
 *         */
static void
coding_varint_survives_and_no_cut_of_it_does(void **state)
{
    (void)state;

    for (unsigned i = 0; i < NUMBERS; i++) {
        const uint64_t number = number_at(i);
        uint8_t bytes[GY_VARINT64_MAX];
        const size_t size = (size_t)(gy_put_varint(bytes, number) - bytes);

        assert_int_equal(size, gy_varint_size(number));
        assert_in_range(size, 1, GY_VARINT64_MAX);
        for (size_t cut = 0; cut <= size; cut++) {
            uint8_t *copy = golden_copy(bytes, cut);
            uint64_t value = 99;
            uint32_t value32 = 99;
            const uint8_t *after = gy_get_varint64(copy, copy + cut, &value);
            const uint8_t *after32 = gy_get_varint32(copy, copy + cut, &value32);

            assert_ptr_equal(after, cut == size ? copy + size : NULL);
            assert_true(value == (cut == size ? number : 99));
            assert_ptr_equal(after32, cut == size && number <= UINT32_MAX ? copy + size : NULL);
            assert_true(value32 == (after32 != NULL ? number : 99));
            free(copy);
        }
    }
}

/* Goal:   a number has one encoding: longer ones and numbers past 64 bits are refused.
 * Method: lengthen each varint by a zero group; hand-made overflows. */
static void
coding_varint_of_other_shape_is_refused(void **state)
{
    uint8_t bytes[16];
    uint64_t value = 99;
    uint32_t value32 = 99;
    (void)state;

    for (unsigned i = 0; i < NUMBERS; i++) {
        uint8_t *end = gy_put_varint(bytes, number_at(i));

        end[-1] |= 0x80;
        *end++ = 0;
        assert_null(gy_get_varint64(bytes, end, &value));
        assert_null(gy_get_varint32(bytes, end, &value32));
    }
    memset(bytes, 0xff, sizeof(bytes));
    assert_null(gy_get_varint64(bytes, bytes + 16, &value)); /* no end in ten bytes */
    bytes[9] = 0x02;                                         /* 2^64 */
    assert_null(gy_get_varint64(bytes, bytes + 16, &value));
    bytes[9] = 0x01;
    assert_ptr_equal(gy_get_varint64(bytes, bytes + 16, &value), bytes + 10);
    assert_true(value == UINT64_MAX);
    bytes[4] = 0x10; /* 2^32 and more */
    assert_null(gy_get_varint32(bytes, bytes + 16, &value32));
    assert_int_equal(value32, 99);
}

/* One of each, which read_sample expects. */
static void
write_sample(struct gy_writer *writer)
{
    gy_write_u8(writer, 7);
    gy_write_u32(writer, 0xdeadbeef);
    gy_write_u64(writer, 0x1122334455667788ull);
    gy_write_varint(writer, 300);
    gy_write_varint(writer, 1ull << 40);
    gy_write_string(writer, gyre_str("hello"));
    gy_write_string(writer, gyre_str(""));
    gy_write_bytes(writer, gyre_str("xyz"));
}

static bool
read_sample(struct gy_reader *reader)
{
    const bool numbers = gy_read_u8(reader) == 7 && gy_read_u32(reader) == 0xdeadbeef &&
                         gy_read_u64(reader) == 0x1122334455667788ull &&
                         gy_read_varint32(reader) == 300 && gy_read_varint64(reader) == 1ull << 40;
    const struct gyre_slice hello = gy_read_string(reader, 5);
    const struct gyre_slice empty = gy_read_string(reader, 5);
    const struct gyre_slice rest = gy_read_bytes(reader, 3);

    return numbers && hello.size == 5 && memcmp(hello.data, "hello", 5) == 0 && empty.size == 0 &&
           rest.size == 3 && memcmp(rest.data, "xyz", 3) == 0;
}

/* Goal:   a writer without room measures; one with exactly that room writes; a reader gets all
 *         back.
 * Method: measure, write into a block of that size, read, and ask that nothing is left. */
static void
coding_writer_measures_then_fits_exactly(void **state)
{
    struct gy_writer measure = {0};
    struct gy_writer writer = {0};
    struct gy_reader reader;
    (void)state;

    write_sample(&measure);
    assert_true(measure.failed);
    writer.data = malloc(measure.used);
    writer.capacity = measure.used;
    assert_non_null(writer.data);
    write_sample(&writer);
    assert_false(writer.failed);
    assert_int_equal(writer.used, measure.used);
    reader = gy_reader_of(writer.data, writer.used);
    assert_true(read_sample(&reader));
    assert_true(gy_reader_is_done(&reader));
    free(writer.data);
}

/* Goal:   a writer that is too small writes nothing past its end and goes on counting; a later
 *         small item does not slip in behind one that did not fit.
 * Method: every capacity below the need, in blocks of exact size. */
static void
coding_writer_stays_inside_when_too_small(void **state)
{
    struct gy_writer measure = {0};
    (void)state;

    write_sample(&measure);
    for (size_t capacity = 0; capacity < measure.used; capacity++) {
        struct gy_writer writer = {.data = malloc(capacity), .capacity = capacity};

        write_sample(&writer);
        assert_true(writer.failed);
        assert_int_equal(writer.used, measure.used);
        free(writer.data);
    }
    uint8_t bytes[6] = {0};
    struct gy_writer writer = {.data = bytes, .capacity = sizeof(bytes)};

    gy_write_u64(&writer, UINT64_MAX);
    gy_write_u8(&writer, 0xff);
    assert_true(writer.failed);
    assert_int_equal(bytes[0] | bytes[5], 0);
}

/* Goal:   a reader of cut bytes fails, stays failed, returns zeros, and never reads past its end.
 * Method: every cut of a sample, in a block of exact size. */
static void
coding_reader_fails_for_good_at_every_cut(void **state)
{
    uint8_t bytes[64];
    struct gy_writer writer = {.data = bytes, .capacity = sizeof(bytes)};
    (void)state;

    write_sample(&writer);
    assert_false(writer.failed);
    for (size_t cut = 0; cut < writer.used; cut++) {
        uint8_t *copy = golden_copy(bytes, cut);
        struct gy_reader reader = gy_reader_of(copy, cut);

        assert_false(read_sample(&reader));
        assert_true(reader.failed);
        assert_false(gy_reader_is_done(&reader));
        assert_int_equal(gy_read_u8(&reader), 0);
        assert_int_equal(gy_read_varint32(&reader), 0);
        assert_true(gy_read_varint64(&reader) == 0);
        assert_int_equal(gy_read_string(&reader, 100).size, 0);
        free(copy);
    }
}

/* Goal:   lengths that lie are refused by subtraction, not by a sum that wraps.
 * Method: huge sizes given by the caller and by the bytes; a string above its cap. */
static void
coding_reader_refuses_lengths_that_lie(void **state)
{
    uint8_t bytes[GY_VARINT64_MAX + 4];
    struct gy_reader reader;
    uint8_t *end;
    (void)state;

    memset(bytes, 0, sizeof(bytes));
    reader = gy_reader_of(bytes, 4);
    assert_int_equal(gy_read_bytes(&reader, UINT64_MAX).size, 0);
    assert_true(reader.failed);
    end = gy_put_varint(bytes, UINT64_MAX - 2);
    reader = gy_reader_of(bytes, (size_t)(end - bytes) + 4);
    assert_int_equal(gy_read_string(&reader, UINT64_MAX).size, 0);
    assert_true(reader.failed);
    bytes[0] = 3;
    reader = gy_reader_of(bytes, 4);
    assert_int_equal(gy_read_string(&reader, 2).size, 0);
    assert_true(reader.failed);
    reader = gy_reader_of(bytes, 4);
    assert_int_equal(gy_read_string(&reader, 3).size, 3);
    assert_true(gy_reader_is_done(&reader));
    reader = gy_reader_of(NULL, 0);
    assert_true(gy_reader_is_done(&reader));
    assert_int_equal(gy_read_bytes(&reader, 0).size, 0);
    assert_false(reader.failed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coding_fixed_integers_are_little_endian),
        cmocka_unit_test(coding_varint_survives_and_no_cut_of_it_does),
        cmocka_unit_test(coding_varint_of_other_shape_is_refused),
        cmocka_unit_test(coding_writer_measures_then_fits_exactly),
        cmocka_unit_test(coding_writer_stays_inside_when_too_small),
        cmocka_unit_test(coding_reader_fails_for_good_at_every_cut),
        cmocka_unit_test(coding_reader_refuses_lengths_that_lie),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
