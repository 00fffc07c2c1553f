/* recover_stage.c - what a killed process left in staging memory: commits that were answered and
 * had not reached the log. They follow what the logs gave; those that had reached it are skipped.
 */
#include "engine/codec/coding.h"
#include "engine/db/db.h"
#include "engine/db/recover.h"
#include "engine/disk/wal_reader.h"
#include "io/base/checked.h"

#include "io/base/ban.h"

/* Operations in a payload of whole commits; 0 when it does not decode. */
static uint64_t
payload_operations(struct gyre_slice payload)
{
    struct gy_reader reader = gy_reader_of(payload.data, payload.size);
    uint64_t total = 0;

    while (reader.at < reader.end) {
        const struct gyre_slice operations = gy_read_string(&reader, payload.size);
        uint32_t count = 0;

        if (reader.failed || gy_operations_count(operations, &count) != GYRE_OK) {
            return 0;
        }
        total += count;
    }
    return total;
}

/* Remember what has to be written to the new log; a large commit, whose parts may lie in an old
 * log, is taken over from the reader, which has put it together. */
static void
note_staged(struct gy_recovery *recovery, struct gy_wal_reader *reader,
            const struct gy_staged_group *group, uint32_t record_count, uint64_t sequence_last)
{
    struct gy_wal_staged *staged = &recovery->staged[recovery->staged_count];

    *staged = (struct gy_wal_staged){.payload = group->payload,
                                     .record_count = record_count,
                                     .sequence_first = group->sequence_first,
                                     .sequence_last = sequence_last};
    if ((group->flags & GY_FRAME_PART) != 0) {
        recovery->staged_large[recovery->staged_count] = reader->part;
        staged->payload = gyre_slice(reader->part, reader->part_size);
        staged->large = true;
        reader->part = NULL;
        reader->part_size = 0;
        reader->part_capacity = 0;
    }
    recovery->staged_count++;
}

static GY_SUSPENDS gyre_status
await_replay_group(struct gy_recovery *recovery, struct gy_wal_reader *reader,
                   const struct gy_staged_group *group)
{
    const bool is_part = (group->flags & GY_FRAME_PART) != 0;
    uint32_t record_count = 0;
    uint64_t sequence_last = 0;
    gyre_status status;

    if (group->sequence_first < reader->sequence_next + GY_MUTANT(staged_group_left_out) &&
        (is_part ||
         group->sequence_first + payload_operations(group->payload) <= reader->sequence_next)) {
        GY_SOMETIMES(staged_group_was_in_log);
        return GYRE_OK; /* it had reached the log */
    }
    status = gy_wal_reader_await_payload(reader, "staging memory", 0, group->payload, group->flags,
                                         group->part_offset, group->sequence_first, &record_count,
                                         &sequence_last);
    if (status == GYRE_OK && (!is_part || (group->flags & GY_FRAME_LAST) != 0)) {
        note_staged(recovery, reader, group, record_count, sequence_last);
    }
    return status;
}

static void
note_stage_lost(gyre_db *db)
{
    db->counters.stage_lost = 1;
    gy_loop_log(db->loop, GYRE_LOG_WARNING,
                "the staging memory of the last process is gone although the machine was not "
                "restarted: BUFFERED writes of its last moments may be lost");
}

GY_SUSPENDS gyre_status
gy_recover_await_stage(gyre_db *db, struct gy_recovery *recovery, struct gy_wal_reader *reader)
{
    struct gy_world *world = db->loop->io.world;
    struct gy_staged_group *groups;
    uint64_t boot_id[2] = {0, 0};
    uint32_t count = 0;
    int result;
    gyre_status status;

    if ((db->stage_id[0] | db->stage_id[1]) == 0) {
        return GYRE_OK;
    }
    world->ops->boot_id(world, boot_id);
    if (memcmp(boot_id, db->boot_id, sizeof(boot_id)) != 0) {
        GY_SOMETIMES(staging_of_earlier_boot);
        return GYRE_OK; /* a power cut or restart: it is gone with the memory */
    }
    result = gy_loop_await_stage_open(&db->loop->io, &recovery->stage, db->stage_id);
    if (result != 0) {
        memset(&recovery->stage, 0, sizeof(recovery->stage));
        if (!recovery->clean) {
            note_stage_lost(db);
        }
        return GYRE_OK;
    }
    groups = gy_heap_alloc(&db->loop->io.heap, GY_STAGE_COUNT_MAX * sizeof(*groups), GY_MEM_CALL);
    if (groups == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory to recover staged commits");
    }
    status =
        gy_stage_read(recovery->stage.base, recovery->stage.size, db->store_id, groups, &count);
    if (status != GYRE_OK) {
        status =
            gy_loop_fail(db->loop, status, "the staging memory of the last process is damaged");
    }
    for (uint32_t i = 0; status == GYRE_OK && i < count; i++) {
        status = await_replay_group(recovery, reader, &groups[i]);
    }
    gy_heap_free(&db->loop->io.heap, groups);
    return status;
}

GY_SUSPENDS void
gy_recover_await_fini(gyre_db *db, struct gy_recovery *recovery, bool unlink_stage)
{
    for (uint32_t i = 0; i < recovery->staged_count; i++) {
        gy_heap_free(&db->loop->io.heap, recovery->staged_large[i]);
    }
    if (recovery->stage.base != NULL) {
        gy_loop_await_stage_close(&db->loop->io, &recovery->stage, unlink_stage);
        recovery->stage.base = NULL;
    }
}
