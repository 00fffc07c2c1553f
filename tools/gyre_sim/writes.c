/* writes.c - commits: what is promised with each answer. */
#include <stdlib.h>

#include "engine/disk/names.h"
#include "io/base/bits.h"
#include "tools/gyre_sim/run.h"

struct run *write_run_now;

/* Whose commit is it that the current coroutine is making? */
static struct pending *
find_pending(struct run *run, const struct gy_co *co)
{
    if (co->scope != NULL) {
        const struct gy_op_run *op_run = gy_container_of(co->scope, struct gy_op_run, scope);

        return gy_container_of((struct op_tag *)op_run->arg, struct pending, tag);
    }
    for (uint32_t i = 0; i < PLAN_ACTORS_MAX; i++) {
        if (run->actors[i].co == co && run->actors[i].pending.is_active) {
            return &run->actors[i].pending;
        }
    }
    fail_now("a commit that nobody is making");
}

void
write_committed(struct gyre_db *db, uint64_t sequence, uint32_t count)
{
    struct run *run = write_run_now;
    struct pending *pending;

    if (db != run->db && db != run->db_closing) {
        return; /* a checkpoint that is being looked at */
    }
    pending = find_pending(run, db->loop->io.sched.current);
    demand(pending->sequence == 0 && pending->count == count);
    if (pending->is_not_done) {
        fail_now("a write that was answered with 'not done' is made all the same");
    }
    if (sequence <= model_last(&run->model)) {
        fail_now("sequence %llu was given twice", (unsigned long long)sequence);
    }
    pending->sequence = sequence;
    model_add(&run->model, sequence, pending->ops, count);
    run->attempted = sequence + count - 1;
}

static gyre_status
call_engine(struct actor *actor, struct pending *pending, const struct gyre_write_options *options,
            uint8_t *value)
{
    const struct model_op *ops = pending->ops;
    struct gyre_op op = {.kind = GYRE_OP_PUT};
    gyre_batch *batch;
    gyre_status status = GYRE_OK;

    op.key = model_key(ops->key);
    if (pending->count == 1 && ops->id == 0) {
        op.kind = GYRE_OP_DELETE;
        return ops_write(actor, pending, options, &op);
    }
    if (pending->count == 1) {
        model_value_fill(ops->id, ops->size, value);
        op.data = gyre_slice(value, ops->size);
        return ops_write(actor, pending, options, &op);
    }
    batch = gyre_batch_make();
    demand(batch != NULL);
    for (uint32_t i = 0; status == GYRE_OK && i < pending->count; i++) {
        model_value_fill(ops[i].id, ops[i].size, value);
        status = ops[i].id == 0
                     ? gyre_batch_delete(batch, model_key(ops[i].key))
                     : gyre_batch_put(batch, model_key(ops[i].key), gyre_slice(value, ops[i].size));
    }
    demand(status == GYRE_OK);
    op.kind = GYRE_OP_WRITE;
    op.batch = batch;
    status = ops_write(actor, pending, options, &op);
    gyre_batch_free(batch);
    return status;
}

static void
note_answer(struct run *run, const struct pending *pending, bool is_durable)
{
    const uint64_t last = pending->sequence + pending->count - 1;

    if (pending->sequence == 0) {
        fail_now("answered, but it never got a place in the log");
    }
    if (run->db == NULL) {
        return; /* closed by another actor, which makes all of it durable */
    }
    if (gy_db_visible(run->db) < last) {
        fail_now("answered, but readers do not see it");
    }
    if (run->plan.options.durability == GYRE_NOWAL) {
        return;
    }
    run->buffered = gy_max_u64(run->buffered, last);
    if (is_durable) {
        run_note_durable(run, last);
    }
    judge_answer(run, is_durable);
}

