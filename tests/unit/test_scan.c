/* test_scan.c - gyre_scan against a model: limits, going on, buffers of every size; and that
 * compaction comes to where tombstones lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

#define KEYS 400u
#define MANY 100000u
#define MORE 200000u
#define MS 1000000ull

static int
setup(void **state)
{
    *state = db_kit_make(GYRE_IO_AUTO);
    return 0;
}

static int
teardown(void **state)
{
    db_kit_free(*state);
    return 0;
}

/* ---- A range and what has to come of it ---- */

struct range {
    struct gyre_scan scan;
    uint32_t low, high; /* keys [low, high) */
    int64_t at;         /* next index to be looked at */
    uint32_t calls;
    char from[32], upper[32];
};

static bool
is_reverse(const struct range *range)
{
    return (range->scan.flags & GYRE_SCAN_REVERSE) != 0;
}

/* The next key that the model shows, or -1. */
static int64_t
take_next(struct range *range, const struct db_model *model)
{
    while (range->at >= range->low && range->at < range->high) {
        const int64_t at = range->at;

        range->at += is_reverse(range) ? -1 : 1;
        if (model->version[at] != DB_KIT_NONE) {
            return at;
        }
    }
    return -1;
}

static void
check_rows(struct range *range, const struct db_model *model)
{
    const struct gyre_scan *scan = &range->scan;
    const char *end = (const char *)scan->buffer + scan->buffer_size;
    uint64_t bytes = 0;

    assert_true(scan->row_count <= scan->rows_max);
    for (size_t i = 0; i < scan->row_count; i++) {
        const int64_t at = take_next(range, model);

        assert_true(at >= 0);
        const struct gyre_slice key = db_kit_key((uint32_t)at);
        const struct gyre_slice value = db_kit_value((uint32_t)at, model->version[at]);

        assert_int_equal(scan->rows[i].key.size, key.size);
        assert_memory_equal(scan->rows[i].key.data, key.data, key.size);
        assert_int_equal(scan->rows[i].value.size, value.size);
        assert_memory_equal(scan->rows[i].value.data, value.data, value.size);
        assert_true((const char *)scan->rows[i].value.data + value.size <= end);
        bytes += key.size + value.size;
    }
    assert_int_equal(scan->bytes, bytes);
    assert_true(scan->bytes_max == 0 || scan->row_count <= 1 || bytes <= scan->bytes_max);
}

static struct gyre_slice
copy_of(char copy[32], uint32_t index)
{
    const struct gyre_slice key = db_kit_key(index);

    memcpy(copy, key.data, key.size);
    return gyre_slice(copy, key.size);
}

static void
choose_range(struct db_kit *kit, struct range *range)
{
    struct gyre_scan *scan = &range->scan;

    range->low = 0;
    range->high = KEYS;
    switch (db_kit_random(kit, 4)) {
    case 0: /* key000100 .. key000199 */
        scan->prefix = gyre_str("key0001");
        range->low = 100;
        range->high = 200;
        break;
    case 1:
        range->low = (uint32_t)db_kit_random(kit, KEYS);
        range->high = range->low + (uint32_t)db_kit_random(kit, KEYS - range->low);
        scan->from = copy_of(range->from, range->low);
        scan->upper = copy_of(range->upper, range->high);
        break;
    case 2:
        range->low = 150;
        range->high = 200;
        scan->from = copy_of(range->from, 150);
        scan->prefix = gyre_str("key0001");
        break;
    default:
        break;
    }
    range->at = is_reverse(range) ? (int64_t)range->high - 1 : range->low;
}

/* Random limits, often very small. */
static void
choose_limits(struct db_kit *kit, struct gyre_scan *scan, size_t rows_max, size_t buffer_max)
{
    scan->rows_max = 1 + db_kit_random(kit, rows_max);
    scan->buffer_size = 1 + db_kit_random(kit, db_kit_random(kit, 2) == 0 ? 300 : buffer_max);
    scan->bytes_max = db_kit_random(kit, 2) == 0 ? 0 : 1 + db_kit_random(kit, 2000);
    scan->skips_max = db_kit_random(kit, 2) == 0 ? 0 : 1 + db_kit_random(kit, 20);
    scan->time_ns = db_kit_random(kit, 4) == 0 ? 1 : 0;
}

