/* test_merge_cursor.c - merging against a sorted array: any children, both directions, children
 * that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/lsm/cursors.h"
#include "io/base/rng.h"
#include "tests/support/array_cursor.h"

#define ENTRIES_MAX 200u
#define CHILDREN_MAX 9u
#define KEY_MAX 12u

static struct gy_heap heap;

/* Entries sorted by (key, tag), dealt out to children that keep the order. */
struct rig {
    uint8_t keys[ENTRIES_MAX][KEY_MAX];
    struct gy_entry all[ENTRIES_MAX];
    uint32_t owner[ENTRIES_MAX];
    struct gy_entry of_child[CHILDREN_MAX][ENTRIES_MAX];
    struct array_cursor children[CHILDREN_MAX];
    uint32_t count;
    uint32_t child_count;
    struct gy_cursor *merge;
};

static void
sort(struct gy_entry *entries, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        const struct gy_entry moving = entries[i];
        uint32_t at = i;

        while (at > 0 && gy_entry_compare(moving.key, moving.tag, entries[at - 1].key,
                                          entries[at - 1].tag) < 0) {
            entries[at] = entries[at - 1];
            at--;
        }
        entries[at] = moving;
    }
}

/* Keys that share prefixes, are prefixes of each other, hold zero bytes, are shorter than 8: all
 * that the number beside a heap node must not be fooled by. */
static struct gyre_slice
random_key(struct gy_rng *rng, uint8_t *target)
{
    static const uint8_t letters[] = {0, 1, 'a', 0xff};
    const size_t size = 1 + gy_rng_below(rng, KEY_MAX);

    for (size_t i = 0; i < size; i++) {
        target[i] = i < 5 && gy_rng_below(rng, 4) > 0 ? 'a' : letters[gy_rng_below(rng, 4)];
    }
    return gyre_slice(target, size);
}

static void
deal(struct rig *rig, struct gy_rng *rng)
{
    uint32_t counts[CHILDREN_MAX] = {0};
    uint32_t owner = 0;

    for (uint32_t i = 0; i < rig->count; i++) {
        if (rig->child_count > 0 && gy_rng_below(rng, 3) > 0) { /* runs of one child, too */
            owner = (uint32_t)gy_rng_below(rng, rig->child_count);
        }
        rig->owner[i] = owner;
        rig->of_child[owner][counts[owner]++] = rig->all[i];
    }
    for (uint32_t i = 0; i < rig->child_count; i++) {
        array_cursor_init(&rig->children[i], rig->of_child[i], counts[i]);
    }
}

static void
make_merge(struct rig *rig)
{
    struct gy_cursor *children[CHILDREN_MAX];

    for (uint32_t i = 0; i < rig->child_count; i++) {
        children[i] = &rig->children[i].cursor;
    }
    assert_int_equal(gy_merge_cursor_make(&heap, children, rig->child_count, &rig->merge), GYRE_OK);
}

static void
rig_init(struct rig *rig, uint64_t seed)
{
    struct gy_rng rng;

    gy_rng_init(&rng, seed);
    rig->child_count = (uint32_t)gy_rng_below(&rng, CHILDREN_MAX + 1);
    rig->count = rig->child_count == 0 ? 0 : (uint32_t)gy_rng_below(&rng, ENTRIES_MAX + 1);
    for (uint32_t i = 0; i < rig->count; i++) {
        /* A sequence of its own for each, so (key, tag) is unique however often a key comes. */
        rig->all[i].key = random_key(&rng, rig->keys[i]);
        rig->all[i].tag = gy_tag(i, gy_rng_below(&rng, 2) == 0 ? GY_KIND_PUT : GY_KIND_DELETE);
        rig->all[i].value = gyre_slice(rig->keys[i], 1);
    }
    sort(rig->all, rig->count);
    deal(rig, &rng);
    make_merge(rig);
}

static void
rig_fini(struct rig *rig)
{
    gy_cursor_close(rig->merge);
    for (uint32_t i = 0; i < rig->child_count; i++) {
        assert_true(rig->children[i].is_closed);
    }
    assert_int_equal(heap.used, 0);
}

static int64_t
lower_bound(const struct rig *rig, struct gyre_slice key, uint64_t tag)
{
    int64_t at = 0;

    while (at < (int64_t)rig->count &&
           gy_entry_compare(rig->all[at].key, rig->all[at].tag, key, tag) < 0) {
        at++;
    }
    return at;
}

static void
assert_at(const struct rig *rig, int64_t at)
{
    const bool valid = at >= 0 && at < (int64_t)rig->count;

    assert_int_equal(rig->merge->status, GYRE_OK);
    assert_int_equal(rig->merge->valid, valid);
    if (valid) {
        assert_ptr_equal(rig->merge->entry.key.data, rig->all[at].key.data);
        assert_int_equal(rig->merge->entry.tag, rig->all[at].tag);
        assert_ptr_equal(rig->merge->entry.value.data, rig->all[at].value.data);
    }
}

