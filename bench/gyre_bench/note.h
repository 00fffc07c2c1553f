/* note.h - what gyre-bench knows of a store that it made: a text file beside it, DIR.gyre-bench.
 *
 * It says by which engine and with what options the store was made, how its keys and values look,
 * and which fills wrote it: in which order, from which seed and how far. So a later run knows which
 * keys are there without having been told, and refuses a store that is not its own. It names the
 * inode and birth time of the store's directory: a note of a store that is gone counts for nothing.
 */
#ifndef GYRE_BENCH_NOTE_H
#define GYRE_BENCH_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/gyre_bench/sizes.h"

enum fill_order { ORDER_SEQUENTIAL, ORDER_RANDOM, ORDER_UNIQUE };

struct fill {
    enum fill_order order;
    bool is_delete;
    uint64_t seed;
    uint64_t first; /* the numbers are first..first+num-1 */
    uint64_t num;
    uint64_t ops;   /* how many of the order were written */
};

/* Number of the key that the operation `index` of a fill writes. */
uint64_t fill_key_number(const struct fill *fill, uint64_t index);

#define FILLS_MAX 64u
#define NOTE_WORD_MAX 32u

struct note {
    char engine[NOTE_WORD_MAX];
    char compression[NOTE_WORD_MAX];
    uint64_t key_size;
    uint64_t compress_percentage;
    bool is_hashed;
    bool is_settled; /* nothing was left to compact when it was closed */
    struct sizes sizes;
    uint32_t fill_count;
    struct fill fills[FILLS_MAX]; /* newest last */
};

/* False: there is none, it is of another store, or it is not understood. */
bool note_read(const char *db, struct note *ret_note);
/* False: it cannot be written (errno). */
bool note_write(const char *db, const struct note *note);
void note_remove(const char *db);

void note_add(struct note *note, const struct fill *fill);
/* Keys from 0 to the last one that any fill was about; 0 = no fills. */
uint64_t note_records(const struct note *note);

/* ---- Which keys are there ---- */

struct presence {
    uint64_t num;
    uint64_t count;
    uint64_t *bits; /* NULL = all of them, or not known */
    bool is_known;
};

/* Mark what the fills of `note` left of the keys 0..num-1. One bit for each key, unless all are
 * there. False: no memory. */
bool presence_init(struct presence *presence, const struct note *note, uint64_t num);
void presence_free(struct presence *presence);

static inline bool
presence_has(const struct presence *presence, uint64_t number)
{
    return presence->bits == NULL || number >= presence->num ||
           (presence->bits[number / 64] >> (number % 64) & 1) != 0;
}

#endif
