/* wal_reader.c - reading logs; rules X1..X5 in wal_reader.h. */
#include "engine/disk/wal_reader.h"

#include "engine/codec/coding.h"
#include "engine/disk/wal.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* A window of the file; grows to a whole frame when one is longer. */
#define WINDOW_SIZE (2u * GY_FRAME_SIZE_MAX)
#define READ_CHUNK (256u * 1024u)
#define WINDOW_MAPPED (WINDOW_SIZE + READ_CHUNK)

struct window {
    uint8_t *bytes;
    uint64_t start; /* offset in the file of bytes[0] */
    uint64_t size;  /* valid bytes */
    uint64_t file_size;
};

/* One for all logs: to give two megabytes back takes 0.1 ms. */
static bool
open_window(struct gy_wal_reader *reader, struct window *window)
{
    if (reader->window == NULL) {
        reader->window = gy_heap_map(&reader->loop->heap, WINDOW_MAPPED, GY_MEM_BUFFERS);
    }
    window->bytes = reader->window;
    return window->bytes != NULL;
}

void
gy_wal_reader_close_window(struct gy_wal_reader *reader)
{
    if (reader->window != NULL) {
        gy_heap_unmap(&reader->loop->heap, reader->window, WINDOW_MAPPED, GY_MEM_BUFFERS);
        reader->window = NULL;
    }
}

void
gy_wal_reader_fini(struct gy_wal_reader *reader)
{
    gy_wal_reader_close_window(reader);
    gy_heap_free(&reader->loop->heap, reader->part);
    reader->part = NULL;
}

/* At least `want` bytes (or what the file has) at `offset`. */
static GY_SUSPENDS gyre_status
await_fill(struct gy_loop *loop, const struct gy_file *file, struct window *window, uint64_t offset,
           uint64_t want)
{
    if (offset >= window->start && offset - window->start <= window->size &&
        (window->start + window->size - offset >= want ||
         window->start + window->size >= window->file_size)) {
        return GYRE_OK;
    }
    window->start = gy_align_down(offset, GY_PAGE);
    window->size = 0;
    while (window->size < WINDOW_SIZE && window->start + window->size < window->file_size) {
        uint32_t got = 0;
        const gyre_status status =
            gy_file_await_read_some(loop, file, GY_IO_META, window->bytes + window->size,
                                    READ_CHUNK, window->start + window->size, &got);

        if (status != GYRE_OK) {
            return status;
        }
        window->size += got;
        if (got < READ_CHUNK) {
            break;
        }
    }
    return GYRE_OK;
}

/* What lies behind the largest size of a log is none of it: a file may be sparse and endless. */
static GY_SUSPENDS gyre_status
await_size(struct gy_loop *loop, const struct gy_file *file, uint64_t *ret_size)
{
    const gyre_status status = gy_file_await_size(loop, file, ret_size);

    *ret_size = gy_min_u64(*ret_size, GY_WAL_SLOT_SIZE_MAX);
    return status;
}

static GY_SUSPENDS enum gy_frame_result
await_frame(struct gy_wal_reader *reader, const struct gy_file *file, struct window *window,
            uint64_t number, uint64_t offset, struct gy_frame *ret_frame, const uint8_t **ret_bytes,
            gyre_status *ret_status)
{
    struct gy_frame_place place = {
        .store_id = reader->store_id, .file_number = number, .offset = offset};

    *ret_status = await_fill(reader->loop, file, window, offset, GY_FRAME_SIZE_MAX);
    if (*ret_status != GYRE_OK || offset >= window->start + window->size) {
        return GY_FRAME_NONE;
    }
    *ret_bytes = window->bytes + (offset - window->start);
    if (number == 0 && window->start + window->size - offset >= GY_FRAME_HEADER_SIZE) {
        place.file_number = gy_get_u64(*ret_bytes + 48); /* its own: the checksum proves it */
    }
    return gy_frame_open(*ret_bytes, (size_t)(window->start + window->size - offset), &place,
                         ret_frame);
}

