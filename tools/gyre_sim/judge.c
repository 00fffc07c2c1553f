/* judge.c - crash points: copies of the disk at events, each crashed in some ways and recovered by
 * a run one level deeper (R1), and what is demanded at an answer (R3). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/disk/names.h"
#include "io/base/bits.h"
#include "tools/gyre_sim/run.h"

#define MILLION 1000000u
#define KINDS 4u

/* ---- Taking points ---- */

static void
take_point(struct run *run, bool is_answer)
{
    if (run->point_count == run->point_capacity) {
        run->point_capacity = run->point_capacity * 2 + 16;
        run->points = realloc(run->points, run->point_capacity * sizeof(*run->points));
        demand(run->points != NULL);
    }
    run->points[run->point_count] =
        (struct point){.disk = gy_sim_disk_clone(run->disk),
                       .event = gy_world_sim_event_count(run->machine.world),
                       .durable = run->durable,
                       .buffered = run->buffered,
                       .attempted = run->attempted,
                       .numbers_used = run->numbers_used,
                       .is_created = run->is_created,
                       .is_answer = is_answer};
    run->point_count++;
    if (run->points_left != UINT32_MAX) {
        run->points_left--;
    }
}

/* Moments at which the order of things on the disk is at stake. */
static bool
is_special(const struct gy_sim_event *event)
{
    switch (event->op) {
    case GY_OP_RENAME:
    case GY_OP_UNLINK:
    case GY_OP_LINK:
    case GY_OP_MKDIR:
    case GY_OP_ALLOCATE:
    case GY_OP_SYNC:
        return true;
    case GY_OP_WRITE:
        return strncmp(event->name, "wal", 3) != 0 && strstr(event->name, ".sst") == NULL;
    default:
        return false;
    }
}

static void
note_moment(const struct run *run, const struct gy_sim_event *event)
{
    reached(crash_sampled);
    if (event->op == GY_OP_RENAME) {
        reached(crash_at_rename);
    } else if (event->op == GY_OP_UNLINK) {
        reached(crash_at_unlink);
    } else if (event->op == GY_OP_SYNC && strchr(event->name, '.') == NULL &&
               strncmp(event->name, "MANIFEST", 8) != 0) {
        reached(crash_at_directory_sync);
    } else if (event->op == GY_OP_WRITE && strncmp(event->name, "MANIFEST", 8) == 0) {
        reached(crash_at_manifest_write);
    } else if (event->op == GY_OP_WRITE && strncmp(event->name, "wal", 3) == 0) {
        reached(crash_at_log_write);
    } else if (event->op == GY_OP_WRITE && strstr(event->name, ".sst") != NULL) {
        reached(crash_at_table_write);
    }
    if (run->depth > 0 && run->db == NULL) {
        if (run->depth == 1) {
            reached(crash_in_recovery);
        } else {
            reached(crash_in_second_recovery);
        }
    } else if (run->depth > 0) {
        reached(crash_after_recovery);
    } else if (run->db == NULL && run->is_created) {
        reached(crash_at_close);
    }
}

static void
tell_event(const struct gy_sim_event *event)
{
    static const char *const names[GY_OP_COUNT] = {
        "read",   "write", "sync",  "open", "close", "allocate", "truncate",  "rename",
        "unlink", "link",  "mkdir", "stat", "list",  "lock",     "free space"};

    (void)printf("    %8.3f ms  event %llu: %s %s %s, offset %llu, %u bytes%s",
                 (double)event->now_ns / 1e6, (unsigned long long)event->event,
                 event->is_completion ? "done:" : "start:", names[event->op], event->name,
                 (unsigned long long)event->offset, event->size,
                 event->op == GY_OP_WRITE && (event->flags & GY_IO_DSYNC) != 0 ? ", DSYNC" : "");
    if (event->is_completion) {
        (void)printf(" -> %d", event->result);
    }
    if (event->fault != GY_SIM_FAULT_NONE) {
        (void)printf(" (fault %d)", (int)event->fault);
    }
    (void)printf("\n");
    (void)fflush(stdout);
}

