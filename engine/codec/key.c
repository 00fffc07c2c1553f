/* key.c - short keys for index entries; order and tags are inline in key.h. */
#include "engine/codec/key.h"

#include "io/base/assert.h"

#include "io/base/ban.h"

/* `a` cut behind byte `at`, with that byte raised. */
static size_t
cut_and_raise(const uint8_t *a, size_t at, uint8_t *target)
{
    gy_assert(a[at] < 0xff);
    memcpy(target, a, at);
    target[at] = (uint8_t)(a[at] + 1);
    return at + 1;
}

size_t
gy_key_separator(struct gyre_slice a, struct gyre_slice b, uint8_t *target)
{
    const uint8_t *low = a.data;
    const uint8_t *high = b.data;
    const size_t size = a.size < b.size ? a.size : b.size;
    size_t at = 0;

    gy_assert_slow(gy_key_compare(a, b) < 0);
    while (at < size && low[at] == high[at]) {
        at++;
    }
    if (at < size) { /* low[at] < high[at]; if `a` ends before, nothing shorter lies between */
        gy_assert(low[at] < high[at]);
        if (at + 1 < a.size && (low[at] + 1 < high[at] || at + 1 < b.size)) {
            return cut_and_raise(low, at, target);
        }
        /* Raised, it would be b or above. With low[at] kept, what follows may be anything. */
        for (at++; at + 1 < a.size; at++) {
            if (low[at] < 0xff) {
                return cut_and_raise(low, at, target);
            }
        }
    }
    if (a.size > 0) {
        memcpy(target, low, a.size);
    }
    return a.size;
}
