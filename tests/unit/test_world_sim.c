/* test_world_sim.c - the simulated machine: one seed, one run; faults strike where they were
 * planned; broken rules of the seam are seen. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "io/base/bits.h"
#include "io/base/heap.h"
#include "io/base/rng.h"
#include "io/sim/world_sim.h"

#define REQUESTS_MAX 32u

static struct gy_heap heap;
static struct gy_sim_disk *disk;
static struct gy_world *world;
static struct gy_world_sim_config config;
static _Alignas(GY_PAGE) uint8_t buffers[REQUESTS_MAX][2 * GY_PAGE];

static void
open_world(void)
{
    const gyre_status st = gy_world_sim_open(&config, disk, &world);

    assert_int_equal(st, GYRE_OK);
}

static int
setup(void **state)
{
    (void)state;
    gy_heap_init(&heap, UINT64_MAX);
    disk = gy_sim_disk_make(NULL, &heap);
    gy_world_sim_config_init(&config, 7);
    open_world();
    return 0;
}

/* Every test also proves that world and disk leave nothing behind. */
static int
teardown(void **state)
{
    (void)state;
    world->ops->close(world);
    gy_sim_disk_free(disk);
    return heap.used == 0 ? 0 : -1;
}

/* Submit, and wait until it is back. */
static int32_t
run(struct gy_req *req)
{
    struct gy_list finished;
    struct gy_list *node;

    gy_list_init(&finished);
    world->ops->submit(world, req);
    assert_true(gy_list_is_empty(&finished));
    for (uint32_t i = 0; i < 1000 && gy_list_is_empty(&finished); i++) {
        world->ops->reap(world, &finished, true, false, UINT64_MAX);
    }
    node = gy_list_pop_front(&finished);
    assert_ptr_equal(node, &req->link);
    assert_true(gy_list_is_empty(&finished));
    return req->result;
}

static int32_t
open_file(const char *path, uint32_t flags)
{
    struct gy_req req = {
        .op = GY_OP_OPEN, .dir = GY_DIR_CWD, .name = path, .flags = (uint8_t)flags};

    return run(&req);
}

static uint32_t
make_file(const char *path)
{
    const int32_t slot = open_file(path, GY_OPEN_CREATE | GY_OPEN_WRITE);

    assert_true(slot >= 0);
    return (uint32_t)slot;
}

static int32_t
on_slot(enum gy_op op, uint32_t slot)
{
    struct gy_req req = {.op = (uint8_t)op, .slot = slot};

    return run(&req);
}

static int32_t
transfer(enum gy_op op, uint32_t slot, uint8_t *buffer, uint32_t size, uint64_t offset)
{
    struct gy_req req = {
        .op = (uint8_t)op, .slot = slot, .buffer = buffer, .size = size, .offset = offset};

    return run(&req);
}

static void
set_fault(const struct gy_sim_rule *rule)
{
    struct gy_sim_faults faults = {.rule_count = 1};

    faults.rules[0] = *rule;
    gy_world_sim_set_faults(world, &faults);
}

/* A run of reads, writes and syncs on three files, many in flight; returns the trace hash and the
 * order in which the first burst came back. */
static uint64_t
scripted_run(uint64_t seed, uint32_t order[REQUESTS_MAX])
{
    struct gy_heap own;
    struct gy_sim_disk *own_disk;
    struct gy_world *outer = world;
    struct gy_req reqs[REQUESTS_MAX];
    struct gy_list finished;
    uint32_t slots[3];
    uint32_t done = 0;
    uint64_t hash;

    gy_heap_init(&own, UINT64_MAX);
    own_disk = gy_sim_disk_make(NULL, &own);
    gy_world_sim_config_init(&config, seed);
    config.faults.short_ppm = 200000;
    assert_int_equal(gy_world_sim_open(&config, own_disk, &world), GYRE_OK);
    slots[0] = make_file("a");
    slots[1] = make_file("b");
    slots[2] = make_file("c");
    gy_list_init(&finished);
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        static const enum gy_op ops[] = {GY_OP_WRITE, GY_OP_WRITE, GY_OP_READ, GY_OP_SYNC};

        memset(buffers[i], (int)i, sizeof(buffers[i]));
        reqs[i] = (struct gy_req){.op = (uint8_t)ops[i % 4],
                                  .slot = slots[i % 3],
                                  .buffer = buffers[i],
                                  .size = i % 4 == 3 ? 0 : 2 * GY_PAGE,
                                  .offset = i % 5 * (uint64_t)GY_PAGE};
        world->ops->submit(world, &reqs[i]);
    }
    assert_int_equal(world->in_flight, REQUESTS_MAX);
    while (done < REQUESTS_MAX) {
        world->ops->reap(world, &finished, true, false, UINT64_MAX);
        while (!gy_list_is_empty(&finished)) {
            const struct gy_req *req =
                gy_container_of(gy_list_pop_front(&finished), struct gy_req, link);

            order[done] = (uint32_t)(req - reqs);
            done++;
        }
    }
    assert_int_equal(world->in_flight, 0);
    assert_int_equal(gy_world_sim_violation_count(world), 0);
    hash = gy_world_sim_trace_hash(world);
    hash = gy_mix64(hash ^ world->ops->random(world) ^ world->ops->now_ns(world));
    world->ops->close(world);
    world = outer;
    gy_sim_disk_free(own_disk);
    assert_int_equal(own.used, 0);
    return hash;
}

