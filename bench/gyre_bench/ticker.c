/* ticker.c - intervals of the recorders' counts, logs, progress. */
#include "bench/gyre_bench/ticker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/gyre_bench/hdr_log.h"
#include "bench/gyre_bench/measure.h"

#define PROGRESS_NS 500000000ull

static const char *const class_names[CLASS_COUNT] = {"read", "write", "trim"};

/* What was seen of a class of a unit when the last interval ended, and its logs. */
struct watch {
    struct histogram *seen;
    uint64_t ops, bytes;
    FILE *hdr_log;
};

struct ticker {
    struct crew *crew;
    struct unit *units;
    uint32_t unit_count;
    const struct run_settings *settings;
    bool show_progress;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    uint64_t started_ns, cpu_ns;
    uint64_t *tick_ns;     /* of each unit: when its last interval ended */
    struct watch *watches; /* CLASS_COUNT for each unit */
    FILE **lat_logs, **iops_logs, **csv_logs;
    struct histogram now, interval;
    uint64_t progress_ns, progress_ops, status_ns;
};

/* ---- Intervals ---- */

static uint64_t
read_word(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* Add the counts of a recorder that is being written. `greatest` is good to one bucket. */
static void
add_counts(struct histogram *sum, const struct histogram *histogram)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        sum->buckets[i] += read_word(&histogram->buckets[i]);
    }
    sum->sum += read_word(&histogram->sum);
}

static void
sum_class(const struct unit *unit, enum op_class class, struct histogram *sum, uint64_t *ops,
          uint64_t *bytes)
{
    histogram_clear(sum);
    *ops = *bytes = 0;
    for (uint32_t i = 0; i < unit->count; i++) {
        const struct stream *stream = &unit->first[i];

        for (uint32_t k = 0; k < stream->recorder_count; k++) {
            const struct recorder *recorder = stream->recorders[k];

            add_counts(sum, recorder->latency[class]);
            *ops += read_word(&recorder->ops[class]);
            *bytes += read_word(&recorder->bytes[class]);
        }
    }
}

/* interval = now - seen */
static void
subtract(struct histogram *interval, const struct histogram *now, const struct histogram *seen)
{
    histogram_clear(interval);
    for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        const uint64_t count = now->buckets[i] - seen->buckets[i];

        if (count > 0) {
            const uint64_t middle = histogram_bucket_middle(i);

            interval->buckets[i] = count;
            interval->count += count;
            interval->least = middle < interval->least ? middle : interval->least;
            interval->greatest = middle;
        }
    }
    interval->sum = now->sum - seen->sum;
}

static void
keep_tick(struct unit *unit, const struct tick *tick)
{
    if (unit->tick_count == unit->tick_capacity) {
        const uint32_t capacity = unit->tick_capacity == 0 ? 64 : 2 * unit->tick_capacity;
        struct tick *ticks = realloc(unit->ticks, capacity * sizeof(ticks[0]));

        if (ticks == NULL) {
            return; /* the series ends here; all else goes on */
        }
        unit->ticks = ticks;
        unit->tick_capacity = capacity;
    }
    unit->ticks[unit->tick_count++] = *tick;
}

static void
log_tick(struct ticker *ticker, uint32_t u, const struct tick *tick)
{
    const uint64_t ms = tick->end_ns / 1000000u;
    const double seconds = (double)tick->length_ns / 1e9;
    FILE *hdr_log = ticker->watches[u * CLASS_COUNT + tick->class].hdr_log;

    /* As fio: msec, value, direction (0 read, 1 write, 2 trim), block size, offset, priority. */
    if (ticker->lat_logs[u] != NULL && tick->calls > 0) {
        (void)fprintf(ticker->lat_logs[u], "%" PRIu64 ", %.0f, %d, %" PRIu64 ", 0, 0\n", ms,
                      tick->mean_ns, (int)tick->class, tick->ops > 0 ? tick->bytes / tick->ops : 0);
    }
    if (ticker->iops_logs[u] != NULL) {
        (void)fprintf(ticker->iops_logs[u], "%" PRIu64 ", %.0f, %d, 0, 0, 0\n", ms,
                      (double)tick->ops / seconds, (int)tick->class);
    }
    if (ticker->csv_logs[u] != NULL) {
        (void)fprintf(ticker->csv_logs[u],
                      "%.3f,%s,%.1f,%.1f,%.3f,%.3f,%.3f,%.3f,%.3f,%" PRIu64 "\n",
                      (double)tick->end_ns / 1e9, class_names[tick->class],
                      (double)tick->ops / seconds, (double)tick->bytes / seconds / 1e6,
                      tick->mean_ns / 1e3, (double)tick->p50_ns / 1e3, (double)tick->p99_ns / 1e3,
                      (double)tick->p999_ns / 1e3, (double)tick->max_ns / 1e3, tick->slow);
    }
    if (hdr_log != NULL) {
        (void)hdr_log_add(hdr_log, (double)(tick->end_ns - tick->length_ns) / 1e9, seconds,
                          &ticker->interval);
    }
}

