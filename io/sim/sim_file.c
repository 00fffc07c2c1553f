/* sim_file.c - bytes and sizes of a simulated file: what a write changes, what a sync keeps.
 *
 * A version refers to the very page that `now` holds; the page is copied when it is written next,
 * so the version keeps the bytes of its own moment without a copy of its own.
 */
#include <errno.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/sim/sim_state.h"

#define MASK_WHOLE 0xffu

static uint32_t
pages_of(uint64_t size)
{
    const uint64_t pages = size / GY_PAGE + (size % GY_PAGE != 0 ? 1 : 0);

    gy_assert(pages < UINT32_MAX);
    return (uint32_t)pages;
}

/* The sectors that bytes [from, to) of a page touch. */
static uint8_t
mask_of(const struct gy_sim_disk *disk, uint32_t from, uint32_t to)
{
    uint32_t mask = 0;

    gy_assert(from < to && to <= GY_PAGE);
    if (disk->config.sector_size == GY_PAGE) {
        return MASK_WHOLE;
    }
    for (uint32_t sector = from / GY_SIM_SECTOR; sector <= (to - 1) / GY_SIM_SECTOR; sector++) {
        mask |= 1u << sector;
    }
    return (uint8_t)mask;
}

static void
version_push(struct gy_sim_disk *disk, struct gy_sim_inode *inode, uint32_t page_index,
             uint8_t mask, struct gy_sim_page *page)
{
    inode->versions = gy_sim_grow(disk->heap, inode->versions, &inode->version_capacity,
                                  inode->version_count + 1, sizeof(*inode->versions));
    inode->versions[inode->version_count] = (struct gy_sim_version){
        .seq = disk->seq, .page = gy_sim_page_get(page), .page_index = page_index, .mask = mask};
    inode->version_count++;
}

static void
size_push(struct gy_sim_disk *disk, struct gy_sim_inode *inode, uint64_t size, bool is_allocation)
{
    inode->sizes = gy_sim_grow(disk->heap, inode->sizes, &inode->size_capacity,
                               inode->size_count + 1, sizeof(*inode->sizes));
    inode->sizes[inode->size_count] =
        (struct gy_sim_size){.seq = disk->seq, .size = size, .is_allocation = is_allocation};
    inode->size_count++;
}

/* A newer version of these sectors is durable: the older ones, versions [0, count), can no longer
 * come back. Leaves empty versions for versions_compact. */
static void
versions_strip(struct gy_sim_inode *inode, uint32_t count, uint32_t page_index, uint8_t mask)
{
    for (uint32_t i = 0; i < count; i++) {
        if (inode->versions[i].page_index == page_index) {
            inode->versions[i].mask &= (uint8_t)~mask;
        }
    }
}

static void
versions_compact(struct gy_heap *heap, struct gy_sim_inode *inode)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < inode->version_count; i++) {
        if (inode->versions[i].mask == 0) {
            gy_sim_page_put(heap, inode->versions[i].page);
            continue;
        }
        inode->versions[kept] = inode->versions[i];
        kept++;
    }
    inode->version_count = kept;
}

void
gy_sim_file_cut(struct gy_heap *heap, struct gy_sim_map *map, uint64_t size)
{
    const uint32_t tail = (uint32_t)(size % GY_PAGE);
    const struct gy_sim_page *last = gy_sim_map_page(map, size / GY_PAGE);

    gy_sim_map_punch(heap, map, pages_of(size));
    if (tail != 0 && last != NULL) {
        struct gy_sim_page *page = gy_sim_page_make(heap, last);

        memset(page->bytes + tail, 0, GY_PAGE - tail);
        gy_sim_map_set(heap, map, size / GY_PAGE, page);
    }
}

void
gy_sim_file_drop_pending(struct gy_heap *heap, struct gy_sim_inode *inode)
{
    for (uint32_t i = 0; i < inode->version_count; i++) {
        gy_sim_page_put(heap, inode->versions[i].page);
    }
    inode->version_count = 0;
    inode->size_count = 0;
}

static uint32_t
read_from(const struct gy_sim_inode *inode, const struct gy_sim_map *map, uint64_t offset,
          uint32_t size, void *buffer)
{
    uint8_t *target = buffer;
    uint32_t done = 0;

    if (offset >= inode->size) {
        return 0;
    }
    size = (uint32_t)gy_min_u64(size, inode->size - offset);
    while (done < size) {
        const uint32_t from = (uint32_t)((offset + done) % GY_PAGE);
        const uint32_t length = (uint32_t)gy_min_u64(GY_PAGE - from, size - done);
        const struct gy_sim_page *page = gy_sim_map_page(map, (offset + done) / GY_PAGE);

        if (page != NULL) {
            memcpy(target + done, page->bytes + from, length);
        } else {
            memset(target + done, 0, length);
        }
        done += length;
    }
    return size;
}

uint32_t
gy_sim_file_read(const struct gy_sim_inode *inode, uint64_t offset, uint32_t size, void *buffer)
{
    return read_from(inode, &inode->now, offset, size, buffer);
}

