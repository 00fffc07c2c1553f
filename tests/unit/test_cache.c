/* test_cache.c - the block cache on the simulated disk: single flight, pins, who stays and who
 * leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/disk/cache_frame.h"
#include "io/base/bits.h"
#include "tests/support/disk_kit.h"

#define FILE_ID 77u
#define CACHE_ID 1000u

/* A file of blocks of `pages` pages each, block i filled with the number i. */
struct rig {
    struct disk_kit kit;
    struct gy_file file;
    struct gy_block_source source;
    uint32_t pages;
    uint32_t count;
    uint64_t number; /* of the block that the readers want */
    uint32_t running;
    uint32_t good;
    uint32_t bad;
    gyre_status status;
    struct gyre_error error;
    void (*body)(struct rig *rig);
};

static struct gy_block_handle
handle_of(const struct rig *rig, uint64_t number)
{
    return (struct gy_block_handle){.offset = number * rig->pages * GY_PAGE,
                                    .size = rig->pages * GY_PAGE - 100};
}

static void
write_blocks(struct rig *rig)
{
    const uint32_t size = rig->pages * GY_PAGE;
    uint8_t *bytes = calloc(1, size);

    assert_non_null(bytes);
    for (uint32_t i = 0; i < rig->count; i++) {
        const struct gy_block_handle handle = handle_of(rig, i);

        memset(bytes, 0, size);
        for (uint32_t at = 0; at + 4 <= handle.size - GY_BLOCK_TRAILER_SIZE; at += 4) {
            memcpy(bytes + at, &i, 4);
        }
        gy_block_seal(bytes, handle.size - GY_BLOCK_TRAILER_SIZE, GY_BLOCK_RAW, GY_BLOCK_DATA,
                      handle.size - GY_BLOCK_TRAILER_SIZE, FILE_ID, handle.offset);
        assert_true(gy_sim_disk_poke(rig->kit.disk, "/db/file", handle.offset, bytes, size) >= 0);
    }
    free(bytes);
}

static void
open_body(void *arg)
{
    struct rig *rig = arg;

    gy_in_coroutine();
    assert_int_equal(
        gy_file_await_open(&rig->kit.loop, &rig->kit.dir, "file", 0, GY_IO_META, &rig->file),
        GYRE_OK);
    rig->source =
        (struct gy_block_source){.file = &rig->file, .file_id = FILE_ID, .cache_id = CACHE_ID};
    rig->body(rig);
}

static void
close_body(void *arg)
{
    struct rig *rig = arg;

    gy_in_coroutine();
    gy_cache_await_forget(rig->kit.cache, CACHE_ID, UINT64_MAX);
    assert_int_equal(gy_file_await_close(&rig->kit.loop, &rig->file), GYRE_OK);
}

/* Run `body` in a coroutine with a file of `count` blocks open. */
static void
run(struct rig *rig, const struct disk_kit_config *config, uint32_t pages, uint32_t count,
    void (*body)(struct rig *rig))
{
    memset(rig, 0, sizeof(*rig));
    disk_kit_make(&rig->kit, config);
    rig->pages = pages;
    rig->count = count;
    rig->body = body;
    write_blocks(rig);
    disk_kit_run(&rig->kit, open_body, rig);
    disk_kit_run(&rig->kit, close_body, rig);
    disk_kit_free(&rig->kit);
}

static void
assert_block(const struct rig *rig, const struct gy_block_pin *pin, uint64_t number)
{
    uint32_t value;

    assert_int_equal(pin->size, handle_of(rig, number).size - GY_BLOCK_TRAILER_SIZE);
    memcpy(&value, pin->data, 4);
    assert_int_equal(value, number);
    memcpy(&value, pin->data + (pin->size / 4 - 1) * 4, 4);
    assert_int_equal(value, number);
}

GY_SUSPENDS static void
await_touch(struct rig *rig, uint64_t number, enum gy_cache_hint hint)
{
    struct gy_block_pin pin;

    assert_int_equal(gy_cache_await_block(rig->kit.cache, &rig->source, handle_of(rig, number),
                                          GY_BLOCK_DATA, hint, GY_IO_READ, &pin),
                     GYRE_OK);
    assert_block(rig, &pin, number);
    gy_cache_unpin(rig->kit.cache, &pin);
}