static void
take_class(struct ticker *ticker, uint32_t u, enum op_class class, uint64_t now_ns)
{
    struct unit *unit = &ticker->units[u];
    struct watch *watch = &ticker->watches[u * CLASS_COUNT + class];
    uint64_t ops;
    uint64_t bytes;
    struct tick tick = {.class = class,
                        .end_ns = now_ns - ticker->started_ns,
                        .length_ns = now_ns - ticker->tick_ns[u]};

    sum_class(unit, class, &ticker->now, &ops, &bytes);
    subtract(&ticker->interval, &ticker->now, watch->seen);
    tick.calls = ticker->interval.count;
    tick.ops = ops - watch->ops;
    tick.bytes = bytes - watch->bytes;
    tick.mean_ns = histogram_mean(&ticker->interval);
    tick.p50_ns = histogram_quantile(&ticker->interval, 0.5);
    tick.p99_ns = histogram_quantile(&ticker->interval, 0.99);
    tick.p999_ns = histogram_quantile(&ticker->interval, 0.999);
    tick.max_ns = tick.calls > 0 ? ticker->interval.greatest : 0;
    tick.slow = histogram_between(&ticker->interval, unit->first->job->slow_ns, UINT64_MAX);
    log_tick(ticker, u, &tick);
    keep_tick(unit, &tick);
    memcpy(watch->seen, &ticker->now, sizeof(ticker->now));
    watch->ops = ops;
    watch->bytes = bytes;
}

static void
take_unit(struct ticker *ticker, uint32_t u, uint64_t now_ns)
{
    for (uint32_t class = 0; class < CLASS_COUNT; class ++) {
        if (ticker->watches[u * CLASS_COUNT + class].seen != NULL) {
            take_class(ticker, u, (enum op_class) class, now_ns);
        }
    }
    ticker->tick_ns[u] = now_ns;
}

/* ---- Progress ---- */

static void
print_progress(struct ticker *ticker, uint64_t now_ns)
{
    uint64_t ops = 0;
    uint64_t limit = 0;
    uint64_t length_ns = 0;
    char part[64] = "";

    for (uint32_t i = 0; i < ticker->crew->stream_count; i++) {
        const struct stream *stream = &ticker->crew->streams[i];

        for (uint32_t k = 0; !stream->is_side && k < stream->recorder_count; k++) {
            for (uint32_t class = 0; class < CLASS_COUNT; class ++) {
                ops += read_word(&stream->recorders[k]->ops[class]);
            }
        }
        if (!stream->is_side) {
            limit = stream->op_limit == NO_LIMIT ? NO_LIMIT : limit + stream->job->ops;
            length_ns = stream->deadline_ns != 0 ? stream->deadline_ns - stream->started_ns : 0;
        }
    }
    if (length_ns != 0) {
        (void)snprintf(part, sizeof(part), " of %.0f s", (double)length_ns / 1e9);
    } else if (limit != NO_LIMIT && limit > 0) {
        (void)snprintf(part, sizeof(part), ", %.0f %%", 100.0 * (double)ops / (double)limit);
    }
    (void)fprintf(
        stderr, "\r%s: %.1f s%s, %" PRIu64 " operations, %.0f/s now\033[K",
        ticker->crew->streams[0].name, (double)(now_ns - ticker->started_ns) / 1e9, part, ops,
        (double)(ops - ticker->progress_ops) / (double)(now_ns - ticker->progress_ns) * 1e9);
    (void)fflush(stderr);
    ticker->progress_ops = ops;
    ticker->progress_ns = now_ns;
}

