/* gyre/scan.h - many rows of a range in one call, within a budget, and where to go on.
 *
 *     struct gyre_row rows[100];
 *     char buffer[65536];
 *     struct gyre_scan scan = GYRE_SCAN(.prefix = gyre_str("user:"), .snapshot = snapshot,
 *                                       .rows = rows, .rows_max = 100,
 *                                       .buffer = buffer, .buffer_size = sizeof(buffer),
 *                                       .time_ns = 1000000, .skips_max = 10000);
 *     do {
 *         st = gyre_scan(db, &scan);
 *         if (st != GYRE_OK) ... gyre_last_error
 *         for (size_t i = 0; i < scan.row_count; i++) ... rows[i].key, rows[i].value ...
 *     } while (gyre_scan_go_on(&scan));
 *
 * What a scan has to pass over to get to a row is work too: tombstones of deleted keys, versions
 * that were overwritten or are newer than the snapshot. skips_max and time_ns bound it. However
 * long a scan takes, others run in between. A call holds what it reads, memtables and files, until
 * it returns.
 *
 * Going on. `next` is a place between two keys. With the same snapshot, calls that go on from one
 * another give each row of the range exactly once. Without one each call sees its own moment: a
 * key that is there all the time is given exactly once; one that is put, changed or deleted
 * meanwhile is given as one of the moments had it, or not; none is given twice. Each call decides
 * at least one key, so going on comes to the end, whatever the limits.
 *
 * Ranges that are full of tombstones attract compaction: when readers had to pass many that no
 * snapshot needs, the background removes them as soon as nothing else is due.
 * Source: engine/db/scan.c, engine/db/walk.c, engine/db/wanted.c
 */
#ifndef GYRE_SCAN_H
#define GYRE_SCAN_H

#include "gyre/db.h"

GYRE_EXTERN_C_BEGIN

struct gyre_row {
    struct gyre_slice key;
    struct gyre_slice value;
};

/* Why it came back. */
enum gyre_scan_stop {
    GYRE_SCAN_AT_END = 0,      /* the range is done; next.data is NULL */
    GYRE_SCAN_AT_ROWS = 1,     /* rows_max are there; whether more follow is not known */
    GYRE_SCAN_AT_BYTES = 2,    /* the next row would pass bytes_max */
    GYRE_SCAN_AT_BUFFER = 3,   /* the next row does not fit into what is left of the buffer */
    GYRE_SCAN_AT_TIME = 4,
    GYRE_SCAN_AT_SKIPS = 5
};

#define GYRE_SCAN_REVERSE 0x10000u /* from the last key to the first */

struct gyre_scan {
    uint32_t struct_size;           /* sizeof(struct gyre_scan) */
    uint32_t flags;                 /* GYRE_READ_*, GYRE_SCAN_REVERSE */
    const gyre_snapshot *snapshot;  /* NULL: the moment of the call */

    /* ---- The range. Copied when the scan begins, so they may point into the buffer. ---- */
    struct gyre_slice from;         /* first key that may be seen; data == NULL = none */
    struct gyre_slice upper;        /* first key that may not */
    struct gyre_slice prefix;       /* only keys that start with it */

    /* ---- Limits; 0 = none, but for rows_max ---- */
    uint64_t bytes_max;             /* of keys and values; the first row is given all the same */
    uint64_t time_ns;               /* on the clock of gyre_now, from its beginning; looked at every
                                       few entries */
    uint64_t skips_max;             /* entries passed over; looked at between two keys, of a key at
                                       most 32 versions are passed */
    uint32_t readahead_size;        /* as in gyre_iterator_options */
    uint32_t reserved_;             /* must be 0 */

    /* ---- Where it puts them: the caller's ---- */
    struct gyre_row *rows;
    size_t rows_max;                /* at least 1 */
    void *buffer;                   /* keys and values, with a byte between them; and next */
    size_t buffer_size;

    /* ---- The answer; on an error row_count is 0 and only buffer_needed is set ---- */
    uint32_t stopped;               /* enum gyre_scan_stop */
    uint32_t reserved_answer_;
    size_t row_count;
    uint64_t bytes;                 /* of keys and values in rows */
    uint64_t skipped;
    struct gyre_slice next;         /* in the buffer: `from` of the next call, `upper` in reverse */
    size_t buffer_needed;           /* INVALID for lack of it: bytes it must have; else 0 */
};

#define GYRE_SCAN(...) \
    ((struct gyre_scan){.struct_size = sizeof(struct gyre_scan), __VA_ARGS__})

/* Scan. What is in rows and buffer before is lost.
 *
 * Returns: OK       stopped says why; row_count may be 0 where TIME or SKIPS stopped it
 *          INVALID  an argument is out of its range; or the first row (or, where nothing was found
 *                   within the limits, the key to go on from) is larger than the whole buffer:
 *                   buffer_needed says how large it has to be. Call again with the same range. The
 *                   old buffer is unchanged: copy `from` and `upper` out of it before freeing it
 *          CORRUPT, IO, NO_MEMORY, CLOSED, MISUSE: nothing was given */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status gyre_scan(gyre_db *db, struct gyre_scan *scan);

/* Set the range to what is left of it. False: nothing is. After an answer of OK. */
static inline bool
gyre_scan_go_on(struct gyre_scan *scan)
{
    if (scan->stopped == GYRE_SCAN_AT_END) {
        return false;
    }
    if ((scan->flags & GYRE_SCAN_REVERSE) != 0) {
        scan->upper = scan->next;
    } else {
        scan->from = scan->next;
    }
    return true;
}

GYRE_EXTERN_C_END

#endif
