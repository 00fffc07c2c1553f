/* table_check.h - what table_check.c and table_salvage.c share. Private to them. */
#ifndef GY_TABLE_CHECK_H
#define GY_TABLE_CHECK_H

#include "engine/disk/table_open.h"

#define GY_CHECK_WINDOW GY_BUFFER_SIZE

/* Pages of the file in memory of the heap. */
struct gy_check_window {
    uint8_t *bytes;
    uint64_t capacity;
    uint64_t offset;
    uint64_t size;
};

struct gy_check_run {
    struct gy_table *table;
    struct gy_table_check *check;
    const struct gy_file *file;
    uint64_t file_size;
    struct gy_check_window data;  /* reads on in large steps */
    struct gy_check_window index; /* partitions: just what is asked for */
    uint8_t *raw;                 /* GY_BLOCK_SIZE_MAX bytes: a block, decompressed */
    uint8_t *keys[3];   /* GY_KEY_SIZE_MAX each: of the entry, the separator, the entry before */
    uint32_t last_size; /* of keys[2], 0: there was none */
    uint64_t last_tag;
    bool first_differs; /* the first entry's key is not the manifest's smallest */
    uint64_t content_hash;
    uint64_t delete_count;
    uint64_t partition_count;
    const struct gy_partition *partition; /* whose blocks are read; NULL: unknown */
    gyre_status stopped;                  /* `each` said so, or there is no memory: give up */
};

/* Report what gy_table_fail or the file layer has just put into the coroutine's error. */
void gy_check_damage(struct gy_check_run *run);
void gy_check_damage_at(struct gy_check_run *run, uint64_t offset, const char *what);

/* The bytes [offset, offset + size) of the file; NULL: the error is set. With `ahead` the window
 * reads on behind them. */
GY_SUSPENDS const uint8_t *gy_check_await_bytes(struct gy_check_run *run,
                                                struct gy_check_window *window, uint64_t offset,
                                                uint64_t size, bool ahead);
/* Go through the entries of a data block whose checksum is right. `separator` NULL: unknown. */
GY_SUSPENDS void gy_check_await_entries(struct gy_check_run *run, const uint8_t *bytes,
                                        struct gy_block_handle handle,
                                        const struct gy_block_trailer *trailer,
                                        const struct gy_entry *separator);

/* table_salvage.c: find data blocks in [start, end) without an index. */
GY_SUSPENDS void gy_check_await_scan(struct gy_check_run *run, uint64_t start, uint64_t end);

#endif
