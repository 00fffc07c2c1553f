/* test_room.c - backpressure as a value: NO_WAIT, the cause and the time to stay away, credits, and
 * the news that there is room again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

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

static gyre_status
put_at_once(struct db_kit *kit, uint32_t index)
{
    return gyre_put(kit->db,
                    GYRE_WRITE_OPTIONS(.durability = GYRE_BUFFERED, .flags = GYRE_WRITE_NO_WAIT),
                    db_kit_key(index), db_kit_value(index, 1));
}

/* Writes without waiting until it is told to stay away; false: it never was. */
static bool
fill(struct db_kit *kit, struct db_model *model, uint32_t *next)
{
    while (*next < DB_KIT_KEYS_MAX) {
        const gyre_status status = put_at_once(kit, *next);

        if (status == GYRE_AGAIN) {
            return true;
        }
        KIT_OK(kit, status);
        model->version[*next] = 1;
        (*next)++;
    }
    return false;
}

/* Goal:   a write that may not wait says AGAIN with cause and time and changes nothing; after
 *         gyre_wait_room it is taken. */
static void
no_wait_says_again_and_why(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;
    uint32_t next = 0;
    uint32_t agains = 0;

    db_model_init(&model, DB_KIT_KEYS_MAX);
    while (fill(kit, &model, &next)) {
        const struct gyre_error *error = gyre_last_error(kit->loop);
        struct gyre_stats stats = {.struct_size = sizeof(stats)};

        agains++;
        assert_int_equal(error->status, GYRE_AGAIN);
        assert_in_range(error->cause, GYRE_WAIT_PACE, GYRE_WAIT_MEMORY);
        assert_in_range(error->retry_ns, 1, 1000000000);
        assert_int_equal(error->maybe_done, 0);
        KIT_OK(kit, gyre_stats(kit->db, &stats));
        assert_int_equal(stats.write_agains, agains);
        assert_int_equal(stats.puts, next);
        KIT_OK(kit, gyre_wait_room(kit->db, DB_KIT_VALUE_MAX));
    }
    assert_true(agains > 0);
    db_kit_check(kit, kit->db, &model, NULL);
}

static void
note(struct gyre_op *op)
{
    *(uint32_t *)op->arg += 1;
}

/* Wait for the answer to `op`. */
static void
await_answer(struct db_kit *kit, struct gyre_op *op, const uint32_t *answers)
{
    const uint32_t before = *answers;
    uint32_t polls = 0;

    KIT_OK(kit, gyre_submit(op));
    while (*answers == before) {
        (void)gyre_loop_poll(kit->loop, 100);
        assert_true(polls++ < 10000000);
    }
    KIT_OK(kit, op->status);
}

/* Goal:   GYRE_OP_ROOM is answered when there is room, and not before; cancelled, it is gone.
 * Method: what it tells is true when it is told. The rest of that poll may take the room again (a
 *         flush adds a table to level 0); then it is asked again. */
static void
room_op_tells_when_there_is_room(void **state)
{
    struct db_kit *kit = *state;
    struct db_model model;
    uint32_t next = 0;
    uint32_t answers = 0;
    gyre_status status = GYRE_AGAIN;
    struct gyre_op op = GYRE_OP(.kind = GYRE_OP_ROOM, .db = kit->db, .bytes = DB_KIT_VALUE_MAX,
                                .done = note, .arg = &answers);

    db_model_init(&model, DB_KIT_KEYS_MAX);
    assert_true(fill(kit, &model, &next));
    KIT_OK(kit, gyre_submit(&op));
    KIT_OK(kit, gyre_cancel(&op));
    (void)gyre_loop_poll(kit->loop, 0);
    assert_int_equal(answers, 1);
    assert_int_equal(op.status, GYRE_CANCELED);
    if (fill(kit, &model, &next)) {
        for (uint32_t tries = 0; tries < 20 && status == GYRE_AGAIN; tries++) {
            await_answer(kit, &op, &answers);
            status = put_at_once(kit, next);
        }
        KIT_OK(kit, status);
    }
}

/* Goal:   credits are what can be written: that much is taken without AGAIN; they are 0 where
 *         nothing is. */
static void
credits_can_be_spent(void **state)
{
    struct db_kit *kit = *state;
    const uint64_t credits = gyre_credits(kit->db);
    const size_t entry = db_kit_key(0).size + DB_KIT_VALUE_MAX;
    uint64_t spent = 0;

    assert_true(credits > 0);
    for (uint32_t i = 0; spent + entry <= credits / 2; i++) {
        KIT_OK(kit, put_at_once(kit, i % 100));
        spent += entry;
    }
    db_kit_close(kit);
    KIT_OK(kit,
           gyre_open(kit->loop, kit->path, GYRE_OPTIONS(.flags = GYRE_OPEN_READ_ONLY), &kit->db));
    assert_int_equal(gyre_credits(kit->db), 0);
    assert_int_equal(gyre_credits(NULL), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(no_wait_says_again_and_why),
        TEST(room_op_tells_when_there_is_room),
        TEST(credits_can_be_spent),
    };

    return cmocka_run_group_tests_name("room", tests, NULL, NULL);
}
