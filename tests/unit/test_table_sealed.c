/* test_table_sealed.c - tables that make no sense under checksums that are right: one thing in a
 * sound file is changed and what it lies in is sealed again. Every reader answers right or tells,
 * and the check tells of each. Chance damage is test_table.c; any bytes at all fuzz_table.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "engine/codec/checksum.h"
#include "engine/codec/coding.h"
#include "engine/codec/filter.h"
#include "engine/disk/table_open.h"
#include "io/base/bits.h"
#include "tests/support/disk_kit.h"

#define COUNT 12000u /* several partitions */
#define KEY_SIZE 9u
#define VALUE_SIZE 150u
#define FILE_MAX (4u << 20)
#define NAME "000009.sst"
#define PATH "/db/" NAME

struct rig {
    struct disk_kit kit;
    struct gy_entry entries[COUNT];
    uint8_t keys[COUNT][KEY_SIZE + 1];
    uint8_t value[VALUE_SIZE];
    uint8_t sound[FILE_MAX];
    uint8_t file[FILE_MAX]; /* changed */
    struct gy_table_meta meta;
    uint8_t smallest[KEY_SIZE];
    uint8_t largest[KEY_SIZE];
    struct gy_footer footer;
    const struct change *change;
    uint32_t told; /* reads that said so */
    uint64_t damage_count;
    char damage[sizeof(((struct gyre_error *)0)->text)];
};

/* ---- The parts of a file ---- */

/* A sealed block and the index in it. */
struct part {
    struct gy_block_handle handle;
    uint8_t *body;
    uint32_t size;  /* of the body */
    uint8_t *index; /* its entries: of a partition they stand behind the filter */
    uint32_t index_size;
};

static void
part_at(struct rig *rig, struct gy_block_handle handle, bool is_partition, struct part *ret_part)
{
    struct gy_partition partition;

    *ret_part = (struct part){.handle = handle,
                              .body = rig->file + handle.offset,
                              .size = handle.size - GY_BLOCK_TRAILER_SIZE};
    ret_part->index = ret_part->body;
    ret_part->index_size = ret_part->size;
    if (is_partition) {
        assert_int_equal(gy_partition_open(ret_part->body, ret_part->size, &partition), GYRE_OK);
        ret_part->index += partition.filter_size;
        ret_part->index_size -= partition.filter_size + GY_PARTITION_TAIL_SIZE;
    }
}

/* The handle that entry `at` of an index holds. */
static struct gy_block_handle
handle_in(const struct rig *rig, const struct part *part, uint32_t at)
{
    struct gy_block_handle handle;
    struct gy_block_iter iter;
    struct gy_block block;

    assert_int_equal(gy_block_open(part->index, part->index_size, &block), GYRE_OK);
    gy_block_iter_init(&iter, &block, NULL, 0);
    gy_block_iter_first(&iter);
    while (at-- > 0) {
        gy_block_iter_next(&iter);
    }
    assert_true(iter.valid);
    assert_int_equal(gy_block_handle_decode(iter.entry.value, rig->meta.size, &handle), GYRE_OK);
    return handle;
}

enum where { TOP, PARTITION, DATA };

/* The top index, its second partition, or the third data block of that. */
static void
find_part(struct rig *rig, enum where where, struct part *ret_part)
{
    part_at(rig, rig->footer.top, false, ret_part);
    if (where != TOP) {
        part_at(rig, handle_in(rig, ret_part, 1), true, ret_part);
    }
    if (where == DATA) {
        part_at(rig, handle_in(rig, ret_part, 2), false, ret_part);
    }
}

static void
seal(struct rig *rig, const struct part *part)
{
    gy_put_u64(part->body + part->size + 8,
               gy_checksum(part->body, (size_t)part->size + 8,
                           gy_block_seed(rig->meta.file_id, part->handle.offset)));
}

/* Where in the part the fields of entry `at` are. */
struct fields {
    uint8_t *shared;
    uint8_t *tag;
    uint8_t *key; /* what is not shared of it */
    uint32_t unshared;
    uint8_t *value;
    uint32_t value_size;
};

