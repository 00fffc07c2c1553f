/* ledger.h - what a writing process was promised, kept where its death and a power cut of the disk
 * below it do not reach; and what its commits were, so that a store can be compared whole.
 *
 * WITNESS_WRITERS coroutines commit number 1, 2, 3, ... each, into keys of their own, so the order
 * of each writer's commits is known. Commit n of writer w puts n under the key "w<w>.n" and puts or
 * deletes one to three others, all chosen by (w, n). Between writers the ticks tell: what was
 * acknowledged before another commit was begun comes before it.
 */
#ifndef GY_TEST_LEDGER_H
#define GY_TEST_LEDGER_H

#include "gyre/gyre.h"

#define WITNESS_WRITERS 4u
#define WITNESS_COMMITS 262144u /* of one writer */
#define WITNESS_KEYS 200u      /* of one writer, without the counter */
#define WITNESS_OPS_MAX 3u
#define WITNESS_VALUE_MAX 120000u

struct ledger_commit {
    uint64_t started_position; /* of the disk's log when it was first begun, 0 = no such log */
    uint64_t started_tick;     /* 0 = not begun */
    uint64_t acked_position;
    uint64_t acked_tick;       /* 0 = not acknowledged */
    uint64_t durable;          /* acknowledged as such */
};

struct ledger_writer {
    volatile uint64_t attempted, acked; /* the last of each */
};

struct ledger {
    volatile uint64_t stop;               /* told to the writing process */
    volatile uint64_t tick;
    volatile uint64_t acks, durable_acks, reads;
    volatile uint64_t refused;            /* told, nothing done: no space, or a flush failed */
    volatile uint64_t failed;             /* IO or READ_ONLY told, by the present process */
    volatile uint64_t failed_position;    /* of the disk's log when the first one was */
    volatile uint64_t acks_after_failure; /* must stay 0 */
    volatile uint64_t ack_gap_ns, read_gap_ns; /* longest time without one, all together */
    struct ledger_writer writers[WITNESS_WRITERS];
    struct ledger_commit commits[WITNESS_WRITERS][WITNESS_COMMITS + 1]; /* [w][n] */
};

/* Map the ledger in `path`, made if it is not there. Exits on failure. */
struct ledger *ledger_open(const char *path);

struct witness_op {
    uint32_t key;         /* below WITNESS_KEYS */
    bool is_delete;
};

/* The operations of commit n besides its counter. */
uint32_t witness_ops(uint32_t writer, uint64_t n, struct witness_op ops[WITNESS_OPS_MAX]);
uint32_t witness_value_size(uint32_t writer, uint64_t n);
void witness_value(uint32_t writer, uint64_t n, uint32_t key, uint8_t value[WITNESS_VALUE_MAX]);
/* `key` == WITNESS_KEYS is the counter: the last of a writer's keys in order. */
struct gyre_slice witness_key(char buffer[32], uint32_t writer, uint32_t key);

/* Keys after commit n: last[key] is the commit that wrote it, 0 = not there. */
void witness_state(uint32_t writer, uint64_t n, uint64_t last[WITNESS_KEYS]);

#endif
