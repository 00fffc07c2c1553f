/* distribution.c - draws of key numbers. */
#include "bench/gyre_bench/distribution.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/gyre_bench/numbers.h"
#include "bench/gyre_bench/random.h"

static const char *const kind_names[] = {"default", "uniform", "zipfian",
                                         "latest",  "hotspot", "sequential"};

const char *
distribution_name(enum distribution_kind kind)
{
    return kind_names[kind];
}

/* ":theta", or nothing */
static bool
parse_theta(const char *text, double *ret_theta)
{
    *ret_theta = ZIPFIAN_THETA;
    return *text == '\0' || (*text == ':' && number_parse_real(text + 1, 0.01, 0.9999, ret_theta));
}

bool
distribution_parse(const char *text, struct distribution_choice *ret_choice)
{
    struct distribution_choice choice = {.kind = DISTRIBUTION_DEFAULT};
    double keys;
    double operations;
    int used = 0;
    bool is_good = false;

    if (strcmp(text, "uniform") == 0 || strcmp(text, "random") == 0) {
        choice.kind = DISTRIBUTION_UNIFORM;
        is_good = true;
    } else if (strcmp(text, "sequential") == 0) {
        choice.kind = DISTRIBUTION_SEQUENTIAL;
        is_good = true;
    } else if (strncmp(text, "zipfian", 7) == 0) {
        choice.kind = DISTRIBUTION_ZIPFIAN;
        is_good = parse_theta(text + 7, &choice.theta);
    } else if (strncmp(text, "zipf", 4) == 0) {
        choice.kind = DISTRIBUTION_ZIPFIAN;
        is_good = parse_theta(text + 4, &choice.theta);
    } else if (strncmp(text, "latest", 6) == 0) {
        choice.kind = DISTRIBUTION_LATEST;
        is_good = parse_theta(text + 6, &choice.theta);
    } else if (sscanf(text, "hotspot:%lf:%lf%n", &keys, &operations, &used) == 2 &&
               text[used] == '\0') {
        choice.kind = DISTRIBUTION_HOTSPOT;
        choice.hot_keys = keys / 100.0;
        choice.hot_operations = operations / 100.0;
        is_good = keys > 0 && keys <= 100 && operations >= 0 && operations <= 100;
    }
    if (is_good) {
        *ret_choice = choice;
    }
    return is_good;
}

/* ---- Zipfian ---- */

/* The first terms one by one, the rest by Euler and Maclaurin: off by less than 1e-9. */
double
zipfian_zeta(uint64_t n, double theta)
{
    const uint64_t exact = n < 100000 ? n : 100000;
    const double m = (double)exact;
    double zeta = 0;

    for (uint64_t i = exact; i >= 1; i--) {
        zeta += pow((double)i, -theta);
    }
    if (n > exact) {
        zeta += (pow((double)n, 1 - theta) - pow(m, 1 - theta)) / (1 - theta);
        zeta += (pow((double)n, -theta) - pow(m, -theta)) / 2;
        zeta += theta * (pow(m, -theta - 1) - pow((double)n, -theta - 1)) / 12;
    }
    return zeta;
}

void
zipfian_init(struct zipfian *zipfian, uint64_t items, double theta)
{
    zipfian->items = items;
    zipfian->theta = theta;
    zipfian->alpha = 1 / (1 - theta);
    zipfian->zeta = zipfian_zeta(items, theta);
    zipfian->zeta2 = zipfian_zeta(2, theta);
    zipfian->eta = (1 - pow(2.0 / (double)items, 1 - theta)) / (1 - zipfian->zeta2 / zipfian->zeta);
    zipfian->half_power = pow(0.5, theta);
}

uint64_t
zipfian_rank(const struct zipfian *zipfian, double unit)
{
    const double uz = unit * zipfian->zeta;
    uint64_t rank;

    if (uz < 1) {
        return 0;
    }
    if (uz < 1 + zipfian->half_power) {
        return zipfian->items > 1 ? 1 : 0;
    }
    rank = (uint64_t)((double)zipfian->items *
                      pow(zipfian->eta * unit - zipfian->eta + 1, zipfian->alpha));
    return rank < zipfian->items ? rank : zipfian->items - 1;
}

uint64_t
fnv_hash64(uint64_t number)
{
    uint64_t hash = 0xcbf29ce484222325ull;

    for (uint32_t i = 0; i < 8; i++) {
        hash = (hash ^ (number & 0xff)) * 1099511628211ull;
        number >>= 8;
    }
    /* Java's Math.abs of a signed long */
    return hash >> 63 != 0 ? 0 - hash : hash;
}

/* ---- Draws ---- */

void
distribution_init(struct distribution *distribution, const struct distribution_choice *choice,
                  uint64_t n)
{
    distribution->choice = *choice;
    if (choice->kind == DISTRIBUTION_ZIPFIAN) {
        zipfian_init(&distribution->zipfian, SCRAMBLED_ITEMS, choice->theta);
    } else if (choice->kind == DISTRIBUTION_LATEST) {
        zipfian_init(&distribution->zipfian, n > 0 ? n : 1, choice->theta);
    }
}

static uint64_t
draw_hotspot(const struct distribution_choice *choice, uint64_t n, uint64_t *random)
{
    uint64_t hot = (uint64_t)(choice->hot_keys * (double)n);

    hot = hot == 0 ? 1 : hot;
    if (hot >= n || random_unit(random) < choice->hot_operations) {
        return scale(random_next(random), hot < n ? hot : n);
    }
    return hot + scale(random_next(random), n - hot);
}

uint64_t
distribution_draw(const struct distribution *distribution, uint64_t n, uint64_t index,
                  uint64_t *random)
{
    uint64_t rank;

    switch (distribution->choice.kind) {
    case DISTRIBUTION_ZIPFIAN:
        return fnv_hash64(zipfian_rank(&distribution->zipfian, random_unit(random))) % n;
    case DISTRIBUTION_LATEST:
        rank = zipfian_rank(&distribution->zipfian, random_unit(random));
        return rank < n ? n - 1 - rank : 0;
    case DISTRIBUTION_HOTSPOT:
        return draw_hotspot(&distribution->choice, n, random);
    case DISTRIBUTION_SEQUENTIAL:
        return index % n;
    case DISTRIBUTION_DEFAULT:
    case DISTRIBUTION_UNIFORM:
        break;
    }
    return scale(random_next(random), n);
}
