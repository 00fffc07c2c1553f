/* arena.c - see arena.h for A1 to A3. */
#include "io/arena.h"

#include <string.h>

#include "io/base/assert.h"
#include "io/base/bits.h"

#define TOUCH_STEP (16u * GY_PAGE)
#define BUFFERS_PER_CHUNK (GY_ARENA_CHUNK / GY_BUFFER_SIZE)
_Static_assert(GY_ARENA_CHUNK % GY_BUFFER_SIZE == 0, "A3: buffers never cross a chunk");
_Static_assert(GY_PAGES_RANGE_ALIGN % GY_ARENA_CHUNK == 0, "chunks are aligned to their size");

gyre_status
gy_arena_init(struct gy_arena *arena, struct gy_loop *loop, uint32_t chunk_count,
              uint32_t buffer_count_max)
{
    gy_assert(chunk_count > 0);
    memset(arena, 0, sizeof(*arena));
    arena->loop = loop;
    arena->chunk_count = chunk_count;
    arena->buffer_count_max = buffer_count_max;
    arena->buffer_count_kept =
        (uint32_t)gy_min_u64(loop->heap.limit / 8 / GY_BUFFER_SIZE, buffer_count_max);
    gy_waitq_init(&arena->buffer_waiters);
    arena->free_chunks =
        gy_heap_alloc(&loop->heap, chunk_count * sizeof(arena->free_chunks[0]), GY_MEM_LOOP);
    arena->free_buffers = gy_heap_alloc(
        &loop->heap, (buffer_count_max + 1) * sizeof(arena->free_buffers[0]), GY_MEM_LOOP);
    arena->base = gy_heap_reserve(&loop->heap, (size_t)chunk_count * GY_ARENA_CHUNK);
    if (arena->free_chunks == NULL || arena->free_buffers == NULL || arena->base == NULL) {
        gy_arena_fini(arena);
        return GYRE_NO_MEMORY;
    }
    return GYRE_OK;
}

void
gy_arena_fini(struct gy_arena *arena)
{
    struct gy_world *world;

    if (arena->loop == NULL) {
        return; /* zeroed */
    }
    gy_assert(arena->free_buffer_count == arena->buffer_count); /* A3: all are back */
    gy_assert(arena->lent_count == 0);
    gy_assert(gy_waitq_is_empty(&arena->buffer_waiters) && !arena->is_warming);
    world = arena->loop->world;
    if (arena->base != NULL) {
        if (world->ops->arena_remove != NULL && arena->chunk_ready != 0) {
            world->ops->arena_remove(world, arena->base,
                                     (size_t)arena->chunk_ready * GY_ARENA_CHUNK);
        }
        gy_heap_unreserve(&arena->loop->heap, arena->base,
                          (size_t)arena->chunk_count * GY_ARENA_CHUNK);
    }
    /* Chunks of buffers are charged until now; those of others were put back by their owners. */
    gy_heap_discharge(&arena->loop->heap,
                      gy_align_up(arena->buffer_count, BUFFERS_PER_CHUNK) / BUFFERS_PER_CHUNK *
                          (uint64_t)GY_ARENA_CHUNK,
                      GY_MEM_BUFFERS);
    gy_heap_free(&arena->loop->heap, arena->free_chunks);
    gy_heap_free(&arena->loop->heap, arena->free_buffers);
    memset(arena, 0, sizeof(*arena));
}

/* Fault `size` bytes of the next chunk in; offer it to the world once all of it is. True: it is
 * ready. */
