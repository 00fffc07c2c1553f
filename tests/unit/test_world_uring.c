/* test_world_uring.c - the world of io_uring: the contract with everything registered and with
 * nothing, and what is its own. Exits 77 (skipped) where the machine forbids io_uring. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/base/bits.h"
#include "io/base/heap.h"
#include "io/co/sched.h"
#include "io/uring.h"
#include "tests/support/scratch.h"
#include "tests/support/world_calls.h"
#include "tests/support/world_contract.h"

#define SKIPPED 77

struct machine {
    struct gy_heap heap;
    struct gy_world_config config;
    char directory[SCRATCH_PATH_MAX];
    char reason[160];
};

static struct gy_world *
machine_open(void *arg)
{
    struct machine *machine = arg;
    struct gy_world *world = NULL;

    return gy_world_uring_open(&machine->config, &machine->heap, machine->reason, &world) == GYRE_OK
               ? world
               : NULL;
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

static int32_t
make_file(struct gy_world *world, const struct machine *machine, const char *name, uint32_t size)
{
    const int32_t dir = world_open(world, GY_DIR_CWD, machine->directory, GY_OPEN_DIRECTORY);
    const int32_t slot = world_open(world, (uint32_t)dir, name, GY_OPEN_WRITE | GY_OPEN_CREATE);
    uint8_t *bytes = world_pages(size);

    assert_true(dir >= 0 && slot >= 0);
    world_write(world, slot, 0, bytes, size, 0);
    assert_int_equal(world_close(world, dir), 0);
    free(bytes);
    return slot;
}

/* Goal:   submissions are gathered, eight to a system call; a log write does not wait for
 *         company. */
static void
world_uring_enters_every_eight_and_at_once_for_wal(void **state)
{
    enum { COUNT = 20 };
    struct machine *machine = *state;
    struct gy_world *world = machine_open(machine);
    const int32_t slot = make_file(world, machine, "f", COUNT * GY_PAGE);
    uint8_t *bytes = world_pages((COUNT + 1) * GY_PAGE);
    const uint64_t before = world->info.enter_count;
    struct gy_req reads[COUNT];
    struct gy_req wal = world_req(GY_OP_WRITE, GY_IO_WAL);

    for (uint32_t i = 0; i < COUNT; i++) {
        reads[i] = world_req(GY_OP_READ, GY_IO_READ);
        reads[i].slot = (uint32_t)slot;
        reads[i].buffer = bytes + (size_t)i * GY_PAGE;
        reads[i].size = GY_PAGE;
        reads[i].offset = (uint64_t)i * GY_PAGE;
        world_submit(world, &reads[i]);
        assert_int_equal(world->info.enter_count - before, (i + 1) / 8);
    }
    wal.slot = (uint32_t)slot;
    wal.buffer = bytes + (size_t)COUNT * GY_PAGE;
    wal.size = GY_PAGE;
    wal.flags = GY_IO_DSYNC;
    world_submit(world, &wal);
    assert_int_equal(world->info.enter_count - before, COUNT / 8 + 1);
    world_reap(world, COUNT + 1);
    assert_int_equal(world_close(world, slot), 0);
    world->ops->close(world);
    free(bytes);
}

/* Goal:   a look without news costs no system call: with nothing in flight never, and with
 *         something in flight where the ring tells us (DEFER_TASKRUN kernels). */
static void
world_uring_reap_without_news_does_not_enter(void **state)
{
    struct machine *machine = *state;
    struct gy_world *world = machine_open(machine);
    const uint64_t before = world->info.enter_count;
    struct gy_list finished;

    gy_list_init(&finished);
    for (uint32_t i = 0; i < 100; i++) {
        world->ops->reap(world, &finished, false, true, GY_NEVER);
    }
    world->ops->reap(world, &finished, true, false, GY_NEVER); /* would wait for ever: returns */
    assert_int_equal(world->info.enter_count, before);
    world->ops->close(world);
}

/* Goal:   the host is not woken for a flag of the kernel that nothing stands behind: it is set
 *         after the work was queued, and we may have taken the work in between. */
