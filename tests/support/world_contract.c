/* world_contract.c - see world_contract.h. Each test works in a new directory of its own. */
#include "tests/support/world_contract.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/base/bits.h"
#include "tests/support/world_calls.h"

#define WRITE_NEW (GY_OPEN_WRITE | GY_OPEN_CREATE | GY_OPEN_EXCLUSIVE)

struct bench {
    const struct world_contract *contract;
    struct gy_world *world;
    uint32_t top;           /* slot of contract->directory */
    uint32_t dir;           /* slot of this test's directory */
    char dir_name[32];
    uint32_t test_number;
};

static void
bench_open(struct bench *b)
{
    int32_t slot;

    b->world = b->contract->open(b->contract->arg);
    assert_non_null(b->world);
    slot = world_open(b->world, GY_DIR_CWD, b->contract->directory, GY_OPEN_DIRECTORY);
    assert_true(slot >= 0);
    b->top = (uint32_t)slot;
    slot = world_open(b->world, b->top, b->dir_name, GY_OPEN_DIRECTORY);
    if (slot == -ENOENT) {
        assert_int_equal(world_name_op(b->world, GY_OP_MKDIR, b->top, b->dir_name, NULL), 0);
        slot = world_open(b->world, b->top, b->dir_name, GY_OPEN_DIRECTORY);
    }
    assert_true(slot >= 0);
    b->dir = (uint32_t)slot;
}

static void
bench_close(struct bench *b)
{
    assert_int_equal(world_close(b->world, (int32_t)b->dir), 0);
    assert_int_equal(world_close(b->world, (int32_t)b->top), 0);
    assert_int_equal(b->world->in_flight, 0);
    b->world->ops->close(b->world);
    b->world = NULL;
}

static int
setup(void **state)
{
    struct bench *b = *state;

    b->test_number++;
    (void)snprintf(b->dir_name, sizeof(b->dir_name), "contract-%u", b->test_number);
    bench_open(b);
    return 0;
}

static int
teardown(void **state)
{
    bench_close(*state);
    return 0;
}

/* Make a file of `size` bytes (whole pages) with the pattern of `seed`; returns the open slot. */
static int32_t
make_file(struct bench *b, const char *name, uint32_t size, uint64_t seed)
{
    const int32_t slot = world_open(b->world, b->dir, name, WRITE_NEW);
    uint8_t *bytes = world_pages(size);

    assert_true(slot >= 0);
    world_pattern(bytes, size, seed);
    world_write(b->world, slot, 0, bytes, size, 0);
    free(bytes);
    return slot;
}

static void
assert_pattern(struct bench *b, int32_t slot, uint32_t size, uint64_t seed)
{
    uint8_t *bytes = world_pages(size);
    uint8_t *expected = world_pages(size);

    world_pattern(expected, size, seed);
    assert_int_equal(world_read(b->world, slot, 0, bytes, size), size);
    assert_memory_equal(bytes, expected, size);
    free(bytes);
    free(expected);
}

/* ---- Requests (S1, S2, S5) ---- */

/* Goal:   S2: each of many requests in flight at once comes back once and has done its own work,
 *         also when they are more than in_flight_max.
 * Method: one write per page, all submitted before the first reap, classes mixed; then as many reads. */
