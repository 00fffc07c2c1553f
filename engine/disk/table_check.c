/* table_check.c - go through a whole table and report every damage; see table.h. For verify,
 * salvage and paranoid stores. It reads past the cache: what is asked is what the device has.
 *
 * Order: for each partition of the top index the partition, then its data blocks. A data block that
 * is damaged is reported and passed over; behind a damaged partition, or without a top index, data
 * blocks are looked for in the bytes themselves (table_salvage.c).
 */
#include "engine/disk/table_check.h"

#include <string.h>

#include "engine/disk/names.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"
#include "io/base/ban.h"

/* ---- Reports ---- */

void
gy_check_damage(struct gy_check_run *run)
{
    const struct gyre_error *error = gy_sched_error(&run->table->set->loop->sched);

    run->check->damage_count++;
    if (run->check->damage != NULL) {
        run->check->damage(run->check->arg, error);
    }
}

void
gy_check_damage_at(struct gy_check_run *run, uint64_t offset, const char *what)
{
    (void)gy_table_fail(run->table, GYRE_CORRUPT, offset, what);
    gy_check_damage(run);
}

/* ---- Bytes ---- */

static struct gy_heap *
heap_of(const struct gy_check_run *run)
{
    return &run->table->set->loop->heap;
}

static void
window_free(struct gy_check_run *run, struct gy_check_window *window)
{
    if (window->bytes != NULL) {
        gy_heap_unmap(heap_of(run), window->bytes, (size_t)window->capacity, GY_MEM_CALL);
    }
    *window = (struct gy_check_window){0};
}

static bool
window_grow(struct gy_check_run *run, struct gy_check_window *window, uint64_t size)
{
    const uint64_t capacity = gy_align_up(gy_max_u64(size, 64 * GY_KIB), GY_PAGE);

    if (size <= window->capacity) {
        return true;
    }
    window_free(run, window);
    window->bytes = gy_heap_map(heap_of(run), (size_t)capacity, GY_MEM_CALL);
    if (window->bytes == NULL) {
        run->stopped =
            gy_fail(&run->table->set->loop->sched, GYRE_NO_MEMORY, "no memory to check a table");
        return false;
    }
    window->capacity = capacity;
    return true;
}

GY_SUSPENDS const uint8_t *
gy_check_await_bytes(struct gy_check_run *run, struct gy_check_window *window, uint64_t offset,
                     uint64_t size, bool ahead)
{
    const uint64_t first = gy_align_down(offset, GY_PAGE);
    const uint64_t needed = gy_align_up(offset + size, GY_PAGE) - first;
    uint64_t wanted = ahead ? gy_max_u64(needed, GY_CHECK_WINDOW) : needed;
    gyre_status st;

    gy_assert(offset + size <= run->file_size);
    if (window->size != 0 && offset >= window->offset &&
        offset + size <= window->offset + window->size) {
        return window->bytes + (offset - window->offset);
    }
    wanted = gy_min_u64(wanted, run->file_size - first);
    if (!window_grow(run, window, wanted)) {
        return NULL;
    }
    window->size = 0;
    st = gy_file_await_read(run->table->set->loop, run->file, GY_IO_SCRUB, window->bytes,
                            (uint32_t)wanted, first);
    if (st != GYRE_OK &&
        wanted > needed) { /* what cannot be read may lie behind what is asked for */
        wanted = needed;
        st = gy_file_await_read(run->table->set->loop, run->file, GY_IO_SCRUB, window->bytes,
                                (uint32_t)wanted, first);
    }
    if (st != GYRE_OK) {
        if (st == GYRE_NO_MEMORY) {
            run->stopped = st;
        }
        return NULL;
    }
    window->offset = first;
    window->size = wanted;
    run->check->byte_count += wanted;
    return window->bytes + (offset - first);
}

