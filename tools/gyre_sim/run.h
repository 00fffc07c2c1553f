/* run.h - one life of a store on a simulated disk, checked against the model at every step: a
 * process opens it, actors work, faults come and go, and at sampled I/O events the disk is copied,
 * crashed, and recovered by another run one level deeper, which is checked, works on and is crashed
 * in turn.
 *
 * What is demanded:
 *   R1  What a recovery finds is the model after some commit p, D <= p <= A: D the last commit that
 *       was answered in a class that survives this crash (DURABLE; after a kill BUFFERED too), A
 *       the last one that reached the log. No hole, nothing lost, nothing invented; a read-only
 *       open sees the same and changes no byte. What one recovery accepted survives the next
 *       crash.
 *   R2  Every read gives what the model holds at a moment between its call and its answer; a
 *       snapshot, an iterator and a held value stay at theirs.
 *   R3  At the moment of a DURABLE answer, no power cut could take away the log up to it.
 *   R4  Errors only where a fault of that kind was planned. A commit that was refused (no space, no
 *       memory, read-only) is not in the log; one that ended in IO is there whole or not at all
 *       after reopening. When faults stop, everything goes on, or after reopening where the log or
 *       the manifest has failed.
 *   R5  Files in the directory are those of the version and those on their way out; levels are in
 *       order; memory adds up; everything is given back at the end.
 *   R6  A submitted operation is answered once; TIMED_OUT and CANCELED say whether a write is not
 *       done, and that is true; nothing that it points to is touched after its answer.
 *   R7  A scan that goes on gives each key once, as it was at a moment of the call that gave it.
 *   R8  A write that may not wait is told why and changes nothing, credits included. The store
 *       never takes more than disk_quota, and deletes make room. While it is paused no job begins
 *       and nobody waits for one. Health names a cause and a remedy where something is wrong, and
 *       only there; events are few, and each end follows its beginning.
 */
#ifndef GYRE_SIM_RUN_H
#define GYRE_SIM_RUN_H

#include "engine/db/op.h"
#include "tools/gyre_sim/fail.h"
#include "tools/gyre_sim/machine.h"
#include "tools/gyre_sim/store.h"

#define RUN_PINS_MAX 4u

/* How much is tried. */
struct effort {
    uint32_t points_max;      /* crash points of a whole run; UINT32_MAX = no limit */
    uint32_t point_ppm;       /* of events of the first run: chance to become one ... */
    uint32_t point_special_ppm; /* ... where names change, or the manifest */
    uint32_t point_deep_ppm;  /* of events of recoveries */
    uint32_t answer_ppm;      /* of DURABLE answers: a power cut right then */
    uint32_t draws;           /* crashes tried at a point, of random kinds */
    bool all_kinds;           /* every kind, and `draws` random power cuts */
    uint32_t depth_max;       /* crashes in a row */
    uint32_t op_count_max;    /* of one actor in a session; 0 = as planned */
    /* Which operations are done: bit i % 64 of word i / 64 for operation
     * (session * PLAN_ACTORS_MAX + actor) * PLAN_OPS_MAX + index. NULL = all. */
    const uint64_t *kept_ops;
    uint32_t tell_depth;      /* print operations and I/O events of so many levels of runs */
    struct gy_sim_pages *pages; /* NULL: machine_pages */
};

#define RUN_OPS_TOTAL (PLAN_SESSIONS_MAX * PLAN_ACTORS_MAX * PLAN_OPS_MAX)

/* A commit that is being made. */
struct op_tag {
    struct gy_co *co; /* waits for the answer */
    uint32_t answers;
};

/* A commit on its way. As an operation it may get its place in the log after its answer. */
struct pending {
    struct op_tag tag;
    struct pending *next; /* of run->pendings */
    bool is_active;
    bool is_not_done;     /* that was the answer: it may not come any more */
    uint64_t sequence; /* of its first operation; 0: it has no place in the log yet */
    uint32_t count;
    struct model_op ops[MODEL_OPS_MAX];
};

struct held_iterator {
    gyre_iterator *it;
    uint64_t sequence;
    uint64_t view_epoch; /* when it was opened */
    uint32_t lower;      /* keys [lower, upper) may be seen */
    uint32_t upper;
    uint32_t position;   /* key it stands on; MODEL_KEYS = none */
    bool was_forward;
};

struct held_pin {
    struct gyre_value value;
    uint64_t digest;
    uint64_t view_epoch;
    bool is_held;
};

