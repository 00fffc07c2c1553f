/* stream.h - a crew at work: streams (a job each, or a copy of one) and their slots.
 *
 * A slot has at most one operation in flight. An engine drives it so:
 *
 *     while ((op = slot_next(slot, now)) != NULL) {
 *         ... wait until op->due_ns if op->is_open_loop ...
 *         ... carry it out: slot_value / slot_absent for each key looked up, slot_row for each row
 *         ... slot_done(slot, now, ok);
 *     }
 *
 * In a closed loop an operation begins when its slot asks for it. In an open loop it begins at its
 * place in a schedule that knows nothing of the engine: latency counts from there, whenever a slot
 * gets to it, so a stall hits all operations that should have begun meanwhile, not just those that
 * were in flight.
 */
#ifndef GYRE_BENCH_STREAM_H
#define GYRE_BENCH_STREAM_H

#include <pthread.h>

#include "bench/gyre_bench/job.h"
#include "bench/gyre_bench/keys.h"
#include "bench/gyre_bench/op.h"
#include "bench/gyre_bench/recorder.h"

/* The keys that the streams of a crew share. */
struct keyspace {
    struct key_form form;
    const struct sizes *sizes;
    struct values values;
    struct presence presence;
    uint64_t records;
    uint64_t insert_next;  /* counted from `records` on */
    uint64_t insert_known; /* below this all have been answered */
};

struct arrivals {
    uint64_t rate; /* a second; 0 = closed loop */
    bool is_poisson;
    uint64_t random;
    double next_ns; /* since the start of the phase */
    pthread_mutex_t lock;
};

struct stream {
    const struct job *job;
    struct keyspace *keyspace;
    const char *name;
    uint32_t number;             /* of the copy, from 0 */
    bool is_side;                /* works until the others have ended; not reported */
    bool is_open_loop;
    uint32_t mix_count;
    struct {
        enum action action;
        uint32_t end; /* of 100 */
    } mix[MIX_MAX];
    struct fill fill;
    struct distribution distribution;
    struct arrivals arrivals;
    uint64_t batch, nexts;
    uint32_t class_mask;
    bool is_merged;              /* group_reporting: one report with the other copies */

    /* of the phase that runs */
    uint64_t op_next;            /* operations taken, over all phases: the index of the next */
    uint64_t op_limit;
    uint64_t started_ns, deadline_ns; /* 0 = no deadline */
    uint64_t ended_ns;           /* of the last operation */
    uint64_t missed;             /* open loop: due before the end, but never begun */

    struct slot *slots;
    uint32_t slot_count;
    struct recorder **recorders; /* one, or one for each slot */
    uint32_t recorder_count;
};

struct slot {
    struct stream *stream;
    struct recorder *recorder;
    uint64_t random;
    uint32_t index;       /* in the crew */
    bool is_done;
    uint64_t walk_rows;
    uint64_t insert_from; /* none of the inserts on their way is below; UINT64_MAX = none is */
    struct op op;
    void *engine_state;   /* the engine's own, while it runs */
    uint8_t *bytes;       /* of keys, and the bounds of a walk */
};

struct crew {
    struct stream *streams;
    uint32_t stream_count;
    uint64_t slot_count;  /* of all streams */
    uint32_t left;        /* streams that are not at the side and have not ended */
    uint32_t *slots_left; /* of each stream */
    bool stop;
};

/* ---- For engines ---- */

/* The next operation of the slot, or NULL: it is done. */
struct op *slot_next(struct slot *slot, uint64_t now_ns);
void slot_value(struct slot *slot, uint32_t i, struct gyre_slice value);
void slot_absent(struct slot *slot);
void slot_row(struct slot *slot, struct gyre_slice key, struct gyre_slice value);
/* op->at_end has been set where a walk came to its end. */
void slot_done(struct slot *slot, uint64_t now_ns);
/* It was not begun, since the run was stopped while it was waiting for its time. */
void slot_drop(struct slot *slot);
/* It failed, which ends the run. */
void slot_failed(struct slot *slot, const char *text);
/* Nothing more shall be begun: a signal, a failure. */
bool crew_stopped(const struct crew *crew);
extern struct crew *crew_at_work; /* the one that runs, for slots and signals */
int crew_interrupted(void);       /* the signal's number, or 0 */

struct slot *crew_slot(const struct crew *crew, uint64_t index); /* 0..slot_count-1 */

/* ---- For the run ---- */

/* `crew->streams` have job, keyspace, name, number and is_side set. False: no memory. */
bool crew_init(struct crew *crew, bool is_threaded);
void crew_free(struct crew *crew);
/* Begin a phase, the ramp or the measured one: results are cleared, limits set as jobs say. */
void crew_begin(struct crew *crew, bool is_ramp);
/* End it: arrivals that nobody came to are counted. */
void crew_end(struct crew *crew);
/* Of a stream, all recorders added up; recorder_free it. NULL: no memory. */
struct recorder *stream_results(const struct stream *stream);

void interrupt_take(int number); /* the signal handler */

#endif
