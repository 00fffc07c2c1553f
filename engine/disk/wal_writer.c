/* wal_writer.c - the coroutine that writes groups to the log in order and makes them durable; W1,
 * W2, W5 in wal.h.
 *
 * Each round: take in what the device has finished, close the open group when it is time, hand
 * closed groups to the device, start a sync when something waits for one, sleep until the next of
 * these can change.
 */
#include "engine/disk/names.h"
#include "engine/disk/wal.h"
#include "engine/disk/wal_parts.h"

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"
#include "io/base/probes.h"

#include "io/base/ban.h"

static struct gy_loop *
loop_of(const struct gy_wal *wal)
{
    return wal->config.loop;
}

static struct gy_wal_log *
current_log(struct gy_wal *wal)
{
    gy_assert(wal->started && wal->log_count > 0);
    return &wal->logs[wal->log_count - 1];
}

/* ---- What the device has finished ---- */

static void
submit_write(struct gy_wal *wal, struct gy_wal_group *group)
{
    const struct gy_file *file = &wal->slots[current_log(wal)->slot];

    group->req = (struct gy_req){.op = GY_OP_WRITE,
                                 .klass = GY_IO_WAL,
                                 .flags = group->dsync ? GY_IO_DSYNC : 0,
                                 .slot = file->slot,
                                 .buffer = group->buffer + group->written,
                                 .size = group->span - group->written,
                                 .offset = group->offset + group->written,
                                 .waiter = wal->writer};
    gy_list_init(&group->req.link);
    gy_loop_submit(loop_of(wal), &group->req);
}

/* A failed transfer poisons; a short one goes on from the last whole page (the device may have
 * moved less than one), unless it gets nowhere several times in a row. */
static void
finish_write(struct gy_wal *wal, struct gy_wal_group *group)
{
    const int32_t result = group->req.result;
    const struct gy_file *file = &wal->slots[current_log(wal)->slot];

    if (wal->poison != GYRE_OK) {
        wal->in_flight--;
        group->state = GY_GROUP_WRITTEN;
        return;
    }
    group->stalls = result >= (int32_t)GY_PAGE ? 0 : group->stalls + 1;
    if (result > 0 && (uint32_t)result < group->req.size && group->stalls < GY_WAL_STALLS_MAX &&
        !GY_MUTANT(short_write_is_success)) {
        GY_SOMETIMES(log_write_came_back_short);
        group->written += (uint32_t)gy_align_down((uint32_t)result, GY_PAGE);
        submit_write(wal, group);
        return;
    }
    wal->in_flight--;
    group->state = GY_GROUP_WRITTEN;
    if (result < 0 || ((uint32_t)result != group->req.size && !GY_MUTANT(short_write_is_success))) {
        gy_wal_poison(wal, gy_fail_at(&loop_of(wal)->sched, GYRE_IO, file->name, group->offset,
                                      result < 0 ? -result : 0, "cannot write the log"));
        return;
    }
    wal->stats.bytes_written += group->span;
    GY_PROBE4(wal__write__done, wal->config.store_id, group->offset, group->span, group->dsync);
}

/* The log has it and everything before it. Not earlier: behind a hole that a killed process leaves,
 * recovery finds nothing in the log, and the staged copy is the only one. */
static void
free_buffer(struct gy_wal *wal, const struct gy_wal_group *group)
{
    wal->free_buffers |= 1ull << group->index;
    gy_stage_free_group(&wal->stage, group->index);
    gy_waitq_wake_all(&wal->space);
}

/* Move written and durable marks over the groups that are finished, in order. */
static void
update_marks(struct gy_wal *wal)
{
    for (uint64_t i = wal->group_head; i < wal->group_submit; i++) {
        const struct gy_wal_group *group = gy_wal_group_at(wal, i);
        const uint64_t end = group->offset + group->span;

        if (group->state != GY_GROUP_WRITTEN) {
            break;
        }
        if (end <= wal->written_offset) {
            continue;
        }
        gy_assert(group->offset == wal->written_offset);
        wal->written_offset = end;
        if (!GY_MUTANT(log_buffer_reused_early)) {
            free_buffer(wal, group);
        }
        if (group->sequence_last > wal->written_sequence) {
            wal->written_sequence = group->sequence_last;
        }
        if (group->dsync &&
            (wal->durable_offset == group->offset || GY_MUTANT(dsync_flushes_device))) {
            GY_SOMETIMES(log_synced_by_dsync);
            wal->durable_offset = end;
            if (group->sequence_last > wal->durable_sequence) {
                wal->durable_sequence = group->sequence_last;
            }
        }
    }
}

