/* test_posix.c - what only a real machine can do to us: foreign kinds of files in the place of
 * ours, odd umasks, staging memory that somebody else made. Each case on both real worlds. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/base/bits.h"
#include "io/posix.h"
#include "tests/support/scratch.h"
#include "tests/support/world_calls.h"

struct machine {
    struct gy_heap heap;
    char directory[SCRATCH_PATH_MAX];
    struct gy_world *world;
    uint32_t dir;
};

static bool use_ring;

static int
setup(void **state)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    const struct gy_world_config config = {.stage_dir = NULL};
    char reason[160];
    int32_t dir;

    gy_heap_init(&machine->heap, UINT64_MAX);
    scratch_make(machine->directory);
    if (use_ring) {
        if (gy_world_uring_open(&config, &machine->heap, reason, &machine->world) != GYRE_OK) {
            return -1;
        }
    } else if (gy_world_sync_open(&config, &machine->heap, &machine->world) != GYRE_OK) {
        return -1;
    }
    dir = world_open(machine->world, GY_DIR_CWD, machine->directory, GY_OPEN_DIRECTORY);
    machine->dir = (uint32_t)dir;
    *state = machine;
    return dir >= 0 ? 0 : -1;
}

static int
teardown(void **state)
{
    struct machine *machine = *state;

    machine->world->ops->close(machine->world);
    scratch_remove(machine->directory);
    free(machine);
    return 0;
}

static const char *
path_of(const struct machine *machine, const char *name)
{
    static char path[SCRATCH_PATH_MAX + 64];

    (void)snprintf(path, sizeof(path), "%s/%s", machine->directory, name);
    return path;
}

/* Goal:   a FIFO, a socket, a device or a link in the place of a file is an error at once: it
 *         neither hangs nor leads out of the directory.
 * Method: the test itself would hang. */
static void
posix_open_refuses_what_is_no_regular_file(void **state)
{
    struct machine *machine = *state;

    assert_int_equal(mkfifo(path_of(machine, "fifo"), 0600), 0);
    assert_int_equal(world_open(machine->world, machine->dir, "fifo", 0), -EINVAL);
    assert_int_equal(world_open(machine->world, machine->dir, "fifo", GY_OPEN_WRITE), -EINVAL);
    assert_int_equal(
        world_open(machine->world, machine->dir, "fifo", GY_OPEN_WRITE | GY_OPEN_CREATE), -EINVAL);

    assert_int_equal(mknod(path_of(machine, "sock"), S_IFSOCK | 0600, 0), 0);
    assert_true(world_open(machine->world, machine->dir, "sock", GY_OPEN_WRITE) < 0);

    assert_int_equal(symlink("/etc/passwd", path_of(machine, "link")), 0);
    assert_int_equal(world_open(machine->world, machine->dir, "link", 0), -ELOOP);
    assert_int_equal(symlink("nowhere", path_of(machine, "dangling")), 0);
    assert_int_equal(
        world_open(machine->world, machine->dir, "dangling", GY_OPEN_WRITE | GY_OPEN_CREATE),
        -ELOOP);
    assert_int_equal(symlink("/", path_of(machine, "dirlink")), 0);
    assert_true(world_open(machine->world, machine->dir, "dirlink", GY_OPEN_DIRECTORY) < 0);
    assert_int_equal(world_open(machine->world, GY_DIR_CWD, "/dev/null", 0), -EINVAL);
}

/* Goal:   the user's own path to a store may lead through links. */
static void
posix_open_follows_links_in_the_users_path(void **state)
{
    struct machine *machine = *state;
    int32_t slot;

    assert_int_equal(mkdir(path_of(machine, "real"), 0700), 0);
    assert_int_equal(symlink("real", path_of(machine, "alias")), 0);
    slot = world_open(machine->world, GY_DIR_CWD, path_of(machine, "alias"), GY_OPEN_DIRECTORY);
    assert_true(slot >= 0);
    assert_int_equal(world_close(machine->world, slot), 0);
}

