/* sim_pairs.c - metamorphic pairs: one stream of operations, run twice under options that have
 * nothing in common, gives the same answer to every operation and the same content in the end.
 *
 * What differs: how a scan of a range is cut into calls, block size, compression, filters, level
 * ratio, sizes and counts of memtables, tables and logs, durability (with and without a log),
 * paranoid, the order in which ready coroutines run, latencies and short transfers, where flushes
 * and compactions happen, and at which of the stream's restart points the process ends (closed, or
 * killed) and another one opens. And the clocks: on one side the wall clock jumps by up to ten
 * years, back and forth, and the monotonic one leaps ahead. No operation takes more than a second
 * of the machine's time for that.
 *
 *   sim_pairs [--pairs N] [--seed S]     150 pairs from seed 1
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "io/base/bits.h"
#include "tools/gyre_sim/fail.h"
#include "tools/gyre_sim/machine.h"
#include "tools/gyre_sim/store.h"

#define OPS 160u
#define SNAPSHOTS 3u
#define SCAN_MAX 25u

/* ---- One side ---- */

struct side {
    struct gy_heap heap;
    struct plan plan;
    struct gy_sim_disk *disk;
    struct machine machine;
    gyre_db *db;
    struct gy_rng rng; /* what this side does of its own accord */
    gyre_snapshot *snapshots[SNAPSHOTS];
    uint64_t answers[OPS];
    struct model_state content;
    uint32_t restarts;
    uint32_t kills;
    bool has_jumps; /* of the clocks */
    uint32_t jumps;
    uint64_t op_ns_max;
};

/* ---- Clocks ---- */

#define YEARS_US (10ull * 365 * 24 * 3600 * 1000000)
#define LEAP_NS_MAX (3600ull * GY_NS_PER_S)
#define OP_NS_MAX GY_NS_PER_S

/* The machine's world with a monotonic clock that is ahead of it. One side runs at a time. */
static const struct gy_world_ops *machine_ops;
static struct gy_world_ops leaping_ops;
static uint64_t leap_ns;

static uint64_t
leaping_now_ns(struct gy_world *world)
{
    return machine_ops->now_ns(world) + leap_ns;
}

static void
leaping_reap(struct gy_world *world, struct gy_list *finished, bool wait, bool runnable,
             uint64_t deadline_ns)
{
    machine_ops->reap(world, finished, wait, runnable,
                      deadline_ns == UINT64_MAX ? UINT64_MAX : gy_sub_sat(deadline_ns, leap_ns));
}

static void
take_over_clock(struct gy_world *world)
{
    machine_ops = world->ops;
    leaping_ops = *world->ops;
    leaping_ops.now_ns = leaping_now_ns;
    leaping_ops.reap = leaping_reap;
    world->ops = &leaping_ops;
}

static void
jump(struct side *side)
{
    const uint64_t far = gy_rng_below(&side->rng, 2 * YEARS_US);

    gy_world_sim_set_wall_us(side->machine.world, 1700000000000000ull + far - YEARS_US);
    if (gy_rng_below(&side->rng, 2) == 0) {
        leap_ns += gy_rng_below(&side->rng, LEAP_NS_MAX);
    }
    side->jumps++;
}

static void
open_side(struct side *side)
{
    gyre_status status;

    machine_start(&side->machine, side->disk, &side->plan, gy_rng_next(&side->rng), NULL);
    take_over_clock(side->machine.world);
    status = machine_open(&side->machine, &side->plan, GYRE_OPEN_CREATE, &side->db);
    if (status != GYRE_OK) {
        fail_status(side->machine.loop, status, "open");
    }
}

static void
must_ok(struct side *side, gyre_status status, const char *what)
{
    if (status != GYRE_OK) {
        fail_status(side->machine.loop, status, what);
    }
}

/* The process ends here: closed, or, where there is a log, killed with everything answered. */
static void
restart(struct side *side)
{
    const bool is_kill =
        side->plan.options.durability != GYRE_NOWAL && gy_rng_below(&side->rng, 2) == 0;
    struct gy_sim_disk *left =
        is_kill ? gy_sim_disk_crash(side->disk, &side->rng, GY_SIM_CRASH_KILL) : NULL;

    must_ok(side, gyre_close(side->db), "close");
    machine_stop(&side->machine);
    if (is_kill) {
        gy_sim_disk_free(side->disk);
        side->disk = left;
        side->kills++;
    }
    plan_redraw_options(&side->plan, gy_rng_next(&side->rng));
    side->plan.options.background_off = 0; /* nobody else flushes */
    open_side(side);
    side->restarts++;
}

