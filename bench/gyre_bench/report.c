/* report.c - figures of a run, and their text form. */
#include "bench/gyre_bench/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static double
us(uint64_t ns)
{
    return (double)ns / 1e3;
}

static double
mib(uint64_t bytes)
{
    return (double)bytes / (double)(1 << 20);
}

/* Everything written for what the user wrote: log, flushes, compaction, manifest. */
static double
write_amplification(const struct gyre_stats *a, const struct gyre_stats *b)
{
    const uint64_t written = b->wal_bytes_written - a->wal_bytes_written + b->flush_bytes_written -
                             a->flush_bytes_written + b->compaction_bytes_written -
                             a->compaction_bytes_written + b->manifest_bytes_written -
                             a->manifest_bytes_written;

    return ratio((double)written, (double)(b->user_bytes_written - a->user_bytes_written));
}

/* Block reads for each key that was looked up; for scans, bytes read for each byte returned. */
static double
read_amplification(const struct report *report)
{
    const struct gyre_stats *a = &report->start.db;
    const struct gyre_stats *b = &report->answered.db;

    if (report->settings->is_write) {
        return NAN;
    }
    if (report->settings->workload == WORKLOAD_READSEQ ||
        report->settings->workload == WORKLOAD_SEEKRANDOM) {
        return ratio((double)(report->answered.loop.bytes_read - report->start.loop.bytes_read),
                     (double)report->run->user_bytes);
    }
    return ratio((double)(b->block_reads - a->block_reads), (double)report->run->ops);
}

struct figures
report_figures(const struct report *report)
{
    const struct run *run = report->run;
    const struct moment *start = &report->start;
    const struct moment *end = &report->end;
    const double ops = (double)run->ops;
    struct figures f = {.seconds = (double)(run->ended_ns - run->started_ns) / 1e9};

    if (report->is_settled) {
        f.settle_seconds = (double)(run->settled_ns - run->ended_ns) / 1e9;
    }
    f.ops_per_sec = ratio(ops, f.seconds);
    f.ops_per_sec_settled = report->is_settled ? ratio(ops, f.seconds + f.settle_seconds) : NAN;
    f.mb_per_sec = ratio((double)run->user_bytes / 1e6, f.seconds);
    f.cpu_us_per_op = ratio(us(end->cpu_ns - start->cpu_ns), ops);
    f.cpu_us_per_op_foreground = ratio(us(report->answered.cpu_ns - start->cpu_ns), ops);
    f.write_amplification =
        report->settings->is_write ? write_amplification(&start->db, &end->db) : NAN;
    f.read_amplification = read_amplification(report);
    f.space_amplification =
        ratio((double)(end->db.table_bytes + end->db.wal_live_bytes), report->live_user_bytes);
    f.found_fraction = report->settings->is_write ? NAN : ratio((double)run->found, ops);
    f.device_read = end->loop.bytes_read - start->loop.bytes_read;
    f.device_written = end->loop.bytes_written - start->loop.bytes_written;
    f.proc_read = end->proc_read_bytes - start->proc_read_bytes;
    f.proc_written = end->proc_written_bytes - start->proc_written_bytes;
    return f;
}

/* ---- Text ---- */

static const char *
number_text(double number, char *buffer, size_t capacity)
{
    if (isnan(number)) {
        return "-";
    }
    (void)snprintf(buffer, capacity, "%.2f", number);
    return buffer;
}

static void
print_head(const struct report *report)
{
    const struct settings *s = report->settings;
    const struct gyre_loop_stats *loop = &report->end.loop;

    (void)printf("%s: %" PRIu64 " keys of %" PRIu64 " bytes, values of %" PRIu64
                 " bytes, depth %" PRIu64 ", batch %" PRIu64 ", seed %" PRIu64 "%s\n",
                 workload_name(s->workload), s->num, s->key_size, s->value_size, s->depth, s->batch,
                 s->seed, report->is_interrupted ? "  ** interrupted **" : "");
    (void)printf("  io         : %s%s%s, direct %s, registered files %s, buffers %s\n",
                 loop->io_name, loop->io_reason[0] != '\0' ? ": " : "", loop->io_reason,
                 loop->has_direct_io ? "yes" : "no", loop->has_registered_files ? "yes" : "no",
                 loop->has_registered_buffers ? "yes" : "no");
}

