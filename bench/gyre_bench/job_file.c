/* job_file.c - reads job files. */
#include "bench/gyre_bench/job_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/gyre_bench/options.h"

#define LINE_SIZE_MAX 4096u

/* ---- Options ---- */

static void
print_place(const char *file, uint32_t line)
{
    if (file != NULL) {
        (void)fprintf(stderr, "gyre-bench: %s:%u: ", file, line);
    } else {
        (void)fputs("gyre-bench: --", stderr);
    }
}

bool
job_option(struct run_settings *settings, struct job *job, const char *name, size_t name_size,
           const char *text, const char *file, uint32_t line)
{
    const struct option *option = option_find(name, name_size);
    char error[OPTION_ERROR_MAX];

    if (option == NULL) {
        const char *like = option_like(name, name_size);

        print_place(file, line);
        (void)fprintf(stderr, "%.*s: unknown option%s%s%s; gyre-bench --help lists all\n",
                      (int)name_size, name, like != NULL ? ", did you mean '" : "",
                      like != NULL ? like : "", like != NULL ? "'?" : "");
        return false;
    }
    if (!option_set(option, text, option->is_of_run ? (void *)settings : (void *)job, error)) {
        print_place(file, line);
        (void)fprintf(stderr, "%s\n", error);
        return false;
    }
    if (!option->is_of_run && job->given_count < GIVEN_MAX) {
        job->given[job->given_count++] = (struct given){.option = option,
                                                        .text = text,
                                                        .file = file,
                                                        .line = line,
                                                        .is_global = job == &settings->defaults};
    }
    return true;
}

struct job *
job_add(struct run_settings *settings, const char *name)
{
    struct job *job = &settings->jobs[settings->job_count];

    if (settings->job_count == JOBS_MAX) {
        (void)fprintf(stderr, "gyre-bench: more than %u jobs\n", JOBS_MAX);
        return NULL;
    }
    *job = settings->defaults;
    job->name = name;
    settings->job_count++;
    return job;
}

/* ---- Lines ---- */

static char *
trim(char *text)
{
    char *end = text + strlen(text);

    while (isspace((unsigned char)*text) != 0) {
        text++;
    }
    while (end > text && isspace((unsigned char)end[-1]) != 0) {
        *--end = '\0';
    }
    return text;
}

/* Replace each ${NAME} by what the environment says. NULL: one is not set (printed). */
static char *
expand(const char *text, const char *path, uint32_t line)
{
    char out[LINE_SIZE_MAX];
    size_t size = 0;

    while (*text != '\0' && size + 1 < sizeof(out)) {
        const char *end = text[0] == '$' && text[1] == '{' ? strchr(text, '}') : NULL;
        char name[128];
        const char *value;

        if (end == NULL || (size_t)(end - text) - 2 >= sizeof(name)) {
            out[size++] = *text++;
            continue;
        }
        (void)snprintf(name, sizeof(name), "%.*s", (int)(end - text) - 2, text + 2);
        value = getenv(name);
        if (value == NULL) {
            print_place(path, line);
            (void)fprintf(stderr, "the environment variable %s is not set\n", name);
            return NULL;
        }
        size += (size_t)snprintf(out + size, sizeof(out) - size, "%s", value);
        size = size < sizeof(out) ? size : sizeof(out) - 1;
        text = end + 1;
    }
    out[size] = '\0';
    return strdup(out);
}

struct reader {
    struct run_settings *settings;
    struct job *job; /* NULL: none yet */
    const char *path;
    uint32_t line;
    bool is_global;
};

static bool
complain(const struct reader *reader, const char *what, const char *word)
{
    print_place(reader->path, reader->line);
    (void)fprintf(stderr, "%s: '%s'\n", what, word);
    return false;
}

static bool
read_section(struct reader *reader, char *text)
{
    char *end = strchr(text, ']');

    if (end == NULL || end[1] != '\0' || end == text + 1) {
        return complain(reader, "a section is [name]", text);
    }
    *end = '\0';
    reader->is_global = strcmp(text + 1, "global") == 0;
    if (!reader->is_global) {
        const char *name = strdup(text + 1);

        reader->job = name != NULL ? job_add(reader->settings, name) : NULL;
        return reader->job != NULL;
    }
    return true;
}

static bool
read_option(struct reader *reader, char *text)
{
    struct job *job = reader->is_global ? &reader->settings->defaults : reader->job;
    char *equals = strchr(text, '=');
    char *value = NULL; /* kept by the job */
    const char *name;

    if (job == NULL) {
        return complain(reader, "an option before the first [section]", text);
    }
    if (equals != NULL) {
        *equals = '\0';
        value = expand(trim(equals + 1), reader->path, reader->line);
        if (value == NULL) {
            return false;
        }
    }
    name = trim(text);
    if (!job_option(reader->settings, job, name, strlen(name), value, reader->path, reader->line)) {
        free(value);
        return false;
    }
    return true;
}

bool
job_file_read(struct run_settings *settings, const char *path)
{
    struct reader reader = {.settings = settings, .path = path};
    static struct job defaults;
    const uint32_t jobs_before = settings->job_count;
    char line[LINE_SIZE_MAX];
    bool is_good = true;
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");

    defaults = settings->defaults;
    if (file == NULL) {
        (void)fprintf(stderr, "gyre-bench: %s: %s\n", path, strerror(errno));
        return false;
    }
    while (is_good && fgets(line, sizeof(line), file) != NULL) {
        char *text = trim(line);

        reader.line++;
        if (text[0] == '[') {
            is_good = read_section(&reader, text);
        } else if (text[0] != '\0' && text[0] != ';' && text[0] != '#') {
            is_good = read_option(&reader, text);
        }
    }
    if (file != stdin) {
        (void)fclose(file);
    }
    if (is_good && settings->job_count == jobs_before) {
        (void)fprintf(stderr, "gyre-bench: %s: no job: a section [name] with rw=\n", path);
        is_good = false;
    }
    /* What [global] said is in the jobs by now. The next file starts anew, but for the list of what
     * was given, which is for reports. */
    memcpy(defaults.given, settings->defaults.given, sizeof(defaults.given));
    defaults.given_count = settings->defaults.given_count;
    settings->defaults = defaults;
    return is_good;
}
