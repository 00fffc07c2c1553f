/* run.h - one group of jobs: those between two stonewalls, which run at the same time on one store.
 *
 * Order: the note of the store is read and settles what was not given; open (timed); ramp; the
 * measured phase; after writes, settling; the note is brought up to date; close (timed).
 */
#ifndef GYRE_BENCH_RUN_H
#define GYRE_BENCH_RUN_H

#include "bench/gyre_bench/engine.h"
#include "bench/gyre_bench/measure.h"
#include "bench/gyre_bench/stream.h"
#include "bench/gyre_bench/ticker.h"

enum settle_state { SETTLE_NOT_ASKED, SETTLE_DONE, SETTLE_NOT_DONE };

struct group {
    const struct run_settings *settings;
    struct job *jobs; /* job_count of them, of settings; values that were not given are filled in */
    uint32_t job_count;
    uint32_t number;
    uint32_t units_before; /* in earlier groups: numbers of logs */

    const struct engine_type *type;
    struct engine *engine;
    struct engine_settings engine_settings;
    char configuration[ENGINE_TEXT_MAX];
    struct note note;
    bool has_note;
    bool must_create;
    bool writes;
    char store_state[96]; /* before the run, in words */
    struct keyspace keyspace;
    struct crew crew;
    struct job *side_jobs;
    struct unit *units; /* what is reported */
    uint32_t unit_count;

    /* results */
    struct moment start, answered, end; /* end: after settling; else as answered */
    struct figures start_figures, answered_figures, end_figures;
    uint64_t open_ns, close_ns, settle_ns;
    enum settle_state settled;
    uint64_t peak_rss;
    uint64_t harness_cpu_ns; /* of the ticker; not part of the engine's */
    uint64_t disk_bytes;     /* of the store's files, at the end */
    double live_bytes;       /* keys and values that are there; 0 = not known */
    bool is_interrupted;
    bool has_crashed;        /* the store was not closed, and must not be touched again */
};

/* GO_ON, or the exit code; messages are printed. What was measured before a failure is there when
 * group->start.time_ns is not 0. */
int group_run(struct group *group);
/* After the report. */
void group_free(struct group *group);

#endif
