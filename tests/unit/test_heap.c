/* test_heap.c - the counted heap: limit, tags, refusals, maps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/base/bits.h"
#include "io/base/heap.h"
#include "io/base/rng.h"

static uint64_t
sum_of_tags(const struct gy_heap *heap)
{
    uint64_t sum = 0;

    for (unsigned tag = 0; tag < GY_MEM_TAG_COUNT; tag++) {
        sum += heap->used_by_tag[tag];
    }
    return sum;
}

/* Goal:   the limit is never passed, and what was refused changes nothing (H1).
 * Method: fill a heap to its limit, ask for more in each way, free one block, ask again. */
static void
heap_refuses_without_change_at_the_limit(void **state)
{
    struct gy_heap heap;
    struct gy_heap before;
    void *blocks[64];
    unsigned count = 0;
    uint8_t *grown;
    (void)state;

    gy_heap_init(&heap, 16 * GY_KIB);
    assert_true(gy_heap_charge(&heap, 16 * GY_KIB, GY_MEM_CALL)); /* to the last byte */
    assert_false(gy_heap_charge(&heap, 1, GY_MEM_CALL));
    gy_heap_discharge(&heap, 16 * GY_KIB, GY_MEM_CALL);
    while ((blocks[count] = gy_heap_alloc(&heap, 1000, GY_MEM_CALL)) != NULL) {
        memset(blocks[count], (int)count, 1000);
        count++;
        assert_true(count < 17);
        assert_true(heap.used <= heap.limit);
        assert_true(heap.used >= count * 1000ull);
    }
    assert_true(count >= 15);
    before = heap;
    assert_null(gy_heap_zalloc(&heap, 1000, GY_MEM_CALL));
    assert_null(gy_heap_realloc(&heap, blocks[0], 2000, GY_MEM_CALL));
    assert_null(gy_heap_map(&heap, GY_PAGE, GY_MEM_CALL));
    assert_null(gy_heap_alloc(&heap, SIZE_MAX, GY_MEM_CALL));
    assert_null(gy_heap_alloc(&heap, SIZE_MAX - 8, GY_MEM_CALL));
    assert_false(gy_heap_charge(&heap, 1000, GY_MEM_CALL));
    assert_false(gy_heap_charge(&heap, UINT64_MAX, GY_MEM_CALL));
    assert_true(heap.used == before.used && heap.peak == before.peak);
    assert_true(before.largest == 1000 && heap.largest == SIZE_MAX); /* what was asked for */
    assert_memory_equal(heap.used_by_tag, before.used_by_tag, sizeof(heap.used_by_tag));
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(((uint8_t *)blocks[0])[i], 0);
    }

    gy_heap_free(&heap, blocks[--count]);
    grown = gy_heap_realloc(&heap, blocks[1], 1500, GY_MEM_CALL);
    assert_non_null(grown);
    assert_int_equal(grown[999], 1);
    blocks[1] = grown;
    while (count > 0) {
        gy_heap_free(&heap, blocks[--count]);
    }
    assert_true(heap.used == 0 && sum_of_tags(&heap) == 0 && heap.peak == 16 * GY_KIB);
}

/* Goal:   cache and memtables leave to the others what they were promised and do not use yet, and a
 *         promise is not taken twice: what is used of it counts as used. */
static void
heap_keeps_what_was_promised(void **state)
{
    struct gy_heap heap;
    (void)state;

    gy_heap_init(&heap, 16 * GY_KIB);
    gy_heap_promise(&heap, 4 * GY_KIB, GY_MEM_MEMTABLE);
    gy_heap_promise(&heap, 2 * GY_KIB, GY_MEM_CALL);
    assert_false(gy_heap_charge(&heap, 10 * GY_KIB + 1, GY_MEM_CACHE));
    assert_true(gy_heap_charge(&heap, 10 * GY_KIB, GY_MEM_CACHE));
    assert_false(gy_heap_charge(&heap, 1, GY_MEM_CACHE));
    assert_true(gy_heap_charge(&heap, 4 * GY_KIB, GY_MEM_MEMTABLE));
    assert_false(gy_heap_charge(&heap, 1, GY_MEM_MEMTABLE));
    assert_false(gy_heap_has_room(&heap, 1, GY_MEM_LOOP));
    assert_true(gy_heap_has_room(&heap, 2 * GY_KIB, GY_MEM_CALL));
    assert_true(gy_heap_charge(&heap, 2 * GY_KIB, GY_MEM_CALL));
    assert_false(gy_heap_charge(&heap, 1, GY_MEM_CALL));
    gy_heap_discharge(&heap, 3 * GY_KIB, GY_MEM_CACHE); /* nobody is owed anything now */
    assert_true(gy_heap_charge(&heap, 2 * GY_KIB, GY_MEM_MEMTABLE));
    assert_true(gy_heap_charge(&heap, GY_KIB, GY_MEM_CACHE));
    assert_int_equal(heap.used, heap.limit);
}

/* Goal:   the breakdown by purpose adds up at all times and everything comes back.
 * Method: random allocations, growths, shrinks, maps and frees under random tags. */