/* ---- Logs ---- */

GY_SUSPENDS gyre_status
gy_wal_await_read_start(struct gy_loop *loop, const struct gy_file *file, uint64_t store_id,
                        uint64_t number, struct gy_log_start *ret_start)
{
    uint8_t *page = gy_heap_map(&loop->heap, GY_PAGE, GY_MEM_BUFFERS);
    struct gy_frame_place place = {.store_id = store_id, .file_number = number};
    struct gy_frame frame;
    uint32_t got = 0;
    enum gy_frame_result result;
    gyre_status status;

    if (page == NULL) {
        return gy_fail(&loop->sched, GYRE_NO_MEMORY, "no memory to read a log");
    }
    status = gy_file_await_read_some(loop, file, GY_IO_META, page, GY_PAGE, 0, &got);
    if (status != GYRE_OK) {
        goto out;
    }
    if (number == 0 && got >= GY_FRAME_HEADER_SIZE) {
        place.file_number = gy_get_u64(page + 48); /* the checksum proves it */
    }
    result = gy_frame_open(page, got, &place, &frame);
    if (result == GY_FRAME_UNSUPPORTED) {
        status = gy_fail_at(&loop->sched, GYRE_UNSUPPORTED, file->name, 0, 0,
                            "written by a newer version of Gyre");
    } else if (result != GY_FRAME_OK || frame.kind != GY_FRAME_LOG_START ||
               !gy_log_mark_decode(gyre_slice(page + GY_FRAME_HEADER_SIZE, frame.payload_size),
                                   &ret_start->manifest_number, &ret_start->manifest_end)) {
        status = GYRE_NOT_FOUND;
    } else {
        ret_start->number = frame.file_number;
        ret_start->previous_end = frame.previous;
        ret_start->sequence_first = frame.sequence_first;
    }
out:
    gy_heap_unmap(&loop->heap, page, GY_PAGE, GY_MEM_BUFFERS);
    return status;
}

/* A slot has its mark in the last page since before it was first used (wal_slot.c): a file without
 * it was cut, and with it what would tell a torn tail from damage. */
static GY_SUSPENDS gyre_status
await_check_whole(struct gy_wal_reader *reader, const struct gy_file *file, struct window *window)
{
    struct gy_frame frame;
    const uint8_t *bytes;
    gyre_status status = GYRE_OK;

    if (window->file_size >= 2 * GY_PAGE && gy_is_aligned(window->file_size, GY_PAGE) &&
        await_frame(reader, file, window, 0, window->file_size - GY_PAGE, &frame, &bytes,
                    &status) == GY_FRAME_OK &&
        frame.file_number == 0 && frame.kind == GY_FRAME_LOG_END) {
        return GYRE_OK;
    }
    if (status != GYRE_OK) {
        return status;
    }
    return gy_fail_at(&reader->loop->sched, GYRE_CORRUPT, file->name,
                      gy_align_down(gy_sub_sat(window->file_size, 1), GY_PAGE), 0,
                      "the end of the log file is missing or damaged; run 'gyre salvage'");
}

/* How much of a frame of this log lies at `offset`, where none is whole. Zeros and frames of an
 * older use of the slot are none of it. Damage may be anywhere, so one of two fields will do. */
static GY_SUSPENDS gyre_status
await_torn_span(struct gy_wal_reader *reader, const struct gy_file *file, struct window *window,
                uint64_t number, uint64_t offset, uint64_t *ret_span)
{
    struct gy_frame frame;
    const uint8_t *bytes = NULL;
    gyre_status status; /* of a frame by its own number, whatever that is: */
    const enum gy_frame_result found =
        await_frame(reader, file, window, 0, offset, &frame, &bytes, &status);

    *ret_span = 0;
    if (status == GYRE_OK && found != GY_FRAME_OK && bytes != NULL &&
        window->start + window->size - offset >= GY_PAGE &&
        (gy_get_u32(bytes + 8) == GY_FRAME_MAGIC || gy_get_u64(bytes + 48) == number)) {
        *ret_span = gy_max_u64(GY_PAGE, gy_frame_peek_span(bytes, GY_FRAME_SIZE_MAX));
    }
    return status;
}

