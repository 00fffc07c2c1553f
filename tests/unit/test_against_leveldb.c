/* test_against_leveldb.c - the same operations on Gyre and on Debian's LevelDB, on a real file
 * system, with one answer: puts, deletes, batches, point reads, scans both ways, seeks, snapshots
 * and iterators that live through writes, flushes, compactions and reopening.
 *
 *   DIFF_OPS=1000000 DIFF_SEED=1 test_against_leveldb      the long form; 40,000 by default
 *
 * Skipped (77) where libleveldb-dev is not installed.
 */
#include <stdio.h>

#if __has_include(<leveldb/c.h>)

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <leveldb/c.h>

#include "gyre/gyre.h"
#include "io/base/rng.h"
#include "tests/support/scratch.h"

#define KEYS 3000u
#define KEY_SIZE_MAX 64u
#define VALUE_SIZE_MAX 9000u
#define BATCH_MAX 40u
#define SNAPSHOTS 4u
#define STEPS_MAX 12u

struct pair_snapshot {
    gyre_snapshot *ours;
    const leveldb_snapshot_t *theirs;
};

/* Both stores, with what is open on them. */
struct pair {
    char path[SCRATCH_PATH_MAX];
    struct gy_rng rng;
    uint64_t seed;
    uint64_t op; /* number of the present operation */
    uint64_t reopened;
    gyre_loop *loop;
    gyre_db *ours;
    leveldb_t *theirs;
    leveldb_options_t *options;
    leveldb_writeoptions_t *write;
    leveldb_readoptions_t *read;
    struct pair_snapshot snapshots[SNAPSHOTS];
    gyre_iterator *our_walk;
    leveldb_iterator_t *their_walk;
    uint8_t value[VALUE_SIZE_MAX];
};

static _Noreturn void
differ(const struct pair *pair, const char *what)
{
    (void)fprintf(stderr, "seed %llu, operation %llu: %s\n", (unsigned long long)pair->seed,
                  (unsigned long long)pair->op, what);
    exit(1);
}

static void
must_ok(const struct pair *pair, gyre_status status, const char *what)
{
    if (status != GYRE_OK) {
        (void)fprintf(stderr, "%s\n", gyre_last_error(pair->loop)->text);
        differ(pair, what);
    }
}

static void
must_not(const struct pair *pair, char *error, const char *what)
{
    if (error != NULL) {
        (void)fprintf(stderr, "LevelDB: %s\n", error);
        differ(pair, what);
    }
}

/* ---- Keys and values ---- */

/* Some keys are the beginning of others, some hold zeros and high bytes. */
static struct gyre_slice
key_of(uint64_t number, uint8_t target[KEY_SIZE_MAX])
{
    int size = snprintf((char *)target, KEY_SIZE_MAX, "%04u", (unsigned)(number / 3));

    if (number % 3 == 1) {
        target[size++] = '\0';
    }
    if (number % 3 == 2) {
        size += snprintf((char *)target + size, KEY_SIZE_MAX - (size_t)size, "\xff-%0*u",
                         (int)(number % 23), (unsigned)number);
    }
    return gyre_slice(target, (size_t)size);
}

static struct gyre_slice
draw_key(struct pair *pair, uint8_t target[KEY_SIZE_MAX])
{
    const uint64_t hot = gy_rng_below(&pair->rng, 3) == 0 ? 16 : KEYS;

    return key_of(gy_rng_below(&pair->rng, hot) * (KEYS / hot), target);
}

static struct gyre_slice
draw_value(struct pair *pair)
{
    static const uint32_t sizes[] = {0, 1, 10, 100, 100, 100, 300, 1000, 4096, 8192};
    const uint32_t size = sizes[gy_rng_below(&pair->rng, sizeof(sizes) / sizeof(sizes[0]))];
    const uint64_t id = gy_rng_next(&pair->rng);

    for (uint32_t i = 0; i < size; i++) {
        pair->value[i] = (uint8_t)(id >> i % 7 * 8);
    }
    return gyre_slice(pair->value, size);
}

static bool
same(struct gyre_slice ours, const char *theirs, size_t size)
{
    return ours.size == size && (size == 0 || memcmp(ours.data, theirs, size) == 0);
}

/* ---- Open and close ---- */

