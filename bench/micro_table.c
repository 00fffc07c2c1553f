/* micro_table.c - cost and layout of tables: what packing wastes, what writing and cached reading
 * cost.
 *
 *     micro_table [rounds [line]]      default 3 rounds, of which each line shows the best; all
 *     lines
 *
 * A table per value size (keys of 16 bytes, values half compressible) is written to a new directory
 * below $TMPDIR or /tmp with the blocking world, then read back at random out of a cache that holds
 * all of it, walked, and removed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine/codec/filter.h"
#include "engine/codec/footer.h"
#include "engine/disk/names.h"
#include "engine/disk/table.h"
#include "engine/disk/table_writer.h"
#include "io/base/bits.h"
#include "io/base/rng.h"

#define KEY_SIZE 16u
#define GETS 400000u

struct shape {
    uint32_t count;
    uint32_t value_size;
    uint32_t block_size;
    bool compress;
};

static const struct shape shapes[] = {
    {600000, 100, 4096, false}, {160000, 400, 4096, false},  {64000, 1024, 4096, false},
    {30000, 2000, 4096, false}, {600000, 100, 16384, false}, {64000, 1024, 16384, false},
    {600000, 100, 4096, true},  {64000, 1024, 4096, true},   {4000, 100, 4096, false},
    {1000, 1024, 4096, false}, /* in the processor's caches: code, not memory */
};

struct rig {
    struct gy_loop loop;
    struct gy_arena arena;
    struct gy_cache *cache;
    struct gy_file dir;
    struct gy_table_set set;
    const struct shape *shape;
    uint32_t rounds;
    char path[64];
};

static uint64_t
clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
must(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "micro_table: %s\n", what);
        exit(1);
    }
}

static void
key_of(char key[KEY_SIZE + 1], uint64_t number)
{
    snprintf(key, KEY_SIZE + 1, "user%012llu", (unsigned long long)number);
}

/* CPU nanoseconds for adding all entries and finishing. */
GY_SUSPENDS static double
await_write(struct rig *rig, uint64_t number, struct gy_table **ret_table)
{
    const struct shape *shape = rig->shape;
    const struct gy_table_writer_options options = {.loop = &rig->loop,
                                                    .arena = &rig->arena,
                                                    .compressor = gy_cache_compressor(rig->cache),
                                                    .dir = &rig->dir,
                                                    .number = number,
                                                    .file_id = gy_mix64(number),
                                                    .block_size = shape->block_size,
                                                    .bloom_bits = 10,
                                                    .compress = shape->compress,
                                                    .compression_level = 1,
                                                    .size_expected = (uint64_t)shape->count *
                                                                     (shape->value_size + 30),
                                                    .klass = GY_IO_FLUSH};
    static uint8_t values[8192];
    struct gy_table_writer *writer;
    struct gy_table_meta meta;
    struct gy_rng rng;
    uint64_t start;

    gy_rng_init(&rng, number);
    for (size_t i = 0; i < sizeof(values); i++) {
        values[i] = (uint8_t)(i % 64 < 32 ? gy_rng_next(&rng) : 'x');
    }
    start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    must(gy_table_writer_await_open(&options, &writer) == GYRE_OK, "cannot open the writer");
    for (uint32_t i = 0; i < shape->count; i++) {
        char key[KEY_SIZE + 1];
        const struct gy_entry entry = {
            .key = gyre_slice(key, KEY_SIZE),
            .tag = gy_tag(i + 1000, GY_KIND_PUT),
            .value = gyre_slice(values + gy_rng_below(&rng, sizeof(values) - shape->value_size),
                                shape->value_size)};

        key_of(key, 2 * (uint64_t)i);
        must(gy_table_writer_await_add(writer, &entry) == GYRE_OK, "cannot add");
    }
    must(gy_table_writer_await_finish(writer, &meta) == GYRE_OK, "cannot finish");
    start = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
    *ret_table = gy_table_make(&rig->set, &meta);
    gy_table_writer_await_close(writer);
    return (double)start / shape->count;
}

/* Nanoseconds per get; `odd` asks for absent keys. */
GY_SUSPENDS static double
await_gets(struct rig *rig, struct gy_table *table, uint32_t odd)
{
    struct gy_rng rng;
    uint64_t start;
    uint64_t found = 0;

    gy_rng_init(&rng, 5);
    start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t i = 0; i < GETS; i++) {
        char key[KEY_SIZE + 1];
        struct gy_table_result result;

        key_of(key, 2 * gy_rng_below(&rng, rig->shape->count) + odd);
        must(gy_table_await_get(table, gyre_slice(key, KEY_SIZE),
                                gy_filter_hash(gyre_slice(key, KEY_SIZE)), GY_SEQUENCE_MAX,
                                GY_CACHE_NORMAL, &result) == GYRE_OK,
             "cannot get");
        found += result.found;
        gy_cache_unpin(rig->cache, &result.pin);
    }
    start = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
    must(found == (odd != 0 ? 0 : GETS), "a key is missing, or one too many");
    return (double)start / GETS;
}

