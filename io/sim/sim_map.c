/* sim_map.c - see sim_map.h. */
#include "io/sim/sim_map.h"

#include <string.h>

#include "io/base/assert.h"

#define SECTOR 512u
#define MASK_WHOLE 0xffu

void *
gy_sim_zalloc(struct gy_heap *heap, size_t size)
{
    void *block = gy_heap_zalloc(heap, size, GY_MEM_LOOP);

    gy_assert(block != NULL);
    return block;
}

void *
gy_sim_grow(struct gy_heap *heap, void *items, uint32_t *capacity, uint32_t count, size_t item_size)
{
    uint32_t wanted = *capacity < 4 ? 4 : *capacity;

    if (count <= *capacity) {
        return items;
    }
    while (wanted < count) {
        gy_assert(wanted < UINT32_MAX / 2);
        wanted *= 2;
    }
    items = gy_heap_realloc(heap, items, wanted * item_size, GY_MEM_LOOP);
    gy_assert(items != NULL);
    *capacity = wanted;
    return items;
}

struct gy_sim_page *
gy_sim_page_make_of(struct gy_heap *heap, const void *bytes, size_t size)
{
    struct gy_sim_page *page = gy_heap_alloc(heap, sizeof(*page), GY_MEM_LOOP);

    gy_assert(page != NULL && size <= GY_PAGE);
    page->refs = 1;
    if (size > 0) {
        memcpy(page->bytes, bytes, size);
    }
    memset(page->bytes + size, 0, GY_PAGE - size);
    return page;
}

struct gy_sim_page *
gy_sim_page_make(struct gy_heap *heap, const struct gy_sim_page *source)
{
    return source != NULL ? gy_sim_page_make_of(heap, source->bytes, GY_PAGE)
                          : gy_sim_page_make_of(heap, NULL, 0);
}

struct gy_sim_page *
gy_sim_page_get(struct gy_sim_page *page)
{
    if (page != NULL) {
        page->refs++;
    }
    return page;
}

void
gy_sim_page_put(struct gy_heap *heap, struct gy_sim_page *page)
{
    if (page == NULL) {
        return;
    }
    gy_assert(page->refs > 0);
    page->refs--;
    if (page->refs == 0) {
        gy_heap_free(heap, page);
    }
}

static void
leaf_put(struct gy_heap *heap, struct gy_sim_leaf *leaf)
{
    if (leaf == NULL) {
        return;
    }
    gy_assert(leaf->refs > 0);
    leaf->refs--;
    if (leaf->refs > 0) {
        return;
    }
    for (uint32_t i = 0; i < GY_SIM_LEAF_PAGES; i++) {
        gy_sim_page_put(heap, leaf->pages[i]);
    }
    gy_heap_free(heap, leaf);
}

/* The leaf of `index`, made or unshared so that it may be changed (M1). */
static struct gy_sim_leaf *
leaf_writable(struct gy_heap *heap, struct gy_sim_map *map, uint64_t index)
{
    const uint64_t position = index / GY_SIM_LEAF_PAGES;
    struct gy_sim_leaf *leaf;

    gy_assert(position < UINT32_MAX / 2);
    if (position >= map->leaf_count) {
        const uint32_t count = (uint32_t)position + 1;

        map->leaves = gy_heap_realloc(heap, map->leaves, count * sizeof(*map->leaves), GY_MEM_LOOP);
        gy_assert(map->leaves != NULL);
        memset(map->leaves + map->leaf_count, 0, (count - map->leaf_count) * sizeof(*map->leaves));
        map->leaf_count = count;
    }
    leaf = map->leaves[position];
    if (leaf != NULL && leaf->refs == 1) {
        return leaf;
    }
    map->leaves[position] = gy_sim_zalloc(heap, sizeof(*leaf));
    if (leaf != NULL) {
        *map->leaves[position] = *leaf;
        for (uint32_t i = 0; i < GY_SIM_LEAF_PAGES; i++) {
            (void)gy_sim_page_get(leaf->pages[i]); /* the copy in the new leaf */
        }
        leaf_put(heap, leaf);
    }
    map->leaves[position]->refs = 1;
    return map->leaves[position];
}

void
gy_sim_map_copy(struct gy_heap *heap, struct gy_sim_map *target, const struct gy_sim_map *source)
{
    *target = (struct gy_sim_map){.leaf_count = source->leaf_count,
                                  .allocated_count = source->allocated_count};
    if (source->leaf_count == 0) {
        return;
    }
    target->leaves = gy_sim_zalloc(heap, source->leaf_count * sizeof(*source->leaves));
    for (uint32_t i = 0; i < source->leaf_count; i++) {
        target->leaves[i] = source->leaves[i];
        if (target->leaves[i] != NULL) {
            target->leaves[i]->refs++;
        }
    }
}

void
gy_sim_map_free(struct gy_heap *heap, struct gy_sim_map *map)
{
    for (uint32_t i = 0; i < map->leaf_count; i++) {
        leaf_put(heap, map->leaves[i]);
    }
    gy_heap_free(heap, map->leaves);
    *map = (struct gy_sim_map){.leaves = NULL};
}

