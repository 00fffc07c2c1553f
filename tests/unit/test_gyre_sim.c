/* test_gyre_sim.c - the public simulator (gyre/sim.h): machines, crashes, faults, the explorer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gyre/gyre.h"
#include "gyre/sim.h"

#define SMALL_STORE(open_flags)                                                                \
    GYRE_OPTIONS(.flags = (open_flags), .memtable_size = 64 << 10, .wal_slot_size = 128 << 10, \
                 .wal_buffer_size = 256 << 10)

static gyre_sim *
make(uint64_t seed)
{
    gyre_sim *sim = NULL;

    assert_int_equal(gyre_sim_make(GYRE_SIM_OPTIONS(.seed = seed), &sim), GYRE_OK);
    return sim;
}

static gyre_loop *
start(gyre_sim *sim)
{
    gyre_loop *loop = NULL;

    assert_int_equal(gyre_sim_open_loop(sim, NULL, &loop, NULL), GYRE_OK);
    assert_ptr_equal(gyre_sim_of(loop), sim);
    return loop;
}

static gyre_db *
open_store(gyre_loop *loop, uint32_t flags)
{
    gyre_db *db = NULL;

    assert_int_equal(gyre_open(loop, "/db", SMALL_STORE(flags), &db), GYRE_OK);
    return db;
}

/* A store with keys up to first + count - 1, closed again. */
static void
fill_more(gyre_sim *sim, uint32_t first, uint32_t count)
{
    gyre_loop *loop = start(sim);
    gyre_db *db = open_store(loop, GYRE_OPEN_CREATE);

    for (uint32_t i = first; i < first + count; i++) {
        assert_int_equal(gyre_put(db, NULL, gyre_slice(&i, sizeof(i)), gyre_str("value")), GYRE_OK);
    }
    assert_int_equal(gyre_close(db), GYRE_OK);
    assert_int_equal(gyre_loop_close(loop), GYRE_OK);
}

static void
fill(gyre_sim *sim, uint32_t count)
{
    fill_more(sim, 0, count);
}

/* How many of these keys are there, from the first on; none behind a missing one. */
static uint32_t
count_keys(gyre_sim *sim, uint32_t most)
{
    gyre_loop *loop = start(sim);
    gyre_db *db = NULL;
    const gyre_status status = gyre_open(loop, "/db", SMALL_STORE(0), &db);
    uint32_t count = 0;

    if (status == GYRE_OK) {
        for (uint32_t i = 0; i < most; i++) {
            struct gyre_value value;

            if (gyre_get(db, NULL, gyre_slice(&i, sizeof(i)), &value) == GYRE_OK) {
                assert_int_equal(count, i);
                gyre_value_release(&value);
                count++;
            }
        }
        assert_int_equal(gyre_close(db), GYRE_OK);
    } else {
        assert_int_equal(status, GYRE_NOT_FOUND);
    }
    assert_int_equal(gyre_loop_close(loop), GYRE_OK);
    return count;
}

/* Goal:   one seed gives one run, another seed another; what was closed is there; time and events
 *         go on from loop to loop. */
static void
gyre_sim_run_is_a_function_of_its_seed(void **state)
{
    uint64_t hashes[3];
    (void)state;

    for (uint32_t i = 0; i < 3; i++) {
        gyre_sim *sim = make(i == 2 ? 8 : 7);
        uint64_t events;
        uint64_t now;

        fill(sim, 50);
        events = gyre_sim_event_count(sim);
        now = gyre_sim_now_ns(sim);
        assert_true(events > 100);
        assert_int_equal(count_keys(sim, 50), 50);
        assert_true(gyre_sim_event_count(sim) > events && gyre_sim_now_ns(sim) > now);
        assert_string_equal(gyre_sim_violation(sim), "");
        hashes[i] = gyre_sim_trace_hash(sim);
        gyre_sim_free(sim);
    }
    assert_int_equal(hashes[0], hashes[1]);
    assert_int_not_equal(hashes[0], hashes[2]);
    gyre_sim_free(NULL);
}

