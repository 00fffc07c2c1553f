/* test_hostile_directory.c - whatever lies in the place of a store's file, on the real file system,
 * in both real worlds: opening ends with an error, at once, and nothing outside is touched. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

#define PATH_MAX_HERE 5000
#define SECONDS_MAX 20u /* then the program is killed: it hangs */

/* What lies in the place of a file. */
enum thing {
    THING_LINK,     /* symbolic link to the file itself, moved out of the store */
    THING_DANGLING, /* symbolic link to nothing */
    THING_FIFO,
    THING_SOCKET,
    THING_DIRECTORY,
    THING_DEVICE,
    THING_EMPTY,     /* a file without bytes */
    THING_HARD_LINK, /* the file itself, which has a name elsewhere too */
    THING_COUNT
};

static const char *const THING_NAMES[] = {"a symbolic link", "a dangling link", "a FIFO",
                                          "a socket",        "a directory",     "a device",
                                          "an empty file",   "a hard link"};

struct place {
    const char *prefix; /* of the file's name */
    const char *suffix;
    bool made_up;      /* not there in a closed store */
    uint32_t harmless; /* 1u << things that change nothing */
};

static const struct place PLACES[] = {
    {"CURRENT", "CURRENT", false, 0},
    {"MANIFEST-", "", false, 0},
    {"wal-", ".log", false, 0},
    {"", ".sst", false, 1u << THING_HARD_LINK}, /* checkpoints share tables so */
    {"LOCK", "LOCK", false, 1u << THING_EMPTY},
    {"CURRENT.tmp", "CURRENT.tmp", true, 1u << THING_EMPTY},
};
#define PLACE_COUNT (sizeof(PLACES) / sizeof(PLACES[0]))

static int
setup(void **state)
{
    const char *kind = getenv("GYRE_TEST_IO");
    struct db_kit *kit = db_kit_make(kind != NULL ? (uint32_t)atoi(kind) : GYRE_IO_AUTO);
    struct db_model model;

    db_model_init(&model, 100);
    db_kit_churn(kit, &model, 200);
    KIT_OK(kit, gyre_flush(kit->db));
    db_kit_churn(kit, &model, 20);
    db_kit_close(kit);
    *state = kit;
    return 0;
}

static int
teardown(void **state)
{
    db_kit_free(*state);
    return 0;
}

static void
path_in(char target[PATH_MAX_HERE], const char *directory, const char *name)
{
    assert_true(snprintf(target, PATH_MAX_HERE, "%s/%s", directory, name) < PATH_MAX_HERE);
}

