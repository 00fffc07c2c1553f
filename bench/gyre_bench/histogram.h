/* histogram.h - counts of latencies in fixed memory, in the manner of HdrHistogram.
 *
 * A value below 256 has a bucket of its own. Above, each power of two is cut into 128 buckets of
 * equal width, so a bucket is at most 1/128 of its values wide, and its middle, which stands for
 * all of them, is at most 0.4 % off. Any uint64_t fits. Mean, least and greatest value are exact.
 */
#ifndef GYRE_BENCH_HISTOGRAM_H
#define GYRE_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 7u
#define HISTOGRAM_BUCKET_COUNT ((65u - HISTOGRAM_SUB_BITS) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t count;
    uint64_t sum; /* ns: enough for 584 years of waiting, all callers added up */
    uint64_t least;
    uint64_t greatest;
    uint64_t buckets[HISTOGRAM_BUCKET_COUNT];
};

void histogram_clear(struct histogram *histogram);
/* Add all of `source` to `target`. */
void histogram_merge(struct histogram *target, const struct histogram *source);

double histogram_mean(const struct histogram *histogram);      /* 0 of an empty one */
double histogram_deviation(const struct histogram *histogram); /* standard; from the buckets */
/* How many lie in [low, high), by the middles of buckets. */
uint64_t histogram_between(const struct histogram *histogram, uint64_t low, uint64_t high);
/* The value that `fraction` (0..1) of all values do not exceed; 0 of an empty histogram. */
uint64_t histogram_quantile(const struct histogram *histogram, double fraction);

/* Bucket of a value, and the middle of a bucket. */
static inline uint32_t
histogram_bucket(uint64_t value)
{
    uint32_t shift;

    if (value < 2u << HISTOGRAM_SUB_BITS) {
        return (uint32_t)value;
    }
    shift = 63u - (uint32_t)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return (shift << HISTOGRAM_SUB_BITS) + (uint32_t)(value >> shift);
}

uint64_t histogram_bucket_middle(uint32_t bucket);

/* In the header, since it is called once for each operation that is measured. Each word is written
 * whole, for a reader in another thread. */
static inline void
histogram_add(struct histogram *histogram, uint64_t value)
{
    uint64_t *bucket = &histogram->buckets[histogram_bucket(value)];

    __atomic_store_n(&histogram->count, histogram->count + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&histogram->sum, histogram->sum + value, __ATOMIC_RELAXED);
    __atomic_store_n(bucket, *bucket + 1, __ATOMIC_RELAXED);
    if (value < histogram->least) {
        __atomic_store_n(&histogram->least, value, __ATOMIC_RELAXED);
    }
    if (value > histogram->greatest) {
        __atomic_store_n(&histogram->greatest, value, __ATOMIC_RELAXED);
    }
}

#endif
