/* test_db_recover.c - what is there after a process ended, well or badly; read-only opens; one
 * opener at a time; damage that an open must see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

#define KEYS 300u

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

/* What a child tells before it dies, in memory that it shares with us. */
struct shared {
    volatile uint32_t answered; /* commits */
    volatile uint32_t failed;
};

static struct shared *
shared_make(void)
{
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(shared != MAP_FAILED);
    return shared;
}

/* Commit n puts key n % KEYS with version n, in a batch with a counter. */
static gyre_status
commit_number(gyre_db *db, gyre_batch *batch, uint32_t n, uint32_t durability)
{
    char counter[16];

    (void)snprintf(counter, sizeof(counter), "%08u", n);
    gyre_batch_clear(batch);
    if (gyre_batch_put(batch, db_kit_key(n % KEYS), db_kit_value(n % KEYS, n)) != GYRE_OK ||
        gyre_batch_put(batch, gyre_str("zzz-counter"), gyre_str(counter)) != GYRE_OK) {
        return GYRE_NO_MEMORY;
    }
    return gyre_write(db, GYRE_WRITE_OPTIONS(.durability = durability), batch);
}

/* Open, commit on, and die without a word after `count` commits or, with 0, until killed. */
static void
child_main(struct db_kit *kit, struct shared *shared, uint32_t from, uint32_t count,
           uint32_t durability)
{
    struct gyre_error error;
    gyre_loop *loop = NULL;
    gyre_db *db = NULL;
    gyre_batch *batch = gyre_batch_make();

    if (gyre_loop_open(GYRE_LOOP_OPTIONS(.memory_limit = 32u << 20, .cache_size = 4u << 20), &loop,
                       &error) != GYRE_OK ||
        gyre_open(loop, kit->path, &kit->options, &db) != GYRE_OK) {
        shared->failed = 1;
        _exit(1);
    }
    for (uint32_t n = from; count == 0 || n < from + count; n++) {
        if (commit_number(db, batch, n, durability == 0 ? 1 + n % 2 : durability) != GYRE_OK) {
            shared->failed = 2;
            _exit(1);
        }
        shared->answered = n;
    }
    _exit(0);
}

/* The store holds commits 1..n for some n >= `answered`, whole; returns n. */
static uint32_t
check_prefix(struct db_kit *kit, uint32_t answered)
{
    struct gyre_value value;
    struct db_model model;
    uint32_t last = 0;
    char text[16] = {0};

    if (gyre_get(kit->db, NULL, gyre_str("zzz-counter"), &value) == GYRE_OK) {
        memcpy(text, value.data, 8);
        last = (uint32_t)strtoul(text, NULL, 10);
        gyre_value_release(&value);
    }
    assert_true(last >= answered);
    db_model_init(&model, KEYS);
    for (uint32_t n = last > KEYS ? last - KEYS + 1 : 1; n <= last; n++) {
        model.version[n % KEYS] = n;
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        if (model.version[i] == DB_KIT_NONE) {
            KIT_IS(kit, gyre_get(kit->db, NULL, db_kit_key(i), &value), GYRE_NOT_FOUND);
            continue;
        }
        const struct gyre_slice wanted = db_kit_value(i, model.version[i]);
        KIT_OK(kit, gyre_get(kit->db, NULL, db_kit_key(i), &value));
        assert_int_equal(value.size, wanted.size);
        assert_memory_equal(value.data, wanted.data, wanted.size);
        gyre_value_release(&value);
    }
    return last;
}

