/* iterator.c - the user's ordered walk: versions folded to one moment, tombstones skipped, bounds
 * kept.
 *
 *   I1  The iterator's sequence is registered like a snapshot for as long as it lives.
 *   I2  Forward, the cursor rests on the current entry; backward, it rests before all versions of
 *       the current key, and key and value are copies (the newest visible version is the last one
 *       met on the way back).
 *   I3  At rest it may lose its cursor and view at any time (gy_iterators_view_changed): then key
 *       and value are copies, and the next move makes a cursor on the view of that time and seeks.
 *       So a forgotten iterator pins no memtable and no table.
 */
#include "engine/db/db.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define SKIPS_BEFORE_SEEK 16u

struct bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

struct gyre_iterator {
    gyre_db *db;
    struct gy_list link;         /* db->iterators */
    struct gyre_snapshot moment; /* I1 */
    enum gy_cache_hint hint;
    uint32_t readahead;
    bool has_lower, has_upper;
    struct bytes lower, upper;
    struct gy_view *view; /* NULL: no cursor */
    uint64_t view_epoch;
    struct gy_cursor *cursor;
    bool valid;
    bool backward; /* I2 */
    bool busy;     /* a move is in progress */
    /* the current key, copied before the cursor leaves it, or always when backward */
    struct bytes key;
    struct bytes value;
    struct gyre_slice key_now; /* what the user sees */
    struct gyre_slice value_now;
};

static struct gy_heap *
heap_of(struct gyre_iterator *it)
{
    return &it->db->loop->io.heap;
}

static gyre_status
bytes_set(struct gyre_iterator *it, struct bytes *bytes, struct gyre_slice source)
{
    if (source.size > bytes->capacity || bytes->data == NULL) { /* no bytes are a place too */
        const size_t capacity = source.size * 2 + 64;
        uint8_t *data = gy_heap_realloc(heap_of(it), bytes->data, capacity, GY_MEM_CALL);

        if (data == NULL) {
            return gy_loop_fail(it->db->loop, GYRE_NO_MEMORY, "no memory for an iterator");
        }
        bytes->data = data;
        bytes->capacity = capacity;
    }
    if (source.size > 0) {
        memcpy(bytes->data, source.data, source.size);
    }
    bytes->size = source.size;
    return GYRE_OK;
}

static struct gyre_slice
slice_of(const struct bytes *bytes)
{
    return gyre_slice(bytes->data, bytes->size);
}

static void
drop_cursor(struct gyre_iterator *it)
{
    gy_cursor_close(it->cursor);
    it->cursor = NULL;
    gy_view_unref(it->view);
    it->view = NULL;
}

/* I3. Without memory for the copies it stays as it is. */
static void
detach(struct gyre_iterator *it)
{
    if (it->cursor == NULL) {
        return;
    }
    if (it->valid && !it->backward) {
        if (bytes_set(it, &it->key, it->key_now) != GYRE_OK ||
            bytes_set(it, &it->value, it->value_now) != GYRE_OK) {
            return;
        }
        it->key_now = slice_of(&it->key);
        it->value_now = slice_of(&it->value);
    }
    drop_cursor(it);
}

void
gy_iterators_view_changed(gyre_db *db)
{
    gy_list_for_each (node, &db->iterators) {
        struct gyre_iterator *it = gy_container_of(node, struct gyre_iterator, link);

        if (!it->busy) {
            detach(it);
        } else {
            GY_SOMETIMES(view_changed_under_move);
        }
    }
}

