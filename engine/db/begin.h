/* begin.h - from a recovered store to one that is written to, at once or when there is space; see
 * begin.c. */
#ifndef GY_BEGIN_H
#define GY_BEGIN_H

#include "engine/db/recover.h"

/* a snapshot calls so many numbers used up, so that what a crash left half-made is never met
 * again */
#define GY_NUMBERS_AHEAD 16u

/* A manifest of this process, before logs are replayed. OK with recovery->no_space set: on a full
 * disk it comes later. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_begin_await_manifest(gyre_db *db,
                                                               struct gy_recovery *recovery);
/* A log and the background, after logs were replayed. On a full disk a store that was there before
 * is OK too: db->waiting has taken over `recovery` then. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_begin_await(gyre_db *db, struct gy_recovery *recovery);

/* Is `status` a full disk, for a store that can wait? */
bool gy_begin_may_wait(const gyre_db *db, const struct gy_recovery *recovery, gyre_status status);
/* db->waiting is set: the answer to who wants to write. */
gyre_status gy_begin_refusal(gyre_db *db);
/* db->waiting is set and its coroutine has ended: give up. Not OK: what is not durable. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_begin_await_close(gyre_db *db);

#endif