static bool
is_cached(const struct rig *rig, uint64_t number)
{
    return gy_cache_has(rig->kit.cache, CACHE_ID, handle_of(rig, number).offset);
}

/* ---- Single flight ---- */

static void
flight_reader(void *arg)
{
    struct rig *rig = arg;
    struct gy_block_pin pin;
    gyre_status st;

    gy_in_coroutine();
    st = gy_cache_await_block(rig->kit.cache, &rig->source, handle_of(rig, rig->number),
                              GY_BLOCK_DATA, GY_CACHE_NORMAL, GY_IO_READ, &pin);
    if (st == GYRE_OK) {
        assert_block(rig, &pin, rig->number);
        rig->good++;
        gy_await_yield(&rig->kit.loop.sched); /* hold it for a while */
        assert_block(rig, &pin, rig->number);
        gy_cache_unpin(rig->kit.cache, &pin);
    } else {
        rig->bad++;
        rig->status = st;
        rig->error = *disk_kit_error(&rig->kit);
        assert_string_equal(rig->error.file, "file");
        assert_int_equal(rig->error.offset, handle_of(rig, rig->number).offset);
    }
    rig->running--;
}

GY_SUSPENDS static void
await_readers(struct rig *rig, uint32_t count)
{
    rig->running = count;
    rig->good = 0;
    rig->bad = 0;
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(
            gy_spawn(&rig->kit.loop.sched, GY_CLASS_FOREGROUND, "reader", flight_reader, rig, NULL),
            GYRE_OK);
    }
    while (rig->running != 0) {
        gy_await_sleep(&rig->kit.loop.sched, 1000000);
    }
}

GY_SUSPENDS static void
await_single_flight(struct rig *rig)
{
    struct gy_cache_stats stats;

    rig->number = 3;
    await_readers(rig, 10);
    gy_cache_stats_get(rig->kit.cache, &stats);
    assert_int_equal(rig->good, 10);
    assert_int_equal(stats.reads, 1);
    assert_int_equal(stats.pinned_bytes, 0);
}

/* Goal:   many who want one block cause one read, and all get it (B3).
 * Method: ten coroutines at once; for blocks of a frame's size and for those too large to be
 * cached. */
static void
cache_reads_a_block_once_for_all_who_want_it(void **state)
{
    static struct rig rig;
    static const uint32_t pages[] = {1, 2, 3, 4, 8, 16, 20, 80};
    (void)state;

    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        run(&rig, &(struct disk_kit_config){.seed = i, .chaos = true}, pages[i], 8,
            await_single_flight);
    }
}

GY_SUSPENDS static void
await_failure(struct rig *rig)
{
    struct gy_sim_faults faults = {.rule_count = 1};

    /* One failing read for all who wait; the next try succeeds. */
    faults.rules[0] = (struct gy_sim_rule){.fault = GY_SIM_FAULT_ERROR,
                                           .op_mask = 1u << GY_OP_READ,
                                           .name = "file",
                                           .nth = 1,
                                           .strikes_max = 1};
    gy_world_sim_set_faults(rig->kit.world, &faults);
    rig->number = 2;
    await_readers(rig, 7);
    assert_int_equal(rig->bad, 7);
    assert_int_equal(rig->status, GYRE_IO);
    assert_false(is_cached(rig, 2));
    await_readers(rig, 7);
    assert_int_equal(rig->good, 7);
    gy_world_sim_set_faults(rig->kit.world, NULL);
}

/* Goal:   a failed read is told to all who waited for it, with the place in each one's error, and
 * the next one tries again. */
static void
cache_tells_a_failed_read_to_all_and_tries_again(void **state)
{
    static struct rig rig;
    (void)state;

    run(&rig, &(struct disk_kit_config){.chaos = true}, 1, 8, await_failure);
}

