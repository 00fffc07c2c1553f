/* run.c - the life of one process: machine, opening, work, closing. */
#include "tools/gyre_sim/hostile.h"
#include "tools/gyre_sim/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/bits.h"

#define STALL_NS (120 * GY_NS_PER_S) /* of the machine's time without one operation that ends */
#define STUCK_LIFT_NS (3 * GY_NS_PER_S)

/* ---- The machine ---- */

void
run_start(struct run *run)
{
    const struct machine_hooks hooks = {
        .on_event = judge_on_event, .on_reap = judge_on_reap, .arg = run};

    machine_start(&run->machine, run->disk, &run->plan, run->seed + run->session, &hooks);
    run->is_tolerant = run->is_damaged;
    run->faults_on = false;
    run->had_faults = false;
    write_run_now = run;
    gy_committed = write_committed;
    ops_begin(run);
}

void
run_stop(struct run *run)
{
    judge_all(run);
    run->hash = gy_mix64(run->hash ^ gy_world_sim_trace_hash(run->machine.world));
    machine_stop(&run->machine);
    judge_all(run); /* points of what closing the loop still did */
}

/* ---- Errors ---- */

bool
run_is_poisoned(const struct run *run)
{
    return run->db != NULL && (run->db->manifest.poison != GYRE_OK ||
                               (run->db->has_wal && run->db->wal.poison != GYRE_OK));
}

bool
run_is_ok(struct run *run, gyre_status status, const char *what)
{
    if (status == GYRE_OK) {
        return true;
    }
    if (status == GYRE_CLOSED && run->db == NULL) {
        return false; /* another actor has closed it */
    }
    if (limits_explain(run, status)) {
        return false;
    }
    if (run->plan.form != PLAN_FORM_PLAIN &&
        (status == GYRE_TIMED_OUT || status == GYRE_CANCELED || status == GYRE_BUSY)) {
        return false; /* BUSY: an iterator whose move was given up */
    }
    /* A manifest full of keys of 64 KiB, or memtables that nobody flushes, are more than 16 MiB can
     * take. */
    if (status == GYRE_NO_MEMORY &&
        (run->plan.long_keys > 1 || run->plan.options.background_off != 0)) {
        return false;
    }
    if (!run->is_tolerant || !faults_explain(run, status)) {
        fail_status(run->machine.loop, status, what);
    }
    return false;
}

void
run_note_durable(struct run *run, uint64_t sequence)
{
    /* What is visible may be past the last commit: numbers that a crash took are skipped. */
    run->durable = gy_max_u64(run->durable, gy_min_u64(sequence, run->attempted));
}

/* ---- Opening ---- */

gyre_status
run_open(struct run *run, uint32_t flags)
{
    const gyre_status status = machine_open(&run->machine, &run->plan, flags, &run->db);

    demand(status != GYRE_NO_SPACE || run->is_tolerant); /* a quota does not keep it from opening */
    limits_begin(run);
    return status;
}

/* No open had returned OK: there is nothing, or an empty store. */
static gyre_status
open_half_made(struct run *run)
{
    gyre_status status = run_open(run, 0);

    reached(crash_before_creation);
    if (status == GYRE_NOT_FOUND) {
        reached(half_made_is_empty);
        status = run_open(run, GYRE_OPEN_CREATE);
    }
    return status;
}

/* The first key that is not as commit `sequence` left it: "key 7 holds version 12, not 15". */
static void
describe_difference(const struct model *model, const struct model_state *found, uint64_t sequence,
                    char *text, size_t text_size)
{
    uint32_t key = 0;
    uint64_t version = 0;
    uint32_t i;

    while (key < MODEL_KEYS && found->digests[key] == model_at(model, key, sequence)) {
        key++;
    }
    text[0] = '\0';
    if (key == MODEL_KEYS) {
        return;
    }
    for (i = model->newest[key]; i != 0; i = model->versions[i - 1].older) {
        if (model->versions[i - 1].sequence <= sequence && version == 0) {
            version = model->versions[i - 1].sequence;
        }
        if (model->versions[i - 1].digest == found->digests[key]) {
            break;
        }
    }
    (void)snprintf(text, text_size, "; key %u is as version %llu left it, not as version %llu", key,
                   i == 0 ? 0ull : (unsigned long long)model->versions[i - 1].sequence,
                   (unsigned long long)version);
}

