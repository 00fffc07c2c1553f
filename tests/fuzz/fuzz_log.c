/* fuzz_log.c - replay of logs: the store has a valid manifest, its log is what the input says.
 *
 * Input: flags (rig_store.h), form, then
 *   form 0: frames, put together here and sealed, so that every check behind the checksum is met:
 *           kind, fields that are not to be what a writer would write, payload
 *   form 1: the bytes of the file
 *   form 2: frames as in 0, for staging memory: descriptors and payloads of groups
 */
#include <stdlib.h>

#include "engine/codec/batch.h"
#include "engine/codec/frame.h"
#include "engine/disk/log_mark.h"
#include "engine/disk/stage.h"
#include "io/base/bits.h"
#include "tests/fuzz/rig_store.h"

#define LOG_SIZE (256u << 10)
#define FRAMES_MAX 40u
#define STAGE_BUFFER_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Fields that are taken from the input instead of being right. */
enum odd_field {
    ODD_COUNT = 1,
    ODD_FIRST = 2,
    ODD_LAST = 4,
    ODD_DURABLE = 8,
    ODD_NUMBER = 16,
    ODD_PREVIOUS = 32,
    ODD_PLACE = 64, /* sealed for another offset */
    ODD_GAP = 128   /* a page is left free before it */
};

static uint8_t file[LOG_SIZE];

/* Commits in a payload as a reader counts them; how many operations they have. */
static uint32_t
count_commits(struct gyre_slice payload, uint64_t *ret_operations)
{
    struct gy_reader reader = gy_reader_of(payload.data, payload.size);
    uint32_t commits = 0;

    *ret_operations = 0;
    while (reader.at < reader.end) {
        const struct gyre_slice operations = gy_read_string(&reader, payload.size);
        uint32_t count = 0;

        if (reader.failed || gy_operations_count(operations, &count) != GYRE_OK) {
            break;
        }
        commits++;
        *ret_operations += count;
    }
    return commits;
}

/* One commit of a few operations in the place of raw bytes: half of all payloads are sound. */
static size_t
make_commit(struct rig_bytes *in, uint8_t *target)
{
    uint8_t operations[512];
    const uint32_t count = 1 + rig_u8(in) % 4u;
    uint8_t *at = operations;

    for (uint32_t i = 0; i < count; i++) {
        const uint8_t which = rig_u8(in);
        const uint8_t key[2] = {'k', which};
        const struct gy_operation operation = {.kind =
                                                   which % 4 == 0 ? GY_KIND_DELETE : GY_KIND_PUT,
                                               .key = gyre_slice(key, 1u + which % 2),
                                               .value = rig_slice(in, which % 4u)};

        at = gy_operation_encode(at, &operation);
    }
    uint8_t *end = gy_put_varint(target, (uint64_t)(at - operations));

    memcpy(end, operations, (size_t)(at - operations));
    return (size_t)(end - target) + (size_t)(at - operations);
}

static size_t
take_payload(struct rig_bytes *in, uint8_t *target, size_t capacity)
{
    const uint8_t how = rig_u8(in);
    struct gyre_slice bytes;

    if (how % 4 == 0 && capacity > 1024) {
        return make_commit(in, target);
    }
    if (how % 4 == 1) { /* long: a pattern */
        const size_t size = gy_min_u64(rig_wide(in, 3), capacity);

        memset(target, how, size);
        return size;
    }
    bytes = rig_slice(in, (size_t)gy_min_u64(how / 4u, capacity));
    if (bytes.size > 0) {
        memcpy(target, bytes.data, bytes.size);
    }
    return bytes.size;
}

