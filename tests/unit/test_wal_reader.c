/* test_wal_reader.c - logs put together by hand, frame by frame, each with a good checksum: what is
 * delivered, what is refused, what is a torn tail. Rules X1 to X5 are in engine/disk/wal_reader.h.
 * Random damage is tests/sim/sim_corruption.c and sim_log_damage.c; this is what chance does not
 * find: bytes that somebody sealed with care. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/codec/checksum.h"
#include "engine/codec/coding.h"
#include "engine/disk/log_mark.h"
#include "engine/disk/wal_reader.h"
#include "io/base/bits.h"
#include "tests/support/disk_kit.h"

#define STORE_ID 99u
#define LOG 7u
#define PAGES 16u
#define FILE_SIZE (PAGES * GY_PAGE)

struct rig {
    struct disk_kit kit;
    uint8_t image[FILE_SIZE];
    uint64_t size;            /* of the file */
    uint64_t at;              /* offset of the next frame */
    uint64_t sequence;        /* of the next commit */
    uint64_t sequence_before; /* what the reader has delivered of earlier logs */
    uint64_t end;             /* what the successor says */
    bool lenient;
    uint64_t refused;     /* this commit, counted from 1, is not taken */
    bool is_deaf;         /* lenient: asks for no reports of damage */
    uint64_t far_offset;  /* a frame of one commit there, which calls what is before durable */
    uint64_t mark_offset; /* a slot's mark there too: the file is that much larger */
    /* results */
    gyre_status status;
    gyre_status start_status;
    struct gyre_error error;
    struct gy_log_result result;
    struct gy_log_start start;
    uint64_t delivered; /* commits */
    uint64_t last_sequence;
    uint64_t damage_count;
    uint64_t dropped;
    gyre_status used_status; /* gy_wal_await_was_used */
    bool was_used;
    gyre_status find_status; /* gy_wal_await_find */
    uint64_t found_number;
    bool is_blank;
};

/* ---- Building ---- */

/* Seal again after a change that gy_frame_seal would not make. */
static void
reseal(struct rig *rig, uint64_t offset)
{
    uint8_t *bytes = rig->image + offset;
    const uint64_t number = gy_get_u64(bytes + 48);
    const uint64_t seed = gy_mix64(gy_mix64(gy_mix64(STORE_ID) + number) + offset / GY_PAGE);

    gy_put_u64(bytes,
               gy_checksum(bytes + 8, GY_FRAME_HEADER_SIZE - 8 + gy_get_u32(bytes + 12), seed));
}

/* Returns the frame's offset. */
static uint64_t
add_frame(struct rig *rig, struct gy_frame frame, struct gyre_slice payload)
{
    const uint64_t offset = rig->at;
    const struct gy_frame_place place = {
        .store_id = STORE_ID, .file_number = LOG, .offset = offset};

    frame.file_number = LOG;
    frame.payload_size = (uint32_t)payload.size;
    if (payload.size > 0) {
        memcpy(rig->image + offset + GY_FRAME_HEADER_SIZE, payload.data, payload.size);
    }
    gy_frame_seal(rig->image + offset, &frame, &place);
    rig->at += gy_frame_span(frame.payload_size);
    return offset;
}

static void
add_start(struct rig *rig)
{
    uint8_t mark[GY_LOG_MARK_SIZE];

    gy_log_mark_encode(mark, 1, 4096);
    (void)add_frame(rig,
                    (struct gy_frame){.kind = GY_FRAME_LOG_START,
                                      .sequence_first = rig->sequence,
                                      .sequence_last = rig->sequence - 1,
                                      .previous = 12288},
                    gyre_slice(mark, sizeof(mark)));
}

static void
add_end(struct rig *rig)
{
    uint8_t mark[GY_LOG_MARK_SIZE];

    gy_log_mark_encode(mark, 1, 8192);
    (void)add_frame(rig,
                    (struct gy_frame){.kind = GY_FRAME_LOG_END,
                                      .sequence_first = rig->sequence,
                                      .sequence_last = rig->sequence - 1,
                                      .durable_offset = rig->at},
                    gyre_slice(mark, sizeof(mark)));
}