static void
fields_of(const struct part *part, uint32_t at, struct fields *ret_fields)
{
    const uint8_t *end = part->index + part->index_size;
    const uint8_t *next = part->index;
    uint32_t shared;
    uint64_t tag;

    do {
        ret_fields->shared = part->index + (next - part->index);
        next = gy_get_varint32(next, end, &shared);
        next = gy_get_varint32(next, end, &ret_fields->unshared);
        next = gy_get_varint32(next, end, &ret_fields->value_size);
        ret_fields->tag = part->index + (next - part->index);
        next = gy_get_varint64(next, end, &tag);
        assert_non_null(next);
        ret_fields->key = part->index + (next - part->index);
        ret_fields->value = ret_fields->key + ret_fields->unshared;
        next = ret_fields->value + ret_fields->value_size;
    } while (at-- > 0);
}

static uint32_t
count_entries(const struct part *part)
{
    struct gy_block_iter iter;
    struct gy_block block;
    uint32_t count = 0;

    assert_int_equal(gy_block_open(part->index, part->index_size, &block), GYRE_OK);
    gy_block_iter_init(&iter, &block, NULL, 0);
    for (gy_block_iter_first(&iter); iter.valid; gy_block_iter_next(&iter)) {
        count++;
    }
    return count;
}

/* ---- Changes ---- */

static void
change_tag_kind(struct part *part)
{
    struct fields fields;

    fields_of(part, 3, &fields);
    *fields.tag = (*fields.tag & 0x80) | 7;
}

static void
change_shared(struct part *part)
{
    struct fields fields;

    fields_of(part, 1, &fields);
    *fields.shared = 0x7f;
}

static void
change_first_shared(struct part *part)
{
    part->index[0] = 1; /* a restart shares nothing */
}

static void
change_handle(struct part *part)
{
    struct fields fields;

    fields_of(part, 1, &fields);
    fields.value[fields.value_size - 1] = 0; /* an integer with more bytes than it needs */
}

static void
change_last_key(struct part *part)
{
    struct fields fields;

    fields_of(part, count_entries(part) - 1, &fields);
    assert_true(fields.unshared > 0 && fields.key[fields.unshared - 1] > 0);
    fields.key[fields.unshared - 1]--;
}

static void
change_count(struct part *part)
{
    gy_put_u32(part->index + part->index_size - 4, 0);
}

static void
change_filter(struct part *part)
{
    memset(part->body, 0, (size_t)(part->index - part->body));
}

static void
change_block_kind(struct part *part)
{
    uint8_t *kind = part->body + part->size + 1;

    *kind = *kind == GY_BLOCK_PARTITION ? GY_BLOCK_TOP_INDEX : GY_BLOCK_PARTITION;
}

static void
change_compression(struct part *part)
{
    part->body[part->size] = GY_BLOCK_ZSTD;
}

/* ---- Fields of the footer, and of the manifest's entry ---- */

static void
change_file_id(struct rig *rig)
{
    rig->footer.file_id++;
}

static void
change_keyspace(struct rig *rig)
{
    rig->footer.keyspace = 1;
}

static void
change_delete_count(struct rig *rig)
{
    rig->footer.delete_count++;
}

static void
change_sequence_min(struct rig *rig)
{
    rig->footer.sequence_min--;
}

static void
change_sequence_max(struct rig *rig)
{
    rig->footer.sequence_max++;
}

static void
change_both_delete_counts(struct rig *rig)
{
    rig->footer.delete_count++;
    rig->meta.delete_count++;
}

static void
change_both_entry_counts(struct rig *rig)
{
    rig->footer.entry_count++;
    rig->meta.entry_count++;
}

static void
change_partition_count(struct rig *rig)
{
    rig->footer.partition_count++;
}

static void
change_content_hash(struct rig *rig)
{
    rig->footer.content_hash++;
}

static void
change_smallest(struct rig *rig)
{
    rig->smallest[KEY_SIZE - 1]--;
}

static void
change_largest(struct rig *rig)
{
    rig->largest[KEY_SIZE - 1]++;
}

struct change {
    const char *name;
    const char *text; /* of the check's first report */
    enum where where;
    void (*part)(struct part *part);
    void (*whole)(struct rig *rig);
    bool is_unseen; /* what is read is right all the same, or only the check can tell */
};

