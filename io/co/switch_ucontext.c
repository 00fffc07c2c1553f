/* switch_ucontext.c - change stacks with ucontext: portable, and slow (223 ns), since each switch
 * asks the kernel for the signal mask. For machines without an assembly switch. */
#include "io/co/switch.h"

#ifdef GY_SWITCH_UCONTEXT

#include <stdint.h>
#include <ucontext.h>

#include "io/base/assert.h"

/* makecontext passes ints only: two pointers in halves. */
static void
start(unsigned entry_high, unsigned entry_low, unsigned arg_high, unsigned arg_low)
{
    const uint64_t entry = ((uint64_t)entry_high << 32) | entry_low;
    const uint64_t arg = ((uint64_t)arg_high << 32) | arg_low;

    ((void (*)(void *))(uintptr_t)entry)((void *)(uintptr_t)arg);
    gy_bug("the entry of a coroutine came back");
}

void
gy_context_make(struct gy_context *context, void *stack, size_t stack_size, void (*entry)(void *),
                void *arg)
{
    const uint64_t entry_bits = (uintptr_t)entry;
    const uint64_t arg_bits = (uintptr_t)arg;
    /* The machine state lies at the top of the stack that it describes. */
    ucontext_t *const ucontext =
        (ucontext_t *)(((uintptr_t)stack + stack_size - sizeof(ucontext_t)) & ~(uintptr_t)63);

    gy_assert(stack_size >= 2 * sizeof(*ucontext) + 1024);

    const int rc = getcontext(ucontext);

    gy_assert(rc == 0);
    ucontext->uc_stack.ss_sp = stack;
    ucontext->uc_stack.ss_size = (size_t)((char *)ucontext - (char *)stack);
    ucontext->uc_link = NULL;
    makecontext(ucontext, (void (*)(void))(void *)start, 4, (unsigned)(entry_bits >> 32),
                (unsigned)entry_bits, (unsigned)(arg_bits >> 32), (unsigned)arg_bits);
    context->ucontext = ucontext;
    context->sp = ucontext;
}

/* The state of the one that is left stays in this frame; on some machines it has 4 KiB of vector
 * registers, which is why the limit of frames is lifted here. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wframe-larger-than="
void
gy_context_switch(struct gy_context *from, struct gy_context *to)
{
    ucontext_t here;

    from->ucontext = &here;
    from->sp = &here;

    const int rc = swapcontext(&here, to->ucontext);

    gy_assert(rc == 0);
}
#pragma GCC diagnostic pop

#endif
