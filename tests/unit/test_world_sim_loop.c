/* test_world_sim_loop.c - how a crash test is built: run loop and coroutines on the simulated
 * world, a crash copy at every event, and a second loop on each copy while the first one goes on.
 *
 * The engine under test is a toy: a log of pages, page i holding the number i + 1. It can be told
 * to leave out one step, and the test must then find losses: a rig that cannot fail proves nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "io/base/bits.h"
#include "io/file.h"
#include "io/sim/world_sim.h"

#define RECORDS 24u
#define DRAWS 4u

enum bug { BUG_NONE, BUG_NO_DIR_SYNC, BUG_NO_DSYNC, BUG_COUNT };

struct rig {
    enum bug bug;
    struct gy_heap heap;
    struct gy_sim_disk *disk;
    struct gy_world *world;
    struct gy_rng rng;
    struct gy_loop *loop;
    struct gy_rng chaos;
    uint64_t attempted;
    uint64_t acked;
    uint64_t recovered; /* by the recovery that runs now */
    uint64_t lost;      /* copies that came back without an acknowledged record */
    uint64_t invented;  /* copies with a record that was never written */
    uint64_t copies;
};

static _Alignas(GY_PAGE) uint8_t write_page[GY_PAGE];
static _Alignas(GY_PAGE) uint8_t read_page[GY_PAGE];

GY_SUSPENDS static gyre_status
toy_await_create(struct rig *rig, struct gy_file *dir, struct gy_file *log)
{
    gyre_status st = gy_dir_await_open(rig->loop, "/db", true, dir); /* syncs "/" too */

    if (st == GYRE_OK) {
        st = gy_file_await_open(rig->loop, dir, "log", GY_OPEN_CREATE | GY_OPEN_WRITE, GY_IO_META,
                                log);
    }
    if (st == GYRE_OK) {
        st = gy_file_await_allocate(rig->loop, log, RECORDS * GY_PAGE, GY_IO_META);
    }
    if (st == GYRE_OK) {
        st = gy_file_await_sync(rig->loop, log, GY_IO_META);
    }
    if (st == GYRE_OK && rig->bug != BUG_NO_DIR_SYNC) {
        st = gy_dir_await_sync(rig->loop, dir);
    }
    return st;
}

static void
toy_run(void *arg)
{
    struct rig *rig = arg;
    struct gy_file dir = GY_FILE_CLOSED;
    struct gy_file log = GY_FILE_CLOSED;
    gyre_status st;

    gy_in_coroutine();
    st = toy_await_create(rig, &dir, &log);
    for (uint64_t i = 0; st == GYRE_OK && i < RECORDS; i++) {
        memset(write_page, (int)(i + 1), GY_PAGE);
        rig->attempted = i + 1;
        st = gy_file_await_write(rig->loop, &log, GY_IO_WAL, write_page, GY_PAGE, i * GY_PAGE,
                                 rig->bug == BUG_NO_DSYNC ? 0 : GY_IO_DSYNC);
        rig->acked = st == GYRE_OK ? i + 1 : rig->acked;
    }
    assert_int_equal(st, GYRE_OK);
    (void)gy_file_await_close(rig->loop, &log);
    (void)gy_file_await_close(rig->loop, &dir);
}

static void
toy_recover(void *arg)
{
    struct rig *rig = arg;
    struct gy_file dir = GY_FILE_CLOSED;
    struct gy_file log = GY_FILE_CLOSED;
    uint32_t size = GY_PAGE;
    gyre_status st;

    gy_in_coroutine();
    st = gy_dir_await_open(rig->loop, "/db", false, &dir);
    if (st == GYRE_OK) {
        st = gy_file_await_open(rig->loop, &dir, "log", 0, GY_IO_META, &log);
    }
    while (st == GYRE_OK && rig->recovered < RECORDS) {
        const uint8_t expected = (uint8_t)(rig->recovered + 1);

        st = gy_file_await_read_some(rig->loop, &log, GY_IO_READ, read_page, GY_PAGE,
                                     rig->recovered * GY_PAGE, &size);
        if (st != GYRE_OK || size < GY_PAGE || read_page[0] != expected ||
            memcmp(read_page, read_page + 1, GY_PAGE - 1) != 0) {
            break; /* missing or torn: the log ends here */
        }
        rig->recovered++;
    }
    (void)gy_file_await_close(rig->loop, &log);
    (void)gy_file_await_close(rig->loop, &dir);
}

