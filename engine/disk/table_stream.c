/* table_stream.c - reading ahead of a cursor in large spans, two in flight; see table_open.h.
 *
 * A plan runs ahead of the cursor: its own place in the top index and in a partition. A span covers
 * data blocks that lie next to each other in the file and belong to one partition, so it ends at
 * the end of a block and no block lies in two spans. Partitions come through the cache, the next
 * one while the blocks of this one are read.
 *   R1  When the plan cannot go on (end, damage, no memory) it just ends: the cursor, which follows
 *       its own index, then asks the cache for its block and gets the error there.
 */
#include <string.h>

#include "engine/disk/table_open.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/ban.h"

#define SPAN_SIZE_MIN (32u * GY_KIB)

/* ---- Spans ---- */

void
gy_table_span_free(struct gy_table_set *set, struct gy_table_span *span)
{
    gy_arena_buffer_return(set->arena, span->buffer);
    gy_heap_free(&set->loop->heap, span);
}

static struct gy_table_span *
make_span(struct gy_table_set *set)
{
    struct gy_table_span *span = gy_heap_zalloc(&set->loop->heap, sizeof(*span), GY_MEM_CALL);

    if (span == NULL) {
        return NULL;
    }
    gy_list_init(&span->link);
    span->buffer = gy_arena_buffer_lend(set->arena);
    if (span->buffer == NULL) {
        gy_heap_free(&set->loop->heap, span);
        return NULL;
    }
    return span;
}

/* Wait for the read of a span; what did not come is not in it (R1). */
GY_SUSPENDS static void
await_span(struct gy_table_stream *stream, struct gy_table_span *span)
{
    struct gy_loop *loop = stream->table->set->loop;

    if (!span->in_flight) {
        return;
    }
    /* The coroutine that moves the cursor now may be another one than that which started the read.
     * */
    span->req.waiter = loop->sched.current;
    gy_loop_await_done(loop, &span->req);
    span->req.waiter = NULL;
    span->in_flight = false;
    if (span->req.result < 0) {
        span->size = 0;
    } else if ((uint32_t)span->req.result < span->size) {
        span->size = (uint32_t)span->req.result;
    }
}

/* ---- The plan ---- */

static bool
decode_handle(const struct gy_table_stream *stream, const struct gy_block_iter *iter,
              struct gy_block_handle *ret_handle)
{
    return gy_block_handle_decode(iter->entry.value, stream->table->opened->footer.file_size,
                                  ret_handle) == GYRE_OK;
}

static void
end_plan(struct gy_table_stream *stream)
{
    stream->ended = true;
    gy_cache_unpin(stream->table->set->cache, &stream->pin);
}

/* The partition after the planned one will be wanted soon. */
static void
prefetch_partition(struct gy_table_stream *stream)
{
    struct gy_block_iter next = stream->top;
    struct gy_block_handle handle;

    gy_block_iter_next(&next);
    if (next.valid && decode_handle(stream, &next, &handle)) {
        gy_cache_prefetch(stream->table->set->cache, &stream->table->opened->source, handle,
                          GY_BLOCK_PARTITION, stream->hint);
    }
}

/* Go to the first data block of the next partition. */
GY_SUSPENDS static void
await_next_partition(struct gy_table_stream *stream)
{
    struct gy_block_handle handle;
    struct gy_partition partition;

    gy_cache_unpin(stream->table->set->cache, &stream->pin);
    gy_block_iter_next(&stream->top);
    if (!stream->top.valid || !decode_handle(stream, &stream->top, &handle) ||
        gy_table_await_partition(stream->table, handle, stream->hint, stream->klass, &stream->pin,
                                 &partition) != GYRE_OK) {
        end_plan(stream);
        return;
    }
    gy_block_iter_init(&stream->index, &partition.index, NULL, 0);
    gy_block_iter_first(&stream->index);
    if (!stream->index.valid) {
        end_plan(stream);
        return;
    }
    prefetch_partition(stream);
}

/* Extend [*offset, *end) by the planned block and those after it while they fit, stopping at the
 * partition's end. */
static void
plan_blocks(struct gy_table_stream *stream, uint64_t *offset, uint64_t *end)
{
    struct gy_block_handle handle;

    while (stream->index.valid && decode_handle(stream, &stream->index, &handle)) {
        const uint64_t block_end = gy_align_up(handle.offset + handle.size, GY_PAGE);

        if (*end == 0) {
            *offset = gy_align_down(handle.offset, GY_PAGE);
            if (block_end - *offset > GY_BUFFER_SIZE) { /* the cache reads it */
                gy_block_iter_next(&stream->index);
                return;
            }
        } else if (handle.offset < *offset || block_end - *offset > stream->span_size) {
            return;
        }
        *end = gy_max_u64(*end, block_end);
        gy_block_iter_next(&stream->index);
    }
}

