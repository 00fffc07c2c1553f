/* loop.c - gyre_loop: the public handle of a thread's scheduler, ring, memory and cache; coroutines
 * of the user. */
#include <stdio.h>

#include "engine/db/measure.h"
#include "engine/db/op.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define MEMORY_DEFAULT (256ull * GY_MIB)
#define MEMORY_MIN (16ull * GY_MIB)
#define MEMORY_MAX (1024ull * GY_GIB)
/* In and out together, while somebody reads or writes and there is no debt: at 200 MB/s neither
 * reads nor synced writes notice compaction, unthrottled it doubles and triples their latency. */
#define BACKGROUND_BYTES_PER_S (200u * 1000u * 1000u)
#define GOAL_US_MIN 50u
#define GOAL_US_MAX 10000000u
#define MEMORY_STACKS_SHARE 8u                                   /* of memory_limit */
#define BUFFERS_MIN (GY_FLUSH_BUFFERS + GY_COMPACT_BUFFERS + 4u) /* made on demand */
#define BUFFERS_MAX 96u
#define REGION_POOL_CHUNKS_MAX 512u
#define LOOP_FLAGS (GYRE_LOOP_NO_DIRECT | GYRE_LOOP_NO_REGISTRATION | GYRE_LOOP_SYNC_BY_WORKER)

static gyre_status
open_failed(gyre_status status, struct gyre_error *ret_error, const char *text)
{
    if (ret_error != NULL) {
        memset(ret_error, 0, sizeof(*ret_error));
        ret_error->status = status;
        ret_error->offset = GY_NO_OFFSET;
        (void)snprintf(ret_error->text, sizeof(ret_error->text), "%s", text);
    }
    return status;
}

static gyre_status
resolve(const struct gyre_loop_options *given, struct gyre_loop_options *ret_options,
        struct gyre_error *ret_error)
{
    struct gyre_loop_options o = {.struct_size = sizeof(o)};

    if (given != NULL) {
        const uint8_t *bytes = (const uint8_t *)given;

        if (given->struct_size < sizeof(uint32_t) || given->struct_size > GY_STRUCT_SIZE_MAX) {
            return open_failed(GYRE_INVALID, ret_error,
                               "struct_size of the loop options is not set");
        }
        for (size_t i = sizeof(o); i < given->struct_size; i++) {
            if (bytes[i] != 0) {
                return open_failed(GYRE_INVALID, ret_error,
                                   "a loop option that this version does not know is set");
            }
        }
        memcpy(&o, given, gy_min_u64(given->struct_size, sizeof(o)));
    }
    o.memory_limit = o.memory_limit != 0 ? o.memory_limit : MEMORY_DEFAULT;
    if (o.memory_limit < MEMORY_MIN || o.memory_limit > MEMORY_MAX) {
        return open_failed(GYRE_INVALID, ret_error, "memory_limit must be 16 MiB to 1 TiB");
    }
    o.cache_size = o.cache_size != 0               ? o.cache_size
                   : o.memory_limit >= 64 * GY_MIB ? o.memory_limit / 2
                                                   : o.memory_limit / 4;
    if (o.cache_size < GY_MIB || o.cache_size > o.memory_limit / 4 * 3) {
        return open_failed(GYRE_INVALID, ret_error,
                           "cache_size must be 1 MiB to three quarters of memory_limit");
    }
    o.coroutines_max = o.coroutines_max != 0 ? o.coroutines_max : 4096;
    if (o.coroutines_max < 16 || o.coroutines_max > (1u << 20)) {
        return open_failed(GYRE_INVALID, ret_error, "coroutines_max must be 16 to 1048576");
    }
    if (o.in_flight_max != 0 && (o.in_flight_max < 4 || o.in_flight_max > 4096)) {
        return open_failed(GYRE_INVALID, ret_error, "in_flight_max must be 4 to 4096");
    }
    if (o.p999_goal_us != 0 && (o.p999_goal_us < GOAL_US_MIN || o.p999_goal_us > GOAL_US_MAX)) {
        return open_failed(GYRE_INVALID, ret_error, "p999_goal_us must be 50 us to 10 s");
    }
    if (o.io_kind > GYRE_IO_BLOCKING || (o.flags & ~LOOP_FLAGS) != 0 || o.reserved_ != 0) {
        return open_failed(GYRE_INVALID, ret_error,
                           "an unknown io_kind or flag in the loop options");
    }
    *ret_options = o;
    return GYRE_OK;
}

