/* job.c - the common part of flush and compaction: entries of a cursor, filtered (J1, J2, J4),
 * into tables that end between user keys (J3, J8), and the count that proves that none was lost
 * (J6).
 */
#include "engine/codec/footer.h"
#include "engine/disk/names.h"
#include "engine/lsm/job_run.h"

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define TURN_ENTRIES 4u /* J7: of eight calls one looks at the clock */
/* At the pacer: small, so that writers get their credit evenly. */
#define SPEND_BYTES (64u * GY_KIB)
#define ENTRY_OVERHEAD 16u /* what an entry costs beside its bytes */

static struct gy_sched *
sched_of(const struct gy_job_context *context)
{
    return &context->loop->sched;
}

/* ---- Results ---- */

void
gy_job_result_init(struct gy_job_result *result)
{
    *result = (struct gy_job_result){.outputs = NULL};
}

static void
drop_outputs(struct gy_job_result *result, struct gy_heap *heap)
{
    for (uint32_t i = 0; i < result->output_count; i++) {
        /* Both keys lie in one block that begins with the smallest. */
        gy_heap_free(heap, (void *)(uintptr_t)result->outputs[i].meta.smallest.data);
    }
    result->output_count = 0;
}

void
gy_job_result_fini(struct gy_job_result *result, struct gy_heap *heap)
{
    drop_outputs(result, heap);
    gy_heap_free(heap, result->outputs);
    gy_job_result_init(result);
}

GY_SUSPENDS void
gy_job_await_discard(const struct gy_job_context *context, struct gy_job_result *result)
{
    struct gyre_error *error = gy_sched_error(sched_of(context));
    const struct gyre_error cause = *error;

    for (uint32_t i = 0; i < result->output_count; i++) {
        char name[GY_NAME_MAX];
        gyre_status status;

        gy_name_table(name, result->outputs[i].meta.number);
        /* One that stays is an orphan: no manifest names it, and the next open removes it. */
        status = gy_file_await_unlink(context->loop, context->dir, name);
        (void)status;
    }
    drop_outputs(result, &context->loop->heap);
    *error = cause;
}

static gyre_status
reserve_output(struct gy_job_run *run)
{
    struct gy_job_result *result = run->result;
    const uint32_t capacity = result->output_capacity == 0 ? 8 : 2 * result->output_capacity;
    struct gy_job_output *grown;

    if (result->output_count < result->output_capacity) {
        return GYRE_OK;
    }
    grown = gy_heap_realloc(&run->context->loop->heap, result->outputs, capacity * sizeof(*grown),
                            GY_MEM_VERSION);
    if (grown == NULL) {
        return gy_fail(sched_of(run->context), GYRE_NO_MEMORY, "no memory for the tables of a job");
    }
    result->outputs = grown;
    result->output_capacity = capacity;
    return GYRE_OK;
}

/* The file is there from now on: it is in the list before anything else can fail, so that a
 * discard finds it. */
static gyre_status
add_output(struct gy_job_run *run, const struct gy_table_meta *meta)
{
    struct gy_job_result *result = run->result;
    struct gy_table_meta *kept = &result->outputs[result->output_count].meta;
    uint8_t *keys;

    gy_assert(result->output_count < result->output_capacity);
    *kept = *meta;
    kept->smallest = gyre_slice(NULL, 0);
    kept->largest = gyre_slice(NULL, 0);
    result->output_count++;
    result->bytes_written += meta->size;
    keys = gy_heap_alloc(&run->context->loop->heap, meta->smallest.size + meta->largest.size + 1,
                         GY_MEM_VERSION);
    if (keys == NULL) {
        return gy_fail(sched_of(run->context), GYRE_NO_MEMORY, "no memory for the tables of a job");
    }
    memcpy(keys, meta->smallest.data, meta->smallest.size);
    memcpy(keys + meta->smallest.size, meta->largest.data, meta->largest.size);
    kept->smallest = gyre_slice(keys, meta->smallest.size);
    kept->largest = gyre_slice(keys + meta->smallest.size, meta->largest.size);
    return GYRE_OK;
}