static bool
make_ready(struct gy_arena *arena, uint32_t size)
{
    struct gy_world *world = arena->loop->world;
    uint8_t *chunk = arena->base + (size_t)arena->chunk_ready * GY_ARENA_CHUNK;

    if (arena->loop->heap.pages != NULL) {
        arena->touched = GY_ARENA_CHUNK; /* no device, no faults to keep out of its way */
    }
    for (; size > 0 && arena->touched < GY_ARENA_CHUNK; size -= GY_PAGE) {
        ((volatile uint8_t *)chunk)[arena->touched] = 0;
        arena->touched += GY_PAGE;
    }
    if (arena->touched < GY_ARENA_CHUNK) {
        return false;
    }
    arena->touched = 0;
    arena->chunk_ready++;
    world->ops->arena_add(world, chunk, GY_ARENA_CHUNK);
    return true;
}

/* What is made ready is not charged before it is handed out: only what the limit has room for. */
static bool
wants_more(const struct gy_arena *arena)
{
    const struct gy_heap *heap = &arena->loop->heap;
    const uint32_t ahead = arena->chunk_ready - arena->chunk_fresh;

    return arena->chunk_ready < arena->chunk_count && ahead < GY_ARENA_AHEAD &&
           heap->limit - heap->used > (uint64_t)(ahead + 1) * GY_ARENA_CHUNK;
}

static void
warm_main(void *arg)
{
    struct gy_arena *arena = arg;

    gy_in_coroutine();
    while (wants_more(arena)) {
        (void)make_ready(arena, TOUCH_STEP);
        gy_await_yield(&arena->loop->sched);
    }
    arena->is_warming = false;
}

void
gy_arena_warm(struct gy_arena *arena)
{
    if (!arena->is_warming && wants_more(arena)) {
        arena->is_warming = gy_spawn(&arena->loop->sched, GY_CLASS_BACKGROUND, "arena", warm_main,
                                     /* else the next is made when needed */
                                     arena, NULL) == GYRE_OK;
    }
}

static uint8_t *
chunk_fresh(struct gy_arena *arena)
{
    uint8_t *chunk = arena->base + (size_t)arena->chunk_fresh * GY_ARENA_CHUNK;

    if (arena->chunk_fresh == arena->chunk_ready) {
        (void)make_ready(arena, GY_ARENA_CHUNK);
    }
    arena->chunk_fresh++;
    gy_arena_warm(arena);
    return chunk;
}

void *
gy_arena_chunk_get(struct gy_arena *arena, enum gy_mem_tag tag)
{
    if (arena->free_count == 0 && arena->chunk_fresh == arena->chunk_count) {
        return NULL;
    }
    if (!gy_heap_charge(&arena->loop->heap, GY_ARENA_CHUNK, tag)) {
        return NULL;
    }
    if (arena->free_count != 0) {
        arena->free_count--;
        return arena->base + (size_t)arena->free_chunks[arena->free_count] * GY_ARENA_CHUNK;
    }
    return chunk_fresh(arena);
}

void
gy_arena_chunk_put(struct gy_arena *arena, void *chunk, enum gy_mem_tag tag)
{
    const size_t at = (size_t)((uint8_t *)chunk - arena->base);

    gy_assert((uint8_t *)chunk >= arena->base && at % GY_ARENA_CHUNK == 0);
    gy_assert(at / GY_ARENA_CHUNK < arena->chunk_fresh);
    gy_assert(arena->free_count < arena->chunk_fresh);
    /* The pages stay: they may be registered, and giving registered pages back to the kernel would
     * leave the ring with pages that this mapping no longer shows. */
    gy_heap_discharge(&arena->loop->heap, GY_ARENA_CHUNK, tag);
    arena->free_chunks[arena->free_count] = (uint32_t)(at / GY_ARENA_CHUNK);
    arena->free_count++;
}

/* Cut one chunk into buffers; fewer than a chunk has when buffer_count_max ends it. */
static bool
buffers_make(struct gy_arena *arena)
{
    uint8_t *chunk;

    if (arena->buffer_count == arena->buffer_count_max) {
        return false;
    }
    chunk = gy_arena_chunk_get(arena, GY_MEM_BUFFERS);
    if (chunk == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < BUFFERS_PER_CHUNK && arena->buffer_count < arena->buffer_count_max;
         i++) {
        arena->free_buffers[arena->free_buffer_count] = chunk + (size_t)i * GY_BUFFER_SIZE;
        arena->free_buffer_count++;
        arena->buffer_count++;
    }
    return true;
}