struct crashes {
    uint32_t answered;
    uint32_t tried;
};

static void
crash_here(gyre_sim *sim, uint64_t event, void *arg)
{
    struct crashes *crashes = arg;

    if (event % 7 != 0) {
        return;
    }
    for (uint32_t mode = GYRE_SIM_CRASH_NONE; mode <= GYRE_SIM_CRASH_KILL; mode++) {
        gyre_sim *copy = NULL;

        assert_int_equal(gyre_sim_crash(sim, (enum gyre_sim_crash_mode)mode, event, &copy),
                         GYRE_OK);
        assert_true(count_keys(copy, 21) >= crashes->answered);
        gyre_sim_free(copy);
        crashes->tried++;
    }
}

static void
take_copy(gyre_sim *sim, uint64_t event, void *arg)
{
    uint64_t *seen = arg;
    gyre_sim *copy = NULL;

    (*seen)++;
    assert_int_equal(event, *seen);
    assert_int_equal(gyre_sim_crash(sim, GYRE_SIM_CRASH_RANDOM, event, &copy), GYRE_OK);
    gyre_sim_free(copy);
}

/* Goal:   what was answered is in every crash that is taken while the program runs; the program
 *         does not notice. */
static void
gyre_sim_keeps_what_was_answered_in_every_crash(void **state)
{
    struct crashes crashes = {0};
    uint64_t seen = 0;
    gyre_sim *sim = make(3);
    gyre_loop *loop = start(sim);
    gyre_db *db;

    (void)state;
    gyre_sim_set_hook(sim, crash_here, &crashes);
    gyre_sim_set_event_hook(sim, take_copy, &seen);
    db = open_store(loop, GYRE_OPEN_CREATE);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(gyre_put(db, NULL, gyre_slice(&i, sizeof(i)), gyre_str("v")), GYRE_OK);
        crashes.answered = i + 1;
    }
    assert_int_equal(gyre_close(db), GYRE_OK);
    assert_int_equal(gyre_loop_close(loop), GYRE_OK);
    assert_true(crashes.tried > 40);
    assert_int_equal(seen, gyre_sim_event_count(sim));
    gyre_sim_free(sim);
}

/* Goal:   at the event where it is told to, the machine stops; the program goes home with errors,
 *         and the crash found then has what was answered. */
static void
gyre_sim_stops_at_an_event(void **state)
{
    (void)state;
    for (uint64_t stop = 150; stop < 400; stop += 17) {
        gyre_sim *sim = make(4);
        gyre_sim *copy = NULL;
        gyre_loop *loop = start(sim);
        gyre_db *db = open_store(loop, GYRE_OPEN_CREATE);
        uint32_t answered = 0;

        gyre_sim_stop_at(sim, stop);
        while (answered < 500 && gyre_put(db, NULL, gyre_slice(&answered, sizeof(answered)),
                                          gyre_str("v")) == GYRE_OK) {
            answered++;
        }
        assert_in_range(answered, 1, 499);
        (void)gyre_close(db); /* says that something could not be made durable */
        assert_int_equal(gyre_loop_close(loop), GYRE_OK);
        assert_int_equal(gyre_sim_crash(sim, GYRE_SIM_CRASH_RANDOM, stop, &copy), GYRE_OK);
        assert_in_range(count_keys(copy, 501), answered, answered + 1);
        gyre_sim_free(copy);
        /* The machine works again, and what was in flight then does not happen later. */
        gyre_sim_stop_at(sim, 0);
        assert_in_range(count_keys(sim, 501), answered, answered + 1);
        fill_more(sim, answered, 30);
        assert_int_equal(gyre_sim_crash(sim, GYRE_SIM_CRASH_ALL, stop, &copy), GYRE_OK);
        gyre_sim_free(sim); /* copies live on */
        assert_int_equal(count_keys(copy, answered + 30), answered + 30);
        gyre_sim_free(copy);
    }
}

