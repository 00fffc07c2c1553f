/* doctor_disk.c - doctor's checks of the folder, its file system and device, and a synced write. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tools/gyre/doctor.h"

#define SYNC_BLOCK 4096u
#define SYNC_BLOCKS 256u /* of the file: 1 MiB, zeroed beforehand, as a log is */
#define SYNC_COUNT 50u
#define SYNC_SLOW_NS 5000000u
#define SPACE_WANTED ((uint64_t)256 << 20)

/* ---- Folder and file system ---- */

struct mount {
    char point[512], type[64], options[512], source[256];
};

/* The mount that holds `path` (absolute, without links): the longest mount point that begins it.
 * Device numbers would not do: btrfs and overlay files have others than their mounts. */
static bool
find_mount(const char *path, struct mount *ret_mount)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char line[4096];
    size_t best = 0;
    bool is_found = false;

    if (file == NULL) {
        return false;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        struct mount mount;
        char super[512];
        const char *rest = strstr(line, " - ");

        if (rest == NULL ||
            sscanf(line, "%*s %*s %*s %*s %511s %511s", mount.point, mount.options) != 2 ||
            sscanf(rest + 3, "%63s %255s %511s", mount.type, mount.source, super) != 3) {
            continue;
        }
        const size_t size = strlen(mount.point);
        const bool is_root = strcmp(mount.point, "/") == 0;
        if (strncmp(path, mount.point, size) == 0 && size >= best &&
            (is_root || path[size] == '\0' || path[size] == '/')) {
            const size_t used = strlen(mount.options);

            (void)snprintf(mount.options + used, sizeof(mount.options) - used, ",%s", super);
            *ret_mount = mount; /* >=: of two on one point the later covers the earlier */
            best = size;
            is_found = true;
        }
    }
    (void)fclose(file);
    return is_found;
}

static const char *
advice_on_type(const char *type)
{
    if (strcmp(type, "tmpfs") == 0 || strcmp(type, "ramfs") == 0) {
        return "it is memory: a store there is gone with the machine, whatever was synced";
    }
    if (strncmp(type, "nfs", 3) == 0 || strcmp(type, "cifs") == 0 || strcmp(type, "9p") == 0 ||
        strncmp(type, "fuse", 4) == 0 || strcmp(type, "smb3") == 0) {
        return "locks and syncs are the server's word there; keep stores on a local disk";
    }
    if (strcmp(type, "overlay") == 0) {
        return "the layers of a container: slow, and gone with it; use a volume";
    }
    if (strcmp(type, "btrfs") == 0 || strcmp(type, "zfs") == 0) {
        return "copy on write: no write is in place, so each sync writes metadata too; chattr +C "
               "on the empty folder helps on btrfs";
    }
    return NULL;
}

void
doctor_check_folder(struct doctor *doctor)
{
    struct mount mount;
    struct statvfs info;
    char *path = realpath(doctor->folder, NULL), size[32], left[32];

    if (path == NULL || access(path, W_OK | X_OK) != 0 || statvfs(path, &info) != 0) {
        doctor_tell(doctor, "folder", DOCTOR_BAD, "name a folder that you may write to", "%s: %s",
                    doctor->folder, strerror(errno));
        free(path);
        return;
    }
    if (find_mount(path, &mount)) {
        const char *advice = advice_on_type(mount.type);

        doctor_fact_text(doctor, "type", mount.type);
        doctor_fact_text(doctor, "source", mount.source);
        doctor_fact_text(doctor, "mount_point", mount.point);
        doctor_fact_text(doctor, "options", mount.options);
        doctor_tell(doctor, "file system", advice == NULL ? DOCTOR_OK : DOCTOR_DEGRADED, advice,
                    "%s on %s, mounted at %s (%s)", mount.type, mount.source, mount.point,
                    mount.options);
    }
    const uint64_t available = (uint64_t)info.f_bavail * info.f_frsize;
    doctor_fact(doctor, "size", (uint64_t)info.f_blocks * info.f_frsize);
    doctor_fact(doctor, "available", available);
    doctor_tell(doctor, "space", available >= SPACE_WANTED ? DOCTOR_OK : DOCTOR_DEGRADED,
                available >= SPACE_WANTED ? NULL
                                          : "on a full disk a store goes on reading and refuses "
                                            "writes until there is space",
                "%s of %s available", cli_size_text(available, left, sizeof(left)),
                cli_size_text((uint64_t)info.f_blocks * info.f_frsize, size, sizeof(size)));
    free(path);
}

