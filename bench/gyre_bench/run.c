/* run.c - the run: phases, their end, progress. */
#include "bench/gyre_bench/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/gyre_bench/measure.h"
#include "bench/gyre_bench/worker.h"

#define PROGRESS_NS 500000000ull
/* How often to look. Signals are seen after each call without that. */
#define LOOK_NS 50000000ull

/* ---- Progress on the terminal ---- */

static void
print_progress(struct run *run, uint64_t now_ns)
{
    const double seconds = (double)(now_ns - run->started_ns) / 1e9;
    const uint64_t planned =
        run->op_limit == NO_LIMIT ? 0 : run->ops + (run->op_limit - run->op_next);
    char total[48] = "";

    if (planned != 0) {
        (void)snprintf(total, sizeof(total), " of %" PRIu64 " (%.0f %%)", planned,
                       100.0 * (double)run->ops / (double)planned);
    }
    (void)fprintf(stderr, "\r%s: %.1f s, %" PRIu64 "%s operations, %.0f/s\033[K",
                  workload_name(run->settings->workload), seconds, run->ops, total,
                  (double)run->ops / seconds);
    (void)fflush(stderr);
    run->printed_ns = now_ns;
}

static void
wipe_progress(const struct run *run)
{
    if (run->is_terminal) {
        (void)fputs("\r\033[K", stderr);
    }
}

/* Deadline and progress; next time in LOOK_NS, or at the deadline if that is sooner. */
static void
look(struct run *run, uint64_t now_ns)
{
    if (run->deadline_ns != 0 && now_ns >= run->deadline_ns) {
        run->stop = true;
    }
    if (run->is_terminal && now_ns - run->printed_ns >= PROGRESS_NS) {
        print_progress(run, now_ns);
    }
    run->look_ns = now_ns + LOOK_NS;
    if (run->deadline_ns != 0 && run->deadline_ns < run->look_ns) {
        run->look_ns = run->deadline_ns;
    }
}

/* ---- The loop of a worker ---- */

static void
fail(struct run *run, gyre_status status)
{
    const struct gyre_error *error = gyre_last_error(run->loop);

    run->errors++;
    run->stop = true;
    if (run->status == GYRE_OK) {
        run->status = status;
        (void)snprintf(run->error_text, sizeof(run->error_text), "%s: %s", gyre_status_name(status),
                       error->status == status ? error->text : gyre_status_text(status));
    }
}

static void
work(void *arg)
{
    struct worker *worker = arg;
    struct run *run = worker->run;
    const step_fn step = worker_step(run->settings);
    uint64_t before_ns = time_now_ns();

    while (!run->stop && run->op_next < run->op_limit && !worker->is_done) {
        const gyre_status status = step(worker);
        const uint64_t now_ns = time_now_ns();

        if (worker->is_done) {
            break;
        }
        if (status != GYRE_OK) {
            fail(run, status);
            break;
        }
        run->calls++;
        histogram_add(&run->latency, now_ns - before_ns);
        if (now_ns >= run->look_ns) {
            look(run, now_ns);
        }
        if (*run->interrupted != 0) {
            run->stop = true;
        }
        before_ns = now_ns;
    }
}

/* ---- Phases ---- */

bool
run_init(struct run *run)
{
    const struct settings *s = run->settings;

    run->worker_count = s->depth > 0 ? (uint32_t)s->depth : 1;
    run->is_terminal = isatty(STDERR_FILENO) == 1;
    run->workers = calloc(run->worker_count, sizeof(run->workers[0]));
    if (run->workers == NULL) {
        (void)fputs("gyre-bench: no memory for the workers\n", stderr);
        return false;
    }
    for (uint32_t i = 0; i < run->worker_count; i++) {
        if (!worker_init(&run->workers[i], run, i, run->worker_count)) {
            (void)fprintf(stderr, "gyre-bench: cannot make worker %u of %u: %s\n", i + 1,
                          run->worker_count, gyre_last_error(run->loop)->text);
            return false;
        }
    }
    return true;
}

void
run_free(struct run *run)
{
    for (uint32_t i = 0; run->workers != NULL && i < run->worker_count; i++) {
        worker_free(&run->workers[i]);
    }
    free(run->workers);
    run->workers = NULL;
}

static void
clear_results(struct run *run)
{
    histogram_clear(&run->latency);
    run->ops = run->calls = run->found = run->rows = run->user_bytes = 0;
    run->errors = run->mismatches = 0;
}

void
run_phase(struct run *run, uint64_t ops, uint64_t duration_ns)
{
    gyre_status status = GYRE_OK;

    clear_results(run);
    run->op_limit = ops >= NO_LIMIT - run->op_next ? NO_LIMIT : run->op_next + ops;
    run->stop = *run->interrupted != 0 || run->status != GYRE_OK;
    run->started_ns = run->printed_ns = time_now_ns();
    run->deadline_ns = duration_ns != 0 ? run->started_ns + duration_ns : 0;
    run->look_ns = run->started_ns;
    if (run->settings->depth == 0) {
        work(&run->workers[0]);
    } else {
        for (uint32_t i = 0; i < run->worker_count && status == GYRE_OK; i++) {
            status = gyre_spawn(run->loop, work, &run->workers[i], NULL);
        }
        if (status != GYRE_OK) {
            fail(run, status);
        }
        status = gyre_run(run->loop);
        if (status != GYRE_OK) {
            fail(run, status);
        }
    }
    run->ended_ns = time_now_ns();
    wipe_progress(run);
}

/* ---- Settling ---- */

struct settling {
    gyre_db *db;
    gyre_status status;
    uint64_t ended_ns;
    bool is_done;
};

static void
settle(void *arg)
{
    struct settling *settling = arg;

    settling->status = gyre_wait_idle(settling->db);
    settling->ended_ns = time_now_ns();
    settling->is_done = true;
}

bool
run_settle(struct run *run)
{
    /* Outlives this call when it is interrupted: the coroutine is then left as it is. */
    static struct settling settling;
    struct gyre_stats stats = {.struct_size = sizeof(stats)};

    settling = (struct settling){.db = run->db};
    if (gyre_spawn(run->loop, settle, &settling, NULL) != GYRE_OK) {
        fail(run, GYRE_NO_MEMORY);
        return false;
    }
    while (!settling.is_done && *run->interrupted == 0) {
        if (gyre_sleep(run->loop, 5000000) != GYRE_OK) {
            return false;
        }
        if (run->is_terminal && time_now_ns() - run->printed_ns >= PROGRESS_NS &&
            gyre_stats(run->db, &stats) == GYRE_OK) {
            (void)fprintf(stderr, "\rsettling: %" PRIu64 " MiB left to compact\033[K",
                          stats.compaction_debt >> 20);
            run->printed_ns = time_now_ns();
        }
    }
    wipe_progress(run);
    if (!settling.is_done) {
        return false;
    }
    run->settled_ns = settling.ended_ns;
    if (settling.status != GYRE_OK) {
        fail(run, settling.status);
    }
    return settling.status == GYRE_OK;
}
