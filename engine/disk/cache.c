/* cache.c - the block cache: look-up, reads with single flight, prefetch; see cache.h for B1 to B6.
 * Frames and replacement are in cache_slab.c. */
#include "engine/disk/cache.h"

#include <string.h>

#include "engine/codec/checksum.h"
#include "engine/disk/cache_frame.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"
#include "io/base/ban.h"

#define COUNTER_MAX 3u
#define PREFETCH_MAX 64u /* background reads at once: each has a coroutine */
#define FORGET_SLICE 64u /* slabs looked at between two turn checks */

gyre_status
gy_cache_make(struct gy_loop *loop, struct gy_arena *arena, uint64_t capacity,
              struct gy_cache **ret_cache)
{
    struct gy_cache *cache = gy_heap_zalloc(&loop->heap, sizeof(*cache), GY_MEM_CACHE);
    gyre_status st;

    if (cache == NULL) {
        return GYRE_NO_MEMORY;
    }
    cache->loop = loop;
    cache->arena = arena;
    st = gy_cache_memory_make(cache, gy_sub_sat(capacity, sizeof(*cache)));
    if (st != GYRE_OK) {
        gy_heap_free(&loop->heap, cache);
        return st;
    }
    for (uint32_t i = 0; i < GY_FLIGHT_BUCKETS; i++) {
        gy_list_init(&cache->flights[i]);
    }
    gy_list_init(&cache->free_flights);
    gy_waitq_init(&cache->flight_ended);
    gy_compressor_init(&cache->compressor, &loop->heap);
    *ret_cache = cache;
    return GYRE_OK;
}

void
gy_cache_free(struct gy_cache *cache)
{
    struct gy_heap *heap;
    struct gy_list *node;

    if (cache == NULL) {
        return;
    }
    heap = &cache->loop->heap;
    gy_assert(cache->flight_count == 0 && gy_waitq_is_empty(&cache->flight_ended));
    gy_assert(cache->stats.pinned_bytes == 0);
    while ((node = gy_list_pop_front(&cache->free_flights)) != NULL) {
        gy_heap_free(heap, gy_container_of(node, struct gy_flight, link));
    }
    gy_compressor_fini(&cache->compressor);
    gy_cache_memory_free(cache);
    gy_heap_free(heap, cache);
}

uint64_t
gy_cache_new_id(struct gy_cache *cache)
{
    cache->last_id++;
    return cache->last_id;
}

struct gy_compressor *
gy_cache_compressor(struct gy_cache *cache)
{
    return &cache->compressor;
}

void
gy_cache_stats_get(const struct gy_cache *cache, struct gy_cache_stats *ret_stats)
{
    *ret_stats = cache->stats;
}

/* ---- Pins ---- */

static void
pin_set(struct gy_block_pin *pin, struct gy_cache_frame *frame)
{
    gy_assert(frame->pins != 0);
    pin->data = frame->data;
    pin->size = frame->size;
    pin->frame = frame;
}

void
gy_cache_pin_more(struct gy_cache *cache, const struct gy_block_pin *pin)
{
    if (pin->frame != NULL) {
        gy_assert(pin->frame->pins != 0);
        gy_frame_pin(cache, pin->frame, 1);
    }
}

void
gy_cache_unpin(struct gy_cache *cache, struct gy_block_pin *pin)
{
    if (pin->frame != NULL) {
        gy_frame_unpin(cache, pin->frame);
    }
    *pin = (struct gy_block_pin){0};
}

static uint64_t
body_hash(const struct gy_cache_frame *frame)
{
    return gy_max_u64(gy_checksum(frame->data, frame->size, frame->offset), 1);
}

bool
gy_cache_try(struct gy_cache *cache, uint64_t cache_id, struct gy_block_handle handle,
             enum gy_block_kind kind, struct gy_block_pin *ret_pin)
{
    struct gyre_trace *trace = cache->loop->sched.trace;
    struct gy_cache_frame *frame;

    gy_frame_prefetch(cache, cache_id, handle);
    frame = gy_frame_find(cache, cache_id, handle.offset);

