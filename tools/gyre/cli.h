/* cli.h - what the subcommands of the `gyre` command share: words and options, opening a store,
 * exit codes, messages, bytes as text, progress, signals.
 *
 * The command uses the public headers only. It is one process that does one thing and ends, so it
 * is freer than the library: it prints, it has one signal descriptor, and it ends on the spot when
 * there is no memory (a store survives that, as it survives a kill).
 */
#ifndef GYRE_TOOLS_CLI_H
#define GYRE_TOOLS_CLI_H

#include <stdio.h>

#include "gyre/gyre.h"

/* Exit codes: a contract with scripts, documented in docs/man/gyre.1. */
enum cli_exit {
    CLI_OK = 0,
    CLI_NOT_FOUND = 1, /* the key is not there */
    CLI_USAGE = 2,     /* unknown option, missing or bad argument; nothing was done */
    CLI_DAMAGED = 3,   /* the store is damaged */
    CLI_FAILED = 4,    /* no store there, no permission, disk full, device error, ... */
    CLI_BUSY = 5,      /* another process has the store open */
    CLI_BAD_INPUT = 6, /* the input of load or put is not what it should be */
    CLI_SIGNAL = 128   /* plus the number of the signal */
};
#define CLI_GO_ON (-1) /* of functions that return an exit code: none yet */

/* ---- Words and options ---- */

enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_COUNT, CLI_SIZE };

struct cli_option {
    const char *name;     /* without dashes; NULL ends a list */
    const char *argument; /* how help names it; NULL for a flag */
    const char *help;
    enum cli_kind kind;
    void *target; /* bool, const char *, uint64_t, uint64_t */
};

enum { CLI_HAS_JSON = 1, CLI_HAS_HEX = 2, CLI_HAS_PROGRESS = 4, CLI_NO_STORE = 8 };

struct cli_command {
    const char *name;
    const char *usage;   /* the words after the name */
    const char *summary; /* one line */
    const char *details; /* paragraphs for --help, may be "" */
    int words_min, words_max;
    unsigned flags; /* CLI_HAS_* */
};

#define CLI_WORDS_MAX 4
#define CLI_OPTIONS_MAX 32

struct cli {
    const struct cli_command *command;
    const char *words[CLI_WORDS_MAX]; /* positional arguments; NULL where absent */
    int word_count;
    const char *store; /* for messages: the store, the file, ... that is worked on */
    gyre_loop *loop;
    gyre_db *db;
    /* common options */
    uint64_t memory, wait_seconds, progress_every;
    const char *io, *options;
    bool json, hex, quiet;
};

/* Fill `cli` from the words after the subcommand. CLI_GO_ON, or the exit code (help was printed, or
 * an error). `own` may be NULL. */
int cli_parse(struct cli *cli, const struct cli_command *command, int count, char **words,
              const struct cli_option *own);

/* ---- Messages; the functions that return int return the exit code ---- */

GYRE_PRINTF(2, 3) void cli_say(const struct cli *cli, const char *format, ...);
GYRE_PRINTF(2, 3) int cli_usage(const struct cli *cli, const char *format, ...);
GYRE_PRINTF(2, 3) int cli_fail(const struct cli *cli, const char *format, ...); /* CLI_FAILED */
int cli_fail_status(const struct cli *cli, gyre_status status); /* with gyre_last_error's text */
int cli_fail_error(const struct cli *cli, const struct gyre_error *error);
int cli_finish_output(const struct cli *cli, int code); /* flush stdout; may turn to CLI_FAILED */
void *cli_realloc(void *memory, size_t size);           /* ends the process when there is none */

/* ---- The store ---- */

int cli_fill_options(struct cli *cli, struct gyre_options *options); /* from --options */
int cli_open_loop(struct cli *cli);
/* Loop and store, waiting a moment for another process to leave. `options` has flags and what
 * the subcommand sets by itself. */
int cli_open(struct cli *cli, struct gyre_options *options);
int cli_close(struct cli *cli, int code); /* CLI_OK becomes the failure to close, if any */
/* "durable", "buffered", with `may_nowal` also "nowal"; NULL is the store's default. */
int cli_parse_durability(const struct cli *cli, const char *text, bool may_nowal,
                         uint32_t *ret_durability);

/* ---- Bytes ---- */

