/* uring_host.c - a host with an io_uring of its own: the store's descriptor is a poll request.
 *
 *     ./uring_host [DIR]
 *
 * Lines go through a pipe by requests of the host's ring; each one that arrives is put, and the
 * next is written when the put is on the device.
 *
 * The poll request is armed anew after each turn, which asks for the level: work that a turn left
 * over completes it at once. A multishot one tells changes only, and is right as well if the host
 * turns again without waiting for as long as gyre_loop_poll says AGAIN.
 */
#include <gyre/gyre.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINES 100
#define LINE_SIZE 16

enum request { REQUEST_WRITE = 1, REQUEST_READ, REQUEST_POLL };

struct host {
    gyre_loop *loop;
    gyre_db *db;
    struct io_uring ring;
    struct gyre_op op; /* one at a time */
    int pipe[2];
    int answers, failures;
    char out[LINE_SIZE], in[LINE_SIZE];
};

/* A line goes into the pipe, and out of it. There is room in the ring: three requests at most. */
static void
send_line(struct host *host)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&host->ring);

    snprintf(host->out, sizeof(host->out), "line %09d", host->answers);
    io_uring_prep_write(sqe, host->pipe[1], host->out, LINE_SIZE, 0);
    io_uring_sqe_set_data64(sqe, REQUEST_WRITE);
    sqe = io_uring_get_sqe(&host->ring);
    io_uring_prep_read(sqe, host->pipe[0], host->in, LINE_SIZE, 0);
    io_uring_sqe_set_data64(sqe, REQUEST_READ);
}

static void
watch_store(struct host *host)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&host->ring);

    io_uring_prep_poll_add(sqe, gyre_loop_fd(host->loop), POLLIN);
    io_uring_sqe_set_data64(sqe, REQUEST_POLL);
}

static void
answered(struct host *host, gyre_status status, const char *text)
{
    if (status != GYRE_OK) {
        fprintf(stderr, "put: %s: %s\n", gyre_status_name(status), text);
        host->failures++;
    }
    if (++host->answers < LINES) {
        send_line(host);
    }
}

static void
on_put(struct gyre_op *op)
{
    answered(op->arg, op->status, op->error.text);
}

static void
put_line(struct host *host)
{
    host->op = GYRE_OP(.kind = GYRE_OP_PUT, .db = host->db, .done = on_put, .arg = host,
                       .key = gyre_slice(host->in, LINE_SIZE), .data = gyre_str("put"));
    const gyre_status status = gyre_submit(&host->op);

    if (status != GYRE_OK) { /* then there is no callback */
        answered(host, status, gyre_last_error(host->loop)->text);
    }
}

static void
on_completion(struct host *host, const struct io_uring_cqe *cqe)
{
    switch (io_uring_cqe_get_data64(cqe)) {
    case REQUEST_READ:
        put_line(host);
        break;
    case REQUEST_POLL:
        (void)gyre_loop_poll(host->loop, 200);
        watch_store(host);
        break;
    default:
        break;
    }
    host->failures += cqe->res < 0;
}

static int
run(struct host *host)
{
    struct io_uring_cqe *cqe;

    const int error = io_uring_queue_init(8, &host->ring, 0);
    if (error != 0) {
        fprintf(stderr, "no io_uring here: %s\n", strerror(-error));
        exit(77); /* what a test understands as skipped */
    }
    if (pipe(host->pipe) != 0) {
        return 1;
    }
    watch_store(host);
    send_line(host);
    while (host->answers < LINES && host->failures == 0) {
        if (io_uring_submit_and_wait(&host->ring, 1) < 0) {
            return 1;
        }
        while (io_uring_peek_cqe(&host->ring, &cqe) == 0) {
            const struct io_uring_cqe copy = *cqe;

            io_uring_cqe_seen(&host->ring, cqe);
            on_completion(host, &copy);
        }
    }
    io_uring_queue_exit(&host->ring);
    return close(host->pipe[0]) | close(host->pipe[1]);
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
    printf("%d lines put, %d failures\n", host.answers, host.failures);
    host.failures += gyre_close(host.db) != GYRE_OK;
    if (argc <= 1 && gyre_destroy(host.loop, store) == GYRE_OK) {
        host.failures += rmdir(folder) != 0;
    }
    return gyre_loop_close(host.loop) == GYRE_OK && host.failures == 0 ? 0 : 1;
}
