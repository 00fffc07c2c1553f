/* run.c - a group of jobs from opening to closing. */
#include "bench/gyre_bench/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/gyre_bench/options.h"
#include "bench/gyre_bench/store.h"

static int
failed(const char *what, const char *why)
{
    (void)fprintf(stderr, "gyre-bench: %s: %s\n", what, why);
    return EXIT_FAILED;
}

/* ---- Keys ---- */

static int
make_keyspace(struct group *group)
{
    const struct job *job = &group->jobs[0];
    struct keyspace *keyspace = &group->keyspace;
    bool is_picked = false;

    keyspace->form = (struct key_form){job->key_size, job->is_hashed};
    keyspace->sizes = &job->value_size;
    keyspace->records = job->records;
    if (!values_init(&keyspace->values, sizes_max(&job->value_size),
                     1.0 - (double)job->compress_percentage / 100.0)) {
        return failed("making values", "no memory");
    }
    for (uint32_t i = 0; i < group->job_count; i++) {
        const struct workload *workload = group->jobs[i].workload;

        is_picked =
            is_picked ||
            (!group->jobs[i].all_keys && !workload_does(workload, ACTION_FILL) &&
             !workload_does(workload, ACTION_DELETE) && !workload_does(workload, ACTION_WALK));
    }
    keyspace->presence = (struct presence){.num = job->records, .count = job->records};
    if (!is_picked || !group->has_note || group->type == &engine_raw) {
        return GO_ON;
    }
    if (!presence_init(&keyspace->presence, &group->note, job->records)) {
        return failed("marking the keys that are there", "no memory");
    }
    if (keyspace->presence.count == 0) {
        return usage_error("no fill wrote any of the keys 0..%llu into %s",
                           (unsigned long long)job->records - 1, job->db);
    }
    return GO_ON;
}

/* ---- Streams ---- */

/* The caller at the side of readwhilewriting and the like: a job of its own. */
static void
make_side(const struct job *job, struct job *side)
{
    *side = *job;
    side->workload = workload_find(job->workload->side);
    side->iodepth = side->numjobs = 1;
    side->batch = 1;
    side->ops = NO_LIMIT;
    side->time_based = true;
    side->rate_iops = 0;
    side->write_rate = workload_writes(side->workload) ? job->write_rate : 0;
    side->distribution.kind = DISTRIBUTION_DEFAULT;
}

static void
add_stream(struct group *group, const struct job *job, uint32_t copy, bool is_side)
{
    struct stream *stream = &group->crew.streams[group->crew.stream_count++];

    stream->job = job;
    stream->keyspace = &group->keyspace;
    stream->name = job->name;
    stream->number = copy;
    stream->is_side = is_side;
}

static bool
make_streams(struct group *group)
{
    uint64_t count = 0;
    uint32_t sides = 0;

    for (uint32_t i = 0; i < group->job_count; i++) {
        count += group->jobs[i].numjobs * (group->jobs[i].workload->side != NULL ? 2 : 1);
    }
    group->crew.streams = calloc(count, sizeof(group->crew.streams[0]));
    group->side_jobs = calloc(group->job_count, sizeof(group->side_jobs[0]));
    group->units = calloc(count, sizeof(group->units[0]));
    if (group->crew.streams == NULL || group->side_jobs == NULL || group->units == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < group->job_count; i++) {
        const struct job *job = &group->jobs[i];
        const bool is_one = job->group_reporting;

        for (uint32_t copy = 0; copy < job->numjobs; copy++) {
            add_stream(group, job, copy, false);
            if (copy == 0 || !is_one) {
                struct unit *unit = &group->units[group->unit_count++];

                unit->first = &group->crew.streams[group->crew.stream_count - 1];
                unit->number = group->units_before + group->unit_count;
            }
            group->units[group->unit_count - 1].count++;
        }
        if (job->workload->side != NULL) {
            make_side(job, &group->side_jobs[sides]);
            for (uint32_t copy = 0; copy < job->numjobs; copy++) {
                add_stream(group, &group->side_jobs[sides], copy, true);
            }
            sides++;
        }
    }
    return true;
}

/* ---- Opening and closing ---- */

