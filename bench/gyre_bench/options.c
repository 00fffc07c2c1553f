/* options.c - the table of options, and how a text becomes a value. */
#include "bench/gyre_bench/options.h"

#include <stdio.h>
#include <string.h>

#include "bench/gyre_bench/engine.h"
#include "bench/gyre_bench/keys.h"
#include "bench/gyre_bench/numbers.h"
#include "gyre/gyre.h"

const struct name_value durability_names[] = {{"default", DURABILITY_DEFAULT},
                                              {"durable", DURABILITY_DURABLE},
                                              {"buffered", DURABILITY_BUFFERED},
                                              {"nowal", DURABILITY_NOWAL},
                                              {NULL, 0}};
const struct name_value compression_names[] = {{"default", COMPRESSION_DEFAULT},
                                               {"none", COMPRESSION_NONE},
                                               {"zstd", COMPRESSION_ZSTD},
                                               {NULL, 0}};
static const struct name_value io_names[] = {
    {"auto", GYRE_IO_AUTO}, {"uring", GYRE_IO_URING}, {"blocking", GYRE_IO_BLOCKING}, {NULL, 0}};
static const struct name_value key_names[] = {{"present", 0}, {"all", 1}, {NULL, 0}};
static const struct name_value order_names[] = {{"ordered", 0}, {"hashed", 1}, {NULL, 0}};
static const struct name_value process_names[] = {
    {"linear", RATE_LINEAR}, {"poisson", RATE_POISSON}, {NULL, 0}};
static const struct name_value format_names[] = {
    {"normal", OUTPUT_NORMAL}, {"json", OUTPUT_JSON}, {NULL, 0}};
static const struct name_value eta_names[] = {
    {"auto", ETA_AUTO}, {"always", ETA_ALWAYS}, {"never", ETA_NEVER}, {NULL, 0}};

#define AT(field) offsetof(struct job, field)
#define OF_RUN(field) .is_of_run = true, .offset = offsetof(struct run_settings, field)
#define COUNT(field, least, most) OPTION_COUNT, .offset = AT(field), .low = (least), .high = (most)
#define FLAG(field) OPTION_FLAG, .offset = AT(field)
#define TIME(field) OPTION_TIME, .offset = AT(field)
#define TEXT(field) OPTION_TEXT, .offset = AT(field)
#define NAME(field, list) OPTION_NAME, .offset = AT(field), .names = (list)

