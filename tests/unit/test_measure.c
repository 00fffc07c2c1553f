/* test_measure.c - what is told of operations: traces, slow ones, histograms, and all figures in
 * the text format of Prometheus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/db_kit.h"

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

static void
count_answer(struct gyre_op *op)
{
    (*(uint32_t *)op->arg)++;
}

/* Submit it and poll until it is answered. */
static void
run_op(struct db_kit *kit, struct gyre_op *op)
{
    uint32_t answers = 0;

    op->done = count_answer;
    op->arg = &answers;
    KIT_OK(kit, gyre_submit(op));
    while (answers == 0) {
        (void)gyre_loop_poll(kit->loop, 1000);
    }
}

static uint64_t
parts_of(const struct gyre_trace *t)
{
    return t->queue_ns + t->run_ns + t->device_ns + t->log_ns + t->wait_ns + t->turn_ns;
}

/* 400 keys in tables, nothing in the cache. */
static void
fill_and_forget(struct db_kit *kit)
{
    struct db_model model;

    db_model_init(&model, 400);
    for (uint32_t i = 0; i < 400; i++) {
        db_kit_put(kit, &model, i);
    }
    KIT_OK(kit, gyre_flush(kit->db));
    KIT_OK(kit, gyre_wait_idle(kit->db));
    db_kit_close(kit);
    gyre_loop_close(kit->loop); /* and its cache */
    kit->loop = db_kit_loop_open(GYRE_IO_AUTO);
    db_kit_open(kit);
}

/* Goal:   a read from the device tells its blocks and its time there; the same read again tells
 *         hits and no device. Parts add up to the whole. */
static void
trace_of_a_get_tells_device_and_cache(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_op op;

    fill_and_forget(kit);
    op = GYRE_OP(.kind = GYRE_OP_GET, .db = kit->db, .key = db_kit_key(7));
    run_op(kit, &op);
    KIT_OK(kit, op.status);
    assert_in_range(op.trace.blocks_read, 1, 4);
    assert_true(op.trace.block_bytes_read >= 4096);
    assert_true(op.trace.device_ns > 0 && op.trace.log_ns == 0 && op.trace.wait_ns == 0);
    assert_true(op.trace.total_ns >= op.trace.device_ns);
    assert_in_range(parts_of(&op.trace), op.trace.total_ns - 1, op.trace.total_ns + 1);
    assert_true(op.trace.tables >= 1 && op.trace.levels >= 1);
    assert_true(op.trace.levels <= op.trace.tables);
    assert_true(op.trace.filters_asked >= 1);
    assert_int_equal(op.trace.bytes, op.value.size);
    gyre_value_release(&op.value);

    op = GYRE_OP(.kind = GYRE_OP_GET, .db = kit->db, .key = db_kit_key(7));
    run_op(kit, &op);
    KIT_OK(kit, op.status);
    assert_int_equal(op.trace.blocks_read, 0);
    assert_int_equal(op.trace.device_ns, 0);
    assert_true(op.trace.cache_hits >= 2); /* partition and data */
    assert_int_equal(op.trace.bytes, op.value.size);
    gyre_value_release(&op.value);
}

/* Goal:   a key that is not there: filters say so, and no data is read. */
static void
trace_tells_of_filters(void **state)
{
    struct db_kit *kit = *state;
    uint32_t no = 0;

    fill_and_forget(kit);
    for (uint32_t i = 0; i < 50; i++) {
        char key[64];
        const struct gyre_slice near = db_kit_key(i);
        struct gyre_op op = GYRE_OP(.kind = GYRE_OP_GET, .db = kit->db);

        memcpy(key, near.data, near.size);
        key[near.size] = '!';
        op.key = gyre_slice(key, near.size + 1);
        run_op(kit, &op);
        assert_int_equal(op.status, GYRE_NOT_FOUND);
        assert_true(op.trace.filters_no <= op.trace.filters_asked);
        assert_int_equal(op.trace.bytes, 0);
        no += op.trace.filters_no > 0;
    }
    assert_true(no >= 40);
}