/* One call of a scan that goes on. False: it is done. A buffer too small grows as it is told. */
static bool
scan_some(struct db_kit *kit, struct range *range, const struct db_model *model, void *whole)
{
    struct gyre_scan *scan = &range->scan;
    gyre_status status;

    range->calls++;
    assert_true(range->calls < 100000);
    status = gyre_scan(kit->db, scan);
    if (status == GYRE_INVALID) {
        assert_true(scan->buffer_needed > scan->buffer_size);
        assert_int_equal(scan->row_count, 0);
        scan->buffer = whole;
        scan->buffer_size = scan->buffer_needed;
        status = gyre_scan(kit->db, scan);
    }
    KIT_OK(kit, status);
    assert_int_equal(scan->buffer_needed, 0);
    check_rows(range, model);
    assert_true(scan->skips_max != 0 || scan->stopped != GYRE_SCAN_AT_SKIPS);
    assert_true(scan->time_ns != 0 || scan->stopped != GYRE_SCAN_AT_TIME);
    if (scan->stopped == GYRE_SCAN_AT_END) {
        assert_null(scan->next.data);
        assert_int_equal(take_next(range, model), -1);
    }
    return gyre_scan_go_on(scan);
}

/* Goal:   whatever the limits, going on gives every row of the moment exactly once, in order, in
 *         both directions, while the store changes.
 * Method: random ranges and limits anew for each call, against a copy of the model, with writes,
 *         flushes and compactions between the calls. */
static void
scan_in_parts_gives_each_row_once(void **state)
{
    static char buffer[65536];
    static struct gyre_row rows[64];
    struct db_kit *kit = *state;
    struct db_model model;
    uint32_t seen[6] = {0};

    db_model_init(&model, KEYS);
    for (uint32_t round = 0; round < 120; round++) {
        struct range range = {.scan = GYRE_SCAN(.rows = rows, .buffer = buffer)};
        struct db_model *then = malloc(sizeof(*then));
        gyre_snapshot *snapshot = NULL;
        bool more = true;

        assert_non_null(then);
        db_kit_churn(kit, &model, (uint32_t)db_kit_random(kit, 300));
        *then = model;
        KIT_OK(kit, gyre_snapshot_open(kit->db, &snapshot));
        range.scan.snapshot = snapshot;
        range.scan.flags = db_kit_random(kit, 2) == 0 ? GYRE_SCAN_REVERSE : GYRE_READ_NO_FILL;
        choose_range(kit, &range);
        while (more) {
            choose_limits(kit, &range.scan, 64, sizeof(buffer) - 1);
            more = scan_some(kit, &range, then, buffer);
            seen[range.scan.stopped]++;
            if (db_kit_random(kit, 4) == 0) {
                db_kit_churn(kit, &model, (uint32_t)db_kit_random(kit, 20));
            }
            if (db_kit_random(kit, 60) == 0) {
                KIT_OK(kit, gyre_flush(kit->db));
            }
        }
        gyre_snapshot_release(snapshot);
        free(then);
    }
    for (uint32_t why = 0; why < 6; why++) {
        assert_true(seen[why] > 0);
    }
}

/* ---- Beside writers ---- */

struct beside {
    struct db_kit *kit;
    uint32_t version; /* of the last value that was put */
    uint32_t scanners;
};

static void
write_on(void *arg)
{
    struct beside *beside = arg;

    struct db_kit *kit = beside->kit;

    while (beside->scanners > 0) {
        const uint32_t index = (uint32_t)db_kit_random(kit, KEYS);
        char key[32];
        char bytes[DB_KIT_VALUE_MAX];
        struct gyre_slice value = db_kit_value(index, ++beside->version);

        memcpy(bytes, value.data, value.size); /* the kit's go to others while this one waits */
        value.data = bytes;
        if (beside->version % 4 == 0) {
            KIT_OK(kit, gyre_delete(kit->db, NULL, copy_of(key, index)));
        } else {
            KIT_OK(kit, gyre_put(kit->db, NULL, copy_of(key, index), value));
        }
    }
}

