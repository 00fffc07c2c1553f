/* cursors.h - cursors above a single table: over a memtable, over a sorted level, over several children merged.
 *
 * A merge of k children keeps them in a heap by (key, tag); children with equal (key, tag) cannot be (sequences are
 * unique), except in salvage, where the earlier child wins. Changing direction repositions every child but the current
 * one. Any child's failure makes the merge fail with that status.
 */
#ifndef GY_CURSORS_H
#define GY_CURSORS_H

#include "engine/disk/cursor.h"
#include "engine/lsm/version.h"
#include "engine/mem/memtable.h"

/* Holds a reference on the memtable. */
GYRE_NODISCARD gyre_status gy_memtable_cursor_make(struct gy_heap *heap,
                                                   struct gy_memtable *memtable,
                                                   struct gy_cursor **ret_cursor);

/* Walks the tables [first, first + count) of a level >= 1, one open at a time (the next one is opened and its
 * first block fetched ahead when the current one nears its end). Holds a reference on the version. */
GYRE_NODISCARD gyre_status gy_level_cursor_make(struct gy_version *version, uint32_t level,
                                                uint32_t first, uint32_t count,
                                                enum gy_table_cursor_mode mode,
                                                enum gy_cache_hint hint, uint32_t readahead,
                                                struct gy_cursor **ret_cursor);

/* Takes over the children, also on failure. `count` may be 0 (an empty cursor). seek on a merge starts the reads of all
 * children at once where it can: see gy_cursor prefetch in cursors.c. */
GYRE_NODISCARD gyre_status gy_merge_cursor_make(struct gy_heap *heap, struct gy_cursor **children,
                                                uint32_t count, struct gy_cursor **ret_cursor);

#endif