/* ---- Device ---- */

void
doctor_check_device(struct doctor *doctor)
{
    static const char *const names[] = {"write_cache", "fua",        "nr_requests",
                                        "scheduler",   "rotational", "logical_block_size"};
    struct stat info;
    char folder[128], path[192], value[128], found[512] = "", cache[32] = "", fua[32] = "";

    if (stat(doctor->folder, &info) != 0) {
        return; /* told by the check of the folder */
    }
    (void)snprintf(folder, sizeof(folder), "/sys/dev/block/%u:%u/queue", major(info.st_dev),
                   minor(info.st_dev));
    if (access(folder, X_OK) != 0) { /* a partition: the queue is that of the disk around it */
        (void)snprintf(folder, sizeof(folder), "/sys/dev/block/%u:%u/../queue", major(info.st_dev),
                       minor(info.st_dev));
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        if (doctor_read_line(path, value, sizeof(value))) {
            const size_t used = strlen(found);

            doctor_fact_text(doctor, names[i], value);
            (void)snprintf(found + used, sizeof(found) - used, "%s%s: %s", used > 0 ? ", " : "",
                           names[i], value);
            if (i < 2) {
                (void)snprintf(i == 0 ? cache : fua, sizeof(cache), "%.31s", value);
            }
        }
    }
    if (found[0] == '\0') {
        doctor_tell(doctor, "device", DOCTOR_INFO, NULL,
                    "%u:%u is no block device of this machine's", major(info.st_dev),
                    minor(info.st_dev));
        return;
    }
    const bool must_flush = strcmp(cache, "write back") == 0 && strcmp(fua, "0") == 0;
    doctor_tell(doctor, "device", must_flush ? DOCTOR_INFO : DOCTOR_OK,
                must_flush ? "a volatile cache without FUA: each synced write is a write and a "
                             "flush of the whole device"
                           : NULL,
                "%u:%u; %s", major(info.st_dev), minor(info.st_dev), found);
}

/* ---- Direct I/O and syncs, on a file of our own ---- */

/* A file without a name, or with one that is gone at once. -errno. */
static int
open_temporary(const char *folder, char *path, size_t capacity)
{
    (void)snprintf(path, capacity, "%s/.gyre-doctor-%ld", folder, (long)getpid());
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0) {
        return -errno;
    }
    (void)unlink(path);
    return fd;
}

void
doctor_check_direct(struct doctor *doctor)
{
    char path[512];
    struct statx info = {0};
    const int fd = open_temporary(doctor->folder, path, sizeof(path));

    if (fd < 0) {
        return; /* told by the check of the folder */
    }
    const bool is_told = statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) == 0 &&
                         (info.stx_mask & STATX_DIOALIGN) != 0;
    const bool is_taken = fcntl(fd, F_SETFL, O_DIRECT) == 0;
    (void)close(fd);
    doctor_fact(doctor, "o_direct", is_taken);
    if (is_told) {
        doctor_fact(doctor, "memory_alignment", info.stx_dio_mem_align);
        doctor_fact(doctor, "offset_alignment", info.stx_dio_offset_align);
    }
    const bool fits = is_taken && (!is_told || (info.stx_dio_offset_align != 0 &&
                                                info.stx_dio_offset_align <= SYNC_BLOCK &&
                                                info.stx_dio_mem_align <= SYNC_BLOCK));
    doctor->dio_align = fits ? SYNC_BLOCK : 0;
    if (is_told) {
        doctor_tell(doctor, "direct I/O", fits ? DOCTOR_OK : DOCTOR_DEGRADED,
                    fits ? NULL
                         : "files are read and written through the page cache: all works, memory "
                           "and latency are the kernel's to decide",
                    "alignment of memory %u, of offsets %u", info.stx_dio_mem_align,
                    info.stx_dio_offset_align);
    } else {
        doctor_tell(doctor, "direct I/O", fits ? DOCTOR_OK : DOCTOR_DEGRADED,
                    fits ? NULL : "files are read and written through the page cache: all works",
                    "%s; the file system does not tell its alignment (4096 is used)",
                    is_taken ? "taken" : "refused");
    }
}

