/* goal.c - see goal.h. */
#include "io/base/goal.h"

#include "io/base/bits.h"

#include "io/base/ban.h"

void
gy_goal_init(struct gy_goal *goal, uint64_t goal_ns, uint64_t ceiling)
{
    *goal = (struct gy_goal){.goal_ns = goal_ns,
                             .ceiling = ceiling,
                             .pace = ceiling,
                             .missed_pace = ceiling,
                             .kept_min = GY_GOAL_KEPT_MIN};
}

void
gy_goal_work(struct gy_goal *goal, bool is_waiting)
{
    goal->has_worked = true;
    goal->has_waited |= is_waiting;
}

static void
begin_window(struct gy_goal *goal, uint64_t now_ns)
{
    goal->since_ns = now_ns;
    goal->count = 0;
    goal->missed = 0;
    goal->has_worked = false;
    goal->has_waited = false;
}

static void
lower(struct gy_goal *goal)
{
    const uint64_t floor = gy_max_u64(goal->ceiling / GY_GOAL_FLOOR_SHARE, 1);

    if (goal->has_raised) { /* else it is the same trouble still */
        goal->missed_pace = goal->pace;
        goal->kept_min = (uint32_t)gy_min_u64(2ull * goal->kept_min, GY_GOAL_KEPT_MAX);
    }
    goal->has_raised = false;
    goal->kept = 0;
    goal->lowered_count++;
    goal->pace = gy_max_u64(goal->pace - goal->pace / 4, floor);
}

static void
keep(struct gy_goal *goal)
{
    goal->kept++;
    if (goal->kept < goal->kept_min) {
        return;
    }
    if (goal->pace >= goal->missed_pace) {
        goal->kept_min = (uint32_t)gy_max_u64(goal->kept_min / 2, GY_GOAL_KEPT_MIN);
    }
    goal->kept = 0;
    goal->has_raised = true;
    goal->pace = gy_min_u64(goal->pace + goal->pace / 8 + 1, goal->ceiling);
}

void
gy_goal_note(struct gy_goal *goal, uint64_t now_ns, uint64_t took_ns)
{
    if (goal->goal_ns == 0) {
        return;
    }
    goal->count++;
    goal->missed += took_ns > goal->goal_ns;
    if (gy_sub_sat(now_ns, goal->since_ns) < GY_GOAL_WINDOW_NS) {
        return;
    }
    if (goal->missed >= 2 && (uint64_t)goal->missed * 1000 > goal->count) {
        if (goal->has_worked) {
            lower(goal);
        }
        begin_window(goal, now_ns);
    } else if (goal->count >= GY_GOAL_COUNT_MIN) {
        if (goal->has_waited) {
            keep(goal);
        }
        begin_window(goal, now_ns);
    }
}
