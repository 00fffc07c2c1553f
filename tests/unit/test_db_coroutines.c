/* test_db_coroutines.c - many coroutines on one store, several stores on one loop, loops on several
 * threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

#define WORKERS 1000u
#define KEYS_EACH 4u /* each worker has keys of its own: what it wrote is what it must read */

static int
setup(void **state)
{
    *state = db_kit_make(GYRE_IO_AUTO);
    /* a thousand stacks, larger with sanitizers */
    db_kit_relimit(*state, GYRE_IO_AUTO, 512u << 20);
    return 0;
}

static int
setup_small(void **state)
{
    *state = db_kit_make(GYRE_IO_AUTO);
    return 0;
}

static int
setup_blocking(void **state)
{
    *state = db_kit_make(GYRE_IO_BLOCKING);
    db_kit_relimit(*state, GYRE_IO_BLOCKING, 512u << 20);
    return 0;
}

static int
teardown(void **state)
{
    db_kit_free(*state);
    return 0;
}

struct worker {
    struct db_kit *kit;
    gyre_db *db;
    uint32_t first; /* key */
    uint32_t version[KEYS_EACH];
    uint64_t random;
    uint32_t done;
};

static uint64_t
next_random(struct worker *w, uint64_t bound)
{
    w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
    return (w->random >> 33) % bound;
}

static void
own_key(const struct worker *w, uint32_t i, char name[16])
{
    (void)snprintf(name, 16, "key%06u", w->first + i);
}

static void
write_one(struct worker *w)
{
    const uint32_t i = (uint32_t)next_random(w, KEYS_EACH);
    const struct gyre_write_options *options =
        next_random(w, 4) == 0 ? GYRE_WRITE_OPTIONS(.durability = GYRE_DURABLE) : NULL;
    char name[16];
    char value[DB_KIT_VALUE_MAX]; /* others use the static buffers while this one waits */
    struct gyre_slice bytes;

    own_key(w, i, name);
    if (next_random(w, 5) == 0) {
        KIT_OK(w->kit, gyre_delete(w->db, options, gyre_str(name)));
        w->version[i] = DB_KIT_NONE;
        return;
    }
    const uint32_t version = ++w->done;
    bytes = db_kit_value(w->first + i, version);
    memcpy(value, bytes.data, bytes.size);
    KIT_OK(w->kit, gyre_put(w->db, options, gyre_str(name), gyre_slice(value, bytes.size)));
    w->version[i] = version;
}

static void
read_one(struct worker *w)
{
    const uint32_t i = (uint32_t)next_random(w, KEYS_EACH);
    struct gyre_value value;
    char name[16];

    own_key(w, i, name);
    if (w->version[i] == DB_KIT_NONE) {
        KIT_IS(w->kit, gyre_get(w->db, NULL, gyre_str(name), &value), GYRE_NOT_FOUND);
        return;
    }
    KIT_OK(w->kit, gyre_get(w->db, NULL, gyre_str(name), &value));
    const struct gyre_slice wanted = db_kit_value(w->first + i, w->version[i]);
    assert_int_equal(value.size, wanted.size);
    assert_memory_equal(value.data, wanted.data, wanted.size);
    gyre_value_release(&value);
}

/* Its own keys in order, by an iterator with bounds. */
static void
scan_own(struct worker *w)
{
    gyre_iterator *it;
    gyre_status status;
    char lower[16];
    char upper[16];

    own_key(w, 0, lower);
    own_key(w, KEYS_EACH, upper);
    KIT_OK(
        w->kit,
        gyre_iterator_open(
            w->db, GYRE_ITERATOR_OPTIONS(.lower = gyre_str(lower), .upper = gyre_str(upper)), &it));
    status = gyre_iterator_first(it);
    for (uint32_t i = 0; i < KEYS_EACH; i++) {
        if (w->version[i] != DB_KIT_NONE) {
            KIT_OK(w->kit, status);
            const struct gyre_slice wanted = db_kit_value(w->first + i, w->version[i]);
            assert_int_equal(gyre_iterator_value(it).size, wanted.size);
            assert_memory_equal(gyre_iterator_value(it).data, wanted.data, wanted.size);
            status = gyre_iterator_next(it);
        }
    }
    KIT_IS(w->kit, status, GYRE_NOT_FOUND);
    gyre_iterator_close(it);
}

