/* report_json.c - a run as one JSON object. Its names are a contract, see gyre-bench(1). */
#include "bench/gyre_bench/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static void
put_name(const char *name)
{
    (void)printf(",\n  \"%s\": ", name);
}

static void
put_count(const char *name, uint64_t count)
{
    put_name(name);
    (void)printf("%" PRIu64, count);
}

/* JSON has no NaN: what is not known is null. */
static void
put_number(const char *name, double number)
{
    put_name(name);
    if (isfinite(number)) {
        (void)printf("%.6g", number);
    } else {
        (void)printf("null");
    }
}

static void
put_flag(const char *name, bool flag)
{
    put_name(name);
    (void)printf("%s", flag ? "true" : "false");
}

static void
put_text(const char *name, const char *text)
{
    put_name(name);
    (void)putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at < 0x20) {
            (void)printf("\\u%04x", *at);
        } else {
            if (*at == '"' || *at == '\\') {
                (void)putchar('\\');
            }
            (void)putchar(*at);
        }
    }
    (void)putchar('"');
}

static void
put_settings(const struct settings *s)
{
    static const char *const durabilities[] = {"", "durable", "buffered", "nowal"};
    static const char *const compressions[] = {"default", "none", "zstd"};

    put_text("db", s->db);
    put_count("num", s->num);
    put_count("key_size", s->key_size);
    put_count("value_size", s->value_size);
    put_count("depth", s->depth);
    put_count("batch", s->batch);
    put_count("seed", s->seed);
    if (s->workload == WORKLOAD_SEEKRANDOM) {
        put_count("nexts", s->nexts);
    }
    if (s->is_write) {
        put_text("durability", durabilities[s->durability]);
        put_text("compression", compressions[s->compression]);
        put_number("compress_ratio", s->compress_ratio);
    }
    put_text("options", s->options != NULL ? s->options : "");
}

static void
put_latency(const struct histogram *h)
{
    static const struct {
        const char *name;
        double fraction;
    } quantiles[] = {
        {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}};

    put_name("latency_us");
    (void)printf("{\"mean\": %.3f", histogram_mean(h) / 1e3);
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        (void)printf(", \"%s\": %.3f", quantiles[i].name,
                     (double)histogram_quantile(h, quantiles[i].fraction) / 1e3);
    }
    (void)printf(", \"max\": %.3f}", (double)h->greatest / 1e3);
}

static void
put_device(const struct report *report, const struct figures *f)
{
    put_count("device_bytes_read", f->device_read);
    put_count("device_bytes_written", f->device_written);
    put_name("proc_io");
    if (!report->end.has_proc_io) {
        (void)printf("null");
        return;
    }
    (void)printf("{\"read_bytes\": %" PRIu64 ", \"write_bytes\": %" PRIu64, f->proc_read,
                 f->proc_written);
    if (f->device_read > 0) {
        (void)printf(", \"read_ratio\": %.4f", (double)f->proc_read / (double)f->device_read);
    }
    if (f->device_written > 0) {
        (void)printf(", \"write_ratio\": %.4f",
                     (double)f->proc_written / (double)f->device_written);
    }
    (void)putchar('}');
}

static void
put_engine(const struct report *report)
{
    const struct gyre_stats *a = &report->start.db;
    const struct gyre_stats *b = &report->end.db;
    const struct gyre_loop_stats *loop = &report->end.loop;

    put_count("cache_hits", b->cache_hits - a->cache_hits);
    put_count("cache_misses", b->cache_misses - a->cache_misses);
    put_count("block_reads", b->block_reads - a->block_reads);
    put_count("filter_checks", b->filter_checks - a->filter_checks);
    put_count("filter_false_positives", b->filter_false_positives - a->filter_false_positives);
    put_count("wal_groups", b->wal_groups - a->wal_groups);
    put_count("wal_syncs", b->wal_syncs - a->wal_syncs);
    put_count("flush_count", b->flush_count - a->flush_count);
    put_count("compaction_count", b->compaction_count - a->compaction_count);
    put_count("compaction_debt", report->answered.db.compaction_debt);
    put_count("table_bytes", b->table_bytes);
    put_count("stall_count", b->stall_count - a->stall_count);
    put_number("stall_us_max", (double)b->stall_ns_max / 1e3);
    put_count("io_enters", loop->io_enters - report->start.loop.io_enters);
    put_count("io_requests", loop->io_requests - report->start.loop.io_requests);
    put_count("io_workers", loop->io_workers);
    put_count("memory_used", loop->memory_used);
    put_count("memory_peak", loop->memory_peak);
    put_count("memory_limit", loop->memory_limit);
    put_number("run_us_max", (double)loop->run_ns_max / 1e3);
    put_text("run_name_max", loop->run_name_max);
    put_count("runs", loop->runs - report->start.loop.runs);
    put_count("runs_over_100us", loop->runs_over_100us - report->start.loop.runs_over_100us);
    put_count("runs_over_500us", loop->runs_over_500us - report->start.loop.runs_over_500us);
    put_text("io", loop->io_name);
    put_text("io_reason", loop->io_reason);
    put_flag("direct_io", loop->has_direct_io != 0);
    put_flag("registered_buffers", loop->has_registered_buffers != 0);
}

void
report_print_json(const struct report *report, const struct figures *figures)
{
    const struct figures *f = figures;
    const struct run *run = report->run;

    (void)printf("{\n  \"workload\": \"%s\"", workload_name(report->settings->workload));
    put_count("ops", run->ops);
    put_count("calls", run->calls);
    put_number("seconds", f->seconds);
    put_number("ops_per_sec", f->ops_per_sec);
    put_number("mb_per_sec", f->mb_per_sec);
    put_latency(&run->latency);
    put_number("cpu_us_per_op", f->cpu_us_per_op);
    put_number("cpu_us_per_op_foreground", f->cpu_us_per_op_foreground);
    put_count("peak_rss_bytes", report->peak_rss);
    put_number("write_amplification", f->write_amplification);
    put_number("read_amplification", f->read_amplification);
    put_number("space_amplification", f->space_amplification);
    put_device(report, f);
    put_number("found_fraction", f->found_fraction);
    put_count("rows", run->rows);
    put_count("errors", run->errors);
    put_count("wrong_values", run->mismatches);
    put_flag("interrupted", report->is_interrupted);
    put_flag("settled", report->is_settled);
    put_number("settle_seconds", report->is_settled ? f->settle_seconds : NAN);
    put_number("ops_per_sec_settled", f->ops_per_sec_settled);
    put_engine(report);
    put_settings(report->settings);
    put_text("version", gyre_version());
    (void)printf("\n}\n");
}
