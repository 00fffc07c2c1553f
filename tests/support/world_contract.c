/* world_contract.c - see world_contract.h: requests, bytes and what is not a file. Each test works
 * in a new directory of its own. Names are in world_contract_names.c. */
#include "tests/support/world_contract_parts.h"

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

static void
bench_open(struct world_bench *b)
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
bench_close(struct world_bench *b)
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
    struct world_bench *b = *state;

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

int32_t
world_contract_make_file(struct world_bench *b, const char *name, uint32_t size, uint64_t seed)
{
    const int32_t slot = world_open(b->world, b->dir, name, WORLD_WRITE_NEW);
    uint8_t *bytes = world_pages(size);

    assert_true(slot >= 0);
    world_pattern(bytes, size, seed);
    world_write(b->world, slot, 0, bytes, size, 0);
    free(bytes);
    return slot;
}

void
world_contract_assert_pattern(struct world_bench *b, int32_t slot, uint32_t size, uint64_t seed)
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
 * Method: one write per page, all submitted before the first reap, classes mixed; then as many
 *         reads. */
static void
world_returns_each_request_once_when_many_are_in_flight(void **state)
{
    enum { COUNT = 300 };
    struct world_bench *b = *state;
    const int32_t slot = world_open(b->world, b->dir, "many", WORLD_WRITE_NEW);
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
    struct world_bench *b = *state;
    const int32_t slot = world_contract_make_file(b, "a", GY_PAGE, 1);
    const int32_t slot_c = world_contract_make_file(b, "c", GY_PAGE, 1);
    uint32_t listed = 0;
    struct gy_req reqs[4] = {world_req(GY_OP_RENAME, GY_IO_META),
                             world_req(GY_OP_UNLINK, GY_IO_META), world_req(GY_OP_LIST, GY_IO_META),
                             world_req(GY_OP_LOCK, GY_IO_META)};

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
    struct world_bench *b = *state;
    const int32_t slot = world_contract_make_file(b, "polled", GY_PAGE, 3);
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
    struct world_bench *b = *state;
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
    struct world_bench *b = *state;

    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char name[8];
        int32_t slot;

        (void)snprintf(name, sizeof(name), "f%u", i);
        slot = world_contract_make_file(b, name, sizes[i], i);
        assert_int_equal(world_size(b->world, slot), sizes[i]);
        world_contract_assert_pattern(b, slot, sizes[i], i);
        assert_int_equal(world_slot_op(b->world, GY_OP_SYNC, slot, 0), 0);
        assert_int_equal(world_close(b->world, slot), 0);
    }
}

/* Goal:   a read that crosses the end of the file brings what there is, one behind it brings 0. */
static void
world_read_is_short_at_end_of_file(void **state)
{
    struct world_bench *b = *state;
    const int32_t slot = world_contract_make_file(b, "short", 2 * GY_PAGE, 9);
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
    struct world_bench *b = *state;
    const int32_t slot = world_contract_make_file(b, "log", 4 * GY_PAGE, 1);
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
    struct world_bench *b = *state;
    int32_t slot = world_contract_make_file(b, "kept", 2 * GY_PAGE, 5);

    assert_int_equal(world_slot_op(b->world, GY_OP_SYNC, slot, 0), 0);
    assert_int_equal(world_slot_op(b->world, GY_OP_SYNC, (int32_t)b->dir, 0), 0);
    assert_int_equal(world_slot_op(b->world, GY_OP_SYNC, (int32_t)b->top, 0), 0);
    assert_int_equal(world_close(b->world, slot), 0);
    bench_close(b);
    bench_open(b);
    slot = world_open(b->world, b->dir, "kept", 0);
    assert_true(slot >= 0);
    world_contract_assert_pattern(b, slot, 2 * GY_PAGE, 5);
    assert_int_equal(world_close(b->world, slot), 0);
}

/* Goal:   allocate sets the size, reads as zeros, keeps what was there and never shrinks. */
static void
world_allocate_sets_size_and_keeps_bytes(void **state)
{
    struct world_bench *b = *state;
    const int32_t slot = world_contract_make_file(b, "alloc", GY_PAGE, 6);
    uint8_t *bytes = world_pages(16 * GY_PAGE);

    assert_int_equal(world_slot_op(b->world, GY_OP_ALLOCATE, slot, 16 * GY_PAGE), 0);
    assert_int_equal(world_size(b->world, slot), 16 * GY_PAGE);
    world_contract_assert_pattern(b, slot, GY_PAGE, 6);
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
    world_contract_assert_pattern(b, slot, GY_PAGE, 6);
    assert_int_equal(world_close(b->world, slot), 0);
    free(bytes);
}

/* ---- What is not a file ---- */

/* Goal:   staging memory keeps its bytes over close and open, of the world too; it is found by its
 *         whole id only, and is gone after an unlink. */
static void
world_stage_survives_close_and_open(void **state)
{
    struct world_bench *b = *state;
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
    struct world_bench *b = *state;
    const uint64_t id[2] = {1, b->world->ops->random(b->world)};
    const int32_t slot = world_open(b->world, b->dir, "log", WORLD_WRITE_NEW);
    struct gy_stage stage;

    memset(&stage, 0, sizeof(stage));
    assert_int_equal(b->world->ops->stage_create(b->world, &stage, id, 8 * GY_PAGE), 0);
    world_pattern(stage.base, 8 * GY_PAGE, 21);
    world_write(b->world, slot, 0, stage.base, 8 * GY_PAGE, GY_IO_DSYNC);
    world_contract_assert_pattern(b, slot, 8 * GY_PAGE, 21);
    b->world->ops->stage_close(b->world, &stage, true);
    assert_int_equal(world_close(b->world, slot), 0);
}

/* Goal:   I/O out of and into an offered chunk is right whether it was registered or not; also
 *         after the chunk was taken back and its address used anew. */
static void
world_moves_bytes_through_an_offered_chunk(void **state)
{
    struct world_bench *b = *state;
    const int32_t slot = world_open(b->world, b->dir, "chunk", WORLD_WRITE_NEW);
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
    struct world_bench *b = *state;
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
    struct world_bench b = {.contract = contract};
#define CONTRACT_TEST(name)              \
    {                                    \
#name, name, setup, teardown, &b \
    }
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
        CONTRACT_TEST(world_unlink_removes_empty_directories),
        CONTRACT_TEST(world_list_names_everything_once),
        CONTRACT_TEST(world_lock_excludes_second_opening),
        CONTRACT_TEST(world_lock_can_be_shared),
        CONTRACT_TEST(world_lock_is_free_when_the_close_is_answered),
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
