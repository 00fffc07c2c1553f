/* sim_crash.c - what a crash leaves: a copy of the disk on which each pending change was kept or
 * lost.
 *
 * A coin for every change decides, thrown from one draw of the caller's generator, so a crash takes
 * the same amount of randomness whatever is pending. How the coin falls on average differs from
 * file to file (all lost, most lost, even, most kept, all kept): bugs of ordering show when one
 * file survived and the other did not, and even coins for hundreds of sectors would never give
 * that.
 */
#include <string.h>

#include "io/base/assert.h"
#include "io/sim/sim_state.h"

#define KEEP_ALL 256u
#define SECTORS 8u

struct draw {
    enum gy_sim_crash mode;
    uint64_t seed;
    uint32_t keep; /* of 256, for the file or directory at hand */
    bool is_whole; /* a write survives whole or not at all; else sector by sector */
    uint32_t zero; /* of 256: how often a sector that is touched ends as zeros (D6) */
    bool is_cut;   /* the journal has said already which sizes and names survive (J1) */
};

static bool
coin(const struct draw *draw, uint64_t seq, uint64_t part)
{
    return (gy_mix64(draw->seed ^ gy_mix64(seq * 0x9e3779b97f4a7c15ull + part)) & 255u) <
           draw->keep;
}

static void
draw_for_inode(struct draw *draw, uint32_t ino)
{
    static const uint32_t keeps[] = {0, 32, 128, 128, 128, 224, KEEP_ALL, 128};
    const uint64_t bits = gy_mix64(draw->seed + ino + 1);

    if (draw->mode == GY_SIM_CRASH_RANDOM) {
        draw->keep = keeps[bits & 7u];
        draw->is_whole = ((bits >> 3) & 3u) == 0;
        draw->zero = ((bits >> 5) & 7u) == 0 && !draw->is_cut ? 32 : 0;
    } else {
        draw->keep = draw->mode == GY_SIM_CRASH_ALL ? KEEP_ALL : 0;
        draw->is_whole = true;
    }
}

/* D6: sectors that some write was changing and that hold neither what was there nor what came. */
static void
zero_sectors(struct gy_sim_disk *disk, const struct draw *draw, struct gy_sim_inode *inode)
{
    const uint32_t step = disk->config.sector_size / GY_SIM_SECTOR;

    for (uint32_t i = 0; draw->zero != 0 && i < inode->version_count; i++) {
        const struct gy_sim_version *version = &inode->versions[i];
        uint8_t mask = 0;

        for (uint32_t sector = 0; sector < SECTORS; sector++) {
            const uint64_t part = ((uint64_t)version->page_index * SECTORS) + sector / step * step;

            if ((gy_mix64((draw->seed + 3) ^ gy_mix64(version->seq + part)) & 255u) < draw->zero) {
                mask |= (uint8_t)(1u << sector);
            }
        }
        mask &= version->mask;
        if (mask != 0) {
            gy_sim_map_merge(disk->heap, &inode->durable, version->page_index, NULL, mask);
        }
    }
}

static void
settle_file(struct gy_sim_disk *disk, const struct draw *draw, struct gy_sim_inode *inode)
{
    const uint32_t step = disk->config.sector_size / GY_SIM_SECTOR;
    uint64_t size = inode->size_durable;

    /* In order, so that of several survivors on a sector the last one stands. */
    for (uint32_t i = 0; i < inode->version_count; i++) {
        const struct gy_sim_version *version = &inode->versions[i];
        uint8_t mask = 0;

        for (uint32_t sector = 0; sector < SECTORS; sector++) {
            const uint64_t part = ((uint64_t)version->page_index * SECTORS) + sector / step * step;

            if (coin(draw, version->seq, draw->is_whole ? 0 : part + 1)) {
                mask |= (uint8_t)(1u << sector);
            }
        }
        mask &= version->mask;
        if (mask != 0) {
            gy_sim_map_merge(disk->heap, &inode->durable, version->page_index, version->page, mask);
        }
    }
    zero_sectors(disk, draw, inode);
    for (uint32_t i = 0; i < inode->size_count && !draw->is_cut; i++) {
        if (!coin(draw, inode->sizes[i].seq, UINT32_MAX)) {
            continue;
        }
        size = inode->sizes[i].size;
        if (inode->sizes[i].is_allocation) {
            gy_sim_map_allocate_below(disk->heap, &inode->durable, (size + GY_PAGE - 1) / GY_PAGE);
        }
    }
    gy_sim_file_cut(disk->heap, &inode->durable, size);
    gy_sim_file_drop_pending(disk->heap, inode);
    gy_sim_map_free(disk->heap, &inode->now);
    gy_sim_map_copy(disk->heap, &inode->now, &inode->durable);
    inode->size = size;
    inode->size_durable = size;
}

