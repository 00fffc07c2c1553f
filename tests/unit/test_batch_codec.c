/* test_batch_codec.c - operations as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "engine/codec/batch.h"
#include "engine/codec/coding.h"
#include "io/base/rng.h"
#include "tests/support/golden.h"

static uint8_t filler[300];

static struct gy_operation
put(struct gyre_slice key, struct gyre_slice value)
{
    return (struct gy_operation){.kind = GY_KIND_PUT, .key = key, .value = value};
}

static void
assert_same(const struct gy_operation *a, const struct gy_operation *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->keyspace, b->keyspace);
    assert_int_equal(a->key.size, b->key.size);
    assert_memory_equal(a->key.data, b->key.data, a->key.size);
    assert_int_equal(a->value.size, b->value.size);
    if (a->value.size > 0) {
        assert_memory_equal(a->value.data, b->value.data, a->value.size);
    }
}

/* Goal:   the bytes are those that batch.h gives as examples.
 * Method: encode both, compare. */
static void
batch_codec_bytes_are_those_of_the_header(void **state)
{
    const struct gy_operation operations[] = {put(gyre_str("a"), gyre_str("1")),
                                              {.kind = GY_KIND_DELETE, .key = gyre_str("bc")}};
    static const uint8_t expected[] = {0x01, 0x00, 0x01, 0x01, 0x61, 0x31,
                                       0x00, 0x00, 0x02, 0x62, 0x63};
    uint8_t bytes[sizeof(expected)];
    uint8_t *end = gy_operation_encode(bytes, &operations[0]);
    (void)state;

    assert_int_equal(gy_operation_size(&operations[0]), 6);
    assert_int_equal(gy_operation_size(&operations[1]), 5);
    end = gy_operation_encode(end, &operations[1]);
    assert_ptr_equal(end, bytes + sizeof(expected));
    assert_memory_equal(bytes, expected, sizeof(expected));
}

/* Goal:   a list of operations comes back as it was; no cut of it does, unless it falls between
 *         two.
 * Method: random operations in a block of exact size; decode the whole and every cut. */
static void
batch_codec_list_survives_and_cuts_are_seen(void **state)
{
    struct gy_operation operations[12];
    uint8_t bytes[12 * 620];
    size_t ends[13] = {0};
    uint8_t *end = bytes;
    struct gy_rng rng;
    (void)state;

    gy_rng_init(&rng, 3);
    for (unsigned i = 0; i < 12; i++) {
        operations[i] = put(gyre_slice(filler, 1 + gy_rng_below(&rng, i < 6 ? 5 : 300)),
                            gyre_slice(filler, gy_rng_below(&rng, i < 6 ? 5 : 300)));
        if (i % 3 == 2) {
            operations[i].kind = GY_KIND_DELETE;
            operations[i].value.size = 0;
        }
        end = gy_operation_encode(end, &operations[i]);
        ends[i + 1] = (size_t)(end - bytes);
        assert_int_equal(ends[i + 1] - ends[i], gy_operation_size(&operations[i]));
    }
    for (size_t cut = 0; cut <= ends[12]; cut++) {
        uint8_t *copy = golden_copy(bytes, cut);
        const struct gyre_slice list = gyre_slice(copy, cut);
        struct gy_operation operation;
        uint32_t count = 99;
        size_t position = 0;
        unsigned whole = 0;

        for (; whole < 12 && ends[whole + 1] <= cut; whole++) {
            assert_int_equal(gy_operation_decode(list, &position, &operation), GYRE_OK);
            assert_same(&operation, &operations[whole]);
            assert_int_equal(position, ends[whole + 1]);
        }
        assert_int_equal(gy_operation_decode(list, &position, &operation), GYRE_CORRUPT);
        assert_int_equal(position, ends[whole]); /* stays */
        assert_int_equal(gy_operations_count(list, &count),
                         cut == ends[whole] ? GYRE_OK : GYRE_CORRUPT);
        assert_int_equal(count, cut == ends[whole] ? whole : 99);
        free(copy);
    }
}

