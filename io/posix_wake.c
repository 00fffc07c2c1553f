/* posix_wake.c - the descriptor that a host's event loop polls.
 *
 * One epoll set that holds an eventfd (at once, and written by the ring's completions) and a
 * timerfd, both edge-triggered: looking into the set forgets what they announced, so neither needs
 * to be read, and a turn costs one system call for it. (An eventfd alone would need a thread or a
 * request of the ring for timers; the ring's own descriptor does not become readable with deferred
 * task work.)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/co/sched.h"
#include "io/posix.h"

static struct gy_posix *
posix_of(struct gy_world *world)
{
    return gy_container_of(world, struct gy_posix, world);
}

void
gy_posix_wake_fini(struct gy_posix *posix)
{
    struct gy_posix_wake *wake = &posix->wake;

    if (wake->is_open) {
        (void)close(wake->set);
        (void)close(wake->event);
        (void)close(wake->timer);
        wake->is_open = false;
    }
}

static int
add(int set, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};

    return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
}

int
gy_posix_wake_fd(struct gy_world *world)
{
    struct gy_posix *posix = posix_of(world);
    struct gy_posix_wake *wake = &posix->wake;

    if (wake->is_open) {
        return wake->set;
    }
    *wake =
        (struct gy_posix_wake){.set = epoll_create1(EPOLL_CLOEXEC),
                               .event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                               .timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                               .armed_ns = GY_NEVER};
    if (wake->set < 0 || wake->event < 0 || wake->timer < 0 || add(wake->set, wake->event) != 0 ||
        add(wake->set, wake->timer) != 0) {
        const int error = errno;

        (void)close(wake->set); /* -1 is refused and harms nobody */
        (void)close(wake->event);
        (void)close(wake->timer);
        return -error;
    }
    wake->is_open = true;
    return wake->set;
}

void
gy_posix_wake_drain(struct gy_world *world)
{
    struct gy_posix_wake *wake = &posix_of(world)->wake;
    struct epoll_event events[2];

    gy_assert(wake->is_open);
    (void)epoll_wait(wake->set, events, 2, 0); /* never waits; EINTR leaves an early wake-up */
    wake->is_signaled = false;
}

static void
arm(struct gy_posix_wake *wake, uint64_t at_ns)
{
    struct itimerspec when = {{0}, {0}};

    if (at_ns == wake->armed_ns) {
        return;
    }
    if (at_ns != GY_NEVER) { /* all zeros disarm */
        when.it_value.tv_sec = (time_t)(at_ns / GY_NS_PER_S);
        when.it_value.tv_nsec = (long)gy_max_u64(at_ns % GY_NS_PER_S, 1);
    }
    (void)timerfd_settime(wake->timer, TFD_TIMER_ABSTIME, &when, NULL);
    wake->armed_ns = at_ns;
}

void
gy_posix_wake_at(struct gy_world *world, uint64_t at_ns)
{
    struct gy_posix_wake *wake = &posix_of(world)->wake;
    const uint64_t one = 1;

    gy_assert(wake->is_open);
    if (at_ns != 0) {
        arm(wake, at_ns);
        return;
    }
    if (!wake->is_signaled) {
        wake->is_signaled = write(wake->event, &one, sizeof(one)) == (ssize_t)sizeof(one);
    }
}
