/* test_db_verify.c - damage to tables: verify finds it, and no read ever gives wrong bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

static const struct gyre_slice OPEN_END = {NULL, 0};

struct damages {
    uint32_t count;
    char file[48];
};

static void
note_damage(void *arg, const struct gyre_error *error)
{
    struct damages *d = arg;

    assert_true(error->status == GYRE_CORRUPT || error->status == GYRE_UNSUPPORTED ||
                error->status == GYRE_IO || error->status == GYRE_NOT_FOUND);
    assert_true(error->text[0] != '\0');
    d->count++;
    memcpy(d->file, error->file, sizeof(d->file));
}

static int
setup(void **state)
{
    struct db_kit *kit = db_kit_make(GYRE_IO_AUTO);

    kit->options.compression = GYRE_COMPRESSION_NONE; /* or all of it would fit into one table */
    db_kit_reopen(kit);
    *state = kit;
    return 0;
}

static int
teardown(void **state)
{
    db_kit_free(*state);
    return 0;
}

/* Every key by get and by iterator: the right value or CORRUPT, nothing else. Returns how many
 * failed. */
static uint32_t
count_failed_reads(struct db_kit *kit, gyre_db *db, const struct db_model *model)
{
    uint32_t failed = 0;
    gyre_iterator *it;
    gyre_status status;

    for (uint32_t i = 0; i < model->count; i++) {
        struct gyre_value value;

        status = gyre_get(db, NULL, db_kit_key(i), &value);
        if (status == GYRE_OK) {
            assert_int_not_equal(model->version[i], DB_KIT_NONE);
            const struct gyre_slice wanted = db_kit_value(i, model->version[i]);
            assert_int_equal(value.size, wanted.size);
            assert_memory_equal(value.data, wanted.data, wanted.size);
            gyre_value_release(&value);
        } else if (status == GYRE_NOT_FOUND) {
            assert_int_equal(model->version[i], DB_KIT_NONE);
        } else {
            assert_true(status == GYRE_CORRUPT || status == GYRE_UNSUPPORTED || status == GYRE_IO);
            assert_true(strstr(gyre_last_error(kit->loop)->file, ".sst") != NULL);
            failed++;
        }
    }
    KIT_OK(kit, gyre_iterator_open(db, NULL, &it));
    uint32_t at = 0;
    for (status = gyre_iterator_first(it); status == GYRE_OK; status = gyre_iterator_next(it)) {
        while (at < model->count && model->version[at] == DB_KIT_NONE) {
            at++;
        }
        assert_true(at < model->count);
        const struct gyre_slice wanted = db_kit_value(at, model->version[at]);
        assert_int_equal(gyre_iterator_value(it).size, wanted.size);
        assert_memory_equal(gyre_iterator_value(it).data, wanted.data, wanted.size);
        at++;
    }
    assert_true(status != GYRE_NOT_FOUND || failed == 0 || at > 0);
    gyre_iterator_close(it);
    return failed;
}

/* Goal:   an undamaged store has no damage, and every table, block and entry is counted. */
static void
verify_counts_everything_of_a_sound_store(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_verify_result result = {0};
    struct damages damages = {0};
    struct gyre_stats s = {.struct_size = sizeof(s)};
    struct db_model model;
    uint64_t entries = 0;

    KIT_OK(kit, gyre_verify(kit->db, note_damage, NULL, &damages, &result));
    assert_int_equal(result.table_count, 0);
    db_model_init(&model, 2000);
    db_kit_churn(kit, &model, 6000);
    KIT_OK(kit, gyre_flush(kit->db));
    KIT_OK(kit, gyre_wait_idle(kit->db));
    KIT_OK(kit, gyre_verify(kit->db, note_damage, NULL, &damages, &result));
    KIT_OK(kit, gyre_stats(kit->db, &s));
    for (uint32_t i = 0; i < GYRE_LEVELS_MAX; i++) {
        entries += s.levels[i].entry_count;
    }
    assert_int_equal(damages.count, 0);
    assert_int_equal(result.damage_count, 0);
    assert_int_equal(result.table_count, s.table_count);
    assert_int_equal(result.entry_count, entries);
    assert_int_equal(result.byte_count, s.table_bytes);
    assert_true(result.block_count > result.table_count);
}

/* Goal:   a flipped bit anywhere in a table is found by verify, named by file, and never read as
 *         data.
 * Method: one table, a copy of the store per place; places all over the file. */
static void
verify_finds_a_flipped_bit_anywhere(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;
    char names[8][64];
    char copy[SCRATCH_PATH_MAX + 64];

    db_model_init(&model, 400);
    for (uint32_t i = 0; i < 400; i += 2) {
        db_kit_put(kit, &model, i);
    }
    KIT_OK(kit, gyre_compact_range(kit->db, OPEN_END, OPEN_END, NULL, NULL));
    db_kit_close(kit);
    assert_true(db_kit_files(kit->path, "", ".sst", names, 8) >= 1);
    const long size = db_kit_file_size(kit->path, names[0]);
    for (uint32_t i = 0; i < 80; i++) {
        struct gyre_verify_result result = {0};
        struct damages damages = {0};
        const long offset = i < 40 ? size - 4096 + (i < 30 ? i * 8 : (long)db_kit_random(kit, 4096))
                                   : (long)db_kit_random(kit, (uint64_t)size);
        gyre_db *db = NULL;
        gyre_status status;

        (void)snprintf(copy, sizeof(copy), "%s/copy%u", kit->top, i);
        db_kit_copy(kit->path, copy);
        db_kit_flip(copy, names[0], offset);
        KIT_OK(kit, gyre_open(kit->loop, copy, &kit->options, &db));
        status = gyre_verify(db, note_damage, NULL, &damages, &result);
        if (status == GYRE_OK) { /* a gap between blocks, which nothing reads */
            assert_int_equal(count_failed_reads(kit, db, &model), 0);
        } else {
            KIT_IS(kit, status, GYRE_CORRUPT);
            assert_true(result.damage_count > 0);
            assert_int_equal(result.damage_count, damages.count);
            assert_string_equal(damages.file, names[0]);
            (void)count_failed_reads(kit, db, &model);
        }
        KIT_OK(kit, gyre_close(db));
        KIT_OK(kit, gyre_destroy(kit->loop, copy));
    }
}

