/* batch.h - what the write path sees of a gyre_batch: its operations, encoded as the log takes
 * them.
 *
 * A batch belongs to no loop, so its memory is not a loop's: it brings its own unlimited heap
 * along.
 */
#ifndef GY_BATCH_H
#define GY_BATCH_H

#include "gyre/batch.h"
#include "io/base/heap.h"

struct gyre_batch {
    struct gy_heap heap; /* what this struct itself and `data` come from */
    uint8_t *data;       /* operations, layout in codec/batch.h */
    size_t size;
    size_t capacity;
    uint64_t user_bytes; /* of keys and values */
    uint32_t count;
    uint32_t put_count;
};

/* All operations; they live until the batch changes. */
static inline struct gyre_slice
gy_batch_bytes(const gyre_batch *batch)
{
    return gyre_slice(batch->data, batch->size);
}

/* Sum of key and value sizes. */
static inline uint64_t
gy_batch_user_bytes(const gyre_batch *batch)
{
    return batch->user_bytes;
}

#endif