static const struct change changes[] = {
    {"kind of an entry", "of an unknown kind", DATA, change_tag_kind, NULL, false},
    {"shared of an entry", "does not decode", DATA, change_shared, NULL, false},
    {"shared of a restart", "does not decode", DATA, change_first_shared, NULL, false},
    {"restarts of a block", "does not decode", DATA, change_count, NULL, false},
    {"kind of a block", "another kind", DATA, change_block_kind, NULL, false},
    {"compression of a block", "does not decompress", DATA, change_compression, NULL, false},
    {"kind of a partition", "another kind", PARTITION, change_block_kind, NULL, false},
    {"compression of a partition", "does not decode", PARTITION, change_compression, NULL, false},
    {"handle in an index", "leads nowhere", PARTITION, change_handle, NULL, false},
    {"shared in an index", "does not decode", PARTITION, change_shared, NULL, false},
    {"shared of a restart in an index", "does not decode", PARTITION, change_first_shared, NULL,
     false},
    {"restarts of an index", "does not decode", PARTITION, change_count, NULL, false},
    {"last key of an index", "lies beyond", PARTITION, change_last_key, NULL, false},
    {"filter", "filter denies", PARTITION, change_filter, NULL, true},
    {"handle in the top index", "leads nowhere", TOP, change_handle, NULL, false},
    {"shared in the top index", "does not decode", TOP, change_shared, NULL, false},
    {"shared of a restart in the top index", "does not decode", TOP, change_first_shared, NULL,
     false},
    {"restarts of the top index", "does not decode", TOP, change_count, NULL, false},
    {"kind of the top index", "another kind", TOP, change_block_kind, NULL, false},
    {"compression of the top index", "another kind", TOP, change_compression, NULL, false},
    {"file id", "another table", TOP, NULL, change_file_id, false},
    {"keyspace", "another table", TOP, NULL, change_keyspace, false},
    {"delete count", "counts in the footer", TOP, NULL, change_delete_count, false},
    {"smallest sequence", "counts in the footer", TOP, NULL, change_sequence_min, false},
    {"largest sequence", "counts in the footer", TOP, NULL, change_sequence_max, false},
    {"both delete counts", "counts differ", TOP, NULL, change_both_delete_counts, true},
    {"both entry counts", "counts differ", TOP, NULL, change_both_entry_counts, true},
    {"partition count", "counts differ", TOP, NULL, change_partition_count, true},
    {"content hash", "content differs", TOP, NULL, change_content_hash, true},
    {"smallest key", "first or last key", TOP, NULL, change_smallest, true},
    {"largest key", "first or last key", TOP, NULL, change_largest, true},
};

static void
make_change(struct rig *rig)
{
    const struct change *change = rig->change;
    struct part part;

    memcpy(rig->file, rig->sound, rig->meta.size);
    assert_int_equal(
        gy_footer_decode(rig->file + rig->meta.size - GY_FOOTER_SIZE, rig->meta.size, &rig->footer),
        GYRE_OK);
    if (change->part != NULL) {
        find_part(rig, change->where, &part);
        change->part(&part);
        seal(rig, &part);
    } else {
        change->whole(rig);
        gy_footer_encode(rig->file + rig->meta.size - GY_FOOTER_SIZE, &rig->footer);
    }
    assert_true(gy_sim_disk_poke(rig->kit.disk, PATH, 0, rig->file, rig->meta.size) >= 0);
}

/* ---- Asking ---- */

static void
note_told(struct rig *rig, gyre_status status)
{
    if (status != GYRE_CORRUPT && status != GYRE_UNSUPPORTED) {
        fail_msg("%s: %s", rig->change->name, gyre_status_name(status));
    }
    assert_string_equal(disk_kit_error(&rig->kit)->file, NAME);
    rig->told++;
}

static void
check_entry(const struct rig *rig, const struct gy_entry *entry, uint32_t at)
{
    if (at >= COUNT || gy_entry_hash(entry) != gy_entry_hash(&rig->entries[at])) {
        fail_msg("%s: a wrong entry for %u", rig->change->name, at);
    }
}

/* What can be said without reading is right, too: where there is damage nothing is. */
static void
check_try(struct rig *rig, struct gy_table *table, uint32_t i)
{
    const struct gyre_slice key = rig->entries[i].key;
    struct gy_table_result result;

    if (gy_table_try_get(table, key, gy_filter_hash(key), GY_SEQUENCE_MAX, &result) &&
        (result.found || rig->change->part != change_filter)) {
        check_entry(rig,
                    &(struct gy_entry){
                        .key = key, .tag = result.found ? result.tag : 0, .value = result.value},
                    i);
        gy_cache_unpin(rig->kit.cache, &result.pin);
    }
}

