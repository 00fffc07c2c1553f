/* uring_memory.c - memory that the ring knows: arena chunks and staging memory in its buffer table.
 *
 * A chunk is found by its number (address / GY_ARENA_CHUNK) in a hash table; chunks are added one
 * by one and removed only with their whole arena, so removal rebuilds the table.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <string.h>

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/uring.h"

#define CHUNKS_LEAST 16u
#define CHUNKS_MOST 8192u /* 16 GiB; the kernel's table ends at 16384 entries */

static uint32_t
hash_of(const struct gy_uring_memory *memory, uint64_t chunk_number)
{
    return (uint32_t)gy_mix64(chunk_number) & memory->hash_mask;
}

static void
hash_insert(struct gy_uring_memory *memory, uint32_t index)
{
    uint32_t at = hash_of(memory, memory->chunk_base[index] / GY_ARENA_CHUNK);

    while (memory->hash[at] != 0) { /* at most half full, so this ends */
        at = (at + 1) & memory->hash_mask;
    }
    memory->hash[at] = (uint16_t)(index + 1);
}

int
gy_uring_memory_find(const struct gy_uring_memory *memory, const void *base, uint32_t size)
{
    const uint64_t first = (uint64_t)(uintptr_t)base;
    const uint64_t number = first / GY_ARENA_CHUNK;

    if (memory->hash == NULL || size == 0) {
        return -1;
    }
    if ((first + size - 1) / GY_ARENA_CHUNK == number) {
        for (uint32_t at = hash_of(memory, number); memory->hash[at] != 0;
             at = (at + 1) & memory->hash_mask) {
            const uint32_t index = memory->hash[at] - 1u;

            if (memory->chunk_base[index] / GY_ARENA_CHUNK == number) {
                return (int)index;
            }
        }
    }
    for (uint32_t i = 0; i < GY_URING_STAGES_MAX; i++) {
        const uint64_t stage_base = memory->stages[i].base;

        if (stage_base != 0 && first >= stage_base && size <= memory->stages[i].size &&
            first - stage_base <= memory->stages[i].size - size) {
            return (int)(memory->chunk_count_max + i);
        }
    }
    return -1;
}

gyre_status
gy_uring_memory_init(struct gy_uring *uring, bool is_wanted)
{
    struct gy_uring_memory *memory = &uring->memory;
    struct gy_heap *heap = uring->posix.heap;
    uint32_t count = CHUNKS_MOST;
    uint32_t hash_size = 1;

    if (!is_wanted) {
        memory->is_refused = true;
        return GYRE_OK;
    }
    if (heap->limit / GY_ARENA_CHUNK < CHUNKS_MOST) {
        count = (uint32_t)gy_max_u64(heap->limit / GY_ARENA_CHUNK + 1, CHUNKS_LEAST);
    }
    if (io_uring_register_buffers_sparse(&uring->ring, count + GY_URING_STAGES_MAX) != 0) {
        memory->is_refused = true; /* before 5.19, or a filter */
        return GYRE_OK;
    }
    while (hash_size < 2 * count) {
        hash_size *= 2;
    }
    memory->chunk_base = gy_heap_zalloc(heap, count * sizeof(memory->chunk_base[0]), GY_MEM_LOOP);
    memory->hash = gy_heap_zalloc(heap, hash_size * sizeof(memory->hash[0]), GY_MEM_LOOP);
    memory->hash_mask = hash_size - 1;
    memory->chunk_count_max = count;
    return memory->chunk_base != NULL && memory->hash != NULL ? GYRE_OK : GYRE_NO_MEMORY;
}

void
gy_uring_memory_fini(struct gy_uring *uring)
{
    gy_heap_free(uring->posix.heap, uring->memory.chunk_base);
    gy_heap_free(uring->posix.heap, uring->memory.hash);
    memset(&uring->memory, 0, sizeof(uring->memory));
}

/* Put a range into the ring's table, or take it out with size 0. */
static bool
table_set(struct gy_uring *uring, uint32_t index, void *base, size_t size)
{
    const struct iovec vector = {.iov_base = size != 0 ? base : NULL, .iov_len = size};
    const __u64 tag = 0;

    return io_uring_register_buffers_update_tag(&uring->ring, index, &vector, &tag, 1) == 1;
}

