/* sim_judge.c - crash points: taking copies of the disk at events, recovering each in several ways,
 * and what is demanded of that. */
#include "tests/support/sim_run.h"

#include <stdlib.h>

#include "io/base/bits.h"

/* ---- Taking points ---- */

void
sim_run_take_point(struct sim_run *run, enum sim_judge_set set)
{
    if (run->point_count == run->point_capacity) {
        run->point_capacity = run->point_capacity * 2 + 16;
        run->points = realloc(run->points, run->point_capacity * sizeof(*run->points));
        sim_check(run->points != NULL);
    }
    run->points[run->point_count++] =
        (struct sim_point){.set = set,
                           .disk = gy_sim_disk_clone(run->disk),
                           .event = gy_world_sim_event_count(run->machine.world),
                           .durable = run->durable,
                           .buffered = run->buffered,
                           .attempted = run->attempted,
                           .created = run->created};
}

static void
on_event(void *arg, uint64_t event)
{
    struct sim_run *run = arg;
    const uint32_t ppm = run->depth == 0 ? run->effort->point_ppm : run->effort->point_deep_ppm;

    (void)event;
    sim_run_resolve(run);
    if (run->depth < run->effort->depth_max && gy_rng_below(&run->point_rng, 1000000) < ppm) {
        sim_run_take_point(run, SIM_JUDGE_ALL);
    }
}

static void
judge_all(struct sim_run *run)
{
    for (size_t i = 0; i < run->point_count; i++) {
        sim_run_judge(run, &run->points[i]);
        gy_sim_disk_free(run->points[i].disk);
    }
    run->point_count = 0;
}

static void
on_reap(void *arg, uint64_t event)
{
    (void)event;
    judge_all(arg);
}

void
sim_run_start(struct sim_run *run, const struct gy_sim_faults *faults)
{
    struct gy_world_sim_config config;

    gy_world_sim_config_init(&config, run->seed);
    if (faults != NULL) {
        config.faults = *faults;
    }
    config.faults.short_ppm = run->knobs.short_ppm;
    config.on_event = on_event;
    config.on_reap = on_reap;
    config.arg = run;
    sim_machine_start(&run->machine, run->disk, &config, &run->knobs, run->seed);
}

void
sim_run_stop(struct sim_run *run)
{
    judge_all(run);
    sim_machine_stop(&run->machine);
    judge_all(run); /* points of what closing the loop still did */
}

/* ---- Recovering ---- */

/* No open had returned OK: there is nothing, or an empty store. */
static gyre_status
open_half_made(struct sim_run *run)
{
    gyre_status status = sim_open(&run->machine, &run->knobs, 0, &run->db);

    sim_reached(SIM_crash_before_creation);
    if (status == GYRE_NOT_FOUND) {
        sim_reached(SIM_half_made_is_empty);
        status = sim_open(&run->machine, &run->knobs, GYRE_OPEN_CREATE, &run->db);
    }
    return status;
}

static void
demand_prefix(struct sim_run *run, const struct model_state *found, uint64_t *ret_sequence)
{
    const uint64_t low = gy_max_u64(run->durable, run->buffered);
    uint64_t nearest;
    uint32_t different;

    if (model_find(&run->model, found, low, run->attempted, ret_sequence)) {
        return;
    }
    model_nearest(&run->model, found, &nearest, &different);
    if (different == 0) {
        sim_fail("recovered to commit %llu, which is %s (D %llu, A %llu)",
                 (unsigned long long)nearest,
                 nearest < low ? "before the last answered one: lost" : "beyond the last attempted",
                 (unsigned long long)low, (unsigned long long)run->attempted);
    }
    sim_fail("recovered to no commit at all: a hole (nearest is %llu with %u keys wrong, D %llu, A "
             "%llu)",
             (unsigned long long)nearest, different, (unsigned long long)low,
             (unsigned long long)run->attempted);
}

