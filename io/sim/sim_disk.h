/* sim_disk.h - a virtual disk with a file system on it that forgets, at a power cut, everything it
 * was not told to keep.
 *
 * What a program sees (names, sizes, bytes) and what survives a power cut are two images. Between
 * them lie pending changes, and only these rules move one into the durable image:
 *   D1  SYNC of a file: its writes, truncates and allocations that COMPLETED before the sync was
 *       SUBMITTED. Later ones stay pending, also when they complete before the sync does.
 *   D2  WRITE with GY_IO_DSYNC: its own sectors, and the size where they would else lie past the
 *       end. Not another write, not another file, not the name.
 *   D3  SYNC of a directory: its names that changed before the sync was submitted. Syncing a file
 *       does not sync its name, syncing a directory does not sync the files in it.
 *   D4  A failed SYNC keeps nothing, and no later sync makes up for it: what it should have covered
 *       stays pending until it is written again (file systems mark the pages clean). Sizes and
 *       names are kinder: they stay pending and the next sync covers them.
 *   D5  Nothing else is implied: no order between files, between data and size, or between names.
 *   D6  A sector that was written and not synced ends as it was, as any write since left it, or as
 *       zeros, also where it held durable bytes before. Where only the size survived of a write
 *       that extends the file, the new part is zeros.
 * A sector is 512 or 4096 bytes and never tears inside; a write of several sectors can tear
 * anywhere between them. A rename is atomic: the old name or the new one.
 *
 * That is GY_SIM_STRICT, which promises less than any file system does. Two more personalities have
 * what programs come to rely on without knowing. Both write names and sizes through one journal:
 *   J1  A crash keeps a beginning of all changes of names and sizes on the whole disk, in the order
 *       in which they were made.
 *   J2  SYNC of a file or directory commits the journal: GY_SIM_EXT4 with all that completed before
 *       the sync was submitted, if it has anything about this file (so a new file's name becomes
 *       durable with its first sync, and so do all others); GY_SIM_XFS up to the last change about
 *       this file. A sync of bytes alone commits nothing.
 *   J3  A size that survives brings the bytes that were written behind the old size before it: no
 *       zeros, no tears there. Bytes within the old size are as under D1, without zeros (D6).
 *   J4  GY_SIM_EXT4 only: a rename that replaces a file brings the bytes of the one that takes its
 *       place.
 * What is correct under GY_SIM_STRICT is correct under all three; the others tell whether code that
 * fails there would do so on a real file system.
 *
 * Disks are cheap to copy (copy on write): a crash test takes a copy at every I/O event. All copies
 * share the heap of the first one; each is freed by itself. Everything is deterministic: the same
 * calls in the same order give the same disk, whatever the addresses are.
 *
 * Owns:    files, names, staging memory, requests in flight (a copy of what they asked for).
 * Borrows: the heap, which outlives every disk made from it. It should have no limit: the simulator
 *          asserts when it runs out of memory.
 * Knows nothing of: time, latency, faults, the engine. Those are world_sim.h.
 * Limits: names of 63 bytes, no symbolic links, no permissions.
 */
#ifndef GY_SIM_DISK_H
#define GY_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gy_heap;
struct gy_rng;
struct gy_sim_disk;
struct gy_sim_pages;

/* Where the loops of simulated machines take their memory from: a store of mappings that are used
 * again, which makes opening a loop cheap. Give one to all disks of a test. `fill` -1: memory holds
 * what its last user left; else every byte has this value. The caller's reference is put back with
 * gy_sim_pages_put (NULL is fine); `heap` outlives it and all disks. */
struct gy_sim_pages *gy_sim_pages_make(struct gy_heap *heap, int fill);
void gy_sim_pages_put(struct gy_sim_pages *pages);

enum gy_sim_personality { GY_SIM_STRICT, GY_SIM_EXT4, GY_SIM_XFS };

