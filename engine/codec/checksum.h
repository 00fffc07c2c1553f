/* checksum.h - the one checksum of all files: XXH3, 64 bits, seeded with where bytes belong.
 *
 * It finds accidents, not attackers.
 */
#ifndef GY_CHECKSUM_H
#define GY_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* XXH3_64bits_withSeed. `data` may be NULL when size is 0. */
uint64_t gy_checksum(const void *data, size_t size, uint64_t seed);

/* In the checker's build (io/base/checked.h) a fuzzer may have every stored checksum believed:
 * what it makes up gets past them about never, an attacker who computes them does. */
#ifdef GYRE_CHECKED
extern bool gy_checksum_believes_all;
#else
#define gy_checksum_believes_all false
#endif

/* Is `stored`, as it was read, the checksum of what it was read with? */
static inline bool
gy_checksum_fits(uint64_t stored, uint64_t computed)
{
    return stored == computed || gy_checksum_believes_all;
}

#endif
