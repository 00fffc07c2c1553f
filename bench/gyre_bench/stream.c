/* stream.c - what the next operation of a slot is, and what is counted when it is done. */
#include "bench/gyre_bench/stream.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t signal_taken;
struct crew *crew_at_work;

void
interrupt_take(int number)
{
    signal_taken = number;
}

int
crew_interrupted(void)
{
    return signal_taken;
}

bool
crew_stopped(const struct crew *crew)
{
    return signal_taken != 0 || __atomic_load_n(&crew->stop, __ATOMIC_RELAXED);
}

/* ---- Which key ---- */

/* A key that is there (any key, when that is not known or not asked for). */
static uint64_t
pick_number(struct slot *slot, uint64_t index)
{
    const struct stream *stream = slot->stream;
    const struct keyspace *keyspace = stream->keyspace;
    const uint64_t n =
        keyspace->records + __atomic_load_n(&keyspace->insert_known, __ATOMIC_RELAXED);
    uint64_t number = distribution_draw(&stream->distribution, n, index, &slot->random);

    if (stream->job->all_keys) {
        return number;
    }
    while (!presence_has(&keyspace->presence, number)) {
        number = stream->distribution.choice.kind == DISTRIBUTION_SEQUENTIAL
                     ? (number + 1) % n
                     : distribution_draw(&stream->distribution, n, index, &slot->random);
    }
    return number;
}

/* The next key behind all. Before it is taken the slot says that one from here on is on its way. */
static uint64_t
insert_number(struct slot *slot)
{
    struct keyspace *keyspace = slot->stream->keyspace;

    if (slot->insert_from == UINT64_MAX) {
        __atomic_store_n(&slot->insert_from, keyspace->insert_next, __ATOMIC_SEQ_CST);
    }
    return keyspace->records + __atomic_fetch_add(&keyspace->insert_next, 1, __ATOMIC_SEQ_CST);
}

/* An insert has its answer. Keys below all that are still on their way are known to be there: as in
 * YCSB, reads take no others. */
static void
insert_answered(struct slot *slot)
{
    struct keyspace *keyspace = slot->stream->keyspace;
    uint64_t known = __atomic_load_n(&keyspace->insert_next, __ATOMIC_SEQ_CST);

    __atomic_store_n(&slot->insert_from, UINT64_MAX, __ATOMIC_SEQ_CST);
    for (uint64_t i = 0; i < crew_at_work->slot_count; i++) {
        const struct slot *other = crew_slot(crew_at_work, i);
        const uint64_t from = __atomic_load_n(&other->insert_from, __ATOMIC_SEQ_CST);

        known = from < known ? from : known;
    }
    if (known > __atomic_load_n(&keyspace->insert_known, __ATOMIC_RELAXED)) {
        __atomic_store_n(&keyspace->insert_known, known, __ATOMIC_RELAXED);
    }
}

static uint64_t
action_number(struct slot *slot, enum action action, uint64_t index)
{
    struct stream *stream = slot->stream;

    switch (action) {
    case ACTION_FILL:
    case ACTION_DELETE:
        return 2 * fill_key_number(&stream->fill, index);
    case ACTION_INSERT:
        return 2 * insert_number(slot);
    case ACTION_GET_MISSING:
        return 2 * distribution_draw(&stream->distribution, stream->keyspace->records, index,
                                     &slot->random) +
               1;
    default:
        return 2 * pick_number(slot, index);
    }
}

/* ---- The next operation ---- */

static enum action
pick_action(struct slot *slot)
{
    const struct stream *stream = slot->stream;
    uint64_t percent;
    uint32_t i = 0;

    if (stream->mix_count == 1) {
        return stream->mix[0].action;
    }
    percent = scale(random_next(&slot->random), 100);
    while (percent >= stream->mix[i].end) {
        i++;
    }
    return stream->mix[i].action;
}

static void
set_keys(struct slot *slot, enum action action, uint64_t index, bool has_values)
{
    const struct keyspace *keyspace = slot->stream->keyspace;
    struct op *op = &slot->op;

    for (uint32_t i = 0; i < op->count; i++) {
        const uint64_t number = action_number(slot, action, index + i);

        op->numbers[i] = number;
        key_set(&keyspace->form, (uint8_t *)op->keys[i].data, number);
        if (has_values) {
            op->values[i].size = sizes_of(keyspace->sizes, number);
            op->values[i].data = value_of(&keyspace->values, number);
        }
    }
}

