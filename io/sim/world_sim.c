/* world_sim.c - the simulated machine behind the seam: submit, reap, the clock, open and close.
 *
 * Requests wait in one list by the moment they are due. reap() takes them from its head, so the
 * order of completion is the order of the latencies that the seed gave, whatever the order of
 * submission.
 */
#include "io/sim/world_sim.h"

#include <errno.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/sim/sim_machine.h"

#define FILE_SIZE_MAX (64 * GY_GIB)
#define IDLE_REAPS_MAX \
    100000u              /* then the caller spins for ever: better a dead test than a hung one */
#define STOPPED_NS 1000u /* how long a stopped machine takes to say -EIO */

/* ---- Submit ---- */

/* The slot, if it can take a request; NULL and a violation if it cannot. */
static struct gy_sim_slot *
slot_of(struct gy_sim_machine *machine, const struct gy_req *req, uint32_t slot)
{
    if (slot >= machine->slot_count || !machine->slots[slot].is_open ||
        machine->slots[slot].is_closing) {
        gy_sim_violate(machine, req, "a request for a slot that is not open");
        return NULL;
    }
    return &machine->slots[slot];
}

/* Directory and name of one of the two names of a request. */
static int32_t
resolve(struct gy_sim_machine *machine, const struct gy_req *req, uint32_t dir, const char *name,
        uint32_t *ret_ino, char ret_name[GY_SIM_NAME_SIZE])
{
    const struct gy_sim_slot *slot;

    gy_assert(name != NULL);
    if (dir == GY_DIR_CWD) {
        return gy_sim_fs_resolve(machine->disk, GY_SIM_ROOT, name, ret_ino, ret_name);
    }
    slot = slot_of(machine, req, dir);
    if (slot == NULL) {
        return -EBADF;
    }
    if (strchr(name, '/') != NULL || name[0] == '\0') {
        return -EINVAL;
    }
    if (strcmp(name, "..") == 0) {
        return -EXDEV; /* as the kernel says to RESOLVE_BENEATH */
    }
    if (!gy_sim_disk_inode(machine->disk, slot->ino)->is_dir) {
        return -ENOTDIR;
    }
    return gy_sim_fs_resolve(machine->disk, slot->ino, name, ret_ino, ret_name);
}

static int32_t
check_names(struct gy_sim_machine *machine, const struct gy_req *req, struct gy_sim_op *op)
{
    int32_t error = resolve(machine, req, req->dir, req->name, &op->ino, op->name);

    if (error == 0 && req->op == GY_OP_LINK) {
        error = resolve(machine, req, req->dir_new, req->name_new, &op->ino_new, op->name_new);
    } else if (error == 0 && req->op == GY_OP_RENAME) {
        error = resolve(machine, req, req->dir, req->name_new, &op->ino_new, op->name_new);
        if (error == 0 && op->ino_new != op->ino) {
            error = -EXDEV;
        }
    }
    return error;
}

static int32_t
check_transfer(struct gy_sim_machine *machine, const struct gy_req *req,
               const struct gy_sim_slot *slot)
{
    const uint32_t sector = machine->disk->config.sector_size;

    if (gy_sim_disk_inode(machine->disk, slot->ino)->is_dir) {
        return -EISDIR;
    }
    if (req->op == GY_OP_WRITE && (slot->flags & GY_OPEN_WRITE) == 0) {
        return -EBADF;
    }
    if (req->size > GY_IO_SIZE_MAX) {
        gy_sim_violate(machine, req, "a transfer over GY_IO_SIZE_MAX");
        return -EINVAL;
    }
    if (req->offset > FILE_SIZE_MAX - req->size) {
        return -EFBIG;
    }
    if ((slot->flags & GY_OPEN_BUFFERED) == 0 &&
        (!gy_is_aligned((uintptr_t)req->buffer, GY_PAGE) || !gy_is_aligned(req->offset, sector) ||
         !gy_is_aligned(req->size, sector))) {
        gy_sim_violate(machine, req, "a transfer off its alignment");
        return -EINVAL;
    }
    return 0;
}

