/* sim_journal.c - what the journal of a file system adds to the bare rules: order of names and
 * sizes (J1), names that a file's sync takes along (J2), bytes that a size brings with it (J3).
 *
 * The pending names and sizes of all files are one journal, ordered by their sequence numbers. To
 * commit it up to some number is to make all of them before it durable; a crash commits it up to a
 * number that the coin chose and loses the rest.
 */
#include "io/base/assert.h"
#include "io/sim/sim_state.h"

/* Sequence numbers start at 1; a commit up to `seq` takes those below it. */

static bool
has_pending(const struct gy_sim_inode *inode)
{
    return inode->size_count > 0 || inode->nsop_count > 0;
}

/* J4: the file that a pending rename put in the place of another has its bytes written first. */
static void
flush_replacing(struct gy_sim_disk *disk, const struct gy_sim_inode *dir, uint64_t seq)
{
    for (uint32_t i = 0; i < dir->nsop_count && dir->nsops[i].seq < seq; i++) {
        const uint32_t ino = dir->nsops[i].ino;

        if (dir->nsops[i].is_replacing && disk->nodes[ino].inode != NULL) {
            gy_sim_file_sync(disk, ino, dir->nsops[i].seq);
        }
    }
}

void
gy_sim_journal_commit(struct gy_sim_disk *disk, uint64_t seq)
{
    for (uint32_t i = 0; i < disk->node_count; i++) {
        const struct gy_sim_inode *inode = disk->nodes[i].inode;

        if (inode == NULL || !has_pending(inode)) {
            continue;
        }
        if (!inode->is_dir) {
            gy_sim_file_commit_sizes(disk, i, seq);
            continue;
        }
        if (disk->config.personality == GY_SIM_EXT4) {
            flush_replacing(disk, inode, seq);
        }
        gy_sim_fs_commit(disk, i, seq);
    }
}

/* The last pending change before `seq` that is about inode `ino`: a size of its own, a name in it,
 * a name of it. 0: there is none. */
static uint64_t
last_change_of(const struct gy_sim_disk *disk, uint32_t ino, uint64_t seq)
{
    uint64_t last = 0;

    for (uint32_t i = 0; i < disk->node_count; i++) {
        const struct gy_sim_inode *inode = disk->nodes[i].inode;

        for (uint32_t j = 0; inode != NULL && j < inode->nsop_count; j++) {
            if (inode->nsops[j].seq < seq && (i == ino || inode->nsops[j].ino == ino)) {
                last = gy_max_u64(last, inode->nsops[j].seq);
            }
        }
        for (uint32_t j = 0; inode != NULL && i == ino && j < inode->size_count; j++) {
            if (inode->sizes[j].seq < seq) {
                last = gy_max_u64(last, inode->sizes[j].seq);
            }
        }
    }
    return last;
}

void
gy_sim_journal_sync(struct gy_sim_disk *disk, uint32_t ino, uint64_t seq)
{
    uint64_t last;

    if (disk->config.personality == GY_SIM_STRICT) {
        return;
    }
    last = last_change_of(disk, ino, seq);
    if (last != 0) {
        gy_sim_journal_commit(disk, disk->config.personality == GY_SIM_EXT4 ? seq : last + 1);
    }
}

/* How many changes the journal holds; the sequence number of the one that has `rank` before it. */
static uint64_t
count_before(const struct gy_sim_disk *disk, uint64_t seq)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < disk->node_count; i++) {
        const struct gy_sim_inode *inode = disk->nodes[i].inode;

        for (uint32_t j = 0; inode != NULL && j < inode->nsop_count; j++) {
            count += inode->nsops[j].seq < seq ? 1 : 0;
        }
        for (uint32_t j = 0; inode != NULL && j < inode->size_count; j++) {
            count += inode->sizes[j].seq < seq ? 1 : 0;
        }
    }
    return count;
}

uint64_t
gy_sim_journal_cut(const struct gy_sim_disk *disk, uint64_t bits)
{
    const uint64_t total = count_before(disk, UINT64_MAX);
    const uint64_t kept = bits % (total + 1);
    uint64_t low = 0;
    uint64_t high = disk->seq + 1;

    while (low < high) { /* the largest number with at most `kept` before it */
        const uint64_t middle = low + (high - low + 1) / 2;

        if (count_before(disk, middle) <= kept) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}