static void
work(void *arg)
{
    struct worker *w = arg;

    for (uint32_t i = 0; i < 30; i++) {
        switch (next_random(w, 10)) {
        case 0:
            scan_own(w);
            break;
        case 1:
            KIT_OK(w->kit, gyre_yield(w->kit->loop));
            break;
        case 2:
        case 3:
        case 4:
            read_one(w);
            break;
        default:
            write_one(w);
            break;
        }
    }
    for (uint32_t i = 0; i < KEYS_EACH; i++) {
        read_one(w);
    }
}

static struct worker *
make_workers(struct db_kit *kit, gyre_db *a, gyre_db *b)
{
    struct worker *workers = calloc(WORKERS, sizeof(*workers));

    assert_non_null(workers);
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){
            .kit = kit, .db = i % 2 ? b : a, .first = i * KEYS_EACH, .random = i * 7919u + 1};
        for (uint32_t k = 0; k < KEYS_EACH; k++) {
            workers[i].version[k] = DB_KIT_NONE;
        }
    }
    return workers;
}

static void
run_workers(struct db_kit *kit, struct worker *workers)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        KIT_OK(kit, gyre_spawn(kit->loop, work, &workers[i], NULL));
    }
    KIT_OK(kit, gyre_run(kit->loop));
}

static void
check_workers(struct db_kit *kit, const struct worker *workers, gyre_db *db)
{
    static struct db_model model;

    db_model_init(&model, WORKERS * KEYS_EACH);
    for (uint32_t i = 0; i < WORKERS; i++) {
        if (workers[i].db == db) {
            memcpy(&model.version[i * KEYS_EACH], workers[i].version, sizeof(workers[i].version));
        }
    }
    db_kit_check(kit, db, &model, NULL);
}

/* Goal:   a thousand coroutines that write, read and scan at once each see what they wrote, and all
 *         of it is there afterwards and after reopening. */
static void
coroutines_see_their_own_writes(void **state)
{
    struct db_kit *kit = *state;
    struct worker *workers = make_workers(kit, kit->db, kit->db);

    for (uint32_t round = 0; round < 3; round++) {
        run_workers(kit, workers);
        check_workers(kit, workers, kit->db);
        db_kit_reopen(kit);
        for (uint32_t i = 0; i < WORKERS; i++) {
            workers[i].db = kit->db;
        }
        check_workers(kit, workers, kit->db);
    }
    free(workers);
}

/* Goal:   two stores on one loop do not disturb each other. */
static void
two_stores_share_a_loop(void **state)
{
    struct db_kit *kit = *state;
    gyre_db *other = NULL;
    struct worker *workers;

    KIT_OK(kit, gyre_open(kit->loop, kit->other, &kit->options, &other));
    workers = make_workers(kit, kit->db, other);
    for (uint32_t round = 0; round < 2; round++) {
        run_workers(kit, workers);
        check_workers(kit, workers, kit->db);
        check_workers(kit, workers, other);
    }
    KIT_OK(kit, gyre_close(other));
    check_workers(kit, workers, kit->db);
    free(workers);
}

static void *
thread_main(void *arg)
{
    struct db_kit *kit = db_kit_make(*(uint32_t *)arg);
    struct db_model *model = malloc(sizeof(*model));

    assert_non_null(model);
    db_model_init(model, 500);
    for (uint32_t i = 0; i < 1500; i++) {
        const uint32_t index = (uint32_t)db_kit_random(kit, 500);

        KIT_OK(kit, gyre_put(kit->db, NULL, db_kit_key(index), db_kit_value(index, i)));
        model->version[index] = i;
    }
    db_kit_check(kit, kit->db, model, NULL);
    db_kit_reopen(kit);
    db_kit_check(kit, kit->db, model, NULL);
    free(model);
    db_kit_free(kit);
    return arg;
}

/* Goal:   loops on several threads know nothing of each other. */
static void
loops_work_on_several_threads(void **state)
{
    uint32_t kinds[3] = {GYRE_IO_AUTO, GYRE_IO_AUTO, GYRE_IO_BLOCKING};
    pthread_t threads[3];

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, thread_main, &kinds[i]), 0);
    }
    for (uint32_t i = 0; i < 3; i++) {
        void *result = NULL;

        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, &kinds[i]);
    }
}

struct closer {
    struct db_kit *kit;
    bool closing; /* nobody begins a call any more */
    gyre_status last;
    gyre_status closed;
};

static void
write_some(void *arg)
{
    struct closer *c = arg;

    while (!c->closing) {
        c->last = gyre_put(c->kit->db, GYRE_WRITE_OPTIONS(.durability = GYRE_DURABLE),
                           db_kit_key(1), gyre_str("v"));
    }
}

