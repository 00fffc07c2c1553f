/* engine_rocksdb.c - RocksDB through its C library, a thread for each operation in flight.
 *
 * Configured as its tuning guide recommends for a fast local disk, and with what Gyre has: the same
 * block cache, write buffers of the same size and number, filters, compression by level, and
 * durability; direct I/O for reads, flush and compaction; index and filters inside the cache's
 * budget. options= takes RocksDB's own option text on top.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/gyre_bench/peer.h"
#include "bench/gyre_bench/threads.h"

#ifndef GYRE_BENCH_ROCKSDB

static struct engine *
rocks_open(const struct engine_settings *settings, char *error)
{
    (void)settings;
    return peer_missing("RocksDB", "librocksdb-dev", error);
}

const struct engine_type engine_rocksdb = {.name = "rocksdb",
                                           .help = "RocksDB (not built in)",
                                           .abilities = UINT32_MAX,
                                           .open = rocks_open};

#else

#include "bench/gyre_bench/engine_rocksdb_api.h"

PEER_DECLARE(ROCKSDB_FUNCTIONS)

#define LEVELS 7

struct rocks {
    struct engine engine;
    rocksdb_t *db;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
    rocksdb_column_family_handle_t *family;
    rocksdb_cache_t *cache;
    char configuration[ENGINE_TEXT_MAX];
};

/* Of a slot. */
struct rocks_slot {
    rocksdb_iterator_t *iterator;
    rocksdb_writebatch_t *batch;
    const char **keys;
    size_t *key_sizes;
    rocksdb_pinnableslice_t **values;
    char **errors;
    bool is_positioned;
};

/* ---- Opening ---- */

static void
set_compression(rocksdb_options_t *options, uint32_t compression)
{
    static const int by_level[LEVELS] = {rocksdb_no_compression,   rocksdb_no_compression,
                                         rocksdb_zstd_compression, rocksdb_zstd_compression,
                                         rocksdb_zstd_compression, rocksdb_zstd_compression,
                                         rocksdb_zstd_compression};

    if (compression == COMPRESSION_DEFAULT) {
        api.rocksdb_options_set_compression_per_level(options, by_level, LEVELS);
    } else {
        api.rocksdb_options_set_compression(options, compression == COMPRESSION_ZSTD
                                                         ? rocksdb_zstd_compression
                                                         : rocksdb_no_compression);
    }
}

static rocksdb_options_t *
make_options(struct rocks *rocks, const struct engine_settings *settings)
{
    rocksdb_options_t *options = api.rocksdb_options_create();
    rocksdb_block_based_table_options_t *table = api.rocksdb_block_based_options_create();

    api.rocksdb_options_set_create_if_missing(options, settings->must_create);
    api.rocksdb_options_set_error_if_exists(options, settings->must_create);
    api.rocksdb_options_set_use_direct_reads(options, 1);
    api.rocksdb_options_set_use_direct_io_for_flush_and_compaction(options, 1);
    api.rocksdb_options_set_write_buffer_size(options, settings->memtable_size);
    api.rocksdb_options_set_max_write_buffer_number(options, 3);
    api.rocksdb_options_set_target_file_size_base(options, settings->memtable_size);
    api.rocksdb_options_set_max_bytes_for_level_base(options, 4 * settings->memtable_size);
    api.rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
    api.rocksdb_options_set_max_background_jobs(options, 2);
    api.rocksdb_options_set_max_open_files(options, -1);
    api.rocksdb_options_set_bytes_per_sync(options, 1 << 20);
    set_compression(options, settings->job->compression);
    rocks->cache = api.rocksdb_cache_create_lru(settings->cache_size);
    api.rocksdb_block_based_options_set_block_cache(table, rocks->cache);
    api.rocksdb_block_based_options_set_filter_policy(
        table, api.rocksdb_filterpolicy_create_bloom_full(10));
    api.rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    api.rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    api.rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
    api.rocksdb_block_based_options_set_format_version(table, 5);
    api.rocksdb_options_set_block_based_table_factory(options, table);
    api.rocksdb_block_based_options_destroy(table); /* the factory has copied it */
    return options;
}