static struct gyre_sim_fault
fault_of(enum gyre_sim_fault_kind kind, uint32_t ops, int32_t os_errno)
{
    return (struct gyre_sim_fault){.struct_size = sizeof(struct gyre_sim_fault),
                                   .kind = (uint32_t)kind,
                                   .ops = ops,
                                   .ppm = 1000000,
                                   .os_errno = os_errno};
}

/* Goal:   a fault strikes what it is for, is heard of, and is over when it is taken away. */
static void
gyre_sim_faults_strike_and_stop(void **state)
{
    gyre_sim *sim = make(5);
    struct gyre_sim_fault fault = fault_of(GYRE_SIM_ERROR, GYRE_SIM_OP_WRITE, ENOSPC);
    gyre_loop *loop;
    gyre_db *db;

    (void)state;
    fill(sim, 10);
    loop = start(sim);
    db = open_store(loop, 0);
    assert_int_equal(gyre_sim_set_faults(sim, &fault, 1), GYRE_OK);
    assert_int_not_equal(gyre_put(db, NULL, gyre_str("a"), gyre_str("b")), GYRE_OK);
    assert_true(gyre_sim_strike_count(sim, 0) > 0);
    assert_int_equal(gyre_sim_set_faults(sim, NULL, 0), GYRE_OK);
    (void)gyre_close(db);
    assert_int_equal(gyre_loop_close(loop), GYRE_OK);
    assert_int_equal(count_keys(sim, 10), 10);

    fault = fault_of(GYRE_SIM_ZERO, GYRE_SIM_OP_READ, 0);
    memcpy(fault.name, "CURRENT", sizeof("CURRENT"));
    assert_int_equal(gyre_sim_set_faults(sim, &fault, 1), GYRE_OK);
    loop = start(sim);
    assert_int_equal(gyre_open(loop, "/db", SMALL_STORE(0), &db), GYRE_CORRUPT);
    assert_string_equal(gyre_last_error(loop)->file, "CURRENT");
    assert_int_equal(gyre_loop_close(loop), GYRE_OK);
    assert_int_equal(gyre_sim_set_faults(sim, NULL, 0), GYRE_OK);
    assert_int_equal(count_keys(sim, 10), 10);

    fault.kind = 99;
    assert_int_equal(gyre_sim_set_faults(sim, &fault, 1), GYRE_INVALID);
    fault = fault_of(GYRE_SIM_FLIP, 0, 0);
    fault.nth = 1; /* and ppm */
    assert_int_equal(gyre_sim_set_faults(sim, &fault, 1), GYRE_INVALID);
    fault.struct_size = 0;
    assert_int_equal(gyre_sim_set_faults(sim, &fault, 1), GYRE_INVALID);
    assert_int_equal(gyre_sim_set_faults(sim, &fault, GYRE_SIM_FAULTS_MAX + 1), GYRE_INVALID);
    gyre_sim_free(sim);
}

/* Goal:   P11 through the public API: every allocation from opening the loop to closing the store
 *         may fail, and the store is as it was. */
static void
gyre_sim_each_allocation_may_fail(void **state)
{
    gyre_sim *sim = make(6);
    bool is_reached = true;

    (void)state;
    fill(sim, 5);
    for (uint64_t n = 1; is_reached; n++) {
        gyre_loop *loop = NULL;
        gyre_db *db = NULL;
        gyre_status status;

        gyre_sim_fail_allocation(sim, n);
        status = gyre_sim_open_loop(sim, NULL, &loop, NULL);
        if (status == GYRE_OK) {
            status = gyre_open(loop, "/db", SMALL_STORE(0), &db);
            if (status == GYRE_OK) {
                assert_int_equal(gyre_close(db), GYRE_OK);
            }
            is_reached = gyre_sim_allocation_count(sim) >= n;
            assert_int_equal(gyre_loop_close(loop), GYRE_OK);
        }
        assert_true(status == GYRE_OK || status == GYRE_NO_MEMORY);
        assert_true(n < 5000);
    }
    assert_int_equal(count_keys(sim, 5), 5);
    gyre_sim_free(sim);
}

