/* salvage.c - the call, the merge of all that was found, and the new store; rules Z1..Z4 in
 * salvage.h. */
#include "engine/db/salvage.h"

#include "engine/disk/names.h"
#include "engine/lsm/cursors.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define ENTRIES_BETWEEN_REPORTS 8192u
#define LEVEL_OUTPUT (GY_LEVEL_COUNT - 1) /* so that level sizes above it follow from it */

/* ---- Reports ---- */

void
gy_salvage_damage_error(void *arg, const struct gyre_error *error)
{
    struct gy_salvage *s = arg;

    s->result.damage_count++;
    if (s->damage != NULL && !gy_scope_has_ended(&s->loop->io.sched)) {
        gy_callback_begin(s->loop);
        s->damage(s->arg, error);
        gy_callback_end(s->loop);
    }
}

void
gy_salvage_damage(struct gy_salvage *s)
{
    gy_salvage_damage_error(s, gy_sched_error(&s->loop->io.sched));
}

gyre_status
gy_salvage_progress(struct gy_salvage *s, uint64_t bytes)
{
    const gyre_status status = gy_scope_check(&s->loop->io.sched);
    bool go_on = true;

    if (status != GYRE_OK) {
        return status;
    }
    s->done = gy_min_u64(s->done + bytes, s->total);
    if (s->progress != NULL) {
        gy_callback_begin(s->loop);
        go_on = s->progress(s->arg, s->done, s->total);
        gy_callback_end(s->loop);
    }
    return go_on ? GYRE_OK : gy_loop_fail(s->loop, GYRE_CANCELED, "the caller stopped it");
}

gyre_status
gy_salvage_no_memory(struct gy_salvage *s)
{
    return gy_loop_fail(s->loop, GYRE_NO_MEMORY,
                        "no memory to salvage a store; raise memory_limit");
}

/* ---- Lists ---- */

bool
gy_salvage_push_number(struct gy_salvage *s, uint64_t **array, uint32_t *count, uint32_t *capacity,
                       uint64_t number)
{
    if (*count == *capacity) {
        const uint32_t next = *capacity * 2 + 16;
        uint64_t *grown =
            gy_heap_realloc(&s->loop->io.heap, *array, next * sizeof(**array), GY_MEM_CALL);

        if (grown == NULL) {
            return false;
        }
        *array = grown;
        *capacity = next;
    }
    (*array)[(*count)++] = number;
    return true;
}

bool
gy_salvage_push_table(struct gy_salvage *s, struct gy_table ***array, uint32_t *count,
                      uint32_t *capacity, struct gy_table *table)
{
    if (*count == *capacity) {
        const uint32_t next = *capacity * 2 + 16;
        struct gy_table **grown =
            gy_heap_realloc(&s->loop->io.heap, *array, next * sizeof(**array), GY_MEM_CALL);

        if (grown == NULL) {
            return false;
        }
        *array = grown;
        *capacity = next;
    }
    (*array)[(*count)++] = table;
    return true;
}

/* ---- Tables of the target ---- */

GY_SUSPENDS gyre_status
gy_salvage_await_writer(struct gy_salvage *s, uint32_t level, bool temporary,
                        uint64_t size_expected, struct gy_table_writer **ret_writer)
{
    struct gy_world *world = s->loop->io.world;
    const struct gy_db_options *o = &s->options;
    const struct gy_table_writer_options options = {
        .loop = &s->loop->io,
        .arena = &s->loop->arena,
        .compressor = gy_cache_compressor(s->loop->cache),
        .dir = &s->target.dir,
        .number = s->next_number++,
        .file_id = world->ops->random(world),
        .store_id = s->store_id,
        .keyspace = GY_KEYSPACE_DEFAULT,
        .level = level,
        .block_size = o->block_size,
        .bloom_bits = temporary ? 0 : o->bloom_bits,
        .compress = !temporary && o->compression != GYRE_COMPRESSION_NONE,
        .compression_level = o->compression_level,
        .size_expected = size_expected,
        .klass = GY_IO_COMPACT_WRITE};

    if (temporary && !gy_salvage_push_number(s, &s->temporary, &s->temporary_count,
                                             &s->temporary_capacity, options.number)) {
        return gy_salvage_no_memory(s);
    }
    return gy_table_writer_await_open(&options, ret_writer);
}

GY_SUSPENDS gyre_status
gy_salvage_await_finish(struct gy_salvage *s, struct gy_table_writer *writer,
                        struct gy_table ***array, uint32_t *count, uint32_t *capacity)
{
    struct gy_table_meta meta;
    struct gy_table *table;
    gyre_status status = GYRE_OK;