/* ---- The stream ---- */

static uint64_t
mix(uint64_t hash, uint64_t value)
{
    return gy_mix64(hash + value * 0x9e3779b97f4a7c15ull);
}

static void
do_write(struct side *side, struct gy_rng *stream, uint64_t id)
{
    const uint64_t count = gy_rng_below(stream, 4) == 0 ? 2 + gy_rng_below(stream, 5) : 1;
    const bool buffered = gy_rng_below(&side->rng, 2) == 0;
    struct gyre_write_options options = {.struct_size = sizeof(options)};
    gyre_batch *batch = gyre_batch_make();
    uint8_t *value = malloc(MODEL_VALUE_MAX);

    demand(batch != NULL && value != NULL);
    if (side->plan.options.durability != GYRE_NOWAL) {
        options.durability = buffered ? GYRE_BUFFERED : GYRE_DURABLE;
    }
    for (uint64_t i = 0; i < count; i++) {
        const struct gyre_slice key = model_key((uint32_t)gy_rng_below(stream, MODEL_KEYS_USUAL));
        const uint32_t size = (uint32_t)gy_rng_below(stream, 8) * 600;

        if (gy_rng_below(stream, 4) == 0) {
            must_ok(side, gyre_batch_delete(batch, key), "batch");
        } else {
            model_value_fill(id * 100 + i, size, value);
            must_ok(side, gyre_batch_put(batch, key, gyre_slice(value, size)), "batch");
        }
    }
    must_ok(side, gyre_write(side->db, &options, batch), "write");
    gyre_batch_free(batch);
    free(value);
}

static uint64_t
do_get(struct side *side, struct gy_rng *stream)
{
    const gyre_snapshot *snapshot = side->snapshots[gy_rng_below(stream, SNAPSHOTS)];
    const struct gyre_slice key = model_key((uint32_t)gy_rng_below(stream, MODEL_KEYS_USUAL));
    struct gyre_value value;
    uint64_t answer = 0;
    const gyre_status status =
        gyre_get(side->db, GYRE_READ_OPTIONS(.snapshot = snapshot), key, &value);

    if (status == GYRE_OK) {
        answer = model_digest(value.data, value.size);
        gyre_value_release(&value);
    } else if (status != GYRE_NOT_FOUND) {
        must_ok(side, status, "get");
    }
    return answer;
}

static gyre_status
place(gyre_iterator *it, struct gy_rng *stream)
{
    const struct gyre_slice key = model_key((uint32_t)gy_rng_below(stream, MODEL_KEYS_USUAL));

    switch (gy_rng_below(stream, 6)) {
    case 0:
        return gyre_iterator_first(it);
    case 1:
        return gyre_iterator_last(it);
    case 2:
    case 3:
        return gyre_iterator_seek_for_prev(it, key);
    default:
        return gyre_iterator_seek(it, key);
    }
}

/* From some place some steps, turning now and then. */
static uint64_t
do_scan(struct side *side, struct gy_rng *stream)
{
    const gyre_snapshot *snapshot = side->snapshots[gy_rng_below(stream, SNAPSHOTS)];
    uint64_t steps = gy_rng_below(stream, SCAN_MAX);
    uint64_t turns = gy_rng_next(stream);
    uint64_t answer = 0;
    gyre_iterator *it = NULL;
    gyre_status status;

    must_ok(side, gyre_iterator_open(side->db, GYRE_ITERATOR_OPTIONS(.snapshot = snapshot), &it),
            "iterator");
    status = place(it, stream);
    for (; status == GYRE_OK; steps--) {
        const struct gyre_slice value = gyre_iterator_value(it);

        answer = mix(answer, model_key_find(gyre_iterator_key(it)));
        answer = mix(answer, model_digest(value.data, value.size));
        if (steps == 0) {
            break;
        }
        turns = turns >> 1 | turns << 63;
        status = (turns & 3) == 0 ? gyre_iterator_prev(it) : gyre_iterator_next(it);
    }
    if (status != GYRE_NOT_FOUND) {
        must_ok(side, status, "scan");
    }
    gyre_iterator_close(it);
    return mix(answer, (uint64_t)status);
}

