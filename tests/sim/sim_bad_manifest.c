/* sim_bad_manifest.c - a manifest that was sealed with care and makes no sense: a good checksum in
 * front of edits that cannot be. Every one of them is refused by the name of the manifest (or of
 * the file that it wrongly asks for), and the refused open changes no byte.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/codec/edit.h"
#include "engine/codec/frame.h"
#include "io/base/bits.h"
#include "tests/sim/damage_kit.h"

struct bad {
    const struct damage_base *base;
    const struct damage_file *file;
    uint64_t number;
    uint64_t end; /* where the next frame would come */
    uint64_t refused;
};

/* ---- Frames ---- */

static bool
open_frame(const struct bad *bad, uint64_t offset, struct gy_frame *ret_frame, uint8_t *bytes,
           size_t size)
{
    const struct gy_frame_place place = {
        .store_id = bad->base->store_id, .file_number = bad->number, .offset = offset};
    const int64_t got = gy_sim_disk_peek(bad->base->disk, bad->file->path, offset, bytes, size);

    return got > 0 && gy_frame_open(bytes, (size_t)got, &place, ret_frame) == GY_FRAME_OK;
}

static void
find_end(struct bad *bad)
{
    static uint8_t bytes[GY_FRAME_SIZE_MAX];
    struct gy_frame frame;

    for (uint32_t i = 0; i < bad->base->file_count; i++) {
        if (strncmp(bad->base->files[i].name, "MANIFEST-", 9) == 0) {
            bad->file = &bad->base->files[i];
            bad->number = strtoull(bad->file->name + 9, NULL, 10);
        }
    }
    demand(bad->file != NULL);
    while (open_frame(bad, bad->end, &frame, bytes, sizeof(bytes))) {
        bad->end += gy_frame_span(frame.payload_size);
    }
    demand(bad->end > 0);
}

/* The store with one more frame at `offset`, opened: `wanted` is told (OK: all is right). */
static void
try_frame(struct bad *bad, const char *what, uint64_t offset, enum gy_frame_kind kind,
          struct gyre_slice payload, gyre_status wanted)
{
    const struct gy_frame frame = {.kind = kind,
                                   .payload_size = (uint32_t)payload.size,
                                   .record_count = 1,
                                   .sequence_first = 1,
                                   .durable_offset = offset,
                                   .file_number = bad->number};
    const struct gy_frame_place place = {
        .store_id = bad->base->store_id, .file_number = bad->number, .offset = offset};
    const struct damage_done done = {.file = bad->file, .offset = offset, .is_in_place = true};
    struct gy_sim_disk *disk = gy_sim_disk_clone(bad->base->disk);
    struct damage_counts counts = {0};
    uint8_t *bytes = calloc(1, gy_frame_span((uint32_t)payload.size));

    demand(bytes != NULL);
    fail_set_place(1, "%s, at %llu", what, (unsigned long long)offset);
    memcpy(bytes + GY_FRAME_HEADER_SIZE, payload.data, payload.size);
    gy_frame_seal(bytes, &frame, &place);
    demand(gy_sim_disk_poke(disk, bad->file->path, offset, bytes,
                            gy_frame_span((uint32_t)payload.size)) > 0);
    damage_ask_alone(bad->base, disk, &done, &counts);
    demand(wanted == GYRE_OK ? counts.right == 1 : counts.told == 1);
    demand(wanted == GYRE_OK || counts.told_status == wanted);
    bad->refused += wanted != GYRE_OK;
    free(bytes);
    gy_sim_disk_free(disk);
}

/* ---- Edits ---- */

static void
try_edits(struct bad *bad, const char *what, const struct gy_edit *edits, uint32_t count,
          gyre_status wanted)
{
    uint8_t payload[4096];
    struct gy_writer writer = {.data = payload, .capacity = sizeof(payload)};

    for (uint32_t i = 0; i < count; i++) {
        gy_edit_encode(&writer, &edits[i]);
    }
    demand(!writer.failed);
    try_frame(bad, what, bad->end, GY_FRAME_EDITS, gyre_slice(payload, writer.used), wanted);
}

static struct gy_edit
store_edit(uint64_t store_id, const char *comparator, uint64_t incompatible)
{
    struct gy_edit edit = {.kind = GY_EDIT_STORE};

    edit.u.store.store_id = store_id;
    edit.u.store.comparator = gyre_str(comparator);
    edit.u.store.incompatible = incompatible;
    return edit;
}

static void
try_stores(struct bad *bad)
{
    const uint64_t id = bad->base->store_id;
    struct gy_edit edit = store_edit(id, GY_COMPARATOR_NAME, 0);

    try_edits(bad, "the store once more", &edit, 1, GYRE_OK);
    edit = store_edit(id, GY_COMPARATOR_NAME, 1ull << 40);
    try_edits(bad, "a feature of the future", &edit, 1, GYRE_UNSUPPORTED);
    edit = store_edit(id, "backwards", 0);
    try_edits(bad, "another order of keys", &edit, 1, GYRE_UNSUPPORTED);
    edit = store_edit(id + 1, GY_COMPARATOR_NAME, 0);
    try_edits(bad, "another store", &edit, 1, GYRE_CORRUPT);
}

static struct gy_edit
table_edit(uint32_t level, uint64_t number)
{
    struct gy_edit edit = {.kind = GY_EDIT_ADD_TABLE};

    edit.u.table = (struct gy_table_meta){.level = level,
                                          .number = number,
                                          .file_id = 1,
                                          .size = 16384,
                                          .entry_count = 1,
                                          .sequence_min = 1,
                                          .sequence_max = 1,
                                          .smallest = gyre_str("a"),
                                          .largest = gyre_str("zzzz")};
    return edit;
}

