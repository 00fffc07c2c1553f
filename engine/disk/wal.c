/* wal.c - the log's front: groups, staging of commits, answers. The writer is wal_writer.c, slots
 * and switching are wal_slot.c. Rules W1..W7 in wal.h.
 */
#include "engine/disk/wal_append.h"
#include "engine/disk/wal_parts.h"

#include "engine/codec/coding.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

static struct gy_sched *
sched_of(const struct gy_wal *wal)
{
    return &wal->config.loop->sched;
}

struct gy_wal_group *
gy_wal_group_at(struct gy_wal *wal, uint64_t position)
{
    gy_assert(position >= wal->group_head && position < wal->group_tail);
    return &wal->groups[position % GY_WAL_GROUP_COUNT_MAX];
}

gyre_status
gy_wal_init(struct gy_wal *wal, const struct gy_wal_config *config, const struct gy_wal_log *logs,
            uint32_t log_count, const bool *slot_exists, uint64_t sequence_next)
{
    memset(wal, 0, sizeof(*wal));
    wal->config = *config;
    gy_assert(log_count <= GY_WAL_SLOT_MAX);
    memcpy(wal->logs, logs, log_count * sizeof(*logs));
    wal->log_count = log_count;
    for (uint32_t i = 0; i < GY_WAL_SLOT_MAX; i++) {
        wal->slots[i] = (struct gy_file)GY_FILE_CLOSED;
        wal->slot_exists[i] = slot_exists[i];
    }
    wal->sequence_next = sequence_next;
    wal->written_sequence = sequence_next - 1;
    wal->durable_sequence = sequence_next - 1;
    wal->answered = sequence_next - 1;
    gy_waitq_init(&wal->space);
    gy_waitq_init(&wal->events);
    gy_waitq_init(&wal->synced);
    return GYRE_OK;
}

void
gy_wal_stage_id(const struct gy_wal *wal, uint64_t ret_id[2], uint64_t ret_boot_id[2])
{
    struct gy_world *world = wal->config.loop->world;

    memset(ret_id, 0, 2 * sizeof(uint64_t));
    memset(ret_boot_id, 0, 2 * sizeof(uint64_t));
    if (wal->has_stage) {
        ret_id[0] = wal->stage.memory.id[0];
        ret_id[1] = wal->stage.memory.id[1];
        world->ops->boot_id(world, ret_boot_id);
    }
}

/* ---- Groups ---- */

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

static void
close_group(struct gy_wal *wal)
{
    struct gy_wal_group *group = open_group(wal);

    if (group != NULL) {
        group->state = GY_GROUP_CLOSED;
        gy_wal_kick(wal);
    }
}

/* NULL: all buffers, or all places in the ring, are in use. */
static struct gy_wal_group *
start_group(struct gy_wal *wal, uint8_t flags, uint64_t part_offset)
{
    struct gy_wal_group *group;
    uint32_t index;

    gy_assert(open_group(wal) == NULL);
    if (wal->free_buffers == 0 || wal->group_tail - wal->group_head == GY_WAL_GROUP_COUNT_MAX) {
        GY_SOMETIMES(log_buffers_all_used);
        return NULL;
    }
    index = (uint32_t)__builtin_ctzll(wal->free_buffers);
    wal->free_buffers &= ~(1ull << index);
    group = &wal->groups[wal->group_tail % GY_WAL_GROUP_COUNT_MAX];
    memset(group, 0, sizeof(*group));
    group->state = GY_GROUP_OPEN;
    group->index = index;
    group->buffer = gy_stage_buffer(&wal->stage, index);
    group->flags = flags;
    group->part_offset = part_offset;
    group->sequence_first = wal->sequence_next;
    group->sequence_last = wal->sequence_next - 1;
    group->opened_ns = gy_loop_now(wal->config.loop);
    gy_waitq_init(&group->waiters);
    wal->group_tail++;
    wal->pending_bytes += GY_FRAME_HEADER_SIZE;
    gy_stage_open_group(&wal->stage, index, group->sequence_first, flags, part_offset);
    gy_wal_kick(wal); /* it has to watch the group's age */
    return group;
}

