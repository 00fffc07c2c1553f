/* test_health.c - each state of a store with its cause and remedy, and the news of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/base/bits.h"
#include "tests/support/space_kit.h"

#define EIO_RULE(ops, file)               \
    {                                     \
        .rule_count = 1, .rules = {       \
            {.fault = GY_SIM_FAULT_ERROR, \
             .op_mask = (ops),            \
             .name = file,                \
             .nth = 1,                    \
             .is_repeated = true}         \
        }                                 \
    }

static void
expect_state(struct space_kit *kit, enum gyre_health_state state, const char *cause,
             const char *remedy)
{
    const struct gyre_health health = space_kit_health(kit);

    if (health.state != state || strstr(health.cause, cause) == NULL ||
        strstr(health.remedy, remedy) == NULL) {
        print_error("%s: cause '%s', remedy '%s'\n", gyre_health_state_name(health.state),
                    health.cause, health.remedy);
        fail();
    }
    assert_true(health.since_ns <= gyre_now(kit->loop));
}

/* Goal:   a store that is well says so, with what it takes on disk, and no cause and no remedy. */
static void
health_of_a_store_that_is_well(void **state)
{
    struct space_kit *kit = space_kit_make(1);
    struct gyre_health health = {.struct_size = 0};
    (void)state;

    kit->options.disk_quota = 8 * GY_MIB;
    space_kit_open(kit);
    assert_int_equal(space_kit_put(kit, 1), GYRE_OK);
    assert_int_equal(gyre_health(NULL, &health), GYRE_MISUSE);
    assert_int_equal(gyre_health(kit->db, NULL), GYRE_INVALID);
    assert_int_equal(gyre_health(kit->db, &health), GYRE_INVALID);
    health = space_kit_health(kit);
    assert_int_equal(health.state, GYRE_HEALTH_OK);
    assert_string_equal(health.cause, "");
    assert_string_equal(health.remedy, "");
    assert_int_equal(health.disk_quota, 8 * GY_MIB);
    assert_in_range(health.disk_used, 256 * GY_KIB, 2 * GY_MIB);
    assert_true(health.disk_free > 0 && health.disk_reserve > 0);
    assert_int_equal(health.last_status, GYRE_OK);
    assert_string_equal(gyre_health_state_name(99), "UNKNOWN");
    assert_string_equal(gyre_event_name(GYRE_EVENT_COMPACTED), "COMPACTED");
    space_kit_free(kit);
}

/* Goal:   while flush fails the state is ERROR with the text of the failure, told once at its
 *         beginning and once at its end, however often it is tried. */
static void
health_tells_of_background_errors(void **state)
{
    const struct gy_sim_faults faults = EIO_RULE(1u << GY_OP_WRITE, ".sst");
    struct space_kit *kit = space_kit_make(2);
    uint64_t began_ns;
    (void)state;

    space_kit_open(kit);
    gy_world_sim_set_faults(kit->world, &faults);
    assert_int_equal(space_kit_put(kit, 1), GYRE_OK);
    assert_int_equal(gyre_flush(kit->db), GYRE_IO);
    expect_state(kit, GYRE_HEALTH_ERROR, ".sst", "tried again by itself");
    began_ns = space_kit_health(kit).since_ns;
    space_kit_sleep(kit, 2000);
    assert_int_equal(space_kit_health(kit).since_ns, began_ns);
    assert_int_equal(space_kit_health(kit).last_status, GYRE_IO);
    assert_true(space_kit_health(kit).background_failures > 3);
    assert_int_equal(space_kit_told(kit, GYRE_EVENT_BACKGROUND_ERROR), 1);
    assert_int_equal(kit->news_error.status, GYRE_IO);
    gy_world_sim_set_faults(kit->world, NULL);
    space_kit_sleep(kit, 500);
    expect_state(kit, GYRE_HEALTH_OK, "", "");
    assert_int_equal(space_kit_told(kit, GYRE_EVENT_BACKGROUND_RESUMED), 1);
    assert_true(space_kit_told(kit, GYRE_EVENT_FLUSHED) > 0);
    space_kit_check(kit);
    space_kit_free(kit);
}

