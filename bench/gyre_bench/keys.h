/* keys.h - the bytes of keys and values.
 *
 * Key number i is written as 2 * i, big-endian in the first 8 bytes (or all, if fewer), then '0's
 * to the key size, as db_bench does. Odd numbers are never written, so 2 * i + 1 is a key that is
 * surely absent and lies between two that may be there. With insertorder=hashed, as YCSB has it, a
 * bijection of 64 bits is between number and bytes: neighbours by number are not neighbours by key.
 */
#ifndef GYRE_BENCH_KEYS_H
#define GYRE_BENCH_KEYS_H

#include <stdbool.h>
#include <string.h>

#include "bench/gyre_bench/random.h"
#include "gyre/base.h"

#define KEY_SIZE_MIN 4u
#define HASHED_KEY_SIZE_MIN 8u

struct key_form {
    uint64_t size;
    bool is_hashed;
};

/* The tail of '0's. */
void key_init(uint8_t *key, size_t key_size);

/* `number` is the doubled one. The tail has been set by key_init. */
static inline void
key_set(const struct key_form *form, uint8_t *key, uint64_t number)
{
    const uint64_t order = form->is_hashed ? mix64(number) : number;
    const uint64_t big_endian = __builtin_bswap64(form->size < 8 ? order << (64 - 8 * form->size)
                                                                 : order);

    memcpy(key, &big_endian, form->size < 8 ? form->size : 8);
}

uint64_t key_number(const struct key_form *form, struct gyre_slice key);

/* Values are windows into one buffer of bytes that compress as asked for; which window it is tells
 * whose value it is. They are never copied: an engine gets a pointer into the buffer. */
struct values {
    uint8_t *bytes;
    uint64_t window_count;
};

/* `compress_ratio`: size after compression as a part of the size. The same bytes in every run, so
 * that one knows what another wrote. False: no memory. */
bool values_init(struct values *values, uint64_t value_size_max, double compress_ratio);
void values_free(struct values *values);

/* The window of a key. Not chosen by the hash that makes a hashed key: neighbours by key would have
 * windows side by side. */
static inline const uint8_t *
value_of(const struct values *values, uint64_t number)
{
    return values->bytes + scale(mix64(number ^ 0x76616c75657374ull), values->window_count);
}

/* Its ends are looked at. */
static inline bool
value_is_of(const struct values *values, struct gyre_slice value, uint64_t number)
{
    const uint8_t *bytes = value_of(values, number);
    const size_t part = value.size < 16 ? value.size : 16;

    return memcmp(value.data, bytes, part) == 0 &&
           memcmp((const uint8_t *)value.data + value.size - part, bytes + value.size - part,
                  part) == 0;
}

#endif
