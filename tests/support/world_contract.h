/* world_contract.h - one suite for every implementation of struct gy_world (io/world.h, S1 to S6).
 *
 * It knows nothing of the machine below: a factory opens worlds over one and the same storage, and
 * names a directory in it that is there and empty. Transfers may be short, time may be virtual. */
#ifndef GY_TEST_WORLD_CONTRACT_H
#define GY_TEST_WORLD_CONTRACT_H

#include "io/world.h"

struct world_contract {
    const char *name;      /* of the test group */
    const char *directory; /* path of a directory that is there (GY_DIR_CWD) */
    struct gy_world *(*open)(void *arg); /* over the same storage; closed through its ops */
    void *arg;
};

/* Runs the whole suite as a cmocka group; returns the number of failed tests. */
int world_contract_run(const struct world_contract *contract);

#endif
