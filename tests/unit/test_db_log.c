/* test_db_log.c - the log of a store, seen on a simulated machine: how it is laid out, in which
 * order it answers, and how large it gets. What survives crashes is tested in tests/sim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/db/db.h"
#include "gyre/gyre.h"
#include "io/base/bits.h"
#include "io/sim/world_sim.h"

#define SLOT_SIZE (256u * GY_KIB)
#define SLOT_COUNT 4u
#define WRITERS 100u
#define PUTS_EACH 20u
#define VALUE_SIZE 1000u /* so that the writers of one moment fill several groups */

struct rig {
    struct gy_heap heap;
    struct gy_sim_disk *disk;
    struct gy_world *world;
    gyre_loop *loop;
    gyre_db *db;
    uint32_t slots_seen;
    uint64_t slot_bytes;
    uint32_t started; /* writers in the order of their puts */
    uint32_t answered;
    uint32_t out_of_order;
    uint32_t in_flight_max;
    uint32_t early; /* events at which something was answered that was not durable */
};

static void
look(void *arg, uint64_t event)
{
    struct rig *rig = arg;
    const struct gy_wal *wal;
    (void)event;

    if (rig->db == NULL) {
        return;
    }
    wal = &rig->db->wal;
    rig->in_flight_max = (uint32_t)gy_max_u64(rig->in_flight_max, wal->in_flight);
    rig->early += wal->answered > wal->durable_sequence;
}

static void
rig_open(struct rig *rig, uint64_t seed, uint64_t memtable_size, uint64_t slot_size)
{
    struct gy_world_sim_config config;

    gy_heap_init(&rig->heap, UINT64_MAX);
    rig->disk = gy_sim_disk_make(NULL, &rig->heap);
    gy_world_sim_config_init(&config, seed);
    config.on_reap = look;
    config.arg = rig;
    assert_int_equal(gy_world_sim_open(&config, rig->disk, &rig->world), GYRE_OK);
    assert_int_equal(
        gy_loop_open_on(GYRE_LOOP_OPTIONS(.memory_limit = 256 * GY_MIB, .cache_size = GY_MIB),
                        rig->world, &rig->loop, NULL),
        GYRE_OK);
    assert_int_equal(
        gyre_open(rig->loop, "/s",
                  GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE, .memtable_size = memtable_size,
                               .wal_buffer_size = GY_MIB, .wal_slot_size = slot_size,
                               .wal_total_max = SLOT_COUNT * slot_size),
                  &rig->db),
        GYRE_OK);
}

static void
rig_close(struct rig *rig)
{
    gyre_db *db = rig->db;

    rig->db = NULL;
    assert_int_equal(gyre_close(db), GYRE_OK);
    assert_int_equal(gy_world_sim_violation_count(rig->world), 0);
    assert_int_equal(gyre_loop_close(rig->loop), GYRE_OK);
    gy_sim_disk_free(rig->disk);
    assert_int_equal(rig->heap.used, 0);
}

static bool
is_ready(const struct gy_wal *wal, uint32_t slot)
{
    for (uint32_t i = 0; i < wal->log_count; i++) {
        if (wal->logs[i].slot == slot) {
            return true;
        }
    }
    return wal->slot_ready[slot]; /* else it is being made */
}

/* Whole, durable in data, size and name, and nothing but zeros behind the frames. */
static void
check_slot(void *arg, const char *name, bool is_regular)
{
    struct rig *rig = arg;
    static uint8_t bytes[SLOT_SIZE];
    char path[64];
    unsigned slot;
    size_t used = 0;

    if (!is_regular || sscanf(name, "wal-%u.log", &slot) != 1 || !is_ready(&rig->db->wal, slot)) {
        return;
    }
    (void)snprintf(path, sizeof(path), "/s/%s", name);
    rig->slots_seen++;
    assert_int_equal(gy_sim_disk_file_size(rig->disk, path), SLOT_SIZE);
    assert_int_equal(gy_sim_disk_peek(rig->disk, path, 0, bytes, SLOT_SIZE), SLOT_SIZE);
    for (size_t i = 0; i < SLOT_SIZE - 2 * GY_PAGE; i++) { /* the slot's own mark is behind */
        used = bytes[i] != 0 ? i + 1 : used;
    }
    assert_true(used < SLOT_SIZE / 4);
    used = gy_align_up(used, GY_PAGE);
    assert_true(gy_sim_disk_is_durable(rig->disk, path, used, SLOT_SIZE - used));
}

