/* bulk.c - many writes fast: batches that are applied whole, answers before the device has them,
 * and one sync at the end.
 *
 *     ./bulk [DIR]
 *
 * A BUFFERED write is answered after a memcpy. It survives the death of the process at once; a
 * power cut can lose the last moments, never leave a hole, until gyre_sync has returned.
 */
#include <gyre/gyre.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ACCOUNTS 10000
#define PER_BATCH 100

static int
fail(gyre_loop *loop, const char *what, gyre_status status)
{
    fprintf(stderr, "%s: %s: %s\n", what, gyre_status_name(status), gyre_last_error(loop)->text);
    return 1;
}

static gyre_status
load(gyre_db *db, gyre_batch *batch)
{
    gyre_status status = GYRE_OK;
    char key[32], value[32];

    for (int i = 0; i < ACCOUNTS && status == GYRE_OK; i++) {
        snprintf(key, sizeof(key), "account:%08d", i);
        snprintf(value, sizeof(value), "%d", i % 1000);
        status = gyre_batch_put(batch, gyre_str(key), gyre_str(value)); /* copies both */
        if (status == GYRE_OK && gyre_batch_count(batch) == PER_BATCH) {
            status = gyre_write(db, NULL, batch); /* all of it or nothing, whatever happens */
            gyre_batch_clear(batch);              /* keeps its memory for the next */
        }
    }
    return status;
}

/* Move an account: after a crash it is under the one name or the other, never both or neither. This
 * write alone waits for the device. */
static gyre_status
rename_account(gyre_db *db, gyre_batch *batch)
{
    gyre_status status;

    gyre_batch_clear(batch);
    status = gyre_batch_delete(batch, gyre_str("account:00000007"));
    if (status == GYRE_OK) {
        status = gyre_batch_put(batch, gyre_str("closed:00000007"), gyre_str("7"));
    }
    if (status == GYRE_OK) {
        status = gyre_write(db, GYRE_WRITE_OPTIONS(.durability = GYRE_DURABLE), batch);
    }
    return status;
}

static bool
holds(gyre_db *db, const char *key, const char *expected)
{
    char value[32];
    size_t size;
    const gyre_status status = gyre_get_copy(db, NULL, gyre_str(key), value, sizeof(value), &size);

    if (expected == NULL) {
        return status == GYRE_NOT_FOUND;
    }
    return status == GYRE_OK && size == strlen(expected) && memcmp(value, expected, size) == 0;
}

static int
check(gyre_loop *loop, gyre_db *db)
{
    gyre_iterator *it;
    int count = 0;
    gyre_status status =
        gyre_iterator_open(db, GYRE_ITERATOR_OPTIONS(.prefix = gyre_str("account:")), &it);

    if (status != GYRE_OK) {
        return fail(loop, "iterator", status);
    }
    for (status = gyre_iterator_first(it); status == GYRE_OK; status = gyre_iterator_next(it)) {
        count++;
    }
    gyre_iterator_close(it);
    printf("%d accounts\n", count);
    return status == GYRE_NOT_FOUND && count == ACCOUNTS - 1 &&
                   holds(db, "account:00001234", "234") && holds(db, "account:00000007", NULL) &&
                   holds(db, "closed:00000007", "7")
               ? 0
               : 1;
}

/* Open the store, perhaps fill it, check it, close it. */
static int
run(gyre_loop *loop, const char *store, bool fill)
{
    gyre_batch *batch = gyre_batch_make(); /* belongs to no loop and no store */
    gyre_db *db;
    int result = 0;
    gyre_status status = gyre_open(
        loop, store, GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE, .durability = GYRE_BUFFERED), &db);

    if (batch == NULL || status != GYRE_OK) {
        gyre_batch_free(batch);
        return fail(loop, "open", status);
    }
    if (fill) {
        status = load(db, batch);
        if (status == GYRE_OK) {
            status = gyre_sync(db); /* from here on a power cut loses nothing of it */
        }
        if (status == GYRE_OK) {
            status = rename_account(db, batch);
        }
        if (status != GYRE_OK) {
            result = fail(loop, "load", status);
        }
    }
    if (result == 0) {
        result = check(loop, db);
    }
    gyre_batch_free(batch);
    status = gyre_close(db);
    return status == GYRE_OK ? result : fail(loop, "close", status);
}

int
main(int argc, char **argv)
{
    char made[] = "/tmp/gyre-example-XXXXXX";
    const char *folder = argc > 1 ? argv[1] : mkdtemp(made);
    gyre_loop *loop;
    char store[512];

    if (folder == NULL || snprintf(store, sizeof(store), "%s/bulk.gyre", folder) >= 512) {
        perror("folder");
        return 1;
    }
    if (gyre_loop_open(NULL, &loop, NULL) != GYRE_OK) {
        return 1;
    }
    int result = run(loop, store, true);
    result |= run(loop, store, false); /* all of it is still there after closing and opening */
    if (argc <= 1 && gyre_destroy(loop, store) == GYRE_OK) {
        result |= rmdir(folder) != 0;
    }
    return gyre_loop_close(loop) == GYRE_OK ? result : 1;
}
