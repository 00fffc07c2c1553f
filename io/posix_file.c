/* posix_file.c - the file table and blocking execution of requests; see posix.h for P1 to P3. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/posix.h"

#define FILE_COUNT_DEFAULT 4096u
#define IN_FLIGHT_LEAST 16u

static int
openat2_plain(int dir, const char *name, const struct open_how *how)
{
    return (int)syscall(SYS_openat2, dir, name, how, sizeof(*how));
}

/* Asked once: under an old seccomp filter a forbidden openat2 fails like a forbidden file. */
static bool
has_openat2(void)
{
    const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                 .resolve = RESOLVE_NO_MAGICLINKS};
    const int fd = openat2_plain(AT_FDCWD, "/", &how);

    if (fd < 0) {
        return false;
    }
    (void)close(fd);
    return true;
}

gyre_status
gy_posix_init(struct gy_posix *posix, const struct gy_world_config *config, struct gy_heap *heap)
{
    const char *stage_dir = config->stage_dir != NULL ? config->stage_dir : "/dev/shm";
    uint32_t count = config->file_count_max != 0 ? config->file_count_max : FILE_COUNT_DEFAULT;
    struct rlimit limit;

    if (strlen(stage_dir) >= sizeof(posix->stage_dir)) {
        return GYRE_INVALID;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < count) {
        count = limit.rlim_cur > 0 ? (uint32_t)limit.rlim_cur : 1;
    }
    posix->heap = heap;
    posix->files = gy_heap_alloc(heap, count * sizeof(posix->files[0]), GY_MEM_LOOP);
    posix->free_slots = gy_heap_alloc(heap, count * sizeof(posix->free_slots[0]), GY_MEM_LOOP);
    if (posix->files == NULL || posix->free_slots == NULL) {
        gy_posix_fini(posix);
        return GYRE_NO_MEMORY;
    }
    posix->file_count_max = count;
    posix->free_slot_count = count;
    for (uint32_t i = 0; i < count; i++) {
        posix->files[i] = (struct gy_posix_file){.fd = -1};
        posix->free_slots[i] = count - 1 - i; /* slot 0 is given out first */
    }
    posix->no_direct = config->no_direct;
    posix->has_openat2 = has_openat2();
    posix->may_ask_tags = config->in_flight_max == 0;
    memcpy(posix->stage_dir, stage_dir, strlen(stage_dir) + 1);
    return GYRE_OK;
}

void
gy_posix_fini(struct gy_posix *posix)
{
    for (uint32_t i = 0; i < posix->file_count_max; i++) {
        if (posix->files[i].fd >= 0) {
            (void)close(posix->files[i].fd);
        }
    }
    gy_posix_wake_fini(posix);
    gy_heap_free(posix->heap, posix->files);
    gy_heap_free(posix->heap, posix->free_slots);
    posix->files = NULL;
    posix->free_slots = NULL;
    posix->file_count_max = 0;
}

uint32_t
gy_posix_slot_take(struct gy_posix *posix)
{
    uint32_t slot;

    if (posix->free_slot_count == 0) {
        return GY_SLOT_NONE;
    }
    posix->free_slot_count--;
    slot = posix->free_slots[posix->free_slot_count];
    gy_assert(!posix->files[slot].is_taken);
    posix->files[slot] = (struct gy_posix_file){.fd = -1, .is_taken = true};
    return slot;
}

void
gy_posix_slot_drop(struct gy_posix *posix, uint32_t slot)
{
    gy_assert(slot < posix->file_count_max && posix->files[slot].is_taken);
    gy_assert(posix->free_slot_count < posix->file_count_max);
    posix->files[slot] = (struct gy_posix_file){.fd = -1};
    posix->free_slots[posix->free_slot_count] = slot;
    posix->free_slot_count++;
}

int
gy_posix_fd(const struct gy_posix *posix, uint32_t slot)
{
    if (slot == GY_DIR_CWD) {
        return AT_FDCWD;
    }
    gy_assert(slot < posix->file_count_max && posix->files[slot].fd >= 0);
    return posix->files[slot].fd;
}

/* ---- Names and opening ---- */

