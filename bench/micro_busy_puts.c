/* micro_busy_puts.c - how long a DURABLE put takes while a compaction keeps the thread busy, and
 * how long beside nothing: the promise is a p99 within twice that of an idle store.
 *
 *     micro_busy_puts DIR [ROUNDS]     DIR must not exist; ROUNDS (5) rounds of 60 MB
 *
 * Each round loads overlapping tables, then measures one writer alone for as long as the last round
 * took to compact (a second in the first), then the same writer during gyre_compact_range. Both are
 * measured in turns, since the device's mood changes over minutes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gyre/gyre.h"

#define KEYS 60000u
#define VALUE_SIZE 1000u
#define SAMPLES_MAX 1000000u

struct series {
    const char *name;
    uint64_t ns[SAMPLES_MAX];
    size_t count;
};

struct bench {
    gyre_loop *loop;
    gyre_db *db;
    uint64_t random;
    bool is_over;          /* the writer ends */
    uint64_t compact_ns;   /* of the last round */
    struct series *series; /* where the writer adds to */
};

static struct series idle = {.name = "idle"};
static struct series busy = {.name = "compacting"};

static void
must(struct bench *b, gyre_status status, const char *what)
{
    if (status != GYRE_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, gyre_status_name(status),
                gyre_last_error(b->loop)->text);
        exit(1);
    }
}

static void
put(struct bench *b, uint32_t durability)
{
    static uint8_t value[VALUE_SIZE];
    char key[32];

    b->random = b->random * 6364136223846793005u + 1442695040888963407u;
    memcpy(value, &b->random, sizeof(b->random));
    snprintf(key, sizeof(key), "key%010u", (unsigned)((b->random >> 33) % (KEYS * 4)));
    must(b,
         gyre_put(b->db, GYRE_WRITE_OPTIONS(.durability = durability), gyre_str(key),
                  gyre_slice(value, sizeof(value))),
         "put");
}

static void
writer(void *arg)
{
    struct bench *b = arg;

    while (!b->is_over && b->series->count < SAMPLES_MAX) {
        const uint64_t start_ns = gyre_now(b->loop);

        put(b, GYRE_DURABLE);
        b->series->ns[b->series->count++] = gyre_now(b->loop) - start_ns;
    }
}

static void
waiter(void *arg)
{
    struct bench *b = arg;

    must(b, gyre_sleep(b->loop, b->compact_ns), "sleep");
    b->is_over = true;
}

static void
compactor(void *arg)
{
    struct bench *b = arg;
    const struct gyre_slice all = {0};
    const uint64_t start_ns = gyre_now(b->loop);

    must(b, gyre_compact_range(b->db, all, all, NULL, NULL), "compact_range");
    b->compact_ns = gyre_now(b->loop) - start_ns;
    b->is_over = true;
}

static void
measure(struct bench *b, struct series *series, void (*beside)(void *))
{
    b->series = series;
    b->is_over = false;
    must(b, gyre_spawn(b->loop, writer, b, NULL), "spawn");
    must(b, gyre_spawn(b->loop, beside, b, NULL), "spawn");
    must(b, gyre_run(b->loop), "run");
}

static int
by_size(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double
report(struct series *series)
{
    const size_t n = series->count;

    if (n == 0) {
        fprintf(stderr, "%s: no puts\n", series->name);
        exit(1);
    }
    qsort(series->ns, n, sizeof(series->ns[0]), by_size);
    printf("%-11s %8zu puts   p50 %8.1f us   p99 %8.1f us   p99.9 %8.1f us   max %8.1f us\n",
           series->name, n, (double)series->ns[n / 2] / 1e3, (double)series->ns[n * 99 / 100] / 1e3,
           (double)series->ns[n * 999 / 1000] / 1e3, (double)series->ns[n - 1] / 1e3);
    return (double)series->ns[n * 99 / 100];
}

int
main(int argc, char **argv)
{
    struct bench b = {.random = 1, .compact_ns = 1000000000u};
    struct gyre_error error;
    const int rounds = argc > 2 ? atoi(argv[2]) : 5;

    if (argc < 2 || rounds < 1) {
        fprintf(stderr, "usage: micro_busy_puts DIR [ROUNDS]\n");
        return 2;
    }
    if (gyre_loop_open(NULL, &b.loop, &error) != GYRE_OK) {
        fprintf(stderr, "loop: %s\n", error.text);
        return 1;
    }
    /* Level 0 is left alone until it is asked for, so that there is much to do at once. */
    must(&b,
         gyre_open(b.loop, argv[1],
                   GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE | GYRE_OPEN_EXCLUSIVE,
                                .memtable_size = 8u << 20, .level0_tables = 16),
                   &b.db),
         "open");
    for (int round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < KEYS; i++) {
            put(&b, GYRE_BUFFERED);
        }
        must(&b, gyre_flush(b.db), "flush");
        must(&b, gyre_wait_idle(b.db), "wait_idle");
        measure(&b, &idle, waiter);
        measure(&b, &busy, compactor);
    }
    const double idle_p99 = report(&idle);
    const double busy_p99 = report(&busy);
    printf("p99 while compacting: %.2f of idle\n", busy_p99 / idle_p99);
    must(&b, gyre_close(b.db), "close");
    must(&b, gyre_destroy(b.loop, argv[1]), "destroy");
    return gyre_loop_close(b.loop) != GYRE_OK;
}
