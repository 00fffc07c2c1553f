/* distribution.h - which of n things is taken next.
 *
 *     random_distribution=uniform            each with the same probability
 *     random_distribution=zipfian[:theta]    YCSB's: over 10^10 items, scattered by a hash, so that
 *                                            popular keys are no neighbours; theta 0.99 by default
 *     random_distribution=latest[:theta]     YCSB's: zipfian, the newest is the most popular
 *     random_distribution=hotspot:S:P        P percent of the operations take the first S percent
 *     random_distribution=sequential         one after the other, again and again
 */
#ifndef GYRE_BENCH_DISTRIBUTION_H
#define GYRE_BENCH_DISTRIBUTION_H

#include <stdbool.h>
#include <stdint.h>

#define ZIPFIAN_THETA 0.99           /* YCSB: ZIPFIAN_CONSTANT */
#define SCRAMBLED_ITEMS 10000000000u /* YCSB: ScrambledZipfianGenerator.ITEM_COUNT */

enum distribution_kind {
    DISTRIBUTION_DEFAULT, /* of the workload */
    DISTRIBUTION_UNIFORM,
    DISTRIBUTION_ZIPFIAN,
    DISTRIBUTION_LATEST,
    DISTRIBUTION_HOTSPOT,
    DISTRIBUTION_SEQUENTIAL
};

struct distribution_choice {
    enum distribution_kind kind;
    double theta;
    double hot_keys, hot_operations; /* 0..1 */
};

/* Gray et al., "Quickly generating billion-record synthetic databases", as YCSB has it. */
struct zipfian {
    uint64_t items;
    double theta, alpha, zeta, zeta2, eta, half_power;
};

struct distribution {
    struct distribution_choice choice;
    struct zipfian zipfian;
};

/* False: not understood. */
bool distribution_parse(const char *text, struct distribution_choice *ret_choice);
const char *distribution_name(enum distribution_kind kind);

/* For about `n` things (it may grow while it runs). */
void distribution_init(struct distribution *distribution, const struct distribution_choice *choice,
                       uint64_t n);

/* One of 0..n-1. `index` counts the draws, for `sequential`. */
uint64_t distribution_draw(const struct distribution *distribution, uint64_t n, uint64_t index,
                           uint64_t *random);

/* Sum of 1 / i^theta for i = 1..n. */
double zipfian_zeta(uint64_t n, double theta);
void zipfian_init(struct zipfian *zipfian, uint64_t items, double theta);
/* The rank that a number 0 <= unit < 1 falls on: 0 is the most popular. */
uint64_t zipfian_rank(const struct zipfian *zipfian, double unit);
uint64_t fnv_hash64(uint64_t number); /* YCSB: Utils.fnvhash64 */

#endif
