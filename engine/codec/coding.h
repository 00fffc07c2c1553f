/* coding.h - integers to bytes and back: little-endian fixed, varints, sticky reader, writer.
 *
 * The reader never goes past `end`: the first failure sets `failed`, after which every get returns
 * 0 or an empty slice, so a decoder reads all fields and checks once. Varints longer than their
 * type, or with superfluous trailing zero groups, are refused: each number has one encoding.
 */
#ifndef GY_CODING_H
#define GY_CODING_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "gyre/base.h"

#define GY_VARINT32_MAX 5u
#define GY_VARINT64_MAX 10u

/* Fixed integers go through memcpy, which compiles to one move; swapping is for big-endian
 * machines. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define GY_LITTLE16(value) (value)
#define GY_LITTLE32(value) (value)
#define GY_LITTLE64(value) (value)
#else
#define GY_LITTLE16(value) __builtin_bswap16(value)
#define GY_LITTLE32(value) __builtin_bswap32(value)
#define GY_LITTLE64(value) __builtin_bswap64(value)
#endif

static inline void
gy_put_u16(uint8_t *target, uint16_t value)
{
    value = GY_LITTLE16(value);
    memcpy(target, &value, sizeof(value));
}

static inline void
gy_put_u32(uint8_t *target, uint32_t value)
{
    value = GY_LITTLE32(value);
    memcpy(target, &value, sizeof(value));
}

static inline void
gy_put_u64(uint8_t *target, uint64_t value)
{
    value = GY_LITTLE64(value);
    memcpy(target, &value, sizeof(value));
}

static inline uint16_t
gy_get_u16(const uint8_t *source)
{
    uint16_t value;

    memcpy(&value, source, sizeof(value));
    return GY_LITTLE16(value);
}

static inline uint32_t
gy_get_u32(const uint8_t *source)
{
    uint32_t value;

    memcpy(&value, source, sizeof(value));
    return GY_LITTLE32(value);
}

static inline uint64_t
gy_get_u64(const uint8_t *source)
{
    uint64_t value;

    memcpy(&value, source, sizeof(value));
    return GY_LITTLE64(value);
}

/* For the inline functions below, which decide the case of one byte: the others. */
uint8_t *gy_coding_put_varint_long(uint8_t *target, uint64_t value);
const uint8_t *gy_coding_get_varint32_long(const uint8_t *source, const uint8_t *end,
                                           uint32_t *ret_value);
const uint8_t *gy_coding_get_varint64_long(const uint8_t *source, const uint8_t *end,
                                           uint64_t *ret_value);

/* Bytes that the varint of `value` takes: one for each 7 bits, and one for 0. */
static inline unsigned
gy_varint_size(uint64_t value)
{
    return (unsigned)(63 - __builtin_clzll(value | 1)) / 7 + 1;
}

/* Write the varint of `value` and return the end. */
static inline uint8_t *
gy_put_varint(uint8_t *target, uint64_t value)
{
    if (value < 0x80) {
        *target = (uint8_t)value;
        return target + 1;
    }
    return gy_coding_put_varint_long(target, value);
}

/* Read at `source`; the position after it, or NULL when it is cut, too long or not canonical. */
static inline const uint8_t *
gy_get_varint32(const uint8_t *source, const uint8_t *end, uint32_t *ret_value)
{
    if (source < end && *source < 0x80) {
        *ret_value = *source;
        return source + 1;
    }
    return gy_coding_get_varint32_long(source, end, ret_value);
}

static inline const uint8_t *
gy_get_varint64(const uint8_t *source, const uint8_t *end, uint64_t *ret_value)
{
    if (source < end && *source < 0x80) {
        *ret_value = *source;
        return source + 1;
    }
    return gy_coding_get_varint64_long(source, end, ret_value);
}

struct gy_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct gy_reader
gy_reader_of(const void *data, size_t size)
{
    const uint8_t *bytes = data;

    /* Nothing at all may be NULL, to which C adds not even 0. */
    return (struct gy_reader){.at = bytes, .end = size == 0 ? bytes : bytes + size};
}

uint8_t gy_read_u8(struct gy_reader *reader);
uint32_t gy_read_u32(struct gy_reader *reader);
uint64_t gy_read_u64(struct gy_reader *reader);
uint32_t gy_read_varint32(struct gy_reader *reader);
uint64_t gy_read_varint64(struct gy_reader *reader);
struct gyre_slice gy_read_bytes(struct gy_reader *reader, uint64_t size);
/* Varint length, then bytes. */
struct gyre_slice gy_read_string(struct gy_reader *reader, uint64_t size_max);

static inline bool
gy_reader_is_done(const struct gy_reader *reader)
{
    return !reader->failed && reader->at == reader->end;
}

/* Writes into a fixed area; when it does not fit, `failed` is set and nothing more is written.
 * `used` goes on counting, so that a first pass with capacity 0 measures. */
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
void gy_write_string(struct gy_writer *writer, struct gyre_slice bytes); /* varint length first */

#endif
