/* hostile.h - blocks whose checksums fit and whose bytes do not: somebody made them so. Reading one
 * ends, and never looks outside of it. */
#ifndef GYRE_SIM_HOSTILE_H
#define GYRE_SIM_HOSTILE_H

#include <stdint.h>

/* Some blocks drawn from `seed`; fails by itself. */
void hostile_run(uint64_t seed);

#endif
