/* main.c - the first thing that a C program does with an installed Gyre: a store in the working
 * folder, one key. `--version` prints the version. */
#include <gyre/gyre.h>
#include <stdio.h>
#include <string.h>

static int
fail(const char *what, gyre_status status)
{
    fprintf(stderr, "%s: %s\n", what, gyre_status_name(status));
    return 1;
}

static int
use_store(gyre_db *db)
{
    struct gyre_value value;
    gyre_status status = gyre_put(db, NULL, gyre_str("greeting"), gyre_str("hello"));

    if (status != GYRE_OK) {
        return fail("put", status);
    }
    status = gyre_get(db, NULL, gyre_str("greeting"), &value);
    if (status != GYRE_OK) {
        return fail("get", status);
    }
    const int same = value.size == 5 && memcmp(value.data, "hello", 5) == 0;
    gyre_value_release(&value);
    return same ? 0 : fail("another value", status);
}

int
main(int argc, char **argv)
{
    gyre_loop *loop;
    gyre_db *db;
    struct gyre_error error;
    gyre_status status;

    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        puts(gyre_version());
        return 0;
    }
    if (strcmp(gyre_version(), GYRE_VERSION) != 0) {
        fprintf(stderr, "header %s, library %s\n", GYRE_VERSION, gyre_version());
        return 1;
    }
    status = gyre_loop_open(NULL, &loop, &error);
    if (status != GYRE_OK) {
        return fail(error.text, status);
    }
    status = gyre_open(loop, "c.gyre", GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE), &db);
    if (status != GYRE_OK) {
        return fail(gyre_last_error(loop)->text, status);
    }
    const int result = use_store(db);
    status = gyre_close(db);
    if (status != GYRE_OK) {
        return fail("close", status);
    }
    status = gyre_loop_close(loop);
    return status == GYRE_OK ? result : fail("loop_close", status);
}
