/* memtable_cursor.c - a memtable as a cursor: in memory, so it never waits and cannot fail. */
#include "engine/lsm/cursors.h"

#include "io/base/assert.h"

#include "io/base/ban.h"

/* Owns: a reference on the memtable, which keeps the entries that it shows in place. */
struct memtable_cursor {
    struct gy_cursor cursor;
    struct gy_heap *heap;
    struct gy_memtable *memtable;
    struct gy_memtable_iter iter;
};

static struct memtable_cursor *
self_of(struct gy_cursor *cursor)
{
    return gy_container_of(cursor, struct memtable_cursor, cursor);
}

static void
show(struct memtable_cursor *self)
{
    self->cursor.valid = gy_memtable_iter_is_valid(&self->iter);
    if (self->cursor.valid) {
        self->cursor.entry = gy_memtable_iter_entry(&self->iter);
    }
}

static void
seek(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    struct memtable_cursor *self = self_of(cursor);

    gy_memtable_iter_seek(&self->iter, key, tag);
    show(self);
}

static void
seek_before(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    struct memtable_cursor *self = self_of(cursor);

    gy_memtable_iter_seek_before(&self->iter, key, tag);
    show(self);
}

static void
first(struct gy_cursor *cursor)
{
    struct memtable_cursor *self = self_of(cursor);

    gy_memtable_iter_first(&self->iter);
    show(self);
}

static void
last(struct gy_cursor *cursor)
{
    struct memtable_cursor *self = self_of(cursor);

    gy_memtable_iter_last(&self->iter);
    show(self);
}

static void
next(struct gy_cursor *cursor)
{
    struct memtable_cursor *self = self_of(cursor);

    gy_assert(cursor->valid);
    gy_memtable_iter_next(&self->iter);
    show(self);
}

static void
prev(struct gy_cursor *cursor)
{
    struct memtable_cursor *self = self_of(cursor);

    gy_assert(cursor->valid);
    gy_memtable_iter_prev(&self->iter);
    show(self);
}

static void
close_cursor(struct gy_cursor *cursor)
{
    struct memtable_cursor *self = self_of(cursor);

    gy_memtable_unref(self->memtable);
    gy_heap_free(self->heap, self);
}

static const struct gy_cursor_ops ops = {.seek = seek,
                                         .seek_before = seek_before,
                                         .first = first,
                                         .last = last,
                                         .next = next,
                                         .prev = prev,
                                         .close = close_cursor};

gyre_status
gy_memtable_cursor_make(struct gy_heap *heap, struct gy_memtable *memtable,
                        struct gy_cursor **ret_cursor)
{
    struct memtable_cursor *self = gy_heap_zalloc(heap, sizeof(*self), GY_MEM_CALL);

    if (self == NULL) {
        return GYRE_NO_MEMORY;
    }
    self->cursor.ops = &ops;
    self->cursor.status = GYRE_OK;
    self->heap = heap;
    self->memtable = memtable;
    gy_memtable_ref(memtable);
    gy_memtable_iter_init(&self->iter, memtable);
    *ret_cursor = &self->cursor;
    return GYRE_OK;
}
