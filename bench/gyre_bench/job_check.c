/* job_check.c - what can be said of jobs before any store is looked at. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bench/gyre_bench/engine.h"
#include "bench/gyre_bench/job.h"
#include "bench/gyre_bench/options.h"
#include "bench/gyre_bench/store.h"

void
job_init(struct job *job)
{
    *job = (struct job){.records = UNSET,
                        .iodepth = 1,
                        .numjobs = 1,
                        .randseed = 1,
                        .key_size = UNSET,
                        .verify = true,
                        .rwmixread = UNSET,
                        .batch = UNSET,
                        .nexts = UNSET,
                        .compress_percentage = UNSET,
                        .settle = true,
                        .engine = &engine_gyre,
                        .log_interval_ns = 1000000000u,
                        .slow_ns = 10000000u};
}

bool
job_has(const struct job *job, const char *option_name)
{
    for (uint32_t i = 0; i < job->given_count; i++) {
        if (strcmp(job->given[i].option->name, option_name) == 0) {
            return true;
        }
    }
    return false;
}

bool
jobs_start_group(const struct job *job)
{
    return job->stonewall;
}

int
usage_error(const char *format, ...)
{
    va_list arguments;

    (void)fputs("gyre-bench: ", stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    return EXIT_USAGE;
}

/* ---- What the engine can do ---- */

struct need {
    uint32_t ability;
    bool is_needed;
    const char *what;
};

static int
check_engine(const struct job *job)
{
    const struct workload *w = job->workload;
    const struct need needs[] = {
        {CAN_DELETE, workload_does(w, ACTION_DELETE), "delete"},
        {CAN_WALK,
         workload_does(w, ACTION_WALK) ||
             (w->side != NULL && workload_does(workload_find(w->side), ACTION_WALK)),
         "walk over a store"},
        {CAN_SEEK, workload_does(w, ACTION_SEEK), "seek"},
        {CAN_MISS, workload_does(w, ACTION_GET_MISSING), "look for absent keys"},
        {CAN_NOWAL, job->durability == DURABILITY_NOWAL, "write without a log"},
        {CAN_MANY, job->iodepth * job->numjobs > 1 || w->side != NULL,
         "have more than one operation in flight"},
    };

    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (needs[i].is_needed && (job->engine->abilities & needs[i].ability) == 0) {
            return usage_error("job '%s': ioengine=%s cannot %s", job->name, job->engine->name,
                               needs[i].what);
        }
    }
    if (job->db == NULL && (job->engine->abilities & CAN_STORE) != 0) {
        return usage_error("job '%s': db=DIR is needed: where the store is, or shall be",
                           job->name);
    }
    if (job->iodepth * job->numjobs > SLOTS_MAX) {
        return usage_error("job '%s': iodepth times numjobs is more than %u", job->name, SLOTS_MAX);
    }
    return GO_ON;
}

/* ---- What goes with what ---- */

static int
check_fill(const struct job *job)
{
    const struct workload *w = job->workload;

    if (job->fresh && (!w->makes_store || job->existing)) {
        return usage_error("job '%s': fresh goes with fills only, and not with existing",
                           job->name);
    }
    if (job->unique && (!w->makes_store || w->order != ORDER_RANDOM)) {
        return usage_error("job '%s': unique goes with fillrandom and fillsync only", job->name);
    }
    if (job->all_keys &&
        (w->makes_store || workload_does(w, ACTION_WALK) || workload_does(w, ACTION_DELETE) ||
         workload_does(w, ACTION_GET_MISSING))) {
        return usage_error("job '%s': keys= does not go with %s", job->name, w->name);
    }
    if (w->makes_store && job_has(job, "random_distribution")) {
        return usage_error("job '%s': %s has an order of its own: no random_distribution",
                           job->name, w->name);
    }
    if (w->is_durable && job->durability != DURABILITY_DEFAULT &&
        job->durability != DURABILITY_DURABLE) {
        return usage_error("job '%s': %s is durable; use fillrandom for durability=%s", job->name,
                           w->name, option_value_name(durability_names, job->durability));
    }
    return GO_ON;
}

