/* test_every_call.c - who may call what: each public function called by another thread, by a forked
 * child and from inside callbacks. The table has to name every function of include/gyre, which the
 * first test reads. */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

#define FAR_NS 3600000000000ull
#define FLIGHT 100u

/* All that a call may need, made by the owner. */
struct stage {
    struct db_kit *kit;
    gyre_loop *loop;
    gyre_db *db;
    gyre_batch *batch;
    gyre_batch *full;        /* not empty */
    gyre_iterator *iterator; /* stands on a row */
    gyre_snapshot *snapshot;
    gyre_task *task;
    struct gyre_value value; /* pinned */
    struct gyre_op asleep;   /* submitted, waited for by nobody, due in an hour */
    struct gyre_op never;    /* to be submitted */
    uint32_t never_answers;
    /* outputs */
    struct gyre_value found;
    struct gyre_value many[2];
    gyre_status statuses[2];
    struct gyre_scan scan;
    struct gyre_row rows[4];
    char bytes[65536];
    size_t size;
    uint64_t number;
};

/* Who may call it. */
enum class {
    ANYBODY,  /* belongs to no loop, or only looks at what its caller holds */
    NOW,      /* the loop's own thread; in a callback of gyre_loop_poll too */
    SILENTLY, /* the same; nothing tells how it went, but what the stage holds does */
    WAITS     /* the loop's own thread; not there, for it may wait */
};

static void
nothing(void *arg)
{
    (void)arg;
}

static void
count_answer(struct gyre_op *op)
{
    (*(uint32_t *)op->arg)++;
}

/* Nothing tells how it went: whether it did anything is looked at by the owner. */
#define MISUSE_UNLESS(refused) ((refused) ? GYRE_MISUSE : GYRE_OK)
#define SILENT(call) ((call), GYRE_MISUSE)
#define KEY gyre_str("key")
#define BOTH ((const struct gyre_slice[2]){KEY, KEY})
#define END gyre_slice(NULL, 0)

/* name, class, its status */
static gyre_status
open_own_loop(void)
{
    gyre_loop *loop;
    const gyre_status status = gyre_loop_open(NULL, &loop, NULL);

    return status != GYRE_OK ? status : gyre_loop_close(loop);
}

