/* open.c - opening a store: lock, manifest, logs; begin.c has what comes before it is written to.
 * Creating one is the same with nothing to recover.
 *
 * A store exists once CURRENT does. Everything that creation makes before is recognised as
 * half-made and made again; logs are made after, so a directory with logs or tables but no CURRENT
 * has lost it.
 */
#include "engine/db/begin.h"
#include "engine/db/db.h"
#include "engine/db/listing.h"
#include "engine/db/new_store.h"
#include "engine/db/recover.h"
#include "engine/disk/names.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* No store has ever used up so many. What claims to, by a file name or the manifest, was made up or
 * is damage; a store that goes on from there would run out of numbers. */
#define FILE_NUMBER_CREDIBLE (GY_FILE_NUMBER_MAX / 2)
#define SEQUENCE_CREDIBLE (GY_SEQUENCE_MAX / 2)

struct open_call {
    gyre_loop *loop;
    const char *path;
    const struct gyre_options *given;
    gyre_db *db;
    gyre_status status;
};

/* ---- The manifest of this process ---- */

static void
write_snapshot(void *arg, struct gy_writer *writer)
{
    gyre_db *db = arg;
    const uint64_t last_sequence = gy_max_u64(db->sequence_floor, gy_db_visible(db));
    struct gy_store_edits state = {.store_id = db->store_id,
                                   .features_compatible = db->features_compatible,
                                   .next_file_number = db->next_file_number + GY_NUMBERS_AHEAD,
                                   .last_sequence = gy_max_u64(db->flushed_sequence, last_sequence),
                                   .flushed_sequence = db->flushed_sequence,
                                   .log_min = db->log_min,
                                   .logs = db->wal.logs,
                                   .log_count = db->wal.log_count,
                                   .stage_id = {db->stage_id[0], db->stage_id[1]},
                                   .boot_id = {db->boot_id[0], db->boot_id[1]},
                                   .version = db->view->version};

    gy_store_edits_write(&state, writer);
}

/* ---- Steps of opening ---- */

static GY_SUSPENDS gyre_status
await_sync_parent(gyre_db *db)
{
    const char *slash = strrchr(db->path, '/');
    struct gy_file parent = GY_FILE_CLOSED;
    char path[GYRE_PATH_SIZE_MAX] = ".";
    gyre_status status;

    if (slash == db->path) {
        memcpy(path, "/", 2);
    } else if (slash != NULL) {
        memcpy(path, db->path, (size_t)(slash - db->path));
        path[slash - db->path] = '\0';
    }
    status = gy_dir_await_open(&db->loop->io, path, false, &parent);
    if (status == GYRE_OK) {
        status = gy_dir_await_sync(&db->loop->io, &parent);
    }
    (void)gy_file_await_close(&db->loop->io, &parent); /* a directory: nothing is lost */
    return status;
}

static GY_SUSPENDS gyre_status
await_lock(gyre_db *db)
{
    const uint32_t flags =
        GY_OPEN_BUFFERED | GY_OPEN_SINGLE | (db->read_only ? 0 : GY_OPEN_CREATE | GY_OPEN_WRITE);
    gyre_status status =
        gy_file_await_open(&db->loop->io, &db->dir, GY_NAME_LOCK, flags, GY_IO_META, &db->lock);

    if (status == GYRE_NOT_FOUND && db->read_only) {
        return GYRE_OK; /* a copy without it, or no store: the manifest tells */
    }
    if (status != GYRE_OK) {
        return status;
    }
    return gy_store_await_lock(db->loop, &db->lock, db->read_only);
}

