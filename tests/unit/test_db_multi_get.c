/* test_db_multi_get.c - many keys at one moment against single gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

#define KEYS 1000u

struct arrays {
    struct gyre_slice keys[GYRE_MULTI_GET_MAX];
    struct gyre_value values[GYRE_MULTI_GET_MAX];
    gyre_status statuses[GYRE_MULTI_GET_MAX];
    char names[GYRE_MULTI_GET_MAX][16];
    uint32_t indexes[GYRE_MULTI_GET_MAX];
};

static int
setup(void **state)
{
    *state = db_kit_make(GYRE_IO_AUTO);
    return 0;
}

static int
setup_blocking(void **state)
{
    *state = db_kit_make(GYRE_IO_BLOCKING);
    return 0;
}

static int
teardown(void **state)
{
    db_kit_free(*state);
    return 0;
}

static void
choose(struct db_kit *kit, struct arrays *a, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        a->indexes[i] = (uint32_t)db_kit_random(kit, KEYS); /* with duplicates */
        (void)snprintf(a->names[i], sizeof(a->names[i]), "key%06u", a->indexes[i]);
        a->keys[i] = gyre_str(a->names[i]);
    }
}

static void
check(const struct arrays *a, uint32_t count, const struct db_model *model)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t version = model->version[a->indexes[i]];

        if (version == DB_KIT_NONE) {
            assert_int_equal(a->statuses[i], GYRE_NOT_FOUND);
            assert_null(a->values[i].data);
        } else {
            const struct gyre_slice wanted = db_kit_value(a->indexes[i], version);

            assert_int_equal(a->statuses[i], GYRE_OK);
            assert_int_equal(a->values[i].size, wanted.size);
            assert_memory_equal(a->values[i].data, wanted.data, wanted.size);
        }
    }
}

static void
release(struct arrays *a, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        gyre_value_release(&a->values[i]);
    }
}

/* Goal:   the outcome of every key is that of the model, at "now" and at a snapshot, wherever the
 *         entries lie, for every count up to the limit. */
static void
multi_get_answers_as_the_model(void **state)
{
    static const uint32_t counts[] = {1, 2, 3, 31, 63, 64, 65, 128, 1000, GYRE_MULTI_GET_MAX};
    struct db_kit *kit = *state;
    struct arrays *a = calloc(1, sizeof(*a));
    struct db_model before;
    struct db_model model;
    gyre_snapshot *snapshot;

    assert_non_null(a);
    db_model_init(&model, KEYS);
    db_kit_churn(kit, &model, 3000);
    KIT_OK(kit, gyre_flush(kit->db));
    before = model;
    KIT_OK(kit, gyre_snapshot_open(kit->db, &snapshot));
    db_kit_churn(kit, &model, 500);
    for (uint32_t round = 0; round < 30; round++) {
        const uint32_t count = counts[round % 10];

        choose(kit, a, count);
        memset(a->values, 0xee, sizeof(a->values)); /* what lies there does not matter */
        KIT_OK(kit, gyre_multi_get(kit->db, NULL, count, a->keys, a->values, a->statuses));
        check(a, count, &model);
        release(a, count);
        KIT_OK(kit,
               gyre_multi_get(kit->db,
                              GYRE_READ_OPTIONS(.snapshot = snapshot, .flags = GYRE_READ_NO_FILL),
                              count, a->keys, a->values, a->statuses));
        check(a, count, &before);
        release(a, count);
        if (round % 10 == 9) {
            gyre_snapshot_release(snapshot); /* the cache is cold again: reads are in flight */
            db_kit_reopen(kit);
            KIT_OK(kit, gyre_snapshot_open(kit->db, &snapshot));
            before = model;
        }
    }
    gyre_snapshot_release(snapshot);
    struct gyre_stats s = {.struct_size = sizeof(s)};
    KIT_OK(kit, gyre_stats(kit->db, &s));
    assert_int_equal(s.value_pin_count, 0);
    free(a);
}

