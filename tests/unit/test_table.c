/* test_table.c - tables written and read back on the simulated disk: every shape, both directions,
 * every damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/codec/filter.h"
#include "engine/disk/table_open.h"
#include "io/base/bits.h"
#include "tests/support/disk_kit.h"

/* ---- Content ---- */

struct content {
    struct gy_entry *entries;
    uint32_t count;
    uint8_t *bytes; /* of all keys and values */
};

/* What entry i of a shape is like. */
struct shape {
    const char *name;
    uint32_t count;
    uint32_t key_size; /* at least 8 */
    uint32_t value_size;
    uint32_t value_vary; /* value_size + 0..vary */
    uint32_t versions;   /* of each key */
    struct disk_kit_table_options options;
};

static void
content_make(struct content *content, const struct shape *shape)
{
    const uint32_t versions = shape->versions != 0 ? shape->versions : 1;
    const size_t each = shape->key_size + shape->value_size + shape->value_vary;
    struct gy_rng rng;
    uint8_t *at;

    gy_rng_init(&rng, shape->count + shape->key_size);
    content->count = shape->count;
    content->entries = calloc(shape->count, sizeof(content->entries[0]));
    content->bytes = malloc(each * shape->count + 1);
    assert_non_null(content->entries);
    assert_non_null(content->bytes);
    at = content->bytes;
    for (uint32_t i = 0; i < shape->count; i++) {
        const size_t value_size = shape->value_size + gy_rng_below(&rng, shape->value_vary + 1);
        const uint32_t version = i % versions;
        char digits[16];

        /* Even numbers only, so that there are absent keys between all. */
        (void)snprintf(digits, sizeof(digits), "%08u", 2 * (i / versions) + 2);
        memset(at, 'k', shape->key_size);
        memcpy(at + shape->key_size - 8, digits, 8);
        content->entries[i].key = gyre_slice(at, shape->key_size);
        at += shape->key_size;
        for (size_t b = 0; b < value_size; b++) {
            at[b] = (uint8_t)(shape->options.compress ? b % 7 + i % 3 : gy_rng_next(&rng));
        }
        content->entries[i].value = gyre_slice(at, value_size);
        content->entries[i].tag =
            gy_tag(100 + 10 * (versions - version), i % 5 == 3 ? GY_KIND_DELETE : GY_KIND_PUT);
        at += value_size;
    }
}

static void
content_free(struct content *content)
{
    free(content->entries);
    free(content->bytes);
}

static void
assert_entry(const struct gy_entry *entry, const struct gy_entry *expected)
{
    assert_int_equal(entry->key.size, expected->key.size);
    assert_memory_equal(entry->key.data, expected->key.data, expected->key.size);
    assert_true(entry->tag == expected->tag);
    assert_int_equal(entry->value.size, expected->value.size);
    assert_memory_equal(entry->value.data, expected->value.data, expected->value.size);
}

