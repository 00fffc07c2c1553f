/* test_compact_run.c - flush and compaction against a model, on a simulated disk: what each
 * snapshot sees stays, what nobody sees goes, and a job that fails leaves no trace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/lsm_rig.h"

#define KEYS 300u
#define OPS_MAX 30000u
#define SNAPSHOTS_MAX 8u

/* One write: the model is all of them in order. */
struct op {
    uint32_t key;
    uint32_t size; /* of the value */
    bool is_delete;
};

struct test {
    struct lsm_rig rig;
    struct gy_rng rng;
    struct op ops[OPS_MAX]; /* ops[i] has sequence i + 1 */
    uint32_t op_count;
    uint64_t snapshots[SNAPSHOTS_MAX]; /* ascending */
    uint32_t snapshot_count;
    uint64_t checked;
};

static uint8_t value_bytes[1024];

static struct gyre_slice
key_of(uint32_t number, char target[16])
{
    /* Of different lengths, and some prefixes of others. */
    const int size = number % 7 == 0 ? snprintf(target, 16, "k%04u", number / 7 * 7)
                                     : snprintf(target, 16, "k%04ux%u", number / 7 * 7, number);

    return gyre_slice(target, (size_t)size);
}

static struct gyre_slice
value_of(const struct test *test, uint64_t sequence)
{
    /* The window of bytes tells one write from the next. */
    return gyre_slice(value_bytes + sequence % 251, test->ops[sequence - 1].size);
}

static struct test *
fixture_make(uint64_t seed)
{
    struct test *test = calloc(1, sizeof(*test));

    for (size_t i = 0; i < sizeof(value_bytes); i++) {
        value_bytes[i] = (uint8_t)(i % 251);
    }
    lsm_rig_init(&test->rig, seed);
    gy_rng_init(&test->rng, seed);
    return test;
}

static void
fixture_free(struct test *test)
{
    lsm_rig_fini(&test->rig);
    free(test);
}

/* `count` random writes into a memtable. */
static struct gy_memtable *
write_some(struct test *test, uint32_t count)
{
    struct gy_memtable *memtable = lsm_rig_memtable(&test->rig);
    const uint32_t from = (uint32_t)gy_rng_below(&test->rng, KEYS / 2);
    const uint32_t width = gy_rng_below(&test->rng, 2) == 0 ? KEYS - from : 1 + KEYS / 8;

    for (uint32_t i = 0; i < count; i++) {
        struct op *op = &test->ops[test->op_count++];
        char buffer[16];

        assert_true(test->op_count < OPS_MAX);
        op->key = from + (uint32_t)gy_rng_below(&test->rng, width);
        op->is_delete = gy_rng_below(&test->rng, 3) == 0;
        op->size = op->is_delete ? 0 : (uint32_t)gy_rng_below(&test->rng, 300);
        lsm_rig_add(memtable, key_of(op->key, buffer), test->op_count,
                    op->is_delete ? GY_KIND_DELETE : GY_KIND_PUT,
                    op->is_delete ? gyre_slice(NULL, 0) : value_of(test, test->op_count));
    }
    return memtable;
}

/* The write that `sequence` sees of each key: its sequence, 0 = none or deleted. */
static void
model_at(const struct test *test, uint64_t sequence, uint64_t ret_seen[KEYS])
{
    memset(ret_seen, 0, KEYS * sizeof(*ret_seen));
    for (uint64_t i = 1; i <= sequence && i <= test->op_count; i++) {
        ret_seen[test->ops[i - 1].key] = test->ops[i - 1].is_delete ? 0 : i;
    }
}

static int
compare_keys(const void *a, const void *b)
{
    char buffers[2][16];

    return gy_key_compare(key_of(*(const uint32_t *)a, buffers[0]),
                          key_of(*(const uint32_t *)b, buffers[1]));
}

