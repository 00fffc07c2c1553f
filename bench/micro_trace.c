/* micro_trace.c - what the trace of an operation costs a get that finds all in the cache.
 *
 *     micro_trace DIR [PAIRS]     DIR must not exist; PAIRS (2000) pairs of short rounds
 *
 * The same random keys are read in rounds of 1000 gets, by turns with and without a trace, in one
 * coroutine of one process; beside them the same as submitted operations, which always have one.
 * CPU time of the thread. The ratio is the median over all pairs of neighbours, so that neither the
 * machine's mood nor another process decides it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gyre/gyre.h"

#define KEYS 20000u
#define ROUND 1000u
#define PAIRS_MAX 100000u

struct bench {
    gyre_loop *loop;
    gyre_db *db;
    uint64_t random;
    uint32_t pairs;
    double off_ns[PAIRS_MAX];
    double on_ns[PAIRS_MAX];
    double op_ns[PAIRS_MAX];
};

static struct bench bench = {.random = 1, .pairs = 2000};

static void
must(gyre_status status, const char *what)
{
    if (status != GYRE_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, gyre_status_name(status),
                gyre_last_error(bench.loop)->text);
        exit(1);
    }
}

static double
cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint32_t
key_of(uint32_t index, uint8_t key[16])
{
    return (uint32_t)snprintf((char *)key, 16, "key%010u", index);
}

static uint32_t
random_key(uint8_t key[16])
{
    bench.random = bench.random * 6364136223846793005u + 1442695040888963407u;
    return key_of((uint32_t)((bench.random >> 33) % KEYS), key);
}

static double
round_of_calls(void)
{
    const double start = cpu_ns();
    struct gyre_value value;
    uint8_t key[16];

    for (uint32_t i = 0; i < ROUND; i++) {
        must(gyre_get(bench.db, NULL, gyre_slice(key, random_key(key)), &value), "get");
        gyre_value_release(&value);
    }
    return (cpu_ns() - start) / ROUND;
}

static void
call_pairs(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < bench.pairs; i++) {
        for (uint32_t half = 0; half < 2; half++) { /* either goes first as often */
            const bool on = (half ^ i) % 2 == 0;

            must(gyre_trace_calls(bench.loop, on), "trace_calls");
            *(on ? &bench.on_ns[i] : &bench.off_ns[i]) = round_of_calls();
        }
    }
    must(gyre_trace_calls(bench.loop, false), "trace_calls");
}

static void
on_get(struct gyre_op *op)
{
    must(op->status, "submitted get");
    gyre_value_release(&op->value);
}

static double
round_of_ops(void)
{
    enum { BATCH = 10 };
    const double start = cpu_ns();
    struct gyre_op ops[BATCH];
    uint8_t keys[BATCH][16];

    for (uint32_t i = 0; i < ROUND; i += BATCH) {
        for (uint32_t j = 0; j < BATCH; j++) {
            ops[j] = GYRE_OP(.kind = GYRE_OP_GET, .db = bench.db, .done = on_get);
            ops[j].key = gyre_slice(keys[j], random_key(keys[j]));
            must(gyre_submit(&ops[j]), "submit");
        }
        while (gyre_loop_poll(bench.loop, 1000) == GYRE_AGAIN) {
            /* another process had the processor */
        }
    }
    return (cpu_ns() - start) / ROUND;
}

static int
by_size(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double
median(double *values, uint32_t count)
{
    qsort(values, count, sizeof(*values), by_size);
    return values[count / 2];
}

static void
fill(const char *path)
{
    static uint8_t value[400];
    uint8_t key[16];

    must(gyre_open(bench.loop, path, GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE | GYRE_OPEN_EXCLUSIVE),
                   &bench.db),
         "open");
    for (uint32_t i = 0; i < KEYS; i++) {
        must(gyre_put(bench.db, GYRE_WRITE_OPTIONS(.durability = GYRE_BUFFERED),
                      gyre_slice(key, key_of(i, key)), gyre_slice(value, sizeof(value))),
             "put");
    }
    must(gyre_flush(bench.db), "flush");
    must(gyre_wait_idle(bench.db), "wait_idle");
    for (uint32_t i = 0; i < KEYS; i++) { /* into the cache */
        struct gyre_value found;

        must(gyre_get(bench.db, NULL, gyre_slice(key, key_of(i, key)), &found), "get");
        gyre_value_release(&found);
    }
}

int
main(int argc, char **argv)
{
    static double ratios[PAIRS_MAX];
    struct gyre_error error;

    if (argc > 2) {
        bench.pairs = (uint32_t)atoi(argv[2]);
    }
    if (argc < 2 || bench.pairs < 1 || bench.pairs > PAIRS_MAX) {
        fprintf(stderr, "usage: micro_trace DIR [PAIRS]\n");
        return 2;
    }
    if (gyre_loop_open(NULL, &bench.loop, &error) != GYRE_OK) {
        fprintf(stderr, "loop: %s\n", error.text);
        return 1;
    }
    fill(argv[1]);
    must(gyre_spawn(bench.loop, call_pairs, NULL, NULL), "spawn");
    must(gyre_run(bench.loop), "run");
    for (uint32_t i = 0; i < bench.pairs; i++) {
        ratios[i] = bench.on_ns[i] / bench.off_ns[i];
        bench.op_ns[i] = round_of_ops();
    }
    printf("cached get in a coroutine   off %7.1f ns   on %7.1f ns   trace costs %+.2f %%\n",
           median(bench.off_ns, bench.pairs), median(bench.on_ns, bench.pairs),
           (median(ratios, bench.pairs) - 1) * 100);
    printf("fastest round               off %7.1f ns   on %7.1f ns   %+.2f %%\n", bench.off_ns[0],
           bench.on_ns[0], (bench.on_ns[0] / bench.off_ns[0] - 1) * 100);
    printf("submitted, with its trace       %7.1f ns   fastest %7.1f ns\n",
           median(bench.op_ns, bench.pairs), bench.op_ns[0]);
    must(gyre_close(bench.db), "close");
    must(gyre_destroy(bench.loop, argv[1]), "destroy");
    return gyre_loop_close(bench.loop) != GYRE_OK;
}
