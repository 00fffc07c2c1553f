/* timers.c - see timers.h. */
#include "io/co/timers.h"

#include "io/base/bits.h"

#define CAPACITY_MIN 64u

bool
gy_timer_reserve(struct gy_sched *sched, uint32_t count)
{
    struct gy_co **timers;
    uint64_t capacity;

    if (count <= sched->timer_capacity) {
        return true;
    }
    capacity = gy_max_u64(CAPACITY_MIN, gy_max_u64(count, 2ull * sched->timer_capacity));
    timers =
        gy_heap_realloc(sched->heap, sched->timers, capacity * sizeof(struct gy_co *), GY_MEM_LOOP);
    if (timers == NULL) {
        return false;
    }
    sched->timers = timers;
    sched->timer_capacity = (uint32_t)capacity;
    return true;
}

static void
place(struct gy_sched *sched, uint32_t index, struct gy_co *co)
{
    sched->timers[index] = co;
    co->timer_index = index;
}

/* Put `co` at `index` or as far above as its deadline wants. */
static void
sift_up(struct gy_sched *sched, uint32_t index, struct gy_co *co)
{
    while (index > 0) {
        struct gy_co *parent = sched->timers[(index - 1) / 2];

        if (parent->deadline_ns <= co->deadline_ns) {
            break;
        }
        place(sched, index, parent);
        index = (index - 1) / 2;
    }
    place(sched, index, co);
}

static void
sift_down(struct gy_sched *sched, uint32_t index, struct gy_co *co)
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
        if (co->deadline_ns <= sched->timers[child]->deadline_ns) {
            break;
        }
        place(sched, index, sched->timers[child]);
        index = (uint32_t)child;
    }
    place(sched, index, co);
}

void
gy_timer_add(struct gy_sched *sched, struct gy_co *co)
{
    gy_assert(co->timer_index == GY_TIMER_NONE);
    gy_assert(sched->timer_count < sched->timer_capacity);
    sift_up(sched, sched->timer_count++, co);
}

void
gy_timer_remove(struct gy_sched *sched, struct gy_co *co)
{
    const uint32_t index = co->timer_index;
    struct gy_co *last;

    if (index == GY_TIMER_NONE) {
        return;
    }
    gy_assert(index < sched->timer_count && sched->timers[index] == co);
    co->timer_index = GY_TIMER_NONE;
    last = sched->timers[--sched->timer_count];
    if (last == co) {
        return;
    }
    if (last->deadline_ns < co->deadline_ns) {
        sift_up(sched, index, last);
    } else {
        sift_down(sched, index, last);
    }
}
