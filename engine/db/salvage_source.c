/* salvage_source.c - what is there: files by their names, the manifest as far as it goes, tables as
 * far as they can be read. */
#include "engine/codec/coding.h"
#include "engine/db/salvage.h"
#include "engine/disk/names.h"
#include "engine/disk/wal_reader.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

/* ---- Files ---- */

/* The entry of `number`, made when there is none; ascending. NULL: no memory. */
static struct gy_salvage_file *
file_of(struct gy_salvage *s, uint64_t number)
{
    uint32_t low = 0;
    uint32_t high = s->file_count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (s->files[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < s->file_count && s->files[low].number == number) {
        return &s->files[low];
    }
    if (s->file_count == s->file_capacity) {
        const uint32_t capacity = s->file_capacity * 2 + 32;
        struct gy_salvage_file *files =
            gy_heap_realloc(&s->loop->io.heap, s->files, capacity * sizeof(*files), GY_MEM_CALL);

        if (files == NULL) {
            s->no_memory = true;
            return NULL;
        }
        s->files = files;
        s->file_capacity = capacity;
    }
    memmove(&s->files[low + 1], &s->files[low], (s->file_count - low) * sizeof(s->files[0]));
    s->files[low] = (struct gy_salvage_file){.number = number};
    s->file_count++;
    return &s->files[low];
}

static void
list_entry(void *arg, const char *name, bool is_regular)
{
    struct gy_salvage *s = arg;
    struct gy_salvage_file *file;
    uint64_t number = 0;

    if (!is_regular) {
        return;
    }
    switch (gy_name_parse(name, &number)) {
    case GY_FILE_TABLE:
        file = file_of(s, number);
        if (file != NULL) {
            file->is_there = true;
        }
        break;
    case GY_FILE_LOG_SLOT:
        if (number < GY_WAL_SLOT_MAX) {
            s->slots[number] = true;
        }
        break;
    case GY_FILE_MANIFEST:
        if (!gy_salvage_push_number(s, &s->manifests, &s->manifest_count, &s->manifest_capacity,
                                    number)) {
            s->no_memory = true;
        }
        break;
    case GY_FILE_LOCK:
        s->has_lock_file = true;
        break;
    default:
        break;
    }
}

static GY_SUSPENDS gyre_status
await_list(struct gy_salvage *s)
{
    bool has_slot = false;
    gyre_status status;

    s->file_count = 0;
    s->manifest_count = 0;
    status = gy_dir_await_list(&s->loop->io, &s->source, list_entry, s);
    if (status == GYRE_OK && s->no_memory) {
        return gy_salvage_no_memory(s);
    }
    for (uint32_t i = 0; i < GY_WAL_SLOT_MAX; i++) {
        has_slot = has_slot || s->slots[i];
    }
    if (status == GYRE_OK && s->file_count == 0 && s->manifest_count == 0 && !has_slot) {
        return gy_loop_fail(s->loop, GYRE_NOT_FOUND, "there is nothing of a store at %s",
                            s->source_path);
    }
    return status;
}

/* ---- The manifest ---- */

void
gy_salvage_add_store_id(struct gy_salvage *s, uint64_t store_id)
{
    for (uint32_t i = 0; i < s->store_id_count; i++) {
        if (s->store_ids[i] == store_id) {
            return;
        }
    }
    if (s->store_id_count < GY_SALVAGE_IDS_MAX) {
        s->store_ids[s->store_id_count++] = store_id;
    }
}

static gyre_status
apply_edit(void *arg, const struct gy_edit *edit)
{
    struct gy_salvage *s = arg;
    struct gy_salvage_file *file;

    switch (edit->kind) {
    case GY_EDIT_STORE:
        gy_salvage_add_store_id(s, edit->u.store.store_id);
        break;
    case GY_EDIT_ADD_TABLE:
    case GY_EDIT_REMOVE_TABLE: /* a table that moves is removed and added, in either order */
        file = file_of(s, edit->kind == GY_EDIT_ADD_TABLE ? edit->u.table.number
                                                          : edit->u.remove.number);
        if (file == NULL) {
            return gy_salvage_no_memory(s);
        }
        if (edit->kind == GY_EDIT_ADD_TABLE) {
            file->file_id = edit->u.table.file_id;
            file->live_count++;
        } else {
            file->live_count--;
        }
        break;
    case GY_EDIT_ADD_LOG:
        if (!gy_salvage_push_number(s, &s->logs, &s->log_count, &s->log_capacity,
                                    edit->u.log.number)) {
            return gy_salvage_no_memory(s);
        }
        break;
    case GY_EDIT_FLUSHED:
        s->flushed_sequence = gy_max_u64(s->flushed_sequence, edit->u.flushed.sequence);
        s->log_min = gy_max_u64(s->log_min, edit->u.flushed.log_min);
        break;
    default:
        break;
    }
    return GYRE_OK;
}

/* The first frame of a manifest has the store's id in plain sight; the checksum then proves it. */
static GY_SUSPENDS void
await_id_of_manifest(struct gy_salvage *s, uint64_t number, uint8_t *page)
{
    struct gy_loop *io = &s->loop->io;
    struct gy_file file = GY_FILE_CLOSED;
    char name[GY_NAME_MAX];
    uint32_t got = 0;

    gy_name_manifest(name, number);
    if (gy_file_await_open(io, &s->source, name, 0, GY_IO_META, &file) == GYRE_OK &&
        gy_file_await_read_some(io, &file, GY_IO_META, page, GY_PAGE, 0, &got) == GYRE_OK &&
        got == GY_PAGE) {
        struct gy_reader reader =
            gy_reader_of(page + GY_FRAME_HEADER_SIZE, GY_PAGE - GY_FRAME_HEADER_SIZE);
        struct gy_edit edit;

        if (gy_edit_decode(&reader, &edit) == GYRE_OK && edit.kind == GY_EDIT_STORE) {
            gy_salvage_add_store_id(s, edit.u.store.store_id);
        }
    }
    (void)gy_file_await_close(io, &file); /* it was only read */
}

static GY_SUSPENDS gyre_status
await_manifest(struct gy_salvage *s)
{
    struct gy_heap *heap = &s->loop->io.heap;
    struct gy_manifest_end end;
    uint8_t *page;
    gyre_status status = gy_manifest_await_load(&s->loop->io, &s->source, apply_edit, s, &end);

    if (status == GYRE_OK) {
        s->has_manifest = true;
        return GYRE_OK;
    }
    if (status == GYRE_NO_MEMORY) {
        return status;
    }
    if (status == GYRE_NOT_FOUND) {
        (void)gy_fail_at(&s->loop->io.sched, GYRE_CORRUPT, GY_NAME_CURRENT, GY_NO_OFFSET, 0,
                         "the file is missing");
    }
    gy_salvage_damage(s);
    page = gy_heap_map(heap, GY_PAGE, GY_MEM_BUFFERS);
    if (page == NULL) {
        return gy_salvage_no_memory(s);
    }
    for (uint32_t i = 0; i < s->manifest_count; i++) {
        await_id_of_manifest(s, s->manifests[i], page);
    }
    gy_heap_unmap(heap, page, GY_PAGE, GY_MEM_BUFFERS);
    return GYRE_OK;
}

/* ---- Is the manifest all that it was? (Z3) ---- */

static bool
is_log_named(const struct gy_salvage *s, uint64_t number)
{
    for (uint32_t i = 0; i < s->log_count; i++) {
        if (s->logs[i] == number) {
            return true;
        }
    }
    return false;
}

static GY_SUSPENDS gyre_status
await_is_stray_log(struct gy_salvage *s, uint32_t slot, bool *ret_is_stray)
{
    struct gy_loop *io = &s->loop->io;
    struct gy_wal_reader reader = {.loop = io, .store_id = s->store_ids[0]};
    struct gy_file file = GY_FILE_CLOSED;
    struct gy_log_start start;
    char name[GY_NAME_MAX];
    gyre_status status;

    gy_name_log_slot(name, slot);
    status = gy_file_await_open(io, &s->source, name, 0, GY_IO_SCRUB, &file);
    if (status == GYRE_OK) {
        status = gy_wal_await_read_start(io, &file, reader.store_id, 0, &start);
    }
    if (status == GYRE_OK && start.number >= s->log_min && !is_log_named(s, start.number)) {
        status = gy_wal_await_was_used(&reader, &file, start.number, ret_is_stray);
    }
    gy_wal_reader_fini(&reader);
    (void)gy_file_await_close(io, &file);               /* it was only read */
    return status == GYRE_NO_MEMORY ? status : GYRE_OK; /* what cannot be read is met again later */
}

static GY_SUSPENDS gyre_status
await_judge_manifest(struct gy_salvage *s)
{
    gyre_status status = GYRE_OK;
    bool is_stray = false;

    for (uint32_t slot = 0; status == GYRE_OK && !is_stray && slot < GY_WAL_SLOT_MAX; slot++) {
        if (s->slots[slot]) {
            status = await_is_stray_log(s, slot, &is_stray);
        }
    }
    if (is_stray) {
        (void)gy_fail_at(&s->loop->io.sched, GYRE_CORRUPT, "MANIFEST", GY_NO_OFFSET, 0,
                         "its end is damaged: a log is in use that it does not name");
        gy_salvage_damage(s);
        s->has_manifest = false;
    }
    for (uint32_t i = 0; s->has_manifest && i < s->file_count; i++) {
        if (s->files[i].live_count > 0 && !s->files[i].is_there) {
            s->is_table_missing = true;
            s->has_manifest = false;
        }
    }
    return status;
}

GY_SUSPENDS gyre_status
gy_salvage_await_look(struct gy_salvage *s)
{
    struct gy_loop *io = &s->loop->io;
    gyre_status status = gy_dir_await_open(io, s->source_path, false, &s->source);

    if (status == GYRE_OK) {
        status = await_list(s);
    }
    if (status == GYRE_OK && s->has_lock_file) {
        status = gy_file_await_open(io, &s->source, GY_NAME_LOCK, GY_OPEN_BUFFERED, GY_IO_META,
                                    &s->lock);
        if (status == GYRE_OK) {
            status = gy_store_await_lock(s->loop, &s->lock, true);
        }
        if (status == GYRE_OK) {
            /* again: until the lock another process may have been at work */
            status = await_list(s);
        }
    }
    if (status == GYRE_OK) {
        status = await_manifest(s);
    }
    if (status == GYRE_OK && s->has_manifest) {
        status = await_judge_manifest(s);
    }
    return status;
}

/* ---- Tables ---- */

struct table_pass {
    struct gy_salvage *s;
    struct gy_table_writer *writer; /* second pass over a damaged table */
    uint8_t *keys;                  /* first and last key, GYRE_KEY_SIZE_MAX bytes each */
    size_t first_size;
    size_t last_size;
    bool is_quiet;
};

static void
pass_damage(void *arg, const struct gyre_error *error)
{
    const struct table_pass *pass = arg;

    if (!pass->is_quiet) {
        gy_salvage_damage_error(pass->s, error);
    }
}

static gyre_status
pass_note_keys(void *arg, const struct gy_entry *entry)
{
    struct table_pass *pass = arg;

    if (pass->first_size == 0) {
        memcpy(pass->keys, entry->key.data, entry->key.size);
        pass->first_size = entry->key.size;
    }
    memcpy(pass->keys + GYRE_KEY_SIZE_MAX, entry->key.data, entry->key.size);
    pass->last_size = entry->key.size;
    return GYRE_OK;
}

static gyre_status
pass_copy(void *arg, const struct gy_entry *entry)
{
    struct table_pass *pass = arg;

    gy_in_coroutine();
    return gy_table_writer_await_add(pass->writer, entry);
}

/* A damaged table: its readable entries, in a temporary one. */
static GY_SUSPENDS gyre_status
await_copy_table(struct table_pass *pass, struct gy_table *table)
{
    struct gy_salvage *s = pass->s;
    struct gy_table_check check = {.damage = pass_damage, .each = pass_copy, .arg = pass};
    gyre_status status = gy_salvage_await_writer(s, 1, true, table->meta.size, &pass->writer);

    pass->is_quiet = true; /* it was told in the first pass */
    if (status == GYRE_OK) {
        status = gy_table_await_check(table, &check);
    }
    if (status == GYRE_OK) {
        status = gy_salvage_await_finish(s, pass->writer, &s->tables, &s->table_count,
                                         &s->table_capacity);
    }
    gy_table_writer_await_close(pass->writer); /* NULL is fine */
    pass->writer = NULL;
    return status;
}

/* What the footer says, or for a footer that cannot be read what the manifest says; NOT_FOUND:
 * neither. */
static GY_SUSPENDS gyre_status
await_meta(struct gy_salvage *s, const struct gy_salvage_file *known,
           struct gy_table_meta *ret_meta)
{
    struct gy_loop *io = &s->loop->io;
    struct gy_file file = GY_FILE_CLOSED;
    struct gy_footer footer;
    char name[GY_NAME_MAX];
    uint64_t size = 0;
    uint8_t *page = gy_heap_map(&io->heap, GY_PAGE, GY_MEM_BUFFERS);
    gyre_status status;

    if (page == NULL) {
        return gy_salvage_no_memory(s);
    }
    *ret_meta = (struct gy_table_meta){.level = 1, .number = known->number};
    gy_name_table(name, known->number);
    status = gy_file_await_open(io, &s->source, name, 0, GY_IO_SCRUB, &file);
    if (status == GYRE_OK) {
        status = gy_file_await_size(io, &file, &size);
    }
    if (status == GYRE_OK && (size < GY_PAGE || !gy_is_aligned(size, GY_PAGE))) {
        status = gy_fail_at(&io->sched, GYRE_CORRUPT, name, size, 0, "the file was cut");
    }
    if (status == GYRE_OK) {
        status = gy_file_await_read(io, &file, GY_IO_SCRUB, page, GY_PAGE, size - GY_PAGE);
    }
    if (status == GYRE_OK) {
        status = gy_footer_decode(page, size, &footer);
        if (status != GYRE_OK) {
            (void)gy_fail_at(&io->sched, status, name, size - GY_PAGE, 0,
                             "the footer cannot be read");
        }
    }
    ret_meta->size = size;
    if (status == GYRE_OK) {
        ret_meta->file_id = footer.file_id;
        ret_meta->entry_count = footer.entry_count;
        ret_meta->delete_count = footer.delete_count;
        ret_meta->sequence_min = footer.sequence_min;
        ret_meta->sequence_max = footer.sequence_max;
        gy_salvage_add_store_id(s, footer.store_id);
    } else if (status == GYRE_CORRUPT && known->file_id != 0) {
        ret_meta->file_id = known->file_id;
        status = GYRE_OK;
    }
    (void)gy_file_await_close(io, &file); /* it was only read */
    gy_heap_unmap(&io->heap, page, GY_PAGE, GY_MEM_BUFFERS);
    return status;
}

/* First pass: what is readable, from which key to which. Then the table itself is used, or a copy
 * of its good parts. */
static GY_SUSPENDS gyre_status
await_read_table(struct table_pass *pass, struct gy_table_meta *meta)
{
    struct gy_salvage *s = pass->s;
    struct gy_table_check check = {.damage = pass_damage, .each = pass_note_keys, .arg = pass};
    struct gy_table *table = gy_table_make(&s->source_set, meta);
    gyre_status status;

    if (table == NULL) {
        return gy_salvage_no_memory(s);
    }
    status = gy_table_await_check(table, &check);
    s->result.entry_count += check.entry_count;
    if (status == GYRE_OK && check.entry_count > 0) {
        s->result.table_count++;
        if (check.damage_count > 0) {
            status = await_copy_table(pass, table);
        } else {
            struct gy_table *whole;

            meta->smallest = gyre_slice(pass->keys, pass->first_size);
            meta->largest = gyre_slice(pass->keys + GYRE_KEY_SIZE_MAX, pass->last_size);
            whole = gy_table_make(&s->source_set, meta);
            if (whole == NULL ||
                !gy_salvage_push_table(s, &s->tables, &s->table_count, &s->table_capacity, whole)) {
                gy_table_unref(whole);
                status = gy_salvage_no_memory(s);
            }
        }
    }
    gy_table_unref(table);
    return status;
}

static bool
is_wanted(const struct gy_salvage *s, const struct gy_salvage_file *file)
{
    return s->has_manifest ? file->live_count > 0
                           : file->is_there || (s->is_table_missing && file->live_count > 0);
}

/* For the progress: each table is read twice. */
static GY_SUSPENDS void
await_total(struct gy_salvage *s)
{
    struct gy_loop *io = &s->loop->io;

    for (uint32_t i = 0; i < s->file_count; i++) {
        struct gy_file file = GY_FILE_CLOSED;
        char name[GY_NAME_MAX];
        uint64_t size = 0;

        gy_name_table(name, s->files[i].number);
        if (is_wanted(s, &s->files[i]) && s->files[i].is_there &&
            gy_file_await_open(io, &s->source, name, 0, GY_IO_SCRUB, &file) == GYRE_OK &&
            gy_file_await_size(io, &file, &size) == GYRE_OK) {
            s->total += 2 * size;
        }
        (void)gy_file_await_close(io, &file); /* it was only looked at */
    }
}

static GY_SUSPENDS gyre_status
await_one_table(struct table_pass *pass, const struct gy_salvage_file *file)
{
    struct gy_salvage *s = pass->s;
    struct gy_table_meta meta = {0};
    gyre_status status;

    pass->first_size = 0;
    pass->last_size = 0;
    pass->is_quiet = false;
    if (!file->is_there) {
        char name[GY_NAME_MAX];

        gy_name_table(name, file->number);
        (void)gy_fail_at(&s->loop->io.sched, GYRE_CORRUPT, name, GY_NO_OFFSET, 0,
                         "a table of the store is missing");
        gy_salvage_damage(s);
        return GYRE_OK;
    }
    status = await_meta(s, file, &meta);
    if (status == GYRE_OK) {
        status = await_read_table(pass, &meta);
    }
    /* What failed on the target's side, or for want of memory, ends it all; what failed in reading
     * is damage. */
    if (status == GYRE_CORRUPT || status == GYRE_IO || status == GYRE_UNSUPPORTED) {
        if (pass->is_quiet) {
            return status;
        }
        gy_salvage_damage(s);
        status = GYRE_OK;
    }
    return status != GYRE_OK ? status : gy_salvage_progress(s, meta.size);
}

GY_SUSPENDS gyre_status
gy_salvage_await_tables(struct gy_salvage *s)
{
    struct gy_heap *heap = &s->loop->io.heap;
    struct table_pass pass = {.s = s,
                              .keys = gy_heap_alloc(heap, 2 * GYRE_KEY_SIZE_MAX, GY_MEM_CALL)};
    gyre_status status = GYRE_OK;

    if (pass.keys == NULL) {
        return gy_salvage_no_memory(s);
    }
    await_total(s);
    status = gy_salvage_progress(s, 0);
    for (uint32_t i = 0; status == GYRE_OK && i < s->file_count; i++) {
        const struct gy_salvage_file *file = &s->files[i];

        if (is_wanted(s, file)) {
            status = await_one_table(&pass, file);
        }
    }
    gy_heap_free(heap, pass.keys);
    return status;
}
