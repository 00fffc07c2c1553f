/* settings.h - what the user asked for: the workload and its options, from the command line. */
#ifndef GYRE_BENCH_SETTINGS_H
#define GYRE_BENCH_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "gyre/gyre.h"

enum workload_kind {
    WORKLOAD_FILLRANDOM,
    WORKLOAD_FILLSEQ,
    WORKLOAD_FILLSYNC,
    WORKLOAD_OVERWRITE,
    WORKLOAD_READRANDOM,
    WORKLOAD_MULTIGET,
    WORKLOAD_READMISSING,
    WORKLOAD_READSEQ,
    WORKLOAD_SEEKRANDOM,
    WORKLOAD_COUNT
};

#define DEPTH_MAX 65536u
#define KEY_SIZE_MIN 4u
#define NO_LIMIT UINT64_MAX
#define UNSET (UINT64_MAX - 1)

enum { GO_ON = -1, EXIT_USAGE = 2 };

struct settings {
    enum workload_kind workload;
    const char *db;
    uint64_t num;           /* keys, numbered 0..num-1 */
    uint64_t ops;           /* operations of the measured phase; NO_LIMIT = until --duration */
    uint64_t warmup;        /* operations before it */
    uint64_t duration_ns;   /* 0 = by count */
    uint64_t seed;
    uint64_t cache_size;    /* 0 = the library's default */
    uint64_t memory;        /* 0 = chosen by main.c */
    uint64_t key_size;
    uint64_t value_size;
    uint64_t depth;         /* coroutines; 0 = calls from main() */
    uint64_t in_flight;     /* 0 = the library's default */
    uint64_t batch;         /* writes per call; keys per multi_get */
    uint64_t nexts;
    double compress_ratio;  /* of values: compressed / plain */
    uint32_t io_kind;
    uint32_t durability;
    uint32_t compression;
    bool is_write;
    bool use_existing;
    bool fresh;             /* remove a store that is there */
    bool unique;            /* fills: each key once, in random order */
    bool all_keys;          /* reads: also keys that the fill did not write */
    bool settle;
    bool verify;            /* look at the values that are read */
    bool json;
    const char *options;    /* for gyre_options_parse; NULL = none */
};

const char *workload_name(enum workload_kind workload);

/* Fill *settings; GO_ON, or the exit code (0 after --help and --version, 2 for an error, which has
 * been printed). num, ops, batch, key_size and value_size stay UNSET where they were not given. */
int settings_parse(struct settings *settings, int argc, char **argv);

/* Give what is UNSET its value: that of the fill which made the store (0 = none is known), or the
 * default. Check what depends on several options. GO_ON, or 2. */
int settings_resolve(struct settings *settings, uint64_t num, uint64_t key_size,
                     uint64_t value_size);

/* Print "gyre-bench: ..." to stderr and return 2. */
GYRE_PRINTF(1, 2) int usage_error(const char *format, ...);

#endif
