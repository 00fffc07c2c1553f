/* test_footer.c - the last page of a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/codec/checksum.h"
#include "engine/codec/coding.h"
#include "engine/codec/footer.h"

#define FILE_SIZE (1u << 20)

static struct gy_footer
sample(void)
{
    return (struct gy_footer){.store_id = 0x1111222233334444ull,
                              .file_id = 0x5555666677778888ull,
                              .keyspace = 0,
                              .level = 3,
                              .file_size = FILE_SIZE,
                              .top = {.offset = FILE_SIZE - 8192, .size = 900},
                              .compression = GY_BLOCK_ZSTD,
                              .entry_count = 10000,
                              .delete_count = 50,
                              .sequence_min = 7,
                              .sequence_max = 90000,
                              .key_bytes = 160000,
                              .value_bytes = 800000,
                              .data_block_count = 240,
                              .partition_count = 2,
                              .content_hash = 0xabcdefabcdefabcdull,
                              .filter_bytes = 12800,
                              .bloom_bits = 10,
                              .block_size = 4096,
                              .key_size_max = 16};
}

static void
reseal(uint8_t bytes[GY_FOOTER_SIZE])
{
    gy_put_u64(bytes, gy_checksum(bytes + 8, GY_FOOTER_SIZE - 8, 0));
}

/* Goal:   what is encoded is decoded, and the bytes of version 1 do not change.
 * Method: round trip; comparison with the frozen file. */
static void
footer_bytes_are_those_of_version_1(void **state)
{
    const struct gy_footer footer = sample();
    static uint8_t bytes[GY_FOOTER_SIZE];
    static uint8_t again[GY_FOOTER_SIZE];
    static uint8_t golden[GY_FOOTER_SIZE + 1];
    struct gy_footer decoded;
    FILE *file;
    (void)state;

    gy_footer_encode(bytes, &footer);
    assert_int_equal(gy_footer_decode(bytes, FILE_SIZE, &decoded), GYRE_OK);
    gy_footer_encode(again, &decoded);
    assert_memory_equal(again, bytes, GY_FOOTER_SIZE);
    assert_int_equal(decoded.top.size, footer.top.size);
    assert_int_equal(decoded.key_size_max, footer.key_size_max);
    file = fopen(GYRE_SOURCE_DIR "/tests/golden/footer_v1.bin", "rb");
    if (file == NULL && getenv("GYRE_WRITE_GOLDEN") != NULL) {
        file = fopen(GYRE_SOURCE_DIR "/tests/golden/footer_v1.bin", "wb+");
        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, sizeof(bytes), file), sizeof(bytes));
        rewind(file);
    }
    assert_non_null(file);
    assert_int_equal(fread(golden, 1, sizeof(golden), file), GY_FOOTER_SIZE);
    (void)fclose(file);
    assert_memory_equal(golden, bytes, GY_FOOTER_SIZE);
}

/* Goal:   every flipped bit of the page is seen.
 * Method: flip each of the 32768 bits. */
