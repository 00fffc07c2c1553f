/* plugin.h - `gyre_sim run FILE.so`: explore a user's own code (gyre/sim.h). */
#ifndef GYRE_SIM_PLUGIN_H
#define GYRE_SIM_PLUGIN_H

#include <stdint.h>

/* Prints what was found. The exit code: 0 nothing, 1 a failure, 2 the file is no plug-in. */
int plugin_run(const char *path, uint64_t seed_first, uint64_t seed_count);

#endif
