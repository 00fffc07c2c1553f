/* test_db_maintain.c - flush, compact_range, wait_idle, approximate_size, checkpoint, destroy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

static const struct gyre_slice OPEN_END = {NULL, 0};

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

static struct gyre_stats
stats_of(struct db_kit *kit)
{
    struct gyre_stats s = {.struct_size = sizeof(s)};

    KIT_OK(kit, gyre_stats(kit->db, &s));
    return s;
}

static uint64_t
entries_of(const struct gyre_stats *s)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < GYRE_LEVELS_MAX; i++) {
        count += s->levels[i].entry_count;
    }
    return count;
}

/* Goal:   after a flush nothing has to be replayed, and the memtable is empty. */
static void
flush_leaves_nothing_to_replay(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;

    db_model_init(&model, 300);
    db_kit_churn(kit, &model, 900);
    KIT_OK(kit, gyre_flush(kit->db));
    KIT_OK(kit, gyre_flush(kit->db)); /* nothing to do */
    db_kit_reopen(kit);
    assert_int_equal(stats_of(kit).recovered_records, 0);
    db_kit_check(kit, kit->db, &model, NULL);
}

/* Goal:   with background work off, flush and compact_range still work, and wait_idle does not wait
 *         for what will not happen. */
static void
maintenance_works_with_the_background_off(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;

    db_kit_close(kit);
    kit->options.background_off = 1;
    db_kit_open(kit);
    db_model_init(&model, 300);
    for (uint32_t i = 0; i < 6; i++) {
        db_kit_churn(kit, &model, 300);
        KIT_OK(kit, gyre_flush(kit->db));
        KIT_OK(kit, gyre_wait_idle(kit->db));
    }
    assert_true(stats_of(kit).levels[0].table_count >= 6);
    KIT_OK(kit, gyre_compact_range(kit->db, OPEN_END, OPEN_END, NULL, NULL));
    assert_int_equal(stats_of(kit).levels[0].table_count, 0);
    db_kit_check(kit, kit->db, &model, NULL);
}

/* Goal:   compact_range leaves the newest version of each key only, and none of what was deleted;
 *         doing it twice is harmless. */
static void
compact_range_drops_tombstones_and_old_versions(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;
    uint64_t live = 0;

    db_model_init(&model, 500);
    db_kit_churn(kit, &model, 5000);
    for (uint32_t i = 100; i < 200; i++) {
        db_kit_delete(kit, &model, i);
    }
    KIT_OK(kit, gyre_compact_range(kit->db, OPEN_END, OPEN_END, NULL, NULL));
    for (uint32_t i = 0; i < model.count; i++) {
        live += model.version[i] != DB_KIT_NONE;
    }
    struct gyre_stats s = stats_of(kit);
    assert_int_equal(entries_of(&s), live);
    KIT_OK(kit, gyre_compact_range(kit->db, OPEN_END, OPEN_END, NULL, NULL));
    s = stats_of(kit);
    assert_int_equal(entries_of(&s), live);
    KIT_OK(kit, gyre_compact_range(kit->db, db_kit_key(300), db_kit_key(310), NULL, NULL));
    KIT_OK(kit, gyre_compact_range(kit->db, db_kit_key(310), db_kit_key(300), NULL, NULL));
    db_kit_check(kit, kit->db, &model, NULL);
    for (uint32_t i = 0; i < 500; i++) {
        db_kit_delete(kit, &model, i);
    }
    KIT_OK(kit, gyre_compact_range(kit->db, OPEN_END, OPEN_END, NULL, NULL));
    assert_int_equal(stats_of(kit).table_count, 0);
    db_kit_check(kit, kit->db, &model, NULL);
    db_kit_reopen(kit);
    db_kit_check(kit, kit->db, &model, NULL);
}

struct progress {
    uint32_t calls;
    uint32_t calls_max; /* then it stops */
    uint64_t last;
    uint64_t total;
};

static bool
progress_note(void *arg, uint64_t done, uint64_t total)
{
    struct progress *p = arg;

    assert_true(done <= total);
    assert_true(done >= p->last);
    p->last = done;
    p->total = total;
    p->calls++;
    return p->calls < p->calls_max;
}

/* Goal:   progress rises to the total; stopping it is CANCELED, leaves a sound store, and the
 *         background goes on. */
static void
compact_range_can_be_stopped(void **state)
{
    struct db_kit *kit = *state;
    struct progress whole = {.calls_max = UINT32_MAX};
    struct db_model model;

    db_model_init(&model, 2000);
    db_kit_churn(kit, &model, 6000);
    for (uint32_t stop = 1; stop < 4; stop++) {
        struct progress part = {.calls_max = stop};

        db_kit_churn(kit, &model, 500);
        KIT_IS(kit, gyre_compact_range(kit->db, OPEN_END, OPEN_END, progress_note, &part),
               GYRE_CANCELED);
        assert_int_equal(part.calls, stop);
        db_kit_check(kit, kit->db, &model, NULL);
    }
    KIT_OK(kit, gyre_compact_range(kit->db, OPEN_END, OPEN_END, progress_note, &whole));
    assert_int_equal(whole.last, whole.total);
    assert_true(whole.calls > 2);
    KIT_OK(kit, gyre_wait_idle(kit->db));
    db_kit_check(kit, kit->db, &model, NULL);
}