    if (gy_table_writer_count(writer) == 0) {
        return GYRE_OK; /* the second look found nothing: its file goes when it is closed */
    }
    status = gy_table_writer_await_finish(writer, &meta);
    if (status != GYRE_OK) {
        return status;
    }
    table = gy_table_make(&s->target_set, &meta);
    if (table == NULL || !gy_salvage_push_table(s, array, count, capacity, table)) {
        gy_table_unref(table);
        return gy_salvage_no_memory(s);
    }
    return GYRE_OK;
}

/* ---- Runs: tables in order that share no key, of which one is open at a time (Z4) ---- */

static bool
starts_before(const struct gy_table *a, const struct gy_table *b)
{
    return gy_key_compare(a->meta.smallest, b->meta.smallest) < 0;
}

static void
sift(struct gy_table **tables, uint32_t at, uint32_t count)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        struct gy_table *table = tables[at];

        if (child >= count) {
            return;
        }
        if (child + 1 < count && starts_before(tables[child], tables[child + 1])) {
            child++;
        }
        if (!starts_before(table, tables[child])) {
            return;
        }
        tables[at] = tables[child];
        tables[child] = table;
        at = child;
    }
}

/* By their first keys; heapsort, which needs no memory. */
static void
sort_tables(struct gy_table **tables, uint32_t count)
{
    for (uint32_t i = count / 2; i > 0; i--) {
        sift(tables, i - 1, count);
    }
    for (uint32_t end = count; end > 1; end--) {
        struct gy_table *last = tables[end - 1];

        tables[end - 1] = tables[0];
        tables[0] = last;
        sift(tables, 0, end - 1);
    }
}

/* Take the next run out of the sorted list: `run` gets it, the rest moves up. */
static uint32_t
take_run(struct gy_table **tables, uint32_t *count, struct gy_table **run)
{
    uint32_t run_count = 0;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < *count; i++) {
        if (run_count == 0 ||
            gy_key_compare(run[run_count - 1]->meta.largest, tables[i]->meta.smallest) < 0) {
            run[run_count++] = tables[i];
        } else {
            tables[kept++] = tables[i];
        }
    }
    *count = kept;
    return run_count;
}

/* A cursor over one run; it owns the tables' references afterwards, or they are given up. */
static gyre_status
make_run_cursor(struct gy_salvage *s, struct gy_table **run, uint32_t count,
                struct gy_cursor **ret_cursor)
{
    const struct gy_version_change change = {.added = run, .added_count = count};
    struct gy_version *empty = gy_version_make_empty(&s->loop->io.heap);
    struct gy_version *version = NULL;
    gyre_status status = GYRE_NO_MEMORY;

    if (empty != NULL) {
        status = gy_version_apply(empty, &change, &version);
    }
    if (status == GYRE_OK) {
        status = gy_level_cursor_make(version, 1, 0, count, GY_CURSOR_USER, GY_CACHE_SCAN, 0,
                                      ret_cursor);
    }
    gy_version_unref(version); /* the cursor has its own */
    gy_version_unref(empty);
    for (uint32_t i = 0; i < count; i++) {
        gy_table_unref(run[i]);
    }
    return status == GYRE_NO_MEMORY ? gy_salvage_no_memory(s) : status;
}

/* All tables merged. s->table_count is 0 afterwards: the cursor has them. */
static gyre_status
make_cursor(struct gy_salvage *s, struct gy_cursor **ret_cursor)
{
    struct gy_heap *heap = &s->loop->io.heap;
    const size_t room = (size_t)s->table_count + 1;
    struct gy_table **run = gy_heap_alloc(heap, room * sizeof(*run), GY_MEM_CALL);
    struct gy_cursor **children = gy_heap_alloc(heap, room * sizeof(*children), GY_MEM_CALL);
    uint32_t count = 0;
    gyre_status status = GYRE_OK;

    if (run == NULL || children == NULL) {
        status = gy_salvage_no_memory(s);
        goto out;
    }
    sort_tables(s->tables, s->table_count);
    while (status == GYRE_OK && s->table_count > 0) {
        const uint32_t run_count = take_run(s->tables, &s->table_count, run);

        status = make_run_cursor(s, run, run_count, &children[count]);
        count += status == GYRE_OK;
    }
    if (status == GYRE_OK) {
        status = gy_merge_cursor_make(heap, children, count, ret_cursor);
    } else {
        for (uint32_t i = 0; i < count; i++) {
            gy_cursor_close(children[i]);
        }
    }
out:
    gy_heap_free(heap, run);
    gy_heap_free(heap, children);
    return status;
}

/* ---- The merge ---- */

struct merge {
    struct gy_salvage *s;
    struct gy_cursor *cursor;
    struct gy_table_writer *writer;
    uint8_t *key;    /* the last user key; GYRE_KEY_SIZE_MAX bytes */
    size_t key_size; /* 0: none yet */
    uint64_t bytes;  /* since the last report */
    uint32_t entries;
};