#define CALLS(X)                                                                                  \
    X(gyre_version, ANYBODY, (gyre_version() != NULL ? GYRE_OK : GYRE_IO))                        \
    X(gyre_batch_make, ANYBODY, (gyre_batch_free(gyre_batch_make()), GYRE_OK))                    \
    X(gyre_batch_free, ANYBODY, (gyre_batch_free(NULL), GYRE_OK))                                 \
    X(gyre_batch_put, ANYBODY, gyre_batch_put(s->batch, KEY, KEY))                                \
    X(gyre_batch_delete, ANYBODY, gyre_batch_delete(s->batch, KEY))                               \
    X(gyre_batch_append, ANYBODY, gyre_batch_append(s->batch, s->full))                           \
    X(gyre_batch_next, ANYBODY,                                                                   \
      (s->size = 0, gyre_batch_next(s->full, &s->size, &operation) ? GYRE_OK : GYRE_IO))          \
    X(gyre_batch_count, ANYBODY, (gyre_batch_count(s->batch) > 0 ? GYRE_OK : GYRE_IO))            \
    X(gyre_batch_size, ANYBODY, (gyre_batch_size(s->batch) > 0 ? GYRE_OK : GYRE_IO))              \
    X(gyre_batch_clear, ANYBODY, (gyre_batch_clear(s->batch), GYRE_OK))                           \
    X(gyre_status_name, ANYBODY, (gyre_status_name(GYRE_OK) != NULL ? GYRE_OK : GYRE_IO))         \
    X(gyre_status_text, ANYBODY, (gyre_status_text(GYRE_OK) != NULL ? GYRE_OK : GYRE_IO))         \
    X(gyre_health_state_name, ANYBODY, (gyre_health_state_name(0) != NULL ? GYRE_OK : GYRE_IO))   \
    X(gyre_event_name, ANYBODY, (gyre_event_name(1) != NULL ? GYRE_OK : GYRE_IO))                 \
    X(gyre_options_parse, ANYBODY, gyre_options_parse("bloom_bits=3", &options, NULL))            \
    X(gyre_db_loop, ANYBODY, (gyre_db_loop(s->db) == s->loop ? GYRE_OK : GYRE_IO))                \
    X(gyre_last_error, ANYBODY, (gyre_last_error(s->loop) != NULL ? GYRE_OK : GYRE_IO))           \
    X(gyre_last_trace, ANYBODY, (gyre_last_trace(s->loop) != NULL ? GYRE_OK : GYRE_IO))           \
    X(gyre_iterator_is_valid, ANYBODY, (gyre_iterator_is_valid(s->iterator) ? GYRE_OK : GYRE_IO)) \
    X(gyre_iterator_key, ANYBODY, (gyre_iterator_key(s->iterator).size > 0 ? GYRE_OK : GYRE_IO))  \
    X(gyre_iterator_value, ANYBODY,                                                               \
      (gyre_iterator_value(s->iterator).data != NULL ? GYRE_OK : GYRE_IO))                        \
    X(gyre_loop_open, ANYBODY, open_own_loop())                                                   \
    X(gyre_credits, NOW, MISUSE_UNLESS(gyre_credits(s->db) == 0))                                 \
    X(gyre_loop_fd, NOW, MISUSE_UNLESS(gyre_loop_fd(s->loop) < 0))                                \
    X(gyre_now, NOW, MISUSE_UNLESS(gyre_now(s->loop) == 0))                                       \
    X(gyre_snapshot_open, NOW, gyre_snapshot_open(s->db, &snapshot))                              \
    X(gyre_snapshot_release, SILENTLY, SILENT(gyre_snapshot_release(s->snapshot)))                \
    X(gyre_value_release, SILENTLY, SILENT(gyre_value_release(&s->value)))                        \
    X(gyre_iterator_open, NOW, gyre_iterator_open(s->db, NULL, &iterator))                        \
    X(gyre_iterator_close, SILENTLY, SILENT(gyre_iterator_close(s->iterator)))                    \
    X(gyre_health, NOW, gyre_health(s->db, &health))                                              \
    X(gyre_on_event, NOW, gyre_on_event(s->db, NULL, NULL))                                       \
    X(gyre_pause, NOW, gyre_pause(s->db))                                                         \
    X(gyre_resume, NOW, gyre_resume(s->db))                                                       \
    X(gyre_stats, NOW, gyre_stats(s->db, &stats))                                                 \
    X(gyre_loop_stats, NOW, gyre_loop_stats(s->loop, &loop_stats))                                \
    X(gyre_stats_reset_maxima, SILENTLY, SILENT(gyre_stats_reset_maxima(s->db)))                  \
    X(gyre_histogram, NOW, gyre_histogram(s->loop, GYRE_MEASURE_GET, &histogram))                 \
    X(gyre_memory, NOW, gyre_memory(s->loop, &memory))                                            \
    X(gyre_metrics_text, NOW, gyre_metrics_text(s->loop, s->bytes, sizeof(s->bytes), &s->size))   \
    X(gyre_property, NOW,                                                                         \
      gyre_property(s->db, "gyre.sequence", s->bytes, sizeof(s->bytes), &s->size))                \
    X(gyre_trace_calls, NOW, gyre_trace_calls(s->loop, false))                                    \
    X(gyre_on_slow, NOW, gyre_on_slow(s->loop, 1, NULL, NULL))                                    \
    X(gyre_spawn, NOW, gyre_spawn(s->loop, nothing, NULL, NULL))                                  \
    X(gyre_submit, NOW, gyre_submit(&s->never))                                                   \
    X(gyre_put, WAITS, gyre_put(s->db, NULL, KEY, KEY))                                           \
    X(gyre_delete, WAITS, gyre_delete(s->db, NULL, KEY))                                          \
    X(gyre_write, WAITS, gyre_write(s->db, NULL, s->full))                                        \
    X(gyre_wait_room, WAITS, gyre_wait_room(s->db, 1))                                            \
    X(gyre_sync, WAITS, gyre_sync(s->db))                                                         \
    X(gyre_get, WAITS, gyre_get(s->db, NULL, KEY, &s->found))                                     \
    X(gyre_get_copy, WAITS, gyre_get_copy(s->db, NULL, KEY, s->bytes, 10, &s->size))              \
    X(gyre_multi_get, WAITS, gyre_multi_get(s->db, NULL, 2, BOTH, s->many, s->statuses))          \
    X(gyre_scan, WAITS, gyre_scan(s->db, &s->scan))                                               \
    X(gyre_iterator_first, WAITS, gyre_iterator_first(s->iterator))                               \
    X(gyre_iterator_last, WAITS, gyre_iterator_last(s->iterator))                                 \
    X(gyre_iterator_seek, WAITS, gyre_iterator_seek(s->iterator, KEY))                            \
    X(gyre_iterator_seek_for_prev, WAITS, gyre_iterator_seek_for_prev(s->iterator, KEY))          \
    X(gyre_iterator_next, WAITS, gyre_iterator_next(s->iterator))                                 \
    X(gyre_iterator_prev, WAITS, gyre_iterator_prev(s->iterator))                                 \
    X(gyre_flush, WAITS, gyre_flush(s->db))                                                       \
    X(gyre_wait_idle, WAITS, gyre_wait_idle(s->db))                                               \
    X(gyre_compact_range, WAITS, gyre_compact_range(s->db, END, END, NULL, NULL))                 \
    X(gyre_checkpoint, WAITS, gyre_checkpoint(s->db, s->kit->other))                              \
    X(gyre_approximate_size, WAITS, gyre_approximate_size(s->db, END, END, &s->number))           \
    X(gyre_verify, WAITS, gyre_verify(s->db, NULL, NULL, NULL, NULL))                             \
    X(gyre_open, WAITS,                                                                           \
      gyre_open(s->loop, s->kit->other, GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE), &db))            \
    X(gyre_destroy, WAITS, gyre_destroy(s->loop, s->kit->other))                                  \
    X(gyre_salvage, WAITS,                                                                        \
      gyre_salvage(s->loop, s->kit->path, s->kit->other, NULL, NULL, NULL, NULL, NULL))           \
    X(gyre_join, WAITS, gyre_join(s->loop, s->task))                                              \
    X(gyre_run, WAITS, gyre_run(s->loop))                                                         \
    X(gyre_yield, WAITS, gyre_yield(s->loop))                                                     \
    X(gyre_sleep, WAITS, gyre_sleep(s->loop, 1))                                                  \
    X(gyre_await, WAITS, gyre_await(&s->asleep))                                                  \
    X(gyre_loop_poll, WAITS, gyre_loop_poll(s->loop, 10))                                         \
    X(gyre_close, WAITS, gyre_close(s->db))                                                       \
    X(gyre_loop_close, WAITS, gyre_loop_close(s->loop))                                           \
    X(gyre_cancel, NOW, gyre_cancel(&s->asleep))

