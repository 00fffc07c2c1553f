/* lsm_rig.c - flush and compaction on a simulated disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/disk/names.h"
#include "io/base/bits.h"
#include "tests/support/lsm_rig.h"

#define TABLE_SIZE (16u * GY_KIB)

static void
open_all(void *arg)
{
    struct lsm_rig *rig = arg;

    gy_in_coroutine();
    assert_int_equal(gy_dir_await_open(&rig->loop, "/db", true, &rig->dir), GYRE_OK);
}

static void
close_all(void *arg)
{
    struct lsm_rig *rig = arg;

    gy_in_coroutine();
    gy_table_set_await_close_all(&rig->set);
    (void)gy_file_await_close(&rig->loop, &rig->dir);
}

void
lsm_rig_run(struct lsm_rig *rig, void (*fn)(void *arg), void *arg)
{
    assert_int_equal(gy_spawn(&rig->loop.sched, GY_CLASS_FOREGROUND, "test", fn, arg, NULL),
                     GYRE_OK);
    while (!gy_loop_is_idle(&rig->loop)) {
        (void)gy_loop_turn(&rig->loop, true, GY_NEVER);
    }
}

void
lsm_rig_init(struct lsm_rig *rig, uint64_t seed)
{
    struct gy_world_sim_config config;

    memset(rig, 0, sizeof(*rig));
    gy_heap_init(&rig->disk_heap, UINT64_MAX);
    gy_rng_init(&rig->chaos, seed);
    rig->disk = gy_sim_disk_make(NULL, &rig->disk_heap);
    gy_world_sim_config_init(&config, seed);
    assert_int_equal(gy_world_sim_open(&config, rig->disk, &rig->world), GYRE_OK);
    assert_int_equal(gy_loop_init(&rig->loop, &(struct gy_loop_config){.world = rig->world}, NULL),
                     GYRE_OK);
    rig->loop.sched.chaos = &rig->chaos;
    assert_int_equal(gy_arena_init(&rig->arena, &rig->loop, 64, 64), GYRE_OK);
    assert_int_equal(gy_cache_make(&rig->loop, &rig->arena, 4 * GY_MIB, &rig->cache), GYRE_OK);
    gy_region_pool_init(&rig->regions, &rig->loop.heap, 2);
    lsm_rig_run(rig, open_all, rig);
    gy_table_set_init(&rig->set, &rig->loop, &rig->arena, rig->cache, &rig->dir, 16);
    rig->next_number = 1;
    rig->version = gy_version_make_empty(&rig->loop.heap);
    rig->context = (struct gy_job_context){.loop = &rig->loop,
                                           .arena = &rig->arena,
                                           .cache = rig->cache,
                                           .dir = &rig->dir,
                                           .store_id = 4711,
                                           .block_size = 4096,
                                           .bloom_bits = 10,
                                           .compression_level = 1,
                                           .table_size = TABLE_SIZE,
                                           .next_file_number = &rig->next_number};
    rig->options = (struct gy_compact_options){.level0_tables = 3,
                                               .level_ratio = 3,
                                               .base_bytes_min = 3 * TABLE_SIZE,
                                               .table_size = TABLE_SIZE,
                                               .job_bytes_max = 12 * TABLE_SIZE};
}

void
lsm_rig_fini(struct lsm_rig *rig)
{
    gy_version_unref(rig->version);
    lsm_rig_run(rig, close_all, rig);
    assert_int_equal(rig->set.table_count, 0);
    gy_table_set_fini(&rig->set);
    gy_region_pool_fini(&rig->regions);
    gy_cache_free(rig->cache);
    gy_arena_fini(&rig->arena);
    assert_int_equal(gy_world_sim_violation_count(rig->world), 0);
    gy_loop_fini(&rig->loop);
    assert_int_equal(rig->loop.heap.used, 0);
    gy_sim_disk_free(rig->disk);
    assert_int_equal(rig->disk_heap.used, 0);
}

struct gy_memtable *
lsm_rig_memtable(struct lsm_rig *rig)
{
    struct gy_memtable *memtable =
        gy_memtable_make(&rig->loop.heap, &rig->regions, gy_rng_next(&rig->chaos));

    assert_non_null(memtable);
    return memtable;
}

void
lsm_rig_add(struct gy_memtable *memtable, struct gyre_slice key, uint64_t sequence,
            enum gy_kind kind, struct gyre_slice value)
{
    assert_true(gy_memtable_reserve(memtable, key.size + value.size, 1));
    gy_memtable_add(memtable, key, gy_tag(sequence, kind), value);
}

bool
lsm_rig_has_file(const struct lsm_rig *rig, uint64_t number)
{
    char name[GY_NAME_MAX];
    char path[GY_NAME_MAX + 8];

    gy_name_table(name, number);
    (void)snprintf(path, sizeof(path), "/db/%s", name);
    return gy_sim_disk_file_size(rig->disk, path) >= 0;
}

static GY_SUSPENDS void
await_unlink_removed(struct lsm_rig *rig)
{
    while (rig->set.removed_count > 0) {
        const struct gy_removed_table removed = gy_table_set_take_removed(&rig->set);
        char name[GY_NAME_MAX];

        gy_name_table(name, removed.number);
        gy_table_set_note_gone(&rig->set, &removed);
        assert_int_equal(gy_file_await_unlink(&rig->loop, &rig->dir, name), GYRE_OK);
    }
}

static GY_SUSPENDS void
await_change(struct lsm_rig *rig, const struct gy_version_change *change)
{
    struct gy_version *next = NULL;

    assert_int_equal(gy_version_apply(rig->version, change, &next), GYRE_OK);
    for (uint32_t i = 0; i < change->removed_count; i++) {
        gy_table_mark_removed(change->removed[i]);
    }
    for (uint32_t i = 0; i < change->added_count; i++) {
        gy_table_unref(change->added[i]);
    }
    gy_version_unref(rig->version);
    rig->version = next;
    await_unlink_removed(rig);
}

GY_SUSPENDS void
lsm_rig_await_install(struct lsm_rig *rig, struct gy_table *const *removed, uint32_t removed_count,
                      struct gy_job_result *result)
{
    struct gy_table **added = calloc(result->output_count + 1, sizeof(*added));
    struct gy_table **gone = calloc(removed_count + 1, sizeof(*gone));
    struct gy_version_change change = {.added = added,
                                       .added_count = result->output_count,
                                       .removed = gone,
                                       .removed_count = removed_count};

    for (uint32_t i = 0; i < removed_count; i++) {
        gone[i] = removed[i];
    }
    for (uint32_t i = 0; i < result->output_count; i++) {
        added[i] = gy_table_make(&rig->set, &result->outputs[i].meta);
        assert_non_null(added[i]);
    }
    await_change(rig, &change);
    gy_job_result_fini(result, &rig->loop.heap);
    free(added);
    free(gone);
}

GY_SUSPENDS void
lsm_rig_await_flush(struct lsm_rig *rig, struct gy_memtable *memtable, const uint64_t *snapshots,
                    uint32_t snapshot_count)
{
    struct gy_job_result result;

    gy_job_result_init(&result);
    gy_memtable_freeze(memtable);
    assert_int_equal(
        gy_flush_await_run(&rig->context, memtable, snapshots, snapshot_count, &result), GYRE_OK);
    lsm_rig_await_install(rig, NULL, 0, &result);
    gy_memtable_unref(memtable);
}

static GY_SUSPENDS void
await_move(struct lsm_rig *rig, struct gy_table *table, uint32_t level)
{
    struct gy_table *moved = gy_table_make_moved(table, level);
    const struct gy_version_change change = {
        .added = &moved, .added_count = 1, .removed = &table, .removed_count = 1};

    assert_non_null(moved);
    await_change(rig, &change);
}

GY_SUSPENDS gyre_status
lsm_rig_await_job(struct lsm_rig *rig, const struct gy_compact_job *job, const uint64_t *snapshots,
                  uint32_t snapshot_count)
{
    const uint32_t count = job->input_count[0] + job->input_count[1];
    struct gy_table **removed;
    struct gy_job_result result;
    gyre_status status;

    rig->job_count++;
    if (job->is_trivial_move) {
        rig->move_count++;
        await_move(rig, job->inputs[0][0], job->level_output);
        return GYRE_OK;
    }
    gy_job_result_init(&result);
    status =
        gy_compact_await_run(&rig->context, rig->version, job, snapshots, snapshot_count, &result);
    if (status != GYRE_OK) {
        assert_int_equal(result.output_count, 0); /* J5 */
        gy_job_result_fini(&result, &rig->loop.heap);
        return status;
    }
    removed = calloc(count + 1, sizeof(*removed));
    for (uint32_t i = 0; i < count; i++) {
        removed[i] =
            i < job->input_count[0] ? job->inputs[0][i] : job->inputs[1][i - job->input_count[0]];
    }
    lsm_rig_await_install(rig, removed, count, &result);
    free(removed);
    return GYRE_OK;
}