/* Returns the offset behind it. */
static uint64_t
add_frame(struct rig_bytes *in, uint64_t offset, uint64_t *sequence_next)
{
    const struct rig_template *template = rig_template();
    const uint8_t kind = rig_u8(in);
    const uint8_t odd = rig_u8(in);
    struct gy_frame_place place = {.store_id = template->store_id};
    struct gy_frame frame = {.kind = (enum gy_frame_kind)(1 + kind % 8 % 5)};
    uint8_t *bytes;
    uint64_t operations;
    size_t size;

    offset += (odd & ODD_GAP) != 0 ? GY_PAGE : 0;
    if (offset + 2 * GY_PAGE > LOG_SIZE) {
        return LOG_SIZE;
    }
    bytes = file + offset;
    size = take_payload(in, bytes + GY_FRAME_HEADER_SIZE,
                        (size_t)(LOG_SIZE - offset - GY_FRAME_HEADER_SIZE));
    if (frame.kind == GY_FRAME_LOG_START || frame.kind == GY_FRAME_LOG_END) {
        gy_log_mark_encode(bytes + GY_FRAME_HEADER_SIZE, template->manifest_number,
                           (odd & ODD_DURABLE) != 0 ? rig_number(in, GY_PAGE) : GY_PAGE);
        size = GY_LOG_MARK_SIZE;
    }
    frame.payload_size = (uint32_t)size;
    frame.flags = kind >> 3 & 7u;
    frame.record_count = count_commits(gyre_slice(bytes + GY_FRAME_HEADER_SIZE, size), &operations);
    frame.sequence_first = *sequence_next;
    frame.durable_offset = (odd & ODD_DURABLE) != 0 ? rig_number(in, offset) : offset;
    frame.file_number = template->log_number;
    frame.file_number =
        (odd & ODD_NUMBER) != 0 ? rig_number(in, frame.file_number) : frame.file_number;
    frame.previous = (odd & ODD_PREVIOUS) != 0 ? rig_number(in, 0) : 0;
    frame.record_count =
        (odd & ODD_COUNT) != 0 ? (uint32_t)rig_number(in, frame.record_count) : frame.record_count;
    frame.sequence_first = (odd & ODD_FIRST) != 0 ? rig_number(in, *sequence_next) : *sequence_next;
    frame.sequence_last = (odd & ODD_LAST) != 0 ? rig_number(in, *sequence_next)
                                                : frame.sequence_first + operations - 1;
    if (frame.sequence_last > GY_SEQUENCE_MAX || frame.sequence_first > frame.sequence_last + 1) {
        return offset; /* sealing asserts: only bytes can say so (form 1) */
    }
    place.file_number = frame.file_number;
    place.offset = (odd & ODD_PLACE) != 0 ? offset + GY_PAGE : offset;
    gy_frame_seal(bytes, &frame, &place);
    *sequence_next = frame.sequence_last + 1;
    return offset + gy_frame_span(frame.payload_size);
}

static void
fill_log(struct gy_sim_disk *disk, const char *path, struct rig_bytes *in)
{
    const struct rig_template *template = rig_template();
    uint64_t sequence_next = template->flushed_sequence + 1;
    uint64_t offset = 0;

    /* the last page stays: it says that the file is whole */
    rig_must(gy_sim_disk_peek(disk, path, 0, file, LOG_SIZE) == LOG_SIZE, "the template's log");
    memset(file, 0, LOG_SIZE - GY_PAGE);
    for (uint32_t i = 0; i < FRAMES_MAX && rig_left(in) > 0 && offset < LOG_SIZE - GY_PAGE; i++) {
        offset = add_frame(in, offset, &sequence_next);
    }
    (void)gy_sim_disk_poke(disk, path, 0, file, LOG_SIZE);
}

/* Descriptors of groups, and payloads in their buffers. */
static void
fill_stage(struct gy_sim_disk *disk, struct rig_bytes *in)
{
    const struct rig_template *template = rig_template();
    uint64_t sequence_next = template->sequence - 5;

    for (uint32_t i = 0; i < 8 && rig_left(in) > 0; i++) {
        const uint8_t odd = rig_u8(in);
        uint8_t descriptor[48] = {0};
        uint8_t payload[STAGE_BUFFER_MAX];
        uint64_t operations;
        const size_t size = take_payload(in, payload, sizeof(payload));
        const uint64_t committed = (odd & ODD_COUNT) != 0 ? rig_number(in, size) : size;

        (void)count_commits(gyre_slice(payload, size), &operations);
        gy_put_u64(descriptor, (odd & ODD_NUMBER) != 0 ? rig_number(in, i) : i + 1);
        gy_put_u64(descriptor + 8,
                   (odd & ODD_FIRST) != 0 ? rig_number(in, sequence_next) : sequence_next);
        gy_put_u64(descriptor + 16, committed);
        descriptor[28] = (odd & ODD_PLACE) != 0 ? rig_u8(in) : 0;
        gy_put_u64(descriptor + 40, (odd & ODD_PREVIOUS) != 0 ? rig_number(in, 0) : 0);
        sequence_next += operations;
        rig_poke_stage(disk, 64 * (uint64_t)(i + 1), gyre_slice(descriptor, sizeof(descriptor)));
        rig_poke_stage(disk, GY_PAGE + (uint64_t)i * template->stage_buffer_size + 64,
                       gyre_slice(payload, size));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct rig_template *template = rig_template();
    struct rig_bytes in = {.at = data, .end = data + size};
    struct gy_sim_disk *disk;
    char name[GY_NAME_MAX];
    char path[GY_NAME_MAX + 8];
    uint8_t flags;
    uint8_t form;

    if (size < 3 || size > 64u << 10) {
        return 0;
    }
    flags = rig_u8(&in);
    form = rig_u8(&in) % 3;
    disk = rig_disk();
    gy_name_log_slot(name, template->log_slot);
    rig_path(path, name);
    if (form == 0) {
        fill_log(disk, path, &in);
    } else if (form == 1) {
        (void)gy_sim_disk_poke(disk, path, 0, in.at, rig_left(&in));
    } else {
        fill_stage(disk, &in);
    }
    rig_try(disk, flags);
    return 0;
}