static void
run_child(struct db_kit *kit, struct shared *shared, uint32_t from, uint32_t count,
          uint32_t durability, uint32_t kill_after_ms)
{
    int status = 0;
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        child_main(kit, shared, from, count, durability);
    }
    if (count == 0) {
        (void)usleep(kill_after_ms * 1000u);
        assert_int_equal(kill(child, 9), 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(shared->failed, 0);
}

/* Goal:   after a process ends without closing, in the middle of commits of either durability,
 *         every answered commit is there, and the store holds a prefix of what was committed; this
 *         holds over many ends in a row. */
static void
recovery_keeps_every_answered_commit_of_a_dead_process(void **state)
{
    struct db_kit *kit = *state;
    struct shared *shared = shared_make();
    uint32_t last = 0;

    for (uint32_t round = 0; round < 12; round++) {
        const uint32_t count = round < 6 ? 20 + (uint32_t)db_kit_random(kit, 900) : 0;

        db_kit_close(kit);
        shared->answered = last;
        run_child(kit, shared, last + 1, count, round % 3, 30 + (uint32_t)db_kit_random(kit, 200));
        db_kit_open(kit);
        last = check_prefix(kit, shared->answered);
        assert_true(count == 0 || last == shared->answered);
        struct gyre_stats s = {.struct_size = sizeof(s)};
        KIT_OK(kit, gyre_stats(kit->db, &s));
        assert_int_equal(s.stage_lost, 0);
    }
    (void)munmap(shared, sizeof(*shared));
}

/* Goal:   opening, which may die too, never loses what an earlier recovery showed. */
static void
recovery_is_repeatable(void **state)
{
    struct db_kit *kit = *state;
    struct shared *shared = shared_make();
    char copy[SCRATCH_PATH_MAX + 64];
    gyre_db *db = NULL;

    db_kit_close(kit);
    shared->answered = 0;
    run_child(kit, shared, 1, 700, GYRE_DURABLE, 0);
    (void)snprintf(copy, sizeof(copy), "%s/copy", kit->top);
    db_kit_copy(kit->path, copy);
    for (uint32_t i = 0; i < 5; i++) {
        db_kit_open(kit);
        assert_int_equal(check_prefix(kit, 700), 700);
        db_kit_close(kit);
    }
    /* a copy of a killed store, elsewhere */
    KIT_OK(kit, gyre_open(kit->loop, copy, &kit->options, &db));
    KIT_OK(kit, gyre_close(db));
    db_kit_open(kit);
    (void)munmap(shared, sizeof(*shared));
}

/* Goal:   destroying the store of a dead process takes its staging memory away too. */
static void
destroy_removes_the_staging_of_a_dead_process(void **state)
{
    struct db_kit *kit = *state;
    struct shared *shared = shared_make();
    char prefix[64] = "gyre-"; /* the store's id is in the name */
    char names[4][64];
    size_t size = 0;

    if (access("/dev/shm", W_OK) != 0) {
        skip();
    }
    KIT_OK(kit, gyre_property(kit->db, "gyre.store-id", prefix + 5, sizeof(prefix) - 5, &size));
    db_kit_close(kit);
    assert_int_equal(db_kit_files("/dev/shm", prefix, "", names, 4), 0);
    run_child(kit, shared, 1, 50, GYRE_BUFFERED, 0);
    assert_int_equal(db_kit_files("/dev/shm", prefix, "", names, 4), 1);
    KIT_OK(kit, gyre_destroy(kit->loop, kit->path));
    assert_int_equal(db_kit_files("/dev/shm", prefix, "", names, 4), 0);
    db_kit_open(kit);
    (void)munmap(shared, sizeof(*shared));
}

/* Goal:   a large commit, which goes to the log in parts, is there whole or not at all when its
 *         process dies. */
static void
recovery_takes_large_commits_whole_or_not(void **state)
{
    enum { COUNT = 3000 };
    struct db_kit *kit = *state;
    struct shared *shared = shared_make();

    for (uint32_t round = 0; round < 6; round++) {
        int status = 0;
        uint32_t found = 0;
        pid_t child;

        db_kit_close(kit);
        shared->answered = 0;
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct gyre_error error;
            gyre_loop *loop = NULL;
            gyre_db *db = NULL;
            gyre_batch *batch = gyre_batch_make();

            for (uint32_t i = 0; i < COUNT; i++) {
                if (gyre_batch_put(batch, db_kit_key(i), db_kit_value(i, round)) != GYRE_OK) {
                    _exit(1);
                }
            }
            if (gyre_loop_open(GYRE_LOOP_OPTIONS(.memory_limit = 32u << 20), &loop, &error) !=
                    GYRE_OK ||
                gyre_open(loop, kit->path, &kit->options, &db) != GYRE_OK) {
                _exit(1);
            }
            shared->answered = 1;
            if (gyre_write(db, GYRE_WRITE_OPTIONS(.durability = 1 + round % 2), batch) != GYRE_OK) {
                _exit(1);
            }
            shared->answered = 2;
            _exit(0);
        }
        if (round >= 2) {
            while (shared->answered < 1) {
                (void)usleep(50);
            }
            (void)usleep((uint32_t)db_kit_random(kit, 3000));
            (void)kill(child, 9);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        db_kit_open(kit);
        for (uint32_t i = 0; i < COUNT; i++) {
            const struct gyre_slice wanted = db_kit_value(i, round);
            struct gyre_value value;

            if (gyre_get(kit->db, NULL, db_kit_key(i), &value) == GYRE_OK) {
                found +=
                    value.size == wanted.size && memcmp(value.data, wanted.data, wanted.size) == 0;
                gyre_value_release(&value);
            }
        }
        assert_true(found == COUNT || (found == 0 && shared->answered < 2));
    }
    (void)munmap(shared, sizeof(*shared));
}

/* Goal:   a read-only open shows everything, also of a store that was not closed, changes no byte,
 *         and several may share it. */
static void
read_only_open_changes_nothing(void **state)
{
    struct db_kit *kit = *state;
    struct shared *shared = shared_make();

    db_kit_close(kit);
    shared->answered = 0;
    run_child(kit, shared, 1, 1500, GYRE_DURABLE, 0);
    const uint64_t hash = db_kit_hash(kit->path);
    const uint32_t flags = kit->options.flags;
    kit->options.flags = GYRE_OPEN_READ_ONLY;
    for (uint32_t i = 0; i < 3; i++) {
        gyre_loop *loop = db_kit_loop_open(GYRE_IO_AUTO);
        gyre_db *second = NULL;
        gyre_iterator *it;

        db_kit_open(kit);
        assert_int_equal(gyre_open(loop, kit->path, &kit->options, &second), GYRE_OK);
        assert_int_equal(check_prefix(kit, 1500), 1500);
        KIT_OK(kit, gyre_iterator_open(kit->db, NULL, &it));
        KIT_OK(kit, gyre_iterator_last(it));
        gyre_iterator_close(it);
        KIT_IS(kit, gyre_put(kit->db, NULL, gyre_str("k"), gyre_str("v")), GYRE_READ_ONLY);
        KIT_OK(kit, gyre_verify(kit->db, NULL, NULL, NULL, NULL));
        KIT_OK(kit, gyre_sync(kit->db));
        assert_int_equal(gyre_close(second), GYRE_OK);
        assert_int_equal(gyre_loop_close(loop), GYRE_OK);
        db_kit_close(kit);
        assert_int_equal(db_kit_hash(kit->path), hash);
    }
    kit->options.flags = flags;
    db_kit_open(kit);
    assert_int_equal(check_prefix(kit, 1500), 1500);
    (void)munmap(shared, sizeof(*shared));
}

/* Goal:   a second opener, in this process or another, writing or reading, is BUSY and changes
 *         nothing. */
static void
second_opener_is_busy(void **state)
{
    struct db_kit *kit = *state;
    gyre_loop *loop = db_kit_loop_open(GYRE_IO_AUTO);
    gyre_db *db = NULL;
    int status = 0;

    KIT_IS(kit, gyre_open(kit->loop, kit->path, &kit->options, &db), GYRE_BUSY);
    assert_int_equal(gyre_open(loop, kit->path, &kit->options, &db), GYRE_BUSY);
    assert_int_equal(gyre_open(loop, kit->path, GYRE_OPTIONS(.flags = GYRE_OPEN_READ_ONLY), &db),
                     GYRE_BUSY);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct gyre_error error;
        gyre_loop *own = NULL;

        if (gyre_loop_open(NULL, &own, &error) != GYRE_OK) {
            _exit(2);
        }
        _exit(gyre_open(own, kit->path, &kit->options, &db) == GYRE_BUSY ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("k"), gyre_str("v")));
    db_kit_close(kit);
    assert_int_equal(gyre_open(loop, kit->path, &kit->options, &db), GYRE_OK);
    assert_int_equal(gyre_close(db), GYRE_OK);
    assert_int_equal(gyre_loop_close(loop), GYRE_OK);
    db_kit_open(kit);
}

