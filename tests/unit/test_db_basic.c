/* test_db_basic.c - put, get, delete, batch, reopen; limits and misuse, through the public calls,
 * on io_uring (where there is one) and on the blocking world. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

static int
setup_auto(void **state)
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
expect_stored(struct db_kit *kit, struct gyre_slice key, struct gyre_slice wanted)
{
    struct gyre_value value;

    KIT_OK(kit, gyre_get(kit->db, NULL, key, &value));
    assert_int_equal(value.size, wanted.size);
    if (wanted.size > 0) {
        assert_memory_equal(value.data, wanted.data, wanted.size);
    }
    gyre_value_release(&value);
    gyre_value_release(&value); /* twice is harmless */
}

/* Goal:   what was put is there, what was deleted is not, at once and after reopening and
 *         flushing. */
static void
db_returns_what_was_put_also_after_reopening(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;

    db_model_init(&model, 300);
    db_kit_churn(kit, &model, 500);
    db_kit_check(kit, kit->db, &model, NULL);
    db_kit_reopen(kit);
    db_kit_check(kit, kit->db, &model, NULL);
    KIT_OK(kit, gyre_flush(kit->db));
    db_kit_check(kit, kit->db, &model, NULL);
    db_kit_churn(kit, &model, 500);
    db_kit_reopen(kit);
    KIT_OK(kit, gyre_wait_idle(kit->db));
    db_kit_check(kit, kit->db, &model, NULL);
}

/* Goal:   every size at a boundary of pages, blocks, frames and limits comes back as it was, from
 *         the memtable, from the log and from tables. */
static void
db_keeps_every_size_at_the_boundaries(void **state)
{
    static const size_t sizes[] = {0,      1,      7,      8,      127,    128,   4031,  4032,
                                   4095,   4096,   4097,   16383,  16384,  65535, 65536, 65537,
                                   131072, 262079, 262080, 262144, 300000, 524288};
    static const size_t key_sizes[] = {1, 2, 7, 8, 9, 127, 128, 255, 256, 4096, 65535, 65536};
    struct db_kit *kit = *state;
    uint8_t *bytes = malloc(1u << 20);
    uint8_t *key = malloc(GYRE_KEY_SIZE_MAX);

    assert_true(bytes != NULL && key != NULL);
    for (size_t i = 0; i < 1u << 20; i++) {
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    memset(key, 0xee, GYRE_KEY_SIZE_MAX);
    for (uint32_t pass = 0; pass < 3; pass++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            const struct gyre_slice name = db_kit_key((uint32_t)i);

            if (pass == 0) {
                KIT_OK(kit, gyre_put(kit->db,
                                     i % 2 ? GYRE_WRITE_OPTIONS(.durability = GYRE_DURABLE) : NULL,
                                     name, gyre_slice(bytes, sizes[i])));
            }
            expect_stored(kit, name, gyre_slice(bytes, sizes[i]));
        }
        for (size_t i = 0; i < sizeof(key_sizes) / sizeof(key_sizes[0]); i++) {
            if (pass == 0) {
                KIT_OK(kit, gyre_put(kit->db, NULL, gyre_slice(key, key_sizes[i]),
                                     gyre_slice(bytes + i, 100 + i)));
            }
            expect_stored(kit, gyre_slice(key, key_sizes[i]), gyre_slice(bytes + i, 100 + i));
        }
        if (pass == 0) {
            db_kit_reopen(kit);
        } else if (pass == 1) {
            KIT_OK(kit, gyre_flush(kit->db));
            KIT_OK(kit, gyre_compact_range(kit->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL,
                                           NULL));
        }
    }
    free(bytes);
    free(key);
}

/* Goal:   a batch is applied whole and in its order; an empty one is fine. */
static void
db_applies_batches_in_their_order(void **state)
{
    struct db_kit *kit = *state;
    gyre_batch *batch = gyre_batch_make();
    struct gyre_value value;

    assert_non_null(batch);
    KIT_OK(kit, gyre_write(kit->db, NULL, batch));
    assert_int_equal(gyre_batch_put(batch, gyre_str("a"), gyre_str("1")), GYRE_OK);
    assert_int_equal(gyre_batch_put(batch, gyre_str("b"), gyre_str("2")), GYRE_OK);
    assert_int_equal(gyre_batch_delete(batch, gyre_str("a")), GYRE_OK);
    assert_int_equal(gyre_batch_put(batch, gyre_str("b"), gyre_str("3")), GYRE_OK);
    KIT_OK(kit, gyre_write(kit->db, NULL, batch));
    for (uint32_t pass = 0; pass < 2; pass++) {
        KIT_IS(kit, gyre_get(kit->db, NULL, gyre_str("a"), &value), GYRE_NOT_FOUND);
        expect_stored(kit, gyre_str("b"), gyre_str("3"));
        db_kit_reopen(kit);
    }
    gyre_batch_free(batch);
}

