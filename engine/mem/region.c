/* region.c - see region.h. */
#include "engine/mem/region.h"

#include "io/base/assert.h"
#include "io/base/bits.h"

#if defined(__SANITIZE_ADDRESS__)
#define REGION_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REGION_ASAN 1
#endif
#endif

/* With AddressSanitizer a chunk in the pool is as forbidden as freed memory, so a slice that
 * outlived its memtable is caught at once. */
#ifdef REGION_ASAN
#include <sanitizer/asan_interface.h>
#define forbid(base, size) ASAN_POISON_MEMORY_REGION(base, size)
#define allow(base, size) ASAN_UNPOISON_MEMORY_REGION(base, size)
#else
#define forbid(base, size) ((void)(base), (void)(size))
#define allow(base, size) ((void)(base), (void)(size))
#endif

#include "io/base/ban.h"

#define ALIGNMENT 8u
/* Leaves the allocators their headers, so that a chunk with them takes whole pages. */
#define CHUNK_SIZE (GY_REGION_CHUNK - 64u)
#define OWN_CHUNK_MIN (GY_REGION_CHUNK / 4)

struct gy_region_chunk {
    struct gy_region_chunk *next;
    size_t size; /* with this header */
};
_Static_assert(sizeof(struct gy_region_chunk) % ALIGNMENT == 0, "what follows is aligned");

/* ---- Pool ---- */

void
gy_region_pool_init(struct gy_region_pool *pool, struct gy_heap *heap, uint32_t free_count_max)
{
    *pool = (struct gy_region_pool){.heap = heap, .free_count_max = free_count_max};
}

static struct gy_region_chunk *
pool_take(struct gy_region_pool *pool)
{
    struct gy_region_chunk *chunk = pool->chunks;

    if (chunk != NULL) {
        gy_assert(pool->free_count > 0);
        gy_assert(chunk->size == CHUNK_SIZE);
        pool->chunks = chunk->next;
        pool->free_count--;
        allow(chunk + 1, CHUNK_SIZE - sizeof(*chunk));
    }
    return chunk;
}

static void
pool_give(struct gy_region_pool *pool, struct gy_region_chunk *chunk)
{
    if (chunk->size != CHUNK_SIZE || pool->free_count >= pool->free_count_max) {
        gy_heap_free(pool->heap, chunk);
        return;
    }
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    pool->free_count++;
    forbid(chunk + 1, CHUNK_SIZE - sizeof(*chunk));
}

bool
gy_region_pool_shrink(struct gy_region_pool *pool)
{
    struct gy_region_chunk *chunk = pool_take(pool);

    gy_heap_free(pool->heap, chunk);
    return chunk != NULL;
}

void
gy_region_pool_fini(struct gy_region_pool *pool)
{
    while (gy_region_pool_shrink(pool)) {
        /* all of them */
    }
    gy_assert(pool->free_count == 0);
}

/* ---- Region ---- */

void
gy_region_init(struct gy_region *region, struct gy_region_pool *pool)
{
    *region = (struct gy_region){.pool = pool};
}

void
gy_region_fini(struct gy_region *region)
{
    while (region->chunks != NULL) {
        struct gy_region_chunk *chunk = region->chunks;

        region->chunks = chunk->next;
        pool_give(region->pool, chunk);
    }
    gy_region_init(region, region->pool);
}

static struct gy_region_chunk *
make_chunk(struct gy_region *region, size_t size)
{
    struct gy_region_chunk *chunk = NULL;
    size_t chunk_size = CHUNK_SIZE;

    if (size > SIZE_MAX - sizeof(*chunk)) {
        return NULL;
    }
    if (size > OWN_CHUNK_MIN) {
        chunk_size = sizeof(*chunk) + size;
    } else {
        chunk = pool_take(region->pool);
    }
    while (chunk == NULL) {
        chunk = gy_heap_alloc(region->pool->heap, chunk_size, GY_MEM_MEMTABLE);
        if (chunk == NULL && !gy_region_pool_shrink(region->pool)) {
            return NULL;
        }
    }
    chunk->size = chunk_size;
    chunk->next = region->chunks;
    region->chunks = chunk;
    region->bytes += chunk_size;
    return chunk;
}

/* The larger of the two free spaces stays as the spare one; the chunk being filled is left. */
static void
keep_spare(struct gy_region *region)
{
    if (region->end - region->at > region->spare_end - region->spare_at) {
        region->spare_at = region->at;
        region->spare_end = region->end;
    }
}

static void
swap_spare(struct gy_region *region)
{
    uint8_t *at = region->at;
    uint8_t *end = region->end;

    region->at = region->spare_at;
    region->end = region->spare_end;
    region->spare_at = at;
    region->spare_end = end;
}

bool
gy_region_reserve(struct gy_region *region, size_t size)
{
    struct gy_region_chunk *chunk;

    if (size > SIZE_MAX - ALIGNMENT) {
        return false;
    }
    size = gy_align_up(size, ALIGNMENT);
    if (gy_likely(size <= (size_t)(region->end - region->at))) {
        return true;
    }
    if (size <= (size_t)(region->spare_end - region->spare_at)) {
        swap_spare(region);
        return true;
    }
    chunk = make_chunk(region, size);
    if (chunk == NULL) {
        return false;
    }
    keep_spare(region);
    region->at = (uint8_t *)(chunk + 1);
    region->end = (uint8_t *)chunk + (chunk->size & ~(size_t)(ALIGNMENT - 1));
    gy_assert(size <= (size_t)(region->end - region->at));
    return true;
}

void *
gy_region_alloc(struct gy_region *region, size_t size)
{
    uint8_t *memory;

    if (!gy_region_reserve(region, size)) {
        return NULL;
    }
    memory = region->at;
    region->at += gy_align_up(size, ALIGNMENT);
    gy_assert(region->at <= region->end);
    return memory;
}