/* 0, or the error that the request will end with. Fills what a crash has to know of it. */
static int32_t
check(struct gy_sim_machine *machine, const struct gy_req *req, struct gy_sim_op *op)
{
    struct gy_sim_slot *slot;

    gy_assert(req->op < GY_OP_COUNT && req->klass < GY_IO_CLASS_COUNT);
    *op = (struct gy_sim_op){
        .op = req->op, .flags = req->flags, .size = req->size, .offset = req->offset};
    if (gy_sim_op_has_names(req->op)) {
        return check_names(machine, req, op);
    }
    slot = slot_of(machine, req, req->slot);
    if (slot == NULL) {
        return -EBADF;
    }
    op->ino = slot->ino;
    switch (req->op) {
    case GY_OP_READ:
    case GY_OP_WRITE:
        return check_transfer(machine, req, slot);
    case GY_OP_ALLOCATE:
    case GY_OP_TRUNCATE:
        if (gy_sim_disk_inode(machine->disk, slot->ino)->is_dir) {
            return -EISDIR;
        }
        if ((slot->flags & GY_OPEN_WRITE) == 0) {
            return -EBADF;
        }
        return req->offset > FILE_SIZE_MAX ? -EFBIG : 0;
    case GY_OP_CLOSE:
        if (slot->request_count > 0) {
            gy_sim_violate(machine, req, "a slot closed under a request in flight");
            return -EBUSY;
        }
        slot->is_closing = true;
        return 0;
    default:
        return 0;
    }
}

/* The slots that a request keeps open: its own, or those of its directories. */
static void
hold_slots(struct gy_sim_machine *machine, const struct gy_req *req, bool is_held)
{
    uint32_t held[2] = {req->slot, GY_DIR_CWD};

    if (gy_sim_op_has_names(req->op)) {
        held[0] = req->dir;
        held[1] = req->op == GY_OP_LINK ? req->dir_new : GY_DIR_CWD;
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (held[i] != GY_DIR_CWD) {
            gy_assert(is_held || machine->slots[held[i]].request_count > 0);
            machine->slots[held[i]].request_count += is_held ? 1u : UINT32_MAX;
        }
    }
}

static void
enqueue(struct gy_sim_machine *machine, struct gy_sim_flight *flight)
{
    struct gy_list *position = &machine->flights;

    while (position->prev != &machine->flights &&
           gy_container_of(position->prev, struct gy_sim_flight, link)->due_ns > flight->due_ns) {
        position = position->prev;
    }
    gy_list_insert_before(position, &flight->link);
}

static bool
op_changes_disk(uint8_t op)
{
    return gy_sim_op_has_names(op) || op == GY_OP_WRITE || op == GY_OP_SYNC ||
           op == GY_OP_ALLOCATE || op == GY_OP_TRUNCATE;
}

static void
sim_submit(struct gy_world *world, struct gy_req *req)
{
    struct gy_sim_machine *machine = gy_sim_machine_of(world);
    struct gy_sim_flight *flight = gy_sim_zalloc(machine->disk->heap, sizeof(*flight));
    struct gy_sim_op wanted;

    flight->req = req;
    flight->error = check(machine, req, &wanted);
    gy_sim_draw_luck(machine, flight);
    if (flight->error == 0) {
        flight->is_slot_held = req->op != GY_OP_CLOSE;
        if (flight->is_slot_held) {
            hold_slots(machine, req, true);
        }
        /* A stopped machine's disk is frozen: it does not even hear of new requests. */
        if (op_changes_disk(req->op) && machine->stop == GY_SIM_STOP_NOT) {
            flight->op = gy_sim_op_begin(machine->disk, &wanted, req->buffer);
        }
        if (req->op == GY_OP_READ && req->size > 0) {
            memset(req->buffer, GY_SIM_POISON, req->size);
        }
    }
    if (machine->stop != GY_SIM_STOP_NOT) {
        flight->due_ns = machine->now_ns + STOPPED_NS;
    }
    enqueue(machine, flight);
    world->in_flight++;
    world->info.request_count++;
    gy_sim_record(machine, flight, false, 0);
}

/* ---- Reap ---- */

/* The device or the kernel said "not now", and the world asks again, as all worlds do. */
static void
ask_again(struct gy_sim_machine *machine, struct gy_sim_flight *flight)
{
    flight->fault = GY_SIM_FAULT_NONE;
    gy_sim_draw_luck(machine, flight);
    if (flight->op != NULL) { /* what the first attempt may have cut */
        flight->op->size = flight->req->size;
        flight->op->flags = flight->req->flags;
    }
    enqueue(machine, flight);
}

