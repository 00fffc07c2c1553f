/* recover.h - what opening a store learns from its files; see recover.c. */
#ifndef GY_RECOVER_H
#define GY_RECOVER_H

#include "engine/db/db.h"
#include "engine/db/table_list.h"

struct gy_recovery {
    struct gy_manifest_end manifest;
    struct gy_wal_log logs[GY_WAL_SLOT_MAX]; /* that the manifest names, at or above log_min */
    uint32_t log_count;
    uint64_t last_log_end;         /* where the last log ends */
    uint64_t last_log_durable;     /* what its frames call durable, of that */
    bool clean;                    /* the last log has its end record */
    bool owns_manifest;            /* this process has its own, or has adopted the old one */
    bool no_space;                 /* the disk is full: logs are replayed into memory only */
    bool slot_exists[GY_WAL_SLOT_MAX];
    struct gy_wal_staged staged[GY_STAGE_COUNT_MAX]; /* beyond the logs, already in the memtable */
    uint32_t staged_count;
    uint8_t *staged_large[GY_STAGE_COUNT_MAX]; /* large commits among them, put together */
    struct gy_stage stage;         /* open while `staged` points into it */
    uint64_t number_max;           /* largest number of a file in the directory */
    struct gy_table_list tables;   /* of the manifest, while it is read */
    bool store_seen;               /* a STORE edit has come */
};

/* Forget logs that the manifest does not need any more. */
void gy_recovery_drop_logs(struct gy_recovery *recovery, uint64_t log_min);

/* manifest -> version and list of logs. NOT_FOUND: no CURRENT. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_recover_await_manifest(gyre_db *db,
                                                                 struct gy_recovery *recovery);
/* Does a log that was in use go unnamed by the manifest? CORRUPT. Before anything is written. */
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_recover_await_check_slots(gyre_db *db, const struct gy_recovery *recovery);
/* Read all logs and change nothing: what gy_recover_await_logs would find CORRUPT is told before a
 * byte of the store is written. Learns where each log begins and ends. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_recover_await_check_logs(gyre_db *db,
                                                                   struct gy_recovery *recovery);
/* logs and staging -> memtables. For a store that will be written to: what is accepted is durable
 * afterwards, except what is in recovery->staged. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_recover_await_logs(gyre_db *db,
                                                             struct gy_recovery *recovery);
/* The second half of it: staging, after `reader` has gone through the logs (recover_stage.c). */
struct gy_wal_reader;
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_recover_await_stage(gyre_db *db,
                                                              struct gy_recovery *recovery,
                                                              struct gy_wal_reader *reader);
GY_SUSPENDS void gy_recover_await_fini(gyre_db *db, struct gy_recovery *recovery,
                                       bool unlink_stage);

#endif
