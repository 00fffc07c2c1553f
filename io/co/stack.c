/* stack.c - the stacks of coroutines (stack.h).
 *
 *   high  +-----------------------+  end of the mapping
 *         | colour, 0 to 2 KiB    |
 *         | struct gy_stack       |
 *         | usable bytes          |  first the struct gy_co, which the scheduler puts there
 *         | guard                 |  one page of the machine, no access
 *   low   +-----------------------+
 *
 * The colour differs from stack to stack. Without it the tops of all stacks would fall into the
 * same few sets of the processor's first cache and drive each other out.
 */
#include "io/co/stack.h"

#include <sys/auxv.h>

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/co/sanitize.h"

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high) 0u
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

#define COLOUR_STEP 64u
#define COLOUR_COUNT 32u
#define TOP_SIZE GY_PAGE /* for what lies on top: colour, gy_stack, gy_co */

void
gy_stack_pool_init(struct gy_stack_pool *pool, struct gy_heap *heap, uint32_t count_max)
{
    const uint64_t least = 32u * GY_KIB + getauxval(AT_MINSIGSTKSZ);
    const uint64_t usable = gy_max_u64(GY_STACK_SIZE, least);

    gy_assert(heap != NULL && count_max > 0);
    *pool = (struct gy_stack_pool){
        .heap = heap,
        .stack_size = gy_align_up(usable + TOP_SIZE, gy_pages_guard_size()),
        .count_max = count_max,
    };
}

void
gy_stack_pool_fini(struct gy_stack_pool *pool)
{
    const size_t guard = gy_pages_guard_size();

    gy_assert(pool->live_count == 0);
    while (pool->free != NULL) {
        struct gy_stack *stack = pool->free;

        pool->free = stack->next;
        pool->pooled_count--;
        VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
        gy_heap_unmap_stack(pool->heap, stack->base - guard, guard + pool->stack_size,
                            GY_MEM_STACK);
    }
    gy_assert(pool->pooled_count == 0);
}

static struct gy_stack *
make(struct gy_stack_pool *pool)
{
    const size_t guard = gy_pages_guard_size();
    const size_t colour = ((pool->live_count + pool->pooled_count) % COLOUR_COUNT) * COLOUR_STEP;
    uint8_t *mapping = gy_heap_map_stack(pool->heap, guard + pool->stack_size, GY_MEM_STACK);
    struct gy_stack *stack;
    uint8_t *top;

    if (mapping == NULL) {
        return NULL;
    }
    top = mapping + guard + pool->stack_size - colour;
    stack = (struct gy_stack *)(void *)(top - gy_align_up(sizeof(*stack), COLOUR_STEP));
    *stack = (struct gy_stack){.base = mapping + guard};
    stack->size = (size_t)((uint8_t *)stack - stack->base);
    stack->valgrind_id = VALGRIND_STACK_REGISTER(stack->base, (uint8_t *)stack);
    return stack;
}

bool
gy_stack_pool_fill(struct gy_stack_pool *pool, uint32_t count)
{
    while (pool->pooled_count < count) {
        struct gy_stack *stack =
            pool->live_count + pool->pooled_count < pool->count_max ? make(pool) : NULL;

        if (stack == NULL) {
            return false;
        }
        stack->next = pool->free;
        pool->free = stack;
        pool->pooled_count++;
    }
    return true;
}

struct gy_stack *
gy_stack_get(struct gy_stack_pool *pool)
{
    struct gy_stack *stack = pool->free;

    if (stack != NULL) {
        gy_assert(pool->pooled_count > 0);
        pool->free = stack->next;
        pool->pooled_count--;
    } else {
        if (pool->live_count >= pool->count_max) {
            return NULL;
        }
        stack = make(pool);
        if (stack == NULL) {
            return NULL;
        }
    }
    stack->next = NULL;
    pool->live_count++;
    return stack;
}

void
gy_stack_put(struct gy_stack_pool *pool, struct gy_stack *stack)
{
    gy_assert(pool->live_count > 0 && stack->next == NULL);
    gy_asan_forget(stack->base, stack->size);
    stack->next = pool->free;
    pool->free = stack;
    pool->live_count--;
    pool->pooled_count++;
}
