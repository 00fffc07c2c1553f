/* test_manifest.c - the manifest on the simulated disk: what was appended is what is replayed, also
 * after a power cut, over any number of rotations; a rotation that fails at any step leaves the
 * store as it was; a failed append poisons. Rules N1 to N5 are in engine/disk/manifest.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/disk/manifest.h"
#include "engine/disk/names.h"
#include "io/base/bits.h"
#include "io/base/fail.h"
#include "tests/support/disk_kit.h"

#define STORE_ID 4711u
#define LOGS_MAX 4096u
#define LARGE_KEY 65500u

/* The state that a manifest describes, as far as these tests go: which logs there are, and tables
 * with keys so large that two of them fill a frame. */
struct content {
    bool has_log[LOGS_MAX];
    uint32_t table_count;
    uint32_t first_key_size; /* of the first of them */
    uint32_t edit_count;     /* only of what was replayed */
};

struct rig {
    struct disk_kit kit;
    struct gy_manifest manifest;
    uint64_t next_number;
    struct content content;
    uint64_t fault_nth;
};

static struct gy_edit
table_edit(uint32_t index, uint32_t first_key_size)
{
    static uint8_t key[GY_KEY_SIZE_MAX];
    const size_t size = index == 0 ? first_key_size : LARGE_KEY;
    struct gy_edit edit = {.kind = GY_EDIT_ADD_TABLE};

    memset(key, (int)index + 1, sizeof(key)); /* not zeros, which is what cuts leave */
    edit.u.table = (struct gy_table_meta){.number = index + 1,
                                          .entry_count = 1,
                                          .smallest = gyre_slice(key, LARGE_KEY),
                                          .largest = gyre_slice(key, size)};
    return edit;
}

static void
snapshot(void *arg, struct gy_writer *writer)
{
    const struct rig *rig = arg;
    struct gy_edit edit = {.kind = GY_EDIT_STORE};

    edit.u.store.store_id = STORE_ID;
    edit.u.store.comparator = gyre_str("test");
    gy_edit_encode(writer, &edit);
    for (uint32_t i = 0; i < rig->content.table_count; i++) {
        edit = table_edit(i, rig->content.first_key_size);
        gy_edit_encode(writer, &edit);
    }
    for (uint32_t i = 0; i < LOGS_MAX; i++) {
        if (rig->content.has_log[i]) {
            edit = (struct gy_edit){.kind = GY_EDIT_ADD_LOG};
            edit.u.log.number = i + 1;
            gy_edit_encode(writer, &edit);
        }
    }
}

static void
rig_make(struct rig *rig, uint64_t seed)
{
    memset(rig, 0, sizeof(*rig));
    disk_kit_make(&rig->kit, &(struct disk_kit_config){.seed = seed, .short_transfers = seed % 2});
    rig->next_number = 1;
    gy_manifest_init(&rig->manifest, &rig->kit.loop, &rig->kit.dir, STORE_ID, &rig->next_number,
                     snapshot, rig);
}

static void
close_manifest(void *arg)
{
    struct rig *rig = arg;

    gy_in_coroutine();
    gy_manifest_await_close(&rig->manifest);
}

static void
rig_free(struct rig *rig)
{
    disk_kit_run(&rig->kit, close_manifest, rig);
    disk_kit_free(&rig->kit);
}

/* One edit that adds a log; the content has it once it is acknowledged. */
static GY_SUSPENDS gyre_status
await_add(struct rig *rig, uint32_t log)
{
    struct gy_edit edit = {.kind = GY_EDIT_ADD_LOG};
    gyre_status status;

    edit.u.log.number = log + 1;
    status = gy_manifest_await_append(&rig->manifest, &edit, 1);
    if (status == GYRE_OK) {
        rig->content.has_log[log] = true;
    }
    return status;
}

/* ---- Reading, in another process ---- */

static uint64_t refused_log; /* its edit is refused; 0: none */
static bool refused_with_name;
static struct gy_sched *reading_sched;