static void
print_status(const struct ticker *ticker, uint64_t now_ns)
{
    for (uint32_t u = 0; u < ticker->unit_count; u++) {
        const struct unit *unit = &ticker->units[u];

        for (uint32_t class = 0; class < CLASS_COUNT; class ++) {
            static struct histogram sum;
            uint64_t ops;
            uint64_t bytes;

            if (ticker->watches[u * CLASS_COUNT + class].seen == NULL) {
                continue;
            }
            sum_class(unit, (enum op_class) class, &sum, &ops, &bytes);
            for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
                sum.count += sum.buckets[i];
                sum.greatest = sum.buckets[i] > 0 ? histogram_bucket_middle(i) : sum.greatest;
            }
            (void)fprintf(stderr,
                          "%s: status at %.1f s: %s %" PRIu64 " ops, p50 %.1f us, p99 %.1f us, max "
                          "%.1f us\n",
                          unit->first->name, (double)(now_ns - ticker->started_ns) / 1e9,
                          class_names[class], ops, (double)histogram_quantile(&sum, 0.5) / 1e3,
                          (double)histogram_quantile(&sum, 0.99) / 1e3, (double)sum.greatest / 1e3);
        }
    }
}

/* ---- The thread ---- */

/* Do what is due; when the next thing is. */
static uint64_t
look(struct ticker *ticker, uint64_t now_ns)
{
    uint64_t next_ns = now_ns + 1000000000u;

    for (uint32_t u = 0; u < ticker->unit_count; u++) {
        const uint64_t due_ns = ticker->tick_ns[u] + ticker->units[u].first->job->log_interval_ns;

        if (now_ns >= due_ns) {
            take_unit(ticker, u, now_ns);
            next_ns = next_ns < now_ns + ticker->units[u].first->job->log_interval_ns
                          ? next_ns
                          : now_ns + ticker->units[u].first->job->log_interval_ns;
        } else {
            next_ns = due_ns < next_ns ? due_ns : next_ns;
        }
    }
    if (ticker->show_progress) {
        if (now_ns >= ticker->progress_ns + PROGRESS_NS) {
            print_progress(ticker, now_ns);
        }
        next_ns = ticker->progress_ns + PROGRESS_NS < next_ns ? ticker->progress_ns + PROGRESS_NS
                                                              : next_ns;
    }
    if (ticker->settings->status_ns != 0) {
        if (now_ns >= ticker->status_ns + ticker->settings->status_ns) {
            print_status(ticker, now_ns);
            ticker->status_ns = now_ns;
        }
        next_ns = ticker->status_ns + ticker->settings->status_ns < next_ns
                      ? ticker->status_ns + ticker->settings->status_ns
                      : next_ns;
    }
    return next_ns;
}

static void *
tick_until_stopped(void *arg)
{
    struct ticker *ticker = arg;

    (void)pthread_mutex_lock(&ticker->lock);
    while (!ticker->stop) {
        const uint64_t next_ns = look(ticker, time_now_ns());
        const struct timespec until = {.tv_sec = (time_t)(next_ns / 1000000000u),
                                       .tv_nsec = (long)(next_ns % 1000000000u)};

        (void)pthread_cond_timedwait(&ticker->wake, &ticker->lock, &until);
    }
    (void)pthread_mutex_unlock(&ticker->lock);
    ticker->cpu_ns = thread_cpu_ns();
    return NULL;
}

/* ---- Start and end ---- */

static FILE *
open_log(const char *prefix, const char *kind, uint32_t number, const char *ending)
{
    char path[4096];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s%s.%u.%s", prefix, kind, number, ending);
    file = fopen(path, "we");
    if (file == NULL) {
        (void)fprintf(stderr, "gyre-bench: cannot write the log %s: %s\n", path, strerror(errno));
    }
    return file;
}

static bool
open_hdr_log(struct watch *watch, const struct unit *unit, uint32_t class)
{
    struct timespec now;
    char kind[16];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(kind, sizeof(kind), "_%s", class_names[class]);
    watch->hdr_log = open_log(unit->first->job->hdr_log, kind, unit->number, "hlog");
    if (watch->hdr_log != NULL) {
        hdr_log_begin(watch->hdr_log, (double)now.tv_sec + (double)now.tv_nsec / 1e9);
    }
    return watch->hdr_log != NULL;
}