/* Goal:   when wait_idle returns nothing is due: no debt, no frozen memtable. */
static void
wait_idle_returns_when_nothing_is_due(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;

    db_model_init(&model, 4000);
    db_kit_churn(kit, &model, 20000);
    KIT_OK(kit, gyre_wait_idle(kit->db));
    const struct gyre_stats s = stats_of(kit);
    assert_int_equal(s.compaction_debt, 0);
    assert_int_equal(s.memtable_count, 1);
    assert_true(s.compaction_count > 0);
    db_kit_check(kit, kit->db, &model, NULL);
}

/* Goal:   the estimate is within 20 % of the share that a range has of all tables. */
static void
approximate_size_is_near_the_truth(void **state)
{
    enum { COUNT = 3000, VALUE = 400 };
    struct db_kit *kit = *state;
    uint8_t value[VALUE];
    uint64_t bytes = 0;
    uint64_t all = 0;

    db_kit_close(kit);
    kit->options.compression = GYRE_COMPRESSION_NONE;
    db_kit_open(kit);
    for (uint32_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < VALUE; j++) {
            value[j] = (uint8_t)db_kit_random(kit, 256);
        }
        KIT_OK(kit, gyre_put(kit->db, NULL, db_kit_key(i), gyre_slice(value, VALUE)));
    }
    KIT_OK(kit, gyre_flush(kit->db));
    KIT_OK(kit, gyre_wait_idle(kit->db));
    KIT_OK(kit, gyre_approximate_size(kit->db, OPEN_END, OPEN_END, &all));
    assert_int_equal(all, stats_of(kit).table_bytes);
    for (uint32_t from = 0; from + 500 <= COUNT; from += 250) {
        KIT_OK(kit,
               gyre_approximate_size(kit->db, db_kit_key(from), db_kit_key(from + 500), &bytes));
        assert_in_range(bytes, all * 500 / COUNT * 8 / 10, all * 500 / COUNT * 12 / 10);
    }
    KIT_OK(kit, gyre_approximate_size(kit->db, db_kit_key(10), db_kit_key(10), &bytes));
    assert_int_equal(bytes, 0);
    KIT_OK(kit, gyre_approximate_size(kit->db, db_kit_key(20), db_kit_key(10), &bytes));
    assert_int_equal(bytes, 0);
    KIT_OK(kit, gyre_approximate_size(kit->db, gyre_str("z"), OPEN_END, &bytes));
    assert_int_equal(bytes, 0);
    KIT_IS(kit, gyre_approximate_size(kit->db, OPEN_END, OPEN_END, NULL), GYRE_INVALID);
}

/* Goal:   a checkpoint is a store of its own with the content of its moment: neither changes with
 *         the other. */
static void
checkpoint_is_an_independent_store(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;
    struct db_model then;
    struct db_model there;
    gyre_db *source = kit->db;
    gyre_db *copy = NULL;
    char names[64][64];

    db_model_init(&model, 600);
    db_kit_churn(kit, &model, 3000);
    KIT_OK(kit, gyre_checkpoint(kit->db, kit->other));
    then = model;
    db_kit_churn(kit, &model, 3000);
    KIT_OK(kit, gyre_open(kit->loop, kit->other, &kit->options, &copy));
    db_kit_check(kit, copy, &then, NULL);
    there = then;
    kit->db = copy;
    db_kit_churn(kit, &there, 3000);
    KIT_OK(kit, gyre_compact_range(copy, OPEN_END, OPEN_END, NULL, NULL));
    KIT_OK(kit, gyre_close(copy));
    KIT_OK(kit, gyre_open(kit->loop, kit->other, &kit->options, &copy));
    db_kit_check(kit, copy, &there, NULL);
    KIT_OK(kit, gyre_close(copy));
    kit->db = source;
    KIT_OK(kit, gyre_compact_range(kit->db, OPEN_END, OPEN_END, NULL, NULL));
    db_kit_check(kit, kit->db, &model, NULL);
    KIT_OK(kit, gyre_open(kit->loop, kit->other, &kit->options, &copy));
    db_kit_check(kit, copy, &there, NULL);
    KIT_OK(kit, gyre_verify(copy, NULL, NULL, NULL, NULL));
    KIT_OK(kit, gyre_close(copy));
    assert_int_equal(db_kit_files(kit->top, "other.tmp", "", names, 64), 0);
}

