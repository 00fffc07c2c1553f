/* wanted.c - see wanted.h. */
#include "engine/db/wanted.h"

#include "engine/db/background.h"
#include "engine/db/db.h"
#include "io/base/assert.h"
#include "io/base/bits.h"

#include "io/base/ban.h"

static void
set_key(struct gy_wanted_key *target, struct gyre_slice key)
{
    target->size = (uint32_t)gy_min_u64(key.size, GY_WANTED_KEY_MAX);
    memcpy(target->data, key.data, target->size);
}

static struct gyre_slice
slice_of(const struct gy_wanted_key *key)
{
    return gyre_slice(key->data, key->size);
}

/* ---- Runs ---- */

/* What is above it some snapshot keeps. */
static uint64_t
oldest_snapshot(const gyre_db *db)
{
    return gy_list_is_empty(&db->snapshots)
               ? UINT64_MAX
               : gy_container_of(db->snapshots.next, struct gyre_snapshot, link)->sequence;
}

/* Sequences from here on are in the active memtable. */
static uint64_t
active_first(const gyre_db *db)
{
    const struct gy_memtable *active = db->view->active;

    return gy_memtable_count(active) > 0 ? gy_memtable_sequence_first(active) : UINT64_MAX;
}

void
gy_wanted_run_add(gyre_db *db, struct gy_wanted_run *run, struct gyre_slice key, uint64_t sequence)
{
    if (sequence > oldest_snapshot(db)) {
        return;
    }
    if (run->count == 0) {
        set_key(&run->first, key);
    }
    set_key(&run->last, key);
    run->count++;
    run->active_count += sequence >= active_first(db) ? 1 : 0;
    run->sequence = gy_max_u64(run->sequence, sequence);
}

void
gy_wanted_run_show(gyre_db *db, struct gy_wanted_run *run)
{
    if (run->count > 0 && ++run->shown > run->count) {
        gy_wanted_run_end(db, run, GY_WANTED_TOMBSTONES);
    }
}

/* ---- Ranges ---- */

static bool
overlaps(const struct gy_wanted_range *range, struct gyre_slice from, struct gyre_slice to)
{
    return gy_key_compare(slice_of(&range->from), to) <= 0 &&
           gy_key_compare(from, slice_of(&range->to)) <= 0;
}

/* The range that has something of it, a free one, or the one that is given up. */
static struct gy_wanted_range *
place_for(gyre_db *db, struct gyre_slice from, struct gyre_slice to)
{
    struct gy_wanted_range *least = &db->wanted.ranges[0];

    for (uint32_t i = 0; i < GY_WANTED_RANGES; i++) {
        struct gy_wanted_range *range = &db->wanted.ranges[i];

        if (range->credit > 0 && overlaps(range, from, to)) {
            return range;
        }
        if (range->credit < least->credit) {
            least = range;
        }
    }
    db->wanted.count += least->credit == 0 ? 1 : 0;
    *least = (struct gy_wanted_range){.credit = 0};
    set_key(&least->from, from);
    set_key(&least->to, to);
    return least;
}

static void
forget(gyre_db *db, struct gy_wanted_range *range)
{
    gy_assert(db->wanted.count > 0);
    range->credit = 0;
    db->wanted.count--;
}

/* W4 */
static void
relieve_active(gyre_db *db, struct gy_wanted_range *range, uint64_t passed)
{
    const struct gy_memtable *active = db->view->active;
    struct gyre_error *error = gy_sched_error(&db->loop->io.sched);
    const struct gyre_error before = *error;

    if (range->active_first != active_first(db)) {
        range->active_first = active_first(db);
        range->active_count = 0;
    }
    range->active_count += passed;
    if (range->active_count * gy_memtable_used(active) <
        gy_memtable_count(active) * db->options.memtable_size) {
        return;
    }
    (void)gy_db_rotate(db); /* no memory or too many: it was worth a try */
    *error = before;
}

static bool
is_of_use(const gyre_db *db)
{
    return gy_background_may_work(db) && !db->read_only && !db->options.background_off &&
           db->state == GY_DB_OPEN && db->waiting == NULL;
}

void
gy_wanted_run_end(gyre_db *db, struct gy_wanted_run *run, uint64_t count_min)
{
    const struct gyre_slice keys[2] = {slice_of(&run->first), slice_of(&run->last)};
    const bool is_reverse = run->count > 0 && gy_key_compare(keys[0], keys[1]) > 0;
    struct gy_wanted_range *range;

    if (run->count >= gy_max_u64(count_min, 1) && is_of_use(db)) {
        range = place_for(db, keys[is_reverse ? 1 : 0], keys[is_reverse ? 0 : 1]);
        if (gy_key_compare(keys[is_reverse ? 1 : 0], slice_of(&range->from)) < 0) {
            set_key(&range->from, keys[is_reverse ? 1 : 0]);
        }
        if (gy_key_compare(keys[is_reverse ? 0 : 1], slice_of(&range->to)) > 0) {
            set_key(&range->to, keys[is_reverse ? 0 : 1]);
        }
        range->credit += run->count * GY_WANTED_WORTH;
        range->sequence = gy_max_u64(range->sequence, run->sequence);
        range->number_limit = db->next_file_number;
        if (run->active_count > 0) {
            relieve_active(db, range, run->active_count);
        }
        gy_waitq_wake_all(&db->work);
    }
    run->count = 0;
    run->active_count = 0;
    run->shown = 0;
    run->sequence = 0;
}

/* ---- For the compactor ---- */

static uint64_t
cost_of(const struct gy_compact_job *job)
{
    uint64_t entries = 1;

    for (uint32_t side = 0; side < 2 && !job->is_trivial_move; side++) {
        for (uint32_t i = 0; i < job->input_count[side]; i++) {
            entries += job->inputs[side][i]->meta.entry_count;
        }
    }
    return entries;
}

struct gy_wanted_range *
gy_wanted_pick(gyre_db *db, struct gy_compact_job *ret_job)
{
    for (uint32_t i = 0; i < GY_WANTED_RANGES && db->wanted.count > 0; i++) {
        struct gy_wanted_range *range = &db->wanted.ranges[i];
        const struct gy_compact_wanted wanted = {.from = slice_of(&range->from),
                                                 .to = slice_of(&range->to),
                                                 .sequence = range->sequence,
                                                 .number_limit = range->number_limit};

        if (range->credit == 0) {
            continue;
        }
        if (gy_compact_pick_wanted(db->view->version, &db->compact_options, &wanted, ret_job)) {
            if (cost_of(ret_job) <= range->credit) {
                return range;
            }
        } else if (range->sequence <= db->flushed_sequence) {
            forget(db, range); /* nothing is left of what was noted */
        }
    }
    return NULL;
}

void
gy_wanted_pay(gyre_db *db, struct gy_wanted_range *range, const struct gy_compact_job *job)
{
    gy_assert(range->credit >= cost_of(job));
    range->credit -= cost_of(job);
    db->counters.tombstone_compactions++;
    if (range->credit == 0) {
        db->wanted.count--;
    }
}
