/* engine_gyre_completion.c - Gyre in a host's own loop: gyre_submit, callbacks from gyre_loop_poll.
 *
 * Each slot has one gyre_op, which goes through the steps of the slot's operation: most have one, a
 * seek has one for each row, read-modify-write has two, and one that is not due yet sleeps first.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/gyre_bench/gyre_store.h"
#include "bench/gyre_bench/measure.h"

struct machine {
    struct gyre_store *store;
    uint64_t live; /* slots that have not ended */
};

struct stepper {
    struct gyre_op op; /* first: the callback gets it */
    struct machine *machine;
    struct slot *slot;
    uint32_t step; /* of the operation: rows given; 0 = get, 1 = put of a modify */
    bool owns_iterator;
};

static void begin(struct stepper *stepper, uint64_t now_ns);

static void
end(struct stepper *stepper)
{
    gyre_slot_close(stepper->slot);
    stepper->machine->live--;
}

static void
fail(struct stepper *stepper, gyre_status status)
{
    char text[RECORDER_ERROR_MAX];
    const struct gyre_error *error = &stepper->op.error;

    (void)snprintf(text, sizeof(text), "%s: %s", gyre_status_name(status),
                   error->status == status ? error->text : gyre_status_text(status));
    slot_failed(stepper->slot, text);
    end(stepper);
}

static void
submit(struct stepper *stepper, enum gyre_op_kind kind)
{
    gyre_status status;

    stepper->op.kind = kind;
    status = gyre_submit(&stepper->op);
    if (status != GYRE_OK) {
        fail(stepper, status);
    }
}

/* ---- Steps ---- */

static void
finish(struct stepper *stepper)
{
    const uint64_t now_ns = time_now_ns();

    if (stepper->owns_iterator) {
        gyre_iterator_close(stepper->op.iterator);
        stepper->owns_iterator = false;
    }
    slot_done(stepper->slot, now_ns);
    begin(stepper, now_ns);
}

static void
start_seek(struct stepper *stepper)
{
    struct gyre_slot *state = stepper->slot->engine_state;
    gyre_status status = GYRE_OK;

    stepper->op.iterator = state->iterator;
    if (state->iterator == NULL) {
        status = gyre_iterator_open(stepper->machine->store->db, NULL, &stepper->op.iterator);
        stepper->owns_iterator = status == GYRE_OK;
    }
    if (status != GYRE_OK) {
        fail(stepper, status);
    } else {
        submit(stepper, GYRE_OP_ITERATOR_SEEK);
    }
}

static void
start_walk(struct stepper *stepper)
{
    struct gyre_slot *state = stepper->slot->engine_state;
    const bool is_reverse = stepper->slot->op.is_reverse;

    stepper->op.iterator = state->iterator;
    if (state->is_positioned) {
        submit(stepper, is_reverse ? GYRE_OP_ITERATOR_PREV : GYRE_OP_ITERATOR_NEXT);
    } else {
        state->is_positioned = true;
        submit(stepper, is_reverse ? GYRE_OP_ITERATOR_LAST : GYRE_OP_ITERATOR_FIRST);
    }
}

static void
start_batch(struct stepper *stepper)
{
    const struct op *op = &stepper->slot->op;
    gyre_batch *batch = ((struct gyre_slot *)stepper->slot->engine_state)->batch;
    gyre_status status = GYRE_OK;

    gyre_batch_clear(batch);
    for (uint32_t i = 0; i < op->count && status == GYRE_OK; i++) {
        status = gyre_batch_put(batch, op->keys[i], op->values[i]);
    }
    stepper->op.batch = batch;
    if (status != GYRE_OK) {
        fail(stepper, status);
    } else {
        submit(stepper, GYRE_OP_WRITE);
    }
}

static void
start(struct stepper *stepper)
{
    struct gyre_slot *state = stepper->slot->engine_state;
    const struct op *op = &stepper->slot->op;
    struct gyre_op *g = &stepper->op;

    stepper->step = 0;
    g->deadline_ns = 0;
    g->key = op->keys[0];
    g->data = op->values[0];
    switch (op->kind) {
    case OP_GET:
    case OP_MODIFY:
        submit(stepper, GYRE_OP_GET);
        return;
    case OP_MULTI_GET:
        g->count = op->count;
        g->keys = op->keys;
        g->values = state->values;
        g->statuses = state->statuses;
        submit(stepper, GYRE_OP_MULTI_GET);
        return;
    case OP_PUT:
        submit(stepper, GYRE_OP_PUT);
        return;
    case OP_BATCH:
        start_batch(stepper);
        return;
    case OP_DELETE:
        submit(stepper, GYRE_OP_DELETE);
        return;
    case OP_SEEK:
        start_seek(stepper);
        return;
    case OP_WALK:
        start_walk(stepper);
        return;
    }
}

/* ---- Answers ---- */

