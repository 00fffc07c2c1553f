/* salvage_logs.c - commits of the logs, each log read in spite of damage, in the order of their
 * numbers, into temporary tables. */
#include "engine/codec/batch.h"
#include "engine/db/salvage.h"
#include "engine/disk/names.h"
#include "engine/disk/wal_reader.h"
#include "engine/lsm/job.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

struct log {
    uint64_t number;
    uint64_t store_id;
    uint64_t end;          /* where its successor says that it ends; GY_LOG_LAST */
    uint64_t previous_end; /* what it says of its predecessor; GY_LOG_LAST: its start is damaged */
    uint32_t slot;
};

struct logs {
    struct gy_salvage *s;
    struct gy_memtable *memtable;
    uint64_t sequence_skip; /* commits up to here are in the tables */
    uint32_t count;
    struct log items[GY_WAL_SLOT_MAX];
};

/* ---- Which log is in which slot ---- */

/* OK: it is a log of this store. NOT_FOUND: not one. */
static GY_SUSPENDS gyre_status
await_try_id(struct logs *logs, const struct gy_file *file, uint32_t slot, uint64_t store_id,
             bool *ret_is_blank)
{
    struct gy_salvage *s = logs->s;
    struct gy_wal_reader reader = {.loop = &s->loop->io, .store_id = store_id};
    struct log *log = &logs->items[logs->count];
    struct gy_log_start start;
    gyre_status status = gy_wal_await_read_start(&s->loop->io, file, store_id, 0, &start);

    *ret_is_blank = false;
    *log = (struct log){
        .slot = slot, .store_id = store_id, .end = GY_LOG_LAST, .previous_end = GY_LOG_LAST};
    if (status == GYRE_OK) {
        log->number = start.number;
        log->previous_end = start.previous_end;
        logs->count++;
        return GYRE_OK;
    }
    if (status == GYRE_NOT_FOUND) {
        status = gy_wal_await_find(&reader, file, &log->number, ret_is_blank);
        gy_wal_reader_fini(&reader);
    }
    if (status == GYRE_OK) {
        logs->count++; /* the lenient walk reports the start as a damaged place */
    }
    return status;
}

static GY_SUSPENDS gyre_status
await_identify(struct logs *logs, const struct gy_file *file, uint32_t slot)
{
    struct gy_salvage *s = logs->s;
    bool is_blank = true;
    uint32_t i = 0;

    do {
        const uint64_t id = s->store_id_count > 0 ? s->store_ids[i] : 0;
        const gyre_status status = await_try_id(logs, file, slot, id, &is_blank);

        if (status != GYRE_NOT_FOUND) {
            return status;
        }
        i++;
    } while (i < s->store_id_count && !is_blank);
    if (!is_blank) {
        (void)gy_fail_at(&s->loop->io.sched, GYRE_CORRUPT, file->name, 0, 0,
                         "nothing in this log can be read");
        gy_salvage_damage(s);
    }
    return GYRE_OK;
}

/* By number; there are few. */
static void
sort_logs(struct logs *logs)
{
    for (uint32_t i = 1; i < logs->count; i++) {
        const struct log log = logs->items[i];
        uint32_t at = i;

        while (at > 0 && logs->items[at - 1].number > log.number) {
            logs->items[at] = logs->items[at - 1];
            at--;
        }
        logs->items[at] = log;
    }
}

static GY_SUSPENDS gyre_status
await_open_slot(struct gy_salvage *s, uint32_t slot, struct gy_file *ret_file)
{
    char name[GY_NAME_MAX];

    gy_name_log_slot(name, slot);
    return gy_file_await_open(&s->loop->io, &s->source, name, 0, GY_IO_SCRUB, ret_file);
}

static GY_SUSPENDS gyre_status
await_identify_all(struct logs *logs)
{
    struct gy_salvage *s = logs->s;

    for (uint32_t slot = 0; slot < GY_WAL_SLOT_MAX; slot++) {
        struct gy_file file = GY_FILE_CLOSED;
        gyre_status status;

        if (!s->slots[slot]) {
            continue;
        }
        status = await_open_slot(s, slot, &file);
        if (status == GYRE_OK) {
            status = await_identify(logs, &file, slot);
        }
        (void)gy_file_await_close(&s->loop->io, &file); /* it was only read */
        if (status == GYRE_NO_MEMORY) {
            return status;
        }
        if (status != GYRE_OK) {
            gy_salvage_damage(s);
        }
    }
    sort_logs(logs);
    for (uint32_t i = 0; i + 1 < logs->count; i++) {
        logs->items[i].end = logs->items[i + 1].previous_end;
    }
    return GYRE_OK;
}

/* ---- Commits ---- */

