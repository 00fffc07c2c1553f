/* explore.c - gyre_sim_explore: crash a user's code at every event, check, crash the check.
 *
 * A run is one machine with a loop on which the plan's code runs: first work, and, inside its hook
 * (so work stands still), a check of each crash, and inside the hook of that check the next level.
 * Runs refer to the one above. When something is wrong, every machine up to the first is stopped:
 * all code goes home through its own error paths, and nothing that it says counts any more.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "sim/machine.h"

#define DEPTH_DEFAULT 2u
#define EVERY_DEEP_DEFAULT 400u
#define DRAWS_DEFAULT 2u
#define MODES_ALL 15u

struct explorer {
    struct gyre_sim_plan plan; /* defaults filled in */
    struct gyre_sim_report report;
    uint64_t seed;
};

struct run {
    struct explorer *explorer;
    struct run *up;       /* NULL: work */
    gyre_sim *sim;
    struct gy_rng rng;    /* which events are tried */
    uint32_t depth;       /* 0 = work */
    uint32_t mode;        /* of the crash that this run came from */
    uint64_t event;       /* of the machine above, when it crashed */
};

/* ---- Failing ---- */

/* The event of work at which the crash happened that led to this run. */
static uint64_t
event_of_work(const struct run *run)
{
    while (run->depth > 1) {
        run = run->up;
    }
    return run->event;
}

GYRE_PRINTF(2, 3)
static void
fail(struct run *run, const char *format, ...)
{
    struct gyre_sim_report *report = &run->explorer->report;
    va_list arguments;

    if (report->is_failure != 0) {
        return; /* what follows from the first one is no news */
    }
    report->is_failure = 1;
    report->seed = run->explorer->seed;
    report->depth = run->depth;
    report->mode = run->mode;
    report->event = event_of_work(run);
    report->event_deep = run->depth > 1 ? run->event : 0;
    va_start(arguments, format);
    (void)vsnprintf(report->text, sizeof(report->text), format, arguments);
    va_end(arguments);
    for (struct run *each = run; each != NULL; each = each->up) {
        gyre_sim_stop(each->sim);
    }
}

static bool
has_failed(const struct run *run)
{
    return run->explorer->report.is_failure != 0;
}

/* ---- One run ---- */

static void on_event(gyre_sim *sim, uint64_t event, void *arg);

/* Open a loop, let `run` have its hook, and afterwards demand that all was closed. */
static bool
begin(struct run *run, gyre_loop **ret_loop)
{
    struct gyre_error error = {.status = GYRE_OK};
    const gyre_status status =
        gyre_sim_open_loop(run->sim, run->explorer->plan.loop, ret_loop, &error);

    if (status != GYRE_OK) {
        fail(run, "the loop: %s: %s", gyre_status_name(status), error.text);
        return false;
    }
    if (run->depth < run->explorer->plan.depth) {
        gyre_sim_set_hook(run->sim, on_event, run);
    }
    return true;
}

/* False: it is still open, and its machine has to be left behind. */
static bool
end(struct run *run, gyre_loop *loop, const char *what)
{
    const gyre_status status = gyre_loop_close(loop);

    if (status != GYRE_OK) {
        fail(run, "%s left something open: %s", what, gyre_last_error(loop)->text);
        return false;
    }
    gyre_sim_set_hook(run->sim, NULL, NULL);
    if (gyre_sim_violation(run->sim)[0] != '\0') {
        fail(run, "a rule of the device was broken: %s", gyre_sim_violation(run->sim));
    }
    run->explorer->report.trace_hash =
        gy_mix64(run->explorer->report.trace_hash ^ gyre_sim_trace_hash(run->sim));
    return true;
}

/* ---- Crashes ---- */

static void
crash(struct run *run, uint64_t event, enum gyre_sim_crash_mode mode)
{
    struct explorer *explorer = run->explorer;
    const uint64_t draw = gy_rng_next(&run->rng);
    struct gyre_sim_moment moment = {
        .seed = explorer->seed, .event = event, .depth = run->depth + 1, .mode = mode};
    struct run child = {.explorer = explorer,
                        .up = run,
                        .depth = run->depth + 1,
                        .mode = mode,
                        .event = event};
    gyre_loop *loop;
    bool is_closed = true;
    gyre_status status = gyre_sim_crash(run->sim, mode, draw, &child.sim);

    gy_assert(status == GYRE_OK);
    gy_rng_init(&child.rng, gy_mix64(draw));
    explorer->report.crash_count++;
    if (begin(&child, &loop)) {
        if (!explorer->plan.check(loop, &moment, explorer->plan.arg)) {
            fail(&child, "%s",
                 moment.text[0] != '\0' ? moment.text : "the check says no and does not say why");
        }
        is_closed = end(&child, loop, "check");
    }
    if (is_closed) {
        gyre_sim_free(child.sim);
    }
}