/* Goal:   a log slot has its full size, written with zeros and durable, before the first commit
 *         goes into it, so that a commit changes no metadata of the file. */
static void
db_log_slots_are_filled_with_zeros_before_use(void **state)
{
    struct rig rig = {.db = NULL};
    (void)state;

    rig_open(&rig, 1, 128 * GY_KIB, SLOT_SIZE);
    assert_int_equal(gyre_put(rig.db, NULL, gyre_str("k"), gyre_str("v")), GYRE_OK);
    assert_true(gy_sim_disk_list(rig.disk, "/s", check_slot, &rig) > 0);
    assert_true(rig.slots_seen >= 1);
    rig_close(&rig);
}

static void
co_writer(void *arg)
{
    static const uint8_t value[VALUE_SIZE];
    struct rig *rig = arg;
    char key[32];

    for (uint32_t i = 0; i < PUTS_EACH; i++) {
        const uint32_t turn = rig->started++;

        (void)snprintf(key, sizeof(key), "key%08u", turn);
        assert_int_equal(gyre_put(rig->db, NULL, gyre_str(key), gyre_slice(value, sizeof(value))),
                         GYRE_OK);
        rig->out_of_order += turn != rig->answered;
        rig->answered++;
    }
}

/* Goal:   durable commits are answered in the order of the log although several groups are in
 *         flight and finish in any order, never before they are durable.
 * Method: seeds give latencies with long tails; coroutines put in a known order, that of the log
 *         (no memtable gets full, so nobody waits before), and count themselves when answered. */
static void
db_log_answers_in_its_order_with_groups_in_flight(void **state)
{
    uint32_t in_flight_max = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct rig rig = {.db = NULL};
        struct gyre_stats stats = {.struct_size = sizeof(stats)};

        rig_open(&rig, seed, 4 * GY_MIB, 4 * GY_MIB);
        for (uint32_t i = 0; i < WRITERS; i++) {
            assert_int_equal(gyre_spawn(rig.loop, co_writer, &rig, NULL), GYRE_OK);
        }
        assert_int_equal(gyre_run(rig.loop), GYRE_OK);
        assert_int_equal(rig.answered, WRITERS * PUTS_EACH);
        assert_int_equal(rig.out_of_order, 0);
        assert_int_equal(rig.early, 0);
        assert_int_equal(gyre_stats(rig.db, &stats), GYRE_OK);
        assert_true(stats.wal_groups < WRITERS * PUTS_EACH / 2); /* groups are shared */
        assert_true(rig.in_flight_max <= GY_WAL_IN_FLIGHT_MAX);
        in_flight_max = (uint32_t)gy_max_u64(in_flight_max, rig.in_flight_max);
        rig_close(&rig);
    }
    assert_true(in_flight_max > 1);
}

static void
add_slot(void *arg, const char *name, bool is_regular)
{
    struct rig *rig = arg;
    char path[64];

    if (is_regular && strncmp(name, "wal-", 4) == 0) {
        (void)snprintf(path, sizeof(path), "/s/%s", name);
        rig->slots_seen++;
        rig->slot_bytes += (uint64_t)gy_sim_disk_file_size(rig->disk, path);
    }
}

/* Goal:   however much is written, the logs never take more than wal_total_max, in the directory
 *         and in the statistics. */