/* Goal:   a failed log makes READ_ONLY, told once, and a reopen is the remedy. */
static void
health_tells_of_a_failed_log(void **state)
{
    const struct gy_sim_faults faults = EIO_RULE(1u << GY_OP_WRITE, "wal-");
    struct space_kit *kit = space_kit_make(3);
    (void)state;

    kit->options.durability = GYRE_DURABLE;
    space_kit_open(kit);
    gy_world_sim_set_faults(kit->world, &faults);
    assert_int_equal(space_kit_put(kit, 1), GYRE_IO);
    space_kit_sleep(kit, 100);
    expect_state(kit, GYRE_HEALTH_READ_ONLY, "wal-", "open it again");
    assert_int_equal(space_kit_put(kit, 1), GYRE_READ_ONLY);
    assert_int_equal(space_kit_told(kit, GYRE_EVENT_READ_ONLY), 1);
    gy_world_sim_set_faults(kit->world, NULL);
    assert_int_equal(gyre_close(kit->db), GYRE_IO);
    space_kit_open(kit);
    expect_state(kit, GYRE_HEALTH_OK, "", "");
    space_kit_free(kit);
}

/* Goal:   a store on a full disk names the disk, and goes on without a reopen. */
static void
health_tells_of_a_full_disk(void **state)
{
    struct space_kit *kit = space_kit_make(4);
    gyre_status status = GYRE_OK;
    (void)state;

    kit->options.disk_reserve = GYRE_DISK_RESERVE_NONE; /* into the wall */
    space_kit_open(kit);
    gy_sim_disk_set_capacity(kit->disk, gy_sim_disk_used_bytes(kit->disk) + 200 * GY_KIB);
    (void)space_kit_fill(kit, 0, 20000, &status);
    assert_int_equal(status, GYRE_NO_SPACE);
    expect_state(kit, GYRE_HEALTH_FULL, "", "free space on the file system of /s");
    assert_true(space_kit_told(kit, GYRE_EVENT_DISK_FULL) > 0);
    gy_sim_disk_set_capacity(kit->disk, 0);
    space_kit_sleep(kit, 1000);
    assert_int_equal(space_kit_put(kit, 0), GYRE_OK);
    space_kit_sleep(kit, 1000);
    expect_state(kit, GYRE_HEALTH_OK, "", "");
    space_kit_check(kit);
    space_kit_free(kit);
}

/* Goal:   damage that a read meets is told with its file, and counted; not more often than the
 *         callback's bound. */
static void
health_tells_of_damage(void **state)
{
    const struct gy_sim_faults faults = {.rule_count = 1,
                                         .rules = {{.fault = GY_SIM_FAULT_ZERO,
                                                    .op_mask = 1u << GY_OP_READ,
                                                    .name = ".sst",
                                                    .nth = 1,
                                                    .is_repeated = true}}};
    struct space_kit *kit = space_kit_make(5);
    struct gyre_value value;
    (void)state;

    space_kit_open(kit);
    assert_int_equal(space_kit_put(kit, 1), GYRE_OK);
    space_kit_close(kit);
    space_kit_open(kit);
    assert_int_equal(gyre_flush(kit->db), GYRE_OK);
    kit->news_count = 0;
    gy_world_sim_set_faults(kit->world, &faults);
    for (uint32_t i = 0; i < 200; i++) {
        assert_int_equal(gyre_get(kit->db, NULL, gyre_str("key000001"), &value), GYRE_CORRUPT);
    }
    assert_int_equal(space_kit_health(kit).corruptions, 200);
    assert_in_range(space_kit_told(kit, GYRE_EVENT_CORRUPTION), 1, 190);
    assert_int_equal(kit->news_error.status, GYRE_CORRUPT);
    assert_non_null(strstr(kit->news_error.file, ".sst"));
    assert_int_equal(space_kit_health(kit).events_dropped,
                     200 - space_kit_told(kit, GYRE_EVENT_CORRUPTION));
    gy_world_sim_set_faults(kit->world, NULL);
    space_kit_free(kit);
}

/* Goal:   a stall begins and ends; a state that comes and goes is told in pairs, no more often
 *         than ten times a second. */