GY_SUSPENDS static void
await_flips(struct rig *rig)
{
    struct gy_sim_faults faults = {.rule_count = 1};
    struct gy_cache_stats stats;
    uint8_t byte;

    /* A flip on the way: the second read is good. */
    faults.rules[0] = (struct gy_sim_rule){.fault = GY_SIM_FAULT_MISDIRECT,
                                           .op_mask = 1u << GY_OP_READ,
                                           .name = "file",
                                           .nth = 1,
                                           .strikes_max = 1};
    gy_world_sim_set_faults(rig->kit.world, &faults);
    rig->number = 1;
    await_readers(rig, 3);
    assert_int_equal(rig->good, 3);
    gy_cache_stats_get(rig->kit.cache, &stats);
    assert_int_equal(stats.rereads, 1);
    gy_world_sim_set_faults(rig->kit.world, NULL);
    /* A flip on the disk: both reads are bad. */
    assert_int_equal(
        gy_sim_disk_peek(rig->kit.disk, "/db/file", handle_of(rig, 5).offset + 50, &byte, 1), 1);
    byte ^= 4;
    assert_true(
        gy_sim_disk_poke(rig->kit.disk, "/db/file", handle_of(rig, 5).offset + 50, &byte, 1) >= 0);
    rig->number = 5;
    await_readers(rig, 3);
    assert_int_equal(rig->bad, 3);
    assert_int_equal(rig->status, GYRE_CORRUPT);
    assert_non_null(strstr(rig->error.text, "block checksum does not match"));
    assert_false(is_cached(rig, 5));
}

/* Goal:   a block whose checksum does not fit is read once more; only if that does not help it is
 * called corrupt, with file and
 *         offset. */
static void
cache_reads_a_block_again_before_it_calls_it_corrupt(void **state)
{
    static struct rig rig;
    (void)state;

    run(&rig, &(struct disk_kit_config){.chaos = true}, 1, 8, await_flips);
}

/* ---- Pins and eviction ---- */

GY_SUSPENDS static void
await_pins(struct rig *rig)
{
    struct gy_block_pin pins[64];

    for (uint32_t i = 0; i < 64; i++) {
        assert_int_equal(gy_cache_await_block(rig->kit.cache, &rig->source, handle_of(rig, i),
                                              GY_BLOCK_DATA, GY_CACHE_NORMAL, GY_IO_READ, &pins[i]),
                         GYRE_OK);
    }
    for (uint32_t i = 64; i < rig->count; i++) {
        await_touch(rig, i, GY_CACHE_NORMAL);
    }
    for (uint32_t i = 0; i < 64; i++) {
        assert_block(rig, &pins[i], i); /* B2, B4 */
        gy_cache_unpin(rig->kit.cache, &pins[i]);
    }
}

/* Goal:   what is pinned stays what and where it is while the cache turns over many times. */
static void
cache_keeps_pinned_blocks_under_pressure(void **state)
{
    static struct rig rig;
    (void)state;

    run(&rig, &(struct disk_kit_config){.cache_size = 1 << 20}, 1, 3000, await_pins);
}

GY_SUSPENDS static void
await_overflow(struct rig *rig)
{
    static struct gy_block_pin pins[600];
    struct gy_cache_stats stats;

    for (uint32_t i = 0; i < 600; i++) {
        assert_int_equal(gy_cache_await_block(rig->kit.cache, &rig->source, handle_of(rig, i),
                                              GY_BLOCK_DATA, GY_CACHE_NORMAL, GY_IO_READ, &pins[i]),
                         GYRE_OK);
    }
    gy_cache_stats_get(rig->kit.cache, &stats);
    assert_true(stats.overflow_count > 300 && stats.overflow_count < 600);
    assert_true(rig->kit.loop.heap.used_by_tag[GY_MEM_CALL] > 300 * 4096);
    for (uint32_t i = 0; i < 600; i++) {
        assert_block(rig, &pins[i], i);
        gy_cache_unpin(rig->kit.cache, &pins[i]);
    }
    assert_int_equal(rig->kit.loop.heap.used_by_tag[GY_MEM_CALL], 0);
}

