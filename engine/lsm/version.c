/* version.c - the immutable map of levels: apply a change, find tables.
 *
 * Owns:    the arrays of its levels, refcounted, since versions share the levels that did not
 *          change; an array holds a reference on each of its tables.
 * Borrows: nothing. Knows nothing of files and I/O.
 */
#include "engine/lsm/version.h"

#include "io/base/assert.h"
#include "io/base/checked.h"

#include "io/base/ban.h"

/* What stands before the array that gy_level.tables points to. An empty level has no array. */
struct tables {
    uint32_t refs;
    uint32_t count;
    struct gy_table *tables[];
};

static struct tables *
tables_of(struct gy_table **array)
{
    return gy_container_of(array, struct tables, tables);
}

static void
level_ref(const struct gy_level *level)
{
    if (level->tables != NULL) {
        tables_of(level->tables)->refs++;
    }
}

static void
level_unref(struct gy_heap *heap, struct gy_level *level)
{
    struct tables *tables;

    if (level->tables == NULL) {
        return;
    }
    tables = tables_of(level->tables);
    gy_assert(tables->refs > 0);
    if (--tables->refs == 0) {
        for (uint32_t i = 0; i < tables->count; i++) {
            gy_table_unref(tables->tables[i]);
        }
        gy_heap_free(heap, tables);
    }
    *level = (struct gy_level){0};
}

struct gy_version *
gy_version_make_empty(struct gy_heap *heap)
{
    struct gy_version *version = gy_heap_zalloc(heap, sizeof(*version), GY_MEM_VERSION);

    if (version != NULL) {
        version->refs = 1;
        version->heap = heap;
    }
    return version;
}

void
gy_version_ref(struct gy_version *version)
{
    gy_assert(version->refs > 0);
    version->refs++;
}

void
gy_version_unref(struct gy_version *version)
{
    if (version == NULL) {
        return;
    }
    gy_assert(version->refs > 0);
    if (--version->refs == 0) {
        for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
            level_unref(version->heap, &version->levels[level]);
        }
        gy_heap_free(version->heap, version);
    }
}

/* ---- Order (V2) ---- */

#define RUN_PAIRS_MAX 256u

/* The order of a level's array, the number settling ties, so that it is total and a table has
 * one place. */
static int
order(uint32_t level, const struct gy_table *a, const struct gy_table *b)
{
    if (level == 0) {
        if (a->meta.sequence_max != b->meta.sequence_max) {
            return a->meta.sequence_max > b->meta.sequence_max ? -1 : 1;
        }
        return a->meta.number > b->meta.number ? -1 : a->meta.number < b->meta.number ? 1 : 0;
    }
    const int by_key = gy_key_compare(a->meta.smallest, b->meta.smallest);

    if (by_key != 0) {
        return by_key;
    }
    return a->meta.number < b->meta.number ? -1 : a->meta.number > b->meta.number ? 1 : 0;
}

static void
sift(uint32_t level, struct gy_table **tables, uint32_t at, uint32_t count)
{
    struct gy_table *moving = tables[at];

    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child >= count) {
            break;
        }
        if (child + 1 < count && order(level, tables[child], tables[child + 1]) < 0) {
            child++;
        }
        if (order(level, moving, tables[child]) >= 0) {
            break;
        }
        tables[at] = tables[child];
        at = child;
    }
    tables[at] = moving;
}

/* Heapsort: qsort may allocate, and at open a change holds every table of the store. */
static void
sort(uint32_t level, struct gy_table **tables, uint32_t count)
{
    bool is_sorted = true;

    for (uint32_t i = 1; is_sorted && i < count; i++) {
        is_sorted = order(level, tables[i - 1], tables[i]) <= 0;
    }
    if (is_sorted) {
        return;
    }
    for (uint32_t i = count / 2; i > 0; i--) {
        sift(level, tables, i - 1, count);
    }
    for (uint32_t end = count - 1; end > 0; end--) {
        struct gy_table *largest = tables[0];

        tables[0] = tables[end];
        tables[end] = largest;
        sift(level, tables, 0, end);
    }
}

