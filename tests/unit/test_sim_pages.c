/* test_sim_pages.c - pages by kind, from the system and from the store of a simulated machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/base/bits.h"
#include "io/base/heap.h"
#include "io/base/rng.h"
#include "io/sim/sim_pages.h"

/* Writing one byte there kills a child. */
static bool
write_kills(uint8_t *at)
{
    const pid_t child = fork();
    int state = 0;

    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL); /* cmocka's would go on with the next test */
        (void)signal(SIGBUS, SIG_DFL);
        *(volatile uint8_t *)at = 1;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &state, 0), child);
    return !WIFEXITED(state) || WEXITSTATUS(state) != 0;
}

static void
check_kind(struct gy_pages *pages, enum gy_pages_kind kind, size_t size)
{
    uint8_t *base = gy_pages_map(pages, size, kind);
    const size_t head = kind == GY_PAGES_STACK ? gy_pages_guard_size() : 0;

    assert_non_null(base);
    assert_true(
        gy_is_aligned((uintptr_t)base, kind == GY_PAGES_RANGE ? GY_PAGES_RANGE_ALIGN : GY_PAGE));
    memset(base + head, 0x5a, size - head);
    assert_int_equal(base[size - 1], 0x5a);
    if (kind == GY_PAGES_STACK) {
        assert_true(write_kills(base));
        assert_true(write_kills(base + head - 1));
    }
    /* A child keeps only what is meant for it. AddressSanitizer's children keep their stacks. */
    assert_int_equal(write_kills(base + head),
                     kind == GY_PAGES_PLAIN || kind == GY_PAGES_RANGE ||
                         (kind == GY_PAGES_STACK && write_kills(base + size - 1)));
    gy_pages_unmap(pages, base, size, kind);
}

static void
pages_keep_the_rules_of_their_kind(void **state)
{
    struct gy_heap heap;
    struct gy_sim_pages *pages;
    (void)state;

    gy_heap_init(&heap, UINT64_MAX);
    pages = gy_sim_pages_make(&heap, -1);
    for (uint32_t kind = 0; kind < GY_PAGES_KIND_COUNT; kind++) {
        const size_t size = kind == GY_PAGES_RANGE ? 3 * GY_PAGES_RANGE_ALIGN : 17 * GY_PAGE;

        check_kind(NULL, (enum gy_pages_kind)kind, size);
        for (uint32_t i = 0; i < 3; i++) { /* new, and used again twice */
            check_kind(gy_sim_pages_base(pages), (enum gy_pages_kind)kind, size);
        }
    }
    gy_sim_pages_put(pages);
    gy_sim_pages_put(NULL);
    assert_int_equal(heap.used, 0);
}

/* Goal:   what is handed out belongs to one taker, and the last one given back comes first.
 * Method: random takes and returns of random sizes, each filled with a byte of its own. */
static void
sim_pages_hand_out_each_mapping_once(void **state)
{
    struct held {
        uint8_t *base;
        size_t size;
    } held[32] = {{0}};
    struct gy_heap heap;
    struct gy_sim_pages *pages;
    struct gy_rng rng;
    (void)state;

    gy_heap_init(&heap, UINT64_MAX);
    gy_rng_init(&rng, 7);
    pages = gy_sim_pages_make(&heap, -1);
    for (uint32_t step = 0; step < 20000; step++) {
        struct held *one = &held[gy_rng_below(&rng, 32)];

        if (one->base == NULL) {
            one->size = (1 + gy_rng_below(&rng, 9)) * GY_PAGE;
            one->base = gy_pages_map(&pages->base, one->size, GY_PAGES_PLAIN);
            memset(one->base, (int)(one - held), one->size);
            continue;
        }
        for (size_t at = 0; at < one->size; at += GY_PAGE / 2) {
            assert_int_equal(one->base[at], one - held);
        }
        gy_pages_unmap(&pages->base, one->base, one->size, GY_PAGES_PLAIN);
        assert_ptr_equal(gy_pages_map(&pages->base, one->size, GY_PAGES_PLAIN), one->base);
        gy_pages_unmap(&pages->base, one->base, one->size, GY_PAGES_PLAIN);
        one->base = NULL;
    }
    for (uint32_t i = 0; i < 32; i++) {
        if (held[i].base != NULL) {
            gy_pages_unmap(&pages->base, held[i].base, held[i].size, GY_PAGES_PLAIN);
        }
    }
    gy_sim_pages_put(pages);
    assert_int_equal(heap.used, 0);
}

static void
sim_pages_fill_what_they_hand_out(void **state)
{
    struct gy_heap heap;
    struct gy_sim_pages *pages;
    (void)state;

    gy_heap_init(&heap, UINT64_MAX);
    pages = gy_sim_pages_make(&heap, 0xa7);
    heap.pages = &pages->base;
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t *base = gy_heap_map(&heap, 5 * GY_PAGE, GY_MEM_CALL);
        uint8_t *zeroed = gy_heap_map_zeroed(&heap, 5 * GY_PAGE, GY_MEM_CALL);

        for (uint32_t at = 0; at < 5 * GY_PAGE; at++) {
            assert_int_equal(base[at], 0xa7);
            assert_int_equal(zeroed[at], 0);
        }
        memset(base, (int)i, 5 * GY_PAGE);
        memset(zeroed, (int)i, 5 * GY_PAGE);
        gy_heap_unmap(&heap, base, 5 * GY_PAGE, GY_MEM_CALL);
        gy_heap_unmap(&heap, zeroed, 5 * GY_PAGE, GY_MEM_CALL);
    }
    gy_sim_pages_put(pages);
    assert_int_equal(heap.used, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_keep_the_rules_of_their_kind),
        cmocka_unit_test(sim_pages_hand_out_each_mapping_once),
        cmocka_unit_test(sim_pages_fill_what_they_hand_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