static void
world_returns_each_request_once_when_many_are_in_flight(void **state)
{
    enum { COUNT = 300 };
    struct bench *b = *state;
    const int32_t slot = world_open(b->world, b->dir, "many", WRITE_NEW);
    uint8_t *bytes = world_pages(COUNT * GY_PAGE);
    struct gy_req *reqs = calloc(COUNT, sizeof(*reqs));

    assert_non_null(reqs);
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            reqs[i] = world_req(pass == 0 ? GY_OP_WRITE : GY_OP_READ, i % GY_IO_CLASS_COUNT);
            reqs[i].slot = (uint32_t)slot;
            reqs[i].buffer = bytes + (size_t)i * GY_PAGE;
            reqs[i].size = GY_PAGE;
            reqs[i].offset = (uint64_t)i * GY_PAGE;
            memset(reqs[i].buffer, pass == 0 ? (int)(i % 251 + 1) : 0, GY_PAGE);
            world_submit(b->world, &reqs[i]);
        }
        world_reap(b->world, COUNT);
        assert_int_equal(b->world->in_flight, 0);
        for (uint32_t i = 0; i < COUNT; i++) {
            const uint8_t *page = reqs[i].buffer;

            assert_true(reqs[i].done && reqs[i].result > 0);
            for (int32_t at = 0; at < reqs[i].result; at++) {
                assert_int_equal(page[at], i % 251 + 1);
            }
            if (pass == 0 && reqs[i].result < (int32_t)GY_PAGE) { /* a short one: finish it */
                world_write(b->world, slot, reqs[i].offset, page, GY_PAGE, 0);
            }
        }
    }
    assert_int_equal(world_close(b->world, slot), 0);
    free(reqs);
    free(bytes);
}

static void
count_name(void *arg, const char *name, bool is_regular)
{
    uint32_t *count = arg;

    (void)name;
    (void)is_regular;
    (*count)++;
}

/* Goal:   S1: no operation has an effect that the caller can see before it reaps.
 * Method: submit a rename, an unlink, a list and a lock; before reaping no result is set and the
 *         list was not called. */
static void
world_submit_shows_nothing_before_reap(void **state)
{
    struct bench *b = *state;
    const int32_t slot = make_file(b, "a", GY_PAGE, 1);
    const int32_t slot_c = make_file(b, "c", GY_PAGE, 1);
    uint32_t listed = 0;
    struct gy_req reqs[4] = {world_req(GY_OP_RENAME, GY_IO_META), world_req(GY_OP_UNLINK, GY_IO_META),
                             world_req(GY_OP_LIST, GY_IO_META), world_req(GY_OP_LOCK, GY_IO_META)};

    reqs[0].dir = b->dir;
    reqs[0].name = "a";
    reqs[0].name_new = "b";
    reqs[1].dir = b->dir;
    reqs[1].name = "c";
    reqs[2].slot = b->dir;
    reqs[2].list = count_name;
    reqs[2].list_arg = &listed;
    reqs[3].slot = (uint32_t)slot;
    for (uint32_t i = 0; i < 4; i++) {
        world_submit(b->world, &reqs[i]);
    }
    assert_int_equal(listed, 0);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(reqs[i].result, WORLD_CALL_PENDING);
    }
    world_reap(b->world, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(reqs[i].result, 0);
    }
    assert_in_range(listed, 1, 2); /* in any order with the other two */
    assert_int_equal(world_close(b->world, slot), 0);
    assert_int_equal(world_close(b->world, slot_c), 0);
}

/* Goal:   a loop that has other work gets its completions without ever waiting. */
static void
world_reap_completes_when_it_only_looks(void **state)
{
    struct bench *b = *state;
    const int32_t slot = make_file(b, "polled", GY_PAGE, 3);
    struct gy_req req = world_req(GY_OP_SYNC, GY_IO_WAL);
    const uint64_t deadline_ns = b->world->ops->now_ns(b->world) + 20 * GY_NS_PER_S;
    struct gy_list finished;

    gy_list_init(&finished);
    req.slot = (uint32_t)slot;
    world_submit(b->world, &req);
    while (gy_list_is_empty(&finished)) {
        assert_true(b->world->ops->now_ns(b->world) < deadline_ns);
        b->world->ops->reap(b->world, &finished, false, true, GY_NS_PER_S);
    }
    assert_ptr_equal(gy_list_pop_front(&finished), &req.link);
    assert_true(gy_list_is_empty(&finished));
    assert_int_equal(req.result, 0);
    assert_int_equal(world_close(b->world, slot), 0);
}

