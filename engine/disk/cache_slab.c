/* cache_slab.c - memory of the block cache: slabs, frames, the table of contents and replacement;
 * see cache_frame.h for F1 and F2, cache.h for B4. Nothing here suspends. */
#include <string.h>

#include "engine/disk/cache_frame.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/ban.h"

#define SLABS_PER_CHUNK (GY_ARENA_CHUNK / GY_SLAB_SIZE)
#define KLASS_NONE 0xffu
#define COUNTER_MAX 3u
#define HAND_STEPS_MAX \
    1024u /* frames looked at for one eviction: bounds what a miss costs when all are hot */
#define SCAN_SHARE 8u /* scans take turns in 1 / 8 of the frames of a class */
#define SCAN_RING_MIN 16u

static const uint8_t class_pages[GY_FRAME_CLASSES] = {1, 2, 3, 4, 8, 16};

static uint32_t
class_of(uint32_t pages)
{
    uint32_t klass = 0;

    gy_assert(pages >= 1 && pages <= GY_FRAME_PAGES_MAX);
    while (class_pages[klass] < pages) {
        klass++;
    }
    return klass;
}

static uint32_t
ring_capacity(uint32_t slab_count, uint32_t klass)
{
    const uint64_t frames = (uint64_t)slab_count * (GY_SLAB_FRAMES / class_pages[klass]);

    return (uint32_t)gy_max_u64(frames / SCAN_SHARE, SCAN_RING_MIN);
}

/* ---- Memory ---- */

struct sizes {
    size_t frames, buckets, slabs, rings;
    uint32_t bucket_count;
};

static size_t
sizes_of(uint32_t slab_count, struct sizes *ret_sizes)
{
    const size_t frame_count = (size_t)slab_count * GY_SLAB_FRAMES;
    size_t ring_items = 0;
    uint32_t bucket_count = 64;

    while (bucket_count < frame_count) {
        bucket_count *= 2;
    }
    for (uint32_t klass = 0; klass < GY_FRAME_CLASSES; klass++) {
        ring_items += ring_capacity(slab_count, klass);
    }
    ret_sizes->bucket_count = bucket_count;
    ret_sizes->frames = frame_count * sizeof(struct gy_cache_frame);
    ret_sizes->slabs = slab_count * sizeof(struct gy_slab);
    ret_sizes->buckets = bucket_count * sizeof(uint32_t);
    ret_sizes->rings = ring_items * sizeof(uint32_t);
    return (size_t)gy_align_up(
        ret_sizes->frames + ret_sizes->slabs + ret_sizes->buckets + ret_sizes->rings, GY_PAGE);
}

/* How many slabs fit into the capacity together with what describes them. Whole chunks of the
 * arena, or, below one, memory of our own. */
static uint32_t
slabs_for(uint64_t capacity)
{
    struct sizes sizes;
    uint64_t count = gy_min_u64(capacity / GY_SLAB_SIZE, UINT32_MAX / GY_SLAB_FRAMES - 1);

    while (count > 0 && count * GY_SLAB_SIZE + sizes_of((uint32_t)count, &sizes) > capacity) {
        count -= 1 + count / 64;
    }
    return (uint32_t)(count >= SLABS_PER_CHUNK ? count / SLABS_PER_CHUNK * SLABS_PER_CHUNK : count);
}