/* What was done to a file, and how an open must answer. */
struct harm {
    const char *prefix;
    const char *suffix;
    enum { GONE, CUT, EMPTY, FLIPPED } what;
    long offset; /* of the flip */
};

static const struct harm harms[] = {
    {"CURRENT", "", GONE, 0},
    {"CURRENT", "", EMPTY, 0},
    {"CURRENT", "", FLIPPED, 3},
    {"CURRENT", "", FLIPPED, 66},
    {"MANIFEST", "", GONE, 0},
    {"MANIFEST", "", EMPTY, 0},
    {"MANIFEST", "", CUT, 4096},
    {"MANIFEST", "", FLIPPED, 10},
    {"MANIFEST", "", FLIPPED, 80},
    {"MANIFEST", "", FLIPPED, 4096 + 66},
    {"wal-", ".log", GONE, 0},
    {"wal-", ".log", EMPTY, 0},
    {"wal-", ".log", CUT, 8192},
    {"wal-", ".log", FLIPPED, 0},
    {"wal-", ".log", FLIPPED, 70},
    {"wal-", ".log", FLIPPED, 4096 + 70},
    {"wal-", ".log", FLIPPED, 8192 + 20},
    {"", ".sst", GONE, 0},
    {"", ".sst", EMPTY, 0},
    {"", ".sst", CUT, 4096},
    {"", ".sst", FLIPPED, 50},
};

