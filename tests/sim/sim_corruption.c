/* sim_corruption.c - bytes of a store change behind its back: flipped, overwritten, swapped, cut
 * off, whole files gone. Every answer is right, or CORRUPT (UNSUPPORTED) with the name of a file
 * and an offset; none is wrong. tests/support/damage_kit.h says what is asked, and names the one
 * exception.
 *
 * Bytes are changed in place on one disk and changed back, so that a try costs an open of the store
 * and no new machine. A read-only open reads what a writable one does; every 16th byte is tried
 * with a writable one as well, on a copy of the disk.
 *
 *   sim_corruption              steps through all files: the ctest
 *   sim_corruption --exhaust    every byte of every file, with three patterns
 *   sim_corruption --step N     every N-th byte (1: all), with one pattern
 *   --file NAME                 of this file only
 *   --jobs N                    processes that share the work, 1 by default
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/base/bits.h"
#include "tests/sim/damage_kit.h"

#define CHUNK 512u /* bytes of a file that one process takes at a time */

static uint64_t step = 97;
static uint32_t pattern_count = 1;
static uint32_t job_count = 1;
static const char *only_file; /* NULL: all */

/* One process: its share of the work and what came of it. */
struct worker {
    const struct damage_base *base;
    uint32_t job;
    struct gy_sim_disk *disk; /* changed in place and back */
    uint64_t disk_hash;
    struct machine machine;
    uint64_t unit; /* of work, counted by all in the same order */
    struct damage_counts *counts;
};

enum damage {
    FLIP,
    CLEAR, /* the byte is 0x00 */
    FILL,  /* ... 0xff */
    ZERO_PAGE,
    SWAP_PAGE, /* the page before it, in its place */
    CUT,
    REMOVE
};

static const char *const damage_names[] = {"a bit flipped",      "0x00", "0xff",   "page of zeros",
                                           "page over the next", "cut",  "removed"};

static bool
is_tail(const struct damage_base *base, const struct damage_file *file, uint64_t from,
        uint64_t until)
{
    return !base->is_clean && file == base->tail_file && from < base->tail_end &&
           until > base->tail_start;
}

static void
set_place(const struct worker *worker, const struct damage_file *file, enum damage damage,
          uint64_t offset, const char *how)
{
    fail_set_place(1, "%s, %s at %llu, %s, %s", file->name, damage_names[damage],
                   (unsigned long long)offset, worker->base->is_clean ? "closed" : "not closed",
                   how);
}

/* ---- One byte ---- */

static uint8_t
changed(uint8_t byte, enum damage damage, uint64_t offset)
{
    return (uint8_t)(damage == CLEAR ? 0 : damage == FILL ? 0xff : byte ^ (1u << offset % 8));
}

static void
try_in_place(struct worker *worker, struct damage_done *done, uint8_t before, uint8_t after)
{
    done->is_read_only = true;
    (void)gy_sim_disk_poke(worker->disk, done->file->path, done->offset, &after, 1);
    (void)damage_ask(worker->base, &worker->machine, done, worker->counts);
    (void)gy_sim_disk_poke(worker->disk, done->file->path, done->offset, &before, 1);
}

static void
try_byte(struct worker *worker, const struct damage_file *file, uint64_t offset)
{
    struct damage_done done = {.file = file,
                               .offset = offset,
                               .is_in_place = true,
                               .is_brief = strstr(file->name, ".sst") == NULL,
                               .lost_max = is_tail(worker->base, file, offset, offset + 1) ? 1 : 0,
                               .is_tail_counted = true};
    uint8_t before = 0;

    (void)gy_sim_disk_peek(worker->base->disk, file->path, offset, &before, 1);
    for (enum damage damage = FLIP; damage < FLIP + pattern_count; damage++) {
        const uint8_t after = changed(before, damage, offset);

        set_place(worker, file, damage, offset, "read-only");
        if (after != before) {
            try_in_place(worker, &done, before, after);
        }
    }
    if (offset % 16 == 0) {
        struct gy_sim_disk *disk = gy_sim_disk_clone(worker->base->disk);
        const uint8_t after = changed(before, FLIP, offset);

        set_place(worker, file, FLIP, offset, "writable");
        done.is_read_only = false;
        (void)gy_sim_disk_poke(disk, file->path, offset, &after, 1);
        damage_ask_alone(worker->base, disk, &done, worker->counts);
        gy_sim_disk_free(disk);
    }
}