    if (frame == NULL || frame->kind != kind) {
        return false;
    }
    if (frame->hash != 0 && frame->hash != body_hash(frame)) { /* B7 */
        cache->stats.expelled++;
        gy_frame_expel(cache, frame);
        return false;
    }
    if (frame->counter < COUNTER_MAX) {
        frame->counter++;
    }
    gy_frame_pin(cache, frame, 1);
    pin_set(ret_pin, frame);
    cache->stats.hits++;
    if (gy_unlikely(trace != NULL)) {
        trace->cache_hits++;
    }
    return true;
}

bool
gy_cache_has(const struct gy_cache *cache, uint64_t cache_id, uint64_t offset)
{
    return gy_frame_find(cache, cache_id, offset) != NULL;
}

/* ---- Flights (B3) ---- */

static struct gy_list *
flight_bucket(struct gy_cache *cache, uint64_t cache_id, uint64_t offset)
{
    return &cache->flights[gy_cache_hash(cache_id, offset) % GY_FLIGHT_BUCKETS];
}

static struct gy_flight *
flight_find(struct gy_cache *cache, uint64_t cache_id, uint64_t offset)
{
    struct gy_list *bucket = flight_bucket(cache, cache_id, offset);

    gy_list_for_each (node, bucket) {
        struct gy_flight *flight = gy_container_of(node, struct gy_flight, link);

        if (flight->source.cache_id == cache_id && flight->handle.offset == offset) {
            return flight;
        }
    }
    return NULL;
}

static struct gy_flight *
flight_begin(struct gy_cache *cache, const struct gy_block_source *source,
             struct gy_block_handle handle, enum gy_block_kind kind, enum gy_cache_hint hint)
{
    struct gy_list *node = gy_list_pop_front(&cache->free_flights);
    struct gy_flight *flight;

    if (node != NULL) {
        flight = gy_container_of(node, struct gy_flight, link);
    } else {
        flight = gy_heap_alloc(&cache->loop->heap, sizeof(*flight), GY_MEM_LOOP);
        if (flight == NULL) {
            return NULL;
        }
    }
    gy_list_init(&flight->link);
    flight->cache = cache;
    flight->source = *source;
    flight->handle = handle;
    flight->kind = kind;
    flight->hint = hint;
    flight->waiters = 0;
    flight->done = false;
    flight->status = GYRE_OK;
    flight->frame = NULL;
    gy_waitq_init(&flight->queue);
    gy_list_push_back(flight_bucket(cache, source->cache_id, handle.offset), &flight->link);
    cache->flight_count++;
    return flight;
}

/* `frame` is pinned once, for the caller. */
static void
flight_end(struct gy_cache *cache, struct gy_flight *flight, gyre_status status,
           struct gy_cache_frame *frame)
{
    gy_list_remove(&flight->link);
    cache->flight_count--;
    gy_waitq_wake_all(&cache->flight_ended);
    if (flight->waiters == 0) {
        gy_list_push_front(&cache->free_flights, &flight->link);
        return;
    }
    flight->status = status;
    flight->done = true;
    if (status == GYRE_OK) {
        gy_frame_pin(cache, frame, flight->waiters);
        flight->frame = frame;
    } else {
        flight->error = *gy_sched_error(&cache->loop->sched);
    }
    gy_waitq_wake_all(&flight->queue);
}

static void
flight_left(struct gy_cache *cache, struct gy_flight *flight)
{
    flight->waiters--;
    if (flight->waiters == 0 && flight->done) {
        gy_list_push_front(&cache->free_flights, &flight->link);
    }
}

/* Who does not want the block any more. */
static void
leave_flight(struct gy_cache *cache, struct gy_flight *flight)
{
    if (flight->done && flight->status == GYRE_OK) {
        gy_frame_unpin(cache, flight->frame); /* pinned for us meanwhile */
    }
    flight_left(cache, flight);
}

