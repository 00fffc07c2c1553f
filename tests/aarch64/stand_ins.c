/* stand_ins.c - what takes the place of liburing and libzstd in programs for an emulator: neither
 * library is installed for a foreign processor.
 *
 * A ring that is always refused, so that the loop has to find the blocking world by itself; and a
 * compressor that never pays, so that every block is stored as it is.
 */
#define ZSTD_STATIC_LINKING_ONLY
#include <stdio.h>
#include <string.h>

#include "io/world.h"
#ifdef GYRE_WITH_ENGINE
#include <zstd.h>
#endif

gyre_status
gy_world_uring_open(const struct gy_world_config *config, struct gy_heap *heap,
                    char ret_reason[160], struct gy_world **ret_world)
{
    (void)config;
    (void)heap;
    (void)ret_world;
    (void)snprintf(ret_reason, 160, "no liburing for this machine");
    return GYRE_UNSUPPORTED;
}

#ifdef GYRE_WITH_ENGINE
static int context;

ZSTD_CCtx *
ZSTD_createCCtx_advanced(ZSTD_customMem memory)
{
    (void)memory;
    return (ZSTD_CCtx *)&context;
}

ZSTD_DCtx *
ZSTD_createDCtx_advanced(ZSTD_customMem memory)
{
    (void)memory;
    return (ZSTD_DCtx *)&context;
}

size_t
ZSTD_freeCCtx(ZSTD_CCtx *unused)
{
    (void)unused;
    return 0;
}

size_t
ZSTD_freeDCtx(ZSTD_DCtx *unused)
{
    (void)unused;
    return 0;
}

size_t
ZSTD_compressCCtx(ZSTD_CCtx *unused, void *target, size_t capacity, const void *source, size_t size,
                  int level)
{
    (void)unused;
    (void)target;
    (void)capacity;
    (void)source;
    (void)size;
    (void)level;
    return (size_t)-1;
}

size_t
ZSTD_decompressDCtx(ZSTD_DCtx *unused, void *target, size_t capacity, const void *source,
                    size_t size)
{
    (void)unused;
    (void)target;
    (void)capacity;
    (void)source;
    (void)size;
    return (size_t)-1;
}

unsigned
ZSTD_isError(size_t code)
{
    return code == (size_t)-1;
}
#endif
