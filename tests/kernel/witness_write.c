/* witness_write.c - commits until its time is over, and writes every promise into the ledger.
 *
 * Four writers in coroutines of their own, DURABLE and BUFFERED mixed; a coroutine that flushes and
 * compacts now and then; readers that look up counters all the time and know between which numbers
 * the answer has to lie. A commit that was refused is tried again, the same one: it may be there.
 * After a told failure of the log each writer tries some more times; nothing may be acknowledged.
 *
 *   log=PATH      of the disk below (disk_log.h): positions go into the ledger
 *   durable=1     every commit is DURABLE, and nothing is flushed or compacted
 *   commits=N     end after so many of each writer
 *   linger=1      stay when writing has failed, until the time is over (readers go on)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/kernel/disk_log.h"
#include "tests/kernel/witness.h"

#define TRIES_AFTER_FAILURE 8u
#define MS 1000000ull

struct run {
    struct witness *witness;
    const struct disk_log_head *disk; /* NULL = not known */
    bool durable_only;
    bool linger;
    uint64_t commit_max;
    uint64_t end_ns;
    uint64_t last_ack_ns, last_read_ns;
    uint32_t writers_live;
};

struct writer {
    struct run *run;
    uint32_t index;
    gyre_batch *batch;
    uint8_t *value;
};

static uint64_t
position(const struct run *run)
{
    return run->disk != NULL ? run->disk->entries : 0;
}

static bool
is_over(const struct run *run)
{
    return run->witness->ledger->stop || gyre_now(run->witness->loop) >= run->end_ns;
}

static void
note_gap(volatile uint64_t *gap, uint64_t *last, uint64_t now)
{
    *gap = now - *last > *gap ? now - *last : *gap;
    *last = now;
}

static void
make_commit(struct writer *writer, uint64_t n)
{
    struct witness_op ops[WITNESS_OPS_MAX];
    const uint32_t count = witness_ops(writer->index, n, ops);
    const uint32_t size = witness_value_size(writer->index, n);
    char key[32];
    gyre_status status;

    gyre_batch_clear(writer->batch);
    status = gyre_batch_put(writer->batch, witness_key(key, writer->index, WITNESS_KEYS),
                            gyre_slice(&n, sizeof(n)));
    for (uint32_t i = 0; i < count && status == GYRE_OK; i++) {
        const struct gyre_slice slice = witness_key(key, writer->index, ops[i].key);

        if (ops[i].is_delete) {
            status = gyre_batch_delete(writer->batch, slice);
        } else {
            witness_value(writer->index, n, ops[i].key, writer->value);
            status = gyre_batch_put(writer->batch, slice, gyre_slice(writer->value, size));
        }
    }
    if (status != GYRE_OK) {
        witness_broken("no batch: %s", gyre_status_name(status));
    }
}

static void
note_ack(struct writer *writer, uint64_t n, bool durable)
{
    struct run *run = writer->run;
    struct ledger *ledger = run->witness->ledger;
    struct ledger_commit *commit = &ledger->commits[writer->index][n];

    commit->acked_position = position(run);
    commit->durable = durable;
    commit->acked_tick = ++ledger->tick;
    ledger->writers[writer->index].acked = n;
    ledger->acks++;
    ledger->durable_acks += durable;
    ledger->acks_after_failure += ledger->failed > 0;
    note_gap(&ledger->ack_gap_ns, &run->last_ack_ns, gyre_now(run->witness->loop));
}

/* Refused, with nothing done, until there is space, a failed flush has been done again, or a file
 * can be opened? */
static bool
is_refusal(const struct run *run, gyre_status status)
{
    const struct gyre_error *error = gyre_last_error(run->witness->loop);

    return status == GYRE_NO_SPACE || (status == GYRE_IO && (error->os_errno == EMFILE ||
                                                             strstr(error->file, ".sst") != NULL));
}

