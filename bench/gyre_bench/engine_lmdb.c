/* engine_lmdb.c - LMDB, a thread for each operation in flight. A B+tree in a memory map: no log and
 * nothing in the background; one writer at a time; reads are page faults, through the page cache.
 *
 * durability=durable: a commit syncs; buffered: MDB_NOSYNC with MDB_NOMETASYNC, which survives the
 * death of the process but may leave a damaged file after a power cut, unlike Gyre's. MDB_NORDAHEAD
 * as its documentation advises for data larger than memory and random reads.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/gyre_bench/peer.h"
#include "bench/gyre_bench/threads.h"

#ifndef GYRE_BENCH_LMDB

static struct engine *
mdb_engine_open(const struct engine_settings *settings, char *error)
{
    (void)settings;
    return peer_missing("LMDB", "liblmdb-dev", error);
}

const struct engine_type engine_lmdb = {.name = "lmdb",
                                        .help = "LMDB (not built in)",
                                        .abilities = UINT32_MAX,
                                        .open = mdb_engine_open};

#else

#include <lmdb.h>

#define FUNCTIONS(X)          \
    X(mdb_strerror)           \
    X(mdb_env_create)         \
    X(mdb_env_open)           \
    X(mdb_env_close)          \
    X(mdb_env_sync)           \
    X(mdb_env_set_mapsize)    \
    X(mdb_env_set_maxreaders) \
    X(mdb_txn_begin)          \
    X(mdb_txn_commit)         \
    X(mdb_txn_abort)          \
    X(mdb_txn_reset)          \
    X(mdb_txn_renew)          \
    X(mdb_dbi_open)           \
    X(mdb_get)                \
    X(mdb_put)                \
    X(mdb_del)                \
    X(mdb_cursor_open)        \
    X(mdb_cursor_close)       \
    X(mdb_cursor_get)
PEER_DECLARE(FUNCTIONS)

struct lmdb {
    struct engine engine;
    MDB_env *env;
    MDB_dbi dbi;
    bool is_durable;
    uint64_t map_size;
};

/* Of a slot. */
struct lmdb_slot {
    MDB_txn *read;      /* reset while nothing is read */
    MDB_cursor *cursor; /* of a walk, which holds its transaction */
    MDB_txn *walk;
    bool is_positioned;
};

/* ---- Opening ---- */

static struct engine *
give_up(struct lmdb *lmdb, const char *path, int code, char *error)
{
    (void)snprintf(error, ENGINE_ERROR_MAX, "%s: %s", path, api.mdb_strerror(code));
    if (lmdb->env != NULL) {
        api.mdb_env_close(lmdb->env);
    }
    free(lmdb);
    return NULL;
}

static int
open_environment(struct lmdb *lmdb, const struct engine_settings *settings)
{
    const unsigned int flags =
        MDB_NORDAHEAD | MDB_NOTLS | (lmdb->is_durable ? 0 : MDB_NOSYNC | MDB_NOMETASYNC);
    MDB_txn *txn = NULL;
    int code = api.mdb_env_create(&lmdb->env);

    if (code == 0) {
        code = api.mdb_env_set_mapsize(lmdb->env, lmdb->map_size);
    }
    if (code == 0) {
        code = api.mdb_env_set_maxreaders(lmdb->env, (unsigned int)settings->slot_count + 16);
    }
    if (code == 0) {
        code = api.mdb_env_open(lmdb->env, settings->path, flags, 0666);
    }
    if (code == 0) {
        code = api.mdb_txn_begin(lmdb->env, NULL, 0, &txn);
    }
    if (code == 0) {
        code = api.mdb_dbi_open(txn, NULL, 0, &lmdb->dbi);
    }
    return code == 0 ? api.mdb_txn_commit(txn) : code;
}

static struct engine *
mdb_engine_open(const struct engine_settings *settings, char *error)
{
    struct lmdb *lmdb = NULL;
    int code;

    if (!peer_load(GYRE_BENCH_LMDB, "liblmdb-dev", peer_symbols,
                   sizeof(peer_symbols) / sizeof(peer_symbols[0]), error)) {
        return NULL;
    }
    lmdb = calloc(1, sizeof(*lmdb));
    if (lmdb == NULL) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "no memory");
        return NULL;
    }
    lmdb->engine.type = &engine_lmdb;
    lmdb->is_durable = settings->durability == DURABILITY_DURABLE;
    lmdb->map_size =
        (settings->records * (settings->record_size + 64) * 4 + (1u << 30)) >> 20 << 20;
    if (settings->must_create && mkdir(settings->path, 0777) != 0 && errno != EEXIST) {
        return give_up(lmdb, settings->path, errno, error);
    }
    code = open_environment(lmdb, settings);
    return code == 0 ? &lmdb->engine : give_up(lmdb, settings->path, code, error);
}

