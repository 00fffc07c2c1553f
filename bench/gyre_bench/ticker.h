/* ticker.h - a thread of the harness that looks at the recorders of a crew while it runs: a series
 * of intervals, the logs that were asked for, the line of progress. Its own processor time is taken
 * off what is reported. */
#ifndef GYRE_BENCH_TICKER_H
#define GYRE_BENCH_TICKER_H

#include <stdio.h>

#include "bench/gyre_bench/stream.h"

/* One interval of one class. */
struct tick {
    enum op_class class;
    uint64_t end_ns, length_ns; /* since the phase began */
    uint64_t ops, calls, bytes;
    double mean_ns;
    uint64_t p50_ns, p99_ns, p999_ns, max_ns;
    uint64_t slow; /* calls that took slow_time or longer */
};

/* What is reported as one: a stream, or with group_reporting all copies of a job. */
struct unit {
    struct stream *first;
    uint32_t count;
    uint32_t number;        /* of all units of the run, from 1: in names of logs */
    struct tick *ticks;
    uint32_t tick_count, tick_capacity;
};

struct ticker;

/* NULL: no memory, or a log cannot be written (printed). `show_progress`: on standard error. */
struct ticker *ticker_start(struct crew *crew, struct unit *units, uint32_t unit_count,
                            const struct run_settings *settings, bool show_progress);
/* Ends it, with what is left of the last interval. Returns the processor time that it took, ns. */
uint64_t ticker_stop(struct ticker *ticker);

#endif
