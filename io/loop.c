/* loop.c - the run loop and the I/O queue; see loop.h for L1 and L2. The only file that names
 * concrete worlds. */
#include "io/loop.h"

#include <stdio.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"
#include "io/base/probes.h"

#define CO_COUNT_DEFAULT 4096u

/* Most in flight of a class. Background ones are low: one 256 KiB write in flight costs the reads
 * half of their throughput, four of 1 MiB cost them 90 %. */
static const uint32_t class_limit_default[GY_IO_CLASS_COUNT] = {
    [GY_IO_WAL] = 8,   [GY_IO_READ] = UINT32_MAX, [GY_IO_META] = 16,         [GY_IO_PREFETCH] = 32,
    [GY_IO_FLUSH] = 4, [GY_IO_COMPACT_READ] = 8,  [GY_IO_COMPACT_WRITE] = 2, [GY_IO_SCRUB] = 2,
};

static uint64_t
clock_now(void *clock)
{
    struct gy_world *world = clock;

    return world->ops->now_ns(world);
}

static uint64_t
clock_cpu_now(void *clock)
{
    struct gy_world *world = clock;

    return world->ops->cpu_ns(world);
}

static gyre_status
world_open(struct gy_loop *loop, const struct gy_loop_config *config, struct gy_world **ret_world,
           char ret_reason[160])
{
    gyre_status st;

    ret_reason[0] = '\0';
    if (config->world_kind != GY_WORLD_SYNC) {
        st = gy_world_uring_open(&config->world_config, &loop->heap, ret_reason, ret_world);
        if (st != GYRE_UNSUPPORTED || config->world_kind == GY_WORLD_URING) {
            return st;
        }
    }
    st = gy_world_sync_open(&config->world_config, &loop->heap, ret_world);
    if (st == GYRE_OK) {
        if (ret_reason[0] == '\0') {
            (void)snprintf(ret_reason, 160, "blocking calls were asked for");
        }
        (void)snprintf((*ret_world)->info.reason, sizeof((*ret_world)->info.reason), "%s",
                       ret_reason);
    }
    return st;
}

static gyre_status
init_failed(gyre_status status, const char *text, struct gyre_error *ret_error)
{
    if (ret_error != NULL) {
        memset(ret_error, 0, sizeof(*ret_error));
        ret_error->status = status;
        ret_error->offset = GY_NO_OFFSET;
        (void)snprintf(ret_error->text, sizeof(ret_error->text), "cannot open the loop: %s", text);
    }
    return status;
}

gyre_status
gy_loop_init(struct gy_loop *loop, const struct gy_loop_config *config,
             struct gyre_error *ret_error)
{
    const uint32_t co_count_max =
        config->co_count_max != 0 ? config->co_count_max : CO_COUNT_DEFAULT;
    struct gy_world *world = config->world;
    char reason[160];
    gyre_status st;

    memset(loop, 0, sizeof(*loop));
    gy_heap_init(&loop->heap, config->memory_limit != 0 ? config->memory_limit : UINT64_MAX);
    if (world == NULL) {
        st = world_open(loop, config, &world, reason);
        if (st != GYRE_OK) {
            return init_failed(st, reason[0] != '\0' ? reason : gyre_status_text(st), ret_error);
        }
    }
    loop->heap.pages = world->pages;
    loop->heap.fail_at = world->fail_allocation;
    st = gy_sched_init(&loop->sched, &loop->heap, co_count_max, clock_now, clock_cpu_now, world);
    if (st != GYRE_OK) {
        if (config->world == NULL) { /* a given one stays the caller's */
            world->ops->close(world);
        }
        return init_failed(st, gyre_status_text(st), ret_error);
    }
    loop->world = world;
    gy_list_init(&loop->flight);
    for (uint32_t c = 0; c < GY_IO_CLASS_COUNT; c++) {
        gy_list_init(&loop->queue[c]);
        loop->class_limit[c] = class_limit_default[c];
    }
    loop->last_turn_ns = gy_loop_now(loop);
    return GYRE_OK;
}

struct gy_world *
gy_loop_fini_but_world(struct gy_loop *loop)
{
    struct gy_world *world = loop->world;

    gy_assert(loop->sched.live_count == 0);
    gy_assert(loop->queued_count == 0 && loop->in_flight == 0);
    gy_sched_fini(&loop->sched);
    loop->world = NULL;
    return world;
}

void
gy_loop_fini(struct gy_loop *loop)
{
    struct gy_world *world = gy_loop_fini_but_world(loop);

    world->ops->close(world);
}

/* ---- The queue ---- */

/* A limit of 0 would park a class for ever. */
static bool
has_work_allowed(const struct gy_loop *loop, uint32_t klass)
{
    const uint32_t limit = loop->class_limit[klass];

    return !gy_list_is_empty(&loop->queue[klass]) &&
           loop->in_flight_by_class[klass] < (limit != 0 ? limit : 1);
}

