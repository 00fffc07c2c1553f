/* test_store_lock.c - one opener at a time, whatever path it takes and whatever the process does
 * with its other descriptors (P14). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

#define PATH_MAX_HERE 600

static uint32_t io_kind;

static int
setup(void **state)
{
    struct db_kit *kit = db_kit_make(io_kind);

    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("key"), gyre_str("value")));
    KIT_OK(kit, gyre_sync(kit->db));
    *state = kit;
    return 0;
}

static int
teardown(void **state)
{
    db_kit_free(*state);
    return 0;
}

static gyre_status
try_open(gyre_loop *loop, const char *path, uint32_t flags)
{
    gyre_db *db = NULL;
    gyre_status status = gyre_open(loop, path, GYRE_OPTIONS(.flags = flags), &db);

    if (status == GYRE_OK) {
        (void)gyre_close(db);
    }
    return status;
}

/* What another process gets that opens the store at `path`. */
static gyre_status
try_open_elsewhere(const char *path, uint32_t flags)
{
    const pid_t child = fork();
    int wait_status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        gyre_loop *loop = NULL;
        gyre_status status = gyre_loop_open(
            GYRE_LOOP_OPTIONS(.io_kind = GYRE_IO_BLOCKING, .memory_limit = 32u << 20), &loop, NULL);

        status = status != GYRE_OK ? status : try_open(loop, path, flags);
        _exit((int)status);
    }
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_true(WIFEXITED(wait_status));
    return (gyre_status)WEXITSTATUS(wait_status);
}

static void
path_in(char target[PATH_MAX_HERE], const char *directory, const char *name)
{
    (void)snprintf(target, PATH_MAX_HERE, "%.300s/%.200s", directory, name);
}

/* Goal:   a second opener is told BUSY and changes no byte, from this process or another, through
 *         every path that leads to the directory.
 * Method: the path, a symbolic link, a way round, a bind mount; for writing and for reading. */
static void
store_lock_keeps_every_second_opener_out(void **state)
{
    struct db_kit *kit = *state;
    char paths[4][PATH_MAX_HERE];
    uint32_t count = 3;
    uint64_t hash;

    path_in(paths[0], kit->path, ".");
    path_in(paths[1], kit->top, "link");
    assert_int_equal(symlink(kit->path, paths[1]), 0);
    path_in(paths[2], kit->top, "store/../link/../store/");
    path_in(paths[3], kit->top, "mounted");
    assert_int_equal(mkdir(paths[3], 0700), 0);
    if (mount(kit->path, paths[3], NULL, MS_BIND, NULL) == 0) {
        count = 4;
    } else {
        print_message("skipped: no bind mount here (%s)\n", strerror(errno));
    }
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(try_open(kit->loop, paths[i], i % 2 == 0 ? 0 : GYRE_OPEN_READ_ONLY),
                         GYRE_BUSY);
        hash = db_kit_hash(kit->path); /* our own background rests while the other one is at it */
        assert_int_equal(try_open_elsewhere(paths[i], 0), GYRE_BUSY);
        assert_int_equal(try_open_elsewhere(paths[i], GYRE_OPEN_READ_ONLY), GYRE_BUSY);
        assert_true(db_kit_hash(kit->path) == hash);
    }
    if (count == 4) {
        assert_int_equal(umount(paths[3]), 0);
    }
    assert_int_equal(gyre_destroy(kit->loop, kit->path), GYRE_BUSY);
}

/* Goal:   no other descriptor of the process holds or drops the lock (a classic fcntl lock is gone
 *         when any descriptor of the file is closed).
 * Method: open, lock in the classic way, and close the LOCK file, then ask from another process. */
static void
store_lock_is_not_dropped_by_another_descriptor(void **state)
{
    struct db_kit *kit = *state;
    struct flock classic = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[PATH_MAX_HERE];
    int fd;

    path_in(path, kit->path, "LOCK");
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    (void)fcntl(fd, F_SETLK, &classic);
    assert_int_equal(try_open_elsewhere(kit->path, 0), GYRE_BUSY);
    assert_int_equal(close(fd), 0);
    assert_int_equal(try_open_elsewhere(kit->path, 0), GYRE_BUSY);
    assert_int_equal(try_open(kit->loop, kit->path, 0), GYRE_BUSY);
}

/* Goal:   a forked child that closes every descriptor it was given, as daemons do, does not open
 *         the store to others; the parent goes on working. */
