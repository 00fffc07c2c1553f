/* plan.h - what one seed means: options of the store, shape of the disk, which kinds of operations
 * and faults there are, and each operation of the workload.
 *
 * Swarm testing: each seed turns every kind of operation and fault on or off and draws its share,
 * since bugs hide behind operations that are always there (a flush that resets what a compaction
 * needs) as often as behind ones that are rare.
 *
 * An operation is two numbers, its kind and 64 random bits from which everything else about it
 * follows; both are a function of (seed, session, actor, index). So an operation means the same
 * when others are left out, and a failure can be shrunk by leaving out operations.
 */
#ifndef GYRE_SIM_PLAN_H
#define GYRE_SIM_PLAN_H

#include "gyre/gyre.h"
#include "io/sim/world_sim.h"
#include "tools/gyre_sim/model.h"

#define PLAN_ACTORS_MAX 6u
#define PLAN_SESSIONS_MAX 3u
#define PLAN_OPS_MAX 64u /* of one actor in one session */

#define PLAN_OPS(X)                                                              \
    X(put, 30, "put")                                                            \
    X(delete, 8, "delete")                                                       \
    X(batch, 10, "batch")                                                        \
    X(large_batch, 2, "batch over several frames")                               \
    X(get, 12, "get")                                                            \
    X(get_absent, 2, "get of an absent key")                                     \
    X(multi_get, 3, "multi_get")                                                 \
    X(scan, 3, "scan")                                                           \
    X(limited_scan, 4, "scan within limits")                                     \
    X(iterator_open, 4, "open an iterator")                                      \
    X(iterator_move, 24, "move an iterator")                                     \
    X(iterator_close, 2, "close an iterator")                                    \
    X(snapshot_open, 3, "open a snapshot")                                       \
    X(snapshot_read, 6, "read at a snapshot")                                    \
    X(snapshot_release, 2, "release a snapshot")                                 \
    X(pin, 3, "hold a value")                                                    \
    X(unpin, 3, "look at a held value and release it")                           \
    X(sync, 3, "sync")                                                           \
    X(flush, 3, "flush")                                                         \
    X(compact, 2, "compact_range")                                               \
    X(wait_idle, 1, "wait_idle")                                                 \
    X(checkpoint, 1, "checkpoint")                                               \
    X(verify, 1, "verify")                                                       \
    X(approximate_size, 1, "approximate_size")                                   \
    X(sleep, 6, "sleep")                                                         \
    X(close, 1, "close under load")                                              \
    X(bad_call, 2, "calls with bad arguments")                                   \
    X(room, 2, "wait for room")                                                  \
    X(pause, 2, "pause background work")                                         \
    X(resume, 4, "resume it")                                                    \
    X(health, 2, "look at the health")                                           \
    X(fault, 0, "faults begin or end") /* its share follows from the class of faults */

enum plan_op_kind {
#define X(name, share, text) PLAN_##name,
    PLAN_OPS(X)
#undef X
        PLAN_OP_COUNT
};

struct plan_op {
    enum plan_op_kind kind;
    uint64_t bits;
};

/* One class of faults to a seed: each has its own demands. */
enum plan_faults {
    PLAN_NO_FAULTS,    /* crashes only */
    PLAN_TOLD,         /* errors and short transfers that the device tells of */
    PLAN_FULL,         /* a disk that fills up and gets room again */
    PLAN_STUCK,        /* requests that end late, or not before the fault is lifted */
    PLAN_READ_DAMAGE,  /* reads that come back wrong, once */
    PLAN_TABLE_DAMAGE, /* tables that were not written as they should */
    PLAN_MEMORY,       /* allocations that fail */
    PLAN_CLOCK,        /* the wall clock jumps */
    PLAN_FAULTS_COUNT
};
const char *plan_faults_name(enum plan_faults faults);

/* How the actors call. */
enum plan_form {
    PLAN_FORM_PLAIN,
    PLAN_FORM_AWAIT,    /* submitted operations that are waited for */
    PLAN_FORM_CALLBACK, /* and such whose callback comes from gyre_loop_poll */
    PLAN_FORM_COUNT
};

struct plan {
    uint64_t seed;
    enum plan_form form;
    uint32_t cancel_one_in;      /* awaits of operations at which they are cancelled; 0 = none */
    struct gyre_options options; /* without flags */
    struct gy_sim_disk_config disk;
    uint32_t short_ppm;
    bool has_chaos;
    uint32_t long_keys;          /* of 5,000 bytes; of 64 KiB too when 2 */
    uint32_t key_count;          /* how many of the model's keys there are ... */
    uint32_t key_step;           /* ... every how many-th */
    uint32_t value_size_most;
    uint32_t durable_of_8;       /* writes that are DURABLE */
    uint32_t no_wait_of_8;       /* writes that may not wait */
    bool leaves_paused;          /* actors end without resuming what they paused */
    uint32_t actor_count;
    uint32_t op_count;           /* of each actor in a session */
    uint32_t session_count;
    uint32_t shares[PLAN_OP_COUNT];
    uint32_t share_sum;
    enum plan_faults faults;
};

void plan_draw(struct plan *plan, uint64_t seed);
/* Another process opens the same store: all options that may differ are drawn anew. */
void plan_redraw_options(struct plan *plan, uint64_t seed);

struct plan_op plan_op_at(const struct plan *plan, uint32_t session, uint32_t actor,
                          uint32_t index);
const char *plan_op_text(enum plan_op_kind kind);
/* Faults of the plan's class, drawn from `bits`. */
void plan_draw_rules(const struct plan *plan, uint64_t bits, struct gy_sim_faults *ret_faults);

uint32_t plan_draw_key(const struct plan *plan, struct gy_rng *rng);
/* A commit of the kind that `op` says, with value numbers that no other operation has. */
uint32_t plan_draw_commit(const struct plan *plan, const struct plan_op *op, uint64_t number,
                          uint64_t commit_max, struct model_op ops[MODEL_OPS_MAX]);

/* One line for each knob. */
void plan_print(const struct plan *plan);

#endif