static void
print_configuration(struct rocks *rocks, const struct engine_settings *settings)
{
    (void)snprintf(
        rocks->configuration, sizeof(rocks->configuration),
        "library=%s use_direct_reads=1 use_direct_io_for_flush_and_compaction=1 "
        "block_cache=%llu(lru) cache_index_and_filter_blocks=1(high priority, level 0 pinned) "
        "filter=bloom:10 format_version=5 write_buffer_size=%llu max_write_buffer_number=3 "
        "target_file_size_base=%llu max_bytes_for_level_base=%llu "
        "level_compaction_dynamic_level_bytes=1 max_background_jobs=2 max_open_files=-1 "
        "compression=%s durability=%s options=%s",
        GYRE_BENCH_ROCKSDB, (unsigned long long)settings->cache_size,
        (unsigned long long)settings->memtable_size, (unsigned long long)settings->memtable_size,
        4 * (unsigned long long)settings->memtable_size,
        settings->job->compression == COMPRESSION_DEFAULT ? "none,none,zstd..."
        : settings->job->compression == COMPRESSION_ZSTD  ? "zstd"
                                                          : "none",
        settings->durability == DURABILITY_DURABLE ? "sync=1"
        : settings->durability == DURABILITY_NOWAL ? "disableWAL=1"
                                                   : "sync=0",
        settings->job->options != NULL ? settings->job->options : "");
}

static struct engine *
rocks_open(const struct engine_settings *settings, char *error)
{
    struct rocks *rocks = NULL;
    rocksdb_options_t *options;
    char *failure = NULL;

    if (!peer_load(GYRE_BENCH_ROCKSDB, "librocksdb-dev", peer_symbols,
                   sizeof(peer_symbols) / sizeof(peer_symbols[0]), error)) {
        return NULL;
    }
    rocks = calloc(1, sizeof(*rocks));
    if (rocks == NULL) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "no memory");
        return NULL;
    }
    rocks->engine.type = &engine_rocksdb;
    options = make_options(rocks, settings);
    if (settings->job->options != NULL) {
        api.rocksdb_get_options_from_string(options, settings->job->options, options, &failure);
    }
    if (failure == NULL) {
        static const char *const names[] = {"default"};
        const rocksdb_options_t *family_options = options;

        rocks->db = api.rocksdb_open_column_families(options, settings->path, 1, names,
                                                     &family_options, &rocks->family, &failure);
    }
    api.rocksdb_options_destroy(options);
    if (failure != NULL) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "%s: %s", settings->path, failure);
        api.rocksdb_free(failure);
        api.rocksdb_cache_destroy(rocks->cache);
        free(rocks);
        return NULL;
    }
    rocks->read = api.rocksdb_readoptions_create();
    if (settings->job->readahead > 0) { /* else its own, which grows as an iterator goes on */
        api.rocksdb_readoptions_set_readahead_size(rocks->read, settings->job->readahead);
    }
    rocks->write = api.rocksdb_writeoptions_create();
    api.rocksdb_writeoptions_set_sync(rocks->write, settings->durability == DURABILITY_DURABLE);
    api.rocksdb_writeoptions_disable_WAL(rocks->write, settings->durability == DURABILITY_NOWAL);
    print_configuration(rocks, settings);
    return &rocks->engine;
}

static bool
rocks_close(struct engine *engine)
{
    struct rocks *rocks = (struct rocks *)engine;

    api.rocksdb_column_family_handle_destroy(rocks->family);
    api.rocksdb_close(rocks->db);
    api.rocksdb_readoptions_destroy(rocks->read);
    api.rocksdb_writeoptions_destroy(rocks->write);
    api.rocksdb_cache_destroy(rocks->cache);
    free(rocks);
    return true;
}

