/* new_store.c - see new_store.h. */
#include "engine/db/new_store.h"

#include <stdio.h>

#include "engine/disk/names.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* ---- Paths ---- */

gyre_status
gy_path_split(gyre_loop *loop, const char *path, struct gy_path *ret_path)
{
    size_t size = strnlen(path, GYRE_PATH_SIZE_MAX);
    size_t start;

    while (size > 0 && path[size - 1] == '/') {
        size--;
    }
    start = size;
    while (start > 0 && path[start - 1] != '/') {
        start--;
    }
    memset(ret_path, 0, sizeof(*ret_path));
    if (size >= GYRE_PATH_SIZE_MAX || size == start || size - start >= GY_PATH_COMPONENT_MAX) {
        return gy_loop_fail(loop, GYRE_INVALID,
                            "a path of 1 to %u bytes that ends in a name is needed",
                            GYRE_PATH_SIZE_MAX - 1);
    }
    memcpy(ret_path->name, path + start, size - start);
    if (strcmp(ret_path->name, ".") == 0 || strcmp(ret_path->name, "..") == 0) {
        return gy_loop_fail(loop, GYRE_INVALID, "the path has to end in a name, not in '%s'",
                            ret_path->name);
    }
    if (start == 0) {
        ret_path->parent[0] = '.';
    } else {
        memcpy(ret_path->parent, path, start > 1 ? start - 1 : 1);
    }
    return GYRE_OK;
}

/* ---- Locking ---- */

/* The kernel gives up the lock of a killed process only when its last write has landed. */
#define LOCK_WAIT_NS (500u * GY_NS_PER_MS)
#define LOCK_STEP_NS (5u * GY_NS_PER_MS)

GY_SUSPENDS gyre_status
gy_store_await_lock(gyre_loop *loop, const struct gy_file *lock, bool shared)
{
    gyre_status status = gy_file_await_lock(&loop->io, lock, shared);

    for (uint64_t waited = 0; status == GYRE_BUSY && waited < LOCK_WAIT_NS;
         waited += LOCK_STEP_NS) {
        GY_SOMETIMES(lock_waited_for);
        gy_await_sleep(&loop->io.sched, LOCK_STEP_NS);
        status = gy_file_await_lock(&loop->io, lock, shared);
    }
    return status;
}

/* ---- Removing ---- */

#define REMOVE_BATCH 64u

struct removal {
    char names[REMOVE_BATCH][GY_NAME_MAX];
    uint32_t count;
    bool has_lock;
};

static void
note_name(void *arg, const char *name, bool is_regular)
{
    struct removal *removal = arg;
    uint64_t number = 0;
    const enum gy_file_kind kind = gy_name_parse(name, &number);

    if (!is_regular || kind == GY_FILE_FOREIGN) {
        return;
    }
    if (kind == GY_FILE_LOCK) {
        removal->has_lock = true;
    } else if (removal->count < REMOVE_BATCH) {
        memcpy(removal->names[removal->count++], name, strlen(name) + 1);
    }
}

GY_SUSPENDS gyre_status
gy_store_await_remove_files(gyre_loop *loop, const struct gy_file *dir, uint64_t *ret_removed)
{
    struct gy_loop *io = &loop->io;
    struct removal *removal = gy_heap_zalloc(&io->heap, sizeof(*removal), GY_MEM_CALL);
    gyre_status status = GYRE_OK;
    bool more = true;

    *ret_removed = 0;
    if (removal == NULL) {
        return gy_loop_fail(loop, GYRE_NO_MEMORY, "no memory to list the directory");
    }
    /* until a listing shows none: no list of all names is needed */
    while (status == GYRE_OK && more) {
        removal->count = 0;
        removal->has_lock = false;
        status = gy_dir_await_list(io, dir, note_name, removal);
        for (uint32_t i = 0; status == GYRE_OK && i < removal->count; i++) {
            status = gy_file_await_unlink(io, dir, removal->names[i]);
            *ret_removed += status == GYRE_OK;
        }
        more = removal->count > 0;
    }
    if (status == GYRE_OK && removal->has_lock) {
        status = gy_file_await_unlink(io, dir, GY_NAME_LOCK);
        *ret_removed += status == GYRE_OK;
    }
    gy_heap_free(&io->heap, removal);
    return status;
}

/* ---- Making ---- */

/* Nothing at all may be there, not even a file. */
static GY_SUSPENDS gyre_status
await_absent(struct gy_new_store *store)
{
    struct gy_loop *io = &store->loop->io;
    struct gy_file file = GY_FILE_CLOSED;
    gyre_status status = gy_file_await_open(io, &store->parent, store->path->name,
                                            GY_OPEN_DIRECTORY, GY_IO_META, &file);

    if (status == GYRE_NOT_FOUND) {
        return GYRE_OK;
    }
    if (status != GYRE_OK && status != GYRE_INVALID) { /* INVALID: a file, or a link */
        return status;
    }
    (void)gy_file_await_close(io, &file); /* a directory that was only looked at */
    return gy_loop_fail(store->loop, GYRE_INVALID, "%s/%s exists already", store->path->parent,
                        store->path->name);
}

