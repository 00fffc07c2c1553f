/* test_no_allocation.c - after open the calls that a service makes all the time do not allocate:
 * the heap's count of allocations, which every one passes, does not move.
 *
 * Background work is off, so that what is counted is the calls' own. The first round of each warms
 * up what is kept for the next: stacks, queues, the chunk of a memtable. Opening an iterator and a
 * scan do allocate: their cursors, some fifteen small blocks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/db/db.h"
#include "tests/support/db_kit.h"

#define KEYS 3000u
#define ROUND 500u
#define ROWS_SIZE (1024u * 1024u)

struct rig {
    struct db_kit *kit;
    gyre_batch *batch;
    gyre_iterator *iterator;
    uint8_t *rows;
    struct gyre_op ops[16];
    uint32_t answered;
};

static int
setup_on(void **state, uint32_t io_kind)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct db_model model;

    assert_non_null(rig);
    rig->kit = db_kit_make(io_kind);
    db_kit_close(rig->kit);
    rig->kit->options.background_off = 1;
    rig->kit->options.memtable_size = 4u << 20; /* nothing here fills it */
    db_kit_open(rig->kit);
    db_model_init(&model, KEYS);
    for (uint32_t i = 0; i < KEYS; i++) {
        db_kit_put(rig->kit, &model, i);
    }
    KIT_OK(rig->kit, gyre_flush(rig->kit->db));
    rig->batch = gyre_batch_make();
    assert_non_null(rig->batch);
    KIT_OK(rig->kit, gyre_iterator_open(rig->kit->db, NULL, &rig->iterator));
    rig->rows = malloc(ROWS_SIZE);
    *state = rig;
    return rig->rows == NULL;
}

static int
setup(void **state)
{
    return setup_on(state, GYRE_IO_AUTO);
}

static int
setup_blocking(void **state)
{
    return setup_on(state, GYRE_IO_BLOCKING);
}

static int
teardown(void **state)
{
    struct rig *rig = *state;

    gyre_iterator_close(rig->iterator);
    gyre_batch_free(rig->batch);
    free(rig->rows);
    db_kit_free(rig->kit);
    free(rig);
    return 0;
}

/* ---- The calls ---- */

static void
get(struct rig *rig, uint32_t i)
{
    struct gyre_value value;
    const gyre_status status =
        gyre_get(rig->kit->db, NULL, db_kit_key(i % (KEYS + KEYS / 10)), &value);

    assert_true(status == GYRE_OK || status == GYRE_NOT_FOUND);
    if (status == GYRE_OK) {
        gyre_value_release(&value);
    }
}

/* Blocks are read from the device: the cache is too small for all of them. */
static void
get_far(struct rig *rig, uint32_t i)
{
    get(rig, i * 977u % KEYS);
}

static void
multi_get(struct rig *rig, uint32_t i)
{
    enum { COUNT = 4 };
    struct gyre_slice keys[COUNT];
    struct gyre_value values[COUNT];
    gyre_status statuses[COUNT];

    for (uint32_t j = 0; j < COUNT; j++) {
        keys[j] = db_kit_key((i * 31 + j * 700) % KEYS);
    }
    KIT_OK(rig->kit, gyre_multi_get(rig->kit->db, NULL, COUNT, keys, values, statuses));
    for (uint32_t j = 0; j < COUNT; j++) {
        assert_int_equal(statuses[j], GYRE_OK);
        gyre_value_release(&values[j]);
    }
}

static void
put_as(struct rig *rig, uint32_t i, uint32_t durability)
{
    KIT_OK(rig->kit, gyre_put(rig->kit->db, GYRE_WRITE_OPTIONS(.durability = durability),
                              db_kit_key(i % KEYS), gyre_str("a value")));
}

static void
put_buffered(struct rig *rig, uint32_t i)
{
    put_as(rig, i, GYRE_BUFFERED);
}

static void
put_durable(struct rig *rig, uint32_t i)
{
    put_as(rig, i, GYRE_DURABLE);
}

static void delete (struct rig *rig, uint32_t i)
{
    KIT_OK(rig->kit, gyre_delete(rig->kit->db, NULL, db_kit_key(KEYS + i % 10)));
}

static void
write_batch(struct rig *rig, uint32_t i)
{
    gyre_batch_clear(rig->batch);
    for (uint32_t j = 0; j < 4; j++) {
        KIT_OK(rig->kit, gyre_batch_put(rig->batch, db_kit_key((i + j) % KEYS), gyre_str("b")));
    }
    KIT_OK(rig->kit, gyre_write(rig->kit->db, NULL, rig->batch));
}

static void
step(struct rig *rig, uint32_t i)
{
    gyre_status status;

    if (i % 100 == 0) {
        KIT_OK(rig->kit, gyre_iterator_seek(rig->iterator, db_kit_key(i % KEYS)));
        return;
    }
    status = gyre_iterator_next(rig->iterator);
    assert_true(status == GYRE_OK);
}

