/* main.c - the `gyre` command: finds the subcommand and runs it. */
#include "tools/gyre/cli.h"

static const struct {
    const struct cli_command *command;
    cli_run_fn run;
} commands[] = {
    {&cli_put_command, cli_put_run},         {&cli_get_command, cli_get_run},
    {&cli_delete_command, cli_delete_run},   {&cli_scan_command, cli_scan_run},
    {&cli_load_command, cli_load_run},       {&cli_dump_command, cli_dump_run},
    {&cli_stat_command, cli_stat_run},       {&cli_explain_command, cli_explain_run},
    {&cli_verify_command, cli_verify_run},   {&cli_salvage_command, cli_salvage_run},
    {&cli_compact_command, cli_compact_run}, {&cli_checkpoint_command, cli_checkpoint_run},
    {&cli_doctor_command, cli_doctor_run},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int
print_overview(const struct cli *cli)
{
    (void)printf("gyre - a key-value store in a directory\n\nusage: gyre COMMAND STORE ...\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        (void)printf("  %-11s %s\n", commands[i].command->name, commands[i].command->summary);
    }
    (void)printf("\n"
                 "gyre COMMAND --help says more of one; gyre --version prints the version.\n"
                 "Exit codes: 0 done, 1 no such key, 2 wrong usage, 3 the store is damaged, 4 the\n"
                 "store or the machine failed, 5 the store is open elsewhere, 6 bad input.\n");
    return cli_finish_output(cli, CLI_OK);
}

static int
run_command(const struct cli *plain, const char *name, int count, char **words)
{
    struct cli cli;

    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(name, commands[i].command->name) == 0) {
            return commands[i].run(&cli, count, words);
        }
    }
    return cli_usage(plain, "unknown command %s", name);
}

int
main(int argc, char **argv)
{
    static char help[] = "--help";
    char *help_words[] = {help};
    const struct cli plain = {0};

    if (argc < 2) {
        return cli_usage(&plain, "a command is missing");
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) {
        (void)printf("gyre %s\n", gyre_version());
        return cli_finish_output(&plain, CLI_OK);
    }
    if (strcmp(name, "help") == 0 && argc > 2) {
        return run_command(&plain, argv[2], 1, help_words);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        return print_overview(&plain);
    }
    return run_command(&plain, name, argc - 2, argv + 2);
}