static uint32_t
content_seek(const struct content *content, struct gyre_slice key, uint64_t tag)
{
    uint32_t low = 0;
    uint32_t high = content->count;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (gy_entry_compare(content->entries[middle].key, content->entries[middle].tag, key, tag) <
            0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- Reading back ---- */

GY_SUSPENDS static void
await_check_get(struct gy_table *table, const struct content *content, struct gyre_slice key,
                uint64_t sequence)
{
    const uint32_t at = content_seek(content, key, gy_tag_seek(sequence));
    const bool found = at < content->count && gy_key_compare(content->entries[at].key, key) == 0;
    struct gy_table_result result;
    struct gy_table_result again;

    assert_int_equal(
        gy_table_await_get(table, key, gy_filter_hash(key), sequence, GY_CACHE_NORMAL, &result),
        GYRE_OK);
    assert_int_equal(result.found, found);
    if (found) {
        assert_true(result.tag == content->entries[at].tag);
        assert_int_equal(result.value.size, content->entries[at].value.size);
        assert_memory_equal(result.value.data, content->entries[at].value.data, result.value.size);
    }
    if (gy_table_try_get(table, key, gy_filter_hash(key), sequence, &again)) {
        assert_int_equal(again.found, found);
        assert_int_equal(again.value.size, result.value.size);
        gy_cache_unpin(table->set->cache, &again.pin);
    } /* else: blocks larger than a frame are not cached */
    gy_cache_unpin(table->set->cache, &result.pin);
}

GY_SUSPENDS static void
await_check_gets(struct gy_table *table, const struct content *content, uint32_t step)
{
    for (uint32_t i = 0; i < content->count; i += step) {
        const struct gy_entry *entry = &content->entries[i];
        const uint64_t sequence = gy_tag_sequence(entry->tag);
        uint8_t *other = malloc(entry->key.size + 1);

        await_check_get(table, content, entry->key, GY_SEQUENCE_MAX);
        await_check_get(table, content, entry->key, sequence);
        await_check_get(table, content, entry->key, sequence - 1);
        memcpy(other, entry->key.data, entry->key.size);
        other[entry->key.size] = 0;
        await_check_get(table, content, gyre_slice(other, entry->key.size - 1), GY_SEQUENCE_MAX);
        if (entry->key.size < GY_KEY_SIZE_MAX) {
            await_check_get(table, content, gyre_slice(other, entry->key.size + 1),
                            GY_SEQUENCE_MAX);
        }
        other[entry->key.size - 1]++;
        await_check_get(table, content, gyre_slice(other, entry->key.size), GY_SEQUENCE_MAX);
        free(other);
    }
}

GY_SUSPENDS static void
await_check_walks(struct gy_table *table, const struct content *content,
                  enum gy_table_cursor_mode mode, uint32_t readahead)
{
    struct gy_cursor *cursor;

    assert_int_equal(gy_table_cursor_make(table, mode, GY_CACHE_NORMAL, readahead, &cursor),
                     GYRE_OK);
    gy_cursor_await_first(cursor);
    for (uint32_t i = 0; i < content->count; i++) {
        assert_true(cursor->valid);
        assert_entry(&cursor->entry, &content->entries[i]);
        gy_cursor_await_next(cursor);
    }
    assert_false(cursor->valid);
    assert_int_equal(cursor->status, GYRE_OK);
    gy_cursor_await_last(cursor);
    for (uint32_t i = content->count; i > 0; i--) {
        assert_true(cursor->valid);
        assert_entry(&cursor->entry, &content->entries[i - 1]);
        gy_cursor_await_prev(cursor);
    }
    assert_false(cursor->valid);
    assert_int_equal(cursor->status, GYRE_OK);
    gy_cursor_close(cursor);
}

/* The cursor stands at entry `at` (count: nowhere). */
static void
assert_at(const struct gy_cursor *cursor, const struct content *content, uint32_t at)
{
    assert_int_equal(cursor->status, GYRE_OK);
    assert_int_equal(cursor->valid, at < content->count);
    if (cursor->valid) {
        assert_entry(&cursor->entry, &content->entries[at]);
    }
}

/* Seek at, before and behind entries, then walk some steps either way and turn round. */
GY_SUSPENDS static void
await_check_seeks(struct gy_table *table, const struct content *content, uint32_t step)
{
    struct gy_cursor *cursor;
    struct gy_rng rng;

    gy_rng_init(&rng, 99);
    assert_int_equal(gy_table_cursor_make(table, GY_CURSOR_USER, GY_CACHE_NORMAL, 0, &cursor),
                     GYRE_OK);
    for (uint32_t i = 0; i < content->count; i += step) {
        const struct gy_entry *entry = &content->entries[i];
        const uint64_t tags[] = {entry->tag, entry->tag + 1, entry->tag - 1, UINT64_MAX, 0};
        uint32_t at = i;

        for (size_t t = 0; t < sizeof(tags) / sizeof(tags[0]); t++) {
            at = content_seek(content, entry->key, tags[t]);
            if (t % 2 == 0) {
                gy_cursor_prepare_seek(cursor, entry->key, tags[t]);
            }
            gy_cursor_await_seek(cursor, entry->key, tags[t]);
            assert_at(cursor, content, at);
            gy_cursor_await_seek_before(cursor, entry->key, tags[t]);
            assert_at(cursor, content, at != 0 ? at - 1 : content->count);
        }
        gy_cursor_await_seek(cursor, entry->key, entry->tag);
        at = i;
        for (uint32_t n = 0; n < 12 && cursor->valid; n++) {
            if (gy_rng_below(&rng, 3) != 0) {
                gy_cursor_await_next(cursor);
                at++;
            } else if (at == 0) {
                break;
            } else {
                gy_cursor_await_prev(cursor);
                at--;
            }
            assert_at(cursor, content, at);
        }
    }
    gy_cursor_close(cursor);
}

/* ---- Shapes ---- */

struct shape_run {
    struct disk_kit kit;
    const struct shape *shape;
};

GY_SUSPENDS static void
await_no_damage(struct gy_table *table, const struct content *content)
{
    struct gy_table_check check = {0};

    assert_int_equal(gy_table_await_check(table, &check), GYRE_OK);
    assert_int_equal(check.damage_count, 0);
    assert_int_equal(check.entry_count, content->count);
}

static void
shape_body(void *arg)
{
    struct shape_run *run = arg;
    const struct shape *shape = run->shape;
    struct content content;
    struct gy_footer footer;
    struct gy_table *table;
    uint32_t step;

    gy_in_coroutine();
    content_make(&content, shape);
    step = 1 + content.count / 150;
    table = disk_kit_await_table(&run->kit, &shape->options, content.entries, content.count);
    assert_int_equal(gy_table_await_footer(table, &footer), GYRE_OK);
    assert_int_equal(footer.entry_count, content.count);
    assert_int_equal(footer.key_size_max, shape->key_size);
    assert_int_equal(footer.compression, shape->options.compress);
    assert_int_equal(gy_key_compare(table->meta.smallest, content.entries[0].key), 0);
    assert_int_equal(gy_key_compare(table->meta.largest, content.entries[content.count - 1].key),
                     0);
    await_check_gets(table, &content, step);
    await_check_walks(table, &content, GY_CURSOR_USER, 0);
    await_check_walks(table, &content, GY_CURSOR_USER, 64 * 1024);
    await_check_walks(table, &content, GY_CURSOR_COMPACT, 0);
    await_check_walks(table, &content, GY_CURSOR_SCRUB, 0);
    await_check_seeks(table, &content, step);
    await_no_damage(table, &content);
    gy_table_unref(table);
    content_free(&content);
}

static const struct shape shapes[] = {
    {"one entry", 1, 8, 10, 0, 1, {0}},
    {"one entry, empty value", 1, 8, 0, 0, 1, {0}},
    {"two entries", 2, 16, 100, 0, 1, {0}},
    {"small", 3000, 16, 100, 0, 1, {0}},
    {"no filter", 500, 16, 100, 0, 1, {.bloom_bits = UINT32_MAX}},
    {"varied", 800, 16, 300, 1500, 1, {0}},
    {"1 KiB", 1500, 16, 1024, 0, 1, {0}},
    {"versions", 2000, 16, 60, 0, 7, {0}},
    {"versions over blocks", 600, 16, 1000, 0, 200, {0}},
    {"one key, all versions", 300, 16, 700, 0, 300, {0}},
    {"keys over partitions", 4000, 16, 900, 0, 700, {0}},
    {"block 4095", 50, 16, 4095 - 16 - 8 - 4 - 16 - 4, 9, 1, {0}},
    {"value 4096", 40, 16, 4096, 0, 1, {0}},
    {"blocks of 16 KiB", 800, 16, 200, 100, 1, {.block_size = 16384}},
    {"blocks of 64 KiB", 2000, 16, 200, 100, 1, {.block_size = 65536}},
    {"values around the largest frame", 24, 16, 65000, 1100, 1, {0}},
    {"1 MiB values", 4, 16, 1 << 20, 5, 1, {0}},
    {"keys of 64 KiB", 20, 65536, 10, 0, 2, {0}},
    {"keys of 3000 bytes", 300, 3000, 10, 0, 1, {0}},
    {"compressed", 3000, 16, 100, 0, 1, {.compress = true}},
    {"compressed, varied", 500, 16, 64, 3000, 3, {.compress = true}},
    {"compressed, 64 KiB blocks", 3000, 16, 200, 0, 1, {.block_size = 65536, .compress = true}},
    {"compressed, large values", 30, 16, 60000, 9000, 1, {.compress = true}},
};

/* Goal:   whatever the shape, what was written is read: by get at every version, by seek at, before
 * and behind each key, by
 *         walks both ways in every mode.
 * Method: shapes around the edges of blocks, pages, frames and partitions; compared with a sorted
 * array. */
static void
table_reads_back_what_was_written(void **state)
{
    static struct shape_run run;
    (void)state;

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        const struct disk_kit_config config = {.seed = i,
                                               .chaos = i % 2 == 1,
                                               .short_transfers = i % 3 == 2,
                                               .buffer_count = i % 4 == 3 ? 2 : 16};

        if (getenv("GYRE_VERBOSE") != NULL) {
            print_message("%s\n", shapes[i].name);
        }
        run.shape = &shapes[i];
        disk_kit_make(&run.kit, &config);
        disk_kit_run(&run.kit, shape_body, &run);
        disk_kit_free(&run.kit);
    }
}

/* ---- Sizes around a page ---- */

struct edge_run {
    struct disk_kit kit;
    uint32_t value_size;
};

static void
edge_body(void *arg)
{
    struct edge_run *run = arg;
    static uint8_t value[8192];
    const struct gy_entry entries[2] = {
        {.key = gyre_str("a"), .tag = 257, .value = gyre_slice(value, run->value_size)},
        {.key = gyre_str("b"), .tag = 257, .value = gyre_slice(value, 10)}};
    struct content content = {.entries = (struct gy_entry *)(uintptr_t)entries, .count = 2};
    struct gy_table *table;

    gy_in_coroutine();
    table = disk_kit_await_table(
        &run->kit, &(struct disk_kit_table_options){.number = run->value_size}, entries, 2);
    await_check_gets(table, &content, 1);
    await_check_walks(table, &content, GY_CURSOR_USER, 0);
    await_no_damage(table, &content);
    gy_table_unref(table);
}

/* Goal:   no size of a block on or around a page's end is read wrong.
 * Method: a first value of each size from 3900 to 4110, and around 8 KiB. */
static void
table_reads_back_blocks_of_every_size_around_a_page(void **state)
{
    static struct edge_run run;
    (void)state;

    disk_kit_make(&run.kit, NULL);
    for (run.value_size = 4030; run.value_size < 4110; run.value_size++) {
        disk_kit_run(&run.kit, edge_body, &run);
    }
    for (run.value_size = 8140; run.value_size < 8192; run.value_size++) {
        disk_kit_run(&run.kit, edge_body, &run);
    }
    disk_kit_free(&run.kit);
}

/* ---- Damage ---- */

struct flip_run {
    struct disk_kit kit;
    struct content content;
    struct gy_table_meta meta;
    uint8_t keys[64];
    bool compress;
    uint64_t size;
    uint64_t reported;
    uint64_t wrong;
};

static void
on_damage(void *arg, const struct gyre_error *error)
{
    struct flip_run *run = arg;

    assert_string_equal(error->file, "000009.sst");
    assert_non_null(strstr(error->text, "000009.sst"));
    run->reported++;
}

/* Each read is right or says which file is damaged. */
GY_SUSPENDS static void
await_read_damaged(struct flip_run *run, struct gy_table *table, bool *ret_refused)
{
    struct gy_table_check check = {.damage = on_damage, .arg = run};
    struct gy_cursor *cursor;
    uint32_t seen = 0;

    for (uint32_t i = 0; i < run->content.count; i += 5) {
        const struct gy_entry *entry = &run->content.entries[i];
        struct gy_table_result result;
        const gyre_status st = gy_table_await_get(table, entry->key, gy_filter_hash(entry->key),
                                                  GY_SEQUENCE_MAX, GY_CACHE_NORMAL, &result);

        if (st == GYRE_OK) {
            run->wrong += !result.found || result.tag != entry->tag ||
                          result.value.size != entry->value.size ||
                          memcmp(result.value.data, entry->value.data, result.value.size) != 0;
            gy_cache_unpin(run->kit.cache, &result.pin);
        } else {
            *ret_refused = true;
            assert_true(st == GYRE_CORRUPT || st == GYRE_UNSUPPORTED);
            assert_string_equal(disk_kit_error(&run->kit)->file, "000009.sst");
        }
    }
    assert_int_equal(gy_table_cursor_make(table, GY_CURSOR_COMPACT, GY_CACHE_NORMAL, 0, &cursor),
                     GYRE_OK);
    for (gy_cursor_await_first(cursor); cursor->valid; gy_cursor_await_next(cursor)) {
        run->wrong += seen >= run->content.count ||
                      gy_entry_hash(&cursor->entry) != gy_entry_hash(&run->content.entries[seen]);
        seen++;
    }
    if (cursor->status != GYRE_OK) {
        *ret_refused = true;
        assert_true(cursor->status == GYRE_CORRUPT || cursor->status == GYRE_UNSUPPORTED);
        assert_string_equal(disk_kit_error(&run->kit)->file, "000009.sst");
    } else {
        run->wrong += seen != run->content.count;
    }
    gy_cursor_close(cursor);
    run->reported = 0;
    assert_int_equal(gy_table_await_check(table, &check), GYRE_OK);
    assert_int_equal(check.damage_count, run->reported);
}

static void
flip_body(void *arg)
{
    struct flip_run *run = arg;
    uint64_t refused_count = 0;
    struct gy_table *table;
    char path[64];

    gy_in_coroutine();
    content_make(&run->content, &(struct shape){.count = 60,
                                                .key_size = 12,
                                                .value_size = 100,
                                                .options = {.compress = run->compress}});
    table = disk_kit_await_table(
        &run->kit, &(struct disk_kit_table_options){.number = 9, .compress = run->compress},
        run->content.entries, run->content.count);
    (void)snprintf(path, sizeof(path), "/db/000009.sst");
    run->size = table->meta.size;
    run->meta = table->meta;
    memcpy(run->keys, table->meta.smallest.data, 12);
    memcpy(run->keys + 12, table->meta.largest.data, 12);
    run->meta.smallest.data = run->keys;
    run->meta.largest.data = run->keys + 12;
    gy_table_unref(table);
    for (uint64_t at = 0; at < run->size; at++) {
        uint8_t byte;
        bool refused = false;

        assert_int_equal(gy_sim_disk_peek(run->kit.disk, path, at, &byte, 1), 1);
        byte ^= (uint8_t)(1u << at % 8);
        assert_true(gy_sim_disk_poke(run->kit.disk, path, at, &byte, 1) >= 0);
        gy_cache_await_forget(run->kit.cache, 0, 0);
        table = gy_table_make(&run->kit.set, &run->meta);
        await_read_damaged(run, table, &refused);
        gy_table_unref(table);
        /* What readers refuse, the check reports; zeros between blocks are nobody's. */
        assert_int_equal(refused, run->reported != 0);
        refused_count += refused;
        byte ^= (uint8_t)(1u << at % 8);
        assert_true(gy_sim_disk_poke(run->kit.disk, path, at, &byte, 1) >= 0);
    }
    assert_true(refused_count > 4096); /* the footer alone */
    content_free(&run->content);
}

/* Goal:   for every byte of a table file: a flip gives the right answer or an error that names the
 * file, for gets, walks
 *         and the check; never a wrong answer.
 * Method: a file of four to five pages, one flipped bit per byte; raw and compressed. */
static void
table_answers_right_or_names_the_file_for_every_flipped_byte(void **state)
{
    static struct flip_run run;
    (void)state;

    for (int compress = 0; compress < 2; compress++) {
        memset(&run, 0, sizeof(run));
        run.compress = compress != 0;
        disk_kit_make(&run.kit, &(struct disk_kit_config){.cache_size = 1 << 20});
        disk_kit_run(&run.kit, flip_body, &run);
        assert_int_equal(run.wrong, 0);
        disk_kit_free(&run.kit);
    }
}

/* ---- Opening what is not what the manifest says ---- */

GY_SUSPENDS static void
await_refused(struct disk_kit *kit, const struct gy_table_meta *meta, const char *text)
{
    struct gy_table *table = gy_table_make(&kit->set, meta);
    struct gy_table_result result;
    struct gy_cursor *cursor;

    assert_non_null(table);
    assert_int_equal(gy_table_await_get(table, gyre_str("x"), 1, 9, GY_CACHE_NORMAL, &result),
                     GYRE_CORRUPT);
    if (strstr(disk_kit_error(kit)->text, text) == NULL ||
        strstr(disk_kit_error(kit)->text, ".sst") == NULL) {
        fail_msg("'%s' is not in '%s'", text, disk_kit_error(kit)->text);
    }
    assert_int_equal(gy_table_cursor_make(table, GY_CURSOR_USER, GY_CACHE_NORMAL, 0, &cursor),
                     GYRE_OK);
    gy_cursor_await_seek(cursor, gyre_str("x"), 1);
    assert_false(cursor->valid);
    assert_int_equal(cursor->status, GYRE_CORRUPT);
    gy_cursor_close(cursor);
    gy_table_unref(table);
}

static void
mismatch_body(void *arg)
{
    struct disk_kit *kit = arg;
    struct content content;
    struct gy_table *first;
    struct gy_table *second;
    struct gy_table_meta meta;

    gy_in_coroutine();
    content_make(&content, &(struct shape){.count = 200, .key_size = 12, .value_size = 100});
    first = disk_kit_await_table(kit, &(struct disk_kit_table_options){.number = 1},
                                 content.entries, 200);
    second = disk_kit_await_table(kit, &(struct disk_kit_table_options){.number = 2},
                                  content.entries, 200);
    meta = first->meta;
    meta.number = 2; /* the same size and counts, another file */
    await_refused(kit, &meta, "another table");
    meta = first->meta;
    meta.number = 3;
    await_refused(kit, &meta, "missing");
    meta = first->meta;
    meta.size += 4096;
    await_refused(kit, &meta, "size");
    meta = first->meta;
    meta.entry_count++;
    await_refused(kit, &meta, "counts");
    assert_int_equal(gy_sim_disk_resize(kit->disk, "/db/000001.sst", first->meta.size - 4096), 0);
    await_refused(kit, &first->meta, "size");
    assert_int_equal(gy_sim_disk_resize(kit->disk, "/db/000001.sst", first->meta.size), 0);
    await_refused(kit, &first->meta, "footer");
    assert_int_equal(gy_sim_disk_resize(kit->disk, "/db/000001.sst", 0), 0);
    await_refused(kit, &first->meta, "size");
    gy_table_unref(first);
    gy_table_unref(second);
    content_free(&content);
}

/* Goal:   a table that is missing, cut, or another one than the manifest names is refused with a
 * text that says so. Method: manifest entries and files that do not fit each other. */
static void
table_open_refuses_a_file_that_is_not_the_one(void **state)
{
    static struct disk_kit kit;
    (void)state;

    disk_kit_make(&kit, NULL);
    disk_kit_run(&kit, mismatch_body, &kit);
    disk_kit_free(&kit);
}

/* ---- Salvage ---- */

struct salvage_run {
    struct disk_kit kit;
    struct content content;
    uint32_t seen;
    bool compress;
};

static gyre_status
on_entry(void *arg, const struct gy_entry *entry)
{
    struct salvage_run *run = arg;
    const uint32_t at = content_seek(&run->content, entry->key, entry->tag);

    assert_true(at < run->content.count);
    assert_entry(entry, &run->content.entries[at]);
    run->seen++;
    return GYRE_OK;
}

static void
smash(struct gy_sim_disk *disk, uint64_t offset)
{
    static uint8_t garbage[64];

    memset(garbage, 0xa5, sizeof(garbage));
    assert_true(gy_sim_disk_poke(disk, "/db/000009.sst", offset, garbage, sizeof(garbage)) >= 0);
}

GY_SUSPENDS static uint32_t
await_salvage(struct salvage_run *run, const struct gy_table_meta *meta)
{
    struct gy_table_check check = {.each = on_entry, .arg = run};
    struct gy_table *table = gy_table_make(&run->kit.set, meta);

    run->seen = 0;
    assert_int_equal(gy_table_await_check(table, &check), GYRE_OK);
    assert_true(check.damage_count != 0);
    assert_int_equal(check.entry_count, run->seen);
    gy_table_unref(table);
    return run->seen;
}

static uint64_t
partition_offset(const struct gy_table *table, uint32_t index)
{
    struct gy_block_handle handle;
    struct gy_block_iter iter;

    gy_block_iter_init(&iter, &table->opened->top, NULL, 0);
    gy_block_iter_first(&iter);
    while (index-- != 0) {
        gy_block_iter_next(&iter);
    }
    assert_true(iter.valid);
    assert_int_equal(gy_block_handle_decode(iter.entry.value, table->meta.size, &handle), GYRE_OK);
    return handle.offset;
}

static void
salvage_body(void *arg)
{
    struct salvage_run *run = arg;
    struct gy_table *table;
    struct gy_footer footer;
    uint64_t offset;
    uint8_t page[GY_PAGE];
    uint32_t found;

    gy_in_coroutine();
    content_make(&run->content, &(struct shape){.count = 8000,
                                                .key_size = 16,
                                                .value_size = 150,
                                                .value_vary = 100,
                                                .options = {.compress = run->compress}});
    table = disk_kit_await_table(
        &run->kit, &(struct disk_kit_table_options){.number = 9, .compress = run->compress},
        run->content.entries, run->content.count);
    assert_int_equal(gy_table_await_footer(table, &footer), GYRE_OK);
    assert_true(footer.partition_count >= 2);
    /* One data block: everything but its entries. */
    assert_int_equal(gy_table_await_offset(table, run->content.entries[4000].key, &offset),
                     GYRE_OK);
    assert_int_equal(
        gy_sim_disk_peek(run->kit.disk, "/db/000009.sst", offset & ~4095ull, page, sizeof(page)),
        GY_PAGE);
    smash(run->kit.disk, offset);
    found = await_salvage(run, &table->meta);
    assert_in_range(found, 7800, 7999);
    assert_true(gy_sim_disk_poke(run->kit.disk, "/db/000009.sst", offset & ~4095ull, page,
                                 sizeof(page)) >= 0);
    /* A partition: its data blocks are found without it. */
    for (uint32_t i = 0; i < footer.partition_count; i++) {
        offset = partition_offset(table, i);
        assert_int_equal(
            gy_sim_disk_peek(run->kit.disk, "/db/000009.sst", offset, page, sizeof(page)), GY_PAGE);
        smash(run->kit.disk, offset);
        assert_int_equal(await_salvage(run, &table->meta), 8000);
        assert_true(gy_sim_disk_poke(run->kit.disk, "/db/000009.sst", offset, page, sizeof(page)) >=
                    0);
    }
    /* The footer: everything, found without any index. */
    smash(run->kit.disk, table->meta.size - 100);
    gy_table_set_await_close_all(&run->kit.set);
    assert_int_equal(await_salvage(run, &table->meta), 8000);
    gy_table_unref(table);
    content_free(&run->content);
}

/* Goal:   a damaged block costs its own entries only; without footer or index the rest is still
 * found. Method: overwrite one data block, then the footer; entries that come out are compared with
 * what went in. */
static void
table_check_hands_out_what_can_still_be_read(void **state)
{
    static struct salvage_run run;
    (void)state;

    for (int compress = 0; compress < 2; compress++) {
        memset(&run, 0, sizeof(run));
        run.compress = compress != 0;
        disk_kit_make(&run.kit, NULL);
        disk_kit_run(&run.kit, salvage_body, &run);
        disk_kit_free(&run.kit);
    }
}

/* ---- Writer ---- */

static void
order_body(void *arg)
{
    struct disk_kit *kit = arg;
    static const struct {
        const char *first_key;
        uint64_t first_tag;
        const char *key;
        uint64_t tag;
        gyre_status status;
    } cases[] = {{"b", 513, "a", 513, GYRE_CORRUPT},   {"b", 513, "b", 513, GYRE_CORRUPT},
                 {"b", 513, "b", 769, GYRE_CORRUPT},   {"b", 513, "b", 257, GYRE_OK},
                 {"b", 513, "b\0", 513, GYRE_CORRUPT}, {"b", 513, "", 257, GYRE_CORRUPT},
                 {"b", 513, "c", 514, GYRE_CORRUPT}};

    gy_in_coroutine();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gy_table_writer_options options;
        struct gy_table_writer *writer;
        struct gy_table_meta meta;
        struct gy_entry entry = {
            .key = gyre_str(cases[i].first_key), .tag = cases[i].first_tag, .value = gyre_str("v")};

        disk_kit_writer_options(kit, &(struct disk_kit_table_options){.number = i}, &options);
        assert_int_equal(gy_table_writer_await_open(&options, &writer), GYRE_OK);
        assert_int_equal(gy_table_writer_await_add(writer, &entry), GYRE_OK);
        entry.key = gyre_str(cases[i].key);
        entry.tag = cases[i].tag;
        assert_int_equal(gy_table_writer_await_add(writer, &entry), cases[i].status);
        assert_int_equal(gy_table_writer_await_finish(writer, &meta), cases[i].status);
        gy_table_writer_await_close(writer);
        assert_int_equal(gy_sim_disk_file_size(kit->disk, options.number == 3
                                                              ? "/db/000003.sst"
                                                              : "/db/000000.sst") > 0,
                         options.number == 3);
    }
}