GY_SUSPENDS static gyre_status
await_join(struct gy_cache *cache, struct gy_flight *flight, struct gy_block_pin *ret_pin)
{
    struct gy_sched *sched = &cache->loop->sched;
    const enum gy_away before = gy_trace_begin_away(sched, GY_AWAY_DEVICE);
    gyre_status st = GYRE_OK;

    GY_SOMETIMES(cache_flight_joined);
    cache->stats.waits++;
    flight->waiters++;
    while (st == GYRE_OK && !flight->done) { /* it stays ours until we have left it */
        st = gy_scope_await(sched, &flight->queue);
    }
    gy_trace_end_away(sched, before);
    if (sched->trace != NULL) {
        sched->trace->cache_waits++;
    }
    if (st != GYRE_OK) {
        leave_flight(cache, flight);
        return st;
    }
    st = flight->status;
    if (st == GYRE_OK) {
        pin_set(ret_pin, flight->frame); /* flight_end has pinned it for us */
    } else {
        *gy_sched_error(sched) = flight->error;
    }
    flight_left(cache, flight);
    return st;
}

/* ---- Reading ---- */

static gyre_status
fail_block(struct gy_cache *cache, gyre_status st, const struct gy_block_source *source,
           uint64_t offset, const char *what)
{
    return gy_fail_at(&cache->loop->sched, st, source->file->name, offset, 0,
                      "%s; run 'gyre verify', then 'gyre salvage'", what);
}

static struct gy_cache_frame *
take_any(struct gy_cache *cache, uint32_t pages, enum gy_cache_hint hint)
{
    struct gy_cache_frame *frame =
        pages <= GY_FRAME_PAGES_MAX ? gy_frame_take(cache, pages, hint) : NULL;

    if (frame == NULL) {
        GY_SOMETIMES(block_larger_than_cache);
        frame = gy_frame_take_heap(cache, pages);
    }
    if (frame == NULL) {
        (void)gy_fail(&cache->loop->sched, GYRE_NO_MEMORY,
                      "no memory to read a block of %u KiB: raise memory_limit", pages * 4);
    }
    return frame;
}

/* Read the pages that the block touches into the frame; the block begins at *ret_start. */
GY_SUSPENDS static gyre_status
await_pages(struct gy_cache *cache, const struct gy_block_source *source,
            struct gy_block_handle handle, enum gy_io_class klass, struct gy_cache_frame *frame,
            uint8_t **ret_start, struct gy_block_trailer *ret_trailer)
{
    const uint64_t first = gy_align_down(handle.offset, GY_PAGE);
    const uint32_t size = (uint32_t)(gy_align_up(handle.offset + handle.size, GY_PAGE) - first);
    uint8_t *start = frame->data + (handle.offset - first);
    gyre_status st = GYRE_CORRUPT;

    /* A second read where the first does not fit: bits also flip on their way through memory and
     * bus. */
    for (uint32_t attempt = 0; attempt < 2; attempt++) {
        st = gy_file_await_read(cache->loop, source->file, klass, frame->data, size, first);
        if (st != GYRE_OK) {
            return st;
        }
        cache->stats.rereads += attempt;
        gy_cache_note_read(cache, source, first, size);
        st = gy_block_check(start, handle.size, source->file_id, handle.offset, ret_trailer);
        if (st == GYRE_OK && attempt > 0) {
            GY_SOMETIMES(block_good_when_read_again);
        }
        if (st == GYRE_OK) {
            *ret_start = start;
            return GYRE_OK;
        }
        if (st == GYRE_UNSUPPORTED) {
            return fail_block(cache, st, source, handle.offset,
                              "block of a kind that a newer version wrote");
        }
    }
    GY_SOMETIMES(block_damage_told);
    return fail_block(cache, st, source, handle.offset, "block checksum does not match");
}

/* The frame that holds the raw body, made from the one that was read; that one is given back if it
 * is another. NULL: the error is set. */
static struct gy_cache_frame *
unpack(struct gy_cache *cache, const struct gy_flight *flight, struct gy_cache_frame *frame,
       const uint8_t *start, const struct gy_block_trailer *trailer, gyre_status *ret_status)
{
    const uint32_t pages = (uint32_t)(gy_align_up(trailer->raw_size, GY_PAGE) / GY_PAGE);
    struct gy_cache_frame *raw;

    if (trailer->compression == GY_BLOCK_RAW) {
        if (start != frame->data) { /* our writer aligns them; other files may come */
            memmove(frame->data, start, trailer->raw_size);
        }
        return frame;
    }
    GY_SOMETIMES(block_decompressed);
    raw = take_any(cache, pages, flight->hint);
    *ret_status = GYRE_NO_MEMORY;
    if (raw != NULL) {
        *ret_status = gy_decompress(&cache->compressor, raw->data, trailer->raw_size, start,
                                    flight->handle.size - GY_BLOCK_TRAILER_SIZE);
        if (*ret_status != GYRE_OK) {
            raw->drop = true;
            gy_frame_unpin(cache, raw);
            raw = NULL;
            (void)fail_block(cache, *ret_status, &flight->source, flight->handle.offset,
                             "block does not decompress");
        }
    }
    frame->drop = true;
    gy_frame_unpin(cache, frame);
    return raw;
}

