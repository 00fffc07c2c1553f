/* sim_no_memory.c - the n-th allocation fails, once, for every n through the life of a store: the
 * call says NO_MEMORY (or gets along), nothing has changed, the same call made again works, at
 * once or, where it was background work that failed, when that has been tried again; nothing is
 * lost or leaked.
 *
 *   sim_no_memory [--from N]    the first allocation to fail; default 1
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/calm_plan.h"
#include "tools/gyre_sim/fail.h"

#define KEYS 16u
#define LARGE 40000u
#define TRIES_MAX 1u /* after the first, and after background work had its turn */
#define RETRY_NS (300u * GY_NS_PER_MS)

/* A store at work, and what it has to hold. */
struct run {
    struct machine machine;
    struct plan plan;
    gyre_db *db;
    gyre_snapshot *snapshot;
    gyre_iterator *iterator;
    uint32_t versions[KEYS]; /* 0: not there */
    uint32_t in_snapshot[KEYS];
    uint32_t version;
    bool failed; /* a call has said NO_MEMORY */
};

static uint64_t calls_failed;
static uint64_t calls_failed_again;

static struct gyre_slice
key_of(uint32_t number)
{
    static char text[16];

    (void)snprintf(text, sizeof(text), "key%02u", number);
    return gyre_str(text);
}

/* Every eighth is large: a commit in parts. */
static struct gyre_slice
value_of(uint32_t number, uint32_t version)
{
    static char text[LARGE];
    const size_t size = version % 8 == 7 ? LARGE : 100 + 37 * number;

    memset(text, 'a' + (int)(version % 26), size);
    (void)snprintf(text, 16, "%u-%u", number, version);
    return gyre_slice(text, size);
}

static void
demand_value(struct run *run, uint32_t number, struct gyre_slice found)
{
    const struct gyre_slice wanted = value_of(number, run->versions[number]);

    (void)run;
    demand(found.size == wanted.size && memcmp(found.data, wanted.data, wanted.size) == 0);
}

/* ---- Steps: each can be made again when it has said NO_MEMORY ---- */

static gyre_status
step_open(struct run *run)
{
    return machine_open(&run->machine, &run->plan, GYRE_OPEN_CREATE, &run->db);
}

static gyre_status
step_put(struct run *run)
{
    const uint32_t number = (run->version + 1) * 5 % KEYS;
    const uint32_t version = run->version + 1;
    const struct gyre_write_options *options =
        GYRE_WRITE_OPTIONS(.durability = version % 2 == 0 ? GYRE_DURABLE : GYRE_BUFFERED);
    const gyre_status status =
        gyre_put(run->db, options, key_of(number), value_of(number, version));

    if (status == GYRE_OK) {
        run->version = version;
        run->versions[number] = version;
    }
    return status;
}

static gyre_status
step_batch(struct run *run)
{
    const uint32_t version = run->version + 1;
    gyre_batch *batch = gyre_batch_make();
    gyre_status status;

    demand(batch != NULL);
    for (uint32_t i = 0; i < KEYS; i += 3) {
        status = gyre_batch_put(batch, key_of(i), value_of(i, version));
        demand(status == GYRE_OK);
    }
    status = gyre_batch_delete(batch, key_of(3));
    demand(status == GYRE_OK);
    status = gyre_write(run->db, NULL, batch);
    if (status == GYRE_OK) {
        run->version = version;
        for (uint32_t i = 0; i < KEYS; i += 3) {
            run->versions[i] = i == 3 ? 0 : version;
        }
    }
    gyre_batch_free(batch);
    return status;
}

static gyre_status
step_delete(struct run *run)
{
    const gyre_status status = gyre_delete(run->db, NULL, key_of(6));

    run->versions[6] = status == GYRE_OK ? 0 : run->versions[6];
    return status;
}

static gyre_status
step_gets(struct run *run)
{
    gyre_status status = GYRE_OK;

    for (uint32_t i = 0; i < KEYS; i++) {
        struct gyre_value value;

        status = gyre_get(run->db, NULL, key_of(i), &value);
        if (status == GYRE_NO_MEMORY) {
            return status;
        }
        demand(status == (run->versions[i] == 0 ? GYRE_NOT_FOUND : GYRE_OK));
        if (status == GYRE_OK) {
            demand_value(run, i, gyre_slice(value.data, value.size));
            gyre_value_release(&value);
        }
    }
    return GYRE_OK;
}

