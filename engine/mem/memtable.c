/* memtable.c - a tree of entries, the region that they lie in, and a count of who holds it. */
#include "engine/mem/memtable.h"

#include "engine/codec/footer.h"
#include "io/base/assert.h"
#include "io/base/bits.h"

#include "io/base/ban.h"

#define STEPS_ALONE 3u /* shorter walks are not worth a search for what lies ahead */

struct gy_memtable {
    struct gy_memtree tree;
    struct gy_region region;
    struct gy_heap *heap;
    uint64_t used; /* bytes of entries */
    uint64_t count;
    uint64_t sequence_first;
    uint64_t sequence_last;
    uint64_t content_hash;
    uint32_t references;
    bool frozen;
};

struct gy_memtable *
gy_memtable_make(struct gy_heap *heap, struct gy_region_pool *pool, uint64_t random_seed)
{
    struct gy_memtable *memtable = gy_heap_zalloc(heap, sizeof(*memtable), GY_MEM_MEMTABLE);

    (void)random_seed;
    if (memtable == NULL && gy_region_pool_shrink(pool)) { /* R2 */
        memtable = gy_heap_zalloc(heap, sizeof(*memtable), GY_MEM_MEMTABLE);
    }
    if (memtable == NULL) {
        return NULL;
    }
    gy_region_init(&memtable->region, pool);
    gy_memtree_init(&memtable->tree, &memtable->region);
    memtable->heap = heap;
    memtable->references = 1;
    return memtable;
}

void
gy_memtable_ref(struct gy_memtable *memtable)
{
    gy_assert(memtable->references > 0 && memtable->references < UINT32_MAX);
    memtable->references++;
}

void
gy_memtable_unref(struct gy_memtable *memtable)
{
    if (memtable == NULL) {
        return;
    }
    gy_assert(memtable->references > 0);
    memtable->references--;
    if (memtable->references == 0) {
        gy_region_fini(&memtable->region);
        gy_heap_free(memtable->heap, memtable);
    }
}

/* ---- Add ---- */

bool
gy_memtable_reserve(struct gy_memtable *memtable, uint64_t key_and_value_bytes, uint32_t count)
{
    const uint64_t overhead = (sizeof(struct gy_memnode) + 7ull) * count;

    if (key_and_value_bytes > SIZE_MAX / 2 - overhead) {
        return false;
    }
    return gy_memtree_prepare(&memtable->tree, count) &&
           gy_region_reserve(&memtable->region, (size_t)(overhead + key_and_value_bytes));
}

static void
note_sequence(struct gy_memtable *memtable, uint64_t sequence)
{
    if (memtable->count == 0) {
        memtable->sequence_first = sequence;
        memtable->sequence_last = sequence;
    }
    memtable->sequence_first = gy_min_u64(memtable->sequence_first, sequence);
    memtable->sequence_last = gy_max_u64(memtable->sequence_last, sequence);
}

void
gy_memtable_add(struct gy_memtable *memtable, struct gyre_slice key, uint64_t tag,
                struct gyre_slice value)
{
    const uint64_t size = gy_memnode_size(key.size + value.size);
    struct gy_memnode *node = gy_region_alloc(&memtable->region, (size_t)size);

    gy_assert(!memtable->frozen); /* M4 */
    gy_assert(node != NULL);      /* M5: it was reserved */
    gy_memtree_add(&memtable->tree, node, key, tag, value);
    note_sequence(memtable, gy_tag_sequence(tag));
    /* of what the caller has, not of what was stored */
    memtable->content_hash +=
        gy_entry_hash(&(struct gy_entry){.key = key, .tag = tag, .value = value});
    memtable->used += size;
    memtable->count++;
}

/* ---- Find ---- */

static struct gy_entry
entry_of(const struct gy_memnode *node)
{
    return (struct gy_entry){
        .key = gy_memnode_key(node), .tag = node->tag, .value = gy_memnode_value(node)};
}

bool
gy_memtable_get(const struct gy_memtable *memtable, struct gyre_slice key, uint64_t sequence,
                struct gy_entry *ret_entry)
{
    const struct gy_memnode *node = gy_memtree_find(&memtable->tree, key, gy_tag_seek(sequence));

    if (node == NULL) {
        return false;
    }
    gy_assert_slow(gy_tag_sequence(node->tag) <= sequence);
    *ret_entry = entry_of(node);
    return true;
}

/* ---- State ---- */

void
gy_memtable_freeze(struct gy_memtable *memtable)
{
    memtable->frozen = true;
}

bool
gy_memtable_is_frozen(const struct gy_memtable *memtable)
{
    return memtable->frozen;
}

uint64_t
gy_memtable_bytes(const struct gy_memtable *memtable)
{
    return memtable->region.bytes;
}

uint64_t
gy_memtable_used(const struct gy_memtable *memtable)
{
    return memtable->used + memtable->tree.block_bytes;
}

uint64_t
gy_memtable_count(const struct gy_memtable *memtable)
{
    return memtable->count;
}

uint64_t
gy_memtable_content_hash(const struct gy_memtable *memtable)
{
    return memtable->content_hash;
}

uint64_t
gy_memtable_sequence_first(const struct gy_memtable *memtable)
{
    return memtable->sequence_first;
}

uint64_t
gy_memtable_sequence_last(const struct gy_memtable *memtable)
{
    return memtable->sequence_last;
}

/* ---- Walk ---- */

/* Stand on `node`, or nowhere when it is the front of the tree. */
static void
stand_on(struct gy_memtable_iter *iter, struct gy_memnode *node)
{
    iter->node = node == iter->memtable->tree.front ? NULL : node;
    iter->steps = 0;
}

void
gy_memtable_iter_init(struct gy_memtable_iter *iter, const struct gy_memtable *memtable)
{
    *iter = (struct gy_memtable_iter){.memtable = memtable};
}

void
gy_memtable_iter_first(struct gy_memtable_iter *iter)
{
    stand_on(iter, iter->memtable->tree.front->next);
}

void
gy_memtable_iter_last(struct gy_memtable_iter *iter)
{
    stand_on(iter, iter->memtable->tree.tail);
}

void
gy_memtable_iter_seek(struct gy_memtable_iter *iter, struct gyre_slice key, uint64_t tag)
{
    stand_on(iter, gy_memtree_before(&iter->memtable->tree, key, tag)->next);
}

void
gy_memtable_iter_seek_before(struct gy_memtable_iter *iter, struct gyre_slice key, uint64_t tag)
{
    stand_on(iter, gy_memtree_before(&iter->memtable->tree, key, tag));
}

void
gy_memtable_iter_next(struct gy_memtable_iter *iter)
{
    gy_assert(iter->node != NULL);
    iter->node = iter->node->next;
    iter->steps++;
    if (iter->node != NULL && iter->steps > STEPS_ALONE) {
        gy_memtree_fetch_ahead(&iter->memtable->tree, &iter->trail, iter->node);
    }
}

/* Entries have no links back: a search for the one in front costs less than 8 bytes in each of
 * them. */
void
gy_memtable_iter_prev(struct gy_memtable_iter *iter)
{
    gy_assert(iter->node != NULL);
    gy_memtable_iter_seek_before(iter, gy_memnode_key(iter->node), iter->node->tag);
}

bool
gy_memtable_iter_is_valid(const struct gy_memtable_iter *iter)
{
    return iter->node != NULL;
}

struct gy_entry
gy_memtable_iter_entry(const struct gy_memtable_iter *iter)
{
    gy_assert(iter->node != NULL);
    return entry_of(iter->node);
}
