/* table_packing.c - when a data block is full; see table_packing.h. */
#include "engine/disk/table_packing.h"

#include "engine/codec/limits.h"
#include "io/base/bits.h"
#include "io/base/ban.h"

#define RAW_PAGES_MAX 4u             /* unless block_size asks for more */
#define COMPRESS_UNIT (16u * GY_KIB) /* raw bytes; what zstd saves on less does not pay */

void
gy_table_packing_init(struct gy_table_packing *packing, uint32_t block_size, bool compress)
{
    packing->pages_first =
        (uint32_t)gy_clamp_u64(block_size / GY_PAGE, 1, GY_BLOCK_SIZE_MAX / GY_PAGE);
    packing->pages_max = (uint32_t)gy_max_u64(RAW_PAGES_MAX, packing->pages_first);
    packing->pages = packing->pages_first;
    packing->compress = compress;
}

void
gy_table_packing_begin(struct gy_table_packing *packing, uint64_t size)
{
    const uint64_t pages = gy_align_up(size, GY_PAGE) / GY_PAGE;

    packing->pages = (uint32_t)gy_max_u64(pages, packing->pages_first);
}

bool
gy_table_packing_takes(struct gy_table_packing *packing, uint64_t size, uint64_t size_with)
{
    const uint64_t pages = gy_align_up(size_with, GY_PAGE) / GY_PAGE;
    const uint64_t room = (uint64_t)packing->pages * GY_PAGE;

    if (packing->compress) {
        return size_with <= gy_max_u64((uint64_t)packing->pages_first * GY_PAGE, COMPRESS_UNIT);
    }
    if (packing->pages > packing->pages_max) {
        return false; /* one large entry has this block for itself */
    }
    if (pages <= packing->pages) {
        return true;
    }
    if ((room - size) * GY_PACKING_WASTE_SHARE <= room || pages > packing->pages_max) {
        return false;
    }
    packing->pages = (uint32_t)pages;
    return true;
}
