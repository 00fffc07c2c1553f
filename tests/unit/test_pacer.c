/* test_pacer.c - pacing on a clock that moves only in waits: prices, order, bounds, and the
 * closed loop with a tree that amplifies writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/lsm/pacer.h"
#include "io/base/bits.h"
#include "tests/support/fake_world.h"

#define WRITERS 16u
#define PUT_BYTES 1024u
#define WORK_BYTES (64u * GY_KIB)
#define WORK_NS (200 * GY_NS_PER_US) /* 64 KiB in 0.2 ms: about 330 MB/s of background work */

struct rig;

struct writer {
    struct rig *rig;
    uint64_t bytes; /* of one put */
    uint64_t puts;
    uint64_t wait_ns_max;
    uint32_t order; /* of its first admission, from 1 */
    bool has_ended;
};

struct rig {
    struct fake_world fake;
    struct gy_loop loop;
    struct gy_pacer pacer;
    struct writer writers[WRITERS];
    uint32_t writer_count;
    uint64_t put_limit; /* of each writer; 0 = none */
    uint64_t think_ns;  /* between two puts */
    uint32_t order;
    bool stop;
    /* The closed loop: debt rises by `amplification` times what is written, pressure follows it. */
    uint64_t amplification;
    uint64_t debt;
    uint64_t debt_max;
    uint64_t soft;
    uint64_t hard;
    uint64_t written;
    uint64_t worked;
};

static void
follow(struct rig *rig)
{
    uint64_t pressure = 0;

    if (rig->hard == 0) {
        return;
    }
    if (rig->debt > rig->soft) {
        pressure = gy_min_u64((rig->debt - rig->soft) * 1024 / (rig->hard - rig->soft), 1024);
    }
    rig->debt_max = gy_max_u64(rig->debt_max, rig->debt);
    gy_pacer_set_pressure(&rig->pacer, (uint32_t)pressure);
}

static void
writer_main(void *arg)
{
    struct writer *writer = arg;
    struct rig *rig = writer->rig;

    gy_in_coroutine();
    while (!rig->stop && (rig->put_limit == 0 || writer->puts < rig->put_limit)) {
        const uint64_t start_ns = gy_loop_now(&rig->loop);

        assert_int_equal(gy_pacer_await_admit(&rig->pacer, writer->bytes), GYRE_OK);
        writer->wait_ns_max = gy_max_u64(writer->wait_ns_max, gy_loop_now(&rig->loop) - start_ns);
        if (writer->order == 0) {
            writer->order = ++rig->order;
        }
        writer->puts++;
        rig->written += writer->bytes;
        rig->debt += rig->amplification * writer->bytes;
        follow(rig);
        if (rig->think_ns > 0) {
            gy_await_sleep(&rig->loop.sched, rig->think_ns);
        }
    }
    writer->has_ended = true;
}

static void
worker_main(void *arg)
{
    struct rig *rig = arg;

    gy_in_coroutine();
    while (!rig->stop) {
        gy_await_sleep(&rig->loop.sched, WORK_NS);
        if (rig->hard == 0 || rig->debt >= WORK_BYTES) {
            rig->debt -= gy_min_u64(rig->debt, WORK_BYTES);
            rig->worked += WORK_BYTES;
            gy_pacer_await_spend(&rig->pacer, WORK_BYTES);
            follow(rig);
        }
    }
}

static struct rig *
rig_make(void)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct gyre_error error;

    fake_world_init(&rig->fake, 8);
    assert_int_equal(
        gy_loop_init(&rig->loop, &(struct gy_loop_config){.world = &rig->fake.world}, &error), 0);
    gy_pacer_init(&rig->pacer, &rig->loop);
    return rig;
}

static void
run_for(struct rig *rig, uint64_t ns)
{
    const uint64_t end_ns = rig->fake.now_ns + ns;

    while (rig->fake.now_ns < end_ns) {
        (void)gy_loop_turn(&rig->loop, true, end_ns);
    }
}