/* A cursor on a view of now; *ret_fresh: it is not where the iterator is. */
static gyre_status
attach(struct gyre_iterator *it, bool *ret_fresh)
{
    gyre_status status;

    *ret_fresh = false;
    if (it->cursor != NULL && it->view_epoch == it->db->view_epoch) {
        return GYRE_OK;
    }
    if (it->valid) {
        GY_SOMETIMES(iterator_went_on_in_new_view);
    }
    drop_cursor(it);
    *ret_fresh = true;
    status = gy_view_cursor_make(it->db, it->db->view, GY_CURSOR_USER, it->hint, it->readahead,
                                 &it->cursor);
    if (status != GYRE_OK) {
        it->cursor = NULL;
        return status;
    }
    it->view = it->db->view;
    gy_view_ref(it->view);
    it->view_epoch = it->db->view_epoch;
    return GYRE_OK;
}

/* ---- Folding versions ---- */

static gyre_status
end_of_walk(struct gyre_iterator *it)
{
    return it->cursor->status != GYRE_OK ? it->cursor->status : GYRE_NOT_FOUND;
}

static bool
is_past_upper(const struct gyre_iterator *it, struct gyre_slice key)
{
    return it->has_upper && gy_key_compare(key, slice_of(&it->upper)) >= 0;
}

/* From where the cursor is, to the first key that shows. With `skip` versions of it->key are passed
 * over. */
static GY_SUSPENDS gyre_status
await_find_forward(struct gyre_iterator *it, bool skip)
{
    struct gy_cursor *cursor = it->cursor;
    uint32_t skips = 0;

    while (cursor->valid) {
        const struct gy_entry *entry = &cursor->entry;

        if (is_past_upper(it, entry->key)) {
            return GYRE_NOT_FOUND;
        }
        if (gy_tag_sequence(entry->tag) > it->moment.sequence + GY_MUTANT(iterator_sees_one_more)) {
            gy_cursor_await_next(cursor);
        } else if (skip && gy_key_compare(entry->key, slice_of(&it->key)) == 0) {
            if (++skips == SKIPS_BEFORE_SEEK) {
                GY_SOMETIMES(iterator_leapt_over_versions);
                gy_cursor_await_seek(cursor, slice_of(&it->key), 0);
                skips = 0;
            } else {
                gy_cursor_await_next(cursor);
            }
        } else if (gy_tag_kind(entry->tag) == GY_KIND_PUT) {
            it->key_now = entry->key;
            it->value_now = entry->value;
            it->backward = false;
            it->valid = true;
            return GYRE_OK;
        } else {
            const gyre_status status = bytes_set(it, &it->key, entry->key);

            if (status != GYRE_OK) {
                return status;
            }
            skip = true;
            skips = 0;
            gy_cursor_await_next(cursor);
        }
        gy_await_turn(&it->db->loop->io.sched); /* a range of tombstones must not hold the thread */
    }
    return end_of_walk(it);
}

/* From where the cursor is, back to the first key that shows (I2). */
static GY_SUSPENDS gyre_status
await_find_backward(struct gyre_iterator *it)
{
    struct gy_cursor *cursor = it->cursor;
    bool found = false;

    while (cursor->valid) {
        const struct gy_entry *entry = &cursor->entry;
        gyre_status status = GYRE_OK;

        if (it->has_lower && gy_key_compare(entry->key, slice_of(&it->lower)) < 0) {
            break;
        }
        if (gy_tag_sequence(entry->tag) <= it->moment.sequence) {
            if (found && gy_key_compare(entry->key, slice_of(&it->key)) != 0) {
                break;
            }
            found = gy_tag_kind(entry->tag) == GY_KIND_PUT ||
                    (GY_MUTANT(backward_walk_sees_deleted) && found);
            if (found) {
                status = bytes_set(it, &it->key, entry->key);
                status = gy_first(status, bytes_set(it, &it->value, entry->value));
            }
        }
        if (status != GYRE_OK) {
            return status;
        }
        gy_cursor_await_prev(cursor);
        gy_await_turn(&it->db->loop->io.sched);
    }
    if (cursor->status != GYRE_OK || !found) {
        return end_of_walk(it);
    }
    it->key_now = slice_of(&it->key);
    it->value_now = slice_of(&it->value);
    it->backward = true;
    it->valid = true;
    return GYRE_OK;
}