static bool
mdb_engine_close(struct engine *engine)
{
    struct lmdb *lmdb = (struct lmdb *)engine;
    const int code = api.mdb_env_sync(lmdb->env, 1);

    api.mdb_env_close(lmdb->env);
    free(lmdb);
    (void)code; /* what is not synced is a question of durability, not of this run */
    return true;
}

static void
mdb_engine_describe(struct engine *engine, char *text, size_t capacity)
{
    const struct lmdb *lmdb = (const struct lmdb *)engine;

    (void)snprintf(text, capacity,
                   "library=%s page_cache=yes mmap=yes map_size=%llu flags=NORDAHEAD,NOTLS%s",
                   GYRE_BENCH_LMDB, (unsigned long long)lmdb->map_size,
                   lmdb->is_durable ? "" : ",NOSYNC,NOMETASYNC");
}

/* ---- Operations ---- */

static MDB_val
val_of(struct gyre_slice slice)
{
    return (MDB_val){.mv_size = slice.size, .mv_data = (void *)(uintptr_t)slice.data};
}

static int
read_keys(struct lmdb *lmdb, struct slot *slot, MDB_txn *txn)
{
    int code = 0;

    for (uint32_t i = 0; i < slot->op.count && code == 0; i++) {
        MDB_val key = val_of(slot->op.keys[i]);
        MDB_val value;

        code = api.mdb_get(txn, lmdb->dbi, &key, &value);
        if (code == 0) {
            slot_value(slot, i, gyre_slice(value.mv_data, value.mv_size));
        } else if (code == MDB_NOTFOUND) {
            slot_absent(slot);
            code = 0;
        }
    }
    return code;
}

static int
get(struct lmdb *lmdb, struct slot *slot)
{
    struct lmdb_slot *state = slot->engine_state;
    int code = api.mdb_txn_renew(state->read);

    if (code == 0) {
        code = read_keys(lmdb, slot, state->read);
        api.mdb_txn_reset(state->read);
    }
    return code;
}

static int
write(struct lmdb *lmdb, struct slot *slot)
{
    const struct op *op = &slot->op;
    MDB_txn *txn;
    int code = api.mdb_txn_begin(lmdb->env, NULL, 0, &txn);

    if (code != 0) {
        return code;
    }
    if (op->kind == OP_MODIFY) {
        code = read_keys(lmdb, slot, txn);
    }
    for (uint32_t i = 0; i < op->count && code == 0; i++) {
        MDB_val key = val_of(op->keys[i]);
        MDB_val value = val_of(op->values[i]);

        if (op->kind == OP_DELETE) {
            code = api.mdb_del(txn, lmdb->dbi, &key, NULL);
            code = code == MDB_NOTFOUND ? 0 : code;
        } else {
            code = api.mdb_put(txn, lmdb->dbi, &key, &value, 0);
        }
    }
    if (code != 0) {
        api.mdb_txn_abort(txn);
        return code;
    }
    return api.mdb_txn_commit(txn);
}

