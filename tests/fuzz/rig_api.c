/* rig_api.c - see rig_api.h. */
#include "tests/fuzz/rig_api.h"

#include <stdlib.h>

#include "engine/db/db.h"
#include "io/base/bits.h"

#define LARGE_MAX (3u << 20)
#define COMMIT_SURE 100000u /* fits into a log of 256 KiB in any case */

static uint8_t bytes_of_seed[256 + LARGE_MAX];

/* ---- Keys and values ---- */

struct gyre_slice
api_key(uint32_t number)
{
    static uint8_t keys[API_KEYS][GYRE_KEY_SIZE_MAX];
    uint8_t *key = keys[number];

    key[0] = (uint8_t)('a' + number / 4);
    switch (number % 4) {
    case 0:
        return gyre_slice(key, 1);
    case 1:
        key[1] = 0;
        return gyre_slice(key, 2);
    case 2:
        memset(key + 1, 'b', 300);
        return gyre_slice(key, 301);
    default:
        memset(key + 1, 0xff, 10);
        return gyre_slice(key, number == API_KEYS - 1 ? GYRE_KEY_SIZE_MAX : 11);
    }
}

uint32_t
api_key_number(struct gyre_slice key)
{
    for (uint32_t i = 0; i < API_KEYS; i++) {
        const struct gyre_slice known = api_key(i);

        if (known.size == key.size && memcmp(known.data, key.data, key.size) == 0) {
            return i;
        }
    }
    rig_must(false, "the key is one that was written");
    return 0;
}

static struct gyre_slice
value_of(const struct api_value *value)
{
    return gyre_slice(bytes_of_seed + value->seed, value->size);
}

static void
check_value(const struct api_value *wanted, const void *data, size_t size)
{
    MUST(wanted->is_there && wanted->size == size);
    MUST(size == 0 || memcmp(data, value_of(wanted).data, size) == 0);
}

static struct api_value
choose_value(struct rig_bytes *in)
{
    static const uint32_t sizes[] = {0,      1,       30,      511,      512,   513,
                                     4095,   4096,    4097,    20000,    65535, 99000,
                                     140000, 1 << 20, 2 << 20, LARGE_MAX};
    const uint8_t which = rig_u8(in);

    /* the large ones seldom: they take the time of a hundred others */
    return (struct api_value){.is_there = true,
                              .size = sizes[which < 248 ? which % 11 : 11 + which % 5],
                              .seed = rig_u8(in)};
}

static const struct gyre_write_options *
choose_durability(struct rig_bytes *in)
{
    static const struct gyre_write_options choices[] = {
        {.struct_size = sizeof(choices[0])},
        {.struct_size = sizeof(choices[0]), .durability = GYRE_DURABLE},
        {.struct_size = sizeof(choices[0]), .durability = GYRE_BUFFERED}};
    const uint8_t which = rig_u8(in) % 4;

    return which == 3 ? NULL : &choices[which];
}

/* ---- Start and stop ---- */

static void
store_open(struct api *api, struct rig_bytes *in)
{
    const uint8_t how = rig_u8(in);
    static const uint32_t durabilities[] = {GYRE_DURABLE, GYRE_BUFFERED, GYRE_NOWAL, 0};

    MUST(gyre_open(api->loop, "/db",
                   GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE, .memtable_size = 64u << 10,
                                .table_size = 64u << 10, .wal_slot_size = 256u << 10,
                                .wal_buffer_size = 256u << 10, .open_files_max = 16,
                                .iterators_max = API_ITERATORS, .durability = durabilities[how % 4],
                                .compression = how / 4 % 3, .level0_tables = 2, .level_ratio = 2,
                                .paranoid = how / 16 % 2, .background_off = how / 32 % 2),
                   &api->db) == GYRE_OK);
}

void
api_start(struct api *api, struct rig_bytes *in)
{
    struct gy_world_sim_config config;

    if (bytes_of_seed[1] == 0) {
        for (size_t i = 0; i < sizeof(bytes_of_seed); i++) {
            bytes_of_seed[i] = (uint8_t)(i * 2654435761u >> 13 | 1u);
        }
    }
    memset(api, 0, sizeof(*api));
    gy_heap_init(&api->heap, UINT64_MAX);
    api->disk = gy_sim_disk_make(NULL, &api->heap);
    gy_world_sim_config_init(&config, 1 + rig_u8(in));
    MUST(gy_world_sim_open(&config, api->disk, &api->world) == GYRE_OK);
    MUST(gy_loop_open_on(GYRE_LOOP_OPTIONS(.memory_limit = 16u << 20, .cache_size = 1u << 20),
                         api->world, &api->loop, NULL) == GYRE_OK);
    api->loop->arena.chunk_ready = api->loop->arena.chunk_count;
    store_open(api, in);
}

