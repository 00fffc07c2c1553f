/* write.c - put, delete, write, sync: admission, room, then one no-suspend section that stages the
 * commit in the log and adds it to the memtable, then the wait for the answer.
 *
 *   admission   db->pacer: the only place that slows writers
 *   room        a memtable that is not full, log space; both may wait, neither holds anything
 *               meanwhile
 *   section     reserve memtable memory, append to the log, add to the memtable: log order is
 *               memtable order
 *   answer      in log order; publishing is the log's `answered` moving on
 */
#include "engine/db/background.h"
#include "engine/db/begin.h"
#include "engine/db/db.h"
#include "engine/disk/wal_append.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

struct write_call {
    gyre_db *db;
    struct gy_wal_commit commit;
    uint64_t user_bytes;      /* keys and values */
    uint64_t waited_since_ns; /* 0: it has not waited */
    gyre_status status;
};

static void
note_wait(struct write_call *call)
{
    if (call->waited_since_ns == 0) {
        call->waited_since_ns = gy_loop_now(&call->db->loop->io);
    }
}

static gyre_status
refusal(gyre_db *db)
{
    if (db->read_only) {
        return gy_loop_fail(db->loop, GYRE_READ_ONLY, "the store was opened read-only");
    }
    if (db->manifest.poison != GYRE_OK) {
        return gy_loop_fail(db->loop, GYRE_READ_ONLY,
                            "a write of the manifest failed; reopen the store to write again");
    }
    if (db->has_wal && db->wal.poison != GYRE_OK) {
        return gy_loop_fail(db->loop, GYRE_READ_ONLY,
                            "the log failed; reopen the store to write again (%s)",
                            db->wal.poison_error.text);
    }
    return db->waiting != NULL ? gy_begin_refusal(db) : GYRE_OK;
}

/* A memtable that takes one more commit. Waits while all are full and being flushed; when flushing
 * fails, says why. */
static GY_SUSPENDS gyre_status
await_memtable(struct write_call *call)
{
    gyre_db *db = call->db;

    while (gy_memtable_used(db->view->active) >= db->options.memtable_size) {
        gyre_status status = refusal(db);

        if (status == GYRE_OK) {
            status = gy_db_rotate(db);
        }
        if (status == GYRE_OK) {
            continue;
        }
        if (status == GYRE_READ_ONLY || (status == GYRE_NO_MEMORY && db->view->frozen_count == 0)) {
            return status;
        }
        if (db->background_status != GYRE_OK) {
            *gy_sched_error(&db->loop->io.sched) = db->background_error;
            return db->background_status;
        }
        GY_SOMETIMES(writer_waited_for_memtable);
        note_wait(call);
        gy_db_kick(db);
        gy_waitq_await(&db->loop->io.sched, &db->room);
    }
    return refusal(db);
}

/* No memory for the commit: wait while memtables are being flushed, which gives some back. */
static GY_SUSPENDS gyre_status
await_memory(struct write_call *call)
{
    gyre_db *db = call->db;

    if (db->view->frozen_count == 0) {
        (void)gy_db_rotate(db); /* fails without memory for another memtable: nothing to wait for */
    }
    if (db->view->frozen_count == 0) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY,
                            "no memory for %llu bytes in the memtable; raise memory_limit",
                            (unsigned long long)call->user_bytes);
    }
    if (db->background_status != GYRE_OK) {
        *gy_sched_error(&db->loop->io.sched) = db->background_error;
        return db->background_status;
    }
    note_wait(call);
    gy_db_kick(db);
    gy_waitq_await(&db->loop->io.sched, &db->room);
    return GYRE_OK;
}

/* Room in memtable and log at the same time, and memory. After OK the caller does not suspend
 * before it has appended. */
