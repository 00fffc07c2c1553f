/* sim_run.c - the life of one process: opening, writers, maintenance, closing. Crashes are in
 * sim_judge.c. */
#include "tests/support/sim_run.h"

#include <stdlib.h>

#include "engine/disk/names.h"
#include "io/base/bits.h"

/* ---- Which commits are in the log ---- */

/* The sequence of the version of `op` in a memtable that is newer than `floor`; 0: none. */
static uint64_t
find_version(const struct gy_memtable *memtable, const struct model_op *op, uint64_t floor)
{
    struct gy_memtable_iter iter;

    gy_memtable_iter_init(&iter, memtable);
    gy_memtable_iter_seek(&iter, model_key(op->key), gy_tag_seek(GY_SEQUENCE_MAX));
    for (; gy_memtable_iter_is_valid(&iter); gy_memtable_iter_next(&iter)) {
        const struct gy_entry entry = gy_memtable_iter_entry(&iter);
        const bool is_put = gy_tag_kind(entry.tag) == GY_KIND_PUT;

        if (gy_key_compare(entry.key, model_key(op->key)) != 0 ||
            gy_tag_sequence(entry.tag) <= floor) {
            return 0;
        }
        if (is_put ? op->id != 0 && model_digest(entry.value) == op->digest : op->id == 0) {
            return gy_tag_sequence(entry.tag);
        }
    }
    return 0;
}

/* A commit is known by its first put with a long value, or, being one delete of a key that only
 * this writer deletes, by that. */
static uint32_t
telling_op(const struct sim_pending *pending)
{
    for (uint32_t i = 0; i < pending->op_count; i++) {
        if (pending->ops[i].size >= 16) {
            return i;
        }
    }
    return 0;
}

static uint64_t
find_commit(const struct sim_run *run, const struct sim_pending *pending, uint64_t floor)
{
    const struct gy_view *view = run->db->view;
    const uint32_t at = telling_op(pending);
    uint64_t sequence = find_version(view->active, &pending->ops[at], floor);

    for (uint32_t i = 0; sequence == 0 && i < view->frozen_count; i++) {
        sequence = find_version(view->frozen[i], &pending->ops[at], floor);
    }
    return sequence == 0 ? 0 : sequence + pending->op_count - 1 - at;
}

void
sim_run_resolve(struct sim_run *run)
{
    for (uint32_t i = 0; run->db != NULL && i < SIM_WRITERS; i++) {
        struct sim_pending *pending = &run->pending[i];

        if (!pending->active || pending->sequence != 0) {
            continue;
        }
        /* Deletes: this writer's commits before are all answered, so below what is visible or its
         * own last. */
        pending->sequence = find_commit(run, pending, run->last_of[i]);
        if (pending->sequence != 0) {
            run->last_of[i] = pending->sequence;
            run->attempted = gy_max_u64(run->attempted, pending->sequence);
            model_add(&run->model, pending->sequence, pending->ops, pending->op_count);
        }
    }
}

/* ---- Commits ---- */

static gyre_status
write_ops(struct sim_run *run, const struct model_op *ops, uint32_t op_count,
          const struct gyre_write_options *options, uint8_t *value)
{
    gyre_batch *batch;
    gyre_status status = GYRE_OK;

    if (op_count > 16) {
        sim_reached(SIM_large_commit);
    }
    if (op_count == 1 && ops->id == 0) {
        return gyre_delete(run->db, options, model_key(ops->key));
    }
    if (op_count == 1) {
        model_value_fill(ops->id, ops->size, value);
        return gyre_put(run->db, options, model_key(ops->key), gyre_slice(value, ops->size));
    }
    batch = gyre_batch_make();
    sim_check(batch != NULL);
    for (uint32_t i = 0; status == GYRE_OK && i < op_count; i++) {
        model_value_fill(ops[i].id, ops[i].size, value);
        status = ops[i].id == 0
                     ? gyre_batch_delete(batch, model_key(ops[i].key))
                     : gyre_batch_put(batch, model_key(ops[i].key), gyre_slice(value, ops[i].size));
    }
    sim_check(status == GYRE_OK);
    status = gyre_write(run->db, options, batch);
    gyre_batch_free(batch);
    return status;
}