/* A loop on `world`, one coroutine, until it has ended. The loop closes the world. */
static void
run_on(struct rig *rig, struct gy_world *world, void (*body)(void *arg))
{
    const struct gy_loop_config config = {.world = world};
    struct gy_loop *outer = rig->loop;
    struct gy_loop loop;

    assert_int_equal(gy_loop_init(&loop, &config, NULL), GYRE_OK);
    loop.sched.chaos = &rig->chaos;
    rig->loop = &loop;
    assert_int_equal(gy_spawn(&loop.sched, GY_CLASS_FOREGROUND, "toy", body, rig, NULL), GYRE_OK);
    while (!gy_loop_is_idle(&loop)) {
        (void)gy_loop_turn(&loop, true, GY_NEVER);
    }
    assert_int_equal(gy_world_sim_violation_count(world), 0);
    gy_loop_fini(&loop);
    rig->loop = outer;
}

static void
crash_here(void *arg, uint64_t event)
{
    struct rig *rig = arg;

    for (uint32_t i = 0; i < DRAWS + GY_SIM_CRASH_RANDOM; i++) {
        const enum gy_sim_crash mode =
            i < GY_SIM_CRASH_RANDOM ? (enum gy_sim_crash)i : GY_SIM_CRASH_RANDOM;
        struct gy_sim_disk *copy = gy_sim_disk_crash(rig->disk, &rig->rng, mode);
        struct gy_world_sim_config config;
        struct gy_world *world;

        gy_world_sim_config_init(&config, event * DRAWS + i);
        assert_int_equal(gy_world_sim_open(&config, copy, &world), GYRE_OK);
        rig->recovered = 0;
        run_on(rig, world, toy_recover);
        rig->copies++;
        rig->lost += rig->recovered < rig->acked;
        rig->invented += rig->recovered > rig->attempted;
        gy_sim_disk_free(copy);
    }
}

static void
run_rig(struct rig *rig, enum bug bug, uint64_t seed)
{
    struct gy_world_sim_config config;

    memset(rig, 0, sizeof(*rig));
    rig->bug = bug;
    gy_heap_init(&rig->heap, UINT64_MAX);
    gy_rng_init(&rig->rng, seed);
    gy_rng_init(&rig->chaos, seed + 1);
    rig->disk = gy_sim_disk_make(NULL, &rig->heap);
    gy_world_sim_config_init(&config, seed);
    config.faults.short_ppm = 100000;
    config.on_reap = crash_here;
    config.arg = rig;
    assert_int_equal(gy_world_sim_open(&config, rig->disk, &rig->world), GYRE_OK);
    run_on(rig, rig->world, toy_run);
    assert_int_equal(rig->acked, RECORDS);
    assert_in_range(rig->copies, RECORDS * 2 * DRAWS, UINT64_MAX);
    gy_sim_disk_free(rig->disk);
    assert_int_equal(rig->heap.used, 0);
}

/* Goal:   a log that makes file, name and directory durable before it acknowledges loses nothing in
 *         any crash at any event; each variant that leaves out a step is found out.
 * Method: 10 seeds each; recovery runs in a second loop inside on_reap of the first. */
static void
world_sim_loop_finds_each_missing_step_and_no_other(void **state)
{
    static struct rig rig;

    (void)state;
    for (int bug = BUG_NONE; bug < BUG_COUNT; bug++) {
        uint64_t lost = 0;

        for (uint64_t seed = 0; seed < 10; seed++) {
            run_rig(&rig, (enum bug)bug, seed);
            assert_int_equal(rig.invented, 0);
            lost += rig.lost;
        }
        if (bug == BUG_NONE) {
            assert_int_equal(lost, 0);
        } else {
            assert_in_range(lost, 1, UINT64_MAX);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(world_sim_loop_finds_each_missing_step_and_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
