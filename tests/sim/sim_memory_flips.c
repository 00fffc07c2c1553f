/* sim_memory_flips.c - single bits change in live memory: in cached blocks, in memtables, in what
 * is on its way to a table. What is promised of a paranoid store, and of any store:
 *
 *   cached block   paranoid: never served; it is read again, so every answer is right. Any store:
 *                  never written into another table: the compaction fails and nothing is lost
 *   memtable       any store: never flushed; the flush fails, and the log still has what was
 *                  written. (Until then a read may see it: a memtable's entries carry no checksum
 *                  of their own.)
 *   table          paranoid: what the device has is read back before it is installed
 *
 *   sim_memory_flips [--flips N]     2,000 by default
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/disk/cache_frame.h"
#include "io/base/bits.h"
#include "tests/sim/damage_kit.h"

#define FLIPS_OF_A_LIFE 50u /* before the store is opened again */

struct counts {
    uint64_t flips;
    uint64_t healed;  /* every answer right */
    uint64_t refused; /* a job failed, reopening gave everything back */
    uint64_t unseen;  /* it hit what nobody read, or was dropped by the job */
};

static struct gy_rng rng;

struct life {
    const struct damage_base *base;
    struct plan plan;
    struct gy_sim_disk *disk;
    struct machine machine;
    gyre_db *db;
};

static void
begin(struct life *life, const struct damage_base *base, bool paranoid,
      const struct gy_sim_faults *faults)
{
    memset(life, 0, sizeof(*life));
    life->base = base;
    life->plan = base->plan;
    life->plan.options.paranoid = paranoid;
    life->plan.options.background_off = 1;
    life->disk = gy_sim_disk_clone(base->disk);
    machine_start(&life->machine, life->disk, &life->plan, gy_rng_next(&rng), NULL);
    demand(machine_open(&life->machine, &life->plan, 0, &life->db) == GYRE_OK);
    gy_world_sim_set_faults(life->machine.world, faults);
}

/* Everything is right and nothing complains. */
static void
demand_all(struct life *life)
{
    struct model_state found;
    gyre_status status = store_scan(life->db, NULL, &found);

    if (status == GYRE_OK) {
        demand(memcmp(&found, &life->base->states[0], sizeof(found)) == 0);
        status = store_compare(life->db, NULL, &life->base->states[0], &rng);
    }
    if (status != GYRE_OK) {
        fail_status(life->machine.loop, status, "a read");
    }
}

static void
end(struct life *life)
{
    (void)gyre_close(life->db);
    machine_stop(&life->machine);
    gy_sim_disk_free(life->disk);
}

/* The process is gone; the next one finds everything. */
static void
reopen_and_end(struct life *life)
{
    gy_world_sim_set_faults(life->machine.world, NULL);
    (void)gyre_close(life->db);
    machine_stop(&life->machine);
    machine_start(&life->machine, life->disk, &life->plan, 2, NULL);
    demand(machine_open(&life->machine, &life->plan, 0, &life->db) == GYRE_OK);
    demand_all(life);
    end(life);
}

static void
flip(void *bytes, uint64_t size)
{
    ((uint8_t *)bytes)[gy_rng_below(&rng, size)] ^= (uint8_t)(1u << gy_rng_below(&rng, 8));
}

/* ---- Cached blocks ---- */

static struct gy_cache_frame *
any_cached(struct gy_cache *cache)
{
    const uint32_t count = cache->slab_made * GY_SLAB_FRAMES;
    const uint32_t start = (uint32_t)gy_rng_below(&rng, count);

    for (uint32_t i = 0; i < count; i++) {
        struct gy_cache_frame *frame = &cache->frames[(start + i) % count];

        if (frame->state == GY_FRAME_READY && frame->size > 0) {
            return frame;
        }
    }
    fail_now("nothing is cached");
}

/* Reads heal. */
static void
flip_cached_and_read(const struct damage_base *base, uint64_t flips, struct counts *counts)
{
    struct life life;

    begin(&life, base, true, NULL);
    demand_all(&life);
    for (uint64_t i = 0; i < flips; i++) {
        struct gy_cache_frame *frame = any_cached(life.machine.loop->cache);

        demand(frame->hash != 0);
        flip(frame->data, frame->size);
        demand_all(&life);
        counts->flips++;
        counts->healed++;
    }
    end(&life);
}

/* A compaction does not make a table of it. */
static void
flip_cached_and_compact(const struct damage_base *base, bool paranoid, struct counts *counts)
{
    struct gy_cache_frame *frame;
    struct life life;
    gyre_status status;

    begin(&life, base, paranoid, NULL);
    demand_all(&life);
    frame = any_cached(life.machine.loop->cache);
    flip(frame->data, frame->size);
    status = gyre_compact_range(life.db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL);
    demand(status == GYRE_OK || status == GYRE_CORRUPT || status == GYRE_UNSUPPORTED);
    demand(!paranoid || status == GYRE_OK);
    counts->flips++;
    counts->healed += paranoid ? 1 : 0;
    counts->refused += status != GYRE_OK ? 1 : 0;
    counts->unseen += !paranoid && status == GYRE_OK ? 1 : 0;
    reopen_and_end(&life);
}