static const struct gy_sim_leaf *
leaf_of(const struct gy_sim_map *map, uint64_t index)
{
    const uint64_t position = index / GY_SIM_LEAF_PAGES;

    return position < map->leaf_count ? map->leaves[position] : NULL;
}

struct gy_sim_page *
gy_sim_map_page(const struct gy_sim_map *map, uint64_t index)
{
    const struct gy_sim_leaf *leaf = leaf_of(map, index);

    return leaf != NULL ? leaf->pages[index % GY_SIM_LEAF_PAGES] : NULL;
}

bool
gy_sim_map_is_allocated(const struct gy_sim_map *map, uint64_t index)
{
    const struct gy_sim_leaf *leaf = leaf_of(map, index);

    return leaf != NULL && ((leaf->allocated >> (index % GY_SIM_LEAF_PAGES)) & 1u) != 0;
}

void
gy_sim_map_allocate(struct gy_heap *heap, struct gy_sim_map *map, uint64_t index)
{
    if (gy_sim_map_is_allocated(map, index)) {
        return;
    }
    leaf_writable(heap, map, index)->allocated |= 1ull << (index % GY_SIM_LEAF_PAGES);
    map->allocated_count++;
}

void
gy_sim_map_set(struct gy_heap *heap, struct gy_sim_map *map, uint64_t index,
               struct gy_sim_page *page)
{
    struct gy_sim_leaf *leaf = leaf_writable(heap, map, index);

    gy_sim_page_put(heap, leaf->pages[index % GY_SIM_LEAF_PAGES]);
    leaf->pages[index % GY_SIM_LEAF_PAGES] = page;
    gy_sim_map_allocate(heap, map, index);
}

/* The pages of leaf `position` that lie below `end`. */
static uint64_t
mask_below(uint64_t position, uint64_t end)
{
    const uint64_t start = position * GY_SIM_LEAF_PAGES;

    if (end <= start) {
        return 0;
    }
    return end - start >= GY_SIM_LEAF_PAGES ? UINT64_MAX : (1ull << (end - start)) - 1;
}

static uint64_t
count_bits(uint64_t bits)
{
    return (uint64_t)__builtin_popcountll(bits);
}

void
gy_sim_map_allocate_below(struct gy_heap *heap, struct gy_sim_map *map, uint64_t end)
{
    for (uint64_t start = 0; start < end; start += GY_SIM_LEAF_PAGES) {
        const struct gy_sim_leaf *leaf = leaf_of(map, start);
        const uint64_t wanted = mask_below(start / GY_SIM_LEAF_PAGES, end);
        const uint64_t missing = wanted & ~(leaf != NULL ? leaf->allocated : 0);

        if (missing != 0) {
            leaf_writable(heap, map, start)->allocated |= missing;
            map->allocated_count += count_bits(missing);
        }
    }
}

uint64_t
gy_sim_map_count_below(const struct gy_sim_map *map, uint64_t end)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < map->leaf_count; i++) {
        if (map->leaves[i] != NULL) {
            count += count_bits(map->leaves[i]->allocated & mask_below(i, end));
        }
    }
    return count;
}

void
gy_sim_map_punch(struct gy_heap *heap, struct gy_sim_map *map, uint64_t index)
{
    for (uint64_t i = index / GY_SIM_LEAF_PAGES; i < map->leaf_count; i++) {
        const uint64_t doomed =
            map->leaves[i] == NULL ? 0 : map->leaves[i]->allocated & ~mask_below(i, index);
        struct gy_sim_leaf *leaf;

        if (doomed == 0) {
            continue;
        }
        leaf = leaf_writable(heap, map, i * GY_SIM_LEAF_PAGES);
        for (uint64_t left = doomed; left != 0; left &= left - 1) {
            struct gy_sim_page **page = &leaf->pages[__builtin_ctzll(left)];

            gy_sim_page_put(heap, *page);
            *page = NULL;
        }
        leaf->allocated &= ~doomed;
        map->allocated_count -= count_bits(doomed);
    }
}

void
gy_sim_map_merge(struct gy_heap *heap, struct gy_sim_map *map, uint64_t index,
                 struct gy_sim_page *source, uint8_t mask)
{
    struct gy_sim_page *page = gy_sim_map_page(map, index);

    if (page == source) {
        gy_sim_map_allocate(heap, map, index);
        return;
    }
    if (mask == MASK_WHOLE) {
        gy_sim_map_set(heap, map, index, gy_sim_page_get(source));
        return;
    }
    page = gy_sim_page_make(heap, page);
    for (uint32_t sector = 0; sector < GY_PAGE / SECTOR; sector++) {
        uint8_t *to = page->bytes + sector * SECTOR;

        if ((((uint32_t)mask >> sector) & 1u) == 0) {
            continue;
        }
        if (source != NULL) {
            memcpy(to, source->bytes + sector * SECTOR, SECTOR);
        } else {
            memset(to, 0, SECTOR);
        }
    }
    gy_sim_map_set(heap, map, index, page);
}
