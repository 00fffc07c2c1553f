/* timers.c - see timers.h. */
#include "io/co/timers.h"

#include "io/base/bits.h"

#define CAPACITY_MIN 64u

bool
gy_timer_reserve(struct gy_sched *sched, uint32_t count)
{
    struct gy_timer **timers;
    uint64_t capacity;

    if (count <= sched->timer_capacity) {
        return true;
    }
    capacity = gy_max_u64(CAPACITY_MIN, gy_max_u64(count, 2ull * sched->timer_capacity));
    timers = gy_heap_realloc(sched->heap, sched->timers, capacity * sizeof(timers[0]), GY_MEM_LOOP);
    if (timers == NULL) {
        return false;
    }
    sched->timers = timers;
    sched->timer_capacity = (uint32_t)capacity;
    return true;
}

static void
place(struct gy_sched *sched, uint32_t index, struct gy_timer *timer)
{
    sched->timers[index] = timer;
    timer->index = index;
}

/* Put it at `index` or as far above as its deadline wants. */
static void
sift_up(struct gy_sched *sched, uint32_t index, struct gy_timer *timer)
{
    while (index > 0) {
        struct gy_timer *parent = sched->timers[(index - 1) / 2];

        if (parent->deadline_ns <= timer->deadline_ns) {
            break;
        }
        place(sched, index, parent);
        index = (index - 1) / 2;
    }
    place(sched, index, timer);
}

static void
sift_down(struct gy_sched *sched, uint32_t index, struct gy_timer *timer)
{
    for (;;) {
        uint64_t child = 2ull * index + 1;

        if (child >= sched->timer_count) {
            break;
        }
        if (child + 1 < sched->timer_count &&
            sched->timers[child + 1]->deadline_ns < sched->timers[child]->deadline_ns) {
            child++;
        }
        if (timer->deadline_ns <= sched->timers[child]->deadline_ns) {
            break;
        }
        place(sched, index, sched->timers[child]);
        index = (uint32_t)child;
    }
    place(sched, index, timer);
}

bool
gy_timer_lend(struct gy_sched *sched)
{
    if (!gy_timer_reserve(sched, sched->live_count + sched->timers_lent + 1)) {
        return false;
    }
    sched->timers_lent++;
    return true;
}

void
gy_timer_give_back(struct gy_sched *sched)
{
    gy_assert(sched->timers_lent > 0);
    sched->timers_lent--;
}

void
gy_timer_add(struct gy_sched *sched, struct gy_timer *timer)
{
    gy_assert(timer->index == GY_TIMER_NONE && timer->fire != NULL);
    gy_assert(sched->timer_count < sched->timer_capacity);
    sift_up(sched, sched->timer_count++, timer);
}

void
gy_timer_remove(struct gy_sched *sched, struct gy_timer *timer)
{
    const uint32_t index = timer->index;
    struct gy_timer *last;

    if (index == GY_TIMER_NONE) {
        return;
    }
    gy_assert(index < sched->timer_count && sched->timers[index] == timer);
    timer->index = GY_TIMER_NONE;
    last = sched->timers[--sched->timer_count];
    if (last == timer) {
        return;
    }
    if (last->deadline_ns < timer->deadline_ns) {
        sift_up(sched, index, last);
    } else {
        sift_down(sched, index, last);
    }
}

void
gy_timers_fire(struct gy_sched *sched, uint64_t now_ns)
{
    while (sched->timer_count > 0 && sched->timers[0]->deadline_ns <= now_ns) {
        struct gy_timer *timer = sched->timers[0];

        gy_timer_remove(sched, timer);
        timer->fire(timer); /* `timer` may be gone now */
    }
}