enum call {
#define X(name, class, status) CALL_##name,
    CALLS(X)
#undef X
        CALL_COUNT
};

static const char *const names[CALL_COUNT] = {
#define X(name, class, status) #name,
    CALLS(X)
#undef X
};

static const enum class classes[CALL_COUNT] = {
#define X(name, class, status) class,
    CALLS(X)
#undef X
};

/* What is made is given back at once, where it could be made. */
static gyre_status
call(struct stage *s, enum call which)
{
    gyre_snapshot *snapshot = NULL;
    gyre_iterator *iterator = NULL;
    gyre_db *db = NULL;
    struct gyre_batch_operation operation;
    struct gyre_options options = {.struct_size = sizeof(options)};
    struct gyre_health health = {.struct_size = sizeof(health)};
    struct gyre_stats stats = {.struct_size = sizeof(stats)};
    struct gyre_loop_stats loop_stats = {.struct_size = sizeof(loop_stats)};
    struct gyre_memory memory = {.struct_size = sizeof(memory)};
    struct gyre_histogram histogram = {.struct_size = sizeof(histogram)};
    gyre_status status = GYRE_IO;

    switch (which) {
#define X(name, class, expression) \
    case CALL_##name:              \
        status = expression;       \
        break;
        CALLS(X)
#undef X
    case CALL_COUNT:
        break;
    }
    gyre_snapshot_release(snapshot);
    gyre_iterator_close(iterator);
    return db == NULL ? status : GYRE_IO; /* no store is opened here */
}

/* ---- The stage ---- */

