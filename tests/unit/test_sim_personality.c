/* test_sim_personality.c - what the journals of EXT4 and XFS keep at a crash (sim_disk.h, J1 to
 * J4), and that STRICT keeps none of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "io/base/bits.h"
#include "io/base/heap.h"
#include "io/sim/sim_state.h"

#define DRAWS 300u

static struct gy_heap heap;
static struct gy_sim_disk *disk;

static void
begin_disk(enum gy_sim_personality personality)
{
    const struct gy_sim_disk_config config = {.personality = personality};

    gy_heap_init(&heap, UINT64_MAX);
    disk = gy_sim_disk_make(&config, &heap);
}

static void
end_disk(void)
{
    gy_sim_disk_free(disk);
    assert_int_equal(heap.used, 0);
}

static int32_t
run_op(const struct gy_sim_op *wanted, uint8_t fill)
{
    static uint8_t bytes[16 * GY_PAGE];
    struct gy_sim_op *op;
    int32_t result;

    memset(bytes, fill, sizeof(bytes));
    op = gy_sim_op_begin(disk, wanted, bytes);
    result = gy_sim_op_apply(disk, op);
    gy_sim_op_end(disk, op);
    return result;
}

static void
put(uint32_t ino, uint64_t offset, uint32_t size, uint8_t fill)
{
    const struct gy_sim_op op = {.op = GY_OP_WRITE, .ino = ino, .offset = offset, .size = size};

    assert_int_equal(run_op(&op, fill), size);
}

static void
sync_ino(uint32_t ino)
{
    const struct gy_sim_op op = {.op = GY_OP_SYNC, .ino = ino};

    assert_int_equal(run_op(&op, 0), 0);
}

static int32_t
name_op(enum gy_op kind, const char *name, const char *name_new)
{
    struct gy_sim_op op = {.op = (uint8_t)kind, .flags = GY_OPEN_CREATE | GY_OPEN_WRITE};

    memcpy(op.name, name, strlen(name) + 1);
    memcpy(op.name_new, name_new, strlen(name_new) + 1);
    return run_op(&op, 0);
}

static uint32_t
make_file(const char *name)
{
    const int32_t ino = name_op(GY_OP_OPEN, name, "");

    assert_true(ino > 0);
    return (uint32_t)ino;
}

static struct gy_sim_disk *
crash(enum gy_sim_crash mode, uint64_t seed)
{
    struct gy_rng rng;

    gy_rng_init(&rng, seed);
    return gy_sim_disk_crash(disk, &rng, mode);
}

static int
byte_in(const struct gy_sim_disk *after, const char *path, uint64_t offset)
{
    uint8_t byte = 0;
    const int64_t got = gy_sim_disk_peek(after, path, offset, &byte, 1);

    return got == 1 ? byte : got == 0 ? -1 : (int)got;
}

/* The file's first byte after a cut that leaves only what is durable. */
static int
durable_byte(const char *path)
{
    struct gy_sim_disk *after = crash(GY_SIM_CRASH_NONE, 1);
    const int byte = byte_in(after, path, 0);

    gy_sim_disk_free(after);
    return byte;
}

/* Goal:   J1: names and sizes of the whole disk survive in the order in which they were made.
 * Method: five changes in two directories and on two files; the ones that are found are always the
 *         first ones, and every number of them is found. STRICT finds other sets too. */
static uint32_t
found_changes(const struct gy_sim_disk *after)
{
    return (gy_sim_disk_file_size(after, "/a") >= 0 ? 1u : 0u) |
           (gy_sim_disk_file_size(after, "/a") >= 100 ? 2u : 0u) |
           (gy_sim_disk_file_size(after, "/d/b") >= 0 ? 4u : 0u) |
           (gy_sim_disk_file_size(after, "/d/b") >= 100 ? 8u : 0u) |
           (gy_sim_disk_file_size(after, "/c") >= 0 ? 16u : 0u);
}