static void
do_harm(const char *path, const char *name, const struct harm *h)
{
    if (h->what == GONE) {
        db_kit_unlink(path, name);
    } else if (h->what == FLIPPED) {
        db_kit_flip(path, name, h->offset);
    } else {
        db_kit_cut(path, name, h->what == EMPTY ? 0 : h->offset);
    }
}

/* In the header of its first frame; small here. */
static int
log_number(const char *path, const char *name)
{
    return db_kit_byte(path, name, 48) + 256 * db_kit_byte(path, name, 49);
}

/* By open, or for a table by the first read of it; the error names the file, for a manifest that
 * has lost its end it may name the log that tells so. */
static bool
answers_corrupt(struct db_kit *kit, const char *path, const char *name, bool is_manifest)
{
    gyre_db *db = NULL;
    gyre_status status = gyre_open(kit->loop, path, &kit->options, &db);

    for (uint32_t k = 0; k < KEYS && status == GYRE_OK; k++) {
        struct gyre_value value = {0};

        status = gyre_get(db, NULL, db_kit_key(k), &value);
        gyre_value_release(&value);
        status = status == GYRE_NOT_FOUND ? GYRE_OK : status;
    }
    const struct gyre_error error = *gyre_last_error(kit->loop);
    if (db != NULL) {
        assert_non_null(strstr(name, ".sst"));
        KIT_OK(kit, gyre_close(db));
    }
    if (status != GYRE_CORRUPT) {
        return false;
    }
    assert_true(strcmp(error.file, name) == 0 || strstr(error.text, name) != NULL ||
                (is_manifest && strstr(error.text, "manifest") != NULL));
    return true;
}

/* Goal:   CURRENT, manifest, log or table that is gone, cut or flipped is CORRUPT, by open or by
 *         the first read, and the error names the file; opening again gives the same answer.
 * Method: a store that was closed cleanly and has all of them; a copy for each harm. */
