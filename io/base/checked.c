/* checked.c - what checked.h counts; empty in the library that users link. */
#include "io/base/checked.h"

#ifdef GYRE_CHECKED

uint64_t gy_state_counts[GY_STATE_COUNT];
enum gy_mutant gy_mutant_chosen;
void (*gy_committed)(struct gyre_db *db, uint64_t sequence, uint32_t count);

#else

typedef int gy_checked_is_off; /* ISO C wants something in a file */

#endif