/* After durable_sequence moved: how old is the oldest commit that is not durable? */
static void
update_age(struct gy_wal *wal, uint64_t fallback_ns)
{
    if (wal->durable_sequence + 1 == wal->sequence_next) {
        wal->unsynced_since_ns = 0;
        return;
    }
    for (uint64_t i = wal->group_head; i < wal->group_tail; i++) {
        const struct gy_wal_group *group = gy_wal_group_at(wal, i);

        if (group->sequence_last > wal->durable_sequence) {
            wal->unsynced_since_ns = gy_min_u64(group->opened_ns, fallback_ns);
            return;
        }
    }
    wal->unsynced_since_ns = fallback_ns;
}

static void
finish_sync(struct gy_wal *wal)
{
    const int32_t result = wal->sync_req.result;

    wal->sync_in_flight = false;
    if (wal->poison != GYRE_OK) {
        return;
    }
    if (result < 0 && !GY_MUTANT(sync_result_ignored)) {
        gy_wal_poison(wal, gy_fail_at(&loop_of(wal)->sched, GYRE_IO,
                                      wal->slots[current_log(wal)->slot].name, GY_NO_OFFSET,
                                      -result, "cannot sync the log"));
        return;
    }
    GY_SOMETIMES(log_synced_by_fdatasync);
    wal->stats.syncs++;
    GY_PROBE2(wal__sync__done, wal->config.store_id, wal->sync_offset);
    wal->durable_offset = gy_max_u64(wal->durable_offset, wal->sync_offset);
    wal->durable_sequence = gy_max_u64(wal->durable_sequence, wal->sync_sequence);
}

static void
take_in(struct gy_wal *wal)
{
    const uint64_t durable_old = wal->durable_sequence;
    const uint64_t durable_offset_old = wal->durable_offset;

    for (uint64_t i = wal->group_head; i < wal->group_submit; i++) {
        struct gy_wal_group *group = gy_wal_group_at(wal, i);

        if (group->state == GY_GROUP_WRITING && group->req.done) {
            finish_write(wal, group);
        }
    }
    if (wal->sync_in_flight && wal->sync_req.done) {
        finish_sync(wal);
    }
    if (wal->poison != GYRE_OK) {
        return;
    }
    update_marks(wal);
    if (wal->durable_sequence != durable_old) {
        update_age(wal, gy_loop_now(loop_of(wal)));
        gy_waitq_wake_all(&wal->synced);
    }
    if (wal->durable_offset != durable_offset_old) {
        gy_waitq_wake_all(&wal->space);
    }
    gy_wal_advance(wal);
}

/* ---- What to hand to the device ---- */

static struct gy_wal_group *
open_group(struct gy_wal *wal)
{
    struct gy_wal_group *group;

    if (wal->group_tail == wal->group_head) {
        return NULL;
    }
    group = gy_wal_group_at(wal, wal->group_tail - 1);
    return group->state == GY_GROUP_OPEN ? group : NULL;
}

/* Is it time to close the open group? Otherwise *deadline_ns is lowered to when it may be. */
static bool
is_due(struct gy_wal *wal, const struct gy_wal_group *group, uint64_t now, uint64_t *deadline_ns)
{
    const bool urgent =
        wal->sync_target >= group->sequence_first || !wal->has_stage || wal->closing;

    if (group->used == 0 || wal->large) {
        return false;
    }
    if (!urgent) {
        return false;
    }
    if (wal->in_flight == 0 || wal->closing) {
        return true;
    }
    if (wal->in_flight >= GY_WAL_IN_FLIGHT_MAX) {
        return false; /* a completion comes first */
    }
    if (group->used >= GY_WAL_GROUP_EAGER_SIZE || now >= group->opened_ns + GY_WAL_GROUP_EAGER_NS) {
        return true;
    }
    *deadline_ns = gy_min_u64(*deadline_ns, group->opened_ns + GY_WAL_GROUP_EAGER_NS);
    return false;
}

