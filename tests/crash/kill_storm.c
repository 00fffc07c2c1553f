/* kill_storm.c - kills a writing process at random moments and checks what it had been promised.
 *
 * Goal:   every acknowledged commit, DURABLE or BUFFERED, survives the death of its process; what
 *         is there is a prefix of the order of commits; batches are whole.
 * Method: a child opens the store and commits number n = 1, 2, 3, ... by four writers at a time:
 * key "n%012u" for single
 *         commits, three keys in a batch, now and then a value of 200 KB that goes to the log in
 *         parts. It tells the parent in shared memory what it is about to commit and what was
 *         acknowledged. The parent sends SIGKILL after a random time, then a fresh child checks the
 *         store: with p commits found, all of 1..p are there and whole, none beyond, p >= the last
 *         one acknowledged with all before it.
 *
 * A new store is begun every 50 rounds, so that a round stays short.
 *
 * Usage: kill_storm DIR ROUNDS [SEED]
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gyre/gyre.h"

#define WRITERS 4
#define LARGE_EVERY 97u
#define LARGE_SIZE 200000u

struct shared {
    volatile uint64_t next;    /* the next number to commit */
    volatile uint64_t started; /* numbers below it were begun */
    /* each writer commits ascending numbers: its last answer */
    volatile uint64_t acknowledged[WRITERS];
    volatile uint64_t in_progress[WRITERS]; /* 0 = none */
    volatile uint64_t found;                /* the checker's p */
    volatile uint64_t durable_count, buffered_count, batch_count, large_count;
};

static struct shared *shared;
static char path[4096];

static void
fail(gyre_loop *loop, const char *what, gyre_status status)
{
    fprintf(stderr, "kill_storm: %s: %s: %s\n", what, gyre_status_name(status),
            loop != NULL ? gyre_last_error(loop)->text : "");
    _exit(1);
}

static void
open_store(gyre_loop **loop, gyre_db **db)
{
    struct gyre_error error;
    gyre_status status = gyre_loop_open(GYRE_LOOP_OPTIONS(.memory_limit = 32u << 20), loop, &error);

    if (status != GYRE_OK) {
        fprintf(stderr, "kill_storm: %s\n", error.text);
        _exit(1);
    }
    status = gyre_open(*loop, path,
                       GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE, .memtable_size = 512u << 10,
                                    .wal_slot_size = 1u << 20, .table_size = 256u << 10),
                       db);
    if (status != GYRE_OK) {
        fail(*loop, "open", status);
    }
}

static uint32_t
value_size(uint64_t n)
{
    return n % LARGE_EVERY == 0 ? LARGE_SIZE : (uint32_t)(n * 37 % 700);
}

static void
fill_value(uint8_t *value, uint64_t n)
{
    const uint32_t size = value_size(n);

    for (uint32_t i = 0; i < size; i++) {
        value[i] = (uint8_t)(n * 131 + i * 7);
    }
}

static bool
is_batch(uint64_t n)
{
    return n % 5 == 0;
}

static struct gyre_slice
key_of(char buffer[32], uint64_t n, unsigned part)
{
    return gyre_slice(buffer,
                      (size_t)snprintf(buffer, 32, "n%012llu.%u", (unsigned long long)n, part));
}

struct writer {
    gyre_db *db;
    unsigned index;
};

static void
writer_main(void *arg)
{
    struct writer *writer = arg;
    gyre_batch *batch = gyre_batch_make();
    uint8_t *value = malloc(LARGE_SIZE);
    char key[32];

    for (;;) {
        const uint64_t n = shared->next;
        const bool durable = n % 3 == 0;
        const struct gyre_write_options options = {
            .struct_size = sizeof(options), .durability = durable ? GYRE_DURABLE : GYRE_BUFFERED};
        gyre_status status;

        shared->in_progress[writer->index] = n;
        shared->next = n + 1;
        fill_value(value, n);
        if (is_batch(n)) {
            gyre_batch_clear(batch);
            for (unsigned part = 0; part < 3; part++) {
                status =
                    gyre_batch_put(batch, key_of(key, n, part), gyre_slice(value, value_size(n)));
                if (status != GYRE_OK) {
                    fail(gyre_db_loop(writer->db), "batch", status);
                }
            }
            status = gyre_write(writer->db, &options, batch);
        } else {
            status =
                gyre_put(writer->db, &options, key_of(key, n, 0), gyre_slice(value, value_size(n)));
        }
        if (status != GYRE_OK) {
            fail(gyre_db_loop(writer->db), "write", status);
        }
        shared->acknowledged[writer->index] = n;
        shared->in_progress[writer->index] = 0;
        shared->durable_count += durable;
        shared->buffered_count += !durable;
        shared->batch_count += is_batch(n);
        shared->large_count += n % LARGE_EVERY == 0;
        if (!durable && n % 7 == 0) {
            gyre_yield(gyre_db_loop(writer->db));
        }
    }
}

static void
write_until_killed(void)
{
    struct writer writers[WRITERS];
    gyre_loop *loop;
    gyre_db *db;

    open_store(&loop, &db);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.db = db, .index = i};
        if (gyre_spawn(loop, writer_main, &writers[i], NULL) != GYRE_OK) {
            fail(loop, "spawn", GYRE_NO_MEMORY);
        }
    }
    (void)gyre_run(loop);
    _exit(1); /* writers never end */
}