/* A walk over all tables at `sequence` shows what the model has, in order, and nothing else. */
static GY_SUSPENDS void
await_check_at(struct test *test, uint64_t sequence)
{
    struct gy_cursor *cursor = lsm_rig_cursor(&test->rig, GY_CURSOR_USER);
    uint64_t seen[KEYS];
    uint32_t order[KEYS];
    uint32_t at = 0;
    uint8_t last[16];
    size_t last_size = 0;

    model_at(test, sequence, seen);
    for (uint32_t i = 0; i < KEYS; i++) {
        order[i] = i;
    }
    qsort(order, KEYS, sizeof(order[0]), compare_keys);
    for (gy_cursor_await_first(cursor); cursor->valid; gy_cursor_await_next(cursor)) {
        const struct gy_entry *entry = &cursor->entry;
        char buffer[16];
        struct gyre_slice expected;

        if (gy_tag_sequence(entry->tag) > sequence ||
            (last_size > 0 && gy_key_compare(entry->key, gyre_slice(last, last_size)) == 0)) {
            continue;
        }
        memcpy(last, entry->key.data, entry->key.size);
        last_size = entry->key.size;
        if (gy_tag_kind(entry->tag) == GY_KIND_DELETE) {
            continue;
        }
        while (at < KEYS && seen[order[at]] == 0) {
            at++;
        }
        assert_true(at < KEYS);
        expected = key_of(order[at], buffer);
        assert_int_equal(gy_key_compare(entry->key, expected), 0);
        expected = value_of(test, seen[order[at]]);
        assert_int_equal(gy_key_compare(entry->value, expected), 0);
        assert_true(gy_tag_sequence(entry->tag) == seen[order[at]] ||
                    gy_tag_sequence(entry->tag) == 0);
        at++;
        test->checked++;
    }
    assert_int_equal(cursor->status, GYRE_OK);
    while (at < KEYS && seen[order[at]] == 0) {
        at++;
    }
    assert_int_equal(at, KEYS);
    gy_cursor_close(cursor);
}

static GY_SUSPENDS void
await_check(struct test *test)
{
    await_check_at(test, test->op_count);
    for (uint32_t i = 0; i < test->snapshot_count; i++) {
        await_check_at(test, test->snapshots[i]);
    }
}

static void
change_snapshots(struct test *test)
{
    if (test->snapshot_count > 0 && gy_rng_below(&test->rng, 3) == 0) {
        const uint32_t at = (uint32_t)gy_rng_below(&test->rng, test->snapshot_count);

        test->snapshot_count--;
        memmove(&test->snapshots[at], &test->snapshots[at + 1],
                (test->snapshot_count - at) * sizeof(test->snapshots[0]));
    }
    if (test->snapshot_count < SNAPSHOTS_MAX && gy_rng_below(&test->rng, 2) == 0 &&
        (test->snapshot_count == 0 || test->snapshots[test->snapshot_count - 1] < test->op_count)) {
        test->snapshots[test->snapshot_count++] = test->op_count;
    }
}

/* After everything was compacted with no snapshot left: what is there is what is alive. */
static void
assert_only_live_entries(struct test *test)
{
    uint64_t seen[KEYS];
    uint64_t alive = 0;
    uint64_t entries = 0;

    model_at(test, test->op_count, seen);
    for (uint32_t i = 0; i < KEYS; i++) {
        alive += seen[i] != 0 ? 1 : 0;
    }
    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < test->rig.version->levels[level].count; i++) {
            const struct gy_table_meta *meta = &test->rig.version->levels[level].tables[i]->meta;

            assert_int_equal(meta->delete_count, 0);
            assert_int_equal(meta->sequence_max, 0); /* J4 */
            entries += meta->entry_count;
        }
    }
    assert_int_equal(entries, alive);
}

static void
run_model(void *arg)
{
    struct test *test = arg;

    gy_in_coroutine();
    for (uint32_t round = 0; round < 40; round++) {
        change_snapshots(test);
        lsm_rig_await_flush(&test->rig, write_some(test, 200), test->snapshots,
                            test->snapshot_count);
        if (round % 5 == 4) {
            await_check(test);
        }
        lsm_rig_await_settle(&test->rig, test->snapshots, test->snapshot_count);
        await_check(test);
    }
    lsm_rig_await_compact_all(&test->rig, test->snapshots, test->snapshot_count);
    await_check(test);
    test->snapshot_count = 0;
    lsm_rig_await_compact_all(&test->rig, test->snapshots, 0);
    await_check(test);
    assert_only_live_entries(test);
}

/* Goal:   whatever is flushed and compacted, in whatever order picks come, each snapshot and now
 *         see what they must; at the end nothing is left that nobody can see (J1, J2, J4, J6).
 * Method: random writes, deletes and snapshots against the list of all writes. */
