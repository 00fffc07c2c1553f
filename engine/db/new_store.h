/* new_store.h - making a store's directory beside its final name, and taking a store's directory
 * away; its lock.
 *
 * A checkpoint or a salvaged store is built in `<name>.tmp-<random>` and renamed when all of it is
 * durable, so a crash never leaves half a store under the name that was asked for.
 */
#ifndef GY_NEW_STORE_H
#define GY_NEW_STORE_H

#include "engine/db/store_edits.h"
#include "engine/db/db.h"

#define GY_PATH_COMPONENT_MAX 256u

/* A path in two: the directory above ("." or "/" where none is written) and the last component,
 * without a slash behind. */
struct gy_path {
    char parent[GYRE_PATH_SIZE_MAX];
    char name[GY_PATH_COMPONENT_MAX];
};

/* INVALID: too long, or the last component is ".", ".." or nothing. */
GYRE_NODISCARD gyre_status gy_path_split(gyre_loop *loop, const char *path,
                                         struct gy_path *ret_path);

struct gy_new_store {
    gyre_loop *loop;
    struct gy_path *path;                  /* heap */
    char name_tmp[GY_PATH_COMPONENT_MAX];
    struct gy_file parent;
    struct gy_file dir;                    /* the new directory */
    bool made;
};

/* Make the directory. INVALID: `path` exists. After any outcome finish or abandon gives everything
 * back. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_new_store_await_begin(gyre_loop *loop, const char *path,
                                                                struct gy_new_store *ret_store);
/* Write the manifest of `state` and CURRENT, make all names durable and give the directory its
 * name. The files are durable already. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_new_store_await_finish(struct gy_new_store *store,
                                                                 struct gy_store_edits *state);
/* Close what is open; an unfinished directory is removed with its files. The coroutine's error
 * stays. */
GY_SUSPENDS void gy_new_store_await_end(struct gy_new_store *store);

/* Take the lock of an open LOCK file; waits a little for that of a process that was just killed.
 * BUSY. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_store_await_lock(gyre_loop *loop,
                                                           const struct gy_file *lock, bool shared);

/* Remove the files of a store from `dir`, known by their names, and nothing else; LOCK last. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_store_await_remove_files(gyre_loop *loop,
                                                                   const struct gy_file *dir,
                                                                   uint64_t *ret_removed);

#endif
