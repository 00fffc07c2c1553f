/* measure.c - reads clocks and counters. */
#include "bench/gyre_bench/measure.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

uint64_t
time_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t
timeval_ns(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

uint64_t
cpu_now_ns(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
}

uint64_t
rss_peak_bytes(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024u;
}

static bool
read_proc_io(uint64_t *ret_read, uint64_t *ret_written)
{
    FILE *file = fopen("/proc/self/io", "re");
    char line[128];
    uint32_t found = 0;

    if (file == NULL) {
        return false;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        found += sscanf(line, "read_bytes: %" SCNu64, ret_read) == 1;
        found += sscanf(line, "write_bytes: %" SCNu64, ret_written) == 1;
    }
    (void)fclose(file);
    return found == 2;
}

void
moment_take(struct moment *moment, gyre_db *db)
{
    *moment = (struct moment){.db.struct_size = sizeof(moment->db),
                              .loop.struct_size = sizeof(moment->loop)};
    /* Both can only fail for a wrong argument; zeros would be seen in the report. */
    (void)gyre_stats(db, &moment->db);
    (void)gyre_loop_stats(gyre_db_loop(db), &moment->loop);
    moment->has_proc_io = read_proc_io(&moment->proc_read_bytes, &moment->proc_written_bytes);
    moment->cpu_ns = cpu_now_ns();
    moment->time_ns = time_now_ns();
}

double
ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}
