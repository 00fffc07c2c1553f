/* test_sim_disk.c - the rules of io/sim/sim_disk.h: what a power cut may take and what it may not.
 * The rules are the ground that every crash test of the engine stands on, so each one is also tried
 * the other way round: what may be lost must really get lost now and then. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "io/sim/sim_state.h"

#define DRAWS 300u

static struct gy_heap heap;
static struct gy_sim_disk *disk;

static int
setup_sectors(uint32_t sector_size)
{
    const struct gy_sim_disk_config config = {.sector_size = sector_size, .seed = 1};

    gy_heap_init(&heap, UINT64_MAX);
    disk = gy_sim_disk_make(&config, &heap);
    return 0;
}

static int
setup(void **state)
{
    (void)state;
    return setup_sectors(512);
}

static int
setup_4096(void **state)
{
    (void)state;
    return setup_sectors(4096);
}

/* Every test also proves that nothing leaks, whatever it copied and crashed. */
static int
teardown(void **state)
{
    (void)state;
    gy_sim_disk_free(disk);
    return heap.used == 0 ? 0 : -1;
}

static struct gy_sim_op *
begin(enum gy_op kind, uint32_t ino, uint8_t flags, uint64_t offset, uint32_t size, uint8_t fill)
{
    static uint8_t large[16 * GY_PAGE];
    const struct gy_sim_op op = {
        .op = (uint8_t)kind, .ino = ino, .flags = flags, .offset = offset, .size = size};

    assert_true(size <= sizeof(large));
    memset(large, fill, sizeof(large));
    return gy_sim_op_begin(disk, &op, large);
}

static int32_t
finish(struct gy_sim_op *op)
{
    const int32_t result = gy_sim_op_apply(disk, op);

    gy_sim_op_end(disk, op);
    return result;
}

static void
put(uint32_t ino, uint64_t offset, uint32_t size, uint8_t fill)
{
    assert_int_equal(finish(begin(GY_OP_WRITE, ino, 0, offset, size, fill)), size);
}

static void
put_dsync(uint32_t ino, uint64_t offset, uint32_t size, uint8_t fill)
{
    assert_int_equal(finish(begin(GY_OP_WRITE, ino, GY_IO_DSYNC, offset, size, fill)), size);
}

static void
sync_ino(uint32_t ino)
{
    assert_int_equal(finish(begin(GY_OP_SYNC, ino, 0, 0, 0, 0)), 0);
}

static int32_t
name_op(enum gy_op kind, const char *name, const char *name_new)
{
    struct gy_sim_op op = {.op = (uint8_t)kind, .flags = GY_OPEN_CREATE | GY_OPEN_WRITE};

    memcpy(op.name, name, strlen(name) + 1);
    memcpy(op.name_new, name_new, strlen(name_new) + 1);
    return finish(gy_sim_op_begin(disk, &op, NULL));
}

static uint32_t
make_file(const char *name)
{
    const int32_t ino = name_op(GY_OP_OPEN, name, "");

    assert_true(ino > 0);
    return (uint32_t)ino;
}

/* A durable file of `size` bytes of `fill`. */
static uint32_t
make_durable(const char *name, uint32_t size, uint8_t fill)
{
    const uint32_t ino = make_file(name);

    put(ino, 0, size, fill);
    sync_ino(ino);
    sync_ino(GY_SIM_ROOT);
    return ino;
}

static struct gy_sim_disk *
crash(enum gy_sim_crash mode, uint64_t seed)
{
    struct gy_rng rng;

    gy_rng_init(&rng, seed);
    return gy_sim_disk_crash(disk, &rng, mode);
}

/* A byte after a crash, -1 past the end, a negative errno without the file. */
static int
byte_after(enum gy_sim_crash mode, const char *path, uint64_t offset)
{
    struct gy_sim_disk *after = crash(mode, 1);
    uint8_t byte = 0;
    const int64_t got = gy_sim_disk_peek(after, path, offset, &byte, 1);

    gy_sim_disk_free(after);
    return got == 1 ? byte : got == 0 ? -1 : (int)got;
}

static int64_t
size_after(enum gy_sim_crash mode, const char *path)
{
    struct gy_sim_disk *after = crash(mode, 1);
    const int64_t size = gy_sim_disk_file_size(after, path);

    gy_sim_disk_free(after);
    return size;
}

/* Goal:   D1: bytes that no sync covered are gone after the worst crash, kept after the mildest. */
static void
sim_disk_unsynced_write_is_lost_or_kept_by_mode(void **state)
{
    const uint32_t ino = make_durable("a", GY_PAGE, 1);

    (void)state;
    put(ino, 0, GY_PAGE, 2);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 0), 1);
    assert_int_equal(byte_after(GY_SIM_CRASH_ALL, "/a", 0), 2);
    sync_ino(ino);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 0), 2);
    assert_int_equal(gy_sim_disk_pending_count(disk), 0);
}

/* Goal:   D1: a sync keeps what completed before it was submitted, not what completed while it ran.
 * Method: submit sync, complete a write, complete the sync: the write is not covered. */
