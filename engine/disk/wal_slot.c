/* wal_slot.c - log slots: making them, starting a log, switching to the next, the end record; W3,
 * W4, W6 in wal.h.
 *
 * A slot's last page holds a frame (kind LOG_END, file number 0) that says the slot was zero-filled
 * and synced as a whole; a slot without it (a crash while it was made, another slot size) is filled
 * again before it is used.
 */
#include "engine/disk/names.h"
#include "engine/disk/wal.h"
#include "engine/disk/wal_append.h"
#include "engine/disk/wal_parts.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define ZERO_CHUNK (256u * 1024u)
#define NO_SLOT UINT32_MAX

static struct gy_loop *
loop_of(const struct gy_wal *wal)
{
    return wal->config.loop;
}

/* Write one frame without commits (start, end, slot mark) and make it durable. */
static GY_SUSPENDS gyre_status
await_write_mark(struct gy_wal *wal, uint32_t slot, const struct gy_frame *frame, uint64_t offset,
                 struct gyre_slice payload)
{
    struct gy_heap *heap = &loop_of(wal)->heap;
    const struct gy_frame_place place = {
        .store_id = wal->config.store_id, .file_number = frame->file_number, .offset = offset};
    uint8_t *page = gy_heap_map(heap, GY_PAGE, GY_MEM_BUFFERS);
    gyre_status status;

    if (page == NULL) {
        return gy_fail(&loop_of(wal)->sched, GYRE_NO_MEMORY, "no memory to write to the log");
    }
    gy_assert(payload.size <= GY_PAGE - GY_FRAME_HEADER_SIZE);
    if (payload.size > 0) {
        memcpy(page + GY_FRAME_HEADER_SIZE, payload.data, payload.size);
    }
    gy_frame_seal(page, frame, &place);
    status = gy_file_await_write(loop_of(wal), &wal->slots[slot], GY_IO_WAL, page, GY_PAGE, offset,
                                 GY_IO_DSYNC);
    gy_heap_unmap(heap, page, GY_PAGE, GY_MEM_BUFFERS);
    return status;
}

/* ---- Making slots ---- */

static struct gy_frame
slot_mark(const struct gy_wal *wal)
{
    return (struct gy_frame){
        .kind = GY_FRAME_LOG_END, .sequence_first = 1, .durable_offset = wal->config.slot_size};
}

static GY_SUSPENDS gyre_status
await_zero_fill(struct gy_wal *wal, uint32_t slot)
{
    struct gy_loop *loop = loop_of(wal);
    const struct gy_file *file = &wal->slots[slot];
    const uint64_t size = wal->config.slot_size;
    uint8_t *zeros = gy_heap_map_zeroed(&loop->heap, ZERO_CHUNK, GY_MEM_BUFFERS);
    gyre_status status;

    if (zeros == NULL) {
        return gy_fail(&loop->sched, GYRE_NO_MEMORY, "no memory to make a log file");
    }
    status = gy_file_await_truncate(loop, file, size);
    if (status == GYRE_OK) {
        status = gy_file_await_allocate(loop, file, size, GY_IO_FLUSH);
    }
    for (uint64_t at = 0; status == GYRE_OK && at < size; at += ZERO_CHUNK) {
        status = gy_file_await_write(loop, file, GY_IO_FLUSH, zeros,
                                     (size_t)gy_min_u64(ZERO_CHUNK, size - at), at, 0);
    }
    gy_heap_unmap(&loop->heap, zeros, ZERO_CHUNK, GY_MEM_BUFFERS);
    return status;
}

/* Does the slot's file have the right size and the mark? */
static GY_SUSPENDS gyre_status
await_check_mark(struct gy_wal *wal, uint32_t slot, bool *ret_ready)
{
    struct gy_loop *loop = loop_of(wal);
    const uint64_t offset = wal->config.slot_size - GY_PAGE;
    const struct gy_frame_place place = {.store_id = wal->config.store_id, .offset = offset};
    struct gy_frame frame;
    uint64_t size = 0;
    uint8_t *page;
    gyre_status status = gy_file_await_size(loop, &wal->slots[slot], &size);

    *ret_ready = false;
    if (status != GYRE_OK || size != wal->config.slot_size) {
        return status;
    }
    page = gy_heap_map(&loop->heap, GY_PAGE, GY_MEM_BUFFERS);
    if (page == NULL) {
        return gy_fail(&loop->sched, GYRE_NO_MEMORY, "no memory to read a log file");
    }
    status = gy_file_await_read(loop, &wal->slots[slot], GY_IO_META, page, GY_PAGE, offset);
    *ret_ready = status == GYRE_OK && gy_frame_open(page, GY_PAGE, &place, &frame) == GY_FRAME_OK &&
                 frame.kind == GY_FRAME_LOG_END;
    gy_heap_unmap(&loop->heap, page, GY_PAGE, GY_MEM_BUFFERS);
    return status;
}