/* Commit n, again and again while it is refused. OK, or what it failed with. */
static gyre_status
commit(struct writer *writer, uint64_t n, bool durable)
{
    struct run *run = writer->run;
    struct ledger *ledger = run->witness->ledger;
    struct ledger_commit *entry = &ledger->commits[writer->index][n];
    const struct gyre_write_options options = {
        .struct_size = sizeof(options), .durability = durable ? GYRE_DURABLE : GYRE_BUFFERED};
    gyre_status status;

    if (entry->started_tick == 0) {
        entry->started_position = position(run);
        entry->started_tick = ++ledger->tick;
    }
    if (ledger->writers[writer->index].attempted < n) {
        ledger->writers[writer->index].attempted = n;
    }
    make_commit(writer, n);
    for (;;) {
        status = gyre_write(run->witness->db, &options, writer->batch);
        if (!is_refusal(run, status) || is_over(run)) {
            return status;
        }
        ledger->refused++;
        (void)gyre_sleep(run->witness->loop, 10 * MS);
    }
}

static void
writer_main(void *arg)
{
    struct writer *writer = arg;
    struct run *run = writer->run;
    struct ledger *ledger = run->witness->ledger;
    uint64_t n = witness_counter(run->witness, writer->index) + 1;
    uint32_t tries = 0;

    while (!is_over(run) && n <= run->commit_max && tries < TRIES_AFTER_FAILURE) {
        const bool durable = run->durable_only || (n * 7 + writer->index) % 3 == 0;
        const gyre_status status = commit(writer, n, durable);

        if (status == GYRE_OK) {
            note_ack(writer, n++, durable);
        } else if (is_refusal(run, status)) {
            break;
        } else if (status == GYRE_IO || status == GYRE_READ_ONLY) {
            if (ledger->failed++ == 0) {
                ledger->failed_position = position(run);
                printf("told: %s: %s\n", gyre_status_name(status),
                       gyre_last_error(run->witness->loop)->text);
            }
            tries++;
            (void)gyre_sleep(run->witness->loop, 5 * MS);
        } else {
            witness_refused(run->witness, "write", status);
        }
        (void)gyre_yield(run->witness->loop);
    }
    run->writers_live--;
}

/* Reads never fail, and see what was acknowledged before and nothing that was not begun. */
static void
reader_main(void *arg)
{
    struct run *run = arg;
    struct ledger *ledger = run->witness->ledger;

    while (run->writers_live > 0 || (run->linger && !is_over(run))) {
        const uint32_t w = (uint32_t)(ledger->reads % WITNESS_WRITERS);
        const uint64_t least = ledger->writers[w].acked;
        const uint64_t n = witness_counter(run->witness, w);

        if (n < least || n > ledger->writers[w].attempted) {
            witness_broken("writer %u: %llu read, %llu acknowledged before, %llu attempted", w,
                           (unsigned long long)n, (unsigned long long)least,
                           (unsigned long long)ledger->writers[w].attempted);
        }
        ledger->reads++;
        note_gap(&ledger->read_gap_ns, &run->last_read_ns, gyre_now(run->witness->loop));
        (void)gyre_sleep(run->witness->loop, MS);
    }
}

/* Its failures are those of background work: told by writes, tried again. */
static void
maintenance_main(void *arg)
{
    struct run *run = arg;

    for (unsigned i = 1; run->writers_live > 0; i++) {
        (void)gyre_sleep(run->witness->loop, 150 * MS);
        if (i % 4 == 0) {
            (void)gyre_compact_range(run->witness->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0),
                                     NULL, NULL);
        } else {
            (void)gyre_flush(run->witness->db);
        }
    }
}

static void
map_disk(struct run *run, const char *path)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    void *head = MAP_FAILED;

    if (file >= 0) {
        head = mmap(NULL, DISK_LOG_HEAD_SIZE, PROT_READ, MAP_SHARED, file, 0);
    }
    if (head == MAP_FAILED) {
        witness_broken("no log of the disk: %s", path);
    }
    (void)close(file);
    run->disk = head;
}

