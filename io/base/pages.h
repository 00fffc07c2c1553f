/* pages.h - the only road to mmap for memory that the library works in: whole pages, by size and
 * kind. (Staging memory belongs to a world, the page that tells a fork to identity.c.)
 *
 *   G1  Memory is zero only when it comes from the system. A source may hand out what it was given
 *       back before, so nobody relies on zeros; gy_heap_map_zeroed is for who needs them.
 *   G2  What was mapped is unmapped with the same size and kind, through the same source.
 * A source stands in for the system: the simulated machine keeps mappings and hands them out again,
 * since a test opens and closes thousands of loops a second. In production there is none.
 */
#ifndef GY_PAGES_H
#define GY_PAGES_H

#include <stdbool.h>
#include <stddef.h>

enum gy_pages_kind {
    GY_PAGES_PLAIN,     /* buffers, cache frames; kept out of forked children */
    GY_PAGES_STACK,     /* the same, and the lowest gy_pages_guard_size() bytes are inaccessible */
    GY_PAGES_RANGE,     /* the arena: as PLAIN, aligned to GY_PAGES_RANGE_ALIGN, small, no swap
                           space reserved */
    GY_PAGES_FORKED,    /* staging memory of simulated machines: stays with forked children */
    GY_PAGES_KIND_COUNT
};

#define GY_PAGES_RANGE_ALIGN (2u * 1024u * 1024u)

struct gy_pages {
    /* NULL: no memory. */
    void *(*map)(struct gy_pages *pages, size_t size, enum gy_pages_kind kind);
    void (*unmap)(struct gy_pages *pages, void *base, size_t size, enum gy_pages_kind kind);
};

/* `pages` NULL: the system. `size` is a multiple of GY_PAGE (a stack: of the guard's size). */
void *gy_pages_map(struct gy_pages *pages, size_t size, enum gy_pages_kind kind);
void gy_pages_unmap(struct gy_pages *pages, void *base, size_t size, enum gy_pages_kind kind);

size_t gy_pages_guard_size(void);

#endif
