/* test_arena.c - chunks and buffers: charging, registration, waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/arena.h"
#include "io/base/bits.h"
#include "tests/support/fake_world.h"

enum { BUFFERS_PER_CHUNK = GY_ARENA_CHUNK / GY_BUFFER_SIZE };

struct rig {
    struct fake_world fake;
    struct gy_loop loop;
    struct gy_arena arena;
};

static struct rig *
rig_make(uint64_t memory_limit, uint32_t chunk_count, uint32_t buffer_count_max)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct gyre_error error;

    fake_world_init(&rig->fake, 4);
    assert_int_equal(gy_loop_init(&rig->loop,
                                  &(struct gy_loop_config){.world = &rig->fake.world,
                                                           .memory_limit = memory_limit,
                                                           .co_count_max = 64},
                                  &error),
                     GYRE_OK);
    assert_int_equal(gy_arena_init(&rig->arena, &rig->loop, chunk_count, buffer_count_max),
                     GYRE_OK);
    return rig;
}

/* Chunks are made ready ahead by a coroutine: let it end. */
static void
rig_settle(struct rig *rig)
{
    while (!gy_loop_is_idle(&rig->loop)) {
        (void)gy_loop_turn(&rig->loop, true, GY_NEVER);
    }
}

static void
rig_free(struct rig *rig)
{
    rig_settle(rig);
    gy_arena_fini(&rig->arena);
    gy_arena_fini(&rig->arena); /* zeroed: nothing */
    gy_loop_fini(&rig->loop);
    assert_int_equal(rig->loop.heap.used, 0);
    free(rig);
}

/* Goal:   A1, A2: chunks are aligned, distinct, charged to their tag while they are out, and
 *         offered to the world exactly once each, at their first use; the world hears of the
 *         end. */
static void
arena_chunks_are_charged_and_offered_once(void **state)
{
    enum { COUNT = 3 };
    struct rig *rig = rig_make(0, COUNT, 0);
    uint8_t *chunks[COUNT];
    (void)state;

    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            assert_int_equal(rig->loop.heap.used_by_tag[GY_MEM_CACHE], i * GY_ARENA_CHUNK);
            chunks[i] = gy_arena_chunk_get(&rig->arena, GY_MEM_CACHE);
            assert_non_null(chunks[i]);
            assert_int_equal((uint64_t)(uintptr_t)chunks[i] % GY_ARENA_CHUNK, 0);
            memset(chunks[i], (int)i + 1, GY_ARENA_CHUNK);
        }
        assert_null(gy_arena_chunk_get(&rig->arena, GY_MEM_CACHE)); /* the range is used up */
        for (uint32_t i = 0; i < COUNT; i++) {
            assert_int_equal(chunks[i][0], i + 1);
            assert_int_equal(chunks[i][GY_ARENA_CHUNK - 1], i + 1);
            gy_arena_chunk_put(&rig->arena, chunks[i], GY_MEM_CACHE);
        }
        assert_int_equal(rig->loop.heap.used_by_tag[GY_MEM_CACHE], 0);
        assert_int_equal(rig->fake.arena_add_count, COUNT);
    }
    rig_settle(rig);
    gy_arena_fini(&rig->arena);
    assert_int_equal(rig->fake.arena_remove_count, 1);
    assert_int_equal(rig->fake.arena_removed_size, COUNT * (uint64_t)GY_ARENA_CHUNK);
    rig_free(rig);
}

/* Goal:   A2: after one chunk was taken, GY_ARENA_AHEAD more are touched and offered by themselves,
 *         uncharged, and the next take offers nothing at once. */
static void
arena_chunks_are_made_ready_ahead(void **state)
{
    struct rig *rig = rig_make(0, 8, 0);
    void *chunks[2];
    (void)state;

    chunks[0] = gy_arena_chunk_get(&rig->arena, GY_MEM_CACHE);
    assert_int_equal(rig->fake.arena_add_count, 1);
    rig_settle(rig);
    assert_int_equal(rig->fake.arena_add_count, 1 + GY_ARENA_AHEAD);
    assert_int_equal(rig->loop.heap.used_by_tag[GY_MEM_CACHE], GY_ARENA_CHUNK);
    chunks[1] = gy_arena_chunk_get(&rig->arena, GY_MEM_CACHE);
    assert_int_equal(rig->fake.arena_add_count, 1 + GY_ARENA_AHEAD);
    gy_arena_chunk_put(&rig->arena, chunks[0], GY_MEM_CACHE);
    gy_arena_chunk_put(&rig->arena, chunks[1], GY_MEM_CACHE);
    rig_free(rig);
}

/* Goal:   the memory limit ends the arena before its range does, and what is given back can be had
 *         again. */
