/* read.c - point reads. A value in a table pins its block; one in a memtable is copied, so that a
 * held value never keeps a memtable alive.
 */
#include "engine/db/read.h"

#include "engine/codec/filter.h"
#include "engine/db/measure.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* gyre_value.private_: [0] the store, [1] the block's frame, [2] the block's data (what unpin
 * wants), [3] a copy. */
enum { VALUE_DB, VALUE_FRAME, VALUE_BLOCK, VALUE_COPY };

/* Pins beyond this share of the cache would starve it: the value is copied instead. */
#define PINNED_SHARE 4u

gyre_status
gy_read_moment_of(gyre_db *db, const struct gyre_read_options *options,
                  struct gy_read_moment *ret_moment)
{
    struct gyre_read_options o = {0};

    if (options != NULL) {
        const gyre_status status =
            gy_options_copy(db->loop, "read options", options, &o, sizeof(o));

        if (status != GYRE_OK) {
            return status;
        }
        if ((o.flags & ~GYRE_READ_NO_FILL) != 0) {
            return gy_loop_fail(db->loop, GYRE_INVALID, "read options: an unknown flag");
        }
        if (o.snapshot != NULL && o.snapshot->db != db) {
            return gy_loop_fail(db->loop, GYRE_INVALID, "the snapshot is of another store");
        }
    }
    ret_moment->sequence = o.snapshot != NULL ? o.snapshot->sequence : GY_SEQUENCE_LATEST;
    ret_moment->deadline_ns = o.deadline_ns;
    ret_moment->hint = (o.flags & GYRE_READ_NO_FILL) != 0 ? GY_CACHE_NO_FILL : GY_CACHE_NORMAL;
    return GYRE_OK;
}

gyre_status
gy_read_check_key(gyre_db *db, struct gyre_slice key)
{
    if (key.data == NULL || key.size < 1 || key.size > GYRE_KEY_SIZE_MAX) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "a key has 1 to %u bytes, this one has %zu",
                            GYRE_KEY_SIZE_MAX, key.size);
    }
    return GYRE_OK;
}

static gyre_status
value_copy(gyre_db *db, struct gyre_slice source, struct gyre_value *ret_value)
{
    uint8_t *copy = gy_heap_alloc(&db->loop->io.heap, source.size + 1, GY_MEM_CALL);

    if (copy == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory for a value of %zu bytes",
                            source.size);
    }
    if (source.size > 0) {
        memcpy(copy, source.data, source.size);
    }
    *ret_value = (struct gyre_value){.data = copy, .size = source.size};
    ret_value->private_[VALUE_DB] = db;
    ret_value->private_[VALUE_COPY] = copy;
    db->pin_count++;
    return GYRE_OK;
}

static gyre_status
value_pin(gyre_db *db, struct gy_table_result *result, struct gyre_value *ret_value)
{
    struct gy_cache_stats stats;

    gy_cache_stats_get(db->loop->cache, &stats);
    if (stats.pinned_bytes > stats.capacity_bytes / PINNED_SHARE) {
        const gyre_status status = value_copy(db, result->value, ret_value);

        GY_SOMETIMES(value_copied_to_spare_cache);
        gy_cache_unpin(db->loop->cache, &result->pin);
        return status;
    }
    *ret_value = (struct gyre_value){.data = result->value.data, .size = result->value.size};
    ret_value->private_[VALUE_DB] = db;
    ret_value->private_[VALUE_FRAME] = result->pin.frame;
    ret_value->private_[VALUE_BLOCK] = (void *)(uintptr_t)result->pin.data;
    db->pin_count++;
    return GYRE_OK;
}

void
gyre_value_release(struct gyre_value *value)
{
    gyre_db *db;

    if (value == NULL || value->private_[VALUE_DB] == NULL) {
        return;
    }
    db = value->private_[VALUE_DB];
    if (gy_loop_check(db->loop) != GYRE_OK) {
        return;
    }
    gy_assert(db->pin_count > 0);
    db->pin_count--;
    if (value->private_[VALUE_COPY] != NULL) {
        gy_heap_free(&db->loop->io.heap, value->private_[VALUE_COPY]);
    } else {
        struct gy_block_pin pin = {.data = value->private_[VALUE_BLOCK],
                                   .frame = value->private_[VALUE_FRAME]};

        gy_cache_unpin(db->loop->cache, &pin);
    }
    memset(value, 0, sizeof(*value));
}

/* A table that may have the key is asked. */
static void
note_table(gyre_db *db, bool first_of_level)
{
    struct gyre_trace *trace = db->loop->io.sched.trace;

    if (gy_unlikely(trace != NULL)) {
        trace->tables++;
        trace->levels += first_of_level;
    }
}

