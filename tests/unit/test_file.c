/* test_file.c - whole transfers and error texts, on a world with one file in memory whose answers
 * the test decides. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/base/bits.h"
#include "io/base/fail.h"
#include "io/file.h"
#include "tests/support/fake_world.h"
#include "tests/support/world_calls.h"

#define DISK_SIZE (4u * GY_MIB)

struct rig {
    struct fake_world fake;
    struct gy_loop loop;
    uint8_t *disk; /* the one file */
    uint64_t file_size;
    uint32_t step;        /* a transfer moves at most so much, in multiples of 512 bytes; 0 = all */
    uint32_t stall_count; /* so many transfers move nothing new before one does */
    uint32_t stalled;
    int32_t fail_op; /* enum gy_op; -1 = none */
    int32_t fail_result;
    uint64_t fail_offset; /* READ, WRITE: at or behind this */
    uint32_t transfer_count;
    uint32_t durable_count;
    uint32_t transfer_max;
    bool has_misaligned;
    /* The call under test. */
    void (*body)(struct rig *rig);
    gyre_status status;
    bool is_done;
};

static int32_t
move(struct rig *rig, struct gy_req *req)
{
    const uint64_t end = req->op == GY_OP_READ ? rig->file_size : DISK_SIZE;
    uint32_t size = req->offset < end ? (uint32_t)gy_min_u64(req->size, end - req->offset) : 0;

    rig->transfer_count++;
    rig->durable_count += (req->flags & GY_IO_DSYNC) != 0;
    rig->transfer_max = (uint32_t)gy_max_u64(rig->transfer_max, req->size);
    rig->has_misaligned |= !gy_is_aligned(req->offset, GY_PAGE) ||
                           !gy_is_aligned((uint64_t)(uintptr_t)req->buffer, GY_PAGE);
    if (rig->step != 0) {
        size = (uint32_t)gy_min_u64(size, rig->step);
        if (rig->stalled < rig->stall_count) {
            rig->stalled++;
            size = (uint32_t)gy_min_u64(size, 512);
        } else {
            rig->stalled = 0;
        }
    }
    if (req->op == GY_OP_READ) {
        memcpy(req->buffer, rig->disk + req->offset, size);
    } else {
        memcpy(rig->disk + req->offset, req->buffer, size);
        rig->file_size = gy_max_u64(rig->file_size, req->offset + size);
    }
    return (int32_t)size;
}

static int32_t
answer(void *arg, struct gy_req *req)
{
    struct rig *rig = arg;
    const bool is_transfer = req->op == GY_OP_READ || req->op == GY_OP_WRITE;

    if (rig->fail_op == req->op && (!is_transfer || req->offset + req->size > rig->fail_offset)) {
        return rig->fail_result;
    }
    switch ((enum gy_op)req->op) {
    case GY_OP_READ:
    case GY_OP_WRITE:
        return move(rig, req);
    case GY_OP_STAT:
        req->ret_size = rig->file_size;
        return 0;
    case GY_OP_OPEN:
        return 7;
    case GY_OP_FREE_SPACE:
        req->ret_size = 12345;
        return 0;
    default:
        return 0;
    }
}

static int
setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct gyre_error error;

    fake_world_init(&rig->fake, 16);
    rig->fake.answer = answer;
    rig->fake.arg = rig;
    rig->fail_op = -1;
    rig->disk = calloc(1, DISK_SIZE);
    *state = rig;
    return gy_loop_init(&rig->loop, &(struct gy_loop_config){.world = &rig->fake.world}, &error) ==
                   GYRE_OK
               ? 0
               : -1;
}

static int
teardown(void **state)
{
    struct rig *rig = *state;

    gy_loop_fini(&rig->loop);
    free(rig->disk);
    free(rig);
    return 0;
}

static void
body_run(void *arg)
{
    struct rig *rig = arg;

    gy_in_coroutine();
    rig->body(rig);
    rig->loop.sched.host_error = rig->loop.sched.current->error; /* to look at afterwards */
    rig->is_done = true;
}

/* Run `body` in a coroutine to its end. */
static gyre_status
run(struct rig *rig, void (*body)(struct rig *rig))
{
    rig->body = body;
    rig->is_done = false;
    assert_int_equal(gy_spawn(&rig->loop.sched, GY_CLASS_FOREGROUND, "test", body_run, rig, NULL),
                     GYRE_OK);
    for (uint32_t turns = 0; !gy_loop_is_idle(&rig->loop); turns++) {
        assert_in_range(turns, 0, 100000);
        (void)gy_loop_turn(&rig->loop, true, GY_NEVER);
    }
    assert_true(rig->is_done);
    return rig->status;
}

static void
assert_text(const struct rig *rig, const char *part)
{
    const struct gyre_error *error = &rig->loop.sched.host_error;

    assert_int_equal(error->status, rig->status);
    if (strstr(error->text, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, error->text);
    }
}

