/* salvage.h - copying what can still be read of a store into a new one; private to salvage*.c.
 *
 *   Z1  The source is only read. The target is built beside its name and renamed at the end
 *       (new_store.h).
 *   Z2  Sources are tables, damaged ones copied block by block into temporary tables of the target,
 *       and the commits of the logs, as temporary tables too. They are merged; of each key the
 *       newest version stays, deleted keys and sequences go.
 *   Z3  Where the whole manifest can be read, and nothing shows that it has lost its end (a table
 *       of it that is gone, a log in use that it does not name), it says which tables and logs
 *       count, as for an open. Else every table and every log that is there counts: a key that was
 *       deleted may come back.
 *   Z4  Memory does not grow with the store: cursors go through the cache, and one table of each
 *       run is open at a time.
 */
#ifndef GY_SALVAGE_H
#define GY_SALVAGE_H

#include "engine/db/new_store.h"
#include "engine/disk/table_writer.h"

#define GY_SALVAGE_IDS_MAX 64u

/* What is known of a table file before it is read. */
struct gy_salvage_file {
    uint64_t number;
    uint64_t file_id;       /* of its manifest entry; 0 = none */
    bool is_there;
    int32_t live_count;     /* times that the manifest has added it less times removed */
};

struct gy_salvage {
    gyre_loop *loop;
    gyre_damage_fn damage;
    gyre_progress_fn progress;
    void *arg;
    const char *source_path;
    const char *target_path;
    struct gy_db_options options;
    struct gyre_salvage_result result;
    uint64_t done, total;    /* bytes */

    struct gy_file source;
    struct gy_file lock;
    bool has_lock_file;
    bool has_manifest;       /* Z3: it was read to its end */
    bool is_table_missing;
    uint64_t flushed_sequence;
    uint64_t log_min;
    uint64_t store_ids[GY_SALVAGE_IDS_MAX]; /* candidates for the seed of the logs' checksums */
    uint32_t store_id_count;
    struct gy_salvage_file *files;
    uint32_t file_count;
    uint32_t file_capacity;
    bool no_memory;          /* a callback had none */
    bool slots[GY_WAL_SLOT_MAX];
    uint64_t *logs;          /* numbers that the manifest names */
    uint32_t log_count;
    uint32_t log_capacity;
    uint64_t *manifests;
    uint32_t manifest_count;
    uint32_t manifest_capacity;

    struct gy_new_store target;
    uint64_t store_id;       /* of the target */
    uint64_t next_number;
    struct gy_table_set source_set;
    struct gy_table_set target_set;
    bool sets_ready;
    struct gy_table **tables; /* readable to their end: of the source, or temporary ones */
    uint32_t table_count;
    uint32_t table_capacity;
    uint64_t *temporary;      /* numbers in the target that go in the end */
    uint32_t temporary_count;
    uint32_t temporary_capacity;
    struct gy_table **outputs;
    uint32_t output_count;
    uint32_t output_capacity;
    gyre_status status;
};

/* Report the coroutine's error, or `error`. (salvage.c) */
void gy_salvage_damage(struct gy_salvage *s);
void gy_salvage_damage_error(void *arg, const struct gyre_error *error);
/* Add to the work that is done; CANCELED. (salvage.c) */
GYRE_NODISCARD gyre_status gy_salvage_progress(struct gy_salvage *s, uint64_t bytes);
gyre_status gy_salvage_no_memory(struct gy_salvage *s);
/* Append; false: no memory. (salvage.c) */
bool gy_salvage_push_number(struct gy_salvage *s, uint64_t **array, uint32_t *count,
                            uint32_t *capacity, uint64_t number);
bool gy_salvage_push_table(struct gy_salvage *s, struct gy_table ***array, uint32_t *count,
                           uint32_t *capacity, struct gy_table *table);
/* A writer of a table in the target, number taken. (salvage.c) */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_salvage_await_writer(struct gy_salvage *s, uint32_t level,
                                                               bool temporary,
                                                               uint64_t size_expected,
                                                               struct gy_table_writer **ret_writer);
/* Finish it and append its table to an array. (salvage.c) */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_salvage_await_finish(struct gy_salvage *s,
                                                               struct gy_table_writer *writer,
                                                               struct gy_table ***array,
                                                               uint32_t *count, uint32_t *capacity);

/* List, lock, read the manifest. (salvage_source.c) */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_salvage_await_look(struct gy_salvage *s);
/* All tables into s->tables. (salvage_source.c) */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_salvage_await_tables(struct gy_salvage *s);
/* All logs into temporary tables, into s->tables. (salvage_logs.c) */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_salvage_await_logs(struct gy_salvage *s);
void gy_salvage_add_store_id(struct gy_salvage *s, uint64_t store_id);

#endif