/* Goal:   bad keys have their own status; bad arguments fail the call; no key is fine. */
static void
multi_get_tells_bad_keys_from_bad_calls(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_slice keys[3] = {{"a", 1}, {NULL, 0}, {"b", 1}};
    struct gyre_value values[3];
    gyre_status statuses[3];

    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("a"), gyre_str("1")));
    KIT_OK(kit, gyre_multi_get(kit->db, NULL, 3, keys, values, statuses));
    assert_int_equal(statuses[0], GYRE_OK);
    assert_int_equal(statuses[1], GYRE_INVALID);
    assert_int_equal(statuses[2], GYRE_NOT_FOUND);
    gyre_value_release(&values[0]);
    KIT_OK(kit, gyre_multi_get(kit->db, NULL, 0, NULL, NULL, NULL));
    KIT_IS(kit, gyre_multi_get(kit->db, NULL, 3, NULL, values, statuses), GYRE_INVALID);
    KIT_IS(kit, gyre_multi_get(kit->db, NULL, 3, keys, NULL, statuses), GYRE_INVALID);
    KIT_IS(kit, gyre_multi_get(kit->db, NULL, 3, keys, values, NULL), GYRE_INVALID);
    KIT_IS(kit, gyre_multi_get(kit->db, NULL, GYRE_MULTI_GET_MAX + 1, keys, values, statuses),
           GYRE_INVALID);
    assert_int_equal(gyre_multi_get(NULL, NULL, 3, keys, values, statuses), GYRE_MISUSE);
}

/* Goal:   a damaged block spoils the keys in it only, and says where. */
static void
multi_get_spoils_only_the_keys_of_a_damaged_block(void **state)
{
    struct db_kit *kit = *state;
    struct arrays *a = calloc(1, sizeof(*a));
    struct db_model model;
    char names[64][64];
    uint32_t bad = 0;
    uint32_t good = 0;

    assert_non_null(a);
    db_model_init(&model, KEYS);
    for (uint32_t i = 0; i < KEYS; i++) {
        db_kit_put(kit, &model, i);
    }
    KIT_OK(kit, gyre_compact_range(kit->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL));
    db_kit_close(kit);
    assert_true(db_kit_files(kit->path, "", ".sst", names, 64) > 0);
    db_kit_flip(kit->path, names[0], 100);
    db_kit_open(kit);
    for (uint32_t i = 0; i < KEYS; i++) {
        a->indexes[i] = i;
        (void)snprintf(a->names[i], sizeof(a->names[i]), "key%06u", i);
        a->keys[i] = gyre_str(a->names[i]);
    }
    KIT_OK(kit, gyre_multi_get(kit->db, NULL, KEYS, a->keys, a->values, a->statuses));
    for (uint32_t i = 0; i < KEYS; i++) {
        if (a->statuses[i] == GYRE_OK) {
            const struct gyre_slice wanted = db_kit_value(i, model.version[i]);

            good++;
            assert_int_equal(a->values[i].size, wanted.size);
            assert_memory_equal(a->values[i].data, wanted.data, wanted.size);
        } else {
            bad++;
            assert_int_equal(a->statuses[i], GYRE_CORRUPT);
            assert_null(a->values[i].data);
        }
    }
    assert_true(bad > 0 && good > bad);
    assert_int_equal(gyre_last_error(kit->loop)->status, GYRE_CORRUPT);
    assert_string_equal(gyre_last_error(kit->loop)->file, names[0]);
    release(a, KEYS);
    free(a);
}

struct reader {
    struct db_kit *kit;
    const struct db_model *model;
    struct arrays *a;
    uint32_t rounds;
};

static void
read_many(void *arg)
{
    struct reader *r = arg;

    for (uint32_t i = 0; i < r->rounds; i++) {
        choose(r->kit, r->a, 200);
        KIT_OK(r->kit,
               gyre_multi_get(r->kit->db, NULL, 200, r->a->keys, r->a->values, r->a->statuses));
        check(r->a, 200, r->model);
        release(r->a, 200);
    }
}

/* Goal:   it works from coroutines, also when there are hardly any left for its workers. */
static void
multi_get_works_inside_coroutines(void **state)
{
    enum { READERS = 6 };
    struct db_kit *kit = *state;
    struct reader readers[READERS];
    struct db_model model;

    db_model_init(&model, KEYS);
    db_kit_churn(kit, &model, 3000);
    db_kit_reopen(kit);
    KIT_OK(kit, gyre_flush(kit->db));
    for (uint32_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){
            .kit = kit, .model = &model, .a = calloc(1, sizeof(struct arrays)), .rounds = 5};
        assert_non_null(readers[i].a);
        KIT_OK(kit, gyre_spawn(kit->loop, read_many, &readers[i], NULL));
    }
    KIT_OK(kit, gyre_run(kit->loop));
    for (uint32_t i = 0; i < READERS; i++) {
        free(readers[i].a);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(multi_get_answers_as_the_model, setup, teardown),
        cmocka_unit_test_setup_teardown(multi_get_answers_as_the_model, setup_blocking, teardown),
        cmocka_unit_test_setup_teardown(multi_get_tells_bad_keys_from_bad_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(multi_get_spoils_only_the_keys_of_a_damaged_block, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(multi_get_works_inside_coroutines, setup, teardown),
    };
    return cmocka_run_group_tests_name("db_multi_get", tests, NULL, NULL);
}