static gyre_status
apply(void *arg, const struct gy_edit *edit)
{
    struct content *content = arg;

    content->edit_count++;
    if (edit->kind == GY_EDIT_ADD_LOG && edit->u.log.number == refused_log) {
        return refused_with_name
                   ? gy_fail_at(reading_sched, GYRE_CORRUPT, "000007.sst", 77, 0, "no such log")
                   : gy_fail(reading_sched, GYRE_CORRUPT, "no such log");
    }
    if (edit->kind == GY_EDIT_ADD_LOG) {
        assert_in_range(edit->u.log.number, 1, LOGS_MAX);
        assert_false(content->has_log[edit->u.log.number - 1]); /* each is added once */
        content->has_log[edit->u.log.number - 1] = true;
    }
    if (edit->kind == GY_EDIT_ADD_TABLE) {
        const uint8_t *key = edit->u.table.largest.data;

        assert_int_equal(edit->u.table.number, ++content->table_count);
        assert_int_equal(key[0], content->table_count);
        assert_int_equal(key[edit->u.table.largest.size - 1], content->table_count);
    }
    return GYRE_OK;
}

struct reading {
    struct gy_loop *loop;
    struct content content;
    struct gy_manifest_end end;
    gyre_status status;
    struct gyre_error error;
};

static void
read_main(void *arg)
{
    struct reading *reading = arg;
    struct gy_file dir = GY_FILE_CLOSED;

    gy_in_coroutine();
    reading->status = gy_dir_await_open(reading->loop, "/db", false, &dir);
    if (reading->status == GYRE_OK) {
        reading->status =
            gy_manifest_await_load(reading->loop, &dir, apply, &reading->content, &reading->end);
        reading->error = *gy_sched_error(&reading->loop->sched);
        (void)gy_file_await_close(reading->loop, &dir);
    }
}

/* What is on the disk, by a loop of its own. */
static void
read_disk(struct gy_sim_disk *disk, struct reading *reading)
{
    struct gy_world_sim_config config;
    struct gy_world *world = NULL;
    struct gy_loop loop;

    memset(reading, 0, sizeof(*reading));
    gy_world_sim_config_init(&config, 1);
    assert_int_equal(gy_world_sim_open(&config, disk, &world), GYRE_OK);
    assert_int_equal(gy_loop_init(&loop, &(struct gy_loop_config){.world = world}, NULL), GYRE_OK);
    reading->loop = &loop;
    reading_sched = &loop.sched;
    assert_int_equal(gy_spawn(&loop.sched, GY_CLASS_FOREGROUND, "read", read_main, reading, NULL),
                     GYRE_OK);
    while (!gy_loop_is_idle(&loop)) {
        (void)gy_loop_turn(&loop, true, GY_NEVER);
    }
    gy_loop_fini(&loop);
}

static bool
is_content(const struct reading *reading, const struct content *wanted)
{
    return reading->status == GYRE_OK && reading->content.table_count == wanted->table_count &&
           memcmp(reading->content.has_log, wanted->has_log, sizeof(wanted->has_log)) == 0;
}

/* After power cuts of every kind the manifest says `wanted`, or, when given, `other`. */
static void
check_crashes(struct rig *rig, const struct content *wanted, const struct content *other)
{
    struct gy_rng rng;

    gy_rng_init(&rng, 11);
    for (uint32_t i = 0; i < 6; i++) {
        const enum gy_sim_crash mode = i == 0   ? GY_SIM_CRASH_NONE
                                       : i == 1 ? GY_SIM_CRASH_ALL
                                                : GY_SIM_CRASH_RANDOM;
        struct gy_sim_disk *disk = gy_sim_disk_crash(rig->kit.disk, &rng, mode);
        static struct reading reading;

        read_disk(disk, &reading);
        if (!is_content(&reading, wanted) && (other == NULL || !is_content(&reading, other))) {
            fail_msg("crash %u: %s %s", i, gyre_status_name(reading.status), reading.error.text);
        }
        gy_sim_disk_free(disk);
    }
}

/* ---- Appending ---- */

static void
run_appends(void *arg)
{
    struct rig *rig = arg;

    gy_in_coroutine();
    assert_int_equal(gy_manifest_await_rotate(&rig->manifest), GYRE_OK);
    for (uint32_t i = 0; i < 150; i++) {
        assert_int_equal(await_add(rig, i), GYRE_OK);
        check_crashes(rig, &rig->content, NULL); /* N1 */
    }
    assert_in_range(rig->manifest.number, 4, 100); /* it has rotated some times */
}

/* Goal:   an append that returned OK is there after any power cut, over rotations too (N1, N3).
 * Method: 150 appends, power cuts of six kinds after each. */