static void
compact_run_keeps_what_each_snapshot_sees(void **state)
{
    (void)state;

    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct test *test = fixture_make(seed);

        lsm_rig_run(&test->rig, run_model, test);
        assert_true(test->checked > 2000);
        assert_true(test->rig.job_count > 20);
        fixture_free(test);
    }
}

/* ---- Tombstones, by hand (RELIABILITY bug 14, mutant 12) ---- */

static struct gy_memtable *
one_entry(struct test *test, const char *key, uint64_t sequence, enum gy_kind kind)
{
    struct gy_memtable *memtable = lsm_rig_memtable(&test->rig);

    lsm_rig_add(memtable, gyre_str(key), sequence, kind,
                kind == GY_KIND_PUT ? gyre_str("value") : gyre_slice(NULL, 0));
    return memtable;
}

/* Entries of `key` in all tables. */
static GY_SUSPENDS uint32_t
await_count(struct test *test, const char *key, enum gy_kind kind)
{
    struct gy_cursor *cursor = lsm_rig_cursor(&test->rig, GY_CURSOR_USER);
    uint32_t count = 0;

    for (gy_cursor_await_first(cursor); cursor->valid; gy_cursor_await_next(cursor)) {
        if (gy_key_compare(cursor->entry.key, gyre_str(key)) == 0 &&
            gy_tag_kind(cursor->entry.tag) == kind) {
            count++;
        }
    }
    assert_int_equal(cursor->status, GYRE_OK);
    gy_cursor_close(cursor);
    return count;
}

/* All tables of `level` into `level_output`, with what is there. */
static struct gy_compact_job
job_of(struct test *test, uint32_t level, uint32_t level_output)
{
    const struct gy_version *version = test->rig.version;
    struct gy_compact_job job = {.level = level, .level_output = level_output};

    job.inputs[0] = version->levels[level].tables;
    job.input_count[0] = version->levels[level].count;
    job.inputs[1] = version->levels[level_output].tables;
    job.input_count[1] = version->levels[level_output].count;
    job.input_bytes = version->levels[level].bytes + version->levels[level_output].bytes;
    return job;
}

static void
run_deeper(void *arg)
{
    struct test *test = arg;
    struct gy_compact_job job;

    gy_in_coroutine();
    /* The value lies two levels below the tombstone; the level between has nothing near it. */
    lsm_rig_await_place(&test->rig, one_entry(test, "m", 1, GY_KIND_PUT), 6);
    lsm_rig_await_place(&test->rig, one_entry(test, "a", 2, GY_KIND_PUT), 5);
    lsm_rig_await_place(&test->rig, one_entry(test, "m", 10, GY_KIND_DELETE), 4);
    job = job_of(test, 4, 5);
    assert_int_equal(lsm_rig_await_job(&test->rig, &job, NULL, 0), GYRE_OK);
    assert_int_equal(await_count(test, "m", GY_KIND_DELETE), 1);
    assert_int_equal(await_count(test, "m", GY_KIND_PUT), 1);
    /* One level further it meets the value: both go. */
    job = job_of(test, 5, 6);
    assert_int_equal(lsm_rig_await_job(&test->rig, &job, NULL, 0), GYRE_OK);
    assert_int_equal(await_count(test, "m", GY_KIND_DELETE), 0);
    assert_int_equal(await_count(test, "m", GY_KIND_PUT), 0);
    assert_int_equal(await_count(test, "a", GY_KIND_PUT), 1);
}

static void
run_skipped(void *arg)
{
    struct test *test = arg;
    struct gy_compact_job job;

    gy_in_coroutine();
    /* The value lies in a level between input and output. */
    lsm_rig_await_place(&test->rig, one_entry(test, "m", 1, GY_KIND_PUT), 3);
    lsm_rig_await_place(&test->rig, one_entry(test, "m", 10, GY_KIND_DELETE), 0);
    job = job_of(test, 0, 5);
    assert_int_equal(lsm_rig_await_job(&test->rig, &job, NULL, 0), GYRE_OK);
    assert_int_equal(await_count(test, "m", GY_KIND_DELETE), 1);
}

