/* bits.h - small arithmetic: alignment, powers of two, saturation. */
#ifndef GY_BITS_H
#define GY_BITS_H

#include <stdbool.h>
#include <stdint.h>

#define GY_PAGE 4096u            /* unit of device I/O, cache frames and file layout */
#define GY_KIB 1024u
#define GY_MIB (1024u * 1024u)
#define GY_GIB (1024ull * 1024u * 1024u)
#define GY_NS_PER_US 1000ull
#define GY_NS_PER_MS 1000000ull
#define GY_NS_PER_S 1000000000ull

/* `alignment` is a power of two; the caller knows that value + alignment does not wrap. */
static inline uint64_t
gy_align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static inline uint64_t
gy_align_down(uint64_t value, uint64_t alignment)
{
    return value & ~(alignment - 1);
}

static inline bool
gy_is_aligned(uint64_t value, uint64_t alignment)
{
    return (value & (alignment - 1)) == 0;
}

static inline uint64_t
gy_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t
gy_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint64_t
gy_clamp_u64(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* a - b, or 0 where that would wrap: for clocks and counters that others move. */
static inline uint64_t
gy_sub_sat(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* One round of a strong 64-bit mixer (the finaliser of MurmurHash3): for seeds and hash slots. */
static inline uint64_t
gy_mix64(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdull;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ull;
    x ^= x >> 33;
    return x;
}

#endif
