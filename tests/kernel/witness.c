/* witness.c - a program that uses a store and knows what it was promised: `write` commits and keeps
 * a ledger of acknowledgements, `check` holds a store against it. What happens to the disk in
 * between is the business of the script that calls it.
 *
 * Usage: witness write DIR LEDGER SECONDS [name=value]...     see witness_write.c
 *        witness check DIR LEDGER [POSITION] [name=value]...
 *            the cut was at POSITION of the disk's log; without it the process was killed only
 *        witness show LEDGER            acks, reads, refusals, failures
 *        witness stop LEDGER            tells `write` that its time is over
 * For both: options=TEXT (of the store), io=blocking. Exit codes: witness.h.
 */
#include "tests/kernel/witness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Files of every kind are filled, switched and dropped every few hundred commits. */
#define SMALL_FILES "memtable_size=256K,wal_slot_size=256K,table_size=64K,level0_tables=2"

gyre_status
witness_open(struct witness *witness)
{
    const uint32_t io = witness->blocking ? GYRE_IO_BLOCKING : GYRE_IO_AUTO;
    struct gyre_options *options = GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE);
    struct gyre_error error;
    gyre_status status = gyre_options_parse(SMALL_FILES, options, &error);

    if (status == GYRE_OK) {
        status = gyre_options_parse(witness->options, options, &error);
    }
    if (status == GYRE_OK) {
        status = gyre_loop_open(GYRE_LOOP_OPTIONS(.memory_limit = 32u << 20, .io_kind = io),
                                &witness->loop, &error);
    }
    if (status != GYRE_OK) {
        witness_broken("%s", error.text);
    }
    return gyre_open(witness->loop, witness->path, options, &witness->db);
}

gyre_status
witness_close(struct witness *witness)
{
    const gyre_status status = gyre_close(witness->db);

    if (status != GYRE_OK) {
        printf("close: %s: %s\n", gyre_status_name(status), gyre_last_error(witness->loop)->text);
    }
    if (gyre_loop_close(witness->loop) != GYRE_OK) {
        witness_broken("the loop does not close: %s", gyre_last_error(witness->loop)->text);
    }
    return status;
}

_Noreturn void
witness_refused(const struct witness *witness, const char *what, gyre_status status)
{
    const struct gyre_error *error = gyre_last_error(witness->loop);

    printf("%s: %s: %s\n", what, gyre_status_name(status), error->text);
    if (status != GYRE_CORRUPT) {
        exit(WITNESS_REFUSED);
    }
    if (error->file[0] == '\0') {
        witness_broken("CORRUPT names no file");
    }
    exit(WITNESS_CORRUPT);
}

_Noreturn void
witness_broken(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    printf("BROKEN: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    exit(WITNESS_BROKEN);
}

uint64_t
witness_counter(const struct witness *witness, uint32_t writer)
{
    char key[32];
    uint64_t n = 0;
    size_t size = 0;
    const gyre_status status = gyre_get_copy(
        witness->db, NULL, witness_key(key, writer, WITNESS_KEYS), &n, sizeof(n), &size);

    if (status == GYRE_NOT_FOUND) {
        return 0;
    }
    if (status != GYRE_OK) {
        witness_refused(witness, "get", status);
    }
    if (size != sizeof(n)) {
        witness_broken("the counter of writer %u has %zu bytes", writer, size);
    }
    return n;
}

static int
show(const struct ledger *ledger)
{
    printf("%llu %llu %llu %llu\n", (unsigned long long)ledger->acks,
           (unsigned long long)ledger->reads, (unsigned long long)ledger->refused,
           (unsigned long long)ledger->failed);
    return WITNESS_OK;
}

int
main(int argc, char **argv)
{
    struct witness witness = {.options = ""};
    const char *position = NULL;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(argv[1], "show") == 0) {
        return show(ledger_open(argv[2]));
    }
    if (argc == 3 && strcmp(argv[1], "stop") == 0) {
        ledger_open(argv[2])->stop = 1;
        return WITNESS_OK;
    }
    if (argc < 4) {
        fprintf(stderr, "usage: witness write|check DIR LEDGER ..., witness show LEDGER\n");
        return 2;
    }
    witness.path = argv[2];
    witness.ledger = ledger_open(argv[3]);
    for (int i = 4; i < argc; i++) {
        if (strncmp(argv[i], "options=", 8) == 0) {
            witness.options = argv[i] + 8;
        } else if (strcmp(argv[i], "io=blocking") == 0) {
            witness.blocking = true;
        } else if (strchr(argv[i], '=') == NULL) {
            position = argv[i];
        }
    }
    if (strcmp(argv[1], "write") == 0) {
        return witness_write(&witness, argc - 4, argv + 4);
    }
    return witness_check(&witness, position);
}
