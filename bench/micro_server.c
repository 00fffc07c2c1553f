/* micro_server.c - examples/epoll_server.c under load over TCP: how long each of its
 * gyre_loop_poll(loop, 200) takes, and how long its clients wait.
 *
 *     micro_server DIR [SECONDS [RATE]]    DIR must not exist; 20 s of 10,000 requests a second
 *
 * The server is the example as it stands, in a process of its own, with its calls of gyre_open and
 * gyre_loop_poll led through the two below: a small memtable, so that flushes and compactions run
 * all the time, and a look at two clocks. The load is open: requests are sent when they are due on
 * 32 connections, half GET, half durable SET of 400 bytes, and latency counts from then.
 *
 * To see what system calls block its thread, with the pid from the line `server in process PID`:
 *
 *     perf trace --duration 1 -p PID
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "gyre/gyre.h"

static gyre_status
small_open(gyre_loop *loop, const char *path, const struct gyre_options *options, gyre_db **ret_db)
{
    struct gyre_options small = *options;

    small.memtable_size = 1u << 20;
    return gyre_open(loop, path, &small, ret_db);
}

struct series {
    uint32_t *ns;
    size_t count, capacity;
};

static struct series poll_cpu, poll_wall;

static uint64_t
clock_ns(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
note(struct series *series, uint64_t ns)
{
    if (series->count == series->capacity) {
        series->capacity = series->capacity == 0 ? 1u << 16 : 2 * series->capacity;
        series->ns = realloc(series->ns, series->capacity * sizeof(series->ns[0]));
        if (series->ns == NULL) {
            abort();
        }
    }
    series->ns[series->count++] = (uint32_t)(ns < UINT32_MAX ? ns : UINT32_MAX);
}

static gyre_status
timed_poll(gyre_loop *loop, uint32_t budget_us)
{
    const uint64_t wall_ns = clock_ns(CLOCK_MONOTONIC);
    const uint64_t cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    const gyre_status status = gyre_loop_poll(loop, budget_us);

    note(&poll_cpu, clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns);
    note(&poll_wall, clock_ns(CLOCK_MONOTONIC) - wall_ns);
    return status;
}

#define gyre_open small_open
#define gyre_loop_poll timed_poll
int server_main(int argc, char **argv);

#define main server_main
#include "examples/epoll_server.c"
#undef main

/* ---- The load ---- */

#define CONNECTIONS 32
#define KEYS 200000u
#define VALUE_SIZE 400
#define DUE_MAX 65536u /* requests of one connection that are not answered */

struct connection {
    int fd;
    char *out; /* not sent yet */
    size_t out_size, out_sent, out_capacity;
    uint64_t due_ns[DUE_MAX];
    uint32_t first, count;
};

struct load {
    struct connection connections[CONNECTIONS];
    uint64_t random;
    uint64_t sent, answered, failed;
    struct series latency;
};

static void
say(struct connection *c, const char *text, size_t size, uint64_t due_ns)
{
    if (c->out_size + size > c->out_capacity) {
        c->out_capacity = 2 * (c->out_size + size);
        c->out = realloc(c->out, c->out_capacity);
    }
    if (c->out == NULL || c->count == DUE_MAX) {
        fprintf(stderr, "the server is too far behind\n");
        exit(1);
    }
    memcpy(c->out + c->out_size, text, size);
    c->out_size += size;
    c->due_ns[(c->first + c->count++) % DUE_MAX] = due_ns;
}

static void
request(struct load *load, uint64_t due_ns, bool set, uint32_t key)
{
    char line[VALUE_SIZE + 64];
    int size = snprintf(line, sizeof(line), "%s key%08u", set ? "SET" : "GET", key);

    if (set) {
        line[size++] = ' ';
        memset(line + size, 'a' + (int)(key % 26), VALUE_SIZE);
        size += VALUE_SIZE;
    }
    line[size++] = '\n';
    say(&load->connections[load->sent++ % CONNECTIONS], line, (size_t)size, due_ns);
}

