/* openers.c - opens stores as others should not, or read-only, and says what came of it.
 *
 * Usage: openers hold WAVES PATH...
 *            holds the store at the first path open; in each wave it is tried 48 times to open it:
 *            by each path in turn, on the same loop, on another loop of this process, and in other
 *            processes. Each try must be BUSY, and neither bytes nor times of the files may change.
 *        openers try PATH        exit code: the status of opening
 *        openers read PATH       read-only: walks and verifies; prints how many keys there are
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gyre/gyre.h"
#include "tests/support/db_kit.h"

#define OPTIONS(more) \
    GYRE_OPTIONS(.flags = (more), .memtable_size = 64u << 10, .wal_slot_size = 128u << 10)

#define WAVE 16u /* of each kind */

static const char *program;

static gyre_loop *
open_loop(void)
{
    struct gyre_error error;
    gyre_loop *loop;

    if (gyre_loop_open(GYRE_LOOP_OPTIONS(.memory_limit = 16u << 20), &loop, &error) != GYRE_OK) {
        printf("openers: %s\n", error.text);
        exit(99);
    }
    return loop;
}

/* Of the times of all files: whoever writes or creates changes one. */
static uint64_t
times(const char *path)
{
    DIR *dir = opendir(path);
    uint64_t sum = 0;
    struct stat st;

    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && entry->d_name[0] != '.') {
            sum += (uint64_t)st.st_mtim.tv_sec * 1000003u + (uint64_t)st.st_mtim.tv_nsec;
            sum += (uint64_t)st.st_ctim.tv_sec * 1000003u + (uint64_t)st.st_ctim.tv_nsec;
        }
    }
    (void)closedir(dir);
    return sum;
}

static gyre_status
try_on(gyre_loop *loop, const char *path)
{
    gyre_db *db;
    const gyre_status status = gyre_open(loop, path, OPTIONS(GYRE_OPEN_CREATE), &db);

    if (status == GYRE_OK) {
        (void)gyre_close(db);
    }
    return status;
}

struct
try {
    gyre_loop *loop;
    const char *path;
    gyre_status status;
};

static void
try_main(void *arg)
{
    struct try *try = arg;

    try->status = try_on(try->loop, try->path);
}

static void
expect_busy(const char *who, const char *path, gyre_status status)
{
    if (status != GYRE_BUSY) {
        printf("openers: %s, %s: %s, not BUSY\n", who, path, gyre_status_name(status));
        exit(1);
    }
}

/* Many at once, since a try waits half a second for a process that is just ending. */
static void
wave(gyre_loop *loop, int path_count, char **paths)
{
    gyre_loop *other = open_loop();
    struct try tries[2 * WAVE];
    pid_t children[WAVE];

    for (uint32_t i = 0; i < WAVE; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            execl(program, program, "try", paths[i % (uint32_t)path_count], (char *)NULL);
            _exit(98);
        }
    }
    for (uint32_t i = 0; i < 2 * WAVE; i++) {
        tries[i] =
            (struct try){.loop = i < WAVE ? loop : other, .path = paths[i % (uint32_t)path_count]};
        if (gyre_spawn(tries[i].loop, try_main, &tries[i], NULL) != GYRE_OK) {
            printf("openers: no coroutine\n");
            exit(1);
        }
    }
    if (gyre_run(loop) != GYRE_OK || gyre_run(other) != GYRE_OK ||
        gyre_loop_close(other) != GYRE_OK) {
        printf("openers: a loop does not run\n");
        exit(1);
    }
    for (uint32_t i = 0; i < 2 * WAVE; i++) {
        expect_busy(i < WAVE ? "the same loop" : "another loop", tries[i].path, tries[i].status);
    }
    for (uint32_t i = 0; i < WAVE; i++) {
        int status = 0;

        (void)waitpid(children[i], &status, 0);
        expect_busy("another process", paths[i % (uint32_t)path_count],
                    WIFEXITED(status) ? (gyre_status)WEXITSTATUS(status) : GYRE_OK);
    }
}

static int
hold(uint32_t waves, int path_count, char **paths)
{
    gyre_loop *loop = open_loop();
    gyre_db *db;
    uint64_t hash;
    uint64_t time;

    if (gyre_open(loop, paths[0], OPTIONS(GYRE_OPEN_CREATE), &db) != GYRE_OK ||
        gyre_put(db, NULL, gyre_str("key"), gyre_str("value")) != GYRE_OK ||
        gyre_wait_idle(db) != GYRE_OK ||
        gyre_sleep(loop, 300u * 1000u * 1000u) != GYRE_OK) { /* the next log is made meanwhile */
        printf("openers: %s\n", gyre_last_error(loop)->text);
        return 1;
    }
    hash = db_kit_hash(paths[0]);
    time = times(paths[0]);
    for (uint32_t i = 0; i < waves; i++) {
        wave(loop, path_count, paths);
        if (times(paths[0]) != time || db_kit_hash(paths[0]) != hash) {
            printf("openers: something has changed\n");
            return 1;
        }
    }
    if (gyre_put(db, NULL, gyre_str("key"), gyre_str("again")) != GYRE_OK ||
        gyre_close(db) != GYRE_OK || gyre_loop_close(loop) != GYRE_OK) {
        printf("openers: the holder was disturbed\n");
        return 1;
    }
    printf("openers: %u tries by %d paths: all BUSY, no byte changed\n", 3 * WAVE * waves,
           path_count);
    return 0;
}

static int
read_all(const char *path)
{
    gyre_loop *loop = open_loop();
    uint64_t count = 0;
    gyre_iterator *it;
    gyre_db *db;
    gyre_status status = gyre_open(loop, path, OPTIONS(GYRE_OPEN_READ_ONLY), &db);

    if (status == GYRE_OK) {
        status = gyre_iterator_open(db, NULL, &it);
    }
    if (status == GYRE_OK) {
        for (status = gyre_iterator_first(it); status == GYRE_OK; status = gyre_iterator_next(it)) {
            count++;
        }
        gyre_iterator_close(it);
        status = status == GYRE_NOT_FOUND ? gyre_verify(db, NULL, NULL, NULL, NULL) : status;
    }
    if (status == GYRE_OK && gyre_put(db, NULL, gyre_str("key"), gyre_str("v")) != GYRE_READ_ONLY) {
        status = GYRE_MISUSE;
    }
    if (status != GYRE_OK) {
        printf("openers: %s: %s\n", gyre_status_name(status), gyre_last_error(loop)->text);
        return 1;
    }
    printf("%llu\n", (unsigned long long)count);
    return gyre_close(db) == GYRE_OK && gyre_loop_close(loop) == GYRE_OK ? 0 : 1;
}

int
main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 3 && strcmp(argv[1], "hold") == 0) {
        return hold((uint32_t)strtoul(argv[2], NULL, 10), argc - 3, argv + 3);
    }
    if (argc == 3 && strcmp(argv[1], "try") == 0) {
        return (int)try_on(open_loop(), argv[2]);
    }
    if (argc == 3 && strcmp(argv[1], "read") == 0) {
        return read_all(argv[2]);
    }
    fprintf(stderr, "usage: openers hold WAVES PATH... | try PATH | read PATH\n");
    return 96;
}
