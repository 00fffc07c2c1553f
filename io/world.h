/* world.h - THE SEAM: everything that Gyre cannot compute by itself. Storage, time, randomness and
 * memory that outlives the process pass here and nowhere else.
 *
 *   S1  submit() queues and returns; it never completes a request inline and never wakes anybody,
 *       so no caller sees a state change that it did not await.
 *   S2  Each submitted request comes back from reap() exactly once, in any order.
 *   S3  req->result is bytes moved, a slot, a size or a negative errno. Short transfers are legal;
 *       -EINTR and -EAGAIN never reach the caller: the world retries them.
 *   S4  Durable means: the write completed, then a later sync of that file was submitted and
 *       completed; or the write carried GY_IO_DSYNC, which covers its own bytes only. A name is
 *       durable when a SYNC of its directory that was submitted afterwards has completed.
 *   S5  The buffer of a request belongs to the device from submit to reap.
 *   S6  A file slot closed by GY_OP_CLOSE may be given out again; the caller has no request in
 *       flight on it when it closes.
 * Implementations: world_uring.c, world_sync.c, sim/world_sim.c. One suite
 * (tests/support/world_contract.c) tests all three.
 */
#ifndef GY_WORLD_H
#define GY_WORLD_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gyre/status.h"
#include "io/base/list.h"

struct gy_co;
struct gy_heap;
struct gy_pages;

enum gy_op {
    GY_OP_READ,       /* slot, buffer, size, offset -> bytes; 0 only at the end of the file */
    GY_OP_WRITE,      /* slot, buffer, size, offset [GY_IO_DSYNC] -> bytes */
    GY_OP_SYNC,       /* slot: fdatasync of a file, fsync of a directory -> 0 */
    GY_OP_OPEN,       /* dir, name, open flags -> slot */
    GY_OP_CLOSE,      /* slot -> 0 */
    GY_OP_ALLOCATE,   /* slot, offset = size in bytes: reserve blocks and set the file size -> 0 */
    GY_OP_TRUNCATE,   /* slot, offset = new size -> 0 */
    GY_OP_RENAME,     /* dir, name, name_new (same directory, replaces) -> 0 */
    GY_OP_UNLINK,     /* dir, name [GY_UNLINK_DIRECTORY: an empty directory] -> 0 */
    GY_OP_LINK,       /* dir, name, dir_new, name_new: hard link, fails with -EEXIST -> 0 */
    GY_OP_MKDIR,      /* dir (GY_DIR_CWD: name is a path), name, mode 0700 -> 0 */
    GY_OP_STAT,       /* slot -> 0 and ret_size = file size in bytes */
    GY_OP_LIST,       /* slot of a directory, list callback -> 0 */
    GY_OP_LOCK,       /* slot [GY_LOCK_SHARED]: never waits; -EWOULDBLOCK when it is held -> 0 */
    /* slot of a directory -> 0 and ret_size = bytes free to us there; UINT64_MAX: nobody knows */
    GY_OP_FREE_SPACE,
    GY_OP_COUNT
};

/* Classes in the order of importance. The WAL goes first; each other keeps a minimum share. */
enum gy_io_class {
    GY_IO_WAL,
    GY_IO_READ,          /* a user waits for it */
    GY_IO_META,          /* opens, manifest, small things a user may wait for */
    GY_IO_PREFETCH,
    GY_IO_FLUSH,
    GY_IO_COMPACT_READ,
    GY_IO_COMPACT_WRITE,
    GY_IO_SCRUB,
    GY_IO_CLASS_COUNT
};

#define GY_IO_DSYNC 1u        /* WRITE: durable on completion (S4) */

#define GY_LOCK_SHARED 1u     /* LOCK: others may share it, nobody may hold it exclusively */

#define GY_OPEN_CREATE 1u     /* OPEN: create with mode 0600; with EXCLUSIVE fail if it exists */
#define GY_OPEN_EXCLUSIVE 2u
#define GY_OPEN_WRITE 4u      /* else read-only */
#define GY_OPEN_DIRECTORY 8u  /* the name is a directory */
#define GY_OPEN_BUFFERED 16u  /* no O_DIRECT wanted (LOCK, foreign files) */
/* -EMLINK when the file has another name: writing to it would write to a file of somebody else */
#define GY_OPEN_SINGLE 32u

