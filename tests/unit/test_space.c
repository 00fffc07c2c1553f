/* test_space.c - disk_quota and disk_reserve: who may take room, and that a store that has filled
 * itself gets on by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/base/bits.h"
#include "tests/support/space_kit.h"

/* ---- Pure ---- */

static struct gy_space_use
random_use(struct gy_rng *rng)
{
    struct gy_space_use use = {.quota = gy_rng_below(rng, 3) == 0 ? 0 : gy_rng_below(rng, GY_GIB),
                               .reserve = gy_rng_below(rng, 2) * gy_rng_below(rng, GY_MIB),
                               .free_bytes = gy_rng_below(rng, 3) == 0 ? GY_SPACE_UNKNOWN
                                                                       : gy_rng_below(rng, GY_GIB),
                               .tables = gy_rng_below(rng, 300 * GY_MIB),
                               .pending = gy_rng_below(rng, 2) * gy_rng_below(rng, 50 * GY_MIB),
                               .planned = gy_rng_below(rng, 2) * gy_rng_below(rng, 50 * GY_MIB),
                               .frozen = gy_rng_below(rng, 9 * GY_MIB),
                               .fixed = gy_rng_below(rng, 20 * GY_MIB),
                               .job = gy_rng_below(rng, 100 * GY_MIB),
                               .deletes = gy_rng_below(rng, 2 * GY_MIB)};

    return use;
}

/* Goal:   whatever puts were allowed to take of a quota, the compaction that has to be possible
 *         still fits, with what they took in it; deletes may take more than puts, and less is
 *         allowed when less is left.
 * Method: random figures. */
static void
space_puts_leave_room_for_compaction(void **state)
{
    struct gy_rng rng;
    uint32_t allowed = 0;
    (void)state;

    gy_rng_init(&rng, 1);
    for (uint32_t i = 0; i < 100000; i++) {
        struct gy_space_use use = random_use(&rng);
        const uint64_t puts = gy_space_memtable_max(&use, false);
        const uint64_t deletes = gy_space_memtable_max(&use, true);
        struct gy_space_use worse = use;

        assert_true(deletes >= puts);
        worse.tables += 1000;
        assert_true(gy_space_memtable_max(&worse, false) <= puts);
        if (use.quota == 0 && use.free_bytes == GY_SPACE_UNKNOWN) {
            assert_true(puts == UINT64_MAX);
        }
        if (use.quota != 0 && puts > 0) {
            allowed++;
            use.free_bytes = GY_SPACE_UNKNOWN;
            use.pending = 0; /* when files on their way out are gone */
            use.planned = 0;
            use.active = puts;
            assert_true(gy_space_job_max(&use) >= use.job + puts * 3 / 2);
        }
    }
    assert_true(allowed > 1000);
}

/* Goal:   what is kept free on the file system is what the option says, nothing, or what a
 *         compaction may need but at most an eighth of all there is. */
static void
space_reserve_is_bounded(void **state)
{
    struct gy_rng rng;
    (void)state;

    gy_rng_init(&rng, 2);
    for (uint32_t i = 0; i < 10000; i++) {
        struct gy_space_use use = random_use(&rng);

        use.reserve = 12345;
        assert_int_equal(gy_space_reserve(&use), 12345);
        use.reserve = GYRE_DISK_RESERVE_NONE;
        assert_int_equal(gy_space_reserve(&use), 0);
        use.reserve = 0;
        assert_true(gy_space_reserve(&use) <= use.job + use.deletes);
        if (use.free_bytes != GY_SPACE_UNKNOWN) {
            assert_true(gy_space_reserve(&use) <=
                        (use.free_bytes + use.fixed + use.tables + use.pending) / 8);
        }
    }
}

/* ---- Stores ---- */

static void
expect_refusal(struct space_kit *kit)
{
    const struct gyre_error *error = gyre_last_error(kit->loop);

    assert_int_equal(error->status, GYRE_NO_SPACE);
    assert_int_equal(error->cause, GYRE_WAIT_DISK);
    assert_in_range(error->retry_ns, 1, 1000000000);
    assert_int_equal(error->maybe_done, 0);
}

/* Deletes until a put is taken again; how many it took. */
static uint32_t
make_room(struct space_kit *kit, uint32_t first)
{
    for (uint32_t i = 0; i < SPACE_KEYS; i++) {
        const uint32_t key = (first + i) % SPACE_KEYS;
        gyre_status status;

        if (kit->version[key] == 0) {
            continue;
        }
        status = space_kit_delete(kit, key);
        if (status != GYRE_OK) {
            expect_refusal(kit); /* too fast: compaction has not come round */
            space_kit_sleep(kit, 500);
            status = space_kit_delete(kit, key);
        }
        assert_int_equal(status, GYRE_OK);
        if (i % 100 == 99) {
            space_kit_sleep(kit, 1000);
            if (space_kit_put(kit, key) == GYRE_OK) {
                return i;
            }
        }
    }
    return SPACE_KEYS;
}

