/* note.c - the note beside a store, and which keys it says are there. */
#include "bench/gyre_bench/note.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/gyre_bench/random.h"
#include "gyre/base.h"

#define LINE_SIZE_MAX 256
#define NOTE_PATH_MAX (GYRE_PATH_SIZE_MAX + 16)

static const char *const order_names[] = {"sequential", "random", "unique"};

/* ---- Orders ---- */

/* A permutation of 0..num-1: four rounds of a Feistel network on the least even number of bits
 * that holds num, walked on until the number is below it (fewer than four steps on average). */
static uint64_t
permute(uint64_t seed, uint64_t num, uint64_t index)
{
    uint32_t half_bits = 1;
    uint64_t mask;

    while (half_bits < 31 && num > 1ull << (2 * half_bits)) {
        half_bits++;
    }
    mask = (1ull << half_bits) - 1;
    do {
        uint64_t left = index >> half_bits;
        uint64_t right = index & mask;

        for (uint64_t round = 0; round < 4; round++) {
            const uint64_t next = left ^ (mix64(right + mix64(seed + round)) & mask);

            left = right;
            right = next;
        }
        index = left << half_bits | right;
    } while (index >= num);
    return index;
}

uint64_t
fill_key_number(const struct fill *fill, uint64_t index)
{
    switch (fill->order) {
    case ORDER_RANDOM:
        return fill->first +
               scale(mix64(mix64(fill->seed) + index * 0x9e3779b97f4a7c15ull), fill->num);
    case ORDER_UNIQUE:
        return fill->first + permute(fill->seed, fill->num, index % fill->num);
    case ORDER_SEQUENTIAL:
        break;
    }
    return fill->first + index % fill->num;
}

/* ---- The file ---- */

static void
note_path(const char *db, char *path)
{
    size_t size = strlen(db);

    while (size > 1 && db[size - 1] == '/') {
        size--;
    }
    (void)snprintf(path, NOTE_PATH_MAX, "%.*s.gyre-bench", (int)size, db);
}

/* What tells this directory from another one that had its name. */
static bool
identify(const char *db, uint64_t *ret_inode, int64_t *ret_birth)
{
    struct statx info;

    if (statx(AT_FDCWD, db, 0, STATX_INO | STATX_BTIME, &info) != 0) {
        return false;
    }
    *ret_inode = info.stx_ino;
    *ret_birth = (info.stx_mask & STATX_BTIME) != 0
                     ? info.stx_btime.tv_sec * 1000000000 + info.stx_btime.tv_nsec
                     : 0;
    return true;
}

static bool
parse_fill(const char *line, struct note *note)
{
    struct fill fill = {.num = 0};
    char kind[NOTE_WORD_MAX];
    char order[NOTE_WORD_MAX];

    if (sscanf(line,
               "%31s order=%31s seed=%" SCNu64 " first=%" SCNu64 " num=%" SCNu64 " ops=%" SCNu64,
               kind, order, &fill.seed, &fill.first, &fill.num, &fill.ops) != 6 ||
        fill.num == 0 || fill.num > 1ull << 40 || fill.first > 1ull << 41) {
        return false;
    }
    fill.is_delete = strcmp(kind, "delete") == 0;
    for (uint32_t i = 0; i < sizeof(order_names) / sizeof(order_names[0]); i++) {
        if (strcmp(order, order_names[i]) == 0) {
            fill.order = (enum fill_order)i;
            note_add(note, &fill);
            return true;
        }
    }
    return false;
}

static bool
parse_head(FILE *file, const char *db, struct note *note)
{
    char line[LINE_SIZE_MAX];
    char sizes[SIZES_TEXT_MAX];
    uint64_t inode;
    uint64_t inode_now;
    int64_t birth;
    int64_t birth_now;
    int hashed;
    int settled;

    if (fgets(line, sizeof(line), file) == NULL ||
        sscanf(line, "store inode=%" SCNu64 " birth=%" SCNd64, &inode, &birth) != 2 ||
        !identify(db, &inode_now, &birth_now) || inode != inode_now || birth != birth_now) {
        return false;
    }
    if (fgets(line, sizeof(line), file) == NULL ||
        sscanf(line, "engine=%31s compression=%31s settled=%d", note->engine, note->compression,
               &settled) != 3) {
        return false;
    }
    if (fgets(line, sizeof(line), file) == NULL ||
        sscanf(line, "key_size=%" SCNu64 " hashed=%d compress=%" SCNu64 " value_size=%159s",
               &note->key_size, &hashed, &note->compress_percentage, sizes) != 4 ||
        note->key_size < 1 || note->key_size > GYRE_KEY_SIZE_MAX) {
        return false;
    }
    note->is_hashed = hashed != 0;
    note->is_settled = settled != 0;
    return sizes_parse(sizes, &note->sizes);
}

