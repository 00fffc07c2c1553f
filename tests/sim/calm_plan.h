/* calm_plan.h - a plan of the checker for tests that bring one disturbance of their own: nothing
 * else disturbs, sizes are such that a few dozen writes make a few tables, and what is left to the
 * seed (compression, filters, levels, sectors, staging, file system) changes no answer.
 */
#ifndef GY_TEST_CALM_PLAN_H
#define GY_TEST_CALM_PLAN_H

#include <string.h>

#include "io/base/bits.h"
#include "tools/gyre_sim/machine.h"

static inline void
calm_plan_draw(struct plan *plan, uint64_t seed)
{
    plan_draw(plan, seed);
    plan->disk.pages = machine_pages();
    plan->faults = PLAN_NO_FAULTS;
    plan->short_ppm = 0;
    plan->options.durability = GYRE_DURABLE;
    plan->options.background_off = 0;
    plan->options.memtable_size = 64 * GY_KIB;
    plan->options.table_size = 64 * GY_KIB;
    plan->options.block_size = 4096;
    plan->options.wal_slot_size = 128 * GY_KIB;
    plan->options.wal_total_max = 4 * plan->options.wal_slot_size;
    plan->key_count = MODEL_KEYS_USUAL;
    plan->key_step = 1;
    plan->long_keys = 0;
    plan->value_size_most = 4200;
    plan->durable_of_8 = 4;
    plan->no_wait_of_8 = 0;
    plan->leaves_paused = false;
    plan->options.disk_quota = 0;
    plan->options.disk_reserve = 0;
    memset(plan->shares, 0, sizeof(plan->shares));
    plan->share_sum = 0;
}

/* Actors do it `share` times in share_sum. */
static inline void
calm_plan_add(struct plan *plan, enum plan_op_kind kind, uint32_t share)
{
    plan->shares[kind] += share;
    plan->share_sum += share;
}

/* Writes of all kinds, and what makes tables of them. */
static inline void
calm_plan_add_writes(struct plan *plan)
{
    calm_plan_add(plan, PLAN_put, 30);
    calm_plan_add(plan, PLAN_delete, 12);
    calm_plan_add(plan, PLAN_batch, 24);
    calm_plan_add(plan, PLAN_large_batch, 4);
    calm_plan_add(plan, PLAN_sync, 4);
    calm_plan_add(plan, PLAN_flush, 4);
    calm_plan_add(plan, PLAN_compact, 4);
    calm_plan_add(plan, PLAN_sleep, 12);
}

#endif
