/* cut_image.c - makes the image of a disk as a power cut may leave it, from the log of log_disk.
 *
 * The cut comes after `AT` records. All writes before the last flush are there. Of those since:
 *   prefix   all: the cut came just after the last write
 *   none     none: all of them were in the cache of the device
 *   subset   a random subset: the device wrote its cache in any order
 *   torn     a random subset, and of the last eight only some sectors of 512 bytes each
 *
 * Usage: cut_image LOG IMAGE SIZE_MB AT KIND SEED
 *        cut_image LOG                      prints records, flushes, and where a flush was failed
 *        cut_image LOG fail N               fails the Nth flush from now
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/kernel/disk_log.h"

#define SECTOR 512u
#define TORN_WRITES 8u

enum cut_kind { CUT_PREFIX, CUT_NONE, CUT_SUBSET, CUT_TORN, CUT_KIND_COUNT };

static const char *const kind_names[CUT_KIND_COUNT] = {"prefix", "none", "subset", "torn"};

static void
fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t
random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

static const struct disk_log_record *
record_at(const uint8_t *log, uint64_t offset)
{
    return (const void *)(log + offset); /* records are aligned: sizes are whole sectors */
}

static void
put(int image, const uint8_t *data, uint64_t offset, size_t size)
{
    if (pwrite(image, data, size, (off_t)offset) != (ssize_t)size) {
        fail("cut_image: write");
    }
}

static void
put_torn(int image, const uint8_t *data, const struct disk_log_record *record, uint64_t *seed)
{
    for (uint32_t at = 0; at + SECTOR <= record->size; at += SECTOR) {
        if (random_next(seed) % 2 == 0) {
            put(image, data + at, record->offset + at, SECTOR);
        }
    }
}

/* The record after the last flush before `at`, and how many writes there are since. */
static uint64_t
find_last_flush(const uint8_t *log, uint64_t at, uint64_t *ret_writes)
{
    uint64_t offset = DISK_LOG_HEAD_SIZE;
    uint64_t after_flush = 0;

    *ret_writes = 0;
    for (uint64_t i = 0; i < at; i++) {
        const struct disk_log_record *record = record_at(log, offset);

        if (record->kind == DISK_LOG_FLUSH) {
            after_flush = i + 1;
            *ret_writes = 0;
        } else {
            (*ret_writes)++;
        }
        offset += sizeof(*record) + record->size;
    }
    return after_flush;
}

static void
make_image(const uint8_t *log, int image, uint64_t at, enum cut_kind kind, uint64_t seed)
{
    uint64_t writes_left;
    const uint64_t after_flush = find_last_flush(log, at, &writes_left);
    uint64_t offset = DISK_LOG_HEAD_SIZE;

    for (uint64_t i = 0; i < at; i++) {
        const struct disk_log_record *record = record_at(log, offset);
        const uint8_t *data = log + offset + sizeof(*record);

        offset += sizeof(*record) + record->size;
        if (record->kind != DISK_LOG_WRITE) {
            continue;
        }
        if (i < after_flush || kind == CUT_PREFIX) {
            put(image, data, record->offset, record->size);
            continue;
        }
        if (kind == CUT_TORN && writes_left <= TORN_WRITES) {
            put_torn(image, data, record, &seed);
        } else if (kind != CUT_NONE && random_next(&seed) % 2 == 0) {
            put(image, data, record->offset, record->size);
        }
        writes_left--;
    }
}

static enum cut_kind
kind_of(const char *name)
{
    for (int kind = 0; kind < CUT_KIND_COUNT; kind++) {
        if (strcmp(name, kind_names[kind]) == 0) {
            return (enum cut_kind)kind;
        }
    }
    fprintf(stderr, "cut_image: no kind of cut: %s\n", name);
    exit(2);
}

int
main(int argc, char **argv)
{
    struct disk_log_head *head;
    struct stat st;
    uint64_t at;
    uint8_t *log;
    int file;
    int image;

    if (argc != 2 && argc != 4 && argc != 7) {
        fprintf(stderr, "usage: cut_image LOG [IMAGE SIZE_MB AT KIND SEED | fail N]\n");
        return 2;
    }
    file = open(argv[1], O_RDWR | O_CLOEXEC);
    if (file < 0 || fstat(file, &st) != 0) {
        fail(argv[1]);
    }
    log = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (log == MAP_FAILED) {
        fail(argv[1]);
    }
    head = (void *)log;
    if (argc == 2) {
        printf("%llu %llu %llu\n", (unsigned long long)head->entries,
               (unsigned long long)head->flushes, (unsigned long long)head->failed_at);
        return 0;
    }
    if (argc == 4) {
        head->fail_flush = head->flushes + strtoull(argv[3], NULL, 10);
        return 0;
    }
    at = strtoull(argv[4], NULL, 10);
    if (at > head->entries) {
        fprintf(stderr, "cut_image: the log has %llu records only\n",
                (unsigned long long)head->entries);
        return 2;
    }
    image = open(argv[2], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (image < 0 || ftruncate(image, (off_t)(strtoull(argv[3], NULL, 10) << 20)) != 0) {
        fail(argv[2]);
    }
    make_image(log, image, at, kind_of(argv[5]), strtoull(argv[6], NULL, 10));
    return close(image) == 0 ? 0 : 1;
}
