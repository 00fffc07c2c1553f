/* test_block.c - blocks against a sorted array, damaged blocks, and the frozen bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/codec/block.h"
#include "engine/codec/checksum.h"
#include "engine/codec/coding.h"
#include "io/base/rng.h"

#define MODEL_MAX 2000u

struct model {
    struct gy_entry entries[MODEL_MAX];
    uint32_t count;
};

struct built {
    uint8_t *body; /* exactly `size` bytes, so that ASan sees one too far */
    uint32_t size;
};

static uint8_t key_buffer[GY_KEY_SIZE_MAX];
static uint8_t iter_key[GY_KEY_SIZE_MAX];

static int
compare_entries(const void *a, const void *b)
{
    const struct gy_entry *x = a;
    const struct gy_entry *y = b;

    return gy_entry_compare(x->key, x->tag, y->key, y->tag);
}

static struct gyre_slice
copy_of(const void *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);

    assert_non_null(copy);
    memcpy(copy, data, size);
    return gyre_slice(copy, size);
}

/* `count` entries at most: keys over a small alphabet collide, share prefixes and come in several
 * versions. */
static void
model_make(struct model *model, struct gy_rng *rng, uint32_t count, uint32_t alphabet,
           uint32_t key_max, uint32_t value_max)
{
    uint32_t kept = 0;

    model->count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t key[300];
        uint8_t value[600];
        const size_t key_size = 1 + gy_rng_below(rng, key_max);
        const size_t value_size = gy_rng_below(rng, value_max + 1);

        for (size_t k = 0; k < key_size; k++) {
            key[k] = (uint8_t)(gy_rng_below(rng, alphabet) * (alphabet > 4 ? 1 : 85));
        }
        memset(value, (int)gy_rng_below(rng, 256), value_size);
        model->entries[i] =
            (struct gy_entry){.key = copy_of(key, key_size),
                              .tag = gy_tag(gy_rng_below(rng, 1u << gy_rng_below(rng, 30)),
                                            (enum gy_kind)gy_rng_below(rng, 2)),
                              .value = copy_of(value, value_size)};
    }
    qsort(model->entries, count, sizeof(model->entries[0]), compare_entries);
    for (uint32_t i = 0; i < count; i++) {
        if (kept != 0 && compare_entries(&model->entries[kept - 1], &model->entries[i]) == 0) {
            free((void *)(uintptr_t)model->entries[i].key.data);
            free((void *)(uintptr_t)model->entries[i].value.data);
        } else {
            model->entries[kept++] = model->entries[i];
        }
    }
    model->count = kept;
}

static void
model_free(struct model *model)
{
    for (uint32_t i = 0; i < model->count; i++) {
        free((void *)(uintptr_t)model->entries[i].key.data);
        free((void *)(uintptr_t)model->entries[i].value.data);
    }
}

static struct built
build(const struct gy_entry *entries, uint32_t count, uint32_t restart_interval)
{
    const uint32_t capacity = 4u << 20;
    uint8_t *data = malloc(capacity);
    struct gy_block_builder *builder = malloc(sizeof(*builder));
    struct built built;

    assert_non_null(data);
    assert_non_null(builder);
    gy_block_builder_init(builder, restart_interval, data, capacity, key_buffer,
                          sizeof(key_buffer));
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t expected = gy_block_builder_size_with(builder, &entries[i]);

        assert_true(expected <= capacity);
        gy_block_builder_add(builder, &entries[i]);
        assert_int_equal(gy_block_builder_size(builder), expected);
    }
    built.size = gy_block_builder_finish(builder);
    assert_int_equal(built.size, gy_block_builder_size(builder));
    built.body = malloc(built.size);
    assert_non_null(built.body);
    memcpy(built.body, data, built.size);
    free(builder);
    free(data);
    return built;
}

static void
assert_entry(const struct gy_entry *entry, const struct gy_entry *expected)
{
    assert_int_equal(entry->key.size, expected->key.size);
    assert_memory_equal(entry->key.data, expected->key.data, expected->key.size);
    assert_true(entry->tag == expected->tag);
    assert_int_equal(entry->value.size, expected->value.size);
    assert_memory_equal(entry->value.data, expected->value.data, expected->value.size);
}

