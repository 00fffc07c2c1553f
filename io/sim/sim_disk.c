/* sim_disk.c - the simulated disk as a whole: inodes and their sharing, requests in flight,
 * locks. Bytes are in sim_file.c, names in sim_fs.c, staging memory in sim_stage.c, crashes in
 * sim_crash.c. */
#include <errno.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/sim/sim_state.h"

#define FREE_BYTES_UNLIMITED (1ull << 40)

/* ---- Inodes ---- */

void
gy_sim_inode_put(struct gy_heap *heap, struct gy_sim_inode *inode)
{
    gy_assert(inode->refs > 0);
    inode->refs--;
    if (inode->refs > 0) {
        return;
    }
    gy_sim_file_drop_pending(heap, inode);
    gy_sim_map_free(heap, &inode->now);
    gy_sim_map_free(heap, &inode->durable);
    gy_sim_map_free(heap, &inode->previous);
    gy_heap_free(heap, inode->versions);
    gy_heap_free(heap, inode->sizes);
    gy_heap_free(heap, inode->entries.items);
    gy_heap_free(heap, inode->entries_durable.items);
    gy_heap_free(heap, inode->nsops);
    gy_heap_free(heap, inode);
}

static void *
copy_items(struct gy_heap *heap, const void *items, uint32_t count, size_t item_size)
{
    void *copy;

    if (count == 0) {
        return NULL;
    }
    copy = gy_sim_zalloc(heap, count * item_size);
    memcpy(copy, items, count * item_size);
    return copy;
}

static struct gy_sim_inode *
inode_copy(struct gy_heap *heap, const struct gy_sim_inode *source)
{
    struct gy_sim_inode *inode = gy_sim_zalloc(heap, sizeof(*inode));

    *inode = *source;
    inode->refs = 1;
    gy_sim_map_copy(heap, &inode->now, &source->now);
    gy_sim_map_copy(heap, &inode->durable, &source->durable);
    gy_sim_map_copy(heap, &inode->previous, &source->previous);
    inode->versions =
        copy_items(heap, source->versions, source->version_count, sizeof(*source->versions));
    inode->version_capacity = source->version_count;
    for (uint32_t i = 0; i < inode->version_count; i++) {
        (void)gy_sim_page_get(inode->versions[i].page); /* the reference of the copy */
    }
    inode->sizes = copy_items(heap, source->sizes, source->size_count, sizeof(*source->sizes));
    inode->size_capacity = source->size_count;
    inode->nsops = copy_items(heap, source->nsops, source->nsop_count, sizeof(*source->nsops));
    inode->nsop_capacity = source->nsop_count;
    inode->entries = (struct gy_sim_entries){.items = NULL};
    inode->entries_durable = (struct gy_sim_entries){.items = NULL};
    gy_sim_fs_copy_entries(heap, &inode->entries, &source->entries);
    gy_sim_fs_copy_entries(heap, &inode->entries_durable, &source->entries_durable);
    return inode;
}

const struct gy_sim_inode *
gy_sim_disk_inode(const struct gy_sim_disk *disk, uint32_t ino)
{
    gy_assert(ino < disk->node_count);
    gy_assert(disk->nodes[ino].inode != NULL);
    return disk->nodes[ino].inode;
}

struct gy_sim_inode *
gy_sim_disk_edit(struct gy_sim_disk *disk, uint32_t ino)
{
    struct gy_sim_inode *inode;

    gy_assert(ino < disk->node_count);
    inode = disk->nodes[ino].inode;
    gy_assert(inode != NULL);
    if (inode->refs > 1) {
        disk->nodes[ino].inode = inode_copy(disk->heap, inode);
        gy_sim_inode_put(disk->heap, inode);
    }
    return disk->nodes[ino].inode;
}

/* Programs can still reach it: it takes space. */
static bool
node_is_live(const struct gy_sim_node *node)
{
    return node->inode != NULL && (node->inode->link_count > 0 || node->open_count > 0);
}