static int
check_rest(const struct job *job)
{
    const struct workload *w = job->workload;

    if (job->time_based && job->runtime_ns == 0) {
        return usage_error("job '%s': time_based needs runtime=", job->name);
    }
    if (job_has(job, "rwmixread") && strcmp(w->name, "randrw") != 0) {
        return usage_error("job '%s': rwmixread goes with randrw only", job->name);
    }
    if (job_has(job, "write_rate") && strcmp(w->name, "readwhilewriting") != 0) {
        return usage_error("job '%s': write_rate goes with readwhilewriting only", job->name);
    }
    if (job_has(job, "rate_process") && job->rate_iops == 0) {
        return usage_error("job '%s': rate_process goes with rate_iops", job->name);
    }
    if (job_has(job, "nexts") && !workload_does(w, ACTION_SEEK)) {
        return usage_error("job '%s': nexts goes with seekrandom and ycsb-e only", job->name);
    }
    if (job->nexts == 0 && w->has_random_length) {
        return usage_error("job '%s': nexts=0: %s reads at least one row", job->name, w->name);
    }
    if (job->log_interval_ns < 1000000u) {
        return usage_error("job '%s': log_interval is at least 1ms", job->name);
    }
    if (job->cache_size != 0 && job->memory != 0 && job->cache_size >= job->memory) {
        return usage_error("job '%s': cache_size is a part of memory, and must be less", job->name);
    }
    if (job->block_size != 0 && job->block_size % 512 != 0) {
        return usage_error("job '%s': bs is a multiple of 512", job->name);
    }
    if ((job->stall_ns != 0 || job->stall_after_ns != 0) && job->engine != &engine_null) {
        return usage_error("job '%s': stall_time and stall_after go with ioengine=null", job->name);
    }
    return GO_ON;
}

/* Options of the store, which the jobs of a group share. */
static int
check_same(const struct job *a, const struct job *b)
{
    const char *what = NULL;

    if (a->engine != b->engine) {
        what = "ioengine";
    } else if (a->db != b->db && (a->db == NULL || b->db == NULL || strcmp(a->db, b->db) != 0)) {
        what = "db";
    } else if (a->memory != b->memory || a->cache_size != b->cache_size) {
        what = "memory";
    } else if (a->durability != b->durability) {
        what = "durability";
    } else if (a->compression != b->compression) {
        what = "compression";
    } else if (a->options != b->options &&
               (a->options == NULL || b->options == NULL || strcmp(a->options, b->options) != 0)) {
        what = "options";
    }
    return what == NULL
               ? GO_ON
               : usage_error("jobs '%s' and '%s' run at the same time on one store, but %s "
                             "differs: stonewall in '%s' lets it wait",
                             a->name, b->name, what, b->name);
}

static void
complete(struct job *job)
{
    job->all_keys = job->key_choice != 0;
    job->is_hashed = job->order_choice != 0;
    if (job->batch == UNSET) {
        job->batch = workload_does(job->workload, ACTION_MULTI_GET) ? 32 : 1;
    }
    if (job->nexts == UNSET) {
        job->nexts = job->workload->has_random_length ? 100 : 50;
    }
    if (job->rwmixread == UNSET) {
        job->rwmixread = 50;
    }
}

int
jobs_check(struct run_settings *settings)
{
    int code = GO_ON;

    for (uint32_t i = 0; i < settings->job_count && code == GO_ON; i++) {
        struct job *job = &settings->jobs[i];

        if (job->workload == NULL) {
            return usage_error("job '%s': which workload? rw=", job->name);
        }
        code = check_engine(job);
        if (code == GO_ON) {
            code = check_fill(job);
        }
        complete(job);
        if (code == GO_ON) {
            code = check_rest(job);
        }
        if (i > 0 && jobs_start_group(job) && settings->jobs[i - 1].crash) {
            return usage_error("job '%s': crash goes with the last jobs only: the process ends",
                               settings->jobs[i - 1].name);
        }
        if (code == GO_ON && i > 0 && !jobs_start_group(job)) {
            code = check_same(&settings->jobs[i - 1], job);
        }
    }
    return code;
}
