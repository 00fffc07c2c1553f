/* store.h - the whole content of a store by every way of reading. An error is returned; an answer
 * that is wrong ends the process (fail.h).
 */
#ifndef GYRE_SIM_STORE_H
#define GYRE_SIM_STORE_H

#include "gyre/gyre.h"
#include "io/base/rng.h"
#include "tools/gyre_sim/model.h"

/* A scan forward: what is there. Keys have to be in order, and some that may have been written. */
gyre_status store_scan(gyre_db *db, const gyre_snapshot *snapshot, struct model_state *ret_state);
/* A scan backward, every key and some absent ones by get, some by multi_get, and seeks: all of it
 * has to be as `state` says. `rng` chooses where to seek. */
gyre_status store_compare(gyre_db *db, const gyre_snapshot *snapshot,
                          const struct model_state *state, struct gy_rng *rng);

#endif
