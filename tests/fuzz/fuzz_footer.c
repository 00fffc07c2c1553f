/* fuzz_footer.c - a footer page: as it is, and with a right checksum, so that the fields behind it
 * are reached. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec/checksum.h"
#include "engine/codec/coding.h"
#include "engine/codec/footer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t page[GY_FOOTER_SIZE] = {0};
    uint8_t again[GY_FOOTER_SIZE];
    struct gy_footer footer;

    memcpy(page, data, size < sizeof(page) ? size : sizeof(page));
    (void)gy_footer_decode(page, gy_get_u64(page + 56), &footer);
    gy_put_u32(page + 8, GY_FOOTER_MAGIC);
    gy_put_u64(page, gy_checksum(page + 8, sizeof(page) - 8, 0));
    if (gy_footer_decode(page, gy_get_u64(page + 56), &footer) != GYRE_OK) {
        return 0;
    }
    if (footer.top.size > footer.file_size - GY_FOOTER_SIZE - footer.top.offset) {
        abort();
    }
    gy_footer_encode(again, &footer);
    if (footer.compatible == 0 && memcmp(again, page, sizeof(page)) != 0) {
        abort(); /* two encodings of one footer */
    }
    return 0;
}