/* What the memtable holds, as temporary tables. */
static GY_SUSPENDS gyre_status
await_flush(struct logs *logs)
{
    struct gy_salvage *s = logs->s;
    struct gy_job_context context = {.loop = &s->loop->io,
                                     .arena = &s->loop->arena,
                                     .cache = s->loop->cache,
                                     .dir = &s->target.dir,
                                     .store_id = s->store_id,
                                     .keyspace = GY_KEYSPACE_DEFAULT,
                                     .block_size = s->options.block_size,
                                     .table_size = s->options.table_size,
                                     .next_file_number = &s->next_number};
    struct gy_job_result result;
    gyre_status status;

    if (gy_memtable_count(logs->memtable) == 0) {
        return GYRE_OK;
    }
    gy_memtable_freeze(logs->memtable);
    gy_job_result_init(&result);
    gy_mutex_await_lock(&s->loop->io.sched, &s->loop->flush_turn);
    status = gy_flush_await_run(&context, logs->memtable, NULL, 0, &result);
    gy_mutex_unlock(&s->loop->flush_turn);
    for (uint32_t i = 0; status == GYRE_OK && i < result.output_count; i++) {
        struct gy_table_meta meta = result.outputs[i].meta;
        struct gy_table *table;

        meta.level = 1;
        table = gy_table_make(&s->target_set, &meta);
        if (table == NULL ||
            !gy_salvage_push_number(s, &s->temporary, &s->temporary_count, &s->temporary_capacity,
                                    meta.number) ||
            !gy_salvage_push_table(s, &s->tables, &s->table_count, &s->table_capacity, table)) {
            gy_table_unref(table);
            status = gy_salvage_no_memory(s);
        }
    }
    gy_job_result_fini(&result, &s->loop->io.heap);
    gy_memtable_unref(logs->memtable);
    logs->memtable = gy_memtable_make(&s->loop->io.heap, &s->loop->regions, s->store_id);
    return status == GYRE_OK && logs->memtable == NULL ? gy_salvage_no_memory(s) : status;
}

static gyre_status
take_commit(void *arg, struct gyre_slice operations, uint64_t sequence_first, uint32_t count)
{
    struct logs *logs = arg;
    struct gy_salvage *s = logs->s;
    uint64_t sequence = sequence_first;
    struct gy_operation operation;
    size_t position = 0;

    gy_in_coroutine();
    if (sequence_first + count - 1 <= logs->sequence_skip) {
        return GYRE_OK;
    }
    if (gy_memtable_used(logs->memtable) >= s->options.memtable_size) {
        const gyre_status status = await_flush(logs);

        if (status != GYRE_OK) {
            return status;
        }
    }
    if (!gy_memtable_reserve(logs->memtable, operations.size, count)) {
        return gy_salvage_no_memory(s);
    }
    while (position < operations.size) {
        const gyre_status status = gy_operation_decode(operations, &position, &operation);
        const uint64_t tag = gy_tag(sequence++, operation.kind);
        struct gy_entry there;

        gy_assert(status == GYRE_OK); /* the reader has counted them */
        if (gy_memtable_get(logs->memtable, operation.key, gy_tag_sequence(tag), &there) &&
            gy_tag_sequence(there.tag) == gy_tag_sequence(tag)) {
            continue; /* an earlier log's tail, which this store has written anew */
        }
        gy_memtable_add(logs->memtable, operation.key, tag, operation.value);
        s->result.log_record_count++;
    }
    return GYRE_OK;
}

static void
log_damage(void *arg, const struct gyre_error *error)
{
    gy_salvage_damage_error(((struct logs *)arg)->s, error);
}

static GY_SUSPENDS gyre_status
await_read_log(struct logs *logs, const struct log *log)
{
    struct gy_salvage *s = logs->s;
    struct gy_wal_reader reader = {.loop = &s->loop->io,
                                   .dir = &s->source,
                                   .store_id = log->store_id,
                                   .commit = take_commit,
                                   .arg = logs,
                                   .lenient = true,
                                   .damage = log_damage};
    struct gy_file file = GY_FILE_CLOSED;
    struct gy_log_result result;
    gyre_status status = await_open_slot(s, log->slot, &file);

    if (status == GYRE_OK) {
        status = gy_wal_await_read(&reader, &file, log->number, log->end, &result);
    }
    gy_wal_reader_fini(&reader);
    (void)gy_file_await_close(&s->loop->io, &file); /* it was only read */
    return status;
}

GY_SUSPENDS gyre_status
gy_salvage_await_logs(struct gy_salvage *s)
{
    struct gy_heap *heap = &s->loop->io.heap;
    struct logs *logs = gy_heap_zalloc(heap, sizeof(*logs), GY_MEM_CALL);
    gyre_status status;

    if (logs == NULL) {
        return gy_salvage_no_memory(s);
    }
    logs->s = s;
    /* With all tables whole they hold these; else the log may have what a damaged block had. */
    logs->sequence_skip = s->has_manifest && s->result.damage_count == 0 ? s->flushed_sequence : 0;
    logs->memtable = gy_memtable_make(heap, &s->loop->regions, s->store_id);
    status = logs->memtable == NULL ? gy_salvage_no_memory(s) : await_identify_all(logs);
    for (uint32_t i = 0; status == GYRE_OK && i < logs->count; i++) {
        if (s->has_manifest && logs->items[i].number < s->log_min) {
            continue;
        }
        status = await_read_log(logs, &logs->items[i]);
        if (status == GYRE_IO || status == GYRE_CORRUPT) {
            gy_salvage_damage(s);
            status = GYRE_OK;
        }
    }
    if (status == GYRE_OK) {
        status = await_flush(logs);
    }
    gy_memtable_unref(logs->memtable);
    gy_heap_free(heap, logs);
    return status;
}