static struct stage *
stage_make(struct db_kit *kit)
{
    struct stage *s = calloc(1, sizeof(*s));
    struct db_model model;

    assert_non_null(s);
    db_model_init(&model, 200);
    db_kit_churn(kit, &model, 400);
    *s = (struct stage){.kit = kit, .loop = kit->loop, .db = kit->db};
    KIT_OK(kit, gyre_put(kit->db, NULL, KEY, gyre_str("value")));
    KIT_OK(kit, gyre_flush(kit->db));
    s->batch = gyre_batch_make();
    s->full = gyre_batch_make();
    KIT_OK(kit, gyre_batch_put(s->full, gyre_str("another"), KEY));
    KIT_OK(kit, gyre_get(s->db, NULL, KEY, &s->value));
    KIT_OK(kit, gyre_snapshot_open(s->db, &s->snapshot));
    KIT_OK(kit, gyre_iterator_open(s->db, NULL, &s->iterator));
    KIT_OK(kit, gyre_iterator_first(s->iterator));
    KIT_OK(kit, gyre_spawn(s->loop, nothing, NULL, &s->task));
    s->scan = GYRE_SCAN(.rows = s->rows, .rows_max = 4, .buffer = s->bytes,
                        .buffer_size = sizeof(s->bytes));
    s->asleep =
        GYRE_OP(.kind = GYRE_OP_SLEEP, .loop = s->loop, .deadline_ns = gyre_now(s->loop) + FAR_NS);
    KIT_OK(kit, gyre_submit(&s->asleep));
    s->never =
        GYRE_OP(.kind = GYRE_OP_SYNC, .db = s->db, .done = count_answer, .arg = &s->never_answers);
    KIT_OK(kit, gyre_sync(s->db));
    KIT_OK(kit, gyre_wait_idle(s->db));
    KIT_OK(kit, gyre_sleep(s->loop, 20000000)); /* what is written behind */
    return s;
}

/* All is as it was made: strangers have changed nothing. */
static void
stage_check(struct stage *s)
{
    struct gyre_stats stats = {.struct_size = sizeof(stats)};

    KIT_OK(s->kit, gyre_stats(s->db, &stats));
    assert_int_equal(stats.value_pin_count, 1);
    assert_int_equal(stats.iterator_count, 1);
    assert_int_equal(stats.snapshot_count, 1);
    assert_int_equal(s->value.size, 5);
    assert_memory_equal(s->value.data, "value", 5);
    assert_null(s->found.data);
    assert_true(gyre_iterator_is_valid(s->iterator));
    KIT_IS(s->kit, gyre_destroy(s->loop, s->kit->other), GYRE_NOT_FOUND);
    gyre_value_release(&s->found);
    KIT_OK(s->kit, gyre_get(s->db, NULL, KEY, &s->found)); /* nobody has put or deleted it */
    assert_int_equal(s->found.size, 5);
    gyre_value_release(&s->found);
    s->found = (struct gyre_value){0};
}

static void
stage_free(struct stage *s)
{
    (void)gyre_cancel(&s->asleep);
    KIT_IS(s->kit, gyre_await(&s->asleep), GYRE_CANCELED);
    KIT_OK(s->kit, gyre_join(s->loop, s->task));
    gyre_value_release(&s->value);
    gyre_value_release(&s->value); /* harmless */
    gyre_snapshot_release(s->snapshot);
    gyre_snapshot_release(NULL);
    gyre_iterator_close(s->iterator);
    gyre_iterator_close(NULL);
    gyre_batch_free(s->batch);
    gyre_batch_free(s->full);
    free(s);
}

/* ---- The table ---- */

static void
note_functions(const char *text, bool found[CALL_COUNT])
{
    const char *at = text;

    while ((at = strstr(at, "GYRE_API")) != NULL) {
        const char *end = strchr(at, ';');
        const char *name = strstr(at, "gyre_");
        bool is_known = false;
        size_t size = 0;

        at += strlen("GYRE_API");
        while (end != NULL && name != NULL && name < end) { /* the one before the parenthesis */
            size = strcspn(name, " *();,\n");
            if (name[size] == '(') {
                break;
            }
            name = strstr(name + size, "gyre_");
        }
        if (end == NULL || name == NULL || name >= end) {
            continue; /* the macro itself */
        }
        for (uint32_t i = 0; i < CALL_COUNT; i++) {
            if (strlen(names[i]) == size && strncmp(names[i], name, size) == 0) {
                found[i] = true;
                is_known = true;
            }
        }
        if (!is_known) {
            fail_msg("%.*s is in include/gyre, and not in this test", (int)size, name);
        }
    }
}