/* Goal:   when every frame is pinned, blocks come from the heap and go back to it (B5).
 * Method: pin 2.4 MiB of blocks in a cache of 1 MiB. */
static void
cache_goes_to_the_heap_when_all_is_pinned(void **state)
{
    static struct rig rig;
    (void)state;

    run(&rig, &(struct disk_kit_config){.cache_size = 1 << 20}, 1, 600, await_overflow);
}

GY_SUSPENDS static void
await_scan(struct rig *rig)
{
    uint32_t kept = 0;

    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 150; i++) {
            await_touch(rig, i, GY_CACHE_NORMAL);
        }
    }
    for (uint32_t i = 200; i < rig->count; i++) {
        await_touch(rig, i, GY_CACHE_SCAN);
    }
    for (uint32_t i = 0; i < 150; i++) {
        kept += is_cached(rig, i);
    }
    assert_true(kept >= 145);
}

/* Goal:   a scan of ten times the cache leaves the hot blocks where they are, though nobody touches
 * them meanwhile (B4). Method: 150 blocks read three times in a cache of about 240; then 2500
 * blocks with the scan hint. */
static void
cache_keeps_the_hot_set_through_a_scan(void **state)
{
    static struct rig rig;
    (void)state;

    run(&rig, &(struct disk_kit_config){.cache_size = 1 << 20}, 1, 2700, await_scan);
}

GY_SUSPENDS static void
await_cold(struct rig *rig)
{
    uint32_t kept = 0;

    for (uint32_t i = 200; i < rig->count; i++) {
        await_touch(rig, i, GY_CACHE_NORMAL);
        await_touch(rig, i % 100, GY_CACHE_NORMAL); /* hot: every 100th touch is the same block */
    }
    for (uint32_t i = 0; i < 100; i++) {
        kept += is_cached(rig, i);
    }
    assert_true(kept >= 98);
}

/* Goal:   blocks that are used again and again outlive those that are used once, also without a
 * hint. */
static void
cache_prefers_what_is_used_again(void **state)
{
    static struct rig rig;
    (void)state;

    run(&rig, &(struct disk_kit_config){.cache_size = 1 << 20}, 1, 3000, await_cold);
}

GY_SUSPENDS static void
await_no_fill(struct rig *rig)
{
    struct gy_cache_stats stats;

    for (uint32_t i = 0; i < 100; i++) {
        await_touch(rig, i, GY_CACHE_NORMAL);
    }
    for (uint32_t i = 100; i < rig->count; i++) {
        await_touch(rig, i, GY_CACHE_NO_FILL);
        assert_false(is_cached(rig, i));
    }
    for (uint32_t i = 0; i < 100; i++) {
        assert_true(is_cached(rig, i));
    }
    gy_cache_stats_get(rig->kit.cache, &stats);
    assert_int_equal(stats.overflow_count, 0);
}

/* Goal:   with NO_FILL nothing is kept and nothing has to leave. */
static void
cache_keeps_nothing_that_was_read_without_filling(void **state)
{
    static struct rig rig;
    (void)state;

    run(&rig, &(struct disk_kit_config){.cache_size = 1 << 20}, 1, 1000, await_no_fill);
}

/* ---- Slabs ---- */

GY_SUSPENDS static void
await_mix(struct rig *rig)
{
    static const uint32_t sizes[] = {1, 4, 16, 3, 2, 8, 1};
    struct gy_cache_stats stats;

    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        uint64_t hits_before;
        uint64_t count;

        rig->pages = sizes[s];
        rig->source.cache_id = CACHE_ID + s; /* the bytes change: another file */
        rig->count = 4096 / sizes[s];
        write_blocks(rig);
        count = 200 / sizes[s]; /* most of the cache */
        for (uint32_t round = 0; round < 6; round++) {
            for (uint64_t i = 0; i < count; i++) {
                await_touch(rig, i, GY_CACHE_NORMAL);
            }
        }
        gy_cache_stats_get(rig->kit.cache, &stats);
        hits_before = stats.hits;
        for (uint64_t i = 0; i < count; i++) {
            await_touch(rig, i, GY_CACHE_NORMAL);
        }
        gy_cache_stats_get(rig->kit.cache, &stats);
        assert_true(stats.hits - hits_before >=
                    count * 9 / 10); /* the new size has got nearly all of the memory */
    }
    assert_true(stats.slab_moves > 50);
    rig->source.cache_id = CACHE_ID;
    gy_cache_await_forget(rig->kit.cache, 0, 0);
    gy_cache_stats_get(rig->kit.cache, &stats);
    assert_int_equal(stats.used_bytes, 0);
}