/* *ret_written: the file was being written, so that GYRE_IO is a failed write or sync. */
static GY_SUSPENDS gyre_status
await_make_slot(struct gy_wal *wal, uint32_t slot, bool *ret_written)
{
    struct gy_loop *loop = loop_of(wal);
    char name[GY_NAME_MAX];
    const struct gy_frame mark = slot_mark(wal);
    bool ready = false;
    gyre_status status = GYRE_OK;

    *ret_written = false;
    gy_name_log_slot(name, slot);
    if (wal->slots[slot].slot == GY_SLOT_NONE) {
        status = gy_file_await_open(loop, wal->config.dir, name,
                                    GY_OPEN_CREATE | GY_OPEN_WRITE | GY_OPEN_SINGLE, GY_IO_META,
                                    &wal->slots[slot]);
    }
    if (status == GYRE_OK && wal->slot_exists[slot]) {
        status = await_check_mark(wal, slot, &ready);
    }
    if (ready) {
        GY_SOMETIMES(log_slot_found_ready);
    }
    if (status == GYRE_OK && !ready) {
        *ret_written = true;
        status = await_zero_fill(wal, slot);
        if (status == GYRE_OK) {
            status = gy_file_await_sync(loop, &wal->slots[slot], GY_IO_FLUSH);
        }
        if (status == GYRE_OK) {
            status = await_write_mark(wal, slot, &mark, wal->config.slot_size - GY_PAGE,
                                      gyre_slice(NULL, 0));
        }
    }
    if (status == GYRE_OK && !GY_MUTANT(no_log_directory_sync)) {
        *ret_written = true;
        status = gy_dir_await_sync(loop, wal->config.dir); /* W1: the name first */
    }
    if (status != GYRE_OK) {
        struct gyre_error error = *gy_sched_error(&loop->sched);

        GY_SOMETIMES(log_slot_not_made);
        (void)gy_file_await_close(loop, &wal->slots[slot]);
        if (!wal->slot_exists[slot]) {
            (void)gy_file_await_unlink(loop, wal->config.dir, name); /* gives the space back */
        }
        *gy_sched_error(&loop->sched) = error;
        return status;
    }
    wal->slot_exists[slot] = true;
    wal->slot_ready[slot] = true;
    return GYRE_OK;
}

static bool
slot_is_live(const struct gy_wal *wal, uint32_t slot)
{
    if (wal->slot_taken[slot]) {
        return true;
    }
    for (uint32_t i = 0; i < wal->log_count; i++) {
        if (wal->logs[i].slot == slot) {
            return true;
        }
    }
    return false;
}

static uint32_t
find_ready(const struct gy_wal *wal)
{
    for (uint32_t i = 0; i < GY_WAL_SLOT_MAX; i++) {
        if (wal->slot_ready[i]) {
            return i;
        }
    }
    return NO_SLOT;
}

/* A slot to make: an existing one without a log before a new one. */
static uint32_t
find_to_make(const struct gy_wal *wal)
{
    for (uint32_t i = 0; i < GY_WAL_SLOT_MAX; i++) {
        if (wal->slot_exists[i] && !wal->slot_ready[i] && !slot_is_live(wal, i)) {
            return i;
        }
    }
    for (uint32_t i = 0; i < wal->config.slot_count_max; i++) {
        if (!wal->slot_exists[i] && !slot_is_live(wal, i)) {
            return i;
        }
    }
    return NO_SLOT;
}

static void
slot_maker_main(void *arg)
{
    struct gy_wal *wal = arg;
    bool written;
    uint32_t slot;

    gy_in_coroutine();
    slot = find_to_make(wal);
    if (slot != NO_SLOT && find_ready(wal) == NO_SLOT) {
        wal->slot_status = await_make_slot(wal, slot, &written);
        if (wal->slot_status != GYRE_OK) {
            wal->slot_error = *gy_sched_error(&loop_of(wal)->sched);
        }
        if (wal->slot_status == GYRE_IO && written) {
            gy_wal_poison(wal, GYRE_IO); /* W5 */
        }
        if (wal->slot_status == GYRE_NO_SPACE) {
            /* a log given back is one, and a flush may find space */
            wal->room_wanted = wal->room_wanted || wal->log_count > 1;
            gy_waitq_wake_all(&wal->events);
        }
    }
    wal->slot_maker_busy = false;
    gy_wal_kick(wal);
    gy_waitq_wake_all(&wal->synced);
    gy_waitq_wake_all(&wal->space);
}

