/* sim_overload.c - more is written than the device can compact: writers slow down smoothly. The
 * worst put stays below 50 ms and no quarter of a second passes without progress, whether writers
 * wait (a fixed number of them, each at once with its next put) or come at a fixed rate whatever
 * happens and do not wait (GYRE_WRITE_NO_WAIT: what is refused is gone, as a server would shed it;
 * time counts from when a put was due).
 *
 * Time is that of the simulated machine, whose device takes 0.3 to 1.2 ms for any request and whose
 * processor takes none, so writers offer what the log takes, several times what can be compacted.
 * How long the worst put is goes with how long the device takes to write a memtable: at 1 to 4 ms
 * for a request it is 60 to 80 ms.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/db/db.h"
#include "io/base/bits.h"
#include "io/base/rng.h"
#include "io/sim/world_sim.h"
#include "tools/gyre_sim/fail.h"

#define KEYS 40000u
#define VALUE_SIZE 6000u
#define WINDOWS 8u
#define WINDOW_NS (250 * GY_NS_PER_MS) /* none without progress */
#define WORST_NS (50 * GY_NS_PER_MS)
#define RATE 120000u /* arrivals a second */

struct overload {
    gyre_loop *loop;
    gyre_db *db;
    struct gy_rng rng;
    uint32_t durability;
    uint64_t begun_ns;
    uint64_t end_ns;
    uint64_t worst_ns;
    uint64_t done;
    uint64_t refused;
    uint64_t done_in_window[WINDOWS];
    uint32_t live;        /* arrivals that are not answered */
    uint64_t retry_at_ns; /* a host that was told to stay away does */
};

struct arrival {
    struct overload *o;
    uint64_t due_ns;
};

/* One put that began at due_ns. False: it was refused. */
static bool
put(struct overload *o, uint64_t due_ns, uint32_t flags)
{
    static const uint8_t value[VALUE_SIZE];
    char key[24];
    uint64_t now_ns;
    gyre_status status;

    (void)snprintf(key, sizeof(key), "key %08u", (unsigned)gy_rng_below(&o->rng, KEYS));
    status = gyre_put(o->db, GYRE_WRITE_OPTIONS(.durability = o->durability, .flags = flags),
                      gyre_str(key),
                      gyre_slice(value, 100 + (size_t)gy_rng_below(&o->rng, VALUE_SIZE - 100)));
    now_ns = gyre_now(o->loop);
    if (status == GYRE_AGAIN) {
        const struct gyre_error *error = gyre_last_error(o->loop);

        demand(flags == GYRE_WRITE_NO_WAIT && error->cause != 0);
        demand(error->retry_ns > 0 && error->retry_ns <= 100 * GY_NS_PER_MS);
        demand(now_ns - due_ns < WORST_NS); /* a refusal comes at once, too */
        o->retry_at_ns = now_ns + error->retry_ns;
        return false;
    }
    if (status != GYRE_OK) {
        fail_status(o->loop, status, "a put");
    }
    if (now_ns - due_ns > o->worst_ns) {
        o->worst_ns = now_ns - due_ns;
    }
    o->done++;
    if (now_ns < o->end_ns) {
        o->done_in_window[(now_ns - o->begun_ns) / WINDOW_NS]++;
    }
    return true;
}

/* ---- Writers that wait ---- */

static void
writer_main(void *arg)
{
    struct overload *o = arg;

    while (gyre_now(o->loop) < o->end_ns) {
        (void)put(o, gyre_now(o->loop), 0);
    }
}

static void
start_waiting(struct overload *o, uint32_t writers)
{
    for (uint32_t i = 0; i < writers; i++) {
        demand(gyre_spawn(o->loop, writer_main, o, NULL) == GYRE_OK);
    }
}

/* ---- Arrivals that do not ---- */

static void
arrival_main(void *arg)
{
    struct arrival *arrival = arg;
    struct overload *o = arrival->o;

    if (!put(o, arrival->due_ns, GYRE_WRITE_NO_WAIT)) {
        o->refused++;
    }
    o->live--;
    free(arrival);
}