static void
world_uring_flag_without_work_wakes_nobody(void **state)
{
    struct machine *machine = *state;
    struct gy_world *world = machine_open(machine);
    struct gy_uring *uring = gy_uring_of(world);
    struct pollfd entry = {.fd = world->ops->wake_fd(world), .events = POLLIN};

    assert_true(entry.fd >= 0);
    if (uring->has_task_flag) {
        *uring->ring.sq.kflags |= IORING_SQ_TASKRUN;
    }
    world->ops->wake_drain(world);
    world->ops->wake_at(world, GY_NEVER);
    assert_int_equal(poll(&entry, 1, 0), 0);
    world->ops->wake_drain(world);
    world->ops->wake_at(world, 0); /* but it is when somebody wants it */
    assert_int_equal(poll(&entry, 1, 0), 1);
    world->ops->close(world);
}

/* A process that wants the only processor that we have. */
static pid_t
start_hog(void)
{
    cpu_set_t one;
    pid_t child;
    const int cpu = sched_getcpu();

    CPU_ZERO(&one);
    CPU_SET(cpu < 0 ? 0u : (size_t)cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* also where the test fails */
        for (;;) {
        }
    }
    return child;
}

/* Goal:   the processor is given up to the kernel's workers while a durable write is in flight, but
 *         not again and again to another process that wants it.
 * Method: 2,000 turns beside one, whose own turns are about 3 ms: 2,000 yields take seconds. */
static void
world_uring_yields_are_not_eaten_by_another_process(void **state)
{
    struct machine *machine = *state;
    struct gy_world *world = machine_open(machine);
    struct gy_uring *uring = gy_uring_of(world);
    struct gy_list finished;
    cpu_set_t before;
    uint64_t begun_ns;
    pid_t hog;

    gy_list_init(&finished);
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    hog = start_hog();
    uring->busy_syncs++; /* one that takes long */
    begun_ns = world->ops->now_ns(world);
    for (uint32_t i = 0; i < 2000; i++) {
        world->ops->reap(world, &finished, false, true, GY_NEVER);
    }
    assert_in_range(world->ops->now_ns(world) - begun_ns, 0, 1000 * GY_NS_PER_MS);
    assert_true(uring->yield_from_ns > 0); /* it did yield, and noticed */
    uring->busy_syncs--;
    assert_int_equal(kill(hog, SIGKILL), 0);
    assert_int_equal(waitpid(hog, NULL, 0), hog);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
    world->ops->close(world);
}

/* Goal:   chunks get registered where the kernel lets us, and are forgotten when taken back; more
 *         chunks than there is room for are refused without harm. */
static void
world_uring_registers_chunks_and_counts_them(void **state)
{
    struct machine *machine = *state;
    struct gy_world *world = machine_open(machine);
    uint8_t *chunks = aligned_alloc(GY_ARENA_CHUNK, 3 * GY_ARENA_CHUNK);
    uint64_t registered;

    assert_non_null(chunks);
    assert_true(world->info.has_registered_files);
    world->ops->arena_add(world, chunks, GY_ARENA_CHUNK);
    world->ops->arena_add(world, chunks + GY_ARENA_CHUNK, 2 * GY_ARENA_CHUNK);
    registered = world->info.registered_bytes;
    assert_int_equal(registered % GY_ARENA_CHUNK, 0);
    assert_int_equal(world->info.has_registered_buffers, registered != 0);
    if (geteuid() == 0) { /* no RLIMIT_MEMLOCK for root */
        assert_int_equal(registered, 3 * GY_ARENA_CHUNK);
    }
    world->ops->arena_remove(world, chunks, 3 * GY_ARENA_CHUNK);
    assert_int_equal(world->info.registered_bytes, 0);
    assert_false(world->info.has_registered_buffers);
    world->ops->close(world);
    free(chunks);
}

/* Close our own descriptor of a file behind the world's back; its number stays taken. */
static void
close_descriptor_of(const char *name)
{
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    uint32_t closed = 0;

    while ((entry = readdir(dir)) != NULL) {
        char path[64];
        char target[512];
        ssize_t size;

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%.20s", entry->d_name);
        size = readlink(path, target, sizeof(target) - 1);
        if (size > 0) {
            target[size] = '\0';
            if (strcmp(strrchr(target, '/') != NULL ? strrchr(target, '/') : "", name) == 0) {
                assert_true(dup2(null, atoi(entry->d_name)) >= 0);
                closed++;
            }
        }
    }
    (void)closedir(dir);
    (void)close(null);
    assert_int_equal(closed, 1);
}