/* Which commit is it? The store may know of higher numbers than it has commits (numbers are never
 * used twice), never of lower ones. */
uint64_t
run_demand_prefix(struct run *run, const struct model_state *found, uint64_t *ret_last)
{
    const uint64_t low = gy_max_u64(run->durable, run->buffered);
    const uint64_t high = gy_min_u64(gy_db_visible(run->db), run->attempted);
    uint64_t first;
    char text[120];
    uint64_t nearest;
    uint32_t different;

    if (high >= low && model_find(&run->model, found, low, high, &first, ret_last)) {
        return first;
    }
    model_nearest(&run->model, found, &nearest, &different);
    describe_difference(&run->model, found, nearest, text, sizeof(text));
    fail_now("what was recovered is no commit from %llu (answered) to %llu (attempted; the store "
             "itself says %llu): nearest is commit %llu, with %u keys different: %s%s",
             (unsigned long long)low, (unsigned long long)run->attempted,
             (unsigned long long)gy_db_visible(run->db), (unsigned long long)nearest, different,
             different != 0  ? "a hole, or something that nobody wrote"
             : nearest < low ? "commits that were answered are lost"
                             : "the store does not know where it is",
             text);
}

static void
note_recovery(const struct run *run, uint64_t sequence)
{
    if (sequence < run->attempted) {
        reached(lost_some_buffered);
    }
    if (sequence > run->durable) {
        reached(kept_more_than_durable);
    }
    if (sequence == run->attempted) {
        reached(nothing_was_lost);
    }
    if (!run->db->has_wal) {
        reached(no_log);
    } else if (!run->db->wal.has_stage) {
        reached(no_staging_memory);
    }
}

/* Damage keeps it from being scanned: the last commit that has all that can still be read. */
static uint64_t
sequence_of_readable(struct run *run)
{
    const uint64_t low = gy_max_u64(run->durable, run->buffered);
    uint64_t sequence = gy_max_u64(low, gy_min_u64(gy_db_visible(run->db), run->attempted));
    uint32_t keys[MODEL_KEYS];
    uint64_t digests[MODEL_KEYS];
    uint32_t count = 0;

    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        struct gyre_value value = {0};
        const gyre_status status = gyre_get(run->db, NULL, model_key(key), &value);

        if (status == GYRE_OK || status == GYRE_NOT_FOUND) {
            keys[count] = key;
            digests[count++] = status == GYRE_OK ? model_digest(value.data, value.size) : 0;
        }
        gyre_value_release(&value);
    }
    while (sequence > low && !model_were(&run->model, keys, digests, count, sequence, sequence)) {
        sequence--;
    }
    if (count > 0 && !model_were(&run->model, keys, digests, count, sequence, sequence)) {
        fail_now("what can be read of a damaged store is no commit from %llu to %llu",
                 (unsigned long long)low, (unsigned long long)run->attempted);
    }
    return sequence;
}

/* Damaged tables hide which commit it is: nothing more can be demanded of this store. */
static void
give_up(struct run *run)
{
    const gyre_status status = gyre_close(run->db);

    run->db = NULL;
    (void)run_is_ok(run, status, "close");
    run->is_unknown = true;
    reached(damage_hid_the_commit);
}