/* Goal:   files are 0600 and directories 0700 whatever the umask says. */
static void
posix_modes_do_not_depend_on_umask(void **state)
{
    static const mode_t masks[] = {0, 022, 0277, 0777};
    struct machine *machine = *state;

    for (uint32_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        const mode_t before = umask(masks[i]);
        struct stat st;
        char name[16];
        int32_t slot;

        (void)snprintf(name, sizeof(name), "f%u", i);
        slot = world_open(machine->world, machine->dir, name, GY_OPEN_WRITE | GY_OPEN_CREATE);
        assert_true(slot >= 0);
        assert_int_equal(stat(path_of(machine, name), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(world_close(machine->world, slot), 0);
        name[0] = 'd';
        assert_int_equal(world_name_op(machine->world, GY_OP_MKDIR, machine->dir, name, NULL), 0);
        assert_int_equal(stat(path_of(machine, name), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        (void)umask(before);
    }
}

/* Goal:   descriptors do not leak into programs that the host starts, and no flag of opening stays
 *         that would change reads and writes. */
static void
posix_descriptors_are_close_on_exec_and_blocking(void **state)
{
    struct machine *machine = *state;
    struct gy_posix *posix = gy_container_of(machine->world, struct gy_posix, world);
    const int32_t slot =
        world_open(machine->world, machine->dir, "f", GY_OPEN_WRITE | GY_OPEN_CREATE);
    int fd;

    assert_true(slot >= 0);
    fd = gy_posix_fd(posix, (uint32_t)slot);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal((fcntl(fd, F_GETFL) & O_DIRECT) != 0, machine->world->info.has_direct_io);
    fd = gy_posix_fd(posix, machine->dir);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(world_close(machine->world, slot), 0);
}

static void
stage_path(const uint64_t id[2], char path[128])
{
    (void)snprintf(path, 128, "/dev/shm/gyre-%016llx-%016llx", (unsigned long long)id[0],
                   (unsigned long long)id[1]);
}

/* Goal:   staging memory that is not ours, or not as we made it, is not mapped. */
static void
posix_stage_open_refuses_foreign_files(void **state)
{
    struct machine *machine = *state;
    const struct gy_world_ops *ops = machine->world->ops;
    const uint64_t id[2] = {ops->random(machine->world), 7};
    struct gy_stage stage = {.base = NULL};
    struct gy_stage again = {.base = NULL};
    struct stat st;
    char path[128];
    char path_other[sizeof(path) + 8];

    stage_path(id, path);
    (void)snprintf(path_other, sizeof(path_other), "%s-x", path);
    assert_int_equal(ops->stage_create(machine->world, &stage, id, 16 * GY_PAGE), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(st.st_blocks * 512 >= 16 * (blkcnt_t)GY_PAGE); /* reserved, not sparse */
    assert_int_equal(ops->stage_create(machine->world, &again, id, GY_PAGE), -EEXIST);
    ops->stage_close(machine->world, &stage, false);

    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(ops->stage_open(machine->world, &stage, id), -EACCES);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(link(path, path_other), 0);
    assert_int_equal(ops->stage_open(machine->world, &stage, id), -EACCES);
    assert_int_equal(unlink(path_other), 0);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(ops->stage_open(machine->world, &stage, id), -EACCES);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(ops->stage_open(machine->world, &stage, id), -EACCES);
    if (geteuid() == 0) {
        assert_int_equal(truncate(path, GY_PAGE), 0);
        assert_int_equal(chown(path, 65534, 65534), 0);
        assert_int_equal(ops->stage_open(machine->world, &stage, id), -EACCES);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(ops->stage_open(machine->world, &stage, id), -EACCES);
    assert_true(ops->stage_create(machine->world, &stage, id, GY_PAGE) < 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(ops->stage_open(machine->world, &stage, id), -EACCES);
    assert_int_equal(unlink(path), 0);
    assert_null(stage.base);
    assert_int_equal(ops->stage_create(machine->world, &stage, id, 100), -EINVAL);
    assert_int_equal(ops->stage_create(machine->world, &stage, id, 0), -EINVAL);
    assert_int_equal(ops->stage_open(machine->world, &stage, id), -ENOENT);
}

/* In a child with a mount table of its own: a tmpfs of 64 KiB as the place of staging memory. */
static int
child_with_small_tmpfs(const char *directory)
{
    const struct gy_world_config config = {.stage_dir = directory};
    const uint64_t id[2] = {1, 2};
    struct gy_stage stage = {.base = NULL};
    struct gy_heap heap;
    struct gy_world *world;
    int result;

    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", directory, "tmpfs", 0, "size=64k") != 0) {
        return 77;
    }
    gy_heap_init(&heap, UINT64_MAX);
    if (gy_world_sync_open(&config, &heap, &world) != GYRE_OK) {
        return 1;
    }
    do {
        result = world->ops->stage_create(world, &stage, id, 32 * GY_PAGE);
    } while (result == GY_STAGE_MORE);
    if (result != -ENOSPC || stage.base != NULL) {
        return 2;
    }
    if (world->ops->stage_open(world, &stage, id) != -ENOENT) { /* nothing is left behind */
        return 3;
    }
    if (world->ops->stage_create(world, &stage, id, 8 * GY_PAGE) != 0) {
        return 4;
    }
    memset(stage.base, 1, stage.size);
    world->ops->stage_close(world, &stage, true);
    world->ops->close(world);
    return 0;
}

/* Goal:   a full /dev/shm shows when staging memory is made, not as SIGBUS at some later store. */
static void
posix_stage_create_reports_a_full_tmpfs(void **state)
{
    struct machine *machine = *state;
    int status = -1;
    pid_t child;

    assert_int_equal(mkdir(path_of(machine, "shm"), 0700), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(child_with_small_tmpfs(path_of(machine, "shm")));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        (void)fprintf(stderr, "SKIPPED: only root may mount a small tmpfs\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Goal:   the table is no larger than the limit of open files, so that slots do not promise what
 *         the kernel will not give. */
static void
posix_file_table_follows_the_limit_of_open_files(void **state)
{
    struct machine *machine = *state;
    const struct gy_posix *posix = gy_container_of(machine->world, struct gy_posix, world);
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(posix->file_count_max <= limit.rlim_cur);
    assert_true(posix->file_count_max <= 4096 && posix->file_count_max > 0);
}

/* Goal:   threads are counted by name; small files of /proc are read whole or not at all. */
static void
posix_reads_proc(void **state)
{
    char text[64];
    (void)state;

    assert_int_equal(gy_posix_read_text("/nonexistent", text, sizeof(text)), -1);
    assert_int_equal(gy_posix_read_text("/proc/sys/kernel/random/boot_id", text, sizeof(text)), 37);
    assert_int_equal(gy_posix_read_text("/proc/sys/kernel/random/boot_id", text, 9), 8);
    assert_int_equal(strlen(text), 8);
    assert_int_equal(gy_posix_count_threads("no-such-thread"), 0);
    assert_int_equal(gy_posix_count_threads("test_posix"), 1);
}

static bool
is_ring_allowed(void)
{
    const struct gy_world_config config = {.stage_dir = NULL};
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
#define POSIX_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        POSIX_TEST(posix_open_refuses_what_is_no_regular_file),
        POSIX_TEST(posix_open_follows_links_in_the_users_path),
        POSIX_TEST(posix_modes_do_not_depend_on_umask),
        POSIX_TEST(posix_descriptors_are_close_on_exec_and_blocking),
        POSIX_TEST(posix_stage_open_refuses_foreign_files),
        POSIX_TEST(posix_stage_create_reports_a_full_tmpfs),
        POSIX_TEST(posix_file_table_follows_the_limit_of_open_files),
        POSIX_TEST(posix_reads_proc),
    };
    int failed = cmocka_run_group_tests_name("posix, blocking", tests, NULL, NULL);

    if (is_ring_allowed()) {
        use_ring = true;
        failed += cmocka_run_group_tests_name("posix, io_uring", tests, NULL, NULL);
    }
    return failed;
}
