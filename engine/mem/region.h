/* region.h - bump allocation for one memtable: chunks of 256 KiB from the heap, freed all at once.
 *
 *   R1  gy_region_reserve makes the next allocations up to that many bytes certain: a write
 *       reserves before its log record is staged, and cannot fail after. The last reservation is
 *       what holds: two do not add up.
 *   R2  Chunks of dead memtables are kept in a small pool (the next memtable takes them warm), so
 *       filling a memtable does not go to malloc once the store has run for a while. One of them
 *       is given up where the heap has nothing left for what a memtable needs beside them.
 *   R3  A reservation of more than a quarter of a chunk gets a chunk of its own size; what was free
 *       in the one before stays usable. So large values waste no space.
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
    struct gy_region_chunk *chunks; /* kept warm */
    uint32_t free_count;
    uint32_t free_count_max;
};

struct gy_region {
    struct gy_region_pool *pool;
    struct gy_region_chunk *chunks; /* newest first */
    uint8_t *at;                    /* free space of the chunk being filled */
    uint8_t *end;
    uint8_t *spare_at;              /* of another one, R3; NULL: none */
    uint8_t *spare_end;
    uint64_t bytes;                 /* of all chunks */
};

void gy_region_pool_init(struct gy_region_pool *pool, struct gy_heap *heap,
                         uint32_t free_count_max);
void gy_region_pool_fini(struct gy_region_pool *pool);
/* Give one chunk back to the heap; false: the pool has none. */
bool gy_region_pool_shrink(struct gy_region_pool *pool);

void gy_region_init(struct gy_region *region, struct gy_region_pool *pool);
void gy_region_fini(struct gy_region *region);
/* One contiguous allocation of up to `size` bytes, or several that make it up when each is rounded
 * up to 8 bytes, will succeed afterwards. False: no memory, nothing changed. */
bool gy_region_reserve(struct gy_region *region, size_t size);
/* 8-byte aligned; NULL only when it was not reserved and there is no memory. */
void *gy_region_alloc(struct gy_region *region, size_t size);

#endif
