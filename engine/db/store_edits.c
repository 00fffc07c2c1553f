/* store_edits.c - see store_edits.h. */
#include "engine/db/store_edits.h"

#include "io/base/ban.h"

static void
write_tables(const struct gy_version *version, struct gy_writer *writer)
{
    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < version->levels[level].count; i++) {
            struct gy_edit edit = {.kind = GY_EDIT_ADD_TABLE};

            edit.u.table = version->levels[level].tables[i]->meta;
            edit.u.table.level = level;
            gy_edit_encode(writer, &edit);
        }
    }
}

void
gy_store_edits_write(void *arg, struct gy_writer *writer)
{
    const struct gy_store_edits *state = arg;
    struct gy_edit edit = {.kind = GY_EDIT_STORE};

    edit.u.store.store_id = state->store_id;
    edit.u.store.comparator = gyre_str(GY_COMPARATOR_NAME);
    edit.u.store.compatible = state->features_compatible;
    gy_edit_encode(writer, &edit);
    edit = (struct gy_edit){.kind = GY_EDIT_COUNTERS};
    edit.u.counters.next_file_number = state->next_file_number;
    edit.u.counters.last_sequence = state->last_sequence;
    gy_edit_encode(writer, &edit);
    edit = (struct gy_edit){.kind = GY_EDIT_FLUSHED};
    edit.u.flushed.keyspace = GY_KEYSPACE_DEFAULT;
    edit.u.flushed.sequence = state->flushed_sequence;
    edit.u.flushed.log_min = state->log_min;
    gy_edit_encode(writer, &edit);
    for (uint32_t i = 0; i < state->log_count; i++) {
        edit = (struct gy_edit){.kind = GY_EDIT_ADD_LOG};
        edit.u.log.number = state->logs[i].number;
        edit.u.log.slot = state->logs[i].slot;
        gy_edit_encode(writer, &edit);
    }
    edit = (struct gy_edit){.kind = GY_EDIT_STAGE};
    memcpy(edit.u.stage.id, state->stage_id, sizeof(edit.u.stage.id));
    memcpy(edit.u.stage.boot_id, state->boot_id, sizeof(edit.u.stage.boot_id));
    gy_edit_encode(writer, &edit);
    write_tables(state->version, writer);
}
