/* fault_fs.c - a FUSE file system that passes everything on to a folder, but for one fault at a
 * time, which is written as a line into the file `.fault` in its root:
 *
 *     OPERATION NAME NTH COUNT ACTION [MS]
 *
 * From the NTH matching operation on (1 = the next) the fault hits COUNT times. OPERATION is one of
 * open read write fsync fsyncdir rename fallocate unlink; NAME is a part of the file's name, `*` =
 * any. ACTION:
 *     EIO ENOSPC   told, and not done
 *     lost         a write that is answered and not done
 *     misdirected  a write that goes 64 KiB further (or to the start, if it is behind that)
 *     delay        done after MS milliseconds; other operations go on meanwhile
 * `none` takes the fault away. Reading `.fault` gives how often it has hit.
 *
 * Usage: fault_fs MOUNT FOLDER         (in the foreground, until it is unmounted or killed)
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONTROL "/.fault"
#define MISDIRECTION (64 * 1024)

enum action { NOTHING, TOLD, LOST, MISDIRECTED, DELAY };

static struct {
    pthread_mutex_t mutex;
    char operation[16], name[64];
    unsigned long nth, count, hits, ms;
    enum action action;
    int told_errno;
} fault = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static int root; /* the folder */

/* ---- The fault ---- */

static bool
set_fault(const char *line)
{
    char action[16] = "";
    bool is_good;

    (void)pthread_mutex_lock(&fault.mutex);
    fault.action = NOTHING;
    fault.hits = 0;
    fault.ms = 0;
    is_good = sscanf(line, "%15s %63s %lu %lu %15s %lu", fault.operation, fault.name, &fault.nth,
                     &fault.count, action, &fault.ms) >= 5;
    if (!is_good) {
        is_good = strncmp(line, "none", 4) == 0;
    } else if (strcmp(action, "EIO") == 0 || strcmp(action, "ENOSPC") == 0) {
        fault.told_errno = strcmp(action, "EIO") == 0 ? EIO : ENOSPC;
        fault.action = TOLD;
    } else if (strcmp(action, "delay") == 0) {
        fault.action = DELAY;
    } else if (strcmp(action, "lost") == 0 || strcmp(action, "misdirected") == 0) {
        fault.action = action[0] == 'l' ? LOST : MISDIRECTED;
    } else {
        is_good = false;
    }
    (void)pthread_mutex_unlock(&fault.mutex);
    return is_good;
}

/* What happens to this operation; `path` is NULL for a file that was unlinked. TOLD: *ret_result is
 * the answer. A delay is over on return. */
static enum action
judge(const char *operation, const char *path, int *ret_result)
{
    enum action action = NOTHING;
    unsigned long ms = 0;

    (void)pthread_mutex_lock(&fault.mutex);
    if (fault.action != NOTHING && strcmp(fault.operation, operation) == 0 &&
        (fault.name[0] == '*' || (path != NULL && strstr(path, fault.name) != NULL))) {
        if (fault.nth > 1) {
            fault.nth--;
        } else if (fault.hits < fault.count) {
            fault.hits++;
            action = fault.action;
            ms = fault.ms;
        }
    }
    *ret_result = -fault.told_errno;
    (void)pthread_mutex_unlock(&fault.mutex);
    if (action == DELAY) {
        const struct timespec ts = {.tv_sec = (time_t)(ms / 1000),
                                    .tv_nsec = (long)(ms % 1000) * 1000000};

        (void)nanosleep(&ts, NULL);
    }
    return action;
}

static int
told(const char *operation, const char *path)
{
    int result;

    return judge(operation, path, &result) == TOLD ? result : 0;
}

/* ---- Passing on ---- */

static const char *
inside(const char *path)
{
    return path[1] == '\0' ? "." : path + 1;
}

static int
answer(long result)
{
    return result < 0 ? -errno : (int)result;
}

static bool
is_control(const char *path)
{
    return path != NULL && strcmp(path, CONTROL) == 0;
}

static int
on_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
    if (is_control(path)) {
        memset(st, 0, sizeof(*st));
        st->st_mode = S_IFREG | 0600;
        st->st_nlink = 1;
        return 0;
    }
    if (fi != NULL) {
        return answer(fstat((int)fi->fh, st));
    }
    return answer(fstatat(root, inside(path), st, AT_SYMLINK_NOFOLLOW));
}

static int
open_file(const char *path, int flags, mode_t mode, struct fuse_file_info *fi)
{
    int file = told("open", path);

    if (file < 0) {
        return file;
    }
    /* Our buffers are not aligned; the kernel above us still sees O_DIRECT. */
    file = openat(root, inside(path), (flags & ~O_DIRECT) | O_CLOEXEC, mode);
    fi->fh = (uint64_t)file;
    return file < 0 ? -errno : 0;
}

