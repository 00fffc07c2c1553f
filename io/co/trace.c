/* trace.c - see trace.h. */
#include "io/co/trace.h"

#include "io/base/bits.h"

void
gy_trace_note_away(struct gyre_trace *trace, enum gy_away away, uint64_t left_ns, uint64_t back_ns)
{
    const uint64_t ns = gy_sub_sat(back_ns, left_ns);

    if (trace->total_ns == 0) {
        trace->total_ns = left_ns;
    }
    switch (away) {
    case GY_AWAY_DEVICE:
        trace->device_ns += ns;
        break;
    case GY_AWAY_LOG:
        trace->log_ns += ns;
        break;
    case GY_AWAY_ROOM:
        trace->wait_ns += ns;
        break;
    case GY_AWAY_TURN:
        trace->turn_ns += ns;
        break;
    }
}

void
gy_trace_add_counts(struct gyre_trace *target, const struct gyre_trace *source)
{
    target->bytes += source->bytes;
    target->block_bytes_read += source->block_bytes_read;
    target->blocks_read += source->blocks_read;
    target->cache_hits += source->cache_hits;
    target->cache_waits += source->cache_waits;
    target->levels += source->levels;
    target->tables += source->tables;
    target->filters_asked += source->filters_asked;
    target->filters_no += source->filters_no;
}

void
gy_trace_finish(struct gyre_trace *trace, uint64_t queue_ns, uint64_t begun_ns, uint64_t end_ns)
{
    const uint64_t away_ns = trace->device_ns + trace->log_ns + trace->wait_ns + trace->turn_ns;

    trace->queue_ns = queue_ns;
    trace->run_ns = gy_sub_sat(gy_sub_sat(end_ns, begun_ns), away_ns);
    /* 0 is "not timed" */
    trace->total_ns = gy_max_u64(gy_sub_sat(end_ns, begun_ns) + queue_ns, 1);
}
