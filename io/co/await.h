/* await.h - the mark of functions that may suspend.
 *
 * A function whose name contains `await` may switch to another coroutine; its declaration starts
 * with GY_SUSPENDS. clang (-Wthread-safety) then rejects a call from a function without the mark.
 * A coroutine's entry function, which the scheduler calls through a pointer, says
 * gy_in_coroutine() first. What was read before an await is a rumour after it.
 */
#ifndef GY_AWAIT_H
#define GY_AWAIT_H

#if defined(__clang__)
struct __attribute__((capability("coroutine"))) gy_coroutine_role {
    int unused;
};
extern struct gy_coroutine_role gy_coroutine_role; /* never defined: it lives in the checker only */
#define GY_SUSPENDS __attribute__((requires_capability(gy_coroutine_role)))
static inline void
gy_in_coroutine(void) __attribute__((assert_capability(gy_coroutine_role)))
{
}
#else
#define GY_SUSPENDS
static inline void
gy_in_coroutine(void)
{
}
#endif

#endif