static void
open_both(struct pair *pair)
{
    struct gyre_options options = {.struct_size = sizeof(options), .flags = GYRE_OPEN_CREATE};
    char name[SCRATCH_PATH_MAX + 8];
    char *error = NULL;

    options.durability = GYRE_BUFFERED;
    options.memtable_size = (64 + gy_rng_below(&pair->rng, 400)) * 1024;
    options.block_size = gy_rng_below(&pair->rng, 2) == 0 ? 4096 : 16384;
    options.compression = (uint32_t)gy_rng_below(&pair->rng, 3);
    options.paranoid = gy_rng_below(&pair->rng, 4) == 0;
    (void)snprintf(name, sizeof(name), "%s/ours", pair->path);
    must_ok(pair, gyre_open(pair->loop, name, &options, &pair->ours), "open");
    (void)snprintf(name, sizeof(name), "%s/theirs", pair->path);
    leveldb_options_set_write_buffer_size(pair->options, options.memtable_size);
    pair->theirs = leveldb_open(pair->options, name, &error);
    must_not(pair, error, "open");
}

static void
end_walk(struct pair *pair)
{
    if (pair->our_walk != NULL) {
        gyre_iterator_close(pair->our_walk);
        leveldb_iter_destroy(pair->their_walk);
        pair->our_walk = NULL;
    }
}

static void
end_snapshot(struct pair *pair, struct pair_snapshot *snapshot)
{
    if (snapshot->ours != NULL) {
        gyre_snapshot_release(snapshot->ours);
        leveldb_release_snapshot(pair->theirs, snapshot->theirs);
        snapshot->ours = NULL;
    }
}

static void
close_both(struct pair *pair)
{
    end_walk(pair);
    for (uint32_t i = 0; i < SNAPSHOTS; i++) {
        end_snapshot(pair, &pair->snapshots[i]);
    }
    must_ok(pair, gyre_close(pair->ours), "close");
    leveldb_close(pair->theirs);
}

/* ---- Writes ---- */

static void
do_put(struct pair *pair)
{
    uint8_t bytes[KEY_SIZE_MAX];
    const struct gyre_slice key = draw_key(pair, bytes);
    const struct gyre_slice value = draw_value(pair);
    char *error = NULL;

    must_ok(pair, gyre_put(pair->ours, NULL, key, value), "put");
    leveldb_put(pair->theirs, pair->write, key.data, key.size, value.data, value.size, &error);
    must_not(pair, error, "put");
}

static void
do_delete(struct pair *pair)
{
    uint8_t bytes[KEY_SIZE_MAX];
    const struct gyre_slice key = draw_key(pair, bytes);
    char *error = NULL;

    must_ok(pair, gyre_delete(pair->ours, NULL, key), "delete");
    leveldb_delete(pair->theirs, pair->write, key.data, key.size, &error);
    must_not(pair, error, "delete");
}

static void
do_batch(struct pair *pair)
{
    const uint64_t count = 1 + gy_rng_below(&pair->rng, BATCH_MAX);
    gyre_batch *ours = gyre_batch_make();
    leveldb_writebatch_t *theirs = leveldb_writebatch_create();
    char *error = NULL;

    for (uint64_t i = 0; i < count; i++) {
        uint8_t bytes[KEY_SIZE_MAX];
        const struct gyre_slice key = draw_key(pair, bytes);

        if (gy_rng_below(&pair->rng, 3) == 0) {
            must_ok(pair, gyre_batch_delete(ours, key), "batch");
            leveldb_writebatch_delete(theirs, key.data, key.size);
        } else {
            const struct gyre_slice value = draw_value(pair);

            must_ok(pair, gyre_batch_put(ours, key, value), "batch");
            leveldb_writebatch_put(theirs, key.data, key.size, value.data, value.size);
        }
    }
    must_ok(pair, gyre_write(pair->ours, NULL, ours), "write");
    leveldb_write(pair->theirs, pair->write, theirs, &error);
    must_not(pair, error, "write");
    gyre_batch_free(ours);
    leveldb_writebatch_destroy(theirs);
}

static void
do_maintain(struct pair *pair)
{
    switch (gy_rng_below(&pair->rng, 3)) {
    case 0:
        must_ok(pair, gyre_flush(pair->ours), "flush");
        break;
    case 1:
        must_ok(
            pair,
            gyre_compact_range(pair->ours, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL),
            "compact");
        leveldb_compact_range(pair->theirs, NULL, 0, NULL, 0);
        break;
    default:
        close_both(pair);
        open_both(pair);
        pair->reopened++;
        break;
    }
}

/* ---- Reads ---- */