/* Have one ready slot ahead; says so when slots run short. Does not suspend. */
void
gy_wal_want_slot(struct gy_wal *wal)
{
    if (wal->log_count + 2 > wal->config.slot_count_max && !wal->room_wanted) {
        wal->room_wanted = true;
        gy_waitq_wake_all(&wal->events);
    }
    if (find_ready(wal) != NO_SLOT && !wal->slot_maker_busy && !wal->is_stuck) {
        wal->slot_status = GYRE_OK; /* a log was given back: nothing is short any more */
    }
    if (wal->slot_maker_busy || wal->closing || find_ready(wal) != NO_SLOT ||
        find_to_make(wal) == NO_SLOT) {
        return;
    }
    wal->slot_maker_busy = true;
    if (gy_spawn(&loop_of(wal)->sched, GY_CLASS_BACKGROUND, "wal slot", slot_maker_main, wal,
                 NULL) != GYRE_OK) {
        wal->slot_maker_busy = false; /* asked again at the next switch or reserve */
    }
}

void
gy_wal_release(struct gy_wal *wal, uint64_t log_min)
{
    uint32_t keep = 0;

    while (keep + 1 < wal->log_count && wal->logs[keep].number < log_min) {
        const uint32_t slot = wal->logs[keep].slot;

        GY_SOMETIMES(log_slot_given_back);
        wal->slot_ready[slot] = wal->slots[slot].slot != GY_SLOT_NONE;
        keep++;
    }
    if (keep == 0) {
        return;
    }
    memmove(wal->logs, wal->logs + keep, (wal->log_count - keep) * sizeof(wal->logs[0]));
    wal->log_count -= keep;
    wal->room_wanted = wal->log_count + 2 > wal->config.slot_count_max;
    gy_wal_want_slot(wal);
    gy_waitq_wake_all(&wal->space); /* a slot that is ready again is log space */
    gy_wal_kick(wal);
}

void
gy_wal_note_release(struct gy_wal *wal, gyre_status status)
{
    wal->release_status = status;
    if (status != GYRE_OK) {
        wal->release_error = *gy_sched_error(&loop_of(wal)->sched);
        gy_waitq_wake_all(&wal->space);
    }
}

/* ---- Starting and ending logs ---- */

/* Put a start frame into a ready slot. The log is not yet named anywhere. */
static GY_SUSPENDS gyre_status
await_start_log(struct gy_wal *wal, uint32_t slot, uint64_t previous_end,
                struct gy_wal_log *ret_log)
{
    const struct gy_manifest *manifest = wal->config.manifest;
    const uint64_t number = (*wal->config.next_file_number)++;
    const struct gy_frame frame = {.kind = GY_FRAME_LOG_START,
                                   .payload_size = GY_LOG_MARK_SIZE,
                                   .sequence_first = wal->written_sequence + 1,
                                   .sequence_last = wal->written_sequence,
                                   .file_number = number,
                                   .previous = previous_end};
    uint8_t mark[GY_LOG_MARK_SIZE];

    gy_log_mark_encode(mark, manifest->number, manifest->end);
    *ret_log = (struct gy_wal_log){
        .number = number, .slot = slot, .sequence_first = wal->written_sequence + 1};
    return await_write_mark(wal, slot, &frame, 0, gyre_slice(mark, sizeof(mark)));
}

static void
enter_log(struct gy_wal *wal, const struct gy_wal_log *log, uint64_t offset)
{
    gy_assert(wal->log_count < GY_WAL_SLOT_MAX);
    wal->slot_ready[log->slot] = false;
    wal->slot_taken[log->slot] = false;
    wal->logs[wal->log_count++] = *log;
    wal->started = true;
    wal->offset = offset;
    wal->written_offset = offset;
    wal->durable_offset = offset;
    wal->plain_end = 0;
}

/* All of the old log is durable then. A sync that failed, whatever with, is never tried again. */
static GY_SUSPENDS gyre_status
await_sync_old(struct gy_wal *wal)
{
    gyre_status status = GYRE_OK;

    if (wal->durable_offset < wal->written_offset && !GY_MUTANT(log_switch_without_sync)) {
        status = gy_file_await_sync(loop_of(wal), &wal->slots[wal->logs[wal->log_count - 1].slot],
                                    GY_IO_WAL);
        wal->stats.syncs++;
    }
    if (status == GYRE_OK) {
        wal->durable_offset = wal->written_offset;
        wal->durable_sequence = wal->written_sequence;
        gy_waitq_wake_all(&wal->synced);
        gy_wal_advance(wal);
    }
    return status;
}

