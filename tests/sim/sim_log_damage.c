/* sim_log_damage.c - records of the log damaged in every way at every kind of place: {flipped,
 * zeroed, cut off, written twice, swapped} x {first, middle, last record} x {last log, older log} x
 * {closed cleanly, power cut}. Only the last record of the last log of a store that was not closed
 * may be lost, and is counted; all else is CORRUPT, the refused open has changed no byte, and
 * gyre_salvage then saves every commit whose record is whole. Then files of every kind that are of
 * another store, of another number, or older than they should be.
 */
#include <stdio.h>
#include <stdlib.h>

#include "io/base/bits.h"
#include "tests/sim/damage_kit.h"

#define SAVED_PATH "/saved"

/* ---- Records ---- */

enum damage { FLIP, ZERO, CUT, TWICE, SWAP, DAMAGE_COUNT };
enum place { FIRST, MIDDLE, LAST, PLACE_COUNT };

static const char *const damage_names[] = {"flipped", "zeroed", "cut off", "written twice",
                                           "swapped"};
static const char *const place_names[] = {"first", "middle", "last"};

/* All records of the store in order; record i is commit i of the model. */
struct record {
    const struct damage_file *file;
    struct damage_frame frame;
    bool is_lost; /* its bytes are not there any more */
};

struct records {
    struct record *all;
    uint32_t count;
    uint32_t log_first[8]; /* index of the first record of each log, in order */
    uint32_t log_count;
};

static void
find_records(const struct damage_base *base, struct records *records)
{
    struct damage_frame frames[DAMAGE_FRAMES_MAX];

    memset(records, 0, sizeof(*records));
    records->all = calloc(DAMAGE_FILES_MAX * DAMAGE_FRAMES_MAX, sizeof(*records->all));
    demand(records->all != NULL);
    /* Slots were taken in the order of their names: no log has been given up yet. */
    for (uint32_t i = 0; i < base->file_count; i++) {
        const struct damage_file *file = &base->files[i];
        const uint32_t count =
            damage_is_log(file) ? damage_base_frames(base, file, frames, DAMAGE_FRAMES_MAX) : 0;

        if (count > 0) {
            records->log_first[records->log_count++] = records->count;
        }
        for (uint32_t j = 0; j < count; j++) {
            records->all[records->count++] = (struct record){.file = file, .frame = frames[j]};
        }
    }
    records->log_first[records->log_count] = records->count;
    demand(records->log_count == 3 && records->count == base->model.count);
}

static uint32_t
pick_record(const struct records *records, uint32_t log, enum place place)
{
    const uint32_t first = records->log_first[log];
    const uint32_t end = records->log_first[log + 1];

    return place == FIRST ? first : place == MIDDLE ? first + (end - first) / 2 : end - 1;
}

/* ---- Damage ---- */

static void
copy_frame(struct gy_sim_disk *disk, const struct gy_sim_disk *source, const struct record *from,
           uint64_t offset)
{
    uint8_t *bytes = malloc(from->frame.span);

    demand(bytes != NULL);
    (void)gy_sim_disk_peek(source, from->file->path, from->frame.offset, bytes, from->frame.span);
    (void)gy_sim_disk_poke(disk, from->file->path, offset, bytes, from->frame.span);
    free(bytes);
}

static void
overwrite(struct gy_sim_disk *disk, const struct record *record, enum damage damage)
{
    uint8_t *bytes = calloc(1, record->frame.span);

    demand(bytes != NULL);
    if (damage == FLIP) {
        (void)gy_sim_disk_peek(disk, record->file->path, record->frame.offset, bytes,
                               record->frame.span);
        bytes[100] ^= 4;
    }
    (void)gy_sim_disk_poke(disk, record->file->path, record->frame.offset, bytes,
                           record->frame.span);
    free(bytes);
}

/* Every record of the file that begins in [from, until) is lost. */
static void
lose(struct records *records, const struct damage_file *file, uint64_t from, uint64_t until)
{
    for (uint32_t i = 0; i < records->count; i++) {
        struct record *record = &records->all[i];

        record->is_lost =
            record->is_lost || (record->file == file && record->frame.offset < until &&
                                record->frame.offset + record->frame.span > from);
    }
}

/* Returns the offset of the first changed byte. */
static uint64_t
apply(const struct damage_base *base, struct gy_sim_disk *disk, struct records *records,
      uint32_t at, enum damage damage)
{
    const struct record *record = &records->all[at];
    const uint64_t start = record->frame.offset;
    const uint64_t end = start + record->frame.span;
    const bool is_last = at + 1 == records->count || records->all[at + 1].file != record->file ||
                         records->all[at + 1].frame.span != record->frame.span;
    const struct record *other = is_last ? record - 1 : record + 1; /* of the same size */

    switch (damage) {
    case FLIP:
    case ZERO:
        overwrite(disk, record, damage);
        lose(records, record->file, start, end);
        return damage == FLIP ? start + 100 : start;
    case CUT:
        demand(gy_sim_disk_resize(disk, record->file->path, start) == 0);
        lose(records, record->file, start, UINT64_MAX);
        return start;
    case TWICE: /* over its successor, or over what comes behind the last */
        copy_frame(disk, base->disk, record, end);
        lose(records, record->file, end, end + record->frame.span);
        return end;
    default:
        demand(other->frame.span == record->frame.span);
        copy_frame(disk, base->disk, record, other->frame.offset);
        copy_frame(disk, base->disk, other, start);
        lose(records, record->file, start, end);
        lose(records, record->file, other->frame.offset, other->frame.offset + other->frame.span);
        return gy_min_u64(start, other->frame.offset);
    }
}