static GY_SUSPENDS gyre_status
await_table(gyre_db *db, struct gy_table *table, struct gyre_slice key, uint64_t hash,
            const struct gy_read_moment *moment, struct gyre_value *ret_value, bool *ret_decided)
{
    struct gy_table_result result = {0};
    gyre_status status =
        gy_table_await_get(table, key, hash, moment->sequence, moment->hint, &result);

    *ret_decided = true;
    if (status != GYRE_OK) {
        return status;
    }
    if (!result.found) {
        *ret_decided = false;
        return GYRE_NOT_FOUND;
    }
    if (gy_tag_kind(result.tag) != GY_KIND_PUT) {
        gy_cache_unpin(db->loop->cache, &result.pin);
        return GYRE_NOT_FOUND;
    }
    return value_pin(db, &result, ret_value);
}

static GY_SUSPENDS gyre_status
await_tables(gyre_db *db, const struct gy_version *version, struct gyre_slice key,
             const struct gy_read_moment *moment, struct gyre_value *ret_value)
{
    const uint64_t hash = gy_filter_hash(key);
    uint32_t level0_tables = 0;
    bool decided = false;

    for (uint32_t i = 0; i < version->levels[0].count; i++) {
        struct gy_table *table = version->levels[0].tables[i];

        if (gy_key_compare(key, table->meta.smallest) >= 0 &&
            gy_key_compare(key, table->meta.largest) <= 0) {
            gyre_status status;

            note_table(db, level0_tables++ == 0);
            status = await_table(db, table, key, hash, moment, ret_value, &decided);
            if (decided) {
                return status;
            }
        }
    }
    for (uint32_t level = 1; level < GY_LEVEL_COUNT; level++) {
        struct gy_table *table = gy_version_locate(version, level, key);

        if (table != NULL) {
            gyre_status status;

            note_table(db, true);
            status = await_table(db, table, key, hash, moment, ret_value, &decided);
            if (decided) {
                return status;
            }
        }
    }
    return GYRE_NOT_FOUND;
}

/* False: no memtable has the key. */
static bool
get_from_memtables(gyre_db *db, const struct gy_view *view, struct gyre_slice key,
                   const struct gy_read_moment *moment, struct gyre_value *ret_value,
                   gyre_status *ret_status)
{
    struct gy_entry entry;
    bool found = gy_memtable_get(view->active, key, moment->sequence, &entry);

    if (!found && view->frozen_count > 0) {
        GY_SOMETIMES(get_looked_into_frozen);
    }
    for (uint32_t i = GY_MUTANT(newest_frozen_not_read); !found && i < view->frozen_count; i++) {
        found = gy_memtable_get(view->frozen[i], key, moment->sequence, &entry);
    }
    if (found) {
        db->counters.memtable_hits++;
        *ret_status = gy_tag_kind(entry.tag) != GY_KIND_PUT
                          ? GYRE_NOT_FOUND
                          : value_copy(db, entry.value, ret_value);
    }
    return found;
}

GY_SUSPENDS gyre_status
gy_read_await_get(gyre_db *db, struct gy_view *view, struct gyre_slice key,
                  const struct gy_read_moment *moment, struct gyre_value *ret_value)
{
    gyre_status status = GYRE_OK;

    if (get_from_memtables(db, view, key, moment, ret_value, &status)) {
        return status;
    }
    return await_tables(db, view->version, key, moment, ret_value);
}

enum try { TRY_UNKNOWN, TRY_ABSENT, TRY_DECIDED };

static enum try
try_table(gyre_db *db, struct gy_table *table, struct gyre_slice key, uint64_t hash,
          const struct gy_read_moment *moment, struct gyre_value *ret_value,
          gyre_status *ret_status)
{
    struct gy_table_result result = {0};

    if (!gy_table_try_get(table, key, hash, moment->sequence, &result)) {
        return TRY_UNKNOWN;
    }
    if (!result.found) {
        return TRY_ABSENT;
    }
    if (gy_tag_kind(result.tag) != GY_KIND_PUT) {
        gy_cache_unpin(db->loop->cache, &result.pin);
        *ret_status = GYRE_NOT_FOUND;
    } else {
        *ret_status = value_pin(db, &result, ret_value);
    }
    return TRY_DECIDED;
}

