/* table_hashes.h - hashes of the keys of a partition that is being written, and the filter made of
 * them. Private to the table writer.
 *
 * Owns: an array of the heap (GY_MEM_BUFFERS), bounded by what a partition takes. Zeroed = empty.
 */
#ifndef GY_TABLE_HASHES_H
#define GY_TABLE_HASHES_H

#include "engine/codec/filter.h"
#include "io/base/heap.h"

struct gy_table_hashes {
    uint64_t *items;
    uint32_t count;
    uint32_t capacity;
};

/* False: no memory. A key of several versions is added once. */
bool gy_table_hashes_add(struct gy_table_hashes *hashes, struct gy_heap *heap,
                         struct gyre_slice key);
/* Build the filter of `size` bytes at `target`. False: it denies a key of its own, so memory is not
 * what was written to it. */
bool gy_table_hashes_build(const struct gy_table_hashes *hashes, uint32_t bits_per_key,
                           uint8_t *target, uint32_t size);
void gy_table_hashes_fini(struct gy_table_hashes *hashes, struct gy_heap *heap);

#endif