static int
seek(struct lmdb *lmdb, struct slot *slot)
{
    struct lmdb_slot *state = slot->engine_state;
    MDB_cursor *cursor;
    MDB_val key = val_of(slot->op.keys[0]);
    MDB_val value;
    int code = api.mdb_txn_renew(state->read);

    if (code == 0) {
        code = api.mdb_cursor_open(state->read, lmdb->dbi, &cursor);
    }
    if (code == 0) {
        code = api.mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        for (uint32_t i = 1; code == 0; i++) {
            slot_row(slot, gyre_slice(key.mv_data, key.mv_size),
                     gyre_slice(value.mv_data, value.mv_size));
            if (i >= slot->op.count) {
                break;
            }
            code = api.mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
        api.mdb_cursor_close(cursor);
    }
    api.mdb_txn_reset(state->read);
    return code == MDB_NOTFOUND ? 0 : code;
}

static int
begin_walk(struct lmdb_slot *state, const struct op *op, MDB_val *key, MDB_val *value)
{
    const struct gyre_slice start = op->is_reverse ? op->walk_upper : op->walk_lower;
    int code = MDB_NOTFOUND;

    if (start.data == NULL) {
        return api.mdb_cursor_get(state->cursor, key, value, op->is_reverse ? MDB_LAST : MDB_FIRST);
    }
    *key = val_of(start);
    code = api.mdb_cursor_get(state->cursor, key, value, MDB_SET_RANGE);
    if (op->is_reverse) {
        code = api.mdb_cursor_get(state->cursor, key, value, code == 0 ? MDB_PREV : MDB_LAST);
    }
    return code;
}

static int
walk(struct slot *slot)
{
    struct lmdb_slot *state = slot->engine_state;
    struct op *op = &slot->op;
    const struct gyre_slice bound = op->is_reverse ? op->walk_lower : op->walk_upper;
    int code = 0;

    for (uint32_t i = 0; i < op->count && code == 0 && !op->at_end; i++) {
        MDB_val key;
        MDB_val value;

        code = state->is_positioned ? api.mdb_cursor_get(state->cursor, &key, &value,
                                                         op->is_reverse ? MDB_PREV : MDB_NEXT)
                                    : begin_walk(state, op, &key, &value);
        state->is_positioned = true;
        op->at_end = code == MDB_NOTFOUND ||
                     (code == 0 && bound.data != NULL &&
                      (memcmp(key.mv_data, bound.data, bound.size) < 0) == op->is_reverse);
        if (code == 0 && !op->at_end) {
            slot_row(slot, gyre_slice(key.mv_data, key.mv_size),
                     gyre_slice(value.mv_data, value.mv_size));
        }
    }
    state->is_positioned = !op->at_end;
    return code == MDB_NOTFOUND ? 0 : code;
}

/* ---- Slots ---- */

static int
open_slot(struct lmdb *lmdb, struct slot *slot)
{
    struct lmdb_slot *state = calloc(1, sizeof(*state));
    int code;

    slot->engine_state = state;
    if (state == NULL) {
        return ENOMEM;
    }
    code = api.mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &state->read);
    if (code == 0) {
        api.mdb_txn_reset(state->read);
    }
    if (code == 0 && workload_does(slot->stream->job->workload, ACTION_WALK)) {
        code = api.mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &state->walk);
        if (code == 0) {
            code = api.mdb_cursor_open(state->walk, lmdb->dbi, &state->cursor);
        }
    }
    return code;
}

static void
close_slot(struct engine *engine, struct slot *slot)
{
    struct lmdb_slot *state = slot->engine_state;

    (void)engine;
    if (state != NULL) {
        if (state->cursor != NULL) {
            api.mdb_cursor_close(state->cursor);
        }
        if (state->walk != NULL) {
            api.mdb_txn_abort(state->walk);
        }
        if (state->read != NULL) {
            api.mdb_txn_abort(state->read);
        }
        free(state);
        slot->engine_state = NULL;
    }
}

static bool
execute(struct engine *engine, struct slot *slot, char *error)
{
    struct lmdb *lmdb = (struct lmdb *)engine;
    int code = slot->engine_state == NULL ? open_slot(lmdb, slot) : 0;

    if (code == 0) {
        switch (slot->op.kind) {
        case OP_GET:
        case OP_MULTI_GET:
            code = get(lmdb, slot);
            break;
        case OP_SEEK:
            code = seek(lmdb, slot);
            break;
        case OP_WALK:
            code = walk(slot);
            break;
        default:
            code = write(lmdb, slot);
        }
    }
    if (code != 0) {
        (void)snprintf(error, RECORDER_ERROR_MAX, "%s", api.mdb_strerror(code));
    }
    return code == 0;
}

static bool
mdb_engine_run(struct engine *engine, struct crew *crew)
{
    return threads_run(engine, crew, execute, close_slot);
}

static void
mdb_engine_figures(struct engine *engine, struct figures *figures)
{
    (void)engine;
    (void)figures;
}

const struct engine_type engine_lmdb = {
    .name = "lmdb",
    .help = "LMDB, a thread for each operation in flight; page cache",
    .abilities = CAN_STORE | CAN_DELETE | CAN_WALK | CAN_SEEK | CAN_MISS | CAN_BUFFER | CAN_MANY |
                 IS_THREADED,
    .open = mdb_engine_open,
    .close = mdb_engine_close,
    .describe = mdb_engine_describe,
    .run = mdb_engine_run,
    .figures = mdb_engine_figures,
};

#endif