/* ---- Outputs ---- */

/* What the next output will come to: the share of the entries that are still to come, at most
 * one table; and a little more, since blocks that were too few have to be reserved while the
 * writer waits. */
static uint64_t
expected_size(const struct gy_job_run *run)
{
    const uint64_t left = gy_sub_sat(run->entries_expected, run->result->entries_in) + 1;
    const uint64_t each = run->size_expected / gy_max_u64(run->entries_expected, 1) + 1;
    const uint64_t size_max = run->output_size_max + run->output_size_max / 16;

    return left > size_max / each ? size_max : left * each + left * each / 16 + 4 * GY_PAGE;
}

/* Another output of `size` begins, within what there is space for? */
static gyre_status
check_budget(const struct gy_job_run *run, uint64_t size)
{
    const uint64_t bytes_max = run->context->bytes_max;

    if (bytes_max == 0 || run->result->bytes_written + size <= bytes_max) {
        return GYRE_OK;
    }
    GY_SOMETIMES(job_over_its_budget);
    return gy_fail(sched_of(run->context), GYRE_NO_SPACE,
                   "a job needs more than the %llu bytes that there is space for",
                   (unsigned long long)bytes_max);
}

static GY_SUSPENDS gyre_status
await_open_output(struct gy_job_run *run)
{
    const struct gy_job_context *context = run->context;
    struct gy_world *world = context->loop->world;
    const uint32_t level = run->levels.level_output;
    const struct gy_table_writer_options options = {.loop = context->loop,
                                                    .arena = context->arena,
                                                    .compressor =
                                                        gy_cache_compressor(context->cache),
                                                    .dir = context->dir,
                                                    .number = (*context->next_file_number)++,
                                                    .file_id = world->ops->random(world),
                                                    .store_id = context->store_id,
                                                    .keyspace = context->keyspace,
                                                    .level = level,
                                                    .block_size = context->block_size,
                                                    .bloom_bits = context->bloom_bits,
                                                    .compress = context->compress_level[level],
                                                    .compression_level = context->compression_level,
                                                    .size_expected = expected_size(run),
                                                    .klass = run->klass};
    gyre_status status = reserve_output(run);

    if (status == GYRE_OK) {
        status = check_budget(run, options.size_expected);
    }
    if (status != GYRE_OK) {
        return status;
    }
    return gy_table_writer_await_open(&options, &run->writer);
}

static GY_SUSPENDS gyre_status
await_finish_output(struct gy_job_run *run)
{
    struct gy_table_meta meta;
    gyre_status status;

    if (run->writer == NULL) {
        return GYRE_OK;
    }
    status = gy_table_writer_await_finish(run->writer, &meta);
    if (status == GYRE_OK) {
        status = add_output(run, &meta);
    }
    gy_table_writer_await_close(run->writer); /* removes the file unless it was finished */
    run->writer = NULL;
    run->levels.below_bytes = 0;
    return status;
}

/* ---- Entries ---- */