#define GY_UNLINK_DIRECTORY 8u /* UNLINK: the name is a directory; -ENOTEMPTY unless it is empty */

#define GY_DIR_CWD UINT32_MAX /* `dir`: the name is a path as the process sees it */
#define GY_SLOT_NONE (UINT32_MAX - 1)

struct gy_req {
    struct gy_list link;      /* the I/O queue, then the world, then the list of reap() */
    struct gy_co *waiter;     /* woken by the loop when done; the world never touches it */
    void *buffer;             /* READ, WRITE: aligned to GY_PAGE unless the file is buffered */
    const char *name;         /* one component unless dir is GY_DIR_CWD; lives until reap */
    const char *name_new;
    uint64_t offset;
    uint32_t size;            /* bytes, at most GY_IO_SIZE_MAX */
    uint32_t slot;
    uint32_t dir;
    uint32_t dir_new;
    int32_t result;           /* S3 */
    uint8_t op;               /* enum gy_op */
    uint8_t klass;            /* enum gy_io_class */
    uint8_t flags;            /* GY_IO_* or GY_OPEN_* */
    bool done;                /* set by the loop when the request has come back */
    uint64_t ret_size;
    void (*list)(void *arg, const char *name, bool is_regular); /* LIST */
    void *list_arg;
    struct gy_list flight;    /* the loop's: with the world, oldest first */
    uint64_t queued_ns;       /* set by the loop: for queue and device time */
    uint64_t submitted_ns;
    uint64_t world_private[2];
};

/* S3: what every world does with an answer that means "not now". True: ask again; else *result is
 * what the caller hears. `tries` counts, from 0, how often this request was asked again.
 *
 * CLOSE is never asked again, Linux frees the descriptor whatever it says. EAGAIN of a LOCK is an
 * answer. An odd file system must not hang the thread for ever, hence the end. */
#define GY_RETRIES_MAX 1000u

static inline bool
gy_world_retries(enum gy_op op, int32_t *result, uint64_t *tries)
{
    if ((*result != -EINTR && *result != -EAGAIN) || (op == GY_OP_LOCK && *result == -EAGAIN)) {
        return false;
    }
    if (op == GY_OP_CLOSE || *tries == GY_RETRIES_MAX) {
        *result = op == GY_OP_CLOSE ? 0 : -EIO;
        return false;
    }
    (*tries)++;
    return true;
}

#define GY_IO_SIZE_MAX (512u * 1024u) /* larger transfers get split by the kernel or punted */

/* Memory that outlives the process but not the boot (BUFFERED staging). */
struct gy_stage {
    void *base;
    size_t size;
    uint64_t id[2];   /* names it: store id and a random number */
    size_t ready;     /* bytes that are reserved and touched, while it is made or found */
    int fd;           /* meanwhile */
    bool is_unlinked; /* while it is given back */
};

/* Staging memory is made, found and given back so many bytes at a time: a page of it costs up to 4
 * us, and a run of the thread is to stay under 100. */
#define GY_STAGE_STEP (64u * 1024u)
#define GY_STAGE_MORE 1

/* What the world found on this machine; constant after open except the counters, and in_flight_max,
 * which is lowered once, when the first directory is opened and shows a device with few tags. */
struct gy_world_info {
    const char *name;             /* "io_uring", "sync", "sim" */
    char reason[160];             /* why not io_uring, "" = it is */
    bool has_direct_io;           /* some file was opened with O_DIRECT, none was refused it */
    bool has_registered_files;
    bool has_registered_buffers;  /* at least one arena chunk is registered */
    uint64_t registered_bytes;
    uint32_t ring_flags;
    uint32_t in_flight_max;       /* what the loop keeps in flight at most */
    uint64_t enter_count;         /* io_uring_enter calls, or blocking calls */
    uint64_t request_count;
    uint64_t worker_count;        /* kernel workers (iou-wrk) of this process, last seen */
};

struct gy_world;