/* No CURRENT: nothing yet, half-made, foreign, or a store that has lost it. */
static gyre_status
judge_missing(gyre_db *db, const struct gy_listing *listing)
{
    if (listing->has_tables || listing->has_logs) {
        return gy_fail_at(&db->loop->io.sched, GYRE_CORRUPT, GY_NAME_CURRENT, GY_NO_OFFSET, 0,
                          "the file is missing although there are tables or logs; run 'gyre "
                          "salvage'");
    }
    if (listing->has_foreign) {
        return gy_loop_fail(db->loop, GYRE_INVALID,
                            "%s is not a store: it holds '%s' and no CURRENT", db->path,
                            listing->foreign);
    }
    if ((db->options.flags & GYRE_OPEN_CREATE) == 0) {
        return gy_loop_fail(db->loop, GYRE_NOT_FOUND,
                            "there is no store at %s (open with GYRE_OPEN_CREATE to make one)",
                            db->path);
    }
    return GYRE_OK;
}

static GY_SUSPENDS gyre_status
await_create(gyre_db *db, struct gy_recovery *recovery)
{
    struct gy_heap *heap = &db->loop->io.heap;
    struct gy_version *version = gy_version_make_empty(heap);
    struct gy_memtable *active = gy_memtable_make(heap, &db->loop->regions, gy_rng_next(&db->rng));

    if (version != NULL && active != NULL) {
        db->view = gy_view_make(heap, active, NULL, 0, version);
    }
    gy_version_unref(version);
    gy_memtable_unref(active);
    if (db->view == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory for a store; raise memory_limit");
    }
    while (db->store_id == 0) {
        db->store_id = gy_rng_next(&db->rng);
    }
    if (recovery->number_max > 0) {
        GY_SOMETIMES(half_made_store_made_again);
    }
    db->next_file_number = recovery->number_max + 1;
    recovery->clean = true;
    return await_sync_parent(db);
}

static gyre_status
check_numbers(gyre_db *db)
{
    if (db->next_file_number > FILE_NUMBER_CREDIBLE) {
        return gy_loop_fail(db->loop, GYRE_CORRUPT,
                            "file number %llu, in a file's name or the manifest, is more than any "
                            "store uses; remove a file of that name or run 'gyre salvage'",
                            (unsigned long long)db->next_file_number - 1);
    }
    if (db->sequence > SEQUENCE_CREDIBLE) {
        return gy_loop_fail(db->loop, GYRE_CORRUPT,
                            "commit %llu, in a log or the manifest, is more than any store makes; "
                            "run 'gyre salvage'",
                            (unsigned long long)db->sequence);
    }
    return GYRE_OK;
}

/* Commits above flushed_sequence are in the logs or still to come: none may be in a table. */
static gyre_status
check_sequences(gyre_db *db)
{
    const struct gy_version *version = db->view->version;

    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < version->levels[level].count; i++) {
            const struct gy_table_meta *meta = &version->levels[level].tables[i]->meta;

            if (meta->sequence_max > db->flushed_sequence) {
                return gy_loop_fail(db->loop, GYRE_CORRUPT,
                                    "the manifest says of table %llu that it has commits up to "
                                    "%llu, but only those up to %llu are flushed; run 'gyre "
                                    "salvage'",
                                    (unsigned long long)meta->number,
                                    (unsigned long long)meta->sequence_max,
                                    (unsigned long long)db->flushed_sequence);
            }
        }
    }
    return GYRE_OK;
}

static GY_SUSPENDS gyre_status
await_load(gyre_db *db, struct gy_recovery *recovery, struct gy_listing *listing)
{
    gyre_status status = gy_recover_await_manifest(db, recovery);

    if (status == GYRE_NOT_FOUND) {
        status = judge_missing(db, listing);
        return status != GYRE_OK ? status : await_create(db, recovery);
    }
    if (status != GYRE_OK) {
        return status;
    }
    if ((db->options.flags & GYRE_OPEN_EXCLUSIVE) != 0) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "%s is a store already (GYRE_OPEN_EXCLUSIVE)",
                            db->path);
    }
    if (!GY_MUTANT(file_number_below_orphans)) {
        db->next_file_number = gy_max_u64(db->next_file_number, recovery->number_max + 1);
    }
    db->counters.recovered_records = 0;
    status = check_sequences(db);
    if (status == GYRE_OK) {
        status = gy_listing_check_tables(db, listing);
    }
    return status != GYRE_OK ? status : gy_recover_await_check_slots(db, recovery);
}

