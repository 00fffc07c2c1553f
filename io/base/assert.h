/* assert.h - checks of our own code. Bytes from disk and arguments of the caller are never
 * asserted.
 *
 * gy_assert stays on in release builds; gy_assert_slow (walks a block, a list) only with
 * GYRE_SLOW_ASSERTS. A failed check is a bug of ours: it aborts rather than go on and write.
 */
#ifndef GY_ASSERT_H
#define GY_ASSERT_H

#include <stddef.h>

_Noreturn void gy_assert_failed(const char *expression, const char *file, int line);

#define gy_likely(x) __builtin_expect(!!(x), 1)
#define gy_unlikely(x) __builtin_expect(!!(x), 0)
#define gy_assert(expression) \
    (gy_likely(expression) ? (void)0 : gy_assert_failed(#expression, __FILE__, __LINE__))

/* For a place that cannot be reached: `text` says what must have happened. */
#define gy_bug(text) gy_assert_failed(text, __FILE__, __LINE__)

#ifdef GYRE_SLOW_ASSERTS
#define gy_assert_slow(expression) gy_assert(expression)
#else
#define gy_assert_slow(expression) ((void)0)
#endif

#define gy_container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#endif
