/* sim_determinism.c - a seed of the checker is one run to the byte, crashes and recoveries
 * included, whatever lay in memory before: no decision and no byte on disk comes from memory that
 * nobody wrote.
 *
 *   sim_determinism [--first S] [--seeds N]     30 seeds from 1
 */
#include <stdio.h>
#include <stdlib.h>

#include "tools/gyre_sim/run.h"

static uint64_t
hash_of(uint64_t seed, int fill)
{
    struct effort effort = {.points_max = 6,
                            .point_ppm = 3000,
                            .point_special_ppm = 20000,
                            .point_deep_ppm = 1500,
                            .answer_ppm = 20000,
                            .draws = 1,
                            .depth_max = 2};
    struct gy_heap heap;
    uint64_t hash;

    gy_heap_init(&heap, UINT64_MAX);
    effort.pages = gy_sim_pages_make(&heap, fill);
    hash = run_seed(seed, &effort);
    gy_sim_pages_put(effort.pages);
    demand(heap.used == 0);
    return hash;
}

int
main(int argc, char **argv)
{
    static const int fills[] = {-1, 0x00, 0xa7}; /* -1: as whoever had it before has left it */
    uint64_t first = 1;
    uint64_t count = 30;

    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--first") == 0) {
            first = strtoull(argv[++i], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0) {
            count = strtoull(argv[++i], NULL, 10);
        } else {
            (void)fprintf(stderr, "usage: sim_determinism [--first S] [--seeds N]\n");
            return 2;
        }
    }
    for (uint64_t seed = first; seed < first + count; seed++) {
        const uint64_t hash = hash_of(seed, fills[0]);

        for (size_t i = 1; i < sizeof(fills) / sizeof(fills[0]); i++) {
            if (hash_of(seed, fills[i]) != hash) {
                fail_now("seed %llu gave two different runs with memory filled with %d and %d",
                         (unsigned long long)seed, fills[0], fills[i]);
            }
        }
    }
    (void)printf("%llu seeds, three runs of each, one hash\n", (unsigned long long)count);
    return 0;
}