/* Goal:   a table that is cut, swapped with another one or gone is CORRUPT, by verify or already by
 *         open. */
static void
verify_finds_cut_swapped_and_missing_tables(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;
    char names[64][64];
    char copy[SCRATCH_PATH_MAX + 64];

    db_model_init(&model, 2000);
    for (uint32_t i = 0; i < 2000; i++) {
        db_kit_put(kit, &model, i);
    }
    KIT_OK(kit, gyre_compact_range(kit->db, OPEN_END, OPEN_END, NULL, NULL));
    db_kit_close(kit);
    const uint32_t count = db_kit_files(kit->path, "", ".sst", names, 64);
    assert_true(count >= 2);
    for (uint32_t what = 0; what < 4; what++) {
        struct gyre_verify_result result = {0};
        struct damages damages = {0};
        char a[400];
        char b[400];
        char command[900];
        gyre_db *db = NULL;
        gyre_status status;

        (void)snprintf(copy, sizeof(copy), "%s/copy%u", kit->top, what);
        db_kit_copy(kit->path, copy);
        (void)snprintf(a, sizeof(a), "%s/%s", copy, names[0]);
        (void)snprintf(b, sizeof(b), "%s/%s", copy, names[1]);
        if (what == 0) {
            db_kit_cut(copy, names[0], db_kit_file_size(copy, names[0]) - 4096);
        } else if (what == 1) {
            db_kit_cut(copy, names[0], 0);
        } else if (what == 2) {
            assert_int_equal(rename(a, b), 0); /* one in the place of another ... */
            (void)snprintf(command, sizeof(command), "cp %s %s", b, a);
            assert_int_equal(system(command), 0);
        } else {
            db_kit_unlink(copy, names[0]);
        }
        status = gyre_open(kit->loop, copy, &kit->options, &db);
        if (what == 3) {
            KIT_IS(kit, status, GYRE_CORRUPT);
            assert_string_equal(gyre_last_error(kit->loop)->file, names[0]);
            continue;
        }
        KIT_OK(kit, status);
        KIT_IS(kit, gyre_verify(db, note_damage, NULL, &damages, &result), GYRE_CORRUPT);
        assert_true(damages.count > 0);
        assert_true(count_failed_reads(kit, db, &model) > 0);
        KIT_OK(kit, gyre_close(db));
    }
}

/* Goal:   damage is not repaired by stealth: compaction over it fails, leaves its inputs, and the
 *         store goes on. */
static void
compaction_stops_at_damage_and_keeps_its_inputs(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;
    char names[64][64];
    struct gyre_value value;

    db_model_init(&model, 400);
    for (uint32_t i = 0; i < 400; i++) {
        db_kit_put(kit, &model, i);
    }
    KIT_OK(kit, gyre_compact_range(kit->db, OPEN_END, OPEN_END, NULL, NULL));
    db_kit_close(kit);
    assert_true(db_kit_files(kit->path, "", ".sst", names, 64) > 0);
    db_kit_flip(kit->path, names[0], 200);
    db_kit_open(kit);
    KIT_OK(kit, gyre_put(kit->db, NULL, db_kit_key(0), gyre_str("new")));
    KIT_IS(kit, gyre_compact_range(kit->db, OPEN_END, OPEN_END, NULL, NULL), GYRE_CORRUPT);
    assert_string_equal(gyre_last_error(kit->loop)->file, names[0]);
    KIT_OK(kit, gyre_get(kit->db, NULL, db_kit_key(0), &value));
    gyre_value_release(&value);
    KIT_IS(kit, gyre_verify(kit->db, NULL, NULL, NULL, NULL), GYRE_CORRUPT);
    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("more"), gyre_str("v")));
    db_kit_reopen(kit);
    KIT_OK(kit, gyre_get(kit->db, NULL, gyre_str("more"), &value));
    gyre_value_release(&value);
}

static bool
stop_soon(void *arg, uint64_t done, uint64_t total)
{
    uint32_t *calls = arg;

    (void)done;
    (void)total;
    return ++*calls < 3;
}

/* Goal:   verify stops when it is told to. */
static void
verify_can_be_stopped(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;
    uint32_t calls = 0;

    db_model_init(&model, 2000);
    db_kit_churn(kit, &model, 6000);
    KIT_OK(kit, gyre_flush(kit->db));
    KIT_IS(kit, gyre_verify(kit->db, NULL, stop_soon, &calls, NULL), GYRE_CANCELED);
    assert_int_equal(calls, 3);
    db_kit_check(kit, kit->db, &model, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(verify_counts_everything_of_a_sound_store, setup, teardown),
        cmocka_unit_test_setup_teardown(verify_finds_a_flipped_bit_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(verify_finds_cut_swapped_and_missing_tables, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(compaction_stops_at_damage_and_keeps_its_inputs, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(verify_can_be_stopped, setup, teardown),
    };
    return cmocka_run_group_tests_name("db_verify", tests, NULL, NULL);
}
