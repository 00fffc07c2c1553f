/* engine_leveldb.c - LevelDB through its C library, a thread for each operation in flight.
 *
 * What it has of Gyre's options is set alike: block cache, write buffer, table size, filter, sync.
 * It has no direct I/O: it reads through mmap and the page cache, so memory that it does not own
 * works for it, and its figures are not comparable with those of a store that is held to its memory
 * unless the machine is held to it, too. Its compression is Snappy. It cannot say what is left to
 * compact.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/gyre_bench/peer.h"
#include "bench/gyre_bench/threads.h"

#ifndef GYRE_BENCH_LEVELDB

static struct engine *
level_open(const struct engine_settings *settings, char *error)
{
    (void)settings;
    return peer_missing("LevelDB", "libleveldb-dev", error);
}

const struct engine_type engine_leveldb = {.name = "leveldb",
                                           .help = "LevelDB (not built in)",
                                           .abilities = UINT32_MAX,
                                           .open = level_open};

#else

#include <leveldb/c.h>

#define FUNCTIONS(X)                         \
    X(leveldb_open)                          \
    X(leveldb_close)                         \
    X(leveldb_delete)                        \
    X(leveldb_write)                         \
    X(leveldb_get)                           \
    X(leveldb_free)                          \
    X(leveldb_property_value)                \
    X(leveldb_create_iterator)               \
    X(leveldb_iter_destroy)                  \
    X(leveldb_iter_valid)                    \
    X(leveldb_iter_seek)                     \
    X(leveldb_iter_seek_to_first)            \
    X(leveldb_iter_seek_to_last)             \
    X(leveldb_iter_next)                     \
    X(leveldb_iter_prev)                     \
    X(leveldb_iter_key)                      \
    X(leveldb_iter_value)                    \
    X(leveldb_iter_get_error)                \
    X(leveldb_writebatch_create)             \
    X(leveldb_writebatch_destroy)            \
    X(leveldb_writebatch_clear)              \
    X(leveldb_writebatch_put)                \
    X(leveldb_options_create)                \
    X(leveldb_options_destroy)               \
    X(leveldb_options_set_create_if_missing) \
    X(leveldb_options_set_error_if_exists)   \
    X(leveldb_options_set_write_buffer_size) \
    X(leveldb_options_set_max_open_files)    \
    X(leveldb_options_set_max_file_size)     \
    X(leveldb_options_set_cache)             \
    X(leveldb_options_set_filter_policy)     \
    X(leveldb_options_set_compression)       \
    X(leveldb_cache_create_lru)              \
    X(leveldb_cache_destroy)                 \
    X(leveldb_filterpolicy_destroy)          \
    X(leveldb_readoptions_destroy)           \
    X(leveldb_writeoptions_destroy)          \
    X(leveldb_filterpolicy_create_bloom)     \
    X(leveldb_readoptions_create)            \
    X(leveldb_writeoptions_create)           \
    X(leveldb_writeoptions_set_sync)
PEER_DECLARE(FUNCTIONS)

struct level {
    struct engine engine;
    leveldb_t *db;
    leveldb_readoptions_t *read;
    leveldb_writeoptions_t *write;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    char configuration[ENGINE_TEXT_MAX];
};

/* Of a slot. */
struct level_slot {
    leveldb_iterator_t *iterator;
    leveldb_writebatch_t *batch;
    bool is_positioned;
};

/* ---- Opening ---- */

static leveldb_options_t *
make_options(struct level *level, const struct engine_settings *settings)
{
    leveldb_options_t *options = api.leveldb_options_create();
    const bool is_plain = settings->job->compression == COMPRESSION_NONE;

    api.leveldb_options_set_create_if_missing(options, settings->must_create);
    api.leveldb_options_set_error_if_exists(options, settings->must_create);
    api.leveldb_options_set_write_buffer_size(options, settings->memtable_size);
    api.leveldb_options_set_max_file_size(options, settings->memtable_size);
    api.leveldb_options_set_max_open_files(options, 1000);
    level->cache = api.leveldb_cache_create_lru(settings->cache_size);
    level->filter = api.leveldb_filterpolicy_create_bloom(10);
    api.leveldb_options_set_cache(options, level->cache);
    api.leveldb_options_set_filter_policy(options, level->filter);
    api.leveldb_options_set_compression(options, is_plain ? leveldb_no_compression
                                                          : leveldb_snappy_compression);
    (void)snprintf(level->configuration, sizeof(level->configuration),
                   "library=%s block_cache=%llu page_cache=yes mmap=yes filter=bloom:10 "
                   "write_buffer_size=%llu max_file_size=%llu max_open_files=1000 compression=%s "
                   "sync=%d",
                   GYRE_BENCH_LEVELDB, (unsigned long long)settings->cache_size,
                   (unsigned long long)settings->memtable_size,
                   (unsigned long long)settings->memtable_size, is_plain ? "none" : "snappy",
                   settings->durability == DURABILITY_DURABLE);
    return options;
}

