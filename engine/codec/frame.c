/* frame.c - seal and open frames; the bytes and the rules F1 to F4 are in frame.h. */
#include "engine/codec/frame.h"

#include "engine/codec/checksum.h"
#include "engine/codec/coding.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"

#include "io/base/ban.h"

#define PAYLOAD_SIZE_MAX (GY_FRAME_SIZE_MAX - GY_FRAME_HEADER_SIZE)
#define FLAGS_KNOWN (GY_FRAME_PART | GY_FRAME_FIRST | GY_FRAME_LAST)

static uint64_t
place_seed(const struct gy_frame_place *place)
{
    const uint64_t file_seed = gy_mix64(gy_mix64(place->store_id) + place->file_number);

    gy_assert(gy_is_aligned(place->offset, GY_PAGE));
    if (GY_MUTANT(frame_checksum_without_place)) {
        return gy_mix64(place->store_id);
    }
    return gy_mix64(file_seed + place->offset / GY_PAGE);
}

/* Over all bytes but itself. The padding is left out: nobody reads it. */
static uint64_t
checksum_of(const uint8_t *bytes, uint32_t payload_size, const struct gy_frame_place *place)
{
    return gy_checksum(bytes + 8, GY_FRAME_HEADER_SIZE - 8 + (size_t)payload_size,
                       place_seed(place));
}

/* F4, which our own frames keep too. */
static bool
is_in_order(const struct gy_frame *frame)
{
    return frame->kind >= GY_FRAME_LOG_START && frame->kind <= GY_FRAME_CURRENT &&
           (frame->flags & ~FLAGS_KNOWN) == 0 && frame->sequence_last <= GY_SEQUENCE_MAX &&
           frame->sequence_first <= frame->sequence_last + 1;
}

void
gy_frame_seal(uint8_t *bytes, const struct gy_frame *frame, const struct gy_frame_place *place)
{
    const size_t end = GY_FRAME_HEADER_SIZE + (size_t)frame->payload_size;

    gy_assert(frame->payload_size <= PAYLOAD_SIZE_MAX);
    gy_assert(frame->file_number == place->file_number);
    gy_assert(is_in_order(frame));
    gy_put_u32(bytes + 8, GY_FRAME_MAGIC);
    gy_put_u32(bytes + 12, frame->payload_size);
    bytes[16] = (uint8_t)frame->kind;
    bytes[17] = frame->flags;
    gy_put_u16(bytes + 18, GY_FORMAT_FRAME);
    gy_put_u32(bytes + 20, frame->record_count);
    gy_put_u64(bytes + 24, frame->sequence_first);
    gy_put_u64(bytes + 32, frame->sequence_last);
    gy_put_u64(bytes + 40, frame->durable_offset);
    gy_put_u64(bytes + 48, frame->file_number);
    gy_put_u64(bytes + 56, frame->previous);
    memset(bytes + end, 0, (size_t)gy_frame_span(frame->payload_size) - end);
    gy_put_u64(bytes, checksum_of(bytes, frame->payload_size, place));
}

/* F1 and the cap of F2. */
static enum gy_frame_result
check_head(const uint8_t *bytes, size_t size)
{
    if (size < GY_FRAME_HEADER_SIZE || gy_get_u32(bytes + 8) != GY_FRAME_MAGIC ||
        gy_get_u16(bytes + 18) == 0) {
        return GY_FRAME_NONE;
    }
    if (gy_get_u16(bytes + 18) > GY_FORMAT_FRAME) {
        return GY_FRAME_UNSUPPORTED;
    }
    return gy_get_u32(bytes + 12) <= PAYLOAD_SIZE_MAX ? GY_FRAME_OK : GY_FRAME_NONE;
}

enum gy_frame_result
gy_frame_open(const uint8_t *bytes, size_t size, const struct gy_frame_place *place,
              struct gy_frame *ret_frame)
{
    const enum gy_frame_result head = check_head(bytes, size);
    struct gy_frame frame;

    if (head != GY_FRAME_OK) {
        return head;
    }
    frame.payload_size = gy_get_u32(bytes + 12);
    if (frame.payload_size > size - GY_FRAME_HEADER_SIZE ||
        !gy_checksum_fits(gy_get_u64(bytes), checksum_of(bytes, frame.payload_size, place))) {
        return GY_FRAME_NONE;
    }
    frame.kind = (enum gy_frame_kind)bytes[16];
    frame.flags = bytes[17];
    frame.record_count = gy_get_u32(bytes + 20);
    frame.sequence_first = gy_get_u64(bytes + 24);
    frame.sequence_last = gy_get_u64(bytes + 32);
    frame.durable_offset = gy_get_u64(bytes + 40);
    frame.file_number = gy_get_u64(bytes + 48);
    frame.previous = gy_get_u64(bytes + 56);
    if (!is_in_order(&frame) ||
        (frame.file_number != place->file_number && !GY_MUTANT(frame_checksum_without_place))) {
        return GY_FRAME_CORRUPT;
    }
    *ret_frame = frame;
    return GY_FRAME_OK;
}

uint64_t
gy_frame_peek_span(const uint8_t *bytes, size_t size)
{
    if (check_head(bytes, size) != GY_FRAME_OK) {
        return 0;
    }
    return gy_frame_span(gy_get_u32(bytes + 12));
}
