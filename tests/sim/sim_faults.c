/* sim_faults.c - the device says no, once, at the n-th request of one kind, for all n: every call
 * ends with an error or a right answer, a failed log is not written to again, failed tables are
 * made again, and after reopening everything that was answered is there.
 *
 *   sim_faults [--seed S] [--all]   --all: every n for every errno, not a part of them
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/base/bits.h"
#include "tests/support/sim_run.h"

static const struct sim_effort EFFORT = {.commits = 10, .sessions = 1};

/* One kind of request, and what may be demanded when it fails. */
struct kind {
    const char *text;
    uint32_t op;
    const char *name; /* part of the file's name */
    bool tables_only; /* a failed table: nothing has to be reopened */
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
    struct sim_knobs knobs;
    struct gy_sim_disk *disk;
    struct sim_run *run; /* the model of what is on the disk */
};

static void
demand_told(gyre_loop *loop, gyre_status status, const char *what)
{
    if (status != GYRE_OK && status != GYRE_IO && status != GYRE_NO_SPACE &&
        status != GYRE_READ_ONLY) {
        sim_fail_status(loop, status, what);
    }
}

/* A store that was killed at work: logs, tables, staging. */
static void
make_base(struct base *base, uint64_t seed, bool is_empty)
{
    struct gy_sim_disk *disk;

    gy_heap_init(&base->heap, UINT64_MAX);
    sim_knobs_draw(&base->knobs, seed);
    base->knobs.options.durability = GYRE_DURABLE;
    base->knobs.short_ppm = 0;
    disk = gy_sim_disk_make(&base->knobs.disk, &base->heap);
    base->run = calloc(1, sizeof(*base->run));
    sim_check(base->run != NULL);
    sim_run_init(base->run, seed, 0, &EFFORT, &base->knobs, disk, NULL);
    if (is_empty) {
        base->disk = disk;
        return;
    }
    sim_run_start(base->run, NULL);
    sim_run_recover(base->run);
    sim_run_work(base->run, 3, 24);
    base->disk = gy_sim_disk_crash(disk, &base->run->rng, GY_SIM_CRASH_KILL);
    base->run->buffered = gy_max_u64(base->run->durable, base->run->buffered);
    {
        const uint64_t durable = base->run->durable; /* at the kill, not after the close */

        (void)sim_run_close(base->run);
        base->run->durable = durable;
    }
    sim_run_stop(base->run);
    gy_sim_disk_free(disk);
}

static void
free_base(struct base *base)
{
    gy_sim_disk_free(base->disk);
    sim_run_fini(base->run);
    free(base->run);
    sim_check(base->heap.used == 0);
}

/* The log has failed: reads go on, and no write is let through. */
static void
demand_fail_stop(struct sim_run *run)
{
    const struct model_op op = model_op_put(3, ++run->value_next, 100);

    if (run->db->wal.poison == GYRE_OK && run->db->manifest.poison == GYRE_OK) {
        return;
    }
    sim_check(sim_run_commit(run, 0, &op, 1, SIM_DURABLE) == GYRE_READ_ONLY);
    sim_check(sim_run_commit(run, 0, &op, 1, SIM_BUFFERED) == GYRE_READ_ONLY);
}

/* The device is well again and only a table failed: everything goes on without reopening. */
static void
demand_resumed(struct sim_run *run)
{
    struct model_op ops[MODEL_OPS_MAX];
    gyre_status status = GYRE_IO;

    for (uint32_t i = 0; status != GYRE_OK && i < 20; i++) {
        status = gyre_flush(run->db);
        (void)gyre_sleep(run->machine.loop, 300 * GY_NS_PER_MS);
    }
    if (status != GYRE_OK) {
        sim_fail_status(run->machine.loop, status, "flush, with the device well again");
    }
    run->may_fail = false;
    run->failed = false;
    for (uint32_t i = 0; i < 4; i++) {
        enum sim_klass klass;
        const uint32_t count = sim_run_draw_commit(run, 0, &run->rng, ops, &klass);

        (void)sim_run_commit(run, 0, ops, count, klass);
    }
    sim_run_demand(run, NULL, gy_db_visible(run->db));
    sim_reached(SIM_resumed_without_reopen);
}

