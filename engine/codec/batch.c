/* batch.c - encode and decode operations; the bytes are in batch.h. */
#include "engine/codec/batch.h"

#include "engine/codec/coding.h"
#include "io/base/assert.h"

#include "io/base/ban.h"

size_t
gy_operation_size(const struct gy_operation *operation)
{
    const size_t head = 1 + (size_t)gy_varint_size(operation->keyspace) +
                        gy_varint_size(operation->key.size) + operation->key.size;

    if (operation->kind == GY_KIND_DELETE) {
        return head;
    }
    return head + gy_varint_size(operation->value.size) + operation->value.size;
}

uint8_t *
gy_operation_encode(uint8_t *target, const struct gy_operation *operation)
{
    const bool has_value = operation->kind != GY_KIND_DELETE;

    gy_assert(operation->kind == GY_KIND_DELETE || operation->kind == GY_KIND_PUT);
    gy_assert(operation->key.size >= 1 && operation->key.size <= GY_KEY_SIZE_MAX);
    *target++ = (uint8_t)operation->kind;
    target = gy_put_varint(target, operation->keyspace);
    target = gy_put_varint(target, operation->key.size);
    if (has_value) {
        gy_assert(operation->value.size <= GY_VALUE_SIZE_MAX);
        target = gy_put_varint(target, operation->value.size);
    }
    memcpy(target, operation->key.data, operation->key.size);
    target += operation->key.size;
    if (has_value && operation->value.size > 0) {
        memcpy(target, operation->value.data, operation->value.size);
        target += operation->value.size;
    }
    return target;
}

gyre_status
gy_operation_decode(struct gyre_slice bytes, size_t *position, struct gy_operation *ret_operation)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end;
    uint32_t keyspace;
    uint32_t key_size;
    uint32_t value_size = 0;
    uint8_t kind;

    if (*position >= bytes.size) {
        return GYRE_CORRUPT;
    }
    end = at + bytes.size;
    at += *position;
    kind = *at++;
    if (kind != GY_KIND_DELETE && kind != GY_KIND_PUT) {
        return GYRE_UNSUPPORTED;
    }
    at = gy_get_varint32(at, end, &keyspace);
    if (at == NULL) {
        return GYRE_CORRUPT;
    }
    if (keyspace != GY_KEYSPACE_DEFAULT) {
        return GYRE_UNSUPPORTED;
    }
    at = gy_get_varint32(at, end, &key_size);
    if (at != NULL && kind == GY_KIND_PUT) {
        at = gy_get_varint32(at, end, &value_size);
    }
    if (at == NULL || key_size < 1 || key_size > GY_KEY_SIZE_MAX ||
        value_size > GY_VALUE_SIZE_MAX || key_size > (size_t)(end - at) ||
        value_size > (size_t)(end - at) - key_size) {
        return GYRE_CORRUPT;
    }
    *ret_operation = (struct gy_operation){.kind = (enum gy_kind)kind,
                                           .keyspace = keyspace,
                                           .key = gyre_slice(at, key_size),
                                           .value = gyre_slice(at + key_size, value_size)};
    *position = (size_t)(at - (const uint8_t *)bytes.data) + key_size + value_size;
    return GYRE_OK;
}

gyre_status
gy_operations_count(struct gyre_slice bytes, uint32_t *ret_count)
{
    struct gy_operation operation;
    size_t position = 0;
    uint32_t count = 0;

    while (position < bytes.size) {
        const gyre_status status = gy_operation_decode(bytes, &position, &operation);

        if (status != GYRE_OK) {
            return status;
        }
        if (count == UINT32_MAX) {
            return GYRE_CORRUPT;
        }
        count++;
    }
    *ret_count = count;
    return GYRE_OK;
}
