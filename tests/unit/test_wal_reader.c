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
    bool has_start; /* its first frame is read by gy_wal_await_read_start too */
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
add_slot_mark(struct rig *rig)
{
    const struct gy_frame frame = {
        .kind = GY_FRAME_LOG_END, .sequence_first = 1, .durable_offset = FILE_SIZE};
    const struct gy_frame_place place = {.store_id = STORE_ID, .offset = FILE_SIZE - GY_PAGE};

    gy_frame_seal(rig->image + FILE_SIZE - GY_PAGE, &frame, &place);
}

/* ---- Reading ---- */

static gyre_status
take_commit(void *arg, struct gyre_slice operations, uint64_t sequence_first, uint32_t count)
{
    struct rig *rig = arg;

    assert_true(operations.size > 0 && count > 0);
    assert_true(rig->lenient || sequence_first > rig->last_sequence);
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
                                   .damage = take_damage,
                                   .sequence_next = rig->sequence_before + 1};
    struct gy_file file = GY_FILE_CLOSED;

    gy_in_coroutine();
    rig->status = gy_file_await_open(&rig->kit.loop, &rig->kit.dir, "log", 0, GY_IO_META, &file);
    if (rig->status == GYRE_OK) {
        rig->start_status =
            gy_wal_await_read_start(&rig->kit.loop, &file, STORE_ID, LOG, &rig->start);
        rig->status = gy_wal_await_read(&reader, &file, LOG, rig->end, &rig->result);
        rig->error = *gy_sched_error(&rig->kit.loop.sched);
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
    add_slot_mark(rig);
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

/* Goal:   a file that is larger than any log is refused at once: it may be sparse and endless, and
 *         whoever made it may have sealed a mark for its end.
 * Method: 4 GiB, four times the largest log; it would be accepted if it were read to its end.
 */
static void
wal_reader_does_not_walk_endless_files(void **state)
{
    const struct gy_frame frame = {.kind = GY_FRAME_LOG_END, .sequence_first = 1};
    const struct gy_frame_place place = {.store_id = STORE_ID, .offset = (4ull << 30) - GY_PAGE};
    static uint8_t mark[GY_PAGE];
    static struct rig rig;
    (void)state;

    rig_make(&rig);
    add_start(&rig);
    (void)add_commit(&rig);
    gy_frame_seal(mark, &frame, &place);
    read_log(&rig);
    assert_int_equal(rig.status, GYRE_OK);
    rig.delivered = 0;
    rig.last_sequence = 0;
    assert_true(gy_sim_disk_poke(rig.kit.disk, "/db/log", place.offset, mark, GY_PAGE) >= 0);
    disk_kit_run(&rig.kit, read_main, &rig);
    assert_int_equal(rig.status, GYRE_CORRUPT);
    assert_int_equal(rig.delivered, 1);
    disk_kit_free(&rig.kit);
}

/* Goal:   a device or a memory that fails is told as what it is, and nothing is left behind.
 * Method: the n-th read, then the n-th allocation, for every n. */
static void
wal_reader_passes_failures_on(void **state)
{
    static struct rig rig;
    struct gy_sim_faults faults = {.rule_count = 1};
    uint32_t failed = 0;
    (void)state;

    rig_make(&rig);
    add_start(&rig);
    (void)add_commit(&rig);
    add_part(&rig, 0, 5, GY_FRAME_FIRST);
    add_part(&rig, 5, 200, GY_FRAME_LAST);
    faults.rules[0] = (struct gy_sim_rule){
        .fault = GY_SIM_FAULT_ERROR, .op_mask = 1u << GY_OP_READ, .is_repeated = true};
    for (uint64_t nth = 1; nth < 5; nth++) {
        faults.rules[0].nth = nth;
        gy_world_sim_set_faults(rig.kit.world, &faults);
        read_log(&rig);
        gy_world_sim_set_faults(rig.kit.world, NULL);
        assert_true(rig.status == GYRE_OK || rig.status == GYRE_IO);
        failed += rig.status == GYRE_IO;
    }
    assert_true(failed > 0);
    failed = 0;
    for (uint64_t nth = 1; nth < 12; nth++) {
        rig.kit.loop.heap.fail_at = rig.kit.loop.heap.allocation_count + nth;
        read_log(&rig);
        rig.kit.loop.heap.fail_at = 0;
        assert_true(rig.status == GYRE_OK || rig.status == GYRE_NO_MEMORY);
        failed += rig.status == GYRE_NO_MEMORY;
    }
    assert_true(failed > 1);
    read_log(&rig);
    assert_int_equal(rig.delivered, 2);
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
        cmocka_unit_test(wal_reader_does_not_walk_endless_files),
        cmocka_unit_test(wal_reader_passes_failures_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