gyre_status
gy_cache_memory_make(struct gy_cache *cache, uint64_t capacity)
{
    struct gy_heap *heap = &cache->loop->heap;
    const uint32_t slab_count = slabs_for(capacity);
    struct sizes sizes;
    uint32_t *ring;

    cache->memory_size = sizes_of(slab_count, &sizes);
    cache->memory = gy_heap_map_zeroed(heap, cache->memory_size, GY_MEM_CACHE);
    if (cache->memory == NULL) {
        return GYRE_NO_MEMORY;
    }
    if (slab_count != 0 && slab_count < SLABS_PER_CHUNK) {
        cache->small_base = gy_heap_map(heap, (size_t)slab_count * GY_SLAB_SIZE, GY_MEM_CACHE);
        if (cache->small_base == NULL) {
            gy_heap_unmap(heap, cache->memory, cache->memory_size, GY_MEM_CACHE);
            return GYRE_NO_MEMORY;
        }
    }
    cache->slab_count = slab_count;
    cache->frames = (struct gy_cache_frame *)(void *)cache->memory;
    cache->slabs = (struct gy_slab *)(void *)(cache->memory + sizes.frames);
    cache->buckets = (uint32_t *)(void *)(cache->memory + sizes.frames + sizes.slabs);
    cache->bucket_mask = sizes.bucket_count - 1;
    ring = cache->buckets + sizes.bucket_count;
    gy_list_init(&cache->free_slabs);
    for (uint32_t klass = 0; klass < GY_FRAME_CLASSES; klass++) {
        gy_list_init(&cache->partial[klass]);
        cache->rings[klass] =
            (struct gy_scan_ring){.items = ring, .capacity = ring_capacity(slab_count, klass)};
        ring += cache->rings[klass].capacity;
    }
    cache->stats.capacity_bytes = (uint64_t)slab_count * GY_SLAB_SIZE;
    return GYRE_OK;
}

void
gy_cache_memory_free(struct gy_cache *cache)
{
    struct gy_heap *heap = &cache->loop->heap;

    if (cache->small_base != NULL) {
        gy_heap_unmap(heap, cache->small_base, (size_t)cache->slab_count * GY_SLAB_SIZE,
                      GY_MEM_CACHE);
    } else {
        for (uint32_t i = 0; i < cache->slab_made; i += SLABS_PER_CHUNK) {
            gy_arena_chunk_put(cache->arena, cache->slabs[i].base, GY_MEM_CACHE);
        }
    }
    gy_heap_unmap(heap, cache->memory, cache->memory_size, GY_MEM_CACHE);
}

