/* store_edits.h - the state of a store as manifest edits: what a full snapshot of a manifest holds.
 *
 * Used for the manifest of an open store, of a checkpoint and of a salvaged store, so that there is
 * one way to write it.
 */
#ifndef GY_STORE_EDITS_H
#define GY_STORE_EDITS_H

#include "engine/disk/wal.h"
#include "engine/lsm/version.h"

struct gy_store_edits {
    uint64_t store_id;
    uint64_t features_compatible;
    uint64_t next_file_number;
    uint64_t last_sequence;
    uint64_t flushed_sequence;
    uint64_t log_min;
    const struct gy_wal_log *logs; /* still needed, ascending */
    uint32_t log_count;
    uint64_t stage_id[2];          /* zeros: none */
    uint64_t boot_id[2];
    const struct gy_version *version;
};

/* Append all edits to the writer (which may be measuring). A gy_manifest_snapshot_fn whose argument
 * is a struct gy_store_edits. */
void gy_store_edits_write(void *arg, struct gy_writer *writer);

#endif