void
gy_wal_kick(struct gy_wal *wal)
{
    if (wal->writer != NULL) {
        gy_wake(wal->writer);
    }
}

/* ---- Answers ---- */

void
gy_wal_poison(struct gy_wal *wal, gyre_status status)
{
    gy_assert(status != GYRE_OK);
    if (wal->poison == GYRE_OK) {
        wal->poison = status;
        wal->poison_error = *gy_sched_error(sched_of(wal));
        GY_SOMETIMES(log_poisoned);
    }
    for (uint64_t i = wal->group_head; i < wal->group_tail; i++) {
        gy_waitq_wake_all(&gy_wal_group_at(wal, i)->waiters);
    }
    gy_waitq_wake_all(&wal->space);
    gy_waitq_wake_all(&wal->events);
    gy_waitq_wake_all(&wal->synced);
}

static bool
is_answerable(const struct gy_wal *wal, const struct gy_wal_group *group)
{
    if (group->sync_wanted && GY_MUTANT(answer_before_sync)) {
        return wal->written_sequence >= group->sequence_last;
    }
    if (group->sync_wanted) {
        return wal->durable_sequence >= group->sequence_last;
    }
    /* Written with everything before it: what lies behind a hole is not there for recovery, the
     * earlier parts of a large commit included. */
    return wal->has_stage || wal->written_sequence >= group->sequence_last;
}

/* Publish in log order, wake those who are answered, retire groups that nobody needs. */
void
gy_wal_advance(struct gy_wal *wal)
{
    const uint64_t answered_old = wal->answered;

    for (uint64_t i = wal->group_head; i < wal->group_tail; i++) {
        struct gy_wal_group *group = gy_wal_group_at(wal, i);

        if (group->sequence_last < group->sequence_first) {
            continue; /* a part that ends no commit */
        }
        if (!is_answerable(wal, group)) {
            break;
        }
        if (group->sequence_last > wal->answered) {
            wal->answered = group->sequence_last;
        }
    }
    for (uint64_t i = wal->group_head; i < wal->group_tail; i++) {
        struct gy_wal_group *group = gy_wal_group_at(wal, i);

        if (group->sequence_first > wal->answered) {
            break;
        }
        gy_waitq_wake_all(&group->waiters);
    }
    while (wal->group_head < wal->group_submit) {
        struct gy_wal_group *group = gy_wal_group_at(wal, wal->group_head);

        if (group->state != GY_GROUP_WRITTEN || wal->answered < group->sequence_last) {
            break;
        }
        wal->group_head++;
        gy_waitq_wake_all(&wal->space);
    }
    if (wal->answered != answered_old) {
        gy_waitq_wake_all(&wal->events);
    }
}

GY_SUSPENDS gyre_status
gy_wal_await_answer(struct gy_wal *wal, uint64_t sequence)
{
    gyre_status status = GYRE_OK;

    while (status == GYRE_OK && wal->answered < sequence) {
        struct gy_wal_group *group = NULL;

        if (wal->poison != GYRE_OK) {
            (void)gy_fail(sched_of(wal), GYRE_IO,
                          "the log could not be written; whether this write is kept is known only "
                          "after the store is reopened (%s)",
                          wal->poison_error.text);
            gy_sched_error(sched_of(wal))->maybe_done = 1;
            return GYRE_IO;
        }
        for (uint64_t i = wal->group_head; i < wal->group_tail && group == NULL; i++) {
            struct gy_wal_group *candidate = gy_wal_group_at(wal, i);

            if (candidate->sequence_last >= sequence) {
                group = candidate;
            }
        }
        gy_assert(group != NULL); /* what is not answered is in a group */
        status = gy_scope_await(sched_of(wal), &group->waiters);
    }
    return status;
}

/* ---- Appending ---- */

static uint64_t
unsynced_bytes(const struct gy_wal *wal)
{
    return wal->offset - wal->durable_offset + wal->pending_bytes;
}

bool
gy_wal_is_large(const struct gy_wal *wal, size_t size)
{
    return size + GY_VARINT64_MAX > wal->group_payload_max;
}

