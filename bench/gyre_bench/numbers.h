/* numbers.h - numbers as fio writes them: 64k, 1.5, 10s. */
#ifndef GYRE_BENCH_NUMBERS_H
#define GYRE_BENCH_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

/* "4096", "64k", "1M", "2Gi": powers of 1024, upper or lower case, with or without "b", "ib". */
bool number_parse_count(const char *text, uint64_t *ret_count);

/* "10" seconds, "500ms", "20us", "2m", "1h", "0.5"; at least 1 us unless 0, at most 10,000,000 s.
 * */
bool number_parse_time(const char *text, uint64_t *ret_ns);

/* A decimal number within [low, high]. */
bool number_parse_real(const char *text, double low, double high, double *ret_number);

#endif
