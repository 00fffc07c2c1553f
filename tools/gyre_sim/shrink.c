/* shrink.c - delta debugging over the operations of a seed.
 *
 * An operation keeps its meaning when others are left out (plan.h), but the events that crash
 * points are drawn from move. So where the failure needs a crash, every event is tried each time.
 */
#include "tools/gyre_sim/shrink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gyre_sim/campaign.h"

#define TRY_SECONDS 20u
#define TRIES_MAX 400u

struct shrink {
    uint64_t seed;
    struct effort effort;
    uint64_t kept[SHRINK_WORDS];
    uint32_t ops[RUN_OPS_TOTAL]; /* those that are kept */
    uint32_t op_count;
    uint32_t tries;
    char text[2048]; /* of the last failure */
};

static void
keep(uint64_t *kept, uint32_t op, bool is_kept)
{
    const uint64_t bit = 1ull << (op % 64);

    kept[op / 64] = is_kept ? kept[op / 64] | bit : kept[op / 64] & ~bit;
}

static bool
fails(struct shrink *shrink)
{
    char text[sizeof(shrink->text)];

    shrink->tries++;
    shrink->effort.kept_ops = shrink->kept;
    if (campaign_try(shrink->seed, &shrink->effort, TRY_SECONDS, text, sizeof(text))) {
        return false;
    }
    memcpy(shrink->text, text, sizeof(text));
    return true;
}

/* Leave out ops [from, to) for good if it still fails without them. */
static bool
leave_out(struct shrink *shrink, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        keep(shrink->kept, shrink->ops[i], false);
    }
    if (fails(shrink)) {
        memmove(shrink->ops + from, shrink->ops + to,
                (shrink->op_count - to) * sizeof(shrink->ops[0]));
        shrink->op_count -= to - from;
        return true;
    }
    for (uint32_t i = from; i < to; i++) {
        keep(shrink->kept, shrink->ops[i], true);
    }
    return false;
}

static void
leave_out_all(struct shrink *shrink)
{
    uint32_t size = shrink->op_count / 2;

    while (size > 0 && shrink->tries < TRIES_MAX) {
        bool any = false;

        for (uint32_t from = 0; from < shrink->op_count && shrink->tries < TRIES_MAX;) {
            const uint32_t to = from + size < shrink->op_count ? from + size : shrink->op_count;

            if (leave_out(shrink, from, to)) {
                any = true;
            } else {
                from = to;
            }
        }
        if (!any || size > shrink->op_count) {
            size /= 2;
        }
        (void)fprintf(stderr, "\r%u operations left after %u tries ", shrink->op_count,
                      shrink->tries);
    }
    (void)fputc('\n', stderr);
}

void
shrink_print_ops(const uint64_t *kept)
{
    const char *comma = "";
    uint64_t any = 0;

    for (uint32_t i = 0; i < SHRINK_WORDS; i++) {
        any |= kept[i];
    }
    if (any == 0) {
        (void)printf("none\n");
        return;
    }

    for (uint32_t i = 0; i < RUN_OPS_TOTAL; i++) {
        uint32_t end = i;

        while (end < RUN_OPS_TOTAL && ((kept[end / 64] >> (end % 64)) & 1u) != 0) {
            end++;
        }
        if (end > i) {
            (void)printf(end - i > 1 ? "%s%u-%u" : "%s%u", comma, i, end - 1);
            comma = ",";
            i = end;
        }
    }
    (void)printf("\n");
}

bool
shrink_parse_ops(const char *text, uint64_t *ret_kept)
{
    memset(ret_kept, 0, SHRINK_WORDS * sizeof(*ret_kept));
    if (strcmp(text, "none") == 0) {
        return true;
    }
    while (*text != '\0') {
        char *end;
        const unsigned long from = strtoul(text, &end, 10);
        unsigned long to = from;

        if (end == text) {
            return false;
        }
        if (*end == '-') {
            text = end + 1;
            to = strtoul(text, &end, 10);
        }
        if (end == text || to >= RUN_OPS_TOTAL || from > to || (*end != ',' && *end != '\0')) {
            return false;
        }
        for (unsigned long i = from; i <= to; i++) {
            keep(ret_kept, (uint32_t)i, true);
        }
        text = *end == ',' ? end + 1 : end;
    }
    return true;
}

static void
start_with_all(struct shrink *shrink)
{
    struct plan plan;

    plan_draw(&plan, shrink->seed);
    for (uint32_t session = 0; session < plan.session_count; session++) {
        for (uint32_t actor = 0; actor < plan.actor_count; actor++) {
            for (uint32_t i = 0; i < plan.op_count; i++) {
                const uint32_t op = (session * PLAN_ACTORS_MAX + actor) * PLAN_OPS_MAX + i;

                shrink->ops[shrink->op_count++] = op;
                keep(shrink->kept, op, true);
            }
        }
    }
}

bool
shrink_seed(uint64_t seed, const struct effort *effort)
{
    struct shrink *shrink = calloc(1, sizeof(*shrink));
    bool has_failed;

    demand(shrink != NULL);
    shrink->seed = seed;
    shrink->effort = *effort;
    shrink->effort.tell_depth = 0;
    start_with_all(shrink);
    shrink->effort.points_max = 0;
    has_failed = fails(shrink); /* without any crash? */
    if (!has_failed) {
        shrink->effort.points_max = effort->points_max;
        has_failed = fails(shrink);
        if (has_failed) {
            const struct effort sampled = shrink->effort;

            shrink->effort.points_max = UINT32_MAX;
            shrink->effort.point_ppm = 1000000;
            shrink->effort.point_special_ppm = 1000000;
            shrink->effort.draws = 2;
            if (!fails(shrink)) { /* it takes too long, or another kind of crash */
                shrink->effort = sampled;
            }
        }
    }
    if (has_failed) {
        leave_out_all(shrink);
        (void)printf("seed %llu fails with %u operations:\n%s", (unsigned long long)seed,
                     shrink->op_count, shrink->text);
        (void)printf("see it again: gyre_sim --seed %llu%s --tell 1 --ops ",
                     (unsigned long long)seed,
                     shrink->effort.points_max == 0            ? " --no-crashes"
                     : shrink->effort.points_max == UINT32_MAX ? " --every-event"
                                                               : "");
        shrink_print_ops(shrink->kept);
    }
    free(shrink);
    return has_failed;
}
