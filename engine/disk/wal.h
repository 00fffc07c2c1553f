/* wal.h - the log: the only durable copy of commits that no table holds yet.
 *
 * Commits are copied into the open group. Groups are closed, sealed as one frame (codec/frame.h)
 * and written in order by one coroutine, up to GY_WAL_IN_FLIGHT_MAX at a time at growing offsets.
 * Everybody who arrives while writes are in flight shares the next group: that is the group commit.
 *
 * Group buffers lie in staging memory that outlives the process (world stage), where there is any:
 * then a BUFFERED commit is safe from the death of the process as soon as it is copied. stage.h
 * says how it is laid out.
 *
 *   W1  A DURABLE commit is answered after its frame and every frame before it are durable: DSYNC
 *       write if nothing unsynced precedes it in its log, else a plain write, then fdatasync
 *       submitted after all earlier frames have completed. The log's name was durable before its
 *       first frame.
 *   W2  A BUFFERED commit is answered when it is staged (with staging) or written (without) and
 *       everything before it is answered: answers go out in log order, also across classes. It is
 *       durable wal_linger_ms later, or when wal_buffer_size bytes are not.
 *   W3  A block that was written is never written again while its log is needed. A log that is full
 *       is made durable as a whole before the first frame of the next is submitted, so only the
 *       last log can have a torn tail.
 *   W4  A log is named in the manifest (ADD_LOG) before its first commit frame is submitted;
 *       recovery replays exactly the logs that the manifest names.
 *   W5  After any failed or short write or sync, of a slot being made too (but for a full disk),
 *       the log is poisoned: everybody unanswered gets IO
 *       (outcome unknown), later appends READ_ONLY, nothing is retried, sequences are not used
 *       again.
 *   W6  Log slots are zero-filled and synced (file and directory) before they are used, keep their
 *       names and are reused; a slot is free once the manifest says that its log is not needed
 *       (gy_wal_release).
 *   W7  Between gy_wal_await_reserve and gy_wal_append the caller does not suspend: log order is
 *       memtable order.
 *   W8  On a full disk commits that are staged wait for the next log, and nobody's answer changes:
 *       DURABLE ones wait with them (a deadline ends that). Who comes meanwhile, and
 *       gy_wal_await_sync, is told NO_SPACE.
 */
#ifndef GY_WAL_H
#define GY_WAL_H

#include "engine/codec/batch.h"
#include "engine/codec/frame.h"
#include "engine/disk/log_mark.h"
#include "engine/disk/manifest.h"
#include "engine/disk/stage.h"
#include "io/arena.h"

#define GY_WAL_IN_FLIGHT_MAX 4u
#define GY_WAL_GROUP_COUNT_MAX 64u
#define GY_WAL_STALLS_MAX 8u
#define GY_WAL_SWITCH_RETRY_NS (100ull * 1000000ull) /* a full disk: try to switch logs again */
/* with writes in flight a synced group waits for this size */
#define GY_WAL_GROUP_EAGER_SIZE (16u * 1024u)
#define GY_WAL_GROUP_EAGER_NS (50ull * 1000u)  /* ... or this age */

enum gy_wal_class { GY_WAL_DURABLE, GY_WAL_BUFFERED };

enum gy_group_state {
    GY_GROUP_OPEN,     /* commits are being added */
    GY_GROUP_CLOSED,   /* waits for the writer */
    GY_GROUP_WRITING,
    GY_GROUP_WRITTEN   /* it waits for those before it, or for a sync */
};

struct gy_wal_group {
    enum gy_group_state state;
    uint32_t index;          /* of its buffer */
    uint8_t *buffer;         /* header and payload */
    uint32_t used;           /* payload bytes */
    uint32_t record_count;
    uint8_t flags;           /* GY_FRAME_PART and so on */
    bool sync_wanted;        /* holds a DURABLE commit */
    bool dsync;              /* was written with DSYNC */
    uint64_t sequence_first;
    uint64_t sequence_last;  /* sequence_first - 1 while it ends no commit */
    uint64_t opened_ns;
    uint64_t offset;         /* in its log, once sealed */
    uint32_t span;
    uint32_t written;        /* bytes of span, when a transfer came back short */
    uint32_t stalls;         /* transfers in a row that did not get a whole page further */
    uint64_t part_offset;    /* of a part in its commit */
    /* first part of a large commit: what all its frames take, so that no commit is split over two
     * logs */
    uint64_t whole_span;
    struct gy_req req;
    struct gy_waitq waiters; /* commits of this group that are not answered */
};

/* A log that may still be needed. */
struct gy_wal_log {
    uint64_t number;
    uint32_t slot;
    uint64_t sequence_first; /* of its first commit */
};

struct gy_wal_config {
    struct gy_loop *loop;
    const struct gy_file *dir;
    struct gy_manifest *manifest;
    uint64_t store_id;
    uint64_t *next_file_number;
    uint64_t slot_size;
    uint32_t slot_count_max;
    uint32_t buffer_size;    /* staging */
    uint64_t linger_ns;
};

struct gy_wal_stats {
    uint64_t groups, bytes_written, syncs, switches, group_records_max;
};

