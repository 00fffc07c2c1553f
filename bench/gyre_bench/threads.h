/* threads.h - slots run by threads, for engines whose calls block. */
#ifndef GYRE_BENCH_THREADS_H
#define GYRE_BENCH_THREADS_H

#include "bench/gyre_bench/engine.h"
#include "bench/gyre_bench/stream.h"

/* Carry out slot->op. False: `error` (RECORDER_ERROR_MAX) says why. */
typedef bool (*execute_fn)(struct engine *engine, struct slot *slot, char *error);
/* Once for each slot, before and after; may be NULL. */
typedef void (*slot_end_fn)(struct engine *engine, struct slot *slot);

/* A thread for each slot; a single slot runs in the calling one. */
bool threads_run(struct engine *engine, struct crew *crew, execute_fn execute, slot_end_fn end);

/* Until due_ns, in pieces, so that a signal is seen. False: stopped before. */
bool wait_until(const struct crew *crew, uint64_t due_ns);

/* For engines that cannot say whether work is left: wait until the process has written nothing for
 * a second. */
enum settle_result settle_when_quiet(struct engine *engine);

#endif