/* A snapshot that is open, or none. */
static const struct pair_snapshot *
draw_snapshot(struct pair *pair)
{
    static const struct pair_snapshot none = {NULL, NULL};
    const uint64_t at = gy_rng_below(&pair->rng, 2 * SNAPSHOTS);

    return at < SNAPSHOTS && pair->snapshots[at].ours != NULL ? &pair->snapshots[at] : &none;
}

static void
do_get(struct pair *pair)
{
    uint8_t bytes[KEY_SIZE_MAX];
    const struct gyre_slice key = draw_key(pair, bytes);
    const struct pair_snapshot *snapshot = draw_snapshot(pair);
    struct gyre_value value;
    size_t size = 0;
    char *error = NULL;
    char *theirs;
    const gyre_status status =
        gyre_get(pair->ours, GYRE_READ_OPTIONS(.snapshot = snapshot->ours), key, &value);

    leveldb_readoptions_set_snapshot(pair->read, snapshot->theirs);
    theirs = leveldb_get(pair->theirs, pair->read, key.data, key.size, &size, &error);
    must_not(pair, error, "get");
    if (status == GYRE_NOT_FOUND) {
        if (theirs != NULL) {
            differ(pair, "get: a key is missing");
        }
        return;
    }
    must_ok(pair, status, "get");
    if (theirs == NULL || !same(gyre_slice(value.data, value.size), theirs, size)) {
        differ(pair, "get: another value");
    }
    gyre_value_release(&value);
    leveldb_free(theirs);
}

/* Both stand on the same entry, or on none. */
static void
compare_walk(struct pair *pair, gyre_status status, gyre_iterator *ours,
             const leveldb_iterator_t *theirs)
{
    size_t size = 0;

    if (status != GYRE_NOT_FOUND) {
        must_ok(pair, status, "a move of an iterator");
    }
    if (gyre_iterator_is_valid(ours) != (leveldb_iter_valid(theirs) != 0)) {
        differ(pair, "iterator: one is at an end");
    }
    if (!gyre_iterator_is_valid(ours)) {
        return;
    }
    const char *key = leveldb_iter_key(theirs, &size);

    if (!same(gyre_iterator_key(ours), key, size)) {
        differ(pair, "iterator: another key");
    }
    const char *value = leveldb_iter_value(theirs, &size);

    if (!same(gyre_iterator_value(ours), value, size)) {
        differ(pair, "iterator: another value");
    }
}

static void
place_walk(struct pair *pair, gyre_iterator *ours, leveldb_iterator_t *theirs)
{
    uint8_t bytes[KEY_SIZE_MAX];
    const struct gyre_slice key = draw_key(pair, bytes);
    gyre_status status;

    switch (gy_rng_below(&pair->rng, 6)) {
    case 0:
        status = gyre_iterator_first(ours);
        leveldb_iter_seek_to_first(theirs);
        break;
    case 1:
        status = gyre_iterator_last(ours);
        leveldb_iter_seek_to_last(theirs);
        break;
    default:
        status = gyre_iterator_seek(ours, key);
        leveldb_iter_seek(theirs, key.data, key.size);
        break;
    }
    compare_walk(pair, status, ours, theirs);
}

static void
step_walk(struct pair *pair, gyre_iterator *ours, leveldb_iterator_t *theirs)
{
    const uint64_t steps = 1 + gy_rng_below(&pair->rng, STEPS_MAX);
    const bool forward = gy_rng_below(&pair->rng, 2) == 0;

    for (uint64_t i = 0; i < steps && gyre_iterator_is_valid(ours); i++) {
        gyre_status status;

        if (forward) {
            status = gyre_iterator_next(ours);
            leveldb_iter_next(theirs);
        } else {
            status = gyre_iterator_prev(ours);
            leveldb_iter_prev(theirs);
        }
        compare_walk(pair, status, ours, theirs);
    }
}

/* The walk that lives through writes: opened, moved, given up in its turn. */
static void
do_walk(struct pair *pair)
{
    if (pair->our_walk != NULL && gy_rng_below(&pair->rng, 20) == 0) {
        end_walk(pair);
    }
    if (pair->our_walk == NULL) {
        const struct pair_snapshot *snapshot = draw_snapshot(pair);

        must_ok(pair,
                gyre_iterator_open(pair->ours, GYRE_ITERATOR_OPTIONS(.snapshot = snapshot->ours),
                                   &pair->our_walk),
                "iterator");
        leveldb_readoptions_set_snapshot(pair->read, snapshot->theirs);
        pair->their_walk = leveldb_create_iterator(pair->theirs, pair->read);
    }
    if (!gyre_iterator_is_valid(pair->our_walk) || gy_rng_below(&pair->rng, 4) == 0) {
        place_walk(pair, pair->our_walk, pair->their_walk);
    }
    step_walk(pair, pair->our_walk, pair->their_walk);
}

