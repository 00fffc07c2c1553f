/* event.c - see event.h. */
#include "engine/db/event.h"

#include "engine/db/db.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

static void
tell(gyre_db *db, struct gyre_event *event)
{
    struct gy_events *events = &db->events;
    struct gyre_error *error = gy_sched_error(&db->loop->io.sched);
    struct gyre_error kept;

    if (events->fn == NULL) {
        return;
    }
    kept = *error; /* a callback that enters the library is told so, and that is all */
    event->struct_size = sizeof(*event);
    event->db = db;
    event->time_ns = gy_loop_now(&db->loop->io);
    event->dropped = events->dropped;
    events->dropped = 0;
    gy_callback_begin(db->loop);
    events->fn(events->arg, event);
    gy_callback_end(db->loop);
    *error = kept;
}

/* V2 */
static bool
take_token(struct gy_events *events, uint64_t now_ns)
{
    const uint64_t more = gy_sub_sat(now_ns, events->token_ns) / GY_EVENT_TOKEN_NS;

    if (more > 0) {
        events->tokens = (uint32_t)gy_min_u64(GY_EVENT_BURST, events->tokens + more);
        events->token_ns = now_ns;
    }
    if (events->tokens == 0) {
        events->dropped++;
        events->dropped_count++;
        return false;
    }
    events->tokens--;
    return true;
}

static void
tell_once(gyre_db *db, struct gyre_event *event)
{
    if (db->events.fn != NULL && take_token(&db->events, gy_loop_now(&db->loop->io))) {
        tell(db, event);
    }
}

void
gy_event_init(gyre_db *db, const struct gyre_options *options)
{
    const size_t known = offsetof(struct gyre_options, event_arg) + sizeof(options->event_arg);

    db->events = (struct gy_events){.tokens = GY_EVENT_BURST};
    db->events.health_since_ns = gy_loop_now(&db->loop->io);
    if (options != NULL && options->struct_size >= known) {
        db->events.fn = options->on_event;
        db->events.arg = options->event_arg;
    }
}

/* ---- States ---- */

/* V1 */
static void
update_state(gyre_db *db, enum gy_event_state state, bool holds, enum gyre_event_kind begins,
             const struct gyre_error *error)
{
    struct gy_events *events = &db->events;
    const uint64_t now_ns = gy_loop_now(&db->loop->io);
    struct gyre_event event = {.kind = begins, .error = holds ? error : NULL};

    if (holds == events->states[state].is_told) {
        return;
    }
    if (holds && events->states[state].ended_ns != 0 &&
        now_ns < events->states[state].ended_ns + GY_EVENT_GAP_NS) {
        events->states[state].is_told = GY_MUTANT(end_told_without_beginning);
        return;
    }
    if (!holds) {
        event.kind = begins + 1; /* each end is named after its beginning */
        events->states[state].ended_ns = now_ns;
    }
    events->states[state].is_told = holds;
    tell(db, &event);
}

_Static_assert(GYRE_EVENT_BACKGROUND_RESUMED == GYRE_EVENT_BACKGROUND_ERROR + 1 &&
                   GYRE_EVENT_SPACE_AGAIN == GYRE_EVENT_DISK_FULL + 1 &&
                   GYRE_EVENT_STALL_ENDED == GYRE_EVENT_STALL_BEGAN + 1,
               "update_state names the end by its beginning");

static void
update_read_only(gyre_db *db)
{
    struct gyre_event event = {.kind = GYRE_EVENT_READ_ONLY};

    if (db->events.read_only_told || !gy_health_is_failed(db)) {
        return;
    }
    db->events.read_only_told = true;
    event.error =
        db->has_wal && db->wal.poison != GYRE_OK ? &db->wal.poison_error : &db->background_error;
    tell(db, &event);
}

void
gy_event_update(gyre_db *db)
{
    const uint32_t state = gy_health_state(db);

    if (state != db->events.health_state) {
        db->events.health_state = state;
        db->events.health_since_ns = gy_loop_now(&db->loop->io);
    }
    if (db->events.fn == NULL) {
        return;
    }
    update_read_only(db);
    update_state(db, GY_STATE_OF_ERROR, db->background_status != GYRE_OK,
                 GYRE_EVENT_BACKGROUND_ERROR, &db->background_error);
    update_state(db, GY_STATE_OF_SPACE, gy_health_is_full(db), GYRE_EVENT_DISK_FULL,
                 db->background_status == GYRE_NO_SPACE ? &db->background_error : NULL);
    update_state(db, GY_STATE_OF_PACE, db->pacer.pressure > 0, GYRE_EVENT_STALL_BEGAN, NULL);
}

/* ---- Single ones ---- */

void
gy_event_note_damage(gyre_db *db, gyre_status status)
{
    if (status == GYRE_CORRUPT) {
        struct gyre_error error = *gy_sched_error(&db->loop->io.sched);
        struct gyre_event event = {.kind = GYRE_EVENT_CORRUPTION, .error = &error};

        db->events.corruption_count++;
        tell_once(db, &event);
    }
}

void
gy_event_job_done(gyre_db *db, enum gyre_event_kind kind, uint64_t bytes, uint32_t level)
{
    struct gyre_event event = {.kind = kind, .bytes = bytes, .level = level};

    tell_once(db, &event);
}

/* ---- Calls ---- */

gyre_status
gyre_on_event(gyre_db *db, gyre_event_fn fn, void *arg)
{
    const gyre_status status = gy_db_check(db);

    if (status == GYRE_OK) {
        db->events.fn = fn;
        db->events.arg = arg;
    }
    return status;
}

const char *
gyre_event_name(uint32_t kind)
{
    static const char *const names[] = {"NONE",       "BACKGROUND_ERROR", "BACKGROUND_RESUMED",
                                        "DISK_FULL",  "SPACE_AGAIN",      "READ_ONLY",
                                        "CORRUPTION", "STALL_BEGAN",      "STALL_ENDED",
                                        "FLUSHED",    "COMPACTED"};

    return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "UNKNOWN";
}