/* Goal:   a commit larger than a frame and than the memtable, in both durabilities, is there whole,
 *         also after reopening. */
static void
db_takes_commits_larger_than_a_frame(void **state)
{
    enum { COUNT = 3000 };
    struct db_kit *kit = *state;
    gyre_batch *batch = gyre_batch_make();
    struct db_model model;

    db_model_init(&model, COUNT);
    for (uint32_t round = 0; round < 2; round++) {
        gyre_batch_clear(batch);
        for (uint32_t i = 0; i < COUNT; i++) {
            model.version[i] = round + 1;
            assert_int_equal(gyre_batch_put(batch, db_kit_key(i), db_kit_value(i, round + 1)),
                             GYRE_OK);
        }
        KIT_OK(kit,
               gyre_write(kit->db,
                          GYRE_WRITE_OPTIONS(.durability = round ? GYRE_DURABLE : GYRE_BUFFERED),
                          batch));
        db_kit_check(kit, kit->db, &model, NULL);
        db_kit_reopen(kit);
        db_kit_check(kit, kit->db, &model, NULL);
    }
    KIT_OK(kit, gyre_flush(kit->db));
    db_kit_check(kit, kit->db, &model, NULL);
    gyre_batch_free(batch);
}

/* Goal:   going past a limit is INVALID with a text, and changes nothing. */
static void
db_answers_invalid_past_its_limits(void **state)
{
    struct db_kit *kit = *state;
    uint8_t *bytes = calloc(1, GYRE_VALUE_SIZE_MAX + 1);
    struct gyre_value value;
    struct gyre_stats before = {.struct_size = sizeof(before)};
    struct gyre_stats after = {.struct_size = sizeof(after)};
    gyre_db *db = kit->db;

    assert_non_null(bytes);
    KIT_OK(kit, gyre_stats(db, &before));
    KIT_IS(kit, gyre_put(db, NULL, gyre_slice(bytes, 0), gyre_str("v")), GYRE_INVALID);
    assert_true(strlen(gyre_last_error(kit->loop)->text) > 10);
    KIT_IS(kit, gyre_put(db, NULL, gyre_slice(NULL, 1), gyre_str("v")), GYRE_INVALID);
    KIT_IS(kit, gyre_put(db, NULL, gyre_slice(bytes, GYRE_KEY_SIZE_MAX + 1), gyre_str("v")),
           GYRE_INVALID);
    KIT_IS(kit, gyre_put(db, NULL, gyre_str("k"), gyre_slice(NULL, 1)), GYRE_INVALID);
    KIT_IS(kit, gyre_put(db, NULL, gyre_str("k"), gyre_slice(bytes, GYRE_VALUE_SIZE_MAX + 1)),
           GYRE_INVALID);
    KIT_IS(kit, gyre_put(db, NULL, gyre_str("k"), gyre_slice(bytes, (32u << 20) / 8 + 1)),
           GYRE_INVALID);
    /* the slot */
    KIT_IS(kit, gyre_put(db, NULL, gyre_str("k"), gyre_slice(bytes, 1u << 20)), GYRE_INVALID);
    KIT_IS(kit, gyre_delete(db, NULL, gyre_slice(bytes, 0)), GYRE_INVALID);
    KIT_IS(kit, gyre_get(db, NULL, gyre_slice(bytes, 0), &value), GYRE_INVALID);
    KIT_IS(kit, gyre_get(db, NULL, gyre_slice(bytes, GYRE_KEY_SIZE_MAX + 1), &value), GYRE_INVALID);
    KIT_IS(kit, gyre_get(db, NULL, gyre_str("k"), NULL), GYRE_INVALID);
    KIT_IS(kit, gyre_write(db, NULL, NULL), GYRE_INVALID);
    KIT_IS(kit,
           gyre_put(db, GYRE_WRITE_OPTIONS(.durability = GYRE_NOWAL), gyre_str("k"), gyre_str("v")),
           GYRE_INVALID);
    KIT_IS(kit, gyre_put(db, GYRE_WRITE_OPTIONS(.flags = 1u << 31), gyre_str("k"), gyre_str("v")),
           GYRE_INVALID);
    KIT_IS(kit, gyre_get(db, &(struct gyre_read_options){0}, gyre_str("k"), &value), GYRE_INVALID);
    KIT_OK(kit, gyre_stats(db, &after));
    assert_int_equal(before.sequence, after.sequence);
    assert_int_equal(before.puts, after.puts);
    free(bytes);
}

