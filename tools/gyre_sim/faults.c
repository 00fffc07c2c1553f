/* faults.c - faults that begin and end, what they explain, and that the store is well afterwards
 * (R4). */
#include <errno.h>

#include "io/base/bits.h"
#include "tools/gyre_sim/run.h"

#define HEAL_TRIES 40u
#define HEAL_PAUSE_NS (250 * GY_NS_PER_MS) /* so in at most ten seconds */
#define ROOM_MAX (256 * GY_KIB)
#define LEAP_NS_MAX (12 * 3600 * GY_NS_PER_S)
#define YEAR_US (366ull * 86400 * GY_NS_PER_S / GY_NS_PER_US)

void
faults_begin(struct run *run, uint64_t bits)
{
    struct gy_sim_faults faults;
    struct gy_heap *heap = &run->machine.loop->io.heap;

    run->is_tolerant = true;
    run->had_faults = true;
    switch (run->plan.faults) {
    case PLAN_MEMORY:
        heap->fail_at = heap->allocation_count + 1 + bits % (1u << (3 + bits / 64 % 8));
        break;
    case PLAN_FULL:
        run->capacity = gy_sim_disk_used_bytes(run->disk) + bits % ROOM_MAX;
        gy_sim_disk_set_capacity(run->disk, gy_max_u64(run->capacity, GY_PAGE));
        break;
    case PLAN_CLOCK:
        gy_world_sim_set_wall_us(run->machine.world,
                                 bits % 2 == 0 ? bits % YEAR_US : bits % (40 * YEAR_US));
        if (bits % 3 == 0) { /* the machine was asleep */
            gy_world_sim_leap(run->machine.world, bits % LEAP_NS_MAX);
            run->progress_ns = gyre_now(run->machine.loop);
        }
        reached(clock_jumped);
        return;
    default:
        plan_draw_rules(&run->plan, bits, &faults);
        gy_world_sim_set_faults(run->machine.world, &faults);
        if (run->plan.faults == PLAN_TABLE_DAMAGE) {
            run->is_damaged = true;
        }
        break;
    }
    run->faults_on = true;
}

void
faults_end(struct run *run)
{
    struct gy_sim_faults none = {.short_ppm = run->plan.short_ppm};

    run->machine.loop->io.heap.fail_at = 0;
    gy_sim_disk_set_capacity(run->disk, 0);
    run->capacity = 0;
    gy_world_sim_set_faults(run->machine.world, NULL); /* what was stuck completes */
    gy_world_sim_set_faults(run->machine.world, &none);
    run->faults_on = false;
}

bool
faults_explain(const struct run *run, gyre_status status)
{
    if (status == GYRE_READ_ONLY) {
        return run->db == NULL ? run->had_faults : run_is_poisoned(run); /* NULL: closing */
    }
    switch (run->plan.faults) {
    case PLAN_TOLD:
        return status == GYRE_IO || status == GYRE_NO_SPACE;
    case PLAN_FULL:
        return status == GYRE_NO_SPACE;
    case PLAN_READ_DAMAGE:
    case PLAN_TABLE_DAMAGE:
        return status == GYRE_CORRUPT;
    case PLAN_MEMORY:
        /* IO: the log had to be poisoned for want of memory. */
        return status == GYRE_NO_MEMORY || (status == GYRE_IO && run_is_poisoned(run));
    default:
        return false;
    }
}

/* The store says that it cannot write any more. It says so to everybody, and still reads. */
static void
demand_fail_stop(struct run *run)
{
    const gyre_status put = gyre_put(run->db, NULL, model_key(3), gyre_str("too late"));
    const gyre_status flush = gyre_flush(run->db);

    demand(put == GYRE_READ_ONLY);
    demand(flush != GYRE_OK || run->db->view->frozen_count == 0);
}

/* A flush and a write: each may still tell of what was, for a while. */
static void
heal_main(void *arg)
{
    struct run *run = arg;
    struct actor *actor = &run->actors[0];
    const struct model_op put =
        model_op_put(5, run->number_base + ((uint64_t)1 << 11) + run->session, 20);
    gyre_status status = GYRE_IO;
    bool is_written = false;

    actor->co = run->machine.loop->io.sched.current;
    (void)gyre_sleep(run->machine.loop, GY_NS_PER_S); /* what was struck already may still end */
    for (uint32_t i = 0; i < HEAL_TRIES && !is_written && !run_is_poisoned(run); i++) {
        run->is_tolerant = i + 1 < HEAL_TRIES;
        status = gyre_flush(run->db);
        is_written = run_is_ok(run, status, "flush, with the device well again") &&
                     write_commit(actor, &put, 1, true, false);
        if (!is_written) {
            (void)gyre_sleep(run->machine.loop, HEAL_PAUSE_NS);
        }
    }
    run->is_tolerant = run_is_poisoned(run);
    if (is_written && run->plan.faults == PLAN_FULL) {
        reached(resumed_after_full_disk);
    } else if (is_written) {
        reached(resumed_after_errors);
    }
    actor->co = NULL;
    run->actors_live--;
}

void
faults_demand_healed(struct run *run)
{
    if (run_is_poisoned(run)) {
        demand_fail_stop(run);
        return;
    }
    if (run->is_damaged) {
        return; /* compaction may be unable to go on, for good */
    }
    run_alone(run, heal_main);
}