/* Goal:   the table below holds each public function, and no other. */
static void
table_names_every_public_function(void **state)
{
    static const char path[] = GYRE_SOURCE_DIR "/include/gyre";
    static char text[1 << 16];
    bool found[CALL_COUNT] = {false};
    const struct dirent *entry;
    DIR *dir = opendir(path);
    (void)state;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        char name[512];
        FILE *file;
        size_t size;

        if (strstr(entry->d_name, ".h") == NULL || strcmp(entry->d_name, "sim.h") == 0) {
            continue; /* the simulator is another library */
        }
        (void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        file = fopen(name, "r");
        assert_non_null(file);
        size = fread(text, 1, sizeof(text) - 1, file);
        assert_in_range(size, 1, sizeof(text) - 2);
        text[size] = '\0';
        (void)fclose(file);
        note_functions(text, found);
    }
    (void)closedir(dir);
    for (uint32_t i = 0; i < CALL_COUNT; i++) {
        if (!found[i]) {
            fail_msg("%s is in this test, and not in include/gyre", names[i]);
        }
    }
}

/* ---- Strangers ---- */

static const char *wrong;
static gyre_status wrong_status;

/* Nothing of it may touch cmocka: another thread, another process. */
static void *
call_all_as_stranger(void *arg)
{
    struct stage *s = arg;

    wrong = NULL;
    for (uint32_t i = 0; i < CALL_COUNT && wrong == NULL; i++) {
        const gyre_status status = call(s, (enum call)i);

        if (status != (classes[i] == ANYBODY ? GYRE_OK : GYRE_MISUSE)) {
            wrong = names[i];
            wrong_status = status;
        }
    }
    return NULL;
}

/* Goal:   each call from another thread is MISUSE, or does nothing, and changes nothing of the
 *         owner's; what belongs to no loop works there. */
static void
another_thread_gets_misuse_from_every_call(void **state)
{
    struct db_kit *kit = *state;
    struct stage *s = stage_make(kit);
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, call_all_as_stranger, s), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (wrong != NULL) {
        fail_msg("%s from another thread: %s", wrong, gyre_status_name(wrong_status));
    }
    stage_check(s);
    stage_free(s);
}

/* Goal:   the same in a forked child, which writes nothing to the store, and whose end harms
 *         nobody: the parent goes on. */
static void
forked_child_gets_misuse_from_every_call(void **state)
{
    struct db_kit *kit = *state;
    struct stage *s = stage_make(kit);
    const uint64_t hash = db_kit_hash(kit->path);
    int status = 0;
    pid_t child;

    (void)fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)call_all_as_stranger(s);
        if (wrong != NULL) {
            (void)fprintf(stderr, "%s in a forked child: %s\n", wrong,
                          gyre_status_name(wrong_status));
        }
        _exit(wrong == NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(db_kit_hash(kit->path) == hash);
    stage_check(s);
    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("after"), gyre_str("fork")));
    stage_free(s);
    db_kit_reopen(kit);
    KIT_OK(kit, gyre_get_copy(kit->db, NULL, gyre_str("after"), NULL, 0, &(size_t){0}));
}

/* Goal:   a fork with a hundred operations in flight: the child can neither drive, submit nor
 *         cancel; the parent gets each answer once. */
static void
fork_with_operations_in_flight(void **state)
{
    static struct gyre_op ops[FLIGHT];
    static char keys[FLIGHT][8];
    struct db_kit *kit = *state;
    uint32_t answers = 0;
    int status = 0;
    pid_t child;

    for (uint32_t i = 0; i < FLIGHT; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "f%03u", i);
        ops[i] = GYRE_OP(.kind = GYRE_OP_PUT, .db = kit->db, .key = gyre_str(keys[i]),
                         .data = gyre_str("v"), .durability = GYRE_DURABLE, .done = count_answer,
                         .arg = &answers);
        KIT_OK(kit, gyre_submit(&ops[i]));
    }
    (void)gyre_loop_poll(kit->loop, 0);
    (void)fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct gyre_op more =
            GYRE_OP(.kind = GYRE_OP_SYNC, .db = kit->db, .done = count_answer, .arg = &answers);
        bool refused = gyre_loop_poll(kit->loop, 1000) == GYRE_MISUSE &&
                       gyre_submit(&more) == GYRE_MISUSE && gyre_close(kit->db) == GYRE_MISUSE;

        for (uint32_t i = 0; i < FLIGHT; i++) {
            refused =
                refused && (ops[i].status != GYRE_AGAIN || gyre_cancel(&ops[i]) == GYRE_MISUSE);
        }
        _exit(refused ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    while (answers < FLIGHT) {
        (void)gyre_loop_poll(kit->loop, 200);
    }
    assert_int_equal(answers, FLIGHT);
    for (uint32_t i = 0; i < FLIGHT; i++) {
        KIT_OK(kit, ops[i].status);
    }
}

