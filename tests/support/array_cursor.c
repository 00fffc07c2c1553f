/* array_cursor.c - a sorted array as a cursor. */
#include "tests/support/array_cursor.h"
#include "io/base/assert.h"

static struct array_cursor *
self_of(struct gy_cursor *cursor)
{
    return gy_container_of(cursor, struct array_cursor, cursor);
}

/* Come to entry `at`; `count` and above is an end, and so is -1. */
static void
go(struct array_cursor *self, int64_t at)
{
    gy_assert(!self->is_closed);
    self->cursor.status = GYRE_OK;
    self->cursor.valid = at >= 0 && at < (int64_t)self->count;
    /* Nothing of the old place may be used after a move. */
    self->cursor.entry = (struct gy_entry){.tag = 0xdeadbeef};
    if (self->cursor.valid && at == (int64_t)self->fail_at) {
        self->cursor.valid = false;
        self->cursor.status = GYRE_IO;
    } else if (self->cursor.valid) {
        self->at = (uint32_t)at;
        self->cursor.entry = self->entries[at];
    }
}

static int64_t
lower_bound(const struct array_cursor *self, struct gyre_slice key, uint64_t tag)
{
    int64_t at = 0;

    while (at < (int64_t)self->count &&
           gy_entry_compare(self->entries[at].key, self->entries[at].tag, key, tag) < 0) {
        at++;
    }
    return at;
}

static void
note_seek(struct array_cursor *self)
{
    if (!self->is_prepared && self->seeks_unprepared != NULL) {
        (*self->seeks_unprepared)++;
    }
    self->is_prepared = false;
}

static void
seek(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    note_seek(self_of(cursor));
    go(self_of(cursor), lower_bound(self_of(cursor), key, tag));
}

static void
seek_before(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    note_seek(self_of(cursor));
    go(self_of(cursor), lower_bound(self_of(cursor), key, tag) - 1);
}

static void
first(struct gy_cursor *cursor)
{
    go(self_of(cursor), 0);
}

static void
last(struct gy_cursor *cursor)
{
    go(self_of(cursor), (int64_t)self_of(cursor)->count - 1);
}

static void
next(struct gy_cursor *cursor)
{
    gy_assert(cursor->valid);
    go(self_of(cursor), (int64_t)self_of(cursor)->at + 1);
}

static void
prev(struct gy_cursor *cursor)
{
    gy_assert(cursor->valid);
    go(self_of(cursor), (int64_t)self_of(cursor)->at - 1);
}

static void
close_cursor(struct gy_cursor *cursor)
{
    gy_assert(!self_of(cursor)->is_closed);
    self_of(cursor)->is_closed = true;
}

static void
prepare_seek(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    (void)key;
    (void)tag;
    self_of(cursor)->is_prepared = true;
}

static const struct gy_cursor_ops ops = {.seek = seek,
                                         .seek_before = seek_before,
                                         .first = first,
                                         .last = last,
                                         .next = next,
                                         .prev = prev,
                                         .close = close_cursor,
                                         .prepare_seek = prepare_seek};

void
array_cursor_init(struct array_cursor *self, const struct gy_entry *entries, uint32_t count)
{
    *self = (struct array_cursor){.entries = entries, .count = count, .fail_at = ARRAY_FAIL_NEVER};
    self->cursor.ops = &ops;
    self->cursor.status = GYRE_OK;
}