static void
store_lock_survives_a_forked_child(void **state)
{
    struct db_kit *kit = *state;
    const pid_t child = fork();
    int wait_status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        for (int fd = 3; fd < 1024; fd++) {
            (void)close(fd);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_int_equal(wait_status, 0);
    assert_int_equal(try_open_elsewhere(kit->path, 0), GYRE_BUSY);
    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("after"), gyre_str("fork")));
    KIT_OK(kit, gyre_sync(kit->db));
}

/* Goal:   a program that is run by ours gets no descriptor of the store, so it cannot keep the
 *         lock.
 * Method: it looks at its own descriptors. */
static void
store_lock_is_not_inherited_by_programs(void **state)
{
    struct db_kit *kit = *state;
    char command[2 * PATH_MAX_HERE];

    (void)snprintf(command, sizeof(command),
                   "for fd in /proc/self/fd/*; do readlink $fd; done | grep -q '%s'", kit->path);
    assert_int_not_equal(system(command), 0);
    (void)snprintf(command, sizeof(command), "readlink -f '%s/LOCK' | grep -q '%s'", kit->path,
                   kit->path);
    assert_int_equal(system(command), 0); /* grep would have found it */
}

/* Goal:   the LOCK file stays the same file for ever: were it deleted, one process could hold the
 *         old one and another the new one. And the lock ends with the store. */
static void
store_lock_file_is_never_replaced(void **state)
{
    struct db_kit *kit = *state;
    char path[PATH_MAX_HERE];
    struct stat before;
    struct stat after;

    path_in(path, kit->path, "LOCK");
    assert_int_equal(stat(path, &before), 0);
    for (uint32_t i = 0; i < 3; i++) {
        db_kit_close(kit);
        assert_int_equal(try_open_elsewhere(kit->path, 0), GYRE_OK);
        assert_int_equal(try_open_elsewhere(kit->path, GYRE_OPEN_READ_ONLY), GYRE_OK);
        db_kit_open(kit);
        assert_int_equal(stat(path, &after), 0);
        assert_true(before.st_ino == after.st_ino && after.st_nlink == 1);
    }
}

/* Goal:   the lock is taken before anything is believed: what another process is in the middle of
 *         writing is not called damage.
 * Method: CURRENT is made senseless while the store is open elsewhere. */
static void
store_lock_comes_before_reading(void **state)
{
    struct db_kit *kit = *state;

    db_kit_flip(kit->path, "CURRENT", 0);
    assert_int_equal(try_open_elsewhere(kit->path, 0), GYRE_BUSY);
    assert_int_equal(try_open(kit->loop, kit->path, GYRE_OPEN_READ_ONLY), GYRE_BUSY);
    db_kit_flip(kit->path, "CURRENT", 0);
}

/* Goal:   several readers share a store and keep a writer out. */
static void
store_lock_is_shared_by_readers(void **state)
{
    struct db_kit *kit = *state;
    gyre_db *reader = NULL;
    gyre_db *second = NULL;

    db_kit_close(kit);
    KIT_OK(kit,
           gyre_open(kit->loop, kit->path, GYRE_OPTIONS(.flags = GYRE_OPEN_READ_ONLY), &reader));
    KIT_OK(kit,
           gyre_open(kit->loop, kit->path, GYRE_OPTIONS(.flags = GYRE_OPEN_READ_ONLY), &second));
    assert_int_equal(try_open_elsewhere(kit->path, GYRE_OPEN_READ_ONLY), GYRE_OK);
    assert_int_equal(try_open_elsewhere(kit->path, 0), GYRE_BUSY);
    KIT_OK(kit, gyre_close(second));
    assert_int_equal(try_open_elsewhere(kit->path, 0), GYRE_BUSY);
    KIT_OK(kit, gyre_close(reader));
    assert_int_equal(try_open_elsewhere(kit->path, 0), GYRE_OK);
    db_kit_open(kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(store_lock_keeps_every_second_opener_out, setup, teardown),
        cmocka_unit_test_setup_teardown(store_lock_is_not_dropped_by_another_descriptor, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(store_lock_survives_a_forked_child, setup, teardown),
        cmocka_unit_test_setup_teardown(store_lock_is_not_inherited_by_programs, setup, teardown),
        cmocka_unit_test_setup_teardown(store_lock_file_is_never_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(store_lock_comes_before_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(store_lock_is_shared_by_readers, setup, teardown),
    };
    int failed = 0;

    io_kind = GYRE_IO_AUTO;
    failed += cmocka_run_group_tests_name("io_uring", tests, NULL, NULL);
    io_kind = GYRE_IO_BLOCKING;
    failed += cmocka_run_group_tests_name("blocking", tests, NULL, NULL);
    return failed;
}
