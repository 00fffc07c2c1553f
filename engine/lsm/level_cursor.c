/* level_cursor.c - neighbouring tables of a level >= 1 as one cursor, one table open at a time.
 *
 * Tables of such a level share no user key (V2), so the table that may hold a key is known
 * without reading; when it holds nothing in the direction of the walk, its neighbour does.
 *
 * Owns: the cursor of the current table and, near its end, that of the next one, which has been
 *       told to read ahead; a reference on the version, which keeps the tables.
 */
#include "engine/lsm/cursors.h"

#include "io/base/assert.h"

#include "io/base/ban.h"

/* The next table is announced when at most this many entries are left in the current one: some
 * reads ahead of need, yet not so early that two tables keep buffers for long. */
#define AHEAD_ENTRIES 512u
#define TABLE_NONE UINT32_MAX

struct level_cursor {
    struct gy_cursor cursor;
    struct gy_version *version;
    struct gy_table *const *tables;
    uint32_t count;
    enum gy_table_cursor_mode mode;
    enum gy_cache_hint hint;
    uint32_t readahead;
    uint32_t at; /* table of `child`; TABLE_NONE = none */
    struct gy_cursor *child;
    uint32_t ahead_at;       /* table of `ahead` */
    struct gy_cursor *ahead; /* NULL = none */
    uint64_t entries_left;   /* in the current table; UINT64_MAX = not known */
};

static struct level_cursor *
self_of(struct gy_cursor *cursor)
{
    return gy_container_of(cursor, struct level_cursor, cursor);
}

static gyre_status
make_child(const struct level_cursor *self, uint32_t at, struct gy_cursor **ret_child)
{
    return gy_table_cursor_make(self->tables[at], self->mode, self->hint, self->readahead,
                                ret_child);
}

static void
drop_ahead(struct level_cursor *self)
{
    gy_cursor_close(self->ahead);
    self->ahead = NULL;
    self->ahead_at = TABLE_NONE;
}

/* Have `child` stand for table `at`, from what is open already where possible. False: failed. */
static bool
enter(struct level_cursor *self, uint32_t at)
{
    self->entries_left = UINT64_MAX;
    if (self->at == at) {
        return true;
    }
    gy_cursor_close(self->child);
    self->child = NULL;
    self->at = TABLE_NONE;
    if (self->ahead_at == at) {
        self->child = self->ahead;
        self->ahead = NULL;
        self->ahead_at = TABLE_NONE;
    } else {
        const gyre_status status = make_child(self, at, &self->child);

        drop_ahead(self);
        if (status != GYRE_OK) {
            self->cursor.status = status;
            return false;
        }
    }
    self->at = at;
    return true;
}

static void
announce(struct level_cursor *self, uint32_t at, struct gyre_slice key, uint64_t tag)
{
    if (self->ahead_at != at) {
        drop_ahead(self);
        if (make_child(self, at, &self->ahead) != GYRE_OK) {
            return; /* no memory now: the table is opened when it is needed, or that fails */
        }
        self->ahead_at = at;
    }
    gy_cursor_prepare_seek(self->ahead, key, tag);
}

/* Few entries are left: let the next table begin to read. */
static inline void
announce_next(struct level_cursor *self)
{
    if (self->entries_left <= AHEAD_ENTRIES && self->ahead == NULL && self->at + 1 < self->count &&
        self->cursor.valid) {
        announce(self, self->at + 1, gyre_slice("", 0), UINT64_MAX);
    }
}

/* Show what the child shows. True when the walk has to go on in the neighbour: the child is at
 * its end. */
static inline bool
show(struct level_cursor *self)
{
    struct gy_cursor *child = self->child;

    self->cursor.valid = child->valid;
    if (gy_likely(child->valid)) {
        self->cursor.entry = child->entry;
        return false;
    }
    self->cursor.status = child->status;
    return child->status == GYRE_OK;
}

/* The first entry of table `at` or of one after it: a sound table is not empty, but nothing
 * relies on that. */
static GY_SUSPENDS void
await_first_from(struct level_cursor *self, uint32_t at)
{
    for (; at < self->count; at++) {
        if (!enter(self, at)) {
            return;
        }
        gy_cursor_await_first(self->child);
        self->entries_left = self->tables[at]->meta.entry_count;
        if (!show(self)) {
            announce_next(self);
            return;
        }
    }
}

/* The last entry of the tables before `end`. */
static GY_SUSPENDS void
await_last_before(struct level_cursor *self, uint32_t end)
{
    for (; end > 0; end--) {
        if (!enter(self, end - 1)) {
            return;
        }
        gy_cursor_await_last(self->child);
        if (!show(self)) {
            return;
        }
    }
}

