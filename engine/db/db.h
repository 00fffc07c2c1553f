/* db.h - the store and the loop as the engine's top layer sees them: the only file that names every
 * module.
 *
 * Shared state changes in three no-suspend sections only: publish (the log's `answered` moves),
 * rotate (a memtable is frozen, gy_db_rotate) and install (a view with a new version,
 * gy_db_install). Whoever reads across an await holds a view.
 */
#ifndef GY_DB_H
#define GY_DB_H

#include "engine/db/batch.h"
#include "engine/db/db_parts.h"
#include "engine/db/event.h"
#include "engine/db/loop_parts.h"
#include "engine/db/space.h"
#include "engine/db/wanted.h"
#include "engine/disk/manifest.h"
#include "engine/disk/wal.h"
#include "engine/lsm/job.h"
#include "engine/lsm/pacer.h"
#include "engine/lsm/view.h"
#include "gyre/gyre.h"
#include "io/arena.h"
#include "io/identity.h"

/* A host function may run between these two; calls from inside it are MISUSE. */
void gy_callback_begin(gyre_loop *loop);
void gy_callback_end(gyre_loop *loop);

#define GY_DB_MAGIC 0x6779726564623031ull

enum gy_db_state { GY_DB_OPENING, GY_DB_OPEN, GY_DB_CLOSING, GY_DB_CLOSED };

struct gy_recovery;

struct gyre_snapshot {
    struct gyre_db *db;
    struct gy_list link;           /* ascending by sequence */
    uint64_t sequence;
};

struct gyre_db {
    uint64_t magic;
    struct gyre_loop *loop;
    struct gy_list link;           /* loop->stores */
    enum gy_db_state state;
    bool read_only;
    char *path;                    /* heap */
    struct gy_file dir;
    struct gy_file lock;
    struct gy_db_options options;
    struct gy_compact_options compact_options;

    uint64_t store_id;
    uint64_t features_compatible;
    uint64_t next_file_number;
    struct gy_manifest manifest;
    struct gy_wal wal;
    bool has_wal;                  /* false: read-only or NOWAL */
    uint64_t sequence;             /* without a log: last used */
    uint64_t flushed_sequence;     /* everything at or below it is in tables */
    uint64_t sequence_floor;       /* what manifest and logs said at opening: used up, if only by
                                    * commits that a power cut took */
    uint64_t log_min;              /* as recorded in the manifest */
    uint64_t stage_id[2];          /* as recorded in the manifest */
    uint64_t boot_id[2];

    struct gy_table_set tables;
    bool tables_ready;
    struct gy_view *view;          /* current; the db holds one reference */
    uint64_t view_epoch;           /* rises with every new view: iterators re-seek when it moved */
    struct gy_waitq room;          /* writers that wait for a memtable to be flushed */
    struct gy_mutex install;       /* one edit at a time: version -> manifest -> view */
    struct gy_waitq installed;     /* a view was installed, or a background error came or went */

    struct gy_pacer pacer;
    struct gy_compact_cursor compact_cursor;
    struct gy_wanted wanted;       /* where readers met many tombstones */
    uint32_t background_live;      /* background coroutines that have not ended */
    bool flush_running;
    bool compact_running;
    bool stop;                     /* background: end as soon as possible */
    bool compact_paused;           /* gyre_compact_range has the compactor's place */
    uint32_t pause_count;          /* of gyre_pause; above 0 the gate is closed */
    struct gy_job_gate gate;
    struct gy_waitq work;          /* background coroutines wait here for something to do */
    /* last failure of flush or compaction, OK when the last try went well */
    gyre_status background_status;
    struct gyre_error background_error;
    uint64_t background_failures;
    /* not NULL: opened on a full disk, no manifest or log of its own yet (begin.c) */
    struct gy_recovery *waiting;

    /* gyre_snapshot.link, ascending by sequence; iterators are in it too */
    struct gy_list snapshots;
    uint32_t snapshot_count;       /* of the user */
    struct gy_list iterators;      /* gyre_iterator.link */
    uint32_t iterator_count;
    uint32_t pin_count;            /* gyre_value held */
    /* a commit is being logged in parts: the active memtable stays */
    bool large_write;
    uint32_t call_count;           /* calls in progress */
    struct gy_waitq calls_done;
    /* CLOSED: what gyre_close has still to tell, or OK */
    gyre_status close_status;
    struct gyre_error close_error;
    struct gy_co *close_waiter;    /* the last one that waits for it to close */
    uint32_t close_waiters;        /* with those that have given up and not left yet */
    struct gy_waitq closed;

    struct gy_space space;
    struct gy_events events;
    struct gy_db_counters counters;
    struct gy_rng rng;             /* seeds of memtables, file ids */
};

/* A loop on a world of the caller's (the simulator); the loop closes it. It stays the caller's when
 * this fails. (loop.c) */
