/* sim_state.h - the inside of the simulated disk, shared by the files of io/sim.
 *
 * A file's life is kept as `now` (what programs see), `durable` (what a power cut leaves) and what
 * lies between: page versions and sizes in the order of their completion. Directories keep two
 * lists of names and the changes between them. Each change carries the disk's sequence number at
 * the moment it completed, so that a sync can tell what completed before the sync was submitted
 * (D1, D3).
 *
 *   I1  now == durable + all pending changes in order, doomed ones included.
 *   I2  An inode with refs > 1 is shared with a copy of the disk and is never changed:
 *       gy_sim_disk_edit makes it ours first.
 *   I3  An inode number is reused only when no name (seen, durable or pending) and no open slot
 *       refers to it.
 */
#ifndef GY_SIM_STATE_H
#define GY_SIM_STATE_H

#include "io/base/list.h"
#include "io/base/rng.h"
#include "io/sim/sim_blob.h"
#include "io/sim/sim_disk.h"
#include "io/sim/sim_map.h"
#include "io/sim/sim_pages.h"
#include "io/world.h"

#define GY_SIM_NAME_SIZE 64u /* with the final NUL */
#define GY_SIM_ROOT 0u       /* inode of "/" */
#define GY_SIM_SECTOR 512u   /* unit of masks; a disk with 4096-byte sectors sets all eight bits */

/* One page as a write left it. */
struct gy_sim_version {
    uint64_t seq;
    struct gy_sim_page *page; /* NULL = zeros */
    uint32_t page_index;
    uint8_t mask;             /* the sectors that this write changed */
    bool is_doomed;           /* a sync that covered it failed (D4) */
};

struct gy_sim_size {
    uint64_t seq;
    uint64_t size;
    bool is_allocation; /* the blocks below `size` are reserved too */
};

struct gy_sim_entry {
    uint32_t ino;
    bool is_dir;
    char name[GY_SIM_NAME_SIZE];
};

struct gy_sim_entries {
    struct gy_sim_entry *items; /* sorted by name */
    uint32_t count;
    uint32_t capacity;
};

/* A change of names in one directory. */
struct gy_sim_nsop {
    uint64_t seq;
    uint32_t ino;
    uint8_t op; /* GY_OP_OPEN (create), MKDIR, LINK, UNLINK, RENAME */
    bool is_dir;
    bool is_replacing; /* RENAME over a file that was there */
    char name[GY_SIM_NAME_SIZE];
    char name_new[GY_SIM_NAME_SIZE];
};

struct gy_sim_inode {
    uint64_t refs;
    bool is_dir;
    uint32_t link_count; /* names that programs see */
    uint32_t parent;     /* directories */
    uint64_t size;
    uint64_t size_durable;
    struct gy_sim_map now;
    struct gy_sim_map durable;
    struct gy_sim_map previous; /* pages as they were before they were written last */
    struct gy_sim_version *versions;
    uint32_t version_count;
    uint32_t version_capacity;
    struct gy_sim_size *sizes;
    uint32_t size_count;
    uint32_t size_capacity;
    struct gy_sim_entries entries;
    struct gy_sim_entries entries_durable;
    struct gy_sim_nsop *nsops;
    uint32_t nsop_count;
    uint32_t nsop_capacity;
};

struct gy_sim_node {
    struct gy_sim_inode *inode; /* NULL = free number */
    uint32_t open_count;
    uint64_t lock_owner;        /* exclusive; 0 = not locked so */
    uint32_t shared_count;      /* shared locks held */
};

/* A request between submit and completion: what it asks for, free of the caller's memory. */
struct gy_sim_op {
    struct gy_list link;
    uint64_t seq;             /* of the submission */
    uint8_t op;               /* enum gy_op */
    uint8_t flags;
    uint32_t ino;             /* the file; for names their directory */
    uint32_t ino_new;         /* LINK: directory of name_new */
    uint32_t size;
    uint64_t offset;
    struct gy_sim_blob *data; /* WRITE */
    char name[GY_SIM_NAME_SIZE];
    char name_new[GY_SIM_NAME_SIZE];
};