/* Room in the open group for `need` bytes, opening another one if need be. */
static bool
make_room(struct gy_wal *wal, uint32_t need)
{
    struct gy_wal_group *group = open_group(wal);

    if (group != NULL && wal->group_payload_max - group->used >= need) {
        return true;
    }
    if (unsynced_bytes(wal) >= wal->config.buffer_size) {
        wal->sync_target = wal->sequence_next - 1; /* W2: no more than that may be lost */
        close_group(wal);
        gy_wal_kick(wal);
        return false;
    }
    close_group(wal);
    return start_group(wal, 0, 0) != NULL;
}

/* Is there log space for `size` more bytes, so that what is staged can be written? A commit is
 * refused before it is staged when the disk is full, never after. The next slot counts whole: it is
 * made ahead. */
static bool
has_log_room(const struct gy_wal *wal, uint64_t size)
{
    const uint64_t groups = wal->group_tail - wal->group_submit + 2;
    const uint64_t frame_overhead = size / wal->group_payload_max + 2;
    const uint64_t need = wal->pending_bytes + size + (groups + frame_overhead) * GY_PAGE;

    uint64_t room = gy_wal_log_end(wal) - wal->offset;

    for (uint32_t i = 0; room < need && i < GY_WAL_SLOT_MAX; i++) {
        if (wal->slot_ready[i]) {
            /* A group that does not fit into what is left of this log leaves it. */
            room += gy_sub_sat(gy_wal_log_end(wal) - GY_PAGE, wal->stage.buffer_size);
        }
    }
    return room >= need;
}

bool
gy_wal_try_reserve(struct gy_wal *wal, size_t size)
{
    gy_assert(!gy_wal_is_large(wal, size));
    return wal->poison == GYRE_OK && !wal->large && !wal->refusing && has_log_room(wal, size) &&
           make_room(wal, (uint32_t)(size + GY_VARINT64_MAX));
}

static gyre_status
refusal(struct gy_wal *wal)
{
    if (wal->poison != GYRE_OK) {
        return gy_fail(sched_of(wal), GYRE_READ_ONLY,
                       "the log failed, reopen the store to write again (%s)",
                       wal->poison_error.text);
    }
    if (wal->refusing) {
        return gy_fail(sched_of(wal), GYRE_CLOSED, "the store is closing");
    }
    return GYRE_OK;
}

/* No log space: told when the disk is full or logs cannot be given back, else (memtables that keep
 * logs are being flushed) waited for. */
static gyre_status
room_refusal(struct gy_wal *wal, size_t size)
{
    const gyre_status status = refusal(wal);

    if (status == GYRE_OK && wal->is_stuck) { /* staging, too, is given back by the next log only */
        *gy_sched_error(sched_of(wal)) = wal->slot_error;
        return wal->slot_status;
    }
    if (status != GYRE_OK || wal->large || has_log_room(wal, size)) {
        return status;
    }
    gy_wal_want_slot(wal);
    if (wal->slot_status != GYRE_OK) {
        GY_SOMETIMES(commit_refused_without_slot);
        *gy_sched_error(sched_of(wal)) = wal->slot_error;
        return wal->slot_status;
    }
    if (wal->release_status != GYRE_OK && wal->room_wanted && !wal->slot_maker_busy) {
        *gy_sched_error(sched_of(wal)) = wal->release_error;
        return wal->release_status;
    }
    return GYRE_OK;
}

gyre_status
gy_wal_check_room(struct gy_wal *wal, size_t size)
{
    return room_refusal(wal, size);
}

uint64_t
gy_wal_group_max(const struct gy_wal *wal)
{
    return wal->group_payload_max - GY_VARINT64_MAX;
}

