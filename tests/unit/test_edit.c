/* test_edit.c - manifest edits and CURRENT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "engine/codec/edit.h"
#include "engine/codec/key.h"
#include "tests/support/golden.h"

#define GOLDEN GYRE_SOURCE_DIR "/tests/golden/edit_v1.bin"

/* One of each kind, with numbers of several lengths. */
static const struct gy_edit samples[] = {
    {.kind = GY_EDIT_STORE,
     .u.store = {.store_id = 0x0123456789abcdefull,
                 .comparator = {.data = GY_COMPARATOR_NAME, .size = sizeof(GY_COMPARATOR_NAME) - 1},
                 .incompatible = 0,
                 .compatible = 1ull << 63}},
    {.kind = GY_EDIT_COUNTERS,
     .u.counters = {.next_file_number = 17, .last_sequence = GY_SEQUENCE_MAX}},
    {.kind = GY_EDIT_ADD_TABLE,
     .u.table = {.level = 6,
                 .number = 300,
                 .file_id = 0xfedcba9876543210ull,
                 .size = 67108864,
                 .entry_count = 65000,
                 .delete_count = 12,
                 .sequence_min = 1,
                 .sequence_max = 70000,
                 .smallest = {.data = "a\0b", .size = 3},
                 .largest = {.data = "zz", .size = 2}}},
    {.kind = GY_EDIT_REMOVE_TABLE, .u.remove = {.level = 1, .number = 299}},
    {.kind = GY_EDIT_ADD_LOG, .u.log = {.number = 301, .slot = GY_WAL_SLOT_MAX - 1}},
    {.kind = GY_EDIT_FLUSHED, .u.flushed = {.sequence = 70000, .log_min = 301}},
    {.kind = GY_EDIT_STAGE, .u.stage = {.id = {1, 2}, .boot_id = {UINT64_MAX, 3}}},
};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

static bool
is_same_slice(struct gyre_slice a, struct gyre_slice b)
{
    return gy_key_compare(a, b) == 0;
}

static bool
is_same_table(const struct gy_table_meta *a, const struct gy_table_meta *b)
{
    return a->keyspace == b->keyspace && a->level == b->level && a->number == b->number &&
           a->file_id == b->file_id && a->size == b->size && a->entry_count == b->entry_count &&
           a->delete_count == b->delete_count && a->sequence_min == b->sequence_min &&
           a->sequence_max == b->sequence_max && is_same_slice(a->smallest, b->smallest) &&
           is_same_slice(a->largest, b->largest);
}

static bool
is_same(const struct gy_edit *a, const struct gy_edit *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case GY_EDIT_STORE:
        return a->u.store.store_id == b->u.store.store_id &&
               is_same_slice(a->u.store.comparator, b->u.store.comparator) &&
               a->u.store.incompatible == b->u.store.incompatible &&
               a->u.store.compatible == b->u.store.compatible;
    case GY_EDIT_COUNTERS:
        return a->u.counters.next_file_number == b->u.counters.next_file_number &&
               a->u.counters.last_sequence == b->u.counters.last_sequence;
    case GY_EDIT_ADD_TABLE:
        return is_same_table(&a->u.table, &b->u.table);
    case GY_EDIT_REMOVE_TABLE:
        return a->u.remove.keyspace == b->u.remove.keyspace &&
               a->u.remove.level == b->u.remove.level && a->u.remove.number == b->u.remove.number;
    case GY_EDIT_ADD_LOG:
        return a->u.log.number == b->u.log.number && a->u.log.slot == b->u.log.slot;
    case GY_EDIT_FLUSHED:
        return a->u.flushed.keyspace == b->u.flushed.keyspace &&
               a->u.flushed.sequence == b->u.flushed.sequence &&
               a->u.flushed.log_min == b->u.flushed.log_min;
    case GY_EDIT_STAGE:
        return memcmp(&a->u.stage, &b->u.stage, sizeof(a->u.stage)) == 0;
    }
    return false;
}

static size_t
encode_all(uint8_t *bytes, size_t capacity)
{
    struct gy_writer writer = {.data = bytes, .capacity = capacity};

    for (size_t i = 0; i < SAMPLES; i++) {
        gy_edit_encode(&writer, &samples[i]);
    }
    assert_false(writer.failed);
    return writer.used;
}

