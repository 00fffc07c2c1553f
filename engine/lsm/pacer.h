/* pacer.h - the one place that slows anybody down: writers and compaction meet here.
 *
 * Compaction debt is a stock. While it is low, compaction spends at a share of the device that reads do not notice and
 * writers pay nothing. Between the soft and the hard bound each accepted byte has to be bought with compaction work: a writer of n bytes
 * waits until compaction has moved n * price bytes, price growing with the pressure, so that writers slow down
 * smoothly and are never stopped for long; the longest single wait is bounded by GY_PACER_WAIT_NS_MAX.
 *
 *   G1  pressure is 0..1024 (0 = none, 1024 = the hard bound), set by db/background.c from: frozen memtables, tables in level 0,
 *       debt, log space.
 *   G2  gy_pacer_await_admit never waits at pressure 0; while it waits, nothing else is held (no log order, no lock).
 *   G3  gy_pacer_await_spend (compaction) never waits while pressure is above 0; at pressure 0 it keeps to
 *       background_bytes_per_s when that is set.
 */
#ifndef GY_PACER_H
#define GY_PACER_H

#include "io/loop.h"

#define GY_PACER_WAIT_NS_MAX (40ull * 1000000ull)

struct gy_pacer {
    struct gy_loop *loop;
    uint32_t pressure;            /* G1 */
    bool closed;                  /* waiters leave at once */
    uint64_t spent_bytes;         /* compaction and flush work so far */
    uint64_t credit_bytes;        /* work done that writers may still use up */
    uint64_t background_bytes_per_s; /* 0 = unlimited */
    uint64_t spend_ready_ns;
    struct gy_waitq writers;
    uint64_t stall_count;
    uint64_t stall_ns;
    uint64_t stall_ns_max;
};

void gy_pacer_init(struct gy_pacer *pacer, struct gy_loop *loop);
void gy_pacer_set_pressure(struct gy_pacer *pacer, uint32_t pressure);
void gy_pacer_close(struct gy_pacer *pacer);
/* Without waiting: true when a writer of `bytes` may go on at once. */
bool gy_pacer_try_admit(struct gy_pacer *pacer, uint64_t bytes);
GY_SUSPENDS void gy_pacer_await_admit(struct gy_pacer *pacer, uint64_t bytes);
GY_SUSPENDS void gy_pacer_await_spend(struct gy_pacer *pacer, uint64_t bytes);

#endif
