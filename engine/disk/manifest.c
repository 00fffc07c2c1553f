/* manifest.c - writing the manifest: appends, rotation, CURRENT. Reading is in
 * manifest_reader.c. */
#include "engine/disk/manifest.h"

#include "engine/disk/names.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define CAPACITY_MIN (256u * 1024u)
#define ZERO_CHUNK (64u * 1024u)

void
gy_manifest_init(struct gy_manifest *manifest, struct gy_loop *loop, const struct gy_file *dir,
                 uint64_t store_id, uint64_t *next_file_number, gy_manifest_snapshot_fn snapshot,
                 void *snapshot_arg)
{
    memset(manifest, 0, sizeof(*manifest));
    manifest->loop = loop;
    manifest->dir = dir;
    manifest->store_id = store_id;
    manifest->next_file_number = next_file_number;
    manifest->snapshot = snapshot;
    manifest->snapshot_arg = snapshot_arg;
    manifest->file = (struct gy_file)GY_FILE_CLOSED;
    gy_mutex_init(&manifest->mutex);
}

/* Fill [0, capacity) with zeros, so that later DSYNC writes only overwrite, and unused space reads
 * as "no frame". */
static GY_SUSPENDS gyre_status
await_zero_fill(struct gy_manifest *manifest, const struct gy_file *file, uint64_t capacity)
{
    struct gy_heap *heap = &manifest->loop->heap;
    uint8_t *zeros = gy_heap_map_zeroed(heap, ZERO_CHUNK, GY_MEM_BUFFERS);
    gyre_status status;

    if (zeros == NULL) {
        return gy_fail(&manifest->loop->sched, GYRE_NO_MEMORY, "no memory to write a manifest");
    }
    status = gy_file_await_allocate(manifest->loop, file, capacity, GY_IO_META);
    for (uint64_t at = 0; status == GYRE_OK && at < capacity; at += ZERO_CHUNK) {
        status = gy_file_await_write(manifest->loop, file, GY_IO_META, zeros,
                                     (size_t)gy_min_u64(ZERO_CHUNK, capacity - at), at, 0);
    }
    gy_heap_unmap(heap, zeros, ZERO_CHUNK, GY_MEM_BUFFERS);
    return status;
}

/* Seal and write one frame of edits; `bytes` has the payload at 64. */
static GY_SUSPENDS gyre_status
await_write_frame(struct gy_manifest *manifest, const struct gy_file *file, uint64_t number,
                  uint8_t *bytes, uint32_t payload_size, uint32_t edit_count, uint64_t offset)
{
    const struct gy_frame frame = {.kind = GY_FRAME_EDITS,
                                   .payload_size = payload_size,
                                   .record_count = edit_count,
                                   .sequence_first = 1,
                                   .sequence_last = 0,
                                   .durable_offset = offset,
                                   .file_number = number};
    const struct gy_frame_place place = {
        .store_id = manifest->store_id, .file_number = number, .offset = offset};

    gy_frame_seal(bytes, &frame, &place);
    manifest->bytes_written += gy_frame_span(payload_size);
    return gy_file_await_write(manifest->loop, file, GY_IO_META, bytes,
                               (size_t)gy_frame_span(payload_size), offset, GY_IO_DSYNC);
}

/* The snapshot in frames of at most GY_FRAME_SIZE_MAX, cut between edits. `bytes` holds all edits
 * after 64 bytes. */
