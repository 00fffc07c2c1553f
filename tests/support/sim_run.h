/* sim_run.h - one life of a store on a simulated disk, checked against a model at every I/O event:
 * a process opens it, several coroutines work, and at sampled events copies of the disk are taken,
 * crashed in several ways, and recovered by another run, one level deeper, which is checked, works
 * on and is crashed in turn.
 *
 * What is demanded of a recovery:
 *   - its content is that after some commit p of the model, D <= p <= A: D the last commit that was
 *     answered in a class that survives this crash (DURABLE; after a kill BUFFERED too), A the last
 *     one that reached the log. No hole, nothing lost, nothing invented.
 *   - all ways of reading agree; a read-only open sees the same and changes nothing.
 *   - what a recovery accepted survives every later crash.
 */
#ifndef GY_TEST_SIM_RUN_H
#define GY_TEST_SIM_RUN_H

#include "tests/support/sim_store.h"

#define SIM_WRITERS 6u

enum sim_klass { SIM_DURABLE, SIM_BUFFERED };

/* A commit that is being made: it is in the log as soon as a memtable has it. */
struct sim_pending {
    bool active;
    enum sim_klass klass;
    uint64_t sequence; /* 0: not seen in a memtable yet */
    uint32_t op_count;
    struct model_op ops[MODEL_OPS_MAX];
};

/* How much is tried. */
struct sim_effort {
    uint32_t point_ppm;       /* of events of the first run: copies taken */
    uint32_t point_deep_ppm;  /* of events of recoveries */
    uint32_t depth_max;       /* crashes in a row */
    uint32_t random_draws;    /* besides NONE, ALL and KILL */
    uint32_t commits;         /* of each writer in one session */
    uint32_t sessions;
    struct gy_sim_pages *pages; /* NULL = each disk its own */
};

/* Which crashes are drawn from a point. */
enum sim_judge_set { SIM_JUDGE_ALL, SIM_JUDGE_NONE, SIM_JUDGE_KILL };

/* The disk at one event, and what was promised then. */
struct sim_point {
    enum sim_judge_set set;
    struct gy_sim_disk *disk;
    uint64_t event;
    uint64_t durable;
    uint64_t buffered;
    uint64_t attempted;
    bool created; /* an open had returned OK */
};

struct sim_run {
    uint64_t seed;
    uint32_t depth;
    const struct sim_effort *effort;
    struct sim_knobs knobs;
    struct gy_sim_disk *disk;
    struct sim_machine machine;
    struct gy_rng rng;       /* what the workload does */
    struct gy_rng point_rng; /* which events are tried */
    gyre_db *db;             /* NULL while none is open */
    struct model model;
    uint64_t value_next;
    uint64_t durable;        /* D for a power cut */
    uint64_t buffered;       /* D for a kill, if that is higher */
    uint64_t attempted;      /* A */
    bool created;
    /* faults are planned: writes may be refused, and then no more is tried */
    bool may_fail;
    bool failed;             /* one was */
    gyre_status failure;
    uint32_t commits;        /* of each writer, this session */
    struct sim_pending pending[SIM_WRITERS];
    /* sequence of the last commit of each writer that reached the log */
    uint64_t last_of[SIM_WRITERS];
    uint32_t writers_live;
    struct sim_point *points;
    size_t point_count;
    size_t point_capacity;
    void (*on_answer)(struct sim_run *run, uint64_t sequence, enum sim_klass klass);
    void *user;
};

/* A new run on `disk`, whose model holds what `source` does up to `attempted` (NULL: nothing was
 * ever written). */
void sim_run_init(struct sim_run *run, uint64_t seed, uint32_t depth,
                  const struct sim_effort *effort, const struct sim_knobs *knobs,
                  struct gy_sim_disk *disk, const struct sim_run *source);
void sim_run_fini(struct sim_run *run);

/* Start the machine with the hooks that take and judge points; `faults` may be NULL. */
void sim_run_start(struct sim_run *run, const struct gy_sim_faults *faults);
void sim_run_stop(struct sim_run *run);

/* Open and demand what the header says; the model forgets what was lost. */
void sim_run_recover(struct sim_run *run);
/* The second half of it, on a store that is open. */
void sim_run_adopt(struct sim_run *run);
/* Writers and a maintenance coroutine until all have ended. */
void sim_run_work(struct sim_run *run, uint32_t writers, uint32_t commits);
/* Close; all that was answered is durable now. Returns what gyre_close said. */
gyre_status sim_run_close(struct sim_run *run);

/* One commit, from a coroutine or from the host. `writer` has none in progress. */
gyre_status sim_run_commit(struct sim_run *run, uint32_t writer, const struct model_op *ops,
                           uint32_t op_count, enum sim_klass klass);
/* A commit of the kind that `rng` says. */
uint32_t sim_run_draw_commit(struct sim_run *run, uint32_t writer, struct gy_rng *rng,
                             struct model_op ops[MODEL_OPS_MAX], enum sim_klass *ret_klass);
/* Which of the pending commits are in a memtable by now. */
void sim_run_resolve(struct sim_run *run);
/* The store's whole content, by every way of reading, is that after commit `sequence`. */
void sim_run_demand(struct sim_run *run, const gyre_snapshot *snapshot, uint64_t sequence);

/* Recover crashed copies of the disk as it was at `point` in all modes. */
void sim_run_judge(struct sim_run *run, const struct sim_point *point);
/* A point now, whatever the effort says; judged when the host's stack is at hand. */
void sim_run_take_point(struct sim_run *run, enum sim_judge_set set);

/* From an empty disk: sessions of work, each closed, then reopened. `on_answer` may be NULL.
 * Returns a hash of all events. */
uint64_t sim_run_whole(uint64_t seed, const struct sim_effort *effort,
                       void (*on_answer)(struct sim_run *run, uint64_t sequence,
                                         enum sim_klass klass));

#endif