/* Everything behind the I/O loop: arena, cache, region pool. */
static gyre_status
init_memory(gyre_loop *loop, const struct gyre_loop_options *o)
{
    const uint32_t buffers =
        (uint32_t)gy_clamp_u64(o->memory_limit / 8 / GY_BUFFER_SIZE, BUFFERS_MIN, BUFFERS_MAX);
    const uint64_t chunks =
        gy_align_up(o->cache_size, GY_ARENA_CHUNK) / GY_ARENA_CHUNK + 1 +
        gy_align_up((uint64_t)buffers * GY_BUFFER_SIZE, GY_ARENA_CHUNK) / GY_ARENA_CHUNK;
    gyre_status status = gy_arena_init(&loop->arena, &loop->io, (uint32_t)chunks, buffers);

    if (status != GYRE_OK) {
        return status;
    }
    status = gy_cache_make(&loop->io, &loop->arena, o->cache_size, &loop->cache);
    if (status != GYRE_OK) {
        while (!gy_loop_is_idle(&loop->io)) { /* chunks being made ready */
            (void)gy_loop_turn(&loop->io, true, GY_NEVER);
        }
        gy_arena_fini(&loop->arena);
        return status;
    }
    gy_arena_warm(&loop->arena);
    gy_region_pool_init(
        &loop->regions, &loop->io.heap,
        (uint32_t)gy_min_u64(o->memory_limit / 8 / GY_REGION_CHUNK, REGION_POOL_CHUNKS_MAX));
    return GYRE_OK;
}

/* H5 in heap.h; memtables are promised theirs as stores are opened. Together at most fifteen
 * sixteenths of the limit. */
static void
promise(struct gy_heap *heap, const struct gyre_loop_options *o)
{
    gy_heap_promise(heap, o->memory_limit / MEMORY_STACKS_SHARE, GY_MEM_STACK);
    gy_heap_promise(heap, o->memory_limit / 16, GY_MEM_CALL);
    gy_heap_promise(heap, o->memory_limit / 16, GY_MEM_BUFFERS);
    /* its table of contents comes on top of whole chunks */
    gy_heap_promise(heap, gy_min_u64(o->memory_limit / 8, o->cache_size) + GY_MIB / 2,
                    GY_MEM_CACHE);
}

/* P4 in op.h: twice what the device takes, in at most an eighth of the memory. */
static uint32_t
workers_max(const gyre_loop *loop, const struct gyre_loop_options *o)
{
    const uint64_t by_device = 2ull * loop->io.world->info.in_flight_max;
    const uint64_t by_memory =
        o->memory_limit / MEMORY_STACKS_SHARE / loop->io.sched.stacks.stack_size;

    return (uint32_t)gy_clamp_u64(gy_min_u64(by_device, by_memory), 8, o->coroutines_max);
}

static struct gy_loop_config
io_config(const struct gyre_loop_options *o, struct gy_world *world)
{
    return (struct gy_loop_config){
        .world = world,
        .world_kind = o->io_kind == GYRE_IO_URING      ? GY_WORLD_URING
                      : o->io_kind == GYRE_IO_BLOCKING ? GY_WORLD_SYNC
                                                       : GY_WORLD_AUTO,
        .world_config = {.in_flight_max = o->in_flight_max,
                         .no_direct = (o->flags & GYRE_LOOP_NO_DIRECT) != 0,
                         .no_registration = (o->flags & GYRE_LOOP_NO_REGISTRATION) != 0,
                         .sync_by_worker = (o->flags & GYRE_LOOP_SYNC_BY_WORKER) != 0},
        .memory_limit = o->memory_limit,
        .co_count_max = o->coroutines_max + GY_COROUTINES_OWN}; /* the library's own on top */
}

