/* limits.c - a store that refuses, slows down, stands still, and says how it is (R8): writes that
 * may not wait, room, disk_quota, pause and resume, health and events. */
#include <string.h>

#include "io/base/bits.h"
#include "tools/gyre_sim/run.h"

#define RETRY_NS_MAX GY_NS_PER_S
#define ROOM_BYTES_MAX 40000u
#define COMMIT_OVERHEAD 256u /* of one operation, in the log and in a memtable */
#define EVENT_BURST 32u
#define EVENT_GAP_NS (100 * GY_NS_PER_MS)
#define EVENT_PACE_NS (10 * GY_NS_PER_MS)
#define DUE_NS (2 * GY_NS_PER_S)
/* 150 s: in little space compaction runs once in 64 s. */
#define ROOM_TRIES 600u
#define ROOM_PAUSE_NS (250 * GY_NS_PER_MS)
#define LOOK_TRIES 40u

/* ---- Events ---- */

/* In the order of their kinds: each has a beginning and an end. */
static uint32_t
state_of(uint32_t kind)
{
    switch (kind) {
    case GYRE_EVENT_BACKGROUND_ERROR:
    case GYRE_EVENT_BACKGROUND_RESUMED:
        return 0;
    case GYRE_EVENT_DISK_FULL:
    case GYRE_EVENT_SPACE_AGAIN:
        return 1;
    case GYRE_EVENT_STALL_BEGAN:
    case GYRE_EVENT_STALL_ENDED:
        return 2;
    default:
        return HEARD_STATES;
    }
}

static bool
is_beginning(uint32_t kind)
{
    return kind == GYRE_EVENT_BACKGROUND_ERROR || kind == GYRE_EVENT_DISK_FULL ||
           kind == GYRE_EVENT_STALL_BEGAN;
}

static void
hear_state(struct heard *heard, const struct gyre_event *event, uint32_t state)
{
    const bool begins = is_beginning(event->kind);

    if (begins == heard->has_begun[state]) {
        fail_now("%s was told twice in a row, or its end without it", gyre_event_name(event->kind));
    }
    if (begins && heard->ended_ns[state] != 0 &&
        event->time_ns < heard->ended_ns[state] + EVENT_GAP_NS) {
        fail_now("%s is told more often than promised", gyre_event_name(event->kind));
    }
    heard->has_begun[state] = begins;
    if (!begins) {
        heard->ended_ns[state] = event->time_ns;
        reached(event_told_an_end);
    }
}

static void
on_event(void *arg, const struct gyre_event *event)
{
    struct run *run = arg;
    struct heard *heard = &run->heard;
    const uint32_t state = state_of(event->kind);

    demand(event->struct_size == sizeof(*event));
    demand(event->db == run->db || event->db == run->db_closing);
    demand(event->kind >= GYRE_EVENT_BACKGROUND_ERROR && event->kind <= GYRE_EVENT_COMPACTED);
    demand((event->kind != GYRE_EVENT_BACKGROUND_ERROR && event->kind != GYRE_EVENT_CORRUPTION) ||
           (event->error != NULL && event->error->text[0] != '\0'));
    demand(gyre_sync(event->db) == GYRE_MISUSE);
    heard->dropped += event->dropped;
    if (state < HEARD_STATES) {
        hear_state(heard, event, state);
    } else if (event->kind != GYRE_EVENT_READ_ONLY) {
        heard->single_count++;
        if (heard->single_count >
            EVENT_BURST + (event->time_ns - heard->since_ns) / EVENT_PACE_NS) {
            fail_now("%llu events were told in %llu ns", (unsigned long long)heard->single_count,
                     (unsigned long long)(event->time_ns - heard->since_ns));
        }
    } else {
        demand(!heard->read_only);
        heard->read_only = true;
    }
}

void
limits_begin(struct run *run)
{
    run->pause_count = 0;
    run->pause_epoch = 0;
    run->heard = (struct heard){0};
    if (run->db != NULL && !run->db->read_only) {
        run->heard.since_ns = gyre_now(run->machine.loop);
        demand(gyre_on_event(run->db, on_event, run) == GYRE_OK);
    }
}

/* ---- Pause and resume ---- */

static void
note_pause(struct run *run, uint32_t count)
{
    run->pause_count = count;
    run->pause_epoch++;
    if (run->db != NULL) {
        run->flushes_at_pause = run->db->counters.flush_count;
        run->compactions_at_pause = run->db->counters.compaction_count;
    }
}

static void
pause_store(struct actor *actor)
{
    struct run *run = actor->run;
    const gyre_status status = gyre_pause(run->db);

    demand(status == GYRE_OK);
    actor->pause_count++;
    if (run->pause_count == 0) {
        note_pause(run, 1);
        reached(paused);
    } else {
        run->pause_count++;
    }
}