static void
count_name(void *arg, const char *name, bool is_regular)
{
    (void)is_regular;
    *(uint32_t *)arg += strcmp(name, "x") == 0;
}

/* Goal:   files can be looked at and changed from outside while no loop is open. */
static void
gyre_sim_files_can_be_reached(void **state)
{
    gyre_sim *sim = make(1);
    gyre_loop *loop;
    uint64_t size = 0;
    size_t got = 0;
    uint32_t count = 0;
    char bytes[8];

    (void)state;
    assert_int_equal(gyre_sim_poke(sim, "/x", 2, "abc", 3), GYRE_OK);
    assert_int_equal(gyre_sim_file_size(sim, "x", &size), GYRE_OK);
    assert_int_equal(size, 5);
    assert_int_equal(gyre_sim_peek(sim, "/x", 1, bytes, sizeof(bytes), &got), GYRE_OK);
    assert_int_equal(got, 4);
    assert_memory_equal(bytes, "\0abc", 4);
    assert_int_equal(gyre_sim_list(sim, "/", count_name, &count), GYRE_OK);
    assert_int_equal(count, 1);
    assert_int_equal(gyre_sim_used_bytes(sim), 4096);
    assert_int_equal(gyre_sim_resize(sim, "/x", 3), GYRE_OK);
    gyre_sim_set_capacity(sim, 8192);
    assert_int_equal(gyre_sim_poke(sim, "/y", 0, bytes, 8), GYRE_OK);
    assert_int_equal(gyre_sim_poke(sim, "/z", 0, bytes, 8), GYRE_NO_SPACE);
    assert_int_equal(gyre_sim_peek(sim, "/none", 0, bytes, 1, &got), GYRE_NOT_FOUND);
    assert_int_equal(gyre_sim_peek(sim, "/", 0, bytes, 1, &got), GYRE_INVALID);
    assert_int_equal(gyre_sim_remove(sim, "/x"), GYRE_OK);
    assert_int_equal(gyre_sim_remove(sim, "/x"), GYRE_NOT_FOUND);
    gyre_sim_leap(sim, 1000000000);
    gyre_sim_set_wall_us(sim, 5);
    loop = start(sim);
    assert_int_equal(gyre_sim_open_loop(sim, NULL, &loop, NULL), GYRE_MISUSE);
    assert_int_equal(gyre_sim_poke(sim, "/y", 0, bytes, 1), GYRE_MISUSE);
    assert_true(gyre_now(loop) > 2000000000);
    assert_int_equal(gyre_loop_close(loop), GYRE_OK);
    gyre_sim_free(sim);
    assert_int_equal(gyre_sim_make(GYRE_SIM_OPTIONS(.sector_size = 100), &sim), GYRE_INVALID);
    assert_int_equal(gyre_sim_make(GYRE_SIM_OPTIONS(.flags = 64), &sim), GYRE_INVALID);
}

/* ---- The explorer: a log of numbered entries, and ways to get it wrong ---- */

enum bug { NO_BUG, NOT_SYNCED, WRONG_CHECK, FAILS };

struct log {
    enum bug bug;
    uint32_t answered;
    uint32_t deepest;
};