/* Reads the whole store; what it holds is the commit it says. */
static uint64_t
demand_content(struct sim_run *run)
{
    struct model_state *found = malloc(sizeof(*found));
    uint64_t sequence = 0;
    gyre_status status;

    sim_check(found != NULL);
    status = sim_scan(run->db, NULL, found);
    if (status != GYRE_OK && run->may_fail) { /* the fault struck here; there is one */
        status = sim_scan(run->db, NULL, found);
    }
    if (status != GYRE_OK) {
        sim_fail_status(run->machine.loop, status, "a scan after recovery");
    }
    demand_prefix(run, found, &sequence);
    status = sim_compare(run->db, NULL, found);
    if (status != GYRE_OK && run->may_fail) {
        status = sim_compare(run->db, NULL, found);
    }
    if (status != GYRE_OK) {
        sim_fail_status(run->machine.loop, status, "a read after recovery");
    }
    free(found);
    return sequence;
}

static void
forget_after(struct sim_run *run, uint64_t sequence)
{
    struct model kept;

    model_fork(&kept, &run->model, sequence);
    for (size_t i = 0; i < kept.count; i++) {
        kept.commits[i].owned = run->model.commits[i].owned;
        run->model.commits[i].owned = false;
    }
    model_fini(&run->model);
    run->model = kept;
}

static void
note_recovery(const struct sim_run *run, uint64_t sequence)
{
    const struct gy_db_counters *counters = &run->db->counters;

    if (sequence < run->attempted) {
        sim_reached(SIM_lost_some_buffered);
    }
    if (sequence > run->durable) {
        sim_reached(SIM_kept_more_than_durable);
    }
    if (run->buffered > run->durable && run->knobs.disk.stage_bytes_max == 0) {
        sim_reached(SIM_staged_was_replayed); /* killed: some of what was answered lay in staging */
    }
    if (counters->tail_dropped_bytes > 0) {
        sim_reached(SIM_tail_was_dropped);
    }
}

void
sim_run_adopt(struct sim_run *run)
{
    const uint64_t sequence = demand_content(run);

    run->created = true;
    note_recovery(run, sequence);
    forget_after(run, sequence);
    run->durable = sequence;
    run->buffered = sequence;
    run->attempted = sequence;
    for (uint32_t i = 0; i < SIM_WRITERS; i++) {
        run->last_of[i] = sequence;
    }
}

void
sim_run_recover(struct sim_run *run)
{
    gyre_status status;

    if (!run->created) {
        status = open_half_made(run);
    } else {
        status = sim_open(&run->machine, &run->knobs, 0, &run->db);
    }
    if (status != GYRE_OK) {
        sim_fail_status(run->machine.loop, status, "open after a crash");
    }
    run->created = true;
    sim_run_adopt(run);
}

/* A read-only open of the same disk sees a commit too, and changes nothing. */
static void
judge_read_only(struct sim_run *run)
{
    const uint64_t hash = gy_sim_disk_hash(run->disk);
    gyre_status status;

    sim_machine_start(&run->machine, run->disk, NULL, &run->knobs, run->seed);
    status = sim_open(&run->machine, &run->knobs, GYRE_OPEN_READ_ONLY, &run->db);
    if (status != GYRE_OK) {
        sim_fail_status(run->machine.loop, status, "read-only open after a crash");
    }
    /* What it saw, the next one may not undercut. */
    run->buffered = demand_content(run);
    sim_check(gyre_close(run->db) == GYRE_OK);
    run->db = NULL;
    sim_machine_stop(&run->machine);
    sim_check(gy_sim_disk_hash(run->disk) == hash);
    sim_reached(SIM_read_only_open);
}

/* ---- Judging ---- */

static void
judge_copy(struct sim_run *child, struct gy_rng *rng)
{
    const bool is_short = gy_rng_below(rng, 3) != 0;

    if (child->created && gy_rng_below(rng, 6) == 0) {
        judge_read_only(child);
    }
    sim_run_start(child, NULL);
    sim_run_recover(child);
    if (!is_short) {
        sim_run_work(child, 1 + (uint32_t)gy_rng_below(rng, 2), 4);
        sim_run_demand(child, NULL, gy_db_visible(child->db));
    }
    (void)sim_run_close(child);
    if (!is_short && gy_rng_below(rng, 4) == 0) {
        sim_run_recover(child); /* closed cleanly: D is all there is */
        (void)sim_run_close(child);
    }
    sim_run_stop(child);
}

