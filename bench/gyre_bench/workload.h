/* workload.h - the workloads by name: db_bench's, YCSB's, and a mix of reads and writes as fio's
 * randrw. Each is a row of one table. */
#ifndef GYRE_BENCH_WORKLOAD_H
#define GYRE_BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/gyre_bench/distribution.h"
#include "bench/gyre_bench/note.h"

/* What one operation does. */
enum action {
    ACTION_FILL,       /* put the next key of the order */
    ACTION_GET,        /* of a key that is there */
    ACTION_MULTI_GET,
    ACTION_GET_MISSING,
    ACTION_UPDATE,     /* put a key that is there */
    ACTION_INSERT,     /* put a key behind all that are there */
    ACTION_MODIFY,     /* get, then put */
    ACTION_DELETE,     /* the next key of the order, there or not */
    ACTION_SEEK,       /* seek, then some steps */
    ACTION_WALK,       /* the next row of a walk over the store */
    ACTION_COUNT
};

#define MIX_MAX 3u

struct workload {
    const char *name;
    const char *help;
    struct mix {
        enum action action;
        uint8_t percent;
    } mix[MIX_MAX];
    enum fill_order order;               /* of fills and deletes */
    bool makes_store;                    /* unless told to go on with the one that is there */
    bool is_durable;                     /* unless durability= says otherwise */
    bool is_reverse;                     /* walks */
    bool has_random_length;              /* seeks: 1..nexts rows, as YCSB E */
    enum distribution_kind distribution; /* unless random_distribution= says otherwise */
    const char *side;                    /* workload of one more caller that is not counted */
};

extern const struct workload workloads[];
extern const uint32_t workload_count;

const struct workload *workload_find(const char *name); /* NULL: no such */
bool workload_does(const struct workload *workload, enum action action);
bool workload_writes(const struct workload *workload);

#endif
