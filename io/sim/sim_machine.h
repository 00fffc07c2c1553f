/* sim_machine.h - the inside of world_sim, shared by world_sim.c (the seam), sim_fault.c (luck and
 * the record of events) and sim_complete.c (what each request does). */
#ifndef GY_SIM_MACHINE_H
#define GY_SIM_MACHINE_H

#include "io/base/rng.h"
#include "io/sim/sim_state.h"
#include "io/sim/world_sim.h"

#define GY_SIM_NEVER UINT64_MAX
#define GY_SIM_POISON 0xa5u /* what a READ buffer holds while the read is in flight */

struct gy_sim_slot {
    bool is_open;
    bool is_closing;        /* a CLOSE is in flight */
    bool is_shared_lock;    /* holds a shared lock on its inode */
    uint8_t flags;          /* GY_OPEN_* */
    uint32_t ino;
    uint32_t request_count; /* in flight on it */
    char name[GY_SIM_NAME_SIZE];
};

/* A request in flight. */
struct gy_sim_flight {
    struct gy_list link;  /* by due_ns, then by order of submission */
    struct gy_req *req;
    struct gy_sim_op *op; /* NULL: changes nothing on the disk, or was refused */
    uint64_t due_ns;      /* GY_SIM_NEVER = stuck */
    int32_t error;        /* refused at submission: the answer */
    bool is_slot_held;    /* counted in its slot (of the directory for names) */
    bool is_short;        /* harmless short transfer */
    enum gy_sim_fault fault;
    int fault_errno;
    uint64_t tries;       /* how often the device was asked again */
};

struct gy_sim_machine {
    struct gy_world base;
    struct gy_world_sim_config config;
    struct gy_sim_disk *disk;
    uint64_t id; /* of this world on its disk, from 1 */
    uint64_t now_ns;
    uint64_t cpu_ns;
    uint64_t wall_offset_us;
    struct gy_rng time_rng;  /* three streams, so that a fault plan does not change the latencies */
    struct gy_rng fault_rng;
    struct gy_rng user_rng;
    struct gy_rng clock_rng;
    struct gy_list flights;
    struct gy_sim_slot *slots; /* config.file_count_max of them may be open */
    uint32_t slot_count;
    uint32_t slot_capacity;
    enum gy_sim_stop stop;
    uint64_t event_count;
    uint64_t event_reaped; /* the last event that on_reap was told of */
    uint64_t trace_hash;
    uint64_t rule_matches[GY_SIM_RULES_MAX];
    uint64_t rule_strikes[GY_SIM_RULES_MAX];
    uint64_t idle_reap_count; /* in a row: waits that nothing could ever end */
    uint64_t violation_count;
    char violation[160];
    struct gy_sim_event events[GY_SIM_EVENTS_KEPT]; /* ring, by event number */
};

static inline struct gy_sim_machine *
gy_sim_machine_of(struct gy_world *world)
{
    return gy_container_of(world, struct gy_sim_machine, base);
}

static inline bool
gy_sim_op_has_names(uint8_t op)
{
    return op == GY_OP_OPEN || op == GY_OP_RENAME || op == GY_OP_UNLINK || op == GY_OP_LINK ||
           op == GY_OP_MKDIR;
}

/* sim_fault.c */
void gy_sim_violate(struct gy_sim_machine *machine, const struct gy_req *req, const char *text);
/* Fill fault, is_short and due_ns. */
void gy_sim_draw_luck(struct gy_sim_machine *machine, struct gy_sim_flight *flight);
/* Record an event, tell the test, stop if it is time to. */
void gy_sim_record(struct gy_sim_machine *machine, const struct gy_sim_flight *flight,
                   bool is_completion, int32_t result);
/* The name a request is about: of its slot, or its own. */
const char *gy_sim_request_name(const struct gy_sim_machine *machine, const struct gy_req *req);

/* sim_clock.c: perhaps the clocks jump now. */
void gy_sim_jump_clocks(struct gy_sim_machine *machine);

/* sim_complete.c: let it happen. Returns the result of the request. */
int32_t gy_sim_take_effect(struct gy_sim_machine *machine, struct gy_sim_flight *flight);
void gy_sim_slot_release(struct gy_sim_machine *machine, uint32_t slot);

#endif