static void
note_answer(struct sim_run *run, struct sim_pending *pending)
{
    const bool no_log = run->knobs.options.durability == GYRE_NOWAL;

    sim_check(pending->sequence != 0); /* answered, so it is in the log and in a memtable */
    if (!no_log && pending->klass == SIM_DURABLE) {
        run->durable = gy_max_u64(run->durable, pending->sequence);
    }
    if (!no_log) {
        run->buffered = gy_max_u64(run->buffered, pending->sequence);
    }
    if (run->on_answer != NULL) {
        run->on_answer(run, pending->sequence, pending->klass);
    }
}

gyre_status
sim_run_commit(struct sim_run *run, uint32_t writer, const struct model_op *ops, uint32_t op_count,
               enum sim_klass klass)
{
    struct sim_pending *pending = &run->pending[writer];
    const bool no_log = run->knobs.options.durability == GYRE_NOWAL;
    struct gyre_write_options options = {.struct_size = sizeof(options)};
    uint8_t *value = malloc(MODEL_VALUE_MAX);
    gyre_status status;

    sim_check(!pending->active && value != NULL);
    options.durability = no_log                 ? GYRE_DURABILITY_DEFAULT
                         : klass == SIM_DURABLE ? GYRE_DURABLE
                                                : GYRE_BUFFERED;
    pending->klass = klass;
    pending->sequence = 0;
    pending->op_count = op_count;
    memcpy(pending->ops, ops, op_count * sizeof(*ops));
    pending->active = true;
    status = write_ops(run, ops, op_count, &options, value);
    free(value);
    sim_run_resolve(run);
    if (status == GYRE_OK) {
        note_answer(run, pending);
    } else if (!run->may_fail) {
        sim_fail_status(run->machine.loop, status, "a write");
    } else {
        run->failure = status;
        sim_reached(SIM_writes_failed);
    }
    pending->active = false;
    return status;
}

static uint32_t
draw_size(struct gy_rng *rng)
{
    static const uint32_t sizes[] = {0,   1,   7,    100,  100,  511,  512,  513, 900,
                                     900, 900, 1000, 2000, 4031, 4095, 4096, 4097};

    return sizes[gy_rng_below(rng, sizeof(sizes) / sizeof(sizes[0]))];
}

/* Half of all writes go to eight keys. */
static uint32_t
draw_key(struct gy_rng *rng)
{
    return gy_rng_below(rng, 2) == 0 ? (uint32_t)gy_rng_below(rng, 8) * 19
                                     : (uint32_t)gy_rng_below(rng, MODEL_KEYS);
}

static struct model_op
draw_delete(uint32_t writer, struct gy_rng *rng)
{
    return model_op_delete((uint32_t)gy_rng_below(rng, MODEL_KEYS / SIM_WRITERS) * SIM_WRITERS +
                           writer);
}

#define OP_OVERHEAD 16u    /* kind, keyspace, sizes */
#define OP_BYTES_MAX 4600u /* the longest that is drawn */

uint32_t
sim_run_draw_commit(struct sim_run *run, uint32_t writer, struct gy_rng *rng,
                    struct model_op ops[MODEL_OPS_MAX], enum sim_klass *ret_klass)
{
    const uint64_t kind = gy_rng_below(rng, 16);
    uint32_t count = 1;
    uint32_t total = 0;

