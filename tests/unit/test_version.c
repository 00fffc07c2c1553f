/* test_version.c - versions: changes against a model, order that is refused, look-ups, memory
 * that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/base/rng.h"
#include "tests/support/table_kit.h"

#define KEYS 400u
#define TABLES_MAX 256u

static struct table_kit kit;

static int
set_up(void **state)
{
    (void)state;
    table_kit_init(&kit);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    table_kit_fini(&kit);
    return 0;
}

/* The model: tables in no order; each holds one reference. */
struct model {
    struct gy_table *tables[TABLES_MAX];
    uint32_t count;
};

static bool
meet(const struct gy_table *a, const struct gy_table *b)
{
    return gy_key_compare(a->meta.smallest, b->meta.largest) <= 0 &&
           gy_key_compare(b->meta.smallest, a->meta.largest) <= 0;
}

static bool
fits(const struct model *model, const struct gy_table *table)
{
    for (uint32_t i = 0; i < model->count; i++) {
        if (table->meta.level > 0 && model->tables[i]->meta.level == table->meta.level &&
            meet(model->tables[i], table)) {
            return false;
        }
    }
    return true;
}

/* The version has exactly the model's tables, in order. */
static void
assert_same(const struct gy_version *version, const struct model *model)
{
    uint64_t bytes = 0;
    uint32_t found = 0;

    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        const struct gy_level *l = &version->levels[level];

        for (uint32_t i = 0; i < l->count; i++) {
            uint32_t j = 0;

            while (j < model->count && model->tables[j] != l->tables[i]) {
                j++;
            }
            assert_true(j < model->count);
            assert_int_equal(l->tables[i]->meta.level, level);
            found++;
            bytes += l->tables[i]->meta.size;
            if (i > 0 && level > 0) {
                assert_true(gy_key_compare(l->tables[i - 1]->meta.largest,
                                           l->tables[i]->meta.smallest) < 0);
            } else if (i > 0) {
                assert_true(l->tables[i - 1]->meta.sequence_max > l->tables[i]->meta.sequence_max);
            }
        }
    }
    assert_int_equal(found, model->count);
    assert_int_equal(version->table_count, model->count);
    assert_int_equal(version->bytes, bytes);
    assert_true(gy_version_is_sound(version));
}

/* A random change: some of the model go, some new ones come. The model follows. */
static void
random_change(struct gy_rng *rng, struct model *model, struct gy_version_change *change)
{
    change->added_count = 0;
    change->removed_count = 0;
    for (uint64_t n = gy_rng_below(rng, 6); n > 0 && model->count > 0; n--) {
        const uint32_t at = (uint32_t)gy_rng_below(rng, model->count);

        change->removed[change->removed_count++] = model->tables[at];
        model->tables[at] = model->tables[--model->count];
    }
    for (uint64_t n = gy_rng_below(rng, 10); n > 0 && model->count < TABLES_MAX; n--) {
        const uint32_t level = (uint32_t)gy_rng_below(rng, GY_LEVEL_COUNT);
        const uint32_t smallest = (uint32_t)gy_rng_below(rng, KEYS);
        const uint32_t largest = smallest + (uint32_t)gy_rng_below(rng, level == 0 ? 300 : 8);
        struct gy_table *table =
            table_kit_make(&kit, level, smallest, largest, 1000 + gy_rng_below(rng, 1000));

        if (fits(model, table)) {
            model->tables[model->count++] = table;
            change->added[change->added_count++] = table;
        } else {
            gy_table_unref(table);
        }
    }
}

static void
check_lookups(const struct gy_version *version, uint32_t level, struct gyre_slice key,
              struct gyre_slice to)
{
    const struct gy_level *l = &version->levels[level];
    struct gy_table *holder = NULL;
    uint32_t bound = l->count;
    bool overlaps = false;

    for (uint32_t i = 0; i < l->count; i++) {
        const struct gy_table_meta *meta = &l->tables[i]->meta;

        if (bound == l->count && gy_key_compare(meta->largest, key) >= 0) {
            bound = i;
        }
        if (gy_key_compare(meta->smallest, key) <= 0 && gy_key_compare(key, meta->largest) <= 0) {
            holder = l->tables[i];
        }
        overlaps = overlaps || (gy_key_compare(meta->smallest, to) <= 0 &&
                                gy_key_compare(meta->largest, key) >= 0);
    }
    assert_int_equal(gy_version_overlaps(version, level, key, to), overlaps);
    assert_int_equal(gy_version_overlaps(version, level, gyre_slice(NULL, 0), gyre_slice(NULL, 0)),
                     l->count > 0);
    if (level > 0) {
        assert_ptr_equal(gy_version_locate(version, level, key), holder);
        assert_int_equal(gy_version_lower_bound(version, level, key), bound);
    }
}