static const struct gy_file file = {.slot = 7, .dir = 1, .name = "000012.sst"};
static const struct gy_file dir = {.slot = 1, .dir = GY_DIR_CWD, .name = "store"};
static uint8_t *buffer;
static uint32_t buffer_size;
static uint64_t at;
static uint32_t got;

/* The scheduler calls these through a pointer; they are in a coroutine. */
static void
do_write(struct rig *rig)
{
    gy_in_coroutine();
    rig->status = gy_file_await_write(&rig->loop, &file, GY_IO_FLUSH, buffer, buffer_size, at, 0);
}

static void
do_write_durable(struct rig *rig)
{
    gy_in_coroutine();
    rig->status =
        gy_file_await_write(&rig->loop, &file, GY_IO_WAL, buffer, buffer_size, at, GY_IO_DSYNC);
}

static void
do_read(struct rig *rig)
{
    gy_in_coroutine();
    rig->status = gy_file_await_read(&rig->loop, &file, GY_IO_READ, buffer, buffer_size, at);
}

static void
do_read_some(struct rig *rig)
{
    gy_in_coroutine();
    rig->status =
        gy_file_await_read_some(&rig->loop, &file, GY_IO_READ, buffer, buffer_size, at, &got);
}

/* Goal:   transfers arrive whole, on aligned requests of allowed size, however short the device's
 *         answers are, and also when several answers in a row bring nothing new.
 * Method: steps of every kind: less than a page, a page, odd multiples of a sector. */
static void
file_moves_all_bytes_when_transfers_are_short(void **state)
{
    static const uint32_t steps[] = {0, 512, 4096, 4608, 5120, 65536, 100 * 512};
    struct rig *rig = *state;
    uint8_t *expected = world_pages(3 * GY_MIB);

    for (uint32_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        /* A step below a page that never grows can not move more than its first sectors: it needs
         * answers that grow. So small steps come as stalls before a large one. */
        rig->step = steps[i] == 512 ? 8192 : steps[i];
        rig->stall_count = steps[i] == 512 ? 3 : 0;
        buffer_size = rig->step == 0 ? 3 * GY_MIB : 200 * GY_KIB;
        at = 5 * GY_PAGE;
        buffer = world_pages(buffer_size);
        world_pattern(expected, buffer_size, i + 1);
        memcpy(buffer, expected, buffer_size);
        rig->file_size = 0;
        memset(rig->disk, 0, DISK_SIZE);
        assert_int_equal(run(rig, do_write), GYRE_OK);
        assert_memory_equal(rig->disk + at, expected, buffer_size);
        assert_int_equal(rig->file_size, at + buffer_size);
        memset(buffer, 0, buffer_size);
        assert_int_equal(run(rig, do_read), GYRE_OK);
        assert_memory_equal(buffer, expected, buffer_size);
        assert_false(rig->has_misaligned);
        free(buffer);
    }
    assert_int_equal(rig->transfer_max, GY_IO_SIZE_MAX);
    assert_int_equal(rig->durable_count, 0);
    free(expected);
}

/* Goal:   each part of a durable write is durable. */
static void
file_write_is_durable_in_every_part(void **state)
{
    struct rig *rig = *state;

    buffer_size = 2 * GY_IO_SIZE_MAX + GY_PAGE;
    buffer = world_pages(buffer_size);
    at = 0;
    assert_int_equal(run(rig, do_write_durable), GYRE_OK);
    assert_int_equal(rig->transfer_count, 3);
    assert_int_equal(rig->durable_count, 3);
    free(buffer);
}

/* Goal:   a file that ends too early is corruption, told with name, place and what was expected;
 *         read_some takes what there is. */
static void
file_read_past_the_end_is_corruption(void **state)
{
    struct rig *rig = *state;

    buffer_size = 2 * GY_PAGE;
    buffer = world_pages(buffer_size);
    at = GY_PAGE;
    rig->file_size = GY_PAGE + 5000;
    assert_int_equal(run(rig, do_read), GYRE_CORRUPT);
    assert_text(rig, "000012.sst");
    assert_text(rig, "4096");
    assert_text(rig, "ends at 9096, expected at least 12288 bytes");
    assert_int_equal(run(rig, do_read_some), GYRE_OK);
    assert_int_equal(got, 5000);
    at = 64 * GY_PAGE;
    assert_int_equal(run(rig, do_read_some), GYRE_OK);
    assert_int_equal(got, 0);
    assert_int_equal(run(rig, do_read), GYRE_CORRUPT);
    free(buffer);
}