static void
rig_free(struct rig *rig)
{
    rig->stop = true;
    gy_pacer_close(&rig->pacer);
    while (!gy_loop_is_idle(&rig->loop)) {
        (void)gy_loop_turn(&rig->loop, true, GY_NEVER);
    }
    assert_true(gy_list_is_empty(&rig->pacer.writers));
    gy_loop_fini(&rig->loop);
    free(rig);
}

static void
start_writers(struct rig *rig, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct writer *writer = &rig->writers[rig->writer_count++];

        writer->rig = rig;
        writer->bytes = PUT_BYTES;
        assert_int_equal(
            gy_spawn(&rig->loop.sched, GY_CLASS_FOREGROUND, "writer", writer_main, writer, NULL),
            GYRE_OK);
    }
}

static void
start_worker(struct rig *rig)
{
    assert_int_equal(
        gy_spawn(&rig->loop.sched, GY_CLASS_BACKGROUND, "worker", worker_main, rig, NULL), GYRE_OK);
}

/* Goal:   without pressure nobody waits (G2), whatever was written.
 * Method: many puts, no work at all; the clock stands still. */
static void
pacer_never_waits_without_pressure(void **state)
{
    struct rig *rig = rig_make();
    const uint64_t start_ns = rig->fake.now_ns;
    (void)state;

    rig->put_limit = 10000;
    start_writers(rig, WRITERS);
    while (!gy_loop_is_idle(&rig->loop)) {
        (void)gy_loop_turn(&rig->loop, false, 0);
    }
    assert_int_equal(rig->fake.now_ns, start_ns);
    assert_int_equal(rig->written, 10000ull * WRITERS * PUT_BYTES);
    assert_int_equal(rig->pacer.stall_count, 0);
    rig_free(rig);
}

/* Goal:   the price rises from 1 to its maximum and never falls as pressure grows. */
static void
pacer_price_grows_with_pressure(void **state)
{
    struct rig *rig = rig_make();
    uint64_t price = 0;
    (void)state;

    assert_int_equal(gy_pacer_price(&rig->pacer), 0);
    for (uint32_t pressure = 1; pressure <= 1024; pressure++) {
        gy_pacer_set_pressure(&rig->pacer, pressure);
        assert_true(gy_pacer_price(&rig->pacer) >= price);
        price = gy_pacer_price(&rig->pacer);
        if (pressure == 1) {
            assert_int_equal(price, 1024);
        }
    }
    assert_int_equal(price, GY_PACER_PRICE_MAX * 1024);
    gy_pacer_set_pressure(&rig->pacer, 5000);
    assert_int_equal(gy_pacer_price(&rig->pacer), price);
    rig_free(rig);
}

/* Goal:   at a constant pressure writers get what work buys, no more and no less, all of them
 *         alike, in small even waits.
 * Method: 16 writers with hardly a pause beside a steady worker. */
static void
pacer_shares_bought_bytes_evenly(void **state)
{
    static const uint32_t pressures[] = {1, 100, 512, 1024};
    (void)state;

    for (uint32_t i = 0; i < 4; i++) {
        struct rig *rig = rig_make();
        uint64_t fair_ns;
        uint64_t bought;
        uint64_t price;
        uint64_t least = UINT64_MAX;
        uint64_t most = 0;

        gy_pacer_set_pressure(&rig->pacer, pressures[i]);
        price = gy_pacer_price(&rig->pacer);
        rig->think_ns = 100; /* a put suspends for its commit */
        start_writers(rig, WRITERS);
        start_worker(rig);
        run_for(rig, GY_NS_PER_S);
        bought = rig->worked * 1024 / price;
        assert_in_range(rig->written, bought - bought / 50, bought + WRITERS * PUT_BYTES);
        /* A round of all writers takes as long as its bytes are being earned, and a step of the
         * worker. */
        fair_ns = WRITERS * PUT_BYTES * price / 1024 * WORK_NS / WORK_BYTES + 2 * WORK_NS;
        for (uint32_t w = 0; w < WRITERS; w++) {
            assert_true(rig->writers[w].wait_ns_max <= fair_ns);
            least = gy_min_u64(least, rig->writers[w].puts);
            most = gy_max_u64(most, rig->writers[w].puts);
        }
        assert_true(most - least <=
                    1 + most / 5); /* while credit is left over, who asks first may take it */
        rig_free(rig);
    }
}

