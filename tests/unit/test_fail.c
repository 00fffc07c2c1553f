/* test_fail.c - errors with text, statuses and their names, the failed check. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/base/fail.h"
#include "io/co/sched.h"

static uint64_t
stopped_clock(void *clock)
{
    (void)clock;
    return 1;
}

struct fixture {
    struct gy_heap heap;
    struct gy_sched sched;
};

static void
set_up(struct fixture *fixture)
{
    gy_heap_init(&fixture->heap, UINT64_MAX);
    assert_int_equal(gy_sched_init(&fixture->sched, &fixture->heap, 8, stopped_clock, NULL, NULL),
                     GYRE_OK);
}

static void
tear_down(struct fixture *fixture)
{
    gy_sched_fini(&fixture->sched);
    assert_true(fixture->heap.used == 0);
}

/* Goal:   the text says what, where and why, in this form; every part that is missing is left out.
 *         */
static void
fail_text_names_the_place(void **state)
{
    struct fixture fixture;
    const struct gyre_error *error;
    (void)state;

    set_up(&fixture);
    error = &fixture.sched.host_error;
    assert_int_equal(error->status, GYRE_OK);
    assert_string_equal(error->text, "");

    assert_int_equal(gy_fail(&fixture.sched, GYRE_INVALID, "key of %d bytes", 0), GYRE_INVALID);
    assert_int_equal(error->status, GYRE_INVALID);
    assert_string_equal(error->text, "key of 0 bytes");
    assert_string_equal(error->file, "");
    assert_true(error->offset == GY_NO_OFFSET && error->os_errno == 0);

    errno = EAGAIN;
    assert_int_equal(
        gy_fail_at(&fixture.sched, GYRE_IO, "000007.sst", 8192, ENOSPC, "block not written"),
        GYRE_IO);
    assert_int_equal(errno, EAGAIN);
    assert_string_equal(error->text,
                        "block not written (000007.sst at 8192: No space left on device)");
    assert_string_equal(error->file, "000007.sst");
    assert_true(error->offset == 8192 && error->os_errno == ENOSPC);

    (void)gy_fail_at(&fixture.sched, GYRE_IO, "LOCK", GY_NO_OFFSET, -EIO, "x");
    assert_string_equal(error->text, "x (LOCK: Input/output error)");
    assert_int_equal(error->os_errno, EIO);
    (void)gy_fail_at(&fixture.sched, GYRE_IO, NULL, 7, 0, "x");
    assert_string_equal(error->text, "x (at 7)");
    (void)gy_fail_at(&fixture.sched, GYRE_IO, NULL, GY_NO_OFFSET, EIO, "x");
    assert_string_equal(error->text, "x (Input/output error)");
    (void)gy_fail_at(&fixture.sched, GYRE_CORRUPT, "a", GY_NO_OFFSET, 0, "x");
    assert_string_equal(error->text, "x (a)");
    (void)gy_fail_at(&fixture.sched, GYRE_CORRUPT, NULL, GY_NO_OFFSET, 0, "x");
    assert_string_equal(error->text, "x");
    assert_int_equal(gy_fail(NULL, GYRE_CORRUPT, "nobody listens"), GYRE_CORRUPT);
    tear_down(&fixture);
}

/* Goal:   whatever is too long is cut inside its bounds, and the place survives a long message.
 * Method: every length of message and of file name around the bounds; strings stay terminated. */
static void
fail_cuts_what_is_too_long(void **state)
{
    struct fixture fixture;
    struct gyre_error *error;
    char name[400];
    (void)state;

    set_up(&fixture);
    error = &fixture.sched.host_error;
    memset(name, 'n', sizeof(name));
    for (unsigned size = 0; size < sizeof(name); size++) {
        name[size] = '\0';
        (void)gy_fail_at(&fixture.sched, GYRE_CORRUPT, name, 4096, EIO, "%s", name);
        assert_true(strnlen(error->file, sizeof(error->file)) == (size < 47 ? size : 47));
        assert_true(strnlen(error->text, sizeof(error->text)) < sizeof(error->text));
        assert_non_null(strstr(error->text, "at 4096: Input/output error)"));
        (void)gy_fail(&fixture.sched, GYRE_CORRUPT, "%s", name);
        assert_true(strnlen(error->text, sizeof(error->text)) == (size < 239 ? size : 239));
        name[size] = 'n';
    }
    tear_down(&fixture);
}

/* Goal:   the error that is replaced may be an argument of the new one. */
static void
fail_may_quote_the_error_it_replaces(void **state)
{
    struct fixture fixture;
    struct gyre_error *error;
    (void)state;

    set_up(&fixture);
    error = &fixture.sched.host_error;
    (void)gy_fail_at(&fixture.sched, GYRE_IO, "a.log", 1, 0, "inner");
    (void)gy_fail_at(&fixture.sched, GYRE_IO, error->file, 2, 0, "outer of %s", error->text);
    assert_string_equal(error->text, "outer of inner (a.log at 1) (a.log at 2)");
    tear_down(&fixture);
}

