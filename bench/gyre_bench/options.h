/* options.h - one table of all options. The command line, job files, --help and the check of the
 * manual pages are made from it. */
#ifndef GYRE_BENCH_OPTIONS_H
#define GYRE_BENCH_OPTIONS_H

#include <stddef.h>

#include "bench/gyre_bench/job.h"

enum option_kind {
    OPTION_FLAG, /* name, name=1, name=0 */
    OPTION_COUNT,
    OPTION_TIME,
    OPTION_NAME,
    OPTION_TEXT,
    OPTION_SIZES,
    OPTION_DISTRIBUTION,
    OPTION_WORKLOAD,
    OPTION_ENGINE,
    OPTION_SYNC /* sync=1 is durability=durable */
};

struct name_value {
    const char *name;
    uint32_t value;
};

struct option {
    const char *name;
    const char *alias; /* NULL = none */
    const char *argument;
    const char *help;
    enum option_kind kind;
    bool is_of_run; /* of the whole run, in struct run_settings; else of a job */
    size_t offset;
    uint64_t low, high;             /* of a count */
    const struct name_value *names; /* of a name; ends with NULL */
    const char *section;            /* of --help; NULL = that of the one before */
};

extern const struct option options[];
extern const uint32_t option_count;

/* By name or alias; '-' and '_' are the same. NULL: no such option. */
const struct option *option_find(const char *name, size_t name_size);
/* The one whose name looks most like it, or NULL: for messages. */
const char *option_like(const char *name, size_t name_size);

#define OPTION_ERROR_MAX 256u
/* Set it in `base` (a job, or the run_settings for options of the run). `text` must stay; NULL = no
 * argument was given. False: `error` says why. */
bool option_set(const struct option *option, const char *text, void *base, char *error);

/* The value that an option of a name kind has, by name. */
const char *option_value_name(const struct name_value *names, uint32_t value);
extern const struct name_value durability_names[], compression_names[];

void options_print_help(void);
void options_print_commands(void); /* name, alias, argument, tab-separated: for tests */

#endif