/* Goal:   what cannot be made is refused, and leaves nothing behind. */
static void
checkpoint_refuses_what_exists_and_leaves_nothing(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;
    char path[400];
    char names[64][64];

    db_model_init(&model, 100);
    db_kit_churn(kit, &model, 300);
    KIT_IS(kit, gyre_checkpoint(kit->db, kit->path), GYRE_INVALID);
    KIT_IS(kit, gyre_checkpoint(kit->db, NULL), GYRE_INVALID);
    KIT_IS(kit, gyre_checkpoint(kit->db, "."), GYRE_INVALID);
    KIT_IS(kit, gyre_checkpoint(kit->db, "/"), GYRE_INVALID);
    (void)snprintf(path, sizeof(path), "%s/no/where", kit->top);
    KIT_IS(kit, gyre_checkpoint(kit->db, path), GYRE_NOT_FOUND);
    assert_int_equal(mkdir(kit->other, 0700), 0);
    KIT_IS(kit, gyre_checkpoint(kit->db, kit->other), GYRE_INVALID);
    struct stat here;
    struct stat there;
    assert_int_equal(stat(kit->top, &here), 0);
    if (stat("/dev/shm", &there) == 0 && here.st_dev != there.st_dev &&
        access("/dev/shm", W_OK) == 0) {
        (void)snprintf(path, sizeof(path), "/dev/shm/gyre-test-%d", (int)getpid());
        KIT_IS(kit, gyre_checkpoint(kit->db, path), GYRE_INVALID);
        assert_int_equal(stat(path, &there), -1);
        (void)snprintf(path, sizeof(path), "gyre-test-%d", (int)getpid());
        assert_int_equal(db_kit_files("/dev/shm", path, "", names, 64), 0);
    }
    assert_int_equal(db_kit_files(kit->top, "other.", "", names, 64), 0);
    db_kit_check(kit, kit->db, &model, NULL);
}

/* Goal:   destroy takes a store's files and nobody else's, and only of a store that nobody has
 *         open. */
static void
destroy_removes_only_its_own(void **state)
{
    struct db_kit *kit = *state;
    char path[400];
    char names[64][64];
    FILE *file;

    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("k"), gyre_str("v")));
    KIT_OK(kit, gyre_checkpoint(kit->db, kit->other));
    KIT_IS(kit, gyre_destroy(kit->loop, kit->path), GYRE_BUSY);
    KIT_OK(kit, gyre_flush(kit->db));
    db_kit_close(kit);
    (void)snprintf(path, sizeof(path), "%s/notes.txt", kit->path);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
    KIT_OK(kit, gyre_destroy(kit->loop, kit->path));
    assert_int_equal(db_kit_files(kit->path, "", "", names, 64), 1);
    assert_string_equal(names[0], "notes.txt");
    KIT_IS(kit, gyre_destroy(kit->loop, kit->path), GYRE_NOT_FOUND);
    assert_int_equal(db_kit_files(kit->path, "", "", names, 64), 1);
    KIT_OK(kit, gyre_destroy(kit->loop, kit->other));
    assert_int_equal(access(kit->other, F_OK), -1);
    KIT_IS(kit, gyre_destroy(kit->loop, kit->other), GYRE_NOT_FOUND);
    assert_int_equal(unlink(path), 0);
    db_kit_open(kit);
}

/* Goal:   a read-only store refuses maintenance that writes. */
static void
maintenance_is_refused_read_only(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;

    db_model_init(&model, 100);
    db_kit_churn(kit, &model, 300);
    db_kit_close(kit);
    kit->options.flags = GYRE_OPEN_READ_ONLY;
    db_kit_open(kit);
    KIT_IS(kit, gyre_put(kit->db, NULL, gyre_str("k"), gyre_str("v")), GYRE_READ_ONLY);
    KIT_IS(kit, gyre_flush(kit->db), GYRE_READ_ONLY);
    KIT_IS(kit, gyre_compact_range(kit->db, OPEN_END, OPEN_END, NULL, NULL), GYRE_READ_ONLY);
    /* its commits are in the log */
    KIT_IS(kit, gyre_checkpoint(kit->db, kit->other), GYRE_READ_ONLY);
    KIT_OK(kit, gyre_wait_idle(kit->db));
    db_kit_check(kit, kit->db, &model, NULL);
}

#define MAINTAIN_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        MAINTAIN_TEST(flush_leaves_nothing_to_replay),
        MAINTAIN_TEST(maintenance_works_with_the_background_off),
        MAINTAIN_TEST(compact_range_drops_tombstones_and_old_versions),
        MAINTAIN_TEST(compact_range_can_be_stopped),
        MAINTAIN_TEST(wait_idle_returns_when_nothing_is_due),
        MAINTAIN_TEST(approximate_size_is_near_the_truth),
        MAINTAIN_TEST(checkpoint_is_an_independent_store),
        MAINTAIN_TEST(checkpoint_refuses_what_exists_and_leaves_nothing),
        MAINTAIN_TEST(destroy_removes_only_its_own),
        MAINTAIN_TEST(maintenance_is_refused_read_only),
    };
    return cmocka_run_group_tests_name("db_maintain", tests, NULL, NULL);
}