static void
resume_store(struct actor *actor)
{
    struct run *run = actor->run;

    if (run->pause_count == 0) {
        demand(gyre_resume(run->db) == GYRE_INVALID);
        return;
    }
    demand(gyre_resume(run->db) == GYRE_OK);
    actor->pause_count -= actor->pause_count > 0; /* of another one's, else */
    if (run->pause_count == 1) {
        note_pause(run, 0);
        reached(resumed);
    } else {
        run->pause_count--;
    }
}

/* What was nearly done when the pause came is still brought to its end, and nothing else. */
static void
demand_standstill(const struct run *run)
{
    const struct gy_db_counters *counters = &run->db->counters;

    if (run->pause_count > 0 && (counters->flush_count > run->flushes_at_pause + 1 ||
                                 counters->compaction_count > run->compactions_at_pause + 1)) {
        fail_now("background work goes on while it is paused");
    }
}

void
limits_op_begin(struct actor *actor)
{
    actor->was_paused = actor->run->pause_count > 0;
    actor->pause_epoch = actor->run->pause_epoch;
}

bool
limits_was_paused(const struct run *run)
{
    const struct gy_co *co = run->machine.loop->io.sched.current;

    for (uint32_t i = 0; i < PLAN_ACTORS_MAX; i++) {
        const struct actor *actor = &run->actors[i];

        if (actor->co == co && co != NULL) {
            return actor->was_paused || actor->pause_epoch != run->pause_epoch;
        }
    }
    return run->pause_count > 0;
}

void
limits_op_end(struct actor *actor)
{
    const struct run *run = actor->run;
    const uint64_t quota = run->plan.options.disk_quota;

    if (run->db == NULL) {
        return;
    }
    demand_standstill(run);
    if (quota != 0 && gy_space_used(run->db) > quota) {
        fail_now("the store takes %llu bytes of a disk_quota of %llu",
                 (unsigned long long)gy_space_used(run->db), (unsigned long long)quota);
    }
}

/* Some leave it to others, or to the end. */
void
limits_actor_ends(struct actor *actor)
{
    while (!actor->run->plan.leaves_paused && actor->pause_count > 0 && actor->run->db != NULL) {
        resume_store(actor);
        if (actor->run->pause_count == 0) {
            break;
        }
    }
}

/* ---- Writes that do not wait ---- */

void
limits_before_write(const struct run *run, struct write_moment *moment)
{
    const gyre_db *db = run->db;

    *moment = (struct write_moment){.runs = db->loop->io.sched.watchdog.run_count,
                                    .credits = gyre_credits(run->db),
                                    .pacer_credit = db->pacer.credit_bytes,
                                    .pressure = db->pacer.pressure};
}

static void
note_cause(const struct run *run, enum gyre_wait_cause cause)
{
    switch (cause) {
    case GYRE_WAIT_PACE:
        reached(again_for_pace);
        break;
    case GYRE_WAIT_MEMTABLES:
        reached(again_for_memtables);
        break;
    case GYRE_WAIT_LOG:
        reached(again_for_log);
        break;
    case GYRE_WAIT_MEMORY:
        break;
    case GYRE_WAIT_PAUSED:
        demand(limits_was_paused(run));
        reached(again_for_pause);
        break;
    default:
        fail_now("AGAIN for a cause that makes no sense: %u", (uint32_t)cause);
    }
}

/* Nobody else ran between the call and its answer: what was there before has to be there still. */
static void
demand_unchanged(const struct run *run, const struct write_moment *moment, uint64_t bytes,
                 enum gyre_wait_cause cause)
{
    const struct gy_pacer *pacer = &run->db->pacer;

    if (cause != GYRE_WAIT_MEMORY && !run->faults_on &&
        moment->credits >= bytes + COMMIT_OVERHEAD) {
        fail_now("there were credits for %llu bytes, and %llu had to stay away (cause %u)",
                 (unsigned long long)moment->credits, (unsigned long long)bytes, (uint32_t)cause);
    }
    if (moment->pressure > 0 && pacer->pressure > 0) {
        if (cause != GYRE_WAIT_PACE) {
            reached(again_gave_credit_back);
        }
        if (pacer->credit_bytes != moment->pacer_credit) {
            fail_now("a write that was not taken left the pacer with a credit of %lld, not %lld",
                     (long long)pacer->credit_bytes, (long long)moment->pacer_credit);
        }
    }
}