static void
run_level0(void *arg)
{
    struct test *test = arg;
    struct gy_compact_job job;

    gy_in_coroutine();
    /* The value lies in an older table of level 0 that is not in the job. */
    lsm_rig_await_place(&test->rig, one_entry(test, "m", 1, GY_KIND_PUT), 0);
    lsm_rig_await_place(&test->rig, one_entry(test, "m", 10, GY_KIND_DELETE), 0);
    job = job_of(test, 0, 6);
    job.input_count[0] = 1;
    assert_int_equal(lsm_rig_await_job(&test->rig, &job, NULL, 0), GYRE_OK);
    assert_int_equal(await_count(test, "m", GY_KIND_DELETE), 1);
}

static void
run_newer_level0(void *arg)
{
    struct test *test = arg;
    struct gy_compact_job job;

    gy_in_coroutine();
    /* A newer table of level 0 outside the job does not keep a tombstone. */
    lsm_rig_await_place(&test->rig, one_entry(test, "m", 1, GY_KIND_DELETE), 0);
    lsm_rig_await_place(&test->rig, one_entry(test, "m", 10, GY_KIND_PUT), 0);
    job = job_of(test, 0, 6);
    job.inputs[0]++;
    job.input_count[0] = 1;
    assert_int_equal(lsm_rig_await_job(&test->rig, &job, NULL, 0), GYRE_OK);
    assert_int_equal(await_count(test, "m", GY_KIND_DELETE), 0);
    assert_int_equal(await_count(test, "m", GY_KIND_PUT), 1);
}

static void
run_sequence(void *arg)
{
    struct test *test = arg;
    struct gy_compact_job job;
    const struct gy_table_meta *meta;

    gy_in_coroutine();
    /* In the last level, but something older is left outside: the sequence still tells which one
     * counts. */
    lsm_rig_await_place(&test->rig, one_entry(test, "m", 1, GY_KIND_PUT), 3);
    lsm_rig_await_place(&test->rig, one_entry(test, "m", 10, GY_KIND_PUT), 0);
    job = job_of(test, 0, 5);
    assert_int_equal(lsm_rig_await_job(&test->rig, &job, NULL, 0), GYRE_OK);
    meta = &test->rig.version->levels[5].tables[0]->meta;
    assert_int_equal(meta->sequence_min, 10);
    /* Alone in the last level it says nothing more (J4). */
    job = job_of(test, 3, 5);
    assert_int_equal(lsm_rig_await_job(&test->rig, &job, NULL, 0), GYRE_OK);
    meta = &test->rig.version->levels[5].tables[0]->meta;
    assert_int_equal(meta->sequence_max, 0);
    assert_int_equal(meta->entry_count, 1);
}

static void
run_snapshot(void *arg)
{
    static const uint64_t early[] = {5};
    static const uint64_t late[] = {12};
    struct test *test = arg;
    struct gy_compact_job job;

    gy_in_coroutine();
    /* A snapshot between value and tombstone needs the value, so the tombstone too. */
    lsm_rig_await_place(&test->rig, one_entry(test, "m", 3, GY_KIND_PUT), 6);
    lsm_rig_await_place(&test->rig, one_entry(test, "m", 10, GY_KIND_DELETE), 5);
    job = job_of(test, 5, 6);
    assert_int_equal(lsm_rig_await_job(&test->rig, &job, early, 1), GYRE_OK);
    assert_int_equal(await_count(test, "m", GY_KIND_DELETE), 1);
    assert_int_equal(await_count(test, "m", GY_KIND_PUT), 1);
    /* One after both needs neither. */
    job = (struct gy_compact_job){.level = 6,
                                  .level_output = 6,
                                  .inputs = {test->rig.version->levels[6].tables, NULL},
                                  .input_count = {1, 0}};
    assert_int_equal(lsm_rig_await_job(&test->rig, &job, late, 1), GYRE_OK);
    assert_int_equal(test->rig.version->table_count, 0);
}

/* Goal:   a tombstone stays as long as something older of its key lies anywhere outside the job,
 *         or a snapshot needs it; and goes as soon as neither is so (J2). The same for sequences
 *         in the last level (J4).
 * Method: each place where the older value can hide, by hand. */
static void
compact_run_drops_tombstones_only_when_nothing_older_is_left(void **state)
{
    static void (*const cases[])(void *arg) = {run_deeper,       run_skipped,  run_level0,
                                               run_newer_level0, run_sequence, run_snapshot};
    (void)state;

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test *test = fixture_make(i);

        lsm_rig_run(&test->rig, cases[i], test);
        fixture_free(test);
    }
}

/* ---- Where outputs end ---- */

