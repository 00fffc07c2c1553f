/* histogram.h - counts of durations in fixed memory, in the manner of HdrHistogram.
 *
 * A value below 8 has a bucket of its own. Above, each power of two is cut into 8 buckets of equal
 * width, so that a bucket is at most an eighth of its values wide, and its middle, which stands for
 * all of them, is at most 6.3 % off. Values from 2^40 on (18 minutes in nanoseconds) share the last
 * one. Sum and greatest value are exact.
 *
 *   bucket   0 1 .. 7 | 8 9 .. 15 | 16    17    .. 23    | 24    ..
 *   values   0 1 .. 7 | 8 9 .. 15 | 16-17 18-19 .. 30-31 | 32-35 ..
 */
#ifndef GY_HISTOGRAM_H
#define GY_HISTOGRAM_H

#include <stdint.h>

#define GY_HISTOGRAM_BITS 3u
#define GY_HISTOGRAM_VALUE_BITS 40u
#define GY_HISTOGRAM_BUCKETS \
    (((GY_HISTOGRAM_VALUE_BITS - GY_HISTOGRAM_BITS + 1u) << GY_HISTOGRAM_BITS) + 1u)

struct gy_histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t greatest;
    uint64_t buckets[GY_HISTOGRAM_BUCKETS];
};

static inline uint32_t
gy_histogram_bucket(uint64_t value)
{
    uint32_t shift;

    if (value < 1u << GY_HISTOGRAM_BITS) {
        return (uint32_t)value;
    }
    if (value >> GY_HISTOGRAM_VALUE_BITS != 0) {
        return GY_HISTOGRAM_BUCKETS - 1;
    }
    shift = 63u - (uint32_t)__builtin_clzll(value) - GY_HISTOGRAM_BITS;
    return (shift << GY_HISTOGRAM_BITS) + (uint32_t)(value >> shift);
}

/* `weight` values like this one. */
static inline void
gy_histogram_add(struct gy_histogram *histogram, uint64_t value, uint32_t weight)
{
    histogram->count += weight;
    histogram->sum += value * weight;
    histogram->greatest = value > histogram->greatest ? value : histogram->greatest;
    histogram->buckets[gy_histogram_bucket(value)] += weight;
}

/* The least value of a bucket. */
uint64_t gy_histogram_floor(uint32_t bucket);

/* The value that `millionths` of all do not exceed: the middle of its bucket, at most the greatest
 * value. 0 of an empty histogram. */
uint64_t gy_histogram_quantile(const struct gy_histogram *histogram, uint32_t millionths);

/* How many are below 2^bits, exactly, since a bucket begins there. At most 2^40. */
uint64_t gy_histogram_count_below(const struct gy_histogram *histogram, uint32_t bits);

#endif
