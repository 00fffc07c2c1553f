/* sync.h - how coroutines wait for each other: wait queue, mutex, semaphore, event.
 *
 * Queues are first come, first served. gy_waitq_await adds the current coroutine and parks it until
 * a wake takes it out; waiting is always in a loop on the condition (C2 in sched.h).
 */
#ifndef GY_SYNC_H
#define GY_SYNC_H

#include "io/co/sched.h"

struct gy_waitq {
    struct gy_list waiters;
};

void gy_waitq_init(struct gy_waitq *queue);
bool gy_waitq_is_empty(const struct gy_waitq *queue);
GY_SUSPENDS void gy_waitq_await(struct gy_sched *sched, struct gy_waitq *queue);
/* False when the deadline passed first; the coroutine is out of the queue either way. */
GY_SUSPENDS bool gy_waitq_await_until(struct gy_sched *sched, struct gy_waitq *queue,
                                      uint64_t deadline_ns);
void gy_waitq_wake_one(struct gy_waitq *queue);
void gy_waitq_wake_all(struct gy_waitq *queue);

struct gy_mutex {
    struct gy_waitq queue;
    struct gy_co *owner;
};

void gy_mutex_init(struct gy_mutex *mutex);
GY_SUSPENDS void gy_mutex_await_lock(struct gy_sched *sched, struct gy_mutex *mutex);
void gy_mutex_unlock(struct gy_mutex *mutex); /* hands over to the first waiter: no overtaking */

struct gy_semaphore {
    struct gy_waitq queue;
    uint64_t available;
};

void gy_semaphore_init(struct gy_semaphore *semaphore, uint64_t available);
GY_SUSPENDS void gy_semaphore_await_take(struct gy_sched *sched, struct gy_semaphore *semaphore,
                                         uint64_t amount);
void gy_semaphore_give(struct gy_semaphore *semaphore, uint64_t amount);

#endif
