/* engine_main.c - the whole engine on the blocking and on the simulated world: a plain program
 * without a test library, cross-compiled and run under an emulator by run.sh.
 *
 *     engine_main DIR      DIR is an empty folder on a real file system
 *
 * Method: WRITERS coroutines put, overwrite and delete keys of their own, durably and buffered, so
 * much that memtables are flushed and compacted; the store is closed and opened again, every key is
 * looked up and iterated over, and every block is checked. Exit code 0: all held.
 */
#include <inttypes.h>
#include <string.h>

#include "engine/db/db.h"
#include "gyre/gyre.h"
#include "io/base/bits.h"
#include "io/sim/world_sim.h"
#include "tests/aarch64/check.h"

#define WRITERS 50u
#define KEYS_EACH 60u
#define VALUE_MAX 1500u
#define SEED 7u

struct writer {
    gyre_db *db;
    uint32_t number;
};

static struct writer writers[WRITERS];
static uint32_t writers_done;

static void
make_pair(uint32_t number, uint32_t i, uint32_t version, char key[32], uint8_t *value, size_t *size)
{
    const uint64_t mix = gy_mix64(((uint64_t)number << 32) + i * 8 + version);

    (void)snprintf(key, 32, "key:%03u:%05u", i, number);
    *size = mix % VALUE_MAX;
    for (size_t j = 0; j < *size; j++) {
        value[j] = (uint8_t)(mix >> (j % 8 * 8));
    }
}

static bool
is_deleted(uint32_t number, uint32_t i)
{
    return (number + i) % 7 == 0;
}

static void
co_writer(void *arg)
{
    const struct writer *me = arg;
    uint8_t value[VALUE_MAX];
    char key[32];
    size_t size;

    for (uint32_t i = 0; i < KEYS_EACH; i++) {
        for (uint32_t version = 0; version < 2; version++) {
            const uint32_t how = (me->number + i) % 4 == 0 ? GYRE_DURABLE : GYRE_BUFFERED;

            make_pair(me->number, i, version, key, value, &size);
            CHECK(gyre_put(me->db, GYRE_WRITE_OPTIONS(.durability = how), gyre_str(key),
                           (struct gyre_slice){value, size}) == GYRE_OK);
        }
        if (is_deleted(me->number, i)) {
            CHECK(gyre_delete(me->db, NULL, gyre_str(key)) == GYRE_OK);
        }
    }
    writers_done++;
}

static gyre_db *
open_store(gyre_loop *loop, const char *path)
{
    gyre_db *db = NULL;
    const gyre_status status =
        gyre_open(loop, path,
                  GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE, .memtable_size = 256 * GY_KIB,
                               .table_size = 128 * GY_KIB, .level_ratio = 2, .level0_tables = 2),
                  &db);

    if (status != GYRE_OK) {
        fprintf(stderr, "%s\n", gyre_last_error(loop)->text);
    }
    CHECK(status == GYRE_OK);
    return db;
}

static void
write_all(gyre_loop *loop, gyre_db *db)
{
    writers_done = 0;
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.db = db, .number = i};
        CHECK(gyre_spawn(loop, co_writer, &writers[i], NULL) == GYRE_OK);
    }
    CHECK(gyre_run(loop) == GYRE_OK);
    CHECK(writers_done == WRITERS);
}

static uint32_t
check_keys(gyre_db *db)
{
    uint8_t expected[VALUE_MAX];
    struct gyre_value value;
    uint32_t found = 0;
    char key[32];
    size_t size;

    for (uint32_t number = 0; number < WRITERS; number++) {
        for (uint32_t i = 0; i < KEYS_EACH; i++) {
            gyre_status status;

            make_pair(number, i, 1, key, expected, &size);
            status = gyre_get(db, NULL, gyre_str(key), &value);
            CHECK(status == (is_deleted(number, i) ? GYRE_NOT_FOUND : GYRE_OK));
            if (status == GYRE_OK) {
                CHECK(value.size == size && memcmp(value.data, expected, size) == 0);
                gyre_value_release(&value);
                found++;
            }
        }
    }
    return found;
}

