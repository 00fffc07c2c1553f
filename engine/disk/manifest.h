/* manifest.h - the record of what the store consists of: frames of edits after a full snapshot.
 *
 * A manifest file is zero-filled to its capacity before use; each append is one frame, written with
 * DSYNC before the next one is built. CURRENT names the manifest that counts and how far it was
 * durable when it was named.
 *
 *   N1  An append that returned OK is durable.
 *   N2  After a failed append the manifest is poisoned: each later append returns READ_ONLY until
 *       the store is reopened, since nobody knows whether the edit is there. Nothing that the edit
 *       would have made garbage is removed.
 *   N3  When the file is full (or half full, best effort) a new one is written: snapshot, sync,
 *       CURRENT.tmp, sync, rename, directory sync; only then is the old one removed. A failure
 *       before the rename leaves the old one in force, unharmed (so a full disk does not poison).
 *   N4  Reading stops at the first place where no frame starts. That is the end, unless something
 *       later proves otherwise: a valid frame behind it, or CURRENT or a log mark that says the
 *       manifest was durable further: CORRUPT.
 *   N5  Every writable open starts a new manifest. On a full disk it goes on with the one that was
 *       read: made durable first, what was torn behind its end is overwritten, and was never
 *       acknowledged.
 * Knows nothing of versions and logs: the owner gives the snapshot as edits.
 */
#ifndef GY_MANIFEST_H
#define GY_MANIFEST_H

#include "engine/codec/edit.h"
#include "engine/codec/frame.h"
#include "io/file.h"

/* Appends all edits of the present state to the writer (which may be measuring). Never suspends. */
typedef void (*gy_manifest_snapshot_fn)(void *arg, struct gy_writer *writer);

struct gy_manifest {
    struct gy_loop *loop;
    const struct gy_file *dir;
    uint64_t store_id;
    uint64_t number;
    struct gy_file file;
    uint64_t end;              /* offset of the next frame */
    uint64_t capacity;         /* zero-filled bytes */
    gyre_status poison;        /* OK, or what poisoned it */
    gy_manifest_snapshot_fn snapshot;
    void *snapshot_arg;
    uint64_t *next_file_number;
    struct gy_mutex mutex;
    uint64_t bytes_written;
};

void gy_manifest_init(struct gy_manifest *manifest, struct gy_loop *loop, const struct gy_file *dir,
                      uint64_t store_id, uint64_t *next_file_number,
                      gy_manifest_snapshot_fn snapshot, void *snapshot_arg);

/* Write a new manifest with the snapshot and make it the current one (N3). Also the first one of a
 * new store. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_manifest_await_rotate(struct gy_manifest *manifest);

/* Go on with the manifest that was read up to `end` (N5). NO_SPACE when it has no room left
 * either. */
struct gy_manifest_end;
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_manifest_await_adopt(struct gy_manifest *manifest,
                                                               const struct gy_manifest_end *end);

/* Append encoded edits as one frame (N1, N2); rotates first when there is no room. The state that
 * `snapshot` gives must not yet contain the edits. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_manifest_await_append(struct gy_manifest *manifest,
                                                                const struct gy_edit *edits,
                                                                uint32_t edit_count);
GY_SUSPENDS void gy_manifest_await_close(struct gy_manifest *manifest);

/* ---- Reading, at open ---- */

struct gy_manifest_end {
    uint64_t store_id;
    uint64_t number;
    uint64_t end;       /* where reading stopped */
};

/* NOT_FOUND: there is no CURRENT. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_manifest_await_current(struct gy_loop *loop,
                                                                 const struct gy_file *dir,
                                                                 struct gy_current *ret_current,
                                                                 uint64_t *ret_durable_end);
/* Replay the manifest that CURRENT names: `apply` gets each edit in order (its slices live until it
 * returns). */
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_manifest_await_load(struct gy_loop *loop, const struct gy_file *dir,
                       gyre_status (*apply)(void *arg, const struct gy_edit *edit), void *arg,
                       struct gy_manifest_end *ret_end);

#endif
