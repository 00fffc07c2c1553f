/* key.h - order of keys, and the tag that tells the versions of one key apart.
 *
 * An entry is (user key, tag, value); tag = sequence << 8 | kind. Entries are ordered by user key
 * ascending (bytewise, then the shorter first), then by tag descending: the newest version comes
 * first. Kinds other than DELETE and PUT are reserved; a file that has one is UNSUPPORTED.
 */
#ifndef GY_KEY_H
#define GY_KEY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "engine/codec/limits.h"
#include "gyre/base.h"

enum gy_kind {
    GY_KIND_DELETE = 0,
    GY_KIND_PUT = 1,
    GY_KIND_MERGE = 2,        /* reserved */
    GY_KIND_RANGE_DELETE = 3, /* reserved */
    GY_KIND_EXPIRING_PUT = 4, /* reserved */
    GY_KIND_SINGLE_DELETE = 5 /* reserved */
};

struct gy_entry {
    struct gyre_slice key;
    uint64_t tag;
    struct gyre_slice value;
};

static inline uint64_t
gy_tag(uint64_t sequence, enum gy_kind kind)
{
    return sequence << 8 | (uint64_t)kind;
}

static inline uint64_t
gy_tag_sequence(uint64_t tag)
{
    return tag >> 8;
}

static inline enum gy_kind
gy_tag_kind(uint64_t tag)
{
    return (enum gy_kind)(tag & 0xff);
}

/* The tag to seek with so that the first entry found is the newest with sequence <= `sequence`. */
static inline uint64_t
gy_tag_seek(uint64_t sequence)
{
    return sequence << 8 | 0xff;
}

static inline int
gy_key_compare(struct gyre_slice a, struct gyre_slice b)
{
    const size_t size = a.size < b.size ? a.size : b.size;
    const int order = size == 0 ? 0 : memcmp(a.data, b.data, size);

    if (order != 0) {
        return order;
    }
    return a.size < b.size ? -1 : a.size > b.size ? 1 : 0;
}

/* (key, tag) order: negative when a comes first. */
static inline int
gy_entry_compare(struct gyre_slice a_key, uint64_t a_tag, struct gyre_slice b_key, uint64_t b_tag)
{
    const int order = gy_key_compare(a_key, b_key);

    if (order != 0) {
        return order;
    }
    return a_tag > b_tag ? -1 : a_tag < b_tag ? 1 : 0;
}

/* The first 8 bytes as a big-endian number, zero-padded: a < b as numbers implies a < b as keys. */
static inline uint64_t
gy_key_prefix(struct gyre_slice key)
{
    uint64_t prefix = 0;

    memcpy(&prefix, key.data, key.size < 8 ? key.size : 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    prefix = __builtin_bswap64(prefix);
#endif
    return prefix;
}

/* A short key s with a <= s < b, for index entries (a < b); its length is at most a.size. Returns
 * its size; it is a prefix of `a` with at most its last byte raised, written to `target` (a.size
 * bytes). */
size_t gy_key_separator(struct gyre_slice a, struct gyre_slice b, uint8_t *target);

#endif
