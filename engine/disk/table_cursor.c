/* table_cursor.c - ordered walks over one table; see table.h and cursor.h.
 *
 * Place: an entry of the top index (keyless walk, in memory) -> an entry of that partition's index
 * (keyless walk, in a pinned block) -> an entry of that data block (pinned in the cache, or in a
 * span that was read ahead).
 *   K1  A user's cursor begins in the cache. After STREAM_AFTER blocks in a row that had to be read
 *       it reads ahead in growing spans, past the cache; it returns to the cache where blocks are
 *       there again, at each seek and when it turns round. Compaction and scrub read ahead from the
 *       first block on.
 *   K2  A block that fails its checksum in a span is asked of the cache, which reads it again and
 *       says what is wrong.
 *   K3  close never suspends: reads in flight are left to the set (O6).
 */
#include <string.h>

#include "engine/codec/coding.h"
#include "engine/disk/table_open.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"
#include "io/base/ban.h"

#define STREAM_AFTER 2u /* K1 */
#define STREAM_FIRST (32u * GY_KIB)

struct table_cursor {
    struct gy_cursor base;
    struct gy_table *table;
    enum gy_table_cursor_mode mode;
    enum gy_cache_hint hint;
    enum gy_io_class klass;
    uint32_t readahead;
    bool entered;
    uint32_t reads_in_row; /* forward steps to a block that was not in the cache */
    struct gy_block_iter top;
    struct gy_block_iter index;
    struct gy_block_pin partition_pin;
    uint64_t partition_offset;
    struct gy_block_iter data;
    struct gy_block_pin data_pin; /* frame NULL: the block lies in a span, or in `raw` */
    uint64_t data_offset;
    uint8_t *raw;        /* a block of a span, decompressed */
    uint8_t *key_buffer; /* footer.key_size_max bytes */
    uint32_t key_capacity;
    struct gy_table_stream *stream; /* NULL: not reading ahead */
};

static struct table_cursor *
self_of(struct gy_cursor *cursor)
{
    return gy_container_of(cursor, struct table_cursor, base);
}

static struct gy_cache *
cache_of(const struct table_cursor *cursor)
{
    return cursor->table->set->cache;
}

/* ---- State ---- */

static void
set_failed(struct table_cursor *cursor, gyre_status st)
{
    gy_assert(st != GYRE_OK);
    cursor->base.valid = false;
    cursor->base.status = st;
}

static void
set_corrupt(struct table_cursor *cursor, uint64_t offset, const char *what)
{
    set_failed(cursor, gy_table_fail(cursor->table, GYRE_CORRUPT, offset, what));
}

/* Show the entry at which the data iterator stands. False: nowhere (go on), or failed. */
static bool
show(struct table_cursor *cursor)
{
    if (cursor->data.corrupt) {
        set_corrupt(cursor, cursor->data_offset, "a block does not decode");
        return false;
    }
    if (!cursor->data.valid) {
        return false;
    }
    if (gy_unlikely(gy_tag_kind(cursor->data.entry.tag) > GY_KIND_PUT)) {
        set_failed(cursor, gy_table_fail(cursor->table, GYRE_UNSUPPORTED, cursor->data_offset,
                                         "an entry of an unknown kind"));
        return false;
    }
    cursor->base.entry = cursor->data.entry;
    cursor->base.valid = true;
    return true;
}

static void
drop_stream(struct table_cursor *cursor)
{
    gy_table_stream_close(cursor->stream);
    cursor->stream = NULL;
    cursor->reads_in_row = 0;
}

static void
drop_blocks(struct table_cursor *cursor)
{
    gy_cache_unpin(cache_of(cursor), &cursor->data_pin);
    gy_cache_unpin(cache_of(cursor), &cursor->partition_pin);
    cursor->data.valid = false;
    cursor->index.valid = false;
}

/* ---- Entering ---- */

