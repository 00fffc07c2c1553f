/* report_json.c - results in the schema of fio 3.33's JSON, field for field; what fio does not know
 * is in an object "gyre_bench" of each job. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "bench/gyre_bench/options.h"
#include "bench/gyre_bench/report.h"
#include "gyre/base.h"

static const double percentiles[] = {1,  5,  10, 20, 30,   40,   50,    60,   70,
                                     80, 90, 95, 99, 99.5, 99.9, 99.95, 99.99};

/* ---- fio's parts ---- */

static void
put_latency(struct json *json, const char *name, const struct histogram *h, bool has_percentiles)
{
    const bool is_empty = h == NULL || h->count == 0;

    json_open(json, name, '{');
    json_integer(json, "min", is_empty ? 0 : h->least);
    json_integer(json, "max", is_empty ? 0 : h->greatest);
    json_real(json, "mean", is_empty ? 0 : histogram_mean(h));
    json_real(json, "stddev", is_empty ? 0 : histogram_deviation(h));
    json_integer(json, "N", is_empty ? 0 : h->count);
    if (has_percentiles && !is_empty) {
        json_open(json, "percentile", '{');
        for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++) {
            char text[16];

            (void)snprintf(text, sizeof(text), "%.6f", percentiles[i]);
            json_integer(json, text, histogram_quantile(h, percentiles[i] / 100));
        }
        json_close(json, '}');
    }
    json_close(json, '}');
}

/* Least, greatest, mean and deviation of bandwidth and operations over the intervals of the series.
 * */
struct samples {
    uint64_t count;
    double iops_min, iops_max, iops_sum, iops_squares;
    double bw_min, bw_max, bw_sum, bw_squares; /* KiB/s */
};

static struct samples
take_samples(const struct unit *unit, enum op_class class)
{
    struct samples s = {.count = 0};

    for (uint32_t i = 0; i < unit->tick_count; i++) {
        const struct tick *tick = &unit->ticks[i];
        const double seconds = (double)tick->length_ns / 1e9;
        double iops;
        double bw;

        /* the piece at the end is no sample */
        if (tick->class != class || tick->length_ns < unit->first->job->log_interval_ns) {
            continue;
        }
        iops = (double)tick->ops / seconds;
        bw = (double)tick->bytes / seconds / 1024;
        s.iops_min = s.count == 0 || iops < s.iops_min ? iops : s.iops_min;
        s.iops_max = iops > s.iops_max ? iops : s.iops_max;
        s.bw_min = s.count == 0 || bw < s.bw_min ? bw : s.bw_min;
        s.bw_max = bw > s.bw_max ? bw : s.bw_max;
        s.iops_sum += iops;
        s.iops_squares += iops * iops;
        s.bw_sum += bw;
        s.bw_squares += bw * bw;
        s.count++;
    }
    return s;
}

static double
deviation(double sum, double squares, uint64_t count)
{
    const double n = (double)count;
    const double variance = count < 2 ? 0 : (squares - sum * sum / n) / (n - 1);

    return variance > 0 ? sqrt(variance) : 0;
}

static void
put_samples(struct json *json, const struct unit *unit, enum op_class class)
{
    const struct samples s = take_samples(unit, class);
    const double n = s.count == 0 ? 1 : (double)s.count;

    json_integer(json, "bw_min", (uint64_t)s.bw_min);
    json_integer(json, "bw_max", (uint64_t)s.bw_max);
    json_real(json, "bw_agg", s.count == 0 ? 0 : 100);
    json_real(json, "bw_mean", s.bw_sum / n);
    json_real(json, "bw_dev", deviation(s.bw_sum, s.bw_squares, s.count));
    json_integer(json, "bw_samples", s.count);
    json_integer(json, "iops_min", (uint64_t)s.iops_min);
    json_integer(json, "iops_max", (uint64_t)s.iops_max);
    json_real(json, "iops_mean", s.iops_sum / n);
    json_real(json, "iops_stddev", deviation(s.iops_sum, s.iops_squares, s.count));
    json_integer(json, "iops_samples", s.count);
}

static void
put_class(struct json *json, const char *name, const struct unit *unit, const struct recorder *r,
          enum op_class class)
{
    const double seconds = unit_seconds(unit);
    const uint64_t ops = r->ops[class];
    const uint64_t bytes = ops > 0 ? r->bytes[class] : 0;
    const double per_second = ops > 0 && seconds > 0 ? 1 / seconds : 0;

