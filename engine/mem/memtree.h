/* memtree.h - the order of a memtable's entries: a linked list, and a tree that finds places in it.
 *
 *   inner          | count | prefixes | children | their first entries |
 *   leaf           | count | prefixes | entries  |
 *   entry          | next, tag, sizes | key | value |  -> the next entry in order
 *
 * A block has up to 32 slots; its prefixes lie in four cache lines, which are fetched at once, so a
 * level costs one wait for memory at most, and the levels above the leaves stay in the cache. A
 * skiplist was measured beside it: it waits at every node that it walks over, two to six times as
 * long in all (docs/decisions/0010-memtable-is-a-tree.md).
 *
 *   T1  The list is the truth: all entries in the order of gy_entry_compare, no two of them equal.
 *       They never move, so whoever stands on one can go on while others are added.
 *   T2  The tree is an index of the list. Slot 0 of a block is never compared: the way down has
 *       proved it to lie in front of the target; in the first leaf it is `front`, which is no
 *       entry.
 *   T3  An add needs no memory but that of its entry. When there is none for a block, the entry
 *       stays out of the tree (`partial`), and searches walk the rest of the way along the list.
 *   T4  A prefix is 8 bytes of the key as a number, and prefix(a) < prefix(b) implies a < b. Equal
 *       ones decide nothing.
 *   T5  The 8 bytes begin behind what the first keys had in common (`common`), since real keys
 *       begin alike. A key that is below or above all that begin so has the lowest or highest
 *       prefix.
 */
#ifndef GY_MEMTREE_H
#define GY_MEMTREE_H

#include "engine/codec/key.h"
#include "engine/mem/region.h"

#define GY_MEMTREE_SLOTS 32u
#define GY_MEMTREE_HEIGHT_MAX 8u /* blocks are at least half full but for the last: 16^8 entries */
#define GY_MEMTREE_COMMON_MAX 64u

struct gy_memnode {
    struct gy_memnode *next; /* NULL: the last */
    uint64_t tag;
    uint32_t key_size;
    uint32_t value_size;
    /* key, then value */
};

struct gy_memblock;

struct gy_memtree {
    struct gy_region *region;
    struct gy_memnode *front;    /* the head, which lies in here and is no entry */
    struct gy_memblock *root;    /* NULL: nothing was added */
    struct gy_memblock *last;    /* leaf */
    struct gy_memnode *tail;     /* last entry, or the front */
    uint64_t tail_prefix;
    uint8_t *slab;               /* room for blocks, aligned to cache lines */
    uint64_t slab_size;
    uint64_t block_bytes;        /* of all blocks */
    uint32_t height;             /* levels of inner blocks */
    bool partial;                /* T3 */
    bool learned;                /* `common` is settled */
    uint32_t common_size;        /* T5 */
    uint8_t common[GY_MEMTREE_COMMON_MAX];
    struct gy_memnode head;
};

/* An entry as something to search for. */
struct gy_memtarget {
    struct gyre_slice key;
    uint64_t tag;
    uint64_t prefix;
};

/* Where a walk along the list is in the tree; only a hint, which adds may make stale. */
struct gy_memtrail {
    const struct gy_memblock *leaf; /* NULL: not known */
    uint32_t slot;
};

static inline struct gyre_slice
gy_memnode_key(const struct gy_memnode *node)
{
    return gyre_slice(node + 1, node->key_size);
}

static inline struct gyre_slice
gy_memnode_value(const struct gy_memnode *node)
{
    return gyre_slice((const uint8_t *)(node + 1) + node->key_size, node->value_size);
}

/* Bytes of an entry. */
static inline uint64_t
gy_memnode_size(uint64_t key_and_value_bytes)
{
    return (sizeof(struct gy_memnode) + key_and_value_bytes + 7) & ~7ull;
}

/* The tree does not move after that, and uses `region` as long as it lives; the region frees all.
 * */
void gy_memtree_init(struct gy_memtree *tree, struct gy_region *region);

/* Room for the blocks that `count` adds are likely to need. False: no memory. Takes it out of the
 * region, so what is to be reserved there is reserved afterwards. */
bool gy_memtree_prepare(struct gy_memtree *tree, uint32_t count);

/* `node` has gy_memnode_size bytes. No equal entry is there. Cannot fail (T3). */
void gy_memtree_add(struct gy_memtree *tree, struct gy_memnode *node, struct gyre_slice key,
                    uint64_t tag, struct gyre_slice value);

/* The last entry in front of (key, tag); tree->front when there is none. */
struct gy_memnode *gy_memtree_before(const struct gy_memtree *tree, struct gyre_slice key,
                                     uint64_t tag);

/* The first entry at or behind (key, tag) if it is one of this very key, else NULL. */
const struct gy_memnode *gy_memtree_find(const struct gy_memtree *tree, struct gyre_slice key,
                                         uint64_t tag);

/* A walk has come to `node`: fetch the entries that it will come to next. In a list alone each step
 * waits for the one before; a leaf knows the addresses of many. */
void gy_memtree_fetch_ahead(const struct gy_memtree *tree, struct gy_memtrail *trail,
                            const struct gy_memnode *node);

#endif