static GY_SUSPENDS gyre_status
await_finish_output(struct merge *merge)
{
    struct gy_salvage *s = merge->s;
    gyre_status status = gy_salvage_await_finish(s, merge->writer, &s->outputs, &s->output_count,
                                                 &s->output_capacity);

    gy_table_writer_await_close(merge->writer);
    merge->writer = NULL;
    return status;
}

/* The newest version of a key. */
static GY_SUSPENDS gyre_status
await_newest(struct merge *merge, const struct gy_entry *entry)
{
    struct gy_salvage *s = merge->s;
    struct gy_entry put = *entry;
    gyre_status status = GYRE_OK;

    memcpy(merge->key, entry->key.data, entry->key.size);
    merge->key_size = entry->key.size;
    if (gy_tag_kind(entry->tag) != GY_KIND_PUT) {
        return GYRE_OK;
    }
    if (merge->writer == NULL) {
        status =
            gy_salvage_await_writer(s, LEVEL_OUTPUT, false, s->options.table_size, &merge->writer);
        if (status != GYRE_OK) {
            return status;
        }
    }
    put.tag = gy_tag(0, GY_KIND_PUT); /* nothing older is left: the sequence says nothing more */
    status = gy_table_writer_await_add(merge->writer, &put);
    s->result.key_count += status == GYRE_OK;
    if (status == GYRE_OK && gy_table_writer_size(merge->writer) >= s->options.table_size) {
        status = await_finish_output(merge);
    }
    return status;
}

static GY_SUSPENDS gyre_status
await_merge(struct merge *merge)
{
    struct gy_salvage *s = merge->s;
    struct gy_cursor *cursor = merge->cursor;
    gyre_status status = GYRE_OK;

    for (gy_cursor_await_first(cursor); cursor->valid; gy_cursor_await_next(cursor)) {
        const struct gy_entry *entry = &cursor->entry;

        merge->bytes += entry->key.size + entry->value.size;
        if (merge->key_size == 0 ||
            gy_key_compare(entry->key, gyre_slice(merge->key, merge->key_size)) != 0) {
            status = await_newest(merge, entry);
        }
        if (status == GYRE_OK && ++merge->entries % ENTRIES_BETWEEN_REPORTS == 0) {
            status = gy_salvage_progress(s, merge->bytes);
            merge->bytes = 0;
        }
        if (status != GYRE_OK) {
            return status;
        }
        gy_await_turn(&s->loop->io.sched);
    }
    status = cursor->status;
    if (status == GYRE_OK && merge->writer != NULL) {
        status = await_finish_output(merge);
    }
    return status;
}

static GY_SUSPENDS gyre_status
await_merge_all(struct gy_salvage *s)
{
    struct gy_heap *heap = &s->loop->io.heap;
    struct merge merge = {.s = s, .key = gy_heap_alloc(heap, GYRE_KEY_SIZE_MAX, GY_MEM_CALL)};
    gyre_status status =
        merge.key == NULL ? gy_salvage_no_memory(s) : make_cursor(s, &merge.cursor);

    if (status == GYRE_OK) {
        status = await_merge(&merge);
    }
    gy_table_writer_await_close(merge.writer); /* NULL is fine */
    gy_cursor_close(merge.cursor);
    gy_heap_free(heap, merge.key);
    return status;
}

/* ---- The new store ---- */

static GY_SUSPENDS void
await_close_tables(struct gy_salvage *s)
{
    if (!s->sets_ready) {
        return;
    }
    gy_table_set_await_close_all(&s->source_set);
    gy_table_set_await_close_all(&s->target_set);
    for (uint32_t i = 0; i < s->table_count; i++) {
        gy_table_unref(s->tables[i]);
    }
    s->table_count = 0;
}

static GY_SUSPENDS gyre_status
await_finish_store(struct gy_salvage *s)
{
    const struct gy_version_change change = {.added = s->outputs, .added_count = s->output_count};
    struct gy_version *empty = gy_version_make_empty(&s->loop->io.heap);
    struct gy_version *version = NULL;
    gyre_status status =
        empty == NULL ? GYRE_NO_MEMORY : gy_version_apply(empty, &change, &version);

    if (status != GYRE_OK) {
        status = gy_loop_fail(s->loop, status, "the salvaged tables do not make a store");
    }
    for (uint32_t i = 0; status == GYRE_OK && i < s->temporary_count; i++) {
        char name[GY_NAME_MAX];

        gy_name_table(name, s->temporary[i]);
        status = gy_file_await_unlink(&s->loop->io, &s->target.dir, name);
        if (status == GYRE_NOT_FOUND) { /* its writer found nothing to write */
            status = GYRE_OK;
        }
    }
    if (status == GYRE_OK) {
        struct gy_store_edits state = {.store_id = s->store_id,
                                       .next_file_number = s->next_number,
                                       .log_min = s->next_number,
                                       .version = version};

        status = gy_new_store_await_finish(&s->target, &state);
    }
    gy_version_unref(version);
    gy_version_unref(empty);
    return status;
}

