/* sizes.c - sizes of values from text, and the size of one. */
#include "bench/gyre_bench/sizes.h"

#include <stdlib.h>
#include <string.h>

#include "bench/gyre_bench/numbers.h"
#include "bench/gyre_bench/random.h"
#include "gyre/base.h"

/* "100" or "100-4k" */
static bool
parse_range(char *text, struct size_piece *piece)
{
    char *dash = strchr(text, '-');
    uint64_t low;
    uint64_t high;

    if (dash != NULL) {
        *dash = '\0';
    }
    if (!number_parse_count(text, &low)) {
        return false;
    }
    high = low;
    if (dash != NULL && !number_parse_count(dash + 1, &high)) {
        return false;
    }
    if (low > high || high > GYRE_VALUE_SIZE_MAX) {
        return false;
    }
    piece->low = (uint32_t)low;
    piece->high = (uint32_t)high;
    return true;
}

static bool
parse_pieces(char *text, struct sizes *sizes)
{
    uint32_t percent_end = 0;
    char *state = NULL;

    for (char *word = strtok_r(text, ":", &state); word != NULL;
         word = strtok_r(NULL, ":", &state)) {
        struct size_piece *piece = &sizes->pieces[sizes->piece_count];
        char *slash = strchr(word, '/');
        uint64_t percent;

        if (sizes->piece_count == SIZE_PIECES_MAX || slash == NULL) {
            return false;
        }
        *slash = '\0';
        if (!number_parse_count(slash + 1, &percent) || percent > 100 - percent_end ||
            !parse_range(word, piece)) {
            return false;
        }
        percent_end += (uint32_t)percent;
        piece->percent_end = percent_end;
        sizes->piece_count++;
    }
    return percent_end == 100;
}

bool
sizes_parse(const char *text, struct sizes *sizes)
{
    struct sizes parsed = {.piece_count = 0};
    char copy[SIZES_TEXT_MAX];
    bool is_good;

    if (strlen(text) >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, strlen(text) + 1);
    memcpy(parsed.text, text, strlen(text) + 1);
    if (strchr(copy, '/') != NULL) {
        is_good = parse_pieces(copy, &parsed);
    } else {
        parsed.piece_count = 1;
        parsed.pieces[0].percent_end = 100;
        is_good = parse_range(copy, &parsed.pieces[0]);
    }
    if (is_good) {
        *sizes = parsed;
    }
    return is_good;
}

uint32_t
sizes_max(const struct sizes *sizes)
{
    uint32_t max = 0;

    for (uint32_t i = 0; i < sizes->piece_count; i++) {
        max = sizes->pieces[i].high > max ? sizes->pieces[i].high : max;
    }
    return max;
}

double
sizes_mean(const struct sizes *sizes)
{
    double mean = 0;
    uint32_t before = 0;

    for (uint32_t i = 0; i < sizes->piece_count; i++) {
        const struct size_piece *piece = &sizes->pieces[i];

        mean += (piece->percent_end - before) / 100.0 * (piece->low + piece->high) / 2.0;
        before = piece->percent_end;
    }
    return mean;
}

uint32_t
sizes_draw(const struct sizes *sizes, uint64_t number)
{
    const uint64_t random = mix64(number ^ 0x73697a6573ull);
    const uint64_t percent = scale(random, 100);
    const struct size_piece *piece = sizes->pieces;

    while (percent >= piece->percent_end) {
        piece++;
    }
    return piece->low + (uint32_t)scale(mix64(random), piece->high - piece->low + 1u);
}