/* What a snapshot shows, by point reads. */
static void
read_model(struct db_kit *kit, const gyre_snapshot *snapshot, struct db_model *model)
{
    db_model_init(model, KEYS);
    for (uint32_t i = 0; i < KEYS; i++) {
        struct gyre_value value;
        char key[32];
        const gyre_status status =
            gyre_get(kit->db, GYRE_READ_OPTIONS(.snapshot = snapshot), copy_of(key, i), &value);

        if (status == GYRE_NOT_FOUND) {
            continue;
        }
        KIT_OK(kit, status);
        assert_int_equal(sscanf(value.data, "%*u-%u", &model->version[i]), 1);
        gyre_value_release(&value);
    }
}

static void
scan_on(void *arg)
{
    struct beside *beside = arg;
    struct db_kit *kit = beside->kit;
    struct db_model *model = malloc(sizeof(*model));
    struct gyre_row *rows = calloc(16, sizeof(*rows));
    char *buffer = malloc(8192);

    assert_true(model != NULL && rows != NULL && buffer != NULL);
    for (uint32_t round = 0; round < 15 || beside->version < 6000; round++) {
        struct range range = {.scan = GYRE_SCAN(.rows = rows, .buffer = buffer)};
        gyre_snapshot *snapshot = NULL;

        KIT_OK(kit, gyre_snapshot_open(kit->db, &snapshot));
        range.scan.snapshot = snapshot;
        range.scan.flags = round % 2 == 0 ? GYRE_SCAN_REVERSE : 0;
        choose_range(kit, &range);
        read_model(kit, snapshot, model);
        do {
            choose_limits(kit, &range.scan, 16, 8191);
        } while (scan_some(kit, &range, model, buffer));
        gyre_snapshot_release(snapshot);
    }
    free(model);
    free(rows);
    free(buffer);
    beside->scanners--;
}

/* Goal: scans see their snapshots while others write, flush and compact in the middle of a call. */
static void
scan_sees_its_snapshot_beside_writers(void **state)
{
    struct db_kit *kit = *state;
    struct beside *beside = calloc(1, sizeof(*beside));
    struct gyre_stats stats = {.struct_size = sizeof(stats)};

    assert_non_null(beside);
    beside->kit = kit;
    beside->scanners = 4;
    for (uint32_t i = 0; i < 4; i++) {
        KIT_OK(kit, gyre_spawn(kit->loop, scan_on, beside, NULL));
    }
    KIT_OK(kit, gyre_spawn(kit->loop, write_on, beside, NULL));
    KIT_OK(kit, gyre_spawn(kit->loop, write_on, beside, NULL));
    KIT_OK(kit, gyre_run(kit->loop));
    assert_int_equal(beside->scanners, 0);
    KIT_OK(kit, gyre_stats(kit->db, &stats));
    assert_true(stats.flush_count > 1 && stats.compaction_count > 1);
    free(beside);
}

/* Goal: without a snapshot, what is there all the time is given once, and nothing twice. */
static void
scan_without_snapshot_gives_lasting_rows_once(void **state)
{
    static char buffer[4096];
    struct gyre_row rows[3];
    struct db_kit *kit = *state;
    struct db_model model;
    uint32_t given[KEYS];

    for (uint32_t direction = 0; direction < 2; direction++) {
        struct gyre_scan scan =
            GYRE_SCAN(.rows = rows, .rows_max = 3, .buffer = buffer, .buffer_size = sizeof(buffer),
                      .skips_max = 5, .flags = direction == 0 ? 0 : GYRE_SCAN_REVERSE);

        memset(given, 0, sizeof(given));
        db_model_init(&model, KEYS);
        for (uint32_t i = 0; i < KEYS; i++) {
            db_kit_put(kit, &model, i);
        }
        do {
            KIT_OK(kit, gyre_scan(kit->db, &scan));
            for (size_t i = 0; i < scan.row_count; i++) {
                unsigned index = 0;

                assert_int_equal(sscanf(rows[i].key.data, "key%u", &index), 1);
                given[index]++;
            }
            for (uint32_t i = 0; i < 3; i++) { /* even keys last */
                const uint32_t index = (uint32_t)db_kit_random(kit, KEYS);

                if (index % 2 == 0) {
                    db_kit_put(kit, &model, index);
                } else {
                    db_kit_delete(kit, &model, index);
                }
            }
        } while (gyre_scan_go_on(&scan));
        for (uint32_t i = 0; i < KEYS; i++) {
            assert_true(given[i] <= 1 && (given[i] == 1 || i % 2 == 1));
        }
    }
}

