/* plan.c - see plan.h. Everything here is a pure function of the seed. */
#include "tools/gyre_sim/plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "io/base/bits.h"
#include "io/base/rng.h"

#define QUOTA_MANIFEST (512 * GY_KIB) /* what the engine wants beside logs and four memtables */

static const uint32_t SHARES[PLAN_OP_COUNT] = {
#define X(name, share, text) share,
    PLAN_OPS(X)
#undef X
};

const char *
plan_op_text(enum plan_op_kind kind)
{
    static const char *const texts[PLAN_OP_COUNT] = {
#define X(name, share, text) text,
        PLAN_OPS(X)
#undef X
    };

    return texts[kind];
}

const char *
plan_faults_name(enum plan_faults faults)
{
    static const char *const names[PLAN_FAULTS_COUNT] = {
        "none",          "told errors",    "full disk",           "stuck requests",
        "damaged reads", "damaged tables", "failing allocations", "clock jumps"};

    return names[faults];
}

/* True once in `of` draws. */
static bool
one_in(struct gy_rng *rng, uint64_t of)
{
    return gy_rng_below(rng, of) == 0;
}

/* ---- Options ---- */

void
plan_redraw_options(struct plan *plan, uint64_t seed)
{
    static const uint32_t block_sizes[] = {4096, 4096, 4096,  4096,  4096, 4096,
                                           8192, 8192, 12288, 16384, 4096, 65536};
    struct gyre_options *o = &plan->options;
    struct gy_rng rng;

    gy_rng_init(&rng, seed);
    if (o->disk_quota == 0) { /* it stays as it was, and what has to fit into it */
        o->memtable_size = (4ull << gy_rng_below(&rng, 5)) * GY_KIB; /* below what users may have */
        o->wal_total_max = o->wal_slot_size * (3 + gy_rng_below(&rng, 4));
        o->table_size = (4ull << gy_rng_below(&rng, 5)) * GY_KIB;
        o->compression = (uint32_t)gy_rng_below(&rng, 3);
        o->durability = one_in(&rng, 12) ? GYRE_NOWAL : GYRE_DURABLE;
    }
    o->memtable_count_max = 2 + (uint32_t)gy_rng_below(&rng, 3);
    o->wal_linger_ms = 1 + (uint32_t)gy_rng_below(&rng, 20);
    o->block_size = block_sizes[gy_rng_below(&rng, 12)];
    o->bloom_bits = one_in(&rng, 4) ? GYRE_BLOOM_NONE : 1 + (uint32_t)gy_rng_below(&rng, 12);
    o->level0_tables = 2 + (uint32_t)gy_rng_below(&rng, 3);
    o->level_ratio = 2 + (uint32_t)gy_rng_below(&rng, 2);
    o->background_off = one_in(&rng, 10);
    o->paranoid = one_in(&rng, 4);
    plan->short_ppm = one_in(&rng, 3) ? 50000 : 0;
    plan->has_chaos = one_in(&rng, 2);
}

static enum plan_faults
draw_faults(struct gy_rng *rng)
{
    static const uint8_t shares[PLAN_FAULTS_COUNT] = {36, 18, 12, 6, 8, 6, 10, 4};
    uint64_t left = gy_rng_below(rng, 100);
    uint32_t i = 0;

    while (i + 1 < PLAN_FAULTS_COUNT && left >= shares[i]) {
        left -= shares[i];
        i++;
    }
    return (enum plan_faults)i;
}

/* Each kind is out, rare, usual or frequent; writes are always there. */
static void
draw_shares(struct plan *plan, struct gy_rng *rng)
{
    static const uint32_t factors[] = {0, 0, 1, 2, 2, 2, 4, 8};

    plan->share_sum = 0;
    for (uint32_t i = 0; i < PLAN_OP_COUNT; i++) {
        plan->shares[i] = SHARES[i] * factors[gy_rng_below(rng, 8)];
    }
    if (plan->shares[PLAN_put] + plan->shares[PLAN_batch] == 0) {
        plan->shares[PLAN_put] = 2 * SHARES[PLAN_put];
    }
    if (plan->faults != PLAN_NO_FAULTS) {
        plan->shares[PLAN_fault] = 10 + (uint32_t)gy_rng_below(rng, 30);
    }
    for (uint32_t i = 0; i < PLAN_OP_COUNT; i++) {
        plan->share_sum += plan->shares[i];
    }
}