/* Goal:   the ring itself holds the LOCK file, so that a killed process holds the lock until the
 *         kernel has finished its last write.
 * Method: what a kill does first is close the descriptors. Close the one of LOCK by hand: nobody
 *         else gets the lock until the ring is gone too. */
static void
world_uring_ring_holds_the_lock_without_descriptor(void **state)
{
    struct machine *machine = *state;
    struct gy_world *world = machine_open(machine);
    struct gy_world *other = machine_open(machine);
    const int32_t lock = make_file(world, machine, "LOCK", GY_PAGE);
    int32_t lock_other;
    int32_t result = -EWOULDBLOCK;

    assert_int_equal(world_slot_op(world, GY_OP_LOCK, lock, 0), 0);
    close_descriptor_of("/LOCK");
    lock_other = make_file(other, machine, "LOCK", GY_PAGE);
    assert_int_equal(world_slot_op(other, GY_OP_LOCK, lock_other, 0), -EWOULDBLOCK);
    assert_int_equal(world_close(world, lock), 0); /* takes it out of the ring */
    for (uint32_t i = 0; i < 2000 && result == -EWOULDBLOCK; i++) {
        result = world_slot_op(other, GY_OP_LOCK, lock_other, 0);
        (void)usleep(1000);
    }
    assert_int_equal(result, 0);
    assert_int_equal(world_close(other, lock_other), 0);
    world->ops->close(world);
    other->ops->close(other);
}

/* Goal:   kernel threads stay few: what the kernel cannot do without waiting is bounded. */
static void
world_uring_workers_are_few_and_counted(void **state)
{
    enum { COUNT = 40 };
    struct machine *machine = *state;
    struct gy_world *world = machine_open(machine);
    const int32_t slot = make_file(world, machine, "f", GY_PAGE);
    struct gy_req reqs[COUNT];

    for (uint32_t i = 0; i < COUNT; i++) {
        reqs[i] = world_req(GY_OP_SYNC, GY_IO_META);
        reqs[i].slot = (uint32_t)slot;
        world_submit(world, &reqs[i]);
    }
    world_reap(world, COUNT);
    world->ops->refresh_info(world);
    assert_in_range(world->info.worker_count, 1, 5);
    assert_int_equal(world_close(world, slot), 0);
    world->ops->close(world);
}

static void
on_alarm(int signal_number)
{
    (void)signal_number;
}

/* Goal:   a signal ends the wait: the host's handler may want to stop the loop. */
static void
world_uring_signal_ends_the_wait(void **state)
{
    const struct itimerval after = {.it_value = {.tv_usec = 50000}};
    const struct sigaction action = {.sa_handler = on_alarm};
    struct machine *machine = *state;
    struct gy_world *world = machine_open(machine);
    const uint64_t start_ns = world->ops->now_ns(world);
    struct gy_list finished;

    gy_list_init(&finished);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &after, NULL), 0);
    world->ops->reap(world, &finished, true, false, start_ns + 20 * GY_NS_PER_S);
    assert_true(world->ops->now_ns(world) - start_ns < 10 * GY_NS_PER_S);
    world->ops->close(world);
}

static void
world_uring_open_survives_every_failed_allocation(void **state)
{
    struct machine *machine = *state;

    for (uint64_t fail_at = 1;; fail_at++) {
        struct gy_world *world = NULL;
        gyre_status st;

        gy_heap_init(&machine->heap, UINT64_MAX);
        machine->heap.fail_at = fail_at;
        st = gy_world_uring_open(&machine->config, &machine->heap, machine->reason, &world);
        if (st == GYRE_OK) {
            assert_in_range(fail_at, 2, 12);
            world->ops->close(world);
            break;
        }
        assert_int_equal(st, GYRE_NO_MEMORY);
        assert_int_equal(machine->heap.used, 0);
    }
    assert_int_equal(machine->heap.used, 0);
}

