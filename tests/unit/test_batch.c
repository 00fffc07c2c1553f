/* test_batch.c - the public batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "engine/codec/batch.h"
#include "engine/db/batch.h"
#include "io/base/rng.h"

static uint8_t filler[256];

/* Every byte of the batch's memory that a caller can see. */
struct picture {
    uint8_t *data;
    size_t size;
    uint32_t count;
    uint64_t user_bytes;
};

static struct picture
take_picture(const gyre_batch *batch)
{
    struct picture picture = {.size = gyre_batch_size(batch),
                              .count = gyre_batch_count(batch),
                              .user_bytes = gy_batch_user_bytes(batch)};

    picture.data = malloc(picture.size + 1);
    assert_non_null(picture.data);
    if (picture.size > 0) {
        memcpy(picture.data, gy_batch_bytes(batch).data, picture.size);
    }
    return picture;
}

static void
assert_as_in(const gyre_batch *batch, struct picture *picture)
{
    assert_int_equal(gyre_batch_size(batch), picture->size);
    assert_int_equal(gyre_batch_count(batch), picture->count);
    assert_true(gy_batch_user_bytes(batch) == picture->user_bytes);
    if (picture->size > 0) {
        assert_memory_equal(gy_batch_bytes(batch).data, picture->data, picture->size);
    }
    free(picture->data);
}

/* Operation `i` of a fixed list: sizes and kinds vary, so do the bytes. */
static struct gyre_batch_operation
operation_at(uint32_t i)
{
    struct gyre_batch_operation operation = {
        .kind = i % 3 == 2 ? GYRE_BATCH_DELETE : GYRE_BATCH_PUT,
        .key = gyre_slice(filler + i % 50, 1 + i % 40),
        .value = gyre_slice(filler + i % 70, i % 3 == 2 ? 0 : i * 7 % 150)};

    return operation;
}

static gyre_status
add(gyre_batch *batch, const struct gyre_batch_operation *operation)
{
    return operation->kind == GYRE_BATCH_PUT
               ? gyre_batch_put(batch, operation->key, operation->value)
               : gyre_batch_delete(batch, operation->key);
}

static void
assert_operation(const struct gyre_batch_operation *a, const struct gyre_batch_operation *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->key.size, b->key.size);
    assert_memory_equal(a->key.data, b->key.data, a->key.size);
    assert_int_equal(a->value.size, b->value.size);
    if (a->value.size > 0) {
        assert_memory_equal(a->value.data, b->value.data, a->value.size);
    }
}

/* Operations first..first+count of the fixed list, in order, `times` over. */
static void
assert_list(const gyre_batch *batch, uint32_t count, uint32_t times)
{
    struct gyre_batch_operation operation;
    size_t position = 0;

    for (uint32_t i = 0; i < count * times; i++) {
        const struct gyre_batch_operation expected = operation_at(i % count);

        assert_true(gyre_batch_next(batch, &position, &operation));
        assert_operation(&operation, &expected);
    }
    assert_false(gyre_batch_next(batch, &position, &operation));
    assert_int_equal(position, gyre_batch_size(batch));
    assert_int_equal(gyre_batch_count(batch), count * times);
}

static gyre_batch *
make_list(uint32_t count)
{
    gyre_batch *batch = gyre_batch_make();

    assert_non_null(batch);
    for (uint32_t i = 0; i < count; i++) {
        const struct gyre_batch_operation operation = operation_at(i);

        assert_int_equal(add(batch, &operation), GYRE_OK);
    }
    return batch;
}

/* Goal:   what was put in comes out in order, and the write path sees the same as the log takes it:
 *         bytes that decode, their count, the sum of key and value sizes.
 * Method: a fixed list; walk it; decode its bytes with the codec; clear and use it again. */
static void
batch_gives_back_what_was_put_in(void **state)
{
    gyre_batch *batch = make_list(1000);
    uint64_t user_bytes = 0;
    uint32_t count = 0;
    (void)state;

    for (unsigned round = 0; round < 2; round++) {
        assert_list(batch, 1000, 1);
        assert_int_equal(gy_operations_count(gy_batch_bytes(batch), &count), GYRE_OK);
        assert_int_equal(count, 1000);
        user_bytes = 0;
        for (uint32_t i = 0; i < 1000; i++) {
            const struct gyre_batch_operation operation = operation_at(i);

            user_bytes += operation.key.size + operation.value.size;
        }
        assert_true(gy_batch_user_bytes(batch) == user_bytes);
        const size_t capacity = batch->capacity;

        gyre_batch_clear(batch);
        assert_list(batch, 1000, 0);
        assert_true(gy_batch_user_bytes(batch) == 0);
        assert_int_equal(batch->capacity, capacity);
        for (uint32_t i = 0; i < 1000; i++) {
            const struct gyre_batch_operation operation = operation_at(i);

            assert_int_equal(add(batch, &operation), GYRE_OK);
        }
        assert_int_equal(batch->capacity, capacity); /* cleared memory is used again */
    }
    gyre_batch_free(batch);
    gyre_batch_free(NULL);
}