/* Goal:   a struct of an older header works; a field that this version does not know is refused;
 *         nonsense too. */
static void
db_checks_sized_structs(void **state)
{
    struct db_kit *kit = *state;
    struct {
        struct gyre_options options;
        uint64_t unknown;
    } newer = {.options = kit->options};
    struct gyre_options old = {.struct_size = 8, .flags = 0};
    gyre_loop *loop = NULL;
    gyre_db *db = NULL;

    db_kit_close(kit);
    KIT_OK(kit, gyre_open(kit->loop, kit->path, &old, &db));
    KIT_OK(kit, gyre_close(db));
    newer.options.struct_size = sizeof(newer);
    KIT_OK(kit, gyre_open(kit->loop, kit->path, &newer.options, &db));
    KIT_OK(kit, gyre_close(db));
    newer.unknown = 1;
    KIT_IS(kit, gyre_open(kit->loop, kit->path, &newer.options, &db), GYRE_INVALID);
    old.struct_size = 0;
    KIT_IS(kit, gyre_open(kit->loop, kit->path, &old, &db), GYRE_INVALID);
    old.struct_size = UINT32_MAX; /* nothing behind it is looked at */
    KIT_IS(kit, gyre_open(kit->loop, kit->path, &old, &db), GYRE_INVALID);
    assert_int_equal(
        gyre_loop_open(&(struct gyre_loop_options){.struct_size = UINT32_MAX}, &loop, NULL),
        GYRE_INVALID);
    KIT_IS(kit, gyre_open(kit->loop, kit->path, GYRE_OPTIONS(.memtable_size = 1), &db),
           GYRE_INVALID);
    KIT_IS(kit, gyre_open(kit->loop, "", NULL, &db), GYRE_INVALID);
    KIT_IS(kit, gyre_open(kit->loop, NULL, NULL, &db), GYRE_INVALID);
    KIT_IS(kit,
           gyre_open(kit->loop, kit->path,
                     GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE | GYRE_OPEN_EXCLUSIVE), &db),
           GYRE_INVALID);
    KIT_IS(kit, gyre_open(kit->loop, kit->other, NULL, &db), GYRE_NOT_FOUND);
}

/* Goal:   a directory with somebody's files is not made a store, and nothing is left in it. */
static void
db_refuses_foreign_directories(void **state)
{
    struct db_kit *kit = *state;
    char name[400];
    char names[8][64];
    gyre_db *db = NULL;
    FILE *file;

    (void)snprintf(name, sizeof(name), "mkdir %s", kit->other);
    assert_int_equal(system(name), 0);
    (void)snprintf(name, sizeof(name), "%s/notes.txt", kit->other);
    file = fopen(name, "w");
    assert_non_null(file);
    (void)fclose(file);
    KIT_IS(kit, gyre_open(kit->loop, kit->other, &kit->options, &db), GYRE_INVALID);
    assert_int_equal(db_kit_files(kit->other, "", "", names, 8), 1);
}

