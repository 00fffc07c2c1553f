/* test_recover.c - what opening a store makes of manifests, logs and staging memory that do not fit
 * together, and of memory that runs out on the way; on a simulated disk. With real files and real
 * processes: test_db_recover.c; edits that make no sense: tests/sim/sim_bad_manifest.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/codec/frame.h"
#include "engine/db/db.h"
#include "engine/disk/names.h"
#include "gyre/gyre.h"
#include "io/base/bits.h"
#include "io/sim/world_sim.h"

#define LARGE_SIZE (3u << 19) /* a commit of more than one frame */
#define PATH_MAX_HERE 64u

struct rig {
    struct gy_heap heap;
    struct gy_sim_disk *disk;
    struct gy_world *world;
    gyre_loop *loop;
    gyre_db *db;
    uint64_t slot_size; /* 0 = 4 MiB */
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

static void
close_loop(struct rig *rig)
{
    assert_int_equal(gy_world_sim_violation_count(rig->world), 0);
    assert_int_equal(gyre_loop_close(rig->loop), GYRE_OK);
}

static gyre_status
open_store(struct rig *rig, uint32_t flags)
{
    rig->db = NULL;
    return gyre_open(
        rig->loop, "/s",
        GYRE_OPTIONS(.flags = flags, .memtable_size = 4 * GY_MIB,
                     .wal_slot_size = rig->slot_size != 0 ? rig->slot_size : 4 * GY_MIB),
        &rig->db);
}

static void
begin(struct rig *rig)
{
    *rig = (struct rig){.db = NULL};
    gy_heap_init(&rig->heap, UINT64_MAX);
    rig->disk = gy_sim_disk_make(NULL, &rig->heap);
    open_loop(rig, 1);
    assert_int_equal(open_store(rig, GYRE_OPEN_CREATE), GYRE_OK);
}

static void
end(struct rig *rig)
{
    close_loop(rig);
    gy_sim_disk_free(rig->disk);
    assert_int_equal(rig->heap.used, 0);
}

static void
put(struct rig *rig, const char *key, enum gyre_durability durability)
{
    assert_int_equal(gyre_put(rig->db, GYRE_WRITE_OPTIONS(.durability = durability), gyre_str(key),
                              gyre_str("value")),
                     GYRE_OK);
}

/* The process dies. What it leaves is rig->disk; no loop is open. */
static void
kill_process(struct rig *rig)
{
    struct gy_sim_disk *disk;
    struct gy_rng rng;

    gy_rng_init(&rng, 1);
    disk = gy_sim_disk_crash(rig->disk, &rng, GY_SIM_CRASH_KILL);
    gy_world_sim_stop(rig->world, GY_SIM_STOP_FAIL);
    (void)gyre_close(rig->db);
    assert_int_equal(gyre_loop_close(rig->loop), GYRE_OK);
    gy_sim_disk_free(rig->disk);
    rig->disk = disk;
}

/* ---- Bytes of the manifest ---- */

/* What the store's manifest is and where its next frame would come. */
struct manifest {
    char path[PATH_MAX_HERE];
    uint64_t store_id;
    uint64_t number;
    uint64_t end;
};

static void
note_manifest(const struct rig *rig, struct manifest *manifest)
{
    char name[GY_NAME_MAX];

    manifest->store_id = rig->db->store_id;
    manifest->number = rig->db->manifest.number;
    manifest->end = rig->db->manifest.end;
    gy_name_manifest(name, manifest->number);
    (void)snprintf(manifest->path, sizeof(manifest->path), "/s/%s", name);
}

/* One more edit, sealed as the store itself would. */
static void
append_edit(struct rig *rig, const struct manifest *manifest, const struct gy_edit *edit)
{
    static uint8_t page[GY_PAGE];
    struct gy_writer writer = {.data = page + GY_FRAME_HEADER_SIZE,
                               .capacity = sizeof(page) - GY_FRAME_HEADER_SIZE};
    const struct gy_frame_place place = {
        .store_id = manifest->store_id, .file_number = manifest->number, .offset = manifest->end};
    struct gy_frame frame = {.kind = GY_FRAME_EDITS,
                             .record_count = 1,
                             .sequence_first = 1,
                             .durable_offset = manifest->end,
                             .file_number = manifest->number};

    gy_edit_encode(&writer, edit);
    assert_false(writer.failed);
    frame.payload_size = (uint32_t)writer.used;
    gy_frame_seal(page, &frame, &place);
    assert_true(gy_sim_disk_poke(rig->disk, manifest->path, manifest->end, page, sizeof(page)) > 0);
}

/* Both ways of opening refuse the store in these words, naming the manifest. */
static void
check_refused(struct rig *rig, const struct manifest *manifest, const char *text)
{
    static const uint32_t flags[] = {GYRE_OPEN_READ_ONLY, 0, GYRE_OPEN_READ_ONLY};

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        assert_int_equal(open_store(rig, flags[i]), GYRE_CORRUPT);
        assert_string_equal(gyre_last_error(rig->loop)->file, strrchr(manifest->path, '/') + 1);
        if (strstr(gyre_last_error(rig->loop)->text, text) == NULL) {
            fail_msg("'%s' instead of '%s'", gyre_last_error(rig->loop)->text, text);
        }
    }
}