static void
run_versions(void *arg)
{
    enum { VERSIONS = 500 };
    static uint64_t snapshots[VERSIONS];
    struct test *test = arg;
    struct gy_memtable *memtable = lsm_rig_memtable(&test->rig);
    uint64_t sequence = 0;

    gy_in_coroutine();
    for (uint32_t i = 0; i < VERSIONS; i++) {
        char buffer[16];

        for (uint32_t k = 0; k < 3; k++) {
            lsm_rig_add(memtable, key_of(k, buffer), ++sequence, GY_KIND_PUT,
                        gyre_slice(value_bytes, 200));
        }
        snapshots[i] = sequence;
    }
    lsm_rig_await_flush(&test->rig, memtable, snapshots, VERSIONS);
    lsm_rig_await_compact_all(&test->rig, snapshots, VERSIONS);
    /* 100 KB of each key in tables of 16 KiB: none may be split. */
    assert_true(gy_version_is_sound(test->rig.version));
    assert_int_equal(test->rig.version->levels[6].count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct gy_table_meta *meta = &test->rig.version->levels[6].tables[i]->meta;

        assert_int_equal(gy_key_compare(meta->smallest, meta->largest), 0);
        assert_int_equal(meta->entry_count, VERSIONS);
    }
}

/* Goal:   the versions of one key never lie in two tables, however many they are (J3, mutant 13).
 * Method: 500 versions of three keys, all needed by snapshots. */
static void
compact_run_never_splits_a_key(void **state)
{
    struct test *test = fixture_make(11);
    (void)state;

    lsm_rig_run(&test->rig, run_versions, test);
    fixture_free(test);
}

static void
run_spans(void *arg)
{
    struct test *test = arg;
    struct lsm_rig *rig = &test->rig;
    struct gy_compact_job job;

    gy_in_coroutine();
    /* 200 tables in level 6; level 4 holds few bytes over all their keys. */
    for (uint32_t i = 0; i < 200; i++) {
        char key[16];
        struct gy_memtable *memtable = lsm_rig_memtable(rig);

        for (uint32_t j = 0; j < 8; j++) {
            (void)snprintf(key, sizeof(key), "k%03u%u", i, j);
            lsm_rig_add(memtable, gyre_str(key), 1, GY_KIND_PUT, gyre_slice(value_bytes, 1000));
        }
        lsm_rig_await_place(rig, memtable, 6);
    }
    struct gy_memtable *memtable = lsm_rig_memtable(rig);

    for (uint32_t i = 0; i < 200; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "k%03u0", i);
        lsm_rig_add(memtable, gyre_str(key), 2, GY_KIND_PUT, gyre_slice(value_bytes, 10));
    }
    lsm_rig_await_place(rig, memtable, 4);
    job = job_of(test, 4, 5);
    assert_int_equal(lsm_rig_await_job(rig, &job, NULL, 0), GYRE_OK);
    assert_in_range(rig->version->levels[5].count, 4, 30);
    for (uint32_t i = 0; i < rig->version->levels[5].count; i++) {
        const struct gy_table_meta *meta = &rig->version->levels[5].tables[i]->meta;
        uint64_t bytes = 0;

        for (uint32_t j = 0; j < rig->version->levels[6].count; j++) {
            const struct gy_table_meta *below = &rig->version->levels[6].tables[j]->meta;

            if (gy_key_compare(below->smallest, meta->largest) <= 0 &&
                gy_key_compare(meta->smallest, below->largest) <= 0) {
                bytes += below->size;
            }
        }
        assert_in_range(bytes, 1, (GY_COMPACT_SPAN_MAX + 2) * rig->options.table_size);
    }
}

/* Goal:   an output does not lie across more of the level below it than is cheap to merge with
 *         (J8).
 * Method: few bytes over many tables. */
static void
compact_run_ends_outputs_that_lie_across_much(void **state)
{
    struct test *test = fixture_make(12);
    (void)state;

    lsm_rig_run(&test->rig, run_spans, test);
    fixture_free(test);
}

/* ---- Failures ---- */

struct failure {
    struct test *test;
    struct gy_sim_faults faults;
    gyre_status expected;
    uint32_t failed;
};

static void
assert_no_new_files(struct lsm_rig *rig, uint64_t number_before)
{
    for (uint64_t number = number_before; number < rig->next_number; number++) {
        assert_false(lsm_rig_has_file(rig, number));
    }
}

