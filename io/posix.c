/* posix.c - clocks, randomness, threads, boot identity and staging memory of the two real worlds.
 * Files are in posix_file.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "io/posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/base/assert.h"
#include "io/base/bits.h"

static uint64_t
clock_ns(clockid_t clock)
{
    struct timespec ts = {0, 0};

    (void)clock_gettime(clock, &ts); /* cannot fail for these clocks */
    return (uint64_t)ts.tv_sec * GY_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
gy_posix_now_ns(struct gy_world *world)
{
    (void)world;
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t
gy_posix_cpu_ns(struct gy_world *world)
{
    (void)world;
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t
gy_posix_wall_us(struct gy_world *world)
{
    (void)world;
    return clock_ns(CLOCK_REALTIME) / GY_NS_PER_US;
}

uint64_t
gy_posix_random(struct gy_world *world)
{
    uint64_t value;

    if (getrandom(&value, sizeof(value), GRND_NONBLOCK) == (ssize_t)sizeof(value)) {
        return value;
    }
    /* A filter forbids it, or the machine has just started. Numbers from here only have to differ
     * (file ids, seeds), so clocks, process and address are good enough. */
    return gy_mix64(clock_ns(CLOCK_MONOTONIC) ^ gy_mix64(clock_ns(CLOCK_REALTIME)) ^
                    gy_mix64((uint64_t)getpid()) ^ (uint64_t)(uintptr_t)world);
}

void
gy_posix_sleep_until(uint64_t deadline_ns)
{
    const struct timespec ts = {.tv_sec = (time_t)(deadline_ns / GY_NS_PER_S),
                                .tv_nsec = (long)(deadline_ns % GY_NS_PER_S)};

    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL); /* a signal may end it */
}

int
gy_posix_read_text(const char *path, char *target, size_t capacity)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size;

    gy_assert(capacity > 0);
    if (fd < 0) {
        return -1;
    }
    do {
        size = read(fd, target, capacity - 1);
    } while (size < 0 && errno == EINTR);
    (void)close(fd); /* only read */
    if (size < 0) {
        return -1;
    }
    target[size] = '\0';
    return (int)size;
}

void
gy_posix_boot_id(struct gy_world *world, uint64_t ret_id[2])
{
    char text[64];
    uint32_t digit_count = 0;

    (void)world;
    ret_id[0] = 0;
    ret_id[1] = 0;
    if (gy_posix_read_text("/proc/sys/kernel/random/boot_id", text, sizeof(text)) < 0) {
        return; /* 0, 0: unknown */
    }
    for (const char *c = text; *c != '\0' && digit_count < 32; c++) {
        uint64_t digit;

        if (*c >= '0' && *c <= '9') {
            digit = (uint64_t)(*c - '0');
        } else if (*c >= 'a' && *c <= 'f') {
            digit = (uint64_t)(*c - 'a') + 10;
        } else {
            continue; /* the dashes */
        }
        ret_id[digit_count / 16] = ret_id[digit_count / 16] << 4 | digit;
        digit_count++;
    }
}

uint64_t
gy_posix_count_threads(const char *prefix)
{
    _Alignas(struct dirent64) char buffer[1024];
    const int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t count = 0;
    ssize_t size;

    if (fd < 0) {
        return 0;
    }
    while ((size = getdents64(fd, buffer, sizeof(buffer))) > 0) {
        for (ssize_t at = 0; at < size;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(buffer + at);
            char path[sizeof("/proc/self/task/") + NAME_MAX + sizeof("/comm")];
            char name[32];

            at += entry->d_reclen;
            if (entry->d_name[0] == '.') { /* "..": the process itself has a name too */
                continue;
            }
            (void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
            if (gy_posix_read_text(path, name, sizeof(name)) > 0 &&
                strncmp(name, prefix, strlen(prefix)) == 0) {
                count++;
            }
        }
    }
    (void)close(fd);
    return count;
}

/* ---- Staging memory ---- */

static int
stage_path(const struct gy_posix *posix, const uint64_t id[2], char target[GY_STAGE_PATH_MAX])
{
    const int size =
        snprintf(target, GY_STAGE_PATH_MAX, "%s/gyre-%016llx-%016llx", posix->stage_dir,
                 (unsigned long long)id[0], (unsigned long long)id[1]);

    return size > 0 && (size_t)size < GY_STAGE_PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Address space; stage_step does the rest. The file belongs to `stage` from here on. */
static int
stage_map(struct gy_stage *stage, int fd, const uint64_t id[2], size_t size)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (base == MAP_FAILED) {
        return -errno;
    }
    (void)madvise(base, size,
                  MADV_DONTFORK); /* advice: a child that never touches it is fine too */
    *stage = (struct gy_stage){.base = base, .size = size, .id = {id[0], id[1]}, .fd = fd};
    return 0;
}

static void
stage_unmap(struct gy_stage *stage)
{
    (void)munmap(stage->base, stage->size);
    (void)close(stage->fd);
    stage->base = NULL;
    stage->size = 0;
}

/* Reserve the next pages now: a full tmpfs has to show here and not as SIGBUS at some later store.
 * Looking at a page is enough to have it in the page table, for writing too. */
static int
stage_step(struct gy_stage *stage)
{
    const size_t size = gy_min_u64(GY_STAGE_STEP, stage->size - stage->ready);
    const volatile uint8_t *bytes = (const uint8_t *)stage->base + stage->ready;
    int error;

    do {
        error = posix_fallocate(stage->fd, (off_t)stage->ready, (off_t)size);
    } while (error == EINTR);
    if (error != 0) {
        stage_unmap(stage);
        return -error;
    }
    for (size_t at = 0; at < size; at += GY_PAGE) {
        (void)bytes[at];
    }
    stage->ready += size;
    if (stage->ready < stage->size) {
        return GY_STAGE_MORE;
    }
    (void)close(stage->fd); /* the mapping holds the file */
    return 0;
}

static int
stage_make_file(struct gy_stage *stage, const char *path, const uint64_t id[2], size_t size)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int result;

    if (fd < 0) {
        return -errno;
    }
    if (fchmod(fd, 0600) != 0 || ftruncate(fd, (off_t)size) != 0) {
        result = -errno;
    } else {
        result = stage_map(stage, fd, id, size);
    }
    if (result != 0) {
        (void)close(fd);
        (void)unlink(path);
    }
    return result;
}

