/* iterator.c - the user's iterator: a walk (walk.h) that rests between moves.
 *
 *   I1  The iterator's sequence is registered like a snapshot for as long as it lives.
 *   I2  At rest it may lose its cursor and view at any time (gy_iterators_view_changed): then key
 *       and value are copies, and the next move makes a cursor on the view of that time and seeks.
 *       So a forgotten iterator pins no memtable and no table.
 */
#include "engine/db/measure.h"
#include "engine/db/walk.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

struct gyre_iterator {
    struct gy_walk walk;
    struct gy_list link;         /* db->iterators */
    struct gyre_snapshot moment; /* I1 */
    bool busy;                   /* a move is in progress */
    bool closing;                /* closed meanwhile: the move frees it */
};

void
gy_iterators_view_changed(gyre_db *db)
{
    gy_list_for_each (node, &db->iterators) {
        struct gyre_iterator *it = gy_container_of(node, struct gyre_iterator, link);

        if (!it->busy) {
            gy_walk_detach(&it->walk);
        } else {
            GY_SOMETIMES(view_changed_under_move);
        }
    }
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
await_move(const struct move_call *call, bool fresh)
{
    struct gy_walk *walk = &call->it->walk;

    switch (call->move) {
    case MOVE_FIRST:
        return gy_walk_await_first(walk);
    case MOVE_LAST:
        return gy_walk_await_last(walk);
    case MOVE_SEEK:
        return gy_walk_await_seek(walk, call->key);
    case MOVE_SEEK_FOR_PREV:
        return gy_walk_await_seek_for_prev(walk, call->key);
    case MOVE_NEXT:
        return gy_walk_await_next(walk, fresh);
    case MOVE_PREV:
        return gy_walk_await_prev(walk, fresh);
    }
    return GYRE_INVALID;
}

static void
finish_close(struct gyre_iterator *it)
{
    struct gy_heap *heap = &it->walk.db->loop->io.heap;

    gy_snapshot_unregister(&it->moment);
    gy_list_remove(&it->link);
    gy_walk_fini(&it->walk);
    gy_heap_free(heap, it);
}

static void
move_run(void *arg)
{
    struct move_call *call = arg;
    struct gyre_iterator *it = call->it;
    struct gy_walk *walk = &it->walk;
    gyre_db *db = walk->db;
    bool fresh = false;

    gy_in_coroutine();
    gy_db_enter(db);
    it->busy = true;
    if (walk->valid && walk->cursor != NULL && walk->view_epoch != db->view_epoch) {
        gy_walk_detach(walk);
    }
    call->status = gy_walk_attach(walk, &fresh);
    if (call->status == GYRE_OK) {
        call->status = await_move(call, fresh);
    }
    if (walk->run.count >= GY_WANTED_TOMBSTONES) {
        gy_wanted_run_end(db, &walk->run, GY_WANTED_TOMBSTONES);
    }
    it->busy = false;
    gy_event_note_damage(db, call->status);
    if (call->status != GYRE_OK) {
        walk->valid = false;
        walk->key_now = gyre_slice(NULL, 0);
        walk->value_now = gyre_slice(NULL, 0);
        gy_walk_drop_cursor(walk);
    } else {
        db->counters.user_bytes_read += walk->key_now.size + walk->value_now.size;
        gy_trace_note_bytes(&db->loop->io.sched, walk->key_now.size + walk->value_now.size);
        if (walk->view_epoch != db->view_epoch) {
            gy_walk_detach(walk);
        }
    }
    if (call->move >= MOVE_NEXT) {
        db->counters.iterator_steps++;
    } else {
        db->counters.iterator_seeks++;
    }
    if (it->closing) {
        finish_close(it);
    }
    gy_db_leave(db);
    gy_await_turn(&db->loop->io.sched);
}

_Static_assert(GYRE_OP_ITERATOR_PREV == GYRE_OP_ITERATOR_FIRST + (int)MOVE_PREV, "one order");

static gyre_status
move(gyre_iterator *it, enum move move, struct gyre_slice key)
{
    struct move_call call = {.it = it, .move = move, .key = key};
    struct gy_measured what = {.name = "iterator",
                               .kind = (enum gyre_op_kind)(GYRE_OP_ITERATOR_FIRST + (int)move),
                               .key = key,
                               .status = &call.status};
    gyre_status status;

    if (it == NULL) {
        return GYRE_MISUSE;
    }
    status = gy_db_check(it->walk.db);
    if (status == GYRE_OK && it->busy) {
        status = gy_loop_fail(it->walk.db->loop, GYRE_BUSY,
                              "the iterator is still being moved, by another coroutine or an "
                              "operation that was given up");
    }
    if (status == GYRE_OK && move >= MOVE_NEXT && !it->walk.valid) {
        status = gy_loop_fail(it->walk.db->loop, GYRE_INVALID, "the iterator is not positioned");
    }
    if (status == GYRE_OK && (move == MOVE_SEEK || move == MOVE_SEEK_FOR_PREV) &&
        (key.data == NULL || key.size > GYRE_KEY_SIZE_MAX)) {
        status = gy_loop_fail(it->walk.db->loop, GYRE_INVALID, "a key to seek has at most %u bytes",
                              GYRE_KEY_SIZE_MAX);
    }
    if (status == GYRE_OK) {
        what.measure = gy_measure_of(it->walk.db, what.kind, 0);
        status = gy_call_measured(it->walk.db->loop, &what, move_run, &call);
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
    return iterator != NULL && iterator->walk.valid;
}

struct gyre_slice
gyre_iterator_key(const gyre_iterator *iterator)
{
    return gyre_iterator_is_valid(iterator) ? iterator->walk.key_now : gyre_slice(NULL, 0);
}

struct gyre_slice
gyre_iterator_value(const gyre_iterator *iterator)
{
    return gyre_iterator_is_valid(iterator) ? iterator->walk.value_now : gyre_slice(NULL, 0);
}

/* ---- Open and close ---- */

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
    gy_walk_init(&it->walk, db, o.snapshot != NULL ? o.snapshot->sequence : gy_db_visible(db),
                 o.flags, o.readahead_size);
    status = gy_walk_set_bounds(&it->walk, o.lower, o.upper, o.prefix);
    if (status != GYRE_OK) {
        db->iterator_count += GY_MUTANT(failed_open_counts);
        gy_walk_fini(&it->walk);
        gy_heap_free(&db->loop->io.heap, it);
        return status;
    }
    gy_snapshot_register(db, &it->moment, it->walk.sequence);
    gy_list_push_back(&db->iterators, &it->link);
    db->iterator_count++;
    *ret_iterator = it;
    return GYRE_OK;
}

void
gyre_iterator_close(gyre_iterator *iterator)
{
    gyre_db *db;

    if (iterator == NULL || iterator->closing ||
        gy_loop_check(iterator->walk.db->loop) != GYRE_OK) {
        return;
    }
    db = iterator->walk.db;
    gy_assert(db->iterator_count > 0);
    db->iterator_count--;
    iterator->closing = true;
    if (!iterator->busy) {
        finish_close(iterator);
    }
}
