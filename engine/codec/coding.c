/* coding.c - the longer cases of coding.h. */
#include "engine/codec/coding.h"

#include "io/base/assert.h"

#include "io/base/ban.h"

uint8_t *
gy_coding_put_varint_long(uint8_t *target, uint64_t value)
{
    while (value >= 0x80) {
        *target++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *target++ = (uint8_t)value;
    return target;
}

/* A last group of zero would be a second encoding of the same number (only a lone 0 has one); a
 * group whose high bits fall out of 64 is refused too. */
const uint8_t *
gy_coding_get_varint64_long(const uint8_t *source, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (unsigned shift = 0; source < end && shift < 64; shift += 7) {
        const uint64_t group = *source & 0x7fu;
        const bool is_last = *source < 0x80;

        source++;
        if (shift == 63 && group > 1) {
            return NULL;
        }
        value |= group << shift;
        if (is_last) {
            if (group == 0 && shift > 0) {
                return NULL;
            }
            *ret_value = value;
            return source;
        }
    }
    return NULL;
}

const uint8_t *
gy_coding_get_varint32_long(const uint8_t *source, const uint8_t *end, uint32_t *ret_value)
{
    uint64_t value;
    const uint8_t *after = gy_coding_get_varint64_long(source, end, &value);

    if (after == NULL || value > UINT32_MAX) {
        return NULL;
    }
    *ret_value = (uint32_t)value;
    return after;
}

/* ---- Reader ---- */

/* The next `size` bytes, or NULL and `failed`. */
static const uint8_t *
take(struct gy_reader *reader, uint64_t size)
{
    const uint8_t *at = reader->at;

    if (reader->failed || size > (uint64_t)(reader->end - at)) {
        reader->failed = true;
        return NULL;
    }
    if (size > 0) {
        reader->at = at + size;
    }
    return at;
}

uint8_t
gy_read_u8(struct gy_reader *reader)
{
    const uint8_t *bytes = take(reader, 1);

    return bytes == NULL ? 0 : *bytes;
}

uint32_t
gy_read_u32(struct gy_reader *reader)
{
    const uint8_t *bytes = take(reader, 4);

    return bytes == NULL ? 0 : gy_get_u32(bytes);
}

uint64_t
gy_read_u64(struct gy_reader *reader)
{
    const uint8_t *bytes = take(reader, 8);

    return bytes == NULL ? 0 : gy_get_u64(bytes);
}

uint32_t
gy_read_varint32(struct gy_reader *reader)
{
    uint32_t value = 0;
    const uint8_t *after = reader->failed ? NULL : gy_get_varint32(reader->at, reader->end, &value);

    if (after == NULL) {
        reader->failed = true;
        return 0;
    }
    reader->at = after;
    return value;
}

uint64_t
gy_read_varint64(struct gy_reader *reader)
{
    uint64_t value = 0;
    const uint8_t *after = reader->failed ? NULL : gy_get_varint64(reader->at, reader->end, &value);

    if (after == NULL) {
        reader->failed = true;
        return 0;
    }
    reader->at = after;
    return value;
}

struct gyre_slice
gy_read_bytes(struct gy_reader *reader, uint64_t size)
{
    const uint8_t *bytes = take(reader, size);

    return gyre_slice(bytes, bytes == NULL ? 0 : (size_t)size);
}

struct gyre_slice
gy_read_string(struct gy_reader *reader, uint64_t size_max)
{
    const uint64_t size = gy_read_varint64(reader);

    if (size > size_max) {
        reader->failed = true;
    }
    return gy_read_bytes(reader, size);
}

/* ---- Writer ---- */

/* Room for `size` bytes, or NULL when they are only counted. */
static uint8_t *
room(struct gy_writer *writer, size_t size)
{
    const size_t used = writer->used;

    gy_assert(size <= SIZE_MAX - used);
    writer->used = used + size;
    if (writer->failed || size > writer->capacity - used) {
        writer->failed = true;
        return NULL;
    }
    return writer->data + used;
}

void
gy_write_u8(struct gy_writer *writer, uint8_t value)
{
    uint8_t *target = room(writer, 1);

    if (target != NULL) {
        *target = value;
    }
}

void
gy_write_u32(struct gy_writer *writer, uint32_t value)
{
    uint8_t *target = room(writer, 4);

    if (target != NULL) {
        gy_put_u32(target, value);
    }
}

void
gy_write_u64(struct gy_writer *writer, uint64_t value)
{
    uint8_t *target = room(writer, 8);

    if (target != NULL) {
        gy_put_u64(target, value);
    }
}

void
gy_write_varint(struct gy_writer *writer, uint64_t value)
{
    uint8_t *target = room(writer, gy_varint_size(value));

    if (target != NULL) {
        gy_put_varint(target, value);
    }
}

void
gy_write_bytes(struct gy_writer *writer, struct gyre_slice bytes)
{
    uint8_t *target;

    if (bytes.size == 0) {
        return;
    }
    target = room(writer, bytes.size);
    if (target != NULL) {
        memcpy(target, bytes.data, bytes.size);
    }
}

void
gy_write_string(struct gy_writer *writer, struct gyre_slice bytes)
{
    gy_write_varint(writer, bytes.size);
    gy_write_bytes(writer, bytes);
}
