/* test_view.c - a view holds what it shows, and gives it back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/lsm/view.h"

struct rig {
    struct gy_heap heap;
    struct gy_region_pool regions;
    struct gy_memtable *memtables[3];
    struct gy_version *version;
};

static void
rig_init(struct rig *rig)
{
    gy_heap_init(&rig->heap, UINT64_MAX);
    gy_region_pool_init(&rig->regions, &rig->heap, 0);
    for (uint64_t i = 0; i < 3; i++) {
        rig->memtables[i] = gy_memtable_make(&rig->heap, &rig->regions, i);
        assert_true(gy_memtable_reserve(rig->memtables[i], 100, 1));
        gy_memtable_add(rig->memtables[i], gyre_str("key"), gy_tag(i + 1, GY_KIND_PUT),
                        gyre_str("value"));
    }
    rig->version = gy_version_make_empty(&rig->heap);
}

static void
drop_own(struct rig *rig)
{
    for (uint32_t i = 0; i < 3; i++) {
        gy_memtable_unref(rig->memtables[i]);
    }
    gy_version_unref(rig->version);
}

static void
rig_fini(struct rig *rig)
{
    gy_region_pool_fini(&rig->regions);
    assert_int_equal(rig->heap.used, 0);
}

/* Goal:   what a view shows lives as long as the view, not longer.
 * Method: drop all other references, read through the view, drop it; the heap comes back to
 *         nothing. */
static void
view_keeps_memtables_and_version_alive(void **state)
{
    struct rig rig;
    struct gy_view *view;
    struct gy_entry entry;
    (void)state;

    rig_init(&rig);
    view = gy_view_make(&rig.heap, rig.memtables[0], &rig.memtables[1], 2, rig.version);
    assert_non_null(view);
    drop_own(&rig);
    gy_view_ref(view);
    gy_view_unref(view);
    assert_int_equal(view->frozen_count, 2);
    assert_true(gy_memtable_get(view->active, gyre_str("key"), 10, &entry));
    assert_int_equal(gy_tag_sequence(entry.tag), 1);
    assert_true(gy_memtable_get(view->frozen[1], gyre_str("key"), 10, &entry));
    assert_int_equal(gy_tag_sequence(entry.tag), 3);
    assert_int_equal(view->version->table_count, 0);
    gy_view_unref(view);
    gy_view_unref(NULL);
    rig_fini(&rig);
}

/* Goal:   a store that is only read has no active memtable. */
static void
view_may_have_no_active_memtable(void **state)
{
    struct rig rig;
    struct gy_view *view;
    (void)state;

    rig_init(&rig);
    view = gy_view_make(&rig.heap, NULL, rig.memtables, 1, rig.version);
    assert_non_null(view);
    assert_null(view->active);
    gy_view_unref(view);
    drop_own(&rig);
    rig_fini(&rig);
}

/* Goal:   without memory no reference is taken. */
static void
view_make_takes_nothing_when_memory_runs_out(void **state)
{
    struct rig rig;
    (void)state;

    rig_init(&rig);
    rig.heap.fail_at = rig.heap.allocation_count + 1;
    assert_null(gy_view_make(&rig.heap, rig.memtables[0], &rig.memtables[1], 2, rig.version));
    rig.heap.fail_at = 0;
    assert_int_equal(rig.version->refs, 1);
    drop_own(&rig);
    rig_fini(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(view_keeps_memtables_and_version_alive),
        cmocka_unit_test(view_may_have_no_active_memtable),
        cmocka_unit_test(view_make_takes_nothing_when_memory_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
