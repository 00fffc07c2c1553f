/* gyre/op.h - the completion form: operations that are submitted and answered by a callback, and
 * the loop as a guest in the host's own event loop.
 *
 *     static void on_get(struct gyre_op *op) { ... op->status, op->value ...; free(op); }
 *
 *     struct gyre_op *op = malloc(sizeof(*op));
 *     *op = GYRE_OP(.kind = GYRE_OP_GET, .db = db, .key = gyre_str("k"), .done = on_get);
 *     st = gyre_submit(op);
 *
 *     epoll_ctl(ep, EPOLL_CTL_ADD, gyre_loop_fd(loop), &(struct epoll_event){.events = EPOLLIN});
 *     ... when it is readable: gyre_loop_poll(loop, 200);
 *
 * Rules:
 *   - The op is the caller's. From gyre_submit to its callback the library uses it and what it
 *     points to (keys, values, arrays, paths); neither may change or go away. In the callback all
 *     of it is the caller's again: it may be freed, or submitted anew as it is.
 *   - Each submitted op is answered once, by its callback, from gyre_loop_poll only; never from
 *     inside gyre_submit or gyre_cancel, on the stack of whoever calls gyre_loop_poll.
 *   - There is no order among ops in flight. A read sees a write surely only if it was submitted
 *     after the write was answered; the same holds for two writes. TIMED_OUT and CANCELED are
 *     answers, too: a write submitted after them takes effect after what was given up.
 *   - In a callback everything is allowed that does not wait: gyre_submit, gyre_cancel, releasing
 *     values and snapshots, opening and closing iterators, gyre_now, gyre_credits, figures. Calls
 *     that may wait (GYRE_SUSPENDS), gyre_run and gyre_loop_poll return MISUSE there.
 *   - Submitting does not allocate once the loop is warm.
 *   - Deadline and cancel: at once. An op that has not begun is not begun. One that has is answered
 *     in the same turn with TIMED_OUT or CANCELED; what it was waiting for at the device ends by
 *     itself, with buffers of the library. For a write op->error.maybe_done says whether it may be
 *     kept all the same: it may then appear to reads at any time later. Else nothing of it was
 *     done, nor will be.
 * Source: engine/db/op.c, engine/db/op_run.c, engine/db/poll.c
 */
#ifndef GYRE_OP_H
#define GYRE_OP_H

#include "gyre/iterator.h"
#include "gyre/scan.h"
#include "gyre/trace.h"

GYRE_EXTERN_C_BEGIN

/* Behind each kind: what it reads of the op, and what it fills on OK. All read done, arg,
 * deadline_ns; those of a store read db, the others loop. */
enum gyre_op_kind {
    GYRE_OP_NONE = 0,
    GYRE_OP_GET,              /* key, snapshot, flags -> value (release it) */
    /* count, keys, values, statuses, snapshot, flags: see gyre_multi_get */
    GYRE_OP_MULTI_GET,
    GYRE_OP_PUT,              /* key, data, durability, flags */
    GYRE_OP_DELETE,           /* key, durability, flags */
    GYRE_OP_WRITE,            /* batch, durability, flags */
    GYRE_OP_SYNC,
    GYRE_OP_ROOM,             /* bytes: see gyre_wait_room */
    GYRE_OP_ITERATOR_FIRST,   /* iterator; then gyre_iterator_key and _value */
    GYRE_OP_ITERATOR_LAST,
    GYRE_OP_ITERATOR_SEEK,    /* iterator, key */
    GYRE_OP_ITERATOR_SEEK_FOR_PREV,
    GYRE_OP_ITERATOR_NEXT,    /* iterator */
    GYRE_OP_ITERATOR_PREV,
    GYRE_OP_SCAN,             /* scan (filled, with its arrays): see gyre_scan */
    GYRE_OP_FLUSH,
    GYRE_OP_WAIT_IDLE,
    GYRE_OP_COMPACT_RANGE,    /* key and key_to (NULL data: the ends), progress */
    GYRE_OP_APPROXIMATE_SIZE, /* key and key_to -> bytes */
    GYRE_OP_CHECKPOINT,       /* path */
    GYRE_OP_VERIFY,           /* damage, progress, verify_result (may be NULL) */
    GYRE_OP_OPEN,             /* loop, path, options -> db */
    /* db; see gyre_close. The handle is gone unless the status is BUSY, TIMED_OUT or CANCELED. With
     * maybe_done the store goes on closing then: submit it again for the handle */
    GYRE_OP_CLOSE,
    GYRE_OP_DESTROY,          /* loop, path */
    /* loop, path (source), path_to, options, damage, progress, salvage_result (may be NULL) */
    GYRE_OP_SALVAGE,
    GYRE_OP_SLEEP,            /* loop, deadline_ns: answered OK then; CANCELED */
    GYRE_OP_KIND_COUNT
};