/* Goal:   entries out of order, twice the same, without key or of an unknown kind never become a
 * table, and nothing of it
 *         stays on the disk (T1, T3). */
static void
table_writer_refuses_entries_out_of_order(void **state)
{
    static struct disk_kit kit;
    (void)state;

    disk_kit_make(&kit, NULL);
    disk_kit_run(&kit, order_body, &kit);
    disk_kit_free(&kit);
}

struct fault_run {
    struct disk_kit kit;
    struct content content;
    gyre_status status;
    bool durable_when_ok;
};

static void
fault_body(void *arg)
{
    struct fault_run *run = arg;
    struct gy_table_writer_options options;
    struct gy_table_writer *writer;
    struct gy_table_meta meta;

    gy_in_coroutine();
    disk_kit_writer_options(&run->kit, &(struct disk_kit_table_options){.number = 5}, &options);
    options.size_expected = 100000; /* too small: the writer has to go on allocating */
    run->status = gy_table_writer_await_open(&options, &writer);
    if (run->status != GYRE_OK) {
        return;
    }
    for (uint32_t i = 0; i < run->content.count && run->status == GYRE_OK; i++) {
        run->status = gy_table_writer_await_add(writer, &run->content.entries[i]);
    }
    if (run->status == GYRE_OK) {
        run->status = gy_table_writer_await_finish(writer, &meta);
    }
    if (run->status == GYRE_OK) { /* the name is the caller's to sync */
        assert_int_equal(gy_dir_await_sync(&run->kit.loop, &run->kit.dir), GYRE_OK);
        run->durable_when_ok =
            gy_sim_disk_is_durable(run->kit.disk, "/db/000005.sst", 0, meta.size);
        assert_int_equal(gy_sim_disk_file_size(run->kit.disk, "/db/000005.sst"), meta.size);
    }
    gy_table_writer_await_close(writer);
}

