/* damage_kit.c - see damage_kit.h. */
#include "tests/sim/damage_kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/codec/frame.h"
#include "io/base/fail.h"
#include "tests/sim/calm_plan.h"

#define WRITERS 2u
#define OPS_OF_A_WRITER 24u
#define VALUES_ALONE (1ull << 20) /* numbers of values: more than actors use */

static const struct effort EFFORT = {.points_max = 0};

/* ---- Filling it ---- */

struct filler {
    struct run *run;
    enum damage_fill kind;
    void (*part)(struct filler *filler);
    uint64_t commit_count;
};

static void
commit_alone(struct filler *filler, uint32_t key, uint32_t size)
{
    const struct model_op op = model_op_put(key, VALUES_ALONE + filler->commit_count, size);

    filler->commit_count++;
    demand(write_commit(&filler->run->actors[0], &op, 1, true, false));
}

/* What comes before the last commits, where actors are not enough. */
static void
fill_logs(struct filler *filler)
{
    for (uint32_t i = 0; filler->run->db->wal.log_count < 3; i++) {
        commit_alone(filler, i * 3 % MODEL_KEYS_USUAL, 700);
    }
}

static void
fill_last(struct filler *filler)
{
    for (uint32_t i = 0; i < DAMAGE_LOST_MAX; i++) { /* some frames of two pages */
        commit_alone(filler, i * 3, filler->kind == DAMAGE_FILL_LOGS && i >= 4 ? 6000 : 700);
    }
}

static void
filler_main(void *arg)
{
    struct filler *filler = arg;
    struct actor *actor = &filler->run->actors[0];

    memset(actor, 0, sizeof(*actor));
    actor->run = filler->run;
    actor->co = filler->run->machine.loop->io.sched.current;
    filler->part(filler);
    actor->co = NULL;
}

static void
run_filler(struct filler *filler, void (*part)(struct filler *filler))
{
    filler->part = part;
    demand(gyre_spawn(filler->run->machine.loop, filler_main, filler, NULL) == GYRE_OK);
    demand(gyre_run(filler->run->machine.loop) == GYRE_OK);
}

static void
fill(struct damage_base *base, struct run *run, enum damage_fill kind)
{
    struct filler filler = {.run = run, .kind = kind};

    if (kind == DAMAGE_FILL_TABLES) {
        run_work(run, WRITERS, OPS_OF_A_WRITER);
        demand(gyre_wait_idle(run->db) == GYRE_OK);
    } else {
        run_filler(&filler, fill_logs);
    }
    base->older = gy_sim_disk_crash(run->disk, &run->rng, GY_SIM_CRASH_ALL);
    run_filler(&filler, fill_last);
}

/* ---- Looking at it ---- */

static void
note_file(void *arg, const char *name, bool is_regular)
{
    struct damage_base *base = arg;
    struct damage_file *file = &base->files[base->file_count];

    if (is_regular && strcmp(name, "LOCK") != 0) {
        demand(base->file_count < DAMAGE_FILES_MAX);
        (void)snprintf(file->path, sizeof(file->path), STORE_PATH "/%.48s", name);
        file->name = file->path + strlen(STORE_PATH) + 1;
        file->size = (uint64_t)gy_sim_disk_file_size(base->disk, file->path);
        base->file_count++;
    }
}

const struct damage_file *
damage_base_find(const struct damage_base *base, const char *name)
{
    for (uint32_t i = 0; i < base->file_count; i++) {
        if (strcmp(base->files[i].name, name) == 0) {
            return &base->files[i];
        }
    }
    return NULL;
}

static bool
read_frame(const struct damage_base *base, const struct damage_file *file, uint64_t offset,
           uint64_t number, struct gy_frame *ret_frame)
{
    static uint8_t bytes[GY_FRAME_SIZE_MAX];
    struct gy_frame_place place = {
        .store_id = base->store_id, .file_number = number, .offset = offset};
    const int64_t got = gy_sim_disk_peek(base->disk, file->path, offset, bytes, sizeof(bytes));

    if (number == 0 && got >= (int64_t)GY_FRAME_HEADER_SIZE) {
        memcpy(&place.file_number, bytes + 48, 8);
    }
    return got > 0 && gy_frame_open(bytes, (size_t)got, &place, ret_frame) == GY_FRAME_OK;
}

uint32_t
damage_base_frames(const struct damage_base *base, const struct damage_file *file,
                   struct damage_frame *frames, uint32_t frames_max)
{
    struct gy_frame frame;
    uint64_t number;
    uint32_t count = 0;

    if (!read_frame(base, file, 0, 0, &frame) || frame.kind != GY_FRAME_LOG_START) {
        return 0;
    }
    number = frame.file_number;
    for (uint64_t at = GY_PAGE; read_frame(base, file, at, number, &frame);
         at += gy_frame_span(frame.payload_size)) {
        if (frame.kind == GY_FRAME_COMMITS) {
            demand(count < frames_max);
            frames[count++] = (struct damage_frame){at, gy_frame_span(frame.payload_size)};
        }
    }
    return count;
}

