/* space_kit.c - see space_kit.h. */
#include "tests/support/space_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/base/bits.h"

#define VALUE_MAX 8192u

static void
take_news(void *arg, const struct gyre_event *event)
{
    struct space_kit *kit = arg;

    assert_int_equal(event->struct_size, sizeof(*event));
    if (kit->news_count < SPACE_NEWS_MAX) {
        kit->news[kit->news_count] = event->kind;
        kit->news_ns[kit->news_count++] = event->time_ns;
    }
    if (event->error != NULL) {
        kit->news_error = *event->error;
    }
    kit->called_back_wrongly |=
        gyre_put(event->db, NULL, gyre_str("x"), gyre_str("x")) != GYRE_MISUSE;
}

static void
open_loop(struct space_kit *kit, uint64_t seed)
{
    struct gy_world_sim_config config;

    gy_world_sim_config_init(&config, seed);
    assert_int_equal(gy_world_sim_open(&config, kit->disk, &kit->world), GYRE_OK);
    assert_int_equal(
        gy_loop_open_on(GYRE_LOOP_OPTIONS(.memory_limit = 64 * GY_MIB, .cache_size = GY_MIB),
                        kit->world, &kit->loop, NULL),
        GYRE_OK);
}

struct space_kit *
space_kit_make(uint64_t seed)
{
    struct space_kit *kit = calloc(1, sizeof(*kit));

    assert_non_null(kit);
    gy_heap_init(&kit->heap, UINT64_MAX);
    kit->disk = gy_sim_disk_make(NULL, &kit->heap);
    kit->value_size = 700;
    kit->version_next = 1;
    kit->options = (struct gyre_options){.struct_size = sizeof(kit->options),
                                         .flags = GYRE_OPEN_CREATE,
                                         .memtable_size = 64 * GY_KIB,
                                         .table_size = 64 * GY_KIB,
                                         .wal_slot_size = 128 * GY_KIB,
                                         .wal_total_max = 512 * GY_KIB,
                                         .wal_buffer_size = 256 * GY_KIB,
                                         .level0_tables = 2,
                                         .level_ratio = 3,
                                         .durability = GYRE_BUFFERED,
                                         .compression = GYRE_COMPRESSION_NONE,
                                         .on_event = take_news,
                                         .event_arg = kit};
    open_loop(kit, seed);
    return kit;
}

void
space_kit_open(struct space_kit *kit)
{
    assert_int_equal(gyre_open(kit->loop, "/s", &kit->options, &kit->db), GYRE_OK);
}

void
space_kit_close(struct space_kit *kit)
{
    assert_int_equal(gyre_close(kit->db), GYRE_OK);
    kit->db = NULL;
}

void
space_kit_kill(struct space_kit *kit, uint64_t seed)
{
    struct gy_sim_disk *disk;
    struct gy_rng rng;

    gy_rng_init(&rng, seed);
    disk = gy_sim_disk_crash(kit->disk, &rng, GY_SIM_CRASH_KILL);
    gy_world_sim_stop(kit->world, GY_SIM_STOP_FAIL);
    (void)gyre_close(kit->db);
    assert_int_equal(gyre_loop_close(kit->loop), GYRE_OK);
    gy_sim_disk_free(kit->disk);
    kit->disk = disk;
    open_loop(kit, seed);
    space_kit_open(kit);
}

void
space_kit_free(struct space_kit *kit)
{
    if (kit->db != NULL) {
        space_kit_close(kit);
    }
    assert_int_equal(gy_world_sim_violation_count(kit->world), 0);
    assert_int_equal(gyre_loop_close(kit->loop), GYRE_OK);
    gy_sim_disk_free(kit->disk);
    assert_int_equal(kit->heap.used, 0);
    assert_false(kit->called_back_wrongly);
    free(kit);
}

static struct gyre_slice
key_of(uint32_t key)
{
    static char text[32];

    (void)snprintf(text, sizeof(text), "key%06u", key);
    return gyre_str(text);
}

static void
note_used(struct space_kit *kit)
{
    kit->used_max = gy_max_u64(kit->used_max, gy_sim_disk_used_bytes(kit->disk));
}

gyre_status
space_kit_put(struct space_kit *kit, uint32_t key)
{
    static uint8_t value[VALUE_MAX];
    gyre_status status;

    memset(value, (int)key, sizeof(value));
    memcpy(value, &kit->version_next, sizeof(kit->version_next));
    status = gyre_put(kit->db, NULL, key_of(key), gyre_slice(value, kit->value_size));
    if (status == GYRE_OK) {
        kit->version[key] = kit->version_next++;
    }
    note_used(kit);
    return status;
}

gyre_status
space_kit_delete(struct space_kit *kit, uint32_t key)
{
    const gyre_status status = gyre_delete(kit->db, NULL, key_of(key));

    if (status == GYRE_OK) {
        kit->version[key] = 0;
    }
    note_used(kit);
    return status;
}

uint32_t
space_kit_fill(struct space_kit *kit, uint32_t first, uint32_t max, gyre_status *ret_status)
{
    for (uint32_t i = 0; i < max; i++) {
        *ret_status = space_kit_put(kit, (first + i) % SPACE_KEYS);
        if (*ret_status != GYRE_OK) {
            return i;
        }
    }
    return max;
}

void
space_kit_sleep(struct space_kit *kit, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 10) {
        assert_int_equal(gyre_sleep(kit->loop, 10u * 1000u * 1000u), GYRE_OK);
        note_used(kit);
    }
}

void
space_kit_check(struct space_kit *kit)
{
    for (uint32_t key = 0; key < SPACE_KEYS; key++) {
        struct gyre_value value;
        const gyre_status status = gyre_get(kit->db, NULL, key_of(key), &value);

        assert_int_equal(status, kit->version[key] == 0 ? GYRE_NOT_FOUND : GYRE_OK);
        if (status == GYRE_OK) {
            uint32_t version;

            memcpy(&version, value.data, sizeof(version));
            assert_int_equal(version, kit->version[key]);
            gyre_value_release(&value);
        }
    }
}

uint32_t
space_kit_told(const struct space_kit *kit, uint32_t kind)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < kit->news_count; i++) {
        count += kit->news[i] == kind;
    }
    return count;
}

struct gyre_health
space_kit_health(struct space_kit *kit)
{
    struct gyre_health health = {.struct_size = sizeof(health)};

    assert_int_equal(gyre_health(kit->db, &health), GYRE_OK);
    return health;
}
