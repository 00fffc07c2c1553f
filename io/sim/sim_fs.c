/* sim_fs.c - names of the simulated disk: what programs see, what a directory sync keeps.
 *
 * The list of names after a crash is the durable list with some of the pending changes played on it
 * in order; a change that does not fit (a rename whose source never came to be) is left out. So
 * every outcome is one that some set of surviving changes explains, and a rename is never half
 * done.
 */
#include <errno.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/sim/sim_state.h"

/* Position of `name`, or where it would go. */
static uint32_t
entries_position(const struct gy_sim_entries *entries, const char *name, bool *ret_found)
{
    uint32_t low = 0;
    uint32_t high = entries->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = strcmp(entries->items[middle].name, name);

        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_found = false;
    return low;
}

const struct gy_sim_entry *
gy_sim_fs_entry(const struct gy_sim_entries *entries, const char *name)
{
    bool found;
    const uint32_t position = entries_position(entries, name, &found);

    return found ? &entries->items[position] : NULL;
}

static void
entries_insert(struct gy_heap *heap, struct gy_sim_entries *entries, const char *name, uint32_t ino,
               bool is_dir)
{
    bool found;
    const uint32_t position = entries_position(entries, name, &found);
    struct gy_sim_entry *entry;

    gy_assert(!found);
    entries->items = gy_sim_grow(heap, entries->items, &entries->capacity, entries->count + 1,
                                 sizeof(*entries->items));
    entry = &entries->items[position];
    memmove(entry + 1, entry, (entries->count - position) * sizeof(*entry));
    entries->count++;
    *entry = (struct gy_sim_entry){.ino = ino, .is_dir = is_dir};
    memcpy(entry->name, name, strlen(name) + 1);
}

static void
entries_remove(struct gy_sim_entries *entries, const char *name)
{
    bool found;
    const uint32_t position = entries_position(entries, name, &found);
    struct gy_sim_entry *entry = &entries->items[position];

    gy_assert(found);
    entries->count--;
    memmove(entry, entry + 1, (entries->count - position) * sizeof(*entry));
}

void
gy_sim_fs_copy_entries(struct gy_heap *heap, struct gy_sim_entries *target,
                       const struct gy_sim_entries *source)
{
    target->items =
        gy_sim_grow(heap, target->items, &target->capacity, source->count, sizeof(*target->items));
    if (source->count > 0) {
        memcpy(target->items, source->items, source->count * sizeof(*source->items));
    }
    target->count = source->count;
}

bool
gy_sim_fs_play(struct gy_heap *heap, struct gy_sim_entries *entries, const struct gy_sim_nsop *nsop)
{
    const struct gy_sim_entry *entry = gy_sim_fs_entry(entries, nsop->name);

    if (nsop->op == GY_OP_UNLINK || nsop->op == GY_OP_RENAME) {
        if (entry == NULL || entry->ino != nsop->ino) {
            return false;
        }
        entries_remove(entries, nsop->name);
        if (nsop->op == GY_OP_UNLINK) {
            return true;
        }
        if (gy_sim_fs_entry(entries, nsop->name_new) != NULL) {
            entries_remove(entries, nsop->name_new);
        }
        entries_insert(heap, entries, nsop->name_new, nsop->ino, nsop->is_dir);
        return true;
    }
    if (entry != NULL) {
        return false;
    }
    entries_insert(heap, entries, nsop->name, nsop->ino, nsop->is_dir);
    return true;
}

int64_t
gy_sim_fs_lookup(const struct gy_sim_disk *disk, uint32_t dir, const char *name)
{
    const struct gy_sim_inode *inode = gy_sim_disk_inode(disk, dir);
    const struct gy_sim_entry *entry;

    if (!inode->is_dir) {
        return -ENOTDIR;
    }
    if (name[0] == '\0' || strcmp(name, ".") == 0) {
        return dir;
    }
    if (strcmp(name, "..") == 0) {
        return inode->parent;
    }
    entry = gy_sim_fs_entry(&inode->entries, name);
    return entry != NULL ? (int64_t)entry->ino : -ENOENT;
}

