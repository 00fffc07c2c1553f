/* filter.h - blocked Bloom filter: each key sets all its bits in one 64-byte line, so a check costs
 * one cache miss.
 *
 * Bytes: a multiple of 64, no header. The number of probes follows from bits per key and is stored
 * by the partition.
 *   hash   XXH3_64bits of the user key
 *   line   high 32 bits of hash * number of lines, >> 32
 *   probe  x = low 32 bits of hash; each probe takes the bit at the top 9 bits of x (bit b is bit b
 *          % 8 of byte b / 8 of the line), then x = x * 0x9e3779b9 mod 2^32
 * A filter that does not know a key's hash proves that the key is not in the partition: the reverse
 * is never promised. Empty (0 bytes) = always maybe.
 */
#ifndef GY_FILTER_H
#define GY_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "gyre/base.h"

#define GY_FILTER_LINE 64u
#define GY_FILTER_PROBES_MAX 16u

uint64_t gy_filter_hash(struct gyre_slice key);
uint32_t gy_filter_size(uint64_t key_count,
                        uint32_t bits_per_key);   /* multiple of 64; 0 for 0 keys */
uint32_t gy_filter_probes(uint32_t bits_per_key); /* 1..GY_FILTER_PROBES_MAX */
/* `target` is zeroed, of gy_filter_size bytes. */
void gy_filter_build(uint8_t *target, uint32_t size, uint32_t probes, const uint64_t *hashes,
                     uint64_t count);
bool gy_filter_may_contain(const uint8_t *filter, uint32_t size, uint32_t probes, uint64_t hash);

#endif