GY_SUSPENDS static bool
await_ready(struct table_cursor *cursor)
{
    struct gy_loop *loop = cursor->table->set->loop;
    gyre_status st;

    cursor->base.valid = false;
    cursor->base.status = GYRE_OK;
    if (cursor->entered) {
        return true;
    }
    st = gy_table_await_enter(cursor->table);
    if (st != GYRE_OK) {
        set_failed(cursor, st);
        return false;
    }
    cursor->key_capacity = cursor->table->opened->footer.key_size_max;
    cursor->key_buffer = gy_heap_alloc(&loop->heap, cursor->key_capacity, GY_MEM_CALL);
    if (cursor->key_buffer == NULL) {
        gy_table_leave(cursor->table);
        set_failed(cursor, gy_fail(&loop->sched, GYRE_NO_MEMORY, "no memory for a cursor"));
        return false;
    }
    gy_block_iter_init(&cursor->top, &cursor->table->opened->top, NULL, 0);
    cursor->entered = true;
    return true;
}

/* ---- Partitions ---- */

/* Open the partition at which the top iterator stands. */
GY_SUSPENDS static bool
await_partition(struct table_cursor *cursor)
{
    const struct gy_footer *footer = &cursor->table->opened->footer;
    struct gy_block_handle handle;
    struct gy_partition partition;
    gyre_status st;

    if (cursor->top.corrupt ||
        gy_block_handle_decode(cursor->top.entry.value, footer->file_size, &handle) != GYRE_OK) {
        set_corrupt(cursor, footer->top.offset, "the top index does not decode");
        return false;
    }
    gy_cache_unpin(cache_of(cursor), &cursor->partition_pin);
    st = gy_table_await_partition(cursor->table, handle, cursor->hint, cursor->klass,
                                  &cursor->partition_pin, &partition);
    if (st != GYRE_OK) {
        set_failed(cursor, st);
        return false;
    }
    cursor->partition_offset = handle.offset;
    gy_block_iter_init(&cursor->index, &partition.index, NULL, 0);
    return true;
}

static bool
index_handle(struct table_cursor *cursor, const struct gy_block_iter *index,
             struct gy_block_handle *ret_handle)
{
    return index->valid &&
           gy_block_handle_decode(index->entry.value, cursor->table->opened->footer.file_size,
                                  ret_handle) == GYRE_OK;
}

/* ---- Data blocks ---- */

static bool
open_data(struct table_cursor *cursor, const uint8_t *body, uint32_t size)
{
    struct gy_block block;

    if (gy_block_open(body, size, &block) != GYRE_OK) {
        set_corrupt(cursor, cursor->data_offset, "a block does not decode");
        return false;
    }
    gy_block_iter_init(&cursor->data, &block, cursor->key_buffer, cursor->key_capacity);
    return true;
}

/* A block of a span: check it in place. False: not usable (K2). */
static bool
open_span_block(struct table_cursor *cursor, const uint8_t *bytes, struct gy_block_handle handle)
{
    struct gy_loop *loop = cursor->table->set->loop;
    struct gy_block_trailer trailer;
    struct gy_block block;

    if (GY_MUTANT(compaction_input_unchecked) && cursor->mode == GY_CURSOR_COMPACT) {
        const uint8_t *end = bytes + handle.size - GY_BLOCK_TRAILER_SIZE;

        trailer = (struct gy_block_trailer){(enum gy_block_compression)end[0], GY_BLOCK_DATA,
                                            gy_get_u32(end + 4)};
    } else if (gy_block_check(bytes, handle.size, cursor->table->meta.file_id, handle.offset,
                              &trailer) != GYRE_OK ||
               trailer.kind != GY_BLOCK_DATA) {
        return false;
    }
    if (trailer.compression != GY_BLOCK_RAW) {
        if (cursor->raw == NULL) {
            cursor->raw = gy_heap_alloc(&loop->heap, GY_BLOCK_SIZE_MAX, GY_MEM_CALL);
        }
        if (cursor->raw == NULL ||
            gy_decompress(gy_cache_compressor(cache_of(cursor)), cursor->raw, trailer.raw_size,
                          bytes, handle.size - GY_BLOCK_TRAILER_SIZE) != GYRE_OK) {
            return false;
        }
        bytes = cursor->raw;
    }
    if (gy_block_open(bytes, trailer.raw_size, &block) != GYRE_OK) {
        return false;
    }
    gy_block_iter_init(&cursor->data, &block, cursor->key_buffer, cursor->key_capacity);
    return true;
}

