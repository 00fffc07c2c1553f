/* frame.h - bytes of one frame: the unit of logs, manifest and CURRENT. Frame format version 1.
 *
 * A frame starts on a 4096-byte boundary and takes whole 4096-byte blocks: a 64-byte header, the
 * payload, zeros. A file is frames back to back; space never written reads as zeros (logs and
 * manifests are zero-filled before use) or as frames of an older use, which fail F3. Little-endian.
 *
 *   off  len  field           meaning
 *     0    8  checksum        XXH3_64bits_withSeed(bytes [8, 64 + payload_size), seed), where
 *                             seed = mix(mix(mix(store_id) + file_number) + offset / 4096),
 *                             mix = gy_mix64: a frame is valid only in its store, file and place.
 *                             (Chained: in an xor of three mixes, file and offset could be swapped)
 *     8    4  magic           "GYF1"
 *    12    4  payload_size    bytes, 0..GY_FRAME_SIZE_MAX - 64
 *    16    1  kind            enum gy_frame_kind
 *    17    1  flags           GY_FRAME_*: which part of a commit that is larger than a frame
 *    18    2  version         1
 *    20    4  record_count    commits (log) or edits (manifest) that end in this frame
 *    24    8  sequence_first  log: sequence of the first operation; others follow without a gap
 *    32    8  sequence_last   log: of the last operation; sequence_first - 1 when there is none
 *    40    8  durable_offset  everything in this file below it was durable when the frame was built
 *    48    8  file_number     log or manifest number; guards recycled space
 *    56    8  previous        LOG_START: offset where the previous log ends; GY_FRAME_PART: offset
 *                             of this part in its commit; else 0
 *    64    n  payload
 *
 * Valid iff, checked in this order:
 *   F1  64 bytes remain, magic fits, version known       else NONE (a higher version: UNSUPPORTED)
 *   F2  payload_size inside the cap and the bytes         else NONE
 *   F3  checksum fits                                     else NONE
 *   F4  file_number, kind and flags fit, sequences are
 *       in order (last >= first - 1, last <= the cap)     else CORRUPT
 * NONE means "no frame starts here"; whether that is the end of the file, a torn tail or damage is
 * the reader's to judge (disk/wal_reader.h W-rules, disk/manifest.h).
 * tests/golden/frame_v1.bin freezes it.
 */
#ifndef GY_FRAME_H
#define GY_FRAME_H

#include "engine/codec/limits.h"
#include "gyre/status.h"

#define GY_FRAME_HEADER_SIZE 64u
#define GY_FRAME_MAGIC 0x31465947u /* "GYF1" */

enum gy_frame_kind {
    GY_FRAME_LOG_START = 1, /* first frame of a log */
    GY_FRAME_COMMITS = 2,   /* payload: commits, each varint size + operations (codec/batch.h) */
    GY_FRAME_LOG_END = 3,   /* the log was closed cleanly here; nothing follows */
    GY_FRAME_EDITS = 4,     /* manifest: edits (codec/edit.h), applied whole or not at all */
    GY_FRAME_CURRENT = 5    /* CURRENT: payload is codec/edit.h gy_current */
};

/* A commit that does not fit into one frame is cut: its bytes (varint size + operations) go over
 * frames that carry nothing else, flagged FIRST, none, ..., LAST. It exists only when LAST is
 * there. */
#define GY_FRAME_PART 1u  /* the payload is a part of one commit */
#define GY_FRAME_FIRST 2u
#define GY_FRAME_LAST 4u

struct gy_frame {
    enum gy_frame_kind kind;
    uint8_t flags;
    uint32_t payload_size;
    uint32_t record_count;
    uint64_t sequence_first;
    uint64_t sequence_last;
    uint64_t durable_offset;
    uint64_t file_number;
    uint64_t previous;
};

/* What a frame must belong to. */
struct gy_frame_place {
    uint64_t store_id;
    uint64_t file_number;
    uint64_t offset; /* multiple of 4096 */
};

/* Bytes that the frame takes in the file. */
static inline uint64_t
gy_frame_span(uint32_t payload_size)
{
    return ((uint64_t)GY_FRAME_HEADER_SIZE + payload_size + 4095u) & ~4095ull;
}

/* Write the header in front of a payload that already lies at bytes + 64, zero the padding up to
 * the span, compute the checksum. place->file_number must equal frame->file_number. */
void gy_frame_seal(uint8_t *bytes, const struct gy_frame *frame,
                   const struct gy_frame_place *place);

enum gy_frame_result { GY_FRAME_OK, GY_FRAME_NONE, GY_FRAME_CORRUPT, GY_FRAME_UNSUPPORTED };

/* Decode the frame at bytes[0..size). On OK *ret_frame is filled; its payload is at bytes + 64. */
enum gy_frame_result gy_frame_open(const uint8_t *bytes, size_t size,
                                   const struct gy_frame_place *place, struct gy_frame *ret_frame);

/* Header fields without the checksum (F1, F2 only): how many bytes must be read to check the frame
 * at all. 0 = no frame. */
uint64_t gy_frame_peek_span(const uint8_t *bytes, size_t size);

#endif
