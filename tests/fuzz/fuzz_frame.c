/* fuzz_frame.c - gy_frame_open on any bytes, as they are and with the checksum set right.
 *
 * Input: the bytes of a frame. The place is fixed, so that frames of the corpus open. A frame that
 *        opens
 * is sealed again and must give the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>

#include "engine/codec/checksum.h"
#include "engine/codec/coding.h"
#include "engine/codec/frame.h"
#include "io/base/assert.h"
#include "io/base/bits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* That of tests/golden/frame_v1.bin. */
static struct gy_frame_place place = {
    .store_id = 0x1122334455667788ull, .file_number = 42, .offset = 3 * 4096};

static void
check_opened(const uint8_t *bytes, size_t size, const struct gy_frame *frame)
{
    const size_t end = GY_FRAME_HEADER_SIZE + (size_t)frame->payload_size;
    const size_t span = (size_t)gy_frame_span(frame->payload_size);
    uint8_t *again = malloc(span);

    gy_assert(end <= size && frame->file_number == place.file_number);
    gy_assert(gy_frame_peek_span(bytes, size) == span);
    if (again == NULL) {
        return;
    }
    memcpy(again + GY_FRAME_HEADER_SIZE, bytes + GY_FRAME_HEADER_SIZE, frame->payload_size);
    gy_frame_seal(again, frame, &place);
    gy_assert(memcmp(again, bytes, end) == 0);
    free(again);
}

static bool
open_it(const uint8_t *bytes, size_t size)
{
    struct gy_frame frame;

    if (gy_frame_open(bytes, size, &place, &frame) != GY_FRAME_OK) {
        return false;
    }
    check_opened(bytes, size, &frame);
    return true;
}

/* The checksum that the frame would need. The seed is spelled out: the header promises it. */
static void
mend(uint8_t *bytes, size_t size)
{
    const uint32_t payload_size = gy_get_u32(bytes + 12);
    uint64_t seed = gy_mix64(gy_mix64(place.store_id) + place.file_number);

    seed = gy_mix64(seed + place.offset / 4096);
    if (payload_size <= size - GY_FRAME_HEADER_SIZE) {
        const size_t covered = GY_FRAME_HEADER_SIZE - 8 + (size_t)payload_size;

        gy_put_u64(bytes, gy_checksum(bytes + 8, covered, seed));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy;

    open_it(data, size);
    if (size < GY_FRAME_HEADER_SIZE) {
        return 0;
    }
    copy = malloc(size);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    mend(copy, size);
    open_it(copy, size);
    gy_put_u32(copy + 8, GY_FRAME_MAGIC); /* further in: magic, version and file number too */
    gy_put_u16(copy + 18, GY_FORMAT_FRAME);
    gy_put_u64(copy + 48, place.file_number);
    mend(copy, size);
    open_it(copy, size);
    free(copy);
    return 0;
}
