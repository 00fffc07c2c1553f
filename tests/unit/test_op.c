/* test_op.c - the completion form on real rings and files: answers, deadlines, cancel, the host's
 * descriptor, closing under load. What happens at each single await is tests/sim/sim_cancel.c. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include <cmocka.h>

#include "engine/db/op.h"
#include "tests/support/db_kit.h"

#define MS 1000000ull

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

/* ---- An op that counts its answers ---- */

struct counted {
    struct gyre_op op;
    struct db_kit *kit;
    uint32_t answers;
    char text[32];
};

static void
count(struct gyre_op *op)
{
    struct counted *c = op->arg;

    c->answers++;
}

static struct counted *
make(struct db_kit *kit, uint32_t kind, uint32_t key)
{
    struct counted *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    c->kit = kit;
    (void)snprintf(c->text, sizeof(c->text), "value of %u", key);
    c->op = GYRE_OP(.kind = kind, .db = kit->db, .done = count, .arg = c);
    c->op.key = db_kit_key(key);
    if (kind == GYRE_OP_PUT) {
        c->op.data = gyre_str(c->text);
    }
    return c;
}

/* As a host does it: poll, and sleep on the descriptor. Until all are answered. */
static void
drive(struct db_kit *kit, struct counted **all, uint32_t all_count)
{
    struct pollfd entry = {.fd = gyre_loop_fd(kit->loop), .events = POLLIN};
    uint32_t answered = 0;

    assert_true(entry.fd >= 0);
    while (answered < all_count) {
        answered = 0;
        for (uint32_t i = 0; i < all_count; i++) {
            assert_in_range(all[i]->answers, 0, 1);
            answered += all[i]->answers;
        }
        if (answered < all_count) {
            assert_int_equal(poll(&entry, 1, 20000), 1); /* it must not be forgotten */
            (void)gyre_loop_poll(kit->loop, 200);
        }
    }
}

/* Keys of an op live as long as it does; those of db_kit_key do not. */
static void
own_key(struct counted *c, char *buffer, uint32_t key)
{
    const struct gyre_slice slice = db_kit_key(key);

    memcpy(buffer, slice.data, slice.size);
    c->op.key = gyre_slice(buffer, slice.size);
}

/* Goal:   what is submitted is answered once, from poll and not before; what is put is got. */
static void
each_op_is_answered_once_from_poll(void **state)
{
    enum { COUNT = 300 };
    struct db_kit *kit = *state;
    struct counted *all[COUNT];
    static char keys[COUNT][64];

    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            all[i] = make(kit, round == 0 ? GYRE_OP_PUT : GYRE_OP_GET, i);
            own_key(all[i], keys[i], i);
            all[i]->op.durability = i % 2 == 0 ? GYRE_DURABLE : GYRE_BUFFERED;
            if (round == 1) {
                all[i]->op.durability = 0;
            }
            KIT_OK(kit, gyre_submit(&all[i]->op));
            assert_int_equal(all[i]->answers, 0);
            assert_int_equal(gyre_submit(&all[i]->op), GYRE_MISUSE); /* it is in there */
        }
        drive(kit, all, COUNT);
        for (uint32_t i = 0; i < COUNT; i++) {
            assert_int_equal(all[i]->op.status, GYRE_OK);
            if (round == 1) {
                assert_int_equal(all[i]->op.value.size, strlen(all[i]->text));
                assert_memory_equal(all[i]->op.value.data, all[i]->text, all[i]->op.value.size);
                gyre_value_release(&all[i]->op.value);
                gyre_value_release(&all[i]->op.value); /* harmless */
            }
            free(all[i]);
        }
        KIT_OK(kit, gyre_flush(kit->db)); /* the second round reads tables */
    }
}

/* Goal:   an idle loop with a quiet store does not wake its host; and background work does until
 *         it is done. */
static void
quiet_store_wakes_nobody(void **state)
{
    struct db_kit *kit = *state;
    struct pollfd entry = {.fd = gyre_loop_fd(kit->loop), .events = POLLIN};
    struct db_model model;
    struct gyre_stats stats = {.struct_size = sizeof(stats)};
    uint32_t wakes = 0;

    db_model_init(&model, 2000);
    db_kit_churn(kit, &model, 2000);
    while (poll(&entry, 1, 500) == 1) { /* flush and compaction go on from here alone */
        (void)gyre_loop_poll(kit->loop, 200);
        wakes++;
        assert_true(wakes < 1000000);
    }
    KIT_OK(kit, gyre_stats(kit->db, &stats));
    assert_int_equal(stats.compaction_debt, 0);
    assert_int_equal(poll(&entry, 1, 300), 0);
    db_kit_check(kit, kit->db, &model, NULL);
}