static void
rocks_describe(struct engine *engine, char *text, size_t capacity)
{
    (void)snprintf(text, capacity, "%s", ((struct rocks *)engine)->configuration);
}

/* ---- Operations ---- */

/* Take a failure's text. True when there is none. */
static bool
passed(char *failure, char *error)
{
    if (failure == NULL) {
        return true;
    }
    (void)snprintf(error, RECORDER_ERROR_MAX, "%s", failure);
    api.rocksdb_free(failure);
    return false;
}

static void
give_value(struct slot *slot, uint32_t i, rocksdb_pinnableslice_t *value)
{
    size_t size;
    const char *data;

    if (value == NULL) {
        slot_absent(slot);
        return;
    }
    data = api.rocksdb_pinnableslice_value(value, &size);
    slot_value(slot, i, gyre_slice(data, size));
    api.rocksdb_pinnableslice_destroy(value);
}

static bool
execute_get(struct rocks *rocks, struct slot *slot, char *error)
{
    const struct gyre_slice key = slot->op.keys[0];
    char *failure = NULL;
    rocksdb_pinnableslice_t *value =
        api.rocksdb_get_pinned(rocks->db, rocks->read, key.data, key.size, &failure);

    if (failure == NULL) {
        give_value(slot, 0, value);
    }
    return passed(failure, error);
}

/* A batch that is used again, as db_bench has it: rocksdb_put would make a new one each time. */
static bool
execute_put(struct rocks *rocks, struct slot *slot, char *error)
{
    rocksdb_writebatch_t *batch = ((struct rocks_slot *)slot->engine_state)->batch;
    const struct op *op = &slot->op;
    char *failure = NULL;

    api.rocksdb_writebatch_clear(batch);
    for (uint32_t i = 0; i < op->count; i++) {
        api.rocksdb_writebatch_put(batch, op->keys[i].data, op->keys[i].size, op->values[i].data,
                                   op->values[i].size);
    }
    api.rocksdb_write(rocks->db, rocks->write, batch, &failure);
    return passed(failure, error);
}

static bool
execute_multi_get(struct rocks *rocks, struct slot *slot, char *error)
{
    struct rocks_slot *state = slot->engine_state;
    const struct op *op = &slot->op;
    bool is_good = true;

    for (uint32_t i = 0; i < op->count; i++) {
        state->keys[i] = op->keys[i].data;
        state->key_sizes[i] = op->keys[i].size;
    }
    api.rocksdb_batched_multi_get_cf(rocks->db, rocks->read, rocks->family, op->count, state->keys,
                                     state->key_sizes, state->values, state->errors, false);
    for (uint32_t i = 0; i < op->count; i++) {
        is_good = passed(state->errors[i], error) && is_good;
        give_value(slot, i, state->values[i]);
    }
    return is_good;
}

static void
give_row(rocksdb_iterator_t *iterator, struct slot *slot)
{
    struct gyre_slice key;
    struct gyre_slice value;

    key.data = api.rocksdb_iter_key(iterator, &key.size);
    value.data = api.rocksdb_iter_value(iterator, &value.size);
    slot_row(slot, key, value);
}

/* Rows from where the iterator stands. False at the end. */
static bool
give_rows(rocksdb_iterator_t *iterator, struct slot *slot)
{
    for (uint32_t i = 1; api.rocksdb_iter_valid(iterator) != 0; i++) {
        give_row(iterator, slot);
        if (i >= slot->op.count) {
            return true;
        }
        if (slot->op.is_reverse) {
            api.rocksdb_iter_prev(iterator);
        } else {
            api.rocksdb_iter_next(iterator);
        }
    }
    return false;
}