static gyre_status
loop_open(const struct gyre_loop_options *given, struct gy_world *world, gyre_loop **ret_loop,
          struct gyre_error *ret_error)
{
    struct gyre_loop_options o;
    struct gy_heap home;
    struct gy_loop_config config;
    gyre_loop *loop;
    gyre_status status = resolve(given, &o, ret_error);

    if (status != GYRE_OK) {
        return status;
    }
    gy_heap_init(&home, UINT64_MAX);
    loop = gy_heap_zalloc(&home, sizeof(*loop), GY_MEM_LOOP);
    if (loop == NULL) {
        return open_failed(GYRE_NO_MEMORY, ret_error, "no memory for a loop");
    }
    loop->home = home;
    status = gy_identity_init(&loop->identity);
    if (status != GYRE_OK) {
        gy_heap_free(&home, loop);
        return open_failed(status, ret_error, "the kernel is older than Linux 4.14");
    }
    config = io_config(&o, world);
    status = gy_loop_init(&loop->io, &config, ret_error);
    if (status != GYRE_OK) {
        gy_identity_fini(&loop->identity);
        gy_heap_free(&home, loop);
        return status;
    }
    if (given != NULL) {
        memcpy(&loop->given, given, gy_min_u64(given->struct_size, sizeof(loop->given)));
    }
    loop->options = o;
    loop->memory_limit = o.memory_limit;
    promise(&loop->io.heap, &o);
    gy_goal_init(&loop->io.goal, o.p999_goal_us * GY_NS_PER_US, BACKGROUND_BYTES_PER_S);
    loop->log = o.log;
    loop->log_arg = o.log_arg;
    gy_list_init(&loop->stores);
    gy_list_init(&loop->free_tasks);
    gy_waitq_init(&loop->tasks_done);
    gy_ops_init(loop);
    loop->op_workers_max = workers_max(loop, &o);
    gy_mutex_init(&loop->flush_turn);
    gy_mutex_init(&loop->compact_turn);
    loop->measures = gy_measures_make(&loop->io.heap);
    status = loop->measures != NULL && gy_sched_reserve(&loop->io.sched, GY_COROUTINES_SPARE)
                 ? init_memory(loop, &o)
                 : GYRE_NO_MEMORY;
    if (status != GYRE_OK) {
        gy_heap_free(&loop->io.heap, loop->measures);
        if (world != NULL) { /* stays the caller's */
            (void)gy_loop_fini_but_world(&loop->io);
        } else {
            gy_loop_fini(&loop->io);
        }
        gy_identity_fini(&loop->identity);
        gy_heap_free(&home, loop);
        return open_failed(status, ret_error, "no memory for the cache: lower memory_limit");
    }
    loop->magic = GY_LOOP_MAGIC;
    if (loop->io.world->info.reason[0] != '\0') {
        gy_loop_log(loop, GYRE_LOG_WARNING, "io_uring is not used: %s",
                    loop->io.world->info.reason);
    }
    *ret_loop = loop;
    return GYRE_OK;
}

gyre_status
gyre_loop_open(const struct gyre_loop_options *options, gyre_loop **ret_loop,
               struct gyre_error *ret_error)
{
    if (ret_loop == NULL) {
        return open_failed(GYRE_INVALID, ret_error, "ret_loop is NULL");
    }
    return loop_open(options, NULL, ret_loop, ret_error);
}

gyre_status
gy_loop_open_on(const struct gyre_loop_options *options, struct gy_world *world,
                gyre_loop **ret_loop, struct gyre_error *ret_error)
{
    return loop_open(options, world, ret_loop, ret_error);
}

