/* world_contract_names.c - the part of the contract suite about names: open, rename, unlink, link,
 * list, lock, slots. */
#include "tests/support/world_contract_parts.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "io/base/bits.h"
#include "tests/support/world_calls.h"

/* Goal:   the flags of OPEN mean what they say. */
void
world_open_reports_missing_and_existing_names(void **state)
{
    struct world_bench *b = *state;
    int32_t slot;

    assert_int_equal(world_open(b->world, b->dir, "nothing", 0), -ENOENT);
    assert_int_equal(world_open(b->world, b->dir, "nothing", GY_OPEN_WRITE), -ENOENT);
    assert_int_equal(world_open(b->world, b->dir, "nothing", GY_OPEN_DIRECTORY), -ENOENT);
    slot = world_contract_make_file(b, "x", GY_PAGE, 2);
    assert_int_equal(world_close(b->world, slot), 0);
    assert_int_equal(world_open(b->world, b->dir, "x", WORLD_WRITE_NEW), -EEXIST);
    slot = world_open(b->world, b->dir, "x", GY_OPEN_WRITE | GY_OPEN_CREATE);
    assert_true(slot >= 0);
    world_contract_assert_pattern(b, slot, GY_PAGE, 2); /* opening does not empty it */
    assert_int_equal(world_close(b->world, slot), 0);
    slot = world_open(b->world, b->dir, "x", GY_OPEN_BUFFERED);
    assert_true(slot >= 0);
    world_contract_assert_pattern(b, slot, GY_PAGE, 2);
    assert_int_equal(world_close(b->world, slot), 0);
}

/* Goal:   directories and files are not taken for each other, and a name is one component. */
void
world_open_refuses_wrong_kinds_and_names(void **state)
{
    struct world_bench *b = *state;
    const int32_t slot = world_contract_make_file(b, "file", GY_PAGE, 2);

    assert_int_equal(world_close(b->world, slot), 0);
    assert_int_equal(world_open(b->world, b->dir, "file", GY_OPEN_DIRECTORY), -ENOTDIR);
    assert_int_equal(world_name_op(b->world, GY_OP_MKDIR, b->dir, "sub", NULL), 0);
    assert_int_equal(world_name_op(b->world, GY_OP_MKDIR, b->dir, "sub", NULL), -EEXIST);
    assert_true(world_open(b->world, b->dir, "sub", 0) < 0);
    assert_true(world_open(b->world, b->dir, "sub", GY_OPEN_WRITE) < 0);
    assert_true(world_open(b->world, b->dir, "../file", 0) < 0);
    assert_true(world_open(b->world, b->dir, "..", GY_OPEN_DIRECTORY) < 0);
    assert_true(world_open(b->world, b->dir, "sub/new", WORLD_WRITE_NEW) < 0);
    assert_true(world_open(b->world, b->dir, "", 0) < 0);
}

/* Goal:   rename takes the place of what was there, in one step, and needs a source. */
void
world_rename_replaces(void **state)
{
    struct world_bench *b = *state;
    int32_t slot = world_contract_make_file(b, "CURRENT", GY_PAGE, 1);
    const int32_t slot_new = world_contract_make_file(b, "CURRENT.tmp", GY_PAGE, 2);

    assert_int_equal(world_name_op(b->world, GY_OP_RENAME, b->dir, "CURRENT.tmp", "CURRENT"), 0);
    world_contract_assert_pattern(b, slot, GY_PAGE, 1); /* an open file stays what it was */
    assert_int_equal(world_close(b->world, slot), 0);
    assert_int_equal(world_close(b->world, slot_new), 0);
    assert_int_equal(world_open(b->world, b->dir, "CURRENT.tmp", 0), -ENOENT);
    slot = world_open(b->world, b->dir, "CURRENT", 0);
    world_contract_assert_pattern(b, slot, GY_PAGE, 2);
    assert_int_equal(world_close(b->world, slot), 0);
    assert_int_equal(world_name_op(b->world, GY_OP_RENAME, b->dir, "CURRENT.tmp", "CURRENT"),
                     -ENOENT);
}

/* Goal:   an unlinked file is readable through its slot until that is closed. */
void
world_unlink_leaves_open_files_readable(void **state)
{
    struct world_bench *b = *state;
    const int32_t slot = world_contract_make_file(b, "t", 4 * GY_PAGE, 8);

    assert_int_equal(world_name_op(b->world, GY_OP_UNLINK, b->dir, "t", NULL), 0);
    assert_int_equal(world_open(b->world, b->dir, "t", 0), -ENOENT);
    assert_int_equal(world_name_op(b->world, GY_OP_UNLINK, b->dir, "t", NULL), -ENOENT);
    world_contract_assert_pattern(b, slot, 4 * GY_PAGE, 8);
    assert_int_equal(world_close(b->world, slot), 0);
}

