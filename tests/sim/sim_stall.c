/* sim_stall.c - a device that holds one request for a long time: a log write, a sync, the write of
 * a table, of the manifest. Writers wait and fail nothing, the stall can be seen in the statistics
 * while it lasts, reads of what is in memory go on, and when the device goes on everybody ends
 * within bounded time with nothing lost.
 *
 *   sim_stall [--seeds N]     40 by default
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/calm_plan.h"
#include "tools/gyre_sim/fail.h"
#include "tools/gyre_sim/store.h"

#define HOT_KEYS 20u /* written before, read all the time */
#define WRITERS 4u
#define COMMITS 60u /* of each writer */
#define STALL_NS (5ull * GY_NS_PER_S)
#define READ_NS_MAX (20ull * GY_NS_PER_MS)
#define AFTER_NS_MAX (20ull * GY_NS_PER_S) /* from the end of the stall until all have ended */

static const struct {
    const char *what;
    uint32_t op_mask;
    const char *name;
} stuck[] = {
    {"a log write", 1u << GY_OP_WRITE, "wal-"},
    {"a log sync", 1u << GY_OP_SYNC, "wal-"},
    {"a table write", 1u << GY_OP_WRITE, ".sst"},
    {"a table sync", 1u << GY_OP_SYNC, ".sst"},
    {"a manifest write", 1u << GY_OP_WRITE, "MANIFEST"},
    {"making a table", 1u << GY_OP_OPEN, ".sst"},
};

#define STUCK_COUNT (sizeof(stuck) / sizeof(stuck[0]))

struct stall {
    struct plan plan;
    struct machine machine;
    gyre_db *db;
    uint32_t writers_live;
    struct model_state wanted; /* what was answered last */
    uint64_t value_next;
    uint64_t lifted_ns;
    uint64_t ended_ns;
    bool struck;
    bool seen;
    uint64_t reads;
};

struct writer {
    struct stall *stall;
    uint32_t number;
    struct gy_rng rng;
};

static void
put(struct stall *stall, uint32_t key, uint32_t size, uint32_t durability)
{
    struct gyre_write_options options = {.struct_size = sizeof(options), .durability = durability};
    const struct model_op op = model_op_put(key, ++stall->value_next, size);
    uint8_t *value = malloc(MODEL_VALUE_MAX);
    gyre_status status;

    demand(value != NULL);
    model_value_fill(op.id, op.size, value);
    status = gyre_put(stall->db, &options, model_key(key), gyre_slice(value, size));
    if (status != GYRE_OK) {
        fail_status(stall->machine.loop, status, "a write");
    }
    stall->wanted.digests[key] = op.digest;
    free(value);
}

/* Each writer has keys of its own, none of the hot ones. */
static void
writer_main(void *arg)
{
    struct writer *writer = arg;
    const uint32_t own = (MODEL_KEYS_USUAL - HOT_KEYS) / WRITERS;

    for (uint32_t i = 0; i < COMMITS; i++) {
        put(writer->stall,
            HOT_KEYS + writer->number * own + (uint32_t)gy_rng_below(&writer->rng, own), 2000,
            gy_rng_below(&writer->rng, 2) == 0 ? GYRE_DURABLE : GYRE_BUFFERED);
    }
    writer->stall->writers_live--;
    if (writer->stall->writers_live == 0) {
        writer->stall->ended_ns = gyre_now(writer->stall->machine.loop);
    }
}

static void
read_hot(struct stall *stall)
{
    for (uint32_t key = 0; key < HOT_KEYS; key++) {
        const uint64_t start = gyre_now(stall->machine.loop);
        struct gyre_value value;
        const gyre_status status = gyre_get(stall->db, NULL, model_key(key), &value);

        if (status != GYRE_OK) {
            fail_status(stall->machine.loop, status, "a read of what is cached");
        }
        demand(model_digest(value.data, value.size) == stall->wanted.digests[key]);
        gyre_value_release(&value);
        demand(gyre_now(stall->machine.loop) - start < READ_NS_MAX);
        stall->reads++;
    }
}

/* Reads on while the device holds its request, looks at the counters, lets go after a while. */
static void
observer_main(void *arg)
{
    struct stall *stall = arg;
    gyre_loop *loop = stall->machine.loop;
    uint64_t struck_ns = 0;

    while (stall->writers_live > 0) {
        struct gyre_loop_stats stats = {.struct_size = sizeof(stats)};

        read_hot(stall);
        (void)gyre_sleep(loop, 10 * GY_NS_PER_MS);
        if (struck_ns == 0 && gy_world_sim_strike_count(stall->machine.world, 0) > 0) {
            struck_ns = gyre_now(loop);
        }
        if (stall->struck || struck_ns == 0 || gyre_now(loop) - struck_ns < STALL_NS) {
            continue;
        }
        demand(gyre_loop_stats(loop, &stats) == GYRE_OK);
        stall->struck = true;
        stall->seen = stats.io_stalls > 0 && stats.io_oldest_ns >= STALL_NS - GY_NS_PER_S;
        stall->lifted_ns = gyre_now(loop);
        gy_world_sim_set_faults(stall->machine.world, NULL);
    }
    if (!stall->struck) { /* everybody was done before */
        gy_world_sim_set_faults(stall->machine.world, NULL);
    }
}

