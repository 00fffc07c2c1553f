/* soak.c - mixed load on a real disk for as long as one likes, closed and opened again all the
 * time, with every read compared. What must not grow does not: memory, descriptors, and the bytes
 * on disk for each byte that is alive. At the end every block is verified and everything is read.
 *
 *   SOAK_SECONDS=14400 soak      20 seconds by default
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gyre/gyre.h"
#include "io/base/rng.h"
#include "tests/support/scratch.h"

#define WORKERS 8u
#define KEYS_EACH 2500u /* of each worker, written by nobody else */
#define VALUE_MAX 1200u
#define KEY_SIZE 24u
#define SESSION_MS_MIN 1500u
#define SESSIONS_MAX 4096u
#define WARM_UP 3u /* sessions that do not count */

#define MEMTABLE (1ull << 20)
#define LOGS (4ull << 20)
#define FIXED_BYTES \
    (16ull << 20)      /* manifest, logs, a memtable's worth of tables, inputs of a job */
#define SPACE_TIMES 3u /* bytes of tables for each byte alive */
#define RSS_GROWTH_MAX (12ll << 20)

struct session {
    uint64_t rss;
    uint64_t disk;
    uint64_t alive;
    uint32_t descriptors;
};

struct soak {
    char path[SCRATCH_PATH_MAX];
    gyre_loop *loop;
    gyre_db *db;
    uint32_t versions[WORKERS][KEYS_EACH]; /* 0 = not there */
    uint32_t version_next;
    uint64_t end_ns; /* of this session */
    uint64_t operations;
    struct session sessions[SESSIONS_MAX];
    uint32_t session_count;
};

static _Noreturn void
fail(const char *what, uint64_t value)
{
    (void)fprintf(stderr, "soak: %s (%llu)\n", what, (unsigned long long)value);
    exit(1);
}

static void
must_ok(struct soak *soak, gyre_status status, const char *what)
{
    if (status != GYRE_OK) {
        (void)fprintf(stderr, "soak: %s\n", gyre_last_error(soak->loop)->text);
        fail(what, (uint64_t)status);
    }
}

static uint64_t
now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- Keys and values ---- */

static struct gyre_slice
key_of(uint32_t worker, uint32_t key, char target[KEY_SIZE])
{
    const int size = snprintf(target, KEY_SIZE, "w%02u-%08u", worker, key);

    return gyre_slice(target, (size_t)size);
}

static uint32_t
size_of(uint32_t version)
{
    return version * 2654435761u % VALUE_MAX;
}

static struct gyre_slice
value_of(uint32_t version, uint8_t target[VALUE_MAX])
{
    memset(target, (int)(version & 0xff), size_of(version));
    if (size_of(version) >= sizeof(version)) {
        memcpy(target, &version, sizeof(version));
    }
    return gyre_slice(target, size_of(version));
}

static void
check_value(uint32_t version, struct gyre_slice value)
{
    uint8_t wanted[VALUE_MAX];
    const struct gyre_slice slice = value_of(version, wanted);

    if (value.size != slice.size || memcmp(value.data, slice.data, slice.size) != 0) {
        fail("a value is wrong", version);
    }
}

/* ---- Work ---- */

struct worker {
    struct soak *soak;
    uint32_t number;
    struct gy_rng rng;
};

static void
do_write(struct worker *worker)
{
    struct soak *soak = worker->soak;
    const uint32_t count = gy_rng_below(&worker->rng, 6) == 0 ? 12 : 1;
    const bool durable = gy_rng_below(&worker->rng, 16) == 0;
    gyre_batch *batch = gyre_batch_make();

    for (uint32_t i = 0; i < count; i++) {
        const uint32_t key = (uint32_t)gy_rng_below(&worker->rng, KEYS_EACH);
        uint8_t value[VALUE_MAX];
        char name[KEY_SIZE];

        if (gy_rng_below(&worker->rng, 5) == 0) {
            must_ok(soak, gyre_batch_delete(batch, key_of(worker->number, key, name)), "batch");
            soak->versions[worker->number][key] = 0;
        } else {
            const uint32_t version = ++soak->version_next;

            must_ok(
                soak,
                gyre_batch_put(batch, key_of(worker->number, key, name), value_of(version, value)),
                "batch");
            soak->versions[worker->number][key] = version;
        }
    }
    must_ok(soak,
            gyre_write(soak->db,
                       GYRE_WRITE_OPTIONS(.durability = durable ? GYRE_DURABLE : GYRE_BUFFERED),
                       batch),
            "write");
    gyre_batch_free(batch);
}

