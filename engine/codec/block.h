/* block.h - bytes of one block of an SSTable: sorted entries, prefix-compressed, with restart
 * points. Data blocks, index blocks and top indexes share it.
 *
 * Entries, one after the other:
 *   1-5  shared      varint: bytes that the key has in common with the previous key; 0 at a restart
 *   1-5  unshared    varint: bytes of key that follow
 *   1-5  value_size  varint
 *   1-9  tag         varint: sequence << 8 | kind (small once compaction has zeroed the sequence)
 *     n  key bytes from `shared` on
 *     m  value
 * then, after the last entry:
 *   4*r  restarts    u32 fixed: offsets of entries with shared = 0, ascending; the first is 0
 *     4  count       u32 fixed: r, >= 1
 * This is the body. In the file a trailer of 16 bytes follows the (possibly compressed) body:
 *     1  compression enum gy_block_compression
 *     1  kind        enum gy_block_kind
 *     2  zero
 *     4  raw_size    u32: bytes of the body before compression
 *     8  checksum    XXH3_64bits_withSeed(stored body and the 8 bytes before, gy_block_seed)
 * Entries are in (key, tag) order without equals (codec/key.h). A block has at least one entry. How
 * far restarts are apart is the writer's choice.
 *
 * Trailer valid iff, in this order: checksum; compression and kind known; zero; raw_size = stored
 * size when raw, at most GY_BLOCK_SIZE_MAX when compressed (one block is never long to decompress,
 * and a hostile file cannot ask for more memory than that). CORRUPT else; an unknown compression or
 * kind is UNSUPPORTED.
 * Body valid iff: count inside the bytes, restarts ascending and inside, every entry inside.
 * gy_block_open looks at the count only, so that opening a cached block costs nothing; restarts and
 * entries are checked where they are used, and gy_block_verify goes through all of them.
 * Frozen by tests/golden/block_v1.bin.
 */
#ifndef GY_BLOCK_H
#define GY_BLOCK_H

#include "engine/codec/key.h"
#include "gyre/status.h"
#include "io/base/bits.h"
#include "io/base/checked.h"

#define GY_BLOCK_TRAILER_SIZE 16u
#define GY_BLOCK_RESTART_INTERVAL 16u      /* entries */
#define GY_BLOCK_RESTART_BYTES 512u        /* or so many bytes: searches walk on from a restart */
#define GY_BLOCK_RESTART_INTERVAL_INDEX 4u /* index blocks: searched more often than walked */
#define GY_BLOCK_RESTARTS_MAX 1024u

enum gy_block_compression { GY_BLOCK_RAW = 0, GY_BLOCK_ZSTD = 1 };
enum gy_block_kind { GY_BLOCK_DATA = 0, GY_BLOCK_PARTITION = 1, GY_BLOCK_TOP_INDEX = 2 };

/* Where a block lies: size counts the stored body and the trailer. */
struct gy_block_handle {
    uint64_t offset;
    uint32_t size;
};

static inline uint64_t
gy_block_seed(uint64_t file_id, uint64_t offset)
{
    if (GY_MUTANT(block_checksum_without_place)) {
        return 0;
    }
    return gy_mix64(file_id) ^ gy_mix64(offset + 5);
}

/* Write the trailer behind `stored_size` bytes at `bytes`. */
void gy_block_seal(uint8_t *bytes, uint32_t stored_size, enum gy_block_compression compression,
                   enum gy_block_kind kind, uint32_t raw_size, uint64_t file_id, uint64_t offset);

struct gy_block_trailer {
    enum gy_block_compression compression;
    enum gy_block_kind kind;
    uint32_t raw_size;
};

/* Check the block of `size_with_trailer` bytes: OK, CORRUPT, UNSUPPORTED. */
gyre_status gy_block_check(const uint8_t *bytes, uint32_t size_with_trailer, uint64_t file_id,
                           uint64_t offset, struct gy_block_trailer *ret_trailer);

/* ---- Building ---- */