static uint32_t
sets_found(enum gy_sim_personality personality)
{
    uint32_t seen = 0;
    struct gy_sim_op op = {.op = GY_OP_OPEN, .flags = GY_OPEN_CREATE | GY_OPEN_WRITE, .name = "b"};

    begin_disk(personality);
    assert_int_equal(gy_sim_disk_make_dir(disk, "/d"), 0);
    put(make_file("a"), 0, 100, 1);
    op.ino = (uint32_t)gy_sim_fs_find(disk, "/d");
    put((uint32_t)run_op(&op, 0), 0, 100, 1);
    (void)make_file("c");
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        struct gy_sim_disk *after = crash(GY_SIM_CRASH_RANDOM, seed);

        seen |= 1u << found_changes(after);
        gy_sim_disk_free(after);
    }
    end_disk();
    return seen;
}

static void
sim_journal_keeps_names_and_sizes_in_order(void **state)
{
    const uint32_t beginnings = 1u << 0 | 1u << 1 | 1u << 3 | 1u << 7 | 1u << 15 | 1u << 31;
    (void)state;

    assert_int_equal(sets_found(GY_SIM_EXT4), beginnings);
    assert_int_equal(sets_found(GY_SIM_XFS), beginnings);
    assert_int_not_equal(sets_found(GY_SIM_STRICT) & ~beginnings, 0);
}

/* Goal:   J2: the first sync of a new file keeps its name; on EXT4 also what was changed after it
 *         on other files, on XFS only what was changed before. A sync of bytes alone keeps no name.
 */
static void
sim_journal_sync_of_a_file_keeps_its_name(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        const enum gy_sim_personality personality = (enum gy_sim_personality)i;
        uint32_t ino;

        begin_disk(personality);
        (void)make_file("before");
        ino = make_file("a");
        put(ino, 0, 100, 1);
        (void)make_file("after");
        sync_ino(ino);
        assert_int_equal(durable_byte("/a"), personality == GY_SIM_STRICT ? -ENOENT : 1);
        assert_int_equal(durable_byte("/before"), personality == GY_SIM_STRICT ? -ENOENT : -1);
        assert_int_equal(durable_byte("/after"), personality == GY_SIM_EXT4 ? -1 : -ENOENT);
        sync_ino(GY_SIM_ROOT);
        (void)make_file("later");
        put(ino, 0, 100, 2);
        sync_ino(ino);
        assert_int_equal(durable_byte("/a"), 2);
        assert_int_equal(durable_byte("/later"), -ENOENT);
        end_disk();
    }
}

/* Goal:   J3: a size that survives brings its bytes; STRICT shows zeros there at times. */
static uint32_t
count_holes(enum gy_sim_personality personality)
{
    uint32_t holes = 0;
    uint32_t grown = 0;
    uint32_t ino;

    begin_disk(personality);
    ino = make_file("a");
    put(ino, 0, 512, 1);
    sync_ino(ino);
    sync_ino(GY_SIM_ROOT);
    put(ino, 512, 2 * GY_PAGE, 2);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        struct gy_sim_disk *after = crash(GY_SIM_CRASH_RANDOM, seed);

        assert_int_equal(byte_in(after, "/a", 0), 1);
        if (gy_sim_disk_file_size(after, "/a") > 512) {
            grown++;
            for (uint32_t at = 512; at < 512 + 2 * GY_PAGE; at += 512) {
                holes += byte_in(after, "/a", at) != 2;
            }
        }
        gy_sim_disk_free(after);
    }
    assert_in_range(grown, DRAWS / 8, DRAWS - DRAWS / 8);
    end_disk();
    return holes;
}

static void
sim_journal_size_brings_its_bytes(void **state)
{
    (void)state;
    assert_int_equal(count_holes(GY_SIM_EXT4), 0);
    assert_int_equal(count_holes(GY_SIM_XFS), 0);
    assert_true(count_holes(GY_SIM_STRICT) > 0);
}

/* Goal:   J4: write a new file and rename it over the old one without a sync: EXT4 finds the old or
 *         the new bytes, XFS and STRICT at times neither. A rename is still one or the other. */