/* Goal:   when any I/O of the writer fails, it fails, with the status that fits, and the file is
 * gone; when it succeeds,
 *         every byte is durable (T2, T3).
 * Method: EIO, ENOSPC and short transfers at the n-th operation of each kind, for all n until it
 * goes through. */
static void
table_writer_fails_as_a_whole_when_any_io_fails(void **state)
{
    static const struct {
        enum gy_op op;
        int os_errno;
        gyre_status status;
        uint64_t least; /* strikes that there must be */
    } cases[] = {{GY_OP_OPEN, 5, GYRE_IO, 1},     {GY_OP_ALLOCATE, 28, GYRE_NO_SPACE, 1},
                 {GY_OP_WRITE, 5, GYRE_IO, 4},    {GY_OP_WRITE, 28, GYRE_NO_SPACE, 4},
                 {GY_OP_TRUNCATE, 5, GYRE_IO, 1}, {GY_OP_SYNC, 5, GYRE_IO, 1}};
    static struct fault_run run;
    (void)state;

    content_make(&run.content, &(struct shape){.count = 1200, .key_size = 16, .value_size = 1000});
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        for (uint64_t nth = 1;; nth++) {
            struct gy_sim_faults faults = {.rule_count = 1, .short_ppm = 50000};
            uint64_t strikes;

            faults.rules[0] = (struct gy_sim_rule){.fault = GY_SIM_FAULT_ERROR,
                                                   .op_mask = 1u << cases[c].op,
                                                   .nth = nth,
                                                   .os_errno = cases[c].os_errno,
                                                   .name = ".sst"};
            disk_kit_make(&run.kit, &(struct disk_kit_config){.seed = nth});
            gy_world_sim_set_faults(run.kit.world, &faults);
            disk_kit_run(&run.kit, fault_body, &run);
            strikes = gy_world_sim_strike_count(run.kit.world, 0);
            gy_world_sim_set_faults(run.kit.world, NULL);
            if (strikes == 0) {
                assert_int_equal(run.status, GYRE_OK);
                assert_true(run.durable_when_ok);
                assert_true(nth > cases[c].least);
            } else if (cases[c].op == GY_OP_ALLOCATE && nth > 1) {
                assert_true(run.status == GYRE_OK || run.status == cases[c].status);
            } else {
                assert_int_equal(run.status, cases[c].status);
                assert_int_equal(gy_sim_disk_file_size(run.kit.disk, "/db/000005.sst"), -2);
            }
            disk_kit_free(&run.kit);
            if (strikes == 0) {
                break;
            }
        }
    }
    content_free(&run.content);
}

