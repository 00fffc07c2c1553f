/* test_db_close.c - what keeps a store and its loop from closing, what does not; cancels that come
 * twice or late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

#define FAR_NS 3600000000000ull
#define KEY gyre_str("key")

static void
nothing(void *arg)
{
    (void)arg;
}

static void
no_answer(struct gyre_op *op)
{
    (void)op;
}

static void
count_answer(struct gyre_op *op)
{
    (*(uint32_t *)op->arg)++;
}

/* Goal:   a store is not closed while something of it is held: BUSY counts what, and it stays open;
 *         a loop is not closed above a store, a coroutine or an operation. */
static void
close_counts_what_is_held(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_op op = GYRE_OP(.kind = GYRE_OP_SLEEP, .loop = kit->loop, .done = no_answer);
    struct gyre_value values[2] = {{0}, {0}};
    gyre_snapshot *snapshots[3];
    gyre_iterator *iterator;

    KIT_OK(kit, gyre_put(kit->db, NULL, KEY, gyre_str("value")));
    for (uint32_t i = 0; i < 3; i++) {
        KIT_OK(kit, gyre_snapshot_open(kit->db, &snapshots[i]));
    }
    KIT_OK(kit, gyre_get(kit->db, NULL, KEY, &values[0]));
    KIT_OK(kit, gyre_get(kit->db, NULL, KEY, &values[1]));
    KIT_OK(kit, gyre_iterator_open(kit->db, NULL, &iterator));
    KIT_IS(kit, gyre_close(kit->db), GYRE_BUSY);
    assert_non_null(strstr(gyre_last_error(kit->loop)->text, "2 values, 1 iterators, 3 snapshots"));
    gyre_value_release(&values[0]);
    gyre_value_release(&values[0]); /* the other one is held all the same */
    gyre_snapshot_release(snapshots[1]);
    gyre_iterator_close(iterator);
    KIT_IS(kit, gyre_close(kit->db), GYRE_BUSY);
    assert_non_null(strstr(gyre_last_error(kit->loop)->text, "1 values, 0 iterators, 2 snapshots"));
    assert_memory_equal(values[1].data, "value", 5);
    KIT_OK(kit, gyre_put(kit->db, NULL, KEY, gyre_str("still open")));
    gyre_value_release(&values[1]);
    gyre_snapshot_release(snapshots[0]);
    KIT_IS(kit, gyre_close(kit->db), GYRE_BUSY);
    gyre_snapshot_release(snapshots[2]);
    KIT_IS(kit, gyre_loop_close(kit->loop), GYRE_BUSY);
    assert_non_null(strstr(gyre_last_error(kit->loop)->text, "1 stores"));
    db_kit_close(kit);
    KIT_OK(kit, gyre_spawn(kit->loop, nothing, NULL, NULL));
    KIT_IS(kit, gyre_loop_close(kit->loop), GYRE_BUSY);
    assert_non_null(strstr(gyre_last_error(kit->loop)->text, "1 coroutines"));
    KIT_OK(kit, gyre_run(kit->loop));
    op.deadline_ns = gyre_now(kit->loop) + FAR_NS;
    KIT_OK(kit, gyre_submit(&op));
    KIT_IS(kit, gyre_loop_close(kit->loop), GYRE_BUSY);
    assert_non_null(strstr(gyre_last_error(kit->loop)->text, "operations: yes"));
    KIT_OK(kit, gyre_cancel(&op));
    (void)gyre_loop_poll(kit->loop, 0);
    assert_int_equal(op.status, GYRE_CANCELED);
    db_kit_open(kit);
}

/* Goal:   a scan that is half done when its store closes is answered, once, before the close is. */
static void
close_ends_a_scan_in_progress(void **state)
{
    static struct gyre_row rows[4000];
    static char bytes[1 << 20];
    struct db_kit *kit = *state;
    struct gyre_scan scan =
        GYRE_SCAN(.rows = rows, .rows_max = 4000, .buffer = bytes, .buffer_size = sizeof(bytes));
    uint32_t scans = 0;
    uint32_t closes = 0;
    struct gyre_op op = GYRE_OP(.kind = GYRE_OP_SCAN, .db = kit->db, .scan = &scan,
                                .done = count_answer, .arg = &scans);
    struct gyre_op closing =
        GYRE_OP(.kind = GYRE_OP_CLOSE, .db = kit->db, .done = count_answer, .arg = &closes);
    struct db_model model;

    db_model_init(&model, 2000);
    db_kit_churn(kit, &model, 3000);
    db_kit_reopen(kit); /* nothing is in the cache: it has to read */
    op.db = kit->db;
    closing.db = kit->db;
    KIT_OK(kit, gyre_submit(&op));
    (void)gyre_loop_poll(kit->loop, 0);
    KIT_OK(kit, gyre_submit(&closing));
    while (closes == 0) {
        (void)gyre_loop_poll(kit->loop, 200);
    }
    assert_int_equal(scans, 1);
    assert_int_equal(closes, 1);
    KIT_OK(kit, closing.status);
    assert_true(op.status == GYRE_CLOSED || op.status == GYRE_OK);
    if (op.status == GYRE_OK) {
        assert_true(scan.row_count > 0);
    }
    db_kit_open(kit);
    db_kit_check(kit, kit->db, &model, NULL);
}