/* ---- Tests ---- */

/* Goal:   the last number that can be written is no number of a file: the next one could not be
 *         written any more. The manifest is refused, not only the file that it may have.
 * Method: a table and a log of that number, with files that are there. */
static void
recover_refuses_the_last_file_number(void **state)
{
    static const uint8_t page[GY_PAGE];
    struct gy_edit edit = {.kind = GY_EDIT_ADD_TABLE};
    struct manifest manifest;
    struct rig rig;
    char name[GY_NAME_MAX];
    char path[PATH_MAX_HERE];
    (void)state;

    begin(&rig);
    put(&rig, "a", GYRE_DURABLE);
    assert_int_equal(gyre_flush(rig.db), GYRE_OK);
    note_manifest(&rig, &manifest);
    assert_int_equal(gyre_close(rig.db), GYRE_OK);
    gy_name_table(name, GY_FILE_NUMBER_MAX);
    (void)snprintf(path, sizeof(path), "/s/%s", name);
    (void)gy_sim_disk_poke(rig.disk, path, 0, page, sizeof(page));
    edit.u.table = (struct gy_table_meta){.level = 3,
                                          .number = GY_FILE_NUMBER_MAX,
                                          .size = sizeof(page),
                                          .entry_count = 1,
                                          .sequence_min = 1,
                                          .sequence_max = 1,
                                          .smallest = gyre_str("a"),
                                          .largest = gyre_str("b")};
    append_edit(&rig, &manifest, &edit);
    check_refused(&rig, &manifest, "senseless entry for table 281474976710655");
    edit = (struct gy_edit){.kind = GY_EDIT_ADD_LOG};
    edit.u.log.number = GY_FILE_NUMBER_MAX;
    edit.u.log.slot = 9;
    append_edit(&rig, &manifest, &edit);
    check_refused(&rig, &manifest, "senseless entry for log 281474976710655");
    end(&rig);
}

/* Copy a file of one disk to another, over what is there. */
static void
put_back(const struct gy_sim_disk *from, struct gy_sim_disk *to, const char *path)
{
    static uint8_t bytes[GY_MIB];
    const int64_t size = gy_sim_disk_peek(from, path, 0, bytes, sizeof(bytes));

    assert_in_range(size, 1, sizeof(bytes) - 1);
    (void)gy_sim_disk_remove(to, path);
    assert_true(gy_sim_disk_poke(to, path, 0, bytes, (size_t)size) >= 0);
}

/* Goal:   an older manifest that comes back, whole and with its CURRENT, is seen: the log was
 *         closed when a newer one was in force (N4).
 * Method: flush until the manifest has rotated below one log, close, put the older one back. */
static void
recover_refuses_an_older_manifest(void **state)
{
    struct gy_sim_disk *older;
    struct manifest manifest;
    struct rig rig;
    uint64_t log;
    (void)state;

    begin(&rig);
    put(&rig, "a", GYRE_DURABLE);
    note_manifest(&rig, &manifest);
    older = gy_sim_disk_clone(rig.disk);
    log = rig.db->wal.logs[0].number;
    for (uint32_t i = 0; rig.db->manifest.number == manifest.number; i++) {
        assert_true(i < 1000);
        put(&rig, "b", GYRE_DURABLE);
        assert_int_equal(gyre_flush(rig.db), GYRE_OK);
    }
    put(&rig, "c", GYRE_DURABLE);
    assert_int_equal(rig.db->wal.log_count, 1);
    assert_int_equal(rig.db->wal.logs[0].number, log);
    assert_int_equal(gyre_close(rig.db), GYRE_OK);
    put_back(older, rig.disk, manifest.path);
    put_back(older, rig.disk, "/s/CURRENT");
    gy_sim_disk_free(older);
    check_refused(&rig, &manifest, "the end of the manifest is damaged");
    end(&rig);
}

static void
put_large(struct rig *rig)
{
    uint8_t *value = malloc(LARGE_SIZE / 2);
    gyre_batch *batch = gyre_batch_make();

    assert_true(value != NULL && batch != NULL);
    memset(value, 'v', LARGE_SIZE / 2);
    assert_int_equal(gyre_batch_put(batch, gyre_str("large1"), gyre_slice(value, LARGE_SIZE / 2)),
                     GYRE_OK);
    assert_int_equal(gyre_batch_put(batch, gyre_str("large2"), gyre_slice(value, LARGE_SIZE / 2)),
                     GYRE_OK);
    assert_int_equal(gyre_write(rig->db, GYRE_WRITE_OPTIONS(.durability = GYRE_BUFFERED), batch),
                     GYRE_OK);
    gyre_batch_free(batch);
    free(value);
}

