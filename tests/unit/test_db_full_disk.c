/* test_db_full_disk.c - a store on a simulated disk that is full, or nearly so. On real file
 * systems: tests/kernel/kernel_disk_full.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/db/db.h"
#include "engine/db/recover.h"
#include "gyre/gyre.h"
#include "io/base/bits.h"
#include "io/sim/world_sim.h"

/* Now and then a value that makes its table larger than was reserved for it. */
#define VALUE_SIZE 900u
#define LARGE_SIZE 90000u
#define LARGE_EVERY 37u
#define KEYS 400u

struct rig {
    struct gy_heap heap;
    struct gy_sim_disk *disk;
    struct gy_world *world;
    gyre_loop *loop;
    gyre_db *db;
};

static void
open_loop(struct rig *rig, uint64_t seed)
{
    struct gy_world_sim_config config;

    gy_world_sim_config_init(&config, seed);
    assert_int_equal(gy_world_sim_open(&config, rig->disk, &rig->world), GYRE_OK);
    assert_int_equal(
        gy_loop_open_on(GYRE_LOOP_OPTIONS(.memory_limit = 64 * GY_MIB, .cache_size = GY_MIB),
                        rig->world, &rig->loop, NULL),
        GYRE_OK);
}

static gyre_status
open_store_with(struct rig *rig, uint64_t memtable_size)
{
    return gyre_open(rig->loop, "/s",
                     GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE, .memtable_size = memtable_size,
                                  .table_size = 64 * GY_KIB, .wal_slot_size = 256 * GY_KIB,
                                  .wal_buffer_size = 256 * GY_KIB, .level0_tables = 2,
                                  .compression = GYRE_COMPRESSION_NONE,
                                  /* into the wall: what stops before is tested in test_space.c */
                                  .disk_reserve = GYRE_DISK_RESERVE_NONE),
                     &rig->db);
}

static gyre_status
open_store(struct rig *rig)
{
    return open_store_with(rig, 64 * GY_KIB);
}

static void
begin(struct rig *rig, uint64_t seed)
{
    *rig = (struct rig){.db = NULL};
    gy_heap_init(&rig->heap, UINT64_MAX);
    rig->disk = gy_sim_disk_make(NULL, &rig->heap);
    open_loop(rig, seed);
    assert_int_equal(open_store(rig), GYRE_OK);
}

static void
end(struct rig *rig)
{
    assert_int_equal(gyre_close(rig->db), GYRE_OK);
    assert_int_equal(gy_world_sim_violation_count(rig->world), 0);
    assert_int_equal(gyre_loop_close(rig->loop), GYRE_OK);
    gy_sim_disk_free(rig->disk);
    assert_int_equal(rig->heap.used, 0);
}

static size_t
value_size(uint32_t i)
{
    return i % LARGE_EVERY == LARGE_EVERY - 1 ? LARGE_SIZE : VALUE_SIZE;
}

static gyre_status
put(struct rig *rig, uint32_t i, enum gyre_durability durability)
{
    static uint8_t value[LARGE_SIZE];
    char key[32];

    memset(value, (int)i, sizeof(value));
    (void)snprintf(key, sizeof(key), "key%05u", i % KEYS);
    return gyre_put(rig->db, GYRE_WRITE_OPTIONS(.durability = durability), gyre_str(key),
                    gyre_slice(value, value_size(i)));
}

/* The process dies, whatever it was doing; another one opens the store. */
static void
kill_process(struct rig *rig, uint64_t seed)
{
    struct gy_sim_disk *disk;
    struct gy_rng rng;

    gy_rng_init(&rng, seed);
    disk = gy_sim_disk_crash(rig->disk, &rng, GY_SIM_CRASH_KILL);
    gy_world_sim_stop(rig->world, GY_SIM_STOP_FAIL);
    (void)gyre_close(rig->db);
    assert_int_equal(gyre_loop_close(rig->loop), GYRE_OK);
    gy_sim_disk_free(rig->disk);
    rig->disk = disk;
    open_loop(rig, seed);
}

/* After `count` puts every key has its last value. */
static void
expect(struct rig *rig, uint32_t count)
{
    for (uint32_t i = count > KEYS ? count - KEYS : 0; i < count; i++) {
        struct gyre_value value;
        char key[32];

        (void)snprintf(key, sizeof(key), "key%05u", i % KEYS);
        assert_int_equal(gyre_get(rig->db, NULL, gyre_str(key), &value), GYRE_OK);
        assert_int_equal(value.size, value_size(i));
        assert_int_equal(*(const uint8_t *)value.data, (uint8_t)i);
        gyre_value_release(&value);
    }
}

