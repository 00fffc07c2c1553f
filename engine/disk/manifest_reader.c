/* manifest_reader.c - finding the manifest that counts and replaying it; rules N4 in manifest.h. */
#include "engine/disk/manifest.h"
#include "engine/disk/names.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define READ_CHUNK (256u * 1024u)

GY_SUSPENDS gyre_status
gy_manifest_await_current(struct gy_loop *loop, const struct gy_file *dir,
                          struct gy_current *ret_current, uint64_t *ret_durable_end)
{
    const struct gy_frame_place place = {0};
    struct gy_file file = GY_FILE_CLOSED;
    struct gy_frame frame;
    uint8_t *page;
    gyre_status status;

    status = gy_file_await_open(loop, dir, GY_NAME_CURRENT, GY_OPEN_SINGLE, GY_IO_META, &file);
    if (status != GYRE_OK) {
        return status;
    }
    page = gy_heap_map(&loop->heap, GY_PAGE, GY_MEM_BUFFERS);
    if (page == NULL) {
        status = gy_fail(&loop->sched, GYRE_NO_MEMORY, "no memory to read CURRENT");
        goto out;
    }
    status = gy_file_await_read(loop, &file, GY_IO_META, page, GY_PAGE, 0);
    if (status != GYRE_OK) {
        goto out;
    }
    switch (gy_frame_open(page, GY_PAGE, &place, &frame)) {
    case GY_FRAME_OK:
        break;
    case GY_FRAME_UNSUPPORTED:
        status = gy_fail_at(&loop->sched, GYRE_UNSUPPORTED, GY_NAME_CURRENT, 0, 0,
                            "written by a newer version of Gyre");
        goto out;
    default:
        status = gy_fail_at(&loop->sched, GYRE_CORRUPT, GY_NAME_CURRENT, 0, 0,
                            "the checksum does not match; run 'gyre salvage'");
        goto out;
    }
    if (frame.kind != GY_FRAME_CURRENT ||
        gy_current_decode(gyre_slice(page + GY_FRAME_HEADER_SIZE, frame.payload_size),
                          ret_current) != GYRE_OK) {
        status = gy_fail_at(&loop->sched, GYRE_CORRUPT, GY_NAME_CURRENT, 0, 0,
                            "it does not name a manifest; run 'gyre salvage'");
        goto out;
    }
    *ret_durable_end = frame.durable_offset;
out:
    if (page != NULL) {
        gy_heap_unmap(&loop->heap, page, GY_PAGE, GY_MEM_BUFFERS);
    }
    (void)gy_file_await_close(loop, &file); /* it was only read */
    return status;
}

/* One manifest being read, whole in memory: it is small (a snapshot and a few edits). */
struct load {
    struct gy_loop *loop;
    struct gy_file file;
    uint8_t *bytes;
    uint64_t size;
    uint64_t mapped;
};

static GY_SUSPENDS gyre_status
await_read_whole(struct load *load, const struct gy_file *dir, const char *name)
{
    struct gy_loop *loop = load->loop;
    gyre_status status =
        gy_file_await_open(loop, dir, name, GY_OPEN_SINGLE, GY_IO_META, &load->file);

    if (status == GYRE_NOT_FOUND) {
        return gy_fail_at(&loop->sched, GYRE_CORRUPT, name, GY_NO_OFFSET, 0,
                          "the manifest that CURRENT names is missing; run 'gyre salvage'");
    }
    if (status == GYRE_OK) {
        status = gy_file_await_size(loop, &load->file, &load->size);
    }
    if (status != GYRE_OK) {
        return status;
    }
    if (load->size == 0) {
        return gy_fail_at(&loop->sched, GYRE_CORRUPT, name, 0, 0,
                          "the manifest is empty; run 'gyre salvage'");
    }
    load->mapped = gy_align_up(load->size, GY_PAGE);
    load->bytes = gy_heap_map(&loop->heap, load->mapped, GY_MEM_BUFFERS);
    if (load->bytes == NULL) {
        return gy_fail(&loop->sched, GYRE_NO_MEMORY,
                       "no memory to read the manifest of %llu bytes; raise memory_limit",
                       (unsigned long long)load->size);
    }
    for (uint64_t at = 0; status == GYRE_OK && at < load->mapped; at += READ_CHUNK) {
        uint32_t got = 0;

        status =
            gy_file_await_read_some(loop, &load->file, GY_IO_META, load->bytes + at,
                                    (uint32_t)gy_min_u64(READ_CHUNK, load->mapped - at), at, &got);
    }
    return status;
}

/* Whoever applies edits knows what is wrong with one, not where it stands. */
static void
say_where(struct load *load, const char *name, uint64_t offset)
{
    struct gyre_error *error = gy_sched_error(&load->loop->sched);

    if (error->file[0] == '\0' &&
        (error->status == GYRE_CORRUPT || error->status == GYRE_UNSUPPORTED)) {
        const struct gyre_error cause = *error;

        (void)gy_fail_at(&load->loop->sched, cause.status, name, offset, 0, "%s", cause.text);
    }
}

