/* listing.h - what the directory of a store holds: checked against the manifest at open, and rid of
 * what crashes left. The content of a store never follows from it.
 */
#ifndef GY_LISTING_H
#define GY_LISTING_H

#include "engine/db/db.h"
#include "engine/db/recover.h"

struct gy_listing {
    gyre_db *db;
    struct gy_recovery *recovery;
    uint64_t *orphans;       /* numbers of tables that no version has */
    uint32_t orphan_count;
    uint32_t orphan_capacity;
    uint64_t *manifests;
    uint32_t manifest_count;
    uint32_t manifest_capacity;
    bool has_tables, has_logs, has_manifest, has_current, has_foreign, has_tmp;
    bool no_memory;
    char foreign[GY_FILE_NAME_MAX];
};

/* Also fills recovery->number_max and slot_exists. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_listing_await_read(gyre_db *db,
                                                             struct gy_recovery *recovery,
                                                             struct gy_listing *ret_listing);
void gy_listing_fini(struct gy_listing *listing);
/* CORRUPT when a table of the version is not there; leaves in `orphans` those that are not of the
 * version. */
GYRE_NODISCARD gyre_status gy_listing_check_tables(gyre_db *db, struct gy_listing *listing);
/* Orphan tables, old manifests, CURRENT.tmp. */
GY_SUSPENDS void gy_listing_await_remove_orphans(gyre_db *db, const struct gy_listing *listing);

#endif
