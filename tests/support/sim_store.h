/* sim_store.h - a store on a simulated machine: knobs drawn from a seed, a loop on a disk, and
 * reading everything that a store holds in every way there is.
 *
 * These tests run stores inside the event hooks of other stores, on coroutine stacks, thousands of
 * times a second, so a failure prints what is needed to see it again and ends the program; nothing
 * is unwound.
 */
#ifndef GY_TEST_SIM_STORE_H
#define GY_TEST_SIM_STORE_H

#include "engine/db/db.h"
#include "io/sim/world_sim.h"
#include "tests/support/model.h"

#define SIM_PATH "/db"

/* ---- Failing ---- */

/* "sim_crash --seed 7": printed with every failure. The string lives on. */
void sim_set_program(const char *text);
/* Where the run is now, printed below it: one line for each level of nesting. */
void sim_set_place(uint32_t depth, const char *format, ...) GYRE_PRINTF(2, 3);
_Noreturn void sim_fail(const char *format, ...) GYRE_PRINTF(1, 2);
/* The text of the last failure of `loop` goes with it. */
_Noreturn void sim_fail_status(gyre_loop *loop, gyre_status status, const char *what);

#define sim_check(condition)                                                                      \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            sim_fail("%s:%d: not so: %s", __FILE__, __LINE__, #condition);                        \
        }                                                                                         \
    } while (0)

/* ---- States that have to be reached ---- */

#define SIM_SOMETIMES(X)                                                                          \
    X(crash_copies)                                                                               \
    X(crash_before_creation)                                                                      \
    X(crash_in_recovery)                                                                          \
    X(crash_after_recovery)                                                                       \
    X(half_made_is_empty)                                                                         \
    X(lost_some_buffered)                                                                         \
    X(kept_more_than_durable)                                                                     \
    X(staged_was_replayed)                                                                        \
    X(tail_was_dropped)                                                                           \
    X(read_only_open)                                                                             \
    X(log_switched)                                                                               \
    X(log_slot_reused)                                                                            \
    X(flushed)                                                                                    \
    X(compacted)                                                                                  \
    X(large_commit)                                                                               \
    X(snapshot_over_flush)                                                                        \
    X(no_staging)                                                                                 \
    X(no_log)                                                                                     \
    X(writes_failed)                                                                              \
    X(disk_was_full)                                                                              \
    X(resumed_without_reopen)

enum sim_state {
#define X(name) SIM_##name,
    SIM_SOMETIMES(X)
#undef X
        SIM_STATE_COUNT
};

void sim_reached(enum sim_state state);
uint64_t sim_reached_count(enum sim_state state);
/* Fail when one of `states` was never reached; prints all of them. */
void sim_demand(const enum sim_state *states, size_t count);

/* ---- Knobs and machines ---- */

struct sim_knobs {
    struct gyre_options options; /* without flags */
    struct gy_sim_disk_config disk;
    uint32_t short_ppm;
    bool has_chaos;              /* ready coroutines run in random order */
};

/* Small memtables, tables and logs, so that a hundred commits go through everything. */
void sim_knobs_draw(struct sim_knobs *knobs, uint64_t seed);
/* Another process opens the same store: all that may differ does. */
void sim_knobs_redraw(struct sim_knobs *knobs, uint64_t seed);

struct sim_machine {
    struct gy_world *world;
    gyre_loop *loop;
    struct gy_rng chaos;
};

/* `config` NULL: no hooks, no faults, by seed. Broken rules of the world are failures. */
void sim_machine_start(struct sim_machine *machine, struct gy_sim_disk *disk,
                       const struct gy_world_sim_config *config, const struct sim_knobs *knobs,
                       uint64_t seed);
void sim_machine_stop(struct sim_machine *machine);

gyre_status sim_open(struct sim_machine *machine, const struct sim_knobs *knobs, uint32_t flags,
                     gyre_db **ret_db);

/* ---- Reading ---- */

/* A scan forward; fails the program when keys are out of order or unknown. Returns what ended it
 * (OK: the end). */
gyre_status sim_scan(gyre_db *db, const gyre_snapshot *snapshot, struct model_state *ret_state);
/* The same backward, by point reads of every key and of absent ones, by multi_get, by seeks:
 * whatever is answered has to be in `state`; an error is returned. */
gyre_status sim_compare(gyre_db *db, const gyre_snapshot *snapshot,
                        const struct model_state *state);

#endif