/* Goal:   appending adds all operations in order, of another batch, an empty one and itself.
 * Method: lists of known content. */
static void
batch_append_adds_all_in_order(void **state)
{
    gyre_batch *batch = make_list(0);
    gyre_batch *source = make_list(37);
    gyre_batch *empty = make_list(0);
    (void)state;

    assert_int_equal(gyre_batch_append(batch, source), GYRE_OK);
    assert_int_equal(gyre_batch_append(batch, empty), GYRE_OK);
    assert_list(batch, 37, 1);
    for (uint32_t times = 2; times <= 64; times *= 2) {
        assert_int_equal(gyre_batch_append(batch, batch), GYRE_OK);
        assert_list(batch, 37, times);
    }
    assert_int_equal(gyre_batch_append(empty, empty), GYRE_OK);
    assert_list(empty, 37, 0);
    assert_list(source, 37, 1);
    gyre_batch_free(batch);
    gyre_batch_free(source);
    gyre_batch_free(empty);
}

/* Goal:   keys and values may come from the batch itself, also while it grows and moves.
 * Method: put what gyre_batch_next gave, many times over. */
static void
batch_takes_slices_of_itself(void **state)
{
    gyre_batch *batch = make_list(1);
    struct gyre_batch_operation operation;
    size_t position = 0;
    (void)state;

    for (unsigned i = 0; i < 2000; i++) {
        assert_true(gyre_batch_next(batch, &position, &operation));
        assert_int_equal(gyre_batch_put(batch, operation.key, operation.key), GYRE_OK);
    }
    assert_true(gyre_batch_next(batch, &position, &operation));
    assert_int_equal(operation.key.size, operation_at(0).key.size);
    assert_memory_equal(operation.key.data, operation_at(0).key.data, operation.key.size);
    gyre_batch_free(batch);
}

/* Goal:   sizes out of their limits are INVALID and change nothing; the limits themselves pass.
 * Method: each argument just inside and just outside, and NULLs. */
static void
batch_refuses_sizes_out_of_limits(void **state)
{
    uint8_t *large = calloc(1, GYRE_VALUE_SIZE_MAX + 1);
    gyre_batch *batch = make_list(5);
    struct picture before = take_picture(batch);
    const struct gyre_slice key = gyre_str("key");
    (void)state;

    assert_non_null(large);
    assert_int_equal(gyre_batch_put(batch, gyre_str(""), key), GYRE_INVALID);
    assert_int_equal(gyre_batch_put(batch, gyre_slice(NULL, 3), key), GYRE_INVALID);
    assert_int_equal(gyre_batch_put(batch, gyre_slice(NULL, 0), key), GYRE_INVALID);
    assert_int_equal(gyre_batch_put(batch, key, gyre_slice(NULL, 1)), GYRE_INVALID);
    assert_int_equal(gyre_batch_put(batch, gyre_slice(large, GYRE_KEY_SIZE_MAX + 1), key),
                     GYRE_INVALID);
    assert_int_equal(gyre_batch_put(batch, key, gyre_slice(large, GYRE_VALUE_SIZE_MAX + 1)),
                     GYRE_INVALID);
    assert_int_equal(gyre_batch_put(batch, key, gyre_slice(large, SIZE_MAX)), GYRE_INVALID);
    assert_int_equal(gyre_batch_delete(batch, gyre_str("")), GYRE_INVALID);
    assert_int_equal(gyre_batch_delete(batch, gyre_slice(large, GYRE_KEY_SIZE_MAX + 1)),
                     GYRE_INVALID);
    assert_int_equal(gyre_batch_put(NULL, key, key), GYRE_INVALID);
    assert_int_equal(gyre_batch_delete(NULL, key), GYRE_INVALID);
    assert_int_equal(gyre_batch_append(batch, NULL), GYRE_INVALID);
    assert_int_equal(gyre_batch_append(NULL, batch), GYRE_INVALID);
    assert_int_equal(gyre_batch_count(NULL), 0);
    gyre_batch_clear(NULL);
    assert_as_in(batch, &before);
    assert_int_equal(gyre_batch_put(batch, gyre_slice(large, GYRE_KEY_SIZE_MAX),
                                    gyre_slice(large, GYRE_VALUE_SIZE_MAX)),
                     GYRE_OK);
    assert_int_equal(gyre_batch_put(batch, key, gyre_slice(NULL, 0)), GYRE_OK);
    gyre_batch_free(batch);
    free(large);
}

/* Goal:   a batch holds GYRE_BATCH_SIZE_MAX bytes of keys and values and not one more.
 * Method: fill it to the byte, then try each way to add. */