/* Goal:   a DURABLE write waits for the log, and says so. */
static void
trace_of_a_write_tells_the_log(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_op op = GYRE_OP(.kind = GYRE_OP_PUT, .db = kit->db, .key = gyre_str("k"),
                                .data = gyre_str("value"), .durability = GYRE_DURABLE);

    run_op(kit, &op);
    KIT_OK(kit, op.status);
    assert_true(op.trace.log_ns > 0);
    assert_int_equal(op.trace.device_ns, 0);
    assert_int_equal(op.trace.bytes, 6);
    assert_int_equal(op.trace.wait_cause, GYRE_WAIT_NONE);
    assert_in_range(parts_of(&op.trace), op.trace.total_ns - 1, op.trace.total_ns + 1);
}

/* Goal:   what waits for room says what for.
 * Method: BUFFERED writes of 8 KiB, all submitted at once, into memtables of 64 KiB. */
static void
trace_tells_what_a_writer_waited_for(void **state)
{
    enum { COUNT = 200 };
    static struct gyre_op ops[COUNT];
    static char value[8192];
    struct db_kit *kit = *state;
    uint32_t answers = 0;
    uint32_t waited = 0;

    for (uint32_t i = 0; i < COUNT; i++) {
        ops[i] = GYRE_OP(.kind = GYRE_OP_PUT, .db = kit->db, .key = gyre_str("k"),
                         .data = gyre_slice(value, sizeof(value)), .done = count_answer,
                         .arg = &answers);
        KIT_OK(kit, gyre_submit(&ops[i]));
    }
    while (answers < COUNT) {
        (void)gyre_loop_poll(kit->loop, 1000);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct gyre_trace *t = &ops[i].trace;

        KIT_OK(kit, ops[i].status);
        assert_true((t->wait_ns > 0) <= (t->wait_cause != GYRE_WAIT_NONE));
        assert_in_range(parts_of(t), t->total_ns - 1, t->total_ns + 1);
        waited += t->wait_cause != GYRE_WAIT_NONE;
    }
    assert_true(waited > 0);
}

/* Goal:   an operation that is given up before it began has a trace of its wait all the same. */
static void
trace_of_what_was_given_up(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_op op = GYRE_OP(.kind = GYRE_OP_PUT, .db = kit->db, .key = gyre_str("k"),
                                .data = gyre_str("v"), .durability = GYRE_DURABLE);
    uint32_t answers = 0;

    op.done = count_answer;
    op.arg = &answers;
    KIT_OK(kit, gyre_submit(&op));
    KIT_OK(kit, gyre_cancel(&op)); /* it is in the queue */
    while (answers == 0) {
        (void)gyre_loop_poll(kit->loop, 0);
    }
    assert_int_equal(op.status, GYRE_CANCELED);
    assert_int_equal(op.trace.queue_ns, op.trace.total_ns);
    assert_int_equal(op.trace.run_ns, 0);
}

struct asked {
    struct db_kit *kit;
    struct gyre_trace cold, warm;
};

static void
get_twice(void *arg)
{
    struct asked *asked = arg;
    struct gyre_value value;

    for (uint32_t i = 0; i < 2; i++) {
        KIT_OK(asked->kit, gyre_get(asked->kit->db, NULL, db_kit_key(3), &value));
        *(i == 0 ? &asked->cold : &asked->warm) = *gyre_last_trace(asked->kit->loop);
        gyre_value_release(&value);
    }
}

/* Goal:   plain calls have traces when they are asked for, in coroutines and from the host; and
 *         none when they are not. */
