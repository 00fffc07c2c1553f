/* switch.c - lay out a new coroutine's stack for the assembly switches. The numbers of words are
 * those that gy_context_switch restores in switch_x86_64.S and switch_aarch64.S. */
#include "io/co/switch.h"

#ifndef GY_SWITCH_UCONTEXT

#include <stdint.h>
#include <string.h>

#include "io/base/assert.h"

/* Never called: where a new context starts, in assembly. It calls entry(arg). */
void gy_context_entry(void);

#if defined(__x86_64__) && defined(__LP64__)
/* From the stack pointer upwards. Once these seven are gone, gy_context_entry makes a call and so
 * wants rsp on a multiple of 16: the two words above are a pad, a zero for whoever looks for a
 * caller. */
enum word { WORD_R15, WORD_R14, WORD_R13, WORD_R12, WORD_RBX, WORD_RBP, WORD_ADDRESS, WORD_COUNT };
#define WORD_ENTRY WORD_R12
#define WORD_ARG WORD_R13
#define FRAME_WORDS (WORD_COUNT + 2)
_Static_assert((FRAME_WORDS - WORD_COUNT) % 2 == 0, "rsp is a multiple of 16 at the entry");
#elif defined(__aarch64__)
/* x19 to x28, x29, x30, d8 to d15. */
enum word { WORD_X19, WORD_X20, WORD_X29 = 10, WORD_X30, WORD_D8, WORD_COUNT = 20 };
#define WORD_ENTRY WORD_X19
#define WORD_ARG WORD_X20
#define WORD_ADDRESS WORD_X30
#define FRAME_WORDS WORD_COUNT
#else
#error "no assembly switch for this machine: build with -DGY_SWITCH_UCONTEXT (GYRE_SWITCH=ucontext)"
#endif

void
gy_context_make(struct gy_context *context, void *stack, size_t stack_size, void (*entry)(void *),
                void *arg)
{
    const uintptr_t top = ((uintptr_t)stack + stack_size) & ~(uintptr_t)15;
    uint64_t *frame = (uint64_t *)top - FRAME_WORDS;

    gy_assert(stack_size >= 1024);
    /* Zeros: a frame pointer of 0 ends the walk of whoever follows frame pointers. */
    memset(frame, 0, FRAME_WORDS * sizeof(*frame));
    frame[WORD_ENTRY] = (uint64_t)(uintptr_t)entry;
    frame[WORD_ARG] = (uint64_t)(uintptr_t)arg;
    frame[WORD_ADDRESS] = (uint64_t)(uintptr_t)gy_context_entry;
    context->sp = frame;
}

#endif