static void
arena_respects_the_memory_limit(void **state)
{
    struct rig *rig = rig_make(3ull * GY_ARENA_CHUNK, 16, 0);
    void *first = gy_arena_chunk_get(&rig->arena, GY_MEM_CACHE);
    void *second = gy_arena_chunk_get(&rig->arena, GY_MEM_MEMTABLE);
    (void)state;

    assert_non_null(first);
    assert_non_null(second);
    assert_null(gy_arena_chunk_get(&rig->arena, GY_MEM_CACHE));
    assert_true(rig->loop.heap.used <= rig->loop.heap.limit);
    gy_arena_chunk_put(&rig->arena, first, GY_MEM_CACHE);
    assert_ptr_equal(gy_arena_chunk_get(&rig->arena, GY_MEM_MEMTABLE), first);
    gy_arena_chunk_put(&rig->arena, first, GY_MEM_MEMTABLE);
    gy_arena_chunk_put(&rig->arena, second, GY_MEM_MEMTABLE);
    rig_free(rig);
}

/* Goal:   A3: buffers are distinct, never cross a chunk, are no more than allowed, and the last
 *         returned one is the next. */
static void
arena_buffers_are_distinct_and_bounded(void **state)
{
    enum { COUNT = BUFFERS_PER_CHUNK + 3 };
    struct rig *rig = rig_make(0, 4, COUNT);
    uint8_t *buffers[COUNT];
    (void)state;

    for (uint32_t i = 0; i < COUNT; i++) {
        const uint64_t start = (uint64_t)(uintptr_t)(buffers[i] = gy_arena_buffer_try(&rig->arena));

        assert_non_null(buffers[i]);
        assert_int_equal(start / GY_ARENA_CHUNK, (start + GY_BUFFER_SIZE - 1) / GY_ARENA_CHUNK);
        memset(buffers[i], (int)i, GY_BUFFER_SIZE);
    }
    assert_null(gy_arena_buffer_try(&rig->arena));
    assert_int_equal(rig->loop.heap.used_by_tag[GY_MEM_BUFFERS], 2ull * GY_ARENA_CHUNK);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(buffers[i][0], i);
        assert_int_equal(buffers[i][GY_BUFFER_SIZE - 1], i);
        gy_arena_buffer_put(&rig->arena, buffers[i]);
        assert_ptr_equal(gy_arena_buffer_try(&rig->arena), buffers[i]);
        gy_arena_buffer_put(&rig->arena, buffers[i]);
    }
    gy_arena_buffer_put(&rig->arena, NULL);
    rig_free(rig);
}

struct user {
    struct rig *rig;
    uint32_t rounds;
    uint32_t *out; /* buffers out at the moment */
    uint32_t *out_max;
};

static void
user_run(void *arg)
{
    struct user *user = arg;

    gy_in_coroutine();
    for (; user->rounds > 0; user->rounds--) {
        uint8_t *buffer = gy_arena_await_buffer(&user->rig->arena);

        assert_non_null(buffer);
        (*user->out)++;
        *user->out_max = *user->out > *user->out_max ? *user->out : *user->out_max;
        gy_await_yield(&user->rig->loop.sched);
        (*user->out)--;
        gy_arena_buffer_put(&user->rig->arena, buffer);
    }
}

/* Goal:   those who find no buffer wait and all get theirs in the end. */
static void
arena_await_buffer_waits_for_one_to_come_back(void **state)
{
    enum { USERS = 7, ROUNDS = 20, BUFFERS = 2 };
    struct rig *rig = rig_make(0, 1, BUFFERS);
    struct user users[USERS];
    uint32_t out = 0;
    uint32_t out_max = 0;
    (void)state;

    for (uint32_t i = 0; i < USERS; i++) {
        users[i] = (struct user){.rig = rig, .rounds = ROUNDS, .out = &out, .out_max = &out_max};
        assert_int_equal(
            gy_spawn(&rig->loop.sched, GY_CLASS_FOREGROUND, "user", user_run, &users[i], NULL),
            GYRE_OK);
    }
    for (uint32_t turns = 0; !gy_loop_is_idle(&rig->loop); turns++) {
        assert_in_range(turns, 0, 10000);
        (void)gy_loop_turn(&rig->loop, false, GY_NEVER);
        assert_true(rig->loop.sched.ready_count > 0 || gy_loop_is_idle(&rig->loop));
        if (rig->loop.sched.ready_count == 0) {
            break;
        }
    }
    for (uint32_t i = 0; i < USERS; i++) {
        assert_int_equal(users[i].rounds, 0); /* none is left waiting */
    }
    assert_int_equal(out_max, BUFFERS);
    assert_int_equal(out, 0);
    rig_free(rig);
}

static void
hopeless_run(void *arg)
{
    struct rig *rig = arg;

    gy_in_coroutine();
    assert_null(gy_arena_await_buffer(&rig->arena)); /* would wait for ever otherwise */
    rig->fake.arg = rig;                             /* was here */
}

