/* stage.c - reading and writing the layout of staging memory; see stage.h. */
#include "engine/disk/stage.h"

#include "engine/codec/coding.h"
#include "engine/codec/frame.h"
#include "io/base/assert.h"
#include "io/base/bits.h"

#include "io/base/ban.h"

#define MAGIC 0x3145474154535947ull /* "GYSTAGE1" */
#define DESCRIPTOR_SIZE 64u

/* Keeps the compiler from moving stores across; the process that reads them starts after this one
 * has ended, so the processor's own order needs no help. */
#define KEEP_ORDER() __asm__ volatile("" ::: "memory")

static uint8_t *
descriptor(const struct gy_stage_area *area, uint32_t index)
{
    gy_assert(index < area->count);
    return area->base + DESCRIPTOR_SIZE * (index + 1);
}

/* One store that cannot be torn: the word is aligned. */
static void
store_u64(uint8_t *target, uint64_t value)
{
    uint8_t bytes[8];
    uint64_t word;

    gy_put_u64(bytes, value);
    memcpy(&word, bytes, sizeof(word));
    *(volatile uint64_t *)(void *)target = word;
}

void
gy_stage_format(struct gy_stage_area *area, uint64_t store_id)
{
    gy_assert(area->count >= 1 && area->count <= GY_STAGE_COUNT_MAX);
    memset(area->base, 0, GY_PAGE);
    gy_put_u64(area->base + 8, store_id);
    gy_put_u32(area->base + 16, area->count);
    gy_put_u32(area->base + 20, area->buffer_size);
    KEEP_ORDER();
    store_u64(area->base, MAGIC);
    area->order_next = 1;
}

uint8_t *
gy_stage_buffer(const struct gy_stage_area *area, uint32_t index)
{
    gy_assert(index < area->count);
    return area->base + GY_PAGE + (uint64_t)index * area->buffer_size;
}

void
gy_stage_open_group(struct gy_stage_area *area, uint32_t index, uint64_t sequence_first,
                    uint8_t flags, uint64_t part_offset)
{
    uint8_t *at = descriptor(area, index);

    gy_put_u64(at + 8, sequence_first);
    gy_put_u64(at + 16, 0);
    gy_put_u32(at + 24, 0);
    at[28] = flags;
    gy_put_u64(at + 32, sequence_first - 1);
    gy_put_u64(at + 40, part_offset);
    KEEP_ORDER();
    store_u64(at, area->order_next++);
}

void
gy_stage_commit(struct gy_stage_area *area, uint32_t index, uint64_t committed,
                uint32_t record_count, uint64_t sequence_last)
{
    uint8_t *at = descriptor(area, index);

    KEEP_ORDER();
    gy_put_u32(at + 24, record_count);
    gy_put_u64(at + 32, sequence_last);
    KEEP_ORDER();
    store_u64(at + 16, committed);
    KEEP_ORDER();
}

void
gy_stage_free_group(struct gy_stage_area *area, uint32_t index)
{
    store_u64(descriptor(area, index), 0);
    KEEP_ORDER();
}

/* Insertion sort by order: at most 63 of them. */
static void
insert_group(struct gy_staged_group *groups, uint32_t count, const struct gy_staged_group *group)
{
    uint32_t i = count;

    while (i > 0 && groups[i - 1].order > group->order) {
        groups[i] = groups[i - 1];
        i--;
    }
    groups[i] = *group;
}

gyre_status
gy_stage_read(const void *base, uint64_t size, uint64_t store_id,
              struct gy_staged_group ret_groups[GY_STAGE_COUNT_MAX], uint32_t *ret_count)
{
    const uint8_t *bytes = base;
    uint32_t count;
    uint32_t buffer_size;
    uint32_t found = 0;

    if (size < GY_PAGE || gy_get_u64(bytes) != MAGIC || gy_get_u64(bytes + 8) != store_id) {
        return GYRE_CORRUPT;
    }
    count = gy_get_u32(bytes + 16);
    buffer_size = gy_get_u32(bytes + 20);
    if (count < 1 || count > GY_STAGE_COUNT_MAX || buffer_size < GY_PAGE ||
        !gy_is_aligned(buffer_size, GY_PAGE) || (size - GY_PAGE) / buffer_size < count) {
        return GYRE_CORRUPT;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = bytes + DESCRIPTOR_SIZE * (i + 1);
        const uint64_t committed = gy_get_u64(at + 16);
        struct gy_staged_group group = {.order = gy_get_u64(at),
                                        .sequence_first = gy_get_u64(at + 8),
                                        .flags = at[28],
                                        .part_offset = gy_get_u64(at + 40)};

        if (group.order == 0 || committed == 0) {
            continue;
        }
        if (committed > buffer_size - GY_FRAME_HEADER_SIZE || group.sequence_first == 0 ||
            group.sequence_first > GY_SEQUENCE_MAX) {
            return GYRE_CORRUPT;
        }
        group.payload = gyre_slice(
            bytes + GY_PAGE + (uint64_t)i * buffer_size + GY_FRAME_HEADER_SIZE, (size_t)committed);
        insert_group(ret_groups, found++, &group);
    }
    *ret_count = found;
    return GYRE_OK;
}