static void
memory_body(void *arg)
{
    struct fault_run *run = arg;
    struct gy_table_writer_options options;
    struct gy_table_writer *writer = NULL;
    struct gy_table_meta meta;
    struct gy_table *table = NULL;
    struct gy_cursor *cursor = NULL;

    gy_in_coroutine();
    disk_kit_writer_options(
        &run->kit, &(struct disk_kit_table_options){.number = 5, .compress = true}, &options);
    run->status = gy_table_writer_await_open(&options, &writer);
    for (uint32_t i = 0; i < run->content.count && run->status == GYRE_OK; i++) {
        run->status = gy_table_writer_await_add(writer, &run->content.entries[i]);
    }
    if (run->status == GYRE_OK) {
        run->status = gy_table_writer_await_finish(writer, &meta);
    }
    if (run->status == GYRE_OK) {
        table = gy_table_make(&run->kit.set, &meta);
        run->status = table != NULL ? GYRE_OK : GYRE_NO_MEMORY;
    }
    if (run->status == GYRE_OK) {
        run->status = gy_table_cursor_make(table, GY_CURSOR_COMPACT, GY_CACHE_NORMAL, 0, &cursor);
    }
    if (run->status == GYRE_OK) {
        uint32_t seen = 0;

        for (gy_cursor_await_first(cursor); cursor->valid; gy_cursor_await_next(cursor)) {
            assert_entry(&cursor->entry, &run->content.entries[seen]);
            seen++;
        }
        run->status = cursor->status;
        assert_true(run->status != GYRE_OK || seen == run->content.count);
    }
    if (run->status == GYRE_OK) {
        struct gy_table_check check = {0};

        run->status = gy_table_await_check(table, &check);
        assert_int_equal(check.damage_count, 0);
    }
    gy_cursor_close(cursor);
    gy_table_unref(table);
    gy_table_writer_await_close(writer == NULL ? NULL : writer);
}

