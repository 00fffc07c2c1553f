/* goal.h - a goal for the latency of foreground requests, and the pace that it leaves to the
 * background. Looks at log and user read requests from when they go to the device to when they are
 * back.
 *
 *   N1  It judges at the earliest GY_GOAL_WINDOW_NS after it last judged. Missed: more than one in
 *       1,000 took longer than the goal, and at least two. Kept: 1,000 or more came, and it was not
 *       missed. Missed counts only if background work went on meanwhile, kept only if the pace made
 *       it wait: else it says nothing about this pace.
 *   N2  Missed: the pace goes down by a quarter, not below the floor: foreground load never starves
 *       compaction.
 *   N3  Kept kept_min times in a row: it goes up by an eighth, not above the ceiling. kept_min
 *       doubles each time that a higher pace has missed, so that trying what the device can do is
 *       not itself what misses the goal; it halves where a pace holds that had missed before.
 *   N4  goal_ns 0: nothing is counted, the pace stays at the ceiling.
 *
 * Whoever is paced decides when the pace does not hold (G3 in pacer.h: while writers are made to
 * wait). A full queue that stood still makes many requests late at once: the window keeps that from
 * counting twice. Integers only; no clock of its own.
 */
#ifndef GY_GOAL_H
#define GY_GOAL_H

#include <stdbool.h>
#include <stdint.h>

#define GY_GOAL_WINDOW_NS (50ull * 1000000ull)
#define GY_GOAL_COUNT_MIN 1000u
#define GY_GOAL_KEPT_MIN 8u
#define GY_GOAL_KEPT_MAX 256u
#define GY_GOAL_FLOOR_SHARE 10u /* the floor is a tenth of the ceiling */

struct gy_goal {
    uint64_t goal_ns; /* 0 = none */
    uint64_t ceiling; /* bytes a second */
    uint64_t pace;    /* now */
    uint64_t since_ns; /* of the window */
    uint32_t count;   /* in the window */
    uint32_t missed;
    bool has_worked; /* background work went on in the window */
    bool has_waited; /* the pace made it wait */
    bool has_raised; /* since it was lowered */
    uint32_t kept;   /* windows in a row */
    uint32_t kept_min;
    uint64_t missed_pace; /* the last one that was tried and missed */
    uint64_t lowered_count;
};

void gy_goal_init(struct gy_goal *goal, uint64_t goal_ns, uint64_t ceiling);
/* Background work goes on; is_waiting: not as fast as it would, since the pace holds it. */
void gy_goal_work(struct gy_goal *goal, bool is_waiting);
/* A foreground request has come back after `took_ns`. */
void gy_goal_note(struct gy_goal *goal, uint64_t now_ns, uint64_t took_ns);

#endif
