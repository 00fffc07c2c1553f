/* file.c - see file.h. Requests live on the stack of the coroutine that waits for them: it never
 * leaves before its request has come back. */
#include "io/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#define IDLE_TRANSFERS_MAX 64u /* in a row that move nothing new before we call the device broken */

/* ---- Errors ---- */

static gyre_status
status_of(int32_t result)
{
    switch (-result) {
    case EEXIST:
    case EXDEV:
        return GYRE_INVALID;
    default:
        return gy_status_of_errno(-result);
    }
}

/* What the bare text of an errno would not say. */
static const char *
open_hint(int32_t result)
{
    switch (-result) {
    case ELOOP:
        return "cannot open: it is a symbolic link, which is not followed";
    case EINVAL:
    case ENXIO:
    case ENODEV:
        return "cannot open: it is not a regular file";
    case EISDIR:
        return "cannot open: it is a directory, not a file";
    case ENOTDIR:
        return "cannot open: it is not a directory";
    case EMFILE:
    case ENFILE:
        return "cannot open: too many open files; raise ulimit -n or lower open_files_max";
    case EMLINK:
        return "cannot open: it has a second name (a hard link), so writing to it would change "
               "another file; copy the store";
    case EXDEV:
        return "cannot open: the name leads out of the store's directory";
    default:
        return "cannot open";
    }
}

static gyre_status
fail_at(struct gy_loop *loop, const char *what, const char *name, uint64_t offset, int32_t result)
{
    gy_assert(result < 0);
    return gy_fail_at(&loop->sched, status_of(result), name, offset, -result, "%s", what);
}

static void
name_set(struct gy_file *file, const char *name)
{
    const size_t size = strlen(name);

    /* The tail of a long path says more than its head. */
    (void)snprintf(file->name, sizeof(file->name), "%s",
                   size < sizeof(file->name) ? name : name + size - (sizeof(file->name) - 1));
}

/* ---- Requests on names ---- */

GY_SUSPENDS static int32_t
await_open_slot(struct gy_loop *loop, uint32_t dir, const char *name, uint32_t open_flags,
                enum gy_io_class klass)
{
    struct gy_req req = {.op = GY_OP_OPEN,
                         .klass = (uint8_t)klass,
                         .dir = dir,
                         .name = name,
                         .flags = (uint8_t)open_flags};

    return gy_loop_await(loop, &req);
}

GY_SUSPENDS static int32_t
await_slot_op(struct gy_loop *loop, enum gy_op op, uint32_t slot, enum gy_io_class klass)
{
    struct gy_req req = {.op = (uint8_t)op, .klass = (uint8_t)klass, .slot = slot};

    return gy_loop_await(loop, &req);
}

/* Make the name of a directory just created durable. Where its parent cannot be opened (no right to
 * read it) there is nothing we can do, and the directory is as durable as any the user makes. */
GY_SUSPENDS static gyre_status
await_parent_sync(struct gy_loop *loop, const char *path)
{
    char parent[GYRE_PATH_SIZE_MAX];
    size_t size = strlen(path);
    int32_t slot;
    int32_t result;

    while (size > 1 && path[size - 1] == '/') {
        size--;
    }
    while (size > 0 && path[size - 1] != '/') {
        size--;
    }
    if (size >= sizeof(parent)) {
        return GYRE_OK;
    }
    (void)snprintf(parent, sizeof(parent), "%.*s", size > 0 ? (int)size : 1, size > 0 ? path : ".");
    slot = await_open_slot(loop, GY_DIR_CWD, parent, GY_OPEN_DIRECTORY, GY_IO_META);
    if (slot < 0) {
        return GYRE_OK;
    }
    result = await_slot_op(loop, GY_OP_SYNC, (uint32_t)slot, GY_IO_META);
    (void)await_slot_op(loop, GY_OP_CLOSE, (uint32_t)slot, GY_IO_META); /* only read from */
    if (result < 0) {
        return fail_at(loop, "cannot sync the directory above", path, GY_NO_OFFSET, result);
    }
    return GYRE_OK;
}