/* ---- Salvage ---- */

static void
demand_saved(const struct damage_base *base, gyre_db *db, const struct records *records)
{
    const struct model *model = &base->model;
    struct model_state wanted = {{0}};
    struct model_state found;
    const gyre_status status = store_scan(db, NULL, &found);

    for (uint32_t i = 0; i < records->count; i++) {
        demand(model->versions[i].ends_commit); /* each is one put */
        if (!records->all[i].is_lost) {
            wanted.digests[model->versions[i].key] = model->versions[i].digest;
        }
    }
    demand(status == GYRE_OK);
    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        if (found.digests[key] != wanted.digests[key]) {
            fail_now("salvage: key %u is not what the whole records say", key);
        }
    }
}

static void
salvage(const struct damage_base *base, struct gy_sim_disk *disk, const struct records *records)
{
    struct gyre_salvage_result result;
    struct machine machine;
    gyre_db *db = NULL;
    gyre_status status;

    machine_start(&machine, disk, &base->plan, 1, NULL);
    status = gyre_salvage(machine.loop, STORE_PATH, SAVED_PATH, &base->plan.options, NULL, NULL,
                          NULL, &result);
    if (status != GYRE_OK) {
        fail_status(machine.loop, status, "salvage");
    }
    demand(result.damage_count > 0);
    status = gyre_open(machine.loop, SAVED_PATH, &base->plan.options, &db);
    if (status != GYRE_OK) {
        fail_status(machine.loop, status, "opening what was salvaged");
    }
    demand_saved(base, db, records);
    demand(gyre_close(db) == GYRE_OK);
    machine_stop(&machine);
}

/* ---- The matrix ---- */

struct tally {
    struct damage_counts counts;
    uint32_t cells;
    uint32_t saved;
};

static uint32_t
lost_count(const struct records *records)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < records->count; i++) {
        count += records->all[i].is_lost ? 1 : 0;
    }
    return count;
}

/* Only records at the very end of a log that was not closed may go without an error. */
static uint32_t
lost_max(const struct damage_base *base, const struct records *records, enum damage damage)
{
    const uint32_t lost = lost_count(records);

    if (base->is_clean || damage == CUT || lost > DAMAGE_LOST_MAX) {
        return 0;
    }
    return records->all[records->count - lost].is_lost ? lost : 0;
}

static void
test_cell(const struct damage_base *base, uint32_t log, enum place place, enum damage damage,
          struct tally *tally)
{
    struct gy_sim_disk *disk = gy_sim_disk_clone(base->disk);
    struct damage_counts counts = {0};
    struct damage_done done = {.is_in_place = damage != CUT};
    struct records records;
    uint32_t at;

    find_records(base, &records);
    at = pick_record(&records, log, place);
    fail_set_place(1, "%s record of log %u of %u, %s, %s", place_names[place], log,
                   records.log_count, damage_names[damage],
                   base->is_clean ? "closed" : "not closed");
    done.file = records.all[at].file;
    done.offset = apply(base, disk, &records, at, damage);
    done.lost_max = lost_max(base, &records, damage);
    done.is_tail_counted = damage != ZERO; /* zeros are no trace */
    damage_ask_alone(base, disk, &done, &counts);
    if (lost_count(&records) == 0) {
        demand(counts.right == 1); /* what was written twice hit nothing */
    } else if (done.lost_max > 0) {
        demand(counts.tail == 1);
    } else {
        demand(counts.told == 1 && counts.tail == 0);
        salvage(base, disk, &records);
        tally->saved++;
    }
    tally->cells++;
    tally->counts.right += counts.right;
    tally->counts.told += counts.told;
    tally->counts.tail += counts.tail;
    free(records.all);
    gy_sim_disk_free(disk);
}

static void
test_matrix(bool is_clean)
{
    struct tally tally = {.cells = 0};
    struct damage_base base;

    damage_base_make(&base, 5, DAMAGE_FILL_LOGS, is_clean);
    for (uint32_t log = 0; log < 3; log++) {
        for (enum place place = FIRST; place < PLACE_COUNT; place++) {
            for (enum damage damage = FLIP; damage < DAMAGE_COUNT; damage++) {
                test_cell(&base, log, place, damage, &tally);
            }
        }
    }
    (void)printf("%s: %u cells: %llu right, %llu told, %llu tail; %u salvaged\n",
                 is_clean ? "closed cleanly" : "not closed", tally.cells,
                 (unsigned long long)tally.counts.right, (unsigned long long)tally.counts.told,
                 (unsigned long long)tally.counts.tail, tally.saved);
    demand(tally.counts.tail == (is_clean ? 0 : 3)); /* flipped, zeroed, swapped */
    damage_base_free(&base);
}