/* The class to submit from next; GY_IO_CLASS_COUNT when nothing may go (L2). */
static uint32_t
pick_class(const struct gy_loop *loop)
{
    const uint32_t left = GY_CLASS_ROUND - loop->round_count;
    uint32_t first = GY_IO_CLASS_COUNT;
    uint32_t starving = GY_IO_CLASS_COUNT;
    uint32_t owed = 0;
    const uint32_t cap = loop->world->info.in_flight_max;

    if (has_work_allowed(loop, GY_IO_WAL)) {
        return GY_IO_WAL;
    }
    if (loop->in_flight >= (cap != 0 ? cap : 1)) {
        return GY_IO_CLASS_COUNT;
    }
    for (uint32_t c = GY_IO_READ; c < GY_IO_CLASS_COUNT; c++) {
        if (!has_work_allowed(loop, c)) {
            continue;
        }
        if (first == GY_IO_CLASS_COUNT) {
            first = c;
        }
        if (c > GY_IO_READ && loop->round[c] < GY_CLASS_SHARE_MIN) {
            owed += GY_CLASS_SHARE_MIN - loop->round[c];
            if (starving == GY_IO_CLASS_COUNT || loop->round[c] < loop->round[starving]) {
                starving = c;
            }
        }
    }
    /* The rest of the round belongs to those who are owed a share as soon as it is no more than
     * that. */
    return owed != 0 && owed >= left ? starving : first;
}

static void
hand_over(struct gy_loop *loop, uint32_t klass, uint64_t now_ns)
{
    struct gy_req *req =
        gy_container_of(gy_list_pop_front(&loop->queue[klass]), struct gy_req, link);

    loop->queued_count--;
    loop->in_flight++;
    loop->in_flight_by_class[klass]++;
    if (klass != GY_IO_WAL) {
        loop->round[klass]++;
        loop->round_count++;
        if (loop->round_count == GY_CLASS_ROUND) {
            memset(loop->round, 0, sizeof(loop->round));
            loop->round_count = 0;
        }
    }
    req->submitted_ns = now_ns;
    gy_list_push_back(&loop->flight, &req->flight);
    loop->stats.queue_ns[klass] += gy_sub_sat(now_ns, req->queued_ns);
    loop->world->ops->submit(loop->world, req);
}

static void
pump(struct gy_loop *loop, uint64_t now_ns)
{
    while (loop->queued_count != 0) {
        const uint32_t klass = pick_class(loop);

        if (klass == GY_IO_CLASS_COUNT) {
            return;
        }
        hand_over(loop, klass, now_ns);
    }
}

void
gy_loop_submit(struct gy_loop *loop, struct gy_req *req)
{
    const uint64_t now_ns = gy_loop_now(loop);

    gy_assert(req->op < GY_OP_COUNT && req->klass < GY_IO_CLASS_COUNT);
    gy_assert((req->op != GY_OP_READ && req->op != GY_OP_WRITE) || req->size <= GY_IO_SIZE_MAX);
    if (req->waiter == NULL) {
        req->waiter = loop->sched.current;
    }
    req->done = false;
    req->queued_ns = now_ns;
    gy_list_push_back(&loop->queue[req->klass], &req->link);
    loop->queued_count++;
    /* At once, not at the end of the turn: the device works while the other coroutines run, and the
     * world gathers the submissions of a turn into few system calls. */
    pump(loop, now_ns);
}

static void
account(struct gy_loop *loop, const struct gy_req *req, uint64_t now_ns)
{
    struct gy_io_stats *stats = &loop->stats;

    GY_PROBE4(io__done, req->klass, req->op, req->result, gy_sub_sat(now_ns, req->submitted_ns));
    stats->count[req->klass]++;
    stats->device_ns[req->klass] += gy_sub_sat(now_ns, req->submitted_ns);
    stats->stall_count += gy_sub_sat(now_ns, req->submitted_ns) >= GY_IO_STALL_NS;
    if (req->klass == GY_IO_WAL || req->klass == GY_IO_READ) {
        gy_goal_note(&loop->goal, now_ns, gy_sub_sat(now_ns, req->submitted_ns));
    }
    if (req->result < 0) {
        return;
    }
    if (req->op == GY_OP_READ) {
        stats->bytes_read[req->klass] += (uint32_t)req->result;
    } else if (req->op == GY_OP_WRITE) {
        stats->bytes_written[req->klass] += (uint32_t)req->result;
        stats->sync_count += (req->flags & GY_IO_DSYNC) != 0;
    } else if (req->op == GY_OP_SYNC) {
        stats->sync_count++;
    }
}

bool
gy_loop_is_quiet(const struct gy_loop *loop, uint64_t *count)
{
    const uint64_t before = *count;

    *count = loop->stats.count[GY_IO_WAL] + loop->stats.count[GY_IO_READ];
    return *count == before && loop->in_flight_by_class[GY_IO_WAL] == 0 &&
           loop->in_flight_by_class[GY_IO_READ] == 0;
}