/* Memory is the caller's and may be moved between two calls (data with all bytes in use; key_buffer
 * with its last_key_size bytes). */
struct gy_block_builder {
    uint8_t *data;
    uint32_t capacity;
    uint32_t used;       /* of entries */
    uint8_t *key_buffer; /* the last key; it outlives a reset: the table writer goes on using it */
    uint32_t key_capacity;
    uint32_t last_key_size;
    uint32_t restart_interval; /* entries; GY_BLOCK_RESTART_BYTES may end it sooner */
    uint32_t restart_count;
    uint32_t since_restart; /* entries since the last restart, that one included */
    uint32_t entry_count;
    /* Kept outside until finish. When they are used up, the last run of entries gets longer. */
    uint32_t restarts[GY_BLOCK_RESTARTS_MAX];
};

void gy_block_builder_init(struct gy_block_builder *builder, uint32_t restart_interval,
                           uint8_t *data, uint32_t capacity, uint8_t *key_buffer,
                           uint32_t key_capacity);
/* Begin the next block in the same memory. */
void gy_block_builder_reset(struct gy_block_builder *builder);
/* The body's size if the entry were added. */
uint64_t gy_block_builder_size_with(const struct gy_block_builder *builder,
                                    const struct gy_entry *entry);
uint32_t gy_block_builder_size(const struct gy_block_builder *builder); /* if finished now */
/* The caller has made sure that it fits: size_with <= capacity, key.size <= key_capacity. */
void gy_block_builder_add(struct gy_block_builder *builder, const struct gy_entry *entry);
uint32_t gy_block_builder_finish(struct gy_block_builder *builder); /* size of the body */

/* ---- Reading ---- */

struct gy_block {
    const uint8_t *data;
    uint32_t entries_size; /* bytes of entries, before the restarts */
    uint32_t restart_count;
};

/* OK or CORRUPT. */
gyre_status gy_block_open(const uint8_t *body, uint32_t size, struct gy_block *ret_block);

/* The first entry >= (key, tag), found without putting any key together: point reads need no memory
 * for keys. OK; NOT_FOUND: all are smaller; CORRUPT. */
struct gy_block_found {
    bool key_is_equal; /* the entry's key is the one that was asked for */
    uint64_t tag;
    struct gyre_slice value; /* into the block */
    uint32_t offset;         /* of the entry */
    uint32_t restart;        /* index of the restart at or before it */
};
gyre_status gy_block_get(const struct gy_block *block, struct gyre_slice key, uint64_t tag,
                         struct gy_block_found *ret_found);

/* A walk over a block. Keys are put together in the caller's buffer where they share bytes (entries
 * at restarts point into the block). With key_buffer NULL keys are not given at all (entry.key.data
 * is NULL): enough to walk an index, whose values are wanted only. */
struct gy_block_iter {
    struct gy_block block;
    uint8_t *key_buffer;
    uint32_t key_capacity; /* a longer key is damage */
    uint32_t offset;       /* of the current entry */
    uint32_t next_offset;
    bool valid;
    bool corrupt; /* set (and valid cleared) when an entry does not decode */
    struct gy_entry entry;
};

void gy_block_iter_init(struct gy_block_iter *iter, const struct gy_block *block,
                        uint8_t *key_buffer, uint32_t key_capacity);
void gy_block_iter_first(struct gy_block_iter *iter);
void gy_block_iter_last(struct gy_block_iter *iter);
void gy_block_iter_seek(struct gy_block_iter *iter, struct gyre_slice key, uint64_t tag); /* >= */
void gy_block_iter_seek_before(struct gy_block_iter *iter, struct gyre_slice key,
                               uint64_t tag); /* < */
void gy_block_iter_next(struct gy_block_iter *iter);
void gy_block_iter_prev(struct gy_block_iter *iter);

/* Every restart: ascending, inside, at the start of an entry that shares nothing. OK or CORRUPT. */
gyre_status gy_block_verify(const struct gy_block *block);

#endif
