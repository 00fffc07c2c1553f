/* test_memtree.c - the memtable's tree where test_memtable.c does not get: without memory for
 * blocks, with common starts of keys, with several levels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "engine/mem/memtree.h"
#include "io/base/rng.h"

#define KEY_MAX 80u

struct fixture {
    struct gy_heap heap;
    struct gy_region_pool pool;
    struct gy_region region; /* of blocks only: entries lie in memory of the test */
    struct gy_memtree tree;
    struct gy_memnode **sorted;
    uint32_t count;
};

static void
begin(struct fixture *f, uint32_t count_max)
{
    *f = (struct fixture){0};
    gy_heap_init(&f->heap, UINT64_MAX);
    gy_region_pool_init(&f->pool, &f->heap, 0);
    gy_region_init(&f->region, &f->pool);
    gy_memtree_init(&f->tree, &f->region);
    f->sorted = malloc(count_max * sizeof(struct gy_memnode *));
    assert_non_null(f->sorted);
}

static void
end(struct fixture *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        free(f->sorted[i]);
    }
    free(f->sorted);
    gy_region_fini(&f->region);
    gy_region_pool_fini(&f->pool);
    assert_int_equal(f->heap.used, 0);
}

/* First of the sorted entries that is not in front of (key, tag). */
static uint32_t
model_seek(const struct fixture *f, struct gyre_slice key, uint64_t tag)
{
    uint32_t low = 0;
    uint32_t high = f->count;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        const struct gy_memnode *node = f->sorted[middle];

        if (gy_entry_compare(gy_memnode_key(node), node->tag, key, tag) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void
add(struct fixture *f, struct gyre_slice key, uint64_t tag)
{
    const uint32_t at = model_seek(f, key, tag);
    struct gy_memnode *node = malloc(gy_memnode_size(key.size));

    assert_non_null(node);
    gy_memtree_add(&f->tree, node, key, tag, gyre_slice(NULL, 0));
    memmove(&f->sorted[at + 1], &f->sorted[at], (f->count - at) * sizeof(f->sorted[0]));
    f->sorted[at] = node;
    f->count++;
}

static void
check(struct fixture *f, struct gyre_slice key, uint64_t tag)
{
    const uint32_t at = model_seek(f, key, tag);
    const struct gy_memnode *next = at < f->count ? f->sorted[at] : NULL;
    const bool found = next != NULL && gy_key_compare(gy_memnode_key(next), key) == 0;
    const struct gy_memnode *before = gy_memtree_before(&f->tree, key, tag);

    assert_ptr_equal(before, at == 0 ? f->tree.front : f->sorted[at - 1]);
    assert_ptr_equal(before->next, next);
    assert_ptr_equal(gy_memtree_find(&f->tree, key, tag), found ? next : NULL);
}

/* All entries are there in order; fetching ahead from any of them does no harm. */
static void
check_all(struct fixture *f)
{
    struct gy_memtrail trail = {0};
    const struct gy_memnode *node = f->tree.front;

    for (uint32_t i = 0; i < f->count; i++) {
        node = node->next;
        assert_ptr_equal(node, f->sorted[i]);
        gy_memtree_fetch_ahead(&f->tree, &trail, node);
        check(f, gy_memnode_key(node), node->tag);
    }
    assert_null(node->next);
    assert_ptr_equal(f->tree.tail, node);
}

static struct gyre_slice
number_key(uint8_t *bytes, uint32_t number, size_t start, size_t rest)
{
    memset(bytes, 'c', start);
    for (unsigned i = 0; i < 4; i++) {
        bytes[start + i] = (uint8_t)(number >> (24 - 8 * i));
    }
    memset(bytes + start + 4, 'r', rest);
    return gyre_slice(bytes, start + 4 + rest);
}

/* Goal:   without memory for blocks the table is right, only slower (T3); and it stays right when
 *         there is memory again.
 * Method: no blocks at all; blocks for the first entries only; blocks for later ones only; now and
 *         then. */
static void
memtree_is_right_without_blocks(void **state)
{
    (void)state;

    for (unsigned plan = 0; plan < 4; plan++) {
        struct fixture f;
        struct gy_rng rng;
        uint8_t bytes[KEY_MAX];

        begin(&f, 2000);
        gy_rng_init(&rng, plan);
        for (uint32_t i = 0; i < 2000; i++) {
            const uint32_t number = i % 5 == 0 ? 100000 + i : (uint32_t)gy_rng_below(&rng, 100000);
            const struct gyre_slice key = number_key(bytes, number, 3, 2);
            const bool now = plan == 1   ? i < 300
                             : plan == 2 ? i > 300
                             : plan == 3 ? i % 100 < 3
                                         : false;

            if (now) {
                assert_true(gy_memtree_prepare(&f.tree, 1));
            } else {
                f.tree.slab_size = 0; /* lost: nobody else uses it */
            }
            add(&f, key, gy_tag(i + 1, GY_KIND_PUT));
            check(&f, number_key(bytes, (uint32_t)gy_rng_below(&rng, 100000), 3, 2),
                  gy_tag_seek(gy_rng_below(&rng, i + 2)));
        }
        assert_true(f.tree.partial); /* the case was met */
        check_all(&f);
        end(&f);
    }
}

/* Goal:   preparing gives all the blocks that a single add may need, so that the tree stays
 *         complete.
 * Method: random, ascending and descending entries, enough for three levels. */
static void
memtree_stays_complete_when_prepared(void **state)
{
    (void)state;

    for (unsigned order = 0; order < 3; order++) {
        struct fixture f;
        struct gy_rng rng;
        uint8_t bytes[KEY_MAX];

        begin(&f, 30000);
        gy_rng_init(&rng, order);
        for (uint32_t i = 0; i < 30000; i++) {
            const uint32_t number = order == 0   ? (uint32_t)gy_rng_next(&rng)
                                    : order == 1 ? i
                                                 : UINT32_MAX - i;

            assert_true(gy_memtree_prepare(&f.tree, 1));
            add(&f, number_key(bytes, number, 3, 2), gy_tag(i + 1, GY_KIND_PUT));
        }
        assert_false(f.tree.partial);
        assert_in_range(f.tree.height, 2, 4);
        /* Entries in ascending order leave full blocks behind. */
        assert_true(f.tree.block_bytes < (order == 1 ? 20u : 40u) * f.count);
        check_all(&f);
        end(&f);
    }
}

/* Goal:   preparing looks at the worst case: a leaf, all levels and the root at once.
 * Method: ascending entries fill them all at the same time. Before each add the slab is cut to one
 *         byte less than that takes, so that only what `prepare` adds can serve. */
static void
memtree_prepares_for_splits_on_all_levels(void **state)
{
    struct fixture f;
    uint8_t bytes[KEY_MAX];
    (void)state;

    begin(&f, 1200);
    for (uint32_t i = 0; i < 1200; i++) {
        f.tree.slab_size = (f.tree.height + 1) * 768 + 511;
        assert_true(gy_memtree_prepare(&f.tree, 1));
        add(&f, number_key(bytes, i, 3, 2), gy_tag(i + 1, GY_KIND_PUT));
    }
    assert_false(f.tree.partial);
    assert_int_equal(f.tree.height, 2);
    check_all(&f);
    end(&f);
}

/* Goal:   what the first keys had in common does not bind the later ones (T5): below, above,
 *         shorter, equal to the common start, and far longer.
 * Method: fill the first leaf with keys that begin alike, for starts of many sizes, then add
 *         others. */
static void
memtree_takes_keys_without_the_common_start(void **state)
{
    (void)state;

    for (size_t start = 0; start < 74; start += start < 12 ? 1 : 7) {
        struct fixture f;
        struct gy_rng rng;
        uint8_t bytes[KEY_MAX];

        begin(&f, 1100);
        gy_rng_init(&rng, start);
        for (uint32_t i = 0; i < 1100; i++) {
            struct gyre_slice key = number_key(bytes, (uint32_t)gy_rng_below(&rng, 5000), start,
                                               start % 3 == 0 ? 0 : 2);

            if (i > 40 && i % 2 == 0) {
                const size_t at = gy_rng_below(&rng, key.size);

                bytes[at] = (uint8_t)(bytes[at] + (i % 4 == 0 ? 1 : -1));
            }
            if (i > 40 && i % 7 == 0) {
                key.size = 1 + gy_rng_below(&rng, key.size);
            }
            assert_true(gy_memtree_prepare(&f.tree, 1));
            add(&f, key, gy_tag(i + 1, GY_KIND_PUT));
            if (i % 9 == 0) {
                key.size = 1 + gy_rng_below(&rng, key.size);
                check(&f, key, gy_tag_seek(i));
            }
        }
        assert_true(f.tree.learned);
        assert_true(start < 12 || f.tree.common_size >= 8);
        check_all(&f);
        end(&f);
    }
}

/* Goal:   keys whose 8 bytes all tie are told apart by the rest, over several blocks.
 * Method: keys that differ behind the longest common start that is kept, and versions of one key.
 *         */
static void
memtree_tells_tied_keys_apart(void **state)
{
    struct fixture f;
    struct gy_rng rng;
    uint8_t bytes[KEY_MAX];
    (void)state;

    begin(&f, 6000);
    gy_rng_init(&rng, 7);
    for (uint32_t i = 0; i < 6000; i++) {
        const uint32_t number = i % 2 == 0 ? 77 : (uint32_t)gy_rng_below(&rng, 3000);

        assert_true(gy_memtree_prepare(&f.tree, 1));
        add(&f, number_key(bytes, number, KEY_MAX - 6, 1), gy_tag(i + 1, GY_KIND_PUT));
        check(&f, number_key(bytes, 77, KEY_MAX - 6, 1), gy_tag_seek(gy_rng_below(&rng, i + 2)));
    }
    assert_true(gy_memtree_find(&f.tree, gyre_str("c"), 0) == NULL);
    check_all(&f);
    end(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memtree_is_right_without_blocks),
        cmocka_unit_test(memtree_stays_complete_when_prepared),
        cmocka_unit_test(memtree_prepares_for_splits_on_all_levels),
        cmocka_unit_test(memtree_takes_keys_without_the_common_start),
        cmocka_unit_test(memtree_tells_tied_keys_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
