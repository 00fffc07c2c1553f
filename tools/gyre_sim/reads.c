/* reads.c - R2: every read is compared with the model at a moment when it may have looked. */
#include "io/base/bits.h"
#include "tools/gyre_sim/run.h"

#define MULTI 12u

/* An error that is explained; never silence. */
bool
read_is_told(struct run *run, gyre_status status, const char *what)
{
    if (status == GYRE_OK || status == GYRE_NOT_FOUND) {
        return false;
    }
    (void)run_is_ok(run, status, what);
    demand(status != GYRE_NO_SPACE || run->is_tolerant); /* no quota keeps anybody from reading */
    if (status == GYRE_CORRUPT) {
        reached(corruption_told);
        if (gyre_last_error(run->machine.loop)->file[0] == '\0') {
            fail_status(run->machine.loop, status, "damage that names no file");
        }
    } else if (status == GYRE_NO_MEMORY) {
        reached(no_memory_on_read);
    } else if (status == GYRE_IO) {
        reached(told_error_on_read);
    }
    return true;
}

static uint64_t
digest_of(gyre_status status, const struct gyre_value *value)
{
    return status == GYRE_OK ? model_digest(value->data, value->size) : MODEL_NONE;
}

/* ---- Point reads ---- */

static void
demand_was(struct run *run, uint32_t key, uint64_t digest, uint64_t low, uint64_t high,
           const char *what)
{
    if (!model_was(&run->model, key, digest, low, high)) {
        fail_now("%s: key %u is %s, at sequences %llu to %llu", what, key,
                 digest == MODEL_NONE ? "not there" : "of a write that was not the last",
                 (unsigned long long)low, (unsigned long long)high);
    }
}

static void
get(struct actor *actor, const gyre_snapshot *snapshot, uint64_t sequence, struct gy_rng *rng)
{
    struct run *run = actor->run;
    const uint32_t key = plan_draw_key(&run->plan, rng);
    const uint64_t low = snapshot != NULL ? sequence : gy_db_visible(run->db);
    const uint32_t flags = gy_rng_below(rng, 4) == 0 ? GYRE_READ_NO_FILL : 0;
    const struct gyre_read_options *options =
        GYRE_READ_OPTIONS(.snapshot = snapshot, .flags = flags);
    struct gyre_value value = {.size = 0};
    gyre_db *db = run->db;
    uint8_t bytes[64];
    size_t size = 0;
    gyre_status status;

    if (gy_rng_below(rng, 6) == 0) {
        status = gyre_get_copy(db, options, model_key(key), bytes, sizeof(bytes), &size);
        if (!read_is_told(run, status, "get_copy") && run->db != NULL && size > sizeof(bytes)) {
            return; /* a part says nothing */
        }
        value.data = bytes;
        value.size = size;
    } else {
        status = ops_get(actor, options, model_key(key), &value);
    }
    if (read_is_told(run, status, "get") || run->db == NULL) {
        return;
    }
    demand_was(run, key, digest_of(status, &value), low,
               snapshot != NULL ? sequence : gy_db_visible(run->db), "get");
    if (status == GYRE_OK && value.data != bytes) {
        gyre_value_release(&value);
        gyre_value_release(&value); /* harmless (P12) */
    }
}

static void
get_absent(struct actor *actor, struct gy_rng *rng)
{
    struct run *run = actor->run;
    uint8_t bytes[512];
    struct gyre_value value;
    const struct gyre_slice key = model_key_absent(plan_draw_key(&run->plan, rng), bytes);
    const gyre_status status = ops_get(actor, NULL, key, &value);

    if (!read_is_told(run, status, "get of an absent key") && status == GYRE_OK) {
        fail_now("get: a key that nobody wrote is there");
    }
}