struct gyre_op;
typedef void (*gyre_op_fn)(struct gyre_op *op);

struct gyre_op {
    uint32_t struct_size;            /* sizeof(struct gyre_op) */
    uint32_t kind;                   /* enum gyre_op_kind */
    gyre_db *db;
    gyre_loop *loop;                 /* kinds that have no store; else ignored */
    gyre_op_fn done;                 /* the callback */
    void *arg;                       /* the caller's own */
    uint64_t deadline_ns;            /* on the clock of gyre_now; 0 = none */

    /* ---- What to do ---- */
    uint32_t flags;                  /* GYRE_READ_* or GYRE_WRITE_* */
    uint32_t durability;             /* enum gyre_durability */
    const gyre_snapshot *snapshot;   /* NULL = newest */
    struct gyre_slice key;
    struct gyre_slice key_to;
    struct gyre_slice data;          /* the value to put */
    const gyre_batch *batch;
    gyre_iterator *iterator;
    struct gyre_scan *scan;
    size_t count;                    /* of the three arrays */
    const struct gyre_slice *keys;
    struct gyre_value *values;
    gyre_status *statuses;
    const char *path;
    const char *path_to;
    const struct gyre_options *options;
    gyre_progress_fn progress;       /* called from gyre_loop_poll, with `arg`; may be NULL */
    gyre_damage_fn damage;
    struct gyre_verify_result *verify_result;
    struct gyre_salvage_result *salvage_result;
    uint64_t bytes;                  /* ROOM; and the answer of APPROXIMATE_SIZE */

    /* ---- The answer ---- */
    gyre_status status;
    uint32_t reserved_;
    struct gyre_value value;
    struct gyre_error error;         /* filled where status is neither OK nor NOT_FOUND */
    struct gyre_trace trace;         /* where its time went */

    uint64_t private_[16];
};

#define GYRE_OP(...) \
    ((struct gyre_op){.struct_size = sizeof(struct gyre_op), __VA_ARGS__})

/* Submit. Does not wait. What can be answered without waiting may be done before it returns; its
 * callback comes from gyre_loop_poll all the same.
 *
 * Returns: OK           the callback will come
 *          INVALID      no callback, an unknown kind, a struct_size or a reserved field that this
 *                       version does not know: there will be no callback. (Arguments of the
 *                       operation itself are answered through the callback.)
 *          MISUSE       the op is submitted already; a store or loop that is gone; wrong thread
 *                       (there may be no text then). A store that is closing: OK, and the answer
 *                       is CLOSED
 *          NO_MEMORY    no memory for a deadline or a coroutine */
GYRE_API GYRE_NODISCARD gyre_status gyre_submit(struct gyre_op *op);

/* Have a submitted op answered with CANCELED. Nothing happens if it has its answer already, that
 * callback is still to come then. MISUSE: it was not submitted. */
GYRE_API gyre_status gyre_cancel(struct gyre_op *op);

/* Wait until a submitted op has its answer, instead of being called back: for coroutines, and for a
 * host without a loop. `done` of the op must be NULL; one waiter. Returns op->status; or MISUSE,
 * INVALID when it was not submitted so. */
GYRE_SUSPENDS GYRE_API gyre_status gyre_await(struct gyre_op *op);

/* A descriptor for the host's epoll, poll, libuv or libevent: readable when gyre_loop_poll has
 * something to do: a completion is there, a timer is due, an op was submitted or cancelled, work is
 * left over from the last turn.
 * Poll it for reading, level-triggered; never read from it or close it. Opened on first use. A loop
 * that is idle does not become readable. -1 with an error: no descriptors are left (IO), or the
 * loop has none (UNSUPPORTED, the simulator). */
GYRE_API int gyre_loop_fd(gyre_loop *loop);

/* One bounded turn: take completions, run what can run (foreground and background) for about
 * `budget_us` microseconds, submit, call back. Never waits. The budget may be passed by one slice
 * (at most 50 us as a rule) and by the callbacks themselves, which are the host's. At least one
 * slice runs, also with a budget of 0.
 *
 * Returns: OK     nothing is left to do just now; the descriptor becomes readable when there is
 *          AGAIN  the budget is spent and there is more to do; the descriptor is readable
 *          MISUSE from a coroutine, a callback, another thread */
GYRE_API gyre_status gyre_loop_poll(gyre_loop *loop, uint32_t budget_us);

GYRE_EXTERN_C_END

#endif