static GY_SUSPENDS gyre_status
await_write_snapshot(struct gy_manifest *manifest, const struct gy_file *file, uint64_t number,
                     const uint8_t *edits, size_t edits_size, uint64_t *ret_end)
{
    struct gy_heap *heap = &manifest->loop->heap;
    const uint32_t frame_max = GY_FRAME_SIZE_MAX / 4;
    uint8_t *frame = gy_heap_map(heap, frame_max, GY_MEM_BUFFERS);
    struct gy_reader reader = gy_reader_of(edits, edits_size);
    gyre_status status = GYRE_OK;
    uint64_t offset = 0;

    if (frame == NULL) {
        return gy_fail(&manifest->loop->sched, GYRE_NO_MEMORY, "no memory to write a manifest");
    }
    while (status == GYRE_OK && reader.at < reader.end) {
        const uint8_t *start = reader.at;
        const uint8_t *cut = start;
        uint32_t count = 0;
        struct gy_edit edit;

        while (reader.at < reader.end && gy_edit_decode(&reader, &edit) == GYRE_OK &&
               (size_t)(reader.at - start) <= frame_max - GY_FRAME_HEADER_SIZE) {
            cut = reader.at;
            count++;
        }
        gy_assert(cut > start); /* one edit is far smaller than a frame: keys are at most 64 KiB */
        reader.at = cut;
        memcpy(frame + GY_FRAME_HEADER_SIZE, start, (size_t)(cut - start));
        status = await_write_frame(manifest, file, number, frame, (uint32_t)(cut - start), count,
                                   offset);
        offset += gy_frame_span((uint32_t)(cut - start));
    }
    gy_heap_unmap(heap, frame, frame_max, GY_MEM_BUFFERS);
    *ret_end = offset;
    return status;
}

/* CURRENT.tmp, synced, renamed over CURRENT, directory synced. */
static GY_SUSPENDS gyre_status
await_set_current(struct gy_manifest *manifest, uint64_t number, uint64_t durable_end,
                  bool *ret_renamed)
{
    struct gy_loop *loop = manifest->loop;
    struct gy_heap *heap = &loop->heap;
    const struct gy_current current = {.store_id = manifest->store_id, .manifest_number = number};
    const struct gy_frame frame = {.kind = GY_FRAME_CURRENT,
                                   .payload_size = GY_CURRENT_SIZE,
                                   .record_count = 1,
                                   .sequence_first = 1,
                                   .durable_offset = durable_end};
    const struct gy_frame_place place = {0};
    struct gy_file file = GY_FILE_CLOSED;
    uint8_t *page = gy_heap_map(heap, GY_PAGE, GY_MEM_BUFFERS);
    gyre_status status;

    if (page == NULL) {
        return gy_fail(&loop->sched, GYRE_NO_MEMORY, "no memory to write CURRENT");
    }
    gy_current_encode(page + GY_FRAME_HEADER_SIZE, &current);
    gy_frame_seal(page, &frame, &place);
    status = gy_file_await_open(loop, manifest->dir, GY_NAME_CURRENT_TMP,
                                GY_OPEN_CREATE | GY_OPEN_WRITE | GY_OPEN_SINGLE, GY_IO_META, &file);
    if (status == GYRE_OK) {
        status = gy_file_await_write(loop, &file, GY_IO_META, page, GY_PAGE, 0, 0);
    }
    if (status == GYRE_OK && !GY_MUTANT(rename_before_current_sync)) {
        status = gy_file_await_sync(loop, &file, GY_IO_META);
    }
    status = gy_first(status, gy_file_await_close(loop, &file));
    if (status == GYRE_OK) {
        status = gy_file_await_rename(loop, manifest->dir, GY_NAME_CURRENT_TMP, GY_NAME_CURRENT);
    }
    if (status == GYRE_OK) {
        *ret_renamed = true;
    }
    if (status == GYRE_OK && !GY_MUTANT(unlink_before_current_sync)) {
        status = gy_dir_await_sync(loop, manifest->dir);
    }
    gy_heap_unmap(heap, page, GY_PAGE, GY_MEM_BUFFERS);
    return status;
}