/* Goal:   reap ends at its deadline, not before and not for ever, when nothing is in flight. */
static void
world_reap_waits_until_deadline_when_idle(void **state)
{
    struct bench *b = *state;
    const uint64_t start_ns = b->world->ops->now_ns(b->world);
    const uint64_t deadline_ns = start_ns + 20 * GY_NS_PER_MS;
    struct gy_list finished;

    gy_list_init(&finished);
    b->world->ops->reap(b->world, &finished, true, false, deadline_ns);
    assert_true(b->world->ops->now_ns(b->world) >= deadline_ns);
    assert_true(gy_list_is_empty(&finished));
    b->world->ops->reap(b->world, &finished, true, false, start_ns); /* long past */
    b->world->ops->reap(b->world, &finished, false, false, deadline_ns);
    assert_true(gy_list_is_empty(&finished));
}

/* ---- Bytes ---- */

/* Goal:   what was written is read back, for every size class up to the largest transfer. */
static void
world_reads_back_what_was_written(void **state)
{
    static const uint32_t sizes[] = {GY_PAGE, 3 * GY_PAGE, 256 * GY_KIB, GY_IO_SIZE_MAX};
    struct bench *b = *state;

    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char name[8];
        int32_t slot;

        (void)snprintf(name, sizeof(name), "f%u", i);
        slot = make_file(b, name, sizes[i], i);
        assert_int_equal(world_size(b->world, slot), sizes[i]);
        assert_pattern(b, slot, sizes[i], i);
        assert_int_equal(world_slot_op(b->world, GY_OP_SYNC, slot, 0), 0);
        assert_int_equal(world_close(b->world, slot), 0);
    }
}

/* Goal:   a read that crosses the end of the file brings what there is, one behind it brings 0. */
static void
world_read_is_short_at_end_of_file(void **state)
{
    struct bench *b = *state;
    const int32_t slot = make_file(b, "short", 2 * GY_PAGE, 9);
    uint8_t *bytes = world_pages(4 * GY_PAGE);
    uint8_t *expected = world_pages(2 * GY_PAGE);

    world_pattern(expected, 2 * GY_PAGE, 9);
    assert_int_equal(world_slot_op(b->world, GY_OP_TRUNCATE, slot, GY_PAGE + 1000), 0);
    assert_int_equal(world_size(b->world, slot), GY_PAGE + 1000);
    assert_int_equal(world_read(b->world, slot, 0, bytes, 4 * GY_PAGE), GY_PAGE + 1000);
    assert_memory_equal(bytes, expected, GY_PAGE + 1000);
    assert_int_equal(world_read(b->world, slot, GY_PAGE, bytes, GY_PAGE), 1000);
    assert_int_equal(world_read(b->world, slot, 2 * GY_PAGE, bytes, GY_PAGE), 0);
    assert_int_equal(world_read(b->world, slot, 100 * GY_PAGE, bytes, GY_PAGE), 0);
    assert_int_equal(world_close(b->world, slot), 0);
    free(bytes);
    free(expected);
}

/* Goal:   a durable write moves its bytes like any other and may overwrite. */
static void
world_durable_write_replaces_bytes(void **state)
{
    struct bench *b = *state;
    const int32_t slot = make_file(b, "log", 4 * GY_PAGE, 1);
    uint8_t *page = world_pages(GY_PAGE);
    uint8_t *back = world_pages(4 * GY_PAGE);

    world_pattern(page, GY_PAGE, 77);
    world_write(b->world, slot, 2 * GY_PAGE, page, GY_PAGE, GY_IO_DSYNC);
    assert_int_equal(world_read(b->world, slot, 0, back, 4 * GY_PAGE), 4 * GY_PAGE);
    assert_memory_equal(back + 2 * GY_PAGE, page, GY_PAGE);
    world_pattern(page, GY_PAGE, 1);
    assert_memory_equal(back, page, GY_PAGE); /* its neighbours are as before */
    assert_int_equal(world_close(b->world, slot), 0);
    free(page);
    free(back);
}

