/* partition.c - filter and index in one block; see partition.h for the bytes. */
#include "engine/codec/partition.h"

#include "engine/codec/coding.h"
#include "io/base/assert.h"
#include "io/base/ban.h"

void
gy_partition_tail(uint8_t target[GY_PARTITION_TAIL_SIZE], uint32_t filter_size, uint32_t probes)
{
    gy_assert(filter_size % GY_FILTER_LINE == 0);
    gy_put_u32(target, filter_size);
    gy_put_u32(target + 4, filter_size != 0 ? probes : 0);
}

gyre_status
gy_partition_open(const uint8_t *body, uint32_t size, struct gy_partition *ret_partition)
{
    uint32_t filter_size;
    uint32_t probes;

    if (size < GY_PARTITION_TAIL_SIZE) {
        return GYRE_CORRUPT;
    }
    size -= GY_PARTITION_TAIL_SIZE;
    filter_size = gy_get_u32(body + size);
    probes = gy_get_u32(body + size + 4);
    if (filter_size > size || filter_size % GY_FILTER_LINE != 0) {
        return GYRE_CORRUPT;
    }
    if (filter_size == 0 ? probes != 0 : probes == 0 || probes > GY_FILTER_PROBES_MAX) {
        return GYRE_CORRUPT;
    }
    ret_partition->filter = body;
    ret_partition->filter_size = filter_size;
    ret_partition->probes = probes;
    return gy_block_open(body + filter_size, size - filter_size, &ret_partition->index);
}

unsigned
gy_block_handle_encode(uint8_t target[GY_BLOCK_HANDLE_SIZE_MAX],
                       const struct gy_block_handle *handle)
{
    uint8_t *at = gy_put_varint(target, handle->offset);

    at = gy_put_varint(at, handle->size);
    gy_assert(at - target <= (ptrdiff_t)GY_BLOCK_HANDLE_SIZE_MAX);
    return (unsigned)(at - target);
}

gyre_status
gy_block_handle_decode(struct gyre_slice value, uint64_t file_size,
                       struct gy_block_handle *ret_handle)
{
    const uint8_t *at = value.data;
    const uint8_t *end = at + value.size;
    uint64_t offset;
    uint32_t size;

    at = gy_get_varint64(at, end, &offset);
    if (at == NULL) {
        return GYRE_CORRUPT;
    }
    at = gy_get_varint32(at, end, &size);
    if (at != end || size <= GY_BLOCK_TRAILER_SIZE || offset >= file_size ||
        size > file_size - offset || size > GY_BLOCK_RAW_SIZE_MAX) {
        return GYRE_CORRUPT;
    }
    ret_handle->offset = offset;
    ret_handle->size = size;
    return GYRE_OK;
}
