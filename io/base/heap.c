/* heap.c - malloc, and the pages of pages.c, behind one counter (heap.h). The only file that calls
 * malloc.
 *
 * A block is preceded by a header of 16 bytes, which keeps malloc's alignment and is charged with
 * it. The header's mark turns a double free or a stray pointer into a failed check.
 */
#include "io/base/heap.h"

#include <stdlib.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/base/bits.h"

#define MARK_LIVE 0x47794865u
#define MARK_FREE 0x66726565u

struct block {
    uint64_t size; /* bytes that the caller asked for */
    uint32_t tag;
    uint32_t mark;
};
_Static_assert(sizeof(struct block) == 16, "the header keeps the alignment of malloc");

/* Each attempt counts, so that a test can walk fail_at through all of them. */
static bool
is_refused(struct gy_heap *heap, size_t size)
{
    heap->largest = gy_max_u64(heap->largest, size);
    heap->allocation_count++;
    return heap->allocation_count == heap->fail_at;
}

static struct block *
block_of(void *memory)
{
    struct block *block = (struct block *)memory - 1;

    gy_assert(block->mark == MARK_LIVE);
    gy_assert(block->tag < GY_MEM_TAG_COUNT);
    return block;
}

void
gy_heap_init(struct gy_heap *heap, uint64_t limit)
{
    *heap = (struct gy_heap){.limit = limit};
}

void
gy_heap_promise(struct gy_heap *heap, uint64_t bytes, enum gy_mem_tag tag)
{
    heap->promised_by_tag[tag] = bytes;
}

bool
gy_heap_has_room(const struct gy_heap *heap, uint64_t bytes, enum gy_mem_tag tag)
{
    uint64_t promised = 0;

    for (uint32_t i = 0; i < GY_MEM_TAG_COUNT; i++) {
        promised +=
            i == (uint32_t)tag ? 0 : gy_sub_sat(heap->promised_by_tag[i], heap->used_by_tag[i]);
    }
    return heap->used <= heap->limit && promised <= heap->limit - heap->used &&
           bytes <= heap->limit - heap->used - promised;
}

int
gy_heap_charge(struct gy_heap *heap, uint64_t bytes, enum gy_mem_tag tag)
{
    gy_assert(tag < GY_MEM_TAG_COUNT);
    if (heap->used > heap->limit || bytes > heap->limit - heap->used) {
        return 0;
    }
    if ((tag == GY_MEM_CACHE || tag == GY_MEM_MEMTABLE) && !gy_heap_has_room(heap, bytes, tag)) {
        return 0;
    }
    heap->used += bytes;
    heap->used_by_tag[tag] += bytes;
    heap->peak = gy_max_u64(heap->peak, heap->used);
    return 1;
}

void
gy_heap_discharge(struct gy_heap *heap, uint64_t bytes, enum gy_mem_tag tag)
{
    gy_assert(tag < GY_MEM_TAG_COUNT);
    gy_assert(bytes <= heap->used_by_tag[tag]);
    gy_assert(bytes <= heap->used);
    heap->used_by_tag[tag] -= bytes;
    heap->used -= bytes;
}

static void *
allocate(struct gy_heap *heap, size_t size, enum gy_mem_tag tag, bool is_zeroed)
{
    struct block *block;
    size_t total;

    if (is_refused(heap, size) || size > SIZE_MAX - sizeof(*block)) {
        return NULL;
    }
    total = size + sizeof(*block);
    if (!gy_heap_charge(heap, total, tag)) {
        return NULL;
    }
    block = is_zeroed ? calloc(1, total) : malloc(total);
    if (block == NULL) {
        gy_heap_discharge(heap, total, tag);
        return NULL;
    }
    *block = (struct block){.size = size, .tag = (uint32_t)tag, .mark = MARK_LIVE};
    return block + 1;
}