/* The slabs of one more chunk; false when the capacity is used up or the arena has none. */
static bool
make_slabs(struct gy_cache *cache)
{
    const uint32_t left = cache->slab_count - cache->slab_made;
    const uint32_t count = left < SLABS_PER_CHUNK ? left : SLABS_PER_CHUNK;
    uint8_t *base = cache->small_base;

    if (left == 0) {
        return false;
    }
    if (base == NULL) {
        base = gy_arena_chunk_get(cache->arena, GY_MEM_CACHE);
        if (base == NULL) {
            return false; /* the memory limit: what there is has to do */
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        struct gy_slab *slab = &cache->slabs[cache->slab_made];

        slab->base = base + (size_t)i * GY_SLAB_SIZE;
        slab->klass = KLASS_NONE;
        gy_list_push_back(&cache->free_slabs, &slab->link);
        cache->slab_made++;
    }
    return true;
}

/* ---- Slabs and their frames ---- */

static struct gy_slab *
slab_of(const struct gy_cache *cache, const struct gy_cache_frame *frame)
{
    return &cache->slabs[(size_t)(frame - cache->frames) / GY_SLAB_FRAMES];
}

static void
cut_slab(struct gy_cache *cache, struct gy_slab *slab, uint32_t klass)
{
    struct gy_cache_frame *frames = &cache->frames[(size_t)(slab - cache->slabs) * GY_SLAB_FRAMES];

    gy_assert(slab->klass == KLASS_NONE);
    slab->klass = (uint8_t)klass;
    slab->frame_count = (uint8_t)(GY_SLAB_FRAMES / class_pages[klass]);
    slab->free_mask = (uint16_t)((1u << slab->frame_count) - 1);
    for (uint32_t i = 0; i < slab->frame_count; i++) {
        frames[i] =
            (struct gy_cache_frame){.data = slab->base + (size_t)i * class_pages[klass] * GY_PAGE,
                                    .pages = class_pages[klass]};
    }
    gy_list_push_back(&cache->partial[klass], &slab->link);
}

static struct gy_cache_frame *
take_free(struct gy_cache *cache, uint32_t klass)
{
    struct gy_slab *slab;
    struct gy_cache_frame *frame;
    uint32_t index;

    if (gy_list_is_empty(&cache->partial[klass])) {
        if (gy_list_is_empty(&cache->free_slabs) && !make_slabs(cache)) {
            return NULL;
        }
        slab = gy_container_of(gy_list_pop_front(&cache->free_slabs), struct gy_slab, link);
        cut_slab(cache, slab, klass);
    }
    slab = gy_container_of(cache->partial[klass].next, struct gy_slab, link);
    index = (uint32_t)__builtin_ctz(slab->free_mask);
    slab->free_mask = (uint16_t)(slab->free_mask & (slab->free_mask - 1));
    if (slab->free_mask == 0) {
        gy_list_remove(&slab->link);
    }
    frame = &cache->frames[(size_t)(slab - cache->slabs) * GY_SLAB_FRAMES + index];
    gy_assert(frame->state == GY_FRAME_FREE);
    cache->stats.used_bytes += (uint64_t)frame->pages * GY_PAGE;
    return frame;
}

static void
put_free(struct gy_cache *cache, struct gy_cache_frame *frame)
{
    struct gy_slab *slab = slab_of(cache, frame);
    const uint32_t index = (uint32_t)((size_t)(frame - cache->frames) % GY_SLAB_FRAMES);

    frame->state = GY_FRAME_FREE;
    cache->stats.used_bytes -= (uint64_t)frame->pages * GY_PAGE;
    if (slab->free_mask == 0) {
        gy_list_push_front(&cache->partial[slab->klass], &slab->link);
    }
    slab->free_mask = (uint16_t)(slab->free_mask | 1u << index);
    if (slab->free_mask == (1u << slab->frame_count) - 1) {
        gy_list_remove(&slab->link);
        slab->klass = KLASS_NONE;
        gy_list_push_back(&cache->free_slabs, &slab->link);
    }
}

/* ---- Table of contents ---- */

void
gy_frame_prefetch(const struct gy_cache *cache, uint64_t cache_id, struct gy_block_handle handle)
{
    const uint32_t at = cache->buckets[gy_cache_hash(cache_id, handle.offset) & cache->bucket_mask];
    const struct gy_slab *slab;
    uint32_t place;

    if (at == GY_FRAME_LINK_END) {
        return;
    }
    slab = &cache->slabs[(at - 1) / GY_SLAB_FRAMES];
    place = (at - 1) % GY_SLAB_FRAMES * class_pages[slab->klass] * GY_PAGE;
    __builtin_prefetch(&cache->frames[at - 1]);
    __builtin_prefetch(slab->base + place);
    __builtin_prefetch(slab->base +
                       ((place + handle.size - GY_BLOCK_TRAILER_SIZE - 4) & (GY_SLAB_SIZE - 1)));
}

struct gy_cache_frame *
gy_frame_find(const struct gy_cache *cache, uint64_t cache_id, uint64_t offset)
{
    uint32_t at = cache->buckets[gy_cache_hash(cache_id, offset) & cache->bucket_mask];

    while (at != GY_FRAME_LINK_END) {
        struct gy_cache_frame *frame = &cache->frames[at - 1];

        if (frame->offset == offset && frame->cache_id == cache_id) {
            return frame;
        }
        at = frame->hash_next;
    }
    return NULL;
}

static void
enter_table(struct gy_cache *cache, struct gy_cache_frame *frame)
{
    uint32_t *bucket =
        &cache->buckets[gy_cache_hash(frame->cache_id, frame->offset) & cache->bucket_mask];

    gy_assert(frame->state == GY_FRAME_HELD);
    frame->hash_next = *bucket;
    *bucket = (uint32_t)(frame - cache->frames) + 1;
    frame->state = GY_FRAME_READY;
}

static void
leave_table(struct gy_cache *cache, struct gy_cache_frame *frame)
{
    const uint32_t self = (uint32_t)(frame - cache->frames) + 1;
    uint32_t *link =
        &cache->buckets[gy_cache_hash(frame->cache_id, frame->offset) & cache->bucket_mask];

    gy_assert(frame->state == GY_FRAME_READY);
    while (*link != self) {
        gy_assert(*link != GY_FRAME_LINK_END);
        link = &cache->frames[*link - 1].hash_next;
    }
    *link = frame->hash_next;
    frame->state = GY_FRAME_HELD;
}

/* ---- Replacement (B4) ---- */

static void
evict(struct gy_cache *cache, struct gy_cache_frame *frame)
{
    gy_assert(frame->pins == 0);
    leave_table(cache, frame);
    frame->scan = false;
    GY_SOMETIMES(cache_evicted);
    cache->stats.evictions++;
}

/* Take a slab of another class whole when hardly anything in it was used again; else let it age. */
static bool
try_slab(struct gy_cache *cache, struct gy_slab *slab)
{
    struct gy_cache_frame *frames = &cache->frames[(size_t)(slab - cache->slabs) * GY_SLAB_FRAMES];
    const uint32_t count = slab->frame_count;
    uint32_t sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (frames[i].pins != 0) {
            return false;
        }
        sum += frames[i].state == GY_FRAME_READY ? frames[i].counter : 0;
    }
    if (sum * 4 > count) {
        for (uint32_t i = 0; i < count; i++) {
            frames[i].counter = (uint8_t)(frames[i].counter - (frames[i].counter != 0));
        }
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (frames[i].state == GY_FRAME_READY) {
            evict(cache, &frames[i]);
            put_free(cache, &frames[i]);
        }
    }
    gy_assert(slab->klass == KLASS_NONE);
    cache->stats.slab_moves++;
    return true;
}

