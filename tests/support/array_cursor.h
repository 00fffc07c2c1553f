/* array_cursor.h - a cursor over a sorted array, which can be told to fail: a child for tests of
 * merging. */
#ifndef GY_TEST_ARRAY_CURSOR_H
#define GY_TEST_ARRAY_CURSOR_H

#include "engine/disk/cursor.h"

#define ARRAY_FAIL_NEVER UINT32_MAX

struct array_cursor {
    struct gy_cursor cursor;
    const struct gy_entry *entries;
    uint32_t count;
    uint32_t at;           /* meaningful while valid */
    uint32_t fail_at;      /* coming to this entry fails with IO */
    bool is_prepared;      /* a seek was announced and has not come yet */
    bool is_closed;
    uint32_t *seeks_unprepared; /* may be NULL: counts seeks that were not announced */
};

/* In place, not positioned. The entries stay the caller's. */
void array_cursor_init(struct array_cursor *self, const struct gy_entry *entries, uint32_t count);

#endif