static gyre_status
log_work(gyre_loop *loop, uint64_t seed, void *arg)
{
    struct log *log = arg;
    const struct gyre_write_options buffered = {.struct_size = sizeof(buffered),
                                                .durability = GYRE_BUFFERED};
    gyre_db *db = NULL;
    gyre_status status;

    (void)seed;
    log->answered = 0;
    status = gyre_open(loop, "/db", SMALL_STORE(GYRE_OPEN_CREATE), &db);
    if (status != GYRE_OK) {
        return status;
    }
    for (uint32_t i = 0; i < 6; i++) {
        status = gyre_put(db, log->bug == NOT_SYNCED ? &buffered : NULL, gyre_slice(&i, sizeof(i)),
                          gyre_str("v"));
        if (status != GYRE_OK) {
            (void)gyre_close(db);
            return status;
        }
        log->answered = i + 1;
    }
    if (log->bug == FAILS) {
        (void)gyre_close(db);
        return GYRE_IO;
    }
    return gyre_close(db);
}

static bool
log_check(gyre_loop *loop, struct gyre_sim_moment *moment, void *arg)
{
    struct log *log = arg;
    gyre_db *db = NULL;
    uint32_t found = 0;
    const gyre_status status = gyre_open(loop, "/db", SMALL_STORE(0), &db);

    log->deepest = moment->depth > log->deepest ? moment->depth : log->deepest;
    if (status == GYRE_NOT_FOUND) {
        return log->answered == 0;
    }
    if (status != GYRE_OK) {
        (void)snprintf(moment->text, sizeof(moment->text), "%s", gyre_last_error(loop)->text);
        return false;
    }
    for (uint32_t i = 0; i < 6; i++) {
        char byte;
        size_t size;

        found += gyre_get_copy(db, NULL, gyre_slice(&i, sizeof(i)), &byte, 1, &size) == GYRE_OK;
    }
    if (found < log->answered) {
        (void)snprintf(moment->text, sizeof(moment->text), "%u of %u", found, log->answered);
    }
    return gyre_close(db) == GYRE_OK && found >= log->answered && log->bug != WRONG_CHECK;
}

static struct gyre_sim_report
explore(struct log *log, uint32_t flags, uint64_t first, uint64_t count)
{
    const struct gyre_sim_plan plan = {.struct_size = sizeof(plan),
                                       .flags = flags,
                                       .arg = log,
                                       .work = log_work,
                                       .check = log_check,
                                       .every = 5,
                                       .depth = 3,
                                       .every_deep = 150};
    struct gyre_sim_report report = {.struct_size = sizeof(report)};
    const gyre_status status = gyre_sim_explore(&plan, first, count, &report);

    assert_int_equal(status, report.is_failure != 0 ? GYRE_CORRUPT : GYRE_OK);
    return report;
}

/* Goal:   a program without a bug passes, crashes inside recoveries included; the same seeds give
 *         the same trace. */
static void
gyre_sim_explorer_finds_nothing_where_nothing_is(void **state)
{
    struct log log = {.bug = NO_BUG};
    const struct gyre_sim_report first = explore(&log, 0, 1, 3);
    const struct gyre_sim_report again = explore(&log, 0, 1, 3);
    const struct gyre_sim_report other = explore(&log, 0, 2, 3);

    (void)state;
    assert_string_equal(first.text, "");
    assert_int_equal(first.is_failure, 0);
    assert_int_equal(first.seed_count, 3);
    assert_true(first.crash_count > 300 && first.event_count > 300);
    assert_in_range(log.deepest, 2, 3);
    assert_int_equal(first.trace_hash, again.trace_hash);
    assert_int_equal(first.crash_count, again.crash_count);
    assert_int_not_equal(first.trace_hash, other.trace_hash);
}

/* Goal:   each kind of mistake is found, and the seed alone shows it again. */
static void
gyre_sim_explorer_finds_each_mistake(void **state)
{
    static const enum bug bugs[] = {NOT_SYNCED, WRONG_CHECK, FAILS};
    (void)state;

    for (uint32_t i = 0; i < 3; i++) {
        struct log log = {.bug = bugs[i]};
        const struct gyre_sim_report first = explore(&log, 0, 1, 20);
        const struct gyre_sim_report again = explore(&log, 0, first.seed, 1);

        assert_int_equal(first.is_failure, 1);
        assert_int_equal(first.seed, again.seed);
        assert_int_equal(first.event, again.event);
        assert_int_equal(first.mode, again.mode);
        assert_string_equal(first.text, again.text);
        assert_int_equal(first.depth == 0, bugs[i] == FAILS);
        assert_true(bugs[i] != NOT_SYNCED || strstr(first.text, " of ") != NULL);
    }
    {
        struct log log = {.bug = FAILS};

        assert_int_equal(explore(&log, GYRE_SIM_WORK_MAY_FAIL, 1, 2).is_failure, 0);
    }
}