/* Every commit in order, whole, without a hole; how many there are. */
static void
check(void)
{
    gyre_iterator *it;
    gyre_loop *loop;
    gyre_db *db;
    uint64_t n = 0;
    unsigned part = 0;
    uint8_t *expected = malloc(LARGE_SIZE);
    gyre_status status;

    open_store(&loop, &db);
    status = gyre_iterator_open(db, NULL, &it);
    if (status != GYRE_OK) {
        fail(loop, "iterator", status);
    }
    for (status = gyre_iterator_first(it); status == GYRE_OK; status = gyre_iterator_next(it)) {
        const struct gyre_slice key = gyre_iterator_key(it);
        const struct gyre_slice value = gyre_iterator_value(it);
        char wanted[32];
        struct gyre_slice want;

        if (part == 0) {
            n++;
            fill_value(expected, n);
        }
        want = key_of(wanted, n, part);
        if (key.size != want.size || memcmp(key.data, want.data, want.size) != 0) {
            fprintf(stderr, "kill_storm: a hole: found %.*s, expected %s\n", (int)key.size,
                    (const char *)key.data, wanted);
            _exit(1);
        }
        if (value.size != value_size(n) || memcmp(value.data, expected, value.size) != 0) {
            fprintf(stderr, "kill_storm: wrong value of %s\n", wanted);
            _exit(1);
        }
        part = is_batch(n) ? (part + 1) % 3 : 0;
    }
    if (status != GYRE_NOT_FOUND) {
        fail(loop, "walk", status);
    }
    if (part != 0) {
        fprintf(stderr, "kill_storm: batch %llu is not whole\n", (unsigned long long)n);
        _exit(1);
    }
    shared->found = n;
    gyre_iterator_close(it);
    status = gyre_close(db);
    if (status != GYRE_OK) {
        fail(loop, "close", status);
    }
    _exit(gyre_loop_close(loop) == GYRE_OK ? 0 : 1);
}

static int
run(void (*fn)(void), uint64_t kill_after_us)
{
    const pid_t child = fork();
    int status = 0;

    if (child == 0) {
        fn();
    }
    if (kill_after_us != 0) {
        const struct timespec ts = {.tv_sec = (time_t)(kill_after_us / 1000000),
                                    .tv_nsec = (long)(kill_after_us % 1000000) * 1000};

        (void)nanosleep(&ts, NULL);
        (void)kill(child, SIGKILL);
    }
    (void)waitpid(child, &status, 0);
    return status;
}

int
main(int argc, char **argv)
{
    uint64_t seed;
    uint64_t rounds;
    uint64_t total = 0;

    if (argc < 3) {
        fprintf(stderr, "usage: kill_storm DIR ROUNDS [SEED]\n");
        return 2;
    }
    rounds = strtoull(argv[2], NULL, 10);
    seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return 1;
    }
    printf("kill_storm: seed %llu\n", (unsigned long long)seed);
    shared->next = 1;
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t acknowledged = 0;
        int status;

        if (round % 50 == 0) {
            total += shared->found;
            shared->found = 0;
            shared->next = 1;
            (void)snprintf(path, sizeof(path), "%s-%llu", argv[1],
                           (unsigned long long)(round / 50));
        }
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        memset((void *)shared->acknowledged, 0, sizeof(shared->acknowledged));
        memset((void *)shared->in_progress, 0, sizeof(shared->in_progress));
        status = run(write_until_killed, 500 + (seed >> 33) % 40000);
        if (!WIFSIGNALED(status)) {
            fprintf(stderr, "kill_storm: round %llu: the writer ended by itself\n",
                    (unsigned long long)round);
            return 1;
        }
        for (unsigned i = 0; i < WRITERS; i++) {
            acknowledged =
                shared->acknowledged[i] > acknowledged ? shared->acknowledged[i] : acknowledged;
        }
        status = run(check, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fprintf(stderr,
                    "kill_storm: round %llu: the check failed (acknowledged %llu, next %llu)\n",
                    (unsigned long long)round, (unsigned long long)acknowledged,
                    (unsigned long long)shared->next);
            return 1;
        }
        if (shared->found < acknowledged || shared->found >= shared->next) {
            fprintf(stderr,
                    "kill_storm: round %llu: %llu found, %llu acknowledged, %llu attempted\n",
                    (unsigned long long)round, (unsigned long long)shared->found,
                    (unsigned long long)acknowledged, (unsigned long long)(shared->next - 1));
            return 1;
        }
        shared->next = shared->found + 1; /* numbers that did not survive are given again */
    }
    total += shared->found;
    printf("kill_storm: %llu kills, %llu commits kept (%llu durable, %llu buffered, %llu batches, "
           "%llu large answered), 0 lost\n",
           (unsigned long long)rounds, (unsigned long long)total,
           (unsigned long long)shared->durable_count, (unsigned long long)shared->buffered_count,
           (unsigned long long)shared->batch_count, (unsigned long long)shared->large_count);
    return 0;
}
