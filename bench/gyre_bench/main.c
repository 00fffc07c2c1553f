/* main.c - gyre-bench: jobs in groups, one after the other; results as each group ends.
 *
 * Exit codes: 0 done, 1 an operation failed or a value was wrong, 2 bad input, 128 + n ended by
 * signal n (what was measured until then is printed, and marked).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/gyre_bench/job_file.h"
#include "bench/gyre_bench/report.h"
#include "bench/gyre_bench/store.h"

struct output {
    FILE *file;
    struct json json;
    bool is_json;
    bool has_begun;
    struct moment start, end;
    bool has_crashed; /* a store is open still */
};

static void
watch_signals(void)
{
    /* the next one of the kind ends the process */
    struct sigaction action = {.sa_handler = interrupt_take, .sa_flags = (int)SA_RESETHAND};

    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static void
print_group(struct output *output, const struct run_settings *settings, const struct group *group)
{
    if (!output->has_begun) {
        output->has_begun = true;
        output->start = group->start;
        if (output->is_json) {
            report_json_begin(&output->json, settings);
        } else {
            report_text_begin(output->file, settings);
        }
    }
    output->end = group->end;
    if (output->is_json) {
        report_json_group(&output->json, group);
    } else {
        report_text_group(output->file, group);
    }
    (void)fflush(output->file);
}

/* Failures and wrong values are said on standard error, too. */
static int
judge(const struct group *group, int code)
{
    for (uint32_t i = 0; i < group->crew.stream_count; i++) {
        struct recorder *r = stream_results(&group->crew.streams[i]);

        if (r == NULL) {
            continue;
        }
        if (r->errors > 0) {
            (void)fprintf(stderr, "gyre-bench: %s: %s\n", group->crew.streams[i].name, r->error);
            code = EXIT_FAILED;
        } else if (r->mismatches > 0) {
            (void)fprintf(stderr,
                          "gyre-bench: %s: values were read that do not belong to their key\n",
                          group->crew.streams[i].name);
            code = EXIT_FAILED;
        }
        recorder_free(r);
    }
    return code;
}

static int
run_group(struct run_settings *settings, uint32_t first, uint32_t count, uint32_t number,
          struct output *output)
{
    static struct group group;
    static uint32_t units_before;
    int code;

    group = (struct group){.settings = settings,
                           .jobs = &settings->jobs[first],
                           .job_count = count,
                           .number = number,
                           .units_before = units_before,
                           .type = settings->jobs[first].engine};
    code = group_run(&group);
    if (group.start.time_ns != 0) {
        print_group(output, settings, &group);
        code = judge(&group, code);
    }
    units_before += group.unit_count;
    output->has_crashed = group.has_crashed;
    group_free(&group);
    return code;
}

static int
run_all(struct run_settings *settings, struct output *output)
{
    uint32_t first = 0;
    uint32_t number = 0;
    int code = GO_ON;

    while (first < settings->job_count && code == GO_ON && crew_interrupted() == 0) {
        uint32_t count = 1;

        while (first + count < settings->job_count &&
               !jobs_start_group(&settings->jobs[first + count])) {
            count++;
        }
        code = run_group(settings, first, count, number++, output);
        first += count;
    }
    if (crew_interrupted() != 0 && first < settings->job_count) {
        (void)fprintf(stderr, "gyre-bench: interrupted: jobs from '%s' on were not run\n",
                      settings->jobs[first].name);
    }
    return code;
}

static bool
open_output(struct output *output, const struct run_settings *settings)
{
    output->is_json = settings->format == OUTPUT_JSON;
    output->file = settings->output != NULL ? fopen(settings->output, "we") : stdout;
    output->json.file = output->file;
    if (output->file == NULL) {
        (void)usage_error("%s: %s", settings->output, strerror(errno));
    }
    return output->file != NULL;
}

int
main(int argc, char **argv)
{
    static struct run_settings settings; /* large: all jobs */
    struct output output = {.file = NULL};
    int code;

    job_init(&settings.defaults);
    code = command_line_read(&settings, argc, argv);
    if (code == GO_ON) {
        code = jobs_check(&settings);
    }
    if (code != GO_ON) {
        return code;
    }
    if (settings.parse_only) {
        return 0;
    }
    if (!open_output(&output, &settings)) {
        return EXIT_USAGE;
    }
    watch_signals();
    (void)prctl(PR_SET_TIMERSLACK,
                1); /* threads that wait for their time wake at it, not 50 us on */
    code = run_all(&settings, &output);
    if (output.has_begun && output.is_json) {
        report_json_end(&output.json, &output.start, &output.end);
    }
    if (fflush(output.file) != 0 || ferror(output.file) != 0) {
        (void)fputs("gyre-bench: cannot write the results\n", stderr);
        code = EXIT_FAILED;
    }
    code = code == GO_ON ? 0 : code;
    code = crew_interrupted() != 0 ? EXIT_SIGNAL + crew_interrupted() : code;
    if (output.has_crashed) {
        _exit(code); /* no destructor of any library may tidy up */
    }
    return code;
}
