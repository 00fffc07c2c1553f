/* table_open.h - what the files table*.c share about an open table. Private to them. */
#ifndef GY_TABLE_OPEN_H
#define GY_TABLE_OPEN_H

#include "engine/codec/partition.h"
#include "engine/disk/table.h"

#define GY_TABLE_CACHE_ID_BITS 48u /* of the file's number in a cache id */

/* An open file. It outlives its gy_table while reads ahead are in flight (O6). */
struct gy_table_open {
    struct gy_list link; /* set->closing */
    struct gy_file file;
    struct gy_footer footer;
    struct gy_block_source source;
    struct gy_block top;
    uint8_t *top_body;
    bool forget; /* removed from the store: its cached blocks are dropped */
};

/* Use the table: open it if it is not, and keep it open until gy_table_leave. The caller holds a
 * reference. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_table_await_enter_slow(struct gy_table *table);

GY_SUSPENDS GYRE_NODISCARD static inline gyre_status
gy_table_await_enter(struct gy_table *table)
{
    if (gy_likely(table->opened != NULL)) {
        table->users++;
        gy_list_remove(&table->lru);
        return GYRE_OK;
    }
    return gy_table_await_enter_slow(table);
}

/* Close what has not been used for longest while more are open than the limit says. */
void gy_table_set_trim(struct gy_table_set *set, uint32_t open_max);

static inline void
gy_table_leave(struct gy_table *table)
{
    gy_assert(table->users != 0 && table->opened != NULL);
    table->users--;
    if (table->users == 0) {
        gy_list_push_back(&table->set->lru, &table->lru);
        if (gy_unlikely(table->set->open_count > table->set->open_max)) {
            gy_table_set_trim(table->set, table->set->open_max);
        }
    }
}

/* CORRUPT and UNSUPPORTED with the file, the offset and what to do. */
gyre_status gy_table_fail(struct gy_table *table, gyre_status st, uint64_t offset,
                          const char *what);

/* A partition, pinned and opened. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_table_await_partition(
    struct gy_table *table, struct gy_block_handle handle, enum gy_cache_hint hint,
    enum gy_io_class klass, struct gy_block_pin *ret_pin, struct gy_partition *ret_partition);

/* Start the closer if there is something for it. */
void gy_table_set_kick(struct gy_table_set *set);

/* ---- Reading ahead: table_stream.c ---- */

/* One read of up to GY_BUFFER_SIZE into a buffer of the arena. Its own heap object, so that it can
 * outlive the cursor while the read is in flight. */
struct gy_table_span {
    struct gy_list link; /* set->orphans */
    struct gy_req req;
    struct gy_table *table; /* orphan: a reference and a use of it */
    uint8_t *buffer;
    uint64_t offset;
    uint32_t size; /* 0: nothing in it */
    bool in_flight;
};

/* Give back the span of a finished read. */
void gy_table_span_free(struct gy_table_set *set, struct gy_table_span *span);

struct gy_table_stream {
    struct gy_table *table;         /* borrowed from the cursor */
    struct gy_table_span *spans[2]; /* [1] may be NULL */
    uint32_t current;
    uint32_t span_size; /* of the next read; doubles up to GY_BUFFER_SIZE */
    enum gy_io_class klass;
    enum gy_cache_hint hint; /* of partitions */
    bool ended;              /* nothing more is planned */
    bool stop_at_cached;
    struct gy_block_iter top; /* the partition and data block that are read next */
    struct gy_block_iter index;
    struct gy_block_pin pin;
};

/* Read ahead from the data block at which `top` and `index` (inside the block pinned by `pin`)
 * stand. NULL when there is no buffer to be had at once; a user's cursor leaves half of the pool to
 * others. */
GY_SUSPENDS struct gy_table_stream *gy_table_stream_await_make(
    struct gy_table *table, bool is_user, enum gy_io_class klass, enum gy_cache_hint hint,
    uint32_t span_size, const struct gy_block_iter *top, const struct gy_block_iter *index,
    const struct gy_block_pin *pin);
/* The bytes of the block, NULL when it is not among what is read ahead (too large, or the stream
 * has ended) or could not be read: then ask the cache, which knows how to fail. They stay until the
 * next call. */
GY_SUSPENDS const uint8_t *gy_table_stream_await_block(struct gy_table_stream *stream,
                                                       struct gy_block_handle handle);
void gy_table_stream_close(struct gy_table_stream *stream); /* never suspends; NULL is fine */

#endif
