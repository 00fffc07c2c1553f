/* test_db_iterator.c - the iterator against a model, at many moments, while the store changes
 * underneath. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

#define KEYS 400u
#define WALKERS 6u

static int
setup(void **state)
{
    *state = db_kit_make(GYRE_IO_AUTO);
    return 0;
}

static int
teardown(void **state)
{
    db_kit_free(*state);
    return 0;
}

/* One iterator, the moment that it has to show, its bounds [low, high), and where it must be. */
struct walker {
    gyre_iterator *it;
    gyre_snapshot *snapshot;
    struct db_model *model;
    uint32_t low, high;
    int64_t at; /* index of the key; -1: not positioned */
};

static bool
shows(const struct walker *w, int64_t index)
{
    return index >= w->low && index < w->high && w->model->version[index] != DB_KIT_NONE;
}

static int64_t
first_from(const struct walker *w, int64_t index)
{
    for (int64_t i = index < w->low ? w->low : index; i < w->high; i++) {
        if (shows(w, i)) {
            return i;
        }
    }
    return -1;
}

static int64_t
last_to(const struct walker *w, int64_t index)
{
    for (int64_t i = index >= w->high ? (int64_t)w->high - 1 : index; i >= w->low; i--) {
        if (shows(w, i)) {
            return i;
        }
    }
    return -1;
}

static void
check_at(struct db_kit *kit, struct walker *w, gyre_status status, int64_t wanted)
{
    w->at = wanted;
    KIT_IS(kit, status, wanted < 0 ? GYRE_NOT_FOUND : GYRE_OK);
    assert_int_equal(gyre_iterator_is_valid(w->it), wanted >= 0);
    if (wanted >= 0) {
        const struct gyre_slice key = db_kit_key((uint32_t)wanted);
        const struct gyre_slice value = db_kit_value((uint32_t)wanted, w->model->version[wanted]);

        assert_int_equal(gyre_iterator_key(w->it).size, key.size);
        assert_memory_equal(gyre_iterator_key(w->it).data, key.data, key.size);
        assert_int_equal(gyre_iterator_value(w->it).size, value.size);
        assert_memory_equal(gyre_iterator_value(w->it).data, value.data, value.size);
    }
}

/* A random move; steps are the most frequent, in both directions. */
static void
move(struct db_kit *kit, struct walker *w)
{
    const int64_t to = (int64_t)db_kit_random(kit, KEYS + 20);
    uint64_t what = db_kit_random(kit, 20);

    if (what >= 4 && w->at < 0) {
        what %= 4;
    }
    switch (what) {
    case 0:
        check_at(kit, w, gyre_iterator_first(w->it), first_from(w, 0));
        break;
    case 1:
        check_at(kit, w, gyre_iterator_last(w->it), last_to(w, KEYS));
        break;
    case 2:
        check_at(kit, w, gyre_iterator_seek(w->it, db_kit_key((uint32_t)to)), first_from(w, to));
        break;
    case 3:
        check_at(kit, w, gyre_iterator_seek_for_prev(w->it, db_kit_key((uint32_t)to)),
                 last_to(w, to));
        break;
    default:
        if (what % 2 == 0) {
            check_at(kit, w, gyre_iterator_next(w->it), first_from(w, w->at + 1));
        } else {
            check_at(kit, w, gyre_iterator_prev(w->it), last_to(w, w->at - 1));
        }
        break;
    }
}

static void
walker_open(struct db_kit *kit, struct walker *w, const struct db_model *now)
{
    w->model = malloc(sizeof(*w->model));
    assert_non_null(w->model);
    *w->model = *now;
    w->low = 0;
    w->high = KEYS;
    w->at = -1;
    w->snapshot = NULL;
    struct gyre_iterator_options options = {.struct_size = sizeof(options)};
    if (db_kit_random(kit, 2) == 0) {
        KIT_OK(kit, gyre_snapshot_open(kit->db, &w->snapshot));
        options.snapshot = w->snapshot;
    }
    switch (db_kit_random(kit, 4)) {
    case 0: /* key000100 .. key000199 */
        options.prefix = gyre_str("key0001");
        w->low = 100;
        w->high = 200;
        break;
    case 1:
        w->low = (uint32_t)db_kit_random(kit, KEYS);
        w->high = w->low + (uint32_t)db_kit_random(kit, KEYS - w->low);
        options.lower = db_kit_key(w->low);
        options.upper = db_kit_key(w->high);
        break;
    case 2:
        w->low = 50;
        options.lower = db_kit_key(50);
        break;
    default:
        break;
    }
    KIT_OK(kit, gyre_iterator_open(kit->db, &options, &w->it));
}

