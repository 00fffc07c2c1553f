/* main.c - the command gyre_sim: what its arguments ask for. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/gyre_sim/campaign.h"
#include "tools/gyre_sim/plugin.h"
#include "tools/gyre_sim/shrink.h"

/* A seed takes some ten milliseconds so: many of them, a few crashes in each. */
static const struct effort SAMPLED = {.points_max = 12,
                                      .point_ppm = 3000,
                                      .point_special_ppm = 20000,
                                      .point_deep_ppm = 1500,
                                      .answer_ppm = 20000,
                                      .draws = 1,
                                      .depth_max = 3};
/* Every event, every kind of crash, and some crashes in each recovery. */
static const struct effort EXHAUSTIVE = {.points_max = UINT32_MAX,
                                         .point_ppm = 1000000,
                                         .point_special_ppm = 1000000,
                                         .point_deep_ppm = 20000,
                                         .answer_ppm = 1000000,
                                         .draws = 3,
                                         .all_kinds = true,
                                         .depth_max = 3,
                                         .op_count_max = 8};

#define SEEDS_DEFAULT 3000u
#define PLUGIN_SEEDS 10u /* a seed of one's own code is crashed at every event */

struct arguments {
    struct effort effort;
    struct campaign campaign;
    uint64_t kept[SHRINK_WORDS];
    bool is_one; /* --seed */
    bool is_shrunk;
    bool has_ops;
    bool states_wanted;
    bool states_demanded;
    bool hash_wanted;
    bool kills_wanted; /* --mutant: a failure is success */
    const char *seeds_file;
    const char *plugin; /* run FILE.so */
};

static void
usage(FILE *to)
{
    (void)fputs(
        "usage: gyre_sim [--seeds N] [--first S] [--jobs J] [--seconds T]   many seeds\n"
        "       gyre_sim --seed S [--tell DEPTH] [--shrink] [--ops LIST]    one seed\n"
        "       gyre_sim --corpus FILE                                      seeds of a file\n"
        "       gyre_sim run FILE.so [--seeds N] [--first S]                your own code\n"
        "  --exhaust         a crash at every I/O event, of every kind, and inside recoveries;\n"
        "                    at most 8 operations of each actor\n"
        "  --every-event     a crash at every I/O event\n"
        "  --sample K        K crash points a seed\n"
        "  --no-crashes      none\n"
        "  --states          print how often each state was reached\n"
        "  --demand-states   fail when one of them never was\n"
        "  --hash            print a hash of all that happened\n"
        "  --mutant N        run with a bug planted; --list-mutants tells which there are\n"
        "  --failures N      stop after so many failing seeds (1)\n"
        "  --hang T          a seed that takes more than T seconds hangs (60)\n"
        "See gyre_sim(1).\n",
        to);
}

static void
list_mutants(void)
{
#define X(number, name, text) (void)printf("%d\t%s\t%s\n", number, #name, text);
    GY_MUTANTS(X)
#undef X
}

static bool
choose_mutant(unsigned long wanted)
{
    switch (wanted) {
#define X(number, name, text) case number:
        GY_MUTANTS(X)
#undef X
        gy_mutant_chosen = (enum gy_mutant)wanted;
        return true;
    default:
        (void)fprintf(stderr, "gyre_sim: there is no mutant %lu; see --list-mutants\n", wanted);
        return false;
    }
}

/* ---- Arguments ---- */

enum choice {
    SEED = 256,
    SEEDS,
    FIRST,
    JOBS,
    SECONDS,
    CORPUS,
    EXHAUST,
    EVERY_EVENT,
    SAMPLE,
    NO_CRASHES,
    TELL,
    SHRINK,
    OPS,
    STATES,
    DEMAND_STATES,
    HASH,
    MUTANT,
    LIST_MUTANTS,
    FAILURES,
    HANG,
    HELP
};

