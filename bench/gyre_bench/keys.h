/* keys.h - which keys a run touches, and what their bytes are.
 *
 * Key number i of 0..num-1 is written as 2 * i, big-endian in the first 8 bytes (or all, if
 * fewer), then '0's to the key size, as db_bench does. Odd numbers are never written, so 2 * i +
 * 1 is a key that is surely absent and lies between two that may be there.
 *
 * A fill leaves a note in the store, under a key behind all others: in which order, from which
 * seed and how far it has written. So a later run knows which keys are there without having been
 * told.
 */
#ifndef GYRE_BENCH_KEYS_H
#define GYRE_BENCH_KEYS_H

#include "gyre/gyre.h"

/* ---- Random numbers: splitmix64, one state for each coroutine, so that no two share a sequence
 * ---- */

static inline uint64_t
mix64(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static inline uint64_t
random_next(uint64_t *state)
{
    return mix64(*state += 0x9e3779b97f4a7c15ull);
}

/* 0..bound-1, from the high bits. */
static inline uint64_t
scale(uint64_t random, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)random * bound) >> 64);
}

/* ---- Fills ---- */

enum fill_order { ORDER_SEQUENTIAL, ORDER_RANDOM, ORDER_UNIQUE };

struct fill {
    enum fill_order order;
    uint64_t seed;
    uint64_t num;
    uint64_t ops; /* how many keys of the order were written */
    uint64_t key_size;
    uint64_t value_size;
};

/* Number of the key that the operation `index` of a fill writes. */
uint64_t fill_key_number(const struct fill *fill, uint64_t index);

#define FILLS_MAX 64u

/* The note in the store: all fills that made it, newest last. */
struct note {
    uint32_t fill_count;
    struct fill fills[FILLS_MAX];
};

extern const struct gyre_slice note_key; /* behind all keys of fills: an upper bound of scans */

/* GYRE_OK, or NOT_FOUND: no note, or one that is not understood. */
gyre_status note_read(gyre_db *db, struct note *ret_note);
gyre_status note_add(gyre_db *db, struct note *note, const struct fill *fill);

/* ---- Which keys are there ---- */

struct presence {
    bool is_known;
    uint64_t num;
    uint64_t count; /* estimate for fills (never looked at one by one), exact for reads */
    uint64_t *bits; /* NULL = all of them, or not known */
};

/* Mark what the fills of `note` wrote of the keys 0..num-1. One bit for each key, unless one fill
 * wrote them all. False: no memory. */
bool presence_init(struct presence *presence, const struct note *note, uint64_t num);
void presence_free(struct presence *presence);

/* How many of `num` keys the fills of `note` wrote, by arithmetic. */
double note_key_count(const struct note *note, uint64_t num);

/* A key that is there (any key, when that is not known). */
static inline uint64_t
presence_pick(const struct presence *presence, uint64_t *random)
{
    uint64_t number = scale(random_next(random), presence->num);

    while (presence->bits != NULL && (presence->bits[number / 64] >> (number % 64) & 1) == 0) {
        number = scale(random_next(random), presence->num);
    }
    return number;
}

/* ---- Bytes ---- */

/* `number` is the doubled one. The tail of '0's has been set by key_init. */
void key_init(uint8_t *key, size_t key_size);

static inline void
key_set(uint8_t *key, size_t key_size, uint64_t number)
{
    const uint64_t big_endian = __builtin_bswap64(key_size < 8 ? number << (64 - 8 * key_size)
                                                               : number);

    memcpy(key, &big_endian, key_size < 8 ? key_size : 8);
}

uint64_t key_number(struct gyre_slice key);

/* Values are windows into one buffer of bytes that compress as asked for; the first 8 bytes say
 * whose value it is. */
struct values {
    uint8_t *bytes;
    uint64_t window_count;
};

bool values_init(struct values *values, uint64_t value_size, double compress_ratio, uint64_t seed);
void values_free(struct values *values);

static inline void
value_set(const struct values *values, uint8_t *value, size_t value_size, uint64_t number)
{
    const uint64_t stamp = mix64(number);

    memcpy(value, values->bytes + scale(stamp, values->window_count), value_size);
    memcpy(value, &stamp, value_size < 8 ? value_size : 8);
}

static inline bool
value_is_of(struct gyre_slice value, uint64_t number)
{
    const uint64_t stamp = mix64(number);

    return memcmp(value.data, &stamp, value.size < 8 ? value.size : 8) == 0;
}

#endif
