/* version.h - which tables are in which level: an immutable map, replaced whole.
 *
 *   V1  A version never changes after gy_version_apply returned it; it holds a reference on each
 *       of its tables. A level that did not change is shared with the version before: applying
 *       costs what the changed levels hold.
 *   V2  Level 0: newest first (higher sequence_max first, then the higher number); where ranges
 *       of keys overlap, all sequences of the newer table are above those of the older. Levels
 *       >= 1: by smallest key, no two tables share a user key.
 *   V3  Everything here is pure: no I/O, never suspends.
 */
#ifndef GY_VERSION_H
#define GY_VERSION_H

#include "engine/disk/table.h"

struct gy_level {
    struct gy_table **tables;
    uint32_t count;
    uint64_t bytes;
};

struct gy_version {
    uint32_t refs;
    struct gy_heap *heap;
    struct gy_level levels[GY_LEVEL_COUNT];
    uint64_t table_count;
    uint64_t bytes;
};

/* What changes: tables that come (their level in meta.level) and tables that go. */
struct gy_version_change {
    struct gy_table **added;
    uint32_t added_count;
    struct gy_table **removed; /* by identity */
    uint32_t removed_count;
    /* A trivial move: these stay the same file in another level. Each is in `removed` too; the
     * caller passes in `added` a gy_table_make_moved for the new level (the same file). */
};

struct gy_version *gy_version_make_empty(struct gy_heap *heap); /* NULL: no memory */
void gy_version_ref(struct gy_version *version);
void gy_version_unref(struct gy_version *version); /* NULL is fine */

/* base + change, in any order of `added` and `removed`. CORRUPT when V2 would not hold (text
 * through the caller), INVALID when a removed table is not there, NO_MEMORY. `base` stays as it
 * is. */
GYRE_NODISCARD gyre_status gy_version_apply(const struct gy_version *base,
                                            const struct gy_version_change *change,
                                            struct gy_version **ret_version);

/* Levels >= 1: the table that may hold `key`, or NULL. */
struct gy_table *gy_version_locate(const struct gy_version *version, uint32_t level,
                                   struct gyre_slice key);
/* Levels >= 1: index of the first table whose largest key >= `key`; count when none. */
uint32_t gy_version_lower_bound(const struct gy_version *version, uint32_t level,
                                struct gyre_slice key);
/* Does any table of the level share a key with [from, to] (data NULL = open end)? */
bool gy_version_overlaps(const struct gy_version *version, uint32_t level, struct gyre_slice from,
                         struct gyre_slice to);
/* Order and overlap of every level (V2); for tests, open and slow asserts. */
bool gy_version_is_sound(const struct gy_version *version);

#endif
