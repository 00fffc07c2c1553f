/* memtree.c - searching and adding; see memtree.h for blocks and invariants. */
#include "engine/mem/memtree.h"

#include "io/base/assert.h"
#include "io/base/bits.h"

#include "io/base/ban.h"

#define SLOTS GY_MEMTREE_SLOTS
#define CACHE_LINE 64u
#define SLAB_SIZE (32u * 1024u)
#define AHEAD 8u        /* entries that a walk fetches before it needs them */
#define COMMON_SLACK 1u /* bytes before the first difference that may yet change in keys to come */

struct gy_memblock {
    uint32_t count; /* slots in use */
    uint32_t reserved;
    uint64_t prefix[SLOTS - 1]; /* of slots 1 and up; UINT64_MAX where there is none */
    union {
        struct gy_memnode *entry[SLOTS];  /* leaf */
        struct gy_memblock *child[SLOTS]; /* inner */
    } u;
};
_Static_assert(sizeof(struct gy_memblock) == 512, "eight cache lines, four of them to search");

struct inner {
    struct gy_memblock block;
    struct gy_memnode *first[SLOTS]; /* first entry below each child; [0] is not used (T2) */
};

/* ---- Prefixes ---- */

/* T5: monotone in the key, whatever `common` is. */
static inline uint64_t
prefix_of(const struct gy_memtree *tree, struct gyre_slice key)
{
    const size_t common = tree->common_size;

    if (common > 0) {
        const size_t size = key.size < common ? key.size : common;
        const int order = memcmp(key.data, tree->common, size);

        if (gy_unlikely(order != 0)) {
            return order < 0 ? 0 : UINT64_MAX;
        }
        if (gy_unlikely(key.size <= common)) {
            return 0;
        }
        key = gyre_slice((const uint8_t *)key.data + common, key.size - common);
    }
    return gy_key_prefix(key);
}

static inline struct gy_memtarget
target_of(const struct gy_memtree *tree, struct gyre_slice key, uint64_t tag)
{
    return (struct gy_memtarget){.key = key, .tag = tag, .prefix = prefix_of(tree, key)};
}

/* Settle what the keys have in common, once, when the first leaf is full. The 8 bytes end with the
 * shortest key at the latest; else they begin a little before the first difference, since keys to
 * come may differ earlier (numbers that count up). A bad guess makes ties, not mistakes. */
static void
learn_common(struct gy_memtree *tree, struct gy_memblock *leaf)
{
    const uint8_t *a = gy_memnode_key(leaf->u.entry[1]).data;
    const uint8_t *b = gy_memnode_key(leaf->u.entry[leaf->count - 1]).data;
    size_t size = GY_MEMTREE_COMMON_MAX + 8;
    size_t common = 0;

    for (uint32_t i = 1; i < leaf->count; i++) {
        size = gy_min_u64(size, leaf->u.entry[i]->key_size);
    }
    while (common < size && a[common] == b[common]) {
        common++;
    }
    common = common + 8 < size ? gy_sub_sat(common, COMMON_SLACK) : gy_sub_sat(size, 8);
    gy_assert(common <= GY_MEMTREE_COMMON_MAX);
    memcpy(tree->common, a, common);
    tree->common_size = (uint32_t)common;
    tree->learned = true;
    for (uint32_t i = 1; i < leaf->count; i++) {
        leaf->prefix[i - 1] = prefix_of(tree, gy_memnode_key(leaf->u.entry[i]));
    }
    tree->tail_prefix = prefix_of(tree, gy_memnode_key(tree->tail));
}

/* ---- Search ---- */

/* The entry comes in front of the target: for entries whose prefix ties with it. */
static bool
is_before_tied(const struct gy_memnode *node, const struct gy_memtarget *target)
{
    return gy_entry_compare(gy_memnode_key(node), node->tag, target->key, target->tag) < 0;
}

static inline bool
is_before(uint64_t prefix, const struct gy_memnode *node, const struct gy_memtarget *target)
{
    if (gy_likely(prefix != target->prefix)) {
        return prefix < target->prefix;
    }
    return is_before_tied(node, target);
}

/* The last slot in front of the target, when slots behind `at` begin with ties. */
static uint32_t
search_tied(const struct gy_memblock *block, struct gy_memnode *const *first,
            const struct gy_memtarget *target, uint32_t at)
{
    uint32_t end = block->count;

    while (end - at > 1) {
        const uint32_t middle = at + (end - at) / 2;

        if (block->prefix[middle - 1] == target->prefix && is_before_tied(first[middle], target)) {
            at = middle;
        } else {
            end = middle;
        }
    }
    return at;
}

