/* worker.h - one coroutine of a run and the operations that it knows. */
#ifndef GYRE_BENCH_WORKER_H
#define GYRE_BENCH_WORKER_H

#include "bench/gyre_bench/run.h"

struct worker {
    struct run *run;
    uint64_t random;         /* state; its own */
    bool is_done;            /* nothing left for this worker (end of a scan) */
    uint8_t *keys;           /* `batch` keys, key_size bytes each */
    uint8_t *value;          /* one */
    gyre_batch *batch;       /* writes, when --batch is above 1 */
    gyre_iterator *iterator; /* scans, seeks */
    bool is_positioned;
    uint64_t *numbers;       /* multiget: the keys' numbers, */
    struct gyre_slice *slices;
    struct gyre_value *found;
    gyre_status *statuses;
};

/* One call of the workload, with all that is counted of it but its time. */
typedef gyre_status (*step_fn)(struct worker *worker);
step_fn worker_step(const struct settings *settings);

/* `index` of `count` workers, for scans. False: no memory, or iterators are refused. */
bool worker_init(struct worker *worker, struct run *run, uint32_t index, uint32_t count);
void worker_free(struct worker *worker);

#endif
