/* epoll_host.c - the plainest host: an epoll loop of one's own, with the store as a guest.
 *
 *     ./epoll_host [DIR]
 *
 * The host waits in epoll_wait and nowhere else. A timer of its own ticks; each tick submits a
 * write; the callback is called from gyre_loop_poll when the write is on the device.
 */
#include <gyre/gyre.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICKS 20
#define TICK_NS 5000000

struct host {
    gyre_loop *loop;
    gyre_db *db;
    int epoll, timer;
    int ticks, answers, failures;
};

/* An op, and what it points to, live until the callback. */
struct tick {
    struct gyre_op op;
    struct host *host;
    char key[32];
};

static void
on_put(struct gyre_op *op)
{
    struct tick *tick = op->arg;

    tick->host->answers++;
    if (op->status != GYRE_OK) {
        fprintf(stderr, "put: %s\n", op->error.text);
        tick->host->failures++;
    }
    free(tick); /* it is ours again */
}

static void
on_tick(struct host *host)
{
    struct tick *tick = malloc(sizeof(*tick));
    uint64_t expirations;

    if (tick == NULL || read(host->timer, &expirations, sizeof(expirations)) < 0) {
        abort();
    }
    tick->host = host;
    snprintf(tick->key, sizeof(tick->key), "tick:%d", host->ticks++);
    tick->op = GYRE_OP(.kind = GYRE_OP_PUT, .db = host->db, .done = on_put, .arg = tick,
                       .key = gyre_str(tick->key), .data = gyre_str("tock"),
                       .deadline_ns = gyre_now(host->loop) + 1000000000u);
    if (gyre_submit(&tick->op) != GYRE_OK) { /* then there is no callback */
        fprintf(stderr, "submit: %s\n", gyre_last_error(host->loop)->text);
        host->answers++;
        host->failures++;
        free(tick);
    }
}

static void
watch(struct host *host, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (fd < 0 || epoll_ctl(host->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        perror("watch");
        exit(1);
    }
}

static void
run(struct host *host)
{
    const struct itimerspec every = {.it_interval.tv_nsec = TICK_NS, .it_value.tv_nsec = TICK_NS};

    host->epoll = epoll_create1(EPOLL_CLOEXEC);
    host->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    watch(host, host->timer);
    watch(host, gyre_loop_fd(host->loop));
    timerfd_settime(host->timer, 0, &every, NULL);
    while (host->answers < TICKS) {
        struct epoll_event events[8];
        const int count = epoll_wait(host->epoll, events, 8, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.fd != host->timer) {
                (void)gyre_loop_poll(host->loop, 200); /* at most about 200 us; callbacks */
            } else if (host->ticks < TICKS) {
                on_tick(host);
            }
        }
    }
    close(host->timer);
    close(host->epoll);
}

int
main(int argc, char **argv)
{
    char made[] = "/tmp/gyre-example-XXXXXX";
    const char *folder = argc > 1 ? argv[1] : mkdtemp(made);
    struct host host = {.failures = 0};
    char store[512];

    if (folder == NULL || snprintf(store, sizeof(store), "%s/host.gyre", folder) >= 512) {
        perror("folder");
        return 1;
    }
    /* Before and after the host's loop plain calls are fine: nobody is kept waiting. */
    if (gyre_loop_open(NULL, &host.loop, NULL) != GYRE_OK ||
        gyre_open(host.loop, store, GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE), &host.db) != GYRE_OK) {
        fprintf(stderr, "open: %s\n", host.loop ? gyre_last_error(host.loop)->text : "no loop");
        return 1;
    }
    run(&host);
    printf("%d ticks, %d answered, %d failed\n", host.ticks, host.answers, host.failures);
    host.failures += gyre_close(host.db) != GYRE_OK;
    if (argc <= 1 && gyre_destroy(host.loop, store) == GYRE_OK) {
        host.failures += rmdir(folder) != 0;
    }
    return gyre_loop_close(host.loop) == GYRE_OK && host.failures == 0 ? 0 : 1;
}