static void
expect(struct rig *rig, const char *key, size_t size)
{
    struct gyre_value value;

    assert_int_equal(gyre_get(rig->db, NULL, gyre_str(key), &value), GYRE_OK);
    assert_int_equal(value.size, size);
    gyre_value_release(&value);
}

/* Goal:   an open that runs out of memory while it recovers, staging memory included, is told so,
 *         and loses nothing: the next one has it all.
 * Method: a process that is killed with commits in staging, a large one among them; the n-th
 *         allocation of the open fails, for every n. */
static void
recover_without_memory_loses_nothing(void **state)
{
    struct gy_sim_disk *left;
    struct rig rig;
    uint32_t failed = 0;
    bool was_reached = true;
    (void)state;

    begin(&rig);
    put(&rig, "durable", GYRE_DURABLE);
    put(&rig, "staged", GYRE_BUFFERED);
    put_large(&rig);
    put(&rig, "last", GYRE_BUFFERED);
    kill_process(&rig);
    left = rig.disk;
    for (uint64_t nth = 1; was_reached; nth++) {
        rig.disk = gy_sim_disk_clone(left);
        for (uint32_t again = 0; again < 2; again++) {
            gyre_status status;

            open_loop(&rig, 2);
            if (again == 0) {
                rig.loop->io.heap.fail_at = rig.loop->io.heap.allocation_count + nth;
            }
            status = open_store(&rig, 0);
            was_reached = again == 0
                              ? rig.loop->io.heap.allocation_count >= rig.loop->io.heap.fail_at
                              : was_reached;
            rig.loop->io.heap.fail_at = 0;
            if (status != GYRE_OK) {
                assert_int_equal(again, 0);
                assert_int_equal(status, GYRE_NO_MEMORY);
                failed++;
                close_loop(&rig);
                continue;
            }
            expect(&rig, "durable", 5);
            expect(&rig, "staged", 5);
            expect(&rig, "large1", LARGE_SIZE / 2);
            expect(&rig, "large2", LARGE_SIZE / 2);
            expect(&rig, "last", 5);
            assert_int_equal(gyre_close(rig.db), GYRE_OK);
            close_loop(&rig);
        }
        gy_sim_disk_free(rig.disk);
    }
    assert_in_range(failed, 30, 1000);
    gy_sim_disk_free(left);
    assert_int_equal(rig.heap.used, 0);
}

/* Goal:   commits that a killed process had in staging are kept when the next one opens with logs
 *         too small for them.
 * Method: a log that ends cleanly but for what is staged; a large commit in staging only; another
 *         slot size; killed again at once, by a power cut too. */
static void
recover_keeps_staged_commits_that_fit_no_log(void **state)
{
    static const enum gy_sim_crash modes[] = {GY_SIM_CRASH_KILL, GY_SIM_CRASH_NONE};
    (void)state;

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct gy_sim_disk *disk;
        struct gy_rng rng;
        struct rig rig;

        begin(&rig);
        put(&rig, "durable", GYRE_DURABLE);
        put_large(&rig);
        put(&rig, "last", GYRE_BUFFERED);
        kill_process(&rig);
        rig.slot_size = 256 * GY_KIB;
        open_loop(&rig, 3);
        assert_int_equal(open_store(&rig, 0), GYRE_OK);
        gy_rng_init(&rng, 1);
        disk = gy_sim_disk_crash(rig.disk, &rng, modes[i]);
        gy_world_sim_stop(rig.world, GY_SIM_STOP_FAIL);
        (void)gyre_close(rig.db);
        assert_int_equal(gyre_loop_close(rig.loop), GYRE_OK);
        gy_sim_disk_free(rig.disk);
        rig.disk = disk;
        open_loop(&rig, 4);
        assert_int_equal(open_store(&rig, 0), GYRE_OK);
        expect(&rig, "durable", 5);
        expect(&rig, "large1", LARGE_SIZE / 2);
        expect(&rig, "large2", LARGE_SIZE / 2);
        expect(&rig, "last", 5);
        assert_int_equal(gyre_close(rig.db), GYRE_OK);
        end(&rig);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recover_refuses_the_last_file_number),
        cmocka_unit_test(recover_refuses_an_older_manifest),
        cmocka_unit_test(recover_without_memory_loses_nothing),
        cmocka_unit_test(recover_keeps_staged_commits_that_fit_no_log),
    };

    return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}