/* One hand goes over all slabs, so that what was not used for longest leaves whatever its size: of
 * our own class frame by frame, of the others slab by slab. */
static struct gy_cache_frame *
evict_one(struct gy_cache *cache, uint32_t klass)
{
    struct gy_cache_frame *best = NULL;
    uint32_t best_counter = UINT32_MAX;
    uint32_t steps = 0;

    while (steps < HAND_STEPS_MAX && cache->slab_made != 0) {
        struct gy_slab *slab = &cache->slabs[cache->hand_slab];

        if (cache->hand_frame >= slab->frame_count ||
            (cache->hand_frame != 0 && slab->klass != klass)) {
            cache->hand_slab = (cache->hand_slab + 1) % cache->slab_made;
            cache->hand_frame = 0;
            steps++;
            continue;
        }
        if (slab->klass == klass) {
            struct gy_cache_frame *frame =
                &cache->frames[(size_t)cache->hand_slab * GY_SLAB_FRAMES + cache->hand_frame];

            cache->hand_frame++;
            steps++;
            if (frame->state != GY_FRAME_READY || frame->pins != 0) {
                continue;
            }
            if (frame->counter == 0) {
                evict(cache, frame);
                return frame;
            }
            if (frame->counter < best_counter) {
                best_counter = frame->counter;
                best = frame;
            }
            frame->counter--;
            continue;
        }
        steps += slab->frame_count;
        cache->hand_frame = slab->frame_count; /* go on with the next slab */
        if (slab->klass != KLASS_NONE && try_slab(cache, slab)) {
            return take_free(cache, klass);
        }
    }
    if (best != NULL) {
        evict(cache, best);
    }
    return best;
}

/* The oldest frame that a scan brought and nobody else wanted since. */
static struct gy_cache_frame *
recycle_scan(struct gy_cache *cache, uint32_t klass)
{
    struct gy_scan_ring *ring = &cache->rings[klass];

    while (ring->count == ring->capacity) {
        struct gy_cache_frame *frame = &cache->frames[ring->items[ring->first]];

        ring->first = (ring->first + 1) % ring->capacity;
        ring->count--;
        /* The frame may have been evicted and serve another block or class since: `scan` is then
         * false. */
        if (frame->scan && frame->state == GY_FRAME_READY && frame->pins == 0 &&
            frame->counter == 0 && slab_of(cache, frame)->klass == klass) {
            evict(cache, frame);
            return frame;
        }
        frame->scan = false;
    }
    return NULL;
}

