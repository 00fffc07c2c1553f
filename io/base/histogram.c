/* histogram.c - see histogram.h. */
#include "io/base/histogram.h"

#include "io/base/assert.h"
#include "io/base/bits.h"

_Static_assert(GY_HISTOGRAM_BUCKETS == 305, "3 bits of each value below 2^40");

uint64_t
gy_histogram_floor(uint32_t bucket)
{
    const uint32_t shift = bucket >> GY_HISTOGRAM_BITS;

    gy_assert(bucket < GY_HISTOGRAM_BUCKETS);
    if (shift <= 1) {
        return bucket;
    }
    return ((uint64_t)(bucket & 7u) + 8u) << (shift - 1);
}

uint64_t
gy_histogram_quantile(const struct gy_histogram *histogram, uint32_t millionths)
{
    const uint64_t wanted = histogram->count / 1000000u * millionths +
                            (histogram->count % 1000000u * millionths + 999999u) / 1000000u;
    uint64_t seen = 0;

    gy_assert(millionths <= 1000000u);
    for (uint32_t i = 0; i < GY_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted && seen > 0) {
            const uint64_t first = gy_histogram_floor(i);
            const uint64_t width = i < 16 ? 1 : 1ull << ((i >> GY_HISTOGRAM_BITS) - 1);

            return i == GY_HISTOGRAM_BUCKETS - 1
                       ? histogram->greatest
                       : gy_min_u64(first + width / 2, histogram->greatest);
        }
    }
    return 0;
}

uint64_t
gy_histogram_count_below(const struct gy_histogram *histogram, uint32_t bits)
{
    const uint32_t end = gy_histogram_bucket(1ull << bits);
    uint64_t count = 0;

    gy_assert(bits <= GY_HISTOGRAM_VALUE_BITS);
    for (uint32_t i = 0; i < end; i++) {
        count += histogram->buckets[i];
    }
    return count;
}
