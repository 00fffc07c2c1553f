/* test_loop.c - the run loop and the I/O queue, on a world that the test holds in its hands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/base/bits.h"
#include "io/loop.h"
#include "tests/support/fake_world.h"

struct rig {
    struct fake_world fake;
    struct gy_loop loop;
};

static struct rig *
rig_make(uint32_t in_flight_max)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct gyre_error error;

    assert_non_null(rig);
    fake_world_init(&rig->fake, in_flight_max);
    assert_int_equal(
        gy_loop_init(&rig->loop, &(struct gy_loop_config){.world = &rig->fake.world}, &error), 0);
    return rig;
}

static void
rig_free(struct rig *rig)
{
    while (!gy_loop_is_idle(&rig->loop)) {
        (void)gy_loop_turn(&rig->loop, true, GY_NEVER);
    }
    gy_loop_fini(&rig->loop);
    assert_true(rig->fake.was_closed);
    assert_int_equal(rig->loop.heap.used, 0);
    free(rig);
}

static struct gy_req
req_of(enum gy_op op, enum gy_io_class klass)
{
    struct gy_req req;

    memset(&req, 0, sizeof(req));
    req.op = (uint8_t)op;
    req.klass = (uint8_t)klass;
    req.size = op == GY_OP_READ || op == GY_OP_WRITE ? GY_PAGE : 0;
    return req;
}

static uint32_t
logged(const struct rig *rig, uint32_t from, enum gy_io_class klass)
{
    uint32_t count = 0;

    for (uint32_t i = from; i < rig->fake.log_count; i++) {
        count += rig->fake.log[i] == klass;
    }
    return count;
}

/* Goal:   L2: with the device full the WAL still goes out at once, and of the rest the most
 *         important goes first when there is room again. */
static void
loop_wal_passes_a_full_device_and_classes_have_order(void **state)
{
    enum { COUNT = 7 };
    static const enum gy_io_class order[COUNT] = {GY_IO_SCRUB,    GY_IO_COMPACT_WRITE, GY_IO_FLUSH,
                                                  GY_IO_PREFETCH, GY_IO_READ,          GY_IO_META,
                                                  GY_IO_READ};
    struct rig *rig = rig_make(1);
    struct gy_req first = req_of(GY_OP_READ, GY_IO_SCRUB);
    struct gy_req wal = req_of(GY_OP_WRITE, GY_IO_WAL);
    struct gy_req reqs[COUNT];
    (void)state;

    rig->fake.is_held = true;
    gy_loop_submit(&rig->loop, &first);
    assert_int_equal(rig->fake.log_count, 1); /* handed over in submit, not at the end of a turn */
    for (uint32_t i = 0; i < COUNT; i++) {
        reqs[i] = req_of(GY_OP_READ, order[i]);
        gy_loop_submit(&rig->loop, &reqs[i]);
    }
    assert_int_equal(rig->fake.log_count, 1); /* L2: the cap */
    gy_loop_submit(&rig->loop, &wal);
    assert_int_equal(rig->fake.log_count, 2);
    assert_int_equal(rig->fake.log[1], GY_IO_WAL);

    rig->fake.is_held = false;
    rig->fake.answers_per_reap = 1;
    while (!gy_loop_is_idle(&rig->loop)) {
        (void)gy_loop_turn(&rig->loop, true, GY_NEVER);
    }
    for (uint32_t i = 3; i < rig->fake.log_count; i++) {
        assert_true(rig->fake.log[i] >= rig->fake.log[i - 1]);
    }
    assert_int_equal(rig->fake.log_count, COUNT + 2);
    assert_int_equal(rig->fake.pending_max, 2); /* one, and the WAL */
    rig_free(rig);
}

/* Goal:   no more requests of a class are with the world than its limit says; a limit of 0 and more
 *         requests than any limit still come to an end. */
