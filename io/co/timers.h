/* timers.h - what a scheduler has to do at a certain time: a binary heap in sched->timers, the
 * earliest first. Each timer knows its place, so leaving early costs log n too.
 *
 * A timer belongs to who set it. One that fires is out of the heap already; `fire` runs on the
 * host's stack, between two coroutines, and does not suspend. Every coroutine has one of its own
 * (gy_await_park_until). Others are lent first, so that setting one cannot fail.
 */
#ifndef GY_TIMERS_H
#define GY_TIMERS_H

#include "io/co/sched.h"

/* Room for `count` timers, so that gy_timer_add cannot fail; false without memory. */
bool gy_timer_reserve(struct gy_sched *sched, uint32_t count);
/* Room for one more besides those of the coroutines, until it is given back. */
bool gy_timer_lend(struct gy_sched *sched);
void gy_timer_give_back(struct gy_sched *sched);

void gy_timer_add(struct gy_sched *sched, struct gy_timer *timer);    /* by its deadline_ns */
void gy_timer_remove(struct gy_sched *sched, struct gy_timer *timer); /* not in the heap is fine */
void gy_timers_fire(struct gy_sched *sched, uint64_t now_ns);         /* all that are due */

#endif