    *ret_klass = gy_rng_below(rng, 2) == 0 ? SIM_DURABLE : SIM_BUFFERED;
    if (kind < 3) {
        ops[0] = draw_delete(writer, rng);
        return 1;
    }
    ops[0] = model_op_put(draw_key(rng), ++run->value_next, 16 + draw_size(rng));
    if (kind < 9) {
        return 1;
    }
    count = kind == 9 ? 16 + (uint32_t)gy_rng_below(rng, MODEL_OPS_MAX - 15)
                      : 2 + (uint32_t)gy_rng_below(rng, 6);
    for (uint32_t i = 1; i < count; i++) {
        total += (uint32_t)model_key(ops[i - 1].key).size + ops[i - 1].size + OP_OVERHEAD;
        if (total + OP_BYTES_MAX > gy_wal_commit_max(run->knobs.options.wal_slot_size)) {
            return i;
        }
        ops[i] = gy_rng_below(rng, 4) == 0
                     ? draw_delete(writer, rng)
                     : model_op_put(draw_key(rng), ++run->value_next, draw_size(rng));
    }
    return count;
}

/* ---- Coroutines ---- */

struct writer {
    struct sim_run *run;
    uint32_t number;
    struct gy_rng rng;
    struct model_op ops[MODEL_OPS_MAX];
};

static void
writer_main(void *arg)
{
    struct writer *writer = arg;
    struct sim_run *run = writer->run;

    for (uint32_t i = 0; i < run->commits && !run->failed; i++) {
        enum sim_klass klass;
        const uint32_t count =
            sim_run_draw_commit(run, writer->number, &writer->rng, writer->ops, &klass);

        if (sim_run_commit(run, writer->number, writer->ops, count, klass) != GYRE_OK) {
            run->failed = true;
        }
        if (gy_rng_below(&writer->rng, 4) == 0) {
            (void)gyre_sleep(run->machine.loop, gy_rng_below(&writer->rng, 3) * GY_NS_PER_MS);
        }
    }
    run->writers_live--;
}

static void
demand_ok(struct sim_run *run, gyre_status status, const char *what)
{
    if (status == GYRE_OK) {
        return;
    }
    if (!run->may_fail) {
        sim_fail_status(run->machine.loop, status, what);
    }
    run->failed = true;
    run->failure = status;
}

void
sim_run_demand(struct sim_run *run, const gyre_snapshot *snapshot, uint64_t sequence)
{
    struct model_state *states = malloc(2 * sizeof(*states));
    gyre_status status;

    sim_check(states != NULL);
    model_state_at(&run->model, sequence, &states[0]);
    status = sim_scan(run->db, snapshot, &states[1]);
    if (status == GYRE_OK) {
        for (uint32_t key = 0; key < MODEL_KEYS; key++) {
            if (states[0].digests[key] != states[1].digests[key]) {
                sim_fail("a scan at sequence %llu: key %u is wrong", (unsigned long long)sequence,
                         key);
            }
        }
        status = sim_compare(run->db, snapshot, &states[0]);
    }
    demand_ok(run, status, "a read");
    free(states);
}

/* A snapshot held over a flush or compaction still sees its moment. */
static void
check_snapshot(struct sim_run *run, struct gy_rng *rng)
{
    gyre_snapshot *snapshot = NULL;
    uint64_t sequence;

    sim_check(gyre_snapshot_open(run->db, &snapshot) == GYRE_OK);
    sequence = snapshot->sequence;
    sim_run_resolve(run);
    if (gy_rng_below(rng, 2) == 0) {
        demand_ok(run, gyre_flush(run->db), "flush");
        sim_reached(SIM_snapshot_over_flush);
    }
    if (gy_rng_below(rng, 2) == 0) {
        demand_ok(run,
                  gyre_compact_range(run->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL),
                  "compact_range");
    }
    sim_run_demand(run, snapshot, sequence);
    gyre_snapshot_release(snapshot);
}

/* What was answered before these calls is durable after them. */
static void
maintain(struct sim_run *run, struct gy_rng *rng)
{
    const uint64_t visible = gy_db_visible(run->db);
    gyre_status status = GYRE_OK;

    switch (gy_rng_below(rng, 5)) {
    case 0:
        status = gyre_sync(run->db);
        break;
    case 1:
        status = gyre_flush(run->db);
        break;
    case 2:
        status = gyre_compact_range(run->db, model_key(20), model_key(90), NULL, NULL);
        break;
    case 3:
        check_snapshot(run, rng);
        return;
    default:
        (void)gyre_sleep(run->machine.loop, gy_rng_below(rng, 20) * GY_NS_PER_MS);
        return;
    }
    demand_ok(run, status, "maintenance");
    if (status == GYRE_OK) {
        run->durable = gy_max_u64(run->durable, visible);
    }
}