#define HEARD_STATES 3u /* that begin and end */

/* What the store has told of. */
struct heard {
    bool has_begun[HEARD_STATES];
    bool read_only;
    uint64_t ended_ns[HEARD_STATES];
    uint64_t since_ns;
    uint64_t single_count;
    uint64_t dropped;
};

/* Before a write that may not wait. */
struct write_moment {
    uint64_t runs;        /* of coroutines: did another one run meanwhile? */
    uint64_t credits;
    int64_t pacer_credit;
    uint32_t pressure;
};

struct actor {
    struct run *run;
    uint32_t number;
    uint32_t index;      /* of the operation at hand */
    struct gy_co *co;    /* NULL: has ended */
    struct pending pending;
    struct held_iterator iterator;
    gyre_snapshot *snapshot;
    uint64_t snapshot_sequence;
    uint64_t snapshot_compactions;
    struct held_pin pins[RUN_PINS_MAX];
    uint64_t done_count;
    uint32_t pause_count; /* of its own gyre_pause */
    bool was_paused;      /* when its operation began */
    uint64_t pause_epoch; /* and the run's then */
};

/* A crash point: the disk at one event, and what was promised then. */
struct point {
    struct gy_sim_disk *disk;
    uint64_t event;
    uint64_t durable;
    uint64_t buffered;
    uint64_t attempted;
    uint64_t numbers_used;
    bool is_created;   /* an open had returned OK */
    bool is_answer;    /* taken at a DURABLE answer: a power cut that leaves nothing */
};

struct run {
    const struct effort *effort;
    struct plan plan;
    uint64_t seed;
    uint32_t depth;
    uint32_t session;
    uint64_t number_base;    /* of value numbers: no two runs use the same */
    struct gy_sim_disk *disk;
    struct machine machine;
    gyre_db *db;             /* NULL while none is open */
    gyre_db *db_closing;     /* an actor is closing it: commits may still get their place */
    struct model model;
    struct gy_rng rng;       /* what happens besides operations */
    struct gy_rng point_rng; /* which events are tried */
    uint64_t durable;        /* D for a power cut */
    uint64_t buffered;       /* D for a kill, if that is higher */
    uint64_t attempted;      /* A */
    uint64_t numbers_used;   /* as an open has called them: never given out again */
    bool is_created;
    bool is_damaged;         /* tables are wrong on disk: CORRUPT may be told for ever */
    bool is_unknown;         /* and hid which commit is there: the end of this run */
    bool is_tolerant;        /* errors are to be expected */
    bool had_faults;         /* in this session */
    bool faults_on;
    uint64_t capacity;       /* PLAN_FULL: of the disk while it is full; 0 = not full */
    struct actor actors[PLAN_ACTORS_MAX];
    uint32_t actors_live;
    uint64_t progress_ns;    /* when an operation last ended */
    uint32_t pause_count;    /* of the store */
    uint64_t pause_epoch;    /* rises when it is paused and when it is resumed */
    uint64_t flushes_at_pause;
    uint64_t compactions_at_pause;
    bool is_flush_due;       /* it was when the last pause ended */
    struct heard heard;
    struct gy_rng op_rng;    /* deadlines and cancels */
    bool is_polled;          /* callbacks come */
    struct pending *pendings; /* of operations, freed with the run */
    struct point *points;
    uint32_t point_count;
    uint32_t point_capacity;
    uint32_t points_left;    /* of effort->points_max */
    uint64_t hash;           /* over all events of this run and of those inside */
};

/* The whole of a seed, from an empty disk on. Returns a hash of all that happened. */
uint64_t run_seed(uint64_t seed, const struct effort *effort);

/* ---- run.c: a life ---- */

/* On `disk`, with what `source` had done (NULL: nothing ever was). */
void run_init(struct run *run, const struct plan *plan, uint64_t seed, uint32_t depth,
              const struct effort *effort, struct gy_sim_disk *disk, const struct run *source);
void run_fini(struct run *run);
void run_start(struct run *run);  /* the machine, with the hooks of judge.c */
void run_stop(struct run *run);
/* Open without faults and demand R1; D, A and the model are what was found from then on. */
void run_recover(struct run *run);
void run_work(struct run *run, uint32_t actor_count, uint32_t op_count);
/* Look at everything (R2, R5), end faults, close. */
void run_close(struct run *run);
/* fn(run) as the first actor; it counts actors_live down when it ends. */
void run_alone(struct run *run, void (*fn)(void *arg));