static void
on_event(gyre_sim *sim, uint64_t event, void *arg)
{
    struct run *run = arg;
    const struct gyre_sim_plan *plan = &run->explorer->plan;
    const uint32_t every = run->depth == 0 ? plan->every : plan->every_deep;
    const uint32_t draws = run->depth == 0 ? plan->draws : 1;

    (void)sim;
    if (has_failed(run) || gy_rng_below(&run->rng, every) != 0) {
        return;
    }
    for (uint32_t mode = GYRE_SIM_CRASH_NONE; mode <= GYRE_SIM_CRASH_KILL; mode++) {
        if ((plan->modes >> mode & 1u) == 0) {
            continue;
        }
        for (uint32_t i = 0; i < (mode == GYRE_SIM_CRASH_RANDOM ? draws : 1); i++) {
            if (!has_failed(run)) {
                crash(run, event, (enum gyre_sim_crash_mode)mode);
            }
        }
    }
}

/* ---- One seed ---- */

static struct gyre_sim_options
draw_machine(const struct explorer *explorer)
{
    struct gyre_sim_options options = {.struct_size = sizeof(options)};

    if (explorer->plan.machine != NULL) {
        options = *explorer->plan.machine;
    } else {
        const uint64_t bits = gy_mix64(explorer->seed + 1);

        options.sector_size = (bits & 1u) != 0 ? 4096 : 512;
        options.flags = (bits & 2u) != 0 ? GYRE_SIM_CHAOS : 0;
        options.flags |= (bits & 28u) == 0 ? GYRE_SIM_NO_STAGE : 0;
        options.short_ppm = (bits & 96u) == 0 ? 50000 : 0;
    }
    options.seed = explorer->seed;
    return options;
}

/* setup, then work, each on a loop of its own. */
static bool
run_part(struct run *run, bool is_work)
{
    const struct gyre_sim_plan *plan = &run->explorer->plan;
    const char *what = is_work ? "work" : "setup";
    gyre_loop *loop;
    gyre_status status;

    if (!begin(run, &loop)) {
        return true;
    }
    if (!is_work) {
        gyre_sim_set_hook(run->sim, NULL, NULL);
    }
    status = (is_work ? plan->work : plan->setup)(loop, run->explorer->seed, plan->arg);
    if (status != GYRE_OK && (!is_work || (plan->flags & GYRE_SIM_WORK_MAY_FAIL) == 0)) {
        fail(run, "%s: %s: %s", what, gyre_status_name(status), gyre_last_error(loop)->text);
    }
    return end(run, loop, what);
}

static gyre_status
run_seed(struct explorer *explorer)
{
    const struct gyre_sim_options options = draw_machine(explorer);
    struct run run = {.explorer = explorer};
    bool is_closed = true;
    gyre_status status = gyre_sim_make(&options, &run.sim);

    if (status != GYRE_OK) {
        return status;
    }
    explorer->report.seed_count++;
    gy_rng_init(&run.rng, explorer->seed);
    if (explorer->plan.setup != NULL) {
        is_closed = run_part(&run, false);
    }
    if (is_closed && !has_failed(&run)) {
        status = gyre_sim_set_faults(run.sim, explorer->plan.faults, explorer->plan.fault_count);
        if (status == GYRE_OK) {
            is_closed = run_part(&run, true);
        }
    }
    explorer->report.event_count += gyre_sim_event_count(run.sim);
    if (is_closed) {
        gyre_sim_free(run.sim);
    }
    return status;
}

static bool
plan_resolve(const struct gyre_sim_plan *given, struct gyre_sim_plan *ret_plan)
{
    struct gyre_sim_plan *plan = ret_plan;

    if (given == NULL || given->struct_size < sizeof(uint32_t)) {
        return false;
    }
    for (size_t i = sizeof(*plan); i < given->struct_size; i++) {
        if (((const uint8_t *)given)[i] != 0) {
            return false;
        }
    }
    memset(plan, 0, sizeof(*plan));
    memcpy(plan, given, gy_min_u64(given->struct_size, sizeof(*plan)));
    plan->every = plan->every != 0 ? plan->every : 1;
    plan->every_deep = plan->every_deep != 0 ? plan->every_deep : EVERY_DEEP_DEFAULT;
    plan->depth = plan->depth != 0 ? plan->depth : DEPTH_DEFAULT;
    plan->draws = plan->draws != 0 ? plan->draws : DRAWS_DEFAULT;
    plan->modes = plan->modes != 0 ? plan->modes : MODES_ALL;
    return plan->work != NULL && plan->check != NULL && plan->modes <= MODES_ALL &&
           (plan->flags & ~GYRE_SIM_WORK_MAY_FAIL) == 0;
}

gyre_status
gyre_sim_explore(const struct gyre_sim_plan *plan, uint64_t seed_first, uint64_t seed_count,
                 struct gyre_sim_report *ret_report)
{
    struct explorer explorer = {.seed = seed_first};
    gyre_status status = GYRE_OK;

    if (ret_report == NULL || ret_report->struct_size != sizeof(*ret_report) ||
        !plan_resolve(plan, &explorer.plan)) {
        return GYRE_INVALID;
    }
    explorer.report.struct_size = sizeof(explorer.report);
    for (uint64_t i = 0; i < seed_count && status == GYRE_OK; i++) {
        explorer.seed = seed_first + i;
        status = run_seed(&explorer);
        if (explorer.report.is_failure != 0) {
            status = GYRE_CORRUPT;
        }
    }
    *ret_report = explorer.report;
    return status;
}
