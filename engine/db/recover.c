/* recover.c - from the files of a store to its state: the manifest gives tables and logs, the logs
 * and the staging memory of a killed process give the memtable.
 *
 * Only the logs that the manifest names are read (never what the directory lists), each must be
 * there, and each but the last must end exactly where its successor says. Commits that tables hold
 * already are skipped. An open that will write reads them twice: first to see that all is well, so
 * that a refusal leaves every byte as it was, evidence included, then to replay them.
 */
#include "engine/db/background.h"
#include "engine/db/begin.h"
#include "engine/db/db.h"
#include "engine/db/recover.h"
#include "engine/disk/names.h"
#include "engine/disk/wal_reader.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* ---- The manifest ---- */

struct apply_context {
    gyre_db *db;
    struct gy_recovery *recovery;
};

static gyre_status
corrupt_edit(gyre_db *db, const char *what, uint64_t number)
{
    return gy_loop_fail(db->loop, GYRE_CORRUPT, "the manifest %s %llu; run 'gyre salvage'", what,
                        (unsigned long long)number);
}

static gyre_status
apply_store(gyre_db *db, struct gy_recovery *recovery, const struct gy_edit *edit)
{
    const char *name = GY_COMPARATOR_NAME;

    if ((edit->u.store.incompatible & ~(uint64_t)GY_FEATURES_INCOMPATIBLE_KNOWN) != 0) {
        return gy_loop_fail(db->loop, GYRE_UNSUPPORTED,
                            "the store needs features (bits %#llx) that this version of Gyre does "
                            "not know; use a newer one",
                            (unsigned long long)edit->u.store.incompatible);
    }
    if (gy_key_compare(edit->u.store.comparator, gyre_slice(name, strlen(name))) != 0) {
        return gy_loop_fail(db->loop, GYRE_UNSUPPORTED, "the store's keys are ordered by '%.*s'",
                            (int)gy_min_u64(edit->u.store.comparator.size, 64),
                            (const char *)edit->u.store.comparator.data);
    }
    db->store_id = edit->u.store.store_id;
    db->features_compatible = edit->u.store.compatible;
    recovery->store_seen = true;
    return GYRE_OK;
}

/* What one edit can say of a table alone gy_edit_decode has checked. */
static gyre_status
apply_add_table(gyre_db *db, struct gy_recovery *recovery, const struct gy_table_meta *meta)
{
    struct gy_table *table;

    gy_assert(meta->level < GY_LEVEL_COUNT);
    if (meta->number >= GY_FILE_NUMBER_MAX) { /* the next one could not be written */
        return corrupt_edit(db, "has a senseless entry for table", meta->number);
    }
    if (gy_table_list_has(&recovery->tables, meta->level, meta->number)) {
        return corrupt_edit(db, "adds a table twice,", meta->number);
    }
    table = gy_table_make(&db->tables, meta);
    if (table == NULL || !gy_table_list_add(&recovery->tables, table)) {
        gy_table_unref(table);
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory for the list of tables");
    }
    return GYRE_OK;
}

static gyre_status
apply_remove_table(gyre_db *db, struct gy_recovery *recovery, uint32_t level, uint64_t number)
{
    return gy_table_list_remove(&recovery->tables, level, number)
               ? GYRE_OK
               : corrupt_edit(db, "removes a table that it never added,", number);
}

static gyre_status
apply_add_log(gyre_db *db, struct gy_recovery *recovery, uint64_t number, uint32_t slot)
{
    const uint32_t count = recovery->log_count;

    gy_assert(slot < GY_WAL_SLOT_MAX); /* gy_edit_decode */
    if (number == 0 || number >= GY_FILE_NUMBER_MAX ||
        (count > 0 && recovery->logs[count - 1].number >= number)) {
        return corrupt_edit(db, "has a senseless entry for log", number);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (recovery->logs[i].slot == slot) {
            return corrupt_edit(db, "has two logs in one slot, the second is", number);
        }
    }
    recovery->logs[count] = (struct gy_wal_log){
        .number = number, .slot = slot, .sequence_first = UINT64_MAX}; /* until it is read */
    recovery->log_count++;
    /* never given to another log */
    db->next_file_number = gy_max_u64(db->next_file_number, number + 1);
    return GYRE_OK;
}

