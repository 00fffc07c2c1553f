/* common.c - words and options, messages with their exit codes, opening and closing a store. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tools/gyre/cli.h"

/* ---- Messages ---- */

static void
say_list(const struct cli *cli, const char *format, va_list list)
{
    char text[1024];

    (void)vsnprintf(text, sizeof(text), format, list);
    (void)fflush(stdout); /* so that output and messages keep their order in one file */
    if (cli->command == NULL) {
        (void)fprintf(stderr, "gyre: %s\n", text);
    } else if (cli->store == NULL) {
        (void)fprintf(stderr, "gyre: %s: %s\n", cli->command->name, text);
    } else {
        (void)fprintf(stderr, "gyre: %s: %s: %s\n", cli->command->name, cli->store, text);
    }
}

void
cli_say(const struct cli *cli, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    say_list(cli, format, list);
    va_end(list);
}

int
cli_usage(const struct cli *cli, const char *format, ...)
{
    struct cli plain = *cli;
    va_list list;

    plain.store = NULL;
    va_start(list, format);
    say_list(&plain, format, list);
    va_end(list);
    if (cli->command != NULL) {
        (void)fprintf(stderr, "usage: gyre %s %s\n       gyre %s --help lists its options\n",
                      cli->command->name, cli->command->usage, cli->command->name);
    } else {
        (void)fprintf(stderr, "usage: gyre COMMAND STORE ...\n       gyre --help lists them\n");
    }
    return CLI_USAGE;
}

int
cli_fail(const struct cli *cli, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    say_list(cli, format, list);
    va_end(list);
    return CLI_FAILED;
}

static int
exit_of_status(gyre_status status)
{
    switch (status) {
    case GYRE_OK:
        return CLI_OK;
    case GYRE_CORRUPT:
        return CLI_DAMAGED;
    case GYRE_BUSY:
        return CLI_BUSY;
    default:
        return CLI_FAILED;
    }
}

int
cli_fail_error(const struct cli *cli, const struct gyre_error *error)
{
    char place[96] = "", cause[128] = "";
    const char *text = error->text[0] != '\0' ? error->text : gyre_status_text(error->status);

    /* The text usually names file and cause; add them where it does not. */
    if (error->file[0] != '\0' && strstr(text, error->file) == NULL) {
        if (error->offset != UINT64_MAX) {
            (void)snprintf(place, sizeof(place), " (%s, offset %llu)", error->file,
                           (unsigned long long)error->offset);
        } else {
            (void)snprintf(place, sizeof(place), " (%s)", error->file);
        }
    }
    if (error->os_errno != 0 && strstr(text, strerror(error->os_errno)) == NULL) {
        (void)snprintf(cause, sizeof(cause), ": %s", strerror(error->os_errno));
    }
    cli_say(cli, "%s%s%s", text, place, cause);
    if (error->status == GYRE_CORRUPT && cli->store != NULL) {
        cli_say(cli, "what is readable can be copied: gyre salvage %s NEW_STORE", cli->store);
    }
    return exit_of_status(error->status);
}

int
cli_fail_status(const struct cli *cli, gyre_status status)
{
    struct gyre_error error = {.status = status, .offset = UINT64_MAX};

    if (cli->loop != NULL && gyre_last_error(cli->loop)->status == status) {
        error = *gyre_last_error(cli->loop);
    }
    return cli_fail_error(cli, &error);
}

int
cli_finish_output(const struct cli *cli, int code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        struct cli plain = *cli;

        plain.store = NULL;
        (void)cli_fail(&plain, "cannot write the output: %s", strerror(errno));
        return code == CLI_OK ? CLI_FAILED : code;
    }
    return code;
}

void *
cli_realloc(void *memory, size_t size)
{
    void *bigger = realloc(memory, size);

    if (bigger == NULL) {
        (void)fprintf(stderr, "gyre: no memory for %zu bytes\n", size);
        _exit(CLI_FAILED);
    }
    return bigger;
}

/* ---- Words and options ---- */

static int
common_options(struct cli *cli, const struct cli_command *command, struct cli_option *options)
{
    int n = 0;

    if ((command->flags & CLI_HAS_JSON) != 0) {
        options[n++] =
            (struct cli_option){"json", NULL, "one JSON object a line", CLI_FLAG, &cli->json};
    }
    if ((command->flags & CLI_HAS_HEX) != 0) {
        options[n++] = (struct cli_option){
            "hex", NULL, "keys and values as hexadecimal digits, in arguments and in the output",
            CLI_FLAG, &cli->hex};
    }
    if ((command->flags & CLI_HAS_PROGRESS) != 0) {
        options[n++] = (struct cli_option){"progress", "N",
                                           "a line of progress whenever N more records are done",
                                           CLI_COUNT, &cli->progress_every};
    }
    options[n++] =
        (struct cli_option){"quiet", NULL, "no progress, no warnings", CLI_FLAG, &cli->quiet};
    options[n++] =
        (struct cli_option){"memory", "SIZE", "all memory that the store may use (default 256M)",
                            CLI_SIZE, &cli->memory};
    options[n++] =
        (struct cli_option){"io", "KIND", "auto, uring (or fail) or blocking", CLI_TEXT, &cli->io};
    if ((command->flags & CLI_NO_STORE) == 0) {
        options[n++] =
            (struct cli_option){"options", "LIST", "options of the store: name=value,name=value",
                                CLI_TEXT, &cli->options};
        options[n++] = (struct cli_option){
            "wait", "SECONDS", "how long to wait while another process has the store (default 1)",
            CLI_COUNT, &cli->wait_seconds};
    }
    options[n] = (struct cli_option){0};
    return n;
}

