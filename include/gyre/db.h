/* gyre/db.h - a store: open, write, read, snapshots, maintenance.
 *
 * Keys are ordered bytewise (memcmp, then the shorter first). Everything here may suspend the
 * calling coroutine unless it says otherwise; outside a coroutine it drives the loop until it is
 * done. Slices given to a call are borrowed until it returns. An output is written only on GYRE_OK.
 *
 * Errors that any call on a store may return besides those it lists:
 *   MISUSE     wrong thread, forked child, inside a callback
 *   CLOSED     gyre_close has been called
 *   NO_MEMORY  memory_limit is reached or the machine has none; nothing was changed
 *   IO         the device failed; gyre_last_error has the errno, file and offset
 *   CORRUPT    bytes on disk are not what was written; the text names file and offset
 */
#ifndef GYRE_DB_H
#define GYRE_DB_H

#include "gyre/batch.h"
#include "gyre/loop.h"
#include "gyre/options.h"

GYRE_EXTERN_C_BEGIN

typedef struct gyre_db gyre_db;

/* ---- Open and close ---- */

/* Open the store in directory `path`; recover what a crash left.
 *
 *   path     the caller's own: it may lead through symbolic links. What lies in the directory is
 *            not trusted: files are opened beneath it, never through links, and have to be regular;
 *            logs, manifest, CURRENT and LOCK may have no second name
 *   options  NULL = defaults; GYRE_OPEN_CREATE makes a store that is not there
 *
 * Cost:    reads the manifest and replays the logs (about a million records a second); tables are
 *          opened when first used.
 * Returns: NOT_FOUND    no store there and no GYRE_OPEN_CREATE
 *          INVALID      an option is out of range, or the directory holds files that are no store's
 *          BUSY         open elsewhere, in this process or another. The lock is a flock of the LOCK
 *                       file: programs that are run do not inherit it, a forked child holds it too
 *                       as long as it lives
 *          CORRUPT      damage that a crash cannot explain; see gyre_salvage
 *          UNSUPPORTED  written by a newer Gyre or with a feature that this one does not know
 *          NO_SPACE     no room to make a new store. One that is there opens on a full disk: reads
 *                       work, and writes answer NO_SPACE until there is space
 * Source:  engine/db/open.c, engine/db/recover.c */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status gyre_open(gyre_loop *loop, const char *path,
                                                            const struct gyre_options *options,
                                                            gyre_db **ret_db);

/* Finish what is in flight, make every commit durable, stop background work, close. The memtable is
 * left to the log, so closing is quick. BUSY while values, iterators or snapshots are held or calls
 * of other coroutines are running: the text counts them and the store stays open; close again when
 * the last was released. Submitted ops are answered CLOSED, their callbacks come from the next
 * gyre_loop_poll. Any other error: the store is closed all the same and says what could not be made
 * durable. NULL is fine.
 * Source: engine/db/close.c */
GYRE_SUSPENDS GYRE_API gyre_status gyre_close(gyre_db *db);

GYRE_API gyre_loop *gyre_db_loop(gyre_db *db);

/* ---- Write ---- */

/* Set or remove one key; apply a batch whole. Removing a key that is not there is GYRE_OK.
 *
 *   options  NULL = the store's durability
 *   key      1..GYRE_KEY_SIZE_MAX bytes
 *   value    0..GYRE_VALUE_SIZE_MAX bytes
 *
 * Cost:    DURABLE: one device write, shared by all writers that arrive meanwhile. BUFFERED: a
 *          memcpy. May wait when compaction is behind: writers slow down smoothly, they are not
 *          stopped.
 * Returns: INVALID      a size is out of its limit
 *          READ_ONLY    opened read-only, or an earlier log write failed: reopen the store
 *          NO_SPACE     the disk is full, or disk_quota or disk_reserve is reached (the cause is
 *                       GYRE_WAIT_DISK then: deletes are taken still). Nothing was done; works
 *                       again by itself when there is space
 *          AGAIN        background work is paused and there is no room left (gyre/health.h)
 *          IO           the log could not be written: it is unknown whether this write will be
 *                       there after reopening (wholly or not at all); the store refuses writes
 *                       until then. Or nothing was done, and it works again by itself: all
 *                       memtables are full and flushing one failed (the error names a table,
 *                       *.sst), or a file cannot be opened (os_errno is EMFILE or ENFILE)
 * Source:  engine/db/write.c */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status
gyre_put(gyre_db *db, const struct gyre_write_options *options, struct gyre_slice key,
         struct gyre_slice value);
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status
gyre_delete(gyre_db *db, const struct gyre_write_options *options, struct gyre_slice key);
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status
gyre_write(gyre_db *db, const struct gyre_write_options *options, const gyre_batch *batch);

/* About how many bytes of keys and values can be written now without waiting; 0 while writes are
 * refused or wait. Does not suspend.
 * Source: engine/db/room.c */
GYRE_API uint64_t gyre_credits(gyre_db *db);

/* Wait until a write of `bytes` would not have to wait for room (nothing is reserved: others may
 * take it). After an AGAIN; GYRE_OP_ROOM is its completion form. It does not wait for what may
 * never come: stay away for retry_ns of the error then.
 *
 * Returns: NO_SPACE     disk, disk_quota or disk_reserve; at once
 *          AGAIN        background work is paused; at once
 *          NO_MEMORY    never possible under this memory_limit
 *          READ_ONLY, CLOSED, IO   as for writes
 * Source: engine/db/room.c */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status gyre_wait_room(gyre_db *db, uint64_t bytes);

