/* space.c - see space.h. */
#include "engine/db/space.h"

#include "engine/db/background.h"
#include "engine/db/event.h"
#include "engine/db/room.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* Puts are taken again when there is room for so many: it does not come and go with each. */
#define AGAIN_BYTES (64u * GY_KIB)
/* Of a table of a deeper level with those below it that it lies across, and one that ends late. */
#define DEEP_JOB_TABLES (GY_COMPACT_SPAN_MAX + 3u)
#define RESERVE_SHARE 8u /* of what the store takes and what is free: the most that is derived */

/* ---- Pure ---- */

/* What a memtable comes to as a table: pages that are not full, filters, index. */
static uint64_t
as_table(uint64_t memory)
{
    return memory + memory / 2;
}

uint64_t
gy_space_job_bytes(const struct gy_version *version, const struct gy_compact_options *options,
                   uint64_t memory)
{
    const uint32_t base = gy_compact_base_level(version, options);
    const uint64_t top = version->levels[0].bytes + as_table(memory) + version->levels[base].bytes;
    const uint64_t deep = DEEP_JOB_TABLES * options->table_size;
    const uint64_t below = version->bytes - version->levels[0].bytes - version->levels[base].bytes;

    /* Nothing below the base: there are no deeper jobs. */
    return gy_space_job_estimate(
        gy_max_u64(top, below == 0 ? 0 : gy_min_u64(deep, version->bytes)));
}

uint64_t
gy_space_job_estimate(uint64_t input_bytes)
{
    return input_bytes + input_bytes / 16 + 4 * GY_PAGE;
}

uint64_t
gy_space_reserve(const struct gy_space_use *use)
{
    const uint64_t whole = use->free_bytes == GY_SPACE_UNKNOWN
                               ? 0
                               : use->free_bytes + use->fixed + use->tables + use->pending;

    if (use->reserve == GYRE_DISK_RESERVE_NONE) {
        return 0;
    }
    return use->reserve != 0 ? use->reserve
                             : gy_min_u64(use->job + use->deletes, whole / RESERVE_SHARE);
}

/* What the quota leaves beside all that is there and promised, and `held` for jobs in progress and
 * to come: those in progress take it from what was held back for them. */
static uint64_t
quota_left(const struct gy_space_use *use, uint64_t held)
{
    return gy_sub_sat(use->quota, use->fixed + use->tables + as_table(use->frozen) +
                                      gy_max_u64(held, use->planned + use->pending));
}

uint64_t
gy_space_memtable_max(const struct gy_space_use *use, bool deletes)
{
    uint64_t most = UINT64_MAX;

    if (use->quota != 0) {
        /* A byte of the memtable is one and a half in level 0, and as many again that its
         * compaction writes. */
        most = quota_left(use, deletes                           ? use->job / 2
                               : GY_MUTANT(reserve_for_puts_too) ? 0
                                                                 : use->job + use->deletes) /
               3;
    }
    if (use->free_bytes != GY_SPACE_UNKNOWN) {
        const uint64_t reserve = gy_space_reserve(use);
        const uint64_t held = gy_max_u64(deletes ? reserve / 2 : reserve, use->planned);

        most = gy_min_u64(most, gy_sub_sat(use->free_bytes, as_table(use->frozen) + held));
    }
    return most;
}

uint64_t
gy_space_job_max(const struct gy_space_use *use)
{
    const uint64_t memory = as_table(use->frozen + use->active);
    uint64_t most = UINT64_MAX;

    if (use->quota != 0) {
        most = gy_sub_sat(use->quota, use->fixed + use->tables + use->pending + memory);
    }
    if (use->free_bytes != GY_SPACE_UNKNOWN) {
        most = gy_min_u64(most, gy_sub_sat(use->free_bytes, memory));
    }
    return most;
}

/* ---- Of a store ---- */

static uint64_t
log_bytes(const gyre_db *db, bool full)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < GY_WAL_SLOT_MAX; i++) {
        count += db->wal.slot_exists[i];
    }
    if (full && db->has_wal) {
        count = gy_max_u64(count, db->options.wal_slot_count_max);
    }
    return count * db->options.wal_slot_size;
}