/* Do the work of a flight. OK: *ret_frame is pinned once and, where it is a frame of the cache,
 * published. */
GY_SUSPENDS static gyre_status
await_load(struct gy_cache *cache, struct gy_flight *flight, enum gy_io_class klass,
           struct gy_cache_frame **ret_frame)
{
    const struct gy_block_handle handle = flight->handle;
    const uint64_t first = gy_align_down(handle.offset, GY_PAGE);
    const uint32_t pages =
        (uint32_t)((gy_align_up(handle.offset + handle.size, GY_PAGE) - first) / GY_PAGE);
    struct gy_cache_frame *frame;
    struct gy_block_trailer trailer;
    uint8_t *start = NULL;
    gyre_status st;

    cache->stats.misses++;
    frame = take_any(cache, pages, flight->hint);
    if (frame == NULL) {
        return GYRE_NO_MEMORY;
    }
    st = await_pages(cache, &flight->source, handle, klass, frame, &start, &trailer);
    if (st == GYRE_OK && trailer.kind != flight->kind) {
        st = fail_block(cache, GYRE_CORRUPT, &flight->source, handle.offset,
                        "block is of another kind than its index says");
    }
    if (GY_MUTANT(damaged_block_cached) && st == GYRE_CORRUPT && frame->state == GY_FRAME_HELD) {
        frame->cache_id = flight->source.cache_id;
        frame->offset = handle.offset;
        frame->size = handle.size - GY_BLOCK_TRAILER_SIZE;
        frame->kind = (uint8_t)flight->kind;
        gy_frame_publish(cache, frame, flight->hint);
        gy_frame_unpin(cache, frame);
        return st;
    }
    if (st != GYRE_OK) {
        frame->drop = true;
        gy_frame_unpin(cache, frame);
        return st;
    }
    frame = unpack(cache, flight, frame, start, &trailer, &st);
    if (frame == NULL) {
        return st;
    }
    frame->cache_id = flight->source.cache_id;
    frame->offset = handle.offset;
    frame->size = trailer.raw_size;
    frame->kind = (uint8_t)trailer.kind;
    frame->hash = flight->source.verify ? body_hash(frame) : 0;
    if (frame->state == GY_FRAME_HELD) {
        gy_frame_publish(cache, frame, flight->hint);
    }
    *ret_frame = frame;
    return GYRE_OK;
}

gyre_status
gy_cache_await_block(struct gy_cache *cache, const struct gy_block_source *source,
                     struct gy_block_handle handle, enum gy_block_kind kind,
                     enum gy_cache_hint hint, enum gy_io_class klass, struct gy_block_pin *ret_pin)
{
    struct gy_cache_frame *frame = NULL;
    struct gy_flight *flight;
    gyre_status st;

    gy_assert(handle.size > GY_BLOCK_TRAILER_SIZE);
    if (gy_cache_try(cache, source->cache_id, handle, kind, ret_pin)) {
        return GYRE_OK;
    }
    if (gy_cache_has(cache, source->cache_id, handle.offset)) {
        return fail_block(cache, GYRE_CORRUPT, source, handle.offset,
                          "two index entries disagree about the kind of a block");
    }
    flight = flight_find(cache, source->cache_id, handle.offset);
    if (flight != NULL && flight->kind == kind) {
        return await_join(cache, flight, ret_pin);
    }
    if (flight != NULL) {
        return fail_block(cache, GYRE_CORRUPT, source, handle.offset,
                          "two index entries disagree about the kind of a block");
    }
    flight = flight_begin(cache, source, handle, kind, hint);
    if (flight == NULL) {
        return gy_fail(&cache->loop->sched, GYRE_NO_MEMORY, "no memory to read a block");
    }
    st = await_load(cache, flight, klass, &frame);
    flight_end(cache, flight, st, frame);
    if (st == GYRE_OK) {
        st = gy_scope_check(&cache->loop->sched);
        if (st != GYRE_OK) {
            gy_frame_unpin(cache, frame);
            return st;
        }
        pin_set(ret_pin, frame);
    }
    return st;
}

