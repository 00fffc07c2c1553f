/* micro_memtable.c - nanoseconds per add and get of a memtable, at sizes around a real one.
 *
 *     micro_memtable [rounds]      default 3; each line is the best of them
 *
 * Keys of 16 bytes, values of 100. `binary` keys are random bytes, which their first 8 tell apart;
 * `decimal` ones are what benchmarks like to use, zero-padded numbers whose first 8 bytes are
 * alike; `sequential` are decimal ones added in order. Gets go over all keys in another random
 * order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/mem/memtable.h"
#include "io/base/rng.h"

#define KEY_SIZE 16u
#define VALUE_SIZE 100u

enum kind { BINARY, DECIMAL, SEQUENTIAL };
static const char *const kind_names[] = {"binary", "decimal", "sequential"};

struct figures {
    double add_ns, get_ns, absent_ns, next_ns, prev_ns, bytes;
};

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
        fprintf(stderr, "micro_memtable: %s\n", what);
        exit(1);
    }
}

static void
shuffle(uint32_t *order, uint32_t count, uint64_t seed)
{
    struct gy_rng rng;

    gy_rng_init(&rng, seed);
    for (uint32_t i = count; i > 1; i--) {
        const uint32_t other = (uint32_t)gy_rng_below(&rng, i);
        const uint32_t kept = order[i - 1];

        order[i - 1] = order[other];
        order[other] = kept;
    }
}

/* Even numbers are keys that are there, odd ones are absent. */
static void
make_key(uint8_t *key, enum kind kind, uint64_t number)
{
    struct gy_rng rng;
    uint64_t words[2];
    char text[32];

    if (kind == BINARY) {
        gy_rng_init(&rng, number);
        words[0] = gy_rng_next(&rng);
        words[1] = gy_rng_next(&rng);
        memcpy(key, words, KEY_SIZE);
        return;
    }
    snprintf(text, sizeof(text), "%016llu", (unsigned long long)number);
    memcpy(key, text, KEY_SIZE);
}

/* All keys in the order in which they are used, so that making them is not measured. */
static void
fill(uint8_t *keys, const uint32_t *order, uint32_t count, enum kind kind, uint32_t odd)
{
    for (uint32_t i = 0; i < count; i++) {
        make_key(keys + (size_t)i * KEY_SIZE, kind, 2ull * order[i] + odd);
    }
}

static double
get_all(const struct gy_memtable *memtable, const uint8_t *keys, uint32_t count, bool expected)
{
    const uint64_t start = now_ns();

    for (uint32_t i = 0; i < count; i++) {
        struct gy_entry entry;
        const bool found = gy_memtable_get(
            memtable, gyre_slice(keys + (size_t)i * KEY_SIZE, KEY_SIZE), GY_SEQUENCE_MAX, &entry);

        must(found == expected, "a get gave the wrong answer");
    }
    return (double)(now_ns() - start) / count;
}

static void
walk(const struct gy_memtable *memtable, uint32_t count, struct figures *figures)
{
    struct gy_memtable_iter iter;
    uint64_t start = now_ns();
    uint64_t bytes = 0;
    uint32_t steps = 0;

    gy_memtable_iter_init(&iter, memtable);
    for (gy_memtable_iter_first(&iter); gy_memtable_iter_is_valid(&iter);
         gy_memtable_iter_next(&iter)) {
        bytes += gy_memtable_iter_entry(&iter).value.size;
    }
    must(bytes == (uint64_t)count * VALUE_SIZE, "a walk missed entries");
    figures->next_ns = (double)(now_ns() - start) / count;
    start = now_ns();
    for (gy_memtable_iter_last(&iter); gy_memtable_iter_is_valid(&iter) && steps < 100000;
         gy_memtable_iter_prev(&iter)) {
        steps++;
    }
    figures->prev_ns = (double)(now_ns() - start) / steps;
}

static struct figures
run(uint8_t *keys, uint32_t *order, uint32_t count, enum kind kind, struct gy_region_pool *pool)
{
    struct gy_memtable *memtable = gy_memtable_make(pool->heap, pool, 1);
    static const uint8_t value[VALUE_SIZE];
    struct figures figures;
    uint64_t start;

    must(memtable != NULL, "no memory");
    for (uint32_t i = 0; i < count; i++) {
        order[i] = i;
    }
    if (kind != SEQUENTIAL) {
        shuffle(order, count, 1);
    }
    fill(keys, order, count, kind, 0);
    start = now_ns();
    for (uint32_t i = 0; i < count; i++) {
        must(gy_memtable_reserve(memtable, KEY_SIZE + VALUE_SIZE, 1), "no memory");
        gy_memtable_add(memtable, gyre_slice(keys + (size_t)i * KEY_SIZE, KEY_SIZE),
                        gy_tag(i + 1, GY_KIND_PUT), gyre_slice(value, VALUE_SIZE));
    }
    figures.add_ns = (double)(now_ns() - start) / count;
    shuffle(order, count, 2);
    fill(keys, order, count, kind, 0);
    figures.get_ns = get_all(memtable, keys, count, true);
    fill(keys, order, count, kind, 1);
    figures.absent_ns = get_all(memtable, keys, count, false);
    walk(memtable, count, &figures);
    figures.bytes = (double)gy_memtable_used(memtable) / count;
    gy_memtable_unref(memtable);
    return figures;
}

static void
keep_best(struct figures *best, const struct figures *now)
{
    best->add_ns = now->add_ns < best->add_ns ? now->add_ns : best->add_ns;
    best->get_ns = now->get_ns < best->get_ns ? now->get_ns : best->get_ns;
    best->absent_ns = now->absent_ns < best->absent_ns ? now->absent_ns : best->absent_ns;
    best->next_ns = now->next_ns < best->next_ns ? now->next_ns : best->next_ns;
    best->prev_ns = now->prev_ns < best->prev_ns ? now->prev_ns : best->prev_ns;
}

int
main(int argc, char **argv)
{
    static const uint32_t counts[] = {30000, 100000, 1000000};
    const uint32_t count_max = 1000000;
    const int rounds = argc > 1 ? atoi(argv[1]) : 3;
    uint8_t *keys = malloc((size_t)count_max * KEY_SIZE);
    uint32_t *order = malloc(count_max * sizeof(*order));
    struct gy_heap heap;
    struct gy_region_pool pool;

    must(keys != NULL && order != NULL, "no memory");
    gy_heap_init(&heap, UINT64_MAX);
    gy_region_pool_init(&pool, &heap, 1024);
    printf("%-11s %8s %7s %7s %7s %7s %7s %7s\n", "keys", "entries", "add ns", "get ns", "absent",
           "next ns", "prev ns", "bytes");
    for (uint32_t kind = BINARY; kind <= SEQUENTIAL; kind++) {
        for (uint32_t size = 0; size < sizeof(counts) / sizeof(counts[0]); size++) {
            struct figures best = run(keys, order, counts[size], (enum kind)kind, &pool);

            for (int round = 1; round < rounds; round++) {
                const struct figures now = run(keys, order, counts[size], (enum kind)kind, &pool);

                keep_best(&best, &now);
            }
            printf("%-11s %8u %7.0f %7.0f %7.0f %7.1f %7.0f %7.1f\n", kind_names[kind],
                   counts[size], best.add_ns, best.get_ns, best.absent_ns, best.next_ns,
                   best.prev_ns, best.bytes);
        }
    }
    gy_region_pool_fini(&pool);
    free(keys);
    free(order);
    return 0;
}