GY_SUSPENDS static bool
await_cached_block(struct table_cursor *cursor, struct gy_block_handle handle)
{
    struct gy_cache *cache = cache_of(cursor);
    gyre_status st;

    if (gy_cache_try(cache, cursor->table->cache_id, handle, GY_BLOCK_DATA, &cursor->data_pin)) {
        cursor->reads_in_row = 0;
    } else {
        cursor->reads_in_row++;
        st = gy_cache_await_block(cache, &cursor->table->opened->source, handle, GY_BLOCK_DATA,
                                  cursor->hint, cursor->klass, &cursor->data_pin);
        if (st != GYRE_OK) {
            set_failed(cursor, st);
            return false;
        }
    }
    return open_data(cursor, cursor->data_pin.data, cursor->data_pin.size);
}

/* K1: is it time to read ahead from the block at which the index stands? */
static bool
wants_stream(const struct table_cursor *cursor, struct gy_block_handle handle)
{
    if (cursor->mode != GY_CURSOR_USER) {
        return true;
    }
    return cursor->reads_in_row >= (cursor->readahead != 0 ? 0 : STREAM_AFTER) &&
           !gy_cache_has(cache_of(cursor), cursor->table->cache_id, handle.offset);
}

/* The block beside this one, for a cursor that does not read ahead in spans. */
static void
prefetch_beside(struct table_cursor *cursor, void (*step)(struct gy_block_iter *iter))
{
    struct gy_block_iter beside = cursor->index;
    struct gy_block_handle handle;

    step(&beside);
    if (index_handle(cursor, &beside, &handle)) {
        gy_cache_prefetch(cache_of(cursor), &cursor->table->opened->source, handle, GY_BLOCK_DATA,
                          cursor->hint);
    }
}

enum direction { SEEK, FORWARD, BACKWARD };

GY_SUSPENDS static bool
await_streamed_block(struct table_cursor *cursor, struct gy_block_handle handle)
{
    const uint8_t *bytes;

    if (cursor->stream == NULL) {
        cursor->stream = gy_table_stream_await_make(
            cursor->table, cursor->mode == GY_CURSOR_USER, cursor->klass, cursor->hint,
            cursor->mode != GY_CURSOR_USER ? GY_BUFFER_SIZE
            : cursor->readahead != 0       ? cursor->readahead
                                           : STREAM_FIRST,
            &cursor->top, &cursor->index, &cursor->partition_pin);
        if (cursor->stream == NULL) {
            return false;
        }
        GY_SOMETIMES(cursor_read_ahead);
    }
    bytes = gy_table_stream_await_block(cursor->stream, handle);
    if (bytes != NULL && open_span_block(cursor, bytes, handle)) {
        return true;
    }
    if (bytes == NULL && cursor->stream->ended) {
        drop_stream(cursor);
    }
    return false;
}

/* Make the data block at which the index iterator stands the current one. */
GY_SUSPENDS static bool
await_data(struct table_cursor *cursor, enum direction direction)
{
    struct gy_block_handle handle;

    gy_cache_unpin(cache_of(cursor), &cursor->data_pin);
    cursor->data.valid = false;
    if (cursor->index.corrupt || !index_handle(cursor, &cursor->index, &handle)) {
        set_corrupt(cursor, cursor->partition_offset, "an index does not decode");
        return false;
    }
    cursor->data_offset = handle.offset;
    if (direction != BACKWARD && (cursor->stream != NULL || wants_stream(cursor, handle))) {
        const bool is_there = await_streamed_block(cursor, handle);
        const gyre_status st = gy_scope_check(&cursor->table->set->loop->sched);

        if (st != GYRE_OK) {
            set_failed(cursor, st);
            return false;
        }
        if (is_there) {
            return true;
        }
    }
    if (direction == FORWARD && cursor->stream == NULL) {
        prefetch_beside(cursor, gy_block_iter_next);
    } else if (direction == BACKWARD) {
        prefetch_beside(cursor, gy_block_iter_prev);
    }
    return await_cached_block(cursor, handle);
}

/* ---- Steps between blocks ---- */

