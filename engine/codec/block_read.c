/* block_read.c - search in blocks and walks over them; see block.h for the bytes. Nothing here
 * trusts them: each offset and length is checked where it is used. */
#include "engine/codec/block.h"
#include "engine/codec/coding.h"
#include "io/base/assert.h"
#include "io/base/checked.h"
#include "io/base/ban.h"

#define PREFETCH_RESTARTS_MAX 16u

gyre_status
gy_block_open(const uint8_t *body, uint32_t size, struct gy_block *ret_block)
{
    uint32_t count;

    if (size < 4) {
        return GYRE_CORRUPT;
    }
    count = gy_get_u32(body + size - 4);
    if (count == 0 || count > (size - 4) / 4 || size - 4 - 4 * count == 0) {
        return GYRE_CORRUPT;
    }
    ret_block->data = body;
    ret_block->entries_size = size - 4 - 4 * count;
    ret_block->restart_count = count;
    return GYRE_OK;
}

/* ---- One entry ---- */

struct header {
    uint32_t shared;
    uint32_t unshared;
    uint32_t value_size;
    uint64_t tag;
    const uint8_t *key; /* the unshared part; the value follows */
};

/* Most lengths fit one byte: that case is decoded in place. */
static inline const uint8_t *
get_length(const uint8_t *at, const uint8_t *end, uint32_t *ret_value)
{
    if (gy_likely(at < end && *at < 0x80)) {
        *ret_value = *at;
        return at + 1;
    }
    return gy_get_varint32(at, end, ret_value);
}

static inline bool
decode_entry(const struct gy_block *block, uint32_t offset, struct header *ret_header)
{
    const uint8_t *at = block->data + offset;
    const uint8_t *end = block->data + block->entries_size;

    gy_assert(offset < block->entries_size);
    if ((at = get_length(at, end, &ret_header->shared)) == NULL ||
        (at = get_length(at, end, &ret_header->unshared)) == NULL ||
        (at = get_length(at, end, &ret_header->value_size)) == NULL ||
        (at = gy_get_varint64(at, end, &ret_header->tag)) == NULL) {
        return false;
    }
    if (GY_MUTANT(entry_length_wraps)) {
        ret_header->key = at;
        return ret_header->unshared + ret_header->value_size <= (size_t)(end - at);
    }
    if (ret_header->unshared > (size_t)(end - at) ||
        ret_header->value_size > (size_t)(end - at) - ret_header->unshared) {
        return false;
    }
    ret_header->key = at;
    return true;
}

static inline uint32_t
entry_end(const struct gy_block *block, const struct header *header)
{
    return (uint32_t)(header->key - block->data) + header->unshared + header->value_size;
}

/* Offset of restart `index`; UINT32_MAX when it is not inside the entries. */
static inline uint32_t
restart_offset(const struct gy_block *block, uint32_t index)
{
    const uint32_t offset = gy_get_u32(block->data + block->entries_size + 4 * (size_t)index);

    return offset < block->entries_size ? offset : UINT32_MAX;
}

static inline bool
decode_restart(const struct gy_block *block, uint32_t index, uint32_t *ret_offset,
               struct header *ret_header)
{
    *ret_offset = restart_offset(block, index);
    return *ret_offset != UINT32_MAX && decode_entry(block, *ret_offset, ret_header) &&
           ret_header->shared == 0;
}

/* ---- Search ---- */

static inline uint32_t
common_prefix(const uint8_t *a, const uint8_t *b, uint32_t size)
{
    uint32_t i = 0;

    for (; size - i >= 8; i += 8) {
        uint64_t x;
        uint64_t y;

        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y) {
            break;
        }
    }
    while (i < size && a[i] == b[i]) {
        i++;
    }
    return i;
}

