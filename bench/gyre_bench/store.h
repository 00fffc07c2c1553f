/* store.h - the store of a group before it is opened: its note, what follows from it, its room. */
#ifndef GYRE_BENCH_STORE_H
#define GYRE_BENCH_STORE_H

#include "bench/gyre_bench/run.h"

/* Read the note, remove the store for fresh=1, give what was not given its value, refuse what does
 * not fit. GO_ON, or EXIT_USAGE with the reason printed. */
int store_prepare(struct group *group);

/* Print "gyre-bench: ..." to stderr and return EXIT_USAGE. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
