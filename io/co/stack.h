/* stack.h - pooled coroutine stacks with a guard page below each.
 *
 *   K1  A stack is GY_STACK_SIZE usable bytes (4 times that under sanitizers), never less than
 *       32 KiB + AT_MINSIGSTKSZ, so that a host's signal handler fits.
 *   K2  The page below is inaccessible: an overrun is a fault at once, never silent damage.
 *   K3  A released stack is reused last in, first out (its pages are warm).
 *   K4  Stacks are MADV_DONTFORK (but for AddressSanitizer); Valgrind knows each of them. So a
 *       child forked inside a coroutine has no stack and dies at once: hosts fork on their own
 *       stack.
 */
#ifndef GY_STACK_H
#define GY_STACK_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/base/heap.h"
#include "io/co/sanitize.h"

#if defined(GY_ASAN) || defined(GYRE_SANITIZED)
#define GY_STACK_SIZE (256u * 1024u)
#else
#define GY_STACK_SIZE (64u * 1024u)
#endif

struct gy_stack {
    struct gy_stack *next; /* in the pool; the struct itself lies at the top of its stack */
    uint8_t *base;         /* lowest usable byte */
    size_t size;           /* usable bytes below this struct */
    unsigned valgrind_id;
};

struct gy_stack_pool {
    struct gy_heap *heap;
    struct gy_stack *free;
    size_t stack_size;     /* bytes above the guard; each costs this and the guard of the heap */
    uint32_t live_count;   /* handed out */
    uint32_t pooled_count; /* free */
    uint32_t count_max;    /* live + pooled never pass it */
};

void gy_stack_pool_init(struct gy_stack_pool *pool, struct gy_heap *heap, uint32_t count_max);
void gy_stack_pool_fini(struct gy_stack_pool *pool);
/* Have at least `count` stacks free in the pool. False: count_max or no memory; some may have been
 * made. */
bool gy_stack_pool_fill(struct gy_stack_pool *pool, uint32_t count);
struct gy_stack *gy_stack_get(struct gy_stack_pool *pool); /* NULL: count_max or no memory */
void gy_stack_put(struct gy_stack_pool *pool, struct gy_stack *stack);

#endif
