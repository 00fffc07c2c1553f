/* test_compact_pick.c - picks as properties: of random trees, and of a tree that lives from
 * picks alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/lsm/compact_pick.h"
#include "io/base/rng.h"
#include "tests/support/table_kit.h"

#define TABLE_SIZE 1000u
#define KEYS 100000u

static struct table_kit kit;
static const struct gy_compact_options options = {.level0_tables = 4,
                                                  .level_ratio = 10,
                                                  .base_bytes_min = 4 * TABLE_SIZE,
                                                  .table_size = TABLE_SIZE,
                                                  .job_bytes_max = 25 * TABLE_SIZE};

static int
set_up(void **state)
{
    (void)state;
    table_kit_init(&kit);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    table_kit_fini(&kit);
    return 0;
}

/* `count` tables side by side in `level`, over all keys, with gaps. */
static struct gy_version *
fill_level(struct gy_version *version, struct gy_rng *rng, uint32_t level, uint32_t count)
{
    struct gy_table **tables = calloc(count + 1, sizeof(*tables));
    const uint32_t step = KEYS / (count + 1);

    for (uint32_t i = 0; i < count; i++) {
        const uint32_t smallest = i * step + (uint32_t)gy_rng_below(rng, step / 2);

        tables[i] =
            table_kit_make(&kit, level, smallest, smallest + (uint32_t)gy_rng_below(rng, step / 2),
                           TABLE_SIZE / 2 + gy_rng_below(rng, TABLE_SIZE));
        tables[i]->meta.delete_count = gy_rng_below(rng, 3) == 0 ? 5 : 0;
    }
    version = table_kit_add(version, tables, count);
    free(tables);
    return version;
}

static struct gy_version *
random_version(struct gy_rng *rng)
{
    struct gy_version *version = gy_version_make_empty(&kit.loop.heap);
    const uint32_t top = 1 + (uint32_t)gy_rng_below(rng, GY_LEVEL_COUNT - 1);
    const uint32_t scale = 1 + (uint32_t)gy_rng_below(rng, 200);

    for (uint32_t level = GY_LEVEL_COUNT - 1; level >= top; level--) {
        if (gy_rng_below(rng, 5) > 0) {
            const uint64_t most = 1 + scale / (1 + 3 * (GY_LEVEL_COUNT - 1 - level));

            version = fill_level(version, rng, level, (uint32_t)gy_rng_below(rng, most + 1));
        }
    }
    for (uint64_t n = gy_rng_below(rng, 20); n > 0; n--) {
        const uint32_t smallest = (uint32_t)gy_rng_below(rng, KEYS);
        struct gy_table *table =
            table_kit_make(&kit, 0, smallest, smallest + (uint32_t)gy_rng_below(rng, KEYS / 2),
                           TABLE_SIZE + gy_rng_below(rng, TABLE_SIZE));

        version = table_kit_add(version, &table, 1);
    }
    return version;
}

static bool
is_input(const struct gy_compact_job *job, const struct gy_table *table)
{
    for (uint32_t side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < job->input_count[side]; i++) {
            if (job->inputs[side][i] == table) {
                return true;
            }
        }
    }
    return false;
}

static bool
meet(const struct gy_table *a, const struct gy_table *b)
{
    return gy_key_compare(a->meta.smallest, b->meta.largest) <= 0 &&
           gy_key_compare(b->meta.smallest, a->meta.largest) <= 0;
}

static uint64_t
count_overlaps(const struct gy_version *version, uint32_t level, const struct gy_table *table)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < version->levels[level].count; i++) {
        count += meet(version->levels[level].tables[i], table) ? 1 : 0;
    }
    return count;
}

static void
hull_of(const struct gy_compact_job *job, struct gyre_slice *smallest, struct gyre_slice *largest)
{
    *smallest = job->inputs[0][0]->meta.smallest;
    *largest = job->inputs[0][0]->meta.largest;
    for (uint32_t side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < job->input_count[side]; i++) {
            const struct gy_table_meta *meta = &job->inputs[side][i]->meta;

            *smallest = gy_key_compare(meta->smallest, *smallest) < 0 ? meta->smallest : *smallest;
            *largest = gy_key_compare(meta->largest, *largest) > 0 ? meta->largest : *largest;
        }
    }
}

