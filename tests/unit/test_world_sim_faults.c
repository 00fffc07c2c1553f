/* test_world_sim_faults.c - faults that test_world_sim.c does not have: stale and zeroed pages,
 * wrong lengths, answers that mean "not now", quotas, allocations that fail, clocks that jump. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine/db/db.h"
#include "io/base/bits.h"
#include "io/base/rng.h"
#include "io/sim/world_sim.h"

static struct gy_heap heap;
static struct gy_sim_disk *disk;
static struct gy_world *world;
static struct gy_world_sim_config config;
static _Alignas(GY_PAGE) uint8_t buffers[2][4 * GY_PAGE];

static int
setup(void **state)
{
    (void)state;
    gy_heap_init(&heap, UINT64_MAX);
    disk = gy_sim_disk_make(NULL, &heap);
    gy_world_sim_config_init(&config, 7);
    assert_int_equal(gy_world_sim_open(&config, disk, &world), GYRE_OK);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    assert_int_equal(gy_world_sim_violation_count(world), 0);
    world->ops->close(world);
    gy_sim_disk_free(disk);
    return heap.used == 0 ? 0 : -1;
}

static int32_t
run(struct gy_req *req)
{
    struct gy_list finished;

    gy_list_init(&finished);
    world->ops->submit(world, req);
    for (uint32_t i = 0; i < 10000 && gy_list_is_empty(&finished); i++) {
        world->ops->reap(world, &finished, true, false, UINT64_MAX);
    }
    assert_ptr_equal(gy_list_pop_front(&finished), &req->link);
    return req->result;
}

static uint32_t
make_file(const char *path)
{
    struct gy_req req = {
        .op = GY_OP_OPEN, .dir = GY_DIR_CWD, .name = path, .flags = GY_OPEN_CREATE | GY_OPEN_WRITE};
    const int32_t slot = run(&req);

    assert_true(slot >= 0);
    return (uint32_t)slot;
}

static int32_t
on_slot(enum gy_op op, uint32_t slot, uint64_t offset)
{
    struct gy_req req = {.op = (uint8_t)op, .slot = slot, .offset = offset};

    return run(&req);
}

static uint64_t
size_of(uint32_t slot)
{
    struct gy_req req = {.op = GY_OP_STAT, .slot = slot};

    assert_int_equal(run(&req), 0);
    return req.ret_size;
}

static int32_t
put(uint32_t slot, uint64_t offset, uint32_t size, uint8_t fill)
{
    struct gy_req req = {
        .op = GY_OP_WRITE, .slot = slot, .buffer = buffers[0], .size = size, .offset = offset};

    memset(buffers[0], fill, size);
    return run(&req);
}

static const uint8_t *
got(uint32_t slot, uint64_t offset, uint32_t size)
{
    struct gy_req req = {
        .op = GY_OP_READ, .slot = slot, .buffer = buffers[1], .size = size, .offset = offset};

    assert_int_equal(run(&req), size);
    return buffers[1];
}

static bool
is_all(const uint8_t *bytes, uint32_t size, uint8_t value)
{
    return bytes[0] == value && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static void
set_fault(enum gy_sim_fault fault, uint32_t op_mask, int os_errno)
{
    struct gy_sim_faults faults = {.rule_count = 1};

    faults.rules[0] = (struct gy_sim_rule){
        .fault = fault, .op_mask = op_mask, .ppm = 1000000, .os_errno = os_errno};
    gy_world_sim_set_faults(world, &faults);
}

/* Goal:   a stale read shows each page as it was before its last write, zeros where it was none,
 *         and the truth again when the fault is gone. */
static void
world_sim_stale_read_shows_the_version_before(void **state)
{
    const uint32_t slot = make_file("a");

    (void)state;
    put(slot, 0, 2 * GY_PAGE, 1);
    put(slot, 0, GY_PAGE, 2);
    put(slot, 0, 512, 3);
    set_fault(GY_SIM_FAULT_STALE, 1u << GY_OP_READ, 0);
    assert_true(is_all(got(slot, 0, GY_PAGE), GY_PAGE, 2)); /* as before the last write of it */
    assert_true(is_all(got(slot, GY_PAGE, GY_PAGE), GY_PAGE, 0));
    put(slot, GY_PAGE, GY_PAGE, 9);
    assert_true(is_all(got(slot, GY_PAGE, GY_PAGE), GY_PAGE, 1));
    gy_world_sim_set_faults(world, NULL);
    assert_true(is_all(got(slot, 0, 512), 512, 3));
    assert_true(is_all(got(slot, 512, GY_PAGE - 512), GY_PAGE - 512, 2));
    assert_true(is_all(got(slot, GY_PAGE, GY_PAGE), GY_PAGE, 9));
}