/* Goal:   what one world wrote and synced is there for the next one. */
static void
world_keeps_files_when_closed_and_opened(void **state)
{
    struct bench *b = *state;
    int32_t slot = make_file(b, "kept", 2 * GY_PAGE, 5);

    assert_int_equal(world_slot_op(b->world, GY_OP_SYNC, slot, 0), 0);
    assert_int_equal(world_slot_op(b->world, GY_OP_SYNC, (int32_t)b->dir, 0), 0);
    assert_int_equal(world_slot_op(b->world, GY_OP_SYNC, (int32_t)b->top, 0), 0);
    assert_int_equal(world_close(b->world, slot), 0);
    bench_close(b);
    bench_open(b);
    slot = world_open(b->world, b->dir, "kept", 0);
    assert_true(slot >= 0);
    assert_pattern(b, slot, 2 * GY_PAGE, 5);
    assert_int_equal(world_close(b->world, slot), 0);
}

/* Goal:   allocate sets the size, reads as zeros, keeps what was there and never shrinks. */
static void
world_allocate_sets_size_and_keeps_bytes(void **state)
{
    struct bench *b = *state;
    const int32_t slot = make_file(b, "alloc", GY_PAGE, 6);
    uint8_t *bytes = world_pages(16 * GY_PAGE);

    assert_int_equal(world_slot_op(b->world, GY_OP_ALLOCATE, slot, 16 * GY_PAGE), 0);
    assert_int_equal(world_size(b->world, slot), 16 * GY_PAGE);
    assert_pattern(b, slot, GY_PAGE, 6);
    assert_int_equal(world_read(b->world, slot, 0, bytes, 16 * GY_PAGE), 16 * GY_PAGE);
    for (uint32_t i = GY_PAGE; i < 16 * GY_PAGE; i++) {
        assert_int_equal(bytes[i], 0);
    }
    assert_int_equal(world_slot_op(b->world, GY_OP_ALLOCATE, slot, 2 * GY_PAGE), 0);
    assert_int_equal(world_size(b->world, slot), 16 * GY_PAGE);
    assert_int_equal(world_slot_op(b->world, GY_OP_TRUNCATE, slot, 3 * GY_PAGE), 0);
    assert_int_equal(world_size(b->world, slot), 3 * GY_PAGE);
    assert_int_equal(world_slot_op(b->world, GY_OP_TRUNCATE, slot, 5 * GY_PAGE), 0);
    assert_int_equal(world_size(b->world, slot), 5 * GY_PAGE);
    assert_pattern(b, slot, GY_PAGE, 6);
    assert_int_equal(world_close(b->world, slot), 0);
    free(bytes);
}

/* ---- Names ---- */

/* Goal:   the flags of OPEN mean what they say. */
static void
world_open_reports_missing_and_existing_names(void **state)
{
    struct bench *b = *state;
    int32_t slot;

    assert_int_equal(world_open(b->world, b->dir, "nothing", 0), -ENOENT);
    assert_int_equal(world_open(b->world, b->dir, "nothing", GY_OPEN_WRITE), -ENOENT);
    assert_int_equal(world_open(b->world, b->dir, "nothing", GY_OPEN_DIRECTORY), -ENOENT);
    slot = make_file(b, "x", GY_PAGE, 2);
    assert_int_equal(world_close(b->world, slot), 0);
    assert_int_equal(world_open(b->world, b->dir, "x", WRITE_NEW), -EEXIST);
    slot = world_open(b->world, b->dir, "x", GY_OPEN_WRITE | GY_OPEN_CREATE);
    assert_true(slot >= 0);
    assert_pattern(b, slot, GY_PAGE, 2); /* opening does not empty it */
    assert_int_equal(world_close(b->world, slot), 0);
    slot = world_open(b->world, b->dir, "x", GY_OPEN_BUFFERED);
    assert_true(slot >= 0);
    assert_pattern(b, slot, GY_PAGE, 2);
    assert_int_equal(world_close(b->world, slot), 0);
}

