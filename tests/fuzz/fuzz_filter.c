/* fuzz_filter.c - filters built from what the input says are keys, and questions to filters of any
 * bytes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t hashes[256];
    uint64_t count = 0;
    uint32_t bits;
    uint32_t probes;
    uint32_t filter_size;
    uint8_t *filter;

    if (size < 2) {
        return 0;
    }
    bits = 1 + data[0] % 24;
    probes = gy_filter_probes(bits);
    for (size_t at = 1; at + 8 <= size && count < 256; at += 8) {
        memcpy(&hashes[count], data + at, 8);
        count++;
    }
    filter_size = gy_filter_size(count, bits);
    filter = calloc(1, filter_size + 1u);
    if (filter == NULL) {
        return 0;
    }
    gy_filter_build(filter, filter_size, probes, hashes, count);
    for (uint64_t i = 0; i < count; i++) {
        if (!gy_filter_may_contain(filter, filter_size, probes, hashes[i])) {
            abort(); /* a false negative */
        }
    }
    free(filter);
    for (uint64_t i = 0; i < count; i++) {
        (void)gy_filter_may_contain(data, (uint32_t)(size / GY_FILTER_LINE * GY_FILTER_LINE),
                                    1 + data[0] % 16, hashes[i]);
    }
    return 0;
}