GY_SUSPENDS void
lsm_rig_await_settle(struct lsm_rig *rig, const uint64_t *snapshots, uint32_t snapshot_count)
{
    while (gy_compact_pick(rig->version, &rig->options, NULL, &rig->job)) {
        assert_int_equal(lsm_rig_await_job(rig, &rig->job, snapshots, snapshot_count), GYRE_OK);
    }
    assert_int_equal(gy_compact_debt(rig->version, &rig->options), 0);
}

GY_SUSPENDS void
lsm_rig_await_compact_all(struct lsm_rig *rig, const uint64_t *snapshots, uint32_t snapshot_count)
{
    const struct gyre_slice open = {NULL, 0};
    uint8_t *from_bytes = malloc(GY_KEY_SIZE_MAX + 1);

    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        struct gyre_slice from = open;

        while (gy_compact_pick_range(rig->version, &rig->options, level, from, open, true,
                                     &rig->job)) {
            const bool is_in_place = rig->job.level == rig->job.level_output;
            const struct gyre_slice last =
                rig->job.inputs[0][rig->job.input_count[0] - 1]->meta.largest;

            if (is_in_place) {
                memcpy(from_bytes, last.data, last.size);
                from_bytes[last.size] = 0; /* the next key there could be */
                from = gyre_slice(from_bytes, last.size + 1);
            }
            assert_int_equal(lsm_rig_await_job(rig, &rig->job, snapshots, snapshot_count), GYRE_OK);
        }
    }
    free(from_bytes);
}