gyre_status
gyre_loop_close(gyre_loop *loop)
{
    struct gy_heap home;
    struct gy_list *node;
    gyre_status status;

    if (loop == NULL) {
        return GYRE_OK;
    }
    status = gy_loop_check(loop);
    if (status != GYRE_OK) {
        return status;
    }
    if (loop->io.sched.current != NULL) {
        return gy_loop_fail(loop, GYRE_MISUSE, "a coroutine cannot close its own loop");
    }
    if (loop->in_completion) {
        return gy_loop_fail(loop, GYRE_MISUSE, "a callback cannot close its own loop");
    }
    if (loop->store_count > 0 || loop->task_count > 0 || gy_ops_are_there(loop)) {
        return gy_loop_fail(
            loop, GYRE_BUSY, "still there: %u stores, %u coroutines, submitted operations: %s",
            loop->store_count, loop->task_count, gy_ops_are_there(loop) ? "yes" : "no");
    }
    while (!gy_loop_is_idle(&loop->io)) { /* late completions: prefetches, closes of files */
        (void)gy_loop_turn(&loop->io, true, GY_NEVER);
    }
    while ((node = gy_list_pop_front(&loop->free_tasks)) != NULL) {
        gy_heap_free(&loop->io.heap, gy_container_of(node, struct gyre_task, link));
    }
    gy_heap_free(&loop->io.heap, loop->measures);
    gy_cache_free(loop->cache);
    gy_region_pool_fini(&loop->regions);
    gy_arena_fini(&loop->arena);
    gy_loop_fini(&loop->io);
    gy_identity_fini(&loop->identity);
    loop->magic = 0;
    home = loop->home;
    gy_heap_free(&home, loop);
    return GYRE_OK;
}

const struct gyre_error *
gyre_last_error(gyre_loop *loop)
{
    static const struct gyre_error misuse = {
        .status = GYRE_MISUSE,
        .offset = GY_NO_OFFSET,
        .text = "no loop, or called from a thread or process that does not own it"};

    if (loop == NULL || loop->magic != GY_LOOP_MAGIC ||
        gy_identity_check(&loop->identity) != GY_IDENTITY_OWNER) {
        return &misuse;
    }
    return gy_sched_error(&loop->io.sched);
}

/* ---- Coroutines of the user ---- */

static void
free_task(struct gyre_task *task)
{
    gy_list_push_front(&task->loop->free_tasks, &task->link);
}

static void
task_main(void *arg)
{
    struct gyre_task *task = arg;
    gyre_loop *loop = task->loop;

    task->fn(task->arg);
    task->done = true;
    loop->task_count--;
    gy_waitq_wake_all(&task->joiners);
    if (loop->task_count == 0) {
        gy_waitq_wake_all(&loop->tasks_done);
    }
    if (!task->joinable) {
        free_task(task);
    }
}

bool
gy_loop_has_stack(gyre_loop *loop)
{
    struct gy_sched *sched = &loop->io.sched;

    return sched->stacks.pooled_count > GY_COROUTINES_SPARE ||
           (gy_heap_has_room(&loop->io.heap, sched->stacks.stack_size, GY_MEM_STACK) &&
            gy_sched_reserve(sched, GY_COROUTINES_SPARE + 1));
}

void
gy_loop_promise_memtables(gyre_loop *loop)
{
    uint64_t bytes = 0;

    for (struct gy_list *node = loop->stores.next; node != &loop->stores; node = node->next) {
        const gyre_db *db = gy_container_of(node, gyre_db, link);
        const uint64_t each =
            db->options.memtable_size + GY_REGION_CHUNK; /* the last is not full */

        bytes += db->read_only ? 0 : db->options.memtable_count_max * each;
    }
    gy_heap_promise(&loop->io.heap, gy_min_u64(bytes, loop->memory_limit / 2), GY_MEM_MEMTABLE);
}