/* Look behind a place where no frame starts: X3. */
static GY_SUSPENDS gyre_status
await_judge_tail(struct gy_wal_reader *reader, const struct gy_file *file, struct window *window,
                 uint64_t number, uint64_t stop)
{
    uint64_t torn = 0;
    gyre_status status = await_torn_span(reader, file, window, number, stop, &torn);
    uint64_t dropped_end = stop + torn;

    for (uint64_t at = stop + GY_PAGE; status == GYRE_OK && at < window->file_size; at += GY_PAGE) {
        struct gy_frame frame;
        const uint8_t *bytes;

        gy_await_turn(&reader->loop->sched);
        if (await_frame(reader, file, window, number, at, &frame, &bytes, &status) != GY_FRAME_OK) {
            continue;
        }
        if (frame.durable_offset > stop) {
            GY_SOMETIMES(durable_damage_told);
            return gy_fail_at(&reader->loop->sched, GYRE_CORRUPT, file->name, stop, 0,
                              "a damaged frame that was durable; run 'gyre salvage'");
        }
        GY_SOMETIMES(tail_with_whole_frames);
        dropped_end = gy_max_u64(dropped_end, at + gy_frame_span(frame.payload_size));
    }
    reader->tail_dropped_bytes += status == GYRE_OK ? dropped_end - stop : 0;
    return status; /* parts of a commit stay: the rest may be in staging */
}

static GY_SUSPENDS gyre_status
await_take_frame(struct gy_wal_reader *reader, const struct gy_file *file,
                 const struct gy_frame *frame, const uint8_t *bytes, uint64_t offset,
                 struct gy_log_result *result)
{
    const struct gyre_slice payload = gyre_slice(bytes + GY_FRAME_HEADER_SIZE, frame->payload_size);
    struct gy_sched *sched = &reader->loop->sched;
    uint32_t record_count = 0;
    uint64_t sequence_last = 0;
    gyre_status status;

    if (frame->kind == GY_FRAME_LOG_START && offset == 0) {
        if (frame->sequence_first < reader->sequence_next && !reader->lenient) {
            return gy_fail_at(sched, GYRE_CORRUPT, file->name, offset, 0,
                              "a log that begins before its predecessor ends");
        }
        reader->sequence_next = frame->sequence_first;
        reader->part_size = 0; /* no commit goes over two logs */
        return GYRE_OK;
    }
    if (frame->kind == GY_FRAME_LOG_END) {
        if (!gy_log_mark_decode(payload, &result->manifest_number, &result->manifest_end)) {
            return gy_fail_at(sched, GYRE_CORRUPT, file->name, offset, 0,
                              "an end record that does not decode");
        }
        GY_SOMETIMES(log_end_record_found);
        result->clean = true;
        return GYRE_OK;
    }
    if (frame->kind != GY_FRAME_COMMITS) {
        return gy_fail_at(sched, GYRE_CORRUPT, file->name, offset, 0,
                          "a frame that does not belong into a log");
    }
    result->durable = gy_max_u64(result->durable, frame->durable_offset);
    status = gy_wal_reader_await_payload(reader, file->name, offset, payload, frame->flags,
                                         frame->previous, frame->sequence_first, &record_count,
                                         &sequence_last);
    if (status == GYRE_OK &&
        (record_count != frame->record_count || sequence_last != frame->sequence_last)) {
        status = gy_fail_at(sched, GYRE_CORRUPT, file->name, offset, 0,
                            "a frame whose commits are not those that its header counts");
    }
    return status;
}