int
gy_sim_fs_resolve(const struct gy_sim_disk *disk, uint32_t dir, const char *path, uint32_t *ret_dir,
                  char ret_name[GY_SIM_NAME_SIZE])
{
    char name[GY_SIM_NAME_SIZE] = "";

    while (*path != '\0') {
        const size_t length = strcspn(path, "/");
        int64_t ino;

        if (length == 0) {
            path++;
            continue;
        }
        if (length >= GY_SIM_NAME_SIZE) {
            return -ENAMETOOLONG;
        }
        ino = gy_sim_fs_lookup(disk, dir, name); /* the component before this one */
        if (ino < 0) {
            return (int)ino;
        }
        dir = (uint32_t)ino;
        if (!gy_sim_disk_inode(disk, dir)->is_dir) {
            return -ENOTDIR;
        }
        memcpy(name, path, length);
        name[length] = '\0';
        path += length;
    }
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        dir = (uint32_t)gy_sim_fs_lookup(disk, dir, name);
        name[0] = '\0';
    }
    *ret_dir = dir;
    memcpy(ret_name, name, sizeof(name));
    return 0;
}

int64_t
gy_sim_fs_find(const struct gy_sim_disk *disk, const char *path)
{
    char name[GY_SIM_NAME_SIZE];
    uint32_t dir;
    const int result = gy_sim_fs_resolve(disk, GY_SIM_ROOT, path, &dir, name);

    return result < 0 ? result : gy_sim_fs_lookup(disk, dir, name);
}

/* Change what programs see and remember it as pending. */
static void
change(struct gy_sim_disk *disk, uint32_t dir, struct gy_sim_nsop *nsop)
{
    struct gy_sim_inode *inode = gy_sim_disk_edit(disk, dir);
    bool fits;

    disk->seq++;
    nsop->seq = disk->seq;
    fits = gy_sim_fs_play(disk->heap, &inode->entries, nsop);
    gy_assert(fits);
    inode->nsops = gy_sim_grow(disk->heap, inode->nsops, &inode->nsop_capacity,
                               inode->nsop_count + 1, sizeof(*inode->nsops));
    inode->nsops[inode->nsop_count] = *nsop;
    inode->nsop_count++;
}

static void
nsop_init(struct gy_sim_nsop *nsop, const struct gy_sim_op *op, uint32_t ino, bool is_dir)
{
    *nsop = (struct gy_sim_nsop){.op = op->op, .ino = ino, .is_dir = is_dir};
    memcpy(nsop->name, op->name, sizeof(nsop->name));
    memcpy(nsop->name_new, op->name_new, sizeof(nsop->name_new));
}

/* OPEN that finds nothing, and MKDIR. */
static int32_t
create(struct gy_sim_disk *disk, const struct gy_sim_op *op, bool is_dir)
{
    struct gy_sim_nsop nsop;
    const uint32_t ino = gy_sim_disk_inode_make(disk, is_dir, op->ino);

    if (ino == UINT32_MAX) {
        return gy_sim_disk_full_error(disk);
    }
    gy_sim_disk_edit(disk, ino)->link_count = 1;
    nsop_init(&nsop, op, ino, is_dir);
    change(disk, op->ino, &nsop);
    return (int32_t)ino;
}

static int32_t
open_name(struct gy_sim_disk *disk, const struct gy_sim_op *op)
{
    const int64_t found = gy_sim_fs_lookup(disk, op->ino, op->name);
    bool is_dir;

    if (found == -ENOENT && (op->flags & GY_OPEN_CREATE) != 0) {
        return (op->flags & GY_OPEN_DIRECTORY) != 0 ? -EINVAL : create(disk, op, false);
    }
    if (found < 0) {
        return (int32_t)found;
    }
    if ((op->flags & GY_OPEN_CREATE) != 0 && (op->flags & GY_OPEN_EXCLUSIVE) != 0) {
        return -EEXIST;
    }
    is_dir = gy_sim_disk_inode(disk, (uint32_t)found)->is_dir;
    if (is_dir && (op->flags & GY_OPEN_DIRECTORY) == 0) {
        return -EISDIR;
    }
    if (!is_dir && (op->flags & GY_OPEN_DIRECTORY) != 0) {
        return -ENOTDIR;
    }
    if ((op->flags & GY_OPEN_SINGLE) != 0 &&
        gy_sim_disk_inode(disk, (uint32_t)found)->link_count > 1) {
        return -EMLINK;
    }
    return (int32_t)found;
}