const struct option options[] = {
    {"name", NULL, "NAME", "begins a job on the command line; its name", TEXT(name),
     .section = "The job"},
    {"description", NULL, "TEXT", "free text, printed in reports", TEXT(description)},
    {"rw", "workload", "WORKLOAD", "what is done, see above", OPTION_WORKLOAD,
     .offset = AT(workload)},
    {"ioengine", "engine", "ENGINE", "by whom, see above (gyre)", OPTION_ENGINE,
     .offset = AT(engine)},
    {"db", "filename", "DIR", "directory of the store (needed)", TEXT(db)},
    {"records", "num", "N", "keys, numbered 0..N-1 (those of the store; 1000000)",
     COUNT(records, 1, 1ull << 40)},
    {"ops", "number_ios", "N", "operations (records; no bound with time_based)",
     COUNT(ops, 1, 1ull << 50)},
    {"runtime", NULL, "TIME", "end after this time at the latest", TIME(runtime_ns)},
    {"time_based", NULL, NULL, "go on for the whole runtime, from the start again if need be",
     FLAG(time_based)},
    {"ramp_time", NULL, "TIME", "run for so long before anything is counted", TIME(ramp_ns)},
    {"stonewall", "wait_for_previous", NULL, "start when all jobs before have ended",
     FLAG(stonewall)},

    {"iodepth", "depth", "N", "operations in flight: coroutines, or threads of a peer (1)",
     COUNT(iodepth, 1, SLOTS_MAX), .section = "Callers"},
    {"numjobs", NULL, "N", "run the job so many times at once (1)", COUNT(numjobs, 1, 1024)},
    {"group_reporting", NULL, NULL, "report the numjobs copies together", FLAG(group_reporting)},
    {"rate_iops", NULL, "N", "operations begun a second: an open loop (closed loop)",
     COUNT(rate_iops, 1, 1000000000)},
    {"rate_process", NULL, "linear|poisson", "how the beginnings are spread (linear)",
     NAME(rate_process, process_names)},
    {"write_rate", NULL, "N", "puts a second of readwhilewriting's writer (closed loop)",
     COUNT(write_rate, 1, 1000000000)},

    {"randseed", "seed", "N", "seed of keys and their order (1)", COUNT(randseed, 0, 1ull << 60),
     .section = "Keys and values"},
    {"key_size", NULL, "BYTES", "(those of the store; 16)",
     COUNT(key_size, KEY_SIZE_MIN, GYRE_KEY_SIZE_MAX)},
    {"value_size", "value_sizesplit", "SIZES",
     "BYTES, LOW-HIGH, or SIZE/PERCENT:... (those of the store; 1024)", OPTION_SIZES,
     .offset = AT(value_size)},
    {"random_distribution", "distribution", "D",
     "uniform, zipfian[:T], latest[:T], hotspot:KEYS%:OPS%, sequential (uniform)",
     OPTION_DISTRIBUTION, .offset = AT(distribution)},
    {"insertorder", NULL, "ordered|hashed", "keys ascend with their numbers, or not (ordered)",
     NAME(order_choice, order_names)},
    {"keys", NULL, "present|all", "which are read or put: those that are there, or any (present)",
     NAME(key_choice, key_names)},
    {"unique", NULL, NULL, "fillrandom, fillsync: each key once, in random order", FLAG(unique)},
    {"rwmixread", NULL, "PERCENT", "gets of randrw (50)", COUNT(rwmixread, 0, 100)},
    {"batch", NULL, "N", "puts or rows per call (1), keys per multi_get (32)",
     COUNT(batch, 1, GYRE_MULTI_GET_MAX)},
    {"nexts", "seek_nexts", "N", "steps after a seek (50), most rows of ycsb-e (100)",
     COUNT(nexts, 0, 1u << 30)},
    {"compress_percentage", "buffer_compress_percentage", "PERCENT",
     "what compression takes off a value (that of the store; 50)",
     COUNT(compress_percentage, 0, 100)},
    {"verify", NULL, NULL, "look whether values belong to their keys (1)", FLAG(verify)},

    {"durability", NULL, "durable|buffered|nowal", "of writes (buffered; fillsync: durable)",
     NAME(durability, durability_names), .section = "The store"},
    {"sync", NULL, NULL, "1: durability=durable, 0: buffered", OPTION_SYNC,
     .offset = AT(durability)},
    {"compression", NULL, "default|none|zstd", "of tables (default: none in levels 0 and 1)",
     NAME(compression, compression_names)},
    {"memory", NULL, "BYTES", "of cache, write buffers and all (256M)",
     COUNT(memory, 16u << 20, 1ull << 40)},
    {"cache_size", NULL, "BYTES", "block cache (half of memory)",
     COUNT(cache_size, 1u << 20, 1ull << 40)},
    {"existing", "use_existing", NULL, "fills: write into the store that is there", FLAG(existing)},
    {"fresh", NULL, NULL, "fills: remove the store that is there first", FLAG(fresh)},
    {"settle", NULL, NULL, "after writes wait until compaction has caught up (1)", FLAG(settle)},
    {"crash", NULL, NULL, "end without closing the store: the next run recovers it", FLAG(crash)},
    {"options", NULL, "K=V,...", "more options, in the engine's own words", TEXT(options)},
    {"readahead", NULL, "BYTES", "rocksdb: that iterators read ahead at once (its own way)",
     COUNT(readahead, 4096, 64u << 20)},
    {"in_flight", NULL, "N", "gyre: requests at the device at once (128)",
     COUNT(in_flight, 4, 4096)},
    {"p999_goal", NULL, "TIME", "gyre: goal for its requests at the device (none)",
     TIME(p999_goal_ns)},
    {"io", NULL, "auto|uring|blocking", "gyre: interface to the kernel (auto)",
     NAME(io_kind, io_names)},
    {"bs", "blocksize", "BYTES", "raw: of a block (4096, or as many as a record needs)",
     COUNT(block_size, 512, 1u << 20)},
    {"stall_time", NULL, "TIME", "null: stand still for so long, once", TIME(stall_ns)},
    {"stall_after", NULL, "TIME", "null: after so much time (0)", TIME(stall_after_ns)},

    {"log_interval", "log_avg_msec", "TIME", "interval of logs; a bare number is ms (1s)",
     TIME(log_interval_ns), .section = "Logs"},
    {"slow_time", NULL, "TIME", "what counts as a stalled operation in them (10ms)", TIME(slow_ns)},
    {"write_lat_log", NULL, "PREFIX", "mean latencies, as fio's log: PREFIX_lat.N.log",
     TEXT(lat_log)},
    {"write_iops_log", NULL, "PREFIX", "operations a second: PREFIX_iops.N.log", TEXT(iops_log)},
    {"write_hdr_log", NULL, "PREFIX", "HdrHistogram V2: PREFIX_read.N.hlog and so on",
     TEXT(hdr_log)},
    {"write_csv", NULL, "PREFIX", "throughput, percentiles, stalls: PREFIX.N.csv", TEXT(csv_log)},

    {"output-format", NULL, "normal|json", "text, or JSON as fio's (normal)", OPTION_NAME,
     OF_RUN(format), .names = format_names, .section = "The run"},
    {"output", NULL, "FILE", "where the results go (standard output)", OPTION_TEXT, OF_RUN(output)},
    {"status-interval", NULL, "TIME", "print the figures so far this often", OPTION_TIME,
     OF_RUN(status_ns)},
    {"eta", NULL, "auto|always|never", "a line of progress (auto: on a terminal)", OPTION_NAME,
     OF_RUN(eta), .names = eta_names},
    {"parse-only", NULL, NULL, "check the jobs, run nothing", OPTION_FLAG, OF_RUN(parse_only)},
};
const uint32_t option_count = sizeof(options) / sizeof(options[0]);

