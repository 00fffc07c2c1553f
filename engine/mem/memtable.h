/* memtable.h - the newest entries, in memory, ordered: a tree of them (memtree.h) in a region.
 *
 * One thread, so no atomics: between two awaits nobody else looks.
 *
 *   M1  Entries are never changed or removed; a newer version is another entry.
 *   M2  Slices returned point into the region and live as long as the memtable.
 *   M3  Readers give the sequence they may see; entries above it are skipped.
 *   M4  After gy_memtable_freeze nothing can be added.
 *   M5  Adding inside what gy_memtable_reserve promised cannot fail.
 * Refcounted: the views that show it hold references.
 * Knows nothing of: logs, tables, who waits.
 */
#ifndef GY_MEMTABLE_H
#define GY_MEMTABLE_H

#include "engine/codec/key.h"
#include "engine/mem/memtree.h"
#include "engine/mem/region.h"
#include "gyre/status.h"

struct gy_memtable;

/* The caller holds the first reference. NULL: no memory. `random_seed` is for an order that needs
 * chance; the tree does not. */
struct gy_memtable *gy_memtable_make(struct gy_heap *heap, struct gy_region_pool *pool,
                                     uint64_t random_seed);
void gy_memtable_ref(struct gy_memtable *memtable);
void gy_memtable_unref(struct gy_memtable *memtable); /* NULL is fine; the last one frees */

/* Make room for one operation (M5); false: no memory, nothing changed. For a batch: reserve with
 * the sum of sizes and the count of its operations. */
bool gy_memtable_reserve(struct gy_memtable *memtable, uint64_t key_and_value_bytes,
                         uint32_t count);
void gy_memtable_add(struct gy_memtable *memtable, struct gyre_slice key, uint64_t tag,
                     struct gyre_slice value);

/* The newest version of `key` with sequence <= `sequence`: true and *ret_entry, whose
 * kind may be DELETE. */
bool gy_memtable_get(const struct gy_memtable *memtable, struct gyre_slice key, uint64_t sequence,
                     struct gy_entry *ret_entry);

void gy_memtable_freeze(struct gy_memtable *memtable);
bool gy_memtable_is_frozen(const struct gy_memtable *memtable);
uint64_t gy_memtable_bytes(const struct gy_memtable *memtable); /* of its region, allocated */
uint64_t gy_memtable_used(const struct gy_memtable *memtable);  /* handed out to entries */
uint64_t gy_memtable_count(const struct gy_memtable *memtable);
/* Sum of gy_entry_hash over what was added: a flush sees whether memory has kept it. */
uint64_t gy_memtable_content_hash(const struct gy_memtable *memtable);
uint64_t gy_memtable_sequence_first(const struct gy_memtable *memtable); /* 0 when empty */
uint64_t gy_memtable_sequence_last(const struct gy_memtable *memtable);

/* An ordered walk over all versions, (key, tag) order. Stays valid while entries are added. */
struct gy_memtable_iter {
    const struct gy_memtable *memtable;
    struct gy_memnode *node;  /* NULL: not positioned */
    uint32_t steps;           /* forward, since the last seek */
    struct gy_memtrail trail; /* longer walks fetch ahead */
};

void gy_memtable_iter_init(struct gy_memtable_iter *iter, const struct gy_memtable *memtable);
void gy_memtable_iter_first(struct gy_memtable_iter *iter);
void gy_memtable_iter_last(struct gy_memtable_iter *iter);
/* To the first entry at or behind (key, tag); to the last one in front of it. */
void gy_memtable_iter_seek(struct gy_memtable_iter *iter, struct gyre_slice key, uint64_t tag);
void gy_memtable_iter_seek_before(struct gy_memtable_iter *iter, struct gyre_slice key,
                                  uint64_t tag);
void gy_memtable_iter_next(struct gy_memtable_iter *iter);
void gy_memtable_iter_prev(struct gy_memtable_iter *iter);
bool gy_memtable_iter_is_valid(const struct gy_memtable_iter *iter);
struct gy_entry gy_memtable_iter_entry(const struct gy_memtable_iter *iter);

#endif
