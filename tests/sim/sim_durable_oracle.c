/* sim_durable_oracle.c - at the very moment of an answer the power goes, and nothing that was not
 * made durable survives: the answered commit is there all the same. A missing sync is found at the
 * first answer that needed it, without luck. A BUFFERED answer is judged by a kill.
 *
 *   sim_durable_oracle [--seed S] [--seeds N]
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/sim_run.h"

/* No points at events: only answers are judged, and what is recovered is not crashed again. */
static const struct sim_effort EFFORT = {
    .depth_max = 0, .random_draws = 0, .commits = 16, .sessions = 3};

/* Inside the coroutine of the writer that was answered: take the copy here, judge it on the host's
 * stack. */
static void
on_answer(struct sim_run *run, uint64_t sequence, enum sim_klass klass)
{
    (void)sequence;
    sim_run_take_point(run, klass == SIM_DURABLE ? SIM_JUDGE_NONE : SIM_JUDGE_KILL);
}

int
main(int argc, char **argv)
{
    uint64_t first = 1;
    uint64_t count = 12;

    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
            first = strtoull(argv[++i], NULL, 10);
            count = 1;
        } else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0) {
            count = strtoull(argv[++i], NULL, 10);
        } else {
            (void)fprintf(stderr, "usage: sim_durable_oracle [--seed S] [--seeds N]\n");
            return 2;
        }
    }
    sim_set_program("sim_durable_oracle");
    for (uint64_t seed = first; seed < first + count; seed++) {
        (void)sim_run_whole(seed, &EFFORT, on_answer);
    }
    (void)printf("%llu answers judged over %llu seeds\n",
                 (unsigned long long)sim_reached_count(SIM_crash_copies),
                 (unsigned long long)count);
    sim_demand(NULL, 0);
    if (sim_reached_count(SIM_crash_copies) < count * 10) {
        sim_fail("hardly any answer was judged");
    }
    return 0;
}
