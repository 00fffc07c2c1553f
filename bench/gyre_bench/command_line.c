/* command_line.c - the command line: options of the run, jobs by --name, a workload, or job files.
 * */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/gyre_bench/job_file.h"
#include "bench/gyre_bench/options.h"
#include "bench/gyre_bench/store.h"
#include "gyre/base.h"

/* One option of the command line, kept to be applied to the jobs of files after these are read. */
struct word {
    const char *name;
    size_t name_size;
    const char *value;
    bool is_job_name;
};

struct words {
    uint32_t count;
    struct word list[512];
    const char *files[64];
    uint32_t file_count;
    const struct workload *workload;
};

static int
add_option(struct words *words, int argc, char **argv, int *index)
{
    const char *name = argv[*index] + 2;
    const size_t size = strcspn(name, "=");
    const struct option *option = option_find(name, size);
    struct word word = {.name = name, .name_size = size};

    if (words->count == sizeof(words->list) / sizeof(words->list[0])) {
        return usage_error("too many options");
    }
    if (name[size] == '=') {
        word.value = name + size + 1;
    } else if (option != NULL && option->argument != NULL) {
        if (*index + 1 >= argc) {
            return usage_error("--%s needs a value: %s", option->name, option->argument);
        }
        word.value = argv[++*index];
    }
    word.is_job_name = option != NULL && strcmp(option->name, "name") == 0;
    words->list[words->count++] = word;
    return GO_ON;
}

static int
add_word(struct words *words, const char *text)
{
    const struct workload *workload = workload_find(text);
    FILE *file;

    if (workload != NULL && words->workload == NULL) {
        words->workload = workload;
        return GO_ON;
    }
    if (workload != NULL) {
        return usage_error("one workload at a time: what is '%s'? --name begins another job", text);
    }
    file = strcmp(text, "-") == 0 ? stdin : fopen(text, "re");
    if (file == NULL) {
        return usage_error("unknown workload '%s', and no job file of that name; gyre-bench --help "
                           "lists all",
                           text);
    }
    if (file != stdin) {
        (void)fclose(file);
    }
    if (words->file_count == sizeof(words->files) / sizeof(words->files[0])) {
        return usage_error("too many job files");
    }
    words->files[words->file_count++] = text;
    return GO_ON;
}

static int
collect(struct words *words, int argc, char **argv)
{
    int code = GO_ON;

    for (int i = 1; i < argc && code == GO_ON; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            options_print_help();
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            (void)puts("gyre-bench " GYRE_VERSION);
            return 0;
        }
        if (strcmp(argv[i], "--cmdhelp=all") == 0) {
            options_print_commands();
            return 0;
        }
        code = strncmp(argv[i], "--", 2) == 0 && argv[i][2] != '\0'
                   ? add_option(words, argc, argv, &i)
                   : add_word(words, argv[i]);
    }
    return code;
}

static bool
apply(struct run_settings *settings, struct job *job, const struct word *word)
{
    return job_option(settings, job, word->name, word->name_size, word->value, NULL, 0);
}

/* Jobs by --name; what stands before the first of them is for all. */
static bool
make_named_jobs(struct run_settings *settings, const struct words *words)
{
    struct job *job = &settings->defaults;

    for (uint32_t i = 0; i < words->count; i++) {
        if (words->list[i].is_job_name) {
            job = job_add(settings, words->list[i].value);
        }
        if (job == NULL || !apply(settings, job, &words->list[i])) {
            return false;
        }
    }
    return true;
}

/* Jobs of files; options of the command line for all of them. */
static bool
make_file_jobs(struct run_settings *settings, const struct words *words)
{
    for (uint32_t i = 0; i < words->file_count; i++) {
        if (!job_file_read(settings, words->files[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < words->count; i++) {
        if (words->list[i].is_job_name) {
            (void)usage_error("--name does not go with job files");
            return false;
        }
        for (uint32_t k = 0; k < settings->job_count; k++) {
            if (!apply(settings, &settings->jobs[k], &words->list[i])) {
                return false;
            }
        }
    }
    return true;
}

int
command_line_read(struct run_settings *settings, int argc, char **argv)
{
    static struct words words;
    int code = collect(&words, argc, argv);
    bool has_names = false;

    if (code != GO_ON) {
        return code;
    }
    for (uint32_t i = 0; i < words.count; i++) {
        has_names = has_names || words.list[i].is_job_name;
    }
    if (words.file_count > 0) {
        if (words.workload != NULL) {
            return usage_error("a workload or job files, not both");
        }
        return make_file_jobs(settings, &words) ? GO_ON : EXIT_USAGE;
    }
    if (words.workload != NULL) {
        settings->defaults.workload = words.workload;
    }
    if (!make_named_jobs(settings, &words)) {
        return EXIT_USAGE;
    }
    if (!has_names) {
        if (settings->defaults.workload == NULL) {
            return usage_error("which workload, or which job file? gyre-bench --help lists all");
        }
        return job_add(settings, settings->defaults.workload->name) != NULL ? GO_ON : EXIT_USAGE;
    }
    return GO_ON;
}