#define STUCK_NS (600 * GY_NS_PER_S) /* of the machine's time */

static void
maintenance_main(void *arg)
{
    struct writer *self = arg;

    while (self->run->writers_live > 0 && !self->run->failed) {
        if (gyre_now(self->run->machine.loop) > STUCK_NS) {
            sim_fail("%u writers are stuck", self->run->writers_live);
        }
        (void)gyre_sleep(self->run->machine.loop,
                         (1 + gy_rng_below(&self->rng, 10)) * GY_NS_PER_MS);
        maintain(self->run, &self->rng);
    }
}

void
sim_run_work(struct sim_run *run, uint32_t writers, uint32_t commits)
{
    struct writer *all = calloc(SIM_WRITERS + 1, sizeof(*all));
    gyre_status status = GYRE_OK;

    sim_check(all != NULL && writers <= SIM_WRITERS);
    run->commits = commits;
    run->writers_live = writers;
    for (uint32_t i = 0; status == GYRE_OK && i <= writers; i++) {
        all[i].run = run;
        all[i].number = i;
        gy_rng_init(&all[i].rng, gy_rng_next(&run->rng));
        status = gyre_spawn(run->machine.loop, i < writers ? writer_main : maintenance_main,
                            &all[i], NULL);
    }
    sim_check(status == GYRE_OK);
    status = gyre_run(run->machine.loop);
    sim_check(status == GYRE_OK);
    free(all);
}

/* ---- Begin and end ---- */

void
sim_run_init(struct sim_run *run, uint64_t seed, uint32_t depth, const struct sim_effort *effort,
             const struct sim_knobs *knobs, struct gy_sim_disk *disk, const struct sim_run *source)
{
    memset(run, 0, sizeof(*run));
    run->seed = seed;
    run->depth = depth;
    run->effort = effort;
    run->knobs = *knobs;
    run->disk = disk;
    gy_rng_init(&run->rng, seed);
    gy_rng_init(&run->point_rng, seed ^ 0x706f696e74ull);
    if (source != NULL) {
        model_fork(&run->model, &source->model, UINT64_MAX);
        run->value_next = source->value_next;
        run->created = source->created;
    } else {
        model_init(&run->model);
    }
}

void
sim_run_fini(struct sim_run *run)
{
    sim_check(run->point_count == 0 && run->db == NULL);
    free(run->points);
    model_fini(&run->model);
}

static void
note_statistics(const struct sim_run *run)
{
    const gyre_db *db = run->db;

    if (db->has_wal && db->wal.stats.switches > 0) {
        sim_reached(SIM_log_switched);
    }
    if (db->has_wal && db->wal.stats.switches >= db->options.wal_slot_count_max) {
        sim_reached(SIM_log_slot_reused);
    }
    if (db->counters.flush_count > 0) {
        sim_reached(SIM_flushed);
    }
    if (db->counters.compaction_count > 0) {
        sim_reached(SIM_compacted);
    }
    if (!db->has_wal) {
        sim_reached(SIM_no_log);
    } else if (!db->wal.has_stage) {
        sim_reached(SIM_no_staging);
    }
}

gyre_status
sim_run_close(struct sim_run *run)
{
    const uint64_t visible = gy_db_visible(run->db);
    gyre_db *db = run->db;
    gyre_status status;

    note_statistics(run);
    run->db = NULL; /* its memtables go away in the middle of it */
    status = gyre_close(db);
    if (status == GYRE_OK) {
        run->durable = gy_max_u64(run->durable, visible);
    } else if (!run->may_fail) {
        sim_fail_status(run->machine.loop, status, "close");
    }
    return status;
}