static bool
ranges_overlap(const struct gy_table *a, const struct gy_table *b)
{
    return gy_key_compare(a->meta.smallest, b->meta.largest) <= 0 &&
           gy_key_compare(b->meta.smallest, a->meta.largest) <= 0;
}

/* May `a` stand somewhere before `b` in level 0? */
static bool
pair_is_sound_level0(const struct gy_table *a, const struct gy_table *b)
{
    return a->meta.number != b->meta.number &&
           (a->meta.sequence_min > b->meta.sequence_max || !ranges_overlap(a, b));
}

/* Is the table at `at` in place, seen from the one before it? */
static bool
place_is_sound(uint32_t level, struct gy_table *const *tables, uint32_t at)
{
    const struct gy_table *table = tables[at];

    if (table->meta.level != level ||
        gy_key_compare(table->meta.smallest, table->meta.largest) > 0) {
        return false;
    }
    if (level > 0) {
        return at == 0 || gy_key_compare(tables[at - 1]->meta.largest, table->meta.smallest) <
                              0 + GY_MUTANT(output_cut_inside_key);
    }
    return at == 0 || order(0, tables[at - 1], table) < 0;
}

/* Tables of level 0 whose sequences meet, each with some other: keys must not. What one flush of a
 * large memtable wrote may be many, so these are sorted; no others are. */
static gyre_status
check_run(struct gy_heap *heap, struct gy_table *const *tables, uint32_t count)
{
    struct gy_table **sorted;
    gyre_status status = GYRE_OK;

    if (count <= RUN_PAIRS_MAX) {
        for (uint32_t i = 1; i < count; i++) {
            for (uint32_t k = 0; k < i; k++) {
                if (!pair_is_sound_level0(tables[k], tables[i])) {
                    return GYRE_CORRUPT;
                }
            }
        }
        return GYRE_OK;
    }
    sorted = gy_heap_alloc(heap, count * sizeof(*sorted), GY_MEM_VERSION);
    if (sorted == NULL) {
        return GYRE_NO_MEMORY;
    }
    memcpy(sorted, tables, count * sizeof(*sorted));
    sort(1, sorted, count);
    for (uint32_t i = 1; status == GYRE_OK && i < count; i++) {
        if (gy_key_compare(sorted[i - 1]->meta.largest, sorted[i]->meta.smallest) >= 0) {
            status = GYRE_CORRUPT;
        }
    }
    gy_heap_free(heap, sorted);
    return status;
}

/* V2 of level 0, which is in its order. Nearly always no sequences meet, and one look at each table
 * does; no manifest can make it more than RUN_PAIRS_MAX looks. */
static gyre_status
check_level0(struct gy_heap *heap, struct gy_table *const *tables, uint32_t count)
{
    gyre_status status = GYRE_OK;
    uint32_t end;

    for (uint32_t start = 0; status == GYRE_OK && start < count; start = end) {
        uint64_t lowest = tables[start]->meta.sequence_min;

        for (end = start + 1; end < count && tables[end]->meta.sequence_max >= lowest; end++) {
            lowest = gy_min_u64(lowest, tables[end]->meta.sequence_min);
        }
        status = check_run(heap, tables + start, end - start);
    }
    return status;
}

bool
gy_version_is_sound(const struct gy_version *version)
{
    uint64_t table_count = 0;
    uint64_t bytes = 0;

    for (uint32_t l = 0; l < GY_LEVEL_COUNT; l++) {
        const struct gy_level *level = &version->levels[l];
        uint64_t level_bytes = 0;

        for (uint32_t i = 0; i < level->count; i++) {
            if (!place_is_sound(l, level->tables, i)) {
                return false;
            }
            level_bytes += level->tables[i]->meta.size;
        }
        if (level_bytes != level->bytes ||
            (l == 0 && check_level0(version->heap, level->tables, level->count) == GYRE_CORRUPT)) {
            return false;
        }
        table_count += level->count;
        bytes += level_bytes;
    }
    return table_count == version->table_count && bytes == version->bytes;
}

/* ---- Apply ---- */

/* A change by levels: the tables that come and those that go, in the order of the level. One
 * allocation. */
