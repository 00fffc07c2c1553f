/* machine.c - gyre_sim: machines, loops on them, crashes, what happened, faults. */
#include "sim/machine.h"

#include <string.h>

#include "engine/db/db.h"
#include "io/base/assert.h"
#include "io/base/bits.h"

#define MEMORY_DEFAULT (16ull * GY_MIB)
#define CACHE_DEFAULT (1ull * GY_MIB)
#define WALL_DEFAULT_US 1700000000000000ull
#define START_NS GY_NS_PER_S /* where the clock of a world stands when it opens */
#define KNOWN_FLAGS (GYRE_SIM_CHAOS | GYRE_SIM_QUOTA | GYRE_SIM_NO_STAGE)

_Static_assert((int)GYRE_SIM_CRASH_KILL == (int)GY_SIM_CRASH_KILL, "one numbering");
_Static_assert((int)GYRE_SIM_XFS == (int)GY_SIM_XFS, "one numbering");
_Static_assert((int)GYRE_SIM_ERROR == (int)GY_SIM_FAULT_ERROR, "one numbering");
_Static_assert((int)GYRE_SIM_LENGTH == (int)GY_SIM_FAULT_LENGTH, "one numbering");
_Static_assert(GYRE_SIM_FAULTS_MAX == GY_SIM_RULES_MAX, "a rule for each fault");

/* ---- Make and free ---- */

static bool
options_resolve(const struct gyre_sim_options *given, struct gyre_sim_options *ret_options)
{
    struct gyre_sim_options options = {.struct_size = sizeof(options)};

    if (given != NULL) {
        const uint8_t *bytes = (const uint8_t *)given;

        if (given->struct_size < sizeof(uint32_t)) {
            return false;
        }
        for (size_t i = sizeof(options); i < given->struct_size; i++) {
            if (bytes[i] != 0) { /* an option of a newer version */
                return false;
            }
        }
        memcpy(&options, given, gy_min_u64(given->struct_size, sizeof(options)));
        options.struct_size = sizeof(options);
    }
    *ret_options = options;
    return options.personality <= GYRE_SIM_XFS && (options.flags & ~KNOWN_FLAGS) == 0 &&
           (options.sector_size == 0 || options.sector_size == 512 || options.sector_size == 4096);
}

static struct gyre_sim_shared *
shared_make(void)
{
    struct gyre_sim_shared *shared;
    struct gy_heap heap;

    gy_heap_init(&heap, UINT64_MAX);
    shared = gy_heap_zalloc(&heap, sizeof(*shared), GY_MEM_LOOP);
    gy_assert(shared != NULL);
    shared->heap = heap;
    shared->pages = gy_sim_pages_make(&shared->heap, -1);
    return shared;
}

static void
shared_put(struct gyre_sim_shared *shared)
{
    struct gy_heap heap;

    shared->refs--;
    if (shared->refs > 0) {
        return;
    }
    gy_sim_pages_put(shared->pages);
    heap = shared->heap;
    gy_heap_free(&heap, shared);
    gy_assert(heap.used == 0);
}

/* A machine without a disk. */
static gyre_sim *
sim_make(struct gyre_sim_shared *shared, const struct gyre_sim_options *options)
{
    gyre_sim *sim = gy_heap_zalloc(&shared->heap, sizeof(*sim), GY_MEM_LOOP);

    gy_assert(sim != NULL);
    shared->refs++;
    sim->shared = shared;
    sim->options = *options;
    sim->now_ns = START_NS;
    sim->wall_us = WALL_DEFAULT_US;
    sim->faults.short_ppm = options->short_ppm;
    return sim;
}

gyre_status
gyre_sim_make(const struct gyre_sim_options *options, gyre_sim **ret_sim)
{
    struct gyre_sim_options o;
    struct gy_sim_disk_config config;
    gyre_sim *sim;

    if (ret_sim == NULL || !options_resolve(options, &o)) {
        return GYRE_INVALID;
    }
    sim = sim_make(shared_make(), &o);
    config = (struct gy_sim_disk_config){
        .sector_size = o.sector_size,
        .inode_count_max = o.inode_count_max,
        .capacity = o.capacity,
        .stage_bytes_max = (o.flags & GYRE_SIM_NO_STAGE) != 0 ? 1 : 0,
        .seed = o.seed,
        .personality = (enum gy_sim_personality)o.personality,
        .is_quota = (o.flags & GYRE_SIM_QUOTA) != 0,
        .pages = sim->shared->pages,
    };
    sim->disk = gy_sim_disk_make(&config, &sim->shared->heap);
    *ret_sim = sim;
    return GYRE_OK;
}

void
gyre_sim_free(gyre_sim *sim)
{
    struct gyre_sim_shared *shared;

    if (sim == NULL) {
        return;
    }
    gy_assert(sim->world == NULL);
    shared = sim->shared;
    gy_sim_disk_free(sim->disk);
    gy_heap_free(&shared->heap, sim);
    shared_put(shared);
}