static void
sim_disk_sync_covers_only_writes_completed_before_its_submission(void **state)
{
    const uint32_t ino = make_durable("a", 2 * GY_PAGE, 1);
    struct gy_sim_op *early;
    struct gy_sim_op *sync;

    (void)state;
    early = begin(GY_OP_WRITE, ino, 0, 0, GY_PAGE, 2); /* submitted before, completes after */
    put(ino, GY_PAGE, GY_PAGE, 3);
    sync = begin(GY_OP_SYNC, ino, 0, 0, 0, 0);
    assert_int_equal(finish(early), GY_PAGE);
    assert_int_equal(finish(sync), 0);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 0), 1);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", GY_PAGE), 3);
    sync_ino(ino);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 0), 2);
}

/* Goal:   D1 and D3 hold for sizes and names too: what changed while a sync ran is not covered by
 *         it. */
static void
sim_disk_sync_covers_only_earlier_sizes_and_names(void **state)
{
    const uint32_t ino = make_durable("a", 512, 1);
    struct gy_sim_op *file_sync = begin(GY_OP_SYNC, ino, 0, 0, 0, 0);
    struct gy_sim_op *dir_sync = begin(GY_OP_SYNC, GY_SIM_ROOT, 0, 0, 0, 0);

    (void)state;
    assert_int_equal(finish(begin(GY_OP_TRUNCATE, ino, 0, 4096, 0, 0)), 0);
    make_file("b");
    assert_int_equal(finish(file_sync), 0);
    assert_int_equal(finish(dir_sync), 0);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/a"), 512);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/b"), -ENOENT);
    sync_ino(ino);
    sync_ino(GY_SIM_ROOT);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/a"), 4096);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/b"), 0);
}

/* Goal:   D2: a DSYNC write is durable alone: neither its neighbours in the page, nor earlier
 *         writes, nor other files come with it. */
static void
sim_disk_dsync_covers_only_its_own_sectors(void **state)
{
    const uint32_t ino = make_durable("a", 2 * GY_PAGE, 1);
    const uint32_t other = make_durable("b", GY_PAGE, 1);

    (void)state;
    put(ino, 0, 512, 2);
    put(ino, GY_PAGE, GY_PAGE, 3);
    put(other, 0, GY_PAGE, 4);
    put_dsync(ino, 512, 512, 5);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 0), 1);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 512), 5);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 1024), 1);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", GY_PAGE), 1);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/b", 0), 1);
    assert_int_equal(byte_after(GY_SIM_CRASH_ALL, "/a", 0), 2);
}

/* Goal:   D2: the size comes along as far as the write needs it, and no pending size or older
 *         version can take a durable sector away again.
 * Method: cut the file to nothing, write again with DSYNC, and draw many crashes. */
static void
sim_disk_dsync_survives_older_pending_changes(void **state)
{
    const uint32_t ino = make_durable("a", GY_PAGE, 1);

    (void)state;
    assert_int_equal(finish(begin(GY_OP_ALLOCATE, ino, 0, 16 * GY_PAGE, 0, 0)), 0);
    put_dsync(ino, GY_PAGE, GY_PAGE, 2);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/a"), 2 * GY_PAGE);
    assert_int_equal(size_after(GY_SIM_CRASH_ALL, "/a"), 16 * GY_PAGE);

    put(ino, GY_PAGE, GY_PAGE, 3);
    assert_int_equal(finish(begin(GY_OP_TRUNCATE, ino, 0, 0, 0, 0)), 0);
    put_dsync(ino, GY_PAGE, GY_PAGE, 4);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        struct gy_sim_disk *after = crash(GY_SIM_CRASH_RANDOM, seed);
        uint8_t bytes[GY_PAGE];

        assert_int_equal(gy_sim_disk_peek(after, "/a", GY_PAGE, bytes, GY_PAGE), GY_PAGE);
        for (uint32_t i = 0; i < GY_PAGE; i++) {
            assert_int_equal(bytes[i], 4);
        }
        gy_sim_disk_free(after);
    }
    assert_int_equal(gy_sim_disk_file_size(disk, "/a"), 2 * GY_PAGE);
    sync_ino(ino); /* the truncate has not been forgotten over it */
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/a"), 2 * GY_PAGE);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 0), 0);
}

/* Goal:   D2: a DSYNC write into a file that was cut keeps the old, longer file possible until the
 *         sync, and the sync leaves the size that programs see. */
static void
sim_disk_dsync_after_truncate_leaves_the_size_to_the_sync(void **state)
{
    const uint32_t ino = make_durable("a", 4 * GY_PAGE, 1);

    (void)state;
    assert_int_equal(finish(begin(GY_OP_TRUNCATE, ino, 0, 0, 0, 0)), 0);
    put_dsync(ino, 0, GY_PAGE, 2);
    assert_int_equal(gy_sim_disk_file_size(disk, "/a"), GY_PAGE);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/a"), 4 * GY_PAGE);
    assert_int_equal(size_after(GY_SIM_CRASH_ALL, "/a"), GY_PAGE);
    sync_ino(ino);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/a"), GY_PAGE);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 0), 2);
}

