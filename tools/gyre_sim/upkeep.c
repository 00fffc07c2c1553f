/* upkeep.c - operations that neither read nor write: maintenance, checkpoints, faults, calls that
 * are wrong. */
#include <stdio.h>
#include <stdlib.h>

#include "io/base/bits.h"
#include "tools/gyre_sim/run.h"

/* What was published before one of these is durable after it. */
static void
make_durable(struct actor *actor, enum plan_op_kind kind, struct gy_rng *rng)
{
    struct run *run = actor->run;
    const uint64_t visible = gy_db_visible(run->db);
    gyre_status status;

    if (kind == PLAN_sync) {
        status = ops_simple(actor, GYRE_OP_SYNC, gyre_sync);
    } else if (kind == PLAN_flush) {
        status = ops_simple(actor, GYRE_OP_FLUSH, gyre_flush);
    } else {
        const uint32_t from = plan_draw_key(&run->plan, rng);
        const uint32_t to = plan_draw_key(&run->plan, rng);
        const bool is_all = gy_rng_below(rng, 3) == 0;

        status = ops_compact(
            actor, is_all ? gyre_slice(NULL, 0) : model_key((uint32_t)gy_min_u64(from, to)),
            is_all ? gyre_slice(NULL, 0) : model_key((uint32_t)gy_max_u64(from, to)));
    }
    if (run_is_ok(run, status, plan_op_text(kind))) {
        run_note_durable(run, visible);
    }
}

/* ---- Checkpoints ---- */

static void
compare_checkpoint(struct run *run, const char *path, uint64_t low, uint64_t high)
{
    struct model_state *found = malloc(sizeof(*found));
    struct gyre_options options = run->plan.options;
    uint64_t sequence;
    gyre_db *db = NULL;
    gyre_status status;

    demand(found != NULL);
    options.flags = gy_rng_below(&run->rng, 2) == 0 ? GYRE_OPEN_READ_ONLY : 0;
    status = gyre_open(run->machine.loop, path, &options, &db);
    if (run_is_ok(run, status, "open a checkpoint")) {
        status = store_scan(db, NULL, found);
        if (run_is_ok(run, status, "scan a checkpoint") &&
            !model_find(&run->model, found, low, high, &sequence, &sequence)) {
            fail_now("a checkpoint holds what the store never held at sequences %llu to %llu",
                     (unsigned long long)low, (unsigned long long)high);
        }
        reached(checkpoint_compared);
        status = gyre_close(db);
        (void)run_is_ok(run, status, "close a checkpoint");
    }
    free(found);
}

static void
checkpoint(struct actor *actor)
{
    struct run *run = actor->run;
    const uint64_t low = gy_db_visible(run->db);
    char path[32];
    gyre_status status;

    (void)snprintf(path, sizeof(path), "/c%u-%u", run->depth, actor_op_number(actor));
    status = gyre_checkpoint(run->db, path);
    if (run_is_ok(run, status, "checkpoint") && run->db != NULL) {
        run_note_durable(run, low);
        compare_checkpoint(run, path, low, gy_db_visible(run->db));
        status = gyre_destroy(run->machine.loop, path);
        (void)run_is_ok(run, status, "destroy a checkpoint");
    }
}

/* ---- Others ---- */

/* A place that cannot be read is damage too, and its error says which. */
static void
note_damage(void *arg, const struct gyre_error *damage)
{
    gyre_status *worst = arg;

    if (*worst == GYRE_OK || *worst == GYRE_IO) {
        *worst = damage->status;
    }
}

static void
verify(struct run *run)
{
    struct gyre_verify_result result;
    gyre_status worst = GYRE_OK;
    gyre_status status = gyre_verify(run->db, note_damage, NULL, &worst, &result);

    demand((status == GYRE_CORRUPT) == (worst != GYRE_OK) || status == GYRE_CLOSED ||
           status == GYRE_NO_MEMORY);
    status = status == GYRE_CORRUPT ? worst : status;
    if (run_is_ok(run, status, "verify")) {
        demand(result.damage_count == 0);
        reached(verified);
    }
}

