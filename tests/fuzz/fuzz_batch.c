/* fuzz_batch.c - gy_operation_decode on any bytes: a commit of the log whose checksum fits.
 *
 * Each operation that decodes must encode to the very bytes it came from, and the count must agree.
 */
#include <stdint.h>
#include <stdlib.h>

#include "engine/codec/batch.h"
#include "io/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_again(const uint8_t *start, size_t size, const struct gy_operation *operation)
{
    uint8_t *again;

    gy_assert(operation->kind == GY_KIND_PUT || operation->kind == GY_KIND_DELETE);
    gy_assert(operation->key.size >= 1 && operation->key.size <= GY_KEY_SIZE_MAX);
    gy_assert(operation->value.size <= GY_VALUE_SIZE_MAX);
    gy_assert(gy_operation_size(operation) == size);
    again = malloc(size);
    if (again == NULL) {
        return;
    }
    gy_assert(gy_operation_encode(again, operation) == again + size);
    gy_assert(memcmp(again, start, size) == 0);
    free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct gyre_slice bytes = gyre_slice(data, size);
    struct gy_operation operation;
    gyre_status status = GYRE_OK;
    size_t position = 0;
    uint32_t count = 0;
    uint32_t counted = UINT32_MAX;

    while (position < size) {
        const size_t start = position;

        status = gy_operation_decode(bytes, &position, &operation);
        if (status != GYRE_OK) {
            gy_assert(position == start);
            gy_assert(status == GYRE_CORRUPT || status == GYRE_UNSUPPORTED);
            break;
        }
        gy_assert(position > start && position <= size);
        check_again(data + start, position - start, &operation);
        count++;
    }
    gy_assert(gy_operations_count(bytes, &counted) == status);
    gy_assert(counted == (status == GYRE_OK ? count : UINT32_MAX));
    return 0;
}
