/* measure.c - see measure.h. */
#include "engine/db/measure.h"

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* D1. Two looks at the clock are 50 ns; a step of an iterator takes twice that. */
static const uint32_t periods[GYRE_MEASURE_COUNT] = {
    [GYRE_MEASURE_GET] = 64,           [GYRE_MEASURE_MULTI_GET] = 1,
    [GYRE_MEASURE_WRITE_DURABLE] = 1,  [GYRE_MEASURE_WRITE_BUFFERED] = 16,
    [GYRE_MEASURE_SYNC] = 1,           [GYRE_MEASURE_ITERATOR_SEEK] = 16,
    [GYRE_MEASURE_ITERATOR_STEP] = 64, [GYRE_MEASURE_FLUSH] = 1,
    [GYRE_MEASURE_COMPACTION] = 1,
};

struct gy_measures *
gy_measures_make(struct gy_heap *heap)
{
    struct gy_measures *measures = gy_heap_zalloc(heap, sizeof(*measures), GY_MEM_LOOP);

    if (measures != NULL) {
        memcpy(measures->left, periods, sizeof(periods));
    }
    return measures;
}

/* ---- Counting ---- */

bool
gy_measure_is_due(struct gy_measures *measures, enum gyre_measure measure)
{
    gy_assert(measure < GYRE_MEASURE_COUNT);
    measures->left[measure]--;
    if (measures->left[measure] != 0) {
        return false;
    }
    measures->left[measure] = periods[measure];
    return true;
}

void
gy_measure_note(struct gy_measures *measures, enum gyre_measure measure, uint64_t ns, bool waited)
{
    if (measure != GYRE_MEASURE_COUNT) {
        gy_histogram_add(&measures->histograms[measure], ns, waited ? 1 : periods[measure]);
    }
}

enum gyre_measure
gy_measure_of(const gyre_db *db, enum gyre_op_kind kind, uint32_t durability)
{
    switch (kind) {
    case GYRE_OP_GET:
        return GYRE_MEASURE_GET;
    case GYRE_OP_MULTI_GET:
        return GYRE_MEASURE_MULTI_GET;
    case GYRE_OP_PUT:
    case GYRE_OP_DELETE:
    case GYRE_OP_WRITE:
        if (durability == GYRE_DURABILITY_DEFAULT) {
            durability = db->options.durability;
        }
        return durability == GYRE_DURABLE ? GYRE_MEASURE_WRITE_DURABLE
                                          : GYRE_MEASURE_WRITE_BUFFERED;
    case GYRE_OP_SYNC:
        return GYRE_MEASURE_SYNC;
    case GYRE_OP_ITERATOR_FIRST:
    case GYRE_OP_ITERATOR_LAST:
    case GYRE_OP_ITERATOR_SEEK:
    case GYRE_OP_ITERATOR_SEEK_FOR_PREV:
        return GYRE_MEASURE_ITERATOR_SEEK;
    case GYRE_OP_ITERATOR_NEXT:
    case GYRE_OP_ITERATOR_PREV:
        return GYRE_MEASURE_ITERATOR_STEP;
    default:
        return GYRE_MEASURE_COUNT;
    }
}

/* ---- Plain calls ---- */

/* Its trace is complete. */
static void
end_traced(gyre_loop *loop, const struct gy_measured *what, struct gyre_trace *trace,
           uint64_t begun_ns)
{
    const bool waited = trace->total_ns != 0;
    struct gyre_slow slow = {.kind = what->kind, .status = *what->status};

    begun_ns = begun_ns != 0 ? begun_ns : trace->total_ns;
    gy_trace_finish(trace, 0, begun_ns, gy_loop_now(&loop->io));
    gy_measure_note(loop->measures, what->measure, trace->total_ns, waited);
    slow.trace = *trace;
    gy_measure_note_slow(loop->measures, &slow, what->key);
    if (loop->io.sched.current == NULL) {
        gy_measure_tell(loop);
    }
}

/* `trace` is all zeros. Inline, and past gy_call in a coroutine: it is there for the quick ones. */
static inline __attribute__((always_inline)) gyre_status
call_with_trace(gyre_loop *loop, const struct gy_measured *what, void (*fn)(void *arg), void *arg,
                struct gyre_trace *trace)
{
    struct gy_sched *sched = &loop->io.sched;
    const uint64_t begun_ns =
        gy_measure_is_due(loop->measures, what->measure) ? gy_loop_now(&loop->io) : 0;
    gyre_status status = GYRE_OK;

    gy_trace_set(sched, trace);
    if (sched->current != NULL) {
        fn(arg);
    } else {
        status = gy_call(loop, what->name, fn, arg);
    }
    gy_trace_set(sched, NULL);
    if (gy_unlikely((begun_ns != 0 || trace->total_ns != 0) && status == GYRE_OK)) {
        end_traced(loop, what, trace, begun_ns);
    }
    return status;
}

/* Another coroutine's call is being traced. */
static gyre_status
call_traced_beside(gyre_loop *loop, const struct gy_measured *what, void (*fn)(void *arg),
                   void *arg)
{
    struct gyre_trace trace = {0};
    const gyre_status status = call_with_trace(loop, what, fn, arg, &trace);

    loop->measures->traces[loop->measures->last] = trace;
    return status;
}

