/* test_db_salvage.c - damage to each kind of file: what is not damaged comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

#define KEYS 1500u

static const struct gyre_slice OPEN_END = {NULL, 0};

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

/* A closed store with tables in several levels, tombstones and commits in its log. */
static void
fill(struct db_kit *kit, struct db_model *model)
{
    db_model_init(model, KEYS);
    for (uint32_t i = 0; i < KEYS; i++) {
        db_kit_put(kit, model, i);
    }
    KIT_OK(kit, gyre_compact_range(kit->db, OPEN_END, OPEN_END, NULL, NULL));
    db_kit_churn(kit, model, 1500);
    KIT_OK(kit, gyre_flush(kit->db));
    KIT_OK(kit, gyre_wait_idle(kit->db));
    db_kit_churn(kit, model, 150);
    db_kit_close(kit);
}

/* What the salvaged store holds against the model. */
struct found {
    uint32_t right; /* the newest version */
    /* an older version, or a key that was deleted: its newest version was damaged */
    uint32_t stale;
    uint32_t gone;
};

static struct found
compare(struct db_kit *kit, gyre_db *db, const struct db_model *model)
{
    struct found found = {0};

    for (uint32_t i = 0; i < model->count; i++) {
        struct gyre_value value;
        const gyre_status status = gyre_get(db, NULL, db_kit_key(i), &value);

        if (status == GYRE_NOT_FOUND) {
            found.right += model->version[i] == DB_KIT_NONE;
            found.gone += model->version[i] != DB_KIT_NONE;
            continue;
        }
        KIT_OK(kit, status);
        const struct gyre_slice wanted =
            db_kit_value(i, model->version[i] != DB_KIT_NONE ? model->version[i] : 0);
        if (value.size == wanted.size && memcmp(value.data, wanted.data, wanted.size) == 0) {
            found.right++;
        } else { /* some version of this very key */
            assert_true(value.size >= 24);
            assert_memory_equal(value.data, wanted.data, 8);
            found.stale++;
        }
        gyre_value_release(&value);
    }
    return found;
}

static void
note_damage(void *arg, const struct gyre_error *error)
{
    (void)arg;
    assert_true(error->status != GYRE_OK && error->text[0] != '\0');
    if (getenv("GYRE_TEST_LOG") != NULL) {
        print_message("damage: %s\n", error->text);
    }
}

static struct found
salvage(struct db_kit *kit, const struct db_model *model, struct gyre_salvage_result *ret_result)
{
    const uint64_t hash = db_kit_hash(kit->path);
    struct found found;
    char names[64][64];
    gyre_db *db = NULL;

    KIT_OK(kit, gyre_salvage(kit->loop, kit->path, kit->other, &kit->options, note_damage, NULL,
                             NULL, ret_result));
    assert_int_equal(db_kit_hash(kit->path), hash); /* the source is only read */
    assert_int_equal(db_kit_files(kit->top, "other.", "", names, 64), 0);
    KIT_OK(kit, gyre_open(kit->loop, kit->other, &kit->options, &db));
    KIT_OK(kit, gyre_verify(db, NULL, NULL, NULL, NULL));
    found = compare(kit, db, model);
    KIT_OK(kit, gyre_put(db, NULL, gyre_str("it"), gyre_str("works")));
    KIT_OK(kit, gyre_close(db));
    KIT_OK(kit, gyre_open(kit->loop, kit->other, &kit->options, &db));
    KIT_OK(kit, gyre_close(db));
    KIT_OK(kit, gyre_destroy(kit->loop, kit->other));
    return found;
}

/* Goal:   of an undamaged store everything comes back, and nothing that was deleted. */
static void
salvage_copies_an_undamaged_store(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_salvage_result result;
    struct db_model model;

    fill(kit, &model);
    const struct found found = salvage(kit, &model, &result);
    assert_int_equal(found.right, KEYS);
    assert_int_equal(result.damage_count, 0);
    assert_true(result.table_count > 0 && result.entry_count > 0);
    assert_true(result.log_record_count >= 150);
    db_kit_open(kit);
    db_kit_check(kit, kit->db, &model, NULL);
}

/* Goal:   without CURRENT, without any manifest, or with either damaged, everything is found all
 *         the same (a deleted key may come back). */