void
limits_demand_again(const struct run *run, const struct write_moment *moment, uint64_t bytes,
                    bool is_no_wait)
{
    const struct gyre_error *error = gyre_last_error(run->machine.loop);
    const enum gyre_wait_cause cause = (enum gyre_wait_cause)error->cause;

    demand(error->status == GYRE_AGAIN);
    demand(error->retry_ns > 0 && error->retry_ns <= RETRY_NS_MAX);
    if (!is_no_wait && cause != GYRE_WAIT_PAUSED) {
        fail_now("a write that may wait was told to come again (cause %u)", (uint32_t)cause);
    }
    note_cause(run, cause);
    if (is_no_wait && run->db != NULL && run->plan.form == PLAN_FORM_PLAIN &&
        moment->runs == run->db->loop->io.sched.watchdog.run_count) {
        demand_unchanged(run, moment, bytes, cause);
    }
}

/* Only the quota can be the reason. */
void
limits_demand_no_space(const struct run *run, bool only_deletes)
{
    const struct gyre_error *error = gyre_last_error(run->machine.loop);

    demand(error->cause == GYRE_WAIT_DISK && error->retry_ns > 0);
    if (only_deletes) {
        reached(quota_refused_delete);
    } else {
        reached(quota_refused_put);
    }
}

bool
limits_explain(const struct run *run, gyre_status status)
{
    return (status == GYRE_NO_SPACE && run->plan.options.disk_quota != 0) ||
           (status == GYRE_BUSY && limits_was_paused(run));
}

static void
wait_room(struct actor *actor, struct gy_rng *rng)
{
    struct run *run = actor->run;
    const gyre_status status = ops_room(actor, gy_rng_below(rng, ROOM_BYTES_MAX));

    if (status == GYRE_AGAIN) {
        demand(gyre_last_error(run->machine.loop)->cause == GYRE_WAIT_PAUSED &&
               limits_was_paused(run));
        reached(room_refused_while_paused);
    } else if (run_is_ok(run, status, "wait for room")) {
        reached(room_waited_for);
    }
}

/* ---- Health ---- */

static void
get_health(struct run *run, struct gyre_health *health)
{
    const uint64_t quota = run->plan.options.disk_quota;

    *health = (struct gyre_health){.struct_size = sizeof(*health)};
    demand(gyre_health(run->db, health) == GYRE_OK);
    demand(health->state <= GYRE_HEALTH_CLOSING);
    if ((health->state == GYRE_HEALTH_OK) != (health->cause[0] == '\0') ||
        (health->state == GYRE_HEALTH_OK) != (health->remedy[0] == '\0')) {
        fail_now("health %s: cause '%s', remedy '%s'", gyre_health_state_name(health->state),
                 health->cause, health->remedy);
    }
    demand(health->since_ns <= gyre_now(run->machine.loop));
    demand(health->pause_count == run->pause_count);
    demand(run->pause_count == 0 || health->state >= GYRE_HEALTH_PAUSED);
    demand(health->disk_quota == quota && (quota == 0 || health->disk_used <= quota));
    demand(!run_is_poisoned(run) || health->state >= GYRE_HEALTH_READ_ONLY);
    demand(health->events_dropped >= run->heard.dropped);
    demand((health->background_failures > 0) == (health->last_text[0] != '\0'));
}

static void
look_at_health(struct run *run)
{
    struct gyre_health health;

    get_health(run, &health);
    switch ((enum gyre_health_state)health.state) {
    case GYRE_HEALTH_OK:
        reached(health_ok);
        break;
    case GYRE_HEALTH_SLOW:
        reached(health_slow);
        break;
    case GYRE_HEALTH_PAUSED:
        reached(health_paused);
        break;
    case GYRE_HEALTH_ERROR:
        reached(health_error);
        break;
    case GYRE_HEALTH_FULL:
        reached(health_full);
        break;
    case GYRE_HEALTH_READ_ONLY:
        reached(health_read_only);
        break;
    case GYRE_HEALTH_CLOSING:
        break;
    }
}

void
limits_op(struct actor *actor, const struct plan_op *op)
{
    struct gy_rng rng;

    gy_rng_init(&rng, op->bits);
    switch (op->kind) {
    case PLAN_room:
        wait_room(actor, &rng);
        break;
    case PLAN_pause:
        pause_store(actor);
        break;
    case PLAN_resume:
        resume_store(actor);
        break;
    default:
        look_at_health(actor->run);
        break;
    }
}

/* ---- At the end ---- */

/* Every key that is there, as far as deletes are taken. */
static void
delete_all(struct run *run)
{
    struct model_op deletes[8];
    uint32_t count = 0;

    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        if (model_at(&run->model, key, run->attempted) != MODEL_NONE) {
            deletes[count++] = model_op_delete(key);
        }
        if (count == 8 || (count > 0 && (key >= MODEL_KEYS_USUAL || key + 1 == MODEL_KEYS_USUAL))) {
            (void)write_commit(&run->actors[0], deletes, count, false, false);
            count = 0;
        }
    }
}

