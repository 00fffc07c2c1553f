/* libuv_host.c - epoll_host.c in libuv: the store's descriptor is a uv_poll_t.
 *
 *     ./libuv_host [DIR]
 *
 * uv_poll watches level-triggered, as the descriptor wants it. libevent and libev are the same:
 * their watcher for reading, and gyre_loop_poll in its callback.
 */
#include <gyre/gyre.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#define TICKS 20
#define TICK_MS 5

struct host {
    gyre_loop *loop;
    gyre_db *db;
    uv_loop_t uv;
    uv_poll_t poll;
    uv_timer_t timer;
    int ticks, answers, failures;
};

/* An op, and what it points to, live until the callback. */
struct tick {
    struct gyre_op op;
    char key[32];
};

static void
on_answer(struct host *host, gyre_status status, const char *text)
{
    if (status != GYRE_OK) {
        fprintf(stderr, "put: %s: %s\n", gyre_status_name(status), text);
        host->failures++;
    }
    if (++host->answers == TICKS) { /* without handles uv_run returns */
        uv_close((uv_handle_t *)&host->poll, NULL);
        uv_close((uv_handle_t *)&host->timer, NULL);
    }
}

static void
on_put(struct gyre_op *op)
{
    on_answer(op->arg, op->status, op->error.text);
    free(op); /* the first member of its tick */
}

static void
on_tick(uv_timer_t *timer)
{
    struct host *host = timer->data;
    struct tick *tick = malloc(sizeof(*tick));

    if (tick == NULL) {
        abort();
    }
    snprintf(tick->key, sizeof(tick->key), "tick:%d", host->ticks++);
    tick->op = GYRE_OP(.kind = GYRE_OP_PUT, .db = host->db, .done = on_put, .arg = host,
                       .key = gyre_str(tick->key), .data = gyre_str("tock"));
    const gyre_status status = gyre_submit(&tick->op);
    if (host->ticks == TICKS) {
        uv_timer_stop(timer);
    }
    if (status != GYRE_OK) { /* then there is no callback */
        free(tick);
        on_answer(host, status, gyre_last_error(host->loop)->text);
    }
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
    struct host *host = poll->data;

    (void)status;
    (void)events;
    (void)gyre_loop_poll(host->loop, 200);
}

static int
run(struct host *host)
{
    const int fd = gyre_loop_fd(host->loop);
    int failed = uv_loop_init(&host->uv);

    failed = failed || fd < 0 || uv_poll_init(&host->uv, &host->poll, fd) ||
             uv_timer_init(&host->uv, &host->timer);
    host->poll.data = host;
    host->timer.data = host;
    failed = failed || uv_poll_start(&host->poll, UV_READABLE, on_readable) ||
             uv_timer_start(&host->timer, on_tick, TICK_MS, TICK_MS) ||
             uv_run(&host->uv, UV_RUN_DEFAULT);
    return failed || uv_loop_close(&host->uv);
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
    if (gyre_loop_open(NULL, &host.loop, NULL) != GYRE_OK ||
        gyre_open(host.loop, store, GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE), &host.db) != GYRE_OK) {
        fprintf(stderr, "open: %s\n", host.loop ? gyre_last_error(host.loop)->text : "no loop");
        return 1;
    }
    host.failures += run(&host) != 0;
    printf("%d ticks, %d answered, %d failed\n", host.ticks, host.answers, host.failures);
    host.failures += gyre_close(host.db) != GYRE_OK;
    if (argc <= 1 && gyre_destroy(host.loop, store) == GYRE_OK) {
        host.failures += rmdir(folder) != 0;
    }
    return gyre_loop_close(host.loop) == GYRE_OK && host.failures == 0 ? 0 : 1;
}