gyre_status
gy_dir_await_open(struct gy_loop *loop, const char *path, bool create, struct gy_file *ret_dir)
{
    struct gy_file dir = GY_FILE_CLOSED;
    int32_t slot;

    name_set(&dir, path);
    if (create) {
        struct gy_req make = {
            .op = GY_OP_MKDIR, .klass = GY_IO_META, .dir = GY_DIR_CWD, .name = path};
        const int32_t made = gy_loop_await(loop, &make);

        if (made < 0 && made != -EEXIST) {
            return fail_at(loop, "cannot create the directory", dir.name, GY_NO_OFFSET, made);
        }
        if (made == 0) {
            const gyre_status st = await_parent_sync(loop, path);

            if (st != GYRE_OK) {
                return st;
            }
        }
    }
    slot = await_open_slot(loop, GY_DIR_CWD, path, GY_OPEN_DIRECTORY, GY_IO_META);
    if (slot < 0) {
        return fail_at(loop, open_hint(slot), dir.name, GY_NO_OFFSET, slot);
    }
    dir.slot = (uint32_t)slot;
    dir.dir = GY_DIR_CWD;
    *ret_dir = dir;
    return GYRE_OK;
}

gyre_status
gy_dir_await_list(struct gy_loop *loop, const struct gy_file *dir,
                  void (*each)(void *arg, const char *name, bool is_regular), void *arg)
{
    struct gy_req req = {
        .op = GY_OP_LIST, .klass = GY_IO_META, .slot = dir->slot, .list = each, .list_arg = arg};
    const int32_t result = gy_loop_await(loop, &req);

    return result < 0 ? fail_at(loop, "cannot list the directory", dir->name, GY_NO_OFFSET, result)
                      : GYRE_OK;
}

gyre_status
gy_dir_await_sync(struct gy_loop *loop, const struct gy_file *dir)
{
    const int32_t result = await_slot_op(loop, GY_OP_SYNC, dir->slot, GY_IO_META);

    return result < 0 ? fail_at(loop, "cannot sync the directory", dir->name, GY_NO_OFFSET, result)
                      : GYRE_OK;
}

gyre_status
gy_dir_await_free_space(struct gy_loop *loop, const struct gy_file *dir, uint64_t *ret_bytes)
{
    struct gy_req req = {.op = GY_OP_FREE_SPACE, .klass = GY_IO_META, .slot = dir->slot};
    const int32_t result = gy_loop_await(loop, &req);

    if (result < 0) {
        return fail_at(loop, "cannot ask for free space", dir->name, GY_NO_OFFSET, result);
    }
    *ret_bytes = req.ret_size;
    return GYRE_OK;
}

gyre_status
gy_file_await_open(struct gy_loop *loop, const struct gy_file *dir, const char *name,
                   uint32_t open_flags, enum gy_io_class klass, struct gy_file *ret_file)
{
    struct gy_file file = GY_FILE_CLOSED;
    const int32_t slot = await_open_slot(loop, dir->slot, name, open_flags, klass);

    if (slot < 0) {
        return fail_at(loop, open_hint(slot), name, GY_NO_OFFSET, slot);
    }
    name_set(&file, name);
    file.slot = (uint32_t)slot;
    file.dir = dir->slot;
    *ret_file = file;
    return GYRE_OK;
}

gyre_status
gy_file_await_rename(struct gy_loop *loop, const struct gy_file *dir, const char *name,
                     const char *name_new)
{
    struct gy_req req = {.op = GY_OP_RENAME,
                         .klass = GY_IO_META,
                         .dir = dir->slot,
                         .name = name,
                         .name_new = name_new};
    const int32_t result = gy_loop_await(loop, &req);

    if (result < 0) {
        return gy_fail_at(&loop->sched, status_of(result), name, GY_NO_OFFSET, -result,
                          "cannot rename to %s", name_new);
    }
    return GYRE_OK;
}

gyre_status
gy_file_await_unlink(struct gy_loop *loop, const struct gy_file *dir, const char *name)
{
    struct gy_req req = {.op = GY_OP_UNLINK, .klass = GY_IO_META, .dir = dir->slot, .name = name};
    const int32_t result = gy_loop_await(loop, &req);

    return result < 0 ? fail_at(loop, "cannot remove", name, GY_NO_OFFSET, result) : GYRE_OK;
}

gyre_status
gy_dir_await_remove(struct gy_loop *loop, const struct gy_file *dir, const char *name)
{
    struct gy_req req = {.op = GY_OP_UNLINK,
                         .flags = GY_UNLINK_DIRECTORY,
                         .klass = GY_IO_META,
                         .dir = dir->slot,
                         .name = name};
    const int32_t result = gy_loop_await(loop, &req);

    if (result == -ENOTEMPTY || result == -EEXIST) { /* POSIX allows either */
        return gy_fail_at(&loop->sched, GYRE_INVALID, name, GY_NO_OFFSET, -result,
                          "the directory is not empty");
    }
    return result < 0 ? fail_at(loop, "cannot remove the directory", name, GY_NO_OFFSET, result)
                      : GYRE_OK;
}