    json_open(json, name, '{');
    json_integer(json, "io_bytes", bytes);
    json_integer(json, "io_kbytes", bytes / 1024);
    json_integer(json, "bw_bytes", (uint64_t)((double)bytes * per_second));
    json_integer(json, "bw", (uint64_t)((double)bytes * per_second / 1024));
    json_real(json, "iops", (double)ops * per_second);
    json_integer(json, "runtime", ops > 0 ? (uint64_t)(seconds * 1000 + 0.5) : 0);
    json_integer(json, "total_ios", ops);
    json_integer(json, "short_ios", 0);
    json_integer(json, "drop_ios", 0);
    put_latency(json, "slat_ns", NULL, false);
    put_latency(json, "clat_ns", r->latency[class], true);
    put_latency(json, "lat_ns", r->latency[class], false);
    put_samples(json, unit, class);
    json_close(json, '}');
}

#define DEPTH_BUCKETS 7u

static void
put_depths(struct json *json, const char *name, const char *const names[DEPTH_BUCKETS],
           uint32_t full)
{
    json_open(json, name, '{');
    for (uint32_t i = 0; i < DEPTH_BUCKETS; i++) {
        json_real(json, names[i], i == full ? 100 : 0);
    }
    json_close(json, '}');
}

/* A closed loop keeps its depth: all of it is in one bucket. How many an open loop has in flight is
 * not looked at: none is full. Operations are begun one by one: the second bucket, of up to four.
 * */
static void
put_all_depths(struct json *json, const struct stream *stream)
{
    static const char *const level_names[] = {"1", "2", "4", "8", "16", "32", ">=64"};
    static const char *const submit_names[] = {"0", "4", "8", "16", "32", "64", ">=64"};
    uint32_t full = 0;

    while (full + 1 < DEPTH_BUCKETS && 2u << full <= stream->slot_count) {
        full++;
    }
    put_depths(json, "iodepth_level", level_names, stream->is_open_loop ? DEPTH_BUCKETS : full);
    put_depths(json, "iodepth_submit", submit_names, 1);
    put_depths(json, "iodepth_complete", submit_names, 1);
}

/* Shares of calls by latency: of all classes together. */
static void
put_spread(struct json *json, const struct recorder *r)
{
    static const struct {
        const char *name;
        double unit_ns;
        uint32_t count;
        const char *names[12];
        double bounds[12];
    } groups[] = {
        {"latency_ns",
         1,
         10,
         {"2", "4", "10", "20", "50", "100", "250", "500", "750", "1000"},
         {2, 4, 10, 20, 50, 100, 250, 500, 750, 1000}},
        {"latency_us",
         1e3,
         10,
         {"2", "4", "10", "20", "50", "100", "250", "500", "750", "1000"},
         {2, 4, 10, 20, 50, 100, 250, 500, 750, 1000}},
        {"latency_ms",
         1e6,
         12,
         {"2", "4", "10", "20", "50", "100", "250", "500", "750", "1000", "2000", ">=2000"},
         {2, 4, 10, 20, 50, 100, 250, 500, 750, 1000, 2000, 1e12}},
    };
    uint64_t low = 0;
    double calls = 0;

    for (uint32_t c = 0; c < CLASS_COUNT; c++) {
        calls += r->latency[c] != NULL ? (double)r->latency[c]->count : 0;
    }
    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
        json_open(json, groups[g].name, '{');
        for (uint32_t i = 0; i < groups[g].count; i++) {
            const uint64_t high = (uint64_t)(groups[g].bounds[i] * groups[g].unit_ns);
            uint64_t n = 0;

            for (uint32_t c = 0; c < CLASS_COUNT; c++) {
                n += r->latency[c] != NULL ? histogram_between(r->latency[c], low, high) : 0;
            }
            json_real(json, groups[g].names[i], calls > 0 ? 100 * (double)n / calls : 0);
            low = high;
        }
        json_close(json, '}');
    }
}

static void
put_options(struct json *json, const char *name, const struct job *job, bool is_global)
{
    json_open(json, name, '{');
    for (uint32_t i = 0; i < job->given_count; i++) {
        const struct given *given = &job->given[i];

        if (given->is_global == is_global && strcmp(given->option->name, "name") != 0) {
            json_text(json, given->option->name, given->text != NULL ? given->text : "1");
        }
    }
    json_close(json, '}');
}

/* ---- What fio does not know ---- */

static void
put_figures(struct json *json, const struct group *group)
{
    json_open(json, "engine", '{');
    for (uint32_t i = 0; i < group->end_figures.count; i++) {
        const struct figure *f = &group->end_figures.list[i];
        const double before = f->is_counter ? figure_find(&group->start_figures, f->name) : 0;

        json_real(json, f->name, f->value - before);
    }
    json_close(json, '}');
}