/* Index of the first entry >= (key, tag). */
static uint32_t
model_seek(const struct model *model, struct gyre_slice key, uint64_t tag)
{
    uint32_t i = 0;

    while (i < model->count &&
           gy_entry_compare(model->entries[i].key, model->entries[i].tag, key, tag) < 0) {
        i++;
    }
    return i;
}

static void
check_seeks(const struct model *model, const struct gy_block *block, struct gyre_slice key,
            uint64_t tag)
{
    const uint32_t expected = model_seek(model, key, tag);
    struct gy_block_iter iter;
    struct gy_block_found found;
    const gyre_status st = gy_block_get(block, key, tag, &found);

    gy_block_iter_init(&iter, block, iter_key, sizeof(iter_key));
    gy_block_iter_seek(&iter, key, tag);
    assert_false(iter.corrupt);
    if (expected == model->count) {
        assert_int_equal(st, GYRE_NOT_FOUND);
        assert_false(iter.valid);
    } else {
        const struct gy_entry *entry = &model->entries[expected];

        assert_int_equal(st, GYRE_OK);
        assert_true(found.tag == entry->tag);
        assert_int_equal(found.key_is_equal, gy_key_compare(entry->key, key) == 0);
        assert_int_equal(found.value.size, entry->value.size);
        assert_memory_equal(found.value.data, entry->value.data, entry->value.size);
        assert_true(iter.valid);
        assert_entry(&iter.entry, entry);
        assert_int_equal(iter.offset, found.offset);
    }
    gy_block_iter_seek_before(&iter, key, tag);
    assert_false(iter.corrupt);
    assert_int_equal(iter.valid, expected != 0);
    if (expected != 0) {
        assert_entry(&iter.entry, &model->entries[expected - 1]);
    }
}

static void
check_walks(const struct model *model, const struct gy_block *block)
{
    struct gy_block_iter iter;
    struct gy_block_iter keyless;

    gy_block_iter_init(&iter, block, iter_key, sizeof(iter_key));
    gy_block_iter_init(&keyless, block, NULL, 0);
    gy_block_iter_first(&iter);
    gy_block_iter_first(&keyless);
    for (uint32_t i = 0; i < model->count; i++) {
        assert_true(iter.valid && keyless.valid);
        assert_entry(&iter.entry, &model->entries[i]);
        assert_null(keyless.entry.key.data);
        assert_int_equal(keyless.entry.key.size, model->entries[i].key.size);
        assert_ptr_equal(keyless.entry.value.data, iter.entry.value.data);
        gy_block_iter_next(&iter);
        gy_block_iter_next(&keyless);
    }
    assert_false(iter.valid || iter.corrupt || keyless.valid || keyless.corrupt);
    gy_block_iter_last(&iter);
    for (uint32_t i = model->count; i > 0; i--) {
        assert_true(iter.valid);
        assert_entry(&iter.entry, &model->entries[i - 1]);
        gy_block_iter_prev(&iter);
    }
    assert_false(iter.valid || iter.corrupt);
}

/* Walk back and forth at random from random places. */
static void
check_zigzag(const struct model *model, const struct gy_block *block, struct gy_rng *rng)
{
    uint32_t at = (uint32_t)gy_rng_below(rng, model->count);
    struct gy_block_iter iter;

    gy_block_iter_init(&iter, block, iter_key, sizeof(iter_key));
    gy_block_iter_seek(&iter, model->entries[at].key, model->entries[at].tag);
    for (uint32_t step = 0; step < 100; step++) {
        assert_true(iter.valid);
        assert_entry(&iter.entry, &model->entries[at]);
        if (gy_rng_below(rng, 2) == 0 && at > 0) {
            at--;
            gy_block_iter_prev(&iter);
        } else if (at + 1 < model->count) {
            at++;
            gy_block_iter_next(&iter);
        }
    }
}

/* Goal:   a block finds, walks and turns round as a sorted array does, whatever keys share.
 * Method: random entries over alphabets of 1, 2, 3 and 256 letters with several versions of a key;
 * seek at
 *         each entry, just before and just after it, and at keys that are not there. */