/* Goal:   bytes live as long as anything can lead to them: a name that a crash could bring back, an
 *         open file, another link; and their space is counted as long as programs can reach it. */
static void
sim_disk_bytes_live_while_anything_refers_to_them(void **state)
{
    const uint32_t a = make_durable("a", GY_PAGE, 1);
    const uint32_t b = make_durable("b", GY_PAGE, 2);
    struct gy_sim_disk *after;
    uint32_t lost;
    uint8_t byte = 0;

    (void)state;
    assert_int_equal(name_op(GY_OP_LINK, "b", "c"), 0);
    sync_ino(GY_SIM_ROOT);
    assert_int_equal(name_op(GY_OP_UNLINK, "a", ""), 0);
    assert_int_equal(name_op(GY_OP_UNLINK, "b", ""), 0);
    gy_sim_fs_collect(disk);
    assert_int_equal(gy_sim_disk_used_bytes(disk), GY_PAGE); /* by c */
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 0), 1);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/b", 0), 2);
    gy_sim_disk_open_slot(disk, a);
    sync_ino(GY_SIM_ROOT);
    assert_int_equal(gy_sim_file_read(gy_sim_disk_inode(disk, a), 0, 1, &byte), 1);
    assert_int_equal(byte, 1);
    gy_sim_disk_close_slot(disk, a, 1);
    assert_null(disk->nodes[a].inode);
    assert_int_equal(gy_sim_disk_inode(disk, b)->link_count, 1);

    assert_int_equal(name_op(GY_OP_LINK, "c", "e"), 0); /* a link that a crash takes away */
    lost = make_file("f");                              /* bytes without a name */
    put(lost, 0, GY_PAGE, 3);
    sync_ino(lost);
    after = crash(GY_SIM_CRASH_NONE, 1);
    assert_int_equal(gy_sim_disk_used_bytes(after), GY_PAGE);
    assert_int_equal(gy_sim_disk_remove(after, "/c"), 0);
    assert_int_equal(gy_sim_disk_used_bytes(after), 0);
    gy_sim_disk_free(after);
}

/* Goal:   D3: syncing a file does not save its name, syncing the directory not its bytes. */
static void
sim_disk_name_and_bytes_are_durable_apart(void **state)
{
    const uint32_t a = make_file("a");

    (void)state;
    put(a, 0, GY_PAGE, 1);
    sync_ino(a);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/a"), -ENOENT);
    assert_int_equal(byte_after(GY_SIM_CRASH_ALL, "/a", 0), 1);
    sync_ino(GY_SIM_ROOT);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 0), 1);

    put(make_file("b"), 0, GY_PAGE, 1);
    sync_ino(GY_SIM_ROOT);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/b"), 0);
}

/* Goal:   a directory of which the parent was not synced is lost with all that is in it. */
static void
sim_disk_new_directory_needs_a_sync_of_its_parent(void **state)
{
    struct gy_sim_op op = {.op = GY_OP_OPEN, .flags = GY_OPEN_CREATE, .name = "x"};

    (void)state;
    assert_int_equal(name_op(GY_OP_MKDIR, "d", ""), 0);
    op.ino = (uint32_t)gy_sim_fs_find(disk, "/d");
    assert_true(finish(gy_sim_op_begin(disk, &op, NULL)) > 0);
    sync_ino(op.ino);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/d/x"), -ENOENT);
    sync_ino(GY_SIM_ROOT);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/d/x"), 0);
    assert_int_equal(name_op(GY_OP_MKDIR, "d", ""), -EEXIST);
}

/* Goal:   a rename that no sync covered leaves the old name or the new one, never none, never both,
 *         and what stood under the new name before is there until it is replaced. */
static void
sim_disk_rename_is_atomic_in_every_crash(void **state)
{
    uint32_t seen[2] = {0, 0};

    (void)state;
    make_durable("current", 512, 1);
    make_durable("next", 512, 2);
    assert_int_equal(name_op(GY_OP_RENAME, "next", "current"), 0);
    assert_int_equal(name_op(GY_OP_RENAME, "current", "last"), 0);
    assert_int_equal(name_op(GY_OP_RENAME, "last", "current"), 0);
    gy_sim_fs_collect(disk); /* the file that was replaced may come back: it stays */
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        struct gy_sim_disk *after = crash(GY_SIM_CRASH_RANDOM, seed);
        static const char *const names[] = {"/next", "/last", "/current"};
        uint32_t found = 0;
        uint8_t byte = 0;

        for (uint32_t i = 0; i < 3; i++) {
            if (gy_sim_disk_peek(after, names[i], 0, &byte, 1) == 1 && byte == 2) {
                found++;
                seen[0] += i == 0;
                seen[1] += i == 2;
            }
        }
        assert_int_equal(found, 1);
        if (gy_sim_disk_file_size(after, "/next") == 512) {
            assert_int_equal(gy_sim_disk_peek(after, "/current", 0, &byte, 1), 1);
            assert_int_equal(byte, 1);
        }
        gy_sim_disk_free(after);
    }
    assert_true(seen[0] > 0 && seen[1] > 0);
}

