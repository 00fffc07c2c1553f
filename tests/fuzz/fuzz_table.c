/* fuzz_table.c - a whole table file of any bytes, on the simulated disk: opened, checked, walked,
 * searched.
 *
 * Checksums are put right before (footer, top index, partitions, data blocks as far as they can be
 * followed), else no input would get past them. Input: the file, whole pages.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec/checksum.h"
#include "engine/codec/coding.h"
#include "engine/codec/filter.h"
#include "engine/codec/partition.h"
#include "engine/disk/table.h"
#include "io/sim/world_sim.h"

#define FILE_ID 99u
#define STEPS_MAX 3000u /* a hostile index may lead to the same block again and again */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rig {
    struct gy_loop loop;
    struct gy_arena arena;
    struct gy_cache *cache;
    struct gy_file dir;
    struct gy_table_set set;
    struct gy_table_meta meta;
    uint32_t entries;
};

static void
must(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* ---- Putting checksums right ---- */

/* Seal what the handle leads to and give its body. */
static bool
reseal(uint8_t *file, struct gy_block_handle handle, uint32_t *ret_body_size)
{
    const uint32_t stored = handle.size - GY_BLOCK_TRAILER_SIZE;
    uint8_t *bytes = file + handle.offset;

    gy_put_u64(bytes + stored + 8,
               gy_checksum(bytes, (size_t)stored + 8, gy_block_seed(FILE_ID, handle.offset)));
    *ret_body_size = stored;
    return bytes[stored] == GY_BLOCK_RAW;
}

static void
reseal_index(uint8_t *file, uint64_t file_size, const struct gy_block *index, bool is_top)
{
    struct gy_block_iter iter;
    uint32_t steps = 0;

    gy_block_iter_init(&iter, index, NULL, 0);
    for (gy_block_iter_first(&iter); iter.valid && steps < 100;
         gy_block_iter_next(&iter), steps++) {
        struct gy_block_handle handle;
        struct gy_partition partition;
        uint32_t size;

        if (gy_block_handle_decode(iter.entry.value, file_size, &handle) != GYRE_OK ||
            !reseal(file, handle, &size) || !is_top) {
            continue;
        }
        if (gy_partition_open(file + handle.offset, size, &partition) == GYRE_OK) {
            reseal_index(file, file_size, &partition.index, false);
            (void)reseal(file, handle, &size); /* one of its blocks may overlap it */
        }
    }
}

static bool
reseal_all(uint8_t *file, size_t size, struct gy_footer *ret_footer)
{
    uint8_t *page = file + size - GY_FOOTER_SIZE;
    struct gy_block block;
    uint32_t body_size;

    gy_put_u32(page + 8, GY_FOOTER_MAGIC);
    gy_put_u64(page + 40, FILE_ID);
    gy_put_u64(page + 56, size);
    gy_put_u64(page, gy_checksum(page + 8, GY_FOOTER_SIZE - 8, 0));
    if (gy_footer_decode(page, size, ret_footer) != GYRE_OK) {
        return false;
    }
    if (reseal(file, ret_footer->top, &body_size) &&
        gy_block_open(file + ret_footer->top.offset, body_size, &block) == GYRE_OK) {
        reseal_index(file, size - GY_FOOTER_SIZE, &block, true);
        (void)reseal(file, ret_footer->top, &body_size);
    }
    return true;
}

/* ---- Using it ---- */

static gyre_status
each(void *arg, const struct gy_entry *entry)
{
    struct rig *rig = arg;

    must(entry->key.size != 0 && entry->key.size <= GY_KEY_SIZE_MAX);
    rig->entries++;
    return rig->entries < STEPS_MAX ? GYRE_OK : GYRE_CANCELED;
}

GY_SUSPENDS static void
await_walk(struct gy_table *table, enum gy_table_cursor_mode mode)
{
    uint8_t key[64];
    size_t key_size = 0;
    struct gy_cursor *cursor;
    uint32_t steps = 0;

    must(gy_table_cursor_make(table, mode, GY_CACHE_NORMAL, 0, &cursor) == GYRE_OK);
    for (gy_cursor_await_first(cursor); cursor->valid && steps < STEPS_MAX;
         gy_cursor_await_next(cursor)) {
        if (steps % 16 == 0 && cursor->entry.key.size <= sizeof(key)) {
            key_size = cursor->entry.key.size;
            memcpy(key, cursor->entry.key.data, key_size);
        }
        steps++;
    }
    steps = 0;
    for (gy_cursor_await_last(cursor); cursor->valid && steps < STEPS_MAX / 10;
         gy_cursor_await_prev(cursor)) {
        steps++;
    }
    gy_cursor_prepare_seek(cursor, gyre_slice(key, key_size), 300);
    gy_cursor_await_seek(cursor, gyre_slice(key, key_size), 300);
    gy_cursor_await_seek_before(cursor, gyre_slice(key, key_size), 300);
    gy_cursor_close(cursor);
    for (uint32_t cut = 0; cut < 2; cut++) {
        const struct gyre_slice slice = gyre_slice(key, key_size - (cut != 0 && key_size != 0));
        struct gy_table_result result;
        uint64_t offset;

        if (gy_table_await_get(table, slice, gy_filter_hash(slice), GY_SEQUENCE_MAX,
                               GY_CACHE_NORMAL, &result) == GYRE_OK) {
            gy_cache_unpin(table->set->cache, &result.pin);
        }
        if (gy_table_await_offset(table, slice, &offset) == GYRE_OK) {
            must(offset < table->meta.size);
        }
    }
}

static void
body(void *arg)
{
    struct rig *rig = arg;
    struct gy_table_check check = {.each = each, .arg = rig};
    struct gy_table *table;
    gyre_status st;

    gy_in_coroutine();
    must(gy_dir_await_open(&rig->loop, "/db", true, &rig->dir) == GYRE_OK);
    gy_table_set_init(&rig->set, &rig->loop, &rig->arena, rig->cache, &rig->dir, 10);
    table = gy_table_make(&rig->set, &rig->meta);
    must(table != NULL);
    await_walk(table, GY_CURSOR_USER);
    await_walk(table, GY_CURSOR_COMPACT);
    st = gy_table_await_check(table, &check);
    must(st == GYRE_OK || st == GYRE_CANCELED || st == GYRE_UNSUPPORTED || st == GYRE_NO_MEMORY);
    gy_table_unref(table);
    gy_table_set_await_close_all(&rig->set);
    gy_table_set_fini(&rig->set);
    must(gy_file_await_close(&rig->loop, &rig->dir) == GYRE_OK);
}

static void
run(const uint8_t *file, size_t size, const struct gy_footer *footer)
{
    static struct rig rig;
    struct gy_world_sim_config config;
    struct gy_sim_disk *disk;
    struct gy_world *world;
    struct gy_heap heap;

    memset(&rig, 0, sizeof(rig));
    gy_heap_init(&heap, UINT64_MAX);
    disk = gy_sim_disk_make(NULL, &heap);
    must(gy_sim_disk_make_dir(disk, "/db") == 0);
    must(gy_sim_disk_poke(disk, "/db/000001.sst", 0, file, size) >= 0);
    gy_world_sim_config_init(&config, 1);
    must(gy_world_sim_open(&config, disk, &world) == GYRE_OK);
    must(gy_loop_init(&rig.loop,
                      &(struct gy_loop_config){.world = world, .memory_limit = 64u << 20},
                      NULL) == GYRE_OK);
    must(gy_arena_init(&rig.arena, &rig.loop, 4, 8) == GYRE_OK);
    must(gy_cache_make(&rig.loop, &rig.arena, 512 << 10, &rig.cache) == GYRE_OK);
    rig.meta = (struct gy_table_meta){.number = 1,
                                      .file_id = FILE_ID,
                                      .keyspace = footer->keyspace,
                                      .size = size,
                                      .entry_count = footer->entry_count,
                                      .delete_count = footer->delete_count,
                                      .sequence_min = footer->sequence_min,
                                      .sequence_max = footer->sequence_max,
                                      .smallest = gyre_str("a"),
                                      .largest = gyre_str("z")};
    must(gy_spawn(&rig.loop.sched, GY_CLASS_FOREGROUND, "fuzz", body, &rig, NULL) == GYRE_OK);
    while (!gy_loop_is_idle(&rig.loop)) {
        (void)gy_loop_turn(&rig.loop, true, GY_NEVER);
    }
    gy_cache_free(rig.cache);
    gy_arena_fini(&rig.arena);
    must(gy_world_sim_violation_count(world) == 0);
    gy_loop_fini(&rig.loop);
    must(rig.loop.heap.used == 0);
    gy_sim_disk_free(disk);
    must(heap.used == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t whole = (size_t)gy_align_down(size, GY_PAGE);
    struct gy_footer footer = {0};
    uint8_t *file;

    if (whole < 2 * GY_FOOTER_SIZE || whole > 1 << 19) {
        return 0;
    }
    file = malloc(whole);
    if (file == NULL) {
        return 0;
    }
    memcpy(file, data, whole);
    (void)reseal_all(file, whole,
                     &footer); /* else: a footer that is refused has to be refused well */
    run(file, whole, &footer);
    free(file);
    return 0;
}