/* Send what the socket takes, take in what is there: a line is an answer. */
static void
turn(struct load *load, struct connection *c)
{
    static char buffer[65536];
    ssize_t size;

    if (c->out_sent < c->out_size) {
        size = send(c->fd, c->out + c->out_sent, c->out_size - c->out_sent, MSG_DONTWAIT);
        c->out_sent += size > 0 ? (size_t)size : 0;
        if (c->out_sent == c->out_size) {
            c->out_sent = c->out_size = 0;
        }
    }
    while ((size = recv(c->fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
        const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

        for (const char *at = buffer; at < buffer + size; at++) {
            load->failed += at + 2 < buffer + size && memcmp(at, "ERR", 3) == 0;
            if (*at == '\n' && c->count > 0) {
                note(&load->latency, now_ns - c->due_ns[c->first]);
                c->first = (c->first + 1) % DUE_MAX;
                c->count--;
                load->answered++;
            }
        }
    }
}

static void
turn_all(struct load *load)
{
    const struct timespec nap = {.tv_nsec = 100000};

    for (int i = 0; i < CONNECTIONS; i++) {
        turn(load, &load->connections[i]);
    }
    (void)nanosleep(&nap, NULL);
}

static uint32_t
random_key(struct load *load)
{
    load->random = load->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((load->random >> 33) % KEYS);
}

static void
connect_all(struct load *load, int port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    for (int i = 0; i < CONNECTIONS; i++) {
        load->connections[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(load->connections[i].fd, (const struct sockaddr *)&address, sizeof(address)) !=
            0) {
            die("connect");
        }
        (void)setsockopt(load->connections[i].fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    }
}

/* Every key once, as fast as it goes. */
static void
fill(struct load *load)
{
    for (uint32_t key = 0; key < KEYS; key++) {
        request(load, clock_ns(CLOCK_MONOTONIC), true, key);
        while (load->sent - load->answered > CONNECTIONS * PIPELINE_MAX / 2) {
            turn_all(load);
        }
    }
    while (load->answered < load->sent) {
        turn_all(load);
    }
    load->latency.count = 0;
}

static void
run(struct load *load, uint64_t seconds, uint64_t rate)
{
    const uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
    const uint64_t first = load->sent;

    while (load->answered - first < seconds * rate) {
        const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

        for (;;) {
            const uint64_t due_ns = begun_ns + (load->sent - first) * 1000000000u / rate;

            if (due_ns > now_ns || load->sent - first == seconds * rate) {
                break;
            }
            request(load, due_ns, load->sent % 64 < 32, random_key(load));
        }
        turn_all(load);
    }
}

/* ---- The report ---- */

static int
by_size(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return (left > right) - (left < right);
}

static double
quantile_us(const struct series *series, double fraction)
{
    return series->ns[(size_t)(fraction * (double)(series->count - 1))] / 1e3;
}

static void
report(const char *name, struct series *series)
{
    if (series->count == 0) {
        printf("%-22s none\n", name);
        return;
    }
    qsort(series->ns, series->count, sizeof(series->ns[0]), by_size);
    printf("%-22s %8zu, p50 %8.1f us, p99 %8.1f, p99.9 %8.1f, max %9.1f\n", name, series->count,
           quantile_us(series, 0.5), quantile_us(series, 0.99), quantile_us(series, 0.999),
           quantile_us(series, 1));
}

/* SIGUSR1: the fill is over. */
static void
forget(int signal)
{
    (void)signal;
    poll_cpu.count = poll_wall.count = 0;
}

static int
run_server(char *directory)
{
    char *arguments[] = {(char *)"epoll_server", directory, NULL};
    int result;

    (void)signal(SIGUSR1, forget);
    result = server_main(2, arguments);
    report("poll, thread CPU", &poll_cpu);
    report("poll, wall clock", &poll_wall);
    return result != 0 || quantile_us(&poll_cpu, 0.999) >= 1000;
}

int
main(int argc, char **argv)
{
    struct load *load = calloc(1, sizeof(*load));
    const uint64_t seconds = argc > 2 ? strtoull(argv[2], NULL, 10) : 20;
    const uint64_t rate = argc > 3 ? strtoull(argv[3], NULL, 10) : 10000;
    int ports[2], port = 0, status = 0;
    FILE *lines;
    char line[256];
    pid_t child;

    if (argc < 2 || load == NULL || seconds == 0 || rate == 0 || pipe(ports) != 0) {
        fprintf(stderr, "usage: micro_server DIR [SECONDS [RATE]]\n");
        return 2;
    }
    child = fork();
    if (child == 0) {
        (void)dup2(ports[1], STDOUT_FILENO);
        (void)close(ports[0]);
        exit(run_server(argv[1]));
    }
    (void)close(ports[1]);
    lines = fdopen(ports[0], "r");
    if (child < 0 || lines == NULL || fgets(line, sizeof(line), lines) == NULL ||
        sscanf(line, "port %d", &port) != 1) {
        fprintf(stderr, "the server did not start\n");
        return 1;
    }
    connect_all(load, port);
    fill(load);
    (void)kill(child, SIGUSR1);
    fprintf(stderr, "server in process %d\n", (int)child);
    run(load, seconds, rate);
    (void)kill(child, SIGTERM);
    while (fgets(line, sizeof(line), lines) != NULL) {
        (void)fputs(line, stdout);
    }
    report("latency of a request", &load->latency);
    printf("%llu answers were errors\n", (unsigned long long)load->failed);
    (void)waitpid(child, &status, 0);
    return status == 0 && load->failed == 0 ? 0 : 1;
}