static bool
is_plain_name(const char *name)
{
    return name != NULL && name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static bool
is_good_name(const char *name, uint32_t dir)
{
    return dir == GY_DIR_CWD ? name != NULL && name[0] != '\0' : is_plain_name(name);
}

int32_t
gy_posix_check_names(const struct gy_req *req)
{
    bool is_good = is_good_name(req->name, req->dir);

    if (req->op == GY_OP_RENAME) {
        is_good = is_good && is_good_name(req->name_new, req->dir);
    } else if (req->op == GY_OP_LINK) {
        is_good = is_good && is_good_name(req->name_new, req->dir_new);
    }
    return is_good ? 0 : -EINVAL;
}

struct open_how
gy_posix_open_how(const struct gy_req *req)
{
    /* O_NONBLOCK: a FIFO or a device in the place of a file must not hang us. It is taken off
     * again in gy_posix_opened, where O_DIRECT is put on: opening with O_DIRECT would leave a new
     * file behind on file systems that refuse it. */
    struct open_how how = {.flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY};

    how.flags |= (req->flags & GY_OPEN_WRITE) != 0 ? (uint64_t)O_RDWR : (uint64_t)O_RDONLY;
    if ((req->flags & GY_OPEN_DIRECTORY) != 0) {
        how.flags |= O_DIRECTORY;
    }
    if ((req->flags & GY_OPEN_CREATE) != 0) {
        how.flags |= O_CREAT;
        how.mode = 0600;
        if ((req->flags & GY_OPEN_EXCLUSIVE) != 0) {
            how.flags |= O_EXCL;
        }
    }
    if (req->dir != GY_DIR_CWD) { /* a path of the caller's own may lead through links */
        how.flags |= O_NOFOLLOW;
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    }
    return how;
}

/* Does this file take O_DIRECT at our alignment? Kernels and file systems that do not say are
 * believed: F_SETFL refuses where there is no direct I/O at all. */
static bool
is_direct_possible(int fd)
{
#ifdef STATX_DIOALIGN
    struct statx stx;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) != 0 ||
        (stx.stx_mask & STATX_DIOALIGN) == 0) {
        return true;
    }
    return stx.stx_dio_mem_align != 0 && stx.stx_dio_mem_align <= GY_PAGE &&
           stx.stx_dio_offset_align != 0 && stx.stx_dio_offset_align <= GY_PAGE;
#else
    (void)fd;
    return true;
#endif
}

/* Take O_NONBLOCK off; O_DIRECT and O_NOATIME (reads must not write inodes; owner only) go on. */
static int32_t
set_flags(struct gy_posix *posix, int fd, bool wants_direct)
{
    struct gy_world_info *info = &posix->world.info;

    if (wants_direct && is_direct_possible(fd) &&
        (fcntl(fd, F_SETFL, O_DIRECT | O_NOATIME) == 0 || fcntl(fd, F_SETFL, O_DIRECT) == 0)) {
        info->has_direct_io = !posix->was_refused_direct;
        return 0;
    }
    if (wants_direct) {
        posix->was_refused_direct = true;
        info->has_direct_io = false;
    }
    if (fcntl(fd, F_SETFL, O_NOATIME) == 0 || fcntl(fd, F_SETFL, 0) == 0) {
        return 0;
    }
    return -errno;
}

/* At most half of the device's tags may be in flight, since past all of them io_uring_enter sleeps.
 * Only ever lowers the figure. Partitions have no queue of their own: it is one directory up. */
static void
learn_tags(struct gy_posix *posix, dev_t device)
{
    struct gy_world_info *info = &posix->world.info;
    char path[96];
    char text[32];

    for (uint32_t up = 0; up < 2; up++) {
        (void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/nr_requests",
                       major(device), minor(device), up == 0 ? "" : "../");
        if (gy_posix_read_text(path, text, sizeof(text)) > 0) {
            const unsigned long tags = strtoul(text, NULL, 10);
            const uint64_t half = gy_max_u64(tags / 2, IN_FLIGHT_LEAST);

            info->in_flight_max = (uint32_t)gy_min_u64(info->in_flight_max, half);
            return;
        }
    }
}

static int32_t
check_kind(const struct stat *st, uint8_t open_flags)
{
    if ((open_flags & GY_OPEN_DIRECTORY) != 0) {
        return S_ISDIR(st->st_mode) ? 0 : -ENOTDIR;
    }
    if (S_ISDIR(st->st_mode)) {
        return -EISDIR;
    }
    if (!S_ISREG(st->st_mode)) {
        return -EINVAL;
    }
    return (open_flags & GY_OPEN_SINGLE) != 0 && st->st_nlink > 1 ? -EMLINK : 0;
}

int32_t
gy_posix_opened(struct gy_posix *posix, const struct gy_req *req, uint32_t slot, int fd)
{
    const bool is_directory = (req->flags & GY_OPEN_DIRECTORY) != 0;
    int32_t result = 0;
    struct stat st;

    gy_assert(fd >= 0 && posix->files[slot].is_taken && posix->files[slot].fd < 0);
    if (fstat(fd, &st) != 0) {
        result = -errno;
        goto out;
    }
    result = check_kind(&st, req->flags);
    if (result != 0) {
        goto out;
    }
    if ((req->flags & GY_OPEN_CREATE) != 0 && (st.st_mode & 0600) != 0600 &&
        fchmod(fd, 0600) != 0) { /* an odd umask took our own bits */
        result = -errno;
        goto out;
    }
    if (is_directory) {
        if (posix->may_ask_tags) {
            posix->may_ask_tags = false;
            learn_tags(posix, st.st_dev);
        }
    } else {
        result = set_flags(posix, fd, !posix->no_direct && (req->flags & GY_OPEN_BUFFERED) == 0);
    }

out:
    if (result != 0) {
        (void)close(fd);
        gy_posix_slot_drop(posix, slot);
        return result;
    }
    posix->files[slot].fd = fd;
    posix->files[slot].is_directory = is_directory;
    return (int32_t)slot;
}

