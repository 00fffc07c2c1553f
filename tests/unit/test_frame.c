/* test_frame.c - frames: sealing, opening, and what must not open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "engine/codec/checksum.h"
#include "engine/codec/coding.h"
#include "engine/codec/frame.h"
#include "io/base/bits.h"
#include "tests/support/golden.h"

#define GOLDEN GYRE_SOURCE_DIR "/tests/golden/frame_v1.bin"

static const struct gy_frame_place place = {
    .store_id = 0x1122334455667788ull, .file_number = 42, .offset = 3 * 4096};

static struct gy_frame
sample(uint32_t payload_size)
{
    return (struct gy_frame){.kind = GY_FRAME_COMMITS,
                             .flags = GY_FRAME_PART | GY_FRAME_LAST,
                             .payload_size = payload_size,
                             .record_count = 3,
                             .sequence_first = 1000,
                             .sequence_last = 1002,
                             .durable_offset = 8192,
                             .file_number = 42,
                             .previous = 123456};
}

/* A sealed frame in a block of exactly its span; the padding was dirty before. */
static uint8_t *
sealed(const struct gy_frame *frame, const struct gy_frame_place *where)
{
    const size_t span = gy_frame_span(frame->payload_size);
    uint8_t *bytes = malloc(span);

    assert_non_null(bytes);
    memset(bytes, 0xaa, span);
    for (uint32_t i = 0; i < frame->payload_size; i++) {
        bytes[GY_FRAME_HEADER_SIZE + i] = (uint8_t)(i * 31 + 7);
    }
    gy_frame_seal(bytes, frame, where);
    return bytes;
}

static void
assert_same(const struct gy_frame *a, const struct gy_frame *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->payload_size, b->payload_size);
    assert_int_equal(a->record_count, b->record_count);
    assert_true(a->sequence_first == b->sequence_first && a->sequence_last == b->sequence_last);
    assert_true(a->durable_offset == b->durable_offset && a->previous == b->previous);
    assert_true(a->file_number == b->file_number);
}

/* Goal:   what was sealed opens again with all fields; the payload is untouched and the padding is
 *         zero, so no old memory gets to the disk.
 * Method: payloads around the block size and the largest one. */
static void
frame_opens_as_it_was_sealed(void **state)
{
    static const uint32_t sizes[] = {0,    1,    100,  4031,
                                     4032, 4033, 9000, GY_FRAME_SIZE_MAX - GY_FRAME_HEADER_SIZE};
    (void)state;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const struct gy_frame frame = sample(sizes[i]);
        const size_t span = gy_frame_span(sizes[i]);
        uint8_t *bytes = sealed(&frame, &place);
        struct gy_frame opened;

        assert_true(span % 4096 == 0 && span - 64 - sizes[i] < 4096);
        assert_int_equal(gy_frame_open(bytes, span, &place, &opened), GY_FRAME_OK);
        assert_same(&opened, &frame);
        assert_true(gy_frame_peek_span(bytes, GY_FRAME_HEADER_SIZE) == span);
        for (uint32_t k = 0; k < sizes[i]; k++) {
            assert_int_equal(bytes[64 + k], (uint8_t)(k * 31 + 7));
        }
        for (size_t k = 64 + (size_t)sizes[i]; k < span; k++) {
            assert_int_equal(bytes[k], 0);
        }
        free(bytes);
    }
}

/* Goal:   format version 1 stays as it is.
 * Method: frozen bytes against what is sealed now; the frozen ones open. */
static void
frame_bytes_are_the_frozen_ones(void **state)
{
    const struct gy_frame frame = sample(100);
    uint8_t *bytes = sealed(&frame, &place);
    uint8_t *frozen;
    struct gy_frame opened;
    size_t size;
    (void)state;

    golden_check(GOLDEN, bytes, 4096);
    frozen = golden_read(GOLDEN, &size);
    assert_int_equal(gy_frame_open(frozen, size, &place, &opened), GY_FRAME_OK);
    assert_same(&opened, &frame);
    assert_memory_equal(frozen + 8, "GYF1", 4);
    free(frozen);
    free(bytes);
}

