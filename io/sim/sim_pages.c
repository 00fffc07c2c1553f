/* sim_pages.c - see sim_pages.h. */
#include "io/sim/sim_pages.h"

#include <string.h>

#include "io/base/asan.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/list.h"
#include "io/sim/sim_map.h"

static uint32_t
class_of(size_t size)
{
    const uint64_t pages = size / GY_PAGE;
    uint32_t klass = 0;

    while ((1ull << klass) < pages) {
        klass++;
    }
    gy_assert(klass < GY_SIM_PAGE_CLASSES);
    return klass;
}

static size_t
class_size(uint32_t klass)
{
    return (size_t)GY_PAGE << klass;
}

/* Where the bytes that may be touched begin. */
static size_t
head_of(enum gy_pages_kind kind)
{
    return kind == GY_PAGES_STACK ? gy_pages_guard_size() : 0;
}

static void *
pool_map(struct gy_pages *base, size_t size, enum gy_pages_kind kind)
{
    struct gy_sim_pages *pages = gy_container_of(base, struct gy_sim_pages, base);
    const uint32_t klass = class_of(size);
    struct gy_sim_pages_bucket *bucket = &pages->buckets[kind][klass];
    const size_t head = head_of(kind);
    uint8_t *memory;

    if (bucket->count > 0) {
        bucket->count--;
        memory = bucket->items[bucket->count];
    } else {
        memory = gy_pages_map(NULL, class_size(klass), kind);
        if (memory == NULL) {
            return NULL;
        }
        gy_asan_forbid(memory + size, class_size(klass) - size);
    }
    gy_asan_allow(memory + head, size - head);
    if (pages->fill >= 0) {
        memset(memory + head, pages->fill, size - head);
    }
    pages->live_count++;
    return memory;
}

static void
pool_unmap(struct gy_pages *base, void *memory, size_t size, enum gy_pages_kind kind)
{
    struct gy_sim_pages *pages = gy_container_of(base, struct gy_sim_pages, base);
    struct gy_sim_pages_bucket *bucket = &pages->buckets[kind][class_of(size)];
    const size_t head = head_of(kind);

    gy_assert(pages->live_count > 0);
    pages->live_count--;
    gy_asan_forbid((uint8_t *)memory + head, class_size(class_of(size)) - head);
    bucket->items = gy_sim_grow(pages->heap, bucket->items, &bucket->capacity, bucket->count + 1,
                                sizeof(*bucket->items));
    bucket->items[bucket->count] = memory;
    bucket->count++;
}

struct gy_sim_pages *
gy_sim_pages_make(struct gy_heap *heap, int fill)
{
    struct gy_sim_pages *pages = gy_sim_zalloc(heap, sizeof(*pages));

    gy_assert(fill <= UINT8_MAX);
    pages->base = (struct gy_pages){.map = pool_map, .unmap = pool_unmap};
    pages->heap = heap;
    pages->refs = 1;
    pages->fill = fill;
    return pages;
}

struct gy_sim_pages *
gy_sim_pages_get(struct gy_sim_pages *pages)
{
    pages->refs++;
    return pages;
}

void
gy_sim_pages_put(struct gy_sim_pages *pages)
{
    if (pages == NULL) {
        return;
    }
    gy_assert(pages->refs > 0);
    pages->refs--;
    if (pages->refs > 0) {
        return;
    }
    gy_assert(pages->live_count == 0);
    for (uint32_t kind = 0; kind < GY_PAGES_KIND_COUNT; kind++) {
        for (uint32_t klass = 0; klass < GY_SIM_PAGE_CLASSES; klass++) {
            struct gy_sim_pages_bucket *bucket = &pages->buckets[kind][klass];

            for (uint32_t i = 0; i < bucket->count; i++) {
                gy_asan_allow(bucket->items[i], class_size(klass));
                gy_pages_unmap(NULL, bucket->items[i], class_size(klass), (enum gy_pages_kind)kind);
            }
            gy_heap_free(pages->heap, bucket->items);
        }
    }
    gy_heap_free(pages->heap, pages);
}