static void
source_main(void *arg)
{
    struct overload *o = arg;
    uint64_t due_ns = o->begun_ns;

    while (due_ns < o->end_ns) {
        const uint64_t now_ns = gyre_now(o->loop);

        if (due_ns > now_ns) {
            demand(gyre_sleep(o->loop, due_ns - now_ns) == GYRE_OK);
        }
        if (due_ns < o->retry_at_ns) {
            o->refused++;
        } else {
            struct arrival *arrival = malloc(sizeof(*arrival));

            demand(arrival != NULL);
            *arrival = (struct arrival){.o = o, .due_ns = due_ns};
            o->live++;
            demand(gyre_spawn(o->loop, arrival_main, arrival, NULL) == GYRE_OK);
        }
        due_ns += GY_NS_PER_S / RATE;
    }
}

/* ---- The machine ---- */

static struct gy_world *
make_world(struct gy_sim_disk *disk)
{
    struct gy_world_sim_config config;
    struct gy_world *world;

    gy_world_sim_config_init(&config, 7);
    for (uint32_t op = 0; op < GY_OP_COUNT; op++) { /* steady: no tail that is the device's own */
        config.latency[op] =
            (struct gy_sim_latency){.min_ns = 300 * GY_NS_PER_US, .max_ns = 1200 * GY_NS_PER_US};
    }
    demand(gy_world_sim_open(&config, disk, &world) == GYRE_OK);
    return world;
}

static void
report(const struct overload *o, const char *what)
{
    struct gyre_stats stats = {.struct_size = sizeof(stats)};
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < WINDOWS; i++) {
        least = gy_min_u64(least, o->done_in_window[i]);
    }
    demand(gyre_stats(o->db, &stats) == GYRE_OK);
    (void)printf("%-34s %7llu puts, %7llu refused, worst %5.1f ms, least in 250 ms %5llu; "
                 "%llu waits at the pacer\n",
                 what, (unsigned long long)o->done, (unsigned long long)o->refused,
                 (double)o->worst_ns / 1e6, (unsigned long long)least,
                 (unsigned long long)stats.stall_count);
    if (o->worst_ns >= WORST_NS) {
        fail_now("%s: the worst put took %llu us", what, (unsigned long long)(o->worst_ns / 1000));
    }
    if (least == 0) {
        fail_now("%s: a quarter of a second without progress", what);
    }
    /* It was an overload: writers were held up. */
    demand(o->refused > 0 || stats.stall_count > 1000);
}

static void
run(const char *what, uint32_t writers, uint32_t durability)
{
    struct overload *o = calloc(1, sizeof(*o));
    struct gy_sim_disk_config disk_config = {.seed = 3};
    struct gy_heap heap;
    struct gy_sim_disk *disk;

    demand(o != NULL);
    gy_heap_init(&heap, UINT64_MAX);
    disk = gy_sim_disk_make(&disk_config, &heap);
    demand(
        gy_loop_open_on(GYRE_LOOP_OPTIONS(.memory_limit = 256 * GY_MIB, .cache_size = 8 * GY_MIB),
                        make_world(disk), &o->loop, NULL) == GYRE_OK);
    demand(gyre_open(o->loop, "/db",
                     GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE, .memtable_size = 2 * GY_MIB),
                     &o->db) == GYRE_OK);
    gy_rng_init(&o->rng, 11);
    o->durability = durability;
    o->begun_ns = gyre_now(o->loop);
    o->end_ns = o->begun_ns + WINDOWS * WINDOW_NS;
    if (writers > 0) {
        start_waiting(o, writers);
    } else {
        demand(gyre_spawn(o->loop, source_main, o, NULL) == GYRE_OK);
    }
    demand(gyre_run(o->loop) == GYRE_OK);
    demand(o->live == 0);
    report(o, what);
    demand(gyre_close(o->db) == GYRE_OK);
    demand(gyre_loop_close(o->loop) == GYRE_OK);
    gy_sim_disk_free(disk);
    free(o);
}

int
main(void)
{
    run("BUFFERED, 1 writer that waits", 1, GYRE_BUFFERED);
    run("BUFFERED, 256 writers that wait", 256, GYRE_BUFFERED);
    run("DURABLE, 256 writers that wait", 256, GYRE_DURABLE);
    run("BUFFERED, at a rate, not waiting", 0, GYRE_BUFFERED);
    run("DURABLE, at a rate, not waiting", 0, GYRE_DURABLE);
    return 0;
}