static GY_SUSPENDS gyre_status
await_apply_frame(struct load *load, const char *name, uint64_t offset,
                  const struct gy_frame *frame,
                  gyre_status (*apply)(void *, const struct gy_edit *), void *arg)
{
    struct gy_reader reader =
        gy_reader_of(load->bytes + offset + GY_FRAME_HEADER_SIZE, frame->payload_size);
    struct gy_edit edit;
    gyre_status status;

    while ((status = gy_edit_decode(&reader, &edit)) == GYRE_OK) {
        status = apply(arg, &edit);
        if (status != GYRE_OK) {
            say_where(load, name, offset);
            return status;
        }
        gy_await_turn(&load->loop->sched);
    }
    if (status == GYRE_NOT_FOUND) {
        return GYRE_OK;
    }
    return gy_fail_at(&load->loop->sched, status, name, offset, 0,
                      status == GYRE_UNSUPPORTED ? "an edit of a newer version of Gyre"
                                                 : "an edit does not decode");
}

/* Is there a valid frame of this manifest at or behind `offset`? Then what is missing before it was
 * acknowledged. */
static GY_SUSPENDS bool
await_has_frame_behind(const struct load *load, uint64_t store_id, uint64_t number, uint64_t offset)
{
    for (uint64_t at = offset; at < load->size; at += GY_PAGE) {
        const struct gy_frame_place place = {
            .store_id = store_id, .file_number = number, .offset = at};
        struct gy_frame frame;

        if (gy_frame_open(load->bytes + at, (size_t)(load->size - at), &place, &frame) ==
            GY_FRAME_OK) {
            return true;
        }
        gy_await_turn(&load->loop->sched);
    }
    return false;
}

static GY_SUSPENDS gyre_status
await_replay(struct load *load, const char *name, const struct gy_current *current,
             uint64_t durable_end, gyre_status (*apply)(void *, const struct gy_edit *), void *arg,
             uint64_t *ret_end)
{
    struct gy_sched *sched = &load->loop->sched;
    uint64_t offset = 0;

    while (offset < load->size) {
        const struct gy_frame_place place = {.store_id = current->store_id,
                                             .file_number = current->manifest_number,
                                             .offset = offset};
        struct gy_frame frame;
        const enum gy_frame_result result =
            gy_frame_open(load->bytes + offset, (size_t)(load->size - offset), &place, &frame);
        gyre_status status;

        if (result == GY_FRAME_UNSUPPORTED) {
            return gy_fail_at(sched, GYRE_UNSUPPORTED, name, offset, 0,
                              "written by a newer version of Gyre");
        }
        if (result == GY_FRAME_CORRUPT || (result == GY_FRAME_OK && frame.kind != GY_FRAME_EDITS)) {
            return gy_fail_at(sched, GYRE_CORRUPT, name, offset, 0,
                              "a frame that does not belong here; run 'gyre salvage'");
        }
        if (result == GY_FRAME_NONE) {
            break;
        }
        status = await_apply_frame(load, name, offset, &frame, apply, arg);
        if (status != GYRE_OK) {
            return status;
        }
        offset += gy_frame_span(frame.payload_size);
    }
    if (offset < durable_end ||
        await_has_frame_behind(load, current->store_id, current->manifest_number, offset)) {
        GY_SOMETIMES(manifest_damage_told);
        return gy_fail_at(sched, GYRE_CORRUPT, name, offset, 0,
                          "a damaged frame before the end of the manifest; run 'gyre salvage'");
    }
    *ret_end = offset;
    return GYRE_OK;
}

GY_SUSPENDS gyre_status
gy_manifest_await_load(struct gy_loop *loop, const struct gy_file *dir,
                       gyre_status (*apply)(void *arg, const struct gy_edit *edit), void *arg,
                       struct gy_manifest_end *ret_end)
{
    struct load load = {.loop = loop, .file = GY_FILE_CLOSED};
    struct gy_current current;
    uint64_t durable_end = 0;
    uint64_t end = 0;
    char name[GY_NAME_MAX];
    gyre_status status = gy_manifest_await_current(loop, dir, &current, &durable_end);

    if (status != GYRE_OK) {
        return status;
    }
    gy_name_manifest(name, current.manifest_number);
    status = await_read_whole(&load, dir, name);
    if (status == GYRE_OK) {
        status = await_replay(&load, name, &current, durable_end, apply, arg, &end);
    }
    if (status == GYRE_OK) {
        *ret_end = (struct gy_manifest_end){
            .store_id = current.store_id, .number = current.manifest_number, .end = end};
    }
    if (load.bytes != NULL) {
        gy_heap_unmap(&loop->heap, load.bytes, load.mapped, GY_MEM_BUFFERS);
    }
    (void)gy_file_await_close(loop, &load.file); /* it was only read */
    return status;
}
