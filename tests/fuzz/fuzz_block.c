/* fuzz_block.c - bytes of a block's body, searched and walked. Input: length of a key, the key, the
 * body. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What each walk shows must at least be inside the block or the key buffer; the sum keeps it from
 * being left out. */
static uint64_t
use(const struct gy_entry *entry)
{
    uint64_t sum = entry->tag;

    for (size_t i = 0; entry->key.data != NULL && i < entry->key.size; i++) {
        sum += ((const uint8_t *)entry->key.data)[i];
    }
    for (size_t i = 0; i < entry->value.size; i++) {
        sum += ((const uint8_t *)entry->value.data)[i];
    }
    return sum;
}

/* What is used is not optimised away. */
static void
keep(uint64_t value)
{
    __asm__ volatile("" : : "r"(value));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t key_buffer[1000];
    struct gy_block_found found;
    struct gy_block_iter iter;
    struct gy_block block;
    struct gyre_slice key;

    if (size < 2 || data[0] + 1u > size) {
        return 0;
    }
    key = gyre_slice(data + 1, data[0]);
    data += 1 + key.size;
    size -= 1 + key.size;
    if (size > 1 << 20 || gy_block_open(data, (uint32_t)size, &block) != GYRE_OK) {
        return 0;
    }
    (void)gy_block_verify(&block);
    for (uint64_t tag = 0; tag < 3; tag++) {
        if (gy_block_get(&block, key, tag - 1, &found) == GYRE_OK) {
            keep(use(&(struct gy_entry){.value = found.value}));
        }
    }
    for (int keyless = 0; keyless < 2; keyless++) {
        gy_block_iter_init(&iter, &block, keyless ? NULL : key_buffer, sizeof(key_buffer));
        for (gy_block_iter_first(&iter); iter.valid; gy_block_iter_next(&iter)) {
            keep(use(&iter.entry));
        }
        gy_block_iter_last(&iter);
        for (uint32_t i = 0; i < 100 && iter.valid; i++) {
            keep(use(&iter.entry));
            gy_block_iter_prev(&iter);
        }
        gy_block_iter_seek(&iter, key, 257);
        if (iter.valid) {
            keep(use(&iter.entry));
            gy_block_iter_prev(&iter);
        }
        gy_block_iter_seek_before(&iter, key, 257);
        if (iter.valid) {
            gy_block_iter_next(&iter);
        }
    }
    return 0;
}
