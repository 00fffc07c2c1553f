/* fuzz_partition.c - bytes of a partition: filter, index, handles. Input: the body. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/codec/partition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gy_partition partition;
    struct gy_block_found found;
    struct gy_block_iter iter;

    if (size > 1 << 20 || gy_partition_open(data, (uint32_t)size, &partition) != GYRE_OK) {
        return 0;
    }
    for (uint64_t i = 0; i < 64; i++) {
        (void)gy_filter_may_contain(partition.filter, partition.filter_size, partition.probes,
                                    gy_mix64(i + size));
    }
    (void)gy_block_get(&partition.index, gyre_slice(data, size < 20 ? size : 20), UINT64_MAX,
                       &found);
    gy_block_iter_init(&iter, &partition.index, NULL, 0);
    for (gy_block_iter_first(&iter); iter.valid; gy_block_iter_next(&iter)) {
        struct gy_block_handle handle;

        if (gy_block_handle_decode(iter.entry.value, 1 << 24, &handle) == GYRE_OK &&
            (handle.offset >= 1 << 24 || handle.size > (1 << 24) - handle.offset)) {
            abort();
        }
    }
    return 0;
}
