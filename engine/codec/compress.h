/* compress.h - zstd behind two calls, with contexts made once. A block is compressed only when it
 * has at most GY_BLOCK_SIZE_MAX bytes, so one call stays inside the turn budget at the low levels.
 *
 * Contexts come from the heap and are charged to its limit (about 0.6 MiB for level 1 and 64 KiB
 * blocks). Owns: the two contexts. Zeroed = nothing made yet.
 */
#ifndef GY_COMPRESS_H
#define GY_COMPRESS_H

#include "gyre/status.h"
#include "io/base/heap.h"

struct gy_compressor {
    struct gy_heap *heap;   /* set by gy_compressor_init */
    void *compress_context; /* made on first use */
    void *decompress_context;
};

void gy_compressor_init(struct gy_compressor *compressor, struct gy_heap *heap);
void gy_compressor_fini(struct gy_compressor *compressor);

/* Compressed size, or 0 when it does not fit in `capacity` or there is no memory (then store it
 * raw). */
uint32_t gy_compress(struct gy_compressor *compressor, int level, uint8_t *target,
                     uint32_t capacity, const uint8_t *source, uint32_t size);
/* OK only when exactly `raw_size` bytes came out; CORRUPT, NO_MEMORY. */
gyre_status gy_decompress(struct gy_compressor *compressor, uint8_t *target, uint32_t raw_size,
                          const uint8_t *source, uint32_t size);

#endif
