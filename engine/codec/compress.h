/* compress.h - zstd behind two calls, with contexts made once. A block is at most GY_BLOCK_SIZE_MAX (or one entry), so one
 * call stays inside the turn budget for ordinary blocks.
 */
#ifndef GY_COMPRESS_H
#define GY_COMPRESS_H

#include "gyre/status.h"
#include "io/base/heap.h"

struct gy_compressor {
    void *compress_context;   /* made on first use */
    void *decompress_context;
};

void gy_compressor_fini(struct gy_compressor *compressor);
/* Compressed size, or 0 when it does not fit in `capacity` (then store it raw). */
uint32_t gy_compress(struct gy_compressor *compressor, int level, uint8_t *target, uint32_t capacity,
                     const uint8_t *source, uint32_t size);
/* OK only when exactly `raw_size` bytes came out; CORRUPT, NO_MEMORY. */
gyre_status gy_decompress(struct gy_compressor *compressor, uint8_t *target, uint32_t raw_size,
                          const uint8_t *source, uint32_t size);

#endif