/* Goal:   when any allocation fails, NO_MEMORY comes back (or it goes on with less), nothing is
 * lost and no memory leaks. Method: fail the n-th allocation of writing, walking and checking a
 * table, for all n. */
static void
table_survives_any_allocation_that_fails(void **state)
{
    static struct fault_run run;
    uint64_t failed = 0;
    (void)state;

    content_make(&run.content, &(struct shape){.count = 300,
                                               .key_size = 16,
                                               .value_size = 200,
                                               .options = {.compress = true}});
    for (uint64_t nth = 1;; nth++) {
        uint64_t before;
        bool struck;

        disk_kit_make(&run.kit, NULL);
        before = run.kit.loop.heap.allocation_count;
        run.kit.loop.heap.fail_at = before + nth;
        /* The coroutine of the test itself may be what there is no memory for. */
        if (gy_spawn(&run.kit.loop.sched, GY_CLASS_FOREGROUND, "test", memory_body, &run, NULL) ==
            GYRE_OK) {
            while (!gy_loop_is_idle(&run.kit.loop)) {
                (void)gy_loop_turn(&run.kit.loop, true, GY_NEVER);
            }
            assert_true(run.status == GYRE_OK || run.status == GYRE_NO_MEMORY);
            failed += run.status != GYRE_OK;
        }
        struck = run.kit.loop.heap.allocation_count >= before + nth;
        run.kit.loop.heap.fail_at = 0;
        disk_kit_free(&run.kit);
        if (!struck) {
            assert_int_equal(run.status, GYRE_OK);
            break;
        }
    }
    assert_true(failed > 10);
    content_free(&run.content);
}