static void
footer_sees_every_flipped_bit(void **state)
{
    const struct gy_footer footer = sample();
    static uint8_t bytes[GY_FOOTER_SIZE];
    struct gy_footer decoded;
    (void)state;

    gy_footer_encode(bytes, &footer);
    for (uint32_t bit = 0; bit < GY_FOOTER_SIZE * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(gy_footer_decode(bytes, FILE_SIZE, &decoded), GYRE_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(gy_footer_decode(bytes, FILE_SIZE, &decoded), GYRE_OK);
}

/* Goal:   files of a newer release are refused as such, not as damage.
 * Method: version, incompatible bit and comparator changed under a right checksum. */
static void
footer_names_what_is_newer_as_unsupported(void **state)
{
    static const struct {
        uint32_t offset;
        gyre_status status;
    } cases[] = {{12, GYRE_UNSUPPORTED},  {16, GYRE_UNSUPPORTED},
                 {23, GYRE_UNSUPPORTED},  {168, GYRE_UNSUPPORTED},
                 {199, GYRE_UNSUPPORTED}, {8, GYRE_CORRUPT},
                 {300, GYRE_CORRUPT},     {24, GYRE_OK}};
    const struct gy_footer footer = sample();
    struct gy_footer decoded;
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static uint8_t bytes[GY_FOOTER_SIZE];

        gy_footer_encode(bytes, &footer);
        bytes[cases[i].offset] ^= 0x40;
        reseal(bytes);
        assert_int_equal(gy_footer_decode(bytes, FILE_SIZE, &decoded), cases[i].status);
    }
}

/* Goal:   fields that cannot be are refused even under a right checksum.
 * Method: one field at a time out of its range. */
static void
footer_refuses_fields_out_of_range(void **state)
{
    struct gy_footer bad[18];
    struct gy_footer decoded;
    static uint8_t bytes[GY_FOOTER_SIZE];
    size_t count = 0;
    (void)state;

    for (size_t i = 0; i < 18; i++) {
        bad[i] = sample();
    }
    bad[count++].file_size = FILE_SIZE + 4096;
    bad[count++].top.offset = FILE_SIZE;
    bad[count++].top.offset = UINT64_MAX;
    bad[count++].top.size = 4097; /* reaches into the footer */
    bad[count++].top.size = 16;
    bad[count++].compression = 2;
    bad[count++].entry_count = 0;
    bad[count++].delete_count = 10001;
    bad[count++].partition_count = 0;
    bad[count++].partition_count = 241;
    bad[count++].data_block_count = 10001;
    bad[count++].data_block_count = 0;
    bad[count++].sequence_min = 90001;
    bad[count++].sequence_max = GY_SEQUENCE_MAX + 1;
    bad[count++].key_size_max = 0;
    bad[count++].key_size_max = GY_KEY_SIZE_MAX + 1;
    for (size_t i = 0; i < count; i++) {
        gy_footer_encode(bytes, &bad[i]);
        assert_int_equal(gy_footer_decode(bytes, FILE_SIZE, &decoded), GYRE_CORRUPT);
    }
    bad[count].file_size = FILE_SIZE + 1;
    gy_footer_encode(bytes, &bad[count++]);
    assert_int_equal(gy_footer_decode(bytes, FILE_SIZE + 1, &decoded), GYRE_CORRUPT);
    bad[count].file_size = GY_FOOTER_SIZE; /* nothing in front of the footer */
    bad[count].top = (struct gy_block_handle){.offset = 0, .size = 900};
    gy_footer_encode(bytes, &bad[count++]);
    assert_int_equal(gy_footer_decode(bytes, GY_FOOTER_SIZE, &decoded), GYRE_CORRUPT);
    assert_int_equal(count, 18);
}

/* Goal:   the fingerprint of a table's content tells entries apart, also when they only swap their
 * parts. Method: sums over pairs that differ in one thing. */
static void
footer_content_hash_differs_when_an_entry_does(void **state)
{
    const struct gy_entry a = {.key = gyre_str("a"), .tag = 257, .value = gyre_str("x")};
    const struct gy_entry b = {.key = gyre_str("b"), .tag = 257, .value = gyre_str("y")};
    struct gy_entry a2 = a;
    struct gy_entry b2 = b;
    (void)state;

    a2.value = b.value;
    b2.value = a.value;
    assert_true(gy_entry_hash(&a) + gy_entry_hash(&b) != gy_entry_hash(&a2) + gy_entry_hash(&b2));
    a2 = a;
    a2.tag++;
    assert_true(gy_entry_hash(&a) != gy_entry_hash(&a2));
    a2 = a;
    a2.key = gyre_str("ax");
    a2.value = gyre_str("");
    assert_true(gy_entry_hash(&a) != gy_entry_hash(&a2));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(footer_bytes_are_those_of_version_1),
        cmocka_unit_test(footer_sees_every_flipped_bit),
        cmocka_unit_test(footer_names_what_is_newer_as_unsupported),
        cmocka_unit_test(footer_refuses_fields_out_of_range),
        cmocka_unit_test(footer_content_hash_differs_when_an_entry_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
