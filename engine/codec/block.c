/* block.c - trailer and building of blocks; see block.h for the bytes. Reading is in block_read.c.
 * */
#include "engine/codec/block.h"

#include "engine/codec/checksum.h"
#include "engine/codec/coding.h"
#include "io/base/assert.h"
#include "io/base/ban.h"

_Static_assert(GY_BLOCK_TRAILER_SIZE == 1 + 1 + 2 + 4 + 8, "fields of the trailer");

/* ---- Trailer ---- */

void
gy_block_seal(uint8_t *bytes, uint32_t stored_size, enum gy_block_compression compression,
              enum gy_block_kind kind, uint32_t raw_size, uint64_t file_id, uint64_t offset)
{
    uint8_t *trailer = bytes + stored_size;

    gy_assert(compression != GY_BLOCK_RAW || raw_size == stored_size);
    gy_assert(compression == GY_BLOCK_RAW || raw_size <= GY_BLOCK_SIZE_MAX);
    trailer[0] = (uint8_t)compression;
    trailer[1] = (uint8_t)kind;
    gy_put_u16(trailer + 2, 0);
    gy_put_u32(trailer + 4, raw_size);
    gy_put_u64(trailer + 8,
               gy_checksum(bytes, (size_t)stored_size + 8, gy_block_seed(file_id, offset)));
}

gyre_status
gy_block_check(const uint8_t *bytes, uint32_t size_with_trailer, uint64_t file_id, uint64_t offset,
               struct gy_block_trailer *ret_trailer)
{
    const uint8_t *trailer;
    uint32_t stored_size;
    uint32_t raw_size;

    if (size_with_trailer <= GY_BLOCK_TRAILER_SIZE) {
        return GYRE_CORRUPT;
    }
    stored_size = size_with_trailer - GY_BLOCK_TRAILER_SIZE;
    trailer = bytes + stored_size;
    if (!gy_checksum_fits(gy_get_u64(trailer + 8), gy_checksum(bytes, (size_t)stored_size + 8,
                                                               gy_block_seed(file_id, offset)))) {
        return GYRE_CORRUPT;
    }
    if (trailer[0] > GY_BLOCK_ZSTD || trailer[1] > GY_BLOCK_TOP_INDEX) {
        return GYRE_UNSUPPORTED; /* the checksum is right: somebody newer wrote it */
    }
    raw_size = gy_get_u32(trailer + 4);
    if (gy_get_u16(trailer + 2) != 0) {
        return GYRE_CORRUPT;
    }
    if (trailer[0] == GY_BLOCK_RAW ? raw_size != stored_size
                                   : raw_size == 0 || raw_size > GY_BLOCK_SIZE_MAX) {
        return GYRE_CORRUPT;
    }
    ret_trailer->compression = (enum gy_block_compression)trailer[0];
    ret_trailer->kind = (enum gy_block_kind)trailer[1];
    ret_trailer->raw_size = raw_size;
    return GYRE_OK;
}

/* ---- Building ---- */

void
gy_block_builder_init(struct gy_block_builder *builder, uint32_t restart_interval, uint8_t *data,
                      uint32_t capacity, uint8_t *key_buffer, uint32_t key_capacity)
{
    gy_assert(restart_interval >= 1);
    builder->data = data;
    builder->capacity = capacity;
    builder->key_buffer = key_buffer;
    builder->key_capacity = key_capacity;
    builder->last_key_size = 0;
    builder->restart_interval = restart_interval;
    gy_block_builder_reset(builder);
}

void
gy_block_builder_reset(struct gy_block_builder *builder)
{
    builder->used = 0;
    builder->restart_count = 0;
    builder->since_restart = 0;
    builder->entry_count = 0;
}

static bool
is_restart_due(const struct gy_block_builder *builder)
{
    if (builder->entry_count == 0) {
        return true;
    }
    return builder->restart_count < GY_BLOCK_RESTARTS_MAX &&
           (builder->since_restart >= builder->restart_interval ||
            builder->used - builder->restarts[builder->restart_count - 1] >=
                GY_BLOCK_RESTART_BYTES);
}

static uint32_t
shared_with_last(const struct gy_block_builder *builder, struct gyre_slice key)
{
    const uint8_t *a = builder->key_buffer;
    const uint8_t *b = key.data;
    const uint32_t size =
        builder->last_key_size < key.size ? builder->last_key_size : (uint32_t)key.size;
    uint32_t i = 0;

    for (; size - i >= 8; i += 8) {
        uint64_t x;
        uint64_t y;

        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y) {
            break;
        }
    }
    while (i < size && a[i] == b[i]) {
        i++;
    }
    return i;
}

uint64_t
gy_block_builder_size_with(const struct gy_block_builder *builder, const struct gy_entry *entry)
{
    const bool restart = is_restart_due(builder);
    const uint64_t shared = restart ? 0 : shared_with_last(builder, entry->key);
    const uint64_t unshared = entry->key.size - shared;

    return (uint64_t)builder->used + gy_varint_size(shared) + gy_varint_size(unshared) +
           gy_varint_size(entry->value.size) + gy_varint_size(entry->tag) + unshared +
           entry->value.size + 4 * ((uint64_t)builder->restart_count + (restart ? 1 : 0)) + 4;
}

uint32_t
gy_block_builder_size(const struct gy_block_builder *builder)
{
    return builder->used + 4 * builder->restart_count + 4;
}

void
gy_block_builder_add(struct gy_block_builder *builder, const struct gy_entry *entry)
{
    const bool restart = is_restart_due(builder);
    const uint32_t shared = restart ? 0 : shared_with_last(builder, entry->key);
    const uint32_t unshared = (uint32_t)entry->key.size - shared;
    uint8_t *at = builder->data + builder->used;

    gy_assert(entry->key.size <= builder->key_capacity);
    gy_assert(gy_block_builder_size_with(builder, entry) <= builder->capacity);
    if (restart) {
        builder->restarts[builder->restart_count] = builder->used;
        builder->restart_count++;
        builder->since_restart = 0;
    }
    at = gy_put_varint(at, shared);
    at = gy_put_varint(at, unshared);
    at = gy_put_varint(at, entry->value.size);
    at = gy_put_varint(at, entry->tag);
    if (unshared != 0) {
        memcpy(at, (const uint8_t *)entry->key.data + shared, unshared);
        memcpy(builder->key_buffer + shared, (const uint8_t *)entry->key.data + shared, unshared);
        at += unshared;
    }
    if (entry->value.size != 0) {
        memcpy(at, entry->value.data, entry->value.size);
        at += entry->value.size;
    }
    builder->last_key_size = (uint32_t)entry->key.size;
    builder->used = (uint32_t)(at - builder->data);
    builder->since_restart++;
    builder->entry_count++;
}

uint32_t
gy_block_builder_finish(struct gy_block_builder *builder)
{
    uint8_t *at = builder->data + builder->used;

    gy_assert(builder->entry_count != 0 && builder->restart_count != 0);
    gy_assert(gy_block_builder_size(builder) <= builder->capacity);
    for (uint32_t i = 0; i < builder->restart_count; i++) {
        gy_put_u32(at, builder->restarts[i]);
        at += 4;
    }
    gy_put_u32(at, builder->restart_count);
    return (uint32_t)(at + 4 - builder->data);
}
