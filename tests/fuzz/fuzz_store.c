/* fuzz_store.c - a whole store of which any bytes, names and sizes are other ones, opened, read,
 * written, checked and salvaged.
 *
 * Input: flags (rig_store.h), then changes: what to do and to which file, then where, how much and
 *        with what.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/rig_store.h"

#define CHANGES_MAX 64u
#define FILE_SIZE_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum change {
    CHANGE_BYTES,
    CHANGE_NUMBER,
    CHANGE_SIZE,
    CHANGE_REMOVE,
    CHANGE_COPY,      /* one file over another */
    CHANGE_MOVE_PAGE, /* a page to another place of its file */
    CHANGE_NAME,      /* a file of an odd name */
    CHANGE_DIRECTORY, /* a directory in the place of a file */
    CHANGE_STAGE,
    CHANGE_COUNT
};

static const char *const NAMES[] = {"CURRENT.tmp",
                                    "MANIFEST-281474976710656",
                                    "MANIFEST-281474976710655",
                                    "MANIFEST-18446744073709551615",
                                    "MANIFEST-000000",
                                    "MANIFEST-1",
                                    "281474976710656.sst",
                                    "281474976710655.sst",
                                    "000000.sst",
                                    "7.sst",
                                    "wal-255.log",
                                    "wal-000.log",
                                    "wal-999.log",
                                    "wal-1.log",
                                    "LOCK",
                                    "CURRENT",
                                    "notes.txt",
                                    "\xff\xfe",
                                    "a\nb",
                                    "name-that-is-longer-than-any-of-ours-may-ever-be-123456789"};
#define NAME_COUNT (sizeof(NAMES) / sizeof(NAMES[0]))

/* A place: in the first bytes, in the last page, or anywhere. */
static uint64_t
place(struct rig_bytes *in, uint64_t size)
{
    const uint64_t number = rig_wide(in, 3);
    const uint64_t within = number >> 2;

    if (size == 0) {
        return 0;
    }
    if ((number & 3) == 0) {
        return within % 4096 % size;
    }
    if ((number & 3) == 1) {
        return size - 1 - within % 4096 % size;
    }
    return within % size;
}

static void
copy_file(struct gy_sim_disk *disk, const char *from, const char *to)
{
    const int64_t size = gy_sim_disk_file_size(disk, from);
    uint8_t *bytes = size > 0 && size <= FILE_SIZE_MAX ? malloc((size_t)size) : NULL;

    if (bytes != NULL && gy_sim_disk_peek(disk, from, 0, bytes, (size_t)size) == size) {
        (void)gy_sim_disk_remove(disk, to);
        (void)gy_sim_disk_poke(disk, to, 0, bytes, (size_t)size);
    }
    free(bytes);
}

static void
move_page(struct gy_sim_disk *disk, const char *path, uint64_t size, struct rig_bytes *in)
{
    const uint64_t pages = size / 4096;
    uint8_t page[4096];

    if (pages > 0) {
        const uint64_t from = rig_wide(in, 2) % pages;
        const uint64_t to = rig_wide(in, 2) % pages;

        if (gy_sim_disk_peek(disk, path, from * 4096, page, sizeof(page)) == sizeof(page)) {
            (void)gy_sim_disk_poke(disk, path, to * 4096, page, sizeof(page));
        }
    }
}

static void
change_number(struct gy_sim_disk *disk, const char *path, uint64_t size, struct rig_bytes *in)
{
    const uint64_t at = place(in, size);
    const uint8_t width = (uint8_t)(1u << rig_u8(in) % 4);
    uint64_t number = 0;

    (void)gy_sim_disk_peek(disk, path, at, &number, width); /* little-endian machines */
    number = rig_number(in, number);
    (void)gy_sim_disk_poke(disk, path, at, &number, width);
}

static void
change(struct gy_sim_disk *disk, struct rig_bytes *in)
{
    const struct rig_template *template = rig_template();
    const enum change what = (enum change)(rig_u8(in) % CHANGE_COUNT);
    const char *name = template->files[rig_u8(in) % template->file_count].name;
    char path[GY_NAME_MAX + 8];
    char other[GY_NAME_MAX + 8];
    uint64_t at;
    int64_t found;
    uint64_t size;

    rig_path(path, name);
    found = gy_sim_disk_file_size(disk, path);
    size = found > 0 ? (uint64_t)found : 0;
    switch (what) {
    case CHANGE_BYTES: {
        at = place(in, size);
        const struct gyre_slice bytes = rig_slice(in, 1 + rig_u8(in) % 64u);

        (void)gy_sim_disk_poke(disk, path, at, bytes.data, bytes.size);
        return;
    }
    case CHANGE_NUMBER:
        change_number(disk, path, size, in);
        return;
    case CHANGE_SIZE:
        at = rig_number(in, size);
        (void)gy_sim_disk_resize(disk, path, at % FILE_SIZE_MAX);
        return;
    case CHANGE_REMOVE:
        (void)gy_sim_disk_remove(disk, path);
        return;
    case CHANGE_COPY:
        rig_path(other, template->files[rig_u8(in) % template->file_count].name);
        copy_file(disk, path, other);
        return;
    case CHANGE_MOVE_PAGE:
        move_page(disk, path, size, in);
        return;
    case CHANGE_NAME:
        rig_path(other, NAMES[rig_u8(in) % NAME_COUNT]);
        copy_file(disk, path, other);
        return;
    case CHANGE_DIRECTORY:
        (void)gy_sim_disk_remove(disk, path);
        (void)gy_sim_disk_make_dir(disk, path);
        return;
    case CHANGE_STAGE:
        at = rig_wide(in, 2);
        rig_poke_stage(disk, at, rig_slice(in, 1 + rig_u8(in) % 16u));
        return;
    case CHANGE_COUNT:
        return;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig_bytes in = {.at = data, .end = data + size};
    struct gy_sim_disk *disk;
    uint8_t flags;

    (void)rig_template();
    if (size < 2 || size > 4096) {
        return 0;
    }
    flags = rig_u8(&in);
    disk = rig_disk();
    for (uint32_t i = 0; i < CHANGES_MAX && rig_left(&in) > 0; i++) {
        change(disk, &in);
    }
    rig_try(disk, flags);
    return 0;
}
