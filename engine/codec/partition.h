/* partition.h - bytes of one partition: the filter of a run of data blocks and the index to them,
 * in one block, so that a point read finds both with one look-up in the cache.
 *
 * Body (block kind PARTITION, never compressed, starts on a 4096-byte page; trailer as in block.h):
 *     f  filter       codec/filter.h, a multiple of 64 bytes, may be empty
 *     n  index        block body (codec/block.h), one entry per data block:
 *                     (key, tag) = separator: >= every entry of the data block, < every entry of
 *                     the next. Between two user keys: a short key, tag 0. Between versions of one
 *                     user key: that key and the tag of the block's last entry. After the last
 *                     block of a table: the table's largest key, tag 0.
 *                     value = varint offset, varint size (gy_block_handle)
 *     4  filter_size  u32 fixed
 *     4  probes       u32 fixed
 * The top index of a table is a block body (kind TOP_INDEX) of the same entries for its partitions;
 * a partition's separator is that of its last data block.
 * Valid iff: filter_size a multiple of 64 and inside, probes 1..16 (or no filter: 0), the index
 * opens.
 */
#ifndef GY_PARTITION_H
#define GY_PARTITION_H

#include "engine/codec/block.h"
#include "engine/codec/filter.h"

#define GY_PARTITION_TAIL_SIZE 8u
#define GY_BLOCK_HANDLE_SIZE_MAX 16u

struct gy_partition {
    const uint8_t *filter;
    uint32_t filter_size;
    uint32_t probes;
    struct gy_block index;
};

/* Write filter_size and probes behind the index. */
void gy_partition_tail(uint8_t target[GY_PARTITION_TAIL_SIZE], uint32_t filter_size,
                       uint32_t probes);
gyre_status gy_partition_open(const uint8_t *body, uint32_t size,
                              struct gy_partition *ret_partition);

unsigned gy_block_handle_encode(uint8_t target[GY_BLOCK_HANDLE_SIZE_MAX],
                                const struct gy_block_handle *handle);
/* CORRUPT unless it lies inside [0, file_size). */
gyre_status gy_block_handle_decode(struct gyre_slice value, uint64_t file_size,
                                   struct gy_block_handle *ret_handle);

#endif