/* Goal:   when not even the first buffer can be made nobody waits for it. */
static void
arena_await_buffer_gives_up_without_memory(void **state)
{
    struct rig *rig = rig_make(GY_MIB, 4, 8);
    (void)state;

    assert_int_equal(
        gy_spawn(&rig->loop.sched, GY_CLASS_FOREGROUND, "hopeless", hopeless_run, rig, NULL),
        GYRE_OK);
    (void)gy_loop_turn(&rig->loop, false, GY_NEVER);
    assert_ptr_equal(rig->fake.arg, rig);
    rig_free(rig);
}

/* Goal:   a failed init holds nothing. */
static void
arena_init_survives_failed_allocations(void **state)
{
    struct rig *rig = rig_make(0, 1, 1);
    struct gy_arena arena;
    (void)state;

    for (uint64_t i = 1; i <= 2; i++) {
        const uint64_t used = rig->loop.heap.used;

        rig->loop.heap.fail_at = rig->loop.heap.allocation_count + i;
        assert_int_equal(gy_arena_init(&arena, &rig->loop, 4, 4), GYRE_NO_MEMORY);
        assert_int_equal(rig->loop.heap.used, used);
    }
    rig_free(rig);
}

/* Goal:   A3: lent buffers leave enough for those who cannot do without.
 * Method: lend until there is none; then four others get theirs without waiting. */
static void
arena_lends_only_what_nobody_is_owed(void **state)
{
    struct rig *rig = rig_make(UINT64_MAX, 4, 16);
    uint8_t *lent[16];
    uint8_t *own[GY_ARENA_BUFFERS_OWED];
    uint32_t count = 0;

    (void)state;
    while ((lent[count] = gy_arena_buffer_lend(&rig->arena)) != NULL) {
        count++;
    }
    assert_int_equal(count, 16 - GY_ARENA_BUFFERS_OWED);
    for (uint32_t i = 0; i < GY_ARENA_BUFFERS_OWED; i++) {
        own[i] = gy_arena_buffer_try(&rig->arena);
        assert_non_null(own[i]);
    }
    assert_null(gy_arena_buffer_try(&rig->arena));
    gy_arena_buffer_return(&rig->arena, lent[--count]);
    lent[count] = gy_arena_buffer_lend(&rig->arena);
    assert_non_null(lent[count]);
    for (uint32_t i = 0; i < GY_ARENA_BUFFERS_OWED; i++) {
        gy_arena_buffer_put(&rig->arena, own[i]);
    }
    for (uint32_t i = 0; i <= count; i++) {
        gy_arena_buffer_return(&rig->arena, lent[i]);
    }
    gy_arena_buffer_return(&rig->arena, NULL);
    rig_free(rig);
}

/* Goal:   A4: memory is lent while a quarter of it is left, and comes back with the last buffer.
 * Method: 16 MiB, of which 5 are taken: 2 MiB stay, 4 more may be made, no more. */
static void
arena_gives_back_what_it_made_to_lend(void **state)
{
    struct rig *rig = rig_make(16 * GY_MIB, 8, 40);
    struct gy_heap *heap = &rig->loop.heap;
    uint8_t *lent[40];
    uint32_t count = 0;

    (void)state;
    assert_true(gy_heap_charge(heap, 5 * GY_MIB, GY_MEM_MEMTABLE));
    while ((lent[count] = gy_arena_buffer_lend(&rig->arena)) != NULL) {
        count++;
    }
    assert_int_equal(count, 24 - GY_ARENA_BUFFERS_OWED);
    assert_int_equal(heap->used_by_tag[GY_MEM_BUFFERS], 3 * (uint64_t)GY_ARENA_CHUNK);
    for (uint32_t i = 0; i < count; i++) {
        gy_arena_buffer_return(&rig->arena, lent[i]);
    }
    assert_int_equal(heap->used_by_tag[GY_MEM_BUFFERS], GY_ARENA_CHUNK);
    assert_int_equal(rig->arena.free_buffer_count, 8);
    for (uint32_t i = 0; i < 8; i++) { /* those that stay are still distinct */
        for (uint32_t j = 0; j < i; j++) {
            assert_ptr_not_equal(rig->arena.free_buffers[i], rig->arena.free_buffers[j]);
        }
    }
    gy_heap_discharge(heap, 5 * GY_MIB, GY_MEM_MEMTABLE);
    rig_free(rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_chunks_are_charged_and_offered_once),
        cmocka_unit_test(arena_chunks_are_made_ready_ahead),
        cmocka_unit_test(arena_respects_the_memory_limit),
        cmocka_unit_test(arena_buffers_are_distinct_and_bounded),
        cmocka_unit_test(arena_await_buffer_waits_for_one_to_come_back),
        cmocka_unit_test(arena_await_buffer_gives_up_without_memory),
        cmocka_unit_test(arena_lends_only_what_nobody_is_owed),
        cmocka_unit_test(arena_gives_back_what_it_made_to_lend),
        cmocka_unit_test(arena_init_survives_failed_allocations),
    };

    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
