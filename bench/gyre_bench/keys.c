/* keys.c - orders of fills, the note that a fill leaves in the store, bytes of keys and values. */
#include "bench/gyre_bench/keys.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Fills ---- */

/* A permutation of 0..num-1: four rounds of a Feistel network on the least even number of bits
 * that holds num, walked on until the number is below it (fewer than four steps on average). */
static uint64_t
permute(uint64_t seed, uint64_t num, uint64_t index)
{
    uint32_t half_bits = 1;
    uint64_t mask;

    while (half_bits < 31 && num > 1ull << (2 * half_bits)) {
        half_bits++;
    }
    mask = (1ull << half_bits) - 1;
    do {
        uint64_t left = index >> half_bits;
        uint64_t right = index & mask;

        for (uint64_t round = 0; round < 4; round++) {
            const uint64_t next = left ^ (mix64(right + mix64(seed + round)) & mask);

            left = right;
            right = next;
        }
        index = left << half_bits | right;
    } while (index >= num);
    return index;
}

uint64_t
fill_key_number(const struct fill *fill, uint64_t index)
{
    switch (fill->order) {
    case ORDER_RANDOM:
        return scale(mix64(mix64(fill->seed) + index * 0x9e3779b97f4a7c15ull), fill->num);
    case ORDER_UNIQUE:
        return permute(fill->seed, fill->num, index);
    case ORDER_SEQUENTIAL:
        break;
    }
    return index;
}

/* ---- The note ---- */

static const char *const order_names[] = {"sequential", "random", "unique"};
#define LINE_MAX_SIZE 192u
#define NOTE_KEY "\xff\xff\xff\xff\xff\xff\xff\xff gyre-bench"

const struct gyre_slice note_key = {NOTE_KEY, sizeof(NOTE_KEY) - 1};

static bool
parse_line(const char *line, struct fill *ret_fill)
{
    struct fill fill = {.num = 0};
    char order[16];

    if (sscanf(line,
               "order=%15s seed=%" SCNu64 " num=%" SCNu64 " ops=%" SCNu64 " key_size=%" SCNu64
               " value_size=%" SCNu64,
               order, &fill.seed, &fill.num, &fill.ops, &fill.key_size, &fill.value_size) != 6 ||
        fill.num == 0 || fill.num > 1ull << 40 || fill.key_size == 0) {
        return false;
    }
    for (uint32_t i = 0; i < sizeof(order_names) / sizeof(order_names[0]); i++) {
        if (strcmp(order, order_names[i]) == 0) {
            fill.order = (enum fill_order)i;
            *ret_fill = fill;
            return true;
        }
    }
    return false;
}

gyre_status
note_read(gyre_db *db, struct note *ret_note)
{
    char text[FILLS_MAX * LINE_MAX_SIZE];
    size_t size = 0;
    gyre_status status = gyre_get_copy(db, NULL, note_key, text, sizeof(text) - 1, &size);

    ret_note->fill_count = 0;
    if (status != GYRE_OK) {
        return status;
    }
    if (size >= sizeof(text)) {
        return GYRE_NOT_FOUND;
    }
    text[size] = '\0';
    for (char *line = text; *line != '\0';) {
        char *end = strchr(line, '\n');

        if (end == NULL || ret_note->fill_count == FILLS_MAX) {
            break;
        }
        *end = '\0';
        if (!parse_line(line, &ret_note->fills[ret_note->fill_count])) {
            ret_note->fill_count = 0;
            return GYRE_NOT_FOUND;
        }
        ret_note->fill_count++;
        line = end + 1;
    }
    return ret_note->fill_count > 0 ? GYRE_OK : GYRE_NOT_FOUND;
}

gyre_status
note_add(gyre_db *db, struct note *note, const struct fill *fill)
{
    char text[FILLS_MAX * LINE_MAX_SIZE];
    size_t size = 0;

    if (note->fill_count == FILLS_MAX) {
        /* The oldest is forgotten: its keys count as not there, if no other fill wrote them. */
        note->fill_count--;
        memmove(note->fills, note->fills + 1, note->fill_count * sizeof(note->fills[0]));
    }
    note->fills[note->fill_count++] = *fill;
    for (uint32_t i = 0; i < note->fill_count; i++) {
        const struct fill *f = &note->fills[i];

        size += (size_t)snprintf(text + size, sizeof(text) - size,
                                 "order=%s seed=%" PRIu64 " num=%" PRIu64 " ops=%" PRIu64
                                 " key_size=%" PRIu64 " value_size=%" PRIu64 "\n",
                                 order_names[f->order], f->seed, f->num, f->ops, f->key_size,
                                 f->value_size);
    }
    return gyre_put(db, NULL, note_key, gyre_slice(text, size));
}

/* ---- Which keys are there ---- */

static bool
wrote_all(const struct fill *fill, uint64_t num)
{
    return fill->order != ORDER_RANDOM && fill->num >= num && fill->ops >= fill->num;
}

bool
presence_init(struct presence *presence, const struct note *note, uint64_t num)
{
    presence->is_known = note->fill_count > 0;
    presence->num = num;
    presence->count = num;
    presence->bits = NULL;
    for (uint32_t i = 0; i < note->fill_count; i++) {
        if (wrote_all(&note->fills[i], num)) {
            return true;
        }
    }
    if (!presence->is_known) {
        return true;
    }
    presence->count = 0;
    presence->bits = calloc(num / 64 + 1, sizeof(presence->bits[0]));
    if (presence->bits == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < note->fill_count; i++) {
        for (uint64_t k = 0; k < note->fills[i].ops; k++) {
            const uint64_t number = fill_key_number(&note->fills[i], k);

            if (number < num) {
                presence->bits[number / 64] |= 1ull << (number % 64);
            }
        }
    }
    for (uint64_t i = 0; i <= num / 64; i++) {
        presence->count += (uint64_t)__builtin_popcountll(presence->bits[i]);
    }
    return true;
}

void
presence_free(struct presence *presence)
{
    free(presence->bits);
    presence->bits = NULL;
}

double
note_key_count(const struct note *note, uint64_t num)
{
    double absent = 1.0; /* share of keys that no fill wrote */

    for (uint32_t i = 0; i < note->fill_count; i++) {
        const struct fill *f = &note->fills[i];
        const double share = (double)f->ops / (double)f->num;

        if (f->order == ORDER_RANDOM) {
            absent *= exp(-share);
        } else {
            absent *= share < 1.0 ? 1.0 - share : 0.0;
        }
    }
    return (double)num * (1.0 - absent);
}

/* ---- Bytes ---- */

void
key_init(uint8_t *key, size_t key_size)
{
    memset(key, '0', key_size);
}

uint64_t
key_number(struct gyre_slice key)
{
    uint64_t big_endian = 0;

    memcpy(&big_endian, key.data, key.size < 8 ? key.size : 8);
    big_endian = __builtin_bswap64(big_endian);
    return key.size < 8 ? big_endian >> (64 - 8 * key.size) : big_endian;
}

/* Pieces of 100 bytes, of which the first part is random and then repeats, so that any window
 * of more than some hundred bytes compresses to about compress_ratio. */
bool
values_init(struct values *values, uint64_t value_size, double compress_ratio, uint64_t seed)
{
    enum { PIECE = 100, WINDOWS = 1 << 20 };
    const size_t size = WINDOWS + value_size + PIECE;
    const size_t fresh = (size_t)(compress_ratio * PIECE + 0.5);
    uint64_t random = mix64(seed ^ 0x76616c756573ull);

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