static void
put_series(struct json *json, const struct unit *unit)
{
    static const char *const names[] = {"read", "write", "trim"};

    json_open(json, "series", '[');
    for (uint32_t i = 0; i < unit->tick_count; i++) {
        const struct tick *tick = &unit->ticks[i];

        json_open(json, NULL, '{');
        json_real(json, "seconds", (double)tick->end_ns / 1e9);
        json_real(json, "length", (double)tick->length_ns / 1e9);
        json_text(json, "class", names[tick->class]);
        json_integer(json, "ops", tick->ops);
        json_real(json, "mean_us", tick->mean_ns / 1e3);
        json_real(json, "p50_us", (double)tick->p50_ns / 1e3);
        json_real(json, "p99_us", (double)tick->p99_ns / 1e3);
        json_real(json, "p99.9_us", (double)tick->p999_ns / 1e3);
        json_real(json, "max_us", (double)tick->max_ns / 1e3);
        json_integer(json, "stalled_ops", tick->slow);
        json_close(json, '}');
    }
    json_close(json, ']');
}

/* Points of the distribution function of latencies, for plots: [us, share of calls]. */
static void
put_cdf(struct json *json, const struct recorder *r)
{
    static const char *const names[] = {"read", "write", "trim"};

    json_open(json, "latency_cdf", '{');
    for (uint32_t c = 0; c < CLASS_COUNT; c++) {
        const struct histogram *h = r->latency[c];
        uint64_t passed = 0;
        double shown = -1;

        if (h == NULL || h->count == 0) {
            continue;
        }
        json_open(json, names[c], '[');
        for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
            const double share = (double)(passed += h->buckets[i]) / (double)h->count;

            /* steps of a half percent, finer towards the end */
            if (h->buckets[i] > 0 && (share - shown > 0.005 || share - shown > (1 - share) / 4)) {
                json_open(json, NULL, '[');
                json_real(json, NULL, (double)histogram_bucket_middle(i) / 1e3);
                json_real(json, NULL, share);
                json_close(json, ']');
                shown = share;
            }
        }
        json_close(json, ']');
    }
    json_close(json, '}');
}

static void
put_extras(struct json *json, const struct group *group, const struct unit *unit,
           const struct recorder *r)
{
    const struct derived d = report_derive(group);
    const struct job *job = unit->first->job;

    json_open(json, "gyre_bench", '{');
    json_text(json, "engine_name", group->type->name);
    json_text(json, "configuration", group->configuration);
    json_text(json, "workload", job->workload->name);
    json_text(json, "distribution", distribution_name(unit->first->distribution.choice.kind));
    json_text(json, "loop", unit->first->is_open_loop ? "open" : "closed");
    json_text(json, "durability",
              option_value_name(durability_names, group->engine_settings.durability));
    json_text(json, "store_state", group->store_state);
    json_bool(json, "interrupted", group->is_interrupted);
    json_integer(json, "records", job->records);
    json_integer(json, "keys_present", group->keyspace.presence.count);
    json_integer(json, "key_size", job->key_size);
    json_text(json, "value_size", job->value_size.text);
    json_integer(json, "iodepth", unit->first->slot_count);
    json_integer(json, "memory", group->engine_settings.memory);
    json_integer(json, "cache_size", group->engine_settings.cache_size);
    json_integer(json, "lookups", r->lookups);
    json_real(json, "found_fraction", ratio((double)r->found, (double)r->lookups));
    json_integer(json, "rows", r->rows);
    json_integer(json, "wrong_values", r->mismatches);
    json_integer(json, "missed_arrivals", unit->first->missed);
    json_real(json, "seconds", unit_seconds(unit));
    json_real(json, "group_ops_per_sec", d.ops_per_sec);
    json_real(json, "group_ops_per_sec_settled", d.ops_per_sec_settled);
    json_text(json, "settled",
              group->settled == SETTLE_DONE       ? "yes"
              : group->settled == SETTLE_NOT_DONE ? "no"
                                                  : "not waited for");
    json_real(json, "settle_seconds", d.settle_seconds);
    json_real(json, "compaction_debt", d.debt);
    json_real(json, "cpu_us_per_op", d.cpu_us_per_op);
    json_real(json, "cpu_us_per_op_foreground", d.cpu_us_per_op_foreground);
    json_real(json, "harness_cpu_seconds", (double)group->harness_cpu_ns / 1e9);
    json_integer(json, "peak_rss_bytes", group->peak_rss);
    json_real(json, "longest_put_us", d.longest_put_us);
    json_real(json, "longest_run_us", d.longest_run_us);
    json_real(json, "open_ms", (double)group->open_ns / 1e6);
    json_real(json, "close_ms", (double)group->close_ns / 1e6);
    json_integer(json, "proc_read_bytes", d.proc_read);
    json_integer(json, "proc_written_bytes", d.proc_written);
    json_integer(json, "disk_read_bytes", d.disk_read);
    json_integer(json, "disk_written_bytes", d.disk_written);
    json_integer(json, "user_read_bytes", d.user_read);
    json_integer(json, "user_written_bytes", d.user_written);
    json_integer(json, "store_bytes", group->disk_bytes);
    json_real(json, "live_bytes", group->live_bytes > 0 ? group->live_bytes : NAN);
    json_real(json, "write_amplification", d.write_amplification);
    json_real(json, "read_amplification", d.read_amplification);
    json_real(json, "space_amplification", d.space_amplification);
    json_real(json, "engine_write_amplification", d.engine_write_amplification);
    json_real(json, "engine_space_amplification", d.engine_space_amplification);
    json_real(json, "block_reads_per_lookup", d.block_reads_per_lookup);
    json_real(json, "bytes_read_per_lookup", d.bytes_read_per_lookup);
    put_figures(json, group);
    put_cdf(json, r);
    put_series(json, unit);
    json_close(json, '}');
}

