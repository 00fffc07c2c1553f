/* arena.h - the loop's page-aligned memory for I/O: chunks of GY_ARENA_CHUNK in one address range,
 * offered to the world for registration, and a pool of fixed-size transfer buffers cut from them.
 *
 *   A1  The range is reserved once (MAP_NORESERVE, MADV_DONTFORK); a chunk is charged to the heap
 *       when it is handed out and touched.
 *   A2  A chunk is touched and offered to the world once. GY_ARENA_AHEAD chunks are made ready
 *       ahead by a coroutine of the background, a few pages a slice; a request whose buffer
 *       lies in a registered chunk uses it without the caller knowing. A chunk that is put back
 *       keeps its pages (they may be registered) for the next taker.
 *   A3  Buffers (GY_BUFFER_SIZE) never cross a chunk. A buffer that is taken is always given back.
 *       Whoever waits for one waits only for others who had to have theirs: those that are lent, to
 *       readers that could do without, leave GY_ARENA_BUFFERS_OWED.
 *   A4  Up to an eighth of the memory limit stays with the pool. What it has beyond that was made
 *       while a quarter of the memory was left, and goes back as soon as a chunk of it is whole.
 */
#ifndef GY_ARENA_H
#define GY_ARENA_H

#include "io/loop.h"

#define GY_BUFFER_SIZE (256u * 1024u)
#define GY_ARENA_AHEAD 2u
#define GY_ARENA_BUFFERS_OWED 4u /* a flush and a compaction write with two each */

struct gy_arena {
    struct gy_loop *loop;
    uint8_t *base;
    uint32_t chunk_count;      /* in the range */
    uint32_t chunk_fresh;      /* chunks below this were handed out at least once */
    uint32_t chunk_ready;      /* chunks below this are touched and offered to the world */
    uint32_t touched;          /* bytes of the chunk after those */
    bool is_warming;           /* the coroutine that makes them ready ahead is alive */
    uint32_t *free_chunks;     /* stack of returned ones */
    uint32_t free_count;
    uint8_t **free_buffers;    /* stack */
    uint32_t free_buffer_count;
    uint32_t buffer_count;     /* made so far */
    uint32_t buffer_count_max;
    uint32_t buffer_count_kept; /* A4 */
    uint32_t lent_count;
    struct gy_waitq buffer_waiters;
};

/* Room for `chunk_count` chunks and, out of them, `buffer_count_max` buffers (made on demand). */
gyre_status gy_arena_init(struct gy_arena *arena, struct gy_loop *loop, uint32_t chunk_count,
                          uint32_t buffer_count_max);
void gy_arena_fini(struct gy_arena *arena);

/* Start making chunks ready ahead (A2); also done by each take. */
void gy_arena_warm(struct gy_arena *arena);

/* NULL: the range or the memory limit is used up. The tag is charged for the whole chunk. */
void *gy_arena_chunk_get(struct gy_arena *arena, enum gy_mem_tag tag);
void gy_arena_chunk_put(struct gy_arena *arena, void *chunk, enum gy_mem_tag tag);

/* A buffer of GY_BUFFER_SIZE, waiting while all are out. NULL only when not even one could be
 * made. */
GY_SUSPENDS uint8_t *gy_arena_await_buffer(struct gy_arena *arena);
uint8_t *gy_arena_buffer_try(struct gy_arena *arena); /* NULL instead of waiting */
void gy_arena_buffer_put(struct gy_arena *arena, uint8_t *buffer); /* NULL is fine */

/* For those who can do without: NULL is usual where memory is short. */
uint8_t *gy_arena_buffer_lend(struct gy_arena *arena);
void gy_arena_buffer_return(struct gy_arena *arena, uint8_t *buffer); /* NULL is fine */

#endif
