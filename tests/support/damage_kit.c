/* damage_kit.c - see damage_kit.h. */
#include "tests/support/damage_kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/codec/frame.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

static const struct sim_effort EFFORT = {.commits = 24, .sessions = 1};

/* ---- The store ---- */

static void
note_file(void *arg, const char *name, bool is_regular)
{
    struct damage_base *base = arg;
    struct damage_file *file = &base->files[base->file_count];

    if (is_regular && strcmp(name, "LOCK") != 0) {
        sim_check(base->file_count < DAMAGE_FILES_MAX);
        (void)snprintf(file->path, sizeof(file->path), SIM_PATH "/%.48s", name);
        file->name = file->path + strlen(SIM_PATH) + 1;
        file->size = (uint64_t)gy_sim_disk_file_size(base->disk, file->path);
        base->file_count++;
    }
}

static void
commit_alone(struct sim_run *run, uint32_t key, uint32_t size)
{
    const uint64_t before = run->attempted;
    const struct model_op op = model_op_put(key, ++run->value_next, size);

    sim_check(sim_run_commit(run, 0, &op, 1, SIM_DURABLE) == GYRE_OK);
    sim_check(run->attempted > before);
}

static void
fill(struct damage_base *base, enum damage_fill kind)
{
    struct sim_run *run = base->run;

    if (kind == DAMAGE_FILL_TABLES) {
        sim_run_work(run, 2, EFFORT.commits);
        sim_check(gyre_wait_idle(run->db) == GYRE_OK);
    }
    for (uint32_t i = 0; kind == DAMAGE_FILL_LOGS && run->db->wal.log_count < 3; i++) {
        commit_alone(run, i * 3 % MODEL_KEYS, 700);
    }
    base->older = gy_sim_disk_crash(run->disk, &run->rng, GY_SIM_CRASH_ALL);
    for (uint32_t i = 0; i < DAMAGE_LOST_MAX; i++) { /* some frames of two pages */
        commit_alone(run, i * 3, kind == DAMAGE_FILL_LOGS && i >= 4 ? 6000 : 700);
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
            sim_check(count < frames_max);
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
    sim_check(base->tail_file != NULL);
}

void
damage_base_make(struct damage_base *base, uint64_t seed, enum damage_fill kind, bool is_clean)
{
    const struct model_commit *last;
    struct gy_sim_disk *disk;

    memset(base, 0, sizeof(*base));
    base->is_clean = is_clean;
    gy_heap_init(&base->heap, UINT64_MAX);
    sim_knobs_draw(&base->knobs, seed);
    base->knobs.options.durability = GYRE_DURABLE;
    base->knobs.options.wal_slot_size = 128 * GY_KIB;
    base->knobs.options.wal_total_max = 3 * 128 * GY_KIB;
    if (kind == DAMAGE_FILL_LOGS) {
        base->knobs.options.memtable_size = GY_MIB;
        base->knobs.options.wal_total_max = 6 * 128 * GY_KIB;
    }
    base->knobs.short_ppm = 0;
    base->run = calloc(1, sizeof(*base->run));
    sim_check(base->run != NULL);
    disk = gy_sim_disk_make(&base->knobs.disk, &base->heap);
    sim_run_init(base->run, seed, 0, &EFFORT, &base->knobs, disk, NULL);
    sim_run_start(base->run, NULL);
    sim_run_recover(base->run);
    fill(base, kind);
    base->store_id = base->run->db->store_id;
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
    for (uint32_t i = 0; i <= DAMAGE_LOST_MAX; i++) {
        model_state_at(&base->run->model, last[-(int)i].sequence, &base->states[i]);
    }
    (void)gy_sim_disk_list(base->disk, SIM_PATH, note_file, base);
    find_tail(base);
}

void
damage_base_free(struct damage_base *base)
{
    gy_sim_disk_free(base->disk);
    gy_sim_disk_free(base->older);
    sim_run_fini(base->run);
    free(base->run);
    sim_check(base->heap.used == 0);
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

    return is_same ? error->offset <= done->offset : strncmp(done->file->name, "MANIFEST", 8) == 0;
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
        sim_fail_status(q->loop, status, what);
    }
    if (error->file[0] == '\0') {
        sim_fail_status(q->loop, status, "an error that names no file");
    }
    if (q->done->is_in_place && !names_place(q->done, error)) {
        sim_fail_status(q->loop, status, "an error that names another place");
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
        digest = model_digest(gyre_slice(value.data, value.size));
        gyre_value_release(&value);
    }
    if (digest != q->wanted->digests[key]) {
        sim_fail("get: key %u is wrong and nobody says so", key);
    }
}

/* Up to where the scan got, it is right. */
static void
ask_scan(struct question *q, gyre_db *db, bool backward)
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

        if (is_told(q, status, "scan")) {
            break;
        }
        for (; next < end; next++) {
            const uint32_t key = backward ? MODEL_KEYS - 1 - next : next;

            if (q->wanted->digests[key] != MODEL_NONE) {
                sim_fail("scan: key %u is missing and nobody says so", key);
            }
        }
        if (status == GYRE_NOT_FOUND) {
            break;
        }
        sim_check(next == end && found < MODEL_KEYS);
        if (q->wanted->digests[found] != model_digest(gyre_iterator_value(it))) {
            sim_fail("scan: key %u is wrong and nobody says so", found);
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
    const struct model *model = &q->base->run->model;
    struct gyre_stats stats = {.struct_size = sizeof(stats)};
    uint32_t lost = 0;

    while (lost < q->done->lost_max) {
        const uint32_t key = model->commits[model->count - 1 - lost].ops[0].key;
        uint64_t digest = MODEL_NONE;
        struct gyre_value value;
        const gyre_status status = gyre_get(db, NULL, model_key(key), &value);

        if (status == GYRE_OK) {
            digest = model_digest(gyre_slice(value.data, value.size));
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
        sim_fail("the last commit was dropped and tail_dropped_bytes is 0");
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
    for (uint32_t key = (uint32_t)(q->done->offset % step); key < MODEL_KEYS; key += step) {
        ask_get(q, db, key);
    }
}

bool
damage_ask(const struct damage_base *base, struct sim_machine *machine,
           const struct damage_done *done, struct damage_counts *counts)
{
    struct question q = {.base = base, .done = done, .loop = machine->loop, .wanted = base->states};
    bool is_open = false;
    gyre_db *db = NULL;
    gyre_status status =
        sim_open(machine, &base->knobs, done->is_read_only ? GYRE_OPEN_READ_ONLY : 0, &db);

    if (status == GYRE_NOT_FOUND) {
        sim_fail("a damaged store is called missing");
    }
    if (!is_told(&q, status, "open")) {
        is_open = true;
        q.wanted = &base->states[lost_count(&q, db)];
        counts->tail += q.wanted != base->states ? 1 : 0;
        ask_all(&q, db);
        status = gyre_close(db);
        if (!is_told(&q, status, "close")) {
            sim_check(status == GYRE_OK);
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
    struct sim_machine machine;
    bool is_open;

    sim_machine_start(&machine, disk, NULL, &base->knobs, 1);
    is_open = damage_ask(base, &machine, done, counts);
    sim_machine_stop(&machine);
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
            sim_fail("an open that was refused has changed the store");
        }
        if (!done->is_read_only) {
            (void)ask_on_new_machine(base, disk, done, &again);
            sim_check(again.told == counts->told - told);
        }
    }
}