static void
manifest_replays_what_was_appended(void **state)
{
    (void)state;

    for (uint64_t seed = 0; seed < 2; seed++) {
        static struct rig rig;

        rig_make(&rig, seed);
        disk_kit_run(&rig.kit, run_appends, &rig);
        rig_free(&rig);
    }
}

#define PREFIX_APPENDS 20u

static void
run_prefixes(void *arg)
{
    struct rig *rig = arg;

    gy_in_coroutine();
    assert_int_equal(gy_manifest_await_rotate(&rig->manifest), GYRE_OK);
    for (uint32_t i = 0; i < PREFIX_APPENDS; i++) {
        assert_int_equal(await_add(rig, i), GYRE_OK);
    }
    assert_int_equal(rig->manifest.number, 1);
    assert_int_equal(rig->manifest.end, (PREFIX_APPENDS + 1) * GY_PAGE);
}

/* Goal:   reading stops where frames stop, and what is before counts; a gap with a frame behind it
 *         is CORRUPT, as is one in what CURRENT calls durable (N4).
 * Method: zeros from every frame on; zeros in every single frame; in both cases every offset told
 *         is that of the gap. */
static void
manifest_replays_every_prefix(void **state)
{
    static const uint8_t zeros[GY_PAGE];
    static struct rig rig;
    static struct reading reading;
    char path[80];
    char name[GY_NAME_MAX];
    (void)state;

    rig_make(&rig, 4);
    disk_kit_run(&rig.kit, run_prefixes, &rig);
    gy_name_manifest(name, rig.manifest.number);
    (void)snprintf(path, sizeof(path), "/db/%s", name);
    for (uint32_t frame = 0; frame <= PREFIX_APPENDS; frame++) {
        struct gy_sim_disk *one = gy_sim_disk_clone(rig.kit.disk);
        struct gy_sim_disk *rest = gy_sim_disk_clone(rig.kit.disk);
        struct content wanted = {{false}, 0, 0, 0};

        for (uint32_t i = frame; i <= PREFIX_APPENDS; i++) {
            (void)gy_sim_disk_poke(rest, path, i * GY_PAGE, zeros, GY_PAGE);
        }
        for (uint32_t i = 0; i + 1 < frame; i++) {
            wanted.has_log[i] = true;
        }
        read_disk(rest, &reading);
        if (frame == 0) {
            assert_int_equal(reading.status, GYRE_CORRUPT); /* CURRENT says that it was durable */
        } else {
            assert_true(is_content(&reading, &wanted));
            assert_int_equal(reading.end.end, frame * GY_PAGE);
        }
        (void)gy_sim_disk_poke(one, path, frame * GY_PAGE, zeros, GY_PAGE);
        read_disk(one, &reading);
        if (frame == PREFIX_APPENDS) {
            assert_true(is_content(&reading, &wanted));
        } else {
            assert_int_equal(reading.status, GYRE_CORRUPT);
            assert_string_equal(reading.error.file, name);
            assert_int_equal(reading.error.offset, frame * GY_PAGE);
        }
        gy_sim_disk_free(one);
        gy_sim_disk_free(rest);
    }
    rig_free(&rig);
}

#define LARGE_TABLES 4u
#define SNAPSHOT_FRAME_MAX (GY_FRAME_SIZE_MAX / 4)

static void
run_large_snapshot(void *arg)
{
    struct rig *rig = arg;

    gy_in_coroutine();
    assert_int_equal(gy_manifest_await_rotate(&rig->manifest), GYRE_OK);
    check_crashes(rig, &rig->content, NULL);
    assert_int_equal(await_add(rig, 0), GYRE_OK);
    check_crashes(rig, &rig->content, NULL);
}

/* Zeros from every page on, to the end of the file: the log, which is in the last page, may be
 * gone, but nothing of the snapshot. Returns how many frames that was told of. */
