/* table.c - tables and their set: references, opening, closing; see table.h for O1 to O6. Reading
 * is in table_read.c and table_cursor.c. */
#include "engine/disk/table.h"

#include <string.h>

#include "engine/disk/names.h"
#include "engine/disk/table_open.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"
#include "io/base/ban.h"

#define TAIL_SIZE \
    (32u * GY_KIB) /* read first: the footer and, for most tables, the whole top index */

gyre_status
gy_table_fail(struct gy_table *table, gyre_status st, uint64_t offset, const char *what)
{
    char name[GY_NAME_MAX];

    gy_name_table(name, table->meta.number);
    return gy_fail_at(&table->set->loop->sched, st, name, offset, 0,
                      st == GYRE_UNSUPPORTED ? "%s: written by a newer version of Gyre"
                                             : "%s; run 'gyre verify', then 'gyre salvage'",
                      what);
}

/* ---- The set ---- */

void
gy_table_set_init(struct gy_table_set *set, struct gy_loop *loop, struct gy_arena *arena,
                  struct gy_cache *cache, const struct gy_file *dir, uint32_t open_max)
{
    memset(set, 0, sizeof(*set));
    set->loop = loop;
    set->arena = arena;
    set->cache = cache;
    set->dir = dir;
    set->open_max = open_max;
    set->id = cache != NULL ? gy_cache_new_id(cache) << GY_TABLE_CACHE_ID_BITS : 0;
    gy_list_init(&set->lru);
    gy_list_init(&set->closing);
    gy_list_init(&set->orphans);
    gy_waitq_init(&set->closer_done);
    gy_waitq_init(&set->removed_waiters);
}

void
gy_table_set_fini(struct gy_table_set *set)
{
    if (set->loop == NULL) {
        return; /* zeroed */
    }
    gy_assert(set->table_count == 0 && set->open_count == 0);
    gy_assert(gy_list_is_empty(&set->closing) && gy_list_is_empty(&set->orphans));
    gy_assert(set->closer == NULL);
    gy_heap_free(&set->loop->heap, set->removed);
    memset(set, 0, sizeof(*set));
}

/* ---- The closer (O6) ---- */

GY_SUSPENDS static void
await_close_one(struct gy_table_set *set, struct gy_table_open *opened)
{
    gy_cache_await_idle(set->cache, opened->source.cache_id); /* prefetches read from this file */
    (void)gy_file_await_close(set->loop, &opened->file);      /* it was only read from */
    if (opened->forget) {
        gy_cache_await_forget(set->cache, opened->source.cache_id, UINT64_MAX);
    }
    gy_heap_free(&set->loop->heap, opened->top_body);
    gy_heap_free(&set->loop->heap, opened);
}

static void
reap_orphans(struct gy_table_set *set)
{
    gy_list_for_each_safe (node, &set->orphans) {
        struct gy_table_span *span = gy_container_of(node, struct gy_table_span, link);
        struct gy_table *table = span->table;

        if (span->req.done) {
            gy_list_remove(&span->link);
            gy_table_span_free(set, span);
            gy_table_leave(table);
            gy_table_unref(table);
        }
    }
}

static void
set_orphans_waiter(struct gy_table_set *set, struct gy_co *waiter)
{
    gy_list_for_each (node, &set->orphans) {
        gy_container_of(node, struct gy_table_span, link)->req.waiter = waiter;
    }
}

static void
closer_main(void *arg)
{
    struct gy_table_set *set = arg;

    gy_in_coroutine();
    for (;;) {
        struct gy_list *node;

        reap_orphans(set); /* may add to closing */
        node = gy_list_pop_front(&set->closing);
        if (node != NULL) {
            await_close_one(set, gy_container_of(node, struct gy_table_open, link));
        } else if (!gy_list_is_empty(&set->orphans)) {
            set_orphans_waiter(set, set->closer);
            gy_await_park(
                &set->loop->sched); /* woken by a read that is done, or by gy_table_set_kick */
            set_orphans_waiter(set, NULL); /* while it waits elsewhere nobody needs to wake it */
        } else {
            break;
        }
    }
    set->closer = NULL;
    gy_waitq_wake_all(&set->closer_done);
}

void
gy_table_set_kick(struct gy_table_set *set)
{
    if (gy_list_is_empty(&set->closing) && gy_list_is_empty(&set->orphans)) {
        return;
    }
    if (set->closer != NULL) {
        gy_wake(set->closer);
        return;
    }
    /* Without room for a coroutine the work stays on the lists until the next kick. */
    if (gy_spawn(&set->loop->sched, GY_CLASS_FOREGROUND, "table closer", closer_main, set,
                 &set->closer) != GYRE_OK) {
        set->closer = NULL;
    }
}