static GY_SUSPENDS gyre_status
await_walk(struct gy_wal_reader *reader, const struct gy_file *file, struct window *window,
           uint64_t number, uint64_t end, struct gy_log_result *result)
{
    const bool goes_on = GY_MUTANT(sealed_tail_replayed) && end != GY_LOG_LAST;
    const uint64_t limit = goes_on ? window->file_size : gy_min_u64(end, window->file_size);
    uint64_t offset = 0;

    while (offset < limit && !result->clean) {
        struct gy_frame frame;
        const uint8_t *bytes;
        gyre_status status;
        const enum gy_frame_result found =
            await_frame(reader, file, window, number, offset, &frame, &bytes, &status);

        if (status != GYRE_OK) {
            return status;
        }
        if (found == GY_FRAME_UNSUPPORTED || found == GY_FRAME_CORRUPT) {
            return gy_fail_at(&reader->loop->sched,
                              found == GY_FRAME_CORRUPT ? GYRE_CORRUPT : GYRE_UNSUPPORTED,
                              file->name, offset, 0, "a frame that this version cannot read");
        }
        if (found == GY_FRAME_NONE && goes_on && offset >= end) {
            offset += GY_PAGE;
            continue;
        }
        if (found == GY_FRAME_NONE) {
            break;
        }
        status = await_take_frame(reader, file, &frame, bytes, offset, result);
        if (status != GYRE_OK) {
            return status;
        }
        if (!result->clean) {
            offset += gy_frame_span(frame.payload_size);
        }
        gy_await_turn(&reader->loop->sched);
    }
    result->end = goes_on ? gy_min_u64(offset, end) : offset;
    return GYRE_OK;
}

GY_SUSPENDS gyre_status
gy_wal_await_was_used(struct gy_wal_reader *reader, const struct gy_file *file, uint64_t number,
                      bool *ret_was_used)
{
    struct gy_loop *loop = reader->loop;
    struct window window = {0};
    struct gy_frame frame = {0};
    const uint8_t *bytes;
    gyre_status status = await_size(loop, file, &window.file_size);

    *ret_was_used = false;
    if (status != GYRE_OK) {
        return status;
    }
    if (!open_window(reader, &window)) {
        return gy_fail(&loop->sched, GYRE_NO_MEMORY, "no memory to read a log; raise memory_limit");
    }
    for (uint64_t at = GY_PAGE; !*ret_was_used; at += gy_frame_span(frame.payload_size)) {
        if (await_frame(reader, file, &window, number, at, &frame, &bytes, &status) !=
            GY_FRAME_OK) {
            break;
        }
        *ret_was_used = frame.durable_offset > 0;
        gy_await_turn(&loop->sched);
    }
    return status;
}

/* ---- Salvage ---- */

static void
note_damage(struct gy_wal_reader *reader, const struct gy_file *file, uint64_t offset)
{
    if (reader->damage != NULL) {
        (void)gy_fail_at(&reader->loop->sched, GYRE_CORRUPT, file->name, offset, 0,
                         "a damaged part of a log");
        reader->damage(reader->arg, gy_sched_error(&reader->loop->sched));
    }
}

/* As await_walk, but a page where no good frame starts is passed over. It is damage only where a
 * frame follows it, or where `end` says that one should. */
static GY_SUSPENDS gyre_status
await_walk_lenient(struct gy_wal_reader *reader, const struct gy_file *file, struct window *window,
                   uint64_t number, uint64_t end, struct gy_log_result *result)
{
    const uint64_t limit = gy_min_u64(end, window->file_size);
    uint64_t gap = UINT64_MAX; /* where the damage began that `offset` is passing over */
    uint64_t offset = 0;

    while (offset < limit && !result->clean) {
        struct gy_frame frame;
        const uint8_t *bytes;
        gyre_status status;

        if (await_frame(reader, file, window, number, offset, &frame, &bytes, &status) !=
            GY_FRAME_OK) {
            if (status != GYRE_OK) {
                return status;
            }
            gap = gy_min_u64(gap, offset);
            offset += GY_PAGE;
        } else {
            if (gap != UINT64_MAX) {
                note_damage(reader, file, gap);
                gap = UINT64_MAX;
            }
            status = await_take_frame(reader, file, &frame, bytes, offset, result);
            if (status == GYRE_CORRUPT || status == GYRE_UNSUPPORTED) {
                note_damage(reader, file, offset);
            } else if (status != GYRE_OK) {
                return status;
            }
            offset += gy_frame_span(frame.payload_size);
            result->end = offset;
        }
        gy_await_turn(&reader->loop->sched);
    }
    if (end != GY_LOG_LAST && (gap != UINT64_MAX || offset < end)) { /* or it was cut off */
        note_damage(reader, file, gy_min_u64(gap, offset));
    } else if (end == GY_LOG_LAST && !result->clean) {
        const gyre_status status = await_check_whole(reader, file, window);

        if (status != GYRE_CORRUPT) {
            return status;
        }
        note_damage(reader, file, gy_min_u64(gap, offset));
    }
    return GYRE_OK;
}

