/* keys.c - bytes of keys and values. */
#include "bench/gyre_bench/keys.h"

#include <stdlib.h>

void
key_init(uint8_t *key, size_t key_size)
{
    memset(key, '0', key_size);
}

uint64_t
key_number(const struct key_form *form, struct gyre_slice key)
{
    uint64_t order = 0;

    memcpy(&order, key.data, key.size < 8 ? key.size : 8);
    order = __builtin_bswap64(order);
    if (key.size < 8) {
        return order >> (64 - 8 * key.size);
    }
    return form->is_hashed ? unmix64(order) : order;
}

/* Pieces of 100 bytes, of which the first part is random and then repeats, so that any window
 * of more than some hundred bytes compresses to about compress_ratio. */
bool
values_init(struct values *values, uint64_t value_size_max, double compress_ratio)
{
    enum { PIECE = 100, WINDOWS = 1 << 18 }; /* a cache near the core holds them */
    const size_t size = WINDOWS + value_size_max + PIECE;
    const size_t fresh = (size_t)(compress_ratio * PIECE + 0.5);
    uint64_t random = 0x76616c756573ull;

    values->window_count = WINDOWS;
    values->bytes = malloc(size);
    if (values->bytes == NULL) {
        return false;
    }
    for (size_t at = 0; at < size; at++) {
        const size_t in_piece = at % PIECE;

        if (in_piece < fresh) {
            values->bytes[at] = (uint8_t)(random_next(&random) >> 56);
        } else {
            values->bytes[at] = fresh > 0 ? values->bytes[at - fresh] : (uint8_t)'v';
        }
    }
    return true;
}

void
values_free(struct values *values)
{
    free(values->bytes);
    values->bytes = NULL;
}