static uint32_t
check_cut_snapshot(struct rig *rig)
{
    static const uint8_t zeros[GY_PAGE];
    static struct reading reading;
    uint32_t frames = 0;
    uint64_t offset_before = GY_NO_OFFSET;
    char path[80];
    char name[GY_NAME_MAX];

    gy_name_manifest(name, rig->manifest.number);
    (void)snprintf(path, sizeof(path), "/db/%s", name);
    rig->content.has_log[0] = false;
    for (uint64_t at = rig->manifest.end; at > 0; at -= GY_PAGE) {
        (void)gy_sim_disk_poke(rig->kit.disk, path, at - GY_PAGE, zeros, GY_PAGE);
        read_disk(rig->kit.disk, &reading);
        if (at == rig->manifest.end) {
            assert_true(is_content(&reading, &rig->content));
            continue;
        }
        assert_int_equal(reading.status, GYRE_CORRUPT);
        assert_string_equal(reading.error.file, name);
        assert_true(reading.error.offset < at); /* of the frame which begins there or before */
        frames += offset_before != reading.error.offset;
        offset_before = reading.error.offset;
    }
    return frames;
}

/* Goal:   a snapshot that takes several frames is whole or CORRUPT: when its last frames are gone
 *         nothing behind them says so, only what CURRENT calls durable (N4).
 * Method: tables with long keys, of which the first two fill a frame to the last byte, and are one
 *         byte too many for it; cut at every page. */
static void
manifest_snapshot_of_several_frames_is_whole_or_corrupt(void **state)
{
    static struct rig rig;
    (void)state;

    for (uint32_t over = 0; over < 2; over++) {
        struct gy_writer measure = {0};

        rig_make(&rig, 10);
        rig.content.table_count = 2;
        rig.content.first_key_size = LARGE_KEY;
        snapshot(&rig, &measure);
        rig.content.table_count = LARGE_TABLES;
        rig.content.first_key_size +=
            (uint32_t)(SNAPSHOT_FRAME_MAX - GY_FRAME_HEADER_SIZE - measure.used) + over;
        disk_kit_run(&rig.kit, run_large_snapshot, &rig);
        assert_int_equal(rig.manifest.number, 1);
        assert_int_equal(check_cut_snapshot(&rig), over ? 3 : 2);
        rig_free(&rig);
    }
}

/* ---- Failing ---- */

static struct gy_sim_faults
fail_nth(uint64_t nth, uint32_t op_mask, int os_errno)
{
    struct gy_sim_faults faults = {.rule_count = 1};

    faults.rules[0] = (struct gy_sim_rule){
        .fault = GY_SIM_FAULT_ERROR, .op_mask = op_mask, .nth = nth, .os_errno = os_errno};
    return faults;
}

struct rotation {
    struct rig rig;
    uint64_t nth;
    gyre_status status;
    bool poisoned;
    bool went_on; /* in the old file */
};

static void
run_rotation(void *arg)
{
    struct rotation *rotation = arg;
    struct rig *rig = &rotation->rig;
    const struct gy_sim_faults faults = fail_nth(rotation->nth, 0, 0);

    gy_in_coroutine();
    assert_int_equal(gy_manifest_await_rotate(&rig->manifest), GYRE_OK);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(await_add(rig, i), GYRE_OK);
    }
    gy_world_sim_set_faults(rig->kit.world, &faults);
    rotation->status = gy_manifest_await_rotate(&rig->manifest);
    gy_world_sim_set_faults(rig->kit.world, NULL);
    rotation->poisoned = rig->manifest.poison != GYRE_OK;
    check_crashes(rig, &rig->content, NULL);
    if (rotation->poisoned) {
        assert_int_equal(await_add(rig, 5), GYRE_READ_ONLY); /* N2 */
        assert_int_equal(gy_manifest_await_rotate(&rig->manifest), GYRE_READ_ONLY);
    } else { /* the old one or the new one is in force, and takes more */
        assert_int_equal(await_add(rig, 5), GYRE_OK);
        assert_int_equal(gy_manifest_await_rotate(&rig->manifest), GYRE_OK);
        assert_int_equal(await_add(rig, 6), GYRE_OK);
    }
    check_crashes(rig, &rig->content, NULL);
}

/* Goal:   a rotation that fails at any step loses nothing: before the rename the old manifest goes
 *         on, after it nobody writes to either (N2, N3).
 * Method: the n-th request of it fails, for every n; power cuts then and after what follows. */