static int32_t
remove_directory(struct world_bench *b, const char *name)
{
    struct gy_req req = world_req(GY_OP_UNLINK, GY_IO_META);

    req.flags = GY_UNLINK_DIRECTORY;
    req.dir = b->dir;
    req.name = name;
    return world_call(b->world, &req);
}

/* Goal:   a directory goes only when it is asked for as one and empty; a file is not taken for
 *         one. */
void
world_unlink_removes_empty_directories(void **state)
{
    struct world_bench *b = *state;
    int32_t sub;

    assert_int_equal(world_close(b->world, world_contract_make_file(b, "f", GY_PAGE, 1)), 0);
    assert_int_equal(world_name_op(b->world, GY_OP_MKDIR, b->dir, "sub", NULL), 0);
    sub = world_open(b->world, b->dir, "sub", GY_OPEN_DIRECTORY);
    assert_true(sub >= 0);
    assert_int_equal(world_link(b->world, b->dir, "f", (uint32_t)sub, "in"), 0);
    assert_int_equal(world_name_op(b->world, GY_OP_UNLINK, b->dir, "sub", NULL), -EISDIR);
    assert_int_equal(remove_directory(b, "sub"), -ENOTEMPTY);
    assert_int_equal(world_name_op(b->world, GY_OP_UNLINK, (uint32_t)sub, "in", NULL), 0);
    assert_int_equal(world_close(b->world, sub), 0);
    assert_int_equal(remove_directory(b, "sub"), 0);
    assert_int_equal(remove_directory(b, "sub"), -ENOENT);
    assert_int_equal(remove_directory(b, "f"), -ENOTDIR);
    assert_int_equal(world_open(b->world, b->dir, "sub", GY_OPEN_DIRECTORY), -ENOENT);
}

/* Goal:   a hard link is the same file under another name, in another directory too. */
void
world_link_shares_the_file(void **state)
{
    struct world_bench *b = *state;
    int32_t slot = world_contract_make_file(b, "one", GY_PAGE, 4);
    int32_t sub;

    assert_int_equal(world_close(b->world, slot), 0);
    assert_int_equal(world_name_op(b->world, GY_OP_MKDIR, b->dir, "copy", NULL), 0);
    sub = world_open(b->world, b->dir, "copy", GY_OPEN_DIRECTORY);
    assert_true(sub >= 0);
    assert_int_equal(world_link(b->world, b->dir, "one", (uint32_t)sub, "two"), 0);
    assert_int_equal(world_link(b->world, b->dir, "one", (uint32_t)sub, "two"), -EEXIST);
    assert_int_equal(world_link(b->world, b->dir, "none", (uint32_t)sub, "three"), -ENOENT);
    assert_int_equal(world_name_op(b->world, GY_OP_UNLINK, b->dir, "one", NULL), 0);
    slot = world_open(b->world, (uint32_t)sub, "two", 0);
    assert_true(slot >= 0);
    world_contract_assert_pattern(b, slot, GY_PAGE, 4);
    assert_int_equal(world_close(b->world, slot), 0);
    assert_int_equal(world_close(b->world, sub), 0);
}

struct seen {
    uint32_t files;
    uint32_t others;
    bool has_a;
    bool has_d;
};

static void
see(void *arg, const char *name, bool is_regular)
{
    struct seen *seen = arg;

    seen->files += is_regular;
    seen->others += !is_regular;
    seen->has_a |= strcmp(name, "a") == 0 && is_regular;
    seen->has_d |= strcmp(name, "d") == 0 && !is_regular;
}

/* Goal:   list names everything once, without "." and "..", and tells files from the rest; more
 *         than one buffer full of them. */