/* Nothing has made room. Deletes that came in many small tables may have used up what is kept for
 * them, so that their compaction has no space; but no more than that may be gone. */
static void
demand_kept(const struct run *run)
{
    struct gy_space_use use;
    uint64_t rest;

    gy_space_gather(run->db, &use);
    rest = use.quota - use.fixed;
    if (use.tables > rest / 2 && use.tables <= rest / 5 * 4) {
        return;
    }
    fail_now("all keys are deleted, and after %u s a put of 900 bytes still has no room: quota "
             "%llu, logs and manifest %llu, tables %llu, going %llu, for a job %llu (%s)",
             (uint32_t)(ROOM_TRIES * ROOM_PAUSE_NS / GY_NS_PER_S), (unsigned long long)use.quota,
             (unsigned long long)use.fixed, (unsigned long long)use.tables,
             (unsigned long long)use.pending, (unsigned long long)use.job,
             run->db->background_error.text);
}

/* Everything is deleted, until a put is taken. */
static void
make_room_main(void *arg)
{
    struct run *run = arg;
    struct actor *actor = &run->actors[0];
    const uint64_t id = (run->number_base + (1u << 11) + 16 + run->session) * MODEL_OPS_MAX;
    const struct model_op put = model_op_put(7, id + 1, 900);
    bool is_taken;

    actor->co = run->machine.loop->io.sched.current;
    is_taken = write_commit(actor, &put, 1, false, false);
    for (uint32_t i = 0; i < ROOM_TRIES && !is_taken; i++) {
        delete_all(run);
        (void)gyre_sleep(run->machine.loop, ROOM_PAUSE_NS);
        run->progress_ns = gyre_now(run->machine.loop);
        is_taken = write_commit(actor, &put, 1, false, false);
        if (is_taken) {
            reached(deletes_made_room);
        }
    }
    if (!is_taken) {
        demand_kept(run);
    }
    actor->co = NULL;
    run->actors_live--;
}

/* Resumed, all that was due is done in the end; nothing waits for what does not come. */
static void
rest_main(void *arg)
{
    struct run *run = arg;
    struct actor *actor = &run->actors[0];

    actor->co = run->machine.loop->io.sched.current;
    limits_op_begin(actor);
    if (run->is_flush_due) {
        (void)gyre_sleep(run->machine.loop, DUE_NS); /* nobody says a word to the store */
        if (run->flushes_at_pause == run->db->counters.flush_count) {
            fail_now("a flush was due at the resume, and has not been begun since");
        }
        reached(resumed_by_itself);
    }
    if (run_is_ok(run, gyre_flush(run->db), "flush, at the end") &&
        run_is_ok(run, gyre_wait_idle(run->db), "wait_idle, at the end")) {
        reached(rested_at_the_end);
    }
    run->is_flush_due = false;
    for (uint32_t i = 0; i < LOOK_TRIES && gy_health_is_full(run->db); i++) {
        (void)gyre_sleep(run->machine.loop, ROOM_PAUSE_NS); /* it looks for itself */
    }
    actor->co = NULL;
    run->actors_live--;
}

bool
limits_resume_all(struct run *run)
{
    run->is_flush_due = false;
    if (run->pause_count > 0 && gy_rng_below(&run->rng, 2) == 0) {
        reached(closed_while_paused);
        return false;
    }
    while (run->pause_count > 0) {
        run->is_flush_due = run->db->view->frozen_count > 0;
        resume_store(&run->actors[0]);
    }
    return true;
}

void
limits_demand_well(struct run *run)
{
    const bool has_quota = run->plan.options.disk_quota != 0;
    struct gyre_health health = {0};
    /* Not where every one of many recoveries in a row has made a table, or keys of 64 KiB a large
     * manifest: such a quota was too small. */
    const bool has_to_fit = has_quota && run->plan.options.background_off == 0 &&
                            !run->had_faults && run->depth == 0 && run->plan.long_keys < 2;

    if (run_is_poisoned(run) || run->is_damaged || run->faults_on) {
        return;
    }
    run->is_flush_due = run->is_flush_due && !run->had_faults;
    run_alone(run, rest_main);
    if (has_to_fit) {
        run_alone(run, make_room_main);
        run_alone(run, rest_main);
    }
    get_health(run, &health);
    if (health.state != GYRE_HEALTH_OK && !has_quota && run->plan.options.background_off == 0) {
        fail_now("nothing is wrong any more, but health is %s: %s",
                 gyre_health_state_name(health.state), health.cause);
    }
    for (uint32_t i = 0; health.state == GYRE_HEALTH_OK && i < HEARD_STATES; i++) {
        demand(!run->heard.has_begun[i]);
    }
}