/* Take the open file away from its table and have it closed. */
static void
detach(struct gy_table *table, bool forget)
{
    struct gy_table_set *set = table->set;
    struct gy_table_open *opened = table->opened;

    gy_assert(opened != NULL && table->users == 0);
    gy_list_remove(&table->lru);
    table->opened = NULL;
    set->open_count--;
    set->stats.open_count = set->open_count;
    opened->forget = forget;
    gy_list_push_back(&set->closing, &opened->link);
    gy_table_set_kick(set);
}

void
gy_table_set_trim(struct gy_table_set *set, uint32_t open_max)
{
    while (set->open_count > open_max && !gy_list_is_empty(&set->lru)) {
        detach(gy_container_of(set->lru.next, struct gy_table, lru), false);
    }
}

void
gy_table_set_await_close_all(struct gy_table_set *set)
{
    struct gy_sched *sched;

    if (set->loop == NULL) {
        return; /* zeroed */
    }
    sched = &set->loop->sched;
    for (;;) {
        gy_table_set_trim(set, 0);
        gy_table_set_kick(set);
        if (set->closer != NULL) {
            gy_waitq_await(sched, &set->closer_done);
        } else if (!gy_list_is_empty(&set->closing) || !gy_list_is_empty(&set->orphans)) {
            gy_await_sleep(sched,
                           GY_NS_PER_MS); /* no room for the closer: others have to end first */
        } else if (gy_list_is_empty(&set->lru)) { /* an orphan's table may have come back to it */
            break;
        }
    }
    gy_assert(set->open_count == 0); /* no users are left */
    gy_cache_await_forget(set->cache, set->id, ~0ull << GY_TABLE_CACHE_ID_BITS);
}

/* ---- References ---- */

/* Room in the removal list for every table there is, so that the last unref cannot fail (O1). */
static bool
reserve_removed(struct gy_table_set *set)
{
    const uint64_t needed = (uint64_t)set->removed_count + set->table_count + 1;
    uint64_t capacity = gy_max_u64(set->removed_capacity, 64);
    struct gy_removed_table *removed;

    if (needed <= set->removed_capacity) {
        return true;
    }
    while (capacity < needed) {
        capacity *= 2;
    }
    removed = gy_heap_realloc(&set->loop->heap, set->removed, (size_t)capacity * sizeof(removed[0]),
                              GY_MEM_TABLE);
    if (removed == NULL) {
        return false;
    }
    set->removed = removed;
    set->removed_capacity = (uint32_t)capacity;
    return true;
}

struct gy_table *
gy_table_make(struct gy_table_set *set, const struct gy_table_meta *meta)
{
    struct gy_table *table;
    uint8_t *keys;

    _Static_assert(GY_FILE_NUMBER_MAX < 1ull << GY_TABLE_CACHE_ID_BITS, "numbers fit cache ids");
    gy_assert(meta->number <= GY_FILE_NUMBER_MAX);
    if (!reserve_removed(set)) {
        return NULL;
    }
    table =
        gy_heap_zalloc(&set->loop->heap, sizeof(*table) + meta->smallest.size + meta->largest.size,
                       GY_MEM_VERSION);
    if (table == NULL) {
        return NULL;
    }
    keys = (uint8_t *)(table + 1);
    table->meta = *meta;
    table->set = set;
    table->refs = 1;
    table->cache_id = set->id | (GY_MUTANT(cache_key_without_file) ? 0 : meta->number);
    gy_list_init(&table->lru);
    gy_waitq_init(&table->open_waiters);
    if (meta->smallest.size != 0) {
        memcpy(keys, meta->smallest.data, meta->smallest.size);
    }
    if (meta->largest.size != 0) {
        memcpy(keys + meta->smallest.size, meta->largest.data, meta->largest.size);
    }
    table->meta.smallest.data = keys;
    table->meta.largest.data = keys + meta->smallest.size;
    set->table_count++;
    set->file_bytes += meta->size;
    return table;
}

struct gy_table *
gy_table_make_moved(struct gy_table *table, uint32_t level)
{
    struct gy_table_meta meta = table->meta;
    struct gy_table *moved;

    meta.level = level;
    moved = gy_table_make(table->set, &meta);
    if (moved != NULL && !GY_MUTANT(moved_table_removed)) {
        moved->origin = table;
        table->set->file_bytes -= meta.size; /* one file: the first of the chain stands for it */
        gy_table_ref(table);
    }
    return moved;
}

void
gy_table_ref(struct gy_table *table)
{
    gy_assert(table->refs != 0);
    table->refs++;
}

