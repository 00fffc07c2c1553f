/* blocking.c - a first program: plain calls, no word of loops or coroutines beyond opening one.
 *
 *     ./blocking [DIR]    makes DIR/blocking.gyre; without DIR, in a folder that is removed
 */
#include <gyre/gyre.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Say what failed; gyre_last_error has more to say than the status: which file, which errno. */
static int
fail(gyre_loop *loop, const char *what, gyre_status status)
{
    fprintf(stderr, "%s: %s: %s\n", what, gyre_status_name(status), gyre_last_error(loop)->text);
    return 1;
}

/* Put, get, overwrite, delete. Each call returns when it is done: a put is on the device then. */
static int
use_store(gyre_loop *loop, gyre_db *db)
{
    struct gyre_value value;
    gyre_status status = gyre_put(db, NULL, gyre_str("greeting"), gyre_str("hello"));

    if (status != GYRE_OK) {
        return fail(loop, "put", status);
    }
    status = gyre_get(db, NULL, gyre_str("greeting"), &value);
    if (status != GYRE_OK) {
        return fail(loop, "get", status);
    }
    printf("greeting = %.*s\n", (int)value.size, (const char *)value.data);
    const int is_right = value.size == 5 && memcmp(value.data, "hello", 5) == 0;
    gyre_value_release(&value); /* a value pins memory of the store until it is given back */

    status = gyre_delete(db, NULL, gyre_str("greeting"));
    if (status != GYRE_OK) {
        return fail(loop, "delete", status);
    }
    status = gyre_get(db, NULL, gyre_str("greeting"), &value);
    if (status != GYRE_NOT_FOUND) { /* an outcome like any other: no value, nothing to release */
        return fail(loop, "get after delete", status);
    }
    return is_right ? 0 : 1;
}

static int
run(const char *path)
{
    gyre_loop *loop;
    gyre_db *db;
    struct gyre_error error;
    int result = 1;
    gyre_status status = gyre_loop_open(NULL, &loop, &error);

    if (status != GYRE_OK) {
        fprintf(stderr, "loop: %s: %s\n", gyre_status_name(status), error.text);
        return 1;
    }
    status = gyre_open(loop, path, GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE), &db);
    if (status != GYRE_OK) {
        result = fail(loop, "open", status);
    } else {
        result = use_store(loop, db);
        status = gyre_close(db);
        if (status != GYRE_OK) {
            result = fail(loop, "close", status);
        }
    }
    status = gyre_loop_close(loop);
    return status == GYRE_OK ? result : 1;
}

/* Remove a store that was made in a folder of our own. */
static int
clean_up(const char *store, const char *folder)
{
    gyre_loop *loop;

    if (gyre_loop_open(NULL, &loop, NULL) != GYRE_OK) {
        return 1;
    }
    const gyre_status status = gyre_destroy(loop, store);
    if (status != GYRE_OK) {
        fail(loop, "destroy", status);
    }
    gyre_loop_close(loop);
    return status == GYRE_OK && rmdir(folder) == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
    char made[] = "/tmp/gyre-example-XXXXXX";
    const char *folder = argc > 1 ? argv[1] : mkdtemp(made);
    char store[512];

    if (folder == NULL || snprintf(store, sizeof(store), "%s/blocking.gyre", folder) >= 512) {
        perror("folder");
        return 1;
    }
    const int result = run(store);
    return argc > 1 ? result : result | clean_up(store, folder);
}