static void
answer_get(struct stepper *stepper)
{
    struct gyre_op *g = &stepper->op;

    if (g->status == GYRE_OK) {
        slot_value(stepper->slot, 0, gyre_slice(g->value.data, g->value.size));
        gyre_value_release(&g->value);
    } else {
        slot_absent(stepper->slot);
    }
    if (stepper->slot->op.kind == OP_MODIFY) {
        submit(stepper, GYRE_OP_PUT);
    } else {
        finish(stepper);
    }
}

static void
answer_multi_get(struct stepper *stepper)
{
    struct gyre_op *g = &stepper->op;

    for (uint32_t i = 0; i < g->count; i++) {
        if (g->statuses[i] == GYRE_OK) {
            slot_value(stepper->slot, i, gyre_slice(g->values[i].data, g->values[i].size));
            gyre_value_release(&g->values[i]);
        } else {
            slot_absent(stepper->slot);
        }
    }
    finish(stepper);
}

static void
answer_move(struct stepper *stepper)
{
    struct gyre_op *g = &stepper->op;
    struct op *op = &stepper->slot->op;

    if (g->status == GYRE_NOT_FOUND) {
        op->at_end = op->kind == OP_WALK;
        ((struct gyre_slot *)stepper->slot->engine_state)->is_positioned = false;
        finish(stepper);
        return;
    }
    slot_row(stepper->slot, gyre_iterator_key(g->iterator), gyre_iterator_value(g->iterator));
    if (++stepper->step >= op->count) {
        finish(stepper);
    } else {
        submit(stepper, op->is_reverse ? GYRE_OP_ITERATOR_PREV : GYRE_OP_ITERATOR_NEXT);
    }
}

static void
answered(struct gyre_op *g)
{
    struct stepper *stepper = (struct stepper *)(void *)g;

    if (g->kind == GYRE_OP_SLEEP) {
        if (crew_stopped(crew_at_work)) {
            slot_drop(stepper->slot);
            end(stepper);
        } else {
            start(stepper);
        }
        return;
    }
    if (g->status != GYRE_OK && g->status != GYRE_NOT_FOUND) {
        fail(stepper, g->status);
        return;
    }
    switch (g->kind) {
    case GYRE_OP_GET:
        answer_get(stepper);
        return;
    case GYRE_OP_MULTI_GET:
        answer_multi_get(stepper);
        return;
    case GYRE_OP_PUT:
    case GYRE_OP_WRITE:
    case GYRE_OP_DELETE:
        finish(stepper);
        return;
    default:
        answer_move(stepper);
    }
}

static void
begin(struct stepper *stepper, uint64_t now_ns)
{
    const struct op *op = slot_next(stepper->slot, now_ns);

    if (op == NULL) {
        end(stepper);
    } else if (op->is_open_loop && op->due_ns > now_ns) {
        stepper->op.deadline_ns = op->due_ns;
        submit(stepper, GYRE_OP_SLEEP);
    } else {
        start(stepper);
    }
}

/* ---- Runs ---- */

static bool
run(struct engine *engine, struct crew *crew)
{
    struct machine machine = {.store = (struct gyre_store *)engine, .live = crew->slot_count};
    struct stepper *steppers = calloc(crew->slot_count, sizeof(steppers[0]));
    gyre_status status = steppers == NULL ? GYRE_NO_MEMORY : GYRE_OK;
    bool is_waking = false;

    for (uint64_t i = 0; status == GYRE_OK && i < crew->slot_count; i++) {
        struct stepper *stepper = &steppers[i];

        *stepper = (struct stepper){
            .op = GYRE_OP(.db = machine.store->db, .loop = machine.store->loop, .done = answered),
            .machine = &machine,
            .slot = crew_slot(crew, i)};
        if (!gyre_slot_open(machine.store, stepper->slot)) {
            machine.live--;
            continue;
        }
        begin(stepper, time_now_ns());
    }
    while (status == GYRE_OK && machine.live > 0) {
        status = gyre_store_turn(machine.store, 50000000);
        if (crew_stopped(crew) && !is_waking) {
            is_waking = true;
            for (uint64_t i = 0; i < crew->slot_count; i++) {
                if (steppers[i].op.kind == GYRE_OP_SLEEP) {
                    (void)gyre_cancel(&steppers[i].op);
                }
            }
        }
    }
    if (status != GYRE_OK) {
        gyre_status_print(machine.store, status, engine->error, sizeof(engine->error));
    }
    free(steppers);
    return status == GYRE_OK;
}

static struct engine *
open_completion(const struct engine_settings *settings, char *error)
{
    return gyre_store_open(settings, error, &engine_gyre_completion);
}

const struct engine_type engine_gyre_completion = {
    .name = "gyre-completion",
    .help = "Gyre in a host's loop: submitted operations that call back, one thread",
    .abilities = GYRE_ABILITIES | CAN_MANY,
    .open = open_completion,
    .close = gyre_store_close,
    .describe = gyre_store_describe,
    .run = run,
    .settle = gyre_store_settle,
    .figures = gyre_store_figures,
    .reset_maxima = gyre_store_reset_maxima,
};