/* Goal:   directories and files are not taken for each other, and a name is one component. */
static void
world_open_refuses_wrong_kinds_and_names(void **state)
{
    struct bench *b = *state;
    const int32_t slot = make_file(b, "file", GY_PAGE, 2);

    assert_int_equal(world_close(b->world, slot), 0);
    assert_int_equal(world_open(b->world, b->dir, "file", GY_OPEN_DIRECTORY), -ENOTDIR);
    assert_int_equal(world_name_op(b->world, GY_OP_MKDIR, b->dir, "sub", NULL), 0);
    assert_int_equal(world_name_op(b->world, GY_OP_MKDIR, b->dir, "sub", NULL), -EEXIST);
    assert_true(world_open(b->world, b->dir, "sub", 0) < 0);
    assert_true(world_open(b->world, b->dir, "sub", GY_OPEN_WRITE) < 0);
    assert_true(world_open(b->world, b->dir, "../file", 0) < 0);
    assert_true(world_open(b->world, b->dir, "..", GY_OPEN_DIRECTORY) < 0);
    assert_true(world_open(b->world, b->dir, "sub/new", WRITE_NEW) < 0);
    assert_true(world_open(b->world, b->dir, "", 0) < 0);
}

/* Goal:   rename takes the place of what was there, in one step, and needs a source. */
static void
world_rename_replaces(void **state)
{
    struct bench *b = *state;
    int32_t slot = make_file(b, "CURRENT", GY_PAGE, 1);
    const int32_t slot_new = make_file(b, "CURRENT.tmp", GY_PAGE, 2);

    assert_int_equal(
        world_name_op(b->world, GY_OP_RENAME, b->dir, "CURRENT.tmp", "CURRENT"), 0);
    assert_pattern(b, slot, GY_PAGE, 1); /* an open file stays what it was */
    assert_int_equal(world_close(b->world, slot), 0);
    assert_int_equal(world_close(b->world, slot_new), 0);
    assert_int_equal(world_open(b->world, b->dir, "CURRENT.tmp", 0), -ENOENT);
    slot = world_open(b->world, b->dir, "CURRENT", 0);
    assert_pattern(b, slot, GY_PAGE, 2);
    assert_int_equal(world_close(b->world, slot), 0);
    assert_int_equal(
        world_name_op(b->world, GY_OP_RENAME, b->dir, "CURRENT.tmp", "CURRENT"), -ENOENT);
}

/* Goal:   an unlinked file is readable through its slot until that is closed. */
static void
world_unlink_leaves_open_files_readable(void **state)
{
    struct bench *b = *state;
    const int32_t slot = make_file(b, "t", 4 * GY_PAGE, 8);

    assert_int_equal(world_name_op(b->world, GY_OP_UNLINK, b->dir, "t", NULL), 0);
    assert_int_equal(world_open(b->world, b->dir, "t", 0), -ENOENT);
    assert_int_equal(world_name_op(b->world, GY_OP_UNLINK, b->dir, "t", NULL), -ENOENT);
    assert_pattern(b, slot, 4 * GY_PAGE, 8);
    assert_int_equal(world_close(b->world, slot), 0);
}