/* Write the file of a new manifest: snapshot and zeros, synced. Nothing refers to it yet. */
static GY_SUSPENDS gyre_status
await_write_file(struct gy_manifest *manifest, uint64_t number, struct gy_file *ret_file,
                 uint64_t *ret_end, uint64_t *ret_capacity)
{
    struct gy_loop *loop = manifest->loop;
    struct gy_writer writer = {0};
    char name[GY_NAME_MAX];
    uint8_t *edits;
    size_t size;
    gyre_status status;

    manifest->snapshot(manifest->snapshot_arg, &writer);
    size = writer.used;
    edits = gy_heap_alloc(&loop->heap, size, GY_MEM_VERSION);
    if (edits == NULL) {
        return gy_fail(&loop->sched, GYRE_NO_MEMORY, "no memory to write a manifest");
    }
    writer = (struct gy_writer){.data = edits, .capacity = size};
    manifest->snapshot(manifest->snapshot_arg, &writer);
    /* no await in between: the state is the same */
    gy_assert(!writer.failed && writer.used == size);
    gy_name_manifest(name, number);
    status = gy_file_await_open(loop, manifest->dir, name,
                                GY_OPEN_CREATE | GY_OPEN_EXCLUSIVE | GY_OPEN_WRITE, GY_IO_META,
                                ret_file);
    if (status == GYRE_OK) {
        *ret_capacity = gy_align_up(gy_max_u64(CAPACITY_MIN, 4 * (uint64_t)size), ZERO_CHUNK);
        status = await_zero_fill(manifest, ret_file, *ret_capacity);
    }
    if (status == GYRE_OK) {
        status = await_write_snapshot(manifest, ret_file, number, edits, size, ret_end);
    }
    if (status == GYRE_OK) {
        status = gy_file_await_sync(loop, ret_file, GY_IO_META);
    }
    if (status == GYRE_OK) {
        status = gy_dir_await_sync(loop, manifest->dir);
    }
    gy_heap_free(&loop->heap, edits);
    return status;
}

/* Needs the mutex. */
static GY_SUSPENDS gyre_status
await_rotate_locked(struct gy_manifest *manifest)
{
    struct gy_loop *loop = manifest->loop;
    const uint64_t number = (*manifest->next_file_number)++;
    const uint64_t number_old = manifest->number;
    struct gy_file file = GY_FILE_CLOSED;
    struct gy_file file_old = manifest->file;
    char name[GY_NAME_MAX];
    uint64_t end = 0;
    uint64_t capacity = 0;
    bool renamed = false;
    gyre_status status = await_write_file(manifest, number, &file, &end, &capacity);

    if (status == GYRE_OK) {
        status = await_set_current(manifest, number, end, &renamed);
    }
    if (status != GYRE_OK) {
        (void)gy_file_await_close(loop, &file); /* the first failure is the one to tell */
        GY_SOMETIMES(manifest_rotation_failed);
        if (renamed) {
            GY_SOMETIMES(manifest_rotation_unknown);
            manifest->poison = status; /* either of the two may be in force after a crash: N2 */
        } else if (file.name[0] != '\0') {
            struct gyre_error error = *gy_sched_error(&loop->sched);

            gy_name_manifest(name, number);
            /* an orphan is removed at open */
            (void)gy_file_await_unlink(loop, manifest->dir, name);
            *gy_sched_error(&loop->sched) = error;
        }
        return status;
    }
    GY_SOMETIMES(manifest_rotated);
    manifest->file = file;
    manifest->number = number;
    manifest->end = end;
    manifest->capacity = capacity;
    if (file_old.slot != GY_SLOT_NONE) {
        (void)gy_file_await_close(loop, &file_old); /* read no more, and nothing of it is needed */
    }
    if (number_old != 0) {
        gy_name_manifest(name, number_old);
        (void)gy_file_await_unlink(loop, manifest->dir, name); /* an orphan is removed at open */
    }
    if (GY_MUTANT(unlink_before_current_sync)) {
        return gy_dir_await_sync(loop, manifest->dir);
    }
    return GYRE_OK;
}

GY_SUSPENDS gyre_status
gy_manifest_await_rotate(struct gy_manifest *manifest)
{
    gyre_status status;

    gy_mutex_await_lock(&manifest->loop->sched, &manifest->mutex);
    status = manifest->poison != GYRE_OK
                 ? gy_fail(&manifest->loop->sched, GYRE_READ_ONLY,
                           "an earlier write of the manifest failed; reopen the store")
                 : await_rotate_locked(manifest);
    gy_mutex_unlock(&manifest->mutex);
    return status;
}