static double
keys_only(const struct rig *rig)
{
    struct gy_rng rng;
    const uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    uint64_t sum = 0;

    gy_rng_init(&rng, 5);
    for (uint32_t i = 0; i < GETS; i++) {
        char key[KEY_SIZE + 1];

        key_of(key, 2 * gy_rng_below(&rng, rig->shape->count));
        sum += gy_filter_hash(gyre_slice(key, KEY_SIZE));
    }
    must(sum != 1, "unlikely");
    return (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / GETS;
}

GY_SUSPENDS static double
await_walk(struct rig *rig, struct gy_table *table, enum gy_table_cursor_mode mode)
{
    struct gy_cursor *cursor;
    uint64_t start;
    uint64_t seen = 0;

    must(gy_table_cursor_make(table, mode, GY_CACHE_NORMAL, 0, &cursor) == GYRE_OK,
         "cannot make a cursor");
    start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (gy_cursor_await_first(cursor); cursor->valid; gy_cursor_await_next(cursor)) {
        seen++;
    }
    start = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
    must(seen == rig->shape->count, "a walk came to another number of entries");
    gy_cursor_close(cursor);
    return (double)start / (double)seen;
}

static void
report(const struct rig *rig, const struct gy_footer *footer, const double best[6])
{
    const double entries = (double)(footer->key_bytes + footer->value_bytes);
    const double data = (double)footer->file_size - (double)footer->filter_bytes;

    printf("%6u %6u %4s | %8.1f %8.2f %8.2f %8.1f | %8.0f %8.0f %8.0f %8.0f %8.0f\n",
           rig->shape->value_size, rig->shape->block_size, rig->shape->compress ? "zstd" : "raw",
           (double)footer->entry_count / (double)footer->data_block_count,
           (double)footer->file_size / 4096 / (double)footer->data_block_count,
           (data - entries) / data * 100,
           (double)footer->data_block_count / (double)footer->partition_count, best[0],
           best[1] - best[5], best[2] - best[5], best[3], best[4]);
}

static void
shape_body(void *arg)
{
    struct rig *rig = arg;
    double best[6] = {1e18, 1e18, 1e18, 1e18, 1e18, 1e18};
    struct gy_cache_stats before;
    struct gy_cache_stats after;
    struct gy_footer footer;

    gy_in_coroutine();
    for (uint32_t round = 0; round < rig->rounds; round++) {
        struct gy_table *table;
        double figures[6];
        char name[GY_NAME_MAX];

        figures[0] = await_write(rig, round + 1, &table);
        must(gy_table_await_footer(table, &footer) == GYRE_OK, "cannot open the table");
        figures[4] = await_walk(rig, table, GY_CURSOR_COMPACT);
        (void)await_gets(rig, table, 0); /* fills the cache */
        gy_cache_stats_get(rig->cache, &before);
        figures[1] = await_gets(rig, table, 0);
        gy_cache_stats_get(rig->cache, &after);
        must(before.reads == after.reads, "the cache does not hold the table");
        figures[2] = await_gets(rig, table, 1);
        figures[5] = keys_only(rig);
        figures[3] = await_walk(rig, table, GY_CURSOR_USER);
        for (uint32_t i = 0; i < 6; i++) {
            best[i] = figures[i] < best[i] ? figures[i] : best[i];
        }
        gy_name_table(name, round + 1);
        gy_table_mark_removed(table);
        gy_table_unref(table);
        must(gy_file_await_unlink(&rig->loop, &rig->dir, name) == GYRE_OK,
             "cannot remove the table");
        rig->set.removed_count = 0;
    }
    gy_table_set_await_close_all(&rig->set);
    report(rig, &footer, best);
}

static void
open_body(void *arg)
{
    struct rig *rig = arg;

    gy_in_coroutine();
    must(gy_dir_await_open(&rig->loop, rig->path, false, &rig->dir) == GYRE_OK,
         "cannot open the directory");
}

static void
close_body(void *arg)
{
    struct rig *rig = arg;

    gy_in_coroutine();
    must(gy_file_await_close(&rig->loop, &rig->dir) == GYRE_OK, "cannot close the directory");
}

static void
run(struct rig *rig, void (*body)(void *arg))
{
    must(gy_spawn(&rig->loop.sched, GY_CLASS_FOREGROUND, "bench", body, rig, NULL) == GYRE_OK,
         "cannot spawn");
    while (!gy_loop_is_idle(&rig->loop)) {
        (void)gy_loop_turn(&rig->loop, true, GY_NEVER);
    }
}

int
main(int argc, char **argv)
{
    static struct rig rig;
    const char *base = getenv("TMPDIR");

    rig.rounds = argc > 1 ? (uint32_t)atoi(argv[1]) : 3;
    snprintf(rig.path, sizeof(rig.path), "%.40s/micro_table_XXXXXX", base != NULL ? base : "/tmp");
    must(rig.rounds > 0 && mkdtemp(rig.path) != NULL, "cannot make a directory");
    must(gy_loop_init(&rig.loop, &(struct gy_loop_config){.world_kind = GY_WORLD_SYNC}, NULL) ==
             GYRE_OK,
         "no loop");
    must(gy_arena_init(&rig.arena, &rig.loop, 128, 16) == GYRE_OK, "no arena");
    must(gy_cache_make(&rig.loop, &rig.arena, 200u << 20, &rig.cache) == GYRE_OK, "no cache");
    run(&rig, open_body);
    printf("%19s| %-36s| ns per entry\n", "", "layout");
    printf("%6s %6s %4s | %8s %8s %8s %8s | %8s %8s %8s %8s %8s\n", "value", "block", "", "entries",
           "pages", "waste%", "blk/part", "write", "get", "absent", "compact", "scan");
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (argc > 2 && (size_t)atoi(argv[2]) != i) {
            continue;
        }
        rig.shape = &shapes[i];
        gy_table_set_init(&rig.set, &rig.loop, &rig.arena, rig.cache, &rig.dir, 10);
        run(&rig, shape_body);
        gy_table_set_fini(&rig.set);
        fflush(stdout);
    }
    run(&rig, close_body);
    gy_cache_free(rig.cache);
    gy_arena_fini(&rig.arena);
    gy_loop_fini(&rig.loop);
    must(rmdir(rig.path) == 0, "the directory is not empty");
    return 0;
}
