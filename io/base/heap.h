/* heap.h - the only road to malloc: it counts bytes by purpose, holds the loop's memory limit and
 * can be told to fail.
 *
 *   H1  used <= limit at all times; an allocation that would pass it returns NULL.
 *   H2  gy_heap_free(NULL) is fine. Blocks remember their size and tag.
 *   H3  Memory is zeroed only by gy_heap_zalloc and gy_heap_map_zeroed.
 *   H4  Whole pages come from `pages` (pages.h) and go back there; NULL is the system.
 *   H5  What grows as long as there is room, cache and memtables, leaves to the others what they
 *       were promised and do not use yet: a writer finds the memtables of its store, an operation a
 *       stack, an iterator its few KiB, whatever was read before.
 * Every caller treats NULL as GYRE_NO_MEMORY with its own state unchanged.
 */
#ifndef GY_HEAP_H
#define GY_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/base/pages.h"

enum gy_mem_tag {
    GY_MEM_LOOP,     /* scheduler, requests */
    GY_MEM_STACK,    /* of coroutines */
    GY_MEM_LOG,      /* buffers of log groups */
    GY_MEM_BUFFERS,  /* I/O buffers of flush and compaction */
    GY_MEM_CACHE,    /* block cache frames and their table */
    GY_MEM_MEMTABLE,
    GY_MEM_TABLE,    /* open tables: top index, file state */
    GY_MEM_VERSION,  /* versions, views, manifest state */
    GY_MEM_CALL,     /* batches, iterators, snapshots, results */
    GY_MEM_TAG_COUNT
};

struct gy_heap {
    uint64_t used;
    uint64_t limit;                       /* bytes; UINT64_MAX = none */
    uint64_t promised_by_tag[GY_MEM_TAG_COUNT]; /* H5 */
    uint64_t peak;
    uint64_t used_by_tag[GY_MEM_TAG_COUNT];
    uint64_t allocation_count;            /* since open: tests prove hot paths leave it alone */
    uint64_t largest;                     /* bytes of the largest one asked for, refused or not */
    uint64_t fail_at;                     /* fail the allocation with this ordinal; 0 = never */
    struct gy_pages *pages;               /* H4 */
};

void gy_heap_init(struct gy_heap *heap, uint64_t limit);
void *gy_heap_alloc(struct gy_heap *heap, size_t size, enum gy_mem_tag tag);
void *gy_heap_zalloc(struct gy_heap *heap, size_t size, enum gy_mem_tag tag);
void *gy_heap_realloc(struct gy_heap *heap, void *block, size_t size, enum gy_mem_tag tag);
void gy_heap_free(struct gy_heap *heap, void *block);

/* Page-aligned memory, kept out of forked children: buffers, cache frames. `size` is a multiple of
 * GY_PAGE. The tag and size are given back by the caller on unmap. */
void *gy_heap_map(struct gy_heap *heap, size_t size, enum gy_mem_tag tag);
void *gy_heap_map_zeroed(struct gy_heap *heap, size_t size, enum gy_mem_tag tag);
void gy_heap_unmap(struct gy_heap *heap, void *base, size_t size, enum gy_mem_tag tag);
/* The same for a coroutine's stack: the lowest gy_pages_guard_size() bytes are inaccessible. */
void *gy_heap_map_stack(struct gy_heap *heap, size_t size, enum gy_mem_tag tag);
void gy_heap_unmap_stack(struct gy_heap *heap, void *base, size_t size, enum gy_mem_tag tag);
/* Address space that is charged later, as it is used (GY_PAGES_RANGE). */
void *gy_heap_reserve(struct gy_heap *heap, size_t size);
void gy_heap_unreserve(struct gy_heap *heap, void *base, size_t size);

/* H5. The promises of all tags together stay below the limit. */
void gy_heap_promise(struct gy_heap *heap, uint64_t bytes, enum gy_mem_tag tag);
/* Would `bytes` more leave to the other tags what they were promised? */
bool gy_heap_has_room(const struct gy_heap *heap, uint64_t bytes, enum gy_mem_tag tag);

/* Charge memory that was mapped elsewhere; false (and no charge) when it would pass the limit. */
int gy_heap_charge(struct gy_heap *heap, uint64_t bytes, enum gy_mem_tag tag);
void gy_heap_discharge(struct gy_heap *heap, uint64_t bytes, enum gy_mem_tag tag);

#endif
