/* trace.h - what an operation meets on its way, noted by those it meets: one predictable branch for
 * each where nobody wants to know.
 *
 *   N1  sched->trace is the trace of whoever is running, NULL for most. A coroutine's own is
 *       gy_co.trace; the scheduler puts it there for each slice.
 *   N2  Time away from the processor needs no clock of its own: the scheduler knows when a slice
 *       ended (gy_co.left_ns) and when the next one begins. It counts for what the coroutine said
 *       it waits for (gy_trace_begin_away), else as a turn of others.
 *       Until gy_trace_finish total_ns is when the coroutine first left; 0 = it has not.
 *   N3  Helpers of an operation (multi_get.c) have traces of their own, whose counts are added to
 *       its: their waiting is not its.
 */
#ifndef GY_TRACE_H
#define GY_TRACE_H

#include "gyre/trace.h"
#include "io/co/sched.h"

/* The trace of the running coroutine, or of the host between coroutines; NULL takes it away. */
static inline void
gy_trace_set(struct gy_sched *sched, struct gyre_trace *trace)
{
    sched->trace = trace;
    if (sched->current != NULL) {
        sched->current->trace = trace;
        sched->current->away = GY_AWAY_TURN;
    }
}

/* N2. Back after a slice that ended at `left_ns`. */
void gy_trace_note_away(struct gyre_trace *trace, enum gy_away away, uint64_t left_ns,
                        uint64_t back_ns);

/* Waits between these two are for `away`. They may be nested. */
static inline enum gy_away
gy_trace_begin_away(struct gy_sched *sched, enum gy_away away)
{
    const enum gy_away before = sched->current->away;

    sched->current->away = away;
    return before;
}

static inline void
gy_trace_end_away(struct gy_sched *sched, enum gy_away before)
{
    sched->current->away = before;
}

static inline void
gy_trace_note_bytes(struct gy_sched *sched, uint64_t bytes)
{
    if (sched->trace != NULL) {
        sched->trace->bytes += bytes;
    }
}

/* Add what a helper met (N3). */
void gy_trace_add_counts(struct gyre_trace *target, const struct gyre_trace *source);

/* The sums are complete: it ended at `end_ns`, having begun at `begun_ns` after `queue_ns`. */
void gy_trace_finish(struct gyre_trace *trace, uint64_t queue_ns, uint64_t begun_ns,
                     uint64_t end_ns);

#endif