/* ---- Whole files that are not what they should be ---- */

/* Puts the bytes of a file of one disk into the place of a file of another. */
static bool
replace(struct gy_sim_disk *disk, const char *path, const struct gy_sim_disk *source,
        const char *source_path)
{
    const int64_t size = gy_sim_disk_file_size(source, source_path);
    uint8_t *bytes;

    if (size <= 0) {
        return false;
    }
    bytes = malloc((size_t)size);
    demand(bytes != NULL);
    (void)gy_sim_disk_peek(source, source_path, 0, bytes, (size_t)size);
    demand(gy_sim_disk_resize(disk, path, (uint64_t)size) == 0);
    (void)gy_sim_disk_poke(disk, path, 0, bytes, (size_t)size);
    free(bytes);
    return true;
}

enum origin { OTHER_STORE, OTHER_NUMBER, OLDER, OLDER_SESSION };

static const char *const origin_names[] = {"of another store", "of another number",
                                           "as it was commits before", "of the session before"};

static bool
is_same_kind(const struct damage_file *a, const struct damage_file *b)
{
    return strncmp(a->name, b->name, 3) == 0 ||
           (strstr(a->name, ".sst") != NULL && strstr(b->name, ".sst") != NULL);
}

/* A file of that kind, not the same one. */
static const struct damage_file *
other_file(const struct damage_base *base, const struct damage_file *file)
{
    for (uint32_t i = 0; i < base->file_count; i++) {
        if (&base->files[i] != file && is_same_kind(&base->files[i], file)) {
            return &base->files[i];
        }
    }
    return NULL;
}

/* A store whose last session is another one: the same content. */
static struct gy_sim_disk *
open_and_close(const struct damage_base *base)
{
    struct gy_sim_disk *disk = gy_sim_disk_clone(base->disk);
    struct machine machine;
    gyre_db *db = NULL;

    machine_start(&machine, disk, &base->plan, 2, NULL);
    demand(machine_open(&machine, &base->plan, 0, &db) == GYRE_OK);
    demand(gyre_close(db) == GYRE_OK);
    machine_stop(&machine);
    return disk;
}

static void
test_file(const struct damage_base *base, const struct damage_base *stranger,
          const struct damage_file *file, enum origin origin, struct damage_counts *counts)
{
    struct gy_sim_disk *disk =
        origin == OLDER_SESSION ? open_and_close(base) : gy_sim_disk_clone(base->disk);
    const struct damage_file *other =
        origin == OTHER_STORE ? other_file(stranger, file) : other_file(base, file);
    const struct gy_sim_disk *source = origin == OTHER_STORE ? stranger->disk
                                       : origin == OLDER     ? base->older
                                                             : base->disk;
    struct damage_done done = {.file = file};
    const uint64_t told = counts->told;
    bool is_done = false;

    fail_set_place(1, "%s is %s, %s", file->name, origin_names[origin],
                   base->is_clean ? "closed" : "not closed");
    if (origin == OLDER && file == base->tail_file) {
        /* A disk that lost the end of the last log, and its end record: nobody can tell. */
        done.lost_max = DAMAGE_LOST_MAX;
    }
    if (origin == OLDER || origin == OLDER_SESSION) {
        is_done = gy_sim_disk_file_size(disk, file->path) > 0 &&
                  replace(disk, file->path, source, file->path);
    } else if (other != NULL) {
        is_done = replace(disk, file->path, source, other->path);
    }
    if (is_done) {
        damage_ask_alone(base, disk, &done, counts);
        demand(origin != OTHER_STORE || counts->told > told || damage_is_log(file));
        demand(origin != OLDER_SESSION || strcmp(file->name, "CURRENT") != 0 ||
               counts->told > told);
    }
    gy_sim_disk_free(disk);
}

static void
test_files(bool is_clean)
{
    struct damage_counts counts = {0};
    struct damage_base base;
    struct damage_base stranger;

    damage_base_make(&base, 5, DAMAGE_FILL_TABLES, is_clean);
    damage_base_make(&stranger, 6, DAMAGE_FILL_TABLES, is_clean);
    for (uint32_t i = 0; i < base.file_count; i++) {
        for (enum origin origin = OTHER_STORE; origin <= OLDER_SESSION; origin++) {
            test_file(&base, &stranger, &base.files[i], origin, &counts);
        }
    }
    (void)printf("files, %s: %llu tried, %llu right, %llu told, %llu tail\n",
                 is_clean ? "closed cleanly" : "not closed", (unsigned long long)counts.tried,
                 (unsigned long long)counts.right, (unsigned long long)counts.told,
                 (unsigned long long)counts.tail);
    damage_base_free(&base);
    damage_base_free(&stranger);
}

int
main(void)
{
    for (uint32_t is_clean = 0; is_clean < 2; is_clean++) {
        test_matrix(is_clean != 0);
        test_files(is_clean != 0);
    }
    return 0;
}
