/* pacer.h - the one place that slows anybody down: writers and compaction meet here.
 *
 * Compaction debt is a stock. While it is low, compaction spends at a share of the device that
 * reads do not notice and writers pay nothing. Between the soft and the hard bound each accepted
 * byte has to be bought with compaction work: a writer of n bytes waits until compaction and
 * flush have moved n * price bytes, price growing with the pressure, so that writers slow down
 * smoothly and are never stopped for long.
 *
 * The price goes in a straight line from 1 at pressure 1 to GY_PACER_PRICE_MAX at 1024. An
 * accepted byte causes as much work as the tree's write amplification says, 2 for keys in order
 * and 10 to 15 for random ones; at a constant load the pressure settles where the price equals
 * that, whatever it is: nothing has to be known of the load or the device.
 *
 *   G1  pressure is 0..1024 (0 = none, 1024 = the hard bound), set by db/background.c from:
 *       frozen memtables, tables in level 0, debt, log space. It must be 0 while nothing works
 *       on the debt, or each write waits for GY_PACER_WAIT_NS_MAX.
 *   G2  gy_pacer_await_admit never waits at pressure 0; while it waits, nothing else is held (no
 *       log order, no lock). Writers are admitted in the order in which they came, each as soon
 *       as there is credit; nobody overtakes. A wait ends after GY_PACER_WAIT_NS_MAX in any
 *       case, so a put stays below 50 ms when the device stops for a while.
 *   G3  gy_pacer_await_spend (compaction) never waits while pressure is above 0; at pressure 0
 *       it keeps to the pace of io/base/goal.h when is_paced is set and somebody has read or logged
 *       since it last looked.
 *   G4  Credit is what work has bought, less what writers used. The one at the front goes when
 *       it is above 0 and may take it below, so a large write pays after the fact and those
 *       behind it wait; it stays within -GY_PACER_CREDIT_MAX..GY_PACER_CREDIT_MAX, so idle
 *       writers save up no burst and time-outs no endless debt.
 */
#ifndef GY_PACER_H
#define GY_PACER_H

#include "io/loop.h"

#define GY_PACER_WAIT_NS_MAX (40ull * 1000000ull)
#define GY_PACER_PRICE_MAX 16u
#define GY_PACER_CREDIT_MAX (256 * 1024) /* bytes of writers */

struct gy_pacer {
    struct gy_loop *loop;
    uint32_t pressure;            /* G1 */
    bool closed;                  /* waiters leave at once */
    bool is_paced;                /* G3; not while a store is being opened */
    uint64_t spent_bytes;         /* compaction and flush work so far */
    int64_t credit_bytes;         /* G4: bytes that writers may still write */
    uint64_t work_remainder;      /* work that is not a whole byte of credit yet, in 1/1024 */
    uint64_t spend_ready_ns;      /* G3: when the next bytes may be spent */
    uint64_t foreground_count;    /* reads and log requests at the last look (G3) */
    struct gy_list writers;       /* waiting, first come first */
    uint64_t stall_count;
    uint64_t stall_ns;
    uint64_t stall_ns_max;
};

void gy_pacer_init(struct gy_pacer *pacer, struct gy_loop *loop);
/* Above 1024 is 1024. */
void gy_pacer_set_pressure(struct gy_pacer *pacer, uint32_t pressure);
void gy_pacer_close(struct gy_pacer *pacer);
/* Work bytes that one byte of a writer costs now, in 1/1024 (0 at pressure 0). */
uint64_t gy_pacer_price(const struct gy_pacer *pacer);
/* Bytes that writers may write without waiting; UINT64_MAX at pressure 0. */
uint64_t gy_pacer_credits(const struct gy_pacer *pacer);
/* Without waiting: true when a writer of `bytes` may go on at once. */
bool gy_pacer_try_admit(struct gy_pacer *pacer, uint64_t bytes);
/* Not OK: the operation's scope has ended, nothing was charged. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_pacer_await_admit(struct gy_pacer *pacer, uint64_t bytes);
/* Of one that was admitted and has written nothing in the end. */
void gy_pacer_refund(struct gy_pacer *pacer, uint64_t bytes);
GY_SUSPENDS void gy_pacer_await_spend(struct gy_pacer *pacer, uint64_t bytes);

#endif
