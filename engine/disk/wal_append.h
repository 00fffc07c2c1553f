/* wal_append.h - commits on their way into the log: room, the append itself, the wait for the
 * answer. See wal.h for W1 to W7. Source: wal.c */
#ifndef GY_WAL_APPEND_H
#define GY_WAL_APPEND_H

#include "engine/disk/wal.h"

/* Make room for a commit of `size` bytes (operations, without its length). Waits while staging is
 * full. READ_ONLY when poisoned, NO_SPACE when no log slot can be made, CLOSED. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_wal_await_reserve(struct gy_wal *wal, size_t size);
/* Why a commit of `size` that finds no room will not find any by waiting; OK: it may. */
GYRE_NODISCARD gyre_status gy_wal_check_room(struct gy_wal *wal, size_t size);
/* Bytes that fit into the log now without waiting, and into one group of it. */
uint64_t gy_wal_room(const struct gy_wal *wal);
uint64_t gy_wal_group_max(const struct gy_wal *wal);
/* The same without waiting: true when gy_wal_append may follow at once. */
bool gy_wal_try_reserve(struct gy_wal *wal, size_t size);

/* A commit to append: one operation, or the encoded operations of a batch. */
struct gy_wal_commit {
    const struct gy_operation *single; /* NULL: `operations` */
    struct gyre_slice operations;
    size_t size;                       /* encoded bytes, of either */
    uint32_t count;
    enum gy_wal_class klass;
};

/* Copy the commit into the log: takes commit->count sequences, returns the first. Does not suspend
 * (W7). */
uint64_t gy_wal_append(struct gy_wal *wal, const struct gy_wal_commit *commit);

/* A commit too large for one group (gy_wal_is_large) goes in parts. The caller waits for room
 * first, holding nothing that keeps a memtable from being flushed, since that gives room back; it
 * is only looked at: whoever has waited looks again. */
bool gy_wal_is_large(const struct gy_wal *wal, size_t size);
bool gy_wal_has_room_large(const struct gy_wal *wal, size_t size);
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_wal_await_space(struct gy_wal *wal, size_t size);
/* There is room. *ret_bytes: the commit as it was logged (its size as a varint, then the
 * operations), to be freed by the caller; from its first part on the caller's own bytes are not
 * looked at. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_wal_await_append_large(struct gy_wal *wal,
                                                                 const struct gy_wal_commit *commit,
                                                                 uint64_t *ret_sequence,
                                                                 uint8_t **ret_bytes);

/* Wait until everything up to `sequence` is answered (W1, W2). IO when the log was poisoned
 * first. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_wal_await_answer(struct gy_wal *wal, uint64_t sequence);

/* Make all commits appended so far durable. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_wal_await_sync(struct gy_wal *wal);

/* Refuse new commits with CLOSED, those that wait for room too. What was appended is answered. */
void gy_wal_refuse(struct gy_wal *wal);

#endif