struct sorted_change {
    struct gy_table **added[GY_LEVEL_COUNT];
    struct gy_table **removed[GY_LEVEL_COUNT];
    uint32_t added_count[GY_LEVEL_COUNT];
    uint32_t removed_count[GY_LEVEL_COUNT];
    struct gy_table **block;
};

/* Deal tables out by level, from `at` on; returns the place after them. */
static struct gy_table **
deal(struct gy_table *const *tables, uint32_t count, struct gy_table **at,
     struct gy_table **by_level[GY_LEVEL_COUNT], uint32_t counts[GY_LEVEL_COUNT])
{
    for (uint32_t i = 0; i < count; i++) {
        counts[tables[i]->meta.level]++;
    }
    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        by_level[level] = at;
        at += counts[level];
        counts[level] = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t level = tables[i]->meta.level;

        by_level[level][counts[level]++] = tables[i];
    }
    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        sort(level, by_level[level], counts[level]);
    }
    return at;
}

static gyre_status
sort_change(struct gy_heap *heap, const struct gy_version_change *change,
            struct sorted_change *ret_sorted)
{
    const size_t count = (size_t)change->added_count + change->removed_count;
    struct sorted_change sorted = {.block = NULL};
    struct gy_table **at;

    for (uint32_t i = 0; i < change->added_count; i++) {
        if (change->added[i]->meta.level >= GY_LEVEL_COUNT) {
            return GYRE_CORRUPT;
        }
    }
    for (uint32_t i = 0; i < change->removed_count; i++) {
        if (change->removed[i]->meta.level >= GY_LEVEL_COUNT) {
            return GYRE_INVALID;
        }
    }
    sorted.block = gy_heap_alloc(heap, (count + 1) * sizeof(*sorted.block), GY_MEM_VERSION);
    if (sorted.block == NULL) {
        return GYRE_NO_MEMORY;
    }
    at = deal(change->added, change->added_count, sorted.block, sorted.added, sorted.added_count);
    at = deal(change->removed, change->removed_count, at, sorted.removed, sorted.removed_count);
    gy_assert(at == sorted.block + count);
    *ret_sorted = sorted;
    return GYRE_OK;
}

static void
append(struct tables *tables, struct gy_table *table)
{
    tables->tables[tables->count++] = table;
    gy_table_ref(table);
}

static gyre_status
append_new(uint32_t level, struct tables *tables, struct gy_table *table)
{
    append(tables, table);
    return place_is_sound(level, tables->tables, tables->count - 1) ? GYRE_OK : GYRE_CORRUPT;
}

/* A table of `base` is sound beside its like; what may be wrong is how it stands to a new one right
 * before it. */
static gyre_status
append_old(uint32_t level, struct tables *tables, struct gy_table *table,
           struct gy_table *const *added, uint32_t added_count)
{
    append(tables, table);
    const bool is_behind_new =
        added_count > 0 && tables->tables[tables->count - 2] == added[added_count - 1];

    return !is_behind_new || place_is_sound(level, tables->tables, tables->count - 1)
               ? GYRE_OK
               : GYRE_CORRUPT;
}

/* Merge what stays with what comes. */
static gyre_status
merge_level(uint32_t level, const struct gy_level *base, const struct sorted_change *change,
            struct tables *tables)
{
    struct gy_table *const *added = change->added[level];
    struct gy_table *const *removed = change->removed[level];
    const uint32_t added_count = change->added_count[level];
    const uint32_t removed_count = change->removed_count[level];
    uint32_t at_added = 0;
    uint32_t at_removed = 0;
    gyre_status status = GYRE_OK;

    for (uint32_t i = 0; status == GYRE_OK && i < base->count; i++) {
        struct gy_table *table = base->tables[i];

        if (at_removed < removed_count && removed[at_removed] == table) {
            at_removed++;
            continue;
        }
        while (status == GYRE_OK && at_added < added_count &&
               order(level, added[at_added], table) <= 0) {
            status = append_new(level, tables, added[at_added++]);
        }
        if (status == GYRE_OK) {
            status = append_old(level, tables, table, added, at_added);
        }
    }
    while (status == GYRE_OK && at_added < added_count) {
        status = append_new(level, tables, added[at_added++]);
    }
    if (status == GYRE_OK && at_removed < removed_count) {
        status = GYRE_INVALID; /* the order is total: a table that is there was met */
    }
    return status;
}

