/* gyre/iterator.h - ordered walks over a store, forward and backward, at one moment.
 *
 * An iterator sees the commits that were answered when it was opened (or its snapshot) and nothing
 * later, for as long as it lives. It pins no memtable and no table while it rests: it remembers its
 * key and seeks again when the store has changed underneath.
 *
 *     gyre_iterator *it;
 *     st = gyre_iterator_open(db, GYRE_ITERATOR_OPTIONS(.prefix = gyre_str("user:")), &it);
 *     for (st = gyre_iterator_first(it); st == GYRE_OK; st = gyre_iterator_next(it)) {
 *         struct gyre_slice key = gyre_iterator_key(it), value = gyre_iterator_value(it);
 *     }
 *     if (st != GYRE_NOT_FOUND) ... gyre_last_error
 *     gyre_iterator_close(it);
 *
 * Every move returns OK (positioned), NOT_FOUND (went past an end: not positioned) or an error (not
 * positioned; a further seek may be tried). An iterator is used by one coroutine at a time.
 * Source: engine/db/iterator.c
 */
#ifndef GYRE_ITERATOR_H
#define GYRE_ITERATOR_H

#include "gyre/db.h"

GYRE_EXTERN_C_BEGIN

typedef struct gyre_iterator gyre_iterator;

/* Does not suspend and reads nothing. INVALID: iterators_max are open, or a bound is too long. */
GYRE_API GYRE_NODISCARD gyre_status
gyre_iterator_open(gyre_db *db, const struct gyre_iterator_options *options,
                   gyre_iterator **ret_iterator);
GYRE_API void gyre_iterator_close(gyre_iterator *iterator); /* NULL is fine */

GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status gyre_iterator_first(gyre_iterator *iterator);
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status gyre_iterator_last(gyre_iterator *iterator);
/* To the first key >= `key`, or the last key <= `key`, inside the bounds. */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status gyre_iterator_seek(gyre_iterator *iterator,
                                                                     struct gyre_slice key);
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status
gyre_iterator_seek_for_prev(gyre_iterator *iterator, struct gyre_slice key);
/* INVALID when not positioned. */
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status gyre_iterator_next(gyre_iterator *iterator);
GYRE_SUSPENDS GYRE_API GYRE_NODISCARD gyre_status gyre_iterator_prev(gyre_iterator *iterator);

/* Positioned? Its key and value: they point into the iterator and stay until its next move or
 * close. Empty slices when not positioned. */
GYRE_API bool gyre_iterator_is_valid(const gyre_iterator *iterator);
GYRE_API struct gyre_slice gyre_iterator_key(const gyre_iterator *iterator);
GYRE_API struct gyre_slice gyre_iterator_value(const gyre_iterator *iterator);

GYRE_EXTERN_C_END

#endif
