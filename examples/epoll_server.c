/* epoll_server.c - a small key-value server: one thread, one epoll, the store one more descriptor.
 *
 *     ./epoll_server STORE [PORT [DEADLINE_MS]]    127.0.0.1:PORT (0: any), deadline 2000
 *
 * A request is a line, and so is its answer. Answers come in the order of the requests; many of
 * these may be sent before the first answer is there.
 *
 *     SET key value    OK, when it is durable
 *     GET key          VALUE value, or NONE
 *     DEL key          OK, when it is durable
 *     SCAN from n      ROW key value for at most n keys, then END
 *     SYNC             OK
 *     STATS            STATS name=number ...
 *     QUIT             BYE, and the connection is closed
 *
 * What fails is answered with ERR, a status and a text; of a write it says `not done` or `maybe
 * done`. SIGTERM and SIGINT close the store with what is in flight: that is answered too.
 *
 * Nothing is allocated for a request, and each client has its bounds: who sends without reading
 * answers is not read from until there is room.
 */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <errno.h>
#include <gyre/gyre.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 64
#define PIPELINE_MAX 32 /* requests of one client that are not answered yet */
#define LINE_SIZE_MAX 4096
#define REPLY_SIZE_MAX (LINE_SIZE_MAX + 64)
#define OUT_SIZE (4 * REPLY_SIZE_MAX)
#define SCAN_MAX 1000
#define POLL_US 200

struct server;
struct client;

enum request_state {
    HELD,     /* a SCAN: it is not its turn, or its client has no room for the next row */
    AT_WORK,  /* the store has it */
    ANSWERED, /* `text` is the reply */
};

struct request {
    struct gyre_op op;
    struct client *client;
    struct request *next; /* of its client, or in the free list */
    enum request_state state;
    gyre_iterator *iterator; /* a SCAN that has begun */
    unsigned rows_left;
    size_t size;
    char text[REPLY_SIZE_MAX]; /* the line, which the op points into; then the reply */
};

struct client {
    struct server *server;
    int fd;                       /* -1: free, or gone with requests at work */
    uint32_t events;              /* what epoll watches for */
    bool is_ended;                /* no input is to come: closed when all is answered */
    bool is_dirty;                /* to be settled */
    struct request *first, *last; /* in the order of their lines */
    unsigned count;
    size_t in_size, out_size;
    char in[LINE_SIZE_MAX];
    char out[OUT_SIZE];
};

struct server {
    gyre_loop *loop;
    gyre_db *db;
    int epoll, listener, signals;
    uint64_t deadline_ns;
    bool is_closing, is_closed, close_submitted;
    gyre_status close_status;
    struct gyre_op close_op;
    unsigned iterators;
    struct request *free;
    struct client clients[CLIENTS_MAX];
    struct request requests[CLIENTS_MAX * PIPELINE_MAX]; /* so the free list is never empty */
};

static void
die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- Replies ---- */

static void
reply(struct request *request, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    const int size = vsnprintf(request->text, REPLY_SIZE_MAX, format, arguments);
    va_end(arguments);
    request->size = size < REPLY_SIZE_MAX ? (size_t)size : REPLY_SIZE_MAX - 1;
    request->text[request->size++] = '\n'; /* in the place of the final NUL */
    request->state = ANSWERED;
}

static void
reply_failure(struct request *request, gyre_status status, const struct gyre_error *error)
{
    const uint32_t kind = request->op.kind;
    const char *done = "";

    if (kind == GYRE_OP_PUT || kind == GYRE_OP_DELETE) {
        done = error->maybe_done ? "maybe done: " : "not done: ";
    }
    reply(request, "ERR %s %s%s", gyre_status_name(status), done, error->text);
}

/* "VALUE value" or "ROW key value"; bytes of any kind, so without a format. */
static size_t
join(char *target, const char *word, struct gyre_slice key, struct gyre_slice value)
{
    size_t size = strlen(word);

    if (size + key.size + value.size + 3 > REPLY_SIZE_MAX) { /* made by another program */
        return (size_t)sprintf(target, "ERR INVALID too large for a line\n");
    }
    memcpy(target, word, size);
    if (key.size > 0) {
        target[size++] = ' ';
        memcpy(target + size, key.data, key.size);
        size += key.size;
    }
    target[size++] = ' ';
    if (value.size > 0) {
        memcpy(target + size, value.data, value.size);
    }
    size += value.size;
    target[size++] = '\n';
    return size;
}