/* Staging memory as it was at one moment; shared by the copies that were taken then. */
struct gy_sim_shot {
    uint64_t refs;
    uint32_t count;
    struct gy_sim_page *pages[]; /* NULL = zeros */
};

/* Staging memory. A program writes it without telling anybody, so a copy of the disk looks for what
 * has changed since the last one. */
struct gy_sim_block {
    uint64_t id[2];
    size_t size;
    size_t mapped;            /* size in whole pages */
    uint8_t *base;            /* NULL: not opened on this disk yet, `shot` is what it holds */
    struct gy_sim_shot *shot; /* as of the last copy; NULL before the first */
};

struct gy_sim_disk {
    struct gy_heap *heap;
    struct gy_sim_pages *pages; /* a reference */
    struct gy_sim_disk_config config;
    uint64_t seq;          /* grows with each submission and each completed change */
    uint64_t boot_count;
    uint32_t world_count;  /* worlds opened so far: gives lock owners */
    uint32_t worlds_open;
    struct gy_sim_node *nodes;
    uint32_t node_count;
    uint32_t node_capacity;
    struct gy_list in_flight; /* struct gy_sim_op, in order of submission */
    struct gy_sim_block *blocks;
    uint32_t block_count;
    uint32_t block_capacity;
};

/* ---- sim_disk.c: inodes, requests, staging, locks ---- */

const struct gy_sim_inode *gy_sim_disk_inode(const struct gy_sim_disk *disk, uint32_t ino);
struct gy_sim_inode *gy_sim_disk_edit(struct gy_sim_disk *disk, uint32_t ino);
/* A new inode without a name; UINT32_MAX when there may be no more. */
uint32_t gy_sim_disk_inode_make(struct gy_sim_disk *disk, bool is_dir, uint32_t parent);
void gy_sim_inode_put(struct gy_heap *heap, struct gy_sim_inode *inode);

void gy_sim_disk_open_slot(struct gy_sim_disk *disk, uint32_t ino);
void gy_sim_disk_close_slot(struct gy_sim_disk *disk, uint32_t ino, uint64_t lock_owner);
int gy_sim_disk_lock(struct gy_sim_disk *disk, uint32_t ino, uint64_t owner);
int gy_sim_disk_lock_shared(struct gy_sim_disk *disk, uint32_t ino);
void gy_sim_disk_unlock_shared(struct gy_sim_disk *disk, uint32_t ino);
uint64_t gy_sim_disk_free_bytes(const struct gy_sim_disk *disk);
/* What a request hears that found no room. */
int32_t gy_sim_disk_full_error(const struct gy_sim_disk *disk);

/* A request was submitted: keep a copy of it for crashes. `data` (WRITE) is copied. */
struct gy_sim_op *gy_sim_op_begin(struct gy_sim_disk *disk, const struct gy_sim_op *wanted,
                                  const void *data);
/* It happens now. Bytes, an inode number (OPEN) or 0, else a negative errno. */
int32_t gy_sim_op_apply(struct gy_sim_disk *disk, const struct gy_sim_op *op);
/* It is over, applied or not. */
void gy_sim_op_end(struct gy_sim_disk *disk, struct gy_sim_op *op);

/* What worlds that were stopped left in flight never happens. */
void gy_sim_disk_forget_in_flight(struct gy_sim_disk *disk);
/* gy_sim_disk_clone, with or without the staging memory. */
struct gy_sim_disk *gy_sim_disk_copy(const struct gy_sim_disk *disk, bool with_stage);

/* ---- sim_stage.c: staging memory ---- */

int gy_sim_stage_create(struct gy_sim_disk *disk, struct gy_stage *stage, const uint64_t id[2],
                        size_t size);
int gy_sim_stage_open(struct gy_sim_disk *disk, struct gy_stage *stage, const uint64_t id[2]);
void gy_sim_stage_close(struct gy_sim_disk *disk, struct gy_stage *stage, bool unlink);

/* `copy`, which has none, gets all staging memory of `disk` as it is now. */
void gy_sim_stage_copy_all(struct gy_sim_disk *copy, const struct gy_sim_disk *disk);
void gy_sim_stage_drop_all(struct gy_sim_disk *disk);

/* ---- sim_file.c: bytes and sizes ---- */

