/* sim_corruption.c - bytes of a store change behind its back: flipped, zeroed, swapped, cut off,
 * whole files gone. Every answer is right, or CORRUPT (UNSUPPORTED) with the name of a file; none
 * is wrong.
 *
 * One exception, by nature: the last commit of a log that was not closed cleanly may be lost
 * without a word; it looks like a torn write.
 *
 *   sim_corruption              steps through all files: the ctest
 *   sim_corruption --exhaust    every byte
 *   sim_corruption --step N     every N-th byte
 */
#include <stdio.h>
#include <stdlib.h>

#include "io/base/bits.h"
#include "tests/support/sim_run.h"

#define FILES_MAX 64u

static const struct sim_effort EFFORT = {.commits = 24, .sessions = 1};

struct base {
    struct gy_heap heap;
    struct sim_knobs knobs;
    struct gy_sim_disk *disk;
    struct sim_run *run;
    struct model_state state;    /* what it holds */
    struct model_state previous; /* ... without the last commit */
    bool is_clean;
    char files[FILES_MAX][64]; /* with their path */
    uint32_t file_count;
    uint64_t tried;
    uint64_t told; /* CORRUPT somewhere */
    uint64_t tail_lost;
};

/* ---- The store ---- */

static void
note_file(void *arg, const char *name, bool is_regular)
{
    struct base *base = arg;

    if (is_regular) {
        sim_check(base->file_count < FILES_MAX);
        (void)snprintf(base->files[base->file_count++], sizeof(base->files[0]), SIM_PATH "/%.48s",
                       name);
    }
}

/* Tables in some levels, then commits that are in the log only, each synced by itself. */
static void
fill(struct sim_run *run)
{
    uint64_t before;

    sim_run_work(run, 2, EFFORT.commits);
    sim_check(gyre_wait_idle(run->db) == GYRE_OK);
    for (uint32_t i = 0; i < 8; i++) {
        const struct model_op op = model_op_put(i * 3, ++run->value_next, 700);

        before = run->attempted;
        sim_check(sim_run_commit(run, 0, &op, 1, SIM_DURABLE) == GYRE_OK);
        sim_check(run->attempted > before);
    }
}

static void
make_base(struct base *base, uint64_t seed, bool is_clean)
{
    struct gy_sim_disk *disk;
    const struct model_commit *last;

    memset(base, 0, sizeof(*base));
    base->is_clean = is_clean;
    gy_heap_init(&base->heap, UINT64_MAX);
    sim_knobs_draw(&base->knobs, seed);
    base->knobs.options.durability = GYRE_DURABLE;
    base->knobs.short_ppm = 0;
    base->run = calloc(1, sizeof(*base->run));
    sim_check(base->run != NULL);
    disk = gy_sim_disk_make(&base->knobs.disk, &base->heap);
    sim_run_init(base->run, seed, 0, &EFFORT, &base->knobs, disk, NULL);
    sim_run_start(base->run, NULL);
    sim_run_recover(base->run);
    fill(base->run);
    if (!is_clean) {
        base->disk = gy_sim_disk_crash(disk, &base->run->rng, GY_SIM_CRASH_ALL);
    }
    sim_check(sim_run_close(base->run) == GYRE_OK);
    sim_run_stop(base->run);
    if (is_clean) {
        base->disk = gy_sim_disk_crash(disk, &base->run->rng, GY_SIM_CRASH_ALL);
    }
    gy_sim_disk_free(disk);
    last = &base->run->model.commits[base->run->model.count - 1];
    model_state_at(&base->run->model, last->sequence, &base->state);
    model_state_at(&base->run->model, last[-1].sequence, &base->previous);
    (void)gy_sim_disk_list(base->disk, SIM_PATH, note_file, base);
}

static void
free_base(struct base *base)
{
    gy_sim_disk_free(base->disk);
    sim_run_fini(base->run);
    free(base->run);
    sim_check(base->heap.used == 0);
}

/* ---- What may be answered ---- */

static bool
is_told(struct base *base, gyre_loop *loop, gyre_status status, const char *what)
{
    const struct gyre_error *error = gyre_last_error(loop);

    if (status == GYRE_OK || status == GYRE_NOT_FOUND) {
        return false;
    }
    if (status != GYRE_CORRUPT && status != GYRE_UNSUPPORTED) {
        sim_fail_status(loop, status, what);
    }
    if (error->file[0] == '\0') {
        sim_fail_status(loop, status, "an error that names no file");
    }
    base->told++;
    return true;
}