/* Goal:   a device that takes no bytes, or brings none, ends in an error and not in a loop. */
static void
file_gives_up_when_nothing_moves(void **state)
{
    struct rig *rig = *state;

    buffer_size = GY_PAGE;
    buffer = world_pages(buffer_size);
    at = 0;
    rig->fail_op = GY_OP_WRITE;
    rig->fail_result = 0;
    assert_int_equal(run(rig, do_write), GYRE_IO);
    assert_text(rig, "takes no more bytes");
    rig->fail_op = GY_OP_READ;
    rig->file_size = GY_PAGE;
    assert_int_equal(run(rig, do_read), GYRE_IO);
    free(buffer);
}

/* Goal:   an errno becomes the right status and a text with operation, file and place: the place
 *         of the part that failed. */
static void
file_write_errors_name_file_and_place(void **state)
{
    static const struct {
        int32_t result;
        gyre_status status;
        const char *text;
    } cases[] = {
        {-ENOSPC, GYRE_NO_SPACE, "No space left on device"},
        {-EDQUOT, GYRE_NO_SPACE, "quota"},
        {-EIO, GYRE_IO, "Input/output error"},
        {-EROFS, GYRE_IO, "Read-only file system"},
        {-ENOMEM, GYRE_NO_MEMORY, "memory"},
    };
    struct rig *rig = *state;

    buffer_size = 3 * GY_IO_SIZE_MAX;
    buffer = world_pages(buffer_size);
    at = GY_PAGE;
    rig->fail_op = GY_OP_WRITE;
    rig->fail_offset = GY_PAGE + 2 * GY_IO_SIZE_MAX;
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rig->fail_result = cases[i].result;
        assert_int_equal(run(rig, do_write), cases[i].status);
        assert_text(rig, "cannot write");
        assert_text(rig, "000012.sst");
        assert_text(rig, "1052672");
        assert_text(rig, cases[i].text);
        assert_int_equal(rig->loop.sched.host_error.os_errno, -cases[i].result);
        assert_int_equal(rig->loop.sched.host_error.offset, GY_PAGE + 2 * GY_IO_SIZE_MAX);
        assert_string_equal(rig->loop.sched.host_error.file, "000012.sst");
    }
    free(buffer);
}

static void
do_open(struct rig *rig)
{
    struct gy_file opened = GY_FILE_CLOSED;

    gy_in_coroutine();
    rig->status = gy_file_await_open(&rig->loop, &dir, "000012.sst", 0, GY_IO_META, &opened);
    if (rig->status == GYRE_OK) {
        assert_int_equal(opened.slot, 7);
        assert_int_equal(opened.dir, 1);
        assert_string_equal(opened.name, "000012.sst");
        rig->status = gy_file_await_close(&rig->loop, &opened);
        assert_int_equal(opened.slot, GY_SLOT_NONE);
        assert_int_equal(gy_file_await_close(&rig->loop, &opened), GYRE_OK); /* twice is fine */
    } else {
        assert_int_equal(opened.slot, GY_SLOT_NONE); /* untouched */
    }
}

/* Goal:   what stands in the place of a file is told in words. */
static void
file_open_errors_say_what_is_wrong(void **state)
{
    static const struct {
        int32_t result;
        gyre_status status;
        const char *text;
    } cases[] = {
        {-ENOENT, GYRE_NOT_FOUND, "No such file"}, {-EEXIST, GYRE_INVALID, "exists"},
        {-ELOOP, GYRE_IO, "symbolic link"},        {-EINVAL, GYRE_IO, "not a regular file"},
        {-EISDIR, GYRE_IO, "is a directory"},      {-EMFILE, GYRE_IO, "ulimit -n"},
        {-EACCES, GYRE_IO, "Permission denied"},
    };
    struct rig *rig = *state;

    assert_int_equal(run(rig, do_open), GYRE_OK);
    rig->fail_op = GY_OP_OPEN;
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rig->fail_result = cases[i].result;
        assert_int_equal(run(rig, do_open), cases[i].status);
        assert_text(rig, cases[i].text);
        assert_text(rig, "000012.sst");
    }
}

static void
do_lock(struct rig *rig)
{
    gy_in_coroutine();
    rig->status = gy_file_await_lock(&rig->loop, &file, false);
}

/* Goal:   a held lock is BUSY, any other failure is not. */
static void
file_lock_is_busy_when_held(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(run(rig, do_lock), GYRE_OK);
    rig->fail_op = GY_OP_LOCK;
    rig->fail_result = -EWOULDBLOCK;
    assert_int_equal(run(rig, do_lock), GYRE_BUSY);
    assert_text(rig, "open already");
    rig->fail_result = -ENOLCK;
    assert_int_equal(run(rig, do_lock), GYRE_IO);
}

