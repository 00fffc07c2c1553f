/* writes.c - commits: what is promised with each answer. */
#include <stdlib.h>

#include "engine/disk/names.h"
#include "io/base/bits.h"
#include "tools/gyre_sim/run.h"

struct run *write_run_now;

void
write_committed(struct gyre_db *db, uint64_t sequence, uint32_t count)
{
    struct run *run = write_run_now;
    const struct gy_co *co = db->loop->io.sched.current;

    if (db != run->db) {
        return; /* a checkpoint that is being looked at */
    }
    for (uint32_t i = 0; i < PLAN_ACTORS_MAX; i++) {
        struct pending *pending = &run->actors[i].pending;

        if (run->actors[i].co != co || !pending->is_active) {
            continue;
        }
        demand(pending->sequence == 0 && pending->count == count);
        if (sequence <= model_last(&run->model)) {
            fail_now("sequence %llu was given twice", (unsigned long long)sequence);
        }
        pending->sequence = sequence;
        model_add(&run->model, sequence, pending->ops, count);
        run->attempted = sequence + count - 1;
        return;
    }
    fail_now("a commit that nobody is making");
}

static gyre_status
call_engine(struct run *run, const struct model_op *ops, uint32_t count,
            const struct gyre_write_options *options, uint8_t *value)
{
    gyre_batch *batch;
    gyre_status status = GYRE_OK;

    if (count == 1 && ops->id == 0) {
        return gyre_delete(run->db, options, model_key(ops->key));
    }
    if (count == 1) {
        model_value_fill(ops->id, ops->size, value);
        return gyre_put(run->db, options, model_key(ops->key), gyre_slice(value, ops->size));
    }
    batch = gyre_batch_make();
    demand(batch != NULL);
    for (uint32_t i = 0; status == GYRE_OK && i < count; i++) {
        model_value_fill(ops[i].id, ops[i].size, value);
        status = ops[i].id == 0
                     ? gyre_batch_delete(batch, model_key(ops[i].key))
                     : gyre_batch_put(batch, model_key(ops[i].key), gyre_slice(value, ops[i].size));
    }
    demand(status == GYRE_OK);
    status = gyre_write(run->db, options, batch);
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

/* R4 */
static void
note_refusal(const struct pending *pending, gyre_status status)
{
    reached(told_error_on_write);
    if (status == GYRE_NO_SPACE) {
        reached(disk_full_on_write);
    } else if (status == GYRE_NO_MEMORY) {
        reached(no_memory_on_write);
    } else if (status == GYRE_READ_ONLY) {
        reached(refused_after_poison);
    }
    if (pending->sequence != 0 && status != GYRE_IO) {
        fail_now("a write said %s, which means that nothing was done, but it is in the log",
                 gyre_status_name(status));
    }
    if (pending->sequence == 0) {
        reached(error_left_commit_out);
    } else {
        reached(error_kept_commit);
    }
}

bool
write_commit(struct actor *actor, const struct model_op *ops, uint32_t count, bool is_durable)
{
    struct run *run = actor->run;
    struct pending *pending = &actor->pending;
    struct gyre_write_options options = {.struct_size = sizeof(options)};
    const bool was_poisoned = run_is_poisoned(run);
    uint8_t *value = malloc(MODEL_VALUE_MAX);
    gyre_status status;

    demand(!pending->is_active && value != NULL);
    if (run->plan.options.durability != GYRE_NOWAL) {
        options.durability = is_durable ? GYRE_DURABLE : GYRE_BUFFERED;
    }
    pending->sequence = 0;
    pending->count = count;
    memcpy(pending->ops, ops, count * sizeof(*ops));
    pending->is_active = true;
    status = call_engine(run, ops, count, &options, value);
    pending->is_active = false;
    free(value);
    if (status == GYRE_OK) {
        demand(!was_poisoned); /* R4: no acknowledgement after a failed log */
        note_answer(run, pending, is_durable);
    } else if (!run_is_ok(run, status, "a write")) {
        note_refusal(pending, status);
    }
    return status == GYRE_OK;
}

void
write_op(struct actor *actor, const struct plan_op *op)
{
    struct run *run = actor->run;
    struct model_op *ops = malloc(MODEL_OPS_MAX * sizeof(*ops));
    const bool is_durable = (op->bits >> 56) % 8 < run->plan.durable_of_8;
    const uint64_t commit_max = gy_wal_commit_max(run->plan.options.wal_slot_size);
    uint32_t count;

    demand(ops != NULL);
    count = plan_draw_commit(&run->plan, op, run->number_base + actor_op_number(actor), commit_max,
                             ops);
    if (count > 16) {
        reached(large_commit);
    }
    (void)write_commit(actor, ops, count, is_durable);
    free(ops);
}
