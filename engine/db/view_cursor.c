/* view_cursor.c - one cursor over all that a view shows: memtables, level 0, the levels below,
 * merged. */
#include "engine/db/db.h"
#include "engine/lsm/cursors.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

gyre_status
gy_view_cursor_make(gyre_db *db, struct gy_view *view, enum gy_table_cursor_mode mode,
                    enum gy_cache_hint hint, uint32_t readahead, struct gy_cursor **ret_cursor)
{
    struct gy_heap *heap = &db->loop->io.heap;
    const struct gy_level *level0 = &view->version->levels[0];
    const uint32_t count_max = 1 + view->frozen_count + level0->count + GY_LEVEL_COUNT;
    struct gy_cursor **children = gy_heap_alloc(heap, count_max * sizeof(*children), GY_MEM_CALL);
    uint32_t count = 0;
    gyre_status status;

    if (children == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY,
                            "no memory for an iterator; raise memory_limit");
    }
    status = gy_memtable_cursor_make(heap, view->active, &children[count]);
    count += status == GYRE_OK;
    for (uint32_t i = 0; status == GYRE_OK && i < view->frozen_count; i++) {
        status = gy_memtable_cursor_make(heap, view->frozen[i], &children[count]);
        count += status == GYRE_OK;
    }
    for (uint32_t i = GY_MUTANT(iterator_skips_level0_table);
         status == GYRE_OK && i < level0->count; i++) {
        status = gy_table_cursor_make(level0->tables[i], mode, hint, readahead, &children[count]);
        count += status == GYRE_OK;
    }
    for (uint32_t l = 1; status == GYRE_OK && l < GY_LEVEL_COUNT; l++) {
        if (view->version->levels[l].count > 0) {
            status = gy_level_cursor_make(view->version, l, 0, view->version->levels[l].count, mode,
                                          hint, readahead, &children[count]);
            count += status == GYRE_OK;
        }
    }
    if (status == GYRE_OK) {
        status = gy_merge_cursor_make(heap, children, count, ret_cursor);
    } else {
        for (uint32_t i = 0; i < count; i++) {
            gy_cursor_close(children[i]);
        }
    }
    gy_heap_free(heap, children);
    return status == GYRE_OK
               ? status
               : gy_loop_fail(db->loop, status, "no memory for an iterator; raise memory_limit");
}
