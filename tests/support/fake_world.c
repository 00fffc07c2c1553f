/* fake_world.c - see fake_world.h. */
#include "tests/support/fake_world.h"

#include <string.h>

#include "io/base/assert.h"
#include "io/co/sched.h"

static struct fake_world *
fake_of(struct gy_world *world)
{
    return gy_container_of(world, struct fake_world, world);
}

static void
fake_submit(struct gy_world *world, struct gy_req *req)
{
    struct fake_world *fake = fake_of(world);

    gy_assert(fake->log_count < FAKE_LOG_MAX);
    fake->log[fake->log_count] = req->klass;
    fake->log_op[fake->log_count] = req->op;
    fake->log_count++;
    world->in_flight++;
    world->info.request_count++;
    gy_list_push_back(&fake->pending, &req->link);
    fake->pending_count++;
    if (fake->pending_count > fake->pending_max) {
        fake->pending_max = fake->pending_count;
    }
}

static int32_t
answer_default(const struct gy_req *req)
{
    return req->op == GY_OP_READ || req->op == GY_OP_WRITE ? (int32_t)req->size : 0;
}

static void
fake_reap(struct gy_world *world, struct gy_list *finished, bool wait, bool runnable,
          uint64_t deadline_ns)
{
    struct fake_world *fake = fake_of(world);
    uint32_t left = fake->answers_per_reap != 0 ? fake->answers_per_reap : UINT32_MAX;
    struct gy_list *node;

    (void)runnable;
    fake->wait_count += wait;
    fake->look_count += !wait;
    if (fake->is_held || gy_list_is_empty(&fake->pending)) {
        if (wait) {
            gy_assert(deadline_ns != GY_NEVER);
            fake->now_ns = deadline_ns > fake->now_ns ? deadline_ns : fake->now_ns;
        }
        return;
    }
    while (left-- > 0 && (node = gy_list_pop_front(&fake->pending)) != NULL) {
        struct gy_req *req = gy_container_of(node, struct gy_req, link);

        fake->now_ns += 1000; /* one after the other, a microsecond each */
        req->result = fake->answer != NULL ? fake->answer(fake->arg, req) : answer_default(req);
        fake->pending_count--;
        world->in_flight--;
        gy_list_push_back(finished, node);
    }
}

static uint64_t
fake_now(struct gy_world *world)
{
    return fake_of(world)->now_ns;
}

static uint64_t
fake_random(struct gy_world *world)
{
    (void)world;
    return 4; /* chosen by fair dice roll */
}

static void
fake_arena_add(struct gy_world *world, void *base, size_t size)
{
    (void)base;
    (void)size;
    fake_of(world)->arena_add_count++;
}

static void
fake_arena_remove(struct gy_world *world, void *base, size_t size)
{
    (void)base;
    fake_of(world)->arena_remove_count++;
    fake_of(world)->arena_removed_size = size;
}

static void
fake_close(struct gy_world *world)
{
    gy_assert(world->in_flight == 0);
    fake_of(world)->was_closed = true;
}

static const struct gy_world_ops fake_ops = {
    .submit = fake_submit,
    .reap = fake_reap,
    .now_ns = fake_now,
    .cpu_ns = fake_now,
    .wall_us = fake_now,
    .random = fake_random,
    .arena_add = fake_arena_add,
    .arena_remove = fake_arena_remove,
    .close = fake_close,
};

void
fake_world_init(struct fake_world *fake, uint32_t in_flight_max)
{
    memset(fake, 0, sizeof(*fake));
    gy_list_init(&fake->pending);
    fake->world.ops = &fake_ops;
    fake->world.info.name = "fake";
    fake->world.info.in_flight_max = in_flight_max;
    fake->now_ns = 1000000;
}
