/* campaign.h - many seeds in worker processes: a failure, a crash or a hang of one seed ends its
 * worker only, is reported with the seed, and another worker goes on with the rest. */
#ifndef GYRE_SIM_CAMPAIGN_H
#define GYRE_SIM_CAMPAIGN_H

#include "tools/gyre_sim/run.h"

struct campaign {
    const struct effort *effort;
    const uint64_t *seeds;     /* NULL: first, first + 1, ... */
    uint64_t first;
    uint64_t count;
    uint32_t jobs;
    uint64_t seconds_max;      /* stop giving out seeds after; 0 = never */
    uint32_t failures_max;     /* stop at so many */
    uint32_t hang_seconds;     /* a seed that takes longer hangs */
    bool is_quiet;             /* no text of failures */
    bool has_progress;         /* a line now and then, on a terminal */
};

#define CAMPAIGN_FAILURES_KEPT 32u

struct campaign_result {
    uint64_t seed_count;       /* done */
    double seconds;
    uint32_t failure_count;
    uint64_t failed_seeds[CAMPAIGN_FAILURES_KEPT];
    uint64_t hash;             /* of all seeds done, whatever their order */
    uint64_t states[FAIL_STATE_COUNT];
};

/* False when no worker could be started. */
bool campaign_run(const struct campaign *campaign, struct campaign_result *ret_result);

/* One seed in a process of its own; its text goes to `text` when that is not NULL (cut to fit).
 * True: it passed. */
bool campaign_try(uint64_t seed, const struct effort *effort, uint32_t seconds, char *text,
                  size_t text_size);

#endif