/* Goal:   with a device that fails now and then, work may fail, but what it was promised before is
 *         found in every crash, on each kind of file system. */
static void
gyre_sim_explorer_keeps_promises_under_faults(void **state)
{
    struct log log = {.bug = NO_BUG};
    struct gyre_sim_fault faults[2] = {
        fault_of(GYRE_SIM_ERROR, GYRE_SIM_OP_WRITE | GYRE_SIM_OP_SYNC, EIO),
        fault_of(GYRE_SIM_ERROR, GYRE_SIM_OP_READ, EINTR)};
    struct gyre_sim_report report = {.struct_size = sizeof(report)};

    (void)state;
    faults[0].ppm = 20000;
    faults[1].ppm = 200000;
    for (uint32_t personality = GYRE_SIM_STRICT; personality <= GYRE_SIM_XFS; personality++) {
        const struct gyre_sim_options machine = {.struct_size = sizeof(machine),
                                                 .personality = personality,
                                                 .flags = GYRE_SIM_CHAOS,
                                                 .wall_jump_ppm = 10000,
                                                 .leap_ppm = 2000};
        const struct gyre_sim_plan plan = {.struct_size = sizeof(plan),
                                           .flags = GYRE_SIM_WORK_MAY_FAIL,
                                           .arg = &log,
                                           .work = log_work,
                                           .check = log_check,
                                           .machine = &machine,
                                           .faults = faults,
                                           .fault_count = 2,
                                           .every = 20,
                                           .depth = 1};

        (void)gyre_sim_explore(&plan, 1, 10, &report);
        assert_string_equal(report.text, "");
        assert_true(report.crash_count > 200);
    }
}

/* Goal:   what cannot be a plan is refused. */
static void
gyre_sim_explorer_refuses_what_is_no_plan(void **state)
{
    struct gyre_sim_plan plan = {
        .struct_size = sizeof(plan), .work = log_work, .check = log_check, .modes = 16};
    struct gyre_sim_report report = {.struct_size = sizeof(report)};

    (void)state;
    assert_int_equal(gyre_sim_explore(NULL, 1, 1, &report), GYRE_INVALID);
    assert_int_equal(gyre_sim_explore(&plan, 1, 1, &report), GYRE_INVALID);
    plan.modes = 0;
    plan.check = NULL;
    assert_int_equal(gyre_sim_explore(&plan, 1, 1, &report), GYRE_INVALID);
    plan.check = log_check;
    report.struct_size = 4;
    assert_int_equal(gyre_sim_explore(&plan, 1, 1, &report), GYRE_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gyre_sim_run_is_a_function_of_its_seed),
        cmocka_unit_test(gyre_sim_keeps_what_was_answered_in_every_crash),
        cmocka_unit_test(gyre_sim_stops_at_an_event),
        cmocka_unit_test(gyre_sim_faults_strike_and_stop),
        cmocka_unit_test(gyre_sim_each_allocation_may_fail),
        cmocka_unit_test(gyre_sim_files_can_be_reached),
        cmocka_unit_test(gyre_sim_explorer_finds_nothing_where_nothing_is),
        cmocka_unit_test(gyre_sim_explorer_finds_each_mistake),
        cmocka_unit_test(gyre_sim_explorer_keeps_promises_under_faults),
        cmocka_unit_test(gyre_sim_explorer_refuses_what_is_no_plan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
