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
#include "engine/db/measure.h"
#include "engine/db/op.h"
#include "engine/db/room.h"
#include "engine/disk/wal_append.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

struct write_call {
    struct gy_room room;
    struct gy_wal_commit commit;
    const gyre_batch *batch; /* NULL: a single operation */
    bool is_taken;           /* the log (or the memtable) has it */
    gyre_status status;
};

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
    gyre_db *db = call->room.db;

    if (gy_memtable_reserve(db->view->active, call->room.user_bytes, call->commit.count)) {
        return GYRE_OK;
    }
    return gy_loop_fail(db->loop, GYRE_NO_MEMORY,
                        "no memory for %llu bytes in the memtable; raise memory_limit",
                        (unsigned long long)call->room.user_bytes);
}

/* Its turn, a memtable and log space, all at the same time (gy_room_await for a large one). */
static GY_SUSPENDS gyre_status
await_room_large(struct write_call *call)
{
    gyre_db *db = call->room.db;

    for (;;) {
        gyre_status status = gy_room_await_memtable(&call->room);

        if (status == GYRE_OK && db->large_write) {
            status = gy_room_await_turn(&call->room);
        } else if (status == GYRE_OK && !gy_wal_has_room_large(&db->wal, call->commit.size)) {
            status = gy_room_await_log_large(&call->room);
        } else if (status == GYRE_OK) {
            return reserve_memory(call);
        }
        status = status != GYRE_OK ? status : gy_room_check(&call->room);
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
    gyre_db *db = call->room.db;
    uint8_t *bytes = NULL;
    gyre_status status;

    if (!call->room.no_wait) { /* its parts are written one after the other in any case */
        gy_room_note_wait(&call->room);
    }
    status = await_room_large(call);
    if (status != GYRE_OK) {
        return status;
    }
    db->large_write = true;
    status = gy_wal_await_append_large(&db->wal, &call->commit, ret_sequence, &bytes);
    call->is_taken = status == GYRE_OK;
    if (status == GYRE_OK) {
        GY_COMMITTED(db, *ret_sequence, call->commit.count);
        status = reserve_memory(call); /* smaller commits may have come in between */
        if (status != GYRE_OK) {
            gy_wal_poison(&db->wal, status); /* logged, but cannot be shown: only a reopen can */
        }
    }
    if (status == GYRE_OK) { /* from the copy: the operation may have ended meanwhile (Q4) */
        const struct gy_wal_commit copy = {
            .operations = gyre_slice(bytes + gy_varint_size(call->commit.size), call->commit.size)};

        apply(db, &copy, *ret_sequence);
    }
    gy_heap_free(&db->loop->io.heap, bytes);
    db->large_write = false;
    gy_waitq_wake_all(&db->room);
    gy_waitq_wake_all(&db->installed); /* who waits for a flush could not freeze this memtable */
    return status;
}

static GY_SUSPENDS gyre_status
await_answer(gyre_db *db, uint64_t sequence)
{
    struct gy_sched *sched = &db->loop->io.sched;
    const enum gy_away before = gy_trace_begin_away(sched, GY_AWAY_LOG);
    const gyre_status status = gy_wal_await_answer(&db->wal, sequence);

    gy_trace_end_away(sched, before);
    return status;
}

static GY_SUSPENDS gyre_status
await_commit(struct write_call *call)
{
    gyre_db *db = call->room.db;
    uint64_t sequence = 0;
    gyre_status status;

    if (db->has_wal && gy_wal_is_large(&db->wal, call->commit.size)) {
        status = await_commit_large(call, &sequence);
        return status != GYRE_OK ? status : await_answer(db, sequence + call->commit.count - 1);
    }
    status = gy_room_await(&call->room);
    if (status != GYRE_OK) {
        return status;
    }
    if (!db->has_wal) {
        sequence = db->sequence + 1;
        db->sequence += call->commit.count;
        GY_COMMITTED(db, sequence, call->commit.count);
        apply(db, &call->commit, sequence);
        call->is_taken = true;
        gy_scope_note_maybe_done(&db->loop->io.sched);
        return GYRE_OK;
    }
    sequence = gy_wal_append(&db->wal, &call->commit);
    call->is_taken = true;
    gy_scope_note_maybe_done(&db->loop->io.sched);
    GY_COMMITTED(db, sequence, call->commit.count);
    if (GY_MUTANT(yield_between_log_and_memtable)) {
        gy_await_yield(&db->loop->io.sched);
    }
    apply(db, &call->commit, sequence);
    sequence += call->commit.count - 1;
    if (db->wal.answered >= sequence) {
        return GYRE_OK;
    }
    gy_room_note_wait(&call->room);
    return await_answer(db, sequence);
}

static void
write_run(void *arg)
{
    struct write_call *call = arg;
    gyre_db *db = call->room.db;

    gy_in_coroutine();
    gy_db_enter(db);
    call->status = gy_scope_check(&db->loop->io.sched);
    if (call->status == GYRE_OK) {
        call->status = gy_room_check(&call->room); /* before it waits for anything */
    }
    if (call->status == GYRE_OK) {
        call->status = gy_room_await_pace(&call->room);
    }
    if (call->status == GYRE_OK) {
        call->status = await_commit(call);
        if (!call->is_taken) {
            gy_pacer_refund(&db->pacer, call->room.user_bytes);
        }
    }
    if (call->status == GYRE_OK) {
        db->counters.user_bytes_written += call->room.user_bytes;
        gy_trace_note_bytes(&db->loop->io.sched, call->room.user_bytes);
        if (call->room.waited_since_ns != 0) {
            const uint64_t ns = gy_loop_now(&db->loop->io) - call->room.waited_since_ns;

            db->counters.write_ns_max = gy_max_u64(db->counters.write_ns_max, ns);
        }
    }
    gy_db_leave(db);
    gy_await_turn(&db->loop->io.sched); /* a caller that never has to wait lets others run too */
}

static gyre_status
resolve_options(gyre_db *db, const struct gyre_write_options *options,
                struct gyre_write_options *ret_options)
{
    *ret_options = (struct gyre_write_options){0};
    if (options != NULL) {
        const gyre_status status =
            gy_options_copy(db->loop, "write options", options, ret_options, sizeof(*ret_options));

        if (status != GYRE_OK) {
            return status;
        }
    }
    if (ret_options->durability > GYRE_BUFFERED ||
        (ret_options->flags & ~GYRE_WRITE_NO_WAIT) != 0 || ret_options->reserved_ != 0) {
        return gy_loop_fail(db->loop, GYRE_INVALID,
                            "write options: durability must be DURABLE or BUFFERED, or an unknown "
                            "flag is set");
    }
    return GYRE_OK;
}

/* With a deadline the caller may be answered before the write has ended. */
static gyre_status
call_until(const struct write_call *call, const struct gyre_write_options *options)
{
    const struct gy_operation *single = call->commit.single;
    struct gyre_op op = GYRE_OP(.kind = GYRE_OP_WRITE, .db = call->room.db, .batch = call->batch,
                                .durability = options->durability, .flags = options->flags,
                                .deadline_ns = options->deadline_ns);

    if (single != NULL) {
        op.kind = single->kind == GY_KIND_PUT ? GYRE_OP_PUT : GYRE_OP_DELETE;
        op.key = single->key;
        op.data = single->value;
    }
    return gy_op_call(call->room.db->loop, &op);
}

static gyre_status
call_looked_at(struct write_call *call, enum gyre_measure measure)
{
    const struct gy_operation *single = call->commit.single;
    struct gy_measured what = {
        .name = "write", .kind = GYRE_OP_WRITE, .measure = measure, .status = &call->status};

    if (single != NULL) {
        what.kind = single->kind == GY_KIND_PUT ? GYRE_OP_PUT : GYRE_OP_DELETE;
        what.key = single->key;
    }
    return gy_call_measured(call->room.db->loop, &what, write_run, call);
}

static gyre_status
write_call(gyre_db *db, const struct gyre_write_options *options, struct write_call *call)
{
    struct gyre_write_options o;
    enum gyre_measure measure;
    gyre_status status = resolve_options(db, options, &o);
    uint32_t durability;

    if (status != GYRE_OK) {
        return status;
    }
    if (call->commit.size > gy_wal_commit_max(db->options.wal_slot_size)) {
        return gy_loop_fail(db->loop, GYRE_INVALID,
                            "a commit of %zu bytes does not fit into a log file of %llu; raise "
                            "wal_slot_size",
                            call->commit.size, (unsigned long long)db->options.wal_slot_size);
    }
    call->room.db = db;
    call->room.log_size = call->commit.size;
    call->room.count = call->commit.count;
    call->room.no_wait = (o.flags & GYRE_WRITE_NO_WAIT) != 0;
    if (o.deadline_ns != 0) {
        return call_until(call, &o);
    }
    durability = o.durability != GYRE_DURABILITY_DEFAULT ? o.durability : db->options.durability;
    call->commit.klass = durability == GYRE_BUFFERED ? GY_WAL_BUFFERED : GY_WAL_DURABLE;
    measure =
        durability == GYRE_BUFFERED ? GYRE_MEASURE_WRITE_BUFFERED : GYRE_MEASURE_WRITE_DURABLE;
    if (gy_call_is_quick(db->loop, measure)) {
        write_run(call);
    } else {
        status = call_looked_at(call, measure);
    }
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
    call.room.only_deletes = operation->kind == GY_KIND_DELETE;
    call.room.user_bytes = operation->key.size + operation->value.size;
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
    call.batch = batch;
    call.commit.operations = gy_batch_bytes(batch);
    call.commit.size = call.commit.operations.size;
    call.commit.count = gyre_batch_count(batch);
    call.room.user_bytes = gy_batch_user_bytes(batch);
    call.room.only_deletes = batch->put_count == 0;
    if (call.commit.size > db->loop->memory_limit / 4) {
        return gy_loop_fail(db->loop, GYRE_INVALID,
                            "a batch of %zu bytes: at most memory_limit / 4", call.commit.size);
    }
    if (call.commit.count == 0) {
        return gy_room_refusal(db);
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
    struct gy_sched *sched = &db->loop->io.sched;
    enum gy_away before;

    gy_in_coroutine();
    gy_db_enter(db);
    before = gy_trace_begin_away(sched, GY_AWAY_LOG);
    if (db->has_wal) {
        call->status = gy_wal_await_sync(&db->wal);
    } else if (!db->read_only) {
        call->status = gy_db_await_flushed(db, db->sequence); /* NOWAL: tables are all there is */
    }
    gy_trace_end_away(sched, before);
    gy_db_leave(db);
}

gyre_status
gyre_sync(gyre_db *db)
{
    struct sync_call call = {.db = db, .status = GYRE_OK};
    gyre_status status = gy_db_check(db);

    if (status == GYRE_OK) {
        status = gy_call_measured(db->loop,
                                  &(struct gy_measured){.name = "sync",
                                                        .kind = GYRE_OP_SYNC,
                                                        .measure = GYRE_MEASURE_SYNC,
                                                        .status = &call.status},
                                  sync_run, &call);
    }
    return status != GYRE_OK ? status : call.status;
}