/* Goal:   a timer makes the descriptor readable when it is due, not before, not much later. */
static void
sleep_op_wakes_the_host_in_time(void **state)
{
    struct db_kit *kit = *state;
    struct counted *c = make(kit, GYRE_OP_SLEEP, 0);
    const uint64_t start_ns = gyre_now(kit->loop);

    c->op.loop = kit->loop;
    c->op.deadline_ns = start_ns + 50 * MS;
    KIT_OK(kit, gyre_submit(&c->op));
    drive(kit, &c, 1);
    assert_int_equal(c->op.status, GYRE_OK);
    assert_in_range(gyre_now(kit->loop) - start_ns, 50 * MS, 5000 * MS);
    c->op.deadline_ns = gyre_now(kit->loop) + 3600000 * MS;
    KIT_OK(kit, gyre_submit(&c->op));
    KIT_OK(kit, gyre_cancel(&c->op));
    c->answers = 0;
    drive(kit, &c, 1);
    assert_int_equal(c->op.status, GYRE_CANCELED);
    free(c);
}

static void
note_run(void *arg)
{
    *(bool *)arg = true;
}

/* Goal:   a coroutine started from outside a turn wakes the host, which runs it. */
static void
spawn_wakes_the_host(void **state)
{
    struct db_kit *kit = *state;
    struct pollfd entry = {.fd = gyre_loop_fd(kit->loop), .events = POLLIN};
    bool has_run = false;

    while (poll(&entry, 1, 300) == 1) { /* until it is quiet */
        (void)gyre_loop_poll(kit->loop, 200);
    }
    KIT_OK(kit, gyre_spawn(kit->loop, note_run, &has_run, NULL));
    assert_int_equal(poll(&entry, 1, 1000), 1);
    (void)gyre_loop_poll(kit->loop, 200);
    assert_true(has_run);
}

/* ---- Deadline and cancel ---- */

/* Goal:   what is cancelled, or late, before it has begun is not begun: the key stays away. */
static void
op_ended_before_it_began_is_not_done(void **state)
{
    struct db_kit *kit = *state;
    struct counted *late = make(kit, GYRE_OP_PUT, 1);
    struct counted *gone = make(kit, GYRE_OP_PUT, 2);
    struct counted *both[2] = {late, gone};
    struct gyre_value value;

    late->op.deadline_ns = 1;
    KIT_OK(kit, gyre_submit(&late->op));
    KIT_OK(kit, gyre_submit(&gone->op));
    KIT_OK(kit, gyre_cancel(&gone->op));
    KIT_OK(kit, gyre_cancel(&gone->op)); /* it has its answer: nothing happens */
    assert_int_equal(late->answers + gone->answers, 0);
    drive(kit, both, 2);
    assert_int_equal(late->op.status, GYRE_TIMED_OUT);
    assert_int_equal(gone->op.status, GYRE_CANCELED);
    assert_int_equal(late->op.error.maybe_done + gone->op.error.maybe_done, 0);
    assert_string_not_equal(late->op.error.text, "");
    KIT_IS(kit, gyre_get(kit->db, NULL, db_kit_key(1), &value), GYRE_NOT_FOUND);
    KIT_IS(kit, gyre_get(kit->db, NULL, db_kit_key(2), &value), GYRE_NOT_FOUND);
    assert_int_equal(gyre_cancel(&gone->op), GYRE_MISUSE); /* it is the caller's again */
    free(late);
    free(gone);
}

/* Goal:   plain calls take deadlines too: one that has passed is TIMED_OUT, one far off changes
 *         nothing. */