uint32_t gy_sim_file_read(const struct gy_sim_inode *inode, uint64_t offset, uint32_t size,
                          void *buffer);
/* The first `size` bytes of `data`, all or the part that fits on the disk; -ENOSPC when not even a
 * page does. is_durable: D2. */
int32_t gy_sim_file_write(struct gy_sim_disk *disk, uint32_t ino, uint64_t offset, uint32_t size,
                          const struct gy_sim_blob *data, bool is_durable);
/* What a read that finds the version before the last one gets. */
uint32_t gy_sim_file_read_previous(const struct gy_sim_inode *inode, uint64_t offset, uint32_t size,
                                   void *buffer);
int32_t gy_sim_file_allocate(struct gy_sim_disk *disk, uint32_t ino, uint64_t size);
int32_t gy_sim_file_truncate(struct gy_sim_disk *disk, uint32_t ino, uint64_t size);
/* D1: what completed before `seq`. */
void gy_sim_file_sync(struct gy_sim_disk *disk, uint32_t ino, uint64_t seq);
/* J3: sizes from before `seq`, with the bytes behind the old size. */
void gy_sim_file_commit_sizes(struct gy_sim_disk *disk, uint32_t ino, uint64_t seq);
/* D4: a sync submitted at `seq` failed. */
void gy_sim_file_sync_failed(struct gy_sim_disk *disk, uint32_t ino, uint64_t seq);
/* Make `map` end at `size`: no pages past it, zeros behind it in the last page. */
void gy_sim_file_cut(struct gy_heap *heap, struct gy_sim_map *map, uint64_t size);
/* Forget all that is pending; `now` is left as it is. */
void gy_sim_file_drop_pending(struct gy_heap *heap, struct gy_sim_inode *inode);

/* ---- sim_fs.c: names ---- */

/* Directory and last name of a path. "" as the name stands for the directory itself. */
int gy_sim_fs_resolve(const struct gy_sim_disk *disk, uint32_t dir, const char *path,
                      uint32_t *ret_dir, char ret_name[GY_SIM_NAME_SIZE]);
/* Inode of a resolved name: -ENOENT when missing. */
int64_t gy_sim_fs_lookup(const struct gy_sim_disk *disk, uint32_t dir, const char *name);
/* Both in one, from the root. */
int64_t gy_sim_fs_find(const struct gy_sim_disk *disk, const char *path);
/* OPEN, MKDIR, LINK, UNLINK and RENAME. */
int32_t gy_sim_fs_apply(struct gy_sim_disk *disk, const struct gy_sim_op *op);
void gy_sim_fs_sync(struct gy_sim_disk *disk, uint32_t dir, uint64_t seq);
/* The same without freeing anything. */
void gy_sim_fs_commit(struct gy_sim_disk *disk, uint32_t dir, uint64_t seq);
/* Free inodes that no name and no slot refers to (I3). */
void gy_sim_fs_collect(struct gy_sim_disk *disk);
/* Play one change on a list of names if it fits there; else false, and nothing is done. */
bool gy_sim_fs_play(struct gy_heap *heap, struct gy_sim_entries *entries,
                    const struct gy_sim_nsop *nsop);
const struct gy_sim_entry *gy_sim_fs_entry(const struct gy_sim_entries *entries, const char *name);
void gy_sim_fs_copy_entries(struct gy_heap *heap, struct gy_sim_entries *target,
                            const struct gy_sim_entries *source);

/* ---- sim_journal.c: what a personality adds ---- */

/* Make all names and sizes from before `seq` durable. */
void gy_sim_journal_commit(struct gy_sim_disk *disk, uint64_t seq);
/* J2: `ino` was synced by a request submitted at `seq`. Nothing under GY_SIM_STRICT. */
void gy_sim_journal_sync(struct gy_sim_disk *disk, uint32_t ino, uint64_t seq);
/* Up to where a crash keeps the journal, drawn with `bits`. */
uint64_t gy_sim_journal_cut(const struct gy_sim_disk *disk, uint64_t bits);

/* ---- sim_peek.c ---- */

/* A 64-bit digest, the same on every machine; not for secrets. */
uint64_t gy_sim_hash(uint64_t seed, const void *bytes, size_t size);

#endif