GY_SUSPENDS gyre_status
gy_manifest_await_adopt(struct gy_manifest *manifest, const struct gy_manifest_end *end)
{
    struct gy_loop *loop = manifest->loop;
    char name[GY_NAME_MAX];
    gyre_status status;

    gy_name_manifest(name, end->number);
    status = gy_file_await_open(loop, manifest->dir, name, GY_OPEN_WRITE | GY_OPEN_SINGLE,
                                GY_IO_META, &manifest->file);
    if (status == GYRE_OK) {
        status = gy_file_await_sync(loop, &manifest->file, GY_IO_META);
    }
    if (status == GYRE_OK) {
        status = gy_file_await_size(loop, &manifest->file, &manifest->capacity);
    }
    if (status == GYRE_OK && manifest->capacity < end->end + GY_PAGE) {
        status = gy_fail_at(&loop->sched, GYRE_NO_SPACE, name, end->end, 0,
                            "the disk is full and the manifest has no room left");
    }
    GY_SOMETIMES(manifest_adopted);
    manifest->number = end->number;
    manifest->end = end->end;
    return status;
}

static GY_SUSPENDS gyre_status
await_append_locked(struct gy_manifest *manifest, const struct gy_edit *edits, uint32_t edit_count)
{
    struct gy_loop *loop = manifest->loop;
    struct gy_writer writer = {0};
    uint64_t span;
    uint8_t *bytes;
    gyre_status status;

    if (manifest->poison != GYRE_OK) {
        return gy_fail(&loop->sched, GYRE_READ_ONLY,
                       "an earlier write of the manifest failed; reopen the store");
    }
    for (uint32_t i = 0; i < edit_count; i++) {
        gy_edit_encode(&writer, &edits[i]);
    }
    gy_assert(writer.used <= GY_FRAME_SIZE_MAX - GY_FRAME_HEADER_SIZE);
    span = gy_frame_span((uint32_t)writer.used);
    if (manifest->end + span > manifest->capacity / 2) { /* N3: half is kept for a full disk */
        GY_SOMETIMES(manifest_half_full);
        status = await_rotate_locked(manifest);
        if (status != GYRE_OK &&
            (manifest->poison != GYRE_OK || manifest->end + span > manifest->capacity)) {
            return status;
        }
    }
    bytes = gy_heap_map(&loop->heap, (size_t)span, GY_MEM_BUFFERS);
    if (bytes == NULL) {
        return gy_fail(&loop->sched, GYRE_NO_MEMORY, "no memory to write to the manifest");
    }
    writer = (struct gy_writer){.data = bytes + GY_FRAME_HEADER_SIZE,
                                .capacity = (size_t)span - GY_FRAME_HEADER_SIZE};
    for (uint32_t i = 0; i < edit_count; i++) {
        gy_edit_encode(&writer, &edits[i]);
    }
    gy_assert(!writer.failed);
    status = await_write_frame(manifest, &manifest->file, manifest->number, bytes,
                               (uint32_t)writer.used, edit_count, manifest->end);
    gy_heap_unmap(&loop->heap, bytes, (size_t)span, GY_MEM_BUFFERS);
    if (status != GYRE_OK && !(GY_MUTANT(half_record_in_manifest) && status == GYRE_NO_SPACE)) {
        GY_SOMETIMES(manifest_poisoned);
        manifest->poison = status; /* N2 */
        return status;
    }
    manifest->end += span;
    return status;
}

GY_SUSPENDS gyre_status
gy_manifest_await_append(struct gy_manifest *manifest, const struct gy_edit *edits,
                         uint32_t edit_count)
{
    gyre_status status;

    gy_mutex_await_lock(&manifest->loop->sched, &manifest->mutex);
    status = await_append_locked(manifest, edits, edit_count);
    gy_mutex_unlock(&manifest->mutex);
    return status;
}

GY_SUSPENDS void
gy_manifest_await_close(struct gy_manifest *manifest)
{
    (void)gy_file_await_close(manifest->loop, &manifest->file); /* all of it is durable already */
}
