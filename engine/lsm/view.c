/* view.c - one moment of the tree: memtables and a version, refcounted together. */
#include "engine/lsm/view.h"

#include "io/base/assert.h"

#include "io/base/ban.h"

struct gy_view *
gy_view_make(struct gy_heap *heap, struct gy_memtable *active, struct gy_memtable *const *frozen,
             uint32_t frozen_count, struct gy_version *version)
{
    struct gy_view *view;

    gy_assert(frozen_count <= GY_FROZEN_MAX);
    view = gy_heap_zalloc(heap, sizeof(*view), GY_MEM_VERSION);
    if (view == NULL) {
        return NULL;
    }
    view->refs = 1;
    view->heap = heap;
    view->active = active;
    if (active != NULL) { /* a store that is only read has none */
        gy_memtable_ref(active);
    }
    for (uint32_t i = 0; i < frozen_count; i++) {
        view->frozen[i] = frozen[i];
        gy_memtable_ref(frozen[i]);
    }
    view->frozen_count = frozen_count;
    view->version = version;
    gy_version_ref(version);
    return view;
}

void
gy_view_ref(struct gy_view *view)
{
    gy_assert(view->refs > 0);
    view->refs++;
}

void
gy_view_unref(struct gy_view *view)
{
    if (view == NULL) {
        return;
    }
    gy_assert(view->refs > 0);
    if (--view->refs > 0) {
        return;
    }
    gy_memtable_unref(view->active);
    for (uint32_t i = 0; i < view->frozen_count; i++) {
        gy_memtable_unref(view->frozen[i]);
    }
    gy_version_unref(view->version);
    gy_heap_free(view->heap, view);
}
