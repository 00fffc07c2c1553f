/* replay_main.c - runs a fuzz target without libFuzzer.
 *
 *     fuzz_x [--mutations N [--seed S] [--keep FILE]] [--mutant N] [file or folder]...
 *
 * Each file is given to the target as it is, and the empty input too. Then N changed ones follow:
 * bytes flipped, overwritten, cut off or repeated by a generator with a fixed seed, so two runs do
 * the same. Every input has a heap block of its own, where a sanitizer sees one byte too far. With
 * --keep each of the N is in FILE while it runs: when the program ends there, that is the input.
 * With --mutant the planted bug of that number (io/base/mutants.h) is in force: the corpus has to
 * end the program.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/base/checked.h"

#define INPUTS_MAX 4096u
#define INPUT_SIZE_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    uint8_t *data;
    size_t size;
};

struct corpus {
    struct input inputs[INPUTS_MAX];
    size_t count;
};

static void
fail(const char *what, const char *name)
{
    fprintf(stderr, "replay: %s: %s\n", what, name);
    exit(1);
}

static void *
allocate(size_t size)
{
    void *memory = malloc(size == 0 ? 1 : size);

    if (memory == NULL) {
        fail("out of memory", "");
    }
    return memory;
}

static void
add_file(struct corpus *corpus, const char *path)
{
    uint8_t *data = allocate(INPUT_SIZE_MAX);
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        fail("cannot open", path);
    }
    if (corpus->count == INPUTS_MAX) {
        fail("too many inputs at", path);
    }
    corpus->inputs[corpus->count].size = fread(data, 1, INPUT_SIZE_MAX, file);
    corpus->inputs[corpus->count].data = data;
    corpus->count++;
    fclose(file);
}

static void
write_file(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");

    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        fail("cannot write", path);
    }
}

static int
is_not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void
add_path(struct corpus *corpus, const char *path)
{
    struct dirent **entries;
    struct stat info;

    if (stat(path, &info) != 0) {
        fail("cannot stat", path);
    }
    if (!S_ISDIR(info.st_mode)) {
        add_file(corpus, path);
        return;
    }
    const int count = scandir(path, &entries, is_not_hidden, alphasort); /* a fixed order */
    if (count < 0) {
        fail("cannot list", path);
    }
    for (int i = 0; i < count; i++) {
        char name[4096];

        snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        add_file(corpus, name);
        free(entries[i]);
    }
    free(entries);
}

static void
run(const uint8_t *data, size_t size)
{
    uint8_t *copy = allocate(size);

    if (size > 0) {
        memcpy(copy, data, size);
    }
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

/* splitmix64 */
static uint64_t
next_random(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* `buffer` has room for twice INPUT_SIZE_MAX. Returns the size of the changed input. */
static size_t
mutate(uint64_t *seed, uint8_t *buffer, size_t size)
{
    const uint64_t rounds = 1 + next_random(seed) % 4;

    for (uint64_t i = 0; i < rounds; i++) {
        const uint64_t r = next_random(seed);
        const size_t at = size == 0 ? 0 : (size_t)(r >> 16) % size;

        if (size == 0 || r % 8 == 0) { /* more bytes at the end */
            const size_t more = 1 + (size_t)(r >> 8) % 32;

            for (size_t k = 0; k < more && size < INPUT_SIZE_MAX; k++) {
                buffer[size++] = (uint8_t)next_random(seed);
            }
        } else if (r % 8 == 1) { /* cut */
            size = at;
        } else if (r % 8 == 2 && size < INPUT_SIZE_MAX) { /* repeat a tail */
            memcpy(buffer + size, buffer + at, size - at);
            size += size - at;
        } else if (r % 8 <= 4) { /* a number that lies */
            static const uint8_t extremes[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};

            buffer[at] = extremes[(r >> 48) % sizeof(extremes)];
        } else {
            buffer[at] ^= (uint8_t)(1u << (r >> 61));
        }
    }
    return size;
}

int
main(int argc, char **argv)
{
    static struct corpus corpus;
    static uint8_t buffer[2 * INPUT_SIZE_MAX];
    unsigned long mutations = 0;
    const char *keep = NULL;
    uint64_t seed = 1;
    int first = 1;

    for (; first + 1 < argc && strncmp(argv[first], "--", 2) == 0; first += 2) {
        if (strcmp(argv[first], "--mutations") == 0) {
            mutations = strtoul(argv[first + 1], NULL, 10);
        } else if (strcmp(argv[first], "--seed") == 0) {
            seed = strtoull(argv[first + 1], NULL, 10);
        } else if (strcmp(argv[first], "--keep") == 0) {
            keep = argv[first + 1];
        } else if (strcmp(argv[first], "--mutant") == 0) {
            gy_mutant_chosen = (enum gy_mutant)strtoul(argv[first + 1], NULL, 10);
        } else {
            fail("unknown option", argv[first]);
        }
    }
    corpus.inputs[corpus.count++].data = allocate(0); /* the empty input */
    for (int i = first; i < argc; i++) {
        add_path(&corpus, argv[i]);
    }
    for (size_t i = 0; i < corpus.count; i++) {
        run(corpus.inputs[i].data, corpus.inputs[i].size);
    }
    for (unsigned long i = 0; i < mutations; i++) {
        const struct input *input = &corpus.inputs[next_random(&seed) % corpus.count];

        memcpy(buffer, input->data, input->size);
        const size_t size = mutate(&seed, buffer, input->size);

        if (keep != NULL) {
            write_file(keep, buffer, size);
        }
        run(buffer, size);
    }
    printf("%zu inputs and %lu mutations of them\n", corpus.count, mutations);
    for (size_t i = 0; i < corpus.count; i++) {
        free(corpus.inputs[i].data);
    }
    return 0;
}