/* Goal:   a store fills its quota, refuses puts with NO_SPACE, goes on after deletes, again and
 *         again, reopened in between by the death of its process; what was acknowledged is there,
 *         and the disk never holds more than the quota and one output and one log slot. */
static void
space_quota_holds_and_the_store_gets_on(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 6; round++) {
        const uint64_t quota = (1200 + 400 * round) * GY_KIB;
        struct space_kit *kit = space_kit_make(round + 1);
        uint32_t first = 0;
        gyre_status status = GYRE_OK;

        kit->options.disk_quota = quota + 4 * 128 * GY_KIB;
        space_kit_open(kit);
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t count = space_kit_fill(kit, first, 20000, &status);

            assert_int_equal(status, GYRE_NO_SPACE);
            expect_refusal(kit);
            assert_true(i > 0 || count * kit->value_size > quota / 6);
            assert_int_equal(space_kit_health(kit).state, GYRE_HEALTH_FULL);
            space_kit_check(kit);
            if (i == 2) {
                space_kit_kill(kit, 100 + round);
            }
            assert_true(make_room(kit, first) < SPACE_KEYS);
            first += count;
        }
        assert_true(kit->used_max <=
                    kit->options.disk_quota + kit->options.table_size + kit->options.wal_slot_size);
        assert_true(space_kit_told(kit, GYRE_EVENT_DISK_FULL) > 0);
        assert_true(space_kit_told(kit, GYRE_EVENT_SPACE_AGAIN) > 0);
        space_kit_check(kit);
        space_kit_free(kit);
    }
}

/* Goal:   keys written again and again, far less data than the quota, are never refused for long:
 *         compaction keeps up with what is kept for it. */
static void
space_quota_lets_overwriting_go_on(void **state)
{
    struct space_kit *kit = space_kit_make(3);
    uint32_t refused = 0;
    (void)state;

    kit->options.disk_quota = 4 * GY_MIB;
    space_kit_open(kit);
    for (uint32_t i = 0; i < 20000; i++) {
        if (space_kit_put(kit, i * 7 % 600) != GYRE_OK) {
            expect_refusal(kit);
            refused++;
            space_kit_sleep(kit, 200);
        }
    }
    assert_true(refused < 100);
    assert_true(kit->used_max <= kit->options.disk_quota);
    space_kit_check(kit);
    space_kit_free(kit);
}

/* Goal:   a store that has filled its disk by itself makes room by deleting alone: nothing else is
 *         removed from the disk. */
static void
space_reserve_lets_deletes_make_room(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 4; round++) {
        struct space_kit *kit = space_kit_make(round + 10);
        gyre_status status = GYRE_OK;
        uint32_t count;

        kit->options.disk_reserve = GY_MIB;
        space_kit_open(kit);
        gy_sim_disk_set_capacity(kit->disk,
                                 gy_sim_disk_used_bytes(kit->disk) + (2500 + 300 * round) * GY_KIB);
        count = space_kit_fill(kit, 0, 20000, &status);
        assert_int_equal(status, GYRE_NO_SPACE);
        assert_true(count > 100);
        space_kit_check(kit);
        assert_true(make_room(kit, 0) < SPACE_KEYS);
        space_kit_check(kit);
        space_kit_free(kit);
    }
}

/* Goal:   space that somebody else frees is noticed without a write, and told. */
static void
space_is_noticed_when_it_comes(void **state)
{
    struct space_kit *kit = space_kit_make(20);
    gyre_status status = GYRE_OK;
    (void)state;

    kit->options.disk_reserve = 300 * GY_KIB;
    space_kit_open(kit);
    gy_sim_disk_set_capacity(kit->disk, gy_sim_disk_used_bytes(kit->disk) + GY_MIB);
    (void)space_kit_fill(kit, 0, 20000, &status);
    assert_int_equal(status, GYRE_NO_SPACE);
    space_kit_sleep(kit, 2000);
    assert_int_equal(space_kit_health(kit).state, GYRE_HEALTH_FULL);
    gy_sim_disk_set_capacity(kit->disk, 0);
    space_kit_sleep(kit, 1000);
    assert_int_not_equal(space_kit_health(kit).state, GYRE_HEALTH_FULL);
    assert_int_equal(space_kit_told(kit, GYRE_EVENT_DISK_FULL),
                     space_kit_told(kit, GYRE_EVENT_SPACE_AGAIN));
    assert_int_equal(space_kit_put(kit, 0), GYRE_OK);
    space_kit_check(kit);
    space_kit_free(kit);
}

/* Goal:   a log file that a full disk kept from being made ahead is missed no longer when there is
 *         space again, or an older one has been given back, though nobody writes.
 * Method: paused, no older one is given back. */
