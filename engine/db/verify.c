/* verify.c - every block of every table of one version, read past the cache and checked; and what
 * the manifest says of each table against what is in it.
 */
#include "engine/db/db.h"
#include "engine/disk/names.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define ENTRIES_BETWEEN_REPORTS 8192u

struct verify_call {
    gyre_db *db;
    gyre_damage_fn damage;
    gyre_progress_fn progress;
    void *arg;
    struct gyre_verify_result result;
    uint64_t total;
    uint64_t before;              /* bytes of the tables that are done */
    const struct gy_table *table; /* the one that is being checked */
    struct gy_table_check check;
    /* an entry lies outside of what the manifest says of its table */
    bool out_of_range;
    bool saw_smallest, saw_largest;
    gyre_status status;
};

static void
note_damage(void *arg, const struct gyre_error *error)
{
    struct verify_call *call = arg;

    call->result.damage_count++;
    *gy_sched_error(&call->db->loop->io.sched) = *error;
    gy_event_note_damage(call->db, GYRE_CORRUPT);
    if (call->damage != NULL && !gy_scope_has_ended(&call->db->loop->io.sched)) {
        gy_callback_begin(call->db->loop);
        call->damage(call->arg, error);
        gy_callback_end(call->db->loop);
    }
}

static gyre_status
report(struct verify_call *call, uint64_t done)
{
    bool go_on = true;
    const gyre_status status = gy_scope_check(&call->db->loop->io.sched);

    if (status != GYRE_OK) {
        return status;
    }
    if (call->progress != NULL) {
        gy_callback_begin(call->db->loop);
        go_on = call->progress(call->arg, gy_min_u64(done, call->total), call->total);
        gy_callback_end(call->db->loop);
    }
    return go_on ? GYRE_OK : gy_loop_fail(call->db->loop, GYRE_CANCELED, "the caller stopped it");
}

static gyre_status
check_entry(void *arg, const struct gy_entry *entry)
{
    struct verify_call *call = arg;
    const struct gy_table_meta *meta = &call->table->meta;
    const uint64_t sequence = gy_tag_sequence(entry->tag);
    const int to_smallest = gy_key_compare(entry->key, meta->smallest);
    const int to_largest = gy_key_compare(entry->key, meta->largest);

    call->saw_smallest = call->saw_smallest || to_smallest == 0;
    call->saw_largest = call->saw_largest || to_largest == 0;
    if (to_smallest < 0 || to_largest > 0 || sequence < meta->sequence_min ||
        sequence > meta->sequence_max) {
        call->out_of_range = true;
    }
    if (++call->result.entry_count % ENTRIES_BETWEEN_REPORTS == 0) {
        return report(call, call->before + call->check.byte_count);
    }
    return GYRE_OK;
}

static void
fail_table(struct verify_call *call, const char *text)
{
    char name[GY_NAME_MAX];

    gy_name_table(name, call->table->meta.number);
    (void)gy_fail_at(&call->db->loop->io.sched, GYRE_CORRUPT, name, GY_NO_OFFSET, 0, "%s", text);
    note_damage(call, gy_sched_error(&call->db->loop->io.sched));
}

static GY_SUSPENDS gyre_status
await_table(struct verify_call *call, struct gy_table *table)
{
    struct gy_sched *sched = &call->db->loop->io.sched;
    gyre_status status;

    call->table = table;
    call->out_of_range = false;
    call->saw_smallest = false;
    call->saw_largest = false;
    call->check = (struct gy_table_check){.damage = note_damage, .each = check_entry, .arg = call};
    status = gy_table_await_check(table, &call->check);
    if (status == GYRE_CANCELED || status == GYRE_NO_MEMORY || status == GYRE_TIMED_OUT ||
        status == GYRE_CLOSED) {
        return status;
    }
    if (status != GYRE_OK) {
        note_damage(call, gy_sched_error(sched));
    } else if (call->out_of_range) {
        fail_table(call, "an entry lies outside of the keys or sequences that the manifest says");
    } else if (call->check.damage_count == 0 && !(call->saw_smallest && call->saw_largest)) {
        fail_table(call, "the first or last key is not the one that the manifest says");
    }
    call->result.table_count++;
    call->result.block_count += call->check.block_count;
    call->result.byte_count += table->meta.size;
    call->before += table->meta.size;
    return report(call, call->before);
}

static void
verify_run(void *arg)
{
    struct verify_call *call = arg;
    gyre_db *db = call->db;
    struct gy_version *version = db->view->version;

    gy_in_coroutine();
    gy_db_enter(db);
    gy_version_ref(version); /* its files stay */
    call->total = version->bytes;
    call->status = report(call, 0);
    if (call->status == GYRE_OK && !gy_version_is_sound(version)) {
        (void)gy_loop_fail(db->loop, GYRE_CORRUPT, "tables of one level overlap");
        note_damage(call, gy_sched_error(&db->loop->io.sched));
    }
    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        for (uint32_t i = 0; call->status == GYRE_OK && i < version->levels[level].count; i++) {
            call->status = await_table(call, version->levels[level].tables[i]);
        }
    }
    gy_version_unref(version);
    gy_db_leave(db);
}

gyre_status
gyre_verify(gyre_db *db, gyre_damage_fn damage, gyre_progress_fn progress, void *arg,
            struct gyre_verify_result *ret_result)
{
    struct verify_call *call;
    gyre_status status = gy_db_check(db);

    if (status != GYRE_OK) {
        return status;
    }
    call = gy_heap_zalloc(&db->loop->io.heap, sizeof(*call), GY_MEM_CALL);
    if (call == NULL) {
        return gy_loop_fail(db->loop, GYRE_NO_MEMORY, "no memory to verify a store");
    }
    call->db = db;
    call->damage = damage;
    call->progress = progress;
    call->arg = arg;
    status = gy_call(db->loop, "verify", verify_run, call);
    status = status != GYRE_OK ? status : call->status;
    if (status == GYRE_OK && ret_result != NULL) {
        *ret_result = call->result;
    }
    if (status == GYRE_OK && call->result.damage_count > 0) {
        status = gy_loop_fail(db->loop, GYRE_CORRUPT, "%llu damaged places; run 'gyre salvage'",
                              (unsigned long long)call->result.damage_count);
    }
    gy_heap_free(&db->loop->io.heap, call);
    return status;
}