void *
gy_heap_alloc(struct gy_heap *heap, size_t size, enum gy_mem_tag tag)
{
    return allocate(heap, size, tag, false);
}

void *
gy_heap_zalloc(struct gy_heap *heap, size_t size, enum gy_mem_tag tag)
{
    return allocate(heap, size, tag, true);
}

void *
gy_heap_realloc(struct gy_heap *heap, void *memory, size_t size, enum gy_mem_tag tag)
{
    struct block *block;
    struct block *moved;
    uint64_t size_before;

    if (memory == NULL) {
        return gy_heap_alloc(heap, size, tag);
    }
    block = block_of(memory);
    gy_assert(block->tag == (uint32_t)tag);
    if (is_refused(heap, size) || size > SIZE_MAX - sizeof(*block)) {
        return NULL;
    }
    size_before = block->size;
    if (size > size_before && !gy_heap_charge(heap, size - size_before, tag)) {
        return NULL;
    }
    moved = realloc(block, size + sizeof(*block));
    if (moved == NULL) {
        if (size > size_before) {
            gy_heap_discharge(heap, size - size_before, tag);
        }
        return NULL;
    }
    if (size < size_before) {
        gy_heap_discharge(heap, size_before - size, tag);
    }
    moved->size = size;
    return moved + 1;
}

void
gy_heap_free(struct gy_heap *heap, void *memory)
{
    struct block *block;

    if (memory == NULL) {
        return;
    }
    block = block_of(memory);
    gy_heap_discharge(heap, block->size + sizeof(*block), (enum gy_mem_tag)block->tag);
    block->mark = MARK_FREE;
    free(block);
}

static void *
map(struct gy_heap *heap, size_t size, enum gy_mem_tag tag, enum gy_pages_kind kind)
{
    void *base;

    gy_assert(size > 0 && gy_is_aligned(size, GY_PAGE));
    if (is_refused(heap, size) || !gy_heap_charge(heap, size, tag)) {
        return NULL;
    }
    base = gy_pages_map(heap->pages, size, kind);
    if (base == NULL) {
        gy_heap_discharge(heap, size, tag);
    }
    return base;
}

static void
unmap(struct gy_heap *heap, void *base, size_t size, enum gy_mem_tag tag, enum gy_pages_kind kind)
{
    if (base != NULL) {
        gy_heap_discharge(heap, size, tag);
        gy_pages_unmap(heap->pages, base, size, kind);
    }
}

void *
gy_heap_map(struct gy_heap *heap, size_t size, enum gy_mem_tag tag)
{
    return map(heap, size, tag, GY_PAGES_PLAIN);
}

void *
gy_heap_map_zeroed(struct gy_heap *heap, size_t size, enum gy_mem_tag tag)
{
    void *base = gy_heap_map(heap, size, tag);

    if (base != NULL && heap->pages != NULL) { /* the system's pages are zeros */
        memset(base, 0, size);
    }
    return base;
}

void
gy_heap_unmap(struct gy_heap *heap, void *base, size_t size, enum gy_mem_tag tag)
{
    unmap(heap, base, size, tag, GY_PAGES_PLAIN);
}

void *
gy_heap_map_stack(struct gy_heap *heap, size_t size, enum gy_mem_tag tag)
{
    return map(heap, size, tag, GY_PAGES_STACK);
}

void
gy_heap_unmap_stack(struct gy_heap *heap, void *base, size_t size, enum gy_mem_tag tag)
{
    unmap(heap, base, size, tag, GY_PAGES_STACK);
}

void *
gy_heap_reserve(struct gy_heap *heap, size_t size)
{
    return is_refused(heap, 0) ? NULL : gy_pages_map(heap->pages, size, GY_PAGES_RANGE);
}

void
gy_heap_unreserve(struct gy_heap *heap, void *base, size_t size)
{
    if (base != NULL) {
        gy_pages_unmap(heap->pages, base, size, GY_PAGES_RANGE);
    }
}