/* Goal:   an unlink may come before or after other changes of names: each of the four outcomes of
 *         an unsynced rename and unlink turns up (deleting a file before the directory sync is a
 *         bug). */
static void
sim_disk_unsynced_names_survive_in_any_subset(void **state)
{
    uint32_t seen[2][2] = {{0, 0}, {0, 0}};

    (void)state;
    make_durable("tmp", 512, 1);
    make_durable("old", 512, 2);
    assert_int_equal(name_op(GY_OP_RENAME, "tmp", "new"), 0);
    assert_int_equal(name_op(GY_OP_UNLINK, "old", ""), 0);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        struct gy_sim_disk *after = crash(GY_SIM_CRASH_RANDOM, seed);
        const bool renamed = gy_sim_disk_file_size(after, "/new") == 512;
        const bool unlinked = gy_sim_disk_file_size(after, "/old") == -ENOENT;

        if (!unlinked) { /* back with all its bytes */
            uint8_t byte = 0;

            assert_int_equal(gy_sim_disk_peek(after, "/old", 511, &byte, 1), 1);
            assert_int_equal(byte, 2);
        }
        seen[renamed][unlinked]++;
        gy_sim_disk_free(after);
    }
    assert_true(seen[0][0] > 0 && seen[0][1] > 0 && seen[1][0] > 0 && seen[1][1] > 0);
    sync_ino(GY_SIM_ROOT);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/old"), -ENOENT);
}

/* Goal:   size and bytes of an append survive apart: the file may be short, long with zeros, or
 *         long with bytes. */
static void
sim_disk_size_survives_apart_from_bytes(void **state)
{
    const uint32_t ino = make_durable("a", 512, 1);
    uint32_t seen[3] = {0, 0, 0};

    (void)state;
    put(ino, 512, 512, 2);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        struct gy_sim_disk *after = crash(GY_SIM_CRASH_RANDOM, seed);
        uint8_t bytes[1024];
        const int64_t size = gy_sim_disk_peek(after, "/a", 0, bytes, sizeof(bytes));

        assert_true(size == 512 || size == 1024);
        assert_int_equal(bytes[0], 1);
        if (size == 1024) {
            assert_true(bytes[512] == 0 || bytes[512] == 2);
            assert_int_equal(bytes[1023], bytes[512]);
        }
        seen[size == 512 ? 0 : bytes[512] == 0 ? 1 : 2]++;
        gy_sim_disk_free(after);
    }
    assert_true(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
}

/* How many crashes of an overwritten page leave a mix of old and new; no sector ever mixes. In
 * *ret_zeroed those that leave zeros in some sector (D6). */
static uint32_t
count_torn(uint32_t sector_size, uint32_t *ret_zeroed)
{
    uint32_t torn = 0;

    *ret_zeroed = 0;

    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        struct gy_sim_disk *after = crash(GY_SIM_CRASH_RANDOM, seed);
        uint8_t bytes[GY_PAGE];
        bool has_old = false;
        bool has_new = false;
        bool has_zeros = false;

        assert_int_equal(gy_sim_disk_peek(after, "/a", 0, bytes, GY_PAGE), GY_PAGE);
        for (uint32_t i = 0; i < GY_PAGE; i++) {
            assert_in_range(bytes[i], 0, 2);
            assert_int_equal(bytes[i], bytes[i / sector_size * sector_size]);
            has_old = has_old || bytes[i] == 1;
            has_new = has_new || bytes[i] == 2;
            has_zeros = has_zeros || bytes[i] == 0;
        }
        torn += has_old && has_new;
        *ret_zeroed += has_zeros;
        gy_sim_disk_free(after);
    }
    return torn;
}

/* Goal:   a page tears between sectors of 512 bytes and never inside one. */
static void
sim_disk_write_tears_between_sectors(void **state)
{
    const uint32_t ino = make_durable("a", GY_PAGE, 1);
    uint32_t zeroed;

    (void)state;
    put(ino, 0, GY_PAGE, 2);
    assert_in_range(count_torn(512, &zeroed), DRAWS / 10, DRAWS);
    assert_in_range(zeroed, 1, DRAWS / 4);
}

/* Goal:   with sectors of 4096 bytes a page does not tear at all. */
static void
sim_disk_page_does_not_tear_when_it_is_one_sector(void **state)
{
    const uint32_t ino = make_durable("a", GY_PAGE, 1);
    uint32_t zeroed;

    (void)state;
    put(ino, 0, GY_PAGE, 2);
    assert_int_equal(count_torn(4096, &zeroed), 0);
    assert_in_range(zeroed, 1, DRAWS / 4);
}

/* Goal:   a write in flight may have reached the disk in any part, also with DSYNC; NONE says it
 *         did not, ALL says it did, and the run itself does not notice that somebody looked. */