/* Goal:   one seed, one trace; another seed, another trace; each request comes back exactly once,
 *         and the order of completion is not the order of submission.
 * Method: one script run twice with each of 20 seeds. */
static void
world_sim_run_is_a_function_of_its_seed(void **state)
{
    uint32_t order[REQUESTS_MAX];
    uint32_t reordered = 0;
    uint64_t previous = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        const uint64_t hash = scripted_run(seed, order);
        uint64_t seen = 0;
        bool is_in_order = true;

        assert_int_equal(scripted_run(seed, order), hash);
        assert_int_not_equal(hash, previous);
        previous = hash;
        for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
            seen |= 1ull << order[i];
            is_in_order = is_in_order && order[i] == i;
        }
        assert_int_equal(seen, (1ull << REQUESTS_MAX) - 1);
        reordered += !is_in_order;
    }
    assert_in_range(reordered, 10, 20);
}

/* Goal:   the trace covers the bytes written: two runs that differ in one bit have two hashes. */
static void
world_sim_trace_hash_covers_bytes_written(void **state)
{
    uint64_t hashes[2];

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t slot;

        world->ops->close(world);
        gy_sim_disk_free(disk);
        disk = gy_sim_disk_make(NULL, &heap);
        open_world();
        slot = make_file("a");
        memset(buffers[0], 1, GY_PAGE);
        buffers[0][GY_PAGE - 1] = (uint8_t)i;
        assert_int_equal(transfer(GY_OP_WRITE, slot, buffers[0], GY_PAGE, 0), GY_PAGE);
        hashes[i] = gy_world_sim_trace_hash(world);
    }
    assert_int_not_equal(hashes[0], hashes[1]);
}

/* Goal:   S1: nothing happens at submit, nor in a reap before its time; a reap that waits jumps to
 *         the completion, or to the deadline if that is earlier. */
static void
world_sim_clock_jumps_to_the_next_event(void **state)
{
    struct gy_list finished;
    struct gy_req req = {.op = GY_OP_STAT};
    uint64_t start;

    (void)state;
    req.slot = make_file("a");
    gy_list_init(&finished);
    start = world->ops->now_ns(world);
    world->ops->submit(world, &req);
    world->ops->reap(world, &finished, false, false, 0);
    assert_true(gy_list_is_empty(&finished));
    world->ops->reap(world, &finished, true, false, start + 1000);
    assert_true(gy_list_is_empty(&finished));
    assert_in_range(world->ops->now_ns(world), start + 1000, start + 2000);
    world->ops->reap(world, &finished, true, false, UINT64_MAX);
    assert_ptr_equal(gy_list_pop_front(&finished), &req.link);
    world->ops->reap(world, &finished, true, false, start + GY_NS_PER_S);
    assert_in_range(world->ops->now_ns(world), start + GY_NS_PER_S, start + GY_NS_PER_S + 1000);
    assert_in_range(world->ops->cpu_ns(world), 100, 10000);
}

/* Goal:   a wall clock that jumps ten years moves nothing else. */
static void
world_sim_wall_clock_jumps_alone(void **state)
{
    const uint64_t before = world->ops->now_ns(world);

    (void)state;
    gy_world_sim_set_wall_us(world, 5);
    assert_in_range(world->ops->wall_us(world), 5, 6);
    gy_world_sim_set_wall_us(world, UINT64_MAX / 2);
    assert_in_range(world->ops->wall_us(world), UINT64_MAX / 2, UINT64_MAX / 2 + 1);
    assert_in_range(world->ops->now_ns(world), before, before + 1000);
}

/* Goal:   a write buffer edited in flight is seen, and the disk has the bytes of the submission. */
static void
world_sim_edit_of_a_write_in_flight_is_a_violation(void **state)
{
    const uint32_t slot = make_file("a");
    struct gy_list finished;
    struct gy_req req = {.op = GY_OP_WRITE, .slot = slot, .buffer = buffers[0], .size = GY_PAGE};
    uint8_t byte = 0;

    (void)state;
    gy_list_init(&finished);
    memset(buffers[0], 1, GY_PAGE);
    world->ops->submit(world, &req);
    buffers[0][GY_PAGE - 1] = 2;
    world->ops->reap(world, &finished, true, false, UINT64_MAX);
    assert_int_equal(gy_world_sim_violation_count(world), 1);
    assert_non_null(strstr(gy_world_sim_violation(world), "edited"));
    assert_non_null(strstr(gy_world_sim_violation(world), "a"));
    assert_int_equal(gy_sim_disk_peek(disk, "/a", GY_PAGE - 1, &byte, 1), 1);
    assert_int_equal(byte, 1);
}