static void
run_failure(void *arg)
{
    /* Needed by somebody: enough for several outputs. */
    static const uint64_t snapshots[] = {200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100};
    struct failure *failure = arg;
    struct test *test = failure->test;
    struct lsm_rig *rig = &test->rig;
    uint64_t number_before;

    gy_in_coroutine();
    for (uint32_t i = 0; i < 5; i++) { /* tables stay open from try to try, so each reads less */
        lsm_rig_await_flush(rig, write_some(test, 400), snapshots, 10);
    }
    rig->job = job_of(test, 0, 6);
    for (uint64_t nth = 1;; nth++) {
        gyre_status status;

        number_before = rig->next_number;
        failure->faults.rules[0].nth = nth;
        gy_world_sim_set_faults(rig->world, &failure->faults);
        status = lsm_rig_await_job(rig, &rig->job, snapshots, 10);
        gy_world_sim_set_faults(rig->world, NULL);
        if (status == GYRE_OK) {
            break;
        }
        failure->failed++;
        assert_int_equal(status, failure->expected);
        assert_int_equal(gy_sched_error(&rig->loop.sched)->status, failure->expected);
        assert_no_new_files(rig, number_before);
        assert_true(gy_version_is_sound(rig->version)); /* reading it would fill the cache */
    }
    assert_in_range(rig->version->levels[6].count, 3, 100);
    await_check_at(test, test->op_count);
    await_check_at(test, 700);
}

static void
check_failure(const struct gy_sim_rule *rule, gyre_status expected, uint32_t failed_min)
{
    struct failure failure = {.expected = expected};

    failure.faults.rule_count = 1;
    failure.faults.rules[0] = *rule;
    failure.test = fixture_make(21);
    lsm_rig_run(&failure.test->rig, run_failure, &failure);
    if (failure.failed < failed_min) {
        fail_msg("op mask %x: %u failures", rule->op_mask, failure.failed);
    }
    fixture_free(failure.test);
}

/* Goal:   an input that cannot be read fails the job: no output stays, inputs are as they were,
 *         and the same job works later (J5, mutant 14).
 * Method: the n-th read and all after it fail, for all n. */
static void
compact_run_fails_when_an_input_cannot_be_read(void **state)
{
    const struct gy_sim_rule rule = {.fault = GY_SIM_FAULT_ERROR,
                                     .op_mask = 1u << GY_OP_READ,
                                     .name = ".sst",
                                     .is_repeated = true};
    (void)state;

    check_failure(&rule, GYRE_IO, 5);
}

/* Goal:   the same when an output cannot be written, synced or allocated. */
static void
compact_run_removes_its_outputs_when_they_cannot_be_written(void **state)
{
    const struct gy_sim_rule write = {
        .fault = GY_SIM_FAULT_ERROR, .op_mask = 1u << GY_OP_WRITE, .name = ".sst"};
    const struct gy_sim_rule sync = {
        .fault = GY_SIM_FAULT_ERROR, .op_mask = 1u << GY_OP_SYNC, .name = ".sst"};
    const struct gy_sim_rule full = {.fault = GY_SIM_FAULT_ERROR,
                                     .op_mask = 1u << GY_OP_ALLOCATE,
                                     .name = ".sst",
                                     .is_repeated = true,
                                     .os_errno = 28};
    (void)state;

    check_failure(&write, GYRE_IO, 3);
    check_failure(&sync, GYRE_IO, 3);
    check_failure(&full, GYRE_NO_SPACE, 3);
}

static void
run_no_memory(void *arg)
{
    struct test *test = arg;
    struct lsm_rig *rig = &test->rig;
    uint32_t failed = 0;

    gy_in_coroutine();
    for (uint32_t i = 0; i < 3; i++) {
        lsm_rig_await_flush(rig, write_some(test, 150), NULL, 0);
    }
    await_check_at(test, test->op_count); /* what stays open and cached is there now */
    rig->job = job_of(test, 0, 6);
    for (uint64_t n = 1;; n++) {
        const uint64_t number_before = rig->next_number;
        gyre_status status;

        rig->loop.heap.fail_at = rig->loop.heap.allocation_count + n;
        status = lsm_rig_await_job(rig, &rig->job, NULL, 0);
        rig->loop.heap.fail_at = 0;
        if (status == GYRE_OK && rig->version->levels[0].count == 0) {
            break; /* perhaps without read-ahead, where that was what failed */
        }
        assert_int_equal(status, GYRE_NO_MEMORY);
        assert_no_new_files(rig, number_before);
        failed++;
        await_check_at(test, test->op_count);
    }
    assert_true(failed > 3);
    await_check_at(test, test->op_count);
}