uint32_t
gy_sim_disk_inode_make(struct gy_sim_disk *disk, bool is_dir, uint32_t parent)
{
    struct gy_sim_inode *inode;
    uint32_t live_count = 0;
    uint32_t ino = UINT32_MAX;

    for (uint32_t i = 0; i < disk->node_count; i++) {
        live_count += node_is_live(&disk->nodes[i]) ? 1 : 0;
        if (disk->nodes[i].inode == NULL && ino == UINT32_MAX) {
            ino = i;
        }
    }
    if (disk->config.inode_count_max != 0 && live_count >= disk->config.inode_count_max) {
        return UINT32_MAX;
    }
    if (ino == UINT32_MAX) {
        ino = disk->node_count;
        disk->nodes = gy_sim_grow(disk->heap, disk->nodes, &disk->node_capacity, ino + 1,
                                  sizeof(*disk->nodes));
        disk->node_count = ino + 1;
    }
    inode = gy_sim_zalloc(disk->heap, sizeof(*inode));
    inode->refs = 1;
    inode->is_dir = is_dir;
    inode->parent = parent;
    disk->nodes[ino] = (struct gy_sim_node){.inode = inode};
    return ino;
}

uint64_t
gy_sim_disk_used_bytes(const struct gy_sim_disk *disk)
{
    uint64_t pages = 0;

    for (uint32_t i = 0; i < disk->node_count; i++) {
        if (node_is_live(&disk->nodes[i])) {
            pages += disk->nodes[i].inode->now.allocated_count;
        }
    }
    return pages * GY_PAGE;
}

uint64_t
gy_sim_disk_free_bytes(const struct gy_sim_disk *disk)
{
    const uint64_t capacity =
        disk->config.capacity != 0 ? disk->config.capacity : FREE_BYTES_UNLIMITED;

    return gy_align_down(gy_sub_sat(capacity, gy_sim_disk_used_bytes(disk)), GY_PAGE);
}

int32_t
gy_sim_disk_full_error(const struct gy_sim_disk *disk)
{
    return disk->config.is_quota ? -EDQUOT : -ENOSPC;
}

void
gy_sim_disk_set_capacity(struct gy_sim_disk *disk, uint64_t capacity)
{
    disk->config.capacity = capacity;
}

/* ---- Open files and locks ---- */

void
gy_sim_disk_open_slot(struct gy_sim_disk *disk, uint32_t ino)
{
    gy_assert(disk->nodes[ino].inode != NULL);
    disk->nodes[ino].open_count++;
}

void
gy_sim_disk_close_slot(struct gy_sim_disk *disk, uint32_t ino, uint64_t lock_owner)
{
    struct gy_sim_node *node = &disk->nodes[ino];

    gy_assert(node->open_count > 0);
    node->open_count--;
    if (node->lock_owner == lock_owner) {
        node->lock_owner = 0;
    }
    if (!node_is_live(node)) {
        gy_sim_fs_collect(disk);
    }
}

int
gy_sim_disk_lock(struct gy_sim_disk *disk, uint32_t ino, uint64_t owner)
{
    struct gy_sim_node *node = &disk->nodes[ino];

    gy_assert(owner != 0);
    if ((node->lock_owner != 0 && node->lock_owner != owner) || node->shared_count != 0) {
        return -EWOULDBLOCK;
    }
    node->lock_owner = owner;
    return 0;
}

int
gy_sim_disk_lock_shared(struct gy_sim_disk *disk, uint32_t ino)
{
    struct gy_sim_node *node = &disk->nodes[ino];

    if (node->lock_owner != 0) {
        return -EWOULDBLOCK;
    }
    node->shared_count++;
    return 0;
}

void
gy_sim_disk_unlock_shared(struct gy_sim_disk *disk, uint32_t ino)
{
    gy_assert(disk->nodes[ino].shared_count > 0);
    disk->nodes[ino].shared_count--;
}

/* ---- Requests in flight ---- */

struct gy_sim_op *
gy_sim_op_begin(struct gy_sim_disk *disk, const struct gy_sim_op *wanted, const void *data)
{
    struct gy_sim_op *op = gy_sim_zalloc(disk->heap, sizeof(*op));

    *op = *wanted;
    disk->seq++;
    op->seq = disk->seq;
    if (op->op == GY_OP_WRITE && op->size > 0) {
        op->data = gy_sim_blob_make(disk->heap, data, op->size);
    }
    gy_list_push_back(&disk->in_flight, &op->link);
    return op;
}