/* ---- Pages and files ---- */

static bool
apply(struct gy_sim_disk *disk, const struct damage_file *file, enum damage damage, uint64_t offset)
{
    const uint64_t chunk = gy_min_u64(GY_PAGE, file->size - offset);
    uint8_t bytes[GY_PAGE] = {0};
    uint8_t old[GY_PAGE] = {0};

    switch (damage) {
    case SWAP_PAGE:
        if (offset == 0) {
            return false;
        }
        (void)gy_sim_disk_peek(disk, file->path, offset - GY_PAGE, bytes, chunk);
        break;
    case CUT:
        return gy_sim_disk_resize(disk, file->path, offset) == 0;
    case REMOVE:
        return gy_sim_disk_remove(disk, file->path) == 0;
    default:
        break;
    }
    (void)gy_sim_disk_peek(disk, file->path, offset, old, chunk);
    return memcmp(old, bytes, chunk) != 0 &&
           gy_sim_disk_poke(disk, file->path, offset, bytes, chunk) >= 0;
}

static void
try_page(struct worker *worker, const struct damage_file *file, enum damage damage, uint64_t offset)
{
    const bool is_cut = damage == CUT || damage == REMOVE;
    struct damage_done done = {.file = file,
                               .offset = offset,
                               .more = GY_PAGE - 1,
                               .is_in_place = !is_cut,
                               .lost_max =
                                   !is_cut && is_tail(worker->base, file, offset, offset + GY_PAGE),
                               /* what leaves no trace at all cannot be counted */
                               .is_tail_counted = false};

    for (uint32_t read_only = 0; read_only < 2; read_only++) {
        struct gy_sim_disk *disk = gy_sim_disk_clone(worker->base->disk);

        set_place(worker, file, damage, offset, read_only != 0 ? "read-only" : "writable");
        done.is_read_only = read_only != 0;
        if (apply(disk, file, damage, offset)) {
            damage_ask_alone(worker->base, disk, &done, worker->counts);
        }
        gy_sim_disk_free(disk);
    }
}

/* ---- All of a file ---- */

static bool
is_mine(struct worker *worker)
{
    return worker->unit++ % job_count == worker->job;
}

/* Zeros beyond what was written are visited far less often, unless every byte is wanted. */
static uint64_t
step_at(const struct worker *worker, const struct damage_file *file, uint64_t offset)
{
    uint8_t page[GY_PAGE] = {0};
    uint32_t sum = 0;

    if (step == 1) {
        return 1;
    }
    (void)gy_sim_disk_peek(worker->base->disk, file->path, gy_align_down(offset, GY_PAGE), page,
                           GY_PAGE);
    for (uint32_t i = 0; i < GY_PAGE; i++) {
        sum += page[i];
    }
    return sum == 0 ? step * 40 + 1 : step;
}

static void
damage_bytes(struct worker *worker, const struct damage_file *file)
{
    for (uint64_t offset = 0; offset < file->size;) {
        const uint64_t end = gy_min_u64(file->size, gy_align_down(offset, CHUNK) + CHUNK);
        const bool mine = is_mine(worker);

        for (; offset < end; offset += step_at(worker, file, offset)) {
            if (mine) {
                try_byte(worker, file, offset);
            }
        }
    }
    demand(gy_sim_disk_hash(worker->disk) == worker->disk_hash); /* no open wrote anything */
}

static void
damage_file(struct worker *worker, const struct damage_file *file)
{
    damage_bytes(worker, file);
    for (uint64_t offset = 0; offset < file->size; offset += GY_PAGE) {
        if (is_mine(worker)) {
            try_page(worker, file, ZERO_PAGE, offset);
            try_page(worker, file, SWAP_PAGE, offset);
        }
    }
    for (uint64_t part = 0; part < 8; part++) {
        if (is_mine(worker)) {
            try_page(worker, file, CUT, file->size * part / 8);
        }
    }
    if (is_mine(worker)) {
        try_page(worker, file, REMOVE, 0);
    }
}

/* ---- Processes ---- */