/* Goal:   a hard link is the same file under another name, in another directory too. */
static void
world_link_shares_the_file(void **state)
{
    struct bench *b = *state;
    int32_t slot = make_file(b, "one", GY_PAGE, 4);
    int32_t sub;

    assert_int_equal(world_close(b->world, slot), 0);
    assert_int_equal(world_name_op(b->world, GY_OP_MKDIR, b->dir, "copy", NULL), 0);
    sub = world_open(b->world, b->dir, "copy", GY_OPEN_DIRECTORY);
    assert_true(sub >= 0);
    assert_int_equal(world_link(b->world, b->dir, "one", (uint32_t)sub, "two"), 0);
    assert_int_equal(world_link(b->world, b->dir, "one", (uint32_t)sub, "two"), -EEXIST);
    assert_int_equal(world_link(b->world, b->dir, "none", (uint32_t)sub, "three"), -ENOENT);
    assert_int_equal(world_name_op(b->world, GY_OP_UNLINK, b->dir, "one", NULL), 0);
    slot = world_open(b->world, (uint32_t)sub, "two", 0);
    assert_true(slot >= 0);
    assert_pattern(b, slot, GY_PAGE, 4);
    assert_int_equal(world_close(b->world, slot), 0);
    assert_int_equal(world_close(b->world, sub), 0);
}

struct seen {
    uint32_t files;
    uint32_t others;
    bool has_a;
    bool has_d;
};

static void
see(void *arg, const char *name, bool is_regular)
{
    struct seen *seen = arg;

    seen->files += is_regular;
    seen->others += !is_regular;
    seen->has_a |= strcmp(name, "a") == 0 && is_regular;
    seen->has_d |= strcmp(name, "d") == 0 && !is_regular;
}

/* Goal:   list names everything once, without "." and "..", and tells files from the rest; more than
 *         one buffer full of them. */
static void
world_list_names_everything_once(void **state)
{
    enum { COUNT = 120 };
    struct bench *b = *state;

    assert_int_equal(world_close(b->world, make_file(b, "a", GY_PAGE, 1)), 0);
    assert_int_equal(world_name_op(b->world, GY_OP_MKDIR, b->dir, "d", NULL), 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "some-long-name-%04u", i);
        assert_int_equal(
            world_close(b->world, world_open(b->world, b->dir, name, WRITE_NEW)), 0);
    }
    for (uint32_t pass = 0; pass < 2; pass++) { /* the second starts at the beginning again */
        struct seen seen = {0, 0, false, false};
        struct gy_req req = world_req(GY_OP_LIST, GY_IO_META);

        req.slot = b->dir;
        req.list = see;
        req.list_arg = &seen;
        assert_int_equal(world_call(b->world, &req), 0);
        assert_int_equal(seen.files, COUNT + 1);
        assert_int_equal(seen.others, 1);
        assert_true(seen.has_a && seen.has_d);
    }
}

/* Goal:   a lock excludes every other opening of the file, also by ourselves, and ends with its slot. */
static void
world_lock_excludes_second_opening(void **state)
{
    struct bench *b = *state;
    const int32_t first = make_file(b, "LOCK", GY_PAGE, 1);
    const int32_t second = world_open(b->world, b->dir, "LOCK", GY_OPEN_WRITE | GY_OPEN_BUFFERED);

    assert_int_equal(world_slot_op(b->world, GY_OP_LOCK, first, 0), 0);
    assert_int_equal(world_slot_op(b->world, GY_OP_LOCK, second, 0), -EWOULDBLOCK);
    assert_int_equal(world_close(b->world, first), 0);
    assert_int_equal(world_slot_op(b->world, GY_OP_LOCK, second, 0), 0);
    assert_int_equal(world_close(b->world, second), 0);
}

/* Goal:   S6: slots are given out again, for ever. */
static void
world_slots_are_reused(void **state)
{
    struct bench *b = *state;
    int32_t slot_max = 0;

    assert_int_equal(world_close(b->world, make_file(b, "s", GY_PAGE, 1)), 0);
    for (uint32_t i = 0; i < 200; i++) {
        const int32_t slot = world_open(b->world, b->dir, "s", 0);

        assert_true(slot >= 0);
        slot_max = slot > slot_max ? slot : slot_max;
        assert_int_equal(world_close(b->world, slot), 0);
        assert_true(world_open(b->world, b->dir, "absent", 0) < 0); /* failures keep none */
    }
    assert_in_range(slot_max, 0, 15);
}

