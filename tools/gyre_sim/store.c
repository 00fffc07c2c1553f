/* store.c - the whole content of a store by every way of reading, and the soundness of what it is
 * made of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/disk/names.h"
#include "io/base/bits.h"
#include "tools/gyre_sim/run.h"

static uint32_t
known_key(struct gyre_slice key)
{
    const uint32_t number = model_key_find(key);

    if (number == MODEL_KEYS) {
        fail_now("a key of %zu bytes that nobody wrote", key.size);
    }
    return number;
}

gyre_status
store_scan(gyre_db *db, const gyre_snapshot *snapshot, struct model_state *ret_state)
{
    gyre_iterator *it = NULL;
    uint32_t next = 0;
    gyre_status status = gyre_iterator_open(db, GYRE_ITERATOR_OPTIONS(.snapshot = snapshot), &it);

    memset(ret_state, 0, sizeof(*ret_state));
    if (status != GYRE_OK) {
        return status;
    }
    for (status = gyre_iterator_first(it); status == GYRE_OK; status = gyre_iterator_next(it)) {
        const uint32_t key = known_key(gyre_iterator_key(it));
        const struct gyre_slice value = gyre_iterator_value(it);

        if (key < next) {
            fail_now("a scan gives key %u after key %u", key, next - 1);
        }
        ret_state->digests[key] = model_digest(value.data, value.size);
        next = key + 1;
    }
    gyre_iterator_close(it);
    return status == GYRE_NOT_FOUND ? GYRE_OK : status;
}

static void
demand_digest(const struct model_state *state, uint32_t key, uint64_t digest, const char *what)
{
    if (state->digests[key] != digest) {
        fail_now("%s: key %u is %s", what, key,
                 digest == MODEL_NONE                ? "not there"
                 : state->digests[key] == MODEL_NONE ? "there and should not be"
                                                     : "of another write");
    }
}

static gyre_status
compare_backward(gyre_db *db, const gyre_snapshot *snapshot, const struct model_state *state)
{
    gyre_iterator *it = NULL;
    uint32_t above = MODEL_KEYS;
    gyre_status status = gyre_iterator_open(db, GYRE_ITERATOR_OPTIONS(.snapshot = snapshot), &it);

    if (status != GYRE_OK) {
        return status;
    }
    for (status = gyre_iterator_last(it); status == GYRE_OK; status = gyre_iterator_prev(it)) {
        const uint32_t key = known_key(gyre_iterator_key(it));
        const struct gyre_slice value = gyre_iterator_value(it);

        demand(key < above);
        while (above - 1 != key) {
            above--;
            demand_digest(state, above, MODEL_NONE, "a scan backward");
        }
        demand_digest(state, key, model_digest(value.data, value.size), "a scan backward");
        above = key;
    }
    while (status == GYRE_NOT_FOUND && above > 0) {
        above--;
        demand_digest(state, above, MODEL_NONE, "a scan backward");
    }
    gyre_iterator_close(it);
    return status == GYRE_NOT_FOUND ? GYRE_OK : status;
}

static gyre_status
compare_get(gyre_db *db, const gyre_snapshot *snapshot, const struct model_state *state,
            uint32_t key)
{
    const struct gyre_read_options *options = GYRE_READ_OPTIONS(.snapshot = snapshot);
    struct gyre_value value;
    uint8_t bytes[512];
    gyre_status status = gyre_get(db, options, model_key(key), &value);

    if (status != GYRE_OK && status != GYRE_NOT_FOUND) {
        return status;
    }
    demand_digest(state, key, status == GYRE_OK ? model_digest(value.data, value.size) : MODEL_NONE,
                  "get");
    if (status == GYRE_OK) {
        gyre_value_release(&value);
    }
    if (key % 8 != 0) {
        return GYRE_OK;
    }
    status = gyre_get(db, options, model_key_absent(key, bytes), &value);
    if (status == GYRE_OK) {
        fail_now("get: a key that nobody wrote is there");
    }
    return status == GYRE_NOT_FOUND ? GYRE_OK : status;
}

static uint32_t
present_from(const struct model_state *state, uint32_t key)
{
    while (key < MODEL_KEYS && state->digests[key] == MODEL_NONE) {
        key++;
    }
    return key;
}

static uint32_t
present_to(const struct model_state *state, uint32_t key)
{
    while (key != UINT32_MAX && state->digests[key] == MODEL_NONE) {
        key--;
    }
    return key == UINT32_MAX ? MODEL_KEYS : key;
}

#define SEEKS 10u

/* seek lands on the first key at or after, seek_for_prev on the last at or before. */
static gyre_status
compare_seeks(gyre_db *db, const gyre_snapshot *snapshot, const struct model_state *state,
              struct gy_rng *rng)
{
    gyre_iterator *it = NULL;
    gyre_status status = gyre_iterator_open(db, GYRE_ITERATOR_OPTIONS(.snapshot = snapshot), &it);

    if (status != GYRE_OK) {
        return status;
    }
    for (uint32_t i = 0; i < SEEKS; i++) {
        const uint32_t key = (uint32_t)gy_rng_below(rng, MODEL_KEYS);
        const bool is_back = i % 2 == 0;
        const uint32_t wanted = is_back ? present_to(state, key) : present_from(state, key);
        uint32_t found;

        status = is_back ? gyre_iterator_seek_for_prev(it, model_key(key))
                         : gyre_iterator_seek(it, model_key(key));
        if (status != GYRE_OK && status != GYRE_NOT_FOUND) {
            break;
        }
        found = status == GYRE_OK ? known_key(gyre_iterator_key(it)) : MODEL_KEYS;
        if (found != wanted) {
            fail_now("seek%s key %u: at key %u, not %u", is_back ? "_for_prev" : "", key, found,
                     wanted);
        }
    }
    gyre_iterator_close(it);
    return status == GYRE_NOT_FOUND ? GYRE_OK : status;
}

