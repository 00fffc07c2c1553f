/* snapshot.c - moments that reads can go back to. A list by sequence, which compaction goes by;
 * iterators are in it too. */
#include "engine/db/db.h"
#include "io/base/assert.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

void
gy_snapshot_register(gyre_db *db, struct gyre_snapshot *snapshot, uint64_t sequence)
{
    struct gy_list *at = &db->snapshots;

    snapshot->db = db;
    snapshot->sequence = sequence;
    /* Nearly always the newest: look from the end. */
    while (at->prev != &db->snapshots &&
           gy_container_of(at->prev, struct gyre_snapshot, link)->sequence > sequence) {
        at = at->prev;
    }
    gy_list_insert_before(at, &snapshot->link);
}

void
gy_snapshot_unregister(struct gyre_snapshot *snapshot)
{
    gy_list_remove(&snapshot->link);
}

gyre_status
gyre_snapshot_open(gyre_db *db, gyre_snapshot **ret_snapshot)
{
    gyre_snapshot *snapshot;
    gyre_status status = gy_db_check(db);

    if (status != GYRE_OK) {
        return status;
    }
    if (ret_snapshot == NULL) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "gyre_snapshot_open: ret_snapshot is NULL");
    }
    if (db->snapshot_count >= GYRE_SNAPSHOTS_MAX) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "%u snapshots are open: that is the limit",
                            GYRE_SNAPSHOTS_MAX);
    }
    snapshot = gy_heap_zalloc(&db->loop->io.heap, sizeof(*snapshot), GY_MEM_CALL);
    if (snapshot == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory for a snapshot");
    }
    gy_snapshot_register(db, snapshot, gy_db_visible(db));
    db->snapshot_count++;
    *ret_snapshot = snapshot;
    return GYRE_OK;
}

void
gyre_snapshot_release(gyre_snapshot *snapshot)
{
    gyre_db *db;

    if (snapshot == NULL || gy_loop_check(snapshot->db->loop) != GYRE_OK) {
        return;
    }
    db = snapshot->db;
    gy_assert(db->snapshot_count > 0);
    db->snapshot_count--;
    if (GY_MUTANT(snapshot_released_early) && snapshot->link.next != &db->snapshots) {
        gy_list_remove(snapshot->link.next); /* another one that is still in use */
    }
    gy_snapshot_unregister(snapshot);
    gy_heap_free(&db->loop->io.heap, snapshot);
}