static void
plain_calls_have_deadlines(void **state)
{
    struct db_kit *kit = *state;
    const uint64_t far_ns = gyre_now(kit->loop) + 3600000 * MS;
    struct gyre_slice keys[2] = {gyre_str("one"), gyre_str("two")};
    struct gyre_value values[2];
    gyre_status statuses[2];

    KIT_OK(kit, gyre_put(kit->db, GYRE_WRITE_OPTIONS(.deadline_ns = far_ns), gyre_str("one"),
                         gyre_str("a")));
    KIT_IS(kit,
           gyre_put(kit->db, GYRE_WRITE_OPTIONS(.deadline_ns = 1), gyre_str("two"), gyre_str("b")),
           GYRE_TIMED_OUT);
    assert_int_equal(gyre_last_error(kit->loop)->maybe_done, 0);
    KIT_OK(kit, gyre_get(kit->db, GYRE_READ_OPTIONS(.deadline_ns = far_ns), gyre_str("one"),
                         &values[0]));
    gyre_value_release(&values[0]);
    KIT_IS(kit, gyre_get(kit->db, GYRE_READ_OPTIONS(.deadline_ns = 1), gyre_str("one"), &values[0]),
           GYRE_TIMED_OUT);
    KIT_OK(kit, gyre_multi_get(kit->db, GYRE_READ_OPTIONS(.deadline_ns = far_ns), 2, keys, values,
                               statuses));
    assert_int_equal(statuses[0], GYRE_OK);
    assert_int_equal(statuses[1], GYRE_NOT_FOUND);
    gyre_value_release(&values[0]);
    KIT_IS(kit,
           gyre_multi_get(kit->db, GYRE_READ_OPTIONS(.deadline_ns = 1), 2, keys, values, statuses),
           GYRE_TIMED_OUT);
}

/* ---- Callbacks ---- */

struct chain {
    struct counted c;
    uint32_t left;
    gyre_status blocking, late, polling, closing;
};

static void
go_on(struct gyre_op *op)
{
    struct chain *chain = op->arg;
    struct gyre_value value;

    chain->blocking = gyre_get(op->db, NULL, op->key, &value);
    chain->late = gyre_put(
        op->db, GYRE_WRITE_OPTIONS(.deadline_ns = gyre_now(chain->c.kit->loop) + 1000 * MS),
        gyre_str("late"), gyre_str("v"));
    chain->polling = gyre_loop_poll(chain->c.kit->loop, 10);
    chain->closing = gyre_loop_close(chain->c.kit->loop);
    if (--chain->left > 0) {
        KIT_OK(chain->c.kit, gyre_submit(op));
    } else {
        chain->c.answers = 1;
    }
}

/* Goal:   a callback may submit, its own op too; what would wait is MISUSE there. */
static void
callback_may_submit_but_not_wait(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_value value;
    struct chain chain = {.c = {.kit = kit}, .left = 20};
    struct counted *all[1] = {&chain.c};

    chain.c.op = GYRE_OP(.kind = GYRE_OP_PUT, .db = kit->db, .key = gyre_str("chain"),
                         .data = gyre_str("v"), .done = go_on, .arg = &chain);
    KIT_OK(kit, gyre_submit(&chain.c.op));
    drive(kit, all, 1);
    assert_int_equal(chain.left, 0);
    assert_int_equal(chain.blocking, GYRE_MISUSE);
    assert_int_equal(chain.late, GYRE_MISUSE);
    KIT_IS(kit, gyre_get(kit->db, NULL, gyre_str("late"), &value), GYRE_NOT_FOUND);
    assert_int_equal(chain.polling, GYRE_MISUSE);
    assert_int_equal(chain.closing, GYRE_MISUSE);
}

/* Goal:   bad ops are refused at once, and their callback never comes. */
static void
bad_ops_are_refused(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_op op = GYRE_OP(.kind = GYRE_OP_GET, .db = kit->db, .key = gyre_str("k"));

    assert_int_equal(gyre_submit(NULL), GYRE_INVALID);
    op.struct_size = 8;
    assert_int_equal(gyre_submit(&op), GYRE_INVALID);
    op.struct_size = sizeof(op);
    op.kind = GYRE_OP_KIND_COUNT;
    assert_int_equal(gyre_submit(&op), GYRE_INVALID);
    op.kind = GYRE_OP_GET;
    op.db = NULL;
    assert_int_equal(gyre_submit(&op), GYRE_MISUSE);
    assert_int_equal(gyre_cancel(&op), GYRE_MISUSE);
    assert_int_equal(gyre_await(&op), GYRE_MISUSE);
    op = GYRE_OP(.kind = GYRE_OP_GET, .db = kit->db); /* the operation's own arguments: answered */
    KIT_OK(kit, gyre_submit(&op));
    assert_int_equal(gyre_await(&op), GYRE_INVALID);
    assert_int_equal(op.status, GYRE_INVALID);
    assert_string_not_equal(gyre_last_error(kit->loop)->text, "");
}

