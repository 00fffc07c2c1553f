/* batch.c - the public batch: operations encoded one behind the other in one growing block. */
#include "engine/db/batch.h"

#include "engine/codec/batch.h"
#include "io/base/assert.h"
#include "io/base/bits.h"

#include "io/base/ban.h"

#define CAPACITY_MIN 256u

gyre_batch *
gyre_batch_make(void)
{
    struct gy_heap heap;
    gyre_batch *batch;

    gy_heap_init(&heap, UINT64_MAX);
    batch = gy_heap_zalloc(&heap, sizeof(*batch), GY_MEM_CALL);
    if (batch != NULL) {
        batch->heap = heap; /* it has itself on the account */
    }
    return batch;
}

void
gyre_batch_free(gyre_batch *batch)
{
    struct gy_heap heap;

    if (batch == NULL) {
        return;
    }
    heap = batch->heap;
    gy_heap_free(&heap, batch->data);
    gy_heap_free(&heap, batch);
    gy_assert(heap.used == 0);
}

/* Make room for `more` bytes. The block that held the operations before is left to the caller to
 * free: what he adds may lie in it (a key that gyre_batch_next gave). NULL in *ret_old: nothing to
 * free. */
static gyre_status
grow(gyre_batch *batch, size_t more, uint8_t **ret_old)
{
    size_t capacity = gy_max_u64(batch->capacity, CAPACITY_MIN);
    uint8_t *data;

    *ret_old = NULL;
    if (more <= batch->capacity - batch->size) {
        return GYRE_OK;
    }
    while (capacity - batch->size < more) { /* both are far below SIZE_MAX / 2: limits of a batch */
        capacity *= 2;
    }
    data = gy_heap_alloc(&batch->heap, capacity, GY_MEM_CALL);
    if (data == NULL) {
        return GYRE_NO_MEMORY;
    }
    if (batch->size > 0) {
        memcpy(data, batch->data, batch->size);
    }
    *ret_old = batch->data;
    batch->data = data;
    batch->capacity = capacity;
    return GYRE_OK;
}

static bool
is_slice(struct gyre_slice bytes, size_t size_max)
{
    return bytes.size <= size_max && (bytes.data != NULL || bytes.size == 0);
}

static bool
has_room(const gyre_batch *batch, uint64_t user_bytes, uint32_t count)
{
    gy_assert(batch->user_bytes <= GYRE_BATCH_SIZE_MAX);
    gy_assert(batch->count <= GYRE_BATCH_COUNT_MAX);
    return user_bytes <= GYRE_BATCH_SIZE_MAX - batch->user_bytes &&
           count <= GYRE_BATCH_COUNT_MAX - batch->count;
}

static gyre_status
add(gyre_batch *batch, const struct gy_operation *operation)
{
    const uint64_t user_bytes = (uint64_t)operation->key.size + operation->value.size;
    const size_t size = gy_operation_size(operation);
    uint8_t *old;
    gyre_status status;

    if (!has_room(batch, user_bytes, 1)) {
        return GYRE_INVALID;
    }
    status = grow(batch, size, &old);
    if (status != GYRE_OK) {
        return status;
    }
    uint8_t *end = gy_operation_encode(batch->data + batch->size, operation);

    batch->size += size;
    gy_assert(end == batch->data + batch->size);
    batch->user_bytes += user_bytes;
    batch->count++;
    batch->put_count += operation->kind == GY_KIND_PUT;
    gy_heap_free(&batch->heap, old);
    return GYRE_OK;
}

gyre_status
gyre_batch_put(gyre_batch *batch, struct gyre_slice key, struct gyre_slice value)
{
    if (batch == NULL || key.size == 0 || !is_slice(key, GYRE_KEY_SIZE_MAX) ||
        !is_slice(value, GYRE_VALUE_SIZE_MAX)) {
        return GYRE_INVALID;
    }
    return add(batch, &(struct gy_operation){.kind = GY_KIND_PUT,
                                             .keyspace = GY_KEYSPACE_DEFAULT,
                                             .key = key,
                                             .value = value});
}

gyre_status
gyre_batch_delete(gyre_batch *batch, struct gyre_slice key)
{
    if (batch == NULL || key.size == 0 || !is_slice(key, GYRE_KEY_SIZE_MAX)) {
        return GYRE_INVALID;
    }
    return add(batch, &(struct gy_operation){
                          .kind = GY_KIND_DELETE, .keyspace = GY_KEYSPACE_DEFAULT, .key = key});
}

void
gyre_batch_clear(gyre_batch *batch)
{
    if (batch != NULL) {
        batch->size = 0;
        batch->count = 0;
        batch->put_count = 0;
        batch->user_bytes = 0;
    }
}

uint32_t
gyre_batch_count(const gyre_batch *batch)
{
    return batch == NULL ? 0 : batch->count;
}

size_t
gyre_batch_size(const gyre_batch *batch)
{
    return batch == NULL ? 0 : batch->size;
}

gyre_status
gyre_batch_append(gyre_batch *batch, const gyre_batch *source)
{
    uint8_t *old;
    gyre_status status;

    if (batch == NULL || source == NULL || !has_room(batch, source->user_bytes, source->count)) {
        return GYRE_INVALID;
    }
    if (source->size == 0) {
        return GYRE_OK;
    }
    status = grow(batch, source->size, &old);
    if (status != GYRE_OK) {
        return status;
    }
    /* A batch may be appended to itself: `grow` has changed only where it lies, so source->data is
     * the new block, and the halves do not overlap. */
    memcpy(batch->data + batch->size, source->data, source->size);
    batch->user_bytes += source->user_bytes;
    batch->count += source->count;
    batch->put_count += source->put_count;
    batch->size += source->size;
    gy_heap_free(&batch->heap, old);
    return GYRE_OK;
}

bool
gyre_batch_next(const gyre_batch *batch, size_t *position,
                struct gyre_batch_operation *ret_operation)
{
    struct gy_operation operation;

    if (batch == NULL || *position >= batch->size ||
        gy_operation_decode(gy_batch_bytes(batch), position, &operation) != GYRE_OK) {
        return false;
    }
    ret_operation->kind = operation.kind == GY_KIND_DELETE ? GYRE_BATCH_DELETE : GYRE_BATCH_PUT;
    ret_operation->key = operation.key;
    ret_operation->value = operation.value;
    return true;
}
