/* explain.c - see explain.h. A line for each value, its parts separated by tabs:
 *
 *     KIND  NAME  VALUE  given|default  FROM
 *
 * KIND is `input` (memory_limit, disk_quota, p999_goal_us: what a host has to say), `loop` or
 * `store` (options), `derived` (no option of its own) or `binds` (VALUE says how far, FROM what
 * that means).
 */
#include "engine/db/explain.h"

#include "engine/db/background.h"
#include "io/base/assert.h"
#include "io/base/bits.h"

#include "io/base/ban.h"

static void
line(struct gy_text *text, const char *kind, const char *name, const char *value, bool is_given,
     const char *from)
{
    gy_text_add(text, "%s\t%s\t%s\t%s\t%s\n", kind, name, value, is_given ? "given" : "default",
                from);
}

static void
number(struct gy_text *text, const char *kind, const char *name, uint64_t value, bool is_given,
       const char *from)
{
    char digits[24];

    (void)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    line(text, kind, name, digits, is_given, from);
}

static void
print_loop(const gyre_loop *loop, struct gy_text *text)
{
    static const char *const io_kinds[] = {"auto", "uring", "blocking"};
    const struct gyre_loop_options *given = &loop->given;
    const struct gyre_loop_options *o = &loop->options;

    line(text, "loop", "io_kind", io_kinds[o->io_kind], given->io_kind != 0,
         "auto: io_uring, blocking calls where it is forbidden");
    number(text, "loop", "cache_size", o->cache_size, given->cache_size != 0,
           "memory_limit / 2, a quarter below 64 MiB; what others were promised it leaves");
    number(text, "loop", "coroutines_max", o->coroutines_max, given->coroutines_max != 0, "4096");
    number(text, "loop", "in_flight_max", loop->io.world->info.in_flight_max,
           given->in_flight_max != 0, "half of the tags of the device, where known; else 128");
    line(text, "loop", "no_direct", (o->flags & GYRE_LOOP_NO_DIRECT) != 0 ? "1" : "0",
         (o->flags & GYRE_LOOP_NO_DIRECT) != 0, "no");
    line(text, "loop", "no_registration", (o->flags & GYRE_LOOP_NO_REGISTRATION) != 0 ? "1" : "0",
         (o->flags & GYRE_LOOP_NO_REGISTRATION) != 0, "no");
    line(text, "loop", "sync_by_worker", (o->flags & GYRE_LOOP_SYNC_BY_WORKER) != 0 ? "1" : "0",
         (o->flags & GYRE_LOOP_SYNC_BY_WORKER) != 0, "no");
}

static void
print_derived(const gyre_db *db, struct gy_text *text)
{
    const gyre_loop *loop = db->loop;
    const struct gy_heap *heap = &loop->io.heap;
    struct gy_space_use use;

    gy_space_gather(db, &use);
    number(text, "derived", "value_size_max",
           gy_min_u64(GYRE_VALUE_SIZE_MAX, loop->memory_limit / 8), false,
           "memory_limit / 8, at most 16 MiB");
    number(text, "derived", "memory_for_memtables", heap->promised_by_tag[GY_MEM_MEMTABLE], false,
           "memtable_count_max x memtable_size of all stores, at most memory_limit / 2");
    number(text, "derived", "memory_for_stacks", heap->promised_by_tag[GY_MEM_STACK], false,
           "memory_limit / 8; more where it is free");
    number(text, "derived", "op_coroutines_max", loop->op_workers_max, false,
           "twice in_flight_max, as far as memory_for_stacks goes");
    number(text, "derived", "log_slots_max", db->options.wal_slot_count_max, false,
           "wal_total_max / wal_slot_size");
    number(text, "derived", "disk_reserve_now",
           use.quota != 0 ? use.job + use.deletes : gy_space_reserve(&use), false,
           "disk_reserve, or what the next compaction and deletes may need");
    number(text, "derived", "background_bytes_per_s", loop->io.goal.pace, false,
           "200 MB/s, lowered while p999_goal_us is missed; no limit while writers wait");
}

/* ---- What binds now ---- */

static void
print_slow(const gyre_db *db, struct gy_text *text)
{
    const struct gy_version *version = db->view->version;

    if (db->pacer.pressure == 0) {
        return;
    }
    number(text, "binds", "pace", db->pacer.pressure, false,
           "of 1024: writers go at the pace of compaction");
    number(text, "binds", "level0_tables", version->levels[0].count, false,
           "tables in level 0; writers are slowed from 3 to 9 times level0_tables");
    number(text, "binds", "compaction_debt", gy_compact_debt(version, &db->compact_options), false,
           "bytes that compaction has still to move");
    number(text, "binds", "frozen_memtables", db->view->frozen_count, false,
           "full and not flushed yet, of memtable_count_max - 1");
}

static void
print_binds(gyre_db *db, struct gy_text *text)
{
    const struct gy_heap *heap = &db->loop->io.heap;
    const size_t before = text->size;

    print_slow(db, text);
    if (db->has_wal && db->wal.room_wanted) {
        number(text, "binds", "wal_total_max", db->wal.log_count, false,
               "logs in use: the oldest memtable is flushed for its log");
    }
    if (db->space.is_full || db->space.job_waits) {
        number(text, "binds", db->options.disk_quota != 0 ? "disk_quota" : "disk",
               gy_space_used(db), false, "bytes used: the rest is kept for compaction and deletes");
    }
    if (db->loop->io.goal.pace < db->loop->io.goal.ceiling) {
        number(text, "binds", "p999_goal_us", db->loop->io.goal.pace, false,
               "bytes a second that the goal leaves to compaction");
    }
    if (!gy_heap_has_room(heap, 2 * GY_MIB, GY_MEM_CACHE)) {
        number(text, "binds", "memory_limit", heap->used, false,
               "bytes used: the cache grows no more");
    }
    if (db->pause_count > 0) {
        number(text, "binds", "pause", db->pause_count, false, "background work is paused");
    }
    if (text->size == before) {
        line(text, "binds", "nothing", "-", false, "there is room for more of everything");
    }
}

void
gy_explain_print(gyre_db *db, struct gy_text *text)
{
    const gyre_loop *loop = db->loop;
    struct gy_option_line option;

    number(text, "input", "memory_limit", loop->memory_limit, loop->given.memory_limit != 0,
           "256 MiB");
    number(text, "input", "disk_quota", db->options.disk_quota, db->options.disk_quota != 0,
           "none: the disk");
    number(text, "input", "p999_goal_us", loop->options.p999_goal_us,
           loop->options.p999_goal_us != 0, "none: compaction has 200 MB/s");
    print_loop(loop, text);
    for (size_t i = 0; gy_options_line(&db->options, i, &option); i++) {
        if (strcmp(option.name, "disk_quota") != 0) {
            line(text, "store", option.name, option.value, option.is_given, option.from);
        }
    }
    print_derived(db, text);
    print_binds(db, text);
}
