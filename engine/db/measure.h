/* measure.h - what is measured of operations: histograms of their durations, the trace of plain
 * calls, and those that took too long.
 *
 *   D1  Of what is quick one in so many is timed (periods in measure.c) and counts for all of them;
 *       which one does not depend on how long it takes, so counts and quantiles are unbiased.
 *   D2  Submitted operations, and plain calls while they are traced, are timed whenever they had to
 *       wait, and count once then: the scheduler has the times of that anyway (N2 in trace.h).
 *   D3  A plain call inside an operation or another traced call is part of that one.
 */
#ifndef GY_MEASURE_H
#define GY_MEASURE_H

#include "engine/db/db.h"
#include "io/base/histogram.h"

#define GY_SLOW_MAX 32u

struct gy_measures {
    struct gy_histogram histograms[GYRE_MEASURE_COUNT];
    uint32_t left[GYRE_MEASURE_COUNT]; /* until one is timed (D1) */
    bool is_tracing;                   /* plain calls */
    bool is_place_taken;               /* traces[1 - last] is being filled */
    uint32_t last;                     /* traces[last] is that of the last plain call */
    struct gyre_trace traces[2];
    gyre_slow_fn slow_fn;              /* NULL: nobody wants to know */
    void *slow_arg;
    uint64_t slow_ns;
    struct gyre_slow slow[GY_SLOW_MAX]; /* to be told: a ring */
    uint32_t slow_first;
    uint32_t slow_count;
    uint64_t slow_lost;
};

/* One for each loop, from its heap (GY_MEM_LOOP). NULL: no memory. */
struct gy_measures *gy_measures_make(struct gy_heap *heap);

/* A plain call, for its caller. */
struct gy_measured {
    const char *name; /* of the coroutine */
    enum gyre_op_kind kind;
    enum gyre_measure measure;
    struct gyre_slice key;     /* NULL data: none */
    const gyre_status *status; /* where fn leaves it */
};

/* Does nobody look at this call: in a coroutine, without a trace, and not to be timed? Then it is
 * counted, and the caller just runs it; else gy_call_measured. */
static inline bool
gy_call_is_quick(gyre_loop *loop, enum gyre_measure measure)
{
    const struct gy_sched *sched = &loop->io.sched;
    struct gy_measures *measures = loop->measures;

    if (gy_likely(sched->current != NULL && sched->trace == NULL && !measures->is_tracing &&
                  measures->left[measure] > 1)) {
        measures->left[measure]--;
        return true;
    }
    return false;
}
/* gy_call, measured. */
GYRE_NODISCARD gyre_status gy_call_measured(gyre_loop *loop, const struct gy_measured *what,
                                            void (*fn)(void *arg), void *arg);

/* Is this one to be timed, though it may not have to wait (D1)? */
bool gy_measure_is_due(struct gy_measures *measures, enum gyre_measure measure);
/* One operation; `waited`: it counts once (D2). GYRE_MEASURE_COUNT: of no class. */
void gy_measure_note(struct gy_measures *measures, enum gyre_measure measure, uint64_t ns,
                     bool waited);
/* If it was slow, for gy_measure_tell. */
void gy_measure_note_slow(struct gy_measures *measures, const struct gyre_slow *slow,
                          struct gyre_slice key);
/* Tell of slow operations: on the host's stack. */
void gy_measure_tell(gyre_loop *loop);

/* What an operation is counted as. */
enum gyre_measure gy_measure_of(const gyre_db *db, enum gyre_op_kind kind, uint32_t durability);

/* ---- stats.c ---- */

/* Fill a sized struct of the caller: as much as it has room for; its struct_size stays. */
GYRE_NODISCARD gyre_status gy_stats_copy_out(gyre_loop *loop, void *target, void *filled,
                                             size_t filled_size);
void gy_stats_fill(const gyre_db *db, struct gyre_stats *stats);
void gy_loop_stats_fill(gyre_loop *loop, struct gyre_loop_stats *stats);

/* ---- memory.c ---- */

void gy_memory_fill(const gyre_loop *loop, struct gyre_memory *memory);

#endif