static void
walker_close(struct walker *w)
{
    gyre_iterator_close(w->it);
    gyre_snapshot_release(w->snapshot);
    free(w->model);
    w->it = NULL;
}

/* Goal:   every move of every iterator shows the moment at which it was opened, whatever happens to
 *         the store meanwhile.
 * Method: random writes, flushes and compactions between random moves of several iterators. */
static void
iterator_shows_its_moment_while_the_store_changes(void **state)
{
    struct db_kit *kit = *state;
    struct walker walkers[WALKERS] = {0};
    struct db_model model;

    db_model_init(&model, KEYS);
    for (uint32_t round = 0; round < 600; round++) {
        struct walker *w = &walkers[db_kit_random(kit, WALKERS)];

        if (w->it == NULL) {
            walker_open(kit, w, &model);
        } else if (db_kit_random(kit, 40) == 0) {
            walker_close(w);
            continue;
        }
        for (uint64_t moves = db_kit_random(kit, 30); moves > 0; moves--) {
            move(kit, w);
            if (db_kit_random(kit, 8) == 0) {
                db_kit_churn(kit, &model, 1);
            }
        }
        switch (db_kit_random(kit, 25)) {
        case 0:
            KIT_OK(kit, gyre_flush(kit->db));
            break;
        case 1:
            KIT_OK(kit, gyre_compact_range(kit->db, db_kit_key(50), db_kit_key(300), NULL, NULL));
            break;
        default:
            db_kit_churn(kit, &model, (uint32_t)db_kit_random(kit, 30));
            break;
        }
    }
    for (uint32_t i = 0; i < WALKERS; i++) {
        if (walkers[i].it != NULL) {
            walker_close(&walkers[i]);
        }
    }
    db_kit_check(kit, kit->db, &model, NULL);
}

/* Goal:   snapshots see their moment through flushes and compactions, and give back what they
 *         held. */
static void
snapshots_see_their_moment_through_compactions(void **state)
{
    enum { COUNT = 5 };
    struct db_kit *kit = *state;
    gyre_snapshot *snapshots[COUNT];
    static struct db_model models[COUNT];
    struct db_model model;
    struct gyre_stats held = {.struct_size = sizeof(held)};
    struct gyre_stats freed = {.struct_size = sizeof(freed)};

    db_model_init(&model, 200);
    for (uint32_t i = 0; i < COUNT; i++) {
        db_kit_churn(kit, &model, 400);
        models[i] = model;
        KIT_OK(kit, gyre_snapshot_open(kit->db, &snapshots[i]));
    }
    db_kit_churn(kit, &model, 400);
    KIT_OK(kit, gyre_compact_range(kit->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL));
    for (uint32_t i = 0; i < COUNT; i++) {
        db_kit_check(kit, kit->db, &models[i], snapshots[i]);
    }
    db_kit_check(kit, kit->db, &model, NULL);
    KIT_OK(kit, gyre_stats(kit->db, &held));
    for (uint32_t i = 0; i < COUNT; i++) {
        gyre_snapshot_release(snapshots[i]);
    }
    KIT_OK(kit, gyre_compact_range(kit->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL));
    KIT_OK(kit, gyre_stats(kit->db, &freed));
    uint64_t held_entries = 0;
    uint64_t freed_entries = 0;
    uint64_t live = 0;
    for (uint32_t level = 0; level < GYRE_LEVELS_MAX; level++) {
        held_entries += held.levels[level].entry_count;
        freed_entries += freed.levels[level].entry_count;
    }
    for (uint32_t i = 0; i < model.count; i++) {
        live += model.version[i] != DB_KIT_NONE;
    }
    assert_true(held_entries > freed_entries);
    assert_int_equal(freed_entries, live); /* neither tombstones nor old versions are left */
}

/* Goal:   a prefix of only 0xff bytes has no upper bound; an empty range shows nothing; unusual
 *         bounds are refused. */