/* A block with a right checksum and the right kind; NULL: reported. */
GY_SUSPENDS static const uint8_t *
await_block(struct gy_check_run *run, struct gy_check_window *window, struct gy_block_handle handle,
            enum gy_block_kind kind, struct gy_block_trailer *ret_trailer)
{
    const uint8_t *bytes =
        gy_check_await_bytes(run, window, handle.offset, handle.size, kind == GY_BLOCK_DATA);
    gyre_status st;

    if (bytes == NULL) {
        if (run->stopped == GYRE_OK) {
            gy_check_damage(run);
        }
        return NULL;
    }
    run->check->block_count++;
    st = gy_block_check(bytes, handle.size, run->table->meta.file_id, handle.offset, ret_trailer);
    if (st == GYRE_OK && ret_trailer->kind == kind) {
        return bytes;
    }
    if (st == GYRE_UNSUPPORTED) {
        (void)gy_table_fail(run->table, st, handle.offset, "a block of an unknown kind");
        gy_check_damage(run);
    } else {
        gy_check_damage_at(run, handle.offset,
                           st == GYRE_OK ? "block is of another kind than its index says"
                                         : "block checksum does not match");
    }
    return NULL;
}

/* ---- Entries ---- */

static void
remember(struct gy_check_run *run, const struct gy_entry *entry)
{
    memcpy(run->keys[2], entry->key.data, entry->key.size);
    run->last_size = (uint32_t)entry->key.size;
    run->last_tag = entry->tag;
}

/* What is wrong with an entry, NULL: nothing. */
static const char *
entry_fault(const struct gy_check_run *run, const struct gy_entry *entry,
            const struct gy_entry *separator)
{
    const struct gy_partition *partition = run->partition;

    if (entry->key.size == 0 || gy_tag_kind(entry->tag) > GY_KIND_PUT) {
        return "an entry with an empty key or of an unknown kind";
    }
    if (run->last_size != 0 && gy_entry_compare(gyre_slice(run->keys[2], run->last_size),
                                                run->last_tag, entry->key, entry->tag) >= 0) {
        return "entries are out of order";
    }
    if (separator != NULL &&
        gy_entry_compare(entry->key, entry->tag, separator->key, separator->tag) > 0) {
        return "an entry lies beyond what the index says of its block";
    }
    if (partition != NULL && partition->filter_size != 0 &&
        !gy_filter_may_contain(partition->filter, partition->filter_size, partition->probes,
                               gy_filter_hash(entry->key))) {
        return "the filter denies a key that is there";
    }
    return NULL;
}

static bool
take_entry(struct gy_check_run *run, const struct gy_entry *entry)
{
    if (run->last_size == 0) {
        run->first_differs = gy_key_compare(entry->key, run->table->meta.smallest) != 0;
    }
    run->check->entry_count++;
    run->delete_count += gy_tag_kind(entry->tag) == GY_KIND_DELETE;
    run->content_hash += gy_entry_hash(entry);
    remember(run, entry);
    if (run->check->each != NULL) {
        run->stopped = run->check->each(run->check->arg, entry);
    }
    return run->stopped == GYRE_OK;
}

void
gy_check_await_entries(struct gy_check_run *run, const uint8_t *bytes,
                       struct gy_block_handle handle, const struct gy_block_trailer *trailer,
                       const struct gy_entry *separator)
{
    struct gy_block_iter iter;
    struct gy_block block;
    const char *fault = NULL;

    if (trailer->compression != GY_BLOCK_RAW) {
        const gyre_status st =
            gy_decompress(gy_cache_compressor(run->table->set->cache), run->raw, trailer->raw_size,
                          bytes, handle.size - GY_BLOCK_TRAILER_SIZE);

        if (st == GYRE_NO_MEMORY) {
            run->stopped = gy_fail(&run->table->set->loop->sched, st, "no memory to check a table");
            return;
        }
        if (st != GYRE_OK) {
            gy_check_damage_at(run, handle.offset, "block does not decompress");
            return;
        }
        bytes = run->raw;
    }
    if (gy_block_open(bytes, trailer->raw_size, &block) != GYRE_OK ||
        gy_block_verify(&block) != GYRE_OK) {
        gy_check_damage_at(run, handle.offset, "a block does not decode");
        return;
    }
    gy_block_iter_init(&iter, &block, run->keys[0], GY_KEY_SIZE_MAX);
    for (gy_block_iter_first(&iter); iter.valid; gy_block_iter_next(&iter)) {
        const char *one = entry_fault(run, &iter.entry, separator);

        if (one != NULL) {
            fault = one;
            continue; /* out of its place: nobody could find it, and `each` relies on order */
        }
        if (!take_entry(run, &iter.entry)) {
            return;
        }
    }
    if (iter.corrupt) {
        fault = "a block does not decode";
    }
    if (fault != NULL) {
        gy_check_damage_at(run, handle.offset, fault);
    }
    gy_await_turn(&run->table->set->loop->sched);
}