static GY_SUSPENDS gyre_status
await_make_dir(struct gy_new_store *store)
{
    struct gy_loop *io = &store->loop->io;
    const size_t size = GYRE_PATH_SIZE_MAX + GY_PATH_COMPONENT_MAX + 1;
    const uint32_t random = (uint32_t)io->world->ops->random(io->world);
    char *path;
    int length = snprintf(store->name_tmp, sizeof(store->name_tmp), "%s.tmp-%08x",
                          store->path->name, random);
    gyre_status status;

    if (length < 0 || (size_t)length >= sizeof(store->name_tmp)) {
        return gy_loop_fail(store->loop, GYRE_INVALID, "the name of the new store is too long");
    }
    path = gy_heap_alloc(&io->heap, size, GY_MEM_CALL);
    if (path == NULL) {
        return gy_loop_fail(store->loop, GYRE_NO_MEMORY, "no memory to make a store");
    }
    (void)snprintf(path, size, "%s/%s", store->path->parent, store->name_tmp);
    status = gy_dir_await_open(io, path, true, &store->dir);
    store->made = status == GYRE_OK;
    gy_heap_free(&io->heap, path);
    return status;
}

GY_SUSPENDS gyre_status
gy_new_store_await_begin(gyre_loop *loop, const char *path, struct gy_new_store *ret_store)
{
    struct gy_loop *io = &loop->io;
    gyre_status status;

    *ret_store =
        (struct gy_new_store){.loop = loop, .parent = GY_FILE_CLOSED, .dir = GY_FILE_CLOSED};
    ret_store->path = gy_heap_alloc(&io->heap, sizeof(*ret_store->path), GY_MEM_CALL);
    if (ret_store->path == NULL) {
        return gy_loop_fail(loop, GYRE_NO_MEMORY, "no memory to make a store");
    }
    status = gy_path_split(loop, path, ret_store->path);
    if (status == GYRE_OK) {
        status = gy_dir_await_open(io, ret_store->path->parent, false, &ret_store->parent);
    }
    if (status == GYRE_OK) {
        status = await_absent(ret_store);
    }
    return status != GYRE_OK ? status : await_make_dir(ret_store);
}

static GY_SUSPENDS gyre_status
await_manifest(struct gy_new_store *store, struct gy_store_edits *state)
{
    struct gy_heap *heap = &store->loop->io.heap;
    struct gy_manifest *manifest = gy_heap_alloc(heap, sizeof(*manifest), GY_MEM_VERSION);
    gyre_status status;

    if (manifest == NULL) {
        return gy_loop_fail(store->loop, GYRE_NO_MEMORY, "no memory to write a manifest");
    }
    gy_manifest_init(manifest, &store->loop->io, &store->dir, state->store_id,
                     &state->next_file_number, gy_store_edits_write, state);
    status = gy_manifest_await_rotate(manifest);
    gy_manifest_await_close(manifest);
    gy_heap_free(heap, manifest);
    return status;
}

GY_SUSPENDS gyre_status
gy_new_store_await_finish(struct gy_new_store *store, struct gy_store_edits *state)
{
    struct gy_loop *io = &store->loop->io;
    /* tables before the manifest names them */
    gyre_status status = gy_dir_await_sync(io, &store->dir);

    if (status == GYRE_OK) {
        status = await_manifest(store, state); /* syncs the directory for CURRENT */
    }
    if (status == GYRE_OK) {
        status = await_absent(store);
    }
    if (status == GYRE_OK) {
        status = gy_file_await_rename(io, &store->parent, store->name_tmp, store->path->name);
    }
    if (status == GYRE_OK) {
        store->made = false; /* it has its name: not ours to remove any more */
        status = gy_dir_await_sync(io, &store->parent);
    }
    return status;
}

GY_SUSPENDS void
gy_new_store_await_end(struct gy_new_store *store)
{
    struct gy_loop *io = &store->loop->io;
    const struct gyre_error error = *gy_sched_error(&io->sched);
    uint64_t removed;

    if (store->made) { /* best effort: what stays is called .tmp and is opened by nobody */
        (void)gy_store_await_remove_files(store->loop, &store->dir, &removed);
        (void)gy_dir_await_remove(io, &store->parent, store->name_tmp);
        (void)gy_dir_await_sync(io, &store->parent);
        store->made = false;
    }
    (void)gy_file_await_close(io, &store->dir); /* directories: nothing is lost */
    (void)gy_file_await_close(io, &store->parent);
    gy_heap_free(&io->heap, store->path);
    store->path = NULL;
    *gy_sched_error(&io->sched) = error;
}