/* A socket's address is short: it is bound in its directory. */
static void
make_socket(const char *directory, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    const int here = open(".", O_RDONLY | O_DIRECTORY);

    assert_true(fd >= 0 && here >= 0);
    assert_int_equal(chdir(directory), 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(fchdir(here), 0);
    (void)close(here);
    (void)close(fd);
}

/* Put `thing` in the place of `name`; the file itself becomes `outside`. False: not here. */
static bool
put_thing(const char *directory, const char *name, const char *outside, enum thing thing,
          bool made_up)
{
    char path[PATH_MAX_HERE];

    path_in(path, directory, name);
    if (made_up) {
        FILE *file = fopen(outside, "w");

        assert_non_null(file);
        (void)fputs("not yours", file);
        assert_int_equal(fclose(file), 0);
    } else {
        assert_int_equal(rename(path, outside), 0);
    }
    switch (thing) {
    case THING_LINK:
        assert_int_equal(symlink(outside, path), 0);
        return true;
    case THING_DANGLING:
        assert_int_equal(symlink("nowhere-else", path), 0);
        return true;
    case THING_FIFO:
        assert_int_equal(mkfifo(path, 0600), 0);
        return true;
    case THING_SOCKET:
        make_socket(directory, name);
        return true;
    case THING_DIRECTORY:
        assert_int_equal(mkdir(path, 0700), 0);
        return true;
    case THING_DEVICE: /* /dev/zero: it would give bytes for ever */
        return mknod(path, S_IFCHR | 0600, makedev(1, 5)) == 0;
    case THING_EMPTY:
        assert_int_equal(close(open(path, O_WRONLY | O_CREAT, 0600)), 0);
        return true;
    default:
        assert_int_equal(link(outside, path), 0);
        return true;
    }
}

static uint64_t
hash_of_file(const char *path)
{
    uint64_t hash = UINT64_C(1469598103934665603);
    FILE *file = fopen(path, "r");
    int byte;

    assert_non_null(file);
    while ((byte = fgetc(file)) != EOF) {
        hash = (hash ^ (uint8_t)byte) * UINT64_C(1099511628211);
    }
    (void)fclose(file);
    return hash;
}

/* Open, read everything, write a little. The first error, if there was one. */
static gyre_status
use_store(struct db_kit *kit, const char *path, uint32_t flags)
{
    struct gyre_options options = kit->options;
    gyre_iterator *it = NULL;
    gyre_db *db = NULL;
    gyre_status status;
    gyre_status closed;

    options.flags = flags;
    status = gyre_open(kit->loop, path, &options, &db);
    if (status != GYRE_OK) {
        return status;
    }
    KIT_OK(kit, gyre_iterator_open(db, NULL, &it));
    for (status = gyre_iterator_first(it); status == GYRE_OK; status = gyre_iterator_next(it)) {
    }
    status = status == GYRE_NOT_FOUND ? GYRE_OK : status;
    gyre_iterator_close(it);
    if (status == GYRE_OK && (flags & GYRE_OPEN_READ_ONLY) == 0) {
        status = gyre_put(db, NULL, gyre_str("key000001"), gyre_str("another value"));
    }
    closed = gyre_close(db);
    return status != GYRE_OK ? status : closed;
}

static void
try_thing(struct db_kit *kit, const struct place *place, enum thing thing, uint32_t flags)
{
    const bool harmless = (place->harmless >> thing & 1u) != 0 ||
                          (place->made_up && (flags & GYRE_OPEN_READ_ONLY) != 0);
    char outside[PATH_MAX_HERE];
    char names[8][64];
    char copy[PATH_MAX_HERE];
    uint64_t hash;
    gyre_status status;

    path_in(copy, kit->top, "copy");
    path_in(outside, kit->top, "outside");
    db_kit_copy(kit->path, copy);
    if (place->made_up) {
        (void)snprintf(names[0], sizeof(names[0]), "%s", place->prefix);
    } else {
        assert_true(db_kit_files(copy, place->prefix, place->suffix, names, 8) > 0);
    }
    if (put_thing(copy, names[0], outside, thing, place->made_up)) {
        hash = hash_of_file(outside);
        (void)alarm(SECONDS_MAX);
        status = use_store(kit, copy, flags);
        (void)alarm(0);
        if ((status == GYRE_OK) != harmless || (status != GYRE_OK && status == GYRE_MISUSE)) {
            print_error("%s in the place of %s, flags %u: %s: %s\n", THING_NAMES[thing], names[0],
                        flags, gyre_status_name(status), gyre_last_error(kit->loop)->text);
            fail();
        }
        assert_true(hash_of_file(outside) == hash);
    } else {
        print_message("skipped: %s cannot be made here\n", THING_NAMES[thing]);
    }
    scratch_remove(copy);
    (void)unlink(outside);
}

/* Goal:   what is no file of the store's own is refused, for each file of a store and each thing
 *         that may lie there; no thing makes opening hang, nothing outside the directory is
 *         written.
 * Method: a copy of a store for each pair, opened for writing and for reading; /dev/zero and a FIFO
 *         would never end, the hash of what was linked tells of a write. */
static void
hostile_directory_things_are_refused(void **state)
{
    struct db_kit *kit = *state;

    for (uint32_t i = 0; i < PLACE_COUNT; i++) {
        for (uint32_t thing = 0; thing < THING_COUNT; thing++) {
            try_thing(kit, &PLACES[i], (enum thing)thing, 0);
            try_thing(kit, &PLACES[i], (enum thing)thing, GYRE_OPEN_READ_ONLY);
        }
    }
}

/* Goal:   a log file that the store would take into use is not one that has a name elsewhere.
 * Method: a hard link of a foreign file under the name of every free slot, and more writes than the
 *         slots of the store itself can take before its memtable is flushed. */
static void
hostile_directory_free_slots_are_not_written_through_links(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_options options = kit->options;
    char outside[PATH_MAX_HERE];
    char path[PATH_MAX_HERE];
    static char value[50000];
    gyre_status status;
    gyre_db *db = NULL;
    char name[32];
    uint64_t hash;

    path_in(outside, kit->top, "outside");
    assert_true(fclose(fopen(outside, "w")) == 0);
    db_kit_copy(kit->path, kit->other);
    for (int slot = 0; slot < 8; slot++) {
        (void)snprintf(name, sizeof(name), "wal-%03d.log", slot);
        path_in(path, kit->other, name);
        assert_true(link(outside, path) == 0 || errno == EEXIST);
    }
    hash = hash_of_file(outside);
    options.memtable_size = 6u << 20;
    status = gyre_open(kit->loop, kit->other, &options, &db);
    for (uint32_t i = 0; status == GYRE_OK && i < 100; i++) {
        status = gyre_put(db, NULL, db_kit_key(i), gyre_slice(value, sizeof(value)));
    }
    assert_int_not_equal(status, GYRE_OK);
    assert_non_null(strstr(gyre_last_error(kit->loop)->text, "hard link"));
    (void)gyre_close(db); /* it may say so again */
    assert_true(hash_of_file(outside) == hash);
}

/* Goal:   the path of a store is the caller's, so it may lead through links; a file is no store. */
static void
hostile_directory_path_may_lead_through_links(void **state)
{
    struct db_kit *kit = *state;
    char path[PATH_MAX_HERE];
    gyre_db *db = NULL;

    path_in(path, kit->top, "link-to-the-store");
    assert_int_equal(symlink(kit->path, path), 0);
    assert_int_equal(use_store(kit, path, 0), GYRE_OK);
    path_in(path, kit->path, "CURRENT");
    assert_int_equal(gyre_open(kit->loop, path, NULL, &db), GYRE_IO);
    path_in(path, kit->top, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    (void)alarm(SECONDS_MAX);
    assert_int_not_equal(gyre_open(kit->loop, path, &kit->options, &db), GYRE_OK);
    assert_int_not_equal(gyre_open(kit->loop, "/dev/zero", &kit->options, &db), GYRE_OK);
    (void)alarm(0);
}

static void
check_modes(const char *directory)
{
    char names[64][64];
    const uint32_t count = db_kit_files(directory, "", "", names, 64);
    struct stat st;

    assert_int_equal(stat(directory, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_true(count >= 5);
    for (uint32_t i = 0; i < count; i++) {
        char path[PATH_MAX_HERE];

        path_in(path, directory, names[i]);
        assert_int_equal(stat(path, &st), 0);
        if ((st.st_mode & 07777) != 0600) {
            print_error("%s has mode %o\n", names[i], st.st_mode & 07777);
            fail();
        }
    }
}

/* Goal:   a new store is its owner's alone, and usable, whatever the umask says. */
static void
hostile_directory_modes_do_not_depend_on_umask(void **state)
{
    static const mode_t masks[] = {0, 022, 0777};
    struct db_kit *kit = *state;

    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        const mode_t before = umask(masks[i]);
        gyre_db *db = NULL;

        KIT_OK(kit, gyre_open(kit->loop, kit->other, &kit->options, &db));
        KIT_OK(kit, gyre_put(db, NULL, gyre_str("a"), gyre_str("b")));
        KIT_OK(kit, gyre_flush(db));
        KIT_OK(kit, gyre_close(db));
        (void)umask(before);
        check_modes(kit->other);
        KIT_OK(kit, gyre_destroy(kit->loop, kit->other));
    }
}

int
main(void)
{
    static const char *const kinds[] = {"0", "2"}; /* GYRE_IO_AUTO, GYRE_IO_BLOCKING */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hostile_directory_things_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_directory_free_slots_are_not_written_through_links,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_directory_path_may_lead_through_links, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(hostile_directory_modes_do_not_depend_on_umask, setup,
                                        teardown),
    };
    int failed = 0;

    for (size_t i = 0; i < 2; i++) {
        (void)setenv("GYRE_TEST_IO", kinds[i], 1);
        failed += cmocka_run_group_tests_name(i == 0 ? "io_uring" : "blocking", tests, NULL, NULL);
    }
    return failed;
}
