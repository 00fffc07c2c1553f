/* actor.c - a coroutine that does its operations one after the other. */
#include <stdio.h>

#include "io/base/bits.h"
#include "tools/gyre_sim/run.h"

uint32_t
actor_op_number(const struct actor *actor)
{
    return (actor->run->session * PLAN_ACTORS_MAX + actor->number) * PLAN_OPS_MAX + actor->index;
}

static bool
is_kept(const struct actor *actor)
{
    const uint64_t *kept = actor->run->effort->kept_ops;
    const uint32_t number = actor_op_number(actor);

    return kept == NULL || actor->run->depth > 0 ||
           ((kept[number / 64] >> (number % 64)) & 1u) != 0;
}

static void
perform(struct actor *actor, const struct plan_op *op)
{
    switch (op->kind) {
    case PLAN_put:
    case PLAN_delete:
    case PLAN_batch:
    case PLAN_large_batch:
        write_op(actor, op);
        break;
    case PLAN_get:
    case PLAN_get_absent:
    case PLAN_multi_get:
    case PLAN_scan:
    case PLAN_limited_scan:
    case PLAN_iterator_open:
    case PLAN_iterator_move:
    case PLAN_iterator_close:
    case PLAN_snapshot_open:
    case PLAN_snapshot_read:
    case PLAN_snapshot_release:
    case PLAN_pin:
    case PLAN_unpin:
        read_op(actor, op);
        break;
    case PLAN_room:
    case PLAN_pause:
    case PLAN_resume:
    case PLAN_health:
        limits_op(actor, op);
        break;
    default:
        upkeep_op(actor, op);
        break;
    }
}

void
actor_main(void *arg)
{
    struct actor *actor = arg;
    struct run *run = actor->run;

    actor->co = run->machine.loop->io.sched.current;
    for (; actor->index < run->plan.op_count && run->db != NULL; actor->index++) {
        const struct plan_op op = plan_op_at(&run->plan, run->session, actor->number, actor->index);

        if (!is_kept(actor)) {
            continue;
        }
        if (run->depth < run->effort->tell_depth) {
            /* No time: a look at the clock would move it. */
            (void)printf("  session %u, actor %u, operation %u: %s\n", run->session, actor->number,
                         actor_op_number(actor), plan_op_text(op.kind));
            (void)fflush(stdout);
        }
        limits_op_begin(actor);
        perform(actor, &op);
        limits_op_end(actor);
        run->progress_ns = gyre_now(run->machine.loop);
        if (run_is_poisoned(run) && gy_rng_below(&run->rng, 4) == 0) {
            break; /* enough was refused */
        }
    }
    read_release_all(actor);
    limits_actor_ends(actor);
    actor->co = NULL;
    run->actors_live--;
}