/* Start reading what comes next into the span; it stays empty when the plan has ended. */
GY_SUSPENDS static void
await_fill(struct gy_table_stream *stream, struct gy_table_span *span)
{
    const struct gy_table *table = stream->table;
    uint64_t offset = 0;
    uint64_t end = 0;

    gy_assert(!span->in_flight);
    span->size = 0;
    while (!stream->ended && end == 0) {
        if (!stream->index.valid) { /* at its end, or damaged: then the next partition is as good */
            await_next_partition(stream);
            continue;
        }
        if (stream->stop_at_cached) {
            struct gy_block_handle handle;

            if (decode_handle(stream, &stream->index, &handle) &&
                gy_cache_has(table->set->cache, table->cache_id, handle.offset)) {
                end_plan(stream);
                return;
            }
        }
        plan_blocks(stream, &offset, &end);
        if (end == 0 && stream->index.valid) {
            struct gy_block_handle handle;

            if (!decode_handle(stream, &stream->index, &handle)) {
                end_plan(stream);
            }
        }
    }
    if (end == 0) {
        return;
    }
    span->offset = offset;
    span->size = (uint32_t)(end - offset);
    span->req = (struct gy_req){.op = GY_OP_READ,
                                .klass = (uint8_t)stream->klass,
                                .slot = table->opened->file.slot,
                                .buffer = span->buffer,
                                .size = span->size,
                                .offset = offset};
    gy_loop_submit(table->set->loop, &span->req);
    span->req.waiter = NULL; /* set while somebody waits: who started it may be gone by then */
    span->in_flight = true;
    stream->span_size = (uint32_t)gy_min_u64(2 * (uint64_t)stream->span_size, GY_BUFFER_SIZE);
}

/* ---- The stream ---- */

static bool
may_have_buffers(const struct gy_arena *arena, bool is_user)
{
    const uint32_t used = arena->buffer_count - arena->free_buffer_count;

    return !is_user || used < arena->buffer_count_max / 2;
}

struct gy_table_stream *
gy_table_stream_await_make(struct gy_table *table, bool is_user, enum gy_io_class klass,
                           enum gy_cache_hint hint, uint32_t span_size,
                           const struct gy_block_iter *top, const struct gy_block_iter *index,
                           const struct gy_block_pin *pin)
{
    struct gy_table_set *set = table->set;
    struct gy_table_stream *stream;

    if (!may_have_buffers(set->arena, is_user)) {
        return NULL;
    }
    stream = gy_heap_zalloc(&set->loop->heap, sizeof(*stream), GY_MEM_CALL);
    if (stream == NULL) {
        return NULL;
    }
    stream->spans[0] = make_span(set);
    if (stream->spans[0] == NULL) {
        gy_heap_free(&set->loop->heap, stream);
        return NULL;
    }
    stream->spans[1] = may_have_buffers(set->arena, is_user) ? make_span(set) : NULL;
    stream->table = table;
    stream->klass = klass;
    stream->hint = hint;
    stream->stop_at_cached = is_user;
    stream->span_size = (uint32_t)gy_clamp_u64(span_size, SPAN_SIZE_MIN, GY_BUFFER_SIZE);
    stream->top = *top;
    stream->index = *index;
    stream->pin = *pin;
    gy_cache_pin_more(set->cache, &stream->pin);
    prefetch_partition(stream);
    await_fill(stream, stream->spans[0]);
    if (stream->spans[1] != NULL) {
        await_fill(stream, stream->spans[1]);
    }
    return stream;
}

static bool
holds(const struct gy_table_span *span, struct gy_block_handle handle)
{
    return span != NULL && handle.offset >= span->offset &&
           handle.offset - span->offset < span->size &&
           handle.size <= span->size - (handle.offset - span->offset);
}

const uint8_t *
gy_table_stream_await_block(struct gy_table_stream *stream, struct gy_block_handle handle)
{
    struct gy_table_span *span = stream->spans[stream->current];

    if (!holds(span, handle)) {
        /* The cursor has left the current span for good: read on into it. With a second span this
         * goes on while the cursor consumes that one; with one alone it has to wait. */
        struct gy_table_span *other = stream->spans[1 - stream->current];

        if (other != NULL && !holds(other, handle) && other->size != 0) {
            return NULL; /* a block too large for a span: both spans lie behind it */
        }
        await_span(stream, span);
        await_fill(stream, span);
        if (other != NULL) {
            stream->current = 1 - stream->current;
            span = other;
        }
        if (!holds(span, handle)) {
            return NULL;
        }
    }
    await_span(stream, span);
    return holds(span, handle) ? span->buffer + (handle.offset - span->offset) : NULL;
}

/* Leave a read in flight to the set's closer (O6). */
static void
orphan(struct gy_table *table, struct gy_table_span *span)
{
    gy_table_ref(table);
    table->users++; /* the stream's cursor uses it, so it is open and in no list */
    span->table = table;
    gy_list_push_back(&table->set->orphans, &span->link);
}

void
gy_table_stream_close(struct gy_table_stream *stream)
{
    struct gy_table_set *set;

    if (stream == NULL) {
        return;
    }
    set = stream->table->set;
    for (uint32_t i = 0; i < 2; i++) {
        struct gy_table_span *span = stream->spans[i];

        if (span == NULL) {
            continue;
        }
        if (span->in_flight && !span->req.done && !GY_MUTANT(span_freed_in_flight)) {
            orphan(stream->table, span);
        } else {
            gy_table_span_free(set, span);
        }
    }
    gy_cache_unpin(set->cache, &stream->pin);
    gy_table_set_kick(set);
    gy_heap_free(&set->loop->heap, stream);
}