static void
release_all(struct api *api)
{
    for (uint32_t i = 0; i < API_SNAPSHOTS; i++) {
        gyre_snapshot_release(api->snapshots[i].snapshot);
        api->snapshots[i].snapshot = NULL;
    }
    for (uint32_t i = 0; i < API_ITERATORS; i++) {
        gyre_iterator_close(api->iterators[i].iterator);
        api->iterators[i].iterator = NULL;
    }
}

void
api_stop(struct api *api)
{
    release_all(api);
    MUST(gyre_close(api->db) == GYRE_OK);
    MUST(gy_world_sim_violation_count(api->world) == 0);
    MUST(gyre_loop_close(api->loop) == GYRE_OK);
    gy_sim_disk_free(api->disk);
    MUST(api->heap.used == 0);
}

/* BUSY while something is held; without a log only what was flushed is there again. */
void
api_reopen(struct api *api, struct rig_bytes *in)
{
    const uint8_t how = rig_u8(in);
    bool is_held = false;
    gyre_status status;

    for (uint32_t i = 0; i < API_SNAPSHOTS; i++) {
        is_held = is_held || api->snapshots[i].snapshot != NULL;
    }
    for (uint32_t i = 0; i < API_ITERATORS; i++) {
        is_held = is_held || api->iterators[i].iterator != NULL;
    }
    if (is_held) {
        MUST(gyre_close(api->db) == GYRE_BUSY);
        if (how % 2 == 0) {
            return;
        }
        release_all(api);
    }
    if (api->db->options.durability == GYRE_NOWAL) {
        MUST(gyre_flush(api->db) == GYRE_OK);
    }
    status = gyre_close(api->db);
    MUST(status == GYRE_OK);
    store_open(api, in);
    if (how % 4 == 2) {
        api_check_all(api);
    }
}

/* ---- Writing ---- */

/* A write that had to work, or was too large for one of the limits and changed nothing. */
static bool
was_written(gyre_status status, size_t size)
{
    if (status == GYRE_OK) {
        return true;
    }
    MUST(size > COMMIT_SURE && (status == GYRE_INVALID || status == GYRE_NO_MEMORY));
    return false;
}

void
api_put(struct api *api, struct rig_bytes *in)
{
    const uint32_t key = rig_u8(in) % API_KEYS;
    const struct api_value value = choose_value(in);
    const struct gyre_write_options *options = choose_durability(in);
    const size_t size = api_key(key).size + value.size;

    if (was_written(gyre_put(api->db, options, api_key(key), value_of(&value)), size)) {
        api->model.values[key] = value;
    }
}

void
api_delete(struct api *api, struct rig_bytes *in)
{
    const uint32_t key = rig_u8(in) % API_KEYS;

    MUST(gyre_delete(api->db, choose_durability(in), api_key(key)) == GYRE_OK);
    api->model.values[key].is_there = false;
}

void
api_batch(struct api *api, struct rig_bytes *in)
{
    const uint32_t count = rig_u8(in) % 8u;
    struct api_model model = api->model;
    gyre_batch *batch = gyre_batch_make();
    size_t size = 0;

    MUST(batch != NULL);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t which = rig_u8(in);
        const uint32_t key = which % API_KEYS;

        if (which >= 192) {
            MUST(gyre_batch_delete(batch, api_key(key)) == GYRE_OK);
            model.values[key].is_there = false;
        } else {
            const struct api_value value = choose_value(in);

            MUST(gyre_batch_put(batch, api_key(key), value_of(&value)) == GYRE_OK);
            model.values[key] = value;
            size += value.size;
        }
        size += api_key(key).size + 16;
    }
    if (was_written(gyre_write(api->db, choose_durability(in), batch), size)) {
        api->model = model;
    }
    gyre_batch_free(batch);
}

/* ---- Reading ---- */

static const struct api_snapshot *
choose_snapshot(struct api *api, struct rig_bytes *in)
{
    const struct api_snapshot *snapshot = &api->snapshots[rig_u8(in) % API_SNAPSHOTS];

    return snapshot->snapshot != NULL ? snapshot : NULL;
}

static const struct api_model *
model_of(const struct api *api, const struct api_snapshot *snapshot)
{
    return snapshot != NULL ? &snapshot->model : &api->model;
}

