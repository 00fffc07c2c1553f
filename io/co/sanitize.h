/* sanitize.h - what AddressSanitizer and Valgrind must be told of stacks that we switch ourselves.
 * Without them every call here is empty. */
#ifndef GY_SANITIZE_H
#define GY_SANITIZE_H

#include <stddef.h>

#include "io/base/asan.h"

#ifdef GY_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

/* Before leaving a stack for that of `size` bytes at `bottom`. `save` keeps the state of the one
 * that is left; NULL says that it will not come back. */
static inline void
gy_asan_leave(void **save, const void *bottom, size_t size)
{
#ifdef GY_ASAN
    __sanitizer_start_switch_fiber(save, bottom, size);
#else
    (void)save;
    (void)bottom;
    (void)size;
#endif
}

/* First thing on the stack that was switched to: `saved` is its state (NULL: it is new). The stack
 * that was left is told in ret_bottom and ret_size, which may be NULL. */
static inline void
gy_asan_enter(void *saved, const void **ret_bottom, size_t *ret_size)
{
#ifdef GY_ASAN
    __sanitizer_finish_switch_fiber(saved, ret_bottom, ret_size);
#else
    (void)saved;
    (void)ret_bottom;
    (void)ret_size;
#endif
}

/* A stack is used anew: frames that never returned have left their red zones in it. */
static inline void
gy_asan_forget(void *base, size_t size)
{
    gy_asan_allow(base, size);
}

#endif