bool
gy_read_try_get(gyre_db *db, struct gy_view *view, struct gyre_slice key,
                const struct gy_read_moment *moment, struct gyre_value *ret_value,
                gyre_status *ret_status)
{
    const struct gy_version *version = view->version;
    enum try found = TRY_ABSENT;
    uint32_t level0_tables = 0;
    uint64_t hash;

    if (get_from_memtables(db, view, key, moment, ret_value, ret_status)) {
        return true;
    }
    hash = gy_filter_hash(key);
    for (uint32_t i = 0; found == TRY_ABSENT && i < version->levels[0].count; i++) {
        struct gy_table *table = version->levels[0].tables[i];

        if (gy_key_compare(key, table->meta.smallest) >= 0 &&
            gy_key_compare(key, table->meta.largest) <= 0) {
            note_table(db, level0_tables++ == 0);
            found = try_table(db, table, key, hash, moment, ret_value, ret_status);
        }
    }
    for (uint32_t level = 1; found == TRY_ABSENT && level < GY_LEVEL_COUNT; level++) {
        struct gy_table *table = gy_version_locate(version, level, key);

        if (table != NULL) {
            note_table(db, true);
            found = try_table(db, table, key, hash, moment, ret_value, ret_status);
        }
    }
    if (found == TRY_ABSENT) {
        *ret_status = GYRE_NOT_FOUND;
    }
    return found != TRY_UNKNOWN;
}

struct get_call {
    gyre_db *db;
    struct gyre_slice key;
    struct gy_read_moment moment;
    struct gyre_value value;
    gyre_status status;
};

static void
get_run(void *arg)
{
    struct get_call *call = arg;
    gyre_db *db = call->db;
    struct gy_view *view = db->view;

    gy_in_coroutine();
    gy_db_enter(db);
    gy_view_ref(view);
    /* with the view: compaction may drop what is older */
    if (call->moment.sequence == GY_SEQUENCE_LATEST) {
        call->moment.sequence = gy_db_visible(db);
    }
    call->status = gy_read_await_get(db, view, call->key, &call->moment, &call->value);
    if (call->status == GYRE_OK && db->state != GY_DB_OPEN) { /* it may hold nothing any more */
        gyre_value_release(&call->value);
        call->status = gy_loop_fail(db->loop, GYRE_CLOSED, "the store is closing");
    }
    gy_view_unref(view);
    gy_event_note_damage(db, call->status);
    gy_db_leave(db);
    db->counters.gets++;
    if (call->status == GYRE_OK) {
        db->counters.gets_found++;
        db->counters.user_bytes_read += call->value.size;
        gy_trace_note_bytes(&db->loop->io.sched, call->value.size);
    }
    gy_await_turn(&db->loop->io.sched); /* a caller that never has to wait lets others run too */
}

/* With a deadline the caller may be answered before the read has ended. */
static gyre_status
get_until(gyre_db *db, const struct gyre_read_options *options, struct gyre_slice key,
          struct gyre_value *ret_value)
{
    struct gyre_op op =
        GYRE_OP(.kind = GYRE_OP_GET, .db = db, .key = key, .snapshot = options->snapshot,
                .flags = options->flags, .deadline_ns = options->deadline_ns);
    const gyre_status status = gy_op_call(db->loop, &op);

    if (status == GYRE_OK) {
        *ret_value = op.value;
    }
    return status;
}

gyre_status
gyre_get(gyre_db *db, const struct gyre_read_options *options, struct gyre_slice key,
         struct gyre_value *ret_value)
{
    struct get_call call = {.db = db, .key = key};
    gyre_status status = gy_db_check(db);

    if (status == GYRE_OK && ret_value == NULL) {
        status = gy_loop_fail(db->loop, GYRE_INVALID, "gyre_get: ret_value is NULL");
    }
    if (status == GYRE_OK) {
        status = gy_read_check_key(db, key);
    }
    if (status == GYRE_OK) {
        status = gy_read_moment_of(db, options, &call.moment);
    }
    if (status == GYRE_OK && call.moment.deadline_ns != 0) {
        return get_until(db, options, key, ret_value);
    }
    if (status == GYRE_OK && gy_call_is_quick(db->loop, GYRE_MEASURE_GET)) {
        get_run(&call);
    } else if (status == GYRE_OK) {
        status = gy_call_measured(db->loop,
                                  &(struct gy_measured){.name = "get",
                                                        .kind = GYRE_OP_GET,
                                                        .measure = GYRE_MEASURE_GET,
                                                        .key = key,
                                                        .status = &call.status},
                                  get_run, &call);
    }
    if (status != GYRE_OK) {
        return status;
    }
    if (call.status == GYRE_OK) {
        *ret_value = call.value;
    }
    return call.status;
}

gyre_status
gyre_get_copy(gyre_db *db, const struct gyre_read_options *options, struct gyre_slice key,
              void *buffer, size_t capacity, size_t *ret_size)
{
    struct gyre_value value;
    gyre_status status = gyre_get(db, options, key, &value);

    if (status != GYRE_OK) {
        return status;
    }
    if (buffer != NULL && value.size > 0) {
        memcpy(buffer, value.data, value.size < capacity ? value.size : capacity);
    }
    if (ret_size != NULL) {
        *ret_size = value.size;
    }
    gyre_value_release(&value);
    return GYRE_OK;
}