static void
draw_size(struct plan *plan, struct gy_rng *rng)
{
    static const uint32_t key_counts[] = {1, 3, 8, 24, 60, MODEL_KEYS_USUAL, MODEL_KEYS_USUAL};
    static const uint32_t op_counts[] = {4, 6, 8, 12, 24, PLAN_OPS_MAX};
    static const uint32_t session_counts[] = {1, 1, 1, 1, 2, PLAN_SESSIONS_MAX};

    plan->key_count = key_counts[gy_rng_below(rng, 7)];
    plan->key_step =
        1 + (uint32_t)gy_rng_below(rng, MODEL_KEYS_USUAL / plan->key_count > 1 ? 19 : 1);
    /* Those of 64 KiB make everything slow: few. */
    plan->long_keys = one_in(rng, 16) ? 1 : one_in(rng, 100) ? 2 : 0;
    plan->value_size_most = one_in(rng, 2) ? 17000 : one_in(rng, 2) ? 1000 : 4200;
    plan->durable_of_8 = (uint32_t)gy_rng_below(rng, 9);
    plan->actor_count = 1 + (uint32_t)gy_rng_below(rng, PLAN_ACTORS_MAX);
    plan->op_count = op_counts[gy_rng_below(rng, 6)];
    plan->session_count = session_counts[gy_rng_below(rng, 6)];
}

/* From numbers of its own, so that a seed means otherwise what it meant before there were forms. */
static void
draw_form(struct plan *plan)
{
    struct gy_rng rng;

    gy_rng_init(&rng, gy_mix64(plan->seed ^ 0x666f726dull));
    if (!one_in(&rng, 3)) {
        return; /* PLAIN */
    }
    plan->form = one_in(&rng, 2) ? PLAN_FORM_AWAIT : PLAN_FORM_CALLBACK;
    plan->cancel_one_in = one_in(&rng, 3) ? 0 : 2 + (uint32_t)gy_rng_below(&rng, 60);
}

/* What the store may take, and what its writers may do about that. */
static void
draw_limits(struct plan *plan, struct gy_rng *rng)
{
    static const uint32_t shares[] = {0, 0, 0, 1, 4, 8};
    struct gyre_options *o = &plan->options;

    plan->no_wait_of_8 = shares[gy_rng_below(rng, 6)];
    plan->leaves_paused = one_in(rng, 4);
    if (one_in(rng, 3)) {
        o->disk_reserve =
            one_in(rng, 2) ? GYRE_DISK_RESERVE_NONE : (1 + gy_rng_below(rng, 64)) * GY_PAGE;
    }
    if (one_in(rng, 6)) {
        /* As small as users may have it: what a table takes beside its entries would tell else. */
        o->memtable_size = 64 * GY_KIB;
        o->table_size = 64 * GY_KIB;
        o->disk_quota = o->wal_total_max + QUOTA_MANIFEST + 4 * o->memtable_size +
                        (gy_rng_below(rng, 2) * gy_rng_below(rng, 8 * o->memtable_size));
    }
}