static void
trace_of_plain_calls_when_asked(void **state)
{
    struct db_kit *kit = *state;
    struct asked asked = {.kit = kit};
    struct gyre_slice keys[3];
    struct gyre_value values[3];
    gyre_status statuses[3];

    fill_and_forget(kit);
    for (uint32_t i = 0; i < 3; i++) {
        keys[i] = db_kit_key(50 + 100 * i);
    }
    KIT_OK(kit, gyre_trace_calls(kit->loop, true));
    KIT_OK(kit, gyre_spawn(kit->loop, get_twice, &asked, NULL));
    KIT_OK(kit, gyre_run(kit->loop));
    assert_true(asked.cold.blocks_read > 0 && asked.cold.device_ns > 0 && asked.cold.total_ns > 0);
    assert_true(asked.warm.blocks_read == 0 && asked.warm.device_ns == 0);
    assert_true(asked.warm.cache_hits >= 2);

    KIT_OK(kit, gyre_multi_get(kit->db, NULL, 3, keys, values, statuses));
    assert_true(gyre_last_trace(kit->loop)->blocks_read > 0);
    assert_true(gyre_last_trace(kit->loop)->device_ns > 0);
    assert_int_equal(gyre_last_trace(kit->loop)->bytes,
                     values[0].size + values[1].size + values[2].size);
    for (uint32_t i = 0; i < 3; i++) {
        gyre_value_release(&values[i]);
    }
    KIT_OK(kit, gyre_trace_calls(kit->loop, false));
    KIT_OK(kit, gyre_put(kit->db, NULL, gyre_str("k"), gyre_str("v")));
    assert_true(gyre_last_trace(kit->loop)->blocks_read > 0); /* still of the one before */
}

struct told {
    struct db_kit *kit;
    uint32_t count;
    struct gyre_slow last;
    gyre_status inside;
};

static void
tell(void *arg, const struct gyre_slow *slow)
{
    struct told *told = arg;

    told->count++;
    told->last = *slow;
    told->inside = gyre_flush(told->kit->db);
}

/* Goal:   whoever waits for slow operations is told of each once, with its key, and not of quick
 *         ones; the library may not be called from there. */
static void
slow_operations_are_told(void **state)
{
    struct db_kit *kit = *state;
    struct told told = {.kit = kit};
    char key[100];
    struct gyre_op op;

    memset(key, 'k', sizeof(key));
    KIT_OK(kit, gyre_on_slow(kit->loop, 3600 * 1000 * MS, tell, &told));
    op = GYRE_OP(.kind = GYRE_OP_PUT, .db = kit->db, .key = gyre_slice(key, sizeof(key)),
                 .data = gyre_str("v"), .durability = GYRE_DURABLE);
    run_op(kit, &op);
    assert_int_equal(told.count, 0);

    KIT_OK(kit, gyre_on_slow(kit->loop, 1, tell, &told));
    run_op(kit, &op);
    (void)gyre_loop_poll(kit->loop, 0);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.inside, GYRE_MISUSE);
    assert_int_equal(told.last.kind, GYRE_OP_PUT);
    KIT_OK(kit, told.last.status);
    assert_int_equal(told.last.key_size, sizeof(key));
    assert_memory_equal(told.last.key, key, GYRE_SLOW_KEY_MAX);
    assert_int_equal(told.last.trace.total_ns, op.trace.total_ns);

    /* a plain call, from the host's stack: before it returns */
    KIT_OK(kit, gyre_delete(kit->db, GYRE_WRITE_OPTIONS(.durability = GYRE_DURABLE),
                            gyre_slice(key, 4)));
    assert_int_equal(told.count, 2);
    assert_int_equal(told.last.kind, GYRE_OP_DELETE);
    assert_int_equal(told.last.key_size, 4);
    assert_true(told.last.trace.log_ns > 0);

    KIT_OK(kit, gyre_on_slow(kit->loop, 1, NULL, NULL));
    run_op(kit, &op);
    assert_int_equal(told.count, 2);
}

static struct gyre_histogram
histogram_of(struct db_kit *kit, enum gyre_measure measure)
{
    struct gyre_histogram h = {.struct_size = sizeof(h)};

    KIT_OK(kit, gyre_histogram(kit->loop, measure, &h));
    return h;
}

/* Goal:   each class counts its own: exactly where all are timed, about so where a sample is; with
 *         quantiles in order. */
