/* table_output.c - the stream of bytes of a table; see table_output.h for U1 and U2. */
#include "engine/disk/table_output.h"

#include <string.h>

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"
#include "io/base/ban.h"

#define ALLOCATE_STEP (8u * GY_MIB)
/* A small table that comes out larger than expected does not ask for a hundred times its size. */
#define ALLOCATE_SHARE 4u
#define SYNC_STEP (16u * GY_MIB) /* keeps the last fdatasync short; see IO rule 31 */

gyre_status
gy_table_output_await_open(struct gy_table_output *output, struct gy_loop *loop,
                           struct gy_arena *arena, const struct gy_file *dir, const char *name,
                           uint64_t size_expected, enum gy_io_class klass)
{
    const uint64_t size = gy_align_up(gy_max_u64(size_expected, GY_PAGE), GY_PAGE);
    gyre_status st;

    output->loop = loop;
    output->arena = arena;
    output->dir = dir;
    output->klass = klass;
    output->file = (struct gy_file)GY_FILE_CLOSED;
    output->buffers[0] = gy_arena_await_buffer(arena);
    if (output->buffers[0] == NULL) {
        return gy_fail(&loop->sched, GYRE_NO_MEMORY,
                       "no I/O buffer to write %s: raise memory_limit", name);
    }
    output->buffers[1] = gy_arena_buffer_try(arena);
    st = gy_file_await_open(loop, dir, name, GY_OPEN_CREATE | GY_OPEN_EXCLUSIVE | GY_OPEN_WRITE,
                            klass, &output->file);
    if (st != GYRE_OK) {
        return st;
    }
    st = gy_file_await_allocate(loop, &output->file, size, klass);
    if (st == GYRE_OK) {
        output->allocated = size;
        output->size_max = size;
    }
    return st;
}

/* ---- Requests in flight ---- */

/* The coroutine that waits may be another one than that which submitted: a waiter is set only while
 * it waits. */
GY_SUSPENDS static int32_t
await_request(struct gy_table_output *output, struct gy_req *req)
{
    req->waiter = output->loop->sched.current;
    gy_loop_await_done(output->loop, req);
    req->waiter = NULL;
    return req->result;
}

static void
submit(struct gy_table_output *output, struct gy_req *req)
{
    gy_loop_submit(output->loop, req);
    req->waiter = NULL;
}

static gyre_status
fail_request(struct gy_table_output *output, const struct gy_req *req, const char *what)
{
    const gyre_status st = gy_status_of_errno(-req->result);

    return gy_fail_at(&output->loop->sched, st, output->file.name,
                      req->op == GY_OP_WRITE ? req->offset : GY_NO_OFFSET, -req->result, "%s",
                      what);
}

GY_SUSPENDS static gyre_status
await_write(struct gy_table_output *output, uint32_t index)
{
    struct gy_req *req = &output->writes[index];
    int32_t result;

    if (!output->in_flight[index]) {
        return GYRE_OK;
    }
    result = await_request(output, req);
    output->in_flight[index] = false;
    if (result < 0) {
        return fail_request(output, req, "cannot write");
    }
    if ((uint32_t)result < req->size) { /* short: do it again as a whole */
        return gy_file_await_write(output->loop, &output->file, output->klass, req->buffer,
                                   req->size, req->offset, 0);
    }
    return GYRE_OK;
}

GY_SUSPENDS static gyre_status
await_sync(struct gy_table_output *output)
{
    if (!output->sync_in_flight) {
        return GYRE_OK;
    }
    output->sync_in_flight = false;
    if (await_request(output, &output->sync) < 0) {
        return fail_request(output, &output->sync, "cannot sync");
    }
    return GYRE_OK;
}

/* Every SYNC_STEP bytes push what has been written so far to the device, without waiting: durable
 * is only what the last sync says. */
GY_SUSPENDS static gyre_status
await_step_sync(struct gy_table_output *output)
{
    gyre_status st;

    if (output->base - output->synced < SYNC_STEP) {
        return GYRE_OK;
    }
    st = await_sync(output);
    if (st == GYRE_OK) {
        output->sync = (struct gy_req){
            .op = GY_OP_SYNC, .klass = (uint8_t)output->klass, .slot = output->file.slot};
        submit(output, &output->sync);
        output->sync_in_flight = true;
        output->synced = output->base;
    }
    return st;
}