/* ---- Requests and the store ---- */

static void
submit(struct request *request, uint32_t kind)
{
    const struct server *server = request->client->server;

    request->op.kind = kind;
    request->op.durability = GYRE_DURABLE; /* writes look at it */
    request->op.deadline_ns = gyre_now(server->loop) + server->deadline_ns;
    const gyre_status status = gyre_submit(&request->op);
    if (status != GYRE_OK) { /* there will be no callback */
        reply_failure(request, status, gyre_last_error(server->loop));
    } else {
        request->state = AT_WORK;
    }
}

static void
end_scan(struct request *request)
{
    if (request->iterator != NULL) {
        gyre_iterator_close(request->iterator);
        request->iterator = NULL;
        request->client->server->iterators--;
    }
}

/* The row goes out at once: the scan is its client's first request, and there was room for it
 * when the iterator was moved. */
static void
on_row(struct request *request)
{
    struct client *client = request->client;
    const gyre_status status = request->op.status;

    if (status == GYRE_OK && client->fd >= 0) {
        client->out_size +=
            join(client->out + client->out_size, "ROW", gyre_iterator_key(request->iterator),
                 gyre_iterator_value(request->iterator));
        request->rows_left--;
        request->state = HELD;
        return;
    }
    end_scan(request);
    if (status == GYRE_OK || status == GYRE_NOT_FOUND) {
        reply(request, "END");
    } else {
        reply_failure(request, status, &request->op.error);
    }
}

/* The callback of all requests. It takes what the op brought; who is to be written to is seen to
 * after the turn, once for all answers. */
static void
on_answer(struct gyre_op *op)
{
    struct request *request = op->arg;

    request->client->is_dirty = true;
    if (request->iterator != NULL) {
        on_row(request);
    } else if (op->kind == GYRE_OP_GET && op->status == GYRE_OK) {
        request->size = join(request->text, "VALUE", gyre_slice(NULL, 0),
                             gyre_slice(op->value.data, op->value.size));
        request->state = ANSWERED;
        gyre_value_release(&op->value); /* it would keep the store from being closed */
    } else if (op->status == GYRE_NOT_FOUND) {
        reply(request, "NONE");
    } else if (op->status == GYRE_OK) {
        reply(request, "OK");
    } else {
        reply_failure(request, op->status, &op->error);
    }
}

/* Begin a scan, go on with one, or end it. */
static void
step_scan(struct request *request)
{
    struct server *server = request->client->server;

    if (server->is_closing) {
        end_scan(request);
        reply(request, "ERR CLOSED the server ends");
    } else if (request->rows_left == 0) {
        end_scan(request);
        reply(request, "END");
    } else if (request->iterator != NULL) {
        submit(request, GYRE_OP_ITERATOR_NEXT);
    } else if (gyre_iterator_open(server->db, NULL, &request->iterator) == GYRE_OK) {
        server->iterators++;
        request->op.iterator = request->iterator;
        submit(request, GYRE_OP_ITERATOR_SEEK);
    } else {
        reply_failure(request, GYRE_AGAIN, gyre_last_error(server->loop));
    }
    if (request->state == ANSWERED) {
        end_scan(request); /* what could not be submitted */
    }
}

static void
reply_stats(struct request *request)
{
    const struct server *server = request->client->server;
    struct gyre_stats stats = {.struct_size = sizeof(stats)};
    struct gyre_loop_stats loop = {.struct_size = sizeof(loop)};

    (void)gyre_stats(server->db, &stats);
    (void)gyre_loop_stats(server->loop, &loop);
    reply(request, "STATS gets=%llu puts=%llu deletes=%llu log_writes=%llu memory=%llu",
          (unsigned long long)stats.gets, (unsigned long long)stats.puts,
          (unsigned long long)stats.deletes, (unsigned long long)stats.wal_groups,
          (unsigned long long)loop.memory_used);
}

/* ---- Lines ---- */