void
gy_loop_stalls(struct gy_loop *loop, uint64_t *ret_oldest_ns, uint64_t *ret_count)
{
    const uint64_t now_ns = gy_loop_now(loop);

    *ret_oldest_ns = 0;
    *ret_count = loop->stats.stall_count;
    gy_list_for_each (node, &loop->flight) {
        const struct gy_req *req = gy_container_of(node, struct gy_req, flight);
        const uint64_t age_ns = gy_sub_sat(now_ns, req->submitted_ns);

        *ret_oldest_ns = gy_max_u64(*ret_oldest_ns, age_ns);
        if (age_ns < GY_IO_STALL_NS) {
            return; /* the others are younger */
        }
        (*ret_count)++;
    }
}

static void
finish(struct gy_loop *loop, struct gy_list *finished)
{
    const uint64_t now_ns = gy_list_is_empty(finished) ? 0 : gy_loop_now(loop);
    struct gy_list *node;

    while ((node = gy_list_pop_front(finished)) != NULL) {
        struct gy_req *req = gy_container_of(node, struct gy_req, link);
        struct gy_co *waiter = req->waiter;

        gy_assert(loop->in_flight > 0 && loop->in_flight_by_class[req->klass] > 0);
        loop->in_flight--;
        loop->in_flight_by_class[req->klass]--;
        gy_list_remove(&req->flight);
        account(loop, req, now_ns);
        req->done = true;
        if (waiter != NULL) { /* the request may be gone once its waiter runs, which is not now */
            gy_wake(waiter);
        }
    }
    pump(loop, now_ns);
}

void
gy_loop_poll(struct gy_loop *loop, bool wait, bool is_runnable, uint64_t deadline_ns)
{
    const uint64_t now_ns = gy_loop_now(loop);
    struct gy_list finished;

    gy_assert(loop->sched.current == NULL);
    gy_list_init(&finished);
    loop->stats.turn_count++;
    loop->last_turn_ns = now_ns;
    pump(loop, now_ns);
    deadline_ns = gy_min_u64(deadline_ns, gy_sched_next_timer_ns(&loop->sched));
    if (loop->in_flight != 0 || (wait && deadline_ns != GY_NEVER)) {
        loop->world->ops->reap(loop->world, &finished, wait, is_runnable, deadline_ns);
        finish(loop, &finished);
    }
}

bool
gy_loop_turn(struct gy_loop *loop, bool wait, uint64_t deadline_ns)
{
    const bool is_runnable = gy_sched_run(&loop->sched, gy_loop_now(loop), GY_TURN_BUDGET_NS);

    gy_loop_poll(loop, wait && !is_runnable, is_runnable, deadline_ns);
    return loop->sched.ready_count != 0;
}

bool
gy_loop_is_idle(const struct gy_loop *loop)
{
    return loop->sched.ready_count == 0 && loop->queued_count == 0 && loop->in_flight == 0 &&
           gy_sched_next_timer_ns(&loop->sched) == GY_NEVER;
}

void
gy_loop_await_done(struct gy_loop *loop, struct gy_req *req)
{
    const enum gy_away before = gy_trace_begin_away(&loop->sched, GY_AWAY_DEVICE);

    gy_scope_note_device(&loop->sched);
    while (!req->done) { /* wake-ups may be spurious (C2) */
        gy_await_park(&loop->sched);
    }
    gy_trace_end_away(&loop->sched, before);
}

int32_t
gy_loop_await(struct gy_loop *loop, struct gy_req *req)
{
    gy_assert(req->waiter == NULL || req->waiter == loop->sched.current);
    gy_loop_submit(loop, req);
    gy_loop_await_done(loop, req);
    return req->result;
}

/* ---- Staging memory ---- */

int
gy_loop_await_stage_create(struct gy_loop *loop, struct gy_stage *stage, const uint64_t id[2],
                           size_t size)
{
    int result;

    memset(stage, 0, sizeof(*stage));
    while ((result = loop->world->ops->stage_create(loop->world, stage, id, size)) ==
           GY_STAGE_MORE) {
        gy_await_turn(&loop->sched);
    }
    return result;
}

int
gy_loop_await_stage_open(struct gy_loop *loop, struct gy_stage *stage, const uint64_t id[2])
{
    int result;

    memset(stage, 0, sizeof(*stage));
    while ((result = loop->world->ops->stage_open(loop->world, stage, id)) == GY_STAGE_MORE) {
        gy_await_turn(&loop->sched);
    }
    return result;
}

void
gy_loop_await_stage_close(struct gy_loop *loop, struct gy_stage *stage, bool unlink)
{
    while (loop->world->ops->stage_close(loop->world, stage, unlink)) {
        gy_await_turn(&loop->sched);
    }
}