/* No write may extend the file: that would run in a kernel worker, one after the other. */
GY_SUSPENDS static gyre_status
await_room(struct gy_table_output *output, uint64_t end)
{
    const uint64_t step =
        gy_align_up(gy_min_u64(ALLOCATE_STEP, output->allocated / ALLOCATE_SHARE), GY_PAGE);
    const uint64_t size = gy_max_u64(end, output->allocated + step);
    gyre_status st;

    if (end <= output->allocated) {
        return GYRE_OK;
    }
    output->allocated = size;
    output->size_max = size;
    st = gy_file_await_allocate(output->loop, &output->file, size, output->klass);
    if (st == GYRE_NO_SPACE && size > end) { /* what is really needed may still fit */
        output->allocated = end;
        st = gy_file_await_allocate(output->loop, &output->file, end, output->klass);
    }
    return st;
}

/* Start the write of the current buffer and go on in the other one. */
GY_SUSPENDS static gyre_status
await_flush(struct gy_table_output *output)
{
    const uint32_t index = output->current;
    const uint32_t next = output->buffers[1] != NULL ? 1 - index : index;
    gyre_status st;

    gy_assert(output->fill != 0 && output->fill % GY_PAGE == 0);
    st = await_room(output, output->base + output->fill);
    if (st != GYRE_OK) {
        return st;
    }
    output->writes[index] = (struct gy_req){.op = GY_OP_WRITE,
                                            .klass = (uint8_t)output->klass,
                                            .slot = output->file.slot,
                                            .buffer = output->buffers[index],
                                            .size = output->fill,
                                            .offset = output->base};
    submit(output, &output->writes[index]);
    output->in_flight[index] = true;
    output->base += output->fill;
    output->fill = 0;
    output->current = next;
    st = await_write(output, next);
    if (st == GYRE_OK) {
        st = await_step_sync(output);
    }
    return st;
}

/* ---- Bytes ---- */

gyre_status
gy_table_output_await_append(struct gy_table_output *output, const void *bytes, size_t size)
{
    const uint8_t *at = bytes; /* NULL: zeros */

    while (size != 0 && output->status == GYRE_OK) {
        const size_t part = gy_min_u64(size, GY_BUFFER_SIZE - output->fill);
        uint8_t *target = output->buffers[output->current] + output->fill;

        if (bytes != NULL) {
            memcpy(target, at, part);
            at += part;
        } else {
            memset(target, 0, part);
        }
        output->fill += (uint32_t)part;
        size -= part;
        if (output->fill == GY_BUFFER_SIZE) {
            output->status = await_flush(output);
        }
    }
    return output->status;
}

gyre_status
gy_table_output_await_pad(struct gy_table_output *output)
{
    const uint64_t position = gy_table_output_position(output);

    return gy_table_output_await_append(output, NULL,
                                        (size_t)(gy_align_up(position, GY_PAGE) - position));
}

gyre_status
gy_table_output_await_finish(struct gy_table_output *output)
{
    gyre_status st = output->status;

    if (st == GYRE_OK && output->fill != 0) {
        st = await_flush(output);
    }
    for (uint32_t i = 0; i < 2; i++) { /* also after a failure: nothing may stay in flight */
        st = gy_first(st, await_write(output, i));
    }
    st = gy_first(st, await_sync(output));
    if (st == GYRE_OK && output->size_max != output->base) {
        st = gy_file_await_truncate(output->loop, &output->file, output->base);
    }
    if (st == GYRE_OK && !GY_MUTANT(table_not_synced)) {
        st = gy_file_await_sync(output->loop, &output->file, output->klass);
    }
    output->status = st;
    return st;
}

void
gy_table_output_await_close(struct gy_table_output *output, bool keep)
{
    const bool has_file = output->loop != NULL && output->file.slot != GY_SLOT_NONE;

    if (output->loop == NULL) {
        return;
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (output->in_flight[i]) {
            (void)await_request(output,
                                &output->writes[i]); /* the buffer is the device's until then */
            output->in_flight[i] = false;
        }
        gy_arena_buffer_put(output->arena, output->buffers[i]);
        output->buffers[i] = NULL;
    }
    if (output->sync_in_flight) {
        (void)await_request(output, &output->sync);
        output->sync_in_flight = false;
    }
    if (has_file) {
        /* A close that fails says nothing about data that was synced, and nothing about what is
         * removed. */
        (void)gy_file_await_close(output->loop, &output->file);
        if (!keep) {
            /* One that stays is an orphan: removed when the store is opened next. */
            const gyre_status st =
                gy_file_await_unlink(output->loop, output->dir, output->file.name);

            (void)st;
        }
    }
    output->loop = NULL;
}