void
gy_recovery_drop_logs(struct gy_recovery *recovery, uint64_t log_min)
{
    uint32_t drop = 0;

    while (drop < recovery->log_count && recovery->logs[drop].number < log_min) {
        drop++;
    }
    recovery->log_count -= drop;
    memmove(recovery->logs, recovery->logs + drop, recovery->log_count * sizeof(recovery->logs[0]));
}

static gyre_status
apply_edit(void *arg, const struct gy_edit *edit)
{
    struct apply_context *context = arg;
    struct gy_recovery *recovery = context->recovery;
    gyre_db *db = context->db;

    if (!recovery->store_seen && edit->kind != GY_EDIT_STORE) {
        return gy_loop_fail(db->loop, GYRE_CORRUPT,
                            "the manifest does not begin with the store's identity");
    }
    switch (edit->kind) {
    case GY_EDIT_STORE:
        return apply_store(db, recovery, edit);
    case GY_EDIT_COUNTERS:
        db->next_file_number = gy_max_u64(db->next_file_number, edit->u.counters.next_file_number);
        db->sequence_floor = gy_max_u64(db->sequence_floor, edit->u.counters.last_sequence);
        return GYRE_OK;
    case GY_EDIT_ADD_TABLE:
        return apply_add_table(db, recovery, &edit->u.table);
    case GY_EDIT_REMOVE_TABLE:
        return apply_remove_table(db, recovery, edit->u.remove.level, edit->u.remove.number);
    case GY_EDIT_ADD_LOG:
        return apply_add_log(db, recovery, edit->u.log.number, edit->u.log.slot);
    case GY_EDIT_FLUSHED:
        db->flushed_sequence = gy_max_u64(db->flushed_sequence, edit->u.flushed.sequence);
        db->log_min = gy_max_u64(db->log_min, edit->u.flushed.log_min);
        if (!GY_MUTANT(every_log_replayed)) {
            gy_recovery_drop_logs(recovery, db->log_min);
        }
        return GYRE_OK;
    case GY_EDIT_STAGE:
        memcpy(db->stage_id, edit->u.stage.id, sizeof(db->stage_id));
        memcpy(db->boot_id, edit->u.stage.boot_id, sizeof(db->boot_id));
        return GYRE_OK;
    }
    return GYRE_OK;
}

static gyre_status
make_version(gyre_db *db, struct gy_recovery *recovery)
{
    struct gy_heap *heap = &db->loop->io.heap;
    const struct gy_version_change change = {.added = recovery->tables.tables,
                                             .added_count = recovery->tables.count};
    struct gy_version *empty = gy_version_make_empty(heap);
    struct gy_version *version = NULL;
    struct gy_memtable *active = gy_memtable_make(heap, &db->loop->regions, gy_rng_next(&db->rng));
    gyre_status status = GYRE_NO_MEMORY;
    char name[GY_NAME_MAX];

    if (empty != NULL && active != NULL) {
        status = gy_version_apply(empty, &change, &version);
    }
    if (status == GYRE_OK) {
        db->view = gy_view_make(heap, active, NULL, 0, version);
        status = db->view != NULL ? GYRE_OK : GYRE_NO_MEMORY;
    }
    gy_version_unref(version);
    gy_version_unref(empty);
    gy_memtable_unref(active);
    if (status == GYRE_OK) {
        return GYRE_OK;
    }
    if (status == GYRE_NO_MEMORY) {
        return gy_loop_fail(db->loop, status,
                            "no memory for the list of tables; raise memory_limit");
    }
    gy_name_manifest(name, recovery->manifest.number);
    return gy_fail_at(&db->loop->io.sched, status, name, 0, 0,
                      "tables of one level overlap: the manifest is damaged; run 'gyre salvage'");
}

