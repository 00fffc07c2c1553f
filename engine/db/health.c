/* health.c - how a store is, why, and what to do: gyre_health. Reads what others keep; changes
 * nothing. */
#include <stdarg.h>
#include <stdio.h>

#include "engine/db/db.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* ---- What holds ---- */

bool
gy_health_is_failed(const gyre_db *db)
{
    return db->manifest.poison != GYRE_OK || (db->has_wal && db->wal.poison != GYRE_OK);
}

bool
gy_health_is_full(const gyre_db *db)
{
    return db->space.is_full || db->space.job_waits || db->waiting != NULL ||
           db->background_status == GYRE_NO_SPACE ||
           (db->has_wal && db->wal.slot_status == GYRE_NO_SPACE);
}

uint32_t
gy_health_state(const gyre_db *db)
{
    if (db->state == GY_DB_CLOSING || db->state == GY_DB_CLOSED) {
        return GYRE_HEALTH_CLOSING;
    }
    if (db->read_only || gy_health_is_failed(db)) {
        return GYRE_HEALTH_READ_ONLY;
    }
    if (gy_health_is_full(db)) {
        return GYRE_HEALTH_FULL;
    }
    if (db->background_status != GYRE_OK) {
        return GYRE_HEALTH_ERROR;
    }
    if (db->pause_count > 0) {
        return GYRE_HEALTH_PAUSED;
    }
    return db->pacer.pressure > 0 ? GYRE_HEALTH_SLOW : GYRE_HEALTH_OK;
}

/* ---- In words ---- */

static void GYRE_PRINTF(2, 3) say(char target[240], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(target, 240, format, args);
    va_end(args);
}

static void
describe_full(const gyre_db *db, struct gyre_health *health)
{
    if (db->space.is_full && db->options.disk_quota != 0) {
        say(health->cause,
            "%llu bytes of a disk_quota of %llu are used, the rest is kept for "
            "compaction; deletes are taken",
            (unsigned long long)health->disk_used, (unsigned long long)health->disk_quota);
        say(health->remedy,
            "delete keys, free space on the file system of %s, or reopen with a "
            "larger disk_quota; it goes on by itself",
            db->path);
        return;
    }
    if (db->space.is_full) {
        say(health->cause,
            "%llu bytes are free on the file system, %llu are kept for compaction; "
            "deletes are taken",
            (unsigned long long)health->disk_free, (unsigned long long)health->disk_reserve);
    } else if (db->background_status == GYRE_NO_SPACE ||
               (db->space.job_waits && db->background_error.status == GYRE_NO_SPACE)) {
        say(health->cause, "%s", db->background_error.text);
    } else if (db->space.job_waits) { /* one that gyre_compact_range asked for: it was told */
        say(health->cause, "there was no space for a compaction");
    } else if (db->has_wal && db->wal.slot_status == GYRE_NO_SPACE) {
        say(health->cause, "%s", db->wal.slot_error.text);
    } else {
        say(health->cause, "opened on a full disk");
    }
    say(health->remedy, "free space on the file system of %s; it goes on by itself", db->path);
}

static void
describe_read_only(const gyre_db *db, struct gyre_health *health)
{
    if (db->read_only) {
        say(health->cause, "opened with GYRE_OPEN_READ_ONLY");
        say(health->remedy, "open it without, to write");
        return;
    }
    if (db->has_wal && db->wal.poison != GYRE_OK) {
        say(health->cause, "%s", db->wal.poison_error.text);
    } else {
        say(health->cause, "a write of the manifest failed (%s)",
            gyre_status_text(db->manifest.poison));
    }
    say(health->remedy,
        "see to the device below %s, then close the store and open it again: what "
        "was answered is read back",
        db->path);
}

static void
describe(const gyre_db *db, struct gyre_health *health)
{
    switch ((enum gyre_health_state)health->state) {
    case GYRE_HEALTH_OK:
        break;
    case GYRE_HEALTH_SLOW:
        say(health->cause, "compaction is behind by %llu bytes: writers go at its pace",
            (unsigned long long)gy_compact_debt(db->view->version, &db->compact_options));
        say(health->remedy, "write less for a while; if it is always so, a larger memtable_size or "
                            "a faster disk; it goes on by itself");
        break;
    case GYRE_HEALTH_PAUSED:
        say(health->cause, "gyre_pause was called %u times more than gyre_resume", db->pause_count);
        say(health->remedy, "call gyre_resume");
        break;
    case GYRE_HEALTH_ERROR:
        say(health->cause, "%s", db->background_error.text);
        say(health->remedy, db->background_status == GYRE_CORRUPT
                                ? "run gyre_verify to see what is damaged, then gyre_salvage; it "
                                  "is tried again by itself"
                            : db->background_status == GYRE_NO_MEMORY
                                ? "raise memory_limit or give memory back; it is tried again by "
                                  "itself"
                                : "see to the device; it is tried again by itself");
        break;
    case GYRE_HEALTH_FULL:
        describe_full(db, health);
        break;
    case GYRE_HEALTH_READ_ONLY:
        describe_read_only(db, health);
        break;
    case GYRE_HEALTH_CLOSING:
        say(health->cause, "gyre_close was called");
        say(health->remedy, "open it again when it is closed");
        break;
    }
}

static void
fill_space(const gyre_db *db, struct gyre_health *health)
{
    struct gy_space_use use;

    if (db->view == NULL) {
        return; /* closed */
    }
    gy_space_gather(db, &use);
    health->disk_used = gy_space_used(db);
    health->disk_quota = use.quota;
    health->disk_free = use.free_bytes == GY_SPACE_UNKNOWN ? 0 : use.free_bytes;
    health->disk_reserve = use.quota != 0 ? use.job + use.deletes : gy_space_reserve(&use);
    health->refused_for_space = db->space.refused_count;
    health->jobs_for_space = db->space.job_refused_count;
}

static void
fill(gyre_db *db, struct gyre_health *health)
{
    *health = (struct gyre_health){.state = gy_health_state(db)};
    gy_event_update(db);
    health->since_ns = db->events.health_since_ns;
    fill_space(db, health);
    health->background_failures = db->background_failures;
    health->corruptions = db->events.corruption_count;
    health->pause_count = db->pause_count;
    health->events_dropped = db->events.dropped_count;
    if (db->background_failures > 0) {
        health->last_status = (uint32_t)db->background_error.status;
        health->last_ns = db->events.error_ns;
        say(health->last_text, "%s", db->background_error.text);
    }
    if (db->view != NULL || health->state != GYRE_HEALTH_SLOW) {
        describe(db, health);
    }
}

/* ---- Calls ---- */

gyre_status
gyre_health(gyre_db *db, struct gyre_health *health)
{
    struct gyre_health filled;
    gyre_status status;

    if (db == NULL || db->magic != GY_DB_MAGIC) {
        return GYRE_MISUSE;
    }
    status = gy_loop_check(db->loop); /* not gy_db_check: a store that closes has a health too */
    if (status != GYRE_OK) {
        return status;
    }
    if (health == NULL) {
        return gy_loop_fail(db->loop, GYRE_INVALID, "gyre_health: health is NULL");
    }
    fill(db, &filled);
    return gy_stats_copy_out(db->loop, health, &filled, sizeof(filled));
}

const char *
gyre_health_state_name(uint32_t state)
{
    static const char *const names[] = {"OK",   "SLOW",      "PAUSED", "ERROR",
                                        "FULL", "READ_ONLY", "CLOSING"};

    return state < sizeof(names) / sizeof(names[0]) ? names[state] : "UNKNOWN";
}