static void
histograms_count_each_class(void **state)
{
    struct db_kit *kit = *state;
    struct gyre_histogram h;
    struct gyre_value value;
    gyre_iterator *it;

    for (uint32_t i = 0; i < 40; i++) {
        KIT_OK(kit, gyre_put(kit->db, GYRE_WRITE_OPTIONS(.durability = GYRE_DURABLE), db_kit_key(i),
                             gyre_str("v")));
    }
    for (uint32_t i = 0; i < 1600; i++) {
        KIT_OK(kit, gyre_get(kit->db, NULL, db_kit_key(i % 40), &value));
        gyre_value_release(&value);
    }
    KIT_OK(kit, gyre_sync(kit->db));
    KIT_OK(kit, gyre_flush(kit->db));
    KIT_OK(kit, gyre_iterator_open(kit->db, NULL, &it));
    for (uint32_t i = 0; i < 32; i++) {
        KIT_OK(kit, gyre_iterator_first(it));
    }
    gyre_iterator_close(it);

    assert_int_equal(histogram_of(kit, GYRE_MEASURE_WRITE_DURABLE).count, 40);
    assert_int_equal(histogram_of(kit, GYRE_MEASURE_WRITE_BUFFERED).count, 0);
    assert_int_equal(histogram_of(kit, GYRE_MEASURE_GET).count, 1600);
    assert_int_equal(histogram_of(kit, GYRE_MEASURE_SYNC).count, 1);
    assert_int_equal(histogram_of(kit, GYRE_MEASURE_FLUSH).count, 1);
    assert_int_equal(histogram_of(kit, GYRE_MEASURE_ITERATOR_SEEK).count, 32);
    h = histogram_of(kit, GYRE_MEASURE_WRITE_DURABLE);
    assert_true(h.p50_ns > 0 && h.p50_ns <= h.p90_ns && h.p90_ns <= h.p99_ns);
    assert_true(h.p99_ns <= h.p999_ns && h.p999_ns <= h.p9999_ns && h.p9999_ns <= h.max_ns);
    assert_true(h.sum_ns >= h.max_ns);
    h.struct_size = 0;
    KIT_IS(kit, gyre_histogram(kit->loop, GYRE_MEASURE_GET, &h), GYRE_INVALID);
    KIT_IS(kit, gyre_histogram(kit->loop, GYRE_MEASURE_COUNT, &h), GYRE_INVALID);
}

/* ---- The text ---- */

static char *
metrics(struct db_kit *kit)
{
    size_t size = 0;
    size_t again = 0;
    char *text;

    KIT_OK(kit, gyre_metrics_text(kit->loop, NULL, 0, &size));
    text = malloc(size + 1);
    assert_non_null(text);
    KIT_OK(kit, gyre_metrics_text(kit->loop, text, size + 1, &again));
    assert_in_range(again, size - 16, size); /* a time may have one digit less */
    assert_int_equal(strlen(text), again);
    return text;
}

/* The value of the line that begins so. */
static double
value_of(const char *text, const char *start)
{
    const char *at = text;
    const size_t size = strlen(start);

    while ((at = strstr(at, start)) != NULL) {
        if ((at == text || at[-1] == '\n') && at[size] == ' ') {
            return atof(at + size + 1);
        }
        at += size;
    }
    print_error("no line '%s'\n", start);
    fail();
    return 0;
}

/* Goal:   each sample has HELP and TYPE of its metric before it, once, and stands beside its like;
 *         histogram buckets grow up to their count. */