/* Goal:   many versions of one key neither make a call long nor keep it from going on, also where
 *         all of them are newer than the snapshot. */
static void
scan_passes_a_key_of_many_versions(void **state)
{
    static char buffer[65536];
    struct gyre_row rows[8];
    struct db_kit *kit = *state;
    struct db_model model;
    struct db_model then;
    gyre_snapshot *snapshot = NULL;

    db_model_init(&model, 8);
    for (uint32_t i = 0; i < 8; i++) {
        db_kit_put(kit, &model, i);
    }
    db_kit_delete(kit, &model, 5);
    then = model;
    KIT_OK(kit, gyre_snapshot_open(kit->db, &snapshot));
    for (uint32_t i = 0; i < 200; i++) {
        db_kit_put(kit, &model, 2);
        db_kit_put(kit, &model, 5);
    }
    for (uint32_t turn = 0; turn < 4; turn++) {
        const struct db_model *wanted = turn < 2 ? &then : &model;
        struct range range = {.scan = GYRE_SCAN(.rows = rows, .rows_max = 8, .buffer = buffer,
                                                .buffer_size = sizeof(buffer), .skips_max = 1,
                                                .flags = turn % 2 == 0 ? 0 : GYRE_SCAN_REVERSE,
                                                .snapshot = turn < 2 ? snapshot : NULL),
                              .high = 8};

        range.at = turn % 2 == 0 ? 0 : 7;
        while (scan_some(kit, &range, wanted, buffer)) {
            assert_true(range.scan.skipped <= 34);
        }
        assert_true(range.calls <= 9);
    }
    gyre_snapshot_release(snapshot);
}

static void
expect_invalid(struct db_kit *kit, struct gyre_scan scan)
{
    KIT_IS(kit, gyre_scan(kit->db, &scan), GYRE_INVALID);
}

/* Goal: what makes no sense is refused, and the size that a row takes is told. */
static void
scan_refuses_what_is_out_of_range(void **state)
{
    static char buffer[256];
    static const char big[GYRE_KEY_SIZE_MAX + 2];
    struct gyre_row row;
    struct db_kit *kit = *state;
    const struct gyre_scan good =
        GYRE_SCAN(.rows = &row, .rows_max = 1, .buffer = buffer, .buffer_size = sizeof(buffer));
    struct gyre_scan scan;

    KIT_IS(kit, gyre_scan(kit->db, NULL), GYRE_INVALID);
#define WITH(field, given) (scan = good, scan.field = (given), scan)
    expect_invalid(kit, WITH(struct_size, 8));
    expect_invalid(kit, WITH(flags, 2));
    expect_invalid(kit, WITH(reserved_, 1));
    expect_invalid(kit, WITH(rows, NULL));
    expect_invalid(kit, WITH(rows_max, 0));
    expect_invalid(kit, WITH(buffer, NULL));
    expect_invalid(kit, WITH(from, gyre_slice(big, sizeof(big))));
    expect_invalid(kit, WITH(upper, gyre_slice(big, sizeof(big))));
    expect_invalid(kit, WITH(prefix, gyre_slice(big, GYRE_KEY_SIZE_MAX + 1)));
#undef WITH
    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("k"), gyre_slice(big, 1000)));
    scan = good;
    KIT_IS(kit, gyre_scan(kit->db, &scan), GYRE_INVALID);
    assert_int_equal(scan.buffer_needed, 1002);
    scan = good;
    scan.upper = gyre_str("j");
    KIT_OK(kit, gyre_scan(kit->db, &scan));
    assert_int_equal(scan.stopped, GYRE_SCAN_AT_END);
    /* the longest key can be gone on from */
    KIT_OK(kit, gyre_delete(kit->db, NULL, gyre_str("k")));
    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_slice(big, GYRE_KEY_SIZE_MAX), gyre_str("v")));
    char *large = malloc(GYRE_KEY_SIZE_MAX + 2);
    assert_non_null(large);
    scan = good;
    scan.buffer = large;
    scan.buffer_size = GYRE_KEY_SIZE_MAX + 2;
    KIT_OK(kit, gyre_scan(kit->db, &scan));
    assert_int_equal(scan.row_count, 1);
    assert_true(gyre_scan_go_on(&scan));
    KIT_OK(kit, gyre_scan(kit->db, &scan));
    assert_int_equal(scan.row_count, 0);
    assert_int_equal(scan.stopped, GYRE_SCAN_AT_END);
    free(large);
}

