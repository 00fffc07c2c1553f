/* sizes.h - how large values are: one size, a range, or weighted pieces of both. The size of a
 * value is a function of its key's number, so overwriting does not change what a store holds, and a
 * later run knows what it will read.
 *
 *     value_size=1k                          fixed
 *     value_size=100-4k                      uniform, both ends included
 *     value_size=100/50:400-1k/40:16k/10     size or range / percent; the percents add up to 100
 */
#ifndef GYRE_BENCH_SIZES_H
#define GYRE_BENCH_SIZES_H

#include <stdbool.h>
#include <stdint.h>

#define SIZE_PIECES_MAX 16u
#define SIZES_TEXT_MAX 160u

struct sizes {
    uint32_t piece_count;
    struct size_piece {
        uint32_t low, high;
        uint32_t percent_end; /* of this piece and all before it */
    } pieces[SIZE_PIECES_MAX];
    char text[SIZES_TEXT_MAX]; /* as it was given */
};

/* False: not understood; *sizes is as before. */
bool sizes_parse(const char *text, struct sizes *sizes);

uint32_t sizes_max(const struct sizes *sizes);
double sizes_mean(const struct sizes *sizes);
uint32_t sizes_draw(const struct sizes *sizes, uint64_t number);

static inline uint32_t
sizes_of(const struct sizes *sizes, uint64_t number)
{
    return sizes->piece_count == 1 && sizes->pieces[0].low == sizes->pieces[0].high
               ? sizes->pieces[0].low
               : sizes_draw(sizes, number);
}

#endif