static bool
open_logs(struct ticker *ticker, uint32_t u)
{
    const struct unit *unit = &ticker->units[u];
    const struct job *job = unit->first->job;
    bool is_good = true;

    for (uint32_t class = 0; class < CLASS_COUNT; class ++) {
        struct watch *watch = &ticker->watches[u * CLASS_COUNT + class];

        if ((unit->first->class_mask & 1u << class) == 0) {
            continue;
        }
        watch->seen = calloc(1, sizeof(*watch->seen));
        is_good = is_good && watch->seen != NULL;
        if (is_good && job->hdr_log != NULL) {
            is_good = open_hdr_log(watch, unit, class);
        }
    }
    if (is_good && job->lat_log != NULL) {
        ticker->lat_logs[u] = open_log(job->lat_log, "_lat", unit->number, "log");
        is_good = ticker->lat_logs[u] != NULL;
    }
    if (is_good && job->iops_log != NULL) {
        ticker->iops_logs[u] = open_log(job->iops_log, "_iops", unit->number, "log");
        is_good = ticker->iops_logs[u] != NULL;
    }
    if (is_good && job->csv_log != NULL) {
        ticker->csv_logs[u] = open_log(job->csv_log, "", unit->number, "csv");
        is_good = ticker->csv_logs[u] != NULL;
        if (is_good) {
            (void)fputs(
                "seconds,class,ops_per_sec,mb_per_sec,mean_us,p50_us,p99_us,p99.9_us,max_us,"
                "stalled_ops\n",
                ticker->csv_logs[u]);
        }
    }
    return is_good;
}

static void
close_log(FILE *file)
{
    if (file != NULL && fclose(file) != 0) {
        (void)fprintf(stderr, "gyre-bench: a log could not be written: %s\n", strerror(errno));
    }
}

static void
ticker_free(struct ticker *ticker)
{
    for (uint32_t u = 0; u < ticker->unit_count && ticker->watches != NULL; u++) {
        for (uint32_t class = 0; class < CLASS_COUNT; class ++) {
            free(ticker->watches[u * CLASS_COUNT + class].seen);
            close_log(ticker->watches[u * CLASS_COUNT + class].hdr_log);
        }
        close_log(ticker->lat_logs[u]);
        close_log(ticker->iops_logs[u]);
        close_log(ticker->csv_logs[u]);
    }
    free(ticker->watches);
    free(ticker->lat_logs);
    free(ticker->iops_logs);
    free(ticker->csv_logs);
    free(ticker->tick_ns);
    free(ticker);
}

static bool
ticker_make(struct ticker *ticker)
{
    const uint32_t n = ticker->unit_count;
    bool is_good;

    ticker->lat_logs = calloc(n, sizeof(ticker->lat_logs[0]));
    ticker->iops_logs = calloc(n, sizeof(ticker->iops_logs[0]));
    ticker->csv_logs = calloc(n, sizeof(ticker->csv_logs[0]));
    ticker->tick_ns = calloc(n, sizeof(ticker->tick_ns[0]));
    ticker->watches = ticker->lat_logs != NULL && ticker->iops_logs != NULL &&
                              ticker->csv_logs != NULL && ticker->tick_ns != NULL
                          ? calloc((size_t)n * CLASS_COUNT, sizeof(ticker->watches[0]))
                          : NULL;
    is_good = ticker->watches != NULL;
    for (uint32_t u = 0; u < n && is_good; u++) {
        ticker->tick_ns[u] = ticker->started_ns;
        is_good = open_logs(ticker, u);
    }
    return is_good;
}

struct ticker *
ticker_start(struct crew *crew, struct unit *units, uint32_t unit_count,
             const struct run_settings *settings, bool show_progress)
{
    struct ticker *ticker = calloc(1, sizeof(*ticker));
    pthread_condattr_t attributes;

    if (ticker == NULL) {
        return NULL;
    }
    ticker->crew = crew;
    ticker->units = units;
    ticker->unit_count = unit_count;
    ticker->settings = settings;
    ticker->show_progress = show_progress;
    ticker->started_ns = ticker->progress_ns = ticker->status_ns = time_now_ns();
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&ticker->wake, &attributes);
    (void)pthread_mutex_init(&ticker->lock, NULL);
    if (!ticker_make(ticker) ||
        pthread_create(&ticker->thread, NULL, tick_until_stopped, ticker) != 0) {
        ticker_free(ticker);
        return NULL;
    }
    return ticker;
}

uint64_t
ticker_stop(struct ticker *ticker)
{
    uint64_t cpu_ns = thread_cpu_ns();
    uint64_t now_ns;

    (void)pthread_mutex_lock(&ticker->lock);
    ticker->stop = true;
    (void)pthread_cond_signal(&ticker->wake);
    (void)pthread_mutex_unlock(&ticker->lock);
    (void)pthread_join(ticker->thread, NULL);
    now_ns = time_now_ns();
    for (uint32_t u = 0; u < ticker->unit_count; u++) {
        if (now_ns > ticker->tick_ns[u]) {
            take_unit(ticker, u, now_ns);
        }
    }
    if (ticker->show_progress) {
        (void)fputs("\r\033[K", stderr);
    }
    cpu_ns = ticker->cpu_ns + (thread_cpu_ns() - cpu_ns);
    ticker_free(ticker);
    return cpu_ns;
}
