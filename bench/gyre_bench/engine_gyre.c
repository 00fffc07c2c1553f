/* engine_gyre.c - Gyre through its plain calls: from a coroutine for each slot, or from main(). */
#include <stdlib.h>

#include "bench/gyre_bench/gyre_store.h"
#include "bench/gyre_bench/measure.h"

#define WAIT_NS_MAX 50000000ull

/* ---- Operations ---- */

static gyre_status
execute_get(struct gyre_store *store, struct slot *slot)
{
    struct gyre_value value;
    const gyre_status status = gyre_get(store->db, NULL, slot->op.keys[0], &value);

    if (status == GYRE_OK) {
        slot_value(slot, 0, gyre_slice(value.data, value.size));
        gyre_value_release(&value);
        return GYRE_OK;
    }
    if (status == GYRE_NOT_FOUND) {
        slot_absent(slot);
        return GYRE_OK;
    }
    return status;
}

static gyre_status
execute_multi_get(struct gyre_store *store, struct slot *slot)
{
    struct gyre_slot *state = slot->engine_state;
    const struct op *op = &slot->op;
    gyre_status status =
        gyre_multi_get(store->db, NULL, op->count, op->keys, state->values, state->statuses);

    for (uint32_t i = 0; status == GYRE_OK && i < op->count; i++) {
        if (state->statuses[i] == GYRE_OK) {
            slot_value(slot, i, gyre_slice(state->values[i].data, state->values[i].size));
            gyre_value_release(&state->values[i]);
        } else if (state->statuses[i] == GYRE_NOT_FOUND) {
            slot_absent(slot);
        } else {
            slot_failed(slot, gyre_status_name(state->statuses[i]));
        }
    }
    return status;
}

static gyre_status
execute_batch(struct gyre_store *store, struct slot *slot)
{
    const struct op *op = &slot->op;
    gyre_batch *batch = ((struct gyre_slot *)slot->engine_state)->batch;
    gyre_status status = GYRE_OK;

    gyre_batch_clear(batch);
    for (uint32_t i = 0; i < op->count && status == GYRE_OK; i++) {
        status = gyre_batch_put(batch, op->keys[i], op->values[i]);
    }
    return status == GYRE_OK ? gyre_write(store->db, NULL, batch) : status;
}

static gyre_status
rows(gyre_iterator *iterator, struct slot *slot, gyre_status status)
{
    for (uint32_t i = 1; status == GYRE_OK; i++) {
        slot_row(slot, gyre_iterator_key(iterator), gyre_iterator_value(iterator));
        if (i >= slot->op.count) {
            break;
        }
        status = slot->op.is_reverse ? gyre_iterator_prev(iterator) : gyre_iterator_next(iterator);
    }
    return status;
}

static gyre_status
execute_seek(struct gyre_store *store, struct slot *slot)
{
    struct gyre_slot *state = slot->engine_state;
    gyre_iterator *iterator = state->iterator;
    gyre_status status = GYRE_OK;

    if (iterator == NULL) {
        status = gyre_iterator_open(store->db, NULL, &iterator);
    }
    if (status == GYRE_OK) {
        status = rows(iterator, slot, gyre_iterator_seek(iterator, slot->op.keys[0]));
    }
    if (state->iterator == NULL) {
        gyre_iterator_close(iterator);
    }
    return status == GYRE_NOT_FOUND ? GYRE_OK : status;
}

static gyre_status
execute_walk(struct slot *slot)
{
    struct gyre_slot *state = slot->engine_state;
    gyre_iterator *iterator = state->iterator;
    gyre_status status;

    if (state->is_positioned) {
        status = slot->op.is_reverse ? gyre_iterator_prev(iterator) : gyre_iterator_next(iterator);
    } else {
        status = slot->op.is_reverse ? gyre_iterator_last(iterator) : gyre_iterator_first(iterator);
        state->is_positioned = true;
    }
    status = rows(iterator, slot, status);
    if (status == GYRE_NOT_FOUND) {
        slot->op.at_end = true;
        state->is_positioned = false;
        return GYRE_OK;
    }
    return status;
}

