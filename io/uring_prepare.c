/* uring_prepare.c - turns a request into a submission entry: fixed files and buffers where they are
 * registered (U3), the plain ones otherwise. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <sys/file.h>
#include <sys/uio.h>

#include "io/base/assert.h"
#include "io/uring.h"

#define RETRIES_BEFORE_WORKER 2u /* from this retry on a kernel worker does it, which may block */

static void
prepare_transfer(struct gy_uring *uring, struct io_uring_sqe *sqe, const struct gy_req *req, int fd)
{
    const int index = gy_uring_memory_find(&uring->memory, req->buffer, req->size);

    gy_assert(req->size <= GY_IO_SIZE_MAX);
    if (req->op == GY_OP_READ) {
        if (index >= 0) {
            io_uring_prep_read_fixed(sqe, fd, req->buffer, req->size, req->offset, index);
        } else {
            io_uring_prep_read(sqe, fd, req->buffer, req->size, req->offset);
        }
        return;
    }
    if (index >= 0) {
        io_uring_prep_write_fixed(sqe, fd, req->buffer, req->size, req->offset, index);
    } else {
        io_uring_prep_write(sqe, fd, req->buffer, req->size, req->offset);
    }
    if ((req->flags & GY_IO_DSYNC) != 0) {
        sqe->rw_flags = RWF_DSYNC;
    }
}

/* Operations on an open file. The fixed file of the slot where there is one. */
static void
prepare_on_file(struct gy_uring *uring, struct io_uring_sqe *sqe, const struct gy_req *req)
{
    const struct gy_posix_file *file = &uring->posix.files[req->slot];
    const int fd = file->is_registered ? (int)req->slot : gy_posix_fd(&uring->posix, req->slot);

    gy_assert(req->slot < uring->posix.file_count_max && file->fd >= 0);
    switch ((enum gy_op)req->op) {
    case GY_OP_READ:
    case GY_OP_WRITE:
        prepare_transfer(uring, sqe, req, fd);
        break;
    case GY_OP_SYNC:
        io_uring_prep_fsync(sqe, fd, file->is_directory ? 0 : IORING_FSYNC_DATASYNC);
        break;
    case GY_OP_ALLOCATE:
        io_uring_prep_fallocate(sqe, fd, 0, 0, (off_t)req->offset);
        break;
    default:
        gy_assert(req->op == GY_OP_TRUNCATE);
        io_uring_prep_rw(GY_URING_OP_FTRUNCATE, sqe, fd, NULL, 0, req->offset);
        break;
    }
    if (file->is_registered) {
        io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
    }
}

/* The descriptor of a closing file goes last: first the ring's own reference. A worker does the
 * closing, since the last reference of an unlinked file frees all of its blocks. */
static void
prepare_close(struct gy_uring *uring, struct io_uring_sqe *sqe, const struct gy_req *req)
{
    struct gy_posix_file *file = &uring->posix.files[req->slot];
    int none = -1;

    if (file->is_registered) {
        (void)io_uring_register_files_update(&uring->ring, req->slot, &none, 1);
        file->is_registered = false;
    }
    if (file->is_locked) { /* a worker answers before the kernel lets go of the file */
        (void)flock(file->fd, LOCK_UN);
    }
    io_uring_prep_close(sqe, gy_posix_fd(&uring->posix, req->slot));
    if (!file->is_directory) {
        io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
    }
}

void
gy_uring_prepare(struct gy_uring *uring, struct io_uring_sqe *sqe, struct gy_uring_op *op)
{
    const struct gy_req *req = op->req;
    struct gy_posix *posix = &uring->posix;

    switch ((enum gy_op)req->op) {
    case GY_OP_OPEN:
        op->how = gy_posix_open_how(req);
        io_uring_prep_openat2(sqe, gy_posix_fd(posix, req->dir), req->name, &op->how);
        break;
    case GY_OP_CLOSE:
        prepare_close(uring, sqe, req);
        break;
    case GY_OP_RENAME:
        io_uring_prep_renameat(sqe, gy_posix_fd(posix, req->dir), req->name,
                               gy_posix_fd(posix, req->dir), req->name_new, 0);
        break;
    case GY_OP_UNLINK:
        io_uring_prep_unlinkat(sqe, gy_posix_fd(posix, req->dir), req->name,
                               gy_posix_unlink_flags(req));
        break;
    case GY_OP_LINK:
        io_uring_prep_linkat(sqe, gy_posix_fd(posix, req->dir), req->name,
                             gy_posix_fd(posix, req->dir_new), req->name_new, 0);
        break;
    default:
        prepare_on_file(uring, sqe, req);
        break;
    }
    if (req->world_private[0] >= RETRIES_BEFORE_WORKER ||
        (uring->sync_by_worker && req->op == GY_OP_WRITE && (req->flags & GY_IO_DSYNC) != 0)) {
        sqe->flags |= IOSQE_ASYNC;
    }
    io_uring_sqe_set_data64(sqe, gy_uring_user_data(uring, op));
}
