/* machine.c - see machine.h. */
#include "tools/gyre_sim/machine.h"

#include <malloc.h>
#include <unistd.h>

#include "io/base/bits.h"
#include "tools/gyre_sim/fail.h"

#define MEMORY_LIMIT (16 * GY_MIB)
#define CACHE_SIZE (2 * GY_MIB)
#define FILES_MAX 1024u /* tables of level 0 stay open while they are scanned */

static void
on_violation(void *arg, const char *text)
{
    (void)arg;
    fail_now("a rule of io/world.h was broken: %s", text);
}

void
machine_start(struct machine *machine, struct gy_sim_disk *disk, const struct plan *plan,
              uint64_t seed, const struct machine_hooks *hooks)
{
    struct gy_world_sim_config config;
    gyre_status status;

    gy_world_sim_config_init(&config, gy_mix64(seed));
    config.file_count_max = FILES_MAX;
    config.faults.short_ppm = plan->short_ppm;
    config.on_violation = on_violation;
    if (hooks != NULL) {
        config.on_event = hooks->on_event;
        config.on_reap = hooks->on_reap;
        config.arg = hooks->arg;
    }
    status = gy_world_sim_open(&config, disk, &machine->world);
    demand(status == GYRE_OK);
    status =
        gy_loop_open_on(GYRE_LOOP_OPTIONS(.memory_limit = MEMORY_LIMIT, .cache_size = CACHE_SIZE),
                        machine->world, &machine->loop, NULL);
    demand(status == GYRE_OK);
    /* Call the whole arena ready: touching its pages one by one is most of what a short life would
     * cost. */
    machine->loop->arena.chunk_ready = machine->loop->arena.chunk_count;
    gy_rng_init(&machine->chaos, seed + 1);
    if (plan->has_chaos) {
        machine->loop->io.sched.chaos = &machine->chaos;
        reached(chaos_scheduling);
    }
}

void
machine_stop(struct machine *machine)
{
    const gyre_status status = gyre_loop_close(machine->loop);

    demand(status == GYRE_OK);
    machine->loop = NULL;
    machine->world = NULL;
}

gyre_status
machine_open(struct machine *machine, const struct plan *plan, uint32_t flags, gyre_db **ret_db)
{
    struct gyre_options options = plan->options;
    gyre_status status;

    options.flags = flags;
    status = gyre_open(machine->loop, STORE_PATH, &options, ret_db);
    if (status != GYRE_OK) {
        *ret_db = NULL;
    }
    return status;
}

struct gy_sim_pages *
machine_pages(void)
{
    static struct gy_heap heap;
    static struct gy_sim_pages *pages;
    static pid_t owner;

    if (pages == NULL || owner != getpid()) {
        /* Disk copies come and go by the thousand: keep their memory. */
        (void)mallopt(M_MMAP_THRESHOLD, 32 << 20); /* the most that glibc takes */
        (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
        (void)mallopt(M_TOP_PAD, 1 << 24);
        gy_heap_init(&heap, UINT64_MAX);
        pages = gy_sim_pages_make(&heap, -1);
        owner = getpid();
    }
    return pages;
}
