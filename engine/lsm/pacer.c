/* pacer.c - writers buy their bytes with the work of flush and compaction. See pacer.h for the
 * rules. */
#include "engine/lsm/pacer.h"

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"

#include "io/base/ban.h"

#define PRESSURE_MAX 1024u
#define PRICE_ONE 1024u /* prices are in 1/1024 */
/* G3: background may be this far behind its rate before it is held to it, so that a block
 * written late does not lower the rate; and looks this often whether pressure has come up. */
#define SPEND_SLACK_NS (10 * GY_NS_PER_MS)
#define SPEND_SLEEP_NS (5 * GY_NS_PER_MS)

/* A writer that waits; on its own stack, so it leaves the list before it returns. */
struct writer {
    struct gy_list link;
    struct gy_co *co;
    uint64_t bytes;
    bool is_admitted;
};

void
gy_pacer_init(struct gy_pacer *pacer, struct gy_loop *loop)
{
    *pacer = (struct gy_pacer){.loop = loop};
    gy_list_init(&pacer->writers);
}

uint64_t
gy_pacer_price(const struct gy_pacer *pacer)
{
    if (pacer->pressure == 0) {
        return 0;
    }
    return PRICE_ONE + (uint64_t)(pacer->pressure - 1) * (GY_PACER_PRICE_MAX - 1) * PRICE_ONE /
                           (PRESSURE_MAX - 1);
}

/* ---- Writers ---- */

static bool
is_free(const struct gy_pacer *pacer)
{
    return pacer->pressure == 0 || pacer->closed;
}

static void
charge(struct gy_pacer *pacer, uint64_t bytes)
{
    const int64_t most = 2 * (int64_t)GY_PACER_CREDIT_MAX; /* from one end to the other */

    pacer->credit_bytes -= bytes < (uint64_t)most ? (int64_t)bytes : most;
    if (pacer->credit_bytes < -(int64_t)GY_PACER_CREDIT_MAX) {
        pacer->credit_bytes = -(int64_t)GY_PACER_CREDIT_MAX;
    }
}

/* Let writers go while there is credit, in their order (G2). The credit changes hands here, so
 * one that comes before the admitted one has run finds it gone. */
static void
admit_waiting(struct gy_pacer *pacer)
{
    while (!gy_list_is_empty(&pacer->writers) && (is_free(pacer) || pacer->credit_bytes > 0)) {
        struct writer *writer =
            gy_container_of(gy_list_pop_front(&pacer->writers), struct writer, link);

        if (!is_free(pacer)) {
            charge(pacer, writer->bytes);
        }
        writer->is_admitted = true;
        gy_wake(writer->co);
    }
}

void
gy_pacer_refund(struct gy_pacer *pacer, uint64_t bytes)
{
    if (is_free(pacer) || GY_MUTANT(credit_not_given_back)) {
        return;
    }
    pacer->credit_bytes += (int64_t)gy_min_u64(bytes, GY_PACER_CREDIT_MAX);
    if (pacer->credit_bytes > GY_PACER_CREDIT_MAX) {
        pacer->credit_bytes = GY_PACER_CREDIT_MAX;
    }
    admit_waiting(pacer);
}

void
gy_pacer_set_pressure(struct gy_pacer *pacer, uint32_t pressure)
{
    pressure = (uint32_t)gy_min_u64(pressure, PRESSURE_MAX);
    if (pacer->pressure == 0 && pressure > 0) {
        pacer->credit_bytes = 0; /* nothing was counted while it was free */
        pacer->work_remainder = 0;
    }
    pacer->pressure = pressure;
    admit_waiting(pacer);
}

uint64_t
gy_pacer_credits(const struct gy_pacer *pacer)
{
    if (is_free(pacer)) {
        return UINT64_MAX;
    }
    return gy_list_is_empty(&pacer->writers) && pacer->credit_bytes > 0
               ? (uint64_t)pacer->credit_bytes
               : 0;
}

void
gy_pacer_close(struct gy_pacer *pacer)
{
    pacer->closed = true;
    admit_waiting(pacer);
}