static void
multi_get(struct actor *actor, const gyre_snapshot *snapshot, uint64_t sequence, struct gy_rng *rng)
{
    struct run *run = actor->run;
    const uint64_t low = snapshot != NULL ? sequence : gy_db_visible(run->db);
    struct gyre_slice slices[MULTI];
    struct gyre_value values[MULTI];
    gyre_status statuses[MULTI];
    uint32_t keys[MULTI];
    uint64_t digests[MULTI];
    uint32_t known = 0;
    gyre_status status;

    for (uint32_t i = 0; i < MULTI; i++) {
        keys[i] = plan_draw_key(&run->plan, rng);
        slices[i] = model_key(keys[i]);
    }
    status = ops_multi_get(actor, snapshot, MULTI, slices, values, statuses);
    if (read_is_told(run, status, "multi_get")) {
        return;
    }
    for (uint32_t i = 0; i < MULTI; i++) {
        if (statuses[i] != GYRE_OK && statuses[i] != GYRE_NOT_FOUND) {
            demand(run->is_tolerant && faults_explain(run, statuses[i]));
            continue;
        }
        keys[known] = keys[i];
        digests[known] = digest_of(statuses[i], &values[i]);
        known++;
        gyre_value_release(&values[i]);
    }
    if (run->db != NULL && !model_were(&run->model, keys, digests, known, low,
                                       snapshot != NULL ? sequence : gy_db_visible(run->db))) {
        fail_now("multi_get: no moment from sequence %llu on has all that it gave",
                 (unsigned long long)low);
    }
    reached(multi_get_saw_one_moment);
}

/* ---- Iterators ---- */

static bool
is_there(const struct run *run, const struct held_iterator *held, uint32_t key)
{
    return key >= held->lower && key < held->upper &&
           model_at(&run->model, key, held->sequence) != MODEL_NONE;
}

/* The first key at or after `key` that the iterator may see; MODEL_KEYS = none. */
static uint32_t
first_from(const struct run *run, const struct held_iterator *held, uint32_t key)
{
    while (key < MODEL_KEYS && !is_there(run, held, key)) {
        key++;
    }
    return key;
}

/* The last one at or before; MODEL_KEYS = none. */
static uint32_t
last_to(const struct run *run, const struct held_iterator *held, uint32_t key)
{
    for (uint32_t i = key + 1; i > 0; i--) {
        if (is_there(run, held, i - 1)) {
            return i - 1;
        }
    }
    return MODEL_KEYS;
}

static void
iterator_close(struct actor *actor)
{
    gyre_iterator_close(actor->iterator.it);
    actor->iterator.it = NULL;
}

static void
iterator_open(struct actor *actor, struct gy_rng *rng)
{
    struct run *run = actor->run;
    struct held_iterator *held = &actor->iterator;
    struct gyre_iterator_options options = {.struct_size = sizeof(options)};
    gyre_status status;

    iterator_close(actor);
    *held = (struct held_iterator){
        .upper = MODEL_KEYS, .position = MODEL_KEYS, .sequence = gy_db_visible(run->db)};
    if (actor->snapshot != NULL && gy_rng_below(rng, 2) == 0) {
        options.snapshot = actor->snapshot;
        held->sequence = actor->snapshot_sequence;
    }
    if (gy_rng_below(rng, 3) == 0) {
        held->lower = plan_draw_key(&run->plan, rng);
        options.lower = model_key(held->lower);
    }
    if (gy_rng_below(rng, 3) == 0) {
        held->upper = plan_draw_key(&run->plan, rng);
        options.upper = model_key(held->upper);
    }
    if (gy_rng_below(rng, 6) == 0) {
        const uint32_t group = (uint32_t)gy_rng_below(rng, MODEL_KEYS_USUAL / MODEL_KEY_GROUP);

        options.prefix = model_key(group * MODEL_KEY_GROUP);
        options.prefix.size = MODEL_PREFIX;
        held->lower = (uint32_t)gy_max_u64(held->lower, group * MODEL_KEY_GROUP);
        held->upper = (uint32_t)gy_min_u64(held->upper, (group + 1) * MODEL_KEY_GROUP);
    }
    if (gy_rng_below(rng, 4) == 0) {
        options.readahead_size = 64 * 1024;
    }
    held->view_epoch = run->db->view_epoch;
    status = gyre_iterator_open(run->db, &options, &held->it);
    if (!run_is_ok(run, status, "open an iterator")) {
        held->it = NULL;
    }
}

