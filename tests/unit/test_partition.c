/* test_partition.c - filter and index in one block, and block handles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/codec/coding.h"
#include "engine/codec/partition.h"

static uint8_t key_buffer[256];

/* A partition of two data blocks with a filter of `filter_size` bytes. */
static uint32_t
make(uint8_t *target, uint32_t capacity, uint32_t filter_size, uint32_t probes)
{
    static struct gy_block_builder builder;
    uint32_t size;

    memset(target, 0xff, filter_size);
    gy_block_builder_init(&builder, 4, target + filter_size,
                          capacity - filter_size - GY_PARTITION_TAIL_SIZE, key_buffer,
                          sizeof(key_buffer));
    for (uint32_t i = 0; i < 2; i++) {
        const struct gy_block_handle handle = {.offset = 8192 * i, .size = 4000 + i};
        uint8_t bytes[GY_BLOCK_HANDLE_SIZE_MAX];
        const struct gy_entry entry = {
            .key = gyre_str(i == 0 ? "h" : "z"),
            .tag = 0,
            .value = gyre_slice(bytes, gy_block_handle_encode(bytes, &handle))};

        gy_block_builder_add(&builder, &entry);
    }
    size = filter_size + gy_block_builder_finish(&builder);
    gy_partition_tail(target + size, filter_size, probes);
    return size + GY_PARTITION_TAIL_SIZE;
}

/* Goal:   what was put together comes apart again, with a filter and without.
 * Method: make, open, look up both data blocks. */
static void
partition_opens_what_was_made(void **state)
{
    static const uint32_t filter_sizes[] = {0, 64, 256};
    (void)state;

    for (size_t f = 0; f < 3; f++) {
        struct gy_partition partition;
        struct gy_block_handle handle;
        struct gy_block_found found;
        uint8_t bytes[1024];
        const uint32_t size = make(bytes, sizeof(bytes), filter_sizes[f], 6);

        assert_int_equal(gy_partition_open(bytes, size, &partition), GYRE_OK);
        assert_int_equal(partition.filter_size, filter_sizes[f]);
        assert_int_equal(partition.probes, filter_sizes[f] != 0 ? 6 : 0);
        assert_int_equal(gy_block_get(&partition.index, gyre_str("i"), UINT64_MAX, &found),
                         GYRE_OK);
        assert_int_equal(gy_block_handle_decode(found.value, 1 << 20, &handle), GYRE_OK);
        assert_int_equal(handle.offset, 8192);
        assert_int_equal(handle.size, 4001);
        assert_int_equal(gy_block_get(&partition.index, gyre_str("zz"), UINT64_MAX, &found),
                         GYRE_NOT_FOUND);
    }
}

/* Goal:   fields out of range are refused: a filter larger than the block or not of whole lines, no
 * or too many probes, an
 *         index that is not there.
 * Method: overwrite one field at a time. */
static void
partition_refuses_fields_out_of_range(void **state)
{
    static const struct {
        uint32_t filter_size;
        uint32_t probes;
    } bad[] = {{63, 6}, {65, 6},  {128 * 64, 6},    {UINT32_MAX, 6},
               {64, 0}, {64, 17}, {64, UINT32_MAX}, {0, 6}};
    struct gy_partition partition;
    uint8_t bytes[1024];
    const uint32_t size = make(bytes, sizeof(bytes), 64, 6);
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        gy_put_u32(bytes + size - 8, bad[i].filter_size);
        gy_put_u32(bytes + size - 4, bad[i].probes);
        assert_int_equal(gy_partition_open(bytes, size, &partition), GYRE_CORRUPT);
    }
    for (uint32_t cut = 0; cut < GY_PARTITION_TAIL_SIZE; cut++) {
        assert_int_equal(gy_partition_open(bytes, cut, &partition), GYRE_CORRUPT);
    }
    gy_put_u32(bytes, 0);
    gy_put_u32(bytes + 4, 0);
    assert_int_equal(gy_partition_open(bytes, 8, &partition), GYRE_CORRUPT); /* no index at all */
}