static void
batch_refuses_to_pass_its_size(void **state)
{
    uint8_t *value = calloc(1, GYRE_VALUE_SIZE_MAX);
    gyre_batch *batch = make_list(0);
    gyre_batch *one = make_list(1);
    struct picture before;
    (void)state;

    assert_non_null(value);
    assert_int_equal(gyre_batch_put(batch, gyre_str("a"), gyre_slice(value, GYRE_VALUE_SIZE_MAX)),
                     GYRE_OK);
    before = take_picture(batch);
    assert_int_equal(gyre_batch_put(batch, gyre_str("b"), gyre_slice(value, GYRE_VALUE_SIZE_MAX)),
                     GYRE_INVALID);
    assert_as_in(batch, &before);
    assert_int_equal(
        gyre_batch_put(batch, gyre_str("b"), gyre_slice(value, GYRE_VALUE_SIZE_MAX - 2)), GYRE_OK);
    assert_true(gy_batch_user_bytes(batch) == GYRE_BATCH_SIZE_MAX);
    before = take_picture(batch);
    assert_int_equal(gyre_batch_delete(batch, gyre_str("c")), GYRE_INVALID);
    assert_int_equal(gyre_batch_append(batch, one), GYRE_INVALID);
    assert_int_equal(gyre_batch_append(batch, batch), GYRE_INVALID);
    assert_as_in(batch, &before);
    gyre_batch_free(batch);
    gyre_batch_free(one);
    free(value);
}

/* Goal:   a batch holds GYRE_BATCH_COUNT_MAX operations and not one more.
 * Method: double a batch of one by appending it to itself, then try each way to add. */
static void
batch_refuses_to_pass_its_count(void **state)
{
    gyre_batch *batch = gyre_batch_make();
    size_t size;
    (void)state;

    assert_non_null(batch);
    assert_int_equal(gyre_batch_delete(batch, gyre_str("k")), GYRE_OK);
    while (gyre_batch_count(batch) < GYRE_BATCH_COUNT_MAX) {
        assert_int_equal(gyre_batch_append(batch, batch), GYRE_OK);
    }
    size = gyre_batch_size(batch);
    assert_int_equal(gyre_batch_delete(batch, gyre_str("k")), GYRE_INVALID);
    assert_int_equal(gyre_batch_put(batch, gyre_str("k"), gyre_str("")), GYRE_INVALID);
    assert_int_equal(gyre_batch_append(batch, batch), GYRE_INVALID);
    assert_int_equal(gyre_batch_count(batch), GYRE_BATCH_COUNT_MAX);
    assert_int_equal(gyre_batch_size(batch), size);
    gyre_batch_free(batch);
}

/* Goal:   without memory the batch is as before and can go on when there is some again.
 * Method: fail every allocation while a list is built, then build it on. */
static void
batch_is_as_before_without_memory(void **state)
{
    gyre_batch *batch = make_list(0);
    gyre_batch *source = make_list(30);
    unsigned refused = 0;
    (void)state;

    for (uint32_t i = 0; i < 300; i++) {
        const struct gyre_batch_operation operation = operation_at(i);
        struct picture before = take_picture(batch);
        gyre_status status;

        batch->heap.fail_at = batch->heap.allocation_count + 1;
        status = add(batch, &operation);
        batch->heap.fail_at = 0;
        if (status == GYRE_OK) {
            free(before.data);
            continue;
        }
        assert_int_equal(status, GYRE_NO_MEMORY);
        assert_as_in(batch, &before);
        before = take_picture(batch);
        batch->heap.fail_at = batch->heap.allocation_count + 1;
        if (batch->capacity - batch->size < source->size) {
            assert_int_equal(gyre_batch_append(batch, source), GYRE_NO_MEMORY);
        }
        batch->heap.fail_at = 0;
        assert_as_in(batch, &before);
        refused++;
        assert_int_equal(add(batch, &operation), GYRE_OK);
    }
    assert_in_range(refused, 3, 20);
    assert_list(batch, 300, 1);
    gyre_batch_free(batch);
    gyre_batch_free(source);
}

/* Goal:   a position that gyre_batch_next did not give does no harm.
 * Method: every position around the batch's size, and a huge one. */
static void
batch_next_takes_any_position(void **state)
{
    gyre_batch *batch = make_list(20);
    struct gyre_batch_operation operation;
    (void)state;

    for (size_t at = 0; at < gyre_batch_size(batch) + 10; at++) {
        size_t position = at;

        if (gyre_batch_next(batch, &position, &operation)) {
            assert_true(position > at && position <= gyre_batch_size(batch));
        }
    }
    size_t position = SIZE_MAX;

    assert_false(gyre_batch_next(batch, &position, &operation));
    assert_false(gyre_batch_next(NULL, &position, &operation));
    gyre_batch_free(batch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_gives_back_what_was_put_in),
        cmocka_unit_test(batch_append_adds_all_in_order),
        cmocka_unit_test(batch_takes_slices_of_itself),
        cmocka_unit_test(batch_refuses_sizes_out_of_limits),
        cmocka_unit_test(batch_refuses_to_pass_its_size),
        cmocka_unit_test(batch_refuses_to_pass_its_count),
        cmocka_unit_test(batch_is_as_before_without_memory),
        cmocka_unit_test(batch_next_takes_any_position),
    };

    for (size_t i = 0; i < sizeof(filler); i++) {
        filler[i] = (uint8_t)(i * 5 + 1);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