struct gy_sim_disk_config {
    uint32_t sector_size;     /* 0 = 512; or 4096 */
    uint32_t inode_count_max; /* files and directories; 0 = no limit */
    uint64_t capacity;        /* bytes for file data, in pages of 4 KiB; 0 = no limit */
    uint64_t stage_bytes_max; /* staging memory in all; 0 = no limit, 1 = none to be had */
    uint64_t seed;            /* only for the boot id */
    enum gy_sim_personality personality;
    bool is_quota;            /* capacity is a user's share: full is -EDQUOT, not -ENOSPC */
    struct gy_sim_pages *pages; /* NULL = the disk and its copies make one for themselves */
};

enum gy_sim_crash {
    GY_SIM_CRASH_NONE,   /* power cut; nothing survives that was not made durable */
    GY_SIM_CRASH_ALL,    /* power cut; everything survives, requests in flight included */
    /* power cut; each pending sector, size and name survives or not (D6, J1), and each request in
     * flight may have reached the disk in any part */
    GY_SIM_CRASH_RANDOM,
    /* the process died: what completed stays as it was, pending or durable, each request in flight
     * happened or not, staging memory stays */
    GY_SIM_CRASH_KILL,
};

/* `config` NULL = all defaults. */
struct gy_sim_disk *gy_sim_disk_make(const struct gy_sim_disk_config *config, struct gy_heap *heap);
/* No world is open on it. NULL is fine. */
void gy_sim_disk_free(struct gy_sim_disk *disk);

/* The disk as it would be found after a crash at this moment; `disk` itself is not touched and its
 * world goes on. Locks are free. After a power cut everything found is durable, staging memory is
 * gone and the boot id is another one. */
struct gy_sim_disk *gy_sim_disk_crash(const struct gy_sim_disk *disk, struct gy_rng *rng,
                                      enum gy_sim_crash mode);
/* An exact copy, pending changes, requests in flight and staging memory included, for crashes to be
 * drawn from later. No world is on it and no lock held. */
struct gy_sim_disk *gy_sim_disk_clone(const struct gy_sim_disk *disk);

void gy_sim_disk_set_capacity(struct gy_sim_disk *disk, uint64_t capacity);
uint64_t gy_sim_disk_used_bytes(const struct gy_sim_disk *disk); /* by files, in pages */
/* Pending changes: versions of pages, sizes and names that a power cut could take away. */
uint64_t gy_sim_disk_pending_count(const struct gy_sim_disk *disk);
/* Digest of what a program sees: all names, sizes and bytes. */
uint64_t gy_sim_disk_hash(const struct gy_sim_disk *disk);

/* True when no power cut can change these bytes of the file, its name or the names above it: the
 * oracle to ask at the moment of an acknowledgement. */
bool gy_sim_disk_is_durable(const struct gy_sim_disk *disk, const char *path, uint64_t offset,
                            uint64_t size);

/* ---- Look at and damage the files, past any world ----
 *
 * Paths start at the root of the disk ("/db/x" and "db/x" are the same). The result is a count or
 * 0, else a negative errno. Changes are durable at once; make them on a disk that nobody writes to
 * (after a crash or a close). */

int64_t gy_sim_disk_file_size(const struct gy_sim_disk *disk, const char *path);
int64_t gy_sim_disk_peek(const struct gy_sim_disk *disk, const char *path, uint64_t offset,
                         void *buffer, size_t size);
/* Overwrite; makes the file when it is missing, extends it when it is short. */
int gy_sim_disk_poke(struct gy_sim_disk *disk, const char *path, uint64_t offset, const void *bytes,
                     size_t size);
int gy_sim_disk_resize(struct gy_sim_disk *disk, const char *path, uint64_t size);
int gy_sim_disk_remove(struct gy_sim_disk *disk, const char *path);
int gy_sim_disk_make_dir(struct gy_sim_disk *disk, const char *path);
int gy_sim_disk_list(const struct gy_sim_disk *disk, const char *path,
                     void (*each)(void *arg, const char *name, bool is_regular), void *arg);

#endif