struct gy_world_ops {
    void (*submit)(struct gy_world *world, struct gy_req *req);
    /* Move finished requests to `finished`. Waits until one is there, `deadline_ns` (now_ns time)
     * has passed or a signal came, when `wait` is set; else only looks. `runnable` says that
     * coroutines are waiting for the CPU: with a sync in flight the world then gives the kernel's
     * workers a chance (sched_yield). */
    void (*reap)(struct gy_world *world, struct gy_list *finished, bool wait, bool runnable,
                 uint64_t deadline_ns);
    uint64_t (*now_ns)(struct gy_world *world);  /* monotonic */
    uint64_t (*cpu_ns)(struct gy_world *world);  /* CPU time of this thread */
    uint64_t (*wall_us)(struct gy_world *world); /* for messages and file times only */
    uint64_t (*random)(struct gy_world *world);
    /* Offer `size` bytes at `base` (chunks of GY_ARENA_CHUNK, aligned to it) for registration.
     * Refusal is normal and remembered in info. */
    void (*arena_add)(struct gy_world *world, void *base, size_t size);
    /* Identity of this boot: staging memory of another boot is gone. */
    void (*boot_id)(struct gy_world *world, uint64_t ret_id[2]);
    /* Make or find staging memory, at open and recovery only. The first call is made with a zeroed
     * `stage`; GY_STAGE_MORE: again, until it is 0 or an error, which leaves nothing. -ENOENT:
     * there is none of that name; -EACCES: it is not ours. */
    int (*stage_create)(struct gy_world *world, struct gy_stage *stage, const uint64_t id[2],
                        size_t size);
    int (*stage_open)(struct gy_world *world, struct gy_stage *stage, const uint64_t id[2]);
    /* True: call it again, there is more to give back. Its name goes first. */
    bool (*stage_close)(struct gy_world *world, struct gy_stage *stage, bool unlink);
    void (*close)(struct gy_world *world); /* nothing is in flight */
    /* The range of an earlier arena_add is about to be unmapped: forget it. NULL where a world
     * keeps nothing of arena_add. Without this call a later mapping at the same address would be
     * taken for the registered pages. */
    void (*arena_remove)(struct gy_world *world, void *base, size_t size);
    /* Bring the counters of info that cost a look at the system (worker_count) up to date. NULL:
     * there are none. */
    void (*refresh_info)(struct gy_world *world);
    /* For a host that waits in an event loop of its own. All NULL: this world has none.
     * wake_fd: a descriptor to poll for reading (-errno), opened at the first call. It becomes
     * readable when a request has completed, and when wake_at says so.
     * wake_drain: the host has come, nothing is announced any more; until wake_at, completions are
     * not announced.
     * wake_at: readable at now_ns time `at_ns` (0: at once; GY_NEVER: not for a time), or at once
     * when something has completed since the last reap(). */
    int (*wake_fd)(struct gy_world *world);
    void (*wake_drain)(struct gy_world *world);
    void (*wake_at)(struct gy_world *world, uint64_t at_ns);
};

#define GY_ARENA_CHUNK (2u * 1024u * 1024u)

struct gy_world {
    const struct gy_world_ops *ops;
    struct gy_world_info info;
    uint32_t in_flight;
    struct gy_pages *pages;   /* where the loop takes its pages from; NULL: the system */
    uint64_t fail_allocation; /* heap.h fail_at of the loop, for tests; 0 = none */
};

struct gy_world_config {
    uint32_t in_flight_max;  /* 0 = half of the device's tags where known, else 128 */
    uint32_t file_count_max; /* slots; 0 = 4096, lowered to what RLIMIT_NOFILE allows */
    bool no_registration;    /* neither files nor buffers: for tests of the fall-back */
    bool sync_by_worker;     /* durable writes are submitted by a kernel worker */
    bool no_direct;          /* never O_DIRECT: for tests of the fall-back */
    const char *stage_dir;   /* where staging memory lives; NULL = "/dev/shm"; copied */
};

/* The ring. GYRE_UNSUPPORTED with a reason in ret_reason when io_uring is forbidden or missing. */
gyre_status gy_world_uring_open(const struct gy_world_config *config, struct gy_heap *heap,
                                char ret_reason[160], struct gy_world **ret_world);
/* Blocking pread and pwritev2; always available. */
gyre_status gy_world_sync_open(const struct gy_world_config *config, struct gy_heap *heap,
                               struct gy_world **ret_world);

#endif