/* ---- All kinds, waited for ---- */

static void
run_all_kinds(void *arg)
{
    struct db_kit *kit = arg;
    struct gyre_verify_result verified;
    gyre_iterator *it;
    gyre_batch *batch = gyre_batch_make();
    struct gyre_op op;

#define DO(...)                    \
    op = GYRE_OP(__VA_ARGS__);     \
    KIT_OK(kit, gyre_submit(&op)); \
    KIT_OK(kit, gyre_await(&op))

    DO(.kind = GYRE_OP_PUT, .db = kit->db, .key = gyre_str("a"), .data = gyre_str("1"));
    KIT_OK(kit, gyre_batch_put(batch, gyre_str("b"), gyre_str("2")));
    KIT_OK(kit, gyre_batch_put(batch, gyre_str("c"), gyre_str("3")));
    DO(.kind = GYRE_OP_WRITE, .db = kit->db, .batch = batch);
    gyre_batch_free(batch);
    DO(.kind = GYRE_OP_DELETE, .db = kit->db, .key = gyre_str("c"));
    DO(.kind = GYRE_OP_SYNC, .db = kit->db);
    DO(.kind = GYRE_OP_FLUSH, .db = kit->db);
    DO(.kind = GYRE_OP_COMPACT_RANGE, .db = kit->db);
    DO(.kind = GYRE_OP_WAIT_IDLE, .db = kit->db);
    DO(.kind = GYRE_OP_APPROXIMATE_SIZE, .db = kit->db);
    assert_true(op.bytes > 0);
    DO(.kind = GYRE_OP_VERIFY, .db = kit->db, .verify_result = &verified);
    assert_int_equal(verified.entry_count, 2);
    KIT_OK(kit, gyre_iterator_open(kit->db, NULL, &it));
    DO(.kind = GYRE_OP_ITERATOR_FIRST, .db = kit->db, .iterator = it);
    assert_memory_equal(gyre_iterator_key(it).data, "a", 1);
    DO(.kind = GYRE_OP_ITERATOR_NEXT, .db = kit->db, .iterator = it);
    assert_memory_equal(gyre_iterator_key(it).data, "b", 1);
    DO(.kind = GYRE_OP_ITERATOR_PREV, .db = kit->db, .iterator = it);
    DO(.kind = GYRE_OP_ITERATOR_LAST, .db = kit->db, .iterator = it);
    assert_memory_equal(gyre_iterator_key(it).data, "b", 1);
    DO(.kind = GYRE_OP_ITERATOR_SEEK, .db = kit->db, .iterator = it, .key = gyre_str("aa"));
    DO(.kind = GYRE_OP_ITERATOR_SEEK_FOR_PREV, .db = kit->db, .iterator = it,
       .key = gyre_str("aa"));
    assert_memory_equal(gyre_iterator_key(it).data, "a", 1);
    gyre_iterator_close(it);
    DO(.kind = GYRE_OP_CHECKPOINT, .db = kit->db, .path = kit->other);
    DO(.kind = GYRE_OP_OPEN, .loop = kit->loop, .path = kit->other);
    DO(.kind = GYRE_OP_CLOSE, .db = op.db);
    DO(.kind = GYRE_OP_DESTROY, .loop = kit->loop, .path = kit->other);
    DO(.kind = GYRE_OP_CLOSE, .db = kit->db);
    DO(.kind = GYRE_OP_SALVAGE, .loop = kit->loop, .path = kit->path, .path_to = kit->other);
    DO(.kind = GYRE_OP_SLEEP, .loop = kit->loop, .deadline_ns = gyre_now(kit->loop) + MS);
#undef DO
}

/* Goal:   each kind does what the plain call does, waited for from a coroutine and from the host's
 *         stack. */
