/* sim_peek.c - look at the simulated disk from outside, and damage it: for tests, not worlds. */
#include <errno.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/sim/sim_state.h"

#define HASH_STEP 0x9fb21c651e98df25ull

uint64_t
gy_sim_hash(uint64_t seed, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t hash = seed ^ (size * HASH_STEP);
    uint64_t lanes[4] = {hash, hash + 1, hash + 2, hash + 3};
    uint64_t word;

    while (size >=
           sizeof(lanes)) { /* four at a time: one multiplication does not wait for another */
        for (uint32_t i = 0; i < 4; i++) {
            memcpy(&word, at + i * sizeof(word), sizeof(word));
            lanes[i] = (lanes[i] ^ word) * HASH_STEP;
            lanes[i] ^= lanes[i] >> 29;
        }
        at += sizeof(lanes);
        size -= sizeof(lanes);
    }
    for (uint32_t i = 0; i < 4; i++) {
        hash = gy_mix64(hash ^ lanes[i]);
    }
    while (size >= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        hash = (hash ^ word) * HASH_STEP;
        hash ^= hash >> 29;
        at += sizeof(word);
        size -= sizeof(word);
    }
    if (size > 0) {
        word = 0;
        memcpy(&word, at, size);
        hash = (hash ^ word) * HASH_STEP;
    }
    return gy_mix64(hash);
}

/* ---- Is it durable? ---- */

/* The name is on the disk and no pending change touches it; then it is what programs see (I1). */
static bool
name_is_durable(const struct gy_sim_inode *dir, const char *name)
{
    for (uint32_t i = 0; i < dir->nsop_count; i++) {
        const struct gy_sim_nsop *nsop = &dir->nsops[i];

        if (strcmp(nsop->name, name) == 0 ||
            (nsop->op == GY_OP_RENAME && strcmp(nsop->name_new, name) == 0)) {
            return false;
        }
    }
    return gy_sim_fs_entry(&dir->entries_durable, name) != NULL;
}

/* The name and all directories above it, found by their parents: a path has one way up. */
static bool
path_is_durable(const struct gy_sim_disk *disk, uint32_t dir, const char *name)
{
    bool is_durable = name[0] == '\0' || name_is_durable(gy_sim_disk_inode(disk, dir), name);

    while (is_durable && dir != GY_SIM_ROOT) {
        const uint32_t parent = gy_sim_disk_inode(disk, dir)->parent;
        const struct gy_sim_entries *entries = &gy_sim_disk_inode(disk, parent)->entries;
        uint32_t i = 0;

        while (i < entries->count && entries->items[i].ino != dir) {
            i++;
        }
        is_durable = i < entries->count &&
                     name_is_durable(gy_sim_disk_inode(disk, parent), entries->items[i].name);
        dir = parent;
    }
    return is_durable;
}

static bool
pages_agree(const struct gy_sim_page *a, const struct gy_sim_page *b, uint32_t from, uint32_t to)
{
    static const struct gy_sim_page zeros;

    return a == b || memcmp((a != NULL ? a : &zeros)->bytes + from,
                            (b != NULL ? b : &zeros)->bytes + from, to - from) == 0;
}

/* A pending version that would change bytes [offset, end). */
static bool
version_disturbs(const struct gy_sim_inode *inode, const struct gy_sim_version *version,
                 uint64_t offset, uint64_t end)
{
    const uint64_t page_start = (uint64_t)version->page_index * GY_PAGE;
    const struct gy_sim_page *now = gy_sim_map_page(&inode->now, version->page_index);

    for (uint32_t sector = 0; sector < GY_PAGE / GY_SIM_SECTOR; sector++) {
        const uint64_t from = gy_max_u64(offset, page_start + sector * GY_SIM_SECTOR);
        const uint64_t to = gy_min_u64(end, page_start + (sector + 1) * GY_SIM_SECTOR);

        if ((((uint32_t)version->mask >> sector) & 1u) != 0 && from < to &&
            !pages_agree(version->page, now, (uint32_t)(from - page_start),
                         (uint32_t)(to - page_start))) {
            return true;
        }
    }
    return false;
}

bool
gy_sim_disk_is_durable(const struct gy_sim_disk *disk, const char *path, uint64_t offset,
                       uint64_t size)
{
    char name[GY_SIM_NAME_SIZE];
    uint32_t dir;
    const int64_t ino = gy_sim_fs_find(disk, path);
    const uint64_t end = offset + size;
    const struct gy_sim_inode *inode;

    if (ino < 0 || gy_sim_fs_resolve(disk, GY_SIM_ROOT, path, &dir, name) < 0 ||
        !path_is_durable(disk, dir, name)) {
        return false;
    }
    inode = gy_sim_disk_inode(disk, (uint32_t)ino);
    if (inode->is_dir) {
        return true;
    }
    if (end < offset || end > inode->size || end > inode->size_durable) {
        return false;
    }
    for (uint32_t i = 0; i < inode->size_count; i++) {
        if (inode->sizes[i].size < end) {
            return false;
        }
    }
    for (uint64_t at = offset; at < end; at = gy_align_down(at, GY_PAGE) + GY_PAGE) {
        const uint64_t index = at / GY_PAGE;
        const uint64_t stop = gy_min_u64(end, (index + 1) * GY_PAGE);

        if (!pages_agree(gy_sim_map_page(&inode->now, index),
                         gy_sim_map_page(&inode->durable, index), (uint32_t)(at % GY_PAGE),
                         (uint32_t)(stop - index * GY_PAGE))) {
            return false;
        }
    }
    for (uint32_t i = 0; i < inode->version_count; i++) {
        if (version_disturbs(inode, &inode->versions[i], offset, end)) {
            return false;
        }
    }
    return true;
}