static void
print_options(const struct cli_option *options)
{
    for (const struct cli_option *o = options; o != NULL && o->name != NULL; o++) {
        char left[48];

        (void)snprintf(left, sizeof(left), "--%s%s%s", o->name, o->argument != NULL ? " " : "",
                       o->argument != NULL ? o->argument : "");
        (void)printf("  %-22s %s\n", left, o->help);
    }
}

static int
print_help(const struct cli *cli, const struct cli_option *own, const struct cli_option *common)
{
    const struct cli_command *command = cli->command;

    (void)printf("gyre %s - %s\n\nusage: gyre %s %s\n", command->name, command->summary,
                 command->name, command->usage);
    if (command->details[0] != '\0') {
        (void)printf("\n%s", command->details);
    }
    (void)printf("\nOptions:\n");
    print_options(own);
    print_options(common);
    (void)printf("  %-22s %s\n\nThe manual is gyre(1).\n", "--help", "this text");
    return cli_finish_output(cli, CLI_OK);
}

static const struct cli_option *
find_option(const struct cli_option *options, const char *name, size_t size)
{
    for (const struct cli_option *o = options; o != NULL && o->name != NULL; o++) {
        if (strlen(o->name) == size && memcmp(o->name, name, size) == 0) {
            return o;
        }
    }
    return NULL;
}

static int
take_option(const struct cli *cli, const struct cli_option *option, const char *value)
{
    switch (option->kind) {
    case CLI_FLAG:
        *(bool *)option->target = true;
        return CLI_GO_ON;
    case CLI_TEXT:
        *(const char **)option->target = value;
        return CLI_GO_ON;
    case CLI_COUNT:
        if (!cli_parse_count(value, option->target)) {
            return cli_usage(cli, "--%s %s: not a number", option->name, value);
        }
        return CLI_GO_ON;
    case CLI_SIZE:
        if (!cli_parse_size(value, option->target)) {
            return cli_usage(cli, "--%s %s: not a size; like 4096, 64K, 256M, 2G", option->name,
                             value);
        }
        return CLI_GO_ON;
    }
    return CLI_GO_ON;
}

/* One word that starts with two dashes. *i is moved past an argument of its own. */
static int
parse_option(const struct cli *cli, int count, char **words, int *i, const struct cli_option *own,
             const struct cli_option *common)
{
    const char *name = words[*i] + 2;
    const char *equals = strchr(name, '=');
    const size_t size = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct cli_option *option = find_option(own, name, size);
    const char *value = equals != NULL ? equals + 1 : NULL;

    if (option == NULL) {
        option = find_option(common, name, size);
    }
    if (option == NULL) {
        return cli_usage(cli, "unknown option %s (a key that starts with a dash comes after --)",
                         words[*i]);
    }
    if (option->kind == CLI_FLAG && value != NULL) {
        return cli_usage(cli, "--%s takes no argument", option->name);
    }
    if (option->kind != CLI_FLAG && value == NULL) {
        if (*i + 1 >= count) {
            return cli_usage(cli, "--%s needs an argument: %s", option->name, option->argument);
        }
        *i += 1;
        value = words[*i];
    }
    return take_option(cli, option, value);
}

int
cli_parse(struct cli *cli, const struct cli_command *command, int count, char **words,
          const struct cli_option *own)
{
    struct cli_option common[CLI_OPTIONS_MAX];
    bool has_ended = false;
    int code = CLI_GO_ON;

    *cli = (struct cli){.command = command, .wait_seconds = 1};
    (void)common_options(cli, command, common);
    for (int i = 0; i < count && code == CLI_GO_ON; i++) {
        const char *word = words[i];

        if (!has_ended && strcmp(word, "--") == 0) {
            has_ended = true;
        } else if (!has_ended && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            return print_help(cli, own, common);
        } else if (!has_ended && strncmp(word, "--", 2) == 0) {
            code = parse_option(cli, count, words, &i, own, common);
        } else if (!has_ended && word[0] == '-' && word[1] != '\0') {
            code = cli_usage(
                cli, "unknown option %s (a key that starts with a dash comes after --)", word);
        } else if (cli->word_count == command->words_max) {
            code = cli_usage(cli, "one word too many: %s", word);
        } else {
            cli->words[cli->word_count++] = word;
        }
    }
    if (code == CLI_GO_ON && cli->word_count < command->words_min) {
        code = cli_usage(cli, "%s",
                         cli->word_count == 0 ? "arguments are missing" : "an argument is missing");
    }
    if ((command->flags & CLI_NO_STORE) == 0) {
        cli->store = cli->words[0];
    }
    return code;
}