static int32_t
run_open(struct gy_posix *posix, const struct gy_req *req)
{
    const struct open_how how = gy_posix_open_how(req);
    const int32_t checked = gy_posix_check_names(req);
    const uint32_t slot = checked == 0 ? gy_posix_slot_take(posix) : GY_SLOT_NONE;
    const int dir = checked == 0 ? gy_posix_fd(posix, req->dir) : -1;
    uint64_t tries = 0;
    int32_t result;

    if (slot == GY_SLOT_NONE) {
        return checked != 0 ? checked : -EMFILE;
    }
    do { /* EAGAIN: somebody renamed on the way while RESOLVE_BENEATH was looking */
        const int fd = posix->has_openat2
                           ? openat2_plain(dir, req->name, &how)
                           : openat(dir, req->name, (int)how.flags, (mode_t)how.mode);

        result = fd >= 0 ? fd : -errno;
    } while (gy_world_retries(GY_OP_OPEN, &result, &tries));
    if (result < 0) {
        gy_posix_slot_drop(posix, slot);
        return result;
    }
    return gy_posix_opened(posix, req, slot, result);
}

static int32_t
run_close(struct gy_posix *posix, const struct gy_req *req)
{
    const int fd = gy_posix_fd(posix, req->slot);
    int32_t result = close(fd) == 0 ? 0 : -errno;

    gy_posix_slot_drop(posix, req->slot); /* Linux frees the descriptor whatever close() says */
    return result == -EINTR ? 0 : result;
}

/* ---- Blocking execution ---- */

static int32_t
run_transfer(struct gy_posix *posix, const struct gy_req *req)
{
    const int fd = gy_posix_fd(posix, req->slot);
    const struct iovec vector = {.iov_base = req->buffer, .iov_len = req->size};
    const bool is_durable = req->op == GY_OP_WRITE && (req->flags & GY_IO_DSYNC) != 0;
    uint64_t tries = 0;
    int32_t result;
    ssize_t size;

    gy_assert(req->size <= GY_IO_SIZE_MAX);
    do {
        if (req->op == GY_OP_READ) {
            size = pread(fd, req->buffer, req->size, (off_t)req->offset);
        } else if (is_durable) {
            size = pwritev2(fd, &vector, 1, (off_t)req->offset, RWF_DSYNC);
        } else {
            size = pwrite(fd, req->buffer, req->size, (off_t)req->offset);
        }
        result = size < 0 ? -errno : (int32_t)size;
    } while (gy_world_retries((enum gy_op)req->op, &result, &tries));
    if (is_durable && (result == -ENOSYS || result == -EOPNOTSUPP)) {
        do {
            size = pwrite(fd, req->buffer, req->size, (off_t)req->offset);
            result = size < 0 ? -errno : (int32_t)size;
        } while (gy_world_retries(GY_OP_WRITE, &result, &tries));
        if (result > 0 &&
            fdatasync(fd) != 0) { /* EINTR too: a sync that may have failed has failed */
            return errno == EINTR || errno == EAGAIN ? -EIO : -errno;
        }
    }
    return result;
}

int32_t
gy_posix_allocate_plainly(int fd, uint64_t size)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return -errno;
    }
    if ((uint64_t)st.st_size >= size) {
        return 0;
    }
    return ftruncate(fd, (off_t)size) == 0 ? 0 : -errno;
}

static int32_t
run_allocate(int fd, uint64_t size)
{
    int32_t result;

    do {
        result = fallocate(fd, 0, 0, (off_t)size) == 0 ? 0 : -errno;
    } while (result == -EINTR);
    return result == -EOPNOTSUPP || result == -ENOSYS ? gy_posix_allocate_plainly(fd, size)
                                                      : result;
}

static int32_t
run_mkdir(int dir, const char *name)
{
    struct stat st;

    if (mkdirat(dir, name, 0700) != 0) {
        return -errno;
    }
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & 0700) != 0700 &&
        fchmodat(dir, name, 0700, 0) != 0) { /* an odd umask took our own bits */
        return -errno;
    }
    return 0;
}