/* Goal:   a read buffer holds garbage while the read is in flight, touching it is seen, and what a
 *         short answer does not fill stays garbage. */
static void
world_sim_read_buffer_is_poisoned_until_reap(void **state)
{
    const uint32_t slot = make_file("a");
    struct gy_list finished;
    struct gy_req req = {.op = GY_OP_READ, .slot = slot, .buffer = buffers[0], .size = 2 * GY_PAGE};

    (void)state;
    gy_list_init(&finished);
    memset(buffers[0], 1, GY_PAGE);
    assert_int_equal(transfer(GY_OP_WRITE, slot, buffers[0], GY_PAGE, 0), GY_PAGE);
    world->ops->submit(world, &req);
    assert_int_not_equal(buffers[0][0], 1);
    world->ops->reap(world, &finished, true, false, UINT64_MAX);
    assert_int_equal(req.result, GY_PAGE);
    assert_int_equal(buffers[0][GY_PAGE - 1], 1);
    assert_int_not_equal(buffers[0][GY_PAGE], 0);
    assert_int_equal(gy_world_sim_violation_count(world), 0);

    world->ops->submit(world, &req);
    buffers[0][5] = 1;
    world->ops->reap(world, &finished, true, false, UINT64_MAX);
    assert_int_equal(gy_world_sim_violation_count(world), 1);
}

/* Goal:   misuse of slots and buffers is refused and counted, never obeyed. */
static void
world_sim_misuse_is_a_violation(void **state)
{
    const uint32_t slot = make_file("a");
    struct gy_list finished;
    struct gy_req write = {.op = GY_OP_WRITE, .slot = slot, .buffer = buffers[0], .size = GY_PAGE};
    struct gy_req close = {.op = GY_OP_CLOSE, .slot = slot};

    (void)state;
    assert_int_equal(transfer(GY_OP_READ, slot, buffers[0] + 512, 512, 0), -EINVAL);
    assert_int_equal(transfer(GY_OP_READ, slot, buffers[0], 100, 0), -EINVAL);
    assert_int_equal(transfer(GY_OP_READ, slot, buffers[0], GY_IO_SIZE_MAX + 512, 0), -EINVAL);
    assert_int_equal(on_slot(GY_OP_SYNC, slot + 1), -EBADF);
    assert_int_equal(gy_world_sim_violation_count(world), 4);

    gy_list_init(&finished); /* closed under a write: the write wins */
    world->ops->submit(world, &write);
    world->ops->submit(world, &close);
    while (world->in_flight > 0) {
        world->ops->reap(world, &finished, true, false, UINT64_MAX);
    }
    assert_int_equal(write.result, GY_PAGE);
    assert_int_equal(close.result, -EBUSY);
    assert_int_equal(gy_world_sim_violation_count(world), 5);

    write.offset = GY_PAGE; /* memory taken away under a write */
    world->ops->arena_add(world, buffers, sizeof(buffers));
    world->ops->submit(world, &write);
    world->ops->arena_remove(world, buffers, sizeof(buffers));
    assert_int_equal(gy_world_sim_violation_count(world), 6);
    world->ops->reap(world, &finished, true, false, UINT64_MAX);

    world->ops->reap(world, &finished, true, false, UINT64_MAX); /* for ever */
    assert_int_equal(gy_world_sim_violation_count(world), 7);
    assert_int_equal(on_slot(GY_OP_CLOSE, slot), 0);
}

/* Goal:   the n-th matching request fails and no other; a rule for a name, a kind or a class leaves
 *         the rest alone. */
static void
world_sim_nth_request_fails_with_its_errno(void **state)
{
    const uint32_t a = make_file("000001.log");
    const uint32_t b = make_file("000002.sst");
    const struct gy_sim_rule rule = {.fault = GY_SIM_FAULT_ERROR,
                                     .op_mask = 1u << GY_OP_SYNC,
                                     .name = ".log",
                                     .nth = 3,
                                     .os_errno = EDQUOT};

    (void)state;
    set_fault(&rule);
    for (uint32_t i = 1; i <= 5; i++) {
        assert_int_equal(on_slot(GY_OP_SYNC, b), 0);
        assert_int_equal(on_slot(GY_OP_STAT, a), 0);
        assert_int_equal(on_slot(GY_OP_SYNC, a), i == 3 ? -EDQUOT : 0);
    }
    assert_int_equal(gy_world_sim_strike_count(world, 0), 1);
    gy_world_sim_set_faults(world, NULL);
    for (uint32_t i = 1; i <= 5; i++) {
        assert_int_equal(on_slot(GY_OP_SYNC, a), 0);
    }
}