static void
check_move(const struct gy_version *version, const struct gy_compact_job *job)
{
    bool is_bottom = true;

    assert_int_equal(job->input_count[0], 1);
    assert_int_equal(job->input_count[1], 0);
    assert_int_not_equal(job->level, job->level_output);
    assert_int_equal(count_overlaps(version, job->level_output, job->inputs[0][0]), 0);
    for (uint32_t level = job->level_output + 1; level < GY_LEVEL_COUNT; level++) {
        is_bottom = is_bottom && version->levels[level].count == 0;
    }
    if (is_bottom) {
        assert_int_equal(job->inputs[0][0]->meta.delete_count, 0);
    }
}

/* All that a job has to be, whatever picked it. */
static void
check_job(const struct gy_version *version, const struct gy_compact_job *job)
{
    struct gyre_slice smallest;
    struct gyre_slice largest;
    uint64_t bytes = 0;

    assert_true(job->level < GY_LEVEL_COUNT && job->level_output < GY_LEVEL_COUNT);
    assert_true(job->level_output > 0 && job->level_output >= job->level);
    assert_true(job->input_count[0] > 0);
    for (uint32_t side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < job->input_count[side]; i++) {
            const struct gy_table *table = job->inputs[side][i];

            assert_int_equal(table->meta.level, side == 0 ? job->level : job->level_output);
            assert_false(table->being_compacted);
            bytes += table->meta.size;
        }
    }
    assert_int_equal(job->input_bytes, bytes);
    if (job->is_trivial_move) {
        check_move(version, job);
        return;
    }
    /* D3: nothing of the output level that meets the hull stays outside, or outputs could
     * overlap it. */
    hull_of(job, &smallest, &largest);
    for (uint32_t i = 0; i < version->levels[job->level_output].count; i++) {
        const struct gy_table *table = version->levels[job->level_output].tables[i];

        if (gy_key_compare(table->meta.smallest, largest) <= 0 &&
            gy_key_compare(smallest, table->meta.largest) <= 0) {
            assert_true(is_input(job, table));
        }
    }
    /* Nothing is passed by: levels between input and output are empty. */
    for (uint32_t level = job->level + 1; level < job->level_output; level++) {
        assert_int_equal(version->levels[level].count, 0);
    }
    if (job->level == 0) { /* D2: what stays in level 0 is newer than what goes */
        assert_true(job->input_count[0] <= GY_COMPACT_LEVEL0_MAX);
        for (uint32_t i = 0; i < job->input_count[0]; i++) {
            const uint32_t at = version->levels[0].count - job->input_count[0] + i;

            assert_ptr_equal(job->inputs[0][i], version->levels[0].tables[at]);
        }
    }
}

static void
check_targets(const struct gy_version *version)
{
    uint64_t targets[GY_LEVEL_COUNT];
    const uint32_t base = gy_compact_targets(version, &options, targets);

    assert_int_equal(base, gy_compact_base_level(version, &options));
    assert_true(base >= 1 && base < GY_LEVEL_COUNT);
    assert_int_equal(targets[0], 0);
    for (uint32_t level = 1; level < GY_LEVEL_COUNT; level++) {
        assert_true(targets[level] >= targets[level - 1]);
        if (level < base) {
            assert_int_equal(version->levels[level].count, 0);
        }
    }
}

/* Goal:   every pick is one that may be run, debt and picks agree, and the same version gives
 *         the same pick.
 * Method: random trees, also such as no store would have. */
static void
compact_pick_gives_sound_jobs_of_random_trees(void **state)
{
    uint32_t picked = 0;
    uint32_t moves = 0;
    uint32_t idle = 0;
    struct gy_rng rng;
    (void)state;

    gy_rng_init(&rng, 1);
    for (uint32_t round = 0; round < 1500; round++) {
        struct gy_version *version = random_version(&rng);
        struct gy_compact_job job;
        struct gy_compact_job again;
        const bool has_job = gy_compact_pick(version, &options, NULL, &job);

        check_targets(version);
        assert_int_equal(has_job, gy_compact_debt(version, &options) > 0);
        if (has_job) {
            check_job(version, &job);
            assert_true(gy_compact_pick(version, &options, NULL, &again));
            assert_memory_equal(&job.inputs, &again.inputs, sizeof(job.inputs));
            assert_int_equal(job.input_bytes, again.input_bytes);
            picked++;
            moves += job.is_trivial_move ? 1 : 0;
        }
        idle += has_job ? 0 : 1;
        gy_version_unref(version);
    }
    assert_true(picked > 500 && moves > 20 && idle > 20);
}