static void
count_registered(struct gy_uring *uring, uint64_t added, uint64_t removed)
{
    struct gy_world_info *info = &uring->posix.world.info;

    info->registered_bytes += added;
    info->registered_bytes -= removed;
    info->has_registered_buffers = info->registered_bytes != 0;
}

void
gy_uring_arena_add(struct gy_world *world, void *base, size_t size)
{
    struct gy_uring *uring = gy_uring_of(world);
    struct gy_uring_memory *memory = &uring->memory;

    gy_assert(gy_is_aligned((uint64_t)(uintptr_t)base, GY_ARENA_CHUNK));
    gy_assert(size != 0 && size % GY_ARENA_CHUNK == 0);
    for (size_t at = 0; at < size; at += GY_ARENA_CHUNK) {
        uint8_t *chunk = (uint8_t *)base + at;
        const uint32_t index = memory->chunk_next;

        if (memory->is_refused || index == memory->chunk_count_max) {
            return;
        }
        if (!table_set(uring, index, chunk, GY_ARENA_CHUNK)) {
            memory->is_refused = true; /* RLIMIT_MEMLOCK: the next one would not fit either */
            return;
        }
        memory->chunk_next++;
        memory->chunk_base[index] = (uint64_t)(uintptr_t)chunk;
        hash_insert(memory, index);
        count_registered(uring, GY_ARENA_CHUNK, 0);
    }
}

void
gy_uring_arena_remove(struct gy_world *world, void *base, size_t size)
{
    struct gy_uring *uring = gy_uring_of(world);
    struct gy_uring_memory *memory = &uring->memory;
    const uint64_t first = (uint64_t)(uintptr_t)base;

    if (memory->hash == NULL) {
        return;
    }
    for (uint32_t i = 0; i < memory->chunk_next; i++) {
        if (memory->chunk_base[i] >= first && memory->chunk_base[i] - first < size) {
            (void)table_set(uring, i, NULL, 0); /* at worst the pages stay pinned until close */
            memory->chunk_base[i] = 0;
            count_registered(uring, 0, GY_ARENA_CHUNK);
        }
    }
    while (memory->chunk_next != 0 && memory->chunk_base[memory->chunk_next - 1] == 0) {
        memory->chunk_next--;
    }
    memset(memory->hash, 0, (memory->hash_mask + (size_t)1) * sizeof(memory->hash[0]));
    for (uint32_t i = 0; i < memory->chunk_next; i++) {
        if (memory->chunk_base[i] != 0) {
            hash_insert(memory, i);
        }
    }
}

/* ---- Staging memory: a log write straight out of it is a fixed one too ---- */

static void
stage_register(struct gy_uring *uring, const struct gy_stage *stage)
{
    struct gy_uring_memory *memory = &uring->memory;

    for (uint32_t i = 0; i < GY_URING_STAGES_MAX && memory->hash != NULL; i++) {
        if (memory->stages[i].base == 0) {
            if (table_set(uring, memory->chunk_count_max + i, stage->base, stage->size)) {
                memory->stages[i].base = (uint64_t)(uintptr_t)stage->base;
                memory->stages[i].size = stage->size;
                count_registered(uring, stage->size, 0);
            }
            return;
        }
    }
}

int
gy_uring_stage_create(struct gy_world *world, struct gy_stage *stage, const uint64_t id[2],
                      size_t size)
{
    const int result = gy_posix_stage_create(world, stage, id, size);

    if (result == 0) {
        stage_register(gy_uring_of(world), stage);
    }
    return result;
}

bool
gy_uring_stage_close(struct gy_world *world, struct gy_stage *stage, bool unlink)
{
    struct gy_uring *uring = gy_uring_of(world);
    struct gy_uring_memory *memory = &uring->memory;

    for (uint32_t i = 0; i < GY_URING_STAGES_MAX; i++) {
        if (memory->stages[i].base != 0 &&
            memory->stages[i].base == (uint64_t)(uintptr_t)stage->base) {
            (void)table_set(uring, memory->chunk_count_max + i, NULL, 0);
            count_registered(uring, 0, memory->stages[i].size);
            memory->stages[i].base = 0;
            memory->stages[i].size = 0;
        }
    }
    return gy_posix_stage_close(world, stage, unlink);
}