/* What outlives the store itself. */
static void
level_free(struct level *level)
{
    api.leveldb_cache_destroy(level->cache);
    api.leveldb_filterpolicy_destroy(level->filter);
    free(level);
}

static struct engine *
level_open(const struct engine_settings *settings, char *error)
{
    struct level *level = NULL;
    leveldb_options_t *options;
    char *failure = NULL;

    if (!peer_load(GYRE_BENCH_LEVELDB, "libleveldb-dev", peer_symbols,
                   sizeof(peer_symbols) / sizeof(peer_symbols[0]), error)) {
        return NULL;
    }
    level = calloc(1, sizeof(*level));
    if (level == NULL) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "no memory");
        return NULL;
    }
    level->engine.type = &engine_leveldb;
    options = make_options(level, settings);
    level->db = api.leveldb_open(options, settings->path, &failure);
    api.leveldb_options_destroy(options);
    if (failure != NULL) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "%s: %s", settings->path, failure);
        api.leveldb_free(failure);
        level_free(level);
        return NULL;
    }
    level->read = api.leveldb_readoptions_create();
    level->write = api.leveldb_writeoptions_create();
    api.leveldb_writeoptions_set_sync(level->write, settings->durability == DURABILITY_DURABLE);
    return &level->engine;
}

static bool
level_close(struct engine *engine)
{
    struct level *level = (struct level *)engine;

    api.leveldb_close(level->db);
    api.leveldb_readoptions_destroy(level->read);
    api.leveldb_writeoptions_destroy(level->write);
    level_free(level);
    return true;
}

static void
level_describe(struct engine *engine, char *text, size_t capacity)
{
    (void)snprintf(text, capacity, "%s", ((struct level *)engine)->configuration);
}

/* ---- Operations ---- */

static bool
passed(char *failure, char *error)
{
    if (failure == NULL) {
        return true;
    }
    (void)snprintf(error, RECORDER_ERROR_MAX, "%s", failure);
    api.leveldb_free(failure);
    return false;
}

static bool
execute_get(struct level *level, struct slot *slot, char *error)
{
    bool is_good = true;

    /* There is no call for many keys. */
    for (uint32_t i = 0; i < slot->op.count && is_good; i++) {
        const struct gyre_slice key = slot->op.keys[i];
        char *failure = NULL;
        size_t size;
        char *value = api.leveldb_get(level->db, level->read, key.data, key.size, &size, &failure);

        is_good = passed(failure, error);
        if (value != NULL) {
            slot_value(slot, i, gyre_slice(value, size));
            api.leveldb_free(value);
        } else if (is_good) {
            slot_absent(slot);
        }
    }
    return is_good;
}

/* A batch that is used again: leveldb_put would make a new one each time. */
static bool
execute_put(struct level *level, struct slot *slot, char *error)
{
    leveldb_writebatch_t *batch = ((struct level_slot *)slot->engine_state)->batch;
    const struct op *op = &slot->op;
    char *failure = NULL;

    api.leveldb_writebatch_clear(batch);
    for (uint32_t i = 0; i < op->count; i++) {
        api.leveldb_writebatch_put(batch, op->keys[i].data, op->keys[i].size, op->values[i].data,
                                   op->values[i].size);
    }
    api.leveldb_write(level->db, level->write, batch, &failure);
    return passed(failure, error);
}

static void
give_row(leveldb_iterator_t *iterator, struct slot *slot)
{
    struct gyre_slice key;
    struct gyre_slice value;

    key.data = api.leveldb_iter_key(iterator, &key.size);
    value.data = api.leveldb_iter_value(iterator, &value.size);
    slot_row(slot, key, value);
}

static bool
execute_seek(struct level *level, struct slot *slot, char *error)
{
    struct level_slot *state = slot->engine_state;
    const struct gyre_slice key = slot->op.keys[0];
    leveldb_iterator_t *iterator = state->iterator != NULL
                                       ? state->iterator
                                       : api.leveldb_create_iterator(level->db, level->read);
    char *failure = NULL;

    api.leveldb_iter_seek(iterator, key.data, key.size);
    for (uint32_t i = 1; api.leveldb_iter_valid(iterator) != 0; i++) {
        give_row(iterator, slot);
        if (i >= slot->op.count) {
            break;
        }
        api.leveldb_iter_next(iterator);
    }
    api.leveldb_iter_get_error(iterator, &failure);
    if (state->iterator == NULL) {
        api.leveldb_iter_destroy(iterator);
    }
    return passed(failure, error);
}

