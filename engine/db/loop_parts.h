/* loop_parts.h - the loop as the engine sees it, and a coroutine of the user. Source: loop.c */
#ifndef GY_LOOP_PARTS_H
#define GY_LOOP_PARTS_H

#include "engine/disk/cache.h"
#include "engine/mem/region.h"
#include "gyre/gyre.h"
#include "io/arena.h"
#include "io/identity.h"

#define GY_LOOP_MAGIC 0x6779726c6f6f7031ull

struct gy_measures;

struct gyre_task {
    struct gyre_loop *loop;
    struct gy_list link;           /* loop->free_tasks while unused */
    void (*fn)(void *arg);
    void *arg;
    bool joinable;                 /* gyre_join will free it */
    bool done;
    struct gy_waitq joiners;
};

struct gyre_loop {
    uint64_t magic;
    struct gy_heap home;           /* what this struct itself was allocated from */
    struct gy_identity identity;
    struct gy_loop io;
    struct gy_arena arena;
    struct gy_cache *cache;
    struct gy_region_pool regions;
    struct gy_measures *measures;
    struct gy_list stores;         /* gyre_db.link */
    uint32_t store_count;
    uint32_t task_count;           /* coroutines of gyre_spawn alive */
    struct gy_list free_tasks;
    struct gy_waitq tasks_done;
    struct gy_mutex flush_turn;    /* one flush and one compaction at a time for all stores: they */
    struct gy_mutex compact_turn;  /* hold transfer buffers while they wait for more */
    /* submitted operations (op.h): gy_op_private.link; those that may wait for room or for other
     * work have a queue of their own */
    struct gy_list ops_queued[2];
    struct gy_list ops_asleep;     /* GYRE_OP_SLEEP */
    struct gy_list ops_answered;   /* whose callback is still to come */
    struct gy_list op_runs;        /* gy_op_run.link */
    uint32_t op_workers;           /* coroutines that run operations */
    uint32_t op_workers_max;       /* P4 */
    uint32_t op_waiters;           /* of those, at an operation of the second queue */
    bool op_turn;                  /* which queue is next */
    /* tests: an operation is about to wait */
    void (*on_scope_wait)(struct gy_scope *scope);
    bool has_fd;                   /* the host polls a descriptor */
    bool in_completion;            /* a callback of an operation is running: it must not wait */
    bool driving;                  /* a call from the host's stack is driving the loop */
    bool in_callback;              /* a host function (log, progress, damage) is running */
    struct gyre_loop_options given;   /* zeros where the default is to hold */
    struct gyre_loop_options options; /* what holds */
    uint64_t memory_limit;
    gyre_log_fn log;
    void *log_arg;
};

#endif