/* A commit of `count` puts in `target`, with its length in front. */
static size_t
make_commit(uint8_t *target, uint32_t count)
{
    const struct gy_operation op = {
        .kind = GY_KIND_PUT, .key = gyre_str("key"), .value = gyre_str("some value")};
    uint8_t *start = gy_put_varint(target, count * gy_operation_size(&op));
    uint8_t *at = start;

    for (uint32_t i = 0; i < count; i++) {
        at = gy_operation_encode(at, &op);
    }
    return (size_t)(at - target);
}

static struct gy_frame
commits_of(const struct rig *rig, uint32_t records, uint32_t operations)
{
    return (struct gy_frame){.kind = GY_FRAME_COMMITS,
                             .record_count = records,
                             .sequence_first = rig->sequence,
                             .sequence_last = rig->sequence + operations - 1,
                             .durable_offset = rig->at};
}

/* One frame with one commit of two operations. */
static uint64_t
add_commit(struct rig *rig)
{
    uint8_t payload[256];
    const size_t size = make_commit(payload, 2);
    const uint64_t offset = add_frame(rig, commits_of(rig, 1, 2), gyre_slice(payload, size));

    rig->sequence += 2;
    return offset;
}

/* A part of a commit of two operations: bytes [from, until) of it. */
static void
add_part(struct rig *rig, size_t from, size_t until, uint8_t flags)
{
    uint8_t payload[256];
    const size_t size = make_commit(payload, 2);
    const bool is_last = (flags & GY_FRAME_LAST) != 0;
    struct gy_frame frame = commits_of(rig, is_last ? 1 : 0, is_last ? 2 : 0);

    until = gy_min_u64(until, size);
    frame.flags = (uint8_t)(GY_FRAME_PART | flags);
    frame.previous = from;
    (void)add_frame(rig, frame, gyre_slice(payload + from, until - from));
    rig->sequence += is_last ? 2 : 0;
}

static void
make_slot_mark(uint8_t *page, uint64_t offset)
{
    const struct gy_frame frame = {
        .kind = GY_FRAME_LOG_END, .sequence_first = 1, .durable_offset = offset + GY_PAGE};
    const struct gy_frame_place place = {.store_id = STORE_ID, .offset = offset};

    gy_frame_seal(page, &frame, &place);
}

/* A page at `offset` of the file, behind the image. */
static void
poke_page(struct rig *rig, uint64_t offset, const uint8_t *page)
{
    assert_true(gy_sim_disk_poke(rig->kit.disk, "/db/log", offset, page, GY_PAGE) >= 0);
}

static void
poke_far_frame(struct rig *rig)
{
    struct gy_frame frame = commits_of(rig, 1, 2);
    const struct gy_frame_place place = {
        .store_id = STORE_ID, .file_number = LOG, .offset = rig->far_offset};
    static uint8_t page[GY_PAGE];

    frame.file_number = LOG;
    frame.durable_offset = rig->far_offset;
    frame.payload_size = (uint32_t)make_commit(page + GY_FRAME_HEADER_SIZE, 2);
    gy_frame_seal(page, &frame, &place);
    poke_page(rig, rig->far_offset, page);
}

/* ---- Reading ---- */

static gyre_status
take_commit(void *arg, struct gyre_slice operations, uint64_t sequence_first, uint32_t count)
{
    struct rig *rig = arg;

    assert_true(operations.size > 0 && count > 0);
    assert_true(rig->lenient || sequence_first > rig->last_sequence);
    if (rig->delivered + 1 == rig->refused) {
        return GYRE_CANCELED;
    }
    rig->last_sequence = sequence_first + count - 1;
    rig->delivered++;
    return GYRE_OK;
}

static void
take_damage(void *arg, const struct gyre_error *error)
{
    struct rig *rig = arg;

    assert_string_equal(error->file, "log");
    rig->damage_count++;
}

