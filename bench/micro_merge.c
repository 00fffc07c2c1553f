/* micro_merge.c - entries per second of a merge over memtables, the in-memory part of scans and
 * compaction.
 *
 *     micro_merge [children] [entries of each]      default 4 and 250000
 *
 * Keys of 16 bytes, values of 100. `interleaved`: each child has random keys, so nearly every
 * step changes the child; `runs`: each child has runs of 64 keys, as levels have; `decimal`:
 * interleaved, but the first 8 bytes of all keys are alike. `walk` is the same memtables one
 * after the other, without merging: what a merge adds is the difference.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/lsm/cursors.h"
#include "io/base/rng.h"

#define CHILDREN_MAX 64u
#define VALUE_SIZE 100u
#define KEY_SIZE 16u
#define RUN 64u
#define ROUNDS 5u

enum kind { INTERLEAVED, RUNS, DECIMAL, KIND_COUNT };
static const char *const kind_names[] = {"interleaved", "runs", "decimal"};

static struct gy_heap heap;
static struct gy_region_pool regions;

static uint64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
must(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "micro_merge: %s\n", what);
        exit(1);
    }
}

/* Entry `i` of all, 0 <= i < children * count: the key. */
static void
make_key(enum kind kind, struct gy_rng *rng, uint64_t i, char key[KEY_SIZE + 1])
{
    if (kind == INTERLEAVED) {
        const uint64_t words[2] = {gy_rng_next(rng), i};

        memcpy(key, words, KEY_SIZE);
        return;
    }
    (void)snprintf(key, KEY_SIZE + 1, "%016llu", (unsigned long long)i);
}

static struct gy_memtable *
make_memtable(enum kind kind, uint32_t child, uint32_t children, uint32_t count)
{
    struct gy_memtable *memtable = gy_memtable_make(&heap, &regions, child + 1);
    uint8_t value[VALUE_SIZE] = {0};
    struct gy_rng rng;

    must(memtable != NULL, "no memory");
    gy_rng_init(&rng, child);
    for (uint32_t i = 0; i < count; i++) {
        /* RUNS: run r belongs to child r % children. Else the children take turns, at random for
         * random keys. */
        const uint64_t number = kind == RUNS
                                    ? ((uint64_t)(i / RUN) * children + child) * RUN + i % RUN
                                    : (uint64_t)i * children + child;
        char key[KEY_SIZE + 1];

        make_key(kind, &rng, number, key);
        must(gy_memtable_reserve(memtable, KEY_SIZE + VALUE_SIZE, 1), "no memory");
        gy_memtable_add(memtable, gyre_slice(key, KEY_SIZE), gy_tag(number + 1, GY_KIND_PUT),
                        gyre_slice(value, VALUE_SIZE));
    }
    return memtable;
}

static uint64_t
walk(struct gy_cursor *cursor, uint64_t *bytes)
{
    uint64_t count = 0;

    for (cursor->ops->first(cursor); cursor->valid; cursor->ops->next(cursor)) {
        *bytes += cursor->entry.key.size + cursor->entry.value.size;
        count++;
    }
    must(cursor->status == GYRE_OK, "a cursor failed");
    return count;
}

static double
best_of_walks(struct gy_memtable **memtables, uint32_t children, uint32_t count, bool is_merged)
{
    double best = 0;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct gy_cursor *cursors[CHILDREN_MAX];
        uint64_t bytes = 0;
        uint64_t entries = 0;
        uint64_t start_ns;
        double rate;

        for (uint32_t i = 0; i < children; i++) {
            must(gy_memtable_cursor_make(&heap, memtables[i], &cursors[i]) == GYRE_OK, "no memory");
        }
        start_ns = now_ns();
        if (is_merged) {
            struct gy_cursor *merge;

            must(gy_merge_cursor_make(&heap, cursors, children, &merge) == GYRE_OK, "no memory");
            entries = walk(merge, &bytes);
            gy_cursor_close(merge);
        } else {
            for (uint32_t i = 0; i < children; i++) {
                entries += walk(cursors[i], &bytes);
                gy_cursor_close(cursors[i]);
            }
        }
        rate = (double)entries * 1e3 / (double)(now_ns() - start_ns);
        must(entries == (uint64_t)children * count, "entries are missing");
        best = rate > best ? rate : best;
    }
    return best;
}

int
main(int argc, char **argv)
{
    const uint32_t children = argc > 1 ? (uint32_t)atoi(argv[1]) : 4;
    const uint32_t count = argc > 2 ? (uint32_t)atoi(argv[2]) : 250000;

    must(children > 0 && children <= CHILDREN_MAX && count > 0, "1 to 64 children");
    gy_heap_init(&heap, UINT64_MAX);
    gy_region_pool_init(&regions, &heap, 0);
    printf("%u children of %u entries, million entries/s (best of %u)\n", children, count, ROUNDS);
    printf("%-12s %8s %8s\n", "keys", "merge", "walk");
    for (uint32_t kind = 0; kind < KIND_COUNT; kind++) {
        struct gy_memtable *memtables[CHILDREN_MAX];

        for (uint32_t i = 0; i < children; i++) {
            memtables[i] = make_memtable((enum kind)kind, i, children, count);
        }
        printf("%-12s %8.2f %8.2f\n", kind_names[kind],
               best_of_walks(memtables, children, count, true),
               best_of_walks(memtables, children, count, false));
        for (uint32_t i = 0; i < children; i++) {
            gy_memtable_unref(memtables[i]);
        }
    }
    gy_region_pool_fini(&regions);
    return 0;
}