/* Goal:   NULL handles are MISUSE, never a crash; void calls do nothing. */
static void
db_answers_misuse_for_null_handles(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_value value = {0};
    gyre_db *db = NULL;
    gyre_iterator *it = NULL;
    gyre_snapshot *snapshot = NULL;

    assert_int_equal(gyre_put(NULL, NULL, gyre_str("k"), gyre_str("v")), GYRE_MISUSE);
    assert_int_equal(gyre_get(NULL, NULL, gyre_str("k"), &value), GYRE_MISUSE);
    assert_int_equal(gyre_open(NULL, kit->path, NULL, &db), GYRE_MISUSE);
    assert_int_equal(gyre_iterator_open(NULL, NULL, &it), GYRE_MISUSE);
    assert_int_equal(gyre_iterator_next(NULL), GYRE_MISUSE);
    assert_int_equal(gyre_snapshot_open(NULL, &snapshot), GYRE_MISUSE);
    assert_int_equal(gyre_flush(NULL), GYRE_MISUSE);
    assert_int_equal(gyre_verify(NULL, NULL, NULL, NULL, NULL), GYRE_MISUSE);
    assert_int_equal(gyre_destroy(NULL, kit->path), GYRE_MISUSE);
    assert_int_equal(gyre_close(NULL), GYRE_OK);
    assert_int_equal(gyre_loop_close(NULL), GYRE_OK);
    assert_int_equal(gyre_last_error(NULL)->status, GYRE_MISUSE);
    assert_false(gyre_iterator_is_valid(NULL));
    assert_int_equal(gyre_iterator_key(NULL).size, 0);
    assert_null(gyre_db_loop(NULL));
    gyre_iterator_close(NULL);
    gyre_snapshot_release(NULL);
    gyre_value_release(NULL);
    gyre_value_release(&value);
    gyre_batch_free(NULL);
    gyre_stats_reset_maxima(NULL);
}

/* Goal:   close counts what is still held, and the store works on after it was refused. */
static void
db_close_is_busy_while_something_is_held(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_value value;
    gyre_iterator *it;
    gyre_snapshot *snapshot;

    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("k"), gyre_str("v")));
    KIT_OK(kit, gyre_get(kit->db, NULL, gyre_str("k"), &value));
    KIT_IS(kit, gyre_close(kit->db), GYRE_BUSY);
    gyre_value_release(&value);
    KIT_OK(kit, gyre_iterator_open(kit->db, NULL, &it));
    KIT_IS(kit, gyre_close(kit->db), GYRE_BUSY);
    gyre_iterator_close(it);
    KIT_OK(kit, gyre_snapshot_open(kit->db, &snapshot));
    KIT_IS(kit, gyre_close(kit->db), GYRE_BUSY);
    gyre_snapshot_release(snapshot);
    KIT_IS(kit, gyre_loop_close(kit->loop), GYRE_BUSY);
    expect_stored(kit, gyre_str("k"), gyre_str("v"));
}

struct stranger {
    struct db_kit *kit;
    gyre_status put, get, error;
};

static void *
strange_thread(void *arg)
{
    struct stranger *stranger = arg;
    struct gyre_value value;

    stranger->put = gyre_put(stranger->kit->db, NULL, gyre_str("k"), gyre_str("stranger"));
    stranger->get = gyre_get(stranger->kit->db, NULL, gyre_str("k"), &value);
    stranger->error = gyre_last_error(stranger->kit->loop)->status;
    return NULL;
}

/* Goal:   another thread gets MISUSE and changes nothing. */
static void
db_answers_misuse_to_other_threads(void **state)
{
    struct db_kit *kit = *state;
    struct stranger stranger = {.kit = kit};
    pthread_t thread;

    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("k"), gyre_str("mine")));
    assert_int_equal(pthread_create(&thread, NULL, strange_thread, &stranger), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(stranger.put, GYRE_MISUSE);
    assert_int_equal(stranger.get, GYRE_MISUSE);
    assert_int_equal(stranger.error, GYRE_MISUSE);
    expect_stored(kit, gyre_str("k"), gyre_str("mine"));
}

/* Goal:   a forked child gets MISUSE and harms nothing of its parent's. */
static void
db_answers_misuse_to_forked_children(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;
    int status = 0;
    pid_t child;

    db_model_init(&model, 100);
    db_kit_churn(kit, &model, 300);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const bool refused =
            gyre_put(kit->db, NULL, gyre_str("k"), gyre_str("child")) == GYRE_MISUSE &&
            gyre_flush(kit->db) == GYRE_MISUSE && gyre_close(kit->db) == GYRE_MISUSE &&
            gyre_loop_close(kit->loop) == GYRE_MISUSE;

        _exit(refused ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    db_kit_check(kit, kit->db, &model, NULL);
    db_kit_reopen(kit);
    db_kit_check(kit, kit->db, &model, NULL);
}

static bool
call_back_in(void *arg, uint64_t done, uint64_t total)
{
    struct db_kit *kit = arg;
    struct gyre_value value;

    assert_true(done <= total);
    assert_int_equal(gyre_get(kit->db, NULL, gyre_str("k"), &value), GYRE_MISUSE);
    assert_int_equal(gyre_put(kit->db, NULL, gyre_str("k"), gyre_str("v")), GYRE_MISUSE);
    return true;
}

/* Goal:   the library cannot be called from inside its callbacks. */
static void
db_answers_misuse_inside_callbacks(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;

    db_model_init(&model, 100);
    db_kit_churn(kit, &model, 300);
    KIT_OK(kit, gyre_flush(kit->db));
    KIT_OK(kit, gyre_verify(kit->db, NULL, call_back_in, kit, NULL));
    KIT_OK(kit, gyre_compact_range(kit->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), call_back_in,
                                   kit));
    db_kit_check(kit, kit->db, &model, NULL);
}

