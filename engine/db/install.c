/* install.c - the one place where tables come and go: manifest first, then the view. Also memtable
 * rotation and the list of sequences that compaction has to respect.
 */
#include "engine/db/background.h"
#include "engine/db/db.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* Replace the current view; takes over the caller's reference. No suspension: readers see the old
 * one or the new one. */
static void
set_view(gyre_db *db, struct gy_view *view)
{
    struct gy_view *old = db->view;

    db->view = view;
    db->view_epoch++;
    gy_iterators_view_changed(db);
    gy_view_unref(old);
    gy_waitq_wake_all(&db->installed);
    if (!GY_MUTANT(room_not_told_of)) {
        gy_waitq_wake_all(&db->room);
    }
}

gyre_status
gy_db_rotate(gyre_db *db)
{
    struct gy_heap *heap = &db->loop->io.heap;
    struct gy_view *view = db->view;
    struct gy_memtable *frozen[GY_FROZEN_MAX];
    struct gy_memtable *active;
    struct gy_view *next;

    if (gy_memtable_count(view->active) == 0) {
        return GYRE_OK;
    }
    if (view->frozen_count + 2 > db->options.memtable_count_max ||
        view->frozen_count == GY_FROZEN_MAX || db->large_write) {
        return GYRE_BUSY;
    }
    active = gy_memtable_make(heap, &db->loop->regions, gy_rng_next(&db->rng));
    if (active == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY,
                            "no memory for a memtable; raise memory_limit");
    }
    frozen[0] = view->active;
    memcpy(frozen + 1, view->frozen, view->frozen_count * sizeof(frozen[0]));
    next = gy_view_make(heap, active, frozen, view->frozen_count + 1, view->version);
    gy_memtable_unref(active); /* the view has it */
    if (next == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory for a view; raise memory_limit");
    }
    gy_memtable_freeze(view->active);
    set_view(db, next);
    gy_db_kick(db);
    return GYRE_OK;
}

/* While the edit was being written a memtable may have been frozen: show the memtables of now, less
 * `drop`. */
static void
refresh_memtables(struct gy_view *next, const struct gy_view *now, const struct gy_memtable *drop)
{
    uint32_t count = 0;

    if (next->active != now->active) {
        GY_SOMETIMES(rotated_during_install);
    }
    gy_memtable_ref(now->active);
    gy_memtable_unref(next->active);
    next->active = now->active;
    for (uint32_t i = 0; i < next->frozen_count; i++) {
        gy_memtable_unref(next->frozen[i]);
    }
    for (uint32_t i = 0; i < now->frozen_count; i++) {
        if (now->frozen[i] != drop) {
            gy_memtable_ref(now->frozen[i]);
            next->frozen[count++] = now->frozen[i];
        }
    }
    next->frozen_count = count;
}

static GY_SUSPENDS gyre_status
await_install_locked(gyre_db *db, const struct gy_install *install)
{
    struct gy_heap *heap = &db->loop->io.heap;
    struct gy_version *version = NULL;
    struct gy_view *next;
    gyre_status status = gy_version_apply(db->view->version, &install->change, &version);

    if (status != GYRE_OK) {
        return gy_loop_fail(db->loop, status,
                            status == GYRE_NO_MEMORY
                                ? "no memory for a version; raise memory_limit"
                                : "tables that do not fit together: nothing was installed");
    }
    /* All memory is had before the edit is written: after it, nothing may fail. */
    next = gy_view_make(heap, db->view->active, db->view->frozen, db->view->frozen_count, version);
    gy_version_unref(version);
    if (next == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory for a view; raise memory_limit");
    }
    status = gy_manifest_await_append(&db->manifest, install->edits, install->edit_count);
    if (status != GYRE_OK && !GY_MUTANT(inputs_removed_after_failed_manifest)) {
        gy_view_unref(next);
        return status;
    }
    for (uint32_t i = 0; i < install->edit_count; i++) {
        if (install->edits[i].kind == GY_EDIT_FLUSHED) {
            db->flushed_sequence = install->edits[i].u.flushed.sequence;
            db->log_min = install->edits[i].u.flushed.log_min;
        }
    }
    if (!GY_MUTANT(install_forgets_rotation) || install->drop_memtable != NULL) {
        refresh_memtables(next, db->view, install->drop_memtable);
    }
    set_view(db, next);
    for (uint32_t i = 0; (!install->keep_files || GY_MUTANT(moved_table_removed)) &&
                         i < install->change.removed_count;
         i++) {
        gy_table_mark_removed(install->change.removed[i]);
    }
    return GYRE_OK;
}

