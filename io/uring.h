/* uring.h - what the files of the io_uring world share: the ring, its operation records and its
 * registered memory. Private to world_uring.c and uring_*.c.
 *
 *   U1  A request owns a record in `ops` before it takes a submission entry, and keeps it until its
 *       completion has been read. user_data is index and generation of the record, so a completion
 *       that does not belong to the record's request is not taken for one that does.
 *   U2  Records are fewer than half of the completion queue: it never overflows.
 *   U3  Everything registered is optional; an unregistered file or buffer goes the plain way.
 */
#ifndef GY_URING_H
#define GY_URING_H

#include <liburing.h>

#include "io/posix.h"

#define GY_URING_STAGES_MAX 16u

struct gy_uring_op {
    struct gy_req *req;   /* NULL: free */
    uint32_t generation;
    uint32_t slot;        /* OPEN: taken for the file to be opened */
    struct open_how how;  /* OPEN: read by the kernel when it takes the entry */
};

/* Registered memory: index i of the ring's buffer table holds the chunk at chunk_base[i]; staging
 * memory follows behind the chunks. */
struct gy_uring_memory {
    uint64_t *chunk_base;  /* by index; 0 = empty */
    uint32_t chunk_count_max;
    uint32_t chunk_next;   /* indices from here on were never used */
    uint16_t *hash;        /* chunk number -> index + 1; linear probing; 0 = empty */
    uint32_t hash_mask;
    struct {
        uint64_t base;     /* 0 = empty */
        uint64_t size;
    } stages[GY_URING_STAGES_MAX];
    bool is_refused;       /* the kernel said no once: do not ask again */
};

struct gy_uring {
    struct gy_posix posix; /* first: gy_world is its first member */
    struct io_uring ring;
    bool is_ring_open;
    bool has_task_flag;    /* the kernel tells in the ring when completions wait to be posted */
    bool sync_by_worker;   /* durable writes too: the thread never waits for a flush */
    bool can[GY_OP_COUNT]; /* done by the ring; the others by plain calls in reap */
    struct gy_uring_op *ops;
    uint32_t *free_ops;    /* stack */
    uint32_t free_op_count;
    uint32_t op_count_max;
    struct gy_list backlog; /* waiting for a record or a submission entry */
    struct gy_list plain;   /* for the next reap */
    struct gy_list done;    /* finished, not yet handed out */
    /* Records in use, by what the waiting rule asks for. */
    uint32_t busy_count;
    uint32_t busy_reads;    /* user reads */
    uint32_t busy_urgent;   /* WAL requests and syncs */
    uint32_t busy_syncs;    /* syncs and durable writes */
    uint64_t yield_from_ns; /* not before: the last one gave the CPU to another process */
    struct gy_uring_memory memory;
};

#define GY_URING_OP_FTRUNCATE 55 /* Linux 6.9; liburing 2.3 has no name for it */

/* uring_open.c: the ring with the best flags there are, its tables, what it can do. */
gyre_status gy_uring_setup(struct gy_uring *uring, uint32_t cq_entries, char ret_reason[160]);
void gy_uring_close_ring(struct gy_uring *uring);

/* uring_prepare.c: fill the entry for op->req, user_data included. */
void gy_uring_prepare(struct gy_uring *uring, struct io_uring_sqe *sqe, struct gy_uring_op *op);

/* uring_memory.c */
gyre_status gy_uring_memory_init(struct gy_uring *uring, bool is_wanted);
void gy_uring_memory_fini(struct gy_uring *uring);
/* Index in the ring's buffer table of registered memory that holds all of the range; -1 = none. */
int gy_uring_memory_find(const struct gy_uring_memory *memory, const void *base, uint32_t size);
void gy_uring_arena_add(struct gy_world *world, void *base, size_t size);
void gy_uring_arena_remove(struct gy_world *world, void *base, size_t size);
int gy_uring_stage_create(struct gy_world *world, struct gy_stage *stage, const uint64_t id[2],
                          size_t size);
bool gy_uring_stage_close(struct gy_world *world, struct gy_stage *stage, bool unlink);

static inline uint64_t
gy_uring_user_data(const struct gy_uring *uring, const struct gy_uring_op *op)
{
    return (uint64_t)op->generation << 32 | (uint32_t)(op - uring->ops);
}

static inline struct gy_uring *
gy_uring_of(struct gy_world *world)
{
    return gy_container_of(world, struct gy_uring, posix.world);
}

#endif