/* Goal:   no change of a bit goes unseen, and nothing is written to the result then.
 * Method: flip each bit of header and payload, open, flip it back. Padding is not covered: any
 *         change of it leaves the frame as it was. */
static void
frame_sees_every_flipped_bit(void **state)
{
    const struct gy_frame frame = sample(300);
    uint8_t *bytes = sealed(&frame, &place);
    struct gy_frame opened = {.payload_size = 77};
    unsigned unsupported = 0;
    (void)state;

    for (size_t bit = 0; bit < 8 * (64 + 300); bit++) {
        enum gy_frame_result result;

        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        result = gy_frame_open(bytes, 4096, &place, &opened);
        assert_int_not_equal(result, GY_FRAME_OK);
        unsupported += result == GY_FRAME_UNSUPPORTED;
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_int_equal(unsupported, 15); /* 16 bits of version; one makes it 0 */
    assert_int_equal(opened.payload_size, 77);
    for (size_t at = 64 + 300; at < 4096; at++) {
        bytes[at] ^= 0xff;
    }
    assert_int_equal(gy_frame_open(bytes, 4096, &place, &opened), GY_FRAME_OK);
    free(bytes);
}

/* Goal:   a frame opens in its own store, file and place only: recycled logs and misdirected writes
 *         are full of frames that are valid elsewhere.
 * Method: near and far places, and all small (file, offset) pairs against each other. */
static void
frame_opens_in_its_own_place_only(void **state)
{
    const struct gy_frame frame = sample(10);
    uint8_t *bytes = sealed(&frame, &place);
    struct gy_frame opened;
    (void)state;

    for (unsigned bit = 0; bit < 64; bit++) {
        struct gy_frame_place other = place;

        other.store_id ^= 1ull << bit;
        assert_int_not_equal(gy_frame_open(bytes, 4096, &other, &opened), GY_FRAME_OK);
        other = place;
        other.file_number ^= 1ull << bit;
        assert_int_not_equal(gy_frame_open(bytes, 4096, &other, &opened), GY_FRAME_OK);
        other = place;
        other.offset ^= bit < 12 ? 0 : 1ull << bit;
        assert_int_equal(gy_frame_open(bytes, 4096, &other, &opened) == GY_FRAME_OK, bit < 12);
    }
    free(bytes);
    for (uint64_t pair = 0; pair < 64; pair++) {
        const struct gy_frame_place here = {
            .store_id = 1, .file_number = pair % 8, .offset = pair / 8 * 4096};
        const struct gy_frame mark = {.kind = GY_FRAME_LOG_END, .file_number = pair % 8};

        bytes = sealed(&mark, &here);
        for (uint64_t i = 0; i < 64; i++) {
            const struct gy_frame_place there = {
                .store_id = 1, .file_number = i % 8, .offset = i / 8 * 4096};

            /* NONE, not CORRUPT: the seed alone keeps places apart. */
            assert_int_equal(gy_frame_open(bytes, 4096, &there, &opened),
                             i == pair ? GY_FRAME_OK : GY_FRAME_NONE);
        }
        free(bytes);
    }
}

/* Goal:   a frame cut anywhere before its payload's end is no frame, and no byte past the cut is
 *         read.
 * Method: every cut in a block of exact size; from the payload's end on it opens. */
static void
frame_cut_anywhere_is_none(void **state)
{
    const struct gy_frame frame = sample(200);
    uint8_t *bytes = sealed(&frame, &place);
    struct gy_frame opened;
    (void)state;

    for (size_t cut = 0; cut <= 300; cut++) {
        uint8_t *copy = golden_copy(bytes, cut);

        assert_int_equal(gy_frame_open(copy, cut, &place, &opened),
                         cut < 264 ? GY_FRAME_NONE : GY_FRAME_OK);
        assert_true(gy_frame_peek_span(copy, cut) == (cut < 64 ? 0 : 4096));
        free(copy);
    }
    free(bytes);
}

/* With the checksum set right again: what a later release or a bug of ours could write. */
static enum gy_frame_result
open_changed(size_t at, uint64_t value, unsigned width)
{
    const struct gy_frame frame = sample(10);
    uint8_t *bytes = sealed(&frame, &place);
    struct gy_frame opened;
    enum gy_frame_result result;
    uint64_t seed = gy_mix64(gy_mix64(place.store_id) + place.file_number);

    seed = gy_mix64(seed + place.offset / 4096);
    for (unsigned i = 0; i < width; i++) {
        bytes[at + i] = (uint8_t)(value >> (8 * i));
    }
    gy_put_u64(bytes, gy_checksum(bytes + 8, 64 - 8 + 10, seed));
    result = gy_frame_open(bytes, 4096, &place, &opened);
    free(bytes);
    return result;
}

/* Goal:   F1 to F4 are judged as the header says, also behind a checksum that fits; the seed is the
 *         one of the header.
 * Method: change one field at a time and seal again. */
static void
frame_rules_hold_behind_the_checksum(void **state)
{
    (void)state;

    assert_int_equal(open_changed(20, 4, 4), GY_FRAME_OK);           /* record_count: any */
    assert_int_equal(open_changed(8, 0x32465947, 4), GY_FRAME_NONE); /* "GYF2" */
    assert_int_equal(open_changed(18, 2, 2), GY_FRAME_UNSUPPORTED);
    assert_int_equal(open_changed(18, 0, 2), GY_FRAME_NONE);
    assert_int_equal(open_changed(12, GY_FRAME_SIZE_MAX - 63, 4), GY_FRAME_NONE);
    assert_int_equal(open_changed(12, UINT32_MAX, 4), GY_FRAME_NONE);
    assert_int_equal(open_changed(16, 0, 1), GY_FRAME_CORRUPT);
    assert_int_equal(open_changed(16, 5, 1), GY_FRAME_OK);
    assert_int_equal(open_changed(16, 6, 1), GY_FRAME_CORRUPT);
    assert_int_equal(open_changed(17, 8, 1), GY_FRAME_CORRUPT);
    assert_int_equal(open_changed(48, 43, 8), GY_FRAME_CORRUPT);
    assert_int_equal(open_changed(24, 1003, 8), GY_FRAME_OK); /* no operation ends here */
    assert_int_equal(open_changed(24, 1004, 8), GY_FRAME_CORRUPT);
    assert_int_equal(open_changed(32, GY_SEQUENCE_MAX, 8), GY_FRAME_OK);
    assert_int_equal(open_changed(32, GY_SEQUENCE_MAX + 1, 8), GY_FRAME_CORRUPT);
    assert_int_equal(open_changed(32, UINT64_MAX, 8), GY_FRAME_CORRUPT);
}

/* Goal:   space that was never written is no frame.
 * Method: zeros, and bytes of one value. */
static void
frame_of_plain_bytes_is_none(void **state)
{
    uint8_t bytes[4096];
    struct gy_frame opened;
    (void)state;

    for (unsigned value = 0; value <= 0xff; value++) {
        memset(bytes, (int)value, sizeof(bytes));
        assert_int_equal(gy_frame_open(bytes, sizeof(bytes), &place, &opened), GY_FRAME_NONE);
        assert_true(gy_frame_peek_span(bytes, sizeof(bytes)) == 0);
    }
}

/* Goal:   the checksum is XXH3, 64 bits, with a seed, as other programs compute it.
 * Method: values from the xxhsum program and xxHash's own tests: the empty input, and one of each
 *         path. */
static void
frame_checksum_is_xxh3(void **state)
{
    (void)state;

    assert_true(gy_checksum(NULL, 0, 0) == 0x2d06800538d394c2ull);
    assert_true(gy_checksum("a", 1, 0) == 0xe6c632b61e964e1full);
    assert_true(gy_checksum("abc", 3, 0) == 0x78af5f94892f3950ull);
    assert_true(gy_checksum("abc", 3, 1) != gy_checksum("abc", 3, 0));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_opens_as_it_was_sealed),
        cmocka_unit_test(frame_bytes_are_the_frozen_ones),
        cmocka_unit_test(frame_sees_every_flipped_bit),
        cmocka_unit_test(frame_opens_in_its_own_place_only),
        cmocka_unit_test(frame_cut_anywhere_is_none),
        cmocka_unit_test(frame_rules_hold_behind_the_checksum),
        cmocka_unit_test(frame_of_plain_bytes_is_none),
        cmocka_unit_test(frame_checksum_is_xxh3),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
