/* wal_reader.h - what a log says after a crash; used by recovery and salvage.
 *
 *   X1  Frames are read from the start; reading stops at the first place where no frame starts, or
 *       at the end record.
 *   X2  For a log with a successor, the successor's start frame names the exact end: stopping
 *       before it is CORRUPT, and nothing past it is delivered.
 *   X3  For the last log, stopping is a torn tail unless a valid frame further on says that this
 *       place was durable already (its durable_offset lies behind it): then CORRUPT. So it is when
 *       the file has lost its last page, where the slot's mark is. Dropped bytes are counted.
 *   X4  Sequences go on without a gap inside a log: CORRUPT else. A log's start frame may leave
 *       numbers out (they belonged to commits that a power cut took), never go back.
 *   X5  A commit in parts is delivered when its LAST part is there, in the same log or in staging
 *       (a part may be in both: its offset in the commit tells). Parts
 *       without it are dropped when another commit follows.
 *   X6  Between two operations others may run (gy_await_turn): a frame holds thousands.
 */
#ifndef GY_WAL_READER_H
#define GY_WAL_READER_H

#include "engine/codec/batch.h"
#include "engine/codec/frame.h"
#include "io/file.h"

struct gy_wal_reader {
    struct gy_loop *loop;
    const struct gy_file *dir;
    uint64_t store_id;
    /* Gets each commit in order: its operations, the sequence of the first. May suspend. */
    gyre_status (*commit)(void *arg, struct gyre_slice operations, uint64_t sequence_first,
                          uint32_t count);
    void *arg;
    /* salvage: skip damage instead of failing; X2..X4 are not demanded */
    bool lenient;
    /* lenient: gets each damaged place; may be NULL */
    void (*damage)(void *arg, const struct gyre_error *error);
    uint64_t sequence_next;      /* expected; set by each start frame */
    uint8_t *window;             /* bytes of the log being read */
    /* A commit being put together; kept after LAST until the next frame: recovery may take it over,
     * to write it to the new log. */
    uint8_t *part;
    size_t part_size;
    size_t part_capacity;
    uint64_t part_sequence;
    uint64_t tail_dropped_bytes; /* result, X3 */
    uint64_t record_count;       /* result: operations delivered */
};

/* What the start frame of the log in `file` says. NOT_FOUND: no log with that number starts here.
 * `number` 0 (salvage): any. */
struct gy_log_start {
    uint64_t number;
    uint64_t previous_end;
    uint64_t sequence_first;
    uint64_t manifest_number;
    uint64_t manifest_end;
};
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_wal_await_read_start(struct gy_loop *loop,
                                                               const struct gy_file *file,
                                                               uint64_t store_id, uint64_t number,
                                                               struct gy_log_start *ret_start);

struct gy_log_result {
    uint64_t end;                /* offset behind the last frame taken */
    uint64_t durable;            /* what the frames themselves call durable, of that */
    bool clean;                  /* the end record is there */
    uint64_t manifest_number;    /* of the end record */
    uint64_t manifest_end;
};

/* Read log `number` from `file`. `end` is what its successor says (X2), or GY_LOG_LAST (X3). */
#define GY_LOG_LAST UINT64_MAX
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_wal_await_read(struct gy_wal_reader *reader,
                                                         const struct gy_file *file,
                                                         uint64_t number, uint64_t end,
                                                         struct gy_log_result *ret_result);

/* Does log `number` hold a frame that was written after the manifest had named it (W4)? A log that
 * the manifest does not name and yet was used proves that the manifest has lost its end (N4):
 * commits recovered from staging may stand in a log before it is named, but those carry
 * durable_offset 0. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_wal_await_was_used(struct gy_wal_reader *reader,
                                                             const struct gy_file *file,
                                                             uint64_t number, bool *ret_was_used);

/* Salvage, for a log whose beginning is damaged: the highest log number that any valid frame in
 * `file` has. NOT_FOUND: there is no valid frame of this store. *ret_is_blank: the file holds
 * nothing but zeros. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_wal_await_find(struct gy_wal_reader *reader,
                                                         const struct gy_file *file,
                                                         uint64_t *ret_number, bool *ret_is_blank);

/* Deliver commits of one payload (of a frame, or left in staging): X4, X5. */
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_wal_reader_await_payload(struct gy_wal_reader *reader, const char *file_name, uint64_t offset,
                            struct gyre_slice payload, uint8_t flags, uint64_t part_offset,
                            uint64_t sequence_first, uint32_t *ret_record_count,
                            uint64_t *ret_sequence_last);
void gy_wal_reader_close_window(struct gy_wal_reader *reader); /* after the last log */
void gy_wal_reader_fini(struct gy_wal_reader *reader);

#endif
