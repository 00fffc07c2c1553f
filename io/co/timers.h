/* timers.h - the coroutines of a scheduler that have a deadline: a binary heap in sched->timers,
 * the earliest first. Each coroutine knows its place (timer_index), so leaving early costs log n
 * too. */
#ifndef GY_TIMERS_H
#define GY_TIMERS_H

#include "io/co/sched.h"

#define GY_TIMER_NONE UINT32_MAX

/* Room for `count` timers, so that gy_timer_add cannot fail; false without memory. */
bool gy_timer_reserve(struct gy_sched *sched, uint32_t count);
void gy_timer_add(struct gy_sched *sched, struct gy_co *co); /* by co->deadline_ns */
void gy_timer_remove(struct gy_sched *sched, struct gy_co *co); /* not in the heap is fine */

#endif
