/* stage.h - layout of staging memory: where the log's group buffers lie, so that a killed process
 * leaves its BUFFERED commits behind.
 *
 * Page 0 is the header, then `count` buffers of `buffer_size` bytes (each a frame being built: 64
 * bytes for the frame header, then payload). Little-endian, written by one process, read by the
 * next one of the same boot.
 *
 *   off  len  field
 *     0    8  magic        "GYSTAGE1"
 *     8    8  store_id
 *    16    4  count        1..63
 *    20    4  buffer_size  multiple of 4096
 *    64  64*i descriptor of buffer i:
 *             0  8  order           rises with every group; 0 = free
 *             8  8  sequence_first
 *            16  8  committed       bytes of payload that are whole commits (or a whole part)
 *            24  4  record_count
 *            28  1  flags           GY_FRAME_PART, FIRST, LAST
 *            32  8  sequence_last
 *            40  8  part_offset     GY_FRAME_PART: offset of this part in its commit
 * Order of stores: payload, then record_count and sequence_last, then committed; `order` last when
 * a group is opened and first (to 0) when it is freed. A process that dies between two of them
 * leaves the state before. record_count and sequence_last may be ahead of `committed`: the reader
 * counts for itself. The memory is trusted no more than a file: magic, store, sizes and every
 * commit are checked.
 */
#ifndef GY_STAGE_LAYOUT_H
#define GY_STAGE_LAYOUT_H

#include "gyre/base.h"
#include "gyre/status.h"
#include "io/world.h"

#define GY_STAGE_COUNT_MAX 63u

struct gy_stage_area {
    struct gy_stage memory;   /* memory.base NULL: private memory, does not outlive the process */
    uint8_t *base;
    uint64_t size;
    uint32_t count;
    uint32_t buffer_size;
    uint64_t order_next;
};

static inline uint64_t
gy_stage_size(uint32_t count, uint32_t buffer_size)
{
    return 4096u + (uint64_t)count * buffer_size;
}

void gy_stage_format(struct gy_stage_area *area, uint64_t store_id);
uint8_t *gy_stage_buffer(const struct gy_stage_area *area, uint32_t index);
void gy_stage_open_group(struct gy_stage_area *area, uint32_t index, uint64_t sequence_first,
                         uint8_t flags, uint64_t part_offset);
void gy_stage_commit(struct gy_stage_area *area, uint32_t index, uint64_t committed,
                     uint32_t record_count, uint64_t sequence_last);
void gy_stage_free_group(struct gy_stage_area *area, uint32_t index);

/* One group that was left behind. */
struct gy_staged_group {
    uint64_t order;
    uint64_t sequence_first;
    struct gyre_slice payload;
    uint8_t flags;
    uint64_t part_offset;
};

/* The groups of an area in their order. CORRUPT or UNSUPPORTED when the area is not ours or makes
 * no sense. */
gyre_status gy_stage_read(const void *base, uint64_t size, uint64_t store_id,
                          struct gy_staged_group ret_groups[GY_STAGE_COUNT_MAX],
                          uint32_t *ret_count);

#endif
