/* cursor.h - what every ordered source of entries looks like: memtable, table, level, merge of
 * them.
 *
 * Entries come in (key, tag) order, all versions. After a move the cursor is valid (entry is set
 * and stays until the next move), or it is at an end (valid false, status OK), or it failed (valid
 * false, status not OK: sticky until the next seek). A child's failure is never an end.
 */
#ifndef GY_CURSOR_H
#define GY_CURSOR_H

#include "engine/codec/key.h"
#include "gyre/status.h"
#include "io/co/await.h"

struct gy_cursor;

struct gy_cursor_ops {
    /* first >= */
    void (*seek)(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag);
    void (*seek_before)(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag); /* last < */
    void (*first)(struct gy_cursor *cursor);
    void (*last)(struct gy_cursor *cursor);
    void (*next)(struct gy_cursor *cursor);
    void (*prev)(struct gy_cursor *cursor);
    void (*close)(struct gy_cursor *cursor); /* gives everything back and frees it */
    /* A seek to (key, tag) follows soon: start the reads that it will need. Never suspends, cannot
     * fail (it may do nothing), leaves the position undefined until that seek. NULL: there is
     * nothing to start. An empty key with tag UINT64_MAX announces `first`. */
    void (*prepare_seek)(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag);
};

struct gy_cursor {
    const struct gy_cursor_ops *ops;
    bool valid;
    gyre_status status;
    struct gy_entry entry;
};

GY_SUSPENDS static inline void
gy_cursor_await_seek(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    cursor->ops->seek(cursor, key, tag);
}

GY_SUSPENDS static inline void
gy_cursor_await_seek_before(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    cursor->ops->seek_before(cursor, key, tag);
}

GY_SUSPENDS static inline void
gy_cursor_await_first(struct gy_cursor *cursor)
{
    cursor->ops->first(cursor);
}

GY_SUSPENDS static inline void
gy_cursor_await_last(struct gy_cursor *cursor)
{
    cursor->ops->last(cursor);
}

GY_SUSPENDS static inline void
gy_cursor_await_next(struct gy_cursor *cursor)
{
    cursor->ops->next(cursor);
}

GY_SUSPENDS static inline void
gy_cursor_await_prev(struct gy_cursor *cursor)
{
    cursor->ops->prev(cursor);
}

/* So that the reads of several cursors overlap: prepare all of them, then seek one after the
 * other. */
static inline void
gy_cursor_prepare_seek(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    if (cursor->ops->prepare_seek != NULL) {
        cursor->ops->prepare_seek(cursor, key, tag);
    }
}

static inline void
gy_cursor_close(struct gy_cursor *cursor)
{
    if (cursor != NULL) {
        cursor->ops->close(cursor);
    }
}

#endif
