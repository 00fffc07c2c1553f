/* test_one_thread.c - one thread is one thread, and a store's coroutines never hold it for long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gyre/gyre.h"
#include "tests/support/scratch.h"

#define PF_IO_WORKER 0x10u /* of the kernel's task flags */

/* Tasks of this process besides the main one: ours, and kernel workers of the ring. By their flag,
 * since a worker that has not run yet still bears our name. */
static void
count_tasks(unsigned *ret_threads, unsigned *ret_workers)
{
    DIR *dir = opendir("/proc/self/task");
    const struct dirent *entry;

    assert_non_null(dir);
    *ret_threads = 0;
    *ret_workers = 0;
    while ((entry = readdir(dir)) != NULL) {
        char path[300];
        char text[512] = "";
        const char *after_name;
        unsigned flags = 0;
        FILE *file;

        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid()) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/stat", entry->d_name);
        file = fopen(path, "r");
        if (file == NULL) {
            continue; /* it has just ended */
        }
        after_name = fgets(text, sizeof(text), file) != NULL ? strrchr(text, ')') : NULL;
        (void)fclose(file);
        if (after_name == NULL || sscanf(after_name, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1) {
            continue;
        }
        if ((flags & PF_IO_WORKER) != 0) {
            (*ret_workers)++;
        } else {
            (*ret_threads)++;
        }
    }
    (void)closedir(dir);
}

/* Goal:   writing, flushing and compacting make no thread of ours; kernel workers are what the
 *         statistics count.
 * Method: 20,000 values of 400 bytes through tiny memtables, tasks counted on the way. A worker may
 *         come or go between the two counts: one that agrees is enough. */
static void
one_thread_does_all_the_work(void **state)
{
    char dir[SCRATCH_PATH_MAX];
    char path[512];
    gyre_loop *loop;
    gyre_db *db;
    struct gyre_loop_stats stats = {.struct_size = sizeof(stats)};
    static const uint8_t value[400];
    bool agreed = false;
    (void)state;

    scratch_make(dir);
    (void)snprintf(path, sizeof(path), "%s/store", dir);
    assert_int_equal(gyre_loop_open(GYRE_LOOP_OPTIONS(.memory_limit = 64u << 20), &loop, NULL),
                     GYRE_OK);
    assert_int_equal(gyre_open(loop, path,
                               GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE, .memtable_size = 256u << 10),
                               &db),
                     GYRE_OK);
    for (uint32_t i = 0; i < 20000; i++) {
        char key[32];
        const int size = snprintf(key, sizeof(key), "%08u", i * 2654435761u % 20000);

        assert_int_equal(
            gyre_put(db,
                     GYRE_WRITE_OPTIONS(.durability = i % 64 == 0 ? GYRE_DURABLE : GYRE_BUFFERED),
                     gyre_slice(key, (size_t)size), gyre_slice(value, sizeof(value))),
            GYRE_OK);
        if (i % 1000 == 0) {
            unsigned threads;
            unsigned workers;

            count_tasks(&threads, &workers);
            assert_int_equal(threads, 0);
            assert_int_equal(gyre_loop_stats(loop, &stats), GYRE_OK);
            agreed = agreed || stats.io_workers == workers;
        }
    }
    assert_int_equal(gyre_wait_idle(db), GYRE_OK);
    assert_true(agreed);
    assert_int_equal(gyre_loop_stats(loop, &stats), GYRE_OK);
    assert_true(stats.runs > 1000);
    /* Nearly all runs are short, also on a busy machine, under sanitizers and at the first touch of
     * memory. */
    assert_true(stats.runs_over_100us * 20 < stats.runs);
    assert_int_equal(gyre_close(db), GYRE_OK);
    assert_int_equal(gyre_loop_close(loop), GYRE_OK);
    scratch_remove(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_thread_does_all_the_work)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