/* Put until it is refused twice in a row; the number of the first that was. */
static uint32_t
fill(struct rig *rig, uint32_t first, enum gyre_durability durability)
{
    for (uint32_t i = first; i < first + 5000; i++) {
        gyre_status status = put(rig, i, durability);

        if (status == GYRE_NO_SPACE) { /* a flush may just have given some back */
            assert_int_equal(gyre_sleep(rig->loop, 500u * 1000u * 1000u), GYRE_OK);
            status = put(rig, i, durability);
        }
        if (status == GYRE_NO_SPACE) {
            return i;
        }
        assert_int_equal(status, GYRE_OK);
    }
    return first + 5000;
}

/* Goal:   a table that is made while the disk gets full is whole, or is not there: a file system
 *         that keeps a part of what it could not reserve in full makes no difference. */
static void
db_tables_of_a_nearly_full_disk_are_whole(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 60; round++) {
        struct gyre_verify_result result;
        struct rig rig;
        uint32_t count;

        begin(&rig, round + 1);
        gy_sim_disk_set_capacity(rig.disk, gy_sim_disk_used_bytes(rig.disk) + 400 * GY_KIB +
                                               round * 24 * GY_KIB);
        count = fill(&rig, 0, GYRE_BUFFERED);
        assert_in_range(count, 1, 5000);
        gy_sim_disk_set_capacity(rig.disk, 0);
        assert_int_equal(gyre_wait_idle(rig.db), GYRE_OK);
        assert_int_equal(gyre_verify(rig.db, NULL, NULL, NULL, &result), GYRE_OK);
        expect(&rig, count);
        end(&rig);
    }
}

/* Goal:   who waits for log space is told when the flush that would free a log fails for space, and
 *         does not wait for ever: each DURABLE commit takes a page of the log, so the logs are full
 *         before the memtables are. */
static void
db_tells_that_no_log_gets_free(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 10; round++) {
        struct rig rig;
        uint32_t count;

        begin(&rig, round + 1);
        gy_sim_disk_set_capacity(rig.disk, gy_sim_disk_used_bytes(rig.disk) + 700 * GY_KIB +
                                               round * 100 * GY_KIB);
        count = fill(&rig, 0, GYRE_DURABLE);
        assert_in_range(count, 1, 4999);
        gy_sim_disk_set_capacity(rig.disk, 0);
        assert_int_equal(gyre_sleep(rig.loop, 1000u * 1000u * 1000u), GYRE_OK);
        assert_int_equal(put(&rig, count, GYRE_DURABLE), GYRE_OK);
        expect(&rig, count + 1);
        end(&rig);
    }
}

/* Goal:   a store whose process was killed opens while the disk is full, as often as one likes:
 *         what was acknowledged is read, writes and what needs the background are refused with
 *         NO_SPACE, and when there is space writes go on without a reopen. */
static void
db_opens_on_a_full_disk_and_waits_for_space(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 20; round++) {
        const enum gyre_durability durability = round % 2 == 0 ? GYRE_BUFFERED : GYRE_DURABLE;
        uint32_t waited = 0;
        struct rig rig;
        uint32_t count;

        begin(&rig, round + 1);
        gy_sim_disk_set_capacity(rig.disk, gy_sim_disk_used_bytes(rig.disk) + 300 * GY_KIB +
                                               round * 40 * GY_KIB);
        count = fill(&rig, 0, durability);
        for (uint32_t i = 0; i < 12; i++) {
            kill_process(&rig, 100 * round + i + 1);
            gy_sim_disk_set_capacity(rig.disk, 1); /* full, whatever the killed process left */
            assert_int_equal(open_store(&rig), GYRE_OK);
            expect(&rig, count);
            if (rig.db->waiting == NULL) { /* it found a log to write to */
                count = fill(&rig, count, durability);
                continue;
            }
            waited++;
            assert_int_equal(put(&rig, count, durability), GYRE_NO_SPACE);
            assert_int_equal(gyre_flush(rig.db), GYRE_NO_SPACE);
            assert_int_equal(gyre_wait_idle(rig.db), GYRE_NO_SPACE);
            if (i % 3 == 2) {
                (void)gyre_close(rig.db); /* NO_SPACE: something is in staging memory only */
                assert_int_equal(open_store(&rig), GYRE_OK);
            }
        }
        assert_true(waited > 0);
        gy_sim_disk_set_capacity(rig.disk, 0);
        assert_int_equal(gyre_sleep(rig.loop, 1000u * 1000u * 1000u), GYRE_OK);
        assert_int_equal(put(&rig, count, durability), GYRE_OK);
        expect(&rig, count + 1);
        assert_int_equal(gyre_flush(rig.db), GYRE_OK);
        assert_int_equal(gyre_verify(rig.db, NULL, NULL, NULL, NULL), GYRE_OK);
        end(&rig);
    }
}

static void
check_gets_going(struct rig *rig, uint32_t count)
{
    gy_sim_disk_set_capacity(rig->disk, 0);
    assert_int_equal(gyre_sleep(rig->loop, 1000u * 1000u * 1000u), GYRE_OK);
    assert_int_equal(put(rig, count, GYRE_DURABLE), GYRE_OK);
    expect(rig, count + 1);
    assert_int_equal(gyre_verify(rig->db, NULL, NULL, NULL, NULL), GYRE_OK);
}

