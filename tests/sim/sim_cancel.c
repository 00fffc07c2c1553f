/* sim_cancel.c - every kind of operation, cancelled at its first, second, ... await: it is answered
 * in that moment, once; what it points to may be freed in the callback; a write that says "not
 * done" is not there, one that says "maybe" is there wholly or not at all, now and after reopening;
 * nothing else has changed, nothing is leaked, and the store works on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/db/op.h"
#include "io/base/bits.h"
#include "io/sim/world_sim.h"

#define KEYS 64u
#define VALUE 900u
#define LARGE 40000u /* more than a group of the log takes */
#define PATH "/db"
#define OTHER "/other"
#define POISON 0xdd
#define SCANNED (KEYS * (VALUE + 16u)) /* bytes of buffer for all rows */

static const char *place = "";

_Noreturn static void
fail(const char *text, int line)
{
    (void)fprintf(stderr, "sim_cancel.c:%d: %s, in %s\n", line, text, place);
    exit(1);
}

#define CHECK(condition)                \
    do {                                \
        if (!(condition)) {             \
            fail(#condition, __LINE__); \
        }                               \
    } while (0)

/* ---- A store on a simulated machine ---- */

struct rig {
    struct gy_heap heap;
    struct gy_sim_disk *disk;
    gyre_loop *loop;
    gyre_db *db;
    uint32_t version[KEYS]; /* 0: not there */
};

/* One operation and all that it points to, in memory of its own that goes in its callback. */
struct trial {
    struct gyre_op op;
    char *key;
    char *key_to;
    char *data;
    char *path;
    gyre_batch *batch;
    gyre_iterator *iterator;
    struct gyre_slice *keys;
    struct gyre_value *values;
    gyre_status *statuses;
    struct gyre_verify_result *verified;
    struct gyre_scan *scan;
    struct gyre_row *rows;
    char *buffer;
    uint32_t answers;
    uint32_t waits;   /* begun so far */
    uint32_t stop_at; /* which of them is cancelled; 0 = none */
    gyre_status why;  /* CANCELED or TIMED_OUT */
};

static struct trial *trial_now;

static void
on_violation(void *arg, const char *text)
{
    (void)arg;
    fail(text, __LINE__);
}

static void
loop_open(struct rig *rig)
{
    struct gy_world_sim_config config;
    struct gy_world *world;

    gy_world_sim_config_init(&config, 7);
    config.on_violation = on_violation;
    CHECK(gy_world_sim_open(&config, rig->disk, &world) == GYRE_OK);
    CHECK(gy_loop_open_on(GYRE_LOOP_OPTIONS(.memory_limit = 32 * GY_MIB, .cache_size = GY_MIB),
                          world, &rig->loop, NULL) == GYRE_OK);
}

static const struct gyre_options *
options(uint32_t flags)
{
    static struct gyre_options o;

    o = (struct gyre_options){.struct_size = sizeof(o),
                              .flags = flags,
                              .memtable_size = 64 * GY_KIB,
                              .memtable_count_max = 2,
                              .wal_slot_size = 256 * GY_KIB,
                              .wal_buffer_size = 256 * GY_KIB};
    return &o;
}

static struct gyre_slice
key_of(uint32_t index)
{
    static char text[4][16];
    static uint32_t turn;
    char *key = text[turn++ % 4];

    (void)snprintf(key, sizeof(text[0]), "key%03u", index);
    return gyre_str(key);
}

static struct gyre_slice
value_of(uint32_t index, uint32_t version)
{
    static char text[LARGE];
    const size_t size = version == 99 ? LARGE : VALUE;

    memset(text, 'a' + (int)(version % 26), size);
    (void)snprintf(text, 24, "%u.%u", index, version);
    return gyre_slice(text, size);
}

static void
put(struct rig *rig, uint32_t index, uint32_t version)
{
    CHECK(gyre_put(rig->db, GYRE_WRITE_OPTIONS(.durability = GYRE_BUFFERED), key_of(index),
                   value_of(index, version)) == GYRE_OK);
    rig->version[index] = version;
}

/* Tables in two levels, a memtable, and nothing in the cache. */
static void
rig_make(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    gy_heap_init(&rig->heap, UINT64_MAX);
    rig->disk = gy_sim_disk_make(&(struct gy_sim_disk_config){0}, &rig->heap);
    CHECK(rig->disk != NULL);
    loop_open(rig);
    CHECK(gyre_open(rig->loop, PATH, options(GYRE_OPEN_CREATE), &rig->db) == GYRE_OK);
    for (uint32_t i = 0; i < KEYS; i++) {
        put(rig, i, 1);
    }
    CHECK(gyre_compact_range(rig->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL) ==
          GYRE_OK);
    for (uint32_t i = 0; i < KEYS; i += 2) {
        put(rig, i, 2);
    }
    CHECK(gyre_flush(rig->db) == GYRE_OK);
    for (uint32_t i = 0; i < KEYS; i += 8) {
        put(rig, i, 3);
    }
    CHECK(gyre_close(rig->db) == GYRE_OK);
    CHECK(gyre_loop_close(rig->loop) == GYRE_OK);
    loop_open(rig);
    CHECK(gyre_open(rig->loop, PATH, options(0), &rig->db) == GYRE_OK);
}

static void
rig_free(struct rig *rig)
{
    CHECK(gyre_loop_close(rig->loop) == GYRE_OK);
    gy_sim_disk_free(rig->disk);
    CHECK(rig->heap.used == 0);
}

/* The version of a key, found by reading; whatever is there has to be whole. */
static uint32_t
found_version(struct rig *rig, uint32_t index)
{
    struct gyre_value value = {0};
    const gyre_status status = gyre_get(rig->db, NULL, key_of(index), &value);
    uint32_t version = 0;

    CHECK(status == GYRE_OK || status == GYRE_NOT_FOUND);
    if (status == GYRE_OK) {
        struct gyre_slice whole;
        unsigned number = 0;

        CHECK(sscanf(value.data, "%u.%u", &number, &version) == 2 && number == index);
        whole = value_of(index, version);
        CHECK(value.size == whole.size && memcmp(value.data, whole.data, whole.size) == 0);
    }
    gyre_value_release(&value);
    return version;
}

/* ---- The operation ---- */

static char *
own(const void *bytes, size_t size)
{
    char *copy = malloc(size + 1);

    CHECK(copy != NULL);
    memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

static void
spoil(void *bytes, size_t size)
{
    if (bytes != NULL) {
        memset(bytes, POISON, size);
        free(bytes);
    }
}

static void
on_done(struct gyre_op *op)
{
    struct trial *t = op->arg;

    t->answers++;
    CHECK(t->answers == 1);
    if (op->status == GYRE_OK && op->kind == GYRE_OP_MULTI_GET) {
        for (size_t i = 0; i < op->count; i++) {
            gyre_value_release(&t->values[i]);
        }
    }
    if (op->status == GYRE_OK && op->kind == GYRE_OP_GET) {
        gyre_value_release(&op->value);
    }
    if (t->iterator != NULL) {
        gyre_iterator_close(t->iterator);
    }
    gyre_batch_free(t->batch);
    spoil(t->key, op->key.size);
    spoil(t->key_to, op->key_to.size);
    spoil(t->data, op->data.size);
    spoil(t->path, t->path != NULL ? strlen(t->path) : 0);
    spoil(t->keys, op->count * sizeof(t->keys[0]));
    spoil(t->values, op->count * sizeof(t->values[0]));
    spoil(t->statuses, op->count * sizeof(t->statuses[0]));
    spoil(t->verified, sizeof(*t->verified));
    spoil(t->scan, sizeof(*t->scan));
    spoil(t->rows, KEYS * sizeof(t->rows[0]));
    spoil(t->buffer, SCANNED);
}

static bool
may_report(void *arg, uint64_t done, uint64_t total)
{
    const struct trial *t = arg;

    (void)done;
    (void)total;
    CHECK(t->answers == 0 && t->op.status == GYRE_AGAIN);
    return true;
}

/* An await of the operation begins. */
static void
on_wait(struct gy_scope *scope)
{
    struct trial *t = trial_now;

    (void)scope;
    t->waits++;
    if (t->waits == t->stop_at) {
        CHECK(gyre_cancel(&t->op) == GYRE_OK);
        CHECK(t->op.status == GYRE_CANCELED); /* in that moment */
    }
}

#define CHANGED 5u /* the key that a write changes, and what it becomes */

static void
prepare(struct rig *rig, struct trial *t, uint32_t kind, bool is_large)
{
    const struct gyre_slice key = key_of(CHANGED);
    const struct gyre_slice value = value_of(CHANGED, is_large ? 99 : 7);

    t->op = GYRE_OP(.kind = kind, .db = rig->db, .done = on_done, .arg = t);
    t->key = own(key.data, key.size);
    t->op.key = gyre_slice(t->key, key.size);
    switch (kind) {
    case GYRE_OP_PUT:
        t->data = own(value.data, value.size);
        t->op.data = gyre_slice(t->data, value.size);
        break;
    case GYRE_OP_WRITE:
        t->batch = gyre_batch_make();
        CHECK(gyre_batch_put(t->batch, key, value) == GYRE_OK);
        t->op.batch = t->batch;
        break;
    case GYRE_OP_MULTI_GET:
        t->op.count = KEYS;
        t->keys = calloc(KEYS, sizeof(t->keys[0]));
        t->values = calloc(KEYS, sizeof(t->values[0]));
        t->statuses = calloc(KEYS, sizeof(t->statuses[0]));
        for (uint32_t i = 0; i < KEYS; i++) {
            t->keys[i] = gyre_slice(t->key, key.size - i % 2);
        }
        t->op.keys = t->keys;
        t->op.values = t->values;
        t->op.statuses = t->statuses;
        break;
    case GYRE_OP_COMPACT_RANGE:
    case GYRE_OP_APPROXIMATE_SIZE:
        t->key_to = own("key050", 6);
        t->op.key_to = gyre_slice(t->key_to, 6);
        t->op.progress = may_report;
        break;
    case GYRE_OP_SCAN:
        t->rows = calloc(KEYS, sizeof(t->rows[0]));
        t->buffer = malloc(SCANNED);
        t->scan = malloc(sizeof(*t->scan));
        CHECK(t->rows != NULL && t->buffer != NULL && t->scan != NULL);
        *t->scan =
            GYRE_SCAN(.from = t->op.key, .rows = t->rows, .rows_max = KEYS, .buffer = t->buffer,
                      .buffer_size = SCANNED, .flags = is_large ? GYRE_SCAN_REVERSE : 0);
        t->op.scan = t->scan;
        break;
    case GYRE_OP_VERIFY:
        t->verified = calloc(1, sizeof(*t->verified));
        t->op.verify_result = t->verified;
        t->op.progress = may_report;
        break;
    case GYRE_OP_CHECKPOINT:
        t->path = own(OTHER, strlen(OTHER));
        t->op.path = t->path;
        break;
    default:
        break;
    }
    if (kind >= GYRE_OP_ITERATOR_FIRST && kind <= GYRE_OP_ITERATOR_PREV) {
        CHECK(gyre_iterator_open(rig->db, NULL, &t->iterator) == GYRE_OK);
        if (kind == GYRE_OP_ITERATOR_NEXT || kind == GYRE_OP_ITERATOR_PREV) {
            CHECK(gyre_iterator_seek(t->iterator, key_of(KEYS / 2)) == GYRE_OK);
        }
        t->op.iterator = t->iterator;
    }
}

/* Until it has its answer and whatever it left behind has ended. */
static void
run(struct rig *rig, struct trial *t)
{
    const uint64_t deadline_ns = gyre_now(rig->loop) + 60 * GY_NS_PER_S;

    trial_now = t;
    rig->loop->on_scope_wait = on_wait;
    CHECK(gyre_submit(&t->op) == GYRE_OK);
    while (t->answers == 0) {
        (void)gyre_loop_poll(rig->loop, 100);
        (void)gyre_sleep(rig->loop, 10 * GY_NS_PER_US);
        CHECK(gyre_now(rig->loop) < deadline_ns);
    }
    rig->loop->on_scope_wait = NULL;
}

/* The content is what it was, but for the key that a write may have changed. */
static void
compare(struct rig *rig, const struct trial *t, uint32_t written)
{
    const bool is_write =
        t->op.kind == GYRE_OP_PUT || t->op.kind == GYRE_OP_DELETE || t->op.kind == GYRE_OP_WRITE;

    for (uint32_t i = 0; i < KEYS; i++) {
        const uint32_t version = found_version(rig, i);

        if (i != CHANGED || !is_write) {
            CHECK(version == rig->version[i]);
        } else if (t->op.status == GYRE_OK) {
            CHECK(version == written);
        } else if (!t->op.error.maybe_done) {
            CHECK(version == rig->version[i]);
        } else {
            CHECK(version == written || version == rig->version[i]);
            rig->version[i] = version; /* from here on it is that */
        }
    }
}

static void
close_store(struct rig *rig, const struct trial *t)
{
    gyre_status status = GYRE_TIMED_OUT;

    if (t->op.kind == GYRE_OP_CLOSE && t->op.status == GYRE_OK) {
        return;
    }
    status = gyre_close(rig->db);
    CHECK(status == GYRE_OK);
}

/* False: it came to its end before that await. */
static bool
try(uint32_t kind, bool is_large, uint32_t stop_at)
{
    struct rig rig;
    struct trial t = {.stop_at = stop_at};
    char text[64];
    const uint32_t written = kind == GYRE_OP_DELETE ? 0 : is_large ? 99 : 7;

    (void)snprintf(text, sizeof(text), "%s%s, await %u", gy_op_name((enum gyre_op_kind)kind),
                   is_large ? " (large)" : "", stop_at);
    place = text;
    rig_make(&rig);
    prepare(&rig, &t, kind, is_large);
    run(&rig, &t);
    if (t.waits < stop_at) {
        if (t.op.status != GYRE_OK) {
            (void)fprintf(stderr, "%s: %s\n", gyre_status_name(t.op.status), t.op.error.text);
        }
        CHECK(t.op.status == GYRE_OK);
    } else {
        CHECK(t.op.status == GYRE_CANCELED && t.op.error.status == GYRE_CANCELED);
        CHECK(t.op.error.text[0] != '\0');
    }
    if (kind != GYRE_OP_CLOSE) {
        compare(&rig, &t, written);
        if (t.op.status == GYRE_OK) {
            rig.version[CHANGED] =
                kind == GYRE_OP_PUT || kind == GYRE_OP_DELETE || kind == GYRE_OP_WRITE
                    ? written
                    : rig.version[CHANGED];
        }
        put(&rig, 1, 4); /* it works on */
        CHECK(gyre_flush(rig.db) == GYRE_OK);
    }
    close_store(&rig, &t);
    CHECK(gyre_open(rig.loop, PATH, options(0), &rig.db) == GYRE_OK);
    for (uint32_t i = 0; i < KEYS; i++) {
        CHECK(found_version(&rig, i) == rig.version[i]);
    }
    CHECK(gyre_close(rig.db) == GYRE_OK);
    rig_free(&rig);
    return t.waits >= stop_at;
}

int
main(void)
{
    static const struct {
        uint32_t kind;
        bool is_large;
        uint32_t waits_min; /* or the test tries nothing */
    } kinds[] = {
        {GYRE_OP_GET, false, 1},
        {GYRE_OP_MULTI_GET, false, 1},
        {GYRE_OP_PUT, false, 1},
        {GYRE_OP_PUT, true, 1},
        {GYRE_OP_DELETE, false, 1},
        {GYRE_OP_WRITE, false, 1},
        {GYRE_OP_WRITE, true, 1},
        {GYRE_OP_SYNC, false, 0},
        {GYRE_OP_ITERATOR_FIRST, false, 1},
        {GYRE_OP_ITERATOR_LAST, false, 1},
        {GYRE_OP_ITERATOR_SEEK, false, 1},
        {GYRE_OP_ITERATOR_SEEK_FOR_PREV, false, 1},
        {GYRE_OP_ITERATOR_NEXT, false, 0},
        {GYRE_OP_ITERATOR_PREV, false, 0},
        {GYRE_OP_SCAN, false, 1},
        {GYRE_OP_SCAN, true, 1}, /* in reverse */
        {GYRE_OP_FLUSH, false, 1},
        {GYRE_OP_WAIT_IDLE, false, 0},
        {GYRE_OP_COMPACT_RANGE, false, 10},
        {GYRE_OP_APPROXIMATE_SIZE, false, 1},
        {GYRE_OP_VERIFY, false, 1},
        {GYRE_OP_CHECKPOINT, false, 10},
        {GYRE_OP_CLOSE, false, 1},
    };
    uint32_t tried = 0;

    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        uint32_t n = 1;

        while (try(kinds[k].kind, kinds[k].is_large, n)) {
            n++;
        }
        CHECK(n > kinds[k].waits_min);
        tried += n - 1;
    }
    (void)printf("%u awaits of %zu operations\n", tried, sizeof(kinds) / sizeof(kinds[0]));
    return 0;
}