static const struct command {
    const char *name;
    int words; /* the third is the rest of the line */
    uint32_t kind;
} commands[] = {
    {"SET", 3, GYRE_OP_PUT},
    {"GET", 2, GYRE_OP_GET},
    {"DEL", 2, GYRE_OP_DELETE},
    {"SYNC", 1, GYRE_OP_SYNC},
    {"SCAN", 3, GYRE_OP_ITERATOR_SEEK},
    {"STATS", 1, GYRE_OP_NONE},
    {"QUIT", 1, GYRE_OP_NONE},
};

/* Cut the line into up to three words. */
static int
split(const struct request *request, struct gyre_slice words[3])
{
    const char *at = request->text;
    const char *end = at + request->size;

    for (int i = 0; i < 3; i++) {
        const char *space = i < 2 ? memchr(at, ' ', (size_t)(end - at)) : NULL;

        words[i] = gyre_slice(at, (size_t)((space != NULL ? space : end) - at));
        if (space == NULL) {
            return i + 1;
        }
        at = space + 1;
    }
    return 3;
}

static const struct command *
find_command(struct gyre_slice name, int words)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (commands[i].words == words && strlen(commands[i].name) == name.size &&
            memcmp(commands[i].name, name.data, name.size) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static void
obey_scan(struct request *request, struct gyre_slice count)
{
    char *end;
    const unsigned long rows = strtoul(count.data, &end, 10);

    if (end != (const char *)count.data + count.size || count.size == 0 || rows > SCAN_MAX) {
        reply(request, "ERR INVALID a scan has 0 to %d rows", SCAN_MAX);
    } else {
        request->rows_left = (unsigned)rows;
        request->state = HELD;
    }
}

static void
obey(struct request *request)
{
    struct client *client = request->client;
    struct gyre_slice words[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    const int count = split(request, words);
    const struct command *command = find_command(words[0], count);

    request->op = GYRE_OP(.db = client->server->db, .done = on_answer, .arg = request,
                          .key = words[1], .data = words[2]);
    if (command == NULL) {
        reply(request, "ERR INVALID not SET key value, GET key, DEL key, SCAN from n, SYNC, STATS "
                       "or QUIT");
    } else if (command->kind == GYRE_OP_ITERATOR_SEEK) {
        obey_scan(request, words[2]);
    } else if (command->kind != GYRE_OP_NONE) {
        submit(request, command->kind);
    } else if (command->name[0] == 'S') {
        reply_stats(request);
    } else {
        client->is_ended = true;
        client->in_size = 0;
        reply(request, "BYE");
    }
}

/* A request at the end of its client's list. */
static struct request *
append_request(struct client *client)
{
    struct request *request = client->server->free;

    client->server->free = request->next;
    request->client = client;
    request->next = NULL;
    if (client->first == NULL) {
        client->first = request;
    } else {
        client->last->next = request;
    }
    client->last = request;
    client->count++;
    return request;
}

static void
remove_first(struct client *client)
{
    struct request *request = client->first;

    end_scan(request);
    client->first = request->next;
    client->count--;
    request->next = client->server->free;
    client->server->free = request;
}

/* Input to a request. False: there is no whole line, or no request may be added. */
static bool
take_line(struct client *client)
{
    const char *end = memchr(client->in, '\n', client->in_size);
    const size_t size = end != NULL ? (size_t)(end - client->in) : client->in_size;

    if (client->count == PIPELINE_MAX || (end == NULL && size < LINE_SIZE_MAX)) {
        return false;
    }
    struct request *request = append_request(client);
    if (end == NULL) {
        client->is_ended = true;
        client->in_size = 0;
        reply(request, "ERR INVALID a line has at most %d bytes", LINE_SIZE_MAX);
        return true;
    }
    memcpy(request->text, client->in, size);
    request->size = size > 0 && client->in[size - 1] == '\r' ? size - 1 : size;
    request->text[request->size] = '\0'; /* for strtoul */
    client->in_size -= size + 1;
    memmove(client->in, end + 1, client->in_size);
    obey(request);
    return true;
}

/* Answers to output, in their order, as far as there is room. */
static bool
take_answers(struct client *client)
{
    const unsigned count = client->count;
    struct request *request;

    while ((request = client->first) != NULL) {
        const bool has_room = OUT_SIZE - client->out_size >= REPLY_SIZE_MAX;

        if (request->state == HELD && (has_room || client->server->is_closing)) {
            step_scan(request);
        }
        if (request->state != ANSWERED || !has_room) {
            break;
        }
        memcpy(client->out + client->out_size, request->text, request->size);
        client->out_size += request->size;
        remove_first(client);
    }
    return client->count < count;
}

/* ---- Clients ---- */

/* Away with it. Nobody waits for what it asked: writes that have not begun will not be done. */
static void
drop(struct client *client)
{
    close(client->fd);
    client->fd = -1;
    client->is_dirty = true;
    for (struct request *r = client->first; r != NULL; r = r->next) {
        if (r->state == AT_WORK) {
            (void)gyre_cancel(&r->op);
        }
    }
}

/* True: the socket took something. */
static bool
flush(struct client *client)
{
    if (client->out_size == 0) {
        return false;
    }
    const ssize_t sent = send(client->fd, client->out, client->out_size, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            drop(client);
        }
        return false;
    }
    client->out_size -= (size_t)sent;
    memmove(client->out, client->out + sent, client->out_size);
    return true;
}

static void
watch(struct client *client)
{
    const bool wants_input = !client->is_ended && client->in_size < LINE_SIZE_MAX;
    struct epoll_event event = {.data.ptr = client};

    event.events = (wants_input ? EPOLLIN : 0u) | (client->out_size > 0 ? EPOLLOUT : 0u);
    if (event.events != client->events) {
        client->events = event.events;
        if (epoll_ctl(client->server->epoll, EPOLL_CTL_MOD, client->fd, &event) != 0) {
            die("epoll_ctl");
        }
    }
}

/* Do all for a client that can be done without waiting: lines in, answers out, until none moves. */
static void
settle(struct client *client)
{
    bool has_moved = true;

    client->is_dirty = false;
    while (client->fd >= 0 && has_moved) {
        has_moved = false;
        while (take_line(client)) {
            has_moved = true;
        }
        has_moved |= take_answers(client);
        has_moved |= flush(client);
    }
    if (client->fd >= 0 && client->is_ended && client->count == 0 && client->out_size == 0) {
        drop(client);
    }
    if (client->fd >= 0) {
        watch(client);
        return;
    }
    client->is_dirty = false;
    while (client->first != NULL && client->first->state != AT_WORK) {
        remove_first(client);
    }
}

static void
on_client(struct client *client, uint32_t events)
{
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
        drop(client);
    } else if ((events & EPOLLIN) != 0 && !client->is_ended) {
        const ssize_t got =
            recv(client->fd, client->in + client->in_size, LINE_SIZE_MAX - client->in_size, 0);

        if (got > 0) {
            client->in_size += (size_t)got;
        } else if (got == 0) {
            client->is_ended = true; /* it may still read its answers */
        } else if (errno != EAGAIN && errno != EINTR) {
            drop(client);
        }
    }
    client->is_dirty = true;
}

