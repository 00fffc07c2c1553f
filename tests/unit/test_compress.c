/* test_compress.c - zstd behind two calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/codec/compress.h"
#include "io/base/rng.h"

#define SIZE 16384u

static void
fill(uint8_t *bytes, uint32_t size, uint32_t alphabet)
{
    struct gy_rng rng;

    gy_rng_init(&rng, alphabet);
    for (uint32_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)gy_rng_below(&rng, alphabet);
    }
}

/* Goal:   what was compressed comes back, and only at its exact size.
 * Method: data of small alphabets; sizes one too small and one too large; every byte flipped. */
static void
compress_gives_back_what_went_in(void **state)
{
    static uint8_t source[SIZE], packed[SIZE], target[SIZE + 1];
    struct gy_compressor compressor;
    struct gy_heap heap;
    uint32_t size;
    (void)state;

    gy_heap_init(&heap, UINT64_MAX);
    gy_compressor_init(&compressor, &heap);
    fill(source, SIZE, 4);
    size = gy_compress(&compressor, 1, packed, SIZE / 8 * 7, source, SIZE);
    assert_in_range(size, 1, SIZE / 2);
    assert_int_equal(gy_decompress(&compressor, target, SIZE, packed, size), GYRE_OK);
    assert_memory_equal(target, source, SIZE);
    assert_int_equal(gy_decompress(&compressor, target, SIZE - 1, packed, size), GYRE_CORRUPT);
    assert_int_equal(gy_decompress(&compressor, target, SIZE + 1, packed, size), GYRE_CORRUPT);
    assert_int_equal(gy_decompress(&compressor, target, SIZE, packed, size - 1), GYRE_CORRUPT);
    assert_int_equal(gy_decompress(&compressor, target, SIZE, packed, 0), GYRE_CORRUPT);
    for (uint32_t i = 0; i < size; i += 3) {
        uint8_t *copy = malloc(size); /* exact: ASan sees one byte too far */

        memcpy(copy, packed, size);
        copy[i] ^= 0x10;
        (void)gy_decompress(&compressor, target, SIZE, copy, size);
        free(copy);
    }
    gy_compressor_fini(&compressor);
    assert_int_equal(heap.used, 0);
}

/* Goal:   data that does not shrink is left alone. */
static void
compress_answers_0_when_it_does_not_fit(void **state)
{
    static uint8_t source[SIZE], packed[SIZE];
    struct gy_compressor compressor;
    struct gy_heap heap;
    (void)state;

    gy_heap_init(&heap, UINT64_MAX);
    gy_compressor_init(&compressor, &heap);
    fill(source, SIZE, 256);
    assert_int_equal(gy_compress(&compressor, 1, packed, SIZE / 8 * 7, source, SIZE), 0);
    gy_compressor_fini(&compressor);
}

/* Goal:   a full heap gives NO_MEMORY (or "store it raw"), and later it works again.
 * Method: fail each allocation in turn. */
static void
compress_reports_memory_that_is_not_there(void **state)
{
    static uint8_t source[SIZE], packed[SIZE], target[SIZE];
    (void)state;

    fill(source, SIZE, 4);
    for (uint64_t n = 1; n <= 6; n++) {
        struct gy_compressor compressor;
        struct gy_heap heap;
        uint32_t size;

        gy_heap_init(&heap, UINT64_MAX);
        gy_compressor_init(&compressor, &heap);
        heap.fail_at = n;
        size = gy_compress(&compressor, 1, packed, SIZE, source, SIZE);
        if (size == 0) {
            size = gy_compress(&compressor, 1, packed, SIZE, source, SIZE);
        }
        assert_int_not_equal(size, 0);
        if (gy_decompress(&compressor, target, SIZE, packed, size) != GYRE_OK) {
            assert_int_equal(gy_decompress(&compressor, target, SIZE, packed, size), GYRE_OK);
        }
        assert_memory_equal(target, source, SIZE);
        gy_compressor_fini(&compressor);
        assert_int_equal(heap.used, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compress_gives_back_what_went_in),
        cmocka_unit_test(compress_answers_0_when_it_does_not_fit),
        cmocka_unit_test(compress_reports_memory_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