static size_t
encode_one(uint8_t *bytes, size_t capacity, const struct gy_edit *edit)
{
    struct gy_writer writer = {.data = bytes, .capacity = capacity};

    gy_edit_encode(&writer, edit);
    assert_false(writer.failed);
    return writer.used;
}

static gyre_status
decode_one(const uint8_t *bytes, size_t size, struct gy_edit *ret_edit)
{
    struct gy_reader reader = gy_reader_of(bytes, size);

    return gy_edit_decode(&reader, ret_edit);
}

/* Goal:   each kind comes back as it was, alone and in a list, and takes the bytes that were
 *         measured.
 * Method: encode, decode from a block of exact size. */
static void
edit_each_kind_survives(void **state)
{
    uint8_t bytes[512];
    const size_t size = encode_all(bytes, sizeof(bytes));
    struct gy_edit edit;
    struct gy_reader reader;
    uint8_t *copy;
    (void)state;

    for (size_t i = 0; i < SAMPLES; i++) {
        uint8_t one[128];
        struct gy_writer measure = {0};

        gy_edit_encode(&measure, &samples[i]);
        assert_int_equal(measure.used, encode_one(one, sizeof(one), &samples[i]));
        copy = golden_copy(one, measure.used);
        assert_int_equal(decode_one(copy, measure.used, &edit), GYRE_OK);
        assert_true(is_same(&edit, &samples[i]));
        free(copy);
    }
    copy = golden_copy(bytes, size);
    reader = gy_reader_of(copy, size);
    for (size_t i = 0; i < SAMPLES; i++) {
        assert_int_equal(gy_edit_decode(&reader, &edit), GYRE_OK);
        assert_true(is_same(&edit, &samples[i]));
    }
    assert_int_equal(gy_edit_decode(&reader, &edit), GYRE_NOT_FOUND);
    assert_true(gy_reader_is_done(&reader));
    free(copy);
}

/* Goal:   the format stays as it is.
 * Method: frozen bytes against what is encoded now. */
static void
edit_bytes_are_the_frozen_ones(void **state)
{
    uint8_t bytes[512];
    const size_t size = encode_all(bytes, sizeof(bytes));
    (void)state;

    golden_check(GOLDEN, bytes, size);
}

/* Goal:   an edit that is cut does not decode, and nothing behind the cut is read.
 * Method: every cut of every kind in a block of exact size; cuts of the body with a size that fits
 *         it too, so that missing fields are met and not only a short frame. */
static void
edit_cut_anywhere_is_corrupt(void **state)
{
    (void)state;

    for (size_t i = 0; i < SAMPLES; i++) {
        uint8_t bytes[128];
        const size_t size = encode_one(bytes, sizeof(bytes), &samples[i]);
        struct gy_edit edit;

        for (size_t cut = 1; cut < size; cut++) {
            uint8_t *copy = golden_copy(bytes, cut);

            assert_int_equal(decode_one(copy, cut, &edit), GYRE_CORRUPT);
            if (cut >= 2) {
                assert_true(bytes[1] < 0x80); /* one byte of size */
                copy[1] = (uint8_t)(cut - 2);
                assert_int_equal(decode_one(copy, cut, &edit), GYRE_CORRUPT);
            }
            free(copy);
        }
        bytes[size] = 0; /* one byte left over */
        bytes[1]++;
        assert_int_equal(decode_one(bytes, size + 1, &edit), GYRE_CORRUPT);
    }
}

/* Goal:   damage gives an error or another sound edit, never a read past the end; and what decodes
 *         encodes to the same bytes, so each edit has one encoding.
 * Method: every value of every byte, in blocks of exact size. */