static void
release(struct gy_table *table)
{
    struct gy_table_set *set = table->set;

    gy_assert(table->users == 0 && !table->opening);
    if (table->opened != NULL) {
        detach(table, table->removed);
    }
    set->table_count--;
    if (table->removed && table->origin != NULL) {
        table->origin->removed = true; /* O7: the file goes with the last of the chain */
    } else if (table->removed) {
        gy_assert(set->removed_count < set->removed_capacity);
        set->removed[set->removed_count] =
            (struct gy_removed_table){.number = table->meta.number, .size = table->meta.size};
        set->removed_count++;
        gy_waitq_wake_all(&set->removed_waiters);
    } else if (table->origin == NULL) { /* not installed, and discarded; or the store closes */
        set->file_bytes -= table->meta.size;
    }
    gy_heap_free(&set->loop->heap, table);
}

void
gy_table_unref(struct gy_table *table)
{
    while (table != NULL) {
        struct gy_table *origin = table->origin;

        gy_assert(table->refs != 0);
        table->refs--;
        if (table->refs != 0) {
            return;
        }
        release(table);
        table = origin; /* at most one for each level */
    }
}

void
gy_table_mark_removed(struct gy_table *table)
{
    table->removed = true;
}

struct gy_removed_table
gy_table_set_take_removed(struct gy_table_set *set)
{
    gy_assert(set->removed_count > 0);
    set->removed_count--;
    return set->removed[set->removed_count];
}

void
gy_table_set_note_gone(struct gy_table_set *set, const struct gy_removed_table *removed)
{
    gy_assert(set->file_bytes >= removed->size);
    set->file_bytes -= removed->size;
}

/* ---- Opening ---- */

/* The footer against the manifest entry (O3). */
static gyre_status
check_footer(struct gy_table *table, const struct gy_footer *footer)
{
    const struct gy_table_meta *meta = &table->meta;

    if (footer->file_id != meta->file_id || footer->keyspace != meta->keyspace) {
        return gy_table_fail(
            table, GYRE_CORRUPT, GY_NO_OFFSET,
            "the file is not the one that the manifest names: another table's bytes");
    }
    if (footer->entry_count != meta->entry_count || footer->delete_count != meta->delete_count ||
        footer->sequence_min != meta->sequence_min || footer->sequence_max != meta->sequence_max) {
        return gy_table_fail(table, GYRE_CORRUPT, GY_NO_OFFSET,
                             "counts in the footer differ from those in the manifest");
    }
    return GYRE_OK;
}

/* Keep the body of the top index, whose bytes are at `bytes`. */
static gyre_status
set_top(struct gy_table *table, struct gy_table_open *opened, const uint8_t *bytes)
{
    const struct gy_block_handle handle = opened->footer.top;
    struct gy_block_trailer trailer;
    const gyre_status st =
        gy_block_check(bytes, handle.size, opened->footer.file_id, handle.offset, &trailer);

    if (st != GYRE_OK) {
        return gy_table_fail(table, st, handle.offset, "block checksum does not match (top index)");
    }
    if (trailer.kind != GY_BLOCK_TOP_INDEX || trailer.compression != GY_BLOCK_RAW) {
        return gy_table_fail(table, GYRE_CORRUPT, handle.offset,
                             "the top index is a block of another kind");
    }
    opened->top_body = gy_heap_alloc(&table->set->loop->heap, trailer.raw_size, GY_MEM_TABLE);
    if (opened->top_body == NULL) {
        return gy_fail(&table->set->loop->sched, GYRE_NO_MEMORY, "no memory to open a table");
    }
    memcpy(opened->top_body, bytes, trailer.raw_size);
    if (gy_block_open(opened->top_body, trailer.raw_size, &opened->top) != GYRE_OK ||
        gy_block_verify(&opened->top) != GYRE_OK) {
        return gy_table_fail(table, GYRE_CORRUPT, handle.offset, "the top index does not decode");
    }
    return GYRE_OK;
}

/* Read [offset, size of the file) into pages of the heap. */
GY_SUSPENDS static gyre_status
await_tail(struct gy_table *table, struct gy_table_open *opened, uint64_t offset,
           uint8_t **ret_bytes)
{
    struct gy_loop *loop = table->set->loop;
    const size_t size = (size_t)(table->meta.size - offset);
    uint8_t *bytes = gy_heap_map(&loop->heap, size, GY_MEM_TABLE);
    gyre_status st;

    if (bytes == NULL) {
        return gy_fail(&loop->sched, GYRE_NO_MEMORY, "no memory to open a table");
    }
    st = gy_file_await_read(loop, &opened->file, GY_IO_META, bytes, (uint32_t)size, offset);
    if (st != GYRE_OK) {
        gy_heap_unmap(&loop->heap, bytes, size, GY_MEM_TABLE);
        return st;
    }
    *ret_bytes = bytes;
    return GYRE_OK;
}

