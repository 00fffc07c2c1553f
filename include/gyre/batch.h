/* gyre/batch.h - a list of puts and deletes that is applied whole or not at all (gyre_write).
 *
 * A batch holds copies of its keys and values in plain memory of its own, belongs to no loop, and
 * can be used again after gyre_batch_clear. Later operations of a batch win over earlier ones on
 * the same key. Not for use by two threads at once.
 */
#ifndef GYRE_BATCH_H
#define GYRE_BATCH_H

#include "gyre/status.h"

GYRE_EXTERN_C_BEGIN

typedef struct gyre_batch gyre_batch;

/* NULL when there is no memory. */
GYRE_API gyre_batch *gyre_batch_make(void);
GYRE_API void gyre_batch_free(gyre_batch *batch); /* NULL is fine */

/* INVALID: key or value size out of its limits, GYRE_BATCH_SIZE_MAX or GYRE_BATCH_COUNT_MAX passed.
 * NO_MEMORY. In both cases the batch is as before. */
GYRE_API GYRE_NODISCARD gyre_status gyre_batch_put(gyre_batch *batch, struct gyre_slice key,
                                                   struct gyre_slice value);
GYRE_API GYRE_NODISCARD gyre_status gyre_batch_delete(gyre_batch *batch, struct gyre_slice key);

GYRE_API void gyre_batch_clear(gyre_batch *batch);          /* keeps the memory */
GYRE_API uint32_t gyre_batch_count(const gyre_batch *batch); /* operations */
GYRE_API size_t gyre_batch_size(const gyre_batch *batch);    /* bytes, encoded */

/* Append all operations of `source`. INVALID or NO_MEMORY with `batch` as before. */
GYRE_API GYRE_NODISCARD gyre_status gyre_batch_append(gyre_batch *batch, const gyre_batch *source);

enum gyre_batch_kind { GYRE_BATCH_DELETE = 0, GYRE_BATCH_PUT = 1 };

struct gyre_batch_operation {
    enum gyre_batch_kind kind;
    struct gyre_slice key;   /* both point into the batch; valid until it changes */
    struct gyre_slice value; /* empty for a delete */
};

/* Walk the operations in order: *position starts at 0; false at the end.
 *     size_t position = 0;
 *     while (gyre_batch_next(batch, &position, &operation)) ... */
GYRE_API bool gyre_batch_next(const gyre_batch *batch, size_t *position,
                              struct gyre_batch_operation *ret_operation);

GYRE_EXTERN_C_END

#endif