static void
manifest_rotation_may_fail_at_every_step(void **state)
{
    static struct rotation rotation;
    uint32_t failed = 0;
    uint32_t poisoned = 0;
    (void)state;

    for (uint64_t nth = 1;; nth++) {
        uint64_t strikes;

        memset(&rotation, 0, sizeof(rotation));
        rotation.nth = nth;
        rig_make(&rotation.rig, 2 * nth);
        disk_kit_run(&rotation.rig.kit, run_rotation, &rotation);
        strikes = rotation.status != GYRE_OK;
        failed += rotation.status != GYRE_OK;
        poisoned += rotation.poisoned;
        assert_true(rotation.status == GYRE_OK || rotation.status == GYRE_IO);
        rig_free(&rotation.rig);
        if (strikes == 0 && nth > 40) {
            break; /* behind the end of it */
        }
    }
    assert_in_range(failed, 10, 100);
    assert_in_range(poisoned, 1, 3); /* the sync of the directory behind the rename */
}

static void
run_poison(void *arg)
{
    struct rig *rig = arg;
    const struct gy_sim_faults faults = fail_nth(rig->fault_nth, 1u << GY_OP_WRITE, EIO);
    const struct gy_sim_faults count_writes = fail_nth(1u << 30, 1u << GY_OP_WRITE, 0);
    struct content before;
    struct content after;
    uint64_t events;
    uint32_t i = 0;

    gy_in_coroutine();
    assert_int_equal(gy_manifest_await_rotate(&rig->manifest), GYRE_OK);
    gy_world_sim_set_faults(rig->kit.world, &faults);
    while (await_add(rig, i) == GYRE_OK) {
        i++;
    }
    assert_int_equal(i + 1, rig->fault_nth);
    gy_world_sim_set_faults(rig->kit.world, &count_writes);
    before = rig->content;
    after = rig->content;
    after.has_log[i] = true;
    check_crashes(rig, &before, &after); /* the edit is there or it is not */
    events = gy_world_sim_event_count(rig->kit.world);
    for (uint32_t j = 0; j < 3; j++) {
        assert_int_equal(await_add(rig, 100 + j), GYRE_READ_ONLY);
        assert_int_equal(gy_manifest_await_rotate(&rig->manifest), GYRE_READ_ONLY);
    }
    assert_int_equal(gy_world_sim_event_count(rig->kit.world), events); /* not even tried */
    check_crashes(rig, &before, &after);
    gy_world_sim_set_faults(rig->kit.world, NULL);
}

/* Goal:   after a failed append nobody writes any more, not even a rotation, and what was
 *         acknowledged is there (N2).
 * Method: the n-th append fails; requests are counted after it. */
static void
manifest_is_poisoned_by_a_failed_append(void **state)
{
    (void)state;

    for (uint64_t nth = 1; nth < 20; nth++) {
        static struct rig rig;

        rig_make(&rig, 2 * nth);
        rig.fault_nth = nth;
        disk_kit_run(&rig.kit, run_poison, &rig);
        rig_free(&rig);
    }
}

static void
run_full(void *arg)
{
    struct rig *rig = arg;
    struct gy_sim_faults full = fail_nth(1, 1u << GY_OP_ALLOCATE, ENOSPC);
    gyre_status status;
    uint32_t i = 0;

    gy_in_coroutine();
    full.rules[0].is_repeated = true;
    assert_int_equal(gy_manifest_await_rotate(&rig->manifest), GYRE_OK);
    gy_world_sim_set_faults(rig->kit.world, &full);
    do {
        status = await_add(rig, i);
        i += status == GYRE_OK;
    } while (status == GYRE_OK);
    assert_int_equal(status, GYRE_NO_SPACE);
    assert_int_equal(rig->manifest.number, 1);
    assert_int_equal((i + 1) * GY_PAGE, rig->manifest.capacity); /* to the last page */
    assert_int_equal(await_add(rig, i), GYRE_NO_SPACE);
    assert_int_equal(rig->manifest.poison, GYRE_OK);
    check_crashes(rig, &rig->content, NULL);
    gy_world_sim_set_faults(rig->kit.world, NULL); /* there is space again */
    assert_int_equal(await_add(rig, i), GYRE_OK);
    assert_true(rig->manifest.number > 1);
    check_crashes(rig, &rig->content, NULL);
}

/* Goal:   on a full disk the half of the file that was kept for it is used up, then appends are
 *         refused without poison, and work again when there is space (N3). */