static void
note_done(struct gyre_op *op)
{
    *(bool *)op->arg = true;
}

/* Goal: the completion form answers the same. */
static void
scan_as_an_operation(void **state)
{
    static char buffer[65536];
    static struct gyre_row rows[KEYS];
    struct db_kit *kit = *state;
    struct db_model model;
    struct range range = {.scan = GYRE_SCAN(.rows = rows, .rows_max = KEYS, .buffer = buffer,
                                            .buffer_size = sizeof(buffer)),
                          .high = 50};
    bool done = false;
    struct gyre_op op = GYRE_OP(.kind = GYRE_OP_SCAN, .db = kit->db, .scan = &range.scan,
                                .done = note_done, .arg = &done);

    db_model_init(&model, KEYS);
    for (uint32_t i = 0; i < 50; i++) {
        db_kit_put(kit, &model, i);
    }
    KIT_OK(kit, gyre_flush(kit->db));
    KIT_OK(kit, gyre_submit(&op));
    while (!done) {
        (void)gyre_loop_poll(kit->loop, 100);
    }
    assert_int_equal(op.status, GYRE_OK);
    assert_int_equal(range.scan.stopped, GYRE_SCAN_AT_END);
    check_rows(&range, &model);
    assert_int_equal(take_next(&range, &model), -1);
}

/* ---- Tombstones ---- */

static struct gyre_slice
many_key(uint32_t index)
{
    static char text[16];

    (void)snprintf(text, sizeof(text), "m%08u", index);
    return gyre_str(text);
}

/* Keys of a range, settled in tables; then all deleted, and the tombstones too in tables where
 * `flushed`. Neighbours on both sides stay. */
static void
make_graveyard(struct db_kit *kit, uint32_t count, uint64_t memtable_size, bool flushed)
{
    kit->options.memtable_size = memtable_size;
    kit->options.table_size = 1u << 20;
    db_kit_relimit(kit, GYRE_IO_AUTO, 512u << 20);
    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("a"), gyre_str("first")));
    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("z"), gyre_str("last")));
    for (uint32_t i = 0; i < count; i++) {
        KIT_OK(kit, gyre_put(kit->db, NULL, many_key(i), gyre_str("0123456789")));
    }
    KIT_OK(kit, gyre_compact_range(kit->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL));
    for (uint32_t i = 0; i < count; i++) {
        KIT_OK(kit, gyre_delete(kit->db, NULL, many_key(i)));
    }
    if (flushed) {
        KIT_OK(kit, gyre_flush(kit->db));
    }
    KIT_OK(kit, gyre_wait_idle(kit->db));
}

/* One scan over all without limits: both neighbours. Returns what it passed. */
static uint64_t
scan_graveyard(struct db_kit *kit, uint32_t flags, const gyre_snapshot *snapshot)
{
    static char buffer[64];
    struct gyre_row rows[4];
    struct gyre_scan scan =
        GYRE_SCAN(.rows = rows, .rows_max = 4, .buffer = buffer, .buffer_size = sizeof(buffer),
                  .flags = flags, .snapshot = snapshot);

    KIT_OK(kit, gyre_scan(kit->db, &scan));
    assert_int_equal(scan.stopped, GYRE_SCAN_AT_END);
    assert_int_equal(scan.row_count, 2);
    return scan.skipped;
}

static struct gyre_stats
stats_of(struct db_kit *kit)
{
    struct gyre_stats stats = {.struct_size = sizeof(stats)};

    KIT_OK(kit, gyre_stats(kit->db, &stats));
    return stats;
}