/* All of it, from one end to the other. */
static void
do_scan(struct pair *pair, bool forward)
{
    gyre_iterator *ours = NULL;
    leveldb_iterator_t *theirs;
    gyre_status status;

    must_ok(pair, gyre_iterator_open(pair->ours, NULL, &ours), "iterator");
    leveldb_readoptions_set_snapshot(pair->read, NULL);
    theirs = leveldb_create_iterator(pair->theirs, pair->read);
    if (forward) {
        leveldb_iter_seek_to_first(theirs);
    } else {
        leveldb_iter_seek_to_last(theirs);
    }
    status = forward ? gyre_iterator_first(ours) : gyre_iterator_last(ours);
    for (;;) {
        compare_walk(pair, status, ours, theirs);
        if (status != GYRE_OK) {
            break;
        }
        if (forward) {
            leveldb_iter_next(theirs);
        } else {
            leveldb_iter_prev(theirs);
        }
        status = forward ? gyre_iterator_next(ours) : gyre_iterator_prev(ours);
    }
    gyre_iterator_close(ours);
    leveldb_iter_destroy(theirs);
}

static void
do_snapshot(struct pair *pair)
{
    struct pair_snapshot *snapshot = &pair->snapshots[gy_rng_below(&pair->rng, SNAPSHOTS)];

    end_snapshot(pair, snapshot);
    must_ok(pair, gyre_snapshot_open(pair->ours, &snapshot->ours), "snapshot");
    snapshot->theirs = leveldb_create_snapshot(pair->theirs);
}

static void
do_one(struct pair *pair)
{
    const uint64_t kind = gy_rng_below(&pair->rng, 4000);

    if (kind < 1500) {
        do_put(pair);
    } else if (kind < 1900) {
        do_delete(pair);
    } else if (kind < 2000) {
        do_batch(pair);
    } else if (kind < 3200) {
        do_get(pair);
    } else if (kind < 3985) {
        do_walk(pair);
    } else if (kind < 3996) {
        do_snapshot(pair);
    } else if (kind < 3998) {
        do_maintain(pair);
    } else {
        do_scan(pair, kind == 3998);
    }
}

int
main(void)
{
    const char *ops = getenv("DIFF_OPS");
    const char *seed = getenv("DIFF_SEED");
    struct pair *pair = calloc(1, sizeof(*pair));
    const uint64_t count = ops != NULL ? strtoull(ops, NULL, 10) : 40000;
    struct gyre_error error;

    if (pair == NULL) {
        return 1;
    }
    pair->seed = seed != NULL ? strtoull(seed, NULL, 10) : 1;
    gy_rng_init(&pair->rng, pair->seed);
    scratch_make(pair->path);
    if (gyre_loop_open(GYRE_LOOP_OPTIONS(.memory_limit = 64u << 20), &pair->loop, &error) !=
        GYRE_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    pair->options = leveldb_options_create();
    pair->write = leveldb_writeoptions_create();
    pair->read = leveldb_readoptions_create();
    leveldb_options_set_create_if_missing(pair->options, 1);
    open_both(pair);
    for (pair->op = 1; pair->op <= count; pair->op++) {
        do_one(pair);
    }
    do_scan(pair, true);
    do_scan(pair, false);
    close_both(pair);
    (void)printf("%llu operations, %llu times reopened, seed %llu: 0 differences from LevelDB\n",
                 (unsigned long long)count, (unsigned long long)pair->reopened,
                 (unsigned long long)pair->seed);
    leveldb_options_destroy(pair->options);
    leveldb_writeoptions_destroy(pair->write);
    leveldb_readoptions_destroy(pair->read);
    if (gyre_loop_close(pair->loop) != GYRE_OK) {
        return 1;
    }
    scratch_remove(pair->path);
    free(pair);
    return 0;
}

#else

int
main(void)
{
    (void)fprintf(stderr, "SKIPPED: libleveldb-dev is not installed, nothing to compare with\n");
    return 77;
}

#endif