/* Every key by itself: right or told. `wanted` is one of the states that may be. */
static void
check_gets(struct base *base, gyre_db *db, const struct model_state *wanted)
{
    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        struct gyre_value value;
        const gyre_status status = gyre_get(db, NULL, model_key(key), &value);

        if (is_told(base, gyre_db_loop(db), status, "get")) {
            continue;
        }
        if ((status == GYRE_OK ? model_digest(gyre_slice(value.data, value.size)) : MODEL_NONE) !=
            wanted->digests[key]) {
            sim_fail("get: key %u is wrong and nobody says so", key);
        }
        if (status == GYRE_OK) {
            gyre_value_release(&value);
        }
    }
}

/* Up to where the scan got, it is right. */
static void
check_scan(struct base *base, gyre_db *db, const struct model_state *wanted, bool backward)
{
    gyre_iterator *it = NULL;
    uint32_t next = 0;
    gyre_status status = gyre_iterator_open(db, NULL, &it);

    sim_check(status == GYRE_OK);
    status = backward ? gyre_iterator_last(it) : gyre_iterator_first(it);
    for (;;) {
        const uint32_t found =
            status == GYRE_OK ? model_key_find(gyre_iterator_key(it)) : MODEL_KEYS;
        const uint32_t end = !backward || found == MODEL_KEYS ? found : MODEL_KEYS - 1 - found;

        if (is_told(base, gyre_db_loop(db), status, "scan")) {
            break;
        }
        for (; next < end; next++) {
            if (wanted->digests[backward ? MODEL_KEYS - 1 - next : next] != MODEL_NONE) {
                sim_fail("scan: key %u is missing and nobody says so",
                         backward ? MODEL_KEYS - 1 - next : next);
            }
        }
        if (status == GYRE_NOT_FOUND) {
            break;
        }
        sim_check(next == end && found < MODEL_KEYS);
        if (wanted->digests[found] != model_digest(gyre_iterator_value(it))) {
            sim_fail("scan: key %u is wrong and nobody says so", found);
        }
        next++;
        status = backward ? gyre_iterator_prev(it) : gyre_iterator_next(it);
    }
    gyre_iterator_close(it);
}

/* Which of the two contents is this? By a key of the last commit. */
static const struct model_state *
content_of(struct base *base, gyre_db *db, bool may_lose)
{
    const struct model_commit *last = &base->run->model.commits[base->run->model.count - 1];
    const uint32_t key = last->ops[last->op_count - 1].key;
    uint64_t digest = MODEL_NONE;
    struct gyre_value value;
    gyre_status status;

    if (!may_lose) {
        return &base->state;
    }
    status = gyre_get(db, NULL, model_key(key), &value);
    if (status == GYRE_OK) {
        digest = model_digest(gyre_slice(value.data, value.size));
        gyre_value_release(&value);
    } else if (status != GYRE_NOT_FOUND) {
        return &base->state; /* told below */
    }
    if (digest == base->previous.digests[key]) {
        base->tail_lost++;
        return &base->previous;
    }
    return &base->state;
}

/* Opens the damaged disk and looks at everything. */
static void
check_damaged(struct base *base, struct gy_sim_disk *disk, const char *file, bool read_only)
{
    const bool may_lose = !base->is_clean && strstr(file, "wal-") != NULL;
    struct sim_machine machine;
    gyre_db *db = NULL;
    gyre_status status;

    sim_machine_start(&machine, disk, NULL, &base->knobs, 1);
    status = sim_open(&machine, &base->knobs, read_only ? GYRE_OPEN_READ_ONLY : 0, &db);
    base->tried++;
    if (status == GYRE_NOT_FOUND) {
        sim_fail("a damaged store is called missing");
    }
    if (!is_told(base, machine.loop, status, "open")) {
        const struct model_state *wanted = content_of(base, db, may_lose);

        check_scan(base, db, wanted, false);
        check_scan(base, db, wanted, true);
        check_gets(base, db, wanted);
        status = gyre_close(db);
        if (!is_told(base, machine.loop, status, "close")) {
            sim_check(status == GYRE_OK);
        }
    }
    sim_machine_stop(&machine);
}

/* ---- Damage ---- */

enum damage { FLIP, ZERO_PAGE, SWAP_PAGE, CUT, REMOVE, DAMAGE_COUNT };