static void
judge_mode(struct sim_run *run, const struct sim_point *point, enum gy_sim_crash mode,
           uint32_t draw)
{
    static const char *const names[] = {"power cut, nothing survives", "power cut, all survives",
                                        "power cut", "kill"};
    const uint64_t seed = gy_mix64(run->seed ^ gy_mix64(point->event * 64 + draw * 4 + mode));
    struct sim_run *child = malloc(sizeof(*child));
    struct sim_knobs knobs = run->knobs;
    struct gy_sim_disk *copy;
    struct gy_rng rng;

    sim_check(child != NULL);
    sim_set_place(run->depth + 1, "event %llu, %s, draw %u; D %llu B %llu A %llu",
                  (unsigned long long)point->event, names[mode], draw,
                  (unsigned long long)point->durable, (unsigned long long)point->buffered,
                  (unsigned long long)point->attempted);
    gy_rng_init(&rng, seed);
    copy = gy_sim_disk_crash(point->disk, &rng, mode);
    sim_knobs_redraw(&knobs, gy_rng_next(&rng));
    sim_run_init(child, gy_rng_next(&rng), run->depth + 1, run->effort, &knobs, copy, run);
    child->created = point->created;
    child->durable = point->durable;
    child->buffered = point->durable;
    child->attempted = point->attempted;
    if (mode == GY_SIM_CRASH_KILL) {
        child->buffered = gy_max_u64(point->durable, point->buffered);
    }
    judge_copy(child, &rng);
    sim_run_fini(child);
    gy_sim_disk_free(copy);
    free(child);
    sim_reached(SIM_crash_copies);
    sim_set_place(run->depth + 1, "%s", "");
}

void
sim_run_judge(struct sim_run *run, const struct sim_point *point)
{
    const uint32_t draws = run->depth == 0 ? run->effort->random_draws
                                           : (uint32_t)gy_min_u64(1, run->effort->random_draws);

    if (point->set != SIM_JUDGE_KILL) {
        judge_mode(run, point, GY_SIM_CRASH_NONE, 0);
    }
    if (point->set != SIM_JUDGE_NONE) {
        judge_mode(run, point, GY_SIM_CRASH_KILL, 0);
    }
    if (point->set != SIM_JUDGE_ALL) {
        return;
    }
    if (run->depth == 0) {
        judge_mode(run, point, GY_SIM_CRASH_ALL, 0);
    }
    for (uint32_t i = 0; i < draws; i++) {
        judge_mode(run, point, GY_SIM_CRASH_RANDOM, i);
    }
}

/* ---- From an empty disk ---- */

uint64_t
sim_run_whole(uint64_t seed, const struct sim_effort *effort,
              void (*on_answer)(struct sim_run *run, uint64_t sequence, enum sim_klass klass))
{
    struct sim_run *run = malloc(sizeof(*run));
    struct gy_heap heap;
    struct sim_knobs knobs;
    struct gy_sim_disk *disk;
    uint64_t hash = 0;

    sim_check(run != NULL);
    gy_heap_init(&heap, UINT64_MAX);
    sim_set_place(0, "seed %llu", (unsigned long long)seed);
    sim_knobs_draw(&knobs, seed);
    knobs.disk.pages = effort->pages;
    disk = gy_sim_disk_make(&knobs.disk, &heap);
    sim_run_init(run, seed, 0, effort, &knobs, disk, NULL);
    run->on_answer = on_answer;
    for (uint32_t session = 0; session < effort->sessions; session++) {
        sim_set_place(0, "seed %llu, session %u", (unsigned long long)seed, session);
        if (session > 0) {
            sim_knobs_redraw(&run->knobs, gy_rng_next(&run->rng));
        }
        sim_run_start(run, NULL);
        sim_run_recover(run);
        sim_run_work(run, 1 + (uint32_t)gy_rng_below(&run->rng, SIM_WRITERS), effort->commits);
        sim_run_demand(run, NULL, gy_db_visible(run->db));
        (void)sim_run_close(run);
        hash ^= gy_mix64(gy_world_sim_trace_hash(run->machine.world) + session);
        sim_run_stop(run);
    }
    sim_run_fini(run);
    gy_sim_disk_free(disk);
    sim_check(heap.used == 0);
    free(run);
    return hash;
}
