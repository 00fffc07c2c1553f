/* test_world_sim_contract.c - the simulated world keeps the same contract as the real ones, with
 * every sector size and latency style, with short transfers, and without breaking a rule of its
 * own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "io/base/heap.h"
#include "io/sim/world_sim.h"
#include "tests/support/world_contract.h"

struct machine {
    struct gy_world_sim_config config;
    struct gy_sim_disk *disk;
};

static void
violated(void *arg, const char *text)
{
    (void)arg;
    fail_msg("violation: %s", text);
}

static struct gy_world *
machine_open(void *arg)
{
    struct machine *machine = arg;
    struct gy_world *world = NULL;

    machine->config.seed++; /* another run of luck after each close */
    return gy_world_sim_open(&machine->config, machine->disk, &world) == GYRE_OK ? world : NULL;
}

/* Latency styles come from the seed; six runs meet all three with both sector sizes. */
static int
run_with(uint64_t seed, uint32_t sector_size, uint32_t short_ppm)
{
    const struct gy_sim_disk_config disk_config = {.sector_size = sector_size, .seed = seed};
    struct machine machine;
    struct gy_heap heap;
    char name[64];
    int failed;
    const struct world_contract contract = {
        .name = name, .directory = "/stores", .open = machine_open, .arg = &machine};

    (void)snprintf(name, sizeof(name), "world_sim seed %llu, sectors of %u, short %u ppm",
                   (unsigned long long)seed, sector_size, short_ppm);
    gy_heap_init(&heap, UINT64_MAX);
    machine.disk = gy_sim_disk_make(&disk_config, &heap);
    gy_world_sim_config_init(&machine.config, seed);
    machine.config.faults.short_ppm = short_ppm;
    machine.config.on_violation = violated;
    failed = gy_sim_disk_make_dir(machine.disk, "/stores") == 0 ? 0 : 1;
    failed += world_contract_run(&contract);
    gy_sim_disk_free(machine.disk);
    return failed + (heap.used == 0 ? 0 : 1);
}

int
main(void)
{
    int failed = 0;

    for (uint64_t seed = 1; seed <= 6; seed++) {
        failed += run_with(seed * 100, seed % 2 == 0 ? 512 : 4096, seed <= 3 ? 0 : 300000);
    }
    return failed;
}