static void
complete(struct gy_sim_machine *machine, struct gy_sim_flight *flight, struct gy_list *finished)
{
    struct gy_req *req = flight->req;
    int32_t result = flight->error;

    gy_list_remove(&flight->link);
    if (flight->error == 0 && machine->stop == GY_SIM_STOP_NOT) {
        result = gy_sim_take_effect(machine, flight);
        if (gy_world_retries((enum gy_op)req->op, &result, &flight->tries)) {
            ask_again(machine, flight);
            return;
        }
        if (flight->op != NULL) {
            gy_sim_op_end(machine->disk, flight->op);
            flight->op = NULL;
        }
    } else if (flight->error == 0 && req->op == GY_OP_CLOSE) {
        gy_sim_slot_release(machine, req->slot); /* so that the engine can go home */
    } else if (flight->error == 0) {
        result = -EIO; /* flight->op stays with the disk, for crashes to be drawn from */
    }
    if (flight->is_slot_held) {
        hold_slots(machine, req, false);
    }
    req->result = result;
    machine->base.in_flight--;
    gy_sim_record(machine, flight, true, req->result);
    gy_heap_free(machine->disk->heap, flight);
    gy_list_push_back(finished, &req->link);
}

static struct gy_sim_flight *
first_flight(const struct gy_sim_machine *machine)
{
    return gy_list_is_empty(&machine->flights)
               ? NULL
               : gy_container_of(machine->flights.next, struct gy_sim_flight, link);
}

/* Let time pass until something is due or the deadline has come (E3). */
static void
wait_for_event(struct gy_sim_machine *machine, uint64_t deadline_ns)
{
    const struct gy_sim_flight *flight = first_flight(machine);
    uint64_t until = deadline_ns;

    if (flight != NULL && machine->stop != GY_SIM_STOP_SILENT) {
        until = gy_min_u64(until, flight->due_ns);
    }
    if (until != GY_SIM_NEVER) {
        machine->now_ns = gy_max_u64(machine->now_ns, until);
        machine->idle_reap_count = 0;
        return;
    }
    machine->idle_reap_count++;
    if (machine->stop != GY_SIM_STOP_SILENT) {
        if (machine->idle_reap_count == 1) {
            gy_sim_violate(machine, NULL, "a wait for ever: no request will complete, no deadline");
        }
        gy_assert(machine->idle_reap_count < IDLE_REAPS_MAX);
    }
}

/* E1. The callback may open other worlds on copies of the disk; it leaves this one alone, unless to
 * stop it. */
static void
tell_reap(struct gy_sim_machine *machine)
{
    if (machine->config.on_reap != NULL && machine->event_count != machine->event_reaped &&
        machine->stop == GY_SIM_STOP_NOT) {
        machine->event_reaped = machine->event_count;
        machine->config.on_reap(machine->config.arg, machine->event_count);
    }
}

static void
sim_reap(struct gy_world *world, struct gy_list *finished, bool wait, bool runnable,
         uint64_t deadline_ns)
{
    struct gy_sim_machine *machine = gy_sim_machine_of(world);
    struct gy_sim_flight *flight;

    (void)runnable; /* kernel workers need no CPU of ours here */
    world->info.enter_count++;
    machine->now_ns += machine->config.call_ns;
    machine->cpu_ns += machine->config.call_ns;
    gy_sim_jump_clocks(machine);
    tell_reap(machine);
    if (wait) {
        wait_for_event(machine, deadline_ns);
    }
    flight = first_flight(machine);
    while (flight != NULL && flight->due_ns <= machine->now_ns &&
           machine->stop != GY_SIM_STOP_SILENT) {
        complete(machine, flight, finished);
        tell_reap(machine);
        flight = first_flight(machine);
    }
}

/* ---- Clock, randomness, staging ---- */

static uint64_t
sim_now_ns(struct gy_world *world)
{
    struct gy_sim_machine *machine = gy_sim_machine_of(world);

    machine->now_ns += machine->config.call_ns;
    machine->cpu_ns += machine->config.call_ns;
    return machine->now_ns;
}

static uint64_t
sim_cpu_ns(struct gy_world *world)
{
    return gy_sim_machine_of(world)->cpu_ns;
}

static uint64_t
sim_wall_us(struct gy_world *world)
{
    const struct gy_sim_machine *machine = gy_sim_machine_of(world);

    return machine->wall_offset_us + machine->now_ns / GY_NS_PER_US; /* wraps on purpose */
}

static uint64_t
sim_random(struct gy_world *world)
{
    return gy_rng_next(&gy_sim_machine_of(world)->user_rng);
}