static void
find_tail(struct damage_base *base)
{
    struct damage_frame frames[DAMAGE_FRAMES_MAX];
    struct gy_frame frame;
    uint64_t number = 0;

    for (uint32_t i = 0; i < base->file_count; i++) {
        const struct damage_file *file = &base->files[i];
        const uint32_t count =
            damage_is_log(file) ? damage_base_frames(base, file, frames, DAMAGE_FRAMES_MAX) : 0;

        if (count > 0 && read_frame(base, file, 0, 0, &frame) && frame.file_number > number) {
            number = frame.file_number;
            base->tail_file = file;
            base->tail_start = frames[count - 1].offset;
            base->tail_end = base->tail_start + frames[count - 1].span;
        }
    }
    demand(base->tail_file != NULL);
}

/* ---- Making it ---- */

static void
choose_plan(struct plan *plan, uint64_t seed, enum damage_fill kind)
{
    calm_plan_draw(plan, seed);
    calm_plan_add_writes(plan);
    plan->options.wal_total_max = 3 * plan->options.wal_slot_size;
    if (kind == DAMAGE_FILL_LOGS) {
        plan->options.memtable_size = GY_MIB;
        plan->options.wal_total_max = 6 * plan->options.wal_slot_size;
    }
}

void
damage_base_make(struct damage_base *base, uint64_t seed, enum damage_fill kind, bool is_clean)
{
    struct run *run = calloc(1, sizeof(*run));
    struct gy_sim_disk *disk;
    gyre_status status;

    demand(run != NULL);
    memset(base, 0, sizeof(*base));
    base->is_clean = is_clean;
    gy_heap_init(&base->heap, UINT64_MAX);
    choose_plan(&base->plan, seed, kind);
    disk = gy_sim_disk_make(&base->plan.disk, &base->heap);
    run_init(run, &base->plan, seed, 0, &EFFORT, disk, NULL);
    run_start(run);
    run_recover(run);
    fill(base, run, kind);
    base->store_id = run->db->store_id;
    model_copy(&base->model, &run->model);
    if (!is_clean) {
        base->disk = gy_sim_disk_crash(disk, &run->rng, GY_SIM_CRASH_ALL);
    }
    status = gyre_close(run->db); /* not run_close, which flushes: the logs are wanted */
    demand(status == GYRE_OK);
    run->db = NULL;
    run_stop(run);
    gy_committed = NULL; /* the model has all */
    if (is_clean) {
        base->disk = gy_sim_disk_crash(disk, &run->rng, GY_SIM_CRASH_ALL);
    }
    run_fini(run);
    free(run);
    gy_sim_disk_free(disk);
    for (uint32_t i = 0; i <= DAMAGE_LOST_MAX; i++) {
        model_state_at(&base->model, base->model.versions[base->model.count - 1 - i].sequence,
                       &base->states[i]);
    }
    (void)gy_sim_disk_list(base->disk, STORE_PATH, note_file, base);
    find_tail(base);
}

void
damage_base_free(struct damage_base *base)
{
    gy_sim_disk_free(base->disk);
    gy_sim_disk_free(base->older);
    model_fini(&base->model);
    demand(base->heap.used == 0);
}

/* ---- What may be answered ---- */

struct question {
    const struct damage_base *base;
    const struct damage_done *done;
    gyre_loop *loop;
    const struct model_state *wanted;
    bool is_told;
    gyre_status status; /* the first that was told */
};

/* What a manifest has lost may be a file: then that one is named. */
static bool
names_place(const struct damage_done *done, const struct gyre_error *error)
{
    const bool is_same = strcmp(error->file, done->file->name) == 0;

    return is_same ? error->offset <= done->offset + done->more
                   : strncmp(done->file->name, "MANIFEST", 8) == 0;
}

/* An answer that is an error: is it one that may be given? */
static bool
is_told(struct question *q, gyre_status status, const char *what)
{
    const struct gyre_error *error = gyre_last_error(q->loop);

    if (status == GYRE_OK || status == GYRE_NOT_FOUND) {
        return false;
    }
    if (status != GYRE_CORRUPT && status != GYRE_UNSUPPORTED) {
        fail_status(q->loop, status, what);
    }
    if (error->file[0] == '\0') {
        fail_status(q->loop, status, "an error that names no file");
    }
    if (q->done->is_in_place && !names_place(q->done, error)) {
        fail_status(q->loop, status, "an error that names another place");
    }
    q->status = q->is_told ? q->status : status;
    q->is_told = true;
    return true;
}

static void
ask_get(struct question *q, gyre_db *db, uint32_t key)
{
    struct gyre_value value;
    const gyre_status status = gyre_get(db, NULL, model_key(key), &value);
    uint64_t digest = MODEL_NONE;

    if (is_told(q, status, "get")) {
        return;
    }
    if (status == GYRE_OK) {
        digest = model_digest(value.data, value.size);
        gyre_value_release(&value);
    }
    if (digest != q->wanted->digests[key]) {
        fail_now("get: key %u is wrong and nobody says so", key);
    }
}