/* Goal:   a second cancel changes nothing, nor does one after the answer; one after the callback is
 *         MISUSE. */
static void
cancel_twice_and_late(void **state)
{
    struct db_kit *kit = *state;
    uint32_t answers = 0;
    struct gyre_op op = GYRE_OP(.kind = GYRE_OP_GET, .db = kit->db, .key = KEY,
                                .done = count_answer, .arg = &answers);

    KIT_OK(kit, gyre_put(kit->db, NULL, KEY, gyre_str("value")));
    KIT_OK(kit, gyre_submit(&op)); /* it is in memory: found at once */
    KIT_OK(kit, gyre_cancel(&op));
    KIT_OK(kit, gyre_cancel(&op));
    (void)gyre_loop_poll(kit->loop, 0);
    assert_int_equal(answers, 1);
    KIT_OK(kit, op.status);
    gyre_value_release(&op.value);
    KIT_IS(kit, gyre_cancel(&op), GYRE_MISUSE);
    op.kind = GYRE_OP_FLUSH;
    KIT_OK(kit, gyre_submit(&op));
    KIT_OK(kit, gyre_cancel(&op));
    KIT_OK(kit, gyre_cancel(&op));
    (void)gyre_loop_poll(kit->loop, 0);
    assert_int_equal(answers, 2);
    assert_int_equal(op.status, GYRE_CANCELED);
    KIT_IS(kit, gyre_cancel(&op), GYRE_MISUSE);
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

/* Goal:   who gives up a close is told whether it goes on: with maybe_done the store closes by
 *         itself, and a close that waits for it gets the answer; without, it is open as before. */
static void
close_that_is_given_up_says_whether_it_goes_on(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_op close_op = GYRE_OP(.kind = GYRE_OP_CLOSE, .db = kit->db, .done = no_answer);
    struct gyre_value value;

    KIT_OK(kit, gyre_put(kit->db, NULL, KEY, gyre_str("value")));
    KIT_OK(kit, gyre_submit(&close_op));
    KIT_OK(kit, gyre_cancel(&close_op)); /* it has not begun */
    (void)gyre_loop_poll(kit->loop, 0);
    assert_int_equal(close_op.status, GYRE_CANCELED);
    assert_int_equal(close_op.error.maybe_done, 0);
    KIT_OK(kit, gyre_get(kit->db, NULL, KEY, &value));
    gyre_value_release(&value);

    KIT_OK(kit, gyre_submit(&close_op));
    while (close_op.status == GYRE_AGAIN && gyre_credits(kit->db) > 0) { /* 0: closing */
        (void)gyre_loop_poll(kit->loop, 0);
    }
    if (close_op.status == GYRE_AGAIN) { /* else it was quicker than us */
        KIT_OK(kit, gyre_cancel(&close_op));
        (void)gyre_loop_poll(kit->loop, 0);
        assert_int_equal(close_op.status, GYRE_CANCELED);
        assert_int_equal(close_op.error.maybe_done, 1);
        assert_int_equal(gyre_put(kit->db, NULL, KEY, gyre_str("more")), GYRE_CLOSED);
        KIT_OK(kit, gyre_close(kit->db));
    }
    db_kit_open(kit);
}

int
main(void)
{
#define ON_BOTH(name)                                       \
    cmocka_unit_test_setup_teardown(name, setup, teardown), \
        cmocka_unit_test_setup_teardown(name, setup_blocking, teardown)
    const struct CMUnitTest tests[] = {
        ON_BOTH(close_that_is_given_up_says_whether_it_goes_on),
        ON_BOTH(close_counts_what_is_held),
        ON_BOTH(close_ends_a_scan_in_progress),
        ON_BOTH(cancel_twice_and_late),
    };

    return cmocka_run_group_tests_name("db close", tests, NULL, NULL);
}
