/* iterate.c - scan the keys of a prefix in both directions, and read at one moment while others
 * write.
 *
 *     ./iterate [DIR]
 */
#include <gyre/gyre.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHECK(call)                                                           \
    do {                                                                      \
        const gyre_status status_ = (call);                                   \
        if (status_ != GYRE_OK) {                                             \
            fprintf(stderr, "%s: %s: %s\n", #call, gyre_status_name(status_), \
                    gyre_last_error(loop)->text);                             \
            return 1;                                                         \
        }                                                                     \
    } while (0)

static int
fill(gyre_loop *loop, gyre_db *db)
{
    static const char *const fruits[] = {"apple", "cherry", "fig", "mango", "plum"};
    char key[32];

    for (size_t i = 0; i < sizeof(fruits) / sizeof(fruits[0]); i++) {
        snprintf(key, sizeof(key), "fruit:%s", fruits[i]);
        CHECK(gyre_put(db, NULL, gyre_str(key), gyre_str("sweet")));
    }
    CHECK(gyre_put(db, NULL, gyre_str("fish:carp"), gyre_str("wet")));
    CHECK(gyre_put(db, NULL, gyre_str("fungus:morel"), gyre_str("rare")));
    return 0;
}

/* Key and value point into the iterator: copy what must outlive its next move. */
static int
count_keys(gyre_iterator *it, bool print)
{
    int count = 0;
    gyre_status status;

    for (status = gyre_iterator_first(it); status == GYRE_OK; status = gyre_iterator_next(it)) {
        const struct gyre_slice key = gyre_iterator_key(it);
        const struct gyre_slice value = gyre_iterator_value(it);

        if (print) {
            printf("%.*s = %.*s\n", (int)key.size, (const char *)key.data, (int)value.size,
                   (const char *)value.data);
        }
        count++;
    }
    return status == GYRE_NOT_FOUND ? count : -1; /* NOT_FOUND is the end, else an error */
}

static bool
is_at(gyre_iterator *it, const char *key)
{
    const struct gyre_slice at = gyre_iterator_key(it);

    return at.size == strlen(key) && memcmp(at.data, key, at.size) == 0;
}

static int
scan_prefix(gyre_loop *loop, gyre_db *db)
{
    gyre_iterator *it;

    CHECK(gyre_iterator_open(db, GYRE_ITERATOR_OPTIONS(.prefix = gyre_str("fruit:")), &it));
    bool right = count_keys(it, true) == 5;

    /* The last two, backwards; then the first key not before "fruit:d", and the last not behind. */
    right = right && gyre_iterator_last(it) == GYRE_OK && is_at(it, "fruit:plum");
    right = right && gyre_iterator_prev(it) == GYRE_OK && is_at(it, "fruit:mango");
    right = right && gyre_iterator_seek(it, gyre_str("fruit:d")) == GYRE_OK;
    right = right && is_at(it, "fruit:fig");
    right = right && gyre_iterator_seek_for_prev(it, gyre_str("fruit:d")) == GYRE_OK;
    right = right && is_at(it, "fruit:cherry");
    gyre_iterator_close(it);
    return right ? 0 : 1;
}

/* A snapshot is a moment: what is written after it is not seen through it. */
static int
read_at_one_moment(gyre_loop *loop, gyre_db *db)
{
    gyre_snapshot *snapshot;
    gyre_iterator *it;
    struct gyre_value value;

    CHECK(gyre_snapshot_open(db, &snapshot));
    CHECK(gyre_put(db, NULL, gyre_str("fruit:apple"), gyre_str("sour")));
    CHECK(gyre_delete(db, NULL, gyre_str("fruit:fig")));

    CHECK(gyre_get(db, GYRE_READ_OPTIONS(.snapshot = snapshot), gyre_str("fruit:apple"), &value));
    bool right = value.size == 5 && memcmp(value.data, "sweet", 5) == 0;
    gyre_value_release(&value);

    CHECK(gyre_iterator_open(
        db, GYRE_ITERATOR_OPTIONS(.prefix = gyre_str("fruit:"), .snapshot = snapshot), &it));
    right = right && count_keys(it, false) == 5;
    gyre_iterator_close(it);
    gyre_snapshot_release(snapshot); /* held ones keep old versions from being compacted away */

    /* lower <= key < upper, either may be left out */
    CHECK(gyre_iterator_open(
        db, GYRE_ITERATOR_OPTIONS(.lower = gyre_str("fruit:b"), .upper = gyre_str("fruit:n")),
        &it));
    right = right && count_keys(it, false) == 2;
    gyre_iterator_close(it);
    return right ? 0 : 1;
}

static int
run(gyre_loop *loop, const char *store)
{
    gyre_db *db;
    int result;

    CHECK(gyre_open(loop, store, GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE), &db));
    result = fill(loop, db);
    result |= scan_prefix(loop, db);
    result |= read_at_one_moment(loop, db);
    CHECK(gyre_close(db));
    return result;
}

int
main(int argc, char **argv)
{
    char made[] = "/tmp/gyre-example-XXXXXX";
    const char *folder = argc > 1 ? argv[1] : mkdtemp(made);
    gyre_loop *loop;
    char store[512];

    if (folder == NULL || snprintf(store, sizeof(store), "%s/iterate.gyre", folder) >= 512) {
        perror("folder");
        return 1;
    }
    if (gyre_loop_open(NULL, &loop, NULL) != GYRE_OK) {
        return 1;
    }
    int result = run(loop, store);
    if (argc <= 1 && gyre_destroy(loop, store) == GYRE_OK) {
        result |= rmdir(folder) != 0;
    }
    return gyre_loop_close(loop) == GYRE_OK ? result : 1;
}