/* The last slot in front of the target. Without branches until prefixes tie: their outcome would be
 * guessed wrong every other time. `first` are the entries that the slots begin with. */
static inline uint32_t
search_block(const struct gy_memblock *block, struct gy_memnode *const *first,
             const struct gy_memtarget *target)
{
    uint32_t at = 0;

#pragma GCC unroll 5
    for (uint32_t step = SLOTS / 2; step > 0; step /= 2) {
        at += block->prefix[at + step - 1] < target->prefix ? step : 0;
    }
    if (at + 1 < block->count && block->prefix[at] == target->prefix) {
        return search_tied(block, first, target, at);
    }
    return at;
}

static inline void
prefetch_block(const struct gy_memblock *block)
{
    const uint8_t *bytes = (const uint8_t *)block;

    for (uint32_t at = 0; at < sizeof(*block); at += CACHE_LINE) {
        __builtin_prefetch(bytes + at);
    }
}

static inline struct inner *
inner_of(struct gy_memblock *block)
{
    return (struct inner *)(void *)block;
}

/* The leaf and slot in front of the target. */
static inline struct gy_memblock *
descend(const struct gy_memtree *tree, const struct gy_memtarget *target, uint32_t *ret_slot)
{
    struct gy_memblock *block = tree->root;

    for (uint32_t level = tree->height; level > 0; level--) {
        block = block->u.child[search_block(block, inner_of(block)->first, target)];
        prefetch_block(block);
    }
    *ret_slot = search_block(block, block->u.entry, target);
    return block;
}

/* T3: from an entry in front of the target to the last one. */
static struct gy_memnode *
walk(struct gy_memnode *node, const struct gy_memtarget *target)
{
    while (node->next != NULL && is_before_tied(node->next, target)) {
        node = node->next;
    }
    return node;
}

struct gy_memnode *
gy_memtree_before(const struct gy_memtree *tree, struct gyre_slice key, uint64_t tag)
{
    const struct gy_memtarget target = target_of(tree, key, tag);
    struct gy_memnode *node = tree->front;

    if (tree->root != NULL) {
        uint32_t slot;
        const struct gy_memblock *leaf = descend(tree, &target, &slot);

        node = leaf->u.entry[slot];
    }
    return gy_unlikely(tree->partial) ? walk(node, &target) : node;
}

const struct gy_memnode *
gy_memtree_find(const struct gy_memtree *tree, struct gyre_slice key, uint64_t tag)
{
    const struct gy_memtarget target = target_of(tree, key, tag);
    const struct gy_memblock *leaf;
    const struct gy_memnode *node;
    uint32_t slot;

    if (gy_unlikely(tree->partial)) {
        node = gy_memtree_before(tree, key, tag)->next;
        return node != NULL && gy_key_compare(gy_memnode_key(node), key) == 0 ? node : NULL;
    }
    if (tree->root == NULL) {
        return NULL;
    }
    leaf = descend(tree, &target, &slot);
    if (slot + 1 < leaf->count) {
        if (leaf->prefix[slot] != target.prefix) {
            return NULL; /* most absent keys: no entry was touched */
        }
        node = leaf->u.entry[slot + 1];
    } else {
        node = leaf->u.entry[slot]->next;
    }
    if (node == NULL || node->key_size != key.size || memcmp(node + 1, key.data, key.size) != 0) {
        return NULL;
    }
    return node;
}

void
gy_memtree_fetch_ahead(const struct gy_memtree *tree, struct gy_memtrail *trail,
                       const struct gy_memnode *node)
{
    const struct gy_memblock *leaf = trail->leaf;
    uint32_t end;

    if (leaf != NULL && trail->slot + 1 < leaf->count && leaf->u.entry[trail->slot + 1] == node) {
        trail->slot++;
        end = trail->slot + AHEAD;
        if (end < leaf->count) {
            __builtin_prefetch(leaf->u.entry[end]);
        }
        return;
    }
    if (tree->root != NULL && node->tag > 0) {
        /* The place right behind the node has the node in front of it. */
        const struct gy_memtarget target = target_of(tree, gy_memnode_key(node), node->tag - 1);

        leaf = descend(tree, &target, &trail->slot);
        trail->leaf = leaf;
        end = (uint32_t)gy_min_u64(trail->slot + AHEAD + 1, leaf->count);
        for (uint32_t at = trail->slot + 1; at < end; at++) {
            __builtin_prefetch(leaf->u.entry[at]);
        }
    }
}

