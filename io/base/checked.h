/* checked.h - marks in the code for the checker (tools/gyre_sim): states that its runs have to
 * reach, and bugs planted on purpose to prove that it finds them.
 *
 * Only the build that the checker links (target gyre_checked, GYRE_CHECKED) sees them; in the
 * library that users link both macros are nothing, and no other code may depend on them.
 *
 *   GY_SOMETIMES(state)  counts that this point was passed; states.h lists them all
 *   GY_MUTANT(mutant)    true when this planted bug was chosen for the run; mutants.h lists them
 *   GY_COMMITTED(db, sequence, count)
 *                        a commit of `count` operations has just got its place in the order of
 *                        commits, and nobody has seen it yet: the checker's model takes it in
 */
#ifndef GY_CHECKED_H
#define GY_CHECKED_H

#ifdef GYRE_CHECKED

#include <stddef.h>
#include <stdint.h>

#include "io/base/mutants.h"
#include "io/base/states.h"

enum gy_state {
#define X(name) GY_STATE_##name,
    GY_STATES(X)
#undef X
        GY_STATE_COUNT
};

enum gy_mutant {
    GY_MUTANT_none,
#define X(number, name, text) GY_MUTANT_##name = (number),
    GY_MUTANTS(X)
#undef X
};

extern uint64_t gy_state_counts[GY_STATE_COUNT];
extern enum gy_mutant gy_mutant_chosen;

struct gyre_db;
extern void (*gy_committed)(struct gyre_db *db, uint64_t sequence, uint32_t count);

#define GY_COMMITTED(db, sequence, count) \
    ((void)(gy_committed != NULL ? gy_committed(db, sequence, count) : (void)0))
#define GY_SOMETIMES(state) ((void)(gy_state_counts[GY_STATE_##state]++))
#define GY_MUTANT(mutant) (gy_mutant_chosen == GY_MUTANT_##mutant)

#else

#define GY_COMMITTED(db, sequence, count) ((void)0)
#define GY_SOMETIMES(state) ((void)0)
#define GY_MUTANT(mutant) (0)

#endif

#endif