static void
check_get(struct api *api, const struct api_snapshot *snapshot, uint32_t key)
{
    const struct api_value *wanted = &model_of(api, snapshot)->values[key];
    struct gyre_value value = {.data = NULL};
    const gyre_status status = gyre_get(
        api->db, GYRE_READ_OPTIONS(.snapshot = snapshot != NULL ? snapshot->snapshot : NULL),
        api_key(key), &value);

    MUST(status == (wanted->is_there ? GYRE_OK : GYRE_NOT_FOUND));
    if (status == GYRE_OK) {
        check_value(wanted, value.data, value.size);
    }
    gyre_value_release(&value);
    gyre_value_release(&value); /* twice is harmless */
}

void
api_get(struct api *api, struct rig_bytes *in)
{
    const struct api_snapshot *snapshot = choose_snapshot(api, in);

    check_get(api, snapshot, rig_u8(in) % API_KEYS);
}

void
api_get_copy(struct api *api, struct rig_bytes *in)
{
    const uint32_t key = rig_u8(in) % API_KEYS;
    const struct api_value *wanted = &api->model.values[key];
    const size_t capacity = rig_wide(in, 2);
    uint8_t *buffer = malloc(capacity + 1);
    size_t size = 0;
    gyre_status status;

    MUST(buffer != NULL);
    status = gyre_get_copy(api->db, NULL, api_key(key), buffer, capacity, &size);
    MUST(status == (wanted->is_there ? GYRE_OK : GYRE_NOT_FOUND));
    if (status == GYRE_OK) {
        MUST(size == wanted->size);
        MUST(memcmp(buffer, value_of(wanted).data, gy_min_u64(size, capacity)) == 0);
    }
    free(buffer);
}

void
api_multi_get(struct api *api, struct rig_bytes *in)
{
    const struct api_snapshot *snapshot = choose_snapshot(api, in);
    const struct api_model *model = model_of(api, snapshot);
    struct gyre_slice keys[16];
    struct gyre_value values[16];
    gyre_status statuses[16];
    uint32_t numbers[16];
    const uint32_t count = rig_u8(in) % 17u;
    gyre_status status;

    for (uint32_t i = 0; i < count; i++) {
        numbers[i] = rig_u8(in) % (API_KEYS + 1); /* the last one: a key without bytes */
        keys[i] = numbers[i] < API_KEYS ? api_key(numbers[i]) : gyre_slice("", 0);
    }
    status = gyre_multi_get(
        api->db, GYRE_READ_OPTIONS(.snapshot = snapshot != NULL ? snapshot->snapshot : NULL), count,
        keys, values, statuses);
    if (status != GYRE_OK) {
        MUST(status == GYRE_NO_MEMORY); /* large values, all pinned at once */
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (numbers[i] == API_KEYS) {
            MUST(statuses[i] == GYRE_INVALID);
            continue;
        }
        MUST(statuses[i] == (model->values[numbers[i]].is_there ? GYRE_OK : GYRE_NOT_FOUND));
        if (statuses[i] == GYRE_OK) {
            check_value(&model->values[numbers[i]], values[i].data, values[i].size);
        }
        gyre_value_release(&values[i]);
    }
}

void
api_snapshot(struct api *api, struct rig_bytes *in)
{
    struct api_snapshot *snapshot = &api->snapshots[rig_u8(in) % API_SNAPSHOTS];

    if (snapshot->snapshot != NULL) {
        gyre_snapshot_release(snapshot->snapshot);
        snapshot->snapshot = NULL;
    } else {
        MUST(gyre_snapshot_open(api->db, &snapshot->snapshot) == GYRE_OK);
        snapshot->model = api->model;
    }
}

void
api_iterator(struct api *api, struct rig_bytes *in)
{
    struct api_iterator *it = &api->iterators[rig_u8(in) % API_ITERATORS];
    const struct api_snapshot *snapshot = choose_snapshot(api, in);
    const uint32_t low = rig_u8(in) % (2 * API_KEYS);
    const uint32_t high = rig_u8(in) % (2 * API_KEYS);

    if (it->iterator != NULL) {
        gyre_iterator_close(it->iterator);
        it->iterator = NULL;
        return;
    }
    it->model = *model_of(api, snapshot);
    it->at = API_KEYS;
    it->low = low < API_KEYS ? low : 0;
    it->high = high < API_KEYS ? high : API_KEYS;
    MUST(gyre_iterator_open(
             api->db,
             GYRE_ITERATOR_OPTIONS(.snapshot = snapshot != NULL ? snapshot->snapshot : NULL,
                                   .lower = low < API_KEYS ? api_key(low) : gyre_slice(NULL, 0),
                                   .upper = high < API_KEYS ? api_key(high) : gyre_slice(NULL, 0)),
             &it->iterator) == GYRE_OK);
}

static uint32_t
next_there(const struct api_iterator *it, uint32_t from)
{
    for (uint32_t i = from < it->low ? it->low : from; i < it->high; i++) {
        if (it->model.values[i].is_there) {
            return i;
        }
    }
    return API_KEYS;
}