/* Goal:   tables at work are left alone, and so is their whole level (D5).
 * Method: mark a table of a random level and pick. */
static void
compact_pick_leaves_levels_at_work_alone(void **state)
{
    uint32_t picked = 0;
    struct gy_rng rng;
    (void)state;

    gy_rng_init(&rng, 2);
    for (uint32_t round = 0; round < 1500; round++) {
        struct gy_version *version = random_version(&rng);
        const uint32_t level = (uint32_t)gy_rng_below(&rng, GY_LEVEL_COUNT);
        struct gy_compact_job job;

        if (version->levels[level].count > 0) {
            struct gy_table *busy =
                version->levels[level].tables[gy_rng_below(&rng, version->levels[level].count)];

            busy->being_compacted = true;
            if (gy_compact_pick(version, &options, NULL, &job)) {
                check_job(version, &job);
                assert_int_not_equal(job.level, level);
                assert_int_not_equal(job.level_output, level);
                picked++;
            }
            for (uint32_t l = 0; l < GY_LEVEL_COUNT; l++) {
                if (gy_compact_pick_range(version, &options, l, gyre_slice(NULL, 0),
                                          gyre_slice(NULL, 0), true, &job)) {
                    check_job(version, &job);
                }
            }
        }
        gy_version_unref(version);
    }
    assert_true(picked > 100);
}

/* What running the job would give, with no key dropped: the ranges of its inputs cut anew. */
static struct gy_version *
apply_job(struct gy_version *version, const struct gy_compact_job *job)
{
    static struct gy_table *removed[1024];
    static struct gy_table *added[1024];
    struct gy_version_change change = {.added = added, .removed = removed};
    struct gy_version *next = NULL;

    assert_true(job->input_count[0] + job->input_count[1] <= 1024);
    for (uint32_t side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < job->input_count[side]; i++) {
            removed[change.removed_count++] = job->inputs[side][i];
        }
    }
    if (job->is_trivial_move) {
        struct gy_table_meta meta = removed[0]->meta;

        meta.level = job->level_output;
        added[change.added_count++] = gy_table_make(&kit.set, &meta);
    } else {
        struct gyre_slice smallest;
        struct gyre_slice largest;
        const uint64_t count = (job->input_bytes + TABLE_SIZE - 1) / TABLE_SIZE;
        uint32_t low;
        uint32_t width;

        hull_of(job, &smallest, &largest);
        low = table_kit_number(smallest);
        width = table_kit_number(largest) - low + 1;
        for (uint64_t i = 0; i < count; i++) {
            const uint32_t from = low + (uint32_t)(width * i / count);
            const uint32_t to = low + (uint32_t)(width * (i + 1) / count);

            if (to > from) {
                added[change.added_count++] =
                    table_kit_make(&kit, job->level_output, from, to - 1, job->input_bytes / count);
            }
        }
    }
    assert_int_equal(gy_version_apply(version, &change, &next), GYRE_OK);
    for (uint32_t i = 0; i < change.added_count; i++) {
        gy_table_unref(added[i]);
    }
    gy_version_unref(version);
    return next;
}

static struct gy_version *
flush(struct gy_version *version, uint32_t smallest, uint32_t largest)
{
    struct gy_table *table = table_kit_make(&kit, 0, smallest, largest, TABLE_SIZE);

    return table_kit_add(version, &table, 1);
}

