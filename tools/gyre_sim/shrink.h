/* shrink.h - make a failing seed small: leave out operations, as many as will go, for as long as it
 * still fails. */
#ifndef GYRE_SIM_SHRINK_H
#define GYRE_SIM_SHRINK_H

#include "tools/gyre_sim/run.h"

/* Prints what it does and what is left. False: the seed does not fail. */
bool shrink_seed(uint64_t seed, const struct effort *effort);

/* A set of operations as text, "0-3,17,400" or "none", and back; false when it is not one. */
void shrink_print_ops(const uint64_t *kept);
bool shrink_parse_ops(const char *text, uint64_t *ret_kept);
#define SHRINK_WORDS (RUN_OPS_TOTAL / 64)

#endif