static int
on_open(const char *path, struct fuse_file_info *fi)
{
    if (is_control(path)) {
        fi->direct_io = 1;
        return 0;
    }
    return open_file(path, fi->flags, 0, fi);
}

static int
on_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    return open_file(path, fi->flags | O_CREAT, mode, fi);
}

static int
on_release(const char *path, struct fuse_file_info *fi)
{
    return is_control(path) ? 0 : answer(close((int)fi->fh));
}

static int
on_read(const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *fi)
{
    int result;

    if (is_control(path)) {
        return offset == 0 ? snprintf(buffer, size, "%lu\n", fault.hits) : 0;
    }
    result = told("read", path);
    return result < 0 ? result : answer(pread((int)fi->fh, buffer, size, offset));
}

static int
on_write(const char *path, const char *data, size_t size, off_t offset, struct fuse_file_info *fi)
{
    char line[128];
    int result;

    if (is_control(path)) {
        (void)snprintf(line, sizeof(line), "%.*s", (int)size, data);
        return set_fault(line) ? (int)size : -EINVAL;
    }
    switch (judge("write", path, &result)) {
    case TOLD:
        return result;
    case LOST:
        return (int)size;
    case MISDIRECTED:
        return answer(
            pwrite((int)fi->fh, data, size, offset >= MISDIRECTION ? 0 : offset + MISDIRECTION));
    default:
        return answer(pwrite((int)fi->fh, data, size, offset));
    }
}

static int
on_fsync(const char *path, int data_only, struct fuse_file_info *fi)
{
    const int result = told("fsync", path);

    if (result < 0) {
        return result;
    }
    return answer(data_only ? fdatasync((int)fi->fh) : fsync((int)fi->fh));
}

static int
on_fsyncdir(const char *path, int data_only, struct fuse_file_info *fi)
{
    (void)data_only, (void)fi;
    return told("fsyncdir", path); /* the test is not about what is below */
}

static int
on_fallocate(const char *path, int mode, off_t offset, off_t size, struct fuse_file_info *fi)
{
    const int result = told("fallocate", path);

    return result < 0 ? result : answer(fallocate((int)fi->fh, mode, offset, size));
}

static int
on_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
    int file;
    int result;

    if (is_control(path)) {
        return 0;
    }
    if (fi != NULL) {
        return answer(ftruncate((int)fi->fh, size));
    }
    file = openat(root, inside(path), O_WRONLY | O_CLOEXEC);
    result = answer(file < 0 ? -1 : ftruncate(file, size));
    if (file >= 0) {
        (void)close(file);
    }
    return result;
}

static int
on_rename(const char *from, const char *to, unsigned flags)
{
    const int result = told("rename", from);

    return result < 0 ? result : answer(renameat2(root, inside(from), root, inside(to), flags));
}

static int
on_unlink(const char *path)
{
    const int result = told("unlink", path);

    return result < 0 ? result : answer(unlinkat(root, inside(path), 0));
}

static int
on_rmdir(const char *path)
{
    return answer(unlinkat(root, inside(path), AT_REMOVEDIR));
}

static int
on_mkdir(const char *path, mode_t mode)
{
    return answer(mkdirat(root, inside(path), mode));
}

static int
on_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
           struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
    const int file = openat(root, inside(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = file >= 0 ? fdopendir(file) : NULL;

    (void)offset, (void)fi, (void)flags;
    if (dir == NULL) {
        return -errno;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        fill(buffer, entry->d_name, NULL, 0, 0);
    }
    (void)closedir(dir);
    return 0;
}

static void *
on_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
    (void)connection;
    config->hard_remove = 1; /* a file that is open and unlinked leaves no .fuse_hidden behind */
    return NULL;
}

static const struct fuse_operations operations = {.init = on_init,
                                                  .getattr = on_getattr,
                                                  .open = on_open,
                                                  .create = on_create,
                                                  .release = on_release,
                                                  .read = on_read,
                                                  .write = on_write,
                                                  .fsync = on_fsync,
                                                  .fsyncdir = on_fsyncdir,
                                                  .fallocate = on_fallocate,
                                                  .truncate = on_truncate,
                                                  .rename = on_rename,
                                                  .unlink = on_unlink,
                                                  .rmdir = on_rmdir,
                                                  .mkdir = on_mkdir,
                                                  .readdir = on_readdir};

int
main(int argc, char **argv)
{
    char *arguments[] = {argv[0], "-f", "-omax_idle_threads=10", argc > 1 ? argv[1] : "", NULL};

    if (argc != 3) {
        fprintf(stderr, "usage: fault_fs MOUNT FOLDER\n");
        return 2;
    }
    root = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        perror(argv[2]);
        return 1;
    }
    return fuse_main(4, arguments, &operations, NULL);
}