/* ---- Finding ---- */

static bool
same_name(const char *a, const char *b, size_t b_size)
{
    if (a == NULL || strlen(a) != b_size) {
        return false;
    }
    for (size_t i = 0; i < b_size; i++) {
        if ((a[i] == '-' ? '_' : a[i]) != (b[i] == '-' ? '_' : b[i])) {
            return false;
        }
    }
    return true;
}

const struct option *
option_find(const char *name, size_t name_size)
{
    for (uint32_t i = 0; i < option_count; i++) {
        if (same_name(options[i].name, name, name_size) ||
            same_name(options[i].alias, name, name_size)) {
            return &options[i];
        }
    }
    return NULL;
}

/* Letters to change, add or take away (Levenshtein), of short words. */
static uint32_t
distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    uint32_t row[32];

    if (a_size >= 32 || b_size >= 32) {
        return UINT32_MAX;
    }
    for (uint32_t j = 0; j <= b_size; j++) {
        row[j] = j;
    }
    for (uint32_t i = 1; i <= a_size; i++) {
        uint32_t corner = row[0];

        row[0] = i;
        for (uint32_t j = 1; j <= b_size; j++) {
            const uint32_t change = corner + (a[i - 1] != b[j - 1]);
            const uint32_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            corner = row[j];
            row[j] = change < other ? change : other;
        }
    }
    return row[b_size];
}

const char *
option_like(const char *name, size_t name_size)
{
    const char *best = NULL;
    uint32_t best_distance = 3;

    for (uint32_t i = 0; i < option_count; i++) {
        const uint32_t d = distance(name, name_size, options[i].name, strlen(options[i].name));

        if (d < best_distance) {
            best = options[i].name;
            best_distance = d;
        }
    }
    return best;
}

const char *
option_value_name(const struct name_value *names, uint32_t value)
{
    for (; names->name != NULL; names++) {
        if (names->value == value) {
            return names->name;
        }
    }
    return "?";
}

/* ---- Setting ---- */

static bool
set_name(const struct option *option, const char *text, void *target, char *error)
{
    for (const struct name_value *n = option->names; n->name != NULL; n++) {
        if (strcmp(n->name, text) == 0) {
            memcpy(target, &n->value, sizeof(n->value));
            return true;
        }
    }
    (void)snprintf(error, OPTION_ERROR_MAX, "%s is one of %s, not '%s'", option->name,
                   option->argument, text);
    return false;
}

static bool
set_count(const struct option *option, const char *text, void *target, char *error)
{
    uint64_t count = 0;

    if (!number_parse_count(text, &count) || count < option->low || count > option->high) {
        (void)snprintf(error, OPTION_ERROR_MAX, "%s takes a number from %llu to %llu, not '%s'",
                       option->name, (unsigned long long)option->low,
                       (unsigned long long)option->high, text);
        return false;
    }
    memcpy(target, &count, sizeof(count));
    return true;
}

static bool
set_time(const struct option *option, const char *text, void *target, char *error)
{
    const bool is_ms = strcmp(option->name, "log_interval") == 0;
    uint64_t ns = 0;

    if (!number_parse_time(text, &ns)) {
        (void)snprintf(error, OPTION_ERROR_MAX,
                       "%s takes a time such as 10s, 500ms or 2m, not '%s'", option->name, text);
        return false;
    }
    if (is_ms && strspn(text, "0123456789") == strlen(text)) {
        ns /= 1000; /* fio's log_avg_msec */
    }
    memcpy(target, &ns, sizeof(ns));
    return true;
}