static void
block_agrees_with_a_sorted_array_for_all_walks(void **state)
{
    static const uint32_t alphabets[] = {1, 2, 3, 256};
    static const uint32_t intervals[] = {1, 2, 4, 16};
    static struct model model;
    struct gy_rng rng;
    (void)state;

    for (uint32_t seed = 0; seed < 120; seed++) {
        struct built built;
        struct gy_block block;

        gy_rng_init(&rng, seed);
        model_make(&model, &rng, 1 + (uint32_t)gy_rng_below(&rng, 150), alphabets[seed % 4],
                   seed % 4 == 0 ? 40 : 1 + (uint32_t)gy_rng_below(&rng, 24), 40);
        built = build(model.entries, model.count, intervals[seed / 4 % 4]);
        assert_int_equal(gy_block_open(built.body, built.size, &block), GYRE_OK);
        assert_int_equal(gy_block_verify(&block), GYRE_OK);
        check_walks(&model, &block);
        check_zigzag(&model, &block, &rng);
        for (uint32_t i = 0; i < model.count; i++) {
            const struct gy_entry *entry = &model.entries[i];
            uint8_t longer[320];

            check_seeks(&model, &block, entry->key, entry->tag);
            check_seeks(&model, &block, entry->key, entry->tag + 1);
            check_seeks(&model, &block, entry->key, entry->tag - (entry->tag != 0));
            check_seeks(&model, &block, entry->key, UINT64_MAX);
            check_seeks(&model, &block, entry->key, 0);
            memcpy(longer, entry->key.data, entry->key.size);
            longer[entry->key.size] = 0;
            check_seeks(&model, &block, gyre_slice(longer, entry->key.size + 1), UINT64_MAX);
            check_seeks(&model, &block, gyre_slice(longer, entry->key.size - 1), UINT64_MAX);
            longer[gy_rng_below(&rng, entry->key.size)] ^= (uint8_t)(1u << gy_rng_below(&rng, 8));
            check_seeks(&model, &block, gyre_slice(longer, entry->key.size), entry->tag);
        }
        free(built.body);
        model_free(&model);
    }
}

/* Goal:   restart points lie where the interval says: counts around multiples of it are searched in
 * full. Method: blocks of 15, 16, 17, 31, 32, 33 entries; seek every key. */
static void
block_finds_every_key_around_restart_boundaries(void **state)
{
    static const uint32_t counts[] = {1, 2, 15, 16, 17, 31, 32, 33, 48, 49};
    (void)state;

    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        static struct model model;
        char keys[64][16];
        struct built built;
        struct gy_block block;

        model.count = counts[c];
        for (uint32_t i = 0; i < model.count; i++) {
            (void)snprintf(keys[i], sizeof(keys[i]), "key%03u", 2 * i);
            model.entries[i] = (struct gy_entry){.key = gyre_slice(keys[i], 6),
                                                 .tag = gy_tag(i, GY_KIND_PUT),
                                                 .value = gyre_slice(keys[i], i % 7)};
        }
        built = build(model.entries, model.count, GY_BLOCK_RESTART_INTERVAL);
        assert_int_equal(gy_block_open(built.body, built.size, &block), GYRE_OK);
        assert_int_equal(block.restart_count, (counts[c] + 15) / 16);
        for (uint32_t i = 0; i < 2 * model.count + 1; i++) {
            char key[16];

            (void)snprintf(key, sizeof(key), "key%03u", i);
            check_seeks(&model, &block, gyre_slice(key, 6), UINT64_MAX);
        }
        free(built.body);
    }
}

/* Goal:   more entries than restarts can point at are still found.
 * Method: interval 1 and 1500 entries: the last 476 have no restart of their own. */
static void
block_goes_on_without_restarts_when_they_are_used_up(void **state)
{
    static struct model model;
    static char keys[1500][8];
    struct built built;
    struct gy_block block;
    (void)state;

    model.count = 1500;
    for (uint32_t i = 0; i < model.count; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "%06u", 2 * i);
        model.entries[i] =
            (struct gy_entry){.key = gyre_slice(keys[i], 6), .tag = 1, .value = gyre_slice("v", 1)};
    }
    built = build(model.entries, model.count, 1);
    assert_int_equal(gy_block_open(built.body, built.size, &block), GYRE_OK);
    assert_int_equal(block.restart_count, GY_BLOCK_RESTARTS_MAX);
    check_walks(&model, &block);
    for (uint32_t i = 0; i < model.count; i += 7) {
        check_seeks(&model, &block, model.entries[i].key, UINT64_MAX);
    }
    free(built.body);
}