gyre_status run_open(struct run *run, uint32_t flags);
/* What was found after an open has to be a prefix; it is the truth from then on. */
void run_adopt(struct run *run);
/* R1 for what was read. Which commit it is: the first that it can be; *ret_last is the last. */
uint64_t run_demand_prefix(struct run *run, const struct model_state *found, uint64_t *ret_last);
/* True for OK; false for an error that the plan explains; anything else is a failure. */
bool run_is_ok(struct run *run, gyre_status status, const char *what);
/* The log or the manifest has failed. */
bool run_is_poisoned(const struct run *run);
/* Everything answered up to `sequence` survives a power cut from now on. */
void run_note_durable(struct run *run, uint64_t sequence);

/* ---- faults.c ---- */

void faults_begin(struct run *run, uint64_t bits);
void faults_end(struct run *run);
/* The device is well again: so has the store to be, at once or after a while. */
void faults_demand_healed(struct run *run);
bool faults_explain(const struct run *run, gyre_status status);

/* ---- actor.c: the workload; the rest does single operations ---- */

void actor_main(void *arg);
/* For value numbers and for kept_ops. */
uint32_t actor_op_number(const struct actor *actor);

/* writes.c. True: the commit was answered OK. */
bool write_commit(struct actor *actor, const struct model_op *ops, uint32_t count, bool is_durable,
                  bool is_no_wait);
void write_op(struct actor *actor, const struct plan_op *op);
void write_committed(struct gyre_db *db, uint64_t sequence, uint32_t count); /* gy_committed */
extern struct run *write_run_now; /* whose engine is running */

/* reads.c */
bool read_is_told(struct run *run, gyre_status status, const char *what);
void read_op(struct actor *actor, const struct plan_op *op);
void read_release_all(struct actor *actor);

/* scans.c: R7 */
void scan_in_parts(struct actor *actor, struct gy_rng *rng);

/* limits.c: R8 */
void limits_begin(struct run *run); /* the store has been opened */
void limits_op_begin(struct actor *actor);
void limits_op_end(struct actor *actor);
void limits_actor_ends(struct actor *actor);
bool limits_was_paused(const struct run *run); /* since the operation at hand began, if only once */
void limits_before_write(const struct run *run, struct write_moment *moment);
void limits_demand_again(const struct run *run, const struct write_moment *moment, uint64_t bytes,
                         bool is_no_wait);
void limits_demand_no_space(const struct run *run, bool only_deletes);
bool limits_explain(const struct run *run, gyre_status status);
void limits_op(struct actor *actor, const struct plan_op *op);
bool limits_resume_all(struct run *run); /* false: it is to be closed as it is */
void limits_demand_well(struct run *run);

/* upkeep.c */
void upkeep_op(struct actor *actor, const struct plan_op *op);

/* structure.c: R5, on an open store that rests. */
void structure_demand(struct run *run);

/* ---- judge.c: crash points ---- */

void judge_on_event(void *arg, uint64_t event);
void judge_on_reap(void *arg, uint64_t event);
void judge_all(struct run *run);
/* damage.c: at a point of a store that is open */
void damage_try(struct run *run, const struct point *point);

/* R3, and now and then a power cut at this very moment. */
void judge_answer(struct run *run, bool is_durable);

/* ---- ops.c: the calls in the form that the plan wants (R6) ---- */

void ops_begin(struct run *run); /* the machine has been started */
gyre_status ops_simple(struct actor *actor, enum gyre_op_kind kind,
                       gyre_status (*plain)(gyre_db *db));
gyre_status ops_compact(struct actor *actor, struct gyre_slice from, struct gyre_slice to);
gyre_status ops_get(struct actor *actor, const struct gyre_read_options *options,
                    struct gyre_slice key, struct gyre_value *ret_value);
gyre_status ops_scan(struct actor *actor, struct gyre_scan *scan);
gyre_status ops_room(struct actor *actor, uint64_t bytes);
gyre_status ops_multi_get(struct actor *actor, const gyre_snapshot *snapshot, size_t count,
                          const struct gyre_slice *keys, struct gyre_value *values,
                          gyre_status *statuses);
gyre_status ops_write(struct actor *actor, struct pending *pending,
                      const struct gyre_write_options *options, struct gyre_op *op);
void ops_drive(struct run *run); /* until all actors have ended */
void ops_settle(struct run *run); /* what was given up has ended too */
void ops_end(struct run *run);   /* nothing of the run is in flight any more */

#endif
