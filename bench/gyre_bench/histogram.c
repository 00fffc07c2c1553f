/* histogram.c - quantiles of counted latencies. */
#include "bench/gyre_bench/histogram.h"

#include <math.h>
#include <string.h>

void
histogram_clear(struct histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
    histogram->least = UINT64_MAX;
}

void
histogram_merge(struct histogram *target, const struct histogram *source)
{
    target->count += source->count;
    target->sum += source->sum;
    if (source->least < target->least) {
        target->least = source->least;
    }
    if (source->greatest > target->greatest) {
        target->greatest = source->greatest;
    }
    for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        target->buckets[i] += source->buckets[i];
    }
}

double
histogram_mean(const struct histogram *histogram)
{
    return histogram->count == 0 ? 0.0 : (double)histogram->sum / (double)histogram->count;
}

double
histogram_deviation(const struct histogram *histogram)
{
    const double mean = histogram_mean(histogram);
    double sum = 0;

    for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        const double off = (double)histogram_bucket_middle(i) - mean;

        if (histogram->buckets[i] > 0) {
            sum += off * off * (double)histogram->buckets[i];
        }
    }
    return histogram->count < 2 ? 0.0 : sqrt(sum / (double)(histogram->count - 1));
}

uint64_t
histogram_between(const struct histogram *histogram, uint64_t low, uint64_t high)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        const uint64_t middle = histogram_bucket_middle(i);

        count += middle >= low && middle < high ? histogram->buckets[i] : 0;
    }
    return count;
}

uint64_t
histogram_bucket_middle(uint32_t bucket)
{
    uint32_t shift;
    uint64_t low;

    if (bucket < 2u << HISTOGRAM_SUB_BITS) {
        return bucket;
    }
    /* Buckets of shift s are numbers (s + 1) << SUB_BITS and up: value >> s has its top bit. */
    shift = (bucket >> HISTOGRAM_SUB_BITS) - 1u;
    low = (uint64_t)(bucket - (shift << HISTOGRAM_SUB_BITS)) << shift;
    return low + ((1ull << shift) >> 1);
}

uint64_t
histogram_quantile(const struct histogram *histogram, double fraction)
{
    uint64_t rank;
    uint64_t passed = 0;
    uint64_t middle = 0;

    if (histogram->count == 0) {
        return 0;
    }
    rank = (uint64_t)ceil(fraction * (double)histogram->count);
    if (rank >= histogram->count) {
        return histogram->greatest;
    }
    for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        passed += histogram->buckets[i];
        if (passed >= rank && passed > 0) {
            middle = histogram_bucket_middle(i);
            break;
        }
    }
    /* The middle of the outermost buckets may lie past what was seen. */
    if (middle < histogram->least) {
        return histogram->least;
    }
    return middle > histogram->greatest ? histogram->greatest : middle;
}