GY_SUSPENDS static void
await_gets(struct rig *rig, struct gy_table *table)
{
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct gyre_slice key = rig->entries[i].key;
        struct gy_table_result result;
        const gyre_status status = gy_table_await_get(table, key, gy_filter_hash(key),
                                                      GY_SEQUENCE_MAX, GY_CACHE_NORMAL, &result);
        uint64_t offset;

        if (status != GYRE_OK) {
            note_told(rig, status);
        } else if (result.found || rig->change->part != change_filter) {
            check_entry(rig,
                        &(struct gy_entry){.key = key,
                                           .tag = result.found ? result.tag : 0,
                                           .value = result.value},
                        i);
            gy_cache_unpin(rig->kit.cache, &result.pin);
        }
        check_try(rig, table, i);
        if (i % 16 == 0) {
            (void)gy_table_await_offset(table, key, &offset); /* an estimate: any answer will do */
        }
    }
}

GY_SUSPENDS static void
await_walk(struct rig *rig, struct gy_table *table, enum gy_table_cursor_mode mode,
           uint32_t readahead)
{
    struct gy_cursor *cursor;
    uint32_t at = 0;

    assert_int_equal(gy_table_cursor_make(table, mode, GY_CACHE_NORMAL, readahead, &cursor),
                     GYRE_OK);
    for (gy_cursor_await_first(cursor); cursor->valid; gy_cursor_await_next(cursor)) {
        check_entry(rig, &cursor->entry, at++);
    }
    if (cursor->status != GYRE_OK) {
        note_told(rig, cursor->status);
    } else {
        assert_int_equal(at, COUNT);
    }
    at = COUNT;
    for (gy_cursor_await_last(cursor); cursor->valid; gy_cursor_await_prev(cursor)) {
        check_entry(rig, &cursor->entry, --at);
    }
    if (cursor->status != GYRE_OK) {
        note_told(rig, cursor->status);
    } else {
        assert_int_equal(at, 0);
    }
    gy_cursor_close(cursor);
}

GY_SUSPENDS static void
await_seeks(struct rig *rig, struct gy_table *table)
{
    struct gy_cursor *cursor;

    assert_int_equal(gy_table_cursor_make(table, GY_CURSOR_USER, GY_CACHE_NORMAL, 0, &cursor),
                     GYRE_OK);
    for (uint32_t i = 1; i < COUNT; i += 3) {
        gy_cursor_prepare_seek(cursor, rig->entries[i].key, UINT64_MAX);
        gy_cursor_await_seek(cursor, rig->entries[i].key, UINT64_MAX);
        if (cursor->status != GYRE_OK) {
            note_told(rig, cursor->status);
        } else {
            assert_true(cursor->valid);
            check_entry(rig, &cursor->entry, i);
        }
        gy_cursor_await_seek_before(cursor, rig->entries[i].key, UINT64_MAX);
        if (cursor->status != GYRE_OK) {
            note_told(rig, cursor->status);
        } else {
            assert_true(cursor->valid);
            check_entry(rig, &cursor->entry, i - 1);
        }
    }
    gy_cursor_close(cursor);
}

static void
on_damage(void *arg, const struct gyre_error *error)
{
    struct rig *rig = arg;

    assert_string_equal(error->file, NAME);
    if (rig->damage[0] == '\0') {
        (void)snprintf(rig->damage, sizeof(rig->damage), "%s", error->text);
    }
    rig->damage_count++;
}

static gyre_status
on_entry(void *arg, const struct gy_entry *entry)
{
    const struct rig *rig = arg;
    uint32_t number = 0;

    assert_int_equal(entry->key.size, KEY_SIZE);
    assert_int_equal(sscanf(entry->key.data, "key%6u", &number), 1);
    check_entry(rig, entry, number);
    return GYRE_OK;
}

/* The check reports, and what salvage gets from it is right. */
GY_SUSPENDS static void
await_check(struct rig *rig, struct gy_table *table, bool is_salvage)
{
    struct gy_table_check check = {
        .damage = on_damage, .each = is_salvage ? on_entry : NULL, .arg = rig};

    rig->damage_count = 0;
    rig->damage[0] = '\0';
    assert_int_equal(gy_table_await_check(table, &check), GYRE_OK);
    assert_int_equal(check.damage_count, rig->damage_count);
    if (rig->damage_count == 0 || strstr(rig->damage, rig->change->text) == NULL) {
        fail_msg("%s: the check says '%s'", rig->change->name, rig->damage);
    }
}

