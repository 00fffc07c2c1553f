/* report_text.c - results as text, in the manner of fio. */
#include <inttypes.h>
#include <math.h>
#include <time.h>

#include "bench/gyre_bench/options.h"
#include "bench/gyre_bench/report.h"
#include "gyre/base.h"

static double
mib(double bytes)
{
    return bytes / (1 << 20);
}

/* "22.5k", as fio writes counts a second. */
static const char *
short_count(double n, char text[16])
{
    if (n >= 1e7) {
        (void)snprintf(text, 16, "%.1fM", n / 1e6);
    } else if (n >= 1e4) {
        (void)snprintf(text, 16, "%.1fk", n / 1e3);
    } else {
        (void)snprintf(text, 16, "%.0f", n);
    }
    return text;
}

static const char *
number(double n, char text[32])
{
    (void)snprintf(text, 32, isfinite(n) ? "%.2f" : "-", n);
    return text;
}

/* ---- Latencies ---- */

/* The unit in which fio would print them. */
static double
latency_unit(const struct histogram *h, const char **ret_name)
{
    if (histogram_mean(h) < 10e3) {
        *ret_name = "nsec";
        return 1;
    }
    *ret_name = histogram_mean(h) < 10e6 ? "usec" : "msec";
    return histogram_mean(h) < 10e6 ? 1e3 : 1e6;
}

static void
print_latency(FILE *file, const struct histogram *h)
{
    static const double percentiles[] = {1,  5,  10, 20, 30,   40,   50,    60,   70,
                                         80, 90, 95, 99, 99.5, 99.9, 99.95, 99.99};
    const size_t count = sizeof(percentiles) / sizeof(percentiles[0]);
    const char *name;
    const double unit = latency_unit(h, &name);

    (void)fprintf(file, "    lat (%s): min=%.2f, max=%.2f, avg=%.2f, stdev=%.2f\n", name,
                  (double)h->least / unit, (double)h->greatest / unit, histogram_mean(h) / unit,
                  histogram_deviation(h) / unit);
    (void)fprintf(file, "    lat percentiles (%s):\n", name);
    for (size_t i = 0; i < count; i++) {
        (void)fprintf(file, "%s%5.2fth=[%9.2f]%s", i % 3 == 0 ? "     | " : " ", percentiles[i],
                      (double)histogram_quantile(h, percentiles[i] / 100) / unit,
                      i + 1 == count || i % 3 == 2 ? "\n" : ",");
    }
}

static void
print_class(FILE *file, const char *name, const struct unit *unit, const struct recorder *r,
            enum op_class class)
{
    const double seconds = unit_seconds(unit);
    const double bytes = (double)r->bytes[class];
    char iops[16];

    (void)fprintf(
        file, "  %s: IOPS=%s, BW=%.1fMiB/s (%.1fMB/s)(%.1fMiB/%.0fmsec); %" PRIu64 " ops\n", name,
        short_count(ratio((double)r->ops[class], seconds), iops), mib(bytes / seconds),
        bytes / seconds / 1e6, mib(bytes), seconds * 1e3, r->ops[class]);
    print_latency(file, r->latency[class]);
}

static void
print_counts(FILE *file, const struct unit *unit, const struct recorder *r)
{
    uint64_t missed = 0;
    uint64_t slow = 0;

    for (uint32_t i = 0; i < unit->count; i++) {
        missed += unit->first[i].missed;
    }
    for (uint32_t c = 0; c < CLASS_COUNT; c++) {
        slow += r->latency[c] != NULL
                    ? histogram_between(r->latency[c], unit->first->job->slow_ns, UINT64_MAX)
                    : 0;
    }
    if (r->lookups > 0) {
        (void)fprintf(file, "  found        : %" PRIu64 " of %" PRIu64 " keys (%.2f%%)\n", r->found,
                      r->lookups, 100 * (double)r->found / (double)r->lookups);
    }
    if (r->rows > 0) {
        (void)fprintf(file, "  rows         : %" PRIu64 "\n", r->rows);
    }
    (void)fprintf(file, "  stalls       : %" PRIu64 " of %.0f ms or longer\n", slow,
                  (double)unit->first->job->slow_ns / 1e6);
    if (missed > 0) {
        (void)fprintf(file,
                      "  MISSED       : %" PRIu64 " operations were due and not begun before the "
                      "end: the rate is more than this can do\n",
                      missed);
    }
    if (r->mismatches > 0 || r->errors > 0) {
        (void)fprintf(file, "  WRONG        : %" PRIu64 " values, %" PRIu64 " errors: %s\n",
                      r->mismatches, r->errors, r->error);
    }
}

static void
print_unit(FILE *file, const struct group *group, const struct unit *unit)
{
    struct recorder *r = unit_results(unit);
    const struct job *job = unit->first->job;
    char date[64];
    const time_t now = time(NULL);
    struct tm parts;

    if (r == NULL) {
        return;
    }
    (void)localtime_r(&now, &parts);
    (void)strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &parts);
    (void)fprintf(file, "%s: (groupid=%u, jobs=%u): err=%2d: %s%s\n", unit->first->name,
                  group->number, unit->count, r->errors > 0 ? 5 : 0, date,
                  group->is_interrupted ? "  ** INTERRUPTED: partial results **" : "");
    if (job->description != NULL) {
        (void)fprintf(file, "  Description  : [%s]\n", job->description);
    }
    for (uint32_t c = 0; c < CLASS_COUNT; c++) {
        static const char *const names[] = {"read", "write", "delete"};

        if (r->latency[c] != NULL && r->latency[c]->count > 0) {
            print_class(file, names[c], unit, r, (enum op_class)c);
        }
    }
    print_counts(file, unit, r);
    recorder_free(r);
}