/* Make every commit that was answered so far durable.
 *
 * Returns: NO_SPACE   the log cannot go on, for the disk is full: what is staged stays so (it
 *                     survives the process, not a power cut) and becomes durable by itself when
 *                     there is space. DURABLE writes that were taken before wait for that, but for
 *                     a deadline
 *          READ_ONLY, IO   as for writes
 * Source:  engine/db/write.c, engine/disk/wal.c */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status gyre_sync(gyre_db *db);

/* ---- Read ---- */

/* A value that pins what it points into (a cache block, or a copy of its own). Caller-owned, no
 * allocation. Give it back with gyre_value_release, before gyre_close; releasing twice or releasing
 * a zeroed one is harmless. */
struct gyre_value {
    const void *data;
    size_t size;
    void *private_[4];
};

/* The newest value of `key` that `options` can see.
 *
 * Cost:    no read if in memory or cached; else on average little more than one block read.
 * Returns: NOT_FOUND (an outcome, no text), INVALID.
 * Source:  engine/db/read.c */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status
gyre_get(gyre_db *db, const struct gyre_read_options *options, struct gyre_slice key,
         struct gyre_value *ret_value);
GYRE_API void gyre_value_release(struct gyre_value *value);

/* The same into the caller's memory: up to `capacity` bytes are copied (none when `buffer` is
 * NULL), *ret_size is the whole size (which may be more). */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status
gyre_get_copy(gyre_db *db, const struct gyre_read_options *options, struct gyre_slice key,
              void *buffer, size_t capacity, size_t *ret_size);

/* Look up `count` keys at one moment, all block reads of a step in flight together. statuses[i] is
 * OK, NOT_FOUND, INVALID, CORRUPT or IO; values[i] is to be released where it is OK (and zeroed
 * elsewhere). Returns OK when every key was looked up, whatever its outcome; else what kept it from
 * that, with all values released. At most GYRE_MULTI_GET_MAX keys; in any order, duplicates
 * allowed.
 * Source: engine/db/multi_get.c */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status
gyre_multi_get(gyre_db *db, const struct gyre_read_options *options, size_t count,
               const struct gyre_slice *keys, struct gyre_value *values, gyre_status *statuses);

/* A moment to read at. Does not suspend. Held snapshots keep old versions of keys from being
 * compacted away: release them. */
GYRE_API GYRE_NODISCARD gyre_status gyre_snapshot_open(gyre_db *db, gyre_snapshot **ret_snapshot);
GYRE_API void gyre_snapshot_release(gyre_snapshot *snapshot); /* NULL is fine */

/* ---- Maintenance ---- */

/* Write the memtable to level 0 and make it durable. */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status gyre_flush(gyre_db *db);

/* Called now and then during long work; return false to stop it (the call then returns CANCELED,
 * everything done so far stays). Must not call the library. */
typedef bool (*gyre_progress_fn)(void *arg, uint64_t done, uint64_t total);

/* Flush, then compact everything between `from` and `to` (data == NULL: from the first, to the last
 * key, both inclusive) down to the last level, dropping what is deleted or overwritten. `progress`
 * may be NULL; it counts bytes.
 * Source: engine/db/maintain.c */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status
gyre_compact_range(gyre_db *db, struct gyre_slice from, struct gyre_slice to,
                   gyre_progress_fn progress, void *progress_arg);

/* Wait until no flush or compaction is running or due. */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status gyre_wait_idle(gyre_db *db);

/* A second, independent store at `path` (must not exist) with the same content: the memtable is
 * flushed, tables are hard links, logs are never linked. Same file system only (INVALID else).
 * Source: engine/db/checkpoint.c */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status gyre_checkpoint(gyre_db *db, const char *path);

/* About how many bytes of tables lie between `from` (inclusive) and `to` (exclusive); NULL data =
 * ends. Reads index blocks at the two ends only. */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status
gyre_approximate_size(gyre_db *db, struct gyre_slice from, struct gyre_slice to,
                      uint64_t *ret_bytes);

/* Called for every damaged place that verify or salvage meets. `file` is a name inside the store.
 * Must not call the library. */
typedef void (*gyre_damage_fn)(void *arg, const struct gyre_error *damage);

struct gyre_verify_result {
    uint64_t table_count;
    uint64_t block_count;
    uint64_t entry_count;
    uint64_t byte_count;
    uint64_t damage_count;
};

/* Read and check every block of every table, key order within and across tables, filters against
 * keys, the counts in the footers. OK when all is well, else CORRUPT (after going through
 * everything; *ret_result is filled in both cases). `damage`, `progress` and `ret_result` may be
 * NULL.
 * Source: engine/db/verify.c */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status
gyre_verify(gyre_db *db, gyre_damage_fn damage, gyre_progress_fn progress, void *arg,
            struct gyre_verify_result *ret_result);

struct gyre_salvage_result {
    uint64_t table_count;       /* tables read in part or whole */
    uint64_t entry_count;       /* entries found */
    uint64_t key_count;         /* keys written to the new store */
    uint64_t damage_count;      /* places that could not be read */
    uint64_t log_record_count;  /* operations taken from logs */
};

/* Copy everything that can still be read of the store at `source_path` (which is not changed and
 * must not be open) into a new store at `target_path` (which must not exist). Works without a
 * manifest: it goes by the tables and logs that are there, so a key deleted shortly before the
 * damage may come back.
 * Source: engine/db/salvage.c */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status
gyre_salvage(gyre_loop *loop, const char *source_path, const char *target_path,
             const struct gyre_options *options, gyre_damage_fn damage, gyre_progress_fn progress,
             void *arg, struct gyre_salvage_result *ret_result);

/* Remove a store: its own files only, then the directory if that leaves it empty. BUSY while
 * open. */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status gyre_destroy(gyre_loop *loop, const char *path);

GYRE_EXTERN_C_END

#endif
