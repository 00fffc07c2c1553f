/* world_sync.c - the world of blocking calls: for containers that forbid io_uring, and for
 * debugging.
 *
 * A request waits in `queue` from submit to reap, which runs one and returns it: everybody who is
 * runnable gets the CPU between two blocking calls, as with a ring.
 *   B1  The next one is the first of the most important class; every AGE_ROUND-th time it is the
 *       oldest, so that no class waits for ever.
 * Few requests are taken (IN_FLIGHT_DEFAULT): what waits in the loop can still be overtaken by
 * class.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <string.h>

#include "io/base/assert.h"
#include "io/co/sched.h"
#include "io/posix.h"

#define IN_FLIGHT_DEFAULT 16u
#define AGE_ROUND 4u

struct sync_world {
    struct gy_posix posix; /* first: gy_world is its first member */
    struct gy_list queue;
    uint32_t age;
};

static struct sync_world *
sync_of(struct gy_world *world)
{
    return gy_container_of(world, struct sync_world, posix.world);
}

static void
sync_submit(struct gy_world *world, struct gy_req *req)
{
    struct sync_world *sync = sync_of(world);

    gy_assert(req->op < GY_OP_COUNT && req->klass < GY_IO_CLASS_COUNT);
    world->info.request_count++;
    world->in_flight++;
    gy_list_push_back(&sync->queue, &req->link);
}

static struct gy_req *
pick(struct sync_world *sync)
{
    struct gy_req *best = NULL;

    sync->age++;
    gy_list_for_each (node, &sync->queue) {
        struct gy_req *req = gy_container_of(node, struct gy_req, link);

        if (best == NULL || req->klass < best->klass) {
            best = req;
        }
        if (sync->age % AGE_ROUND == 0 && best->klass != GY_IO_WAL) {
            break; /* B1: the oldest */
        }
    }
    return best;
}

static void
sync_reap(struct gy_world *world, struct gy_list *finished, bool wait, bool runnable,
          uint64_t deadline_ns)
{
    struct sync_world *sync = sync_of(world);
    struct gy_req *req = pick(sync);

    (void)runnable;
    if (req == NULL) {
        if (wait && deadline_ns != GY_NEVER) {
            gy_posix_sleep_until(deadline_ns);
        }
        return;
    }
    gy_list_remove(&req->link);
    req->result = gy_posix_run(&sync->posix, req);
    world->info.enter_count++;
    world->in_flight--;
    gy_list_push_back(finished, &req->link);
}

static void
sync_arena_add(struct gy_world *world, void *base, size_t size)
{
    (void)world;
    (void)base;
    (void)size; /* there is nothing to register with */
}

static void
sync_close(struct gy_world *world)
{
    struct sync_world *sync = sync_of(world);

    gy_assert(world->in_flight == 0 && gy_list_is_empty(&sync->queue));
    gy_posix_fini(&sync->posix);
    gy_heap_free(sync->posix.heap, sync);
}

/* What is queued is done by reap(): the host has to come for it. */
static void
sync_wake_at(struct gy_world *world, uint64_t at_ns)
{
    gy_posix_wake_at(world, gy_list_is_empty(&sync_of(world)->queue) ? at_ns : 0);
}

static const struct gy_world_ops sync_ops = {
    .submit = sync_submit,
    .reap = sync_reap,
    .now_ns = gy_posix_now_ns,
    .cpu_ns = gy_posix_cpu_ns,
    .wall_us = gy_posix_wall_us,
    .random = gy_posix_random,
    .arena_add = sync_arena_add,
    .boot_id = gy_posix_boot_id,
    .stage_create = gy_posix_stage_create,
    .stage_open = gy_posix_stage_open,
    .stage_close = gy_posix_stage_close,
    .close = sync_close,
    .wake_fd = gy_posix_wake_fd,
    .wake_drain = gy_posix_wake_drain,
    .wake_at = sync_wake_at,
};

gyre_status
gy_world_sync_open(const struct gy_world_config *config, struct gy_heap *heap,
                   struct gy_world **ret_world)
{
    struct sync_world *sync = gy_heap_zalloc(heap, sizeof(*sync), GY_MEM_LOOP);
    gyre_status st;

    if (sync == NULL) {
        return GYRE_NO_MEMORY;
    }
    gy_list_init(&sync->queue);
    sync->posix.world.ops = &sync_ops;
    sync->posix.world.info.name = "sync";
    sync->posix.world.info.in_flight_max =
        config->in_flight_max != 0 ? config->in_flight_max : IN_FLIGHT_DEFAULT;
    st = gy_posix_init(&sync->posix, config, heap);
    if (st != GYRE_OK) {
        gy_heap_free(heap, sync);
        return st;
    }
    *ret_world = &sync->posix.world;
    return GYRE_OK;
}