static uint32_t
stripe_of(const struct gy_job_run *run, uint64_t sequence)
{
    uint32_t low = 0;
    uint32_t high = run->snapshot_count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (run->snapshots[middle] < sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool
is_alone(struct gy_job_run *run, struct gyre_slice key)
{
    if (!run->is_alone_known) {
        run->is_alone = gy_job_levels_is_alone(&run->levels, key);
        run->is_alone_known = true;
    }
    return run->is_alone;
}

/* Another user key: outputs may end here, and only here (J3). */
static GY_SUSPENDS gyre_status
await_begin_key(struct gy_job_run *run, struct gyre_slice key)
{
    const uint64_t size = run->writer == NULL ? 0 : gy_table_writer_size(run->writer);
    const bool ends = gy_job_levels_ends_output(&run->levels, key, run->writer != NULL, size,
                                                run->context->table_size);
    gyre_status status = GYRE_OK;

    if (key.size > GY_KEY_SIZE_MAX) {
        return gy_fail(sched_of(run->context), GYRE_CORRUPT, "a key of %zu bytes in a table",
                       key.size);
    }
    memcpy(run->key, key.data, key.size);
    run->key_size = (uint32_t)key.size;
    run->has_key = true;
    run->is_alone_known = false;
    run->stripe = UINT32_MAX;
    if (run->writer != NULL && (ends || size >= run->output_size_max)) {
        GY_SOMETIMES(output_cut);
        status = await_finish_output(run);
    }
    return status;
}

static inline bool
is_last_key(const struct gy_job_run *run, struct gyre_slice key)
{
    return run->has_key && key.size == run->key_size && memcmp(key.data, run->key, key.size) == 0;
}

static GY_SUSPENDS gyre_status
await_entry(struct gy_job_run *run, const struct gy_entry *entry)
{
    const enum gy_kind kind = gy_tag_kind(entry->tag);
    const uint32_t stripe = stripe_of(run, gy_tag_sequence(entry->tag));
    struct gy_entry out = *entry;
    gyre_status status = GYRE_OK;

    run->result->entries_in++;
    run->hash_in += gy_entry_hash(entry);
    if (kind != GY_KIND_PUT && kind != GY_KIND_DELETE) {
        return gy_fail(sched_of(run->context), GYRE_UNSUPPORTED,
                       "an entry of kind %d: a newer version wrote it", (int)kind);
    }
    if (!is_last_key(run, entry->key)) {
        status = await_begin_key(run, entry->key);
        if (status != GYRE_OK) {
            return status;
        }
    }
    if (stripe == run->stripe) { /* J1: a newer version of the same stripe came before */
        GY_SOMETIMES(version_dropped);
        run->result->entries_dropped++;
        return GYRE_OK;
    }
    if (run->stripe != UINT32_MAX) {
        GY_SOMETIMES(version_kept_for_snapshot);
    }
    run->stripe = stripe;
    if (stripe == 0 && kind == GY_KIND_DELETE && is_alone(run, entry->key)) { /* J2 */
        GY_SOMETIMES(tombstone_dropped);
        run->result->entries_dropped++;
        return GYRE_OK;
    }
    if (kind == GY_KIND_DELETE && run->levels.version != NULL) {
        GY_SOMETIMES(tombstone_kept);
    }
    if (stripe == 0 && run->levels.output_is_last && is_alone(run, entry->key)) { /* J4 */
        GY_SOMETIMES(sequence_zeroed);
        out.tag = gy_tag(0, kind);
    }
    if (GY_MUTANT(output_cut_inside_key) && run->writer != NULL &&
        gy_table_writer_size(run->writer) >= run->output_size_max) {
        status = await_finish_output(run);
    }
    if (status == GYRE_OK && run->writer == NULL) {
        status = await_open_output(run);
    }
    return status == GYRE_OK ? gy_table_writer_await_add(run->writer, &out) : status;
}

/* ---- The run ---- */

static bool
is_cancelled(const struct gy_job_run *run)
{
    return run->context->cancel != NULL && *run->context->cancel;
}

/* J9 */
static GY_SUSPENDS gyre_status
await_gate(struct gy_job_run *run)
{
    const struct gy_job_context *context = run->context;
    struct gy_job_gate *gate = context->gate;

    while (gate != NULL && gate->is_closed && !is_cancelled(run) &&
           !GY_MUTANT(pause_does_not_hold)) {
        GY_SOMETIMES(job_stood_still);
        if (context->is_awaited) {
            GY_SOMETIMES(job_gave_way_to_pause);
            return gy_fail(sched_of(context), GYRE_CANCELED, "paused, and somebody waits for it");
        }
        if (context->turn != NULL && !gy_waitq_is_empty(&context->turn->queue)) {
            return gy_fail(sched_of(context), GYRE_CANCELED, "paused, and another job waits");
        }
        (void)gy_waitq_await_until(sched_of(context), &gate->opened,
                                   gy_loop_now(context->loop) + GY_JOB_GATE_LOOK_NS);
    }
    return GYRE_OK;
}

static GY_SUSPENDS gyre_status
await_pause(struct gy_job_run *run)
{
    const struct gy_job_context *context = run->context;
    gyre_status status;

    gy_await_turn(sched_of(context));
    if (run->unpaid_bytes >= SPEND_BYTES) {
        const uint64_t bytes = run->unpaid_bytes;

        run->unpaid_bytes = 0;
        if (context->pacer != NULL) {
            gy_pacer_await_spend(context->pacer, bytes);
        }
    }
    status = await_gate(run);
    if (status != GYRE_OK) {
        return status;
    }
    if (is_cancelled(run)) {
        return gy_fail(sched_of(context), GYRE_CANCELED, "the store is closing");
    }
    return gy_scope_check(sched_of(context));
}

static GY_SUSPENDS gyre_status
await_all_entries(struct gy_job_run *run, struct gy_cursor *cursor)
{
    gyre_status status = GYRE_OK;

    gy_cursor_await_first(cursor);
    for (uint32_t count = 1; status == GYRE_OK && cursor->valid; count++) {
        run->unpaid_bytes += cursor->entry.key.size + cursor->entry.value.size + ENTRY_OVERHEAD;
        status = await_entry(run, &cursor->entry);
        if (status == GYRE_OK && (count % TURN_ENTRIES == 0 || run->unpaid_bytes >= SPEND_BYTES)) {
            status = await_pause(run);
        }
        if (status == GYRE_OK) {
            gy_cursor_await_next(cursor);
        }
    }
    return gy_first(status, cursor->status); /* a child that failed is no end (J5) */
}

/* J6 */
static gyre_status
check_counts(const struct gy_job_run *run)
{
    const struct gy_job_result *result = run->result;
    uint64_t entries_out = 0;

    for (uint32_t i = 0; i < result->output_count; i++) {
        entries_out += result->outputs[i].meta.entry_count;
    }
    if (result->entries_in != run->entries_expected ||
        entries_out + result->entries_dropped != result->entries_in) {
        return gy_fail(sched_of(run->context), GYRE_CORRUPT,
                       "a job read %llu of %llu entries, wrote %llu and dropped %llu",
                       (unsigned long long)result->entries_in,
                       (unsigned long long)run->entries_expected, (unsigned long long)entries_out,
                       (unsigned long long)result->entries_dropped);
    }
    if (run->hash_in != run->hash_expected && !GY_MUTANT(compaction_input_unchecked)) {
        return gy_fail(sched_of(run->context), GYRE_CORRUPT,
                       "a job read other entries than were written to its inputs: is the memory of "
                       "this machine sound? Close and reopen the store");
    }
    return GYRE_OK;
}

GY_SUSPENDS gyre_status
gy_job_await_run(struct gy_job_run *run, struct gy_cursor *cursor)
{
    struct gy_heap *heap = &run->context->loop->heap;
    gyre_status status;

    gy_assert(run->writer == NULL && run->result->output_count == 0);
    run->key = gy_heap_alloc(heap, GY_KEY_SIZE_MAX, GY_MEM_CALL);
    if (run->key == NULL) {
        return gy_fail(sched_of(run->context), GYRE_NO_MEMORY, "no memory for a job");
    }
    status = await_all_entries(run, cursor);
    if (status == GYRE_OK) {
        status = await_finish_output(run);
    }
    if (status == GYRE_OK) {
        status = check_counts(run);
    }
    if (status != GYRE_OK) {
        struct gyre_error *error = gy_sched_error(sched_of(run->context));
        const struct gyre_error cause = *error;

        gy_table_writer_await_close(run->writer);
        run->writer = NULL;
        *error = cause;
        gy_job_await_discard(run->context, run->result);
    }
    gy_heap_free(heap, run->key);
    run->key = NULL;
    return status;
}