uint8_t *
gy_arena_buffer_try(struct gy_arena *arena)
{
    if (arena->free_buffer_count == 0 && !buffers_make(arena)) {
        return NULL;
    }
    arena->free_buffer_count--;
    return arena->free_buffers[arena->free_buffer_count];
}

uint8_t *
gy_arena_await_buffer(struct gy_arena *arena)
{
    uint8_t *buffer;

    while ((buffer = gy_arena_buffer_try(arena)) == NULL) {
        if (arena->buffer_count == 0) {
            return NULL; /* nobody holds one that could come back */
        }
        gy_waitq_await(&arena->loop->sched, &arena->buffer_waiters);
    }
    return buffer;
}

static bool
has_memory_to_lend(const struct gy_arena *arena)
{
    const struct gy_heap *heap = &arena->loop->heap;

    return arena->buffer_count < arena->buffer_count_kept ||
           gy_sub_sat(heap->limit - heap->limit / 4, heap->used) >= GY_ARENA_CHUNK;
}

uint8_t *
gy_arena_buffer_lend(struct gy_arena *arena)
{
    while (arena->free_buffer_count == 0 ||
           arena->buffer_count <= arena->lent_count + GY_ARENA_BUFFERS_OWED) {
        if (!has_memory_to_lend(arena) || !buffers_make(arena)) {
            return NULL;
        }
    }
    arena->lent_count++;
    return gy_arena_buffer_try(arena);
}

static uint8_t *
chunk_of(const struct gy_arena *arena, const uint8_t *buffer)
{
    return arena->base + gy_align_down((uint64_t)(buffer - arena->base), GY_ARENA_CHUNK);
}

/* A4: the chunk of `buffer` goes back if all of it is free. One that was cut into fewer buffers
 * than fit stays. */
static void
give_back(struct gy_arena *arena, const uint8_t *buffer)
{
    uint8_t *chunk = chunk_of(arena, buffer);
    uint32_t count = 0;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < arena->free_buffer_count; i++) {
        count += chunk_of(arena, arena->free_buffers[i]) == chunk;
    }
    if (count < BUFFERS_PER_CHUNK) {
        return;
    }
    for (uint32_t i = 0; i < arena->free_buffer_count; i++) {
        if (chunk_of(arena, arena->free_buffers[i]) != chunk) {
            arena->free_buffers[kept++] = arena->free_buffers[i];
        }
    }
    arena->free_buffer_count = kept;
    arena->buffer_count -= BUFFERS_PER_CHUNK;
    gy_arena_chunk_put(arena, chunk, GY_MEM_BUFFERS);
}

void
gy_arena_buffer_put(struct gy_arena *arena, uint8_t *buffer)
{
    if (buffer == NULL) {
        return;
    }
    gy_assert(arena->free_buffer_count < arena->buffer_count);
    gy_assert(buffer >= arena->base && (size_t)(buffer - arena->base) % GY_BUFFER_SIZE == 0);
    arena->free_buffers[arena->free_buffer_count] = buffer;
    arena->free_buffer_count++;
    if (gy_waitq_is_empty(&arena->buffer_waiters) &&
        arena->buffer_count >= arena->buffer_count_kept + BUFFERS_PER_CHUNK) {
        give_back(arena, buffer);
    }
    gy_waitq_wake_one(&arena->buffer_waiters);
}

void
gy_arena_buffer_return(struct gy_arena *arena, uint8_t *buffer)
{
    if (buffer != NULL) {
        gy_assert(arena->lent_count > 0);
        arena->lent_count--;
        gy_arena_buffer_put(arena, buffer);
    }
}