/* Goal:   keys of the largest size and empty values pass through.
 * Method: three keys of 65536 bytes that differ in the last byte, or in the first. */
static void
block_holds_the_longest_keys(void **state)
{
    static uint8_t keys[3][GY_KEY_SIZE_MAX];
    static struct model model;
    struct built built;
    struct gy_block block;
    (void)state;

    memset(keys, 'k', sizeof(keys));
    keys[1][GY_KEY_SIZE_MAX - 1] = 'l';
    keys[2][0] = 'l';
    model.count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        model.entries[i] =
            (struct gy_entry){.key = gyre_slice(keys[i], GY_KEY_SIZE_MAX), .tag = 256 * i + 1};
    }
    for (uint32_t i = 0; i < 3; i++) {
        model.entries[i].value = gyre_slice("", 0);
    }
    built = build(model.entries, 3, 16);
    assert_int_equal(gy_block_open(built.body, built.size, &block), GYRE_OK);
    check_walks(&model, &block);
    for (uint32_t i = 0; i < 3; i++) {
        check_seeks(&model, &block, model.entries[i].key, model.entries[i].tag);
        check_seeks(&model, &block, gyre_slice(keys[i], GY_KEY_SIZE_MAX - 1), UINT64_MAX);
    }
    free(built.body);
}

/* Every operation on bytes that may be anything: they may answer what they like, but not read
 * outside. */
static void
touch(const uint8_t *body, uint32_t size, const struct gy_entry *probe)
{
    struct gy_block_found found;
    struct gy_block_iter iter;
    struct gy_block block;

    if (gy_block_open(body, size, &block) != GYRE_OK) {
        return;
    }
    (void)gy_block_verify(&block);
    (void)gy_block_get(&block, probe->key, probe->tag, &found);
    gy_block_iter_init(&iter, &block, iter_key, 64);
    for (gy_block_iter_first(&iter); iter.valid; gy_block_iter_next(&iter)) {
        assert_true(iter.entry.key.size <= 64 || iter.entry.key.data != iter_key);
    }
    for (gy_block_iter_last(&iter); iter.valid; gy_block_iter_prev(&iter)) {
    }
    gy_block_iter_seek(&iter, probe->key, probe->tag);
    if (iter.valid) {
        gy_block_iter_prev(&iter);
    }
    gy_block_iter_seek_before(&iter, probe->key, probe->tag);
}

/* Goal:   whatever the bytes, nothing outside the block is read and every walk ends.
 * Method: flip each bit of a block, cut it at each length, in heap copies of exact size under ASan.
 * */
static void
block_never_reads_outside_when_damaged(void **state)
{
    static struct model model;
    struct gy_rng rng;
    struct built built;
    (void)state;

    gy_rng_init(&rng, 7);
    model_make(&model, &rng, 60, 3, 12, 10);
    built = build(model.entries, model.count, 4);
    for (uint32_t at = 0; at < built.size * 8; at++) {
        built.body[at / 8] ^= (uint8_t)(1u << at % 8);
        touch(built.body, built.size, &model.entries[at % model.count]);
        built.body[at / 8] ^= (uint8_t)(1u << at % 8);
    }
    for (uint32_t size = 0; size < built.size; size++) {
        uint8_t *cut = malloc(size + 1);

        memcpy(cut, built.body, size);
        cut = realloc(cut, size != 0 ? size : 1);
        touch(cut, size, &model.entries[size % model.count]);
        /* The cut hides the count; put one where it would be, so that more of the bytes are looked
         * at. */
        if (size >= 8) {
            memset(cut + size - 4, 0, 4);
            cut[size - 4] = 1;
            memset(cut + size - 8, 0, 4);
            touch(cut, size, &model.entries[size % model.count]);
        }
        free(cut);
    }
    free(built.body);
    model_free(&model);
}