static gyre_status
step_multi_get(struct run *run)
{
    char texts[KEYS][16];
    struct gyre_slice keys[KEYS];
    struct gyre_value values[KEYS];
    gyre_status statuses[KEYS];
    gyre_status status;

    for (uint32_t i = 0; i < KEYS; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "key%02u", i);
        keys[i] = gyre_str(texts[i]);
    }
    status = gyre_multi_get(run->db, NULL, KEYS, keys, values, statuses);
    for (uint32_t i = 0; status == GYRE_OK && i < KEYS; i++) {
        demand(statuses[i] == (run->versions[i] == 0 ? GYRE_NOT_FOUND : GYRE_OK));
        if (statuses[i] == GYRE_OK) {
            demand_value(run, i, gyre_slice(values[i].data, values[i].size));
        }
        gyre_value_release(&values[i]);
    }
    return status;
}

static gyre_status
step_scan(struct run *run)
{
    gyre_iterator *it = NULL;
    gyre_status status = gyre_iterator_open(run->db, NULL, &it);

    if (status != GYRE_OK) {
        return status;
    }
    status = gyre_iterator_first(it);
    for (uint32_t i = 0; i < KEYS && status != GYRE_NO_MEMORY; i++) {
        if (run->versions[i] != 0) {
            demand(status == GYRE_OK &&
                   memcmp(gyre_iterator_key(it).data, key_of(i).data, key_of(i).size) == 0);
            demand_value(run, i, gyre_iterator_value(it));
            status = gyre_iterator_next(it);
        }
    }
    gyre_iterator_close(it);
    demand(status == GYRE_NOT_FOUND || status == GYRE_NO_MEMORY);
    return status == GYRE_NOT_FOUND ? GYRE_OK : status;
}

/* The same in one call, from the end. */
static gyre_status
step_scan_in_one(struct run *run)
{
    static uint8_t buffer[GY_MIB];
    struct gyre_row rows[KEYS];
    struct gyre_scan scan =
        GYRE_SCAN(.prefix = gyre_str("key"), .flags = GYRE_SCAN_REVERSE, .rows = rows,
                  .rows_max = KEYS, .buffer = buffer, .buffer_size = sizeof(buffer));
    const gyre_status status = gyre_scan(run->db, &scan);
    size_t row = 0;

    for (uint32_t i = KEYS; status == GYRE_OK && i > 0; i--) {
        if (run->versions[i - 1] != 0) {
            demand(row < scan.row_count);
            demand_value(run, i - 1, rows[row++].value);
        }
    }
    demand(status == GYRE_NO_MEMORY || (status == GYRE_OK && row == scan.row_count));
    return status;
}

static gyre_status
step_snapshot(struct run *run)
{
    const gyre_status status = gyre_snapshot_open(run->db, &run->snapshot);

    if (status == GYRE_OK) {
        memcpy(run->in_snapshot, run->versions, sizeof(run->versions));
    }
    return status;
}

/* What the snapshot shows is what was there when it was taken. */
static gyre_status
step_read_snapshot(struct run *run)
{
    uint32_t now[KEYS];
    gyre_status status = GYRE_OK;

    memcpy(now, run->versions, sizeof(now));
    memcpy(run->versions, run->in_snapshot, sizeof(now));
    for (uint32_t i = 0; i < KEYS && status != GYRE_NO_MEMORY; i++) {
        struct gyre_value value;

        status = gyre_get(run->db, GYRE_READ_OPTIONS(.snapshot = run->snapshot), key_of(i), &value);
        if (status == GYRE_OK) {
            demand_value(run, i, gyre_slice(value.data, value.size));
            gyre_value_release(&value);
        }
        demand(status == GYRE_NO_MEMORY ||
               status == (run->versions[i] == 0 ? GYRE_NOT_FOUND : GYRE_OK));
    }
    memcpy(run->versions, now, sizeof(now));
    return status == GYRE_NO_MEMORY ? status : GYRE_OK;
}

static gyre_status
step_flush(struct run *run)
{
    return gyre_flush(run->db);
}

static gyre_status
step_compact(struct run *run)
{
    return gyre_compact_range(run->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL);
}

static gyre_status
step_sync(struct run *run)
{
    return gyre_sync(run->db);
}

static gyre_status
step_verify(struct run *run)
{
    return gyre_verify(run->db, NULL, NULL, NULL, NULL);
}

static gyre_status
step_close(struct run *run)
{
    gyre_snapshot_release(run->snapshot);
    run->snapshot = NULL;
    return gyre_close(run->db);
}

static gyre_status
step_salvage(struct run *run)
{
    return gyre_salvage(run->machine.loop, STORE_PATH, "/saved", NULL, NULL, NULL, NULL, NULL);
}