/* The first entry of the next block. */
GY_SUSPENDS static void
await_next_block(struct table_cursor *cursor)
{
    gy_block_iter_next(&cursor->index);
    if (!cursor->index.valid && !cursor->index.corrupt) {
        gy_block_iter_next(&cursor->top);
        if (!cursor->top.valid && !cursor->top.corrupt) {
            cursor->base.valid = false;
            return;
        }
        if (!await_partition(cursor)) {
            return;
        }
        gy_block_iter_first(&cursor->index);
    }
    if (!await_data(cursor, FORWARD)) {
        return;
    }
    gy_block_iter_first(&cursor->data);
    (void)show(cursor);
}

/* The last entry of the previous block. */
GY_SUSPENDS static void
await_previous_block(struct table_cursor *cursor)
{
    drop_stream(cursor);
    gy_block_iter_prev(&cursor->index);
    if (!cursor->index.valid && !cursor->index.corrupt) {
        gy_block_iter_prev(&cursor->top);
        if (!cursor->top.valid && !cursor->top.corrupt) {
            cursor->base.valid = false;
            return;
        }
        if (!await_partition(cursor)) {
            return;
        }
        gy_block_iter_last(&cursor->index);
    }
    if (!await_data(cursor, BACKWARD)) {
        return;
    }
    gy_block_iter_last(&cursor->data);
    (void)show(cursor);
}

/* Stand at the data block that may hold the first entry >= (key, tag). False: there is none, or it
 * failed. */
GY_SUSPENDS static bool
await_place(struct table_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    drop_stream(cursor);
    drop_blocks(cursor);
    gy_block_iter_seek(&cursor->top, key, tag);
    if (!cursor->top.valid && !cursor->top.corrupt) {
        cursor->base.valid = false;
        return false;
    }
    if (!await_partition(cursor)) {
        return false;
    }
    gy_block_iter_seek(&cursor->index, key, tag);
    if (!cursor->index.valid &&
        !cursor->index.corrupt) { /* its own separator in the top index said otherwise */
        set_corrupt(cursor, cursor->partition_offset,
                    "an index does not reach as far as the top index says");
        return false;
    }
    return await_data(cursor, SEEK);
}

GY_SUSPENDS static bool
await_edge(struct table_cursor *cursor, bool last)
{
    drop_stream(cursor);
    drop_blocks(cursor);
    (last ? gy_block_iter_last : gy_block_iter_first)(&cursor->top);
    if (!await_partition(cursor)) {
        return false;
    }
    (last ? gy_block_iter_last : gy_block_iter_first)(&cursor->index);
    return await_data(cursor, last ? BACKWARD : SEEK);
}

/* ---- The cursor's operations ---- */

static void
table_cursor_first(struct gy_cursor *base)
{
    struct table_cursor *cursor = self_of(base);

    gy_in_coroutine();
    if (await_ready(cursor) && await_edge(cursor, false)) {
        gy_block_iter_first(&cursor->data);
        (void)show(cursor);
    }
}

static void
table_cursor_last(struct gy_cursor *base)
{
    struct table_cursor *cursor = self_of(base);

    gy_in_coroutine();
    if (await_ready(cursor) && await_edge(cursor, true)) {
        gy_block_iter_last(&cursor->data);
        (void)show(cursor);
    }
}

static void
table_cursor_seek(struct gy_cursor *base, struct gyre_slice key, uint64_t tag)
{
    struct table_cursor *cursor = self_of(base);

    gy_in_coroutine();
    if (!await_ready(cursor) || !await_place(cursor, key, tag)) {
        return;
    }
    gy_block_iter_seek(&cursor->data, key, tag);
    if (!show(cursor) && base->status == GYRE_OK) {
        await_next_block(cursor); /* the separator may be larger than the block's last entry */
    }
}

static void
table_cursor_seek_before(struct gy_cursor *base, struct gyre_slice key, uint64_t tag)
{
    struct table_cursor *cursor = self_of(base);

    gy_in_coroutine();
    if (!await_ready(cursor)) {
        return;
    }
    if (!await_place(cursor, key, tag)) {
        if (base->status == GYRE_OK) { /* all entries are smaller */
            table_cursor_last(base);
        }
        return;
    }
    gy_block_iter_seek_before(&cursor->data, key, tag);
    if (!show(cursor) && base->status == GYRE_OK) {
        await_previous_block(cursor);
    }
}

static void
table_cursor_next(struct gy_cursor *base)
{
    struct table_cursor *cursor = self_of(base);

    gy_in_coroutine();
    gy_assert(base->valid);
    base->valid = false;
    gy_block_iter_next(&cursor->data);
    if (!show(cursor) && base->status == GYRE_OK) {
        await_next_block(cursor);
    }
}