GY_SUSPENDS gyre_status
gy_db_await_install(gyre_db *db, const struct gy_install *install)
{
    gyre_status status;

    gy_mutex_await_lock(&db->loop->io.sched, &db->install);
    status = await_install_locked(db, install);
    gy_mutex_unlock(&db->install);
    return status;
}

gyre_status
gy_db_snapshot_list(gyre_db *db, uint64_t **ret_list, uint32_t *ret_count)
{
    uint32_t count = 0;
    uint32_t used = 0;
    uint64_t *list;

    gy_list_for_each (node, &db->snapshots) {
        count++;
    }
    list = gy_heap_alloc(&db->loop->io.heap, (count + 1) * sizeof(*list), GY_MEM_CALL);
    if (list == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory for %u snapshots", count);
    }
    gy_list_for_each (node, &db->snapshots) {
        const uint64_t sequence = gy_container_of(node, struct gyre_snapshot, link)->sequence;

        if (GY_MUTANT(oldest_snapshot_ignored) && node == db->snapshots.next) {
            continue;
        }
        if (used == 0 || list[used - 1] != sequence) {
            list[used++] = sequence;
        }
    }
    *ret_list = list;
    *ret_count = used;
    return GYRE_OK;
}

/* ---- What a job hands over ---- */

void
gy_outputs_fini(gyre_db *db, struct gy_outputs *outputs)
{
    for (uint32_t i = 0; i < outputs->count; i++) {
        gy_table_unref(outputs->tables[i]); /* the version has its own reference, or nobody has */
    }
    gy_heap_free(&db->loop->io.heap, outputs->tables);
    gy_heap_free(&db->loop->io.heap, outputs->edits);
}

/* `extra` more edits fit behind those of the tables. */
gyre_status
gy_outputs_make(gyre_db *db, const struct gy_job_result *result, uint32_t extra,
                struct gy_outputs *ret_outputs)
{
    struct gy_heap *heap = &db->loop->io.heap;
    const uint32_t count = result->output_count;
    struct gy_outputs outputs = {0};

    outputs.edits = gy_heap_zalloc(heap, (count + extra) * sizeof(struct gy_edit), GY_MEM_VERSION);
    outputs.tables = gy_heap_zalloc(heap, (count + 1) * sizeof(struct gy_table *), GY_MEM_VERSION);
    for (uint32_t i = 0; outputs.edits != NULL && outputs.tables != NULL && i < count; i++) {
        outputs.edits[i].kind = GY_EDIT_ADD_TABLE;
        outputs.edits[i].u.table = result->outputs[i].meta;
        outputs.tables[i] = gy_table_make(&db->tables, &result->outputs[i].meta);
        if (outputs.tables[i] == NULL) {
            break;
        }
        outputs.count++;
    }
    if (outputs.edits == NULL || outputs.tables == NULL || outputs.count < count) {
        gy_outputs_fini(db, &outputs);
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory to install tables");
    }
    *ret_outputs = outputs;
    return GYRE_OK;
}

static void
note_first_damage(void *arg, const struct gyre_error *error)
{
    struct gyre_error *first = arg;

    if (first->status == GYRE_OK) {
        *first = *error;
    }
}

GY_SUSPENDS gyre_status
gy_outputs_await_check(gyre_db *db, const struct gy_outputs *outputs)
{
    for (uint32_t i = 0; db->options.paranoid && i < outputs->count; i++) {
        struct gyre_error first = {.status = GYRE_OK};
        struct gy_table_check check = {.damage = note_first_damage, .arg = &first};
        const gyre_status status = gy_table_await_check(outputs->tables[i], &check);

        if (status != GYRE_OK) {
            return status;
        }
        if (check.damage_count > 0) {
            *gy_sched_error(&db->loop->io.sched) = first;
            return first.status;
        }
    }
    return GYRE_OK;
}

void
gy_edit_counters(gyre_db *db, struct gy_edit *edit)
{
    edit->kind = GY_EDIT_COUNTERS;
    edit->u.counters.next_file_number = db->next_file_number;
    edit->u.counters.last_sequence = gy_db_visible(db);
}
