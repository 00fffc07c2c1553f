/* switch.h - the machine's part of a coroutine: save the callee-saved registers, change stacks.
 *
 * x86-64 and aarch64 are assembly (switch_x86_64.S, switch_aarch64.S), others use ucontext
 * (switch_ucontext.c; also with -DGYRE_SWITCH=ucontext). The floating-point control words are not
 * saved: no decision of the engine uses floating point and a coroutine never changes them.
 */
#ifndef GY_SWITCH_H
#define GY_SWITCH_H

#include <stddef.h>

struct gy_context {
    void *sp; /* everything else lies on the stack it points to */
#ifdef GY_SWITCH_UCONTEXT
    void *ucontext;
#endif
};

/* Prepare `context` so that the first switch to it calls entry(arg) on the given stack. `entry`
 * never returns: it ends in a switch away. */
void gy_context_make(struct gy_context *context, void *stack, size_t stack_size,
                     void (*entry)(void *), void *arg);

/* Save the running context in `from` and go on with `to`. */
void gy_context_switch(struct gy_context *from, struct gy_context *to);

#endif
