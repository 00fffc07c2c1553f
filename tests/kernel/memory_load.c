/* memory_load.c - a long load with everything open at once, for kernel_memory.sh to run under a
 * limit of the kernel's: 1,000 coroutines write and read back keys of their own, 200 iterators
 * are open and moved, and 100 snapshots are held, each of another moment.
 *
 *     memory_load DIR LIMIT_MB TOTAL_MB
 *
 * Prints what it used. Exit code: 0 all was right, 1 something was not.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gyre/gyre.h"

#define WRITERS 1000u
#define KEYS_OF_WRITER 300u
#define VALUE_SIZE 1000u
#define ITERATORS 200u
#define SNAPSHOTS 100u
#define MIB (1024u * 1024u)

struct held {
    gyre_snapshot *snapshot;
    uint32_t key;
    uint32_t version; /* of that key at its moment */
};

struct load {
    gyre_loop *loop;
    gyre_db *db;
    uint64_t bytes, bytes_max;
    uint32_t writers_live;
    uint32_t version[WRITERS * KEYS_OF_WRITER];
    gyre_iterator *iterators[ITERATORS];
    uint32_t iterator_count;
    struct held held[SNAPSHOTS];
    uint32_t held_count;
    uint64_t moves;
};

struct writer {
    struct load *load;
    uint32_t number;
    uint64_t random;
};

static void
must(const struct load *load, gyre_status status, const char *what)
{
    if (status != GYRE_OK) {
        char text[1024] = "";
        size_t size;

        fprintf(stderr, "%s: %s: %s\n", what, gyre_status_name(status),
                gyre_last_error(load->loop)->text);
        if (load->db != NULL &&
            gyre_property(load->db, "gyre.memory", text, sizeof(text), &size) == GYRE_OK) {
            fputs(text, stderr);
        }
        exit(1);
    }
}

static void
wrong(const char *what, uint32_t key, uint32_t version)
{
    fprintf(stderr, "%s: key %u is not at version %u\n", what, key, version);
    exit(1);
}

static uint64_t
next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return *random >> 33;
}

static struct gyre_slice
key_of(uint32_t key, char buffer[16])
{
    return gyre_slice(buffer, (size_t)snprintf(buffer, 16, "key%08u", key));
}

/* Nothing that compresses: each word is another one of key and version. */
static void
fill(uint8_t *value, uint32_t key, uint32_t version)
{
    uint64_t random = (uint64_t)key << 32 | version;

    for (uint32_t i = 0; i < VALUE_SIZE; i += 4) {
        const uint32_t word = (uint32_t)next_random(&random);

        memcpy(value + i, &word, sizeof(word));
    }
}

static void
check_key(const struct load *load, const gyre_snapshot *snapshot, uint32_t key, uint32_t version,
          const char *what)
{
    uint8_t wanted[VALUE_SIZE];
    char buffer[16];
    struct gyre_value value = {0};
    const gyre_status status =
        gyre_get(load->db, GYRE_READ_OPTIONS(.snapshot = snapshot), key_of(key, buffer), &value);

    if (version == 0) {
        if (status != GYRE_NOT_FOUND) {
            wrong(what, key, version);
        }
        return;
    }
    must(load, status, what);
    fill(wanted, key, version);
    if (value.size != VALUE_SIZE || memcmp(value.data, wanted, VALUE_SIZE) != 0) {
        wrong(what, key, version);
    }
    gyre_value_release(&value);
}

static void
writer_main(void *arg)
{
    struct writer *writer = arg;
    struct load *load = writer->load;
    uint8_t value[VALUE_SIZE];
    char buffer[16];

    while (load->bytes < load->bytes_max) {
        const uint32_t key = writer->number * KEYS_OF_WRITER +
                             (uint32_t)(next_random(&writer->random) % KEYS_OF_WRITER);
        const uint32_t version = load->version[key] + 1;

        load->bytes += VALUE_SIZE;
        fill(value, key, version);
        must(load,
             gyre_put(load->db, GYRE_WRITE_OPTIONS(.durability = GYRE_BUFFERED),
                      key_of(key, buffer), gyre_slice(value, sizeof(value))),
             "put");
        load->version[key] = version;
        if (next_random(&writer->random) % 16 == 0) {
            check_key(load, NULL, key, version, "read back");
        }
    }
    load->writers_live--;
}

static void
move_one(struct load *load, uint64_t *random)
{
    const uint32_t key = (uint32_t)(next_random(random) % (WRITERS * KEYS_OF_WRITER));
    gyre_iterator *iterator = load->iterators[load->moves % load->iterator_count];
    char buffer[16];
    gyre_status status = gyre_iterator_seek(iterator, key_of(key, buffer));

    for (uint32_t step = 0; status == GYRE_OK && step < 3; step++) {
        status = gyre_iterator_next(iterator);
    }
    if (status != GYRE_NOT_FOUND) {
        must(load, status, "iterator");
    }
    load->moves++;
}