void
gy_space_init(gyre_db *db)
{
    db->space = (struct gy_space){.free_bytes = GY_SPACE_UNKNOWN,
                                  .put_max = UINT64_MAX,
                                  .delete_max = UINT64_MAX,
                                  .bold_wait_ns = GY_SPACE_BOLD_NS};
}

void
gy_space_gather(const gyre_db *db, struct gy_space_use *ret_use)
{
    const struct gy_view *view = db->view;
    const uint64_t files = db->tables.file_bytes;
    struct gy_space_use use = {.quota = db->options.disk_quota,
                               .reserve = db->options.disk_reserve,
                               .free_bytes = db->space.free_bytes,
                               .tables = view->version->bytes,
                               .pending = gy_sub_sat(files, view->version->bytes),
                               .planned = db->space.planned,
                               .active = gy_memtable_used(view->active),
                               .deletes = db->options.memtable_size / 2};

    for (uint32_t i = 0; i < view->frozen_count; i++) {
        use.frozen += gy_memtable_used(view->frozen[i]);
    }
    use.fixed = log_bytes(db, true) + gy_max_u64(2 * db->manifest.capacity, GY_SPACE_MANIFEST_MIN);
    use.job = gy_space_job_bytes(view->version, &db->compact_options, use.frozen);
    *ret_use = use;
}

uint64_t
gy_space_used(const gyre_db *db)
{
    return db->tables.file_bytes + log_bytes(db, false) + db->manifest.capacity;
}

static void
note_full(gyre_db *db, bool is_full)
{
    if (is_full == db->space.is_full) {
        return;
    }
    db->space.is_full = is_full;
    if (is_full) {
        GY_SOMETIMES(puts_refused_for_space);
    } else {
        GY_SOMETIMES(puts_taken_again);
        db->space.job_bold_ns = 0;
        db->space.bold_wait_ns = GY_SPACE_BOLD_NS;
    }
    gy_event_update(db);
}

void
gy_space_update(gyre_db *db)
{
    struct gy_space_use use;

    if (db->view == NULL || db->read_only) {
        return;
    }
    gy_space_gather(db, &use);
    db->space.put_max = gy_space_memtable_max(&use, false);
    db->space.delete_max = gy_space_memtable_max(&use, true);
    if (db->space.is_full && gy_sub_sat(db->space.put_max, use.active) >= AGAIN_BYTES) {
        note_full(db, false);
    }
}

GY_SUSPENDS void
gy_space_await_ask(gyre_db *db)
{
    uint64_t free_bytes = 0;

    if (db->options.disk_reserve == GYRE_DISK_RESERVE_NONE && db->options.disk_quota == 0) {
        return; /* nobody wants to know */
    }
    db->space.free_bytes = gy_dir_await_free_space(&db->loop->io, &db->dir, &free_bytes) == GYRE_OK
                               ? free_bytes
                               : GY_SPACE_UNKNOWN; /* Y5 */
    gy_space_update(db);
}

static bool
is_out_of_slots(const gyre_db *db)
{
    return db->has_wal && db->wal.slot_status == GYRE_NO_SPACE;
}

/* Y4 */
static void
asker_main(void *arg)
{
    gyre_db *db = arg;
    struct gy_sched *sched = &db->loop->io.sched;

    gy_in_coroutine();
    while (!db->stop && (db->space.is_full || is_out_of_slots(db))) {
        gy_await_sleep(sched, GY_SPACE_RETRY_NS);
        if (!db->stop) {
            if (is_out_of_slots(db)) {
                gy_wal_want_slot(&db->wal); /* nobody else may come to ask */
            }
            gy_space_await_ask(db);
            gy_db_kick(db);
        }
    }
    db->space.is_asking = false;
    db->background_live--;
    gy_waitq_wake_all(&db->installed);
}

void
gy_space_ask_later(gyre_db *db)
{
    if (db->space.is_asking || db->stop || db->background_live == 0) {
        return;
    }
    if (gy_spawn(&db->loop->io.sched, GY_CLASS_BACKGROUND, "ask for space", asker_main, db, NULL) ==
        GYRE_OK) { /* else the next refusal tries again */
        db->space.is_asking = true;
        db->background_live++;
    }
}