static void
read_main(void *arg)
{
    struct rig *rig = arg;
    struct gy_wal_reader reader = {.loop = &rig->kit.loop,
                                   .dir = &rig->kit.dir,
                                   .store_id = STORE_ID,
                                   .commit = take_commit,
                                   .arg = rig,
                                   .lenient = rig->lenient,
                                   .damage = rig->is_deaf ? NULL : take_damage,
                                   .sequence_next = rig->sequence_before + 1};
    struct gy_file file = GY_FILE_CLOSED;

    gy_in_coroutine();
    rig->status = gy_file_await_open(&rig->kit.loop, &rig->kit.dir, "log", 0, GY_IO_META, &file);
    if (rig->status == GYRE_OK) {
        rig->start_status =
            gy_wal_await_read_start(&rig->kit.loop, &file, STORE_ID, LOG, &rig->start);
        rig->status = gy_wal_await_read(&reader, &file, LOG, rig->end, &rig->result);
        rig->error = *gy_sched_error(&rig->kit.loop.sched);
        rig->used_status = gy_wal_await_was_used(&reader, &file, LOG, &rig->was_used);
        rig->find_status = gy_wal_await_find(&reader, &file, &rig->found_number, &rig->is_blank);
    }
    rig->dropped = reader.tail_dropped_bytes;
    (void)gy_file_await_close(&rig->kit.loop, &file);
    gy_wal_reader_fini(&reader);
}

static void
read_log(struct rig *rig)
{
    rig->delivered = 0;
    rig->last_sequence = 0;
    rig->damage_count = 0;
    (void)gy_sim_disk_remove(rig->kit.disk, "/db/log");
    (void)gy_sim_disk_poke(rig->kit.disk, "/db/log", 0, rig->image, rig->size);
    if (rig->mark_offset != 0) {
        static uint8_t page[GY_PAGE];

        make_slot_mark(page, rig->mark_offset);
        poke_page(rig, rig->mark_offset, page);
    }
    if (rig->far_offset != 0) {
        poke_far_frame(rig);
    }
    disk_kit_run(&rig->kit, read_main, rig);
}

static void
rig_make(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    disk_kit_make(&rig->kit, NULL);
    rig->sequence = 1;
    rig->end = GY_LOG_LAST;
    rig->size = FILE_SIZE;
    make_slot_mark(rig->image + FILE_SIZE - GY_PAGE, FILE_SIZE - GY_PAGE);
}

/* The log is refused, by name and place; salvage takes `delivered` commits out of it. */
static void
check_refused(struct rig *rig, gyre_status status, uint64_t offset, uint64_t delivered)
{
    read_log(rig);
    assert_int_equal(rig->status, status);
    assert_string_equal(rig->error.file, "log");
    assert_int_equal(rig->error.offset, offset);
    rig->lenient = true;
    read_log(rig);
    rig->lenient = false;
    assert_int_equal(rig->status, GYRE_OK);
    assert_int_equal(rig->delivered, delivered);
}

/* ---- Tests ---- */

/* Goal:   a log that was closed, and one that was not, give all their commits. */
static void
wal_reader_delivers_all_commits(void **state)
{
    static struct rig rig;
    (void)state;

    rig_make(&rig);
    add_start(&rig);
    for (uint32_t i = 0; i < 5; i++) {
        (void)add_commit(&rig);
    }
    read_log(&rig);
    assert_int_equal(rig.status, GYRE_OK);
    assert_int_equal(rig.delivered, 5);
    assert_false(rig.result.clean);
    assert_int_equal(rig.dropped, 0);
    assert_int_equal(rig.start_status, GYRE_OK);
    assert_int_equal(rig.start.previous_end, 12288);
    add_end(&rig);
    read_log(&rig);
    assert_int_equal(rig.status, GYRE_OK);
    assert_true(rig.result.clean);
    assert_int_equal(rig.result.manifest_end, 8192);
    rig.end = 4 * GY_PAGE; /* X2: its successor says that it ends here */
    read_log(&rig);
    assert_int_equal(rig.status, GYRE_OK);
    assert_int_equal(rig.delivered, 3);
    rig.end = 14 * GY_PAGE;
    check_refused(&rig, GYRE_CORRUPT, 6 * GY_PAGE, 5);
    disk_kit_free(&rig.kit);
}