#define MULTI 20u

static gyre_status
compare_multi_get(gyre_db *db, const gyre_snapshot *snapshot, const struct model_state *state,
                  struct gy_rng *rng)
{
    struct gyre_slice slices[MULTI];
    struct gyre_value values[MULTI];
    gyre_status statuses[MULTI];
    uint32_t keys[MULTI];
    gyre_status status;

    for (uint32_t i = 0; i < MULTI; i++) {
        keys[i] = (uint32_t)gy_rng_below(rng, MODEL_KEYS);
        slices[i] = model_key(keys[i]);
    }
    status = gyre_multi_get(db, GYRE_READ_OPTIONS(.snapshot = snapshot), MULTI, slices, values,
                            statuses);
    if (status != GYRE_OK) {
        return status;
    }
    for (uint32_t i = 0; i < MULTI; i++) {
        if (statuses[i] != GYRE_OK && statuses[i] != GYRE_NOT_FOUND) {
            status = statuses[i];
            continue;
        }
        demand_digest(state, keys[i],
                      statuses[i] == GYRE_OK ? model_digest(values[i].data, values[i].size)
                                             : MODEL_NONE,
                      "multi_get");
        gyre_value_release(&values[i]);
    }
    return status;
}

gyre_status
store_compare(gyre_db *db, const gyre_snapshot *snapshot, const struct model_state *state,
              struct gy_rng *rng)
{
    gyre_status status = compare_backward(db, snapshot, state);

    for (uint32_t key = 0; status == GYRE_OK && key < MODEL_KEYS; key++) {
        status = compare_get(db, snapshot, state, key);
    }
    if (status == GYRE_OK) {
        status = compare_seeks(db, snapshot, state, rng);
    }
    return status == GYRE_OK ? compare_multi_get(db, snapshot, state, rng) : status;
}

/* ---- What it is made of ---- */

static const struct gy_table *
find_table(const struct gy_version *version, uint64_t number)
{
    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < version->levels[level].count; i++) {
            if (version->levels[level].tables[i]->meta.number == number) {
                return version->levels[level].tables[i];
            }
        }
    }
    return NULL;
}

struct listing {
    const struct run *run;
    uint64_t tables;
    uint64_t manifests;
    char stranger[GY_NAME_MAX]; /* a file that should not be there, "" = none */
};

static void
note_file(void *arg, const char *name, bool is_regular)
{
    struct listing *listing = arg;
    const gyre_db *db = listing->run->db;
    uint64_t number;
    bool is_ours;

    switch (is_regular ? gy_name_parse(name, &number) : GY_FILE_FOREIGN) {
    case GY_FILE_TABLE:
        is_ours = find_table(db->view->version, number) != NULL;
        listing->tables++;
        break;
    case GY_FILE_MANIFEST:
        is_ours = number == db->manifest.number;
        listing->manifests++;
        break;
    default:
        is_ours = is_regular && strcmp(name, GY_NAME_CURRENT_TMP) != 0;
        break;
    }
    if (!is_ours) {
        (void)snprintf(listing->stranger, sizeof(listing->stranger), "%s", name);
    }
}

#define SETTLE_TRIES 50u /* files on their way out */

static void
demand_files(struct run *run)
{
    struct listing listing;

    for (uint32_t i = 0; i < SETTLE_TRIES; i++) {
        listing = (struct listing){.run = run};
        demand(gy_sim_disk_list(run->disk, RUN_PATH, note_file, &listing) >= 0);
        if (listing.stranger[0] == '\0') {
            break;
        }
        (void)gyre_sleep(run->machine.loop, 10 * GY_NS_PER_MS);
    }
    if (run->had_faults) {
        return; /* what could not be unlinked stays until the next open */
    }
    if (listing.stranger[0] != '\0') {
        fail_now("%s is in the directory of a store at rest", listing.stranger);
    }
    if (listing.tables != run->db->view->version->table_count) {
        fail_now("%llu tables in the directory, %llu in the levels",
                 (unsigned long long)listing.tables,
                 (unsigned long long)run->db->view->version->table_count);
    }
    demand(listing.manifests == 1);
}

static void
demand_memory_adds_up(struct run *run)
{
    struct gyre_loop_stats s = {.struct_size = sizeof(s)};

    demand(gyre_loop_stats(run->machine.loop, &s) == GYRE_OK);
    demand(s.memory_loop + s.memory_buffers + s.memory_cache + s.memory_memtables +
               s.memory_tables + s.memory_versions + s.memory_calls ==
           s.memory_used);
    demand(s.memory_used <= s.memory_limit && s.memory_peak <= s.memory_limit);
}

void
store_demand_structure(struct run *run)
{
    gyre_status status = gyre_wait_idle(run->db);
    struct gyre_stats stats = {.struct_size = sizeof(stats)};

    if (!run_is_ok(run, status, "wait_idle")) {
        return;
    }
    demand(gy_version_is_sound(run->db->view->version));
    demand_files(run);
    demand(gyre_stats(run->db, &stats) == GYRE_OK);
    demand(stats.files_pending_removal == 0 || run->had_faults);
    demand(stats.snapshot_count == 0 && stats.iterator_count == 0 && stats.value_pin_count == 0);
    demand_memory_adds_up(run);
    status = gyre_verify(run->db, NULL, NULL, NULL, NULL);
    (void)run_is_ok(run, status, "verify");
}