/* ---- Callbacks ---- */

struct inside {
    struct stage *s;
    bool is_completion;
    uint32_t calls;
};

static void
call_all_inside(struct inside *inside)
{
    inside->calls++;
    for (uint32_t i = 0; inside->calls == 1 && i < CALL_COUNT; i++) {
        gyre_status status;

        if (classes[i] == ANYBODY || (classes[i] == SILENTLY && inside->is_completion) ||
            i == CALL_gyre_now) {
            continue; /* gyre_now: a wrong call is not told from an early one */
        }
        status = call(inside->s, (enum call)i);
        if ((status == GYRE_MISUSE) != (!inside->is_completion || classes[i] == WAITS)) {
            fail_msg("%s inside a callback: %s", names[i], gyre_status_name(status));
        }
    }
}

static bool
on_progress(void *arg, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    call_all_inside(arg);
    return true;
}

static void
on_event(void *arg, const struct gyre_event *event)
{
    (void)event;
    call_all_inside(arg);
}

static void
on_slow(void *arg, const struct gyre_slow *slow)
{
    (void)slow;
    call_all_inside(arg);
}

static void
on_completion(struct gyre_op *op)
{
    call_all_inside(op->arg);
}

/* Goal:   every call is MISUSE inside the callbacks that say so; in a callback of gyre_loop_poll
 *         those are that may wait, and no others. */
static void
callbacks_get_misuse_from_calls_that_wait(void **state)
{
    struct db_kit *kit = *state;
    struct stage *s = stage_make(kit);
    struct inside progress = {.s = s};
    struct inside event = {.s = s};
    struct inside slow = {.s = s};
    struct inside completion = {.s = s, .is_completion = true};
    struct gyre_op op =
        GYRE_OP(.kind = GYRE_OP_SYNC, .db = s->db, .done = on_completion, .arg = &completion);

    KIT_OK(kit, gyre_verify(s->db, NULL, on_progress, &progress, NULL));
    KIT_OK(kit, gyre_on_event(s->db, on_event, &event));
    KIT_OK(kit, gyre_put(s->db, NULL, KEY, gyre_str("value")));
    KIT_OK(kit, gyre_flush(s->db));
    KIT_OK(kit, gyre_on_event(s->db, NULL, NULL));
    KIT_OK(kit, gyre_on_slow(s->loop, 1, on_slow, &slow));
    KIT_OK(kit,
           gyre_put(s->db, GYRE_WRITE_OPTIONS(.durability = GYRE_DURABLE), KEY, gyre_str("value")));
    KIT_OK(kit, gyre_yield(s->loop));
    KIT_OK(kit, gyre_on_slow(s->loop, 1, NULL, NULL));
    assert_true(progress.calls > 0 && event.calls > 0 && slow.calls > 0);
    stage_check(s);
    KIT_OK(kit, gyre_submit(&op));
    while (completion.calls == 0) {
        (void)gyre_loop_poll(s->loop, 200);
    }
    KIT_OK(kit, gyre_run(s->loop)); /* what it spawned */
    while (s->never_answers == 0) {
        (void)gyre_loop_poll(s->loop, 200);
    }
    KIT_OK(kit, s->never.status);
    stage_check(s);
    stage_free(s);
}

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

int
main(void)
{
#define ON_BOTH(name)                                       \
    cmocka_unit_test_setup_teardown(name, setup, teardown), \
        cmocka_unit_test_setup_teardown(name, setup_blocking, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_names_every_public_function),
        ON_BOTH(another_thread_gets_misuse_from_every_call),
        ON_BOTH(forked_child_gets_misuse_from_every_call),
        ON_BOTH(fork_with_operations_in_flight),
        ON_BOTH(callbacks_get_misuse_from_calls_that_wait),
    };

    return cmocka_run_group_tests_name("every call", tests, NULL, NULL);
}
