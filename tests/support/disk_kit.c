/* disk_kit.c - a loop on a simulated disk with arena, cache and a set of tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/disk_kit.h"

static void
open_dir(void *arg)
{
    struct disk_kit *kit = arg;

    gy_in_coroutine();
    assert_int_equal(gy_dir_await_open(&kit->loop, "/db", true, &kit->dir), GYRE_OK);
}

void
disk_kit_make(struct disk_kit *kit, const struct disk_kit_config *config)
{
    static const struct disk_kit_config none;
    struct gy_world_sim_config world;
    uint64_t cache_size;
    uint32_t chunks;

    config = config != NULL ? config : &none;
    memset(kit, 0, sizeof(*kit));
    gy_heap_init(&kit->disk_heap, UINT64_MAX);
    kit->disk = gy_sim_disk_make(NULL, &kit->disk_heap);
    gy_world_sim_config_init(&world, config->seed);
    if (config->short_transfers) {
        world.faults.short_ppm = 100000;
    }
    assert_int_equal(gy_world_sim_open(&world, kit->disk, &kit->world), GYRE_OK);
    assert_int_equal(gy_loop_init(&kit->loop, &(struct gy_loop_config){.world = kit->world}, NULL),
                     GYRE_OK);
    if (config->chaos) {
        gy_rng_init(&kit->chaos, config->seed + 1);
        kit->loop.sched.chaos = &kit->chaos;
    }
    cache_size = config->cache_size != 0 ? config->cache_size : 4 * GY_MIB;
    chunks = (uint32_t)(cache_size / GY_ARENA_CHUNK) + 8;
    assert_int_equal(gy_arena_init(&kit->arena, &kit->loop, chunks,
                                   config->buffer_count != 0 ? config->buffer_count : 16),
                     GYRE_OK);
    assert_int_equal(gy_cache_make(&kit->loop, &kit->arena, cache_size, &kit->cache), GYRE_OK);
    disk_kit_run(kit, open_dir, kit);
    gy_table_set_init(&kit->set, &kit->loop, &kit->arena, kit->cache, &kit->dir,
                      config->open_max != 0 ? config->open_max : 100);
}

static void
close_all(void *arg)
{
    struct disk_kit *kit = arg;

    gy_in_coroutine();
    gy_table_set_await_close_all(&kit->set);
    assert_int_equal(gy_file_await_close(&kit->loop, &kit->dir), GYRE_OK);
}

void
disk_kit_free(struct disk_kit *kit)
{
    disk_kit_run(kit, close_all, kit);
    gy_table_set_fini(&kit->set);
    gy_cache_free(kit->cache);
    gy_arena_fini(&kit->arena);
    if (gy_world_sim_violation_count(kit->world) != 0) {
        fail_msg("%s", gy_world_sim_violation(kit->world));
    }
    gy_loop_fini(&kit->loop);
    assert_int_equal(kit->loop.heap.used, 0);
    gy_sim_disk_free(kit->disk);
    assert_int_equal(kit->disk_heap.used, 0);
}

void
disk_kit_run(struct disk_kit *kit, void (*body)(void *arg), void *arg)
{
    assert_int_equal(gy_spawn(&kit->loop.sched, GY_CLASS_FOREGROUND, "test", body, arg, NULL),
                     GYRE_OK);
    while (!gy_loop_is_idle(&kit->loop)) {
        (void)gy_loop_turn(&kit->loop, true, GY_NEVER);
    }
    assert_int_equal(kit->loop.sched.live_count, 0); /* nobody waits for ever */
}

void
disk_kit_writer_options(struct disk_kit *kit, const struct disk_kit_table_options *options,
                        struct gy_table_writer_options *ret_options)
{
    *ret_options = (struct gy_table_writer_options){
        .loop = &kit->loop,
        .arena = &kit->arena,
        .compressor = gy_cache_compressor(kit->cache),
        .dir = &kit->dir,
        .number = options->number,
        .file_id = gy_mix64(options->number + 1),
        .store_id = 4711,
        .level = 1,
        .block_size = options->block_size != 0 ? options->block_size : 4096,
        .bloom_bits = options->bloom_bits == 0            ? 10
                      : options->bloom_bits == UINT32_MAX ? 0
                                                          : options->bloom_bits,
        .compress = options->compress,
        .compression_level = 1,
        .size_expected = 1 << 20,
        .klass = GY_IO_FLUSH};
}

struct gy_table *
disk_kit_await_table(struct disk_kit *kit, const struct disk_kit_table_options *options,
                     const struct gy_entry *entries, uint32_t count)
{
    struct gy_table_writer_options writer_options;
    struct gy_table_writer *writer;
    struct gy_table_meta meta;
    struct gy_table *table;

    disk_kit_writer_options(kit, options, &writer_options);
    assert_int_equal(gy_table_writer_await_open(&writer_options, &writer), GYRE_OK);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(gy_table_writer_await_add(writer, &entries[i]), GYRE_OK);
    }
    assert_int_equal(gy_table_writer_await_finish(writer, &meta), GYRE_OK);
    table = gy_table_make(&kit->set, &meta);
    assert_non_null(table);
    gy_table_writer_await_close(writer);
    return table;
}

const struct gyre_error *
disk_kit_error(struct disk_kit *kit)
{
    return gy_sched_error(&kit->loop.sched);
}