/* Goal:   an entry whose key is longer than the walker has room for is damage, wherever the walk
 *         comes from: the room is what the table's footer calls its longest key.
 * Method: every kind of step onto a key of one byte too many, first and last in the block. */
static void
block_walks_refuse_keys_longer_than_they_have_room_for(void **state)
{
    const struct gy_entry entries[] = {{.key = gyre_str("aaaaa"), .tag = 257},
                                       {.key = gyre_str("bbbb"), .tag = 257},
                                       {.key = gyre_str("bbbbb"), .tag = 257}};
    (void)state;

    for (uint32_t interval = 1; interval <= 16; interval += 15) {
        const struct built built = build(entries, 3, interval);
        struct gy_block block;
        struct gy_block_iter iter;
        uint8_t room[5];

        assert_int_equal(gy_block_open(built.body, built.size, &block), GYRE_OK);
        gy_block_iter_init(&iter, &block, room, 4);
        gy_block_iter_first(&iter);
        assert_true(iter.corrupt && !iter.valid);
        gy_block_iter_last(&iter);
        assert_true(iter.corrupt && !iter.valid);
        gy_block_iter_seek(&iter, gyre_str("a"), UINT64_MAX);
        assert_true(iter.corrupt && !iter.valid);
        gy_block_iter_seek(&iter, gyre_str("bbbbb"), UINT64_MAX);
        assert_true(iter.corrupt && !iter.valid);
        gy_block_iter_seek_before(&iter, gyre_str("bbbbb"), UINT64_MAX);
        assert_true(iter.corrupt && !iter.valid);
        gy_block_iter_init(&iter, &block, room, 5);
        gy_block_iter_seek(&iter, gyre_str("bbbbb"), UINT64_MAX);
        assert_true(iter.valid && !iter.corrupt);
        free(built.body);
    }
}

/* Goal:   the checksum sees every flipped bit, another file, another place, another length.
 * Method: seal one block, then change one thing at a time. */
