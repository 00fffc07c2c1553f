/* footer.h - last page of an SSTable: what it is, where its top index lies, its properties. Table
 * format 1.
 *
 * A table file: data blocks and partitions in the order they were finished (a partition follows the
 * data blocks that it indexes), then the top index, then this page of 4096 bytes at file_size -
 * 4096. Raw data blocks, partitions and the top index start on 4096-byte pages; compressed data
 * blocks follow each other without gaps. Gaps are zero.
 *
 *   off  len  field
 *     0    8  checksum         XXH3_64bits_withSeed(bytes [8, 4096), 0)
 *     8    4  magic            "GYT1"
 *    12    4  version          1
 *    16    8  incompatible     feature bits; an unknown one: UNSUPPORTED
 *    24    8  compatible
 *    32    8  store_id         of the store that wrote it (information: files may be moved)
 *    40    8  file_id          random; seeds the block checksums (gy_block_seed)
 *    48    4  keyspace
 *    52    4  level            when written
 *    56    8  file_size        bytes, footer included
 *    64    8  top_offset       top index: where
 *    72    4  top_size         with trailer
 *    76    4  compression      enum gy_block_compression of its data blocks (the strongest used)
 *    80    8  entry_count
 *    88    8  delete_count
 *    96    8  sequence_min
 *   104    8  sequence_max
 *   112    8  key_bytes        sum over entries
 *   120    8  value_bytes
 *   128    8  data_block_count
 *   136    8  partition_count
 *   144    8  content_hash     sum (mod 2^64) of gy_entry_hash over all entries: independent of
 *   order and
 *                              layout
 *   152    8  filter_bytes
 *   160    4  bloom_bits
 *   164    4  block_size       target
 *   168   32  comparator       name, zero-padded
 *   200    4  key_size_max     bytes of the longest key: readers need no larger buffer
 *   204  ...  zero
 * Valid iff, in this order: magic (CORRUPT), checksum (CORRUPT), version and incompatible bits
 * known and the comparator ours (UNSUPPORTED), file_size equals the file's, a multiple of 4096, top
 * index inside, key_size_max 1..65536, at least one entry and one partition, all other fields in
 * their ranges (CORRUPT). Frozen by tests/golden/footer_v1.bin.
 */
#ifndef GY_FOOTER_H
#define GY_FOOTER_H

#include "engine/codec/block.h"

#define GY_FOOTER_SIZE 4096u
#define GY_FOOTER_MAGIC 0x31545947u /* "GYT1" */

struct gy_footer {
    uint64_t incompatible;
    uint64_t compatible;
    uint64_t store_id;
    uint64_t file_id;
    uint32_t keyspace;
    uint32_t level;
    uint64_t file_size;
    struct gy_block_handle top;
    uint32_t compression;
    uint64_t entry_count;
    uint64_t delete_count;
    uint64_t sequence_min;
    uint64_t sequence_max;
    uint64_t key_bytes;
    uint64_t value_bytes;
    uint64_t data_block_count;
    uint64_t partition_count;
    uint64_t content_hash;
    uint64_t filter_bytes;
    uint32_t bloom_bits;
    uint32_t block_size;
    uint32_t key_size_max;
};

void gy_footer_encode(uint8_t target[GY_FOOTER_SIZE], const struct gy_footer *footer);
gyre_status gy_footer_decode(const uint8_t source[GY_FOOTER_SIZE], uint64_t file_size,
                             struct gy_footer *ret_footer);

/* Order-independent fingerprint of one entry: key, tag, value. */
uint64_t gy_entry_hash(const struct gy_entry *entry);

#endif