gyre_status
gy_file_await_link(struct gy_loop *loop, const struct gy_file *dir, const char *name,
                   const struct gy_file *dir_new, const char *name_new)
{
    struct gy_req req = {.op = GY_OP_LINK,
                         .klass = GY_IO_META,
                         .dir = dir->slot,
                         .name = name,
                         .dir_new = dir_new->slot,
                         .name_new = name_new};
    const int32_t result = gy_loop_await(loop, &req);

    if (result < 0) {
        return gy_fail_at(&loop->sched, status_of(result), name, GY_NO_OFFSET, -result,
                          result == -EXDEV ? "cannot link to %s/%s: same file system only"
                                           : "cannot link to %s/%s",
                          dir_new->name, name_new);
    }
    return GYRE_OK;
}

/* ---- Open files ---- */

gyre_status
gy_file_await_close(struct gy_loop *loop, struct gy_file *file)
{
    int32_t result;

    if (file->slot == GY_SLOT_NONE) {
        return GYRE_OK;
    }
    result = await_slot_op(loop, GY_OP_CLOSE, file->slot, GY_IO_META);
    file->slot = GY_SLOT_NONE; /* gone whatever close said */
    return result < 0 ? fail_at(loop, "cannot close", file->name, GY_NO_OFFSET, result) : GYRE_OK;
}

/* Is `offset` the end of the file or behind it? */
GY_SUSPENDS static int32_t
await_is_end(struct gy_loop *loop, const struct gy_file *file, uint64_t offset)
{
    struct gy_req req = {.op = GY_OP_STAT, .klass = GY_IO_META, .slot = file->slot};
    const int32_t result = gy_loop_await(loop, &req);

    return result < 0 ? result : offset >= req.ret_size;
}

/* Transfers go on from the last whole page: O_DIRECT wants aligned offsets, and moving the bytes
 * of the begun page once more does no harm. So an answer without news proves nothing yet: a read
 * then asks for the size. Returns the bytes in a row from `offset` that were moved, or an errno;
 * less than `size` only at the end of the file (read) or when nothing moves any more (write). */
GY_SUSPENDS static int64_t
await_transfer(struct gy_loop *loop, const struct gy_file *file, struct gy_req *req,
               uint8_t *buffer, uint32_t size, uint64_t offset)
{
    uint32_t have = 0;
    uint32_t idle_count = 0;

    gy_assert(file->slot != GY_SLOT_NONE);
    while (have < size) {
        const uint32_t from = (uint32_t)gy_align_down(have, GY_PAGE);
        int32_t result;

        req->slot = file->slot;
        req->buffer = buffer + from;
        req->size = (uint32_t)gy_min_u64(size - from, GY_IO_SIZE_MAX);
        req->offset = offset + from;
        result = gy_loop_await(loop, req);
        if (result < 0) {
            return result;
        }
        gy_assert((uint32_t)result <= req->size);
        if (from + (uint32_t)result > have) {
            if (have > 0) {
                GY_SOMETIMES(transfer_went_on);
            }
            have = from + (uint32_t)result;
            idle_count = 0;
            continue;
        }
        if (req->op == GY_OP_READ) {
            const int32_t is_end = await_is_end(loop, file, offset + have);

            if (is_end != 0) {
                return is_end < 0 ? is_end : (int64_t)have;
            }
        }
        idle_count++;
        if (idle_count == IDLE_TRANSFERS_MAX) {
            return req->op == GY_OP_READ ? -EIO : (int64_t)have;
        }
    }
    return have;
}

gyre_status
gy_file_await_read_some(struct gy_loop *loop, const struct gy_file *file, enum gy_io_class klass,
                        void *buffer, uint32_t size, uint64_t offset, uint32_t *ret_size)
{
    struct gy_req req = {.op = GY_OP_READ, .klass = (uint8_t)klass};
    const int64_t moved = await_transfer(loop, file, &req, buffer, size, offset);

    if (moved < 0) {
        return fail_at(loop, "cannot read", file->name, req.offset, (int32_t)moved);
    }
    *ret_size = (uint32_t)moved;
    return GYRE_OK;
}

