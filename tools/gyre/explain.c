/* explain.c - explain: what each value of a store and its loop is, from what it follows, and what
 * binds now.
 */
#include <stdlib.h>

#include "tools/gyre/cli.h"

const struct cli_command cli_explain_command = {
    .name = "explain",
    .usage = "STORE",
    .summary = "say what each option comes to, from what, and what binds now",
    .details =
        "Changes nothing. The three inputs come first (memory_limit, disk_quota, p999_goal_us),\n"
        "then what is derived where nobody said otherwise, then what holds the store back just\n"
        "now. gyre-options(7) has them one by one.\n",
    .words_min = 1,
    .words_max = 1,
    .flags = CLI_HAS_JSON};

enum { KIND, NAME, VALUE, HOW, FROM, PART_COUNT };

static const struct {
    const char *kind, *title;
} kinds[] = {{"input", "inputs"},
             {"loop", "of the loop"},
             {"store", "of the store"},
             {"derived", "that follows"},
             {"binds", "what binds now"}};

/* The property, to be freed; NULL and the error was told. */
static char *
take_text(struct cli *cli)
{
    size_t size = 0;
    char *text = NULL;
    gyre_status status = gyre_property(cli->db, "gyre.explain", NULL, 0, &size);

    if (status == GYRE_OK) {
        text = cli_realloc(NULL, size + 1);
        status = gyre_property(cli->db, "gyre.explain", text, size + 1, &size);
    }
    if (status != GYRE_OK) {
        free(text);
        (void)cli_fail_status(cli, status);
        return NULL;
    }
    return text;
}

/* The parts of the line at *text; false: there is none. */
static bool
take_line(char **text, char *parts[PART_COUNT])
{
    char *line = strsep(text, "\n");

    for (int i = 0; i < PART_COUNT; i++) {
        parts[i] = line != NULL ? strsep(&line, "\t") : NULL;
    }
    return parts[FROM] != NULL;
}

/* One object a line. */
static void
print_json(char *text)
{
    static const char *const names[PART_COUNT] = {"kind", "name", "value", "how", "from"};
    char *parts[PART_COUNT];

    while (take_line(&text, parts)) {
        for (int i = 0; i < PART_COUNT; i++) {
            (void)printf("%s\"%s\":", i == 0 ? "{" : ",", names[i]);
            cli_put_json_text(stdout, parts[i]);
        }
        (void)fputs("}\n", stdout);
    }
}

static void
print_text(char *text)
{
    char *parts[PART_COUNT];
    const char *kind = "";

    while (take_line(&text, parts)) {
        if (strcmp(kind, parts[KIND]) != 0) {
            kind = parts[KIND];
            for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                if (strcmp(kinds[i].kind, kind) == 0) {
                    (void)printf("%s:\n", kinds[i].title);
                }
            }
        }
        (void)printf("  %-24s %16s  %-7s  %s\n", parts[NAME], parts[VALUE],
                     strcmp(kind, "binds") == 0 ? "" : parts[HOW], parts[FROM]);
    }
}

int
cli_explain_run(struct cli *cli, int count, char **words)
{
    struct gyre_options options = {.flags = GYRE_OPEN_READ_ONLY};
    int code = cli_parse(cli, &cli_explain_command, count, words, NULL);
    char *text;

    if (code == CLI_GO_ON) {
        code = cli_open(cli, &options);
    }
    if (code != CLI_GO_ON) {
        return code;
    }
    text = take_text(cli);
    if (text != NULL && cli->json) {
        print_json(text);
    } else if (text != NULL) {
        print_text(text);
    }
    code = text != NULL ? cli_finish_output(cli, CLI_OK) : CLI_FAILED;
    free(text);
    return cli_close(cli, code);
}