static struct gy_version *
settle(struct gy_version *version, struct gy_compact_cursor *cursor, uint64_t *moved_bytes)
{
    struct gy_compact_job job;
    uint32_t count = 0;

    while (gy_compact_pick(version, &options, cursor, &job)) {
        check_job(version, &job);
        gy_compact_cursor_advance(&kit.loop.heap, cursor, &job);
        *moved_bytes += job.is_trivial_move ? 0 : job.input_bytes;
        version = apply_job(version, &job);
        assert_true(++count < 10000); /* it comes to rest */
    }
    assert_int_equal(gy_compact_debt(version, &options), 0);
    return version;
}

/* Goal:   a tree under random writes comes to rest after each flush, with levels in shape and an
 *         amplification as a leveled tree of its size has.
 * Method: flush tables over all keys, apply each pick as if it had been run. */
static void
compact_pick_keeps_a_tree_in_shape(void **state)
{
    struct gy_version *version = gy_version_make_empty(&kit.loop.heap);
    struct gy_compact_cursor cursor = {{NULL}, {0}};
    uint64_t moved = 0;
    uint64_t targets[GY_LEVEL_COUNT];
    (void)state;

    for (uint32_t i = 0; i < 1000; i++) {
        version = flush(version, 5 + i % 7, KEYS - 5 - i % 11);
        version = settle(version, &cursor, &moved);
        assert_true(version->levels[0].count < options.level0_tables);
    }
    (void)gy_compact_targets(version, &options, targets);
    for (uint32_t level = 1; level < GY_LEVEL_COUNT; level++) {
        assert_true(version->levels[level].bytes <= targets[level]);
    }
    assert_in_range(moved / TABLE_SIZE, 1000, 30 * 1000);
    gy_compact_cursor_fini(&kit.loop.heap, &cursor);
    gy_version_unref(version);
}

/* Goal:   keys in order cost nothing but moves.
 * Method: flush disjoint ascending ranges. */
static void
compact_pick_moves_tables_of_ordered_keys(void **state)
{
    struct gy_version *version = gy_version_make_empty(&kit.loop.heap);
    struct gy_compact_cursor cursor = {{NULL}, {0}};
    uint64_t moved = 0;
    (void)state;

    for (uint32_t i = 0; i < 500; i++) {
        version = flush(version, 10 * i, 10 * i + 9);
        version = settle(version, &cursor, &moved);
    }
    assert_int_equal(moved, 0);
    gy_compact_cursor_fini(&kit.loop.heap, &cursor);
    gy_version_unref(version);
}

/* Goal:   no range is forgotten: every table is compacted sooner or later, however dear it is (D2).
 * Method: a tree with some tables that overlap ten times more than others; write only to one
 *         spot and wait until every table of the level above the bottom that was there at the
 *         start has gone. */
static void
compact_pick_reaches_every_table(void **state)
{
    enum { COUNT = 120 };
    struct gy_version *version = gy_version_make_empty(&kit.loop.heap);
    struct gy_compact_cursor cursor = {{NULL}, {0}};
    uint64_t moved = 0;
    uint64_t first_new;
    uint32_t left = COUNT;
    uint32_t flushes = 0;
    struct gy_rng rng;
    (void)state;

    gy_rng_init(&rng, 3);
    for (uint32_t i = 0; i < COUNT; i++) { /* every third one is wide */
        struct gy_table *table = table_kit_make(&kit, GY_LEVEL_COUNT - 2, 800 * i,
                                                800 * i + (i % 3 == 0 ? 790 : 20), TABLE_SIZE);

        version = table_kit_add(version, &table, 1);
    }
    version = fill_level(version, &rng, GY_LEVEL_COUNT - 1, 1200);
    first_new = kit.next_number;
    for (; left > 0 && flushes < 20000; flushes++) {
        version = flush(version, 50000, 52000);
        version = settle(version, &cursor, &moved);
        left = 0;
        for (uint32_t i = 0; i < version->levels[GY_LEVEL_COUNT - 2].count; i++) {
            left += version->levels[GY_LEVEL_COUNT - 2].tables[i]->meta.number < first_new ? 1 : 0;
        }
    }
    assert_int_equal(left, 0);
    gy_compact_cursor_fini(&kit.loop.heap, &cursor);
    gy_version_unref(version);
}

/* Goal:   level 0 that has piled up goes down oldest first, in jobs of bounded width, and order
 *         stays right.
 * Method: 50 tables over all keys at once. */