static void
salvage_needs_no_manifest(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_salvage_result result;
    struct db_model model;
    char names[8][64];
    char whole[SCRATCH_PATH_MAX + 64];

    fill(kit, &model);
    (void)snprintf(whole, sizeof(whole), "%s/whole", kit->top);
    assert_int_equal(rename(kit->path, whole), 0);
    for (uint32_t what = 0; what < 5; what++) {
        db_kit_copy(whole, kit->path);
        assert_int_equal(db_kit_files(kit->path, "MANIFEST", "", names, 8), 1);
        if (what == 0) {
            db_kit_unlink(kit->path, "CURRENT");
        } else if (what == 1) {
            db_kit_flip(kit->path, "CURRENT", 70);
        } else if (what == 2) {
            db_kit_unlink(kit->path, names[0]);
        } else if (what == 3) {
            db_kit_flip(kit->path, names[0], 100);
        } else {
            db_kit_unlink(kit->path, names[0]);
            db_kit_unlink(kit->path, "CURRENT");
            db_kit_unlink(kit->path, "LOCK");
        }
        KIT_IS(kit, gyre_open(kit->loop, kit->path, &kit->options, &kit->db), GYRE_CORRUPT);
        const struct found found = salvage(kit, &model, &result);
        assert_int_equal(found.gone, 0);
        assert_int_equal(found.right + found.stale, KEYS);
        assert_true(result.damage_count > 0);
        assert_true(result.log_record_count >= 150);
        assert_true(found.stale <= KEYS / 4); /* only deleted keys may differ */
        scratch_remove(kit->path);
    }
    assert_int_equal(rename(whole, kit->path), 0);
    db_kit_open(kit);
}

/* Goal:   one bad block costs the keys whose newest version was in it, and no other.
 * Method: flips in every table, one at a time; also footers, and cut files. */
static void
salvage_loses_only_damaged_blocks_of_tables(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_salvage_result result;
    struct db_model model;
    char names[64][64];
    char whole[SCRATCH_PATH_MAX + 64];

    fill(kit, &model);
    (void)snprintf(whole, sizeof(whole), "%s/whole", kit->top);
    assert_int_equal(rename(kit->path, whole), 0);
    const uint32_t count = db_kit_files(whole, "", ".sst", names, 64);
    assert_true(count >= 3);
    for (uint32_t i = 0; i < count * 3; i++) {
        const char *name = names[i / 3];
        const long size = db_kit_file_size(whole, name);

        db_kit_copy(whole, kit->path);
        if (i % 3 == 0) {
            db_kit_flip(kit->path, name, (long)db_kit_random(kit, 2048)); /* the first data block */
        } else if (i % 3 == 1) {
            /* the footer: its blocks are found all the same */
            db_kit_flip(kit->path, name, size - 4096 + 30);
        } else {
            db_kit_cut(kit->path, name, size - 4096);
        }
        const struct found found = salvage(kit, &model, &result);
        assert_true(result.damage_count > 0);
        assert_true(found.gone + found.stale <= 60); /* a block holds so many at most */
        assert_int_equal(found.right + found.stale + found.gone, KEYS);
        scratch_remove(kit->path);
    }
    assert_int_equal(rename(whole, kit->path), 0);
    db_kit_open(kit);
}

/* Goal:   a table that is gone is reported, the rest comes back. */
static void
salvage_reports_missing_tables(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_salvage_result result;
    struct db_model model;
    char names[64][64];

    fill(kit, &model);
    assert_true(db_kit_files(kit->path, "", ".sst", names, 64) >= 3);
    db_kit_unlink(kit->path, names[0]);
    const struct found found = salvage(kit, &model, &result);
    assert_true(result.damage_count >= 1);
    assert_true(found.right > KEYS / 3);
    scratch_remove(kit->path);
    db_kit_open(kit);
}

/* The log slot that has something in that page. */
static const char *
find_log(struct db_kit *kit, long page)
{
    static char names[64][64];
    const uint32_t count = db_kit_files(kit->path, "wal-", ".log", names, 64);

    for (uint32_t i = 0; i < count; i++) {
        if (db_kit_byte(kit->path, names[i], page * 4096) > 0) {
            return names[i];
        }
    }
    fail();
    return NULL;
}

/* Goal:   damage anywhere in a log costs the commits of the damaged frame, not those behind it, and
 *         not those of other logs. */
