/* job.h - what the user asked for: jobs, and how to print. Filled by options.c from the command
 * line (command_line.c) and job files (job_file.c); checked and completed by job_check.c. */
#ifndef GYRE_BENCH_JOB_H
#define GYRE_BENCH_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/gyre_bench/distribution.h"
#include "bench/gyre_bench/sizes.h"
#include "bench/gyre_bench/workload.h"

#define JOBS_MAX 128u
#define GIVEN_MAX 96u
#define SLOTS_MAX 65536u
#define NO_LIMIT UINT64_MAX
#define UNSET (UINT64_MAX - 1)

enum { GO_ON = -1, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SIGNAL = 128 };

enum durability {
    DURABILITY_DEFAULT, /* of the workload: buffered, or durable */
    DURABILITY_DURABLE,
    DURABILITY_BUFFERED,
    DURABILITY_NOWAL
};
enum compression { COMPRESSION_DEFAULT, COMPRESSION_NONE, COMPRESSION_ZSTD };
enum rate_process { RATE_LINEAR, RATE_POISSON };

struct option;
struct engine_type;

/* An option as it was given, for reports and messages. */
struct given {
    const struct option *option;
    const char *text;
    const char *file; /* NULL: the command line */
    uint32_t line;
    bool is_global;
};

struct job {
    const char *name;
    const char *description;
    const struct workload *workload;
    const struct engine_type *engine;
    const char *db;

    /* how much */
    uint64_t records; /* keys, numbered 0..records-1; UNSET = of the store, or 1,000,000 */
    uint64_t ops;     /* 0 = records, or no bound with time_based */
    uint64_t runtime_ns, ramp_ns;
    bool time_based;

    /* callers */
    uint64_t iodepth, numjobs;
    bool group_reporting, stonewall;
    uint64_t rate_iops; /* 0 = as fast as it goes: a closed loop */
    uint32_t rate_process;
    uint64_t write_rate; /* of the side caller of readwhilewriting; 0 = closed loop */

    /* keys and values */
    uint64_t randseed;
    uint64_t key_size; /* UNSET = of the store, or 16 */
    struct sizes value_size;
    struct distribution_choice distribution;
    bool is_hashed; /* insertorder=hashed */
    bool unique, all_keys, verify;
    uint64_t rwmixread; /* UNSET = 50 */
    uint64_t batch;     /* UNSET = 1, multireadrandom: 32 */
    uint64_t nexts;     /* UNSET = 50, ycsb-e: 100 */
    uint64_t compress_percentage; /* UNSET = of the store, or 50 */

    /* the store */
    uint32_t durability, compression, io_kind;
    uint64_t memory, cache_size, in_flight;
    uint64_t p999_goal_ns; /* gyre; 0 = none */
    uint64_t readahead;    /* rocksdb; 0 = its own way */
    const char *options;
    bool existing, fresh, settle;
    bool crash;
    uint64_t block_size;               /* raw */
    uint64_t stall_ns, stall_after_ns; /* null */

    /* logs */
    uint64_t log_interval_ns, slow_ns;
    const char *lat_log, *iops_log, *hdr_log, *csv_log;

    uint32_t key_choice, order_choice; /* as parsed, for all_keys and is_hashed */
    uint32_t given_count;
    struct given given[GIVEN_MAX];
};

enum output_format { OUTPUT_NORMAL, OUTPUT_JSON };

struct run_settings {
    uint32_t format;
    const char *output; /* NULL = standard output */
    uint64_t status_ns; /* 0 = only at the end */
    uint32_t eta;
    bool parse_only;
    struct job defaults; /* [global] */
    uint32_t job_count;
    struct job jobs[JOBS_MAX];
};
enum eta { ETA_AUTO, ETA_ALWAYS, ETA_NEVER };

void job_init(struct job *job);
bool job_has(const struct job *job, const char *option_name); /* was it given? */

/* What can be said of all jobs without a look at a store; gives defaults that follow from others.
 * GO_ON, or EXIT_USAGE with the reason printed. */
int jobs_check(struct run_settings *settings);
/* Do these two belong to one group, that is run at the same time on one store? */
bool jobs_start_group(const struct job *job);

#endif