static GY_SUSPENDS gyre_status
await_open_writable(gyre_db *db, struct gy_recovery *recovery, const struct gy_listing *listing)
{
    gyre_status status = gy_recover_await_check_logs(db, recovery); /* a refusal changes nothing */

    if (status == GYRE_OK) {
        status = check_numbers(db);
    }
    if (status != GYRE_OK) {
        return status;
    }
    gy_manifest_init(&db->manifest, &db->loop->io, &db->dir, db->store_id, &db->next_file_number,
                     write_snapshot, db);
    db->manifest.number = recovery->manifest.number;
    status = gy_begin_await_manifest(db, recovery); /* before anything new is made */
    if (status == GYRE_OK) {
        status = gy_recover_await_logs(db, recovery);
    }
    if (status == GYRE_OK) {
        status = check_numbers(db);
    }
    if (status == GYRE_OK && recovery->owns_manifest) {
        gy_listing_await_remove_orphans(db,
                                        listing); /* on a full disk a log may need their space */
    }
    return status != GYRE_OK ? status : gy_begin_await(db, recovery);
}

static GY_SUSPENDS gyre_status
await_open_all(gyre_db *db, struct gy_recovery *recovery, struct gy_listing *listing)
{
    const bool create = (db->options.flags & GYRE_OPEN_CREATE) != 0 && !db->read_only;
    gyre_status status = gy_dir_await_open(&db->loop->io, db->path, create, &db->dir);

    if (status == GYRE_NOT_FOUND) {
        return gy_loop_fail(db->loop, GYRE_NOT_FOUND,
                            "there is no store at %s (open with GYRE_OPEN_CREATE to make one)",
                            db->path);
    }
    if (status == GYRE_OK) {
        status = gy_listing_await_read(db, recovery, listing);
    }
    if (status == GYRE_OK && !listing->has_current) {
        /* before the LOCK file is made in a foreign directory */
        status = judge_missing(db, listing);
    }
    if (status == GYRE_OK) {
        status = await_lock(db);
    }
    if (status == GYRE_OK) { /* again: before the lock another process may have been at work */
        gy_listing_fini(listing);
        memset(recovery, 0, sizeof(*recovery));
        status = gy_listing_await_read(db, recovery, listing);
    }
    if (status == GYRE_OK) {
        gy_table_set_init(&db->tables, &db->loop->io, &db->loop->arena, db->loop->cache, &db->dir,
                          db->options.open_files_max);
        db->tables.verify_cached = db->options.paranoid;
        db->tables_ready = true;
        status = await_load(db, recovery, listing);
    }
    if (status == GYRE_OK) {
        status = db->read_only ? gy_recover_await_logs(db, recovery)
                               : await_open_writable(db, recovery, listing);
    }
    return status;
}

static void
open_run(void *arg)
{
    struct open_call *call = arg;
    gyre_db *db = call->db;
    struct gy_heap *heap = &db->loop->io.heap;
    struct gy_recovery *recovery = gy_heap_zalloc(heap, sizeof(*recovery), GY_MEM_CALL);
    struct gy_listing *listing = gy_heap_zalloc(heap, sizeof(*listing), GY_MEM_CALL);
    const uint64_t start_ns = gy_loop_now(&db->loop->io);

    gy_in_coroutine();
    if (recovery == NULL || listing == NULL) {
        call->status = gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory to open a store");
    } else {
        listing->db = db;
        call->status = await_open_all(db, recovery, listing);
        gy_listing_fini(listing);
    }
    gy_heap_free(heap, listing);
    if (recovery != NULL && db->waiting != recovery) {
        gy_recover_await_fini(db, recovery, call->status == GYRE_OK && !db->read_only);
        gy_heap_free(heap, recovery);
    }
    if (call->status == GYRE_OK) {
        db->counters.recovered_ns = gy_loop_now(&db->loop->io) - start_ns;
        db->state = GY_DB_OPEN;
    } else {
        const struct gyre_error error = *gy_sched_error(&db->loop->io.sched);

        gy_db_await_teardown(db);
        *gy_sched_error(&db->loop->io.sched) = error;
    }
}