static void
manifest_goes_on_in_its_file_when_the_disk_is_full(void **state)
{
    static struct rig rig;
    (void)state;

    rig_make(&rig, 8);
    disk_kit_run(&rig.kit, run_full, &rig);
    rig_free(&rig);
}

static void
run_append_rotation(void *arg)
{
    struct rotation *rotation = arg;
    struct rig *rig = &rotation->rig;
    const struct gy_sim_faults faults = fail_nth(rotation->nth, 0, 0);
    struct content before;
    uint32_t i = 0;

    gy_in_coroutine();
    assert_int_equal(gy_manifest_await_rotate(&rig->manifest), GYRE_OK);
    for (; rig->manifest.end + GY_PAGE <= rig->manifest.capacity / 2; i++) {
        assert_int_equal(await_add(rig, i), GYRE_OK);
    }
    before = rig->content;
    gy_world_sim_set_faults(rig->kit.world, &faults);
    rotation->status = await_add(rig, i);
    gy_world_sim_set_faults(rig->kit.world, NULL);
    rotation->poisoned = rig->manifest.poison != GYRE_OK;
    rotation->went_on = rotation->status == GYRE_OK && rig->manifest.number == 1;
    assert_int_equal(rotation->poisoned, rotation->status != GYRE_OK);
    if (rotation->poisoned) {
        struct content after = before;

        after.has_log[i] = true;
        check_crashes(rig, &before, &after);
        assert_int_equal(await_add(rig, i), GYRE_READ_ONLY);
        check_crashes(rig, &before, &after);
        return;
    }
    check_crashes(rig, &rig->content, NULL);
    assert_int_equal(await_add(rig, i + 1), GYRE_OK);
    assert_true(rig->manifest.number > 1); /* it tries again */
    check_crashes(rig, &rig->content, NULL);
}

/* Goal:   an append that wants another file and does not get one goes on in the old one; but not
 *         when nobody knows which of the two counts (N2, N3).
 * Method: the n-th request of an append to a file that is half full fails, for every n. */
static void
manifest_append_survives_a_rotation_that_fails(void **state)
{
    static struct rotation rotation;
    uint32_t went_on = 0;
    uint32_t poisoned = 0;
    (void)state;

    for (uint64_t nth = 1; nth < 40; nth++) {
        memset(&rotation, 0, sizeof(rotation));
        rotation.nth = nth;
        rig_make(&rotation.rig, 2 * nth);
        disk_kit_run(&rotation.rig.kit, run_append_rotation, &rotation);
        went_on += rotation.went_on;
        poisoned += rotation.poisoned;
        rig_free(&rotation.rig);
    }
    assert_in_range(went_on, 10, 30);
    assert_in_range(poisoned, 2, 3); /* the sync behind the rename; the append itself */
}

struct adoption {
    struct rig rig;
    struct gy_manifest_end end;
    uint32_t op_mask; /* its first request of these fails */
    gyre_status status;
};

/* As a process that has just read it. */
static GY_SUSPENDS gyre_status
await_adopt(struct adoption *adoption)
{
    struct rig *rig = &adoption->rig;

    gy_manifest_await_close(&rig->manifest);
    gy_manifest_init(&rig->manifest, &rig->kit.loop, &rig->kit.dir, STORE_ID, &rig->next_number,
                     snapshot, rig);
    return gy_manifest_await_adopt(&rig->manifest, &adoption->end);
}

static void
run_adopt(void *arg)
{
    struct adoption *adoption = arg;
    struct rig *rig = &adoption->rig;

    gy_in_coroutine();
    assert_int_equal(await_adopt(adoption), GYRE_OK);
    for (uint32_t i = PREFIX_APPENDS; i < 100; i++) {
        assert_int_equal(await_add(rig, i), GYRE_OK);
        check_crashes(rig, &rig->content, NULL);
    }
}

/* Goal:   a process that goes on with the manifest it has read overwrites what was torn behind its
 *         end, and rotates as any other (N5).
 * Method: half a frame behind the end; appends, with power cuts after each. */