static gyre_status
make_level(struct gy_heap *heap, uint32_t level, const struct gy_level *base,
           const struct sorted_change *change, struct gy_level *ret_level)
{
    const size_t count_max = (size_t)base->count + change->added_count[level];
    struct gy_level made = {0};
    struct tables *tables = gy_heap_alloc(
        heap, sizeof(*tables) + count_max * sizeof(tables->tables[0]), GY_MEM_VERSION);
    gyre_status status;

    if (tables == NULL) {
        return GYRE_NO_MEMORY;
    }
    tables->refs = 1;
    tables->count = 0;
    made.tables = tables->tables;
    status = merge_level(level, base, change, tables);
    if (status == GYRE_OK && level == 0) {
        status = check_level0(heap, tables->tables, tables->count);
    }
    if (status != GYRE_OK || tables->count == 0) {
        level_unref(heap, &made);
    } else {
        made.count = tables->count;
        for (uint32_t i = 0; i < made.count; i++) {
            made.bytes += made.tables[i]->meta.size;
        }
    }
    if (status == GYRE_OK) {
        *ret_level = made;
    }
    return status;
}

gyre_status
gy_version_apply(const struct gy_version *base, const struct gy_version_change *change,
                 struct gy_version **ret_version)
{
    struct gy_version *version = NULL;
    struct sorted_change sorted;
    gyre_status status = sort_change(base->heap, change, &sorted);

    if (status != GYRE_OK) {
        return status;
    }
    version = gy_version_make_empty(base->heap);
    if (version == NULL) {
        status = GYRE_NO_MEMORY;
    }
    for (uint32_t level = 0; status == GYRE_OK && level < GY_LEVEL_COUNT; level++) {
        if (sorted.added_count[level] + sorted.removed_count[level] == 0) {
            version->levels[level] = base->levels[level];
            level_ref(&version->levels[level]);
        } else {
            status = make_level(base->heap, level, &base->levels[level], &sorted,
                                &version->levels[level]);
        }
        version->table_count += version->levels[level].count;
        version->bytes += version->levels[level].bytes;
    }
    gy_heap_free(base->heap, sorted.block);
    if (status != GYRE_OK) {
        gy_version_unref(version);
        return status;
    }
    gy_assert_slow(gy_version_is_sound(version));
    *ret_version = version;
    return GYRE_OK;
}

/* ---- Look-up ---- */

uint32_t
gy_version_lower_bound(const struct gy_version *version, uint32_t level, struct gyre_slice key)
{
    const struct gy_level *l = &version->levels[level];
    uint32_t low = 0;
    uint32_t high = l->count;

    gy_assert(level > 0 && level < GY_LEVEL_COUNT);
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (gy_key_compare(l->tables[middle]->meta.largest, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct gy_table *
gy_version_locate(const struct gy_version *version, uint32_t level, struct gyre_slice key)
{
    const struct gy_level *l = &version->levels[level];
    const uint32_t at = gy_version_lower_bound(version, level, key);

    if (at == l->count || gy_key_compare(l->tables[at]->meta.smallest, key) >
                              0 - GY_MUTANT(table_without_smallest_key)) {
        return NULL;
    }
    return l->tables[at];
}

static bool
table_overlaps(const struct gy_table *table, struct gyre_slice from, struct gyre_slice to)
{
    return (from.data == NULL || gy_key_compare(table->meta.largest, from) >= 0) &&
           (to.data == NULL || gy_key_compare(table->meta.smallest, to) <= 0);
}

bool
gy_version_overlaps(const struct gy_version *version, uint32_t level, struct gyre_slice from,
                    struct gyre_slice to)
{
    const struct gy_level *l = &version->levels[level];

    if (level > 0) {
        const uint32_t at = from.data == NULL ? 0 : gy_version_lower_bound(version, level, from);

        return at < l->count && table_overlaps(l->tables[at], from, to);
    }
    for (uint32_t i = 0; i < l->count; i++) {
        if (table_overlaps(l->tables[i], from, to)) {
            return true;
        }
    }
    return false;
}
