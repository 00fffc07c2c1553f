/* sim_faults.c - the device says no, once, at the n-th request of one kind, for all n in the life
 * of one store: every call ends with an error or a right answer, a failed log is not written to
 * again, failed tables are made again, and after reopening everything that was answered is there
 * (R1 and R4 of tools/gyre_sim/run.h). Where the checker draws its faults, this leaves out none.
 *
 *   sim_faults [--seed S] [--all]   --all: every n for every errno, not a part of them
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/base/bits.h"
#include "tests/sim/calm_plan.h"
#include "tools/gyre_sim/run.h"

#define BASE_ACTORS 3u
#define BASE_OPS 24u
#define ACTORS 2u
#define OPS 20u

static const struct effort EFFORT = {.points_max = 0};

/* One kind of request, and what may be demanded when it fails. */
struct kind {
    const char *text;
    uint32_t op;
    const char *name; /* part of the file's name */
    bool is_table;    /* a failed table: nothing has to be reopened */
};

static const struct kind KINDS[] = {
    {"write of a log", GY_OP_WRITE, "wal-", false},
    {"sync of a log", GY_OP_SYNC, "wal-", false},
    {"read of a log", GY_OP_READ, "wal-", false},
    {"allocation of a log", GY_OP_ALLOCATE, "wal-", false},
    {"write of a manifest", GY_OP_WRITE, "MANIFEST", false},
    {"sync of a manifest", GY_OP_SYNC, "MANIFEST", false},
    {"read of a manifest", GY_OP_READ, "MANIFEST", false},
    {"write of CURRENT", GY_OP_WRITE, "CURRENT", false},
    {"sync of CURRENT", GY_OP_SYNC, "CURRENT", false},
    {"write of a table", GY_OP_WRITE, ".sst", true},
    {"sync of a table", GY_OP_SYNC, ".sst", true},
    {"read of a table", GY_OP_READ, ".sst", true},
    {"allocation of a table", GY_OP_ALLOCATE, ".sst", true},
    {"sync of the directory", GY_OP_SYNC, "db", false},
    {"rename", GY_OP_RENAME, "", false},
    {"unlink", GY_OP_UNLINK, "", false},
    {"open", GY_OP_OPEN, "", false},
    {"size", GY_OP_STAT, "", false},
    {"truncation", GY_OP_TRUNCATE, "", false},
    {"listing", GY_OP_LIST, "", false},
    {"lock", GY_OP_LOCK, "", false},
    {"directory", GY_OP_MKDIR, "", false},
};
#define KIND_COUNT (sizeof(KINDS) / sizeof(KINDS[0]))

/* What the runs start from. */
struct base {
    struct gy_heap heap;
    struct gy_sim_disk *disk;
    struct run *run; /* what had been promised of what is on the disk */
};

/* A store that was killed at work: logs, tables, staging. Or none. */
static void
make_base(struct base *base, uint64_t seed, bool is_empty)
{
    struct gy_sim_disk *disk;
    struct plan plan;
    struct run promised;

    gy_heap_init(&base->heap, UINT64_MAX);
    calm_plan_draw(&plan, seed);
    calm_plan_add_writes(&plan);
    calm_plan_add(&plan, PLAN_get, 10);
    calm_plan_add(&plan, PLAN_snapshot_open, 4);
    calm_plan_add(&plan, PLAN_snapshot_read, 4);
    plan.disk.stage_bytes_max = 0; /* no limit: a killed store has some to replay */
    disk = gy_sim_disk_make(&plan.disk, &base->heap);
    base->run = calloc(1, sizeof(*base->run));
    demand(base->run != NULL);
    run_init(base->run, &plan, seed, 0, &EFFORT, disk, NULL);
    if (is_empty) {
        base->disk = disk;
        return;
    }
    run_start(base->run);
    run_recover(base->run);
    run_work(base->run, BASE_ACTORS, BASE_OPS);
    base->disk = gy_sim_disk_crash(disk, &base->run->rng, GY_SIM_CRASH_KILL);
    promised = *base->run;
    run_close(base->run); /* which promises more */
    run_stop(base->run);
    base->run->durable = promised.durable;
    base->run->buffered = gy_max_u64(promised.durable, promised.buffered);
    base->run->attempted = promised.attempted;
    base->run->numbers_used = promised.numbers_used;
    gy_sim_disk_free(disk);
}

static void
free_base(struct base *base)
{
    gy_sim_disk_free(base->disk);
    run_fini(base->run);
    free(base->run);
    demand(base->heap.used == 0);
}

/* Without a last look: what it does while it closes is under the fault too. */
static void
close_now(struct run *run)
{
    const bool was_poisoned = run_is_poisoned(run);
    const uint64_t visible = gy_db_visible(run->db);
    const gyre_status status = gyre_close(run->db);

    run->db = NULL;
    if (run_is_ok(run, status, "close, with a fault") && !was_poisoned) {
        run_note_durable(run, visible);
    }
}

static void
scan_under_fault(struct run *run)
{
    struct model_state *found = malloc(sizeof(*found));
    const gyre_status status = store_scan(run->db, NULL, found);
    uint64_t last;

    demand(found != NULL);
    if (run_is_ok(run, status, "a scan, with a fault")) {
        (void)run_demand_prefix(run, found, &last);
    }
    free(found);
}