/* Goal:   short transfers move at least one sector, less than all, and the bytes they report. */
static void
world_sim_short_transfers_move_whole_sectors(void **state)
{
    const uint32_t slot = make_file("a");
    const struct gy_sim_rule rule = {.fault = GY_SIM_FAULT_SHORT, .ppm = 1000000};
    uint64_t offset = 0;

    (void)state;
    set_fault(&rule);
    memset(buffers[0], 1, sizeof(buffers[0]));
    for (uint32_t i = 0; i < 50; i++) {
        const int32_t moved = transfer(GY_OP_WRITE, slot, buffers[0], 2 * GY_PAGE, offset);

        assert_in_range(moved, 512, 2 * GY_PAGE - 512);
        assert_int_equal(moved % 512, 0);
        offset += (uint32_t)moved;
        assert_int_equal(gy_sim_disk_file_size(disk, "/a"), offset);
    }
    assert_in_range(transfer(GY_OP_READ, slot, buffers[0], 2 * GY_PAGE, 0), 512, 2 * GY_PAGE - 512);
}

/* Goal:   each silent fault answers "done" and does harm just where it says. */
static void
world_sim_silent_faults_report_success(void **state)
{
    const uint32_t slot = make_file("a");
    struct gy_sim_rule rule = {.fault = GY_SIM_FAULT_FLIP, .ppm = 1000000};
    uint32_t flipped = 0;

    (void)state;
    memset(buffers[0], 0xff, GY_PAGE);
    for (uint32_t page = 0; page < 8; page++) {
        transfer(GY_OP_WRITE, slot, buffers[0], GY_PAGE, page * (uint64_t)GY_PAGE);
    }
    set_fault(&rule);
    assert_int_equal(transfer(GY_OP_READ, slot, buffers[1], GY_PAGE, 0), GY_PAGE);
    for (uint32_t i = 0; i < GY_PAGE; i++) {
        flipped += 8u - (uint32_t)__builtin_popcount(buffers[1][i]);
    }
    assert_int_equal(flipped, 1);
    assert_int_equal(transfer(GY_OP_WRITE, slot, buffers[0], GY_PAGE, 0), GY_PAGE);
    gy_world_sim_set_faults(world, NULL);
    assert_int_equal(transfer(GY_OP_READ, slot, buffers[1], GY_PAGE, 0), GY_PAGE);
    assert_memory_not_equal(buffers[0], buffers[1], GY_PAGE); /* at rest */

    rule.fault = GY_SIM_FAULT_LOST;
    rule.op_mask = 1u << GY_OP_WRITE;
    set_fault(&rule);
    memset(buffers[0], 2, GY_PAGE);
    assert_int_equal(transfer(GY_OP_WRITE, slot, buffers[0], GY_PAGE, GY_PAGE), GY_PAGE);
    assert_int_equal(transfer(GY_OP_READ, slot, buffers[1], GY_PAGE, GY_PAGE), GY_PAGE);
    assert_int_equal(buffers[1][0], 0xff);

    rule.fault = GY_SIM_FAULT_MISDIRECT;
    set_fault(&rule);
    assert_int_equal(transfer(GY_OP_WRITE, slot, buffers[0], GY_PAGE, GY_PAGE), GY_PAGE);
    flipped = 0;
    for (uint32_t page = 0; page < 8; page++) {
        transfer(GY_OP_READ, slot, buffers[1], GY_PAGE, page * (uint64_t)GY_PAGE);
        assert_true(page != 1 || buffers[1][0] == 0xff);
        flipped += buffers[1][0] == 2;
    }
    assert_int_equal(flipped, 1);
    assert_int_equal(gy_world_sim_violation_count(world), 0);
}

/* Goal:   a stuck request never comes back by itself, others do, and it completes when the faults
 *         are taken away. */
static void
world_sim_stuck_request_completes_when_faults_stop(void **state)
{
    const struct gy_sim_rule rule = {.fault = GY_SIM_FAULT_STUCK, .nth = 1};
    struct gy_req stuck = {.op = GY_OP_SYNC};
    struct gy_list finished;

    (void)state;
    gy_list_init(&finished);
    stuck.slot = make_file("a");
    set_fault(&rule);
    world->ops->submit(world, &stuck);
    assert_int_equal(on_slot(GY_OP_STAT, stuck.slot), 0);
    world->ops->reap(world, &finished, true, false, world->ops->now_ns(world) + 3600 * GY_NS_PER_S);
    assert_true(gy_list_is_empty(&finished));
    gy_world_sim_set_faults(world, NULL);
    world->ops->reap(world, &finished, true, false, UINT64_MAX);
    assert_ptr_equal(gy_list_pop_front(&finished), &stuck.link);
    assert_int_equal(stuck.result, 0);
}

