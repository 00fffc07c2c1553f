/* fail.h - where errors are born. Break on gy_fail to see any of them.
 *
 * A failing function fills the error of the current coroutine once, at its origin, and returns the
 * status; everyone above passes the status on. GYRE_NOT_FOUND, GYRE_AGAIN and the like as plain
 * outcomes need no text.
 */
#ifndef GY_FAIL_H
#define GY_FAIL_H

#include <stdint.h>

#include "gyre/status.h"

#define GY_NO_OFFSET UINT64_MAX

struct gy_sched;

/* The error of what is running now. The scheduler implements it (io/co/sched.c), so that this layer
 * needs to know nothing of coroutines. */
struct gyre_error *gy_fail_slot(struct gy_sched *sched);

/* Fill the current coroutine's error and return `status`. Without a `sched` there is no text. */
gyre_status gy_fail(struct gy_sched *sched, gyre_status status, const char *format, ...)
    GYRE_PRINTF(3, 4);

/* The same with a place; `file` may be NULL, `offset` GY_NO_OFFSET, `os_errno` 0. The place is
 * appended to the text. */
gyre_status gy_fail_at(struct gy_sched *sched, gyre_status status, const char *file,
                       uint64_t offset, int os_errno, const char *format, ...) GYRE_PRINTF(6, 7);

/* The status that stands for an errno: ENOSPC and EDQUOT are NO_SPACE, ENOMEM is NO_MEMORY, ENOENT
 * is NOT_FOUND, EACCES, EPERM, EROFS and the rest are IO, so is 0. Either sign will do. */
gyre_status gy_status_of_errno(int os_errno);

/* Both failed: the first is the cause. */
static inline gyre_status
gy_first(gyre_status first, gyre_status second)
{
    return first != GYRE_OK ? first : second;
}

#endif