/* Goal:   values that are held pin what they show: overwriting, flushing and compacting does not
 *         change them. */
static void
db_held_values_do_not_change(void **state)
{
    enum { COUNT = 200 };
    struct db_kit *kit = *state;
    static struct gyre_value values[COUNT];
    struct db_model before;
    struct db_model model;

    db_model_init(&model, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        db_kit_put(kit, &model, i);
    }
    KIT_OK(kit, gyre_flush(kit->db));
    before = model;
    for (uint32_t i = 0; i < COUNT; i++) {
        KIT_OK(kit, gyre_get(kit->db, NULL, db_kit_key(i), &values[i]));
    }
    db_kit_churn(kit, &model, 3000);
    KIT_OK(kit, gyre_compact_range(kit->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL));
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct gyre_slice wanted = db_kit_value(i, before.version[i]);

        assert_int_equal(values[i].size, wanted.size);
        assert_memory_equal(values[i].data, wanted.data, wanted.size);
        gyre_value_release(&values[i]);
    }
    db_kit_check(kit, kit->db, &model, NULL);
}

/* Goal:   the breakdown of memory adds up, stays below the limit and comes back when a store is
 *         closed. */
static void
db_memory_adds_up(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_memory m = {.struct_size = sizeof(m)};
    gyre_iterator *iterator;
    gyre_snapshot *snapshot;
    struct db_model model;
    uint64_t used = 0;

    db_model_init(&model, 1000);
    for (uint32_t round = 0; round < 6; round++) {
        db_kit_churn(kit, &model, 1000);
        KIT_OK(kit, gyre_iterator_open(kit->db, NULL, &iterator));
        KIT_OK(kit, gyre_iterator_first(iterator));
        KIT_OK(kit, gyre_snapshot_open(kit->db, &snapshot));
        KIT_OK(kit, gyre_memory(kit->loop, &m));
        assert_int_equal(m.loop + m.stacks + m.logs + m.buffers + m.cache + m.memtables + m.tables +
                             m.versions + m.calls,
                         m.used);
        assert_true(m.used <= m.peak && m.peak <= m.limit);
        assert_true(m.stacks > 0 && m.logs > 0 && m.versions > 0 && m.memtables > 0 && m.calls > 0);
        gyre_iterator_close(iterator);
        gyre_snapshot_release(snapshot);
        db_kit_close(kit);
        KIT_OK(kit, gyre_memory(kit->loop, &m));
        assert_int_equal(m.calls + m.tables + m.versions + m.logs, 0);
        if (round == 2) {
            used = m.loop + m.stacks;
        } else if (round > 2) { /* a few coroutines more may have been at work at once */
            assert_in_range(m.loop + m.stacks, 0, 2 * used);
        }
        db_kit_open(kit);
    }
}

/* Goal:   stats copes with structs of other versions; every property has a text and says its
 *         length. */
