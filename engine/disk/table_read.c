/* table_read.c - point reads of a table (O4 in table.h). */
#include <string.h>

#include "engine/disk/table_open.h"
#include "io/base/assert.h"
#include "io/base/checked.h"
#include "io/base/fail.h"
#include "io/base/ban.h"

gyre_status
gy_table_await_partition(struct gy_table *table, struct gy_block_handle handle,
                         enum gy_cache_hint hint, enum gy_io_class klass,
                         struct gy_block_pin *ret_pin, struct gy_partition *ret_partition)
{
    struct gy_cache *cache = table->set->cache;
    struct gy_block_pin pin;
    gyre_status st;

    if (!gy_cache_try(cache, table->cache_id, handle, GY_BLOCK_PARTITION, &pin)) {
        st = gy_cache_await_block(cache, &table->opened->source, handle, GY_BLOCK_PARTITION, hint,
                                  klass, &pin);
        if (st != GYRE_OK) {
            return st;
        }
    }
    if (gy_partition_open(pin.data, pin.size, ret_partition) != GYRE_OK) {
        gy_cache_unpin(cache, &pin);
        return gy_table_fail(table, GYRE_CORRUPT, handle.offset, "a partition does not decode");
    }
    *ret_pin = pin;
    return GYRE_OK;
}

/* The handle that an index gives for (key, tag). NOT_FOUND: all that it covers is smaller. */
static inline gyre_status
find_handle(struct gy_table *table, const struct gy_block *index, struct gyre_slice key,
            uint64_t tag, uint64_t index_offset, struct gy_block_handle *ret_handle)
{
    struct gy_block_found found;
    gyre_status st = gy_block_get(index, key, tag, &found);

    if (st == GYRE_OK) {
        st = gy_block_handle_decode(found.value, table->opened->footer.file_size, ret_handle);
    }
    if (st == GYRE_CORRUPT) {
        return gy_table_fail(table, st, index_offset, "an index does not decode");
    }
    return st;
}

/* Filter and index of a pinned partition. NOT_FOUND: the key is not here. */
static gyre_status
probe_partition(struct gy_table *table, const struct gy_partition *partition, struct gyre_slice key,
                uint64_t hash, uint64_t tag, uint64_t partition_offset,
                struct gy_block_handle *ret_handle)
{
    struct gy_table_stats *stats = &table->set->stats;
    struct gyre_trace *trace = table->set->loop->sched.trace;
    gyre_status st;

    if (partition->filter_size != 0) {
        stats->filter_checks++;
        if (gy_unlikely(trace != NULL)) {
            trace->filters_asked++;
        }
        if (!gy_filter_may_contain(partition->filter, partition->filter_size, partition->probes,
                                   hash)) {
            GY_SOMETIMES(filter_said_no);
            stats->filter_negatives++;
            if (gy_unlikely(trace != NULL)) {
                trace->filters_no++;
            }
            return GYRE_NOT_FOUND;
        }
    }
    st = find_handle(table, &partition->index, key, tag, partition_offset, ret_handle);
    if (st == GYRE_NOT_FOUND) { /* its own separator in the top index said otherwise */
        return gy_table_fail(table, GYRE_CORRUPT, partition_offset,
                             "an index does not reach as far as the top index says");
    }
    return st;
}

/* Look into the pinned data block; the pin goes to the result or is given back. */
static gyre_status
probe_data(struct gy_table *table, struct gy_block_pin *pin, struct gyre_slice key, uint64_t tag,
           uint64_t offset, struct gy_table_result *ret_result)
{
    struct gy_block_found found;
    struct gy_block block;
    gyre_status st = gy_block_open(pin->data, pin->size, &block);

    if (st == GYRE_OK) {
        st = gy_block_get(&block, key, tag, &found);
    }
    if (st == GYRE_OK && found.key_is_equal) {
        if (gy_tag_kind(found.tag) > GY_KIND_PUT) {
            gy_cache_unpin(table->set->cache, pin);
            return gy_table_fail(table, GYRE_UNSUPPORTED, offset, "an entry of an unknown kind");
        }
        ret_result->found = true;
        ret_result->tag = found.tag;
        ret_result->value = found.value;
        ret_result->pin = *pin;
        return GYRE_OK;
    }
    gy_cache_unpin(table->set->cache, pin);
    if (st == GYRE_CORRUPT) {
        return gy_table_fail(table, st, offset, "a block does not decode");
    }
    if (table->opened->footer.bloom_bits != 0) {
        GY_SOMETIMES(filter_erred);
    }
    table->set->stats.filter_false_positives += table->opened->footer.bloom_bits != 0;
    *ret_result = (struct gy_table_result){0};
    return GYRE_OK;
}

/* The table is entered. */
GY_SUSPENDS static gyre_status
await_probe(struct gy_table *table, struct gyre_slice key, uint64_t hash, uint64_t tag,
            enum gy_cache_hint hint, struct gy_table_result *ret_result)
{
    struct gy_cache *cache = table->set->cache;
    struct gy_block_handle partition_handle;
    struct gy_block_handle data_handle;
    struct gy_partition partition;
    struct gy_block_pin pin;
    gyre_status st;