/* Goal:   a full disk says so, in writes, allocations and the free space; room that comes back is
 *         used. */
static void
world_sim_full_disk_answers_no_space(void **state)
{
    const uint32_t slot = make_file("a");
    const uint32_t dir = (uint32_t)open_file("/", GY_OPEN_DIRECTORY);
    struct gy_req allocate = {.op = GY_OP_ALLOCATE, .slot = slot, .offset = 5 * GY_PAGE};
    struct gy_req space = {.op = GY_OP_FREE_SPACE, .slot = dir};

    (void)state;
    gy_sim_disk_set_capacity(disk, 4 * GY_PAGE);
    assert_int_equal(run(&allocate), -ENOSPC);
    allocate.offset = 4 * GY_PAGE;
    assert_int_equal(run(&allocate), 0);
    assert_int_equal(run(&space), 0);
    assert_int_equal(space.ret_size, 0);
    assert_int_equal(transfer(GY_OP_WRITE, slot, buffers[0], GY_PAGE, 0), GY_PAGE);
    assert_int_equal(transfer(GY_OP_WRITE, slot, buffers[0], GY_PAGE, 4 * GY_PAGE), -ENOSPC);
    gy_sim_disk_set_capacity(disk, 8 * GY_PAGE);
    assert_int_equal(transfer(GY_OP_WRITE, slot, buffers[0], GY_PAGE, 4 * GY_PAGE), GY_PAGE);
}

/* Goal:   a lock is held against the other world on the disk and against another open file of the
 *         same world, until it is closed or its world is. */
static void
world_sim_lock_is_exclusive_between_worlds(void **state)
{
    struct gy_world *first = world;
    const uint32_t slot = make_file("LOCK");
    const uint32_t again = (uint32_t)open_file("LOCK", GY_OPEN_WRITE);
    uint32_t other;

    (void)state;
    assert_int_equal(on_slot(GY_OP_LOCK, slot), 0);
    assert_int_equal(on_slot(GY_OP_LOCK, slot), 0);
    assert_int_equal(on_slot(GY_OP_LOCK, again), -EWOULDBLOCK);
    open_world();
    other = (uint32_t)open_file("LOCK", GY_OPEN_WRITE);
    assert_int_equal(on_slot(GY_OP_LOCK, other), -EWOULDBLOCK);
    first->ops->close(first);
    assert_int_equal(on_slot(GY_OP_LOCK, other), 0);
}

/* Goal:   shared locks go together, an exclusive one with none, and each ends with its slot. */
static void
world_sim_shared_lock_excludes_only_an_exclusive_one(void **state)
{
    const uint32_t first = make_file("LOCK");
    const uint32_t second = (uint32_t)open_file("LOCK", 0);
    const uint32_t third = (uint32_t)open_file("LOCK", GY_OPEN_WRITE);
    struct gy_req share = {.op = GY_OP_LOCK, .slot = first, .flags = GY_LOCK_SHARED};

    (void)state;
    assert_int_equal(run(&share), 0);
    assert_int_equal(run(&share), 0);
    share.slot = second;
    assert_int_equal(run(&share), 0);
    assert_int_equal(on_slot(GY_OP_LOCK, third), -EWOULDBLOCK);
    assert_int_equal(on_slot(GY_OP_CLOSE, first), 0);
    assert_int_equal(on_slot(GY_OP_LOCK, third), -EWOULDBLOCK);
    assert_int_equal(on_slot(GY_OP_CLOSE, second), 0);
    assert_int_equal(on_slot(GY_OP_LOCK, third), 0);
    share.slot = make_file("LOCK");
    assert_int_equal(run(&share), -EWOULDBLOCK);
}

static void
collect_name(void *arg, const char *name, bool is_regular)
{
    char *all = arg;

    strcat(all, name);
    strcat(all, is_regular ? ";" : "/;");
}

/* Goal:   names: sorted listing, the errors of the kernel, links across directories. */
static void
world_sim_names_follow_the_kernel(void **state)
{
    char listed[128] = "";
    struct gy_req req = {.op = GY_OP_MKDIR, .dir = GY_DIR_CWD, .name = "d"};

    (void)state;
    assert_int_equal(run(&req), 0);
    assert_int_equal(run(&req), -EEXIST);
    make_file("d/b");
    make_file("d/a");
    assert_int_equal(open_file("d/c", 0), -ENOENT);
    assert_int_equal(open_file("d", 0), -EISDIR);
    assert_int_equal(open_file("d/a", GY_OPEN_DIRECTORY), -ENOTDIR);
    assert_int_equal(open_file("d/a", GY_OPEN_CREATE | GY_OPEN_EXCLUSIVE), -EEXIST);
    req = (struct gy_req){.op = GY_OP_LINK,
                          .dir = (uint32_t)open_file("/d/", GY_OPEN_DIRECTORY),
                          .dir_new = (uint32_t)open_file("d/..", GY_OPEN_DIRECTORY),
                          .name = "a",
                          .name_new = "z"};
    assert_int_equal(run(&req), 0);
    assert_int_equal(run(&req), -EEXIST);
    req.op = GY_OP_UNLINK;
    assert_int_equal(run(&req), 0);
    assert_int_equal(run(&req), -ENOENT);
    req = (struct gy_req){
        .op = GY_OP_LIST, .slot = req.dir_new, .list = collect_name, .list_arg = listed};
    assert_int_equal(run(&req), 0);
    assert_string_equal(listed, "d/;z;");
    req.op = GY_OP_RENAME;
    req.dir = req.slot;
    req.name = "z";
    req.name_new = "d/x";
    assert_int_equal(run(&req), -EINVAL);
}