static void
edit_changed_byte_stays_inside(void **state)
{
    uint8_t bytes[512];
    const size_t size = encode_all(bytes, sizeof(bytes));
    uint8_t *copy = golden_copy(bytes, size);
    unsigned refused = 0;
    (void)state;

    for (size_t at = 0; at < size; at++) {
        for (unsigned value = 0; value <= 0xff; value++) {
            struct gy_reader reader = gy_reader_of(copy, size);
            struct gy_edit edit;
            gyre_status status;

            copy[at] = (uint8_t)value;
            for (const uint8_t *start = reader.at;
                 (status = gy_edit_decode(&reader, &edit)) == GYRE_OK; start = reader.at) {
                uint8_t again[512];
                const size_t used = encode_one(again, sizeof(again), &edit);

                assert_true(used <= (size_t)(reader.at - start)); /* skipped ones lie in front */
                assert_memory_equal(reader.at - used, again, used);
            }
            assert_true(status == GYRE_NOT_FOUND || status == GYRE_CORRUPT ||
                        status == GYRE_UNSUPPORTED);
            refused += status != GYRE_NOT_FOUND;
        }
        copy[at] = bytes[at];
    }
    assert_true(refused > size * 50);
    free(copy);
}

/* Goal:   unknown kinds: those that may be skipped are, the others are UNSUPPORTED and leave the
 *         reader where it was, so that the caller can name the place.
 * Method: all 256 kinds in front of a known edit. */
static void
edit_unknown_kind_is_skipped_or_refused(void **state)
{
    uint8_t bytes[128] = {0, 3, 0xff, 0xff, 0xff};
    const size_t size = 5 + encode_one(bytes + 5, sizeof(bytes) - 5, &samples[1]);
    (void)state;

    for (unsigned kind = 0; kind <= 0xff; kind++) {
        struct gy_reader reader = gy_reader_of(bytes, size);
        struct gy_edit edit;
        gyre_status status;

        bytes[0] = (uint8_t)kind;
        status = gy_edit_decode(&reader, &edit);
        if (kind >= 0x80) {
            assert_int_equal(status, GYRE_OK);
            assert_true(is_same(&edit, &samples[1]));
            assert_true(gy_reader_is_done(&reader));
        } else {
            assert_int_equal(status, kind >= 1 && kind <= 7 ? GYRE_CORRUPT : GYRE_UNSUPPORTED);
            assert_ptr_equal(reader.at, bytes);
        }
    }
    bytes[0] = 0x80; /* skipped ones only: the end */
    assert_int_equal(decode_one(bytes, 5, &(struct gy_edit){0}), GYRE_NOT_FOUND);
    assert_int_equal(decode_one(NULL, 0, &(struct gy_edit){0}), GYRE_NOT_FOUND);
}

static gyre_status
decode_changed(const struct gy_edit *edit)
{
    uint8_t bytes[256];
    struct gy_edit decoded;

    return decode_one(bytes, encode_one(bytes, sizeof(bytes), edit), &decoded);
}

/* Goal:   tables that cannot be do not get into the store.
 * Method: change one field of a sound edit at a time, to the last good value and to the first bad
 *         one. */
static void
edit_of_a_senseless_table_is_refused(void **state)
{
    struct gy_edit edit = samples[2];
    (void)state;

    edit.u.table.level = GY_LEVEL_COUNT;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[2];
    edit.u.table.number = GY_FILE_NUMBER_MAX;
    assert_int_equal(decode_changed(&edit), GYRE_OK);
    edit.u.table.number++;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[2];
    edit.u.table.delete_count = edit.u.table.entry_count;
    assert_int_equal(decode_changed(&edit), GYRE_OK);
    edit.u.table.delete_count++;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[2];
    edit.u.table.sequence_min = edit.u.table.sequence_max;
    assert_int_equal(decode_changed(&edit), GYRE_OK);
    edit.u.table.sequence_min++;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[2];
    edit.u.table.sequence_max = GY_SEQUENCE_MAX + 1;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[2];
    edit.u.table.largest = edit.u.table.smallest;
    assert_int_equal(decode_changed(&edit), GYRE_OK);
    edit.u.table.largest = gyre_str("a");
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[2];
    edit.u.table.smallest.size = 0;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[2];
    edit.u.table.largest.size = 0;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[2];
    edit.u.table.keyspace = 1;
    assert_int_equal(decode_changed(&edit), GYRE_UNSUPPORTED);
}

/* Goal:   numbers past their limits do not get into the store.
 * Method: change one field of a sound edit at a time, to the last good value and to the first bad
 *         one. */