static void
begin_walk(leveldb_iterator_t *iterator, const struct op *op)
{
    const struct gyre_slice start = op->is_reverse ? op->walk_upper : op->walk_lower;

    if (start.data != NULL) {
        api.leveldb_iter_seek(iterator, start.data, start.size);
    } else if (!op->is_reverse) {
        api.leveldb_iter_seek_to_first(iterator);
    }
    if (op->is_reverse && start.data != NULL && api.leveldb_iter_valid(iterator) != 0) {
        api.leveldb_iter_prev(iterator); /* the bound itself is not part of it */
    } else if (op->is_reverse) {
        api.leveldb_iter_seek_to_last(iterator);
    }
}

/* Is the iterator within the part of the walk that is this slot's? */
static bool
is_inside(leveldb_iterator_t *iterator, const struct op *op)
{
    const struct gyre_slice bound = op->is_reverse ? op->walk_lower : op->walk_upper;
    struct gyre_slice key;

    if (api.leveldb_iter_valid(iterator) == 0) {
        return false;
    }
    if (bound.data == NULL) {
        return true;
    }
    key.data = api.leveldb_iter_key(iterator, &key.size);
    return (memcmp(key.data, bound.data, bound.size) < 0) != op->is_reverse;
}

static bool
execute_walk(struct slot *slot, char *error)
{
    struct level_slot *state = slot->engine_state;
    struct op *op = &slot->op;
    char *failure = NULL;

    for (uint32_t i = 0; i < op->count; i++) {
        if (!state->is_positioned) {
            begin_walk(state->iterator, op);
            state->is_positioned = true;
        } else if (op->is_reverse) {
            api.leveldb_iter_prev(state->iterator);
        } else {
            api.leveldb_iter_next(state->iterator);
        }
        if (!is_inside(state->iterator, op)) {
            op->at_end = true;
            state->is_positioned = false;
            api.leveldb_iter_get_error(state->iterator, &failure);
            break;
        }
        give_row(state->iterator, slot);
    }
    return passed(failure, error);
}

static bool
open_slot(struct level *level, struct slot *slot)
{
    struct level_slot *state = calloc(1, sizeof(*state));
    const struct stream *stream = slot->stream;

    slot->engine_state = state;
    if (state == NULL) {
        return false;
    }
    state->batch = api.leveldb_writebatch_create();
    if (workload_does(stream->job->workload, ACTION_WALK) ||
        (workload_does(stream->job->workload, ACTION_SEEK) && stream->mix_count == 1)) {
        state->iterator = api.leveldb_create_iterator(level->db, level->read);
    }
    return true;
}

static void
close_slot(struct engine *engine, struct slot *slot)
{
    struct level_slot *state = slot->engine_state;

    (void)engine;
    if (state != NULL) {
        if (state->iterator != NULL) {
            api.leveldb_iter_destroy(state->iterator);
        }
        api.leveldb_writebatch_destroy(state->batch);
        free(state);
        slot->engine_state = NULL;
    }
}

static bool
execute(struct engine *engine, struct slot *slot, char *error)
{
    struct level *level = (struct level *)engine;
    char *failure = NULL;

    if (slot->engine_state == NULL && !open_slot(level, slot)) {
        (void)snprintf(error, RECORDER_ERROR_MAX, "no memory");
        return false;
    }
    switch (slot->op.kind) {
    case OP_GET:
    case OP_MULTI_GET:
        return execute_get(level, slot, error);
    case OP_PUT:
    case OP_BATCH:
        return execute_put(level, slot, error);
    case OP_DELETE:
        api.leveldb_delete(level->db, level->write, slot->op.keys[0].data, slot->op.keys[0].size,
                           &failure);
        return passed(failure, error);
    case OP_MODIFY:
        return execute_get(level, slot, error) && execute_put(level, slot, error);
    case OP_SEEK:
        return execute_seek(level, slot, error);
    case OP_WALK:
        return execute_walk(slot, error);
    }
    return false;
}

static bool
level_run(struct engine *engine, struct crew *crew)
{
    return threads_run(engine, crew, execute, close_slot);
}

static void
level_figures(struct engine *engine, struct figures *figures)
{
    static const char *const names[] = {"level0_tables", "level1_tables", "level2_tables",
                                        "level3_tables"};
    struct level *level = (struct level *)engine;

    for (int i = 0; i < 4; i++) {
        char name[48];
        char *value;

        (void)snprintf(name, sizeof(name), "leveldb.num-files-at-level%d", i);
        value = api.leveldb_property_value(level->db, name);
        if (value != NULL) {
            figure_add(figures, names[i], strtod(value, NULL), false);
            api.leveldb_free(value);
        }
    }
}

const struct engine_type engine_leveldb = {
    .name = "leveldb",
    .help = "LevelDB, a thread for each operation in flight; page cache",
    .abilities = CAN_STORE | CAN_DELETE | CAN_WALK | CAN_SEEK | CAN_MISS | CAN_BUFFER |
                 CAN_COMPRESS | CAN_SETTLE | CAN_MANY | IS_THREADED,
    .open = level_open,
    .close = level_close,
    .describe = level_describe,
    .run = level_run,
    .settle = settle_when_quiet,
    .figures = level_figures,
};

#endif