static uint32_t events_seen;
static uint32_t losses_seen;

/* At each event the crashed copy has the acknowledged byte, or the event came before the ack. */
static void
crash_at_event(void *arg, uint64_t event)
{
    const bool *is_acked = arg;
    struct gy_rng rng;
    struct gy_sim_disk *after;
    uint8_t byte = 0;

    events_seen++;
    assert_int_equal(event, events_seen);
    gy_rng_init(&rng, event);
    after = gy_sim_disk_crash(disk, &rng, GY_SIM_CRASH_NONE);
    if (gy_sim_disk_peek(after, "/a", 0, &byte, 1) != 1 || byte != 3) {
        losses_seen++;
        assert_false(*is_acked);
    }
    gy_sim_disk_free(after);
}

/* Goal:   E1: a copy can be crashed at every event while the run goes on, and what was acknowledged
 *         by a file sync and a directory sync is in each of them. */
static void
world_sim_disk_can_be_crashed_at_every_event(void **state)
{
    static bool is_acked;
    uint32_t slot;

    (void)state;
    world->ops->close(world);
    config.on_event = crash_at_event;
    config.arg = &is_acked;
    events_seen = 0;
    losses_seen = 0;
    is_acked = false;
    open_world();
    slot = make_file("a");
    memset(buffers[0], 3, GY_PAGE);
    transfer(GY_OP_WRITE, slot, buffers[0], GY_PAGE, 0);
    assert_int_equal(on_slot(GY_OP_SYNC, slot), 0);
    assert_int_equal(on_slot(GY_OP_SYNC, (uint32_t)open_file(".", GY_OPEN_DIRECTORY)), 0);
    is_acked = true;
    on_slot(GY_OP_CLOSE, slot);
    assert_int_equal(events_seen, gy_world_sim_event_count(world));
    assert_int_equal(events_seen, 12);
    assert_int_equal(losses_seen, 9); /* all before the directory sync completed */
}

/* Goal:   a run stopped at an event ends all requests with -EIO, touches the disk no more, leaves
 *         the requests in flight to be drawn in a crash, and everything can be closed in the usual
 *         way. */
static void
world_sim_stopped_world_fails_and_freezes_the_disk(void **state)
{
    struct gy_req write = {.op = GY_OP_WRITE, .buffer = buffers[0], .size = GY_PAGE};
    struct gy_sim_disk *after;
    struct gy_list finished;
    struct gy_rng rng;
    uint64_t hash;
    uint8_t byte = 0;

    (void)state;
    gy_list_init(&finished);
    world->ops->close(world);
    config.stop_at_event = 3;
    config.stop = GY_SIM_STOP_FAIL;
    open_world();
    write.slot = make_file("a");
    memset(buffers[0], 3, GY_PAGE);
    world->ops->submit(world, &write); /* event 3 */
    assert_int_equal(gy_world_sim_stopped(world), GY_SIM_STOP_FAIL);
    hash = gy_sim_disk_hash(disk);
    world->ops->reap(world, &finished, true, false, UINT64_MAX);
    assert_int_equal(write.result, -EIO);
    assert_int_equal(transfer(GY_OP_WRITE, write.slot, buffers[0], GY_PAGE, GY_PAGE), -EIO);
    assert_int_equal(open_file("b", GY_OPEN_CREATE), -EIO);
    assert_int_equal(on_slot(GY_OP_CLOSE, write.slot), 0);
    assert_int_equal(gy_sim_disk_hash(disk), hash);
    gy_rng_init(&rng, 1);
    after = gy_sim_disk_crash(disk, &rng, GY_SIM_CRASH_ALL);
    assert_int_equal(gy_sim_disk_peek(after, "/a", 0, &byte, 1), 1);
    assert_int_equal(byte, 3);
    assert_int_equal(gy_sim_disk_file_size(after, "/a"), GY_PAGE);
    gy_sim_disk_free(after);
}

/* A random run on six names and four slots with every kind of fault, and crash copies in every mode
 * at every 16th event. */
