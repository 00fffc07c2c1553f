/* store.c - see store.h. */
#include "tools/gyre_sim/store.h"

#include <string.h>

#include "tools/gyre_sim/fail.h"

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
