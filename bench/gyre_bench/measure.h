/* measure.h - clocks and counters of the process, the kernel and the block device at one moment. */
#ifndef GYRE_BENCH_MEASURE_H
#define GYRE_BENCH_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

/* Of the whole device, whoever uses it: /sys/dev/block/M:N/stat. */
struct disk {
    char name[32]; /* "" = not known */
    uint64_t reads, reads_merged, read_bytes, read_ms;
    uint64_t writes, writes_merged, written_bytes, write_ms;
    uint64_t busy_ms, queue_ms;
};

struct moment {
    uint64_t time_ns;
    uint64_t cpu_ns;             /* of all threads of the process, kernel workers too */
    uint64_t user_ns, system_ns; /* the same, divided by samples of the kernel */
    uint64_t switches, major_faults, minor_faults;
    uint64_t read_bytes, written_bytes; /* /proc/self/io: what reached the block layer */
    bool has_proc_io;                   /* not in every container */
    struct disk disk;
};

/* `path`: a file or directory on the device that is meant. */
void moment_take(struct moment *moment, const char *path);

uint64_t time_now_ns(void);   /* CLOCK_MONOTONIC */
uint64_t thread_cpu_ns(void); /* of the calling thread */

/* The most memory that the process had, since rss_peak_reset where the kernel allows that. */
uint64_t rss_peak_bytes(void);
void rss_peak_reset(void);

/* Blocks that the files below a directory take; 0 = there is none. */
uint64_t directory_bytes(const char *path);
/* Free bytes of the file system that `path` (or its nearest parent that exists) is on. */
uint64_t free_bytes(const char *path);

/* NAN where the divisor is 0: printed as "-", or null. */
double ratio(double a, double b);

#endif