void
world_list_names_everything_once(void **state)
{
    enum { COUNT = 120 };
    struct world_bench *b = *state;

    assert_int_equal(world_close(b->world, world_contract_make_file(b, "a", GY_PAGE, 1)), 0);
    assert_int_equal(world_name_op(b->world, GY_OP_MKDIR, b->dir, "d", NULL), 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "some-long-name-%04u", i);
        assert_int_equal(world_close(b->world, world_open(b->world, b->dir, name, WORLD_WRITE_NEW)),
                         0);
    }
    for (uint32_t pass = 0; pass < 2; pass++) { /* the second starts at the beginning again */
        struct seen seen = {0, 0, false, false};
        struct gy_req req = world_req(GY_OP_LIST, GY_IO_META);

        req.slot = b->dir;
        req.list = see;
        req.list_arg = &seen;
        assert_int_equal(world_call(b->world, &req), 0);
        assert_int_equal(seen.files, COUNT + 1);
        assert_int_equal(seen.others, 1);
        assert_true(seen.has_a && seen.has_d);
    }
}

/* Goal:   a lock excludes every other opening of the file, also by ourselves, and ends with its
 *         slot. */
void
world_lock_excludes_second_opening(void **state)
{
    struct world_bench *b = *state;
    const int32_t first = world_contract_make_file(b, "LOCK", GY_PAGE, 1);
    const int32_t second = world_open(b->world, b->dir, "LOCK", GY_OPEN_WRITE | GY_OPEN_BUFFERED);

    assert_int_equal(world_slot_op(b->world, GY_OP_LOCK, first, 0), 0);
    assert_int_equal(world_slot_op(b->world, GY_OP_LOCK, second, 0), -EWOULDBLOCK);
    assert_int_equal(world_close(b->world, first), 0);
    assert_int_equal(world_slot_op(b->world, GY_OP_LOCK, second, 0), 0);
    assert_int_equal(world_close(b->world, second), 0);
}

/* Goal:   a shared lock lets others share it and keeps an exclusive one out, and the other way
 *         round. */
void
world_lock_can_be_shared(void **state)
{
    struct world_bench *b = *state;
    int32_t slots[3];

    for (uint32_t i = 0; i < 3; i++) {
        slots[i] =
            world_open(b->world, b->dir, "LOCK", GY_OPEN_WRITE | GY_OPEN_CREATE | GY_OPEN_BUFFERED);
        assert_true(slots[i] >= 0);
    }
    assert_int_equal(world_lock(b->world, slots[0], GY_LOCK_SHARED), 0);
    assert_int_equal(world_lock(b->world, slots[1], GY_LOCK_SHARED), 0);
    assert_int_equal(world_lock(b->world, slots[2], 0), -EWOULDBLOCK);
    assert_int_equal(world_close(b->world, slots[0]), 0);
    assert_int_equal(world_lock(b->world, slots[2], 0), -EWOULDBLOCK);
    assert_int_equal(world_close(b->world, slots[1]), 0);
    assert_int_equal(world_lock(b->world, slots[2], 0), 0);
    assert_int_equal(world_close(b->world, slots[2]), 0);
}

/* Goal:   when a close is answered its lock is gone: who closes a store may open it at once.
 * Method: often, since a worker that does the closing may drop the file after its answer. */
void
world_lock_is_free_when_the_close_is_answered(void **state)
{
    struct world_bench *b = *state;

    for (uint32_t i = 0; i < 3000; i++) {
        const int32_t slot =
            world_open(b->world, b->dir, "LOCK", GY_OPEN_WRITE | GY_OPEN_CREATE | GY_OPEN_BUFFERED);

        assert_true(slot >= 0);
        assert_int_equal(world_lock(b->world, slot, 0), 0);
        assert_int_equal(world_close(b->world, slot), 0);
    }
}

/* Goal:   S6: slots are given out again, for ever. */
void
world_slots_are_reused(void **state)
{
    struct world_bench *b = *state;
    int32_t slot_max = 0;

    assert_int_equal(world_close(b->world, world_contract_make_file(b, "s", GY_PAGE, 1)), 0);
    for (uint32_t i = 0; i < 200; i++) {
        const int32_t slot = world_open(b->world, b->dir, "s", 0);

        assert_true(slot >= 0);
        slot_max = slot > slot_max ? slot : slot_max;
        assert_int_equal(world_close(b->world, slot), 0);
        assert_true(world_open(b->world, b->dir, "absent", 0) < 0); /* failures keep none */
    }
    assert_in_range(slot_max, 0, 15);
}

void
world_free_space_is_plausible(void **state)
{
    struct world_bench *b = *state;
    struct gy_req req = world_req(GY_OP_FREE_SPACE, GY_IO_META);

    req.slot = b->dir;
    assert_int_equal(world_call(b->world, &req), 0);
    assert_in_range(req.ret_size, 1, 1ull << 60);
}