static void
close_it(void *arg)
{
    struct closer *c = arg;

    KIT_OK(c->kit, gyre_sleep(c->kit->loop, 1000000));
    c->closing = true;
    c->closed = gyre_close(c->kit->db);
}

/* Goal:   close from a coroutine lets the call of another one come to its end first. */
static void
close_waits_for_calls_in_progress(void **state)
{
    struct db_kit *kit = *state;
    struct closer c = {.kit = kit, .closed = GYRE_BUSY, .last = GYRE_BUSY};

    KIT_OK(kit, gyre_spawn(kit->loop, write_some, &c, NULL));
    KIT_OK(kit, gyre_spawn(kit->loop, close_it, &c, NULL));
    KIT_OK(kit, gyre_run(kit->loop));
    assert_int_equal(c.closed, GYRE_OK);
    assert_true(c.last == GYRE_OK || c.last == GYRE_CLOSED);
    kit->db = NULL;
    db_kit_open(kit);
}

struct joiner {
    struct db_kit *kit;
    gyre_task *task;
    uint32_t *order;
    uint32_t got;
};

static void
sleep_then_count(void *arg)
{
    struct joiner *j = arg;

    KIT_OK(j->kit, gyre_sleep(j->kit->loop, 2000000));
    j->got = ++*j->order;
}

static void
join_then_count(void *arg)
{
    struct joiner *j = arg;

    KIT_OK(j->kit, gyre_join(j->kit->loop, j->task));
    j->got = ++*j->order;
}

/* Goal:   join waits for its task, inside a coroutine and outside; a task cannot be joined by
 *         strangers. */
static void
join_waits_for_its_task(void **state)
{
    struct db_kit *kit = *state;
    uint32_t order = 0;
    struct joiner sleeper = {.kit = kit, .order = &order};
    struct joiner waiter = {.kit = kit, .order = &order};
    gyre_task *outer = NULL;

    KIT_OK(kit, gyre_spawn(kit->loop, sleep_then_count, &sleeper, &waiter.task));
    KIT_OK(kit, gyre_spawn(kit->loop, join_then_count, &waiter, &outer));
    KIT_OK(kit, gyre_join(kit->loop, outer));
    assert_int_equal(sleeper.got, 1);
    assert_int_equal(waiter.got, 2);
    KIT_IS(kit, gyre_join(kit->loop, NULL), GYRE_INVALID);
    KIT_IS(kit, gyre_spawn(kit->loop, NULL, NULL, NULL), GYRE_INVALID);
}

static void
work_little(void *arg)
{
    struct worker *w = arg;

    KIT_OK(w->kit, gyre_sleep(w->kit->loop, 1000000));
    write_one(w);
    for (uint32_t i = 0; i < 3; i++) {
        read_one(w);
    }
}

/* Goal:   with as many coroutines as memory_limit allows, all of them and the host can still do
 *         their work.
 * Method: spawn until it is refused, run, spawn again; with 32 MiB stacks run out long before
 * coroutines_max. */
static void
stacks_leave_memory_to_work_with(void **state)
{
    struct db_kit *kit = *state;
    struct worker *workers = make_workers(kit, kit->db, kit->db);
    uint32_t spawned = 0;

    for (uint32_t round = 0; round < 2; round++) {
        gyre_status status = GYRE_OK;

        for (spawned = 0; spawned < WORKERS; spawned++) {
            status = gyre_spawn(kit->loop, work_little, &workers[spawned], NULL);
            if (status != GYRE_OK) {
                break;
            }
        }
        KIT_IS(kit, status, GYRE_NO_MEMORY);
        assert_true(spawned > 20);
        /* the host can call */
        KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("zz"), gyre_str("host")));
        KIT_OK(kit, gyre_delete(kit->db, NULL, gyre_str("zz")));
        KIT_OK(kit, gyre_run(kit->loop));
        check_workers(kit, workers, kit->db);
    }
    free(workers);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(coroutines_see_their_own_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(coroutines_see_their_own_writes, setup_blocking, teardown),
        cmocka_unit_test_setup_teardown(two_stores_share_a_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(close_waits_for_calls_in_progress, setup, teardown),
        cmocka_unit_test_setup_teardown(join_waits_for_its_task, setup, teardown),
        cmocka_unit_test_setup_teardown(stacks_leave_memory_to_work_with, setup_small, teardown),
        cmocka_unit_test(loops_work_on_several_threads),
    };
    return cmocka_run_group_tests_name("db_coroutines", tests, NULL, NULL);
}
