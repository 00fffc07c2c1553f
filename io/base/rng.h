/* rng.h - splitmix64: a small, fast, seedable generator. Never for secrets. */
#ifndef GY_RNG_H
#define GY_RNG_H

#include <stdint.h>

struct gy_rng {
    uint64_t state;
};

static inline void
gy_rng_init(struct gy_rng *rng, uint64_t seed)
{
    rng->state = seed;
}

static inline uint64_t
gy_rng_next(struct gy_rng *rng)
{
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Uniform in [0, bound); bound > 0. The bias is below 2^-32 for every bound that we use. */
static inline uint64_t
gy_rng_below(struct gy_rng *rng, uint64_t bound)
{
    return gy_rng_next(rng) % bound;
}

#endif