/* Open, work, close. True: the fault did strike. */
static bool
live_under_fault(struct run *run, const struct kind *kind)
{
    bool has_struck;
    gyre_status status = run_open(run, run->is_created ? 0 : GYRE_OPEN_CREATE);

    if (!run_is_ok(run, status, "open, with a fault")) {
        reached(told_error_at_open);
        return true;
    }
    run_adopt(run);
    run_work(run, ACTORS, OPS);
    scan_under_fault(run);
    /* Who could not read otherwise has ended the fault. */
    has_struck = !run->faults_on || gy_world_sim_strike_count(run->machine.world, 0) > 0;
    if (kind->is_table && run->db->manifest.poison == GYRE_OK) {
        faults_end(run);
    }
    if (!run->faults_on || run_is_poisoned(run)) {
        faults_demand_healed(run);
    }
    close_now(run);
    return has_struck || gy_world_sim_strike_count(run->machine.world, 0) > 0;
}

static void
set_fault(struct run *run, const struct kind *kind, enum gy_sim_fault fault, int os_errno,
          uint64_t nth)
{
    struct gy_sim_faults faults = {.rule_count = 1};

    faults.rules[0] = (struct gy_sim_rule){
        .fault = fault, .op_mask = 1u << kind->op, .nth = nth, .os_errno = os_errno};
    (void)snprintf(faults.rules[0].name, sizeof(faults.rules[0].name), "%s", kind->name);
    gy_world_sim_set_faults(run->machine.world, &faults);
    run->faults_on = true;
    run->had_faults = true;
    run->is_tolerant = true;
}

/* True: the fault did strike. */
static bool
run_one(const struct base *base, const struct kind *kind, enum gy_sim_fault fault, int os_errno,
        uint64_t nth)
{
    struct gy_sim_disk *disk = gy_sim_disk_clone(base->disk);
    struct run *run = malloc(sizeof(*run));
    struct plan plan = base->run->plan;
    bool has_struck;

    demand(run != NULL);
    fail_set_place(1, "%s: %s %d at request %llu, %s", kind->text,
                   fault == GY_SIM_FAULT_ERROR ? "errno" : "short", os_errno,
                   (unsigned long long)nth, base->run->is_created ? "killed store" : "new store");
    plan.faults = PLAN_TOLD;
    run_init(run, &plan, base->run->seed, 0, &EFFORT, disk, base->run);
    run->is_created = base->run->is_created;
    run->durable = base->run->durable;
    run->buffered = base->run->buffered;
    run->attempted = base->run->attempted;
    run->numbers_used = base->run->numbers_used;
    run->session = 1; /* numbers of values go on */
    run_start(run);
    set_fault(run, kind, fault, os_errno, nth);
    has_struck = live_under_fault(run, kind);
    run_stop(run);
    run->session = 2;
    run_start(run);
    run_recover(run);
    run_work(run, 1, 3);
    run_close(run);
    run_stop(run);
    run_fini(run);
    free(run);
    gy_sim_disk_free(disk);
    return has_struck;
}

static uint64_t
run_kind(const struct base *base, const struct kind *kind, bool all)
{
    static const struct {
        enum gy_sim_fault fault;
        int os_errno;
        uint64_t step; /* unless --all */
    } tries[] = {
        {GY_SIM_FAULT_ERROR, EIO, 1}, {GY_SIM_FAULT_ERROR, ENOSPC, 2}, {GY_SIM_FAULT_SHORT, 0, 5}};
    uint64_t runs = 0;

    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        const uint64_t step = all ? 1 : tries[i].step;

        if (tries[i].fault == GY_SIM_FAULT_SHORT && kind->op != GY_OP_READ &&
            kind->op != GY_OP_WRITE) {
            continue;
        }
        for (uint64_t nth = 1; run_one(base, kind, tries[i].fault, tries[i].os_errno, nth);
             nth += step) {
            runs++;
        }
    }
    return runs;
}

static void
demand_states(void)
{
    demand(check_counts[CHECK_told_error_at_open] > 0);
    demand(check_counts[CHECK_told_error_on_write] > 0);
    demand(check_counts[CHECK_refused_after_poison] > 0);
    demand(check_counts[CHECK_resumed_after_errors] > 0);
    demand(gy_state_counts[GY_STATE_flushed] > 0);
    demand(gy_state_counts[GY_STATE_compacted] > 0);
}

int
main(int argc, char **argv)
{
    uint64_t seed = 3;
    bool all = false;

    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--all") == 0) {
            all = true;
        } else {
            (void)fprintf(stderr, "usage: sim_faults [--seed S] [--all]\n");
            return 2;
        }
    }
    for (int is_empty = 0; is_empty < 2; is_empty++) {
        struct base base;

        fail_set_place(0, "seed %llu", (unsigned long long)seed);
        make_base(&base, seed, is_empty != 0);
        for (size_t i = 0; i < KIND_COUNT; i++) {
            (void)printf("%s, %s: %llu runs\n", is_empty ? "new store" : "killed store",
                         KINDS[i].text, (unsigned long long)run_kind(&base, &KINDS[i], all));
        }
        free_base(&base);
    }
    demand_states();
    return 0;
}