/* One random move; returns where it has to lead. */
static int64_t
random_move(struct rig *rig, struct gy_rng *rng, int64_t at)
{
    const struct gy_cursor_ops *ops = rig->merge->ops;
    uint8_t bytes[KEY_MAX];
    struct gyre_slice key = random_key(rng, bytes);
    uint64_t tag = gy_rng_below(rng, ENTRIES_MAX << 8);

    if (rig->count > 0 && gy_rng_below(rng, 2) == 0) { /* one that is there */
        const struct gy_entry *entry = &rig->all[gy_rng_below(rng, rig->count)];

        key = entry->key;
        tag = entry->tag;
    }
    switch (rig->merge->valid ? gy_rng_below(rng, 12) : gy_rng_below(rng, 4)) {
    case 0:
        ops->first(rig->merge);
        return 0;
    case 1:
        ops->last(rig->merge);
        return (int64_t)rig->count - 1;
    case 2:
        ops->seek(rig->merge, key, tag);
        return lower_bound(rig, key, tag);
    case 3:
        ops->seek_before(rig->merge, key, tag);
        return lower_bound(rig, key, tag) - 1;
    case 4:
    case 5:
    case 6:
        ops->prev(rig->merge);
        return at - 1;
    default:
        ops->next(rig->merge);
        return at + 1;
    }
}

/* Goal:   a merge shows at each step what the sorted array of all entries shows, whatever the
 *         moves.
 * Method: random children, empty ones and none at all among them; random moves, turning round
 *         often. */
static void
merge_cursor_walks_like_a_sorted_array(void **state)
{
    static struct rig rig;
    (void)state;

    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct gy_rng rng;
        int64_t at = -1;

        rig_init(&rig, seed);
        gy_rng_init(&rng, seed * 77);
        for (uint32_t step = 0; step < 100; step++) {
            at = random_move(&rig, &rng, at);
            assert_at(&rig, at);
        }
        rig_fini(&rig);
    }
}

/* Goal:   whole walks in both directions see every entry once.
 * Method: first to end, last to end. */
static void
merge_cursor_sees_all_entries_in_both_directions(void **state)
{
    static struct rig rig;
    (void)state;

    for (uint64_t seed = 5000; seed < 5300; seed++) {
        int64_t at = 0;

        rig_init(&rig, seed);
        for (rig.merge->ops->first(rig.merge); rig.merge->valid; rig.merge->ops->next(rig.merge)) {
            assert_at(&rig, at++);
        }
        assert_at(&rig, at);
        assert_int_equal(at, rig.count);
        for (rig.merge->ops->last(rig.merge); rig.merge->valid; rig.merge->ops->prev(rig.merge)) {
            assert_at(&rig, --at);
        }
        assert_int_equal(at, 0);
        rig_fini(&rig);
    }
}

/* Goal:   a child's failure is never an end: the merge fails with it at the moment when it could
 *         matter, stays failed, and works again after a seek when the child does (mutant 14).
 * Method: one child fails at one of its entries; walk forward and back. What is shown before is
 *         right. */
static void
merge_cursor_fails_when_a_child_fails(void **state)
{
    static struct rig rig;
    uint32_t failures = 0;
    (void)state;

    for (uint64_t seed = 9000; seed < 9500; seed++) {
        struct array_cursor *bad;
        uint32_t at = 0;

        rig_init(&rig, seed);
        bad = &rig.children[rig.child_count == 0 ? 0 : seed % rig.child_count];
        if (rig.child_count == 0 || bad->count == 0) {
            rig_fini(&rig);
            continue;
        }
        bad->fail_at = (uint32_t)(seed / 7 % bad->count);
        for (rig.merge->ops->first(rig.merge); rig.merge->valid; rig.merge->ops->next(rig.merge)) {
            assert_ptr_equal(rig.merge->entry.key.data, rig.all[at].key.data);
            at++;
        }
        assert_int_equal(rig.merge->status, GYRE_IO);
        assert_true(at < rig.count);
        at = rig.count;
        for (rig.merge->ops->last(rig.merge); rig.merge->valid; rig.merge->ops->prev(rig.merge)) {
            at--;
            assert_ptr_equal(rig.merge->entry.key.data, rig.all[at].key.data);
        }
        assert_int_equal(rig.merge->status, GYRE_IO);
        failures++;
        bad->fail_at = ARRAY_FAIL_NEVER;
        rig.merge->ops->first(rig.merge);
        assert_at(&rig, 0);
        rig_fini(&rig);
    }
    assert_true(failures > 300);
}

/* Goal:   a failure while turning round is one too.
 * Method: walk forward without harm, then let a child fail wherever it is asked to go. */
