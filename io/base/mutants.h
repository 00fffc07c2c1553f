/* mutants.h - bugs planted on purpose, each a mistake that another engine has shipped: number,
 * name, what is wrong. The checker runs with one of them at a time (`gyre_sim --mutant N`) and has
 * to fail; CI fails when one survives. */
#ifndef GY_MUTANTS_H
#define GY_MUTANTS_H

#define GY_MUTANTS(X) \
    X(1, no_log_directory_sync, "a new log's directory entry is not synced")

#endif