gyre_status
gyre_spawn(gyre_loop *loop, void (*fn)(void *arg), void *arg, gyre_task **ret_task)
{
    struct gyre_task *task;
    struct gy_list *node;
    gyre_status status = gy_loop_check(loop);

    if (status != GYRE_OK) {
        return status;
    }
    if (fn == NULL) {
        return gy_loop_fail(loop, GYRE_INVALID, "gyre_spawn: fn is NULL");
    }
    if (loop->task_count >= loop->io.sched.stacks.count_max - GY_COROUTINES_OWN) {
        return gy_loop_fail(loop, GYRE_AGAIN, "coroutines_max coroutines are alive");
    }
    if (!gy_loop_has_stack(loop)) {
        return gy_loop_fail(loop, GYRE_NO_MEMORY,
                            "no memory for a coroutine's stack, %u are alive; raise memory_limit",
                            loop->task_count);
    }
    node = gy_list_pop_front(&loop->free_tasks);
    task = node != NULL ? gy_container_of(node, struct gyre_task, link)
                        : gy_heap_zalloc(&loop->io.heap, sizeof(*task), GY_MEM_LOOP);
    if (task == NULL) {
        return gy_loop_fail(loop, GYRE_NO_MEMORY, "no memory for a coroutine; raise memory_limit");
    }
    *task = (struct gyre_task){.loop = loop, .fn = fn, .arg = arg, .joinable = ret_task != NULL};
    gy_list_init(&task->link);
    gy_waitq_init(&task->joiners);
    status = gy_spawn(&loop->io.sched, GY_CLASS_FOREGROUND, "user", task_main, task, NULL);
    if (status != GYRE_OK) {
        free_task(task);
        return status;
    }
    loop->task_count++;
    if (ret_task != NULL) {
        *ret_task = task;
    }
    gy_poll_notify(loop);
    return GYRE_OK;
}

static void
join_run(void *arg)
{
    struct gyre_task *task = arg;

    gy_in_coroutine();
    while (!task->done) {
        gy_waitq_await(&task->loop->io.sched, &task->joiners);
    }
}

gyre_status
gyre_join(gyre_loop *loop, gyre_task *task)
{
    gyre_status status = gy_loop_check(loop);

    if (status != GYRE_OK) {
        return status;
    }
    if (task == NULL || task->loop != loop || !task->joinable) {
        return gy_loop_fail(loop, GYRE_INVALID, "gyre_join: not a task of this loop");
    }
    status = gy_call(loop, "join", join_run, task);
    if (status == GYRE_OK) {
        task->joinable = false;
        free_task(task);
    }
    return status;
}

static void
run_run(void *arg)
{
    gyre_loop *loop = arg;

    gy_in_coroutine();
    while (loop->task_count > 0) {
        gy_waitq_await(&loop->io.sched, &loop->tasks_done);
    }
}

gyre_status
gyre_run(gyre_loop *loop)
{
    gyre_status status = gy_loop_check(loop);

    if (status == GYRE_OK && loop->io.sched.current != NULL) {
        return gy_loop_fail(loop, GYRE_MISUSE, "gyre_run is for the host, not for a coroutine");
    }
    return status != GYRE_OK ? status : gy_call(loop, "run", run_run, loop);
}

struct sleep_call {
    gyre_loop *loop;
    uint64_t ns;
};

static void
sleep_run(void *arg)
{
    const struct sleep_call *call = arg;

    gy_in_coroutine();
    if (call->ns == 0) {
        gy_await_yield(&call->loop->io.sched);
    } else {
        gy_await_sleep(&call->loop->io.sched, call->ns);
    }
}

gyre_status
gyre_sleep(gyre_loop *loop, uint64_t ns)
{
    struct sleep_call call = {.loop = loop, .ns = ns};
    gyre_status status = gy_loop_check(loop);

    return status != GYRE_OK ? status : gy_call(loop, "sleep", sleep_run, &call);
}

gyre_status
gyre_yield(gyre_loop *loop)
{
    return gyre_sleep(loop, 0);
}

uint64_t
gyre_now(gyre_loop *loop)
{
    return gy_loop_check(loop) == GYRE_OK ? gy_loop_now(&loop->io) : 0;
}
