/* wal_parts.h - what wal.c, wal_writer.c, wal_slot.c and wal_staged.c know of each other; nobody
 * else includes it. */
#ifndef GY_WAL_PARTS_H
#define GY_WAL_PARTS_H

#include "engine/disk/wal.h"

/* Where the frames of a log end at the latest: a page is kept for the end record and one for the
 * slot's mark. */
static inline uint64_t
gy_wal_log_end(const struct gy_wal *wal)
{
    return wal->config.slot_size - 2 * 4096u;
}

struct gy_wal_group *gy_wal_group_at(struct gy_wal *wal, uint64_t position);
void gy_wal_kick(struct gy_wal *wal);
/* Commits that are in no log yet. A group that was opened for a commit which then found no memory
 * stays open, and empty: it does not count. */
bool gy_wal_has_unsubmitted(struct gy_wal *wal);
void gy_wal_advance(struct gy_wal *wal);
void gy_wal_writer_main(void *arg);
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_wal_await_switch(struct gy_wal *wal);
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_wal_await_end_record(struct gy_wal *wal);
/* To the new log `log`, from *offset on, which is moved. */
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_wal_await_append_staged(struct gy_wal *wal, const struct gy_wal_log *log,
                           const struct gy_wal_staged *staged, uint32_t staged_count,
                           uint64_t *offset);
/* Go on in the last log instead of a new one: only what is planted as append_to_torn_log does. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_wal_await_continue(struct gy_wal *wal, uint64_t end);

#endif