void
run_adopt(struct run *run)
{
    struct model_state *found = malloc(sizeof(*found));
    uint64_t sequence = run->durable;
    uint64_t last = sequence;
    gyre_status status;

    demand(found != NULL);
    status = store_scan(run->db, NULL, found);
    if (!run_is_ok(run, status, "a scan after opening") && run->plan.faults != PLAN_TABLE_DAMAGE) {
        faults_end(run); /* then it can be read */
        status = store_scan(run->db, NULL, found);
    }
    if (run_is_ok(run, status, "a scan after opening")) {
        sequence = run_demand_prefix(run, found, &last);
        status = store_compare(run->db, NULL, found, &run->rng);
        (void)run_is_ok(run, status, "a read after opening");
    }
    free(found);
    if (status != GYRE_OK) {
        (void)sequence_of_readable(run);
        if (sequence < run->attempted) {
            give_up(run);
            return;
        }
    }
    note_recovery(run, sequence);
    run->is_created = true;
    model_cut(&run->model, last);
    if (gy_db_visible(run->db) < run->numbers_used) {
        fail_now("the store goes on after %llu, though an open has called %llu used up",
                 (unsigned long long)gy_db_visible(run->db), (unsigned long long)run->numbers_used);
    }
    if (run->db->waiting == NULL) { /* on a full disk the log has it still, as it was */
        run->durable = sequence;
        run->numbers_used = gy_db_visible(run->db);
    }
    run->buffered = sequence;
    run->attempted = last;
}

void
run_recover(struct run *run)
{
    const gyre_status status = run->is_created ? run_open(run, 0) : open_half_made(run);

    if (!run_is_ok(run, status, "open")) { /* tables that are damaged may keep it from opening */
        return;
    }
    run_adopt(run);
}

/* ---- Work ---- */

/* On a full disk what has a place in the log waits for space. Who has none has to be told. */
static void
wait_for_space(struct run *run)
{
    for (uint32_t i = 0; i < PLAN_ACTORS_MAX; i++) {
        const struct pending *pending = &run->actors[i].pending;

        if (run->actors[i].co != NULL && pending->is_active && pending->sequence == 0) {
            fail_now("a write waits on a full disk, and nobody tells it why");
        }
    }
    for (const struct pending *pending = run->pendings; pending != NULL; pending = pending->next) {
        if (pending->is_active && pending->sequence == 0) {
            fail_now("a write waits on a full disk, and nobody tells it why");
        }
    }
    faults_end(run);
}

/* The disk is full, or has said so for so long that the log waits for it. */
static bool
is_full(const struct run *run)
{
    return run->faults_on &&
           (run->plan.faults == PLAN_FULL ||
            (run->db != NULL && run->db->has_wal && run->db->wal.slot_status == GYRE_NO_SPACE));
}

/* Sees to it that somebody gets on, and lifts requests that are stuck. */
static void
monitor_main(void *arg)
{
    struct run *run = arg;
    uint64_t lift_ns = 0;

    while (run->actors_live > 0) {
        (void)gyre_sleep(run->machine.loop, GY_NS_PER_S);
        if (gyre_now(run->machine.loop) > run->progress_ns + STALL_NS) {
            fail_now("%u actors are stuck", run->actors_live);
        }
        if (is_full(run) && gyre_now(run->machine.loop) > run->progress_ns + STALL_NS / 4) {
            wait_for_space(run);
        }
        lift_ns += GY_NS_PER_S;
        if (run->plan.faults == PLAN_STUCK && run->faults_on && lift_ns >= STUCK_LIFT_NS) {
            lift_ns = 0;
            faults_end(run);
            reached(stuck_then_lifted);
        }
    }
}

