/* test_pause.c - background work stands still between gyre_pause and gyre_resume, and nothing waits
 * for what does not come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/base/bits.h"
#include "tests/support/space_kit.h"

static struct gyre_stats
stats_of(struct space_kit *kit)
{
    struct gyre_stats stats = {.struct_size = sizeof(stats)};

    assert_int_equal(gyre_stats(kit->db, &stats), GYRE_OK);
    return stats;
}

/* Goal:   while paused nothing is flushed or compacted; writes go on until memtables are full, then
 *         AGAIN at once, also for those that would wait; after the resume all goes on. */
static void
pause_stops_flush_and_ends_in_again(void **state)
{
    struct space_kit *kit = space_kit_make(1);
    gyre_status status = GYRE_OK;
    uint32_t count;
    (void)state;

    space_kit_open(kit);
    assert_int_equal(gyre_resume(kit->db), GYRE_INVALID);
    assert_int_equal(gyre_pause(kit->db), GYRE_OK);
    assert_int_equal(gyre_pause(kit->db), GYRE_OK);
    count = space_kit_fill(kit, 0, 20000, &status);
    assert_int_equal(status, GYRE_AGAIN);
    assert_int_equal(gyre_last_error(kit->loop)->cause, GYRE_WAIT_PAUSED);
    assert_in_range(count, 100, 1000);
    space_kit_sleep(kit, 2000);
    assert_int_equal(stats_of(kit).flush_count, 0);
    assert_int_equal(space_kit_health(kit).state, GYRE_HEALTH_PAUSED);
    assert_int_equal(space_kit_health(kit).pause_count, 2);
    assert_string_equal(space_kit_health(kit).remedy, "call gyre_resume");
    assert_int_equal(gyre_flush(kit->db), GYRE_BUSY);
    assert_int_equal(gyre_wait_idle(kit->db), GYRE_BUSY);
    assert_int_equal(
        gyre_compact_range(kit->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL),
        GYRE_BUSY);
    assert_int_equal(gyre_checkpoint(kit->db, "/copy"), GYRE_BUSY);
    space_kit_check(kit);
    assert_int_equal(gyre_resume(kit->db), GYRE_OK);
    assert_int_equal(space_kit_put(kit, 0), GYRE_AGAIN); /* nested: still paused */
    assert_int_equal(gyre_resume(kit->db), GYRE_OK);
    assert_int_equal(space_kit_fill(kit, count, 2000, &status), 2000);
    assert_int_equal(gyre_wait_idle(kit->db), GYRE_OK);
    assert_true(stats_of(kit).flush_count > 0);
    space_kit_check(kit);
    space_kit_free(kit);
}

/* Goal:   a paused store closes, with what its memtables hold, with a log and without one. */
static void
pause_does_not_keep_a_store_from_closing(void **state)
{
    static const enum gyre_durability durabilities[] = {GYRE_BUFFERED, GYRE_NOWAL};
    (void)state;

    for (uint32_t i = 0; i < 2; i++) {
        struct space_kit *kit = space_kit_make(2 + i);
        gyre_status status = GYRE_OK;

        kit->options.durability = durabilities[i];
        space_kit_open(kit);
        assert_int_equal(gyre_pause(kit->db), GYRE_OK);
        (void)space_kit_fill(kit, 0, 20000, &status);
        assert_int_equal(status, GYRE_AGAIN);
        space_kit_close(kit);
        space_kit_open(kit);
        space_kit_check(kit);
        space_kit_free(kit);
    }
}

struct range {
    struct space_kit *kit;
    gyre_status status;
};

static void
range_main(void *arg)
{
    struct range *range = arg;

    range->status =
        gyre_compact_range(range->kit->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL);
}

/* Goal:   a compaction in progress writes nothing more while paused, and goes on after the resume;
 *         a gyre_compact_range in progress is answered BUSY, and is not waited for until then. */
static void
pause_holds_a_compaction_in_the_middle(void **state)
{
    uint32_t busy_count = 0;
    (void)state;
    for (uint32_t round = 0; round < 20; round++) {
        struct space_kit *kit = space_kit_make(10 + round);
        struct range range = {.kit = kit, .status = GYRE_OK};
        gyre_status status = GYRE_OK;
        struct gyre_loop_stats before = {.struct_size = sizeof(before)};
        struct gyre_loop_stats after = {.struct_size = sizeof(after)};

        space_kit_open(kit);
        (void)space_kit_fill(kit, 0, 1500, &status);
        if (round % 2 == 0) {
            assert_int_equal(gyre_wait_idle(kit->db), GYRE_OK);
        } /* else the compactor is at work, too */
        assert_int_equal(gyre_spawn(kit->loop, range_main, &range, NULL), GYRE_OK);
        assert_int_equal(gyre_sleep(kit->loop, (1 + round) * GY_NS_PER_MS), GYRE_OK);
        assert_int_equal(gyre_pause(kit->db), GYRE_OK);
        assert_int_equal(gyre_run(kit->loop), GYRE_OK); /* until the call has ended */
        assert_true(range.status == GYRE_OK || range.status == GYRE_BUSY);
        busy_count += range.status == GYRE_BUSY;
        assert_int_equal(gyre_sleep(kit->loop, 200 * GY_NS_PER_MS), GYRE_OK);
        assert_int_equal(gyre_loop_stats(kit->loop, &before), GYRE_OK);
        assert_int_equal(gyre_sleep(kit->loop, GY_NS_PER_S), GYRE_OK);
        assert_int_equal(gyre_loop_stats(kit->loop, &after), GYRE_OK);
        assert_int_equal(after.bytes_written, before.bytes_written);
        assert_int_equal(gyre_resume(kit->db), GYRE_OK);
        assert_int_equal(gyre_wait_idle(kit->db), GYRE_OK);
        assert_int_equal(gyre_verify(kit->db, NULL, NULL, NULL, NULL), GYRE_OK);
        space_kit_check(kit);
        space_kit_free(kit);
    }
    assert_true(busy_count > 0);
}

/* Goal:   a store whose job stands still does not keep another store of the loop from its own. */
static void
pause_gives_way_to_another_store(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 10; round++) {
        struct space_kit *kit = space_kit_make(40 + round);
        struct gyre_options options;
        gyre_status status = GYRE_OK;
        gyre_db *other;

        space_kit_open(kit);
        options = kit->options;
        options.on_event = NULL;
        assert_int_equal(gyre_open(kit->loop, "/other", &options, &other), GYRE_OK);
        (void)space_kit_fill(kit, 0, 300 + 40 * round, &status);
        assert_int_equal(gyre_pause(kit->db), GYRE_OK); /* with flush or compaction in progress */
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(gyre_put(other, NULL, gyre_str("a"), gyre_str("b")), GYRE_OK);
            assert_int_equal(gyre_flush(other), GYRE_OK);
            assert_int_equal(
                gyre_compact_range(other, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL),
                GYRE_OK);
        }
        assert_int_equal(gyre_resume(kit->db), GYRE_OK);
        assert_int_equal(gyre_wait_idle(kit->db), GYRE_OK);
        assert_int_equal(gyre_close(other), GYRE_OK);
        space_kit_check(kit);
        space_kit_free(kit);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pause_stops_flush_and_ends_in_again),
        cmocka_unit_test(pause_does_not_keep_a_store_from_closing),
        cmocka_unit_test(pause_holds_a_compaction_in_the_middle),
        cmocka_unit_test(pause_gives_way_to_another_store),
    };

    return cmocka_run_group_tests_name("pause", tests, NULL, NULL);
}