bool
gy_pacer_try_admit(struct gy_pacer *pacer, uint64_t bytes)
{
    if (is_free(pacer)) {
        return true;
    }
    if (!gy_list_is_empty(&pacer->writers) || pacer->credit_bytes <= 0) {
        return false;
    }
    charge(pacer, bytes);
    return true;
}

GY_SUSPENDS gyre_status
gy_pacer_await_admit(struct gy_pacer *pacer, uint64_t bytes)
{
    struct gy_sched *sched = &pacer->loop->sched;
    struct writer writer = {.co = sched->current, .bytes = bytes};
    const uint64_t start_ns = gy_loop_now(pacer->loop);
    const uint64_t deadline_ns = start_ns + GY_PACER_WAIT_NS_MAX;
    struct gy_scope_wait wait;
    uint64_t waited_ns;
    gyre_status status;

    if (gy_pacer_try_admit(pacer, bytes)) {
        return GYRE_OK;
    }
    status = gy_scope_wait_begin(sched, &wait);
    if (status != GYRE_OK) {
        return status;
    }
    GY_SOMETIMES(writer_waited_at_pacer);
    gy_list_push_back(&pacer->writers, &writer.link);
    while (!writer.is_admitted) {
        const bool is_woken = gy_await_park_until(sched, deadline_ns);

        status = gy_scope_check(sched);
        if (!writer.is_admitted && status != GYRE_OK) {
            gy_list_remove(&writer.link);
            break;
        }
        if (!writer.is_admitted && (!is_woken || gy_loop_now(pacer->loop) >= deadline_ns)) {
            gy_list_remove(&writer.link);
            charge(pacer, bytes);
            break;
        }
    }
    waited_ns = gy_sub_sat(gy_loop_now(pacer->loop), start_ns);
    pacer->stall_count++;
    pacer->stall_ns += waited_ns;
    pacer->stall_ns_max = gy_max_u64(pacer->stall_ns_max, waited_ns);
    status = gy_scope_wait_end(&wait);
    if (status != GYRE_OK && writer.is_admitted) {
        gy_pacer_refund(pacer, bytes);
    }
    return status;
}

/* ---- Background work ---- */

/* Work becomes credit at the price of the moment. */
static void
earn(struct gy_pacer *pacer, uint64_t bytes)
{
    const uint64_t price = gy_pacer_price(pacer);
    uint64_t work;

    if (price == 0) {
        return;
    }
    work = gy_min_u64(bytes, GY_GIB) * PRICE_ONE + pacer->work_remainder;
    pacer->credit_bytes += (int64_t)(work / price);
    pacer->work_remainder = work % price;
    if (pacer->credit_bytes > GY_PACER_CREDIT_MAX) {
        pacer->credit_bytes = GY_PACER_CREDIT_MAX;
    }
}

GY_SUSPENDS void
gy_pacer_await_spend(struct gy_pacer *pacer, uint64_t bytes)
{
    const uint64_t pace = pacer->loop->goal.pace;
    uint64_t now_ns;

    pacer->spent_bytes += bytes;
    earn(pacer, bytes);
    admit_waiting(pacer);
    gy_goal_work(&pacer->loop->goal, false);
    if (!pacer->is_paced || gy_loop_is_quiet(pacer->loop, &pacer->foreground_count)) {
        return; /* a quiet store lets compaction have the device */
    }
    now_ns = gy_loop_now(pacer->loop);
    pacer->spend_ready_ns = gy_max_u64(pacer->spend_ready_ns, gy_sub_sat(now_ns, SPEND_SLACK_NS)) +
                            gy_min_u64(bytes, GY_GIB) * GY_NS_PER_S / pace;
    while (pacer->pressure == 0 && !pacer->closed && now_ns < pacer->spend_ready_ns) {
        gy_goal_work(&pacer->loop->goal, true);
        gy_await_sleep(&pacer->loop->sched,
                       gy_min_u64(pacer->spend_ready_ns - now_ns, SPEND_SLEEP_NS));
        now_ns = gy_loop_now(pacer->loop);
    }
    if (pacer->pressure > 0) {
        pacer->spend_ready_ns = now_ns; /* what was overspent is not owed */
    }
}