/* Goal: one scan over a range that was deleted makes compaction come there, in both directions. */
static void
scan_attracts_compaction(void **state)
{
    struct db_kit *kit = *state;

    for (uint32_t turn = 0; turn < 2; turn++) {
        const uint32_t flags = turn == 0 ? 0 : GYRE_SCAN_REVERSE;

        make_graveyard(kit, MANY, 8u << 20, true);
        assert_true(scan_graveyard(kit, flags, NULL) >= MANY);
        KIT_OK(kit, gyre_wait_idle(kit->db));
        assert_true(stats_of(kit).tombstone_compactions > 0);
        assert_true(scan_graveyard(kit, flags, NULL) < MANY / 100);
    }
}

/* Goal: so does an iterator, and tombstones that are still in a memtable get to tables when enough
 *       readers have passed them. */
static void
iterator_attracts_compaction_to_the_memtable(void **state)
{
    struct db_kit *kit = *state;
    gyre_iterator *it = NULL;

    make_graveyard(kit, MANY / 4, 8u << 20, false);
    KIT_OK(kit, gyre_iterator_open(kit->db, NULL, &it));
    for (uint32_t i = 0; i < 20; i++) {
        KIT_OK(kit, gyre_iterator_seek(it, gyre_str("b")));
    }
    gyre_iterator_close(it);
    KIT_OK(kit, gyre_wait_idle(kit->db));
    assert_true(stats_of(kit).tombstone_compactions > 0);
    assert_true(scan_graveyard(kit, 0, NULL) < MANY / 100);
}

/* Goal: what a snapshot keeps attracts nothing; when it is released, the next scan does. */
static void
scan_under_a_snapshot_does_not_spin(void **state)
{
    struct db_kit *kit = *state;
    gyre_snapshot *snapshot = NULL;
    struct gyre_stats before;
    struct gyre_stats after;

    make_graveyard(kit, 0, 8u << 20, true);
    for (uint32_t i = 0; i < MANY; i++) {
        KIT_OK(kit, gyre_put(kit->db, NULL, many_key(i), gyre_str("0123456789")));
    }
    KIT_OK(kit, gyre_snapshot_open(kit->db, &snapshot));
    for (uint32_t i = 0; i < MANY; i++) {
        KIT_OK(kit, gyre_delete(kit->db, NULL, many_key(i)));
    }
    KIT_OK(kit, gyre_flush(kit->db));
    KIT_OK(kit, gyre_wait_idle(kit->db));
    before = stats_of(kit);
    for (uint32_t i = 0; i < 10; i++) {
        assert_true(scan_graveyard(kit, 0, NULL) >= MANY);
        KIT_OK(kit, gyre_sleep(kit->loop, 10 * MS));
    }
    KIT_OK(kit, gyre_wait_idle(kit->db));
    after = stats_of(kit);
    assert_int_equal(after.compaction_count, before.compaction_count);
    assert_int_equal(after.tombstone_compactions, 0);
    gyre_snapshot_release(snapshot);
    (void)scan_graveyard(kit, 0, NULL);
    KIT_OK(kit, gyre_wait_idle(kit->db));
    assert_true(stats_of(kit).tombstone_compactions > 0);
    assert_true(scan_graveyard(kit, 0, NULL) < MANY / 100);
}

/* Goal:   a range of 200,000 tombstones never holds the thread, with limits or without, and
 *         skips_max bounds each call.
 * Method: nothing removes them (background_off); the loop's watchdog measures. */