static void
seal(struct gy_wal *wal, struct gy_wal_group *group)
{
    const struct gy_wal_log *log = current_log(wal);
    const struct gy_frame frame = {.kind = GY_FRAME_COMMITS,
                                   .flags = group->flags,
                                   .payload_size = group->used,
                                   .record_count = group->record_count,
                                   .sequence_first = group->sequence_first,
                                   .sequence_last = group->sequence_last,
                                   .durable_offset = wal->durable_offset,
                                   .file_number = log->number,
                                   .previous = group->part_offset};
    const struct gy_frame_place place = {
        .store_id = wal->config.store_id, .file_number = log->number, .offset = wal->offset};

    gy_frame_seal(group->buffer, &frame, &place);
    group->offset = wal->offset;
    group->span = (uint32_t)gy_frame_span(group->used);
    /* DSYNC persists its own blocks only: it is enough when everything before is durable or on its
     * way there by DSYNC. */
    group->dsync = wal->sync_target >= group->sequence_first &&
                   (wal->plain_end <= wal->durable_offset || GY_MUTANT(dsync_flushes_device));
    wal->offset += group->span;
    if (!group->dsync) {
        wal->plain_end = wal->offset;
    }
}

/* Closed groups go out in order. False: a new log is needed first. */
static bool
submit_groups(struct gy_wal *wal)
{
    while (wal->group_submit < wal->group_tail && wal->in_flight < GY_WAL_IN_FLIGHT_MAX) {
        struct gy_wal_group *group = gy_wal_group_at(wal, wal->group_submit);

        if (group->state != GY_GROUP_CLOSED) {
            return true;
        }
        if (gy_max_u64(gy_frame_span(group->used), group->whole_span) >
            gy_wal_log_end(wal) - wal->offset) {
            return false;
        }
        seal(wal, group);
        wal->pending_bytes -= GY_FRAME_HEADER_SIZE + (uint64_t)group->used;
        wal->group_submit++;
        wal->in_flight++;
        wal->stats.groups++;
        wal->stats.group_records_max =
            gy_max_u64(wal->stats.group_records_max, group->record_count);
        group->state = GY_GROUP_WRITING;
        GY_PROBE4(wal__write__start, wal->config.store_id, group->offset, group->span,
                  group->record_count);
        submit_write(wal, group);
        if (group->record_count >= 3) {
            GY_SOMETIMES(log_group_of_three);
        }
        if (wal->in_flight >= 2) {
            GY_SOMETIMES(log_groups_in_flight);
        }
        if (wal->in_flight == GY_WAL_IN_FLIGHT_MAX) {
            GY_SOMETIMES(log_groups_in_flight_most);
        }
        if (GY_MUTANT(log_buffer_reused_early)) {
            free_buffer(wal, group);
        }
    }
    return true;
}

static void
submit_sync(struct gy_wal *wal)
{
    const uint64_t unsynced = wal->offset - wal->durable_offset + wal->pending_bytes;

    if (wal->sync_in_flight || wal->plain_end <= wal->durable_offset ||
        wal->written_offset <= wal->durable_offset) {
        return;
    }
    if (wal->durable_sequence >= wal->sync_target && unsynced < wal->config.buffer_size / 2) {
        return;
    }
    wal->sync_in_flight = true;
    wal->sync_offset = wal->written_offset; /* completed before this sync is submitted: S4 */
    wal->sync_sequence = wal->written_sequence;
    if (GY_MUTANT(sync_counts_writes_in_flight) && wal->group_submit > wal->group_head) {
        wal->sync_sequence = gy_wal_group_at(wal, wal->group_submit - 1)->sequence_last;
    }
    wal->sync_req = (struct gy_req){.op = GY_OP_SYNC,
                                    .klass = GY_IO_WAL,
                                    .slot = wal->slots[current_log(wal)->slot].slot,
                                    .waiter = wal->writer};
    gy_list_init(&wal->sync_req.link);
    gy_loop_submit(loop_of(wal), &wal->sync_req);
}

/* BUFFERED commits are made durable half a linger after the oldest came, so that the whole takes at
 * most one. */
static void
watch_linger(struct gy_wal *wal, uint64_t now, uint64_t *deadline_ns)
{
    uint64_t due;

    if (wal->unsynced_since_ns == 0 || wal->sync_target + 1 >= wal->sequence_next) {
        return;
    }
    due = wal->unsynced_since_ns + wal->config.linger_ns / 2;
    if (now >= due) {
        GY_SOMETIMES(log_lingered);
        wal->sync_target = wal->sequence_next - 1;
    } else {
        *deadline_ns = gy_min_u64(*deadline_ns, due);
    }
}