int32_t
gy_sim_op_apply(struct gy_sim_disk *disk, const struct gy_sim_op *op)
{
    switch (op->op) {
    case GY_OP_WRITE:
        return gy_sim_file_write(disk, op->ino, op->offset, op->size, op->data,
                                 (op->flags & GY_IO_DSYNC) != 0);
    case GY_OP_SYNC:
        gy_sim_journal_sync(disk, op->ino,
                            op->seq); /* while it still has what is about this file */
        if (gy_sim_disk_inode(disk, op->ino)->is_dir) {
            gy_sim_fs_sync(disk, op->ino, op->seq);
        } else {
            gy_sim_file_sync(disk, op->ino, op->seq);
        }
        return 0;
    case GY_OP_ALLOCATE:
        return gy_sim_file_allocate(disk, op->ino, op->offset);
    case GY_OP_TRUNCATE:
        return gy_sim_file_truncate(disk, op->ino, op->offset);
    case GY_OP_OPEN:
    case GY_OP_MKDIR:
    case GY_OP_LINK:
    case GY_OP_UNLINK:
    case GY_OP_RENAME:
        return gy_sim_fs_apply(disk, op);
    default:
        return 0; /* changes nothing on the disk */
    }
}

void
gy_sim_op_end(struct gy_sim_disk *disk, struct gy_sim_op *op)
{
    gy_list_remove(&op->link);
    gy_sim_blob_put(disk->heap, op->data);
    gy_heap_free(disk->heap, op);
}

/* ---- The whole ---- */

struct gy_sim_disk *
gy_sim_disk_make(const struct gy_sim_disk_config *config, struct gy_heap *heap)
{
    struct gy_sim_disk *disk = gy_sim_zalloc(heap, sizeof(*disk));
    uint32_t root;

    disk->heap = heap;
    if (config != NULL) {
        disk->config = *config;
    }
    if (disk->config.sector_size == 0) {
        disk->config.sector_size = GY_SIM_SECTOR;
    }
    gy_assert(disk->config.sector_size == GY_SIM_SECTOR || disk->config.sector_size == GY_PAGE);
    disk->pages = disk->config.pages != NULL ? gy_sim_pages_get(disk->config.pages)
                                             : gy_sim_pages_make(heap, -1);
    gy_list_init(&disk->in_flight);
    root = gy_sim_disk_inode_make(disk, true, GY_SIM_ROOT);
    gy_assert(root == GY_SIM_ROOT);
    disk->nodes[root].inode->link_count = 1;
    return disk;
}

void
gy_sim_disk_forget_in_flight(struct gy_sim_disk *disk)
{
    gy_assert(disk->worlds_open == 0);
    while (!gy_list_is_empty(&disk->in_flight)) {
        gy_sim_op_end(disk, gy_container_of(disk->in_flight.next, struct gy_sim_op, link));
    }
}

void
gy_sim_disk_free(struct gy_sim_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    gy_sim_disk_forget_in_flight(disk);
    for (uint32_t i = 0; i < disk->node_count; i++) {
        if (disk->nodes[i].inode != NULL) {
            gy_sim_inode_put(disk->heap, disk->nodes[i].inode);
        }
    }
    gy_sim_stage_drop_all(disk);
    gy_heap_free(disk->heap, disk->blocks);
    gy_sim_pages_put(disk->pages);
    gy_heap_free(disk->heap, disk->nodes);
    gy_heap_free(disk->heap, disk);
}

struct gy_sim_disk *
gy_sim_disk_copy(const struct gy_sim_disk *disk, bool with_stage)
{
    struct gy_sim_disk *copy = gy_sim_zalloc(disk->heap, sizeof(*copy));

    *copy = (struct gy_sim_disk){.heap = disk->heap,
                                 .pages = gy_sim_pages_get(disk->pages),
                                 .config = disk->config,
                                 .seq = disk->seq,
                                 .boot_count = disk->boot_count,
                                 .node_count = disk->node_count,
                                 .node_capacity = disk->node_count};
    gy_list_init(&copy->in_flight);
    copy->nodes = gy_sim_zalloc(disk->heap, disk->node_count * sizeof(*copy->nodes));
    for (uint32_t i = 0; i < disk->node_count; i++) {
        copy->nodes[i].inode = disk->nodes[i].inode; /* neither open nor locked */
        if (copy->nodes[i].inode != NULL) {
            copy->nodes[i].inode->refs++;
        }
    }
    gy_list_for_each (node, &disk->in_flight) {
        const struct gy_sim_op *source = gy_container_of(node, struct gy_sim_op, link);
        struct gy_sim_op *op = gy_sim_zalloc(disk->heap, sizeof(*op));

        *op = *source;
        op->data = gy_sim_blob_get(source->data);
        gy_list_push_back(&copy->in_flight, &op->link);
    }
    if (with_stage) {
        gy_sim_stage_copy_all(copy, disk);
    }
    return copy;
}

struct gy_sim_disk *
gy_sim_disk_clone(const struct gy_sim_disk *disk)
{
    return gy_sim_disk_copy(disk, true);
}