/* Goal:   when work stops, a wait ends at its bound all the same, and what was let through on
 *         time-outs is not held against writers for ever.
 * Method: full pressure, no worker for 2 s, then one. */
static void
pacer_bounds_a_wait_when_work_stops(void **state)
{
    struct rig *rig = rig_make();
    uint64_t stalled;
    (void)state;

    gy_pacer_set_pressure(&rig->pacer, 1024);
    start_writers(rig, WRITERS);
    run_for(rig, 2 * GY_NS_PER_S);
    for (uint32_t i = 0; i < WRITERS; i++) {
        assert_in_range(rig->writers[i].puts, 40, 60);
        assert_in_range(rig->writers[i].wait_ns_max, GY_PACER_WAIT_NS_MAX,
                        GY_PACER_WAIT_NS_MAX + GY_NS_PER_MS);
    }
    assert_in_range(rig->pacer.stall_ns_max, GY_PACER_WAIT_NS_MAX,
                    GY_PACER_WAIT_NS_MAX + GY_NS_PER_MS);
    assert_true(rig->pacer.credit_bytes >= -GY_PACER_CREDIT_MAX);
    stalled = rig->written;
    start_worker(rig);
    run_for(rig, GY_NS_PER_S);
    /* After at most the price of GY_PACER_CREDIT_MAX it goes on at the full rate. */
    assert_true(rig->written - stalled + GY_PACER_CREDIT_MAX + GY_MIB > rig->worked / 16);
    assert_true(rig->written - stalled > 10 * GY_MIB);
    rig_free(rig);
}

/* Goal:   writers go in the order in which they came; one that comes later cannot slip in.
 * Method: writers of different sizes wait; credit comes bit by bit. */
static void
pacer_admits_in_order(void **state)
{
    struct rig *rig = rig_make();
    (void)state;

    gy_pacer_set_pressure(&rig->pacer, 1024);
    rig->put_limit = 1;
    start_writers(rig, WRITERS);
    for (uint32_t i = 0; i < WRITERS; i++) {
        rig->writers[i].bytes = i % 3 == 0 ? 100000 : 10;
    }
    run_for(rig, GY_NS_PER_MS);
    assert_false(gy_pacer_try_admit(&rig->pacer, 1)); /* others were here first */
    start_worker(rig);
    for (uint32_t i = 0; i < 50; i++) {
        assert_true(rig->order == WRITERS || !gy_pacer_try_admit(&rig->pacer, 1));
        run_for(rig, GY_NS_PER_MS / 2);
    }
    run_for(rig, 100 * GY_NS_PER_MS);
    for (uint32_t i = 0; i < WRITERS; i++) {
        assert_int_equal(rig->writers[i].order, i + 1);
    }
    rig_free(rig);
}

/* Goal:   pressure that ends, and closing, let all waiters go at once. */
static void
pacer_lets_all_go_when_pressure_ends(void **state)
{
    (void)state;

    for (uint32_t round = 0; round < 2; round++) {
        struct rig *rig = rig_make();

        gy_pacer_set_pressure(&rig->pacer, 700);
        rig->put_limit = 1;
        start_writers(rig, WRITERS);
        run_for(rig, GY_NS_PER_MS);
        assert_int_equal(rig->written, 0);
        if (round == 0) {
            gy_pacer_set_pressure(&rig->pacer, 0);
        } else {
            gy_pacer_close(&rig->pacer);
        }
        (void)gy_loop_turn(&rig->loop, false, 0);
        assert_int_equal(rig->written, WRITERS * PUT_BYTES);
        assert_int_equal(rig->pacer.stall_count, WRITERS);
        assert_in_range(rig->pacer.stall_ns_max, GY_NS_PER_MS, 2 * GY_NS_PER_MS);
        assert_in_range(rig->pacer.stall_ns, rig->pacer.stall_ns_max,
                        WRITERS * rig->pacer.stall_ns_max);
        rig_free(rig);
    }
}

