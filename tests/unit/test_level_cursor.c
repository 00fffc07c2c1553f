/* test_level_cursor.c - walks over the tables of a level, on a simulated disk, against a sorted
 * array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/lsm_rig.h"

#define TABLES 9u
#define TABLE_ENTRIES 60u
#define ENTRIES (TABLES * TABLE_ENTRIES)
#define LEVEL 5u

struct test {
    struct lsm_rig rig;
    struct gy_rng rng;
    char keys[ENTRIES][12];
    uint64_t tags[ENTRIES]; /* in the order of the level */
};

static struct gyre_slice
key_at(const struct test *test, int64_t at)
{
    return gyre_str(test->keys[at]);
}

/* Table t holds the keys t000..t019, three versions each; keys of even numbers only, so that
 * there are gaps. */
static GY_SUSPENDS void
await_fill(struct test *test)
{
    for (uint32_t t = 0; t < TABLES; t++) {
        struct gy_memtable *memtable = lsm_rig_memtable(&test->rig);

        for (uint32_t i = 0; i < TABLE_ENTRIES; i++) {
            const uint32_t at = t * TABLE_ENTRIES + i;
            const uint64_t sequence = 3 - i % 3;

            (void)snprintf(test->keys[at], sizeof(test->keys[at]), "%u%03u", t, i / 3 * 2);
            test->tags[at] = gy_tag(sequence, GY_KIND_PUT);
            lsm_rig_add(memtable, key_at(test, at), sequence, GY_KIND_PUT,
                        gyre_str("a value of some length, so that a table has more than one block: "
                                 "0123456789012345678901234567890123456789012345678901234567890"));
        }
        lsm_rig_await_place(&test->rig, memtable, LEVEL);
    }
    assert_int_equal(test->rig.version->levels[LEVEL].count, TABLES);
}

static struct test *
fixture_make(uint64_t seed)
{
    struct test *test = calloc(1, sizeof(*test));

    lsm_rig_init(&test->rig, seed);
    gy_rng_init(&test->rng, seed);
    return test;
}

static void
fixture_free(struct test *test)
{
    lsm_rig_fini(&test->rig);
    free(test);
}

static int64_t
lower_bound(const struct test *test, int64_t from, int64_t end, struct gyre_slice key, uint64_t tag)
{
    while (from < end && gy_entry_compare(key_at(test, from), test->tags[from], key, tag) < 0) {
        from++;
    }
    return from;
}

static void
assert_at(const struct test *test, const struct gy_cursor *cursor, int64_t at, int64_t from,
          int64_t end)
{
    assert_int_equal(cursor->status, GYRE_OK);
    assert_int_equal(cursor->valid, at >= from && at < end);
    if (cursor->valid) {
        assert_int_equal(gy_key_compare(cursor->entry.key, key_at(test, at)), 0);
        assert_int_equal(cursor->entry.tag, test->tags[at]);
    }
}

static GY_SUSPENDS int64_t
await_random_move(struct test *test, struct gy_cursor *cursor, int64_t at, int64_t from,
                  int64_t end)
{
    char text[12];
    uint64_t tag = gy_tag(gy_rng_below(&test->rng, 5), GY_KIND_PUT);
    struct gyre_slice key;

    (void)snprintf(text, sizeof(text), "%u%03u", (unsigned)gy_rng_below(&test->rng, TABLES + 1),
                   (unsigned)gy_rng_below(&test->rng, 45));
    key = gyre_str(text);
    if (gy_rng_below(&test->rng, 3) == 0) { /* announced, or announced in vain */
        gy_cursor_prepare_seek(cursor, key, tag);
        gy_cursor_await_seek(cursor, key, tag);
        return lower_bound(test, from, end, key, tag);
    }
    switch (cursor->valid ? gy_rng_below(&test->rng, 16) : gy_rng_below(&test->rng, 4)) {
    case 0:
        gy_cursor_await_first(cursor);
        return from;
    case 1:
        gy_cursor_await_last(cursor);
        return end - 1;
    case 2:
        gy_cursor_await_seek(cursor, key, tag);
        return lower_bound(test, from, end, key, tag);
    case 3:
        gy_cursor_await_seek_before(cursor, key, tag);
        return lower_bound(test, from, end, key, tag) - 1;
    case 4:
    case 5:
    case 6:
    case 7:
        gy_cursor_await_prev(cursor);
        return at - 1;
    default:
        gy_cursor_await_next(cursor);
        return at + 1;
    }
}

