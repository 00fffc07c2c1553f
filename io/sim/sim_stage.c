/* sim_stage.c - staging memory of a simulated machine: what a killed process leaves to the next. */
#include <errno.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/sim/sim_state.h"

static struct gy_sim_block *
block_find(const struct gy_sim_disk *disk, const uint64_t id[2])
{
    for (uint32_t i = 0; i < disk->block_count; i++) {
        if (disk->blocks[i].id[0] == id[0] && disk->blocks[i].id[1] == id[1]) {
            return &disk->blocks[i];
        }
    }
    return NULL;
}

static struct gy_sim_block *
block_push(struct gy_sim_disk *disk, const uint64_t id[2], size_t size)
{
    struct gy_sim_block *block;

    disk->blocks = gy_sim_grow(disk->heap, disk->blocks, &disk->block_capacity,
                               disk->block_count + 1, sizeof(*disk->blocks));
    block = &disk->blocks[disk->block_count];
    disk->block_count++;
    *block = (struct gy_sim_block){
        .id = {id[0], id[1]}, .size = size, .mapped = gy_align_up(size, GY_PAGE)};
    return block;
}

/* ---- Content of one moment ---- */

static void
shot_put(struct gy_heap *heap, struct gy_sim_shot *shot)
{
    if (shot == NULL) {
        return;
    }
    shot->refs--;
    if (shot->refs > 0) {
        return;
    }
    for (uint32_t i = 0; i < shot->count; i++) {
        gy_sim_page_put(heap, shot->pages[i]);
    }
    gy_heap_free(heap, shot);
}

static bool
page_holds(const struct gy_sim_page *page, const uint8_t *bytes)
{
    static const uint8_t zeros[GY_PAGE];

    return memcmp(page != NULL ? page->bytes : zeros, bytes, GY_PAGE) == 0;
}

static struct gy_sim_page *
shot_page(const struct gy_sim_shot *shot, uint32_t index)
{
    return shot != NULL ? shot->pages[index] : NULL;
}

/* The block's content now: the last shot when nothing has changed, else one that shares what has
 * not. */
static void
block_shoot(struct gy_heap *heap, struct gy_sim_block *block)
{
    const uint32_t count = (uint32_t)(block->mapped / GY_PAGE);
    struct gy_sim_shot *last = block->shot;
    struct gy_sim_shot *shot;
    uint32_t first = 0;

    while (block->base != NULL && last != NULL && first < count &&
           page_holds(last->pages[first], block->base + (size_t)first * GY_PAGE)) {
        first++;
    }
    if (block->base == NULL || (last != NULL && first == count)) {
        return;
    }
    shot = gy_sim_zalloc(heap, sizeof(*shot) + count * sizeof(shot->pages[0]));
    shot->refs = 1;
    shot->count = count;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *bytes = block->base + (size_t)i * GY_PAGE;

        if (page_holds(shot_page(last, i), bytes)) {
            shot->pages[i] = gy_sim_page_get(shot_page(last, i));
        } else if (!page_holds(NULL, bytes)) {
            shot->pages[i] = gy_sim_page_make(heap, NULL);
            memcpy(shot->pages[i]->bytes, bytes, GY_PAGE);
        }
    }
    shot_put(heap, last);
    block->shot = shot;
}

static void
block_open(struct gy_sim_disk *disk, struct gy_sim_block *block)
{
    if (block->base != NULL) {
        return;
    }
    block->base = gy_pages_map(&disk->pages->base, block->mapped, GY_PAGES_FORKED);
    gy_assert(block->base != NULL);
    for (uint32_t i = 0; i < block->mapped / GY_PAGE; i++) {
        const struct gy_sim_page *page = shot_page(block->shot, i);

        if (page != NULL) {
            memcpy(block->base + (size_t)i * GY_PAGE, page->bytes, GY_PAGE);
        } else {
            memset(block->base + (size_t)i * GY_PAGE, 0, GY_PAGE);
        }
    }
}

static void
block_drop(struct gy_sim_disk *disk, struct gy_sim_block *block)
{
    if (block->base != NULL) {
        gy_pages_unmap(&disk->pages->base, block->base, block->mapped, GY_PAGES_FORKED);
    }
    shot_put(disk->heap, block->shot);
}

/* ---- What the world asks for ---- */

static void
stage_fill(struct gy_stage *stage, const struct gy_sim_block *block)
{
    *stage = (struct gy_stage){
        .base = block->base, .size = block->size, .id = {block->id[0], block->id[1]}};
}

int
gy_sim_stage_create(struct gy_sim_disk *disk, struct gy_stage *stage, const uint64_t id[2],
                    size_t size)
{
    struct gy_sim_block *block;
    uint64_t used = 0;

    if (block_find(disk, id) != NULL) {
        return -EEXIST;
    }
    for (uint32_t i = 0; i < disk->block_count; i++) {
        used += disk->blocks[i].size;
    }
    if (disk->config.stage_bytes_max != 0 &&
        size > gy_sub_sat(disk->config.stage_bytes_max, used)) {
        return -ENOSPC;
    }
    block = block_push(disk, id, size);
    block_open(disk, block);
    stage_fill(stage, block);
    return 0;
}

int
gy_sim_stage_open(struct gy_sim_disk *disk, struct gy_stage *stage, const uint64_t id[2])
{
    struct gy_sim_block *block = block_find(disk, id);

    if (block == NULL) {
        return -ENOENT;
    }
    block_open(disk, block);
    stage_fill(stage, block);
    return 0;
}

void
gy_sim_stage_close(struct gy_sim_disk *disk, struct gy_stage *stage, bool unlink)
{
    struct gy_sim_block *block = block_find(disk, stage->id);

    stage->base = NULL;
    if (block == NULL || !unlink) {
        return;
    }
    block_drop(disk, block);
    disk->block_count--;
    *block = disk->blocks[disk->block_count];
}

void
gy_sim_stage_copy_all(struct gy_sim_disk *copy, const struct gy_sim_disk *disk)
{
    for (uint32_t i = 0; i < disk->block_count; i++) {
        struct gy_sim_block *source = &disk->blocks[i];

        block_shoot(disk->heap, source);
        source->shot->refs++;
        block_push(copy, source->id, source->size)->shot = source->shot;
    }
}

void
gy_sim_stage_drop_all(struct gy_sim_disk *disk)
{
    for (uint32_t i = 0; i < disk->block_count; i++) {
        block_drop(disk, &disk->blocks[i]);
    }
    disk->block_count = 0;
}