/* Goal:   frames with a good checksum and senseless content are refused, with their place. */
static void
wal_reader_refuses_frames_that_make_no_sense(void **state)
{
    static struct rig rig;
    static const struct {
        uint32_t offset; /* in the header of the third frame, or its payload */
        uint8_t value;
        gyre_status status;
    } changes[] = {
        {16, GY_FRAME_EDITS, GYRE_CORRUPT},     /* kind: not of a log */
        {16, GY_FRAME_LOG_START, GYRE_CORRUPT}, /* not in the middle */
        {16, GY_FRAME_LOG_END, GYRE_CORRUPT},   /* with a payload that is no mark */
        {16, 77, GYRE_CORRUPT},                 /* kind: unknown */
        {17, 0x80, GYRE_CORRUPT},               /* flags: unknown */
        {18, 2, GYRE_UNSUPPORTED},              /* version */
        {20, 3, GYRE_CORRUPT},                  /* record_count */
        {24, 4, GYRE_CORRUPT},                  /* sequence_first: a gap */
        {32, 9, GYRE_CORRUPT},                  /* sequence_last */
        {64, 0, GYRE_CORRUPT},                  /* a commit without operations, then bytes */
        {64, 0x7f, GYRE_CORRUPT},               /* a commit longer than its frame */
        {65, 9, GYRE_UNSUPPORTED},              /* kind of an operation: unknown */
        {66, 0x7f, GYRE_UNSUPPORTED},           /* its keyspace */
        {67, 0x7f, GYRE_CORRUPT},               /* an operation longer than its commit */
    };
    (void)state;

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        uint64_t offset;

        rig_make(&rig);
        add_start(&rig);
        (void)add_commit(&rig);
        offset = add_commit(&rig);
        (void)add_commit(&rig);
        rig.image[offset + changes[i].offset] = changes[i].value;
        reseal(&rig, offset);
        read_log(&rig);
        if (rig.status != changes[i].status || rig.error.offset != offset) {
            fail_msg("change %zu: %s at %llu", i, gyre_status_name(rig.status),
                     (unsigned long long)rig.error.offset);
        }
        assert_in_range(rig.delivered, 1, 2); /* of a frame that counts wrongly, too */
        rig.lenient = true;
        read_log(&rig);
        assert_int_equal(rig.status, GYRE_OK);
        assert_in_range(rig.delivered, 1, 3);
        disk_kit_free(&rig.kit);
    }
}

/* Goal:   a log that begins before its predecessor ends is refused; numbers left out are fine. */
static void
wal_reader_demands_that_logs_go_on(void **state)
{
    static struct rig rig;
    (void)state;

    rig_make(&rig);
    rig.sequence = 10;
    add_start(&rig);
    (void)add_commit(&rig);
    rig.sequence_before = 5;
    read_log(&rig);
    assert_int_equal(rig.status, GYRE_OK);
    rig.sequence_before = 9;
    read_log(&rig);
    assert_int_equal(rig.status, GYRE_OK);
    rig.sequence_before = 10;
    check_refused(&rig, GYRE_CORRUPT, 0, 1);
    disk_kit_free(&rig.kit);
}

/* Goal:   a commit in parts is delivered once, when its last part is there (X5). */
static void
wal_reader_puts_parts_together(void **state)
{
    static const struct {
        uint8_t parts[5][3]; /* from, until, flags; until 0: no more */
        uint32_t delivered;  /* with one commit in front and one behind */
        gyre_status status;
    } cases[] = {
        {{{0, 5, GY_FRAME_FIRST}, {5, 9, 0}, {9, 200, GY_FRAME_LAST}}, 3, GYRE_OK},
        {{{0, 200, GY_FRAME_FIRST | GY_FRAME_LAST}}, 3, GYRE_OK},
        /* a part twice: it came from the log and from staging */
        {{{0, 5, GY_FRAME_FIRST}, {0, 5, GY_FRAME_FIRST}, {5, 200, GY_FRAME_LAST}}, 3, GYRE_OK},
        /* the beginning is missing, a middle is, the parts overlap */
        {{{5, 200, GY_FRAME_LAST}}, 0, GYRE_CORRUPT},
        {{{0, 5, GY_FRAME_FIRST}, {9, 200, GY_FRAME_LAST}}, 0, GYRE_CORRUPT},
        {{{0, 5, GY_FRAME_FIRST}, {3, 200, GY_FRAME_LAST}}, 0, GYRE_CORRUPT},
        /* what is put together does not decode: it ends too early */
        {{{0, 5, GY_FRAME_FIRST}, {5, 9, GY_FRAME_LAST}}, 0, GYRE_CORRUPT},
        /* no end: its writer died; the next commit takes the numbers */
        {{{0, 5, GY_FRAME_FIRST}, {5, 9, 0}}, 2, GYRE_OK},
    };
    static struct rig rig;
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rig_make(&rig);
        add_start(&rig);
        (void)add_commit(&rig);
        for (uint32_t j = 0; cases[i].parts[j][1] != 0; j++) {
            add_part(&rig, cases[i].parts[j][0], cases[i].parts[j][1], cases[i].parts[j][2]);
        }
        (void)add_commit(&rig);
        read_log(&rig);
        if (rig.status != cases[i].status ||
            (rig.status == GYRE_OK && rig.delivered != cases[i].delivered)) {
            fail_msg("case %zu: %s, %llu commits", i, gyre_status_name(rig.status),
                     (unsigned long long)rig.delivered);
        }
        rig.lenient = true;
        read_log(&rig);
        assert_int_equal(rig.status, GYRE_OK);
        assert_in_range(rig.delivered, 1, 3);
        disk_kit_free(&rig.kit);
    }
}