static void
db_log_stays_below_its_bound(void **state)
{
    struct rig rig = {.db = NULL};
    struct gyre_stats stats = {.struct_size = sizeof(stats)};
    uint8_t value[4096];
    char key[32];
    (void)state;

    rig_open(&rig, 3, 128 * GY_KIB, SLOT_SIZE);
    memset(value, 7, sizeof(value));
    for (uint32_t i = 0; i < 10 * SLOT_COUNT * SLOT_SIZE / sizeof(value); i++) {
        (void)snprintf(key, sizeof(key), "key%u", i % 50);
        assert_int_equal(gyre_put(rig.db, GYRE_WRITE_OPTIONS(.durability = GYRE_BUFFERED),
                                  gyre_str(key), gyre_slice(value, sizeof(value))),
                         GYRE_OK);
        if (i % 16 == 0) {
            rig.slots_seen = 0;
            rig.slot_bytes = 0;
            assert_true(gy_sim_disk_list(rig.disk, "/s", add_slot, &rig) > 0);
            assert_in_range(rig.slots_seen, 1, SLOT_COUNT);
            assert_true(rig.slot_bytes <= SLOT_COUNT * SLOT_SIZE);
            assert_int_equal(gyre_stats(rig.db, &stats), GYRE_OK);
            assert_true(stats.wal_live_bytes <= SLOT_COUNT * SLOT_SIZE);
        }
    }
    assert_true(stats.wal_switches >= 2 * SLOT_COUNT); /* slots were used again */
    rig_close(&rig);
}

/* Goal:   a sync that fails while the next log slot is being made is a failed sync of the log like
 *         any other: from the first IO on nothing is acknowledged, whatever would work again, and
 *         reads go on. */
static void
db_log_stops_when_a_slot_cannot_be_synced(void **state)
{
    const struct gy_sim_faults faults = {.rule_count = 1,
                                         .rules = {{.fault = GY_SIM_FAULT_ERROR,
                                                    .op_mask = 1u << GY_OP_SYNC,
                                                    .klass_mask = 1u << GY_IO_FLUSH,
                                                    .name = "wal-",
                                                    .nth = 1}}};
    struct rig rig = {.db = NULL};
    struct gyre_value got;
    uint8_t value[4096] = {7};
    uint32_t refused = 0;
    gyre_db *db;
    (void)state;

    rig_open(&rig, 5, 4 * GY_MIB, SLOT_SIZE);
    assert_int_equal(gyre_put(rig.db, NULL, gyre_str("first"), gyre_str("v")), GYRE_OK);
    gy_world_sim_set_faults(rig.world, &faults);
    for (uint32_t i = 0; i < 2000; i++) {
        const gyre_status status =
            gyre_put(rig.db, NULL, gyre_str("key"), gyre_slice(value, sizeof(value)));

        if (status == GYRE_OK) {
            assert_int_equal(refused, 0);
        } else {
            assert_true(status == GYRE_READ_ONLY || (status == GYRE_IO && refused == 0));
            refused++;
        }
    }
    assert_int_equal(gy_world_sim_strike_count(rig.world, 0), 1);
    assert_true(refused > 0);
    assert_int_equal(gyre_get(rig.db, NULL, gyre_str("first"), &got), GYRE_OK);
    gyre_value_release(&got);
    db = rig.db;
    rig.db = NULL;
    assert_int_equal(gyre_close(db), GYRE_IO);
    assert_int_equal(gyre_loop_close(rig.loop), GYRE_OK);
    gy_sim_disk_free(rig.disk);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(db_log_slots_are_filled_with_zeros_before_use),
        cmocka_unit_test(db_log_answers_in_its_order_with_groups_in_flight),
        cmocka_unit_test(db_log_stays_below_its_bound),
        cmocka_unit_test(db_log_stops_when_a_slot_cannot_be_synced),
    };

    return cmocka_run_group_tests_name("db_log", tests, NULL, NULL);
}
