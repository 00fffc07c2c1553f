/* report.h - what is printed of a run: text for people, or one JSON object. */
#ifndef GYRE_BENCH_REPORT_H
#define GYRE_BENCH_REPORT_H

#include "bench/gyre_bench/measure.h"
#include "bench/gyre_bench/run.h"

struct report {
    const struct settings *settings;
    const struct run *run;
    struct moment start;     /* after the warm-up */
    struct moment answered;  /* when the last operation was answered */
    struct moment end;       /* after settling; else the same */
    uint64_t peak_rss;
    double live_user_bytes;  /* keys that are there times their size; 0 = not known */
    bool is_settled;
    bool is_interrupted;
};

void report_print(const struct report *report);

/* Everything that is computed rather than counted; used by both forms. */
struct figures {
    double seconds, settle_seconds;
    double ops_per_sec, ops_per_sec_settled, mb_per_sec;
    double cpu_us_per_op;            /* settling included */
    double cpu_us_per_op_foreground; /* until the last answer */
    double write_amplification, read_amplification, space_amplification;
    double found_fraction;
    uint64_t device_read, device_written, proc_read, proc_written;
};

struct figures report_figures(const struct report *report);
void report_print_json(const struct report *report, const struct figures *figures);

#endif
