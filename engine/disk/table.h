/* table.h - open SSTables: point reads, cursors, and the set that keeps a bounded number of them
 * open.
 *
 * A gy_table stands for one file of a version, open or not: it is made from its manifest entry
 * without I/O, opened when first used (single flight), closed again (least recently used first)
 * when more than the set's limit are open and nobody uses it.
 *
 *   O1  Refcounted: versions hold references. The last reference of a table that was removed from
 *       the store (gy_table_mark_removed) hands its number to the set's removal list;
 *       db/background.c unlinks it.
 *   O2  While open: the file and the top index in memory (heap, GY_MEM_TABLE). The cache id belongs
 *       to the file's number within the set, so cached blocks survive a close, a reopen and a move
 *       to another level.
 *   O3  Opening checks the footer against the manifest entry: size, file id, counts; CORRUPT names
 *       the file.
 *   O4  A point read probes: top index (memory) -> partition (cache): filter, index -> data block
 *       (cache).
 *   O5  Compaction input and scans check every checksum too.
 *   O6  Giving up never suspends: an open file that is not wanted any more and a read-ahead that is
 *       still in flight go to lists of the set, which a coroutine of the set (the closer) works
 *       off. gy_table_set_await_close_all waits for it.
 *   O7  A file that moved between levels has a gy_table for each level, chained by `origin`. It is
 *       unlinked when the last of them was removed and none is left: old versions may still have to
 *       open it.
 */
#ifndef GY_TABLE_H
#define GY_TABLE_H

#include "engine/codec/edit.h"
#include "engine/codec/footer.h"
#include "engine/disk/cache.h"
#include "engine/disk/cursor.h"

struct gy_table_set;

struct gy_table {
    struct gy_table_meta meta; /* smallest and largest point behind this struct */
    struct gy_table_set *set;
    uint32_t refs;
    bool removed; /* no version after this one has it: unlink at the last unref */
    bool being_compacted;
    struct gy_table *origin; /* moved from there, the same file: held until this one is gone (O7) */
    uint64_t cache_id;
    uint32_t users;               /* cursors and reads in progress: not closed meanwhile */
    struct gy_list lru;           /* open and unused, in the set */
    struct gy_table_open *opened; /* NULL: not open */
    struct gy_waitq open_waiters;
    bool opening;
};

/* A file that nobody needs any more. */
struct gy_removed_table {
    uint64_t number;
    uint64_t size;
};

struct gy_table_stats {
    uint64_t filter_checks, filter_negatives, filter_false_positives;
    uint64_t opened, open_count;
};

struct gy_table_set {
    struct gy_loop *loop;
    struct gy_arena *arena;
    struct gy_cache *cache;
    const struct gy_file *dir;
    uint32_t open_max;
    bool verify_cached; /* blocks are checked each time they are found in the cache (B7) */
    uint32_t open_count;
    uint32_t table_count;   /* gy_table structs alive */
    uint64_t file_bytes;    /* of their files, and of those still to be unlinked */
    uint64_t id;            /* high bits of the cache ids */
    struct gy_list lru;     /* least recently used first */
    struct gy_list closing; /* gy_table_open.link: files to close (O6) */
    struct gy_list orphans; /* gy_table_span.link: reads in flight that nobody waits for (O6) */
    struct gy_co *closer;   /* NULL: not running */
    struct gy_waitq closer_done;
    struct gy_removed_table *removed; /* files to unlink */
    uint32_t removed_count;
    uint32_t removed_capacity;
    struct gy_waitq removed_waiters; /* woken when one is added */
    struct gy_table_stats stats;
};

/* `cache` NULL: for tables that are never opened (tests of versions). */
void gy_table_set_init(struct gy_table_set *set, struct gy_loop *loop, struct gy_arena *arena,
                       struct gy_cache *cache, const struct gy_file *dir, uint32_t open_max);
/* Close the files of all tables that are open; no users. Then every reference must be dropped, then
 * fini. */