static void
check_format(const char *text)
{
    char name[128] = "";
    char buckets_of[1400] = "";
    double last = 0;

    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        const size_t size = strcspn(line, "\n");
        char copy[1400];

        assert_true(size < sizeof(copy) && line[size] == '\n');
        memcpy(copy, line, size);
        copy[size] = '\0';
        if (strncmp(copy, "# HELP ", 7) == 0) {
            char needle[160];
            char type[16];

            assert_int_equal(sscanf(copy + 7, "%127s", name), 1);
            (void)snprintf(needle, sizeof(needle), "# HELP %s ", name);
            assert_null(strstr(line + size, needle)); /* once */
            (void)snprintf(needle, sizeof(needle), "# TYPE %s %%15s", name);
            assert_int_equal(sscanf(line + size + 1, needle, type), 1);
            assert_true((strcmp(type, "counter") == 0) ==
                        (strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0));
        } else if (copy[0] != '#') {
            const double value = atof(strrchr(copy, ' ') + 1);

            assert_int_equal(strncmp(copy, name, strlen(name)), 0);
            if (strstr(copy, "_bucket{") != NULL) {
                *strstr(copy, ",le=") = '\0';
                assert_true(strcmp(copy, buckets_of) != 0 || value >= last);
                (void)snprintf(buckets_of, sizeof(buckets_of), "%s", copy);
                last = value;
            } else if (strstr(copy, "_count{") != NULL) {
                assert_true(value == last);
            }
        }
    }
}

/* Goal:   the text has the form that it should have, with two stores and a strange path, and the
 *         figures of gyre_stats. */
static void
metrics_text_has_its_form(void **state)
{
    struct db_kit *kit = *state;
    char path[SCRATCH_PATH_MAX + 64];
    char start[SCRATCH_PATH_MAX + 128];
    gyre_db *other;
    char *text;

    for (uint32_t i = 0; i < 10; i++) {
        KIT_OK(kit, gyre_put(kit->db, GYRE_WRITE_OPTIONS(.durability = GYRE_DURABLE), db_kit_key(i),
                             gyre_str("v")));
    }
    (void)snprintf(path, sizeof(path), "%s/a \"quoted\"\\\nname", kit->top);
    KIT_OK(kit, gyre_open(kit->loop, path, GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE), &other));
    text = metrics(kit);
    check_format(text);
    (void)snprintf(start, sizeof(start), "gyre_puts_total{store=\"%s\"}", kit->path);
    assert_true(value_of(text, start) == 10);
    (void)snprintf(start, sizeof(start),
                   "gyre_puts_total{store=\"%s/a \\\"quoted\\\"\\\\\\nname\"}", kit->top);
    assert_true(value_of(text, start) == 0);
    assert_true(
        value_of(text, "gyre_operation_duration_seconds_count{operation=\"write_durable\"}") == 10);
    assert_true(value_of(text, "gyre_operation_duration_seconds_bucket{operation=\"write_durable\","
                               "le=\"+Inf\"}") == 10);
    assert_true(value_of(text, "gyre_memory_limit_bytes") > 1e6);
    free(text);
    KIT_OK(kit, gyre_close(other));
    KIT_OK(kit, gyre_destroy(kit->loop, path));
}

/* Goal:   no stores, and no room for the text: what fits is there, and ends in NUL. */
static void
metrics_text_is_cut_to_its_buffer(void **state)
{
    struct db_kit *kit = *state;
    char small[100];
    size_t size = 0;
    char *text;

    memset(small, 'x', sizeof(small));
    KIT_OK(kit, gyre_metrics_text(kit->loop, small, sizeof(small), &size));
    assert_true(size > sizeof(small));
    assert_int_equal(strlen(small), sizeof(small) - 1);
    KIT_IS(kit, gyre_metrics_text(kit->loop, NULL, 10, &size), GYRE_INVALID);
    db_kit_close(kit);
    text = metrics(kit);
    check_format(text);
    assert_null(strstr(text, "store="));
    free(text);
    db_kit_open(kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(trace_of_a_get_tells_device_and_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(trace_tells_of_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(trace_of_a_write_tells_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(trace_tells_what_a_writer_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(trace_of_what_was_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(trace_of_plain_calls_when_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_operations_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(histograms_count_each_class, setup, teardown),
        cmocka_unit_test_setup_teardown(metrics_text_has_its_form, setup, teardown),
        cmocka_unit_test_setup_teardown(metrics_text_is_cut_to_its_buffer, setup, teardown),
    };

    return cmocka_run_group_tests_name("measure", tests, NULL, NULL);
}
