/* gyre/health.h - how a store is: its state as a value with cause and remedy, news of it through a
 * callback, and background work paused and resumed.
 *
 * A full disk and a background job that fails are states, not the end: the store goes on by itself
 * when their cause is gone. Only a failed write of log or manifest needs a reopen.
 */
#ifndef GYRE_HEALTH_H
#define GYRE_HEALTH_H

#include "gyre/db.h"

GYRE_EXTERN_C_BEGIN

/* Where several hold, the one that is named later is told; CLOSING above all. */
enum gyre_health_state {
    GYRE_HEALTH_OK = 0,
    GYRE_HEALTH_SLOW = 1,      /* compaction is behind: writers go at its pace */
    GYRE_HEALTH_PAUSED = 2,    /* gyre_pause: no flush and no compaction */
    GYRE_HEALTH_ERROR = 3,     /* flush or compaction fails and is tried again */
    GYRE_HEALTH_FULL = 4,      /* disk_quota or the disk: puts are refused, deletes are not */
    GYRE_HEALTH_READ_ONLY = 5, /* log or manifest failed, or opened so: no writes */
    GYRE_HEALTH_CLOSING = 6
};

struct gyre_health {
    uint32_t struct_size;        /* set by the caller: sizeof(struct gyre_health) */
    uint32_t state;              /* enum gyre_health_state */
    uint64_t since_ns;           /* on the clock of gyre_now: when it was first noticed */
    char cause[240];             /* one line; "" when OK */
    char remedy[240];            /* what to do; "" when OK */
    /* space */
    uint64_t disk_used;          /* bytes of the store's files, those on their way out included */
    uint64_t disk_quota;         /* 0 = none */
    uint64_t disk_free;          /* of the file system when it was last asked; 0 = never */
    uint64_t disk_reserve;       /* what puts leave of either, for compaction */
    uint64_t refused_for_space;  /* writes answered NO_SPACE for quota or reserve */
    uint64_t jobs_for_space;     /* times that a compaction was not begun for want of space */
    /* background */
    uint64_t background_failures;
    uint64_t corruptions;        /* damaged places met by calls and background work */
    uint32_t pause_count;        /* of gyre_pause without its gyre_resume */
    uint32_t last_status;        /* gyre_status of the last failure in the background, 0 = none */
    uint64_t last_ns;            /* when */
    char last_text[240];
    uint64_t events_dropped;     /* not told, for there were too many at once */
    /* Append here. */
};

/* Fill *health; health->struct_size must be set. Does not suspend, does no I/O. Works while the
 * store closes, too.
 * Source: engine/db/health.c */
GYRE_API gyre_status gyre_health(gyre_db *db, struct gyre_health *health);

/* "OK", "SLOW", ...; never NULL. */
GYRE_API const char *gyre_health_state_name(uint32_t state);

/* ---- News ---- */

enum gyre_event_kind {
    GYRE_EVENT_BACKGROUND_ERROR = 1,   /* flush or compaction failed; it is tried again */
    GYRE_EVENT_BACKGROUND_RESUMED = 2, /* and works again */
    GYRE_EVENT_DISK_FULL = 3,          /* puts are refused from now on */
    GYRE_EVENT_SPACE_AGAIN = 4,        /* and taken again */
    GYRE_EVENT_READ_ONLY = 5,          /* log or manifest failed: reopen */
    GYRE_EVENT_CORRUPTION = 6,         /* damage was met: `error` says where */
    GYRE_EVENT_STALL_BEGAN = 7,        /* writers are slowed */
    GYRE_EVENT_STALL_ENDED = 8,
    GYRE_EVENT_FLUSHED = 9,            /* `bytes` were written to level 0 */
    GYRE_EVENT_COMPACTED = 10          /* `bytes` were written into `level` */
};

struct gyre_event {
    uint32_t struct_size;            /* of what the library fills: later versions append */
    uint32_t kind;                   /* enum gyre_event_kind */
    gyre_db *db;
    uint64_t time_ns;                /* gyre_now */
    const struct gyre_error *error;  /* NULL where nothing failed; valid during the call */
    uint64_t bytes;
    uint32_t level;
    uint32_t dropped;                /* events that were not told before this one */
};

/* Have `fn` called with what happens to the store, from inside the loop; NULL = nobody. Replaces
 * options.on_event. It must not call the library (MISUSE) and should be quick.
 *
 * Bounded: an end (RESUMED, SPACE_AGAIN, STALL_ENDED) is told at once and only after its beginning
 * was; a beginning not sooner than 100 ms after the last end of its kind, so that a state that
 * comes and goes is told ten times a second at most. Of the others at most 32 at once and 100 a
 * second; the rest is counted (`dropped`).
 * Source: engine/db/event.c */
GYRE_API gyre_status gyre_on_event(gyre_db *db, gyre_event_fn fn, void *arg);

/* "DISK_FULL", ...; never NULL. */
GYRE_API const char *gyre_event_name(uint32_t kind);

/* ---- Pause and resume ---- */

/* Stop flush and compaction at their next slice (50 us as a rule) until gyre_resume; calls nest. A
 * job in progress stands still and goes on later; it is given up and done again when another store
 * of the loop needs its turn. Does not suspend.
 *
 * While paused: reads work. Writes work until all memtables, or the logs, are full, and are then
 * answered AGAIN instead of waiting for a flush that does not come (cause WAIT_PAUSED). gyre_flush,
 * gyre_compact_range, gyre_wait_idle and gyre_checkpoint answer BUSY, those in progress too.
 * gyre_close ends the pause and closes.
 *
 * Returns: OK; READ_ONLY for a store that was opened so.
 * Source:  engine/db/pause.c */
GYRE_API gyre_status gyre_pause(gyre_db *db);
/* INVALID: it is not paused. */
GYRE_API gyre_status gyre_resume(gyre_db *db);

GYRE_EXTERN_C_END

#endif
