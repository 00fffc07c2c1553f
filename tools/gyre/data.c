/* data.c - put, get, delete: one key at a time. */
#include <errno.h>
#include <unistd.h>

#include "tools/gyre/cli.h"

const struct cli_command cli_put_command = {
    .name = "put",
    .usage = "STORE KEY [VALUE]",
    .summary = "set a key; the value comes from standard input when it is not given",
    .details =
        "Makes the store when there is none. With --hex standard input is hexadecimal digits\n"
        "too (blanks and line ends between them are skipped); else it is taken as it is,\n"
        "with a final newline if it has one.\n",
    .words_min = 2,
    .words_max = 3,
    .flags = CLI_HAS_HEX};

const struct cli_command cli_get_command = {
    .name = "get",
    .usage = "STORE KEY",
    .summary = "print the value of a key",
    .details =
        "The value is printed as it is, followed by a newline only on a terminal; with --hex as\n"
        "digits and a newline, with --json as {\"key\":..., \"value\":...}. Exits with 1 when\n"
        "there is no such key.\n",
    .words_min = 2,
    .words_max = 2,
    .flags = CLI_HAS_HEX | CLI_HAS_JSON};

const struct cli_command cli_delete_command = {
    .name = "delete",
    .usage = "STORE KEY",
    .summary = "remove a key",
    .details = "Removing a key that is not there is no error.\n",
    .words_min = 2,
    .words_max = 2,
    .flags = CLI_HAS_HEX};

/* ---- put ---- */

static int
read_standard_input(const struct cli *cli, size_t size_max, struct cli_bytes *ret_bytes)
{
    ret_bytes->size = 0;
    for (;;) {
        cli_bytes_reserve(ret_bytes, 65536);
        const ssize_t n = read(STDIN_FILENO, ret_bytes->data + ret_bytes->size, 65536);

        if (n < 0 && errno != EINTR) {
            (void)cli_fail(cli, "standard input: %s", strerror(errno));
            return CLI_BAD_INPUT;
        }
        if (n == 0) {
            return CLI_GO_ON;
        }
        if (n > 0) {
            ret_bytes->size += (size_t)n;
        }
        if (ret_bytes->size > size_max) {
            (void)cli_fail(cli, "standard input: a value has at most %u bytes",
                           GYRE_VALUE_SIZE_MAX);
            return CLI_BAD_INPUT;
        }
    }
}

static int
unhex_input(const struct cli *cli, struct cli_bytes *text, struct cli_bytes *ret_value)
{
    size_t kept = 0;

    for (size_t i = 0; i < text->size; i++) {
        if (memchr(" \t\r\n", text->data[i], 4) == NULL) {
            text->data[kept++] = text->data[i];
        }
    }
    text->size = kept;
    if (!cli_unhex(cli_bytes_slice(text), ret_value)) {
        (void)cli_fail(cli, "standard input: with --hex it is an even number of digits 0-9 a-f");
        return CLI_BAD_INPUT;
    }
    return CLI_GO_ON;
}

static int
value_of_put(const struct cli *cli, struct cli_bytes *ret_value)
{
    struct cli_bytes text = {0};
    int code;

    if (cli->words[2] != NULL) {
        return cli_word_bytes(cli, "value", cli->words[2], ret_value);
    }
    if (!cli->hex) {
        return read_standard_input(cli, GYRE_VALUE_SIZE_MAX, ret_value);
    }
    code = read_standard_input(cli, 4 * (size_t)GYRE_VALUE_SIZE_MAX, &text); /* with blanks */
    if (code == CLI_GO_ON) {
        code = unhex_input(cli, &text, ret_value);
    }
    cli_bytes_free(&text);
    return code;
}