/* Goal:   any sequence of changes gives the tables that it should, in order, and the base stays
 *         as it was.
 * Method: random changes against a list, all look-ups against a walk over the level. */
static void
version_apply_follows_the_model(void **state)
{
    struct gy_table *added[16];
    struct gy_table *removed[16];
    struct gy_version_change change = {.added = added, .removed = removed};
    struct model model = {.count = 0};
    struct gy_version *version = gy_version_make_empty(&kit.loop.heap);
    struct gy_rng rng;
    (void)state;

    gy_rng_init(&rng, 42);
    for (uint32_t round = 0; round < 3000; round++) {
        const struct model before = model;
        struct gy_version *next = NULL;

        random_change(&rng, &model, &change);
        assert_int_equal(gy_version_apply(version, &change, &next), GYRE_OK);
        assert_same(version, &before);
        assert_same(next, &model);
        for (uint32_t i = 0; i < change.removed_count; i++) {
            gy_table_unref(change.removed[i]); /* the model's; the base has its own */
        }
        gy_version_unref(version);
        version = next;
        for (uint32_t i = 0; i < 10; i++) {
            const uint32_t from = (uint32_t)gy_rng_below(&rng, KEYS + 10);

            check_lookups(version, (uint32_t)gy_rng_below(&rng, GY_LEVEL_COUNT),
                          table_kit_key(from),
                          table_kit_key(from + (uint32_t)gy_rng_below(&rng, 20)));
        }
    }
    for (uint32_t i = 0; i < model.count; i++) {
        gy_table_unref(model.tables[i]);
    }
    gy_version_unref(version);
}

/* Goal:   a version keeps its tables, and a level that did not change is not copied.
 * Method: look at reference counts and arrays. */
static void
version_shares_levels_that_did_not_change(void **state)
{
    struct gy_table *tables[] = {table_kit_make(&kit, 1, 0, 9, 100),
                                 table_kit_make(&kit, 2, 0, 9, 100)};
    struct gy_table *more = table_kit_make(&kit, 2, 20, 29, 100);
    struct gy_version *first = table_kit_add(gy_version_make_empty(&kit.loop.heap), tables, 2);
    struct gy_version *second;
    (void)state;

    gy_version_ref(first);
    second = table_kit_add(first, &more, 1);
    assert_ptr_equal(first->levels[1].tables, second->levels[1].tables);
    assert_ptr_not_equal(first->levels[2].tables, second->levels[2].tables);
    assert_int_equal(second->levels[1].tables[0]->refs, 1);
    assert_int_equal(second->levels[2].tables[0]->refs, 2);
    gy_version_unref(first);
    assert_int_equal(second->levels[2].tables[0]->refs, 1);
    gy_version_unref(second);
}

static void
assert_refused(const struct gy_version *base, struct gy_table *table, gyre_status expected)
{
    const struct gy_version_change change = {.added = &table, .added_count = 1};
    const uint64_t used = kit.loop.heap.used;
    struct gy_version *version = NULL;

    assert_int_equal(gy_version_apply(base, &change, &version), expected);
    assert_null(version);
    assert_int_equal(table->refs, 1);
    assert_int_equal(kit.loop.heap.used, used);
    gy_table_unref(table);
}

static struct gy_table *
make_level0(uint32_t smallest, uint32_t largest, uint64_t sequence_min, uint64_t sequence_max,
            uint64_t number)
{
    const struct gy_table_meta meta = {.number = number,
                                       .size = 100,
                                       .sequence_min = sequence_min,
                                       .sequence_max = sequence_max,
                                       .smallest = table_kit_key(smallest),
                                       .largest = table_kit_key(largest)};

    return gy_table_make(&kit.set, &meta);
}

/* Goal:   tables that would give wrong answers together are refused (V2), with nothing changed.
 * Method: each kind of overlap and order that must not be. */