/* ---- The whole ---- */

void
report_json_begin(struct json *json, const struct run_settings *settings)
{
    struct timespec now;
    struct tm parts;
    char date[64];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)localtime_r(&now.tv_sec, &parts);
    (void)strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &parts);
    json_open(json, NULL, '{');
    json_text(json, "fio version", "gyre-bench-" GYRE_VERSION);
    json_integer(json, "timestamp", (uint64_t)now.tv_sec);
    json_integer(json, "timestamp_ms",
                 (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u);
    json_text(json, "time", date);
    put_options(json, "global options", &settings->defaults, true);
    json_open(json, "jobs", '[');
}

static void
put_unit(struct json *json, const struct group *group, const struct unit *unit,
         const struct recorder *r)
{
    const struct moment *a = &group->start;
    const struct moment *b = &group->answered;
    const double wall_ns = (double)(b->time_ns - a->time_ns);

    json_open(json, NULL, '{');
    json_text(json, "jobname", unit->first->name);
    json_integer(json, "groupid", group->number);
    json_integer(json, "error", r->errors > 0 ? 5 : 0); /* EIO */
    json_integer(json, "eta", 0);
    json_integer(json, "elapsed", (uint64_t)(wall_ns / 1e9) + 1);
    put_options(json, "job options", unit->first->job, false);
    put_class(json, "read", unit, r, CLASS_READ);
    put_class(json, "write", unit, r, CLASS_WRITE);
    put_class(json, "trim", unit, r, CLASS_DELETE);
    json_open(json, "sync", '{');
    json_integer(json, "total_ios", 0);
    put_latency(json, "lat_ns", NULL, false);
    json_close(json, '}');
    json_integer(json, "job_runtime", (uint64_t)(unit_seconds(unit) * 1000));
    json_real(json, "usr_cpu", 100 * (double)(b->user_ns - a->user_ns) / wall_ns);
    json_real(json, "sys_cpu", 100 * (double)(b->system_ns - a->system_ns) / wall_ns);
    json_integer(json, "ctx", b->switches - a->switches);
    json_integer(json, "majf", b->major_faults - a->major_faults);
    json_integer(json, "minf", b->minor_faults - a->minor_faults);
    put_all_depths(json, unit->first);
    put_spread(json, r);
    json_integer(json, "latency_depth", unit->first->slot_count);
    json_integer(json, "latency_target", 0);
    json_real(json, "latency_percentile", 100);
    json_integer(json, "latency_window", 0);
    put_extras(json, group, unit, r);
    json_close(json, '}');
}

void
report_json_group(struct json *json, const struct group *group)
{
    for (uint32_t i = 0; i < group->unit_count; i++) {
        struct recorder *r = unit_results(&group->units[i]);

        if (r != NULL) {
            put_unit(json, group, &group->units[i], r);
            recorder_free(r);
        }
    }
}

void
report_json_end(struct json *json, const struct moment *start, const struct moment *end)
{
    const struct disk *a = &start->disk;
    const struct disk *b = &end->disk;
    const double wall_ms = (double)(end->time_ns - start->time_ns) / 1e6;

    json_close(json, ']');
    json_open(json, "disk_util", '[');
    if (b->name[0] != '\0') {
        const double util = wall_ms > 0 ? 100 * (double)(b->busy_ms - a->busy_ms) / wall_ms : 0;

        json_open(json, NULL, '{');
        json_text(json, "name", b->name);
        json_integer(json, "read_ios", b->reads - a->reads);
        json_integer(json, "write_ios", b->writes - a->writes);
        json_integer(json, "read_merges", b->reads_merged - a->reads_merged);
        json_integer(json, "write_merges", b->writes_merged - a->writes_merged);
        json_integer(json, "read_ticks", b->read_ms - a->read_ms);
        json_integer(json, "write_ticks", b->write_ms - a->write_ms);
        json_integer(json, "in_queue", b->queue_ms - a->queue_ms);
        json_real(json, "util", util > 100 ? 100 : util);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
    (void)fputc('\n', json->file);
}