/* ---- Partitions ---- */

GY_SUSPENDS static void
await_data_blocks(struct gy_check_run *run, uint64_t partition_offset)
{
    struct gy_block_iter iter;

    gy_block_iter_init(&iter, &run->partition->index, run->keys[1], GY_KEY_SIZE_MAX);
    for (gy_block_iter_first(&iter); iter.valid && run->stopped == GYRE_OK;
         gy_block_iter_next(&iter)) {
        struct gy_block_trailer trailer;
        struct gy_block_handle handle;
        const uint8_t *bytes;

        if (gy_block_handle_decode(iter.entry.value, run->file_size, &handle) != GYRE_OK) {
            gy_check_damage_at(run, partition_offset, "an index entry leads nowhere");
            continue;
        }
        bytes = await_block(run, &run->data, handle, GY_BLOCK_DATA, &trailer);
        if (bytes != NULL) {
            gy_check_await_entries(run, bytes, handle, &trailer, &iter.entry);
        }
    }
    if (iter.corrupt) {
        gy_check_damage_at(run, partition_offset, "an index does not decode");
    }
}

/* `start`: where the data blocks of this partition begin, if it cannot say so itself. */
GY_SUSPENDS static void
await_partition(struct gy_check_run *run, struct gy_block_handle handle, uint64_t start)
{
    struct gy_partition partition;
    struct gy_block_trailer trailer;
    const uint8_t *bytes = await_block(run, &run->index, handle, GY_BLOCK_PARTITION, &trailer);

    if (bytes != NULL && trailer.compression == GY_BLOCK_RAW &&
        gy_partition_open(bytes, trailer.raw_size, &partition) == GYRE_OK &&
        gy_block_verify(&partition.index) == GYRE_OK) {
        run->partition = &partition;
        run->partition_count++;
        await_data_blocks(run, handle.offset);
        run->partition = NULL;
        return;
    }
    if (bytes != NULL) {
        gy_check_damage_at(run, handle.offset, "a partition does not decode");
    }
    if (run->stopped == GYRE_OK) {
        gy_check_await_scan(run, start, handle.offset);
    }
}

GY_SUSPENDS static void
await_all_partitions(struct gy_check_run *run)
{
    const struct gy_footer *footer = &run->table->opened->footer;
    struct gy_block_iter iter;
    uint64_t start = 0;

    gy_block_iter_init(&iter, &run->table->opened->top, NULL, 0);
    for (gy_block_iter_first(&iter); iter.valid && run->stopped == GYRE_OK;
         gy_block_iter_next(&iter)) {
        struct gy_block_handle handle;

        if (gy_block_handle_decode(iter.entry.value, run->file_size, &handle) != GYRE_OK) {
            gy_check_damage_at(run, footer->top.offset, "an entry of the top index leads nowhere");
            continue;
        }
        await_partition(run, handle, start);
        start = gy_align_up(handle.offset + handle.size, GY_PAGE);
    }
    if (iter.corrupt) {
        gy_check_damage_at(run, footer->top.offset, "the top index does not decode");
    }
}

/* What only the whole can show. Without other damage only: what was passed over is missing from the
 * sums. */
