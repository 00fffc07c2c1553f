/* test_list.c - the intrusive list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/base/list.h"
#include "io/base/rng.h"

struct item {
    int value;
    struct gy_list link;
};

static int
value_of(struct gy_list *node)
{
    return node == NULL ? -1 : gy_container_of(node, struct item, link)->value;
}

/* Goal:   push_back and pop_front are a queue, push_front a stack, insert_before keeps its place.
 *         */
static void
list_keeps_the_order_of_insertion(void **state)
{
    struct item items[5];
    struct gy_list list;
    (void)state;

    gy_list_init(&list);
    assert_true(gy_list_is_empty(&list));
    assert_null(gy_list_pop_front(&list));
    for (int i = 0; i < 5; i++) {
        items[i].value = i;
    }
    gy_list_push_back(&list, &items[1].link);
    gy_list_push_back(&list, &items[3].link);
    gy_list_push_front(&list, &items[0].link);
    gy_list_insert_before(&items[3].link, &items[2].link);
    gy_list_push_back(&list, &items[4].link);

    int expected = 0;
    gy_list_for_each (node, &list) {
        assert_int_equal(value_of(node), expected++);
    }
    assert_int_equal(expected, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(value_of(gy_list_pop_front(&list)), i);
    }
    assert_true(gy_list_is_empty(&list));
}

/* Goal:   a detached node may be removed again without harm, also when its list is gone. */
static void
list_remove_twice_is_harmless(void **state)
{
    struct item items[2];
    struct gy_list list;
    (void)state;

    gy_list_init(&list);
    gy_list_push_back(&list, &items[0].link);
    gy_list_push_back(&list, &items[1].link);
    gy_list_remove(&items[0].link);
    gy_list_remove(&items[0].link);
    assert_ptr_equal(gy_list_pop_front(&list), &items[1].link);
    gy_list_remove(&items[1].link);
    assert_true(gy_list_is_empty(&list));
}

/* Goal:   the body of for_each_safe may remove any node it is given, and sees each one once.
 * Method: random subsets of 16 nodes are removed during a walk; the rest must stay in order. */
static void
list_for_each_safe_survives_removal(void **state)
{
    struct gy_rng rng;
    (void)state;

    gy_rng_init(&rng, 3);
    for (unsigned round = 0; round < 200; round++) {
        const uint64_t removed = gy_rng_next(&rng);
        struct item items[16];
        struct gy_list list;
        int seen = 0;
        int last = -1;

        gy_list_init(&list);
        for (int i = 0; i < 16; i++) {
            items[i].value = i;
            gy_list_push_back(&list, &items[i].link);
        }
        gy_list_for_each_safe (node, &list) {
            assert_int_equal(value_of(node), seen++);
            if ((removed >> value_of(node)) & 1) {
                gy_list_remove(node);
            }
        }
        assert_int_equal(seen, 16);
        gy_list_for_each (node, &list) {
            assert_true(value_of(node) > last);
            last = value_of(node);
            assert_false((removed >> last) & 1);
            seen--;
        }
        assert_int_equal(seen, __builtin_popcountll(removed & 0xffff));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_keeps_the_order_of_insertion),
        cmocka_unit_test(list_remove_twice_is_harmless),
        cmocka_unit_test(list_for_each_safe_survives_removal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