struct gy_wal {
    struct gy_wal_config config;
    struct gy_stage_area stage;
    bool has_stage;          /* group buffers outlive the process */
    /* ring in log order: [head, tail) are in use */
    struct gy_wal_group groups[GY_WAL_GROUP_COUNT_MAX];
    uint64_t group_head;
    uint64_t group_tail;     /* the group at tail - 1 may be OPEN; all before it are not */
    uint64_t group_submit;   /* first one that is not WRITING or WRITTEN */
    uint64_t free_buffers;   /* bit i: buffer i of the stage area is free */
    uint32_t group_payload_max;
    uint32_t in_flight;      /* frame writes */
    uint64_t pending_bytes;  /* of groups that have no place in a log yet */

    struct gy_file slots[GY_WAL_SLOT_MAX];
    bool slot_exists[GY_WAL_SLOT_MAX];
    bool slot_ready[GY_WAL_SLOT_MAX]; /* zero-filled, synced, open, no log in it */
    bool slot_taken[GY_WAL_SLOT_MAX]; /* a log is being started in it: not ready, not yet live */
    /* ascending; the last is the current one once started */
    struct gy_wal_log logs[GY_WAL_SLOT_MAX];
    uint32_t log_count;
    bool started;            /* there is a current log */

    uint64_t offset;         /* of the next frame in the current log */
    uint64_t written_offset; /* every frame below it has been written */
    uint64_t durable_offset; /* ... is durable */
    uint64_t plain_end;      /* end of the last frame written without DSYNC */
    uint64_t sequence_next;  /* of the next commit */
    uint64_t written_sequence; /* last commit below written_offset */
    uint64_t durable_sequence;
    /* everything at or below it is answered, or may be: the published sequence */
    uint64_t answered;
    uint64_t sync_target;    /* make everything up to here durable without delay */
    uint64_t unsynced_since_ns; /* age of the oldest commit that is not durable; 0 = none */

    struct gy_req sync_req;
    bool sync_in_flight;
    uint64_t sync_offset, sync_sequence; /* what it will have made durable */
    uint64_t sync_started_ns;

    bool large;              /* a commit is being cut into parts: others wait */
    bool refusing;                    /* no new commits: the store is closing */
    bool closing;                     /* and nobody waits for an answer any more */
    bool room_wanted;        /* slots run short: the owner should flush the oldest memtable */
    gyre_status poison;
    struct gyre_error poison_error;
    gyre_status slot_status; /* why no slot could be made (a full disk), OK otherwise */
    struct gyre_error slot_error;
    bool is_stuck;           /* staged commits wait for a log that cannot be started: slot_status */
    gyre_status release_status; /* why no log is given back (a flush failed), OK otherwise */
    struct gyre_error release_error;
    struct gy_co *writer;    /* NULL: not running */
    bool slot_maker_busy;
    struct gy_waitq space;   /* waiting for a group buffer, or for the end of a large commit */
    struct gy_waitq events;  /* answered moved, room_wanted set, poisoned: the owner looks */
    struct gy_waitq synced;  /* durable_sequence moved, poisoned, writer or slot maker ended */
    struct gy_wal_stats stats;
};

/* Take over what recovery found: logs still needed (their slots hold them), the next sequence.
 * Starts no log yet. */
GYRE_NODISCARD gyre_status gy_wal_init(struct gy_wal *wal, const struct gy_wal_config *config,
                                       const struct gy_wal_log *logs, uint32_t log_count,
                                       const bool *slot_exists, uint64_t sequence_next);

/* Make staging memory and start a new log whose first frame names the exact end of the previous
 * one; append the `staged` groups to it and make them durable; then record log and stage in the
 * manifest. Starts the writer. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_wal_await_start(struct gy_wal *wal, uint64_t previous_end,
                                                          const struct gy_wal_staged *staged,
                                                          uint32_t staged_count);

/* Staging memory: *ret_id is what the manifest should record (zeros: none). */
void gy_wal_stage_id(const struct gy_wal *wal, uint64_t ret_id[2], uint64_t ret_boot_id[2]);

/* First log that holds a commit with a sequence above `flushed`; what FLUSHED.log_min says. */
uint64_t gy_wal_log_min(const struct gy_wal *wal, uint64_t flushed);
/* The manifest says that logs below `log_min` are not needed (durably): their slots are free. */
void gy_wal_release(struct gy_wal *wal, uint64_t log_min);
/* Could the oldest memtable be flushed, so that its log is given back? If not, who waits for log
 * space is told why (the coroutine's error). */
void gy_wal_note_release(struct gy_wal *wal, gyre_status status);
/* Have a slot ready ahead; on a full disk: look whether one can be made now. Does not suspend. */
void gy_wal_want_slot(struct gy_wal *wal);

/* Refuse everything from here on (W5): the coroutine's error says why. */
void gy_wal_poison(struct gy_wal *wal, gyre_status status);

uint64_t gy_wal_live_bytes(const struct gy_wal *wal);

/* Drain, sync, write the end record (unless poisoned), stop the coroutines, close the files, drop
 * the stage. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_wal_await_close(struct gy_wal *wal);

#endif
