/* test_world_sync.c - the world of blocking calls: the contract, and what is its own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/heap.h"
#include "tests/support/scratch.h"
#include "tests/support/world_calls.h"
#include "tests/support/world_contract.h"

struct machine {
    struct gy_heap heap;
    struct gy_world_config config;
    char directory[SCRATCH_PATH_MAX];
};

static struct gy_world *
machine_open(void *arg)
{
    struct machine *machine = arg;
    struct gy_world *world = NULL;

    return gy_world_sync_open(&machine->config, &machine->heap, &world) == GYRE_OK ? world : NULL;
}

static int
setup(void **state)
{
    struct machine *machine = calloc(1, sizeof(*machine));

    gy_heap_init(&machine->heap, UINT64_MAX);
    scratch_make(machine->directory);
    *state = machine;
    return 0;
}

static int
teardown(void **state)
{
    struct machine *machine = *state;
    const uint64_t used = machine->heap.used;

    scratch_remove(machine->directory);
    free(machine);
    return used == 0 ? 0 : -1; /* a closed world holds nothing */
}

/* Goal:   requests run in the order of their class, the WAL first, and none waits for ever.
 * Method: one scrub request and then a stream of reads that never ends: the scrub comes back. A WAL
 *         request that came last comes back first. */
static void
world_sync_runs_wal_first_and_starves_nobody(void **state)
{
    enum { READS = 12 };
    struct machine *machine = *state;
    struct gy_world *world = machine_open(machine);
    const int32_t dir = world_open(world, GY_DIR_CWD, machine->directory, GY_OPEN_DIRECTORY);
    struct gy_req scrub = world_req(GY_OP_STAT, GY_IO_SCRUB);
    struct gy_req wal = world_req(GY_OP_STAT, GY_IO_WAL);
    struct gy_req reads[READS];
    struct gy_list finished;
    uint32_t turns = 0;

    gy_list_init(&finished);
    scrub.slot = (uint32_t)dir;
    wal.slot = (uint32_t)dir;
    world_submit(world, &scrub);
    for (uint32_t i = 0; i < READS; i++) {
        reads[i] = world_req(GY_OP_STAT, GY_IO_READ);
        reads[i].slot = (uint32_t)dir;
        world_submit(world, &reads[i]);
    }
    world_submit(world, &wal);
    world_reap(world, 1);
    assert_true(wal.done);
    for (; !scrub.done; turns++) {
        struct gy_req *req;

        assert_in_range(turns, 0, 2 * READS);
        world->ops->reap(world, &finished, false, true, 0);
        req = gy_container_of(gy_list_pop_front(&finished), struct gy_req, link);
        assert_true(gy_list_is_empty(&finished)); /* one per turn, so that others run between */
        req->done = true;
        if (req != &scrub) {
            world_submit(world, req);
        }
    }
    world_reap(world, READS);
    assert_int_equal(world_close(world, dir), 0);
    world->ops->close(world);
}

/* Goal:   a full file table is an error and not an accident, and heals. */
static void
world_sync_reports_full_file_table(void **state)
{
    struct machine *machine = *state;
    struct gy_world *world;
    int32_t slots[4];

    machine->config.file_count_max = 4;
    world = machine_open(machine);
    for (uint32_t i = 0; i < 4; i++) {
        slots[i] = world_open(world, GY_DIR_CWD, machine->directory, GY_OPEN_DIRECTORY);
        assert_int_equal(slots[i], i);
    }
    assert_int_equal(world_open(world, GY_DIR_CWD, machine->directory, GY_OPEN_DIRECTORY), -EMFILE);
    assert_int_equal(world_close(world, slots[2]), 0);
    assert_int_equal(world_open(world, GY_DIR_CWD, machine->directory, GY_OPEN_DIRECTORY), 2);
    world->ops->close(world); /* closes what is left open */
}

/* Goal:   opening fails without a trace when memory is short. */
static void
world_sync_open_survives_every_failed_allocation(void **state)
{
    struct machine *machine = *state;

    for (uint64_t fail_at = 1;; fail_at++) {
        struct gy_world *world = NULL;
        gyre_status st;

        gy_heap_init(&machine->heap, UINT64_MAX);
        machine->heap.fail_at = fail_at;
        st = gy_world_sync_open(&machine->config, &machine->heap, &world);
        if (st == GYRE_OK) {
            assert_in_range(fail_at, 2, 10);
            world->ops->close(world);
            break;
        }
        assert_int_equal(st, GYRE_NO_MEMORY);
        assert_int_equal(machine->heap.used, 0);
    }
    assert_int_equal(machine->heap.used, 0);
}

/* Goal:   without a place for staging memory the answer is a plain -ENOENT, never a crash. */
static void
world_sync_has_no_stage_without_its_directory(void **state)
{
    struct machine *machine = *state;
    const uint64_t id[2] = {1, 2};
    struct gy_stage stage = {.base = NULL};
    struct gy_world *world;

    machine->config.stage_dir = "/nonexistent/shm";
    world = machine_open(machine);
    assert_int_equal(world->ops->stage_create(world, &stage, id, GY_PAGE), -ENOENT);
    assert_int_equal(world->ops->stage_open(world, &stage, id), -ENOENT);
    world->ops->stage_close(world, &stage, true);
    world->ops->close(world);
}

static int
run_contract(const char *name, bool no_direct)
{
    struct machine machine = {.config = {.no_direct = no_direct}};
    struct world_contract contract = {
        .name = name, .directory = machine.directory, .open = machine_open, .arg = &machine};
    int failed;

    gy_heap_init(&machine.heap, UINT64_MAX);
    scratch_make(machine.directory);
    failed = world_contract_run(&contract);
    scratch_remove(machine.directory);
    return failed;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(world_sync_runs_wal_first_and_starves_nobody, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(world_sync_reports_full_file_table, setup, teardown),
        cmocka_unit_test_setup_teardown(world_sync_open_survives_every_failed_allocation, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(world_sync_has_no_stage_without_its_directory, setup,
                                        teardown),
    };
    int failed = cmocka_run_group_tests_name("world_sync", tests, NULL, NULL);

    failed += run_contract("world_sync contract", false);
    failed += run_contract("world_sync contract, no direct I/O", true);
    return failed;
}
