/* gyre_store.h - what the three forms of Gyre share: loop, store, settling, figures. */
#ifndef GYRE_BENCH_GYRE_STORE_H
#define GYRE_BENCH_GYRE_STORE_H

#include "bench/gyre_bench/engine.h"
#include "bench/gyre_bench/stream.h"
#include "gyre/gyre.h"

struct gyre_store {
    struct engine engine;
    gyre_loop *loop;
    gyre_db *db;
    struct gyre_loop_options loop_options;
    struct gyre_options options;
    double open_seconds;
};

/* What a slot needs besides its operation. */
struct gyre_slot {
    gyre_iterator *iterator;
    bool is_positioned;
    gyre_batch *batch;
    struct gyre_value *values; /* of multi_get */
    gyre_status *statuses;
};

struct engine *gyre_store_open(const struct engine_settings *settings, char *error,
                               const struct engine_type *type);
bool gyre_store_close(struct engine *engine);
void gyre_store_describe(struct engine *engine, char *text, size_t capacity);
void gyre_store_figures(struct engine *engine, struct figures *figures);
void gyre_store_reset_maxima(struct engine *engine);
enum settle_result gyre_store_settle(struct engine *engine);

/* False: the slot has failed (slot_failed). */
bool gyre_slot_open(struct gyre_store *store, struct slot *slot);
void gyre_slot_close(struct slot *slot);
/* "IO: the text of the last error" */
void gyre_status_print(const struct gyre_store *store, gyre_status status, char *text,
                       size_t capacity);

/* One bounded turn of the host's loop; waits up to timeout_ns when nothing is left to do. */
gyre_status gyre_store_turn(struct gyre_store *store, uint64_t timeout_ns);

#define GYRE_ABILITIES                                                                         \
    (CAN_STORE | CAN_DELETE | CAN_WALK | CAN_SEEK | CAN_MISS | CAN_BUFFER | CAN_NOWAL |        \
     CAN_COMPRESS | CAN_SETTLE)

#endif