/* Nothing is in flight: make the old log durable, then start the next (W3, W4). Not OK: no slot
 * (slot_status, or not yet), or poisoned. */
GY_SUSPENDS gyre_status
gy_wal_await_switch(struct gy_wal *wal)
{
    const uint32_t slot = find_ready(wal);
    struct gy_wal_log log;
    struct gy_edit edit = {.kind = GY_EDIT_ADD_LOG};
    bool is_retryable = false;
    gyre_status status;

    gy_assert(wal->in_flight == 0 && !wal->sync_in_flight);
    if (slot == NO_SLOT) {
        gy_wal_want_slot(wal);
        return GYRE_AGAIN;
    }
    wal->slot_ready[slot] = false;
    wal->slot_taken[slot] = true; /* or the maker would find it without a log and call it ready */
    status = await_sync_old(wal);
    if (status == GYRE_OK) {
        is_retryable = true; /* what has a name, and is needed, is not touched any more */
        status = await_start_log(wal, slot, wal->written_offset, &log);
    }
    if (status == GYRE_OK) {
        edit.u.log.number = log.number;
        edit.u.log.slot = slot;
        status = gy_manifest_await_append(wal->config.manifest, &edit, 1);
        is_retryable = wal->config.manifest->poison == GYRE_OK; /* it refused before it wrote */
    }
    if (is_retryable && (status == GYRE_NO_SPACE || status == GYRE_NO_MEMORY)) {
        GY_SOMETIMES(log_switch_put_off);
        wal->slot_ready[slot] = true;
        wal->slot_taken[slot] = false;
        wal->slot_status = status;
        wal->slot_error = *gy_sched_error(&loop_of(wal)->sched);
        gy_waitq_wake_all(&wal->events);
        return status;
    }
    if (status != GYRE_OK) {
        gy_wal_poison(wal, status);
        return status;
    }
    enter_log(wal, &log, GY_PAGE);
    GY_SOMETIMES(log_switched);
    wal->slot_status = GYRE_OK;
    wal->stats.switches++;
    gy_wal_want_slot(wal);
    gy_waitq_wake_all(&wal->space);
    return GYRE_OK;
}

GY_SUSPENDS gyre_status
gy_wal_await_end_record(struct gy_wal *wal)
{
    const struct gy_manifest *manifest = wal->config.manifest;
    const struct gy_wal_log *log = &wal->logs[wal->log_count - 1];
    const struct gy_frame frame = {.kind = GY_FRAME_LOG_END,
                                   .payload_size = GY_LOG_MARK_SIZE,
                                   .sequence_first = wal->sequence_next,
                                   .sequence_last = wal->sequence_next - 1,
                                   .durable_offset = wal->durable_offset,
                                   .file_number = log->number};
    uint8_t mark[GY_LOG_MARK_SIZE];

    gy_log_mark_encode(mark, manifest->number, manifest->end);
    return await_write_mark(wal, log->slot, &frame, wal->offset, gyre_slice(mark, sizeof(mark)));
}

/* ---- Start and close of the whole ---- */

static GY_SUSPENDS gyre_status
await_make_stage(struct gy_wal *wal)
{
    struct gy_world *world = loop_of(wal)->world;
    struct gy_stage_area *area = &wal->stage;
    const uint64_t id[2] = {wal->config.store_id, world->ops->random(world)};
    const uint64_t buffer =
        gy_clamp_u64(gy_align_down(wal->config.buffer_size / 16, GY_PAGE), 16u * 1024u,
                     gy_min_u64(256u * 1024u, wal->config.slot_size / 4));

    area->buffer_size = (uint32_t)gy_align_down(buffer, GY_PAGE);
    area->count =
        (uint32_t)gy_clamp_u64(wal->config.buffer_size / area->buffer_size, 4, GY_STAGE_COUNT_MAX);
    area->size = gy_stage_size(area->count, area->buffer_size);
    if (!gy_heap_charge(&loop_of(wal)->heap, area->size, GY_MEM_LOG)) {
        return gy_fail(&loop_of(wal)->sched, GYRE_NO_MEMORY,
                       "no memory for the log's buffers of %llu bytes; raise memory_limit",
                       (unsigned long long)area->size);
    }
    if (gy_loop_await_stage_create(loop_of(wal), &area->memory, id, area->size) == 0) {
        wal->has_stage = true;
        area->base = area->memory.base;
    } else {
        memset(&area->memory, 0, sizeof(area->memory));
        gy_heap_discharge(&loop_of(wal)->heap, area->size, GY_MEM_LOG);
        area->base = gy_heap_map(&loop_of(wal)->heap, area->size, GY_MEM_LOG);
        if (area->base == NULL) {
            return gy_fail(&loop_of(wal)->sched, GYRE_NO_MEMORY,
                           "no memory for the log's buffers; raise memory_limit");
        }
    }
    gy_stage_format(area, wal->config.store_id);
    wal->free_buffers = (1ull << area->count) - 1;
    wal->group_payload_max = area->buffer_size - GY_FRAME_HEADER_SIZE;
    return GYRE_OK;
}