static void
all_kinds_work_from_host_and_coroutine(void **state)
{
    struct db_kit *kit = *state;

    run_all_kinds(kit);
    KIT_OK(kit, gyre_destroy(kit->loop, kit->other));
    db_kit_open(kit);
    KIT_OK(kit, gyre_destroy(kit->loop, kit->other) == GYRE_NOT_FOUND ? GYRE_OK : GYRE_IO);
    KIT_OK(kit, gyre_spawn(kit->loop, run_all_kinds, kit, NULL));
    KIT_OK(kit, gyre_run(kit->loop));
    db_kit_open(kit);
}

/* ---- Closing ---- */

/* Goal:   close under a hundred operations: all are answered, those that say OK are there, those
 *         that say CLOSED and not maybe_done are not. */
static void
close_answers_all_that_is_in_flight(void **state)
{
    enum { COUNT = 100 };
    struct db_kit *kit = *state;
    struct counted *all[COUNT + 1];
    static char keys[COUNT][64];
    uint32_t closed = 0;

    for (uint32_t i = 0; i < COUNT; i++) {
        all[i] = make(kit, GYRE_OP_PUT, i);
        own_key(all[i], keys[i], i);
        all[i]->op.durability = GYRE_DURABLE;
        KIT_OK(kit, gyre_submit(&all[i]->op));
        if (i == COUNT / 2) { /* some are at work, some have not begun */
            (void)gyre_loop_poll(kit->loop, 0);
        }
    }
    all[COUNT] = make(kit, GYRE_OP_CLOSE, 0);
    KIT_OK(kit, gyre_submit(&all[COUNT]->op));
    drive(kit, all, COUNT + 1);
    assert_int_equal(all[COUNT]->op.status, GYRE_OK);
    db_kit_open(kit);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct gyre_value value = {0};
        const gyre_status found = gyre_get(kit->db, NULL, db_kit_key(i), &value);

        closed += all[i]->op.status == GYRE_CLOSED;
        if (all[i]->op.status == GYRE_OK) {
            assert_int_equal(found, GYRE_OK);
        } else {
            assert_int_equal(all[i]->op.status, GYRE_CLOSED);
            assert_true(found == GYRE_NOT_FOUND || all[i]->op.error.maybe_done == 1);
        }
        gyre_value_release(&value);
        free(all[i]);
    }
    free(all[COUNT]);
    assert_true(closed > 0);
}

/* Goal:   a value that was found but not called back yet does not keep a store open: its operation
 *         is answered CLOSED, and holds nothing. */
static void
close_takes_back_what_was_not_called_back(void **state)
{
    struct db_kit *kit = *state;
    struct counted *get = make(kit, GYRE_OP_GET, 1);
    struct counted *closing = make(kit, GYRE_OP_CLOSE, 0);
    struct counted *both[2] = {get, closing};

    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("k"), gyre_str("v")));
    get->op.key = gyre_str("k");
    KIT_OK(kit, gyre_submit(&get->op));
    KIT_OK(kit, gyre_submit(&closing->op));
    drive(kit, both, 2);
    KIT_OK(kit, closing->op.status);
    assert_int_equal(get->op.status, GYRE_CLOSED);
    gyre_value_release(&get->op.value); /* harmless */
    db_kit_open(kit);
    free(get);
    free(closing);
}

/* Goal:   more operations than there are coroutines for: all are answered, and their stacks leave
 *         memory_limit to others; reads go on while writers wait for room. */
static void
many_ops_need_few_coroutines(void **state)
{
    enum { COUNT = 3000 };
    struct db_kit *kit = *state;
    struct gyre_memory memory = {.struct_size = sizeof(memory)};
    struct counted **all = calloc(COUNT, sizeof(all[0]));
    uint64_t before;

    KIT_OK(kit, gyre_memory(kit->loop, &memory));
    before = memory.stacks;
    for (uint32_t i = 0; i < COUNT; i++) {
        all[i] = make(kit, i % 3 == 0 ? GYRE_OP_GET : GYRE_OP_PUT, 0);
        all[i]->op.key = gyre_str(i % 3 == 0 ? "absent" : "present");
        all[i]->op.durability = i % 3 == 0 ? 0 : GYRE_DURABLE;
        KIT_OK(kit, gyre_submit(&all[i]->op));
    }
    drive(kit, all, COUNT);
    KIT_OK(kit, gyre_memory(kit->loop, &memory));
    assert_true(memory.stacks - before <= memory.limit / 4);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(all[i]->op.status, i % 3 == 0 ? GYRE_NOT_FOUND : GYRE_OK);
        free(all[i]);
    }
    free(all);
}