static void
version_apply_refuses_tables_that_do_not_fit(void **state)
{
    struct gy_table *tables[] = {table_kit_make(&kit, 1, 10, 19, 100),
                                 table_kit_make(&kit, 1, 30, 39, 100),
                                 make_level0(10, 19, 500, 599, 1000)};
    struct gy_version *base = table_kit_add(gy_version_make_empty(&kit.loop.heap), tables, 3);
    (void)state;

    assert_refused(base, table_kit_make(&kit, 1, 0, 10, 100), GYRE_CORRUPT);  /* shares its end */
    assert_refused(base, table_kit_make(&kit, 1, 19, 20, 100), GYRE_CORRUPT); /* its beginning */
    assert_refused(base, table_kit_make(&kit, 1, 12, 13, 100), GYRE_CORRUPT); /* inside */
    assert_refused(base, table_kit_make(&kit, 1, 5, 50, 100), GYRE_CORRUPT);  /* around */
    assert_refused(base, table_kit_make(&kit, 1, 10, 19, 100), GYRE_CORRUPT); /* the same */
    assert_refused(base, table_kit_make(&kit, 1, 29, 28, 100), GYRE_CORRUPT); /* upside down */
    assert_refused(base, table_kit_make(&kit, GY_LEVEL_COUNT, 1, 2, 100), GYRE_CORRUPT);
    assert_refused(base, make_level0(0, 50, 599, 700, 1001), GYRE_CORRUPT); /* sequences meet */
    assert_refused(base, make_level0(0, 50, 400, 500, 1001), GYRE_CORRUPT);
    assert_refused(base, make_level0(0, 50, 520, 530, 1001), GYRE_CORRUPT);
    assert_refused(base, make_level0(19, 50, 520, 530, 1001), GYRE_CORRUPT); /* one key in common */
    assert_refused(base, make_level0(0, 10, 520, 530, 1001), GYRE_CORRUPT);
    assert_refused(base, make_level0(30, 50, 500, 599, 1000), GYRE_CORRUPT); /* the same number */
    gy_version_unref(base);
}

/* Goal:   what fits is not refused: false alarms are failures too.
 * Method: neighbours without a gap; a level-0 table older than one that is there; one removed
 *         and replaced at once. */
static void
version_apply_accepts_what_fits_tightly(void **state)
{
    struct gy_table *tables[] = {table_kit_make(&kit, 1, 10, 19, 100),
                                 make_level0(10, 19, 500, 599, 1000)};
    struct gy_table *more[] = {
        table_kit_make(&kit, 1, 20, 20, 100), table_kit_make(&kit, 1, 9, 9, 100),
        make_level0(0, 50, 400, 499, 2000), make_level0(0, 50, 600, 600, 999),
        make_level0(20, 30, 550, 560, 1001)};
    struct gy_table *replacement = table_kit_make(&kit, 1, 10, 19, 100);
    struct gy_version *base = table_kit_add(gy_version_make_empty(&kit.loop.heap), tables, 2);
    struct gy_version_change change = {.added = &replacement, .added_count = 1, .removed_count = 1};
    struct gy_version *next = NULL;
    (void)state;

    base = table_kit_add(base, more, 5);
    assert_int_equal(base->levels[1].count, 3);
    assert_int_equal(base->levels[0].tables[0]->meta.sequence_max, 600);
    assert_int_equal(base->levels[0].tables[3]->meta.sequence_max, 499);
    change.removed = &base->levels[1].tables[1];
    assert_int_equal(gy_version_apply(base, &change, &next), GYRE_OK);
    assert_ptr_equal(next->levels[1].tables[1], replacement);
    gy_table_unref(replacement);
    gy_version_unref(base);
    gy_version_unref(next);
}

/* Goal:   a table can go only if it is there. */
static void
version_apply_refuses_to_remove_what_is_not_there(void **state)
{
    struct gy_table *tables[] = {table_kit_make(&kit, 1, 10, 19, 100),
                                 table_kit_make(&kit, 0, 10, 19, 100)};
    struct gy_table *strange[] = {
        table_kit_make(&kit, 1, 10, 19, 100), table_kit_make(&kit, 1, 90, 99, 100),
        table_kit_make(&kit, 0, 10, 19, 100), table_kit_make(&kit, 5, 10, 19, 100)};
    struct gy_version *base = table_kit_add(gy_version_make_empty(&kit.loop.heap), tables, 2);
    (void)state;

    for (uint32_t i = 0; i < 4; i++) {
        const struct gy_version_change change = {.removed = &strange[i], .removed_count = 1};
        struct gy_version *version = NULL;

        assert_int_equal(gy_version_apply(base, &change, &version), GYRE_INVALID);
        assert_null(version);
        gy_table_unref(strange[i]);
    }
    gy_version_unref(base);
}

/* Goal:   without memory nothing changes and nothing leaks (P11).
 * Method: fail the n-th allocation of an apply, for all n. */
