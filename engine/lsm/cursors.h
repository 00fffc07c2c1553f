/* cursors.h - cursors above a single table: over a memtable, over a sorted level, over several
 * children merged.
 *
 *   U1  A merge of k children keeps them in a heap by (key, tag), each with its key's first 8
 *       bytes as a number. The runner-up is known, so a run of entries from one child costs one
 *       comparison each. A move allocates nothing.
 *   U2  Equal (key, tag) in two children cannot be (sequences are unique), except in salvage:
 *       both come, the one of the earlier child first.
 *   U3  Changing direction repositions every child but the current one.
 *   U4  Any child's failure makes the merge fail with that status, until the next seek.
 *   U5  The key given to a seek does not lie in the cursor's own entry: that goes while children
 *       move.
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

/* Walks the tables [first, first + count) of a level >= 1, one open at a time; a walk that
 * crosses whole tables announces the next one (gy_cursor_prepare_seek) when the current one
 * nears its end. Holds a reference on the version. */
GYRE_NODISCARD gyre_status gy_level_cursor_make(struct gy_version *version, uint32_t level,
                                                uint32_t first, uint32_t count,
                                                enum gy_table_cursor_mode mode,
                                                enum gy_cache_hint hint, uint32_t readahead,
                                                struct gy_cursor **ret_cursor);

/* Takes over the children, also on failure; the array stays the caller's. `count` may be 0 (an
 * empty cursor). A seek prepares all children (gy_cursor_prepare_seek) before it waits for the
 * first, so that their reads overlap. */
GYRE_NODISCARD gyre_status gy_merge_cursor_make(struct gy_heap *heap, struct gy_cursor **children,
                                                uint32_t count, struct gy_cursor **ret_cursor);

#endif