/* ---- Blocks ---- */

void
gy_memtree_init(struct gy_memtree *tree, struct gy_region *region)
{
    *tree = (struct gy_memtree){.region = region};
    tree->front = &tree->head;
    tree->tail = tree->front;
}

/* One add splits at most a block per level and puts a root on top; over many, a leaf serves 16 at
 * least, but for those that were nearly full before. */
bool
gy_memtree_prepare(struct gy_memtree *tree, uint32_t count)
{
    const uint64_t one = (tree->height + 2ull) * sizeof(struct inner);
    const uint64_t need = one + count / (SLOTS / 2) * sizeof(struct gy_memblock);
    uint64_t size;
    uint8_t *slab;

    if (gy_likely(need <= tree->slab_size)) {
        return true;
    }
    size = gy_max_u64(need, SLAB_SIZE);
    slab = gy_region_alloc(tree->region, (size_t)size + CACHE_LINE);
    if (slab == NULL) {
        return false;
    }
    tree->slab = slab + (CACHE_LINE - (uintptr_t)slab % CACHE_LINE) % CACHE_LINE;
    tree->slab_size = size;
    return true;
}

/* NULL: the slab is used up. It is not replaced here, where the region's rest is promised to
 * entries. */
static struct gy_memblock *
make_block(struct gy_memtree *tree, bool is_leaf)
{
    const size_t size = is_leaf ? sizeof(struct gy_memblock) : sizeof(struct inner);
    struct gy_memblock *block = (struct gy_memblock *)(void *)tree->slab;

    if (size > tree->slab_size) {
        return NULL;
    }
    tree->slab += size;
    tree->slab_size -= size;
    tree->block_bytes += size;
    memset(block, 0xff, offsetof(struct gy_memblock, u)); /* the prefixes */
    block->count = 0;
    return block;
}

/* Put a slot behind slot `at`. `to` is the entry itself in a leaf, a block in an inner one. */
static void
insert_slot(struct gy_memblock *block, uint32_t at, uint64_t prefix, struct gy_memnode *first,
            struct gy_memblock *child)
{
    const uint32_t behind = block->count - at - 1; /* slots that move up */

    gy_assert(block->count < SLOTS && at < block->count);
    memmove(&block->prefix[at + 1], &block->prefix[at], behind * sizeof(block->prefix[0]));
    memmove(&block->u.entry[at + 2], &block->u.entry[at + 1], behind * sizeof(void *));
    block->prefix[at] = prefix;
    if (child == NULL) {
        block->u.entry[at + 1] = first;
    } else {
        struct gy_memnode **firsts = inner_of(block)->first;

        memmove(&firsts[at + 2], &firsts[at + 1], behind * sizeof(void *));
        firsts[at + 1] = first;
        block->u.child[at + 1] = child;
    }
    block->count++;
}

/* Cut a full block before slot `cut` and hang the right part into `parent`, behind slot `at`.
 * False: no block to be had, nothing changed. */
static bool
split(struct gy_memtree *tree, struct gy_memblock *parent, uint32_t at, bool is_leaf, uint32_t cut)
{
    struct gy_memblock *left = parent->u.child[at];
    struct gy_memblock *right = make_block(tree, is_leaf);
    const uint32_t moved = left->count - cut;
    struct gy_memnode *first = is_leaf ? left->u.entry[cut] : inner_of(left)->first[cut];

    if (right == NULL) {
        return false;
    }
    gy_assert(cut > 0 && moved > 0);
    insert_slot(parent, at, left->prefix[cut - 1], first, right);
    memcpy(right->prefix, &left->prefix[cut], (moved - 1) * sizeof(left->prefix[0]));
    memcpy(right->u.entry, &left->u.entry[cut], moved * sizeof(void *));
    if (!is_leaf) {
        memcpy(inner_of(right)->first, &inner_of(left)->first[cut], moved * sizeof(void *));
    }
    memset(&left->prefix[cut - 1], 0xff, moved * sizeof(left->prefix[0]));
    left->count = cut;
    right->count = moved;
    if (left == tree->last) {
        tree->last = right;
    }
    return true;
}

/* ---- Add ---- */

