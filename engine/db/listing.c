/* listing.c - see listing.h. */
#include "engine/db/listing.h"

#include "engine/disk/names.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"
#include "io/base/sort.h"

#include "io/base/ban.h"

static void
push(struct gy_listing *listing, uint64_t **array, uint32_t *count, uint32_t *capacity,
     uint64_t number)
{
    if (*count == *capacity) {
        const uint32_t next = *capacity * 2 + 16;
        uint64_t *grown = gy_heap_realloc(&listing->db->loop->io.heap, *array,
                                          next * sizeof(uint64_t), GY_MEM_CALL);

        if (grown == NULL) {
            listing->no_memory = true;
            return;
        }
        *array = grown;
        *capacity = next;
    }
    (*array)[(*count)++] = number;
}

static void
list_entry(void *arg, const char *name, bool is_regular)
{
    struct gy_listing *listing = arg;
    uint64_t number = 0;
    const enum gy_file_kind kind = gy_name_parse(name, &number);

    if (kind != GY_FILE_LOG_SLOT && kind != GY_FILE_FOREIGN) {
        listing->recovery->number_max = gy_max_u64(listing->recovery->number_max, number);
    }
    switch (kind) {
    case GY_FILE_FOREIGN:
        if (is_regular && !listing->has_foreign) {
            listing->has_foreign = true;
            memcpy(listing->foreign, name, strnlen(name, sizeof(listing->foreign) - 1));
        }
        break;
    case GY_FILE_LOCK:
        break;
    case GY_FILE_CURRENT:
        listing->has_current = true;
        break;
    case GY_FILE_CURRENT_TMP:
        listing->has_tmp = true;
        break;
    case GY_FILE_MANIFEST:
        listing->has_manifest = true;
        push(listing, &listing->manifests, &listing->manifest_count, &listing->manifest_capacity,
             number);
        break;
    case GY_FILE_TABLE:
        listing->has_tables = true;
        push(listing, &listing->orphans, &listing->orphan_count, &listing->orphan_capacity, number);
        break;
    case GY_FILE_LOG_SLOT:
        listing->has_logs = true;
        if (number < GY_WAL_SLOT_MAX) {
            listing->recovery->slot_exists[number] = true;
        }
        break;
    }
}

GY_SUSPENDS gyre_status
gy_listing_await_read(gyre_db *db, struct gy_recovery *recovery, struct gy_listing *ret_listing)
{
    gyre_status status;

    *ret_listing = (struct gy_listing){.db = db, .recovery = recovery};
    status = gy_dir_await_list(&db->loop->io, &db->dir, list_entry, ret_listing);
    if (status == GYRE_OK && ret_listing->no_memory) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory to list the directory");
    }
    return status;
}

void
gy_listing_fini(struct gy_listing *listing)
{
    gy_heap_free(&listing->db->loop->io.heap, listing->orphans);
    gy_heap_free(&listing->db->loop->io.heap, listing->manifests);
}

/* The numbers of all tables of the version, ascending. NULL: no memory. */
static uint64_t *
version_numbers(gyre_db *db)
{
    const struct gy_version *version = db->view->version;
    uint64_t *numbers = gy_heap_alloc(
        &db->loop->io.heap, (size_t)(version->table_count + 1) * sizeof(uint64_t), GY_MEM_CALL);
    uint64_t count = 0;

    for (uint32_t level = 0; numbers != NULL && level < GY_LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < version->levels[level].count; i++) {
            numbers[count++] = version->levels[level].tables[i]->meta.number;
        }
    }
    if (numbers != NULL) {
        gy_sort_u64(numbers, (size_t)count);
    }
    return numbers;
}

/* Every table of the version must be in the directory; what stays in `orphans` is not of the
 * store. */
gyre_status
gy_listing_check_tables(gyre_db *db, struct gy_listing *listing)
{
    const uint64_t count = db->view->version->table_count;
    uint64_t *numbers = version_numbers(db);
    gyre_status status = GYRE_OK;
    uint32_t kept = 0;

    if (numbers == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory to open a store");
    }
    gy_sort_u64(listing->orphans, listing->orphan_count);
    for (uint64_t i = 1; status == GYRE_OK && i < count; i++) {
        if (numbers[i] == numbers[i - 1]) {
            status = gy_loop_fail(db->loop, GYRE_CORRUPT,
                                  "the manifest has table %llu in two levels; run 'gyre salvage'",
                                  (unsigned long long)numbers[i]);
        }
    }
    for (uint64_t i = 0; status == GYRE_OK && i < count; i++) {
        if (!gy_sorted_has(listing->orphans, listing->orphan_count, numbers[i])) {
            char name[GY_NAME_MAX];

            gy_name_table(name, numbers[i]);
            status = gy_fail_at(&db->loop->io.sched, GYRE_CORRUPT, name, GY_NO_OFFSET, 0,
                                "a table of the store is missing; run 'gyre salvage'");
        }
    }
    for (uint32_t i = 0; i < listing->orphan_count; i++) {
        if (!gy_sorted_has(numbers, (size_t)count, listing->orphans[i])) {
            listing->orphans[kept++] = listing->orphans[i];
        }
    }
    listing->orphan_count = kept;
    gy_heap_free(&db->loop->io.heap, numbers);
    return status;
}

/* Files that a crash left behind. A failure is no harm: the next open tries again. */
GY_SUSPENDS void
gy_listing_await_remove_orphans(gyre_db *db, const struct gy_listing *listing)
{
    char name[GY_NAME_MAX];

    for (uint32_t i = 0; i < listing->orphan_count; i++) {
        GY_SOMETIMES(orphan_table_removed);
        gy_name_table(name, listing->orphans[i]);
        (void)gy_file_await_unlink(&db->loop->io, &db->dir, name);
    }
    for (uint32_t i = 0; i < listing->manifest_count; i++) {
        gy_name_manifest(name, listing->manifests[i]);
        if (listing->manifests[i] != db->manifest.number) {
            GY_SOMETIMES(orphan_manifest_removed);
            (void)gy_file_await_unlink(&db->loop->io, &db->dir, name);
        }
    }
    if (listing->has_tmp) {
        GY_SOMETIMES(orphan_current_removed);
        (void)gy_file_await_unlink(&db->loop->io, &db->dir, GY_NAME_CURRENT_TMP);
    }
}