/* Goal:   a full file table is an error and heals, also while opens are in flight. */
static void
world_uring_reports_full_file_table(void **state)
{
    struct machine *machine = *state;
    struct gy_world *world;
    struct gy_req reqs[6];
    uint32_t open_count = 0;

    machine->config.file_count_max = 4;
    world = machine_open(machine);
    for (uint32_t i = 0; i < 6; i++) {
        reqs[i] = world_req(GY_OP_OPEN, GY_IO_META);
        reqs[i].dir = GY_DIR_CWD;
        reqs[i].name = machine->directory;
        reqs[i].flags = GY_OPEN_DIRECTORY;
        world_submit(world, &reqs[i]);
    }
    world_reap(world, 6);
    for (uint32_t i = 0; i < 6; i++) {
        open_count += reqs[i].result >= 0;
        assert_true(reqs[i].result >= 0 || reqs[i].result == -EMFILE);
    }
    assert_int_equal(open_count, 4);
    assert_int_equal(world_close(world, 1), 0);
    assert_int_equal(world_open(world, GY_DIR_CWD, machine->directory, GY_OPEN_DIRECTORY), 1);
    world->ops->close(world);
}

/* In a child, as an ordinary user with little memory to lock. */
static int
child_with_small_memlock(struct machine *machine)
{
    const struct rlimit limit = {64 * GY_KIB, 64 * GY_KIB};
    uint8_t *chunk = aligned_alloc(GY_ARENA_CHUNK, GY_ARENA_CHUNK);
    uint8_t *page = world_pages(GY_PAGE);
    struct gy_world *world;
    int32_t slot;

    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
        (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))) {
        return 2;
    }
    world = machine_open(machine);
    if (world == NULL || chunk == NULL) {
        return 3;
    }
    world->ops->arena_add(world, chunk, GY_ARENA_CHUNK);
    if (world->info.has_registered_buffers || world->info.registered_bytes != 0) {
        return 4;
    }
    slot = make_file(world, machine, "memlock", GY_PAGE);
    world_pattern(chunk, GY_PAGE, 5);
    world_write(world, slot, 0, chunk, GY_PAGE, GY_IO_DSYNC);
    if (world_read(world, slot, 0, page, GY_PAGE) != GY_PAGE || memcmp(page, chunk, GY_PAGE) != 0) {
        return 5;
    }
    world->ops->close(world);
    return 0;
}