void
run_work(struct run *run, uint32_t actor_count, uint32_t op_count)
{
    gyre_status status = GYRE_OK;

    run->plan.op_count = op_count;
    run->actors_live = actor_count;
    run->machine.loop->io.heap.fail_at = 0; /* not the actors themselves */
    run->progress_ns = gyre_now(run->machine.loop);
    for (uint32_t i = 0; status == GYRE_OK && i < actor_count; i++) {
        memset(&run->actors[i], 0, sizeof(run->actors[i]));
        run->actors[i].run = run;
        run->actors[i].number = i;
        status = gyre_spawn(run->machine.loop, actor_main, &run->actors[i], NULL);
    }
    demand(status == GYRE_OK);
    status = gyre_spawn(run->machine.loop, monitor_main, run, NULL);
    demand(status == GYRE_OK);
    ops_drive(run);
}

void
run_alone(struct run *run, void (*fn)(void *arg))
{
    gyre_status status;

    run->actors[0].run = run;
    run->actors[0].number = 0;
    run->actors_live = 1;
    run->machine.loop->io.heap.fail_at = 0;
    run->progress_ns = gyre_now(run->machine.loop);
    status = gyre_spawn(run->machine.loop, fn, run, NULL);
    demand(status == GYRE_OK);
    status = gyre_spawn(run->machine.loop, monitor_main, run, NULL);
    demand(status == GYRE_OK);
    status = gyre_run(run->machine.loop);
    demand(status == GYRE_OK);
}

/* ---- Closing ---- */

static void
demand_content(struct run *run)
{
    struct model_state *states = malloc(2 * sizeof(*states));
    const uint64_t sequence = gy_db_visible(run->db);
    gyre_status status;

    demand(states != NULL);
    model_state_at(&run->model, sequence, &states[0]);
    status = store_scan(run->db, NULL, &states[1]);
    if (run_is_ok(run, status, "a scan")) {
        for (uint32_t key = 0; key < MODEL_KEYS; key++) {
            if (states[0].digests[key] != states[1].digests[key]) {
                fail_now("a scan at sequence %llu: key %u is wrong", (unsigned long long)sequence,
                         key);
            }
        }
        status = store_compare(run->db, NULL, &states[0], &run->rng);
        (void)run_is_ok(run, status, "a read");
    }
    free(states);
}

/* The store as it closes: what is published then is durable, if it says so. */
static void
close_store(struct run *run)
{
    const bool was_poisoned = run_is_poisoned(run);
    const uint64_t visible = gy_db_visible(run->db);
    gyre_db *db = run->db;
    const gyre_status status = gyre_close(db);

    run->db = NULL;
    if (status == GYRE_OK && !was_poisoned) {
        run_note_durable(run, visible);
    } else if (status != GYRE_OK) {
        reached(told_error_at_close);
        /* READ_ONLY: the log or the manifest had failed, or did now. */
        if (!run->is_tolerant ||
            !(faults_explain(run, status) || (run->had_faults && status == GYRE_READ_ONLY))) {
            fail_status(run->machine.loop, status, "close");
        }
    }
}

void
run_close(struct run *run)
{
    if (run->db == NULL) {
        faults_end(run);
        return;
    }
    if (run->plan.faults == PLAN_STUCK) {
        faults_end(run); /* nobody is left to lift them */
    }
    ops_settle(run);
    demand_content(run);
    if (!limits_resume_all(run)) {
        close_store(run);
        faults_end(run);
        return;
    }
    if (run->is_tolerant && run->faults_on && gy_rng_below(&run->rng, 3) == 0) {
        close_store(run); /* with the faults still on */
        faults_end(run);
        return;
    }
    if (run->is_tolerant) {
        faults_end(run);
        faults_demand_healed(run);
        demand_content(run);
    }
    if (gy_rng_below(&run->rng, 2) == 0) {
        limits_demand_well(run);
    }
    if (!run_is_poisoned(run) && !run->is_damaged && gy_rng_below(&run->rng, 2) == 0) {
        structure_demand(run);
    }
    close_store(run);
}

/* ---- Begin and end ---- */

