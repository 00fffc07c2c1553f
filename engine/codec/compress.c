/* compress.c - zstd; see compress.h. */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_customMem: contexts live in our heap */
#include "engine/codec/compress.h"

#include <zstd.h>

#include "io/base/assert.h"
#include "io/base/ban.h"

static void *
allocate(void *heap, size_t size)
{
    return gy_heap_alloc(heap, size, GY_MEM_BUFFERS);
}

static void
release(void *heap, void *block)
{
    gy_heap_free(heap, block);
}

void
gy_compressor_init(struct gy_compressor *compressor, struct gy_heap *heap)
{
    *compressor = (struct gy_compressor){.heap = heap};
}

void
gy_compressor_fini(struct gy_compressor *compressor)
{
    (void)ZSTD_freeCCtx(compressor->compress_context); /* NULL is fine */
    (void)ZSTD_freeDCtx(compressor->decompress_context);
    compressor->compress_context = NULL;
    compressor->decompress_context = NULL;
}

uint32_t
gy_compress(struct gy_compressor *compressor, int level, uint8_t *target, uint32_t capacity,
            const uint8_t *source, uint32_t size)
{
    const ZSTD_customMem memory = {allocate, release, compressor->heap};
    size_t result;

    gy_assert(size != 0);
    if (compressor->compress_context == NULL) {
        compressor->compress_context = ZSTD_createCCtx_advanced(memory);
        if (compressor->compress_context == NULL) {
            return 0;
        }
    }
    result = ZSTD_compressCCtx(compressor->compress_context, target, capacity, source, size, level);
    return ZSTD_isError(result) ? 0 : (uint32_t)result;
}

gyre_status
gy_decompress(struct gy_compressor *compressor, uint8_t *target, uint32_t raw_size,
              const uint8_t *source, uint32_t size)
{
    const ZSTD_customMem memory = {allocate, release, compressor->heap};
    size_t result;

    if (compressor->decompress_context == NULL) {
        compressor->decompress_context = ZSTD_createDCtx_advanced(memory);
        if (compressor->decompress_context == NULL) {
            return GYRE_NO_MEMORY;
        }
    }
    /* One frame of known size is decoded straight into the target: no window is allocated, whatever
     * the frame's header asks for. */
    result = ZSTD_decompressDCtx(compressor->decompress_context, target, raw_size, source, size);
    return !ZSTD_isError(result) && result == raw_size ? GYRE_OK : GYRE_CORRUPT;
}