/* Goal:   where the kernel refuses to pin memory everything works unregistered. */
static void
world_uring_works_when_registration_is_refused(void **state)
{
    struct machine *machine = *state;
    int status = -1;
    pid_t child;

    assert_int_equal(chmod(machine->directory, 0777), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(child_with_small_memlock(machine));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* What goes into the ring for a request. */
static struct io_uring_sqe
entry_of(struct gy_world *world, struct gy_req *req)
{
    struct gy_uring_op op = {.req = req};
    struct io_uring_sqe sqe;

    memset(&sqe, 0, sizeof(sqe));
    gy_uring_prepare(gy_uring_of(world), &sqe, &op);
    return sqe;
}

/* Goal:   what cannot be seen without a power cut: a durable write says so to the kernel and a
 *         plain one does not, a file is synced without its times, a directory whole. And registered
 *         files and chunks are used as such, also by a log write out of staging memory.
 * Method: look at the submission entries. */
static void
world_uring_entries_ask_for_what_was_promised(void **state)
{
    struct machine *machine = *state;
    struct gy_world *world = machine_open(machine);
    const int32_t dir = world_open(world, GY_DIR_CWD, machine->directory, GY_OPEN_DIRECTORY);
    const int32_t slot = make_file(world, machine, "f", GY_PAGE);
    const uint64_t id[2] = {3, world->ops->random(world)};
    uint8_t *chunk = aligned_alloc(GY_ARENA_CHUNK, GY_ARENA_CHUNK);
    uint8_t *page = world_pages(GY_PAGE);
    struct gy_req req = world_req(GY_OP_WRITE, GY_IO_WAL);
    struct gy_stage stage = {.base = NULL};
    struct io_uring_sqe sqe;

    req.slot = (uint32_t)slot;
    req.size = GY_PAGE;
    req.offset = 3 * GY_PAGE;
    req.buffer = page;
    sqe = entry_of(world, &req);
    assert_int_equal(sqe.opcode, IORING_OP_WRITE);
    assert_int_equal(sqe.rw_flags, 0);
    assert_int_equal(sqe.off, 3 * GY_PAGE);
    req.flags = GY_IO_DSYNC;
    sqe = entry_of(world, &req);
    assert_int_equal(sqe.rw_flags, RWF_DSYNC);
    assert_int_equal(sqe.flags, IOSQE_FIXED_FILE);
    assert_int_equal(sqe.fd, slot);
    gy_uring_of(world)->sync_by_worker = true;
    assert_int_equal(entry_of(world, &req).flags, IOSQE_FIXED_FILE | IOSQE_ASYNC);
    req.flags = 0;
    assert_int_equal(entry_of(world, &req).flags, IOSQE_FIXED_FILE);
    req.flags = GY_IO_DSYNC;

    world->ops->arena_add(world, chunk, GY_ARENA_CHUNK);
    assert_int_equal(world->ops->stage_create(world, &stage, id, 4 * GY_PAGE), 0);
    if (geteuid() == 0) { /* no RLIMIT_MEMLOCK for root */
        req.buffer = chunk + GY_ARENA_CHUNK - GY_PAGE;
        sqe = entry_of(world, &req);
        assert_int_equal(sqe.opcode, IORING_OP_WRITE_FIXED);
        assert_int_equal(sqe.rw_flags, RWF_DSYNC);
        req.buffer = (uint8_t *)stage.base + 3 * GY_PAGE;
        assert_int_equal(entry_of(world, &req).opcode, IORING_OP_WRITE_FIXED);
        req.size = 2 * GY_PAGE; /* beyond its end */
        assert_int_equal(entry_of(world, &req).opcode, IORING_OP_WRITE);
    }
    req = world_req(GY_OP_SYNC, GY_IO_META);
    req.slot = (uint32_t)slot;
    assert_int_equal(entry_of(world, &req).fsync_flags, IORING_FSYNC_DATASYNC);
    req.slot = (uint32_t)dir;
    assert_int_equal(entry_of(world, &req).fsync_flags, 0);

    world->ops->stage_close(world, &stage, true);
    world->ops->arena_remove(world, chunk, GY_ARENA_CHUNK);
    world->ops->close(world);
    free(chunk);
    free(page);
}

static int
run_contract(const char *name, struct gy_world_config config)
{
    struct machine machine = {.config = config};
    struct world_contract contract = {
        .name = name, .directory = machine.directory, .open = machine_open, .arg = &machine};
    int failed;

    gy_heap_init(&machine.heap, UINT64_MAX);
    scratch_make(machine.directory);
    failed = world_contract_run(&contract);
    scratch_remove(machine.directory);
    return failed;
}

static bool
is_ring_allowed(void)
{
    struct machine machine = {.config = {0}};
    struct gy_world *world;

    gy_heap_init(&machine.heap, UINT64_MAX);
    world = machine_open(&machine);
    if (world == NULL) {
        (void)fprintf(stderr, "SKIPPED: no io_uring on this machine: %s\n", machine.reason);
        return false;
    }
    world->ops->close(world);
    return true;
}

int
main(void)
{
#define OWN_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        OWN_TEST(world_uring_enters_every_eight_and_at_once_for_wal),
        OWN_TEST(world_uring_reap_without_news_does_not_enter),
        OWN_TEST(world_uring_flag_without_work_wakes_nobody),
        OWN_TEST(world_uring_yields_are_not_eaten_by_another_process),
        OWN_TEST(world_uring_registers_chunks_and_counts_them),
        OWN_TEST(world_uring_ring_holds_the_lock_without_descriptor),
        OWN_TEST(world_uring_workers_are_few_and_counted),
        OWN_TEST(world_uring_signal_ends_the_wait),
        OWN_TEST(world_uring_open_survives_every_failed_allocation),
        OWN_TEST(world_uring_reports_full_file_table),
        OWN_TEST(world_uring_works_when_registration_is_refused),
        OWN_TEST(world_uring_entries_ask_for_what_was_promised),
    };
    int failed;

    if (!is_ring_allowed()) {
        return SKIPPED;
    }
    failed = cmocka_run_group_tests_name("world_uring", tests, NULL, NULL);
    failed += run_contract("world_uring contract", (struct gy_world_config){0});
    failed += run_contract("world_uring contract, few in flight",
                           (struct gy_world_config){.in_flight_max = 4});
    failed += run_contract("world_uring contract, durable writes by a worker",
                           (struct gy_world_config){.sync_by_worker = true});
    failed += run_contract("world_uring contract, nothing registered, no direct I/O",
                           (struct gy_world_config){.no_registration = true, .no_direct = true});
    return failed;
}
