/* checksum.c - see checksum.h. The only file that includes xxHash: its inlined code is large, and a
 * call costs less than the memory that copies of it would take from the instruction cache. */
#include "engine/codec/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "io/base/ban.h"

#ifdef GYRE_CHECKED
bool gy_checksum_believes_all;
#endif

uint64_t
gy_checksum(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}