/* The last one below `from`. */
static uint32_t
previous_there(const struct api_iterator *it, uint32_t from)
{
    for (uint32_t i = from < it->high ? from : it->high; i > it->low; i--) {
        if (it->model.values[i - 1].is_there) {
            return i - 1;
        }
    }
    return API_KEYS;
}

static gyre_status
move(struct api_iterator *it, uint8_t how, uint32_t key, uint32_t *ret_wanted)
{
    switch (how) {
    case 0:
        *ret_wanted = next_there(it, 0);
        return gyre_iterator_first(it->iterator);
    case 1:
        *ret_wanted = previous_there(it, API_KEYS);
        return gyre_iterator_last(it->iterator);
    case 2:
        *ret_wanted = next_there(it, key);
        return gyre_iterator_seek(it->iterator, api_key(key));
    case 3:
        *ret_wanted = previous_there(it, key + 1);
        return gyre_iterator_seek_for_prev(it->iterator, api_key(key));
    case 4:
    case 5:
        *ret_wanted = next_there(it, it->at + 1);
        return gyre_iterator_next(it->iterator);
    default:
        *ret_wanted = previous_there(it, it->at);
        return gyre_iterator_prev(it->iterator);
    }
}

static void
check_position(const struct api_iterator *it)
{
    const struct gyre_slice key = gyre_iterator_key(it->iterator);
    const struct gyre_slice value = gyre_iterator_value(it->iterator);

    if (it->at == API_KEYS) {
        MUST(!gyre_iterator_is_valid(it->iterator) && key.size == 0 && value.size == 0);
        return;
    }
    MUST(gyre_iterator_is_valid(it->iterator) && api_key_number(key) == it->at);
    check_value(&it->model.values[it->at], value.data, value.size);
}

void
api_move(struct api *api, struct rig_bytes *in)
{
    const uint8_t which = rig_u8(in);
    struct api_iterator *it = &api->iterators[which % API_ITERATORS];
    const uint8_t how = which / 4 % 8;
    const uint32_t key = rig_u8(in) % API_KEYS;
    uint32_t wanted = API_KEYS;
    gyre_status status;

    if (it->iterator == NULL) {
        MUST(gyre_iterator_first(NULL) == GYRE_MISUSE && !gyre_iterator_is_valid(NULL));
        return;
    }
    check_position(it); /* whatever was done to the store since */
    if (how >= 4 && it->at == API_KEYS) {
        MUST(move(it, how, key, &wanted) == GYRE_INVALID);
        return;
    }
    status = move(it, how, key, &wanted);
    MUST(status == (wanted == API_KEYS ? GYRE_NOT_FOUND : GYRE_OK));
    it->at = wanted;
    check_position(it);
}

/* The same in calls that give two rows at most. */
static void
check_scan(struct api *api)
{
    static struct gyre_row rows[2];
    static uint8_t buffer[1u << 17];
    struct gyre_scan scan = GYRE_SCAN(.rows = rows, .rows_max = 2, .buffer = buffer,
                                      .buffer_size = sizeof(buffer), .skips_max = 1);
    uint32_t i = 0;

    do {
        const gyre_status status = gyre_scan(api->db, &scan);

        if (status == GYRE_INVALID && scan.buffer_needed > sizeof(buffer)) {
            return; /* a large value */
        }
        MUST(status == GYRE_OK);
        for (size_t row = 0; row < scan.row_count; row++) {
            while (i < API_KEYS && !api->model.values[i].is_there) {
                i++;
            }
            MUST(i < API_KEYS && api_key_number(rows[row].key) == i++);
        }
    } while (gyre_scan_go_on(&scan));
    while (i < API_KEYS && !api->model.values[i].is_there) {
        i++;
    }
    MUST(i == API_KEYS);
}

void
api_check_all(struct api *api)
{
    gyre_iterator *it = NULL;
    gyre_status status;

    for (uint32_t i = 0; i < API_KEYS; i++) {
        check_get(api, NULL, i);
    }
    check_scan(api);
    status = gyre_iterator_open(api->db, NULL, &it);
    if (status == GYRE_INVALID) {
        return; /* iterators_max are open */
    }
    MUST(status == GYRE_OK);
    status = gyre_iterator_first(it);
    for (uint32_t i = 0; i < API_KEYS; i++) {
        if (api->model.values[i].is_there) {
            MUST(status == GYRE_OK && api_key_number(gyre_iterator_key(it)) == i);
            status = gyre_iterator_next(it);
        }
    }
    MUST(status == GYRE_NOT_FOUND);
    gyre_iterator_close(it);
}