/* Goal:   a plain call with a deadline that finds no coroutine to wait in leaves nothing behind:
 *         what it began is given up, and says whether it may be done. Its frame is gone then.
 * Method: one coroutine is left, which the operation takes; the call itself gets none. */
static void
plain_call_without_coroutine_is_given_up(void **state)
{
    struct db_kit *kit = *state;
    struct gy_sched *sched = &kit->loop->io.sched;
    const uint32_t count_max = sched->stacks.count_max;

    for (uint32_t round = 0; round < 3; round++) {
        const uint64_t deadline_ns = gyre_now(kit->loop) + 1000 * MS;
        struct gyre_value value;
        gyre_status status;

        sched->stacks.count_max = sched->live_count + 1;
        status = round == 0   ? gyre_put(kit->db, GYRE_WRITE_OPTIONS(.deadline_ns = deadline_ns),
                                         gyre_str("lost"), gyre_str("v"))
                 : round == 1 ? gyre_delete(kit->db, GYRE_WRITE_OPTIONS(.deadline_ns = deadline_ns),
                                            gyre_str("kept"))
                              : gyre_get(kit->db, GYRE_READ_OPTIONS(.deadline_ns = deadline_ns),
                                         gyre_str("on disk"), &value);
        sched->stacks.count_max = count_max;
        if (round < 2) {
            assert_int_equal(status, GYRE_AGAIN);
            assert_int_equal(gyre_last_error(kit->loop)->maybe_done, 0);
        } else { /* found at once, or not */
            assert_true(status == GYRE_AGAIN || status == GYRE_NOT_FOUND);
        }
        assert_false(gy_ops_are_there(kit->loop));
        if (round == 0) {
            KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("kept"), gyre_str("v")));
        }
        for (uint32_t i = 0; i < 20; i++) {
            (void)gyre_loop_poll(kit->loop, 200); /* the operation's coroutine finds nothing */
        }
        KIT_IS(kit, gyre_get_copy(kit->db, NULL, gyre_str("lost"), NULL, 0, &(size_t){0}),
               GYRE_NOT_FOUND);
        KIT_OK(kit, gyre_get_copy(kit->db, NULL, gyre_str("kept"), NULL, 0, &(size_t){0}));
    }
}

/* Goal:   a loop is not closed under an operation whose callback is still to come. */
static void
loop_with_unanswered_op_is_busy(void **state)
{
    struct db_kit *kit = *state;
    struct counted *c = make(kit, GYRE_OP_CLOSE, 0);

    KIT_OK(kit, gyre_submit(&c->op));
    assert_int_equal(gyre_loop_close(kit->loop), GYRE_BUSY);
    drive(kit, &c, 1);
    assert_int_equal(c->op.status, GYRE_OK);
    db_kit_open(kit);
    free(c);
}

int
main(void)
{
#define ON_BOTH(name)                                       \
    cmocka_unit_test_setup_teardown(name, setup, teardown), \
        cmocka_unit_test_setup_teardown(name, setup_blocking, teardown)
    const struct CMUnitTest tests[] = {
        ON_BOTH(each_op_is_answered_once_from_poll),
        ON_BOTH(quiet_store_wakes_nobody),
        ON_BOTH(sleep_op_wakes_the_host_in_time),
        ON_BOTH(spawn_wakes_the_host),
        ON_BOTH(op_ended_before_it_began_is_not_done),
        ON_BOTH(plain_calls_have_deadlines),
        ON_BOTH(callback_may_submit_but_not_wait),
        ON_BOTH(bad_ops_are_refused),
        ON_BOTH(all_kinds_work_from_host_and_coroutine),
        ON_BOTH(close_answers_all_that_is_in_flight),
        ON_BOTH(close_takes_back_what_was_not_called_back),
        ON_BOTH(many_ops_need_few_coroutines),
        ON_BOTH(plain_call_without_coroutine_is_given_up),
        ON_BOTH(loop_with_unanswered_op_is_busy),
    };

    return cmocka_run_group_tests_name("op", tests, NULL, NULL);
}
