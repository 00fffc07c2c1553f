/* checkpoint.c - a second store with the same content: hard links to the tables of one version, and
 * a manifest of its own.
 *
 * The new store has an id of its own, so that its logs can never be taken for the source's. Tables
 * stay valid: their checksums are seeded with the file's id, which the manifest entry carries.
 */
#include "engine/db/background.h"
#include "engine/db/new_store.h"
#include "engine/disk/names.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

struct checkpoint_call {
    gyre_db *db;
    const char *path;
    struct gy_new_store store;
    struct gy_store_edits state;
    gyre_status status;
};

/* Version and sequence of one moment, between two awaits. */
static void
take_state(gyre_db *db, struct gy_store_edits *ret_state)
{
    struct gy_world *world = db->loop->io.world;

    *ret_state = (struct gy_store_edits){.features_compatible = db->features_compatible,
                                         .next_file_number = db->next_file_number,
                                         .last_sequence = db->flushed_sequence,
                                         .flushed_sequence = db->flushed_sequence,
                                         .log_min = db->next_file_number,
                                         .version = db->view->version};
    do {
        ret_state->store_id = world->ops->random(world);
    } while (ret_state->store_id == 0 || ret_state->store_id == db->store_id);
}

static GY_SUSPENDS gyre_status
await_link_tables(struct checkpoint_call *call)
{
    const struct gy_version *version = call->state.version;
    gyre_status status = GYRE_OK;

    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        for (uint32_t i = 0; status == GYRE_OK && i < version->levels[level].count; i++) {
            char name[GY_NAME_MAX];

            GY_SOMETIMES(checkpoint_linked_table);
            gy_name_table(name, version->levels[level].tables[i]->meta.number);
            status = gy_file_await_link(&call->db->loop->io, &call->db->dir, name, &call->store.dir,
                                        name);
        }
    }
    return status;
}

static void
checkpoint_run(void *arg)
{
    struct checkpoint_call *call = arg;
    gyre_db *db = call->db;
    struct gy_version *version = NULL;

    gy_in_coroutine();
    gy_db_enter(db);
    call->status = gy_new_store_await_begin(db->loop, call->path, &call->store);
    if (call->status == GYRE_OK && !db->read_only) {
        call->status = gy_db_await_flushed(db, gy_db_visible(db));
    } else if (call->status == GYRE_OK && gy_memtable_count(db->view->active) > 0) {
        call->status = gy_loop_fail(db->loop, GYRE_READ_ONLY,
                                    "the logs hold commits, which a read-only store cannot flush");
    }
    if (call->status == GYRE_OK) {
        take_state(db, &call->state);
        version = db->view->version;
        gy_version_ref(version); /* its files stay */
        call->status = await_link_tables(call);
    }
    if (call->status == GYRE_OK) {
        call->status = gy_new_store_await_finish(&call->store, &call->state);
    }
    gy_new_store_await_end(&call->store);
    gy_version_unref(version);
    gy_db_leave(db);
}

gyre_status
gyre_checkpoint(gyre_db *db, const char *path)
{
    struct checkpoint_call *call;
    gyre_status status = gy_db_check(db);

    if (status == GYRE_OK && path == NULL) {
        status = gy_loop_fail(db->loop, GYRE_INVALID, "gyre_checkpoint: path is NULL");
    }
    if (status != GYRE_OK) {
        return status;
    }
    call = gy_heap_zalloc(&db->loop->io.heap, sizeof(*call), GY_MEM_CALL);
    if (call == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory for a checkpoint");
    }
    call->db = db;
    call->path = path;
    status = gy_call(db->loop, "checkpoint", checkpoint_run, call);
    status = status != GYRE_OK ? status : call->status;
    gy_heap_free(&db->loop->io.heap, call);
    return status;
}
