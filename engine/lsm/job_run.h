/* job_run.h - what flush.c and compact_run.c share: entries in order, filtered, into tables.
 * Private to engine/lsm.
 *
 * The versions of one user key fall into stripes: stripe i is what snapshot i sees and snapshot
 * i - 1 does not, the last one is what only "now" sees:
 *
 *     sequence   0 ......... s[0] ......... s[1] ......... now
 *                  stripe 0        stripe 1       stripe 2
 *
 * Of the versions in one stripe only the newest can be seen by anybody (J1). A tombstone of
 * stripe 0 hides what is older from everybody; where nothing older is left outside the job it
 * may go, since all that it hides in the job goes too (J2). A value of stripe 0 with nothing
 * older outside is the last of its key: its sequence says nothing more (J4).
 */
#ifndef GY_JOB_RUN_H
#define GY_JOB_RUN_H

#include "engine/lsm/job.h"
#include "engine/disk/table_writer.h"

/* ---- What lies around the job, at a key that only ascends (job_levels.c). Pure. ---- */

struct gy_job_levels {
    const struct gy_version *version;  /* NULL: a flush, which knows of nothing below */
    uint32_t level;                    /* of the job's inputs */
    uint32_t level_output;
    uint32_t job_first[GY_LEVEL_COUNT]; /* tables of the job, by level: [first, end) */
    uint32_t job_end[GY_LEVEL_COUNT];
    uint32_t at[GY_LEVEL_COUNT];        /* first table that ends at the key or behind it */
    bool output_is_last;                /* no level below the output has data */
    uint32_t below_at;                  /* J8: the same in the level below the output */
    uint64_t below_bytes;               /* of tables there that the present output lies across */
};

/* `job` NULL: a flush. */
void gy_job_levels_init(struct gy_job_levels *levels, const struct gy_version *version,
                        const struct gy_compact_job *job);
/* No entry of `key` that is older than the job's can be outside of it. */
bool gy_job_levels_is_alone(struct gy_job_levels *levels, struct gyre_slice key);
/* A new user key comes to an output that has `size` bytes: should it end before that key (J8)?
 * Whoever ends an output sets below_bytes to 0. */
bool gy_job_levels_ends_output(struct gy_job_levels *levels, struct gyre_slice key, bool has_output,
                               uint64_t size, uint64_t table_size);

/* ---- The run (job.c) ---- */

/* Owns: the writer, the copy of the last key. Borrows: all else, until gy_job_run_await_close. */
struct gy_job_run {
    const struct gy_job_context *context;
    const uint64_t *snapshots;
    uint32_t snapshot_count;
    struct gy_job_result *result;
    struct gy_job_levels levels;
    enum gy_io_class klass;
    uint64_t output_size_max;
    uint64_t size_expected;      /* of all outputs */
    uint64_t entries_expected;   /* J6 */
    uint64_t hash_expected;      /* J6: sum of gy_entry_hash over them */
    struct gy_table_writer *writer; /* NULL: no output has begun */
    uint8_t *key;                /* GY_KEY_SIZE_MAX bytes: the user key of the last entry */
    uint32_t key_size;
    bool has_key;
    uint32_t stripe;             /* of the last entry */
    bool is_alone_known;         /* is_alone holds for the last key */
    bool is_alone;
    uint64_t hash_in;            /* of the entries so far */
    uint64_t unpaid_bytes;       /* worked on, not yet spent at the pacer */
};

/* The fields from `context` to `hash_expected` are set, the rest zero. Runs the cursor from
 * its first entry to its end and closes neither. On failure the outputs are removed (J5). */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_job_await_run(struct gy_job_run *run,
                                                        struct gy_cursor *cursor);

#endif