static int
open_engine(struct group *group)
{
    const struct job *job = &group->jobs[0];
    char error[ENGINE_ERROR_MAX] = "";
    const uint64_t before_ns = time_now_ns();

    rss_peak_reset();
    group->engine = group->type->open(&group->engine_settings, error);
    group->open_ns = time_now_ns() - before_ns;
    if (group->engine == NULL) {
        (void)fprintf(stderr, "gyre-bench: %s: %s\n", group->type->name, error);
        return EXIT_USAGE;
    }
    group->type->describe(group->engine, group->configuration, sizeof(group->configuration));
    if (group->must_create && (group->type->abilities & CAN_STORE) != 0) {
        group->note = (struct note){.key_size = job->key_size,
                                    .compress_percentage = job->compress_percentage,
                                    .is_hashed = job->is_hashed,
                                    .sizes = job->value_size};
        (void)snprintf(group->note.engine, sizeof(group->note.engine), "%s", group->type->name);
        (void)snprintf(group->note.compression, sizeof(group->note.compression), "%s",
                       option_value_name(compression_names, job->compression));
        group->has_note = true;
        if (!note_write(job->db, &group->note)) {
            return failed("writing the note beside the store", strerror(errno));
        }
    }
    return GO_ON;
}

static int
write_note(struct group *group)
{
    const char *db = group->jobs[0].db;

    if (!group->has_note || !group->writes) {
        return GO_ON;
    }
    for (uint32_t i = 0; i < group->crew.stream_count; i++) {
        struct stream *stream = &group->crew.streams[i];

        if (workload_does(stream->job->workload, ACTION_FILL) ||
            workload_does(stream->job->workload, ACTION_DELETE)) {
            stream->fill.ops = stream->op_next;
            if (stream->fill.ops > 0) {
                note_add(&group->note, &stream->fill);
            }
        }
    }
    if (group->keyspace.insert_next > 0) {
        const struct fill inserts = {.order = ORDER_SEQUENTIAL,
                                     .first = group->keyspace.records,
                                     .num = group->keyspace.insert_next,
                                     .ops = group->keyspace.insert_next};

        note_add(&group->note, &inserts);
    }
    group->note.is_settled = group->settled == SETTLE_DONE;
    return note_write(db, &group->note)
               ? GO_ON
               : failed("writing the note beside the store", strerror(errno));
}

static int
close_engine(struct group *group, int code)
{
    const uint64_t before_ns = time_now_ns();

    if (group->engine != NULL && group->jobs[0].crash) {
        group->has_crashed = true; /* left as it is; main() ends the process */
    } else if (group->engine != NULL) {
        char error[ENGINE_ERROR_MAX];
        struct engine *engine = group->engine;

        group->engine = NULL;
        engine->error[0] = '\0';
        if (!group->type->close(engine)) {
            (void)snprintf(error, sizeof(error), "%s", engine->error);
            code = failed(group->type->name, error);
        }
        group->close_ns = time_now_ns() - before_ns;
    }
    return code;
}

/* ---- Measuring ---- */

static void
take_figures(struct group *group, struct moment *moment, struct figures *figures)
{
    figures->count = 0;
    group->type->figures(group->engine, figures);
    moment_take(moment, group->jobs[0].db != NULL ? group->jobs[0].db : "/");
}

static bool
run_phase(struct group *group, bool is_ramp)
{
    crew_begin(&group->crew, is_ramp);
    if (group->type->run(group->engine, &group->crew)) {
        crew_end(&group->crew);
        return true;
    }
    (void)failed(group->type->name, group->engine->error);
    return false;
}

static bool
has_failed(const struct group *group)
{
    bool failure = false;

    for (uint32_t i = 0; i < group->crew.stream_count; i++) {
        for (uint32_t k = 0; k < group->crew.streams[i].recorder_count; k++) {
            failure = failure || group->crew.streams[i].recorders[k]->errors > 0;
        }
    }
    return failure;
}

