/* test_region.c - bump allocation, its promise, and the pool of chunks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "engine/mem/region.h"
#include "io/base/rng.h"

/* Goal:   allocations are aligned, do not overlap, keep their bytes, and all memory goes back.
 * Method: random sizes up to larger than a chunk, each filled with its own byte and checked at the
 *         end. */
static void
region_memory_is_aligned_and_ones_own(void **state)
{
    enum { COUNT = 400 };
    static uint8_t *blocks[COUNT];
    static size_t sizes[COUNT];
    struct gy_heap heap;
    struct gy_region_pool pool;
    struct gy_region region;
    struct gy_rng rng;
    uint64_t sum = 0;
    (void)state;

    gy_rng_init(&rng, 4);
    gy_heap_init(&heap, UINT64_MAX);
    gy_region_pool_init(&pool, &heap, 4);
    gy_region_init(&region, &pool);
    for (unsigned i = 0; i < COUNT; i++) {
        sizes[i] = gy_rng_below(&rng, i % 40 == 7 ? 2 * GY_REGION_CHUNK : i % 5 == 0 ? 70000 : 200);
        blocks[i] = gy_region_alloc(&region, sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 8, 0);
        memset(blocks[i], (int)(i & 0xff), sizes[i]);
        sum += sizes[i];
        assert_true(region.bytes >= sum);
    }
    assert_true(region.bytes <= sum + sum / 4 + 2 * GY_REGION_CHUNK); /* R3: little is wasted */
    for (unsigned i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < sizes[i]; k++) {
            assert_int_equal(blocks[i][k], i & 0xff);
        }
    }
    gy_region_fini(&region);
    gy_region_pool_fini(&pool);
    assert_int_equal(heap.used, 0);
}

/* Goal:   large allocations between small ones waste no chunks (R3).
 * Method: take turns; all that is not handed out is less than two chunks. */
static void
region_large_ones_leave_the_chunk_in_use(void **state)
{
    const size_t large = GY_REGION_CHUNK / 4 + 1000;
    struct gy_heap heap;
    struct gy_region_pool pool;
    struct gy_region region;
    uint64_t sum = 0;
    (void)state;

    gy_heap_init(&heap, UINT64_MAX);
    gy_region_pool_init(&pool, &heap, 2);
    gy_region_init(&region, &pool);
    for (unsigned i = 0; i < 300; i++) {
        assert_non_null(gy_region_alloc(&region, 104));
        assert_non_null(gy_region_alloc(&region, large));
        sum += 104 + large;
    }
    assert_true(region.bytes < sum + 2 * GY_REGION_CHUNK);
    gy_region_fini(&region);
    gy_region_pool_fini(&pool);
}

/* Goal:   after a reservation that many bytes are certain, in one piece or several (R1).
 * Method: random reservations; then forbid the heap to give anything, and take them up to the last
 *         byte. */
static void
region_reserved_bytes_are_certain(void **state)
{
    struct gy_heap heap;
    struct gy_region_pool pool;
    struct gy_region region;
    struct gy_rng rng;
    (void)state;

    gy_rng_init(&rng, 5);
    gy_heap_init(&heap, UINT64_MAX);
    gy_region_pool_init(&pool, &heap, 2);
    gy_region_init(&region, &pool);
    for (unsigned i = 0; i < 3000; i++) {
        size_t left = 8 * (1 + gy_rng_below(&rng, i % 50 == 0 ? 50000 : 500));
        const uint64_t limit = heap.limit;

        assert_true(gy_region_reserve(&region, left));
        heap.limit = 0;
        while (left > 0) {
            const size_t part = i % 3 == 0 ? left : 8 * (1 + gy_rng_below(&rng, left / 8));

            assert_non_null(gy_region_alloc(&region, part));
            left -= part;
        }
        heap.limit = limit;
    }
    gy_region_fini(&region);
    gy_region_pool_fini(&pool);
    assert_int_equal(heap.used, 0);
}

/* Goal:   a refused reservation changes nothing, for sizes near the end of the address space too.
 * Method: refuse, compare the struct; what was reserved before is still there. */
static void
region_refusal_changes_nothing(void **state)
{
    struct gy_heap heap;
    struct gy_region_pool pool;
    struct gy_region region;
    struct gy_region before;
    (void)state;

    gy_heap_init(&heap, UINT64_MAX);
    gy_region_pool_init(&pool, &heap, 2);
    gy_region_init(&region, &pool);
    heap.fail_at = heap.allocation_count + 1;
    assert_false(gy_region_reserve(&region, 100));
    assert_true(region.chunks == NULL && region.bytes == 0);
    assert_true(gy_region_reserve(&region, 100));
    before = region;
    for (unsigned i = 0; i < 3; i++) {
        heap.fail_at = heap.allocation_count + 1;
        assert_false(gy_region_reserve(&region, i == 0 ? GY_REGION_CHUNK : SIZE_MAX - 8 * i));
        assert_memory_equal(&region, &before, sizeof(before));
        heap.fail_at = 0;
    }
    assert_null(gy_region_alloc(&region, SIZE_MAX));
    assert_memory_equal(&region, &before, sizeof(before));
    heap.limit = 0;
    assert_non_null(gy_region_alloc(&region, 100));
    gy_region_fini(&region);
    gy_region_pool_fini(&pool);
    assert_int_equal(heap.used, 0);
}

/* Goal:   chunks of a dead region serve the next one without the heap (R2); the pool keeps at most
 *         what it may, and never chunks of another size.
 * Method: fill and drop regions, count allocations of the heap. */
static void
region_pool_serves_the_next_one(void **state)
{
    struct gy_heap heap;
    struct gy_region_pool pool;
    struct gy_region region;
    (void)state;

    gy_heap_init(&heap, UINT64_MAX);
    gy_region_pool_init(&pool, &heap, 3);
    for (unsigned round = 0; round < 3; round++) {
        const uint64_t count = heap.allocation_count;

        gy_region_init(&region, &pool);
        for (unsigned i = 0; i < 3 * 32; i++) {
            assert_non_null(gy_region_alloc(&region, GY_REGION_CHUNK / 33));
        }
        assert_true(region.bytes <= 3 * GY_REGION_CHUNK);
        assert_int_equal(heap.allocation_count - count, round == 0 ? 3 : 0);
        gy_region_fini(&region);
        assert_int_equal(pool.free_count, 3);
    }
    gy_region_init(&region, &pool);
    for (unsigned i = 0; i < 5; i++) {
        assert_non_null(gy_region_alloc(&region, GY_REGION_CHUNK / 5));
        assert_non_null(gy_region_alloc(&region, GY_REGION_CHUNK * 2));
        assert_non_null(gy_region_alloc(&region, GY_REGION_CHUNK / 5));
    }
    gy_region_fini(&region);
    assert_int_equal(pool.free_count, 3);
    assert_true(heap.used <= 3 * GY_REGION_CHUNK);
    gy_region_pool_fini(&pool);
    assert_int_equal(heap.used, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(region_memory_is_aligned_and_ones_own),
        cmocka_unit_test(region_large_ones_leave_the_chunk_in_use),
        cmocka_unit_test(region_reserved_bytes_are_certain),
        cmocka_unit_test(region_refusal_changes_nothing),
        cmocka_unit_test(region_pool_serves_the_next_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
