/* coding.h - integers to bytes and back: little-endian fixed, LEB128 varints, a sticky reader and writer.
 *
 * The reader never goes past `end`: the first failure sets `failed`, after which every get returns 0 or an
 * empty slice, so a decoder reads all fields and checks once. Varints longer than their type, or with
 * superfluous trailing zero groups, are refused: each number has one encoding.
 */
#ifndef GY_CODING_H
#define GY_CODING_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "gyre/base.h"

#define GY_VARINT32_MAX 5u
#define GY_VARINT64_MAX 10u

static inline void
gy_put_u16(uint8_t *target, uint16_t value)
{
    target[0] = (uint8_t)value;
    target[1] = (uint8_t)(value >> 8);
}

static inline void
gy_put_u32(uint8_t *target, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        target[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline void
gy_put_u64(uint8_t *target, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        target[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline uint16_t
gy_get_u16(const uint8_t *source)
{
    return (uint16_t)(source[0] | (uint16_t)(source[1] << 8));
}

static inline uint32_t
gy_get_u32(const uint8_t *source)
{
    return (uint32_t)source[0] | (uint32_t)source[1] << 8 | (uint32_t)source[2] << 16 |
           (uint32_t)source[3] << 24;
}

static inline uint64_t
gy_get_u64(const uint8_t *source)
{
    return (uint64_t)gy_get_u32(source) | (uint64_t)gy_get_u32(source + 4) << 32;
}

/* Bytes that the varint of `value` takes; write it and return the end. */
unsigned gy_varint_size(uint64_t value);
uint8_t *gy_put_varint(uint8_t *target, uint64_t value);

/* Read at `source`; the position after it, or NULL when it is cut, too long or not canonical. */
const uint8_t *gy_get_varint32(const uint8_t *source, const uint8_t *end, uint32_t *ret_value);
const uint8_t *gy_get_varint64(const uint8_t *source, const uint8_t *end, uint64_t *ret_value);

struct gy_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct gy_reader
gy_reader_of(const void *data, size_t size)
{
    const uint8_t *bytes = data;

    return (struct gy_reader){.at = bytes, .end = bytes + size, .failed = false};
}

uint8_t gy_read_u8(struct gy_reader *reader);
uint32_t gy_read_u32(struct gy_reader *reader);
uint64_t gy_read_u64(struct gy_reader *reader);
uint32_t gy_read_varint32(struct gy_reader *reader);
uint64_t gy_read_varint64(struct gy_reader *reader);
struct gyre_slice gy_read_bytes(struct gy_reader *reader, uint64_t size);
struct gyre_slice gy_read_string(struct gy_reader *reader, uint64_t size_max); /* varint length, then bytes */

static inline bool
gy_reader_is_done(const struct gy_reader *reader)
{
    return !reader->failed && reader->at == reader->end;
}

/* Writes into a fixed area; when it does not fit, `failed` is set and nothing more is written. `used` goes
 * on counting, so that a first pass with capacity 0 measures. */
struct gy_writer {
    uint8_t *data;
    size_t capacity;
    size_t used;
    bool failed;
};

void gy_write_u8(struct gy_writer *writer, uint8_t value);
void gy_write_u32(struct gy_writer *writer, uint32_t value);
void gy_write_u64(struct gy_writer *writer, uint64_t value);
void gy_write_varint(struct gy_writer *writer, uint64_t value);
void gy_write_bytes(struct gy_writer *writer, struct gyre_slice bytes);
void gy_write_string(struct gy_writer *writer, struct gyre_slice bytes); /* varint length, then bytes */

#endif