static void
manifest_is_adopted_where_it_ends(void **state)
{
    static struct adoption adoption;
    static struct reading reading;
    struct rig *rig = &adoption.rig;
    uint8_t torn[GY_PAGE];
    char path[80];
    char name[GY_NAME_MAX];
    (void)state;

    rig_make(rig, 6);
    disk_kit_run(&rig->kit, run_prefixes, rig);
    gy_name_manifest(name, rig->manifest.number);
    (void)snprintf(path, sizeof(path), "/db/%s", name);
    memset(torn, 0x77, sizeof(torn));
    (void)gy_sim_disk_poke(rig->kit.disk, path, rig->manifest.end, torn, sizeof(torn));
    read_disk(rig->kit.disk, &reading);
    assert_true(is_content(&reading, &rig->content));
    adoption.end = reading.end;
    disk_kit_run(&rig->kit, run_adopt, &adoption);
    rig_free(rig);
}

static void
run_failing_adopt(void *arg)
{
    struct adoption *adoption = arg;
    struct rig *rig = &adoption->rig;
    const struct gy_sim_faults faults = fail_nth(1, adoption->op_mask, EIO);

    gy_in_coroutine();
    gy_world_sim_set_faults(rig->kit.world, adoption->op_mask != 0 ? &faults : NULL);
    adoption->status = await_adopt(adoption);
    gy_world_sim_set_faults(rig->kit.world, NULL);
    check_crashes(rig, &rig->content, NULL);
}

/* Goal:   what was read is not built upon unless it could be made durable, and a file without a
 *         page left is told as a full disk (N5).
 * Method: each kind of request of an adoption fails; one page is left, then none. */
static void
manifest_is_adopted_only_when_durable_and_with_room(void **state)
{
    static const enum gy_op ops[] = {GY_OP_OPEN, GY_OP_SYNC, GY_OP_STAT};
    static struct adoption adoption;
    struct rig *rig = &adoption.rig;
    uint64_t capacity;
    (void)state;

    rig_make(rig, 6);
    disk_kit_run(&rig->kit, run_prefixes, rig);
    capacity = rig->manifest.capacity;
    adoption.end = (struct gy_manifest_end){
        .store_id = STORE_ID, .number = rig->manifest.number, .end = rig->manifest.end};
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        adoption.op_mask = 1u << ops[i];
        disk_kit_run(&rig->kit, run_failing_adopt, &adoption);
        assert_int_equal(adoption.status, GYRE_IO);
    }
    adoption.op_mask = 0;
    adoption.end.end = capacity - GY_PAGE;
    disk_kit_run(&rig->kit, run_failing_adopt, &adoption);
    assert_int_equal(adoption.status, GYRE_OK);
    adoption.end.end += GY_PAGE;
    disk_kit_run(&rig->kit, run_failing_adopt, &adoption);
    assert_int_equal(adoption.status, GYRE_NO_SPACE);
    rig_free(rig);
}

/* Goal:   whoever applies edits and says no is told with the place of the edit, or with its own
 *         words when it names a file itself.
 * Method: the second log is refused, in both ways. */
static void
manifest_says_where_an_edit_was_refused(void **state)
{
    static struct rig rig;
    static struct reading reading;
    (void)state;

    rig_make(&rig, 4);
    disk_kit_run(&rig.kit, run_prefixes, &rig);
    for (uint32_t named = 0; named < 2; named++) {
        refused_log = 2;
        refused_with_name = named;
        read_disk(rig.kit.disk, &reading);
        refused_log = 0;
        assert_int_equal(reading.status, GYRE_CORRUPT);
        assert_string_equal(reading.error.file, named ? "000007.sst" : "MANIFEST-000001");
        assert_int_equal(reading.error.offset, named ? 77 : 2 * GY_PAGE);
        assert_non_null(strstr(reading.error.text, "no such log"));
    }
    rig_free(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_replays_what_was_appended),
        cmocka_unit_test(manifest_replays_every_prefix),
        cmocka_unit_test(manifest_snapshot_of_several_frames_is_whole_or_corrupt),
        cmocka_unit_test(manifest_rotation_may_fail_at_every_step),
        cmocka_unit_test(manifest_append_survives_a_rotation_that_fails),
        cmocka_unit_test(manifest_is_poisoned_by_a_failed_append),
        cmocka_unit_test(manifest_goes_on_in_its_file_when_the_disk_is_full),
        cmocka_unit_test(manifest_is_adopted_where_it_ends),
        cmocka_unit_test(manifest_is_adopted_only_when_durable_and_with_room),
        cmocka_unit_test(manifest_says_where_an_edit_was_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
