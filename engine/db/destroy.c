/* destroy.c - removing a store: its own files by their names, then the directory where that leaves
 * it empty.
 *
 * CURRENT goes first and durably, so that what a crash leaves half-removed is never opened as a
 * store.
 */
#include "engine/db/new_store.h"
#include "engine/disk/names.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

struct destroy_call {
    gyre_loop *loop;
    const char *path;
    struct gy_path *split;
    struct gy_file dir;
    struct gy_file lock;
    bool is_store;
    gyre_status status;
};

static void
look(void *arg, const char *name, bool is_regular)
{
    struct destroy_call *call = arg;
    uint64_t number = 0;

    switch (gy_name_parse(name, &number)) {
    case GY_FILE_LOCK:
    case GY_FILE_CURRENT:
    case GY_FILE_MANIFEST:
        call->is_store = call->is_store || is_regular;
        break;
    default:
        break; /* tables and logs alone might be somebody else's files */
    }
}

static GY_SUSPENDS gyre_status
await_lock(struct destroy_call *call)
{
    struct gy_loop *io = &call->loop->io;
    gyre_status status = gy_dir_await_list(io, &call->dir, look, call);

    if (status == GYRE_OK && !call->is_store) {
        return gy_loop_fail(call->loop, GYRE_NOT_FOUND, "there is no store at %s", call->path);
    }
    if (status == GYRE_OK) {
        status = gy_file_await_open(io, &call->dir, GY_NAME_LOCK,
                                    GY_OPEN_BUFFERED | GY_OPEN_CREATE | GY_OPEN_WRITE, GY_IO_META,
                                    &call->lock);
    }
    return status != GYRE_OK ? status : gy_store_await_lock(call->loop, &call->lock, false);
}

static gyre_status
note_stage(void *arg, const struct gy_edit *edit)
{
    if (edit->kind == GY_EDIT_STAGE) {
        memcpy(arg, edit->u.stage.id, sizeof(edit->u.stage.id));
    }
    return GYRE_OK;
}

/* A killed process leaves staging memory, which only the manifest knows by name. Best effort: a
 * damaged store can be destroyed too, and staging does not outlive the boot. */
static GY_SUSPENDS void
await_remove_stage(struct destroy_call *call)
{
    struct gy_manifest_end end;
    struct gy_stage stage;
    uint64_t id[2] = {0, 0};

    (void)gy_manifest_await_load(&call->loop->io, &call->dir, note_stage, id, &end);
    if ((id[0] | id[1]) != 0 && gy_loop_await_stage_open(&call->loop->io, &stage, id) == 0) {
        gy_loop_await_stage_close(&call->loop->io, &stage, true);
    }
}

static GY_SUSPENDS gyre_status
await_remove_files(struct destroy_call *call)
{
    struct gy_loop *io = &call->loop->io;
    uint64_t removed = 0;
    gyre_status status;

    await_remove_stage(call);
    status = gy_file_await_unlink(io, &call->dir, GY_NAME_CURRENT);

    if (status == GYRE_OK || status == GYRE_NOT_FOUND) {
        status = gy_dir_await_sync(io, &call->dir);
    }
    if (status == GYRE_OK) {
        status = gy_store_await_remove_files(call->loop, &call->dir, &removed);
    }
    return status != GYRE_OK ? status : gy_dir_await_sync(io, &call->dir);
}

/* Not empty, or a path without a name in it ("."): it stays, and that is no failure. */
static GY_SUSPENDS gyre_status
await_remove_dir(struct destroy_call *call)
{
    struct gy_loop *io = &call->loop->io;
    struct gy_file parent = GY_FILE_CLOSED;
    gyre_status status = gy_path_split(call->loop, call->path, call->split);

    if (status != GYRE_OK) {
        return GYRE_OK;
    }
    status = gy_dir_await_open(io, call->split->parent, false, &parent);
    if (status == GYRE_OK) {
        status = gy_dir_await_remove(io, &parent, call->split->name);
    }
    if (status == GYRE_OK) {
        status = gy_dir_await_sync(io, &parent);
    }
    (void)gy_file_await_close(io, &parent); /* a directory: nothing is lost */
    return status == GYRE_INVALID ? GYRE_OK : status;
}

static void
destroy_run(void *arg)
{
    struct destroy_call *call = arg;
    struct gy_loop *io = &call->loop->io;

    gy_in_coroutine();
    call->status = gy_dir_await_open(io, call->path, false, &call->dir);
    if (call->status == GYRE_OK) {
        call->status = await_lock(call);
    }
    if (call->status == GYRE_OK) {
        call->status = await_remove_files(call);
    }
    if (call->status == GYRE_OK) {
        call->status = await_remove_dir(call);
    }
    (void)gy_file_await_close(io, &call->lock); /* nothing was written to either */
    (void)gy_file_await_close(io, &call->dir);
}

gyre_status
gyre_destroy(gyre_loop *loop, const char *path)
{
    struct destroy_call call = {
        .loop = loop, .path = path, .dir = GY_FILE_CLOSED, .lock = GY_FILE_CLOSED};
    gyre_status status = gy_loop_check(loop);

    if (status != GYRE_OK) {
        return status;
    }
    if (path == NULL || path[0] == '\0' ||
        strnlen(path, GYRE_PATH_SIZE_MAX) >= GYRE_PATH_SIZE_MAX) {
        return gy_loop_fail(loop, GYRE_INVALID, "gyre_destroy: a path of 1 to %u bytes is needed",
                            GYRE_PATH_SIZE_MAX - 1);
    }
    call.split = gy_heap_alloc(&loop->io.heap, sizeof(*call.split), GY_MEM_CALL);
    if (call.split == NULL) {
        return gy_loop_fail(loop, GYRE_NO_MEMORY, "no memory to remove a store");
    }
    status = gy_call(loop, "destroy", destroy_run, &call);
    gy_heap_free(&loop->io.heap, call.split);
    return status != GYRE_OK ? status : call.status;
}