/* Goal:   when the mix of block sizes changes, memory follows: blocks of the new size soon find
 * nearly all of it. Method: working sets of most of the cache in one size after the other. */
static void
cache_moves_slabs_when_the_mix_of_sizes_changes(void **state)
{
    static struct rig rig;
    (void)state;

    run(&rig, &(struct disk_kit_config){.cache_size = 1 << 20}, 1, 4, await_mix);
}

/* ---- Random use against what must hold ---- */

struct fuzz_reader {
    struct rig *rig;
    uint64_t seed;
};

static void
random_reader(void *arg)
{
    struct fuzz_reader *reader = arg;
    struct rig *rig = reader->rig;
    struct gy_block_pin pins[4] = {{0}};
    uint64_t numbers[4] = {0};
    struct gy_rng rng;

    gy_in_coroutine();
    gy_rng_init(&rng, reader->seed);
    for (uint32_t i = 0; i < 300; i++) {
        const uint32_t slot = (uint32_t)gy_rng_below(&rng, 4);
        const uint64_t number = gy_rng_below(&rng, gy_rng_below(&rng, 4) == 0 ? rig->count : 50);

        if (pins[slot].frame != NULL) {
            assert_block(rig, &pins[slot], numbers[slot]);
            gy_cache_unpin(rig->kit.cache, &pins[slot]);
            assert_null(pins[slot].frame);
        }
        numbers[slot] = number;
        if (gy_rng_below(&rng, 8) == 0) {
            gy_cache_prefetch(rig->kit.cache, &rig->source, handle_of(rig, number), GY_BLOCK_DATA,
                              GY_CACHE_NORMAL);
        } else if (gy_rng_below(&rng, 3) != 0 ||
                   !gy_cache_try(rig->kit.cache, CACHE_ID, handle_of(rig, number), GY_BLOCK_DATA,
                                 &pins[slot])) {
            assert_int_equal(gy_cache_await_block(rig->kit.cache, &rig->source,
                                                  handle_of(rig, number), GY_BLOCK_DATA,
                                                  (enum gy_cache_hint)gy_rng_below(&rng, 3),
                                                  GY_IO_READ, &pins[slot]),
                             GYRE_OK);
            assert_block(rig, &pins[slot], number);
        }
        if (gy_rng_below(&rng, 50) == 0) {
            gy_cache_await_forget(rig->kit.cache, CACHE_ID, UINT64_MAX);
        }
    }
    for (uint32_t slot = 0; slot < 4; slot++) {
        gy_cache_unpin(rig->kit.cache, &pins[slot]);
    }
    rig->running--;
}

GY_SUSPENDS static void
await_random(struct rig *rig)
{
    struct fuzz_reader readers[12];

    rig->running = 12;
    for (uint32_t i = 0; i < 12; i++) {
        readers[i] = (struct fuzz_reader){.rig = rig, .seed = rig->pages * 100 + i};
        assert_int_equal(gy_spawn(&rig->kit.loop.sched, GY_CLASS_FOREGROUND, "reader",
                                  random_reader, &readers[i], NULL),
                         GYRE_OK);
    }
    while (rig->running != 0) {
        gy_await_sleep(&rig->kit.loop.sched, 1000000);
    }
}

/* Goal:   readers, prefetches and forgetting in any order: every pin shows its block, nothing
 * leaks. Method: twelve coroutines in random order on a cache of a tenth of the file. */