    st = find_handle(table, &table->opened->top, key, tag, table->opened->footer.top.offset,
                     &partition_handle);
    if (st != GYRE_OK) {
        return st;
    }
    st = gy_table_await_partition(table, partition_handle, hint, GY_IO_READ, &pin, &partition);
    if (st != GYRE_OK) {
        return st;
    }
    st = probe_partition(table, &partition, key, hash, tag, partition_handle.offset, &data_handle);
    gy_cache_unpin(cache, &pin);
    if (st != GYRE_OK) {
        return st;
    }
    if (!gy_cache_try(cache, table->cache_id, data_handle, GY_BLOCK_DATA, &pin)) {
        st = gy_cache_await_block(cache, &table->opened->source, data_handle, GY_BLOCK_DATA, hint,
                                  GY_IO_READ, &pin);
        if (st != GYRE_OK) {
            return st;
        }
    }
    return probe_data(table, &pin, key, tag, data_handle.offset, ret_result);
}

gyre_status
gy_table_await_get(struct gy_table *table, struct gyre_slice key, uint64_t hash, uint64_t sequence,
                   enum gy_cache_hint hint, struct gy_table_result *ret_result)
{
    gyre_status st = gy_table_await_enter(table);

    if (st != GYRE_OK) {
        return st;
    }
    st = await_probe(table, key, hash, gy_tag_seek(sequence), hint, ret_result);
    gy_table_leave(table);
    if (st == GYRE_NOT_FOUND) {
        *ret_result = (struct gy_table_result){0};
        return GYRE_OK;
    }
    return st;
}

/* What gy_table_try_get finds out on its way. */
enum try_result { TRY_DONE, TRY_ABSENT, TRY_READ };

/* TRY_READ: a block is to be read first, or damaged: the reader who waits for it will say so. */
static enum try_result
try_probe(struct gy_table *table, struct gyre_slice key, uint64_t hash, uint64_t tag,
          struct gy_table_result *ret_result)
{
    struct gy_cache *cache = table->set->cache;
    struct gy_block_handle handle;
    struct gy_partition partition;
    struct gy_block_pin pin;
    gyre_status st = find_handle(table, &table->opened->top, key, tag,
                                 table->opened->footer.top.offset, &handle);

    if (st != GYRE_OK) {
        return st == GYRE_NOT_FOUND ? TRY_ABSENT : TRY_READ;
    }
    if (!gy_cache_try(cache, table->cache_id, handle, GY_BLOCK_PARTITION, &pin)) {
        return TRY_READ;
    }
    st = gy_partition_open(pin.data, pin.size, &partition);
    if (st == GYRE_OK) {
        st = probe_partition(table, &partition, key, hash, tag, handle.offset, &handle);
    }
    gy_cache_unpin(cache, &pin);
    if (st != GYRE_OK) {
        return st == GYRE_NOT_FOUND ? TRY_ABSENT : TRY_READ;
    }
    if (!gy_cache_try(cache, table->cache_id, handle, GY_BLOCK_DATA, &pin)) {
        return TRY_READ;
    }
    st = probe_data(table, &pin, key, tag, handle.offset, ret_result);
    return st == GYRE_OK ? TRY_DONE : TRY_READ;
}

bool
gy_table_try_get(struct gy_table *table, struct gyre_slice key, uint64_t hash, uint64_t sequence,
                 struct gy_table_result *ret_result)
{
    if (table->opened == NULL) {
        return false;
    }
    switch (try_probe(table, key, hash, gy_tag_seek(sequence), ret_result)) {
    case TRY_DONE:
        return true;
    case TRY_ABSENT:
        *ret_result = (struct gy_table_result){0};
        return true;
    default:
        return false;
    }
}

/* ---- Places and properties ---- */

GY_SUSPENDS static gyre_status
await_place(struct gy_table *table, struct gyre_slice key, uint64_t *ret_offset)
{
    const struct gy_footer *footer = &table->opened->footer;
    struct gy_block_handle handle;
    struct gy_partition partition;
    struct gy_block_pin pin;
    gyre_status st =
        find_handle(table, &table->opened->top, key, UINT64_MAX, footer->top.offset, &handle);

    if (st == GYRE_OK) {
        st = gy_table_await_partition(table, handle, GY_CACHE_NORMAL, GY_IO_READ, &pin, &partition);
        if (st != GYRE_OK) {
            return st;
        }
        st = find_handle(table, &partition.index, key, UINT64_MAX, handle.offset, &handle);
        gy_cache_unpin(table->set->cache, &pin);
    }
    if (st == GYRE_NOT_FOUND) { /* behind all entries */
        *ret_offset = footer->top.offset;
        return GYRE_OK;
    }
    if (st == GYRE_OK) {
        *ret_offset = handle.offset;
    }
    return st;
}

gyre_status
gy_table_await_offset(struct gy_table *table, struct gyre_slice key, uint64_t *ret_offset)
{
    gyre_status st = gy_table_await_enter(table);

    if (st == GYRE_OK) {
        st = await_place(table, key, ret_offset);
        gy_table_leave(table);
    }
    return st;
}

gyre_status
gy_table_await_footer(struct gy_table *table, struct gy_footer *ret_footer)
{
    const gyre_status st = gy_table_await_enter(table);

    if (st == GYRE_OK) {
        *ret_footer = table->opened->footer;
        gy_table_leave(table);
    }
    return st;
}