static bool
is_blank_page(const struct window *window, uint64_t offset)
{
    const uint8_t *bytes = window->bytes + (offset - window->start);
    const uint64_t size = gy_min_u64(GY_PAGE, window->start + window->size - offset);

    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, (size_t)size - 1) == 0);
}

GY_SUSPENDS gyre_status
gy_wal_await_find(struct gy_wal_reader *reader, const struct gy_file *file, uint64_t *ret_number,
                  bool *ret_is_blank)
{
    struct gy_loop *loop = reader->loop;
    struct window window = {0};
    uint64_t number = 0;
    bool is_blank = true;
    gyre_status status = await_size(loop, file, &window.file_size);

    if (status != GYRE_OK) {
        return status;
    }
    if (!open_window(reader, &window)) {
        return gy_fail(&loop->sched, GYRE_NO_MEMORY, "no memory to read a log; raise memory_limit");
    }
    for (uint64_t at = 0; status == GYRE_OK && at < window.file_size; at += GY_PAGE) {
        struct gy_frame frame;
        const uint8_t *bytes;

        if (await_frame(reader, file, &window, 0, at, &frame, &bytes, &status) == GY_FRAME_OK) {
            number = gy_max_u64(number, frame.file_number);
        }
        is_blank = is_blank && (status != GYRE_OK || is_blank_page(&window, at) ||
                                window.file_size - at <= GY_PAGE); /* the slot's mark */
        gy_await_turn(&loop->sched);
    }
    *ret_is_blank = is_blank;
    *ret_number = number;
    return status != GYRE_OK ? status : number == 0 ? GYRE_NOT_FOUND : GYRE_OK;
}

GY_SUSPENDS gyre_status
gy_wal_await_read(struct gy_wal_reader *reader, const struct gy_file *file, uint64_t number,
                  uint64_t end, struct gy_log_result *ret_result)
{
    struct gy_loop *loop = reader->loop;
    struct window window = {0};
    struct gy_log_result result = {0};
    gyre_status status = await_size(loop, file, &window.file_size);

    if (status != GYRE_OK) {
        return status;
    }
    if (!open_window(reader, &window)) {
        return gy_fail(&loop->sched, GYRE_NO_MEMORY, "no memory to read a log; raise memory_limit");
    }
    if (reader->lenient) {
        status = await_walk_lenient(reader, file, &window, number, end, &result);
        goto out;
    }
    status = await_walk(reader, file, &window, number, end, &result);
    if (status == GYRE_OK && end != GY_LOG_LAST && result.end != end &&
        !GY_MUTANT(damage_ends_older_log)) {
        status = gy_fail_at(&loop->sched, GYRE_CORRUPT, file->name, result.end, 0,
                            "a damaged frame: the log goes on to offset %llu; run 'gyre salvage'",
                            (unsigned long long)end);
    }
    if (status == GYRE_OK && end == GY_LOG_LAST && !result.clean) {
        status = await_check_whole(reader, file, &window);
        if (status == GYRE_OK) {
            status = await_judge_tail(reader, file, &window, number, result.end);
        }
    }
out:
    if (status == GYRE_OK) {
        *ret_result = result;
    }
    return status;
}