/* ---- Look ---- */

int64_t
gy_sim_disk_file_size(const struct gy_sim_disk *disk, const char *path)
{
    const int64_t ino = gy_sim_fs_find(disk, path);

    return ino < 0 ? ino : (int64_t)gy_sim_disk_inode(disk, (uint32_t)ino)->size;
}

int64_t
gy_sim_disk_peek(const struct gy_sim_disk *disk, const char *path, uint64_t offset, void *buffer,
                 size_t size)
{
    const int64_t ino = gy_sim_fs_find(disk, path);

    if (ino < 0) {
        return ino;
    }
    if (gy_sim_disk_inode(disk, (uint32_t)ino)->is_dir) {
        return -EISDIR;
    }
    return gy_sim_file_read(gy_sim_disk_inode(disk, (uint32_t)ino), offset,
                            (uint32_t)gy_min_u64(size, INT32_MAX), buffer);
}

int
gy_sim_disk_list(const struct gy_sim_disk *disk, const char *path,
                 void (*each)(void *arg, const char *name, bool is_regular), void *arg)
{
    const int64_t ino = gy_sim_fs_find(disk, path);
    const struct gy_sim_inode *dir;

    if (ino < 0) {
        return (int)ino;
    }
    dir = gy_sim_disk_inode(disk, (uint32_t)ino);
    if (!dir->is_dir) {
        return -ENOTDIR;
    }
    for (uint32_t i = 0; i < dir->entries.count; i++) {
        each(arg, dir->entries.items[i].name, !dir->entries.items[i].is_dir);
    }
    return (int)dir->entries.count;
}

static uint64_t
hash_file(const struct gy_sim_inode *inode, uint64_t hash)
{
    const uint64_t pages = (inode->size + GY_PAGE - 1) / GY_PAGE;

    hash = gy_sim_hash(hash, &inode->size, sizeof(inode->size));
    for (uint64_t i = 0; i < pages; i++) {
        const struct gy_sim_page *page = gy_sim_map_page(&inode->now, i);

        /* A page of zeros and a page that was never written are the same to a program. */
        if (page != NULL && !pages_agree(page, NULL, 0, GY_PAGE)) {
            hash = gy_sim_hash(hash ^ (i + 1), page->bytes, GY_PAGE);
        }
    }
    return hash;
}

uint64_t
gy_sim_disk_hash(const struct gy_sim_disk *disk)
{
    uint32_t *work = gy_sim_zalloc(disk->heap, disk->node_count * sizeof(*work));
    uint32_t work_count = 1; /* work[0] is the root */
    uint64_t hash = 0;

    for (uint32_t i = 0; i < work_count; i++) { /* each directory has one name: it is met once */
        const struct gy_sim_inode *dir = gy_sim_disk_inode(disk, work[i]);

        for (uint32_t j = 0; j < dir->entries.count; j++) {
            const struct gy_sim_entry *entry = &dir->entries.items[j];

            hash = gy_sim_hash(hash, entry->name, strlen(entry->name));
            if (entry->is_dir) {
                work[work_count] = entry->ino;
                work_count++;
            } else {
                hash = hash_file(gy_sim_disk_inode(disk, entry->ino), hash);
            }
        }
        hash = gy_mix64(hash + 1);
    }
    gy_heap_free(disk->heap, work);
    return hash;
}

/* ---- Damage ---- */

/* Do it to the names and make all names of that directory durable. */
static int32_t
apply_name(struct gy_sim_disk *disk, const char *path, enum gy_op kind)
{
    struct gy_sim_op op = {.op = (uint8_t)kind, .flags = GY_OPEN_CREATE | GY_OPEN_WRITE};
    int32_t result = gy_sim_fs_resolve(disk, GY_SIM_ROOT, path, &op.ino, op.name);

    if (result == 0) {
        result = gy_sim_fs_apply(disk, &op);
    }
    if (result >= 0) {
        gy_sim_fs_sync(disk, op.ino, UINT64_MAX);
    }
    return result;
}

int
gy_sim_disk_poke(struct gy_sim_disk *disk, const char *path, uint64_t offset, const void *bytes,
                 size_t size)
{
    const int32_t ino = apply_name(disk, path, GY_OP_OPEN);
    struct gy_sim_blob *data;
    int32_t result;

    if (ino < 0) {
        return ino;
    }
    gy_assert(size <= INT32_MAX);
    data = gy_sim_blob_make(disk->heap, bytes, size);
    result = gy_sim_file_write(disk, (uint32_t)ino, offset, (uint32_t)size, data, true);
    gy_sim_blob_put(disk->heap, data);
    return result;
}

int
gy_sim_disk_resize(struct gy_sim_disk *disk, const char *path, uint64_t size)
{
    const int64_t ino = gy_sim_fs_find(disk, path);

    if (ino < 0) {
        return (int)ino;
    }
    if (gy_sim_disk_inode(disk, (uint32_t)ino)->is_dir) {
        return -EISDIR;
    }
    (void)gy_sim_file_truncate(disk, (uint32_t)ino, size); /* cannot fail */
    gy_sim_file_sync(disk, (uint32_t)ino, UINT64_MAX);
    return 0;
}

int
gy_sim_disk_remove(struct gy_sim_disk *disk, const char *path)
{
    return apply_name(disk, path, GY_OP_UNLINK);
}

int
gy_sim_disk_make_dir(struct gy_sim_disk *disk, const char *path)
{
    return apply_name(disk, path, GY_OP_MKDIR);
}