static bool
apply_damage(struct gy_sim_disk *disk, const char *file, enum damage damage, uint64_t offset)
{
    const uint64_t size = (uint64_t)gy_sim_disk_file_size(disk, file);
    const uint64_t page = gy_align_down(offset, GY_PAGE);
    uint8_t bytes[GY_PAGE] = {0};
    uint8_t old[GY_PAGE] = {0};
    const uint64_t chunk = gy_min_u64(GY_PAGE, size - page);

    switch (damage) {
    case FLIP:
        (void)gy_sim_disk_peek(disk, file, offset, bytes, 1);
        bytes[0] ^= (uint8_t)(1u << offset % 8);
        return gy_sim_disk_poke(disk, file, offset, bytes, 1) == 1;
    case ZERO_PAGE:
    case SWAP_PAGE: /* the page before it, in its place */
        (void)gy_sim_disk_peek(disk, file, page, old, chunk);
        if (damage == SWAP_PAGE) {
            if (page == 0) {
                return false;
            }
            (void)gy_sim_disk_peek(disk, file, page - GY_PAGE, bytes, chunk);
        }
        return memcmp(old, bytes, chunk) != 0 &&
               gy_sim_disk_poke(disk, file, page, bytes, chunk) >= 0;
    case CUT:
        return gy_sim_disk_resize(disk, file, offset) == 0;
    default:
        return gy_sim_disk_remove(disk, file) == 0;
    }
}

static void
try_damage(struct base *base, const char *file, enum damage damage, uint64_t offset)
{
    static const char *const names[] = {"flip", "zero page", "page over the next", "cut", "remove"};
    struct gy_sim_disk *disk;

    for (uint32_t read_only = 0; read_only < 2; read_only++) {
        if (damage == FLIP && read_only == 0 && offset % 16 != 0) {
            continue; /* a writable open reads the same and costs more */
        }
        sim_set_place(1, "%s, %s at %llu, %s, %s", file, names[damage], (unsigned long long)offset,
                      base->is_clean ? "closed" : "not closed",
                      read_only ? "read-only" : "writable");
        disk = gy_sim_disk_clone(base->disk);
        if (apply_damage(disk, file, damage, offset)) {
            check_damaged(base, disk, file, read_only != 0);
        }
        gy_sim_disk_free(disk);
    }
}

static bool
is_lock(const char *file)
{
    return strstr(file, "LOCK") != NULL;
}

/* Zeros beyond what was written are visited far less often. */
static uint64_t
next_offset(const struct base *base, const char *file, uint64_t offset, uint64_t step)
{
    uint8_t page[GY_PAGE] = {0};
    uint64_t sum = 0;

    (void)gy_sim_disk_peek(base->disk, file, gy_align_down(offset, GY_PAGE), page, GY_PAGE);
    for (uint32_t i = 0; i < GY_PAGE; i++) {
        sum += page[i];
    }
    return offset + (sum == 0 && step > 1 ? step * 40 + 1 : step);
}

static void
damage_file(struct base *base, const char *file, uint64_t step)
{
    const uint64_t size = (uint64_t)gy_sim_disk_file_size(base->disk, file);
    const uint64_t tried = base->tried;
    const uint64_t told = base->told;

    for (uint64_t offset = 0; offset < size; offset = next_offset(base, file, offset, step)) {
        try_damage(base, file, FLIP, offset);
    }
    for (uint64_t offset = 0; offset < size; offset = next_offset(base, file, offset, GY_PAGE)) {
        try_damage(base, file, ZERO_PAGE, offset);
        try_damage(base, file, SWAP_PAGE, offset);
    }
    for (uint64_t part = 0; part < 8; part++) {
        try_damage(base, file, CUT, size * part / 8);
    }
    try_damage(base, file, REMOVE, 0);
    (void)printf("  %-24s %7llu bytes: %6llu tried, %6llu told\n", file, (unsigned long long)size,
                 (unsigned long long)(base->tried - tried),
                 (unsigned long long)(base->told - told));
}

int
main(int argc, char **argv)
{
    uint64_t step = 97;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--exhaust") == 0) {
            step = 1;
        } else if (i + 1 < argc && strcmp(argv[i], "--step") == 0) {
            step = strtoull(argv[++i], NULL, 10);
        } else {
            (void)fprintf(stderr, "usage: sim_corruption [--exhaust] [--step N]\n");
            return 2;
        }
    }
    sim_set_program("sim_corruption");
    for (int is_clean = 1; is_clean >= 0; is_clean--) {
        struct base base;

        make_base(&base, 5, is_clean != 0);
        (void)printf("%s\n", is_clean ? "closed cleanly" : "not closed");
        for (uint32_t i = 0; i < base.file_count; i++) {
            if (!is_lock(base.files[i])) {
                damage_file(&base, base.files[i], step > 0 ? step : 1);
            }
        }
        sim_check(base.tried > 0 && base.told > 0);
        sim_check(is_clean == 0 || base.tail_lost == 0);
        free_base(&base);
    }
    return 0;
}
