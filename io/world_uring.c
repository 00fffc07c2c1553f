/* world_uring.c - the world of io_uring: one ring, owned by the loop's thread. See uring.h for U1
 * to U3.
 *
 *   - submit() queues an entry and enters the kernel when SUBMIT_BATCH are queued; a log request
 *     goes at once. reap() enters for the rest. Small batches keep device and CPU busy at the same
 *     time: 32 reads in one call show their first completion after 490 us, 8 after 225 us.
 *   - Everything that runs a plain system call does so in reap(), never in submit() (S1).
 *   - With DEFER_TASKRUN nothing completes until the kernel is entered for it; the ring's TASKRUN
 *     flag says when that is worth a call.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/co/sched.h"
#include "io/uring.h"

#define IN_FLIGHT_DEFAULT 128u
#define OPS_BESIDE 64u /* records beyond in_flight_max: the WAL passes the cap */
#define SUBMIT_BATCH 8u
#define READS_FOR_BATCH_WAIT 32u
#define WAIT_COUNT_MAX 32u
#define DRAIN_PASSES_MAX 8u /* the kernel posts about 20 completions per pass */
/* A yield that takes longer did not run the kernel's worker, which needs some microseconds, but
 * another process. It is not given more of our turn than one in so many. */
#define YIELD_LONG_NS (300 * GY_NS_PER_US)
#define YIELD_REST 16u

enum wait_end { WAIT_MORE, WAIT_OVER };

/* ---- Records ---- */

static bool
is_durable_op(const struct gy_req *req)
{
    return req->op == GY_OP_SYNC || (req->op == GY_OP_WRITE && (req->flags & GY_IO_DSYNC) != 0);
}

static bool
is_log_op(const struct gy_req *req)
{
    return req->klass == GY_IO_WAL && (req->op == GY_OP_WRITE || req->op == GY_OP_SYNC);
}

/* Count a record in (+1) or out (-1). */
static void
count_busy(struct gy_uring *uring, const struct gy_req *req, uint32_t by)
{
    uring->busy_count += by;
    uring->busy_syncs += is_durable_op(req) ? by : 0;
    uring->busy_urgent += is_durable_op(req) || req->klass == GY_IO_WAL ? by : 0;
    uring->busy_reads += req->klass == GY_IO_READ ? by : 0;
}

static struct gy_uring_op *
op_take(struct gy_uring *uring, struct gy_req *req)
{
    struct gy_uring_op *op;

    if (uring->free_op_count == 0) {
        return NULL;
    }
    uring->free_op_count--;
    op = &uring->ops[uring->free_ops[uring->free_op_count]];
    gy_assert(op->req == NULL);
    op->req = req;
    op->generation++;
    op->slot = GY_SLOT_NONE;
    count_busy(uring, req, 1);
    return op;
}

static void
op_drop(struct gy_uring *uring, struct gy_uring_op *op)
{
    gy_assert(op->req != NULL && uring->free_op_count < uring->op_count_max);
    count_busy(uring, op->req, UINT32_MAX);
    op->req = NULL;
    uring->free_ops[uring->free_op_count] = (uint32_t)(op - uring->ops);
    uring->free_op_count++;
}

static void
finish(struct gy_uring *uring, struct gy_req *req, int32_t result)
{
    req->result = result;
    gy_list_push_back(&uring->done, &req->link);
}

/* ---- Entering the kernel ---- */

