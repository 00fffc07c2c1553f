/* walk.c - see walk.h. */
#include "engine/db/walk.h"

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define WORK_BEFORE_LOOK 16u /* entries between two looks at the clock */

static gyre_status
bytes_set(struct gy_walk *walk, struct gy_bytes *bytes, struct gyre_slice source)
{
    if (source.size > bytes->capacity || bytes->data == NULL) { /* no bytes are a place too */
        const size_t capacity = source.size * 2 + 64;
        uint8_t *data =
            gy_heap_realloc(&walk->db->loop->io.heap, bytes->data, capacity, GY_MEM_CALL);

        if (data == NULL) {
            return gy_loop_fail(walk->db->loop, GYRE_NO_MEMORY, "no memory for an iterator");
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

/* ---- Begin and end ---- */

void
gy_walk_init(struct gy_walk *walk, gyre_db *db, uint64_t sequence, uint32_t read_flags,
             uint32_t readahead)
{
    *walk = (struct gy_walk){.db = db,
                             .sequence = sequence,
                             .hint = (read_flags & GYRE_READ_NO_FILL) != 0 ? GY_CACHE_NO_FILL
                                                                           : GY_CACHE_SCAN,
                             .readahead = readahead,
                             .skips_max = UINT64_MAX,
                             .end_ns = GY_NEVER};
}

void
gy_walk_fini(struct gy_walk *walk)
{
    struct gy_heap *heap = &walk->db->loop->io.heap;

    gy_walk_drop_cursor(walk);
    gy_heap_free(heap, walk->lower.data);
    gy_heap_free(heap, walk->upper.data);
    gy_heap_free(heap, walk->key.data);
    gy_heap_free(heap, walk->value.data);
}

static gyre_status
set_bound(struct gy_walk *walk, struct gy_bytes *bound, bool *has, struct gyre_slice given,
          bool keep_greater)
{
    gyre_status status;

    if (given.data == NULL ||
        (*has && (gy_key_compare(given, gy_bytes_slice(bound)) > 0) != keep_greater)) {
        return GYRE_OK;
    }
    status = bytes_set(walk, bound, given);
    *has = status == GYRE_OK;
    return status;
}

/* The upper bound of a prefix is the prefix with its last byte below 255 raised. */
gyre_status
gy_walk_set_bounds(struct gy_walk *walk, struct gyre_slice lower, struct gyre_slice upper,
                   struct gyre_slice prefix)
{
    size_t size = prefix.size;
    gyre_status status = set_bound(walk, &walk->lower, &walk->has_lower, lower, true);

    status = gy_first(status, set_bound(walk, &walk->upper, &walk->has_upper, upper, false));
    if (status != GYRE_OK || prefix.data == NULL || size == 0) {
        return status;
    }
    status = set_bound(walk, &walk->lower, &walk->has_lower, prefix, true);
    while (size > 0 && ((const uint8_t *)prefix.data)[size - 1] == 0xff) {
        size--;
    }
    if (status == GYRE_OK && size > 0) {
        status = bytes_set(walk, &walk->key, gyre_slice(prefix.data, size));
        if (status == GYRE_OK) {
            walk->key.data[size - 1]++;
            status =
                set_bound(walk, &walk->upper, &walk->has_upper, gy_bytes_slice(&walk->key), false);
        }
    }
    return status;
}

void
gy_walk_drop_cursor(struct gy_walk *walk)
{
    gy_cursor_close(walk->cursor);
    walk->cursor = NULL;
    gy_view_unref(walk->view);
    walk->view = NULL;
}

void
gy_walk_detach(struct gy_walk *walk)
{
    if (walk->cursor == NULL) {
        return;
    }
    if (walk->valid && !walk->backward) {
        if (bytes_set(walk, &walk->key, walk->key_now) != GYRE_OK ||
            bytes_set(walk, &walk->value, walk->value_now) != GYRE_OK) {
            return;
        }
        walk->key_now = gy_bytes_slice(&walk->key);
        walk->value_now = gy_bytes_slice(&walk->value);
    }
    gy_walk_drop_cursor(walk);
}

gyre_status
gy_walk_attach(struct gy_walk *walk, bool *ret_fresh)
{
    gyre_db *db = walk->db;
    gyre_status status;

    *ret_fresh = false;
    if (walk->cursor != NULL && walk->view_epoch == db->view_epoch) {
        return GYRE_OK;
    }
    if (walk->valid) {
        GY_SOMETIMES(iterator_went_on_in_new_view);
    }
    gy_walk_drop_cursor(walk);
    *ret_fresh = true;
    status = gy_view_cursor_make(db, db->view, GY_CURSOR_USER, walk->hint, walk->readahead,
                                 &walk->cursor);
    if (status != GYRE_OK) {
        walk->cursor = NULL;
        return status;
    }
    walk->view = db->view;
    gy_view_ref(walk->view);
    walk->view_epoch = db->view_epoch;
    return GYRE_OK;
}

/* ---- What is passed over ---- */

static gyre_status
end_of_walk(struct gy_walk *walk)
{
    return walk->cursor->status != GYRE_OK ? walk->cursor->status : GYRE_NOT_FOUND;
}

static bool
is_past_upper(const struct gy_walk *walk, struct gyre_slice key)
{
    return walk->has_upper && gy_key_compare(key, gy_bytes_slice(&walk->upper)) >= 0;
}

static bool
is_below_lower(const struct gy_walk *walk, struct gyre_slice key)
{
    return walk->has_lower && gy_key_compare(key, gy_bytes_slice(&walk->lower)) < 0;
}

static bool
is_same_key(const struct gy_walk *walk, const struct gy_entry *entry)
{
    return walk->has_key && gy_key_compare(entry->key, gy_bytes_slice(&walk->key)) == 0;
}

static void
count_passed(struct gy_walk *walk, const struct gy_entry *entry, bool is_visible)
{
    walk->skipped++;
    walk->work += 1 + (uint32_t)(entry->key.size / GY_WALK_BYTES_PER_WORK);
    if (is_visible && gy_tag_kind(entry->tag) == GY_KIND_DELETE) {
        gy_wanted_run_add(walk->db, &walk->run, entry->key, gy_tag_sequence(entry->tag));
    }
}

/* K2: asked at a key that has not been looked at. */
static bool
is_spent(struct gy_walk *walk)
{
    if (walk->skipped >= walk->skips_max) {
        walk->spent = GY_WALK_SKIPS_SPENT;
        return true;
    }
    if (walk->end_ns == GY_NEVER || walk->work < WORK_BEFORE_LOOK) {
        return false;
    }
    walk->work = 0;
    if (gy_loop_now(&walk->db->loop->io) < walk->end_ns) {
        return false;
    }
    walk->spent = GY_WALK_TIME_SPENT;
    return true;
}

/* Tombstones must not hold the thread, nor keep one busy whom nobody waits for (Q1 in scope.h). */
static GY_SUSPENDS gyre_status
await_turn(struct gy_walk *walk)
{
    struct gy_sched *sched = &walk->db->loop->io.sched;

    gy_await_turn(sched);
    return gy_scope_check(sched);
}

/* K5: the view that it goes over is an old one. */
static bool
is_behind(const struct gy_walk *walk)
{
    return gy_unlikely(walk->view_epoch != walk->db->view_epoch);
}

/* ---- Forward ---- */

/* The entry under the cursor is not shown. */
static gyre_status
pass_forward(struct gy_walk *walk, bool is_same, bool is_visible)
{
    const struct gy_entry *entry = &walk->cursor->entry;

    if (!is_same) {
        const gyre_status status = bytes_set(walk, &walk->key, entry->key);

        if (status != GYRE_OK) {
            return status;
        }
        walk->has_key = true;
        walk->is_decided = false;
    }
    count_passed(walk, entry, is_visible && !walk->is_decided);
    walk->is_decided = walk->is_decided || is_visible;
    return GYRE_OK;
}

/* K3: behind the versions of a key that was decided, else to the first that the moment sees. */
static GY_SUSPENDS void
await_leap_forward(struct gy_walk *walk)
{
    GY_SOMETIMES(iterator_leapt_over_versions);
    gy_cursor_await_seek(walk->cursor, gy_bytes_slice(&walk->key),
                         walk->is_decided ? 0 : gy_tag_seek(walk->sequence));
}

/* K5, after an entry that is passed over. */
static GY_SUSPENDS gyre_status
await_view_forward(struct gy_walk *walk)
{
    bool fresh;
    const gyre_status status = gy_walk_attach(walk, &fresh);

    GY_SOMETIMES(walk_went_on_in_new_view_forward);
    if (status == GYRE_OK) {
        await_leap_forward(walk);
    }
    return status;
}

/* From where the cursor is, to the first key that shows. */
static GY_SUSPENDS gyre_status
await_find_forward(struct gy_walk *walk)
{
    struct gy_cursor *cursor = walk->cursor;
    uint32_t versions = 0; /* of this key, since the last leap */

    while (cursor->valid) {
        const struct gy_entry *entry = &cursor->entry;
        const bool is_same = is_same_key(walk, entry);
        const bool is_visible =
            gy_tag_sequence(entry->tag) <= walk->sequence + GY_MUTANT(iterator_sees_one_more);
        gyre_status status;

        if (is_past_upper(walk, entry->key)) {
            return GYRE_NOT_FOUND;
        }
        if (!is_same && walk->has_key && is_spent(walk)) {
            return GYRE_AGAIN;
        }
        if (is_visible && gy_tag_kind(entry->tag) == GY_KIND_PUT &&
            !(is_same && walk->is_decided)) {
            walk->key_now = entry->key;
            walk->value_now = entry->value;
            walk->backward = false;
            walk->valid = true;
            return GYRE_OK;
        }
        status = pass_forward(walk, is_same, is_visible);
        if (status != GYRE_OK) {
            return status;
        }
        versions = is_same ? versions + 1 : 0;
        if (is_behind(walk)) {
            versions = 0;
            status = await_view_forward(walk);
            if (status != GYRE_OK) {
                return status;
            }
            cursor = walk->cursor;
        } else if (versions == GY_VERSIONS_BEFORE_LEAP) {
            versions = 0;
            await_leap_forward(walk);
        } else {
            gy_cursor_await_next(cursor);
        }
        status = await_turn(walk);
        if (status != GYRE_OK) {
            return status;
        }
    }
    return end_of_walk(walk);
}

/* ---- Backward ---- */

/* K3: look at the version that counts, and go before all of them. */
static GY_SUSPENDS gyre_status
await_leap_backward(struct gy_walk *walk, bool *found)
{
    struct gy_cursor *cursor = walk->cursor;
    const struct gyre_slice key = gy_bytes_slice(&walk->key);

    gy_cursor_await_seek(cursor, key, gy_tag_seek(walk->sequence));
    *found = cursor->valid && is_same_key(walk, &cursor->entry) &&
             gy_tag_kind(cursor->entry.tag) == GY_KIND_PUT;
    if (*found) {
        const gyre_status status = bytes_set(walk, &walk->value, cursor->entry.value);

        if (status != GYRE_OK) {
            return status;
        }
    }
    if (cursor->status == GYRE_OK) {
        gy_cursor_await_seek_before(cursor, key, UINT64_MAX);
    }
    return cursor->status;
}

/* The entry under the cursor is a further version of `key`, newer than those before. */
static gyre_status
fold_backward(struct gy_walk *walk, bool *found)
{
    const struct gy_entry *entry = &walk->cursor->entry;
    const bool is_visible = gy_tag_sequence(entry->tag) <= walk->sequence;

    count_passed(walk, entry, is_visible);
    if (!is_visible) {
        return GYRE_OK;
    }
    *found =
        gy_tag_kind(entry->tag) == GY_KIND_PUT || (GY_MUTANT(backward_walk_sees_deleted) && *found);
    return *found ? bytes_set(walk, &walk->value, entry->value) : GYRE_OK;
}

/* K5, at a key that has not been looked at: to its oldest version, or before it where it has gone
 * meanwhile. */
static GY_SUSPENDS gyre_status
await_view_backward(struct gy_walk *walk)
{
    bool fresh;
    const gyre_status status = gy_walk_attach(walk, &fresh);

    GY_SOMETIMES(walk_went_on_in_new_view_backward);
    if (status == GYRE_OK) {
        gy_cursor_await_seek_before(walk->cursor, gy_bytes_slice(&walk->key), 0);
    }
    return status;
}

/* From where the cursor is, back to the first key that shows (K1). */
static GY_SUSPENDS gyre_status
await_find_backward(struct gy_walk *walk)
{
    struct gy_cursor *cursor = walk->cursor;
    uint32_t versions = 0;
    bool found = false;

    while (cursor->valid && !is_below_lower(walk, cursor->entry.key)) {
        gyre_status status = GYRE_OK;

        if (!is_same_key(walk, &cursor->entry)) {
            if (found) {
                break;
            }
            if (walk->has_key && is_spent(walk)) {
                return GYRE_AGAIN;
            }
            status = bytes_set(walk, &walk->key, cursor->entry.key);
            walk->has_key = true;
            versions = 0;
            if (status == GYRE_OK && is_behind(walk)) {
                status = await_view_backward(walk);
                if (status == GYRE_OK) {
                    status = await_turn(walk);
                }
                cursor = walk->cursor;
                if (status != GYRE_OK) {
                    return status;
                }
                continue;
            }
        }
        if (status == GYRE_OK) {
            status = fold_backward(walk, &found);
        }
        if (status != GYRE_OK) {
            return status;
        }
        if (++versions == GY_VERSIONS_BEFORE_LEAP) {
            status = await_leap_backward(walk, &found);
        } else {
            gy_cursor_await_prev(cursor);
        }
        status = gy_first(status, await_turn(walk));
        if (status != GYRE_OK) {
            return status;
        }
    }
    if (cursor->status != GYRE_OK || !found) {
        return end_of_walk(walk);
    }
    walk->skipped--; /* the version that is shown */
    walk->key_now = gy_bytes_slice(&walk->key);
    walk->value_now = gy_bytes_slice(&walk->value);
    walk->backward = true;
    walk->valid = true;
    return GYRE_OK;
}

/* ---- Moves ---- */

/* What comes now has nothing to do with what was met before. */
static void
begin_anew(struct gy_walk *walk)
{
    walk->valid = false;
    walk->has_key = false;
    gy_wanted_run_end(walk->db, &walk->run, GY_WANTED_TOMBSTONES);
}

GY_SUSPENDS gyre_status
gy_walk_await_seek(struct gy_walk *walk, struct gyre_slice key)
{
    begin_anew(walk);
    if (is_below_lower(walk, key)) {
        key = gy_bytes_slice(&walk->lower);
    }
    gy_cursor_await_seek(walk->cursor, key, gy_tag_seek(walk->sequence));
    return await_find_forward(walk);
}

GY_SUSPENDS gyre_status
gy_walk_await_first(struct gy_walk *walk)
{
    if (walk->has_lower) {
        return gy_walk_await_seek(walk, gy_bytes_slice(&walk->lower));
    }
    begin_anew(walk);
    gy_cursor_await_first(walk->cursor);
    return await_find_forward(walk);
}

GY_SUSPENDS gyre_status
gy_walk_await_last(struct gy_walk *walk)
{
    begin_anew(walk);
    if (walk->has_upper) {
        gy_cursor_await_seek_before(walk->cursor, gy_bytes_slice(&walk->upper), UINT64_MAX);
    } else {
        gy_cursor_await_last(walk->cursor);
    }
    return await_find_backward(walk);
}

GY_SUSPENDS gyre_status
gy_walk_await_seek_for_prev(struct gy_walk *walk, struct gyre_slice key)
{
    if (is_past_upper(walk, key)) {
        return gy_walk_await_last(walk);
    }
    begin_anew(walk);
    gy_cursor_await_seek_before(walk->cursor, key, 0);
    return await_find_backward(walk);
}

GY_SUSPENDS gyre_status
gy_walk_await_next(struct gy_walk *walk, bool fresh)
{
    gyre_status status = GYRE_OK;

    gy_assert(walk->valid);
    walk->valid = false;
    gy_wanted_run_show(walk->db, &walk->run);
    if (!walk->backward && !fresh) {
        status = bytes_set(walk, &walk->key, walk->key_now);
        if (status == GYRE_OK) {
            gy_cursor_await_next(walk->cursor);
        }
    } else {
        gy_cursor_await_seek(walk->cursor, gy_bytes_slice(&walk->key), 0);
    }
    walk->has_key = true;
    walk->is_decided = true;
    return status != GYRE_OK ? status : await_find_forward(walk);
}

GY_SUSPENDS gyre_status
gy_walk_await_prev(struct gy_walk *walk, bool fresh)
{
    gy_assert(walk->valid);
    walk->valid = false;
    gy_wanted_run_show(walk->db, &walk->run);
    if (!walk->backward || fresh) {
        if (!fresh) {
            const gyre_status status = bytes_set(walk, &walk->key, walk->key_now);

            if (status != GYRE_OK) {
                return status;
            }
        }
        gy_cursor_await_seek_before(walk->cursor, gy_bytes_slice(&walk->key), UINT64_MAX);
    }
    walk->has_key = true;
    return await_find_backward(walk);
}