/* Limits, and so the parts, are this side's own. */
static void
draw_limits(struct side *side, struct gyre_scan *scan, size_t rows_max, size_t buffer_max)
{
    scan->rows_max = 1 + gy_rng_below(&side->rng, rows_max);
    scan->buffer_size = 1 + gy_rng_below(&side->rng, buffer_max);
    scan->bytes_max = gy_rng_below(&side->rng, 3000);
    scan->skips_max = gy_rng_below(&side->rng, 12);
    scan->time_ns = gy_rng_below(&side->rng, 2) * gy_rng_below(&side->rng, GY_NS_PER_MS);
}

/* All of a range, in however many calls it takes. */
static uint64_t
do_scan_in_parts(struct side *side, struct gy_rng *stream)
{
    static struct gyre_row rows[16];
    static uint8_t buffer[8192];
    struct gyre_scan scan = GYRE_SCAN(.rows = rows, .buffer = buffer);
    uint64_t answer = 0;

    scan.snapshot = side->snapshots[gy_rng_below(stream, SNAPSHOTS)];
    scan.flags = gy_rng_below(stream, 2) == 0 ? 0 : GYRE_SCAN_REVERSE;
    scan.from = model_key((uint32_t)gy_rng_below(stream, MODEL_KEYS));
    scan.upper = model_key((uint32_t)gy_rng_below(stream, MODEL_KEYS));
    do {
        gyre_status status;

        draw_limits(side, &scan, 16, sizeof(buffer));
        status = gyre_scan(side->db, &scan);
        if (status == GYRE_INVALID && scan.buffer_needed > 0) {
            scan.buffer_size = sizeof(buffer);
            status = gyre_scan(side->db, &scan);
        }
        must_ok(side, status, "scan in parts");
        for (size_t i = 0; i < scan.row_count; i++) {
            answer = mix(answer, model_key_find(rows[i].key));
            answer = mix(answer, model_digest(rows[i].value.data, rows[i].value.size));
        }
    } while (gyre_scan_go_on(&scan));
    return answer;
}

static void
release_all(struct side *side)
{
    for (uint32_t i = 0; i < SNAPSHOTS; i++) {
        gyre_snapshot_release(side->snapshots[i]);
        side->snapshots[i] = NULL;
    }
}

/* What no answer may depend on. */
static void
meddle(struct side *side)
{
    if (side->has_jumps && gy_rng_below(&side->rng, 10) == 0) {
        jump(side);
    }
    switch (gy_rng_below(&side->rng, 40)) {
    case 0:
        must_ok(side, gyre_flush(side->db), "flush");
        break;
    case 1:
        must_ok(side, gyre_compact_range(side->db, model_key(10), model_key(120), NULL, NULL),
                "compact_range");
        break;
    case 2:
        (void)gyre_sleep(side->machine.loop, gy_rng_below(&side->rng, 50) * GY_NS_PER_MS);
        break;
    default:
        break;
    }
}

static uint64_t
do_one(struct side *side, struct gy_rng *stream, uint64_t id)
{
    const uint64_t kind = gy_rng_below(stream, 100);

    if (kind < 50) {
        do_write(side, stream, id);
        return 0;
    }
    if (kind < 72) {
        return do_get(side, stream);
    }
    if (kind < 86) {
        return do_scan(side, stream);
    }
    if (kind < 90) {
        return do_scan_in_parts(side, stream);
    }
    if (kind < 96) {
        gyre_snapshot **snapshot = &side->snapshots[gy_rng_below(stream, SNAPSHOTS)];

        gyre_snapshot_release(*snapshot);
        must_ok(side, gyre_snapshot_open(side->db, snapshot), "snapshot");
        return 0;
    }
    release_all(side);
    if (gy_rng_below(&side->rng, 2) == 0) {
        restart(side);
    }
    return 0;
}

