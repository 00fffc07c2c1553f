/* log_mark.h - facts about one log: the payload of its start and end frames, what fits into it. */
#ifndef GY_LOG_MARK_H
#define GY_LOG_MARK_H

#include "gyre/base.h"

/* Start and end frames carry how far the manifest was durable (N4). */
#define GY_LOG_MARK_SIZE 16u
void gy_log_mark_encode(uint8_t target[GY_LOG_MARK_SIZE], uint64_t manifest_number,
                        uint64_t manifest_end);
bool gy_log_mark_decode(struct gyre_slice payload, uint64_t *ret_manifest_number,
                        uint64_t *ret_manifest_end);

/* The largest commit that a log of this slot size takes (bytes of operations). */
static inline uint64_t
gy_wal_commit_max(uint64_t slot_size)
{
    return slot_size / 4 * 3 - 65536u;
}

/* What a killed process left in staging, checked and counted by recovery. */
struct gy_wal_staged {
    struct gyre_slice payload; /* commits, each varint size + operations */
    bool large;                /* one commit, to be written in parts */
    uint32_t record_count;
    uint64_t sequence_first;
    uint64_t sequence_last;
};

/* How much of a log it takes. */
uint64_t gy_wal_staged_span(const struct gy_wal_staged *staged);

/* What a log has room for besides its start and end frames and the mark of its slot. */
static inline uint64_t
gy_wal_log_room(uint64_t slot_size)
{
    return slot_size - 3u * 4096u;
}

#endif
