/* kept_maps.c - see kept_maps.h. */
#include "tests/support/kept_maps.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEPT_MAX 64u

static struct {
    void *base;
    size_t size;
} kept[KEPT_MAX];

static bool is_on;

void
kept_maps_begin(void)
{
    is_on = true;
}

void
kept_maps_end(void)
{
    is_on = false;
    for (unsigned i = 0; i < KEPT_MAX; i++) {
        if (kept[i].size != 0) {
            (void)munmap(kept[i].base, kept[i].size);
            kept[i].size = 0;
        }
    }
}

void *
mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    const bool is_plain = address == NULL && protection == (PROT_READ | PROT_WRITE) &&
                          flags == (MAP_PRIVATE | MAP_ANONYMOUS);

    for (unsigned i = 0; is_on && is_plain && i < KEPT_MAX; i++) {
        if (kept[i].size == size) {
            kept[i].size = 0;
            return kept[i].base;
        }
    }
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

int
munmap(void *base, size_t size)
{
    for (unsigned i = 0; is_on && i < KEPT_MAX; i++) {
        if (kept[i].size == 0) {
            kept[i].base = base;
            kept[i].size = size;
            return 0;
        }
    }
    return (int)syscall(SYS_munmap, base, size);
}
