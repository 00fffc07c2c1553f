/* region.h - bump allocation for one memtable: chunks of 256 KiB from the heap, freed all at once.
 *
 *   R1  gy_region_reserve makes the next allocations up to that many bytes certain: a write reserves before its
 *       log record is staged, and cannot fail after.
 *   R2  Chunks of dead memtables are kept in a small pool (the next memtable takes them warm), so filling a
 *       memtable does not go to malloc once the store has run for a while.
 */
#ifndef GY_REGION_H
#define GY_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/base/heap.h"

#define GY_REGION_CHUNK (256u * 1024u)

struct gy_region_chunk;

struct gy_region_pool {
    struct gy_heap *heap;
    struct gy_region_chunk *free;
    uint32_t free_count;
    uint32_t free_count_max;
};

struct gy_region {
    struct gy_region_pool *pool;
    struct gy_region_chunk *chunks; /* newest first; the first is the one being filled */
    uint8_t *at;
    uint8_t *end;
    uint64_t bytes; /* of all chunks */
};

void gy_region_pool_init(struct gy_region_pool *pool, struct gy_heap *heap, uint32_t free_count_max);
void gy_region_pool_fini(struct gy_region_pool *pool);

void gy_region_init(struct gy_region *region, struct gy_region_pool *pool);
void gy_region_fini(struct gy_region *region);
/* One contiguous allocation of up to `size` bytes (alignment included) will succeed afterwards. */
bool gy_region_reserve(struct gy_region *region, size_t size);
/* 8-byte aligned; NULL only when it was not reserved and there is no memory. */
void *gy_region_alloc(struct gy_region *region, size_t size);

#endif
