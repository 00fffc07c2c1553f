/* measure.c - reads clocks and counters. */
#include "bench/gyre_bench/measure.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

static uint64_t
clock_ns(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t
time_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t
thread_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static uint64_t
timeval_ns(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

/* ---- Memory and space ---- */

void
rss_peak_reset(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "we");

    if (file != NULL) {
        (void)fputs("5", file);
        (void)fclose(file);
    }
}

uint64_t
rss_peak_bytes(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    struct rusage usage;
    char line[128];
    uint64_t kib = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "VmHWM: %" SCNu64, &kib) == 1) {
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    if (kib == 0) {
        (void)getrusage(RUSAGE_SELF, &usage);
        kib = (uint64_t)usage.ru_maxrss;
    }
    return kib * 1024u;
}

uint64_t
directory_bytes(const char *path)
{
    DIR *directory = opendir(path);
    uint64_t bytes = 0;

    if (directory == NULL) {
        return 0;
    }
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        struct stat info;

        if (fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode)) {
            bytes += (uint64_t)info.st_blocks * 512u;
        }
    }
    (void)closedir(directory);
    return bytes;
}

uint64_t
free_bytes(const char *path)
{
    struct statvfs info;
    char parent[4096];
    char *slash;

    (void)snprintf(parent, sizeof(parent), "%s", path);
    while (statvfs(parent, &info) != 0) {
        slash = strrchr(parent, '/');
        if (slash == NULL) {
            (void)snprintf(parent, sizeof(parent), ".");
        } else {
            *(slash == parent ? slash + 1 : slash) = '\0';
        }
    }
    return (uint64_t)info.f_bavail * info.f_frsize;
}

/* ---- Input and output ---- */

static bool
read_proc_io(uint64_t *ret_read, uint64_t *ret_written)
{
    FILE *file = fopen("/proc/self/io", "re");
    char line[128];
    uint32_t found = 0;

    if (file == NULL) {
        return false;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        found += sscanf(line, "read_bytes: %" SCNu64, ret_read) == 1;
        found += sscanf(line, "write_bytes: %" SCNu64, ret_written) == 1;
    }
    (void)fclose(file);
    return found == 2;
}

static void
read_disk(struct disk *disk, const char *path)
{
    char file_name[64];
    char link[256];
    struct stat info;
    uint64_t in_flight;
    uint64_t read_sectors;
    uint64_t written_sectors;
    ssize_t size;
    FILE *file;

    *disk = (struct disk){.reads = 0};
    if (stat(path, &info) != 0) {
        return;
    }
    (void)snprintf(file_name, sizeof(file_name), "/sys/dev/block/%u:%u/stat", major(info.st_dev),
                   minor(info.st_dev));
    file = fopen(file_name, "re");
    if (file == NULL) {
        return;
    }
    if (fscanf(file,
               "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
               " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
               &disk->reads, &disk->reads_merged, &read_sectors, &disk->read_ms, &disk->writes,
               &disk->writes_merged, &written_sectors, &disk->write_ms, &in_flight, &disk->busy_ms,
               &disk->queue_ms) == 11) {
        disk->read_bytes = read_sectors * 512u;
        disk->written_bytes = written_sectors * 512u;
        *strrchr(file_name, '/') = '\0';
        size = readlink(file_name, link, sizeof(link) - 1);
        link[size > 0 ? size : 0] = '\0';
        (void)snprintf(disk->name, sizeof(disk->name), "%.31s",
                       strrchr(link, '/') != NULL ? strrchr(link, '/') + 1 : "?");
    }
    (void)fclose(file);
}

void
moment_take(struct moment *moment, const char *path)
{
    struct rusage usage;

    *moment = (struct moment){.time_ns = 0};
    moment->has_proc_io = read_proc_io(&moment->read_bytes, &moment->written_bytes);
    read_disk(&moment->disk, path);
    (void)getrusage(RUSAGE_SELF, &usage);
    moment->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    moment->user_ns = timeval_ns(usage.ru_utime);
    moment->system_ns = timeval_ns(usage.ru_stime);
    moment->switches = (uint64_t)(usage.ru_nvcsw + usage.ru_nivcsw);
    moment->major_faults = (uint64_t)usage.ru_majflt;
    moment->minor_faults = (uint64_t)usage.ru_minflt;
    moment->time_ns = time_now_ns();
}

double
ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}
