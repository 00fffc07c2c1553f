/* recorder.h - what is counted of operations: one for each stream, or for each thread of a stream.
 *
 * One writer, and a reader beside it (ticker.h): each counter is a word that is written whole, so
 * what is read is some moments old but never torn.
 */
#ifndef GYRE_BENCH_RECORDER_H
#define GYRE_BENCH_RECORDER_H

#include "bench/gyre_bench/histogram.h"
#include "bench/gyre_bench/op.h"

#define RECORDER_ERROR_MAX 256u

struct recorder {
    struct histogram *latency[CLASS_COUNT]; /* of calls, ns; NULL: none of the class */
    uint64_t ops[CLASS_COUNT];              /* keys, rows; seeks */
    uint64_t bytes[CLASS_COUNT];            /* keys and values written or found */
    uint64_t lookups, found;                /* keys looked up, keys that were there */
    uint64_t rows;                          /* of seeks and walks */
    uint64_t mismatches;                    /* values that are not of their key */
    uint64_t errors;
    char error[RECORDER_ERROR_MAX];         /* the first */
} __attribute__((aligned(64)));

/* Histograms for the classes in `mask`. NULL: no memory. */
struct recorder *recorder_make(uint32_t mask);
void recorder_free(struct recorder *recorder); /* NULL is fine */
void recorder_clear(struct recorder *recorder);
/* Add all of `source`; histograms only where both have one. */
void recorder_merge(struct recorder *target, const struct recorder *source);

static inline void
counter_add(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

#endif