struct stress {
    struct gy_rng rng;
    struct gy_rng crash_rng;
    uint64_t copies_hash;
    int32_t slots[4];
    struct gy_req reqs[REQUESTS_MAX];
    bool is_busy[REQUESTS_MAX];
};

static const char *const stress_names[] = {"a", "b", "c", "d", "e", "f"};

static void
stress_crash(void *arg, uint64_t event)
{
    struct stress *stress = arg;

    if (event % 16 != 0) {
        return;
    }
    for (int mode = GY_SIM_CRASH_NONE; mode <= GY_SIM_CRASH_KILL; mode++) {
        struct gy_sim_disk *after =
            gy_sim_disk_crash(disk, &stress->crash_rng, (enum gy_sim_crash)mode);

        assert_true(mode == GY_SIM_CRASH_KILL || gy_sim_disk_pending_count(after) == 0);
        stress->copies_hash = gy_mix64(stress->copies_hash ^ gy_sim_disk_hash(after));
        for (uint32_t i = 0; i < 6; i++) {
            if (gy_sim_disk_file_size(after, stress_names[i]) >= 0) {
                assert_int_equal(gy_sim_disk_poke(after, stress_names[i], 0, "x", 1), 1);
                assert_true(gy_sim_disk_is_durable(after, stress_names[i], 0, 1));
            }
        }
        gy_sim_disk_free(after);
    }
}

static void
stress_fill(struct stress *stress, uint32_t index, uint32_t dir)
{
    static const enum gy_op ops[] = {GY_OP_WRITE,    GY_OP_WRITE,  GY_OP_WRITE,  GY_OP_READ,
                                     GY_OP_SYNC,     GY_OP_RENAME, GY_OP_UNLINK, GY_OP_LINK,
                                     GY_OP_ALLOCATE, GY_OP_STAT,   GY_OP_OPEN,   GY_OP_SYNC,
                                     GY_OP_TRUNCATE};
    struct gy_rng *rng = &stress->rng;
    struct gy_req *req = &stress->reqs[index];
    const int32_t slot = stress->slots[gy_rng_below(rng, 4)];

    *req = (struct gy_req){.op = (uint8_t)ops[gy_rng_below(rng, sizeof(ops) / sizeof(ops[0]))],
                           .slot = gy_rng_below(rng, 4) == 0 ? dir : (uint32_t)slot,
                           .dir = dir,
                           .dir_new = dir,
                           .buffer = buffers[index],
                           .name = stress_names[gy_rng_below(rng, 6)],
                           .name_new = stress_names[gy_rng_below(rng, 6)],
                           .offset = gy_rng_below(rng, 16) * 512,
                           .klass = GY_IO_WAL};
    if (req->op == GY_OP_WRITE || req->op == GY_OP_READ) {
        req->size = (uint32_t)gy_rng_below(rng, 16) * 512;
        req->flags = req->op == GY_OP_WRITE ? (uint8_t)gy_rng_below(rng, 2) : 0;
        memset(req->buffer, (int)gy_rng_below(rng, 256), req->size);
    } else if (req->op == GY_OP_OPEN) {
        req->flags = GY_OPEN_CREATE | GY_OPEN_WRITE;
    }
}

/* Take back what is finished; a slot that a random OPEN made is swapped for an idle one of ours. */
static void
stress_reap(struct stress *stress)
{
    struct gy_list finished;

    gy_list_init(&finished);
    world->ops->reap(world, &finished, true, false, world->ops->now_ns(world) + GY_NS_PER_MS);
    while (!gy_list_is_empty(&finished)) {
        struct gy_req *req = gy_container_of(gy_list_pop_front(&finished), struct gy_req, link);

        stress->is_busy[req - stress->reqs] = false;
        if (req->op == GY_OP_OPEN && req->result >= 0) {
            struct gy_req *close = req;

            *close = (struct gy_req){.op = GY_OP_CLOSE, .slot = (uint32_t)req->result};
            stress->is_busy[req - stress->reqs] = true;
            world->ops->submit(world, close);
        }
    }
}