static bool
execute_seek(struct rocks *rocks, struct slot *slot, char *error)
{
    struct rocks_slot *state = slot->engine_state;
    const struct gyre_slice key = slot->op.keys[0];
    rocksdb_iterator_t *iterator = state->iterator != NULL
                                       ? state->iterator
                                       : api.rocksdb_create_iterator(rocks->db, rocks->read);
    char *failure = NULL;

    api.rocksdb_iter_seek(iterator, key.data, key.size);
    (void)give_rows(iterator, slot);
    api.rocksdb_iter_get_error(iterator, &failure);
    if (state->iterator == NULL) {
        api.rocksdb_iter_destroy(iterator);
    }
    return passed(failure, error);
}

static void
begin_walk(rocksdb_iterator_t *iterator, const struct op *op)
{
    const struct gyre_slice start = op->is_reverse ? op->walk_upper : op->walk_lower;

    if (start.data != NULL) {
        api.rocksdb_iter_seek(iterator, start.data, start.size);
    } else if (!op->is_reverse) {
        api.rocksdb_iter_seek_to_first(iterator);
    }
    if (op->is_reverse && start.data != NULL && api.rocksdb_iter_valid(iterator) != 0) {
        api.rocksdb_iter_prev(iterator); /* the bound itself is not part of it */
    } else if (op->is_reverse) {
        api.rocksdb_iter_seek_to_last(iterator);
    }
}

/* Is the iterator within the part of the walk that is this slot's? */
static bool
is_inside(rocksdb_iterator_t *iterator, const struct op *op)
{
    const struct gyre_slice bound = op->is_reverse ? op->walk_lower : op->walk_upper;
    struct gyre_slice key;

    if (api.rocksdb_iter_valid(iterator) == 0) {
        return false;
    }
    if (bound.data == NULL) {
        return true;
    }
    key.data = api.rocksdb_iter_key(iterator, &key.size);
    return (memcmp(key.data, bound.data, bound.size) < 0) != op->is_reverse;
}

static bool
execute_walk(struct slot *slot, char *error)
{
    struct rocks_slot *state = slot->engine_state;
    struct op *op = &slot->op;
    char *failure = NULL;

    for (uint32_t i = 0; i < op->count; i++) {
        if (!state->is_positioned) {
            begin_walk(state->iterator, op);
            state->is_positioned = true;
        } else if (op->is_reverse) {
            api.rocksdb_iter_prev(state->iterator);
        } else {
            api.rocksdb_iter_next(state->iterator);
        }
        if (!is_inside(state->iterator, op)) {
            op->at_end = true;
            state->is_positioned = false;
            api.rocksdb_iter_get_error(state->iterator, &failure);
            break;
        }
        give_row(state->iterator, slot);
    }
    return passed(failure, error);
}

static bool
open_slot(struct rocks *rocks, struct slot *slot)
{
    struct rocks_slot *state = calloc(1, sizeof(*state));
    const struct stream *stream = slot->stream;
    const uint64_t n = stream->batch;

    slot->engine_state = state;
    if (state == NULL) {
        return false;
    }
    state->keys = calloc(n, sizeof(state->keys[0]));
    state->key_sizes = calloc(n, sizeof(state->key_sizes[0]));
    state->values = calloc(n, sizeof(state->values[0]));
    state->errors = calloc(n, sizeof(state->errors[0]));
    state->batch = api.rocksdb_writebatch_create();
    if (workload_does(stream->job->workload, ACTION_WALK) ||
        (workload_does(stream->job->workload, ACTION_SEEK) && stream->mix_count == 1)) {
        state->iterator = api.rocksdb_create_iterator(rocks->db, rocks->read);
    }
    return state->keys != NULL && state->key_sizes != NULL && state->values != NULL &&
           state->errors != NULL;
}

static void
close_slot(struct engine *engine, struct slot *slot)
{
    struct rocks_slot *state = slot->engine_state;

    (void)engine;
    if (state != NULL) {
        if (state->iterator != NULL) {
            api.rocksdb_iter_destroy(state->iterator);
        }
        api.rocksdb_writebatch_destroy(state->batch);
        free(state->keys);
        free(state->key_sizes);
        free(state->values);
        free(state->errors);
        free(state);
        slot->engine_state = NULL;
    }
}