GY_SUSPENDS gyre_status
gy_recover_await_manifest(gyre_db *db, struct gy_recovery *recovery)
{
    struct apply_context context = {.db = db, .recovery = recovery};
    gyre_status status;

    gy_table_list_init(&recovery->tables, &db->loop->io.heap, gy_rng_next(&db->rng));
    status =
        gy_manifest_await_load(&db->loop->io, &db->dir, apply_edit, &context, &recovery->manifest);

    if (status == GYRE_OK &&
        (!recovery->store_seen || db->store_id != recovery->manifest.store_id)) {
        status = gy_fail_at(&db->loop->io.sched, GYRE_CORRUPT, GY_NAME_CURRENT, 0, 0,
                            "CURRENT and manifest are of two stores");
    }
    if (status == GYRE_OK) {
        status = make_version(db, recovery);
    }
    gy_table_list_fini(&recovery->tables); /* the version has its own references */
    return status;
}

/* ---- The logs ---- */

static gyre_status
recover_commit(void *arg, struct gyre_slice operations, uint64_t sequence_first, uint32_t count)
{
    struct apply_context *context = arg;
    gyre_db *db = context->db;
    struct gy_operation operation;
    uint64_t sequence = sequence_first;
    size_t position = 0;

    gy_in_coroutine();
    if (sequence_first + count - 1 <= db->flushed_sequence && !GY_MUTANT(every_log_replayed)) {
        GY_SOMETIMES(replayed_commit_was_in_tables);
        return GYRE_OK; /* in tables already */
    }
    if (!db->read_only && !context->recovery->no_space &&
        gy_memtable_used(db->view->active) >= db->options.memtable_size) {
        const gyre_status status = gy_db_await_flush_active(db);

        GY_SOMETIMES(recovery_flushed);
        context->recovery->no_space = gy_begin_may_wait(db, context->recovery, status);
        if (status != GYRE_OK && !context->recovery->no_space) {
            return status;
        }
    }
    if (!gy_memtable_reserve(db->view->active, operations.size, count)) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY,
                            "no memory to replay the logs; raise memory_limit");
    }
    while (position < operations.size) {
        const gyre_status status = gy_operation_decode(operations, &position, &operation);

        gy_assert(status == GYRE_OK); /* the reader has counted them */
        gy_memtable_add(db->view->active, operation.key, gy_tag(sequence++, operation.kind),
                        operation.value);
        gy_await_turn(&db->loop->io.sched);
    }
    db->sequence = sequence - 1;
    db->counters.recovered_records += count;
    return GYRE_OK;
}

static GY_SUSPENDS gyre_status
await_open_log(gyre_db *db, const struct gy_wal_log *log, struct gy_file *ret_file,
               struct gy_log_start *ret_start)
{
    char name[GY_NAME_MAX];
    gyre_status status;

    gy_name_log_slot(name, log->slot);
    status = gy_file_await_open(&db->loop->io, &db->dir, name,
                                GY_OPEN_SINGLE | (db->read_only ? 0 : GY_OPEN_WRITE), GY_IO_META,
                                ret_file);
    if (status == GYRE_OK && !db->read_only) {
        /* what is read is durable */
        status = gy_file_await_sync(&db->loop->io, ret_file, GY_IO_META);
    }
    if (status == GYRE_OK) {
        status =
            gy_wal_await_read_start(&db->loop->io, ret_file, db->store_id, log->number, ret_start);
    }
    if (status == GYRE_NOT_FOUND) {
        (void)gy_file_await_close(&db->loop->io, ret_file);
        return gy_fail_at(&db->loop->io.sched, GYRE_CORRUPT, name, 0, 0,
                          "log %llu, which the manifest names, is missing or its first block is "
                          "damaged; run 'gyre salvage'",
                          (unsigned long long)log->number);
    }
    return status;
}