static void
table_cursor_prev(struct gy_cursor *base)
{
    struct table_cursor *cursor = self_of(base);

    gy_in_coroutine();
    gy_assert(base->valid);
    base->valid = false;
    gy_block_iter_prev(&cursor->data);
    if (!show(cursor) && base->status == GYRE_OK) {
        await_previous_block(cursor);
    }
}

/* Start the read that a seek will need first: of the partition, or, with that in the cache, of the
 * data block. */
static void
table_cursor_prepare_seek(struct gy_cursor *base, struct gyre_slice key, uint64_t tag)
{
    struct table_cursor *cursor = self_of(base);
    const struct gy_table_open *opened = cursor->table->opened;
    struct gy_block_handle handle;
    struct gy_block_found found;
    struct gy_partition partition;
    struct gy_block_pin pin;
    bool known;

    if (opened == NULL || cursor->mode != GY_CURSOR_USER ||
        gy_block_get(&opened->top, key, tag, &found) != GYRE_OK ||
        gy_block_handle_decode(found.value, opened->footer.file_size, &handle) != GYRE_OK) {
        return;
    }
    if (!gy_cache_try(cache_of(cursor), cursor->table->cache_id, handle, GY_BLOCK_PARTITION,
                      &pin)) {
        gy_cache_prefetch(cache_of(cursor), &opened->source, handle, GY_BLOCK_PARTITION,
                          cursor->hint);
        return;
    }
    known = gy_partition_open(pin.data, pin.size, &partition) == GYRE_OK &&
            gy_block_get(&partition.index, key, tag, &found) == GYRE_OK &&
            gy_block_handle_decode(found.value, opened->footer.file_size, &handle) == GYRE_OK;
    gy_cache_unpin(cache_of(cursor), &pin);
    if (known) {
        gy_cache_prefetch(cache_of(cursor), &opened->source, handle, GY_BLOCK_DATA, cursor->hint);
    }
}

static void
table_cursor_close(struct gy_cursor *base)
{
    struct table_cursor *cursor = self_of(base);
    struct gy_table *table = cursor->table;
    struct gy_heap *heap = &table->set->loop->heap;

    drop_stream(cursor);
    drop_blocks(cursor);
    if (cursor->entered) {
        gy_table_leave(table);
    }
    gy_heap_free(heap, cursor->raw);
    gy_heap_free(heap, cursor->key_buffer);
    gy_heap_free(heap, cursor);
    gy_table_unref(table);
}

gyre_status
gy_table_cursor_make(struct gy_table *table, enum gy_table_cursor_mode mode,
                     enum gy_cache_hint hint, uint32_t readahead, struct gy_cursor **ret_cursor)
{
    static const struct gy_cursor_ops ops = {.seek = table_cursor_seek,
                                             .seek_before = table_cursor_seek_before,
                                             .first = table_cursor_first,
                                             .last = table_cursor_last,
                                             .next = table_cursor_next,
                                             .prev = table_cursor_prev,
                                             .close = table_cursor_close,
                                             .prepare_seek = table_cursor_prepare_seek};
    struct gy_loop *loop = table->set->loop;
    struct table_cursor *cursor = gy_heap_zalloc(&loop->heap, sizeof(*cursor), GY_MEM_CALL);

    if (cursor == NULL) {
        return gy_fail(&loop->sched, GYRE_NO_MEMORY, "no memory for a cursor");
    }
    cursor->base.ops = &ops;
    cursor->base.status = GYRE_OK;
    cursor->table = table;
    cursor->mode = mode;
    /* What compaction and scrub read is not wanted again soon: partitions leave first, single
     * blocks at once. */
    cursor->hint = mode == GY_CURSOR_USER ? hint : GY_CACHE_SCAN;
    cursor->klass = mode == GY_CURSOR_COMPACT ? GY_IO_COMPACT_READ
                    : mode == GY_CURSOR_SCRUB ? GY_IO_SCRUB
                                              : GY_IO_READ;
    cursor->readahead = readahead;
    gy_table_ref(table);
    *ret_cursor = &cursor->base;
    return GYRE_OK;
}