static void
loop_holds_class_limits_and_never_deadlocks(void **state)
{
    enum { COUNT = 64 };
    struct rig *rig = rig_make(16);
    struct gy_req reqs[COUNT];
    (void)state;

    rig->loop.class_limit[GY_IO_SCRUB] = 0;
    rig->fake.is_held = true;
    for (uint32_t i = 0; i < COUNT; i++) {
        reqs[i] = req_of(GY_OP_WRITE, i % 2 == 0 ? GY_IO_COMPACT_WRITE : GY_IO_SCRUB);
        gy_loop_submit(&rig->loop, &reqs[i]);
    }
    assert_int_equal(logged(rig, 0, GY_IO_COMPACT_WRITE), 2);
    assert_int_equal(logged(rig, 0, GY_IO_SCRUB), 1);
    rig->fake.is_held = false;
    for (uint32_t turns = 0; !gy_loop_is_idle(&rig->loop); turns++) {
        assert_in_range(turns, 0, 2 * COUNT);
        (void)gy_loop_turn(&rig->loop, true, GY_NEVER);
        assert_in_range(rig->loop.in_flight_by_class[GY_IO_COMPACT_WRITE], 0, 2);
        assert_in_range(rig->loop.in_flight_by_class[GY_IO_SCRUB], 0, 1);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(reqs[i].done);
    }
    rig_free(rig);
}

/* Goal:   L2: a class with work gets GY_CLASS_SHARE_MIN of each GY_CLASS_ROUND submissions, however
 *         many reads there are; and the reads get the rest.
 * Method: one slot at the device, reads that are submitted again as soon as they are done, and a
 *         long queue of each background class. */
static void
loop_background_keeps_its_share_under_endless_reads(void **state)
{
    enum { READS = 8, OTHERS = 100, ROUNDS = 10 };
    static const enum gy_io_class classes[] = {GY_IO_META,          GY_IO_PREFETCH,
                                               GY_IO_FLUSH,         GY_IO_COMPACT_READ,
                                               GY_IO_COMPACT_WRITE, GY_IO_SCRUB};
    enum { CLASSES = sizeof(classes) / sizeof(classes[0]) };
    struct rig *rig = rig_make(1);
    struct gy_req reads[READS];
    struct gy_req *others = calloc(CLASSES * OTHERS, sizeof(*others));
    (void)state;

    rig->fake.answers_per_reap = 1;
    for (uint32_t i = 0; i < READS; i++) {
        reads[i] = req_of(GY_OP_READ, GY_IO_READ);
        gy_loop_submit(&rig->loop, &reads[i]);
    }
    for (uint32_t i = 0; i < CLASSES * OTHERS; i++) {
        others[i] = req_of(GY_OP_WRITE, classes[i % CLASSES]);
        gy_loop_submit(&rig->loop, &others[i]);
    }
    while (rig->fake.log_count < ROUNDS * GY_CLASS_ROUND) {
        (void)gy_loop_turn(&rig->loop, true, GY_NEVER);
        for (uint32_t i = 0; i < READS; i++) {
            if (reads[i].done) {
                gy_loop_submit(&rig->loop, &reads[i]);
            }
        }
    }
    for (uint32_t c = 0; c < CLASSES; c++) {
        assert_in_range(logged(rig, 0, classes[c]), GY_CLASS_SHARE_MIN * (ROUNDS - 1),
                        GY_CLASS_SHARE_MIN * (ROUNDS + 1));
    }
    assert_true(logged(rig, 0, GY_IO_READ) >=
                (GY_CLASS_ROUND - CLASSES * GY_CLASS_SHARE_MIN) * (ROUNDS - 1));
    rig_free(rig);
    free(others);
}

struct reader {
    struct gy_loop *loop;
    int32_t result;
    bool is_done;
};

static void
reader_run(void *arg)
{
    struct reader *reader = arg;
    struct gy_req req = req_of(GY_OP_READ, GY_IO_READ);

    gy_in_coroutine();
    reader->result = gy_loop_await(reader->loop, &req);
    reader->is_done = req.done;
}

/* Goal:   a coroutine sleeps until its own request is done, and gets that one's result. */
static void
loop_await_wakes_the_waiter_of_each_request(void **state)
{
    enum { COUNT = 10 };
    struct rig *rig = rig_make(4);
    struct reader readers[COUNT];
    (void)state;

    rig->fake.answers_per_reap = 1;
    for (uint32_t i = 0; i < COUNT; i++) {
        readers[i] = (struct reader){.loop = &rig->loop};
        assert_int_equal(gy_spawn(&rig->loop.sched, GY_CLASS_FOREGROUND, "reader", reader_run,
                                  &readers[i], NULL),
                         GYRE_OK);
    }
    assert_false(gy_loop_is_idle(&rig->loop));
    for (uint32_t turns = 0; !gy_loop_is_idle(&rig->loop); turns++) {
        assert_in_range(turns, 0, 100);
        (void)gy_loop_turn(&rig->loop, true, GY_NEVER);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(readers[i].is_done);
        assert_int_equal(readers[i].result, GY_PAGE);
    }
    rig_free(rig);
}