static void
run_walks(void *arg)
{
    static const enum gy_table_cursor_mode modes[] = {GY_CURSOR_USER, GY_CURSOR_COMPACT};
    struct test *test = arg;

    gy_in_coroutine();
    await_fill(test);
    for (uint32_t round = 0; round < 60; round++) {
        const uint32_t first = (uint32_t)gy_rng_below(&test->rng, TABLES + 1);
        const uint32_t count = (uint32_t)gy_rng_below(&test->rng, TABLES + 1 - first);
        const int64_t from = (int64_t)first * TABLE_ENTRIES;
        const int64_t end = from + (int64_t)count * TABLE_ENTRIES;
        struct gy_cursor *cursor;
        int64_t at = from - 1;

        assert_int_equal(gy_level_cursor_make(test->rig.version, LEVEL, first, count,
                                              modes[round % 2], GY_CACHE_NORMAL, 0, &cursor),
                         GYRE_OK);
        for (uint32_t step = 0; step < 100; step++) {
            at = await_random_move(test, cursor, at, from, end);
            at = at < from - 1 ? from - 1 : at;
            assert_at(test, cursor, at, from, end);
        }
        at = from;
        for (gy_cursor_await_first(cursor); cursor->valid; gy_cursor_await_next(cursor)) {
            assert_at(test, cursor, at++, from, end);
        }
        assert_at(test, cursor, at, from, end);
        assert_int_equal(at, end);
        for (gy_cursor_await_last(cursor); cursor->valid; gy_cursor_await_prev(cursor)) {
            assert_at(test, cursor, --at, from, end);
        }
        assert_int_equal(at, from);
        gy_cursor_close(cursor);
    }
}

/* Goal:   a level, or a part of it, walks like a sorted array of its entries, across tables, in
 *         both directions, and from gaps between tables and keys.
 * Method: random moves, some of them announced; whole walks. */
static void
level_cursor_walks_like_a_sorted_array(void **state)
{
    (void)state;

    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct test *test = fixture_make(seed);

        lsm_rig_run(&test->rig, run_walks, test);
        fixture_free(test);
    }
}

static void
run_errors(void *arg)
{
    const struct gy_sim_faults faults = {.rule_count = 1,
                                         .rules = {{.fault = GY_SIM_FAULT_ERROR,
                                                    .op_mask = 1u << GY_OP_READ | 1u << GY_OP_OPEN,
                                                    .name = ".sst",
                                                    .nth = 1,
                                                    .is_repeated = true}}};
    struct test *test = arg;
    struct gy_cursor *cursor;
    int64_t at = 0;

    gy_in_coroutine();
    await_fill(test);
    assert_int_equal(gy_level_cursor_make(test->rig.version, LEVEL, 0, TABLES, GY_CURSOR_USER,
                                          GY_CACHE_NO_FILL, 0, &cursor),
                     GYRE_OK);
    for (gy_cursor_await_first(cursor); cursor->valid; gy_cursor_await_next(cursor)) {
        if (at == 4 * (int64_t)TABLE_ENTRIES) { /* the tables after this one cannot be read */
            gy_world_sim_set_faults(test->rig.world, &faults);
        }
        assert_at(test, cursor, at++, 0, ENTRIES);
    }
    assert_int_equal(cursor->status, GYRE_IO);
    assert_in_range(at, 4 * TABLE_ENTRIES, 6 * TABLE_ENTRIES);
    gy_world_sim_set_faults(test->rig.world, NULL);
    gy_cursor_await_seek(cursor, key_at(test, at), test->tags[at]); /* no longer sticky */
    assert_at(test, cursor, at, 0, ENTRIES);
    gy_cursor_close(cursor);
}

/* Goal:   a table that cannot be read fails the walk; it does not end it, nor does the next
 *         table take its place.
 * Method: let all reads fail from a place in the middle on. */
static void
level_cursor_fails_when_a_table_cannot_be_read(void **state)
{
    struct test *test = fixture_make(7);
    (void)state;

    lsm_rig_run(&test->rig, run_errors, test);
    fixture_free(test);
}

static void
run_no_memory(void *arg)
{
    struct test *test = arg;
    struct gy_cursor *cursor = NULL;
    uint32_t failed = 0;

    gy_in_coroutine();
    await_fill(test);
    for (uint64_t n = 1; failed < 1000; n++) {
        struct gy_heap *heap = &test->rig.loop.heap;
        int64_t at = 0;
        gyre_status status;

        heap->fail_at = heap->allocation_count + n;
        status = gy_level_cursor_make(test->rig.version, LEVEL, 0, TABLES, GY_CURSOR_USER,
                                      GY_CACHE_NORMAL, 0, &cursor);
        if (status == GYRE_OK) {
            for (gy_cursor_await_first(cursor); cursor->valid; gy_cursor_await_next(cursor)) {
                assert_int_equal(cursor->entry.tag, test->tags[at]);
                at++;
            }
            status = cursor->status;
            gy_cursor_close(cursor);
        }
        heap->fail_at = 0;
        if (status == GYRE_OK) {
            assert_int_equal(at, ENTRIES);
            if (n > 40) {
                break; /* past what a walk allocates; where read-ahead failed it went on without */
            }
            continue;
        }
        assert_int_equal(status, GYRE_NO_MEMORY);
        failed++;
    }
    assert_true(failed > 5);
}

/* Goal:   a walk without memory says so, shows nothing wrong and leaks nothing.
 * Method: fail the n-th allocation. */
static void
level_cursor_fails_cleanly_when_memory_runs_out(void **state)
{
    struct test *test = fixture_make(8);
    (void)state;

    lsm_rig_run(&test->rig, run_no_memory, test);
    fixture_free(test);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(level_cursor_walks_like_a_sorted_array),
        cmocka_unit_test(level_cursor_fails_when_a_table_cannot_be_read),
        cmocka_unit_test(level_cursor_fails_cleanly_when_memory_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