static void
make_entries(struct rig *rig)
{
    for (uint32_t i = 0; i < COUNT; i++) {
        (void)snprintf((char *)rig->keys[i], sizeof(rig->keys[i]), "key%06u", i);
        rig->entries[i] = (struct gy_entry){.key = gyre_slice(rig->keys[i], KEY_SIZE),
                                            .tag = gy_tag(1000 + i, GY_KIND_PUT),
                                            .value = gyre_slice(rig->value, VALUE_SIZE - i % 7)};
    }
}

static void
ask_main(void *arg)
{
    struct rig *rig = arg;
    struct gy_table *table;

    gy_in_coroutine();
    table = disk_kit_await_table(&rig->kit, &(struct disk_kit_table_options){.number = 9},
                                 rig->entries, COUNT);
    assert_true(table->meta.size <= FILE_MAX);
    assert_int_equal(gy_sim_disk_peek(rig->kit.disk, PATH, 0, rig->sound, table->meta.size),
                     table->meta.size);
    rig->meta = table->meta;
    memcpy(rig->smallest, table->meta.smallest.data, KEY_SIZE);
    memcpy(rig->largest, table->meta.largest.data, KEY_SIZE);
    rig->meta.smallest = gyre_slice(rig->smallest, KEY_SIZE);
    rig->meta.largest = gyre_slice(rig->largest, KEY_SIZE);
    gy_table_unref(table);
    make_change(rig);
    assert_in_range(rig->footer.partition_count, 3, 10);
    gy_cache_await_forget(rig->kit.cache, 0, 0);
    table = gy_table_make(&rig->kit.set, &rig->meta);
    assert_non_null(table);
    rig->told = 0;
    await_gets(rig, table);
    await_walk(rig, table, GY_CURSOR_USER, 0);
    await_walk(rig, table, GY_CURSOR_USER, 64 * 1024);
    await_walk(rig, table, GY_CURSOR_COMPACT, 0);
    await_seeks(rig, table);
    if ((rig->told == 0) != rig->change->is_unseen) {
        fail_msg("%s: told %u times", rig->change->name, rig->told);
    }
    await_check(rig, table, false);
    await_check(rig, table, true);
    gy_table_unref(table);
}

/* Goal:   whatever does not make sense in a table is told, by name, and nothing else of it is read
 *         wrongly: by gets, walks, seeks, by what compaction reads, by the check and by salvage.
 * Method: one change at a time to a table of several partitions, sealed again. (A filter that
 *         denies what is there, or sums that do not add up, only the check can see.) */
static void
table_sealed_with_care_is_read_right_or_told(void **state)
{
    static struct rig rig;
    (void)state;

    make_entries(&rig);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        rig.change = &changes[i];
        disk_kit_make(&rig.kit, &(struct disk_kit_config){.seed = i});
        disk_kit_run(&rig.kit, ask_main, &rig);
        disk_kit_free(&rig.kit);
    }
}

static void
unreadable_main(void *arg)
{
    struct rig *rig = arg;
    struct gy_sim_faults faults = {.rule_count = 1};
    struct gy_table *table;
    uint32_t struck = 0;

    gy_in_coroutine();
    table = disk_kit_await_table(&rig->kit, &(struct disk_kit_table_options){.number = 9},
                                 rig->entries, COUNT);
    rig->file[0] = 0xa5;
    assert_true(gy_sim_disk_poke(rig->kit.disk, PATH, table->meta.size - 100, rig->file, 1) >= 0);
    for (uint32_t strikes = 1; strikes <= 3; strikes++) {
        for (uint64_t nth = 2; nth < 12; nth++) { /* the first one is of the footer */
            struct gy_table_check check = {.damage = on_damage, .each = on_entry, .arg = rig};

            faults.rules[0] = (struct gy_sim_rule){.fault = GY_SIM_FAULT_ERROR,
                                                   .op_mask = 1u << GY_OP_READ,
                                                   .nth = nth,
                                                   .is_repeated = true,
                                                   .strikes_max = strikes};
            gy_table_set_await_close_all(&rig->kit.set);
            gy_world_sim_set_faults(rig->kit.world, &faults);
            assert_int_equal(gy_table_await_check(table, &check), GYRE_OK);
            struck += gy_world_sim_strike_count(rig->kit.world, 0) == strikes;
            gy_world_sim_set_faults(rig->kit.world, NULL);
            assert_int_equal(check.damage_count, 1); /* the footer */
            /* A read that fails is made again, smaller; then a block is lost at the most. */
            assert_in_range(check.entry_count, strikes == 1 ? COUNT : COUNT - 40, COUNT);
        }
    }
    assert_in_range(struck, 15, 30);
    gy_table_unref(table);
}

