/* memory.c - gyre_memory: the heap's account in the user's words. */
#include "engine/db/measure.h"
#include "io/base/assert.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

_Static_assert(GY_MEM_TAG_COUNT == 9, "every tag has its field in gyre_memory");

void
gy_memory_fill(const gyre_loop *loop, struct gyre_memory *memory)
{
    const struct gy_heap *heap = &loop->io.heap;

    *memory = (struct gyre_memory){.limit = loop->memory_limit,
                                   .used = heap->used,
                                   .peak = heap->peak,
                                   .loop = heap->used_by_tag[GY_MEM_LOOP],
                                   .stacks = heap->used_by_tag[GY_MEM_STACK],
                                   .logs = heap->used_by_tag[GY_MEM_LOG],
                                   .buffers = heap->used_by_tag[GY_MEM_BUFFERS],
                                   .cache = heap->used_by_tag[GY_MEM_CACHE],
                                   .memtables = heap->used_by_tag[GY_MEM_MEMTABLE],
                                   .tables = heap->used_by_tag[GY_MEM_TABLE],
                                   .versions = heap->used_by_tag[GY_MEM_VERSION],
                                   .calls = heap->used_by_tag[GY_MEM_CALL],
                                   .allocations = heap->allocation_count};
}

gyre_status
gyre_memory(gyre_loop *loop, struct gyre_memory *memory)
{
    struct gyre_memory filled;
    gyre_status status = gy_loop_check(loop);

    if (status == GYRE_OK && memory == NULL) {
        status = gy_loop_fail(loop, GYRE_INVALID, "gyre_memory: memory is NULL");
    }
    if (status != GYRE_OK) {
        return status;
    }
    gy_memory_fill(loop, &filled);
    return gy_stats_copy_out(loop, memory, &filled, sizeof(filled));
}