/* Open, work, close. True: the fault did strike. */
static bool
work_under_faults(struct sim_run *run, const struct kind *kind)
{
    const uint32_t flags = run->created ? 0 : GYRE_OPEN_CREATE;
    gyre_status status = sim_open(&run->machine, &run->knobs, flags, &run->db);
    bool struck;

    demand_told(run->machine.loop, status, "open");
    if (status != GYRE_OK) {
        return true;
    }
    run->may_fail = true;
    sim_run_adopt(run);
    sim_run_work(run, 2, EFFORT.commits);
    demand_told(run->machine.loop, run->failure, "work");
    sim_run_demand(run, NULL, gy_db_visible(run->db));
    demand_fail_stop(run);
    struck = gy_world_sim_strike_count(run->machine.world, 0) > 0;
    if (kind->tables_only && run->db->manifest.poison == GYRE_OK) {
        gy_world_sim_set_faults(run->machine.world, NULL);
        demand_resumed(run);
    }
    run->may_fail = true;
    demand_told(run->machine.loop, sim_run_close(run), "close");
    return struck || gy_world_sim_strike_count(run->machine.world, 0) > 0;
}

/* True: the fault did strike. */
static bool
run_one(const struct base *base, const struct kind *kind, enum gy_sim_fault fault, int os_errno,
        uint64_t nth)
{
    struct gy_sim_faults faults = {.rule_count = 1};
    struct gy_sim_disk *disk = gy_sim_disk_clone(base->disk);
    struct sim_run *run = malloc(sizeof(*run));
    bool struck;

    sim_check(run != NULL);
    sim_set_place(1, "%s: %s %d at request %llu, %s", kind->text,
                  fault == GY_SIM_FAULT_ERROR ? "errno" : "short", os_errno,
                  (unsigned long long)nth, base->run->created ? "existing store" : "new store");
    faults.rules[0] = (struct gy_sim_rule){
        .fault = fault, .op_mask = 1u << kind->op, .nth = nth, .os_errno = os_errno};
    memcpy(faults.rules[0].name, kind->name, strlen(kind->name) + 1);
    sim_run_init(run, base->run->seed, 0, &EFFORT, &base->knobs, disk, base->run);
    run->durable = base->run->durable;
    run->buffered = base->run->buffered;
    run->attempted = base->run->attempted;
    sim_run_start(run, &faults);
    struck = work_under_faults(run, kind);
    sim_run_stop(run);
    run->may_fail = false;
    run->failed = false;
    run->failure = GYRE_OK;
    sim_run_start(run, NULL);
    sim_run_recover(run);
    sim_run_work(run, 1, 3);
    (void)sim_run_close(run);
    sim_run_stop(run);
    sim_run_fini(run);
    free(run);
    gy_sim_disk_free(disk);
    return struck;
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

int
main(int argc, char **argv)
{
    static const enum sim_state wanted[] = {SIM_writes_failed, SIM_resumed_without_reopen,
                                            SIM_flushed, SIM_compacted};
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
    sim_set_program("sim_faults");
    for (int is_empty = 0; is_empty < 2; is_empty++) {
        struct base base;

        sim_set_place(0, "seed %llu", (unsigned long long)seed);
        make_base(&base, seed, is_empty != 0);
        for (size_t i = 0; i < KIND_COUNT; i++) {
            (void)printf("%s, %s: %llu runs\n", is_empty ? "new store" : "killed store",
                         KINDS[i].text, (unsigned long long)run_kind(&base, &KINDS[i], all));
        }
        free_base(&base);
    }
    sim_demand(wanted, sizeof(wanted) / sizeof(wanted[0]));
    return 0;
}