static void
space_is_noticed_by_the_log_too(void **state)
{
    const struct gy_sim_faults full = {.rule_count = 1,
                                       .rules = {{.fault = GY_SIM_FAULT_ERROR,
                                                  .op_mask = 1u << GY_OP_ALLOCATE,
                                                  .name = "wal-",
                                                  .ppm = 1000000,
                                                  .os_errno = 28}}};
    (void)state;
    for (uint32_t is_paused = 0; is_paused < 2; is_paused++) {
        struct space_kit *kit = space_kit_make(21);
        struct gyre_stats stats = {.struct_size = sizeof(stats)};

        kit->options.memtable_size = GY_MIB;
        space_kit_open(kit);
        if (is_paused) {
            assert_int_equal(gyre_pause(kit->db), GYRE_OK);
        }
        gy_world_sim_set_faults(kit->world, &full);
        for (uint32_t i = 0; i < 300 && stats.wal_switches == 0; i++) {
            (void)space_kit_put(kit, i);
            space_kit_sleep(kit, 20);
            assert_int_equal(gyre_stats(kit->db, &stats), GYRE_OK);
        }
        assert_int_equal(stats.wal_switches, 1);
        space_kit_sleep(kit, 1000);
        if (is_paused) {
            assert_int_equal(space_kit_health(kit).state, GYRE_HEALTH_FULL);
            gy_world_sim_set_faults(kit->world, NULL);
            space_kit_sleep(kit, 1000);
            assert_int_equal(space_kit_health(kit).state, GYRE_HEALTH_PAUSED);
        }
        assert_int_not_equal(space_kit_health(kit).state, GYRE_HEALTH_FULL);
        assert_int_equal(space_kit_told(kit, GYRE_EVENT_DISK_FULL),
                         space_kit_told(kit, GYRE_EVENT_SPACE_AGAIN));
        space_kit_check(kit);
        space_kit_free(kit);
    }
}

/* Goal:   a quota that cannot hold the logs and a few memtables is INVALID, and says what it
 *         takes. */
static void
space_quota_has_to_hold_the_logs(void **state)
{
    struct space_kit *kit = space_kit_make(30);
    (void)state;

    kit->options.disk_quota = GY_MIB;
    assert_int_equal(gyre_open(kit->loop, "/s", &kit->options, &kit->db), GYRE_INVALID);
    assert_non_null(strstr(gyre_last_error(kit->loop)->text, "disk_quota"));
    kit->options.disk_quota = 2 * GY_MIB;
    space_kit_open(kit);
    assert_int_equal(space_kit_put(kit, 0), GYRE_OK);
    space_kit_free(kit);
}

/* Goal:   gyre_sync answers NO_SPACE when commits wait for a log that a full disk refuses, and OK
 *         when there is space: they were kept. */
static void
space_sync_tells_of_a_log_that_cannot_go_on(void **state)
{
    const struct gy_sim_faults full = {.rule_count = 1,
                                       .rules = {{.fault = GY_SIM_FAULT_ERROR,
                                                  .op_mask = 1u << GY_OP_WRITE,
                                                  .klass_mask = 1u << GY_IO_WAL,
                                                  .name = "wal-001",
                                                  .nth = 1,
                                                  .is_repeated = true,
                                                  .os_errno = 28}}};
    struct space_kit *kit = space_kit_make(40);
    gyre_status status = GYRE_OK;
    (void)state;

    kit->options.memtable_size = GY_MIB;
    kit->options.wal_total_max = GY_MIB;
    space_kit_open(kit);
    space_kit_sleep(kit, 100); /* the next slot is ready then */
    gy_world_sim_set_faults(kit->world, &full);
    for (uint32_t i = 0; i < 400 && status == GYRE_OK; i++) {
        status = space_kit_put(kit, i);
    }
    assert_int_equal(gyre_sync(kit->db), GYRE_NO_SPACE);
    gy_world_sim_set_faults(kit->world, NULL);
    space_kit_sleep(kit, 1000);
    assert_int_equal(gyre_sync(kit->db), GYRE_OK);
    space_kit_check(kit);
    space_kit_free(kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(space_puts_leave_room_for_compaction),
        cmocka_unit_test(space_reserve_is_bounded),
        cmocka_unit_test(space_quota_holds_and_the_store_gets_on),
        cmocka_unit_test(space_quota_lets_overwriting_go_on),
        cmocka_unit_test(space_reserve_lets_deletes_make_room),
        cmocka_unit_test(space_is_noticed_when_it_comes),
        cmocka_unit_test(space_is_noticed_by_the_log_too),
        cmocka_unit_test(space_quota_has_to_hold_the_logs),
        cmocka_unit_test(space_sync_tells_of_a_log_that_cannot_go_on),
    };

    return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