/* A trace is not copied where only one coroutine is reading: that is half of its cost. */
static gyre_status
call_traced(gyre_loop *loop, const struct gy_measured *what, void (*fn)(void *arg), void *arg)
{
    struct gy_measures *measures = loop->measures;
    struct gyre_trace *trace;
    gyre_status status;

    if (measures->is_place_taken) {
        return call_traced_beside(loop, what, fn, arg);
    }
    trace = &measures->traces[1 - measures->last];
    measures->is_place_taken = true;
    *trace = (struct gyre_trace){0};
    status = call_with_trace(loop, what, fn, arg, trace);
    measures->is_place_taken = false;
    measures->last = 1 - measures->last;
    return status;
}

gyre_status
gy_call_measured(gyre_loop *loop, const struct gy_measured *what, void (*fn)(void *arg), void *arg)
{
    struct gy_measures *measures = loop->measures;
    uint64_t begun_ns;
    gyre_status status;

    if (loop->io.sched.trace != NULL) { /* D3 */
        return gy_call(loop, what->name, fn, arg);
    }
    if (measures->is_tracing) {
        return call_traced(loop, what, fn, arg);
    }
    if (!gy_measure_is_due(measures, what->measure)) {
        return gy_call(loop, what->name, fn, arg);
    }
    begun_ns = gy_loop_now(&loop->io);
    status = gy_call(loop, what->name, fn, arg);
    if (status == GYRE_OK) {
        gy_measure_note(measures, what->measure, gy_sub_sat(gy_loop_now(&loop->io), begun_ns),
                        false);
    }
    return status;
}

gyre_status
gyre_trace_calls(gyre_loop *loop, bool on)
{
    const gyre_status status = gy_loop_check(loop);

    if (status == GYRE_OK) {
        loop->measures->is_tracing = on;
    }
    return status;
}

const struct gyre_trace *
gyre_last_trace(gyre_loop *loop)
{
    static const struct gyre_trace none;

    return gy_loop_check(loop) == GYRE_OK ? &loop->measures->traces[loop->measures->last] : &none;
}

/* ---- Slow ones ---- */

gyre_status
gyre_on_slow(gyre_loop *loop, uint64_t threshold_ns, gyre_slow_fn fn, void *arg)
{
    const gyre_status status = gy_loop_check(loop);

    if (status != GYRE_OK) {
        return status;
    }
    loop->measures->slow_fn = fn;
    loop->measures->slow_arg = arg;
    loop->measures->slow_ns = threshold_ns;
    loop->measures->slow_count = 0; /* those were for another */
    loop->measures->is_tracing |= fn != NULL;
    return GYRE_OK;
}

void
gy_measure_note_slow(struct gy_measures *measures, const struct gyre_slow *slow,
                     struct gyre_slice key)
{
    struct gyre_slow *kept;

    if (measures->slow_fn == NULL || slow->trace.total_ns < measures->slow_ns) {
        return;
    }
    if (measures->slow_count == GY_SLOW_MAX) {
        measures->slow_lost++;
        return;
    }
    kept = &measures->slow[(measures->slow_first + measures->slow_count) % GY_SLOW_MAX];
    measures->slow_count++;
    *kept = *slow;
    if (key.data != NULL) {
        kept->key_size = key.size;
        memcpy(kept->key, key.data, gy_min_u64(key.size, GYRE_SLOW_KEY_MAX));
    }
}

void
gy_measure_tell(gyre_loop *loop)
{
    struct gy_measures *measures = loop->measures;

    while (measures->slow_count > 0) {
        const struct gyre_slow slow = measures->slow[measures->slow_first];

        measures->slow_first = (measures->slow_first + 1) % GY_SLOW_MAX;
        measures->slow_count--;
        gy_callback_begin(loop);
        measures->slow_fn(measures->slow_arg, &slow);
        gy_callback_end(loop);
    }
}

/* ---- Histograms ---- */

gyre_status
gyre_histogram(gyre_loop *loop, enum gyre_measure measure, struct gyre_histogram *histogram)
{
    const gyre_status status = gy_loop_check(loop);
    struct gyre_histogram filled = {0};
    const struct gy_histogram *source;

    if (status != GYRE_OK) {
        return status;
    }
    if ((unsigned)measure >= GYRE_MEASURE_COUNT || histogram == NULL) {
        return gy_loop_fail(loop, GYRE_INVALID, "gyre_histogram: there is no such measure");
    }
    source = &loop->measures->histograms[measure];
    filled.count = source->count;
    filled.sum_ns = source->sum;
    filled.p50_ns = gy_histogram_quantile(source, 500000);
    filled.p90_ns = gy_histogram_quantile(source, 900000);
    filled.p99_ns = gy_histogram_quantile(source, 990000);
    filled.p999_ns = gy_histogram_quantile(source, 999000);
    filled.p9999_ns = gy_histogram_quantile(source, 999900);
    filled.max_ns = source->greatest;
    return gy_stats_copy_out(loop, histogram, &filled, sizeof(filled));
}