int
cli_put_run(struct cli *cli, int count, char **words)
{
    const char *durability = NULL;
    bool no_create = false;
    const struct cli_option own[] = {
        {"durability", "CLASS", "durable (default: it is on the device) or buffered", CLI_TEXT,
         &durability},
        {"no-create", NULL, "fail when there is no store", CLI_FLAG, &no_create},
        {0}};
    struct gyre_write_options write_options = {.struct_size = sizeof(write_options)};
    struct gyre_options options = {0};
    struct cli_bytes key = {0}, value = {0};
    int code = cli_parse(cli, &cli_put_command, count, words, own);

    if (code == CLI_GO_ON) {
        code = cli_parse_durability(cli, durability, false, &write_options.durability);
    }
    if (code == CLI_GO_ON) {
        code = cli_word_key(cli, cli->words[1], &key);
    }
    if (code == CLI_GO_ON) {
        code = value_of_put(cli, &value); /* before the store is opened: the input may be slow */
    }
    if (code == CLI_GO_ON) {
        options.flags = no_create ? 0 : GYRE_OPEN_CREATE;
        code = cli_open(cli, &options);
    }
    if (code == CLI_GO_ON) {
        const gyre_status status =
            gyre_put(cli->db, &write_options, cli_bytes_slice(&key), cli_bytes_slice(&value));

        code = cli_close(cli, status == GYRE_OK ? CLI_OK : cli_fail_status(cli, status));
    }
    cli_bytes_free(&key);
    cli_bytes_free(&value);
    return code;
}

/* ---- get ---- */

static void
print_value(const struct cli *cli, const struct cli_bytes *key, const struct gyre_value *value)
{
    const struct gyre_slice bytes = gyre_slice(value->data, value->size);

    if (cli->json) {
        (void)fputs("{\"key\":", stdout);
        cli_put_json_bytes(stdout, cli_bytes_slice(key), cli->hex);
        (void)fputs(",\"value\":", stdout);
        cli_put_json_bytes(stdout, bytes, cli->hex);
        (void)fputs("}\n", stdout);
    } else if (cli->hex) {
        cli_put_hex(stdout, bytes);
        (void)fputs("\n", stdout);
    } else {
        cli_put_raw(stdout, bytes);
        if (isatty(STDOUT_FILENO) == 1) {
            (void)fputs("\n", stdout);
        }
    }
}

int
cli_get_run(struct cli *cli, int count, char **words)
{
    struct gyre_options options = {.flags = GYRE_OPEN_READ_ONLY};
    struct cli_bytes key = {0};
    struct gyre_value value;
    int code = cli_parse(cli, &cli_get_command, count, words, NULL);

    if (code == CLI_GO_ON) {
        code = cli_word_key(cli, cli->words[1], &key);
    }
    if (code == CLI_GO_ON) {
        code = cli_open(cli, &options);
    }
    if (code == CLI_GO_ON) {
        const gyre_status status = gyre_get(cli->db, NULL, cli_bytes_slice(&key), &value);

        if (status == GYRE_OK) {
            print_value(cli, &key, &value);
            gyre_value_release(&value);
            code = cli_finish_output(cli, CLI_OK);
        } else if (status == GYRE_NOT_FOUND) {
            if (!cli->quiet) {
                cli_say(cli, "no such key");
            }
            code = CLI_NOT_FOUND;
        } else {
            code = cli_fail_status(cli, status);
        }
        code = cli_close(cli, code);
    }
    cli_bytes_free(&key);
    return code;
}

/* ---- delete ---- */

int
cli_delete_run(struct cli *cli, int count, char **words)
{
    const char *durability = NULL;
    const struct cli_option own[] = {{"durability", "CLASS",
                                      "durable (default: it is on the device) or buffered",
                                      CLI_TEXT, &durability},
                                     {0}};
    struct gyre_write_options write_options = {.struct_size = sizeof(write_options)};
    struct gyre_options options = {0};
    struct cli_bytes key = {0};
    int code = cli_parse(cli, &cli_delete_command, count, words, own);

    if (code == CLI_GO_ON) {
        code = cli_parse_durability(cli, durability, false, &write_options.durability);
    }
    if (code == CLI_GO_ON) {
        code = cli_word_key(cli, cli->words[1], &key);
    }
    if (code == CLI_GO_ON) {
        code = cli_open(cli, &options);
    }
    if (code == CLI_GO_ON) {
        const gyre_status status = gyre_delete(cli->db, &write_options, cli_bytes_slice(&key));

        code = cli_close(cli, status == GYRE_OK ? CLI_OK : cli_fail_status(cli, status));
    }
    cli_bytes_free(&key);
    return code;
}
