/* space.h - room on disk: what the store takes, what it may still take, and who may take it.
 *
 * Two bounds, one rule. The quota bounds what the store's files take; the file system bounds what
 * is free. Of either a part is held back: what the next compaction may write beside its inputs, and
 * a little for deletes. docs/decisions/0023 says why it is a number and not a file.
 *
 *   Y1  Puts are refused before they take what is held back; deletes take up to half of it; flush
 *       asks nobody (what is in memory was answered, and gives logs back).
 *   Y2  A compaction begins when what it may write fits into what is left beside the memtables,
 *       and fails with NO_SPACE when it comes to write more (its budget). One that seems too large
 *       is tried all the same now and then within what there is: nobody knows before how much it
 *       drops.
 *   Y3  What is promised counts as taken: frozen memtables by their size, logs at their full number
 *       of slots, a manifest twice (its successor is written beside it).
 *   Y4  While puts are refused, free space is asked for every GY_SPACE_RETRY_NS, and compaction
 *       brings all that deletes have left down, whether or not a level is too large.
 *   Y5  Free space that nobody knows (asking failed) bounds nothing: the disk says so itself.
 */
#ifndef GY_SPACE_H
#define GY_SPACE_H

#include "engine/lsm/compact_pick.h"

#define GY_SPACE_RETRY_NS (200ull * 1000000ull)
/* Y2: between tries of what seems too large, at first and in the end. */
#define GY_SPACE_BOLD_NS (1000ull * 1000000ull)
#define GY_SPACE_BOLD_NS_MAX (64000ull * 1000000ull)
#define GY_SPACE_ENTRY_OVERHEAD 64u /* of an operation in a memtable, and more */
#define GY_SPACE_UNKNOWN UINT64_MAX
/* A quota has to hold this many memtables beside the logs. */
#define GY_SPACE_MEMTABLES_MIN 4u
#define GY_SPACE_MANIFEST_MIN (512u * 1024u)

struct gyre_db;

/* ---- Pure ---- */

/* Bytes, but for quota and reserve as the options give them. */
struct gy_space_use {
    uint64_t quota;       /* 0 = none */
    uint64_t reserve;     /* option disk_reserve: 0 = derived, UINT64_MAX = none */
    uint64_t free_bytes;       /* on the file system, GY_SPACE_UNKNOWN */
    uint64_t tables;      /* of the current version */
    uint64_t pending;     /* table files beside those: not yet unlinked, or not yet installed */
    uint64_t planned;     /* what a job in progress may still write */
    uint64_t frozen;      /* memtables to be flushed */
    uint64_t active;      /* the memtable in use */
    uint64_t fixed;       /* logs and manifest (Y3) */
    uint64_t job;         /* what the next compaction may write (gy_space_job_bytes) */
    uint64_t deletes;     /* held back for deletes beside that */
};

/* What the largest compaction that has to be possible may write: level 0, with the memtables
 * (`memory`) that will be there too, into the base level; or a table of a deeper level with those
 * below it. */
uint64_t gy_space_job_bytes(const struct gy_version *version,
                            const struct gy_compact_options *options, uint64_t memory);
/* The most that is written for inputs of so many bytes: outputs end elsewhere. */
uint64_t gy_space_job_estimate(uint64_t input_bytes);
/* Held back from puts on the file system. */
uint64_t gy_space_reserve(const struct gy_space_use *use);
/* How large the active memtable may become by puts, or by deletes (Y1). */
uint64_t gy_space_memtable_max(const struct gy_space_use *use, bool deletes);
/* What a compaction may write (Y2); UINT64_MAX = without limit. */
uint64_t gy_space_job_max(const struct gy_space_use *use);

/* ---- Of a store ---- */

struct gy_space {
    uint64_t free_bytes;           /* when it was last asked */
    uint64_t planned;
    uint64_t put_max;         /* gy_space_memtable_max as it was last worked out */
    uint64_t delete_max;
    bool is_full;             /* puts were refused, and there is no room for them yet */
    bool is_asking;           /* a coroutine asks for free space (Y4) */
    bool job_waits;           /* a compaction is due and does not fit */
    uint64_t job_bold_ns;     /* Y2: not before */
    uint64_t bold_wait_ns;    /* Y2: doubles with each try */
    uint64_t forced_ns;       /* Y4: the active memtable was last frozen for its deletes */
    uint64_t refused_count;
    uint64_t job_refused_count;
};

void gy_space_init(struct gyre_db *db);
void gy_space_gather(const struct gyre_db *db, struct gy_space_use *ret_use);
/* What the files take now, logs as they are. */
uint64_t gy_space_used(const struct gyre_db *db);
/* Memtables, version or free space have changed. Does not suspend. */
void gy_space_update(struct gyre_db *db);
/* Ask for free space, then update. */
GY_SUSPENDS void gy_space_await_ask(struct gyre_db *db);
/* Writes are refused: look every GY_SPACE_RETRY_NS whether there is space again (Y4). */
void gy_space_ask_later(struct gyre_db *db);
/* A write finds no space (Y1): NO_SPACE with its cause. Does not suspend. */
GYRE_NODISCARD gyre_status gy_space_refuse(struct gyre_db *db);
/* May `job` begin? OK with what it may write in *ret_budget (0 = no limit); NO_SPACE with a text:
 * later (Y2). gy_space_job_end when it has ended, or its outputs count by themselves. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_space_await_job(struct gyre_db *db,
                                                          const struct gy_compact_job *job,
                                                          uint64_t *ret_budget);
void gy_space_job_end(struct gyre_db *db);
/* Y4: nothing is due, and puts are refused: what would make room. False: nothing would. */
bool gy_space_pick(struct gyre_db *db, struct gy_compact_job *ret_job);

#endif