static void
set_op(struct slot *slot, enum action action, uint64_t index, uint64_t count)
{
    struct op *op = &slot->op;

    op->count = (uint32_t)count;
    op->class = CLASS_READ;
    op->at_end = false;
    switch (action) {
    case ACTION_FILL:
    case ACTION_UPDATE:
    case ACTION_INSERT:
        op->kind = slot->stream->batch > 1 ? OP_BATCH : OP_PUT;
        op->class = CLASS_WRITE;
        set_keys(slot, action, index, true);
        return;
    case ACTION_MODIFY:
        op->kind = OP_MODIFY;
        op->class = CLASS_WRITE;
        set_keys(slot, action, index, true);
        return;
    case ACTION_DELETE:
        op->kind = OP_DELETE;
        op->class = CLASS_DELETE;
        break;
    case ACTION_MULTI_GET:
        op->kind = OP_MULTI_GET;
        break;
    case ACTION_SEEK:
        op->kind = OP_SEEK;
        set_keys(slot, action, index, false);
        op->count = (uint32_t)(slot->stream->job->workload->has_random_length
                                   ? 1 + scale(random_next(&slot->random), slot->stream->nexts)
                                   : slot->stream->nexts + 1);
        return;
    case ACTION_WALK:
        op->kind = OP_WALK;
        slot->walk_rows = 0;
        return;
    case ACTION_GET:
    case ACTION_GET_MISSING:
    case ACTION_COUNT:
        op->kind = OP_GET;
        break;
    }
    set_keys(slot, action, index, false);
}

/* When the next operation of an open loop should begin. False: not in this phase. */
static bool
take_arrival(struct stream *stream, uint64_t *ret_due_ns)
{
    struct arrivals *arrivals = &stream->arrivals;
    uint64_t due_ns;

    (void)pthread_mutex_lock(&arrivals->lock);
    due_ns = stream->started_ns + (uint64_t)arrivals->next_ns;
    if (stream->deadline_ns == 0 || due_ns < stream->deadline_ns) {
        const double gap_ns = 1e9 / (double)arrivals->rate;

        arrivals->next_ns +=
            arrivals->is_poisson ? -log1p(-random_unit(&arrivals->random)) * gap_ns : gap_ns;
    }
    (void)pthread_mutex_unlock(&arrivals->lock);
    *ret_due_ns = due_ns;
    return stream->deadline_ns == 0 || due_ns < stream->deadline_ns;
}

