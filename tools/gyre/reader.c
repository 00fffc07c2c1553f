/* reader.c - lines of a file or pipe, of any length up to a limit, with any bytes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/gyre/input.h"

#define CHUNK_SIZE (256u << 10)
/* The longest line that can be right: the largest value, each byte as \hh, and its key. */
#define LINE_SIZE_MAX (3u * GYRE_VALUE_SIZE_MAX + 4u * GYRE_KEY_SIZE_MAX)
#define IDLE_MS 100 /* a pipe that is silent for so long is worth a commit of what came */

int
cli_reader_open(const struct cli *cli, struct cli_reader *reader, const char *path)
{
    struct stat info;

    *reader = (struct cli_reader){.fd = STDIN_FILENO, .signal_fd = -1};
    if (path != NULL && strcmp(path, "-") != 0) {
        reader->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (reader->fd < 0) {
            struct cli plain = *cli;

            plain.store = path;
            (void)cli_fail(&plain, "cannot read it: %s", strerror(errno));
            return CLI_BAD_INPUT;
        }
    }
    if (fstat(reader->fd, &info) == 0 && S_ISREG(info.st_mode)) {
        reader->total = (uint64_t)info.st_size;
        (void)posix_fadvise(reader->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    return CLI_GO_ON;
}

void
cli_reader_close(struct cli_reader *reader)
{
    if (reader->fd > STDIN_FILENO) {
        (void)close(reader->fd);
    }
    cli_bytes_free(&reader->buffer);
}

/* Wait until the descriptor has something or a signal came. */
static enum cli_next
wait_for_input(struct cli_reader *reader)
{
    struct pollfd polled[2] = {{.fd = reader->fd, .events = POLLIN},
                               {.fd = reader->signal_fd, .events = POLLIN}};
    bool was_idle = false;

    for (;;) {
        const int n = poll(polled, 2, was_idle ? -1 : IDLE_MS);

        if (cli_signal_taken() != 0) {
            return CLI_NEXT_STOPPED;
        }
        if (n > 0 && polled[0].revents != 0) {
            return CLI_NEXT_ITEM;
        }
        if (n == 0 && !was_idle) {
            was_idle = true;
            if (reader->idle != NULL && !reader->idle(reader->idle_arg)) {
                return CLI_NEXT_STOPPED;
            }
        }
    }
}

static enum cli_next
read_more(struct cli_reader *reader)
{
    const enum cli_next next = wait_for_input(reader);

    if (next != CLI_NEXT_ITEM) {
        return next;
    }
    if (reader->begin > 0) { /* the rest of a line moves to the front */
        reader->buffer.size -= reader->begin;
        memmove(reader->buffer.data, reader->buffer.data + reader->begin, reader->buffer.size);
        reader->begin = 0;
    }
    cli_bytes_reserve(&reader->buffer, CHUNK_SIZE);
    for (;;) {
        const ssize_t n = read(reader->fd, reader->buffer.data + reader->buffer.size, CHUNK_SIZE);

        if (n > 0) {
            reader->buffer.size += (size_t)n;
            return CLI_NEXT_ITEM;
        }
        if (n == 0) {
            reader->is_end = true;
            return CLI_NEXT_ITEM;
        }
        if (errno != EINTR) {
            (void)snprintf(reader->message, sizeof(reader->message), "cannot be read: %s",
                           strerror(errno));
            return CLI_NEXT_FATAL;
        }
    }
}

enum cli_next
cli_reader_line(struct cli_reader *reader, struct gyre_slice *ret_line)
{
    for (;;) {
        const size_t left = reader->buffer.size - reader->begin;
        const uint8_t *begin = left > 0 ? reader->buffer.data + reader->begin : NULL;
        const uint8_t *newline = NULL;

        if (left > reader->searched) {
            newline = memchr(begin + reader->searched, '\n', left - reader->searched);
        }
        if (newline != NULL || (reader->is_end && left > 0)) {
            const size_t size = newline != NULL ? (size_t)(newline - begin) : left;
            const size_t used = newline != NULL ? size + 1 : size;

            *ret_line = gyre_slice(begin, size);
            reader->begin += used;
            reader->consumed += used;
            reader->searched = 0;
            reader->line++;
            return CLI_NEXT_ITEM;
        }
        if (reader->is_end) {
            return CLI_NEXT_END;
        }
        reader->searched = left;
        if (left > LINE_SIZE_MAX) {
            (void)snprintf(reader->message, sizeof(reader->message),
                           "line %llu is longer than any key or value can be (%u bytes)",
                           (unsigned long long)reader->line + 1, LINE_SIZE_MAX);
            return CLI_NEXT_FATAL;
        }
        const enum cli_next next = read_more(reader);
        if (next != CLI_NEXT_ITEM) {
            return next;
        }
    }
}