static bool
execute(struct engine *engine, struct slot *slot, char *error)
{
    struct rocks *rocks = (struct rocks *)engine;
    char *failure = NULL;

    if (slot->engine_state == NULL && !open_slot(rocks, slot)) {
        (void)snprintf(error, RECORDER_ERROR_MAX, "no memory");
        return false;
    }
    switch (slot->op.kind) {
    case OP_GET:
        return execute_get(rocks, slot, error);
    case OP_MULTI_GET:
        return execute_multi_get(rocks, slot, error);
    case OP_PUT:
    case OP_BATCH:
        return execute_put(rocks, slot, error);
    case OP_DELETE:
        api.rocksdb_delete(rocks->db, rocks->write, slot->op.keys[0].data, slot->op.keys[0].size,
                           &failure);
        return passed(failure, error);
    case OP_MODIFY:
        return execute_get(rocks, slot, error) && execute_put(rocks, slot, error);
    case OP_SEEK:
        return execute_seek(rocks, slot, error);
    case OP_WALK:
        return execute_walk(slot, error);
    }
    return false;
}

static bool
rocks_run(struct engine *engine, struct crew *crew)
{
    return threads_run(engine, crew, execute, close_slot);
}

/* ---- Background ---- */

static uint64_t
property(const struct rocks *rocks, const char *name)
{
    uint64_t value = 0;

    return api.rocksdb_property_int(rocks->db, name, &value) == 0 ? value : 0;
}

static enum settle_result
rocks_settle(struct engine *engine)
{
    const struct rocks *rocks = (const struct rocks *)engine;
    uint32_t idle = 0;

    /* Twice in a row: between a flush and the compaction that it makes due, nothing is running. */
    while (idle < 2) {
        const bool is_busy = property(rocks, "rocksdb.num-running-compactions") != 0 ||
                             property(rocks, "rocksdb.num-running-flushes") != 0 ||
                             property(rocks, "rocksdb.compaction-pending") != 0 ||
                             property(rocks, "rocksdb.mem-table-flush-pending") != 0;

        if (crew_interrupted() != 0) {
            return SETTLE_INTERRUPTED;
        }
        idle = is_busy ? 0 : idle + 1;
        (void)usleep(10000);
    }
    return SETTLED;
}

static void
rocks_figures(struct engine *engine, struct figures *figures)
{
    const struct rocks *rocks = (const struct rocks *)engine;

    figure_add(figures, "compaction_debt",
               (double)property(rocks, "rocksdb.estimate-pending-compaction-bytes"), false);
    figure_add(figures, "table_bytes", (double)property(rocks, "rocksdb.live-sst-files-size"),
               false);
    figure_add(figures, "level0_tables", (double)property(rocks, "rocksdb.num-files-at-level0"),
               false);
    figure_add(figures, "memtable_bytes",
               (double)property(rocks, "rocksdb.cur-size-all-mem-tables"), false);
    figure_add(figures, "table_readers_bytes",
               (double)property(rocks, "rocksdb.estimate-table-readers-mem"), false);
    figure_add(figures, "cache_used", (double)property(rocks, "rocksdb.block-cache-usage"), false);
    figure_add(figures, "write_stopped", (double)property(rocks, "rocksdb.is-write-stopped"),
               false);
}

const struct engine_type engine_rocksdb = {
    .name = "rocksdb",
    .help = "RocksDB, a thread for each operation in flight",
    .abilities = CAN_STORE | CAN_DELETE | CAN_WALK | CAN_SEEK | CAN_MISS | CAN_BUFFER | CAN_NOWAL |
                 CAN_COMPRESS | CAN_SETTLE | CAN_MANY | IS_THREADED,
    .open = rocks_open,
    .close = rocks_close,
    .describe = rocks_describe,
    .run = rocks_run,
    .settle = rocks_settle,
    .figures = rocks_figures,
};

#endif