static void
compact_pick_takes_the_oldest_tables_of_a_full_level0(void **state)
{
    struct gy_version *version = gy_version_make_empty(&kit.loop.heap);
    struct gy_compact_job job;
    (void)state;

    for (uint32_t i = 0; i < 50; i++) {
        version = flush(version, 0, KEYS);
    }
    assert_true(gy_compact_pick(version, &options, NULL, &job));
    check_job(version, &job);
    assert_true(job.is_trivial_move); /* the very first has nothing below */
    version = apply_job(version, &job);
    assert_true(gy_compact_pick(version, &options, NULL, &job));
    check_job(version, &job);
    assert_int_equal(job.input_count[0], GY_COMPACT_LEVEL0_MAX);
    gy_version_unref(version);
}

/* Goal:   data above the base level drains, level 0 does not pass it by.
 * Method: a store whose bottom has shrunk leaves a level with data above where the base would
 *         be. */
static void
compact_pick_does_not_pass_by_a_level_with_data(void **state)
{
    struct gy_version *version = gy_version_make_empty(&kit.loop.heap);
    struct gy_table *tables[] = {table_kit_make(&kit, 2, 0, 100, 500),
                                 table_kit_make(&kit, 6, 0, 1000, 5000)};
    struct gy_compact_cursor cursor = {{NULL}, {0}};
    uint64_t moved = 0;
    (void)state;

    version = table_kit_add(version, tables, 2);
    assert_int_equal(gy_compact_base_level(version, &options), 2);
    version = settle(version, &cursor, &moved);
    assert_int_equal(version->levels[2].count, 0);
    assert_int_equal(gy_compact_base_level(version, &options), 6);
    gy_compact_cursor_fini(&kit.loop.heap, &cursor);
    gy_version_unref(version);
}

/* Goal:   a range goes down level by level until all of it is in the last one, which is
 *         rewritten once.
 * Method: as compact_range does: every level from the top, until the pick says no. */
static void
compact_pick_range_moves_a_range_down(void **state)
{
    struct gy_rng rng;
    (void)state;

    gy_rng_init(&rng, 9);
    for (uint32_t round = 0; round < 200; round++) {
        struct gy_version *version = random_version(&rng);
        const bool is_open = round % 3 == 0;
        struct gyre_slice from = is_open ? gyre_slice(NULL, 0) : table_kit_key(30000);
        struct gyre_slice to = is_open ? gyre_slice(NULL, 0) : table_kit_key(60000);
        uint8_t from_bytes[4];
        uint8_t to_bytes[4];
        uint8_t next_bytes[5];
        struct gy_compact_job job;
        uint32_t jobs = 0;

        if (!is_open) {
            memcpy(from_bytes, from.data, 4);
            memcpy(to_bytes, to.data, 4);
            from.data = from_bytes;
            to.data = to_bytes;
        }
        for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
            struct gyre_slice at = from;

            while (gy_compact_pick_range(version, &options, level, at, to, true, &job)) {
                const uint32_t last = job.input_count[0] - 1;

                check_job(version, &job);
                assert_int_equal(job.level, level);
                assert_true(++jobs < 5000);
                if (job.level == job.level_output) { /* go on behind it */
                    assert_false(job.is_trivial_move);
                    memcpy(next_bytes, job.inputs[0][last]->meta.largest.data, 4);
                    next_bytes[4] = 0;
                    at = gyre_slice(next_bytes, 5);
                }
                version = apply_job(version, &job);
            }
            if (level < GY_LEVEL_COUNT - 1 && version->levels[level].count > 0) {
                bool has_deeper = false;

                for (uint32_t l = level + 1; l < GY_LEVEL_COUNT; l++) {
                    has_deeper = has_deeper || version->levels[l].count > 0;
                }
                assert_true(level > 0
                                ? !has_deeper || !gy_version_overlaps(version, level, from, to)
                                : !gy_version_overlaps(version, 0, from, to));
            }
        }
        gy_version_unref(version);
    }
}

