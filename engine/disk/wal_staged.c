/* wal_staged.c - what a killed process left in staging memory, written to the log of the next; in
 * frames of their own, before the manifest names that log.
 */
#include "engine/disk/wal.h"
#include "engine/disk/wal_parts.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* Parts of a large commit, or a whole payload as one frame. */
#define STAGED_FRAME_MAX (256u * 1024u)

uint64_t
gy_wal_staged_span(const struct gy_wal_staged *staged)
{
    const uint32_t payload_max = STAGED_FRAME_MAX - GY_FRAME_HEADER_SIZE;
    uint64_t span = 0;

    for (size_t at = 0; at < staged->payload.size; at += payload_max) {
        span += gy_frame_span((uint32_t)gy_min_u64(staged->payload.size - at, payload_max));
    }
    return span;
}

static GY_SUSPENDS gyre_status
await_append_one(struct gy_wal *wal, const struct gy_wal_log *log,
                 const struct gy_wal_staged *staged, uint8_t *bytes, uint64_t *offset)
{
    struct gy_loop *loop = wal->config.loop;
    const uint8_t *payload = staged->payload.data;
    const uint32_t payload_max = STAGED_FRAME_MAX - GY_FRAME_HEADER_SIZE;
    gyre_status status = GYRE_OK;

    for (size_t at = 0; status == GYRE_OK && at < staged->payload.size;) {
        const uint32_t size = (uint32_t)gy_min_u64(staged->payload.size - at, payload_max);
        const bool last = at + size == staged->payload.size;
        const uint64_t span = gy_frame_span(size);
        const struct gy_frame frame = {
            .kind = GY_FRAME_COMMITS,
            .flags = staged->large ? (uint8_t)(GY_FRAME_PART | (at == 0 ? GY_FRAME_FIRST : 0) |
                                               (last ? GY_FRAME_LAST : 0))
                                   : 0,
            .payload_size = size,
            .record_count = last ? staged->record_count : 0,
            .sequence_first = staged->sequence_first,
            .sequence_last = last ? staged->sequence_last : staged->sequence_first - 1,
            /* the manifest does not name this log yet: gy_wal_await_was_used */
            .durable_offset = 0,
            .file_number = log->number,
            .previous = staged->large ? at : 0};
        const struct gy_frame_place place = {
            .store_id = wal->config.store_id, .file_number = log->number, .offset = *offset};

        gy_assert(last || staged->large); /* groups are no larger than a frame */
        if (span > gy_wal_log_end(wal) - *offset) {
            return gy_fail(&loop->sched, GYRE_INVALID,
                           "commits of a killed process do not fit into a log of %llu bytes; open "
                           "with the wal_slot_size that it had",
                           (unsigned long long)wal->config.slot_size);
        }
        memcpy(bytes + GY_FRAME_HEADER_SIZE, payload + at, size);
        gy_frame_seal(bytes, &frame, &place);
        status = gy_file_await_write(loop, &wal->slots[log->slot], GY_IO_WAL, bytes, span, *offset,
                                     GY_IO_DSYNC);
        *offset += span;
        at += size;
    }
    return status;
}

GY_SUSPENDS gyre_status
gy_wal_await_append_staged(struct gy_wal *wal, const struct gy_wal_log *log,
                           const struct gy_wal_staged *staged, uint32_t staged_count,
                           uint64_t *offset)
{
    struct gy_heap *heap = &wal->config.loop->heap;
    uint8_t *bytes = gy_heap_map(heap, STAGED_FRAME_MAX, GY_MEM_BUFFERS);
    gyre_status status = GYRE_OK;

    if (bytes == NULL) {
        return gy_fail(&wal->config.loop->sched, GYRE_NO_MEMORY, "no memory to write to the log");
    }
    for (uint32_t i = 0; status == GYRE_OK && i < staged_count; i++) {
        GY_SOMETIMES(staged_group_to_log);
        status = await_append_one(wal, log, &staged[i], bytes, offset);
    }
    gy_heap_unmap(heap, bytes, STAGED_FRAME_MAX, GY_MEM_BUFFERS);
    return status;
}
