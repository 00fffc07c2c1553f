/* batch.h - bytes of a list of operations: the body of a gyre_batch and of a commit in the log.
 *
 * Operations follow each other without padding:
 *
 *   len  field       meaning
 *     1  kind        enum gy_kind: 0 delete, 1 put; others reserved
 *   1-5  keyspace    varint; 0 in this release
 *   1-5  key_size    varint, 1..GY_KEY_SIZE_MAX
 *   1-5  value_size  varint, 0..GY_VALUE_SIZE_MAX; absent for a delete
 *     n  key
 *     m  value       absent for a delete
 *
 * Valid iff, in this order: kind known (else UNSUPPORTED), keyspace 0 (else UNSUPPORTED), sizes
 * inside their limits and inside the bytes (else CORRUPT).
 * Example: put "a" -> "1" is 01 00 01 01 61 31; delete "bc" is 00 00 02 62 63.
 */
#ifndef GY_BATCH_CODEC_H
#define GY_BATCH_CODEC_H

#include "engine/codec/key.h"
#include "gyre/status.h"

struct gy_operation {
    enum gy_kind kind;
    uint32_t keyspace;
    struct gyre_slice key;
    struct gyre_slice value;
};

size_t gy_operation_size(const struct gy_operation *operation);
/* `target` has gy_operation_size bytes; returns the end. */
uint8_t *gy_operation_encode(uint8_t *target, const struct gy_operation *operation);
/* Decode at *position of `bytes` and advance it. OK, CORRUPT or UNSUPPORTED; outputs only on OK. */
gyre_status gy_operation_decode(struct gyre_slice bytes, size_t *position,
                                struct gy_operation *ret_operation);
/* Number of operations if all of `bytes` decodes. */
gyre_status gy_operations_count(struct gyre_slice bytes, uint32_t *ret_count);

#endif