/* Goal:   idle writers save up no burst (G4).
 * Method: a second of work with nobody there, then one greedy writer against the clock. */
static void
pacer_saves_up_no_burst(void **state)
{
    struct rig *rig = rig_make();
    uint64_t free_bytes = 0;
    (void)state;

    gy_pacer_set_pressure(&rig->pacer, 512);
    start_worker(rig);
    run_for(rig, GY_NS_PER_S);
    while (gy_pacer_try_admit(&rig->pacer, PUT_BYTES)) {
        free_bytes += PUT_BYTES;
        assert_true(free_bytes <= GY_PACER_CREDIT_MAX + PUT_BYTES);
    }
    assert_true(free_bytes > 0);
    rig_free(rig);
}

/* Goal:   who was admitted and wrote nothing gives its credit back: none leaks, and who waits
 *         for it goes. */
static void
pacer_takes_back_what_was_not_used(void **state)
{
    struct rig *rig = rig_make();
    uint64_t credits;
    (void)state;

    gy_pacer_set_pressure(&rig->pacer, 512);
    start_worker(rig);
    run_for(rig, GY_NS_PER_S);
    rig->stop = true; /* no more work: the refund alone lets the writer go */
    run_for(rig, 10 * GY_NS_PER_MS);
    rig->stop = false;
    credits = gy_pacer_credits(&rig->pacer);
    assert_in_range(credits, 1, GY_PACER_CREDIT_MAX);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_true(gy_pacer_try_admit(&rig->pacer, credits));
        assert_int_equal(gy_pacer_credits(&rig->pacer), 0);
        gy_pacer_refund(&rig->pacer, credits);
        assert_int_equal(gy_pacer_credits(&rig->pacer), credits);
    }
    assert_true(gy_pacer_try_admit(&rig->pacer, credits));
    rig->put_limit = 1;
    start_writers(rig, 1);
    run_for(rig, GY_NS_PER_MS);
    assert_int_equal(rig->written, 0);
    gy_pacer_refund(&rig->pacer, credits);
    (void)gy_loop_turn(&rig->loop, false, 0);
    assert_int_equal(rig->written, PUT_BYTES);
    rig_free(rig);
}

struct spender {
    struct rig *rig;
    uint64_t bytes;
    bool is_alone; /* nobody reads or logs meanwhile */
    uint64_t end_ns;
};

static void
spender_main(void *arg)
{
    struct spender *spender = arg;

    gy_in_coroutine();
    for (uint64_t done = 0; done < spender->bytes; done += WORK_BYTES) {
        spender->rig->loop.stats.count[GY_IO_READ] += spender->is_alone ? 0 : 1;
        gy_pacer_await_spend(&spender->rig->pacer, WORK_BYTES);
    }
    spender->end_ns = gy_loop_now(&spender->rig->loop);
}

/* Goal:   background keeps to its rate beside users while no writer waits for it, and to none
 *         when one does, or when it has the device to itself (G3).
 * Method: 100 MiB at 50 MiB/s without pressure; the same with; pressure that comes up half-way;
 *         no users. */
