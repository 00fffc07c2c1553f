/* gyre/memory.h - what a loop's memory is used for. Reading never suspends and costs nothing worth
 * naming. Sizes are bytes.
 *
 * All that the library takes is charged to `limit` before it is taken: what would pass it is
 * refused with NO_MEMORY, or waits where it can. It is charged whole, as if every page of it were
 * touched, so the process seldom has all of `used` resident.
 *
 * Outside of it are, and are the host's to add: programs and libraries; batches (gyre/batch.h) and
 * the buffers of scans, which are the host's; the kernel's bookkeeping for a loop (requests, page
 * tables, 16 bytes for each registered page); what malloc loses between blocks; the page cache
 * where a file system has no O_DIRECT. In a control group, memory_limit and a tenth is enough for
 * all that belongs to the loop (tests/kernel/kernel_memory.sh).
 */
#ifndef GYRE_MEMORY_H
#define GYRE_MEMORY_H

#include "gyre/loop.h"

GYRE_EXTERN_C_BEGIN

struct gyre_memory {
    uint32_t struct_size;   /* set by the caller: sizeof(struct gyre_memory) */
    uint32_t reserved_;
    uint64_t limit;         /* memory_limit */
    uint64_t used;
    uint64_t peak;          /* the most that `used` has been; never above `limit` */
    /* What `used` is for: these add up to it, to the byte. */
    uint64_t loop;          /* scheduler, requests, histograms */
    uint64_t stacks;        /* of coroutines, those kept for the next ones too */
    uint64_t logs;          /* buffers in which log groups are built; in /dev/shm where it is */
    uint64_t buffers;       /* for files read and written in the background; zstd */
    uint64_t cache;         /* the block cache, what values and iterators pin in it too */
    uint64_t memtables;     /* chunks kept for the next one too */
    uint64_t tables;        /* open tables: the top of their index, names, ranges */
    uint64_t versions;      /* stores, versions, views, manifests */
    uint64_t calls;         /* iterators, snapshots, copies of values, operations on their way */
    /* How often memory was asked for since the loop was opened: gets, writes, steps of iterators
     * and submitted operations of a warm store leave it alone (tests/unit/test_no_allocation.c). */
    uint64_t allocations;
    /* Append here. */
};

/* Fill *memory; memory->struct_size must be set.
 *
 * Returns: INVALID, MISUSE.
 * Source:  engine/db/memory.c */
GYRE_API gyre_status gyre_memory(gyre_loop *loop, struct gyre_memory *memory);

GYRE_EXTERN_C_END

#endif