static void
check_totals(struct gy_check_run *run)
{
    const struct gy_footer *footer = &run->table->opened->footer;
    const struct gy_table_meta *meta = &run->table->meta;

    if (run->check->damage_count != 0 || run->stopped != GYRE_OK) {
        return;
    }
    if (run->check->entry_count != footer->entry_count ||
        run->delete_count != footer->delete_count ||
        run->partition_count != footer->partition_count) {
        gy_check_damage_at(run, GY_NO_OFFSET, "counts differ from those in the footer");
    } else if (run->content_hash != footer->content_hash) {
        gy_check_damage_at(run, GY_NO_OFFSET, "the content differs from the hash in the footer");
    } else if (meta->largest.size != 0 && /* else salvage does not know it yet */
               (run->first_differs ||
                gy_key_compare(gyre_slice(run->keys[2], run->last_size), meta->largest) != 0)) {
        gy_check_damage_at(run, GY_NO_OFFSET,
                           "the first or last key is not the one that the manifest names");
    }
}

/* ---- Runs ---- */

static bool
run_init(struct gy_check_run *run)
{
    struct gy_heap *heap = heap_of(run);

    run->raw = gy_heap_alloc(heap, GY_BLOCK_SIZE_MAX, GY_MEM_CALL);
    for (uint32_t i = 0; i < 3; i++) {
        run->keys[i] = gy_heap_alloc(heap, GY_KEY_SIZE_MAX, GY_MEM_CALL);
    }
    if (run->raw == NULL || run->keys[0] == NULL || run->keys[1] == NULL || run->keys[2] == NULL) {
        run->stopped =
            gy_fail(&run->table->set->loop->sched, GYRE_NO_MEMORY, "no memory to check a table");
        return false;
    }
    return true;
}

static void
run_fini(struct gy_check_run *run)
{
    window_free(run, &run->data);
    window_free(run, &run->index);
    gy_heap_free(heap_of(run), run->raw);
    for (uint32_t i = 0; i < 3; i++) {
        gy_heap_free(heap_of(run), run->keys[i]);
    }
}

/* A table that cannot be opened: take what can be found between its first byte and its last. Its
 * file id is in the manifest, so blocks still prove that they belong to it. */
GY_SUSPENDS static void
await_unopened(struct gy_check_run *run)
{
    struct gy_table_set *set = run->table->set;
    struct gy_file file = GY_FILE_CLOSED;
    char name[GY_NAME_MAX];
    uint64_t size = 0;
    gyre_status st;

    gy_name_table(name, run->table->meta.number);
    st = gy_file_await_open(set->loop, set->dir, name, 0, GY_IO_SCRUB, &file);
    if (st == GYRE_OK) {
        st = gy_file_await_size(set->loop, &file, &size);
    }
    if (st == GYRE_OK && size >= GY_PAGE) {
        run->file = &file;
        run->file_size = gy_align_down(size, GY_PAGE);
        gy_check_await_scan(run, 0, run->file_size);
    }
    (void)gy_file_await_close(set->loop, &file);
}

gyre_status
gy_table_await_check(struct gy_table *table, struct gy_table_check *check)
{
    struct gy_check_run run = {.table = table, .check = check};
    gyre_status st;

    check->block_count = 0;
    check->entry_count = 0;
    check->byte_count = 0;
    check->damage_count = 0;
    if (!run_init(&run)) {
        run_fini(&run);
        return run.stopped;
    }
    st = gy_table_await_enter(table);
    if (st == GYRE_OK) {
        run.file = &table->opened->file;
        run.file_size = table->opened->footer.file_size;
        await_all_partitions(&run);
        check_totals(&run);
        gy_table_leave(table);
    } else if (st == GYRE_CORRUPT) {
        gy_check_damage(&run);
        if (check->each != NULL) {
            await_unopened(&run);
        }
        st = GYRE_OK;
    }
    run_fini(&run);
    return gy_first(st, run.stopped);
}
