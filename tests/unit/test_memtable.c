/* test_memtable.c - the memtable against a sorted array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "engine/mem/memtable.h"
#include "io/base/bits.h"
#include "io/base/rng.h"

#define KEY_MAX 24u
#define MODEL_MAX 20000u

struct model_entry {
    uint8_t key[KEY_MAX];
    size_t key_size;
    uint64_t tag;
    uint64_t value; /* its bytes are the entry's value, or none for a delete */
};

struct fixture {
    struct gy_heap heap;
    struct gy_region_pool pool;
    struct gy_memtable *memtable;
    struct gy_rng rng;
    struct model_entry *model; /* sorted by gy_entry_compare */
    uint32_t count;
};

static struct gyre_slice
key_of(const struct model_entry *entry)
{
    return gyre_slice(entry->key, entry->key_size);
}

static void
begin(struct fixture *f, uint64_t seed)
{
    *f = (struct fixture){0};
    gy_rng_init(&f->rng, seed);
    gy_heap_init(&f->heap, UINT64_MAX);
    gy_region_pool_init(&f->pool, &f->heap, 4);
    f->memtable = gy_memtable_make(&f->heap, &f->pool, seed);
    f->model = malloc(MODEL_MAX * sizeof(*f->model));
    assert_true(f->memtable != NULL && f->model != NULL);
}

static void
end(struct fixture *f)
{
    gy_memtable_unref(f->memtable);
    gy_region_pool_fini(&f->pool);
    assert_int_equal(f->heap.used, 0);
    free(f->model);
}

/* How keys are made: what decides their order lies in the first bytes, behind a common start, or in
 * trailing zeros. */
enum shape { TINY, ZEROS, COMMON_START, NUMBERS, WIDE, SHAPES };

static void
random_key(struct gy_rng *rng, enum shape shape, struct model_entry *entry)
{
    static const char start[] = "a-common-start";
    size_t at = 0;

    if (shape == NUMBERS) {
        const uint64_t number = gy_rng_below(rng, 5000);

        memset(entry->key, '0', 16);
        for (uint64_t rest = number, digit = 15; rest > 0; rest /= 10) {
            entry->key[digit--] = (uint8_t)('0' + rest % 10);
        }
        entry->key_size = 16;
        return;
    }
    if (shape == COMMON_START && gy_rng_below(rng, 20) != 0) {
        at = gy_rng_below(rng, 4) == 0 ? gy_rng_below(rng, 14) : 14;
        memcpy(entry->key, start, at);
    }
    entry->key_size = at + 1 + gy_rng_below(rng, shape == WIDE ? KEY_MAX - at : 10);
    entry->key_size = entry->key_size > KEY_MAX ? KEY_MAX : entry->key_size;
    for (; at < entry->key_size; at++) {
        const uint64_t letter = gy_rng_next(rng);

        entry->key[at] = (uint8_t)(shape == ZEROS  ? letter % 8 == 0
                                   : shape == WIDE ? letter
                                                   : 0x7f + letter % 3);
    }
}

