/* view.h - what a reader needs to see one moment: memtables and a version, refcounted together.
 *
 * The tree's current view is replaced when a memtable is frozen, when a flush or compaction is
 * installed. A reader takes a reference (no suspension), reads with it across awaits, and gives
 * it back. The sequence up to which it may see is the reader's own.
 */
#ifndef GY_VIEW_H
#define GY_VIEW_H

#include "engine/lsm/version.h"
#include "engine/mem/memtable.h"

#define GY_FROZEN_MAX 16u

struct gy_view {
    uint32_t refs;
    struct gy_heap *heap;
    struct gy_memtable *active;
    struct gy_memtable *frozen[GY_FROZEN_MAX]; /* newest first */
    uint32_t frozen_count;
    struct gy_version *version;
};

/* Takes its own references on everything. NULL: no memory. */
struct gy_view *gy_view_make(struct gy_heap *heap, struct gy_memtable *active,
                             struct gy_memtable *const *frozen, uint32_t frozen_count,
                             struct gy_version *version);
void gy_view_ref(struct gy_view *view);
void gy_view_unref(struct gy_view *view); /* NULL is fine */

#endif
