/* test_world_seccomp.c - machines that forbid io_uring: the loop falls back, says why and works.
 *
 * Each case installs a seccomp filter in a child of its own, as a container would, and checks
 * there. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/base/bits.h"
#include "io/loop.h"
#include "tests/support/scratch.h"
#include "tests/support/world_calls.h"

#define CHILD_CANNOT_FILTER 77

/* From here on `call` fails with `error` in this process. */
static bool
forbid(long call, uint32_t error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int
check_io(struct gy_world *world, const char *directory)
{
    const int32_t dir = world_open(world, GY_DIR_CWD, directory, GY_OPEN_DIRECTORY);
    const int32_t slot = world_open(world, (uint32_t)dir, "f", GY_OPEN_WRITE | GY_OPEN_CREATE);
    uint8_t *page = world_pages(GY_PAGE);
    uint8_t *back = world_pages(GY_PAGE);

    world_pattern(page, GY_PAGE, 3);
    world_write(world, slot, 0, page, GY_PAGE, GY_IO_DSYNC);
    if (world_read(world, slot, 0, back, GY_PAGE) != GY_PAGE || memcmp(page, back, GY_PAGE) != 0) {
        return 10;
    }
    return world_close(world, slot) == 0 && world_close(world, dir) == 0 ? 0 : 11;
}

struct forbidden {
    long call;
    uint32_t error;
    bool is_fatal;         /* no ring is possible */
    const char *reason[2]; /* parts of the text that the user gets */
};

static int
child_run(const struct forbidden *forbidden, const char *directory)
{
    struct gy_loop *loop = calloc(1, sizeof(*loop));
    struct gyre_error error;
    struct gy_loop_config config = {.world_kind = GY_WORLD_URING, .co_count_max = 16};
    gyre_status st;

    if (!forbid(forbidden->call, forbidden->error)) {
        return CHILD_CANNOT_FILTER;
    }
    st = gy_loop_init(loop, &config, &error);
    if (forbidden->is_fatal) {
        if (st != GYRE_UNSUPPORTED || error.status != GYRE_UNSUPPORTED ||
            strstr(error.text, forbidden->reason[0]) == NULL || loop->heap.used != 0) {
            (void)fprintf(stderr, "status %d, text %s\n", (int)st, error.text);
            return 2;
        }
    } else if (st == GYRE_OK) {
        gy_loop_fini(loop);
    }
    config.world_kind = GY_WORLD_AUTO;
    if (gy_loop_init(loop, &config, &error) != GYRE_OK) {
        return 3;
    }
    if (forbidden->is_fatal && (strcmp(loop->world->info.name, "sync") != 0 ||
                                strstr(loop->world->info.reason, forbidden->reason[0]) == NULL ||
                                strstr(loop->world->info.reason, forbidden->reason[1]) == NULL)) {
        (void)fprintf(stderr, "%s: %s\n", loop->world->info.name, loop->world->info.reason);
        return 4;
    }
    if (check_io(loop->world, directory) != 0) {
        return 5;
    }
    gy_loop_fini(loop);
    config.world_kind = GY_WORLD_SYNC;
    if (gy_loop_init(loop, &config, &error) != GYRE_OK || check_io(loop->world, directory) != 0) {
        return 6;
    }
    gy_loop_fini(loop);
    free(loop);
    return 0;
}

static void
run_forbidden(const struct forbidden *forbidden)
{
    char directory[SCRATCH_PATH_MAX];
    int status = -1;
    pid_t child;

    scratch_make(directory);
    (void)fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(child_run(forbidden, directory));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    scratch_remove(directory);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CHILD_CANNOT_FILTER) {
        (void)fprintf(stderr, "SKIPPED: no seccomp filters on this machine\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Goal:   io_uring_setup forbidden in either way that is usual: AUTO works without a ring and says
 *         what is in the way and what to do; asking for the ring is UNSUPPORTED with that text. */
static void
world_seccomp_auto_falls_back_when_setup_is_forbidden(void **state)
{
    (void)state;
    run_forbidden(&(struct forbidden){SYS_io_uring_setup, EPERM, true, {"seccomp", "allow"}});
    run_forbidden(&(struct forbidden){SYS_io_uring_setup, ENOSYS, true, {"seccomp", "kernel"}});
    run_forbidden(&(struct forbidden){SYS_io_uring_setup, ENOMEM, true, {"MEMLOCK", "ulimit -l"}});
}

/* Goal:   a ring that can be made but not used is found out before anybody relies on it. */
static void
world_seccomp_auto_falls_back_when_enter_is_forbidden(void **state)
{
    (void)state;
    run_forbidden(&(struct forbidden){SYS_io_uring_enter, EPERM, true, {"seccomp", "allow"}});
}

/* Goal:   without io_uring_register there is a ring, only a plainer one. */
static void
world_seccomp_ring_works_when_register_is_forbidden(void **state)
{
    (void)state;
    run_forbidden(&(struct forbidden){SYS_io_uring_register, EPERM, false, {"", ""}});
}

/* Goal:   openat2, statx and getrandom are too new for some filters: everything works without. */
static void
world_seccomp_newer_calls_are_optional(void **state)
{
    (void)state;
    run_forbidden(&(struct forbidden){SYS_openat2, EPERM, false, {"", ""}});
    run_forbidden(&(struct forbidden){SYS_statx, ENOSYS, false, {"", ""}});
    run_forbidden(&(struct forbidden){SYS_getrandom, EPERM, false, {"", ""}});
    run_forbidden(&(struct forbidden){SYS_pwritev2, ENOSYS, false, {"", ""}});
}

/* In a child: the call fails, so whoever needs it fails too and whoever does not works. */
static int
child_sync(const char *directory, long call)
{
    const struct gy_world_config config = {.stage_dir = NULL};
    uint8_t *page = world_pages(GY_PAGE);
    struct gy_heap heap;
    struct gy_world *world;
    struct gy_req req = world_req(GY_OP_WRITE, GY_IO_WAL);
    int32_t dir;
    int32_t slot;
    int bits = 0;

    gy_heap_init(&heap, UINT64_MAX);
    if (!forbid(call, EIO) || gy_world_sync_open(&config, &heap, &world) != GYRE_OK) {
        return CHILD_CANNOT_FILTER;
    }
    dir = world_open(world, GY_DIR_CWD, directory, GY_OPEN_DIRECTORY);
    slot = world_open(world, (uint32_t)dir, "f", GY_OPEN_WRITE | GY_OPEN_CREATE);
    world_write(world, slot, 0, page, GY_PAGE, 0);
    req.slot = (uint32_t)slot;
    req.buffer = page;
    req.size = GY_PAGE;
    req.flags = GY_IO_DSYNC;
    bits |= world_call(world, &req) == -EIO ? 1 : 0;
    bits |= world_slot_op(world, GY_OP_SYNC, slot, 0) == -EIO ? 2 : 0;
    bits |= world_slot_op(world, GY_OP_SYNC, dir, 0) == -EIO ? 4 : 0;
    return bits;
}

/* Goal:   durable writes and syncs of the blocking world reach the kernel as such: what no test
 *         could see without a power cut.
 * Method: let one system call fail at a time and see who notices. */
static void
world_seccomp_syncs_reach_the_kernel(void **state)
{
    static const struct {
        long call;
        int bits;
    } cases[] = {{SYS_pwritev2, 1}, {SYS_fdatasync, 2}, {SYS_fsync, 4}};
    char directory[SCRATCH_PATH_MAX];
    (void)state;

    scratch_make(directory);
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int status = -1;
        pid_t child;

        (void)fflush(NULL);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            _exit(child_sync(directory, cases[i].call));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) != CHILD_CANNOT_FILTER) {
            assert_int_equal(WEXITSTATUS(status), cases[i].bits);
        }
    }
    scratch_remove(directory);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(world_seccomp_auto_falls_back_when_setup_is_forbidden),
        cmocka_unit_test(world_seccomp_auto_falls_back_when_enter_is_forbidden),
        cmocka_unit_test(world_seccomp_ring_works_when_register_is_forbidden),
        cmocka_unit_test(world_seccomp_newer_calls_are_optional),
        cmocka_unit_test(world_seccomp_syncs_reach_the_kernel),
    };

    return cmocka_run_group_tests_name("world_seccomp", tests, NULL, NULL);
}
