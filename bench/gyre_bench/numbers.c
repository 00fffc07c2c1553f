/* numbers.c - numbers from text. */
#include "bench/gyre_bench/numbers.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool
number_parse_count(const char *text, uint64_t *ret_count)
{
    static const char units[] = "kmgt";
    uint64_t count;
    char *end;

    if (isdigit((unsigned char)text[0]) == 0) {
        return false;
    }
    errno = 0;
    count = strtoull(text, &end, 10);
    if (errno != 0) {
        return false;
    }
    if (*end != '\0') {
        const char *unit = strchr(units, tolower((unsigned char)*end));
        const uint64_t shift = unit == NULL ? 0 : 10u * (uint64_t)(unit - units + 1);

        if (unit == NULL || count > UINT64_MAX >> shift) {
            return false;
        }
        end++;
        if (*end != '\0' && strcasecmp(end, "b") != 0 && strcasecmp(end, "i") != 0 &&
            strcasecmp(end, "ib") != 0) {
            return false;
        }
        count <<= shift;
    }
    *ret_count = count;
    return true;
}

bool
number_parse_time(const char *text, uint64_t *ret_ns)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"", 1},   {"s", 1},    {"ms", 1e-3},  {"us", 1e-6},
                 {"m", 60}, {"h", 3600}, {"d", 86400.0}};
    double number;
    char *end;

    if (isdigit((unsigned char)text[0]) == 0) {
        return false;
    }
    number = strtod(text, &end);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].name) == 0) {
            const double seconds = number * units[i].seconds;

            if (!(seconds == 0.0 || (seconds >= 1e-6 && seconds <= 1e7))) {
                return false;
            }
            *ret_ns = (uint64_t)(seconds * 1e9 + 0.5);
            return true;
        }
    }
    return false;
}

bool
number_parse_real(const char *text, double low, double high, double *ret_number)
{
    char *end;
    const double number = strtod(text, &end);

    /* Written so that a NaN is refused. */
    if (end == text || *end != '\0' || !(number >= low && number <= high)) {
        return false;
    }
    *ret_number = number;
    return true;
}