void
judge_on_event(void *arg, uint64_t number)
{
    struct run *run = arg;
    const struct effort *effort = run->effort;
    struct gy_sim_event event;
    uint32_t ppm = run->depth == 0 ? effort->point_ppm : effort->point_deep_ppm;

    (void)number;
    if (run->machine.world == NULL || !gy_world_sim_event(run->machine.world, 0, &event)) {
        return;
    }
    if (run->depth < effort->tell_depth) {
        (void)printf("%*s", (int)run->depth * 4, "");
        tell_event(&event);
    }
    if (run->depth >= effort->depth_max || run->points_left == 0) {
        return;
    }
    if (run->depth == 0 && is_special(&event)) {
        ppm = effort->point_special_ppm;
    }
    if (gy_rng_below(&run->point_rng, MILLION) < ppm) {
        note_moment(run, &event);
        take_point(run, false);
    }
}

/* ---- Judging ---- */

/* A read-only open of the same disk sees a commit too, and changes nothing. */
static void
judge_read_only(struct run *run)
{
    const uint64_t hash = gy_sim_disk_hash(run->disk);
    struct model_state *found = malloc(sizeof(*found));
    uint64_t last;
    gyre_status status;

    demand(found != NULL);
    run_start(run);
    status = run_open(run, GYRE_OPEN_READ_ONLY);
    if (run_is_ok(run, status, "read-only open after a crash")) {
        status = store_scan(run->db, NULL, found);
        if (run_is_ok(run, status, "a scan of a store opened read-only")) {
            /* What was seen once, the next open may not undercut. */
            run->buffered = run_demand_prefix(run, found, &last);
            reached(read_only_after_crash);
        }
        demand(gyre_put(run->db, NULL, model_key(1), gyre_str("x")) == GYRE_READ_ONLY);
        status = gyre_close(run->db);
        run->db = NULL;
        demand(status == GYRE_OK);
    }
    run_stop(run);
    free(found);
    demand(gy_sim_disk_hash(run->disk) == hash);
}

static void
judge_copy(struct run *child, const struct point *point, struct gy_rng *rng)
{
    const bool works_on = !point->is_answer && gy_rng_below(rng, 5) == 0;

    if (child->is_created && !point->is_answer && gy_rng_below(rng, 8) == 0) {
        judge_read_only(child);
    }
    run_start(child);
    run_recover(child);
    if (child->db != NULL && works_on) {
        run_work(child, 1 + (uint32_t)gy_rng_below(rng, 2), 6);
    }
    if (child->db == NULL || works_on || gy_rng_below(rng, 2) == 0) {
        run_close(child);
    } else { /* what is looked at twice is found only once wrong: just close */
        const gyre_status status = gyre_close(child->db);

        child->db = NULL;
        (void)run_is_ok(child, status, "close after recovery");
        run_note_durable(child, child->attempted);
    }
    run_stop(child);
    if (works_on && !child->is_unknown && gy_rng_below(rng, 3) == 0) {
        child->session++;
        run_start(child);
        run_recover(child); /* closed cleanly: D is all there is */
        run_close(child);
        run_stop(child);
    }
}

static void
judge_crash(struct run *run, const struct point *point, enum gy_sim_crash kind, uint32_t draw)
{
    static const char *const names[KINDS] = {"power cut, nothing survives",
                                             "power cut, all survives", "power cut", "kill"};
    const uint64_t seed =
        gy_mix64(run->seed ^ gy_mix64((point->event * 64 + draw) * KINDS + (uint64_t)kind));
    struct run *child = malloc(sizeof(*child));
    struct run *outer = write_run_now;
    struct plan plan = run->plan;
    struct gy_sim_disk *copy;
    struct gy_rng rng;

    demand(child != NULL);
    fail_set_place(
        run->depth + 1, "event %llu, %s, draw %u; durable %llu, buffered %llu, attempted %llu",
        (unsigned long long)point->event, names[kind], draw, (unsigned long long)point->durable,
        (unsigned long long)point->buffered, (unsigned long long)point->attempted);
    gy_rng_init(&rng, seed);
    copy = gy_sim_disk_crash(point->disk, &rng, kind);
    gy_sim_disk_set_capacity(copy, 0);
    plan_redraw_options(&plan, gy_rng_next(&rng));
    run_init(child, &plan, gy_rng_next(&rng), run->depth + 1, run->effort, copy, run);
    child->is_created = point->is_created;
    child->durable = point->durable;
    child->buffered =
        kind == GY_SIM_CRASH_KILL ? gy_max_u64(point->durable, point->buffered) : point->durable;
    child->attempted = point->attempted;
    child->numbers_used = point->numbers_used;
    model_cut(&child->model, point->attempted);
    judge_copy(child, point, &rng);
    run->hash = gy_mix64(run->hash ^ child->hash);
    run_fini(child);
    gy_sim_disk_free(copy);
    free(child);
    write_run_now = outer;
    fail_set_place(run->depth + 1, "%s", "");
}

