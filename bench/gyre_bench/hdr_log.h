/* hdr_log.h - histograms as HdrHistogram writes them: log format 1.3, V2 payload, compressed with
 * zlib's "stored" blocks, so that no zlib is needed here and any reader takes it.
 *
 * A histogram of histogram.h is one of HdrHistogram with lowest discernible value 1 and 2
 * significant digits: 256 sub-buckets, the same index for every value. So counts go over as they
 * are.
 */
#ifndef GYRE_BENCH_HDR_LOG_H
#define GYRE_BENCH_HDR_LOG_H

#include <stdbool.h>
#include <stdio.h>

#include "bench/gyre_bench/histogram.h"

/* The head of a log that starts at `start_seconds` since 1970. */
void hdr_log_begin(FILE *file, double start_seconds);

/* One line: `interval` covers length_seconds from start_seconds on (since the log's start); values
 * are ns. False: no memory. */
bool hdr_log_add(FILE *file, double start_seconds, double length_seconds,
                 const struct histogram *interval);

#endif