static void
db_tells_its_figures(void **state)
{
    static const char *const names[] = {"gyre.stats",    "gyre.levels", "gyre.options",
                                        "gyre.io",       "gyre.memory", "gyre.sequence",
                                        "gyre.store-id", "gyre.format"};
    struct db_kit *kit = *state;
    struct gyre_stats s = {.struct_size = sizeof(s)};
    struct {
        struct gyre_stats s;
        uint64_t more;
    } newer = {.s.struct_size = sizeof(newer), .more = 7};
    struct gyre_stats older = {.struct_size = offsetof(struct gyre_stats, gets), .gets = 99};
    struct db_model model;
    char text[16384];
    char small[8];
    size_t size = 0;

    db_model_init(&model, 200);
    db_kit_churn(kit, &model, 1000);
    KIT_OK(kit, gyre_flush(kit->db));
    KIT_OK(kit, gyre_stats(kit->db, &s));
    assert_int_equal(s.puts + s.deletes, 1000);
    assert_int_equal(s.sequence, 1000);
    assert_true(s.flush_count > 0 && s.table_count > 0 && s.wal_groups > 0);
    assert_int_equal(s.level_count, GYRE_LEVELS_MAX);
    KIT_OK(kit, gyre_stats(kit->db, &newer.s));
    assert_int_equal(newer.more, 0);
    assert_int_equal(newer.s.struct_size, sizeof(newer));
    KIT_OK(kit, gyre_stats(kit->db, &older));
    assert_int_equal(older.puts, s.puts);
    assert_int_equal(older.gets, 99);
    s.struct_size = 0;
    KIT_IS(kit, gyre_stats(kit->db, &s), GYRE_INVALID);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t whole = 0;

        KIT_OK(kit, gyre_property(kit->db, names[i], text, sizeof(text), &size));
        assert_true(size > 0 && size < sizeof(text));
        assert_int_equal(strlen(text), size);
        KIT_OK(kit, gyre_property(kit->db, names[i], small, sizeof(small), &whole));
        assert_true(strlen(small) < sizeof(small));
        assert_memory_equal(small, text, strlen(small));
        KIT_OK(kit, gyre_property(kit->db, names[i], NULL, 0, &whole));
    }
    KIT_IS(kit, gyre_property(kit->db, "gyre.nothing", text, sizeof(text), &size), GYRE_NOT_FOUND);
    KIT_OK(kit, gyre_property(kit->db, "gyre.options", text, sizeof(text), &size));
    for (char *c = text; *c != '\0'; c++) {
        *c = *c == '\n' ? (c[1] == '\0' ? '\0' : ',') : *c;
    }
    struct gyre_options parsed = {.struct_size = sizeof(parsed)};
    struct gyre_error error;
    /* what it prints it takes */
    assert_int_equal(gyre_options_parse(text, &parsed, &error), GYRE_OK);
    assert_int_equal(parsed.memtable_size, 64u << 10);
    gyre_stats_reset_maxima(kit->db);
}

/* Goal:   a store without a log keeps what was flushed, by gyre_sync and by closing. */
static void
db_without_a_log_keeps_what_was_flushed(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;

    db_kit_close(kit);
    kit->options.durability = GYRE_NOWAL;
    db_kit_open(kit);
    db_model_init(&model, 500);
    db_kit_churn(kit, &model, 2000);
    KIT_OK(kit, gyre_sync(kit->db));
    db_kit_check(kit, kit->db, &model, NULL);
    db_kit_churn(kit, &model, 300);
    db_kit_reopen(kit);
    db_kit_check(kit, kit->db, &model, NULL);
    db_kit_close(kit);
    kit->options.durability = GYRE_DURABLE; /* and on with a log */
    db_kit_open(kit);
    db_kit_check(kit, kit->db, &model, NULL);
    db_kit_churn(kit, &model, 50);
    db_kit_reopen(kit);
    db_kit_check(kit, kit->db, &model, NULL);
}

#define DB_TESTS(setup)                                                                          \
    cmocka_unit_test_setup_teardown(db_returns_what_was_put_also_after_reopening, setup,         \
                                    teardown),                                                   \
        cmocka_unit_test_setup_teardown(db_keeps_every_size_at_the_boundaries, setup, teardown), \
        cmocka_unit_test_setup_teardown(db_applies_batches_in_their_order, setup, teardown),     \
        cmocka_unit_test_setup_teardown(db_takes_commits_larger_than_a_frame, setup, teardown),  \
        cmocka_unit_test_setup_teardown(db_without_a_log_keeps_what_was_flushed, setup, teardown)
#define DB_TEST(test) cmocka_unit_test_setup_teardown(test, setup_auto, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TESTS(setup_auto),
        DB_TESTS(setup_blocking),
        DB_TEST(db_answers_invalid_past_its_limits),
        DB_TEST(db_checks_sized_structs),
        DB_TEST(db_refuses_foreign_directories),
        DB_TEST(db_answers_misuse_for_null_handles),
        DB_TEST(db_close_is_busy_while_something_is_held),
        DB_TEST(db_answers_misuse_to_other_threads),
        DB_TEST(db_answers_misuse_to_forked_children),
        DB_TEST(db_answers_misuse_inside_callbacks),
        DB_TEST(db_held_values_do_not_change),
        DB_TEST(db_memory_adds_up),
        DB_TEST(db_tells_its_figures),
    };
    return cmocka_run_group_tests_name("db_basic", tests, NULL, NULL);
}