static void
world_free_space_is_plausible(void **state)
{
    struct bench *b = *state;
    struct gy_req req = world_req(GY_OP_FREE_SPACE, GY_IO_META);

    req.slot = b->dir;
    assert_int_equal(world_call(b->world, &req), 0);
    assert_in_range(req.ret_size, 1, 1ull << 60);
}

/* ---- What is not a file ---- */

/* Goal:   staging memory keeps its bytes over close and open, of the world too; it is found by its
 *         whole id only, and is gone after an unlink. */
static void
world_stage_survives_close_and_open(void **state)
{
    struct bench *b = *state;
    const uint64_t id[2] = {b->world->ops->random(b->world), b->world->ops->random(b->world)};
    const uint64_t id_other[2] = {id[0], id[1] + 1};
    const size_t size = 64 * GY_KIB;
    uint8_t *expected = world_pages(size);
    struct gy_stage stage;
    struct gy_stage again;

    memset(&stage, 0, sizeof(stage));
    memset(&again, 0, sizeof(again));
    assert_int_equal(b->world->ops->stage_open(b->world, &stage, id), -ENOENT);
    assert_int_equal(b->world->ops->stage_create(b->world, &stage, id, size), 0);
    assert_non_null(stage.base);
    assert_int_equal(stage.size, size);
    assert_int_equal((uint64_t)(uintptr_t)stage.base % GY_PAGE, 0);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(((uint8_t *)stage.base)[i], 0);
    }
    world_pattern(expected, size, 12);
    memcpy(stage.base, expected, size);
    assert_true(b->world->ops->stage_create(b->world, &again, id, size) < 0); /* it is taken */
    b->world->ops->stage_close(b->world, &stage, false);
    bench_close(b);
    bench_open(b);
    assert_int_equal(b->world->ops->stage_open(b->world, &again, id_other), -ENOENT);
    assert_int_equal(b->world->ops->stage_open(b->world, &again, id), 0);
    assert_int_equal(again.size, size);
    assert_memory_equal(again.base, expected, size);
    b->world->ops->stage_close(b->world, &again, true);
    assert_int_equal(b->world->ops->stage_open(b->world, &again, id), -ENOENT);
    free(expected);
}

/* Goal:   a log write straight out of staging memory arrives. */
static void
world_writes_out_of_staging_memory(void **state)
{
    struct bench *b = *state;
    const uint64_t id[2] = {1, b->world->ops->random(b->world)};
    const int32_t slot = world_open(b->world, b->dir, "log", WRITE_NEW);
    struct gy_stage stage;

    memset(&stage, 0, sizeof(stage));
    assert_int_equal(b->world->ops->stage_create(b->world, &stage, id, 8 * GY_PAGE), 0);
    world_pattern(stage.base, 8 * GY_PAGE, 21);
    world_write(b->world, slot, 0, stage.base, 8 * GY_PAGE, GY_IO_DSYNC);
    assert_pattern(b, slot, 8 * GY_PAGE, 21);
    b->world->ops->stage_close(b->world, &stage, true);
    assert_int_equal(world_close(b->world, slot), 0);
}

/* Goal:   I/O out of and into an offered chunk is right whether it was registered or not; also after
 *         the chunk was taken back and its address used anew. */
