/* cache.h - the block cache of a loop: frames in the registered arena, shared by all its stores.
 *
 * A frame is 1, 2, 3, 4, 8 or 16 pages of 4096 bytes, cut from slabs of 64 KiB (blocks larger than
 * that are read into heap memory and not cached). A block that is stored raw is read straight into
 * its frame; a compressed one is read into a frame that is given back once it was decompressed into
 * another.
 *
 *   B1  Key = (cache id, offset). Whoever makes cache ids never uses one twice for different bytes,
 *       so a stale block cannot be served for a new file (table.c: id of the set, number of the
 *       file).
 *   B2  A block enters the table of contents only after its checksum was verified and it was
 *       decompressed; what a pin points to never changes.
 *   B3  Single flight: coroutines that want a block that is being read wait for that read; a failed
 *       read is told to all of them, and the next one tries again.
 *   B4  A pinned frame is not evicted. Partitions outrank data; blocks that a scan brought leave
 *       first: they take turns in an eighth of the frames. Replacement is CLOCK with small
 *       counters: data enters with 0, a partition with 3 (with 0 when a scan brought it), a hit
 *       adds 1 up to 3; the hand takes 1 off. (Data that enters with 1 only makes the hand go round
 *       twice as fast, and what is used once per turn of the cache then decays: measured.) Whole
 *       slabs move between frame sizes when the mix changes.
 *   B5  When every frame is pinned, a block is read into heap memory (counted as GY_MEM_CALL) and
 *       freed at unpin. When that fails too: NO_MEMORY.
 *   B6  The table of contents, frame headers and slabs come out of the capacity given at make;
 *       slabs are taken from the arena as they are needed. Nothing is allocated on a hit or on a
 *       miss that finds a frame.
 *   B7  Blocks of a source that asks for it are hashed when they enter and again at every hit: one
 *       that has changed in memory is never served; it leaves and is read again. (XXH3 of 4 KiB,
 *       about 0.2 us a hit. Who holds a pin already is on his own.)
 */
#ifndef GY_CACHE_H
#define GY_CACHE_H

#include "engine/codec/block.h"
#include "engine/codec/compress.h"
#include "io/arena.h"
#include "io/file.h"

struct gy_cache;
struct gy_cache_frame;

struct gy_cache_stats {
    uint64_t hits, misses, waits;
    uint64_t reads, read_bytes;
    uint64_t rereads; /* a checksum did not fit the first time */
    uint64_t expelled; /* B7 */
    uint64_t evictions;
    uint64_t slab_moves; /* slabs taken from another frame size */
    uint64_t used_bytes, capacity_bytes, pinned_bytes;
    uint64_t overflow_count; /* B5 */
};

/* A held block: `data` is the raw body. */
struct gy_block_pin {
    const uint8_t *data;
    uint32_t size;
    struct gy_cache_frame *frame; /* NULL: nothing is pinned */
};

/* What to read. `file` lives until no read of the cache id is in flight (gy_cache_await_idle). */
struct gy_block_source {
    const struct gy_file *file;
    uint64_t file_id;
    uint64_t cache_id;
    bool verify; /* B7 */
};

enum gy_cache_hint {
    GY_CACHE_NORMAL,
    GY_CACHE_SCAN,   /* may leave first */
    GY_CACHE_NO_FILL /* read it, do not keep it (unless it is there already) */
};

/* `capacity` bytes in all (B6). */
gyre_status gy_cache_make(struct gy_loop *loop, struct gy_arena *arena, uint64_t capacity,
                          struct gy_cache **ret_cache);
void gy_cache_free(struct gy_cache *cache); /* nothing is pinned or being read; NULL is fine */
uint64_t gy_cache_new_id(struct gy_cache *cache); /* 1, 2, ... */

/* Pin the block, reading it if need be. CORRUPT (text: file, offset), UNSUPPORTED, IO, NO_MEMORY. A
 * block whose checksum does not fit is read once more before it is called corrupt. `kind` must
 * match the trailer. */
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_cache_await_block(struct gy_cache *cache, const struct gy_block_source *source,
                     struct gy_block_handle handle, enum gy_block_kind kind,
                     enum gy_cache_hint hint, enum gy_io_class klass, struct gy_block_pin *ret_pin);

/* Pin it if it is there and of that kind; never reads, never suspends. */
bool gy_cache_try(struct gy_cache *cache, uint64_t cache_id, struct gy_block_handle handle,
                  enum gy_block_kind kind, struct gy_block_pin *ret_pin);
bool gy_cache_has(const struct gy_cache *cache, uint64_t cache_id, uint64_t offset);

/* Start reading it in the background if it is not there (prefetch): `source` is copied. Errors
 * surface to whoever wants the block while it is read; later ones read again. Does not suspend;
 * does nothing when there is no memory for it or too much is being prefetched already. */
void gy_cache_prefetch(struct gy_cache *cache, const struct gy_block_source *source,
                       struct gy_block_handle handle, enum gy_block_kind kind,
                       enum gy_cache_hint hint);

void gy_cache_pin_more(struct gy_cache *cache,
                       const struct gy_block_pin *pin); /* one more reference */
void gy_cache_unpin(struct gy_cache *cache,
                    struct gy_block_pin *pin); /* zeroes it; NULL frame is fine */

/* Wait until no read of this id is in flight: then its file may be closed. */
GY_SUSPENDS void gy_cache_await_idle(struct gy_cache *cache, uint64_t cache_id);

/* Wait for reads in flight, then drop all blocks with (their cache id & mask) == cache_id; pinned
 * ones go when they are unpinned. Walks all frame headers, a slice at a time. */
GY_SUSPENDS void gy_cache_await_forget(struct gy_cache *cache, uint64_t cache_id, uint64_t mask);

struct gy_compressor *gy_cache_compressor(struct gy_cache *cache);
void gy_cache_stats_get(const struct gy_cache *cache, struct gy_cache_stats *ret_stats);

#endif
