/* asan.h - is this built with AddressSanitizer, and what it has to be told of memory that we keep.
 * Without it the calls are empty. */
#ifndef GY_ASAN_H
#define GY_ASAN_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define GY_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GY_ASAN 1
#endif
#endif

#ifdef GY_ASAN
#include <sanitizer/asan_interface.h>
#endif

/* Nobody may touch these bytes until gy_asan_allow. */
static inline void
gy_asan_forbid(const void *base, size_t size)
{
#ifdef GY_ASAN
    __asan_poison_memory_region(base, size);
#else
    (void)base;
    (void)size;
#endif
}

static inline void
gy_asan_allow(const void *base, size_t size)
{
#ifdef GY_ASAN
    __asan_unpoison_memory_region(base, size);
#else
    (void)base;
    (void)size;
#endif
}

#endif