static struct op *
end_slot(struct slot *slot)
{
    const struct stream *stream = slot->stream;
    struct crew *crew = crew_at_work;
    const uint64_t i = (uint64_t)(stream - crew->streams);

    if (!slot->is_done) {
        slot->is_done = true;
        if (__atomic_sub_fetch(&crew->slots_left[i], 1, __ATOMIC_RELAXED) == 0 &&
            !stream->is_side) {
            (void)__atomic_sub_fetch(&crew->left, 1, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

struct op *
slot_next(struct slot *slot, uint64_t now_ns)
{
    struct stream *stream = slot->stream;
    struct op *op = &slot->op;
    uint64_t count = stream->batch;
    uint64_t index;
    enum action action;

    if (slot->is_done || crew_stopped(crew_at_work) ||
        (stream->deadline_ns != 0 && now_ns >= stream->deadline_ns) ||
        (stream->is_side && __atomic_load_n(&crew_at_work->left, __ATOMIC_RELAXED) == 0)) {
        return end_slot(slot);
    }
    action = pick_action(slot);
    if (action == ACTION_MODIFY || action == ACTION_SEEK || action == ACTION_GET) {
        count = 1;
    }
    index = __atomic_fetch_add(&stream->op_next, count, __ATOMIC_RELAXED);
    if (index >= stream->op_limit) {
        (void)__atomic_fetch_sub(&stream->op_next, count, __ATOMIC_RELAXED);
        return end_slot(slot);
    }
    if (index + count > stream->op_limit) {
        (void)__atomic_fetch_sub(&stream->op_next, index + count - stream->op_limit,
                                 __ATOMIC_RELAXED);
        count = stream->op_limit - index;
    }
    op->due_ns = now_ns;
    op->is_open_loop = stream->is_open_loop;
    if (op->is_open_loop && !take_arrival(stream, &op->due_ns)) {
        (void)__atomic_fetch_sub(&stream->op_next, count, __ATOMIC_RELAXED);
        return end_slot(slot);
    }
    set_op(slot, action, index, count);
    return op;
}

/* ---- Answers ---- */

static void
check_value(struct slot *slot, struct gyre_slice value, uint64_t number)
{
    if (slot->stream->job->verify &&
        (value.size != sizes_of(slot->stream->keyspace->sizes, number) ||
         !value_is_of(&slot->stream->keyspace->values, value, number))) {
        counter_add(&slot->recorder->mismatches, 1);
    }
}

void
slot_value(struct slot *slot, uint32_t i, struct gyre_slice value)
{
    struct recorder *recorder = slot->recorder;

    counter_add(&recorder->lookups, 1);
    counter_add(&recorder->found, 1);
    counter_add(&recorder->bytes[CLASS_READ], slot->op.keys[i].size + value.size);
    check_value(slot, value, slot->op.numbers[i]);
}

void
slot_absent(struct slot *slot)
{
    counter_add(&slot->recorder->lookups, 1);
}

void
slot_row(struct slot *slot, struct gyre_slice key, struct gyre_slice value)
{
    struct recorder *recorder = slot->recorder;

    counter_add(&recorder->rows, 1);
    counter_add(&recorder->bytes[CLASS_READ], key.size + value.size);
    check_value(slot, value, key_number(&slot->stream->keyspace->form, key));
    slot->walk_rows++;
}

static void
count_op(struct slot *slot)
{
    struct recorder *recorder = slot->recorder;
    const struct op *op = &slot->op;
    uint64_t bytes = 0;
    uint64_t ops = op->count;

    if (op->class == CLASS_WRITE) {
        for (uint32_t i = 0; i < op->count; i++) {
            bytes += op->keys[i].size + op->values[i].size;
        }
    } else if (op->class == CLASS_DELETE) {
        bytes = op->keys[0].size;
    } else if (op->kind == OP_SEEK) {
        ops = 1;
    } else if (op->kind == OP_WALK) {
        ops = slot->walk_rows;
    }
    counter_add(&recorder->bytes[op->class], bytes);
    counter_add(&recorder->ops[op->class], ops);
}

void
slot_done(struct slot *slot, uint64_t now_ns)
{
    struct stream *stream = slot->stream;
    const struct op *op = &slot->op;
    const bool is_walk_end = op->kind == OP_WALK && op->at_end;

    if (op->kind == OP_WALK && slot->walk_rows != op->count) {
        /* what was taken and not there is for others; more than that may have come, too */
        (void)__atomic_fetch_sub(&stream->op_next, op->count - slot->walk_rows, __ATOMIC_RELAXED);
    }
    count_op(slot);
    if (op->kind != OP_WALK || slot->walk_rows > 0) {
        histogram_add(slot->recorder->latency[op->class],
                      now_ns > op->due_ns ? now_ns - op->due_ns : 0);
    }
    if (slot->insert_from != UINT64_MAX) {
        insert_answered(slot);
    }
    __atomic_store_n(&stream->ended_ns, now_ns, __ATOMIC_RELAXED);
    if (is_walk_end && !stream->is_side && !stream->job->time_based) {
        (void)end_slot(slot);
    }
}

void
slot_drop(struct slot *slot)
{
    (void)__atomic_fetch_sub(&slot->stream->op_next, slot->op.count, __ATOMIC_RELAXED);
    (void)end_slot(slot);
}

void
slot_failed(struct slot *slot, const char *text)
{
    struct recorder *recorder = slot->recorder;

    recorder->errors++;
    if (recorder->error[0] == '\0') {
        (void)snprintf(recorder->error, sizeof(recorder->error), "%s", text);
    }
    __atomic_store_n(&crew_at_work->stop, true, __ATOMIC_RELAXED);
    (void)end_slot(slot);
}

struct slot *
crew_slot(const struct crew *crew, uint64_t index)
{
    for (uint32_t i = 0; i < crew->stream_count; i++) {
        if (index < crew->streams[i].slot_count) {
            return &crew->streams[i].slots[index];
        }
        index -= crew->streams[i].slot_count;
    }
    return NULL;
}