/* One more of each, spread over the load, and some that are open are moved. */
static void
open_more(struct load *load, uint64_t *random)
{
    if (load->iterator_count < ITERATORS) {
        must(load, gyre_iterator_open(load->db, NULL, &load->iterators[load->iterator_count]),
             "iterator");
        load->iterator_count++;
    }
    if (load->held_count < SNAPSHOTS) {
        struct held *held = &load->held[load->held_count];

        held->key = (uint32_t)(next_random(random) % (WRITERS * KEYS_OF_WRITER));
        held->version = load->version[held->key];
        must(load, gyre_snapshot_open(load->db, &held->snapshot), "snapshot");
        load->held_count++;
    }
    for (uint32_t i = 0; i < 10; i++) {
        move_one(load, random);
    }
}

static void
opener_main(void *arg)
{
    struct load *load = arg;
    uint64_t random = 99;

    while (load->writers_live > 0) {
        open_more(load, &random);
        must(load, gyre_sleep(load->loop, 20000000), "sleep");
    }
    while (load->iterator_count < ITERATORS || load->held_count < SNAPSHOTS) {
        open_more(load, &random);
    }
}

/* All keys in order: each is there at its version. */
static void
check_rows(const struct load *load)
{
    gyre_iterator *iterator = load->iterators[ITERATORS - 1];
    uint8_t wanted[VALUE_SIZE];
    char buffer[16];
    gyre_status status = gyre_iterator_first(iterator);

    for (uint32_t key = 0; key < WRITERS * KEYS_OF_WRITER; key++) {
        const struct gyre_slice name = key_of(key, buffer);
        struct gyre_slice found;

        if (load->version[key] == 0) {
            continue;
        }
        must(load, status, "scan");
        found = gyre_iterator_key(iterator);
        if (found.size != name.size || memcmp(found.data, name.data, name.size) != 0) {
            wrong("scan", key, load->version[key]);
        }
        found = gyre_iterator_value(iterator);
        fill(wanted, key, load->version[key]);
        if (found.size != VALUE_SIZE || memcmp(found.data, wanted, VALUE_SIZE) != 0) {
            wrong("scan", key, load->version[key]);
        }
        status = gyre_iterator_next(iterator);
    }
    if (status != GYRE_NOT_FOUND) {
        wrong("behind the end", 0, 0);
    }
}

static void
check_all(struct load *load)
{
    for (uint32_t i = 0; i < load->held_count; i++) {
        check_key(load, load->held[i].snapshot, load->held[i].key, load->held[i].version,
                  "at a snapshot");
        gyre_snapshot_release(load->held[i].snapshot);
    }
    gyre_iterator_close(load->iterators[ITERATORS - 1]); /* it sees the moment of its opening */
    must(load, gyre_iterator_open(load->db, NULL, &load->iterators[ITERATORS - 1]), "iterator");
    check_rows(load);
    for (uint32_t i = 0; i < load->iterator_count; i++) {
        gyre_iterator_close(load->iterators[i]);
    }
}

static uint64_t
resident_peak_kib(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long long kib = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        (void)sscanf(line, "VmHWM: %llu", &kib);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return kib;
}

static void
run(struct load *load)
{
    static struct writer writers[WRITERS];

    load->writers_live = WRITERS;
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.load = load, .number = i, .random = i};
        must(load, gyre_spawn(load->loop, writer_main, &writers[i], NULL), "spawn");
    }
    must(load, gyre_spawn(load->loop, opener_main, load, NULL), "spawn");
    must(load, gyre_run(load->loop), "run");
}

int
main(int argc, char **argv)
{
    struct load *load = calloc(1, sizeof(*load));
    struct gyre_loop_stats stats = {.struct_size = sizeof(stats)};
    struct gyre_error error;
    uint64_t limit;

    if (argc != 4 || load == NULL) {
        fprintf(stderr, "usage: memory_load DIR LIMIT_MB TOTAL_MB\n");
        return 2;
    }
    limit = strtoull(argv[2], NULL, 10) * MIB;
    load->bytes_max = strtoull(argv[3], NULL, 10) * MIB;
    if (gyre_loop_open(GYRE_LOOP_OPTIONS(.memory_limit = limit), &load->loop, &error) != GYRE_OK) {
        fprintf(stderr, "loop: %s\n", error.text);
        return 1;
    }
    must(load, gyre_open(load->loop, argv[1], GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE), &load->db),
         "open");
    run(load);
    check_all(load);
    must(load, gyre_loop_stats(load->loop, &stats), "stats");
    printf("%llu MB written by %u coroutines, %u iterators moved %llu times, %u snapshots; of %llu "
           "MB limit %llu at most; resident at most %llu MB\n",
           (unsigned long long)(load->bytes / MIB), WRITERS, load->iterator_count,
           (unsigned long long)load->moves, load->held_count, (unsigned long long)(limit / MIB),
           (unsigned long long)(stats.memory_peak / MIB),
           (unsigned long long)(resident_peak_kib() / 1024));
    must(load, gyre_close(load->db), "close");
    if (stats.memory_peak > limit || gyre_loop_close(load->loop) != GYRE_OK) {
        return 1;
    }
    free(load);
    return 0;
}