/* Goal:   the torn end of the last log is dropped and counted; damage that was durable is not (X3).
 * Method: frames made unreadable, with and without one behind them that calls them durable. */
static void
wal_reader_tells_torn_from_damaged(void **state)
{
    static struct rig rig;
    uint64_t last;
    uint64_t middle;
    (void)state;

    rig_make(&rig);
    add_start(&rig);
    (void)add_commit(&rig);
    middle = add_commit(&rig);
    last = add_commit(&rig);
    rig.image[last + 70] ^= 1;
    read_log(&rig);
    assert_int_equal(rig.status, GYRE_OK);
    assert_int_equal(rig.delivered, 2);
    assert_int_equal(rig.dropped, GY_PAGE);
    rig.image[last + 8] ^= 1; /* the magic: its number still says whose it is */
    read_log(&rig);
    assert_int_equal(rig.status, GYRE_OK);
    assert_int_equal(rig.dropped, GY_PAGE);
    memset(rig.image + last, 0, GY_PAGE); /* it never came */
    read_log(&rig);
    assert_int_equal(rig.dropped, 0);
    rig.at = last;
    rig.sequence -= 2;
    (void)add_commit(&rig);
    rig.image[middle + 70] ^= 1; /* the last one calls it durable */
    check_refused(&rig, GYRE_CORRUPT, middle, 2);
    gy_put_u64(rig.image + last + 40, middle); /* ... or does not: both were in flight */
    reseal(&rig, last);
    read_log(&rig);
    assert_int_equal(rig.status, GYRE_OK);
    assert_int_equal(rig.delivered, 1);
    assert_int_equal(rig.dropped, 2 * GY_PAGE);
    disk_kit_free(&rig.kit);
}

/* Goal:   a file without its mark was cut, whatever its size. */
static void
wal_reader_misses_the_end_of_the_file(void **state)
{
    static const uint64_t sizes[] = {FILE_SIZE - GY_PAGE, FILE_SIZE - 1, 6 * GY_PAGE, 5 * GY_PAGE,
                                     4 * GY_PAGE + 100};
    static struct rig rig;
    (void)state;

    rig_make(&rig);
    add_start(&rig);
    for (uint32_t i = 0; i < 3; i++) {
        (void)add_commit(&rig);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        rig.size = sizes[i];
        check_refused(&rig, GYRE_CORRUPT, gy_align_down(sizes[i] - 1, GY_PAGE), 3);
    }
    rig.size = 1;
    read_log(&rig);
    assert_int_equal(rig.status, GYRE_CORRUPT);
    assert_int_equal(rig.start_status, GYRE_NOT_FOUND);
    disk_kit_free(&rig.kit);
}

/* Goal:   only the mark that was put there before first use says that a file is whole.
 * Method: another kind of frame in its place; one that counts as a log's own; a log up to the mark,
 *         which is no torn tail. */
static void
wal_reader_knows_the_mark_of_a_slot(void **state)
{
    const struct gy_frame other = {.kind = GY_FRAME_CURRENT, .sequence_first = 1};
    const struct gy_frame own = {
        .kind = GY_FRAME_LOG_END, .sequence_first = 1, .file_number = LOG + 1};
    struct gy_frame_place place = {.store_id = STORE_ID, .offset = FILE_SIZE - GY_PAGE};
    static struct rig rig;
    (void)state;

    rig_make(&rig);
    add_start(&rig);
    while (rig.at < FILE_SIZE - GY_PAGE) {
        (void)add_commit(&rig);
    }
    read_log(&rig);
    assert_int_equal(rig.status, GYRE_OK);
    assert_int_equal(rig.delivered, PAGES - 2);
    assert_int_equal(rig.dropped, 0);
    gy_frame_seal(rig.image + place.offset, &other, &place);
    check_refused(&rig, GYRE_CORRUPT, place.offset, PAGES - 2);
    place.file_number = own.file_number;
    gy_frame_seal(rig.image + place.offset, &own, &place);
    check_refused(&rig, GYRE_CORRUPT, place.offset, PAGES - 2);
    disk_kit_free(&rig.kit);
}

