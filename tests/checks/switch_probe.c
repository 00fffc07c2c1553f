/* switch_probe.c - the coroutine switch alone, for processors that we only emulate too.
 *
 * Two contexts go back and forth a thousand times. Each keeps 10 integers and 8 doubles of its own
 * alive over every switch, as many as any ABI lets a callee save; a lost one changes its sum. Also
 * the stack has to be aligned to 16 bytes, which vector instructions of the C library rely on.
 */
#include "io/co/switch.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 1000u
#define STACK_SIZE (64u * 1024u)

#if defined(__aarch64__)
#define IN_VECTOR(x) "+w"(x)
#else
#define IN_VECTOR(x) "+m"(x) /* others save none over a call */
#endif

static struct gy_context host;
static struct gy_context other;
static int failures;

static void
expect(int condition, const char *what)
{
    if (!condition) {
        printf("%s\n", what);
        failures++;
    }
}

/* The empty asm makes each number one that the compiler cannot know or derive from another. */
static __attribute__((noinline)) void
keep_registers(struct gy_context *from, struct gy_context *to, uint64_t seed)
{
    uint64_t a = seed, b = seed + 1, c = seed + 2, d = seed + 3, e = seed + 4;
    uint64_t f = seed + 5, g = seed + 6, h = seed + 7, i = seed + 8, j = seed + 9;
    double m = (double)seed, n = m + 1, o = m + 2, p = m + 3;
    double q = m + 4, r = m + 5, s = m + 6, t = m + 7;

    for (unsigned round = 0; round < ROUNDS; round++) {
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
        __asm__ volatile("" : "+r"(f), "+r"(g), "+r"(h), "+r"(i), "+r"(j));
        __asm__ volatile("" : IN_VECTOR(m), IN_VECTOR(n), IN_VECTOR(o), IN_VECTOR(p));
        __asm__ volatile("" : IN_VECTOR(q), IN_VECTOR(r), IN_VECTOR(s), IN_VECTOR(t));
        gy_context_switch(from, to);
        a++, b++, c++, d++, e++, f++, g++, h++, i++, j++;
        m++, n++, o++, p++, q++, r++, s++, t++;
    }
    expect(a + b + c + d + e + f + g + h + i + j == 10 * (seed + ROUNDS) + 45, "integer lost");
    expect((uint64_t)(m + n + o + p + q + r + s + t) == 8 * (seed + ROUNDS) + 28, "double lost");
}

static void
entry(void *arg)
{
    expect((uintptr_t)__builtin_frame_address(0) % 16 == 0, "stack is not aligned to 16");
    expect(*(const int *)arg == 42, "argument lost");
    keep_registers(&other, &host, 1000);
    for (;;) {
        gy_context_switch(&other, &host);
    }
}

int
main(void)
{
    static int argument = 42;
    void *stack = aligned_alloc(4096, STACK_SIZE);

    if (stack == NULL) {
        return 2;
    }
    gy_context_make(&other, stack, STACK_SIZE, entry, &argument);
    keep_registers(&host, &other, 1);
    gy_context_switch(&host, &other); /* the other one compares its sums now */
    free(stack);
    return failures == 0 ? 0 : 1;
}