bool
gy_wal_has_unsubmitted(struct gy_wal *wal)
{
    const struct gy_wal_group *group = open_group(wal);

    return wal->group_submit + (group != NULL && group->used == 0) < wal->group_tail;
}

static bool
is_drained(struct gy_wal *wal)
{
    if (wal->in_flight > 0 || wal->sync_in_flight) {
        return false;
    }
    return wal->poison != GYRE_OK || (wal->slot_status != GYRE_OK && !wal->slot_maker_busy) ||
           (!gy_wal_has_unsubmitted(wal) && wal->durable_sequence + 1 == wal->sequence_next);
}

/* One round; true when a new log is needed before anything more can be written. */
static bool
work(struct gy_wal *wal, uint64_t *deadline_ns)
{
    const uint64_t now = gy_loop_now(loop_of(wal));
    struct gy_wal_group *group;
    bool fits;

    take_in(wal);
    if (wal->poison != GYRE_OK) {
        return false;
    }
    if (wal->closing && wal->sync_target + 1 < wal->sequence_next) {
        wal->sync_target = wal->sequence_next - 1;
    }
    watch_linger(wal, now, deadline_ns);
    group = open_group(wal);
    if (group != NULL && is_due(wal, group, now, deadline_ns)) {
        group->state = GY_GROUP_CLOSED;
    }
    fits = submit_groups(wal);
    submit_sync(wal);
    return !fits;
}

#ifdef GYRE_CHECKED
GY_SUSPENDS gyre_status
gy_wal_await_continue(struct gy_wal *wal, uint64_t end)
{
    const uint32_t slot = wal->logs[wal->log_count - 1].slot;
    struct gy_edit edit = {.kind = GY_EDIT_STAGE};
    char name[GY_NAME_MAX];
    gyre_status status;

    gy_name_log_slot(name, slot);
    status = gy_file_await_open(loop_of(wal), wal->config.dir, name, GY_OPEN_WRITE, GY_IO_META,
                                &wal->slots[slot]);
    gy_wal_stage_id(wal, edit.u.stage.id, edit.u.stage.boot_id);
    if (status == GYRE_OK) {
        status = gy_manifest_await_append(wal->config.manifest, &edit, 1);
    }
    wal->started = true;
    wal->offset = wal->written_offset = wal->durable_offset = end;
    return status != GYRE_OK ? status
                             : gy_spawn(&loop_of(wal)->sched, GY_CLASS_FOREGROUND, "wal writer",
                                        gy_wal_writer_main, wal, &wal->writer);
}
#endif

/* W8 */
static void
note_stuck(struct gy_wal *wal, gyre_status status)
{
    wal->is_stuck = status != GYRE_OK && wal->poison == GYRE_OK && wal->slot_status != GYRE_OK;
    if (wal->is_stuck) {
        gy_waitq_wake_all(&wal->synced);
        gy_waitq_wake_all(&wal->space);
    }
}

void
gy_wal_writer_main(void *arg)
{
    struct gy_wal *wal = arg;
    struct gy_sched *sched = &loop_of(wal)->sched;

    gy_in_coroutine();
    for (;;) {
        uint64_t deadline_ns = GY_NEVER;
        const bool switch_wanted = work(wal, &deadline_ns);

        if (wal->closing && is_drained(wal)) {
            break;
        }
        if (switch_wanted && wal->in_flight == 0 && !wal->sync_in_flight) {
            const gyre_status status = gy_wal_await_switch(wal);

            note_stuck(wal, status);
            if (status == GYRE_OK || wal->poison != GYRE_OK) {
                continue;
            }
            if (status != GYRE_AGAIN) { /* no space, no memory: nobody else may come to ask again */
                deadline_ns =
                    gy_min_u64(deadline_ns, gy_loop_now(loop_of(wal)) + GY_WAL_SWITCH_RETRY_NS);
            }
        }
        (void)gy_await_park_until(sched, deadline_ns);
    }
    wal->writer = NULL;
    gy_waitq_wake_all(&wal->synced);
    gy_waitq_wake_all(&wal->space);
}
