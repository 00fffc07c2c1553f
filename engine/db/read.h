/* read.h - one look-up in one view; shared by get and multi_get. */
#ifndef GY_READ_H
#define GY_READ_H

#include "engine/db/op.h"

/* What a read goes by, from gyre_read_options. */
#define GY_SEQUENCE_LATEST UINT64_MAX /* what is visible when the view is taken */

struct gy_read_moment {
    uint64_t sequence;
    enum gy_cache_hint hint;
    uint64_t deadline_ns;          /* 0 = none */
};

GYRE_NODISCARD gyre_status gy_read_moment_of(gyre_db *db, const struct gyre_read_options *options,
                                             struct gy_read_moment *ret_moment);
GYRE_NODISCARD gyre_status gy_read_check_key(gyre_db *db, struct gyre_slice key);

/* Look `key` up in `view`: memtables, level 0 from new to old, then one table a level. OK with
 * *ret_value filled (pinned or copied), NOT_FOUND, or an error. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_read_await_get(gyre_db *db, struct gy_view *view,
                                                         struct gyre_slice key,
                                                         const struct gy_read_moment *moment,
                                                         struct gyre_value *ret_value);

/* The same as far as it goes without waiting: false when a block has to be read or a table opened;
 * else true and the outcome in *ret_status. */
bool gy_read_try_get(gyre_db *db, struct gy_view *view, struct gyre_slice key,
                     const struct gy_read_moment *moment, struct gyre_value *ret_value,
                     gyre_status *ret_status);

#endif