static void
print_speed(const struct report *report, const struct figures *f)
{
    const struct run *run = report->run;
    const struct histogram *h = &run->latency;

    (void)printf("  ops        : %" PRIu64 " in %.3f s: %.0f/s, %.1f MB/s", run->ops, f->seconds,
                 f->ops_per_sec, f->mb_per_sec);
    if (report->is_settled) {
        (void)printf("; settled after %.3f s more: %.0f/s", f->settle_seconds,
                     f->ops_per_sec_settled);
    }
    (void)printf("\n  latency us : mean %.2f, p50 %.2f, p90 %.2f, p99 %.2f, p99.9 %.2f, "
                 "p99.99 %.2f, max %.2f%s\n",
                 histogram_mean(h) / 1e3, us(histogram_quantile(h, 0.5)),
                 us(histogram_quantile(h, 0.9)), us(histogram_quantile(h, 0.99)),
                 us(histogram_quantile(h, 0.999)), us(histogram_quantile(h, 0.9999)),
                 us(h->greatest), run->calls != run->ops ? " (of a call)" : "");
    (void)printf("  cpu        : %.2f us/op", f->cpu_us_per_op);
    if (report->is_settled) {
        (void)printf(" (%.2f until the last answer)", f->cpu_us_per_op_foreground);
    }
    (void)printf("; peak RSS %.1f MiB\n", mib(report->peak_rss));
}

static void
print_amounts(const struct report *report, const struct figures *f)
{
    const struct run *run = report->run;
    char a[32], b[32], c[32];

    if (!report->settings->is_write) {
        (void)printf("  found      : %" PRIu64 " of %" PRIu64 " (%.2f %%), rows %" PRIu64 "\n",
                     run->found, run->ops, 100.0 * f->found_fraction, run->rows);
    }
    (void)printf("  errors     : %" PRIu64 ", wrong values %" PRIu64 "\n", run->errors,
                 run->mismatches);
    (void)printf("  amplify    : write %s, read %s, space %s\n",
                 number_text(f->write_amplification, a, sizeof(a)),
                 number_text(f->read_amplification, b, sizeof(b)),
                 number_text(f->space_amplification, c, sizeof(c)));
    (void)printf(
        "  device MiB : read %.1f, written %.1f; /proc/self/io: %.1f (x%s), %.1f (x%s)\n",
        mib(f->device_read), mib(f->device_written), mib(f->proc_read),
        number_text(ratio((double)f->proc_read, (double)f->device_read), a, sizeof(a)),
        mib(f->proc_written),
        number_text(ratio((double)f->proc_written, (double)f->device_written), b, sizeof(b)));
}

static void
print_engine(const struct report *report)
{
    const struct gyre_stats *a = &report->start.db;
    const struct gyre_stats *b = &report->end.db;
    const struct gyre_loop_stats *loop = &report->end.loop;
    const uint64_t hits = b->cache_hits - a->cache_hits;
    const uint64_t misses = b->cache_misses - a->cache_misses;

    (void)printf("  cache      : %" PRIu64 " hits, %" PRIu64 " misses, %" PRIu64
                 " waits; filters: %" PRIu64 " asked, %" PRIu64 " said no, %" PRIu64 " wrong\n",
                 hits, misses, b->cache_waits - a->cache_waits, b->filter_checks - a->filter_checks,
                 b->filter_negatives - a->filter_negatives,
                 b->filter_false_positives - a->filter_false_positives);
    (void)printf("  log, tables: %" PRIu64 " groups, %" PRIu64 " syncs; %" PRIu64
                 " flushes, %" PRIu64 " compactions; stalls %" PRIu64 ", longest %.2f ms\n",
                 b->wal_groups - a->wal_groups, b->wal_syncs - a->wal_syncs,
                 b->flush_count - a->flush_count, b->compaction_count - a->compaction_count,
                 b->stall_count - a->stall_count, (double)b->stall_ns_max / 1e6);
    (void)printf("  kernel     : %" PRIu64 " enters for %" PRIu64 " requests, %" PRIu64
                 " workers now\n",
                 loop->io_enters - report->start.loop.io_enters,
                 loop->io_requests - report->start.loop.io_requests, loop->io_workers);
    (void)printf("  longest run: %.1f us of thread CPU (%.32s); over 100 us %" PRIu64
                 ", over 500 us %" PRIu64 " of %" PRIu64 "\n",
                 us(loop->run_ns_max), loop->run_name_max,
                 loop->runs_over_100us - report->start.loop.runs_over_100us,
                 loop->runs_over_500us - report->start.loop.runs_over_500us,
                 loop->runs - report->start.loop.runs);
    (void)printf("  memory     : %.1f MiB used, %.1f peak, of %.1f\n", mib(loop->memory_used),
                 mib(loop->memory_peak), mib(loop->memory_limit));
}

void
report_print(const struct report *report)
{
    const struct figures figures = report_figures(report);

    if (report->settings->json) {
        report_print_json(report, &figures);
        return;
    }
    print_head(report);
    print_speed(report, &figures);
    print_amounts(report, &figures);
    print_engine(report);
}