static void
heap_breakdown_adds_up_under_random_use(void **state)
{
    struct {
        uint8_t *base;
        size_t size;
        enum gy_mem_tag tag;
        int is_map;
    } held[32] = {0};
    struct gy_heap heap;
    struct gy_rng rng;
    (void)state;

    gy_heap_init(&heap, UINT64_MAX);
    gy_rng_init(&rng, 7);
    for (unsigned round = 0; round < 5000; round++) {
        const size_t i = gy_rng_below(&rng, 32);
        const size_t size = gy_rng_below(&rng, 3000);

        if (held[i].base == NULL) {
            held[i].tag = (enum gy_mem_tag)gy_rng_below(&rng, GY_MEM_TAG_COUNT);
            held[i].is_map = gy_rng_below(&rng, 8) == 0;
            held[i].size = held[i].is_map ? 2 * GY_PAGE : size;
            held[i].base = held[i].is_map ? gy_heap_map(&heap, held[i].size, held[i].tag)
                                          : gy_heap_alloc(&heap, size, held[i].tag);
            assert_non_null(held[i].base);
            assert_true(gy_is_aligned((uintptr_t)held[i].base, held[i].is_map ? GY_PAGE : 16));
        } else if (held[i].is_map) {
            gy_heap_unmap(&heap, held[i].base, held[i].size, held[i].tag);
            held[i].base = NULL;
        } else if (gy_rng_below(&rng, 2) == 0) {
            held[i].base = gy_heap_realloc(&heap, held[i].base, size, held[i].tag);
            held[i].size = size;
        } else {
            gy_heap_free(&heap, held[i].base);
            held[i].base = NULL;
        }
        assert_true(heap.used == sum_of_tags(&heap));
        assert_true(heap.used <= heap.peak);
    }
    for (unsigned i = 0; i < 32; i++) {
        if (held[i].is_map) {
            gy_heap_unmap(&heap, held[i].base, held[i].size, held[i].tag);
        } else {
            gy_heap_free(&heap, held[i].base);
        }
    }
    assert_true(heap.used == 0 && sum_of_tags(&heap) == 0);
}

/* Goal:   fail_at hits the one attempt that it names, whatever kind it is, and only that.
 * Method: the same four attempts, once for each ordinal. */
static void
heap_fails_exactly_the_named_allocation(void **state)
{
    (void)state;
    for (uint64_t ordinal = 0; ordinal <= 5; ordinal++) {
        struct gy_heap heap;
        void *got[4];

        gy_heap_init(&heap, UINT64_MAX);
        heap.fail_at = ordinal;
        got[0] = gy_heap_alloc(&heap, 10, GY_MEM_CALL);
        got[1] = gy_heap_zalloc(&heap, 10, GY_MEM_CALL);
        got[2] = gy_heap_map(&heap, GY_PAGE, GY_MEM_CALL);
        got[3] = gy_heap_realloc(&heap, NULL, 10, GY_MEM_CALL);
        assert_true(heap.allocation_count == 4);
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(got[i] == NULL, ordinal == i + 1);
        }
        gy_heap_free(&heap, got[0]);
        gy_heap_free(&heap, got[1]);
        gy_heap_unmap(&heap, got[2], GY_PAGE, GY_MEM_CALL);
        gy_heap_free(&heap, got[3]);
        assert_true(heap.used == 0);
    }
}

/* Goal:   a refused realloc leaves the old block valid; zalloc is zero also where memory is reused.
 *         */
static void
heap_keeps_the_block_when_realloc_is_refused(void **state)
{
    struct gy_heap heap;
    uint8_t *block;
    uint8_t *zeroed;
    (void)state;

    gy_heap_init(&heap, UINT64_MAX);
    block = gy_heap_alloc(&heap, 100, GY_MEM_TABLE);
    memset(block, 0xab, 100);
    heap.fail_at = heap.allocation_count + 1;
    assert_null(gy_heap_realloc(&heap, block, 200, GY_MEM_TABLE));
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(block[i], 0xab);
    }
    gy_heap_free(&heap, block);
    zeroed = gy_heap_zalloc(&heap, 100, GY_MEM_TABLE);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(zeroed[i], 0);
    }
    gy_heap_free(&heap, zeroed);
    gy_heap_free(&heap, NULL);
    gy_heap_unmap(&heap, NULL, GY_PAGE, GY_MEM_TABLE);
    assert_true(heap.used == 0);
}

/* Goal:   a forked child has no share of mapped memory: the device's pages stay ours.
 * Method: ask the kernel in the child, which reports a buffer that it cannot read as EFAULT. */
static void
heap_map_is_absent_in_a_forked_child(void **state)
{
    struct gy_heap heap;
    int pipe_ends[2];
    int child_status;
    uint8_t *base;
    pid_t child;
    (void)state;

    gy_heap_init(&heap, UINT64_MAX);
    base = gy_heap_map(&heap, GY_PAGE, GY_MEM_BUFFERS);
    assert_int_equal(base[GY_PAGE - 1], 0);
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(write(pipe_ends[1], base, 1), 1); /* here it can be read */
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(write(pipe_ends[1], base, 1) == -1 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &child_status, 0), child);
    assert_true(WIFEXITED(child_status) && WEXITSTATUS(child_status) == 0);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    gy_heap_unmap(&heap, base, GY_PAGE, GY_MEM_BUFFERS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_refuses_without_change_at_the_limit),
        cmocka_unit_test(heap_keeps_what_was_promised),
        cmocka_unit_test(heap_breakdown_adds_up_under_random_use),
        cmocka_unit_test(heap_fails_exactly_the_named_allocation),
        cmocka_unit_test(heap_keeps_the_block_when_realloc_is_refused),
        cmocka_unit_test(heap_map_is_absent_in_a_forked_child),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