/* ---- The store ---- */

static void
log_line(void *arg, enum gyre_log_level level, const char *text)
{
    const struct cli *cli = arg;

    if (level == GYRE_LOG_ERROR || (level == GYRE_LOG_WARNING && !cli->quiet)) {
        cli_say(cli, "%s: %s", level == GYRE_LOG_ERROR ? "error" : "warning", text);
    }
}

int
cli_open_loop(struct cli *cli)
{
    struct gyre_loop_options options = {.struct_size = sizeof(options)};
    struct gyre_error error = {.offset = UINT64_MAX};

    if (cli->io == NULL || strcmp(cli->io, "auto") == 0) {
        options.io_kind = GYRE_IO_AUTO;
    } else if (strcmp(cli->io, "uring") == 0) {
        options.io_kind = GYRE_IO_URING;
    } else if (strcmp(cli->io, "blocking") == 0) {
        options.io_kind = GYRE_IO_BLOCKING;
    } else {
        return cli_usage(cli, "--io %s: it is auto, uring or blocking", cli->io);
    }
    options.memory_limit = cli->memory;
    options.log = log_line;
    options.log_arg = cli;
    const gyre_status status = gyre_loop_open(&options, &cli->loop, &error);
    if (status == GYRE_OK) {
        return CLI_GO_ON;
    }
    cli->loop = NULL;
    error.status = status;
    if (status == GYRE_INVALID && cli->memory != 0) {
        return cli_usage(cli, "--memory: %s",
                         error.text[0] != '\0' ? error.text : gyre_status_text(status));
    }
    return cli_fail_error(cli, &error);
}

int
cli_fill_options(struct cli *cli, struct gyre_options *options)
{
    struct gyre_error error = {.offset = UINT64_MAX};

    options->struct_size = sizeof(*options);
    if (cli->options == NULL) {
        return CLI_GO_ON;
    }
    const uint32_t flags = options->flags;
    const gyre_status status = gyre_options_parse(cli->options, options, &error);
    if (status != GYRE_OK) {
        return cli_usage(cli, "--options: %s",
                         error.text[0] != '\0' ? error.text : gyre_status_text(status));
    }
    /* How a store is opened is the subcommand's choice: `gyre get` must never make one. */
    const uint32_t exclusive = options->flags & GYRE_OPEN_EXCLUSIVE;
    options->flags = (flags & GYRE_OPEN_CREATE) != 0 ? flags | exclusive : flags;
    return CLI_GO_ON;
}

int
cli_open(struct cli *cli, struct gyre_options *options)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    int code = cli_fill_options(cli, options);

    if (code == CLI_GO_ON) {
        code = cli_open_loop(cli);
    }
    if (code != CLI_GO_ON) {
        return code;
    }
    /* A process that was killed holds its lock until the kernel has finished its last writes. */
    const uint64_t deadline_ns = cli_now_ns() + cli->wait_seconds * 1000000000u;
    for (;;) {
        const gyre_status status = gyre_open(cli->loop, cli->store, options, &cli->db);

        if (status == GYRE_OK) {
            return CLI_GO_ON;
        }
        cli->db = NULL;
        if (status != GYRE_BUSY || cli_now_ns() >= deadline_ns) {
            return cli_close(cli, cli_fail_status(cli, status));
        }
        (void)nanosleep(&pause, NULL);
    }
}

int
cli_close(struct cli *cli, int code)
{
    if (cli->db != NULL) {
        const gyre_status status = gyre_close(cli->db);

        cli->db = NULL;
        if (status != GYRE_OK) {
            const int failed = cli_fail_status(cli, status);
            code = code == CLI_OK ? failed : code;
        }
    }
    (void)gyre_loop_close(cli->loop); /* the process ends: what it says changes nothing */
    cli->loop = NULL;
    return code;
}

int
cli_parse_durability(const struct cli *cli, const char *text, bool may_nowal,
                     uint32_t *ret_durability)
{
    if (text == NULL) {
        *ret_durability = GYRE_DURABILITY_DEFAULT;
    } else if (strcmp(text, "durable") == 0) {
        *ret_durability = GYRE_DURABLE;
    } else if (strcmp(text, "buffered") == 0) {
        *ret_durability = GYRE_BUFFERED;
    } else if (may_nowal && strcmp(text, "nowal") == 0) {
        *ret_durability = GYRE_NOWAL;
    } else {
        return cli_usage(cli, "--durability %s: it is durable%s", text,
                         may_nowal ? ", buffered or nowal" : " or buffered");
    }
    return CLI_GO_ON;
}
