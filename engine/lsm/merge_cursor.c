/* merge_cursor.c - several cursors as one, in (key, tag) order.
 *
 * The children that have an entry stand in a binary heap; the current one is at its top. Beside
 * each stands its key's first 8 bytes as a number, which settles most comparisons in one cache
 * line. `runner_up` is the better of the two below the top:
 *
 *            top               next: move the top's child on. Still before the runner-up? Then
 *          /     \             it stays where it is: one comparison, however many there are.
 *     heap[1]   heap[2]        Else it sinks, and a new runner-up is found.
 *
 * Rejected: a loser tree. It always pays log2(children) comparisons, and runs are what LSM
 * levels give.
 *
 * Owns: its children. Children move only through here, so the top's entry stays while it is shown.
 */
#include "engine/lsm/cursors.h"

#include "io/base/assert.h"
#include "io/base/checked.h"

#include "io/base/ban.h"

struct node {
    uint64_t prefix;
    struct gy_cursor *cursor;
    uint32_t child; /* the earlier one wins where (key, tag) are equal (U2) */
};

struct merge {
    struct gy_cursor cursor;
    struct gy_heap *heap_memory;
    uint32_t count;     /* of children */
    uint32_t size;      /* of the heap */
    uint32_t runner_up; /* 1 or 2; meaningless while size < 2 */
    bool is_reverse;    /* the heap is in descending order */
    struct gy_cursor **children;
    struct node *heap;
};

static struct merge *
self_of(struct gy_cursor *cursor)
{
    return gy_container_of(cursor, struct merge, cursor);
}

static inline uint64_t
prefix_of(struct gyre_slice key)
{
    uint64_t prefix;

    if (gy_unlikely(key.size < sizeof(prefix))) {
        return gy_key_prefix(key);
    }
    memcpy(&prefix, key.data, sizeof(prefix));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    prefix = __builtin_bswap64(prefix);
#endif
    return prefix;
}

/* Equal prefixes: look at the rest. */
static bool
is_before_by_rest(const struct merge *self, const struct node *a, const struct node *b)
{
    int order = gy_entry_compare(a->cursor->entry.key, a->cursor->entry.tag, b->cursor->entry.key,
                                 b->cursor->entry.tag);

    if (order == 0) {
        order = a->child < b->child ? -1 : 1;
    }
    return (order < 0) != self->is_reverse;
}

/* Does `a` come before `b` in the direction of the walk? */
static inline bool
is_before(const struct merge *self, const struct node *a, const struct node *b)
{
    if (gy_likely(a->prefix != b->prefix)) {
        return (a->prefix < b->prefix) != self->is_reverse;
    }
    return is_before_by_rest(self, a, b);
}