static bool
has_news(const struct gy_uring *uring)
{
    const unsigned flags = IO_URING_READ_ONCE(*uring->ring.sq.kflags);

    if (io_uring_cq_ready(&uring->ring) != 0) {
        return true;
    }
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

/* Errors that pass: out of resources for the moment, or a signal. Everything else would be a bug of
 * ours (another thread, a closed ring). The entries stay queued. */
static void
check_enter(int result)
{
    gy_assert(result >= 0 || result == -EAGAIN || result == -EBUSY || result == -EINTR ||
              result == -ENOMEM || result == -ETIME);
}

static void
enter_submit(struct gy_uring *uring)
{
    uring->posix.world.info.enter_count++;
    check_enter(io_uring_submit(&uring->ring));
}

static void
enter_look(struct gy_uring *uring)
{
    uring->posix.world.info.enter_count++;
    check_enter(io_uring_submit_and_get_events(&uring->ring));
}

/* How many completions to sleep for. Many reads in flight are cheaper to take by the handful; a log
 * write or a sync is never kept waiting for others. */
static unsigned
wait_count(const struct gy_uring *uring)
{
    if (uring->busy_urgent != 0 || uring->busy_reads < READS_FOR_BATCH_WAIT) {
        return 1;
    }
    return (unsigned)gy_min_u64(uring->busy_reads / 4, WAIT_COUNT_MAX);
}

static enum wait_end
enter_wait(struct gy_uring *uring, uint64_t deadline_ns)
{
    struct __kernel_timespec ts = {0, 0};
    struct io_uring_cqe *cqe = NULL;
    int result;

    if (deadline_ns != GY_NEVER) {
        const uint64_t left = gy_sub_sat(deadline_ns, gy_posix_now_ns(&uring->posix.world));

        if (left == 0) {
            enter_look(uring);
            return WAIT_OVER;
        }
        ts.tv_sec = (long long)(left / GY_NS_PER_S);
        ts.tv_nsec = (long long)(left % GY_NS_PER_S);
    }
    uring->posix.world.info.enter_count++;
    result = io_uring_submit_and_wait_timeout(&uring->ring, &cqe, wait_count(uring),
                                              deadline_ns != GY_NEVER ? &ts : NULL, NULL);
    check_enter(result);
    return result == -ETIME || result == -EINTR ? WAIT_OVER : WAIT_MORE;
}

/* ---- Submitting ---- */

static bool
has_names(const struct gy_req *req)
{
    return req->op == GY_OP_OPEN || req->op == GY_OP_RENAME || req->op == GY_OP_UNLINK ||
           req->op == GY_OP_LINK;
}

static bool
is_plain(const struct gy_uring *uring, const struct gy_req *req)
{
    return !uring->can[req->op] || (has_names(req) && gy_posix_check_names(req) != 0);
}

/* False: there is no record, no entry or no slot just now. */
static bool
start(struct gy_uring *uring, struct gy_req *req)
{
    struct io_uring_sqe *sqe;
    struct gy_uring_op *op;

    op = op_take(uring, req);
    if (op == NULL) {
        return false;
    }
    sqe = io_uring_get_sqe(&uring->ring);
    if (sqe == NULL) {
        enter_submit(uring);
        sqe = io_uring_get_sqe(&uring->ring);
    }
    if (sqe == NULL) {
        op_drop(uring, op);
        return false;
    }
    if (req->op == GY_OP_OPEN) {
        op->slot = gy_posix_slot_take(&uring->posix);
        if (op->slot == GY_SLOT_NONE) { /* the entry is taken: it has to be something */
            io_uring_prep_nop(sqe);
            io_uring_sqe_set_data64(sqe, gy_uring_user_data(uring, op));
            return true;
        }
    }
    gy_uring_prepare(uring, sqe, op);
    return true;
}

static void
start_backlog(struct gy_uring *uring)
{
    struct gy_list *node;

    while ((node = gy_list_pop_front(&uring->backlog)) != NULL) {
        struct gy_req *req = gy_container_of(node, struct gy_req, link);

        if (!start(uring, req)) {
            gy_list_push_front(&uring->backlog, node);
            return;
        }
    }
}

static void
uring_submit(struct gy_world *world, struct gy_req *req)
{
    struct gy_uring *uring = gy_uring_of(world);

    gy_assert(req->op < GY_OP_COUNT && req->klass < GY_IO_CLASS_COUNT);
    world->info.request_count++;
    world->in_flight++;
    req->world_private[0] = 0; /* retries */
    if (is_plain(uring, req)) {
        gy_list_push_back(&uring->plain, &req->link);
        return;
    }
    if (is_log_op(req)) { /* overtakes what waits for an entry */
        if (!start(uring, req)) {
            gy_list_push_front(&uring->backlog, &req->link);
        }
        enter_submit(uring);
        return;
    }
    if (!gy_list_is_empty(&uring->backlog) || !start(uring, req)) {
        gy_list_push_back(&uring->backlog, &req->link);
    }
    if (io_uring_sq_ready(&uring->ring) >= SUBMIT_BATCH) {
        enter_submit(uring);
    }
}

/* ---- Completions ---- */

static void
finish_open(struct gy_uring *uring, struct gy_req *req, uint32_t slot, int32_t result)
{
    if (slot == GY_SLOT_NONE) {
        finish(uring, req, -EMFILE);
        return;
    }
    if (result < 0) {
        gy_posix_slot_drop(&uring->posix, slot);
        finish(uring, req, result);
        return;
    }
    result = gy_posix_opened(&uring->posix, req, slot, result);
    if (result >= 0 && (req->flags & GY_OPEN_DIRECTORY) == 0 &&
        uring->posix.world.info.has_registered_files) {
        struct gy_posix_file *file = &uring->posix.files[slot];

        /* The LOCK file too: the ring then holds the lock of a killed process until its last write
         * has landed. */
        file->is_registered = io_uring_register_files_update(&uring->ring, slot, &file->fd, 1) == 1;
    }
    finish(uring, req, result);
}

static void
complete(struct gy_uring *uring, uint64_t user_data, int32_t result)
{
    const uint32_t index = (uint32_t)user_data;
    struct gy_uring_op *op;
    struct gy_req *req;
    uint32_t slot;

    gy_assert(index < uring->op_count_max);
    op = &uring->ops[index];
    req = op->req;
    slot = op->slot;
    gy_assert(req != NULL && op->generation == (uint32_t)(user_data >> 32)); /* U1 */
    op_drop(uring, op);
    if (gy_world_retries((enum gy_op)req->op, &result, &req->world_private[0])) {
        if (slot != GY_SLOT_NONE) {
            gy_posix_slot_drop(&uring->posix, slot);
        }
        gy_list_push_back(&uring->backlog, &req->link);
        return;
    }
    if (req->op == GY_OP_CLOSE) {
        gy_posix_slot_drop(&uring->posix, req->slot); /* whatever close() says */
        finish(uring, req, result);
        return;
    }
    if (req->op == GY_OP_OPEN) {
        finish_open(uring, req, slot, result);
        return;
    }
    if (req->op == GY_OP_ALLOCATE && result == -EOPNOTSUPP) {
        result = gy_posix_allocate_plainly(gy_posix_fd(&uring->posix, req->slot), req->offset);
    }
    finish(uring, req, result);
}

static uint32_t
drain_once(struct gy_uring *uring)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    uint32_t count = 0;

    io_uring_for_each_cqe(&uring->ring, head, cqe)
    {
        complete(uring, cqe->user_data, cqe->res);
        count++;
    }
    io_uring_cq_advance(&uring->ring, count);
    return count;
}