GY_SUSPENDS void
lsm_rig_await_place(struct lsm_rig *rig, struct gy_memtable *memtable, uint32_t level)
{
    const uint32_t before = rig->version->levels[0].count;

    /* The snapshots keep every version where it is. */
    static const uint64_t all[] = {1,  2,  3,  4,  5,  6,  7,  8,  9, 10,
                                   11, 12, 13, 14, 15, 16, 17, 18, 19};

    lsm_rig_await_flush(rig, memtable, all, sizeof(all) / sizeof(all[0]));
    assert_int_equal(rig->version->levels[0].count, before + 1);
    if (level > 0) {
        await_move(rig, rig->version->levels[0].tables[0], level);
    }
}

struct gy_cursor *
lsm_rig_cursor(struct lsm_rig *rig, enum gy_table_cursor_mode mode)
{
    const uint32_t level0 = rig->version->levels[0].count;
    struct gy_cursor **children = calloc(level0 + GY_LEVEL_COUNT, sizeof(struct gy_cursor *));
    struct gy_cursor *merge = NULL;
    uint32_t count = 0;

    for (uint32_t i = 0; i < level0; i++) {
        assert_int_equal(gy_table_cursor_make(rig->version->levels[0].tables[i], mode,
                                              GY_CACHE_NORMAL, 0, &children[count++]),
                         GYRE_OK);
    }
    for (uint32_t level = 1; level < GY_LEVEL_COUNT; level++) {
        if (rig->version->levels[level].count > 0) {
            assert_int_equal(gy_level_cursor_make(rig->version, level, 0,
                                                  rig->version->levels[level].count, mode,
                                                  GY_CACHE_NORMAL, 0, &children[count++]),
                             GYRE_OK);
        }
    }
    assert_int_equal(gy_merge_cursor_make(&rig->loop.heap, children, count, &merge), GYRE_OK);
    free(children);
    return merge;
}
