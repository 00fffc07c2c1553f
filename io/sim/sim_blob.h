/* sim_blob.h - the bytes of a WRITE from its submission to its completion.
 *
 * They are kept in pages that the file takes over as they are where the write covers whole pages,
 * so most bytes are copied once; pages of zeros (logs and manifests are filled with them) not even
 * that.
 */
#ifndef GY_SIM_BLOB_H
#define GY_SIM_BLOB_H

#include <stddef.h>

#include "io/sim/sim_map.h"

/* Bytes of a WRITE as they were when it was submitted, in pages from its first byte on. Shared with
 * copies of the disk and never changed; what is behind the last byte is zeros. */
struct gy_sim_blob {
    uint64_t refs;
    size_t size;
    struct gy_sim_page *pages[]; /* NULL = zeros */
};

struct gy_sim_blob *gy_sim_blob_make(struct gy_heap *heap, const void *bytes, size_t size);
struct gy_sim_blob *gy_sim_blob_get(struct gy_sim_blob *blob);        /* NULL is fine */
void gy_sim_blob_put(struct gy_heap *heap, struct gy_sim_blob *blob); /* NULL is fine */
/* Is `bytes` still what it was made from? */
bool gy_sim_blob_holds(const struct gy_sim_blob *blob, const void *bytes);
void gy_sim_blob_read(const struct gy_sim_blob *blob, size_t offset, size_t size, void *target);
/* The whole page at `offset`, with a reference; NULL = zeros. */
struct gy_sim_page *gy_sim_blob_page(const struct gy_sim_blob *blob, size_t offset);
/* A copy in which one bit is another. */
struct gy_sim_blob *gy_sim_blob_flipped(struct gy_heap *heap, const struct gy_sim_blob *blob,
                                        uint64_t bit);
/* A copy in which one page is zeros. */
struct gy_sim_blob *gy_sim_blob_zeroed(struct gy_heap *heap, const struct gy_sim_blob *blob,
                                       uint32_t page);
uint64_t gy_sim_blob_hash(const struct gy_sim_blob *blob, uint64_t seed);

#endif