static void
demand_content(struct stall *stall)
{
    struct model_state found;

    demand(store_scan(stall->db, NULL, &found) == GYRE_OK);
    demand(memcmp(&stall->wanted, &found, sizeof(found)) == 0);
}

static void
open_and_warm(struct stall *stall)
{
    demand(machine_open(&stall->machine, &stall->plan, GYRE_OPEN_CREATE, &stall->db) == GYRE_OK);
    for (uint32_t key = 0; key < HOT_KEYS; key++) {
        put(stall, key, 500, GYRE_DURABLE);
    }
    demand(gyre_flush(stall->db) == GYRE_OK);
    /* Reads come out of the cache only if the files of tables that are made later need not be read:
     * no compaction moves the hot keys. */
    read_hot(stall);
}

static void
run_stall(uint64_t seed, uint32_t which, uint64_t *struck, uint64_t *reads)
{
    struct stall *stall = calloc(1, sizeof(*stall));
    struct writer writers[WRITERS];
    struct gy_sim_faults faults = {.rule_count = 1};
    struct gy_heap heap;
    struct gy_sim_disk *disk;

    demand(stall != NULL);
    gy_heap_init(&heap, UINT64_MAX);
    calm_plan_draw(&stall->plan, seed);
    stall->plan.options.level0_tables = 64; /* see open_and_warm */
    disk = gy_sim_disk_make(&stall->plan.disk, &heap);
    machine_start(&stall->machine, disk, &stall->plan, seed, NULL);
    open_and_warm(stall);
    faults.rules[0] = (struct gy_sim_rule){
        .fault = GY_SIM_FAULT_STUCK, .op_mask = stuck[which].op_mask, .nth = 1 + seed % 5};
    (void)snprintf(faults.rules[0].name, sizeof(faults.rules[0].name), "%s", stuck[which].name);
    gy_world_sim_set_faults(stall->machine.world, &faults);
    stall->writers_live = WRITERS;
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.stall = stall, .number = i};
        gy_rng_init(&writers[i].rng, seed * WRITERS + i);
        demand(gyre_spawn(stall->machine.loop, writer_main, &writers[i], NULL) == GYRE_OK);
    }
    demand(gyre_spawn(stall->machine.loop, observer_main, stall, NULL) == GYRE_OK);
    demand(gyre_run(stall->machine.loop) == GYRE_OK);
    demand(!stall->struck || stall->seen);
    if (stall->struck && stall->ended_ns - stall->lifted_ns > AFTER_NS_MAX) {
        fail_now("the device goes on, and writers still take %llu ms",
                 (unsigned long long)((stall->ended_ns - stall->lifted_ns) / GY_NS_PER_MS));
    }
    *struck += stall->struck ? 1 : 0;
    *reads += stall->reads;
    demand_content(stall);
    demand(gyre_close(stall->db) == GYRE_OK);
    demand(machine_open(&stall->machine, &stall->plan, 0, &stall->db) == GYRE_OK);
    demand_content(stall);
    demand(gyre_close(stall->db) == GYRE_OK);
    machine_stop(&stall->machine);
    gy_sim_disk_free(disk);
    demand(heap.used == 0);
    free(stall);
}

int
main(int argc, char **argv)
{
    uint64_t seeds = 40;

    if (argc == 3 && strcmp(argv[1], "--seeds") == 0) {
        seeds = strtoull(argv[2], NULL, 10);
    } else if (argc != 1) {
        (void)fprintf(stderr, "usage: sim_stall [--seeds N]\n");
        return 2;
    }
    for (uint32_t which = 0; which < STUCK_COUNT; which++) {
        uint64_t struck = 0;
        uint64_t reads = 0;

        for (uint64_t seed = 1; seed <= seeds; seed++) {
            fail_set_place(1, "%s is stuck, seed %llu", stuck[which].what,
                           (unsigned long long)seed);
            run_stall(seed, which, &struck, &reads);
        }
        (void)printf("%-18s stuck for %llu s in %3llu of %llu runs: seen in each, %llu reads of "
                     "hot keys, none lost\n",
                     stuck[which].what, STALL_NS / GY_NS_PER_S, (unsigned long long)struck,
                     (unsigned long long)seeds, (unsigned long long)reads);
        demand(struck > 0);
    }
    return 0;
}