static void
do_get(struct worker *worker)
{
    struct soak *soak = worker->soak;
    const uint32_t key = (uint32_t)gy_rng_below(&worker->rng, KEYS_EACH);
    const uint32_t version = soak->versions[worker->number][key];
    struct gyre_value value;
    char name[KEY_SIZE];
    const gyre_status status = gyre_get(soak->db, NULL, key_of(worker->number, key, name), &value);

    if (status == GYRE_NOT_FOUND && version == 0) {
        return;
    }
    must_ok(soak, status, "get");
    check_value(version, gyre_slice(value.data, value.size));
    gyre_value_release(&value);
}

/* Some of the worker's keys from a place of its own; returns how many there were. */
static uint32_t
scan(struct soak *soak, uint32_t number, uint32_t from, uint32_t most)
{
    gyre_iterator *it = NULL;
    uint32_t next = from;
    uint32_t found = 0;
    char name[KEY_SIZE];
    char prefix[KEY_SIZE];
    gyre_status status;

    (void)snprintf(prefix, sizeof(prefix), "w%02u-", number);
    must_ok(soak,
            gyre_iterator_open(soak->db, GYRE_ITERATOR_OPTIONS(.prefix = gyre_str(prefix)), &it),
            "iterator");
    status = gyre_iterator_seek(it, key_of(number, from, name));
    while (status == GYRE_OK && found < most) {
        while (next < KEYS_EACH && soak->versions[number][next] == 0) {
            next++;
        }
        const struct gyre_slice wanted = key_of(number, next, name);
        const struct gyre_slice key = gyre_iterator_key(it);

        if (next == KEYS_EACH || key.size != wanted.size ||
            memcmp(key.data, wanted.data, key.size) != 0) {
            fail("a scan meets another key than the next one", next);
        }
        check_value(soak->versions[number][next], gyre_iterator_value(it));
        next++;
        found++;
        status = gyre_iterator_next(it);
    }
    if (status != GYRE_OK && status != GYRE_NOT_FOUND) {
        must_ok(soak, status, "scan");
    }
    gyre_iterator_close(it);
    return found;
}

static void
worker_main(void *arg)
{
    struct worker *worker = arg;

    while (now_ns() < worker->soak->end_ns) {
        const uint64_t kind = gy_rng_below(&worker->rng, 100);

        if (kind < 50) {
            do_write(worker);
        } else if (kind < 95) {
            do_get(worker);
        } else {
            (void)scan(worker->soak, worker->number,
                       (uint32_t)gy_rng_below(&worker->rng, KEYS_EACH), 20);
        }
        worker->soak->operations++;
    }
}

/* ---- What must not grow ---- */

static uint64_t
rss_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long total = 0;
    unsigned long resident = 0;

    if (file == NULL || fscanf(file, "%lu %lu", &total, &resident) != 2) {
        fail("cannot read /proc/self/statm", 0);
    }
    (void)fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t
count_entries(const char *path, bool bytes)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    uint64_t sum = 0;

    if (dir == NULL) {
        fail("cannot read a directory", 0);
    }
    while ((entry = readdir(dir)) != NULL) {
        struct stat stat;

        if (fstatat(dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0) {
            sum += bytes ? (uint64_t)stat.st_blocks * 512 : 1;
        }
    }
    (void)closedir(dir);
    return sum;
}

static uint64_t
alive_bytes(const struct soak *soak)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < WORKERS; i++) {
        for (uint32_t key = 0; key < KEYS_EACH; key++) {
            const uint32_t version = soak->versions[i][key];

            sum += version == 0 ? 0 : size_of(version) + KEY_SIZE;
        }
    }
    return sum;
}

static void
open_store(struct soak *soak)
{
    must_ok(soak,
            gyre_open(soak->loop, soak->path,
                      GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE, .memtable_size = MEMTABLE,
                                   .wal_total_max = LOGS, .wal_slot_size = LOGS / 8),
                      &soak->db),
            "open");
}

