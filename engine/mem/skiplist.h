/* skiplist.h - the order of a memtable's entries: a skiplist whose links know where they lead.
 *
 *                            node
 *                             v
 *   | link 2 | link 1 | link 0 | tag, key_size, value_size | key | value |
 *
 * A link is the next node and that node's key prefix (gy_key_prefix). So a search settles most steps
 * with what lies in the node where it stands: it touches the nodes that it walks over, and not the ones,
 * about as many, that it finds to lie behind the target. The node itself keeps no prefix, so a
 * link costs 8 bytes more and a node 8 less; with 1 1/3 links per node that is nearly even.
 * Links grow downwards from the node, so that key and low links have fixed places in one cache line.
 *
 *   K1  Order is gy_entry_compare. No two entries are equal.
 *   K2  Prefixes that tie decide nothing: shorter keys are padded with zeros. Then keys are compared.
 *   K3  Nodes are linked once and never moved or unlinked, so the prefix in a link is never stale.
 *   K4  tail[level] is the last node that has this level: adding behind all others needs no search.
 */
#ifndef GY_SKIPLIST_H
#define GY_SKIPLIST_H

#include "engine/codec/key.h"
#include "io/base/rng.h"

#define GY_SKIPLIST_HEIGHT_MAX 12u /* 1 in 4 nodes reaches the next level: 16 M entries */

struct gy_skipnode {
    uint64_t tag;
    uint32_t key_size;
    uint32_t value_size;
    /* key, then value */
};

struct gy_skiplink {
    uint64_t prefix; /* of `next`; no meaning when that is NULL */
    struct gy_skipnode *next;
};

struct gy_skiplist {
    struct gy_skiplink head_links[GY_SKIPLIST_HEIGHT_MAX];
    struct gy_skipnode head_node; /* has no entry */
    struct gy_skipnode *head;     /* &head_node, as a node with links below it */
    struct gy_skipnode *tail[GY_SKIPLIST_HEIGHT_MAX];
    uint64_t tail_prefix;         /* of tail[0] */
    uint32_t height;              /* levels in use */
    struct gy_rng rng;
};

/* A place in the list: an entry as a key to search for. */
struct gy_skiptarget {
    uint64_t prefix;
    struct gyre_slice key;
    uint64_t tag;
};

static inline struct gy_skiptarget
gy_skiptarget_of(struct gyre_slice key, uint64_t tag)
{
    return (struct gy_skiptarget){.prefix = gy_key_prefix(key), .key = key, .tag = tag};
}

static inline struct gy_skiplink *
gy_skipnode_link(struct gy_skipnode *node, uint32_t level)
{
    return (struct gy_skiplink *)(void *)node - 1 - level;
}

static inline struct gyre_slice
gy_skipnode_key(const struct gy_skipnode *node)
{
    return gyre_slice(node + 1, node->key_size);
}

static inline struct gyre_slice
gy_skipnode_value(const struct gy_skipnode *node)
{
    return gyre_slice((const uint8_t *)(node + 1) + node->key_size, node->value_size);
}

/* The list does not move after that: it has pointers into itself. */
void gy_skiplist_init(struct gy_skiplist *list, uint64_t random_seed);

/* Bytes that the next `count` nodes take, without keys and values but rounded up to 8 bytes each. */
uint64_t gy_skiplist_overhead(const struct gy_skiplist *list, uint32_t count);
/* Bytes of the next node with `key_and_value_bytes`, a multiple of 8. */
uint64_t gy_skiplist_node_size(const struct gy_skiplist *list, uint64_t key_and_value_bytes);
/* `memory` has gy_skiplist_node_size bytes, aligned to 8. */
void gy_skiplist_add(struct gy_skiplist *list, void *memory, const struct gy_skiptarget *target,
                     struct gyre_slice value);

/* The last node in front of the target; the head when there is none. */
struct gy_skipnode *gy_skiplist_before(const struct gy_skiplist *list,
                                       const struct gy_skiptarget *target);

#endif
