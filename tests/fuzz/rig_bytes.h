/* rig_bytes.h - a fuzzer's input as a stream of choices: bytes, numbers that engines get wrong,
 * slices. Past its end everything is zero. */
#ifndef GY_FUZZ_RIG_BYTES_H
#define GY_FUZZ_RIG_BYTES_H

#include "engine/codec/limits.h"

struct rig_bytes {
    const uint8_t *at;
    const uint8_t *end;
};

static inline size_t
rig_left(const struct rig_bytes *bytes)
{
    return (size_t)(bytes->end - bytes->at);
}

/* Little-endian, `width` bytes. */
static inline uint64_t
rig_wide(struct rig_bytes *bytes, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width && bytes->at < bytes->end; i++) {
        value |= (uint64_t)*bytes->at++ << (8 * i);
    }
    return value;
}

static inline uint8_t
rig_u8(struct rig_bytes *bytes)
{
    return (uint8_t)rig_wide(bytes, 1);
}

/* A number in two bytes where it can be: near `about`, near a limit, small; or any in nine. */
static inline uint64_t
rig_number(struct rig_bytes *bytes, uint64_t about)
{
    static const uint64_t limits[] = {GY_FILE_NUMBER_MAX, GY_SEQUENCE_MAX, GYRE_VALUE_SIZE_MAX,
                                      GY_FRAME_SIZE_MAX,  UINT32_MAX,      INT32_MAX,
                                      INT64_MAX,          UINT64_MAX};
    const uint8_t how = rig_u8(bytes);
    const uint64_t step = how < 192 ? rig_u8(bytes) : 0;

    if (how < 64) {
        return about + step - 128;
    }
    if (how < 128) {
        return step;
    }
    if (how < 192) {
        return limits[how % (sizeof(limits) / sizeof(limits[0]))] + step - 128;
    }
    return rig_wide(bytes, how < 224 ? 4 : 8);
}

static inline struct gyre_slice
rig_slice(struct rig_bytes *bytes, size_t size)
{
    const size_t taken = size < rig_left(bytes) ? size : rig_left(bytes);
    const struct gyre_slice slice = gyre_slice(bytes->at, taken);

    bytes->at += taken;
    return slice;
}

#endif