static void
version_apply_leaves_all_as_it_was_when_memory_runs_out(void **state)
{
    struct gy_table *tables[] = {
        table_kit_make(&kit, 0, 0, 99, 100), table_kit_make(&kit, 1, 10, 19, 100),
        table_kit_make(&kit, 1, 20, 29, 100), table_kit_make(&kit, 3, 0, 99, 100)};
    struct gy_table *more[] = {table_kit_make(&kit, 0, 0, 99, 100),
                               table_kit_make(&kit, 1, 30, 39, 100),
                               table_kit_make(&kit, 6, 0, 99, 100)};
    struct gy_version *base = table_kit_add(gy_version_make_empty(&kit.loop.heap), tables, 4);
    const struct gy_version_change change = {
        .added = more, .added_count = 3, .removed = &base->levels[1].tables[0], .removed_count = 1};
    const uint64_t used = kit.loop.heap.used;
    struct gy_version *version = NULL;
    uint32_t failures = 0;
    (void)state;

    for (;;) {
        gyre_status status;

        kit.loop.heap.fail_at = kit.loop.heap.allocation_count + 1 + failures;
        status = gy_version_apply(base, &change, &version);
        kit.loop.heap.fail_at = 0;
        if (status == GYRE_OK) {
            break;
        }
        assert_int_equal(status, GYRE_NO_MEMORY);
        assert_null(version);
        assert_int_equal(kit.loop.heap.used, used);
        assert_int_equal(base->table_count, 4);
        assert_true(gy_version_is_sound(base));
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(more[i]->refs, 1);
        }
        failures++;
    }
    assert_in_range(failures, 3, 20);
    gy_version_unref(version);
    for (uint32_t i = 0; i < 3; i++) {
        gy_table_unref(more[i]);
    }
    gy_version_unref(base);
}

/* Goal:   a change as large as a whole store is taken in any order of its tables (open does
 *         that). */
static void
version_apply_sorts_a_large_change(void **state)
{
    enum { COUNT = 5000 };
    static struct gy_table *tables[COUNT];
    struct gy_version *version;
    struct gy_rng rng;
    (void)state;

    gy_rng_init(&rng, 7);
    for (uint32_t i = 0; i < COUNT; i++) {
        tables[i] = table_kit_make(&kit, 6, 10 * i, 10 * i + 9, 1);
    }
    for (uint32_t i = COUNT; i > 1; i--) {
        const uint32_t other = (uint32_t)gy_rng_below(&rng, i);
        struct gy_table *kept = tables[i - 1];

        tables[i - 1] = tables[other];
        tables[other] = kept;
    }
    version = table_kit_add(gy_version_make_empty(&kit.loop.heap), tables, COUNT);
    assert_true(gy_version_is_sound(version));
    assert_int_equal(version->levels[6].count, COUNT);
    assert_int_equal(table_kit_number(version->levels[6].tables[17]->meta.smallest), 170);
    gy_version_unref(version);
}

/* Goal:   level 0 is checked in time that no manifest can stretch, and as strictly as ever: the
 *         outputs of one flush (sequences meet, keys do not) are fine however many they are, one
 *         key in common is not.
 * Method: 60,000 tables; pair by pair that would be two thousand million comparisons.
 */
static void
version_apply_checks_a_large_level0(void **state)
{
    enum { COUNT = 60000 };
    static struct gy_table *tables[COUNT];
    struct gy_version *base = gy_version_make_empty(&kit.loop.heap);
    (void)state;

    for (int one_flush = 0; one_flush < 2; one_flush++) {
        struct gy_version_change change = {.added = tables, .added_count = COUNT};
        struct gy_version *version = NULL;
        struct gy_table *odd;

        for (uint32_t i = 0; i < COUNT; i++) {
            const uint64_t first = one_flush != 0 ? 1000 : 1000 + 10ull * i;

            tables[i] = make_level0(10 * i, 10 * i + 9, first, first + 9, 1 + i);
        }
        assert_int_equal(gy_version_apply(base, &change, &version), GYRE_OK);
        gy_version_unref(version);
        odd = make_level0(10 * 77 + 9, 10 * 78, 1000, 1009, COUNT + 1);
        gy_table_unref(tables[COUNT - 1]);
        tables[COUNT - 1] = odd;
        assert_int_equal(gy_version_apply(base, &change, &version),
                         one_flush != 0 ? GYRE_CORRUPT : GYRE_OK);
        if (one_flush == 0) {
            gy_version_unref(version);
        }
        for (uint32_t i = 0; i < COUNT; i++) {
            gy_table_unref(tables[i]);
        }
    }
    gy_version_unref(base);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(version_apply_follows_the_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(version_shares_levels_that_did_not_change, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(version_apply_refuses_tables_that_do_not_fit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(version_apply_accepts_what_fits_tightly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(version_apply_refuses_to_remove_what_is_not_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(version_apply_leaves_all_as_it_was_when_memory_runs_out,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(version_apply_sorts_a_large_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(version_apply_checks_a_large_level0, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