uint32_t
gy_sim_file_read_previous(const struct gy_sim_inode *inode, uint64_t offset, uint32_t size,
                          void *buffer)
{
    return read_from(inode, &inode->previous, offset, size, buffer);
}

/* Page `index` is about to be another one. */
static void
keep_previous(struct gy_heap *heap, struct gy_sim_inode *inode, uint32_t index)
{
    struct gy_sim_page *page = gy_sim_map_page(&inode->now, index);

    if (page != NULL || gy_sim_map_page(&inode->previous, index) != NULL) {
        gy_sim_map_set(heap, &inode->previous, index, gy_sim_page_get(page));
    }
}

/* How much of a write the disk has room for. */
static uint32_t
write_fits(const struct gy_sim_disk *disk, const struct gy_sim_inode *inode, uint64_t offset,
           uint32_t size)
{
    uint64_t free_pages;
    uint64_t at = offset;

    if (disk->config.capacity == 0) {
        return size;
    }
    free_pages = gy_sim_disk_free_bytes(disk) / GY_PAGE;
    while (at < offset + size) {
        if (!gy_sim_map_is_allocated(&inode->now, at / GY_PAGE)) {
            if (free_pages == 0) {
                return (uint32_t)(at - offset);
            }
            free_pages--;
        }
        at = gy_align_down(at, GY_PAGE) + GY_PAGE;
    }
    return size;
}

/* D2: the size that a DSYNC write up to `end` needs. Older sizes that would cut it off can no
 * longer come back; what programs see stays the last pending one. */
static void
size_cover(struct gy_sim_disk *disk, struct gy_sim_inode *inode, uint64_t end)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < inode->size_count; i++) {
        if (inode->sizes[i].size >= end) {
            inode->sizes[kept] = inode->sizes[i];
            kept++;
        }
    }
    inode->size_count = kept;
    inode->size_durable = gy_max_u64(inode->size_durable, end);
    if ((kept > 0 ? inode->sizes[kept - 1].size : inode->size_durable) != inode->size) {
        size_push(disk, inode, inode->size, false);
    }
}

int32_t
gy_sim_file_write(struct gy_sim_disk *disk, uint32_t ino, uint64_t offset, uint32_t size,
                  const struct gy_sim_blob *data, bool is_durable)
{
    struct gy_sim_inode *inode = gy_sim_disk_edit(disk, ino);
    const uint64_t size_before = inode->size_durable;
    uint32_t done = 0;

    if (size == 0) {
        return 0;
    }
    size = write_fits(disk, inode, offset, size);
    if (size == 0) {
        return gy_sim_disk_full_error(disk);
    }
    disk->seq++;
    while (done < size) {
        const uint32_t index = pages_of(offset + done + 1) - 1;
        const uint32_t from = (uint32_t)((offset + done) % GY_PAGE);
        const uint32_t length = (uint32_t)gy_min_u64(GY_PAGE - from, size - done);
        const uint8_t mask = mask_of(disk, from, from + length);
        struct gy_sim_page *page;

        if (length == GY_PAGE && done % GY_PAGE == 0) {
            page = gy_sim_blob_page(data, done);
        } else {
            page = gy_sim_page_make(disk->heap, gy_sim_map_page(&inode->now, index));
            gy_sim_blob_read(data, done, length, page->bytes + from);
        }
        keep_previous(disk->heap, inode, index);
        gy_sim_map_set(disk->heap, &inode->now, index, page);
        if (is_durable) {
            gy_sim_map_merge(disk->heap, &inode->durable, index, page, mask);
            versions_strip(inode, inode->version_count, index, mask);
        } else {
            version_push(disk, inode, index, mask, page);
        }
        done += length;
    }
    if (is_durable) {
        versions_compact(disk->heap, inode);
        inode->size = gy_max_u64(inode->size, offset + size);
        size_cover(disk, inode, offset + size);
        if (disk->config.personality != GY_SIM_STRICT && offset + size > size_before) {
            gy_sim_journal_commit(disk, disk->seq + 1); /* its size went through the journal */
        }
    } else if (offset + size > inode->size) {
        inode->size = offset + size;
        size_push(disk, inode, inode->size, false);
    }
    return (int32_t)size;
}

/* A disk that gets full before `size` keeps what it has got, and the size, as ext4 does. Returns
 * how far it came. */
static uint64_t
allocate_what_fits(struct gy_sim_disk *disk, struct gy_sim_inode *inode, uint64_t size)
{
    uint64_t free_pages = gy_sim_disk_free_bytes(disk) / GY_PAGE;
    uint32_t page = 0;

    for (; page < pages_of(size); page++) {
        if (gy_sim_map_is_allocated(&inode->now, page)) {
            continue;
        }
        if (free_pages == 0) {
            break;
        }
        free_pages--;
        gy_sim_map_allocate(disk->heap, &inode->now, page);
    }
    return (uint64_t)page * GY_PAGE;
}

