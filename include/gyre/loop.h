/* gyre/loop.h - the loop: one thread's scheduler, ring, memory and block cache; and coroutines.
 *
 * A loop belongs to the thread that opened it. Stores are opened on a loop and share its cache,
 * arena and memory_limit. Every call on a loop or on what hangs from it must come from that thread;
 * from another thread, from a forked child or from inside a callback it returns GYRE_MISUSE and
 * changes nothing. N loops on N threads do not know of each other.
 *
 * Three ways to call, one implementation:
 *   - Outside a coroutine each call drives the loop until its own work is done (and lets background
 *     work go on meanwhile).
 *   - Inside a coroutine (gyre_spawn) the same call suspends that coroutine only.
 * A third way, for the host's own event loop, is in gyre/op.h: operations that are submitted and
 * call back (gyre_submit, gyre_loop_fd, gyre_loop_poll).
 */
#ifndef GYRE_LOOP_H
#define GYRE_LOOP_H

#include "gyre/status.h"

GYRE_EXTERN_C_BEGIN

typedef struct gyre_loop gyre_loop;
typedef struct gyre_task gyre_task;

enum gyre_log_level { GYRE_LOG_ERROR, GYRE_LOG_WARNING, GYRE_LOG_INFO };

/* Receives one line of text without newline. Must not call the library. */
typedef void (*gyre_log_fn)(void *arg, enum gyre_log_level level, const char *text);

/* Which interface to the kernel to use. */
enum gyre_io_kind {
    /* io_uring; where it is forbidden, blocking calls (gyre_loop_stats says which) */
    GYRE_IO_AUTO = 0,
    GYRE_IO_URING = 1,    /* io_uring or GYRE_UNSUPPORTED */
    GYRE_IO_BLOCKING = 2  /* pread and pwritev2; slower, for debugging and odd kernels */
};

struct gyre_loop_options {
    uint32_t struct_size;       /* sizeof(struct gyre_loop_options): the revision of this struct */
    uint32_t io_kind;           /* enum gyre_io_kind */
    uint64_t memory_limit;      /* bytes for everything: cache, memtables, stacks, buffers.
                                   0 = 256 MiB; 16 MiB..1 TiB */
    uint32_t coroutines_max;    /* live at once; 0 = 4096; 16..1048576 */
    uint32_t in_flight_max;     /* requests at the device at once; 0 = 128; 4..4096 */
    /* bytes of the block cache at most; 0 = half of memory_limit (a quarter below 64 MiB); at least
     * 1 MiB. It takes what memtables, stacks and buffers were not promised and do not use */
    uint64_t cache_size;
    gyre_log_fn log;            /* NULL = silent */
    void *log_arg;
    uint32_t flags;             /* GYRE_LOOP_* */
    uint32_t reserved_;         /* 0 */
    /* microseconds at the device in which 999 of 1,000 user reads and log writes shall be done
     * beside compaction: its pace is lowered while they are not, down to 20 MB/s, but not while
     * writers have to wait for it. 0 = 200 MB/s at all times; 50..10000000 */
    uint64_t p999_goal_us;
    /* Append here. Zero must mean "as before". */
};
#define GYRE_LOOP_NO_DIRECT 1u       /* never O_DIRECT: for file systems that lie about it */
#define GYRE_LOOP_NO_REGISTRATION 2u /* no registered files and buffers */
/* Hand durable writes to a kernel worker. Otherwise a device without FUA now and then (where it is
 * done with a write before the kernel has finished submitting it) makes the thread wait for one
 * flush inside io_uring_enter. DURABLE writes take longer in exchange, about 0.1 ms on a virtual
 * disk (docs/decisions/0024). */
#define GYRE_LOOP_SYNC_BY_WORKER 4u

#define GYRE_LOOP_OPTIONS(...) \
    (&(struct gyre_loop_options){.struct_size = sizeof(struct gyre_loop_options), __VA_ARGS__})

/* Open a loop for the calling thread.
 *
 *   options    NULL = defaults
 *   ret_loop   written only on GYRE_OK; closed with gyre_loop_close
 *   ret_error  NULL, or filled on failure (there is no loop to ask yet)
 *
 * Returns: INVALID, NO_MEMORY, UNSUPPORTED (GYRE_IO_URING and the kernel forbids it), IO.
 * Source:  engine/db/loop.c */
GYRE_API GYRE_NODISCARD gyre_status gyre_loop_open(const struct gyre_loop_options *options,
                                                   gyre_loop **ret_loop,
                                                   struct gyre_error *ret_error);

/* Close it. BUSY while a store is open, a coroutine is alive or the callback of an op is still to
 * come; nothing is changed then. NULL is
 * fine. */
GYRE_API gyre_status gyre_loop_close(gyre_loop *loop);

/* What is known of the last failure of the current coroutine (of the host, outside one). Valid
 * until its next failing call. Never NULL. */
GYRE_API const struct gyre_error *gyre_last_error(gyre_loop *loop);

/* ---- Coroutines ---- */

/* Start a coroutine that runs fn(arg) on a stack of 64 KiB with a guard page. It runs when the loop
 * is next driven, not inside this call.
 *
 *   ret_task  NULL, or a handle that must be given to gyre_join exactly once
 *
 * Cost:    no allocation once the pool is warm.
 * Returns: NO_MEMORY (an eighth of memory_limit is kept for stacks; they get more where it is
 *          free); AGAIN when coroutines_max are alive; MISUSE.
 * Source:  engine/db/loop.c */
GYRE_API GYRE_NODISCARD gyre_status gyre_spawn(gyre_loop *loop, void (*fn)(void *arg), void *arg,
                                               gyre_task **ret_task);

/* Wait until the task has ended and free its handle. */
GYRE_SUSPENDS GYRE_API gyre_status gyre_join(gyre_loop *loop, gyre_task *task);

/* Drive the loop until every coroutine started by gyre_spawn has ended. Outside coroutines only. */
GYRE_API gyre_status gyre_run(gyre_loop *loop);

/* Let other coroutines run; sleep. Outside a coroutine they drive the loop meanwhile. */
GYRE_SUSPENDS GYRE_API gyre_status gyre_yield(gyre_loop *loop);
GYRE_SUSPENDS GYRE_API gyre_status gyre_sleep(gyre_loop *loop, uint64_t ns);

/* The loop's clock: nanoseconds of CLOCK_MONOTONIC, read at the call (or of the simulator). */
GYRE_API uint64_t gyre_now(gyre_loop *loop);

GYRE_EXTERN_C_END

#endif