uint64_t
gy_wal_room(const struct gy_wal *wal)
{
    uint64_t low = 0;
    uint64_t high = (uint64_t)GY_WAL_SLOT_MAX * wal->config.slot_size;

    if (wal->poison != GYRE_OK || wal->refusing || wal->large) {
        return 0;
    }
    high = gy_min_u64(high, gy_sub_sat(wal->config.buffer_size, unsynced_bytes(wal)));
    while (low < high) { /* the largest size that has_log_room likes: what it needs grows with it */
        const uint64_t middle = high - (high - low) / 2;

        if (has_log_room(wal, middle)) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

GY_SUSPENDS gyre_status
gy_wal_await_reserve(struct gy_wal *wal, size_t size)
{
    while (!gy_wal_try_reserve(wal, size)) {
        gyre_status status = room_refusal(wal, size);

        if (status != GYRE_OK) {
            return status;
        }
        GY_SOMETIMES(log_space_waited_for);
        status = gy_scope_await(sched_of(wal), &wal->space);
        if (status != GYRE_OK) {
            return status;
        }
    }
    return GYRE_OK;
}

static void
note_unsynced(struct gy_wal *wal, enum gy_wal_class klass, struct gy_wal_group *group)
{
    if (wal->unsynced_since_ns == 0) {
        wal->unsynced_since_ns = group->opened_ns;
    }
    if (klass == GY_WAL_DURABLE) {
        group->sync_wanted = true;
        if (wal->sync_target < group->sequence_first) {
            gy_wal_kick(wal); /* once a group */
        }
        wal->sync_target = group->sequence_last;
    }
}

static uint8_t *
encode_commit(uint8_t *target, const struct gy_wal_commit *commit)
{
    target = gy_put_varint(target, commit->size);
    if (commit->single != NULL) {
        return gy_operation_encode(target, commit->single);
    }
    memcpy(target, commit->operations.data, commit->size);
    return target + commit->size;
}

uint64_t
gy_wal_append(struct gy_wal *wal, const struct gy_wal_commit *commit)
{
    struct gy_wal_group *group = open_group(wal);
    const uint64_t sequence = wal->sequence_next;
    uint8_t *start;
    uint8_t *end;

    gy_assert(group != NULL && commit->count > 0);
    gy_assert(wal->group_payload_max - group->used >= commit->size + GY_VARINT64_MAX);
    start = group->buffer + GY_FRAME_HEADER_SIZE + group->used;
    end = encode_commit(start, commit);
    group->used += (uint32_t)(end - start);
    wal->pending_bytes += (uint64_t)(end - start);
    group->record_count++;
    wal->sequence_next += commit->count;
    group->sequence_last = wal->sequence_next - 1;
    gy_stage_commit(&wal->stage, group->index, group->used, group->record_count,
                    group->sequence_last);
    note_unsynced(wal, commit->klass, group);
    if (!wal->has_stage) {
        gy_wal_kick(wal);
    }
    gy_wal_advance(wal);
    return sequence;
}

/* One part of a large commit into a group of its own. */
static GY_SUSPENDS gyre_status
await_part(struct gy_wal *wal, struct gyre_slice part, uint8_t flags, uint64_t part_offset,
           struct gy_wal_group **ret_group)
{
    struct gy_wal_group *group;

    close_group(wal);
    while ((group = start_group(wal, flags, part_offset)) == NULL) {
        if (wal->poison != GYRE_OK) {
            return refusal(wal);
        }
        gy_wal_kick(wal);
        gy_waitq_await(sched_of(wal), &wal->space);
    }
    memcpy(group->buffer + GY_FRAME_HEADER_SIZE, part.data, part.size);
    group->used = (uint32_t)part.size;
    wal->pending_bytes += part.size;
    *ret_group = group;
    return GYRE_OK;
}

static GY_SUSPENDS gyre_status
await_parts(struct gy_wal *wal, struct gyre_slice bytes, const struct gy_wal_commit *commit,
            uint64_t *ret_sequence)
{
    struct gy_wal_group *group = NULL;

    for (size_t at = 0; at < bytes.size;) {
        const size_t size = (size_t)gy_min_u64(bytes.size - at, wal->group_payload_max);
        const bool last = at + size == bytes.size;
        const uint8_t flags =
            (uint8_t)(GY_FRAME_PART | (at == 0 ? GY_FRAME_FIRST : 0) | (last ? GY_FRAME_LAST : 0));
        const gyre_status status =
            await_part(wal, gyre_slice((const uint8_t *)bytes.data + at, size), flags, at, &group);

        if (status != GYRE_OK) {
            return status; /* poisoned: its parts are a torn tail */
        }
        if (at == 0) {
            const uint64_t parts = bytes.size / wal->group_payload_max + 1;

            group->whole_span = bytes.size + parts * (GY_FRAME_HEADER_SIZE + GY_PAGE);
        }
        if (last) {
            group->record_count = 1;
            *ret_sequence = wal->sequence_next;
            wal->sequence_next += commit->count;
            group->sequence_last = wal->sequence_next - 1;
        }
        gy_stage_commit(&wal->stage, group->index, group->used, group->record_count,
                        group->sequence_last);
        at += size;
    }
    gy_assert(group != NULL);
    GY_SOMETIMES(large_commit_in_parts);
    note_unsynced(wal, commit->klass, group);
    close_group(wal); /* a part shares its frame with nothing */
    gy_wal_advance(wal);
    return GYRE_OK;
}

bool
gy_wal_has_room_large(const struct gy_wal *wal, size_t size)
{
    return wal->poison == GYRE_OK && !wal->large && !wal->refusing && has_log_room(wal, size);
}

GY_SUSPENDS gyre_status
gy_wal_await_space(struct gy_wal *wal, size_t size)
{
    const gyre_status status = room_refusal(wal, size);

    if (status != GYRE_OK) {
        return status;
    }
    GY_SOMETIMES(large_commit_waited_for_log);
    return gy_scope_await(sched_of(wal), &wal->space);
}

GY_SUSPENDS gyre_status
gy_wal_await_append_large(struct gy_wal *wal, const struct gy_wal_commit *commit,
                          uint64_t *ret_sequence, uint8_t **ret_bytes)
{
    struct gy_heap *heap = &wal->config.loop->heap;
    gyre_status status;
    uint8_t *bytes;
    uint8_t *end;

    gy_assert(commit->size <= gy_wal_commit_max(wal->config.slot_size));
    gy_assert(gy_wal_has_room_large(wal, commit->size));
    bytes = gy_heap_alloc(heap, commit->size + GY_VARINT64_MAX, GY_MEM_CALL);
    if (bytes == NULL) {
        return gy_fail(sched_of(wal), GYRE_NO_MEMORY, "no memory for a commit of %zu bytes",
                       commit->size);
    }
    end = encode_commit(bytes, commit);
    wal->large = true;
    gy_scope_note_maybe_done(sched_of(wal));
    status = await_parts(wal, gyre_slice(bytes, (size_t)(end - bytes)), commit, ret_sequence);
    wal->large = false;
    gy_waitq_wake_all(&wal->space);
    if (status != GYRE_OK) {
        gy_heap_free(heap, bytes);
        return status;
    }
    *ret_bytes = bytes;
    return GYRE_OK;
}

GY_SUSPENDS gyre_status
gy_wal_await_sync(struct gy_wal *wal)
{
    const uint64_t target = wal->sequence_next - 1;
    gyre_status status = GYRE_OK;

    if (wal->sync_target < target) {
        wal->sync_target = target;
    }
    gy_wal_kick(wal);
    while (status == GYRE_OK && wal->durable_sequence < target) {
        if (wal->poison != GYRE_OK) {
            *gy_sched_error(sched_of(wal)) = wal->poison_error;
            return wal->poison;
        }
        if (wal->is_stuck) { /* what is staged stays so, and goes on by itself (W8) */
            GY_SOMETIMES(sync_told_of_full_disk);
            *gy_sched_error(sched_of(wal)) = wal->slot_error;
            return wal->slot_status;
        }
        status = gy_scope_await(sched_of(wal), &wal->synced);
    }
    return status;
}

void
gy_wal_refuse(struct gy_wal *wal)
{
    wal->refusing = true;
    gy_waitq_wake_all(&wal->space);
}

/* ---- Logs that are needed ---- */

uint64_t
gy_wal_log_min(const struct gy_wal *wal, uint64_t flushed)
{
    for (uint32_t i = wal->log_count; i > 0; i--) {
        if (wal->logs[i - 1].sequence_first <= flushed + 1 + GY_MUTANT(log_min_too_high)) {
            return wal->logs[i - 1].number;
        }
    }
    return wal->log_count > 0 ? wal->logs[0].number : 0;
}

uint64_t
gy_wal_live_bytes(const struct gy_wal *wal)
{
    return wal->log_count == 0 ? 0 : (wal->log_count - 1) * wal->config.slot_size + wal->offset;
}
