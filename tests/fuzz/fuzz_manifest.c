/* fuzz_manifest.c - replay of manifests: edits that contradict each other, the files and the logs.
 *
 * Input: flags (rig_store.h), form, then
 *   form 0: edits, each made from what is true and a mask of fields that are not
 *   form 1: the payload of one frame
 *   form 2: the bytes of the file
 * What is not bytes of the file is sealed, so that every check behind the checksum is met.
 */
#include <stdlib.h>

#include "engine/codec/frame.h"
#include "io/base/bits.h"
#include "tests/fuzz/rig_store.h"

#define MANIFEST_SIZE (192u << 10)
#define PAYLOAD_MAX (32u << 10)
#define EDITS_MAX 400u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t file[MANIFEST_SIZE];

struct builder {
    const struct rig_template *template;
    struct gy_writer writer; /* payload of the frame that is being put together */
    uint32_t edit_count;
    uint64_t offset;
};

static void
seal(struct builder *builder)
{
    const struct gy_frame frame = {.kind = GY_FRAME_EDITS,
                                   .payload_size = (uint32_t)builder->writer.used,
                                   .record_count = builder->edit_count,
                                   .sequence_first = 1,
                                   .durable_offset = builder->offset,
                                   .file_number = builder->template->manifest_number};
    const struct gy_frame_place place = {.store_id = builder->template->store_id,
                                         .file_number = frame.file_number,
                                         .offset = builder->offset};

    if (builder->writer.used == 0 || builder->writer.failed) {
        return;
    }
    gy_frame_seal(file + builder->offset, &frame, &place);
    builder->offset += gy_frame_span(frame.payload_size);
    builder->writer = (struct gy_writer){
        .data = file + builder->offset + GY_FRAME_HEADER_SIZE,
        .capacity = gy_sub_sat(gy_min_u64(MANIFEST_SIZE - GY_PAGE, builder->offset + PAYLOAD_MAX),
                               builder->offset + GY_FRAME_HEADER_SIZE)};
    builder->edit_count = 0;
}

static void
choose_u64(struct rig_bytes *in, uint8_t mask, uint8_t bit, uint64_t *value)
{
    if ((mask & bit) != 0) {
        *value = rig_number(in, *value);
    }
}

static void
choose_table(struct rig_bytes *in, uint8_t mask, struct gy_table_meta *table)
{
    if ((mask & 1u) != 0) {
        table->level = rig_u8(in) % 9u;
    }
    choose_u64(in, mask, 2u, &table->number);
    choose_u64(in, mask, 4u, &table->size);
    if ((mask & 8u) != 0) {
        table->entry_count = rig_number(in, table->entry_count);
        table->delete_count = rig_number(in, table->delete_count);
    }
    if ((mask & 16u) != 0) {
        table->sequence_min = rig_number(in, table->sequence_min);
        table->sequence_max = rig_number(in, table->sequence_max);
    }
    if ((mask & 32u) != 0) {
        table->smallest = rig_slice(in, rig_u8(in) % 8u);
    }
    if ((mask & 64u) != 0) {
        table->largest = rig_slice(in, rig_u8(in) % 8u);
    }
    choose_u64(in, mask, 128u, &table->file_id);
}