GY_SUSPENDS gyre_status
gy_wal_await_start(struct gy_wal *wal, uint64_t previous_end, const struct gy_wal_staged *staged,
                   uint32_t staged_count)
{
    struct gy_edit edits[2] = {{.kind = GY_EDIT_ADD_LOG}, {.kind = GY_EDIT_STAGE}};
    uint64_t offset = GY_PAGE;
    struct gy_wal_log log = {0};
    bool written;
    uint32_t slot;
    gyre_status status = GYRE_OK;

    if (GY_MUTANT(append_to_torn_log) && wal->log_count > 0 && staged_count == 0) {
        status = await_make_stage(wal);
        return status != GYRE_OK ? status : gy_wal_await_continue(wal, previous_end);
    }
    while (status == GYRE_OK && find_ready(wal) == NO_SLOT) {
        slot = find_to_make(wal);
        status = slot == NO_SLOT ? gy_fail(&loop_of(wal)->sched, GYRE_INVALID,
                                           "all %u log slots are in use; raise wal_total_max",
                                           wal->config.slot_count_max)
                                 : await_make_slot(wal, slot, &written);
    }
    if (status == GYRE_OK) {
        status = await_make_stage(wal);
    }
    if (status == GYRE_OK) {
        slot = find_ready(wal);
        if (staged_count > 0) {
            wal->written_sequence = staged[0].sequence_first - 1;
        }
        status = await_start_log(wal, slot, previous_end, &log);
    }
    if (status == GYRE_OK) {
        status = gy_wal_await_append_staged(wal, &log, staged, staged_count, &offset);
    }
    if (status != GYRE_OK) {
        return status;
    }
    wal->written_sequence = wal->sequence_next - 1;
    edits[0].u.log.number = log.number;
    edits[0].u.log.slot = log.slot;
    gy_wal_stage_id(wal, edits[1].u.stage.id, edits[1].u.stage.boot_id);
    status = gy_manifest_await_append(wal->config.manifest, edits, 2);
    if (status != GYRE_OK) {
        return status;
    }
    enter_log(wal, &log, offset);
    status = gy_spawn(&loop_of(wal)->sched, GY_CLASS_FOREGROUND, "wal writer", gy_wal_writer_main,
                      wal, &wal->writer);
    if (status == GYRE_OK) {
        gy_wal_want_slot(wal);
    }
    return status;
}

GY_SUSPENDS gyre_status
gy_wal_await_close(struct gy_wal *wal)
{
    struct gy_loop *loop = loop_of(wal);
    gyre_status status = GYRE_OK;
    bool clean;

    gy_wal_refuse(wal);
    wal->closing = true;
    gy_wal_kick(wal);
    while (wal->writer != NULL || wal->slot_maker_busy) {
        gy_waitq_await(&loop->sched, &wal->synced);
    }
    clean = wal->started && wal->poison == GYRE_OK && !gy_wal_has_unsubmitted(wal);
    if (clean) {
        GY_SOMETIMES(log_end_record_written);
        status = gy_wal_await_end_record(wal);
    } else if (wal->poison != GYRE_OK) {
        *gy_sched_error(&loop->sched) = wal->poison_error;
        status = wal->poison;
    } else if (wal->started) {
        *gy_sched_error(&loop->sched) = wal->slot_error;
        status = wal->slot_status;
    }
    for (uint32_t i = 0; i < GY_WAL_SLOT_MAX; i++) {
        (void)gy_file_await_close(loop, &wal->slots[i]); /* everything that counts is synced */
    }
    if (wal->has_stage) {
        /* Not clean: what is staged stays for the next open in this boot. */
        gy_loop_await_stage_close(loop, &wal->stage.memory,
                                  clean ||
                                      (!wal->started && wal->config.manifest->poison == GYRE_OK));
        gy_heap_discharge(&loop->heap, wal->stage.size, GY_MEM_LOG);
    } else if (wal->stage.base != NULL) {
        gy_heap_unmap(&loop->heap, wal->stage.base, wal->stage.size, GY_MEM_LOG);
    }
    wal->has_stage = false;
    wal->stage.base = NULL;
    return status;
}