static const struct option OPTIONS[] = {{"seed", 1, NULL, SEED},
                                        {"seeds", 1, NULL, SEEDS},
                                        {"first", 1, NULL, FIRST},
                                        {"jobs", 1, NULL, JOBS},
                                        {"seconds", 1, NULL, SECONDS},
                                        {"corpus", 1, NULL, CORPUS},
                                        {"exhaust", 0, NULL, EXHAUST},
                                        {"every-event", 0, NULL, EVERY_EVENT},
                                        {"sample", 1, NULL, SAMPLE},
                                        {"no-crashes", 0, NULL, NO_CRASHES},
                                        {"tell", 1, NULL, TELL},
                                        {"shrink", 0, NULL, SHRINK},
                                        {"ops", 1, NULL, OPS},
                                        {"states", 0, NULL, STATES},
                                        {"demand-states", 0, NULL, DEMAND_STATES},
                                        {"hash", 0, NULL, HASH},
                                        {"mutant", 1, NULL, MUTANT},
                                        {"list-mutants", 0, NULL, LIST_MUTANTS},
                                        {"failures", 1, NULL, FAILURES},
                                        {"hang", 1, NULL, HANG},
                                        {"help", 0, NULL, HELP},
                                        {NULL, 0, NULL, 0}};

static bool
number_of(const char *text, uint64_t *ret_number)
{
    char *end;

    *ret_number = strtoull(text, &end, 0);
    if (end == text || *end != '\0' || text[0] == '-') {
        (void)fprintf(stderr, "gyre_sim: '%s' is not a number\n", text);
        return false;
    }
    return true;
}

/* Options with a number. */
static bool
take_number(struct arguments *arguments, int option, uint64_t number)
{
    struct campaign *campaign = &arguments->campaign;

    switch (option) {
    case SEED:
        arguments->is_one = true;
        campaign->first = number;
        campaign->count = 1;
        return true;
    case SEEDS:
        campaign->count = number;
        return true;
    case FIRST:
        campaign->first = number;
        return true;
    case JOBS:
        campaign->jobs = (uint32_t)number;
        return number >= 1 && number <= 64;
    case SECONDS:
        campaign->seconds_max = number;
        campaign->count = UINT64_MAX;
        return true;
    case SAMPLE:
        arguments->effort.points_max = (uint32_t)number;
        arguments->effort.point_ppm = 20000;
        arguments->effort.point_special_ppm = 100000;
        return true;
    case FAILURES:
        campaign->failures_max = (uint32_t)number;
        return true;
    case TELL:
        arguments->effort.tell_depth = (uint32_t)number;
        return true;
    case HANG:
        campaign->hang_seconds = (uint32_t)number;
        return true;
    default:
        return choose_mutant(number);
    }
}

/* Options without one. */
static bool
take_word(struct arguments *arguments, int option)
{
    switch (option) {
    case EXHAUST:
        arguments->effort = EXHAUSTIVE;
        arguments->campaign.hang_seconds = 1200;
        return true;
    case EVERY_EVENT:
        arguments->effort.points_max = UINT32_MAX;
        arguments->effort.point_ppm = 1000000;
        arguments->effort.point_special_ppm = 1000000;
        arguments->effort.draws = 2;
        return true;
    case NO_CRASHES:
        arguments->effort.points_max = 0;
        return true;
    case SHRINK:
        arguments->is_shrunk = true;
        return true;
    case STATES:
        arguments->states_wanted = true;
        return true;
    case DEMAND_STATES:
        arguments->states_demanded = true;
        return true;
    case HASH:
        arguments->hash_wanted = true;
        return true;
    default:
        return false;
    }
}

/* 0: go on; else exit with that - 1. */
static int
take_arguments(struct arguments *arguments, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        uint64_t number = 0;
        bool is_good;

        if (option == HELP) {
            usage(stdout);
            return 1;
        }
        if (option == LIST_MUTANTS) {
            list_mutants();
            return 1;
        }
        if (option == CORPUS) {
            arguments->seeds_file = optarg;
            continue;
        }
        if (option == OPS) {
            arguments->has_ops = true;
            is_good = shrink_parse_ops(optarg, arguments->kept);
        } else if (optarg != NULL && option != '?') {
            is_good = number_of(optarg, &number) && take_number(arguments, option, number);
        } else {
            is_good = take_word(arguments, option);
        }
        if (!is_good) {
            usage(stderr);
            return 3;
        }
    }
    if (optind + 2 == argc && strcmp(argv[optind], "run") == 0) {
        arguments->plugin = argv[optind + 1];
    } else if (optind != argc) {
        usage(stderr);
        return 3;
    }
    return 0;
}

/* ---- What is done ---- */

