/* compact_pick.c - leveled compaction: which tables to merge next. Pure: no I/O, no state but
 * the version's.
 *
 * Sizes are in bytes, scores and ratios in 1/1024. No decision uses floating point.
 */
#include "engine/lsm/compact_pick.h"

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"

#include "io/base/ban.h"

#define ONE 1024u /* score 1: at its target */

/* A table that was passed over while this many files were made for each table of the store goes
 * first (D2). */
#define STALE_RENEWALS 4u
#define STALE_FILES_MIN 64u

/* ---- Sizes of levels ---- */

/* The last level that holds data; the last of all when none does. */
static uint32_t
bottom_of(const struct gy_version *version)
{
    for (uint32_t level = GY_LEVEL_COUNT - 1; level > 0; level--) {
        if (version->levels[level].count > 0) {
            return level;
        }
    }
    return GY_LEVEL_COUNT - 1;
}

uint32_t
gy_compact_targets(const struct gy_version *version, const struct gy_compact_options *options,
                   uint64_t ret_targets[GY_LEVEL_COUNT])
{
    const uint64_t ratio = gy_max_u64(options->level_ratio, 2);
    const uint64_t base_bytes_min = gy_max_u64(options->base_bytes_min, 1);
    const uint32_t bottom = bottom_of(version);
    uint64_t target = gy_max_u64(version->levels[bottom].bytes, base_bytes_min);
    uint32_t base = bottom;

    for (uint32_t level = bottom + 1; level < GY_LEVEL_COUNT; level++) {
        ret_targets[level] = UINT64_MAX;
    }
    ret_targets[0] = 0;
    ret_targets[bottom] = target;
    for (uint32_t level = bottom - 1; level > 0; level--) {
        const bool has_data = version->levels[level].count > 0;

        target /= ratio;
        if (target >= base_bytes_min || (has_data && target >= base_bytes_min / 2)) {
            ret_targets[level] = target;
        } else {
            ret_targets[level] = 0;
        }
        if (ret_targets[level] > 0 || has_data) {
            base = level; /* level 0 may not pass by what is older than it */
        }
    }
    return base;
}

uint32_t
gy_compact_base_level(const struct gy_version *version, const struct gy_compact_options *options)
{
    uint64_t targets[GY_LEVEL_COUNT];

    return gy_compact_targets(version, options, targets);
}

static uint64_t
level0_bytes_max(const struct gy_compact_options *options, uint64_t base_target)
{
    return gy_max_u64(gy_max_u64(options->base_bytes_min, base_target), 1);
}

static bool
level0_is_due(const struct gy_version *version, const struct gy_compact_options *options,
              uint64_t base_target)
{
    const struct gy_level *level0 = &version->levels[0];

    return level0->count > 0 && (level0->count >= options->level0_tables ||
                                 level0->bytes > level0_bytes_max(options, base_target));
}

/* D1. 0: not due. */
static uint64_t
score_of(const struct gy_version *version, const struct gy_compact_options *options,
         const uint64_t targets[GY_LEVEL_COUNT], uint32_t base, uint32_t level)
{
    const uint64_t bytes = version->levels[level].bytes;

    if (level == 0) {
        const uint64_t by_count =
            (uint64_t)version->levels[0].count * ONE / gy_max_u64(options->level0_tables, 1);

        return level0_is_due(version, options, targets[base])
                   ? gy_max_u64(by_count, bytes * ONE / level0_bytes_max(options, targets[base]))
                   : 0;
    }
    if (bytes <= targets[level]) {
        return 0;
    }
    return targets[level] > 0 ? bytes * ONE / targets[level]
                              : ONE + bytes * ONE / gy_max_u64(options->base_bytes_min, 1);
}