static void
sim_disk_write_in_flight_may_have_happened_in_any_part(void **state)
{
    const uint32_t ino = make_durable("a", GY_PAGE, 1);
    struct gy_sim_op *op = begin(GY_OP_WRITE, ino, GY_IO_DSYNC, 0, GY_PAGE, 2);
    uint32_t zeroed;

    (void)state;
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 0), 1);
    assert_int_equal(byte_after(GY_SIM_CRASH_ALL, "/a", 0), 2);
    assert_in_range(count_torn(512, &zeroed), DRAWS / 20, DRAWS);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 0), 1);
    assert_int_equal(finish(op), GY_PAGE);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 0), 2);
}

/* Goal:   of several unsynced versions of a sector any one may be what is found. */
static void
sim_disk_any_unsynced_version_of_a_sector_may_survive(void **state)
{
    const uint32_t ino = make_durable("a", 512, 0);
    uint32_t seen[4] = {0, 0, 0, 0};

    (void)state;
    for (uint8_t version = 1; version < 4; version++) {
        put(ino, 0, 512, version);
    }
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        struct gy_sim_disk *after = crash(GY_SIM_CRASH_RANDOM, seed);
        uint8_t byte = 9;

        assert_int_equal(gy_sim_disk_peek(after, "/a", 0, &byte, 1), 1);
        assert_in_range(byte, 0, 3);
        seen[byte]++;
        gy_sim_disk_free(after);
    }
    assert_true(seen[0] > 0 && seen[1] > 0 && seen[2] > 0 && seen[3] > 0);
}

/* Goal:   a killed process leaves all completed writes and the staging memory, but they are no more
 *         durable than before; a power cut takes the staging memory and begins another boot. */
static void
sim_disk_kill_keeps_what_a_power_cut_drops(void **state)
{
    const uint64_t id[2] = {7, 8};
    const uint32_t ino = make_durable("a", 512, 1);
    struct gy_stage stage;
    struct gy_sim_disk *killed;
    struct gy_sim_disk *cut;
    struct gy_rng rng;
    uint8_t byte = 0;

    (void)state;
    put(ino, 0, 512, 2);
    assert_int_equal(gy_sim_stage_open(disk, &stage, id), -ENOENT);
    assert_int_equal(gy_sim_stage_create(disk, &stage, id, 2 * GY_PAGE), 0);
    assert_int_equal((uintptr_t)stage.base % GY_PAGE, 0);
    memset(stage.base, 0x5a, stage.size);
    killed = crash(GY_SIM_CRASH_KILL, 1);
    memset(stage.base, 0, stage.size); /* the copy has its own */

    assert_int_equal(gy_sim_disk_peek(killed, "/a", 0, &byte, 1), 1);
    assert_int_equal(byte, 2);
    assert_int_equal(gy_sim_stage_open(killed, &stage, id), 0);
    assert_int_equal(((uint8_t *)stage.base)[2 * GY_PAGE - 1], 0x5a);
    assert_int_equal(killed->boot_count, disk->boot_count);

    gy_rng_init(&rng, 1);
    cut = gy_sim_disk_crash(killed, &rng, GY_SIM_CRASH_NONE);
    assert_int_equal(gy_sim_disk_peek(cut, "/a", 0, &byte, 1), 1);
    assert_int_equal(byte, 1);
    assert_int_equal(gy_sim_stage_open(cut, &stage, id), -ENOENT);
    assert_int_not_equal(cut->boot_count, disk->boot_count);
    gy_sim_disk_free(cut);
    gy_sim_disk_free(killed);
}

/* Goal:   requests in flight at a kill happened or not, by chance, and are then over. */
static void
sim_disk_kill_decides_requests_in_flight(void **state)
{
    const uint32_t ino = make_durable("a", GY_PAGE, 1);
    struct gy_sim_op *op = begin(GY_OP_WRITE, ino, 0, 0, GY_PAGE, 2);
    uint32_t written = 0;

    (void)state;
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        struct gy_sim_disk *after = crash(GY_SIM_CRASH_KILL, seed);
        uint8_t byte = 0;

        assert_int_equal(gy_sim_disk_peek(after, "/a", 0, &byte, 1), 1);
        written += byte == 2;
        assert_true(gy_list_is_empty(&after->in_flight));
        gy_sim_disk_free(after);
    }
    assert_in_range(written, 1, DRAWS - 1);
    assert_int_equal(finish(op), GY_PAGE);
}

/* Goal:   copies are independent of the original and of each other, and cost almost nothing. */
static void
sim_disk_copies_are_independent_and_cheap(void **state)
{
    const uint32_t ino = make_durable("a", 16 * GY_PAGE, 1);
    struct gy_sim_disk *copy;
    uint64_t used;
    uint64_t hash;

    (void)state;
    for (uint32_t i = 1; i < 16; i++) { /* 1 MiB in all */
        put(ino, i * 16ull * GY_PAGE, 16 * GY_PAGE, (uint8_t)i);
    }
    hash = gy_sim_disk_hash(disk);
    used = heap.used;
    copy = gy_sim_disk_clone(disk);
    assert_in_range(heap.used - used, 1, 4096);
    assert_int_equal(gy_sim_disk_hash(copy), hash);
    assert_int_equal(gy_sim_disk_pending_count(copy), gy_sim_disk_pending_count(disk));

    put(ino, 0, 512, 9);
    name_op(GY_OP_UNLINK, "a", "");
    assert_int_equal(gy_sim_disk_hash(copy), hash);
    assert_int_equal(gy_sim_disk_poke(copy, "/b", 0, "x", 1), 1);
    assert_int_equal(gy_sim_disk_file_size(disk, "/b"), -ENOENT);
    assert_int_equal(gy_sim_disk_file_size(disk, "/a"), -ENOENT);
    assert_int_equal(gy_sim_disk_file_size(copy, "/a"), 1 << 20);
    gy_sim_disk_free(copy);
}