static void
damage_is_corrupt_and_named(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;
    char names[64][64];

    db_model_init(&model, KEYS);
    db_kit_churn(kit, &model, 1000);
    KIT_OK(kit, gyre_compact_range(kit->db, OPEN_END, OPEN_END, NULL, NULL));
    db_kit_reopen(kit); /* the log in use is this one's */
    for (uint32_t i = 0; i < 20; i++) {
        KIT_OK(kit, gyre_sync(kit->db));
        db_kit_churn(kit, &model, 5);
    }
    db_kit_close(kit);
    for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++) {
        const struct harm *h = &harms[i];
        char copy[SCRATCH_PATH_MAX + 64];
        const char *name = NULL;
        int number = 0;

        (void)snprintf(copy, sizeof(copy), "%s/copy%zu", kit->top, i);
        db_kit_copy(kit->path, copy);
        const uint32_t count = db_kit_files(copy, h->prefix, h->suffix, names, 64);
        assert_true(count > 0);
        for (uint32_t k = 0; k < count; k++) {
            if (h->prefix[0] != 'w') {
                name = db_kit_byte(copy, names[k], 0) > 0 || count == 1 ? names[k] : name;
            } else if (log_number(copy, names[k]) > number) { /* of the logs: the one in use */
                number = log_number(copy, names[k]);
                name = names[k];
            }
        }
        assert_non_null(name);
        do_harm(copy, name, h);
        for (uint32_t pass = 0; pass < 2; pass++) {
            if (!answers_corrupt(kit, copy, name, h->prefix[0] == 'M')) {
                print_error("harm %zu to %s was not seen\n", i, name);
                fail();
            }
        }
        scratch_remove(copy);
    }
    db_kit_open(kit);
    db_kit_check(kit, kit->db, &model, NULL);
}

/* Goal:   a file of our own naming whose number no store reaches is not taken for the last one that
 *         was used (numbers would run out): it is refused and named, and the store works without.
 */
static void
file_numbers_that_no_store_reaches_are_refused(void **state)
{
    static const char *const names[] = {"281474976710655.sst", "MANIFEST-281474976710655",
                                        "281474976710600.sst", "140737488355330.sst"};
    struct db_kit *kit = *state;
    struct db_model model;
    char command[900];

    db_model_init(&model, KEYS);
    db_kit_churn(kit, &model, 100);
    db_kit_close(kit);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(command, sizeof(command), "touch %s/%s", kit->path, names[i]);
        assert_int_equal(system(command), 0);
        KIT_IS(kit, gyre_open(kit->loop, kit->path, &kit->options, &kit->db), GYRE_CORRUPT);
        assert_non_null(strstr(gyre_last_error(kit->loop)->text, "remove a file of that name"));
        kit->db = NULL;
        db_kit_unlink(kit->path, names[i]);
    }
    db_kit_open(kit);
    db_kit_check(kit, kit->db, &model, NULL);
}

/* Goal:   files that a crash may leave (a half-written table, a temporary CURRENT, an old manifest)
 *         are removed at open and do no harm. */
static void
leftovers_of_a_crash_are_removed(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;
    char names[64][64];
    char command[900];

    db_model_init(&model, KEYS);
    db_kit_churn(kit, &model, 1000);
    KIT_OK(kit, gyre_flush(kit->db));
    db_kit_close(kit);
    (void)snprintf(
        command, sizeof(command),
        "cd %s && echo rubbish > 009999.sst && echo rubbish > CURRENT.tmp && echo rubbish > "
        "MANIFEST-000999",
        kit->path);
    assert_int_equal(system(command), 0);
    db_kit_open(kit);
    db_kit_check(kit, kit->db, &model, NULL);
    assert_int_equal(db_kit_files(kit->path, "009999", ".sst", names, 64), 0);
    assert_int_equal(db_kit_files(kit->path, "CURRENT.tmp", "", names, 64), 0);
    assert_int_equal(db_kit_files(kit->path, "MANIFEST", "", names, 64), 1);
    db_kit_churn(kit, &model, 1000);
    KIT_OK(kit, gyre_flush(kit->db));
    db_kit_reopen(kit);
    db_kit_check(kit, kit->db, &model, NULL);
}

#define RECOVER_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RECOVER_TEST(recovery_keeps_every_answered_commit_of_a_dead_process),
        RECOVER_TEST(recovery_is_repeatable),
        RECOVER_TEST(destroy_removes_the_staging_of_a_dead_process),
        RECOVER_TEST(recovery_takes_large_commits_whole_or_not),
        RECOVER_TEST(read_only_open_changes_nothing),
        RECOVER_TEST(second_opener_is_busy),
        RECOVER_TEST(damage_is_corrupt_and_named),
        RECOVER_TEST(leftovers_of_a_crash_are_removed),
        RECOVER_TEST(file_numbers_that_no_store_reaches_are_refused),
    };
    return cmocka_run_group_tests_name("db_recover", tests, NULL, NULL);
}
