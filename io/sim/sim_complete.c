/* sim_complete.c - what each request does at the moment it completes, faults included. */
#include <errno.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/sim/sim_machine.h"

/* How much of a transfer a short one moves: at least a sector (a byte for a buffered file), less
 * than all; all of it when there is nothing to cut. */
static uint32_t
short_size(struct gy_sim_machine *machine, const struct gy_req *req, uint32_t size)
{
    const bool is_buffered = (machine->slots[req->slot].flags & GY_OPEN_BUFFERED) != 0;
    const uint32_t unit = is_buffered ? 1 : machine->disk->config.sector_size;

    if (size <= unit) {
        return size;
    }
    return (1 + (uint32_t)gy_rng_below(&machine->fault_rng, (size - 1) / unit)) * unit;
}

/* Another page of the file, at the same place inside it. */
static uint64_t
misdirect(struct gy_sim_machine *machine, const struct gy_req *req)
{
    const struct gy_sim_inode *inode =
        gy_sim_disk_inode(machine->disk, machine->slots[req->slot].ino);
    const uint64_t pages = gy_max_u64(inode->size / GY_PAGE, 2);
    const uint64_t page = req->offset / GY_PAGE;
    const uint64_t other = gy_rng_below(&machine->fault_rng, pages - 1);

    return (other >= page ? other + 1 : other) * GY_PAGE + req->offset % GY_PAGE;
}