/* Goal:   D4: what a failed sync should have covered is not durable, and the next sync that
 *         succeeds does not make it so; writing it again does. */
static void
sim_disk_failed_sync_is_not_made_good_by_the_next(void **state)
{
    const uint32_t ino = make_durable("a", 512, 1);
    struct gy_sim_op *sync;

    (void)state;
    put(ino, 0, 512, 2);
    sync = begin(GY_OP_SYNC, ino, 0, 0, 0, 0);
    gy_sim_file_sync_failed(disk, ino, sync->seq);
    gy_sim_op_end(disk, sync);
    sync_ino(ino);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 0), 1);
    assert_int_equal(byte_after(GY_SIM_CRASH_KILL, "/a", 0), 2);
    put(ino, 0, 512, 3);
    sync_ino(ino);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 0), 3);
    assert_int_equal(gy_sim_disk_pending_count(disk), 0);
}

/* Goal:   a truncate is pending like a write: old bytes may come back until a sync. */
static void
sim_disk_truncate_is_pending_until_a_sync(void **state)
{
    const uint32_t ino = make_durable("a", 2 * GY_PAGE, 1);

    (void)state;
    assert_int_equal(finish(begin(GY_OP_TRUNCATE, ino, 0, 100, 0, 0)), 0);
    assert_int_equal(finish(begin(GY_OP_TRUNCATE, ino, 0, 2 * GY_PAGE, 0, 0)), 0);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", GY_PAGE), 1);
    assert_int_equal(byte_after(GY_SIM_CRASH_ALL, "/a", 99), 1);
    assert_int_equal(byte_after(GY_SIM_CRASH_ALL, "/a", 100), 0);
    assert_int_equal(byte_after(GY_SIM_CRASH_ALL, "/a", GY_PAGE), 0);
    sync_ino(ino);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 100), 0);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/a"), 2 * GY_PAGE);
}

/* Goal:   a full disk refuses new pages, takes overwrites, and gets its space back from a file that
 *         has neither a name nor a reader. */
static void
sim_disk_capacity_counts_pages_of_reachable_files(void **state)
{
    const uint32_t a = make_durable("a", 2 * GY_PAGE, 1);
    const uint32_t b = make_file("b");

    (void)state;
    gy_sim_disk_set_capacity(disk, 4 * GY_PAGE);
    assert_int_equal(gy_sim_disk_used_bytes(disk), 2 * GY_PAGE);
    assert_int_equal(finish(begin(GY_OP_WRITE, b, 0, 0, 3 * GY_PAGE, 2)), 2 * GY_PAGE);
    assert_int_equal(finish(begin(GY_OP_WRITE, b, 0, 2 * GY_PAGE, GY_PAGE, 2)), -ENOSPC);
    assert_int_equal(finish(begin(GY_OP_ALLOCATE, b, 0, 3 * GY_PAGE, 0, 0)), -ENOSPC);
    assert_int_equal(gy_sim_disk_file_size(disk, "/b"), 2 * GY_PAGE);
    put(a, 0, 2 * GY_PAGE, 3);
    gy_sim_disk_open_slot(disk, a);
    assert_int_equal(name_op(GY_OP_UNLINK, "a", ""), 0);
    assert_int_equal(gy_sim_disk_free_bytes(disk), 0);
    gy_sim_disk_close_slot(disk, a, 1);
    assert_int_equal(gy_sim_disk_free_bytes(disk), 2 * GY_PAGE);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/a"), 2 * GY_PAGE); /* not yet synced away */
}

/* Goal:   reserving more than there is is refused, and keeps what there was, size included (as ext4
 *         does); nothing that was there before is lost. */
static void
sim_disk_refused_allocate_keeps_what_it_got(void **state)
{
    const uint32_t a = make_durable("a", 2 * GY_PAGE, 1);

    (void)state;
    gy_sim_disk_set_capacity(disk, 5 * GY_PAGE);
    assert_int_equal(finish(begin(GY_OP_ALLOCATE, a, 0, 9 * GY_PAGE, 0, 0)), -ENOSPC);
    assert_int_equal(gy_sim_disk_file_size(disk, "/a"), 5 * GY_PAGE);
    assert_int_equal(gy_sim_disk_free_bytes(disk), 0);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/a", 100), 1);
    assert_int_equal(finish(begin(GY_OP_ALLOCATE, a, 0, 4 * GY_PAGE, 0, 0)), 0);
    assert_int_equal(gy_sim_disk_file_size(disk, "/a"), 5 * GY_PAGE);
}