/* Up to where the scan got, it is right. */
static void
ask_scan(struct question *q, gyre_db *db, bool backward)
{
    gyre_iterator *it = NULL;
    struct gyre_slice value;
    uint32_t next = 0;
    gyre_status status = gyre_iterator_open(db, NULL, &it);

    demand(status == GYRE_OK);
    status = backward ? gyre_iterator_last(it) : gyre_iterator_first(it);
    for (;;) {
        const uint32_t found =
            status == GYRE_OK ? model_key_find(gyre_iterator_key(it)) : MODEL_KEYS;
        const uint32_t end = !backward || found == MODEL_KEYS ? found : MODEL_KEYS - 1 - found;

        if (is_told(q, status, "scan")) {
            break;
        }
        for (; next < end; next++) {
            const uint32_t key = backward ? MODEL_KEYS - 1 - next : next;

            if (q->wanted->digests[key] != MODEL_NONE) {
                fail_now("scan: key %u is missing and nobody says so", key);
            }
        }
        if (status == GYRE_NOT_FOUND) {
            break;
        }
        demand(next == end && found < MODEL_KEYS);
        value = gyre_iterator_value(it);
        if (q->wanted->digests[found] != model_digest(value.data, value.size)) {
            fail_now("scan: key %u is wrong and nobody says so", found);
        }
        next++;
        status = backward ? gyre_iterator_prev(it) : gyre_iterator_next(it);
    }
    gyre_iterator_close(it);
}

/* How many of the last commits are gone? Each of them is one put. */
static uint32_t
lost_count(struct question *q, gyre_db *db)
{
    const struct model *model = &q->base->model;
    struct gyre_stats stats = {.struct_size = sizeof(stats)};
    uint32_t lost = 0;

    while (lost < q->done->lost_max) {
        const uint32_t key = model->versions[model->count - 1 - lost].key;
        uint64_t digest = MODEL_NONE;
        struct gyre_value value;
        const gyre_status status = gyre_get(db, NULL, model_key(key), &value);

        if (status == GYRE_OK) {
            digest = model_digest(value.data, value.size);
            gyre_value_release(&value);
        } else if (status != GYRE_NOT_FOUND) {
            return lost; /* told below */
        }
        if (digest == q->base->states[lost].digests[key]) {
            break;
        }
        lost++;
    }
    (void)gyre_stats(db, &stats);
    if (lost > 0 && q->done->is_tail_counted && stats.tail_dropped_bytes == 0) {
        fail_now("the last commit was dropped and tail_dropped_bytes is 0");
    }
    return lost;
}

static void
ask_all(struct question *q, gyre_db *db)
{
    const uint32_t step = q->done->is_brief ? 16 : 1;

    ask_scan(q, db, false);
    if (!q->done->is_brief) {
        ask_scan(q, db, true);
    }
    for (uint32_t key = (uint32_t)(q->done->offset % step); key < MODEL_KEYS_USUAL; key += step) {
        ask_get(q, db, key);
    }
}

bool
damage_ask(const struct damage_base *base, struct machine *machine, const struct damage_done *done,
           struct damage_counts *counts)
{
    struct question q = {.base = base, .done = done, .loop = machine->loop, .wanted = base->states};
    bool is_open = false;
    gyre_db *db = NULL;
    gyre_status status =
        machine_open(machine, &base->plan, done->is_read_only ? GYRE_OPEN_READ_ONLY : 0, &db);

    if (status == GYRE_NOT_FOUND) {
        fail_now("a damaged store is called missing");
    }
    if (!is_told(&q, status, "open")) {
        is_open = true;
        q.wanted = &base->states[lost_count(&q, db)];
        counts->tail += q.wanted != base->states ? 1 : 0;
        ask_all(&q, db);
        status = gyre_close(db);
        if (!is_told(&q, status, "close")) {
            demand(status == GYRE_OK);
        }
    }
    counts->tried++;
    counts->told_status = counts->told == 0 ? q.status : counts->told_status;
    counts->told += q.is_told ? 1 : 0;
    counts->right += q.is_told || q.wanted != base->states ? 0 : 1;
    return is_open;
}

static bool
ask_on_new_machine(const struct damage_base *base, struct gy_sim_disk *disk,
                   const struct damage_done *done, struct damage_counts *counts)
{
    struct machine machine;
    bool is_open;

    machine_start(&machine, disk, &base->plan, 1, NULL);
    is_open = damage_ask(base, &machine, done, counts);
    machine_stop(&machine);
    return is_open;
}

void
damage_ask_alone(const struct damage_base *base, struct gy_sim_disk *disk,
                 const struct damage_done *done, struct damage_counts *counts)
{
    const uint64_t before = gy_sim_disk_hash(disk);
    const uint64_t told = counts->told;
    struct damage_counts again = {0};

    if (!ask_on_new_machine(base, disk, done, counts)) {
        if (gy_sim_disk_hash(disk) != before) {
            fail_now("an open that was refused has changed the store");
        }
        if (!done->is_read_only) {
            (void)ask_on_new_machine(base, disk, done, &again);
            demand(again.told == counts->told - told);
        }
    }
}