/* Goal:   a log was used when a frame says that something of it was durable before (W4): that is
 *         what tells a manifest that has lost its end.
 * Method: frames with and without; a file that ends with them. */
static void
wal_reader_tells_used_logs_from_just_begun_ones(void **state)
{
    static struct rig rig;
    uint64_t offset;
    (void)state;

    rig_make(&rig);
    add_start(&rig);
    rig.size = GY_PAGE;
    read_log(&rig);
    assert_int_equal(rig.used_status, GYRE_OK);
    assert_false(rig.was_used);
    rig.size = FILE_SIZE;
    for (uint32_t i = 0; i < 2; i++) { /* from staging: before the log was named */
        offset = add_commit(&rig);
        gy_put_u64(rig.image + offset + 40, 0);
        reseal(&rig, offset);
    }
    read_log(&rig);
    assert_int_equal(rig.used_status, GYRE_OK);
    assert_false(rig.was_used);
    offset = add_commit(&rig);
    read_log(&rig);
    assert_int_equal(rig.used_status, GYRE_OK);
    assert_true(rig.was_used);
    rig.image[offset + 70] ^= 1;
    read_log(&rig);
    assert_false(rig.was_used);
    disk_kit_free(&rig.kit);
}

/* Goal:   salvage finds a log whose beginning is gone by any frame of it, and nothing in zeros.
 * Method: a start frame whose mark does not decode; no start at all; nothing but the slot's mark.
 */
static void
wal_reader_finds_logs_without_their_beginning(void **state)
{
    static struct rig rig;
    (void)state;

    rig_make(&rig);
    read_log(&rig);
    assert_int_equal(rig.find_status, GYRE_NOT_FOUND);
    assert_true(rig.is_blank);
    (void)add_frame(&rig,
                    (struct gy_frame){.kind = GY_FRAME_LOG_START, .sequence_first = rig.sequence},
                    gyre_str("no mark"));
    (void)add_commit(&rig);
    read_log(&rig);
    assert_int_equal(rig.start_status, GYRE_NOT_FOUND);
    assert_int_equal(rig.find_status, GYRE_OK);
    assert_int_equal(rig.found_number, LOG);
    memset(rig.image, 0, GY_PAGE);
    rig.lenient = true;
    rig.is_deaf = true;
    read_log(&rig);
    assert_int_equal(rig.start_status, GYRE_NOT_FOUND);
    assert_int_equal(rig.find_status, GYRE_OK);
    assert_int_equal(rig.found_number, LOG);
    assert_false(rig.is_blank);
    assert_int_equal(rig.delivered, 1);
    disk_kit_free(&rig.kit);
}

/* Goal:   a file that is larger than any log is refused at once: it may be sparse and endless, and
 *         whoever made it may have sealed a mark for its end.
 * Method: 4 GiB, four times the largest log; it would be accepted if it were read to its end.
 */
static void
wal_reader_does_not_walk_endless_files(void **state)
{
    static struct rig rig;
    (void)state;

    rig_make(&rig);
    add_start(&rig);
    (void)add_commit(&rig);
    rig.mark_offset = (8ull << 20) - GY_PAGE; /* a large one is fine */
    read_log(&rig);
    assert_int_equal(rig.status, GYRE_OK);
    rig.mark_offset = (4ull << 30) - GY_PAGE;
    read_log(&rig);
    assert_int_equal(rig.status, GYRE_CORRUPT);
    assert_int_equal(rig.delivered, 1);
    disk_kit_free(&rig.kit);
}

