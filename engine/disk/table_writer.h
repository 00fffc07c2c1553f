/* table_writer.h - writes one SSTable from entries in order; the one way a table is made (flush,
 * compaction, salvage).
 *
 *   T1  Entries come in strictly ascending (key, tag) order; anything else is CORRUPT and nothing
 *       is installed.
 *   T2  finish returns OK only when all bytes and the footer are on the device (fdatasync) and the
 *       order, count and content hash that were written equal what was added. The caller syncs the
 *       directory.
 *   T3  close of an unfinished writer removes the file.
 *   T4  Output goes in writes of GY_BUFFER_SIZE, at most two in flight; blocks are allocated ahead
 *       (fallocate), so that no write extends the file.
 *   T5  It calls gy_await_turn after every data block.
 */
#ifndef GY_TABLE_WRITER_H
#define GY_TABLE_WRITER_H

#include "engine/codec/compress.h"
#include "engine/codec/edit.h"
#include "engine/codec/key.h"
#include "io/arena.h"
#include "io/file.h"

struct gy_table_writer;

struct gy_table_writer_options {
    struct gy_loop *loop;
    struct gy_arena *arena;
    struct gy_compressor *compressor;
    const struct gy_file *dir;
    uint64_t number;
    uint64_t file_id; /* random */
    uint64_t store_id;
    uint32_t keyspace;
    uint32_t level;
    uint32_t block_size; /* target of a raw data block */
    uint32_t bloom_bits; /* 0 = no filter */
    bool compress;
    int compression_level;
    uint64_t size_expected; /* to allocate ahead */
    enum gy_io_class klass; /* FLUSH or COMPACT_WRITE */
};

GY_SUSPENDS GYRE_NODISCARD gyre_status gy_table_writer_await_open(
    const struct gy_table_writer_options *options, struct gy_table_writer **ret_writer);
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_table_writer_await_add(struct gy_table_writer *writer,
                                                                 const struct gy_entry *entry);
uint64_t gy_table_writer_size(
    const struct gy_table_writer *writer); /* bytes so far, for cutting outputs */
uint64_t gy_table_writer_count(const struct gy_table_writer *writer);
/* ret_meta->smallest and largest point into the writer: copy them before close. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_table_writer_await_finish(struct gy_table_writer *writer,
                                                                    struct gy_table_meta *ret_meta);
GY_SUSPENDS void gy_table_writer_await_close(struct gy_table_writer *writer); /* NULL is fine; T3 */

#endif
