/* gyre/base.h - what every public header needs: attributes, byte slices, limits, version.
 *
 * All of include/gyre is C11 and C++17 clean and needs no header of the kernel or of a library
 * that Gyre is built from.
 */
#ifndef GYRE_BASE_H
#define GYRE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
#define GYRE_EXTERN_C_BEGIN extern "C" {
#define GYRE_EXTERN_C_END }
#else
#define GYRE_EXTERN_C_BEGIN
#define GYRE_EXTERN_C_END
#endif

#if defined(__GNUC__)
#define GYRE_API __attribute__((visibility("default")))
#define GYRE_NODISCARD __attribute__((warn_unused_result))
#define GYRE_PRINTF(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))
#else
#define GYRE_API
#define GYRE_NODISCARD
#define GYRE_PRINTF(format_index, first_index)
#endif

/* Marks a call that may suspend the calling coroutine; outside a coroutine the same call drives
 * the loop until its own work is done. It is for the reader: it expands to nothing. */
#define GYRE_SUSPENDS

/* The library follows semantic versioning; the on-disk formats carry versions of their own. */
#define GYRE_VERSION_MAJOR 0
#define GYRE_VERSION_MINOR 1
#define GYRE_VERSION_PATCH 0
#define GYRE_VERSION "0.1.0"

/* Limits. Going past one is GYRE_INVALID with a text that names the limit. */
#define GYRE_KEY_SIZE_MAX 65536u                /* bytes; a key has at least 1 */
#define GYRE_VALUE_SIZE_MAX (16u << 20)         /* bytes; also at most memory_limit / 8 */
/* bytes of keys and values; also memory_limit / 4 */
#define GYRE_BATCH_SIZE_MAX (32u << 20)
#define GYRE_BATCH_COUNT_MAX (1u << 20)         /* operations in one batch */
#define GYRE_MULTI_GET_MAX 4096u                /* keys in one gyre_multi_get */
#define GYRE_ITERATORS_MAX 4096u                /* open at once in one store */
#define GYRE_SNAPSHOTS_MAX 65536u               /* open at once in one store */
#define GYRE_PATH_SIZE_MAX 1024u                /* bytes of a store's path, with the final NUL */

GYRE_EXTERN_C_BEGIN

/* Bytes that somebody else owns. Keys and values are binary: no terminator, any byte. */
struct gyre_slice {
    const void *data;
    size_t size;
};

/* A slice of `size` bytes at `data`, and one of a C string without its terminator. */
static inline struct gyre_slice
gyre_slice(const void *data, size_t size)
{
    struct gyre_slice slice;

    slice.data = data;
    slice.size = size;
    return slice;
}

static inline struct gyre_slice
gyre_str(const char *text)
{
    return gyre_slice(text, strlen(text));
}

/* "0.1.0": the version of the library that is linked, which may be newer than the header. */
GYRE_API const char *gyre_version(void);

GYRE_EXTERN_C_END

#endif