/* Goal:   a stale read of any page of a file that random writes made agrees with a model that keeps
 *         two versions of each page; copies of the disk show the same. */
static void
world_sim_stale_reads_agree_with_a_model(void **state)
{
    const uint32_t slot = make_file("a");
    uint8_t versions[4][2] = {{0}};
    struct gy_rng rng;

    (void)state;
    gy_rng_init(&rng, 5);
    put(slot, 0, 4 * GY_PAGE, 0);
    for (uint32_t step = 1; step < 250; step++) {
        const uint32_t first = (uint32_t)gy_rng_below(&rng, 4);
        const uint32_t count = 1 + (uint32_t)gy_rng_below(&rng, 4 - first);
        struct gy_sim_disk *copy = gy_sim_disk_clone(disk);

        gy_world_sim_set_faults(world, NULL);
        put(slot, first * (uint64_t)GY_PAGE, count * GY_PAGE, (uint8_t)step);
        for (uint32_t page = first; page < first + count; page++) {
            versions[page][0] = versions[page][1];
            versions[page][1] = (uint8_t)step;
        }
        for (uint32_t page = 0; page < 4; page++) {
            gy_world_sim_set_faults(world, NULL);
            assert_true(is_all(got(slot, page * GY_PAGE, GY_PAGE), GY_PAGE, versions[page][1]));
            set_fault(GY_SIM_FAULT_STALE, 1u << GY_OP_READ, 0);
            assert_true(is_all(got(slot, page * GY_PAGE, GY_PAGE), GY_PAGE, versions[page][0]));
        }
        gy_sim_disk_free(copy);
    }
}

/* Goal:   a zeroed page is one page of the answer, or one page of what is stored. */
static uint32_t
count_zero_pages(const uint8_t *bytes)
{
    uint32_t count = 0;

    for (uint32_t page = 0; page < 4; page++) {
        const uint8_t *at = bytes + page * GY_PAGE;

        assert_true(is_all(at, GY_PAGE, 0) || is_all(at, GY_PAGE, 7));
        count += at[0] == 0;
    }
    return count;
}

static void
world_sim_zeroed_page_is_one_page(void **state)
{
    const uint32_t slot = make_file("a");

    (void)state;
    put(slot, 0, 4 * GY_PAGE, 7);
    for (uint32_t i = 0; i < 20; i++) {
        set_fault(GY_SIM_FAULT_ZERO, 1u << GY_OP_READ, 0);
        assert_int_equal(count_zero_pages(got(slot, 0, 4 * GY_PAGE)), 1);
        gy_world_sim_set_faults(world, NULL);
        assert_int_equal(count_zero_pages(got(slot, 0, 4 * GY_PAGE)), 0);
    }
    set_fault(GY_SIM_FAULT_ZERO, 1u << GY_OP_WRITE, 0);
    assert_int_equal(put(slot, 0, 4 * GY_PAGE, 7), 4 * GY_PAGE);
    gy_world_sim_set_faults(world, NULL);
    assert_int_equal(count_zero_pages(got(slot, 0, 4 * GY_PAGE)), 1);
}

/* Goal:   a wrong length is never the right one, and is sometimes less and sometimes more; lost
 *         allocations and truncates answer "done" and leave the file alone. */
static void
world_sim_lengths_can_be_wrong(void **state)
{
    const uint32_t slot = make_file("a");
    uint32_t less = 0;

    (void)state;
    put(slot, 0, 4 * GY_PAGE, 7);
    set_fault(GY_SIM_FAULT_LENGTH, 1u << GY_OP_STAT, 0);
    for (uint32_t i = 0; i < 200; i++) {
        const uint64_t size = size_of(slot);

        assert_int_not_equal(size, 4 * GY_PAGE);
        less += size < 4 * GY_PAGE;
    }
    assert_in_range(less, 10, 190);
    set_fault(GY_SIM_FAULT_LOST, 1u << GY_OP_TRUNCATE | 1u << GY_OP_ALLOCATE, 0);
    assert_int_equal(on_slot(GY_OP_TRUNCATE, slot, GY_PAGE), 0);
    assert_int_equal(on_slot(GY_OP_ALLOCATE, slot, 64 * GY_PAGE), 0);
    gy_world_sim_set_faults(world, NULL);
    assert_int_equal(size_of(slot), 4 * GY_PAGE);
}