/* R4, R6 */
static void
note_refusal(struct run *run, struct pending *pending, gyre_status status)
{
    const bool maybe_done = gyre_last_error(run->machine.loop)->maybe_done != 0;

    reached(told_error_on_write);
    if (status == GYRE_NO_SPACE) {
        reached(disk_full_on_write);
        if (run->plan.faults == PLAN_FULL && run->plan.form != PLAN_FORM_PLAIN) {
            reached(disk_full_under_operations);
        }
    } else if (status == GYRE_NO_MEMORY) {
        reached(no_memory_on_write);
    } else if (status == GYRE_READ_ONLY) {
        reached(refused_after_poison);
    }
    if (pending->sequence != 0 && !maybe_done) {
        fail_now("a write said %s, which means that nothing was done, but it is in the log",
                 gyre_status_name(status));
    }
    pending->is_not_done = !maybe_done;
    if (pending->sequence == 0) {
        reached(error_left_commit_out);
    } else {
        reached(error_kept_commit);
    }
}

static struct pending *
pending_of(struct actor *actor)
{
    struct run *run = actor->run;
    struct pending *pending;

    if (run->plan.form == PLAN_FORM_PLAIN) {
        return &actor->pending;
    }
    pending = malloc(sizeof(*pending));
    demand(pending != NULL);
    pending->next = run->pendings;
    run->pendings = pending;
    return pending;
}

static bool
only_deletes(const struct model_op *ops, uint32_t count)
{
    while (count > 0 && ops[count - 1].id == 0) {
        count--;
    }
    return count == 0;
}

static uint64_t
bytes_of(const struct model_op *ops, uint32_t count)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < count; i++) {
        bytes += model_key(ops[i].key).size + ops[i].size;
    }
    return bytes;
}

bool
write_commit(struct actor *actor, const struct model_op *ops, uint32_t count, bool is_durable,
             bool is_no_wait)
{
    struct run *run = actor->run;
    struct pending *pending = pending_of(actor);
    struct gyre_write_options options = {.struct_size = sizeof(options)};
    const bool was_poisoned = run_is_poisoned(run);
    struct write_moment moment;
    uint8_t *value = malloc(MODEL_VALUE_MAX);
    gyre_status status;

    demand(value != NULL);
    if (run->plan.options.durability != GYRE_NOWAL) {
        options.durability = is_durable ? GYRE_DURABLE : GYRE_BUFFERED;
    }
    options.flags = is_no_wait ? GYRE_WRITE_NO_WAIT : 0;
    limits_before_write(run, &moment);
    pending->tag = (struct op_tag){0};
    pending->sequence = 0;
    pending->count = count;
    memcpy(pending->ops, ops, count * sizeof(*ops));
    pending->is_active = true;
    pending->is_not_done = false;
    status = call_engine(actor, pending, &options, value);
    pending->is_active = false;
    free(value);
    if (status == GYRE_OK) {
        demand(!was_poisoned); /* R4: no acknowledgement after a failed log */
        note_answer(run, pending, is_durable);
    } else if (status == GYRE_AGAIN) {
        limits_demand_again(run, &moment, bytes_of(ops, count), is_no_wait);
        note_refusal(run, pending, status);
    } else if (!run_is_ok(run, status, "a write")) {
        if (status == GYRE_NO_SPACE && !run->had_faults) {
            limits_demand_no_space(run, only_deletes(ops, count));
        }
        note_refusal(run, pending, status);
    }
    return status == GYRE_OK;
}

void
write_op(struct actor *actor, const struct plan_op *op)
{
    struct run *run = actor->run;
    struct model_op *ops = malloc(MODEL_OPS_MAX * sizeof(*ops));
    const bool is_durable = (op->bits >> 56) % 8 < run->plan.durable_of_8;
    const bool is_no_wait = (op->bits >> 40) % 8 < run->plan.no_wait_of_8;
    const uint64_t commit_max = gy_wal_commit_max(run->plan.options.wal_slot_size);
    uint32_t count;

    demand(ops != NULL);
    count = plan_draw_commit(&run->plan, op, run->number_base + actor_op_number(actor), commit_max,
                             ops);
    if (count > 16) {
        reached(large_commit);
    }
    (void)write_commit(actor, ops, count, is_durable, is_no_wait);
    free(ops);
}