static struct client *
free_client(struct server *server)
{
    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct client *client = &server->clients[i];

        if (client->fd < 0 && client->first == NULL) {
            return client;
        }
    }
    return NULL;
}

static void
on_listener(struct server *server)
{
    static const char busy[] = "ERR BUSY too many clients\n";
    const int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct client *client = free_client(server);

    if (fd < 0) {
        return; /* it went away again, or there are no descriptors: the next one may fare better */
    }
    if (client == NULL) {
        (void)send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL);
        close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    client->server = server;
    client->fd = fd;
    client->events = EPOLLIN;
    client->is_ended = false;
    client->in_size = 0;
    client->out_size = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        die("epoll_ctl");
    }
}

/* ---- The end ---- */

static void
begin_end(struct server *server)
{
    server->is_closing = true;
    close(server->listener);
    close(server->signals);
    for (int i = 0; i < CLIENTS_MAX; i++) {
        server->clients[i].is_ended = true;
        server->clients[i].in_size = 0;
        server->clients[i].is_dirty = true; /* scans end themselves */
    }
}

static void
on_closed(struct gyre_op *op)
{
    struct server *server = op->arg;

    /* Values that are answered and not yet called back for keep it open: again then. */
    server->close_submitted = op->status != GYRE_BUSY;
    server->is_closed = op->status != GYRE_BUSY;
    server->close_status = op->status;
    if (op->status != GYRE_OK && op->status != GYRE_BUSY) {
        fprintf(stderr, "close: %s\n", op->error.text);
    }
}