static void
parse(struct run *run, int argc, char **argv)
{
    run->commit_max = WITNESS_COMMITS;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "log=", 4) == 0) {
            map_disk(run, argv[i] + 4);
        } else if (strncmp(argv[i], "commits=", 8) == 0) {
            run->commit_max = strtoull(argv[i] + 8, NULL, 10);
        } else if (strcmp(argv[i], "durable=1") == 0) {
            run->durable_only = true;
        } else if (strcmp(argv[i], "linger=1") == 0) {
            run->linger = true;
        } else if (strncmp(argv[i], "options=", 8) != 0 && strncmp(argv[i], "io=", 3) != 0) {
            witness_broken("what is %s?", argv[i]);
        }
    }
}

/* What opening accepted is durable now, whatever was answered for it before (P4). */
static void
note_recovered(struct run *run)
{
    struct ledger *ledger = run->witness->ledger;

    for (uint32_t w = 0; w < WITNESS_WRITERS; w++) {
        const uint64_t p = witness_counter(run->witness, w);
        struct ledger_commit *last = &ledger->commits[w][p];

        if (p < ledger->writers[w].acked || p > ledger->writers[w].attempted) {
            witness_broken("writer %u: %llu commits after reopening, %llu were acknowledged", w,
                           (unsigned long long)p, (unsigned long long)ledger->writers[w].acked);
        }
        ledger->writers[w].acked = p;
        if (p > 0 && !last->durable) {
            last->durable = 1;
            last->acked_position = position(run);
            last->acked_tick = last->acked_tick != 0 ? last->acked_tick : ++ledger->tick;
        }
    }
}

static void
spawn(struct run *run, void (*fn)(void *arg), void *arg)
{
    if (gyre_spawn(run->witness->loop, fn, arg, NULL) != GYRE_OK) {
        witness_broken("no coroutine");
    }
}

int
witness_write(struct witness *witness, int argc, char **argv)
{
    struct run run = {.witness = witness, .writers_live = WITNESS_WRITERS};
    struct writer writers[WITNESS_WRITERS];
    struct ledger *ledger = witness->ledger;
    gyre_status status;

    parse(&run, argc, argv);
    status = witness_open(witness);
    if (status != GYRE_OK) {
        witness_refused(witness, "open", status);
    }
    ledger->stop = 0;
    ledger->failed = 0;
    ledger->ack_gap_ns = 0;
    ledger->read_gap_ns = 0;
    note_recovered(&run);
    run.last_ack_ns = run.last_read_ns = gyre_now(witness->loop);
    run.end_ns = run.last_ack_ns + (uint64_t)(strtod(argv[0], NULL) * 1e9);
    for (uint32_t i = 0; i < WITNESS_WRITERS; i++) {
        writers[i] = (struct writer){.run = &run,
                                     .index = i,
                                     .batch = gyre_batch_make(),
                                     .value = malloc(WITNESS_VALUE_MAX)};
        spawn(&run, writer_main, &writers[i]);
    }
    spawn(&run, reader_main, &run);
    if (!run.durable_only) {
        spawn(&run, maintenance_main, &run);
    }
    (void)gyre_run(witness->loop);
    for (uint32_t i = 0; i < WITNESS_WRITERS; i++) {
        gyre_batch_free(writers[i].batch);
        free(writers[i].value);
    }
    status = witness_close(witness);
    printf("%llu acks, %llu DURABLE, %llu reads, %llu refused, %llu failed; longest time without "
           "an ack %llu ms, without a read %llu ms\n",
           (unsigned long long)ledger->acks, (unsigned long long)ledger->durable_acks,
           (unsigned long long)ledger->reads, (unsigned long long)ledger->refused,
           (unsigned long long)ledger->failed, (unsigned long long)(ledger->ack_gap_ns / MS),
           (unsigned long long)(ledger->read_gap_ns / MS));
    if (ledger->acks_after_failure > 0) {
        witness_broken("%llu commits were acknowledged after a failure was told",
                       (unsigned long long)ledger->acks_after_failure);
    }
    return ledger->failed > 0 ? WITNESS_FAILED : status == GYRE_OK ? WITNESS_OK : WITNESS_REFUSED;
}