static void
run_session(struct soak *soak, uint64_t ms)
{
    struct worker workers[WORKERS];
    struct session *session = &soak->sessions[soak->session_count];

    open_store(soak);
    soak->end_ns = now_ns() + ms * 1000000;
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.soak = soak, .number = i};
        gy_rng_init(&workers[i].rng, soak->session_count * WORKERS + i);
        must_ok(soak, gyre_spawn(soak->loop, worker_main, &workers[i], NULL), "spawn");
    }
    must_ok(soak, gyre_run(soak->loop), "run");
    must_ok(soak, gyre_wait_idle(soak->db), "wait_idle");
    session->disk = count_entries(soak->path, true);
    session->alive = alive_bytes(soak);
    session->rss = rss_bytes();
    must_ok(soak, gyre_close(soak->db), "close");
    session->descriptors = (uint32_t)count_entries("/proc/self/fd", false);
    if (session->disk > SPACE_TIMES * session->alive + FIXED_BYTES) {
        fail("the store takes too many bytes", session->disk);
    }
    soak->session_count++;
}

/* Memory: a straight line through the sessions after the warm-up. */
static int64_t
rss_growth(const struct soak *soak)
{
    double x_mean = 0;
    double y_mean = 0;
    double above = 0;
    double below = 0;
    const double count = soak->session_count - WARM_UP;

    for (uint32_t i = WARM_UP; i < soak->session_count; i++) {
        x_mean += i / count;
        y_mean += (double)soak->sessions[i].rss / count;
    }
    for (uint32_t i = WARM_UP; i < soak->session_count; i++) {
        above += (i - x_mean) * ((double)soak->sessions[i].rss - y_mean);
        below += (i - x_mean) * (i - x_mean);
    }
    return (int64_t)(above / below * count);
}

static void
judge(const struct soak *soak)
{
    const struct session *last = &soak->sessions[soak->session_count - 1];
    const int64_t growth = rss_growth(soak);

    (void)printf("%u sessions, %llu operations; memory %llu MiB, grew by %lld KiB over all; %u "
                 "descriptors; %.2f bytes on disk for each alive\n",
                 soak->session_count, (unsigned long long)soak->operations,
                 (unsigned long long)(last->rss >> 20), (long long)(growth / 1024),
                 last->descriptors, (double)last->disk / (double)last->alive);
    if (growth > RSS_GROWTH_MAX) {
        fail("memory grows: KiB", (uint64_t)growth / 1024);
    }
    for (uint32_t i = 1; i < soak->session_count; i++) {
        if (soak->sessions[i].descriptors != soak->sessions[0].descriptors) {
            fail("descriptors are left open", soak->sessions[i].descriptors);
        }
    }
}

static void
verify_all(struct soak *soak)
{
    struct gyre_verify_result result;
    uint64_t found = 0;

    open_store(soak);
    must_ok(soak, gyre_verify(soak->db, NULL, NULL, NULL, &result), "verify");
    for (uint32_t i = 0; i < WORKERS; i++) {
        uint32_t wanted = 0;
        uint32_t there;

        for (uint32_t key = 0; key < KEYS_EACH; key++) {
            wanted += soak->versions[i][key] != 0;
        }
        there = scan(soak, i, 0, UINT32_MAX);
        if (there != wanted) {
            fail("a scan of all does not find all", there);
        }
        found += there;
    }
    must_ok(soak, gyre_close(soak->db), "close");
    (void)printf("verified: %llu tables, %llu entries; %llu keys alive, all right\n",
                 (unsigned long long)result.table_count, (unsigned long long)result.entry_count,
                 (unsigned long long)found);
}

int
main(void)
{
    const char *text = getenv("SOAK_SECONDS");
    const uint64_t seconds = text != NULL ? strtoull(text, NULL, 10) : 20;
    const uint64_t end = now_ns() + seconds * 1000000000u;
    struct soak *soak = calloc(1, sizeof(*soak));
    struct gyre_error error;
    uint64_t session_ms = seconds; /* a thousand sessions */

    if (soak == NULL) {
        return 1;
    }
    if (session_ms < SESSION_MS_MIN) {
        session_ms = SESSION_MS_MIN;
    }
    scratch_make(soak->path);
    if (gyre_loop_open(GYRE_LOOP_OPTIONS(.memory_limit = 48u << 20), &soak->loop, &error) !=
        GYRE_OK) {
        (void)fprintf(stderr, "soak: %s\n", error.text);
        return 1;
    }
    while (soak->session_count < SESSIONS_MAX &&
           (now_ns() < end || soak->session_count < 2 * WARM_UP)) {
        run_session(soak, session_ms);
    }
    judge(soak);
    verify_all(soak);
    if (gyre_loop_close(soak->loop) != GYRE_OK) {
        return 1;
    }
    scratch_remove(soak->path);
    free(soak);
    return 0;
}
