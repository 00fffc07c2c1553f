/* gyre/trace.h - where an operation's time went, and operations that took too long.
 *
 * Every submitted operation (gyre/op.h) has a trace in its answer. Plain calls have one while
 * gyre_trace_calls or gyre_on_slow has switched that on for their loop.
 *
 * Looking at the clock costs as much as a twentieth of a read that finds everything in memory. So a
 * get or a step of an iterator that did not have to wait is timed in one case of 64, a BUFFERED
 * plain call or a seek in one of 16; the others have total_ns == 0, which is "not timed". Whatever
 * had to wait is always timed, and counts are always there.
 * Source: engine/db/measure.c, io/co/trace.h
 */
#ifndef GYRE_TRACE_H
#define GYRE_TRACE_H

#include "gyre/loop.h"

GYRE_EXTERN_C_BEGIN

/* total_ns is about queue_ns + run_ns + device_ns + log_ns + wait_ns + turn_ns. */
struct gyre_trace {
    uint64_t total_ns;          /* submitted (called) to answered; 0 = not timed, see above */
    uint64_t queue_ns;          /* submitted to begun */
    uint64_t run_ns;            /* at work: wall time of its own slices, which is CPU time unless
                                   the kernel took the processor away */
    uint64_t device_ns;         /* waiting for blocks: the device, and its own turn after it */
    uint64_t log_ns;            /* waiting for the log: the write, and the sync if DURABLE */
    uint64_t wait_ns;           /* waiting for room to write: wait_cause */
    uint64_t turn_ns;           /* letting others run, and waiting for anything else */
    uint64_t bytes;             /* of the caller's: keys and values written, values read */
    uint64_t block_bytes_read;  /* from the device, padding included */
    uint32_t blocks_read;
    uint32_t cache_hits;        /* blocks that were there */
    uint32_t cache_waits;       /* blocks that somebody else was reading already */
    uint32_t levels;            /* point reads: levels with a table that may have the key */
    uint32_t tables;            /* point reads: such tables */
    uint32_t filters_asked;
    uint32_t filters_no;        /* said that the key is not there, which spared a read */
    uint32_t wait_cause;        /* enum gyre_wait_cause: the last one; 0 = none */
};

/* Trace plain calls too, from now on. Costs a cached get about 1 % (bench/micro_trace.c), and three
 * times that while a call of another coroutine is waiting. */
GYRE_API gyre_status gyre_trace_calls(gyre_loop *loop, bool on);

/* Of the last plain call that ended on this loop while they were traced, zeros before: ask after
 * the call, before the next one and before letting others run. Never NULL. */
GYRE_API const struct gyre_trace *gyre_last_trace(gyre_loop *loop);

#define GYRE_SLOW_KEY_MAX 32u

/* An operation that took long. */
struct gyre_slow {
    uint32_t kind;                      /* enum gyre_op_kind, of plain calls too */
    gyre_status status;
    size_t key_size;                    /* whole; 0: it has none, or many */
    uint8_t key[GYRE_SLOW_KEY_MAX];     /* its first bytes */
    struct gyre_trace trace;
};

/* Called on the host's stack. Must not call the library: that is MISUSE. */
typedef void (*gyre_slow_fn)(void *arg, const struct gyre_slow *slow);

/* Be told of each operation that took `threshold_ns` or longer: from gyre_loop_poll, and from plain
 * calls and gyre_run while they drive the loop, at the end of the turn. Up to 32 are kept until
 * then; how many were lost beyond that is in gyre_loop_stats. Switches the trace of plain calls on.
 * fn NULL: no more. One function for each loop. */
GYRE_API gyre_status gyre_on_slow(gyre_loop *loop, uint64_t threshold_ns, gyre_slow_fn fn,
                                  void *arg);

GYRE_EXTERN_C_END

#endif