static void
note_kind(enum gy_sim_crash kind)
{
    switch (kind) {
    case GY_SIM_CRASH_NONE:
        reached(crash_power_none);
        break;
    case GY_SIM_CRASH_ALL:
        reached(crash_power_all);
        break;
    case GY_SIM_CRASH_RANDOM:
        reached(crash_power_random);
        break;
    default:
        reached(crash_kill);
        break;
    }
}

static void
judge_point(struct run *run, const struct point *point)
{
    static const enum gy_sim_crash often[] = {
        GY_SIM_CRASH_NONE,   GY_SIM_CRASH_NONE, GY_SIM_CRASH_RANDOM, GY_SIM_CRASH_RANDOM,
        GY_SIM_CRASH_RANDOM, GY_SIM_CRASH_KILL, GY_SIM_CRASH_KILL,   GY_SIM_CRASH_ALL};

    if (point->is_answer) {
        judge_crash(run, point, GY_SIM_CRASH_NONE, 0);
        return;
    }
    if (run->effort->all_kinds && run->depth == 0) {
        judge_crash(run, point, GY_SIM_CRASH_NONE, 0);
        judge_crash(run, point, GY_SIM_CRASH_ALL, 0);
        judge_crash(run, point, GY_SIM_CRASH_KILL, 0);
        for (uint32_t i = 0; i < run->effort->draws; i++) {
            judge_crash(run, point, GY_SIM_CRASH_RANDOM, i);
        }
        return;
    }
    for (uint32_t i = 0; i < run->effort->draws; i++) {
        const enum gy_sim_crash kind = often[gy_rng_below(&run->point_rng, 8)];

        note_kind(kind);
        judge_crash(run, point, kind, i);
    }
    if (run->depth == 0 && run->db != NULL && !run->is_damaged &&
        gy_rng_below(&run->point_rng, 3) == 0) {
        damage_try(run, point);
    }
}

void
judge_all(struct run *run)
{
    for (uint32_t i = 0; i < run->point_count; i++) {
        judge_point(run, &run->points[i]);
        gy_sim_disk_free(run->points[i].disk);
    }
    run->point_count = 0;
}

void
judge_on_reap(void *arg, uint64_t event)
{
    (void)event;
    judge_all(arg);
}

/* ---- Answers ---- */

/* No power cut may change what the log says that it has: all of each older log, the current one up
 * to where it calls itself durable. */
static void
demand_log_durable(struct run *run)
{
    const struct gy_wal *wal = &run->db->wal;
    char path[GY_NAME_MAX + 8] = STORE_PATH "/";

    for (uint32_t i = 0; i < wal->log_count; i++) {
        const bool is_current = i + 1 == wal->log_count;

        if (!is_current && run->plan.faults == PLAN_TOLD) {
            continue; /* behind its end may lie what a failed sync left of the log before it */
        }
        gy_name_log_slot(path + strlen(STORE_PATH "/"), wal->logs[i].slot);
        if (!gy_sim_disk_is_durable(run->disk, path, 0,
                                    is_current ? wal->durable_offset : wal->config.slot_size)) {
            fail_now("at an answer: %s calls itself durable up to offset %llu, and is not", path,
                     (unsigned long long)wal->durable_offset);
        }
    }
}

void
judge_answer(struct run *run, bool is_durable)
{
    if (!is_durable) {
        return;
    }
    demand_log_durable(run);
    if (run->depth == 0 && run->points_left > 0 && run->effort->depth_max > 0 &&
        gy_rng_below(&run->point_rng, MILLION) < run->effort->answer_ppm) {
        reached(answer_judged);
        take_point(run, true);
    }
}
