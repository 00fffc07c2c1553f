/* machine.h - the inside of gyre_sim, shared by machine.c, files.c and explore.c.
 *
 * A machine is a simulated disk, and a world on it while a loop is open. What outlives a loop
 * (time, numbers of events, the trace hash) is carried over here when its world closes.
 */
#ifndef GYRE_SIM_MACHINE_H
#define GYRE_SIM_MACHINE_H

#include "gyre/sim.h"
#include "io/base/heap.h"
#include "io/base/rng.h"
#include "io/sim/world_sim.h"

/* One for a machine and all its copies. */
struct gyre_sim_shared {
    struct gy_heap heap;
    struct gy_sim_pages *pages;
    uint64_t refs;
};

struct gyre_sim {
    struct gyre_sim_shared *shared;
    struct gyre_sim_options options;
    struct gy_sim_disk *disk;
    struct gy_world *world; /* NULL: no loop is open */
    gyre_loop *loop;        /* the same, but also NULL while it is being opened or closed */
    uint64_t loop_count;    /* opened so far */
    struct gy_rng chaos;

    /* As of the last loop that closed. */
    uint64_t event_count;
    uint64_t trace_hash;
    uint64_t now_ns;
    uint64_t wall_us;
    uint64_t allocation_count;

    struct gy_sim_faults faults;
    uint64_t fail_allocation; /* of the next loop */
    uint64_t stop_at;
    gyre_sim_hook hook;
    void *hook_arg;
    gyre_sim_hook event_hook;
    void *event_hook_arg;
    char violation[160];
};

#endif