static void
edit_out_of_range_is_refused(void **state)
{
    struct gy_edit edit = samples[1];
    (void)state;

    edit.u.counters.last_sequence++;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[1];
    edit.u.counters.next_file_number = GY_FILE_NUMBER_MAX + 1;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[3];
    edit.u.remove.level = GY_LEVEL_COUNT;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[3];
    edit.u.remove.number = GY_FILE_NUMBER_MAX;
    assert_int_equal(decode_changed(&edit), GYRE_OK);
    edit.u.remove.number++;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[4];
    edit.u.log.slot = GY_WAL_SLOT_MAX;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[4];
    edit.u.log.number = GY_FILE_NUMBER_MAX;
    assert_int_equal(decode_changed(&edit), GYRE_OK);
    edit.u.log.number++;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[5];
    edit.u.flushed.sequence = GY_SEQUENCE_MAX;
    edit.u.flushed.log_min = GY_FILE_NUMBER_MAX;
    assert_int_equal(decode_changed(&edit), GYRE_OK);
    edit.u.flushed.sequence++;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit.u.flushed.sequence--;
    edit.u.flushed.log_min++;
    assert_int_equal(decode_changed(&edit), GYRE_CORRUPT);
    edit = samples[5];
    edit.u.flushed.keyspace = 1;
    assert_int_equal(decode_changed(&edit), GYRE_UNSUPPORTED);
}

/* Goal:   keys of the largest size fit an edit, larger ones are refused when read.
 * Method: a table whose smallest key has the limit, then one byte more. */
static void
edit_largest_key_fits(void **state)
{
    const size_t capacity = 2 * GY_KEY_SIZE_MAX + 256;
    uint8_t *key = calloc(1, GY_KEY_SIZE_MAX + 1);
    uint8_t *bytes = malloc(capacity);
    struct gy_edit edit = samples[2];
    struct gy_edit decoded;
    (void)state;

    assert_true(key != NULL && bytes != NULL);
    edit.u.table.smallest = gyre_slice(key, GY_KEY_SIZE_MAX);
    assert_int_equal(decode_one(bytes, encode_one(bytes, capacity, &edit), &decoded), GYRE_OK);
    assert_true(is_same(&edit, &decoded));
    edit.u.table.smallest.size++;
    assert_int_equal(decode_one(bytes, encode_one(bytes, capacity, &edit), &decoded), GYRE_CORRUPT);
    free(key);
    free(bytes);
}

/* Goal:   CURRENT survives and has exactly its size.
 * Method: round trip; all other sizes; a number past the limit. */
static void
edit_current_survives_in_its_size_only(void **state)
{
    const struct gy_current current = {.store_id = 0x1122334455667788ull, .manifest_number = 9};
    struct gy_current decoded = {0};
    uint8_t bytes[GY_CURRENT_SIZE + 4] = {0};
    (void)state;

    gy_current_encode(bytes, &current);
    assert_int_equal(bytes[0], 0x88);
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        uint8_t *copy = golden_copy(bytes, size);

        assert_int_equal(gy_current_decode(gyre_slice(copy, size), &decoded),
                         size == GY_CURRENT_SIZE ? GYRE_OK : GYRE_CORRUPT);
        free(copy);
    }
    assert_true(decoded.store_id == current.store_id && decoded.manifest_number == 9);
    bytes[15] = 1;
    assert_int_equal(gy_current_decode(gyre_slice(bytes, GY_CURRENT_SIZE), &decoded), GYRE_CORRUPT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edit_each_kind_survives),
        cmocka_unit_test(edit_bytes_are_the_frozen_ones),
        cmocka_unit_test(edit_cut_anywhere_is_corrupt),
        cmocka_unit_test(edit_changed_byte_stays_inside),
        cmocka_unit_test(edit_unknown_kind_is_skipped_or_refused),
        cmocka_unit_test(edit_of_a_senseless_table_is_refused),
        cmocka_unit_test(edit_out_of_range_is_refused),
        cmocka_unit_test(edit_largest_key_fits),
        cmocka_unit_test(edit_current_survives_in_its_size_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