static void
pacer_holds_background_to_its_rate_only_without_pressure(void **state)
{
    struct rig *rig = rig_make();
    struct spender spender = {.rig = rig, .bytes = 100 * GY_MIB};
    uint64_t start_ns = rig->fake.now_ns;
    (void)state;

    rig->pacer.is_paced = true;
    gy_goal_init(&rig->loop.goal, 0, 50 * GY_MIB);
    assert_int_equal(
        gy_spawn(&rig->loop.sched, GY_CLASS_BACKGROUND, "spender", spender_main, &spender, NULL),
        GYRE_OK);
    run_for(rig, 3 * GY_NS_PER_S);
    assert_in_range(spender.end_ns - start_ns, 1950 * GY_NS_PER_MS, 2050 * GY_NS_PER_MS);

    gy_pacer_set_pressure(&rig->pacer, 1);
    start_ns = rig->fake.now_ns;
    assert_int_equal(
        gy_spawn(&rig->loop.sched, GY_CLASS_BACKGROUND, "spender", spender_main, &spender, NULL),
        GYRE_OK);
    run_for(rig, GY_NS_PER_MS);
    assert_int_equal(spender.end_ns, start_ns);

    gy_pacer_set_pressure(&rig->pacer, 0);
    start_ns = rig->fake.now_ns;
    assert_int_equal(
        gy_spawn(&rig->loop.sched, GY_CLASS_BACKGROUND, "spender", spender_main, &spender, NULL),
        GYRE_OK);
    run_for(rig, GY_NS_PER_S);
    gy_pacer_set_pressure(&rig->pacer, 1);
    run_for(rig, 20 * GY_NS_PER_MS);
    assert_in_range(spender.end_ns - start_ns, GY_NS_PER_S, GY_NS_PER_S + 10 * GY_NS_PER_MS);
    assert_int_equal(rig->pacer.spent_bytes, 300 * GY_MIB);

    gy_pacer_set_pressure(&rig->pacer, 0);
    start_ns = rig->fake.now_ns;
    spender.is_alone = true;
    assert_int_equal(
        gy_spawn(&rig->loop.sched, GY_CLASS_BACKGROUND, "spender", spender_main, &spender, NULL),
        GYRE_OK);
    run_for(rig, 50 * GY_NS_PER_MS);
    assert_in_range(spender.end_ns - start_ns, 0, 20 * GY_NS_PER_MS);
    rig_free(rig);
}

/* Goal:   with a tree that amplifies writes, whatever the factor, the loop settles: debt stays
 *         below its hard bound, work never idles, and waits stay small all the way.
 * Method: writers faster than the tree can take, pressure from debt, three seconds. */
static void
pacer_settles_at_any_amplification(void **state)
{
    static const uint64_t factors[] = {2, 5, 10, 14};
    (void)state;

    for (uint32_t i = 0; i < 4; i++) {
        struct rig *rig = rig_make();
        uint64_t wait_ns_max = 0;
        uint64_t written;

        rig->amplification = factors[i];
        rig->soft = 16 * GY_MIB;
        rig->hard = 128 * GY_MIB;
        rig->think_ns = 20 * GY_NS_PER_US;
        start_writers(rig, WRITERS);
        start_worker(rig);
        run_for(rig, 2 * GY_NS_PER_S);
        written = rig->written;
        run_for(rig, GY_NS_PER_S);
        written = (rig->written - written) * factors[i];
        for (uint32_t w = 0; w < WRITERS; w++) {
            wait_ns_max = gy_max_u64(wait_ns_max, rig->writers[w].wait_ns_max);
        }
        assert_true(rig->debt_max < rig->hard);
        assert_true(rig->debt > rig->soft / 2);
        assert_true(wait_ns_max < 5 * GY_NS_PER_MS);
        /* In the last second writers used what the worker gave: 64 KiB in 0.2 ms. */
        assert_in_range(written, 300 * GY_MIB, 345 * GY_MIB);
        rig_free(rig);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pacer_never_waits_without_pressure),
        cmocka_unit_test(pacer_price_grows_with_pressure),
        cmocka_unit_test(pacer_shares_bought_bytes_evenly),
        cmocka_unit_test(pacer_bounds_a_wait_when_work_stops),
        cmocka_unit_test(pacer_admits_in_order),
        cmocka_unit_test(pacer_lets_all_go_when_pressure_ends),
        cmocka_unit_test(pacer_saves_up_no_burst),
        cmocka_unit_test(pacer_takes_back_what_was_not_used),
        cmocka_unit_test(pacer_holds_background_to_its_rate_only_without_pressure),
        cmocka_unit_test(pacer_settles_at_any_amplification),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
