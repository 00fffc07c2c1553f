/* ledger.c - the ledger's file, and what commit n of a writer consists of. */
#include "tests/kernel/ledger.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct ledger *
ledger_open(const char *path)
{
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *ledger = MAP_FAILED;

    if (file >= 0 && ftruncate(file, (off_t)sizeof(struct ledger)) == 0) {
        ledger = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    if (ledger == MAP_FAILED) {
        perror(path);
        exit(1);
    }
    (void)close(file);
    return ledger;
}

static uint64_t
mix(uint32_t writer, uint64_t n)
{
    uint64_t x = n * WITNESS_WRITERS + writer + 0x9e3779b97f4a7c15ull;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

uint32_t
witness_ops(uint32_t writer, uint64_t n, struct witness_op ops[WITNESS_OPS_MAX])
{
    const uint64_t x = mix(writer, n);
    const bool is_large = witness_value_size(writer, n) > 8192; /* three would not fit into a log */
    const uint32_t count = x % 4 == 0 && !is_large ? WITNESS_OPS_MAX : 1;

    for (uint32_t i = 0; i < count; i++) {
        ops[i].key = (uint32_t)((x >> 8) + i * 67) % WITNESS_KEYS;
        ops[i].is_delete = ((x >> (40 + i * 3)) & 7) == 0;
    }
    return count;
}

/* Mostly small, some around a page, now and then one that goes to the log in parts. */
uint32_t
witness_value_size(uint32_t writer, uint64_t n)
{
    const uint64_t x = mix(writer, n) >> 16;

    if (x % 64 == 0) {
        return WITNESS_VALUE_MAX - (uint32_t)(x >> 8) % 40000;
    }
    return x % 8 == 1 ? 4000 + (uint32_t)(x >> 8) % 200 : (uint32_t)(x >> 8) % 700;
}

void
witness_value(uint32_t writer, uint64_t n, uint32_t key, uint8_t value[WITNESS_VALUE_MAX])
{
    const uint32_t size = witness_value_size(writer, n);
    uint64_t x = mix(writer, n) + key;

    for (uint32_t i = 0; i < size; i++) {
        value[i] = (uint8_t)(x >> 56);
        x = x * 6364136223846793005ull + 1442695040888963407ull;
    }
}

struct gyre_slice
witness_key(char buffer[32], uint32_t writer, uint32_t key)
{
    const int size = key == WITNESS_KEYS ? snprintf(buffer, 32, "w%u.n", writer)
                                         : snprintf(buffer, 32, "w%u.%04u", writer, key);

    return gyre_slice(buffer, (size_t)size);
}

void
witness_state(uint32_t writer, uint64_t n, uint64_t last[WITNESS_KEYS])
{
    struct witness_op ops[WITNESS_OPS_MAX];

    memset(last, 0, WITNESS_KEYS * sizeof(last[0]));
    for (uint64_t i = 1; i <= n; i++) {
        const uint32_t count = witness_ops(writer, i, ops);

        for (uint32_t k = 0; k < count; k++) {
            last[ops[k].key] = ops[k].is_delete ? 0 : i;
        }
    }
}