void
plan_draw(struct plan *plan, uint64_t seed)
{
    struct gy_rng rng;

    memset(plan, 0, sizeof(*plan));
    plan->seed = seed;
    gy_rng_init(&rng, gy_mix64(seed ^ 0x706c616eull));
    plan->options.struct_size = sizeof(plan->options);
    plan->options.wal_slot_size = (128u + 64u * gy_rng_below(&rng, 2)) * GY_KIB;
    plan->options.wal_buffer_size = 256 * GY_KIB;
    plan->options.open_files_max = 16;
    plan->disk.seed = seed;
    plan->disk.sector_size = one_in(&rng, 2) ? 512 : 4096;
    plan->disk.stage_bytes_max = one_in(&rng, 5) ? 1 : 0;
    plan->disk.personality = one_in(&rng, 2)   ? GY_SIM_STRICT
                             : one_in(&rng, 2) ? GY_SIM_EXT4
                                               : GY_SIM_XFS;
    plan->disk.is_quota = one_in(&rng, 4);
    plan->faults = draw_faults(&rng);
    draw_size(plan, &rng);
    if (plan->long_keys > 1) {
        plan->options.wal_slot_size = 256 * GY_KIB; /* a commit has to fit */
    }
    draw_shares(plan, &rng);
    plan_redraw_options(plan, gy_rng_next(&rng));
    draw_limits(plan, &rng);
    draw_form(plan);
}

/* ---- Operations ---- */

struct plan_op
plan_op_at(const struct plan *plan, uint32_t session, uint32_t actor, uint32_t index)
{
    const uint64_t place = ((uint64_t)session << 32) | ((uint64_t)actor << 16) | index;
    struct plan_op op = {.kind = PLAN_put};
    struct gy_rng rng;
    uint64_t left;

    gy_rng_init(&rng, gy_mix64(plan->seed) ^ gy_mix64(place + 1));
    left = gy_rng_below(&rng, plan->share_sum);
    while (left >= plan->shares[op.kind]) {
        left -= plan->shares[op.kind];
        op.kind++;
    }
    op.bits = gy_rng_next(&rng);
    return op;
}

/* Half of all go to a few keys. */
uint32_t
plan_draw_key(const struct plan *plan, struct gy_rng *rng)
{
    const uint32_t hot = plan->key_count > 16 ? 8 : plan->key_count;
    const uint32_t count = one_in(rng, 2) ? hot : plan->key_count;

    if (plan->long_keys > 0 && one_in(rng, 12)) {
        return MODEL_KEYS_USUAL + (uint32_t)gy_rng_below(rng, plan->long_keys);
    }
    return (uint32_t)gy_rng_below(rng, count) * plan->key_step % MODEL_KEYS_USUAL;
}

static uint32_t
draw_value_size(const struct plan *plan, struct gy_rng *rng)
{
    static const uint32_t sizes[] = {0,   0,    1,    7,    100,  100,  511,  512,   513,   900,
                                     900, 1000, 2000, 3000, 4031, 4095, 4096, 4097,  8000,  16384,
                                     900, 1000, 2000, 3000, 700,  700,  1500, 12000, 16385, 66000};
    const uint32_t size = sizes[gy_rng_below(rng, sizeof(sizes) / sizeof(sizes[0]))];

    if (size > 60000 && plan->value_size_most > 16000) {
        return one_in(rng, 4) ? size : 900;
    }
    return size > plan->value_size_most ? size % plan->value_size_most : size;
}

#define OP_OVERHEAD 16u /* kind, keyspace, sizes */

uint32_t
plan_draw_commit(const struct plan *plan, const struct plan_op *op, uint64_t number,
                 uint64_t commit_max, struct model_op ops[MODEL_OPS_MAX])
{
    uint32_t wanted = 1;
    uint64_t total = 0;
    struct gy_rng rng;

    gy_rng_init(&rng, op->bits);
    if (op->kind == PLAN_batch) {
        wanted = 1 + (uint32_t)gy_rng_below(&rng, 7);
    } else if (op->kind == PLAN_large_batch) {
        wanted = 16 + (uint32_t)gy_rng_below(&rng, MODEL_OPS_MAX - 15);
    }
    for (uint32_t i = 0; i < wanted; i++) {
        const bool is_delete = op->kind == PLAN_delete || (op->kind != PLAN_put && one_in(&rng, 4));
        const uint32_t key = plan_draw_key(plan, &rng);
        uint32_t size = op->kind == PLAN_large_batch ? 3000 : draw_value_size(plan, &rng);

        total += model_key(key).size + (is_delete ? 0 : size) + OP_OVERHEAD;
        if (total > commit_max && i > 0) {
            return i;
        }
        if (total > commit_max) {
            size = (uint32_t)(commit_max - model_key(key).size - OP_OVERHEAD);
        }
        ops[i] = is_delete ? model_op_delete(key)
                           : model_op_put(key, number * MODEL_OPS_MAX + i + 1, size);
    }
    return wanted;
}

