/* space_kit.h - a small store on a simulated disk that can be made full, with a model of what was
 * acknowledged: the last answered version of each key. */
#ifndef GY_TEST_SPACE_KIT_H
#define GY_TEST_SPACE_KIT_H

#include "engine/db/db.h"
#include "gyre/gyre.h"
#include "io/sim/world_sim.h"

#define SPACE_KEYS 3000u
#define SPACE_NEWS_MAX 4096u

struct space_kit {
    struct gy_heap heap;
    struct gy_sim_disk *disk;
    struct gy_world *world;
    gyre_loop *loop;
    gyre_db *db;
    struct gyre_options options;
    uint32_t value_size;
    uint32_t version[SPACE_KEYS];     /* 0: not there */
    uint32_t version_next;
    uint64_t used_max;                /* of the disk, after each operation */
    /* what the callback was told */
    uint32_t news[SPACE_NEWS_MAX];
    uint64_t news_ns[SPACE_NEWS_MAX];
    uint32_t news_count;
    struct gyre_error news_error;     /* the last one */
    bool called_back_wrongly;
};

/* Memtables and tables of 64 KiB, log slots of 128 KiB, a callback that notes the news. */
struct space_kit *space_kit_make(uint64_t seed);
void space_kit_open(struct space_kit *kit);
void space_kit_close(struct space_kit *kit);
/* The process dies; another one opens the store. */
void space_kit_kill(struct space_kit *kit, uint64_t seed);
void space_kit_free(struct space_kit *kit); /* closes; asserts that nothing is left */

gyre_status space_kit_put(struct space_kit *kit, uint32_t key);
gyre_status space_kit_delete(struct space_kit *kit, uint32_t key);
/* Puts keys from `first` on, going round, until one is refused; how many were taken, at most
 * `max`. */
uint32_t space_kit_fill(struct space_kit *kit, uint32_t first, uint32_t max,
                        gyre_status *ret_status);
void space_kit_sleep(struct space_kit *kit, uint64_t ms);
/* Every key is what was acknowledged. */
void space_kit_check(struct space_kit *kit);
/* How often the callback was told of it. */
uint32_t space_kit_told(const struct space_kit *kit, uint32_t kind);
struct gyre_health space_kit_health(struct space_kit *kit);

#endif