static void
choose_edit(struct builder *builder, struct rig_bytes *in)
{
    const struct rig_template *t = builder->template;
    const uint8_t which = rig_u8(in);
    const uint8_t mask = rig_u8(in);
    const struct gy_table_meta *table = &t->tables[which / 8u % t->table_count];
    struct gy_edit edit = {.kind = (enum gy_edit_kind)(1 + which % 8 % 7)};

    switch (edit.kind) {
    case GY_EDIT_STORE:
        edit.u.store.store_id = t->store_id;
        edit.u.store.comparator = gyre_str(GY_COMPARATOR_NAME);
        choose_u64(in, mask, 1u, &edit.u.store.store_id);
        choose_u64(in, mask, 2u, &edit.u.store.incompatible);
        choose_u64(in, mask, 4u, &edit.u.store.compatible);
        break;
    case GY_EDIT_COUNTERS:
        edit.u.counters.next_file_number = t->next_file_number;
        edit.u.counters.last_sequence = t->sequence;
        choose_u64(in, mask, 1u, &edit.u.counters.next_file_number);
        choose_u64(in, mask, 2u, &edit.u.counters.last_sequence);
        break;
    case GY_EDIT_ADD_TABLE:
        edit.u.table = *table;
        choose_table(in, mask, &edit.u.table);
        break;
    case GY_EDIT_REMOVE_TABLE:
        edit.u.remove.level = table->level;
        edit.u.remove.number = table->number;
        if ((mask & 1u) != 0) {
            edit.u.remove.level = rig_u8(in) % 9u;
        }
        choose_u64(in, mask, 2u, &edit.u.remove.number);
        break;
    case GY_EDIT_ADD_LOG:
        edit.u.log.number = t->log_number;
        edit.u.log.slot = t->log_slot;
        choose_u64(in, mask, 1u, &edit.u.log.number);
        if ((mask & 2u) != 0) {
            edit.u.log.slot = rig_u8(in);
        }
        break;
    case GY_EDIT_FLUSHED:
        edit.u.flushed.sequence = t->flushed_sequence;
        edit.u.flushed.log_min = t->log_min;
        choose_u64(in, mask, 1u, &edit.u.flushed.sequence);
        choose_u64(in, mask, 2u, &edit.u.flushed.log_min);
        break;
    case GY_EDIT_STAGE:
        memcpy(edit.u.stage.id, t->stage_id, sizeof(edit.u.stage.id));
        memcpy(edit.u.stage.boot_id, t->boot_id, sizeof(edit.u.stage.boot_id));
        choose_u64(in, mask, 1u, &edit.u.stage.id[0]);
        choose_u64(in, mask, 2u, &edit.u.stage.boot_id[1]);
        break;
    }
    gy_edit_encode(&builder->writer, &edit);
    builder->edit_count++;
    if (which >= 192) {
        seal(builder);
    }
}

/* What a writer puts first; the input goes on from there. */
static void
add_state(struct builder *builder, uint8_t tables)
{
    const struct rig_template *t = builder->template;
    struct gy_edit edit = {.kind = GY_EDIT_STORE};

    edit.u.store.store_id = t->store_id;
    edit.u.store.comparator = gyre_str(GY_COMPARATOR_NAME);
    gy_edit_encode(&builder->writer, &edit);
    edit = (struct gy_edit){.kind = GY_EDIT_COUNTERS};
    edit.u.counters.next_file_number = t->next_file_number;
    edit.u.counters.last_sequence = t->sequence;
    gy_edit_encode(&builder->writer, &edit);
    edit = (struct gy_edit){.kind = GY_EDIT_FLUSHED};
    edit.u.flushed.sequence = t->flushed_sequence;
    gy_edit_encode(&builder->writer, &edit);
    for (uint32_t i = 0; i < t->table_count; i++) {
        edit = (struct gy_edit){.kind = GY_EDIT_ADD_TABLE};
        edit.u.table = t->tables[i];
        if (((unsigned)tables >> i & 1u) != 0) {
            gy_edit_encode(&builder->writer, &edit);
        }
    }
    builder->edit_count = 3;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig_bytes in = {.at = data, .end = data + size};
    struct builder builder = {
        .template = rig_template(),
        .writer = {.data = file + GY_FRAME_HEADER_SIZE, .capacity = PAYLOAD_MAX}};
    char name[GY_NAME_MAX];
    char path[GY_NAME_MAX + 8];
    struct gy_sim_disk *disk;
    uint8_t flags;
    uint8_t form;

    if (size < 4 || size > PAYLOAD_MAX) {
        return 0;
    }
    flags = rig_u8(&in);
    form = rig_u8(&in);
    memset(file, 0, sizeof(file));
    disk = rig_disk();
    gy_name_manifest(name, builder.template->manifest_number);
    rig_path(path, name);
    if (form % 4 < 2) {
        if (form % 4 == 1) {
            add_state(&builder, rig_u8(&in));
        }
        for (uint32_t i = 0; i < EDITS_MAX && rig_left(&in) > 0; i++) {
            choose_edit(&builder, &in);
        }
        seal(&builder);
    } else if (form % 4 == 2) {
        gy_write_bytes(&builder.writer, gyre_slice(in.at, rig_left(&in)));
        seal(&builder);
    } else {
        memcpy(file, in.at, rig_left(&in));
    }
    (void)gy_sim_disk_remove(disk, path);
    (void)gy_sim_disk_poke(disk, path, 0, file, sizeof(file));
    rig_try(disk, flags);
    return 0;
}