/* N4: a log knows how far the manifest was durable when it was started or ended. */
static gyre_status
check_mark(gyre_db *db, const struct gy_recovery *recovery, uint64_t number, uint64_t end)
{
    char name[GY_NAME_MAX];

    if (number > recovery->manifest.number ||
        (number == recovery->manifest.number && end > recovery->manifest.end)) {
        gy_name_manifest(name, recovery->manifest.number);
        return gy_fail_at(&db->loop->io.sched, GYRE_CORRUPT, name, recovery->manifest.end, 0,
                          "the end of the manifest is damaged: a log was written after manifest "
                          "%llu had reached offset %llu; run 'gyre salvage'",
                          (unsigned long long)number, (unsigned long long)end);
    }
    return GYRE_OK;
}

static GY_SUSPENDS gyre_status
await_read_log(gyre_db *db, struct gy_recovery *recovery, struct gy_wal_reader *reader,
               uint32_t index, uint64_t end)
{
    struct gy_wal_log *log = &recovery->logs[index];
    struct gy_file file = GY_FILE_CLOSED;
    struct gy_log_start start;
    struct gy_log_result result = {0};
    gyre_status status = await_open_log(db, log, &file, &start);

    if (status == GYRE_OK) {
        status = check_mark(db, recovery, start.manifest_number, start.manifest_end);
    }
    if (status == GYRE_OK) {
        log->sequence_first = start.sequence_first;
        status = gy_wal_await_read(reader, &file, log->number, end, &result);
    }
    if (status == GYRE_OK && result.clean) {
        status = check_mark(db, recovery, result.manifest_number, result.manifest_end);
    }
    recovery->last_log_end = result.end;
    recovery->last_log_durable = result.durable;
    recovery->clean = result.clean;
    (void)gy_file_await_close(&db->loop->io, &file); /* nothing was written */
    return status;
}

/* Where log `index` ends: its successor's start frame says so. */
static GY_SUSPENDS gyre_status
await_log_end(gyre_db *db, const struct gy_recovery *recovery, uint32_t index, uint64_t *ret_end)
{
    struct gy_file file = GY_FILE_CLOSED;
    struct gy_log_start start;
    gyre_status status;

    if (index + 1 == recovery->log_count) {
        *ret_end = GY_LOG_LAST;
        return GYRE_OK;
    }
    status = await_open_log(db, &recovery->logs[index + 1], &file, &start);
    if (status == GYRE_OK) {
        *ret_end = start.previous_end;
    }
    (void)gy_file_await_close(&db->loop->io, &file); /* nothing was written */
    return status;
}

static bool
is_named(const struct gy_recovery *recovery, uint64_t number)
{
    for (uint32_t i = 0; i < recovery->log_count; i++) {
        if (recovery->logs[i].number == number) {
            return true;
        }
    }
    return false;
}

/* N4: a log that is not needed any more has a number below log_min; one that was just being started
 * holds no commit of its own. Any other that the manifest does not name was named by a part of the
 * manifest that is gone. */
static GY_SUSPENDS gyre_status
await_check_slot(gyre_db *db, const struct gy_recovery *recovery, struct gy_wal_reader *reader,
                 uint32_t slot)
{
    struct gy_file file = GY_FILE_CLOSED;
    struct gy_log_start start;
    char name[GY_NAME_MAX];
    bool was_used = false;
    gyre_status status;

    gy_name_log_slot(name, slot);
    status = gy_file_await_open(&db->loop->io, &db->dir, name, 0, GY_IO_META, &file);
    if (status == GYRE_OK) {
        status = gy_wal_await_read_start(&db->loop->io, &file, db->store_id, 0, &start);
    }
    if (status == GYRE_OK && start.number >= db->log_min && !is_named(recovery, start.number)) {
        status = gy_wal_await_was_used(reader, &file, start.number, &was_used);
    }
    (void)gy_file_await_close(&db->loop->io, &file); /* it was only read */
    if (was_used) {
        return gy_fail_at(
            &db->loop->io.sched, GYRE_CORRUPT, name, 0, 0,
            "the end of the manifest is damaged: it does not name log %llu, which was "
            "in use; run 'gyre salvage'",
            (unsigned long long)start.number);
    }
    return status == GYRE_NOT_FOUND || status == GYRE_UNSUPPORTED ? GYRE_OK : status;
}

