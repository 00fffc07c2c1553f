/* compact_wanted.c - which compaction takes tombstones away that stand in readers' way. Pure, as
 * compact_pick.c, which puts the job together. */
#include "engine/lsm/compact_pick.h"

#include "io/base/assert.h"

#include "io/base/ban.h"

static uint32_t
bottom_of(const struct gy_version *version)
{
    uint32_t level = GY_LEVEL_COUNT - 1;

    while (level > 0 && version->levels[level].count == 0) {
        level--;
    }
    return level;
}

/* Does it hold what the readers passed? */
static bool
is_wanted(const struct gy_compact_wanted *wanted, const struct gy_table_meta *meta, bool is_bottom)
{
    return meta->delete_count > 0 && meta->sequence_min <= wanted->sequence &&
           (!is_bottom || meta->number < wanted->number_limit) &&
           gy_key_compare(meta->largest, wanted->from) >= 0 &&
           gy_key_compare(meta->smallest, wanted->to) <= 0;
}

/* Neighbours of one level that are all wanted, from the first one: their range. */
static bool
find_in_level(const struct gy_version *version, const struct gy_compact_wanted *wanted,
              uint32_t level, bool is_bottom, struct gyre_slice *ret_from,
              struct gyre_slice *ret_to)
{
    const struct gy_level *l = &version->levels[level];
    uint32_t at = level == 0 ? 0 : gy_version_lower_bound(version, level, wanted->from);
    uint32_t end;

    while (at < l->count && !is_wanted(wanted, &l->tables[at]->meta, is_bottom)) {
        at++;
    }
    if (at == l->count) {
        return false;
    }
    for (end = at + 1; level > 0 && end < l->count; end++) {
        if (!is_wanted(wanted, &l->tables[end]->meta, is_bottom)) {
            break;
        }
    }
    gy_assert(end > at);
    *ret_from = l->tables[at]->meta.smallest;
    *ret_to = l->tables[end - 1]->meta.largest;
    return true;
}

bool
gy_compact_pick_wanted(const struct gy_version *version, const struct gy_compact_options *options,
                       const struct gy_compact_wanted *wanted, struct gy_compact_job *ret_job)
{
    const uint32_t bottom = bottom_of(version);

    for (uint32_t level = 0; level <= bottom; level++) {
        const bool is_bottom = level > 0 && level == bottom;
        struct gyre_slice from;
        struct gyre_slice to;

        if (find_in_level(version, wanted, level, is_bottom, &from, &to) &&
            gy_compact_pick_range(version, options, level, from, to, is_bottom, ret_job)) {
            return true;
        }
    }
    return false;
}