static GY_SUSPENDS gyre_status
await_room(struct write_call *call)
{
    gyre_db *db = call->db;

    for (;;) {
        gyre_status status = await_memtable(call);

        if (status == GYRE_OK && db->has_wal && !gy_wal_try_reserve(&db->wal, call->commit.size)) {
            note_wait(call);
            status = gy_wal_await_reserve(&db->wal, call->commit.size);
        } else if (status == GYRE_OK) {
            if (gy_memtable_reserve(db->view->active, call->user_bytes, call->commit.count)) {
                return GYRE_OK;
            }
            status = await_memory(call);
        }
        if (status != GYRE_OK) {
            return status;
        }
    }
}

/* Add the operations to the memtable; their room is reserved. */
static void
apply(gyre_db *db, const struct gy_wal_commit *commit, uint64_t sequence)
{
    struct gy_memtable *memtable = db->view->active;
    struct gy_operation operation;
    size_t position = 0;

    if (commit->single != NULL) {
        operation = *commit->single;
        gy_memtable_add(memtable, operation.key, gy_tag(sequence, operation.kind), operation.value);
        db->counters.puts += operation.kind == GY_KIND_PUT;
        db->counters.deletes += operation.kind == GY_KIND_DELETE;
        return;
    }
    while (position < commit->operations.size) {
        const gyre_status status = gy_operation_decode(commit->operations, &position, &operation);

        gy_assert(status == GYRE_OK); /* our own encoding, in memory */
        gy_memtable_add(memtable, operation.key, gy_tag(sequence++, operation.kind),
                        operation.value);
        db->counters.puts += operation.kind == GY_KIND_PUT;
        db->counters.deletes += operation.kind == GY_KIND_DELETE;
    }
}

static gyre_status
reserve_memory(struct write_call *call)
{
    gyre_db *db = call->db;

    if (gy_memtable_reserve(db->view->active, call->user_bytes, call->commit.count)) {
        return GYRE_OK;
    }
    return gy_loop_fail(db->loop, GYRE_NO_MEMORY,
                        "no memory for %llu bytes in the memtable; raise memory_limit",
                        (unsigned long long)call->user_bytes);
}

/* Its turn, a memtable and log space, all at the same time (await_room for a large one). */
static GY_SUSPENDS gyre_status
await_room_large(struct write_call *call)
{
    gyre_db *db = call->db;

    for (;;) {
        gyre_status status = await_memtable(call);

        if (status == GYRE_OK && db->large_write) {
            gy_waitq_await(&db->loop->io.sched, &db->room);
        } else if (status == GYRE_OK && !gy_wal_has_room_large(&db->wal, call->commit.size)) {
            status = gy_wal_await_space(&db->wal, call->commit.size);
        } else if (status == GYRE_OK) {
            return reserve_memory(call);
        }
        if (status != GYRE_OK) {
            return status;
        }
    }
}

/* One commit at a time goes in parts; the active memtable stays meanwhile, so that what was
 * reserved in it is still there. */
static GY_SUSPENDS gyre_status
await_commit_large(struct write_call *call, uint64_t *ret_sequence)
{
    gyre_db *db = call->db;
    gyre_status status;

    note_wait(call);
    status = await_room_large(call);
    if (status != GYRE_OK) {
        return status;
    }
    db->large_write = true;
    status = gy_wal_await_append_large(&db->wal, &call->commit, ret_sequence);
    if (status == GYRE_OK) {
        GY_COMMITTED(db, *ret_sequence, call->commit.count);
        status = reserve_memory(call); /* smaller commits may have come in between */
        if (status != GYRE_OK) {
            gy_wal_poison(&db->wal, status); /* logged, but cannot be shown: only a reopen can */
        }
    }
    if (status == GYRE_OK) {
        apply(db, &call->commit, *ret_sequence);
    }
    db->large_write = false;
    gy_waitq_wake_all(&db->room);
    gy_waitq_wake_all(&db->installed); /* who waits for a flush could not freeze this memtable */
    return status;
}