static void
drain(struct gy_uring *uring)
{
    for (uint32_t pass = 0; pass < DRAIN_PASSES_MAX; pass++) {
        (void)drain_once(uring);
        if (!has_news(uring)) {
            return;
        }
        enter_look(uring);
    }
    (void)drain_once(uring);
}

static void
run_plain(struct gy_uring *uring)
{
    struct gy_list *node;

    while ((node = gy_list_pop_front(&uring->plain)) != NULL) {
        struct gy_req *req = gy_container_of(node, struct gy_req, link);

        if (req->op == GY_OP_CLOSE && uring->posix.files[req->slot].is_registered) {
            int none = -1;

            (void)io_uring_register_files_update(&uring->ring, req->slot, &none, 1);
        }
        finish(uring, req, gy_posix_run(&uring->posix, req));
    }
}

/* Enter if there is anything to enter for, and take what has completed. */
static enum wait_end
turn(struct gy_uring *uring, bool wait, uint64_t deadline_ns)
{
    enum wait_end end = WAIT_OVER;

    if (wait) {
        end = enter_wait(uring, deadline_ns);
    } else if (io_uring_sq_ready(&uring->ring) != 0 ||
               (uring->busy_count != 0 && (!uring->has_task_flag || has_news(uring)))) {
        enter_look(uring);
    }
    drain(uring);
    start_backlog(uring); /* records are free again */
    return end;
}

