/* fail.h - how the checker stops when something is not as promised, and the states it counts.
 *
 * Stores run here inside the event hooks of other stores, on coroutine stacks, thousands of times a
 * second. A failure prints what is needed to see it again and ends the process; nothing is unwound.
 * A campaign runs its seeds in worker processes, so that one failure does not end the others.
 */
#ifndef GYRE_SIM_FAIL_H
#define GYRE_SIM_FAIL_H

#include "gyre/gyre.h"
#include "io/base/checked.h"

/* Where the run is: one line for each level of nesting, printed with every failure. */
void fail_set_place(uint32_t depth, const char *format, ...) GYRE_PRINTF(2, 3);
_Noreturn void fail_now(const char *format, ...) GYRE_PRINTF(1, 2);
/* With the text of the last failure of `loop`. */
_Noreturn void fail_status(gyre_loop *loop, gyre_status status, const char *what);
/* The exit code of a process that found a failure; others mean that the checker itself broke. */
#define FAIL_EXIT_CODE 3

#define demand(condition)                                                         \
    do {                                                                          \
        if (!(condition)) {                                                       \
            fail_now("%s:%d: not so: %s", __FILE__, __LINE__, #condition);        \
        }                                                                         \
    } while (0)

/* States that the checker itself sees (io/base/states.h has those of the engine). */
#define CHECK_STATES(X)                \
    X(crash_sampled)                   \
    X(crash_power_none)                \
    X(crash_power_all)                 \
    X(crash_power_random)              \
    X(crash_kill)                      \
    X(crash_before_creation)           \
    X(crash_in_recovery)               \
    X(crash_in_second_recovery)        \
    X(crash_after_recovery)            \
    X(crash_at_rename)                 \
    X(crash_at_unlink)                 \
    X(crash_at_directory_sync)         \
    X(crash_at_manifest_write)         \
    X(crash_at_log_write)              \
    X(crash_at_table_write)            \
    X(crash_at_close)                  \
    X(half_made_is_empty)              \
    X(lost_some_buffered)              \
    X(kept_more_than_durable)          \
    X(nothing_was_lost)                \
    X(answer_judged)                   \
    X(read_only_after_crash)           \
    X(reopened_with_other_options)     \
    X(no_staging_memory)               \
    X(no_log)                          \
    X(large_commit)                    \
    X(snapshot_read_after_compaction)  \
    X(iterator_outlived_a_view)        \
    X(iterator_turned_round)           \
    X(pin_outlived_its_table)          \
    X(multi_get_saw_one_moment)        \
    X(checkpoint_compared)             \
    X(verified)                        \
    X(close_refused_busy)              \
    X(op_timed_out)                    \
    X(op_cancelled)                    \
    X(op_closed)                       \
    X(op_maybe_done)                   \
    X(closed_under_load)               \
    X(told_error_on_write)             \
    X(told_error_on_read)              \
    X(told_error_at_open)              \
    X(told_error_at_close)             \
    X(error_left_commit_out)           \
    X(error_kept_commit)               \
    X(refused_after_poison)            \
    X(disk_full_on_write)              \
    X(disk_full_at_open)               \
    X(resumed_after_full_disk)         \
    X(resumed_after_errors)            \
    X(stuck_then_lifted)               \
    X(corruption_told)                 \
    X(damage_hid_the_commit)           \
    X(damaged_table_met_compaction)    \
    X(no_memory_on_write)              \
    X(no_memory_on_read)               \
    X(no_memory_at_open)               \
    X(clock_jumped)                    \
    X(bad_call_refused)                \
    X(scan_stopped_at_rows)            \
    X(scan_stopped_at_bytes)           \
    X(scan_stopped_at_buffer)          \
    X(scan_stopped_at_time)            \
    X(scan_stopped_at_skips)           \
    X(scan_went_on_to_its_end)         \
    X(scan_told_what_it_needs)         \
    X(scan_given_up)                   \
    X(again_for_pace)                  \
    X(again_for_memtables)             \
    X(again_for_log)                   \
    X(again_for_pause)                 \
    X(again_gave_credit_back)          \
    X(room_waited_for)                 \
    X(room_refused_while_paused)       \
    X(quota_refused_put)               \
    X(quota_refused_delete)            \
    X(deletes_made_room)               \
    X(paused)                          \
    X(resumed)                         \
    X(closed_while_paused)             \
    X(resumed_by_itself)               \
    X(rested_at_the_end)               \
    X(event_told_an_end)               \
    X(health_ok)                       \
    X(health_slow)                     \
    X(health_paused)                   \
    X(health_error)                    \
    X(health_full)                     \
    X(health_read_only)                \
    X(disk_full_under_operations)      \
    X(chaos_scheduling)

enum check_state {
#define X(name) CHECK_##name,
    CHECK_STATES(X)
#undef X
        CHECK_STATE_COUNT
};

extern uint64_t check_counts[CHECK_STATE_COUNT];
#define reached(state) ((void)(check_counts[CHECK_##state]++))

#define FAIL_STATE_COUNT ((uint32_t)CHECK_STATE_COUNT + (uint32_t)GY_STATE_COUNT)
/* All states of both lists, by one number. */
const char *fail_state_name(uint32_t state);
uint64_t fail_state_count(uint32_t state);

#endif