static int32_t
link_name(struct gy_sim_disk *disk, const struct gy_sim_op *op, uint32_t ino)
{
    struct gy_sim_nsop nsop;
    const int64_t target = gy_sim_fs_lookup(disk, op->ino_new, op->name_new);

    if (target != -ENOENT) {
        return target < 0 ? (int32_t)target : -EEXIST;
    }
    nsop_init(&nsop, op, ino, false);
    memcpy(nsop.name, op->name_new, sizeof(nsop.name));
    gy_sim_disk_edit(disk, ino)->link_count++;
    change(disk, op->ino_new, &nsop);
    return 0;
}

static int32_t
rename_name(struct gy_sim_disk *disk, const struct gy_sim_op *op, uint32_t ino)
{
    struct gy_sim_nsop nsop;
    const bool is_dir = gy_sim_disk_inode(disk, ino)->is_dir;
    const int64_t target = gy_sim_fs_lookup(disk, op->ino, op->name_new);

    if (target == (int64_t)ino) {
        return 0; /* two links of one file, or one name: POSIX does nothing */
    }
    if (target >= 0) {
        if (is_dir || gy_sim_disk_inode(disk, (uint32_t)target)->is_dir) {
            return is_dir ? -ENOTDIR : -EISDIR;
        }
        gy_sim_disk_edit(disk, (uint32_t)target)->link_count--;
    }
    nsop_init(&nsop, op, ino, is_dir);
    nsop.is_replacing = target >= 0;
    change(disk, op->ino, &nsop);
    return 0;
}

static int32_t
remove_dir(struct gy_sim_disk *disk, const struct gy_sim_op *op, uint32_t ino)
{
    const struct gy_sim_inode *inode = gy_sim_disk_inode(disk, ino);
    struct gy_sim_nsop nsop;

    if (!inode->is_dir) {
        return -ENOTDIR;
    }
    if (inode->entries.count > 0) {
        return -ENOTEMPTY;
    }
    nsop_init(&nsop, op, ino, true);
    gy_sim_disk_edit(disk, ino)->link_count--;
    change(disk, op->ino, &nsop);
    return 0;
}

int32_t
gy_sim_fs_apply(struct gy_sim_disk *disk, const struct gy_sim_op *op)
{
    struct gy_sim_nsop nsop;
    int64_t found;

    if (op->op == GY_OP_OPEN) {
        return open_name(disk, op);
    }
    found = gy_sim_fs_lookup(disk, op->ino, op->name);
    if (op->op == GY_OP_MKDIR) {
        if (found == -ENOENT) {
            const int32_t made = create(disk, op, true);

            return made < 0 ? made : 0;
        }
        return found < 0 ? (int32_t)found : -EEXIST;
    }
    if (found < 0) {
        return (int32_t)found;
    }
    if (op->name[0] == '\0' || strcmp(op->name, ".") == 0 || strcmp(op->name, "..") == 0) {
        return -EBUSY;
    }
    if (op->op == GY_OP_RENAME) {
        return rename_name(disk, op, (uint32_t)found);
    }
    if (op->op == GY_OP_UNLINK && (op->flags & GY_UNLINK_DIRECTORY) != 0) {
        return remove_dir(disk, op, (uint32_t)found);
    }
    if (gy_sim_disk_inode(disk, (uint32_t)found)->is_dir) {
        return op->op == GY_OP_LINK ? -EPERM : -EISDIR;
    }
    if (op->op == GY_OP_LINK) {
        return link_name(disk, op, (uint32_t)found);
    }
    gy_assert(op->op == GY_OP_UNLINK);
    nsop_init(&nsop, op, (uint32_t)found, false);
    gy_sim_disk_edit(disk, (uint32_t)found)->link_count--;
    change(disk, op->ino, &nsop);
    return 0;
}