/* ---- The group ---- */

static void
print_settling(FILE *file, const struct group *group, const struct derived *d)
{
    char debt[32];

    if (group->settled == SETTLE_DONE) {
        (void)fprintf(file,
                      "  settled      : %.3f s after the last answer: %.0f ops/s with that time; "
                      "debt then %s MiB\n",
                      d->settle_seconds, d->ops_per_sec_settled, number(mib(d->debt), debt));
    } else if (group->writes && (group->type->abilities & CAN_SETTLE) != 0) {
        (void)fprintf(file, "  NOT settled  : %s MiB left to compact\n",
                      number(mib(d->debt), debt));
    }
}

static void
print_amounts(FILE *file, const struct group *group, const struct derived *d)
{
    char a[32], b[32], c[32];

    (void)fprintf(file, "  amplification: write %s, read %s, space %s (/proc/self/io, files)\n",
                  number(d->write_amplification, a), number(d->read_amplification, b),
                  number(d->space_amplification, c));
    if (isfinite(d->engine_write_amplification) || isfinite(d->engine_space_amplification) ||
        isfinite(d->block_reads_per_lookup)) {
        (void)fprintf(file,
                      "                 write %s, %s block reads per lookup, space %s (the "
                      "engine's counters)\n",
                      number(d->engine_write_amplification, a),
                      number(d->block_reads_per_lookup, b),
                      number(d->engine_space_amplification, c));
    }
    (void)fprintf(file,
                  "  device MiB   : process read %.1f, wrote %.1f; all of %s read %.1f, wrote "
                  "%.1f; store %.1f\n",
                  mib((double)d->proc_read), mib((double)d->proc_written),
                  group->end.disk.name[0] != '\0' ? group->end.disk.name : "the disk",
                  mib((double)d->disk_read), mib((double)d->disk_written),
                  mib((double)group->disk_bytes));
}

static void
print_group(FILE *file, const struct group *group)
{
    const struct derived d = report_derive(group);
    const double wall_ns = (double)(group->answered.time_ns - group->start.time_ns);
    char a[32], b[32];

    (void)fprintf(file, "group %u: %s, all its jobs together\n", group->number, group->type->name);
    print_settling(file, group, &d);
    (void)fprintf(file,
                  "  cpu          : usr=%.2f%%, sys=%.2f%%, ctx=%" PRIu64 ", majf=%" PRIu64
                  "; %s us/op, %s until the last answer\n",
                  100 * (double)(group->answered.user_ns - group->start.user_ns) / wall_ns,
                  100 * (double)(group->answered.system_ns - group->start.system_ns) / wall_ns,
                  group->answered.switches - group->start.switches,
                  group->answered.major_faults - group->start.major_faults,
                  number(d.cpu_us_per_op, a), number(d.cpu_us_per_op_foreground, b));
    (void)fprintf(file, "  memory       : peak %.1f MiB (given: %.1f MiB, %.1f of it cache)\n",
                  mib((double)group->peak_rss), mib((double)group->engine_settings.memory),
                  mib((double)group->engine_settings.cache_size));
    print_amounts(file, group, &d);
    (void)fprintf(file, "  longest      : put %s ms, run of the thread %s us\n",
                  number(d.longest_put_us / 1e3, a), number(d.longest_run_us, b));
    (void)fprintf(file, "  open, close  : %.1f ms, %.1f ms\n", (double)group->open_ns / 1e6,
                  (double)group->close_ns / 1e6);
    (void)fprintf(file, "  engine       :");
    for (uint32_t i = 0; i < group->end_figures.count; i++) {
        const struct figure *f = &group->end_figures.list[i];
        const double before = f->is_counter ? figure_find(&group->start_figures, f->name) : 0;

        if (f->value - before != 0) {
            (void)fprintf(file, " %s=%.0f", f->name, f->value - before);
        }
    }
    (void)fputs("\n\n", file);
}

void
report_text_begin(FILE *file, const struct run_settings *settings)
{
    for (uint32_t i = 0; i < settings->job_count; i++) {
        const struct job *job = &settings->jobs[i];

        (void)fprintf(file, "%s: rw=%s, ioengine=%s, iodepth=%" PRIu64 ", numjobs=%" PRIu64 "%s\n",
                      job->name, job->workload->name, job->engine->name, job->iodepth, job->numjobs,
                      job->rate_iops > 0 ? ", open loop" : "");
    }
    (void)fprintf(file, "gyre-bench-%s\n\n", GYRE_VERSION);
}

void
report_text_group(FILE *file, const struct group *group)
{
    const struct job *job = &group->jobs[0];

    (void)fprintf(file, "group %u: %s, store %s, %s\n", group->number, group->type->name,
                  job->db != NULL ? job->db : "-", group->store_state);
    (void)fprintf(file,
                  "  %" PRIu64 " records, %" PRIu64 " of them there%s; keys of %" PRIu64
                  " bytes, values of %s; durability %s\n",
                  job->records, group->keyspace.presence.count,
                  group->keyspace.presence.is_known ? "" : " (supposed)", job->key_size,
                  job->value_size.text,
                  option_value_name(durability_names, group->engine_settings.durability));
    (void)fprintf(file, "  %s\n\n", group->configuration);
    for (uint32_t i = 0; i < group->unit_count; i++) {
        print_unit(file, group, &group->units[i]);
    }
    print_group(file, group);
}