static void
block_check_refuses_what_was_not_written_there(void **state)
{
    struct gy_block_trailer trailer;
    uint8_t bytes[100 + GY_BLOCK_TRAILER_SIZE];
    (void)state;

    for (size_t i = 0; i < 100; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    gy_block_seal(bytes, 100, GY_BLOCK_ZSTD, GY_BLOCK_DATA, 5000, 77, 8192);
    assert_int_equal(gy_block_check(bytes, sizeof(bytes), 77, 8192, &trailer), GYRE_OK);
    assert_int_equal(trailer.compression, GY_BLOCK_ZSTD);
    assert_int_equal(trailer.kind, GY_BLOCK_DATA);
    assert_int_equal(trailer.raw_size, 5000);
    assert_int_equal(gy_block_check(bytes, sizeof(bytes), 78, 8192, &trailer), GYRE_CORRUPT);
    assert_int_equal(gy_block_check(bytes, sizeof(bytes), 77, 4096, &trailer), GYRE_CORRUPT);
    assert_int_equal(gy_block_check(bytes, sizeof(bytes) - 1, 77, 8192, &trailer), GYRE_CORRUPT);
    assert_int_equal(gy_block_check(bytes, GY_BLOCK_TRAILER_SIZE, 77, 8192, &trailer),
                     GYRE_CORRUPT);
    assert_int_equal(gy_block_check(bytes, 0, 77, 8192, &trailer), GYRE_CORRUPT);
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(gy_block_check(bytes, sizeof(bytes), 77, 8192, &trailer), GYRE_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* Goal:   a trailer with a right checksum and wrong fields is refused too: too large when
 * decompressed, a raw size that is
 *         not the stored one, kinds of the future.
 * Method: seal by hand through kinds and sizes that gy_block_seal asserts against. */
static void
block_check_refuses_fields_out_of_range(void **state)
{
    struct gy_block_trailer trailer;
    uint8_t bytes[20 + GY_BLOCK_TRAILER_SIZE] = {0};
    (void)state;

    gy_block_seal(bytes, 20, (enum gy_block_compression)2, GY_BLOCK_DATA, 20, 1, 0);
    assert_int_equal(gy_block_check(bytes, sizeof(bytes), 1, 0, &trailer), GYRE_UNSUPPORTED);
    gy_block_seal(bytes, 20, GY_BLOCK_RAW, (enum gy_block_kind)3, 20, 1, 0);
    assert_int_equal(gy_block_check(bytes, sizeof(bytes), 1, 0, &trailer), GYRE_UNSUPPORTED);
    gy_block_seal(bytes, 20, GY_BLOCK_ZSTD, GY_BLOCK_DATA, 0, 1, 0);
    assert_int_equal(gy_block_check(bytes, sizeof(bytes), 1, 0, &trailer), GYRE_CORRUPT);
    gy_block_seal(bytes, 20, GY_BLOCK_ZSTD, GY_BLOCK_DATA, GY_BLOCK_SIZE_MAX, 1, 0);
    assert_int_equal(gy_block_check(bytes, sizeof(bytes), 1, 0, &trailer), GYRE_OK);
    bytes[20 + 3] = 1; /* bytes that are zero in this version */
    gy_put_u64(bytes + 20 + 8, gy_checksum(bytes, 20 + 8, gy_block_seed(1, 0)));
    assert_int_equal(gy_block_check(bytes, sizeof(bytes), 1, 0, &trailer), GYRE_CORRUPT);
}

/* Goal:   the bytes of format version 1 do not change.
 * Method: build the same block as the frozen file and compare; read the frozen file back. */
static void
block_bytes_are_those_of_version_1(void **state)
{
    static const char *const keys[] = {"apple", "apple", "applet", "banana", "bananas", "cherry"};
    struct gy_entry entries[6];
    struct gy_block_trailer trailer;
    uint8_t golden[1024];
    struct built built;
    uint8_t *sealed;
    size_t size;
    FILE *file;
    (void)state;

    for (uint32_t i = 0; i < 6; i++) {
        entries[i] =
            (struct gy_entry){.key = gyre_str(keys[i]),
                              .tag = gy_tag(1000 - 100 * i, i == 1 ? GY_KIND_DELETE : GY_KIND_PUT),
                              .value = gyre_slice("0123456789", i == 1 ? 0 : i + 3)};
    }
    built = build(entries, 6, 4);
    sealed = malloc(built.size + GY_BLOCK_TRAILER_SIZE);
    assert_non_null(sealed);
    memcpy(sealed, built.body, built.size);
    gy_block_seal(sealed, built.size, GY_BLOCK_RAW, GY_BLOCK_DATA, built.size,
                  0x1234567890abcdefull, 12288);
    file = fopen(GYRE_SOURCE_DIR "/tests/golden/block_v1.bin", "rb");
    if (file == NULL && getenv("GYRE_WRITE_GOLDEN") != NULL) {
        file = fopen(GYRE_SOURCE_DIR "/tests/golden/block_v1.bin", "wb+");
        assert_non_null(file);
        assert_int_equal(fwrite(sealed, 1, built.size + GY_BLOCK_TRAILER_SIZE, file),
                         built.size + GY_BLOCK_TRAILER_SIZE);
        rewind(file);
    }
    assert_non_null(file);
    size = fread(golden, 1, sizeof(golden), file);
    (void)fclose(file);
    assert_int_equal(size, built.size + GY_BLOCK_TRAILER_SIZE);
    assert_memory_equal(golden, sealed, size);
    assert_int_equal(gy_block_check(golden, (uint32_t)size, 0x1234567890abcdefull, 12288, &trailer),
                     GYRE_OK);
    free(sealed);
    free(built.body);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_agrees_with_a_sorted_array_for_all_walks),
        cmocka_unit_test(block_finds_every_key_around_restart_boundaries),
        cmocka_unit_test(block_goes_on_without_restarts_when_they_are_used_up),
        cmocka_unit_test(block_holds_the_longest_keys),
        cmocka_unit_test(block_never_reads_outside_when_damaged),
        cmocka_unit_test(block_walks_refuse_keys_longer_than_they_have_room_for),
        cmocka_unit_test(block_check_refuses_what_was_not_written_there),
        cmocka_unit_test(block_check_refuses_fields_out_of_range),
        cmocka_unit_test(block_bytes_are_those_of_version_1),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