static void
settle(struct group *group)
{
    const uint64_t before_ns = time_now_ns();
    enum settle_result result;

    if (!group->writes || !group->jobs[0].settle || (group->type->abilities & CAN_SETTLE) == 0) {
        return;
    }
    group->settled = SETTLE_NOT_DONE;
    if (crew_interrupted() != 0 || has_failed(group)) {
        return;
    }
    if (isatty(STDERR_FILENO) == 1) {
        (void)fputs("settling: waiting for compaction\r", stderr);
    }
    group->engine->settle_idle_ns = 0;
    result = group->type->settle(group->engine);
    group->settle_ns = time_now_ns() - before_ns - group->engine->settle_idle_ns;
    if (isatty(STDERR_FILENO) == 1) {
        (void)fputs("\r\033[K", stderr);
    }
    if (result == SETTLED) {
        group->settled = SETTLE_DONE;
    } else if (result == SETTLE_FAILED) {
        (void)failed(group->type->name, group->engine->error);
    }
    take_figures(group, &group->end, &group->end_figures);
}

static int
measure(struct group *group)
{
    const struct run_settings *settings = group->settings;
    const bool is_terminal = isatty(STDERR_FILENO) == 1;
    const bool show = settings->eta == ETA_ALWAYS || (settings->eta == ETA_AUTO && is_terminal);
    struct ticker *ticker;
    uint64_t ramp_ns = 0;
    bool is_good = true;

    for (uint32_t i = 0; i < group->job_count; i++) {
        ramp_ns = group->jobs[i].ramp_ns > ramp_ns ? group->jobs[i].ramp_ns : ramp_ns;
    }
    if (ramp_ns > 0) {
        is_good = run_phase(group, true);
    }
    if (!is_good || crew_interrupted() != 0 || has_failed(group)) {
        return EXIT_FAILED;
    }
    if (group->type->reset_maxima != NULL) {
        group->type->reset_maxima(group->engine);
    }
    take_figures(group, &group->start, &group->start_figures);
    ticker = ticker_start(&group->crew, group->units, group->unit_count, settings, show);
    if (ticker == NULL) {
        return EXIT_FAILED;
    }
    is_good = run_phase(group, false);
    take_figures(group, &group->answered, &group->answered_figures);
    group->harness_cpu_ns = ticker_stop(ticker);
    group->end = group->answered;
    group->end_figures = group->answered_figures;
    group->is_interrupted = crew_interrupted() != 0;
    settle(group);
    group->is_interrupted = group->is_interrupted || crew_interrupted() != 0;
    group->peak_rss = rss_peak_bytes();
    return is_good ? GO_ON : EXIT_FAILED;
}

/* How much the user's live data is. */
static double
live_bytes(const struct group *group)
{
    const struct job *job = &group->jobs[0];
    struct presence presence;
    double count;

    if (!group->has_note || group->note.fill_count == 0 ||
        !presence_init(&presence, &group->note, note_records(&group->note))) {
        return 0;
    }
    count = (double)presence.count;
    presence_free(&presence);
    return count * ((double)job->key_size + sizes_mean(&job->value_size));
}

int
group_run(struct group *group)
{
    int code = store_prepare(group);

    if (code == GO_ON) {
        code = make_keyspace(group);
    }
    if (code == GO_ON && !make_streams(group)) {
        code = failed("making streams", "no memory");
    }
    if (code == GO_ON) {
        code = open_engine(group);
    }
    if (code == GO_ON && !crew_init(&group->crew, (group->type->abilities & IS_THREADED) != 0)) {
        code = failed("making callers", "no memory");
    }
    if (code == GO_ON) {
        code = measure(group);
    }
    if (group->start.time_ns != 0) {
        const int noted = write_note(group);

        group->live_bytes = live_bytes(group);
        code = code == GO_ON ? noted : code;
    }
    code = close_engine(group, code);
    group->disk_bytes = group->jobs[0].db != NULL ? directory_bytes(group->jobs[0].db) : 0;
    return code;
}

void
group_free(struct group *group)
{
    for (uint32_t i = 0; i < group->unit_count; i++) {
        free(group->units[i].ticks);
    }
    free(group->units);
    group->units = NULL;
    group->unit_count = 0;
    crew_free(&group->crew);
    free(group->side_jobs);
    values_free(&group->keyspace.values);
    presence_free(&group->keyspace.presence);
}