static void
sink(struct merge *self, uint32_t at)
{
    struct node *heap = self->heap;
    const struct node moving = heap[at];
    const uint32_t size = self->size;

    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child >= size) {
            break;
        }
        if (child + 1 < size && is_before(self, &heap[child + 1], &heap[child])) {
            child++;
        }
        if (!is_before(self, &heap[child], &moving)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

static inline void
find_runner_up(struct merge *self)
{
    self->runner_up = self->size > 2 && is_before(self, &self->heap[2], &self->heap[1]) ? 2 : 1;
}

/* Show the top. */
static inline void
show(struct merge *self)
{
    self->cursor.valid = self->size > 0;
    if (self->size > 0) {
        self->cursor.entry = self->heap[0].cursor->entry;
    }
}

static void
fail(struct merge *self, gyre_status status)
{
    self->size = 0;
    self->cursor.valid = false;
    self->cursor.status = status;
}

static void
begin(struct merge *self, bool is_reverse)
{
    self->size = 0;
    self->is_reverse = is_reverse;
    self->cursor.valid = false;
    self->cursor.status = GYRE_OK;
}

/* U4. The first failure ends the positioning: a later one would put its text over this one's. */
static bool
has_failed(struct merge *self, uint32_t child)
{
    const gyre_status status = self->children[child]->status;

    if (self->children[child]->valid || status == GYRE_OK || GY_MUTANT(child_error_is_end)) {
        return false;
    }
    fail(self, status);
    return true;
}

/* After every child was positioned: build the heap. */
static void
build(struct merge *self)
{
    for (uint32_t i = 0; i < self->count; i++) {
        struct gy_cursor *child = self->children[i];

        if (child->valid) {
            self->heap[self->size++] =
                (struct node){.prefix = prefix_of(child->entry.key), .cursor = child, .child = i};
        }
    }
    for (uint32_t i = self->size / 2; i > 0; i--) {
        sink(self, i - 1);
    }
    if (self->size > 3) {
        GY_SOMETIMES(merge_of_four);
    }
    find_runner_up(self);
    show(self);
}

/* The top's child has moved: put it in its place and show the new top. */
static inline void
settle(struct merge *self)
{
    struct node *top = &self->heap[0];
    struct gy_cursor *child = top->cursor;

    if (gy_likely(child->valid)) {
        top->prefix = prefix_of(child->entry.key);
        if (self->size > 1 && !is_before(self, top, &self->heap[self->runner_up])) {
            sink(self, 0);
            find_runner_up(self);
        }
    } else if (child->status != GYRE_OK && !GY_MUTANT(child_error_is_end)) {
        fail(self, child->status);
        return;
    } else {
        *top = self->heap[--self->size];
        if (self->size > 1) {
            sink(self, 0);
        }
        find_runner_up(self);
    }
    show(self);
}

/* ---- Moves ---- */

static GY_SUSPENDS void
await_seek(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    struct merge *self = self_of(cursor);

    begin(self, false);
    if (self->count > 1) {
        for (uint32_t i = 0; i < self->count; i++) {
            gy_cursor_prepare_seek(self->children[i], key, tag);
        }
    }
    for (uint32_t i = 0; i < self->count; i++) {
        gy_cursor_await_seek(self->children[i], key, tag);
        if (has_failed(self, i)) {
            return;
        }
    }
    build(self);
}

static GY_SUSPENDS void
await_seek_before(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    struct merge *self = self_of(cursor);

    begin(self, true);
    if (self->count > 1) {
        for (uint32_t i = 0; i < self->count; i++) {
            gy_cursor_prepare_seek(self->children[i], key, tag);
        }
    }
    for (uint32_t i = 0; i < self->count; i++) {
        gy_cursor_await_seek_before(self->children[i], key, tag);
        if (has_failed(self, i)) {
            return;
        }
    }
    build(self);
}

static GY_SUSPENDS void
await_first(struct gy_cursor *cursor)
{
    struct merge *self = self_of(cursor);

    begin(self, false);
    if (self->count > 1) {
        for (uint32_t i = 0; i < self->count; i++) {
            gy_cursor_prepare_seek(self->children[i], gyre_slice("", 0), UINT64_MAX);
        }
    }
    for (uint32_t i = 0; i < self->count; i++) {
        gy_cursor_await_first(self->children[i]);
        if (has_failed(self, i)) {
            return;
        }
    }
    build(self);
}

static GY_SUSPENDS void
await_last(struct gy_cursor *cursor)
{
    struct merge *self = self_of(cursor);

    begin(self, true);
    for (uint32_t i = 0; i < self->count; i++) {
        gy_cursor_await_last(self->children[i]);
        if (has_failed(self, i)) {
            return;
        }
    }
    build(self);
}

/* Turn round (U3): every child but the current one goes to the other side of the current entry.
 * Its key stays where it is meanwhile, since its child does not move. An equal entry (U2) of an
 * earlier child lies before the current one, of a later child behind it: tag - 1 is the next
 * place after (key, tag). */
static GY_SUSPENDS void
await_turn_round(struct merge *self)
{
    const struct node top = self->heap[0];
    const struct gy_entry entry = self->cursor.entry;
    const bool is_reverse = !self->is_reverse;

    for (uint32_t i = 0; i < self->count; i++) {
        const uint64_t tag = i < top.child && entry.tag > 0 ? entry.tag - 1 : entry.tag;

        if (i == top.child) {
            continue;
        }
        if (is_reverse) {
            gy_cursor_await_seek_before(self->children[i], entry.key, tag);
        } else {
            gy_cursor_await_seek(self->children[i], entry.key, tag);
        }
        if (has_failed(self, i)) {
            return;
        }
    }
    begin(self, is_reverse);
    build(self);
    gy_assert(!self->cursor.valid || self->heap[0].child == top.child);
}

static GY_SUSPENDS void
await_next(struct gy_cursor *cursor)
{
    struct merge *self = self_of(cursor);

    gy_assert(cursor->valid);
    if (gy_unlikely(self->is_reverse)) {
        await_turn_round(self);
        if (!cursor->valid) {
            return;
        }
    }
    gy_cursor_await_next(self->heap[0].cursor);
    settle(self);
}

static GY_SUSPENDS void
await_prev(struct gy_cursor *cursor)
{
    struct merge *self = self_of(cursor);

    gy_assert(cursor->valid);
    if (gy_unlikely(!self->is_reverse)) {
        await_turn_round(self);
        if (!cursor->valid) {
            return;
        }
    }
    gy_cursor_await_prev(self->heap[0].cursor);
    settle(self);
}

static void
prepare_seek(struct gy_cursor *cursor, struct gyre_slice key, uint64_t tag)
{
    struct merge *self = self_of(cursor);

    for (uint32_t i = 0; i < self->count; i++) {
        gy_cursor_prepare_seek(self->children[i], key, tag);
    }
}

static void
close_cursor(struct gy_cursor *cursor)
{
    struct merge *self = self_of(cursor);

    for (uint32_t i = 0; i < self->count; i++) {
        gy_cursor_close(self->children[i]);
    }
    gy_heap_free(self->heap_memory, self);
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
gy_merge_cursor_make(struct gy_heap *heap, struct gy_cursor **children, uint32_t count,
                     struct gy_cursor **ret_cursor)
{
    const size_t size =
        sizeof(struct merge) + count * (sizeof(struct node) + sizeof(struct gy_cursor *));
    struct merge *self = gy_heap_zalloc(heap, size, GY_MEM_CALL);

    if (self == NULL) {
        for (uint32_t i = 0; i < count; i++) {
            gy_cursor_close(children[i]);
        }
        return GYRE_NO_MEMORY;
    }
    self->cursor.ops = &ops;
    self->cursor.status = GYRE_OK;
    self->heap_memory = heap;
    self->count = count;
    self->heap = (struct node *)(self + 1);
    self->children = (struct gy_cursor **)(self->heap + count);
    if (count > 0) {
        memcpy(self->children, children, count * sizeof(children[0]));
    }
    *ret_cursor = &self->cursor;
    return GYRE_OK;
}