static uint64_t
stress_run(uint64_t seed)
{
    static struct stress stress;
    struct gy_sim_faults faults = {.rule_count = GY_SIM_FAULT_LOST, .short_ppm = 100000};
    uint32_t dir;

    stress = (struct stress){.copies_hash = seed};
    gy_rng_init(&stress.rng, seed);
    gy_rng_init(&stress.crash_rng, seed + 1);
    world->ops->close(world);
    gy_sim_disk_free(disk);
    disk = gy_sim_disk_make(&(struct gy_sim_disk_config){.capacity = 40 * GY_PAGE}, &heap);
    gy_world_sim_config_init(&config, seed);
    config.on_event = stress_crash;
    config.arg = &stress;
    open_world();
    dir = (uint32_t)open_file("/", GY_OPEN_DIRECTORY);
    for (uint32_t i = 0; i < 4; i++) {
        stress.slots[i] = (int32_t)make_file(stress_names[i]);
    }
    for (uint32_t i = 0; i < GY_SIM_FAULT_LOST; i++) {
        faults.rules[i] = (struct gy_sim_rule){
            .fault = (enum gy_sim_fault)(i + 1), .ppm = 10000, .delay_ns = GY_NS_PER_MS};
    }
    faults.rules[GY_SIM_FAULT_STUCK - 1].strikes_max = 2;
    gy_world_sim_set_faults(world, &faults);
    for (uint32_t step = 0; step < 600; step++) {
        const uint32_t index = (uint32_t)gy_rng_below(&stress.rng, REQUESTS_MAX);

        if (!stress.is_busy[index]) {
            stress_fill(&stress, index, dir);
            stress.is_busy[index] = true;
            world->ops->submit(world, &stress.reqs[index]);
        }
        if (gy_rng_below(&stress.rng, 3) == 0) {
            stress_reap(&stress);
        }
    }
    gy_world_sim_set_faults(world, NULL);
    while (world->in_flight > 0) {
        stress_reap(&stress);
    }
    assert_string_equal(gy_world_sim_violation(world), "");
    assert_in_range(gy_sim_disk_used_bytes(disk), 0, 40 * GY_PAGE);
    return gy_mix64(gy_world_sim_trace_hash(world) ^ gy_mix64(stress.copies_hash) ^
                    gy_sim_disk_hash(disk));
}

/* Goal:   no mix of requests, faults and crashes breaks an invariant of the simulator, leaks, or
 *         gives one seed two outcomes.
 * Method: random runs, each twice; the asserts inside the simulator are the oracle. */
static void
world_sim_random_runs_keep_all_invariants(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 25; seed++) {
        assert_int_equal(stress_run(seed), stress_run(seed));
    }
}

/* Goal:   staging memory is found again by another world of the same boot; the boot id tells boots
 *         apart and is the same for all worlds of one. */
static void
world_sim_boot_id_changes_with_a_power_cut_only(void **state)
{
    struct gy_world *first = world;
    const uint64_t id[2] = {1, 2};
    struct gy_stage stage;
    uint64_t boot[2];
    uint64_t boot_after[2];
    struct gy_rng rng;
    static const enum gy_sim_crash modes[] = {GY_SIM_CRASH_KILL, GY_SIM_CRASH_RANDOM};

    (void)state;
    first->ops->boot_id(first, boot);
    assert_int_equal(first->ops->stage_create(first, &stage, id, GY_PAGE), 0);
    memset(stage.base, 9, GY_PAGE);
    gy_rng_init(&rng, 1);
    for (uint32_t i = 0; i < 2; i++) {
        struct gy_sim_disk *after = gy_sim_disk_crash(disk, &rng, modes[i]);
        struct gy_stage found;

        assert_int_equal(gy_world_sim_open(&config, after, &world), GYRE_OK);
        world->ops->boot_id(world, boot_after);
        assert_true((memcmp(boot, boot_after, sizeof(boot)) == 0) == (i == 0));
        assert_int_equal(world->ops->stage_open(world, &found, id), i == 0 ? 0 : -ENOENT);
        if (i == 0) {
            assert_memory_equal(found.base, stage.base, GY_PAGE);
            world->ops->stage_close(world, &found, true);
            assert_int_equal(world->ops->stage_open(world, &found, id), -ENOENT);
        }
        world->ops->close(world);
        gy_sim_disk_free(after);
    }
    world = first;
    world->ops->stage_close(world, &stage, false);
    assert_int_equal(world->ops->stage_open(world, &stage, id), 0);
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(world_sim_run_is_a_function_of_its_seed),
        T(world_sim_trace_hash_covers_bytes_written),
        T(world_sim_clock_jumps_to_the_next_event),
        T(world_sim_wall_clock_jumps_alone),
        T(world_sim_edit_of_a_write_in_flight_is_a_violation),
        T(world_sim_read_buffer_is_poisoned_until_reap),
        T(world_sim_misuse_is_a_violation),
        T(world_sim_nth_request_fails_with_its_errno),
        T(world_sim_short_transfers_move_whole_sectors),
        T(world_sim_silent_faults_report_success),
        T(world_sim_stuck_request_completes_when_faults_stop),
        T(world_sim_full_disk_answers_no_space),
        T(world_sim_lock_is_exclusive_between_worlds),
        T(world_sim_shared_lock_excludes_only_an_exclusive_one),
        T(world_sim_names_follow_the_kernel),
        T(world_sim_disk_can_be_crashed_at_every_event),
        T(world_sim_stopped_world_fails_and_freezes_the_disk),
        T(world_sim_random_runs_keep_all_invariants),
        T(world_sim_boot_id_changes_with_a_power_cut_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