static void
on_answer(struct gyre_op *op)
{
    struct rig *rig = op->arg;

    rig->answered++;
    assert_true(op->status == GYRE_OK);
    gyre_value_release(&op->value);
}

/* Sixteen at once: gets and puts, with deadlines, of which none passes. */
static void
submit(struct rig *rig, uint32_t i)
{
    static char keys[16][64];

    rig->answered = 0;
    for (uint32_t j = 0; j < 16; j++) {
        const struct gyre_slice key = db_kit_key((i * 16 + j * 131) % KEYS);

        memcpy(keys[j], key.data, key.size);
        rig->ops[j] = GYRE_OP(.kind = j % 2 == 0 ? GYRE_OP_GET : GYRE_OP_PUT, .db = rig->kit->db,
                              .key = gyre_slice(keys[j], key.size), .done = on_answer, .arg = rig,
                              .deadline_ns = gyre_now(rig->kit->loop) + 60000000000u);
        if (j % 2 == 1) {
            rig->ops[j].data = gyre_str("submitted");
        }
        KIT_OK(rig->kit, gyre_submit(&rig->ops[j]));
    }
    while (rig->answered < 16) {
        (void)gyre_loop_poll(rig->kit->loop, 200);
    }
}

static void
run(struct rig *rig, const char *name, void (*call)(struct rig *rig, uint32_t i), uint32_t rounds)
{
    const struct gy_heap *heap = &rig->kit->loop->io.heap;
    uint64_t before;

    for (uint32_t i = 0; i < rounds; i++) {
        call(rig, i);
    }
    before = heap->allocation_count;
    for (uint32_t i = 0; i < rounds; i++) {
        call(rig, i);
    }
    if (heap->allocation_count != before) {
        fail_msg("%s: %llu allocations in %u calls", name,
                 (unsigned long long)(heap->allocation_count - before), rounds);
    }
}

static void
run_all(void *arg)
{
    struct rig *rig = arg;

    run(rig, "get", get, ROUND);
    run(rig, "get of other blocks", get_far, ROUND);
    run(rig, "multi_get", multi_get, ROUND);
    run(rig, "BUFFERED put", put_buffered, ROUND);
    run(rig, "DURABLE put", put_durable, 50);
    run(rig, "delete", delete, ROUND);
    run(rig, "batch", write_batch, ROUND);
    run(rig, "iterator", step, ROUND);
}

/* Goal:   none from the host's own stack; */
static void
plain_calls_do_not_allocate(void **state)
{
    run_all(*state);
}

/* Goal:   none in a coroutine; */
static void
calls_in_a_coroutine_do_not_allocate(void **state)
{
    struct rig *rig = *state;

    KIT_OK(rig->kit, gyre_spawn(rig->kit->loop, run_all, rig, NULL));
    KIT_OK(rig->kit, gyre_run(rig->kit->loop));
}

/* Goal:   none by submitting, being called back and timers. */
static void
submitted_operations_do_not_allocate(void **state)
{
    struct rig *rig = *state;

    run(rig, "submit", submit, 100);
}

/* Goal:   a scan takes its cursors and what it reads ahead with, and nothing for a row. */
static void
rows_of_a_scan_do_not_allocate(void **state)
{
    enum { MANY = 500 };
    struct rig *rig = *state;
    const struct gy_heap *heap = &rig->kit->loop->io.heap;
    static struct gyre_row rows[MANY];
    uint64_t counts[2];

    for (uint32_t round = 0; round < 4; round++) { /* two to warm up */
        struct gyre_scan scan =
            GYRE_SCAN(.from = db_kit_key(7), .rows = rows, .rows_max = round % 2 == 0 ? 1 : MANY,
                      .buffer = rig->rows, .buffer_size = ROWS_SIZE);
        const uint64_t before = heap->allocation_count;

        KIT_OK(rig->kit, gyre_scan(rig->kit->db, &scan));
        assert_int_equal(scan.row_count, scan.rows_max);
        counts[round % 2] = heap->allocation_count - before;
    }
    assert_in_range(counts[0], 1, 32);
    assert_in_range(counts[1], counts[0], counts[0] + 8); /* reading ahead */
}

int
main(void)
{
#define ON_BOTH(name)                                       \
    cmocka_unit_test_setup_teardown(name, setup, teardown), \
        cmocka_unit_test_setup_teardown(name, setup_blocking, teardown)
    const struct CMUnitTest tests[] = {
        ON_BOTH(plain_calls_do_not_allocate),
        ON_BOTH(calls_in_a_coroutine_do_not_allocate),
        ON_BOTH(submitted_operations_do_not_allocate),
        ON_BOTH(rows_of_a_scan_do_not_allocate),
    };

    return cmocka_run_group_tests_name("no_allocation", tests, NULL, NULL);
}
