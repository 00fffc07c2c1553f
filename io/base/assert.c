/* assert.c - the end of the process after a bug of ours: the only place of the library that prints.
 *
 * The line is put together by hand and goes out in one system call: stdio may hold a lock or be
 * what broke, and a coroutine's stack may have little room left.
 */
#include "io/base/assert.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static struct iovec
piece(const char *text)
{
    return (struct iovec){.iov_base = (void *)(size_t)text, .iov_len = strlen(text)};
}

_Noreturn void
gy_assert_failed(const char *expression, const char *file, int line)
{
    char digits[12];
    char *digit = digits + sizeof(digits) - 1;
    unsigned left = line > 0 ? (unsigned)line : 0;

    *digit = '\0';
    do {
        *--digit = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);

    struct iovec line_pieces[] = {
        piece("gyre: "),           piece(file),       piece(":"), piece(digit),
        piece(": failed check: "), piece(expression), piece("\n")};
    /* Nothing is left to do when even this fails. */
    ssize_t written = writev(STDERR_FILENO, line_pieces, 7);

    (void)written;
    abort();
}
