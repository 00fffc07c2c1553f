/* cache_frame.h - frames of the block cache: their memory, their headers, who leaves when one is
 * needed. Private to cache.c and cache_slab.c.
 *
 * The cache's memory is slabs of 64 KiB; each is cut into frames of one size class, or free.
 * Headers are an array, GY_SLAB_FRAMES per slab whatever its class, so that a frame's header, slab
 * and index find each other by arithmetic.
 *   F1  A frame is FREE (in its slab's free_mask), HELD (somebody reads into it: pinned, unknown to
 *       the table of contents) or READY (in the table of contents). HEAP frames have memory of
 *       their own.
 *   F2  A slab is in cache->free_slabs, or in cache->partial[class] while it has free frames, or in
 *       no list.
 */
#ifndef GY_CACHE_FRAME_H
#define GY_CACHE_FRAME_H

#include "engine/disk/cache.h"
#include "io/base/probes.h"

#define GY_SLAB_SIZE (64u * 1024u)
#define GY_SLAB_FRAMES 16u
#define GY_FRAME_PAGES_MAX 16u
#define GY_FRAME_CLASSES 6u
#define GY_FRAME_LINK_END 0u /* in links: index + 1 */

enum gy_frame_state { GY_FRAME_FREE, GY_FRAME_HELD, GY_FRAME_READY, GY_FRAME_HEAP };

struct gy_cache_frame {
    uint64_t cache_id;
    uint64_t offset;
    uint8_t *data;
    uint32_t size; /* of the raw body */
    uint32_t pins;
    uint32_t hash_next; /* index + 1 */
    uint32_t pages;     /* of memory; HEAP: may be more than GY_FRAME_PAGES_MAX */
    uint8_t state;
    uint8_t kind;
    uint8_t counter;  /* B4 */
    bool drop;        /* leaves at its last unpin */
    bool scan;        /* in the ring of its class */
    uint64_t hash;    /* of the body, where the source wants hits verified; 0 = not */
    uint64_t pad_;    /* a line of the processor's cache for each header */
};
_Static_assert(sizeof(struct gy_cache_frame) == 64, "headers do not lie on two lines");

struct gy_slab {
    struct gy_list link; /* F2 */
    uint8_t *base;
    uint16_t free_mask;
    uint8_t klass;
    uint8_t frame_count;
};

/* Frames that scans brought, oldest first: a scan recycles its own. */
struct gy_scan_ring {
    uint32_t *items; /* frame index */
    uint32_t capacity;
    uint32_t first;
    uint32_t count;
};

/* A read in progress, known by its block. */
struct gy_flight {
    struct gy_list link; /* in cache->flights[], or cache->free_flights */
    struct gy_cache *cache;
    struct gy_block_source source; /* prefetch: all that its coroutine needs */
    struct gy_block_handle handle;
    enum gy_block_kind kind;
    enum gy_cache_hint hint;
    uint32_t waiters;
    bool done;
    gyre_status status;
    struct gy_cache_frame *frame; /* done and OK: pinned once for each waiter */
    struct gy_waitq queue;
    struct gyre_error error;
};

#define GY_FLIGHT_BUCKETS 64u

struct gy_cache {
    struct gy_loop *loop;
    struct gy_arena *arena;
    struct gy_cache_frame *frames;
    uint32_t *buckets; /* index + 1 of the first frame */
    uint32_t bucket_mask;
    uint32_t slab_count; /* most there will be */
    uint32_t slab_made;
    struct gy_slab *slabs;
    uint8_t *small_base; /* less than a chunk: mapped, not from the arena */
    uint8_t *memory;     /* frames, buckets, slabs, rings: one mapping */
    size_t memory_size;
    struct gy_list free_slabs;
    struct gy_list partial[GY_FRAME_CLASSES];
    struct gy_scan_ring rings[GY_FRAME_CLASSES];
    uint32_t hand_slab;
    uint32_t hand_frame;
    struct gy_list flights[GY_FLIGHT_BUCKETS];
    struct gy_list free_flights;
    uint32_t flight_count; /* in progress */
    uint32_t prefetch_count;
    struct gy_waitq flight_ended;
    uint64_t last_id;
    struct gy_compressor compressor;
    struct gy_cache_stats stats;
};

static inline uint64_t
gy_cache_hash(uint64_t cache_id, uint64_t offset)
{
    return gy_mix64(offset + cache_id * 0x9e3779b97f4a7c15ull);
}

/* ---- cache_slab.c ---- */

gyre_status gy_cache_memory_make(struct gy_cache *cache, uint64_t capacity);
void gy_cache_memory_free(struct gy_cache *cache);

/* A frame of at least `pages` pages (<= GY_FRAME_PAGES_MAX), HELD with one pin; NULL when all are
 * pinned. */
struct gy_cache_frame *gy_frame_take(struct gy_cache *cache, uint32_t pages,
                                     enum gy_cache_hint hint);
struct gy_cache_frame *gy_frame_take_heap(struct gy_cache *cache,
                                          uint32_t pages); /* NULL: no memory */
/* HELD -> READY, in the table of contents. */
void gy_frame_publish(struct gy_cache *cache, struct gy_cache_frame *frame,
                      enum gy_cache_hint hint);
/* READY: nobody finds it any more; it goes at once, or when it is unpinned. */
void gy_frame_expel(struct gy_cache *cache, struct gy_cache_frame *frame);
/* HELD or READY and without pins, or HEAP: give its memory back. */
void gy_frame_release(struct gy_cache *cache, struct gy_cache_frame *frame);
/* Have the processor fetch the end of the block, where its restarts are, together with the frame's
 * header: memory that was not used for a while costs 100 to 250 ns, and these two need not wait for
 * each other. */
void gy_frame_prefetch(const struct gy_cache *cache, uint64_t cache_id,
                       struct gy_block_handle handle);
struct gy_cache_frame *gy_frame_find(const struct gy_cache *cache, uint64_t cache_id,
                                     uint64_t offset);

static inline void
gy_frame_pin(struct gy_cache *cache, struct gy_cache_frame *frame, uint32_t count)
{
    if (frame->pins == 0 && count != 0) {
        cache->stats.pinned_bytes += (uint64_t)frame->pages * GY_PAGE;
    }
    frame->pins += count;
}

void gy_frame_unpin(struct gy_cache *cache, struct gy_cache_frame *frame);

/* A block was read. */
static inline void
gy_cache_note_read(struct gy_cache *cache, const struct gy_block_source *source, uint64_t offset,
                   uint32_t size)
{
    struct gyre_trace *trace = cache->loop->sched.trace;

    cache->stats.reads++;
    cache->stats.read_bytes += size;
    GY_PROBE3(block__read, source->file_id, offset, size);
    if (trace != NULL) {
        trace->blocks_read++;
        trace->block_bytes_read += size;
    }
}

#endif
