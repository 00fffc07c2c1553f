/* scans.c - scans within limits that go on from where they stopped (R7): between two places each
 * call gives just what the model holds there at one moment, and the places follow each other. */
#include <stdlib.h>
#include <string.h>

#include "io/base/bits.h"
#include "tools/gyre_sim/run.h"

#define ROWS_MAX 24u
#define CALLS_MAX 40u
#define UNTOUCHED 0xddu
#define UNTOUCHED_NS (3 * GY_NS_PER_MS) /* so long nobody may write to what was given up */

/* A scan in parts. The keys in [low, high) are left, by their numbers. */
struct parts {
    struct actor *actor;
    const gyre_snapshot *snapshot;
    uint64_t sequence; /* of the snapshot */
    uint32_t low;
    uint32_t high;
    bool is_reverse;
    struct gyre_scan scan;
    struct gyre_row rows[ROWS_MAX];
    uint8_t *place; /* a copy of what the last call stopped at; what follows begins there */
    size_t place_size;
};

/* ---- Places ---- */

static int
compare(struct gyre_slice a, struct gyre_slice b)
{
    const int order = memcmp(a.data, b.data, gy_min_u64(a.size, b.size));

    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* The first of the model's keys that is not less than `place`. */
static uint32_t
key_from(struct gyre_slice place)
{
    uint32_t key = 0;

    while (key < MODEL_KEYS && compare(model_key(key), place) < 0) {
        key++;
    }
    return key;
}

/* Keep the place, since the buffer is used again; it has to be further on. */
static void
keep_place(struct parts *parts)
{
    const struct gyre_slice next = parts->scan.next;
    uint8_t *copy = malloc(next.size + 1);

    demand(copy != NULL && next.data != NULL);
    if (parts->place != NULL) {
        const int order = compare(next, gyre_slice(parts->place, parts->place_size));

        if (parts->is_reverse ? order >= 0 : order <= 0) {
            fail_now("a scan goes on from where it was");
        }
    }
    memcpy(copy, next.data, next.size);
    free(parts->place);
    parts->place = copy;
    parts->place_size = next.size;
}

/* ---- What a call gave ---- */

static void
demand_reason(const struct parts *parts)
{
    const struct gyre_scan *scan = &parts->scan;

    switch ((enum gyre_scan_stop)scan->stopped) {
    case GYRE_SCAN_AT_END:
        demand(scan->next.data == NULL);
        break;
    case GYRE_SCAN_AT_ROWS:
        demand(scan->row_count == scan->rows_max);
        reached(scan_stopped_at_rows);
        break;
    case GYRE_SCAN_AT_BYTES:
        demand(scan->bytes_max > 0 && scan->row_count > 0);
        reached(scan_stopped_at_bytes);
        break;
    case GYRE_SCAN_AT_BUFFER:
        demand(scan->row_count > 0);
        reached(scan_stopped_at_buffer);
        break;
    case GYRE_SCAN_AT_TIME:
        demand(scan->time_ns > 0);
        reached(scan_stopped_at_time);
        break;
    case GYRE_SCAN_AT_SKIPS:
        demand(scan->skips_max > 0 && scan->skipped >= scan->skips_max);
        reached(scan_stopped_at_skips);
        break;
    default:
        fail_now("a scan stopped for no reason that there is");
    }
    demand(scan->row_count <= scan->rows_max && scan->buffer_needed == 0);
    demand(scan->bytes_max == 0 || scan->bytes <= scan->bytes_max || scan->row_count == 1);
}

static bool
is_in_buffer(const struct gyre_scan *scan, struct gyre_slice slice)
{
    const uint8_t *begin = scan->buffer;
    const uint8_t *data = slice.data;

    return data >= begin && data + slice.size <= begin + scan->buffer_size;
}

/* The digests of all keys of [low, high), NONE where there is no row. */
static void
take_rows(const struct parts *parts, uint32_t low, uint32_t high, uint64_t digests[MODEL_KEYS])
{
    const struct gyre_scan *scan = &parts->scan;
    uint32_t before = parts->is_reverse ? high : low; /* rows go on from here */
    uint64_t bytes = 0;

    memset(digests, 0, MODEL_KEYS * sizeof(*digests));
    for (size_t i = 0; i < scan->row_count; i++) {
        const struct gyre_slice value = parts->rows[i].value;
        const uint32_t key = model_key_find(parts->rows[i].key);

        demand(key != MODEL_KEYS && is_in_buffer(scan, parts->rows[i].key) &&
               is_in_buffer(scan, value));
        if (key < low || key >= high || (parts->is_reverse ? key >= before : key < before)) {
            fail_now("a scan of [%u, %u) gives key %u, out of its turn or again", low, high, key);
        }
        before = parts->is_reverse ? key : key + 1;
        digests[key] = model_digest(value.data, value.size);
        bytes += parts->rows[i].key.size + value.size;
    }
    demand(bytes == scan->bytes);
}

/* One moment from `first` to `last` has all of it, and nothing else. */
static void
demand_rows(struct parts *parts, uint64_t first, uint64_t last)
{
    struct run *run = parts->actor->run;
    const bool is_end = parts->scan.stopped == GYRE_SCAN_AT_END;
    const uint32_t place = is_end ? 0 : key_from(parts->scan.next);
    uint32_t low = parts->low;
    uint32_t high = parts->high;
    uint32_t keys[MODEL_KEYS];
    uint64_t digests[MODEL_KEYS];

    if (!is_end && parts->is_reverse) {
        low = (uint32_t)gy_clamp_u64(place, low, high);
        parts->high = low;
    } else if (!is_end) {
        high = (uint32_t)gy_clamp_u64(place, low, high);
        parts->low = high;
    }
    take_rows(parts, low, high, digests);
    for (uint32_t key = low; key < high; key++) {
        keys[key] = key;
    }
    if (low < high &&
        !model_were(&run->model, keys + low, digests + low, high - low, first, last)) {
        fail_now("a scan %s of keys [%u, %u): no moment from sequence %llu to %llu has just the "
                 "%zu rows that it gave",
                 parts->is_reverse ? "backward" : "forward", low, high, (unsigned long long)first,
                 (unsigned long long)last, parts->scan.row_count);
    }
}

/* ---- Calls ---- */

/* What was given up is not written to any more: it is the caller's again. */
static void
demand_untouched(struct parts *parts)
{
    uint8_t *bytes = parts->scan.buffer;

    memset(bytes, (int)UNTOUCHED, parts->scan.buffer_size);
    memset(parts->rows, (int)UNTOUCHED, sizeof(parts->rows));
    (void)gyre_sleep(parts->actor->run->machine.loop, UNTOUCHED_NS);
    for (size_t i = 0; i < parts->scan.buffer_size; i++) {
        demand(bytes[i] == UNTOUCHED);
    }
    for (size_t i = 0; i < sizeof(parts->rows); i++) {
        demand(((uint8_t *)parts->rows)[i] == UNTOUCHED);
    }
    reached(scan_given_up);
}

/* A larger buffer, since the first row did not fit. */
static void
enlarge(struct parts *parts)
{
    struct gyre_scan *scan = &parts->scan;
    const size_t size = scan->buffer_needed;

    demand(size > scan->buffer_size && size <= 2u * MODEL_VALUE_MAX && scan->row_count == 0);
    free(scan->buffer);
    scan->buffer = malloc(size);
    demand(scan->buffer != NULL);
    scan->buffer_size = size;
    reached(scan_told_what_it_needs);
}

/* True: there is more. */
static bool
scan_once(struct parts *parts)
{
    struct run *run = parts->actor->run;
    struct gyre_scan *scan = &parts->scan;
    const uint64_t first = parts->snapshot != NULL ? parts->sequence : gy_db_visible(run->db);
    gyre_status status = ops_scan(parts->actor, scan);

    if (status == GYRE_TIMED_OUT || status == GYRE_CANCELED) {
        demand_untouched(parts);
    }
    if (status == GYRE_INVALID && scan->buffer_needed > 0) {
        enlarge(parts);
        return run->db != NULL;
    }
    if (read_is_told(run, status, "scan within limits") || run->db == NULL) {
        return false;
    }
    demand(status == GYRE_OK);
    demand_reason(parts);
    demand_rows(parts, first, parts->snapshot != NULL ? first : gy_db_visible(run->db));
    if (!gyre_scan_go_on(scan)) {
        reached(scan_went_on_to_its_end);
        return false;
    }
    keep_place(parts);
    if (parts->is_reverse) {
        scan->upper = gyre_slice(parts->place, parts->place_size);
    } else {
        scan->from = gyre_slice(parts->place, parts->place_size);
    }
    return true;
}

static void
draw_range(struct parts *parts, struct gy_rng *rng)
{
    struct run *run = parts->actor->run;
    struct gyre_scan *scan = &parts->scan;

    parts->high = MODEL_KEYS;
    if (gy_rng_below(rng, 3) == 0) {
        parts->low = plan_draw_key(&run->plan, rng);
        scan->from = model_key(parts->low);
    }
    if (gy_rng_below(rng, 3) == 0) {
        parts->high = plan_draw_key(&run->plan, rng);
        scan->upper = model_key(parts->high);
    }
    if (gy_rng_below(rng, 6) == 0) {
        const uint32_t group = (uint32_t)gy_rng_below(rng, MODEL_KEYS_USUAL / MODEL_KEY_GROUP);

        scan->prefix = model_key(group * MODEL_KEY_GROUP);
        scan->prefix.size = MODEL_PREFIX;
        parts->low = (uint32_t)gy_max_u64(parts->low, group * MODEL_KEY_GROUP);
        parts->high = (uint32_t)gy_min_u64(parts->high, (group + 1) * MODEL_KEY_GROUP);
    }
    parts->high = (uint32_t)gy_max_u64(parts->low, parts->high);
}

static void
draw_limits(struct gyre_scan *scan, struct gy_rng *rng)
{
    static const size_t buffer_sizes[] = {40, 600, 5000, 20000, 2u * MODEL_VALUE_MAX};

    scan->rows_max = 1 + gy_rng_below(rng, ROWS_MAX);
    scan->bytes_max = gy_rng_below(rng, 3) == 0 ? 1 + gy_rng_below(rng, 6000) : 0;
    scan->time_ns = gy_rng_below(rng, 4) == 0 ? 1 + gy_rng_below(rng, 50 * GY_NS_PER_US) : 0;
    scan->skips_max = gy_rng_below(rng, 3) == 0 ? 1 + gy_rng_below(rng, 12) : 0;
    scan->buffer_size = buffer_sizes[gy_rng_below(rng, 5)];
    scan->flags = gy_rng_below(rng, 4) == 0 ? GYRE_READ_NO_FILL : 0;
}

void
scan_in_parts(struct actor *actor, struct gy_rng *rng)
{
    struct parts *parts = calloc(1, sizeof(*parts));

    demand(parts != NULL);
    parts->actor = actor;
    parts->scan = GYRE_SCAN(.rows = parts->rows);
    draw_range(parts, rng);
    draw_limits(&parts->scan, rng);
    parts->is_reverse = gy_rng_below(rng, 2) == 0;
    parts->scan.flags |= parts->is_reverse ? GYRE_SCAN_REVERSE : 0;
    if (actor->snapshot != NULL && gy_rng_below(rng, 2) == 0) {
        parts->snapshot = actor->snapshot;
        parts->sequence = actor->snapshot_sequence;
        parts->scan.snapshot = actor->snapshot;
    }
    parts->scan.buffer = malloc(parts->scan.buffer_size);
    demand(parts->scan.buffer != NULL);
    for (uint32_t i = 0; i < CALLS_MAX && scan_once(parts); i++) {
    }
    free(parts->scan.buffer);
    free(parts->place);
    free(parts);
}
