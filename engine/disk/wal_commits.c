/* wal_commits.c - from payloads of frames and of staging memory to commits: counted, put together
 * where they came in parts, in the order of their sequences; rules X1..X5 in wal_reader.h. */
#include "engine/codec/coding.h"
#include "engine/disk/wal_reader.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* As gy_operations_count, for a commit of which there may be a million operations. */
static GY_SUSPENDS gyre_status
await_count(struct gy_loop *loop, struct gyre_slice operations, uint32_t *ret_count)
{
    struct gy_operation operation;
    size_t position = 0;

    *ret_count = 0;
    while (position < operations.size) {
        const gyre_status status = gy_operation_decode(operations, &position, &operation);

        if (status != GYRE_OK || *ret_count == UINT32_MAX) {
            return status != GYRE_OK ? status : GYRE_CORRUPT;
        }
        (*ret_count)++;
        gy_await_turn(&loop->sched);
    }
    return GYRE_OK;
}

static GY_SUSPENDS gyre_status
await_deliver(struct gy_wal_reader *reader, const char *file_name, uint64_t offset,
              struct gyre_slice operations, uint64_t sequence_first, uint64_t *ret_sequence_next)
{
    uint32_t count = 0;
    gyre_status status = await_count(reader->loop, operations, &count);

    if (status == GYRE_OK && (count == 0 || count > GY_SEQUENCE_MAX - sequence_first + 1)) {
        status = GYRE_CORRUPT;
    }
    if (status != GYRE_OK) {
        return gy_fail_at(&reader->loop->sched, status, file_name, offset, 0,
                          status == GYRE_UNSUPPORTED
                              ? "an operation of a newer version of Gyre"
                              : "a commit that does not decode; run 'gyre salvage'");
    }
    status = reader->commit(reader->arg, operations, sequence_first, count);
    reader->record_count += count;
    *ret_sequence_next = sequence_first + count;
    return status;
}

static gyre_status
add_part(struct gy_wal_reader *reader, const char *file_name, uint64_t offset,
         struct gyre_slice payload, uint8_t flags, uint64_t part_offset, uint64_t sequence_first)
{
    struct gy_sched *sched = &reader->loop->sched;

    if ((flags & GY_FRAME_FIRST) != 0 && reader->part_sequence != sequence_first) {
        reader->part_size = 0;
        reader->part_sequence = sequence_first;
    }
    if (reader->part_sequence == sequence_first && part_offset < reader->part_size &&
        payload.size <= reader->part_size - part_offset) {
        GY_SOMETIMES(part_in_log_and_staging);
        return GYRE_OK; /* it came before: from the log and from staging */
    }
    if (reader->part_sequence != sequence_first || part_offset != reader->part_size ||
        payload.size == 0) {
        return gy_fail_at(sched, GYRE_CORRUPT, file_name, offset, 0,
                          "a part of a commit whose beginning is missing; run 'gyre salvage'");
    }
    if (payload.size > GYRE_BATCH_SIZE_MAX + GYRE_BATCH_SIZE_MAX / 2 - reader->part_size) {
        return gy_fail_at(sched, GYRE_CORRUPT, file_name, offset, 0,
                          "a commit that is larger than any batch may be");
    }
    if (reader->part_size + payload.size > reader->part_capacity) {
        const size_t capacity = (reader->part_size + payload.size) * 2;
        uint8_t *part = gy_heap_realloc(&reader->loop->heap, reader->part, capacity, GY_MEM_CALL);

        if (part == NULL) {
            return gy_fail(sched, GYRE_NO_MEMORY, "no memory to put a large commit together");
        }
        reader->part = part;
        reader->part_capacity = capacity;
    }
    memcpy(reader->part + reader->part_size, payload.data, payload.size);
    reader->part_size += payload.size;
    return GYRE_OK;
}

/* Commits of [payload], each varint size + operations. */
static GY_SUSPENDS gyre_status
await_deliver_all(struct gy_wal_reader *reader, const char *file_name, uint64_t offset,
                  struct gyre_slice payload, uint64_t *sequence, uint32_t *ret_record_count)
{
    struct gy_reader bytes = gy_reader_of(payload.data, payload.size);

    while (bytes.at < bytes.end) {
        const struct gyre_slice operations = gy_read_string(&bytes, payload.size);
        gyre_status status;

        if (bytes.failed) {
            break;
        }
        status = await_deliver(reader, file_name, offset, operations, *sequence, sequence);
        if (status != GYRE_OK) {
            return status;
        }
        (*ret_record_count)++;
    }
    if (bytes.failed) {
        return gy_fail_at(&reader->loop->sched, GYRE_CORRUPT, file_name, offset, 0,
                          "a commit that does not decode; run 'gyre salvage'");
    }
    return GYRE_OK;
}

GY_SUSPENDS gyre_status
gy_wal_reader_await_payload(struct gy_wal_reader *reader, const char *file_name, uint64_t offset,
                            struct gyre_slice payload, uint8_t flags, uint64_t part_offset,
                            uint64_t sequence_first, uint32_t *ret_record_count,
                            uint64_t *ret_sequence_last)
{
    uint64_t sequence = sequence_first;
    gyre_status status = GYRE_OK;

    *ret_record_count = 0;
    if (sequence_first != reader->sequence_next && !reader->lenient) {
        return gy_fail_at(&reader->loop->sched, GYRE_CORRUPT, file_name, offset, 0,
                          "sequence %llu where %llu was expected: commits are missing; run 'gyre "
                          "salvage'",
                          (unsigned long long)sequence_first,
                          (unsigned long long)reader->sequence_next);
    }
    if ((flags & GY_FRAME_PART) != 0) {
        status = add_part(reader, file_name, offset, payload, flags, part_offset, sequence_first);
        if (status == GYRE_OK && (flags & GY_FRAME_LAST) != 0) {
            GY_SOMETIMES(parts_joined);
            const struct gyre_slice whole = gyre_slice(reader->part, reader->part_size);

            status =
                await_deliver_all(reader, file_name, offset, whole, &sequence, ret_record_count);
            if (status == GYRE_OK && *ret_record_count != 1) {
                status = gy_fail_at(&reader->loop->sched, GYRE_CORRUPT, file_name, offset, 0,
                                    "parts that are not one commit");
            }
        }
    } else {
        if (reader->part_size > 0) {
            GY_SOMETIMES(parts_before_other_commit);
        }
        reader->part_size = 0; /* parts without an end: their writer failed or died */
        status = await_deliver_all(reader, file_name, offset, payload, &sequence, ret_record_count);
    }
    if (status == GYRE_OK) {
        reader->sequence_next = sequence;
        *ret_sequence_last = sequence - 1;
    }
    return status;
}
