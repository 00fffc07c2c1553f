/* background.h - flush, compaction and removal beside the calls; see background.c and
 * compactor.c. */
#ifndef GY_BACKGROUND_H
#define GY_BACKGROUND_H

#include "engine/db/db.h"

#define GY_BACKGROUND_RETRY_NS (200ull * 1000000ull) /* after a failed job */

/* Manifest entries for the outputs of a job, and gy_tables for the version. */
struct gy_outputs {
    struct gy_edit *edits;
    struct gy_table **tables;
    uint32_t count;
};

/* `extra` more edits fit behind those of the tables. (install.c) */
GYRE_NODISCARD gyre_status gy_outputs_make(gyre_db *db, const struct gy_job_result *result,
                                           uint32_t extra, struct gy_outputs *ret_outputs);
void gy_outputs_fini(gyre_db *db, struct gy_outputs *outputs);
/* A paranoid store reads every new table back before it is installed: what the device has is what
 * was meant. (install.c) */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_outputs_await_check(gyre_db *db,
                                                              const struct gy_outputs *outputs);
/* Numbers and sequences used up so far. (install.c) */
void gy_edit_counters(gyre_db *db, struct gy_edit *edit);

/* A job ended with `status`: remember and log a failure, wake who waits. (background.c) */
void gy_background_note(gyre_db *db, gyre_status status, const char *what);
/* Not while the store stops, nor after a failed manifest write. (background.c) */
bool gy_background_may_work(const gyre_db *db);
void gy_compactor_main(void *arg);

/* BUSY while background work is paused: for who would wait for it. (pause.c) */
GYRE_NODISCARD gyre_status gy_pause_refusal(gyre_db *db);
/* The store closes: nothing is paused any more. (pause.c) */
void gy_pause_end(gyre_db *db);

/* Fill the context of a job. (background.c) */
void gy_db_job_context(gyre_db *db, struct gy_job_context *ret_context);
/* Run one job that was picked and install its result; tables of the job are marked being_compacted
 * meanwhile. (background.c) */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_db_await_compact(gyre_db *db, struct gy_version *version,
                                                           struct gy_compact_job *job);
/* Flush until nothing at or below `sequence` is left in a memtable; sticky background errors end
 * it. (background.c) */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_db_await_flushed(gyre_db *db, uint64_t sequence);

/* Freeze the active memtable and flush everything frozen, in the calling coroutine: recovery,
 * before the background runs. (background.c) */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_db_await_flush_active(gyre_db *db);

/* Start flusher, compactor, remover and log watcher; end them and wait until they have.
 * (background.c) */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_background_await_start(gyre_db *db);
GY_SUSPENDS void gy_background_await_stop(gyre_db *db);

#endif