static void
do_timed(struct side *side, struct gy_rng *stream, uint32_t op)
{
    const uint32_t restarts = side->restarts;
    const uint64_t start = machine_ops->now_ns(side->machine.world);
    uint64_t took;

    side->answers[op] = do_one(side, stream, op + 1);
    if (side->restarts != restarts) {
        return; /* another machine */
    }
    took = machine_ops->now_ns(side->machine.world) - start;
    side->op_ns_max = gy_max_u64(side->op_ns_max, took);
    if (took > OP_NS_MAX) {
        fail_now("an operation took %llu ms", (unsigned long long)(took / GY_NS_PER_MS));
    }
}

static void
run_side(struct side *side, uint64_t stream_seed, uint64_t seed, bool has_jumps)
{
    const char *name = has_jumps ? "jumping" : "steady";
    struct gy_rng stream;

    memset(side, 0, sizeof(*side));
    side->has_jumps = has_jumps;
    leap_ns = 0;
    gy_heap_init(&side->heap, UINT64_MAX);
    gy_rng_init(&side->rng, seed);
    gy_rng_init(&stream, stream_seed);
    plan_draw(&side->plan, gy_rng_next(&side->rng));
    side->plan.options.disk_quota = 0; /* nothing is refused on one side only */
    side->plan.options.background_off = 0;
    side->plan.disk.pages = machine_pages();
    side->disk = gy_sim_disk_make(&side->plan.disk, &side->heap);
    open_side(side);
    for (uint32_t i = 0; i < OPS; i++) {
        fail_set_place(1, "%s side, operation %u", name, i);
        do_timed(side, &stream, i);
        meddle(side);
    }
    release_all(side);
    must_ok(side, store_scan(side->db, NULL, &side->content), "scan");
    must_ok(side, store_compare(side->db, NULL, &side->content, &side->rng), "compare");
    must_ok(side, gyre_close(side->db), "close");
    machine_stop(&side->machine);
    gy_sim_disk_free(side->disk);
    demand(side->heap.used == 0);
}

static void
compare_sides(const struct side *a, const struct side *b)
{
    for (uint32_t i = 0; i < OPS; i++) {
        if (a->answers[i] != b->answers[i]) {
            fail_now("operation %u is answered in two ways", i);
        }
    }
    if (memcmp(&a->content, &b->content, sizeof(a->content)) != 0) {
        fail_now("the contents differ in the end");
    }
}

static double
now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
    const double start = now_s();
    struct side *sides = calloc(2, sizeof(*sides));
    uint64_t pairs = 150;
    uint64_t seed = 1;
    uint64_t restarts = 0;
    uint64_t kills = 0;
    uint64_t jumps = 0;
    uint64_t op_ns_max = 0;
    double seconds;

    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--pairs") == 0) {
            pairs = strtoull(argv[i + 1], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(argv[i + 1], NULL, 10);
        } else {
            (void)fprintf(stderr, "usage: sim_pairs [--pairs N] [--seed S]\n");
            return 2;
        }
    }
    demand(sides != NULL);
    for (uint64_t i = 0; i < pairs; i++) {
        fail_set_place(0, "sim_pairs --pairs 1 --seed %llu", (unsigned long long)(seed + i));
        run_side(&sides[0], seed + i, gy_mix64(2 * (seed + i)), false);
        run_side(&sides[1], seed + i, gy_mix64(2 * (seed + i) + 1), true);
        compare_sides(&sides[0], &sides[1]);
        restarts += sides[0].restarts + sides[1].restarts;
        kills += sides[0].kills + sides[1].kills;
        jumps += sides[1].jumps;
        op_ns_max = gy_max_u64(op_ns_max, gy_max_u64(sides[0].op_ns_max, sides[1].op_ns_max));
    }
    seconds = now_s() - start;
    (void)printf(
        "%llu pairs of %u operations, %llu restarts (%llu kills), %llu jumps of the clocks: "
        "0 differences; the longest operation %llu ms; %.0f pairs a minute\n",
        (unsigned long long)pairs, OPS, (unsigned long long)restarts, (unsigned long long)kills,
        (unsigned long long)jumps, (unsigned long long)(op_ns_max / GY_NS_PER_MS),
        (double)pairs * 60 / seconds);
    demand(pairs < 20 || (restarts > 0 && kills > 0 && jumps > 0));
    free(sides);
    return 0;
}
