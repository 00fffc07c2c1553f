/* log_disk.c - a FUSE file system with one file, `disk`, that keeps its bytes in memory and logs
 * each write and each flush in the order of arrival. A loop device on top of it is a disk whose
 * state after a power cut at any moment can be made from the log (cut_image.c).
 *
 * One thread: requests are logged in the order in which they are answered. Meant for
 *     losetup --direct-io=on --show -f MOUNT/disk
 *
 * Usage: log_disk MOUNT LOG SIZE_MB         (in the foreground, until it is unmounted or killed)
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/kernel/disk_log.h"

static struct {
    uint8_t *bytes;
    uint64_t size;
    struct disk_log_head *head;
    int log;
    uint64_t log_end;
} disk;

static int
append(uint32_t kind, const void *data, size_t size, off_t offset)
{
    const struct disk_log_record record = {
        .kind = kind, .size = (uint32_t)size, .offset = (uint64_t)offset};

    if (pwrite(disk.log, &record, sizeof(record), (off_t)disk.log_end) != sizeof(record)) {
        return -EIO;
    }
    disk.log_end += sizeof(record);
    if (size > 0 && pwrite(disk.log, data, size, (off_t)disk.log_end) != (ssize_t)size) {
        return -EIO;
    }
    disk.log_end += size;
    disk.head->entries++;
    return 0;
}

static int
is_disk(const char *path)
{
    return strcmp(path, "/disk") == 0;
}

static int
on_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
    (void)fi;
    memset(st, 0, sizeof(*st));
    if (strcmp(path, "/") == 0) {
        st->st_mode = S_IFDIR | 0700;
        st->st_nlink = 2;
        return 0;
    }
    if (!is_disk(path)) {
        return -ENOENT;
    }
    st->st_mode = S_IFREG | 0600;
    st->st_nlink = 1;
    st->st_size = (off_t)disk.size;
    return 0;
}

static int
on_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
           struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
    (void)path, (void)offset, (void)fi, (void)flags;
    fill(buffer, ".", NULL, 0, 0);
    fill(buffer, "..", NULL, 0, 0);
    fill(buffer, "disk", NULL, 0, 0);
    return 0;
}

static int
on_open(const char *path, struct fuse_file_info *fi)
{
    (void)fi;
    return is_disk(path) ? 0 : -ENOENT;
}

static int
on_read(const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *fi)
{
    (void)path, (void)fi;
    if ((uint64_t)offset >= disk.size) {
        return 0;
    }
    size = size < disk.size - (uint64_t)offset ? size : (size_t)(disk.size - (uint64_t)offset);
    memcpy(buffer, disk.bytes + offset, size);
    return (int)size;
}

static int
on_write(const char *path, const char *data, size_t size, off_t offset, struct fuse_file_info *fi)
{
    int result;

    (void)path, (void)fi;
    if ((uint64_t)offset > disk.size || size > disk.size - (uint64_t)offset) {
        return -ENOSPC;
    }
    result = append(DISK_LOG_WRITE, data, size, offset);
    if (result != 0) {
        return result;
    }
    memcpy(disk.bytes + offset, data, size);
    return (int)size;
}

static int
on_fsync(const char *path, int data_only, struct fuse_file_info *fi)
{
    (void)path, (void)data_only, (void)fi;
    disk.head->flushes++;
    if (disk.head->flushes == disk.head->fail_flush) {
        disk.head->failed_at = disk.head->entries;
        return -EIO; /* nothing of what came before is durable by it */
    }
    return append(DISK_LOG_FLUSH, NULL, 0, 0);
}

static const struct fuse_operations operations = {.getattr = on_getattr,
                                                  .readdir = on_readdir,
                                                  .open = on_open,
                                                  .read = on_read,
                                                  .write = on_write,
                                                  .fsync = on_fsync};

int
main(int argc, char **argv)
{
    char *arguments[] = {argv[0], "-f", "-s", argc > 1 ? argv[1] : "", NULL};

    if (argc != 4) {
        fprintf(stderr, "usage: log_disk MOUNT LOG SIZE_MB\n");
        return 2;
    }
    disk.size = strtoull(argv[3], NULL, 10) << 20;
    disk.bytes = mmap(NULL, disk.size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    disk.log = open(argv[2], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (disk.bytes == MAP_FAILED || disk.log < 0 || ftruncate(disk.log, DISK_LOG_HEAD_SIZE) != 0) {
        perror("log_disk");
        return 1;
    }
    disk.head = mmap(NULL, DISK_LOG_HEAD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, disk.log, 0);
    if (disk.head == MAP_FAILED) {
        perror("log_disk");
        return 1;
    }
    disk.log_end = DISK_LOG_HEAD_SIZE;
    return fuse_main(4, arguments, &operations, NULL);
}