/* ---- Moves ---- */

enum move { MOVE_FIRST, MOVE_LAST, MOVE_SEEK, MOVE_SEEK_FOR_PREV, MOVE_NEXT, MOVE_PREV };

struct move_call {
    struct gyre_iterator *it;
    enum move move;
    struct gyre_slice key;
    gyre_status status;
};

static GY_SUSPENDS gyre_status
await_seek(struct gyre_iterator *it, struct gyre_slice key)
{
    if (it->has_lower && gy_key_compare(key, slice_of(&it->lower)) < 0) {
        key = slice_of(&it->lower);
    }
    gy_cursor_await_seek(it->cursor, key, gy_tag_seek(it->moment.sequence));
    return await_find_forward(it, false);
}

static GY_SUSPENDS gyre_status
await_last(struct gyre_iterator *it)
{
    if (it->has_upper) {
        gy_cursor_await_seek_before(it->cursor, slice_of(&it->upper), UINT64_MAX);
    } else {
        gy_cursor_await_last(it->cursor);
    }
    return await_find_backward(it);
}

static GY_SUSPENDS gyre_status
await_next(struct gyre_iterator *it, bool fresh)
{
    gyre_status status = GYRE_OK;

    if (!it->backward && !fresh) {
        status = bytes_set(it, &it->key, it->key_now);
        if (status == GYRE_OK) {
            gy_cursor_await_next(it->cursor);
        }
    } else {
        gy_cursor_await_seek(it->cursor, slice_of(&it->key), 0);
    }
    return status != GYRE_OK ? status : await_find_forward(it, true);
}

static GY_SUSPENDS gyre_status
await_prev(struct gyre_iterator *it, bool fresh)
{
    if (!it->backward || fresh) {
        if (!fresh) {
            const gyre_status status = bytes_set(it, &it->key, it->key_now);

            if (status != GYRE_OK) {
                return status;
            }
        }
        gy_cursor_await_seek_before(it->cursor, slice_of(&it->key), UINT64_MAX);
    }
    return await_find_backward(it);
}

static GY_SUSPENDS gyre_status
await_move(const struct move_call *call, bool fresh)
{
    struct gyre_iterator *it = call->it;

    switch (call->move) {
    case MOVE_FIRST:
        if (it->has_lower) {
            return await_seek(it, slice_of(&it->lower));
        }
        gy_cursor_await_first(it->cursor);
        return await_find_forward(it, false);
    case MOVE_LAST:
        return await_last(it);
    case MOVE_SEEK:
        return await_seek(it, call->key);
    case MOVE_SEEK_FOR_PREV:
        if (is_past_upper(it, call->key)) {
            return await_last(it);
        }
        gy_cursor_await_seek_before(it->cursor, call->key, 0);
        return await_find_backward(it);
    case MOVE_NEXT:
        return await_next(it, fresh);
    case MOVE_PREV:
        return await_prev(it, fresh);
    }
    return GYRE_INVALID;
}

static void
move_run(void *arg)
{
    struct move_call *call = arg;
    struct gyre_iterator *it = call->it;
    gyre_db *db = it->db;
    bool fresh = false;

    gy_in_coroutine();
    gy_db_enter(db);
    it->busy = true;
    if (it->valid && it->cursor != NULL && it->view_epoch != db->view_epoch) {
        detach(it);
    }
    call->status = attach(it, &fresh);
    if (call->status == GYRE_OK) {
        it->valid = false;
        call->status = await_move(call, fresh);
    }
    it->busy = false;
    if (call->status != GYRE_OK) {
        it->valid = false;
        it->key_now = gyre_slice(NULL, 0);
        it->value_now = gyre_slice(NULL, 0);
        drop_cursor(it);
    } else {
        db->counters.user_bytes_read += it->key_now.size + it->value_now.size;
        if (it->view_epoch != db->view_epoch) {
            detach(it);
        }
    }
    if (call->move >= MOVE_NEXT) {
        db->counters.iterator_steps++;
    } else {
        db->counters.iterator_seeks++;
    }
    gy_db_leave(db);
    gy_await_turn(&db->loop->io.sched);
}

