/* gyre/status.h - the one error type of the library, and the text that goes with an error.
 *
 * Every call that can fail returns a gyre_status. GYRE_OK is 0; values never change their number.
 * The library prints nothing: the text of the last failure is had from gyre_last_error(). It names
 * what failed, where (file and offset) and what to do.
 */
#ifndef GYRE_STATUS_H
#define GYRE_STATUS_H

#include "gyre/base.h"

/* X(name, number, meaning) */
#define GYRE_STATUS_LIST(X)                                                                       \
    X(OK, 0, "done")                                                                              \
    X(NOT_FOUND, 1, "no such key, store or file")                                                 \
    X(INVALID, 2, "an argument or option is out of its range; nothing was changed")               \
    X(MISUSE, 3, "wrong thread, forked child, inside a callback, or use after close")             \
    X(BUSY, 4, "the store is open elsewhere, or something of it is still in use")                 \
    X(AGAIN, 5, "no room just now; try again later")                                              \
    X(CORRUPT, 6, "bytes on disk are not what was written")                                       \
    X(IO, 7, "the device or the file system failed")                                              \
    X(NO_SPACE, 8, "the disk or the quota is full")                                               \
    X(NO_MEMORY, 9, "memory_limit or the machine has no more memory; nothing was changed")        \
    X(TIMED_OUT, 10, "the deadline passed")                                                       \
    X(CANCELED, 11, "the operation was cancelled")                                                \
    X(CLOSED, 12, "the store or the loop is closing or closed")                                   \
    X(UNSUPPORTED, 13, "a newer version or an unknown feature wrote this")                        \
    X(READ_ONLY, 14, "the store refuses writes: opened read-only, or its log failed")

typedef enum gyre_status {
#define X(name, number, meaning) GYRE_##name = number,
    GYRE_STATUS_LIST(X)
#undef X
} gyre_status;

/* What is known of a failure. `text` is one line without a final newline. */
struct gyre_error {
    gyre_status status;
    int32_t os_errno;    /* 0, or the errno that the kernel gave */
    uint64_t offset;     /* bytes from the start of `file`; UINT64_MAX = none */
    char file[48];       /* name inside the store, "" = none */
    char text[240];
    /* A write that was not answered OK: 1 = it may be kept all the same, wholly, and may appear to
     * reads at any time later; 0 = it is not there and never will be. */
    uint32_t maybe_done;
    uint32_t cause;      /* AGAIN, NO_SPACE: enum gyre_wait_cause */
    uint64_t retry_ns;   /* then: about how long to stay away */
};

/* What a write waits for, or would have to. */
enum gyre_wait_cause {
    GYRE_WAIT_NONE = 0,
    GYRE_WAIT_PACE = 1,       /* compaction is behind: writers go at the pace of its work */
    GYRE_WAIT_MEMTABLES = 2,  /* all are full and being flushed */
    GYRE_WAIT_LOG = 3,        /* log space, or the log's buffers */
    GYRE_WAIT_MEMORY = 4,     /* memory_limit, until a memtable is flushed */
    GYRE_WAIT_DISK = 5,       /* disk_quota or the disk, until compaction or somebody makes room */
    GYRE_WAIT_PAUSED = 6      /* gyre_pause, and memtables or logs are full */
};

GYRE_EXTERN_C_BEGIN

/* "NOT_FOUND" and "no such key, store or file"; never NULL, also for numbers that are no status. */
GYRE_API const char *gyre_status_name(gyre_status status);
GYRE_API const char *gyre_status_text(gyre_status status);

GYRE_EXTERN_C_END

#endif