/* Without FUA the flush behind a durable write is started by a kernel worker on our CPU: p50 beside
 * a busy thread is 4.0 ms without this call and 0.13 ms with it. */
static void
yield_to_workers(struct gy_uring *uring)
{
    const uint64_t begun_ns = gy_posix_now_ns(&uring->posix.world);
    uint64_t took_ns;

    if (begun_ns < uring->yield_from_ns) {
        return;
    }
    (void)sched_yield();
    took_ns = gy_posix_now_ns(&uring->posix.world) - begun_ns;
    if (took_ns > YIELD_LONG_NS) {
        uring->yield_from_ns = begun_ns + took_ns + YIELD_REST * took_ns;
    }
}

static void
uring_reap(struct gy_world *world, struct gy_list *finished, bool wait, bool runnable,
           uint64_t deadline_ns)
{
    struct gy_uring *uring = gy_uring_of(world);
    struct gy_list *node;
    enum wait_end end;

    run_plain(uring);
    start_backlog(uring);
    if (runnable && uring->busy_syncs != 0) {
        yield_to_workers(uring);
    }
    do {
        wait = wait && gy_list_is_empty(&uring->done);
        if (uring->busy_count == 0 && gy_list_is_empty(&uring->backlog)) {
            if (wait && deadline_ns != GY_NEVER) {
                gy_posix_sleep_until(deadline_ns);
            }
            break;
        }
        end = turn(uring, wait, deadline_ns);
    } while (wait && end == WAIT_MORE);
    if (io_uring_sq_ready(&uring->ring) != 0 && !gy_list_is_empty(&uring->done)) {
        enter_submit(uring); /* entries made from the backlog have waited long enough */
    }
    while ((node = gy_list_pop_front(&uring->done)) != NULL) {
        world->in_flight--;
        gy_list_push_back(finished, node);
    }
}

static void
uring_refresh_info(struct gy_world *world)
{
    world->info.worker_count = gy_posix_count_threads("iou-wrk");
}

/* ---- Open and close ---- */

static void
uring_close(struct gy_world *world)
{
    struct gy_uring *uring = gy_uring_of(world);
    struct gy_heap *heap = uring->posix.heap;

    gy_assert(world->in_flight == 0 && uring->busy_count == 0);
    gy_uring_close_ring(uring);
    gy_uring_memory_fini(uring);
    gy_posix_fini(&uring->posix);
    gy_heap_free(heap, uring->ops);
    gy_heap_free(heap, uring->free_ops);
    gy_heap_free(heap, uring);
}

/* ---- A host that polls ---- */

static int
uring_wake_fd(struct gy_world *world)
{
    struct gy_uring *uring = gy_uring_of(world);
    const bool is_new = !uring->posix.wake.is_open;
    const int fd = gy_posix_wake_fd(world);
    int result;

    if (fd < 0 || !is_new) {
        return fd;
    }
    result = io_uring_register_eventfd(&uring->ring, uring->posix.wake.event);
    if (result < 0) {
        gy_posix_wake_fini(&uring->posix);
        return result;
    }
    return fd;
}

static void
uring_wake_drain(struct gy_world *world)
{
    struct gy_uring *uring = gy_uring_of(world);

    (void)io_uring_cq_eventfd_toggle(&uring->ring, false); /* a word that the kernel looks at */
    gy_posix_wake_drain(world);
}

