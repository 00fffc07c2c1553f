/* sim_crash.c - crashes at every I/O event of a mixed workload, from an empty disk on: nothing
 * durable is lost, there is never a hole, and what one recovery accepted survives the next crash.
 * What is demanded in detail stands in tests/support/sim_run.h.
 *
 *   sim_crash                    a short run over fixed seeds: the ctest
 *   sim_crash --seeds N          N seeds from --seed S (1) on
 *   sim_crash --exhaust          every event instead of a sample, and more crashes inside
 *                                recoveries
 *   sim_crash --seed S           only that one: to see a failure again
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/support/sim_run.h"

static const struct sim_effort SAMPLED = {.point_ppm = 8000,
                                          .point_deep_ppm = 2000,
                                          .depth_max = 3,
                                          .random_draws = 2,
                                          .commits = 24,
                                          .sessions = 3};
/* Few commits, every event: most crash bugs need little work and an unlucky moment. */
static const struct sim_effort SHORT_AND_WHOLE = {.point_ppm = 1000000,
                                                  .point_deep_ppm = 1000,
                                                  .depth_max = 2,
                                                  .random_draws = 1,
                                                  .commits = 4,
                                                  .sessions = 1};
static const struct sim_effort EXHAUSTIVE = {.point_ppm = 1000000,
                                             .point_deep_ppm = 20000,
                                             .depth_max = 3,
                                             .random_draws = 4,
                                             .commits = 24,
                                             .sessions = 2};

static double
seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
run_seeds(const struct sim_effort *effort, const char *name, uint64_t first, uint64_t count)
{
    const uint64_t copies = sim_reached_count(SIM_crash_copies);
    const double start = seconds();
    struct sim_effort shared = *effort;
    struct gy_heap heap;
    double took;

    gy_heap_init(&heap, UINT64_MAX);
    shared.pages = gy_sim_pages_make(&heap, -1);
    for (uint64_t seed = first; seed < first + count; seed++) {
        (void)sim_run_whole(seed, &shared, NULL);
    }
    gy_sim_pages_put(shared.pages);
    took = seconds() - start;
    (void)printf(
        "%s: %llu seeds, %llu crashes recovered in %.1f s: %.0f seeds and %.0f crashes a minute\n",
        name, (unsigned long long)count,
        (unsigned long long)(sim_reached_count(SIM_crash_copies) - copies), took,
        (double)count * 60 / took,
        (double)(sim_reached_count(SIM_crash_copies) - copies) * 60 / took);
}

/* The same seed gives the same run to the byte, whatever lay in memory before: no decision and no
 * byte on disk comes from memory that nobody wrote. */
static void
demand_determinism(uint64_t seed)
{
    static const int fills[] = {-1, 0x00, 0xa7, -1};
    uint64_t hashes[4];
    struct gy_heap heap;

    gy_heap_init(&heap, UINT64_MAX);
    for (uint32_t i = 0; i < 4; i++) {
        struct gy_sim_pages *pages = gy_sim_pages_make(&heap, fills[i]);
        const struct sim_effort effort = {.commits = 24, .sessions = 2, .pages = pages};

        hashes[i] = sim_run_whole(seed, &effort, NULL);
        gy_sim_pages_put(pages);
        if (hashes[i] != hashes[0]) {
            sim_fail("seed %llu gave two different runs with memory filled with %d and %d",
                     (unsigned long long)seed, fills[0], fills[i]);
        }
    }
    sim_check(heap.used == 0);
}

int
main(int argc, char **argv)
{
    static const enum sim_state wanted[] = {SIM_crash_copies,
                                            SIM_crash_before_creation,
                                            SIM_half_made_is_empty,
                                            SIM_lost_some_buffered,
                                            SIM_kept_more_than_durable,
                                            SIM_tail_was_dropped,
                                            SIM_read_only_open,
                                            SIM_log_switched,
                                            SIM_log_slot_reused,
                                            SIM_flushed,
                                            SIM_compacted,
                                            SIM_large_commit,
                                            SIM_snapshot_over_flush,
                                            SIM_staged_was_replayed,
                                            SIM_no_staging,
                                            SIM_no_log};
    uint64_t first = 1;
    uint64_t count = 0;
    bool exhaust = false;
    bool one = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--exhaust") == 0) {
            exhaust = true;
        } else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
            first = strtoull(argv[++i], NULL, 10);
            one = true;
        } else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0) {
            count = strtoull(argv[++i], NULL, 10);
        } else {
            (void)fprintf(stderr, "usage: sim_crash [--seed S] [--seeds N] [--exhaust]\n");
            return 2;
        }
    }
    sim_set_program("sim_crash");
    if (count > 0 || one) {
        run_seeds(exhaust ? &EXHAUSTIVE : &SAMPLED, exhaust ? "exhaustive" : "sampled", first,
                  count > 0 ? count : 1);
        sim_demand(NULL, 0);
        return 0;
    }
    for (uint64_t seed = 1; seed <= 4; seed++) {
        demand_determinism(seed);
    }
    run_seeds(exhaust ? &EXHAUSTIVE : &SHORT_AND_WHOLE, "every event", 1, 4);
    run_seeds(&SAMPLED, "sampled", 100, 8);
    sim_demand(wanted, sizeof(wanted) / sizeof(wanted[0]));
    return 0;
}