static GY_SUSPENDS gyre_status
await_salvage(struct gy_salvage *s)
{
    struct gy_loop *io = &s->loop->io;
    gyre_status status = gy_salvage_await_look(s);

    if (status == GYRE_OK) {
        status = gy_new_store_await_begin(s->loop, s->target_path, &s->target);
    }
    if (status != GYRE_OK) {
        return status;
    }
    gy_table_set_init(&s->source_set, io, &s->loop->arena, s->loop->cache, &s->source,
                      s->options.open_files_max);
    gy_table_set_init(&s->target_set, io, &s->loop->arena, s->loop->cache, &s->target.dir,
                      s->options.open_files_max);
    s->sets_ready = true;
    /* it holds buffers as a compaction does */
    gy_mutex_await_lock(&io->sched, &s->loop->compact_turn);
    status = gy_salvage_await_tables(s);
    if (status == GYRE_OK) {
        status = gy_salvage_await_logs(s);
    }
    if (status == GYRE_OK) {
        status = await_merge_all(s);
    }
    gy_mutex_unlock(&s->loop->compact_turn);
    if (status == GYRE_OK) {
        status = await_finish_store(s);
    }
    if (status == GYRE_OK) {
        (void)gy_salvage_progress(s, s->total); /* done: there is nothing left to cancel */
    }
    return status;
}

static void
salvage_run(void *arg)
{
    struct gy_salvage *s = arg;
    struct gy_loop *io = &s->loop->io;
    struct gyre_error error;

    gy_in_coroutine();
    s->status = await_salvage(s);
    error = *gy_sched_error(&io->sched);
    await_close_tables(s);
    for (uint32_t i = 0; i < s->output_count; i++) {
        gy_table_unref(s->outputs[i]);
    }
    if (s->sets_ready) {
        gy_table_set_fini(&s->source_set);
        gy_table_set_fini(&s->target_set);
    }
    if (s->target.loop != NULL) {
        gy_new_store_await_end(&s->target);
    }
    (void)gy_file_await_close(io, &s->lock); /* nothing was written to the source */
    (void)gy_file_await_close(io, &s->source);
    *gy_sched_error(&io->sched) = error;
}

static void
salvage_free(struct gy_salvage *s)
{
    struct gy_heap *heap = &s->loop->io.heap;

    gy_heap_free(heap, s->files);
    gy_heap_free(heap, s->manifests);
    gy_heap_free(heap, s->logs);
    gy_heap_free(heap, s->tables);
    gy_heap_free(heap, s->temporary);
    gy_heap_free(heap, s->outputs);
    gy_heap_free(heap, s);
}

gyre_status
gyre_salvage(gyre_loop *loop, const char *source_path, const char *target_path,
             const struct gyre_options *options, gyre_damage_fn damage, gyre_progress_fn progress,
             void *arg, struct gyre_salvage_result *ret_result)
{
    struct gy_salvage *s;
    gyre_status status = gy_loop_check(loop);

    if (status != GYRE_OK) {
        return status;
    }
    if (source_path == NULL || target_path == NULL || source_path[0] == '\0' ||
        strnlen(source_path, GYRE_PATH_SIZE_MAX) >= GYRE_PATH_SIZE_MAX) {
        return gy_loop_fail(loop, GYRE_INVALID, "gyre_salvage: paths of 1 to %u bytes are needed",
                            GYRE_PATH_SIZE_MAX - 1);
    }
    s = gy_heap_zalloc(&loop->io.heap, sizeof(*s), GY_MEM_CALL);
    if (s == NULL) {
        return gy_loop_fail(loop, GYRE_NO_MEMORY, "no memory to salvage a store");
    }
    s->loop = loop;
    s->damage = damage;
    s->progress = progress;
    s->arg = arg;
    s->source_path = source_path;
    s->target_path = target_path;
    s->source = (struct gy_file)GY_FILE_CLOSED;
    s->lock = (struct gy_file)GY_FILE_CLOSED;
    s->next_number = 1;
    while (s->store_id == 0) {
        s->store_id = loop->io.world->ops->random(loop->io.world);
    }
    status = gy_options_resolve(loop, options, &s->options);
    if (status == GYRE_OK) {
        status = gy_call(loop, "salvage", salvage_run, s);
    }
    status = status != GYRE_OK ? status : s->status;
    if (status == GYRE_OK && ret_result != NULL) {
        *ret_result = s->result;
    }
    salvage_free(s);
    return status;
}