gyre_status
gyre_sim_crash(const gyre_sim *sim, enum gyre_sim_crash_mode mode, uint64_t draw,
               gyre_sim **ret_sim)
{
    gyre_sim *copy;
    struct gy_rng rng;

    if (sim == NULL || ret_sim == NULL || (uint32_t)mode > GYRE_SIM_CRASH_KILL) {
        return GYRE_INVALID;
    }
    copy = sim_make(sim->shared, &sim->options);
    copy->options.seed = draw;
    copy->now_ns = gyre_sim_now_ns(sim);
    copy->wall_us = sim->world != NULL ? sim->world->ops->wall_us(sim->world) : sim->wall_us;
    gy_rng_init(&rng, draw);
    copy->disk = gy_sim_disk_crash(sim->disk, &rng, (enum gy_sim_crash)mode);
    *ret_sim = copy;
    return GYRE_OK;
}

/* ---- A loop on it ---- */

static void
on_event(void *arg, uint64_t event)
{
    gyre_sim *sim = arg;

    if (sim->event_hook != NULL) {
        sim->event_hook(sim, sim->event_count + event, sim->event_hook_arg);
    }
    if (sim->stop_at != 0 && sim->event_count + event == sim->stop_at) {
        gyre_sim_stop(sim);
    }
}

static void
on_reap(void *arg, uint64_t event)
{
    gyre_sim *sim = arg;

    if (sim->hook != NULL) {
        sim->hook(sim, sim->event_count + event, sim->hook_arg);
    }
}

static void
on_violation(void *arg, const char *text)
{
    gyre_sim *sim = arg;
    const size_t size = strnlen(text, sizeof(sim->violation) - 1);

    if (sim->violation[0] == '\0') {
        memcpy(sim->violation, text, size);
    }
}

static void
on_close(void *arg)
{
    gyre_sim *sim = arg;

    sim->event_count += gy_world_sim_event_count(sim->world);
    sim->trace_hash = gy_mix64(sim->trace_hash ^ gy_world_sim_trace_hash(sim->world));
    sim->wall_us = sim->world->ops->wall_us(sim->world);
    sim->now_ns = sim->world->ops->now_ns(sim->world);
    if (sim->loop != NULL) {
        sim->allocation_count = sim->loop->io.heap.allocation_count;
    }
    sim->world = NULL;
    sim->loop = NULL;
}

static gyre_status
world_open(gyre_sim *sim)
{
    struct gy_world_sim_config config;
    gyre_status status;

    gy_world_sim_config_init(&config, gy_mix64(sim->options.seed + sim->loop_count));
    config.faults = sim->faults;
    config.clock.wall_jump_ppm = sim->options.wall_jump_ppm;
    config.clock.leap_ppm = sim->options.leap_ppm;
    config.fail_allocation = sim->fail_allocation;
    config.on_event = on_event;
    config.on_reap = on_reap;
    config.on_violation = on_violation;
    config.on_close = on_close;
    config.arg = sim;
    status = gy_world_sim_open(&config, sim->disk, &sim->world);
    if (status == GYRE_OK) {
        gy_world_sim_leap(sim->world, sim->now_ns - START_NS);
        gy_world_sim_set_wall_us(sim->world, sim->wall_us);
        sim->fail_allocation = 0;
    }
    return status;
}

gyre_status
gyre_sim_open_loop(gyre_sim *sim, const struct gyre_loop_options *options, gyre_loop **ret_loop,
                   struct gyre_error *ret_error)
{
    const struct gyre_loop_options small = {.struct_size = sizeof(small),
                                            .memory_limit = MEMORY_DEFAULT,
                                            .cache_size = CACHE_DEFAULT};
    gyre_loop *loop = NULL;
    gyre_status status;

    if (sim == NULL || ret_loop == NULL) {
        return GYRE_INVALID;
    }
    if (sim->world != NULL) {
        return GYRE_MISUSE;
    }
    status = world_open(sim);
    if (status != GYRE_OK) {
        return status;
    }
    status = gy_loop_open_on(options != NULL ? options : &small, sim->world, &loop, ret_error);
    if (status != GYRE_OK) {
        sim->world->ops->close(sim->world);
        return status;
    }
    sim->loop = loop;
    sim->loop_count++;
    if ((sim->options.flags & GYRE_SIM_CHAOS) != 0) {
        gy_rng_init(&sim->chaos, gy_mix64(sim->options.seed ^ sim->loop_count));
        loop->io.sched.chaos = &sim->chaos;
    }
    *ret_loop = loop;
    return GYRE_OK;
}

gyre_sim *
gyre_sim_of(gyre_loop *loop)
{
    return loop != NULL ? gy_world_sim_arg_of(loop->io.world, on_close) : NULL;
}

void
gyre_sim_set_hook(gyre_sim *sim, gyre_sim_hook hook, void *arg)
{
    sim->hook = hook;
    sim->hook_arg = arg;
}

void
gyre_sim_set_event_hook(gyre_sim *sim, gyre_sim_hook hook, void *arg)
{
    sim->event_hook = hook;
    sim->event_hook_arg = arg;
}

void
gyre_sim_stop_at(gyre_sim *sim, uint64_t event)
{
    sim->stop_at = event;
}