static int
compare_ns(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* As a log is prepared: space taken, zeros written, synced once. False: errno says why. */
static bool
prepare_file(int fd, const void *block)
{
    if (fallocate(fd, 0, 0, (off_t)SYNC_BLOCK * SYNC_BLOCKS) != 0 && errno != EOPNOTSUPP) {
        return false;
    }
    for (unsigned i = 0; i < SYNC_BLOCKS; i++) {
        if (pwrite(fd, block, SYNC_BLOCK, (off_t)i * SYNC_BLOCK) != (ssize_t)SYNC_BLOCK) {
            return false;
        }
    }
    return fsync(fd) == 0;
}

/* Nanoseconds of each synced write into `times`. False: errno says why. */
static bool
measure_syncs(int fd, void *block, uint64_t *times)
{
    for (unsigned i = 0; i < SYNC_COUNT; i++) {
        const struct iovec part = {.iov_base = block, .iov_len = SYNC_BLOCK};
        const uint64_t begin = cli_now_ns();

        memset(block, (int)i + 1, SYNC_BLOCK);
        if (pwritev2(fd, &part, 1, (off_t)i * SYNC_BLOCK, RWF_DSYNC) != (ssize_t)SYNC_BLOCK) {
            return false;
        }
        times[i] = cli_now_ns() - begin;
    }
    qsort(times, SYNC_COUNT, sizeof(times[0]), compare_ns);
    return true;
}

void
doctor_check_sync(struct doctor *doctor)
{
    char path[512];
    void *block = NULL;
    uint64_t times[SYNC_COUNT];
    const int fd = open_temporary(doctor->folder, path, sizeof(path));

    if (fd < 0) {
        return;
    }
    if (posix_memalign(&block, SYNC_BLOCK, SYNC_BLOCK) != 0) {
        (void)close(fd);
        return;
    }
    memset(block, 0, SYNC_BLOCK);
    if (doctor->dio_align != 0) {
        (void)fcntl(fd, F_SETFL, O_DIRECT);
    }
    const bool is_done = prepare_file(fd, block) && measure_syncs(fd, block, times);
    const int failed = errno;
    (void)close(fd);
    free(block);
    if (!is_done) {
        doctor_tell(doctor, "synced write", DOCTOR_BAD,
                    "nothing can be made durable here; another file system is needed", "failed: %s",
                    strerror(failed));
        return;
    }
    const uint64_t median = times[SYNC_COUNT / 2], best = times[0], worst = times[SYNC_COUNT - 1];
    doctor_fact(doctor, "median_ns", median);
    doctor_fact(doctor, "min_ns", best);
    doctor_fact(doctor, "max_ns", worst);
    doctor_fact(doctor, "count", SYNC_COUNT);
    doctor_fact(doctor, "size", SYNC_BLOCK);
    const bool is_slow = median > SYNC_SLOW_NS;
    doctor_tell(doctor, "synced write", is_slow ? DOCTOR_DEGRADED : DOCTOR_OK,
                is_slow ? "a DURABLE write waits that long: write from several coroutines, in "
                          "batches, or BUFFERED"
                        : NULL,
                "4 KiB: median %.3f ms, best %.3f, worst %.3f of %u%s", (double)median / 1e6,
                (double)best / 1e6, (double)worst / 1e6, SYNC_COUNT,
                doctor->dio_align != 0 ? " (direct)" : " (through the page cache)");
}