/* Goal:   any allocation may fail: the job says so, leaves nothing, and works later (P11).
 * Method: fail the n-th, until the job gets through. */
static void
compact_run_leaves_nothing_when_memory_runs_out(void **state)
{
    struct test *test = fixture_make(31);
    (void)state;

    lsm_rig_run(&test->rig, run_no_memory, test);
    fixture_free(test);
}

static void
run_counts(void *arg)
{
    struct test *test = arg;
    struct lsm_rig *rig = &test->rig;
    const uint64_t number_before = 2;

    gy_in_coroutine();
    lsm_rig_await_flush(rig, write_some(test, 150), NULL, 0);
    assert_int_equal(rig->next_number, number_before);
    await_check_at(test, test->op_count); /* opens it, which looks at the count too */
    rig->job = job_of(test, 0, 6);
    rig->version->levels[0].tables[0]->meta.entry_count++; /* an entry that never comes */
    assert_int_equal(lsm_rig_await_job(rig, &rig->job, NULL, 0), GYRE_CORRUPT);
    assert_no_new_files(rig, number_before);
    rig->version->levels[0].tables[0]->meta.entry_count--;
    rig->context.cancel = &(bool){true};
    assert_int_equal(lsm_rig_await_job(rig, &rig->job, NULL, 0), GYRE_CANCELED);
    assert_no_new_files(rig, number_before);
    rig->context.cancel = NULL;
    assert_int_equal(lsm_rig_await_job(rig, &rig->job, NULL, 0), GYRE_OK);
}

/* Goal:   a job that does not find all entries that the manifest promised is refused (J6); one
 *         that is called off leaves nothing.
 * Method: a wrong count in the manifest entry; the flag. */
static void
compact_run_refuses_when_entries_are_missing(void **state)
{
    struct test *test = fixture_make(41);
    (void)state;

    lsm_rig_run(&test->rig, run_counts, test);
    fixture_free(test);
}

static void
run_budget(void *arg)
{
    struct test *test = arg;
    struct lsm_rig *rig = &test->rig;
    uint64_t number_before;

    gy_in_coroutine();
    for (uint32_t i = 0; i < 4; i++) {
        lsm_rig_await_flush(rig, write_some(test, 150), NULL, 0);
    }
    rig->job = job_of(test, 0, 6);
    for (uint64_t budget = 1; budget < rig->job.input_bytes; budget = 2 * budget + 4096) {
        number_before = rig->next_number;
        rig->context.bytes_max = budget;
        if (lsm_rig_await_job(rig, &rig->job, NULL, 0) == GYRE_OK) {
            assert_true(rig->version->bytes <= budget + rig->context.table_size);
            break;
        }
        assert_int_equal(gy_sched_error(&rig->loop.sched)->status, GYRE_NO_SPACE);
        assert_no_new_files(rig, number_before);
    }
    rig->context.bytes_max = 0;
    await_check_at(test, test->op_count);
}

/* Goal:   a job that would write more than its budget fails with NO_SPACE and leaves nothing; one
 *         that ends OK has kept to it, but for one output. */
static void
compact_run_keeps_to_its_budget(void **state)
{
    struct test *test = fixture_make(51);
    (void)state;

    lsm_rig_run(&test->rig, run_budget, test);
    fixture_free(test);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compact_run_keeps_what_each_snapshot_sees),
        cmocka_unit_test(compact_run_drops_tombstones_only_when_nothing_older_is_left),
        cmocka_unit_test(compact_run_never_splits_a_key),
        cmocka_unit_test(compact_run_ends_outputs_that_lie_across_much),
        cmocka_unit_test(compact_run_fails_when_an_input_cannot_be_read),
        cmocka_unit_test(compact_run_removes_its_outputs_when_they_cannot_be_written),
        cmocka_unit_test(compact_run_leaves_nothing_when_memory_runs_out),
        cmocka_unit_test(compact_run_refuses_when_entries_are_missing),
        cmocka_unit_test(compact_run_keeps_to_its_budget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
