/* states.h - states that a campaign of the checker has to reach, by name: GY_SOMETIMES(name) in the
 * engine, sim_reached in the checker. One that is never reached means that something is not tested,
 * so CI fails then. Sorted by the part that reaches them. */
#ifndef GY_STATES_H
#define GY_STATES_H

/* Reached by the engine. */
#define GY_STATES_ENGINE(X)  \
    /* log */                \
    X(log_switched)          \
    X(log_poisoned)          \
    /* manifest */           \
    X(manifest_rotated)

#define GY_STATES(X) GY_STATES_ENGINE(X)

#endif
