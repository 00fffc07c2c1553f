/* op.h - one operation, as an engine gets it from a slot. */
#ifndef GYRE_BENCH_OP_H
#define GYRE_BENCH_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "gyre/base.h"

enum op_kind {
    OP_GET,       /* keys[0] */
    OP_MULTI_GET, /* keys[0..count-1] */
    OP_PUT,       /* keys[0], values[0] */
    OP_BATCH,     /* keys, values [0..count-1], with one call */
    OP_DELETE,    /* keys[0] */
    OP_MODIFY,    /* get keys[0], then put it with values[0] */
    OP_SEEK,      /* seek to keys[0], then up to count - 1 steps; rows to slot_row */
    OP_WALK       /* up to count rows on from where this slot's walk is; see walk_lower */
};

/* A class has results of its own: fio's read, write and trim. */
enum op_class { CLASS_READ, CLASS_WRITE, CLASS_DELETE, CLASS_COUNT };

struct op {
    enum op_kind kind;
    enum op_class class;
    uint32_t count;
    bool is_reverse;           /* walks */
    bool is_open_loop;         /* wait until due_ns */
    bool at_end;               /* answer: a walk has no row left */
    uint64_t due_ns;           /* when it should begin: latency counts from here */
    struct gyre_slice *keys;
    struct gyre_slice *values;
    uint64_t *numbers;         /* of the keys, doubled as in keys.h */
    /* Bounds of the walk of a slot, for its whole life; data == NULL: none. */
    struct gyre_slice walk_lower, walk_upper;
};

#endif
