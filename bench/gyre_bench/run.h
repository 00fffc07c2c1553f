/* run.h - run a workload: --depth coroutines that take operations from one counter until the
 * count, the time, or an error ends it.
 *
 * An operation ends where the next of the same coroutine begins, so one look at the clock is
 * enough for each; the few nanoseconds that the harness needs to choose a key are in the latency.
 */
#ifndef GYRE_BENCH_RUN_H
#define GYRE_BENCH_RUN_H

#include <signal.h>

#include "bench/gyre_bench/histogram.h"
#include "bench/gyre_bench/keys.h"
#include "bench/gyre_bench/settings.h"

struct worker;

struct run {
    /* borrowed */
    const struct settings *settings;
    gyre_loop *loop;
    gyre_db *db;
    const volatile sig_atomic_t *interrupted; /* the signal's number, 0 = none */
    struct presence presence; /* main.c makes and frees what these two own */
    struct values values;
    struct fill fill;        /* order of writes */

    /* of the phase that runs */
    uint64_t op_next;        /* operations taken so far, over all phases: the index of the next */
    uint64_t op_limit;
    uint64_t deadline_ns;    /* 0 = none */
    uint64_t look_ns;        /* when to look at deadline, signals and progress again */
    uint64_t started_ns, ended_ns;
    uint64_t settled_ns;     /* by run_settle */
    uint64_t printed_ns;
    bool stop;
    bool is_terminal;        /* progress is shown */

    /* results of the phase */
    struct histogram latency; /* of calls, ns */
    uint64_t ops;             /* keys written or looked up, rows, seeks */
    uint64_t calls;
    uint64_t found;
    uint64_t rows;            /* rows seen by scans and seeks */
    uint64_t user_bytes;      /* keys and values of what was written or found */
    uint64_t errors;
    uint64_t mismatches;      /* values that are not of their key */
    gyre_status status;       /* first error */
    char error_text[256];

    struct worker *workers;
    uint32_t worker_count;
};

/* Make workers for the settings in run->settings; the fields above "of the phase" must be set.
 * Prints and returns false when there is no memory, or for an error of the store. */
bool run_init(struct run *run);
void run_free(struct run *run);

/* Run `ops` operations or, with duration_ns, for that long. Results are those of this phase. */
void run_phase(struct run *run, uint64_t ops, uint64_t duration_ns);

/* Wait until no compaction is due. False: interrupted (a coroutine still waits), or failed. */
bool run_settle(struct run *run);

#endif
