/* machine.h - a process on a simulated machine: a loop on a disk, and a store as a plan says. */
#ifndef GYRE_SIM_MACHINE_H
#define GYRE_SIM_MACHINE_H

#include "engine/db/db.h"
#include "tools/gyre_sim/plan.h"

#define STORE_PATH "/db"

struct machine {
    struct gy_world *world;
    gyre_loop *loop;
    struct gy_rng chaos;
};

/* Called at I/O events, as in io/sim/world_sim.h. */
struct machine_hooks {
    void (*on_event)(void *arg, uint64_t event);
    void (*on_reap)(void *arg, uint64_t event);
    void *arg;
};

/* `hooks` NULL: none. A broken rule of io/world.h is a failure. */
void machine_start(struct machine *machine, struct gy_sim_disk *disk, const struct plan *plan,
                   uint64_t seed, const struct machine_hooks *hooks);
void machine_stop(struct machine *machine);

/* *ret_db is NULL unless OK is returned. */
gyre_status machine_open(struct machine *machine, const struct plan *plan, uint32_t flags,
                         gyre_db **ret_db);

/* Mappings that machines of this process have given back, for plan->disk.pages: a short life spends
 * half of its time in the kernel otherwise. A forked child has its own. */
struct gy_sim_pages *machine_pages(void);

#endif