static void
sim_arena_add(struct gy_world *world, void *base, size_t size)
{
    (void)base;
    world->info.registered_bytes += size;
    world->info.has_registered_buffers = true;
}

/* Memory that goes away under a transfer is the worst edit in flight of all. */
static void
sim_arena_remove(struct gy_world *world, void *base, size_t size)
{
    struct gy_sim_machine *machine = gy_sim_machine_of(world);

    gy_list_for_each (node, &machine->flights) {
        const struct gy_req *req = gy_container_of(node, struct gy_sim_flight, link)->req;
        const uintptr_t start = (uintptr_t)base;

        if ((req->op == GY_OP_READ || req->op == GY_OP_WRITE) &&
            (uintptr_t)req->buffer < start + size && (uintptr_t)req->buffer + req->size > start) {
            gy_sim_violate(machine, req, "arena memory removed under a request in flight");
        }
    }
    world->info.registered_bytes = gy_sub_sat(world->info.registered_bytes, size);
    world->info.has_registered_buffers = world->info.registered_bytes > 0;
}

static void
sim_boot_id(struct gy_world *world, uint64_t ret_id[2])
{
    const struct gy_sim_disk *disk = gy_sim_machine_of(world)->disk;

    ret_id[0] = gy_mix64(disk->config.seed ^ gy_mix64(disk->boot_count + 1));
    ret_id[1] = gy_mix64(ret_id[0] + 1);
}

static int
sim_stage_create(struct gy_world *world, struct gy_stage *stage, const uint64_t id[2], size_t size)
{
    struct gy_sim_machine *machine = gy_sim_machine_of(world);

    return machine->stop != GY_SIM_STOP_NOT ? -EIO
                                            : gy_sim_stage_create(machine->disk, stage, id, size);
}

static int
sim_stage_open(struct gy_world *world, struct gy_stage *stage, const uint64_t id[2])
{
    return gy_sim_stage_open(gy_sim_machine_of(world)->disk, stage, id);
}

static bool
sim_stage_close(struct gy_world *world, struct gy_stage *stage, bool unlink)
{
    struct gy_sim_machine *machine = gy_sim_machine_of(world);

    gy_sim_stage_close(machine->disk, stage, unlink && machine->stop == GY_SIM_STOP_NOT);
    return false;
}

/* ---- Open, close, control ---- */

static void
sim_close(struct gy_world *world)
{
    struct gy_sim_machine *machine = gy_sim_machine_of(world);
    struct gy_heap *heap = machine->disk->heap;

    gy_assert(gy_list_is_empty(&machine->flights) || machine->stop == GY_SIM_STOP_SILENT);
    if (machine->config.on_close != NULL) {
        machine->config.on_close(machine->config.arg);
    }
    while (!gy_list_is_empty(&machine->flights)) { /* their ops stay with the disk */
        struct gy_list *node = gy_list_pop_front(&machine->flights);

        gy_heap_free(heap, gy_container_of(node, struct gy_sim_flight, link));
    }
    for (uint32_t i = 0; i < machine->slot_count; i++) {
        if (machine->slots[i].is_open) {
            gy_sim_slot_release(machine, i);
        }
    }
    machine->disk->worlds_open--;
    gy_heap_free(heap, machine->slots);
    gy_heap_free(heap, machine);
}

static const struct gy_world_ops SIM_OPS = {
    .submit = sim_submit,
    .reap = sim_reap,
    .now_ns = sim_now_ns,
    .cpu_ns = sim_cpu_ns,
    .wall_us = sim_wall_us,
    .random = sim_random,
    .arena_add = sim_arena_add,
    .boot_id = sim_boot_id,
    .stage_create = sim_stage_create,
    .stage_open = sim_stage_open,
    .stage_close = sim_stage_close,
    .close = sim_close,
    .arena_remove = sim_arena_remove,
};

void *
gy_world_sim_arg_of(const struct gy_world *world, void (*on_close)(void *arg))
{
    const struct gy_sim_machine *machine =
        (const struct gy_sim_machine *)(const void *)((const char *)world -
                                                      offsetof(struct gy_sim_machine, base));

    return world->ops == &SIM_OPS && machine->config.on_close == on_close ? machine->config.arg
                                                                          : NULL;
}

