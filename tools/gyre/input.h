/* input.h - what `gyre load` reads: lines of a file or pipe, and records made of them.
 *
 * Formats: mdb (the text of mdb_dump), tsv (KEY<tab>VALUE), paragraphs (lines parted by blank
 * lines, the key in a named field). docs/man/gyre.1 describes them for users.
 */
#ifndef GYRE_TOOLS_INPUT_H
#define GYRE_TOOLS_INPUT_H

#include "tools/gyre/cli.h"

enum cli_next {
    CLI_NEXT_ITEM,
    CLI_NEXT_END,
    CLI_NEXT_BAD,     /* this record cannot be used; the one after it can be read */
    CLI_NEXT_FATAL,   /* nothing sensible can be read any more */
    CLI_NEXT_STOPPED, /* a signal came, or `idle` said so */
};

/* Lines of a descriptor. A line is returned without its newline and stays until the next call.
 * While a pipe has nothing to give, `idle` is called once: what was read so far can be worked
 * off. */
struct cli_reader {
    int fd;
    int signal_fd;           /* -1: none */
    bool (*idle)(void *arg); /* false stops; NULL: nothing to do */
    void *idle_arg;
    struct cli_bytes buffer;
    size_t begin;      /* in `buffer`: the first byte that was not returned */
    size_t searched;   /* bytes from `begin` that hold no newline */
    uint64_t line;     /* number of the line returned last, from 1 */
    uint64_t consumed; /* bytes returned */
    uint64_t total;    /* size of the input; 0 = unknown */
    bool is_end;
    char message[256]; /* of CLI_NEXT_BAD and CLI_NEXT_FATAL: what is wrong and what to do */
};

int cli_reader_open(const struct cli *cli, struct cli_reader *reader, const char *path);
void cli_reader_close(struct cli_reader *reader);
enum cli_next cli_reader_line(struct cli_reader *reader, struct gyre_slice *ret_line);

struct cli_format {
    struct cli_reader reader;
    enum cli_next (*next)(struct cli_format *format);
    /* the record */
    struct gyre_slice key, value; /* until the next call */
    uint64_t line;                /* where it begins */
    /* private to the formats */
    const char *key_field; /* paragraphs */
    struct cli_bytes key_bytes, value_bytes;
    bool has_header, is_print; /* mdb */
};

/* `name` is mdb, tsv or paragraphs; NULL is mdb. */
int cli_format_choose(const struct cli *cli, struct cli_format *format, const char *name,
                      const char *key_field);
enum cli_next cli_mdb_next(struct cli_format *format);
/* Set the message, with the number of the line, and return `next`. */
GYRE_PRINTF(3, 4)
enum cli_next cli_format_bad(struct cli_format *format, enum cli_next next, const char *text, ...);

#endif