/* Side by side in the last level, `size` bytes each. */
static struct gy_version *
fill_bottom(uint32_t count, uint64_t size)
{
    struct gy_table **tables = calloc(count, sizeof(*tables));
    struct gy_version *version;

    assert_non_null(tables);
    for (uint32_t i = 0; i < count; i++) {
        tables[i] = table_kit_make(&kit, GY_LEVEL_COUNT - 1, 10 * i, 10 * i + 5, size);
    }
    version = table_kit_add(gy_version_make_empty(&kit.loop.heap), tables, count);
    free(tables);
    return version;
}

/* How many tables of [0, `to`] one job rewrites in the last level. */
static uint32_t
count_in_place(const struct gy_version *version, uint32_t to)
{
    struct gy_compact_job job;

    assert_true(gy_compact_pick_range(version, &options, GY_LEVEL_COUNT - 1, table_kit_key(0),
                                      table_kit_key(to), true, &job));
    check_job(version, &job);
    assert_int_equal(job.level_output, job.level);
    assert_ptr_equal(job.inputs[0], version->levels[job.level].tables);
    return job.input_count[0];
}

/* Goal:   a job in the last level takes the tables of its range and no other, as many as
 *         job_bytes_max allows to the byte, and no more than a manifest edit can name.
 * Method: a range that ends with a table, before it, and in the gap behind it; sizes that add up to
 *         the limit, and one byte more; more tables than a job may have. */
static void
compact_pick_in_place_stops_at_its_limits(void **state)
{
    struct gy_version *version = fill_bottom(20, TABLE_SIZE);
    (void)state;

    assert_int_equal(count_in_place(version, 0), 1);
    assert_int_equal(count_in_place(version, 39), 4);
    assert_int_equal(count_in_place(version, 40), 5);
    assert_int_equal(count_in_place(version, 49), 5);
    gy_version_unref(version);
    version = fill_bottom(20, options.job_bytes_max / 5);
    assert_int_equal(count_in_place(version, KEYS), 5);
    gy_version_unref(version);
    version = fill_bottom(20, options.job_bytes_max / 5 + 1);
    assert_int_equal(count_in_place(version, KEYS), 4);
    gy_version_unref(version);
    version = fill_bottom(20, 2 * options.job_bytes_max); /* one at least, or nothing ever moves */
    assert_int_equal(count_in_place(version, KEYS), 1);
    gy_version_unref(version);
    version = fill_bottom(GY_COMPACT_INPUTS_MAX + 3, 1);
    assert_int_equal(count_in_place(version, KEYS), GY_COMPACT_INPUTS_MAX);
    gy_version_unref(version);
}

/* Goal: of tables that are equally dear to move the one that is full of tombstones goes first. */
static void
compact_pick_prefers_tombstones(void **state)
{
    struct gy_version *version = gy_version_make_empty(&kit.loop.heap);
    struct gy_compact_job job;
    (void)state;

    for (uint32_t level = GY_LEVEL_COUNT - 2; level < GY_LEVEL_COUNT; level++) {
        struct gy_table *tables[10];

        for (uint32_t i = 0; i < 10; i++) {
            tables[i] = table_kit_make(&kit, level, i * 100, i * 100 + 99, TABLE_SIZE);
        }
        version = table_kit_add(version, tables, 10);
    }
    assert_true(gy_compact_pick(version, &options, NULL, &job));
    assert_int_equal(table_kit_number(job.inputs[0][0]->meta.smallest), 0);
    version->levels[GY_LEVEL_COUNT - 2].tables[7]->meta.delete_count = 80;
    assert_true(gy_compact_pick(version, &options, NULL, &job));
    assert_int_equal(table_kit_number(job.inputs[0][0]->meta.smallest), 700);
    gy_version_unref(version);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(compact_pick_gives_sound_jobs_of_random_trees, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(compact_pick_leaves_levels_at_work_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(compact_pick_keeps_a_tree_in_shape, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compact_pick_moves_tables_of_ordered_keys, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(compact_pick_reaches_every_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compact_pick_takes_the_oldest_tables_of_a_full_level0,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(compact_pick_does_not_pass_by_a_level_with_data, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(compact_pick_prefers_tombstones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compact_pick_range_moves_a_range_down, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compact_pick_in_place_stops_at_its_limits, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
