/* test_uring_open.c - which flags the ring gets from kernels of any age, and that the kernel's
 * workers get the processor while a sync is in flight. Exits 77 where the machine forbids io_uring.
 *
 * Two functions of the system are replaced here: the one that sets up a ring refuses the flags that
 * an older kernel would not know, the one that gives the processor away counts.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/base/bits.h"
#include "io/base/heap.h"
#include "io/uring.h"
#include "tests/support/scratch.h"
#include "tests/support/world_calls.h"

#define SKIPPED 77

typedef int (*init_fn)(unsigned, struct io_uring *, struct io_uring_params *);

static unsigned flags_refused;
static unsigned init_count;
static unsigned yield_count;

int
io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
    const init_fn real = (init_fn)dlsym(RTLD_NEXT, "io_uring_queue_init_params");

    init_count++;
    return (params->flags & flags_refused) != 0 ? -EINVAL : real(entries, ring, params);
}

int
sched_yield(void)
{
    yield_count++;
    return 0;
}

struct machine {
    struct gy_heap heap;
    struct gy_world *world;
    char directory[SCRATCH_PATH_MAX];
    char reason[160];
};

static void
machine_open(struct machine *machine)
{
    const struct gy_world_config config = {0};

    machine->world = NULL;
    assert_int_equal(gy_world_uring_open(&config, &machine->heap, machine->reason, &machine->world),
                     GYRE_OK);
}

static int
setup(void **state)
{
    struct machine *machine = calloc(1, sizeof(*machine));

    gy_heap_init(&machine->heap, UINT64_MAX);
    scratch_make(machine->directory);
    flags_refused = 0;
    *state = machine;
    return 0;
}

static int
teardown(void **state)
{
    struct machine *machine = *state;

    scratch_remove(machine->directory);
    free(machine);
    return 0;
}

static int32_t
make_file(const struct machine *machine)
{
    struct gy_world *world = machine->world;
    const int32_t dir = world_open(world, GY_DIR_CWD, machine->directory, GY_OPEN_DIRECTORY);
    const int32_t slot = world_open(world, (uint32_t)dir, "f", GY_OPEN_WRITE | GY_OPEN_CREATE);

    assert_true(dir >= 0 && slot >= 0);
    assert_int_equal(world_close(world, dir), 0);
    return slot;
}

/* Goal:   a kernel that does not know a flag gets the next best set, down to none at all, and the
 *         ring works with each; a better kernel never gets less than it can do.
 * Method: refuse one flag after the other, as older kernels do; write durably and read back. */
static void
uring_open_goes_down_the_ladder_of_flags(void **state)
{
    static const struct {
        unsigned refused;
        unsigned expected; /* of what is left, the flag that makes the difference */
    } steps[] = {
        {0, IORING_SETUP_DEFER_TASKRUN},
        {IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_COOP_TASKRUN},
        {IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN, IORING_SETUP_CQSIZE},
        {UINT32_MAX, 0},
    };
    struct machine *machine = *state;
    uint8_t *pages = world_pages(2 * GY_PAGE);
    unsigned previous = UINT32_MAX;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        int32_t slot;

        flags_refused = steps[i].refused;
        init_count = 0;
        machine_open(machine);
        assert_int_equal(machine->world->info.ring_flags & flags_refused, 0);
        assert_true(machine->world->info.ring_flags != previous || init_count > i + 1);
        if (init_count == i + 1) { /* nothing but this test has refused anything */
            assert_int_equal(machine->world->info.ring_flags & steps[i].expected,
                             steps[i].expected);
        }
        previous = machine->world->info.ring_flags;
        slot = make_file(machine);
        memset(pages, (int)i + 1, GY_PAGE);
        world_write(machine->world, slot, 0, pages, GY_PAGE, GY_IO_DSYNC);
        assert_int_equal(world_read(machine->world, slot, 0, pages + GY_PAGE, GY_PAGE), GY_PAGE);
        assert_memory_equal(pages, pages + GY_PAGE, GY_PAGE);
        assert_int_equal(world_close(machine->world, slot), 0);
        machine->world->ops->close(machine->world);
    }
    free(pages);
}

/* One durable or plain write, reaped by looks only; returns how often the processor was given away.
 * Looks need not see the write in flight: it is repeated by the caller. */
static unsigned
yields_of_a_write(struct gy_world *world, int32_t slot, uint8_t *page, uint8_t flags, bool runnable)
{
    struct gy_req req = world_req(GY_OP_WRITE, GY_IO_WAL);
    struct gy_list finished;

    gy_list_init(&finished);
    req.slot = (uint32_t)slot;
    req.buffer = page;
    req.size = GY_PAGE;
    req.flags = flags;
    yield_count = 0;
    world->ops->submit(world, &req);
    while (gy_list_is_empty(&finished)) {
        world->ops->reap(world, &finished, false, runnable, 0);
    }
    assert_int_equal(req.result, GY_PAGE);
    return yield_count;
}

/* Goal:   with a sync in flight and somebody runnable, looks give the kernel's workers a chance;
 *         without a sync, or when nobody wants the processor, no look does. */
static void
uring_reap_yields_while_a_sync_is_in_flight(void **state)
{
    struct machine *machine = *state;
    uint8_t *page = world_pages(GY_PAGE);
    unsigned yields = 0;
    int32_t slot;

    machine_open(machine);
    slot = make_file(machine);
    memset(page, 1, GY_PAGE);
    for (uint32_t i = 0; i < 20; i++) {
        yields += yields_of_a_write(machine->world, slot, page, GY_IO_DSYNC, true);
        assert_int_equal(yields_of_a_write(machine->world, slot, page, GY_IO_DSYNC, false), 0);
        assert_int_equal(yields_of_a_write(machine->world, slot, page, 0, true), 0);
    }
    assert_true(yields > 0);
    assert_int_equal(world_close(machine->world, slot), 0);
    machine->world->ops->close(machine->world);
    free(page);
}

static bool
is_ring_allowed(void)
{
    const struct gy_world_config config = {0};
    struct gy_heap heap;
    struct gy_world *world;
    char reason[160];

    gy_heap_init(&heap, UINT64_MAX);
    if (gy_world_uring_open(&config, &heap, reason, &world) != GYRE_OK) {
        (void)fprintf(stderr, "SKIPPED: no io_uring on this machine: %s\n", reason);
        return false;
    }
    world->ops->close(world);
    return true;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(uring_open_goes_down_the_ladder_of_flags, setup, teardown),
        cmocka_unit_test_setup_teardown(uring_reap_yields_while_a_sync_is_in_flight, setup,
                                        teardown),
    };

    return is_ring_allowed() ? cmocka_run_group_tests_name("uring_open", tests, NULL, NULL)
                             : SKIPPED;
}