static void
iterator_keeps_unusual_bounds(void **state)
{
    struct db_kit *kit = *state;
    gyre_iterator *it;

    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_slice("\xff\xff", 2), gyre_str("1")));
    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_slice("\xff\xff\xff", 3), gyre_str("2")));
    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_slice("\xfe", 1), gyre_str("0")));
    KIT_OK(kit, gyre_iterator_open(kit->db, GYRE_ITERATOR_OPTIONS(.prefix = {"\xff\xff", 2}), &it));
    KIT_OK(kit, gyre_iterator_first(it));
    assert_int_equal(gyre_iterator_key(it).size, 2);
    KIT_OK(kit, gyre_iterator_next(it));
    KIT_IS(kit, gyre_iterator_next(it), GYRE_NOT_FOUND);
    KIT_IS(kit, gyre_iterator_next(it), GYRE_INVALID); /* not positioned */
    KIT_OK(kit, gyre_iterator_last(it));
    assert_int_equal(gyre_iterator_key(it).size, 3);
    gyre_iterator_close(it);
    KIT_OK(kit, gyre_iterator_open(
                    kit->db, GYRE_ITERATOR_OPTIONS(.lower = {"b", 1}, .upper = {"a", 1}), &it));
    KIT_IS(kit, gyre_iterator_first(it), GYRE_NOT_FOUND);
    KIT_IS(kit, gyre_iterator_last(it), GYRE_NOT_FOUND);
    gyre_iterator_close(it);
    /* bounds without bytes: before all keys */
    KIT_OK(kit, gyre_iterator_open(kit->db, GYRE_ITERATOR_OPTIONS(.lower = {"", 0}), &it));
    KIT_OK(kit, gyre_iterator_first(it));
    assert_int_equal(gyre_iterator_key(it).size, 1);
    gyre_iterator_close(it);
    KIT_OK(kit, gyre_iterator_open(kit->db, GYRE_ITERATOR_OPTIONS(.upper = {"", 0}), &it));
    KIT_IS(kit, gyre_iterator_last(it), GYRE_NOT_FOUND);
    gyre_iterator_close(it);
    KIT_IS(kit, gyre_iterator_open(kit->db, GYRE_ITERATOR_OPTIONS(.reserved_ = 1), &it),
           GYRE_INVALID);
}

/* Goal:   an iterator that is not moved keeps its key and value and pins no memtable and no
 *         table. */
static void
iterator_at_rest_keeps_its_key_and_pins_no_file(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;
    struct db_model before;
    gyre_iterator *it;
    char names[512][64];

    db_model_init(&model, KEYS);
    for (uint32_t i = 0; i < KEYS; i++) {
        db_kit_put(kit, &model, i);
    }
    KIT_OK(kit, gyre_flush(kit->db));
    before = model;
    KIT_OK(kit, gyre_iterator_open(kit->db, NULL, &it));
    KIT_OK(kit, gyre_iterator_seek(it, db_kit_key(77)));
    for (uint32_t round = 0; round < 5; round++) {
        db_kit_churn(kit, &model, 1000);
        KIT_OK(kit,
               gyre_compact_range(kit->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL));
        const struct gyre_slice value = db_kit_value(77, before.version[77]);
        assert_int_equal(gyre_iterator_value(it).size, value.size);
        assert_memory_equal(gyre_iterator_value(it).data, value.data, value.size);
    }
    struct gyre_stats s = {.struct_size = sizeof(s)};
    for (uint32_t i = 0; i < 100; i++) { /* removal is in the background */
        KIT_OK(kit, gyre_sleep(kit->loop, 1000000));
    }
    KIT_OK(kit, gyre_stats(kit->db, &s));
    assert_int_equal(db_kit_files(kit->path, "", ".sst", names, 512), s.table_count);
    for (uint32_t i = 78; i < KEYS; i++) {
        KIT_OK(kit, gyre_iterator_next(it));
        const struct gyre_slice value = db_kit_value(i, before.version[i]);
        assert_int_equal(gyre_iterator_value(it).size, value.size);
        assert_memory_equal(gyre_iterator_value(it).data, value.data, value.size);
    }
    gyre_iterator_close(it);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(iterator_shows_its_moment_while_the_store_changes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(snapshots_see_their_moment_through_compactions, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(iterator_keeps_unusual_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(iterator_at_rest_keeps_its_key_and_pins_no_file, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("db_iterator", tests, NULL, NULL);
}
