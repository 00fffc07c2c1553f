/* sync.c - wait queue, mutex, semaphore (sync.h).
 *
 * A waiter's node lies in its own frame and not in the coroutine, so that a wake for something else
 * (C2) does not cost it its place. Mutex and semaphore hand over: the waker takes the node out and
 * gives it what it waits for before it runs, so nobody who comes later can be faster.
 */
#include "io/co/sync.h"

struct waiter {
    struct gy_list link; /* detached = taken out by a wake */
    struct gy_co *co;
    uint64_t amount; /* semaphore only */
};

static void
enqueue(struct gy_waitq *queue, struct waiter *waiter, struct gy_sched *sched, uint64_t amount)
{
    gy_assert(sched->current != NULL);
    waiter->co = sched->current;
    waiter->amount = amount;
    gy_list_push_back(&queue->waiters, &waiter->link);
}

static bool
is_taken(const struct waiter *waiter)
{
    return waiter->link.next == &waiter->link;
}

static struct waiter *
first_waiter(const struct gy_waitq *queue)
{
    return gy_list_is_empty(&queue->waiters)
               ? NULL
               : gy_container_of(queue->waiters.next, struct waiter, link);
}

/* Take it out and wake it. Its frame is gone once it runs, but not before. */
static void
take_out(struct waiter *waiter)
{
    gy_list_remove(&waiter->link);
    gy_wake(waiter->co);
}

/* Stay in the queue until a wake of this queue, whatever else wakes the coroutine. */
static GY_SUSPENDS void
await_turn_in(struct gy_sched *sched, struct gy_waitq *queue, uint64_t amount)
{
    struct waiter waiter;

    enqueue(queue, &waiter, sched, amount);
    while (!is_taken(&waiter)) {
        gy_await_park(sched);
    }
}

/* ---- Wait queue ---- */

void
gy_waitq_init(struct gy_waitq *queue)
{
    gy_list_init(&queue->waiters);
}

bool
gy_waitq_is_empty(const struct gy_waitq *queue)
{
    return gy_list_is_empty(&queue->waiters);
}

GY_SUSPENDS void
gy_waitq_await(struct gy_sched *sched, struct gy_waitq *queue)
{
    struct waiter waiter;

    enqueue(queue, &waiter, sched, 0);
    gy_await_park(sched);
    gy_list_remove(&waiter.link); /* woken for something else, the caller looks at its condition */
}

GY_SUSPENDS bool
gy_waitq_await_until(struct gy_sched *sched, struct gy_waitq *queue, uint64_t deadline_ns)
{
    struct waiter waiter;
    bool is_woken;

    enqueue(queue, &waiter, sched, 0);
    is_woken = gy_await_park_until(sched, deadline_ns);
    /* A wake that came between the deadline and now was meant for us and must not be lost. */
    is_woken = is_woken || is_taken(&waiter);
    gy_list_remove(&waiter.link);
    return is_woken;
}

void
gy_waitq_wake_one(struct gy_waitq *queue)
{
    struct waiter *waiter = first_waiter(queue);

    if (waiter != NULL) {
        take_out(waiter);
    }
}

void
gy_waitq_wake_all(struct gy_waitq *queue)
{
    /* Ends: nobody runs meanwhile, so nobody can join. */
    for (struct waiter *waiter; (waiter = first_waiter(queue)) != NULL;) {
        take_out(waiter);
    }
}

/* ---- Mutex ---- */

void
gy_mutex_init(struct gy_mutex *mutex)
{
    gy_waitq_init(&mutex->queue);
    mutex->owner = NULL;
}

GY_SUSPENDS void
gy_mutex_await_lock(struct gy_sched *sched, struct gy_mutex *mutex)
{
    gy_assert(sched->current != NULL);
    gy_assert(mutex->owner != sched->current); /* not recursive */
    if (mutex->owner == NULL) {
        mutex->owner = sched->current;
        return;
    }
    await_turn_in(sched, &mutex->queue, 0);
    gy_assert(mutex->owner == sched->current); /* after await: unlock has made us the owner */
}

void
gy_mutex_unlock(struct gy_mutex *mutex)
{
    struct waiter *waiter = first_waiter(&mutex->queue);

    gy_assert(mutex->owner != NULL && mutex->owner->sched->current == mutex->owner);
    mutex->owner = waiter != NULL ? waiter->co : NULL;
    if (waiter != NULL) {
        take_out(waiter);
    }
}

/* ---- Semaphore ---- */

void
gy_semaphore_init(struct gy_semaphore *semaphore, uint64_t available)
{
    gy_waitq_init(&semaphore->queue);
    semaphore->available = available;
}

GY_SUSPENDS void
gy_semaphore_await_take(struct gy_sched *sched, struct gy_semaphore *semaphore, uint64_t amount)
{
    gy_assert(sched->current != NULL);
    if (gy_waitq_is_empty(&semaphore->queue) && amount <= semaphore->available) {
        semaphore->available -= amount;
        return;
    }
    await_turn_in(sched, &semaphore->queue, amount); /* give has subtracted our amount */
}

void
gy_semaphore_give(struct gy_semaphore *semaphore, uint64_t amount)
{
    gy_assert(amount <= UINT64_MAX - semaphore->available);
    semaphore->available += amount;
    for (struct waiter *waiter; (waiter = first_waiter(&semaphore->queue)) != NULL;) {
        if (waiter->amount > semaphore->available) {
            break; /* first come, first served: a smaller one behind it waits too */
        }
        semaphore->available -= waiter->amount;
        take_out(waiter);
    }
}