/* Does what `how` says; returns where the model says that it should be. */
static uint32_t
iterator_step(struct actor *actor, uint64_t how, uint32_t key, gyre_status *ret_status)
{
    const struct run *run = actor->run;
    struct held_iterator *held = &actor->iterator;
    const bool was_forward = held->was_forward;

    held->was_forward = how != 1 && how != 3 && how < 8;
    if (held->position != MODEL_KEYS && how >= 4 && was_forward != held->was_forward) {
        reached(iterator_turned_round);
    }
    switch (how) {
    case 0:
        *ret_status = gyre_iterator_first(held->it);
        return first_from(run, held, 0);
    case 1:
        *ret_status = gyre_iterator_last(held->it);
        return last_to(run, held, MODEL_KEYS - 1);
    case 2:
        *ret_status = gyre_iterator_seek(held->it, model_key(key));
        return first_from(run, held, key);
    case 3:
        *ret_status = gyre_iterator_seek_for_prev(held->it, model_key(key));
        return last_to(run, held, key);
    case 4:
    case 5:
    case 6:
    case 7:
        *ret_status = gyre_iterator_next(held->it);
        return first_from(run, held, held->position + 1);
    default:
        *ret_status = gyre_iterator_prev(held->it);
        return held->position == 0 ? MODEL_KEYS : last_to(run, held, held->position - 1);
    }
}

static void
iterator_move(struct actor *actor, struct gy_rng *rng)
{
    struct run *run = actor->run;
    struct held_iterator *held = &actor->iterator;
    uint64_t how = gy_rng_below(rng, 11);
    const uint32_t key = plan_draw_key(&run->plan, rng);
    const gyre_db *db = run->db;
    gyre_status status;
    uint32_t wanted;

    if (held->it == NULL) {
        return;
    }
    if (how >= 4 && held->position == MODEL_KEYS) {
        demand(gyre_iterator_next(held->it) == GYRE_INVALID); /* not positioned */
        how %= 4;
    }
    wanted = iterator_step(actor, how, key, &status);
    if (read_is_told(run, status, "move an iterator")) {
        demand(!gyre_iterator_is_valid(held->it));
        held->position = MODEL_KEYS;
        return;
    }
    held->position = status == GYRE_OK ? model_key_find(gyre_iterator_key(held->it)) : MODEL_KEYS;
    if (held->position != wanted || (status == GYRE_OK && wanted == MODEL_KEYS)) {
        fail_now("an iterator at sequence %llu, bounds [%u, %u), move %llu, key %u: it is at key "
                 "%u, not %u",
                 (unsigned long long)held->sequence, held->lower, held->upper,
                 (unsigned long long)how, key, held->position, wanted);
    }
    if (status == GYRE_OK) {
        const struct gyre_slice value = gyre_iterator_value(held->it);

        demand_was(run, wanted, model_digest(value.data, value.size), held->sequence,
                   held->sequence, "iterator");
    }
    if (db->view_epoch != held->view_epoch) {
        reached(iterator_outlived_a_view);
    }
}

static void
scan(struct actor *actor, struct gy_rng *rng)
{
    const bool is_backward = gy_rng_below(rng, 2) == 0;
    const uint64_t steps = 1 + gy_rng_below(rng, 60);
    struct held_iterator *held = &actor->iterator;

    iterator_open(actor, rng);
    for (uint64_t i = 0; held->it != NULL && i < steps; i++) {
        struct run *run = actor->run;
        gyre_status status;
        const uint32_t wanted = iterator_step(
            actor, i == 0 ? (is_backward ? 1 : 0) : (is_backward ? 8 : 4), 0, &status);

        if (read_is_told(run, status, "scan")) {
            break;
        }
        held->position =
            status == GYRE_OK ? model_key_find(gyre_iterator_key(held->it)) : MODEL_KEYS;
        if (held->position != wanted) {
            fail_now("a scan %s at sequence %llu: at key %u, not %u",
                     is_backward ? "backward" : "forward", (unsigned long long)held->sequence,
                     held->position, wanted);
        }
        if (status != GYRE_OK) {
            break;
        }
        demand_was(
            run, wanted,
            model_digest(gyre_iterator_value(held->it).data, gyre_iterator_value(held->it).size),
            held->sequence, held->sequence, "scan");
    }
    iterator_close(actor);
}