/* Goal:   opens on a full disk use up what room its manifest has, and the store opens all the same:
 *         to be read, and to be written to when there is space.
 * Method: more opens than a manifest has pages, each of a process that is killed. */
static void
db_opens_on_a_full_disk_when_its_manifest_is_full(void **state)
{
    const uint32_t count = 5;
    uint32_t full = 0;
    struct rig rig;
    (void)state;

    begin(&rig, 1);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(put(&rig, i, GYRE_DURABLE), GYRE_OK);
    }
    for (uint32_t i = 0; i < 80; i++) {
        kill_process(&rig, i + 1);
        gy_sim_disk_set_capacity(rig.disk, 1);
        assert_int_equal(open_store(&rig), GYRE_OK);
        expect(&rig, count);
        assert_non_null(rig.db->waiting);
        full += !rig.db->waiting->owns_manifest;
        assert_int_equal(put(&rig, count, GYRE_DURABLE), GYRE_NO_SPACE);
    }
    assert_in_range(full, 5, 40);
    /* it tries again and again, and leaves no file open */
    assert_int_equal(gyre_sleep(rig.loop, 300ull * 1000u * 1000u * 1000u), GYRE_OK);
    check_gets_going(&rig, count);
    assert_int_equal(gyre_close(rig.db), GYRE_OK);
    assert_int_equal(open_store(&rig), GYRE_OK);
    expect(&rig, count + 1);
    end(&rig);
}

/* Goal:   what a killed process had answered from staging memory stays there while a full disk has
 *         no place for it, over opens and closes; a close says that it is nowhere else.
 * Method: BUFFERED puts, killed before any of them is written to the log. */
static void
db_keeps_staged_commits_on_a_full_disk(void **state)
{
    const uint32_t count = 5;
    struct rig rig;
    (void)state;

    begin(&rig, 1);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(put(&rig, i, GYRE_BUFFERED), GYRE_OK);
    }
    for (uint32_t i = 0; i < 6; i++) {
        if (i % 2 == 0) {
            kill_process(&rig, i + 1);
        } else {
            assert_int_equal(gyre_close(rig.db), GYRE_NO_SPACE);
            assert_non_null(strstr(gyre_last_error(rig.loop)->text, "staging memory only"));
        }
        gy_sim_disk_set_capacity(rig.disk, 1);
        assert_int_equal(open_store(&rig), GYRE_OK);
        assert_non_null(rig.db->waiting);
        assert_true(rig.db->waiting->staged_count > 0);
        expect(&rig, count);
    }
    check_gets_going(&rig, count);
    kill_process(&rig, 99);
    assert_int_equal(open_store(&rig), GYRE_OK);
    expect(&rig, count + 1);
    end(&rig);
}

/* Goal:   whatever of opening there is still space for, it opens, and all is there: a manifest but
 *         no table, a table but no log, one table of several.
 * Method: a killed process with more in its logs than a memtable takes; capacities from none to
 *         plenty, by 16 KiB. */
static void
db_opens_at_every_degree_of_fullness(void **state)
{
    const uint32_t count = 250;
    uint32_t waited = 0;
    struct rig rig;
    (void)state;

    for (uint64_t extra = 0; extra < 1200 * GY_KIB; extra += 16 * GY_KIB) {
        begin(&rig, 1);
        assert_int_equal(gyre_close(rig.db), GYRE_OK);
        assert_int_equal(open_store_with(&rig, GY_MIB), GYRE_OK);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(put(&rig, i, i % 50 == 0 ? GYRE_DURABLE : GYRE_BUFFERED), GYRE_OK);
        }
        kill_process(&rig, extra + 1);
        gy_sim_disk_set_capacity(rig.disk, gy_sim_disk_used_bytes(rig.disk) + extra);
        assert_int_equal(open_store(&rig), GYRE_OK); /* with a memtable of 64 KiB */
        expect(&rig, count);
        waited += rig.db->waiting != NULL;
        check_gets_going(&rig, count);
        kill_process(&rig, extra + 2);
        assert_int_equal(open_store(&rig), GYRE_OK);
        expect(&rig, count + 1);
        end(&rig);
    }
    assert_in_range(waited, 10, 70);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(db_tables_of_a_nearly_full_disk_are_whole),
        cmocka_unit_test(db_tells_that_no_log_gets_free),
        cmocka_unit_test(db_opens_on_a_full_disk_and_waits_for_space),
        cmocka_unit_test(db_opens_on_a_full_disk_when_its_manifest_is_full),
        cmocka_unit_test(db_keeps_staged_commits_on_a_full_disk),
        cmocka_unit_test(db_opens_at_every_degree_of_fullness),
    };

    return cmocka_run_group_tests_name("db_full_disk", tests, NULL, NULL);
}