static void
world_moves_bytes_through_an_offered_chunk(void **state)
{
    struct bench *b = *state;
    const int32_t slot = world_open(b->world, b->dir, "chunk", WRITE_NEW);
    uint8_t *chunks = aligned_alloc(GY_ARENA_CHUNK, 2 * GY_ARENA_CHUNK);
    uint8_t *edge = chunks + GY_ARENA_CHUNK - GY_PAGE; /* crosses into the second chunk */

    assert_non_null(chunks);
    memset(chunks, 0, 2 * GY_ARENA_CHUNK);
    b->world->ops->arena_add(b->world, chunks, GY_ARENA_CHUNK);
    b->world->ops->arena_add(b->world, chunks + GY_ARENA_CHUNK, GY_ARENA_CHUNK);
    world_pattern(chunks, 256 * GY_KIB, 31);
    world_write(b->world, slot, 0, chunks, 256 * GY_KIB, 0);
    assert_int_equal(world_read(b->world, slot, 0, edge, 2 * GY_PAGE), 2 * GY_PAGE);
    assert_memory_equal(edge, chunks, 2 * GY_PAGE);
    if (b->world->ops->arena_remove != NULL) {
        b->world->ops->arena_remove(b->world, chunks, 2 * GY_ARENA_CHUNK);
        assert_int_equal(b->world->info.registered_bytes, 0);
        memset(chunks, 0, 256 * GY_KIB);
        assert_int_equal(world_read(b->world, slot, GY_PAGE, chunks, GY_PAGE), GY_PAGE);
        assert_memory_equal(chunks, edge + GY_PAGE, GY_PAGE);
    }
    assert_int_equal(world_close(b->world, slot), 0);
    free(chunks);
}

/* Goal:   the clock does not run backwards, random numbers differ, the boot has one name. */
static void
world_clock_random_and_boot_are_sane(void **state)
{
    struct bench *b = *state;
    const struct gy_world_ops *ops = b->world->ops;
    uint64_t boot[2];
    uint64_t boot_again[2];
    uint64_t last_ns = ops->now_ns(b->world);

    for (uint32_t i = 0; i < 1000; i++) {
        const uint64_t now_ns = ops->now_ns(b->world);

        assert_true(now_ns >= last_ns);
        last_ns = now_ns;
    }
    assert_true(ops->cpu_ns(b->world) <= ops->cpu_ns(b->world));
    assert_true(ops->wall_us(b->world) > 0);
    assert_int_not_equal(ops->random(b->world), ops->random(b->world));
    ops->boot_id(b->world, boot);
    ops->boot_id(b->world, boot_again);
    assert_memory_equal(boot, boot_again, sizeof(boot));
    assert_true((boot[0] | boot[1]) != 0);
}

int
world_contract_run(const struct world_contract *contract)
{
    struct bench b = {.contract = contract};
#define CONTRACT_TEST(name) {#name, name, setup, teardown, &b}
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(world_returns_each_request_once_when_many_are_in_flight),
        CONTRACT_TEST(world_submit_shows_nothing_before_reap),
        CONTRACT_TEST(world_reap_completes_when_it_only_looks),
        CONTRACT_TEST(world_reap_waits_until_deadline_when_idle),
        CONTRACT_TEST(world_reads_back_what_was_written),
        CONTRACT_TEST(world_read_is_short_at_end_of_file),
        CONTRACT_TEST(world_durable_write_replaces_bytes),
        CONTRACT_TEST(world_keeps_files_when_closed_and_opened),
        CONTRACT_TEST(world_allocate_sets_size_and_keeps_bytes),
        CONTRACT_TEST(world_open_reports_missing_and_existing_names),
        CONTRACT_TEST(world_open_refuses_wrong_kinds_and_names),
        CONTRACT_TEST(world_rename_replaces),
        CONTRACT_TEST(world_unlink_leaves_open_files_readable),
        CONTRACT_TEST(world_link_shares_the_file),
        CONTRACT_TEST(world_list_names_everything_once),
        CONTRACT_TEST(world_lock_excludes_second_opening),
        CONTRACT_TEST(world_slots_are_reused),
        CONTRACT_TEST(world_free_space_is_plausible),
        CONTRACT_TEST(world_stage_survives_close_and_open),
        CONTRACT_TEST(world_writes_out_of_staging_memory),
        CONTRACT_TEST(world_moves_bytes_through_an_offered_chunk),
        CONTRACT_TEST(world_clock_random_and_boot_are_sane),
    };
#undef CONTRACT_TEST
    return _cmocka_run_group_tests(contract->name, tests, sizeof(tests) / sizeof(tests[0]), NULL,
                                   NULL);
}
