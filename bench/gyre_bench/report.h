/* report.h - what is printed of a run: text as fio's, or JSON in fio's own schema. Groups are
 * printed as they end, so an interrupted run has all that was measured. */
#ifndef GYRE_BENCH_REPORT_H
#define GYRE_BENCH_REPORT_H

#include "bench/gyre_bench/json.h"
#include "bench/gyre_bench/run.h"

/* Everything that is computed rather than counted; used by both forms. Of the whole group:
 * processor, memory and device know nothing of its jobs. NAN: not known, or nothing to divide. */
struct derived {
    uint64_t ops, written_ops, lookups, found, rows;
    uint64_t user_read, user_written; /* bytes of keys and values */
    double seconds, settle_seconds;
    double ops_per_sec, ops_per_sec_settled;
    double cpu_us_per_op, cpu_us_per_op_foreground; /* with settling; until the last answer */
    uint64_t proc_read, proc_written, disk_read, disk_written;
    /* from /proc/self/io, the same for every engine; where the engine counts itself, from that */
    double write_amplification, read_amplification, space_amplification;
    double engine_write_amplification, engine_space_amplification, block_reads_per_lookup;
    double bytes_read_per_lookup;
    double debt;        /* compaction left when the last operation was answered */
    double longest_put_us;
    double longest_run_us;
};

struct derived report_derive(const struct group *group);

/* Results of one unit, added up. recorder_free it. */
struct recorder *unit_results(const struct unit *unit);
double unit_seconds(const struct unit *unit);

void report_text_begin(FILE *file, const struct run_settings *settings);
void report_text_group(FILE *file, const struct group *group);

void report_json_begin(struct json *json, const struct run_settings *settings);
void report_json_group(struct json *json, const struct group *group);
void report_json_end(struct json *json, const struct moment *start, const struct moment *end);

#endif