/* Goal:   salvage of a table without a footer goes on behind what the device cannot read.
 * Method: one, two and three reads in a row fail, wherever they fall. */
static void
table_salvage_goes_on_behind_what_cannot_be_read(void **state)
{
    static const struct change no_change = {.name = "none"};
    static struct rig rig;
    (void)state;

    make_entries(&rig);
    rig.change = &no_change;
    disk_kit_make(&rig.kit, NULL);
    disk_kit_run(&rig.kit, unreadable_main, &rig);
    disk_kit_free(&rig.kit);
}

static gyre_status
stop_at_third(void *arg, const struct gy_entry *entry)
{
    uint32_t *count = arg;

    (void)entry;
    return ++*count == 3 ? GYRE_CANCELED : GYRE_OK;
}

static void
stopped_main(void *arg)
{
    struct rig *rig = arg;
    const struct gy_sim_faults faults = {.rule_count = 1,
                                         .rules = {{.fault = GY_SIM_FAULT_ERROR,
                                                    .op_mask = 1u << GY_OP_READ,
                                                    .nth = 1,
                                                    .is_repeated = true,
                                                    .os_errno = ENOMEM}}};
    uint32_t count = 0;
    struct gy_table_check check = {.each = stop_at_third, .arg = &count};
    struct gy_table *table;

    gy_in_coroutine();
    table = disk_kit_await_table(&rig->kit, &(struct disk_kit_table_options){.number = 9},
                                 rig->entries, COUNT);
    assert_int_equal(gy_table_await_check(table, &check), GYRE_CANCELED);
    assert_int_equal(count, 3);
    assert_int_equal(check.damage_count, 0);
    check = (struct gy_table_check){.each = on_entry, .arg = rig};
    gy_world_sim_set_faults(rig->kit.world, &faults);
    assert_int_equal(gy_table_await_check(table, &check), GYRE_NO_MEMORY);
    gy_world_sim_set_faults(rig->kit.world, NULL);
    assert_int_equal(check.damage_count, 0);
    gy_table_set_await_close_all(&rig->kit.set);
    for (int64_t size = 100; size >= 0; size -= 100) { /* less than a page, then nothing */
        assert_int_equal(gy_sim_disk_resize(rig->kit.disk, PATH, (uint64_t)size), 0);
        assert_int_equal(gy_table_await_check(table, &check), GYRE_OK);
        assert_int_equal(check.damage_count, 1);
        assert_int_equal(check.entry_count, 0);
    }
    assert_int_equal(gy_sim_disk_remove(rig->kit.disk, PATH), 0);
    assert_int_equal(gy_table_await_check(table, &check), GYRE_OK);
    assert_int_equal(check.damage_count, 1);
    gy_table_unref(table);
}

/* Goal:   a check that cannot go on is no check that has found nothing: who takes its entries, and
 *         memory that is missing, stop it with their status; what is not there is damage.
 * Method: a taker that says no, a device without memory, a file that is cut to nothing and removed.
 */
static void
table_check_says_why_it_stopped(void **state)
{
    static const struct change no_change = {.name = "none"};
    static struct rig rig;
    (void)state;

    make_entries(&rig);
    rig.change = &no_change;
    disk_kit_make(&rig.kit, NULL);
    disk_kit_run(&rig.kit, stopped_main, &rig);
    disk_kit_free(&rig.kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_sealed_with_care_is_read_right_or_told),
        cmocka_unit_test(table_salvage_goes_on_behind_what_cannot_be_read),
        cmocka_unit_test(table_check_says_why_it_stopped),
    };

    return cmocka_run_group_tests_name("table_sealed", tests, NULL, NULL);
}