/* ---- Sets ---- */

struct lru_run {
    struct disk_kit kit;
    struct content content;
    struct gy_table *tables[8];
    uint32_t done;
};

GY_SUSPENDS static void
await_get_one(struct lru_run *run, uint32_t table, uint32_t entry)
{
    struct gy_table_result result;
    const struct gyre_slice key = run->content.entries[entry].key;

    assert_int_equal(gy_table_await_get(run->tables[table], key, gy_filter_hash(key),
                                        GY_SEQUENCE_MAX, GY_CACHE_NORMAL, &result),
                     GYRE_OK);
    assert_true(result.found);
    assert_true(result.tag == run->content.entries[entry].tag);
    gy_cache_unpin(run->kit.cache, &result.pin);
}

static void
reader_body(void *arg)
{
    struct lru_run *run = arg;
    struct gy_rng rng;

    gy_in_coroutine();
    gy_rng_init(&rng, ++run->done);
    for (uint32_t i = 0; i < 100; i++) {
        await_get_one(run, (uint32_t)gy_rng_below(&rng, 8),
                      (uint32_t)gy_rng_below(&rng, run->content.count));
    }
}

static void
lru_body(void *arg)
{
    struct lru_run *run = arg;

    gy_in_coroutine();
    content_make(&run->content, &(struct shape){.count = 400, .key_size = 16, .value_size = 200});
    for (uint32_t i = 0; i < 8; i++) {
        run->tables[i] =
            disk_kit_await_table(&run->kit, &(struct disk_kit_table_options){.number = i + 1},
                                 run->content.entries, run->content.count);
    }
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(
            gy_spawn(&run->kit.loop.sched, GY_CLASS_FOREGROUND, "reader", reader_body, run, NULL),
            GYRE_OK);
    }
}

static void
lru_end(void *arg)
{
    struct lru_run *run = arg;

    gy_in_coroutine();
    assert_true(run->kit.set.open_count <= 3);
    assert_true(run->kit.set.stats.opened > 8); /* some were closed and opened again */
    for (uint32_t i = 0; i < 8; i++) {
        if (i % 2 == 0) {
            gy_table_mark_removed(run->tables[i]);
        }
        gy_table_unref(run->tables[i]);
    }
    assert_int_equal(run->kit.set.removed_count, 4);
    content_free(&run->content);
}

/* Goal:   no more than open_max tables stay open while many readers use more of them, every answer
 * is right, and removed
 *         tables hand over their numbers.
 * Method: 20 readers on 8 tables, at most 3 open. */
static void
table_set_closes_what_is_not_used(void **state)
{
    static struct lru_run run;
    (void)state;

    for (uint64_t seed = 0; seed < 5; seed++) {
        memset(&run, 0, sizeof(run));
        disk_kit_make(&run.kit,
                      &(struct disk_kit_config){
                          .seed = seed, .open_max = 3, .chaos = true, .cache_size = 1 << 20});
        disk_kit_run(&run.kit, lru_body, &run);
        disk_kit_run(&run.kit, lru_end, &run);
        disk_kit_free(&run.kit);
    }
}

/* ---- Closing cursors while reads are in flight ---- */

struct close_run {
    struct disk_kit kit;
    struct content content;
    uint32_t steps;
};

static void
close_body(void *arg)
{
    struct close_run *run = arg;
    struct gy_table *table;
    struct gy_cursor *cursor;

    gy_in_coroutine();
    content_make(&run->content, &(struct shape){.count = 3000, .key_size = 16, .value_size = 1000});
    table = disk_kit_await_table(&run->kit, &(struct disk_kit_table_options){.number = 9},
                                 run->content.entries, 3000);
    for (uint32_t round = 0; round < 6; round++) {
        assert_int_equal(gy_table_cursor_make(table,
                                              round % 2 == 0 ? GY_CURSOR_COMPACT : GY_CURSOR_USER,
                                              GY_CACHE_NORMAL, round % 2 == 0 ? 0 : 65536, &cursor),
                         GYRE_OK);
        gy_cursor_await_first(cursor);
        for (uint32_t i = 0; i < run->steps * round; i++) {
            gy_cursor_await_next(cursor);
            assert_true(cursor->valid);
        }
        gy_cursor_close(cursor); /* the next span is on its way */
    }
    gy_table_mark_removed(table);
    gy_table_unref(table); /* and the file goes too */
    content_free(&run->content);
}

/* Goal:   a cursor may be closed, and its table dropped, while reads ahead are in flight: their
 * buffers, the file and the
 *         table live until they have come back, and then everything is given back (O6).
 * Method: close after 0 to some hundred steps; the simulator complains of buffers that are touched,
 * of slots closed under a
 *         request, and of leaks. The reads must really have been in flight. */
static void
table_cursor_can_be_closed_with_reads_in_flight(void **state)
{
    static struct close_run run;
    (void)state;

    for (uint64_t seed = 0; seed < 8; seed++) {
        memset(&run, 0, sizeof(run));
        run.steps = 1 + (uint32_t)seed * 17;
        disk_kit_make(&run.kit, &(struct disk_kit_config){.seed = seed, .chaos = seed % 2 == 1});
        disk_kit_run(&run.kit, close_body, &run);
        assert_int_equal(run.kit.set.removed_count, 1);
        assert_int_equal(run.kit.set.open_count, 0);
        assert_int_equal(run.kit.arena.free_buffer_count, run.kit.arena.buffer_count);
        disk_kit_free(&run.kit);
    }
}

/* ---- Coroutines that take turns ---- */

struct turn_run {
    struct disk_kit kit;
    struct content content;
    struct gy_table *table;
    struct gy_cursor *cursor;
    uint32_t seen;
};

static void
turn_begin(void *arg)
{
    struct turn_run *run = arg;

    gy_in_coroutine();
    content_make(&run->content, &(struct shape){.count = 3000, .key_size = 16, .value_size = 1000});
    run->table = disk_kit_await_table(&run->kit, &(struct disk_kit_table_options){.number = 9},
                                      run->content.entries, run->content.count);
    assert_int_equal(
        gy_table_cursor_make(run->table, GY_CURSOR_USER, GY_CACHE_NORMAL, 32768, &run->cursor),
        GYRE_OK);
    gy_cursor_await_first(run->cursor);
}