/* Counts lie in memory that all processes share: for each job, for each file. */
static void
work(const struct damage_base *base, uint32_t job, struct damage_counts *counts)
{
    struct worker worker = {.base = base, .job = job};

    worker.disk = gy_sim_disk_clone(base->disk);
    machine_start(&worker.machine, worker.disk, &base->plan, 1, NULL);
    worker.disk_hash = gy_sim_disk_hash(worker.disk);
    for (uint32_t i = 0; i < base->file_count; i++) {
        worker.counts = &counts[job * DAMAGE_FILES_MAX + i];
        if (only_file == NULL || strcmp(only_file, base->files[i].name) == 0) {
            damage_file(&worker, &base->files[i]);
        }
    }
    machine_stop(&worker.machine);
    gy_sim_disk_free(worker.disk);
}

/* Children are forked before anything is made: memory of a store does not go over a fork. Each
 * makes the same store. */
static void
work_in_processes(struct damage_base *base, bool is_clean, struct damage_counts *counts)
{
    bool failed = false;

    for (uint32_t job = 1; job < job_count; job++) {
        const pid_t pid = fork();

        demand(pid >= 0);
        if (pid == 0) {
            damage_base_make(base, 5, DAMAGE_FILL_TABLES, is_clean);
            work(base, job, counts);
            _exit(0);
        }
    }
    damage_base_make(base, 5, DAMAGE_FILL_TABLES, is_clean);
    work(base, 0, counts);
    for (uint32_t job = 1; job < job_count; job++) {
        int status = 0;

        demand(wait(&status) > 0);
        failed = failed || status != 0;
    }
    if (failed) {
        fail_now("another process failed, see above");
    }
}

static void
print_counts(const char *name, uint64_t size, const struct damage_counts *c)
{
    (void)printf("  %-20s %7llu bytes: %8llu tried, %8llu right, %8llu told, %6llu tail, 0 wrong\n",
                 name, (unsigned long long)size, (unsigned long long)c->tried,
                 (unsigned long long)c->right, (unsigned long long)c->told,
                 (unsigned long long)c->tail);
}

static void
add_counts(struct damage_counts *sum, const struct damage_counts *c)
{
    sum->tried += c->tried;
    sum->right += c->right;
    sum->told += c->told;
    sum->tail += c->tail;
}

static void
test_store(bool is_clean, struct damage_counts *counts, struct damage_counts *total)
{
    struct damage_counts store = {0};
    struct damage_base base;
    uint64_t size = 0;

    (void)printf("%s\n", is_clean ? "closed cleanly" : "not closed");
    (void)fflush(stdout);
    memset(counts, 0, job_count * DAMAGE_FILES_MAX * sizeof(*counts));
    work_in_processes(&base, is_clean, counts);
    for (uint32_t i = 0; i < base.file_count; i++) {
        struct damage_counts file = {0};

        for (uint32_t job = 0; job < job_count; job++) {
            add_counts(&file, &counts[job * DAMAGE_FILES_MAX + i]);
        }
        print_counts(base.files[i].name, base.files[i].size, &file);
        add_counts(&store, &file);
        size += base.files[i].size;
    }
    print_counts("together", size, &store);
    demand(store.tried > 0 && store.told > 0 && store.right > 0);
    demand(is_clean ? store.tail == 0 : only_file != NULL || store.tail > 0);
    add_counts(total, &store);
    damage_base_free(&base);
}

int
main(int argc, char **argv)
{
    struct damage_counts total = {0};
    struct damage_counts *counts;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--exhaust") == 0) {
            step = 1;
            pattern_count = 3;
        } else if (i + 1 < argc && strcmp(argv[i], "--step") == 0) {
            step = gy_max_u64(1, strtoull(argv[++i], NULL, 10));
        } else if (i + 1 < argc && strcmp(argv[i], "--file") == 0) {
            only_file = argv[++i];
        } else if (i + 1 < argc && strcmp(argv[i], "--jobs") == 0) {
            job_count = (uint32_t)gy_max_u64(1, strtoull(argv[++i], NULL, 10));
        } else {
            (void)fprintf(
                stderr, "usage: sim_corruption [--exhaust] [--step N] [--file NAME] [--jobs N]\n");
            return 2;
        }
    }
    counts = mmap(NULL, job_count * DAMAGE_FILES_MAX * sizeof(*counts), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    demand(counts != MAP_FAILED);
    test_store(true, counts, &total);
    test_store(false, counts, &total);
    print_counts("all", 0, &total);
    return 0;
}