static void
fail_own(void *arg)
{
    struct gy_sched *sched = arg;
    struct gyre_error *error = gy_sched_error(sched);

    gy_in_coroutine();
    assert_int_equal(error->status, GYRE_OK); /* cleared at spawn, though the stack is used anew */
    assert_string_equal(error->text, "");
    (void)gy_fail(sched, GYRE_BUSY, "of %p", arg);
    gy_await_yield(sched);
    assert_ptr_equal(gy_sched_error(sched), error);
    assert_int_equal(error->status, GYRE_BUSY);
}

static void
fail_other(void *arg)
{
    gy_in_coroutine();
    (void)gy_fail(arg, GYRE_CLOSED, "other");
    gy_await_yield(arg);
    assert_int_equal(gy_sched_error(arg)->status, GYRE_CLOSED);
}

/* Goal:   each coroutine and the host have an error of their own, cleared at spawn.
 * Method: two coroutines fail in turn and look again after a switch; twice on the same stacks. */
static void
fail_fills_the_error_of_the_current_coroutine(void **state)
{
    struct fixture fixture;
    (void)state;

    set_up(&fixture);
    (void)gy_fail(&fixture.sched, GYRE_TIMED_OUT, "host");
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(
            gy_spawn(&fixture.sched, GY_CLASS_FOREGROUND, "own", fail_own, &fixture.sched, NULL),
            0);
        assert_int_equal(gy_spawn(&fixture.sched, GY_CLASS_FOREGROUND, "other", fail_other,
                                  &fixture.sched, NULL),
                         0);
        assert_false(gy_sched_run(&fixture.sched, 1, UINT64_MAX));
        assert_int_equal(fixture.sched.live_count, 0);
    }
    assert_int_equal(fixture.sched.host_error.status, GYRE_TIMED_OUT);
    assert_string_equal(fixture.sched.host_error.text, "host");
    tear_down(&fixture);
}

/* Goal:   each number has its name and text, a stranger has some; the numbers are an ABI. */
static void
status_has_name_and_text_for_every_number(void **state)
{
    (void)state;
#define X(name, number, meaning)                                         \
    assert_string_equal(gyre_status_name((gyre_status)(number)), #name); \
    assert_string_equal(gyre_status_text(GYRE_##name), meaning);
    GYRE_STATUS_LIST(X)
#undef X
    assert_int_equal(GYRE_OK, 0);
    assert_int_equal(GYRE_READ_ONLY, 14);
    assert_string_equal(gyre_status_name((gyre_status)1000), "UNKNOWN");
    assert_true(strlen(gyre_status_text((gyre_status)1000)) > 0);
    assert_string_equal(gyre_version(), GYRE_VERSION);
}

static void
status_of_errno_maps_what_callers_act_upon(void **state)
{
    (void)state;
    assert_int_equal(gy_status_of_errno(ENOSPC), GYRE_NO_SPACE);
    assert_int_equal(gy_status_of_errno(-EDQUOT), GYRE_NO_SPACE);
    assert_int_equal(gy_status_of_errno(ENOMEM), GYRE_NO_MEMORY);
    assert_int_equal(gy_status_of_errno(ENOENT), GYRE_NOT_FOUND);
    assert_int_equal(gy_status_of_errno(EACCES), GYRE_IO);
    assert_int_equal(gy_status_of_errno(EPERM), GYRE_IO);
    assert_int_equal(gy_status_of_errno(EROFS), GYRE_IO);
    assert_int_equal(gy_status_of_errno(EIO), GYRE_IO);
    assert_int_equal(gy_status_of_errno(0), GYRE_IO); /* never OK: something did fail */
    assert_int_equal(gy_first(GYRE_OK, GYRE_IO), GYRE_IO);
    assert_int_equal(gy_first(GYRE_CORRUPT, GYRE_IO), GYRE_CORRUPT);
}

/* Goal:   a failed check names expression, file and line on stderr and ends in SIGABRT.
 * Method: in a child whose stderr is a pipe. */
static void
assert_failed_prints_one_line_and_aborts(void **state)
{
    char expected[300];
    char line[300] = "";
    int pipe_ends[2];
    int child_status;
    pid_t child;
    (void)state;

    assert_int_equal(pipe(pipe_ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(pipe_ends[1], STDERR_FILENO);
        gy_assert_failed("cat == \"dead\"", "a/b.c", 1203);
    }
    assert_int_equal(waitpid(child, &child_status, 0), child);
    close(pipe_ends[1]);
    assert_true(read(pipe_ends[0], line, sizeof(line) - 1) > 0);
    close(pipe_ends[0]);
    assert_true(WIFSIGNALED(child_status) && WTERMSIG(child_status) == SIGABRT);
    snprintf(expected, sizeof(expected), "gyre: a/b.c:1203: failed check: cat == \"dead\"\n");
    assert_string_equal(line, expected);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_text_names_the_place),
        cmocka_unit_test(fail_cuts_what_is_too_long),
        cmocka_unit_test(fail_may_quote_the_error_it_replaces),
        cmocka_unit_test(fail_fills_the_error_of_the_current_coroutine),
        cmocka_unit_test(status_has_name_and_text_for_every_number),
        cmocka_unit_test(status_of_errno_maps_what_callers_act_upon),
        cmocka_unit_test(assert_failed_prints_one_line_and_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
