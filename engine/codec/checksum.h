/* checksum.h - the one checksum of all files: XXH3, 64 bits, seeded with where bytes belong.
 *
 * It finds accidents, not attackers.
 */
#ifndef GY_CHECKSUM_H
#define GY_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* XXH3_64bits_withSeed. `data` may be NULL when size is 0. */
uint64_t gy_checksum(const void *data, size_t size, uint64_t seed);

#endif