static uint32_t
count_by_iterator(gyre_db *db)
{
    gyre_iterator *it;
    gyre_status status;
    char last[32] = "";
    uint32_t count = 0;

    CHECK(gyre_iterator_open(db, NULL, &it) == GYRE_OK);
    for (status = gyre_iterator_first(it); status == GYRE_OK; status = gyre_iterator_next(it)) {
        const struct gyre_slice key = gyre_iterator_key(it);

        CHECK(key.size < sizeof(last) && (count == 0 || memcmp(last, key.data, key.size) < 0));
        memcpy(last, key.data, key.size);
        count++;
    }
    CHECK(status == GYRE_NOT_FOUND); /* the end */
    gyre_iterator_close(it);
    return count;
}

/* Closes the loop. */
static void
play(gyre_loop *loop, const char *path)
{
    gyre_db *db = open_store(loop, path);
    struct gyre_stats stats = {.struct_size = sizeof(stats)};
    struct gyre_verify_result verified;
    uint32_t found;

    write_all(loop, db);
    CHECK(gyre_stats(db, &stats) == GYRE_OK && stats.flush_count > 2);
    CHECK(gyre_close(db) == GYRE_OK);

    db = open_store(loop, path);
    found = check_keys(db);
    CHECK(count_by_iterator(db) == found);
    CHECK(gyre_compact_range(db, (struct gyre_slice){0}, (struct gyre_slice){0}, NULL, NULL) ==
          GYRE_OK);
    CHECK(check_keys(db) == found && count_by_iterator(db) == found);
    CHECK(gyre_verify(db, NULL, NULL, NULL, &verified) == GYRE_OK);
    CHECK(verified.entry_count == found && verified.damage_count == 0);
    CHECK(gyre_close(db) == GYRE_OK);
    CHECK(gyre_destroy(loop, path) == GYRE_OK);
    CHECK(gyre_loop_close(loop) == GYRE_OK);
}

static uint64_t
play_simulated(uint64_t seed)
{
    struct gy_world_sim_config config;
    struct gy_heap heap;
    struct gy_sim_disk *disk;
    struct gy_world *world;
    gyre_loop *loop;
    gyre_db *db;
    uint64_t disk_hash;

    gy_heap_init(&heap, UINT64_MAX);
    disk = gy_sim_disk_make(NULL, &heap);
    gy_world_sim_config_init(&config, seed);
    CHECK(disk != NULL && gy_world_sim_open(&config, disk, &world) == GYRE_OK);
    CHECK(gy_loop_open_on(GYRE_LOOP_OPTIONS(.memory_limit = 16 * GY_MIB, .cache_size = GY_MIB),
                          world, &loop, NULL) == GYRE_OK);
    db = open_store(loop, "/store");
    write_all(loop, db);
    CHECK(gyre_wait_idle(db) == GYRE_OK);
    CHECK(gyre_close(db) == GYRE_OK);
    CHECK(gy_world_sim_violation_count(world) == 0);
    disk_hash = gy_sim_disk_hash(disk) ^ gy_world_sim_trace_hash(world);
    play(loop, "/other");
    gy_sim_disk_free(disk);
    CHECK(heap.used == 0);
    return disk_hash;
}

int
main(int argc, char **argv)
{
    gyre_loop *loop;
    uint64_t trace;

    CHECK(argc == 2);
    CHECK(gyre_loop_open(GYRE_LOOP_OPTIONS(.memory_limit = 32 * GY_MIB), &loop, NULL) == GYRE_OK);
    play(loop, argv[1]);
    printf("engine, blocking world: %u keys written, reopened, read, compacted, verified\n",
           WRITERS * KEYS_EACH);
    trace = play_simulated(SEED);
    CHECK(play_simulated(SEED) == trace);
    CHECK(play_simulated(SEED + 1) != trace);
    printf("engine, simulated world: the same, and two runs of a seed are the same\n");
    printf("trace %016" PRIx64 "\n", trace);
    return 0;
}