struct cli_bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

void cli_bytes_reserve(struct cli_bytes *bytes, size_t more);
void cli_bytes_add(struct cli_bytes *bytes, const void *data, size_t size);
void cli_bytes_free(struct cli_bytes *bytes);
struct gyre_slice cli_bytes_slice(const struct cli_bytes *bytes);

bool cli_parse_count(const char *text, uint64_t *ret_count);
bool cli_parse_size(const char *text, uint64_t *ret_size); /* 10, 4K, 64M, 1.5G is refused */
int cli_unhex_digit(int c);                                /* -1: not one */
bool cli_unhex(struct gyre_slice text, struct cli_bytes *ret_bytes);
/* The bytes of a key or value given as a word: itself, or decoded with --hex. */
int cli_word_bytes(const struct cli *cli, const char *what, const char *word,
                   struct cli_bytes *ret_bytes);
int cli_word_key(const struct cli *cli, const char *word, struct cli_bytes *ret_key);

bool cli_is_utf8(struct gyre_slice bytes);
void cli_put_raw(FILE *out, struct gyre_slice bytes);
void cli_put_hex(FILE *out, struct gyre_slice bytes);
void cli_put_tsv(FILE *out, struct gyre_slice bytes);                     /* \t \n \r \\ \xHH */
void cli_put_mdb_print(FILE *out, struct gyre_slice bytes);               /* \hh */
void cli_put_json_text(FILE *out, const char *text);                      /* "..." */
void cli_put_json_bytes(FILE *out, struct gyre_slice bytes, bool as_hex); /* "..." or {"hex":...} */
const char *cli_size_text(uint64_t size, char *buffer, size_t capacity);  /* "12.5 MiB" */

/* ---- Progress on stderr: a bar on a terminal, else plain lines; nothing with --quiet ---- */

struct cli_progress {
    const struct cli *cli;
    const char *verb; /* "acknowledged" */
    const char *unit; /* "records"; NULL: only the share is known */
    bool is_bar, is_off;
    uint64_t every; /* a line whenever count has passed a multiple of it; 0 = each second */
    uint64_t count_printed;
    uint64_t started_ns, printed_ns;
};

void cli_progress_start(struct cli_progress *progress, const struct cli *cli, const char *verb,
                        const char *unit);
void cli_progress_update(struct cli_progress *progress, uint64_t count, uint64_t done,
                         uint64_t total);
void cli_progress_finish(struct cli_progress *progress);                   /* wipes the bar */
bool cli_progress_callback(void *progress, uint64_t done, uint64_t total); /* a gyre_progress_fn */
uint64_t cli_now_ns(void);

/* ---- Signals: SIGINT and SIGTERM are noticed between two steps, they never interrupt one ---- */

int cli_signals_open(void); /* the descriptor to poll; -1: signals act as usual */
int cli_signal_taken(void); /* the first signal that came, 0 = none */

/* ---- Subcommands, one file per group; and what they lend each other ---- */

typedef int (*cli_run_fn)(struct cli *cli, int count, char **words);

extern const struct cli_command cli_put_command, cli_get_command, cli_delete_command,
    cli_scan_command, cli_load_command, cli_dump_command, cli_stat_command, cli_verify_command,
    cli_salvage_command, cli_compact_command, cli_checkpoint_command, cli_doctor_command,
    cli_explain_command;
int cli_put_run(struct cli *cli, int count, char **words);
int cli_get_run(struct cli *cli, int count, char **words);
int cli_delete_run(struct cli *cli, int count, char **words);
int cli_scan_run(struct cli *cli, int count, char **words);
int cli_load_run(struct cli *cli, int count, char **words);
int cli_dump_run(struct cli *cli, int count, char **words);
int cli_stat_run(struct cli *cli, int count, char **words);
int cli_verify_run(struct cli *cli, int count, char **words);
int cli_salvage_run(struct cli *cli, int count, char **words);
int cli_compact_run(struct cli *cli, int count, char **words);
int cli_checkpoint_run(struct cli *cli, int count, char **words);
int cli_doctor_run(struct cli *cli, int count, char **words);
int cli_explain_run(struct cli *cli, int count, char **words);

int cli_stat_print(struct cli *cli); /* the report of `gyre stat` for the open store */

#endif
