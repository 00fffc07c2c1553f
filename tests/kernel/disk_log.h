/* disk_log.h - what a disk was asked to do, in order: written by log_disk, read by cut_image.
 *
 * The file starts with one page that log_disk, the writer above it and the test share in memory
 * (MAP_SHARED): counters, and the order to fail a flush. Records follow, each a struct
 * disk_log_record and, for a write, its bytes.
 */
#ifndef GY_TEST_DISK_LOG_H
#define GY_TEST_DISK_LOG_H

#include <stdint.h>

#define DISK_LOG_HEAD_SIZE 4096u

struct disk_log_head {
    volatile uint64_t entries;    /* records so far: a position in time */
    volatile uint64_t flushes;    /* asked for, failed ones too */
    volatile uint64_t fail_flush; /* the flush of this number fails once; 0 = none */
    volatile uint64_t failed_at;  /* `entries` when it did; 0 = it did not yet */
};

enum disk_log_kind { DISK_LOG_WRITE = 1, DISK_LOG_FLUSH = 2 };

struct disk_log_record {
    uint32_t kind;
    uint32_t size;                /* bytes that follow */
    uint64_t offset;
};

#endif