static void
uring_wake_at(struct gy_world *world, uint64_t at_ns)
{
    struct gy_uring *uring = gy_uring_of(world);
    bool is_late;

    (void)io_uring_cq_eventfd_toggle(&uring->ring, true);
    io_uring_smp_mb(); /* before the look: nothing is missed between */
    /* The kernel queues its work first and sets the flag after, so the flag may stand for work that
     * we have taken: with nothing of ours in the kernel nobody would ever clear it. */
    is_late = (uring->busy_count != 0 && has_news(uring)) || !gy_list_is_empty(&uring->plain) ||
              !gy_list_is_empty(&uring->done) || io_uring_sq_ready(&uring->ring) != 0;
    gy_posix_wake_at(world, is_late ? 0 : at_ns);
}

static const struct gy_world_ops uring_ops = {
    .submit = uring_submit,
    .reap = uring_reap,
    .now_ns = gy_posix_now_ns,
    .cpu_ns = gy_posix_cpu_ns,
    .wall_us = gy_posix_wall_us,
    .random = gy_posix_random,
    .arena_add = gy_uring_arena_add,
    .boot_id = gy_posix_boot_id,
    .stage_create = gy_uring_stage_create,
    .stage_open = gy_posix_stage_open,
    .stage_close = gy_uring_stage_close,
    .close = uring_close,
    .arena_remove = gy_uring_arena_remove,
    .refresh_info = uring_refresh_info,
    .wake_fd = uring_wake_fd,
    .wake_drain = uring_wake_drain,
    .wake_at = uring_wake_at,
};

static gyre_status
ops_init(struct gy_uring *uring)
{
    struct gy_heap *heap = uring->posix.heap;
    const uint32_t count = uring->op_count_max;

    uring->ops = gy_heap_zalloc(heap, count * sizeof(uring->ops[0]), GY_MEM_LOOP);
    uring->free_ops = gy_heap_alloc(heap, count * sizeof(uring->free_ops[0]), GY_MEM_LOOP);
    if (uring->ops == NULL || uring->free_ops == NULL) {
        return GYRE_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        uring->free_ops[i] = count - 1 - i;
    }
    uring->free_op_count = count;
    return GYRE_OK;
}

static gyre_status
open_parts(struct gy_uring *uring, const struct gy_world_config *config, struct gy_heap *heap,
           char ret_reason[160])
{
    gyre_status st = gy_posix_init(&uring->posix, config, heap);

    if (st != GYRE_OK) {
        return st;
    }
    uring->sync_by_worker = config->sync_by_worker;
    uring->op_count_max = uring->posix.world.info.in_flight_max + OPS_BESIDE;
    st = ops_init(uring);
    if (st != GYRE_OK) {
        return st;
    }
    st = gy_uring_setup(uring, 2 * uring->op_count_max, ret_reason); /* U2 */
    if (st != GYRE_OK) {
        return st;
    }
    if (!config->no_registration) {
        uring->posix.world.info.has_registered_files =
            io_uring_register_files_sparse(&uring->ring, uring->posix.file_count_max) == 0;
    }
    return gy_uring_memory_init(uring, !config->no_registration);
}

gyre_status
gy_world_uring_open(const struct gy_world_config *config, struct gy_heap *heap,
                    char ret_reason[160], struct gy_world **ret_world)
{
    struct gy_uring *uring = gy_heap_zalloc(heap, sizeof(*uring), GY_MEM_LOOP);
    struct gy_world *world;
    gyre_status st;

    if (uring == NULL) {
        return GYRE_NO_MEMORY;
    }
    gy_list_init(&uring->backlog);
    gy_list_init(&uring->plain);
    gy_list_init(&uring->done);
    world = &uring->posix.world;
    world->ops = &uring_ops;
    world->info.name = "io_uring";
    world->info.in_flight_max =
        config->in_flight_max != 0 ? config->in_flight_max : IN_FLIGHT_DEFAULT;
    uring->posix.heap = heap;
    st = open_parts(uring, config, heap, ret_reason);
    if (st != GYRE_OK) {
        uring_close(world);
        return st;
    }
    *ret_world = world;
    return GYRE_OK;
}