static gyre_status
decode(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = golden_copy(bytes, size);
    struct gy_operation operation;
    size_t position = 0;
    const gyre_status status = gy_operation_decode(gyre_slice(copy, size), &position, &operation);

    free(copy);
    return status;
}

/* Goal:   what a newer release may write is UNSUPPORTED, what nobody writes is CORRUPT.
 * Method: each rule broken by hand, in the order of the header; limits from both sides. */
static void
batch_codec_refuses_by_rule(void **state)
{
    uint8_t bytes[64] = {0x01, 0x00, 0x01, 0x01, 'a', '1'};
    uint8_t *at;
    (void)state;

    assert_int_equal(decode(bytes, 6), GYRE_OK);
    for (unsigned kind = 2; kind <= 0xff; kind++) {
        bytes[0] = (uint8_t)kind;
        assert_int_equal(decode(bytes, 6), GYRE_UNSUPPORTED);
    }
    bytes[0] = 1;
    bytes[1] = 5;
    assert_int_equal(decode(bytes, 6), GYRE_UNSUPPORTED);
    bytes[1] = 0x80;
    bytes[2] = 0; /* keyspace 0 in two bytes */
    assert_int_equal(decode(bytes, 6), GYRE_CORRUPT);
    bytes[1] = 0;
    bytes[2] = 0; /* a key without bytes */
    assert_int_equal(decode(bytes, 6), GYRE_CORRUPT);
    at = gy_put_varint(bytes + 2, GY_KEY_SIZE_MAX + 1ull);
    gy_put_varint(at, 0);
    assert_int_equal(decode(bytes, sizeof(bytes)), GYRE_CORRUPT);
    bytes[2] = 1;
    at = gy_put_varint(bytes + 3, UINT32_MAX); /* key + value would wrap 32 bits */
    assert_int_equal(decode(bytes, sizeof(bytes)), GYRE_CORRUPT);
    at = gy_put_varint(bytes + 3, 1ull << 33);
    assert_int_equal(decode(bytes, sizeof(bytes)), GYRE_CORRUPT);
    assert_int_equal(gy_operations_count(gyre_slice(NULL, 0), &(uint32_t){0}), GYRE_OK);
}

/* Goal:   the largest key and value pass, and one byte more does not.
 * Method: bytes of the full size with the sizes written by hand. */
static void
batch_codec_limits_are_exact(void **state)
{
    const size_t size = GY_KEY_SIZE_MAX + GY_VALUE_SIZE_MAX + 32;
    uint8_t *bytes = calloc(1, size);
    struct gy_operation operation;
    size_t position = 0;
    uint8_t *at;
    (void)state;

    assert_non_null(bytes);
    operation = put(gyre_slice(bytes, GY_KEY_SIZE_MAX), gyre_slice(bytes, GY_VALUE_SIZE_MAX));
    assert_true(gy_operation_size(&operation) <= size);
    bytes[0] = GY_KIND_PUT;
    at = gy_put_varint(bytes + 2, GY_KEY_SIZE_MAX);
    at = gy_put_varint(at, GY_VALUE_SIZE_MAX);
    assert_int_equal(gy_operation_decode(gyre_slice(bytes, size), &position, &operation), GYRE_OK);
    assert_int_equal(position, (size_t)(at - bytes) + GY_KEY_SIZE_MAX + GY_VALUE_SIZE_MAX);
    at = gy_put_varint(bytes + 2, GY_KEY_SIZE_MAX);
    gy_put_varint(at, GY_VALUE_SIZE_MAX + 1ull);
    position = 0;
    assert_int_equal(gy_operation_decode(gyre_slice(bytes, size), &position, &operation),
                     GYRE_CORRUPT);
    free(bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_codec_bytes_are_those_of_the_header),
        cmocka_unit_test(batch_codec_list_survives_and_cuts_are_seen),
        cmocka_unit_test(batch_codec_refuses_by_rule),
        cmocka_unit_test(batch_codec_limits_are_exact),
    };

    for (size_t i = 0; i < sizeof(filler); i++) {
        filler[i] = (uint8_t)(i * 7);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