static void
salvage_reads_logs_past_damage(void **state)
{
    enum { COMMITS = 40 };
    struct db_kit *kit = *state;
    struct gyre_salvage_result result;
    char whole[SCRATCH_PATH_MAX + 64];
    struct db_model model;
    gyre_db *db = NULL;

    db_model_init(&model, COMMITS);
    for (uint32_t i = 0; i < COMMITS; i++) { /* a frame each */
        model.version[i] = 1;
        KIT_OK(kit, gyre_put(kit->db, GYRE_WRITE_OPTIONS(.durability = GYRE_DURABLE), db_kit_key(i),
                             db_kit_value(i, 1)));
    }
    db_kit_close(kit);
    const char *log = find_log(kit, COMMITS / 2);
    (void)snprintf(whole, sizeof(whole), "%s/whole", kit->top);
    assert_int_equal(rename(kit->path, whole), 0);
    for (long page = 0; page < COMMITS + 1; page++) {
        db_kit_copy(whole, kit->path);
        db_kit_flip(kit->path, log, page * 4096 + 70);
        KIT_IS(kit, gyre_open(kit->loop, kit->path, &kit->options, &db), GYRE_CORRUPT);
        assert_true(strstr(gyre_last_error(kit->loop)->text, "wal-") != NULL ||
                    gyre_last_error(kit->loop)->file[0] == 'w');
        const struct found found = salvage(kit, &model, &result);
        assert_int_equal(found.gone, page == 0 ? 0 : 1);
        assert_int_equal(found.stale, 0);
        assert_int_equal(result.damage_count, 1);
        scratch_remove(kit->path);
    }
    for (uint32_t what = 0; what < 2; what++) { /* without a manifest the logs are found too */
        db_kit_copy(whole, kit->path);
        db_kit_unlink(kit->path, "CURRENT");
        if (what == 1) {
            db_kit_flip(kit->path, log, 70);
        }
        const struct found found = salvage(kit, &model, &result);
        assert_int_equal(found.right, COMMITS);
        scratch_remove(kit->path);
    }
    assert_int_equal(rename(whole, kit->path), 0);
    db_kit_open(kit);
    db_kit_check(kit, kit->db, &model, NULL);
}

static bool
stop_soon(void *arg, uint64_t done, uint64_t total)
{
    uint32_t *left = arg;

    assert_true(done <= total);
    return (*left)-- > 0;
}

/* Goal:   what cannot be done is refused and leaves nothing: source open, target there, no store,
 *         stopped half-way. */
static void
salvage_refuses_and_leaves_nothing(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_salvage_result result = {.table_count = 77};
    struct db_model model;
    char names[64][64];

    db_model_init(&model, 100);
    db_kit_churn(kit, &model, 300);
    KIT_IS(kit, gyre_salvage(kit->loop, kit->path, kit->other, NULL, NULL, NULL, NULL, &result),
           GYRE_BUSY);
    fill(kit, &model);
    KIT_IS(kit, gyre_salvage(kit->loop, kit->path, kit->path, NULL, NULL, NULL, NULL, &result),
           GYRE_INVALID);
    KIT_IS(kit, gyre_salvage(kit->loop, kit->path, NULL, NULL, NULL, NULL, NULL, &result),
           GYRE_INVALID);
    KIT_IS(kit, gyre_salvage(kit->loop, kit->other, kit->path, NULL, NULL, NULL, NULL, &result),
           GYRE_NOT_FOUND);
    assert_int_equal(mkdir(kit->other, 0700), 0);
    KIT_IS(kit, gyre_salvage(kit->loop, kit->path, kit->other, NULL, NULL, NULL, NULL, &result),
           GYRE_INVALID);
    KIT_IS(kit, gyre_salvage(kit->loop, kit->other, kit->path, NULL, NULL, NULL, NULL, &result),
           GYRE_NOT_FOUND);
    assert_int_equal(rmdir(kit->other), 0);
    for (uint32_t stop = 0; stop < 4; stop++) {
        uint32_t left = stop;

        KIT_IS(
            kit,
            gyre_salvage(kit->loop, kit->path, kit->other, NULL, NULL, stop_soon, &left, &result),
            GYRE_CANCELED);
    }
    assert_int_equal(result.table_count, 77);
    assert_int_equal(db_kit_files(kit->top, "other", "", names, 64), 0);
    db_kit_open(kit);
    db_kit_check(kit, kit->db, &model, NULL);
}

#define SALVAGE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SALVAGE_TEST(salvage_copies_an_undamaged_store),
        SALVAGE_TEST(salvage_needs_no_manifest),
        SALVAGE_TEST(salvage_loses_only_damaged_blocks_of_tables),
        SALVAGE_TEST(salvage_reports_missing_tables),
        SALVAGE_TEST(salvage_reads_logs_past_damage),
        SALVAGE_TEST(salvage_refuses_and_leaves_nothing),
    };
    return cmocka_run_group_tests_name("db_salvage", tests, NULL, NULL);
}