static GY_SUSPENDS gyre_status
await_commit(struct write_call *call)
{
    gyre_db *db = call->db;
    uint64_t sequence = 0;
    gyre_status status;

    if (db->has_wal && gy_wal_is_large(&db->wal, call->commit.size)) {
        status = await_commit_large(call, &sequence);
        return status != GYRE_OK ? status
                                 : gy_wal_await_answer(&db->wal, sequence + call->commit.count - 1);
    }
    status = await_room(call);
    if (status != GYRE_OK) {
        return status;
    }
    if (!db->has_wal) {
        sequence = db->sequence + 1;
        db->sequence += call->commit.count;
        GY_COMMITTED(db, sequence, call->commit.count);
        apply(db, &call->commit, sequence);
        return GYRE_OK;
    }
    sequence = gy_wal_append(&db->wal, &call->commit);
    GY_COMMITTED(db, sequence, call->commit.count);
    if (GY_MUTANT(yield_between_log_and_memtable)) {
        gy_await_yield(&db->loop->io.sched);
    }
    apply(db, &call->commit, sequence);
    sequence += call->commit.count - 1;
    if (db->wal.answered >= sequence) {
        return GYRE_OK;
    }
    note_wait(call);
    return gy_wal_await_answer(&db->wal, sequence);
}

static void
write_run(void *arg)
{
    struct write_call *call = arg;
    gyre_db *db = call->db;

    gy_in_coroutine();
    gy_db_enter(db);
    call->status = refusal(db);
    if (call->status == GYRE_OK && !gy_pacer_try_admit(&db->pacer, call->user_bytes)) {
        note_wait(call);
        gy_pacer_await_admit(&db->pacer, call->user_bytes);
        if (db->state != GY_DB_OPEN) {
            call->status = gy_loop_fail(db->loop, GYRE_CLOSED, "the store is closing");
        }
    }
    if (call->status == GYRE_OK) {
        call->status = await_commit(call);
    }
    if (call->status == GYRE_OK) {
        db->counters.user_bytes_written += call->user_bytes;
        if (call->waited_since_ns != 0) {
            const uint64_t ns = gy_loop_now(&db->loop->io) - call->waited_since_ns;

            db->counters.write_ns_max = gy_max_u64(db->counters.write_ns_max, ns);
        }
    }
    gy_db_leave(db);
    gy_await_turn(&db->loop->io.sched); /* a caller that never has to wait lets others run too */
}

static gyre_status
resolve_class(gyre_db *db, const struct gyre_write_options *options, enum gy_wal_class *ret_class)
{
    struct gyre_write_options o = {0};
    uint32_t durability;

    if (options != NULL) {
        const gyre_status status =
            gy_options_copy(db->loop, "write options", options, &o, sizeof(o));

        if (status != GYRE_OK) {
            return status;
        }
    }
    if (o.deadline_ns != 0 || o.durability > GYRE_BUFFERED) {
        return gy_loop_fail(db->loop, GYRE_INVALID,
                            "write options: durability must be DURABLE or BUFFERED, deadline_ns 0");
    }
    durability = o.durability != GYRE_DURABILITY_DEFAULT ? o.durability : db->options.durability;
    *ret_class = durability == GYRE_BUFFERED ? GY_WAL_BUFFERED : GY_WAL_DURABLE;
    return GYRE_OK;
}

static gyre_status
write_call(gyre_db *db, const struct gyre_write_options *options, struct write_call *call)
{
    gyre_status status = resolve_class(db, options, &call->commit.klass);

    if (status != GYRE_OK) {
        return status;
    }
    if (call->commit.size > gy_wal_commit_max(db->options.wal_slot_size)) {
        return gy_loop_fail(db->loop, GYRE_INVALID,
                            "a commit of %zu bytes does not fit into a log file of %llu; raise "
                            "wal_slot_size",
                            call->commit.size, (unsigned long long)db->options.wal_slot_size);
    }
    call->db = db;
    status = gy_call(db->loop, "write", write_run, call);
    return status != GYRE_OK ? status : call->status;
}