int32_t
gy_sim_file_allocate(struct gy_sim_disk *disk, uint32_t ino, uint64_t size)
{
    struct gy_sim_inode *inode = gy_sim_disk_edit(disk, ino);
    const uint64_t missing = pages_of(size) - gy_sim_map_count_below(&inode->now, pages_of(size));
    const bool fits = missing <= gy_sim_disk_free_bytes(disk) / GY_PAGE;

    if (fits) {
        gy_sim_map_allocate_below(disk->heap, &inode->now, pages_of(size));
    } else {
        size = allocate_what_fits(disk, inode, size);
    }
    if (fits || size > inode->size) {
        disk->seq++;
        inode->size = gy_max_u64(inode->size, size);
        size_push(disk, inode, inode->size, true);
    }
    return fits ? 0 : gy_sim_disk_full_error(disk);
}

int32_t
gy_sim_file_truncate(struct gy_sim_disk *disk, uint32_t ino, uint64_t size)
{
    struct gy_sim_inode *inode = gy_sim_disk_edit(disk, ino);
    const uint32_t tail = (uint32_t)(size % GY_PAGE);

    disk->seq++;
    if (size < inode->size) {
        const uint32_t end = inode->now.leaf_count * GY_SIM_LEAF_PAGES;

        for (uint32_t i = pages_of(size); i < end; i++) {
            if (gy_sim_map_page(&inode->now, i) != NULL) {
                version_push(disk, inode, i, MASK_WHOLE, NULL);
            }
        }
        gy_sim_file_cut(disk->heap, &inode->now, size);
        if (tail != 0 && gy_sim_map_page(&inode->now, size / GY_PAGE) != NULL) {
            version_push(disk, inode, (uint32_t)(size / GY_PAGE), mask_of(disk, tail, GY_PAGE),
                         gy_sim_map_page(&inode->now, size / GY_PAGE));
        }
    }
    inode->size = size;
    size_push(disk, inode, size, false);
    return 0;
}

static void
sync_sizes(struct gy_sim_disk *disk, struct gy_sim_inode *inode, uint64_t seq)
{
    uint32_t covered = 0;

    while (covered < inode->size_count && inode->sizes[covered].seq < seq) {
        const struct gy_sim_size *size = &inode->sizes[covered];

        if (size->is_allocation) {
            gy_sim_map_allocate_below(disk->heap, &inode->durable, pages_of(size->size));
        }
        inode->size_durable = size->size;
        covered++;
    }
    if (covered == 0) {
        return;
    }
    inode->size_count -= covered;
    memmove(inode->sizes, inode->sizes + covered, inode->size_count * sizeof(*inode->sizes));
    gy_sim_file_cut(disk->heap, &inode->durable, inode->size_durable);
}

void
gy_sim_file_sync(struct gy_sim_disk *disk, uint32_t ino, uint64_t seq)
{
    struct gy_sim_inode *inode;
    bool has_doomed = false;

    if (gy_sim_disk_inode(disk, ino)->version_count == 0 &&
        gy_sim_disk_inode(disk, ino)->size_count == 0) {
        return; /* and leave an inode that is shared with copies alone */
    }
    inode = gy_sim_disk_edit(disk, ino);
    for (uint32_t i = 0; i < inode->version_count; i++) {
        struct gy_sim_version *version = &inode->versions[i];
        const uint8_t mask = version->mask;

        if (version->seq >= seq || version->is_doomed) {
            has_doomed = has_doomed || version->is_doomed;
            continue;
        }
        gy_sim_map_merge(disk->heap, &inode->durable, version->page_index, version->page, mask);
        version->mask = 0;
        if (has_doomed) { /* else all older versions of the page have just gone */
            versions_strip(inode, i, version->page_index, mask);
        }
    }
    versions_compact(disk->heap, inode);
    sync_sizes(disk, inode, seq);
}

void
gy_sim_file_commit_sizes(struct gy_sim_disk *disk, uint32_t ino, uint64_t seq)
{
    struct gy_sim_inode *inode = gy_sim_disk_edit(disk, ino);
    const uint64_t before = inode->size_durable;

    sync_sizes(disk, inode, seq);
    for (uint32_t i = 0; i < inode->version_count; i++) {
        struct gy_sim_version *version = &inode->versions[i];
        const uint64_t start = (uint64_t)version->page_index * GY_PAGE;
        uint8_t mask = version->mask;

        if (start >= inode->size_durable || start + GY_PAGE <= before || version->seq >= seq ||
            version->is_doomed) {
            continue;
        }
        if (start < before) { /* the page of the old end: the sectors behind it */
            mask &= (uint8_t)(MASK_WHOLE << ((before - start) / GY_SIM_SECTOR));
        }
        gy_sim_map_merge(disk->heap, &inode->durable, version->page_index, version->page, mask);
        versions_strip(inode, i + 1, version->page_index, mask);
    }
    versions_compact(disk->heap, inode);
    gy_sim_file_cut(disk->heap, &inode->durable, inode->size_durable);
}

void
gy_sim_file_sync_failed(struct gy_sim_disk *disk, uint32_t ino, uint64_t seq)
{
    struct gy_sim_inode *inode = gy_sim_disk_edit(disk, ino);

    for (uint32_t i = 0; i < inode->version_count; i++) {
        if (inode->versions[i].seq < seq) {
            inode->versions[i].is_doomed = true;
        }
    }
}