static void
scan_of_tombstones_never_holds_the_thread(void **state)
{
    static char buffer[64];
    struct gyre_row rows[4];
    struct db_kit *kit = *state;
    struct gyre_loop_stats loop = {.struct_size = sizeof(loop)};
    struct gyre_scan scan = GYRE_SCAN(.rows = rows, .rows_max = 4, .buffer = buffer,
                                      .buffer_size = sizeof(buffer), .skips_max = 1000);
    uint32_t calls = 0;
    size_t row_count = 0;

    kit->options.background_off = 1;
    make_graveyard(kit, MORE, 64u << 20, false);
    gyre_stats_reset_maxima(kit->db);
    do {
        KIT_OK(kit, gyre_scan(kit->db, &scan));
        assert_true(scan.skipped <= 1034);
        row_count += scan.row_count;
        calls++;
    } while (gyre_scan_go_on(&scan));
    assert_int_equal(row_count, 2);
    assert_in_range(calls, MORE / 1000, 2 * MORE / 1000 + 2);
    assert_true(scan_graveyard(kit, 0, NULL) >= MORE);
    assert_true(scan_graveyard(kit, GYRE_SCAN_REVERSE, NULL) >= MORE);
    KIT_OK(kit, gyre_loop_stats(kit->loop, &loop));
    print_message("longest run %llu us of %s, %llu of %llu over 100 us\n",
                  (unsigned long long)loop.run_ns_max / 1000, loop.run_name_max,
                  (unsigned long long)loop.runs_over_100us, (unsigned long long)loop.runs);
    /* In one go they take tens of milliseconds; a machine may take one from any thread. */
    assert_true(loop.run_ns_max < 5 * MS);
}

/* Goal: a budget of time ends a scan soon after it. */
static void
scan_keeps_its_time(void **state)
{
    static char buffer[64];
    struct gyre_row rows[4];
    struct db_kit *kit = *state;
    struct gyre_scan scan = GYRE_SCAN(.rows = rows, .rows_max = 4, .buffer = buffer,
                                      .buffer_size = sizeof(buffer), .time_ns = MS / 2);
    uint32_t calls = 0;

    kit->options.background_off = 1;
    make_graveyard(kit, MANY, 64u << 20, false);
    do {
        KIT_OK(kit, gyre_scan(kit->db, &scan));
        assert_true(scan.stopped == GYRE_SCAN_AT_TIME || scan.stopped == GYRE_SCAN_AT_END);
        calls++;
    } while (gyre_scan_go_on(&scan));
    print_message("%u calls\n", calls);
    assert_true(calls > 1);
}

/* Goal: a scan that nobody waits for any more ends soon, also in the middle of tombstones. */
static void
scan_that_is_given_up_ends_soon(void **state)
{
    static char buffer[64];
    struct gyre_row rows[4];
    struct db_kit *kit = *state;
    struct gyre_scan scan =
        GYRE_SCAN(.rows = rows, .rows_max = 4, .buffer = buffer, .buffer_size = sizeof(buffer));
    bool done = false;

    kit->options.background_off = 1;
    make_graveyard(kit, MORE, 64u << 20, false);
    for (uint32_t turn = 0; turn < 2; turn++) {
        const struct gyre_stats before = stats_of(kit);
        struct gyre_op op =
            GYRE_OP(.kind = GYRE_OP_SCAN, .db = kit->db, .scan = &scan,
                    .deadline_ns = gyre_now(kit->loop) + MS / 2, .done = note_done, .arg = &done);

        scan.flags = turn == 0 ? 0 : GYRE_SCAN_REVERSE;
        done = false;
        KIT_OK(kit, gyre_submit(&op));
        while (!done || stats_of(kit).scans == before.scans) {
            (void)gyre_loop_poll(kit->loop, 50);
        }
        assert_int_equal(op.status, GYRE_TIMED_OUT);
        assert_true(stats_of(kit).scan_skips - before.scan_skips < MORE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scan_in_parts_gives_each_row_once, setup, teardown),
        cmocka_unit_test_setup_teardown(scan_sees_its_snapshot_beside_writers, setup, teardown),
        cmocka_unit_test_setup_teardown(scan_without_snapshot_gives_lasting_rows_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(scan_passes_a_key_of_many_versions, setup, teardown),
        cmocka_unit_test_setup_teardown(scan_refuses_what_is_out_of_range, setup, teardown),
        cmocka_unit_test_setup_teardown(scan_as_an_operation, setup, teardown),
        cmocka_unit_test_setup_teardown(scan_attracts_compaction, setup, teardown),
        cmocka_unit_test_setup_teardown(iterator_attracts_compaction_to_the_memtable, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(scan_under_a_snapshot_does_not_spin, setup, teardown),
        cmocka_unit_test_setup_teardown(scan_of_tombstones_never_holds_the_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(scan_keeps_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(scan_that_is_given_up_ends_soon, setup, teardown),
    };
    return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