/* ---- Faults ---- */

static const struct {
    uint32_t op;
    const char *name;
} TARGETS[] = {{GY_OP_WRITE, "wal"},     {GY_OP_SYNC, "wal"},       {GY_OP_WRITE, "MANIFEST"},
               {GY_OP_SYNC, "MANIFEST"}, {GY_OP_WRITE, ".sst"},     {GY_OP_SYNC, ".sst"},
               {GY_OP_ALLOCATE, ""},     {GY_OP_OPEN, ""},          {GY_OP_RENAME, ""},
               {GY_OP_UNLINK, ""},       {GY_OP_READ, ".sst"},      {GY_OP_READ, "wal"},
               {GY_OP_READ, "MANIFEST"}, {GY_OP_SYNC, ""},          {GY_OP_WRITE, "CURRENT"},
               {GY_OP_TRUNCATE, ""},     {GY_OP_LINK, ""},          {GY_OP_STAT, ""},
               {GY_OP_LIST, ""},         {GY_OP_FREE_SPACE, ""},    {GY_OP_READ, ""},
               {GY_OP_WRITE, ""},        {GY_OP_SYNC, "wal"},       {GY_OP_SYNC, "wal"},
               {GY_OP_SYNC, ".sst"},     {GY_OP_WRITE, "MANIFEST"}, {GY_OP_WRITE, "wal"}};
#define TARGET_COUNT (sizeof(TARGETS) / sizeof(TARGETS[0]))

static void
aim(struct gy_sim_rule *rule, struct gy_rng *rng, uint32_t target)
{
    rule->op_mask = 1u << TARGETS[target].op;
    memcpy(rule->name, TARGETS[target].name, strlen(TARGETS[target].name) + 1);
    if (one_in(rng, 2)) {
        rule->nth = 1 + gy_rng_below(rng, 12);
        rule->is_repeated = one_in(rng, 4);
    } else {
        rule->ppm = 20000u << gy_rng_below(rng, 5);
    }
}

static void
draw_told(struct gy_rng *rng, struct gy_sim_rule *rule)
{
    static const int errors[] = {EIO, EIO, EIO, ENOSPC, EIO};

    aim(rule, rng, (uint32_t)gy_rng_below(rng, TARGET_COUNT));
    rule->fault = GY_SIM_FAULT_ERROR;
    rule->os_errno = errors[gy_rng_below(rng, 5)];
    if ((rule->op_mask & (1u << GY_OP_READ | 1u << GY_OP_WRITE)) != 0 && one_in(rng, 3)) {
        rule->fault = GY_SIM_FAULT_SHORT;
    }
}

/* Reads that are wrong once: asked again, the device says the truth. */
static void
draw_read_damage(struct gy_rng *rng, struct gy_sim_rule *rule)
{
    static const enum gy_sim_fault faults[] = {GY_SIM_FAULT_FLIP, GY_SIM_FAULT_MISDIRECT,
                                               GY_SIM_FAULT_LOST, GY_SIM_FAULT_ZERO,
                                               GY_SIM_FAULT_STALE};

    rule->fault = faults[gy_rng_below(rng, 5)];
    rule->op_mask = 1u << GY_OP_READ;
    memcpy(rule->name, ".sst", 5);
    rule->ppm = 20000u << gy_rng_below(rng, 4);
}

static void
draw_table_damage(struct gy_rng *rng, struct gy_sim_rule *rule)
{
    draw_read_damage(rng, rule);
    if (rule->fault == GY_SIM_FAULT_STALE) {
        rule->fault = GY_SIM_FAULT_FLIP; /* reads only */
    }
    rule->op_mask = 1u << GY_OP_WRITE;
    rule->strikes_max = 1 + gy_rng_below(rng, 2);
}

