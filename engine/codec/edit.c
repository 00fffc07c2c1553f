/* edit.c - manifest edits and CURRENT; the bytes and the rules are in edit.h. */
#include "engine/codec/edit.h"

#include "engine/codec/key.h"
#include "io/base/assert.h"

#include "io/base/ban.h"

#define SKIPPABLE 0x80u
#define COMPARATOR_NAME_MAX 255u

/* ---- Encode ---- */

static void
write_table(struct gy_writer *writer, const struct gy_table_meta *table)
{
    gy_write_varint(writer, table->keyspace);
    gy_write_varint(writer, table->level);
    gy_write_varint(writer, table->number);
    gy_write_u64(writer, table->file_id);
    gy_write_varint(writer, table->size);
    gy_write_varint(writer, table->entry_count);
    gy_write_varint(writer, table->delete_count);
    gy_write_varint(writer, table->sequence_min);
    gy_write_varint(writer, table->sequence_max);
    gy_write_string(writer, table->smallest);
    gy_write_string(writer, table->largest);
}

static void
write_body(struct gy_writer *writer, const struct gy_edit *edit)
{
    switch (edit->kind) {
    case GY_EDIT_STORE:
        gy_write_u64(writer, edit->u.store.store_id);
        gy_write_string(writer, edit->u.store.comparator);
        gy_write_varint(writer, edit->u.store.incompatible);
        gy_write_varint(writer, edit->u.store.compatible);
        return;
    case GY_EDIT_COUNTERS:
        gy_write_varint(writer, edit->u.counters.next_file_number);
        gy_write_varint(writer, edit->u.counters.last_sequence);
        return;
    case GY_EDIT_ADD_TABLE:
        write_table(writer, &edit->u.table);
        return;
    case GY_EDIT_REMOVE_TABLE:
        gy_write_varint(writer, edit->u.remove.keyspace);
        gy_write_varint(writer, edit->u.remove.level);
        gy_write_varint(writer, edit->u.remove.number);
        return;
    case GY_EDIT_ADD_LOG:
        gy_write_varint(writer, edit->u.log.number);
        gy_write_varint(writer, edit->u.log.slot);
        return;
    case GY_EDIT_FLUSHED:
        gy_write_varint(writer, edit->u.flushed.keyspace);
        gy_write_varint(writer, edit->u.flushed.sequence);
        gy_write_varint(writer, edit->u.flushed.log_min);
        return;
    case GY_EDIT_STAGE:
        gy_write_u64(writer, edit->u.stage.id[0]);
        gy_write_u64(writer, edit->u.stage.id[1]);
        gy_write_u64(writer, edit->u.stage.boot_id[0]);
        gy_write_u64(writer, edit->u.stage.boot_id[1]);
        return;
    }
    gy_bug("an edit of no known kind");
}

void
gy_edit_encode(struct gy_writer *writer, const struct gy_edit *edit)
{
    struct gy_writer measure = {0};

    write_body(&measure, edit);
    gy_write_u8(writer, (uint8_t)edit->kind);
    gy_write_varint(writer, measure.used);
    write_body(writer, edit);
}

/* ---- Decode ---- */

/* A later release may use other keyspaces: that is not damage. */
static gyre_status
check_keyspace(uint32_t keyspace)
{
    return keyspace == GY_KEYSPACE_DEFAULT ? GYRE_OK : GYRE_UNSUPPORTED;
}

static bool
is_key(struct gyre_slice key)
{
    return key.size >= 1 && key.size <= GY_KEY_SIZE_MAX;
}

static bool
is_table_sound(const struct gy_table_meta *table)
{
    return table->level < GY_LEVEL_COUNT && table->number <= GY_FILE_NUMBER_MAX &&
           table->delete_count <= table->entry_count &&
           table->sequence_min <= table->sequence_max && table->sequence_max <= GY_SEQUENCE_MAX &&
           is_key(table->smallest) && is_key(table->largest) &&
           gy_key_compare(table->smallest, table->largest) <= 0;
}

static gyre_status
read_table(struct gy_reader *body, struct gy_table_meta *table)
{
    table->keyspace = gy_read_varint32(body);
    table->level = gy_read_varint32(body);
    table->number = gy_read_varint64(body);
    table->file_id = gy_read_u64(body);
    table->size = gy_read_varint64(body);
    table->entry_count = gy_read_varint64(body);
    table->delete_count = gy_read_varint64(body);
    table->sequence_min = gy_read_varint64(body);
    table->sequence_max = gy_read_varint64(body);
    table->smallest = gy_read_string(body, GY_KEY_SIZE_MAX);
    table->largest = gy_read_string(body, GY_KEY_SIZE_MAX);
    if (!gy_reader_is_done(body) || !is_table_sound(table)) {
        return GYRE_CORRUPT;
    }
    return check_keyspace(table->keyspace);
}

static gyre_status
read_store(struct gy_reader *body, struct gy_edit *edit)
{
    edit->u.store.store_id = gy_read_u64(body);
    edit->u.store.comparator = gy_read_string(body, COMPARATOR_NAME_MAX);
    edit->u.store.incompatible = gy_read_varint64(body);
    edit->u.store.compatible = gy_read_varint64(body);
    return gy_reader_is_done(body) ? GYRE_OK : GYRE_CORRUPT;
}