/* Goal:   nothing outside is read whatever the bytes.
 * Method: flip each bit in an exact heap copy, then search and walk the index. */
static void
partition_never_reads_outside_when_damaged(void **state)
{
    uint8_t made[1024];
    const uint32_t size = make(made, sizeof(made), 64, 6);
    uint8_t *bytes = malloc(size);
    (void)state;

    assert_non_null(bytes);
    memcpy(bytes, made, size);
    for (uint32_t bit = 0; bit < size * 8; bit++) {
        struct gy_partition partition;

        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (gy_partition_open(bytes, size, &partition) == GYRE_OK) {
            struct gy_block_iter iter;

            (void)gy_filter_may_contain(partition.filter, partition.filter_size, partition.probes,
                                        bit * 0x9e3779b97f4aull);
            gy_block_iter_init(&iter, &partition.index, NULL, 0);
            for (gy_block_iter_first(&iter); iter.valid; gy_block_iter_next(&iter)) {
                struct gy_block_handle handle;

                (void)gy_block_handle_decode(iter.entry.value, 1 << 20, &handle);
            }
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
}

/* Goal:   a handle leads inside the file or nowhere.
 * Method: sizes and offsets around the end of the file; bytes missing and bytes left over. */
static void
partition_handle_is_refused_unless_inside_the_file(void **state)
{
    static const struct {
        struct gy_block_handle handle;
        bool good;
    } cases[] = {{{0, 17}, true},
                 {{0, 16}, false},
                 {{99983, 17}, true},
                 {{99984, 17}, false},
                 {{100000, 17}, false},
                 {{UINT64_MAX, 17}, false},
                 {{UINT64_MAX - 16, 17}, false},
                 {{0, 100000}, true},
                 {{0, 100001}, false},
                 {{1, 100000}, false},
                 {{0, UINT32_MAX}, false}};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[GY_BLOCK_HANDLE_SIZE_MAX + 1];
        const unsigned size = gy_block_handle_encode(bytes, &cases[i].handle);
        struct gy_block_handle handle;

        assert_int_equal(gy_block_handle_decode(gyre_slice(bytes, size), 100000, &handle),
                         cases[i].good ? GYRE_OK : GYRE_CORRUPT);
        assert_int_equal(gy_block_handle_decode(gyre_slice(bytes, size - 1), 100000, &handle),
                         GYRE_CORRUPT);
        bytes[size] = 0;
        assert_int_equal(gy_block_handle_decode(gyre_slice(bytes, size + 1), 100000, &handle),
                         GYRE_CORRUPT);
    }
}

/* Goal:   a handle cannot ask for more memory than the largest block needs, however large the file.
 * Method: the largest block and one byte more. */
static void
partition_handle_is_refused_past_the_largest_block(void **state)
{
    struct gy_block_handle handle = {.offset = 4096, .size = GY_BLOCK_RAW_SIZE_MAX};
    struct gy_block_handle decoded;
    uint8_t bytes[GY_BLOCK_HANDLE_SIZE_MAX];
    unsigned size = gy_block_handle_encode(bytes, &handle);
    (void)state;

    assert_int_equal(gy_block_handle_decode(gyre_slice(bytes, size), 1ull << 40, &decoded),
                     GYRE_OK);
    handle.size++;
    size = gy_block_handle_encode(bytes, &handle);
    assert_int_equal(gy_block_handle_decode(gyre_slice(bytes, size), 1ull << 40, &decoded),
                     GYRE_CORRUPT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partition_opens_what_was_made),
        cmocka_unit_test(partition_refuses_fields_out_of_range),
        cmocka_unit_test(partition_never_reads_outside_when_damaged),
        cmocka_unit_test(partition_handle_is_refused_unless_inside_the_file),
        cmocka_unit_test(partition_handle_is_refused_past_the_largest_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