GYRE_NODISCARD gyre_status gy_loop_open_on(const struct gyre_loop_options *options,
                                           struct gy_world *world, gyre_loop **ret_loop,
                                           struct gyre_error *ret_error);

/* Coroutines that the user's and multi_get's leave to the library: for the call that drives the
 * loop when memory has run out, background work, and what tables start for themselves. */
#define GY_COROUTINES_OWN 64u  /* of the count */
#define GY_COROUTINES_SPARE 4u /* that need no more memory */

/* Is there a stack in the pool beyond the spare ones, or may one be made? New ones leave to others
 * what they were promised (H5 in heap.h). (loop.c) */
bool gy_loop_has_stack(gyre_loop *loop);
/* A store was opened or closed: promise what the memtables of all may take. (loop.c) */
void gy_loop_promise_memtables(gyre_loop *loop);

/* ---- call.c: how a public call enters ---- */

/* OK, or MISUSE with a text: NULL or closed handle, wrong thread, forked child, inside a
 * callback. */
GYRE_NODISCARD gyre_status gy_loop_check(gyre_loop *loop);
/* gy_loop_check and the store is open (CLOSED while it closes). */
GYRE_NODISCARD gyre_status gy_db_check(gyre_db *db);

/* MISUSE in a callback of gyre_loop_poll, where nothing may wait; OK in a coroutine. */
GYRE_NODISCARD gyre_status gy_call_check(gyre_loop *loop);

/* Run fn(arg), which may suspend: in the current coroutine, or from the host's stack in a coroutine
 * of its own while driving the loop. fn stores its status in its argument. Returns what kept it
 * from running (MISUSE, NO_MEMORY), else OK. */
GYRE_NODISCARD gyre_status gy_call(gyre_loop *loop, const char *name, void (*fn)(void *arg),
                                   void *arg);

/* A call on a store is in progress: gyre_close waits for it. */
static inline void
gy_db_enter(gyre_db *db)
{
    db->call_count++;
}
void gy_db_leave(gyre_db *db);

/* After a call from the host's stack that did not suspend: give background work its turn when 50 us
 * have passed since the last. */
void gy_call_breathe(gyre_loop *loop);

/* Fill the caller's error and return status: for calls that fail before they run. */
gyre_status gy_loop_fail(gyre_loop *loop, gyre_status status, const char *format, ...)
    GYRE_PRINTF(3, 4);
void gy_loop_log(gyre_loop *loop, enum gyre_log_level level, const char *format, ...)
    GYRE_PRINTF(3, 4);

/* ---- state, used by all of db/ ---- */

/* The last published sequence: what a read sees that names no snapshot. */
static inline uint64_t
gy_db_visible(const gyre_db *db)
{
    return db->has_wal ? db->wal.answered : db->sequence;
}

/* Freeze the active memtable and put a new one in its place. Never suspends. NO_MEMORY with nothing
 * changed; BUSY when memtable_count_max are there already. An empty memtable stays: OK.
 * (background.c) */
GYRE_NODISCARD gyre_status gy_db_rotate(gyre_db *db);

/* Wake the background: something may be due. Recomputes the pressure. (background.c) */
void gy_db_kick(gyre_db *db);

/* Record edits in the manifest, then make `change` visible: one at a time (db->install). With
 * drop_memtable the oldest frozen memtable leaves the view. (install.c) */
struct gy_install {
    const struct gy_edit *edits;
    uint32_t edit_count;
    struct gy_version_change change;
    struct gy_memtable *drop_memtable; /* NULL = none */
    /* a move: the removed tables' files live on in the added ones */
    bool keep_files;
};
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_db_await_install(gyre_db *db,
                                                           const struct gy_install *install);

/* Sequences that compaction has to respect, ascending, in a heap array (GY_MEM_CALL) of *ret_count.
 * (install.c) */
GYRE_NODISCARD gyre_status gy_db_snapshot_list(gyre_db *db, uint64_t **ret_list,
                                               uint32_t *ret_count);

/* Give back all that an open store holds (close.c); free the handle (open.c). */
GY_SUSPENDS void gy_db_await_teardown(gyre_db *db);
void gy_db_free(gyre_db *db);

/* Register `snapshot` at `sequence` so that compaction keeps what it sees (list order kept).
 * (snapshot.c) */
void gy_snapshot_register(gyre_db *db, struct gyre_snapshot *snapshot, uint64_t sequence);
void gy_snapshot_unregister(struct gyre_snapshot *snapshot);

/* After each install: idle iterators give back their view. (iterator.c) */
void gy_iterators_view_changed(gyre_db *db);

/* Cursors of one view merged: memtables, level 0, levels; as the user's iterator wants it.
 * (view_cursor.c) */
GYRE_NODISCARD gyre_status gy_view_cursor_make(gyre_db *db, struct gy_view *view,
                                               enum gy_table_cursor_mode mode,
                                               enum gy_cache_hint hint, uint32_t readahead,
                                               struct gy_cursor **ret_cursor);

#include "engine/db/sized.h"

#endif