/* ---- Snapshots ---- */

static void
snapshot_open(struct actor *actor)
{
    struct run *run = actor->run;
    gyre_status status;

    gyre_snapshot_release(actor->snapshot);
    actor->snapshot = NULL;
    actor->snapshot_sequence = gy_db_visible(run->db);
    actor->snapshot_compactions = run->db->counters.compaction_count;
    status = gyre_snapshot_open(run->db, &actor->snapshot);
    if (!run_is_ok(run, status, "open a snapshot")) {
        actor->snapshot = NULL;
    }
}

static void
snapshot_read(struct actor *actor, struct gy_rng *rng)
{
    if (actor->snapshot == NULL) {
        return;
    }
    if (actor->run->db->counters.compaction_count > actor->snapshot_compactions) {
        reached(snapshot_read_after_compaction);
    }
    if (gy_rng_below(rng, 3) == 0) {
        multi_get(actor, actor->snapshot, actor->snapshot_sequence, rng);
    } else {
        get(actor, actor->snapshot, actor->snapshot_sequence, rng);
    }
}

/* ---- Held values ---- */

static void
unpin(struct actor *actor, struct held_pin *pin)
{
    if (!pin->is_held) {
        return;
    }
    if (model_digest(pin->value.data, pin->value.size) != pin->digest) {
        fail_now("a value changed while it was held");
    }
    if (actor->run->db->view_epoch != pin->view_epoch) {
        reached(pin_outlived_its_table);
    }
    gyre_value_release(&pin->value);
    pin->is_held = false;
}

static void
pin(struct actor *actor, struct gy_rng *rng)
{
    struct run *run = actor->run;
    struct held_pin *pin = &actor->pins[gy_rng_below(rng, RUN_PINS_MAX)];
    const uint32_t key = plan_draw_key(&run->plan, rng);
    gyre_status status;

    unpin(actor, pin);
    status = ops_get(actor, NULL, model_key(key), &pin->value);
    if (read_is_told(run, status, "get") || status != GYRE_OK) {
        return;
    }
    pin->digest = model_digest(pin->value.data, pin->value.size);
    pin->view_epoch = run->db->view_epoch;
    pin->is_held = true;
}

/* ---- All ---- */

void
read_release_all(struct actor *actor)
{
    iterator_close(actor);
    gyre_snapshot_release(actor->snapshot);
    actor->snapshot = NULL;
    for (uint32_t i = 0; i < RUN_PINS_MAX; i++) {
        unpin(actor, &actor->pins[i]);
    }
}

void
read_op(struct actor *actor, const struct plan_op *op)
{
    struct gy_rng rng;

    gy_rng_init(&rng, op->bits);
    switch (op->kind) {
    case PLAN_get:
        get(actor, NULL, 0, &rng);
        break;
    case PLAN_get_absent:
        get_absent(actor, &rng);
        break;
    case PLAN_multi_get:
        multi_get(actor, NULL, 0, &rng);
        break;
    case PLAN_scan:
        scan(actor, &rng);
        break;
    case PLAN_limited_scan:
        scan_in_parts(actor, &rng);
        break;
    case PLAN_iterator_open:
        iterator_open(actor, &rng);
        break;
    case PLAN_iterator_move:
        iterator_move(actor, &rng);
        break;
    case PLAN_iterator_close:
        iterator_close(actor);
        break;
    case PLAN_snapshot_open:
        snapshot_open(actor);
        break;
    case PLAN_snapshot_read:
        snapshot_read(actor, &rng);
        break;
    case PLAN_snapshot_release:
        gyre_snapshot_release(actor->snapshot);
        actor->snapshot = NULL;
        break;
    case PLAN_pin:
        pin(actor, &rng);
        break;
    default:
        unpin(actor, &actor->pins[gy_rng_below(&rng, RUN_PINS_MAX)]);
        break;
    }
}