/* Goal:   S3: EINTR and EAGAIN never reach the caller. A device that says so a few times makes the
 *         request late, one that never stops makes it fail; nothing of it happened meanwhile. */
static void
world_sim_asks_again_when_told_not_now(void **state)
{
    static const int errnos[] = {EINTR, EAGAIN};
    struct gy_sim_faults faults = {.rule_count = 1};
    uint32_t slot;

    (void)state;
    assert_int_equal(gy_sim_disk_poke(disk, "/a", 0, "", 1), 1);
    slot = make_file("a");
    for (uint32_t i = 0; i < 2; i++) {
        faults.rules[0] = (struct gy_sim_rule){.fault = GY_SIM_FAULT_ERROR,
                                               .nth = 1,
                                               .is_repeated = true,
                                               .strikes_max = 3,
                                               .os_errno = errnos[i]};
        gy_world_sim_set_faults(world, &faults);
        assert_int_equal(put(slot, 0, GY_PAGE, (uint8_t)(i + 1)), GY_PAGE);
        assert_int_equal(gy_world_sim_strike_count(world, 0), 3);
        gy_world_sim_set_faults(world, &faults);
        assert_int_equal(on_slot(GY_OP_SYNC, slot, 0), 0); /* D4 is for syncs that failed */
        assert_int_equal(gy_world_sim_strike_count(world, 0), 3);
        gy_world_sim_set_faults(world, NULL);
        assert_true(gy_sim_disk_is_durable(disk, "/a", 0, GY_PAGE));
        assert_true(is_all(got(slot, 0, GY_PAGE), GY_PAGE, (uint8_t)(i + 1)));
        set_fault(GY_SIM_FAULT_ERROR, 0, errnos[i]);
        assert_int_equal(put(slot, 0, GY_PAGE, 9), -EIO);
        assert_int_equal(on_slot(GY_OP_SYNC, slot, 0), -EIO);
        gy_world_sim_set_faults(world, NULL);
        assert_true(is_all(got(slot, 0, GY_PAGE), GY_PAGE, (uint8_t)(i + 1)));
    }
}

/* Goal:   a full quota answers EDQUOT where a full disk answers ENOSPC; the last slot EMFILE; any
 *         other errno where a rule says so. */
static void
world_sim_told_errors_have_their_errno(void **state)
{
    static const int errnos[] = {EIO, ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, EROFS};
    const struct gy_sim_disk_config small = {.capacity = 2 * GY_PAGE, .is_quota = true};
    const uint32_t slot = make_file("a");
    struct gy_sim_disk *first = disk;
    struct gy_world *outer = world;
    uint32_t other;

    (void)state;
    for (uint32_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++) {
        set_fault(GY_SIM_FAULT_ERROR, 0, errnos[i]);
        assert_int_equal(put(slot, 0, GY_PAGE, 1), -errnos[i]);
        assert_int_equal(on_slot(GY_OP_STAT, slot, 0), -errnos[i]);
    }
    gy_world_sim_set_faults(world, NULL);
    disk = gy_sim_disk_make(&small, &heap);
    config.file_count_max = 2;
    assert_int_equal(gy_world_sim_open(&config, disk, &world), GYRE_OK);
    other = make_file("a");
    (void)make_file("b");
    assert_int_equal(put(other, 0, 4 * GY_PAGE, 1), 2 * GY_PAGE);
    assert_int_equal(put(other, 2 * GY_PAGE, GY_PAGE, 1), -EDQUOT);
    assert_int_equal(on_slot(GY_OP_ALLOCATE, other, 8 * GY_PAGE), -EDQUOT);
    {
        struct gy_req req = {.op = GY_OP_OPEN, .dir = GY_DIR_CWD, .name = "a"};

        assert_int_equal(run(&req), -EMFILE);
    }
    world->ops->close(world);
    gy_sim_disk_free(disk);
    world = outer;
    disk = first;
}