static void
draw_stuck(struct gy_rng *rng, struct gy_sim_rule *rule)
{
    aim(rule, rng, (uint32_t)gy_rng_below(rng, TARGET_COUNT));
    rule->is_repeated = false;
    rule->fault = one_in(rng, 2) ? GY_SIM_FAULT_STUCK : GY_SIM_FAULT_SLOW;
    rule->delay_ns = (1 + gy_rng_below(rng, 2000)) * GY_NS_PER_MS;
    rule->strikes_max = 1 + gy_rng_below(rng, 3);
}

void
plan_draw_rules(const struct plan *plan, uint64_t bits, struct gy_sim_faults *ret_faults)
{
    static void (*const draws[PLAN_FAULTS_COUNT])(struct gy_rng *, struct gy_sim_rule *) = {
        [PLAN_TOLD] = draw_told,
        [PLAN_STUCK] = draw_stuck,
        [PLAN_READ_DAMAGE] = draw_read_damage,
        [PLAN_TABLE_DAMAGE] = draw_table_damage};
    struct gy_rng rng;

    *ret_faults = (struct gy_sim_faults){.short_ppm = plan->short_ppm};
    if (draws[plan->faults] == NULL) {
        return;
    }
    gy_rng_init(&rng, bits);
    ret_faults->rule_count = 1 + (uint32_t)gy_rng_below(&rng, 3);
    for (uint32_t i = 0; i < ret_faults->rule_count; i++) {
        draws[plan->faults](&rng, &ret_faults->rules[i]);
    }
}

/* ---- For people ---- */

void
plan_print(const struct plan *plan)
{
    const struct gyre_options *o = &plan->options;

    (void)printf("seed %llu: %u sessions of %u actors with %u operations, %u keys (every %u), "
                 "faults: %s\n",
                 (unsigned long long)plan->seed, plan->session_count, plan->actor_count,
                 plan->op_count, plan->key_count, plan->key_step, plan_faults_name(plan->faults));
    (void)printf(
        "  memtable %llu x %u, log slots %llu (total %llu), linger %u ms, block %u, "
        "compression %u, bloom %u, level 0 %u, ratio %u, durability %u, background off %u, "
        "paranoid %u\n",
        (unsigned long long)o->memtable_size, o->memtable_count_max,
        (unsigned long long)o->wal_slot_size, (unsigned long long)o->wal_total_max,
        o->wal_linger_ms, o->block_size, o->compression, o->bloom_bits, o->level0_tables,
        o->level_ratio, o->durability, o->background_off, o->paranoid);
    (void)printf("  sectors %u, staging %s, short transfers %u ppm, %s scheduling, values up to "
                 "%u, %u of 8 writes DURABLE\n  shares:",
                 plan->disk.sector_size, plan->disk.stage_bytes_max == 1 ? "none" : "yes",
                 plan->short_ppm, plan->has_chaos ? "random" : "ordered", plan->value_size_most,
                 plan->durable_of_8);
    for (uint32_t i = 0; i < PLAN_OP_COUNT; i++) {
        if (plan->shares[i] > 0) {
            (void)printf(" %s %u,", plan_op_text((enum plan_op_kind)i), plan->shares[i]);
        }
    }
    (void)printf("\n");
    (void)printf("  disk quota %llu, reserve %lld, %u of 8 writes may not wait%s\n",
                 (unsigned long long)o->disk_quota, (long long)o->disk_reserve, plan->no_wait_of_8,
                 plan->leaves_paused ? ", pauses are not ended" : "");
    if (plan->form != PLAN_FORM_PLAIN) {
        (void)printf("  operations are submitted, %s; one await in %u is cancelled (0: none)\n",
                     plan->form == PLAN_FORM_AWAIT ? "and waited for" : "and call back",
                     plan->cancel_one_in);
    }
}