/* What was asked of a log gave what it gives when nothing fails, or told of `failure`. */
static bool
is_told(const struct rig *rig, const struct rig *sound, gyre_status failure)
{
    assert_true(rig->status == failure || rig->status == sound->status);
    assert_true(rig->start_status == failure || rig->start_status == GYRE_OK);
    assert_true(rig->used_status == failure || rig->used_status == GYRE_OK);
    assert_true(rig->find_status == failure || rig->find_status == GYRE_OK);
    if (rig->status != failure) {
        assert_int_equal(rig->delivered, sound->delivered);
        assert_int_equal(rig->damage_count, sound->damage_count);
        assert_int_equal(rig->dropped, sound->dropped);
    }
    assert_true(rig->used_status == failure || rig->was_used == sound->was_used);
    assert_true(rig->find_status == failure || rig->is_blank == sound->is_blank);
    return rig->status == failure || rig->start_status == failure || rig->used_status == failure ||
           rig->find_status == failure;
}

/* Every request, then every allocation of a reading fails, one at a time. Returns how often
 * somebody told. */
static uint32_t
fail_everything(struct rig *rig)
{
    struct gy_sim_faults faults = {.rule_count = 1};
    static struct rig sound;
    uint32_t told = 0;

    read_log(rig);
    sound = *rig;

    for (uint64_t nth = 1; nth < 60; nth++) {
        faults.rules[0] = (struct gy_sim_rule){
            .fault = GY_SIM_FAULT_ERROR, .op_mask = 0, .nth = nth, .strikes_max = 1};
        gy_world_sim_set_faults(rig->kit.world, &faults);
        read_log(rig);
        gy_world_sim_set_faults(rig->kit.world, NULL);
        told += is_told(rig, &sound, GYRE_IO);
    }
    for (uint64_t nth = 1; nth < 20; nth++) {
        rig->kit.loop.heap.fail_at = rig->kit.loop.heap.allocation_count + nth;
        read_log(rig);
        rig->kit.loop.heap.fail_at = 0;
        told += is_told(rig, &sound, GYRE_NO_MEMORY);
    }
    return told;
}

/* Goal:   a device or a memory that fails is told as what it is, never taken for the end of a log
 *         or for damage, and nothing is left behind.
 * Method: the n-th request, then the n-th allocation, for every n; of a log with a torn tail that
 *         fits a window of the reader, of a file that takes several up to its mark, and of one with
 *         a frame far behind that calls the tail durable. */
static void
wal_reader_passes_failures_on(void **state)
{
    static const uint64_t mark_offsets[] = {0, (5ull << 20) - GY_PAGE, (7ull << 20) - GY_PAGE};
    static struct rig rig;
    uint64_t torn;
    (void)state;

    rig_make(&rig);
    add_start(&rig);
    (void)add_commit(&rig);
    add_part(&rig, 0, 5, GY_FRAME_FIRST);
    add_part(&rig, 5, 200, GY_FRAME_LAST);
    torn = add_commit(&rig);
    rig.image[torn + 70] ^= 1;
    for (uint32_t i = 0; i < 3; i++) {
        rig.mark_offset = mark_offsets[i];
        rig.far_offset = i == 2 ? 4ull << 20 : 0;
        for (uint32_t lenient = 0; lenient < 2; lenient++) {
            rig.lenient = lenient;
            assert_in_range(fail_everything(&rig), i > 0 ? 20 : 10, 70);
            read_log(&rig);
            assert_int_equal(rig.status, i < 2 || lenient ? GYRE_OK : GYRE_CORRUPT);
            assert_int_equal(rig.delivered, i < 2 || !lenient ? 2 : 3);
        }
    }
    disk_kit_free(&rig.kit);
}

/* Goal:   whoever takes the commits may say no, and that is what is told.
 * Method: the second commit is refused, by a reader that is strict and by one that is not. */
static void
wal_reader_stops_when_its_taker_does(void **state)
{
    static struct rig rig;
    (void)state;

    rig_make(&rig);
    add_start(&rig);
    for (uint32_t i = 0; i < 3; i++) {
        (void)add_commit(&rig);
    }
    rig.refused = 2;
    for (uint32_t lenient = 0; lenient < 2; lenient++) {
        rig.lenient = lenient;
        read_log(&rig);
        assert_int_equal(rig.status, GYRE_CANCELED);
        assert_int_equal(rig.delivered, 1);
        assert_int_equal(rig.damage_count, 0);
    }
    disk_kit_free(&rig.kit);
}

/* ---- Payloads ---- */

struct put {
    struct rig *rig;
    struct gy_wal_reader reader;
    struct gyre_slice payload;
    uint8_t flags;
    uint64_t part_offset;
    gyre_status status;
};

