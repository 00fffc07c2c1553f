/* sim_map.h - the bytes of one simulated file: a sparse table of shared 4 KiB pages.
 *
 * A crash test copies a whole disk at every I/O, so a copy must cost almost nothing: pages and the
 * leaves that hold 64 of them are counted references, and a change copies one leaf and one page.
 *
 *   M1  A page with refs > 1 is never changed; the same holds for a leaf.
 *   M2  A missing page reads as zeros. "Allocated" is a fact of its own: a page can take space on
 *       the disk and still be zeros (fallocate).
 * Memory comes from the simulator's own heap, which has no limit: running out is an assertion.
 */
#ifndef GY_SIM_MAP_H
#define GY_SIM_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "io/base/bits.h"
#include "io/base/heap.h"

#define GY_SIM_LEAF_PAGES 64u /* one bit each in gy_sim_leaf.allocated */

struct gy_sim_page {
    uint64_t refs;
    uint8_t bytes[GY_PAGE];
};

struct gy_sim_leaf {
    uint64_t refs;
    uint64_t allocated; /* bit i: page i takes space */
    struct gy_sim_page *pages[GY_SIM_LEAF_PAGES];
};

struct gy_sim_map {
    struct gy_sim_leaf **leaves; /* NULL = 64 pages that were never touched */
    uint32_t leaf_count;
    uint64_t allocated_count; /* pages that take space */
};

/* heap.h's calls, with "no memory" turned into an assertion. */
void *gy_sim_zalloc(struct gy_heap *heap, size_t size);
/* An array with room for `count` items; `items` may have moved. */
void *gy_sim_grow(struct gy_heap *heap, void *items, uint32_t *capacity, uint32_t count,
                  size_t item_size);

/* A new page with one reference: a copy of `source`, zeros where that is NULL. */
struct gy_sim_page *gy_sim_page_make(struct gy_heap *heap, const struct gy_sim_page *source);
/* A new page that begins with `size` bytes; zeros behind them. */
struct gy_sim_page *gy_sim_page_make_of(struct gy_heap *heap, const void *bytes, size_t size);
struct gy_sim_page *gy_sim_page_get(struct gy_sim_page *page);         /* NULL is fine */
void gy_sim_page_put(struct gy_heap *heap, struct gy_sim_page *page); /* NULL is fine */

/* `target` is empty; it shares everything with `source` afterwards. */
void gy_sim_map_copy(struct gy_heap *heap, struct gy_sim_map *target,
                     const struct gy_sim_map *source);
void gy_sim_map_free(struct gy_heap *heap, struct gy_sim_map *map);

/* Borrowed; NULL = zeros. */
struct gy_sim_page *gy_sim_map_page(const struct gy_sim_map *map, uint64_t index);
bool gy_sim_map_is_allocated(const struct gy_sim_map *map, uint64_t index);

/* Put `page` (the map takes over the reference; NULL = zeros) in place and allocate it. */
void gy_sim_map_set(struct gy_heap *heap, struct gy_sim_map *map, uint64_t index,
                    struct gy_sim_page *page);
void gy_sim_map_allocate(struct gy_heap *heap, struct gy_sim_map *map, uint64_t index);
/* The same for all pages below `end`, and how many of those are allocated already. */
void gy_sim_map_allocate_below(struct gy_heap *heap, struct gy_sim_map *map, uint64_t end);
uint64_t gy_sim_map_count_below(const struct gy_sim_map *map, uint64_t end);
/* Give back all pages from `index` on. */
void gy_sim_map_punch(struct gy_heap *heap, struct gy_sim_map *map, uint64_t index);

/* Copy the sectors (512 bytes each) of `mask` from `source` (NULL = zeros) into page `index`. */
void gy_sim_map_merge(struct gy_heap *heap, struct gy_sim_map *map, uint64_t index,
                      struct gy_sim_page *source, uint8_t mask);

#endif