static uint32_t
count_neither(enum gy_sim_personality personality)
{
    uint32_t neither = 0;
    uint32_t ino;

    begin_disk(personality);
    ino = make_file("x");
    put(ino, 0, 512, 1);
    sync_ino(ino);
    sync_ino(GY_SIM_ROOT);
    ino = make_file("tmp");
    put(ino, 0, 512, 3);
    sync_ino(ino);
    put(ino, 0, 512, 2); /* within the size: J3 says nothing of it */
    assert_int_equal(name_op(GY_OP_RENAME, "tmp", "x"), 0);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        struct gy_sim_disk *after = crash(GY_SIM_CRASH_RANDOM, seed);
        const int byte = byte_in(after, "/x", 0);

        assert_in_range(byte, 0, 3); /* there is always a file of that name */
        neither += byte != 1 && byte != 2;
        gy_sim_disk_free(after);
    }
    end_disk();
    return neither;
}

static void
sim_journal_of_ext4_writes_what_replaces(void **state)
{
    (void)state;
    assert_int_equal(count_neither(GY_SIM_EXT4), 0);
    assert_true(count_neither(GY_SIM_XFS) > 0);
    assert_true(count_neither(GY_SIM_STRICT) > 0);
}

/* Goal:   what was synced is found, with every personality: in STRICT to the byte, with a journal
 *         that or something written later.
 * Method: random writes to four files, each write a larger value; syncs of file and directory. */
#define FILES 4u

struct written {
    int now[FILES];    /* the last value at the beginning of the file */
    int synced[FILES]; /* the same when it was synced last; -1 = never */
};

static void
random_writes(uint64_t seed, const uint32_t inos[FILES], struct written *written)
{
    struct gy_rng rng;

    gy_rng_init(&rng, seed);
    for (uint32_t step = 1; step < 60; step++) {
        const uint32_t file = (uint32_t)gy_rng_below(&rng, FILES);

        if (gy_rng_below(&rng, 3) == 0) {
            sync_ino(inos[file]);
            sync_ino(GY_SIM_ROOT);
            written->synced[file] = written->now[file];
        } else {
            put(inos[file], 0, 512 + 512 * (uint32_t)gy_rng_below(&rng, 4), (uint8_t)step);
            written->now[file] = (int)step;
        }
    }
}

static void
check_written(enum gy_sim_personality personality, uint64_t seed)
{
    static const char *const names[FILES] = {"a", "b", "c", "d"};
    struct written written = {.now = {-1, -1, -1, -1}, .synced = {-1, -1, -1, -1}};
    uint32_t inos[FILES];

    begin_disk(personality);
    for (uint32_t i = 0; i < FILES; i++) {
        inos[i] = make_file(names[i]);
    }
    random_writes(seed, inos, &written);
    for (uint32_t i = 0; i < FILES; i++) {
        const int found = durable_byte(names[i]);

        if (written.synced[i] < 0) {
            continue;
        }
        assert_true(personality == GY_SIM_STRICT
                        ? found == written.synced[i]
                        : found >= written.synced[i] && found <= written.now[i]);
    }
    for (uint32_t i = 0; i < FILES; i++) {
        sync_ino(inos[i]);
    }
    sync_ino(GY_SIM_ROOT);
    for (uint32_t i = 0; i < FILES; i++) {
        assert_int_equal(durable_byte(names[i]), written.now[i]);
    }
    assert_int_equal(gy_sim_disk_pending_count(disk), 0);
    end_disk();
}

static void
sim_journal_keeps_what_was_synced(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        check_written(GY_SIM_STRICT, seed);
        check_written(GY_SIM_EXT4, seed);
        check_written(GY_SIM_XFS, seed);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sim_journal_keeps_names_and_sizes_in_order),
        cmocka_unit_test(sim_journal_sync_of_a_file_keeps_its_name),
        cmocka_unit_test(sim_journal_size_brings_its_bytes),
        cmocka_unit_test(sim_journal_of_ext4_writes_what_replaces),
        cmocka_unit_test(sim_journal_keeps_what_was_synced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