static void
spin_run(void *arg)
{
    struct rig *rig = arg;

    gy_in_coroutine();
    for (uint32_t i = 0; i < 3; i++) {
        rig->fake.now_ns += 2 * GY_TURN_BUDGET_NS; /* a turn's budget is used up */
        gy_await_yield(&rig->loop.sched);
    }
}

/* Goal:   L1: a turn does not wait for the device while somebody is runnable, but looks. */
static void
loop_turn_looks_and_does_not_wait_while_runnable(void **state)
{
    struct rig *rig = rig_make(4);
    struct gy_req req = req_of(GY_OP_READ, GY_IO_READ);
    (void)state;

    rig->fake.is_held = true;
    gy_loop_submit(&rig->loop, &req);
    assert_int_equal(gy_spawn(&rig->loop.sched, GY_CLASS_FOREGROUND, "spin", spin_run, rig, NULL),
                     GYRE_OK);
    assert_true(gy_loop_turn(&rig->loop, true, GY_NEVER)); /* would assert if it waited for ever */
    assert_int_equal(rig->fake.wait_count, 0);
    assert_int_equal(rig->fake.look_count, 1);
    rig->fake.is_held = false;
    rig_free(rig);
}

static void
sleep_run(void *arg)
{
    struct rig *rig = arg;

    gy_in_coroutine();
    gy_await_sleep(&rig->loop.sched, 5 * GY_NS_PER_MS);
}

/* Goal:   a wait ends at the caller's deadline or at the next timer, whichever is first; a loop
 *         with a timer is not idle, one with nothing returns at once. */
static void
loop_turn_waits_until_deadline_or_timer(void **state)
{
    struct rig *rig = rig_make(4);
    const uint64_t start_ns = rig->fake.now_ns;
    (void)state;

    assert_true(gy_loop_is_idle(&rig->loop));
    assert_false(gy_loop_turn(&rig->loop, true, GY_NEVER));
    assert_int_equal(rig->fake.now_ns, start_ns);
    assert_int_equal(gy_spawn(&rig->loop.sched, GY_CLASS_BACKGROUND, "sleep", sleep_run, rig, NULL),
                     GYRE_OK);
    (void)gy_loop_turn(&rig->loop, true, start_ns + GY_NS_PER_MS);
    assert_int_equal(rig->fake.now_ns, start_ns + GY_NS_PER_MS);
    assert_false(gy_loop_is_idle(&rig->loop));
    (void)gy_loop_turn(&rig->loop, true, GY_NEVER);
    assert_int_equal(rig->fake.now_ns, start_ns + 5 * GY_NS_PER_MS);
    (void)gy_loop_turn(&rig->loop, false, GY_NEVER);
    assert_true(gy_loop_is_idle(&rig->loop));
    assert_int_equal(rig->loop.stats.turn_count, 4);
    rig_free(rig);
}

static int32_t
answer_error(void *arg, struct gy_req *req)
{
    (void)arg;
    return req->op == GY_OP_READ ? -5 : (int32_t)req->size;
}

/* Goal:   counters by class: requests, bytes moved (none for failures), syncs, time in the queue
 *         and time at the device. */
static void
loop_counts_by_class(void **state)
{
    struct rig *rig = rig_make(1);
    struct gy_req write = req_of(GY_OP_WRITE, GY_IO_FLUSH);
    struct gy_req durable = req_of(GY_OP_WRITE, GY_IO_WAL);
    struct gy_req sync = req_of(GY_OP_SYNC, GY_IO_FLUSH);
    struct gy_req read = req_of(GY_OP_READ, GY_IO_READ);
    const struct gy_io_stats *stats = &rig->loop.stats;
    (void)state;

    rig->fake.answer = answer_error;
    rig->fake.answers_per_reap = 1;
    durable.flags = GY_IO_DSYNC;
    gy_loop_submit(&rig->loop, &write);
    gy_loop_submit(&rig->loop, &sync);
    gy_loop_submit(&rig->loop, &durable);
    gy_loop_submit(&rig->loop, &read);
    while (!gy_loop_is_idle(&rig->loop)) {
        (void)gy_loop_turn(&rig->loop, true, GY_NEVER);
    }
    assert_int_equal(read.result, -5);
    assert_int_equal(stats->count[GY_IO_FLUSH], 2);
    assert_int_equal(stats->count[GY_IO_WAL], 1);
    assert_int_equal(stats->bytes_written[GY_IO_FLUSH], GY_PAGE);
    assert_int_equal(stats->bytes_written[GY_IO_WAL], GY_PAGE);
    assert_int_equal(stats->bytes_read[GY_IO_READ], 0);
    assert_int_equal(stats->sync_count, 2);
    assert_int_equal(stats->queue_ns[GY_IO_WAL], 0); /* it never waited here */
    assert_true(stats->queue_ns[GY_IO_FLUSH] > 0);   /* the sync waited for the write */
    assert_true(stats->device_ns[GY_IO_WAL] > 0 && stats->device_ns[GY_IO_FLUSH] > 0);
    rig_free(rig);
}

