/* disk_kit.h - a loop on a simulated disk with arena, cache and a set of tables: for tests of what
 * lies between the file layer and the levels. */
#ifndef GY_TEST_DISK_KIT_H
#define GY_TEST_DISK_KIT_H

#include "engine/disk/table.h"
#include "engine/disk/table_writer.h"
#include "io/sim/world_sim.h"

struct disk_kit_config {
    uint64_t seed;
    uint64_t cache_size;   /* bytes; 0 = 4 MiB */
    uint32_t buffer_count; /* of the arena; 0 = 16 */
    uint32_t open_max;     /* tables; 0 = 100 */
    bool chaos;            /* ready coroutines run in random order */
    bool short_transfers;
};

struct disk_kit {
    struct gy_heap disk_heap;
    struct gy_sim_disk *disk;
    struct gy_world *world;
    struct gy_loop loop;
    struct gy_rng chaos;
    struct gy_arena arena;
    struct gy_cache *cache;
    struct gy_file dir;
    struct gy_table_set set;
    void (*body)(void *arg);
    void *arg;
};

void disk_kit_make(struct disk_kit *kit,
                   const struct disk_kit_config *config); /* NULL = all defaults */
/* Asserts that nothing is left: tables, pins, buffers, memory; and that no rule of the world was
 * broken. */
void disk_kit_free(struct disk_kit *kit);
/* Run body(arg) as a coroutine until it and all that it started have ended. */
void disk_kit_run(struct disk_kit *kit, void (*body)(void *arg), void *arg);

/* Write a table; asserts that it works. The caller has the reference. */
struct disk_kit_table_options {
    uint64_t number;
    uint32_t block_size; /* 0 = 4096 */
    uint32_t bloom_bits; /* 0 = 10; UINT32_MAX = none */
    bool compress;
};
GY_SUSPENDS struct gy_table *disk_kit_await_table(struct disk_kit *kit,
                                                  const struct disk_kit_table_options *options,
                                                  const struct gy_entry *entries, uint32_t count);
void disk_kit_writer_options(struct disk_kit *kit, const struct disk_kit_table_options *options,
                             struct gy_table_writer_options *ret_options);
/* Text of the last failure of the running coroutine. */
const struct gyre_error *disk_kit_error(struct disk_kit *kit);

#endif