uint64_t
gy_compact_debt(const struct gy_version *version, const struct gy_compact_options *options)
{
    uint64_t targets[GY_LEVEL_COUNT];
    const uint32_t base = gy_compact_targets(version, options, targets);
    const uint32_t bottom = bottom_of(version);
    uint64_t coming = 0; /* from the level above */
    uint64_t debt = 0;

    if (level0_is_due(version, options, targets[base])) {
        coming = gy_max_u64(version->levels[0].bytes, 1);
        debt = coming + version->levels[base].bytes;
    }
    for (uint32_t level = 1; level < bottom; level++) {
        const uint64_t bytes = version->levels[level].bytes + (level >= base ? coming : 0);
        uint64_t excess;
        uint64_t overlap; /* bytes below for each of these, in 1/16 */

        if (bytes <= targets[level]) {
            coming = level >= base ? 0 : coming;
            continue;
        }
        excess = bytes - targets[level];
        overlap = gy_min_u64(version->levels[level + 1].bytes * 16 / bytes,
                             32 * (uint64_t)options->level_ratio);
        debt += excess + excess / 16 * overlap;
        coming = excess;
    }
    return debt;
}

/* ---- Tables of a level >= 1 by key ---- */

/* How many tables begin at or below `key`. */
static uint32_t
count_begun(const struct gy_level *level, struct gyre_slice key)
{
    uint32_t low = 0;
    uint32_t high = level->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (gy_key_compare(level->tables[middle]->meta.smallest, key) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Neighbours [first, end) of one level. */
struct span {
    uint32_t first;
    uint32_t end;
    uint64_t bytes;
};

/* What overlaps [smallest, largest]. `first` is where it would begin when nothing does. */
static struct span
span_of(const struct gy_version *version, uint32_t level, struct gyre_slice smallest,
        struct gyre_slice largest)
{
    struct span span = {.first = gy_version_lower_bound(version, level, smallest)};

    span.end = count_begun(&version->levels[level], largest);
    if (span.end < span.first) {
        span.end = span.first;
    }
    for (uint32_t i = span.first; i < span.end; i++) {
        span.bytes += version->levels[level].tables[i]->meta.size;
    }
    return span;
}

static bool
has_busy_table(const struct gy_level *level)
{
    for (uint32_t i = 0; i < level->count; i++) {
        if (level->tables[i]->being_compacted) {
            return true;
        }
    }
    return false;
}

/* D4. `below` = what of the output level overlaps the table. */
static bool
may_move(const struct gy_version *version, const struct gy_compact_options *options,
         const struct gy_table *table, uint32_t level_output, const struct span *below)
{
    if (below->first != below->end) {
        return false;
    }
    if (level_output + 1 < GY_LEVEL_COUNT && bottom_of(version) > level_output) {
        const struct span after =
            span_of(version, level_output + 1, table->meta.smallest, table->meta.largest);

        return after.bytes <= GY_COMPACT_SPAN_MAX * options->table_size;
    }
    return table->meta.delete_count == 0;
}

static void
set_inputs(const struct gy_version *version, uint32_t level, uint32_t first, uint32_t count,
           uint32_t level_output, const struct span *below, struct gy_compact_job *job)
{
    *job = (struct gy_compact_job){.level = level, .level_output = level_output};
    job->inputs[0] = version->levels[level].tables + first;
    job->input_count[0] = count;
    for (uint32_t i = 0; i < count; i++) {
        job->input_bytes += job->inputs[0][i]->meta.size;
    }
    if (below != NULL && below->end > below->first) {
        job->inputs[1] = version->levels[level_output].tables + below->first;
        job->input_count[1] = below->end - below->first;
        job->input_bytes += below->bytes;
    }
}

/* ---- Level 0 ---- */

struct hull {
    struct gyre_slice smallest;
    struct gyre_slice largest;
};

static void
hull_add(struct hull *hull, const struct gy_table *table)
{
    if (hull->smallest.data == NULL || gy_key_compare(table->meta.smallest, hull->smallest) < 0) {
        hull->smallest = table->meta.smallest;
    }
    if (hull->largest.data == NULL || gy_key_compare(table->meta.largest, hull->largest) > 0) {
        hull->largest = table->meta.largest;
    }
}

/* The oldest tables of level 0, at least `count_min`, into the base level (D2). Beyond that a
 * table is taken while level 0's part stays below job_bytes_max, or below what it is merged
 * with: what is below is rewritten anyway, so the more of level 0 goes along the cheaper each
 * byte of it. */
static void
build_level0(const struct gy_version *version, const struct gy_compact_options *options,
             uint32_t base, uint32_t count_min, struct gy_compact_job *job)
{
    const struct gy_level *level0 = &version->levels[0];
    const uint32_t count_max = (uint32_t)gy_min_u64(level0->count, GY_COMPACT_LEVEL0_MAX);
    struct span below = {0};
    struct hull hull = {{NULL, 0}, {NULL, 0}};
    uint64_t bytes = 0;
    uint32_t count = 0;

    while (count < count_max) {
        const struct gy_table *table = level0->tables[level0->count - 1 - count];
        struct hull wider = hull;
        struct span wider_below;

        hull_add(&wider, table);
        wider_below = span_of(version, base, wider.smallest, wider.largest);
        if (count >= count_min && count > 0 &&
            bytes + table->meta.size > gy_max_u64(options->job_bytes_max, wider_below.bytes)) {
            break;
        }
        hull = wider;
        below = wider_below;
        bytes += table->meta.size;
        count++;
    }
    set_inputs(version, 0, level0->count - count, count, base, &below, job);
}

static bool
try_move_level0(const struct gy_version *version, const struct gy_compact_options *options,
                uint32_t base, struct gy_compact_job *job)
{
    const struct gy_level *level0 = &version->levels[0];
    const uint32_t at = GY_MUTANT(level0_newest_moved) ? 0 : level0->count - 1;
    const struct gy_table *oldest = level0->tables[at];
    const struct span below = span_of(version, base, oldest->meta.smallest, oldest->meta.largest);

    if (!may_move(version, options, oldest, base, &below)) {
        return false;
    }
    set_inputs(version, 0, at, 1, base, &below, job);
    job->is_trivial_move = true;
    return true;
}

/* ---- Levels from 1 to above the bottom ---- */

/* The table at `first` and, while the job stays small, its neighbours behind it: up to `end`,
 * and no more than `bytes_max` bytes of this level. Tables of the output level between them go
 * along, since an output may span the gap (D3). */
static void
build_level(const struct gy_version *version, const struct gy_compact_options *options,
            uint32_t level, uint32_t first, uint32_t end, uint64_t bytes_max,
            struct gy_compact_job *job)
{
    struct gy_table *const *tables = version->levels[level].tables;
    const struct gyre_slice smallest = tables[first]->meta.smallest;
    struct span below = span_of(version, level + 1, smallest, tables[first]->meta.largest);
    uint64_t bytes = tables[first]->meta.size;
    uint32_t count = 1;

    if (may_move(version, options, tables[first], level + 1, &below)) {
        set_inputs(version, level, first, 1, level + 1, &below, job);
        job->is_trivial_move = true;
        return;
    }
    while (first + count < end && count < GY_COMPACT_INPUTS_MAX && bytes < bytes_max) {
        const struct gy_table *table = tables[first + count];
        const struct span wider = span_of(version, level + 1, smallest, table->meta.largest);

        if (bytes + table->meta.size + wider.bytes > options->job_bytes_max ||
            wider.end - wider.first > GY_COMPACT_INPUTS_MAX) {
            break;
        }
        bytes += table->meta.size;
        below = wider;
        count++;
    }
    set_inputs(version, level, first, count, level + 1, &below, job);
}

/* Where the round in `level` goes on: the first table that ends behind the last pick. */
static uint32_t
round_start(const struct gy_version *version, const struct gy_compact_cursor *cursor,
            uint32_t level)
{
    const struct gy_level *l = &version->levels[level];
    struct gyre_slice key;
    uint32_t at;

    if (cursor == NULL || cursor->key[level] == NULL) {
        return 0;
    }
    key = gyre_slice(cursor->key[level], cursor->key_size[level]);
    at = gy_version_lower_bound(version, level, key);
    if (at < l->count && gy_key_compare(l->tables[at]->meta.largest, key) == 0) {
        at++;
    }
    return at < l->count ? at : 0;
}

/* File numbers tell how old tables are. `newest` = the highest number in sight. */
static bool
is_stale(const struct gy_version *version, const struct gy_table *table, uint64_t newest)
{
    return newest - table->meta.number > STALE_RENEWALS * version->table_count + STALE_FILES_MIN;
}

/* Bytes below for each own one, in 1/1024. A table of tombstones counts as half as dear: what it
 * meets below goes, and it goes itself (D2). */
static uint64_t
price_of(const struct gy_version *version, uint32_t level, const struct gy_table_meta *meta)
{
    const struct span below = span_of(version, level + 1, meta->smallest, meta->largest);
    const uint64_t price = below.bytes * ONE / gy_max_u64(meta->size, 1);
    const uint64_t entries = gy_max_u64(meta->entry_count, 1);

    return price - price / 2 * (meta->delete_count * ONE / entries) / ONE;
}

/* The table of `level` to take next (D2). */
static uint32_t
choose_table(const struct gy_version *version, const struct gy_compact_cursor *cursor,
             uint32_t level)
{
    const struct gy_level *l = &version->levels[level];
    const uint32_t start = round_start(version, cursor, level);
    const uint32_t window = (uint32_t)gy_min_u64(l->count, GY_COMPACT_WINDOW);
    uint64_t newest = 0;
    uint64_t least = UINT64_MAX;
    uint32_t best = start;

    for (uint32_t i = 0; i < version->levels[0].count; i++) {
        newest = gy_max_u64(newest, version->levels[0].tables[i]->meta.number);
    }
    for (uint32_t i = 0; i < window; i++) {
        newest = gy_max_u64(newest, l->tables[(start + i) % l->count]->meta.number);
    }
    for (uint32_t i = 0; i < window; i++) {
        const uint32_t at = (start + i) % l->count;
        const struct gy_table *table = l->tables[at];
        const uint64_t price = price_of(version, level, &table->meta);

        if (is_stale(version, table, newest)) {
            return at;
        }
        if (price < least) {
            least = price;
            best = at;
        }
    }
    return best;
}

/* ---- The picks ---- */

static bool
pick_in_level(const struct gy_version *version, const struct gy_compact_options *options,
              const struct gy_compact_cursor *cursor, const uint64_t targets[GY_LEVEL_COUNT],
              uint32_t base, uint32_t level, struct gy_compact_job *ret_job)
{
    const uint32_t level_output = level == 0 ? base : level + 1;

    if (has_busy_table(&version->levels[level]) || has_busy_table(&version->levels[level_output])) {
        return false; /* D5 */
    }
    if (level > 0) {
        build_level(version, options, level, choose_table(version, cursor, level),
                    version->levels[level].count, version->levels[level].bytes - targets[level],
                    ret_job);
    } else if (!try_move_level0(version, options, base, ret_job)) {
        build_level0(version, options, base, 1, ret_job);
    }
    return true;
}

bool
gy_compact_pick(const struct gy_version *version, const struct gy_compact_options *options,
                const struct gy_compact_cursor *cursor, struct gy_compact_job *ret_job)
{
    uint64_t targets[GY_LEVEL_COUNT];
    uint64_t scores[GY_LEVEL_COUNT] = {0};
    const uint32_t base = gy_compact_targets(version, options, targets);
    const uint32_t bottom = bottom_of(version);

    for (uint32_t level = 0; level < bottom; level++) {
        scores[level] = score_of(version, options, targets, base, level);
    }
    for (;;) {
        uint32_t best = 0;

        for (uint32_t level = 1; level < bottom; level++) {
            if (scores[level] > scores[best]) {
                best = level;
            }
        }
        if (scores[best] == 0) {
            return false;
        }
        if (pick_in_level(version, options, cursor, targets, base, best, ret_job)) {
            return true;
        }
        scores[best] = 0;
    }
}

/* How many of the oldest tables of level 0 reach up to the newest that overlaps [from, to]. */
static uint32_t
level0_reach(const struct gy_version *version, struct gyre_slice from, struct gyre_slice to)
{
    const struct gy_level *level0 = &version->levels[0];

    for (uint32_t i = 0; i < level0->count; i++) {
        const struct gy_table_meta *meta = &level0->tables[i]->meta;

        if ((from.data == NULL || gy_key_compare(meta->largest, from) >= 0) &&
            (to.data == NULL || gy_key_compare(meta->smallest, to) <= 0)) {
            return level0->count - i;
        }
    }
    return 0;
}

static void
build_in_place(const struct gy_version *version, const struct gy_compact_options *options,
               uint32_t level, uint32_t first, uint32_t end, struct gy_compact_job *job)
{
    struct gy_table *const *tables = version->levels[level].tables;
    uint64_t bytes = tables[first]->meta.size;
    uint32_t count = 1;

    while (first + count < end && count < GY_COMPACT_INPUTS_MAX &&
           bytes + tables[first + count]->meta.size <= options->job_bytes_max) {
        bytes += tables[first + count]->meta.size;
        count++;
    }
    set_inputs(version, level, first, count, level, NULL, job);
}

bool
gy_compact_pick_range(const struct gy_version *version, const struct gy_compact_options *options,
                      uint32_t level, struct gyre_slice from, struct gyre_slice to,
                      bool rewrite_last, struct gy_compact_job *ret_job)
{
    const uint32_t base = gy_compact_base_level(version, options);
    const uint32_t bottom = bottom_of(version);
    const bool is_in_place = level == bottom;
    const uint32_t level_output = level == 0 ? base : is_in_place ? level : level + 1;
    uint32_t first;
    uint32_t end;

    if (level > bottom || (is_in_place && !rewrite_last) ||
        has_busy_table(&version->levels[level]) || has_busy_table(&version->levels[level_output])) {
        return false;
    }
    if (level == 0) {
        const uint32_t reach = level0_reach(version, from, to);

        if (reach > 0 && !try_move_level0(version, options, base, ret_job)) {
            build_level0(version, options, base, reach, ret_job);
        }
        return reach > 0;
    }
    first = from.data == NULL ? 0 : gy_version_lower_bound(version, level, from);
    end = to.data == NULL ? version->levels[level].count : count_begun(&version->levels[level], to);
    if (first >= end) {
        return false;
    }
    if (is_in_place) {
        build_in_place(version, options, level, first, end, ret_job);
    } else {
        build_level(version, options, level, first, end, UINT64_MAX, ret_job);
    }
    return true;
}

/* ---- The place in the round ---- */

void
gy_compact_cursor_advance(struct gy_heap *heap, struct gy_compact_cursor *cursor,
                          const struct gy_compact_job *job)
{
    struct gyre_slice key;
    uint8_t *copy;

    if (job->level == 0 || job->input_count[0] == 0) {
        return; /* level 0 always gives its oldest tables */
    }
    key = job->inputs[0][job->input_count[0] - 1]->meta.largest;
    copy = gy_heap_alloc(heap, key.size + 1, GY_MEM_VERSION);
    if (copy == NULL) {
        return;
    }
    memcpy(copy, key.data, key.size);
    gy_heap_free(heap, cursor->key[job->level]);
    cursor->key[job->level] = copy;
    cursor->key_size[job->level] = (uint32_t)key.size;
}

void
gy_compact_cursor_fini(struct gy_heap *heap, struct gy_compact_cursor *cursor)
{
    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        gy_heap_free(heap, cursor->key[level]);
    }
    *cursor = (struct gy_compact_cursor){{NULL}, {0}};
}