static void
flip_bit(struct gy_sim_machine *machine, uint8_t *bytes, uint32_t size)
{
    if (size > 0) {
        const uint64_t bit = gy_rng_below(&machine->fault_rng, (uint64_t)size * 8);

        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

static bool
is_not_now(const struct gy_sim_flight *flight)
{
    return flight->fault == GY_SIM_FAULT_ERROR &&
           (flight->fault_errno == EINTR || flight->fault_errno == EAGAIN);
}

/* Zeros in the place of one page, or of all where there is less. */
static void
zero_page(struct gy_sim_machine *machine, uint8_t *bytes, uint32_t size)
{
    const uint32_t pages = size / GY_PAGE;
    const uint64_t page = pages > 1 ? gy_rng_below(&machine->fault_rng, pages) : 0;

    memset(bytes + page * GY_PAGE, 0, gy_min_u64(size, GY_PAGE));
}

static void
zero_data(struct gy_sim_machine *machine, struct gy_sim_op *op)
{
    struct gy_sim_blob *data = op->data;

    if (data != NULL) {
        const uint64_t pages = gy_max_u64(op->size / GY_PAGE, 1);

        op->data = gy_sim_blob_zeroed(machine->disk->heap, data,
                                      (uint32_t)gy_rng_below(&machine->fault_rng, pages));
        gy_sim_blob_put(machine->disk->heap, data);
    }
}

static void
flip_data(struct gy_sim_machine *machine, struct gy_sim_op *op)
{
    struct gy_sim_blob *data = op->data;

    if (data != NULL && op->size > 0) {
        op->data = gy_sim_blob_flipped(machine->disk->heap, data,
                                       gy_rng_below(&machine->fault_rng, (uint64_t)op->size * 8));
        gy_sim_blob_put(machine->disk->heap, data);
    }
}

static int32_t
take_read(struct gy_sim_machine *machine, const struct gy_sim_flight *flight)
{
    const struct gy_req *req = flight->req;
    const struct gy_sim_slot *slot = &machine->slots[req->slot];
    const uint8_t *buffer = req->buffer;
    uint64_t offset = req->offset;
    uint32_t size = req->size;

    if (size > 0 && (buffer[0] != GY_SIM_POISON || memcmp(buffer, buffer + 1, size - 1) != 0)) {
        gy_sim_violate(machine, req, "the buffer of a read in flight was written to");
    }
    if (flight->fault == GY_SIM_FAULT_ERROR) {
        return -flight->fault_errno;
    }
    if (flight->fault == GY_SIM_FAULT_MISDIRECT) {
        offset = misdirect(machine, req);
    }
    if (flight->is_short) {
        size = short_size(machine, req, size);
    }
    if (flight->fault == GY_SIM_FAULT_STALE) {
        return (int32_t)gy_sim_file_read_previous(gy_sim_disk_inode(machine->disk, slot->ino),
                                                  offset, size, req->buffer);
    }
    size = gy_sim_file_read(gy_sim_disk_inode(machine->disk, slot->ino), offset, size, req->buffer);
    if (flight->fault == GY_SIM_FAULT_ZERO) {
        zero_page(machine, req->buffer, size);
    } else if (flight->fault == GY_SIM_FAULT_FLIP) {
        flip_bit(machine, req->buffer, size);
    } else if (flight->fault == GY_SIM_FAULT_LOST) {
        memset(req->buffer, 0, size);
    }
    return (int32_t)size;
}

static int32_t
take_write(struct gy_sim_machine *machine, const struct gy_sim_flight *flight)
{
    const struct gy_req *req = flight->req;
    struct gy_sim_op *op = flight->op;

    if (op->data != NULL && !gy_sim_blob_holds(op->data, req->buffer)) {
        gy_sim_violate(machine, req, "the buffer of a write in flight was edited");
    }
    if (is_not_now(flight)) {
        return -flight->fault_errno;
    }
    if (flight->is_short) {
        op->size = short_size(machine, req, op->size);
    }
    switch (flight->fault) {
    case GY_SIM_FAULT_ERROR:
        op->flags &= (uint8_t)~GY_IO_DSYNC;
        if ((gy_rng_next(&machine->fault_rng) & 1u) != 0) {
            op->size = short_size(machine, req, op->size);
            (void)gy_sim_op_apply(machine->disk, op); /* the caller hears of the other error */
        }
        return -flight->fault_errno;
    case GY_SIM_FAULT_LOST:
        return (int32_t)op->size;
    case GY_SIM_FAULT_FLIP:
        flip_data(machine, op);
        break;
    case GY_SIM_FAULT_ZERO:
        zero_data(machine, op);
        break;
    case GY_SIM_FAULT_MISDIRECT:
        op->offset = misdirect(machine, req);
        break;
    default:
        break;
    }
    return gy_sim_op_apply(machine->disk, op);
}

static int32_t
take_sync(struct gy_sim_machine *machine, const struct gy_sim_flight *flight)
{
    const uint32_t ino = flight->op->ino;

    if (flight->fault == GY_SIM_FAULT_LOST) {
        return 0;
    }
    if (flight->fault == GY_SIM_FAULT_ERROR) {
        if (!gy_sim_disk_inode(machine->disk, ino)->is_dir && !is_not_now(flight)) {
            gy_sim_file_sync_failed(machine->disk, ino, flight->op->seq);
        }
        return -flight->fault_errno;
    }
    return gy_sim_op_apply(machine->disk, flight->op);
}

/* The last component of a path, for messages and fault rules. */
static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static int32_t
take_open(struct gy_sim_machine *machine, const struct gy_sim_flight *flight)
{
    const struct gy_req *req = flight->req;
    const char *name = base_name(req->name);
    struct gy_sim_slot *slot;
    uint32_t index = 0;
    int32_t ino;

    while (index < machine->slot_count && machine->slots[index].is_open) {
        index++;
    }
    if (index == machine->config.file_count_max) {
        return -EMFILE; /* before anything is created */
    }
    ino = gy_sim_op_apply(machine->disk, flight->op);
    if (ino < 0) {
        return ino;
    }
    if (index == machine->slot_count) {
        machine->slot_count++;
        machine->slots = gy_sim_grow(machine->disk->heap, machine->slots, &machine->slot_capacity,
                                     machine->slot_count, sizeof(*machine->slots));
    }
    slot = &machine->slots[index];
    *slot = (struct gy_sim_slot){.is_open = true, .flags = req->flags, .ino = (uint32_t)ino};
    memcpy(slot->name, name, strnlen(name, sizeof(slot->name) - 1));
    gy_sim_disk_open_slot(machine->disk, slot->ino);
    return (int32_t)index;
}

static uint64_t
lock_owner(const struct gy_sim_machine *machine, uint32_t slot)
{
    return machine->id << 32 | (slot + 1);
}

void
gy_sim_slot_release(struct gy_sim_machine *machine, uint32_t slot)
{
    if (machine->slots[slot].is_shared_lock) {
        gy_sim_disk_unlock_shared(machine->disk, machine->slots[slot].ino);
    }
    gy_sim_disk_close_slot(machine->disk, machine->slots[slot].ino, lock_owner(machine, slot));
    machine->slots[slot] = (struct gy_sim_slot){.is_open = false};
}

static int32_t
take_lock(struct gy_sim_machine *machine, const struct gy_req *req)
{
    struct gy_sim_slot *slot = &machine->slots[req->slot];
    int result;

    if ((req->flags & GY_LOCK_SHARED) == 0) {
        return gy_sim_disk_lock(machine->disk, slot->ino, lock_owner(machine, req->slot));
    }
    if (slot->is_shared_lock) {
        return 0;
    }
    result = gy_sim_disk_lock_shared(machine->disk, slot->ino);
    slot->is_shared_lock = result == 0;
    return result;
}

/* Nothing, less, or more than there is. */
static uint64_t
wrong_length(struct gy_sim_machine *machine, uint64_t size)
{
    const uint64_t other = gy_rng_below(&machine->fault_rng, size + 2 * GY_PAGE);
    const uint64_t aligned = (gy_rng_next(&machine->fault_rng) & 3u) == 0
                                 ? other
                                 : gy_align_down(other, machine->disk->config.sector_size);

    return aligned != size ? aligned : size + machine->disk->config.sector_size;
}

static int32_t
take_list(struct gy_sim_machine *machine, const struct gy_req *req)
{
    const struct gy_sim_inode *dir =
        gy_sim_disk_inode(machine->disk, machine->slots[req->slot].ino);

    if (!dir->is_dir) {
        return -ENOTDIR;
    }
    for (uint32_t i = 0; i < dir->entries.count; i++) {
        req->list(req->list_arg, dir->entries.items[i].name, !dir->entries.items[i].is_dir);
    }
    return 0;
}

int32_t
gy_sim_take_effect(struct gy_sim_machine *machine, struct gy_sim_flight *flight)
{
    struct gy_req *req = flight->req;

    switch (req->op) {
    case GY_OP_READ:
        return take_read(machine, flight);
    case GY_OP_WRITE:
        return take_write(machine, flight);
    case GY_OP_SYNC:
        return take_sync(machine, flight);
    default:
        break;
    }
    if (flight->fault == GY_SIM_FAULT_ERROR && req->op != GY_OP_CLOSE) {
        return -flight->fault_errno;
    }
    switch (req->op) {
    case GY_OP_OPEN:
        return take_open(machine, flight);
    case GY_OP_CLOSE:
        gy_sim_slot_release(machine, req->slot);
        return 0;
    case GY_OP_STAT:
        req->ret_size = gy_sim_disk_inode(machine->disk, machine->slots[req->slot].ino)->size;
        if (flight->fault == GY_SIM_FAULT_LENGTH) {
            req->ret_size = wrong_length(machine, req->ret_size);
        }
        return 0;
    case GY_OP_ALLOCATE:
    case GY_OP_TRUNCATE:
        return flight->fault == GY_SIM_FAULT_LOST ? 0 : gy_sim_op_apply(machine->disk, flight->op);
    case GY_OP_LIST:
        return take_list(machine, req);
    case GY_OP_LOCK:
        return take_lock(machine, req);
    case GY_OP_FREE_SPACE:
        req->ret_size = gy_sim_disk_free_bytes(machine->disk);
        return 0;
    default:
        return gy_sim_op_apply(machine->disk, flight->op);
    }
}