gyre_status
gy_space_refuse(gyre_db *db)
{
    struct gy_space_use use;
    struct gyre_error *error = gy_sched_error(&db->loop->io.sched);

    gy_space_gather(db, &use);
    if (use.quota != 0 && quota_left(&use, use.job + use.deletes) / 3 <= db->space.put_max) {
        (void)gy_loop_fail(db->loop, GYRE_NO_SPACE,
                           "the store takes %llu bytes of its disk_quota of %llu and keeps the "
                           "rest for compaction: delete keys, or raise disk_quota",
                           (unsigned long long)gy_space_used(db), (unsigned long long)use.quota);
    } else {
        (void)gy_loop_fail(db->loop, GYRE_NO_SPACE,
                           "the disk is nearly full: %llu bytes are free, %llu are kept for "
                           "compaction (disk_reserve): free some, or delete keys",
                           (unsigned long long)use.free_bytes,
                           (unsigned long long)gy_space_reserve(&use));
    }
    error->cause = GYRE_WAIT_DISK;
    error->retry_ns = GY_SPACE_RETRY_NS;
    db->space.refused_count++;
    note_full(db, true);
    gy_space_ask_later(db);
    gy_db_kick(db);
    return GYRE_NO_SPACE;
}

/* ---- Compaction ---- */

/* Deletes that wait in memory make room only in a table: now and then, together. */
static bool
freeze_deletes(gyre_db *db)
{
    const uint64_t now_ns = gy_loop_now(&db->loop->io);

    if (db->view->frozen_count > 0 || gy_memtable_count(db->view->active) == 0 ||
        now_ns < db->space.forced_ns + GY_SPACE_RETRY_NS) {
        return false;
    }
    db->space.forced_ns = now_ns;
    return gy_db_rotate(db) == GYRE_OK; /* no memory: at the next try */
}

static gyre_status
refuse_job(gyre_db *db, uint64_t bytes, uint64_t most)
{
    GY_SOMETIMES(compaction_waited_for_space);
    db->space.job_waits = true;
    db->space.job_refused_count++;
    return gy_loop_fail(db->loop, GYRE_NO_SPACE,
                        "a compaction may write %llu bytes, and there is space for %llu: it waits",
                        (unsigned long long)bytes, (unsigned long long)most);
}

GY_SUSPENDS gyre_status
gy_space_await_job(gyre_db *db, const struct gy_compact_job *job, uint64_t *ret_budget)
{
    const uint64_t now_ns = gy_loop_now(&db->loop->io);
    const uint64_t bytes = gy_space_job_estimate(job->input_bytes);
    struct gy_space_use use;
    uint64_t most;

    *ret_budget = 0;
    gy_space_await_ask(db);
    gy_space_gather(db, &use);
    most = gy_space_job_max(&use);
    if (bytes > most) {
        if (now_ns < db->space.job_bold_ns || most < GY_PAGE) {
            return refuse_job(db, job->input_bytes, most);
        }
        /* Deletes in memory may be what makes the job small: once for each try, since every table
         * of them takes some pages of what is kept. */
        if (db->space.is_full && db->space.forced_ns <= db->space.job_bold_ns &&
            freeze_deletes(db)) {
            return refuse_job(db, job->input_bytes, most);
        }
        GY_SOMETIMES(compaction_tried_in_little_space);
        db->space.job_bold_ns = now_ns + db->space.bold_wait_ns;
        db->space.bold_wait_ns = gy_min_u64(2 * db->space.bold_wait_ns, GY_SPACE_BOLD_NS_MAX);
    } else {
        db->space.bold_wait_ns = GY_SPACE_BOLD_NS;
    }
    db->space.job_waits = false;
    if (most != UINT64_MAX) {
        *ret_budget = most;
        db->space.planned = gy_min_u64(most, bytes);
        gy_space_update(db);
    }
    return GYRE_OK;
}

void
gy_space_job_end(gyre_db *db)
{
    db->space.planned = 0;
}

bool
gy_space_pick(gyre_db *db, struct gy_compact_job *ret_job)
{
    const struct gyre_slice open_end = gyre_slice(NULL, 0);

    if (!db->space.is_full) {
        return false;
    }
    (void)freeze_deletes(db);
    if (db->view->frozen_count > 0) {
        return false; /* the flush first: it kicks */
    }
    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        if (gy_compact_pick_range(db->view->version, &db->compact_options, level, open_end,
                                  open_end, false, ret_job)) {
            GY_SOMETIMES(compaction_for_space);
            return true;
        }
    }
    return false;
}
