/* filter.c - blocked Bloom filter; see filter.h for the bytes. */
#include "engine/codec/filter.h"

#include "engine/codec/checksum.h"
#include "io/base/assert.h"
#include "io/base/ban.h"

#define LINE_BITS_LOG2 9u
#define STEP 0x9e3779b9u

_Static_assert(1u << LINE_BITS_LOG2 == GY_FILTER_LINE * 8, "a probe picks one bit of a line");

uint64_t
gy_filter_hash(struct gyre_slice key)
{
    return gy_checksum(key.data, key.size, 0);
}

uint32_t
gy_filter_size(uint64_t key_count, uint32_t bits_per_key)
{
    const uint64_t lines =
        (key_count * bits_per_key + GY_FILTER_LINE * 8 - 1) / (GY_FILTER_LINE * 8);

    gy_assert(lines <= UINT32_MAX / GY_FILTER_LINE);
    return (uint32_t)lines * GY_FILTER_LINE;
}

/* bits * ln 2 is the optimum of a plain Bloom filter; lines fill unevenly, which asks for less the
 * more bits there are (6 at 10, 8 at 16 were best within 5 % when tried from 3 to 12). */
uint32_t
gy_filter_probes(uint32_t bits_per_key)
{
    const uint32_t probes =
        bits_per_key <= 10 ? bits_per_key * 6 / 10 : 6 + (bits_per_key - 10) / 3;

    return probes < 1 ? 1 : probes > GY_FILTER_PROBES_MAX ? GY_FILTER_PROBES_MAX : probes;
}

static inline size_t
line_offset(uint32_t size, uint64_t hash)
{
    const uint64_t lines = size / GY_FILTER_LINE;

    return (size_t)(((hash >> 32) * lines) >> 32) * GY_FILTER_LINE;
}

void
gy_filter_build(uint8_t *target, uint32_t size, uint32_t probes, const uint64_t *hashes,
                uint64_t count)
{
    gy_assert(size % GY_FILTER_LINE == 0 && (size != 0 || count == 0));
    gy_assert(probes >= 1 && probes <= GY_FILTER_PROBES_MAX);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *line = target + line_offset(size, hashes[i]);
        uint32_t x = (uint32_t)hashes[i];

        for (uint32_t probe = 0; probe < probes; probe++) {
            const uint32_t bit = x >> (32 - LINE_BITS_LOG2);

            line[bit / 8] = (uint8_t)(line[bit / 8] | 1u << bit % 8);
            x *= STEP;
        }
    }
}

bool
gy_filter_may_contain(const uint8_t *filter, uint32_t size, uint32_t probes, uint64_t hash)
{
    const uint8_t *line;
    uint32_t x = (uint32_t)hash;

    if (size < GY_FILTER_LINE) {
        return true;
    }
    line = filter + line_offset(size, hash);
    for (uint32_t probe = 0; probe < probes; probe++) {
        const uint32_t bit = x >> (32 - LINE_BITS_LOG2);

        if ((line[bit / 8] >> bit % 8 & 1) == 0) {
            return false;
        }
        x *= STEP;
    }
    return true;
}
