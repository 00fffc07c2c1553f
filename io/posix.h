/* posix.h - what the two real worlds share: the file table, system calls with their odd returns
 * straightened, clocks, the boot's identity and staging memory.
 *
 *   P1  Every call returns a value >= 0 or a negative errno; EINTR never leaves this file.
 *   P2  A slot is taken before its file is opened, so that an open file always has a place.
 *   P3  Files of a store are opened below the directory's descriptor, never through a symbolic
 *       link, and are regular files (or directories when asked for), of one name where a second
 *       one would be a trap (GY_OPEN_SINGLE).
 * Knows nothing of rings and queues.
 */
#ifndef GY_POSIX_H
#define GY_POSIX_H

#include <fcntl.h>
#include <linux/openat2.h>

#include "io/base/heap.h"
#include "io/world.h"

#define GY_STAGE_SIZE_MAX (1u << 30)
#define GY_STAGE_PATH_MAX 128u

struct gy_posix_file {
    int fd;             /* -1: the slot is free or its file is being opened */
    bool is_taken;
    bool is_directory;
    bool is_locked;
    bool is_registered; /* the ring's table holds it too, at the same index */
};

/* posix_wake.c: what a host's event loop polls. `set` holds the other two, edge-triggered. */
struct gy_posix_wake {
    int set;            /* epoll; -1 or 0 with is_open false: none yet */
    int event;          /* eventfd: at once */
    int timer;          /* timerfd */
    bool is_open;
    bool is_signaled;   /* `event` was written since the last drain */
    uint64_t armed_ns;  /* of `timer`; GY_NEVER: not armed */
};

/* Base of both worlds: `world` is first, so a pointer to one is a pointer to the other.
 * Owns: the file table and every descriptor in it. Borrows: the heap. */
struct gy_posix {
    struct gy_world world;
    struct gy_heap *heap;
    struct gy_posix_file *files;
    uint32_t *free_slots;   /* stack */
    uint32_t free_slot_count;
    uint32_t file_count_max;
    bool no_direct;
    bool was_refused_direct;
    bool has_openat2;
    bool may_ask_tags;      /* in_flight_max was not configured: the first directory may lower it */
    char stage_dir[GY_STAGE_PATH_MAX - 48];
    struct gy_posix_wake wake;
};

gyre_status gy_posix_init(struct gy_posix *posix, const struct gy_world_config *config,
                          struct gy_heap *heap);
void gy_posix_fini(struct gy_posix *posix); /* closes what is still open; zeroed is fine */

/* GY_SLOT_NONE when the table is full. */
uint32_t gy_posix_slot_take(struct gy_posix *posix);
void gy_posix_slot_drop(struct gy_posix *posix, uint32_t slot);

/* Descriptor of an open slot; AT_FDCWD for GY_DIR_CWD. Asserts that the slot is open. */
int gy_posix_fd(const struct gy_posix *posix, uint32_t slot);
/* 0, or -EINVAL where a name of `req` is not one plain component of a directory slot. */
int32_t gy_posix_check_names(const struct gy_req *req);
/* How openat2 has to open the file of `req`. */
struct open_how gy_posix_open_how(const struct gy_req *req);
/* Flags of unlinkat. */
static inline int
gy_posix_unlink_flags(const struct gy_req *req)
{
    return (req->flags & GY_UNLINK_DIRECTORY) != 0 ? AT_REMOVEDIR : 0;
}
/* The file of `req` was opened as `fd`: check its kind (P3), turn on O_DIRECT where it works, and
 * put it into `slot`. Returns the slot; on failure -errno, `fd` closed and the slot dropped. */
int32_t gy_posix_opened(struct gy_posix *posix, const struct gy_req *req, uint32_t slot, int fd);
/* Make an allocation that the file system cannot do: the size is set, no blocks are reserved. */
int32_t gy_posix_allocate_plainly(int fd, uint64_t size);

/* Run any request by blocking system calls; returns what req->result has to be. */
int32_t gy_posix_run(struct gy_posix *posix, struct gy_req *req);

/* Implementations of gy_world_ops that are the same in both worlds. */
uint64_t gy_posix_now_ns(struct gy_world *world);
uint64_t gy_posix_cpu_ns(struct gy_world *world);
uint64_t gy_posix_wall_us(struct gy_world *world);
uint64_t gy_posix_random(struct gy_world *world);
void gy_posix_boot_id(struct gy_world *world, uint64_t ret_id[2]);
int gy_posix_stage_create(struct gy_world *world, struct gy_stage *stage, const uint64_t id[2],
                          size_t size);
int gy_posix_stage_open(struct gy_world *world, struct gy_stage *stage, const uint64_t id[2]);
bool gy_posix_stage_close(struct gy_world *world, struct gy_stage *stage, bool unlink);

int gy_posix_wake_fd(struct gy_world *world);
void gy_posix_wake_drain(struct gy_world *world);
void gy_posix_wake_at(struct gy_world *world, uint64_t at_ns);
void gy_posix_wake_fini(struct gy_posix *posix); /* zeroed is fine */

/* Sleep until now_ns time `deadline_ns`, or until a signal. */
void gy_posix_sleep_until(uint64_t deadline_ns);
/* Threads of this process whose name starts with `prefix`. */
uint64_t gy_posix_count_threads(const char *prefix);
/* The whole of a small text file of /proc or /sys, with a final NUL; -1 when it cannot be read. */
int gy_posix_read_text(const char *path, char *target, size_t capacity);

#endif