static void
put_main(void *arg)
{
    struct put *put = arg;
    uint32_t record_count = 0;
    uint64_t sequence_last = 0;

    gy_in_coroutine();
    put->status = gy_wal_reader_await_payload(&put->reader, "log", 0, put->payload, put->flags,
                                              put->part_offset, put->reader.sequence_next,
                                              &record_count, &sequence_last);
}

static void
put_make(struct put *put, struct rig *rig)
{
    *put = (struct put){
        .rig = rig,
        .reader = {.loop = &rig->kit.loop, .commit = take_commit, .arg = rig, .sequence_next = 1}};
    rig->delivered = 0;
    rig->last_sequence = 0;
}

/* Goal:   the last numbers there are can be used, none past them: they would run into the kind of
 *         an entry.
 * Method: a commit of two operations that ends with the last number, and one behind it. */
static void
wal_payload_ends_with_the_last_sequence(void **state)
{
    static struct rig rig;
    struct put put;
    uint8_t payload[256];
    (void)state;

    rig_make(&rig);
    for (uint32_t over = 0; over < 3; over++) {
        put_make(&put, &rig);
        put.payload = gyre_slice(payload, make_commit(payload, 2));
        put.reader.sequence_next = GY_SEQUENCE_MAX - 1 + over;
        disk_kit_run(&rig.kit, put_main, &put);
        assert_int_equal(put.status, over == 0 ? GYRE_OK : GYRE_CORRUPT);
        assert_int_equal(rig.delivered, over == 0);
        gy_wal_reader_fini(&put.reader);
    }
    disk_kit_free(&rig.kit);
}

/* Goal:   parts are one commit, and no larger than a batch can be: a log may not ask for any amount
 *         of memory.
 * Method: two commits in one part; a part that ends at the limit, and one byte behind it. */
static void
wal_payload_of_parts_is_one_commit_of_a_batch(void **state)
{
    const size_t limit = GYRE_BATCH_SIZE_MAX + GYRE_BATCH_SIZE_MAX / 2;
    static struct rig rig;
    struct put put;
    uint8_t payload[512];
    size_t size = make_commit(payload, 1);
    (void)state;

    size += make_commit(payload + size, 1);
    rig_make(&rig);
    put_make(&put, &rig);
    put.payload = gyre_slice(payload, size);
    put.flags = GY_FRAME_PART | GY_FRAME_FIRST | GY_FRAME_LAST;
    disk_kit_run(&rig.kit, put_main, &put);
    assert_int_equal(put.status, GYRE_CORRUPT);
    gy_wal_reader_fini(&put.reader);
    for (size_t over = 0; over < 2; over++) {
        put_make(&put, &rig);
        put.payload = gyre_slice(payload, 16);
        put.flags = GY_FRAME_PART;
        put.reader.part_sequence = 1; /* as if so much had been put together */
        put.reader.part_size = limit - 16 + over;
        put.part_offset = put.reader.part_size;
        disk_kit_run(&rig.kit, put_main, &put);
        assert_int_equal(put.status, over == 0 ? GYRE_OK : GYRE_CORRUPT);
        assert_int_equal(put.reader.part_size, over == 0 ? limit : limit - 16 + over);
        gy_wal_reader_fini(&put.reader);
    }
    disk_kit_free(&rig.kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wal_reader_delivers_all_commits),
        cmocka_unit_test(wal_reader_refuses_frames_that_make_no_sense),
        cmocka_unit_test(wal_reader_demands_that_logs_go_on),
        cmocka_unit_test(wal_reader_puts_parts_together),
        cmocka_unit_test(wal_reader_tells_torn_from_damaged),
        cmocka_unit_test(wal_reader_misses_the_end_of_the_file),
        cmocka_unit_test(wal_reader_knows_the_mark_of_a_slot),
        cmocka_unit_test(wal_reader_tells_used_logs_from_just_begun_ones),
        cmocka_unit_test(wal_reader_finds_logs_without_their_beginning),
        cmocka_unit_test(wal_reader_does_not_walk_endless_files),
        cmocka_unit_test(wal_reader_passes_failures_on),
        cmocka_unit_test(wal_reader_stops_when_its_taker_does),
        cmocka_unit_test(wal_payload_ends_with_the_last_sequence),
        cmocka_unit_test(wal_payload_of_parts_is_one_commit_of_a_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
