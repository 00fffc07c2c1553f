/* report.c - figures of a group that are computed from what was counted. */
#include "bench/gyre_bench/report.h"

#include <math.h>

struct recorder *
unit_results(const struct unit *unit)
{
    struct recorder *sum = recorder_make(unit->first->class_mask);

    for (uint32_t i = 0; sum != NULL && i < unit->count; i++) {
        struct recorder *part = stream_results(&unit->first[i]);

        if (part != NULL) {
            recorder_merge(sum, part);
            recorder_free(part);
        }
    }
    return sum;
}

double
unit_seconds(const struct unit *unit)
{
    uint64_t ended_ns = unit->first->started_ns;

    for (uint32_t i = 0; i < unit->count; i++) {
        ended_ns = unit->first[i].ended_ns > ended_ns ? unit->first[i].ended_ns : ended_ns;
    }
    return (double)(ended_ns - unit->first->started_ns) / 1e9;
}

/* Also of callers at the side: what they wrote has reached the device, too. */
static void
add_streams(const struct group *group, struct derived *d)
{
    uint64_t longest_ns = 0;

    for (uint32_t i = 0; i < group->crew.stream_count; i++) {
        const struct stream *stream = &group->crew.streams[i];
        struct recorder *r = stream_results(stream);

        if (r == NULL) {
            continue;
        }
        d->lookups += r->lookups;
        d->found += r->found;
        d->rows += r->rows;
        d->user_read += r->bytes[CLASS_READ];
        d->user_written += r->bytes[CLASS_WRITE] + r->bytes[CLASS_DELETE];
        d->written_ops += r->ops[CLASS_WRITE] + r->ops[CLASS_DELETE];
        d->ops += r->ops[CLASS_READ] + r->ops[CLASS_WRITE] + r->ops[CLASS_DELETE];
        if (r->latency[CLASS_WRITE] != NULL && r->latency[CLASS_WRITE]->greatest > longest_ns) {
            longest_ns = r->latency[CLASS_WRITE]->greatest;
        }
        recorder_free(r);
    }
    d->longest_put_us = d->written_ops > 0 ? (double)longest_ns / 1e3 : NAN;
}

static double
difference(const struct figures *end, const struct figures *start, const char *name)
{
    return figure_find(end, name) - figure_find(start, name);
}

static void
add_amplification(const struct group *group, struct derived *d)
{
    const struct figures *end = &group->end_figures;
    const double user_written = (double)d->user_written;
    const bool has_io = group->start.has_proc_io;
    const double read_until = (double)(group->answered.read_bytes - group->start.read_bytes);

    d->proc_read = group->end.read_bytes - group->start.read_bytes;
    d->proc_written = group->end.written_bytes - group->start.written_bytes;
    d->disk_read = group->end.disk.read_bytes - group->start.disk.read_bytes;
    d->disk_written = group->end.disk.written_bytes - group->start.disk.written_bytes;
    d->write_amplification = has_io ? ratio((double)d->proc_written, user_written) : NAN;
    d->read_amplification = has_io ? ratio(read_until, (double)d->user_read) : NAN;
    d->bytes_read_per_lookup = has_io ? ratio(read_until, (double)d->lookups) : NAN;
    d->space_amplification = ratio((double)group->disk_bytes, group->live_bytes);
    d->engine_write_amplification =
        ratio(difference(end, &group->start_figures, "engine_bytes_written"), user_written);
    d->engine_space_amplification = ratio(
        figure_find(end, "table_bytes") + figure_find(end, "wal_live_bytes"), group->live_bytes);
    d->block_reads_per_lookup =
        ratio(difference(&group->answered_figures, &group->start_figures, "block_reads"),
              (double)d->lookups);
}

struct derived
report_derive(const struct group *group)
{
    struct derived d = {.ops = 0};
    const double harness_us = (double)group->harness_cpu_ns / 1e3;

    add_streams(group, &d);
    add_amplification(group, &d);
    for (uint32_t i = 0; i < group->unit_count; i++) {
        const double seconds = unit_seconds(&group->units[i]);

        d.seconds = seconds > d.seconds ? seconds : d.seconds;
    }
    d.settle_seconds = (double)group->settle_ns / 1e9;
    d.ops_per_sec = ratio((double)d.ops, d.seconds);
    d.ops_per_sec_settled =
        group->settled == SETTLE_DONE ? ratio((double)d.ops, d.seconds + d.settle_seconds) : NAN;
    d.cpu_us_per_op =
        ratio((double)(group->end.cpu_ns - group->start.cpu_ns) / 1e3 - harness_us, (double)d.ops);
    d.cpu_us_per_op_foreground = ratio(
        (double)(group->answered.cpu_ns - group->start.cpu_ns) / 1e3 - harness_us, (double)d.ops);
    d.debt = figure_find(&group->answered_figures, "compaction_debt");
    d.longest_run_us = figure_find(&group->end_figures, "run_us_max");
    return d;
}
