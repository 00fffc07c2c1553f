/* walk.h - an ordered walk over a store at one moment: versions folded, tombstones passed over,
 * bounds kept. What iterators (iterator.c) and scans (scan.c) have in common.
 *
 *   K1  Forward, the cursor rests on the current entry; backward, it rests before all versions of
 *       the current key, and key and value are copies (the newest visible version is the last one
 *       met on the way back).
 *   K2  Limits are looked at between two keys only, and not before one key has been decided: so a
 *       walk that is begun again where one was stopped always comes further.
 *   K3  Of one key at most 2 * GY_VERSIONS_BEFORE_LEAP versions are passed one by one; then a seek
 *       leaps to the one that counts, or over the rest. So K2 does not make a step long.
 *   K4  Tombstones that compaction could take are noted (wanted.h) when a walk passed many of them.
 *   K5  A move that passes over much goes on in the view of now when that has changed, so that it
 *       keeps no memtable that was flushed and no table that was compacted. So who owns a walk has
 *       its sequence registered as a snapshot for as long as it moves.
 */
#ifndef GY_WALK_H
#define GY_WALK_H

#include "engine/db/db.h"

#define GY_VERSIONS_BEFORE_LEAP 16u

struct gy_bytes {
    uint8_t *data;             /* heap, GY_MEM_CALL */
    size_t size;
    size_t capacity;
};

enum gy_walk_spent { GY_WALK_GOES_ON, GY_WALK_SKIPS_SPENT, GY_WALK_TIME_SPENT };

/* Owns: bytes, cursor, a reference on the view. Borrows: the store. */
struct gy_walk {
    gyre_db *db;
    uint64_t sequence;         /* the moment; the owner sees to it that compaction keeps it */
    enum gy_cache_hint hint;
    uint32_t readahead;
    bool has_lower, has_upper;
    struct gy_bytes lower, upper;
    struct gy_view *view;      /* NULL: no cursor */
    uint64_t view_epoch;
    struct gy_cursor *cursor;
    bool valid;
    bool backward;             /* K1 */
    bool has_key;              /* `key` is one that was met: K2 may stop at another one */
    bool is_decided;           /* forward: what there is to see of `key` has been seen */
    /* the current key, copied before the cursor leaves it, or always when backward */
    struct gy_bytes key;
    struct gy_bytes value;
    struct gyre_slice key_now; /* what the user sees */
    struct gyre_slice value_now;
    /* limits (K2) */
    uint64_t skips_max;        /* UINT64_MAX: none */
    uint64_t end_ns;           /* GY_NEVER: none */
    uint64_t skipped;          /* entries passed over: tombstones, versions that are not seen */
    uint32_t work;             /* since the clock was looked at */
    enum gy_walk_spent spent;  /* why the last move returned AGAIN */
    struct gy_wanted_run run;  /* K4 */
};

/* Without bounds and limits. Nothing is held yet. */
void gy_walk_init(struct gy_walk *walk, gyre_db *db, uint64_t sequence, uint32_t read_flags,
                  uint32_t readahead);
/* Slices without data are no bounds; copied. The prefix narrows both. */
GYRE_NODISCARD gyre_status gy_walk_set_bounds(struct gy_walk *walk, struct gyre_slice lower,
                                              struct gyre_slice upper, struct gyre_slice prefix);
void gy_walk_fini(struct gy_walk *walk);

/* A cursor on the view of now; *ret_fresh: it is not where the walk is. */
GYRE_NODISCARD gyre_status gy_walk_attach(struct gy_walk *walk, bool *ret_fresh);
/* Give cursor and view back, keeping the place. Without memory for it all stays as it is. */
void gy_walk_detach(struct gy_walk *walk);
/* The same without keeping the place. */
void gy_walk_drop_cursor(struct gy_walk *walk);

static inline struct gyre_slice
gy_bytes_slice(const struct gy_bytes *bytes)
{
    return gyre_slice(bytes->data, bytes->size);
}

/* Bytes of a row that was given, as work towards the next look at the clock. */
#define GY_WALK_BYTES_PER_WORK 512u

/* ---- Moves: the walk is attached ----
 * OK: valid, key_now and value_now are set. NOT_FOUND: past an end. AGAIN: a limit is reached;
 * forward, all before the cursor's key has been decided, backward all from `key` on. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_walk_await_first(struct gy_walk *walk);
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_walk_await_last(struct gy_walk *walk);
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_walk_await_seek(struct gy_walk *walk,
                                                          struct gyre_slice key);
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_walk_await_seek_for_prev(struct gy_walk *walk,
                                                                   struct gyre_slice key);
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_walk_await_next(struct gy_walk *walk, bool fresh);
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_walk_await_prev(struct gy_walk *walk, bool fresh);

#endif