static gyre_status
execute(struct gyre_store *store, struct slot *slot)
{
    const struct op *op = &slot->op;
    gyre_status status;

    switch (op->kind) {
    case OP_GET:
        return execute_get(store, slot);
    case OP_MULTI_GET:
        return execute_multi_get(store, slot);
    case OP_PUT:
        return gyre_put(store->db, NULL, op->keys[0], op->values[0]);
    case OP_BATCH:
        return execute_batch(store, slot);
    case OP_DELETE:
        return gyre_delete(store->db, NULL, op->keys[0]);
    case OP_MODIFY:
        status = execute_get(store, slot);
        return status == GYRE_OK ? gyre_put(store->db, NULL, op->keys[0], op->values[0]) : status;
    case OP_SEEK:
        return execute_seek(store, slot);
    case OP_WALK:
        return execute_walk(slot);
    }
    return GYRE_UNSUPPORTED;
}

/* ---- Slots ---- */

struct caller {
    struct gyre_store *store;
    struct slot *slot;
};

/* False: stopped before. */
static bool
sleep_until(struct gyre_store *store, uint64_t due_ns)
{
    for (uint64_t now_ns = time_now_ns(); now_ns < due_ns; now_ns = time_now_ns()) {
        if (crew_stopped(crew_at_work)) {
            return false;
        }
        (void)gyre_sleep(store->loop,
                         due_ns - now_ns < WAIT_NS_MAX ? due_ns - now_ns : WAIT_NS_MAX);
    }
    return true;
}

static void
work(void *arg)
{
    const struct caller *caller = arg;
    struct slot *slot = caller->slot;
    uint64_t now_ns = time_now_ns();

    if (!gyre_slot_open(caller->store, slot)) {
        return;
    }
    for (struct op *op = slot_next(slot, now_ns); op != NULL; op = slot_next(slot, now_ns)) {
        gyre_status status;

        if (op->is_open_loop && op->due_ns > now_ns && !sleep_until(caller->store, op->due_ns)) {
            slot_drop(slot);
            break;
        }
        status = execute(caller->store, slot);
        now_ns = time_now_ns();
        if (status != GYRE_OK) {
            char text[RECORDER_ERROR_MAX];

            gyre_status_print(caller->store, status, text, sizeof(text));
            slot_failed(slot, text);
            break;
        }
        slot_done(slot, now_ns);
    }
    gyre_slot_close(slot);
}

static bool
run_coroutines(struct engine *engine, struct crew *crew)
{
    struct gyre_store *store = (struct gyre_store *)engine;
    struct caller *callers = calloc(crew->slot_count, sizeof(callers[0]));
    gyre_status status = callers == NULL ? GYRE_NO_MEMORY : GYRE_OK;
    gyre_status ended;

    for (uint64_t i = 0; i < crew->slot_count && status == GYRE_OK; i++) {
        callers[i] = (struct caller){store, crew_slot(crew, i)};
        status = gyre_spawn(store->loop, work, &callers[i], NULL);
    }
    if (status != GYRE_OK) {
        crew->stop = true;
        gyre_status_print(store, status, engine->error, sizeof(engine->error));
    }
    ended = gyre_run(store->loop);
    if (status == GYRE_OK && ended != GYRE_OK) {
        gyre_status_print(store, ended, engine->error, sizeof(engine->error));
    }
    free(callers);
    return status == GYRE_OK && ended == GYRE_OK;
}

static bool
run_blocking(struct engine *engine, struct crew *crew)
{
    struct caller caller = {(struct gyre_store *)engine, crew_slot(crew, 0)};

    work(&caller);
    return true;
}

static struct engine *
open_coroutines(const struct engine_settings *settings, char *error)
{
    return gyre_store_open(settings, error, &engine_gyre);
}

static struct engine *
open_blocking(const struct engine_settings *settings, char *error)
{
    return gyre_store_open(settings, error, &engine_gyre_blocking);
}

const struct engine_type engine_gyre = {
    .name = "gyre",
    .help = "Gyre, a coroutine for each operation in flight, one thread",
    .abilities = GYRE_ABILITIES | CAN_MANY,
    .open = open_coroutines,
    .close = gyre_store_close,
    .describe = gyre_store_describe,
    .run = run_coroutines,
    .settle = gyre_store_settle,
    .figures = gyre_store_figures,
    .reset_maxima = gyre_store_reset_maxima,
};

const struct engine_type engine_gyre_blocking = {
    .name = "gyre-blocking",
    .help = "Gyre, plain calls from main(), one at a time",
    .abilities = GYRE_ABILITIES,
    .open = open_blocking,
    .close = gyre_store_close,
    .describe = gyre_store_describe,
    .run = run_blocking,
    .settle = gyre_store_settle,
    .figures = gyre_store_figures,
    .reset_maxima = gyre_store_reset_maxima,
};