static gyre_status
move(gyre_iterator *it, enum move move, struct gyre_slice key)
{
    struct move_call call = {.it = it, .move = move, .key = key};
    gyre_status status;

    if (it == NULL) {
        return GYRE_MISUSE;
    }
    status = gy_db_check(it->db);
    if (status == GYRE_OK && it->busy) {
        status = gy_loop_fail(it->db->loop, GYRE_MISUSE,
                              "the iterator is being moved by another coroutine");
    }
    if (status == GYRE_OK && move >= MOVE_NEXT && !it->valid) {
        status = gy_loop_fail(it->db->loop, GYRE_INVALID, "the iterator is not positioned");
    }
    if (status == GYRE_OK && (move == MOVE_SEEK || move == MOVE_SEEK_FOR_PREV) &&
        (key.data == NULL || key.size > GYRE_KEY_SIZE_MAX)) {
        status = gy_loop_fail(it->db->loop, GYRE_INVALID, "a key to seek has at most %u bytes",
                              GYRE_KEY_SIZE_MAX);
    }
    if (status == GYRE_OK) {
        status = gy_call(it->db->loop, "iterator", move_run, &call);
    }
    return status != GYRE_OK ? status : call.status;
}

gyre_status
gyre_iterator_first(gyre_iterator *iterator)
{
    return move(iterator, MOVE_FIRST, gyre_slice(NULL, 0));
}

gyre_status
gyre_iterator_last(gyre_iterator *iterator)
{
    return move(iterator, MOVE_LAST, gyre_slice(NULL, 0));
}

gyre_status
gyre_iterator_seek(gyre_iterator *iterator, struct gyre_slice key)
{
    return move(iterator, MOVE_SEEK, key);
}

gyre_status
gyre_iterator_seek_for_prev(gyre_iterator *iterator, struct gyre_slice key)
{
    return move(iterator, MOVE_SEEK_FOR_PREV, key);
}

gyre_status
gyre_iterator_next(gyre_iterator *iterator)
{
    return move(iterator, MOVE_NEXT, gyre_slice(NULL, 0));
}

gyre_status
gyre_iterator_prev(gyre_iterator *iterator)
{
    return move(iterator, MOVE_PREV, gyre_slice(NULL, 0));
}

bool
gyre_iterator_is_valid(const gyre_iterator *iterator)
{
    return iterator != NULL && iterator->valid;
}

struct gyre_slice
gyre_iterator_key(const gyre_iterator *iterator)
{
    return gyre_iterator_is_valid(iterator) ? iterator->key_now : gyre_slice(NULL, 0);
}

struct gyre_slice
gyre_iterator_value(const gyre_iterator *iterator)
{
    return gyre_iterator_is_valid(iterator) ? iterator->value_now : gyre_slice(NULL, 0);
}

/* ---- Open and close ---- */

static void
iterator_free(struct gyre_iterator *it)
{
    struct gy_heap *heap = heap_of(it);

    drop_cursor(it);
    gy_heap_free(heap, it->lower.data);
    gy_heap_free(heap, it->upper.data);
    gy_heap_free(heap, it->key.data);
    gy_heap_free(heap, it->value.data);
    gy_heap_free(heap, it);
}

static gyre_status
set_bound(struct gyre_iterator *it, struct bytes *bound, bool *has, struct gyre_slice given,
          bool keep_greater)
{
    gyre_status status;

    if (given.data == NULL ||
        (*has && (gy_key_compare(given, slice_of(bound)) > 0) != keep_greater)) {
        return GYRE_OK;
    }
    status = bytes_set(it, bound, given);
    *has = status == GYRE_OK;
    return status;
}