/* Goal:   the oracle says "durable" exactly when no crash can change name or bytes.
 * Method: each step of creating a file, and the crashes that contradict a wrong answer. */
static void
sim_disk_durable_oracle_follows_each_rule(void **state)
{
    const uint32_t ino = make_file("a");

    (void)state;
    put(ino, 0, 1024, 1);
    assert_false(gy_sim_disk_is_durable(disk, "/a", 0, 1024));
    sync_ino(ino);
    assert_false(gy_sim_disk_is_durable(disk, "/a", 0, 1024)); /* the name */
    sync_ino(GY_SIM_ROOT);
    assert_true(gy_sim_disk_is_durable(disk, "/a", 0, 1024));
    assert_false(gy_sim_disk_is_durable(disk, "/a", 0, 1025)); /* past the end */
    put(ino, 512, 512, 2);
    assert_true(gy_sim_disk_is_durable(disk, "/a", 0, 512));
    assert_false(gy_sim_disk_is_durable(disk, "/a", 0, 513));
    put(ino, 512, 512, 1); /* the bytes of before, but the version between may survive */
    assert_false(gy_sim_disk_is_durable(disk, "/a", 512, 512));
    put_dsync(ino, 512, 512, 2);
    assert_true(gy_sim_disk_is_durable(disk, "/a", 0, 1024));
    assert_int_equal(finish(begin(GY_OP_TRUNCATE, ino, 0, 600, 0, 0)), 0);
    assert_true(gy_sim_disk_is_durable(disk, "/a", 0, 600));
    put_dsync(ino, 0, 1024, 0);
    assert_int_equal(finish(begin(GY_OP_TRUNCATE, ino, 0, 512, 0, 0)), 0);
    assert_int_equal(finish(begin(GY_OP_TRUNCATE, ino, 0, 1024, 0, 0)), 0);
    assert_false(gy_sim_disk_is_durable(disk, "/a", 0, 1024)); /* the size between may survive */
    assert_int_equal(name_op(GY_OP_RENAME, "a", "b"), 0);
    assert_false(gy_sim_disk_is_durable(disk, "/b", 0, 512));
    sync_ino(GY_SIM_ROOT);
    assert_true(gy_sim_disk_is_durable(disk, "/b", 0, 512));
}

/* A naive disk of 16 sectors: each holds the values that may be found after a crash. */
#define MODEL_SECTORS 16u
#define MODEL_VALUES 64u

struct model {
    uint8_t values[MODEL_SECTORS][MODEL_VALUES]; /* [0] is durable, the rest pending in order */
    uint32_t counts[MODEL_SECTORS];
};

static void
model_check(const struct model *model, uint64_t seed)
{
    static const enum gy_sim_crash modes[] = {GY_SIM_CRASH_NONE, GY_SIM_CRASH_ALL,
                                              GY_SIM_CRASH_RANDOM};

    for (uint32_t m = 0; m < 3; m++) {
        struct gy_sim_disk *after = crash(modes[m], seed);
        uint8_t bytes[MODEL_SECTORS * 512];

        assert_int_equal(gy_sim_disk_peek(after, "/a", 0, bytes, sizeof(bytes)), sizeof(bytes));
        for (uint32_t s = 0; s < MODEL_SECTORS; s++) {
            const uint8_t found = bytes[s * 512];
            const uint8_t last = model->values[s][model->counts[s] - 1];

            if (modes[m] == GY_SIM_CRASH_NONE) {
                assert_int_equal(found, model->values[s][0]);
            } else if (modes[m] == GY_SIM_CRASH_ALL) {
                assert_int_equal(found, last);
            } else if (found != 0 || model->counts[s] == 1) { /* D6: what was being written */
                assert_non_null(memchr(model->values[s], found, model->counts[s]));
            }
        }
        gy_sim_disk_free(after);
    }
}

/* Goal:   for any mix of writes, DSYNC writes and syncs, a crash finds in each sector a value that
 *         the rules allow: the durable one or one written later.
 * Method: a model that knows nothing of pages, versions or sharing; copies are held on the way, so
 *         that sharing is exercised. */
