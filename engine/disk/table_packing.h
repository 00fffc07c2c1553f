/* table_packing.h - when a data block is full: the rule that makes raw blocks fill their pages
 * (docs/decisions/0003-block-packing.md). Pure. Private to the table writer.
 *
 * Raw: a block aims at `pages` pages. When the next entry does not fit, it is closed if at most 1/8
 * of its pages stay empty; else it aims at one page more, up to pages_max. One entry larger than
 * that has a block for itself. Compressed: blocks follow each other by the byte, so what counts is
 * raw size: enough for zstd to find something, at most GY_BLOCK_SIZE_MAX.
 */
#ifndef GY_TABLE_PACKING_H
#define GY_TABLE_PACKING_H

#include <stdbool.h>
#include <stdint.h>

#define GY_PACKING_WASTE_SHARE 8u

struct gy_table_packing {
    uint32_t pages_first; /* where a block starts: block_size */
    uint32_t pages_max;
    uint32_t pages; /* what the current block aims at */
    bool compress;
};

void gy_table_packing_init(struct gy_table_packing *packing, uint32_t block_size, bool compress);
/* A new block begins with an entry that makes it `size` bytes, trailer included. */
void gy_table_packing_begin(struct gy_table_packing *packing, uint64_t size);
/* May an entry join that makes the block grow from `size` to `size_with`, trailer included? */
bool gy_table_packing_takes(struct gy_table_packing *packing, uint64_t size, uint64_t size_with);

#endif
