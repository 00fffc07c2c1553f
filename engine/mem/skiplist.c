/* skiplist.c - search and insertion; see skiplist.h for the layout. */
#include "engine/mem/skiplist.h"

#include "io/base/assert.h"
#include "io/base/bits.h"

#include "io/base/ban.h"

_Static_assert(sizeof(struct gy_skiplink) == 16 && sizeof(struct gy_skipnode) == 16,
               "links and node lie side by side");
_Static_assert(offsetof(struct gy_skiplist, head_node) ==
                   offsetof(struct gy_skiplist, head_links) +
                       sizeof(struct gy_skiplink) * GY_SKIPLIST_HEIGHT_MAX,
               "the head is a node like others");

void
gy_skiplist_init(struct gy_skiplist *list, uint64_t random_seed)
{
    *list = (struct gy_skiplist){.height = 1};
    gy_rng_init(&list->rng, random_seed);
    list->head =
        (struct gy_skipnode *)(void *)((uint8_t *)list + offsetof(struct gy_skiplist, head_node));
    for (uint32_t level = 0; level < GY_SKIPLIST_HEIGHT_MAX; level++) {
        list->tail[level] = list->head;
    }
}

/* 1 with probability 3/4, 2 with 3/16, and so on. */
static uint32_t
draw_height(struct gy_rng *rng)
{
    const uint64_t stop = 1ull << (2 * (GY_SKIPLIST_HEIGHT_MAX - 1));

    return 1 + (uint32_t)__builtin_ctzll(gy_rng_next(rng) | stop) / 2;
}

uint64_t
gy_skiplist_overhead(const struct gy_skiplist *list, uint32_t count)
{
    struct gy_rng rng = list->rng; /* a copy: it tells the heights to come, and exactly */
    uint64_t links = 0;

    for (uint32_t i = 0; i < count; i++) {
        links += draw_height(&rng);
    }
    return links * sizeof(struct gy_skiplink) + count * (sizeof(struct gy_skipnode) + 7ull);
}

uint64_t
gy_skiplist_node_size(const struct gy_skiplist *list, uint64_t key_and_value_bytes)
{
    struct gy_rng rng = list->rng;

    return gy_align_up(draw_height(&rng) * sizeof(struct gy_skiplink) + sizeof(struct gy_skipnode) +
                           key_and_value_bytes,
                       8);
}

/* ---- Search ---- */

static inline uint64_t
load_big_endian(const uint8_t *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The entry of `node`, whose prefix equals the target's, comes first. The first 8 bytes, as far as both
 * keys have them, are equal then (K2). Keys of 9 to 24 bytes are the usual ones: no call for them. */
static inline bool
is_before_tied(const struct gy_skipnode *node, const struct gy_skiptarget *target)
{
    const size_t size = node->key_size < target->key.size ? node->key_size : target->key.size;
    const uint8_t *a = (const uint8_t *)(node + 1);
    const uint8_t *b = target->key.data;
    size_t at = 8;

    for (; at < 24 && at + 8 <= size; at += 8) {
        const uint64_t a_word = load_big_endian(a + at);
        const uint64_t b_word = load_big_endian(b + at);

        if (a_word != b_word) {
            return a_word < b_word;
        }
    }
    if (at < size) {
        const int order = memcmp(a + at, b + at, size - at);

        if (order != 0) {
            return order < 0;
        }
    }
    if (node->key_size != target->key.size) {
        return node->key_size < target->key.size;
    }
    return node->tag > target->tag;
}

static inline bool
is_before(uint64_t prefix, const struct gy_skipnode *node, const struct gy_skiptarget *target)
{
    if (gy_likely(prefix != target->prefix)) {
        return prefix < target->prefix;
    }
    return is_before_tied(node, target);
}

/* Walk down to the last node in front of the target; before[level] gets the last one of each level. */
static inline struct gy_skipnode *
descend(const struct gy_skiplist *list, const struct gy_skiptarget *target,
        struct gy_skipnode **before)
{
    struct gy_skipnode *node = list->head;
    struct gy_skipnode *bound = NULL; /* known not to lie in front; NULL is the end of the list */

    for (uint32_t level = list->height; level-- > 0;) {
        const struct gy_skiplink *link = gy_skipnode_link(node, level);

        while (link->next != bound && is_before(link->prefix, link->next, target)) {
            node = link->next;
            link = gy_skipnode_link(node, level);
        }
        bound = link->next;
        if (before != NULL) {
            before[level] = node;
        }
    }
    return node;
}

struct gy_skipnode *
gy_skiplist_before(const struct gy_skiplist *list, const struct gy_skiptarget *target)
{
    return descend(list, target, NULL);
}

/* ---- Insertion ---- */

static bool
is_behind_all(const struct gy_skiplist *list, const struct gy_skiptarget *target)
{
    return list->tail[0] != list->head && is_before(list->tail_prefix, list->tail[0], target);
}

void
gy_skiplist_add(struct gy_skiplist *list, void *memory, const struct gy_skiptarget *target,
                struct gyre_slice value)
{
    struct gy_skipnode *found[GY_SKIPLIST_HEIGHT_MAX];
    struct gy_skipnode **before = found;
    const uint32_t height = draw_height(&list->rng);
    struct gy_skipnode *node =
        (struct gy_skipnode *)(void *)((uint8_t *)memory + height * sizeof(struct gy_skiplink));
    uint8_t *bytes = (uint8_t *)(node + 1);

    gy_assert(target->key.size <= UINT32_MAX && value.size <= UINT32_MAX);
    for (; list->height < height; list->height++) {
        gy_assert_slow(gy_skipnode_link(list->head, list->height)->next == NULL);
    }
    if (is_behind_all(list, target)) {
        before = list->tail;
    } else {
        descend(list, target, found);
    }
    *node = (struct gy_skipnode){.tag = target->tag,
                                 .key_size = (uint32_t)target->key.size,
                                 .value_size = (uint32_t)value.size};
    memcpy(bytes, target->key.data, target->key.size);
    if (value.size > 0) {
        memcpy(bytes + target->key.size, value.data, value.size);
    }
    for (uint32_t level = 0; level < height; level++) {
        struct gy_skiplink *link = gy_skipnode_link(before[level], level);

        *gy_skipnode_link(node, level) = *link;
        if (link->next == NULL) {
            list->tail[level] = node;
        }
        *link = (struct gy_skiplink){.prefix = target->prefix, .next = node};
    }
    if (list->tail[0] == node) {
        list->tail_prefix = target->prefix;
    }
}