static void
health_news_come_in_pairs_and_are_bounded(void **state)
{
    struct space_kit *kit = space_kit_make(6);
    gyre_status status = GYRE_OK;
    uint64_t began_ns = 0;
    bool is_slow = false;
    (void)state;

    space_kit_open(kit);
    (void)space_kit_fill(kit, 0, 20000, &status);
    assert_int_equal(status, GYRE_OK);
    assert_int_equal(gyre_wait_idle(kit->db), GYRE_OK);
    for (uint32_t i = 0; i < kit->news_count; i++) {
        if (kit->news[i] == GYRE_EVENT_STALL_BEGAN) {
            assert_false(is_slow);
            assert_true(began_ns == 0 || kit->news_ns[i] >= began_ns + 100 * GY_NS_PER_MS);
            began_ns = kit->news_ns[i];
            is_slow = true;
        } else if (kit->news[i] == GYRE_EVENT_STALL_ENDED) {
            assert_true(is_slow);
            is_slow = false;
        }
    }
    assert_false(is_slow);
    assert_true(space_kit_told(kit, GYRE_EVENT_STALL_BEGAN) > 0);
    assert_true(space_kit_told(kit, GYRE_EVENT_COMPACTED) > 0);
    space_kit_free(kit);
}

/* Goal:   pressure is SLOW, in words that say how far compaction is behind. */
static void
health_tells_of_a_slow_store(void **state)
{
    struct space_kit *kit = space_kit_make(7);
    uint32_t seen = 0;
    (void)state;

    space_kit_open(kit);
    for (uint32_t i = 0; i < 8000; i++) {
        assert_int_equal(space_kit_put(kit, i * 7 % SPACE_KEYS), GYRE_OK);
        if (space_kit_health(kit).state == GYRE_HEALTH_SLOW) {
            expect_state(kit, GYRE_HEALTH_SLOW, "compaction is behind", "goes on by itself");
            seen++;
        }
    }
    assert_true(seen > 0);
    space_kit_free(kit);
}

/* Goal:   a store opened read-only says so; nobody need be told (NULL). */
static void
health_of_a_store_opened_read_only(void **state)
{
    struct space_kit *kit = space_kit_make(8);
    (void)state;

    space_kit_open(kit);
    assert_int_equal(gyre_on_event(kit->db, NULL, NULL), GYRE_OK);
    assert_int_equal(space_kit_put(kit, 1), GYRE_OK);
    assert_int_equal(gyre_flush(kit->db), GYRE_OK);
    assert_int_equal(kit->news_count, 0);
    space_kit_close(kit);
    kit->options.flags = GYRE_OPEN_READ_ONLY;
    space_kit_open(kit);
    expect_state(kit, GYRE_HEALTH_READ_ONLY, "READ_ONLY", "to write");
    assert_int_equal(gyre_pause(kit->db), GYRE_READ_ONLY);
    space_kit_free(kit);
}

static void
close_main(void *arg)
{
    struct space_kit *kit = arg;

    assert_int_equal(gyre_close(kit->db), GYRE_OK);
    kit->db = NULL;
}

/* Goal:   while the store closes gyre_health says so, and no other call is taken. */
static void
health_of_a_store_that_closes(void **state)
{
    struct space_kit *kit = space_kit_make(9);
    uint32_t turns = 0;
    (void)state;

    space_kit_open(kit);
    assert_int_equal(space_kit_put(kit, 1), GYRE_OK);
    assert_int_equal(gyre_spawn(kit->loop, close_main, kit, NULL), GYRE_OK);
    while (kit->db->state == GY_DB_OPEN) {
        assert_int_equal(gyre_yield(kit->loop), GYRE_OK);
        assert_true(turns++ < 1000);
    }
    expect_state(kit, GYRE_HEALTH_CLOSING, "gyre_close", "open it again");
    assert_int_equal(gyre_pause(kit->db), GYRE_CLOSED);
    assert_int_equal(gyre_run(kit->loop), GYRE_OK);
    assert_null(kit->db);
    space_kit_free(kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(health_of_a_store_that_is_well),
        cmocka_unit_test(health_tells_of_background_errors),
        cmocka_unit_test(health_tells_of_a_failed_log),
        cmocka_unit_test(health_tells_of_a_full_disk),
        cmocka_unit_test(health_tells_of_damage),
        cmocka_unit_test(health_news_come_in_pairs_and_are_bounded),
        cmocka_unit_test(health_tells_of_a_slow_store),
        cmocka_unit_test(health_of_a_store_opened_read_only),
        cmocka_unit_test(health_of_a_store_that_closes),
    };

    return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