static bool
set_flag(const struct option *option, const char *text, void *target, char *error)
{
    const bool flag = text == NULL || strcmp(text, "0") != 0;
    const uint32_t durability = flag ? DURABILITY_DURABLE : DURABILITY_BUFFERED;

    if (text != NULL && strcmp(text, "0") != 0 && strcmp(text, "1") != 0) {
        (void)snprintf(error, OPTION_ERROR_MAX, "%s is 0 or 1, not '%s'", option->name, text);
        return false;
    }
    if (option->kind == OPTION_SYNC) {
        memcpy(target, &durability, sizeof(durability));
    } else {
        memcpy(target, &flag, sizeof(flag));
    }
    return true;
}

static bool
set_pointer(const struct option *option, const char *text, void *target, char *error)
{
    const void *found = text;

    if (option->kind == OPTION_WORKLOAD) {
        found = workload_find(text);
    } else if (option->kind == OPTION_ENGINE) {
        found = engine_find(text);
    }
    if (found == NULL) {
        (void)snprintf(error, OPTION_ERROR_MAX, "%s: unknown %s '%s'; gyre-bench --help lists all",
                       option->name, option->kind == OPTION_WORKLOAD ? "workload" : "engine", text);
        return false;
    }
    memcpy(target, &found, sizeof(found));
    return true;
}

bool
option_set(const struct option *option, const char *text, void *base, char *error)
{
    void *target = (uint8_t *)base + option->offset;
    bool is_good = true;

    if (option->argument != NULL && (text == NULL || text[0] == '\0')) {
        (void)snprintf(error, OPTION_ERROR_MAX, "%s needs a value: %s", option->name,
                       option->argument);
        return false;
    }
    switch (option->kind) {
    case OPTION_FLAG:
    case OPTION_SYNC:
        return set_flag(option, text, target, error);
    case OPTION_COUNT:
        return set_count(option, text, target, error);
    case OPTION_TIME:
        return set_time(option, text, target, error);
    case OPTION_NAME:
        return set_name(option, text, target, error);
    case OPTION_TEXT:
    case OPTION_WORKLOAD:
    case OPTION_ENGINE:
        return set_pointer(option, text, target, error);
    case OPTION_SIZES:
        is_good = sizes_parse(text, target);
        break;
    case OPTION_DISTRIBUTION:
        is_good = distribution_parse(text, target);
        break;
    }
    if (!is_good) {
        (void)snprintf(error, OPTION_ERROR_MAX, "%s is %s, not '%s'", option->name, option->help,
                       text);
    }
    return is_good;
}

/* ---- Help ---- */

static void
print_rows(void)
{
    for (uint32_t i = 0; i < option_count; i++) {
        char head[64];

        if (options[i].section != NULL) {
            (void)printf("\n%s:\n", options[i].section);
        }
        (void)snprintf(head, sizeof(head), "--%s%s%s", options[i].name,
                       options[i].argument != NULL ? "=" : "",
                       options[i].argument != NULL ? options[i].argument : "");
        (void)printf("  %-33s %s\n", head, options[i].help);
    }
}

void
options_print_help(void)
{
    (void)puts("usage: gyre-bench [options] JOBFILE...\n"
               "       gyre-bench [options] WORKLOAD --db=DIR\n"
               "       gyre-bench [options] --name=JOB [options] [--name=JOB [options]]...\n\n"
               "Measure a key-value store, and the device below it, in the manner of fio(1).\n\n"
               "Workloads (rw=):");
    for (uint32_t i = 0; i < workload_count; i++) {
        (void)printf("  %-18s %s\n", workloads[i].name, workloads[i].help);
    }
    (void)puts("\nEngines (ioengine=):");
    for (uint32_t i = 0; i < engine_type_count; i++) {
        (void)printf("  %-18s %s\n", engine_types[i]->name, engine_types[i]->help);
    }
    print_rows();
    (void)puts("  --help, --version\n\n"
               "Sizes and counts may end in k, m, g, t (times 1024), times in us, ms, s, m, h.\n"
               "A flag is 1 when it stands alone; '-' and '_' are the same in names.\n"
               "See gyre-bench(1) and gyre-job(5).");
}

void
options_print_commands(void)
{
    for (uint32_t i = 0; i < option_count; i++) {
        (void)printf("%s\t%s\t%s\n", options[i].name,
                     options[i].alias != NULL ? options[i].alias : "",
                     options[i].argument != NULL ? options[i].argument : "");
    }
}
