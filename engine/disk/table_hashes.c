/* table_hashes.c - hashes of the keys of a partition; see table_hashes.h. */
#include "engine/disk/table_hashes.h"

#include <string.h>

#include "io/base/assert.h"
#include "io/base/checked.h"
#include "io/base/ban.h"

#define HASHES_FIRST 2048u

bool
gy_table_hashes_add(struct gy_table_hashes *hashes, struct gy_heap *heap, struct gyre_slice key)
{
    if (hashes->count == hashes->capacity) {
        const uint32_t capacity = hashes->capacity != 0 ? 2 * hashes->capacity : HASHES_FIRST;
        uint64_t *items =
            gy_heap_realloc(heap, hashes->items, capacity * sizeof(items[0]), GY_MEM_BUFFERS);

        if (items == NULL) {
            return false;
        }
        hashes->items = items;
        hashes->capacity = capacity;
    }
    hashes->items[hashes->count] = gy_filter_hash(key);
    hashes->count++;
    return true;
}

bool
gy_table_hashes_build(const struct gy_table_hashes *hashes, uint32_t bits_per_key, uint8_t *target,
                      uint32_t size)
{
    const uint32_t probes = gy_filter_probes(bits_per_key);
    const uint32_t count =
        hashes->count - (GY_MUTANT(filter_without_last_key) && hashes->count > 0);

    gy_assert(size == gy_filter_size(hashes->count, bits_per_key));
    memset(target, 0, size);
    gy_filter_build(target, size, probes, hashes->items, count);
    for (uint32_t i = 0; i < count; i++) {
        if (!gy_filter_may_contain(target, size, probes, hashes->items[i])) {
            return false;
        }
    }
    return true;
}

void
gy_table_hashes_fini(struct gy_table_hashes *hashes, struct gy_heap *heap)
{
    gy_heap_free(heap, hashes->items);
    *hashes = (struct gy_table_hashes){0};
}