static gyre_status
read_remove(struct gy_reader *body, struct gy_edit *edit)
{
    edit->u.remove.keyspace = gy_read_varint32(body);
    edit->u.remove.level = gy_read_varint32(body);
    edit->u.remove.number = gy_read_varint64(body);
    if (!gy_reader_is_done(body) || edit->u.remove.level >= GY_LEVEL_COUNT ||
        edit->u.remove.number > GY_FILE_NUMBER_MAX) {
        return GYRE_CORRUPT;
    }
    return check_keyspace(edit->u.remove.keyspace);
}

static gyre_status
read_flushed(struct gy_reader *body, struct gy_edit *edit)
{
    edit->u.flushed.keyspace = gy_read_varint32(body);
    edit->u.flushed.sequence = gy_read_varint64(body);
    edit->u.flushed.log_min = gy_read_varint64(body);
    if (!gy_reader_is_done(body) || edit->u.flushed.sequence > GY_SEQUENCE_MAX ||
        edit->u.flushed.log_min > GY_FILE_NUMBER_MAX) {
        return GYRE_CORRUPT;
    }
    return check_keyspace(edit->u.flushed.keyspace);
}

/* The kinds without strings and keyspace. */
static gyre_status
read_numbers(struct gy_reader *body, struct gy_edit *edit)
{
    bool is_sound = true;

    if (edit->kind == GY_EDIT_COUNTERS) {
        edit->u.counters.next_file_number = gy_read_varint64(body);
        edit->u.counters.last_sequence = gy_read_varint64(body);
        is_sound = edit->u.counters.next_file_number <= GY_FILE_NUMBER_MAX &&
                   edit->u.counters.last_sequence <= GY_SEQUENCE_MAX;
    } else if (edit->kind == GY_EDIT_ADD_LOG) {
        edit->u.log.number = gy_read_varint64(body);
        edit->u.log.slot = gy_read_varint32(body);
        is_sound = edit->u.log.number <= GY_FILE_NUMBER_MAX && edit->u.log.slot < GY_WAL_SLOT_MAX;
    } else {
        gy_assert(edit->kind == GY_EDIT_STAGE);
        edit->u.stage.id[0] = gy_read_u64(body);
        edit->u.stage.id[1] = gy_read_u64(body);
        edit->u.stage.boot_id[0] = gy_read_u64(body);
        edit->u.stage.boot_id[1] = gy_read_u64(body);
    }
    return is_sound && gy_reader_is_done(body) ? GYRE_OK : GYRE_CORRUPT;
}

static gyre_status
read_body(uint8_t kind, struct gyre_slice bytes, struct gy_edit *edit)
{
    struct gy_reader body = gy_reader_of(bytes.data, bytes.size);

    *edit = (struct gy_edit){.kind = (enum gy_edit_kind)kind};
    switch (edit->kind) {
    case GY_EDIT_STORE:
        return read_store(&body, edit);
    case GY_EDIT_ADD_TABLE:
        return read_table(&body, &edit->u.table);
    case GY_EDIT_REMOVE_TABLE:
        return read_remove(&body, edit);
    case GY_EDIT_FLUSHED:
        return read_flushed(&body, edit);
    case GY_EDIT_COUNTERS:
    case GY_EDIT_ADD_LOG:
    case GY_EDIT_STAGE:
        return read_numbers(&body, edit);
    }
    return GYRE_UNSUPPORTED;
}

gyre_status
gy_edit_decode(struct gy_reader *reader, struct gy_edit *ret_edit)
{
    struct gy_reader at = *reader;

    while (!gy_reader_is_done(&at)) {
        const uint8_t kind = gy_read_u8(&at);
        const uint64_t size = gy_read_varint64(&at);
        const struct gyre_slice bytes = gy_read_bytes(&at, size);
        struct gy_edit edit;
        gyre_status status;

        if (at.failed) {
            return GYRE_CORRUPT;
        }
        if (kind >= SKIPPABLE) {
            continue;
        }
        status = read_body(kind, bytes, &edit);
        if (status == GYRE_OK) {
            *ret_edit = edit;
            *reader = at;
        }
        return status;
    }
    *reader = at;
    return GYRE_NOT_FOUND;
}

/* ---- CURRENT ---- */

void
gy_current_encode(uint8_t target[GY_CURRENT_SIZE], const struct gy_current *current)
{
    gy_put_u64(target, current->store_id);
    gy_put_u64(target + 8, current->manifest_number);
}

gyre_status
gy_current_decode(struct gyre_slice payload, struct gy_current *ret_current)
{
    const uint8_t *bytes = payload.data;

    if (payload.size != GY_CURRENT_SIZE || gy_get_u64(bytes + 8) > GY_FILE_NUMBER_MAX) {
        return GYRE_CORRUPT;
    }
    ret_current->store_id = gy_get_u64(bytes);
    ret_current->manifest_number = gy_get_u64(bytes + 8);
    return GYRE_OK;
}
