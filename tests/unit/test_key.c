/* test_key.c - order of keys and entries, prefixes, separators. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "engine/codec/key.h"
#include "io/base/rng.h"
#include "tests/support/golden.h"

#define KEY_MAX 24u

struct key {
    uint8_t bytes[KEY_MAX];
    size_t size;
};

/* Few different bytes, the extreme ones among them, so that keys share prefixes and differ by
 * zeros. */
static struct key
random_key(struct gy_rng *rng, size_t size_max)
{
    static const uint8_t alphabet[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff};
    const uint64_t letters = 2 + gy_rng_below(rng, 5);
    struct key key = {.size = 1 + gy_rng_below(rng, size_max)};

    for (size_t i = 0; i < key.size; i++) {
        key.bytes[i] = alphabet[gy_rng_below(rng, letters)];
    }
    return key;
}

static struct gyre_slice
slice_of(const struct key *key)
{
    return gyre_slice(key->bytes, key->size);
}

static int
sign(int order)
{
    return (order > 0) - (order < 0);
}

/* The definition, byte by byte. */
static int
compare_plainly(const struct key *a, const struct key *b)
{
    for (size_t i = 0; i < a->size && i < b->size; i++) {
        if (a->bytes[i] != b->bytes[i]) {
            return a->bytes[i] < b->bytes[i] ? -1 : 1;
        }
    }
    return a->size == b->size ? 0 : a->size < b->size ? -1 : 1;
}

/* Goal:   keys are ordered bytewise, then the shorter first, and the prefix never contradicts that.
 * Method: random pairs over tiny alphabets against the definition; a prefix of a key in a block of
 *         exact size. */
static void
key_order_is_bytewise_and_prefix_agrees(void **state)
{
    struct gy_rng rng;
    (void)state;

    gy_rng_init(&rng, 1);
    for (unsigned i = 0; i < 200000; i++) {
        const struct key a = random_key(&rng, i % 2 == 0 ? 4 : KEY_MAX);
        const struct key b = random_key(&rng, i % 2 == 0 ? 4 : KEY_MAX);
        const uint64_t a_prefix = gy_key_prefix(slice_of(&a));
        const uint64_t b_prefix = gy_key_prefix(slice_of(&b));
        const int order = sign(gy_key_compare(slice_of(&a), slice_of(&b)));

        assert_int_equal(order, compare_plainly(&a, &b));
        assert_int_equal(sign(gy_key_compare(slice_of(&b), slice_of(&a))), -order);
        if (a_prefix != b_prefix) {
            assert_int_equal(order, a_prefix < b_prefix ? -1 : 1);
        }
    }
    for (size_t size = 1; size <= 9; size++) {
        uint8_t *exact = golden_copy((const uint8_t *)"\x01\x02\x03\x04\x05\x06\x07\x08\x09", size);
        const uint64_t whole = 0x0102030405060708ull;
        const uint64_t mask = size >= 8 ? UINT64_MAX : ~(UINT64_MAX >> (8 * size));

        assert_true(gy_key_prefix(gyre_slice(exact, size)) == (whole & mask));
        free(exact);
    }
}

/* Goal:   of one key the newest version comes first; a seek tag stands in front of what it may see
 *         and behind what is too new.
 * Method: the tags around one sequence, with every kind. */
static void
key_versions_come_newest_first(void **state)
{
    const struct gyre_slice key = gyre_str("k");
    (void)state;

    for (unsigned kind = 0; kind <= 0xff; kind++) {
        const uint64_t older = gy_tag(41, (enum gy_kind)kind);
        const uint64_t same = gy_tag(42, (enum gy_kind)kind);
        const uint64_t newer = gy_tag(43, (enum gy_kind)kind);

        assert_true(gy_entry_compare(key, newer, key, same) < 0);
        assert_true(gy_entry_compare(key, same, key, older) < 0);
        assert_int_equal(gy_entry_compare(key, same, key, same), 0);
        assert_true(gy_entry_compare(key, newer, key, gy_tag_seek(42)) < 0);
        assert_true(gy_entry_compare(key, gy_tag_seek(42), key, same) <= 0);
        assert_true(gy_tag_sequence(same) == 42 && (unsigned)gy_tag_kind(same) == kind);
    }
    assert_true(gy_tag_sequence(gy_tag(GY_SEQUENCE_MAX, GY_KIND_PUT)) == GY_SEQUENCE_MAX);
    assert_true(gy_entry_compare(gyre_str("a"), 1, gyre_str("b"), 9) < 0);
}

/* Goal:   a separator s of a < b keeps a <= s < b, is no longer than a, and is a prefix of a with
 *         at most its last byte raised; where a shorter one of that form exists, it is shorter than
 *         a.
 * Method: random pairs over tiny alphabets with 0x00, 0xfe and 0xff; the target has exactly a.size
 *         bytes. The shortest is found by trying all prefixes. */
static size_t
shortest_separator(const struct key *a, const struct key *b)
{
    for (size_t size = 1; size < a->size; size++) {
        struct key raised = *a;

        raised.size = size;
        if (raised.bytes[size - 1] < 0xff) {
            raised.bytes[size - 1]++;
            if (compare_plainly(&raised, b) < 0) {
                return size;
            }
        }
    }
    return a->size;
}

static void
key_separator_lies_between_and_is_shortest(void **state)
{
    struct gy_rng rng;
    unsigned shortened = 0;
    (void)state;

    gy_rng_init(&rng, 2);
    for (unsigned i = 0; i < 300000; i++) {
        struct key a = random_key(&rng, i % 3 == 0 ? KEY_MAX : 5);
        struct key b = random_key(&rng, i % 3 == 0 ? KEY_MAX : 5);
        struct gyre_slice s;
        uint8_t *target;

        if (compare_plainly(&a, &b) >= 0) {
            continue;
        }
        target = malloc(a.size);
        assert_non_null(target);
        s = gyre_slice(target, gy_key_separator(slice_of(&a), slice_of(&b), target));
        assert_true(gy_key_compare(slice_of(&a), s) <= 0);
        assert_true(gy_key_compare(s, slice_of(&b)) < 0);
        assert_in_range(s.size, 1, a.size);
        assert_memory_equal(target, a.bytes, s.size - 1);
        assert_true(target[s.size - 1] - a.bytes[s.size - 1] <= 1);
        assert_int_equal(s.size, shortest_separator(&a, &b));
        shortened += s.size < a.size;
        free(target);
    }
    assert_true(shortened > 10000); /* the case that matters was met */
    assert_int_equal(gy_key_separator(gyre_slice(NULL, 0), gyre_str("a"), NULL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_order_is_bytewise_and_prefix_agrees),
        cmocka_unit_test(key_versions_come_newest_first),
        cmocka_unit_test(key_separator_lies_between_and_is_shortest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