static int
run_one(struct arguments *arguments)
{
    const uint64_t seed = arguments->campaign.first;
    struct plan plan;
    char text[4096];

    if (arguments->has_ops) {
        arguments->effort.kept_ops = arguments->kept;
    }
    if (arguments->is_shrunk) {
        return shrink_seed(seed, &arguments->effort) ? 1 : 0;
    }
    plan_draw(&plan, seed);
    plan_print(&plan);
    if (!campaign_try(seed, &arguments->effort, arguments->campaign.hang_seconds, text,
                      sizeof(text))) {
        (void)fprintf(stderr, "FAILED\n%s", text);
        return 1;
    }
    (void)printf("passed\n");
    return 0;
}

/* "# comment" and one seed a line; NULL with a message when the file is none. */
static uint64_t *
read_seeds(const char *path, uint64_t *ret_count)
{
    FILE *file = fopen(path, "re");
    uint64_t *seeds = NULL;
    char line[256];

    *ret_count = 0;
    if (file == NULL) {
        (void)fprintf(stderr, "gyre_sim: cannot read %s\n", path);
        return NULL;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        char *end;
        const uint64_t seed = strtoull(line, &end, 0);

        if (line[0] == '#' || end == line) {
            continue;
        }
        seeds = realloc(seeds, (*ret_count + 1) * sizeof(*seeds));
        demand(seeds != NULL);
        seeds[(*ret_count)++] = seed;
    }
    (void)fclose(file);
    return seeds;
}

/* False: one was demanded and never reached. */
static bool
report_states(const struct arguments *arguments, const struct campaign_result *result)
{
    uint32_t missing = 0;

    for (uint32_t i = 0; i < FAIL_STATE_COUNT; i++) {
        if (arguments->states_wanted) {
            (void)printf("  %-40s %llu\n", fail_state_name(i),
                         (unsigned long long)result->states[i]);
        }
        if (result->states[i] == 0 && (arguments->states_wanted || arguments->states_demanded)) {
            (void)printf("  never reached: %s\n", fail_state_name(i));
            missing++;
        }
    }
    if (arguments->states_wanted || arguments->states_demanded) {
        (void)printf("%u of %u states reached\n", FAIL_STATE_COUNT - missing, FAIL_STATE_COUNT);
    }
    return missing == 0 || !arguments->states_demanded;
}

static int
run_many(struct arguments *arguments)
{
    struct campaign *campaign = &arguments->campaign;
    struct campaign_result result;
    bool is_good;

    campaign->effort = &arguments->effort;
    if (arguments->seeds_file != NULL) {
        campaign->seeds = read_seeds(arguments->seeds_file, &campaign->count);
        if (campaign->seeds == NULL) {
            return 2;
        }
    }
    if (!campaign_run(campaign, &result)) {
        (void)fprintf(stderr, "gyre_sim: no worker could be started\n");
        return 2;
    }
    (void)printf("%llu seeds in %.1f s with %u jobs: %.0f a minute and job; %u failed\n",
                 (unsigned long long)result.seed_count, result.seconds, campaign->jobs,
                 (double)result.seed_count * 60 / result.seconds / campaign->jobs,
                 result.failure_count);
    is_good = report_states(arguments, &result);
    if (arguments->hash_wanted) {
        (void)printf("hash %016llx\n", (unsigned long long)result.hash);
    }
    for (uint32_t i = 0; i < result.failure_count && i < CAMPAIGN_FAILURES_KEPT; i++) {
        (void)printf("failed: gyre_sim --seed %llu --shrink\n",
                     (unsigned long long)result.failed_seeds[i]);
    }
    return result.failure_count == 0 && is_good ? 0 : 1;
}

int
main(int argc, char **argv)
{
    static struct arguments arguments;
    bool has_count;
    int code;

    arguments.effort = SAMPLED;
    arguments.campaign = (struct campaign){.first = 1,
                                           .count = SEEDS_DEFAULT,
                                           .jobs = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN),
                                           .failures_max = 1,
                                           .hang_seconds = 60,
                                           .has_progress = isatty(STDERR_FILENO) != 0};
    code = take_arguments(&arguments, argc, argv);
    if (code != 0) {
        return code - 1;
    }
    has_count = arguments.campaign.count != SEEDS_DEFAULT;
    if (arguments.plugin != NULL) {
        return plugin_run(arguments.plugin, arguments.campaign.first,
                          has_count ? arguments.campaign.count : PLUGIN_SEEDS);
    }
    return arguments.is_one ? run_one(&arguments) : run_many(&arguments);
}