/* A second opener (P14) is sent away, unless the first has closed meanwhile. */
static void
open_twice(struct run *run)
{
    struct gyre_options options = run->plan.options;
    gyre_db *other = NULL;
    gyre_status status = gyre_open(run->machine.loop, STORE_PATH, &options, &other);

    if (status == GYRE_OK) {
        demand(run->db == NULL);
        status = gyre_close(other);
        demand(status == GYRE_OK ||
               (run->is_tolerant && (faults_explain(run, status) || status == GYRE_READ_ONLY)));
    } else if (status != GYRE_BUSY && !(run->is_tolerant && faults_explain(run, status)) &&
               run->db != NULL) {
        fail_status(run->machine.loop, status, "a second open");
    }
}

static void
bad_calls(struct run *run, struct gy_rng *rng)
{
    static const uint8_t byte;
    const struct gyre_slice too_long = {.data = &byte, .size = GYRE_KEY_SIZE_MAX + 1};
    const struct gyre_slice no_bytes = {.data = NULL, .size = 5};
    struct gyre_write_options options = {.struct_size = sizeof(options), .durability = 9};
    struct gyre_value value = {.data = NULL};
    gyre_status status;

    switch (gy_rng_below(rng, 8)) {
    case 7:
        open_twice(run);
        return;
    case 0:
        status = gyre_put(run->db, NULL, gyre_slice(&byte, 0), gyre_slice(NULL, 0));
        break;
    case 1:
        status = gyre_put(run->db, NULL, too_long, gyre_slice(NULL, 0));
        break;
    case 2:
        status = gyre_put(run->db, NULL, model_key(0), no_bytes);
        break;
    case 3:
        status = gyre_get(run->db, NULL, no_bytes, &value);
        break;
    case 4:
        status = gyre_delete(run->db, &options, model_key(0));
        break;
    case 5:
        status = gyre_write(run->db, NULL, NULL);
        break;
    default:
        status = gyre_delete(run->db, NULL, no_bytes);
        break;
    }
    if (status != GYRE_INVALID && run->db != NULL) {
        fail_status(run->machine.loop, status, "a call with bad arguments");
    }
    gyre_value_release(&value); /* zeroed: harmless */
    reached(bad_call_refused);
}

/* Somebody else may be in the middle of a call or hold something: then it is refused, and nothing
 * has happened. */
static void
close_under_load(struct actor *actor)
{
    struct run *run = actor->run;
    const uint64_t visible = gy_db_visible(run->db);
    const bool was_poisoned = run_is_poisoned(run);
    gyre_db *db = run->db;
    gyre_status status;

    if (run->actors_live > 1 && actor->index < 2) {
        return; /* not before anything was done */
    }
    read_release_all(actor);
    run->db = NULL;
    run->db_closing = db;
    status = gyre_close(db);
    run->db_closing = NULL;
    if (status == GYRE_BUSY) {
        run->db = db;
        reached(close_refused_busy);
        return;
    }
    reached(closed_under_load);
    if (status == GYRE_OK && !was_poisoned) {
        run_note_durable(run, visible);
    } else if (status != GYRE_OK) {
        demand(run->is_tolerant && (faults_explain(run, status) || status == GYRE_READ_ONLY));
    }
}

void
upkeep_op(struct actor *actor, const struct plan_op *op)
{
    struct run *run = actor->run;
    struct gy_rng rng;
    uint64_t bytes;

    gy_rng_init(&rng, op->bits);
    switch (op->kind) {
    case PLAN_sync:
    case PLAN_flush:
    case PLAN_compact:
        make_durable(actor, op->kind, &rng);
        break;
    case PLAN_wait_idle:
        (void)run_is_ok(run, ops_simple(actor, GYRE_OP_WAIT_IDLE, gyre_wait_idle), "wait_idle");
        break;
    case PLAN_checkpoint:
        checkpoint(actor);
        break;
    case PLAN_verify:
        verify(run);
        break;
    case PLAN_approximate_size:
        (void)run_is_ok(run,
                        gyre_approximate_size(run->db, model_key(plan_draw_key(&run->plan, &rng)),
                                              gyre_slice(NULL, 0), &bytes),
                        "approximate_size");
        break;
    case PLAN_sleep:
        (void)gyre_sleep(run->machine.loop, gy_rng_below(&rng, 30) * GY_NS_PER_MS / 4);
        break;
    case PLAN_close:
        close_under_load(actor);
        break;
    case PLAN_bad_call:
        bad_calls(run, &rng);
        break;
    default:
        if (run->faults_on && gy_rng_below(&rng, 2) == 0) {
            faults_end(run);
        } else if (run->plan.faults != PLAN_NO_FAULTS) {
            faults_begin(run, gy_rng_next(&rng));
        }
        break;
    }
}