static void
merge_cursor_fails_when_a_child_fails_in_a_turn(void **state)
{
    static struct rig rig;
    uint32_t failures = 0;
    (void)state;

    for (uint64_t seed = 20000; seed < 20300; seed++) {
        int64_t at = 0;

        rig_init(&rig, seed);
        if (rig.child_count < 2 || rig.count < 20) {
            rig_fini(&rig);
            continue;
        }
        rig.merge->ops->first(rig.merge);
        for (; at < 10; at++) {
            rig.merge->ops->next(rig.merge);
        }
        for (uint32_t i = 0; i < rig.child_count; i++) {
            const struct array_cursor *child = &rig.children[i];

            if (i != rig.owner[at] && child->count > 0 &&
                gy_entry_compare(child->entries[0].key, child->entries[0].tag, rig.all[at].key,
                                 rig.all[at].tag) < 0) {
                uint32_t last_before = 0;

                while (last_before + 1 < child->count &&
                       gy_entry_compare(child->entries[last_before + 1].key,
                                        child->entries[last_before + 1].tag, rig.all[at].key,
                                        rig.all[at].tag) < 0) {
                    last_before++;
                }
                rig.children[i].fail_at = last_before;
                rig.merge->ops->prev(rig.merge);
                assert_false(rig.merge->valid);
                assert_int_equal(rig.merge->status, GYRE_IO);
                failures++;
                break;
            }
        }
        rig_fini(&rig);
    }
    assert_true(failures > 100);
}

/* Goal:   equal (key, tag) in two children both come, the earlier child's first, in both
 *         directions (U2).
 * Method: three children with the same entries; values tell them apart. */
static void
merge_cursor_shows_the_earlier_child_first_when_entries_are_equal(void **state)
{
    static const char keys[] = "abcd";
    static const uint8_t names[] = {0, 1, 2};
    static struct rig rig;
    (void)state;

    rig.child_count = 3;
    rig.count = 12;
    for (uint32_t i = 0; i < 12; i++) {
        rig.all[i] = (struct gy_entry){.key = gyre_slice(&keys[i / 3], 1),
                                       .tag = gy_tag(7, GY_KIND_PUT),
                                       .value = gyre_slice(&names[i % 3], 1)};
        rig.of_child[i % 3][i / 3] = rig.all[i];
    }
    for (uint32_t i = 0; i < 3; i++) {
        array_cursor_init(&rig.children[i], rig.of_child[i], 4);
    }
    make_merge(&rig);
    rig.merge->ops->first(rig.merge);
    for (int64_t at = 0; at < 11; at++) { /* back and forth at each place */
        assert_at(&rig, at);
        rig.merge->ops->next(rig.merge);
        assert_at(&rig, at + 1);
        rig.merge->ops->prev(rig.merge);
        assert_at(&rig, at);
        rig.merge->ops->next(rig.merge);
    }
    assert_at(&rig, 11);
    rig_fini(&rig);
}

/* Goal:   every seek is announced to all children before the first one is asked to go, so that
 *         their reads overlap. */
static void
merge_cursor_announces_a_seek_to_all_children(void **state)
{
    static struct rig rig;
    uint32_t unprepared = 0;
    (void)state;

    for (uint64_t seed = 30000; seed < 30050; seed++) {
        rig_init(&rig, seed);
        for (uint32_t i = 0; i < rig.child_count; i++) {
            rig.children[i].seeks_unprepared = rig.child_count > 1 ? &unprepared : NULL;
        }
        rig.merge->ops->seek(rig.merge, gyre_str("aaaa"), UINT64_MAX);
        rig.merge->ops->seek_before(rig.merge, gyre_str("ab"), UINT64_MAX);
        rig_fini(&rig);
    }
    assert_int_equal(unprepared, 0);
}

/* Goal:   without memory the children are closed all the same, and nothing leaks; moves allocate
 *         nothing. */
static void
merge_cursor_closes_its_children_when_memory_runs_out(void **state)
{
    static struct rig rig;
    struct gy_cursor *children[CHILDREN_MAX];
    struct gy_cursor *merge = NULL;
    (void)state;

    rig_init(&rig, 3);
    const uint64_t allocations = heap.allocation_count;

    for (rig.merge->ops->first(rig.merge); rig.merge->valid; rig.merge->ops->next(rig.merge)) {
    }
    assert_int_equal(heap.allocation_count, allocations);
    rig_fini(&rig);
    for (uint32_t i = 0; i < rig.child_count; i++) {
        rig.children[i].is_closed = false;
        children[i] = &rig.children[i].cursor;
    }
    heap.fail_at = heap.allocation_count + 1;
    assert_int_equal(gy_merge_cursor_make(&heap, children, rig.child_count, &merge),
                     GYRE_NO_MEMORY);
    heap.fail_at = 0;
    for (uint32_t i = 0; i < rig.child_count; i++) {
        assert_true(rig.children[i].is_closed);
    }
    assert_int_equal(heap.used, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merge_cursor_walks_like_a_sorted_array),
        cmocka_unit_test(merge_cursor_sees_all_entries_in_both_directions),
        cmocka_unit_test(merge_cursor_fails_when_a_child_fails),
        cmocka_unit_test(merge_cursor_fails_when_a_child_fails_in_a_turn),
        cmocka_unit_test(merge_cursor_shows_the_earlier_child_first_when_entries_are_equal),
        cmocka_unit_test(merge_cursor_announces_a_seek_to_all_children),
        cmocka_unit_test(merge_cursor_closes_its_children_when_memory_runs_out),
    };

    gy_heap_init(&heap, UINT64_MAX);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