static void
do_open_dir(struct rig *rig)
{
    struct gy_file opened = GY_FILE_CLOSED;
    static const char path[] =
        "/a/rather/long/path/that/does/not/fit/into/the/field/for/messages/store";

    gy_in_coroutine();
    rig->status = gy_dir_await_open(&rig->loop, path, true, &opened);
    if (rig->status == GYRE_OK) {
        assert_string_equal(opened.name + strlen(opened.name) - 6, "/store");
        assert_int_equal(opened.slot, 7);
    }
}

/* Goal:   a directory that we create is durable under its name before it is used: its parent is
 *         synced. One that was there already is not.
 * Method: the order of operations that reach the world. */
static void
file_dir_open_syncs_parent_when_created(void **state)
{
    static const uint8_t created[] = {GY_OP_MKDIR, GY_OP_OPEN, GY_OP_SYNC, GY_OP_CLOSE, GY_OP_OPEN};
    static const uint8_t existing[] = {GY_OP_MKDIR, GY_OP_OPEN};
    struct rig *rig = *state;

    assert_int_equal(run(rig, do_open_dir), GYRE_OK);
    assert_int_equal(rig->fake.log_count, sizeof(created));
    assert_memory_equal(rig->fake.log_op, created, sizeof(created));
    rig->fake.log_count = 0;
    rig->fail_op = GY_OP_MKDIR;
    rig->fail_result = -EEXIST;
    assert_int_equal(run(rig, do_open_dir), GYRE_OK);
    assert_int_equal(rig->fake.log_count, sizeof(existing));
    assert_memory_equal(rig->fake.log_op, existing, sizeof(existing));
    rig->fail_result = -EACCES;
    assert_int_equal(run(rig, do_open_dir), GYRE_IO);
    assert_text(rig, "cannot create the directory");
    rig->fail_op = GY_OP_SYNC;
    rig->fail_result = -EIO;
    assert_int_equal(run(rig, do_open_dir), GYRE_IO);
    assert_text(rig, "cannot sync the directory above");
}

static void
do_small_ones(struct rig *rig)
{
    uint64_t size = 1;

    gy_in_coroutine();
    rig->status = gy_file_await_sync(&rig->loop, &file, GY_IO_WAL);
    rig->status = gy_first(rig->status, gy_dir_await_sync(&rig->loop, &dir));
    rig->status = gy_first(rig->status, gy_file_await_rename(&rig->loop, &dir, "a", "b"));
    rig->status = gy_first(rig->status, gy_file_await_unlink(&rig->loop, &dir, "a"));
    rig->status = gy_first(rig->status, gy_file_await_link(&rig->loop, &dir, "a", &dir, "c"));
    rig->status =
        gy_first(rig->status, gy_file_await_allocate(&rig->loop, &file, 8192, GY_IO_META));
    rig->status = gy_first(rig->status, gy_file_await_truncate(&rig->loop, &file, 8192));
    rig->status = gy_first(rig->status, gy_file_await_size(&rig->loop, &file, &size));
    assert_int_equal(size, rig->fail_op == GY_OP_STAT ? 1 : rig->file_size);
    size = 1;
    rig->status = gy_first(rig->status, gy_dir_await_free_space(&rig->loop, &dir, &size));
    assert_int_equal(size, rig->fail_op == GY_OP_FREE_SPACE ? 1 : 12345);
    rig->status = gy_first(rig->status, gy_dir_await_list(&rig->loop, &dir, NULL, NULL));
}

/* Goal:   every other call passes its errno on too, with a text, and leaves its output alone. */
static void
file_calls_report_their_failures(void **state)
{
    static const uint8_t ops[] = {GY_OP_SYNC, GY_OP_RENAME,     GY_OP_UNLINK,
                                  GY_OP_LINK, GY_OP_ALLOCATE,   GY_OP_TRUNCATE,
                                  GY_OP_STAT, GY_OP_FREE_SPACE, GY_OP_LIST};
    struct rig *rig = *state;

    assert_int_equal(run(rig, do_small_ones), GYRE_OK);
    rig->fail_result = -ENOSPC;
    for (uint32_t i = 0; i < sizeof(ops); i++) {
        rig->fail_op = ops[i];
        assert_int_equal(run(rig, do_small_ones), GYRE_NO_SPACE);
        assert_text(rig, "cannot ");
        assert_text(rig, "No space left on device");
    }
}

int
main(void)
{
#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        FILE_TEST(file_moves_all_bytes_when_transfers_are_short),
        FILE_TEST(file_write_is_durable_in_every_part),
        FILE_TEST(file_read_past_the_end_is_corruption),
        FILE_TEST(file_gives_up_when_nothing_moves),
        FILE_TEST(file_write_errors_name_file_and_place),
        FILE_TEST(file_open_errors_say_what_is_wrong),
        FILE_TEST(file_lock_is_busy_when_held),
        FILE_TEST(file_dir_open_syncs_parent_when_created),
        FILE_TEST(file_calls_report_their_failures),
    };

    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