gyre_status
gy_file_await_read(struct gy_loop *loop, const struct gy_file *file, enum gy_io_class klass,
                   void *buffer, uint32_t size, uint64_t offset)
{
    uint32_t moved = 0;
    const gyre_status st = gy_file_await_read_some(loop, file, klass, buffer, size, offset, &moved);

    if (st != GYRE_OK) {
        return st;
    }
    if (moved < size) {
        return gy_fail_at(&loop->sched, GYRE_CORRUPT, file->name, offset, 0,
                          "the file ends at %llu, expected at least %llu bytes",
                          (unsigned long long)(offset + moved),
                          (unsigned long long)(offset + size));
    }
    return GYRE_OK;
}

gyre_status
gy_file_await_write(struct gy_loop *loop, const struct gy_file *file, enum gy_io_class klass,
                    const void *buffer, size_t size, uint64_t offset, uint32_t io_flags)
{
    struct gy_req req = {.op = GY_OP_WRITE, .klass = (uint8_t)klass, .flags = (uint8_t)io_flags};
    /* A request has one pointer for both directions; a write only reads from it. */
    uint8_t *bytes = (uint8_t *)(uintptr_t)buffer;

    for (size_t at = 0; at < size;) {
        const uint32_t part = (uint32_t)gy_min_u64(size - at, GY_IO_SIZE_MAX);
        const int64_t moved = await_transfer(loop, file, &req, bytes + at, part, offset + at);

        if (moved < 0) {
            return fail_at(loop, "cannot write", file->name, req.offset, (int32_t)moved);
        }
        if (moved < part) {
            return gy_fail_at(&loop->sched, GYRE_IO, file->name, offset + at + (uint64_t)moved, 0,
                              "cannot write: the device takes no more bytes");
        }
        at += part;
    }
    return GYRE_OK;
}

gyre_status
gy_file_await_sync(struct gy_loop *loop, const struct gy_file *file, enum gy_io_class klass)
{
    const int32_t result = await_slot_op(loop, GY_OP_SYNC, file->slot, klass);

    return result < 0 ? fail_at(loop, "cannot sync", file->name, GY_NO_OFFSET, result) : GYRE_OK;
}

gyre_status
gy_file_await_allocate(struct gy_loop *loop, const struct gy_file *file, uint64_t size,
                       enum gy_io_class klass)
{
    struct gy_req req = {
        .op = GY_OP_ALLOCATE, .klass = (uint8_t)klass, .slot = file->slot, .offset = size};
    const int32_t result = gy_loop_await(loop, &req);

    if (result < 0) {
        return gy_fail_at(&loop->sched, status_of(result), file->name, GY_NO_OFFSET, -result,
                          "cannot reserve %llu bytes", (unsigned long long)size);
    }
    return GYRE_OK;
}

gyre_status
gy_file_await_truncate(struct gy_loop *loop, const struct gy_file *file, uint64_t size)
{
    struct gy_req req = {
        .op = GY_OP_TRUNCATE, .klass = GY_IO_META, .slot = file->slot, .offset = size};
    const int32_t result = gy_loop_await(loop, &req);

    if (result < 0) {
        return gy_fail_at(&loop->sched, status_of(result), file->name, GY_NO_OFFSET, -result,
                          "cannot set the size to %llu bytes", (unsigned long long)size);
    }
    return GYRE_OK;
}

gyre_status
gy_file_await_size(struct gy_loop *loop, const struct gy_file *file, uint64_t *ret_size)
{
    struct gy_req req = {.op = GY_OP_STAT, .klass = GY_IO_META, .slot = file->slot};
    const int32_t result = gy_loop_await(loop, &req);

    if (result < 0) {
        return fail_at(loop, "cannot ask for the size", file->name, GY_NO_OFFSET, result);
    }
    *ret_size = req.ret_size;
    return GYRE_OK;
}

gyre_status
gy_file_await_lock(struct gy_loop *loop, const struct gy_file *file, bool shared)
{
    struct gy_req req = {.op = GY_OP_LOCK,
                         .klass = GY_IO_META,
                         .flags = shared ? GY_LOCK_SHARED : 0,
                         .slot = file->slot};
    const int32_t result = gy_loop_await(loop, &req);

    if (result == -EWOULDBLOCK) {
        return gy_fail_at(&loop->sched, GYRE_BUSY, file->name, GY_NO_OFFSET, 0,
                          "the store is open already, in another process or in this one");
    }
    return result < 0 ? fail_at(loop, "cannot lock", file->name, GY_NO_OFFSET, result) : GYRE_OK;
}