GY_SUSPENDS static gyre_status
await_footer_and_top(struct gy_table *table, struct gy_table_open *opened)
{
    struct gy_heap *heap = &table->set->loop->heap;
    const uint64_t size = table->meta.size;
    uint64_t start = size - gy_min_u64(size, TAIL_SIZE);
    uint8_t *bytes;
    gyre_status st = await_tail(table, opened, start, &bytes);

    if (st != GYRE_OK) {
        return st;
    }
    st = gy_footer_decode(bytes + (size - start) - GY_FOOTER_SIZE, size, &opened->footer);
    if (st != GYRE_OK) {
        st = gy_table_fail(table, st, size - GY_FOOTER_SIZE, "the footer is damaged");
        goto out;
    }
    st = check_footer(table, &opened->footer);
    if (st == GYRE_OK && opened->footer.top.offset < start) {
        const uint64_t top_start = gy_align_down(opened->footer.top.offset, GY_PAGE);

        gy_heap_unmap(heap, bytes, (size_t)(size - start), GY_MEM_TABLE);
        start = top_start;
        st = await_tail(table, opened, start, &bytes);
        if (st != GYRE_OK) {
            return st;
        }
    }
    if (st == GYRE_OK) {
        st = set_top(table, opened, bytes + (opened->footer.top.offset - start));
    }

out:
    gy_heap_unmap(heap, bytes, (size_t)(size - start), GY_MEM_TABLE);
    return st;
}

GY_SUSPENDS static gyre_status
await_open_file(struct gy_table *table, struct gy_table_open *opened)
{
    struct gy_loop *loop = table->set->loop;
    char name[GY_NAME_MAX];
    uint64_t size;
    gyre_status st;

    gy_name_table(name, table->meta.number);
    st = gy_file_await_open(loop, table->set->dir, name, 0, GY_IO_META, &opened->file);
    if (st == GYRE_NOT_FOUND) {
        return gy_table_fail(table, GYRE_CORRUPT, GY_NO_OFFSET, "the file is missing");
    }
    if (st != GYRE_OK) {
        return st;
    }
    st = gy_file_await_size(loop, &opened->file, &size);
    if (st != GYRE_OK) {
        return st;
    }
    if (size != table->meta.size || size % GY_PAGE != 0 || size < 2 * GY_FOOTER_SIZE) {
        return gy_table_fail(table, GYRE_CORRUPT, size,
                             "the file does not have the size that the manifest names");
    }
    opened->source = (struct gy_block_source){.file = &opened->file,
                                              .file_id = table->meta.file_id,
                                              .cache_id = table->cache_id,
                                              .verify = table->set->verify_cached};
    return await_footer_and_top(table, opened);
}

GY_SUSPENDS static gyre_status
await_open(struct gy_table *table)
{
    struct gy_table_set *set = table->set;
    struct gy_table_open *opened;
    gyre_status st;

    gy_table_set_trim(set, set->open_max - (set->open_max != 0)); /* room for one more */
    opened = gy_heap_zalloc(&set->loop->heap, sizeof(*opened), GY_MEM_TABLE);
    if (opened == NULL) {
        return gy_fail(&set->loop->sched, GYRE_NO_MEMORY, "no memory to open a table");
    }
    gy_list_init(&opened->link);
    opened->file = (struct gy_file)GY_FILE_CLOSED;
    st = await_open_file(table, opened);
    if (st != GYRE_OK) {
        const struct gyre_error error = *gy_sched_error(&set->loop->sched);

        (void)gy_file_await_close(set->loop, &opened->file);
        *gy_sched_error(&set->loop->sched) = error;
        gy_heap_free(&set->loop->heap, opened->top_body);
        gy_heap_free(&set->loop->heap, opened);
        return st;
    }
    table->opened = opened;
    set->open_count++;
    set->stats.open_count = set->open_count;
    set->stats.opened++;
    return GYRE_OK;
}

gyre_status
gy_table_await_enter_slow(struct gy_table *table)
{
    struct gy_sched *sched = &table->set->loop->sched;
    gyre_status st = GYRE_OK;

    table->users++; /* so that it is not closed again before we get to use it */
    while (table->opened == NULL && st == GYRE_OK) {
        if (table->opening) {
            st = gy_scope_await(sched, &table->open_waiters);
            continue; /* if the other one failed, we try ourselves and get a text of our own */
        }
        table->opening = true;
        st = await_open(table);
        table->opening = false;
        gy_waitq_wake_all(&table->open_waiters);
        st = st == GYRE_OK ? gy_scope_check(sched) : st;
    }
    if (table->opened == NULL) {
        table->users--;
        return st;
    }
    gy_list_remove(&table->lru);
    if (st != GYRE_OK) { /* the operation has ended while it was being opened */
        gy_table_leave(table);
    }
    return st;
}
