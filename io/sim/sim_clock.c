/* sim_clock.c - clocks of the simulated machine that jump. */
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/sim/sim_machine.h"

#define MILLION 1000000u
#define LEAP_DEFAULT_NS (12 * 3600 * GY_NS_PER_S)
#define YEAR_US (365ull * 24 * 3600 * 1000000)

static bool
strikes(struct gy_sim_machine *machine, uint32_t ppm)
{
    return ppm != 0 && gy_rng_below(&machine->clock_rng, MILLION) < ppm;
}

void
gy_sim_jump_clocks(struct gy_sim_machine *machine)
{
    const struct gy_sim_clock *clock = &machine->config.clock;

    if (strikes(machine, clock->wall_jump_ppm)) {
        gy_world_sim_set_wall_us(&machine->base,
                                 machine->config.wall_us - 10 * YEAR_US +
                                     gy_rng_below(&machine->clock_rng, 20 * YEAR_US));
    }
    if (strikes(machine, clock->leap_ppm)) {
        const uint64_t most = clock->leap_ns_max != 0 ? clock->leap_ns_max : LEAP_DEFAULT_NS;

        gy_world_sim_leap(&machine->base, gy_rng_below(&machine->clock_rng, most) + 1);
    }
}

void
gy_world_sim_set_wall_us(struct gy_world *world, uint64_t wall_us)
{
    struct gy_sim_machine *machine = gy_sim_machine_of(world);

    machine->wall_offset_us = wall_us - machine->now_ns / GY_NS_PER_US;
}

void
gy_world_sim_leap(struct gy_world *world, uint64_t ns)
{
    struct gy_sim_machine *machine = gy_sim_machine_of(world);

    gy_assert(ns < GY_SIM_NEVER / 2 - machine->now_ns);
    machine->now_ns += ns;
}