GY_SUSPENDS void gy_table_set_await_close_all(struct gy_table_set *set);
void gy_table_set_fini(struct gy_table_set *set);

/* One reference for the caller. NULL: no memory. Also reserves room in `removed`, so O1 cannot
 * fail. */
struct gy_table *gy_table_make(struct gy_table_set *set, const struct gy_table_meta *meta);
/* The same file in another level (O7): a table of its own, with one reference for the caller. */
struct gy_table *gy_table_make_moved(struct gy_table *table, uint32_t level);
void gy_table_ref(struct gy_table *table);
/* Never suspends (O6). NULL is fine. */
void gy_table_unref(struct gy_table *table);
void gy_table_mark_removed(struct gy_table *table);
/* Take the next file to unlink off the list. It counts in file_bytes until gy_table_set_note_gone
 * (never, if it cannot be unlinked: it is there). */
struct gy_removed_table gy_table_set_take_removed(struct gy_table_set *set);
void gy_table_set_note_gone(struct gy_table_set *set, const struct gy_removed_table *removed);

struct gy_table_result {
    bool found;
    uint64_t tag;
    struct gyre_slice value; /* into pin */
    struct gy_block_pin pin; /* held when found, else zero: unpinning it is harmless */
};

/* The newest version of `key` with sequence <= `sequence` in this table; it may be a delete. `hash`
 * = gy_filter_hash(key). */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_table_await_get(struct gy_table *table,
                                                          struct gyre_slice key, uint64_t hash,
                                                          uint64_t sequence,
                                                          enum gy_cache_hint hint,
                                                          struct gy_table_result *ret_result);

enum gy_table_cursor_mode {
    GY_CURSOR_USER,    /* blocks through the cache; reads ahead in growing spans when it walks on */
    GY_CURSOR_COMPACT, /* streams GY_BUFFER_SIZE ahead past the cache, class COMPACT_READ */
    GY_CURSOR_SCRUB    /* the same at class SCRUB: verify */
};

/* A cursor over one table; holds a reference and keeps it open from its first move on. `readahead`
 * bytes (USER): 0 = adapts; else it reads ahead in spans of that size from the first seek on. Moves
 * and seeks suspend; close does not. */
GYRE_NODISCARD gyre_status gy_table_cursor_make(struct gy_table *table,
                                                enum gy_table_cursor_mode mode,
                                                enum gy_cache_hint hint, uint32_t readahead,
                                                struct gy_cursor **ret_cursor);

/* The same as far as it goes without reading or waiting: true when the answer is in *ret_result
 * (table open, blocks cached, or the key is not there by filter or index). For multi_get: first all
 * tables without waiting, then wait for the misses. */
bool gy_table_try_get(struct gy_table *table, struct gyre_slice key, uint64_t hash,
                      uint64_t sequence, struct gy_table_result *ret_result);

/* Offset in the file where `key` would lie (for approximate sizes). */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_table_await_offset(struct gy_table *table,
                                                             struct gyre_slice key,
                                                             uint64_t *ret_offset);

/* Footer of an open table (opens it). */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_table_await_footer(struct gy_table *table,
                                                             struct gy_footer *ret_footer);

/* Go through the whole file: every block's checksum, order, index against blocks, filter has every
 * key, counts and content hash against the footer. Each damage is reported and passed over where
 * the next block can be found. For verify, salvage (with `each`) and options.paranoid. `each` gets
 * every readable entry; returns not OK to stop, which is what the call then returns. OK: it went
 * through (damage_count may be > 0); else the file cannot be opened (no footer or no top index), or
 * a read failed for lack of memory. */
struct gy_table_check {
    void (*damage)(void *arg, const struct gyre_error *error);
    gyre_status (*each)(void *arg, const struct gy_entry *entry);
    void *arg;
    uint64_t block_count, entry_count, byte_count, damage_count; /* results */
};
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_table_await_check(struct gy_table *table,
                                                            struct gy_table_check *check);

#endif