int
gy_posix_stage_create(struct gy_world *world, struct gy_stage *stage, const uint64_t id[2],
                      size_t size)
{
    struct gy_posix *posix = gy_container_of(world, struct gy_posix, world);
    char path[GY_STAGE_PATH_MAX];
    int result = stage_path(posix, id, path);

    if (result != 0) {
        return result;
    }
    if (size == 0 || size > GY_STAGE_SIZE_MAX || !gy_is_aligned(size, GY_PAGE)) {
        return -EINVAL;
    }
    if (stage->base == NULL) {
        result = stage_make_file(stage, path, id, size);
        if (result != 0) {
            return result;
        }
    }
    result = stage_step(stage);
    if (result < 0) {
        (void)unlink(path);
    }
    return result;
}

static int
stage_find_file(struct gy_stage *stage, const char *path, const uint64_t id[2])
{
    const int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    int result;

    if (fd < 0) {
        return errno == ENOENT || errno == ENOTDIR ? -ENOENT : -EACCES;
    }
    if (fstat(fd, &st) != 0) {
        result = -errno;
    } else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 07777) != 0600 ||
               st.st_nlink != 1 || st.st_size <= 0 || st.st_size > (off_t)GY_STAGE_SIZE_MAX ||
               !gy_is_aligned((uint64_t)st.st_size, GY_PAGE)) {
        result = -EACCES; /* whatever it is, we did not make it */
    } else {
        result = stage_map(stage, fd, id, (size_t)st.st_size);
    }
    if (result != 0) {
        (void)close(fd);
    }
    return result;
}

int
gy_posix_stage_open(struct gy_world *world, struct gy_stage *stage, const uint64_t id[2])
{
    struct gy_posix *posix = gy_container_of(world, struct gy_posix, world);
    char path[GY_STAGE_PATH_MAX];
    int result = stage_path(posix, id, path);

    if (result == 0 && stage->base == NULL) {
        result = stage_find_file(stage, path, id);
    }
    return result != 0 ? result : stage_step(stage);
}

bool
gy_posix_stage_close(struct gy_world *world, struct gy_stage *stage, bool unlink_it)
{
    struct gy_posix *posix = gy_container_of(world, struct gy_posix, world);
    char path[GY_STAGE_PATH_MAX];
    uint8_t *end;
    size_t size;

    if (stage->base == NULL) {
        return false;
    }
    if (unlink_it && !stage->is_unlinked && stage_path(posix, stage->id, path) == 0) {
        /* may fail: somebody has cleaned /dev/shm; a file that keeps its name keeps its bytes */
        stage->is_unlinked = unlink(path) == 0;
    }
    size = stage->size % GY_STAGE_STEP != 0 ? stage->size % GY_STAGE_STEP : GY_STAGE_STEP;
    stage->size -= size;
    end = (uint8_t *)stage->base + stage->size;
    if (stage->is_unlinked) { /* else the last step would free all pages of the file */
        (void)madvise(end, size, MADV_REMOVE);
    }
    (void)munmap(end, size);
    if (stage->size == 0) {
        stage->base = NULL;
    }
    return stage->size > 0;
}