/* The prefix narrows both bounds; its upper one is the prefix with its last byte below 255
 * raised. */
static gyre_status
set_bounds(struct gyre_iterator *it, const struct gyre_iterator_options *o)
{
    size_t size = o->prefix.size;
    gyre_status status = set_bound(it, &it->lower, &it->has_lower, o->lower, true);

    status = gy_first(status, set_bound(it, &it->upper, &it->has_upper, o->upper, false));
    if (status != GYRE_OK || o->prefix.data == NULL || size == 0) {
        return status;
    }
    status = set_bound(it, &it->lower, &it->has_lower, o->prefix, true);
    while (size > 0 && ((const uint8_t *)o->prefix.data)[size - 1] == 0xff) {
        size--;
    }
    if (status == GYRE_OK && size > 0) {
        status = bytes_set(it, &it->key, gyre_slice(o->prefix.data, size));
        if (status == GYRE_OK) {
            it->key.data[size - 1]++;
            status = set_bound(it, &it->upper, &it->has_upper, slice_of(&it->key), false);
        }
    }
    return status;
}

static gyre_status
check_options(gyre_db *db, const struct gyre_iterator_options *o)
{
    if (o->lower.size > GYRE_KEY_SIZE_MAX || o->upper.size > GYRE_KEY_SIZE_MAX ||
        o->prefix.size > GYRE_KEY_SIZE_MAX || (o->flags & ~GYRE_READ_NO_FILL) != 0 ||
        o->reserved_ != 0) {
        return gy_loop_fail(db->loop, GYRE_INVALID,
                            "iterator options: a bound is too long, a flag is unknown, or "
                            "reserved_ is not 0");
    }
    if (o->snapshot != NULL && o->snapshot->db != db) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "the snapshot is of another store");
    }
    if (db->iterator_count >= db->options.iterators_max) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "%u iterators are open: raise iterators_max",
                            db->iterator_count);
    }
    return GYRE_OK;
}

gyre_status
gyre_iterator_open(gyre_db *db, const struct gyre_iterator_options *options,
                   gyre_iterator **ret_iterator)
{
    struct gyre_iterator_options o = {0};
    struct gyre_iterator *it;
    gyre_status status = gy_db_check(db);

    if (status == GYRE_OK && ret_iterator == NULL) {
        status = gy_loop_fail(db->loop, GYRE_INVALID, "gyre_iterator_open: ret_iterator is NULL");
    }
    if (status == GYRE_OK && options != NULL) {
        status = gy_options_copy(db->loop, "iterator options", options, &o, sizeof(o));
    }
    if (status == GYRE_OK) {
        status = check_options(db, &o);
    }
    if (status != GYRE_OK) {
        return status;
    }
    it = gy_heap_zalloc(&db->loop->io.heap, sizeof(*it), GY_MEM_CALL);
    if (it == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory for an iterator");
    }
    it->db = db;
    it->hint = (o.flags & GYRE_READ_NO_FILL) != 0 ? GY_CACHE_NO_FILL : GY_CACHE_SCAN;
    it->readahead = o.readahead_size;
    status = set_bounds(it, &o);
    if (status != GYRE_OK) {
        iterator_free(it);
        return status;
    }
    gy_snapshot_register(db, &it->moment,
                         o.snapshot != NULL ? o.snapshot->sequence : gy_db_visible(db));
    gy_list_push_back(&db->iterators, &it->link);
    db->iterator_count++;
    *ret_iterator = it;
    return GYRE_OK;
}

void
gyre_iterator_close(gyre_iterator *iterator)
{
    gyre_db *db;

    if (iterator == NULL || gy_loop_check(iterator->db->loop) != GYRE_OK || iterator->busy) {
        return;
    }
    db = iterator->db;
    gy_assert(db->iterator_count > 0);
    db->iterator_count--;
    gy_snapshot_unregister(&iterator->moment);
    gy_list_remove(&iterator->link);
    iterator_free(iterator);
}