static void
list_one(int fd, const struct dirent64 *entry, const struct gy_req *req)
{
    struct stat st;
    bool is_regular = entry->d_type == DT_REG;

    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
        return;
    }
    if (entry->d_type == DT_UNKNOWN) {
        is_regular =
            fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
    }
    req->list(req->list_arg, entry->d_name, is_regular);
}

/* getdents64 and not readdir: no allocation, and a descriptor of its own, so that two lists of one
 * directory do not share a position. */
static int32_t
run_list(int dir, const struct gy_req *req)
{
    _Alignas(struct dirent64) char buffer[1024];
    const int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int32_t result = 0;
    ssize_t size;

    if (fd < 0) {
        return -errno;
    }
    while ((size = getdents64(fd, buffer, sizeof(buffer))) > 0) {
        for (ssize_t at = 0; at < size;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(buffer + at);

            list_one(fd, entry, req);
            at += entry->d_reclen;
        }
    }
    if (size < 0) {
        result = -errno;
    }
    (void)close(fd);
    return result;
}

static int32_t
run_free_space(int fd, uint64_t *ret_size)
{
    struct statvfs vfs;

    if (fstatvfs(fd, &vfs) != 0) {
        return -errno;
    }
    /* f_bavail, not f_bfree: what is kept for root is not ours even if we are root today. A file
     * system that has no blocks at all (some of FUSE) does not say how many are free. */
    if (vfs.f_blocks == 0 ||
        __builtin_mul_overflow((uint64_t)vfs.f_bavail, (uint64_t)vfs.f_frsize, ret_size)) {
        *ret_size = UINT64_MAX;
    }
    return 0;
}

static int32_t
run_stat(int fd, uint64_t *ret_size)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return -errno;
    }
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

static int32_t
of_call(int returned)
{
    return returned == 0 ? 0 : -errno;
}

static int32_t
run_named(struct gy_posix *posix, const struct gy_req *req)
{
    const int32_t checked = gy_posix_check_names(req);
    int dir;

    if (checked != 0) {
        return checked;
    }
    dir = gy_posix_fd(posix, req->dir);
    switch ((enum gy_op)req->op) {
    case GY_OP_RENAME:
        return of_call(renameat(dir, req->name, dir, req->name_new));
    case GY_OP_UNLINK:
        return of_call(unlinkat(dir, req->name, gy_posix_unlink_flags(req)));
    case GY_OP_LINK:
        return of_call(linkat(dir, req->name, gy_posix_fd(posix, req->dir_new), req->name_new, 0));
    default:
        gy_assert(req->op == GY_OP_MKDIR);
        return run_mkdir(dir, req->name);
    }
}

static int32_t
run_lock(struct gy_posix_file *file, bool shared)
{
    const int32_t result = of_call(flock(file->fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB));

    file->is_locked = file->is_locked || result == 0;
    return result;
}

static int32_t
run_once(struct gy_posix *posix, struct gy_req *req)
{
    switch ((enum gy_op)req->op) {
    case GY_OP_READ:
    case GY_OP_WRITE:
        return run_transfer(posix, req);
    case GY_OP_SYNC:
        return of_call(posix->files[req->slot].is_directory
                           ? fsync(gy_posix_fd(posix, req->slot))
                           : fdatasync(gy_posix_fd(posix, req->slot)));
    case GY_OP_OPEN:
        return run_open(posix, req);
    case GY_OP_CLOSE:
        return run_close(posix, req);
    case GY_OP_ALLOCATE:
        return run_allocate(gy_posix_fd(posix, req->slot), req->offset);
    case GY_OP_TRUNCATE:
        return of_call(ftruncate(gy_posix_fd(posix, req->slot), (off_t)req->offset));
    case GY_OP_RENAME:
    case GY_OP_UNLINK:
    case GY_OP_LINK:
    case GY_OP_MKDIR:
        return run_named(posix, req);
    case GY_OP_STAT:
        return run_stat(gy_posix_fd(posix, req->slot), &req->ret_size);
    case GY_OP_LIST:
        return run_list(gy_posix_fd(posix, req->slot), req);
    case GY_OP_LOCK:
        return run_lock(&posix->files[req->slot], (req->flags & GY_LOCK_SHARED) != 0);
    case GY_OP_FREE_SPACE:
        return run_free_space(gy_posix_fd(posix, req->slot), &req->ret_size);
    case GY_OP_COUNT:
        break;
    }
    gy_assert(false); /* no such operation */
    return -EINVAL;
}

int32_t
gy_posix_run(struct gy_posix *posix, struct gy_req *req)
{
    uint64_t tries = 0;
    int32_t result;

    do {
        result = run_once(posix, req);
    } while (gy_world_retries((enum gy_op)req->op, &result, &tries));
    return result;
}