/* Index of the last restart whose entry is < (key, tag), 0 when there is none. False: damage. */
static bool
find_restart(const struct gy_block *block, struct gyre_slice key, uint64_t tag, uint32_t *ret_index)
{
    uint32_t low = 0;
    uint32_t high = block->restart_count - 1;

    /* A block that was not used for a while is not in the processor's caches: fetch what the search
     * may look at all at once rather than one after the other. */
    if (block->restart_count <= PREFETCH_RESTARTS_MAX) {
        for (uint32_t i = 0; i <= high; i++) {
            const uint32_t offset = restart_offset(block, i);

            __builtin_prefetch(block->data + (offset != UINT32_MAX ? offset : 0));
        }
    }
    while (low < high) {
        const uint32_t middle = low + (high - low + 1) / 2;
        struct header header;
        uint32_t offset;

        if (!decode_restart(block, middle, &offset, &header)) {
            return false;
        }
        if (gy_entry_compare(gyre_slice(header.key, header.unshared), header.tag, key, tag) < 0) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    *ret_index = low;
    return true;
}

/* Where the walk of gy_block_get stands: the entry before the current one is smaller than the
 * target and has `match` leading bytes in common with it. */
struct compare {
    const uint8_t *target;
    uint32_t target_size;
    uint32_t match;
    uint32_t key_size; /* of that entry */
};

/* Order of the next entry's key against the target, from what it shares with the one before:
 *   shares more than matched  it differs from the target where its predecessor did: still smaller
 *   shares less               it is larger than its predecessor at a byte where that one still
 *   matched: larger shares just that much     compare the rest
 * An entry that shares nothing may be a restart, of which the rule above says nothing: compare it
 * whole. */
static inline int
compare_next(struct compare *state, const struct header *header)
{
    const uint32_t from = header->shared;
    const uint32_t rest = state->target_size - (from < state->match ? from : state->match);
    const uint32_t size = header->unshared < rest ? header->unshared : rest;
    uint32_t common;

    state->key_size = header->shared + header->unshared;
    if (from + GY_MUTANT(prefix_search_off_by_one) > state->match && from != 0) {
        return -1;
    }
    if (from < state->match && from != 0) {
        return 1;
    }
    common = common_prefix(header->key, state->target + from, size);
    state->match = from + common;
    if (common < size) {
        return header->key[common] < state->target[from + common] ? -1 : 1;
    }
    return header->unshared < rest ? -1 : header->unshared > rest ? 1 : 0;
}

gyre_status
gy_block_get(const struct gy_block *block, struct gyre_slice key, uint64_t tag,
             struct gy_block_found *ret_found)
{
    struct compare state = {.target = key.data, .target_size = (uint32_t)key.size};
    struct header header;
    uint32_t restart;
    uint32_t offset;

    gy_assert(key.size <= UINT32_MAX);
    if (!find_restart(block, key, tag, &restart) ||
        !decode_restart(block, restart, &offset, &header)) {
        return GYRE_CORRUPT;
    }
    for (;;) {
        const int order = compare_next(&state, &header);

        if (order > 0 || (order == 0 && header.tag <= tag)) { /* higher tags come first */
            ret_found->key_is_equal = order == 0;
            ret_found->tag = header.tag;
            ret_found->value = gyre_slice(header.key + header.unshared, header.value_size);
            ret_found->offset = offset;
            ret_found->restart = restart;
            return GYRE_OK;
        }
        offset = entry_end(block, &header);
        if (offset == block->entries_size) {
            return GYRE_NOT_FOUND;
        }
        if (!decode_entry(block, offset, &header) || header.shared > state.key_size) {
            return GYRE_CORRUPT;
        }
    }
}

/* ---- Walks ---- */

void
gy_block_iter_init(struct gy_block_iter *iter, const struct gy_block *block, uint8_t *key_buffer,
                   uint32_t key_capacity)
{
    memset(iter, 0, sizeof(*iter));
    iter->block = *block;
    iter->key_buffer = key_buffer;
    iter->key_capacity = key_buffer != NULL ? key_capacity : UINT32_MAX;
}

static void
fail(struct gy_block_iter *iter)
{
    iter->valid = false;
    iter->corrupt = true;
}

static void
end(struct gy_block_iter *iter)
{
    iter->valid = false;
}

/* Make the entry at `offset` the current one. Unless it shares nothing, the current one is its
 * predecessor. */
static bool
enter(struct gy_block_iter *iter, uint32_t offset)
{
    struct gyre_slice *key = &iter->entry.key;
    struct header header;

    if (!decode_entry(&iter->block, offset, &header) || header.shared > key->size ||
        header.unshared > iter->key_capacity - header.shared) {
        fail(iter);
        return false;
    }
    if (iter->key_buffer == NULL) {
        key->data = NULL;
    } else if (header.shared == 0) {
        key->data = header.key;
    } else {
        if (key->data != iter->key_buffer) { /* the predecessor's key lies in the block */
            memcpy(iter->key_buffer, key->data, header.shared);
            key->data = iter->key_buffer;
        }
        memcpy(iter->key_buffer + header.shared, header.key, header.unshared);
    }
    key->size = (size_t)header.shared + header.unshared;
    iter->entry.tag = header.tag;
    iter->entry.value = gyre_slice(header.key + header.unshared, header.value_size);
    iter->offset = offset;
    iter->next_offset = entry_end(&iter->block, &header);
    iter->valid = true;
    return true;
}

static bool
enter_restart(struct gy_block_iter *iter, uint32_t index)
{
    const uint32_t offset = restart_offset(&iter->block, index);

    iter->corrupt = false;
    iter->entry.key = gyre_slice(NULL, 0); /* so that an entry that shares something is refused */
    if (offset == UINT32_MAX) {
        fail(iter);
        return false;
    }
    return enter(iter, offset);
}

/* From a restart on to the entry at `offset`, where gy_block_get has just come over the same bytes:
 * what it did not look at is whether there is room for the keys. */
static void
walk_to(struct gy_block_iter *iter, uint32_t restart, uint32_t offset)
{
    if (!enter_restart(iter, restart)) {
        return;
    }
    while (iter->offset < offset) {
        if (!enter(iter, iter->next_offset)) {
            return;
        }
    }
    gy_assert(iter->offset == offset);
}

void
gy_block_iter_first(struct gy_block_iter *iter)
{
    (void)enter_restart(iter, 0);
}

void
gy_block_iter_last(struct gy_block_iter *iter)
{
    if (!enter_restart(iter, iter->block.restart_count - 1)) {
        return;
    }
    while (iter->next_offset < iter->block.entries_size) {
        if (!enter(iter, iter->next_offset)) {
            return;
        }
    }
}

void
gy_block_iter_seek(struct gy_block_iter *iter, struct gyre_slice key, uint64_t tag)
{
    struct gy_block_found found;

    iter->corrupt = false;
    switch (gy_block_get(&iter->block, key, tag, &found)) {
    case GYRE_OK:
        walk_to(iter, found.restart, found.offset);
        break;
    case GYRE_NOT_FOUND:
        end(iter);
        break;
    default:
        fail(iter);
        break;
    }
}

void
gy_block_iter_seek_before(struct gy_block_iter *iter, struct gyre_slice key, uint64_t tag)
{
    gy_block_iter_seek(iter, key, tag);
    if (iter->corrupt) {
        return;
    }
    if (iter->valid) {
        gy_block_iter_prev(iter);
    } else {
        gy_block_iter_last(iter);
    }
}

void
gy_block_iter_next(struct gy_block_iter *iter)
{
    gy_assert(iter->valid);
    if (iter->next_offset >= iter->block.entries_size) {
        end(iter);
        return;
    }
    (void)enter(iter, iter->next_offset);
}

void
gy_block_iter_prev(struct gy_block_iter *iter)
{
    const uint32_t target = iter->offset;
    uint32_t low = 0;
    uint32_t high = iter->block.restart_count - 1;

    gy_assert(iter->valid);
    if (target == 0) {
        end(iter);
        return;
    }
    while (low < high) { /* the last restart before the current entry */
        const uint32_t middle = low + (high - low + 1) / 2;

        if (restart_offset(&iter->block, middle) < target) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    if (!enter_restart(iter, low)) {
        return;
    }
    while (iter->next_offset < target) {
        if (!enter(iter, iter->next_offset)) {
            return;
        }
    }
    if (iter->next_offset != target) {
        fail(iter);
    }
}

gyre_status
gy_block_verify(const struct gy_block *block)
{
    uint32_t before = 0;

    for (uint32_t i = 0; i < block->restart_count; i++) {
        struct header header;
        uint32_t offset;

        if (!decode_restart(block, i, &offset, &header) || (i == 0) != (offset == 0) ||
            (i != 0 && offset <= before)) {
            return GYRE_CORRUPT;
        }
        before = offset;
    }
    return GYRE_OK;
}