/* Goal:   a slow device makes each request late by what the rule says. */
static void
world_sim_slow_device_takes_longer(void **state)
{
    const uint32_t slot = make_file("a");
    struct gy_sim_faults faults = {.rule_count = 1};

    (void)state;
    faults.rules[0] = (struct gy_sim_rule){
        .fault = GY_SIM_FAULT_SLOW, .ppm = 1000000, .delay_ns = 3 * GY_NS_PER_S};
    gy_world_sim_set_faults(world, &faults);
    for (uint32_t i = 0; i < 5; i++) {
        const uint64_t start = world->ops->now_ns(world);

        assert_int_equal(put(slot, 0, GY_PAGE, 1), GY_PAGE);
        assert_in_range(world->ops->now_ns(world) - start, 3 * GY_NS_PER_S, 4 * GY_NS_PER_S);
    }
}

/* Goal:   the wall clock jumps within ten years either way, the other clock never goes back, and
 *         what was due comes back. */
static void
world_sim_clocks_jump(void **state)
{
    const uint64_t year_us = 365ull * 24 * 3600 * 1000000;
    struct gy_world *outer = world;
    uint32_t jumps = 0;
    uint32_t leaps = 0;
    uint64_t before;
    uint32_t slot;

    (void)state;
    gy_world_sim_leap(world, 3600 * GY_NS_PER_S);
    config.clock = (struct gy_sim_clock){.wall_jump_ppm = 200000, .leap_ppm = 200000};
    assert_int_equal(gy_world_sim_open(&config, disk, &world), GYRE_OK);
    slot = make_file("b");
    for (uint32_t i = 0; i < 200; i++) {
        const uint64_t wall = world->ops->wall_us(world);
        uint64_t wall_after;

        before = world->ops->now_ns(world);
        assert_int_equal(put(slot, 0, GY_PAGE, 1), GY_PAGE);
        assert_true(world->ops->now_ns(world) > before);
        leaps += world->ops->now_ns(world) - before > 60 * GY_NS_PER_S;
        wall_after = world->ops->wall_us(world);
        /* Leaps of 12 hours add up to half a year at most here. */
        assert_in_range(wall_after, config.wall_us - 10 * year_us, config.wall_us + 11 * year_us);
        jumps += wall_after < wall || wall_after - wall > year_us;
    }
    assert_in_range(jumps, 10, 190);
    assert_in_range(leaps, 10, 190);
    world->ops->close(world);
    world = outer;
}

/* Goal:   P11: each allocation of a loop that opens on the machine may fail, pages of stacks and of
 *         the arena included: the loop opens or says NO_MEMORY, and nothing leaks.
 * Method: fail the first, the second and so on until it opens without having failed one. */
static void
world_sim_each_allocation_of_a_loop_may_fail(void **state)
{
    uint32_t failed = 0;

    (void)state;
    for (uint64_t n = 1;; n++) {
        struct gy_world *own;
        struct gyre_error error;
        gyre_loop *loop = NULL;
        bool is_reached;
        gyre_status status;

        config.fail_allocation = n;
        assert_int_equal(gy_world_sim_open(&config, disk, &own), GYRE_OK);
        status =
            gy_loop_open_on(GYRE_LOOP_OPTIONS(.memory_limit = 16 * GY_MIB, .cache_size = GY_MIB),
                            own, &loop, &error);
        if (status == GYRE_OK) {
            is_reached = loop->io.heap.allocation_count >= n;
            assert_int_equal(gyre_loop_close(loop), GYRE_OK);
        } else {
            is_reached = true;
            assert_int_equal(status, GYRE_NO_MEMORY);
            assert_int_equal(error.status, GYRE_NO_MEMORY);
            own->ops->close(own);
            failed++;
        }
        if (!is_reached) {
            break;
        }
        assert_true(n < 10000);
    }
    assert_true(failed > 10);
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(world_sim_stale_read_shows_the_version_before),
        T(world_sim_stale_reads_agree_with_a_model),
        T(world_sim_zeroed_page_is_one_page),
        T(world_sim_lengths_can_be_wrong),
        T(world_sim_asks_again_when_told_not_now),
        T(world_sim_told_errors_have_their_errno),
        T(world_sim_slow_device_takes_longer),
        T(world_sim_clocks_jump),
        T(world_sim_each_allocation_of_a_loop_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
