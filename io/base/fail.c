/* fail.c - fills the error of the current coroutine (fail.h). */
#include "io/base/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "io/base/assert.h"

/* Room for " (<file> at <offset>: <text of errno>)"; the message is cut, the place never is. */
#define PLACE_SIZE 144u

/* The length of what snprintf has written: less than it wanted to write when it was cut. */
static size_t
written_size(int wanted, size_t room)
{
    if (wanted < 0) {
        return 0;
    }
    return (size_t)wanted < room ? (size_t)wanted : room - 1;
}

static size_t
format_place(char place[PLACE_SIZE], const struct gyre_error *error)
{
    const size_t room = PLACE_SIZE - 1; /* the closing bracket has a byte of its own */
    const bool has_file = error->file[0] != '\0';
    const bool has_offset = error->offset != GY_NO_OFFSET;
    size_t size;

    if (!has_file && !has_offset && error->os_errno == 0) {
        return 0;
    }
    size = written_size(snprintf(place, room, " (%s", error->file), room);
    if (has_offset) {
        size += written_size(snprintf(place + size, room - size, "%sat %llu", has_file ? " " : "",
                                      (unsigned long long)error->offset),
                             room - size);
    }
    if (error->os_errno != 0) {
        /* %m and not strerror, whose buffer belongs to all threads. */
        errno = error->os_errno;
        size += written_size(
            snprintf(place + size, room - size, "%s%m", has_file || has_offset ? ": " : ""),
            room - size);
    }
    place[size++] = ')';
    return size;
}

static void
fill(struct gyre_error *error, gyre_status status, const char *file, uint64_t offset, int os_errno,
     const char *format, va_list arguments)
{
    struct gyre_error fresh = {
        .status = status, .offset = offset, .os_errno = os_errno < 0 ? -os_errno : os_errno};
    const int errno_before = errno;
    char place[PLACE_SIZE] = "";
    size_t place_size;
    size_t text_size;

    if (file != NULL) {
        const int wanted = snprintf(fresh.file, sizeof(fresh.file), "%s", file);

        (void)wanted; /* a long name is cut */
    }
    place_size = format_place(place, &fresh);
    gy_assert(place_size < sizeof(place) && sizeof(place) < sizeof(fresh.text));

    /* Into a copy: an argument may be the text of the error that is about to be replaced. */
    text_size =
        written_size(vsnprintf(fresh.text, sizeof(fresh.text) - place_size, format, arguments),
                     sizeof(fresh.text) - place_size);
    memcpy(fresh.text + text_size, place, place_size);
    fresh.text[text_size + place_size] = '\0';
    *error = fresh;
    errno = errno_before;
}

gyre_status
gy_fail(struct gy_sched *sched, gyre_status status, const char *format, ...)
{
    va_list arguments;

    gy_assert(status != GYRE_OK);
    if (sched != NULL) {
        va_start(arguments, format);
        fill(gy_fail_slot(sched), status, NULL, GY_NO_OFFSET, 0, format, arguments);
        va_end(arguments);
    }
    return status;
}

gyre_status
gy_fail_at(struct gy_sched *sched, gyre_status status, const char *file, uint64_t offset,
           int os_errno, const char *format, ...)
{
    va_list arguments;

    gy_assert(status != GYRE_OK);
    if (sched != NULL) {
        va_start(arguments, format);
        fill(gy_fail_slot(sched), status, file, offset, os_errno, format, arguments);
        va_end(arguments);
    }
    return status;
}

gyre_status
gy_status_of_errno(int os_errno)
{
    switch (os_errno < 0 ? -os_errno : os_errno) {
    case ENOSPC:
    case EDQUOT:
        return GYRE_NO_SPACE;
    case ENOMEM:
        return GYRE_NO_MEMORY;
    case ENOENT:
        return GYRE_NOT_FOUND;
    default:
        return GYRE_IO;
    }
}