void
gy_world_sim_config_init(struct gy_world_sim_config *config, uint64_t seed)
{
    enum { CONSTANT, EVEN, LONG_TAIL, STYLE_COUNT };
    const uint64_t style = gy_mix64(seed + 1) % STYLE_COUNT;

    *config = (struct gy_world_sim_config){.seed = seed,
                                           .in_flight_max = 64,
                                           .file_count_max = 1024,
                                           .call_ns = 100,
                                           .wall_us = 1700000000000000ull};
    for (uint32_t op = 0; op < GY_OP_COUNT; op++) {
        uint64_t typical_ns = 20 * GY_NS_PER_US;

        if (op == GY_OP_READ) {
            typical_ns = 80 * GY_NS_PER_US;
        } else if (op == GY_OP_WRITE) {
            typical_ns = 30 * GY_NS_PER_US;
        } else if (op == GY_OP_SYNC) {
            typical_ns = 500 * GY_NS_PER_US;
        }
        config->latency[op] = (struct gy_sim_latency){.min_ns = typical_ns, .max_ns = typical_ns};
        if (style != CONSTANT) {
            config->latency[op].min_ns = typical_ns / 4;
            config->latency[op].max_ns = typical_ns * 4;
        }
        if (style == LONG_TAIL) {
            config->latency[op].tail_ppm = 10000;
            config->latency[op].tail_factor = 50;
        }
    }
}

gyre_status
gy_world_sim_open(const struct gy_world_sim_config *config, struct gy_sim_disk *disk,
                  struct gy_world **ret_world)
{
    struct gy_sim_machine *machine;

    if (config->faults.rule_count > GY_SIM_RULES_MAX || config->file_count_max == 0 ||
        config->in_flight_max == 0) {
        return GYRE_INVALID;
    }
    machine = gy_sim_zalloc(disk->heap, sizeof(*machine));
    machine->base.ops = &SIM_OPS;
    machine->base.info = (struct gy_world_info){.name = "sim",
                                                .reason = "simulated",
                                                .has_direct_io = true,
                                                .has_registered_files = true,
                                                .in_flight_max = config->in_flight_max};
    machine->base.pages = gy_sim_pages_base(disk->pages);
    machine->base.fail_allocation = config->fail_allocation;
    machine->config = *config;
    machine->disk = disk;
    if (disk->worlds_open == 0) {
        gy_sim_disk_forget_in_flight(disk);
    }
    disk->worlds_open++;
    disk->world_count++;
    machine->id = disk->world_count;
    machine->now_ns = GY_NS_PER_S; /* not 0: a deadline of 0 is always past */
    machine->wall_offset_us = config->wall_us - machine->now_ns / GY_NS_PER_US;
    gy_rng_init(&machine->time_rng, gy_mix64(config->seed ^ 0x71));
    gy_rng_init(&machine->fault_rng, gy_mix64(config->seed ^ 0x72));
    gy_rng_init(&machine->user_rng, gy_mix64(config->seed ^ 0x73));
    gy_rng_init(&machine->clock_rng, gy_mix64(config->seed ^ 0x74));
    gy_list_init(&machine->flights);
    *ret_world = &machine->base;
    return GYRE_OK;
}

static void
all_due_now(struct gy_sim_machine *machine, bool only_stuck)
{
    gy_list_for_each_safe (node, &machine->flights) {
        struct gy_sim_flight *flight = gy_container_of(node, struct gy_sim_flight, link);

        if (!only_stuck || flight->due_ns == GY_SIM_NEVER) {
            flight->due_ns = machine->now_ns;
            gy_list_remove(node);
            enqueue(machine, flight);
        }
    }
}

void
gy_world_sim_stop(struct gy_world *world, enum gy_sim_stop stop)
{
    struct gy_sim_machine *machine = gy_sim_machine_of(world);

    gy_assert(stop != GY_SIM_STOP_NOT && machine->stop == GY_SIM_STOP_NOT);
    machine->stop = stop;
    if (stop == GY_SIM_STOP_FAIL) {
        all_due_now(machine, false);
    }
}

void
gy_world_sim_set_faults(struct gy_world *world, const struct gy_sim_faults *faults)
{
    struct gy_sim_machine *machine = gy_sim_machine_of(world);

    memset(machine->rule_matches, 0, sizeof(machine->rule_matches));
    memset(machine->rule_strikes, 0, sizeof(machine->rule_strikes));
    if (faults != NULL) {
        gy_assert(faults->rule_count <= GY_SIM_RULES_MAX);
        machine->config.faults = *faults;
        return;
    }
    machine->config.faults = (struct gy_sim_faults){.rule_count = 0};
    all_due_now(machine, true);
}