/* What is in flight is answered by the closing: OK if it came through, else CLOSED. */
static void
submit_close(struct server *server)
{
    server->close_op =
        GYRE_OP(.kind = GYRE_OP_CLOSE, .db = server->db, .done = on_closed, .arg = server);
    server->close_submitted = gyre_submit(&server->close_op) == GYRE_OK;
}

/* ---- The loop ---- */

static void
add(const struct server *server, int fd, const void *tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = (void *)(uintptr_t)tag};

    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void
dispatch(struct server *server, const struct epoll_event *event)
{
    if (event->data.ptr == &server->listener) {
        on_listener(server);
    } else if (event->data.ptr == &server->signals) {
        begin_end(server);
    } else if (event->data.ptr != &server->loop) { /* the loop has its turn in any case */
        on_client(event->data.ptr, event->events);
    }
}

static void
settle_all(struct server *server)
{
    for (int i = 0; i < CLIENTS_MAX; i++) {
        if (server->clients[i].is_dirty) {
            settle(&server->clients[i]);
        }
    }
}

static void
serve(struct server *server)
{
    struct epoll_event events[CLIENTS_MAX];

    while (!server->is_closed) {
        if (server->is_closing && !server->close_submitted && server->iterators == 0) {
            submit_close(server);
        }
        const int count = epoll_wait(server->epoll, events, CLIENTS_MAX, -1);

        for (int i = 0; i < count; i++) {
            dispatch(server, &events[i]);
        }
        settle_all(server); /* submits what came in */
        /* When work is left the descriptor is readable, and epoll_wait returns at once. */
        (void)gyre_loop_poll(server->loop, POLL_US);
        settle_all(server); /* sends what was answered */
    }
}

static int
listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
        bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, CLIENTS_MAX) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        die("listen");
    }
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void
start(struct server *server, int port)
{
    sigset_t ends;
    const int loop_fd = gyre_loop_fd(server->loop);

    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    server->signals = signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server->signals < 0 || server->epoll < 0 || loop_fd < 0) {
        die("epoll");
    }
    for (int i = 0; i < CLIENTS_MAX; i++) {
        server->clients[i].fd = -1;
        server->clients[i].server = server;
    }
    for (int i = 0; i < CLIENTS_MAX * PIPELINE_MAX; i++) {
        server->requests[i].next = server->free;
        server->free = &server->requests[i];
    }
    server->listener = listen_on(port);
    add(server, server->listener, &server->listener);
    add(server, server->signals, &server->signals);
    add(server, loop_fd, &server->loop);
}

int
main(int argc, char **argv)
{
    struct server *server = calloc(1, sizeof(*server));
    struct gyre_error error;

    if (server == NULL || argc < 2) {
        fprintf(stderr, "usage: epoll_server STORE [PORT [DEADLINE_MS]]\n");
        return 2;
    }
    server->deadline_ns = strtoull(argc > 3 ? argv[3] : "2000", NULL, 10) * 1000000u;
    if (gyre_loop_open(NULL, &server->loop, &error) != GYRE_OK) {
        fprintf(stderr, "loop: %s\n", error.text);
        return 1;
    }
    /* Before the loop turns there is nobody to keep waiting: the plain call will do. */
    if (gyre_open(server->loop, argv[1], GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE), &server->db) !=
        GYRE_OK) {
        fprintf(stderr, "open: %s\n", gyre_last_error(server->loop)->text);
        return 1;
    }
    start(server, argc > 2 ? atoi(argv[2]) : 0);
    serve(server);
    for (int i = 0; i < CLIENTS_MAX; i++) { /* each got what its socket takes; it reads an end */
        if (server->clients[i].fd >= 0) {
            close(server->clients[i].fd);
        }
    }
    const bool is_right =
        server->close_status == GYRE_OK && gyre_loop_close(server->loop) == GYRE_OK;
    free(server);
    return is_right ? 0 : 1;
}