static bool
raise_root(struct gy_memtree *tree)
{
    struct gy_memblock *root;

    gy_assert(tree->height < GY_MEMTREE_HEIGHT_MAX); /* 2^32 entries do not fit into memory */
    root = make_block(tree, false);
    if (root == NULL) {
        return false;
    }
    root->count = 1;
    root->u.child[0] = tree->root;
    inner_of(root)->first[0] = NULL;
    tree->root = root;
    tree->height++;
    return true;
}

static bool
plant(struct gy_memtree *tree)
{
    tree->root = make_block(tree, true);
    if (tree->root == NULL) {
        return false;
    }
    tree->root->count = 1;
    tree->root->u.entry[0] = tree->front;
    tree->last = tree->root;
    return true;
}

/* Down to the leaf for the target, splitting full blocks on the way, so that each parent has room
 * for the slot of its child's right part. Entries that come in order leave full blocks behind.
 * NULL: no block to be had. */
static struct gy_memblock *
descend_and_split(struct gy_memtree *tree, const struct gy_memtarget *target, bool is_behind_all,
                  uint32_t *ret_slot)
{
    const uint32_t cut = is_behind_all ? SLOTS - 1 : SLOTS / 2;
    struct gy_memblock *block;

    if (tree->root->count == SLOTS &&
        (!raise_root(tree) || !split(tree, tree->root, 0, tree->height == 1, cut))) {
        return NULL;
    }
    block = tree->root;
    for (uint32_t level = tree->height; level > 0; level--) {
        uint32_t at = search_block(block, inner_of(block)->first, target);
        struct gy_memblock *child = block->u.child[at];

        prefetch_block(child);
        if (child->count == SLOTS) {
            if (!split(tree, block, at, level == 1, cut)) {
                return NULL;
            }
            if (is_before(block->prefix[at], inner_of(block)->first[at + 1], target)) {
                child = block->u.child[at + 1];
            }
        }
        block = child;
    }
    *ret_slot = search_block(block, block->u.entry, target);
    return block;
}

/* Where the target belongs, with room for it in the leaf; NULL: only the list can take it. */
static struct gy_memblock *
find_room(struct gy_memtree *tree, struct gy_memtarget *target, uint32_t *ret_slot)
{
    bool is_behind_all;

    if (tree->root == NULL && !plant(tree)) {
        return NULL;
    }
    if (!tree->learned && tree->root->count == SLOTS) {
        learn_common(tree, tree->root);
        *target = target_of(tree, target->key, target->tag);
    }
    is_behind_all = tree->tail == tree->front || is_before(tree->tail_prefix, tree->tail, target);
    if (is_behind_all && tree->last->count < SLOTS) {
        *ret_slot = tree->last->count - 1;
        return tree->last;
    }
    return descend_and_split(tree, target, is_behind_all, ret_slot);
}

void
gy_memtree_add(struct gy_memtree *tree, struct gy_memnode *node, struct gyre_slice key,
               uint64_t tag, struct gyre_slice value)
{
    struct gy_memtarget target = target_of(tree, key, tag);
    uint32_t slot = 0;
    struct gy_memblock *leaf = find_room(tree, &target, &slot);
    struct gy_memnode *before;

    gy_assert(key.size <= UINT32_MAX && value.size <= UINT32_MAX);
    if (leaf == NULL) {
        tree->partial = true;
        before = gy_memtree_before(tree, key, tag);
    } else {
        before = leaf->u.entry[slot];
        before = gy_unlikely(tree->partial) ? walk(before, &target) : before;
    }
    /* Where the tree knows the next entry, the one in front need not be waited for: it is only
     * written. */
    node->next = leaf != NULL && !tree->partial && slot + 1 < leaf->count ? leaf->u.entry[slot + 1]
                                                                          : before->next;
    node->tag = tag;
    node->key_size = (uint32_t)key.size;
    node->value_size = (uint32_t)value.size;
    memcpy(node + 1, key.data, key.size);
    if (value.size > 0) {
        memcpy((uint8_t *)(node + 1) + key.size, value.data, value.size);
    }
    gy_assert_slow(node->next == NULL || !is_before_tied(node->next, &target));
    before->next = node;
    if (leaf != NULL) {
        insert_slot(leaf, slot, target.prefix, node, NULL);
    }
    if (node->next == NULL) {
        tree->tail = node;
        tree->tail_prefix = target.prefix;
    }
}
