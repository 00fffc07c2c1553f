/* world_calls.c - see world_calls.h. */
#include "tests/support/world_calls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/base/assert.h"
#include "io/base/bits.h"

#define PATIENCE_NS (20ull * GY_NS_PER_S)

struct gy_req
world_req(enum gy_op op, enum gy_io_class klass)
{
    struct gy_req req;

    memset(&req, 0, sizeof(req));
    req.op = (uint8_t)op;
    req.klass = (uint8_t)klass;
    req.slot = GY_SLOT_NONE;
    req.result = WORLD_CALL_PENDING;
    return req;
}

void
world_submit(struct gy_world *world, struct gy_req *req)
{
    const uint32_t in_flight = world->in_flight;

    gy_list_init(&req->link);
    req->result = WORLD_CALL_PENDING;
    req->done = false;
    world->ops->submit(world, req);
    assert_int_equal(req->result, WORLD_CALL_PENDING); /* S1 */
    assert_int_equal(world->in_flight, in_flight + 1);
}

void
world_reap(struct gy_world *world, uint32_t count)
{
    const uint64_t deadline_ns = world->ops->now_ns(world) + PATIENCE_NS;
    struct gy_list finished;
    struct gy_list *node;

    gy_list_init(&finished);
    while (count > 0) {
        assert_true(world->ops->now_ns(world) < deadline_ns);
        world->ops->reap(world, &finished, true, false, deadline_ns);
        while ((node = gy_list_pop_front(&finished)) != NULL) {
            struct gy_req *req = gy_container_of(node, struct gy_req, link);

            assert_true(count > 0);
            assert_false(req->done); /* S2 */
            assert_int_not_equal(req->result, WORLD_CALL_PENDING);
            req->done = true;
            count--;
        }
    }
}

int32_t
world_call(struct gy_world *world, struct gy_req *req)
{
    const uint32_t in_flight = world->in_flight;

    world_submit(world, req);
    world_reap(world, 1);
    assert_true(req->done);
    assert_int_equal(world->in_flight, in_flight);
    assert_int_not_equal(req->result, -EINTR); /* S3 */
    return req->result;
}

int32_t
world_open(struct gy_world *world, uint32_t dir, const char *name, uint32_t flags)
{
    struct gy_req req = world_req(GY_OP_OPEN, GY_IO_META);

    req.dir = dir;
    req.name = name;
    req.flags = (uint8_t)flags;
    return world_call(world, &req);
}

int32_t
world_close(struct gy_world *world, int32_t slot)
{
    return world_slot_op(world, GY_OP_CLOSE, slot, 0);
}

int32_t
world_slot_op(struct gy_world *world, enum gy_op op, int32_t slot, uint64_t offset)
{
    struct gy_req req = world_req(op, GY_IO_META);

    assert_true(slot >= 0);
    req.slot = (uint32_t)slot;
    req.offset = offset;
    return world_call(world, &req);
}

int32_t
world_lock(struct gy_world *world, int32_t slot, uint8_t flags)
{
    struct gy_req req = world_req(GY_OP_LOCK, GY_IO_META);

    assert_true(slot >= 0);
    req.slot = (uint32_t)slot;
    req.flags = flags;
    return world_call(world, &req);
}

int32_t
world_name_op(struct gy_world *world, enum gy_op op, uint32_t dir, const char *name,
              const char *name_new)
{
    struct gy_req req = world_req(op, GY_IO_META);

    req.dir = dir;
    req.name = name;
    req.name_new = name_new;
    return world_call(world, &req);
}

int32_t
world_link(struct gy_world *world, uint32_t dir, const char *name, uint32_t dir_new,
           const char *name_new)
{
    struct gy_req req = world_req(GY_OP_LINK, GY_IO_META);

    req.dir = dir;
    req.name = name;
    req.dir_new = dir_new;
    req.name_new = name_new;
    return world_call(world, &req);
}

uint64_t
world_size(struct gy_world *world, int32_t slot)
{
    struct gy_req req = world_req(GY_OP_STAT, GY_IO_META);

    assert_true(slot >= 0);
    req.slot = (uint32_t)slot;
    assert_int_equal(world_call(world, &req), 0);
    return req.ret_size;
}

void
world_write(struct gy_world *world, int32_t slot, uint64_t offset, const void *bytes, uint32_t size,
            uint8_t flags)
{
    uint32_t have = 0;

    assert_true(slot >= 0);
    for (uint32_t tries = 0; have < size; tries++) {
        const uint32_t from = (uint32_t)gy_align_down(have, GY_PAGE);
        struct gy_req req = world_req(GY_OP_WRITE, GY_IO_FLUSH);

        assert_true(tries < 1000);
        req.slot = (uint32_t)slot;
        req.buffer = (uint8_t *)(uintptr_t)bytes + from;
        req.size = size - from;
        req.offset = offset + from;
        req.flags = flags;
        assert_true(world_call(world, &req) >= 0);
        assert_true((uint32_t)req.result <= req.size);
        have = (uint32_t)gy_max_u64(have, from + (uint32_t)req.result);
    }
}

uint32_t
world_read(struct gy_world *world, int32_t slot, uint64_t offset, void *bytes, uint32_t size)
{
    const uint64_t file_size = world_size(world, slot);
    const uint32_t wanted = (uint32_t)gy_min_u64(size, offset < file_size ? file_size - offset : 0);
    uint32_t have = 0;

    for (uint32_t tries = 0; have < wanted || tries == 0; tries++) {
        const uint32_t from = (uint32_t)gy_align_down(have, GY_PAGE);
        struct gy_req req = world_req(GY_OP_READ, GY_IO_READ);

        assert_true(tries < 1000);
        req.slot = (uint32_t)slot;
        req.buffer = (uint8_t *)bytes + from;
        req.size = size - from;
        req.offset = offset + from;
        assert_true(world_call(world, &req) >= 0);
        assert_true((uint32_t)req.result <= req.size);
        assert_true(from + (uint32_t)req.result <= wanted); /* nothing behind the end */
        have = (uint32_t)gy_max_u64(have, from + (uint32_t)req.result);
    }
    return have;
}

void
world_pattern(uint8_t *bytes, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)gy_mix64(seed * 1000003 + i);
    }
}

uint8_t *
world_pages(size_t size)
{
    uint8_t *pages = aligned_alloc(GY_PAGE, gy_align_up(size, GY_PAGE));

    assert_non_null(pages);
    memset(pages, 0xee, gy_align_up(size, GY_PAGE));
    return pages;
}