static gyre_status
write_one(gyre_db *db, const struct gyre_write_options *options,
          const struct gy_operation *operation)
{
    struct write_call call = {0};
    gyre_status status = gy_db_check(db);
    uint64_t value_max;

    if (status != GYRE_OK) {
        return status;
    }
    if (operation->key.data == NULL || operation->key.size < 1 ||
        operation->key.size > GYRE_KEY_SIZE_MAX) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "a key has 1 to %u bytes, this one has %zu",
                            GYRE_KEY_SIZE_MAX, operation->key.size);
    }
    value_max = gy_min_u64(GYRE_VALUE_SIZE_MAX, db->loop->memory_limit / 8);
    if (operation->value.size > value_max ||
        (operation->value.data == NULL && operation->value.size > 0)) {
        return gy_loop_fail(db->loop, GYRE_INVALID,
                            "a value has at most %llu bytes here (16 MiB, memory_limit / 8), this "
                            "one has %zu",
                            (unsigned long long)value_max, operation->value.size);
    }
    call.commit.single = operation;
    call.commit.size = gy_operation_size(operation);
    call.commit.count = 1;
    call.user_bytes = operation->key.size + operation->value.size;
    return write_call(db, options, &call);
}

gyre_status
gyre_put(gyre_db *db, const struct gyre_write_options *options, struct gyre_slice key,
         struct gyre_slice value)
{
    const struct gy_operation operation = {
        .kind = GY_KIND_PUT, .keyspace = GY_KEYSPACE_DEFAULT, .key = key, .value = value};

    return write_one(db, options, &operation);
}

gyre_status
gyre_delete(gyre_db *db, const struct gyre_write_options *options, struct gyre_slice key)
{
    const struct gy_operation operation = {
        .kind = GY_KIND_DELETE, .keyspace = GY_KEYSPACE_DEFAULT, .key = key};

    return write_one(db, options, &operation);
}

gyre_status
gyre_write(gyre_db *db, const struct gyre_write_options *options, const gyre_batch *batch)
{
    struct write_call call = {0};
    gyre_status status = gy_db_check(db);

    if (status != GYRE_OK) {
        return status;
    }
    if (batch == NULL) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "gyre_write: the batch is NULL");
    }
    call.commit.operations = gy_batch_bytes(batch);
    call.commit.size = call.commit.operations.size;
    call.commit.count = gyre_batch_count(batch);
    call.user_bytes = gy_batch_user_bytes(batch);
    if (call.commit.size > db->loop->memory_limit / 4) {
        return gy_loop_fail(db->loop, GYRE_INVALID,
                            "a batch of %zu bytes: at most memory_limit / 4", call.commit.size);
    }
    if (call.commit.count == 0) {
        return refusal(db);
    }
    status = write_call(db, options, &call);
    db->counters.batches += status == GYRE_OK;
    return status;
}

struct sync_call {
    gyre_db *db;
    gyre_status status;
};

static void
sync_run(void *arg)
{
    struct sync_call *call = arg;
    gyre_db *db = call->db;

    gy_in_coroutine();
    gy_db_enter(db);
    if (db->has_wal) {
        call->status = gy_wal_await_sync(&db->wal);
    } else if (!db->read_only) {
        call->status = gy_db_await_flushed(db, db->sequence); /* NOWAL: tables are all there is */
    }
    gy_db_leave(db);
}

gyre_status
gyre_sync(gyre_db *db)
{
    struct sync_call call = {.db = db, .status = GYRE_OK};
    gyre_status status = gy_db_check(db);

    if (status == GYRE_OK) {
        status = gy_call(db->loop, "sync", sync_run, &call);
    }
    return status != GYRE_OK ? status : call.status;
}