struct gy_cache_frame *
gy_frame_take(struct gy_cache *cache, uint32_t pages, enum gy_cache_hint hint)
{
    const uint32_t klass = class_of(pages);
    struct gy_cache_frame *frame = take_free(cache, klass);

    if (frame == NULL && hint != GY_CACHE_NORMAL) {
        frame = recycle_scan(cache, klass);
    }
    if (frame == NULL) {
        frame = evict_one(cache, klass);
    }
    if (frame == NULL) {
        return NULL;
    }
    frame->state = GY_FRAME_HELD;
    frame->drop = false;
    frame->scan = false;
    frame->counter = 0;
    gy_assert(frame->pins == 0);
    gy_frame_pin(cache, frame, 1);
    return frame;
}

struct gy_cache_frame *
gy_frame_take_heap(struct gy_cache *cache, uint32_t pages)
{
    struct gy_heap *heap = &cache->loop->heap;
    struct gy_cache_frame *frame = gy_heap_zalloc(heap, sizeof(*frame), GY_MEM_CALL);

    if (frame == NULL) {
        return NULL;
    }
    frame->data = gy_heap_map(heap, (size_t)pages * GY_PAGE, GY_MEM_CALL);
    if (frame->data == NULL) {
        gy_heap_free(heap, frame);
        return NULL;
    }
    frame->pages = pages;
    frame->state = GY_FRAME_HEAP;
    frame->drop = true;
    gy_frame_pin(cache, frame, 1);
    cache->stats.overflow_count++;
    return frame;
}

void
gy_frame_publish(struct gy_cache *cache, struct gy_cache_frame *frame, enum gy_cache_hint hint)
{
    struct gy_scan_ring *ring;

    gy_assert(frame->state == GY_FRAME_HELD && frame->pins != 0);
    gy_assert_slow(gy_frame_find(cache, frame->cache_id, frame->offset) == NULL);
    enter_table(cache, frame);
    frame->counter = hint == GY_CACHE_NORMAL && frame->kind == GY_BLOCK_PARTITION ? COUNTER_MAX : 0;
    frame->drop = hint == GY_CACHE_NO_FILL;
    if (hint != GY_CACHE_SCAN) {
        return;
    }
    ring = &cache->rings[slab_of(cache, frame)->klass];
    if (ring->count < ring->capacity) {
        ring->items[(ring->first + ring->count) % ring->capacity] =
            (uint32_t)(frame - cache->frames);
        ring->count++;
        frame->scan = true;
    }
}

void
gy_frame_expel(struct gy_cache *cache, struct gy_cache_frame *frame)
{
    gy_assert(frame->state == GY_FRAME_READY);
    if (frame->pins == 0) {
        gy_frame_release(cache, frame);
        return;
    }
    leave_table(cache, frame);
    frame->scan = false;
    frame->drop = true;
}

void
gy_frame_release(struct gy_cache *cache, struct gy_cache_frame *frame)
{
    gy_assert(frame->pins == 0);
    if (frame->state == GY_FRAME_HEAP) {
        gy_heap_unmap(&cache->loop->heap, frame->data, (size_t)frame->pages * GY_PAGE, GY_MEM_CALL);
        gy_heap_free(&cache->loop->heap, frame);
        return;
    }
    if (frame->state == GY_FRAME_READY) {
        evict(cache, frame);
    }
    put_free(cache, frame);
}

void
gy_frame_unpin(struct gy_cache *cache, struct gy_cache_frame *frame)
{
    gy_assert(frame->pins != 0);
    frame->pins--;
    if (frame->pins == 0) {
        cache->stats.pinned_bytes -= (uint64_t)frame->pages * GY_PAGE;
        if (frame->drop) {
            gy_frame_release(cache, frame);
        }
    }
}