bool
note_read(const char *db, struct note *ret_note)
{
    struct note note = {.fill_count = 0};
    char path[NOTE_PATH_MAX];
    char line[LINE_SIZE_MAX];
    bool is_good;
    FILE *file;

    note_path(db, path);
    file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    is_good = parse_head(file, db, &note);
    while (is_good && fgets(line, sizeof(line), file) != NULL) {
        is_good = parse_fill(line, &note);
    }
    (void)fclose(file);
    if (is_good) {
        *ret_note = note;
    }
    return is_good;
}

bool
note_write(const char *db, const struct note *note)
{
    char path[NOTE_PATH_MAX];
    uint64_t inode = 0;
    int64_t birth = 0;
    FILE *file;

    note_path(db, path);
    if (!identify(db, &inode, &birth)) {
        return false;
    }
    file = fopen(path, "we");
    if (file == NULL) {
        return false;
    }
    (void)fprintf(file, "store inode=%" PRIu64 " birth=%" PRId64 "\n", inode, birth);
    (void)fprintf(file, "engine=%s compression=%s settled=%d\n", note->engine, note->compression,
                  note->is_settled);
    (void)fprintf(file, "key_size=%" PRIu64 " hashed=%d compress=%" PRIu64 " value_size=%s\n",
                  note->key_size, note->is_hashed, note->compress_percentage, note->sizes.text);
    for (uint32_t i = 0; i < note->fill_count; i++) {
        const struct fill *f = &note->fills[i];

        (void)fprintf(file,
                      "%s order=%s seed=%" PRIu64 " first=%" PRIu64 " num=%" PRIu64 " ops=%" PRIu64
                      "\n",
                      f->is_delete ? "delete" : "put", order_names[f->order], f->seed, f->first,
                      f->num, f->ops);
    }
    return fclose(file) == 0;
}

void
note_remove(const char *db)
{
    char path[NOTE_PATH_MAX];

    note_path(db, path);
    (void)unlink(path);
}

void
note_add(struct note *note, const struct fill *fill)
{
    if (note->fill_count == FILLS_MAX) {
        /* The oldest is forgotten: its keys count as not there, if no other fill wrote them. */
        note->fill_count--;
        memmove(note->fills, note->fills + 1, note->fill_count * sizeof(note->fills[0]));
    }
    note->fills[note->fill_count++] = *fill;
}

uint64_t
note_records(const struct note *note)
{
    uint64_t records = 0;

    for (uint32_t i = 0; i < note->fill_count; i++) {
        const struct fill *f = &note->fills[i];

        if (!f->is_delete && f->first + f->num > records) {
            records = f->first + f->num;
        }
    }
    return records;
}

/* ---- Presence ---- */

static bool
covers(const struct fill *fill, uint64_t num)
{
    return !fill->is_delete && fill->order != ORDER_RANDOM && fill->first == 0 &&
           fill->num >= num && fill->ops >= fill->num;
}

static bool
has_all(const struct note *note, uint64_t num)
{
    bool all = false;

    for (uint32_t i = 0; i < note->fill_count; i++) {
        all = note->fills[i].is_delete ? false : all || covers(&note->fills[i], num);
    }
    return all;
}

static void
mark(struct presence *presence, const struct fill *fill)
{
    const uint64_t turns =
        fill->order == ORDER_RANDOM || fill->ops < fill->num ? fill->ops : fill->num;

    for (uint64_t k = 0; k < turns; k++) {
        const uint64_t number = fill_key_number(fill, k);
        const uint64_t bit = 1ull << (number % 64);

        if (number < presence->num) {
            presence->bits[number / 64] = fill->is_delete ? presence->bits[number / 64] & ~bit
                                                          : presence->bits[number / 64] | bit;
        }
    }
}

bool
presence_init(struct presence *presence, const struct note *note, uint64_t num)
{
    *presence = (struct presence){.num = num, .count = num, .is_known = note->fill_count > 0};
    if (!presence->is_known || has_all(note, num)) {
        return true;
    }
    presence->count = 0;
    presence->bits = calloc(num / 64 + 1, sizeof(presence->bits[0]));
    if (presence->bits == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < note->fill_count; i++) {
        mark(presence, &note->fills[i]);
    }
    for (uint64_t i = 0; i <= num / 64; i++) {
        presence->count += (uint64_t)__builtin_popcountll(presence->bits[i]);
    }
    return true;
}

void
presence_free(struct presence *presence)
{
    free(presence->bits);
    presence->bits = NULL;
}