void
run_init(struct run *run, const struct plan *plan, uint64_t seed, uint32_t depth,
         const struct effort *effort, struct gy_sim_disk *disk, const struct run *source)
{
    memset(run, 0, sizeof(*run));
    run->effort = effort;
    run->plan = *plan;
    run->seed = seed;
    run->depth = depth;
    run->disk = disk;
    run->number_base = depth == 0 ? 0 : (gy_mix64(seed) >> 24 | 1u) << 12;
    run->points_left = effort->points_max;
    gy_rng_init(&run->rng, gy_mix64(seed ^ 0x72756eull));
    gy_rng_init(&run->point_rng, gy_mix64(seed ^ 0x706f696e74ull));
    if (source != NULL) {
        model_copy(&run->model, &source->model);
        run->is_damaged = source->is_damaged;
    } else {
        model_init(&run->model);
    }
}

void
run_fini(struct run *run)
{
    demand(run->point_count == 0 && run->db == NULL);
    free(run->points);
    ops_end(run);
    model_fini(&run->model);
}

/* An open in the middle of faults may fail; nothing is worse for it. */
static void
open_under_faults(struct run *run)
{
    gyre_status status;

    faults_begin(run, gy_rng_next(&run->rng));
    status = run_open(run, run->is_created ? 0 : GYRE_OPEN_CREATE);
    if (run_is_ok(run, status, "open, with faults")) {
        faults_end(run); /* to see what is there; operations bring more */
        run_adopt(run);
        return;
    }
    reached(told_error_at_open);
    if (status == GYRE_NO_SPACE) {
        reached(disk_full_at_open);
    } else if (status == GYRE_NO_MEMORY) {
        reached(no_memory_at_open);
    }
    faults_end(run);
    run->is_tolerant = run->is_damaged;
    status = run_open(run, run->is_created ? 0 : GYRE_OPEN_CREATE);
    if (run_is_ok(run, status, "open, with faults gone")) {
        run_adopt(run);
    }
}

static void
run_session(struct run *run)
{
    fail_set_place(0, "seed %llu, session %u", (unsigned long long)run->seed, run->session);
    if (run->session > 0) {
        plan_redraw_options(&run->plan, gy_rng_next(&run->rng));
        reached(reopened_with_other_options);
    }
    run_start(run);
    if (run->plan.faults != PLAN_NO_FAULTS && run->plan.faults != PLAN_STUCK &&
        gy_rng_below(&run->rng, 3) == 0) {
        open_under_faults(run);
    } else {
        run_recover(run);
    }
    if (run->db != NULL) {
        const uint32_t most = run->effort->op_count_max;

        run_work(run, run->plan.actor_count,
                 most != 0 && most < run->plan.op_count ? most : run->plan.op_count);
    }
    run_close(run);
    run_stop(run);
}

/* With all faults gone, what is there is right, and the store is a store. */
static void
run_epilogue(struct run *run)
{
    fail_set_place(0, "seed %llu, last look", (unsigned long long)run->seed);
    run_start(run);
    run_recover(run);
    if (run->db != NULL) {
        run_close(run);
    }
    run_stop(run);
}

uint64_t
run_seed(uint64_t seed, const struct effort *effort)
{
    struct run *run = malloc(sizeof(*run));
    struct gy_heap heap;
    struct plan plan;
    struct gy_sim_disk *disk;
    uint64_t hash;

    demand(run != NULL);
    hostile_run(seed);
    gy_heap_init(&heap, UINT64_MAX);
    plan_draw(&plan, seed);
    plan.disk.pages = effort->pages != NULL ? effort->pages : machine_pages();
    disk = gy_sim_disk_make(&plan.disk, &heap);
    run_init(run, &plan, seed, 0, effort, disk, NULL);
    for (run->session = 0; run->session < plan.session_count && !run->is_unknown; run->session++) {
        run_session(run);
    }
    if (!run->is_unknown) {
        run_epilogue(run);
    }
    hash = run->hash;
    run_fini(run);
    gy_sim_disk_free(disk);
    demand(heap.used == 0);
    free(run);
    return hash;
}