static void
try_tables(struct bad *bad)
{
    struct gy_edit edits[2] = {table_edit(3, 900), table_edit(3, 901)};

    try_edits(bad, "a table that is not there", edits, 1, GYRE_CORRUPT);
    try_edits(bad, "tables that overlap", edits, 2, GYRE_CORRUPT);
    edits[0] = table_edit(3, GY_FILE_NUMBER_MAX);
    try_edits(bad, "a number past all numbers", edits, 1, GYRE_CORRUPT);
    edits[0] = (struct gy_edit){.kind = GY_EDIT_REMOVE_TABLE};
    edits[0].u.remove.number = 900;
    try_edits(bad, "removing a table that is not there", edits, 1, GYRE_CORRUPT);
}

static struct gy_edit
log_edit(uint64_t number, uint32_t slot)
{
    struct gy_edit edit = {.kind = GY_EDIT_ADD_LOG};

    edit.u.log.number = number;
    edit.u.log.slot = slot;
    return edit;
}

static void
try_logs(struct bad *bad)
{
    struct gy_edit edits[2] = {log_edit(900, 7), log_edit(901, 7)};

    try_edits(bad, "a log that is not there", edits, 1, GYRE_CORRUPT);
    try_edits(bad, "two logs in one slot", edits, 2, GYRE_CORRUPT);
    edits[0] = log_edit(0, 7);
    try_edits(bad, "log 0", edits, 1, GYRE_CORRUPT);
    edits[0] = log_edit(900, 7);
    edits[1] = log_edit(900, 8);
    try_edits(bad, "logs that do not ascend", edits, 2, GYRE_CORRUPT);
    edits[0] = (struct gy_edit){.kind = GY_EDIT_FLUSHED};
    edits[0].u.flushed.log_min = 1; /* not above what was said before: nothing changes */
    try_edits(bad, "flushed once more", edits, 1, GYRE_OK);
}

static void
try_bytes(struct bad *bad)
{
    static const uint8_t unknown[] = {0x20, 2, 1, 1};
    static const uint8_t skippable[] = {0x80, 2, 1, 1};
    static const uint8_t too_long[] = {GY_EDIT_COUNTERS, 40, 1, 1};
    static const uint8_t left_over[] = {GY_EDIT_COUNTERS, 3, 1, 1, 1};
    struct gy_edit edit = {.kind = GY_EDIT_COUNTERS};
    uint8_t payload[64];
    struct gy_writer writer = {.data = payload, .capacity = sizeof(payload)};

    try_frame(bad, "an edit of the future", bad->end, GY_FRAME_EDITS,
              gyre_slice(unknown, sizeof(unknown)), GYRE_UNSUPPORTED);
    try_frame(bad, "one that may be skipped", bad->end, GY_FRAME_EDITS,
              gyre_slice(skippable, sizeof(skippable)), GYRE_OK);
    try_frame(bad, "an edit longer than its frame", bad->end, GY_FRAME_EDITS,
              gyre_slice(too_long, sizeof(too_long)), GYRE_CORRUPT);
    try_frame(bad, "an edit with bytes left over", bad->end, GY_FRAME_EDITS,
              gyre_slice(left_over, sizeof(left_over)), GYRE_CORRUPT);
    try_frame(bad, "a frame of a log", bad->end, GY_FRAME_COMMITS,
              gyre_slice(skippable, sizeof(skippable)), GYRE_CORRUPT);
    gy_edit_encode(&writer, &edit);
    try_frame(bad, "no store in front", 0, GY_FRAME_EDITS, gyre_slice(payload, writer.used),
              GYRE_CORRUPT);
}

/* CURRENT is sealed without store or number. */
static void
try_current(struct bad *bad, const char *what, enum gy_frame_kind kind, size_t size)
{
    const struct gy_frame frame = {
        .kind = kind, .payload_size = (uint32_t)size, .record_count = 1, .sequence_first = 1};
    const struct gy_frame_place place = {0};
    const struct damage_done done = {.file = damage_base_find(bad->base, "CURRENT"),
                                     /* else what it asks for is named */
                                     .is_in_place =
                                         kind != GY_FRAME_CURRENT || size != GY_CURRENT_SIZE};
    struct gy_sim_disk *disk = gy_sim_disk_clone(bad->base->disk);
    struct damage_counts counts = {0};
    uint8_t bytes[GY_PAGE] = {0};

    fail_set_place(1, "CURRENT: %s", what);
    gy_frame_seal(bytes, &frame, &place);
    (void)gy_sim_disk_poke(disk, done.file->path, 0, bytes, sizeof(bytes));
    damage_ask_alone(bad->base, disk, &done, &counts);
    demand(counts.told == 1 && counts.told_status == GYRE_CORRUPT);
    bad->refused++;
    gy_sim_disk_free(disk);
}

int
main(void)
{
    struct damage_base base;
    struct bad bad = {.base = &base};

    damage_base_make(&base, 5, DAMAGE_FILL_TABLES, true);
    find_end(&bad);
    try_stores(&bad);
    try_tables(&bad);
    try_logs(&bad);
    try_bytes(&bad);
    try_current(&bad, "a frame of the manifest", GY_FRAME_EDITS, GY_CURRENT_SIZE);
    try_current(&bad, "too short", GY_FRAME_CURRENT, GY_CURRENT_SIZE - 1);
    try_current(&bad, "manifest 0", GY_FRAME_CURRENT, GY_CURRENT_SIZE);
    (void)printf("%llu manifests refused, each by name, no byte changed\n",
                 (unsigned long long)bad.refused);
    damage_base_free(&base);
    return 0;
}
