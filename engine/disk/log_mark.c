/* log_mark.c - see log_mark.h. */
#include "engine/disk/log_mark.h"

#include "engine/codec/coding.h"

#include "io/base/ban.h"

void
gy_log_mark_encode(uint8_t target[GY_LOG_MARK_SIZE], uint64_t manifest_number,
                   uint64_t manifest_end)
{
    gy_put_u64(target, manifest_number);
    gy_put_u64(target + 8, manifest_end);
}

bool
gy_log_mark_decode(struct gyre_slice payload, uint64_t *ret_manifest_number,
                   uint64_t *ret_manifest_end)
{
    struct gy_reader reader = gy_reader_of(payload.data, payload.size);

    *ret_manifest_number = gy_read_u64(&reader);
    *ret_manifest_end = gy_read_u64(&reader);
    return gy_reader_is_done(&reader);
}
