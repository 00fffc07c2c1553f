/* measure.h - counters of the engine, the process and the kernel at one moment, and what lies
 * between two moments. */
#ifndef GYRE_BENCH_MEASURE_H
#define GYRE_BENCH_MEASURE_H

#include "gyre/gyre.h"

struct moment {
    uint64_t time_ns;
    uint64_t cpu_ns; /* user and system, all threads of the process: kernel workers too */
    struct gyre_stats db;
    struct gyre_loop_stats loop;
    uint64_t proc_read_bytes;    /* /proc/self/io: what the process made the block layer do */
    uint64_t proc_written_bytes;
    bool has_proc_io;            /* not in every container */
};

void moment_take(struct moment *moment, gyre_db *db);

uint64_t time_now_ns(void);      /* CLOCK_MONOTONIC */
uint64_t cpu_now_ns(void);
uint64_t rss_peak_bytes(void);

/* NAN where the divisor is 0: printed as "-", or null. */
double ratio(double a, double b);

#endif
