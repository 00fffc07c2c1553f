/* wanted.h - where readers want compaction: ranges whose tombstones they had to pass over.
 *
 *   W1  Only tombstones that no snapshot keeps are noted, and only runs of them: a run ends where
 *       more rows than tombstones were met.
 *   W2  A range has credit: GY_WANTED_WORTH entries for each tombstone that was passed there. A job
 *       is done for it when the credit pays for all entries of the job, and then it is spent. So
 *       work for ranges stays in proportion to what readers lost there, and ends when nobody reads.
 *   W3  It is done when nothing else is due (compactor.c). Tables of the bottom are rewritten in
 *       place once for each time a range was noted.
 *   W4  Where many lie in the active memtable it is frozen, so that they get to tables: once
 *       readers have passed as many as it has entries, times as much as it is emptier than a full
 *       one.
 * Few ranges, in fixed memory; what overlaps becomes one; where there are too many the one with
 * the least credit is forgotten: readers will note it again.
 */
#ifndef GY_WANTED_H
#define GY_WANTED_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/lsm/compact_pick.h"
#include "gyre/db.h"

#define GY_WANTED_RANGES 8u
#define GY_WANTED_KEY_MAX 128u      /* longer keys are cut: a range need not be exact */
#define GY_WANTED_TOMBSTONES 128u   /* a shorter run is not worth a note */
#define GY_WANTED_WORTH 16u

struct gy_wanted_key {
    uint32_t size;
    uint8_t data[GY_WANTED_KEY_MAX];
};

struct gy_wanted_range {
    uint64_t credit;            /* 0: the place is free */
    uint64_t sequence;          /* of the newest tombstone */
    uint64_t number_limit;      /* W3: tables from here on were made since it was noted */
    uint64_t active_count;      /* W4: passed in the active memtable ... */
    uint64_t active_first;      /* ... that begins with this sequence */
    struct gy_wanted_key from;
    struct gy_wanted_key to;    /* inclusive */
};

struct gy_wanted {
    struct gy_wanted_range ranges[GY_WANTED_RANGES];
    uint32_t count;             /* in use */
};

/* W1: what one walk passes. Zeroed: none yet. */
struct gy_wanted_run {
    uint64_t count;
    uint64_t active_count;      /* of them in the active memtable */
    uint64_t shown;             /* rows since the first of them */
    uint64_t sequence;          /* of the newest */
    struct gy_wanted_key first;
    struct gy_wanted_key last;
};

/* A tombstone was passed. */
void gy_wanted_run_add(gyre_db *db, struct gy_wanted_run *run, struct gyre_slice key,
                       uint64_t sequence);
/* A row was met. */
void gy_wanted_run_show(gyre_db *db, struct gy_wanted_run *run);
/* Note it if it has `count_min` tombstones; then a new one begins. Never suspends. */
void gy_wanted_run_end(gyre_db *db, struct gy_wanted_run *run, uint64_t count_min);

/* A job for a range, if one is there that can be paid for (W2), and its range; else NULL. */
struct gy_wanted_range *gy_wanted_pick(gyre_db *db, struct gy_compact_job *ret_job);
/* The job will be done. */
void gy_wanted_pay(gyre_db *db, struct gy_wanted_range *range, const struct gy_compact_job *job);

#endif