static gyre_status
step_destroy_saved(struct run *run)
{
    return gyre_destroy(run->machine.loop, "/saved");
}

/* ---- The life of a store ---- */

struct step {
    const char *name;
    gyre_status (*make)(struct run *run);
    uint32_t times;
};

static const struct step LIFE[] = {
    {"create", step_open, 1},
    {"put", step_put, 12},
    {"batch", step_batch, 1},
    {"get", step_gets, 1},
    {"scan", step_scan, 1},
    {"snapshot", step_snapshot, 1},
    {"flush", step_flush, 1},
    {"put", step_put, 6},
    {"delete", step_delete, 1},
    {"get", step_gets, 1},
    {"multi_get", step_multi_get, 1},
    {"scan", step_scan, 1},
    {"scan in one call", step_scan_in_one, 1},
    {"flush", step_flush, 1},
    {"get of a snapshot", step_read_snapshot, 1},
    {"compact_range", step_compact, 1},
    {"get", step_gets, 1},
    {"scan", step_scan, 1},
    {"put", step_put, 6},
    {"sync", step_sync, 1},
    {"close", step_close, 1},
    {"open", step_open, 1},
    {"get", step_gets, 1},
    {"scan in one call", step_scan_in_one, 1},
    {"verify", step_verify, 1},
    {"batch", step_batch, 1},
    {"close", step_close, 1},
    {"salvage", step_salvage, 1},
    {"destroy", step_destroy_saved, 1},
    {"open", step_open, 1},
    {"scan", step_scan, 1},
    {"close", step_close, 1},
};

static void
run_step(struct run *run, const struct step *step)
{
    const struct gy_heap *heap = &run->machine.loop->io.heap;
    gyre_status status = step->make(run);

    for (uint32_t tries = 0; status == GYRE_NO_MEMORY; tries++) {
        demand(heap->allocation_count >= heap->fail_at);
        demand(!run->failed || tries > 0); /* one allocation fails, so one call */
        demand(tries <= TRIES_MAX);
        demand(tries > 0 || gyre_last_error(run->machine.loop)->text[0] != '\0');
        run->failed = true;
        calls_failed++;
        if (step->make == step_close) {
            return; /* closed all the same */
        }
        status = step->make(run);
        if (status == GYRE_NO_MEMORY) {
            calls_failed_again++;
            (void)gyre_sleep(run->machine.loop, RETRY_NS);
        }
    }
    if (status != GYRE_OK) {
        fail_status(run->machine.loop, status, step->name);
    }
}

/* False: there are not so many allocations. */
static bool
live(uint64_t fail_at)
{
    struct run *run = calloc(1, sizeof(*run));
    struct gy_sim_disk *disk;
    struct gy_heap disk_heap;
    struct gy_heap *heap;
    uint64_t before;
    bool failed;

    demand(run != NULL);
    gy_heap_init(&disk_heap, UINT64_MAX);
    calm_plan_draw(&run->plan, 1);
    run->plan.has_chaos = false;
    run->plan.options.wal_slot_size = 192 * GY_KIB;
    run->plan.options.compression = GYRE_COMPRESSION_ZSTD;
    run->plan.options.bloom_bits = 10;
    run->plan.disk.stage_bytes_max = 0; /* no limit */
    disk = gy_sim_disk_make(&run->plan.disk, &disk_heap);
    machine_start(&run->machine, disk, &run->plan, 1, NULL);
    heap = &run->machine.loop->io.heap;
    before = heap->allocation_count;
    heap->fail_at = before + fail_at;
    for (size_t i = 0; i < sizeof(LIFE) / sizeof(LIFE[0]); i++) {
        fail_set_place(1, "allocation %llu, step %zu: %s", (unsigned long long)fail_at, i,
                       LIFE[i].name);
        for (uint32_t k = 0; k < LIFE[i].times; k++) {
            run_step(run, &LIFE[i]);
        }
    }
    failed = heap->allocation_count >= heap->fail_at;
    machine_stop(&run->machine);
    gy_sim_disk_free(disk);
    demand(disk_heap.used == 0);
    free(run);
    return failed;
}

int
main(int argc, char **argv)
{
    uint64_t fail_at = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    while (live(fail_at)) {
        fail_at++;
    }
    (void)printf("%llu allocations failed, one at a time; %llu calls said so, %llu of them twice\n",
                 (unsigned long long)fail_at - 1, (unsigned long long)calls_failed,
                 (unsigned long long)calls_failed_again);
    demand(argc > 2 || (fail_at > 100 && calls_failed > 50));
    return 0;
}
