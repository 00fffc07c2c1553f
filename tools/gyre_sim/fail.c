/* fail.c - see fail.h. */
#include "tools/gyre_sim/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX 8u

uint64_t check_counts[CHECK_STATE_COUNT];
static char places[DEPTH_MAX][200];

void
fail_set_place(uint32_t depth, const char *format, ...)
{
    va_list arguments;

    if (depth >= DEPTH_MAX) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(places[depth], sizeof(places[depth]), format, arguments);
    va_end(arguments);
    for (uint32_t i = depth + 1; i < DEPTH_MAX; i++) {
        places[i][0] = '\0';
    }
}

/* Written in one piece: several workers may fail at a time. */
_Noreturn void
fail_now(const char *format, ...)
{
    char text[2048] = "";
    size_t used = 0;
    va_list arguments;

    for (uint32_t i = 0; i < DEPTH_MAX; i++) {
        if (places[i][0] != '\0') {
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%*s%s\n", (int)i * 2, "",
                                     places[i]);
        }
    }
    va_start(arguments, format);
    used += (size_t)vsnprintf(text + used, sizeof(text) - used, format, arguments);
    va_end(arguments);
    if (used > sizeof(text) - 2) {
        used = sizeof(text) - 2;
    }
    text[used] = '\n';
    (void)!write(STDERR_FILENO, text, used + 1);
    _exit(FAIL_EXIT_CODE); /* from any stack; leaks do not matter any more */
}

_Noreturn void
fail_status(gyre_loop *loop, gyre_status status, const char *what)
{
    const struct gyre_error *error = gyre_last_error(loop);

    fail_now("%s: %s: %s [file '%s', offset %lld, errno %d]", what, gyre_status_name(status),
             error->text, error->file, (long long)error->offset, (int)error->os_errno);
}

const char *
fail_state_name(uint32_t state)
{
    static const char *const names[] = {
#define X(name) #name,
        CHECK_STATES(X) GY_STATES(X)
#undef X
    };

    return names[state];
}

uint64_t
fail_state_count(uint32_t state)
{
    return state < CHECK_STATE_COUNT ? check_counts[state]
                                     : gy_state_counts[state - CHECK_STATE_COUNT];
}