/* First model entry that is not in front of (key, tag). */
static uint32_t
model_seek(const struct fixture *f, struct gyre_slice key, uint64_t tag)
{
    uint32_t low = 0;
    uint32_t high = f->count;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (gy_entry_compare(key_of(&f->model[middle]), f->model[middle].tag, key, tag) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct gyre_slice
value_of(const struct model_entry *entry)
{
    return gy_tag_kind(entry->tag) == GY_KIND_DELETE ? gyre_slice(NULL, 0)
                                                     : gyre_slice(&entry->value, 8);
}

static void
add(struct fixture *f, const struct model_entry *entry)
{
    const uint32_t at = model_seek(f, key_of(entry), entry->tag);
    const struct gyre_slice value = value_of(entry);

    assert_true(f->count < MODEL_MAX);
    memmove(&f->model[at + 1], &f->model[at], (f->count - at) * sizeof(*f->model));
    f->model[at] = *entry;
    f->count++;
    assert_true(gy_memtable_reserve(f->memtable, entry->key_size + value.size, 1));
    gy_memtable_add(f->memtable, key_of(entry), entry->tag, value);
}

static void
assert_entry(const struct gy_entry *entry, const struct model_entry *expected)
{
    const struct gyre_slice value = value_of(expected);

    assert_int_equal(entry->key.size, expected->key_size);
    assert_memory_equal(entry->key.data, expected->key, expected->key_size);
    assert_true(entry->tag == expected->tag);
    assert_int_equal(entry->value.size, value.size);
    if (value.size > 0) {
        assert_memory_equal(entry->value.data, value.data, value.size);
    }
}

static void
assert_at(const struct fixture *f, const struct gy_memtable_iter *iter, int64_t expected)
{
    const bool is_inside = expected >= 0 && expected < (int64_t)f->count;

    assert_int_equal(gy_memtable_iter_is_valid(iter), is_inside);
    if (is_inside) {
        const struct gy_entry entry = gy_memtable_iter_entry(iter);

        assert_entry(&entry, &f->model[expected]);
    }
}

static void
check_get(struct fixture *f, struct gyre_slice key, uint64_t sequence)
{
    const uint32_t at = model_seek(f, key, gy_tag_seek(sequence));
    const bool expected = at < f->count && gy_key_compare(key_of(&f->model[at]), key) == 0;
    struct gy_entry entry;

    assert_int_equal(gy_memtable_get(f->memtable, key, sequence, &entry), expected);
    if (expected) {
        assert_entry(&entry, &f->model[at]);
    }
}

static void
check_seeks(struct fixture *f, struct gyre_slice key, uint64_t tag)
{
    const int64_t at = model_seek(f, key, tag);
    struct gy_memtable_iter iter;

    gy_memtable_iter_init(&iter, f->memtable);
    assert_false(gy_memtable_iter_is_valid(&iter));
    gy_memtable_iter_seek(&iter, key, tag);
    assert_at(f, &iter, at);
    gy_memtable_iter_seek_before(&iter, key, tag);
    assert_at(f, &iter, at - 1);
    for (int64_t i = at - 2; i >= at - 4 && gy_memtable_iter_is_valid(&iter); i--) {
        gy_memtable_iter_prev(&iter);
        assert_at(f, &iter, i);
    }
}

static void
check_whole_walk(struct fixture *f)
{
    struct gy_memtable_iter iter;
    int64_t at = 0;

    gy_memtable_iter_init(&iter, f->memtable);
    for (gy_memtable_iter_first(&iter); gy_memtable_iter_is_valid(&iter);
         gy_memtable_iter_next(&iter)) {
        assert_at(f, &iter, at++);
    }
    assert_int_equal(at, f->count);
    for (gy_memtable_iter_last(&iter); gy_memtable_iter_is_valid(&iter);
         gy_memtable_iter_prev(&iter)) {
        assert_at(f, &iter, --at);
    }
    assert_int_equal(at, 0);
    assert_int_equal(gy_memtable_count(f->memtable), f->count);
}

/* Goal:   gets, seeks and walks in both directions agree with a sorted array, for every sequence.
 * Method: random adds (often a newer version of a key, or a delete) and questions between them,
 *         over key shapes that tie in their prefixes. */
static void
run_model(enum shape shape, uint64_t seed, uint32_t count)
{
    struct fixture f;

    begin(&f, seed);
    for (uint64_t sequence = 1; f.count < count; sequence++) {
        struct model_entry entry = {.value = sequence};
        struct model_entry probe;

        random_key(&f.rng, shape, &entry);
        entry.tag = gy_tag(sequence, gy_rng_below(&f.rng, 4) == 0 ? GY_KIND_DELETE : GY_KIND_PUT);
        add(&f, &entry);
        random_key(&f.rng, shape, &probe);
        check_get(&f, key_of(&probe), gy_rng_below(&f.rng, sequence + 2));
        check_get(&f, key_of(&entry), sequence);
        check_get(&f, key_of(&entry), sequence - 1);
        check_seeks(&f, key_of(&probe), gy_tag_seek(gy_rng_below(&f.rng, sequence + 2)));
        check_seeks(&f, key_of(&entry), entry.tag);
    }
    check_whole_walk(&f);
    assert_true(gy_memtable_sequence_first(f.memtable) == 1);
    assert_true(gy_memtable_sequence_last(f.memtable) == count);
    end(&f);
}

static void
memtable_agrees_with_a_sorted_array(void **state)
{
    (void)state;

    for (enum shape shape = TINY; shape < SHAPES; shape++) {
        for (uint64_t seed = 0; seed < 6; seed++) {
            run_model(shape, seed * 10 + shape, seed == 0 ? 40 : 500 * (uint32_t)seed);
        }
    }
}

/* Goal:   ordered input, which takes short cuts, gives the same table: ascending, descending, from
 *         both ends, and many versions of one key.
 * Method: build each, compare whole walks with the array, and all gets. */
static void
memtable_agrees_when_keys_come_in_order(void **state)
{
    (void)state;

    for (unsigned pattern = 0; pattern < 5; pattern++) {
        struct fixture f;

        begin(&f, pattern);
        for (uint32_t i = 0; i < 5000; i++) {
            struct model_entry entry = {.key_size = 12, .value = i, .tag = gy_tag(i + 1, 1)};
            const uint32_t number = pattern == 0   ? i
                                    : pattern == 1 ? 10000 - i
                                    : pattern == 2 ? (i % 2 == 0 ? i : 10000 - i)
                                    : pattern == 3 ? 7
                                                   : i / 64 * 64 + (63 - i % 64);

            for (unsigned byte = 0; byte < 4; byte++) {
                entry.key[8 + byte] = (uint8_t)(number >> (24 - 8 * byte));
            }
            add(&f, &entry);
        }
        check_whole_walk(&f);
        for (uint32_t i = 0; i < f.count; i++) {
            check_get(&f, key_of(&f.model[i]), 1 + gy_rng_below(&f.rng, 5000));
        }
        end(&f);
    }
}

/* Goal:   an iterator stays where it is while entries are added around it, and sees those that come
 *         behind it.
 * Method: stand on a random entry, add, and go one step in either direction; compare with the
 *         array. */
static void
memtable_iterator_survives_adds(void **state)
{
    struct fixture f;
    struct gy_memtable_iter iter;
    (void)state;

    begin(&f, 9);
    gy_memtable_iter_init(&iter, f.memtable);
    for (uint64_t sequence = 1; sequence < 4000; sequence++) {
        struct model_entry entry = {.value = sequence, .tag = gy_tag(sequence, GY_KIND_PUT)};

        if (!gy_memtable_iter_is_valid(&iter) && f.count > 0) {
            const struct model_entry *any = &f.model[gy_rng_below(&f.rng, f.count)];

            gy_memtable_iter_seek(&iter, key_of(any), any->tag);
        }
        random_key(&f.rng, sequence % 2 == 0 ? ZEROS : COMMON_START, &entry);
        add(&f, &entry);
        if (gy_memtable_iter_is_valid(&iter)) {
            const struct gy_entry here = gy_memtable_iter_entry(&iter);
            const int64_t at = model_seek(&f, here.key, here.tag);

            assert_at(&f, &iter, at);
            if (gy_rng_below(&f.rng, 2) == 0) {
                gy_memtable_iter_next(&iter);
                assert_at(&f, &iter, at + 1);
            } else {
                gy_memtable_iter_prev(&iter);
                assert_at(&f, &iter, at - 1);
            }
        }
    }
    end(&f);
}

/* Goal:   after a reservation that was granted, adds never ask for memory (M5), single ones and
 *         batches; one that is refused changes nothing.
 * Method: fail the n-th allocation, for every n until all passes; take all memory away for the
 *         adds. */
static uint32_t
fill_under_failure(struct fixture *f, uint64_t fail_at, bool *ret_refused)
{
    uint64_t sequence = 1;

    *ret_refused = false;
    f->heap.allocation_count = 0;
    f->heap.fail_at = fail_at;
    for (uint32_t round = 0; round < 250; round++) {
        const uint32_t batch = round % 7 == 3 ? 400 : 1 + round % 3;
        const uint64_t value_size = round % 10 == 9 && batch < 400 ? 40000 : 50;
        const uint64_t bytes_before = gy_memtable_bytes(f->memtable);
        static uint8_t value[40000];
        uint64_t limit;

        if (!gy_memtable_reserve(f->memtable, batch * (8 + value_size), batch)) {
            *ret_refused = true;
            assert_true(gy_memtable_bytes(f->memtable) <= bytes_before + 2 * GY_REGION_CHUNK);
            continue;
        }
        limit = f->heap.limit;
        f->heap.limit = 0;
        for (uint32_t i = 0; i < batch; i++) {
            const uint64_t key = gy_rng_next(&f->rng);

            gy_memtable_add(f->memtable, gyre_slice(&key, 8), gy_tag(sequence++, GY_KIND_PUT),
                            gyre_slice(value, value_size));
        }
        f->heap.limit = limit;
    }
    return (uint32_t)(sequence - 1);
}

static void
memtable_add_after_reserve_never_fails(void **state)
{
    bool refused = true;
    uint64_t fail_at = 0;
    (void)state;

    while (refused) {
        struct fixture f;
        struct gy_memtable_iter iter;
        uint32_t added;
        uint32_t seen = 0;

        begin(&f, 11);
        added = fill_under_failure(&f, ++fail_at, &refused);
        gy_memtable_iter_init(&iter, f.memtable);
        for (gy_memtable_iter_first(&iter); gy_memtable_iter_is_valid(&iter);
             gy_memtable_iter_next(&iter)) {
            seen++;
        }
        assert_int_equal(seen, added);
        assert_int_equal(gy_memtable_count(f.memtable), added);
        end(&f);
    }
    assert_in_range(fail_at, 10, 100); /* memory was asked for, and failures were met */
}

/* Goal:   a memtable is not made half, and a reservation past all memory is refused.
 * Method: fail its first allocation; ask for absurd sizes. */
static void
memtable_make_and_reserve_refuse(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f, 1);
    f.heap.fail_at = f.heap.allocation_count + 1;
    assert_null(gy_memtable_make(&f.heap, &f.pool, 1));
    assert_false(gy_memtable_reserve(f.memtable, UINT64_MAX, 1));
    assert_false(gy_memtable_reserve(f.memtable, UINT64_MAX - 100, 3));
    assert_false(gy_memtable_reserve(f.memtable, SIZE_MAX / 2, 1));
    assert_int_equal(gy_memtable_bytes(f.memtable), 0);
    end(&f);
}

/* Goal:   the figures that decide when to flush: count, bytes, sequences; frozen stays frozen;
 *         slices live while somebody holds the memtable.
 * Method: an empty table, two entries in odd order, a second reference. */
static void
memtable_tells_its_state(void **state)
{
    const struct gyre_slice value = gyre_str("0123456789");
    struct fixture f;
    struct gy_entry entry;
    struct gy_memtable_iter iter;
    (void)state;

    begin(&f, 1);
    gy_memtable_iter_init(&iter, f.memtable);
    gy_memtable_iter_first(&iter);
    assert_false(gy_memtable_iter_is_valid(&iter));
    gy_memtable_iter_last(&iter);
    assert_false(gy_memtable_iter_is_valid(&iter));
    assert_false(gy_memtable_get(f.memtable, gyre_str("a"), 9, &entry));
    assert_true(gy_memtable_count(f.memtable) == 0 && gy_memtable_used(f.memtable) == 0);
    assert_true(gy_memtable_sequence_first(f.memtable) == 0);
    assert_true(gy_memtable_sequence_last(f.memtable) == 0);
    assert_true(gy_memtable_reserve(f.memtable, 30, 2));
    gy_memtable_add(f.memtable, gyre_str("b"), gy_tag(8, GY_KIND_PUT), value);
    gy_memtable_add(f.memtable, gyre_str("a"), gy_tag(5, GY_KIND_PUT), value);
    assert_true(gy_memtable_sequence_first(f.memtable) == 5);
    assert_true(gy_memtable_sequence_last(f.memtable) == 8);
    assert_true(gy_memtable_used(f.memtable) >= 22);
    assert_true(gy_memtable_used(f.memtable) <= gy_memtable_bytes(f.memtable));
    assert_false(gy_memtable_is_frozen(f.memtable));
    gy_memtable_freeze(f.memtable);
    assert_true(gy_memtable_is_frozen(f.memtable));
    gy_memtable_ref(f.memtable);
    gy_memtable_unref(f.memtable);
    assert_true(gy_memtable_get(f.memtable, gyre_str("a"), 9, &entry));
    assert_memory_equal(entry.value.data, "0123456789", 10);
    gy_memtable_unref(NULL);
    end(&f);
}

/* Goal:   chunks that are kept warm do not stand in the way of what they are kept for: a memtable,
 *         and a value that needs a chunk of its own. */
static void
memtable_finds_memory_that_the_pool_keeps(void **state)
{
    static const uint8_t value[1000];
    struct fixture f;
    (void)state;

    begin(&f, 1);
    for (uint64_t i = 0; i < 1000; i++) {
        const struct gyre_slice key = gyre_slice(&i, sizeof(i));

        assert_true(gy_memtable_reserve(f.memtable, sizeof(i) + sizeof(value), 1));
        gy_memtable_add(f.memtable, key, gy_tag(i + 1, GY_KIND_PUT),
                        gyre_slice(value, sizeof(value)));
    }
    gy_memtable_unref(f.memtable);
    assert_in_range(f.pool.free_count, 3, 4);
    f.heap.limit = f.heap.used; /* the pool has it all */
    f.memtable = gy_memtable_make(&f.heap, &f.pool, 2);
    assert_non_null(f.memtable);
    assert_true(gy_memtable_reserve(f.memtable, GY_REGION_CHUNK / 2, 1));
    assert_true(f.heap.used <= f.heap.limit);
    end(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memtable_agrees_with_a_sorted_array),
        cmocka_unit_test(memtable_agrees_when_keys_come_in_order),
        cmocka_unit_test(memtable_iterator_survives_adds),
        cmocka_unit_test(memtable_add_after_reserve_never_fails),
        cmocka_unit_test(memtable_make_and_reserve_refuse),
        cmocka_unit_test(memtable_tells_its_state),
        cmocka_unit_test(memtable_finds_memory_that_the_pool_keeps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
