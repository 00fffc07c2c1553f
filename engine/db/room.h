/* room.h - where writers wait, or are told that they would have to: pace of compaction, memtables,
 * log space, memory.
 *
 *   R1  Nothing is held while a writer waits, so another may take the room: who has waited looks
 *       again.
 *   R2  With no_wait, AGAIN instead of each wait: the error says for what and how long about.
 *       Nothing was charged or changed then.
 */
#ifndef GY_ROOM_H
#define GY_ROOM_H

#include "engine/db/db.h"

/* What a commit needs. */
struct gy_room {
    gyre_db *db;
    size_t log_size;          /* bytes encoded */
    uint64_t user_bytes;      /* keys and values */
    uint32_t count;           /* operations */
    bool only_deletes;        /* they make room: taken where puts are not (Y1 in space.h) */
    bool no_wait;
    uint64_t waited_since_ns; /* 0: it has not waited */
};

static inline void
gy_room_note_wait(struct gy_room *room)
{
    if (room->waited_since_ns == 0) {
        room->waited_since_ns = gy_loop_now(&room->db->loop->io);
    }
}

/* Why no write is taken at all: READ_ONLY, CLOSED, NO_SPACE; else OK. */
GYRE_NODISCARD gyre_status gy_room_refusal(gyre_db *db);

/* Is this one taken, now, and is there disk space for it? The calls below are for one that was;
 * each checks again after it has waited. */
GYRE_NODISCARD gyre_status gy_room_check(const struct gy_room *room);

/* The pace: waits as long as compaction asks for. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_room_await_pace(struct gy_room *room);

/* A memtable that takes one more commit. Waits while all are full and being flushed; when flushing
 * fails, says why. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_room_await_memtable(struct gy_room *room);

/* Room in memtable and log at the same time, and memory. After OK the caller does not suspend
 * before it has appended. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_room_await(struct gy_room *room);

/* For a commit in parts: until the one before it is through; until the log may have room. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_room_await_turn(struct gy_room *room);
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_room_await_log_large(struct gy_room *room);

#endif
