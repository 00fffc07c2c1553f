/* test_memory_limits.c - whole lives of stores within small and large memory limits, and what the
 * process really has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/base/asan.h"
#include "io/base/bits.h"
#include "tests/support/db_kit.h"

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#endif

/* A sanitizer or Valgrind has memory of its own in this process. */
static bool
is_watched(void)
{
#if defined(GY_ASAN) || defined(GYRE_SANITIZED)
    return true;
#else
    return RUNNING_ON_VALGRIND != 0;
#endif
}

static struct gyre_memory
memory_of(gyre_loop *loop)
{
    struct gyre_memory m = {.struct_size = sizeof(m)};

    assert_int_equal(gyre_memory(loop, &m), GYRE_OK);
    assert_true(m.used <= m.peak && m.peak <= m.limit);
    return m;
}

/* VmRSS or VmHWM of this process, in bytes. */
static uint64_t
process_bytes(const char *field)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long long kib = 0;

    assert_non_null(file);
    while (kib == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) {
            (void)sscanf(line + strlen(field), ": %llu", &kib);
        }
    }
    (void)fclose(file);
    assert_true(kib > 0);
    return kib * 1024;
}

static void
fill_value(char value[4000], uint32_t index, uint32_t round)
{
    uint64_t x = (index + 1ull) * 0x9e3779b97f4a7c15ull + round;

    for (size_t i = 0; i < 4000; i += sizeof(x)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(value + i, &x, sizeof(x));
    }
}

static void
check_life(struct db_kit *kit, gyre_iterator **iterators, uint32_t iterator_count, uint32_t keys,
           uint32_t round)
{
    char expected[4000];

    for (uint32_t i = 0; i < keys; i++) {
        struct gyre_value value;

        KIT_OK(kit, gyre_get(kit->db, NULL, db_kit_key(i), &value));
        fill_value(expected, i, round);
        assert_true(value.size == 4000 && memcmp(value.data, expected, 4000) == 0);
        gyre_value_release(&value);
        if (iterator_count > 0) {
            gyre_iterator *it = iterators[i % iterator_count];
            const gyre_status status =
                gyre_iterator_is_valid(it) ? gyre_iterator_next(it) : gyre_iterator_first(it);

            assert_true(status == GYRE_OK || status == GYRE_NOT_FOUND);
        }
    }
    (void)memory_of(kit->loop);
}

/* The life of a store with options by default: `mib` of puts, half of them overwritten, iterators
 * that stay open, a compaction of all, another life. */
static void
live(struct db_kit *kit, uint32_t mib)
{
    enum { ITERATORS = 50 };
    const uint32_t keys = mib * 131;
    gyre_iterator *iterators[ITERATORS];
    char value[4000];

    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < keys; i++) {
            fill_value(value, i, round);
            KIT_OK(kit, gyre_put(kit->db, NULL, db_kit_key(i), gyre_slice(value, 4000)));
            if (round == 0 && i % (keys / ITERATORS) == 0 && i / (keys / ITERATORS) < ITERATORS) {
                KIT_OK(kit, gyre_iterator_open(kit->db, NULL, &iterators[i / (keys / ITERATORS)]));
            }
        }
        (void)memory_of(kit->loop);
    }
    check_life(kit, iterators, ITERATORS, keys, 1);
    for (uint32_t i = 0; i < ITERATORS; i++) {
        gyre_iterator_close(iterators[i]);
    }
    KIT_OK(kit, gyre_compact_range(kit->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL));
    db_kit_reopen(kit);
    check_life(kit, NULL, 0, keys, 1);
}

static struct db_kit *
kit_of(uint32_t io_kind, uint64_t memory_limit)
{
    struct db_kit *kit = db_kit_make(io_kind);
    struct gyre_error error;

    db_kit_close(kit);
    KIT_OK(kit, gyre_loop_close(kit->loop));
    kit->options = (struct gyre_options){.struct_size = sizeof(kit->options),
                                         .flags = GYRE_OPEN_CREATE,
                                         .durability = GYRE_BUFFERED};
    assert_int_equal(
        gyre_loop_open(GYRE_LOOP_OPTIONS(.io_kind = io_kind, .memory_limit = memory_limit),
                       &kit->loop, &error),
        GYRE_OK);
    KIT_OK(kit, gyre_destroy(kit->loop, kit->path));
    db_kit_open(kit);
    return kit;
}

/* Programs and libraries, the page tables of all of it, what malloc keeps of small blocks. */
#define OVERHEAD (3 * GY_MIB)

static void
check_resident(uint32_t io_kind, uint64_t memory_limit, uint32_t mib)
{
    const pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        const uint64_t before = process_bytes("VmRSS");
        struct db_kit *kit = kit_of(io_kind, memory_limit);
        uint64_t more;

        live(kit, mib);
        more = process_bytes("VmHWM") - before;
        print_message("memory_limit %llu KiB: %llu KiB became resident, peak by gyre_memory %llu\n",
                      (unsigned long long)memory_limit >> 10, (unsigned long long)more >> 10,
                      (unsigned long long)memory_of(kit->loop).peak >> 10);
        assert_true(is_watched() || more <= memory_limit + OVERHEAD);
        db_kit_free(kit);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Goal:   16 MiB is enough for the whole life of a store that is several times as large, `used` is
 *         never above it, and the process has no more than that and a fixed overhead.
 * Method: each life in a process of its own, with io_uring and with blocking calls. */
static void
small_limits_hold_a_whole_life(void **state)
{
    (void)state;
    check_resident(GYRE_IO_AUTO, 16 * GY_MIB, 24);
    check_resident(GYRE_IO_BLOCKING, 16 * GY_MIB, 24);
    check_resident(GYRE_IO_AUTO, 64 * GY_MIB, 12);
}

/* Goal:   a loop of 8 GiB opens without taking them: little becomes resident before it is used. */
static void
large_limit_takes_nothing_at_once(void **state)
{
    const uint64_t before = process_bytes("VmRSS");
    struct timespec start;
    struct timespec end;
    struct db_kit *kit;
    uint64_t more;
    (void)state;

    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    kit = kit_of(GYRE_IO_AUTO, 8 * GY_GIB);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    more = process_bytes("VmRSS");
    more = more > before ? more - before : 0;
    print_message(
        "8 GiB: open in %.1f ms, %llu KiB resident, used %llu KiB\n",
        (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6,
        (unsigned long long)more >> 10, (unsigned long long)memory_of(kit->loop).used >> 10);
    assert_true(is_watched() || more < 64 * GY_MIB);
    live(kit, 8);
    db_kit_free(kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_limits_hold_a_whole_life),
        cmocka_unit_test(large_limit_takes_nothing_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