/* Index of the first table whose largest key is >= key. */
static uint32_t
locate(const struct level_cursor *self, struct gyre_slice key)
{
    uint32_t low = 0;
    uint32_t high = self->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (gy_key_compare(self->tables[middle]->meta.largest, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void
begin(struct level_cursor *self)
{
    self->cursor.valid = false;
    self->cursor.status = GYRE_OK;
}

static GY_SUSPENDS void
await_seek(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    struct level_cursor *self = self_of(cursor);
    const uint32_t at = locate(self, key);

    begin(self);
    if (at == self->count) {
        return;
    }
    if (gy_key_compare(self->tables[at]->meta.smallest, key) > 0) {
        await_first_from(self, at); /* the same place, and how much is left is known */
        return;
    }
    if (!enter(self, at)) {
        return;
    }
    gy_cursor_await_seek(self->child, key, tag);
    if (show(self)) {
        await_first_from(self, at + 1);
    }
}

static GY_SUSPENDS void
await_seek_before(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    struct level_cursor *self = self_of(cursor);
    const uint32_t at = locate(self, key);

    begin(self);
    if (at == self->count) {
        await_last_before(self, at);
        return;
    }
    if (gy_key_compare(self->tables[at]->meta.smallest, key) > 0) {
        await_last_before(self, at); /* the key lies in the gap before: no need to read this one */
        return;
    }
    if (!enter(self, at)) {
        return;
    }
    gy_cursor_await_seek_before(self->child, key, tag);
    if (show(self)) {
        await_last_before(self, at);
    }
}

static GY_SUSPENDS void
await_first(struct gy_cursor *cursor)
{
    struct level_cursor *self = self_of(cursor);

    begin(self);
    await_first_from(self, 0);
}

static GY_SUSPENDS void
await_last(struct gy_cursor *cursor)
{
    struct level_cursor *self = self_of(cursor);

    begin(self);
    await_last_before(self, self->count);
}

static GY_SUSPENDS void
await_next(struct gy_cursor *cursor)
{
    struct level_cursor *self = self_of(cursor);

    gy_assert(cursor->valid);
    gy_cursor_await_next(self->child);
    if (show(self)) {
        await_first_from(self, self->at + 1);
        return;
    }
    if (self->entries_left != UINT64_MAX && self->entries_left > 0) {
        self->entries_left--;
        announce_next(self);
    }
}

static GY_SUSPENDS void
await_prev(struct gy_cursor *cursor)
{
    struct level_cursor *self = self_of(cursor);

    gy_assert(cursor->valid);
    self->entries_left = UINT64_MAX;
    gy_cursor_await_prev(self->child);
    if (show(self)) {
        await_last_before(self, self->at);
    }
}

static void
prepare_seek(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    struct level_cursor *self = self_of(cursor);
    const uint32_t at = locate(self, key);

    if (at == self->count) {
        return;
    }
    if (self->at == at) {
        gy_cursor_prepare_seek(self->child, key, tag);
    } else {
        announce(self, at, key, tag);
    }
}

static void
close_cursor(struct gy_cursor *cursor)
{
    struct level_cursor *self = self_of(cursor);
    struct gy_version *version = self->version;

    gy_cursor_close(self->child);
    gy_cursor_close(self->ahead);
    gy_heap_free(version->heap, self);
    gy_version_unref(version);
}

static const struct gy_cursor_ops ops = {.seek = await_seek,
                                         .seek_before = await_seek_before,
                                         .first = await_first,
                                         .last = await_last,
                                         .next = await_next,
                                         .prev = await_prev,
                                         .close = close_cursor,
                                         .prepare_seek = prepare_seek};

gyre_status
gy_level_cursor_make(struct gy_version *version, uint32_t level, uint32_t first, uint32_t count,
                     enum gy_table_cursor_mode mode, enum gy_cache_hint hint, uint32_t readahead,
                     struct gy_cursor **ret_cursor)
{
    struct level_cursor *self;

    gy_assert(level > 0 && level < GY_LEVEL_COUNT);
    gy_assert(first <= version->levels[level].count &&
              count <= version->levels[level].count - first);
    self = gy_heap_zalloc(version->heap, sizeof(*self), GY_MEM_CALL);
    if (self == NULL) {
        return GYRE_NO_MEMORY;
    }
    self->cursor.ops = &ops;
    self->cursor.status = GYRE_OK;
    self->version = version;
    gy_version_ref(version);
    self->tables = count == 0 ? NULL : version->levels[level].tables + first;
    self->count = count;
    self->mode = mode;
    self->hint = hint;
    self->readahead = readahead;
    self->at = TABLE_NONE;
    self->ahead_at = TABLE_NONE;
    *ret_cursor = &self->cursor;
    return GYRE_OK;
}