/* ---- Memtables ---- */

static void
flip_entry(struct gy_memtable *memtable)
{
    uint64_t at = gy_rng_below(&rng, gy_memtable_count(memtable));
    struct gy_memtable_iter iter;
    struct gy_entry entry;

    gy_memtable_iter_init(&iter, memtable);
    gy_memtable_iter_first(&iter);
    while (at-- > 0) {
        gy_memtable_iter_next(&iter);
    }
    entry = gy_memtable_iter_entry(&iter);
    switch (gy_rng_below(&rng, 3)) {
    case 0:
        flip(&iter.node->tag, sizeof(iter.node->tag));
        break;
    case 1:
        flip((void *)(uintptr_t)entry.key.data, entry.key.size);
        break;
    default:
        flip((void *)(uintptr_t)entry.value.data, entry.value.size);
        break;
    }
}

static void
flip_entry_and_flush(const struct damage_base *base, struct counts *counts)
{
    struct life life;
    gyre_status status;

    begin(&life, base, gy_rng_below(&rng, 2) == 0, NULL);
    flip_entry(life.db->view->active);
    status = gyre_flush(life.db);
    if (status != GYRE_CORRUPT && status != GYRE_UNSUPPORTED) {
        fail_now("a flush of a changed memtable: %s", gyre_status_name(status));
    }
    counts->flips++;
    counts->refused++;
    reopen_and_end(&life);
}

/* ---- On the way to a table ---- */

static void
flip_written(const struct damage_base *base, struct counts *counts)
{
    const struct gy_sim_faults faults = {.rule_count = 1,
                                         .rules[0] = {.fault = GY_SIM_FAULT_FLIP,
                                                      .op_mask = 1u << GY_OP_WRITE,
                                                      .name = ".sst",
                                                      .nth = 1 + gy_rng_below(&rng, 2)}};
    struct life life;
    gyre_status status;

    begin(&life, base, true, &faults);
    status = gyre_compact_range(life.db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL);
    demand(status == GYRE_OK || status == GYRE_CORRUPT || status == GYRE_UNSUPPORTED);
    if (gy_world_sim_strike_count(life.machine.world, 0) > 0) {
        counts->flips++;
        counts->refused += status != GYRE_OK ? 1 : 0;
        counts->unseen += status == GYRE_OK ? 1 : 0; /* zeros between blocks */
    } else {
        demand(status == GYRE_OK);
    }
    demand_all(&life);
    reopen_and_end(&life);
}

static void
print_counts(const char *what, const struct counts *counts)
{
    (void)printf("%-34s %6llu flips: %6llu healed, %6llu refused, %6llu unseen, 0 wrong\n", what,
                 (unsigned long long)counts->flips, (unsigned long long)counts->healed,
                 (unsigned long long)counts->refused, (unsigned long long)counts->unseen);
}

int
main(int argc, char **argv)
{
    uint64_t flips = 2000;
    struct counts counts[5] = {{0}};
    struct damage_base base;
    struct damage_base logs;

    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--flips") == 0) {
            flips = strtoull(argv[++i], NULL, 10);
        } else {
            (void)fprintf(stderr, "usage: sim_memory_flips [--flips N]\n");
            return 2;
        }
    }
    gy_rng_init(&rng, 7);
    damage_base_make(&base, 5, DAMAGE_FILL_TABLES, false);
    damage_base_make(&logs, 5, DAMAGE_FILL_LOGS, true); /* killed: its log goes to a table */
    while (counts[0].flips < flips / 2) {
        flip_cached_and_read(&base, FLIPS_OF_A_LIFE, &counts[0]);
    }
    while (counts[1].flips < flips / 8) {
        flip_cached_and_compact(&base, true, &counts[1]);
    }
    while (counts[2].flips < flips / 8) {
        flip_cached_and_compact(&base, false, &counts[2]);
    }
    while (counts[3].flips < flips / 8) {
        flip_entry_and_flush(&logs, &counts[3]);
    }
    while (counts[4].flips < flips / 8) {
        flip_written(&base, &counts[4]);
    }
    print_counts("cached, read, paranoid", &counts[0]);
    print_counts("cached, compacted, paranoid", &counts[1]);
    print_counts("cached, compacted", &counts[2]);
    print_counts("memtable, flushed", &counts[3]);
    print_counts("table, written, paranoid", &counts[4]);
    demand(counts[2].refused > 0 && counts[3].refused > 0 && counts[4].refused > 0);
    damage_base_free(&base);
    damage_base_free(&logs);
    return 0;
}