/* ---- Prefetch ---- */

static void
prefetch_main(void *arg)
{
    struct gy_flight *flight = arg;
    struct gy_cache *cache = flight->cache;
    struct gy_cache_frame *frame = NULL;
    gyre_status st;

    gy_in_coroutine();
    st = await_load(cache, flight, GY_IO_PREFETCH, &frame);
    cache->prefetch_count--;
    flight_end(cache, flight, st, frame);
    if (st == GYRE_OK) {
        gy_frame_unpin(cache, frame);
    } /* else: whoever waited has been told; nobody else asked */
}

void
gy_cache_prefetch(struct gy_cache *cache, const struct gy_block_source *source,
                  struct gy_block_handle handle, enum gy_block_kind kind, enum gy_cache_hint hint)
{
    struct gy_flight *flight;

    if (cache->prefetch_count >= PREFETCH_MAX || handle.size > GY_SLAB_SIZE ||
        gy_cache_has(cache, source->cache_id, handle.offset) ||
        flight_find(cache, source->cache_id, handle.offset) != NULL) {
        return;
    }
    /* What is fetched ahead has to stay until it is asked for. */
    flight =
        flight_begin(cache, source, handle, kind, hint == GY_CACHE_NO_FILL ? GY_CACHE_SCAN : hint);
    if (flight == NULL) {
        return;
    }
    if (gy_spawn(&cache->loop->sched, GY_CLASS_FOREGROUND, "prefetch", prefetch_main, flight,
                 NULL) != GYRE_OK) {
        flight_end(cache, flight, GYRE_NO_MEMORY, NULL);
        return;
    }
    cache->prefetch_count++;
}

/* ---- Forgetting ---- */

static bool
has_flight(const struct gy_cache *cache, uint64_t cache_id, uint64_t mask)
{
    if (cache->flight_count == 0) {
        return false;
    }
    for (uint32_t i = 0; i < GY_FLIGHT_BUCKETS; i++) {
        gy_list_for_each (node, &cache->flights[i]) {
            const struct gy_flight *flight = gy_container_of(node, struct gy_flight, link);

            if ((flight->source.cache_id & mask) == cache_id) {
                return true;
            }
        }
    }
    return false;
}

GY_SUSPENDS static void
await_no_flight(struct gy_cache *cache, uint64_t cache_id, uint64_t mask)
{
    while (has_flight(cache, cache_id, mask)) {
        gy_waitq_await(&cache->loop->sched, &cache->flight_ended);
    }
}

void
gy_cache_await_idle(struct gy_cache *cache, uint64_t cache_id)
{
    await_no_flight(cache, cache_id, UINT64_MAX);
}

static void
forget_slab(struct gy_cache *cache, uint32_t index, uint64_t cache_id, uint64_t mask)
{
    struct gy_cache_frame *frames = &cache->frames[(size_t)index * GY_SLAB_FRAMES];
    const uint32_t count = cache->slabs[index].frame_count;

    for (uint32_t i = 0; i < count; i++) {
        struct gy_cache_frame *frame = &frames[i];

        if (frame->state != GY_FRAME_READY || (frame->cache_id & mask) != cache_id) {
            continue;
        }
        if (frame->pins == 0) {
            gy_frame_release(cache, frame);
        } else {
            frame->drop = true;
        }
    }
}

void
gy_cache_await_forget(struct gy_cache *cache, uint64_t cache_id, uint64_t mask)
{
    await_no_flight(cache, cache_id, mask);
    for (uint32_t i = 0; i < cache->slab_made; i++) {
        forget_slab(cache, i, cache_id, mask);
        if (i % FORGET_SLICE == FORGET_SLICE - 1) {
            gy_await_turn(&cache->loop->sched); /* slabs may move meanwhile: the index stays good */
        }
    }
}