static void
settle_names(struct gy_sim_disk *disk, const struct draw *draw, struct gy_sim_inode *inode)
{
    for (uint32_t i = 0; i < inode->nsop_count && !draw->is_cut; i++) {
        if (coin(draw, inode->nsops[i].seq, 0)) {
            /* One that does not fit stands on a change that was lost, and is lost with it. */
            (void)gy_sim_fs_play(disk->heap, &inode->entries_durable, &inode->nsops[i]);
        }
    }
    inode->nsop_count = 0;
    gy_sim_fs_copy_entries(disk->heap, &inode->entries, &inode->entries_durable);
}

/* Count the names of each inode anew and drop what has none. */
static void
settle_links(struct gy_sim_disk *disk)
{
    uint32_t *links;

    gy_sim_fs_collect(disk);
    links = gy_sim_zalloc(disk->heap, disk->node_count * sizeof(*links));
    links[GY_SIM_ROOT] = 1;
    for (uint32_t i = 0; i < disk->node_count; i++) {
        const struct gy_sim_inode *inode = disk->nodes[i].inode;

        for (uint32_t j = 0; inode != NULL && j < inode->entries.count; j++) {
            links[inode->entries.items[j].ino]++;
        }
    }
    for (uint32_t i = 0; i < disk->node_count; i++) {
        if (disk->nodes[i].inode != NULL && disk->nodes[i].inode->link_count != links[i]) {
            gy_sim_disk_edit(disk, i)->link_count = links[i];
        }
    }
    gy_heap_free(disk->heap, links);
}

/* Requests in flight that the disk got to before the lights went out. Their own durability is a
 * matter for the coins: a DSYNC write that nobody was told about is a write like any other. */
static void
play_in_flight(struct gy_sim_disk *disk, const struct draw *draw)
{
    while (!gy_list_is_empty(&disk->in_flight)) {
        struct gy_sim_op *op = gy_container_of(disk->in_flight.next, struct gy_sim_op, link);
        uint64_t bits = gy_mix64(draw->seed ^ gy_mix64(op->seq)) >> 8;
        bool is_played = draw->mode == GY_SIM_CRASH_ALL;

        if (draw->mode == GY_SIM_CRASH_RANDOM) {
            is_played = op->op == GY_OP_SYNC ? (bits & 3u) == 0 : (bits & 3u) != 0;
            op->flags &= op->op == GY_OP_WRITE ? (uint8_t)~GY_IO_DSYNC : 0xffu;
        } else if (draw->mode == GY_SIM_CRASH_KILL) {
            is_played = (bits & 3u) != 0;
            if (op->op == GY_OP_WRITE && (bits & 3u) == 1) { /* cut short at a sector */
                bits = (bits >> 2) % (op->size / disk->config.sector_size + 1);
                op->size = (uint32_t)bits * disk->config.sector_size;
            }
        }
        if (is_played) {
            (void)gy_sim_op_apply(disk, op); /* nobody is left to be told of a failure */
        }
        gy_sim_op_end(disk, op);
    }
}

static void
cut_journal(struct gy_sim_disk *disk, struct draw *draw)
{
    uint64_t seq = 0;

    if (draw->mode == GY_SIM_CRASH_ALL) {
        seq = UINT64_MAX;
    } else if (draw->mode == GY_SIM_CRASH_RANDOM) {
        seq = gy_sim_journal_cut(disk, gy_mix64(draw->seed + 2));
    }
    gy_sim_journal_commit(disk, seq);
    draw->is_cut = true;
}

struct gy_sim_disk *
gy_sim_disk_crash(const struct gy_sim_disk *disk, struct gy_rng *rng, enum gy_sim_crash mode)
{
    struct gy_sim_disk *copy = gy_sim_disk_copy(disk, mode == GY_SIM_CRASH_KILL);
    struct draw draw = {.mode = mode, .seed = gy_rng_next(rng)};

    play_in_flight(copy, &draw);
    if (mode == GY_SIM_CRASH_KILL) {
        gy_sim_fs_collect(copy); /* files that only the dead process had open */
        return copy;
    }
    if (copy->config.personality != GY_SIM_STRICT) {
        cut_journal(copy, &draw);
    }
    for (uint32_t i = 0; i < copy->node_count; i++) {
        const struct gy_sim_inode *inode = copy->nodes[i].inode;

        if (inode == NULL ||
            (inode->version_count == 0 && inode->size_count == 0 && inode->nsop_count == 0)) {
            continue; /* all durable: stays shared */
        }
        draw_for_inode(&draw, i);
        if (inode->is_dir) {
            settle_names(copy, &draw, gy_sim_disk_edit(copy, i));
        } else {
            settle_file(copy, &draw, gy_sim_disk_edit(copy, i));
        }
    }
    settle_links(copy);
    copy->boot_count++;
    return copy;
}

uint64_t
gy_sim_disk_pending_count(const struct gy_sim_disk *disk)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < disk->node_count; i++) {
        const struct gy_sim_inode *inode = disk->nodes[i].inode;

        if (inode != NULL) {
            count += (uint64_t)inode->version_count + inode->size_count + inode->nsop_count;
        }
    }
    return count;
}