void
gyre_sim_stop(gyre_sim *sim)
{
    if (sim->world != NULL && gy_world_sim_stopped(sim->world) == GY_SIM_STOP_NOT) {
        gy_world_sim_stop(sim->world, GY_SIM_STOP_FAIL);
    }
}

/* ---- What happened ---- */

uint64_t
gyre_sim_event_count(const gyre_sim *sim)
{
    return sim->event_count + (sim->world != NULL ? gy_world_sim_event_count(sim->world) : 0);
}

uint64_t
gyre_sim_trace_hash(const gyre_sim *sim)
{
    return sim->world != NULL
               ? gy_mix64(sim->trace_hash ^ gy_world_sim_trace_hash(sim->world))
               : sim->trace_hash;
}

uint64_t
gyre_sim_now_ns(const gyre_sim *sim)
{
    return sim->world != NULL ? gy_world_sim_now_ns(sim->world) : sim->now_ns;
}

const char *
gyre_sim_violation(const gyre_sim *sim)
{
    return sim->violation;
}

uint64_t
gyre_sim_allocation_count(const gyre_sim *sim)
{
    return sim->loop != NULL ? sim->loop->io.heap.allocation_count : sim->allocation_count;
}

/* ---- Faults ---- */

static uint32_t
op_mask(uint32_t ops)
{
    static const uint32_t masks[] = {
        1u << GY_OP_READ,
        1u << GY_OP_WRITE,
        1u << GY_OP_SYNC,
        1u << GY_OP_OPEN,
        1u << GY_OP_ALLOCATE | 1u << GY_OP_TRUNCATE,
        1u << GY_OP_RENAME | 1u << GY_OP_UNLINK | 1u << GY_OP_LINK | 1u << GY_OP_MKDIR,
        1u << GY_OP_STAT | 1u << GY_OP_LIST | 1u << GY_OP_FREE_SPACE,
    };
    uint32_t mask = 0;

    for (uint32_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        mask |= (ops >> i & 1u) != 0 ? masks[i] : 0;
    }
    return mask;
}

static bool
rule_of(const struct gyre_sim_fault *fault, struct gy_sim_rule *ret_rule)
{
    if (fault->struct_size != sizeof(*fault) || fault->kind < GYRE_SIM_ERROR ||
        fault->kind > GYRE_SIM_LENGTH || fault->ops >= 2 * GYRE_SIM_OP_LOOK ||
        (fault->nth == 0) == (fault->ppm == 0) || fault->os_errno < 0 ||
        memchr(fault->name, '\0', sizeof(fault->name)) == NULL) {
        return false;
    }
    *ret_rule = (struct gy_sim_rule){.fault = (enum gy_sim_fault)fault->kind,
                                     .op_mask = op_mask(fault->ops),
                                     .nth = fault->nth,
                                     .is_repeated = fault->is_repeated != 0,
                                     .ppm = fault->ppm,
                                     .strikes_max = fault->strikes_max,
                                     .os_errno = fault->os_errno,
                                     .delay_ns = fault->delay_ns};
    memcpy(ret_rule->name, fault->name, sizeof(ret_rule->name));
    return true;
}

gyre_status
gyre_sim_set_faults(gyre_sim *sim, const struct gyre_sim_fault *faults, size_t count)
{
    struct gy_sim_faults all = {.short_ppm = sim->options.short_ppm};

    if (count > GYRE_SIM_FAULTS_MAX || (count > 0 && faults == NULL)) {
        return GYRE_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        if (!rule_of(&faults[i], &all.rules[i])) {
            return GYRE_INVALID;
        }
    }
    all.rule_count = (uint32_t)count;
    sim->faults = all;
    if (sim->world != NULL) {
        if (count == 0) {
            gy_world_sim_set_faults(sim->world, NULL); /* what was stuck completes */
        }
        gy_world_sim_set_faults(sim->world, &all);
    }
    return GYRE_OK;
}

uint64_t
gyre_sim_strike_count(const gyre_sim *sim, size_t index)
{
    return sim->world != NULL && index < GYRE_SIM_FAULTS_MAX
               ? gy_world_sim_strike_count(sim->world, (uint32_t)index)
               : 0;
}

void
gyre_sim_fail_allocation(gyre_sim *sim, uint64_t n)
{
    if (sim->loop != NULL) {
        struct gy_heap *heap = &sim->loop->io.heap;

        heap->fail_at = n != 0 ? heap->allocation_count + n : 0;
    } else {
        sim->fail_allocation = n;
    }
}

void
gyre_sim_set_wall_us(gyre_sim *sim, uint64_t wall_us)
{
    sim->wall_us = wall_us;
    if (sim->world != NULL) {
        gy_world_sim_set_wall_us(sim->world, wall_us);
    }
}

void
gyre_sim_leap(gyre_sim *sim, uint64_t ns)
{
    if (sim->world != NULL) {
        gy_world_sim_leap(sim->world, ns);
    } else {
        sim->now_ns += ns;
        sim->wall_us += ns / GY_NS_PER_US;
    }
}
