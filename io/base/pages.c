/* pages.c - see pages.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "io/base/pages.h"

#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "io/base/asan.h"
#include "io/base/assert.h"
#include "io/base/bits.h"

size_t
gy_pages_guard_size(void)
{
    return gy_max_u64(getauxval(AT_PAGESZ), GY_PAGE);
}

/* An address range aligned to its chunks, so that huge pages and registration fit: map one chunk
 * more and give the ends back. */
static void *
map_range(size_t size)
{
    const size_t mapped = size + GY_PAGES_RANGE_ALIGN;
    uint8_t *base = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t head;

    if (base == MAP_FAILED) {
        return NULL;
    }
    head = (size_t)(gy_align_up((uint64_t)(uintptr_t)base, GY_PAGES_RANGE_ALIGN) -
                    (uint64_t)(uintptr_t)base);
    if (head != 0) {
        (void)munmap(base, head);
    }
    if (head != GY_PAGES_RANGE_ALIGN) {
        (void)munmap(base + head + size, GY_PAGES_RANGE_ALIGN - head);
    }
    base += head;
    (void)madvise(base, size,
                  MADV_DONTFORK); /* a child must not see a copy that the device misses */
    /* No huge pages: clearing one is a single fault that holds the thread for 0.4 ms, behind a
     * hypervisor that has to find the memory for 6 to 20 ms; small ones are touched a few at a
     * time. */
    (void)madvise(base, size, MADV_NOHUGEPAGE);
    return base;
}

/* False: the kernel would not make it that. */
static bool
make_kind(void *base, size_t size, enum gy_pages_kind kind)
{
    if (kind == GY_PAGES_FORKED) {
        return true;
    }
    /* A child that shared these pages copy-on-write would move ours away from under the device. */
    if (madvise(base, size, MADV_DONTFORK) != 0) {
        return false;
    }
    if (kind == GY_PAGES_STACK) {
        if (mprotect(base, gy_pages_guard_size(), PROT_NONE) != 0) {
            return false; /* too many mappings in this process */
        }
#ifdef GY_ASAN
        /* A report forks a symbolizer, and the child goes on running on this stack. */
        (void)madvise(base, size, MADV_DOFORK);
#endif
    }
    return true;
}

void *
gy_pages_map(struct gy_pages *pages, size_t size, enum gy_pages_kind kind)
{
    void *base;

    gy_assert(size > 0 && gy_is_aligned(size, GY_PAGE) && kind < GY_PAGES_KIND_COUNT);
    if (pages != NULL) {
        return pages->map(pages, size, kind);
    }
    if (kind == GY_PAGES_RANGE) {
        return map_range(size);
    }
    base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        return NULL;
    }
    if (!make_kind(base, size, kind)) {
        (void)munmap(base, size);
        return NULL;
    }
    return base;
}

void
gy_pages_unmap(struct gy_pages *pages, void *base, size_t size, enum gy_pages_kind kind)
{
    gy_assert(gy_is_aligned((uintptr_t)base, GY_PAGE) && gy_is_aligned(size, GY_PAGE));
    if (pages != NULL) {
        pages->unmap(pages, base, size, kind);
        return;
    }

    const int rc = munmap(base, size);

    gy_assert(rc == 0);
}