/* Goal:   a loop opens on a real world, says which, and with too little memory fails with a text
 *         and nothing held. */
static void
loop_init_picks_a_world_or_says_why_not(void **state)
{
    struct gy_loop *loop = calloc(1, sizeof(*loop));
    struct gy_loop_config config = {.world_kind = GY_WORLD_SYNC, .co_count_max = 16};
    struct gyre_error error = {.status = GYRE_OK};
    uint32_t failures = 0;
    (void)state;

    assert_int_equal(gy_loop_init(loop, &config, &error), GYRE_OK);
    assert_string_equal(loop->world->info.name, "sync");
    assert_true(loop->world->info.reason[0] != '\0');
    gy_loop_fini(loop);
    config.world_kind = GY_WORLD_AUTO;
    assert_int_equal(gy_loop_init(loop, &config, &error), GYRE_OK);
    assert_int_equal(strcmp(loop->world->info.name, "sync") == 0,
                     loop->world->info.reason[0] != '\0');
    gy_loop_fini(loop);
    for (config.memory_limit = 1; gy_loop_init(loop, &config, &error) != GYRE_OK;
         config.memory_limit += 2048) {
        assert_int_equal(error.status, GYRE_NO_MEMORY);
        assert_non_null(strstr(error.text, "cannot open the loop"));
        assert_int_equal(loop->heap.used, 0);
        failures++;
    }
    gy_loop_fini(loop);
    assert_in_range(failures, 3, 10000);
    config.memory_limit = 0;
    config.world_config.stage_dir = "/a/path/that/is/much/too/long/for/the/place/where/staging/"
                                    "memory/is/kept/by/the/two/real/worlds";
    assert_int_equal(gy_loop_init(loop, &config, &error), GYRE_INVALID);
    assert_int_equal(loop->heap.used, 0);
    free(loop);
}

/* Goal:   a store is quiet when nobody reads or logs; a device that answers nothing is not, however
 *         often one looks.
 * Method: reads that are held for several looks. Background requests do not count. */
static void
loop_is_not_quiet_while_somebody_waits(void **state)
{
    struct rig *rig = rig_make(8);
    struct gy_req read = req_of(GY_OP_READ, GY_IO_READ);
    struct gy_req flush = req_of(GY_OP_WRITE, GY_IO_FLUSH);
    uint64_t count = 0;
    (void)state;

    assert_true(gy_loop_is_quiet(&rig->loop, &count));
    rig->fake.is_held = true;
    gy_loop_submit(&rig->loop, &flush);
    assert_true(gy_loop_is_quiet(&rig->loop, &count));
    gy_loop_submit(&rig->loop, &read);
    for (uint32_t i = 0; i < 3; i++) {
        assert_false(gy_loop_is_quiet(&rig->loop, &count));
    }
    rig->fake.is_held = false;
    while (!gy_loop_is_idle(&rig->loop)) {
        (void)gy_loop_turn(&rig->loop, true, GY_NEVER);
    }
    assert_false(gy_loop_is_quiet(&rig->loop, &count)); /* it was answered since */
    assert_true(gy_loop_is_quiet(&rig->loop, &count));
    rig_free(rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop_wal_passes_a_full_device_and_classes_have_order),
        cmocka_unit_test(loop_holds_class_limits_and_never_deadlocks),
        cmocka_unit_test(loop_background_keeps_its_share_under_endless_reads),
        cmocka_unit_test(loop_await_wakes_the_waiter_of_each_request),
        cmocka_unit_test(loop_turn_looks_and_does_not_wait_while_runnable),
        cmocka_unit_test(loop_turn_waits_until_deadline_or_timer),
        cmocka_unit_test(loop_counts_by_class),
        cmocka_unit_test(loop_is_not_quiet_while_somebody_waits),
        cmocka_unit_test(loop_init_picks_a_world_or_says_why_not),
    };

    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
