/* edit.h - bytes of manifest edits and of CURRENT.
 *
 * The manifest is a list of frames (codec/frame.h, kind EDITS); each frame's payload is a list of
 * edits that take effect together. Replaying all frames from the start gives the store's state. An
 * edit:
 *
 *   len  field  meaning
 *     1  kind   enum gy_edit_kind
 *   1-5  size   varint: bytes of body, so that a reader can skip what it may skip
 *     n  body   fields in the order of the struct below; integers are varints unless noted
 *
 * bodies:
 *   STORE        u64 fixed store_id; string comparator; incompatible; compatible (feature bits)
 *   COUNTERS     next_file_number; last_sequence (numbers below / at or below are used up)
 *   ADD_TABLE    keyspace; level; number; u64 fixed file_id; size; entry_count; delete_count;
 *                sequence_min; sequence_max; string smallest; string largest (user keys)
 *   REMOVE_TABLE keyspace; level; number
 *   ADD_LOG      number; slot
 *   FLUSHED      keyspace; sequence (all at or below it is in tables); log_min (logs below
 *                it are not
 *                needed any more)
 *   STAGE        u64 fixed id[0]; id[1]; boot_id[0]; boot_id[1] (all zero: none)
 * Kinds >= 0x80 may be skipped by a reader that does not know them; lower unknown ones are
 * UNSUPPORTED. A body with bytes left over or missing is CORRUPT, as is a number past its limit
 * (codec/limits.h), a key without bytes, smallest > largest, delete_count > entry_count,
 * sequence_min > sequence_max; a keyspace other than 0 is UNSUPPORTED.
 *
 * CURRENT: one frame of kind CURRENT, file_number 0, store_id 0 in its seed, payload = gy_current:
 *   u64 fixed store_id; u64 fixed manifest_number.
 */
#ifndef GY_EDIT_H
#define GY_EDIT_H

#include "engine/codec/coding.h"
#include "engine/codec/limits.h"
#include "gyre/status.h"

enum gy_edit_kind {
    GY_EDIT_STORE = 1,
    GY_EDIT_COUNTERS = 2,
    GY_EDIT_ADD_TABLE = 3,
    GY_EDIT_REMOVE_TABLE = 4,
    GY_EDIT_ADD_LOG = 5,
    GY_EDIT_FLUSHED = 6,
    GY_EDIT_STAGE = 7
};

struct gy_table_meta {
    uint32_t keyspace;
    uint32_t level;
    uint64_t number;        /* names the file: %06llu.sst */
    uint64_t file_id;       /* random; seeds the checksums of its blocks */
    uint64_t size;          /* bytes of the file */
    uint64_t entry_count;
    uint64_t delete_count;
    uint64_t sequence_min;
    uint64_t sequence_max;
    struct gyre_slice smallest; /* user keys; when decoded they point into the frame */
    struct gyre_slice largest;
};

struct gy_edit {
    enum gy_edit_kind kind;
    union {
        struct {
            uint64_t store_id;
            struct gyre_slice comparator;
            uint64_t incompatible;
            uint64_t compatible;
        } store;
        struct {
            uint64_t next_file_number;
            uint64_t last_sequence;
        } counters;
        struct gy_table_meta table; /* ADD_TABLE */
        struct {
            uint32_t keyspace;
            uint32_t level;
            uint64_t number;
        } remove;
        struct {
            uint64_t number;
            uint32_t slot;
        } log;
        struct {
            uint32_t keyspace;
            uint64_t sequence;
            uint64_t log_min;
        } flushed;
        struct {
            uint64_t id[2];
            uint64_t boot_id[2];
        } stage;
    } u;
};

/* Append to the writer (which measures when its capacity is 0). */
void gy_edit_encode(struct gy_writer *writer, const struct gy_edit *edit);
/* Decode the next edit and advance. OK, CORRUPT, UNSUPPORTED (both leave the reader where it was).
 * Skippable unknown kinds are passed over; at the end of the bytes: NOT_FOUND. */
gyre_status gy_edit_decode(struct gy_reader *reader, struct gy_edit *ret_edit);

struct gy_current {
    uint64_t store_id;
    uint64_t manifest_number;
};
#define GY_CURRENT_SIZE 16u

void gy_current_encode(uint8_t target[GY_CURRENT_SIZE], const struct gy_current *current);
gyre_status gy_current_decode(struct gyre_slice payload, struct gy_current *ret_current);

#endif
