/* coroutines.c - a thousand coroutines write and read at once, on one thread.
 *
 *     ./coroutines [DIR]
 *
 * Inside a coroutine a call suspends that coroutine only. All writers that arrive while a log
 * write is at the device share the next one, so a thousand durable puts need a few syncs, not a
 * thousand. Between two calls of the library nobody else runs: shared counters need no lock.
 */
#include <gyre/gyre.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WRITERS 1000
#define WRITES_EACH 4

struct shared {
    gyre_loop *loop;
    gyre_db *db;
    int writes_done;
    int reads_right;
    int failures;
};

struct writer {
    struct shared *shared;
    int number;
};

static void
failed(struct shared *shared, const char *what, gyre_status status)
{
    /* gyre_last_error is that of the coroutine which asks. */
    fprintf(stderr, "%s: %s: %s\n", what, gyre_status_name(status),
            gyre_last_error(shared->loop)->text);
    shared->failures++;
}

/* The body of one coroutine: a plain function that writes its keys and reads its neighbour's. */
static void
write_and_read(void *arg)
{
    const struct writer *writer = arg;
    struct shared *shared = writer->shared;
    char key[32], value[32];

    for (int i = 0; i < WRITES_EACH; i++) {
        snprintf(key, sizeof(key), "writer:%04d:%d", writer->number, i);
        snprintf(value, sizeof(value), "%d", writer->number * i);
        gyre_status status = gyre_put(shared->db, NULL, gyre_str(key), gyre_str(value));
        if (status != GYRE_OK) {
            failed(shared, "put", status);
            return;
        }
        shared->writes_done++;

        /* What was answered is seen by everyone from then on. */
        char found[32];
        size_t size;
        status = gyre_get_copy(shared->db, NULL, gyre_str(key), found, sizeof(found), &size);
        if (status != GYRE_OK) {
            failed(shared, "get", status);
            return;
        }
        shared->reads_right += size == strlen(value) && memcmp(found, value, size) == 0;
    }
}

/* A coroutine that waits for others by their handles, and one that only sleeps. */
static void
sleep_a_little(void *arg)
{
    struct shared *shared = arg;

    if (gyre_sleep(shared->loop, 1000000) != GYRE_OK) {
        shared->failures++;
    }
}

static void
wait_for_sleeper(void *arg)
{
    struct shared *shared = arg;
    gyre_task *task;
    const gyre_status status = gyre_spawn(shared->loop, sleep_a_little, shared, &task);

    if (status != GYRE_OK) {
        failed(shared, "spawn", status);
    } else if (gyre_join(shared->loop, task) != GYRE_OK) {
        shared->failures++;
    }
}

static int
run(struct shared *shared)
{
    static struct writer writers[WRITERS]; /* must live until its coroutine has ended */
    struct gyre_stats stats = {.struct_size = sizeof(stats)};
    gyre_status status = GYRE_OK;

    for (int i = 0; i < WRITERS && status == GYRE_OK; i++) {
        writers[i] = (struct writer){.shared = shared, .number = i};
        status = gyre_spawn(shared->loop, write_and_read, &writers[i], NULL);
    }
    if (status == GYRE_OK) {
        status = gyre_spawn(shared->loop, wait_for_sleeper, shared, NULL);
    }
    if (status != GYRE_OK) {
        failed(shared, "spawn", status);
    }
    status = gyre_run(shared->loop); /* returns when all of them have ended */
    if (status != GYRE_OK) {
        failed(shared, "run", status);
    }
    if (gyre_stats(shared->db, &stats) != GYRE_OK) {
        return 1;
    }
    printf("%d durable puts in %llu log writes, %d read back\n", shared->writes_done,
           (unsigned long long)stats.wal_groups, shared->reads_right);
    return shared->failures == 0 && shared->writes_done == WRITERS * WRITES_EACH &&
                   shared->reads_right == WRITERS * WRITES_EACH &&
                   stats.wal_groups < WRITERS * WRITES_EACH / 2
               ? 0
               : 1;
}

int
main(int argc, char **argv)
{
    char made[] = "/tmp/gyre-example-XXXXXX";
    const char *folder = argc > 1 ? argv[1] : mkdtemp(made);
    struct shared shared = {.loop = NULL};
    struct gyre_error error;
    char store[512];
    int result = 1;

    if (folder == NULL || snprintf(store, sizeof(store), "%s/coroutines.gyre", folder) >= 512) {
        perror("folder");
        return 1;
    }
    /* A thousand stacks of 64 KiB come out of the loop's one memory limit; the default of 256 MiB
     * would do, if nothing made stacks larger, as sanitizers do. */
    if (gyre_loop_open(GYRE_LOOP_OPTIONS(.memory_limit = 1u << 30), &shared.loop, &error) !=
        GYRE_OK) {
        fprintf(stderr, "loop: %s\n", error.text);
        return 1;
    }
    gyre_status status =
        gyre_open(shared.loop, store, GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE), &shared.db);
    if (status != GYRE_OK) {
        failed(&shared, "open", status);
    } else {
        result = run(&shared);
        status = gyre_close(shared.db);
        if (status != GYRE_OK) {
            failed(&shared, "close", status);
        }
    }
    if (argc <= 1 && gyre_destroy(shared.loop, store) == GYRE_OK) {
        result |= rmdir(folder) != 0;
    }
    return gyre_loop_close(shared.loop) == GYRE_OK && shared.failures == 0 ? result : 1;
}