static void
turn_step(void *arg)
{
    struct turn_run *run = arg;

    gy_in_coroutine();
    for (uint32_t i = 0; i < 35 && run->cursor->valid; i++) {
        assert_entry(&run->cursor->entry, &run->content.entries[run->seen]);
        run->seen++;
        gy_cursor_await_next(run->cursor);
    }
    assert_int_equal(run->cursor->status, GYRE_OK);
} /* ends with reads ahead in flight: they must not wake it */

static void
turn_end(void *arg)
{
    struct turn_run *run = arg;

    gy_in_coroutine();
    assert_false(run->cursor->valid);
    gy_cursor_close(run->cursor);
    gy_table_unref(run->table);
    content_free(&run->content);
}

/* Goal:   each step of a cursor may be made by another coroutine, and the one before may have ended
 *         while a read ahead that it started is in flight: a public iterator is used so.
 * Method: one coroutine for each 35 steps; under ASan a wake of one that is gone is seen. */
static void
table_cursor_can_be_moved_by_one_coroutine_after_the_other(void **state)
{
    static struct turn_run run;
    (void)state;

    disk_kit_make(&run.kit, NULL);
    run.seen = 0;
    disk_kit_run(&run.kit, turn_begin, &run);
    while (run.cursor->valid) {
        disk_kit_run(&run.kit, turn_step, &run);
    }
    assert_int_equal(run.seen, run.content.count);
    disk_kit_run(&run.kit, turn_end, &run);
    disk_kit_free(&run.kit);
}

/* ---- Reads that fail or lie ---- */

struct lie_run {
    struct disk_kit kit;
    struct content content;
    struct gy_table *table;
    uint32_t right;
    uint32_t refused;
};

GY_SUSPENDS static void
await_walk_of_lies(struct lie_run *run, enum gy_table_cursor_mode mode, bool backward)
{
    const uint32_t count = run->content.count;
    struct gy_cursor *cursor;
    uint32_t seen = 0;

    assert_int_equal(gy_table_cursor_make(run->table, mode, GY_CACHE_NO_FILL, 0, &cursor), GYRE_OK);
    if (backward) {
        gy_cursor_await_last(cursor);
    } else {
        gy_cursor_await_first(cursor);
    }
    while (cursor->valid) {
        assert_entry(&cursor->entry, &run->content.entries[backward ? count - 1 - seen : seen]);
        seen++;
        if (backward) {
            gy_cursor_await_prev(cursor);
        } else {
            gy_cursor_await_next(cursor);
        }
    }
    if (cursor->status == GYRE_OK) {
        assert_int_equal(seen, count); /* a failure is never an end */
        run->right++;
    } else {
        assert_true(cursor->status == GYRE_IO || cursor->status == GYRE_CORRUPT);
        assert_string_equal(disk_kit_error(&run->kit)->file, "000009.sst");
        run->refused++;
    }
    gy_cursor_close(cursor);
}

static void
lie_body(void *arg)
{
    static const enum gy_sim_fault kinds[] = {GY_SIM_FAULT_ERROR, GY_SIM_FAULT_FLIP,
                                              GY_SIM_FAULT_MISDIRECT, GY_SIM_FAULT_LOST};
    struct lie_run *run = arg;

    gy_in_coroutine();
    content_make(&run->content, &(struct shape){.count = 2000, .key_size = 16, .value_size = 500});
    run->table = disk_kit_await_table(&run->kit, &(struct disk_kit_table_options){.number = 9},
                                      run->content.entries, run->content.count);
    for (uint32_t kind = 0; kind < 4; kind++) {
        struct gy_sim_faults faults = {.rule_count = 1};

        faults.rules[0] = (struct gy_sim_rule){
            .fault = kinds[kind], .op_mask = 1u << GY_OP_READ, .name = ".sst", .ppm = 30000};
        gy_world_sim_set_faults(run->kit.world, &faults);
        for (uint32_t round = 0; round < 6; round++) {
            gy_cache_await_forget(run->kit.cache, 0, 0);
            await_walk_of_lies(run, round % 2 == 0 ? GY_CURSOR_COMPACT : GY_CURSOR_USER,
                               round >= 4);
        }
    }
    gy_world_sim_set_faults(run->kit.world, NULL);
    gy_table_unref(run->table);
    content_free(&run->content);
}

/* Goal:   reads that fail, flip a bit, come from elsewhere or come as zeros give the right entries
 *         after a second read, or an error that names the file: never a wrong entry, never an early
 *         end.
 * Method: 3 % of the reads, walks both ways; some walks must succeed and some must be refused. */
static void
table_cursor_never_believes_a_read_that_lies(void **state)
{
    static struct lie_run run;
    uint32_t right = 0;
    uint32_t refused = 0;
    (void)state;

    for (uint64_t seed = 0; seed < 6; seed++) {
        memset(&run, 0, sizeof(run));
        disk_kit_make(&run.kit, &(struct disk_kit_config){.seed = seed, .cache_size = 1 << 20});
        disk_kit_run(&run.kit, lie_body, &run);
        right += run.right;
        refused += run.refused;
        disk_kit_free(&run.kit);
    }
    assert_true(right > 30 && refused > 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_reads_back_what_was_written),
        cmocka_unit_test(table_reads_back_blocks_of_every_size_around_a_page),
        cmocka_unit_test(table_answers_right_or_names_the_file_for_every_flipped_byte),
        cmocka_unit_test(table_open_refuses_a_file_that_is_not_the_one),
        cmocka_unit_test(table_check_hands_out_what_can_still_be_read),
        cmocka_unit_test(table_writer_refuses_entries_out_of_order),
        cmocka_unit_test(table_writer_fails_as_a_whole_when_any_io_fails),
        cmocka_unit_test(table_survives_any_allocation_that_fails),
        cmocka_unit_test(table_set_closes_what_is_not_used),
        cmocka_unit_test(table_cursor_can_be_closed_with_reads_in_flight),
        cmocka_unit_test(table_cursor_can_be_moved_by_one_coroutine_after_the_other),
        cmocka_unit_test(table_cursor_never_believes_a_read_that_lies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
