/* witness.h - what the parts of the witness program share: opening, errors, exit codes. */
#ifndef GY_TEST_WITNESS_H
#define GY_TEST_WITNESS_H

#include "tests/kernel/ledger.h"

enum witness_exit {
    WITNESS_OK = 0,
    WITNESS_BROKEN = 1,  /* a promise was broken, or the test itself failed */
    WITNESS_REFUSED = 2, /* the store could not be opened or read; the message has the status */
    WITNESS_FAILED = 3,  /* a write was told to have failed */
    WITNESS_CORRUPT = 4  /* CORRUPT was told, with the name of a file */
};

struct witness {
    gyre_loop *loop;
    gyre_db *db;
    struct ledger *ledger;
    const char *path;
    const char *options; /* text, see gyre_options_parse; "" = those for small files */
    bool blocking;       /* without io_uring */
};

/* Open loop and store (made if it is not there). OK, or what it was refused with. */
gyre_status witness_open(struct witness *witness);
/* Close both; the status of the store's close. */
gyre_status witness_close(struct witness *witness);

/* Print the last error and leave: WITNESS_CORRUPT if it is CORRUPT and names a file, BROKEN if it
 * is CORRUPT and does not, else REFUSED. */
_Noreturn void witness_refused(const struct witness *witness, const char *what, gyre_status status);
_Noreturn void witness_broken(const char *format, ...) GYRE_PRINTF(1, 2);

/* The counter of a writer, 0 = none. */
uint64_t witness_counter(const struct witness *witness, uint32_t writer);

/* witness write (witness_write.c), witness check (witness_check.c): exit codes. */
int witness_write(struct witness *witness, int argc, char **argv);
int witness_check(struct witness *witness, const char *position);

#endif