GY_SUSPENDS gyre_status
gy_recover_await_check_slots(gyre_db *db, const struct gy_recovery *recovery)
{
    struct gy_wal_reader reader = {
        .loop = &db->loop->io, .dir = &db->dir, .store_id = db->store_id};
    gyre_status status = GYRE_OK;

    for (uint32_t slot = 0; status == GYRE_OK && slot < GY_WAL_SLOT_MAX; slot++) {
        if (recovery->slot_exists[slot]) {
            status = await_check_slot(db, recovery, &reader, slot);
        }
    }
    gy_wal_reader_fini(&reader);
    return status;
}

/* All logs that the manifest names, in order, to reader->commit. */
static GY_SUSPENDS gyre_status
await_read_logs(gyre_db *db, struct gy_recovery *recovery, struct gy_wal_reader *reader)
{
    gyre_status status = GYRE_OK;

    recovery->clean = true; /* without any log there is nothing to lose */
    for (uint32_t i = 0; status == GYRE_OK && i < recovery->log_count; i++) {
        uint64_t end = GY_LOG_LAST;

        status = await_log_end(db, recovery, i, &end);
        if (status == GYRE_OK) {
            status = await_read_log(db, recovery, reader, i, end);
        }
    }
    return status;
}

static gyre_status
accept_commit(void *arg, struct gyre_slice operations, uint64_t sequence_first, uint32_t count)
{
    (void)arg;
    (void)operations;
    (void)sequence_first;
    (void)count;
    return GYRE_OK;
}

GY_SUSPENDS gyre_status
gy_recover_await_check_logs(gyre_db *db, struct gy_recovery *recovery)
{
    struct gy_wal_reader reader = {
        .loop = &db->loop->io, .dir = &db->dir, .store_id = db->store_id, .commit = accept_commit};
    const gyre_status status = await_read_logs(db, recovery, &reader);

    /* For the manifest that this open writes: the logs it gives up may be all that knows. */
    db->sequence_floor = gy_max_u64(db->sequence_floor, gy_sub_sat(reader.sequence_next, 1));
    gy_wal_reader_fini(&reader);
    return status;
}

GY_SUSPENDS gyre_status
gy_recover_await_logs(gyre_db *db, struct gy_recovery *recovery)
{
    struct apply_context context = {.db = db, .recovery = recovery};
    struct gy_wal_reader reader = {.loop = &db->loop->io,
                                   .dir = &db->dir,
                                   .store_id = db->store_id,
                                   .commit = recover_commit,
                                   .arg = &context};
    gyre_status status = await_read_logs(db, recovery, &reader);

    gy_wal_reader_close_window(&reader); /* a large commit in staging needs memory too */
    if (recovery->log_count == 0) {      /* given up since tables have it all, staging included */
        reader.sequence_next = db->flushed_sequence + 1;
    }
    if (status == GYRE_OK) {
        status = gy_recover_await_stage(db, recovery, &reader);
    }
    db->sequence = gy_max_u64(gy_max_u64(db->sequence, db->flushed_sequence),
                              gy_sub_sat(reader.sequence_next, 1));
    if (recovery->staged_count == 0) { /* numbers that a power cut took are not used again */
        db->sequence = gy_max_u64(db->sequence, db->sequence_floor);
    }
    db->counters.tail_dropped_bytes = reader.tail_dropped_bytes;
    gy_wal_reader_fini(&reader);
    if (status == GYRE_OK && reader.tail_dropped_bytes > 0) {
        gy_loop_log(db->loop, GYRE_LOG_INFO,
                    "%llu bytes of a torn log tail were dropped: commits that were never answered",
                    (unsigned long long)reader.tail_dropped_bytes);
    }
    return status;
}