static void
cache_stays_sound_under_random_use(void **state)
{
    static struct rig rig;
    (void)state;

    for (uint32_t pages = 1; pages <= 17; pages += 4) {
        run(&rig,
            &(struct disk_kit_config){
                .seed = pages, .chaos = true, .short_transfers = true, .cache_size = 1 << 20},
            pages, 2000 / pages, await_random);
    }
}

GY_SUSPENDS static void
await_forgotten(struct rig *rig)
{
    struct gy_block_pin pin;

    for (uint32_t i = 0; i < 50; i++) {
        await_touch(rig, i, GY_CACHE_NORMAL);
    }
    assert_true(gy_cache_try(rig->kit.cache, CACHE_ID, handle_of(rig, 7), GY_BLOCK_DATA, &pin));
    for (uint32_t i = 50; i < 80; i++) {
        gy_cache_prefetch(rig->kit.cache, &rig->source, handle_of(rig, i), GY_BLOCK_DATA,
                          GY_CACHE_NORMAL);
    }
    gy_cache_await_idle(rig->kit.cache, CACHE_ID);
    for (uint32_t i = 50; i < 80; i++) {
        assert_true(is_cached(rig, i));
    }
    gy_cache_prefetch(rig->kit.cache, &rig->source, handle_of(rig, 80), GY_BLOCK_DATA,
                      GY_CACHE_NORMAL);
    gy_cache_await_forget(rig->kit.cache, CACHE_ID, UINT64_MAX);
    for (uint32_t i = 0; i <= 80; i++) {
        assert_int_equal(is_cached(rig, i), i == 7);
    }
    assert_block(rig, &pin, 7);
    gy_cache_unpin(rig->kit.cache, &pin);
    assert_false(is_cached(rig, 7));
    await_touch(rig, 7, GY_CACHE_NORMAL);
}

/* Goal:   forgetting waits for prefetches, drops what is not pinned, and the rest at its unpin. */
static void
cache_forgets_a_table(void **state)
{
    static struct rig rig;
    (void)state;

    run(&rig, &(struct disk_kit_config){.cache_size = 1 << 20}, 1, 100, await_forgotten);
}

/* Goal:   memory stays inside the capacity, counted where it belongs; a cache without room works
 * through the heap. Method: capacities from nothing to 9 MiB. */
static void
cache_memory_is_within_its_capacity(void **state)
{
    static const uint64_t capacities[] = {1, 65536, 1 << 20, (2 << 20) - 1, 3 << 20, 9 << 20};
    static struct rig rig;
    (void)state;

    for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
        struct gy_cache_stats stats;

        memset(&rig, 0, sizeof(rig));
        disk_kit_make(&rig.kit, &(struct disk_kit_config){.cache_size = capacities[i]});
        gy_cache_stats_get(rig.kit.cache, &stats);
        assert_true(stats.capacity_bytes <= capacities[i]);
        assert_true(capacities[i] < (1 << 20) || stats.capacity_bytes >= capacities[i] / 2);
        assert_true(rig.kit.loop.heap.used_by_tag[GY_MEM_CACHE] <= capacities[i] + 16384);
        disk_kit_free(&rig.kit);
        run(&rig, &(struct disk_kit_config){.cache_size = capacities[i]}, 2, 50,
            await_single_flight);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cache_reads_a_block_once_for_all_who_want_it),
        cmocka_unit_test(cache_tells_a_failed_read_to_all_and_tries_again),
        cmocka_unit_test(cache_reads_a_block_again_before_it_calls_it_corrupt),
        cmocka_unit_test(cache_keeps_pinned_blocks_under_pressure),
        cmocka_unit_test(cache_goes_to_the_heap_when_all_is_pinned),
        cmocka_unit_test(cache_keeps_the_hot_set_through_a_scan),
        cmocka_unit_test(cache_prefers_what_is_used_again),
        cmocka_unit_test(cache_keeps_nothing_that_was_read_without_filling),
        cmocka_unit_test(cache_moves_slabs_when_the_mix_of_sizes_changes),
        cmocka_unit_test(cache_stays_sound_under_random_use),
        cmocka_unit_test(cache_forgets_a_table),
        cmocka_unit_test(cache_memory_is_within_its_capacity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