void
gy_sim_fs_commit(struct gy_sim_disk *disk, uint32_t dir, uint64_t seq)
{
    struct gy_sim_inode *inode;
    uint32_t covered = 0;

    if (gy_sim_disk_inode(disk, dir)->nsop_count == 0) {
        return;
    }
    inode = gy_sim_disk_edit(disk, dir);
    while (covered < inode->nsop_count && inode->nsops[covered].seq < seq) {
        const bool fits =
            gy_sim_fs_play(disk->heap, &inode->entries_durable, &inode->nsops[covered]);

        gy_assert(fits); /* I1: all that came before it is there */
        covered++;
    }
    inode->nsop_count -= covered;
    memmove(inode->nsops, inode->nsops + covered, inode->nsop_count * sizeof(*inode->nsops));
}

void
gy_sim_fs_sync(struct gy_sim_disk *disk, uint32_t dir, uint64_t seq)
{
    if (gy_sim_disk_inode(disk, dir)->nsop_count > 0) {
        gy_sim_fs_commit(disk, dir, seq);
        gy_sim_fs_collect(disk);
    }
}

/* Inodes in use, and the directories among them whose names are still to be followed. */
struct marks {
    uint8_t *marked;
    uint32_t *work;
    uint32_t work_count;
};

static void
mark(const struct gy_sim_disk *disk, struct marks *marks, uint32_t ino)
{
    if (marks->marked[ino] || disk->nodes[ino].inode == NULL) {
        return;
    }
    marks->marked[ino] = 1;
    if (disk->nodes[ino].inode->is_dir) {
        marks->work[marks->work_count] = ino;
        marks->work_count++;
    }
}

/* All that a directory's names refer to, seen, durable or pending. */
static void
mark_names(const struct gy_sim_disk *disk, struct marks *marks, const struct gy_sim_inode *dir)
{
    for (uint32_t i = 0; i < dir->entries.count; i++) {
        mark(disk, marks, dir->entries.items[i].ino);
    }
    for (uint32_t i = 0; i < dir->entries_durable.count; i++) {
        mark(disk, marks, dir->entries_durable.items[i].ino);
    }
    for (uint32_t i = 0; i < dir->nsop_count; i++) {
        mark(disk, marks, dir->nsops[i].ino);
    }
}

void
gy_sim_fs_collect(struct gy_sim_disk *disk)
{
    struct marks marks = {.work_count = 0};

    marks.marked = gy_sim_zalloc(disk->heap, disk->node_count);
    marks.work = gy_sim_zalloc(disk->heap, disk->node_count * sizeof(*marks.work));
    mark(disk, &marks, GY_SIM_ROOT);
    gy_list_for_each (node, &disk->in_flight) {
        const struct gy_sim_op *op = gy_container_of(node, struct gy_sim_op, link);

        mark(disk, &marks, op->ino);
        mark(disk, &marks, op->ino_new);
    }
    for (uint32_t i = 0; i < disk->node_count; i++) {
        if (disk->nodes[i].open_count > 0) {
            mark(disk, &marks, i);
        }
    }
    while (marks.work_count > 0) {
        marks.work_count--;
        mark_names(disk, &marks, disk->nodes[marks.work[marks.work_count]].inode);
    }
    for (uint32_t i = 0; i < disk->node_count; i++) {
        if (!marks.marked[i] && disk->nodes[i].inode != NULL) {
            gy_assert(disk->nodes[i].lock_owner == 0);
            gy_sim_inode_put(disk->heap, disk->nodes[i].inode);
            disk->nodes[i].inode = NULL;
        }
    }
    gy_heap_free(disk->heap, marks.work);
    gy_heap_free(disk->heap, marks.marked);
}