static gyre_status
make_handle(gyre_loop *loop, const char *path, const struct gy_db_options *options,
            gyre_db **ret_db)
{
    struct gy_heap *heap = &loop->io.heap;
    const size_t path_size = strlen(path) + 1;
    gyre_db *db = gy_heap_zalloc(heap, sizeof(*db), GY_MEM_VERSION);
    char *path_copy = gy_heap_alloc(heap, path_size, GY_MEM_VERSION);

    if (db == NULL || path_copy == NULL) {
        gy_heap_free(heap, db);
        gy_heap_free(heap, path_copy);
        return gy_loop_fail(loop, GYRE_NO_MEMORY, "no memory for a store; raise memory_limit");
    }
    memcpy(path_copy, path, path_size);
    for (size_t n = path_size - 1; n > 1 && path_copy[n - 1] == '/'; n--) {
        path_copy[n - 1] = '\0';
    }
    db->magic = GY_DB_MAGIC;
    db->loop = loop;
    db->path = path_copy;
    db->options = *options;
    db->read_only = (options->flags & GYRE_OPEN_READ_ONLY) != 0;
    db->dir = (struct gy_file)GY_FILE_CLOSED;
    db->lock = (struct gy_file)GY_FILE_CLOSED;
    db->manifest.file = (struct gy_file)GY_FILE_CLOSED;
    db->compact_options = (struct gy_compact_options){.level0_tables = options->level0_tables,
                                                      .level_ratio = options->level_ratio,
                                                      .base_bytes_min = options->level0_tables *
                                                                        options->memtable_size,
                                                      .table_size = options->table_size,
                                                      .job_bytes_max = 25 * options->table_size};
    gy_list_init(&db->snapshots);
    gy_list_init(&db->iterators);
    gy_waitq_init(&db->room);
    gy_waitq_init(&db->installed);
    gy_waitq_init(&db->work);
    gy_waitq_init(&db->calls_done);
    gy_waitq_init(&db->closed);
    gy_waitq_init(&db->gate.opened);
    gy_space_init(db);
    gy_mutex_init(&db->install);
    gy_pacer_init(&db->pacer, &loop->io);
    gy_rng_init(&db->rng, loop->io.world->ops->random(loop->io.world));
    gy_list_push_back(&loop->stores, &db->link);
    loop->store_count++;
    gy_loop_promise_memtables(loop);
    *ret_db = db;
    return GYRE_OK;
}

void
gy_db_free(gyre_db *db)
{
    gyre_loop *loop = db->loop;

    gy_list_remove(&db->link);
    loop->store_count--;
    gy_loop_promise_memtables(loop);
    db->magic = 0;
    gy_heap_free(&loop->io.heap, db->path);
    gy_heap_free(&loop->io.heap, db);
}

gyre_status
gyre_open(gyre_loop *loop, const char *path, const struct gyre_options *options, gyre_db **ret_db)
{
    struct gy_db_options resolved;
    struct open_call call = {.loop = loop, .path = path, .given = options};
    gyre_status status = gy_loop_check(loop);

    if (status != GYRE_OK) {
        return status;
    }
    if (path == NULL || ret_db == NULL || path[0] == '\0' ||
        strnlen(path, GYRE_PATH_SIZE_MAX) >= GYRE_PATH_SIZE_MAX) {
        return gy_loop_fail(loop, GYRE_INVALID, "gyre_open: a path of 1 to %u bytes is needed",
                            GYRE_PATH_SIZE_MAX - 1);
    }
    status = gy_options_resolve(loop, options, &resolved);
    if (status == GYRE_OK) {
        status = make_handle(loop, path, &resolved, &call.db);
    }
    if (status != GYRE_OK) {
        return status;
    }
    gy_event_init(call.db, options);
    status = gy_call(loop, "open", open_run, &call);
    status = status != GYRE_OK ? status : call.status;
    if (status != GYRE_OK) {
        gy_db_free(call.db);
        return status;
    }
    *ret_db = call.db;
    return GYRE_OK;
}