static void
sim_disk_crash_agrees_with_a_naive_model(void **state)
{
    struct gy_sim_disk *held[8] = {NULL};
    struct model model;
    struct gy_rng rng;
    const uint32_t ino = make_durable("a", MODEL_SECTORS * 512, 0);

    (void)state;
    memset(&model, 0, sizeof(model));
    gy_rng_init(&rng, 42);
    for (uint32_t s = 0; s < MODEL_SECTORS; s++) {
        model.counts[s] = 1;
    }
    for (uint32_t step = 1; step <= 2000; step++) {
        const uint64_t choice = gy_rng_below(&rng, 10);
        const uint32_t first = (uint32_t)gy_rng_below(&rng, MODEL_SECTORS);
        const uint32_t count = 1 + (uint32_t)gy_rng_below(&rng, MODEL_SECTORS - first);
        const uint8_t value = (uint8_t)step;
        bool is_full = false;

        for (uint32_t s = 0; s < MODEL_SECTORS; s++) {
            is_full = is_full || model.counts[s] == MODEL_VALUES;
        }
        if (choice == 0 || is_full) {
            sync_ino(ino);
            for (uint32_t s = 0; s < MODEL_SECTORS; s++) {
                model.values[s][0] = model.values[s][model.counts[s] - 1];
                model.counts[s] = 1;
            }
        } else if (choice < 3) {
            put_dsync(ino, first * 512, count * 512, value);
            for (uint32_t s = first; s < first + count; s++) {
                model.values[s][0] = value;
                model.counts[s] = 1;
            }
        } else {
            put(ino, first * 512, count * 512, value);
            for (uint32_t s = first; s < first + count; s++) {
                model.values[s][model.counts[s]] = value;
                model.counts[s]++;
            }
        }
        gy_sim_disk_free(held[step % 8]);
        held[step % 8] = gy_sim_disk_clone(disk);
        model_check(&model, step);
    }
    for (uint32_t i = 0; i < 8; i++) {
        gy_sim_disk_free(held[i]);
    }
}

/* Goal:   the same draw of the same disk gives the same crash; other draws give others. */
static void
sim_disk_crash_is_a_function_of_its_draw(void **state)
{
    uint32_t differing = 0;
    const uint32_t ino = make_durable("a", 4 * GY_PAGE, 1);

    (void)state;
    put(ino, 0, 4 * GY_PAGE, 2);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct gy_sim_disk *one = crash(GY_SIM_CRASH_RANDOM, seed);
        struct gy_sim_disk *two = crash(GY_SIM_CRASH_RANDOM, seed);
        struct gy_sim_disk *other = crash(GY_SIM_CRASH_RANDOM, seed + 1000);

        assert_int_equal(gy_sim_disk_hash(one), gy_sim_disk_hash(two));
        differing += gy_sim_disk_hash(one) != gy_sim_disk_hash(other);
        gy_sim_disk_free(one);
        gy_sim_disk_free(two);
        gy_sim_disk_free(other);
    }
    assert_in_range(differing, 10, 20);
}

/* Goal:   damage done from outside is durable, and lands where it was aimed. */
static void
sim_disk_poke_and_resize_are_durable(void **state)
{
    (void)state;
    assert_int_equal(gy_sim_disk_make_dir(disk, "/d"), 0);
    assert_int_equal(gy_sim_disk_poke(disk, "/d/x", 1000, "abc", 3), 3);
    assert_int_equal(gy_sim_disk_file_size(disk, "/d/x"), 1003);
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/d/x", 1002), 'c');
    assert_int_equal(byte_after(GY_SIM_CRASH_NONE, "/d/x", 0), 0);
    assert_int_equal(gy_sim_disk_resize(disk, "/d/x", 1001), 0);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/d/x"), 1001);
    assert_int_equal(gy_sim_disk_remove(disk, "/d/x"), 0);
    assert_int_equal(size_after(GY_SIM_CRASH_NONE, "/d/x"), -ENOENT);
    assert_int_equal(gy_sim_disk_poke(disk, "/none/x", 0, "a", 1), -ENOENT);
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(sim_disk_unsynced_write_is_lost_or_kept_by_mode),
        T(sim_disk_sync_covers_only_writes_completed_before_its_submission),
        T(sim_disk_sync_covers_only_earlier_sizes_and_names),
        T(sim_disk_dsync_covers_only_its_own_sectors),
        T(sim_disk_dsync_survives_older_pending_changes),
        T(sim_disk_dsync_after_truncate_leaves_the_size_to_the_sync),
        T(sim_disk_bytes_live_while_anything_refers_to_them),
        T(sim_disk_name_and_bytes_are_durable_apart),
        T(sim_disk_new_directory_needs_a_sync_of_its_parent),
        T(sim_disk_rename_is_atomic_in_every_crash),
        T(sim_disk_unsynced_names_survive_in_any_subset),
        T(sim_disk_size_survives_apart_from_bytes),
        T(sim_disk_write_tears_between_sectors),
        cmocka_unit_test_setup_teardown(sim_disk_page_does_not_tear_when_it_is_one_sector,
                                        setup_4096, teardown),
        T(sim_disk_write_in_flight_may_have_happened_in_any_part),
        T(sim_disk_any_unsynced_version_of_a_sector_may_survive),
        T(sim_disk_kill_keeps_what_a_power_cut_drops),
        T(sim_disk_kill_decides_requests_in_flight),
        T(sim_disk_copies_are_independent_and_cheap),
        T(sim_disk_failed_sync_is_not_made_good_by_the_next),
        T(sim_disk_truncate_is_pending_until_a_sync),
        T(sim_disk_capacity_counts_pages_of_reachable_files),
        T(sim_disk_refused_allocate_keeps_what_it_got),
        T(sim_disk_durable_oracle_follows_each_rule),
        T(sim_disk_crash_agrees_with_a_naive_model),
        T(sim_disk_crash_is_a_function_of_its_draw),
        T(sim_disk_poke_and_resize_are_durable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
